"""Incidents: taking a call, changing it, sending units, closing it."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from typing import Annotated, Any, Literal

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Discriminator, Field, model_validator
from pydantic import Tag as PydanticTag
from pydantic_core import PydanticCustomError
from sqlalchemy import select

from app import demo, recommendation
from app.api import shapes
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
    incident_row,
    observed,
    pack,
    paged,
    remember_offer,
    request_id,
    require,
    require_role,
    rows,
    sees,
    sees_personal,
    send,
    source,
    words,
    wrong,
)
from app.log import subject_facts
from app.native import offload
from app.picture import folded
from app.rows import rfc3339
from app.tables import incident_index
from app.words import Words
from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import who
from dispatch.incident import Incident
from gis.address import Place, parse_parts
from gis.geometry import explain_outside, metres_between

TAG = Tag(name="Incidents", description="Calls and what was done about them.")
OUTSIDE_MARGIN_M = 20_000
"""How far outside the imported streets an incident may lie: a city helps its neighbours."""
ONE_SPOT_M = 100
"""How far apart the hits for one address may lie and still be one place to drive to."""
CANDIDATES_MAX = 8
OWN_SOURCES = ("console", "keeper", "recommendation", demo.SOURCE)
"""What the station's own parts and its demo sign with; no program outside may."""

Text = Annotated[str, Field(max_length=20_000)]
Short = Annotated[str, Field(max_length=500)]


class IncidentPath(Strict):
    incident_id: str = Field(max_length=64)


class IncidentUnitPath(Strict):
    incident_id: str = Field(max_length=64)
    unit_id: str = Field(max_length=32)


class Location(Strict):
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False, strict=True)
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False, strict=True)


class AddressParts(Strict):
    """The parts of an address that a caller gives; none is needed."""

    street: Short | None = None
    number: Short | None = None
    block: Short | None = None
    staircase: Short | None = None
    floor: Short | None = None
    apartment: Short | None = None
    intercom: Short | None = None
    district: Short | None = None
    city: Short | None = None
    landmark: Short | None = None
    crossing: Short | None = None
    road: Short | None = None
    road_km: Short | None = None

    def given(self) -> dict[str, str]:
        return {name: value for name, value in self.model_dump().items() if value}


Address = Annotated[
    Annotated[Short, PydanticTag("(words)")] | Annotated[AddressParts, PydanticTag("(parts)")],
    Discriminator(lambda given: "(words)" if isinstance(given, str) else "(parts)"),
]
"""An address as one text, or part by part."""


class Caller(Strict):
    name: Annotated[str, Field(max_length=200)] | None = None
    phone: Annotated[str, Field(max_length=50)] | None = None


class CaseNumber(Strict):
    agency: str = Field(max_length=32)
    number: str = Field(min_length=1, max_length=64)


class NewIncident(Strict):
    id: Uuid = Field(description="A UUID made by the client: the same call sent twice is one incident.")
    type: str = Field(max_length=32)
    priority: Literal["P1", "P2", "P3", "P4"] | None = None
    medical_code: str | None = Field(default=None, max_length=32)
    location: Location | None = None
    address: Address | None = None
    description: Text = ""
    caller: (
        Annotated[
            Annotated[Caller, PydanticTag("(parts)")]
            | Annotated[str, Field(max_length=200), PydanticTag("(words)")],
            Discriminator(lambda given: "(words)" if isinstance(given, str) else "(parts)"),
        ]
        | None
    ) = Field(default=None, description="{name, phone}, or one text: a number is taken as the telephone.")
    case_numbers: list[CaseNumber] = Field(default_factory=list, max_length=20)
    source: str | None = Field(
        default=None, pattern=r"^[a-z0-9_-]{1,32}$", description="Where the call came from, such as 112."
    )
    observed_at: str | None = Field(default=None, description="RFC 3339: when it happened.")
    answers: dict[Annotated[str, Field(max_length=32)], Annotated[str, Field(max_length=32)]] = Field(
        default_factory=dict,
        max_length=50,
        description="What the caller said to the questions of the pack, by code.",
    )
    call: str | None = Field(default=None, max_length=64, description="The call that it was told by.")

    @model_validator(mode="after")
    def _somewhere(self) -> NewIncident:
        if self.location is None and not self.address:
            raise PydanticCustomError("no_place", "give location or address, or both")
        return self


