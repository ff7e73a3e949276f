"""Every fact the log can hold, in the past tense.

A fact is a frozen value; `encode` and `decode` turn it into the canonical JSON of the log and back. A
class is never changed once shipped: a new form gets a new `VERSION` and an entry in `UPCASTS` that lifts
the old data. Personal data stands in a fact as `Private` on its way in and as `Sealed` ever after.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Private:
    """Personal data in clear, on its way to be sealed; it never reaches the log as such."""

    value: Any


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where sealed personal data lies: the id of its ciphertext and the SHA-256 of that ciphertext."""

    id: str
    sha256: str


Secret = Private | Sealed | None
"""Fields of this kind are `Sealed` or None in everything read from the log."""

Words = Secret | str
"""Free text beside a fact: sealed where it is about an incident, and in clear where it is about a unit alone
(or was recorded before it was sealed)."""


@dataclass(frozen=True, slots=True)
class Event:
    VERSION: ClassVar[int] = 1

    def subjects(self) -> tuple[str, ...]:
        """What the fact is about: one "kind:id" for each independent fold it belongs to."""
        return ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact with its envelope, as the fold sees it."""

    event: Event | None
    """None when this program does not know the type: kept, relayed, parked until an upgrade."""
    type: str
    position: int
    origin: str
    seq: int
    lamport: int
    recorded_us: int
    observed_us: int
    received_us: int
    actor: str
    epoch: int
    cause: str
    cause_index: int
    source: str
    subjects: tuple[str, ...]

    @property
    def key(self) -> tuple[int, str, int]:
        """The causal order of the fold, the same on every node whatever the order of arrival."""
        return (self.lamport, self.origin, self.seq)


class _IncidentEvent(Event):
    __slots__ = ()
    incident: str

    def subjects(self) -> tuple[str, ...]:
        return (f"incident:{self.incident}",)


class _PairEvent(Event):
    __slots__ = ()
    incident: str
    other: str

    def subjects(self) -> tuple[str, ...]:
        own = f"incident:{self.incident}"
        return (own,) if self.other == self.incident else (own, f"incident:{self.other}")


class _UnitEvent(Event):
    __slots__ = ()
    unit: str

    def subjects(self) -> tuple[str, ...]:
        return (f"unit:{self.unit}",)


class _SendingEvent(Event):
    __slots__ = ()
    incident: str
    unit: str

    def subjects(self) -> tuple[str, ...]:
        return (f"incident:{self.incident}", f"unit:{self.unit}")


# ---- incidents


@dataclass(frozen=True, slots=True)
class IncidentReported(_IncidentEvent):
    """`coarse` is the place rounded to about 100 m, which survives erasure; `place` seals the exact one."""

    incident: str
    station: str
    district: str
    number: int
    kind: str
    priority: str
    medical_code: str | None
    coarse: tuple[float, float]
    place: Secret
    description: Secret
    caller: Secret
    case_numbers: tuple[tuple[str, str], ...]
    staging: bool
    talkgroup: str | None

    def subjects(self) -> tuple[str, ...]:
        return (f"incident:{self.incident}", f"station:{self.station}")


@dataclass(frozen=True, slots=True)
class IncidentChanged(_IncidentEvent):
    """`changes` holds only the fields that changed, under the names of `IncidentReported`."""

    incident: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IncidentAcknowledged(_IncidentEvent):
    """A dispatcher has seen it; the first one counts."""

    incident: str


@dataclass(frozen=True, slots=True)
class NoteAdded(_IncidentEvent):
    """Somebody wrote `text` beside the incident."""

    incident: str
    text: Secret


@dataclass(frozen=True, slots=True)
class CaseNumberLinked(_IncidentEvent):
    """What `agency`, or a partner, calls the same case."""

    incident: str
    agency: str
    number: str


@dataclass(frozen=True, slots=True)
class AlarmLevelSet(_IncidentEvent):
    """The incident asks for what its type adds up to `level`."""

    incident: str
    level: int


@dataclass(frozen=True, slots=True)
class IncidentClosed(_IncidentEvent):
    """The work is over, with `outcome`."""

    incident: str
    outcome: Secret


@dataclass(frozen=True, slots=True)
class IncidentReopened(_IncidentEvent):
    """It was not over after all."""

    incident: str
    reason: Secret


@dataclass(frozen=True, slots=True)
class RecommendationOffered(_IncidentEvent):
    """The plan that was first shown, or that changed materially, with the fixes it was computed from."""

    incident: str
    units: tuple[tuple[str, int], ...]
    missing: Mapping[str, int]
    travel: str
    fixes: Mapping[str, tuple[float, float, int]]


@dataclass(frozen=True, slots=True)
class PersonalDataErased(_IncidentEvent):
    """The sealed values `ids` are destroyed, here and wherever this fact comes."""

    incident: str
    ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ConflictResolved(Event):
    """A person's word on a contradiction; `conflict` is the origin/seq of the fact that showed it."""

    subject: str
    conflict: str
    resolution: str

    def subjects(self) -> tuple[str, ...]:
        return (self.subject,)


