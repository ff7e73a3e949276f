"""Positions in, last fixes as arrays, history: telemetry, which never enters the log.

A fix is acknowledged (202) while it is still in memory, and an OS thread of its own writes what came in
every quarter of a second, so that it is on disk within one second. Other processes that share the
database follow by `rev`, a number that grows with every change of a last fix.

History is thinned twice, each time within a stated error: of a unit that stands still only the first fix,
the last and one a minute are written (and those beside a late fix that says otherwise); and what is older
than a day is reduced to the fixes between which a straight line at even speed tells the rest (top-down
time-ratio, Meratnia and de By, EDBT 2004). Fixes of units on an incident stay as they were written. `tend`
does the second part and drops what is too old.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    delete,
    event,
    false,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from app import metrics
from app.native import Empty, Promise, SimpleQueue, offload, original, start_thread
from app.ports import Clock
from app.tables import fix as fix_table
from app.tables import last_fix
from gis.geometry import EARTH_RADIUS_M

TOO_OLD_US = 7 * 86_400_000_000
PENDING_MAX = 100_000
STAND_M = 5.0
"""A unit that stays this near to where it stopped stands still."""
HEARTBEAT_US = 60_000_000
"""How often the fix of a unit that stands still is written all the same."""
ERROR_M = 2 * STAND_M
"""How far at most a reported position lies from the line, in time, between the fixes that were written; what
`Tracks.trail` says of late fixes is its limit."""
LEFT_OUT_MAX = 32
"""So many of a unit's fixes that were not written are remembered, for a late one that belongs between."""
FULL_HOURS = 24.0
"""How long history stays as it was written."""
COARSE_M = 15.0
"""How far at most a fix that is thinned out later lies from the line between those that are kept."""
STOP_US = 60_000_000
"""Of a stop that lasts this long the first and the last fix are kept for good."""
_BATCH_MAX = 2_000
_ROWS_AT_ONCE = (256, 32, 4, 1)
_RETRY_S_MAX = 1.0
_PRUNE_EVERY_S = 60.0
_PRUNE_MAX = 2_000
_THIN_LAG_US = 3_600_000_000
_THIN_UNITS_MAX = 8
_THIN_ROWS_MAX = 2_000
_FREE_PAGES = 1_000
_VACUUM_PAGES = 500
# Writers of different processes take turns, so that a follower never sees rev n+1 before rev n.
_PG_LOCK = 0x5354_5241_4A41


class Fix(NamedTuple):
    """One position as reported: degrees (WGS 84), metres per second, degrees from north, metres."""

    unit: str
    lon: float
    lat: float
    observed_us: int
    speed_mps: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None


class StoredFix(NamedTuple):
    """One position as kept: with the time it came in and who sent it."""

    unit: str
    lon: float
    lat: float
    observed_us: int
    received_us: int
    speed_mps: float | None
    heading_deg: float | None
    accuracy_m: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Row `index` was not taken. `code` is "unknown-unit", "bad-coordinates", "future", "too-old" or
    "overloaded"; only the last is worth sending again."""

    index: int
    unit: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: `accepted` + len(`refused`) rows. Among the accepted, `late` ones are older
    than the unit's last fix (kept in its history, the unit does not move) and `duplicates` were here
    already (ignored, so that a batch may be sent again)."""

    accepted: int
    late: int
    duplicates: int
    refused: list[Refusal]


@dataclass(frozen=True, slots=True)
class Fixes:
    """A snapshot of the last fix of every indexed unit; row n is the unit of index n.

    `lon`, `lat` (degrees), `speed_mps`, `heading_deg`, `accuracy_m` are float64 and NaN where unknown;
    `observed_us`, `received_us` are int64 and 0 where the unit never had a fix.
    """

    units: tuple[str, ...]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    observed_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    speed_mps: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]


_ROW = np.dtype(
    [
        ("lon", "f8"),
        ("lat", "f8"),
        ("observed_us", "i8"),
        ("received_us", "i8"),
        ("speed_mps", "f8"),
        ("heading_deg", "f8"),
        ("accuracy_m", "f8"),
        ("tick", "i8"),
    ]
)
_NOWHERE = (math.nan, math.nan, 0, 0, math.nan, math.nan, math.nan, 0)