class ChangedIncident(Strict):
    type: str | None = Field(default=None, max_length=32)
    priority: Literal["P1", "P2", "P3", "P4"] | None = None
    medical_code: str | None = Field(default=None, max_length=32)
    location: Location | None = None
    address: Address | None = None
    description: Text | None = None
    caller: Caller | None = None
    talkgroup: Annotated[str, Field(max_length=64)] | None = None
    staging: bool | None = Field(default=None, strict=True)


class NoteText(Strict):
    text: Text


class Outcome(Strict):
    outcome: Text


class ReopenReason(Strict):
    reason: Text


class Level(Strict):
    level: int = Field(strict=True)


class Assign(Strict):
    units: list[Annotated[str, Field(max_length=32)]] = Field(min_length=1, max_length=100)
    override_reason: Short | None = None


class RequestAnswer(Strict):
    answer: Literal["accepted", "refused"]
    name: str = Field(min_length=1, max_length=128, description="Who answered, by name.")
    via: Literal["api", "phone"]
    reason: Short = ""


class RecallQuery(Strict):
    reason: Short = ""


class Resolution(Strict):
    conflict: str = Field(max_length=128)
    resolution: Annotated[str, Field(min_length=1, max_length=2000)]


class ListQuery(Strict):
    state: Literal["open", "closed", "all"] = "open"
    q: str = Field(default="", max_length=100, description="Part of an incident or outside case number.")
    limit: int = Field(default=100, ge=1, le=500)
    after: str | None = Field(default=None, max_length=100)


# ---- where


def locate_once(
    request: str, location: Location | None, address: str | AddressParts | None
) -> tuple[c.Place, dict[str, Any]]:
    """The place of a call as found, and as it was asked for, by which a retry is known. A retry is answered
    even if the map has changed so that its place is no longer found."""
    said = address.given() if isinstance(address, AddressParts) else address
    asked = {"location": None if location is None else location.model_dump(), "address": said}
    try:
        return locate(location, address), asked
    except Problem:
        if not core().log.met(request):
            raise
        # The log cannot hold this place, should the request prove to be another one after all.
        return c.Place(math.nan, math.nan), asked


def locate(location: Location | None, address: str | AddressParts | None) -> c.Place:
    """The place of a call. A point given is checked against the city; words alone are looked up. Raises
    Problem 422 that names the field, and says so when longitude and latitude look swapped."""
    city = core().city
    label = ""
    parts: dict[str, str] = {}
    if isinstance(address, AddressParts):
        parts = address.given()
        label = _label(parts)
    elif address:
        label = address.strip()
    if location is not None:
        if city is not None:
            outside = explain_outside(location.lon, location.lat, city.info.bbox, margin_m=OUTSIDE_MARGIN_M)
            if outside is not None:
                hint = (
                    " Longitude and latitude look swapped."
                    if outside == "swapped"
                    else " Check the coordinates."
                )
                raise wrong(
                    "location", f"outside-city-{outside}", f"The point lies outside {city.info.name}.{hint}"
                )
        if label and not parts and city is not None:
            parts = dict(parse_parts(label))
        return c.Place(location.lon, location.lat, label or _nearest_label(location), parts)
    if city is None:
        raise wrong(
            "location", "no-city", "No city is imported, so an address cannot be found; give a location."
        )
    found = offload(lambda: city.addresses.search(_question(parts) or label, CANDIDATES_MAX))
    best = one_spot(found)
    if best is None:
        # A guess may be offered to a person who looks at it; it may not send anybody anywhere.
        candidates = [{"label": p.label, "kind": p.kind, "lon": p.lon, "lat": p.lat} for p in found]
        if found and found[0].match == "exact":
            code = "address-not-exact"
            detail = f"{label!r} is no single spot: a whole street or area, or one of several. Say more."
        else:
            code = "address-not-found"
            detail = f"No such address: {label!r}." + (f" The nearest is {found[0].label}." if found else "")
        nearest = candidates[0] if candidates else None
        raise wrong("address", code, detail, address=label, nearest=nearest, candidates=candidates)
    return c.Place(best.lon, best.lat, label, {**best.parts, **parts})


