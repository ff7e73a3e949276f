"""The log, read by programs."""

from __future__ import annotations

import json
from typing import Any

from flask import Response
from flask_openapi3 import Tag
from pydantic import Field

from app.api import shapes
from app.api.doors import Problem, Strict, blueprint, core, paged, require_role, sees, sees_unit
from app.auth import may
from app.log import Envelope
from app.rows import rfc3339
from dispatch.commands import Actor

TAG = Tag(name="Log", description="Every fact, in the order in which this node learned it.")


class EventsQuery(Strict):
    after: str | None = Field(
        default=None, max_length=200, description="Opaque cursor; none: from the start."
    )
    limit: int = Field(default=200, ge=1, le=1000)


@blueprint.get("/events", tags=[TAG], summary="Facts after a cursor", responses={200: shapes.Events})
def list_events(query: EventsQuery) -> Response:
    who_asks = require_role("event.read")
    log = core().log
    after = 0
    if query.after is not None:
        position = log.position_of(query.after)
        if position is None:
            raise Problem(
                409,
                "cursor-unknown",
                "The cursor belongs to another incarnation of this log; start again without one.",
                errors=[{"field": "after", "message": "unknown cursor"}],
            )
        after = position
    found = log.read(after, query.limit)
    items = [_row(x) for x in found if _may_see(who_asks, x)]
    next_cursor = log.cursor(found[-1].position) if found else None
    answer = paged(items, next_cursor if len(found) == query.limit else None)
    answer.headers["Straja-Cursor"] = next_cursor or log.cursor(after)
    return answer


def _may_see(who_asks: Actor, envelope: Envelope) -> bool:
    """What happened in an incident is for those who see the incident, whoever sees its units; the rest for
    those who see one of the units it is about."""
    if "*" in who_asks.districts and who_asks.unit is None:
        return True
    state = core().picture.now
    about = [subject.partition(":")[::2] for subject in json.loads(envelope.subjects)]
    incidents = [state.incident(ident) for kind, ident in about if kind == "incident"]
    if incidents:
        return all(x is not None and sees(who_asks, x) for x in incidents)
    proposals = [state.proposal(ident) for kind, ident in about if kind == "proposal"]
    if proposals:
        return all(x is not None and may(who_asks, "proposal.read", district=x.district) for x in proposals)
    calls = [state.call(ident) for kind, ident in about if kind == "call"]
    if calls:
        return all(x is not None and may(who_asks, "call.read", district=x.district) for x in calls)
    premises = [state.premise(ident) for kind, ident in about if kind == "premise"]
    if premises:
        return all(x is not None and may(who_asks, "premise.read", district=x.district) for x in premises)
    alarms = [state.alarm(ident) for kind, ident in about if kind == "alarm"]
    if alarms:
        return all(x is not None and may(who_asks, "alarm.read", district=x.district) for x in alarms)
    if any(kind == "closure" for kind, _ in about):
        return may(who_asks, "closure.read")
    units = [state.unit(ident) for kind, ident in about if kind == "unit"]
    return any(x is not None and sees_unit(who_asks, x) for x in units)


def _row(x: Envelope) -> dict[str, Any]:
    data = json.loads(x.data)
    origin = data.pop("$source", "")
    return {
        "position": core().log.cursor(x.position),
        "origin": x.origin,
        "seq": x.seq,
        "lamport": x.lamport,
        "recorded_at": rfc3339(x.recorded_at),
        "observed_at": rfc3339(x.observed_at),
        "received_at": rfc3339(x.received_at),
        "type": x.type,
        "version": x.version,
        "subjects": json.loads(x.subjects),
        "data": data,
        "source": origin,
        "cause": x.cause,
        "cause_index": x.cause_index,
        "actor": x.actor,
        "epoch": x.epoch,
        "prev_hash": x.prev_hash,
        "hash": x.hash,
    }