@dataclass(frozen=True, slots=True)
class IncidentsLinked(_PairEvent):
    """`kind` "duplicate": `incident` is the same event as `other`, where the work is done; "related": they
    have to do with each other. Both stay what they are."""

    incident: str
    other: str
    kind: str


@dataclass(frozen=True, slots=True)
class IncidentsUnlinked(_PairEvent):
    """They have nothing to do with each other after all."""

    incident: str
    other: str


@dataclass(frozen=True, slots=True)
class ProtocolAnswered(_IncidentEvent):
    """What the caller said to the questions of the pack: question -> answer, by code. `priority` follows from
    the answers to the questions `because`; None where none of them says any."""

    incident: str
    answers: Mapping[str, str]
    priority: str | None
    because: tuple[str, ...]


# ---- what the room sees to


@dataclass(frozen=True, slots=True)
class IncidentOwned(_IncidentEvent):
    """`owner` (a login) sees it through from now on, in place of `was`; empty is nobody."""

    incident: str
    owner: str
    was: str


@dataclass(frozen=True, slots=True)
class CheckMarked(_IncidentEvent):
    """An item of the checklist is `state`: "done", "not_needed", or "open" again."""

    incident: str
    check: str
    state: str


@dataclass(frozen=True, slots=True)
class CrewChecked(_IncidentEvent):
    """The crew of `unit` was asked whether all are well: `result` is "well" or "no_answer"."""

    incident: str
    unit: str
    result: str
    note: Secret


@dataclass(frozen=True, slots=True)
class PersonNotified(_IncidentEvent):
    """Somebody was told, or rung in vain. `person` seals {name, role, number}; `partner` is whom the pack
    says is to be told, if it was for one of those. `state` and `remind_us` as in `NoticeFollowed`."""

    incident: str
    notice: str
    partner: str | None
    person: Secret
    via: str
    state: str
    note: Secret
    remind_us: int | None


@dataclass(frozen=True, slots=True)
class NoticeFollowed(_IncidentEvent):
    """What came of it: `state` is "answered", "waiting" (word was left, an answer is owed) or "no_answer";
    somebody is to try again at `remind_us`."""

    incident: str
    notice: str
    state: str
    note: Secret
    remind_us: int | None


# ---- calls


class _CallEvent(Event):
    __slots__ = ()
    call: str

    def subjects(self) -> tuple[str, ...]:
        return (f"call:{self.call}",)


@dataclass(frozen=True, slots=True)
class CallReceived(_CallEvent):
    """Somebody calls, on `line`. `place` seals {lon, lat} of where the network says that the telephone is,
    `radius_m` how far off that may be, `coarse` is the place rounded to about 100 m; `number` and `recording`
    (where to find it) are sealed."""

    call: str
    station: str
    district: str
    line: str
    number: Secret
    recording: Secret
    coarse: tuple[float, float] | None
    radius_m: float | None
    place: Secret


@dataclass(frozen=True, slots=True)
class CallChanged(_CallEvent):
    """The telephone system knows more: only the fields in `changes`, named as in `CallReceived`."""

    call: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallAnswered(_CallEvent):
    """`by` speaks with the caller ("role:name", or a name as the telephone system knows it); empty where
    that is not known."""

    call: str
    by: str