def one_spot(found: list[Place]) -> Place | None:
    """The best hit, if all that fit exactly are one spot, and not a street or a whole neighbourhood."""
    exact = [place for place in found if place.match == "exact"]
    if not exact or any(place.kind == "street" or place.note == "area" for place in exact):
        return None
    best = exact[0]
    apart = (metres_between(best.lon, best.lat, place.lon, place.lat) for place in exact)
    return best if max(apart) <= ONE_SPOT_M else None


def _question(parts: dict[str, str]) -> str:
    """What to look up for an address given in parts. A landmark beside a street only helps the crew."""
    if "road" in parts:
        return f"{parts['road']} km {parts.get('road_km', '')}"
    first = " ".join(parts[p] for p in ("street", "number") if p in parts)
    if "crossing" in parts and "number" not in parts:
        first = " x ".join(x for x in (first, parts["crossing"]) if x)
    first = first or parts.get("landmark", "")
    block = f"bl. {parts['block']}" if "block" in parts else ""
    where = (parts.get("district"), parts.get("city"))
    return ", ".join(x for x in (first, block, *where) if x) if first else ""


def _label(parts: dict[str, str]) -> str:
    named = {"block": "bl.", "staircase": "sc.", "floor": "et.", "apartment": "ap.", "intercom": "interfon"}
    first = " ".join(parts[p] for p in ("street", "number") if p in parts)
    rest = [f"{short} {parts[part]}" for part, short in named.items() if part in parts]
    tail = [parts[p] for p in ("crossing", "landmark", "district", "city") if p in parts]
    if "road" in parts:
        tail.insert(0, f"{parts['road']} km {parts.get('road_km', '?')}")
    return ", ".join(x for x in (first, *rest, *tail) if x)


def _nearest_label(location: Location) -> str:
    city = core().city
    near: Place | None = city.addresses.reverse(location.lon, location.lat) if city is not None else None
    return near.label if near is not None else f"{location.lat:.5f}, {location.lon:.5f}"


# ---- reading


@blueprint.get(
    "/incidents",
    tags=[TAG],
    summary="Incidents: the open ones, the closed, or by number",
    responses={200: shapes.Incidents},
)
def list_incidents(query: ListQuery) -> Response:
    who_asks = require_role("incident.read")
    state = core().picture.now
    if query.state == "open" and not query.q:
        found = sorted(
            (x for x in state.incidents() if x.open and sees(who_asks, x)),
            key=lambda x: (x.recorded_us, x.id),
            reverse=True,
        )
        if query.after is not None:
            after = _after(query.after)
            found = [x for x in found if (x.recorded_us, x.id) < after]
        page = found[: query.limit]
        more = f"{page[-1].recorded_us}.{page[-1].id}" if len(found) > query.limit else None
    else:
        page, more = _indexed(query)
        page = [x for x in page if sees(who_asks, x)]
    listed = [incident_row(x) for x in page]
    return paged(listed, more)


def _indexed(query: ListQuery) -> tuple[list[Incident], str | None]:
    """Incidents by the search index, newest first; they may have left memory long ago."""
    wanted = select(incident_index.c.id, incident_index.c.recorded_at)
    if query.state != "all":
        wanted = wanted.where(incident_index.c.state == query.state)
    if query.q:
        text = folded(query.q).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        wanted = wanted.where(incident_index.c.numbers.like(f"%{text}%", escape="\\"))
    if query.after is not None:
        at, last = _after(query.after)
        wanted = wanted.where(
            (incident_index.c.recorded_at < at)
            | ((incident_index.c.recorded_at == at) & (incident_index.c.id < last))
        )
    wanted = wanted.order_by(incident_index.c.recorded_at.desc(), incident_index.c.id.desc())
    with core().engine.connect() as connection:
        found = connection.execute(wanted.limit(query.limit + 1)).all()
    page = found[: query.limit]
    state = core().picture.now
    incidents = [x for row in page if (x := state.incident(row.id)) is not None]
    more = f"{page[-1].recorded_at}.{page[-1].id}" if len(found) > query.limit else None
    return incidents, more


