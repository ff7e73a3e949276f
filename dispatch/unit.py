"""The unit: its state, what each fact does to it, and which facts a command about it may cause.

An `owned` unit is commanded by the city: an order assigns it. A `requested` unit belongs to an agency
that decides for itself: it is asked, and is assigned only once somebody has accepted by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Context, Refused, who
from dispatch.incident import (
    LEAVING,
    REASON_MAX,
    Conflict,
    Incident,
    must_be_open,
    must_exist,
    private,
    text_of,
)

if TYPE_CHECKING:
    from dispatch.state import State

READY_MAX_US = 7 * 86_400 * 1_000_000
"""How far from now the time may lie at which a unit says that it will be ready."""

UNDERWAY = frozenset({"assigned", "acknowledged", "en_route"})
"""Statuses of a unit that was sent and has not arrived."""

STANDING_BY = frozenset({"available", "returning"})
"""Statuses in which a unit can be on its way to a post."""

DIVERTED_MAX, MOVED_UP_MAX = 32, 16
"""So many of the last are remembered, so that a unit in service for years stays small."""

POST_MAX = 128
"""Characters of a post's name."""

HOSPITAL_MAX = 128
"""Characters of a hospital's name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An open or answered request as the unit sees it."""

    incident: str
    state: str
    asked_us: int
    asked_by: str
    answer_by_us: int


