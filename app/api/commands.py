"""The command line's door: what a typed line means, and doing just that.

A line becomes the very command objects that keys, clicks and the rest of the API submit (`dispatch.grammar`),
so it is allowed, refused, recorded and taken back like them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import ConfigDict, Field
from sqlalchemy import select

from app import recommendation
from app.api import shapes
from app.api.doors import (
    Problem,
    Strict,
    Uuid,
    actor,
    blueprint,
    core,
    incident_or_404,
    incident_row,
    observed,
    pack,
    refusal,
    remember_offer,
    require,
    rows,
    sees,
    sees_personal,
    sees_unit,
    source,
    unit_row,
    words,
    wrong,
)
from app.api.incidents import CANDIDATES_MAX, one_spot
from app.api.undo import offered
from app.native import offload
from app.submit import KEYED, authorise, plain
from app.tables import event, incident_index
from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Context, Refused
from dispatch.grammar import UNITS_MAX, Completion, Fault, Look, Meaning, Places, Said, View, parse
from dispatch.incident import Incident
from dispatch.state import decide
from gis.address import parse_parts

TAG = Tag(name="Command line", description="One line of text for everything a dispatcher does with keys.")
TEXT_MAX = 20_100
"""Characters of a line: the longest note, and what stands before it."""
SHOWN_MAX = 80
"""Characters of free text that an echo repeats."""
LINE = "line:"
"""How the ids begin by which lines that were done are known again."""


class Line(Strict):
    text: str = Field(max_length=TEXT_MAX)
    incident: str | None = Field(
        default=None,
        max_length=64,
        description="The incident on the screen: meant where the line names none.",
    )
    unit: str | None = Field(default=None, max_length=32, description="The same for a unit.")
    said_at: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description='RFC 3339: when it was typed; "2h" counts from then. Default: now.'
    )


class LineToDo(Line):
    id: Uuid = Field(description="A UUID made by the client: the same line sent twice is done once.")
    meaning: str | None = Field(
        default=None, max_length=64, description="What the echo meant: done only if it still means that."
    )


class SaidShape(shapes.Shape):
    """Something said: the key of its message, what it is about, and the words."""

    key: str
    args: dict[str, Any]
    words: str


class LineFaultShape(shapes.Shape):
    """What is wrong with the word from `start` to `end`, or what is missing there when both are the same."""

    code: str
    start: int = Field(description="In UTF-16 units, as JavaScript counts.")
    end: int
    words: str
    meant: list[str] = Field(description="What may have been meant instead.")


class CompletionShape(shapes.Shape):
    """`text` may stand from `start` to `end`."""

    start: int
    end: int
    text: str
    kind: str
    about: str
    words: str


class LookShape(shapes.Shape):
    """Something to be shown, which changes nothing."""

    what: str
    incident: str | None
    unit: str | None
    lon: float | None
    lat: float | None
    label: str | None


class MeaningShape(shapes.Shape):
    model_config = ConfigDict(title="Meaning", extra="forbid")

    text: str
    state: str = Field(description="empty, missing, wrong, refused or ready.")
    verb: str | None
    meaning: str | None = Field(description="A digest of what would be done.")
    echo: SaidShape | None
    notices: list[SaidShape]
    faults: list[LineFaultShape]
    refusal: dict[str, Any] | None = Field(description="Why it would be refused, were it sent now.")
    completions: list[CompletionShape]
    commands: list[dict[str, Any]]
    look: LookShape | None


class DoneShape(shapes.Shape):
    model_config = ConfigDict(title="LineDone", extra="forbid")

    id: str
    verb: str | None
    echo: str
    replayed: bool
    done: list[dict[str, Any]] = Field(
        description="The commands that were taken, with their log position; of a line sent again, its facts."
    )
    refused: list[dict[str, Any]] = Field(description="Of several, those that came too late, and why.")
    incidents: list[dict[str, Any]]
    units: list[dict[str, Any]]
    look: LookShape | None
    lines: list[str] = Field(description="What was asked for, in words.")
    log_position: str | None


# ---- what exists, for whoever types


def _view(line: Line) -> View:
    who_asks = actor()
    state = core().picture.now
    here = state.incident(line.incident) if line.incident is not None else None
    if line.incident is not None and (here is None or not here.reported or not sees(who_asks, here)):
        raise wrong("incident", "unknown-incident", f"There is no incident {line.incident}.")
    unit = state.unit(line.unit) if line.unit is not None else None
    if line.unit is not None and (unit is None or not unit.registered):
        raise wrong("unit", "unknown-unit", f"There is no unit {line.unit!r}.")
    said_us = observed(line.said_at, "said_at")
    found: dict[str, Places] = {}

    def place(asked: str) -> Places:
        if asked not in found:
            found[asked] = _place(asked)
        return found[asked]

    return View(
        state=state,
        pack=pack(),
        station=core().config.station,
        now_us=core().world.clock.now_us() if said_us is None else said_us,
        language=words().language,
        here=here,
        unit_here=unit,
        answer_s=core().config.answer_s,
        sees=lambda incident: sees(who_asks, incident),
        numbered=_numbered,
        place=place,
    )


def _numbered(number: str) -> Incident | None:
    """An incident by its full number, however long ago it was closed."""
    with core().engine.connect() as connection:
        found = connection.scalar(select(incident_index.c.id).where(incident_index.c.number == number))
    incident = core().picture.now.incident(found) if found is not None else None
    return incident if incident is not None and sees(actor(), incident) else None


_INSIDE = ("block", "staircase", "floor", "apartment", "intercom")
"""Parts of an address that no map knows: a place keeps them as they were said."""


def _place(asked: str) -> Places:
    city = core().city
    if city is None:
        return Places(None, "no-city")
    hits = offload(lambda: city.addresses.search(asked, CANDIDATES_MAX))
    alike = tuple(dict.fromkeys(hit.label for hit in hits))
    best = one_spot(hits)
    if best is None:
        exact = bool(hits) and hits[0].match == "exact"
        return Places(None, "not-exact" if exact else "not-found", alike)
    said = parse_parts(asked)
    inside = {part: said[part] for part in _INSIDE if part in said}
    label = best.label
    if inside:
        named = words()
        label = ", ".join([label, *(named.say(f"address-{p}", {"value": v}) for p, v in inside.items())])
    return Places(c.Place(best.lon, best.lat, label, {**best.parts, **inside}), alike=alike)


# ---- in words


def _utf16(text: str, at: int) -> int:
    """A position counted as JavaScript does, where what lies beyond the first plane counts twice."""
    return len(text[:at].encode("utf-16-le", "surrogatepass")) // 2


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN_MAX else flat[: SHOWN_MAX - 1] + "…"


def _where(incident: Incident) -> str:
    row = rows().incident(incident, personal=sees_personal(actor(), incident))
    return str(row["address"] or "")


def _type_words(code: str) -> str:
    kind = pack().incident_types.get(code)
    return kind.names[words().language] if kind is not None else code


def _status_words(code: str) -> str:
    status = pack().statuses.get(code)
    return status.names[words().language] if status is not None else code


def _said(said: Said) -> dict[str, Any]:
    args = {name: _short(value) if isinstance(value, str) else value for name, value in said.args.items()}
    about = dict(args)
    if said.incident is not None:
        about["incident"] = said.incident.id
        args |= {
            "number": said.incident.number,
            "what": _type_words(said.incident.type),
            "where": _where(said.incident) or "none",
        }
    named = words()
    if "type" in args:
        args["type"] = _type_words(args["type"])
    if "status" in args:
        args["status"] = _status_words(args["status"]).lower()
    if "kind" in args:
        args["kind"] = named.say(f"command-kind-{args['kind']}")
    if "priority" in args:
        args["priority"] = pack().priorities[args["priority"]].names[named.language]
    return {"key": said.key, "args": about, "words": named.say(f"command-{said.key}", args)}


def _fault(text: str, fault: Fault) -> dict[str, Any]:
    args = {name: _short(value) if isinstance(value, str) else value for name, value in fault.args.items()}
    args["meant"] = " / ".join(fault.meant) or "none"
    return {
        "code": fault.code,
        "start": _utf16(text, fault.start),
        "end": _utf16(text, fault.end),
        "words": words().say(f"command-fault-{fault.code}", args),
        "meant": list(fault.meant),
    }


def _completions(text: str, offered: Iterable[Completion]) -> list[dict[str, Any]]:
    state, named = core().picture.now, words()
    listed = list(offered)
    found = [state.incident(one.about) for one in listed if one.kind == "incident"]
    seen = [x for x in found if x is not None]
    where = {
        x.id: row["address"] or ""
        for x, row in zip(seen, rows().incidents(seen, personal=True), strict=True)
        if sees_personal(actor(), x)
    }
    types = {x.id: _type_words(x.type) for x in seen}

    def about(one: Completion) -> str:
        if one.kind == "verb":
            return named.say(f"command-usage-{one.about}")
        if one.kind == "incident":
            return " · ".join(x for x in (types.get(one.about, ""), where.get(one.about, "")) if x)
        if one.kind == "unit":
            unit = state.unit(one.about)
            return " · ".join(x for x in (_status_words(unit.status), unit.station) if x) if unit else ""
        if one.kind == "status":
            return _status_words(one.about)
        if one.kind == "type":
            return _type_words(one.about)
        if one.kind == "priority":
            return pack().priorities[one.about].names[named.language]
        if one.kind == "level":
            return pack().alarm_levels[int(one.about)].names[named.language]
        return ""

    return [
        {
            "start": _utf16(text, one.start),
            "end": _utf16(text, one.end),
            "text": one.text,
            "kind": one.kind,
            "about": one.about,
            "words": about(one),
        }
        for one in listed
    ]


def _look(look: Look | None) -> dict[str, Any] | None:
    if look is None:
        return None
    return {
        "what": look.what,
        "incident": look.incident,
        "unit": look.unit,
        "lon": look.place.lon if look.place else None,
        "lat": look.place.lat if look.place else None,
        "label": look.place.label if look.place else None,
    }


def _body(command: c.Command) -> dict[str, Any]:
    """A command as data; what a line would create has no id yet."""
    body: dict[str, Any] = {"command": type(command).__name__}
    for part in fields(command):
        if part.name not in ("id", "source", "observed_us"):
            value = plain(getattr(command, part.name))
            body[part.name] = None if part.name in ("incident", "closure") and not value else value
    return body


def _digest(meaning: Meaning) -> str | None:
    """What it means, apart from when: two lines with one digest do the same."""
    if meaning.look is not None:
        said: list[Any] = ["look", _look(meaning.look)]
    elif meaning.commands:
        bodies = [_body(command) for command in meaning.commands]
        said = [{name: value for name, value in body.items() if not name.endswith("_us")} for body in bodies]
    else:
        return None
    return hashlib.sha256(e.canonical(said).encode()).hexdigest()[:32]


# ---- the doors


@blueprint.post(
    "/commands/parse",
    tags=[TAG],
    summary="What a line means; does nothing",
    responses={200: MeaningShape},
)
def post_parse(body: Line) -> Response:
    require("command.line")
    return jsonify(_parsed(body))


def _parsed(line: Line) -> dict[str, Any]:
    meaning = parse(line.text, _view(line), source=source())
    refused = _first_refusal(meaning.commands)
    missing = all(fault.is_missing for fault in meaning.faults)
    state = (
        "empty"
        if not line.text.strip()
        else ("missing" if missing else "wrong")
        if meaning.faults
        else "refused"
        if refused is not None
        else "ready"
    )
    return {
        "text": line.text,
        "state": state,
        "verb": meaning.verb,
        "meaning": _digest(meaning),
        "echo": _said(meaning.echo) if meaning.echo else None,
        "notices": [_said(notice) for notice in meaning.notices],
        "faults": [_fault(line.text, fault) for fault in meaning.faults],
        "refusal": None if refused is None else refusal(refused),
        "completions": _completions(line.text, meaning.completions),
        "commands": [_body(command) for command in meaning.commands],
        "look": _look(meaning.look),
    }


def _first_refusal(commands: Iterable[c.Command]) -> Refused | None:
    """Why one of these would be refused now, by the very rules that decide when it is sent."""
    parts, who_asks = core(), actor()
    state, config = parts.picture.now, parts.config
    ctx = Context(parts.world.clock.now_us(), who_asks, config.station, config.district, parts.pack)
    for command in commands:
        try:
            authorise(state, command, who_asks, config.district)
            decide(state, command, ctx)
        except Refused as error:
            return error
    return None


@blueprint.post("/commands", tags=[TAG], summary="Do what a line means", responses={200: DoneShape})
def post_command(body: LineToDo) -> Response:
    require("command.line")
    key, line = f"{KEYED}{body.id}", f"{LINE}{body.id}"
    asked = [body.text, body.incident, body.unit, body.said_at, actor().label]
    line_hash = hashlib.sha256(e.canonical(asked).encode()).hexdigest()
    earlier = core().log.answered(line)
    if earlier is not None:
        if earlier.request_hash != line_hash:
            raise Problem(
                409,
                "id-reused",
                "This id was already used by another sender or for another line; nothing was done.",
                errors=[{"field": "id", "message": "already used"}],
            )
        return _done_before(body.id, key)
    meaning = parse(body.text, _view(body), id=body.id, key=key, source=source())
    if meaning.faults or meaning.verb is None:
        faults = [_fault(body.text, fault) for fault in meaning.faults]
        said = "; ".join(fault["words"] for fault in faults) or words().say("command-fault-empty")
        raise wrong("text", "not-understood", said, faults=faults)
    if body.meaning is not None and body.meaning != _digest(parse(body.text, _view(body))):
        raise Problem(
            409,
            "meaning-changed",
            "What exists has changed: the line means something else now. Nothing was done.",
            parsed=_parsed(body),
        )
    if meaning.look is not None:
        return jsonify(_shown(body.id, meaning, meaning.look))
    return jsonify(_do(body, meaning, (line, line_hash)))


def _do(body: LineToDo, meaning: Meaning, line: tuple[str, str]) -> dict[str, Any]:
    """Submit the line's commands. Of several all are looked at before the first is sent; one that is refused
    all the same, because somebody was faster, does not hold up the others."""
    if len(meaning.commands) > 1:
        refused = _first_refusal(meaning.commands)
        if refused is not None:
            raise refused
    place = None if meaning.asked is None else {"location": None, "address": meaning.asked}
    done: list[dict[str, Any]] = []
    late: list[dict[str, Any]] = []
    replayed = False
    for command in meaning.commands:
        try:
            answer = core().door.submit(command, actor(), place, line=None if done else line)
        except Refused as error:
            if len(meaning.commands) == 1:
                raise
            late.append({**_body(command), **refusal(error)})
            continue
        replayed = replayed or answer.replayed
        cursor = core().log.cursor(answer.position)
        done.append({**_body(command), "log_position": cursor, "undo": offered(command, answer)})
    if not done:
        raise Problem(409, late[0]["code"], late[0]["detail"], refused=late)
    return _answer(
        body.id,
        meaning.verb,
        _said(meaning.echo)["words"] if meaning.echo else "",
        replayed,
        done,
        late,
        {getattr(command, name, None) for command in meaning.commands for name in ("incident", "other")},
        {unit for command in meaning.commands for unit in _units(command)},
    )


def _units(command: c.Command) -> tuple[str, ...]:
    if isinstance(command, c.AssignUnits):
        return command.units
    unit = getattr(command, "unit", None)
    return (unit,) if unit else ()


def _answer(
    line_id: str,
    verb: str | None,
    echo: str,
    replayed: bool,
    done: list[dict[str, Any]],
    late: list[dict[str, Any]],
    incidents: Iterable[str | None],
    units: Iterable[str],
) -> dict[str, Any]:
    state, who_asks = core().picture.now, actor()
    touched = [x for one in incidents if one and (x := state.incident(one)) is not None and x.reported]
    crews = [y for one in sorted(units) if (y := state.unit(one)) is not None and y.registered]
    return {
        "id": line_id,
        "verb": verb,
        "echo": echo,
        "replayed": replayed,
        "done": done,
        "refused": late,
        "incidents": [incident_row(x) for x in touched if sees(who_asks, x)],
        "units": [unit_row(y) for y in crews if sees_unit(who_asks, y)],
        "look": None,
        "lines": [],
        "log_position": done[-1]["log_position"] if done else None,
    }


def _done_before(line_id: str, key: str) -> Response:
    """The answer to a line that was done already: what it did by the log, and the rows as they are now. What
    the words would mean today does not matter any more."""
    causes = [line_id, key, *(f"{key}/{n}" for n in range(2, UNITS_MAX + 1))]
    wanted = select(event.c.position, event.c.type, event.c.subjects).where(event.c.cause.in_(causes))
    with core().engine.connect() as connection:
        found = connection.execute(wanted.order_by(event.c.position)).all()
    subjects = [subject for row in found for subject in json.loads(row.subjects)]
    done = [{"fact": row.type, "log_position": core().log.cursor(row.position)} for row in found]
    return jsonify(
        _answer(
            line_id,
            None,
            "",
            True,
            done,
            [],
            dict.fromkeys(s.partition(":")[2] for s in subjects if s.startswith("incident:")),
            dict.fromkeys(s.partition(":")[2] for s in subjects if s.startswith("unit:")),
        )
    )


def _shown(line_id: str, meaning: Meaning, look: Look) -> dict[str, Any]:
    echo = _said(meaning.echo)["words"] if meaning.echo else ""
    incidents = [look.incident] if look.incident else []
    answer = _answer(line_id, meaning.verb, echo, False, [], [], incidents, [look.unit] if look.unit else [])
    lines = _reasons(look.incident, look.unit) if look.what == "why" and look.incident else []
    return {**answer, "look": _look(look), "lines": lines}


def _reasons(incident_id: str, unit: str | None) -> list[str]:
    """Why these units, or why not that one, as the recommendation words it."""
    incident = incident_or_404(incident_id)
    if not incident.open:
        raise Problem(409, "incident-closed", f"Incident {incident.number} is closed.")
    crews = [a.unit for a in incident.active()]
    require("incident.recommendation", district=incident.district, unit=crews)
    parts, row_builder = core(), rows()
    result = offload(lambda: recommendation.compute(parts, row_builder, incident))
    remember_offer(incident, result)
    told = recommendation.as_json(result, pack(), words(), parts.coverage.zone_name)
    every = [*told["units"], *told["not_chosen"]]
    shown = [x for x in every if x["unit"] == unit] if unit else [x for x in told["units"] if x["chosen"]]
    found = [f"{x['unit']}: {' · '.join(x['why'])}" for x in shown]
    if unit and not found:
        crew = parts.picture.now.unit(unit)
        status = _status_words(crew.status).lower() if crew is not None else ""
        found = [words().say("command-why-not-considered", {"unit": unit, "status": status})]
    return found or [words().say("command-why-nobody")]
