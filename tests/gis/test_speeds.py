"""Speeds learnt from trails: units drive over the real roads of the demo city by factors that the test knows,
and the calibration finds them, or says that it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gis.roads import IMPASSABLE, Arrays
from gis.speeds import (
    BANDS,
    DRIVE_SPREAD,
    FACTOR_MAX,
    FACTOR_MIN,
    GROUP_OF_CLASS,
    GROUPS,
    PRIOR,
    Z80,
    Departure,
    Drives,
    Trail,
    as_json,
    band_of,
    from_json,
    learn,
    learn_turnout,
    measure,
    runs,
)
from gis.travel import RoadGraph, mode

if TYPE_CHECKING:
    from tests.conftest import SeededRandom

ZONE = ZoneInfo("Europe/Helsinki")
MONDAY_US = int(datetime(2026, 10, 26, tzinfo=ZONE).astimezone(UTC).timestamp()) * 1_000_000
HOUR_US = 3_600_000_000
Truth = Mapping[str, float]


@pytest.fixture(scope="module")
def roads(helsinki: Path) -> RoadGraph:
    return RoadGraph.open(helsinki)


def true_graph(roads: RoadGraph, way: str, truth: Truth) -> RoadGraph:
    """The city as it really drives: its free-flow times by the truth of each group of roads."""
    by_group = np.array([truth.get(group, 1.0) for group in GROUPS])
    factor = np.repeat(by_group[GROUP_OF_CLASS[roads.arrays(way)["edge_class"]]], 2)
    ms = roads.ms(way)
    return roads.with_ms(
        {way: np.where(ms == IMPASSABLE, ms, np.maximum(1, ms * factor)).astype(np.uint32)},
        version=("truth", way, tuple(by_group)),
    )


def somewhere(rng: np.random.Generator, a: Arrays) -> tuple[float, float]:
    point = rng.integers(len(a["point_lon_e7"]))
    return float(a["point_lon_e7"][point]) / 1e7, float(a["point_lat_e7"][point]) / 1e7


def a_day(
    roads: RoadGraph,
    rng: np.random.Generator,
    hour: int,
    drives: int,
    truth: Truth,
    *,
    day: int = 0,
    profile: str = "ambulance",
    row: int = 0,
    noise: float = 0.1,
    every_s: float = 5.0,
    off_m: float = 3.0,
) -> Trail:
    """One unit's day: so many drives between random places, all of that hour, with stops of five minutes."""
    way = mode(profile, row == 1)
    true = true_graph(roads, way, truth)
    at_us: list[int] = []
    lon: list[float] = []
    lat: list[float] = []
    a = roads.arrays(way)
    here = somewhere(rng, a)
    for n in range(drives):
        for _ in range(100):
            there = somewhere(rng, a)
            route = true.route(*here, *there, way)
            if route.road and route.distance_m > 1000:
                break
            here = somewhere(rng, a) if not route.road else here
        else:
            raise AssertionError("no two places in this city are a drive apart")
        begin_us = MONDAY_US + day * 24 * HOUR_US + hour * HOUR_US + n * 7 * 86_400_000_000
        pace = float(np.exp(rng.normal(0, noise)))
        took_s = np.array(route.at_s) * pace
        seconds = np.concatenate(
            ([-150.0], np.arange(0, took_s[-1], every_s), took_s[-1:], took_s[-1:] + 150)
        )
        points = np.array(route.points)
        at_us += (begin_us + seconds * 1e6).astype(np.int64).tolist()
        lon += (
            np.interp(seconds, took_s, points[:, 0]) + rng.normal(0, off_m / 55_600, len(seconds))
        ).tolist()
        lat += (
            np.interp(seconds, took_s, points[:, 1]) + rng.normal(0, off_m / 111_200, len(seconds))
        ).tolist()
        here = there
    n = len(at_us)
    return Trail(profile, np.array(at_us), np.array(lon), np.array(lat), np.full(n, row, dtype=np.int8))


@pytest.fixture
def rng(random: SeededRandom) -> np.random.Generator:
    return np.random.default_rng(random.getrandbits(32))


