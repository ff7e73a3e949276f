"""Calls: what the telephone system says of them, who speaks with whom, which incidents they are about; and
which incidents may be one and the same."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from flask import Response, jsonify, request
from flask_openapi3 import Tag
from pydantic import Field, RootModel

from app.api.doors import (
    EraseReason,
    Problem,
    Strict,
    Uuid,
    actor,
    blueprint,
    core,
    fresh_incident,
    incident_or_404,
    observed,
    request_id,
    require_role,
    rows,
    sees,
    sees_personal,
    send,
    source,
    words,
    wrong,
)
from app.api.incidents import OWN_SOURCES, IncidentPath, Location, Short
from app.api.shapes import ChangedIncidentShape, Shape, Time, UndoShape
from app.auth import may
from dispatch import commands as c
from dispatch import similar
from dispatch.call import NUMBER_MAX, RADIUS_MAX_M, RECORDING_MAX, WHYS, Call
from dispatch.commands import Actor
from dispatch.events import Sealed
from dispatch.incident import Incident

TAG = Tag(name="Calls", description="Who rings, who answers, and what comes of it.")
NAMES = uuid.UUID("6f1b6a52-2a35-4a86-9c58-52f6b8e6a1c4")
"""Under which the same word of a telephone system is the same request."""
LATELY_CLOSED_US = 1_800_000_000
"""How long after its end an incident may still be what somebody tells of."""


class CallPath(Strict):
    call_id: str = Field(max_length=64)


class CallIncidentPath(Strict):
    call_id: str = Field(max_length=64)
    incident_id: str = Field(max_length=64)


class IncidentOtherPath(Strict):
    incident_id: str = Field(max_length=64)
    other_id: str = Field(max_length=64)


class CallsQuery(Strict):
    state: Literal["open", "all"] = Field(
        default="open", description="open: something is still to be done; all: of the last day."
    )
    limit: int = Field(default=200, ge=1, le=1000)


class Spot(Location):
    radius_m: float | None = Field(
        default=None, ge=0, le=RADIUS_MAX_M, allow_inf_nan=False, strict=True,
        description="How far off the telephone may be.",
    )  # fmt: skip


class NewCall(Strict):
    id: Uuid = Field(description="A UUID made by the telephone system: the same for all it says of a call.")
    state: Literal["ringing", "answered", "abandoned", "ended"] = "ringing"
    number: Annotated[str, Field(max_length=NUMBER_MAX)] = ""
    line: Annotated[str, Field(max_length=64)] = Field(default="", description="Which line, such as 112.")
    recording: Annotated[str, Field(max_length=RECORDING_MAX)] = Field(
        default="", description="Where to find it."
    )
    location: Spot | None = None
    agent: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Login of who answered, where the telephone system knows it."
    )
    at: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="RFC 3339: when that was so."
    )
    source: str | None = Field(default=None, pattern=r"^[a-z0-9_-]{1,32}$")


class About(Strict):
    incident: str = Field(max_length=64)


class RangBack(Strict):
    reached: bool = Field(strict=True)
    note: Short = ""


class Ended(Strict):
    why: Literal[WHYS]  # type: ignore[valid-type]
    note: Short = ""


class NewLink(Strict):
    other: str = Field(max_length=64, description="The other incident; of a duplicate the one to work on.")
    kind: Literal["duplicate", "related"]


class Told(Strict):
    answers: dict[Annotated[str, Field(max_length=32)], Annotated[str, Field(max_length=32)]] = Field(
        default_factory=dict, max_length=50, description="Question -> answer, by the codes of the pack."
    )
    priority: Literal["P1", "P2", "P3", "P4"] | None = Field(
        default=None, description="In place of the one that follows from the answers."
    )


class SimilarQuery(Strict):
    incident: str | None = Field(default=None, max_length=64, description="Similar to this one.")
    lon: float | None = Field(default=None, ge=-180, le=180, allow_inf_nan=False)
    lat: float | None = Field(default=None, ge=-90, le=90, allow_inf_nan=False)
    radius_m: float = Field(default=0, ge=0, le=RADIUS_MAX_M, allow_inf_nan=False)
    type: str | None = Field(default=None, max_length=32)
    phone: str = Field(default="", max_length=NUMBER_MAX)
    at: str | None = Field(default=None, max_length=40, description="RFC 3339; none: now.")
    limit: int = Field(default=5, ge=1, le=20)


# ---- what is answered


class SpotShape(Shape):
    lon: float
    lat: float
    radius_m: float | None


class CallShape(Shape):
    """`needs`: what somebody has still to do about it."""

    id: str
    state: Literal["ringing", "answered", "ended", "abandoned", "called_back", "closed"]
    needs: Literal["answer", "record", "call_back"] | None
    line: str | None
    number: str | None
    recording: str | None
    location: SpotShape | None
    source: str
    received_at: Time
    answered_at: Time | None
    answered_by: str | None
    abandoned_at: Time | None
    ended_at: Time | None
    incidents: list[str]
    tries: int
    tried_at: Time | None
    tried_by: str | None
    reached_at: Time | None
    closed_at: Time | None
    closed_by: str | None
    why: str | None
    note: str | None
    personal_data: Literal["kept", "erased"]
    upgrade_needed: bool
    district: str
    station: str
    rev: int


class ChangedCallShape(CallShape):
    log_position: str
    undo: UndoShape | None = None


class Calls(RootModel[list[CallShape]]):
    pass


class ReasonShape(Shape):
    code: Literal["same_place", "near", "same_kind", "akin", "same_number"]
    words: str


class SimilarShape(Shape):
    """`score_pct`: how much it looks like the same; `probable`: enough to say so."""

    incident: str
    number: str
    type: str
    priority: str
    state: Literal["open", "closed"]
    address: str | None
    reported_at: Time
    duplicate_of: str | None
    lon: float
    lat: float
    distance_m: int
    score_pct: int
    probable: bool
    reasons: list[ReasonShape]


class Similars(RootModel[list[SimilarShape]]):
    pass


# ---- calls


def _sees_call(who_asks: Actor, x: Call) -> bool:
    return may(who_asks, "call.read", district=x.district)


def _call_or_404(call_id: str) -> Call:
    require_role("call.read")
    found = core().picture.now.call(call_id)
    if found is None or not found.received or not _sees_call(actor(), found):
        raise Problem(404, "unknown-call", f"There is no call {call_id}.")
    return found


def _fresh(call_id: str, cursor: str) -> Response:
    found = core().picture.now.call(call_id)
    if found is None:
        raise Problem(404, "unknown-call", f"There is no call {call_id}.")
    row = rows().call(found) if _sees_call(actor(), found) else {"id": found.id, "state": found.state}
    return jsonify({**row, "log_position": cursor})


@blueprint.get("/calls", tags=[TAG], summary="Calls, the oldest first", responses={200: Calls})
def list_calls(query: CallsQuery) -> Response:
    who_asks = require_role("call.read")
    found = [x for x in core().picture.now.calls() if query.state == "all" or x.needs is not None]
    found = [x for x in found if _sees_call(who_asks, x)]
    found.sort(key=lambda x: (x.received_us, x.id))
    # Of too many the newest: who rings now is still there.
    return jsonify(rows().calls(found[-query.limit :]))


@blueprint.get("/calls/<call_id>", tags=[TAG], summary="One call", responses={200: CallShape})
def get_call(path: CallPath) -> Response:
    return jsonify(rows().call(_call_or_404(path.call_id)))


@blueprint.post(
    "/calls",
    tags=[TAG],
    summary="What the telephone system says of a call",
    responses={201: ChangedCallShape},
)
def post_call(body: NewCall) -> tuple[Response, int]:
    require_role("call.report")
    if body.source in OWN_SOURCES and body.source != source():
        raise wrong("source", "reserved-source", f"{body.source} is a part of this station itself.")
    try:
        at_us = observed(body.at, "at")
    except Problem as fault:
        if fault.code != "time-in-future":
            raise
        # A call is not turned away because a clock is fast: it rings now.
        at_us = None
    said = hashlib.sha256(request.get_data()).hexdigest()
    command = c.ReportCall(
        id=request_id() if "Idempotency-Key" in request.headers else str(uuid.uuid5(NAMES, body.id + said)),
        source=body.source or source(),
        observed_us=at_us,
        call=body.id,
        state=body.state,
        number=body.number,
        line=body.line,
        recording=body.recording,
        place=None if body.location is None else (body.location.lon, body.location.lat),
        radius_m=None if body.location is None else body.location.radius_m,
        agent=body.agent,
    )
    return _fresh(body.id, send(command)), 201


@blueprint.post(
    "/calls/<call_id>/answer",
    tags=[TAG],
    summary="I speak with the caller",
    responses={200: ChangedCallShape},
)
def answer_call(path: CallPath) -> Response:
    _call_or_404(path.call_id)
    return _fresh(path.call_id, send(c.AnswerCall(id=request_id(), source=source(), call=path.call_id)))


@blueprint.post(
    "/calls/<call_id>/incidents",
    tags=[TAG],
    summary="It is about this incident",
    responses={200: ChangedCallShape},
)
def link_call(path: CallPath, body: About) -> Response:
    _call_or_404(path.call_id)
    command = c.LinkCall(id=request_id(), source=source(), call=path.call_id, incident=body.incident)
    return _fresh(path.call_id, send(command))


@blueprint.delete(
    "/calls/<call_id>/incidents/<incident_id>",
    tags=[TAG],
    summary="It is not about that incident after all",
    responses={200: ChangedCallShape},
)
def unlink_call(path: CallIncidentPath) -> Response:
    _call_or_404(path.call_id)
    command = c.UnlinkCall(id=request_id(), source=source(), call=path.call_id, incident=path.incident_id)
    return _fresh(path.call_id, send(command))


@blueprint.post(
    "/calls/<call_id>/back",
    tags=[TAG],
    summary="Somebody called back",
    responses={200: ChangedCallShape},
)
def call_back(path: CallPath, body: RangBack) -> Response:
    _call_or_404(path.call_id)
    command = c.CallBack(
        id=request_id(), source=source(), call=path.call_id, reached=body.reached, note=body.note
    )
    return _fresh(path.call_id, send(command))


@blueprint.post(
    "/calls/<call_id>/close",
    tags=[TAG],
    summary="Nothing is to be done about it, and why",
    responses={200: ChangedCallShape},
)
def close_call(path: CallPath, body: Ended) -> Response:
    _call_or_404(path.call_id)
    command = c.CloseCall(id=request_id(), source=source(), call=path.call_id, why=body.why, note=body.note)
    return _fresh(path.call_id, send(command))


@blueprint.post(
    "/calls/<call_id>/erase",
    tags=[TAG],
    summary="Destroy its personal data for good",
    responses={200: ChangedCallShape},
)
def erase_call(path: CallPath, body: EraseReason) -> Response:
    require_role("personal.erase")
    _call_or_404(path.call_id)
    command = c.EraseCall(id=request_id(), source=source(), call=path.call_id, reason=body.reason)
    return _fresh(path.call_id, send(command))


# ---- one and the same


def _changed(incident_id: str, command: c.Command) -> Response:
    cursor = send(command)
    return jsonify({**fresh_incident(incident_id), "log_position": cursor})


@blueprint.post(
    "/incidents/<incident_id>/links",
    tags=[TAG],
    summary="It is the same as another one, or has to do with it",
    responses={200: ChangedIncidentShape},
)
def link_incident(path: IncidentPath, body: NewLink) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path.incident_id,
        c.LinkIncidents(
            id=request_id(), source=source(), incident=path.incident_id, other=body.other, kind=body.kind
        ),
    )


@blueprint.delete(
    "/incidents/<incident_id>/links/<other_id>",
    tags=[TAG],
    summary="It has nothing to do with it after all",
    responses={200: ChangedIncidentShape},
)
def unlink_incident(path: IncidentOtherPath) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path.incident_id,
        c.UnlinkIncidents(
            id=request_id(), source=source(), incident=path.incident_id, other=path.other_id
        ),
    )


@blueprint.post(
    "/incidents/<incident_id>/protocol",
    tags=[TAG],
    summary="What the caller said to the questions of the pack",
    responses={200: ChangedIncidentShape},
)
def answer_protocol(path: IncidentPath, body: Told) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path.incident_id,
        c.AnswerProtocol(
            id=request_id(),
            source=source(),
            incident=path.incident_id,
            answers=body.answers,
            priority=body.priority,
        ),
    )


@blueprint.get(
    "/incidents/similar",
    tags=[TAG],
    summary="Incidents that may be the one that is being told of",
    responses={200: Similars},
)
def similar_incidents(query: SimilarQuery) -> Response:
    who_asks = require_role("incident.link")
    told, itself = _told(query)
    known = {x.id: x for x in _candidates(who_asks) if x.id != itself}
    found = similar.find(told, _known(known.values(), told), core().pack)
    say = words()
    listed = []
    for one in found[: query.limit]:
        x = known[one.id]
        row = rows().incident(x, personal=sees_personal(who_asks, x))
        listed.append(
            {
                **{k: row[k] for k in ("number", "type", "priority", "state", "address", "reported_at")},
                **{k: row[k] for k in ("duplicate_of", "lon", "lat")},
                "incident": x.id,
                "distance_m": round(one.distance_m),
                "score_pct": round(100 * one.score),
                "probable": one.probable,
                "reasons": [
                    {"code": code, "words": say.say(f"similar-{code}", {"metres": round(one.distance_m)})}
                    for code in one.reasons
                ],
            }
        )
    return jsonify(listed)


def _told(query: SimilarQuery) -> tuple[similar.Told, str | None]:
    at_us = observed(query.at, "at") or core().world.clock.now_us()
    phone = similar.digits(query.phone)
    if query.incident is not None:
        x = incident_or_404(query.incident)
        lon, lat, exact = rows().place_of(x)
        known = next(_known([x], None))
        off = 0.0 if exact else similar.COARSE_M
        return similar.Told(lon, lat, x.reported_us, x.type, known.phone, off), x.id
    if query.lon is None or query.lat is None:
        missing = "lon" if query.lon is None else "lat"
        raise wrong(missing, "no-place", "Give lon and lat, or the incident.")
    return similar.Told(query.lon, query.lat, at_us, query.type or None, phone, query.radius_m), None


def _candidates(who_asks: Actor) -> Iterator[Incident]:
    since_us = core().world.clock.now_us() - LATELY_CLOSED_US
    for x in core().picture.now.incidents():
        if (x.open or (x.closed_us or 0) > since_us) and x.coarse is not None and sees(who_asks, x):
            yield x


def _known(incidents: Any, told: similar.Told | None) -> Iterator[similar.Known]:
    """Those incidents as they are compared. Exact places are opened only where the rounded one is not too far
    away already, telephone numbers only where there is one to compare."""
    near_deg = None if told is None else (similar.FAR_REACH_M + told.radius_m + 200) / 55_000
    listed = [
        (x, told is None or _is_near(x, told, near_deg or 0.0))
        for x in incidents
        if told is None or told.phone or _is_near(x, told, near_deg or 0.0)
    ]
    with_phones = told is None or bool(told.phone)
    secrets = [x.place for x, near in listed if near and isinstance(x.place, Sealed)]
    if with_phones:
        secrets += [x.caller for x, _ in listed if isinstance(x.caller, Sealed)]
    opened = core().vault.open(secrets)
    for x, _ in listed:
        place = opened.get(x.place.id) if isinstance(x.place, Sealed) else None
        caller = (opened.get(x.caller.id) if isinstance(x.caller, Sealed) else None) or {}
        lon, lat = (place["lon"], place["lat"]) if place else (x.coarse or (0.0, 0.0))
        phone = similar.digits(caller.get("phone", "")) if with_phones else ""
        yield similar.Known(x.id, lon, lat, x.reported_us, x.type, phone, place is not None)


def _is_near(x: Incident, told: similar.Told, near_deg: float) -> bool:
    lon, lat = x.coarse or (0.0, 0.0)
    # A degree of longitude is shorter than one of latitude: at 60 degrees by half.
    return abs(lat - told.lat) < near_deg and abs(lon - told.lon) < near_deg