def _after(cursor: str) -> tuple[int, str]:
    """When the last incident of the page before was recorded, and its id: a page goes on from there even if
    that incident has left the list meanwhile."""
    at, _, last = cursor.partition(".")
    if not re.fullmatch(r"-?[0-9]{1,18}", at) or not last:
        raise wrong("after", "bad-cursor", "This is not a cursor of this list.")
    return int(at), last


@blueprint.get(
    "/incidents/<incident_id>", tags=[TAG], summary="One incident", responses={200: shapes.IncidentShape}
)
def get_incident(path: IncidentPath) -> Response:
    require_role("incident.read")
    return jsonify(incident_row(incident_or_404(path.incident_id)))


@blueprint.get(
    "/incidents/<incident_id>/recommendation",
    tags=[TAG],
    summary="Which units to send, and why those",
    responses={200: shapes.RecommendationShape},
)
def get_recommendation(path: IncidentPath) -> Response:
    incident = incident_or_404(path.incident_id)
    units = [a.unit for a in incident.active()]
    require("incident.recommendation", district=incident.district, unit=units)
    if not incident.open:
        raise Problem(409, "incident-closed", f"Incident {incident.number} is closed.")
    parts, row_builder = core(), rows()
    result = offload(lambda: recommendation.compute(parts, row_builder, incident))
    remember_offer(incident, result)
    return jsonify(recommendation.as_json(result, pack(), words(), core().coverage.zone_name))


@blueprint.get(
    "/incidents/<incident_id>/timeline",
    tags=[TAG],
    summary="All that was recorded about it",
    responses={200: shapes.Timeline},
)
def get_timeline(path: IncidentPath) -> Response:
    incident = incident_or_404(path.incident_id)
    require_role("incident.read")
    with core().engine.connect() as connection:
        facts = subject_facts(connection, f"incident:{incident.id}")
    facts.sort(key=lambda rec: rec.key)
    sealed = [value for rec in facts if rec.event is not None for value in e.sealed_in(rec.event)]
    opened = core().vault.open(sealed) if sees_personal(actor(), incident) else {}
    undone = [rec.event for rec in facts if isinstance(rec.event, e.TakenBack)]
    gone = {one for fact in undone for one in fact.facts}
    commands = {fact.command for fact in undone}
    lines = [line_of(rec, opened, words(), incident.id) for rec in facts]
    for rec, line in zip(facts, lines, strict=True):
        line["taken_back"] = (rec.cause, rec.cause_index) in gone or rec.cause in commands
    return jsonify(lines)


def line_of(rec: e.Recorded, opened: dict[str, Any], say: Words, incident_id: str) -> dict[str, Any]:
    """One fact as the timeline of that incident tells it (empty: of a unit); `opened` holds what may be read
    of the personal data in it."""
    data: dict[str, Any] = {}
    if rec.event is not None:
        for part in fields(rec.event):
            data[part.name] = _open(getattr(rec.event, part.name), opened)
    unit = data.get("unit", "")
    args = {
        "unit": unit,
        "name": data.get("name", ""),
        "level": data.get("level", 0),
        "text": data.get("text") or "",
        "agency": data.get("agency", ""),
        "number": data.get("number", ""),
        "chosen": "hand" if data.get("followed") is False else "plan",
        "instead": data.get("override_reason") or "none",
        "reason": data.get("reason") if isinstance(data.get("reason"), str) else "",
        "answer": data.get("answer", ""),
        "fields": _field_words(data.get("changes"), say),
        "status": _status_words(data.get("status"), say),
        "flag": _flag_words(data.get("flag"), say),
        "on": "yes" if data.get("on") else "no",
        "units": _units_named(rec.type, data),
        **_eta_words(data, say),
        "rule": data.get("rule") or "none",
        "authority": data.get("authority") or "",
        "why": "",
        "said": _told_words(data.get("answers"), say),
        "priority": data.get("priority") or "none",
        "what": _taken_words(data, say) if rec.type == "TakenBack" else "",
    }
    if rec.type in ("IncidentOwned", "CheckMarked", "CrewChecked", "PersonNotified", "NoticeFollowed"):
        args |= _care_words(data, say)
    if rec.type in ("IncidentsLinked", "IncidentsUnlinked"):
        args |= _link_words(data, incident_id)
    if rec.type == "ProposalExpired":
        args["unit"] = data["about"].get("unit", "")
        key = f"why-{data['why']}"
        args["why"] = say.say(key if say.has(key) else "why-other", args)
    if rec.type == "ProposalDeclined":
        args["reason"] = args["reason"] or "none"
    return {
        "at": rfc3339(rec.recorded_us),
        "observed_at": rfc3339(rec.observed_us),
        "received_at": rfc3339(rec.received_us),
        "type": rec.type,
        "actor": who(rec.actor),
        "source": rec.source,
        "words": say.say(f"event-{rec.type}", args),
        "data": data,
    }