def test_the_factors_that_a_city_is_driven_by_are_found(roads: RoadGraph, rng: np.random.Generator) -> None:
    # given ambulances that need 1.5 times the map's time on main roads in the morning rush, 1.2 times
    # elsewhere, and as the map says at night
    rush = {"main": 1.5, "collector": 1.2, "street": 1.2, "yard": 1.2}
    trails = [a_day(roads, rng, 8, 12, rush, day=day) for day in range(5) for _ in range(2)]
    trails += [a_day(roads, rng, 2, 12, {}, day=day) for day in range(5)]
    # when it is learnt from where they were
    table = learn(measure(roads, trails, ZONE))
    # then the rush and the night are told apart, and the roads
    assert table.about["held_out"]["ordinary"]["used"], table.about
    main, street = GROUPS.index("main"), GROUPS.index("street")
    assert table.factor[0, main, 8] == pytest.approx(1.5, rel=0.1)
    assert table.factor[0, street, 8] == pytest.approx(1.2, rel=0.12)
    assert table.factor[0, main, 2] == pytest.approx(1.0, rel=0.12)
    # and the error on trips that were not learnt from went down
    judged = table.about["held_out"]["ordinary"]
    assert judged["after"]["mean_error_s"] < 0.9 * judged["before"]["mean_error_s"]
    # and nobody drove with priority signals, so nothing is said of it
    assert (table.factor[1] == 1).all()
    assert table.about["held_out"]["priority"]["why"] == "too few trips"
    # and the band is as narrow as the trips were even
    low, high = table.quantile[0, 8]
    assert -Z80 * DRIVE_SPREAD < low < -0.05
    assert 0.05 < high < Z80 * DRIVE_SPREAD


def test_driving_with_priority_signals_is_learnt_apart(roads: RoadGraph, rng: np.random.Generator) -> None:
    calm = [a_day(roads, rng, 14, 20, {}, day=day) for day in range(5)]
    fast = dict.fromkeys(GROUPS, 0.7)
    blue = [a_day(roads, rng, 14, 20, fast, day=day, row=1) for day in range(5)]
    table = learn(measure(roads, calm + blue, ZONE))
    assert table.about["held_out"]["priority"]["used"], table.about
    assert table.factor[1, GROUPS.index("main"), 14] == pytest.approx(0.7, rel=0.1)
    assert table.factor[0, GROUPS.index("main"), 14] == pytest.approx(1.0, rel=0.1)


def test_thin_data_stays_near_the_prior_and_is_not_used(roads: RoadGraph, rng: np.random.Generator) -> None:
    slow = dict.fromkeys(GROUPS, 2.0)
    table = learn(measure(roads, [a_day(roads, rng, 8, 3, slow)], ZONE))
    assert (table.factor == 1).all()
    assert table.about["held_out"]["ordinary"]["why"] == "too few trips"
    # the band of another hour has hardly moved, and holds what was seen the wider for it
    low, high = table.quantile[0, 20]
    assert -Z80 * DRIVE_SPREAD <= low < -0.2
    assert Z80 * DRIVE_SPREAD <= high < 0.5


def test_a_city_that_drives_as_its_map_says_keeps_the_maps_times(
    roads: RoadGraph, rng: np.random.Generator
) -> None:
    trails = [a_day(roads, rng, 10, 12, {}, day=day, noise=0.25) for day in range(4)]
    table = learn(measure(roads, trails, ZONE))
    judged = table.about["held_out"]["ordinary"]
    assert (table.factor[0] == 1).all() or judged["difference"][1] < 0
    assert np.abs(np.log(table.factor)).max() < 0.1


def made(ratio: Callable[[int], float], drives: int = 200) -> Drives:
    """Drives without roads: each of ten legs on main roads, `ratio(n)` times as slow as free flow."""
    each = np.array([ratio(n) for n in range(drives)])
    main = np.zeros((drives, len(GROUPS)))
    main[:, GROUPS.index("main")] = 200.0
    return Drives(
        start_us=MONDAY_US + np.arange(drives) * HOUR_US,
        mode=np.zeros(drives, dtype=np.int64),
        band=np.full(drives, 9),
        trip_s=200.0 * each,
        trip_group_s=main,
        leg_drive=np.repeat(np.arange(drives), 10),
        leg_s=np.repeat(20.0 * each, 10),
        leg_group_s=np.repeat(main / 10, 10, axis=0),
        dropped={},
    )


