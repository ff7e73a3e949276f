"""Positions: what is taken, what is refused, and what survives."""

from __future__ import annotations

import math
import signal
import struct
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, func, select

from app.tables import fix as fix_table
from app.tables import last_fix, tracks_metadata
from app.tracks import Fix, Fixes, Tracks, open_engine
from app.up import wait_until

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

ROOT = Path(__file__).parents[2]
S = 1_000_000
"""One second, in microseconds."""
UNITS = ("F21", "F22", "A7")
Process = Callable[..., Tracks]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_engine(database)
    tracks_metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def process(engine: Engine, clock: FakeClock) -> Iterator[Process]:
    """Begins one more process on the same database; its thread is not started."""
    begun: list[Tracks] = []

    def begin(**settings: Any) -> Tracks:
        begun.append(Tracks(engine, clock, known_unit=UNITS.__contains__, **settings))
        return begun[-1]

    yield begin
    for tracks in begun:
        tracks.close()


@pytest.fixture
def tracks(process: Process) -> Tracks:
    return process()


@pytest.fixture
def now(clock: FakeClock) -> int:
    return clock.now_us()


def at(observed_us: int, unit: str = "F21", lon: float = 24.94, lat: float = 60.17, **more: Any) -> Fix:
    return Fix(unit, lon, lat, observed_us, **more)


def trouble(tracks: Tracks) -> str | None:
    return tracks.trouble


def written(engine: Engine) -> int:
    """How many fixes lie in the history."""
    with engine.connect() as db:
        return int(db.execute(select(func.count()).select_from(fix_table)).scalar_one())


def history(tracks: Tracks, unit: str = "F21") -> list[tuple[int, float]]:
    return [(kept.observed_us, kept.lon) for kept in tracks.trail(unit, 0, 2**62, limit=10_000)]


# ---- what is taken


def test_a_fix_moves_its_unit_at_once_and_is_in_the_history_after_the_next_write(
    tracks: Tracks, now: int
) -> None:
    fix = at(now - 2 * S, speed_mps=13.9, heading_deg=270, accuracy_m=4)
    receipt = tracks.accept([fix], "avl", now)
    assert (receipt.accepted, receipt.late, receipt.duplicates, receipt.refused) == (1, 0, 0, [])
    last = tracks.last("F21")
    assert last == ("F21", 24.94, 60.17, now - 2 * S, now, 13.9, 270.0, 4.0, "avl")
    assert tracks.trail("F21", 0, now) == []
    assert tracks.drain()
    assert tracks.trail("F21", 0, now) == [last]


def test_a_fix_that_comes_late_is_kept_but_the_unit_does_not_jump_back(tracks: Tracks, now: int) -> None:
    tracks.accept([at(now, lon=24.95)], "avl", now)
    receipt = tracks.accept([at(now - 30 * S, lon=24.90)], "avl", now)
    assert (receipt.accepted, receipt.late) == (1, 1)
    tracks.step()
    last = tracks.last("F21")
    assert last is not None
    assert last.lon == 24.95
    assert history(tracks) == [(now - 30 * S, 24.90), (now, 24.95)]


def test_a_batch_sent_again_after_a_broken_line_changes_nothing(tracks: Tracks, now: int) -> None:
    batch = [at(now - i * S, lon=24.9 + i / 100) for i in (3, 2, 1)]
    tracks.accept(batch, "avl", now)
    tracks.step()
    before = history(tracks)
    again = tracks.accept(batch, "avl", now + S)
    tracks.step()
    assert (again.accepted, again.refused) == (3, [])
    assert again.duplicates == 1
    assert history(tracks) == before


def test_of_two_sources_the_newest_wins_and_at_the_same_instant_the_more_accurate(
    tracks: Tracks, process: Process, now: int
) -> None:
    tracks.accept([at(now, lon=24.90, accuracy_m=25)], "phone", now)
    tracks.accept([at(now, lon=24.91)], "radio", now)
    tracks.accept([at(now, lon=24.92, accuracy_m=3)], "avl", now)
    tracks.accept([at(now, lon=24.93, accuracy_m=30)], "phone", now)
    tracks.accept([at(now - S, lon=24.94, accuracy_m=1)], "avl", now)
    tracks.step()
    elsewhere = process()
    elsewhere.step()
    for seen in (tracks.last("F21"), elsewhere.last("F21")):
        assert seen is not None
        assert (seen.lon, seen.source, seen.accuracy_m) == (24.92, "avl", 3.0)