def _units_named(kind: str, data: dict[str, Any]) -> str:
    """The units of a plan or a proposal, by call sign."""
    if kind == "RecommendationOffered":
        return ", ".join(u for u, _ in data.get("units", ()))
    if kind == "ProposalMade":
        return ", ".join(move[0] for move in data["moves"])
    return ", ".join(data["units"]) if kind == "ProposalAccepted" else ""


def _taken_words(data: dict[str, Any], say: Words) -> str:
    """What was taken back, each kind once, and of which units."""
    said = dict.fromkeys(f"taken-{kind}" for kind in data["kinds"])
    parts = [say.say(key) for key in said if say.has(key)]
    crews = [s.partition(":")[2] for s in data["about"] if s.startswith("unit:")]
    return ", ".join([*parts, *crews])


def _eta_words(data: dict[str, Any], say: Words) -> dict[str, str]:
    """What a closure made of the way of a crew."""
    before_s, after_s = data.get("before_s"), data.get("after_s")
    kind = "cut-off" if after_s is None else "again" if before_s is None else "other"
    return {"eta": kind, "before": say.time(before_s or 0), "after": say.time(after_s or 0)}


def _care_words(data: dict[str, Any], say: Words) -> dict[str, str]:
    """What the room saw to."""
    check = pack().checks.get(data.get("check", ""))
    partner = pack().partners.get(data.get("partner") or "")
    person = data.get("person") or {}
    named = [partner.names[say.language] if partner else "", person.get("role", ""), person.get("name", "")]
    return {
        "owner": data.get("owner") or "none",
        "was": data.get("was") or "none",
        "check": check.names[say.language] if check else data.get("check", ""),
        "state": data.get("state") or data.get("result") or "",
        "person": ", ".join(x for x in named if x) or "?",
        "note": data.get("note") or "none",
    }


def _link_words(data: dict[str, Any], incident_id: str) -> dict[str, str]:
    """The other incident, as seen from this one."""
    is_first = data["incident"] == incident_id
    other = core().picture.now.incident(data["other"] if is_first else data["incident"])
    kind = data.get("kind", "")
    number = other.number if other is not None and sees(actor(), other) else ""
    return {"number": number, "link": "main" if kind == "duplicate" and not is_first else kind}


def _told_words(answers: Any, say: Words) -> str:
    """Questions and answers in words; those that the pack has no more by their codes."""
    said = []
    for code, answer in (answers or {}).items() if isinstance(answers, dict) else ():
        question = pack().questions.get(code)
        reply = question.answers.get(answer) if question else None
        asked = question.names[say.language] if question else code
        said.append(f"{asked} {reply.names[say.language] if reply else answer}")
    return "; ".join(said)


def _field_words(changes: Any, say: Words) -> str:
    # The coarse place changes with the exact one, and says nothing more.
    names = sorted(set(changes) - {"coarse"}) if isinstance(changes, dict) else []
    return ", ".join(say.say(f"field-{name}") for name in names)


def _status_words(code: Any, say: Words) -> str:
    status = pack().statuses.get(code) if isinstance(code, str) else None
    return status.names[say.language].lower() if status else ""


def _flag_words(code: Any, say: Words) -> str:
    flag = pack().flags.get(code) if isinstance(code, str) else None
    return flag.names[say.language].lower() if flag else str(code or "")


def _open(value: Any, opened: dict[str, Any]) -> Any:
    if isinstance(value, e.Sealed):
        return opened.get(value.id)
    if isinstance(value, dict):
        return {key: _open(item, opened) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_open(item, opened) for item in value]
    return value


# ---- changing