_FRAME_HEAD = struct.Struct("<BBHId")
_FRAME_VERSION = 1
_U16_UNKNOWN = 65_535


class _Pending(NamedTuple):
    since_s: float
    moves: bool
    """Whether it is a last fix."""
    kept: bool
    """Whether it goes into the history."""
    evidence: bool
    fix: StoredFix


class _Stand(NamedTuple):
    """Where a unit stopped, or just is: its fixes near there are not written one by one."""

    lon: float
    lat: float
    since_us: int
    """From here to the last fix every fix in the history lies near."""
    written_us: int
    source: str


def open_engine(url: str) -> Engine:
    """The engine for `Tracks`: connections that no event loop shares, and that give up rather than hang.

    On SQLite this is a file of its own, in WAL mode with synchronous=FULL: four commits a second cost
    nothing, and with NORMAL a power cut may take everything since the last checkpoint, not one second. A new
    file can give pages back when much was dropped (auto_vacuum=INCREMENTAL).
    """
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
                "options": "-c statement_timeout=10000",
            },
        )
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": 5})

    @event.listens_for(engine, "connect")
    def set_up(dbapi: Any, _record: Any) -> None:
        # Heeded only while the file is empty, and later it would wait for the lock of whoever writes.
        if dbapi.execute("PRAGMA page_count").fetchone() == (0,):
            dbapi.execute("PRAGMA auto_vacuum=INCREMENTAL")
        dbapi.execute("PRAGMA journal_mode=WAL")
        dbapi.execute("PRAGMA synchronous=FULL")

    return engine


