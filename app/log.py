"""The log: the only writer of `event`, in one thread, acknowledged only when it is on disk.

Work is handed to the writer as functions; the writer runs as many as are waiting inside one transaction
(group commit), so a storm of calls costs one disk flush, not one each. Whoever follows the log (the
operating picture) is folded forward inside that transaction and published after the commit: nothing is
ever seen that a power cut could take back.

An event's hash is SHA-256 over the canonical JSON array
`[hash_version, prev_hash, origin, seq, lamport, recorded_at, observed_at, type, version, subjects, data,
cause, cause_index, request_hash, actor, epoch]`, `subjects` and `data` as the stored texts. Each origin
has a chain of its own, which starts from 64 zeros. `received_at` and `position` are local and not hashed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import (
    BindParameter,
    Connection,
    Dialect,
    Engine,
    Select,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from app import metrics, migrations, trace
from app.database import WRITER_LOCK, Prepared
from app.native import Empty, Promise, SimpleQueue, sleep, start_thread
from app.ports import World
from app.tables import answered, erased, event, event_subject, lineage, private, private_key, quarantine
from app.vault import Blob, Vault
from dispatch import events as e
from dispatch.state import refolds

HASH_VERSION = 1
GENESIS = "0" * 64
NOTHING = (0, GENESIS)
GROUP_MAX = 256
"""The most works that share one commit; a longer queue waits for the next."""
ANSWERED_KEPT_US = 7 * 86_400_000_000
"""How long the answer to a request that changed nothing is remembered."""

Heads = dict[str, tuple[int, str]]
"""Number and hash of the last event, by origin."""

T = TypeVar("T")
log_ = logging.getLogger("straja.log")


WRITER_SETTINGS = ("idle_in_transaction_session_timeout = '10s'", "lock_timeout = '10s'")
"""PostgreSQL ends the transaction of a process that hangs in the middle of it, for all others wait for it;
and who waits for the writer's lock is refused in the end. Set once the log is open: to read it whole may
take longer than this."""
TOUCH_BYTES = 65_536
"""How much room there must be before it is said that recording is possible again; given back at once."""
SPACE_LOOK_S = 2.0
"""How often free space is looked at while nothing is written: a banner comes before the first refusal."""


class StorageError(Exception):
    """The log could not be written. `code` is "disk-full", "storage-unavailable", or "database-version" after
    a newer program has migrated the database: nothing of the request was kept. Or it is "outcome-unknown",
    when the database went away while it was being committed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Failing:
    """Why nothing can be recorded just now, by its code and in words, and since when (microseconds)."""

    code: str
    detail: str
    since_us: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as stored and as sent between nodes; `position` and `received_at` are each node's own."""

    position: int
    origin: str
    seq: int
    lamport: int
    recorded_at: int
    observed_at: int
    received_at: int
    type: str
    version: int
    subjects: str
    data: str
    cause: str
    cause_index: int
    request_hash: str
    actor: str
    epoch: int
    hash_version: int
    prev_hash: str
    hash: str

    def digest(self) -> str:
        """The hash that the envelope ought to have."""
        parts = [
            self.hash_version,
            self.prev_hash,
            self.origin,
            self.seq,
            self.lamport,
            self.recorded_at,
            self.observed_at,
            self.type,
            self.version,
            self.subjects,
            self.data,
            self.cause,
            self.cause_index,
            self.request_hash,
            self.actor,
            self.epoch,
        ]
        return hashlib.sha256(e.canonical(parts).encode()).hexdigest()

    def as_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _COLUMNS}

    def recorded(self, fact: e.Event | None = None, source: str = "") -> e.Recorded:
        """The fact with its envelope as the fold sees it."""
        if fact is None:
            fact, source = e.decode(self.type, self.version, self.data)
        return e.Recorded(
            event=fact,
            type=self.type,
            position=self.position,
            origin=self.origin,
            seq=self.seq,
            lamport=self.lamport,
            recorded_us=self.recorded_at,
            observed_us=self.observed_at,
            received_us=self.received_at,
            actor=self.actor,
            epoch=self.epoch,
            cause=self.cause,
            cause_index=self.cause_index,
            source=source,
            subjects=tuple(json.loads(self.subjects)),
        )


_COLUMNS = tuple(Envelope.__dataclass_fields__)
_SELECT = select(*(event.c[name] for name in _COLUMNS))
_LONGEST = {c.name: c.type.length for c in event.columns if isinstance(c.type, String) and c.type.length}
_SUBJECT_MAX = 128
HEAD_BYTES = 256
"""Size of the file that remembers how far the log had come: one write in place, never half of it."""


class _Statements:
    """What the writer runs for every command, prepared once."""

    def __init__(self, dialect: Dialect) -> None:
        given: BindParameter[Any] = bindparam("causes")
        listed = func.json_each(given).table_valued("value")

        def met(table: Table) -> Select[Any]:
            one_of = (
                table.c.cause.in_(select(listed.c.value))
                if dialect.name == "sqlite"
                else table.c.cause == func.any(given)
            )
            return select(table.c.cause, table.c.position, table.c.request_hash).where(one_of)

        later = _SELECT.where(event.c.position > bindparam("position")).order_by(event.c.position)
        self.after = Prepared(later, dialect)
        self.cause = Prepared(union_all(met(event), met(answered)), dialect)
        self.event = Prepared(insert(event), dialect, _COLUMNS)
        self.subject = Prepared(insert(event_subject), dialect, ("subject", "position"))
        self.schema = Prepared(select(migrations.MAIN.version.c.version_num), dialect)
        self.private = Prepared(insert(private).inline(), dialect, ("id", "ciphertext"))
        self.key = Prepared(insert(private_key).inline(), dialect, ("id", "key"))