@dataclass(frozen=True, slots=True)
class CallAbandoned(_CallEvent):
    """The caller hung up before anybody answered."""

    call: str


@dataclass(frozen=True, slots=True)
class CallEnded(_CallEvent):
    """They spoke, and that is over."""

    call: str


@dataclass(frozen=True, slots=True)
class CallLinked(Event):
    """The call is about the incident."""

    call: str
    incident: str

    def subjects(self) -> tuple[str, ...]:
        return (f"call:{self.call}", f"incident:{self.incident}")


@dataclass(frozen=True, slots=True)
class CallUnlinked(Event):
    """It is not about that incident after all."""

    call: str
    incident: str

    def subjects(self) -> tuple[str, ...]:
        return (f"call:{self.call}", f"incident:{self.incident}")


@dataclass(frozen=True, slots=True)
class CalledBack(_CallEvent):
    """Somebody rang the number of the call, and `reached` the caller or not."""

    call: str
    reached: bool
    note: Secret


@dataclass(frozen=True, slots=True)
class CallClosed(_CallEvent):
    """Nothing is to be done about it; `why` is one of `dispatch.call.WHYS`."""

    call: str
    why: str
    note: Secret


@dataclass(frozen=True, slots=True)
class CallErased(_CallEvent):
    """The sealed values `ids` are destroyed, here and wherever this fact comes."""

    call: str
    ids: tuple[str, ...]
    reason: str


# ---- what is known about a place


class _PremiseEvent(Event):
    __slots__ = ()
    premise: str

    def subjects(self) -> tuple[str, ...]:
        return (f"premise:{self.premise}",)


@dataclass(frozen=True, slots=True)
class PremiseNoted(_PremiseEvent):
    """Something to know within `radius_m` of a place: `kind` is one of `dispatch.premise.KINDS`; `place`
    seals {lon, lat, label}, `coarse` is it rounded to about 100 m; `until_us` None: until it is withdrawn."""

    premise: str
    station: str
    district: str
    kind: str
    coarse: tuple[float, float]
    place: Secret
    radius_m: float
    text: Secret
    until_us: int | None


@dataclass(frozen=True, slots=True)
class PremiseWithdrawn(_PremiseEvent):
    """It holds no more."""

    premise: str


@dataclass(frozen=True, slots=True)
class PremiseErased(_PremiseEvent):
    """The sealed values `ids` are destroyed, here and wherever this fact comes."""

    premise: str
    ids: tuple[str, ...]
    reason: str


class _AlarmEvent(Event):
    __slots__ = ()
    alarm: str

    def subjects(self) -> tuple[str, ...]:
        return (f"alarm:{self.alarm}",)


@dataclass(frozen=True, slots=True)
class AlarmRaised(_AlarmEvent):
    """Something is wrong with the system or a device. `title`, `means` and `todo` are empty where `kind` has
    its words in the catalogues; `group` names the cause that it shares with others."""

    alarm: str
    station: str
    district: str
    kind: str
    group: str
    priority: str
    title: str
    means: str
    todo: str
    detail: str
    on_delay_us: int
    off_delay_us: int


@dataclass(frozen=True, slots=True)
class AlarmCleared(_AlarmEvent):
    """What was wrong is so no more."""

    alarm: str


@dataclass(frozen=True, slots=True)
class AlarmAcknowledged(_AlarmEvent):
    """Somebody sees to it."""

    alarm: str


@dataclass(frozen=True, slots=True)
class AlarmShelved(_AlarmEvent):
    """Put out of the way until `until_us`."""

    alarm: str
    until_us: int
    reason: str


@dataclass(frozen=True, slots=True)
class AlarmUnshelved(_AlarmEvent):
    """Taken off the shelf before its time."""

    alarm: str


@dataclass(frozen=True, slots=True)
class AlarmServiceSet(_AlarmEvent):
    """Taken out of service, with the reason, or put back."""

    alarm: str
    in_service: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TakenBack(Event):
    """Whoever had sent the request `command` took it back: `facts`, as (cause, cause_index), count no more.
    They are of the types `kinds` and about the subjects `about`; with an order goes what its crew pressed
    because of it. `told` are the units whose crews had heard of it, each with the incident (None: a post)
    and `what` they were told ("order", "recall" or "move_up"); `rolling` those that had left for it."""

    command: str
    facts: tuple[tuple[str, int], ...]
    kinds: tuple[str, ...]
    about: tuple[str, ...]
    told: tuple[tuple[str, str | None, str], ...] = ()
    rolling: tuple[str, ...] = ()

    def subjects(self) -> tuple[str, ...]:
        return self.about


