"""The one process that owns time: what is due is derived from the log and done once.

It holds a lock, so that a second keeper waits and takes over when the first one dies. On PostgreSQL the lock
belongs to a session that ends with the keeper, with its connection, and when it was silent for 3 s: a
machine that has vanished or hangs gives it back too. A keeper acts only right after it has found the lock
still to be its own.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app import backup, jobs, metrics, migrations, trace
from app.alarms import keep_alarms
from app.core import Core, wait_for_core
from app.database import UNREACHABLE, open_engine
from app.detours import keep_watching
from app.log import StorageError
from app.proposals import keep_proposing
from app.sheet import keep_writing
from app.up import Waiting
from config import Config
from dispatch import commands as c
from dispatch.commands import SYSTEM, Refused

LOCK_KEY = 0x57AA_1B
STEP_S = 1.0
LOOK_S = 0.5
"""How often a keeper that waits looks whether the lock is free."""
SILENT_S = 3
"""Seconds of silence after which PostgreSQL ends the session that holds the lock."""
BEAT_S = 1.0
"""How often the session speaks, whatever the keeper is doing."""
VERIFY_EVERY_S = 86_400.0
log = logging.getLogger("straja.keeper")


def due_lapses(core: Core, now_us: int) -> Iterator[c.LapseRequest]:
    """Requests whose time for an answer has run out, for units held here."""
    state = core.picture.now
    for incident in state.incidents():
        for request in incident.requests:
            unit = state.unit(request.unit)
            held = unit is not None and unit.custodian == core.config.station
            if request.state == "asked" and held and now_us >= request.answer_by_us:
                # The id is made of what is due, so that two keepers can only say it once.
                yield c.LapseRequest(
                    id=f"lapse:{incident.id}:{request.unit}:{request.answer_by_us}",
                    source="keeper",
                    incident=incident.id,
                    unit=request.unit,
                )


def due_expiries(core: Core, now_us: int) -> Iterator[c.ExpireClosure]:
    """Closures of this station whose time has passed: nobody drives around them any more; now it is said."""
    for closure in core.picture.now.closures():
        ends_us = closure.ends_us
        over = ends_us is not None and now_us >= ends_us
        if over and closure.state not in ("withdrawn", "expired") and closure.station == core.config.station:
            yield c.ExpireClosure(
                id=f"expire:{closure.id}:{ends_us}", source="keeper", closure=closure.id
            )


class Keeper:
    """One step does everything that is due now."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._backups = backup.Schedule(core.config, core.engine, core.world.clock)
        self._verify_at_s = core.world.clock.monotonic_s() + 3600.0

    def step(self, mine: Callable[[], bool] = lambda: True) -> None:
        """`mine` tells whether this is still the keeper; it is asked before each thing that is done."""
        core = self._core
        for command in due_lapses(core, core.world.clock.now_us()):
            if not mine():
                return
            try:
                core.door.submit(command, SYSTEM)
            except Refused as error:
                log.warning("could not lapse the request for %s: %s", command.unit, error)
        for over in due_expiries(core, core.world.clock.now_us()):
            if not mine():
                return
            try:
                core.door.submit(over, SYSTEM)
            except Refused as error:
                log.warning("could not note the end of closure %s: %s", over.closure, error)
        try:
            if mine():
                core.tracks.tend()
        except SQLAlchemyError as error:
            # Positions that are not thinned out take room and no more; deadlines must go on.
            log.warning("the history of positions cannot be tended: %s", getattr(error, "orig", error))
        self._backups.step()
        now_s = core.world.clock.monotonic_s()
        if now_s >= self._verify_at_s and mine():
            self._verify_at_s = now_s + VERIFY_EVERY_S
            for copy in migrations.drop_old_copies(core.engine):
                log.info("deleted %s, the copy made before a migration", copy)
            daily = [("check of the log", jobs.verify_log)]
            if core.city is not None:
                daily += [("learning of speeds", jobs.learn_speeds), ("forecast", jobs.learn_forecast)]
            for what, job in daily:
                try:
                    jobs.enqueue(core.config, job)
                except jobs.JobsUnavailable as error:
                    log.warning("the daily %s waits: %s", what, error)


