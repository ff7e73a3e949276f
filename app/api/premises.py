"""What is known about a place before anybody calls: notes of the operator, what happened there before, what
is in the way, and what stands near."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import numpy as np
import shapely
from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field, RootModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.closures import closure_row
from app.api.doors import (
    EraseReason,
    Problem,
    Strict,
    Uuid,
    blueprint,
    core,
    parse_moment,
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
from app.api.incidents import Location, Short, locate_once
from app.api.shapes import ClosureShape, Shape, Time, UndoShape
from app.auth import may
from app.native import offload
from app.picture import cell_of
from app.rows import rfc3339
from app.tables import incident_index
from dispatch import commands as c
from dispatch.commands import Actor, who
from dispatch.events import Sealed
from dispatch.incident import Incident
from dispatch.premise import KINDS, RADIUS_MAX_M, RADIUS_MIN_M, TEXT_MAX, Premise
from gis import layers
from gis.conditions import BadShape, read_shape
from gis.geometry import LocalMetres, metres_between

TAG = Tag(name="Premises", description="What is known about a place before anybody calls.")
HISTORY_M = 60.0
"""How near an earlier incident was at the same address."""
HISTORY_LOOKED_AT = 150
"""Of so many incidents about there, the newest, the exact places are looked at."""
IN_THE_WAY_M = 250.0
NEAR_M = 400.0
NEVER_NEAR = ("street_lamps", "traffic_signals", "stations")
"""Layers that say nothing to somebody who takes a call."""


class PlaceQuery(Strict):
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)
    limit: int = Field(default=10, ge=1, le=50, description="Of earlier incidents.")


class NewPremise(Strict):
    id: Uuid = Field(description="A UUID made by the client: the same one sent twice is one note.")
    kind: Literal[KINDS]  # type: ignore[valid-type]
    text: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
    location: Location | None = None
    address: Short | None = None
    radius_m: float = Field(
        default=30, ge=RADIUS_MIN_M, le=RADIUS_MAX_M, allow_inf_nan=False, description="Around the point."
    )
    until: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="RFC 3339; none: until it is withdrawn."
    )


class PremisePath(Strict):
    premise_id: str = Field(max_length=64)


# ---- what is answered


class NoteShape(Shape):
    id: str
    kind: Literal[KINDS]  # type: ignore[valid-type]
    text: str | None
    address: str | None
    lon: float
    lat: float
    radius_m: float
    until: Time | None
    noted_at: Time
    noted_by: str
    withdrawn_at: Time | None
    withdrawn_by: str | None
    district: str
    station: str
    rev: int


class ChangedNoteShape(NoteShape):
    log_position: str
    undo: UndoShape | None = None


class Notes(RootModel[list[NoteShape]]):
    pass


class EarlierShape(Shape):
    incident: str
    number: str
    type: str
    priority: str
    state: Literal["open", "closed"]
    reported_at: Time
    address: str | None
    outcome: str | None
    distance_m: int


class InTheWayShape(Shape):
    closure: ClosureShape
    distance_m: int = Field(description="0: the place lies in it.")


class NearShape(Shape):
    layer: str
    title: str = Field(description="What the layer is called, in the language asked for.")
    name: str | None
    properties: dict[str, Any]
    distance_m: int


class Known(Shape):
    """`complete`: every earlier incident about there was looked at."""

    notes: list[NoteShape]
    earlier: list[EarlierShape]
    complete: bool
    in_the_way: list[InTheWayShape]
    near: list[NearShape]


# ---- reading


def _note_row(x: Premise) -> dict[str, Any]:
    secrets = [s for s in (x.place, x.text) if isinstance(s, Sealed)]
    opened = core().vault.open(secrets)
    place = opened.get(x.place.id) if isinstance(x.place, Sealed) else None
    lon, lat = (place["lon"], place["lat"]) if place else (x.coarse or (0.0, 0.0))
    return {
        "id": x.id,
        "kind": x.kind,
        "text": opened.get(x.text.id) if isinstance(x.text, Sealed) else None,
        "address": (place["label"] or None) if place else None,
        "lon": lon,
        "lat": lat,
        "radius_m": x.radius_m,
        "until": rfc3339(x.until_us),
        "noted_at": rfc3339(x.noted_us),
        "noted_by": who(x.noted_by),
        "withdrawn_at": rfc3339(x.withdrawn_us),
        "withdrawn_by": who(x.withdrawn_by) or None,
        "district": x.district,
        "station": x.station,
        "rev": x.position,
    }


def _notes(who_asks: Actor) -> Iterable[Premise]:
    now_us = core().world.clock.now_us()
    for x in core().picture.now.premises():
        if x.holds(now_us) and may(who_asks, "premise.read", district=x.district):
            yield x


@blueprint.get(
    "/premises", tags=[TAG], summary="What is known about this place", responses={200: Known}
)
def get_premises(query: PlaceQuery) -> Response:
    who_asks = require_role("premise.read")
    lon, lat = query.lon, query.lat
    # A note holds within its radius of its exact place, which the rounded one is near enough to find.
    rounded_m = 80.0
    notes = [
        row
        for x in _notes(who_asks)
        if x.coarse is not None
        and metres_between(lon, lat, *x.coarse) <= x.radius_m + rounded_m
        and metres_between(lon, lat, (row := _note_row(x))["lon"], row["lat"]) <= x.radius_m
    ]
    notes.sort(key=lambda row: (KINDS.index(row["kind"]), row["noted_at"]))
    found, complete = offload(lambda: _earlier(lon, lat))
    earlier = [_earlier_row(who_asks, x, away_m) for x, away_m in found if sees(who_asks, x)]
    return jsonify(
        {
            "notes": notes,
            "earlier": earlier[: query.limit],
            "complete": complete and len(earlier) <= query.limit,
            "in_the_way": _in_the_way(lon, lat),
            "near": _near(lon, lat),
        }
    )


def _earlier(lon: float, lat: float) -> tuple[list[tuple[Incident, float]], bool]:
    """Incidents at this address, the newest first, and whether all were looked at."""
    here = cell_of(lon, lat)
    cells = [here + north * 1_000_000 + east for north in (-1, 0, 1) for east in (-2, -1, 0, 1, 2)]
    wanted = (
        select(incident_index.c.id)
        .where(incident_index.c.cell.in_(cells))
        .order_by(incident_index.c.recorded_at.desc(), incident_index.c.id)
        .limit(HISTORY_LOOKED_AT + 1)
    )
    with core().engine.connect() as connection:
        ids = list(connection.scalars(wanted))
    state = core().picture.now
    known = [x for one in ids[:HISTORY_LOOKED_AT] if (x := state.incident(one)) is not None]
    core().vault.open(x.place for x in known if isinstance(x.place, Sealed))
    found = []
    for x in known:
        at_lon, at_lat, exact = rows().place_of(x)
        away_m = metres_between(lon, lat, at_lon, at_lat)
        if exact and away_m <= HISTORY_M:
            found.append((x, away_m))
    return found, len(ids) <= HISTORY_LOOKED_AT


def _earlier_row(who_asks: Actor, x: Incident, away_m: float) -> dict[str, Any]:
    row = rows().incident(x, personal=sees_personal(who_asks, x))
    same = ("number", "type", "priority", "state", "reported_at", "address", "outcome")
    return {"incident": x.id, **{name: row[name] for name in same}, "distance_m": round(away_m)}


def _in_the_way(lon: float, lat: float) -> list[dict[str, Any]]:
    """Closures and zones in or about the place, the nearest first."""
    now_us = core().world.clock.now_us()
    plane = LocalMetres(lon, lat)
    here = shapely.Point(0.0, 0.0)
    found = []
    for x in core().picture.now.closures():
        if not x.holds(now_us):
            continue
        try:
            shape = read_shape(x.geometry)
        except BadShape:
            continue
        flat = shapely.transform(shape, lambda xy: np.column_stack(plane.to_xy(xy[:, 0], xy[:, 1])))
        away_m = here.distance(flat)
        if away_m <= IN_THE_WAY_M:
            found.append((away_m, x))
    found.sort(key=lambda one: (one[0], one[1].id))
    return [{"closure": closure_row(x), "distance_m": round(away_m)} for away_m, x in found]


def _near(lon: float, lat: float) -> list[dict[str, Any]]:
    """The nearest thing of each layer, where there is one in reach."""
    city = core().city
    if city is None:
        return []
    say = words()

    def look() -> list[dict[str, Any]]:
        found = []
        with Session(core().engine) as session:
            versions = layers.imports(session, city.info.name)
            for layer in sorted({one.layer for one in versions} - set(NEVER_NEAR)):
                mine = [one for one in versions if one.layer == layer]
                for one in layers.nearest(session, mine, lon, lat, 1, NEAR_M):
                    away_m = round(one.distance_m or 0)
                    about = {"layer": layer, "name": one.name, "properties": dict(one.properties)}
                    key = f"layer-{layer}"
                    title = say.say(key) if say.has(key) else layer.replace("_", " ")
                    found.append({**about, "title": title, "distance_m": away_m})
        return sorted(found, key=lambda one: (one["distance_m"], one["layer"]))

    return offload(look)


# ---- notes


@blueprint.get("/premises/notes", tags=[TAG], summary="All notes that hold", responses={200: Notes})
def list_notes() -> Response:
    who_asks = require_role("premise.read")
    listed = [_note_row(x) for x in _notes(who_asks)]
    return jsonify(sorted(listed, key=lambda row: (row["address"] or "", row["id"])))


def _premise_or_404(premise_id: str) -> Premise:
    who_asks = require_role("premise.read")
    found = core().picture.now.premise(premise_id)
    if found is None or not found.noted or not may(who_asks, "premise.read", district=found.district):
        raise Problem(404, "unknown-premise", f"There is no note {premise_id}.")
    return found


def _changed(premise_id: str, command: c.Command, asked: Any = None) -> Response:
    cursor = send(command, asked)
    return jsonify({**_note_row(_premise_or_404(premise_id)), "log_position": cursor})


@blueprint.post(
    "/premises/notes", tags=[TAG], summary="Note something", responses={201: ChangedNoteShape}
)
def post_note(body: NewPremise) -> tuple[Response, int]:
    require_role("premise.edit")
    if body.location is None and not body.address:
        raise wrong("location", "no-place", "Give location or address, or both.")
    until_us = None
    if body.until is not None:
        try:
            until_us = parse_moment(body.until)
        except (ValueError, OverflowError) as error:
            raise wrong("until", "bad-time", f"until: {error}") from None
    place, asked = locate_once(body.id, body.location, body.address)
    command = c.NotePremise(
        id=body.id,
        source=source(),
        premise=body.id,
        kind=body.kind,
        place=place,
        radius_m=body.radius_m,
        text=body.text,
        until_us=until_us,
    )
    return _changed(body.id, command, asked), 201


@blueprint.delete(
    "/premises/notes/<premise_id>",
    tags=[TAG],
    summary="It holds no more",
    responses={200: ChangedNoteShape},
)
def delete_note(path: PremisePath) -> Response:
    _premise_or_404(path.premise_id)
    command = c.WithdrawPremise(id=request_id(), source=source(), premise=path.premise_id)
    return _changed(path.premise_id, command)


@blueprint.post(
    "/premises/notes/<premise_id>/erase",
    tags=[TAG],
    summary="Destroy what it says for good",
    responses={200: ChangedNoteShape},
)
def erase_note(path: PremisePath, body: EraseReason) -> Response:
    require_role("personal.erase")
    _premise_or_404(path.premise_id)
    command = c.ErasePremise(
        id=request_id(), source=source(), premise=path.premise_id, reason=body.reason
    )
    return _changed(path.premise_id, command)
