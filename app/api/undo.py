"""Undo: taking back one's own request of a moment ago, and what every write says about that."""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify
from flask_openapi3 import Tag
from pydantic import Field

from app.api import shapes
from app.api.doors import (
    Strict,
    actor,
    blueprint,
    core,
    incident_row,
    pack,
    request_id,
    require_role,
    sees,
    sees_unit,
    send,
    source,
    unit_row,
    words,
)
from app.api.units import UnitPath, unit_answer
from app.rows import rfc3339
from app.submit import Answer
from dispatch import commands as c
from dispatch import events as e

TAG = Tag(name="Undo", description="Taking back a request of a moment ago.")


class UndoBody(Strict):
    command: str = Field(
        min_length=1, max_length=100, description="As the answer to that request gave it in `undo`."
    )


def offered(command: c.Command, answer: Answer) -> dict[str, Any] | None:
    """How, and until when, a request that was just answered can be taken back; None where it cannot."""
    if answer.undo_until_us is None:
        return None
    left_us = answer.undo_until_us - core().world.clock.now_us()
    return {
        "command": command.id,
        "until": rfc3339(answer.undo_until_us),
        "within_s": round(max(0, left_us) / 1e6, 1),
        "what": _named(command),
    }


def offer(response: Response) -> Response:
    """After a request: whatever was changed by it says how it is taken back."""
    if "written" not in g or response.status_code not in (200, 201):
        return response
    undo = offered(*g.written)
    body = response.get_json(silent=True) if undo is not None else None
    if isinstance(body, dict) and "log_position" in body:
        response.set_data(jsonify({**body, "undo": undo}).get_data())
    return response


def _named(command: c.Command) -> str:
    """The request in a few words, such as "F21 -> C1-12"."""
    say, state = words(), core().picture.now
    incident = state.incident(getattr(command, "incident", None) or "")
    args: dict[str, Any] = {
        "number": incident.number if incident is not None else "",
        "unit": getattr(command, "unit", ""),
        "fields": "",
        "level": getattr(command, "level", 0),
        "status": "",
        "post": "",
    }
    if isinstance(command, c.AssignUnits):
        args["unit"] = ", ".join(command.units)
    elif isinstance(command, c.ChangeIncident):
        # In the catalogue a place is called by what the fact has of it.
        names = {"type": "kind"}
        args["fields"] = ", ".join(say.say(f"field-{names.get(n, n)}") for n in sorted(command.changes))
    elif isinstance(command, c.ReportStatus):
        known = pack().statuses.get(command.status)
        args["status"] = known.names[say.language].lower() if known is not None else command.status
    elif isinstance(command, c.MoveUp):
        args["post"] = command.post.label
    key = f"undo-{type(command).__name__}"
    return say.say(key if say.has(key) else "undo-other", args)


@blueprint.post(
    "/undo", tags=[TAG], summary="Take back a request of a moment ago", responses={200: shapes.TakenBackShape}
)
def post_undo(body: UndoBody) -> Response:
    require_role("undo")
    parts = core()
    command = c.Undo(
        id=request_id(), source=source(), command=body.command, within_s=parts.config.undo_s
    )
    cursor = send(command)
    state, who_asks = parts.picture.now, actor()
    taken = [rec.event for rec in state.caused(body.command)]
    fact = _fact(body.command)
    about = fact.about if fact is not None else ()
    named = {kind: [s.partition(":")[2] for s in about if s.startswith(f"{kind}:")] for kind in KINDS}
    incidents = [x for one in named["incident"] if (x := state.incident(one)) and x.reported]
    crews = [y for one in named["unit"] if (y := state.unit(one)) and y.registered]
    return jsonify(
        {
            "command": body.command,
            "told": sorted({unit for unit, *_ in fact.told}) if fact is not None else [],
            "withdrawn": sorted(x.unit for x in taken if isinstance(x, e.UnitRequested)),
            "incidents": [incident_row(x) for x in incidents if sees(who_asks, x)],
            "units": [unit_row(x) for x in crews if sees_unit(who_asks, x)],
            "log_position": cursor,
        }
    )


KINDS = ("incident", "unit")


def _fact(command: str) -> e.TakenBack | None:
    """What was recorded when the request was taken back."""
    state = core().picture.now
    for subject in dict.fromkeys(s for rec in state.caused(command) for s in rec.subjects):
        for rec in state.facts(subject):
            if isinstance(rec.event, e.TakenBack) and rec.event.command == command:
                return rec.event
    return None


@blueprint.post(
    "/units/<unit_id>/cancelled/acknowledge",
    tags=[TAG],
    summary="The crew knows that what it was told is cancelled",
    responses={200: shapes.ChangedUnitShape},
)
def acknowledge_cancelled(path: UnitPath) -> Response:
    require_role("unit.status")
    cursor = send(c.AcknowledgeCancelled(id=request_id(), source=source(), unit=path.unit_id))
    return unit_answer(path.unit_id, cursor)
