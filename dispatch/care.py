"""What a control room sees to on an incident beside sending units: who owns it, what is still to be done,
whether its crews are well, who was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Context, Refused
from dispatch.incident import (
    REASON_MAX,
    Assignment,
    Incident,
    must_be_open,
    must_exist,
    private,
    text_of,
)
from dispatch.plans import Check, Pack

if TYPE_CHECKING:
    from dispatch.state import State

CHECK_STATES = ("done", "not_needed", "open")
RESULTS = ("well", "no_answer")
NOTICE_STATES = ("answered", "waiting", "no_answer")
VIAS = ("phone", "radio", "message", "in_person")
REMIND_S = {"waiting": 600, "no_answer": 300}
"""After how long somebody tries again, unless told otherwise."""
REMIND_MAX_S = 86_400
LOGIN_MAX, NAME_MAX, NUMBER_MAX = 64, 128, 50
"""Characters of a login; of a name or role; of a telephone number."""


# ---- what follows from the pack


def checklist(incident: Incident, pack: Pack) -> tuple[Check, ...]:
    """What is to be done about an incident of this type at this alarm level, in order."""
    kind = pack.incident_types.get(incident.type)
    asked = [pack.checks[code] for code in kind.checklist] if kind is not None else []
    return tuple(check for check in asked if check.from_level <= incident.alarm_level)


def asked_every_s(incident: Incident, assignment: Assignment, pack: Pack) -> int | None:
    """How often a crew in this status on this incident is asked whether all are well; None: it is not."""
    status = pack.statuses.get(assignment.status)
    kind = pack.incident_types.get(incident.type)
    if status is None or status.par_s is None:
        return None
    return kind.par_s if kind is not None and kind.par_s is not None else status.par_s


def ask_at_us(incident: Incident, assignment: Assignment, pack: Pack) -> int | None:
    """When that crew is to be asked next."""
    every_s = asked_every_s(incident, assignment, pack)
    if every_s is None:
        return None
    well_us = assignment.check.well_us if assignment.check is not None else None
    return max(assignment.since_us, well_us or 0) + every_s * 1_000_000


def to_tell(incident: Incident, pack: Pack) -> tuple[str, ...]:
    """The partners that the pack says are to be told, and nobody has tried to."""
    kind = pack.incident_types.get(incident.type)
    tried = {x.partner for x in incident.notices}
    return tuple(code for code in (kind.notify if kind is not None else ()) if code not in tried)


# ---- decide


def _one_of(value: str, allowed: tuple[str, ...], field: str) -> None:
    if value not in allowed:
        raise Refused("unknown-word", f"{value!r} is none of {', '.join(allowed)}.", field=field)


def set_owner(state: State, cmd: c.SetOwner, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_be_open(state, cmd.incident, ctx)
    owner = text_of(cmd.owner, "owner", longest=LOGIN_MAX)
    has, since_us, _ = incident.owner or ("", None, "")
    if has == owner:
        return ()
    if has not in ("", ctx.actor.name, cmd.was):
        raise Refused(
            "owned-by-another",
            f"{has} has incident {incident.number}.",
            kind="conflict",
            by=has,
            at_us=since_us,
            incident_number=incident.number,
        )
    return (e.IncidentOwned(cmd.incident, owner, has),)


def mark(state: State, cmd: c.MarkCheck, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_be_open(state, cmd.incident, ctx)
    if cmd.check not in ctx.pack.checks:
        raise Refused("unknown-check", f"{cmd.check!r} is on no checklist of the pack.", field="check")
    _one_of(cmd.state, CHECK_STATES, "state")
    was = incident.checks.get(cmd.check)
    if (was.state if was is not None else "open") == cmd.state:
        return ()
    return (e.CheckMarked(cmd.incident, cmd.check, cmd.state),)


def check_crews(state: State, cmd: c.CheckCrews, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_be_open(state, cmd.incident, ctx)
    _one_of(cmd.result, RESULTS, "result")
    note = text_of(cmd.note, "note", longest=REASON_MAX)
    if not cmd.units:
        raise Refused("no-units", "Name at least one unit.", field="units")
    here = {a.unit for a in incident.active()}
    for unit in cmd.units:
        if unit not in here:
            raise Refused(
                "unit-not-here",
                f"{unit} is not on incident {incident.number}.",
                kind="conflict",
                field="units",
                unit=unit,
            )
    return tuple(
        e.CrewChecked(cmd.incident, unit, cmd.result, private(note)) for unit in dict.fromkeys(cmd.units)
    )


def notify(state: State, cmd: c.NotifyPerson, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    if any(x.id == cmd.notice for x in incident.notices):
        raise Refused("id-taken", f"There is a notice {cmd.notice} already.", kind="conflict", field="id")
    if cmd.partner is not None and cmd.partner not in ctx.pack.partners:
        raise Refused(
            "unknown-partner", f"{cmd.partner!r} is no partner of the pack.", field="partner"
        )
    _one_of(cmd.via, VIAS, "via")
    longest = {"name": NAME_MAX, "role": NAME_MAX, "number": NUMBER_MAX}
    person = {
        part: said
        for part, most in longest.items()
        if (said := text_of(cmd.person.get(part, ""), f"person.{part}", longest=most))
    }
    if not person and cmd.partner is None:
        raise Refused("nobody-named", "Say who was told, or of which partner.", field="person")
    note, remind_us = _came_of_it(cmd, ctx)
    return (
        e.PersonNotified(
            cmd.incident, cmd.notice, cmd.partner, private(person), cmd.via, cmd.state, note, remind_us
        ),
    )


def follow(state: State, cmd: c.FollowNotice, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    notice = next((x for x in incident.notices if x.id == cmd.notice), None)
    if notice is None:
        raise Refused("unknown-notice", f"There is no notice {cmd.notice}.", kind="missing", field="notice")
    note, remind_us = _came_of_it(cmd, ctx)
    if note is None and (notice.state, remind_us) == (cmd.state, None) == ("answered", notice.remind_us):
        return ()
    return (e.NoticeFollowed(cmd.incident, cmd.notice, cmd.state, note, remind_us),)


def _came_of_it(cmd: c.NotifyPerson | c.FollowNotice, ctx: Context) -> tuple[e.Secret, int | None]:
    _one_of(cmd.state, NOTICE_STATES, "state")
    if cmd.remind_s is not None and not 0 <= cmd.remind_s <= REMIND_MAX_S:
        raise Refused("remind-too-late", f"A reminder comes within {REMIND_MAX_S} s.", field="remind_s")
    remind_s = REMIND_S.get(cmd.state, 0) if cmd.remind_s is None else cmd.remind_s
    return (
        private(text_of(cmd.note, "note", longest=REASON_MAX)),
        ctx.now_us + remind_s * 1_000_000 if remind_s else None,
    )
