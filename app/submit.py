"""The only door to change: a command and who sends it go in, a durable answer comes out.

Inside the writer's transaction the door looks whether the same request was answered before, whether the
actor may ask for it, lets the domain decide, and has the facts recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from app import metrics
from app.auth import explain, may
from app.log import Log, Transaction
from app.native import offload
from app.picture import Picture
from app.ports import Clock
from dispatch import commands as c
from dispatch import events as e
from dispatch import undo
from dispatch.commands import Actor, Context, Refused
from dispatch.plans import Pack
from dispatch.shift import times_of
from dispatch.state import State, decide

KEYED = "key:"
"""How the ids of requests begin that came with a key of the sender's own, and so may come again."""
NAME_MAX = 100
"""Characters of an id; the log's columns hold somewhat more, for what stands before it."""

ACTIONS: Mapping[type[c.Command], str] = {
    c.ReportIncident: "incident.report",
    c.ChangeIncident: "incident.edit",
    c.AcknowledgeIncident: "incident.acknowledge",
    c.AddNote: "incident.note",
    c.LinkCaseNumber: "incident.link_case",
    c.SetAlarmLevel: "incident.alarm_level",
    c.CloseIncident: "incident.close",
    c.ReopenIncident: "incident.reopen",
    c.RecordOffer: "incident.recommendation",
    c.ErasePersonalData: "personal.erase",
    c.ResolveConflict: "conflict.resolve",
    c.LinkIncidents: "incident.link",
    c.UnlinkIncidents: "incident.link",
    c.AnswerProtocol: "incident.edit",
    c.SetOwner: "incident.own",
    c.MarkCheck: "incident.check",
    c.CheckCrews: "incident.crew_check",
    c.NotifyPerson: "incident.notify",
    c.FollowNotice: "incident.notify",
    c.ReportCall: "call.report",
    c.AnswerCall: "call.handle",
    c.LinkCall: "call.handle",
    c.UnlinkCall: "call.handle",
    c.CallBack: "call.handle",
    c.CloseCall: "call.handle",
    c.EraseCall: "personal.erase",
    c.NotePremise: "premise.edit",
    c.WithdrawPremise: "premise.edit",
    c.ErasePremise: "personal.erase",
    c.Undo: "undo",
    c.ReportAlarm: "alarm.report",
    c.AcknowledgeAlarm: "alarm.acknowledge",
    c.ShelveAlarm: "alarm.shelve",
    c.UnshelveAlarm: "alarm.shelve",
    c.SetAlarmService: "alarm.service",
    c.AssignUnits: "incident.assign",
    c.RecallUnit: "incident.recall",
    c.AnswerRequest: "incident.answer_request",
    c.LapseRequest: "incident.answer_request",
    c.RegisterUnit: "unit.register",
    c.ReportStatus: "unit.status",
    c.SetFlag: "unit.flag",
    c.AcknowledgeCancelled: "unit.status",
    c.GrantCustody: "custody.grant",
    c.ReportClosure: "closure.report",
    c.ChangeClosure: "closure.edit",
    c.ConfirmClosure: "closure.confirm",
    c.OrderClosure: "closure.order",
    c.WithdrawClosure: "closure.withdraw",
    c.ExpireClosure: "closure.expire",
    c.EraseClosure: "personal.erase",
    c.RecordEta: "unit.eta",
    c.MoveUp: "unit.move_up",
    c.AnswerMoveUp: "unit.answer_move_up",
    c.EndMoveUp: "unit.move_up",
    c.Propose: "proposal.make",
    c.AcceptProposal: "proposal.decide",
    c.DeclineProposal: "proposal.decide",
    c.ExpireProposal: "proposal.make",
    c.WriteHandOver: "handover.write",
    c.TakeHandOver: "handover.take",
    c.PlanWork: "planned.edit",
    c.ChangePlanned: "planned.edit",
    c.WithdrawPlanned: "planned.edit",
    c.EraseShiftText: "personal.erase",
    c.EnterFromPaper: "incident.catch_up",
}
"""What each command needs permission for."""
DECIDES = (c.AcceptProposal, c.DeclineProposal)
"""What is said about a proposal, in its own district."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`position` is where the last fact stands in this node's log; `replayed` tells that the very same
    request had been answered before; `facts` how many were recorded by this one; `undo_until_us` until when
    its sender can take it back, None where that cannot be."""

    position: int
    facts: int
    replayed: bool
    undo_until_us: int | None = None