@blueprint.post("/incidents", tags=[TAG], summary="Take a call", responses={201: shapes.ChangedIncidentShape})
def post_incident(body: NewIncident) -> tuple[Response, int]:
    require_role("incident.report")
    if body.source in OWN_SOURCES and body.source != source():
        raise wrong("source", "reserved-source", f"{body.source} is a part of this station itself.")
    place, asked = locate_once(body.id, body.location, body.address)
    command = c.ReportIncident(
        id=body.id,
        source=body.source or source(),
        observed_us=observed(body.observed_at, "observed_at"),
        incident=body.id,
        type=body.type,
        place=place,
        priority=body.priority,
        medical_code=body.medical_code,
        description=body.description,
        caller=_caller(body.caller),
        case_numbers=tuple((case.agency, case.number) for case in body.case_numbers),
        answers=body.answers or None,
        call=body.call,
    )
    cursor = send(command, asked)
    return jsonify({**fresh_incident(body.id), "id": body.id, "log_position": cursor}), 201


_PHONE = re.compile(r"(?<!\w)\+?\(?\d(?:[ ./()-]{0,2}\d){5,18}(?!\w)", re.ASCII)


def _caller(given: Caller | str | None) -> dict[str, str] | None:
    if not isinstance(given, str):
        return given.model_dump(exclude_none=True) if given is not None else None
    phone = _PHONE.search(given)
    if phone is None:
        # An extension of the house, said alone.
        alone = "phone" if re.fullmatch(r"[\d ]{3,50}", given.strip()) else "name"
        return {alone: given.strip()} if given.strip() else None
    name = " ".join((given[: phone.start()] + " " + given[phone.end() :]).split()).strip(" ,;:-()")
    return {"phone": phone[0].strip(), **({"name": name} if name else {})}


def _changed(path: IncidentPath | IncidentUnitPath, command: c.Command, asked: Any = None) -> Response:
    cursor = send(command, asked)
    return jsonify({**fresh_incident(path.incident_id), "log_position": cursor})


@blueprint.patch(
    "/incidents/<incident_id>",
    tags=[TAG],
    summary="Change what is known about it",
    responses={200: shapes.ChangedIncidentShape},
)
def patch_incident(path: IncidentPath, body: ChangedIncident) -> Response:
    incident_or_404(path.incident_id)
    given = body.model_fields_set
    changes: dict[str, Any] = {}
    for name in given - {"location", "address", "caller"}:
        changes[name] = getattr(body, name)
        if changes[name] is None and name not in ("medical_code", "talkgroup"):
            raise wrong(name, "invalid", f"{name} cannot be emptied.")
    if "caller" in given:
        changes["caller"] = body.caller.model_dump(exclude_none=True) if body.caller else {}
    asked, key = None, request_id()
    if body.location is not None or body.address:
        changes["place"], asked = locate_once(key, body.location, body.address)
    if not changes:
        raise Problem(
            422, "empty", "Name at least one field to change.", errors=[{"field": "body", "message": "empty"}]
        )
    command = c.ChangeIncident(id=key, source=source(), incident=path.incident_id, changes=changes)
    return _changed(path, command, asked)


@blueprint.post(
    "/incidents/<incident_id>/acknowledge",
    tags=[TAG],
    summary="Somebody has seen it",
    responses={200: shapes.ChangedIncidentShape},
)
def acknowledge_incident(path: IncidentPath) -> Response:
    incident_or_404(path.incident_id)
    return _changed(path, c.AcknowledgeIncident(id=request_id(), source=source(), incident=path.incident_id))


@blueprint.post(
    "/incidents/<incident_id>/notes",
    tags=[TAG],
    summary="Add a note",
    responses={200: shapes.ChangedIncidentShape},
)
def add_note(path: IncidentPath, body: NoteText) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path, c.AddNote(id=request_id(), source=source(), incident=path.incident_id, text=body.text)
    )


@blueprint.post(
    "/incidents/<incident_id>/close",
    tags=[TAG],
    summary="Close it, with its outcome",
    responses={200: shapes.ChangedIncidentShape},
)
def close_incident(path: IncidentPath, body: Outcome) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path,
        c.CloseIncident(id=request_id(), source=source(), incident=path.incident_id, outcome=body.outcome),
    )


