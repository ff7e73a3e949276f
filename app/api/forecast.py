"""What calls are to be expected, and how far that is to be believed."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field

from app.api import shapes
from app.api.doors import Strict, blueprint, core, moment, require
from app.rows import rfc3339

TAG = Tag(name="Forecast", description="Expected calls by hour, with their error on weeks not yet seen.")


class ForecastQuery(Strict):
    at: str | None = Field(
        default=None, max_length=40, description="RFC 3339; the hour asked about. Default: now."
    )


@blueprint.get("/forecast", tags=[TAG], summary="Expected calls", responses={200: shapes.ExpectedCalls})
def get_forecast(query: ForecastQuery) -> Response:
    require("forecast.read")
    parts = core()
    asked_us = moment(query.at, "at")
    hour = parts.speeds.hour(asked_us)
    found, city = parts.forecast.latest, parts.city
    # A rate takes a whole week: of an hour or two it would be nobody's expectation.
    learnt = found if found is not None and found.about["weeks"] > 0 else None
    row = {
        "city": None if city is None else city.info.name,
        "hour_of_week": hour,
        "in_use": found is not None and found.in_use,
        "why": "nothing is learnt yet" if found is None else str(found.about["why"]),
        "trouble": parts.forecast.trouble,
        "made_at": None if found is None else rfc3339(found.about["made_at_us"]),
        "calls": 0 if found is None else found.about["calls"],
        "weeks": 0 if found is None else found.about["weeks"],
        "flat_per_hour": None if learnt is None else round(learnt.about["flat_per_hour"], 4),
        "expected_per_hour": None if learnt is None else round(float(learnt.hourly[hour]), 4),
        "hours": None if learnt is None else [round(float(value), 4) for value in learnt.hourly],
        "held_out": None if found is None else found.about.get("held_out"),
    }
    return jsonify(row)
