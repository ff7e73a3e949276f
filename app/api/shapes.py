"""What the API answers, as pydantic models: they make the description of the API, and the tests hold every
real answer against them. Handlers build plain dictionaries (`app.rows`), which is faster."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

Time = str
"""RFC 3339, UTC, milliseconds."""


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FieldFault(Shape):
    field: str
    message: str


class ProblemShape(BaseModel):
    """An error, RFC 9457; further members hold the facts behind it."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="urn:straja:problem:CODE")
    title: str
    status: int
    detail: str
    code: str
    instance: str
    errors: list[FieldFault] | None = None

    @classmethod
    @cache
    def model_json_schema(cls, *args: Any, **named: Any) -> dict[str, Any]:  # type: ignore[override]
        # Every endpoint asks for it seven times.
        return super().model_json_schema(*args, **named)


class CaseNumberShape(Shape):
    agency: str
    number: str


class PlanShape(Shape):
    """Capability -> count."""

    needs: dict[str, int]
    filled: dict[str, int]
    missing: dict[str, int]


class EtaChangeShape(Shape):
    """Seconds on the way from where the crew then was; null: no way by road."""

    at: Time
    before_s: int | None
    after_s: int | None
    closures: list[str]


class CrewCheckShape(Shape):
    """Whether all are well: asked every `every_s` seconds (null: not in this status), next at `due_at`; the
    last asking, and how often it was in vain since they last said so."""

    every_s: int | None
    due_at: Time | None
    at: Time | None
    by: str | None
    result: Literal["well", "no_answer"] | None
    tries: int
    well_at: Time | None
    note: str | None


class AssignmentShape(Shape):
    unit: str
    status: str
    since: Time
    by: str
    requested: bool
    accepted_by: str | None
    times: dict[str, Time]
    eta_change: EtaChangeShape | None
    check: CrewCheckShape | None


class RequestShape(Shape):
    unit: str
    state: Literal["asked", "accepted", "refused", "no_answer", "withdrawn"]
    asked_at: Time
    asked_by: str
    answer_by: Time
    name: str | None
    via: str | None
    reason: str | None
    answered_at: Time | None


class NoteShape(Shape):
    """`struck_at`: taken back by `struck_by`, and still to be read."""

    at: Time
    by: str
    text: str | None
    struck_at: Time | None
    struck_by: str | None


class UndoShape(Shape):
    """How a write is taken back: `POST /undo` with this `command`."""

    command: str
    until: Time
    within_s: float = Field(description="Seconds left when this was answered, whatever clocks say.")
    what: str = Field(description="What was done, in a few words.")


class FactShape(Shape):
    source: str
    observed_at: Time
    received_at: Time
    by: str


class ConflictShape(Shape):
    id: str
    kind: str
    at: Time
    about: dict[str, Any]
    resolution: str | None


class OwnerShape(Shape):
    name: str
    since: Time
    by: str


class CheckItemShape(Shape):
    check: str
    state: Literal["open", "done", "not_needed"]
    at: Time | None
    by: str | None


class WordShape(Shape):
    at: Time
    by: str
    state: Literal["answered", "waiting", "no_answer"]
    note: str | None


class NoticeShape(Shape):
    """Somebody who was told, or is to be: every try in `words`, the next one at `remind_at`. `person` has
    name, role and number, as far as known."""

    id: str
    partner: str | None
    person: dict[str, str] | None
    via: Literal["phone", "radio", "message", "in_person"]
    state: Literal["answered", "waiting", "no_answer"]
    remind_at: Time | None
    words: list[WordShape]


class DueShape(Shape):
    """When the next crew is to be asked, and somebody is to be rung again."""

    crew_check_at: Time | None
    notice_at: Time | None


class LinkShape(Shape):
    """`of`: of a duplicate the one of the two where the work is done."""

    incident: str
    number: str | None
    kind: Literal["duplicate", "related"]
    of: str | None
    at: Time
    by: str