# ---- sending units


@dataclass(frozen=True, slots=True)
class UnitAssigned(_SendingEvent):
    """`followed` tells whether the unit stood in the plan last offered; `accepted_by` names who accepted
    for the agency of a requested unit. `crew_with` is the other unit that its crew was out with when the
    agency accepted all the same."""

    incident: str
    unit: str
    followed: bool | None
    override_reason: Words
    accepted_by: str | None
    crew_with: str | None = None


@dataclass(frozen=True, slots=True)
class UnitRecalled(_SendingEvent):
    """The unit was taken off the incident, or the request for it withdrawn. `to` is the incident that it was
    sent on to by the same order."""

    incident: str
    unit: str
    reason: Words
    to: str | None = None


@dataclass(frozen=True, slots=True)
class UnitRequested(_SendingEvent):
    """The agency was asked for its unit and has until `answer_by_us`; `override_reason` as in
    `UnitAssigned`."""

    incident: str
    unit: str
    agency: str
    answer_by_us: int
    override_reason: Words = None


@dataclass(frozen=True, slots=True)
class RequestAnswered(_SendingEvent):
    """`name` said `answer` ("accepted" or "refused") for the agency, `via` "phone" or "api"."""

    incident: str
    unit: str
    answer: str
    name: str
    via: str
    reason: Words


@dataclass(frozen=True, slots=True)
class RequestLapsed(_SendingEvent):
    """Nobody answered in time."""

    incident: str
    unit: str


# ---- units


@dataclass(frozen=True, slots=True)
class UnitRegistered(_UnitEvent):
    """`command` is "owned" or "requested"; `base` (lon, lat) is where the unit waits at its station."""

    unit: str
    type: str
    agency: str
    command: str
    station: str
    district: str
    custodian: str
    capabilities: tuple[str, ...]
    crew: int
    crew_min: int
    crew_id: str | None
    turnout_s: int
    lights: bool
    profile: str
    talkgroup: str | None
    base: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class UnitStatusReported(Event):
    """`incident` is the one the unit was on when it reported, so that the case gets its time stamps. `late`:
    it was seen before the unit's newest status or order, so it gives a time stamp and changes nothing."""

    unit: str
    status: str
    incident: str | None
    reason: Words
    hospital: str | None
    ready_us: int | None
    forced: bool
    late: bool = False

    def subjects(self) -> tuple[str, ...]:
        own = f"unit:{self.unit}"
        return (own,) if self.incident is None else (own, f"incident:{self.incident}")


@dataclass(frozen=True, slots=True)
class UnitFlagSet(_UnitEvent):
    """A flag beside the status went on or off."""

    unit: str
    flag: str
    on: bool


@dataclass(frozen=True, slots=True)
class CancellingAcknowledged(Event):
    """The crew has understood that what it was told (about `incident`, None: a post) is cancelled."""

    unit: str
    incident: str | None

    def subjects(self) -> tuple[str, ...]:
        own = f"unit:{self.unit}"
        return (own,) if self.incident is None else (own, f"incident:{self.incident}")


@dataclass(frozen=True, slots=True)
class CustodyGranted(_UnitEvent):
    """Station `to` alone commands the unit from this epoch on."""

    unit: str
    to: str
    epoch: int


# ---- what is in the way


class _ClosureEvent(Event):
    __slots__ = ()
    closure: str

    def subjects(self) -> tuple[str, ...]:
        return (f"closure:{self.closure}",)


@dataclass(frozen=True, slots=True)
class ClosureReported(_ClosureEvent):
    """Something is in the way; the fields are those of `commands.ReportClosure`. It only warns until a crew
    has confirmed it or somebody has ordered it."""

    closure: str
    station: str
    district: str
    kind: str
    geometry: Mapping[str, Any]
    classes: tuple[str, ...]
    from_us: int | None
    until_us: int | None
    speed_share: float | None
    entry: tuple[str, ...]
    staging: tuple[float, float] | None
    reason: Secret
    unit: str | None