@pytest.mark.parametrize(("ratio", "bound"), [(6.0, FACTOR_MAX), (0.2, FACTOR_MIN)])
def test_no_factor_leaves_its_bounds(ratio: float, bound: float) -> None:
    table = learn(made(lambda n: ratio))
    assert table.factor[0, GROUPS.index("main"), 9] == pytest.approx(bound)


def test_a_few_wild_trips_move_nothing() -> None:
    table = learn(made(lambda n: 7.5 if n % 20 == 0 else 1.3))
    assert table.factor[0, GROUPS.index("main"), 9] == pytest.approx(1.3, rel=0.03)


def test_neighbouring_hours_borrow_and_distant_ones_follow_the_road() -> None:
    table = learn(made(lambda n: 1.5))
    main = GROUPS.index("main")
    # ten o'clock has half of nine o'clock's trips behind it, three in the afternoon none
    assert table.trips[0, main, 10] == pytest.approx(table.trips[0, main, 9] / 2)
    assert table.trips[0, main, 15] == 0
    # with no hour to set it apart from, the whole road is slow at any hour
    assert table.factor[0, main, 15] == pytest.approx(1.5, rel=0.05)


def test_the_same_drives_and_seed_give_the_same_table() -> None:
    drives = made(lambda n: 1.2 + 0.01 * (n % 7))
    one, other = learn(drives, seed=3), learn(drives, seed=3)
    assert as_json(one) == as_json(other)


def test_no_drives_at_all_leave_the_prior() -> None:
    table = learn(made(lambda n: 1.0, drives=0))
    assert (table.factor == PRIOR.factor).all()
    assert table.quantile == pytest.approx(PRIOR.quantile)


# ---- what is a drive


@dataclass
class Walk:
    """A trail made by hand: metres east of a point, by seconds."""

    at_s: list[float]
    east_m: list[float]
    label: list[int] | None = None

    def trail(self) -> Trail:
        at_us = MONDAY_US + (np.array(self.at_s) * 1e6).astype(np.int64)
        lon = 24.94 + np.array(self.east_m) / 55_330
        label = np.array(self.label or [0] * len(at_us), dtype=np.int8)
        return Trail("car", at_us, lon, np.full(len(at_us), 60.17), label)


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        # a stop of three minutes parts two drives; both know when it began and ended
        (Walk([0, 10, 20, 100, 200, 210, 220], [0, 100, 200, 200, 200, 300, 400]), [(0, 3), (4, 7)]),
        # waiting a minute at a light does not
        (Walk([0, 10, 20, 80, 90, 100], [0, 100, 200, 200, 300, 400]), [(0, 6)]),
        # a silence of six minutes does
        (Walk([0, 10, 20, 380, 390], [0, 100, 200, 900, 1000]), [(0, 3), (3, 5)]),
        # a false fix five kilometres off is nobody's drive
        (Walk([0, 10, 20, 30, 40], [0, 100, 5000, 300, 400]), [(0, 2), (3, 5)]),
        # with the order to another way of driving begins another drive
        (Walk([0, 10, 20, 30], [0, 100, 200, 300], [0, 0, 1, 1]), [(0, 2), (2, 4)]),
        # of what is not known nothing is learnt
        (Walk([0, 10, 20, 30], [0, 100, 200, 300], [-1, -1, 1, 1]), [(2, 4)]),
        (Walk([0], [0]), []),
    ],
)
def test_a_trail_is_cut_into_drives(walk: Walk, expected: list[tuple[int, int]]) -> None:
    found = [(run.start, run.stop) for run in runs(walk.trail())]
    assert found == expected