@dataclass(frozen=True, slots=True)
class MovingUp:
    """Where a unit is to stand by. `state`: "asked" while its agency has not answered, else "moving"."""

    post: str
    lon: float
    lat: float
    state: str
    since_us: int
    by: str
    answer_by_us: int | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What its crew was told and somebody took back: `what` an "order", a "recall" or a "move_up"."""

    incident: str | None
    what: str
    at_us: int
    by: str


@dataclass(frozen=True, slots=True)
class Unit:
    id: str
    registered: bool = False
    source: str = ""
    """Who brought it into service, as the source of that fact; "demo" for a unit that is none."""
    type: str = ""
    agency: str = ""
    command: str = "owned"
    station: str = ""
    district: str = ""
    custodian: str = ""
    epoch: int = 1
    capabilities: tuple[str, ...] = ()
    crew: int = 0
    crew_min: int = 0
    crew_id: str | None = None
    turnout_s: int = 0
    lights: bool = False
    profile: str = "car"
    talkgroup: str | None = None
    base: tuple[float, float] | None = None
    status: str = "off_duty"
    status_us: int = 0
    status_by: str = ""
    status_source: str = ""
    reason: e.Words = ""
    hospital: str | None = None
    ready_us: int | None = None
    flags: Mapping[str, int] = field(default_factory=dict)
    incident: str | None = None
    assigned_by: str = ""
    assigned_us: int | None = None
    asked: Asked | None = None
    moving_up: MovingUp | None = None
    cancelled: Cancelled | None = None
    """Until its crew has acknowledged that, or has a new order."""
    moved_up: tuple[int, ...] = ()
    """When it last moved up, oldest first: it must have its rest."""
    diverted: tuple[str, ...] = ()
    """Incidents that it was turned away from, or to, while on its way: once is enough for each."""
    conflicts: tuple[Conflict, ...] = ()
    parked: bool = False
    position: int = 0


# ---- apply: never raises, for any subset of facts in any order


def apply(unit: Unit | None, rec: e.Recorded, subject_id: str) -> Unit:
    """The unit after one more fact."""
    was = unit or Unit(id=subject_id)
    step = _APPLY.get(type(rec.event))
    now = was if step is None else step(was, rec, rec.event)
    return replace(now, parked=now.parked or rec.event is None, position=max(now.position, rec.position))


def _conflict(was: Unit, rec: e.Recorded, kind: str, **about: Any) -> Unit:
    return replace(was, conflicts=(*was.conflicts, Conflict.shown_by(rec, kind, about)))


def _with_status(was: Unit, rec: e.Recorded, status: str) -> Unit:
    return replace(
        was,
        status=status,
        status_us=rec.observed_us,
        status_by=rec.actor,
        status_source=rec.source,
        reason="",
        hospital=None,
        ready_us=None,
    )


def _registered(was: Unit, rec: e.Recorded, f: e.UnitRegistered) -> Unit:
    return replace(
        was,
        registered=True,
        source=rec.source,
        type=f.type,
        agency=f.agency,
        command=f.command,
        station=f.station,
        district=f.district,
        custodian=was.custodian or f.custodian,
        capabilities=f.capabilities,
        crew=f.crew,
        crew_min=f.crew_min,
        crew_id=f.crew_id,
        turnout_s=f.turnout_s,
        lights=f.lights,
        profile=f.profile,
        talkgroup=f.talkgroup,
        base=f.base,
        status_us=was.status_us or rec.observed_us,
        status_by=was.status_by or rec.actor,
        status_source=was.status_source or rec.source,
    )


def _assigned(was: Unit, rec: e.Recorded, f: e.UnitAssigned) -> Unit:
    if was.incident == f.incident:
        return was
    if was.incident is not None:
        # Two nodes sent one unit while they could not hear each other. The first order in causal order
        # stands, the second stays visible until a person decides: a merge never recalls anybody.
        return _conflict(was, rec, "sent-twice", first=was.incident, second=f.incident, by=rec.actor)
    now = _with_status(was, rec, "assigned")
    asked = was.asked if was.asked is None or was.asked.incident == f.incident else None
    now = replace(
        now,
        incident=f.incident,
        assigned_by=rec.actor,
        assigned_us=rec.observed_us,
        asked=asked,
        moving_up=None,
        cancelled=None,
    )
    if f.crew_with is not None:
        return _conflict(now, rec, "crew-sent-twice", first=f.crew_with, second=f.unit, by=rec.actor)
    return now


def _freed(was: Unit) -> Unit:
    """Off its incident; what it is asked for elsewhere stays."""
    asked = was.asked if was.asked is not None and was.asked.incident != was.incident else None
    return replace(was, incident=None, assigned_by="", assigned_us=None, asked=asked)


def _turned(was: Unit, *incidents: str) -> Unit:
    """Turned away from these incidents, or to them, while on its way."""
    kept = tuple(one for one in was.diverted if one not in incidents)
    return replace(was, diverted=(*kept, *incidents)[-DIVERTED_MAX:])


def _recalled(was: Unit, rec: e.Recorded, f: e.UnitRecalled) -> Unit:
    if f.to is not None and was.status in UNDERWAY:
        was = _turned(was, f.incident, f.to)
    if was.incident == f.incident:
        status = "available" if was.status in ("assigned", "acknowledged") else "returning"
        return _freed(_with_status(was, rec, status))
    if was.asked is not None and was.asked.incident == f.incident:
        return replace(was, asked=None)
    return was


def _status(was: Unit, rec: e.Recorded, f: e.UnitStatusReported) -> Unit:
    if f.late:
        return was
    now = replace(_with_status(was, rec, f.status), reason=f.reason, hospital=f.hospital, ready_us=f.ready_us)
    if f.status not in STANDING_BY:
        now = replace(now, moving_up=None)
    if f.status not in LEAVING or was.incident is None:
        return now
    if f.incident != was.incident:
        # Whoever reported did not know where the unit had been sent; it stays there until a person decides.
        return _conflict(now, rec, "left-another", first=was.incident, second=f.incident, status=f.status)
    return _freed(now)


def _flag(was: Unit, rec: e.Recorded, f: e.UnitFlagSet) -> Unit:
    flags = {name: since for name, since in was.flags.items() if name != f.flag}
    if f.on:
        flags[f.flag] = was.flags.get(f.flag, rec.observed_us)
    return replace(was, flags=flags)


def _requested(was: Unit, rec: e.Recorded, f: e.UnitRequested) -> Unit:
    asked = Asked(f.incident, "asked", rec.observed_us, rec.actor, f.answer_by_us)
    return replace(was, asked=asked)


def _answered(was: Unit, rec: e.Recorded, f: e.RequestAnswered) -> Unit:
    if was.asked is None or was.asked.incident != f.incident:
        return was
    return replace(was, asked=replace(was.asked, state=f.answer))


def _lapsed(was: Unit, rec: e.Recorded, f: e.RequestLapsed) -> Unit:
    if was.asked is None or was.asked.incident != f.incident or was.asked.state != "asked":
        return was
    return replace(was, asked=replace(was.asked, state="no_answer"))


def _moving_up(was: Unit, rec: e.Recorded, f: e.UnitMovingUp) -> Unit:
    if was.incident is not None:
        # Sent meanwhile by somebody who did not know of it: an incident comes first.
        return was
    state = "asked" if f.asked else "moving"
    by_us = f.answer_by_us
    now = replace(was, moving_up=MovingUp(f.post, f.lon, f.lat, state, rec.observed_us, rec.actor, by_us))
    return now if f.asked else _moved(now, rec)


def _moved(was: Unit, rec: e.Recorded) -> Unit:
    return replace(was, moved_up=(*was.moved_up, rec.observed_us)[-MOVED_UP_MAX:])


def _move_up_answered(was: Unit, rec: e.Recorded, f: e.MoveUpAnswered) -> Unit:
    if was.moving_up is None or was.moving_up.state != "asked":
        return was
    if f.answer != "accepted":
        return replace(was, moving_up=None)
    going = replace(was.moving_up, state="moving", since_us=rec.observed_us, answer_by_us=None)
    return _moved(replace(was, moving_up=going), rec)


def _move_up_ended(was: Unit, rec: e.Recorded, f: e.MoveUpEnded) -> Unit:
    return replace(was, moving_up=None)


def _accepted(was: Unit, rec: e.Recorded, f: e.ProposalAccepted) -> Unit:
    """Turned by a proposal, whichever way: the same two are not proposed again."""
    return _turned(was, *f.incidents) if f.incidents else was


def _taken_back(was: Unit, rec: e.Recorded, f: e.TakenBack) -> Unit:
    """What counts no more has not been folded in the first place; the crew has still to hear of it."""
    now = was
    for unit, incident, what in f.told:
        if unit == was.id:
            now = replace(now, cancelled=Cancelled(incident, what, rec.observed_us, rec.actor))
    if was.id in f.rolling and was.incident is None:
        # It is out on the road, wherever it stood before.
        now = _with_status(now, rec, "returning")
    return now


def _cancelling_known(was: Unit, rec: e.Recorded, f: e.CancellingAcknowledged) -> Unit:
    return replace(was, cancelled=None)


def _granted(was: Unit, rec: e.Recorded, f: e.CustodyGranted) -> Unit:
    if f.epoch < was.epoch:
        return was
    if f.epoch == was.epoch and was.custodian not in ("", f.to):
        return _conflict(was, rec, "custody-granted-twice", first=was.custodian, second=f.to)
    return replace(was, custodian=f.to, epoch=f.epoch)


def _resolved(was: Unit, rec: e.Recorded, f: e.ConflictResolved) -> Unit:
    return replace(was, conflicts=tuple(k.settled_by(f) for k in was.conflicts))


_APPLY: dict[type[Any], Callable[[Unit, e.Recorded, Any], Unit]] = {
    e.UnitRegistered: _registered,
    e.UnitAssigned: _assigned,
    e.UnitRecalled: _recalled,
    e.UnitStatusReported: _status,
    e.UnitFlagSet: _flag,
    e.UnitRequested: _requested,
    e.RequestAnswered: _answered,
    e.RequestLapsed: _lapsed,
    e.CustodyGranted: _granted,
    e.UnitMovingUp: _moving_up,
    e.MoveUpAnswered: _move_up_answered,
    e.MoveUpEnded: _move_up_ended,
    e.ProposalAccepted: _accepted,
    e.ConflictResolved: _resolved,
    e.TakenBack: _taken_back,
    e.CancellingAcknowledged: _cancelling_known,
}


# ---- decide


def must_be_known(state: State, unit_id: str) -> Unit:
    """The unit, or the refusal that says why it cannot be used."""
    unit = state.unit(unit_id)
    if unit is None or not unit.registered:
        raise Refused(
            "unknown-unit", f"There is no unit {unit_id!r}.", kind="missing", field="unit", unit=unit_id
        )
    if unit.parked:
        raise Refused(
            "upgrade-needed",
            f"Unit {unit_id} holds facts from a newer program; upgrade this station to change it.",
            kind="conflict",
            unit=unit_id,
        )
    return unit


def must_be_held(unit: Unit, ctx: Context) -> None:
    """Refused unless this station commands the unit."""
    if unit.custodian != ctx.station:
        raise Refused(
            "not-held-here",
            f"{unit.id} is commanded by station {unit.custodian}; ask that station for it.",
            kind="conflict",
            unit=unit.id,
            custodian=unit.custodian,
        )


def register(state: State, cmd: c.RegisterUnit, ctx: Context) -> tuple[e.Event, ...]:
    kind = ctx.pack.unit_types.get(cmd.type)
    if kind is None:
        raise Refused("unknown-unit-type", f"{cmd.type!r} is not a unit type of the pack.", field="type")
    odd = any(ch.isspace() or not ch.isprintable() or ch in ":/," for ch in cmd.unit)
    if not cmd.unit or len(cmd.unit) > 32 or odd:
        raise Refused(
            "bad-call-sign",
            "A call sign has 1 to 32 characters, without spaces, colons, slashes and commas.",
            field="id",
        )
    if cmd.crew < 0 or cmd.crew > 99:
        raise Refused("bad-crew", "A crew has 0 to 99 people.", field="crew")
    known = state.unit(cmd.unit)
    if known is not None and known.registered:
        must_be_held(known, ctx)
        must_be_covered(known.id, known.district, ctx)
        must_be_covered(known.id, cmd.district, ctx)
        if known.incident is not None or is_asked(known):
            for name in ("type", "district", "crew_id"):
                if getattr(known, name) != getattr(cmd, name):
                    raise Refused(
                        "unit-out",
                        f"{cmd.unit} is out or asked for; its {name} can change when it is back.",
                        kind="conflict",
                        field=name,
                        unit=cmd.unit,
                    )
    registered = e.UnitRegistered(
        unit=cmd.unit,
        type=cmd.type,
        agency=kind.agency,
        command=ctx.pack.agencies[kind.agency].command,
        station=cmd.station,
        district=cmd.district,
        custodian=ctx.station,
        capabilities=tuple(sorted(kind.gives)),
        crew=cmd.crew,
        crew_min=kind.crew_min,
        crew_id=cmd.crew_id,
        turnout_s=kind.turnout_s if cmd.turnout_s is None else cmd.turnout_s,
        lights=kind.lights,
        profile=kind.profile,
        talkgroup=cmd.talkgroup,
        base=None if cmd.base is None else (round(cmd.base.lon, 7), round(cmd.base.lat, 7)),
    )
    return (registered,)


def assign(state: State, cmd: c.AssignUnits, ctx: Context) -> tuple[e.Event, ...]:
    """Nobody is sent twice: a unit that is done elsewhere, or on its way there and diverted with a reason,
    is recalled from the one incident and sent to the other by the same facts."""
    incident = must_be_open(state, cmd.incident, ctx)
    if not cmd.units:
        raise Refused("no-units", "Name at least one unit.", field="units")
    if len(set(cmd.units)) != len(cmd.units):
        raise Refused("unit-named-twice", "A unit is named twice.", field="units")
    reason = text_of(cmd.override_reason or "", "override_reason", longest=REASON_MAX) or None
    facts: list[e.Event] = []
    crews: dict[str, str] = {}
    for unit_id in cmd.units:
        unit = must_be_known(state, unit_id)
        if unit.incident == incident.id:
            continue
        must_be_held(unit, ctx)
        must_be_covered(unit.id, unit.district, ctx)
        _must_be_sendable(state, unit, reason, ctx)
        if is_asked(unit) and unit.asked is not None and unit.asked.incident != incident.id:
            number = _number(state, unit.asked.incident)
            raise Refused(
                "unit-asked",
                f"{unit_id} is already asked for incident {number} by {who(unit.asked.asked_by)}.",
                kind="conflict",
                field="units",
                unit=unit_id,
                by=unit.asked.asked_by,
                at_us=unit.asked.asked_us,
                incident_number=number,
            )
        if unit.crew_id is not None:
            if unit.crew_id in crews:
                raise Refused(
                    "crew-shared",
                    f"{unit_id} and {crews[unit.crew_id]} are manned by one crew; send one of them.",
                    kind="conflict",
                    field="units",
                    unit=unit_id,
                )
            crews[unit.crew_id] = unit_id
        if unit.command == "requested":
            if not is_asked(unit):
                answer_by_us = ctx.now_us + cmd.answer_s * 1_000_000
                facts.append(
                    e.UnitRequested(incident.id, unit_id, unit.agency, answer_by_us, private(reason))
                )
        else:
            if unit.incident is not None:
                facts.append(e.UnitRecalled(unit.incident, unit_id, private(reason), to=incident.id))
            facts.append(
                e.UnitAssigned(incident.id, unit_id, _followed(incident, unit_id), private(reason), None)
            )
    return tuple(facts)


def _followed(incident: Incident, unit_id: str) -> bool | None:
    return None if incident.offered is None else unit_id in incident.offered


def _number(state: State, incident_id: str) -> str:
    incident = state.incident(incident_id)
    return incident.number if incident else incident_id


def is_asked(unit: Unit) -> bool:
    """Whether its agency was asked for it and has not answered: it must not be asked a second time, and
    until it accepts it fills nothing."""
    return unit.asked is not None and unit.asked.state == "asked"


def must_be_covered(unit_id: str, district: str, ctx: Context) -> None:
    """Refused unless whoever asks commands that district."""
    if not ctx.actor.covers(district):
        raise Refused(
            "out-of-district",
            f"{unit_id} belongs to district {district}, which {ctx.actor.name} does not command.",
            kind="forbidden",
            unit=unit_id,
        )


def _must_be_sendable(state: State, unit: Unit, reason: str | None, ctx: Context) -> None:
    sendable = ctx.pack.sendable(unit.status)
    if unit.incident is not None and not _may_go_on(unit, ctx, diverts=reason is not None):
        number = _number(state, unit.incident)
        divert = sendable == "divert"
        hint = " To divert it, say why." if divert else ""
        raise Refused(
            "divert-needs-reason" if divert else "unit-taken",
            f"{unit.id} was sent to incident {number} by {who(unit.assigned_by)}.{hint}",
            kind="conflict",
            field="override_reason" if divert else "units",
            unit=unit.id,
            by=unit.assigned_by,
            at_us=unit.assigned_us,
            incident_number=number,
        )
    for code, mate, bound in (
        ("crew-out", crew_mate_out(state, unit), "out"),
        ("crew-asked", crew_mate_asked(state, unit), "already asked for"),
    ):
        if mate is not None:
            raise Refused(
                code,
                f"The crew of {unit.id} is {bound} with {mate.id}.",
                kind="conflict",
                field="units",
                unit=unit.id,
                with_unit=mate.id,
            )
    if sendable == "never":
        known = ctx.pack.statuses.get(unit.status)
        raise Refused(
            "unit-not-available",
            f"{unit.id} is {known.names['en'].lower() if known else unit.status} and cannot be sent.",
            kind="conflict",
            field="units",
            unit=unit.id,
            status=unit.status,
            since_us=unit.status_us,
        )


def _may_go_on(unit: Unit, ctx: Context, *, diverts: bool) -> bool:
    """Whether a unit may go from its incident to another by one order. A unit that said it left and still
    stands on one is a contradiction, which a person must settle first."""
    if unit.status in LEAVING:
        return False
    sendable = ctx.pack.sendable(unit.status)
    return sendable in ("now", "soon") or (sendable == "divert" and diverts)


def crew_mate_out(state: State, unit: Unit) -> Unit | None:
    """The other unit that this unit's crew is out with, if any."""
    return _crew_mate(state, unit, lambda other: other.incident is not None)