@dataclass(frozen=True, slots=True)
class ClosureChanged(_ClosureEvent):
    """Only the fields in `changes` are other than before."""

    closure: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClosureConfirmed(_ClosureEvent):
    """The crew of `unit` has seen it."""

    closure: str
    unit: str


@dataclass(frozen=True, slots=True)
class ClosureOrdered(_ClosureEvent):
    """`ordered_by` closed it for `authority` ("road_administrator", "police"); `agreed_by` for the police."""

    closure: str
    authority: str
    ordered_by: str
    agreed_by: str


@dataclass(frozen=True, slots=True)
class ClosureWithdrawn(_ClosureEvent):
    """It is over, or never was."""

    closure: str
    reason: Secret


@dataclass(frozen=True, slots=True)
class ClosureExpired(_ClosureEvent):
    """Its end, `until_us`, has passed. It counts only while that is still its end."""

    closure: str
    until_us: int


@dataclass(frozen=True, slots=True)
class ClosureErased(_ClosureEvent):
    """The free text `ids` were destroyed."""

    closure: str
    ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class EtaChanged(_SendingEvent):
    """The closures `because` came or went, and the crew on its way now needs `after_s` instead of
    `before_s` seconds from where it was at that moment; None: no way by road."""

    incident: str
    unit: str
    before_s: int | None
    after_s: int | None
    because: tuple[str, ...]


# ---- the shift


@dataclass(frozen=True, slots=True)
class UnitWasSent(_IncidentEvent):
    """Entered from paper afterwards: the unit was sent and is free again. `times` are of the steps in
    `dispatch.shift.STEPS`, in microseconds. It gives the case its times and moves no unit."""

    incident: str
    unit: str
    times: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HandOverWritten(Event):
    """The leaving shift handed over: open incidents, units on them, closures that held, and requests
    (incident, unit) without a yes, by ids."""

    handover: str
    station: str
    district: str
    incidents: tuple[str, ...]
    units: tuple[str, ...]
    closures: tuple[str, ...]
    requests: tuple[tuple[str, str], ...]
    notes: Secret

    def subjects(self) -> tuple[str, ...]:
        return (f"handover:{self.handover}",)


@dataclass(frozen=True, slots=True)
class HandOverTaken(Event):
    """The next shift has read it and took over."""

    handover: str
    remark: Secret

    def subjects(self) -> tuple[str, ...]:
        return (f"handover:{self.handover}",)


@dataclass(frozen=True, slots=True)
class WorkPlanned(Event):
    """Works, an event, an outage or an exercise was entered; fields as in `commands.PlanWork`."""

    planned: str
    station: str
    district: str
    kind: str
    title: str
    where: str
    from_us: int
    until_us: int
    details: Secret

    def subjects(self) -> tuple[str, ...]:
        return (f"planned:{self.planned}",)


@dataclass(frozen=True, slots=True)
class PlannedChanged(Event):
    """Only the fields in `changes` are other than before."""

    planned: str
    changes: Mapping[str, Any]

    def subjects(self) -> tuple[str, ...]:
        return (f"planned:{self.planned}",)


@dataclass(frozen=True, slots=True)
class PlannedWithdrawn(Event):
    """It does not take place."""

    planned: str
    reason: str

    def subjects(self) -> tuple[str, ...]:
        return (f"planned:{self.planned}",)


@dataclass(frozen=True, slots=True)
class ShiftTextErased(Event):
    """The free text `ids` of `subject`, a hand-over or something planned, was destroyed."""

    subject: str
    ids: tuple[str, ...]
    reason: str

    def subjects(self) -> tuple[str, ...]:
        return (self.subject,)


@dataclass(frozen=True, slots=True)
class UnitMovingUp(_UnitEvent):
    """The unit is to stand by at `post`, at (`lon`, `lat`) in degrees. `asked`: its agency was asked for that
    and has until `answer_by_us`; else it was ordered. `proposal`: what led to it, if a proposal did."""

    unit: str
    post: str
    lon: float
    lat: float
    asked: bool
    answer_by_us: int | None
    proposal: str | None = None