def test_what_cannot_be_a_drive_by_road_is_counted_and_left_out(
    roads: RoadGraph, rng: np.random.Generator
) -> None:
    # given a good day, the same fixes told twice and out of order, and one out on the sea
    good = a_day(roads, rng, 8, 4, {})
    n = len(good.at_us)
    order = rng.permutation(np.concatenate((np.arange(n), np.arange(n))))
    doubled = Trail("ambulance", good.at_us[order], good.lon[order], good.lat[order], good.label[order])
    at_sea = replace(good, lat=good.lat - 0.05)
    nowhere = replace(good, lat=np.full(n, np.nan))
    # then the doubled day tells what the good one told, and the others nothing
    as_told, again = measure(roads, [good], ZONE), measure(roads, [doubled], ZONE)
    assert again.leg_s == pytest.approx(as_told.leg_s)
    assert len(as_told.start_us) == 4
    lost = measure(roads, [at_sea, nowhere], ZONE)
    assert len(lost.start_us) == 0
    assert lost.dropped["off_road"] > 10


def test_of_too_much_history_a_sample_is_taken(roads: RoadGraph, rng: np.random.Generator) -> None:
    trails = [a_day(roads, rng, 8, 10, {}) for _ in range(3)]
    whole = measure(roads, trails, ZONE)
    some = measure(roads, trails, ZONE, legs_max=len(whole.leg_s) // 3, seed=5)
    assert 0 < len(some.start_us) < len(whole.start_us)
    assert some.dropped["not_sampled"] == len(whole.start_us) - len(some.start_us)


# ---- turnout


def test_turnout_is_learnt_by_type_station_and_part_of_the_day() -> None:
    # given a type with a standard of 60 s that takes 90 s, and at the Nord station 150 s at night
    told = [Departure("SMURD", "Sud", 12, 60.0, 90.0)] * 200
    told += [Departure("SMURD", "Nord", 12, 60.0, 90.0)] * 100
    told += [Departure("SMURD", "Nord", 3, 60.0, 150.0)] * 100
    table = learn_turnout(told)
    assert table["SMURD", "Sud"][2, 0] == pytest.approx(1.5, rel=0.05)
    assert table["SMURD", "Nord"][0, 0] == pytest.approx(2.5, rel=0.1)
    assert table["SMURD", "Nord"][2, 0] == pytest.approx(1.5, rel=0.1)
    # a station without departures of its own follows its type, with the number behind it
    assert table["SMURD", ""][2, 3] == 400


def test_one_odd_departure_hardly_moves_the_standard() -> None:
    table = learn_turnout([Departure("SV", "Nord", 12, 60.0, 240.0)])
    assert 1.0 < table["SV", "Nord"][2, 0] < 1.4
    # and one that took an hour, or was a clock set back, is none
    assert learn_turnout([Departure("SV", "Nord", 12, 60.0, s) for s in (3600.0, -5.0)]) == {}


# ---- the file


def test_a_table_is_read_back_as_it_was_written() -> None:
    table = replace(
        learn(made(lambda n: 1.4)), turnout=learn_turnout([Departure("SV", "Nord", 12, 60.0, 90.0)] * 9)
    )
    back = from_json(as_json(table))
    assert back.factor == pytest.approx(table.factor, abs=1e-4)
    assert back.quantile == pytest.approx(table.quantile, abs=1e-4)
    assert back.turnout["SV", "Nord"] == pytest.approx(table.turnout["SV", "Nord"], abs=1e-3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 99}, "version"),
        ({"factor": [[1.0]]}, "factor"),
        ({"groups": ["road"]}, "groups"),
        ({"quantile": None}, "quantile"),
    ],
)
def test_a_file_that_is_no_table_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        from_json(as_json(PRIOR) | change)
    with pytest.raises(ValueError, match="version"):
        from_json(["not", "a", "table"])


def test_factors_out_of_bounds_in_a_file_are_put_back_within_them() -> None:
    wild = as_json(PRIOR) | {"factor": np.full((2, len(GROUPS), BANDS), 40.0).tolist()}
    assert (from_json(wild).factor == FACTOR_MAX).all()


def test_the_bands_of_a_week() -> None:
    assert [band_of(hour) for hour in (0, 8, 24 + 8, 5 * 24, 6 * 24 + 23)] == [0, 8, 8, 24, 47]