def test_a_position_outside_the_city_is_a_position(tracks: Tracks, now: int) -> None:
    assert tracks.accept([at(now, lon=26.1, lat=44.43)], "avl", now).refused == []


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"speed_mps": -1.0}, (None, None, None)),
        ({"speed_mps": math.nan, "heading_deg": 90.0}, (None, 90.0, None)),
        ({"heading_deg": 360.0}, (None, 0.0, None)),
        ({"heading_deg": -90.0}, (None, 270.0, None)),
        ({"heading_deg": math.inf, "accuracy_m": 5.0}, (None, None, 5.0)),
        ({"accuracy_m": -5.0}, (None, None, None)),
    ],
)
def test_an_impossible_speed_or_heading_does_not_cost_the_position(
    tracks: Tracks, now: int, more: dict[str, Any], kept: tuple[float | None, ...]
) -> None:
    assert tracks.accept([at(now, **more)], "avl", now).refused == []
    last = tracks.last("F21")
    assert last is not None
    assert (last.speed_mps, last.heading_deg, last.accuracy_m) == kept


# ---- what is refused


def test_each_bad_row_is_refused_by_its_own_name_and_the_others_are_taken(tracks: Tracks, now: int) -> None:
    batch = [
        at(now),
        at(now, unit="X99"),
        at(now, unit="F22", lon=math.nan),
        at(now, unit="F22", lat=90.5),
        at(now, unit="F22", lon=-math.inf),
        at(now, unit="F22", lon=0, lat=0),
        at(now + 5 * S + 1, unit="F22"),
        at(now - 7 * 86_400 * S - 1, unit="F22"),
        at(10**30, unit="F22"),
        at(-(10**30), unit="F22"),
        at(now + 5 * S, unit="A7"),
    ]
    receipt = tracks.accept(batch, "avl", now)
    assert receipt.accepted == 2
    assert [(refusal.index, refusal.unit, refusal.code) for refusal in receipt.refused] == [
        (1, "X99", "unknown-unit"),
        (2, "F22", "bad-coordinates"),
        (3, "F22", "bad-coordinates"),
        (4, "F22", "bad-coordinates"),
        (5, "F22", "bad-coordinates"),
        (6, "F22", "future"),
        (7, "F22", "too-old"),
        (8, "F22", "future"),
        (9, "F22", "too-old"),
    ]
    assert tracks.last("F22") is None
    tracks.step()
    assert history(tracks, "F22") == []


def test_a_refused_future_fix_shows_both_clocks(tracks: Tracks, now: int) -> None:
    (refusal,) = tracks.accept([at(now + 60 * S)], "avl", now).refused
    assert "2026-11-23T03:01:00.000Z" in refusal.detail
    assert "2026-11-23T03:00:00.000Z" in refusal.detail


def test_a_last_fix_from_a_day_when_our_clock_was_wrong_does_not_freeze_the_unit(
    process: Process, clock: FakeClock
) -> None:
    """Given a clock a month ahead and a fix taken under it, when the clock is set right, then the next
    true fix moves the unit, here and in every other process."""
    here, elsewhere = process(), process()
    month_s = 30 * 86_400
    clock.jump(month_s)
    here.accept([at(clock.now_us(), lon=24.90)], "avl", clock.now_us())
    here.step()
    elsewhere.step()
    clock.jump(-month_s)
    here.accept([at(clock.now_us(), lon=24.95)], "avl", clock.now_us())
    here.step()
    elsewhere.step()
    restarted = process()
    restarted.step()
    for tracks in (here, elsewhere, restarted):
        last = tracks.last("F21")
        assert last is not None
        assert (last.lon, last.observed_us) == (24.95, clock.now_us())


# ---- several processes, and the next day


def test_every_process_sees_what_the_others_were_told(process: Process, now: int) -> None:
    one, two = process(), process()
    one.accept([at(now, lon=24.90), at(now, unit="A7", lon=24.80)], "avl", now)
    two.accept([at(now + S, lon=24.91), at(now, unit="F22", lon=24.70)], "avl", now + S)
    for tracks in (one, two, one):
        assert tracks.step()
    for tracks in (one, two):
        seen = {unit: kept.lon for unit in UNITS if (kept := tracks.last(unit))}
        assert seen == {"F21": 24.91, "F22": 24.70, "A7": 24.80}


