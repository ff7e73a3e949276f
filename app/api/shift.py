"""The shift: how it goes, and the sheet of paper that goes on when nothing else does."""

from __future__ import annotations

from typing import Literal

from flask import Response, jsonify, request
from flask_openapi3 import Tag
from pydantic import Field

from app import performance, sheet
from app.api import shapes
from app.api.doors import Problem, Strict, actor, blueprint, core, require_role, rows, sees, sees_personal
from app.auth import could, everywhere, may
from app.native import offload
from app.words import pick_language, words_in
from dispatch.incident import Incident

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
