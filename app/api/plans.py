"""Plans that are only looked at: a batch of incidents, and what a choice would do."""

from __future__ import annotations

from typing import Annotated

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field

from app import planning, ways
from app.api import shapes
from app.api.doors import (
    Problem,
    Strict,
    blueprint,
    core,
    incident_or_404,
    pack,
    require,
    require_role,
    rows,
    words,
    wrong,
)
from app.api.incidents import TAG as INCIDENTS
from app.api.incidents import IncidentPath
from app.native import offload

TAG = Tag(name="Plans", description="Plans that are only looked at; sending stays an order of its own.")

WAYS_MAX = 10
"""Of so many units, besides the crews on their way, the way is drawn at once."""

Id = Annotated[str, Field(min_length=1, max_length=64)]


class Batch(Strict):
    incidents: list[Id] = Field(min_length=1, max_length=planning.INCIDENTS_MAX)


class WaysQuery(Strict):
    units: str = Field(
        default="", max_length=500, description="Units beside the crews that are on their way, with commas."
    )


class Choice(Strict):
    units: list[Annotated[str, Field(min_length=1, max_length=32)]] = Field(min_length=1, max_length=100)


@blueprint.post(
    "/assignments/plan",
    tags=[TAG],
    summary="The best plan for many incidents together; sends nobody",
    responses={200: shapes.BatchPlanShape},
)
def post_plan(body: Batch) -> Response:
    require_role("incident.recommendation")
    if len(set(body.incidents)) != len(body.incidents):
        raise wrong("incidents", "incident-named-twice", "An incident is named twice.")
    found = []
    for i, incident_id in enumerate(body.incidents):
        try:
            one = incident_or_404(incident_id)
        except Problem:
            detail = f"There is no incident {incident_id}."
            raise wrong(f"incidents[{i}]", "unknown-incident", detail) from None
        require("incident.recommendation", district=one.district, unit=[a.unit for a in one.active()])
        if not one.open:
            raise wrong(f"incidents[{i}]", "incident-closed", f"Incident {one.number} is closed.")
        found.append(one)
    parts, row_builder = core(), rows()
    planned = offload(lambda: planning.plan(parts, row_builder, found))
    return jsonify(planning.plan_as_json(planned, pack(), words()))


@blueprint.post(
    "/incidents/<incident_id>/what-if",
    tags=[INCIDENTS],
    summary="What sending these units would mean; sends nobody",
    responses={200: shapes.WhatIfShape},
)
def post_what_if(path: IncidentPath, body: Choice) -> Response:
    incident = incident_or_404(path.incident_id)
    require("incident.recommendation", district=incident.district, unit=[a.unit for a in incident.active()])
    if not incident.open:
        raise Problem(409, "incident-closed", f"Incident {incident.number} is closed.")
    parts, row_builder = core(), rows()
    for i, unit_id in enumerate(body.units):
        unit = parts.picture.now.unit(unit_id)
        if unit is None or not unit.registered:
            raise wrong(f"units[{i}]", "unknown-unit", f"There is no unit {unit_id!r}.")
    found = offload(lambda: planning.what_if(parts, row_builder, incident, body.units))
    return jsonify(planning.what_if_as_json(found, pack(), words(), parts.coverage.zone_name))


@blueprint.get(
    "/incidents/<incident_id>/ways",
    tags=[INCIDENTS],
    summary="The ways of the crews that are on their way, and of units that might be sent, as GeoJSON",
    responses={200: shapes.WaysShape},
)
def get_ways(path: IncidentPath, query: WaysQuery) -> Response:
    incident = incident_or_404(path.incident_id)
    require("incident.recommendation", district=incident.district, unit=[a.unit for a in incident.active()])
    units = list(dict.fromkeys(part.strip() for part in query.units.split(",") if part.strip()))
    if len(units) > WAYS_MAX:
        raise wrong("units", "too-many-units", f"At most {WAYS_MAX} units can be named at once.")
    parts, row_builder = core(), rows()
    for name in units:
        unit = parts.picture.now.unit(name)
        if unit is None or not unit.registered:
            raise wrong("units", "unknown-unit", f"There is no unit {name!r}.", unit=name)
    return jsonify(ways.as_json(offload(lambda: ways.compute(parts, row_builder, incident, units))))