def test_an_older_fix_from_another_process_does_not_replace_a_newer_one(process: Process, now: int) -> None:
    one, two = process(), process()
    two.accept([at(now + S, lon=24.91)], "avl", now + S)
    two.step()
    one.accept([at(now, lon=24.90)], "phone", now + S)
    one.step()
    two.step()
    restarted = process()
    restarted.step()
    for tracks in (one, two, restarted):
        last = tracks.last("F21")
        assert last is not None
        assert last.lon == 24.91


def test_whatever_the_processes_are_told_and_whenever_they_write_they_end_up_alike(
    process: Process, random: SeededRandom, clock: FakeClock
) -> None:
    """Given three processes that hear fixes in any order and write at any moment, when all have written
    and read, then all hold the newest fix of every unit, and so does the database."""
    processes = [process() for _ in range(3)]
    told: dict[str, list[tuple[int, float]]] = {}
    lon = 20.0
    for _ in range(150):
        if random.random() < 0.3:
            random.choice(processes).step()
            clock.advance(random.random())
        unit = random.choice(UNITS)
        lon += 0.001
        observed_us = clock.now_us() - random.randrange(5 * S)
        random.choice(processes).accept([at(observed_us, unit, lon)], "avl", clock.now_us())
        told.setdefault(unit, []).append((observed_us, round(lon, 6)))
    for tracks in processes * 2:
        assert tracks.step()
    fresh = process()
    fresh.step()
    for tracks in [*processes, fresh]:
        for unit, fixes in told.items():
            last = tracks.last(unit)
            assert last is not None
            assert (last.observed_us, round(last.lon, 6)) == max(fixes)
    for unit, fixes in told.items():
        assert [(us, round(x, 6)) for us, x in history(fresh, unit)] == sorted(fixes)


def test_two_processes_that_write_at_once_take_turns(
    database: str, engine: Engine, process: Process, clock: FakeClock, now: int
) -> None:
    """Given one process about to commit, when another comes to write, then it waits for its turn: two
    changes under one rev would let a follower miss the second."""
    at_commit, may_commit, at_the_door = threading.Event(), threading.Event(), threading.Event()
    second_engine = open_engine(database)

    @event.listens_for(engine, "commit")
    def hold(_: Any) -> None:
        at_commit.set()
        assert may_commit.wait(timeout=20)

    @event.listens_for(second_engine, "before_cursor_execute")
    def arrive(db: Any, _cursor: Any, statement: str, *_: Any) -> None:
        takes_turn = "advisory" if db.dialect.name == "postgresql" else "UPDATE"
        if takes_turn in statement or statement.startswith("INSERT"):
            at_the_door.set()

    one, two = process(), Tracks(second_engine, clock, known_unit=UNITS.__contains__)
    one.accept([at(now)], "avl", now)
    two.accept([at(now, unit="F22")], "avl", now)
    first = threading.Thread(target=one.step)
    second = threading.Thread(target=two.step)
    first.start()
    assert at_commit.wait(timeout=20)
    second.start()
    assert at_the_door.wait(timeout=20)
    may_commit.set()
    first.join()
    second.join()
    with second_engine.connect() as db:
        revs = {row.unit: row.rev for row in db.execute(select(last_fix.c.unit, last_fix.c.rev))}
    two.close()
    assert revs == {"F21": 1, "F22": 2}


def test_no_process_that_follows_misses_a_change_while_others_write(
    process: Process, engine: Engine, now: int
) -> None:
    """Given two real writers at once, then a follower that asks "after rev n" all the time has seen, in
    the end, what the database holds."""
    writers, follower = [process(), process()], process()
    done = threading.Event()
    failures: list[str] = []

    def write(tracks: Tracks, unit: str) -> None:
        for i in range(60):
            tracks.accept([at(now + i, unit, lon=24 + i / 1000)], "avl", now)
            if not tracks.step():
                failures.append(str(tracks.trouble))

    def follow() -> None:
        while not done.is_set():
            follower.step()

    threads = [
        threading.Thread(target=write, args=(writers[0], "F21")),
        threading.Thread(target=write, args=(writers[1], "F22")),
    ]
    following = threading.Thread(target=follow)
    following.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    following.join()
    assert all(tracks.drain() for tracks in writers)
    follower.step()
    for unit in ("F21", "F22"):
        last = follower.last(unit)
        assert last is not None
        assert last.observed_us == now + 59
    with engine.connect() as db:
        revs = db.execute(select(last_fix.c.rev)).scalars().all()
    assert len(set(revs)) == len(revs)


