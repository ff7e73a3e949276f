"""The incident: its state, what each fact does to it, and which facts a command about it may cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Context, Refused, upgrade_needed

if TYPE_CHECKING:
    from dispatch.state import State

DESCRIPTION_MAX = 20_000
"""Characters of one description or note; a longer text is refused, never cut."""

REASON_MAX = 500
"""Characters of one reason."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Where a field's present value came from."""

    source: str
    by: str
    observed_us: int
    received_us: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """A contradiction between facts that were each right where they were recorded."""

    id: str
    kind: str
    at_us: int
    about: Mapping[str, Any]
    resolution: str | None = None

    @staticmethod
    def shown_by(rec: e.Recorded, kind: str, about: Mapping[str, Any]) -> Conflict:
        """The contradiction that a fact brought to light; it goes by that fact's place in its chain."""
        return Conflict(f"{rec.origin}/{rec.seq}", kind, rec.recorded_us, about)

    def settled_by(self, fact: e.ConflictResolved) -> Conflict:
        """The same, settled if the fact is about it."""
        return replace(self, resolution=fact.resolution) if self.id == fact.conflict else self


@dataclass(frozen=True, slots=True)
class EtaChange:
    """What came or went in a crew's way, and how long it then had still to drive before and after, in
    seconds; None: no way by road."""

    at_us: int
    before_s: int | None
    after_s: int | None
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CrewCheck:
    """When a crew was last asked whether all are well, and with what `result`. `well_us`: when it last said
    so; `tries`: how often it was asked in vain since."""

    at_us: int
    by: str
    result: str
    note: e.Secret
    well_us: int | None
    tries: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """One unit on the incident. `status` repeats the unit's own; `ended_us` is set when it left. `eta_change`
    is the newest one while it was on its way."""

    unit: str
    status: str
    since_us: int
    by: str
    accepted_by: str | None
    times: Mapping[str, int] = field(default_factory=dict)
    ended_us: int | None = None
    ended_by: str = ""
    eta_change: EtaChange | None = None
    check: CrewCheck | None = None

    def lasted(self, at_us: int) -> bool:
        """Whether the unit was on the incident at that time."""
        return self.times.get("assigned", 0) <= at_us and (self.ended_us is None or at_us <= self.ended_us)


@dataclass(frozen=True, slots=True)
class Request:
    """One unit asked of its agency. `state`: asked, accepted, refused, no_answer or withdrawn."""

    unit: str
    state: str
    asked_us: int
    asked_by: str
    answer_by_us: int
    name: str = ""
    via: str = ""
    reason: e.Words = ""
    answered_us: int | None = None
    diverts: bool = False
    """Asked for with a reason although the unit was on its way elsewhere."""


@dataclass(frozen=True, slots=True)
class Note:
    at_us: int
    by: str
    text: e.Secret
    cause: str = ""
    """The request that wrote it."""
    struck_us: int | None = None
    """When it was taken back; it stays to be read."""
    struck_by: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an item of the checklist stands."""

    state: str
    at_us: int
    by: str


@dataclass(frozen=True, slots=True)
class Word:
    """One try to tell somebody, and what came of it."""

    at_us: int
    by: str
    state: str
    note: e.Secret


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody who was to be told. `words` are the tries, oldest first; `remind_us` is when to try again."""

    id: str
    partner: str | None
    person: e.Secret
    via: str
    words: tuple[Word, ...]
    remind_us: int | None

    @property
    def state(self) -> str:
        return self.words[-1].state


LINKS = ("duplicate", "related")


@dataclass(frozen=True, slots=True)
class Link:
    """What ties an incident to another. `kind` "duplicate": `of` is the one of the two where the work is
    done; "related": `of` is empty."""

    other: str
    kind: str
    of: str
    at_us: int
    by: str