@contextmanager
def the_lock(engine: Engine, var: Path, wait: threading.Event) -> Iterator[Callable[[], bool]]:
    """Hold the keeper's lock, waiting for it until `wait` is set, which raises InterruptedError. Gives a
    function that tells whether it is still held. Raises one of UNREACHABLE where the database is away."""
    if engine.dialect.name == "sqlite":
        with open(var / "keeper.lock", "a+") as file:

            def taken() -> bool:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

            _wait_until(taken, wait)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            # The kernel takes it from a process that has ended, and from no other.
            yield lambda: True
        return
    silent = {"idle_session_timeout": f"{SILENT_S}s", "tcp_user_timeout": f"{SILENT_S}000"}
    own = open_engine(engine.url.render_as_string(hide_password=False), **silent)
    # The driver's own: SQLAlchemy would open another session in place of a lost one, without the lock.
    pooled = own.raw_connection()
    session: Any = pooled.driver_connection
    pooled.detach()
    try:
        session.autocommit = True
        _wait_until(
            lambda: session.execute(f"SELECT pg_try_advisory_lock({LOCK_KEY})").fetchone()[0], wait
        )

        def held() -> bool:
            try:
                # The answer alone shows it: the lock lasts exactly as long as this session.
                session.execute("SELECT 1")
            except UNREACHABLE:
                return False
            return True

        ended = threading.Event()

        def beat() -> None:
            # What is due may take longer than the server waits for a word.
            while not ended.wait(BEAT_S) and held():
                pass

        threading.Thread(target=beat, name="keeper-lock", daemon=True).start()
        try:
            yield held
        finally:
            ended.set()
    finally:
        session.close()


def _wait_until(taken: Callable[[], bool], wait: threading.Event) -> None:
    """Try until the lock is taken; InterruptedError once `wait` is set."""
    said = False
    while not taken():
        if not said:
            log.info("another keeper keeps time; waiting to follow it")
            said = True
        if wait.wait(LOOK_S):
            raise InterruptedError


def is_kept(engine: Engine, var: Path) -> bool:
    """Whether some keeper holds the lock just now."""
    if engine.dialect.name == "sqlite":
        path = var / "keeper.lock"
        if not path.exists():
            return False
        with open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            fcntl.flock(file, fcntl.LOCK_UN)
            return False
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = %(key)s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            {"key": LOCK_KEY},
        ).first()
        return found is not None


def keep(core: Core, stop: threading.Event) -> None:
    """Be the keeper whenever no other is, until `stop` is set."""
    waiting = Waiting(log.warning)
    while not stop.is_set():
        try:
            with the_lock(core.engine, core.config.var, stop) as mine:
                waiting.over()
                log.info("keeping time for station %s", core.config.station)
                _keep(core, stop, mine)
        except InterruptedError:
            return
        except UNREACHABLE as error:
            waiting.because(f"the database does not answer: {' '.join(str(error).split())}")
            stop.wait(STEP_S)


def _keep(core: Core, stop: threading.Event, mine: Callable[[], bool]) -> None:
    keeper = Keeper(core)
    lost = threading.Event()
    args = (core, mine, lambda s: lost.wait(s) or stop.is_set())
    beside = [
        threading.Thread(target=run, args=args, name=name)
        for name, run in (
            ("proposals", keep_proposing),
            ("detours", keep_watching),
            ("sheets", keep_writing),
            ("alarms", keep_alarms),
        )
    ]
    for thread in beside:
        thread.start()
    try:
        _steps(core, keeper, stop, mine)
    finally:
        lost.set()
        for thread in beside:
            thread.join()


def _steps(core: Core, keeper: Keeper, stop: threading.Event, mine: Callable[[], bool]) -> None:
    marked = False
    while not stop.is_set():
        if not mine():
            log.warning("the lock is lost with its session; another keeper may have it")
            return
        try:
            if not marked:
                core.log.renew_mark()
                marked = True
            with metrics.KEEPER_SECONDS.time():
                keeper.step(mine)
            metrics.KEEPER_LAST.set(core.world.clock.now_us() / 1e6)
        except StorageError as error:
            log.error("what is due must wait: %s", error)
        except (TimeoutError, *UNREACHABLE) as error:
            log.error("what is due must wait: %s", " ".join(str(error).split()))
        stop.wait(STEP_S)


def main(config: Config) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    trace.set_up(config, "keeper")
    core = wait_for_core(config, stop.wait)
    if core is None:
        return
    metrics.watch(core, "keeper")
    try:
        keep(core, stop)
    finally:
        core.close()