def test_four_processes_at_full_speed_end_up_alike_and_no_follower_misses_a_unit(
    database: str, engine: Engine, clock: FakeClock, random: SeededRandom
) -> None:
    """Given four processes, each with a thread and connections of its own, that hear fixes of the same units
    at the same time, when all is written, then each has heard of the best fix of every unit, its consoles
    were told of each change at least once, and no number of a change was given twice."""
    units = [f"U{n}" for n in range(12)]
    engines = [open_engine(database) for _ in range(4)]
    processes = [Tracks(one, clock, known_unit=units.__contains__, flush_interval_s=0.005) for one in engines]
    stories: list[list[Fix]] = [
        [
            at(clock.now_us() - random.randrange(60) * S, random.choice(units), random.uniform(20, 30))
            for _ in range(80)
        ]
        for _ in processes
    ]
    told = [fix for story in stories for fix in story]
    newest = {unit: max(fix.observed_us for fix in told if fix.unit == unit) for unit in units}
    drawn: list[dict[str, int]] = [{} for _ in processes]
    done = threading.Event()

    def report(tracks: Tracks, story: list[Fix]) -> None:
        for fix in story:
            assert tracks.accept([fix], "avl", clock.now_us()).refused == []

    def draw(tracks: Tracks, board: dict[str, int]) -> None:
        """As a console: asks for what moved since the last time."""
        tick = 0
        last_round = False
        while not last_round:
            last_round = done.is_set()
            tick, moved = tracks.changed_since(tick)
            fixes = tracks.arrays()
            for n in moved:
                board[fixes.units[n]] = int(fixes.observed_us[n])

    for tracks in processes:
        tracks.start()
    threads = [threading.Thread(target=report, args=pair) for pair in zip(processes, stories, strict=True)]
    consoles = [threading.Thread(target=draw, args=pair) for pair in zip(processes, drawn, strict=True)]
    for thread in [*threads, *consoles]:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(tracks.drain() for tracks in processes)
    for tracks in processes:
        assert wait_until(
            lambda: all((last := tracks.last(u)) and last.observed_us == newest[u] for u in units),  # noqa: B023
            10,
        )
    done.set()
    for console in consoles:
        console.join()
    assert drawn == [newest] * 4
    with engine.connect() as db:
        revs = db.execute(select(last_fix.c.rev)).scalars().all()
    assert len(set(revs)) == len(revs) == len(units)
    assert all(tracks.close() for tracks in processes)
    for one in engines:
        one.dispose()


def test_after_a_restart_the_last_fixes_are_there_before_the_first_request(
    process: Process, now: int
) -> None:
    before = process()
    before.accept([at(now, accuracy_m=4), at(now, unit="A7")], "avl", now)
    assert before.close()
    after = process()
    after.start()
    last = after.last("F21")
    assert last is not None
    assert (last.lon, last.accuracy_m, last.speed_mps) == (24.94, 4.0, None)


def test_without_history_only_the_last_fix_is_kept(process: Process, engine: Engine, now: int) -> None:
    tracks = process(history=False)
    tracks.accept([at(now), at(now - S)], "avl", now)
    tracks.accept([at(now + S)], "avl", now + S)
    assert tracks.drain()
    assert written(engine) == 0
    last = tracks.last("F21")
    assert last is not None
    assert last.observed_us == now + S


def test_history_older_than_its_term_is_dropped(process: Process, clock: FakeClock) -> None:
    tracks = process(history_days=1)
    tracks.accept([at(clock.now_us())], "avl", clock.now_us())
    tracks.step()
    clock.advance(43_200)
    kept_us = clock.now_us()
    tracks.accept([at(kept_us, lon=25)], "avl", kept_us)
    tracks.step()
    tracks.tend()
    assert len(history(tracks)) == 2
    clock.advance(43_201)
    tracks.tend()
    assert [observed_us for observed_us, _ in history(tracks)] == [kept_us]