def crew_mate_asked(state: State, unit: Unit) -> Unit | None:
    """The other unit that this unit's crew is asked for with and that has no answer yet, if any."""
    return _crew_mate(state, unit, is_asked)


def _crew_mate(state: State, unit: Unit, such: Callable[[Unit], bool]) -> Unit | None:
    if unit.crew_id is None:
        return None
    return next((other for other in state.crew(unit.crew_id) if other.id != unit.id and such(other)), None)


def recall(state: State, cmd: c.RecallUnit, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    unit = must_be_known(state, cmd.unit)
    must_be_held(unit, ctx)
    reason = text_of(cmd.reason, "reason", longest=REASON_MAX)
    on_it = any(a.unit == unit.id for a in incident.active())
    asked = any(r.unit == unit.id and r.state in ("asked", "no_answer") for r in incident.requests)
    if not on_it and not asked:
        return ()
    return (e.UnitRecalled(incident.id, unit.id, private(reason)),)


def answer(state: State, cmd: c.AnswerRequest, ctx: Context) -> tuple[e.Event, ...]:
    """The agency decides, so its yes is always recorded, whatever this side believed of the unit; where it
    contradicts another incident or crew, the fold shows a conflict."""
    incident = must_be_open(state, cmd.incident, ctx)
    unit = must_be_known(state, cmd.unit)
    request = next((r for r in incident.requests if r.unit == unit.id), None)
    if request is None:
        raise Refused(
            "not-requested", f"{unit.id} was not asked for incident {incident.number}.", kind="missing"
        )
    must_be_held(unit, ctx)
    name = _answered_by(cmd)
    reason = text_of(cmd.reason, "reason", longest=REASON_MAX)
    if request.state == cmd.answer:
        return ()
    if request.state == "accepted":
        raise Refused(
            "already-answered",
            f"The request for {unit.id} was already accepted by {request.name}; recall the unit instead.",
            kind="conflict",
            unit=unit.id,
        )
    told = e.RequestAnswered(incident.id, unit.id, cmd.answer, name, cmd.via, private(reason))
    if cmd.answer == "refused":
        return (told,)
    facts: list[e.Event] = [told]
    elsewhere = unit.incident not in (None, incident.id)
    if unit.incident is not None and elsewhere and _may_go_on(unit, ctx, diverts=request.diverts):
        facts.append(e.UnitRecalled(unit.incident, unit.id, None, to=incident.id))
    mate = crew_mate_out(state, unit)
    followed = _followed(incident, unit.id)
    facts.append(
        e.UnitAssigned(incident.id, unit.id, followed, None, name, crew_with=mate.id if mate else None)
    )
    return tuple(facts)


def _answered_by(cmd: c.AnswerRequest | c.AnswerMoveUp) -> str:
    """Who answered, once what was said and how is known to be an answer."""
    if cmd.answer not in ("accepted", "refused"):
        raise Refused("bad-answer", 'An answer is "accepted" or "refused".', field="answer")
    if cmd.via not in ("api", "phone"):
        raise Refused("bad-answer", 'An answer comes via "api" or "phone".', field="via")
    name = cmd.name.strip()
    if not name or len(name) > 128:
        raise Refused("name-needed", "Say by name who answered (1 to 128 characters).", field="name")
    return name


def lapse(state: State, cmd: c.LapseRequest, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    request = next((r for r in incident.requests if r.unit == cmd.unit), None)
    if request is None or request.state != "asked" or ctx.now_us < request.answer_by_us:
        return ()
    return (e.RequestLapsed(incident.id, cmd.unit),)


LATE_SLACK_US = 60_000_000
"""How far a crew's clock may run behind ours before its presses count as late."""


def _is_late(unit: Unit, cmd: c.ReportStatus) -> bool:
    """Whether the status tells of a time before the unit's newest status or order. A status that would take
    it off its incident gets no slack for clocks: an old "available" must not undo a new order."""
    if cmd.observed_us is None:
        return False
    slack_us = 0 if cmd.status in LEAVING else LATE_SLACK_US
    return cmd.observed_us + slack_us < max(unit.status_us, unit.assigned_us or 0)


def report_status(state: State, cmd: c.ReportStatus, ctx: Context) -> tuple[e.Event, ...]:
    unit = must_be_known(state, cmd.unit)
    status = ctx.pack.statuses.get(cmd.status)
    if status is None:
        allowed = ", ".join(ctx.pack.statuses)
        raise Refused(
            "unknown-status", f"{cmd.status!r} is not a status; use one of {allowed}.", field="status"
        )
    must_be_held(unit, ctx)
    reason = text_of(cmd.reason, "reason", longest=REASON_MAX)
    hospital = text_of(cmd.hospital or "", "hospital", longest=HOSPITAL_MAX) or None
    if cmd.ready_us is not None and abs(cmd.ready_us - ctx.now_us) > READY_MAX_US:
        raise Refused("bad-ready-time", "The time to be ready lies within 7 days.", field="ready_at")
    late = _is_late(unit, cmd)
    if not late and cmd.status == unit.status and not reason and hospital is None and cmd.ready_us is None:
        return ()
    if cmd.status == "assigned":
        raise Refused("assign-instead", "A unit becomes assigned by an order only.", field="status")
    forced = not late and cmd.status != unit.status and cmd.status not in ctx.pack.following(unit.status)
    if forced:
        _may_be_forced(unit, cmd, reason, ctx)
    if status.reason_required and not reason:
        raise Refused("reason-needed", f"{cmd.status} needs a reason.", field="reason")
    if status.needs_hospital and hospital is None:
        raise Refused("hospital-needed", f"{cmd.status} needs the hospital it drives to.", field="hospital")
    on = _was_on(state, unit.id, cmd.observed_us) if late and cmd.observed_us is not None else unit.incident
    fact = e.UnitStatusReported(
        unit=unit.id,
        status=cmd.status,
        incident=on,
        reason=private(reason) if on is not None else reason,
        hospital=hospital,
        ready_us=cmd.ready_us,
        forced=forced,
        late=late,
    )
    return (fact,)


def _may_be_forced(unit: Unit, cmd: c.ReportStatus, reason: str, ctx: Context) -> None:
    allowed = ctx.pack.following(unit.status)
    if not cmd.force:
        raise Refused(
            "status-not-next",
            f"{unit.id} is {unit.status}; next can be {', '.join(allowed) or 'nothing'}.",
            kind="conflict",
            field="status",
            unit=unit.id,
            status=unit.status,
            allowed=list(allowed),
        )
    if ctx.actor.role == "field":
        raise Refused(
            "force-needs-dispatcher",
            "Only a dispatcher can set a status out of order.",
            kind="forbidden",
            field="force",
        )
    if not reason:
        raise Refused("reason-needed", "A status out of order needs a reason.", field="reason")


def _was_on(state: State, unit_id: str, at_us: int) -> str | None:
    """The incident that the unit was on at that time, as far as it is in memory."""
    for incident in state.incidents():
        if any(a.unit == unit_id and a.lasted(at_us) for a in incident.assignments):
            return incident.id
    return None


def move_up(state: State, cmd: c.MoveUp, ctx: Context) -> tuple[e.Event, ...]:
    unit = must_be_known(state, cmd.unit)
    must_be_held(unit, ctx)
    must_be_covered(unit.id, unit.district, ctx)
    return moving_up(state, unit, cmd.post, ctx, cmd.answer_s)


def moving_up(
    state: State, unit: Unit, post: c.Place, ctx: Context, answer_s: int, proposal: str | None = None
) -> tuple[e.Event, ...]:
    """The facts by which a unit that can be sent goes to a post, or is asked to; nothing where it does."""
    name = text_of(post.label, "post", required=True, longest=POST_MAX)
    if unit.incident is not None or unit.status not in STANDING_BY:
        number = _number(state, unit.incident) if unit.incident is not None else ""
        raise Refused(
            "unit-not-free",
            f"{unit.id} is on incident {number}." if number else f"{unit.id} is {unit.status}.",
            kind="conflict",
            field="unit",
            unit=unit.id,
            status=unit.status,
            since_us=unit.status_us,
        )
    _must_be_sendable(state, unit, None, ctx)
    if is_asked(unit):
        raise Refused(
            "unit-asked",
            f"{unit.id} is already asked for an incident.",
            kind="conflict",
            field="unit",
            unit=unit.id,
        )
    lon, lat = round(post.lon, 7), round(post.lat, 7)
    going = unit.moving_up
    if going is not None and (going.post, going.lon, going.lat) == (name, lon, lat):
        return ()
    asked = unit.command == "requested"
    answer_by_us = ctx.now_us + answer_s * 1_000_000 if asked else None
    return (e.UnitMovingUp(unit.id, name, lon, lat, asked, answer_by_us, proposal),)


def answer_move_up(state: State, cmd: c.AnswerMoveUp, ctx: Context) -> tuple[e.Event, ...]:
    unit = must_be_known(state, cmd.unit)
    must_be_held(unit, ctx)
    name = _answered_by(cmd)
    if unit.moving_up is None or unit.moving_up.state != "asked":
        raise Refused("not-asked", f"{unit.id} is not asked to stand by anywhere.", kind="conflict")
    return (e.MoveUpAnswered(unit.id, cmd.answer, name, cmd.via),)


def end_move_up(state: State, cmd: c.EndMoveUp, ctx: Context) -> tuple[e.Event, ...]:
    unit = must_be_known(state, cmd.unit)
    must_be_held(unit, ctx)
    if cmd.why not in ("arrived", "cancelled", "no_answer", "overdue"):
        raise Refused("bad-reason", "A move-up ends by arriving, lapsing or being cancelled.", field="why")
    return () if unit.moving_up is None else (e.MoveUpEnded(unit.id, cmd.why),)


def set_flag(state: State, cmd: c.SetFlag, ctx: Context) -> tuple[e.Event, ...]:
    unit = must_be_known(state, cmd.unit)
    if cmd.flag not in ctx.pack.flags:
        allowed = ", ".join(ctx.pack.flags)
        raise Refused("unknown-flag", f"{cmd.flag!r} is not a flag; use one of {allowed}.", field="flag")
    return () if (cmd.flag in unit.flags) == cmd.on else (e.UnitFlagSet(unit.id, cmd.flag, cmd.on),)


def acknowledge_cancelled(
    state: State, cmd: c.AcknowledgeCancelled, ctx: Context
) -> tuple[e.Event, ...]:
    unit = must_be_known(state, cmd.unit)
    must_be_held(unit, ctx)
    cancelled = unit.cancelled
    return () if cancelled is None else (e.CancellingAcknowledged(unit.id, cancelled.incident),)


def grant(state: State, cmd: c.GrantCustody, ctx: Context) -> tuple[e.Event, ...]:
    unit = must_be_known(state, cmd.unit)
    must_be_held(unit, ctx)
    if unit.incident is not None or is_asked(unit):
        raise Refused(
            "unit-busy",
            f"{unit.id} is on an incident; hand it over when it is free.",
            kind="conflict",
            unit=unit.id,
        )
    if cmd.to == unit.custodian:
        return ()
    return (e.CustodyGranted(unit.id, cmd.to, unit.epoch + 1),)
