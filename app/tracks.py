"""Positions in, last fixes as arrays, history: telemetry, which never enters the log.

A fix is acknowledged (202) while it is still in memory, and an OS thread of its own writes what came in
every quarter of a second, so that it is on disk within one second. Other processes that share the
database follow by `rev`, a number that grows with every change of a last fix.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import (
    Connection,
    Engine,
    and_,
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
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import NullPool

from app.native import Empty, Promise, SimpleQueue, offload, original, start_thread
from app.ports import Clock
from app.tables import fix as fix_table
from app.tables import last_fix

TOO_OLD_US = 7 * 86_400_000_000
PENDING_MAX = 100_000
_BATCH_MAX = 2_000
_RETRY_S_MAX = 1.0
_PRUNE_EVERY_S = 60.0
_PRUNE_MAX = 5_000
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
    fix: StoredFix


def open_engine(url: str) -> Engine:
    """The engine for `Tracks`: connections that no event loop shares, and that give up rather than hang.

    On SQLite this is a file of its own, in WAL mode with synchronous=FULL: four commits a second cost
    nothing, and with NORMAL a power cut may take everything since the last checkpoint, not one second.
    """
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            poolclass=NullPool,
            connect_args={
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
                "options": "-c statement_timeout=10000",
            },
        )
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 5})

    @event.listens_for(engine, "connect")
    def set_up(dbapi: Any, _record: Any) -> None:
        dbapi.execute("PRAGMA journal_mode=WAL")
        dbapi.execute("PRAGMA synchronous=FULL")

    return engine


class Tracks:
    """The positions of one process.

    `known_unit` says whether a call sign is registered; it must answer from memory. Call `start` once,
    `close` at the end; without `start`, `step` does by hand what the thread does, for tests and tools.
    Every other method may be called from any thread or greenlet and does not wait for the database,
    except `trail` and `drain`.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        known_unit: Callable[[str], bool],
        flush_interval_s: float = 0.25,
        history: bool = True,
        history_days: float = 30,
        max_future_s: float = 5,
        pending_max: int = PENDING_MAX,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._known_unit = known_unit
        self._flush_interval_s = flush_interval_s
        self._history = history
        self._history_us = round(history_days * 86_400_000_000)
        self._max_future_us = round(max_future_s * 1_000_000)
        self._pending_max = pending_max

        allocate_lock = original("_thread", "allocate_lock")
        self._lock = allocate_lock()
        """Guards everything below it; held for memory work only, never across I/O."""
        self._rows: NDArray[np.void] = np.array([_NOWHERE] * 64, dtype=_ROW)
        self._units: list[str] = []
        self._sources: list[str] = []
        self._index: dict[str, int] = {}
        self._tick = 0
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
                self._prune(db)
            except Exception as error:  # noqa: BLE001 - whatever it is, positions must go on being kept
                self._disconnect()
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
            if row.unit not in known:
                known[row.unit] = self._known_unit(row.unit)
            fault = self._fault(row, known[row.unit], received_us)
            if fault is not None:
                refused.append(Refusal(i, row.unit, *fault))
                continue
            kept = StoredFix(
                row.unit,
                float(row.lon),
                float(row.lat),
                row.observed_us,
                received_us,
                _within(row.speed_mps, 0, 1000),
                _heading(row.heading_deg),
                _within(row.accuracy_m, 0, 1e7),
                source,
            )
            good.append((i, kept))
        late = duplicates = 0
        since_s = self._clock.monotonic_s()
        with self._lock:
            for i, kept in good:
                n = self._index_of(kept.unit)
                last_us = int(self._rows["observed_us"][n])
                moves = self._wins(kept, last_us, float(self._rows["accuracy_m"][n]))
                if not moves and kept.observed_us == last_us:
                    duplicates += 1
                    continue
                if len(self._pending) >= self._pending_max:
                    refused.append(Refusal(i, kept.unit, "overloaded", self._overload()))
                    continue
                if moves:
                    self._move(n, kept)
                else:
                    late += 1
                if moves or self._history:
                    self._pending.append(_Pending(since_s, moves, kept))
        refused.sort(key=lambda refusal: refusal.index)
        return Receipt(len(rows) - len(refused), late, duplicates, refused)

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

    def _wins(self, new: StoredFix, last_us: int, last_accuracy_m: float) -> bool:
        """Whether `new` takes the place of a last fix: the newest observed, or at the same instant the
        more accurate. A last fix that lies in the future was made by a wrong clock and gives way."""
        if new.observed_us == last_us:
            return new.accuracy_m is not None and not last_accuracy_m <= new.accuracy_m
        return new.observed_us > last_us or last_us > new.received_us + self._max_future_us

    def _move(self, n: int, to: StoredFix) -> None:
        self._tick += 1
        self._rows[n] = (
            to.lon,
            to.lat,
            to.observed_us,
            to.received_us,
            _nan(to.speed_mps),
            _nan(to.heading_deg),
            _nan(to.accuracy_m),
            self._tick,
        )
        self._sources[n] = to.source

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
            self._sources.append("")
        return n

    def arrays(self) -> Fixes:
        """A copy of the last fixes, all of one moment."""
        with self._lock:
            units = tuple(self._units)
            rows = self._rows[: len(units)].copy()
        columns = {name: np.ascontiguousarray(rows[name]) for name in _ROW.names or () if name != "tick"}
        return Fixes(units, **columns)

    def changed_since(self, tick: int) -> tuple[int, NDArray[np.int64]]:
        """The tick now, and the indices of the units that moved after `tick`; begin with 0."""
        with self._lock:
            return self._tick, np.flatnonzero(self._rows["tick"][: len(self._units)] > tick)

    def last(self, unit: str) -> StoredFix | None:
        """The last fix of `unit`, or None when it never had one."""
        with self._lock:
            n = self._index.get(unit)
            if n is None or math.isnan(self._rows["lon"][n]):
                return None
            lon, lat, observed_us, received_us, speed_mps, heading_deg, accuracy_m, _ = self._rows[n].item()
            source = self._sources[n]
        return StoredFix(
            unit,
            lon,
            lat,
            observed_us,
            received_us,
            _none(speed_mps),
            _none(heading_deg),
            _none(accuracy_m),
            source,
        )

    def trail(self, unit: str, from_us: int, to_us: int, limit: int = 1000) -> list[StoredFix]:
        """The newest `limit` fixes of `unit` observed in [from_us, to_us], oldest first, from disk."""
        columns = [fix_table.c[name] for name in _COLUMNS]
        wanted = (
            select(*columns)
            .where(fix_table.c.unit == unit, fix_table.c.observed_at.between(from_us, to_us))
            .order_by(fix_table.c.observed_at.desc())
            .limit(limit)
        )
        with self._engine.connect() as db:
            return [StoredFix(*row) for row in db.execute(wanted)][::-1]

    def frame(self, indices: ArrayLike, now_us: int) -> bytes:
        """The binary position frame of the units at `indices` (those without a fix are left out).

        Little endian: u8 version, u8 flags, u16 reserved, u32 count, f64 server time (s); then arrays of
        `count`: u32 n, i32 lon and i32 lat (1e-7 degrees), u32 age (ms), u16 heading (tenths of a degree)
        and u16 speed (cm/s), both 65535 where unknown.
        """
        n = np.asarray(indices, dtype=np.int64).reshape(-1)
        with self._lock:
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
            rows = [
                {**_record(kept), "rev": rev} for rev, kept in enumerate(newest.values(), start=before + 1)
            ]
            if rows:
                db.execute(self._upsert(db.dialect.name), rows)
            if self._history:
                insert = _INSERT[db.dialect.name](fix_table).on_conflict_do_nothing()
                db.execute(insert, [_record(pending.fix) for pending in batch])
        with self._lock:
            del self._pending[: len(batch)]
        if before == self._rev:
            # Nobody else wrote in between: what is new on disk is what memory holds already.
            self._rev = before + len(rows)

    def _upsert(self, dialect: str) -> Any:
        insert = _INSERT[dialect](last_fix)
        new, old = insert.excluded, last_fix.c
        unknown_m = 1e9
        wins = or_(
            new.observed_at > old.observed_at,
            and_(
                new.observed_at == old.observed_at,
                func.coalesce(new.accuracy_m, unknown_m) < func.coalesce(old.accuracy_m, unknown_m),
            ),
            old.observed_at > new.received_at + self._max_future_us,
        )
        changed = {name: new[name] for name in (*_COLUMNS[1:], "rev")}
        return insert.on_conflict_do_update(index_elements=["unit"], set_=changed, where=wins)

    def _follow(self, db: Connection) -> None:
        columns = [last_fix.c[name] for name in _COLUMNS]
        newer = select(last_fix.c.rev, *columns).where(last_fix.c.rev > self._rev).order_by(last_fix.c.rev)
        with db.begin():
            rows = db.execute(newer).all()
        if not rows:
            return
        with self._lock:
            for _, *values in rows:
                kept = StoredFix(*values)
                n = self._index_of(kept.unit)
                last = self._rows[n]
                if self._wins(kept, int(last["observed_us"]), float(last["accuracy_m"])):
                    self._move(n, kept)
        self._rev = rows[-1].rev

    def _prune(self, db: Connection) -> None:
        """Drop the oldest history, a little at a time, so that no flush waits for it."""
        now_s = self._clock.monotonic_s()
        if not self._history or now_s - self._pruned_s < _PRUNE_EVERY_S:
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


_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
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


def _record(kept: StoredFix) -> dict[str, Any]:
    return dict(zip(_COLUMNS, kept, strict=True))


def _within(value: float | None, low: float, high: float) -> float | None:
    return float(value) if value is not None and low <= value <= high else None


def _heading(value: float | None) -> float | None:
    return float(value) % 360 if value is not None and -360 <= value <= 720 else None


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _words(us: int) -> str:
    try:
        return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{us} us"
