"""History: what is left out of it, and how well what is left tells where a unit was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from app.tables import fix as fix_table
from app.tables import tracks_metadata
from app.tracks import COARSE_M, ERROR_M, STAND_M, Fix, StoredFix, Tracks, essential, open_engine
from gis.geometry import haversine_m, metres_between

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

S = 1_000_000
DAY_S = 86_400
LON, LAT = 24.94, 60.17
Begin = Callable[..., Tracks]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_engine(database)
    tracks_metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def begin(engine: Engine, clock: FakeClock) -> Iterator[Begin]:
    """Begins one more process on the same database; its thread is not started."""
    begun: list[Tracks] = []

    def begin(**settings: Any) -> Tracks:
        begun.append(Tracks(engine, clock, known_unit=lambda unit: True, **settings))
        return begun[-1]

    yield begin
    for tracks in begun:
        tracks.close()


def east(metres: float, north: float = 0.0) -> tuple[float, float]:
    """The point that many metres from where every story begins."""
    degree_m = 111_195.08
    return LON + metres / (degree_m * math.cos(math.radians(LAT))), LAT + north / degree_m


def rows(engine: Engine, unit: str = "F21") -> int:
    with engine.connect() as db:
        of_unit = select(func.count()).select_from(fix_table).where(fix_table.c.unit == unit)
        return int(db.execute(of_unit).scalar_one())


def whole(tracks: Tracks, unit: str = "F21") -> list[StoredFix]:
    """All of a trail, page after page, so that each story also reads it as a program would."""
    found: list[StoredFix] = []
    while True:
        after = (found[-1].observed_us, found[-1].source) if found else None
        page = tracks.trail(unit, 0, 2**62, 97, after=after)
        found += page
        if len(page) < 97:
            return found


def errors_m(told: list[Fix], trail: list[StoredFix]) -> np.ndarray[Any, Any]:
    """How far each reported position lies from the trail read back, at its time."""
    at = [fix.observed_us for fix in told]
    known = [fix.observed_us for fix in trail]
    assert known == sorted(known)
    lon = np.interp(at, known, [fix.lon for fix in trail])
    lat = np.interp(at, known, [fix.lat for fix in trail])
    return haversine_m([fix.lon for fix in told], [fix.lat for fix in told], lon, lat)


def stops(fixes: list[Any], stop_us: int = 60 * S) -> list[tuple[int, int]]:
    """(first, last) time of every stop of a minute or longer: staying within a stand of its first fix."""
    found = []
    first = 0
    for i in range(1, len(fixes) + 1):
        here = fixes[first]
        if i < len(fixes) and metres_between(here.lon, here.lat, fixes[i].lon, fixes[i].lat) <= STAND_M:
            continue
        if fixes[i - 1].observed_us - here.observed_us >= stop_us:
            found.append((here.observed_us, fixes[i - 1].observed_us))
        first = i
    return found


def patrol(random: SeededRandom, from_us: int, seconds: int, unit: str = "F21") -> list[Fix]:
    """A shift: drives at town speeds round corners, waits at lights, stands at the station; 1 fix a second,
    with a receiver that is off by a metre or so."""
    x = y = 0.0
    heading = random.uniform(0, 2 * math.pi)
    speed, until = 0.0, 0
    fixes = []
    for second in range(seconds):
        if second >= until:
            speed = random.choice([0.0, 0.0, 4.0, 9.0, 14.0, 22.0])
            until = second + random.choice([5, 20, 45, 90, 400] if speed == 0 else [10, 30, 60])
            heading += random.choice([0, 0, 0.3, -0.3, math.pi / 2, -math.pi / 2, math.pi])
        x += speed * math.sin(heading)
        y += speed * math.cos(heading)
        lon, lat = east(x + random.gauss(0, 0.6), y + random.gauss(0, 0.6))
        fixes.append(Fix(unit, lon, lat, from_us + second * S, speed, None, 4.0))
    return fixes


# ---- a unit that stands still


def test_a_parked_unit_takes_a_row_a_minute_and_its_stop_is_told_to_the_second(
    begin: Begin, engine: Engine, clock: FakeClock
) -> None:
    """Given an engine that drives to a fire, stands there for an hour reporting every second, and drives
    home, then the hour takes some sixty rows, and when it came and when it left is known exactly."""
    tracks = begin()
    came_us = clock.now_us()
    for second in range(3600):
        here = east(math.sin(second) * 2, math.cos(second) * 2)
        tracks.accept([Fix("F21", *here, clock.now_us())], "avl", clock.now_us())
        clock.advance(1)
        if second % 60 == 0:
            tracks.step()
    left_us = clock.now_us() - S
    tracks.accept([Fix("F21", *east(40), clock.now_us())], "avl", clock.now_us())
    tracks.step()
    assert 60 <= rows(engine) <= 64
    assert stops(whole(tracks)) == [(came_us, left_us)]


def test_a_trail_ends_where_the_unit_is_now_though_it_stands_still(begin: Begin, clock: FakeClock) -> None:
    tracks = begin()
    began_us = clock.now_us()
    for _ in range(30):
        tracks.accept([Fix("F21", LON, LAT, clock.now_us())], "avl", clock.now_us())
        clock.advance(1)
    tracks.step()
    assert [fix.observed_us for fix in whole(tracks)] == [began_us, began_us + 29 * S]


def test_a_stop_survives_a_restart_in_its_middle(begin: Begin, engine: Engine, clock: FakeClock) -> None:
    before = begin()
    came_us = clock.now_us()
    for _ in range(20):
        before.accept([Fix("F21", LON, LAT, clock.now_us())], "avl", clock.now_us())
        clock.advance(1)
    before.step()
    # Given a process killed while the unit stood, when another is told that it drives on
    last_us = clock.now_us() - S
    clock.advance(600)
    after = begin()
    after.step()
    after.accept([Fix("F21", *east(100), clock.now_us())], "avl", clock.now_us())
    after.step()
    # Then the last moment of the stop that anybody heard of is in the history
    assert [fix.observed_us for fix in whole(after)] == [came_us, last_us, clock.now_us()]


def test_a_batch_of_a_stop_that_is_sent_again_adds_no_row(
    begin: Begin, engine: Engine, clock: FakeClock
) -> None:
    tracks = begin()
    now = clock.now_us()
    batch = [Fix("F21", LON, LAT, now + i * S) for i in range(5)]
    for _ in range(3):
        tracks.accept(batch, "avl", now + 5 * S)
        tracks.step()
    assert rows(engine) == 1


def test_a_phone_beside_a_tracker_does_not_hide_either(begin: Begin, clock: FakeClock) -> None:
    tracks = begin()
    told = []
    for second in range(40):
        source = "avl" if second % 2 else "phone"
        fix = Fix("F21", *east(second % 2 * 30), clock.now_us())
        told.append(fix)
        tracks.accept([fix], source, clock.now_us())
        clock.advance(1)
    tracks.step()
    assert errors_m(told, whole(tracks)).max() < 0.1


# ---- how well history tells where a unit was


def test_whatever_a_unit_drives_history_tells_where_it_was_within_the_stated_error(
    begin: Begin, engine: Engine, clock: FakeClock, random: SeededRandom
) -> None:
    tracks = begin()
    told = patrol(random, clock.now_us(), 3000)
    clock.advance(3000)
    i = 0
    while i < len(told):
        size = random.choice([1, 1, 3, 10, 40])
        tracks.accept(told[i : i + size], "avl", clock.now_us())
        i += size
        if random.random() < 0.1:
            tracks.step()
    tracks.step()
    trail = whole(tracks)
    assert errors_m(told, trail).max() <= ERROR_M
    # What is known of stops is exact: the same ones, from the same second to the same second
    assert set(stops(told)) <= {(a, b) for a, b in stops(trail)} | {(told[0].observed_us, 0)}
    assert rows(engine) < len(told)


def test_a_late_fix_from_far_away_does_not_carry_what_was_left_out_with_it(
    begin: Begin, clock: FakeClock
) -> None:
    """Given a radio that tells every 5 s that its unit stands, when a phone then delivers a fix from the
    middle of it, 550 m away, then no report of the radio lies off the trail; nor does one that comes later
    still, for a moment beside that fix."""
    tracks = begin()
    began_us = clock.now_us()
    radio = [Fix("F21", *east(i % 3), began_us + i * 5 * S) for i in range(12) if i != 6]
    clock.advance(60)
    for fix in radio:
        tracks.accept([fix], "radio", clock.now_us())
    phone = Fix("F21", *east(550), began_us + 27 * S)
    assert tracks.accept([phone], "phone", clock.now_us()).late == 1
    tracks.step()
    trail = whole(tracks)
    assert [(fix.observed_us - began_us) // S for fix in trail] == [0, 25, 27, 35, 55]
    assert errors_m([*radio, phone], trail).max() <= ERROR_M
    later = Fix("F21", *east(2), began_us + 30 * S)
    tracks.accept([later], "radio", clock.now_us())
    tracks.step()
    assert errors_m([*radio, phone, later], whole(tracks)).max() <= ERROR_M


def test_late_fixes_of_a_phone_and_of_the_radio_itself_keep_history_within_the_stated_error(
    begin: Begin, engine: Engine, clock: FakeClock, random: SeededRandom
) -> None:
    """Given a shift whose radio now and then delivers a fix late, beside a phone that is always late and now
    and then half a kilometre off, both within what a process remembers."""
    tracks = begin()
    shift = patrol(random, clock.now_us(), 2000)
    clock.advance(2000)
    delayed: list[tuple[int, Fix, str]] = []
    told = list(shift)
    for i, fix in enumerate(shift):
        if random.random() < 0.05:
            delayed.append((i + random.choice([1, 3, 8, 20]), fix, "radio"))
        else:
            tracks.accept([fix], "radio", clock.now_us())
        if random.random() < 0.03:
            off_m = random.choice([0, 3, 60, 550])
            lon, lat = east(off_m)
            late = fix._replace(lon=fix.lon + lon - LON, lat=lat - LAT + fix.lat)
            late = late._replace(observed_us=fix.observed_us + S // 2)
            told.append(late)
            delayed.append((i + random.choice([2, 5, 10, 20]), late, "phone"))
        for one in [one for one in delayed if one[0] <= i]:
            delayed.remove(one)
            tracks.accept([one[1]], one[2], clock.now_us())
        if random.random() < 0.1:
            tracks.step()
    for _, fix, source in delayed:
        tracks.accept([fix], source, clock.now_us())
    tracks.step()
    told.sort(key=lambda fix: fix.observed_us)
    assert errors_m(told, whole(tracks)).max() <= ERROR_M
    assert rows(engine) < len(told)


def test_after_a_day_history_is_reduced_within_the_stated_error_and_stops_stay_exact(
    begin: Begin, engine: Engine, clock: FakeClock, random: SeededRandom
) -> None:
    tracks = begin()
    told = patrol(random, clock.now_us(), 6000)
    clock.advance(6000)
    for i in range(0, len(told), 500):
        tracks.accept(told[i : i + 500], "avl", clock.now_us())
    tracks.step()
    written = whole(tracks)
    # Given a history of less than a day, then nothing is taken from it
    clock.advance(DAY_S - 6000 - 60)
    tracks.tend()
    assert whole(tracks) == written
    # When it has become older than a day
    clock.advance(6000 + 3600 + 120)
    for _ in range(10):
        tracks.tend()
    trail = whole(tracks)
    assert len(trail) < len(written) / 3
    assert set(trail) <= set(written), "thinning takes away, and changes nothing"
    assert errors_m(told, trail).max() <= ERROR_M + COARSE_M
    kept = {fix.observed_us for fix in trail}
    for first_us, last_us in stops(written):
        assert {first_us, last_us} <= kept
    # And doing it again takes nothing more
    clock.advance(3 * 3600)
    for _ in range(3):
        tracks.tend()
    assert whole(tracks) == trail


def test_the_way_of_a_unit_on_an_incident_is_not_thinned_out(
    begin: Begin, engine: Engine, clock: FakeClock
) -> None:
    out = {"F21"}
    tracks = begin(on_incident=lambda unit: unit in out)
    for unit in ("F21", "F22"):
        fixes = [Fix(unit, *east(i * 14.0), clock.now_us() + i * S) for i in range(600)]
        tracks.accept(fixes, "avl", clock.now_us() + 600 * S)
    tracks.step()
    clock.advance(DAY_S + 2 * 3600)
    for _ in range(5):
        tracks.tend()
    assert (rows(engine, "F21"), rows(engine, "F22")) == (600, 2)


def test_however_much_there_is_to_thin_out_one_step_does_a_little(
    begin: Begin, engine: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a fleet's day that became old at once, as after a week without a keeper, then each step takes a
    bounded piece, and in the end all of it is done."""
    monkeypatch.setattr("app.tracks._THIN_UNITS_MAX", 2)
    monkeypatch.setattr("app.tracks._THIN_ROWS_MAX", 100)
    tracks = begin()
    units = [f"U{n}" for n in range(5)]
    for unit in units:
        fixes = [Fix(unit, *east(i * 14.0), clock.now_us() + i * S) for i in range(250)]
        tracks.accept(fixes, "avl", clock.now_us() + 600 * S)
    tracks.step()
    clock.advance(DAY_S + 2 * 3600)
    left = [sum(rows(engine, unit) for unit in units)]
    while left[-1] > 5 * 4:
        tracks.tend()
        left.append(sum(rows(engine, unit) for unit in units))
        assert left[-2] - left[-1] <= 2 * 100
        assert len(left) < 30, left
    for unit in units:
        assert len(whole(tracks, unit)) == rows(engine, unit)