class Follower(Protocol):
    """What is folded forward with the log. Called on the writer's thread only."""

    def load(self, connection: Connection) -> None: ...

    def fold(self, facts: Sequence[e.Recorded], own_origin: str, connection: Connection) -> None: ...

    def refold(self, subjects: Iterable[str], connection: Connection) -> None: ...

    def flush(self, connection: Connection) -> None: ...

    def publish(self, position: int) -> None: ...

    def discard(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Done:
    """An earlier answer to the same request: where it stands in the log and what it was asked with."""

    position: int
    request_hash: str


@dataclass(slots=True)
class _Work:
    run: Callable[[Transaction], Any]
    cause: str | None
    promise: Promise[Any]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did: events taken per origin, streams put aside and why, subjects to look at."""

    accepted: dict[str, int]
    quarantined: dict[str, str]
    subjects: frozenset[str]


class Transaction:
    """What a work may do inside the writer's transaction."""

    def __init__(self, log: Log, connection: Connection, done: dict[str, Done]) -> None:
        self._log = log
        self.connection = connection
        self._done = done
        self._events: list[dict[str, Any]] = []
        self._subjects: list[dict[str, Any]] = []
        self._blobs: list[Blob] = []
        self._erased: list[str] = []
        self._answered: list[dict[str, Any]] = []
        self.clear: dict[str, Any] = {}
        self.merged = False

    @property
    def position(self) -> int:
        return self._log._head.position

    def done(self, cause: str) -> Done | None:
        """What this cause already led to, at any node, in this transaction too."""
        return self._done.get(cause)

    def met(self, cause: str) -> bool:
        """Whether a request was answered before, in this transaction or on disk."""
        return cause in self._done or cause in self._log._causes_done(self.connection, [cause])

    def remember(self, cause: str, request_hash: str) -> int:
        """Note the answer to a request that changed nothing, lest it act when it is sent again later; the
        position at which it was answered."""
        row = {"cause": cause, "position": self.position, "request_hash": request_hash}
        self._answered.append({**row, "at": self._log.world.clock.now_us()})
        self._done[cause] = Done(self.position, request_hash)
        return self.position

    def append(
        self,
        facts: Sequence[e.Event],
        *,
        cause: str,
        request_hash: str,
        actor: str,
        source: str,
        observed_us: int | None,
        epoch_of: Callable[[e.Event], int],
        each_us: Sequence[int | None] = (),
    ) -> int:
        """Record the facts of one command; the position of the last. `each_us`: when each of them happened,
        where that is not one time for all. Raises ValueError or TypeError,
        before anything is kept, for a value that the log's JSON or the database cannot hold."""
        head = self._log._head
        now = self._log.world.clock.now_us()
        blobs: list[Blob] = []
        clear: dict[str, Any] = {}

        def sealer(value: Any) -> e.Sealed:
            sealed, blob = self._log.vault.seal(value)
            blobs.append(blob)
            clear[sealed.id] = value
            return sealed

        made: list[tuple[Envelope, e.Recorded]] = []
        next_head = head
        for index, plain in enumerate(facts):
            fact = e.seal(plain, sealer)
            recorded_us = max(now, next_head.recorded + 1)
            seen_us = each_us[index] if index < len(each_us) else observed_us
            envelope = Envelope(
                position=next_head.position + 1,
                origin=self._log.origin,
                seq=next_head.seq + 1,
                lamport=next_head.lamport + 1,
                recorded_at=recorded_us,
                observed_at=now if seen_us is None else seen_us,
                received_at=now,
                type=type(fact).__name__,
                version=fact.VERSION,
                subjects=e.canonical(list(fact.subjects())),
                data=e.encode(fact, source),
                cause=cause,
                cause_index=index,
                request_hash=request_hash,
                actor=actor,
                epoch=epoch_of(fact),
                hash_version=HASH_VERSION,
                prev_hash=next_head.hash,
                hash="",
            )
            envelope = _with_hash(envelope)
            rec = envelope.recorded(fact, source)
            unfit = _unfit(envelope, rec.subjects)
            if unfit is not None:
                raise ValueError(unfit)
            made.append((envelope, rec))
            next_head = _Head(
                envelope.position, envelope.seq, envelope.lamport, envelope.recorded_at, envelope.hash
            )
        self._log._head = next_head
        self._blobs += blobs
        self.clear |= clear
        for envelope, rec in made:
            self._keep(envelope, rec)
        if any(refolds(rec) for _, rec in made):
            # Whoever folds a subject anew looks for its facts on the disk.
            self.flush()
        self._done[cause] = Done(next_head.position, request_hash)
        self._log._follower.fold([rec for _, rec in made], self._log.origin, self.connection)
        return next_head.position

    def _keep(self, envelope: Envelope, rec: e.Recorded) -> None:
        self._events.append(envelope.as_row())
        self._subjects += [{"subject": s, "position": envelope.position} for s in dict.fromkeys(rec.subjects)]
        if isinstance(rec.event, e.ERASING):
            self._erased += rec.event.ids

    def merge(self, envelopes: Sequence[Envelope], blobs: Sequence[Blob]) -> Merged:
        """Take events of other nodes: contiguous per origin, each chain checked before it is believed. A
        broken chain stops its own stream only, and only until a good copy comes."""
        self.flush()
        now = self._log.world.clock.now_us()
        chains: dict[str, tuple[int, str]] = {}
        accepted: dict[str, int] = {}
        bad = {row.origin: row for row in self.connection.execute(select(quarantine))}
        reasons = {origin: str(row.reason) for origin, row in bad.items()}
        stopped: set[str] = set()
        known_more = False
        subjects: set[str] = set()
        sha256 = {blob.id: hashlib.sha256(blob.ciphertext).hexdigest() for blob in blobs}
        wanted: set[str] = set()
        for given in sorted(envelopes, key=lambda x: (x.origin, x.seq)):
            origin = given.origin
            if origin in stopped:
                continue
            if origin not in chains:
                chains[origin] = self._log._chain_head(self.connection, origin)
            seq, last_hash = chains[origin]
            known_more = known_more or (origin == self._log.origin and given.seq > seq)
            if given.seq > seq + 1:
                continue
            if given.seq <= seq:
                fault = self._fork(given)
                if fault is None:
                    continue
            else:
                fault = _fault(given, last_hash) or _unreadable(given)
            if fault is not None:
                stopped.add(origin)
                # A good copy cures an event that came damaged; nothing cures two events under one number.
                if origin not in bad or given.seq <= seq < bad[origin].seq:
                    self.connection.execute(delete(quarantine).where(quarantine.c.origin == origin))
                    self.connection.execute(
                        insert(quarantine).values(origin=origin, seq=given.seq, reason=fault, at=now)
                    )
                    reasons[origin] = fault
                    log_.error("stream %s is stopped at %s: %s", origin, given.seq, fault)
                continue
            sealed = _sealed_hashes(given.data)
            if any(sha256.get(ident, sha) != sha for ident, sha in sealed.items()):
                # Damaged on the way: were the event taken now, its personal data would never come again.
                stopped.add(origin)
                log_.warning("sealed data for event %s of %s came damaged", given.seq, origin)
                continue
            head = self._log._head
            envelope = Envelope(**{**given.as_row(), "position": head.position + 1, "received_at": now})
            rec = envelope.recorded()
            self._log._head = _Head(
                envelope.position, head.seq, max(head.lamport, envelope.lamport), head.recorded, head.hash
            )
            self._keep(envelope, rec)
            self._done[given.cause] = Done(envelope.position, given.request_hash)
            chains[origin] = (given.seq, given.hash)
            accepted[origin] = accepted.get(origin, 0) + 1
            subjects.update(rec.subjects)
            wanted.update(sealed)
            if origin in bad and bad[origin].seq == given.seq:
                self.connection.execute(delete(quarantine).where(quarantine.c.origin == origin))
                del bad[origin], reasons[origin]
        self._blobs += [blob for blob in blobs if blob.id in wanted]
        self.merged = self.merged or bool(accepted)
        self.flush()
        if known_more or self._log.origin in stopped:
            # A peer remembers more of this node than the node does itself: its disk was set back. What it
            # had said stays true under the old name; from here on it speaks under a new one.
            self._log._take_new_origin(self.connection)
        self._log._follower.refold(subjects, self.connection)
        return Merged(accepted, reasons, frozenset(subjects))

    def _fork(self, given: Envelope) -> str | None:
        """What is wrong with an event of which this node holds another form; None for a mere repetition."""
        held = self.connection.scalar(
            select(event.c.hash).where(event.c.origin == given.origin, event.c.seq == given.seq)
        )
        if held is None or held == given.hash or given.digest() != given.hash:
            return None
        return f"event {given.seq} is held here with other contents: two nodes spoke under one name"

    def flush(self) -> None:
        """Write what has gathered; called by the writer before it commits."""
        if self._events:
            self._log._sql.event.run(self.connection, self._events)
            self._log._sql.subject.run(self.connection, self._subjects)
        if self._blobs:
            self._write_blobs()
        if self._erased:
            self._erase(self._erased)
        if self._answered:
            old = self._log.world.clock.now_us() - ANSWERED_KEPT_US
            self.connection.execute(delete(answered).where(answered.c.at < old))
            self.connection.execute(insert(answered), self._answered)
            self._answered = []
        self._events, self._subjects, self._blobs, self._erased = [], [], [], []

    def _write_blobs(self) -> None:
        gone: set[str] = set()
        known: set[str] = set()
        if self.merged:
            ids = [blob.id for blob in self._blobs]
            gone = set(self.connection.scalars(select(erased.c.id).where(erased.c.id.in_(ids))))
            known = set(self.connection.scalars(select(private.c.id).where(private.c.id.in_(ids))))
        rows = [blob for blob in self._blobs if blob.id not in gone and blob.id not in known]
        if rows:
            sql = self._log._sql
            sql.private.run(self.connection, [{"id": b.id, "ciphertext": b.ciphertext} for b in rows])
            sql.key.run(self.connection, [{"id": b.id, "key": b.key} for b in rows])

    def _erase(self, idents: list[str]) -> None:
        for table, column in ((private, private.c.ciphertext), (private_key, private_key.c.key)):
            ours = table.c.id.in_(idents)
            if self._log.embedded:
                zeros = func.zeroblob(func.length(column))
                self.connection.execute(update(table).where(ours).values({column: zeros}))
            else:
                self.connection.execute(delete(table).where(ours))
        dialect = sqlite if self._log.embedded else postgresql
        self.connection.execute(
            dialect.insert(erased).on_conflict_do_nothing(),
            [{"id": ident, "at": self._log.world.clock.now_us()} for ident in idents],
        )
        self._log.vault.forget(idents)
        self._log._truncate_wal = True


@dataclass(frozen=True, slots=True)
class _Head:
    """Where the log stands: last local position, and the end of this node's own chain."""

    position: int = 0
    seq: int = 0
    lamport: int = 0
    recorded: int = 0
    hash: str = GENESIS


def _with_hash(envelope: Envelope) -> Envelope:
    object.__setattr__(envelope, "hash", envelope.digest())
    return envelope


def _fault(envelope: Envelope, last_hash: str) -> str | None:
    if envelope.hash_version != HASH_VERSION:
        return f"unknown hash version {envelope.hash_version}"
    if envelope.prev_hash != last_hash:
        return f"event {envelope.seq} does not follow the one before it"
    if envelope.hash != envelope.digest():
        return f"event {envelope.seq} was altered after it was recorded"
    return None


def _unfit(envelope: Envelope, subjects: Iterable[str]) -> str | None:
    """Why one of the databases could not keep an event: found here, it costs its own request or stream
    alone and not all that share the commit."""
    for name, longest in _LONGEST.items():
        value = getattr(envelope, name)
        if len(value) > longest or "\0" in value:
            return f"{name} has more than {longest} characters or a NUL"
    for name in ("observed_at", "recorded_at", "lamport", "epoch"):
        if not 0 <= getattr(envelope, name) < 2**62:
            return f"{name} is out of range"
    if any(len(subject) > _SUBJECT_MAX or "\0" in subject for subject in subjects):
        return f"a subject has more than {_SUBJECT_MAX} characters or a NUL"
    return None


def _unreadable(envelope: Envelope) -> str | None:
    try:
        rec = envelope.recorded()
        _sealed_hashes(envelope.data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"event {envelope.seq} cannot be read"
    if not all(isinstance(subject, str) for subject in rec.subjects):
        return f"event {envelope.seq} has subjects that are no text"
    return _unfit(envelope, rec.subjects)


def _sealed_hashes(data: str) -> dict[str, str]:
    """Id -> SHA-256 of all sealed values in an event's data, of types unknown to this program too."""
    found: dict[str, str] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "$sealed" in value:
                found[value["$sealed"]] = value["sha256"]
            else:
                for item in value.values():
                    look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    if '"$sealed"' in data:
        look(json.loads(data))
    return found


@dataclass(slots=True)
class Verified:
    """What `straja verify` found: events and heads per origin, and every fault in words."""

    events: int = 0
    heads: Heads = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    sealed: int = 0
    erased: int = 0


class Log:
    """Opened once a process; `start` runs its writer. All methods may be called from any thread."""

    def __init__(
        self,
        engine: Engine,
        world: World,
        vault: Vault,
        *,
        station: str,
        folder: Path | None = None,
        reserve_bytes: int = 0,
        poll_s: float = 0.05,
    ) -> None:
        self.engine = engine
        self.world = world
        self.vault = vault
        self.station = station
        self.embedded = engine.dialect.name == "sqlite"
        self.origin = ""
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._poll_s = poll_s
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._sql = _Statements(engine.dialect)
        self._schema = [(migrations.MAIN.head,)]
        self._broken = (
            SQLAlchemyError,
            cast("type[Exception]", getattr(engine.dialect.dbapi, "Error", OSError)),
        )
        self._head = _Head()
        self._head_file: int | None = None
        self._follower: Follower = _Nobody()
        self._started: Promise[None] = Promise()
        self._stopped: Promise[None] = Promise()
        self._unheard: Promise[None] = Promise()
        # A process that died may have left in the write-ahead log what it had erased.
        self._truncate_wal = True
        self._stopping = False
        self._after: list[Callable[[], None]] = []
        self.failing: Failing | None = None
        """What keeps the log from being written just now; None when all is well."""
        self._space_at_s = 0.0
        self.seen_us = 0
        """Up to when, by this machine's clock, everything on record has been read and published here."""

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be written just now, in words; None when all is well."""
        return self.failing.detail if self.failing is not None else None

    # ---- life

    def start(self, follower: Follower, *, timeout_s: float = 120.0) -> None:
        """Load the follower and start the writer's thread; returns when it is ready."""
        self._follower = follower
        start_thread(self._run, "straja-log")
        self._started.result(timeout_s)

    def stop(self) -> None:
        """Finish what is queued, then end the writer."""
        self._stopping = True
        self._queue.put(None)
        self._stopped.result(30)
        # A thread that is still inside the driver when the interpreter ends takes the process down with it.
        # Where the database is away it may be in there for longer than anybody waits.
        with suppress(TimeoutError):
            self._unheard.result(3)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` run on the writer's thread after each publication; it must be quick."""
        self._after.append(call)

    def transact(self, run: Callable[[Transaction], T], cause: str | None = None) -> T:
        """Run `run` in the writer's next transaction and return its answer once that is on disk.

        Raises whatever `run` raised, or StorageError when the disk or the database refused.
        """
        if self._stopping:
            raise StorageError("storage-unavailable", "The log is being closed; nothing was kept.")
        promise: Promise[T] = Promise()
        self._queue.put(_Work(run, cause, promise))
        return promise.result()

    def wake(self) -> None:
        """Look for events of other processes now rather than at the next poll."""
        self._queue.put(_Work(lambda _: None, None, Promise()))

    # ---- the writer

    def _run(self) -> None:
        connection: Connection | None = None
        try:
            connection = self._connect()
            self._open(connection)
            self._hurry(connection)
        except BaseException as error:  # noqa: BLE001 - whoever starts the log raises it
            self._started.fail(error)
            return
        self.seen_us = self.world.clock.now_us()
        self._started.keep(None)
        if self.embedded:
            self._unheard.keep(None)
        else:
            start_thread(self._listen, "straja-listen")
        seen = -1
        while True:
            works = self._gather()
            if works is None:
                break
            try:
                if connection is None:
                    # The count of a new connection says nothing: look at what others recorded meanwhile.
                    connection, seen = self._connect(), -1
                    self._hurry(connection)
                looked_us = self.world.clock.now_us()
                if works:
                    self._batch(connection, works)
                    if self.failing is None:
                        self.seen_us = looked_us
                        continue
                    # They were answered without a write, which says nothing about the disk.
                    works = []
                version = self._data_version(connection)
                if version != seen or not self.embedded:
                    seen = version
                    self._follow(connection)
                self.seen_us = looked_us
                self._look_at_space()
                if self.failing:
                    self._batch(connection, [_Work(self._touch, None, Promise())], proof=True)
                if self._truncate_wal:
                    self._scrub(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, the writer must go on
                failure = self._storage_error(error)
                metrics.DATABASE_ERRORS.labels("log").inc()
                expected = isinstance(error, (StorageError, *self._broken))
                # Before anybody is told, so that whoever is refused finds the trouble there.
                self._fail(failure, None if expected else error)
                for work in works:
                    work.promise.fail(failure)
                if connection is not None:
                    connection.invalidate()
                    connection.close()
                connection = None
                if not works:
                    sleep(0.5)
        if connection is not None:
            if not self.embedded:
                # Other processes look once for nothing; this one's listener need not wait for its second.
                with suppress(*self._broken):
                    connection.exec_driver_sql("NOTIFY straja_event")
            connection.close()
        if self._head_file is not None:
            os.close(self._head_file)
            self._head_file = None
        self._stopped.keep(None)

    def _gather(self) -> list[_Work] | None:
        """The works that are waiting; an empty list when it is time to look around; None to end."""
        try:
            first = self._queue.get(timeout=self._poll_s)
        except Empty:
            return None if self._stopping else []
        works: list[_Work] = []
        while True:
            if first is not None:
                works.append(first)
            if len(works) >= GROUP_MAX:
                return works
            try:
                first = self._queue.get_nowait()
            except Empty:
                return works if works or not self._stopping else None

    def _connect(self) -> Connection:
        # AUTOCOMMIT leaves BEGIN and COMMIT to this module, which needs BEGIN IMMEDIATE on SQLite.
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _hurry(self, connection: Connection) -> None:
        if not self.embedded:
            for setting in WRITER_SETTINGS:
                connection.exec_driver_sql(f"SET {setting}")

    def _begin(self, connection: Connection) -> None:
        if self.embedded:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")
            connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))

    def _batch(self, connection: Connection, works: list[_Work], proof: bool = False) -> None:
        """Run the works in one transaction and answer them. `proof`: one of them is `_touch`."""
        self._check_space()
        watch = trace.Stopwatch()
        before = (self._head, self.origin)
        self._begin(connection)
        try:
            self._check_schema(connection)
            self._catch_up(connection)
            caught_up = self._head
            causes = [work.cause for work in works if work.cause is not None]
            tx = Transaction(self, connection, self._causes_done(connection, causes))
            answers: list[tuple[_Work, Any, BaseException | None]] = []
            for work in works:
                try:
                    answers.append((work, work.run(tx), None))
                except self._broken:
                    raise
                except Exception as error:  # noqa: BLE001 - raised again by whoever waits for it
                    answers.append((work, None, error))
            tx.flush()
            self._follower.flush(connection)
            if self.failing is not None and not proof and self._head is not caught_up:
                self._touch(tx)
                proof = True
            if not self.embedded and self._head is not caught_up:
                connection.exec_driver_sql("NOTIFY straja_event")
            self._commit(connection)
        except BaseException:
            self._head, self.origin = before
            self._follower.discard()
            _roll_back(connection)
            raise
        # It is on disk: from here on nothing may turn an answer into an error.
        metrics.LOG_SECONDS.observe(watch.seconds)
        metrics.LOG_BATCH.observe(len(works))
        if self.failing is not None and proof:
            log_.warning("recording is possible again")
            self.failing = None
        for ident, value in tx.clear.items():
            self.vault.remember(ident, value)
        self._publish()
        if self._head is not before[0]:
            self._keep_head()
        if self._truncate_wal:
            self._scrub(connection)
        for work, answer, failure in answers:
            if failure is None:
                work.promise.keep(answer)
            else:
                work.promise.fail(failure)

    def _commit(self, connection: Connection) -> None:
        """Raises StorageError "outcome-unknown" where the server took the commit and its answer was lost."""
        try:
            connection.exec_driver_sql("COMMIT")
        except self._broken as error:
            if self.embedded or not getattr(error, "connection_invalidated", True):
                raise
            raise StorageError(
                "outcome-unknown",
                "The database went away while this was being recorded: it may have been kept, or not. Send"
                " the same request again, with the same id or key.",
            ) from error

    def _publish(self) -> None:
        self._follower.publish(self._head.position)
        for call in self._after:
            try:
                call()
            except Exception:
                log_.exception("a listener of the log failed")

    def _scrub(self, connection: Connection) -> None:
        """Empty the write-ahead log, so that what was erased does not live on in it. While somebody reads
        from it that cannot be done; it is tried again when the writer is idle."""
        if not self.embedded:
            self._truncate_wal = False
            return
        try:
            connection.exec_driver_sql("PRAGMA busy_timeout = 50")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            connection.exec_driver_sql("PRAGMA busy_timeout = 10000")
            self._truncate_wal = bool(busy)
        except self._broken as error:
            log_.warning("what was erased may still stand in the write-ahead log: %s", error)

    def _touch(self, tx: Transaction) -> None:
        """Show that the log can be written again: only a write does, and only one that takes new room. A few
        bytes fit into a page that is there already, however full the disk is."""
        room = self.world.random.token(TOUCH_BYTES // 2).hex()
        self._write_lineage(tx.connection, "touched", f"{self.world.clock.now_us()} {room}")
        self._write_lineage(tx.connection, "touched", str(self.world.clock.now_us()))

    def _follow(self, connection: Connection) -> None:
        before = (self._head, self.origin)
        connection.exec_driver_sql("BEGIN")
        try:
            self._catch_up(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            self._head, self.origin = before
            self._follower.discard()
            _roll_back(connection)
            raise
        if self._head is not before[0]:
            self._publish()
            if self._head.seq != before[0].seq:
                age_us = self.world.clock.now_us() - self._head.recorded
                metrics.FOLLOW_SECONDS.observe(max(0, age_us) / 1e6)

    def _catch_up(self, connection: Connection) -> None:
        """Fold what other processes of this node have recorded since."""
        rows = self._sql.after.all(connection, position=self._head.position)
        if not rows:
            return
        envelopes = [Envelope(*row) for row in rows]
        current = connection.scalar(select(lineage.c.value).where(lineage.c.name == "origin"))
        if current is not None and current != self.origin:
            self.origin = current
            seq, last_hash = self._chain_head(connection, current)
            self._head = _Head(self._head.position, seq, self._head.lamport, self._head.recorded, last_hash)
        for x in envelopes:
            own = x.origin == self.origin
            self._head = _Head(
                x.position,
                x.seq if own else self._head.seq,
                max(self._head.lamport, x.lamport),
                x.recorded_at if own else self._head.recorded,
                x.hash if own else self._head.hash,
            )
        facts = [x.recorded() for x in envelopes]
        for rec in facts:
            if isinstance(rec.event, e.ERASING):
                self.vault.forget(rec.event.ids)
        self._follower.fold(facts, self.origin, connection)

    def _causes_done(self, connection: Connection, causes: list[str]) -> dict[str, Done]:
        if not causes:
            return {}
        given = json.dumps(causes) if self.embedded else causes
        rows = self._sql.cause.all(connection, causes=given)
        done: dict[str, Done] = {}
        for cause, position, request_hash in rows:
            if cause not in done or position > done[cause].position:
                done[cause] = Done(position, request_hash)
        return done

    def met(self, cause: str) -> bool:
        """Whether a request was answered before, as far as is on disk."""
        return self.answered(cause) is not None

    def answered(self, cause: str) -> Done | None:
        """How a request was answered before, as far as is on disk."""
        with self.engine.connect() as connection:
            return self._causes_done(connection, [cause]).get(cause)

    def _data_version(self, connection: Connection | None) -> int:
        if connection is None or not self.embedded:
            return 0
        return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())

    def _listen(self) -> None:
        """Wake the writer when another process has committed (PostgreSQL); the poll covers what is missed."""
        while not self._stopping:
            try:
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    raw = connection.connection.driver_connection
                    assert raw is not None
                    raw.execute("LISTEN straja_event")
                    while not self._stopping:
                        for _ in raw.notifies(timeout=1.0, stop_after=1):
                            self.wake()
            except Exception:  # noqa: BLE001 - the poll goes on; listening is tried again
                if not self._stopping:
                    sleep(1.0)
        self._unheard.keep(None)

    def _check_schema(self, connection: Connection) -> None:
        """A newer program may have migrated the database beneath this one, which then must not write to it:
        inside the transaction, since a migration and a writer hold the same lock."""
        found = self._sql.schema.all(connection)
        if [tuple(row) for row in found] != self._schema:
            where = found[0][0] if found else "none"
            raise StorageError(
                "database-version",
                f"The database was migrated to schema {where} and this process knows {self._schema[0][0]}: "
                "it must be started again with the newer program.",
            )

    def _fail(self, error: StorageError, fault: Exception | None) -> None:
        """Note what is wrong, and from when on. Said in the log once, and again when it becomes something
        else; with a traceback where it is a fault of this program."""
        was = self.failing
        if was is not None and (was.code, was.detail) == (error.code, error.detail):
            return
        log_.error("nothing can be recorded: %s", error.detail, exc_info=fault)
        since_us = was.since_us if was is not None else self.world.clock.now_us()
        self.failing = Failing(error.code, error.detail, since_us)

    def _look_at_space(self) -> None:
        now_s = self.world.clock.monotonic_s()
        if now_s >= self._space_at_s:
            self._space_at_s = now_s + SPACE_LOOK_S
            self._check_space()

    def _check_space(self) -> None:
        if self._reserve_bytes and self._is_full():
            raise StorageError(
                "disk-full",
                f"Less than {self._reserve_bytes // 1_000_000} MB are free on the disk of the log; "
                "free some space and try again.",
            )

    def _is_full(self) -> bool:
        return self._folder is not None and self.world.disk.free_bytes(self._folder) < self._reserve_bytes

    def _storage_error(self, error: BaseException) -> StorageError:
        if isinstance(error, StorageError):
            return error
        text = str(getattr(error, "orig", None) or error)
        if "full" in text or "No space" in text or "could not extend" in text:
            return StorageError("disk-full", "The disk of the log is full; nothing of this request was kept.")
        return StorageError(
            "storage-unavailable", f"The log cannot be written: {text.splitlines()[0] if text else error!r}"
        )

    # ---- identity

    def _open(self, connection: Connection) -> None:
        self._begin(connection)
        try:
            self._settle(connection)
            position = connection.scalar(select(func.max(event.c.position))) or 0
            lamport = connection.scalar(select(func.max(event.c.lamport))) or 0
            seq, last_hash = self._chain_head(connection, self.origin)
            recorded = (
                connection.scalar(
                    select(event.c.recorded_at).where(event.c.origin == self.origin, event.c.seq == seq)
                )
                or 0
            )
            self._head = _Head(position, seq, lamport, recorded, last_hash)
            self._follower.load(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
        self._keep_head()
        self._follower.publish(self._head.position)

    def _settle(self, connection: Connection) -> None:
        """Find out whether this is the same log on the same machine as before, or a copy of it.

        A restored backup or a cloned machine would hand out sequence numbers that others have already
        seen with other contents, so it takes a new random incarnation. The database keeps a fingerprint
        of where it lives, and a file beside it how far it had come: a database that has less was set back.
        """
        stored = {row.name: row.value for row in connection.execute(select(lineage))}
        fingerprint = self._fingerprint(connection)
        if (
            "origin" not in stored
            or stored.get("fingerprint") != fingerprint
            or not self._reaches_kept_head(connection, stored["origin"])
        ):
            self._take_new_origin(connection)
            self._write_lineage(connection, "fingerprint", fingerprint)
        else:
            self.origin = stored["origin"]

    def _keep_head(self) -> None:
        """Note how far the log has come, after the commit and so never ahead of it. Not flushed to the
        disk by force: a power cut may lose the last notes, which then only watch less closely."""
        if self._folder is None:
            return
        head = self._head
        note = f"{head.position} {self.origin} {head.seq} {head.hash}\n".encode().rjust(HEAD_BYTES)
        try:
            if self._head_file is None:
                self._head_file = os.open(self._folder / "head", os.O_WRONLY | os.O_CREAT, 0o600)
            os.pwrite(self._head_file, note, 0)
        except OSError as error:
            log_.warning("could not note how far the log has come: %s", error)

    def _reaches_kept_head(self, connection: Connection, origin: str) -> bool:
        path = None if self._folder is None else self._folder / "head"
        if path is None or not path.exists():
            return True
        try:
            position, name, seq, last_hash = path.read_text().split()
            kept = (int(position), name, int(seq), last_hash)
        except ValueError:
            return True
        if (connection.scalar(select(func.max(event.c.position))) or 0) < kept[0]:
            return False
        found = connection.scalar(
            select(event.c.hash).where(event.c.origin == kept[1], event.c.seq == kept[2])
        )
        # A name under which nothing was said yet is known by the database only if it is its own.
        return found == kept[3] if kept[2] else origin == kept[1]

    def _take_new_origin(self, connection: Connection) -> None:
        self.origin = f"{self.station}#{self.world.random.token(6).hex()}"
        self._write_lineage(connection, "origin", self.origin)
        head = self._head
        self._head = _Head(head.position, 0, head.lamport, head.recorded, GENESIS)
        log_.warning("this node records as %s from here on", self.origin)

    def _write_lineage(self, connection: Connection, name: str, value: str) -> None:
        connection.execute(delete(lineage).where(lineage.c.name == name))
        connection.execute(insert(lineage).values(name=name, value=value))

    def _fingerprint(self, connection: Connection) -> str:
        if not self.embedded:
            row = connection.exec_driver_sql(
                "SELECT c.system_identifier, p.timeline_id,"
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
                " FROM pg_control_system() c, pg_control_checkpoint() p"
            ).one()
            return "/".join(str(part) for part in row)
        if self._folder is None:
            return "memory"
        return f"{self._whereabouts()}/{self._boot_mark(connection)}"

    def _whereabouts(self) -> str:
        """This machine, this folder, this very file: a copy anywhere else is another log."""
        path = self.engine.url.database
        inode = os.stat(path).st_ino if path and os.path.exists(path) else 0
        return f"{_machine_id()}/{inode}/{self._folder and self._folder.resolve()}"

    def _boot_mark(self, connection: Connection) -> str:
        """A random word kept both in the database and in a file beside it. A database copied back from
        a backup meets a file that has moved on (or none at all), and so knows what it is."""
        assert self._folder is not None
        path = self._folder / "lineage"
        stored = connection.scalar(select(lineage.c.value).where(lineage.c.name == "mark"))
        beside = path.read_text().strip() if path.exists() else ""
        if stored is not None and stored == beside:
            return stored
        mark = self.world.random.token(16).hex()
        self._write_lineage(connection, "mark", mark)
        write_durably(path, mark + "\n")
        return mark

    def renew_mark(self) -> None:
        """Move the mark on, so that any copy of the database made before now is known for a copy."""

        def renew(tx: Transaction) -> None:
            if self.embedded and self._folder is not None:
                mark = self.world.random.token(16).hex()
                self._write_lineage(tx.connection, "mark", mark)
                self._write_lineage(tx.connection, "fingerprint", f"{self._whereabouts()}/{mark}")
                write_durably(self._folder / "lineage", mark + "\n")

        self.transact(renew)

    # ---- reading

    def _chain_head(self, connection: Connection, origin: str) -> tuple[int, str]:
        row = connection.execute(
            select(event.c.seq, event.c.hash)
            .where(event.c.origin == origin)
            .order_by(event.c.seq.desc())
            .limit(1)
        ).first()
        return (row.seq, row.hash) if row else NOTHING

    @property
    def position(self) -> int:
        return self._head.position

    def cursor(self, position: int) -> str:
        """The opaque cursor for a local position: valid for this incarnation only."""
        return base64.urlsafe_b64encode(f"{self.origin}:{position}".encode()).decode().rstrip("=")

    def position_of(self, cursor: str) -> int | None:
        """The position of a cursor of this incarnation; None for any other text. A plain number is taken
        as a position, so that a reader can begin at 0."""
        if cursor.isascii() and cursor.isdigit() and len(cursor) < 19:
            return int(cursor)
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
            origin, _, position = text.rpartition(":")
            if origin != self.origin or not (position.isascii() and position.isdigit()):
                return None
            return int(position) if len(position) < 19 else None
        except (ValueError, UnicodeDecodeError):
            return None

    def read(self, after: int = 0, limit: int = 1000, until: int | None = None) -> list[Envelope]:
        """Events in local order, after a position."""
        query = _SELECT.where(event.c.position > after).order_by(event.c.position).limit(limit)
        if until is not None:
            query = query.where(event.c.position <= until)
        with self.engine.connect() as connection:
            return [Envelope(*row) for row in connection.execute(query)]

    def have(self) -> Heads:
        """What this node holds: the last event of each origin."""
        last = select(event.c.origin, func.max(event.c.seq).label("seq")).group_by(event.c.origin).subquery()
        query = select(event.c.origin, event.c.seq, event.c.hash).join(
            last, (event.c.origin == last.c.origin) & (event.c.seq == last.c.seq)
        )
        with self.engine.connect() as connection:
            return {row.origin: (row.seq, row.hash) for row in connection.execute(query)}

    def missing(self, theirs: Heads, limit: int = 500) -> tuple[list[Envelope], list[Blob]]:
        """What a peer that holds `theirs` lacks, contiguous per origin, with the sealed data it needs.

        Of a stream that went on otherwise at the peer it is one event only, of a number that the peer has
        with other contents: that shows it that two nodes spoke under one name.
        """
        ours = self.have()
        found: list[Envelope] = []
        with self.engine.connect() as connection:

            def stream(origin: str, since: int, most: int) -> list[Envelope]:
                query = _SELECT.where(event.c.origin == origin, event.c.seq >= since)
                return [Envelope(*row) for row in connection.execute(query.order_by(event.c.seq).limit(most))]

            lacking = [origin for origin, head in ours.items() if head[0] > theirs.get(origin, NOTHING)[0]]
            # A fair share each: a stream that the peer cannot take must not keep the others from it.
            share = max(1, limit // max(1, len(lacking)))
            for origin in lacking[:limit]:
                seq, last_hash = theirs.get(origin, NOTHING)
                first, *rest = stream(origin, seq, share + 1)
                if first.seq > seq:
                    found += [first, *rest][:share]
                else:
                    found += rest if first.hash == last_hash else [first]
            stopped = set(connection.scalars(select(quarantine.c.origin)))
            for origin, head in ours.items():
                peer = theirs.get(origin, NOTHING)
                # Who holds more of a stream than we do is shown our end of it only when it is stopped here:
                # it may be the very node that goes on under a name which is used up.
                other = head != peer if head[0] == peer[0] else origin in stopped and head[0] < peer[0]
                if other and len(found) < limit:
                    found += stream(origin, head[0], 1)
            ids = [ident for envelope in found for ident in _sealed_hashes(envelope.data)]
            blobs: list[Blob] = []
            for start in range(0, len(ids), 500):
                rows = connection.execute(
                    select(private.c.id, private.c.ciphertext, private_key.c.key)
                    .join(private_key, private_key.c.id == private.c.id)
                    .where(private.c.id.in_(ids[start : start + 500]))
                    .where(private.c.id.not_in(select(erased.c.id)))
                )
                blobs += [Blob(*row) for row in rows]
        return found, blobs

    def merge(self, envelopes: Sequence[Envelope], blobs: Sequence[Blob] = ()) -> Merged:
        """Take what a peer sent; idempotent, in any order."""
        return self.transact(lambda tx: tx.merge(envelopes, blobs))

    def verify(self, progress: Callable[[int], None] = lambda n: None) -> Verified:
        """Check every chain and every sealed value from the first event on."""
        report = Verified()
        expected: dict[str, str] = {}
        with self.engine.connect() as connection:
            origins = connection.scalars(select(event.c.origin).distinct().order_by(event.c.origin)).all()
            for origin in origins:
                seq, last_hash = NOTHING
                for envelope in _stream(connection, origin):
                    report.events += 1
                    if envelope.seq != seq + 1:
                        report.faults.append(f"{origin}: event {seq + 1} is missing")
                    fault = _fault(envelope, last_hash)
                    if fault is not None:
                        report.faults.append(f"{origin}: {fault}")
                    else:
                        expected |= _sealed_hashes(envelope.data)
                    seq, last_hash = envelope.seq, envelope.hash
                    if report.events % 20_000 == 0:
                        progress(report.events)
                report.heads[origin] = (seq, last_hash)
            gone = set(connection.scalars(select(erased.c.id)))
            held = _not_zeroed(connection, private.c.id, private.c.ciphertext)
            keys = _not_zeroed(connection, private_key.c.id, private_key.c.key)
        for ident, sha256 in expected.items():
            if ident in held:
                report.sealed += 1
                if hashlib.sha256(held[ident]).hexdigest() != sha256:
                    report.faults.append(f"sealed value {ident} was altered")
                if ident not in keys:
                    report.faults.append(f"sealed value {ident} has lost its key")
                if ident in gone:
                    report.faults.append(f"sealed value {ident} was erased and is back")
            elif ident in gone:
                report.erased += 1
            else:
                report.faults.append(f"sealed value {ident} is missing and was never erased")
        return report


def subject_facts(connection: Connection, subject: str, until: int | None = None) -> list[e.Recorded]:
    """All facts about one subject, in local order."""
    rows = _subject_statement(connection.dialect).all(
        connection, subject=subject, until=2**62 if until is None else until
    )
    return [Envelope(*row).recorded() for row in rows]


def caused_facts(connection: Connection, cause: str, until: int | None = None) -> list[e.Recorded]:
    """All facts that one request led to, in local order."""
    rows = _cause_statement(connection.dialect).all(
        connection, cause=cause, until=2**62 if until is None else until
    )
    return [Envelope(*row).recorded() for row in rows]


@lru_cache(maxsize=64)
def _cause_statement(dialect: Dialect) -> Prepared:
    query = _SELECT.where(
        event.c.cause == bindparam("cause"), event.c.position <= bindparam("until")
    ).order_by(event.c.position)
    return Prepared(query, dialect)


def latest_facts(
    connection: Connection, subject: str, limit: int, before: int | None = None, beyond: int = 0
) -> list[e.Recorded]:
    """The last `limit` facts about one subject, the newest first in local order. With a position `before`,
    the last that lie before it, and `beyond` that many of those from there on, in front of them."""
    query = _SELECT.join(event_subject, event_subject.c.position == event.c.position)
    query = query.where(event_subject.c.subject == subject)
    at = event_subject.c.position
    rows: list[Any] = []
    if before is not None:
        rows = list(connection.execute(query.where(at >= before).order_by(at).limit(beyond)))[::-1]
        query = query.where(at < before)
    rows += connection.execute(query.order_by(at.desc()).limit(limit))
    return [Envelope(*row).recorded() for row in rows]


@lru_cache(maxsize=64)
def _subject_statement(dialect: Dialect) -> Prepared:
    query = (
        _SELECT.join(event_subject, event_subject.c.position == event.c.position)
        .where(event_subject.c.subject == bindparam("subject"), event.c.position <= bindparam("until"))
        .order_by(event.c.position)
    )
    return Prepared(query, dialect)


def stream_facts(
    connection: Connection, lower: str, upper: str, *, since_us: int = 0
) -> Iterator[tuple[str, e.Recorded]]:
    """(subject, fact) for every subject from `lower` up to but not `upper`, in local order; only facts that
    were recorded since."""
    query = (
        select(event_subject.c.subject, *(event.c[name] for name in _COLUMNS))
        .join(event, event_subject.c.position == event.c.position)
        .where(
            event_subject.c.subject >= lower,
            event_subject.c.subject < upper,
            event.c.recorded_at >= since_us,
        )
        .order_by(event.c.position)
    )
    for row in connection.execute(query):
        yield row[0], Envelope(*row[1:]).recorded()


def _stream(connection: Connection, origin: str) -> Iterator[Envelope]:
    last = -1
    while True:
        rows = connection.execute(
            _SELECT.where(event.c.origin == origin, event.c.seq > last).order_by(event.c.seq).limit(5000)
        ).all()
        if not rows:
            return
        for row in rows:
            envelope = Envelope(*row)
            last = envelope.seq
            yield envelope


def _not_zeroed(connection: Connection, ident: Any, value: Any) -> dict[str, bytes]:
    """Value by id, of the rows that hold more than the zeros that an erasure left."""
    return {row[0]: row[1] for row in connection.execute(select(ident, value)) if any(row[1])}


def _roll_back(connection: Connection) -> None:
    try:
        connection.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:
        # The server may have rolled back by itself, or be gone; the connection is thrown away anyway.
        connection.invalidate()


def _machine_id() -> str:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        if os.path.exists(path):
            text = Path(path).read_text().strip()
            if text:
                return hashlib.sha256(text.encode()).hexdigest()[:16]
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]


def write_durably(path: Path, text: str) -> None:
    """Replace a small file so that either the old or the new one is there after a power cut."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _Nobody:
    """The follower of a log that is only read."""

    def load(self, connection: Connection) -> None: ...

    def fold(self, facts: Sequence[e.Recorded], own_origin: str, connection: Connection) -> None: ...

    def refold(self, subjects: Iterable[str], connection: Connection) -> None: ...

    def flush(self, connection: Connection) -> None: ...

    def publish(self, position: int) -> None: ...

    def discard(self) -> None: ...