class Tracks:
    """The positions of one process.

    `known_unit` says whether a call sign is registered, `on_incident` whether that unit's way is evidence
    just now; both must answer from memory. Call `start` once, `close` at the end; without `start`, `step`
    does by hand what the thread does, for tests and tools. `tend` belongs to one process of all, the
    keeper's. Every other method may be called from any thread or greenlet and does not wait for the
    database, except `trail` and `drain`.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        known_unit: Callable[[str], bool],
        on_incident: Callable[[str], bool] = lambda unit: False,
        flush_interval_s: float = 0.25,
        history: bool = True,
        history_days: float = 30,
        full_hours: float = FULL_HOURS,
        max_future_s: float = 5,
        pending_max: int = PENDING_MAX,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._known_unit = known_unit
        self._on_incident = on_incident
        self._flush_interval_s = flush_interval_s
        self._history = history
        self._history_us = round(history_days * 86_400_000_000)
        self._full_us = round(full_hours * 3_600_000_000)
        self._max_future_us = round(max_future_s * 1_000_000)
        self._pending_max = pending_max

        allocate_lock = original("_thread", "allocate_lock")
        self._lock = allocate_lock()
        """Guards everything below it; held for memory work only, never across I/O."""
        self._units: list[str] = []
        self._index: dict[str, int] = {}
        self._last: list[StoredFix | None] = []
        self._stands: list[_Stand | None] = []
        self._held: list[StoredFix | None] = []
        """The newest fix of a unit that stands still, while it is not in the history."""
        self._left_out: list[deque[StoredFix] | None] = []
        """The fixes that came last of those that are not in the history, by unit, in no order of time."""
        self._moved: set[int] = set()
        """Whose last fix is newer than its row in the arrays: each is copied once, however often it moved."""
        self._rows: NDArray[np.void] = np.array([_NOWHERE] * 64, dtype=_ROW)
        self._tick = 0
        self._fixes: tuple[tuple[int, int], Fixes] | None = None
        self._pending: list[_Pending] = []
        self._waiting: list[Promise[bool]] = []
        self._error: str | None = None

        self._step_lock = allocate_lock()
        """One step at a time; guards what only a step touches."""
        self._db: Connection | None = None
        self._rev = 0
        self._pruned_s = -math.inf

        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._running = False
        self._ended: Promise[bool] = Promise()

    # ---- life

    def start(self) -> None:
        """Read the last fixes, then keep writing and following in a thread until `close`."""
        with self._step_lock:
            self._follow(self._connection())
            self._disconnect()
        self._running = True
        start_thread(self._run, "tracks")

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what is pending, stop the thread; False when some could not be written in time."""
        written = self.drain(timeout_s)
        if not self._running:
            with self._step_lock:
                self._disconnect()
            return written
        self._running = False
        self._wake.put(True)
        try:
            return offload(lambda: self._ended.result(timeout_s)) and written
        except TimeoutError:
            return False

    def drain(self, timeout_s: float = 10.0) -> bool:
        """Wait until every fix accepted so far is on disk; False when that did not happen in time."""
        if not self._running:
            self.step()
            return not self._pending
        on_disk: Promise[bool] = Promise()
        with self._lock:
            self._waiting.append(on_disk)
        self._wake.put(True)
        try:
            return offload(lambda: on_disk.result(timeout_s))
        except TimeoutError:
            return False

    def _run(self) -> None:
        wait_s = self._flush_interval_s
        while self._running:
            try:
                self._wake.get(timeout=wait_s)
            except Empty:
                pass
            healthy = self.step()
            wait_s = self._flush_interval_s if healthy else min(wait_s * 2, _RETRY_S_MAX)
        with self._step_lock:
            self._disconnect()
        self._ended.keep(True)

    def step(self) -> bool:
        """Write everything pending and read what other processes wrote; False when the database failed,
        in which case nothing pending is lost and `trouble` says why."""
        with self._step_lock:
            try:
                db = self._connection()
                while self._pending:
                    self._write(db, self._pending[:_BATCH_MAX])
                self._follow(db)
            except Exception as error:  # noqa: BLE001 - whatever it is, positions must go on being kept
                self._disconnect()
                metrics.DATABASE_ERRORS.labels("positions").inc()
                self._error = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
                return False
            self._error = None
            with self._lock:
                if not self._pending:
                    waiting, self._waiting = self._waiting, []
                else:
                    waiting = []
            for on_disk in waiting:
                on_disk.keep(True)
            return True

    def _connection(self) -> Connection:
        if self._db is None:
            self._db = self._engine.connect()
        return self._db

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            try:
                db.close()
            except Exception:  # noqa: BLE001, S110 - it was broken already
                pass

    # ---- in

    def accept(self, rows: Sequence[Fix], source: str, received_us: int) -> Receipt:
        """Take a batch: what is not refused moves its unit now and is on disk within a second.

        `source` names the sender; `received_us` is when the batch came in by our clock. A speed, heading
        or accuracy that cannot be is left out, and the position kept.
        """
        source = source[:64]
        refused: list[Refusal] = []
        good: list[tuple[int, StoredFix]] = []
        known: dict[str, bool] = {}
        for i, row in enumerate(rows):
            unit = row.unit
            if unit not in known:
                known[unit] = self._known_unit(unit)
            fault = self._fault(row, known[unit], received_us)
            if fault is not None:
                refused.append(Refusal(i, unit, *fault))
                continue
            new = StoredFix(
                unit,
                float(row.lon),
                float(row.lat),
                row.observed_us,
                received_us,
                _within(row.speed_mps, 0, 1000),
                _heading(row.heading_deg),
                _within(row.accuracy_m, 0, 1e7),
                source,
            )
            good.append((i, new))
        evidence = {unit: self._on_incident(unit) for unit in known if known[unit]}
        late = duplicates = 0
        since_s = self._clock.monotonic_s()
        with self._lock:
            for i, new in good:
                n = self._index_of(new.unit)
                last = self._last[n]
                moves = self._wins(new, last)
                if not moves and last is not None and new.observed_us == last.observed_us:
                    duplicates += 1
                    continue
                if len(self._pending) >= self._pending_max:
                    refused.append(Refusal(i, new.unit, "overloaded", self._overload()))
                    continue
                late += not moves
                self._take(n, new, moves, since_s, evidence[new.unit])
        refused.sort(key=lambda refusal: refusal.index)
        metrics.ACCEPTED.inc(len(rows) - len(refused))
        metrics.LATE.inc(late)
        metrics.DUPLICATE.inc(duplicates)
        metrics.REFUSED.inc(len(refused))
        return Receipt(len(rows) - len(refused), late, duplicates, refused)

    def _take(self, n: int, new: StoredFix, moves: bool, since_s: float, evidence: bool) -> None:
        """Move the unit, and decide what of it is history."""
        stand = self._stands[n]
        stands_still = stand is not None and _is_near(stand, new)
        kept = self._history
        if not moves:
            if kept and self._bends(n, new, since_s, evidence):
                self._pending.append(_Pending(since_s, False, True, evidence, new))
            return
        if kept:
            if stand is None or not stands_still or new.observed_us < stand.written_us:
                self._release(n, since_s, evidence)
                self._stands[n] = _Stand(new.lon, new.lat, new.observed_us, new.observed_us, new.source)
            elif new.observed_us - stand.written_us >= HEARTBEAT_US:
                self._held[n] = None
                self._stands[n] = stand._replace(written_us=new.observed_us)
            else:
                self._held[n] = new
                self._leave_out(n, new)
                kept = False
        self._last[n] = new
        self._moved.add(n)
        self._pending.append(_Pending(since_s, True, kept, evidence, new))

    def _bends(self, n: int, new: StoredFix, since_s: float, evidence: bool) -> bool:
        """Whether a late fix belongs into the history. The line then runs through it, so those left out on
        both sides of it are written too: it would run far past them."""
        stand, last = self._stands[n], self._last[n]
        if stand is not None and last is not None and stand.since_us <= new.observed_us <= last.observed_us:
            if _is_near(stand, new):
                # Within a stop that is told already, an older fix adds nothing.
                self._leave_out(n, new)
                return False
            if _off_m(stand, new) <= STAND_M:
                return True
            self._stands[n] = stand._replace(since_us=last.observed_us)
        left_out = self._left_out[n]
        if left_out:
            at_us = new.observed_us
            before_us = max((fix.observed_us for fix in left_out if fix.observed_us < at_us), default=at_us)
            after_us = min((fix.observed_us for fix in left_out if fix.observed_us > at_us), default=at_us)
            for fix in [fix for fix in left_out if before_us <= fix.observed_us <= after_us]:
                left_out.remove(fix)
                self._pending.append(_Pending(since_s, False, True, evidence, fix))
        return True

    def _leave_out(self, n: int, new: StoredFix) -> None:
        left_out = self._left_out[n]
        if left_out is None:
            left_out = self._left_out[n] = deque(maxlen=LEFT_OUT_MAX)
        left_out.append(new)

    def _release(self, n: int, since_s: float, evidence: bool) -> None:
        """The stop is over: its last fix says how long it was."""
        held, self._held[n] = self._held[n], None
        if held is not None:
            self._pending.append(_Pending(since_s, False, True, evidence, held))

    def _fault(self, row: Fix, known: bool, received_us: int) -> tuple[str, str] | None:
        if not known:
            return "unknown-unit", f"no unit {row.unit} is registered here"
        if not (-180 <= row.lon <= 180 and -90 <= row.lat <= 90):
            return "bad-coordinates", f"lon {row.lon}, lat {row.lat}: not on this earth"
        if row.lon == 0 and row.lat == 0:
            return "bad-coordinates", "lon 0, lat 0: what a receiver says when it has no fix"
        if row.observed_us > received_us + self._max_future_us:
            return "future", (
                f"observed at {_words(row.observed_us)}, but the clock here says {_words(received_us)}: "
                f"one of the two is wrong"
            )
        if row.observed_us < received_us - TOO_OLD_US:
            return "too-old", (
                f"observed at {_words(row.observed_us)}, more than 7 days before {_words(received_us)}"
            )
        return None

    def _overload(self) -> str:
        why = f": {self._error}" if self._error else ""
        return f"{len(self._pending)} positions wait to be saved{why}"

    def _wins(self, new: StoredFix, last: StoredFix | None) -> bool:
        """Whether `new` takes the place of a last fix: the newest observed, or at the same instant the
        more accurate. A last fix that lies in the future was made by a wrong clock and gives way."""
        if last is None:
            return True
        if new.observed_us == last.observed_us:
            return new.accuracy_m is not None and (
                last.accuracy_m is None or new.accuracy_m < last.accuracy_m
            )
        return new.observed_us > last.observed_us or last.observed_us > new.received_us + self._max_future_us

    def _copy_moved(self) -> None:
        """Bring the arrays up to date with the last fixes."""
        if not self._moved:
            return
        self._tick += 1
        for n in self._moved:
            last = self._last[n]
            if last is not None:
                self._rows[n] = (
                    last.lon,
                    last.lat,
                    last.observed_us,
                    last.received_us,
                    _nan(last.speed_mps),
                    _nan(last.heading_deg),
                    _nan(last.accuracy_m),
                    self._tick,
                )
        self._moved.clear()

    # ---- out

    def index(self, unit: str) -> int:
        """The row of `unit` in the arrays and its number in position frames; stable in this process."""
        with self._lock:
            return self._index_of(unit)

    def _index_of(self, unit: str) -> int:
        n = self._index.get(unit)
        if n is None:
            n = self._index[unit] = len(self._units)
            if n == len(self._rows):
                more = np.array([_NOWHERE] * n, dtype=_ROW)
                self._rows = np.concatenate((self._rows, more))
            self._units.append(unit)
            self._last.append(None)
            self._stands.append(None)
            self._held.append(None)
            self._left_out.append(None)
        return n

    def units(self) -> list[str]:
        """The units by index; the list grows at its end only."""
        return self._units

    def arrays(self) -> Fixes:
        """The last fixes, all of one moment, not to be written to; the same ones until somebody moves."""
        with self._lock:
            self._copy_moved()
            if (kept := self._fixes) is not None and kept[0] == (self._tick, len(self._units)):
                return kept[1]
            rows = self._rows[: len(self._units)]
            columns = {name: np.array(rows[name]) for name in _ROW.names or () if name != "tick"}
            for column in columns.values():
                column.flags.writeable = False
            fixes = Fixes(tuple(self._units), **columns)
            self._fixes = (self._tick, len(fixes.units)), fixes
            return fixes

    def changed_since(self, tick: int) -> tuple[int, NDArray[np.int64]]:
        """The tick now, and the indices of the units that moved after `tick`; begin with 0."""
        with self._lock:
            self._copy_moved()
            return self._tick, np.flatnonzero(self._rows["tick"][: len(self._units)] > tick)

    def last(self, unit: str) -> StoredFix | None:
        """The last fix of `unit`, or None when it never had one."""
        with self._lock:
            n = self._index.get(unit)
            return None if n is None else self._last[n]

    def trail(
        self,
        unit: str,
        from_us: int,
        to_us: int,
        limit: int = 1000,
        after: tuple[int, str] | None = None,
    ) -> list[StoredFix]:
        """The first `limit` fixes of `unit` observed in [from_us, to_us], oldest first, from disk; those
        after the fix of that time and source, to go on where an earlier call ended.

        A straight line at even speed between two of them tells where the unit was in between: within ERROR_M
        of what it reported, and within ERROR_M + COARSE_M where history is older than a day.

        Not so beside a fix that came late: it is drawn where it was reported, and what was left out around
        it is written with it only if this process took it and it is among the LEFT_OUT_MAX last left out of
        that unit. Beside one that came later than that, by way of another process, or for a time that was
        thinned out already, a unit may have been anywhere between the line and the neighbouring fixes: who
        must tell such fixes apart compares `received_us` with `observed_us`.
        """
        columns = [fix_table.c[name] for name in _COLUMNS]
        at, source = fix_table.c.observed_at, fix_table.c.source
        wanted = (
            select(*columns)
            .where(fix_table.c.unit == unit, at >= (after[0] if after else from_us), at <= to_us)
            .order_by(at, source)
            .limit(limit)
        )
        if after is not None:
            wanted = wanted.where(or_(at > after[0], source > after[1]))
        newest = select(*(last_fix.c[name] for name in _COLUMNS)).where(last_fix.c.unit == unit)
        with self._engine.connect() as db:
            found = [StoredFix(*row) for row in db.execute(wanted)]
            # Of a unit that stands still the newest fix is not in the history yet.
            row = db.execute(newest).first() if len(found) < limit else None
        if row is not None:
            last = StoredFix(*row)
            before = (found[-1].observed_us, found[-1].source) if found else after or (from_us - 1, "")
            if (last.observed_us, last.source) > before and last.observed_us <= to_us:
                found.append(last)
        return found

    def frame(self, indices: ArrayLike, now_us: int) -> bytes:
        """The binary position frame of the units at `indices` (those without a fix are left out).

        Little endian: u8 version, u8 flags, u16 reserved, u32 count, f64 server time (s); then arrays of
        `count`: u32 n, i32 lon and i32 lat (1e-7 degrees), u32 age (ms), u16 heading (tenths of a degree)
        and u16 speed (cm/s), both 65535 where unknown.
        """
        n = np.asarray(indices, dtype=np.int64).reshape(-1)
        with self._lock:
            self._copy_moved()
            rows = self._rows[n]
        here = ~np.isnan(rows["lon"])
        n, rows = n[here], rows[here]
        age_ms = np.clip((now_us - rows["observed_us"]) // 1000, 0, 2**32 - 1)
        heading_ddeg = np.rint(rows["heading_deg"] * 10) % 3600
        speed_cmps = np.minimum(np.rint(rows["speed_mps"] * 100), _U16_UNKNOWN - 1)
        return b"".join(
            (
                _FRAME_HEAD.pack(_FRAME_VERSION, 0, 0, len(n), now_us / 1e6),
                n.astype("<u4").tobytes(),
                np.rint(rows["lon"] * 1e7).astype("<i4").tobytes(),
                np.rint(rows["lat"] * 1e7).astype("<i4").tobytes(),
                age_ms.astype("<u4").tobytes(),
                np.nan_to_num(heading_ddeg, nan=_U16_UNKNOWN).astype("<u2").tobytes(),
                np.nan_to_num(speed_cmps, nan=_U16_UNKNOWN).astype("<u2").tobytes(),
            )
        )

    # ---- health

    def lag_s(self) -> float:
        """How long the oldest fix that is not yet on disk has waited; 0 when there is none."""
        with self._lock:
            return self._clock.monotonic_s() - self._pending[0].since_s if self._pending else 0.0

    @property
    def pending(self) -> int:
        """How many fixes wait to be written."""
        return len(self._pending)

    @property
    def trouble(self) -> str | None:
        """What is wrong, for people; None when all is well."""
        if self._error is not None:
            return f"The database of positions fails ({self._error}); {self.pending} wait in memory."
        lag_s = self.lag_s()
        if lag_s > 1:
            return f"Positions are saved {lag_s:.1f} s late; {self.pending} wait in memory."
        return None

    # ---- the database; only ever called by a step

    def _write(self, db: Connection, batch: list[_Pending]) -> None:
        newest: dict[str, StoredFix] = {}
        for pending in batch:
            if pending.moves:
                newest[pending.fix.unit] = pending.fix
        with db.begin():
            # Takes the write lock before anything is read: SQLite refuses to upgrade a reader later.
            db.execute(update(last_fix).where(false()).values(rev=0))
            if db.dialect.name == "postgresql":
                db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PG_LOCK})
            before = db.execute(select(func.coalesce(func.max(last_fix.c.rev), 0))).scalar_one()
            last = [(*kept, rev) for rev, kept in enumerate(newest.values(), start=before + 1)]
            self._insert(db, "INSERT INTO last_fix ({}, rev)", last, self._upsert())
            history = [(*pending.fix, pending.evidence) for pending in batch if pending.kept]
            self._insert(db, "INSERT INTO fix ({}, evidence)", history, "ON CONFLICT DO NOTHING")
        with self._lock:
            del self._pending[: len(batch)]
        if before == self._rev:
            # Nobody else wrote in between: what is new on disk is what memory holds already.
            self._rev = before + len(last)

    def _insert(self, db: Connection, head: str, rows: list[tuple[Any, ...]], tail: str) -> None:
        """Many rows a statement: each statement lets go of the interpreter once and must win it back from the
        event loop, which with one row a statement took longer than the writing."""
        mark = "?" if db.dialect.name == "sqlite" else "%s"
        cursor = db.connection.cursor()
        done = 0
        for size in _ROWS_AT_ONCE:
            one = f"({', '.join([mark] * len(rows[0]))})" if rows else ""
            while len(rows) - done >= size:
                values = ", ".join([one] * size)
                sql = f"{head.format(', '.join(_COLUMNS))} VALUES {values} {tail}"
                cursor.execute(sql, [value for row in rows[done : done + size] for value in row])
                done += size
        cursor.close()

    def _upsert(self) -> str:
        """Only a better fix replaces the last one, whichever process brings it: `_wins` for the database."""
        changed = ", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS[1:], "rev"))
        return (
            f"ON CONFLICT (unit) DO UPDATE SET {changed} WHERE excluded.observed_at > last_fix.observed_at"
            " OR (excluded.observed_at = last_fix.observed_at"
            " AND coalesce(excluded.accuracy_m, 1e9) < coalesce(last_fix.accuracy_m, 1e9))"
            f" OR last_fix.observed_at > excluded.received_at + {self._max_future_us}"
        )

    def _follow(self, db: Connection) -> None:
        columns = [last_fix.c[name] for name in _COLUMNS]
        newer = select(last_fix.c.rev, *columns).where(last_fix.c.rev > self._rev).order_by(last_fix.c.rev)
        with db.begin():
            rows = db.execute(newer).all()
        if not rows:
            return
        since_s = self._clock.monotonic_s()
        with self._lock:
            for _, *values in rows:
                new = StoredFix(*values)
                n = self._index_of(new.unit)
                if self._wins(new, self._last[n]):
                    self._hear(n, new, since_s)
        self._rev = rows[-1].rev

    def _hear(self, n: int, new: StoredFix, since_s: float) -> None:
        """A fix that another process took, or this one before it was started anew."""
        stand = self._stands[n]
        if self._history and (stand is None or not _is_near(stand, new)):
            if stand is None:
                # Whoever took it may have ended before a stop was over.
                self._held[n] = new
            else:
                self._release(n, since_s, evidence=False)
            self._stands[n] = _Stand(new.lon, new.lat, new.observed_us, new.observed_us, new.source)
        self._last[n] = new
        self._moved.add(n)

    # ---- old history; only ever called by the keeper's process

    def tend(self) -> None:
        """Thin out and drop old history, a little at a time, so that no flush waits for it; call it every
        second. Raises SQLAlchemyError when the database fails; what was not done is done later."""
        if not self._history:
            return
        with self._engine.connect() as db:
            self._prune(db)
            self._thin(db)
            if db.dialect.name == "sqlite":
                self._give_back(db)

    def _prune(self, db: Connection) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._pruned_s < _PRUNE_EVERY_S:
            return
        with db.begin():
            oldest = db.execute(
                select(fix_table.c.id, fix_table.c.received_at).order_by(fix_table.c.id).limit(_PRUNE_MAX)
            ).all()
            horizon_us = self._clock.now_us() - self._history_us
            expired = [row.id for row in oldest if row.received_at < horizon_us]
            if expired:
                db.execute(delete(fix_table).where(fix_table.c.id <= expired[-1]))
        if len(expired) < _PRUNE_MAX:
            self._pruned_s = now_s

    def _thin(self, db: Connection) -> None:
        """Reduce what has become older than a day; each unit's turn comes once an hour."""
        horizon_us = self._clock.now_us() - self._full_us
        with db.begin():
            due = db.execute(
                select(last_fix.c.unit, last_fix.c.thinned_at)
                .where(last_fix.c.thinned_at < horizon_us - _THIN_LAG_US)
                .order_by(last_fix.c.thinned_at)
                .limit(_THIN_UNITS_MAX)
            ).all()
        c = fix_table.c
        for unit, from_us in due:
            wanted = (
                select(c.id, c.observed_at, c.lon, c.lat, c.evidence)
                .where(c.unit == unit, c.observed_at >= from_us, c.observed_at <= horizon_us)
                .order_by(c.observed_at, c.source)
                .limit(_THIN_ROWS_MAX)
            )
            with db.begin():
                rows = db.execute(wanted).all()
                to_us = horizon_us
                if len(rows) == _THIN_ROWS_MAX:
                    to_us = max(rows[-1].observed_at, from_us + 1)
                # The unit's own row first, as writers take it: so nobody waits for the other in a ring.
                db.execute(update(last_fix).where(last_fix.c.unit == unit).values(thinned_at=to_us))
                if len(rows) > 2:
                    ids, at_us, lon, lat, evidence = (np.array(column) for column in zip(*rows, strict=True))
                    gone = ids[~essential(at_us, lon, lat, evidence.astype(bool))].tolist()
                    for i in range(0, len(gone), 500):
                        db.execute(delete(fix_table).where(c.id.in_(gone[i : i + 500])))

    def _give_back(self, db: Connection) -> None:
        """Shrink the file when much of it is free; otherwise new positions fill the gaps."""
        free = db.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        if free > _FREE_PAGES and free > db.exec_driver_sql("PRAGMA page_count").scalar_one() // 4:
            # The driver would stop after the first page: it sees that no row comes.
            driver: Any = db.connection.driver_connection
            pragma = f"PRAGMA incremental_vacuum({_VACUUM_PAGES})"
            try:
                driver.executescript(pragma)
            except sqlite3.Error as error:
                raise OperationalError(pragma, None, error) from error