class ProtocolShape(Shape):
    """Answers by question, and the priority that follows from the questions `because`."""

    answers: dict[str, str]
    priority: str | None
    because: list[str]


class IncidentShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Incident")

    id: str
    number: str
    type: str
    priority: str
    medical_code: str | None
    state: Literal["open", "closed"]
    alarm_level: int
    lon: float | None
    lat: float | None
    location_precision: Literal["exact", "coarse"]
    address: str | None
    address_parts: dict[str, str]
    description: str | None
    caller: dict[str, str] | None
    reported_at: Time
    reported_by: str
    acknowledged_at: Time | None
    acknowledged_by: str | None
    closed_at: Time | None
    outcome: str | None
    staging: bool
    talkgroup: str | None
    case_numbers: list[CaseNumberShape]
    plan: PlanShape
    assignments: list[AssignmentShape]
    requests: list[RequestShape]
    notes: list[NoteShape]
    notes_total: int
    owner: OwnerShape | None
    checklist: list[CheckItemShape]
    to_tell: list[str]
    notices: list[NoticeShape]
    due: DueShape
    links: list[LinkShape]
    duplicate_of: str | None
    calls: list[str]
    protocol: ProtocolShape
    facts: dict[str, FactShape]
    times: dict[str, Time]
    conflicts: list[ConflictShape]
    personal_data: Literal["kept", "erased"]
    upgrade_needed: bool
    district: str
    station: str
    rev: int


class ChangedIncidentShape(IncidentShape):
    model_config = ConfigDict(extra="forbid", title="ChangedIncident")

    log_position: str
    undo: UndoShape | None = None


class Incidents(RootModel[list[IncidentShape]]):
    pass


class Point(Shape):
    lon: float
    lat: float


class FlagShape(Shape):
    flag: str
    since: Time


class AskedShape(Shape):
    incident: str
    state: str
    asked_at: Time
    answer_by: Time


class MovingUpShape(Shape):
    """Where it is to stand by; `asked` while its agency has not answered."""

    post: str
    lon: float
    lat: float
    state: Literal["asked", "moving"]
    since: Time
    by: str
    answer_by: Time | None


class CancelledShape(Shape):
    """What the crew was told and somebody took back, until it has acknowledged that."""

    incident: str | None
    incident_number: str | None
    what: Literal["order", "recall", "move_up"]
    at: Time
    by: str


class UnitShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Unit")

    id: str
    n: int = Field(description="Index in the position frames of this very connection.")
    source: str = Field(description="Who brought it into service; demo for a unit of the demo.")
    type: str
    agency: str
    command: Literal["owned", "requested"]
    capabilities: list[str]
    crew: int
    crew_min: int
    crew_id: str | None
    district: str
    station: str
    status: str
    status_since: Time
    status_source: str
    status_by: str
    reason: str | None
    hospital: str | None
    ready_at: Time | None
    flags: list[FlagShape]
    incident: str | None
    incident_number: str | None
    request: AskedShape | None
    moving_up: MovingUpShape | None
    cancelled: CancelledShape | None
    blocked_by: str | None
    talkgroup: str | None
    turnout_s: int
    lights: bool
    profile: str
    base: Point | None
    custodian: str
    epoch: int
    lon: float | None
    lat: float | None
    fix_at: Time | None
    fix_received_at: Time | None
    speed_mps: float | None
    heading_deg: float | None
    accuracy_m: float | None
    fix_source: str | None = Field(description="Who reported that position.")
    conflicts: list[ConflictShape]
    upgrade_needed: bool
    rev: int


class ChangedUnitShape(UnitShape):
    model_config = ConfigDict(extra="forbid", title="ChangedUnit")

    log_position: str
    undo: UndoShape | None = None


class Units(RootModel[list[UnitShape]]):
    pass


class UncoversShape(Shape):
    """What a departure leaves without: for about `minutes`, `share_pct` % of the zone's calls would find
    nobody of that capability in reach of the standard."""

    capability: str
    zone: str
    zone_name: str
    minutes: int
    share_pct: int


