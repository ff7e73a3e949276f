"""The whole state: a dictionary of independent folds, one a subject, and the two functions over it.

`apply` folds one fact into one subject. `decide` turns a command into facts, or refuses it. Relations
between subjects (which units share a crew, who is on what) are views, never stored twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dispatch import alarm, call, care, closure, incident, premise, proposal, shift, undo, unit
from dispatch import commands as c
from dispatch import events as e
from dispatch.alarm import Alarm
from dispatch.call import Call
from dispatch.closure import Closure
from dispatch.commands import Context, Refused
from dispatch.incident import Incident
from dispatch.premise import Premise
from dispatch.proposal import Proposal
from dispatch.shift import HandOver, Planned
from dispatch.unit import Unit


@dataclass(frozen=True, slots=True)
class Station:
    """A station's own counters: incident numbers run per station."""

    id: str
    last_number: int = 0
    position: int = 0


Entity = Incident | Unit | Station | Closure | Proposal | Call | Premise | HandOver | Planned | Alarm


def _apply_station(was: Station | None, rec: e.Recorded, subject_id: str) -> Station:
    number = was.last_number if was else 0
    if isinstance(rec.event, e.IncidentReported):
        number = max(number, rec.event.number)
    return Station(subject_id, number, max(was.position if was else 0, rec.position))


def apply(subject: str, was: Any, rec: e.Recorded) -> Entity | None:
    """The subject's entity after one more fact; None for a kind of subject this program does not know.
    Never raises, for any subset of facts in any order."""
    kind, _, subject_id = subject.partition(":")
    if kind == "incident":
        return incident.apply(was, rec, subject_id)
    if kind == "unit":
        return unit.apply(was, rec, subject_id)
    if kind == "closure":
        return closure.apply(was, rec, subject_id)
    if kind == "proposal":
        return proposal.apply(was, rec, subject_id)
    if kind == "call":
        return call.apply(was, rec, subject_id)
    if kind == "premise":
        return premise.apply(was, rec, subject_id)
    if kind == "handover":
        return shift.apply_handover(was, rec, subject_id)
    if kind == "planned":
        return shift.apply_planned(was, rec, subject_id)
    if kind == "alarm":
        return alarm.apply(was, rec, subject_id)
    if kind == "station":
        return _apply_station(was, rec, subject_id)
    return None


def fold(subject: str, facts: Iterable[e.Recorded]) -> Entity | None:
    """A subject from all its facts, in causal order, each request counted once wherever it was met, and what
    was taken back not at all."""
    entity: Entity | None = None
    met: set[tuple[str, int]] = set()
    ordered = sorted(facts, key=lambda r: r.key)
    unsaid = {one for rec in ordered if isinstance(rec.event, e.TakenBack) for one in rec.event.facts}
    for rec in ordered:
        request = (rec.cause, rec.cause_index)
        if request in met:
            continue
        met.add(request)
        if request in unsaid and rec.event is not None:
            rec = replace(rec, event=e.unsaid(rec.event))
        entity = apply(subject, entity, rec)
    return entity


def refolds(rec: e.Recorded) -> bool:
    """Whether its subjects must be folded anew from all their facts: it changes what earlier ones count."""
    return isinstance(rec.event, e.TakenBack)


class Slots(Protocol):
    """Where a State finds its entities: the operating picture, or a plain dictionary in a test."""

    def get(self, subject: str) -> Entity | None: ...

    def of_kind(self, kind: str) -> Iterator[Entity]: ...

    def facts(self, subject: str) -> Sequence[e.Recorded]: ...

    def caused(self, cause: str) -> Sequence[e.Recorded]: ...