def test_what_is_written_while_history_is_tended_is_neither_lost_nor_thinned(
    begin: Begin, clock: FakeClock
) -> None:
    web, keeper = begin(), begin()
    old = [Fix("F21", *east(i * 14.0), clock.now_us() + i * S) for i in range(100)]
    web.accept(old, "avl", clock.now_us() + 100 * S)
    web.step()
    clock.advance(DAY_S + 2 * 3600)
    new = [Fix("F21", *east(i * 14.0, 500), clock.now_us() + i * S - 100 * S) for i in range(100)]
    web.accept(new[:50], "avl", clock.now_us())
    keeper.tend()
    web.step()
    web.accept(new[50:], "avl", clock.now_us())
    keeper.tend()
    web.step()
    kept = [fix.observed_us for fix in whole(web)]
    assert kept == [old[0].observed_us, old[-1].observed_us, *(fix.observed_us for fix in new)]


@pytest.mark.parametrize("turn", [0.0, 0.5, 1.0])
def test_the_reduction_keeps_what_a_straight_line_cannot_tell(turn: float, random: SeededRandom) -> None:
    """By property: whatever the path, every fix left out lies within the tolerance of the line in time."""
    n = 400
    heading = np.cumsum([random.gauss(0, turn) for _ in range(n)])
    speed = np.array([random.choice([0.0, 5.0, 15.0]) for _ in range(n)])
    lon = LON + np.cumsum(speed * np.sin(heading)) / 55_000
    lat = LAT + np.cumsum(speed * np.cos(heading)) / 111_195
    at = np.cumsum([random.choice([0, 1, 1, 1, 7]) for _ in range(n)]) * S
    marked = np.array([random.random() < 0.02 for _ in range(n)])
    stays = essential(at, lon, lat, marked)
    assert stays[0]
    assert stays[-1]
    assert np.all(stays[marked])
    same = np.diff(at[stays]) == 0
    if not same.any():
        off = haversine_m(
            lon, lat, np.interp(at, at[stays], lon[stays]), np.interp(at, at[stays], lat[stays])
        )
        assert off.max() <= COARSE_M * 1.01