@dataclass(frozen=True, slots=True)
class MoveUpAnswered(_UnitEvent):
    """`name` said `answer` ("accepted" or "refused") for the agency, `via` "phone" or "api"."""

    unit: str
    answer: str
    name: str
    via: str


@dataclass(frozen=True, slots=True)
class MoveUpEnded(_UnitEvent):
    """The unit goes to its post no more; `why` is "arrived", "cancelled", "no_answer" or "overdue"."""

    unit: str
    why: str


# ---- proposals


class _ProposalEvent(Event):
    """About a proposal, and a line of the case of each of its incidents."""

    __slots__ = ()
    proposal: str
    incidents: tuple[str, ...]

    def subjects(self) -> tuple[str, ...]:
        return (f"proposal:{self.proposal}", *(f"incident:{one}" for one in self.incidents))


@dataclass(frozen=True, slots=True)
class ProposalMade(_ProposalEvent):
    """Something better was seen, for a person to accept. `moves` are (unit, the incident it leaves, the
    incident it goes to), either None; the first unit is the one it is about. `post` is (name, lon, lat) of a
    move-up. `figures` hold what it gains and costs, in seconds, metres and calls, as docs/proposals.md lists
    them; `basis` what was so when it was made, by which its repetition is known."""

    proposal: str
    kind: str
    trigger: str
    station: str
    district: str
    moves: tuple[tuple[str, str | None, str | None], ...]
    post: tuple[str, float, float] | None
    incidents: tuple[str, ...]
    figures: Mapping[str, Any]
    basis: str
    expires_us: int


@dataclass(frozen=True, slots=True)
class ProposalAccepted(_ProposalEvent):
    """Somebody took it up. `rule` is the operator's rule that did so by itself, on whose `authority`."""

    proposal: str
    incidents: tuple[str, ...]
    units: tuple[str, ...]
    rule: str | None
    authority: str | None

    def subjects(self) -> tuple[str, ...]:
        # A unit remembers which incidents it was once turned away from or to.
        own = (f"proposal:{self.proposal}", *(f"incident:{one}" for one in self.incidents))
        return (*own, *(f"unit:{one}" for one in self.units))


@dataclass(frozen=True, slots=True)
class ProposalDeclined(_ProposalEvent):
    """Somebody decided against it."""

    proposal: str
    incidents: tuple[str, ...]
    reason: Words


@dataclass(frozen=True, slots=True)
class ProposalExpired(_ProposalEvent):
    """It holds no more: nobody took it up in time (`why` "time"), or what it rested on changed; then `why` is
    the code of that change and `about` its facts."""

    proposal: str
    incidents: tuple[str, ...]
    why: str
    about: Mapping[str, Any]


# ---- the log's form

TYPES: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        IncidentReported,
        IncidentChanged,
        IncidentAcknowledged,
        NoteAdded,
        CaseNumberLinked,
        AlarmLevelSet,
        IncidentClosed,
        IncidentReopened,
        RecommendationOffered,
        PersonalDataErased,
        ConflictResolved,
        UnitAssigned,
        UnitRecalled,
        UnitRequested,
        RequestAnswered,
        RequestLapsed,
        UnitRegistered,
        UnitStatusReported,
        UnitFlagSet,
        CustodyGranted,
        ClosureReported,
        ClosureChanged,
        ClosureConfirmed,
        ClosureOrdered,
        ClosureWithdrawn,
        ClosureExpired,
        ClosureErased,
        EtaChanged,
        UnitWasSent,
        HandOverWritten,
        HandOverTaken,
        WorkPlanned,
        PlannedChanged,
        PlannedWithdrawn,
        ShiftTextErased,
        UnitMovingUp,
        MoveUpAnswered,
        MoveUpEnded,
        ProposalMade,
        ProposalAccepted,
        ProposalDeclined,
        ProposalExpired,
        IncidentsLinked,
        IncidentsUnlinked,
        ProtocolAnswered,
        CallReceived,
        CallChanged,
        CallAnswered,
        CallAbandoned,
        CallEnded,
        CallLinked,
        CallUnlinked,
        CalledBack,
        CallClosed,
        CallErased,
        PremiseNoted,
        PremiseWithdrawn,
        PremiseErased,
        IncidentOwned,
        CheckMarked,
        CrewChecked,
        PersonNotified,
        NoticeFollowed,
        TakenBack,
        CancellingAcknowledged,
        AlarmRaised,
        AlarmCleared,
        AlarmAcknowledged,
        AlarmShelved,
        AlarmUnshelved,
        AlarmServiceSet,
    )
}


