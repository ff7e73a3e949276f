"""Every request for a change, in the imperative, and what `decide` may answer.

A command carries what its sender knows; `decide` turns it into facts (`dispatch.events`) or refuses it.
`id` names the request itself: the same id sent again is the same request, whatever the road it came by.
Times are integer microseconds since 1970-01-01T00:00Z; `observed_us` is when the sender saw it happen,
None for "now".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dispatch.plans import Pack


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `districts` holds district codes, or "*" for all; `unit` binds a field login to its unit."""

    name: str
    role: str
    districts: frozenset[str]
    unit: str | None = None
    display_name: str = ""

    @property
    def label(self) -> str:
        """How the log names the actor: "dispatcher:ana". `who` takes the name out again."""
        return f"{self.role}:{self.name}"

    def covers(self, district: str | None) -> bool:
        return district is None or "*" in self.districts or district in self.districts


def who(label: str) -> str:
    """The name in an actor's label: "dispatcher:ana" -> "ana"."""
    return label.partition(":")[2] or label


SYSTEM = Actor("straja", "system", frozenset({"*"}))


@dataclass(frozen=True, slots=True)
class Context:
    """What `decide` may know beside the state: the time, the asker, the node it runs on and its pack."""

    now_us: int
    actor: Actor
    station: str
    district: str
    pack: Pack


