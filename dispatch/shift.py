"""What a shift keeps beside its calls: the hand-over to the next one, works and events that are planned, and
what was written on paper while the console was away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch import incident as incidents
from dispatch.commands import Context, Refused
from dispatch.incident import must_exist, private, text_of

if TYPE_CHECKING:
    from dispatch.state import State

TITLE_MAX = 200
"""Characters of the title of something planned."""
PLANNED_KINDS = ("works", "event", "outage", "exercise")
STEPS = ("assigned", "en_route", "on_scene", "transporting", "at_hospital", "available")
"""What paper tells of a crew, in the order in which it happens."""
PAPER_REACH_US = 31 * 86_400_000_000
"""How long ago what is entered from paper may have happened: outages have lasted more than a week."""
PAPER_AHEAD_US = 5_000_000


@dataclass(frozen=True, slots=True)
class HandOver:
    """One shift to the next. What stood open when it was written goes by ids; `erased` are sealed values that
    were destroyed."""

    id: str
    written: bool = False
    """False while only later facts about it have arrived."""
    station: str = ""
    district: str = ""
    written_us: int = 0
    written_by: str = ""
    incidents: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    closures: tuple[str, ...] = ()
    requests: tuple[tuple[str, str], ...] = ()
    notes: e.Secret = None
    taken_us: int | None = None
    taken_by: str = ""
    remark: e.Secret = None
    erased: frozenset[str] = frozenset()
    parked: bool = False
    position: int = 0

    @property
    def sealed(self) -> tuple[str, ...]:
        """Ids of its personal data that is still there."""
        held = [s.id for s in (self.notes, self.remark) if isinstance(s, e.Sealed)]
        return tuple(one for one in held if one not in self.erased)


@dataclass(frozen=True, slots=True)
class Planned:
    """Works, an event, an outage or an exercise that the room should know of beforehand."""

    id: str
    planned: bool = False
    """False while only later facts about it have arrived."""
    station: str = ""
    district: str = ""
    kind: str = ""
    title: str = ""
    where: str = ""
    from_us: int = 0
    until_us: int = 0
    details: e.Secret = None
    entered_us: int = 0
    entered_by: str = ""
    withdrawn_us: int | None = None
    withdrawn_by: str = ""
    reason: str = ""
    erased: frozenset[str] = frozenset()
    known: tuple[str, ...] = ()
    """Ids of all personal data ever recorded about it."""
    parked: bool = False
    position: int = 0

    @property
    def sealed(self) -> tuple[str, ...]:
        """Ids of its personal data that is still there."""
        return tuple(one for one in self.known if one not in self.erased)

    def holds(self, at_us: int) -> bool:
        """Whether it is going on at that time."""
        return self.planned and self.withdrawn_us is None and self.from_us <= at_us < self.until_us


# ---- apply: never raises, for any subset of facts in any order


def apply_handover(was: HandOver | None, rec: e.Recorded, subject_id: str) -> HandOver:
    """The hand-over after one more fact."""
    now = was or HandOver(id=subject_id)
    fact = rec.event
    if isinstance(fact, e.HandOverWritten) and not now.written:
        now = replace(
            now,
            written=True,
            station=fact.station,
            district=fact.district,
            written_us=rec.observed_us,
            written_by=rec.actor,
            incidents=fact.incidents,
            units=fact.units,
            closures=fact.closures,
            requests=fact.requests,
            notes=fact.notes,
        )
    elif isinstance(fact, e.HandOverTaken) and now.taken_us is None:
        now = replace(now, taken_us=rec.observed_us, taken_by=rec.actor, remark=fact.remark)
    elif isinstance(fact, e.ShiftTextErased):
        now = replace(now, erased=now.erased | frozenset(fact.ids))
    return replace(now, parked=now.parked or fact is None, position=max(now.position, rec.position))


_CHANGEABLE = ("kind", "title", "where", "from_us", "until_us", "details")


def apply_planned(was: Planned | None, rec: e.Recorded, subject_id: str) -> Planned:
    """What is planned after one more fact."""
    now = was or Planned(id=subject_id)
    fact = rec.event
    if isinstance(fact, e.WorkPlanned) and not now.planned:
        now = replace(
            now,
            planned=True,
            station=fact.station,
            district=fact.district,
            kind=fact.kind,
            title=fact.title,
            where=fact.where,
            from_us=fact.from_us,
            until_us=fact.until_us,
            details=fact.details,
            entered_us=rec.observed_us,
            entered_by=rec.actor,
        )
    elif isinstance(fact, e.PlannedChanged):
        changes: dict[str, Any] = {k: v for k, v in fact.changes.items() if k in _CHANGEABLE}
        now = replace(now, **changes)
    elif isinstance(fact, e.PlannedWithdrawn) and now.withdrawn_us is None:
        now = replace(now, withdrawn_us=rec.observed_us, withdrawn_by=rec.actor, reason=fact.reason)
    elif isinstance(fact, e.ShiftTextErased):
        now = replace(now, erased=now.erased | frozenset(fact.ids))
    fresh = () if fact is None else tuple(s.id for s in e.sealed_in(fact))
    return replace(
        now,
        known=(*now.known, *fresh),
        parked=now.parked or fact is None,
        position=max(now.position, rec.position),
    )


# ---- decide


def write(state: State, cmd: c.WriteHandOver, ctx: Context) -> tuple[e.Event, ...]:
    """What stands open is taken from the state at this very moment, so that the log keeps what was handed
    over, whatever becomes of it."""
    was = state.handover(cmd.handover)
    if was is not None and was.written:
        raise Refused("handover-exists", "This hand-over was written before.", kind="conflict", field="id")
    now_us = ctx.now_us
    open_ones = [x for x in state.incidents() if x.open and x.district == ctx.district]
    return (
        e.HandOverWritten(
            handover=cmd.handover,
            station=ctx.station,
            district=ctx.district,
            incidents=tuple(sorted(x.id for x in open_ones)),
            units=tuple(sorted(x.id for x in state.units() if x.incident is not None)),
            closures=tuple(sorted(x.id for x in state.closures() if x.holds(now_us))),
            requests=tuple(
                sorted(
                    (x.id, r.unit) for x in open_ones for r in x.requests if r.state in ("asked", "no_answer")
                )
            ),
            notes=private(text_of(cmd.notes, "notes")),
        ),
    )


def take(state: State, cmd: c.TakeHandOver, ctx: Context) -> tuple[e.Event, ...]:
    was = _handover(state, cmd.handover)
    if was.taken_us is not None:
        if was.taken_by == ctx.actor.label:
            return ()
        raise Refused(
            "handover-taken",
            f"This hand-over was taken by {c.who(was.taken_by)}.",
            kind="conflict",
            by=was.taken_by,
            at_us=was.taken_us,
        )
    if was.written_by == ctx.actor.label:
        raise Refused(
            "handover-own", "Who leaves cannot take over from herself; the next shift signs.", kind="conflict"
        )
    return (e.HandOverTaken(cmd.handover, private(text_of(cmd.remark, "remark"))),)


def plan(state: State, cmd: c.PlanWork, ctx: Context) -> tuple[e.Event, ...]:
    was = state.planned(cmd.planned)
    if was is not None and was.planned:
        raise Refused("planned-exists", "This was entered before.", kind="conflict", field="id")
    _span(cmd.from_us, cmd.until_us)
    return (
        e.WorkPlanned(
            planned=cmd.planned,
            station=ctx.station,
            district=ctx.district,
            kind=_kind(cmd.kind),
            title=text_of(cmd.title, "title", required=True, longest=TITLE_MAX),
            where=text_of(cmd.where, "where", longest=TITLE_MAX),
            from_us=cmd.from_us,
            until_us=cmd.until_us,
            details=private(text_of(cmd.details, "details")),
        ),
    )


def replan(state: State, cmd: c.ChangePlanned, ctx: Context) -> tuple[e.Event, ...]:
    was = _planned(state, cmd.planned)
    if was.withdrawn_us is not None:
        raise Refused("planned-withdrawn", f"{was.title} was withdrawn.", kind="conflict")
    new: dict[str, Any] = {}
    for name, value in cmd.changes.items():
        if name == "kind":
            value = _kind(value)
        elif name in ("title", "where"):
            value = text_of(value, name, required=name == "title", longest=TITLE_MAX)
        elif name == "details":
            new[name] = private(text_of(value, name))
            continue
        elif name not in ("from_us", "until_us"):
            raise Refused("unknown-field", f"Nothing planned has a field {name!r}.", field=name)
        if value != getattr(was, name):
            new[name] = value
    _span(new.get("from_us", was.from_us), new.get("until_us", was.until_us))
    return (e.PlannedChanged(cmd.planned, new),) if new else ()


def withdraw(state: State, cmd: c.WithdrawPlanned, ctx: Context) -> tuple[e.Event, ...]:
    was = _planned(state, cmd.planned)
    reason = text_of(cmd.reason, "reason", required=True, longest=incidents.REASON_MAX)
    return () if was.withdrawn_us is not None else (e.PlannedWithdrawn(cmd.planned, reason),)


def erase(state: State, cmd: c.EraseShiftText, ctx: Context) -> tuple[e.Event, ...]:
    kind, _, subject_id = cmd.subject.partition(":")
    was = _handover(state, subject_id) if kind == "handover" else _planned(state, subject_id)
    reason = text_of(cmd.reason, "reason", required=True, longest=incidents.REASON_MAX)
    return (e.ShiftTextErased(cmd.subject, was.sealed, reason),) if was.sealed else ()


def _handover(state: State, ident: str) -> HandOver:
    found = state.handover(ident)
    if found is None or not found.written:
        raise Refused("unknown-handover", f"There is no hand-over {ident}.", kind="missing", field="handover")
    return found


def _planned(state: State, ident: str) -> Planned:
    found = state.planned(ident)
    if found is None or not found.planned:
        raise Refused("unknown-planned", f"Nothing is planned as {ident}.", kind="missing", field="planned")
    return found


def _kind(kind: str) -> str:
    if kind not in PLANNED_KINDS:
        raise Refused("unknown-kind", f"{kind!r} is none of {', '.join(PLANNED_KINDS)}.", field="kind")
    return kind


def _span(from_us: int, until_us: int) -> None:
    if until_us <= from_us:
        raise Refused("bad-span", "It must end after it begins.", field="until")


# ---- from paper


def enter(state: State, cmd: c.EnterFromPaper, ctx: Context) -> tuple[e.Event, ...]:
    """The facts of one line of paper, in the order of `times_of`. A sending that is over gives the case its
    times and moves no unit: where the crew is by now is not for paper to say."""
    facts: list[e.Event] = []
    if cmd.report is not None:
        facts += incidents.report(state, cmd.report, ctx)
        facts.append(e.IncidentAcknowledged(cmd.incident))
        opened_us = cmd.report.observed_us or ctx.now_us
        closed = False
    else:
        found = must_exist(state, cmd.incident, ctx)
        opened_us, closed = found.reported_us, not found.open
    _happened(opened_us if cmd.report is not None else None, "report", ctx)
    for n, sending in enumerate(cmd.sendings):
        facts.append(_sent(state, cmd, n, sending, opened_us, ctx))
    for n, (at_us, text) in enumerate(cmd.notes):
        _happened(at_us, f"notes.{n}.at", ctx)
        facts.append(e.NoteAdded(cmd.incident, e.Private(text_of(text, f"notes.{n}.text", required=True))))
    if cmd.closed is not None:
        at_us, outcome = cmd.closed
        _happened(at_us, "closed.at", ctx)
        if closed:
            raise Refused("incident-closed", "This incident is closed already.", kind="conflict")
        if at_us < opened_us:
            raise Refused("closed-before-reported", "It closes before it was reported.", field="closed.at")
        if cmd.report is None:
            # Refuses while units are on it, as always.
            shut = c.CloseIncident(id=cmd.id, incident=cmd.incident, outcome=outcome)
            facts += incidents.close(state, shut, ctx)
        else:
            said = private(text_of(outcome, "closed.outcome", required=True))
            facts.append(e.IncidentClosed(cmd.incident, said))
    if not facts:
        raise Refused("empty", "Enter at least one thing that was written on paper.", field="body")
    return tuple(facts)


def times_of(cmd: c.EnterFromPaper) -> tuple[int | None, ...]:
    """When each fact that `enter` gives happened, in the same order."""
    times: list[int | None] = []
    if cmd.report is not None:
        times += [cmd.report.observed_us] * 2
    times += [min(sending.times.values()) for sending in cmd.sendings]
    times += [at_us for at_us, _ in cmd.notes]
    if cmd.closed is not None:
        times.append(cmd.closed[0])
    return tuple(times)


def _happened(at_us: int | None, field: str, ctx: Context) -> None:
    if at_us is None:
        return
    if at_us > ctx.now_us + PAPER_AHEAD_US:
        raise Refused("time-in-future", f"{field} has not happened yet.", field=field)
    if at_us < ctx.now_us - PAPER_REACH_US:
        raise Refused("paper-too-old", f"{field} is more than 31 days ago.", field=field)


def _sent(
    state: State, cmd: c.EnterFromPaper, n: int, sending: c.PaperSending, opened_us: int, ctx: Context
) -> e.Event:
    at = f"sendings.{n}"
    unit = state.unit(sending.unit)
    if unit is None or not unit.registered:
        raise Refused(
            "unknown-unit", f"There is no unit {sending.unit!r}.", kind="missing", field=f"{at}.unit"
        )
    if unit.incident == cmd.incident:
        raise Refused(
            "unit-on-it",
            f"{unit.id} is on this incident now: tell its statuses with their times instead.",
            kind="conflict",
            field=f"{at}.unit",
            unit=unit.id,
        )
    before_us, before = opened_us, "report"
    for step in STEPS:
        if step not in sending.times:
            if step in ("assigned", "available"):
                raise Refused("time-needed", f"Say when {unit.id} was {step}.", field=f"{at}.{step}")
            continue
        step_us = sending.times[step]
        _happened(step_us, f"{at}.{step}", ctx)
        if step_us < before_us:
            raise Refused("out-of-order", f"{step} comes before {before}.", field=f"{at}.{step}")
        before_us, before = step_us, step
    times = {step: sending.times[step] for step in STEPS if step in sending.times}
    return e.UnitWasSent(cmd.incident, unit.id, times)


DECIDE: Mapping[type[c.Command], Callable[[State, Any, Context], tuple[e.Event, ...]]] = {
    c.WriteHandOver: write,
    c.TakeHandOver: take,
    c.PlanWork: plan,
    c.ChangePlanned: replan,
    c.WithdrawPlanned: withdraw,
    c.EraseShiftText: erase,
    c.EnterFromPaper: enter,
}