class CostShape(Shape):
    """In late calls: docs/optimiser.md. The total also holds a flat price a unit."""

    late: float
    uncovered: float
    total: float


class MoveShape(Shape):
    """A unit that leaves one incident (null: none) and goes to another (null: none)."""

    unit: str
    command: Literal["owned", "requested"]
    leaves: str | None
    leaves_number: str | None
    to: str | None
    to_number: str | None


class PostShape(Shape):
    name: str
    lon: float
    lat: float


class ProposalWords(Shape):
    en: str
    ro: str


class ProposalShape(Shape):
    """`unit`, `incident` and `leaves` are those of the first move. `asks`: accepting it asks an agency."""

    model_config = ConfigDict(extra="forbid", title="Proposal")

    id: str
    kind: Literal["reassign", "move_up"]
    state: Literal["open", "accepted", "declined", "expired", "superseded"]
    trigger: str
    made_at: Time
    expires_at: Time
    unit: str
    incident: str | None
    leaves: str | None
    moves: list[MoveShape]
    post: PostShape | None
    asks: bool
    figures: dict[str, Any]
    words: ProposalWords
    decided_at: Time | None
    decided_by: str | None
    reason: str | None
    rule: str | None = Field(description="The operator's rule that accepted it by itself.")
    authority: str | None
    why: str | None = Field(description="Why it holds no more.")
    about: dict[str, Any]
    district: str
    station: str
    upgrade_needed: bool
    rev: int


class ChangedProposalShape(ProposalShape):
    model_config = ConfigDict(extra="forbid", title="ChangedProposal")

    log_position: str
    undo: UndoShape | None = None


class Proposals(RootModel[list[ProposalShape]]):
    pass


class ClosureShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Closure")

    id: str
    kind: Literal["closure", "hazard", "slow", "flood"]
    state: Literal["reported", "confirmed", "ordered", "withdrawn", "expired"]
    geometry: dict[str, Any] = Field(description="GeoJSON; a Point has radius_m.")
    streets: list[str] = Field(description="Where it is: the names of the nearest streets, two at the most.")
    classes: list[str]
    from_: Time | None = Field(alias="from")
    until: Time | None
    ends: Time | None = Field(description="When it ends by itself, a report without an end included.")
    speed_pct: float | None
    entry_capabilities: list[str]
    staging: Point | None
    reason: str | None
    unit: str | None
    source: str
    reported_at: Time
    reported_by: str
    confirmed_at: Time | None
    confirmed_by: str | None
    confirmed_unit: str | None
    ordered_at: Time | None
    authority: Literal["road_administrator", "police"] | None
    ordered_by: str | None
    agreed_by: str | None
    withdrawn_at: Time | None
    withdrawn_by: str | None
    withdrawn_reason: str | None
    conflicts: list[ConflictShape]
    upgrade_needed: bool
    district: str
    station: str
    rev: int


class ChangedClosureShape(ClosureShape):
    model_config = ConfigDict(extra="forbid", title="ChangedClosure")

    log_position: str


class Closures(RootModel[list[ClosureShape]]):
    pass


class PickShape(Shape):
    unit: str
    type: str
    command: Literal["owned", "requested"]
    chosen: bool
    eta_s: int
    eta_low_s: int | None = Field(description="The band in which 8 of 10 arrivals fall; null = not known.")
    eta_high_s: int | None
    drive_s: int
    turnout_s: int
    distance_m: int | None
    travel: Literal["road", "straight"]
    fix_age_s: float | None
    fills: list[str]
    staging: bool = Field(description="Its way ends at the staging point.")
    priority_signals: bool = Field(description="Whether its time is one with priority signals.")
    uncovers: list[UncoversShape]
    cost: CostShape
    why: list[str]
    reasons: list[dict[str, Any]]


class WhyNotShape(Shape):
    unit: str
    type: str
    eta_s: int | None
    eta_low_s: int | None
    eta_high_s: int | None
    uncovers: list[UncoversShape]
    cost: CostShape | None
    why: list[str]
    reasons: list[dict[str, Any]]


