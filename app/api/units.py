"""Units: the board, statuses, flags, and where they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from flask import Response, jsonify, request
from flask_openapi3 import Tag
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from app.api import shapes
from app.api.doors import (
    Problem,
    Strict,
    actor,
    blueprint,
    core,
    moment,
    observed,
    paged,
    parse_moment,
    request_id,
    require,
    require_role,
    sees,
    sees_unit,
    send,
    source,
    unit_or_404,
    unit_row,
    words,
    wrong,
)
from app.api.incidents import Location, Resolution, line_of
from app.auth import explain, may
from app.log import latest_facts
from app.rows import rfc3339
from app.tracks import Fix
from dispatch import commands as c
from dispatch import events as e
from dispatch import unit as units
from dispatch.commands import Actor

TAG = Tag(name="Units", description="Crews and vehicles: owned ones are commanded, requested ones are asked.")
TRAIL_SPAN_US = 3_600_000_000
BESIDE = 20
"""Facts read on both sides of a page of history, which tell in what status it began and how long the last one
of it lasted."""
POSITIONS_MAX = 1000
"""Positions in one request; send more in several."""


class UnitPath(Strict):
    unit_id: str = Field(max_length=32)


class UnitsQuery(Strict):
    limit: int = Field(default=500, ge=1, le=1000)
    after: str | None = Field(default=None, max_length=32)


class TrailQuery(Strict):
    since: str | None = Field(default=None, max_length=40, description="Default: an hour before `until`.")
    until: str | None = Field(default=None, max_length=40, description="Default: now.")
    limit: int = Field(default=1000, ge=1, le=5000)
    after: str | None = Field(default=None, max_length=100)


class HistoryQuery(Strict):
    limit: int = Field(default=100, ge=1, le=500)
    after: str | None = Field(default=None, max_length=200, description="Opaque cursor of the next page.")


class NewUnit(Strict):
    id: str = Field(min_length=1, max_length=32, description="Call sign.")
    type: str = Field(max_length=32)
    station: str = Field(max_length=64)
    district: str | None = Field(default=None, max_length=64)
    crew: int = Field(ge=0, le=99, strict=True, description="People aboard.")
    crew_id: str | None = Field(
        default=None,
        max_length=64,
        description="The same for vehicles manned by one crew: one out blocks all.",
    )
    talkgroup: str | None = Field(default=None, max_length=64)
    base: Location | None = None
    turnout_s: int | None = Field(default=None, ge=0, le=7200, strict=True)


class NewStatus(Strict):
    status: str = Field(max_length=32)
    observed_at: str | None = None
    reason: Annotated[str, Field(max_length=500)] = ""
    hospital: str | None = Field(default=None, max_length=128)
    ready_at: str | None = None
    force: bool = Field(default=False, strict=True)


class NewFlag(Strict):
    flag: str = Field(max_length=32)
    on: bool = Field(strict=True)


class PositionIn(BaseModel):
    """Checked some thousand times a second: its rules are such that no Python code runs for a field."""

    model_config = ConfigDict(extra="forbid")

    unit: str = Field(min_length=1, max_length=32, pattern=r"^[^\x00]*$")
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False, strict=True)
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False, strict=True)
    observed_at: str = Field(max_length=40)
    speed_mps: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None


class Positions(RootModel[list[PositionIn]]):
    """Up to 1,000 positions; each stands for itself: a wrong one is refused by name, the rest are kept."""


_position = PositionIn.__pydantic_validator__


@blueprint.get("/units", tags=[TAG], summary="The unit board", responses={200: shapes.Units})
def list_units(query: UnitsQuery) -> Response:
    who_asks = require_role("unit.read")
    found = sorted((u for u in core().picture.now.units() if sees_unit(who_asks, u)), key=lambda u: u.id)
    if query.after is not None:
        found = [u for u in found if u.id > query.after]
    page = found[: query.limit]
    more = page[-1].id if len(found) > query.limit else None
    return paged([unit_row(u) for u in page], more)


@blueprint.get("/units/<unit_id>", tags=[TAG], summary="One unit", responses={200: shapes.UnitShape})
def get_unit(path: UnitPath) -> Response:
    require_role("unit.read")
    return jsonify(unit_row(unit_or_404(path.unit_id)))


@blueprint.get(
    "/units/<unit_id>/trail", tags=[TAG], summary="Where a unit has been", responses={200: shapes.Trail}
)
def get_trail(path: UnitPath, query: TrailQuery) -> Response:
    require_role("unit.trail")
    unit = unit_or_404(path.unit_id)
    require("unit.trail", district=unit.district, unit=unit.id)
    now_us = core().world.clock.now_us()
    # To the millisecond in which it can be written down again.
    until_us = -(-now_us // 1000) * 1000 if query.until is None else _trail_time(query.until, "until")
    since_us = until_us - TRAIL_SPAN_US if query.since is None else _trail_time(query.since, "since")
    if since_us > until_us:
        raise wrong("since", "invalid", "since lies after until")
    after: tuple[int, str] | None = None
    if query.after is not None:
        at, _, source_name = query.after.partition("~")
        if not (at.isascii() and at.isdigit() and len(at) < 18):
            raise wrong("after", "invalid", "after is not one of this list's cursors")
        after = (int(at), source_name)
    found = core().tracks.trail(unit.id, since_us, until_us, query.limit + 1, after)
    page = found[: query.limit]
    rows = [
        {
            "observed_at": rfc3339(fix.observed_us),
            "received_at": rfc3339(fix.received_us),
            "age_s": round(max(0, now_us - fix.observed_us) / 1e6, 3),
            "lon": fix.lon,
            "lat": fix.lat,
            "speed_mps": fix.speed_mps,
            "heading_deg": fix.heading_deg,
            "accuracy_m": fix.accuracy_m,
            "source": fix.source,
        }
        for fix in page
    ]
    # The next page must be of the same span, though time goes on.
    settled = {
        name: rfc3339(us)
        for name, given, us in (("since", query.since, since_us), ("until", query.until, until_us))
        if given is None
    }
    more = f"{page[-1].observed_us}~{page[-1].source}" if len(found) > query.limit else None
    return paged(rows, more, **settled)


@blueprint.get(
    "/units/<unit_id>/history",
    tags=[TAG],
    summary="What was ordered and pressed, the newest first, and how long each status lasted",
    responses={200: shapes.UnitHistory},
)
def get_history(path: UnitPath, query: HistoryQuery) -> Response:
    require_role("unit.history")
    unit = unit_or_404(path.unit_id)
    require("unit.history", district=unit.district, unit=unit.id)
    before: int | None = None
    if query.after is not None:
        before = core().log.position_of(query.after)
        if before is None:
            raise wrong("after", "invalid", "after is not one of this list's cursors")
    with core().engine.connect() as connection:
        found = latest_facts(connection, f"unit:{unit.id}", query.limit + BESIDE, before, BESIDE)
    older = [rec for rec in found if before is None or rec.position < before]
    page = older[: query.limit]
    rows = _told(unit.id, sorted(found, key=lambda rec: rec.key), {rec.position for rec in page})
    more = core().log.cursor(page[-1].position) if len(older) > query.limit else None
    return paged(rows, more)


def _told(unit_id: str, facts: list[e.Recorded], shown: set[int]) -> list[dict[str, Any]]:
    """Rows of facts given in causal order, the newest first, without what the caller may not know."""
    who_asks, state = actor(), core().picture.now
    seen: dict[str, Any] = {}
    for rec in facts:
        ident = getattr(rec.event, "incident", None)
        if isinstance(ident, str) and ident not in seen:
            incident = state.incident(ident)
            seen[ident] = incident if incident is not None and sees(who_asks, incident) else None
    unit = state.unit(unit_id)
    personal = unit is not None and may(who_asks, "personal.read", district=unit.district, unit=unit_id)
    sealed = [value for rec in facts if rec.event is not None for value in e.sealed_in(rec.event)]
    opened = core().vault.open(sealed) if personal else {}
    rows: list[dict[str, Any]] = []
    was = units.Unit(id=unit_id)
    begun: dict[str, Any] | None = None
    undone = [rec.event for rec in facts if isinstance(rec.event, e.TakenBack)]
    gone = {one for fact in undone for one in fact.facts}
    for rec in facts:
        taken_back = (rec.cause, rec.cause_index) in gone and rec.event is not None
        counts = replace(rec, event=e.unsaid(rec.event)) if taken_back and rec.event else rec
        now = units.apply(was, counts, unit_id)
        ident = getattr(rec.event, "incident", None)
        incident = seen.get(ident) if isinstance(ident, str) else None
        hidden = isinstance(ident, str) and incident is None
        line = line_of(rec, {} if hidden else opened, words(), "")
        del line["data"]
        changed = (now.status, now.status_us) != (was.status, was.status_us)
        row = {
            **line,
            "status": now.status if changed else None,
            "lasted_s": None,
            "incident": incident.id if incident is not None else None,
            "incident_number": incident.number if incident is not None else None,
            "taken_back": taken_back,
        }
        if changed:
            if begun is not None:
                lasted_us = now.status_us - parse_moment(begun["observed_at"])
                begun["lasted_s"] = round(max(0, lasted_us) / 1e6, 3)
            begun = row
        was = now
        if rec.position in shown:
            rows.append(row)
    return rows[::-1]


def _trail_time(text: str, field: str) -> int:
    try:
        return parse_moment(text)
    except (ValueError, OverflowError) as error:
        raise wrong(field, "bad-time", f"{field}: {error}") from None


@blueprint.post(
    "/units",
    tags=[TAG],
    summary="Bring a unit into service, or set its standing facts anew",
    responses={201: shapes.UnitShape},
)
def post_unit(body: NewUnit) -> tuple[Response, int]:
    require_role("unit.register")
    known = core().picture.now.unit(body.id) is not None
    command = c.RegisterUnit(
        id=request_id(),
        source=source(),
        unit=body.id,
        type=body.type,
        station=body.station,
        district=body.district or core().config.district,
        crew=body.crew,
        crew_id=body.crew_id,
        talkgroup=body.talkgroup,
        base=None if body.base is None else c.Place(body.base.lon, body.base.lat),
        turnout_s=body.turnout_s,
    )
    send(command)
    return jsonify(unit_row(unit_or_404(body.id))), 200 if known else 201


def unit_answer(unit_id: str, cursor: str) -> Response:
    """The row after a change just made, and where the log holds it."""
    found = core().picture.now.unit(unit_id)
    row: dict[str, Any] = {"id": unit_id}
    if found is not None and sees_unit(actor(), found):
        row = unit_row(found)
    return jsonify({**row, "log_position": cursor})


@blueprint.post(
    "/units/<unit_id>/status",
    tags=[TAG],
    summary="A status, pressed by the crew or told by radio",
    responses={200: shapes.ChangedUnitShape},
)
def post_status(path: UnitPath, body: NewStatus) -> Response:
    require_role("unit.status")
    command = c.ReportStatus(
        id=request_id(),
        source=source(),
        observed_us=observed(body.observed_at, "observed_at"),
        unit=path.unit_id,
        status=body.status,
        reason=body.reason,
        hospital=body.hospital,
        ready_us=moment(body.ready_at, "ready_at"),
        force=body.force,
    )
    return unit_answer(path.unit_id, send(command))


@blueprint.post(
    "/units/<unit_id>/flags",
    tags=[TAG],
    summary="Raise or clear a flag, such as crew in danger",
    responses={200: shapes.ChangedUnitShape},
)
def post_flag(path: UnitPath, body: NewFlag) -> Response:
    require_role("unit.flag")
    cursor = send(c.SetFlag(id=request_id(), source=source(), unit=path.unit_id, flag=body.flag, on=body.on))
    return unit_answer(path.unit_id, cursor)


@blueprint.post(
    "/units/<unit_id>/resolve",
    tags=[TAG],
    summary="Say how a contradiction was settled",
    responses={200: shapes.ChangedUnitShape},
)
def resolve_unit_conflict(path: UnitPath, body: Resolution) -> Response:
    require_role("conflict.resolve")
    unit_or_404(path.unit_id)
    cursor = send(
        c.ResolveConflict(
            id=request_id(),
            source=source(),
            subject=f"unit:{path.unit_id}",
            conflict=body.conflict,
            resolution=body.resolution,
        )
    )
    return unit_answer(path.unit_id, cursor)


@blueprint.post(
    "/positions",
    tags=[TAG],
    summary="Positions of units: accepted now, on disk within a second",
    responses={202: shapes.PositionsReceipt},
    openapi_extensions={
        "requestBody": {"content": {"application/json": {"schema": Positions.model_json_schema()}}}
    },
)
def post_positions() -> tuple[Response, int]:
    who_asks = require_role("position.report")
    given = request.get_json()
    if not isinstance(given, list):
        raise Problem(
            422,
            "invalid",
            "The body is an array of positions.",
            errors=[{"field": "body", "message": "array"}],
        )
    if len(given) > POSITIONS_MAX:
        raise Problem(
            413, "too-many-positions", f"{len(given)} positions in one request; {POSITIONS_MAX} are the most."
        )
    parts = core()
    fixes: list[Fix] = []
    at: list[int] = []
    refused: list[dict[str, Any]] = []
    barred: dict[str, str] = {}
    for index, item in enumerate(given):
        try:
            one = _position.validate_python(item)
            observed_us = parse_moment(one.observed_at)
        except (ValueError, OverflowError) as error:
            refused.append({"index": index, **_fault(item, error)})
            continue
        if one.unit not in barred:
            barred[one.unit] = barred_from(who_asks, one.unit)
        if barred[one.unit]:
            refused.append(
                {"index": index, "unit": one.unit, "code": "forbidden", "detail": barred[one.unit]}
            )
            continue
        fixes.append(
            Fix(one.unit, one.lon, one.lat, observed_us, one.speed_mps, one.heading_deg, one.accuracy_m)
        )
        at.append(index)
    receipt = parts.tracks.accept(fixes, who_asks.name, parts.world.clock.now_us())
    refused += [
        {"index": at[r.index], "unit": r.unit, "code": r.code, "detail": r.detail} for r in receipt.refused
    ]
    refused.sort(key=lambda r: r["index"])
    if refused and all(r["code"] == "overloaded" for r in refused) and receipt.accepted == 0:
        raise Problem(503, "overloaded", refused[0]["detail"], retry_after_s=1)
    answer = {
        "accepted": receipt.accepted,
        "late": receipt.late,
        "duplicates": receipt.duplicates,
        "refused": refused,
    }
    return jsonify(answer), 202


def barred_from(who_asks: Actor, unit_id: str) -> str:
    """Why this caller may not report the position of that unit; empty when it may, or nobody knows it."""
    unit = core().picture.now.unit(unit_id)
    if unit is None:
        return ""
    return explain(who_asks, "position.report", district=unit.district, unit=unit.id)


def _fault(item: Any, error: Exception) -> dict[str, Any]:
    """What is wrong with one position of a batch."""
    name = item.get("unit") if isinstance(item, dict) else None
    if not isinstance(error, ValidationError):
        return {"unit": name, "code": "bad-time", "detail": f"observed_at: {error}"}
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in fault["loc"]) or "row"
    code = "bad-coordinates" if field in ("lon", "lat") else "invalid"
    return {
        "unit": name if isinstance(name, str) else None,
        "code": code,
        "detail": f"{field}: {fault['msg']}",
    }
