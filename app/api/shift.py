"""The shift: how it goes, and the sheet of paper that goes on when nothing else does."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal

from flask import Response, jsonify, request
from flask_openapi3 import Tag
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from app import performance, register, sheet
from app.api import shapes
from app.api.doors import (
    Problem,
    Strict,
    actor,
    blueprint,
    core,
    fresh_incident,
    incident_or_404,
    parse_moment,
    request_id,
    require_role,
    rows,
    sees,
    sees_personal,
    send,
    source,
    wrong,
)
from app.api.incidents import (
    Address,
    Caller,
    CaseNumber,
    Location,
    Short,
    Text,
    locate_once,
)
from app.auth import could, everywhere, may
from app.native import offload
from app.rows import rfc3339
from app.words import pick_language, words_in
from dispatch import commands as c
from dispatch.commands import who
from dispatch.events import Sealed
from dispatch.incident import Incident
from dispatch.shift import STEPS, HandOver, Planned

TAG = Tag(name="Shift", description="How the shift goes, its hand-over, its paper and its register.")


class PerformanceQuery(Strict):
    hours: float = Field(
        default=12, ge=0.25, le=performance.HOURS_MAX, allow_inf_nan=False, description="How far back."
    )


class SheetQuery(Strict):
    language: Literal["ro", "en"] | None = Field(default=None, description="Default: Accept-Language.")


@blueprint.get(
    "/performance",
    tags=[TAG],
    summary="Answer and response against target, coverage, what waits",
    responses={200: shapes.PerformanceShape},
)
def get_performance(query: PerformanceQuery) -> Response:
    who_asks = require_role("performance.read")
    parts = core()

    def seen(x: Incident) -> bool:
        return may(who_asks, "performance.read", district=x.district)

    found = performance.figures(parts, seen, query.hours)
    people = None
    if could(who_asks, "load.read"):
        people = offload(lambda: performance.load(parts, query.hours, seen))
    return jsonify({**found, "hours": query.hours, "people": people})


@blueprint.get(
    "/sheet",
    tags=[TAG],
    summary="The running sheet, as a page to print (HTML)",
    responses={200: {"description": "HTML", "content": {"text/html": {"schema": {"type": "string"}}}}},
)
def get_sheet(query: SheetQuery) -> Response:
    who_asks = require_role("sheet.read")
    language = query.language or pick_language(request.headers.get("Accept-Language"))
    parts = core()
    now_us = parts.world.clock.now_us()
    if everywhere(who_asks, "incident.read") and everywhere(who_asks, "personal.read"):
        path = sheet.path_of(parts.config.var, language)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise Problem(
                503, "no-sheet", "The keeper has not written a sheet yet.", retry_after_s=5
            ) from None
    else:
        # The file holds all districts: whoever works in some of them is given a sheet of those.
        builder = rows()
        reader = sheet.Reader(lambda x: sees(who_asks, x), lambda x: sees_personal(actor(), x))
        text = sheet.page(parts, builder, language, reader)
    age_s = (now_us - sheet.made_us(text)) / 1e6
    answer = Response(sheet.with_age(text, age_s, words_in(language)), mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"
    return answer


# ---- one shift to the next

Moment = Annotated[str, Field(max_length=40, description="RFC 3339 with an offset.")]


def _a_uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise PydanticCustomError("uuid", "must be a UUID") from None


class NewHandOver(Strict):
    id: str = Field(description="A UUID made by the client: the same one sent twice is one hand-over.")
    notes: Text = ""

    _check = field_validator("id")(_a_uuid)


class HandOverPath(Strict):
    handover_id: str = Field(max_length=64)


class Remark(Strict):
    remark: Text = ""


class EraseReason(Strict):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


def _opened(entities: Iterable[HandOver | Planned]) -> dict[str, Any]:
    """The free text of those that the asker may read."""
    secrets: list[Sealed] = []
    for x in entities:
        if may(actor(), "personal.read", district=x.district):
            texts = (x.notes, x.remark) if isinstance(x, HandOver) else (x.details,)
            secrets += [s for s in texts if isinstance(s, Sealed)]
    return core().vault.open(secrets)


def _text(secret: Any, opened: dict[str, Any]) -> str | None:
    return opened.get(secret.id) if isinstance(secret, Sealed) else None


def _handover_row(x: HandOver, opened: dict[str, Any]) -> dict[str, Any]:
    state = core().picture.now

    def number(incident_id: str) -> str:
        found = state.incident(incident_id)
        return found.number if found is not None and found.reported else incident_id

    return {
        "id": x.id,
        "state": "taken" if x.taken_us is not None else "written",
        "written_at": rfc3339(x.written_us),
        "written_by": who(x.written_by),
        "notes": _text(x.notes, opened),
        "incidents": [{"id": one, "number": number(one)} for one in x.incidents],
        "units": list(x.units),
        "closures": list(x.closures),
        "requests": [{"incident": one, "number": number(one), "unit": unit} for one, unit in x.requests],
        "taken_at": rfc3339(x.taken_us),
        "taken_by": who(x.taken_by) or None,
        "remark": _text(x.remark, opened),
        "rev": x.position,
    }


def _handover(handover_id: str) -> HandOver:
    found = core().picture.now.handover(handover_id)
    if found is None or not found.written or not may(actor(), "handover.read", district=found.district):
        raise Problem(404, "unknown-handover", f"There is no hand-over {handover_id}.")
    return found


def _handover_answer(handover_id: str, cursor: str) -> Response:
    found = core().picture.now.handover(handover_id)
    if found is None:
        raise Problem(404, "unknown-handover", f"There is no hand-over {handover_id}.")
    return jsonify({**_handover_row(found, _opened([found])), "log_position": cursor})


@blueprint.get(
    "/handover",
    tags=[TAG],
    summary="The brief: what the next shift must know, as of now",
    responses={200: shapes.BriefShape},
)
def get_brief() -> Response:
    who_asks = require_role("handover.read")
    state, now_us = core().picture.now, core().world.clock.now_us()
    open_ones = sorted(
        (x for x in state.incidents() if x.open and may(who_asks, "handover.read", district=x.district)),
        key=lambda x: (x.acknowledged_us is not None, x.priority, x.reported_us),
    )
    given = [x for x in state.handovers() if may(who_asks, "handover.read", district=x.district)]
    given.sort(key=lambda x: -x.written_us)
    soon = sorted(
        (x for x in state.all_planned() if x.withdrawn_us is None and now_us < x.until_us),
        key=lambda x: x.from_us,
    )
    soon = [x for x in soon if x.from_us < now_us + 86_400_000_000]
    opened = _opened([*given, *soon])
    with_personal = [x for x in open_ones if sees_personal(who_asks, x)]
    built = {row["id"]: row for row in rows().incidents(with_personal, personal=True)}
    held = [x for x in state.closures() if x.holds(now_us)]
    return jsonify(
        {
            "at": rfc3339(now_us),
            "incidents": [
                _brief_line(x, built[x.id] if x.id in built else rows().incident(x, personal=False))
                for x in open_ones
            ],
            "waits": performance.waits(core(), open_ones, now_us),
            "units": [
                {
                    "unit": x.id,
                    "status": x.status,
                    "since": rfc3339(x.status_us),
                    "incident": x.incident,
                    "reason": x.reason if isinstance(x.reason, str) and x.reason else None,
                }
                for x in sorted(state.units(), key=lambda x: x.id)
                if x.incident is not None or x.status == "out_of_service"
            ],
            "closures": [x.id for x in sorted(held, key=lambda x: x.reported_us)],
            "planned": [_planned_row(x, opened) for x in soon],
            "handovers": [_handover_row(x, opened) for x in given[:10]],
        }
    )


def _brief_line(x: Incident, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": x.id,
        "number": x.number,
        "type": x.type,
        "priority": x.priority,
        "address": row["address"],
        "reported_at": row["reported_at"],
        "acknowledged_at": row["acknowledged_at"],
        "owner": (row["owner"] or {}).get("name") or row["acknowledged_by"] or row["reported_by"],
        "units": [a["unit"] for a in row["assignments"]],
        "missing": row["plan"]["missing"],
        "last_note": row["notes"][-1]["text"] if row["notes"] else None,
    }


@blueprint.post("/handovers", tags=[TAG], summary="Hand over", responses={201: shapes.ChangedHandOverShape})
def post_handover(body: NewHandOver) -> tuple[Response, int]:
    require_role("handover.write")
    cursor = send(c.WriteHandOver(id=body.id, source=source(), handover=body.id, notes=body.notes))
    return _handover_answer(body.id, cursor), 201


@blueprint.post(
    "/handovers/<handover_id>/take",
    tags=[TAG],
    summary="Read and taken over",
    responses={200: shapes.ChangedHandOverShape},
)
def take_handover(path: HandOverPath, body: Remark) -> Response:
    require_role("handover.take")
    found = _handover(path.handover_id)
    cursor = send(c.TakeHandOver(id=request_id(), source=source(), handover=found.id, remark=body.remark))
    return _handover_answer(found.id, cursor)


@blueprint.post(
    "/handovers/<handover_id>/erase",
    tags=[TAG],
    summary="Destroy its free text for good",
    responses={200: shapes.ChangedHandOverShape},
)
def erase_handover(path: HandOverPath, body: EraseReason) -> Response:
    require_role("personal.erase")
    found = _handover(path.handover_id)
    about = f"handover:{found.id}"
    cursor = send(c.EraseShiftText(id=request_id(), source=source(), subject=about, reason=body.reason))
    return _handover_answer(found.id, cursor)


# ---- planned works and events


class PlannedFields(Strict):
    where: Annotated[str, Field(max_length=200)] = ""
    details: Text = ""


class NewPlanned(PlannedFields):
    id: str = Field(description="A UUID made by the client: the same one sent twice is one entry.")
    kind: Literal["works", "event", "outage", "exercise"]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    begins: Moment = Field(alias="from")
    until: Moment

    _check = field_validator("id")(_a_uuid)


class ChangedPlanned(PlannedFields):
    kind: Literal["works", "event", "outage", "exercise"] | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    begins: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None


class PlannedPath(Strict):
    planned_id: str = Field(max_length=64)


class WithdrawReason(Strict):
    reason: Short


YEARS_US = 5 * 366 * 86_400_000_000


def _any_moment(text: str, field: str) -> int:
    """A time in the years around now: works are planned long before."""
    try:
        at = parse_moment(text)
    except (ValueError, OverflowError) as error:
        raise wrong(field, "bad-time", f"{field}: {error}") from None
    if abs(at - core().world.clock.now_us()) > YEARS_US:
        raise wrong(field, "time-too-far", f"{field} is years from now.")
    return at


def _planned_row(x: Planned, opened: dict[str, Any]) -> dict[str, Any]:
    now_us = core().world.clock.now_us()
    withdrawn = x.withdrawn_us is not None
    stage = "over" if now_us >= x.until_us else "now" if now_us >= x.from_us else "ahead"
    return {
        "id": x.id,
        "kind": x.kind,
        "state": "withdrawn" if withdrawn else stage,
        "title": x.title,
        "where": x.where or None,
        "from": rfc3339(x.from_us),
        "until": rfc3339(x.until_us),
        "details": _text(x.details, opened),
        "entered_at": rfc3339(x.entered_us),
        "entered_by": who(x.entered_by),
        "withdrawn_at": rfc3339(x.withdrawn_us),
        "withdrawn_by": who(x.withdrawn_by) or None,
        "reason": x.reason or None,
        "rev": x.position,
    }


def _planned(planned_id: str) -> Planned:
    found = core().picture.now.planned(planned_id)
    if found is None or not found.planned or not may(actor(), "planned.read", district=found.district):
        raise Problem(404, "unknown-planned", f"Nothing is planned as {planned_id}.")
    return found


def _planned_answer(planned_id: str, cursor: str) -> Response:
    found = core().picture.now.planned(planned_id)
    if found is None:
        raise Problem(404, "unknown-planned", f"Nothing is planned as {planned_id}.")
    return jsonify({**_planned_row(found, _opened([found])), "log_position": cursor})


@blueprint.get(
    "/planned",
    tags=[TAG],
    summary="Works and events that are planned or go on",
    responses={200: shapes.PlannedList},
)
def list_planned() -> Response:
    who_asks = require_role("planned.read")
    found = sorted(
        (x for x in core().picture.now.all_planned() if may(who_asks, "planned.read", district=x.district)),
        key=lambda x: (x.withdrawn_us is not None, x.from_us, x.id),
    )
    opened = _opened(found)
    return jsonify([_planned_row(x, opened) for x in found])


@blueprint.post(
    "/planned", tags=[TAG], summary="Enter something planned", responses={201: shapes.ChangedPlannedShape}
)
def post_planned(body: NewPlanned) -> tuple[Response, int]:
    require_role("planned.edit")
    command = c.PlanWork(
        id=body.id,
        source=source(),
        planned=body.id,
        kind=body.kind,
        title=body.title,
        where=body.where,
        details=body.details,
        from_us=_any_moment(body.begins, "from"),
        until_us=_any_moment(body.until, "until"),
    )
    return _planned_answer(body.id, send(command)), 201


@blueprint.patch(
    "/planned/<planned_id>",
    tags=[TAG],
    summary="Change it",
    responses={200: shapes.ChangedPlannedShape},
)
def patch_planned(path: PlannedPath, body: ChangedPlanned) -> Response:
    require_role("planned.edit")
    found = _planned(path.planned_id)
    changes: dict[str, Any] = {}
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is None:
            raise wrong("from" if name == "begins" else name, "invalid", "This cannot be emptied.")
        if name in ("begins", "until"):
            said = "from" if name == "begins" else name
            changes[f"{said}_us"] = _any_moment(value, said)
        else:
            changes[name] = value
    if not changes:
        raise wrong("body", "empty", "Name at least one field to change.")
    cursor = send(c.ChangePlanned(id=request_id(), source=source(), planned=found.id, changes=changes))
    return _planned_answer(found.id, cursor)


@blueprint.post(
    "/planned/<planned_id>/withdraw",
    tags=[TAG],
    summary="It does not take place",
    responses={200: shapes.ChangedPlannedShape},
)
def withdraw_planned(path: PlannedPath, body: WithdrawReason) -> Response:
    require_role("planned.edit")
    found = _planned(path.planned_id)
    cursor = send(c.WithdrawPlanned(id=request_id(), source=source(), planned=found.id, reason=body.reason))
    return _planned_answer(found.id, cursor)


@blueprint.post(
    "/planned/<planned_id>/erase",
    tags=[TAG],
    summary="Destroy its details for good",
    responses={200: shapes.ChangedPlannedShape},
)
def erase_planned(path: PlannedPath, body: EraseReason) -> Response:
    require_role("personal.erase")
    found = _planned(path.planned_id)
    about = f"planned:{found.id}"
    cursor = send(c.EraseShiftText(id=request_id(), source=source(), subject=about, reason=body.reason))
    return _planned_answer(found.id, cursor)


# ---- the duty register


class RegisterQuery(Strict):
    day: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] | None = Field(
        default=None, description="Such as 2026-11-23, local time; default: yesterday."
    )


@blueprint.get(
    "/register", tags=[TAG], summary="The signed register of a day", responses={200: shapes.RegisterShape}
)
def get_register(query: RegisterQuery) -> Response:
    require_role("register.read")
    parts = core()
    try:
        day = date.fromisoformat(query.day) if query.day else register.yesterday(parts)
        from_us, _ = register.span_of(parts, day)
    except (ValueError, OverflowError):
        raise wrong("day", "bad-day", "This is no day.") from None
    if from_us > parts.world.clock.now_us():
        raise wrong("day", "day-ahead", "This day has not begun yet.")
    made = offload(lambda: register.signed(register.of_day(parts, day), register.key_of(parts.config.var)))
    answer = jsonify(made)
    name = f"register-{parts.config.station}-{day.isoformat()}.json"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


# ---- from paper

PAPER = "paper"
"""The source of what was entered afterwards, whoever entered it."""


class PaperReport(Strict):
    type: str = Field(max_length=32)
    at: Moment
    priority: Literal["P1", "P2", "P3", "P4"] | None = None
    location: Location | None = None
    address: Address | None = None
    description: Text = ""
    caller: Caller | None = None
    case_numbers: list[CaseNumber] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _somewhere(self) -> PaperReport:
        if self.location is None and not self.address:
            raise PydanticCustomError("no_place", "give location or address, or both")
        return self


class PaperTimes(Strict):
    """A crew's times as written; `available` is when it was free again."""

    unit: str = Field(max_length=32)
    assigned: Moment
    en_route: Moment | None = None
    on_scene: Moment | None = None
    transporting: Moment | None = None
    at_hospital: Moment | None = None
    available: Moment