class AskShape(Shape):
    """Whom to ask for what nobody here can fill: partners by telephone, agencies that have such units."""

    capability: str
    count: int
    partners: list[str]
    agencies: list[str]
    words: str


class PlannedUnitShape(Shape):
    unit: str
    type: str
    command: Literal["owned", "requested"]
    eta_s: int
    fills: list[str]
    staging: bool


class PlannedIncidentShape(Shape):
    incident: str
    number: str
    units: list[PlannedUnitShape]
    missing: dict[str, int]
    ask: list[AskShape]


class BatchPlanShape(Shape):
    model_config = ConfigDict(extra="forbid", title="BatchPlan")

    incidents: list[PlannedIncidentShape]
    exact: bool = Field(description="Proven the best; else the best found among each one's nearest units.")
    cost: CostShape
    missing: int
    computed_ms: float


class EtaShape(Shape):
    unit: str
    eta_s: int | None
    eta_low_s: int | None
    eta_high_s: int | None


class LeftShape(Shape):
    """The share of a zone's calls that nobody idle reaches within the standard, before and after."""

    capability: str
    zone: str
    zone_name: str
    before_pct: int
    after_pct: int


class FaultShape(Shape):
    """A rule that the choice breaks; further keys are its arguments. `person_may`: with a reason."""

    model_config = ConfigDict(extra="allow", title="Fault")

    unit: str
    code: str
    person_may: bool
    why: str


class FreshShape(Shape):
    fresh: bool
    as_of: Time


class WhatIfShape(Shape):
    model_config = ConfigDict(extra="forbid", title="WhatIf")

    incident: str
    cost: CostShape
    complete: bool
    missing: dict[str, int]
    etas: list[EtaShape]
    uncovered: list[LeftShape]
    coverage: FreshShape | None = Field(description="Of the figures of coverage; null = there are none.")
    faults: list[FaultShape]


class WayProperties(Shape):
    """`under_way`: it was sent here. `staging`: it ends where units wait outside a hazard zone. `streets`:
    the first names on the way. `fix_age_s` at `as_of`."""

    unit: str
    under_way: bool
    staging: bool
    eta_s: int | None = Field(description="From now, turnout in; null while nobody knows when it is free.")
    eta_low_s: int | None
    eta_high_s: int | None
    distance_m: int
    travel: Literal["road", "straight"]
    fix_age_s: float
    as_of: Time
    streets: list[str]


class WayShape(Shape):
    """A LineString: along the streets, or the two ends of a straight estimate."""

    type: Literal["Feature"]
    id: str
    geometry: dict[str, Any]
    properties: WayProperties


class WithoutWayShape(Shape):
    unit: str
    why: Literal["no-position", "unreachable", "no-place"]


class WaysShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Ways")

    type: Literal["FeatureCollection"]
    version: str | None = Field(description="Of the roads; changes with anything that changes a way.")
    as_of: Time
    without_way: list[WithoutWayShape]
    features: list[WayShape]


class RecommendationShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Recommendation")

    incident: str
    travel: Literal["road", "straight"]
    road_network: bool
    computed_ms: float
    complete: bool
    missing: dict[str, int]
    nobody: list[str] = Field(description="What is missing and no unit gives at all.")
    ask: list[AskShape]
    waiting_for: list[str]
    cost: CostShape
    coverage: FreshShape | None = Field(description="Of the figures of coverage; null = there are none.")
    closures: list[str] = Field(description="Ids of what is closed or slow and changes something here.")
    cut_off: list[str] = Field(description="Units on their way that can arrive no more; they fill nothing.")
    units: list[PickShape]
    not_chosen: list[WhyNotShape]


class TakenBackShape(Shape):
    """`told` are the units whose crews must acknowledge it, `withdrawn` those asked of an agency."""

    model_config = ConfigDict(extra="forbid", title="TakenBack")

    command: str
    told: list[str]
    withdrawn: list[str]
    incidents: list[IncidentShape]
    units: list[UnitShape]
    log_position: str


class AssignedShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Assigned")

    incident: IncidentShape
    assigned: list[str]
    requested: list[str]
    log_position: str
    undo: UndoShape | None = None


class LineShape(Shape):
    at: Time
    observed_at: Time
    received_at: Time
    type: str
    taken_back: bool = Field(description="It counts no more.")
    actor: str
    source: str
    words: str
    data: dict[str, Any]


class Timeline(RootModel[list[LineShape]]):
    pass


class UnitLineShape(Shape):
    at: Time
    observed_at: Time
    received_at: Time
    type: str
    actor: str
    source: str
    words: str
    status: str | None = Field(description="The status that began with it; null = none did.")
    lasted_s: float | None = Field(description="How long that status lasted; null = it still does.")
    incident: str | None = Field(description="What it was about, for those who may see that.")
    incident_number: str | None
    taken_back: bool = Field(description="Undone by whoever had ordered it.")


class UnitHistory(RootModel[list[UnitLineShape]]):
    """The newest first."""


class RefusedPosition(Shape):
    index: int
    unit: str | None
    code: str
    detail: str


class PositionsReceipt(Shape):
    accepted: int
    late: int
    duplicates: int
    refused: list[RefusedPosition]


class LeftOut(Shape):
    index: int
    code: str
    detail: str


class PhoneReceipt(Shape):
    accepted: int
    late: int
    duplicates: int
    refused: list[LeftOut]


class NoMessages(RootModel[list[None]]):
    """Always empty: OwnTracks takes the answer for messages to itself."""


class TrailPoint(Shape):
    observed_at: Time
    received_at: Time
    age_s: float = Field(description="Seconds since it was observed, at the time of the answer.")
    lon: float
    lat: float
    speed_mps: float | None
    heading_deg: float | None
    accuracy_m: float | None
    source: str = Field(description="Name of the token or login that sent it.")


class Trail(RootModel[list[TrailPoint]]):
    """Fixes in order of time; between two of them the unit went straight, at even speed."""


class EventShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Event")

    position: str = Field(description="Opaque cursor of this event.")
    origin: str
    seq: int
    lamport: int
    recorded_at: Time
    observed_at: Time
    received_at: Time
    type: str
    version: int
    subjects: list[str]
    data: dict[str, Any]
    source: str
    cause: str
    cause_index: int
    actor: str
    epoch: int
    prev_hash: str
    hash: str


class Events(RootModel[list[EventShape]]):
    pass


class JudgedShape(Shape):
    """On weeks that were not learnt from. `difference`: the 95 % interval of what the Poisson deviance of a
    day changed by against the prior's; below zero is better."""

    deviance_per_day: float
    difference: list[float]
    mean_error: dict[str, float]
    beats_prior: bool


class HeldOutShape(Shape):
    weeks: int
    calls: int
    hours: JudgedShape
    places: JudgedShape


class ExpectedCalls(Shape):
    """`hours`: calls an hour in the whole city by local hour of the week, from Monday at midnight."""

    city: str | None
    hour_of_week: int
    in_use: bool
    why: str
    trouble: str | None
    made_at: Time | None
    calls: int
    weeks: int
    flat_per_hour: float | None
    expected_per_hour: float | None
    hours: list[float] | None
    held_out: HeldOutShape | None


class AddressShape(Shape):
    label: str
    kind: Literal["address", "street", "crossing", "landmark", "coordinates", "road_km"]
    lon: float
    lat: float
    parts: dict[str, str]
    match: Literal["exact", "prefix", "near"]


class Addresses(RootModel[list[AddressShape]]):
    pass


class NearAddress(AddressShape):
    distance_m: float


class IncidentTypes(RootModel[list[dict[str, Any]]]):
    pass


class TitleShape(Shape):
    ro: str
    en: str


class LayerShape(Shape):
    layer: str
    source: str
    count: int
    imported_at: Time
    title: TitleShape | None = Field(description="Null for a layer that the operator named.")