class Refused(Exception):
    """A command that breaks a rule: nothing was changed.

    `code` is stable and short ("unit-taken"), `detail` says it in English, `field` names the offending
    part of the request, `kind` is "invalid" (the request can never be right), "missing" (it speaks of
    something that is not there) or "conflict" (right, but not now); `extra` holds the facts behind it.
    """

    def __init__(
        self, code: str, detail: str, *, kind: str = "invalid", field: str | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.kind = kind
        self.field = field
        self.extra = extra


def upgrade_needed(what: str) -> Refused:
    """The refusal to change `what`, some of whose facts this program is too old to read."""
    return Refused(
        "upgrade-needed",
        f"{what} holds facts from a newer program; upgrade this station first.",
        kind="conflict",
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: degrees (WGS 84), the words for it, and the parts of the address."""

    lon: float
    lat: float
    label: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)


LATER = {"later": True}
"""Marks a field that a command got after it was first shipped: where nothing is said in it, the request is
the same as one that was sent before the field was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    id: str
    observed_us: int | None = None
    source: str = "console"


# ---- incidents


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportIncident(Command):
    """Open an incident. `incident` is the UUID its first reporter made; `priority` None takes what follows
    from `answers` to the questions of the pack, or the type's. `call` is the call that it was told by."""

    incident: str
    type: str
    place: Place
    priority: str | None = None
    medical_code: str | None = None
    description: str = ""
    caller: Mapping[str, str] | None = None
    case_numbers: tuple[tuple[str, str], ...] = ()
    answers: Mapping[str, str] | None = field(default=None, metadata=LATER)
    call: str | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeIncident(Command):
    """Set only the fields named in `changes`: type, priority, medical_code, place (Place), description,
    caller, talkgroup, staging."""

    incident: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeIncident(Command):
    """Note that a dispatcher has seen it."""

    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNote(Command):
    """Write `text` beside the incident, open or closed."""

    incident: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCaseNumber(Command):
    """Tie an outside case number (112, fire inspectorate, ambulance ...) to the incident."""

    incident: str
    agency: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAlarmLevel(Command):
    """Raise or lower the alarm to a level of the pack."""

    incident: str
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIncident(Command):
    """Close it with `outcome`; refused while units are on it or asked for."""

    incident: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenIncident(Command):
    """Open a closed incident again, for `reason`."""

    incident: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOffer(Command):
    """Keep what was recommended: `units` as (unit, eta_s), `fixes` as unit -> (lon, lat, observed_us)."""

    incident: str
    units: tuple[tuple[str, int], ...]
    missing: Mapping[str, int]
    travel: str
    fixes: Mapping[str, tuple[float, float, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePersonalData(Command):
    """Destroy the personal data of an incident for good: caller, exact place, free text."""

    incident: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveConflict(Command):
    """A person's word on a contradiction that a merge brought to light. `subject` is "incident:ID",
    "unit:ID" or "closure:ID", `conflict` the conflict's id."""

    subject: str
    conflict: str
    resolution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIncidents(Command):
    """`kind` "duplicate": `incident` is the same event as `other`, where the work is done; "related": they
    have to do with each other."""

    incident: str
    other: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkIncidents(Command):
    """Take the link between the two away again, whichever way it was made."""

    incident: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerProtocol(Command):
    """What the caller said to the questions of the pack, by code; a question not named keeps its answer. The
    priority follows, unless `priority` says another one."""

    incident: str
    answers: Mapping[str, str]
    priority: str | None = None


# ---- what the room sees to


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOwner(Command):
    """`owner` (a login; empty: nobody) sees the incident through. Whoever takes it from another names that
    one in `was`, so that nobody's work is taken by an order given without looking."""

    incident: str
    owner: str
    was: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkCheck(Command):
    """An item of the type's checklist is one of `dispatch.care.CHECK_STATES`."""

    incident: str
    check: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCrews(Command):
    """The crews of `units` were asked whether all are well; `result` is one of `dispatch.care.RESULTS`."""

    incident: str
    units: tuple[str, ...]
    result: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyPerson(Command):
    """Somebody was told of the incident, or rung in vain. `notice` is the UUID that the asker made; `person`
    has name, role and number, as far as known; `partner` is the pack's, if it is one. `state` is one of
    `dispatch.care.NOTICE_STATES`. After `remind_s` seconds somebody is to try again: None takes what is usual
    for that state, 0 is never."""

    incident: str
    notice: str
    person: Mapping[str, str]
    partner: str | None = None
    via: str = "phone"
    state: str = "answered"
    note: str = ""
    remind_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowNotice(Command):
    """What came of telling somebody; fields as in `NotifyPerson`."""

    incident: str
    notice: str
    state: str
    note: str = ""
    remind_s: int | None = None


# ---- calls


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCall(Command):
    """What the telephone system says of a call, at first and whenever it knows more. `call` is the UUID it
    made; `state` is ringing, answered (by `agent`), abandoned or ended; `place` (lon, lat) in degrees with
    `radius_m`. What is not given stays as it was."""

    call: str
    state: str
    number: str = ""
    line: str = ""
    recording: str = ""
    place: tuple[float, float] | None = None
    radius_m: float | None = None
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCall(Command):
    """The asker speaks with the caller; the first one who says so has the call."""

    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCall(Command):
    """The call is about the incident."""

    call: str
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkCall(Command):
    """It is not about that incident after all."""

    call: str
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBack(Command):
    """The asker rang the number of the call, and reached the caller or not."""

    call: str
    reached: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCall(Command):
    """Nothing is to be done about it; `why` is one of `dispatch.call.WHYS`."""

    call: str
    why: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseCall(Command):
    """Destroy the personal data of a call for good."""

    call: str
    reason: str


# ---- what is known about a place


@dataclass(frozen=True, slots=True, kw_only=True)
class NotePremise(Command):
    """Something to know within `radius_m` of `place`; `kind` is one of `dispatch.premise.KINDS`."""

    premise: str
    kind: str
    place: Place
    radius_m: float
    text: str
    until_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawPremise(Command):
    """It holds no more."""

    premise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePremise(Command):
    """Destroy what it says for good."""

    premise: str
    reason: str


# ---- alarms


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAlarm(Command):
    """Something is wrong with the system or a device (`on`), or no longer. What is not in
    `dispatch.alarm.KINDS` brings its own words: `title`, what it `means`, what `todo`. It counts once it
    has been there for `on_delay_s`, and is over once it was gone for `off_delay_s`."""

    alarm: str
    on: bool
    kind: str = ""
    group: str = ""
    priority: str | None = None
    title: str = ""
    means: str = ""
    todo: str = ""
    detail: str = ""
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeAlarm(Command):
    """Somebody has seen it, and sees to it."""

    alarm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelveAlarm(Command):
    """Put it out of the way for `for_us`; then it is there again by itself."""

    alarm: str
    for_us: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshelveAlarm(Command):
    """Take it off the shelf before its time."""

    alarm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAlarmService(Command):
    """Take it out of service, as while its device is mended, or put it back."""

    alarm: str
    in_service: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo(Command):
    """Take back what the request `command` led to, by whoever made it and within `within_s` seconds."""

    command: str
    within_s: int = 8


# ---- sending units


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignUnits(Command):
    """Send the city's own units; ask for those that only their agency can send.

    All or none: one unit that cannot be sent refuses the whole command, and says which and why. A unit
    that is on its way elsewhere is diverted only with `override_reason`.
    `answer_s` is how long a requested agency has to answer.
    """

    incident: str
    units: tuple[str, ...]
    override_reason: str | None = None
    answer_s: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallUnit(Command):
    """Take the unit off the incident and withdraw the request for it, answered or not."""

    incident: str
    unit: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRequest(Command):
    """What the agency said: `answer` "accepted" or "refused", `name` who said it, `via` "api" or "phone"."""

    incident: str
    unit: str
    answer: str
    name: str
    via: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LapseRequest(Command):
    """The time for an answer has run out; the keeper says so, derived from the log."""

    incident: str
    unit: str


# ---- units


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterUnit(Command):
    """Bring a unit into service, or set its standing facts anew. Capabilities and turnout come from its
    type unless given; two units with one `crew_id` are manned by one crew."""

    unit: str
    type: str
    station: str
    district: str
    crew: int
    crew_id: str | None = None
    talkgroup: str | None = None
    base: Place | None = None
    turnout_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStatus(Command):
    """A status pressed by the crew, told by radio or set by a dispatcher. `force` lets a dispatcher set
    one that the usual order of statuses does not allow, with a reason. Seen before the unit's newest status
    or order, it is late: it gives the case a time and changes nothing else."""

    unit: str
    status: str
    reason: str = ""
    hospital: str | None = None
    ready_us: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFlag(Command):
    """Set a flag beside the status on or off."""

    unit: str
    flag: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeCancelled(Command):
    """The crew has understood that what it was told is cancelled."""

    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantCustody(Command):
    """Hand a unit over to another station, which alone commands it from then on."""

    unit: str
    to: str


# ---- what is in the way


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportClosure(Command):
    """Something is in the way. `closure` is the UUID its first reporter made. `kind` is one of
    `dispatch.closure.KINDS`; `geometry` a GeoJSON Point (with `radius_m`), LineString or Polygon in WGS 84.
    `classes` are base travel profiles (see `dispatch.closure.Closure`). `from_us` None: at once; `until_us`
    None: until somebody withdraws it. `unit` is the crew that saw it. With `state` "confirmed" or "ordered"
    it is that at once, under the rules of ConfirmClosure and OrderClosure."""

    closure: str
    kind: str
    geometry: Mapping[str, Any]
    classes: tuple[str, ...] = ()
    from_us: int | None = None
    until_us: int | None = None
    speed_share: float | None = None
    entry: tuple[str, ...] = ()
    staging: tuple[float, float] | None = None
    reason: str = ""
    unit: str | None = None
    state: str = "reported"
    authority: str = ""
    ordered_by: str = ""
    agreed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeClosure(Command):
    """Set only the fields named in `changes`: geometry, classes, from_us, until_us, speed_share, entry,
    staging, reason."""

    closure: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmClosure(Command):
    """The crew of `unit` has seen it with its own eyes."""

    closure: str
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderClosure(Command):
    """Somebody with the power to close a road has done so: `authority` is "road_administrator", with the
    police's agreement by `agreed_by`, or "police" on the spot; `ordered_by` is who, by name."""

    closure: str
    authority: str
    ordered_by: str
    agreed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawClosure(Command):
    """It is over, or never was."""

    closure: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireClosure(Command):
    """Its time has passed; the keeper says so, derived from the log."""

    closure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseClosure(Command):
    """Destroy the free text of a closure for good."""

    closure: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEta(Command):
    """A crew on its way will come later or sooner than it would have, because of `because` (closures).
    Seconds on the way from where it is now; None: no way is left."""

    incident: str
    unit: str
    before_s: int | None
    after_s: int | None
    because: tuple[str, ...]


# ---- the shift


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteHandOver(Command):
    """Hand over what stands open now, with `notes` of the leaving shift. `handover` is a UUID."""

    handover: str
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeHandOver(Command):
    """The taking-over shift has read it; somebody else than who wrote it."""

    handover: str
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWork(Command):
    """Works, an event, an outage or an exercise to come (`dispatch.shift.PLANNED_KINDS`); `where` in words,
    `details` (who to call, what it means for crews) are sealed."""

    planned: str
    kind: str
    title: str
    from_us: int
    until_us: int
    where: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlanned(Command):
    """Set only the fields named in `changes`: kind, title, where, from_us, until_us, details."""

    planned: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawPlanned(Command):
    """It will not take place, or was entered by mistake."""

    planned: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseShiftText(Command):
    """Destroy the free text of a hand-over ("handover:ID") or of something planned ("planned:ID")."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class PaperSending:
    """A crew that was sent and came free while the console was away. `times`: step (`dispatch.shift.STEPS`)
    -> microseconds; assigned and available are needed."""

    unit: str
    times: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterFromPaper(Command):
    """What was written by hand, with the times at which it happened: a new call (`report`) or more about one
    that is known; crews that were sent and are free again; notes as (time, text); `closed` as (time,
    outcome)."""

    incident: str
    report: ReportIncident | None = None
    sendings: tuple[PaperSending, ...] = ()
    notes: tuple[tuple[int, str], ...] = ()
    closed: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveUp(Command):
    """Let the unit stand by at a post until it is needed: an owned one is ordered there, a requested one's
    agency is asked and has `answer_s` to answer."""

    unit: str
    post: Place
    answer_s: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerMoveUp(Command):
    """What the agency said to it: `answer` "accepted" or "refused", `name` who said it, `via` "api" or
    "phone"."""

    unit: str
    answer: str
    name: str
    via: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMoveUp(Command):
    """It goes to its post no more; `why` as in `MoveUpEnded`."""

    unit: str
    why: str = "cancelled"


# ---- proposals


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose(Command):
    """Something better was seen; fields as in `dispatch.events.ProposalMade`. Nothing follows where the same
    is proposed already, was declined and nothing material has changed, or a unit of it is in another open
    proposal."""

    proposal: str
    kind: str
    trigger: str
    district: str
    moves: tuple[tuple[str, str | None, str | None], ...]
    figures: Mapping[str, Any]
    post: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptProposal(Command):
    """Do what it proposes, as if every order were given by hand. `rule`: the operator's rule does so, and
    not a person."""

    proposal: str
    reason: str = ""
    rule: bool = False
    answer_s: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineProposal(Command):
    """Decide against it."""

    proposal: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireProposal(Command):
    """Its time is over, what it rested on changed, or (`gain_gone`) the times changed so that it gains no
    more; the keeper says so, derived from the log."""

    proposal: str
    gain_gone: bool = False