def essential(
    observed_us: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    evidence: NDArray[np.bool_],
    tolerance_m: float = COARSE_M,
) -> NDArray[np.bool_]:
    """Which fixes of one unit, in order of time, must stay: the first, the last, those marked as evidence,
    both ends of every stop of STOP_US or longer, and as many more as it takes for each of the others to lie
    within `tolerance_m` of the straight line, travelled at even speed, between its neighbours that stay."""
    degree_m = math.pi / 180 * EARTH_RADIUS_M
    x_m = ((lon - lon[0] + 180) % 360 - 180) * degree_m * np.cos(np.radians(lat[0]))
    y_m = (lat - lat[0]) * degree_m
    t_s = (observed_us - observed_us[0]) / 1e6
    stays = evidence.copy()
    stays[[0, -1]] = True
    first = 0
    for i in range(1, len(t_s) + 1):
        if i < len(t_s) and math.hypot(x_m[i] - x_m[first], y_m[i] - y_m[first]) <= STAND_M:
            continue
        if observed_us[i - 1] - observed_us[first] >= STOP_US:
            stays[[first, i - 1]] = True
        first = i
    ends = np.flatnonzero(stays)
    spans = list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
    while spans:
        a, b = spans.pop()
        if b - a < 2:
            continue
        share = (t_s[a + 1 : b] - t_s[a]) / max(t_s[b] - t_s[a], 1e-6)
        off_m = np.hypot(
            x_m[a] + share * (x_m[b] - x_m[a]) - x_m[a + 1 : b],
            y_m[a] + share * (y_m[b] - y_m[a]) - y_m[a + 1 : b],
        )
        furthest = int(np.argmax(off_m))
        if off_m[furthest] > tolerance_m:
            middle = a + 1 + furthest
            stays[middle] = True
            spans += [(a, middle), (middle, b)]
    return stays


def _is_near(stand: _Stand, new: StoredFix) -> bool:
    return new.source == stand.source and _off_m(stand, new) <= STAND_M


def _off_m(stand: _Stand, new: StoredFix) -> float:
    x_deg = (new.lon - stand.lon) * math.cos(math.radians(stand.lat))
    return math.hypot(x_deg, new.lat - stand.lat) * math.pi / 180 * EARTH_RADIUS_M


_COLUMNS = (
    "unit",
    "lon",
    "lat",
    "observed_at",
    "received_at",
    "speed_mps",
    "heading_deg",
    "accuracy_m",
    "source",
)
"""The columns of both tables, in the order of StoredFix."""


def _within(value: float | None, low: float, high: float) -> float | None:
    return float(value) if value is not None and low <= value <= high else None


def _heading(value: float | None) -> float | None:
    return float(value) % 360 if value is not None and -360 <= value <= 720 else None


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _words(us: int) -> str:
    try:
        return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{us} us"