@dataclass(frozen=True, slots=True)
class _Unsaid(Event):
    event: Event


def unsaid(event: Event) -> Event:
    """What stands in the fold for a fact that was taken back: it changes nothing, and points to its personal
    data as before, so that this can still be erased."""
    return _Unsaid(event)


ERASING = (PersonalDataErased, ClosureErased, CallErased, PremiseErased, ShiftTextErased)
"""Facts whose `ids` are of sealed values to be destroyed."""

UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""(type, old version) -> the data lifted by one version. Empty while every type is at its first."""

_FIELDS = {kind: tuple(f.name for f in fields(kind)) for kind in TYPES.values()}


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: Any) -> str:
    """The one text of a JSON value: sorted keys, no spaces, UTF-8, no NaN; what the hashes are made of."""
    return _ENCODE(value)


_PLAIN = frozenset({str, int, float, bool, type(None)})
"""What most fields hold; asked first, because it is the cheapest answer on the writer's path."""


def _thaw(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Sealed):
        return {"$sealed": value.id, "sha256": value.sha256}
    if isinstance(value, Private):
        raise TypeError("personal data must be sealed before it is encoded")
    if isinstance(value, Mapping):
        return {key: _thaw(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_thaw(item) for item in value]
    return value


def _freeze(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_freeze(item) for item in value)
    if isinstance(value, dict):
        if "$sealed" in value:
            return Sealed(value["$sealed"], value["sha256"])
        return {key: _freeze(item) for key, item in value.items()}
    return value


def encode(event: Event, source: str) -> str:
    """The canonical JSON of the fact's own fields and of where it came from ("$source": console, radio,
    api, 112 ...); TypeError if personal data is still in clear."""
    data = {name: _thaw(getattr(event, name)) for name in _FIELDS[type(event)]}
    data["$source"] = source
    return canonical(data)


def decode(type_name: str, version: int, data: str) -> tuple[Event | None, str]:
    """The fact, lifted to today's version, and its source; no fact for a type or version that this
    program does not know."""
    raw: dict[str, Any] = json.loads(data)
    source = str(raw.pop("$source", ""))
    kind = TYPES.get(type_name)
    if kind is None or version > kind.VERSION:
        return None, source
    for old in range(version, kind.VERSION):
        raw = UPCASTS[type_name, old](raw)
    try:
        return kind(**{name: _freeze(value) for name, value in raw.items()}), source
    except TypeError:
        return None, source


def seal(event: Event, sealer: Callable[[Any], Sealed]) -> Event:
    """The same fact with every `Private` value, at the top or inside `changes`, given to `sealer`."""
    sealed: dict[str, Any] = {}
    for name in _FIELDS[type(event)]:
        value = getattr(event, name)
        if type(value) in _PLAIN:
            continue
        if isinstance(value, Private):
            sealed[name] = sealer(value.value)
        elif isinstance(value, Mapping) and any(isinstance(item, Private) for item in value.values()):
            sealed[name] = {
                key: sealer(item.value) if isinstance(item, Private) else item for key, item in value.items()
            }
    if not sealed:
        return event
    return type(event)(**{name: sealed.get(name, getattr(event, name)) for name in _FIELDS[type(event)]})


def sealed_in(event: Event) -> tuple[Sealed, ...]:
    """All the personal data that a fact from the log points to."""
    if isinstance(event, _Unsaid):
        return sealed_in(event.event)
    found: list[Sealed] = []
    for name in _FIELDS[type(event)]:
        value = getattr(event, name)
        if type(value) in _PLAIN:
            continue
        if isinstance(value, Sealed):
            found.append(value)
        elif isinstance(value, Mapping):
            found += [item for item in value.values() if isinstance(item, Sealed)]
    return tuple(found)