class Layers(RootModel[list[LayerShape]]):
    pass


class FeatureShape(Shape):
    """A feature (RFC 7946). `properties` has layer, source, ref, name, `point` ([lon, lat], where a line or
    area is best marked), `distance_m` where nearness was asked for, and what is known of the thing itself."""

    type: Literal["Feature"]
    id: int
    geometry: dict[str, Any]
    properties: dict[str, Any]


class Features(Shape):
    type: Literal["FeatureCollection"]
    features: list[FeatureShape]
    truncated: bool
    imported_at: Time | None


class Density(Shape):
    """Squares of `cell_m` metres in which things of a layer stand: [lon, lat, how many], at their middle."""

    layer: str
    cell_m: int
    count: int
    cells: list[tuple[float, float, int]]


class StandardShape(Shape):
    """A capability that should be there within `within_s` in towns, `rural_s` outside, `share_pct` of the
    time where the operator says so (`stated`)."""

    capability: str
    within_s: float
    rural_s: float
    share_pct: int | None
    stated: bool


class CellProperties(Shape):
    """`demand` calls an hour, `covered_by` idle crews in time, `preparedness` the chance that one is free."""

    zone: str
    zone_name: str
    demand: float
    covered_by: int
    gap: bool
    preparedness: float


class CellShape(Shape):
    type: Literal["Feature"]
    id: int
    geometry: dict[str, Any]
    properties: CellProperties


class _Measured(Shape):
    """`fresh` False: by the roads of before `as_of`, others are being worked in. `source`: population,
    buildings or streets, which `about` may name further."""

    fresh: bool
    as_of: Time
    source: Literal["population", "buildings", "streets"]
    about: str | None
    cell_m: float
    without: list[str]
    standards: list[StandardShape]


class CoverageShape(_Measured):
    model_config = ConfigDict(extra="forbid", title="Coverage")

    type: Literal["FeatureCollection"]
    capability: str
    share: float
    busy: float
    features: list[CellShape]


class ZoneStandardShape(Shape):
    capability: str
    demand: float
    gap_pct: float
    gap_after_pct: float
    preparedness_pct: float
    preparedness_after_pct: float


class ZoneShape(Shape):
    zone: str
    name: str
    kind: Literal["district", "place", "sector"]
    lon: float
    lat: float
    people: int
    standards: list[ZoneStandardShape]


class CoverageZonesShape(_Measured):
    model_config = ConfigDict(extra="forbid", title="CoverageZones")

    zones: list[ZoneShape]


class IsochroneProperties(Shape):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    minutes: float
    from_: str = Field(alias="from")
    empty: bool


class IsochroneShape(Shape):
    type: Literal["Feature"]
    id: int
    geometry: dict[str, Any]
    properties: IsochroneProperties


class StartShape(Shape):
    name: str
    lon: float
    lat: float


class IsochronesShape(Shape):
    model_config = ConfigDict(extra="forbid", title="Isochrones", populate_by_name=True)

    type: Literal["FeatureCollection"]
    from_: StartShape = Field(alias="from")
    mode: str
    turnout_s: int
    features: list[IsochroneShape]


class RowFault(Shape):
    row: int
    field: str
    code: str
    why: str


class LayerReport(Shape):
    """What an import did, or would do. The first 200 bad and mended rows are named, all are counted."""

    layer: str
    source: str
    format: str
    rows: int
    features: int
    faults_total: int
    faults: list[RowFault]
    mended_total: int
    mended: list[RowFault]
    notes: list[str]
    before: int
    added: int
    changed: int
    removed: int
    unchanged: int
    dry_run: bool
    written: bool


class UserShape(Shape):
    name: str
    role: str
    districts: list[str]
    display_name: str
    unit: str | None


class SessionShape(Shape):
    user: UserShape
    csrf: str | None


PROBLEMS: dict[int | str, Any] = dict.fromkeys((401, 403, 404, 409, 422, 503, 507), ProblemShape)


# ---- the shift


