"""Taking back a request of a moment ago: whether that is still possible, and what follows.

Nothing is put together anew. The facts of the request simply count no more (`TakenBack`, `state.fold`): what
was so before is so again, at every node and in whatever order it hears of it. Only what others outside have
heard cannot be unsaid: crews are told, an agency's request is withdrawn, a note is struck.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch import unit as units
from dispatch.commands import Context, Refused, upgrade_needed, who
from dispatch.incident import Incident
from dispatch.unit import Unit

if TYPE_CHECKING:
    from dispatch.state import State

GRACE_US = 2_000_000
"""How much later than shown it is still taken: the answer was on its way to the screen, the press back."""

CAN: frozenset[type[e.Event]] = frozenset(
    {
        e.IncidentChanged,
        e.IncidentAcknowledged,
        e.NoteAdded,
        e.CaseNumberLinked,
        e.AlarmLevelSet,
        e.IncidentClosed,
        e.IncidentReopened,
        e.UnitAssigned,
        e.UnitRecalled,
        e.UnitRequested,
        e.RequestAnswered,
        e.UnitStatusReported,
        e.UnitMovingUp,
        e.ProposalAccepted,
        e.ProposalDeclined,
        e.IncidentsLinked,
        e.IncidentsUnlinked,
        e.ProtocolAnswered,
        e.CallLinked,
        e.CallUnlinked,
        e.CalledBack,
        e.CallClosed,
        e.PremiseWithdrawn,
        e.IncidentOwned,
        e.CheckMarked,
        e.CrewChecked,
        e.PersonNotified,
        e.NoticeFollowed,
    }
)
"""What can be taken back. A call stays a call: it is closed; a road, a flag, a contradiction have commands of
their own to set them right."""

_STAYS = frozenset({e.NoteAdded, e.UnitRequested})
"""Facts that go on counting: a note is struck, a request is withdrawn, both for everybody to see."""

_NEVER_MATTERS = frozenset(
    {
        *("id", "position", "facts", "sealed", "erased", "conflicts", "parked"),
        # Each of these is a list that others may have added to, which takes nothing from what was added here.
        *("notes", "assignments", "requests", "case_numbers", "links", "calls", "offered"),
        *("incidents", "notices"),
        *("diverted", "moved_up", "cancelled"),
    }
)
_STATUS = frozenset(f"status{part}" for part in ("", "_us", "_by", "_source")) | {
    *("reason", "hospital", "ready_us"),
}


def may_be(state: State, facts: Iterable[e.Event], ctx: Context) -> bool:
    """Whether what a request leads to can be taken back afterwards; `state` is as before it."""
    if ctx.actor.role == "system":
        return False
    listed = list(facts)
    return bool(listed) and all(_can(state, fact) for fact in listed)


def _can(state: State, fact: e.Event) -> bool:
    if isinstance(fact, e.UnitStatusReported):
        return not fact.late
    if isinstance(fact, e.UnitRecalled) and fact.to is None:
        # A withdrawn request cannot be brought back, only made again: the agency has heard of it.
        unit = state.unit(fact.unit)
        return unit is not None and unit.incident == fact.incident
    return type(fact) in CAN


def take_back(state: State, cmd: c.Undo, ctx: Context) -> tuple[e.Event, ...]:
    """Everything or nothing; nothing where it was taken back already."""
    found = {(rec.cause, rec.cause_index): rec for rec in sorted(state.caused(cmd.command), key=_key)}
    mine = list(found.values())
    if not mine:
        raise Refused(
            "unknown-command",
            f"Nothing was recorded for the request {cmd.command}.",
            kind="missing",
            field="command",
        )
    about = tuple(dict.fromkeys(subject for rec in mine for subject in rec.subjects))
    if any(
        isinstance(rec.event, e.TakenBack) and rec.event.command == cmd.command
        for rec in state.facts(about[0])
    ):
        return ()
    if any(rec.actor != ctx.actor.label for rec in mine):
        raise Refused(
            "not-your-command",
            f"{who(mine[0].actor)} asked for this; only who asked can take it back.",
            kind="forbidden",
        )
    stories = [_story(state, subject, mine) for subject in about]
    for story in stories:
        _must_be_possible(story)
    done_us = mine[-1].recorded_us
    if ctx.now_us > done_us + cmd.within_s * 1_000_000 + GRACE_US:
        raise Refused(
            "too-late-to-undo",
            f"It was done {(ctx.now_us - done_us) // 1_000_000} s ago and could be taken back for"
            f" {cmd.within_s} s.",
            kind="conflict",
            at_us=done_us,
            units=_units_of(mine),
        )
    back = _Back([(rec.cause, rec.cause_index) for rec in mine if type(rec.event) not in _STAYS])
    for story in stories:
        if isinstance(story.now, Unit):
            _unit_back(state, story, back, ctx)
        elif isinstance(story.now, Incident):
            _incident_back(story)
        elif story.now is not None:
            _must_stand(story)
    kinds = tuple(dict.fromkeys(type(rec.event).__name__ for rec in mine))
    gone, told, rolling = tuple(dict.fromkeys(back.gone)), tuple(back.told), tuple(back.rolling)
    return (e.TakenBack(cmd.command, gone, kinds, about, told, rolling), *back.said)


def _key(rec: e.Recorded) -> tuple[int, str, int]:
    return rec.key


def _units_of(mine: Sequence[e.Recorded]) -> list[str]:
    """The units that were sent by it, or asked for."""
    sent = (e.UnitAssigned, e.UnitRequested)
    return list(dict.fromkeys(rec.event.unit for rec in mine if isinstance(rec.event, sent)))


def _must_be_possible(story: _Story) -> None:
    """Refused where one of its facts is of a kind that cannot be taken back."""
    for rec in story.mine:
        fact = rec.event
        possible = type(fact) in CAN
        if isinstance(fact, e.UnitStatusReported):
            possible = not fact.late
        elif isinstance(fact, e.UnitRecalled) and fact.to is None and isinstance(story.before, Unit):
            possible = story.before.incident == fact.incident
        if not possible:
            raise Refused(
                "cannot-be-undone",
                f"{rec.type} cannot be taken back; set it right with a new request.",
                kind="conflict",
                field="command",
                fact=rec.type,
            )


# ---- what has happened since


@dataclass(frozen=True, slots=True)
class _Story:
    """A subject before the request, right after it, and now; its facts, and those of the request."""

    subject: str
    facts: Sequence[e.Recorded]
    mine: Sequence[e.Recorded]
    before: Any
    after: Any
    now: Any


def _story(state: State, subject: str, mine: Sequence[e.Recorded]) -> _Story:
    facts = state.facts(subject)
    own = [rec for rec in mine if subject in rec.subjects]
    first, last = own[0].key, own[-1].key
    return _Story(
        subject,
        facts,
        own,
        state.folded(subject, (rec for rec in facts if rec.key < first)),
        state.folded(subject, (rec for rec in facts if rec.key <= last)),
        state.folded(subject, facts),
    )


def _must_stand(told: _Story, *, exempt: frozenset[str] = _NEVER_MATTERS, **about: Any) -> None:
    """Refused where something that the request changed has changed once more since."""
    now = told.now
    for part in fields(now):
        name = part.name
        if name in exempt:
            continue
        was, then, is_now = (getattr(x, name, None) for x in (told.before, told.after, now))
        if isinstance(then, Mapping):
            had, has = was or {}, is_now or {}
            changed = [key for key in {*had, *then} if had.get(key) != then.get(key)]
            moved = any(then.get(key) != has.get(key) for key in changed)
        else:
            moved = was != then and then != is_now
        if moved:
            label = getattr(now, "number", "") or told.subject.partition(":")[2]
            raise Refused(
                "moved-on",
                f"{label} was changed again since ({name}).",
                kind="conflict",
                field="command",
                changed=name,
                **about,
            )


def _incident_back(told: _Story) -> None:
    before, after, now = told.before, told.after, told.now
    if now.parked:
        raise upgrade_needed(f"Incident {now.number}")
    about = {"incident_number": now.number}
    _must_stand(told, **about)
    beside = {e.NoteAdded, e.CaseNumberLinked, e.UnitStatusReported}
    kinds = {type(rec.event) for rec in told.mine}
    if after.open and not now.open and not kinds <= beside:
        raise Refused(
            "incident-closed",
            f"Incident {now.number} was closed since.",
            kind="conflict",
            field="command",
            **about,
        )
    if now.open and before is not None and not before.open:
        # It would be closed again.
        busy = [a.unit for a in now.active()] + [r.unit for r in now.requests if r.state == "asked"]
        if busy:
            raise Refused(
                "moved-on",
                f"{', '.join(busy)} went to incident {now.number} since.",
                kind="conflict",
                field="command",
                units=busy,
                **about,
            )


@dataclass(slots=True)
class _Back:
    """What follows besides: facts that count no more, who must be told, who had left, what is said."""

    gone: list[tuple[str, int]]
    told: list[tuple[str, str | None, str]] = field(default_factory=list)
    rolling: list[str] = field(default_factory=list)
    said: list[e.Event] = field(default_factory=list)


def _unit_back(state: State, story: _Story, back: _Back, ctx: Context) -> None:
    now: Unit = story.now
    if now.parked:
        raise upgrade_needed(f"Unit {now.id}")
    units.must_be_held(now, ctx)
    own = [rec.event for rec in story.mine]
    sent = next((fact for fact in own if isinstance(fact, e.UnitAssigned)), None)
    exempt = _NEVER_MATTERS
    if sent is not None:
        back.gone += _order_back(state, sent, story)
        exempt |= _STATUS
        if now.status == "en_route":
            back.rolling.append(now.id)
        if sent.accepted_by is None:
            back.told.append((now.id, sent.incident, "order"))
    try:
        _must_stand(story, exempt=exempt)
    except Refused as fault:
        raise _moved_on(state, now, str(fault.extra["changed"]), own, ctx) from None
    _must_take_it_back(state, story.before, now, ctx)
    for fact in own:
        if isinstance(fact, e.UnitRequested):
            back.said.append(e.UnitRecalled(fact.incident, now.id, None))
        elif isinstance(fact, e.UnitRecalled) and fact.to is None:
            back.told.append((now.id, fact.incident, "recall"))
        elif isinstance(fact, e.UnitMovingUp) and fact.asked:
            back.said.append(e.MoveUpEnded(now.id, "cancelled"))
        elif isinstance(fact, e.UnitMovingUp):
            back.told.append((now.id, None, "move_up"))


def _order_back(state: State, sent: e.UnitAssigned, story: _Story) -> list[tuple[str, int]]:
    """What the crew pressed because of the order; refused once it is there, or no more on its way."""
    after, now = story.after, story.now
    number = _number(state, sent.incident)
    if now.incident != sent.incident or now.assigned_us != after.assigned_us:
        raise Refused(
            "moved-on",
            f"{now.id} is no longer on its way to incident {number}.",
            kind="conflict",
            field="command",
            unit=now.id,
            status=now.status,
            since_us=now.status_us,
            incident_number=number,
        )
    if now.status not in units.UNDERWAY:
        raise Refused(
            "already-there",
            f"{now.id} is {now.status} at incident {number}: recall it.",
            kind="conflict",
            field="command",
            unit=now.id,
            status=now.status,
            since_us=now.status_us,
            incident_number=number,
        )
    pressed = [
        rec
        for rec in story.facts
        if isinstance(rec.event, e.UnitStatusReported)
        and rec.event.incident == sent.incident
        and rec.observed_us >= (after.assigned_us or 0)
    ]
    return [(rec.cause, rec.cause_index) for rec in pressed]


def _moved_on(state: State, now: Unit, changed: str, own: Sequence[e.Event | None], ctx: Context) -> Refused:
    request = next((fact for fact in own if isinstance(fact, e.UnitRequested)), None)
    if request is not None:
        return Refused(
            "agency-answered",
            f"The agency has answered for {now.id} since: recall it.",
            kind="conflict",
            field="command",
            unit=now.id,
            incident_number=_number(state, request.incident),
        )
    status = ctx.pack.statuses.get(now.status)
    return Refused(
        "moved-on",
        f"{now.id} is {status.names['en'].lower() if status else now.status} since; {changed} is another.",
        kind="conflict",
        field="command",
        unit=now.id,
        status=now.status,
        since_us=now.status_us,
    )


def _must_take_it_back(state: State, before: Unit | None, now: Unit, ctx: Context) -> None:
    """Refused where the unit would be put back to where it cannot be any more."""
    back = before.incident if before is not None else None
    if back is None or back == now.incident:
        return
    incident = state.incident(back)
    if incident is None or not incident.open:
        raise Refused(
            "incident-closed",
            f"Incident {_number(state, back)}, to which {now.id} would go back, was closed since.",
            kind="conflict",
            field="command",
            unit=now.id,
            incident_number=_number(state, back),
        )
    mate = units.crew_mate_out(state, now) or units.crew_mate_asked(state, now)
    if mate is not None:
        raise Refused(
            "crew-out",
            f"The crew of {now.id} is out with {mate.id} since.",
            kind="conflict",
            field="command",
            unit=now.id,
            with_unit=mate.id,
        )


def _number(state: State, incident_id: str) -> str:
    found: Incident | None = state.incident(incident_id)
    return found.number if found is not None else incident_id
