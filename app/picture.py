"""The operating picture: what is known now, what was so at a time, what was known here by then.

The writer of the log folds it forward inside each transaction, into an overlay that nobody else sees;
after the commit the overlay becomes the picture. Readers on any thread see whole, committed entities.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Engine, delete, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from app.database import Prepared
from app.log import Envelope, caused_facts, stream_facts, subject_facts
from app.native import original
from app.ports import Clock
from app.tables import event, incident_index
from dispatch import events as e
from dispatch.call import Call
from dispatch.closure import Closure
from dispatch.incident import Incident
from dispatch.premise import Premise
from dispatch.proposal import Proposal
from dispatch.shift import HandOver, Planned
from dispatch.state import Entity, MemorySlots, State, apply, fold, refolds
from dispatch.unit import Unit

KEEP_CLOSED_US = 24 * 3600 * 1_000_000
"""How long a closed incident, a proposal that was answered, and a call stays in memory."""
EVICT_EVERY_S = 60.0
"""How often, at the most, the long closed ones are looked for."""
CHANGES_MAX = 20_000
"""How many changed subjects are remembered for consoles that come back with a cursor."""


class Picture:
    """Entities by subject. Reading is safe from any thread; folding happens on the log's thread."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._published: dict[str, Entity] = {}
        self._overlay: dict[str, Entity] = {}
        self._keys: dict[str, tuple[int, str, int]] = {}
        self._pending: dict[str, None] = {}
        self._changes: deque[tuple[int, str]] = deque(maxlen=CHANGES_MAX)
        self._changes_from = 0
        self._loaded = False
        self._evict_at_s = 0.0
        self._lock = original("_thread", "allocate_lock")()
        self._connection: Connection | None = None
        self._absent: set[str] = set()
        self.position = 0
        self.now = State(_Published(self))
        """The present, committed state."""
        self.working = State(_Working(self))
        """The state inside the writer's transaction; for `decide`, on the writer's thread only."""

    # ---- the log's follower

    def load(self, connection: Connection) -> None:
        """Fold all units, stations and alarms, and the incidents and closures that go on or lately did."""
        gathered: dict[str, list[e.Recorded]] = {}
        kinds = ("station", "unit", "closure", "premise", "alarm")
        for lower, upper in ((f"{kind}:", f"{kind};") for kind in kinds):
            for subject, rec in stream_facts(connection, lower, upper):
                gathered.setdefault(subject, []).append(rec)
        for lower, upper in (("handover:", "handover;"), ("planned:", "planned;")):
            for subject, rec in stream_facts(connection, lower, upper):
                gathered.setdefault(subject, []).append(rec)
        if connection.scalar(select(incident_index.c.id).limit(1)) is None:
            # Somebody dropped what can be dropped: without it the open incidents would not be found.
            _fill_index(connection)
        recent = self._clock.now_us() - KEEP_CLOSED_US
        wanted = connection.scalars(
            select(incident_index.c.id).where(
                or_(incident_index.c.closed_at.is_(None), incident_index.c.closed_at > recent)
            )
        ).all()
        for incident_id in wanted:
            gathered[f"incident:{incident_id}"] = subject_facts(connection, f"incident:{incident_id}")
        for lower, upper in (("proposal:", "proposal;"), ("call:", "call;")):
            for subject, rec in stream_facts(connection, lower, upper, since_us=recent):
                gathered.setdefault(subject, []).append(rec)
        for subject, facts in gathered.items():
            entity = fold(subject, facts)
            # What of which only the end is that young comes back by subject, should anybody ask.
            halved = isinstance(entity, Proposal) and not entity.made
            halved = halved or (isinstance(entity, Call) and not entity.received)
            if not _is_over(entity, recent) and not halved:
                self._set(subject, entity, max(f.key for f in facts))
        self._pending.clear()

    def fold(self, facts: Sequence[e.Recorded], own_origin: str, connection: Connection) -> None:
        """Fold new facts; a subject that one of them reaches out of causal order, or of which one takes
        something back, is folded anew."""
        self._connection = connection
        late: dict[str, None] = {}
        for rec in facts:
            for subject in rec.subjects:
                if subject in late:
                    continue
                was = self.working_get(subject)
                out_of_order = rec.origin != own_origin or rec.key <= self._keys.get(subject, (0, "", 0))
                if out_of_order or refolds(rec):
                    late[subject] = None
                    continue
                self._set(subject, apply(subject, was, rec), rec.key)
        if late:
            self.refold(late, connection)

    def refold(self, subjects: Iterable[str], connection: Connection) -> None:
        """Fold subjects from all their facts in the log, those of the running transaction included."""
        self._connection = connection
        for subject in subjects:
            facts = subject_facts(connection, subject)
            if facts:
                self._set(subject, fold(subject, facts), max(f.key for f in facts))

    def _set(self, subject: str, entity: Entity | None, key: tuple[int, str, int]) -> None:
        if entity is None:
            return
        self._overlay[subject] = entity
        self._absent.discard(subject)
        self._keys[subject] = key
        self._pending[subject] = None

    def flush(self, connection: Connection) -> None:
        """Bring the search index up to date, in the same transaction as the facts."""
        rows = []
        for subject, entity in self._overlay.items():
            if isinstance(entity, Incident) and entity.reported:
                was = self._published.get(subject)
                if not isinstance(was, Incident) or _index_row(was) != _index_row(entity):
                    rows.append(_index_row(entity))
        if rows:
            _index_statement(connection.dialect).run(connection, rows)

    def publish(self, position: int) -> None:
        """Let everybody see what was just committed."""
        with self._lock:
            self._published.update(self._overlay)
            if not self._loaded:
                self._loaded = True
                self._changes_from = position
            for subject in self._pending:
                if len(self._changes) == CHANGES_MAX:
                    self._changes_from = self._changes[0][0]
                self._changes.append((position, subject))
            self.position = position
        self._overlay = {}
        self._pending = {}
        self._absent.clear()
        # Here, because memory only grows when something was published, in whichever process.
        now_s = self._clock.monotonic_s()
        if now_s >= self._evict_at_s:
            self._evict_at_s = now_s + EVICT_EVERY_S
            self.evict()

    def discard(self) -> None:
        """Forget what the transaction folded: it was not committed."""
        for subject in self._overlay:
            # The next fact about it must not trust a key that was rolled back.
            self._keys.pop(subject, None)
        self._overlay = {}
        self._pending = {}
        self._absent.clear()

    # ---- reading

    def get(self, subject: str) -> Entity | None:
        """A subject as committed; one that has left memory is fetched from the log."""
        found = self._published.get(subject)
        # Units never leave memory, and every position asks for its own: an unknown one must cost nothing.
        if found is None and not (self._loaded and subject.startswith("unit:")):
            with self._engine.connect() as connection:
                facts = subject_facts(connection, subject, until=self.position)
            found = fold(subject, facts) if facts else None
        return found

    def working_get(self, subject: str) -> Entity | None:
        found = self._overlay.get(subject) or self._published.get(subject)
        if found is None and self._connection is not None and subject not in self._absent:
            facts = subject_facts(self._connection, subject)
            if facts:
                found = fold(subject, facts)
                self._keys[subject] = max(f.key for f in facts)
            else:
                # A new incident is looked up several times in its first transaction: ask the disk once.
                self._absent.add(subject)
        return found

    def use(self, connection: Connection) -> State:
        """The working state, with the transaction's connection to fetch what is not in memory."""
        self._connection = connection
        return self.working

    def all(self, kind: str) -> list[Entity]:
        prefix = kind + ":"
        return [entity for subject, entity in list(self._published.items()) if subject.startswith(prefix)]

    def changed_since(self, position: int) -> tuple[int, dict[str, None]] | None:
        """The present position and the subjects that changed after `position`, oldest change first; None
        when that is too long ago to tell, and a fresh snapshot is needed."""
        with self._lock:
            if position > self.position or position < self._changes_from:
                return None
            found: dict[str, None] = {}
            for at, subject in reversed(self._changes):
                if at <= position:
                    break
                found[subject] = None
            return self.position, found

    def evict(self) -> int:
        """Let go of incidents, closures, proposals and calls over for more than a day; they come back by
        subject. Returns how many."""
        recent = self._clock.now_us() - KEEP_CLOSED_US
        with self._lock:
            gone = [subject for subject, entity in self._published.items() if _is_over(entity, recent)]
            for subject in gone:
                del self._published[subject]
                self._keys.pop(subject, None)
        return len(gone)

    # ---- the past

    def as_known(self, position: int) -> State:
        """What this node knew when its log stood at `position`: only what had arrived by then."""
        return self._past(lambda envelope: envelope.position <= position)

    def at(self, time_us: int) -> State:
        """What was so at a time, as far as is known today: every fact observed by then, late ones too."""
        return self._past(lambda envelope: envelope.observed_at <= time_us)

    def _past(self, keep: Callable[[Envelope], bool]) -> State:
        gathered: dict[str, list[e.Recorded]] = {}
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(*(event.c[name] for name in Envelope.__dataclass_fields__)).order_by(event.c.position)
            )
            for row in rows:
                envelope = Envelope(*row)
                if keep(envelope):
                    rec = envelope.recorded()
                    for subject in rec.subjects:
                        gathered.setdefault(subject, []).append(rec)
        slots = MemorySlots()
        for subject, facts in gathered.items():
            entity = fold(subject, facts)
            if entity is not None:
                slots.entities[subject] = entity
        return State(slots)


