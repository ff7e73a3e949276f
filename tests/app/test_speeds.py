"""From the log and the positions to ETAs: what crews really did is learnt, written, and taken up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app import cli, speeds
from app.learnt import file_of
from app.tracks import Fix
from config import Config
from gis.roads import IMPASSABLE
from gis.speeds import DRIVE_SPREAD, PRIOR, Z80
from gis.travel import RoadGraph, Route, mode
from tests.app.control_room import Room

if TYPE_CHECKING:
    from tests.conftest import SeededRandom

OpenRoom = Callable[..., Room]


@dataclass
class Crew:
    """A crew of the city that really drives, at a pace of its own, while its radio tells where it is."""

    room: Room
    unit: str
    at: tuple[float, float]
    rng: np.random.Generator

    def way(self, to: tuple[float, float], how: str) -> Route:
        city = self.room.core.city
        assert city is not None
        return city.roads.route(*self.at, *to, how)

    def somewhere(self) -> tuple[float, float]:
        """Another place of the city, a drive away."""
        city = self.room.core.city
        assert city is not None
        a = city.roads.arrays("car")
        for _ in range(200):
            point = int(self.rng.integers(len(a["point_lon_e7"])))
            to = float(a["point_lon_e7"][point]) / 1e7, float(a["point_lat_e7"][point]) / 1e7
            there, back = self.way(to, "fire_engine"), city.roads.route(*to, *self.at, "fire_engine")
            if there.road and back.road and 1000 < there.distance_m < 4000:
                return to
        raise AssertionError("no place of this city is a drive away")

    def stay(self, seconds: int) -> None:
        for _ in range(0, seconds, 30):
            self.tell(self.at)
            self.room.clock.advance(30)

    def drive(self, to: tuple[float, float], how: str, factor: float) -> None:
        route = self.way(to, how)
        at_s = np.array(route.at_s) * factor * float(np.exp(self.rng.normal(0, 0.05)))
        points = np.array(route.points)
        for second in np.arange(0, at_s[-1], 6):
            place = (float(np.interp(second, at_s, points[:, n])) for n in (0, 1))
            self.tell((next(place), next(place)))
            self.room.clock.advance(6)
        self.at = to
        self.tell(to)

    def tell(self, at: tuple[float, float]) -> None:
        now_us = self.room.clock.now_us()
        told = self.room.core.tracks.accept([Fix(self.unit, *at, now_us)], "radio", now_us)
        assert told.accepted == 1

    def says(self, status: str) -> None:
        answer = self.room.desk("admin").post(f"/units/{self.unit}/status", {"status": status})
        assert answer.status_code == 200, answer.text


def test_a_week_of_work_teaches_speeds_and_turnout(own_room: Room, random: SeededRandom) -> None:
    # given a fire engine of the city that answers calls: it rolls after 40 s, though 60 s are the standard,
    # drives with priority signals in 0.7 of the map's time, and home in 1.4 of it
    room, rng = own_room, np.random.default_rng(random.getrandbits(32))
    city = room.core.city
    assert city is not None
    a = city.roads.arrays("car")
    home = float(a["point_lon_e7"][100]) / 1e7, float(a["point_lat_e7"][100]) / 1e7
    unit = room.unit("ASAS", at=home, turnout_s=60)
    known = room.core.picture.now.unit(unit)
    assert known is not None
    assert known.lights
    crew = Crew(room, unit, home, rng)
    blue = mode(known.profile, True)
    yes = {"answer": "accepted", "name": "plt. Ionescu", "via": "phone"}
    for _ in range(52):
        scene = crew.somewhere()
        case = room.incident("F05", at=scene, priority="P1")
        room.sent(case["id"], unit)
        said = room.ana.post(f"/incidents/{case['id']}/requests/{unit}/answer", yes)
        assert said.status_code == 200, said.text
        room.clock.advance(40)
        crew.says("en_route")
        crew.drive(scene, blue, 0.7)
        crew.says("on_scene")
        crew.stay(300)
        crew.says("returning")
        crew.drive(crew.somewhere(), known.profile, 1.4)
        crew.says("available")
        crew.stay(300)
    room.core.tracks.drain()
    before = room.core.speeds.version
    # when the city learns
    table = speeds.learn(room.core)
    # then both ways of driving are in use, each with its own factor
    held_out = table.about["held_out"]
    assert held_out["ordinary"]["used"], table.about
    assert held_out["ordinary"]["after"]["mean_error_s"] < held_out["ordinary"]["before"]["mean_error_s"]
    assert held_out["priority"]["used"], table.about
    # and the room drives by them within seconds, without a new start
    room.clock.advance(3)
    hour = room.core.speeds.hour()
    slower = room.core.speeds.factors(known.profile, hour)
    assert slower is not None
    assert slower.dtype == np.float32
    assert len(slower) == 2 * len(city.roads.arrays(known.profile)["edge_m"])
    assert 1.2 < float(np.median(slower)) < 1.5
    faster = room.core.speeds.factors(blue, hour)
    assert faster is not None
    assert 0.65 < float(np.median(faster)) < 0.85
    assert room.core.speeds.version == before + 1
    band = room.core.speeds.band(known.profile, hour)
    assert not band.prior
    assert band.high - band.low < np.exp(Z80 * DRIVE_SPREAD) - np.exp(-Z80 * DRIVE_SPREAD)
    # and turnout is what it was, not what it should be
    turnout = room.core.speeds.turnout_s("ASAS", "Nord", hour, 60.0)
    assert turnout.observations == 52
    assert 38 <= turnout.median_s <= 50
    assert turnout.low_s <= turnout.median_s <= turnout.high_s
    # and a closure and these speeds go together: the living map is the slower city
    ways = room.core.living_map.ways()
    assert ways is not None
    free, now = city.roads.ms(known.profile), ways.ms(known.profile)
    is_open = free != IMPASSABLE
    assert float(np.median(now[is_open] / free[is_open])) == pytest.approx(float(np.median(slower)), rel=0.02)


def test_a_city_without_history_says_that_its_figures_are_priors(embedded_room: Room) -> None:
    known = embedded_room.core.speeds
    assert known.factors("ambulance", 8) is None
    band, turnout = known.band("ambulance", 8), known.turnout_s("SV", "Nord", 8)
    assert band.prior
    assert band.observations == 0
    assert turnout.prior
    standard = embedded_room.core.pack.unit_types["SV"].turnout_s
    assert turnout.median_s == standard
    assert turnout.low_s < standard < turnout.high_s


def test_the_band_is_wider_the_less_is_known(embedded_room: Room) -> None:
    def etas(road: bool = True, rolling: bool = True, age_s: float = 5.0) -> speeds.Etas:
        return embedded_room.core.speeds.etas(
            [("SV", "Nord", "car")],
            standard_s=np.array([60.0]),
            drive_s=np.array([300.0]),
            road=np.array([road]),
            rolling=np.array([rolling]),
            fix_age_s=np.array([age_s]),
            hour=8,
        )

    def width(found: speeds.Etas) -> float:
        return float(found.high_s[0] - found.low_s[0])

    fresh = etas()
    assert fresh.eta_s[0] == 300
    assert fresh.low_s[0] < 300 < fresh.high_s[0]
    assert etas(rolling=False).eta_s[0] == 360
    widths = [width(one) for one in (fresh, etas(rolling=False), etas(road=False), etas(age_s=200.0))]
    assert widths[0] < min(widths[1:])
    # no fix at all, and one of three days ago, tell the same: little
    assert width(etas(age_s=float("nan"))) == pytest.approx(width(etas(age_s=3 * 86_400.0)))
    assert width(etas(age_s=float("nan"))) > widths[3]
    # and no figure stays no figure
    # However old the position, nobody is there before its wheels roll
    guess = etas(rolling=False, age_s=np.nan)
    assert 60 <= guess.low_s[0] < etas(rolling=False).low_s[0]
    assert etas(rolling=True, age_s=1e6).low_s[0] >= 0
    no_way = embedded_room.core.speeds.etas(
        [("SV", "Nord", "car")],
        standard_s=np.array([60.0]),
        drive_s=np.array([np.inf]),
        road=np.array([False]),
        rolling=np.array([False]),
        fix_age_s=np.array([1.0]),
        hour=8,
    )
    assert not np.isfinite(no_way.eta_s[0])
    nobody = embedded_room.core.speeds.etas(
        [],
        standard_s=np.empty(0),
        drive_s=np.empty(0),
        road=np.empty(0, dtype=bool),
        rolling=np.empty(0, dtype=bool),
        fix_age_s=np.empty(0),
        hour=8,
    )
    assert len(nobody.eta_s) == 0


def test_a_thousand_units_cost_next_to_nothing(embedded_room: Room) -> None:
    # given a thousand units of forty kinds
    crews = [(f"T{n % 8}", f"S{n % 5}", "ambulance_priority" if n % 2 else "car") for n in range(1000)]
    columns = {
        "standard_s": np.full(1000, 60.0),
        "drive_s": np.linspace(10, 1000, 1000),
        "road": np.ones(1000, dtype=bool),
        "rolling": np.zeros(1000, dtype=bool),
        "fix_age_s": np.linspace(0, 400, 1000),
    }
    fastest = np.inf
    for _ in range(20):
        begun = time.perf_counter()
        found = embedded_room.core.speeds.etas(crews, hour=8, **columns)  # type: ignore[arg-type]
        fastest = min(fastest, time.perf_counter() - begun)
    assert len(found.eta_s) == 1000
    # ten times what it takes on a quiet machine
    assert fastest < 0.003


@pytest.mark.parametrize("content", ["", "{", '{"version": 99}', "[]"])
def test_a_damaged_file_leaves_the_prior_and_says_so(
    open_another: OpenRoom, tmp_path: Path, content: str
) -> None:
    room = open_another()
    city = room.core.city
    assert city is not None
    file = file_of(room.core.config.var / "speeds", city)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    room.clock.advance(3)
    assert room.core.speeds.table is PRIOR
    assert room.core.speeds.trouble is not None
    assert "speeds learn" in room.core.speeds.trouble


def test_what_was_learnt_on_another_map_is_not_used(own_room: Room) -> None:
    # given a table made where ambulances took a minute more for each kilometre
    city = own_room.core.city
    assert city is not None
    table = speeds.learn(own_room.core)
    file = file_of(own_room.core.config.var / "speeds", city)
    raw = json.loads(file.read_text())
    raw["about"]["free_flow_s_per_km"] = {
        "ambulance": speeds.free_flow_s_per_km(city.roads, "ambulance") + 60
    }
    file.write_text(json.dumps(raw))
    own_room.clock.advance(3)
    assert own_room.core.speeds.table is PRIOR
    assert "ambulance" in (own_room.core.speeds.trouble or "")
    # and without any history what is learnt is the prior itself
    assert (table.factor == 1).all()


def test_the_commands_learn_and_show(
    helsinki: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cities").mkdir()
    (tmp_path / "cities" / "helsinki").symlink_to(helsinki)
    config = Config.from_env({"STRAJA_VAR": str(tmp_path)})
    for words in ("speeds show", "speeds learn", "speeds show", "forecast show", "forecast learn"):
        given = cli.parser().parse_args(words.split())
        assert not given.run(config, given)
    told = capsys.readouterr().out
    assert "nothing is learnt yet" in told
    assert "priority: 0 drives" in told
    assert "not in use: too few trips" in told
    assert "not in use: too little history" in told


def test_without_a_city_nothing_can_be_learnt(tmp_path: Path) -> None:
    config = Config.from_env({"STRAJA_VAR": str(tmp_path)})
    for words in ("speeds learn", "forecast learn"):
        given = cli.parser().parse_args(words.split())
        with pytest.raises(cli.Trouble, match="no city"):
            given.run(config, given)


def test_the_graph_of_the_demo_city_keeps_its_times(helsinki: Path) -> None:
    roads = RoadGraph.open(helsinki)
    assert 40 < speeds.free_flow_s_per_km(roads, "car") < 400