@dataclass(frozen=True, slots=True)
class Incident:
    id: str
    reported: bool = False
    """False while only later facts about it have arrived: not shown until its report is here."""
    station: str = ""
    district: str = ""
    number: str = ""
    type: str = ""
    priority: str = ""
    medical_code: str | None = None
    open: bool = True
    alarm_level: int = 1
    coarse: tuple[float, float] | None = None
    place: e.Secret = None
    description: e.Secret = None
    caller: e.Secret = None
    outcome: e.Secret = None
    staging: bool = False
    talkgroup: str | None = None
    case_numbers: tuple[tuple[str, str], ...] = ()
    reported_us: int = 0
    recorded_us: int = 0
    """When its report was recorded, which may be long after it was observed."""
    reported_by: str = ""
    acknowledged_us: int | None = None
    acknowledged_by: str = ""
    closed_us: int | None = None
    assignments: tuple[Assignment, ...] = ()
    requests: tuple[Request, ...] = ()
    notes: tuple[Note, ...] = ()
    taken: tuple[str, int, str] | None = None
    """Who owns it by somebody's word ("" is nobody), since when, and by whose word."""
    checks: Mapping[str, Mark] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    links: tuple[Link, ...] = ()
    calls: tuple[str, ...] = ()
    """The calls that are about it, as they came."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """What the caller said to the questions of the pack."""
    protocol: tuple[str | None, tuple[str, ...]] = (None, ())
    """The priority that follows from that, and from which questions."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    offered: tuple[str, ...] | None = None
    conflicts: tuple[Conflict, ...] = ()
    parked: bool = False
    """A newer program recorded something about it that this one cannot read."""
    sealed: frozenset[str] = frozenset()
    """Every piece of personal data ever recorded about it, superseded ones included."""
    erased: frozenset[str] = frozenset()
    position: int = 0
    """Position of the last fact folded in; shown as `rev`."""

    def active(self) -> tuple[Assignment, ...]:
        return tuple(a for a in self.assignments if a.ended_us is None)

    @property
    def owner(self) -> tuple[str, int, str] | None:
        """Who sees it through (a login), since when, and by whose word: until somebody is named, whoever
        acknowledged it."""
        if self.taken is not None:
            return self.taken if self.taken[0] else None
        if self.acknowledged_us is None:
            return None
        return (c.who(self.acknowledged_by), self.acknowledged_us, self.acknowledged_by)

    @property
    def duplicate_of(self) -> str | None:
        """The incident where the work is done, if this one is the same event; of several the first."""
        return next((x.of for x in self.links if x.kind == "duplicate" and x.of != self.id), None)

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Those that are the same event as this one, where the work is done."""
        return tuple(x.other for x in self.links if x.kind == "duplicate" and x.of == self.id)


# ---- apply: never raises, for any subset of facts in any order


def apply(incident: Incident | None, rec: e.Recorded, subject_id: str) -> Incident:
    """The incident after one more fact."""
    was = incident or Incident(id=subject_id)
    step = _APPLY.get(type(rec.event))
    now = was if step is None else step(was, rec, rec.event)
    fresh = () if rec.event is None else [sealed.id for sealed in e.sealed_in(rec.event)]
    if now is was:
        now = replace(was)
    # Nobody else holds this copy yet: setting it in place saves making a second one of 35 fields.
    put = object.__setattr__
    put(now, "parked", now.parked or rec.event is None)
    put(now, "sealed", now.sealed.union(fresh) if fresh else now.sealed)
    put(now, "position", max(now.position, rec.position))
    return now


def _known(was: Incident, rec: e.Recorded, *names: str) -> Mapping[str, Fact]:
    fact = Fact(rec.source, rec.actor, rec.observed_us, rec.received_us)
    return {**was.facts, **dict.fromkeys(names, fact)}


def _conflict(was: Incident, rec: e.Recorded, kind: str, **about: Any) -> Incident:
    return replace(was, conflicts=(*was.conflicts, Conflict.shown_by(rec, kind, about)))


def _reported(was: Incident, rec: e.Recorded, f: e.IncidentReported) -> Incident:
    if was.reported:
        return _conflict(was, rec, "reported-twice", number=f"{f.station}-{f.number}")
    names = ["type", "priority", "location"]
    names += [n for n in ("description", "caller", "medical_code") if getattr(f, n) is not None]
    return replace(
        was,
        reported=True,
        station=f.station,
        district=f.district,
        number=f"{f.station}-{f.number}",
        type=f.kind,
        priority=f.priority,
        medical_code=f.medical_code,
        coarse=f.coarse,
        place=f.place,
        description=f.description,
        caller=f.caller,
        case_numbers=f.case_numbers,
        staging=f.staging,
        talkgroup=f.talkgroup,
        reported_us=rec.observed_us,
        recorded_us=rec.recorded_us,
        reported_by=rec.actor,
        facts=_known(was, rec, *names),
    )


_CHANGEABLE = {
    "kind": "type",
    "priority": "priority",
    "medical_code": "medical_code",
    "coarse": "coarse",
    "place": "place",
    "description": "description",
    "caller": "caller",
    "talkgroup": "talkgroup",
    "staging": "staging",
}


def _changed(was: Incident, rec: e.Recorded, f: e.IncidentChanged) -> Incident:
    new = {_CHANGEABLE[name]: value for name, value in f.changes.items() if name in _CHANGEABLE}
    shown = ["location" if name == "place" else name for name in new if name != "coarse"]
    return replace(was, facts=_known(was, rec, *shown), **new)


def _acknowledged(was: Incident, rec: e.Recorded, f: e.IncidentAcknowledged) -> Incident:
    if was.acknowledged_us is not None:
        return was
    return replace(was, acknowledged_us=rec.observed_us, acknowledged_by=rec.actor)


def _noted(was: Incident, rec: e.Recorded, f: e.NoteAdded) -> Incident:
    return replace(was, notes=(*was.notes, Note(rec.observed_us, rec.actor, f.text, rec.cause)))


def _taken_back(was: Incident, rec: e.Recorded, f: e.TakenBack) -> Incident:
    """Notes are struck; whatever else was taken back has not been folded in the first place."""
    if all(n.cause != f.command for n in was.notes):
        return was
    struck = (
        replace(n, struck_us=rec.observed_us, struck_by=rec.actor)
        if n.cause == f.command and n.struck_us is None
        else n
        for n in was.notes
    )
    return replace(was, notes=tuple(struck))


def _linked(was: Incident, rec: e.Recorded, f: e.CaseNumberLinked) -> Incident:
    pair = (f.agency, f.number)
    return was if pair in was.case_numbers else replace(was, case_numbers=(*was.case_numbers, pair))


def _levelled(was: Incident, rec: e.Recorded, f: e.AlarmLevelSet) -> Incident:
    return replace(was, alarm_level=f.level, facts=_known(was, rec, "alarm_level"))


def _closed(was: Incident, rec: e.Recorded, f: e.IncidentClosed) -> Incident:
    now = replace(was, open=False, closed_us=rec.observed_us, outcome=f.outcome)
    left = [a.unit for a in was.active()]
    return _conflict(now, rec, "closed-with-units", units=left) if left else now


def _reopened(was: Incident, rec: e.Recorded, f: e.IncidentReopened) -> Incident:
    return replace(was, open=True, closed_us=None)


def _offered(was: Incident, rec: e.Recorded, f: e.RecommendationOffered) -> Incident:
    return replace(was, offered=tuple(unit for unit, _ in f.units))


def _erased(was: Incident, rec: e.Recorded, f: e.PersonalDataErased) -> Incident:
    return replace(was, erased=was.erased | frozenset(f.ids))


def _resolved(was: Incident, rec: e.Recorded, f: e.ConflictResolved) -> Incident:
    return replace(was, conflicts=tuple(k.settled_by(f) for k in was.conflicts))


def _assigned(was: Incident, rec: e.Recorded, f: e.UnitAssigned) -> Incident:
    if any(a.unit == f.unit for a in was.active()):
        return was
    new = Assignment(
        f.unit, "assigned", rec.observed_us, rec.actor, f.accepted_by, {"assigned": rec.observed_us}
    )
    now = replace(was, assignments=(*was.assignments, new))
    if not was.open:
        return _conflict(now, rec, "sent-after-closing", unit=f.unit)
    return now


def _was_sent(was: Incident, rec: e.Recorded, f: e.UnitWasSent) -> Incident:
    ended_us = max(f.times.values(), default=rec.observed_us)
    over = Assignment(
        f.unit, "available", ended_us, rec.actor, None, dict(f.times), ended_us=ended_us, ended_by=rec.actor
    )
    return replace(was, assignments=(*was.assignments, over))


def _leave(was: Incident, unit: str, rec: e.Recorded) -> Incident:
    return replace(
        was,
        assignments=tuple(
            replace(a, ended_us=rec.observed_us, ended_by=rec.actor)
            if a.unit == unit and a.ended_us is None
            else a
            for a in was.assignments
        ),
    )


def _recalled(was: Incident, rec: e.Recorded, f: e.UnitRecalled) -> Incident:
    now = _leave(was, f.unit, rec)
    return replace(
        now,
        requests=tuple(
            replace(r, state="withdrawn", answered_us=rec.observed_us, reason=f.reason)
            if r.unit == f.unit and r.state in WITHDRAWABLE
            else r
            for r in now.requests
        ),
    )


def _status(was: Incident, rec: e.Recorded, f: e.UnitStatusReported) -> Incident:
    if f.late:
        return replace(
            was,
            assignments=tuple(
                replace(
                    a,
                    times={**a.times, f.status: min(a.times.get(f.status, rec.observed_us), rec.observed_us)},
                )
                if a.unit == f.unit and a.lasted(rec.observed_us)
                else a
                for a in was.assignments
            ),
        )
    if f.status in LEAVING:
        was = _leave(was, f.unit, rec)
    return replace(
        was,
        assignments=tuple(
            replace(
                a,
                status=f.status,
                since_us=rec.observed_us,
                times={**a.times, f.status: a.times.get(f.status, rec.observed_us)},
            )
            if a.unit == f.unit and a.ended_us is None
            else a
            for a in was.assignments
        ),
    )


def _together(was: Incident, rec: e.Recorded, f: e.IncidentsLinked) -> Incident:
    other = f.other if f.incident == was.id else f.incident
    of = f.other if f.kind == "duplicate" else ""
    new = Link(other, f.kind, of, rec.observed_us, rec.actor)
    return replace(was, links=(*(x for x in was.links if x.other != other), new))


def _apart(was: Incident, rec: e.Recorded, f: e.IncidentsUnlinked) -> Incident:
    other = f.other if f.incident == was.id else f.incident
    return replace(was, links=tuple(x for x in was.links if x.other != other))


def _told(was: Incident, rec: e.Recorded, f: e.ProtocolAnswered) -> Incident:
    return replace(
        was,
        answers={**was.answers, **f.answers},
        protocol=(f.priority, f.because),
        facts=_known(was, rec, "protocol"),
    )


def _called(was: Incident, rec: e.Recorded, f: e.CallLinked) -> Incident:
    return was if f.call in was.calls else replace(was, calls=(*was.calls, f.call))


def _uncalled(was: Incident, rec: e.Recorded, f: e.CallUnlinked) -> Incident:
    return replace(was, calls=tuple(x for x in was.calls if x != f.call))


def _owned(was: Incident, rec: e.Recorded, f: e.IncidentOwned) -> Incident:
    return replace(was, taken=(f.owner, rec.observed_us, rec.actor))


def _marked(was: Incident, rec: e.Recorded, f: e.CheckMarked) -> Incident:
    return replace(was, checks={**was.checks, f.check: Mark(f.state, rec.observed_us, rec.actor)})


def _checked(was: Incident, rec: e.Recorded, f: e.CrewChecked) -> Incident:
    def after(a: Assignment) -> Assignment:
        well = f.result == "well"
        before = a.check
        well_us = rec.observed_us if well else before.well_us if before else None
        tries = 0 if well else 1 + (before.tries if before else 0)
        return replace(a, check=CrewCheck(rec.observed_us, rec.actor, f.result, f.note, well_us, tries))

    asked = (after(a) if a.unit == f.unit and a.ended_us is None else a for a in was.assignments)
    return replace(was, assignments=tuple(asked))


def _notified(was: Incident, rec: e.Recorded, f: e.PersonNotified) -> Incident:
    word = Word(rec.observed_us, rec.actor, f.state, f.note)
    new = Notice(f.notice, f.partner, f.person, f.via, (word,), f.remind_us)
    return replace(was, notices=(*(x for x in was.notices if x.id != f.notice), new))


def _followed(was: Incident, rec: e.Recorded, f: e.NoticeFollowed) -> Incident:
    word = Word(rec.observed_us, rec.actor, f.state, f.note)
    return replace(
        was,
        notices=tuple(
            replace(x, words=(*x.words, word), remind_us=f.remind_us) if x.id == f.notice else x
            for x in was.notices
        ),
    )


def _eta_changed(was: Incident, rec: e.Recorded, f: e.EtaChanged) -> Incident:
    change = EtaChange(rec.observed_us, f.before_s, f.after_s, f.because)
    return replace(
        was,
        assignments=tuple(
            replace(a, eta_change=change) if a.unit == f.unit and a.ended_us is None else a
            for a in was.assignments
        ),
    )


def _requested(was: Incident, rec: e.Recorded, f: e.UnitRequested) -> Incident:
    diverts = f.override_reason is not None
    new = Request(f.unit, "asked", rec.observed_us, rec.actor, f.answer_by_us, diverts=diverts)
    return replace(was, requests=(*(r for r in was.requests if r.unit != f.unit), new))


def _answered(was: Incident, rec: e.Recorded, f: e.RequestAnswered) -> Incident:
    return replace(
        was,
        requests=tuple(
            replace(r, state=f.answer, name=f.name, via=f.via, reason=f.reason, answered_us=rec.observed_us)
            if r.unit == f.unit
            else r
            for r in was.requests
        ),
    )


def _lapsed(was: Incident, rec: e.Recorded, f: e.RequestLapsed) -> Incident:
    return replace(
        was,
        requests=tuple(
            replace(r, state="no_answer") if r.unit == f.unit and r.state == "asked" else r
            for r in was.requests
        ),
    )


_APPLY: dict[type[Any], Callable[[Incident, e.Recorded, Any], Incident]] = {
    e.IncidentReported: _reported,
    e.IncidentChanged: _changed,
    e.IncidentAcknowledged: _acknowledged,
    e.NoteAdded: _noted,
    e.CaseNumberLinked: _linked,
    e.AlarmLevelSet: _levelled,
    e.IncidentClosed: _closed,
    e.IncidentReopened: _reopened,
    e.RecommendationOffered: _offered,
    e.PersonalDataErased: _erased,
    e.ConflictResolved: _resolved,
    e.UnitAssigned: _assigned,
    e.UnitRecalled: _recalled,
    e.UnitStatusReported: _status,
    e.UnitRequested: _requested,
    e.RequestAnswered: _answered,
    e.RequestLapsed: _lapsed,
    e.EtaChanged: _eta_changed,
    e.IncidentsLinked: _together,
    e.IncidentsUnlinked: _apart,
    e.ProtocolAnswered: _told,
    e.CallLinked: _called,
    e.CallUnlinked: _uncalled,
    e.IncidentOwned: _owned,
    e.CheckMarked: _marked,
    e.CrewChecked: _checked,
    e.PersonNotified: _notified,
    e.NoticeFollowed: _followed,
    e.TakenBack: _taken_back,
    e.UnitWasSent: _was_sent,
}

LEAVING = frozenset({"available", "returning", "recovering", "off_duty", "out_of_service"})
"""Statuses with which a unit is no longer on its incident."""

WITHDRAWABLE = frozenset({"asked", "no_answer", "accepted"})
"""States of a request that a recall ends."""


# ---- decide


def must_exist(state: State, incident_id: str, ctx: Context) -> Incident:
    """The incident, or the refusal that says why it cannot be worked on."""
    incident = state.incident(incident_id)
    if incident is None or not incident.reported:
        raise Refused(
            "unknown-incident", f"There is no incident {incident_id}.", kind="missing", field="incident"
        )
    if incident.parked:
        raise upgrade_needed(f"Incident {incident.number}")
    return incident


def must_be_open(state: State, incident_id: str, ctx: Context) -> Incident:
    incident = must_exist(state, incident_id, ctx)
    if not incident.open:
        raise Refused("incident-closed", f"Incident {incident.number} is closed.", kind="conflict")
    return incident


def text_of(value: str, name: str, *, required: bool = False, longest: int = DESCRIPTION_MAX) -> str:
    """The text without the space around it, or the refusal that names its field."""
    value = value.strip()
    if required and not value:
        raise Refused("empty-text", f"{name} must not be empty.", field=name)
    if len(value) > longest:
        raise Refused(
            "text-too-long",
            f"{name} has {len(value)} characters; {longest} are the most that is kept.",
            field=name,
        )
    return value


def private(value: Any) -> e.Secret:
    """The value on its way to be sealed; nothing for an empty one."""
    return e.Private(value) if value else None


def _type(code: str, ctx: Context) -> Any:
    kind = ctx.pack.incident_types.get(code)
    if kind is None:
        raise Refused(
            "unknown-type", f"{code!r} is not an incident type of the pack {ctx.pack.name}.", field="type"
        )
    return kind


def _priority(code: str, ctx: Context) -> str:
    if code not in ctx.pack.priorities:
        allowed = ", ".join(sorted(ctx.pack.priorities))
        raise Refused(
            "unknown-priority", f"{code!r} is not a priority; use one of {allowed}.", field="priority"
        )
    return code


def _medical_code(code: str | None, ctx: Context) -> str | None:
    if code is not None and code not in ctx.pack.medical_codes:
        raise Refused(
            "unknown-medical-code", f"{code!r} is not a medical code of the pack.", field="medical_code"
        )
    return code


def _place(place: c.Place) -> tuple[tuple[float, float], e.Private]:
    exact = {
        "lon": round(place.lon, 7),
        "lat": round(place.lat, 7),
        "label": text_of(place.label, "address"),
        "parts": dict(place.parts),
    }
    return (round(place.lon, 3), round(place.lat, 3)), e.Private(exact)


def _case_number(agency: str, number: str, ctx: Context) -> tuple[str, str]:
    number = number.strip()
    if agency not in ctx.pack.agencies and agency not in ctx.pack.partners:
        raise Refused(
            "unknown-agency", f"{agency!r} is not an agency of the pack.", field="case_numbers.agency"
        )
    if not number or len(number) > 64 or not number.isprintable():
        raise Refused(
            "bad-case-number", "A case number has 1 to 64 printable characters.", field="case_numbers.number"
        )
    return agency, number


def report(state: State, cmd: c.ReportIncident, ctx: Context) -> tuple[e.Event, ...]:
    was = state.incident(cmd.incident)
    if was is not None and was.reported:
        raise Refused(
            "incident-exists",
            f"Incident {was.number} already has this id and was reported with other contents.",
            kind="conflict",
            field="id",
            incident_number=was.number,
        )
    kind = _type(cmd.type, ctx)
    coarse, place = _place(cmd.place)
    told: tuple[e.Event, ...] = ()
    priority = cmd.priority or kind.priority
    if cmd.answers:
        protocol = _protocol(cmd.incident, kind, cmd.answers, cmd.answers, ctx)
        priority = cmd.priority or protocol.priority or kind.priority
        told += (protocol,)
    if cmd.call is not None:
        call = state.call(cmd.call)
        if call is None or not call.received:
            raise Refused("unknown-call", f"There is no call {cmd.call}.", field="call")
        told += (e.CallLinked(cmd.call, cmd.incident),)
    return (
        e.IncidentReported(
            incident=cmd.incident,
            station=ctx.station,
            district=ctx.district,
            number=state.station(ctx.station).last_number + 1,
            kind=cmd.type,
            priority=_priority(priority, ctx),
            medical_code=_medical_code(cmd.medical_code or kind.medical_code, ctx),
            coarse=coarse,
            place=place,
            description=private(text_of(cmd.description, "description")),
            caller=private({k: text_of(v, f"caller.{k}") for k, v in (cmd.caller or {}).items() if v}),
            case_numbers=tuple(_case_number(agency, number, ctx) for agency, number in cmd.case_numbers),
            staging=bool(kind.stage),
            talkgroup=None,
        ),
        *told,
    )


def _protocol(
    incident: str, kind: Any, said: Mapping[str, str], known: Mapping[str, str], ctx: Context
) -> e.ProtocolAnswered:
    """What was `said`, and the priority that follows from all that is `known`."""
    for question, answer in said.items():
        asked = ctx.pack.questions.get(question)
        if asked is None or question not in kind.protocol:
            raise Refused(
                "unknown-question",
                f"{question!r} is not asked about {kind.code}.",
                field=f"answers.{question}",
            )
        if answer not in asked.answers:
            raise Refused(
                "unknown-answer",
                f"{answer!r} is no answer to {question!r}; use {', '.join(asked.answers)}.",
                field=f"answers.{question}",
            )
    priority, because = ctx.pack.triage(kind.code, known)
    return e.ProtocolAnswered(incident, dict(said), priority, because)


def answer_protocol(state: State, cmd: c.AnswerProtocol, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_be_open(state, cmd.incident, ctx)
    kind = _type(incident.type, ctx)
    new = {name: answer for name, answer in cmd.answers.items() if incident.answers.get(name) != answer}
    fact = _protocol(cmd.incident, kind, new, {**incident.answers, **new}, ctx)
    priority = _priority(cmd.priority or fact.priority or incident.priority, ctx)
    facts: tuple[e.Event, ...] = (fact,) if new else ()
    if priority != incident.priority and (new or cmd.priority):
        facts += (e.IncidentChanged(cmd.incident, {"priority": priority}),)
    return facts


def link(state: State, cmd: c.LinkIncidents, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    if cmd.kind not in LINKS:
        raise Refused("unknown-kind", f"{cmd.kind!r} is none of {', '.join(LINKS)}.", field="kind")
    if cmd.other == cmd.incident:
        raise Refused("same-incident", "An incident cannot be linked to itself.", field="other")
    other = _other(state, cmd.other, ctx)
    was = next((x for x in incident.links if x.other == cmd.other), None)
    of = cmd.other if cmd.kind == "duplicate" else ""
    if was is not None and (was.kind, was.of) == (cmd.kind, of):
        return ()
    if cmd.kind == "duplicate":
        main = incident.duplicate_of
        if main is not None and main != cmd.other:
            known = state.incident(main)
            number = known.number if known is not None else main
            raise Refused(
                "duplicate-already",
                f"Incident {incident.number} is a duplicate of {number} already; take that link away first.",
                kind="conflict",
                incident_number=number,
            )
        # The very same link the other way round takes the place of the first.
        if other.duplicate_of != incident.id and incident.id in _mains(state, other):
            raise Refused(
                "duplicate-circle",
                f"Incident {other.number} is a duplicate of {incident.number}, not the other way round.",
                kind="conflict",
                incident_number=other.number,
            )
    return (e.IncidentsLinked(cmd.incident, cmd.other, cmd.kind),)


def _other(state: State, incident_id: str, ctx: Context) -> Incident:
    try:
        return must_exist(state, incident_id, ctx)
    except Refused as fault:
        raise Refused(fault.code, fault.detail, kind="invalid", field="other") from None


def _mains(state: State, incident: Incident) -> list[str]:
    """The incident that this one is a duplicate of, the one that that is a duplicate of, and so on. Stations
    that could not hear each other may have made a circle of it."""
    found: list[str] = []
    step: Incident | None = incident
    while step is not None and step.duplicate_of is not None and step.duplicate_of not in found:
        found.append(step.duplicate_of)
        step = state.incident(step.duplicate_of)
    return found


def unlink(state: State, cmd: c.UnlinkIncidents, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    linked = any(x.other == cmd.other for x in incident.links)
    return (e.IncidentsUnlinked(cmd.incident, cmd.other),) if linked else ()


def change(state: State, cmd: c.ChangeIncident, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_be_open(state, cmd.incident, ctx)
    new: dict[str, Any] = {}
    for name, value in cmd.changes.items():
        if name == "type":
            kind = _type(value, ctx)
            if value != incident.type:
                new["kind"] = value
                new.setdefault("staging", bool(kind.stage))
        elif name == "priority":
            if _priority(value, ctx) != incident.priority:
                new["priority"] = value
        elif name == "medical_code":
            if _medical_code(value, ctx) != incident.medical_code:
                new["medical_code"] = value
        elif name == "place":
            new["coarse"], new["place"] = _place(value)
        elif name == "description":
            new["description"] = private(text_of(value, "description"))
        elif name == "caller":
            new["caller"] = private({k: text_of(v, f"caller.{k}") for k, v in (value or {}).items() if v})
        elif name == "talkgroup":
            new["talkgroup"] = text_of(value, "talkgroup") or None if value is not None else None
        elif name == "staging":
            new["staging"] = bool(value)
        else:
            raise Refused(
                "unknown-field", f"An incident has no field {name!r} that can be changed.", field=name
            )
    return (e.IncidentChanged(cmd.incident, new),) if new else ()


def acknowledge(state: State, cmd: c.AcknowledgeIncident, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    return () if incident.acknowledged_us is not None else (e.IncidentAcknowledged(cmd.incident),)


def note(state: State, cmd: c.AddNote, ctx: Context) -> tuple[e.Event, ...]:
    must_exist(state, cmd.incident, ctx)
    return (e.NoteAdded(cmd.incident, e.Private(text_of(cmd.text, "text", required=True))),)


def link_case(state: State, cmd: c.LinkCaseNumber, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    pair = _case_number(cmd.agency, cmd.number, ctx)
    return () if pair in incident.case_numbers else (e.CaseNumberLinked(cmd.incident, *pair),)


def set_level(state: State, cmd: c.SetAlarmLevel, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_be_open(state, cmd.incident, ctx)
    if cmd.level not in ctx.pack.alarm_levels:
        allowed = ", ".join(str(level) for level in sorted(ctx.pack.alarm_levels))
        raise Refused(
            "unknown-alarm-level", f"Alarm level {cmd.level} does not exist; use {allowed}.", field="level"
        )
    return () if cmd.level == incident.alarm_level else (e.AlarmLevelSet(cmd.incident, cmd.level),)


def close(state: State, cmd: c.CloseIncident, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    if not incident.open:
        return ()
    busy = [a.unit for a in incident.active()]
    if busy:
        raise Refused(
            "units-still-assigned",
            f"{', '.join(busy)} still on incident {incident.number}; recall or free them before closing it.",
            kind="conflict",
            units=busy,
        )
    waiting = [r.unit for r in incident.requests if r.state == "asked"]
    if waiting:
        raise Refused(
            "requests-open",
            f"The request for {', '.join(waiting)} has no answer yet; withdraw it before closing.",
            kind="conflict",
            units=waiting,
        )
    return (e.IncidentClosed(cmd.incident, private(text_of(cmd.outcome, "outcome", required=True))),)


def reopen(state: State, cmd: c.ReopenIncident, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    if incident.open:
        return ()
    return (e.IncidentReopened(cmd.incident, private(text_of(cmd.reason, "reason", required=True))),)


def offer(state: State, cmd: c.RecordOffer, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    if not incident.open or incident.offered == tuple(unit for unit, _ in cmd.units):
        return ()
    return (e.RecommendationOffered(cmd.incident, cmd.units, cmd.missing, cmd.travel, cmd.fixes),)


def erase(state: State, cmd: c.ErasePersonalData, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    if incident.open:
        raise Refused(
            "incident-open",
            f"Incident {incident.number} is open; its personal data is still needed.",
            kind="conflict",
        )
    left = tuple(sorted(incident.sealed - incident.erased))
    reason = text_of(cmd.reason, "reason", required=True)
    facts: tuple[e.Event, ...] = (e.PersonalDataErased(cmd.incident, left, reason),) if left else ()
    for call_id in incident.calls:
        call = state.call(call_id)
        if call is None or not (rest := tuple(sorted(call.sealed - call.erased))):
            continue
        others = (state.incident(x) for x in call.incidents if x != cmd.incident)
        if not any(x is not None and x.open for x in others):
            facts += (e.CallErased(call_id, rest, reason),)
    return facts