def test_a_trail_gives_the_fixes_of_a_span_in_order_and_goes_on_where_it_ended(
    tracks: Tracks, now: int
) -> None:
    tracks.accept([at(now - i * S, lon=24 + i / 100) for i in range(10)], "avl", now)
    tracks.step()
    first = tracks.trail("F21", now - 8 * S, now - 2 * S, limit=4)
    assert [kept.observed_us for kept in first] == [now - i * S for i in (8, 7, 6, 5)]
    after = (first[-1].observed_us, first[-1].source)
    rest = tracks.trail("F21", now - 8 * S, now - 2 * S, limit=4, after=after)
    assert [kept.observed_us for kept in rest] == [now - i * S for i in (4, 3, 2)]
    assert tracks.trail("F21", now - 8 * S, now, limit=4, after=(now, "avl")) == []


# ---- the thread, and trouble


def test_the_thread_writes_by_itself(process: Process, now: int, engine: Engine) -> None:
    committed = threading.Event()
    event.listen(engine, "commit", lambda connection: committed.set())
    tracks = process(flush_interval_s=0.01)
    tracks.start()
    tracks.accept([at(now)], "avl", now)
    assert tracks.drain()
    assert committed.is_set()
    assert tracks.pending == 0
    assert len(history(tracks)) == 1


def test_a_graceful_stop_writes_what_is_pending(process: Process, now: int) -> None:
    tracks = process(flush_interval_s=3600)
    tracks.start()
    tracks.accept([at(now)], "avl", now)
    assert tracks.close()
    assert len(history(tracks)) == 1


def test_how_long_the_oldest_fix_waits_is_told(tracks: Tracks, clock: FakeClock) -> None:
    assert tracks.lag_s() == 0
    tracks.accept([at(clock.now_us())], "avl", clock.now_us())
    clock.advance(0.5)
    tracks.accept([at(clock.now_us())], "avl", clock.now_us())
    clock.advance(0.25)
    assert tracks.lag_s() == pytest.approx(0.75)
    assert trouble(tracks) is None
    clock.advance(1)
    assert trouble(tracks) == "Positions are saved 1.8 s late; 2 wait in memory."
    tracks.step()
    assert tracks.lag_s() == 0
    assert trouble(tracks) is None