class Door:
    """Wires a command to the log. Safe to call from any thread or greenlet."""

    def __init__(
        self,
        log: Log,
        picture: Picture,
        clock: Clock,
        pack: Pack,
        *,
        station: str,
        district: str,
        undo_s: int = 8,
    ) -> None:
        self._log = log
        self._picture = picture
        self._clock = clock
        self.pack = pack
        self.station = station
        self.district = district
        self.undo_s = undo_s

    def submit(
        self, command: c.Command, actor: Actor, asked: Any = None, line: tuple[str, str] | None = None
    ) -> Answer:
        """Raises Refused when a rule forbids it and StorageError when it could not be kept; in both
        cases nothing has changed. `asked` is the place as the sender gave it, where the command holds what
        was found for it: the same request stays the same when the map changes. `line` is the id and the hash
        of the command line that it comes from, remembered with it: what its words mean may change."""
        outcome = "failed"
        try:
            answer = self._submit(command, actor, asked, line)
            outcome = "replayed" if answer.replayed else "done"
            return answer
        except Refused:
            outcome = "refused"
            raise
        finally:
            metrics.COMMANDS.labels(type(command).__name__, outcome).inc()

    def _submit(self, command: c.Command, actor: Actor, asked: Any, line: tuple[str, str] | None) -> Answer:
        """`submit`, without its being counted."""
        for name in _named(command):
            # Even to look for it would break the transaction for everybody in it.
            if len(name) > NAME_MAX or "\0" in name:
                raise _unkeepable(ValueError(f"an id has more than {NAME_MAX} characters or a NUL"))
        try:
            request_hash = hash_of(command, actor, asked)
        except (TypeError, ValueError) as error:
            raise _unkeepable(error) from None

        def work(tx: Transaction) -> Answer:
            state = self._picture.use(tx.connection)
            if isinstance(command, c.Undo):
                # What is taken back may have been recorded a moment ago, in this very transaction.
                tx.flush()
            authorise(state, command, actor, self.district)
            earlier = tx.done(command.id)
            if earlier is not None:
                if earlier.request_hash != request_hash:
                    raise Refused(
                        "id-reused",
                        "This id was already used by another sender or for a request with other contents; "
                        "nothing was changed.",
                        kind="conflict",
                        field="id",
                    )
                tx.flush()
                return Answer(earlier.position, 0, True, self._still_undoable(state, command.id, actor))
            ctx = Context(self._clock.now_us(), actor, self.station, self.district, self.pack)
            facts = decide(state, command, ctx)
            if not facts:
                _remember(tx, line)
                if command.id.startswith(KEYED):
                    return Answer(tx.remember(command.id, request_hash), 0, False)
                return Answer(tx.position, 0, False)
            undoable = self.undo_s > 0 and undo.may_be(state, facts, ctx)
            try:
                position = tx.append(
                    facts,
                    cause=command.id,
                    request_hash=request_hash,
                    actor=actor.label,
                    source=command.source,
                    observed_us=command.observed_us,
                    each_us=times_of(command) if isinstance(command, c.EnterFromPaper) else (),
                    epoch_of=_epochs(state),
                )
            except (TypeError, ValueError) as error:
                raise _unkeepable(error) from error
            _remember(tx, line)
            until_us = ctx.now_us + self.undo_s * 1_000_000 if undoable else None
            return Answer(position, len(facts), False, until_us)

        return offload(lambda: self._log.transact(work, cause=command.id))

    def _still_undoable(self, state: State, cause: str, actor: Actor) -> int | None:
        """Until when a request that was answered before can be taken back; None where it cannot any more."""
        if actor.role == "system" or not self.undo_s:
            return None
        now_us = self._clock.now_us()
        ask = c.Undo(id=cause, command=cause, within_s=self.undo_s)
        try:
            taken = decide(state, ask, Context(now_us, actor, self.station, self.district, self.pack))
        except Refused:
            return None
        if not taken:
            return None
        until_us = max(rec.recorded_us for rec in state.caused(cause)) + self.undo_s * 1_000_000
        return until_us if now_us < until_us else None