@blueprint.post(
    "/incidents/<incident_id>/reopen",
    tags=[TAG],
    summary="Open it again",
    responses={200: shapes.ChangedIncidentShape},
)
def reopen_incident(path: IncidentPath, body: ReopenReason) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path,
        c.ReopenIncident(id=request_id(), source=source(), incident=path.incident_id, reason=body.reason),
    )


@blueprint.post(
    "/incidents/<incident_id>/case-numbers",
    tags=[TAG],
    summary="Tie an outside case number to it",
    responses={200: shapes.ChangedIncidentShape},
)
def link_case_number(path: IncidentPath, body: CaseNumber) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path,
        c.LinkCaseNumber(
            id=request_id(),
            source=source(),
            incident=path.incident_id,
            agency=body.agency,
            number=body.number,
        ),
    )


@blueprint.post(
    "/incidents/<incident_id>/alarm-level",
    tags=[TAG],
    summary="Raise or lower the alarm level",
    responses={200: shapes.ChangedIncidentShape},
)
def set_alarm_level(path: IncidentPath, body: Level) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path, c.SetAlarmLevel(id=request_id(), source=source(), incident=path.incident_id, level=body.level)
    )


@blueprint.post(
    "/incidents/<incident_id>/erase",
    tags=[TAG],
    summary="Destroy its personal data for good",
    responses={200: shapes.ChangedIncidentShape},
)
def erase_incident(path: IncidentPath, body: EraseReason) -> Response:
    incident_or_404(path.incident_id)
    return _changed(
        path,
        c.ErasePersonalData(id=request_id(), source=source(), incident=path.incident_id, reason=body.reason),
    )


@blueprint.post(
    "/incidents/<incident_id>/resolve",
    tags=[TAG],
    summary="Say how a contradiction was settled",
    responses={200: shapes.ChangedIncidentShape},
)
def resolve_conflict(path: IncidentPath, body: Resolution) -> Response:
    incident_or_404(path.incident_id)
    command = c.ResolveConflict(
        id=request_id(),
        source=source(),
        subject=f"incident:{path.incident_id}",
        conflict=body.conflict,
        resolution=body.resolution,
    )
    return _changed(path, command)


# ---- sending units


@blueprint.post(
    "/incidents/<incident_id>/assignments",
    tags=[TAG],
    summary="Send owned units, ask for requested ones",
    responses={200: shapes.AssignedShape},
)
def post_assignments(path: IncidentPath, body: Assign) -> Response:
    incident_or_404(path.incident_id)
    command = c.AssignUnits(
        id=request_id(),
        source=source(),
        incident=path.incident_id,
        units=tuple(body.units),
        override_reason=body.override_reason,
        answer_s=core().config.answer_s,
    )
    cursor = send(command)
    row = fresh_incident(path.incident_id)
    named = set(body.units)
    return jsonify(
        {
            "incident": row,
            "assigned": [a["unit"] for a in row.get("assignments", []) if a["unit"] in named],
            "requested": [
                r["unit"] for r in row.get("requests", []) if r["unit"] in named and r["state"] == "asked"
            ],
            "log_position": cursor,
        }
    )


@blueprint.delete(
    "/incidents/<incident_id>/assignments/<unit_id>",
    tags=[TAG],
    summary="Recall a unit, or withdraw its request",
    responses={200: shapes.ChangedIncidentShape},
)
def delete_assignment(path: IncidentUnitPath, query: RecallQuery) -> Response:
    incident_or_404(path.incident_id)
    command = c.RecallUnit(
        id=request_id(),
        source=source(),
        incident=path.incident_id,
        unit=path.unit_id,
        reason=query.reason,
    )
    return _changed(path, command)


@blueprint.post(
    "/incidents/<incident_id>/requests/<unit_id>/answer",
    tags=[TAG],
    summary="What the agency answered, by name",
    responses={200: shapes.ChangedIncidentShape},
)
def answer_request(path: IncidentUnitPath, body: RequestAnswer) -> Response:
    require_role("incident.answer_request")
    command = c.AnswerRequest(
        id=request_id(),
        source=source(),
        incident=path.incident_id,
        unit=path.unit_id,
        answer=body.answer,
        name=body.name,
        via=body.via,
        reason=body.reason,
    )
    return _changed(path, command)