class PaperNote(Strict):
    at: Moment
    text: Text


class PaperEnd(Strict):
    at: Moment
    outcome: Text


class PaperEntry(Strict):
    """What was written by hand about one call."""

    id: str = Field(description="A UUID made by the client: the same entry sent twice is one.")
    report: PaperReport | None = Field(default=None, description="A call that is not known yet.")
    incident: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Instead of a report: the call that it is about."
    )
    sendings: list[PaperTimes] = Field(default_factory=list, max_length=50)
    notes: list[PaperNote] = Field(default_factory=list, max_length=100)
    closed: PaperEnd | None = None

    _check = field_validator("id")(_a_uuid)

    @model_validator(mode="after")
    def _about_one(self) -> PaperEntry:
        if (self.report is None) == (self.incident is None):
            raise PydanticCustomError("one_of", "give a report or the incident it is about, and not both")
        return self


@blueprint.post(
    "/catch-up",
    tags=[TAG],
    summary="Enter from paper, with the original times",
    responses={201: shapes.ChangedIncidentShape},
)
def post_catch_up(body: PaperEntry) -> tuple[Response, int]:
    require_role("incident.catch_up")

    def at(text: str, field: str) -> int:
        try:
            return parse_moment(text)
        except (ValueError, OverflowError) as error:
            raise wrong(field, "bad-time", f"{field}: {error}") from None

    report: c.ReportIncident | None = None
    asked: dict[str, Any] | None = None
    incident = body.id
    if body.report is not None:
        given = body.report
        place, asked = locate_once(body.id, given.location, given.address)
        report = c.ReportIncident(
            id=body.id,
            source=PAPER,
            observed_us=at(given.at, "report.at"),
            incident=body.id,
            type=given.type,
            place=place,
            priority=given.priority,
            description=given.description,
            caller=given.caller.model_dump(exclude_none=True) if given.caller else None,
            case_numbers=tuple((case.agency, case.number) for case in given.case_numbers),
        )
    else:
        incident = incident_or_404(body.incident or "").id
        asked = {}
    sendings = tuple(
        c.PaperSending(
            one.unit,
            {
                step: at(text, f"sendings.{n}.{step}")
                for step in STEPS
                if (text := getattr(one, step)) is not None
            },
        )
        for n, one in enumerate(body.sendings)
    )
    command = c.EnterFromPaper(
        id=body.id,
        source=PAPER,
        incident=incident,
        report=report,
        sendings=sendings,
        notes=tuple((at(one.at, f"notes.{n}.at"), one.text) for n, one in enumerate(body.notes)),
        closed=None if body.closed is None else (at(body.closed.at, "closed.at"), body.closed.outcome),
    )
    cursor = send(command, asked)
    return jsonify({**fresh_incident(incident), "log_position": cursor}), 201