class State:
    """Entities by subject, read-only."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def incident(self, incident_id: str) -> Incident | None:
        found = self._slots.get(f"incident:{incident_id}")
        return found if isinstance(found, Incident) else None

    def unit(self, unit_id: str) -> Unit | None:
        found = self._slots.get(f"unit:{unit_id}")
        return found if isinstance(found, Unit) else None

    def closure(self, closure_id: str) -> Closure | None:
        found = self._slots.get(f"closure:{closure_id}")
        return found if isinstance(found, Closure) else None

    def closures(self) -> Iterator[Closure]:
        """Those in memory: all that have not ended and those that did lately."""
        return (x for x in self._slots.of_kind("closure") if isinstance(x, Closure) and x.reported)

    def station(self, station_id: str) -> Station:
        found = self._slots.get(f"station:{station_id}")
        return found if isinstance(found, Station) else Station(station_id)

    def incidents(self) -> Iterator[Incident]:
        """Those in memory: all open ones and the lately closed."""
        return (x for x in self._slots.of_kind("incident") if isinstance(x, Incident) and x.reported)

    def units(self) -> Iterator[Unit]:
        return (x for x in self._slots.of_kind("unit") if isinstance(x, Unit) and x.registered)

    def proposal(self, proposal_id: str) -> Proposal | None:
        found = self._slots.get(f"proposal:{proposal_id}")
        return found if isinstance(found, Proposal) else None

    def proposals(self) -> Iterator[Proposal]:
        """Those in memory: the open ones and those of the last day."""
        return (x for x in self._slots.of_kind("proposal") if isinstance(x, Proposal) and x.made)

    def call(self, call_id: str) -> Call | None:
        found = self._slots.get(f"call:{call_id}")
        return found if isinstance(found, Call) else None

    def calls(self) -> Iterator[Call]:
        """Those in memory: the ones of the last day."""
        return (x for x in self._slots.of_kind("call") if isinstance(x, Call) and x.received)

    def premise(self, premise_id: str) -> Premise | None:
        found = self._slots.get(f"premise:{premise_id}")
        return found if isinstance(found, Premise) else None

    def premises(self) -> Iterator[Premise]:
        """All that hold, and those that were withdrawn lately."""
        return (x for x in self._slots.of_kind("premise") if isinstance(x, Premise) and x.noted)

    @staticmethod
    def folded(subject: str, facts: Iterable[e.Recorded]) -> Entity | None:
        """`fold`, for those that this module is made of."""
        return fold(subject, facts)

    def facts(self, subject: str) -> Sequence[e.Recorded]:
        """All facts about a subject, in no order that means anything."""
        return self._slots.facts(subject)

    def caused(self, cause: str) -> Sequence[e.Recorded]:
        """All facts that one request led to, as often as it was met."""
        return self._slots.caused(cause)

    def handover(self, handover_id: str) -> HandOver | None:
        found = self._slots.get(f"handover:{handover_id}")
        return found if isinstance(found, HandOver) else None

    def handovers(self) -> Iterator[HandOver]:
        """Those in memory: all that nobody has taken, and those taken within a day."""
        return (x for x in self._slots.of_kind("handover") if isinstance(x, HandOver) and x.written)

    def planned(self, planned_id: str) -> Planned | None:
        found = self._slots.get(f"planned:{planned_id}")
        return found if isinstance(found, Planned) else None

    def all_planned(self) -> Iterator[Planned]:
        """Those in memory: all that is to come or goes on, and what was over within a day."""
        return (x for x in self._slots.of_kind("planned") if isinstance(x, Planned) and x.planned)

    def alarm(self, alarm_id: str) -> Alarm | None:
        found = self._slots.get(f"alarm:{alarm_id}")
        return found if isinstance(found, Alarm) else None

    def alarms(self) -> Iterator[Alarm]:
        """All that were ever raised: there are no more of them than things that can go wrong."""
        return (x for x in self._slots.of_kind("alarm") if isinstance(x, Alarm) and x.raised)

    def crew(self, crew_id: str) -> list[Unit]:
        return [x for x in self.units() if x.crew_id == crew_id]


class MemorySlots:
    """Entities in a dictionary: for tests, for the golden log, for looking at the past."""

    def __init__(self, entities: Mapping[str, Entity] | None = None) -> None:
        self.entities: dict[str, Entity] = dict(entities or {})
        self.records: list[e.Recorded] = []
        """What was applied, for whoever asks for the facts."""

    def get(self, subject: str) -> Entity | None:
        return self.entities.get(subject)

    def of_kind(self, kind: str) -> Iterator[Entity]:
        return (entity for subject, entity in self.entities.items() if subject.startswith(kind + ":"))

    def facts(self, subject: str) -> Sequence[e.Recorded]:
        return [rec for rec in self.records if subject in rec.subjects]

    def caused(self, cause: str) -> Sequence[e.Recorded]:
        return [rec for rec in self.records if rec.cause == cause]

    def apply(self, rec: e.Recorded) -> None:
        self.records.append(rec)
        for subject in rec.subjects:
            anew = refolds(rec)
            was = self.entities.get(subject)
            entity = fold(subject, self.facts(subject)) if anew else apply(subject, was, rec)
            if entity is not None:
                self.entities[subject] = entity


def _resolve(state: State, cmd: c.ResolveConflict, ctx: Context) -> tuple[e.Event, ...]:
    kind, _, subject_id = cmd.subject.partition(":")
    entity: Incident | Unit | Closure | None
    if kind == "closure":
        entity = state.closure(subject_id)
    else:
        entity = state.incident(subject_id) if kind == "incident" else state.unit(subject_id)
    found = next((k for k in entity.conflicts if k.id == cmd.conflict), None) if entity else None
    if found is None:
        raise Refused("unknown-conflict", f"{cmd.subject} has no conflict {cmd.conflict}.", kind="missing")
    if not cmd.resolution.strip():
        raise Refused("empty-text", "Say how the conflict was resolved.", field="resolution")
    if found.resolution is not None:
        return ()
    return (e.ConflictResolved(cmd.subject, cmd.conflict, cmd.resolution.strip()[:2000]),)


DECIDE: dict[type[c.Command], Callable[[State, Any, Context], tuple[e.Event, ...]]] = {
    c.ReportIncident: incident.report,
    c.ChangeIncident: incident.change,
    c.AcknowledgeIncident: incident.acknowledge,
    c.AddNote: incident.note,
    c.LinkCaseNumber: incident.link_case,
    c.SetAlarmLevel: incident.set_level,
    c.CloseIncident: incident.close,
    c.ReopenIncident: incident.reopen,
    c.RecordOffer: incident.offer,
    c.ErasePersonalData: incident.erase,
    c.ResolveConflict: _resolve,
    c.LinkIncidents: incident.link,
    c.UnlinkIncidents: incident.unlink,
    c.AnswerProtocol: incident.answer_protocol,
    c.SetOwner: care.set_owner,
    c.MarkCheck: care.mark,
    c.CheckCrews: care.check_crews,
    c.NotifyPerson: care.notify,
    c.FollowNotice: care.follow,
    c.ReportCall: call.report,
    c.AnswerCall: call.answer,
    c.LinkCall: call.link,
    c.UnlinkCall: call.unlink,
    c.CallBack: call.back,
    c.CloseCall: call.close,
    c.EraseCall: call.erase,
    c.NotePremise: premise.note,
    c.WithdrawPremise: premise.withdraw,
    c.ErasePremise: premise.erase,
    c.Undo: undo.take_back,
    c.ReportAlarm: alarm.report,
    c.AcknowledgeAlarm: alarm.acknowledge,
    c.ShelveAlarm: alarm.shelve,
    c.UnshelveAlarm: alarm.unshelve,
    c.SetAlarmService: alarm.set_service,
    c.AssignUnits: unit.assign,
    c.RecallUnit: unit.recall,
    c.AnswerRequest: unit.answer,
    c.LapseRequest: unit.lapse,
    c.RegisterUnit: unit.register,
    c.ReportStatus: unit.report_status,
    c.SetFlag: unit.set_flag,
    c.AcknowledgeCancelled: unit.acknowledge_cancelled,
    c.GrantCustody: unit.grant,
    c.ReportClosure: closure.report,
    c.ChangeClosure: closure.change,
    c.ConfirmClosure: closure.confirm,
    c.OrderClosure: closure.order,
    c.WithdrawClosure: closure.withdraw,
    c.ExpireClosure: closure.expire,
    c.EraseClosure: closure.erase,
    c.RecordEta: closure.record_eta,
    c.MoveUp: unit.move_up,
    c.AnswerMoveUp: unit.answer_move_up,
    c.EndMoveUp: unit.end_move_up,
    c.Propose: proposal.propose,
    c.AcceptProposal: proposal.accept,
    c.DeclineProposal: proposal.decline,
    c.ExpireProposal: proposal.expire,
    **shift.DECIDE,
}


def decide(state: State, command: c.Command, ctx: Context) -> tuple[e.Event, ...]:
    """The facts that follow from the command; none when it changes nothing. Raises Refused."""
    return DECIDE[type(command)](state, command, ctx)