class SpreadShape(Shape):
    """Seconds; null where there is nothing to measure. `within_pct`: those within the target."""

    n: int
    p50_s: float | None
    p90_s: float | None
    max_s: float | None
    within_pct: float | None


class PriorityPerformanceShape(Shape):
    """`late`: reached after the target, or not reached yet and over it."""

    priority: str
    target_s: int | None
    incidents: int
    answer: SpreadShape
    response: SpreadShape
    not_reached: int
    late: int


class WaitShape(Shape):
    kind: Literal["unacknowledged", "units_missing", "request_asked", "request_no_answer"]
    incident: str
    number: str
    priority: str
    unit: str | None
    since: Time
    waiting_s: float


class CoveredShape(Shape):
    """The share of the calls to be expected that somebody idle would reach within the target."""

    capability: str
    target_s: float
    covered_pct: float | None


class PersonLoadShape(Shape):
    """What somebody put on record; `open`: open calls that this person took or acknowledged."""

    person: str
    role: str
    open: int
    calls: int
    acknowledged: int
    sent: int
    statuses: int
    notes: int
    closed: int
    other: int
    total: int
    last_at: Time


class PerformanceShape(Shape):
    """`people` is null for those who may not see who did how much."""

    at: Time
    since: Time
    hours: float
    open: int
    priorities: list[PriorityPerformanceShape]
    waits: list[WaitShape]
    coverage: list[CoveredShape]
    people: list[PersonLoadShape] | None


class NumberedShape(Shape):
    id: str
    number: str


class OpenRequestShape(Shape):
    incident: str
    number: str
    unit: str


class HandOverShape(Shape):
    """What stood open when it was written; free text is null for those who may not read it, and once
    erased."""

    id: str
    state: Literal["written", "taken"]
    written_at: Time
    written_by: str
    notes: str | None
    incidents: list[NumberedShape]
    units: list[str]
    closures: list[str]
    requests: list[OpenRequestShape]
    taken_at: Time | None
    taken_by: str | None
    remark: str | None
    rev: int


class ChangedHandOverShape(HandOverShape):
    log_position: str


class PlannedShape(Shape):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: str
    kind: Literal["works", "event", "outage", "exercise"]
    state: Literal["ahead", "now", "over", "withdrawn"]
    title: str
    where: str | None
    begins: Time = Field(alias="from")
    until: Time
    details: str | None
    entered_at: Time
    entered_by: str
    withdrawn_at: Time | None
    withdrawn_by: str | None
    reason: str | None
    rev: int


class ChangedPlannedShape(PlannedShape):
    log_position: str


PlannedList = RootModel[list[PlannedShape]]


class BriefIncidentShape(Shape):
    id: str
    number: str
    type: str
    priority: str
    address: str | None
    reported_at: Time
    acknowledged_at: Time | None
    owner: str
    units: list[str]
    missing: dict[str, int]
    last_note: str | None


class BriefUnitShape(Shape):
    unit: str
    status: str
    since: Time
    incident: str | None
    reason: str | None


class BriefShape(Shape):
    """`closures` are ids of those that hold; `planned` what goes on or begins within a day; `handovers` the
    newest first."""

    at: Time
    incidents: list[BriefIncidentShape]
    waits: list[WaitShape]
    units: list[BriefUnitShape]
    closures: list[str]
    planned: list[PlannedShape]
    handovers: list[HandOverShape]


class SignatureShape(Shape):
    """Ed25519 over the canonical JSON of everything else; key and value in hex."""

    algorithm: Literal["Ed25519"]
    key: str
    value: str


class RegisterShape(Shape):
    """A day of the station without personal data; docs/shift.md tells its parts."""

    format: Literal["straja-register-1"]
    station: str
    day: str
    begins: Time = Field(alias="from")
    until: Time
    made_at: Time
    cases: list[dict[str, Any]]
    handovers: list[dict[str, Any]]
    planned: list[dict[str, Any]]
    chains: list[dict[str, Any]]
    signature: SignatureShape