def _remember(tx: Transaction, line: tuple[str, str] | None) -> None:
    if line is not None and not tx.met(line[0]):
        tx.remember(*line)


def _named(command: c.Command) -> list[str]:
    """Every id that the command gives: its own, and those of what it is about."""
    about = (
        *("incident", "other", "unit", "subject", "closure", "proposal", "call", "premise", "notice"),
        *("command", "handover", "planned", "alarm"),
    )
    found = [command.id, *(getattr(command, name, "") or "" for name in about)]
    if isinstance(command, (c.AssignUnits, c.CheckCrews)):
        found += command.units
    return found


def _unkeepable(error: Exception) -> Refused:
    return Refused("cannot-be-kept", f"The log cannot hold this request: {error}; nothing was changed.")


def authorise(state: State, command: c.Command, actor: Actor, district: str) -> None:
    """Refused (kind "forbidden") unless the actor's role and districts allow the command."""
    closure_id = getattr(command, "closure", None)
    if closure_id is not None:
        _authorise_closure(state, command, closure_id, actor, district)
        return
    action = ACTIONS[type(command)]
    if isinstance(command, c.Undo):
        for where in _districts_of(state, command.command) or {district}:
            if not may(actor, action, district=where, unit=actor.unit):
                why = explain(actor, action, district=where, unit=actor.unit)
                raise Refused("forbidden", why, kind="forbidden", action=action)
        return
    incident_id = getattr(command, "incident", None)
    unit_id = getattr(command, "unit", None)
    if isinstance(command, c.ResolveConflict):
        kind, _, subject_id = command.subject.partition(":")
        incident_id, unit_id = (subject_id, None) if kind == "incident" else (None, subject_id)
    elif isinstance(command, c.CheckCrews):
        # A crew speaks for itself alone.
        unit_id = next((x for x in command.units if x != actor.unit), actor.unit)
    incident = state.incident(incident_id) if incident_id is not None else None
    unit = state.unit(unit_id) if unit_id is not None else None
    where = district
    if incident is not None and incident.reported:
        where = incident.district
    elif unit is not None and unit.registered:
        where = unit.district
    elif isinstance(command, c.RegisterUnit):
        where = command.district
    if unit_id is None and incident is not None and actor.unit is not None:
        # A crew may add to the incident it is on.
        unit_id = next((a.unit for a in incident.active() if a.unit == actor.unit), None)
    proposal = state.proposal(command.proposal) if isinstance(command, DECIDES) else None
    if proposal is not None and proposal.made:
        where = proposal.district
    call_id = getattr(command, "call", None)
    call = state.call(call_id) if call_id is not None else None
    if call is not None and call.received and not isinstance(command, c.ReportIncident):
        where = call.district
    premise = state.premise(getattr(command, "premise", ""))
    if premise is not None and premise.noted:
        where = premise.district
    kept = state.handover(getattr(command, "handover", "")) or state.planned(getattr(command, "planned", ""))
    if isinstance(command, c.EraseShiftText):
        kind, _, subject_id = command.subject.partition(":")
        kept = state.handover(subject_id) if kind == "handover" else state.planned(subject_id)
    if kept is not None and kept.district:
        where = kept.district
    alarm = state.alarm(getattr(command, "alarm", ""))
    if alarm is not None and alarm.raised:
        where = alarm.district
    reaches = [where]
    if isinstance(command, c.RegisterUnit):
        # A unit that moves to another district is taken from one and given to the other.
        reaches.append(command.district)
    elif isinstance(command, (c.LinkIncidents, c.UnlinkIncidents, c.LinkCall, c.UnlinkCall)):
        # What ties two together changes both.
        tied = (state.incident(getattr(command, "other", command.incident)), incident)
        reaches += [x.district for x in tied if x is not None and x.reported]
    elif isinstance(command, c.AcceptProposal) and proposal is not None:
        # Whoever may not order units to an incident, or away from it, may not accept that either.
        touched = [state.incident(one) for one in proposal.incidents]
        reaches += [x.district for x in touched if x is not None and x.reported]
    for reached in reaches:
        if not may(actor, action, district=reached, unit=unit_id):
            why = explain(actor, action, district=reached, unit=unit_id)
            raise Refused("forbidden", why, kind="forbidden", action=action)