class _Published:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def get(self, subject: str) -> Entity | None:
        return self._picture.get(subject)

    def of_kind(self, kind: str) -> Iterator[Entity]:
        return iter(self._picture.all(kind))

    def facts(self, subject: str) -> Sequence[e.Recorded]:
        with self._picture._engine.connect() as connection:
            return subject_facts(connection, subject, until=self._picture.position)

    def caused(self, cause: str) -> Sequence[e.Recorded]:
        with self._picture._engine.connect() as connection:
            return caused_facts(connection, cause, until=self._picture.position)


class _Working:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def get(self, subject: str) -> Entity | None:
        return self._picture.working_get(subject)

    def of_kind(self, kind: str) -> Iterator[Entity]:
        prefix = kind + ":"
        seen = set()
        for subject, entity in list(self._picture._overlay.items()):
            if subject.startswith(prefix):
                seen.add(subject)
                yield entity
        for subject, entity in list(self._picture._published.items()):
            if subject.startswith(prefix) and subject not in seen:
                yield entity

    def facts(self, subject: str) -> Sequence[e.Recorded]:
        return subject_facts(self._in_transaction(), subject)

    def caused(self, cause: str) -> Sequence[e.Recorded]:
        return caused_facts(self._in_transaction(), cause)

    def _in_transaction(self) -> Connection:
        connection = self._picture._connection
        assert connection is not None, "only asked for inside the writer's transaction"
        return connection