def test_on_a_full_disk_nothing_accepted_is_lost_and_everybody_is_told(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Given a tracks file that cannot grow, when fixes come in, then they wait in memory and /healthz can
    say why; when the memory is full too, the sender is told to come again; when there is room, all that
    was accepted is on disk."""
    engine = open_engine(f"sqlite:///{tmp_path / 'tracks.db'}")
    tracks_metadata.create_all(engine)
    pages_max = [12]
    event.listen(engine, "connect", lambda dbapi, _: dbapi.execute(f"PRAGMA max_page_count={pages_max[0]}"))
    tracks = Tracks(engine, clock, known_unit=UNITS.__contains__, pending_max=1000)
    accepted: list[int] = []
    while trouble(tracks) is None:
        now = clock.now_us()
        assert tracks.accept([at(now, lon=24 + len(accepted) / 1000)], "avl", now).refused == []
        accepted.append(now)
        clock.advance(0.25)
        tracks.step()
        assert len(accepted) < 1000, "the disk never filled"
    assert trouble(tracks) == "The database of positions fails (database or disk is full); 1 wait in memory."
    last = tracks.last("F21")
    assert last is not None
    assert last.observed_us == accepted[-1]

    now = clock.now_us()
    batch = [at(now + i, lon=20 + i / 1000) for i in range(1001)]
    receipt = tracks.accept(batch, "avl", now)
    assert receipt.accepted == 999
    assert {(refusal.index, refusal.code) for refusal in receipt.refused} == {
        (999, "overloaded"),
        (1000, "overloaded"),
    }
    assert receipt.refused[0].detail == "1000 positions wait to be saved: database or disk is full"
    last = tracks.last("F21")
    assert last is not None
    assert last.observed_us == now + 998, "a refused fix moves nothing"
    assert not tracks.drain()

    pages_max[0] = 10_000
    assert tracks.drain()
    assert trouble(tracks) is None
    assert [us for us, _ in history(tracks)] == accepted + [now + i for i in range(999)]
    assert tracks.close()
    engine.dispose()


def test_when_the_database_goes_away_the_thread_goes_on_and_writes_when_it_is_back(
    database: str, tmp_path: Path, now: int, clock: FakeClock
) -> None:
    engine = open_engine(database)
    tracks_metadata.create_all(engine)
    gone = True
    asked = threading.Semaphore(0)

    @event.listens_for(engine, "do_connect")
    def refuse(*_: Any) -> None:
        if gone:
            asked.release()
            raise OSError("connection refused")

    tracks = Tracks(engine, clock, known_unit=UNITS.__contains__, flush_interval_s=0.01)
    gone = False
    tracks.start()
    gone = True
    tracks.accept([at(now)], "avl", now)
    for _ in range(3):
        assert asked.acquire(timeout=20)
    assert trouble(tracks) == "The database of positions fails (connection refused); 1 wait in memory."
    gone = False
    assert tracks.drain(timeout_s=20)
    assert trouble(tracks) is None
    assert len(history(tracks)) == 1
    tracks.close()
    engine.dispose()


REPORTER = """
import sys
import time
from sqlalchemy import create_engine
from app.ports import SystemClock
from app.tables import tracks_metadata
from app.tracks import Fix, Tracks, open_engine

engine = open_engine(sys.argv[1])
tracks_metadata.create_all(engine)
clock = SystemClock()
tracks = Tracks(engine, clock, known_unit=lambda unit: True)
tracks.start()
lon = 0.0
while sys.stdin.readline():
    now = clock.now_us()
    lon += 0.001
    fixes = [Fix(unit, lon, 60.17, now) for unit in ("F21", "F22", "A7")]
    assert tracks.accept(fixes, "avl", now).refused == []
    print(now, clock.monotonic_s(), flush=True)
    time.sleep(0.001)  # some 2,000 fixes a second in all
"""


@pytest.mark.parametrize("gevent", [False, True], ids=["plain", "gevent"])
def test_a_process_killed_without_warning_loses_at_most_the_last_second(
    database: str, gevent: bool, random: SeededRandom
) -> None:
    """Given a process that acknowledges 2,000 fixes a second, when it is killed with SIGKILL at any moment,
    then every fix acknowledged more than a second before is on disk."""
    patch = "from gevent import monkey; monkey.patch_all()\n" if gevent else ""
    reporter = subprocess.Popen(
        [sys.executable, "-c", patch + REPORTER, database],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reporter.stdin is not None
    assert reporter.stdout is not None
    acknowledged: list[tuple[int, float]] = []
    run_s = 1.5 + random.random()
    while not acknowledged or acknowledged[-1][1] - acknowledged[0][1] < run_s:
        reporter.stdin.write("\n")
        reporter.stdin.flush()
        observed_us, monotonic_s = reporter.stdout.readline().split()
        acknowledged.append((int(observed_us), float(monotonic_s)))
    reporter.send_signal(signal.SIGKILL)
    assert reporter.wait(timeout=20) == -signal.SIGKILL
    reporter.stdin.close()
    reporter.stdout.close()
    killed_s = acknowledged[-1][1]
    engine = open_engine(database)
    with engine.connect() as db:
        of_unit = select(fix_table.c.observed_at).where(fix_table.c.unit == "F21")
        on_disk = set(db.execute(of_unit).scalars())
        last_us = db.execute(select(last_fix.c.observed_at).where(last_fix.c.unit == "F21")).scalar_one()
    engine.dispose()
    lost = [killed_s - when_s for observed_us, when_s in acknowledged if observed_us not in on_disk]
    assert max(lost, default=0) < 1, f"lost {len(lost)} of {len(acknowledged)}"
    assert last_us == max(on_disk)


# ---- arrays


def test_a_fleet_of_five_thousand_fits_into_one_frame_and_little_memory(
    engine: Engine, clock: FakeClock
) -> None:
    tracks = Tracks(engine, clock, known_unit=lambda unit: True)
    now = clock.now_us()
    units = [f"U{n}" for n in range(5000)]
    tracemalloc.start()
    for second in range(2):
        for i in range(0, 5000, 1000):
            fixes = [
                at(now + second * S, unit, 20 + n / 1e4) for n, unit in enumerate(units[i : i + 1000], i)
            ]
            assert tracks.accept(fixes, "avl", now + second * S).accepted == 1000
        tracks.step()
    tick, moved = tracks.changed_since(0)
    frame = tracks.frame(moved, now + S)
    held_mb = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert len(moved) == 5000
    assert len(frame) == 16 + 20 * 5000
    assert held_mb < 8, f"{held_mb:.1f} MB"
    # Asked again, only what moved meanwhile
    tracks.accept([at(now + 5 * S, "U4999", 25)], "avl", now + 5 * S)
    assert tracks.changed_since(tick)[1].tolist() == [4999]


def test_a_unit_keeps_its_index_however_many_come_after_it(engine: Engine, clock: FakeClock) -> None:
    tracks = Tracks(engine, clock, known_unit=lambda unit: True, history=False)
    now = clock.now_us()
    assert [tracks.index(unit) for unit in ("F21", "A7", "F21")] == [0, 1, 0]
    tracks.accept([at(now, f"U{i}", lon=20 + i / 1000) for i in range(500)], "avl", now)
    fixes = tracks.arrays()
    assert fixes.units[:3] == ("F21", "A7", "U0")
    assert len(fixes.units) == len(fixes.lon) == 502
    assert math.isnan(fixes.lon[0])
    assert fixes.observed_us[0] == 0
    assert math.isnan(fixes.speed_mps[2])
    for i in (0, 61, 62, 63, 499):
        n = tracks.index(f"U{i}")
        assert fixes.units[n] == f"U{i}"
        assert fixes.lon[n] == 20 + i / 1000
        assert fixes.observed_us[n] == now


def test_a_snapshot_does_not_change_under_its_reader(tracks: Tracks, now: int) -> None:
    tracks.accept([at(now, lon=24.9)], "avl", now)
    fixes: Fixes = tracks.arrays()
    tracks.accept([at(now + S, lon=25.0)], "avl", now + S)
    assert fixes.lon[0] == 24.9
    assert all(column.flags["C_CONTIGUOUS"] for column in (fixes.lon, fixes.observed_us))


def test_a_console_asks_only_for_what_moved(tracks: Tracks, now: int) -> None:
    tracks.index("A7")
    start, moved = tracks.changed_since(0)
    assert moved.tolist() == []
    tracks.accept([at(now), at(now, unit="F22")], "avl", now)
    tick, moved = tracks.changed_since(start)
    assert [tracks.arrays().units[n] for n in moved] == ["F21", "F22"]
    tracks.accept([at(now - S), at(now, unit="F22")], "avl", now)
    assert tracks.changed_since(tick)[1].tolist() == []
    tracks.accept([at(now + S, unit="F22")], "avl", now + S)
    assert tracks.changed_since(tick)[1].tolist() == [tracks.index("F22")]


def test_a_frame_carries_what_the_page_on_positions_says(tracks: Tracks, now: int) -> None:
    tracks.index("never")
    tracks.accept(
        [
            at(now - 1500_000, lon=24.9384, lat=60.1699, speed_mps=13.894, heading_deg=359.97),
            at(now + S, unit="A7", lon=-0.1276, lat=-33.8688, speed_mps=900),
        ],
        "avl",
        now,
    )
    frame = tracks.frame([0, 1, 2], now)
    assert len(frame) == 16 + 2 * 20
    assert struct.unpack_from("<BBHId", frame) == (1, 0, 0, 2, now / 1e6)
    assert struct.unpack_from("<2I2i2i2I2H2H", frame, 16) == (
        *(1, 2),
        *(249_384_000, -1_276_000),
        *(601_699_000, -338_688_000),
        *(1500, 0),
        *(0, 65_535),
        *(1389, 65_534),
    )


def test_an_empty_frame_is_its_head_alone(tracks: Tracks, now: int) -> None:
    assert tracks.frame(np.array([], dtype=np.int64), now) == struct.pack("<BBHId", 1, 0, 0, 0, now / 1e6)


def test_the_age_in_a_frame_neither_wraps_nor_turns_negative(tracks: Tracks, now: int) -> None:
    tracks.accept([at(now)], "avl", now)
    year_us = 365 * 86_400 * S
    (age_ms,) = struct.unpack_from("<I", tracks.frame([0], now + year_us), 16 + 12)
    assert age_ms == 2**32 - 1
    (age_ms,) = struct.unpack_from("<I", tracks.frame([0], now - year_us), 16 + 12)
    assert age_ms == 0


def test_fixes_may_come_from_many_threads_at_once(process: Process, engine: Engine, now: int) -> None:
    tracks = process(flush_interval_s=0.001)
    tracks.start()

    def report(thread: int) -> None:
        for i in range(100):
            lon = thread + i / 1000
            tracks.accept([at(now + i * 10 + thread, UNITS[thread % 3], lon)], f"avl{thread}", now)

    threads = [threading.Thread(target=report, args=(thread,)) for thread in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracks.drain()
    assert written(engine) == 600