def test_the_reduction_of_a_line_across_the_date_line_is_a_line() -> None:
    lon = (179.99 + np.arange(50) * 1e-3 + 180) % 360 - 180
    stays = essential(np.arange(50) * S, lon, np.zeros(50), np.zeros(50, dtype=bool))
    assert np.flatnonzero(stays).tolist() == [0, 49]


def test_a_file_that_was_large_becomes_small_again(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given weeks of history dropped at once, then the file on the embedded database shrinks, little by
    little, instead of staying at its greatest size for good."""
    monkeypatch.setattr("app.tracks._FREE_PAGES", 100)
    monkeypatch.setattr("app.tracks._VACUUM_PAGES", 50)
    engine = open_engine(f"sqlite:///{tmp_path / 'tracks.sqlite'}")
    tracks_metadata.create_all(engine)
    tracks = Tracks(engine, clock, known_unit=lambda unit: True, history_days=2)
    for n in range(60):
        fixes = [Fix(f"U{n}", *east(i * 20.0), clock.now_us() + i * S) for i in range(1000)]
        tracks.accept(fixes, "avl", clock.now_us() + 1000 * S)
        tracks.step()

    def pages() -> int:
        with engine.connect() as db:
            return int(db.exec_driver_sql("PRAGMA page_count").scalar_one())

    largest = pages()
    clock.advance(3 * DAY_S)
    sizes = [largest]
    for _ in range(60):
        tracks.tend()
        sizes.append(pages())
        # The pages asked for, and now and then one that told where they belonged
        assert sizes[-2] - sizes[-1] <= 52
        clock.advance(1)
    assert sizes[-1] < largest / 2
    tracks.close()
    engine.dispose()
