"""What is in the way: closed roads, hazard zones, slow zones and floods, drawn on the map or sent by a
program."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import shapely
from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field

from app.api import shapes
from app.api.doors import (
    Problem,
    Strict,
    Uuid,
    actor,
    blueprint,
    core,
    observed,
    paged,
    parse_moment,
    request_id,
    require,
    require_role,
    rows,
    send,
    source,
    wrong,
)
from app.api.incidents import OWN_SOURCES, Location
from app.auth import may
from app.detours import streets_of
from dispatch import commands as c
from dispatch.closure import Closure
from gis.conditions import BadShape, read_shape
from gis.geometry import explain_outside

TAG = Tag(name="Closures", description="What is in the way, and who drives another way because of it.")

Class = Literal["car", "ambulance", "fire_engine", "bus", "foot"]
Name = Annotated[str, Field(max_length=128)]
Reason = Annotated[str, Field(max_length=500)]
Moment = Annotated[str, Field(max_length=40)]
Capability = Annotated[str, Field(max_length=32)]


class ClosurePath(Strict):
    closure_id: str = Field(max_length=64)


class ClosuresQuery(Strict):
    state: Literal["current", "all"] = Field(
        default="current", description="all: those too that ended within the last day."
    )
    limit: int = Field(default=500, ge=1, le=2000)
    after: str | None = Field(default=None, max_length=64)


class ClosureFields(Strict):
    """What one may say of a closure, at first or later."""

    geometry: dict[str, Any] | None = Field(
        default=None, description="GeoJSON Point with radius_m, LineString (with direction) or Polygon."
    )
    classes: list[Class] = Field(default_factory=list, max_length=5)
    begins: Moment | None = Field(default=None, alias="from", description="RFC 3339; none: at once.")
    until: Moment | None = Field(default=None, description="RFC 3339; none: until it is withdrawn.")
    speed_pct: float | None = Field(default=None, ge=0, le=100, allow_inf_nan=False, strict=True)
    entry_capabilities: list[Capability] = Field(default_factory=list, max_length=50)
    staging: Location | None = None
    reason: Reason = ""


class NewClosure(ClosureFields):
    id: Uuid = Field(description="A UUID made by the client: the same one sent twice is one closure.")
    kind: Literal["closure", "hazard", "slow", "flood"]
    geometry: dict[str, Any] = Field(description="GeoJSON Point with radius_m, LineString or Polygon.")
    state: Literal["reported", "confirmed", "ordered"] = "reported"
    unit: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="The crew that saw it, where that is not the asker itself."
    )
    authority: Literal["road_administrator", "police"] | None = None
    ordered_by: Name = ""
    agreed_by: Name = ""
    source: str | None = Field(default=None, pattern=r"^[a-z0-9_-]{1,32}$")
    observed_at: Moment | None = None


class ChangedClosure(ClosureFields):
    pass


class Confirmed(Strict):
    unit: Annotated[str, Field(max_length=32)] | None = None


class Ordered(Strict):
    authority: Literal["road_administrator", "police"]
    ordered_by: Name = ""
    agreed_by: Name = ""


class Withdrawn(Strict):
    reason: Reason


class Erased(Strict):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


# ---- reading


def closure_row(x: Closure) -> dict[str, Any]:
    personal = may(actor(), "personal.read", district=x.district, unit=x.crews)
    return rows().closure(x, streets_of(core(), x), personal=personal)


def closure_or_404(closure_id: str) -> Closure:
    found = core().picture.now.closure(closure_id)
    if found is None or not found.reported:
        raise Problem(404, "unknown-closure", f"There is no closure {closure_id}.")
    return found


@blueprint.get("/closures", tags=[TAG], summary="What is in the way", responses={200: shapes.Closures})
def list_closures(query: ClosuresQuery) -> Response:
    require("closure.read")
    now_us = core().world.clock.now_us()
    found = sorted(
        (x for x in core().picture.now.closures() if query.state == "all" or not x.has_ended(now_us)),
        key=lambda x: x.id,
    )
    if query.after is not None:
        found = [x for x in found if x.id > query.after]
    page = found[: query.limit]
    more = page[-1].id if len(found) > query.limit else None
    return paged([closure_row(x) for x in page], more)


@blueprint.get(
    "/closures/<closure_id>", tags=[TAG], summary="One closure", responses={200: shapes.ClosureShape}
)
def get_closure(path: ClosurePath) -> Response:
    require("closure.read")
    return jsonify(closure_row(closure_or_404(path.closure_id)))


# ---- changing


def _moment(text: str | None, field: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_moment(text)
    except (ValueError, OverflowError) as error:
        raise wrong(field, "bad-time", f"{field}: {error}") from None


def _drawn(geometry: dict[str, Any], staging: Location | None) -> dict[str, Any]:
    """The geometry as it is kept, after a look at whether it can be one. Raises Problem naming the field."""
    city = core().city
    box = None if city is None else city.info.bbox
    try:
        shape = read_shape(geometry, box)
    except BadShape as fault:
        raise wrong(fault.field, fault.code, str(fault)) from None
    known = {"type", "coordinates", "radius_m", "direction"}
    for name in geometry:
        if name not in known:
            raise wrong(f"geometry.{name}", "unknown-field", f"A geometry here has no {name!r}.")
    if geometry.get("direction", "both") not in ("both", "along"):
        raise wrong("geometry.direction", "invalid", "direction is both or along.")
    if staging is not None:
        if box is not None and explain_outside(staging.lon, staging.lat, box) is not None:
            raise wrong("staging", "outside-city-outside", "The staging point lies outside the city.")
        if shape.contains(shapely.Point(staging.lon, staging.lat)):
            raise wrong("staging", "staging-inside", "The staging point lies inside the zone itself.")
    return {name: value for name, value in geometry.items() if name in known}


def _share(speed_pct: float | None) -> float | None:
    return None if speed_pct is None else speed_pct / 100


def _staging(given: Location | None) -> tuple[float, float] | None:
    return None if given is None else (given.lon, given.lat)


def _fresh(closure_id: str, cursor: str) -> Response:
    return jsonify({**closure_row(closure_or_404(closure_id)), "log_position": cursor})


@blueprint.post(
    "/closures",
    tags=[TAG],
    summary="Report something in the way",
    responses={201: shapes.ChangedClosureShape},
)
def post_closure(body: NewClosure) -> tuple[Response, int]:
    require_role("closure.report")
    if body.source in OWN_SOURCES and body.source != source():
        raise wrong("source", "reserved-source", f"{body.source} is a part of this station itself.")
    command = c.ReportClosure(
        id=body.id,
        source=body.source or source(),
        observed_us=observed(body.observed_at, "observed_at"),
        closure=body.id,
        kind=body.kind,
        geometry=_drawn(body.geometry, body.staging),
        classes=tuple(body.classes),
        from_us=_moment(body.begins, "from"),
        until_us=_moment(body.until, "until"),
        speed_share=_share(body.speed_pct),
        entry=tuple(body.entry_capabilities),
        staging=_staging(body.staging),
        reason=body.reason,
        unit=body.unit,
        state=body.state,
        authority=body.authority or "",
        ordered_by=body.ordered_by,
        agreed_by=body.agreed_by,
    )
    return _fresh(body.id, send(command)), 201


@blueprint.patch(
    "/closures/<closure_id>",
    tags=[TAG],
    summary="Change where, when or for whom it is",
    responses={200: shapes.ChangedClosureShape},
)
def patch_closure(path: ClosurePath, body: ChangedClosure) -> Response:
    require_role("closure.edit")
    was = closure_or_404(path.closure_id)
    given = body.model_fields_set
    changes: dict[str, Any] = {}
    if "geometry" in given or "staging" in given:
        if "geometry" in given and body.geometry is None:
            raise wrong("geometry", "invalid", "geometry cannot be emptied.")
        staging = body.staging
        if "staging" not in given and was.staging is not None:
            staging = Location(lon=was.staging[0], lat=was.staging[1])
        drawn = _drawn(_listed(body.geometry if body.geometry is not None else was.geometry), staging)
        if "geometry" in given:
            changes["geometry"] = drawn
    if "staging" in given:
        changes["staging"] = _staging(body.staging)
    if "classes" in given:
        changes["classes"] = tuple(body.classes)
    if "begins" in given:
        changes["from_us"] = _moment(body.begins, "from")
    if "until" in given:
        changes["until_us"] = _moment(body.until, "until")
    if "speed_pct" in given:
        changes["speed_share"] = _share(body.speed_pct)
    if "entry_capabilities" in given:
        changes["entry"] = tuple(body.entry_capabilities)
    if "reason" in given:
        changes["reason"] = body.reason
    if not changes:
        raise Problem(
            422, "empty", "Name at least one field to change.", errors=[{"field": "body", "message": "empty"}]
        )
    command = c.ChangeClosure(id=request_id(), source=source(), closure=was.id, changes=changes)
    return _fresh(was.id, send(command))


def _listed(value: Any) -> Any:
    """A geometry from the log as one from a request: lists for tuples."""
    if isinstance(value, tuple):
        return [_listed(item) for item in value]
    return {key: _listed(item) for key, item in value.items()} if hasattr(value, "items") else value


@blueprint.post(
    "/closures/<closure_id>/confirm",
    tags=[TAG],
    summary="A crew has seen it",
    responses={200: shapes.ChangedClosureShape},
)
def confirm_closure(path: ClosurePath, body: Confirmed) -> Response:
    require_role("closure.confirm")
    closure_or_404(path.closure_id)
    command = c.ConfirmClosure(id=request_id(), source=source(), closure=path.closure_id, unit=body.unit)
    return _fresh(path.closure_id, send(command))


@blueprint.post(
    "/closures/<closure_id>/order",
    tags=[TAG],
    summary="Somebody with the power to close a road has done so",
    responses={200: shapes.ChangedClosureShape},
)
def order_closure(path: ClosurePath, body: Ordered) -> Response:
    require_role("closure.order")
    closure_or_404(path.closure_id)
    command = c.OrderClosure(
        id=request_id(),
        source=source(),
        closure=path.closure_id,
        authority=body.authority,
        ordered_by=body.ordered_by,
        agreed_by=body.agreed_by,
    )
    return _fresh(path.closure_id, send(command))


@blueprint.post(
    "/closures/<closure_id>/withdraw",
    tags=[TAG],
    summary="It is over, or never was",
    responses={200: shapes.ChangedClosureShape},
)
def withdraw_closure(path: ClosurePath, body: Withdrawn) -> Response:
    require_role("closure.withdraw")
    closure_or_404(path.closure_id)
    command = c.WithdrawClosure(id=request_id(), source=source(), closure=path.closure_id, reason=body.reason)
    return _fresh(path.closure_id, send(command))


@blueprint.post(
    "/closures/<closure_id>/erase",
    tags=[TAG],
    summary="Destroy its free text for good",
    responses={200: shapes.ChangedClosureShape},
)
def erase_closure(path: ClosurePath, body: Erased) -> Response:
    require_role("personal.erase")
    closure_or_404(path.closure_id)
    command = c.EraseClosure(id=request_id(), source=source(), closure=path.closure_id, reason=body.reason)
    return _fresh(path.closure_id, send(command))