def _districts_of(state: State, cause: str) -> set[str]:
    """Those of the incidents and units that a request was about."""
    found = set()
    for subject in {one for rec in state.caused(cause) for one in rec.subjects}:
        kind, _, ident = subject.partition(":")
        if kind == "incident" and (incident := state.incident(ident)) is not None and incident.reported:
            found.add(incident.district)
        elif kind == "unit" and (unit := state.unit(ident)) is not None and unit.registered:
            found.add(unit.district)
    return found


def _authorise_closure(
    state: State, command: c.Command, closure_id: str, actor: Actor, district: str
) -> None:
    """What is ordered is changed and withdrawn by those who may order; a crew speaks for itself alone."""
    found = state.closure(closure_id)
    is_known = found is not None and found.reported
    actions = [ACTIONS[type(command)]]
    if isinstance(command, c.ReportClosure):
        actions += [f"closure.{then}" for then in REPORTED_AS.get(command.state, ())]
    elif isinstance(command, (c.ChangeClosure, c.WithdrawClosure)) and found and found.ordered_us is not None:
        actions.append("closure.order")
    unit = (getattr(command, "unit", None) or actor.unit) if actor.role == "field" else None
    where = found.district if found is not None and is_known else district
    for action in actions:
        if not may(actor, action, district=where, unit=unit):
            why = explain(actor, action, district=where, unit=unit)
            raise Refused("forbidden", why, kind="forbidden", action=action)


REPORTED_AS = {"confirmed": ("confirm",), "ordered": ("order",)}
"""What somebody must be allowed beside reporting, to report a closure in such a state."""


def _epochs(state: State) -> Callable[[e.Event], int]:
    def epoch_of(fact: e.Event) -> int:
        unit_id = getattr(fact, "unit", None)
        unit = state.unit(unit_id) if unit_id is not None else None
        return unit.epoch if unit is not None else 0

    return epoch_of


def hash_of(command: c.Command, actor: Actor, asked: Any = None) -> str:
    """SHA-256 of who asks for what, the id aside: tells a retry from another request. `asked` stands for
    the place in it."""
    body = {
        f.name: plain(value, asked)
        for f in fields(command)
        if f.name != "id" and not ((value := getattr(command, f.name)) is None and "later" in f.metadata)
    }
    parts = [type(command).__name__, actor.label, body]
    return hashlib.sha256(e.canonical(parts).encode()).hexdigest()


def plain(value: Any, asked: Any = None) -> Any:
    """A part of a command as JSON has it; `asked` in the place of a place."""
    if isinstance(value, c.Place) and asked is not None:
        return plain(asked)
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), asked) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item, asked) for key, item in value.items()}
    return [plain(item, asked) for item in value]