def _is_over(entity: Entity | None, recent_us: int) -> bool:
    """Whether it was over before `recent_us`."""
    if isinstance(entity, Incident):
        return not entity.open and (entity.closed_us or 0) < recent_us
    if isinstance(entity, Closure):
        ends = [us for us in (entity.withdrawn_us, entity.ends_us) if us is not None]
        return entity.reported and min(ends, default=recent_us) < recent_us
    if isinstance(entity, Premise):
        ends = [us for us in (entity.withdrawn_us, entity.until_us) if us is not None]
        return entity.noted and min(ends, default=recent_us) < recent_us
    if isinstance(entity, Call):
        # A call back a day later helps nobody.
        return entity.received and entity.received_us < recent_us
    if isinstance(entity, Proposal):
        return entity.made and not entity.open and (entity.decided_us or 0) < recent_us
    if isinstance(entity, HandOver):
        return entity.written and (entity.taken_us or recent_us) < recent_us
    if isinstance(entity, Planned):
        return entity.planned and min(entity.until_us, entity.withdrawn_us or entity.until_us) < recent_us
    return False


def _index_row(incident: Incident) -> dict[str, object]:
    numbers = [incident.number, *(number for _, number in incident.case_numbers)]
    return {
        "id": incident.id,
        "number": incident.number,
        "state": "open" if incident.open else "closed",
        "recorded_at": incident.recorded_us,
        "closed_at": incident.closed_us,
        "cell": cell_of(*incident.coarse) if incident.coarse else None,
        "numbers": folded(" ".join(numbers)),
    }


def cell_of(lon: float, lat: float) -> int:
    """The cell of 0.001° in which a rounded place lies, as one number; its neighbour to the east is one more,
    to the north a million more."""
    return (round(lat * 1000) + 90_000) * 1_000_000 + round(lon * 1000) + 180_000


def folded(text: str) -> str:
    """Text as it is searched for: without case and diacritics."""
    plain = unicodedata.normalize("NFKD", text.strip())
    return "".join(ch for ch in plain if not unicodedata.combining(ch)).casefold()


@lru_cache(maxsize=64)
def _index_statement(dialect: Dialect) -> Prepared:
    statement = (sqlite if dialect.name == "sqlite" else postgresql).insert(incident_index)
    names = incident_index.c.keys()
    replace = {name: statement.excluded[name] for name in names if name != "id"}
    return Prepared(statement.on_conflict_do_update(index_elements=["id"], set_=replace), dialect, names)


def rebuild(engine: Engine) -> int:
    """Make every droppable table again from the log; returns how many incidents there are."""
    with engine.begin() as connection:
        connection.execute(delete(incident_index))
        return _fill_index(connection)


def _fill_index(connection: Connection) -> int:
    gathered: dict[str, list[e.Recorded]] = {}
    for subject, rec in stream_facts(connection, "incident:", "incident;"):
        gathered.setdefault(subject, []).append(rec)
    rows = []
    for subject, facts in gathered.items():
        entity = fold(subject, facts)
        if isinstance(entity, Incident) and entity.reported:
            rows.append(_index_row(entity))
    if rows:
        connection.execute(insert(incident_index), rows)
    return len(rows)


def crew_mates(state: State, unit: Unit) -> list[Unit]:
    """Units manned by the same crew, whose rows change with this one's."""
    return [] if unit.crew_id is None else [u for u in state.crew(unit.crew_id) if u.id != unit.id]
