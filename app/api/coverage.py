"""How the city is covered, over HTTP: cell by cell and zone by zone, now and if some units left; and how far
one gets from a unit or a station in so many minutes."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from typing import Any, Literal

import numpy as np
import shapely
from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from app.api import shapes
from app.api.doors import Problem, Strict, blueprint, core, parse_number, require, unit_or_404, words, wrong
from app.coverage import Standing, zone_words
from app.native import offload
from app.rows import rfc3339
from dispatch.standby import Coverage
from gis import layers
from gis.coverage import Cells, isochrones
from gis.travel import mode

TAG = Tag(name="Coverage", description="What idle units reach in time, and what a choice leaves uncovered.")
WITHOUT_MAX = 50
MINUTES_MAX = 30
LIMITS_MAX = 6
KEPT_MAX = 32
"""Isochrones that are remembered: consoles ask for the same ones after each change of status."""
PROFILE_OF_KIND = {"fire": "fire_engine", "rescue": "fire_engine", "ambulance": "ambulance", "police": "car"}

_isochrones: OrderedDict[tuple[Any, ...], list[shapely.Geometry] | None] = OrderedDict()
_drawn: list[tuple[Cells, list[str]]] = []


class CoverageQuery(Strict):
    capability: str = Field(default="", max_length=64, description="A standard's; by default the first.")
    without: str = Field(default="", max_length=2_000, description="Units to think away, with commas.")


class ZonesQuery(Strict):
    without: str = Field(default="", max_length=2_000, description="Units to think away, with commas.")


class IsochronesQuery(Strict):
    unit: str | None = Field(default=None, min_length=1, max_length=64)
    station: str | None = Field(
        default=None, min_length=1, max_length=128, description="Of a unit, or a ref of the layer `stations`."
    )
    profile: Literal["car", "ambulance", "fire_engine", "bus", "air"] | None = None
    minutes: str = Field(default="4,8,12", max_length=64)

    @field_validator("minutes")
    @classmethod
    def _are_minutes(cls, value: str) -> str:
        read_minutes(value)
        return value


def read_minutes(text: str) -> list[float]:
    """The minutes written with commas, ascending. Raises PydanticCustomError where they are none."""
    about = {"most": MINUTES_MAX, "many": LIMITS_MAX}
    try:
        found = sorted({parse_number(part) for part in text.split(",")})
    except ValueError:
        wanted = "must be numbers with commas between, such as 4,8,12"
        raise PydanticCustomError("minutes_numbers", wanted) from None
    if not all(0 < one <= MINUTES_MAX for one in found):
        raise PydanticCustomError("minutes_range", "must be above 0 and at most {most}", about)
    if len(found) > LIMITS_MAX:
        raise PydanticCustomError("minutes_many", "at most {many} of them", about)
    return found


def _left_out(text: str) -> list[str]:
    """The units named with commas. Raises a Problem for one that is not there, or that may not be seen."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if len(names) > WITHOUT_MAX:
        raise wrong("without", "too-many-units", f"At most {WITHOUT_MAX} units can be thought away at once.")
    for name in names:
        unit = core().picture.now.unit(name)
        if unit is None or not unit.registered:
            raise wrong("without", "unknown-unit", f"There is no unit {name!r}.", unit=name)
    return names


def _standing(units: list[str]) -> Standing:
    parts = core()
    if parts.city is None:
        raise Problem(404, "no-city", "No city is imported yet: straja city import FILE.osm.pbf")
    found = parts.coverage.standing(units)
    if found is None:
        # Asked for the first time: the cells and what is reached from them are worked out now.
        offload(parts.coverage.settle)
        found = parts.coverage.standing(units)
    if found is None:
        raise Problem(
            503, "coverage-not-ready", "Coverage is being worked out; ask again shortly.", retry_after_s=2
        )
    return found


def _standards() -> list[dict[str, Any]]:
    return [
        {
            "capability": one.capability,
            "within_s": one.within_s,
            "rural_s": one.rural_s,
            "share_pct": one.share_pct,
            "stated": one.stated,
        }
        for one in core().coverage.standards
    ]


def _about(standing: Standing) -> dict[str, Any]:
    cells = standing.cells
    return {
        "fresh": standing.fresh,
        "as_of": rfc3339(standing.as_of_us),
        "source": cells.source,
        "about": cells.about or None,
        "cell_m": cells.size_m,
    }


def _squares(cells: Cells) -> list[str]:
    """Each cell's geometry as JSON, made once for a city."""
    if not _drawn or _drawn[0][0] is not cells:
        rings = (json.dumps([cells.square(i)]) for i in range(len(cells)))
        _drawn[:] = [(cells, [f'{{"type":"Polygon","coordinates":{ring}}}' for ring in rings])]
    return _drawn[0][1]


@blueprint.get(
    "/coverage",
    tags=[TAG],
    summary="What idle units reach in time, cell by cell, as GeoJSON",
    responses={200: shapes.CoverageShape},
)
def get_coverage(query: CoverageQuery) -> Response:
    require("coverage.read")
    known = [one.capability for one in core().coverage.standards]
    capability = query.capability or (known[0] if known else "")
    if capability not in known:
        raise wrong(
            "capability",
            "unknown-capability",
            f"There is no standard for {capability!r}; there is one for: {', '.join(known)}.",
        )
    gone = _left_out(query.without)
    standing = _standing(gone)
    say = words()
    head = {
        "type": "FeatureCollection",
        "capability": capability,
        "without": gone,
        "standards": _standards(),
        **_about(standing),
    }

    def written() -> str:
        cover = standing.cover.without(np.arange(len(gone)))
        one: Coverage = cover.standards[known.index(capability)]
        names = [zone_words(zone, say) for zone in standing.cells.zones]
        met = 1.0 - one.q ** one.k.astype(np.float64)
        squares = _squares(standing.cells)
        features = [
            '{"type":"Feature","id":%d,"geometry":%s,"properties":%s}'  # noqa: UP031 - braces all over
            % (
                i,
                squares[i],
                json.dumps(
                    {
                        "zone": one.zones[zone],
                        "zone_name": names[zone],
                        "demand": round(demand, 6),
                        "covered_by": k,
                        "gap": k == 0,
                        "preparedness": round(part, 3),
                    }
                ),
            )
            for i, (zone, demand, k, part) in enumerate(
                zip(one.zone.tolist(), one.demand.tolist(), one.k.tolist(), met.tolist(), strict=True)
            )
        ]
        sums = {"share": round(one.share(), 4), "busy": round(one.q, 3)}
        return json.dumps(head | sums)[:-1] + ',"features":[' + ",".join(features) + "]}"

    return Response(offload(written), mimetype="application/geo+json")


@blueprint.get(
    "/coverage/zones",
    tags=[TAG],
    summary="How prepared each zone is, now and if some units left",
    responses={200: shapes.CoverageZonesShape},
)
def get_zones(query: ZonesQuery) -> Response:
    require("coverage.read")
    gone = _left_out(query.without)
    standing = _standing(gone)
    say = words()
    before = standing.cover
    after = before.without(np.arange(len(gone)))
    cells = standing.cells
    people = np.bincount(cells.zone, cells.people, len(cells.zones))
    centre = [
        np.bincount(cells.zone, part * cells.share, len(cells.zones))
        / np.bincount(cells.zone, cells.share, len(cells.zones))
        for part in (cells.lon, cells.lat)
    ]
    tables = [
        (
            one.capability,
            one.demand_by_zone(),
            one.gap(),
            other.gap(),
            one.preparedness(),
            other.preparedness(),
        )
        for one, other in zip(before.standards, after.standards, strict=True)
    ]
    rows = [
        {
            "zone": zone.id,
            "name": zone_words(zone, say),
            "kind": zone.kind,
            "lon": round(float(centre[0][i]), 5),
            "lat": round(float(centre[1][i]), 5),
            "people": round(float(people[i])),
            "standards": [
                {
                    "capability": capability,
                    "demand": round(float(demand[i]), 6),
                    "gap_pct": round(100 * float(gap[i]), 1),
                    "gap_after_pct": round(100 * float(gap_after[i]), 1),
                    "preparedness_pct": round(100 * float(ready[i]), 1),
                    "preparedness_after_pct": round(100 * float(ready_after[i]), 1),
                }
                for capability, demand, gap, gap_after, ready, ready_after in tables
            ],
        }
        for i, zone in enumerate(cells.zones)
    ]
    return jsonify({"without": gone, "standards": _standards(), **_about(standing), "zones": rows})


@blueprint.get(
    "/isochrones",
    tags=[TAG],
    summary="How far one gets from a unit or a station, as GeoJSON",
    responses={200: shapes.IsochronesShape},
)
def get_isochrones(query: IsochronesQuery) -> Response:
    require("coverage.read")
    if (query.unit is None) == (query.station is None):
        raise wrong("unit", "unit-or-station", "Name a unit or a station, one of them.")
    minutes = read_minutes(query.minutes)
    city, graph = core().city, core().living_map.ways()
    if city is None or graph is None:
        raise Problem(404, "no-city", "No city is imported yet: straja city import FILE.osm.pbf")
    name, at, how, turnout_s = _from_unit(query) if query.unit is not None else _from_station(query)
    key = (graph.version, city.info.name, city.info.built_at, how, at, round(turnout_s), tuple(minutes))
    found = _isochrones.get(key)
    if key not in _isochrones:
        limits_s = [60.0 * one for one in minutes]
        found = offload(lambda: isochrones(graph, *at, how, limits_s, before_s=turnout_s))
        _isochrones[key] = found
        while len(_isochrones) > KEPT_MAX:
            _isochrones.popitem(last=False)
    if found is None:
        raise Problem(409, "off-road", f"No road is near {name}.", errors=[_fault(query, "no road is near")])
    features = [
        {
            "type": "Feature",
            "id": i,
            "geometry": json.loads(shapely.to_geojson(shape)),
            "properties": {
                "minutes": one if one % 1 else int(one),
                "from": name,
                "empty": bool(shapely.is_empty(shape)),
            },
        }
        for i, (one, shape) in enumerate(zip(minutes, found, strict=True))
    ]
    body = {
        "type": "FeatureCollection",
        "from": {"name": name, "lon": at[0], "lat": at[1]},
        "mode": how,
        "turnout_s": round(turnout_s),
        "features": features,
    }
    return Response(json.dumps(body), mimetype="application/geo+json")


def _fault(query: IsochronesQuery, message: str) -> dict[str, str]:
    return {"field": "unit" if query.unit is not None else "station", "message": message}


def _from_unit(query: IsochronesQuery) -> tuple[str, tuple[float, float], str, float]:
    """(name, place, mode, turnout) of the unit that was asked for."""
    unit = unit_or_404(query.unit or "")
    fix = core().tracks.last(unit.id)
    at = (fix.lon, fix.lat) if fix is not None else unit.base
    if at is None:
        detail = f"{unit.id} never told where it is, and has no station."
        raise Problem(409, "no-position", detail, errors=[_fault(query, "its position is not known")])
    how = mode(query.profile or unit.profile, unit.lights)
    return unit.id, at, how, core().coverage.turnout_s(unit)


def _from_station(query: IsochronesQuery) -> tuple[str, tuple[float, float], str, float]:
    """The same for a station: of units that have it as theirs, as most of them drive and the soonest of them
    turns out; else of the reference layer, as its kind drives."""
    parts, wanted = core(), query.station or ""
    crews = [u for u in parts.picture.now.units() if u.station == wanted and u.base is not None]
    if crews:
        (profile, lights), _ = Counter((u.profile, u.lights) for u in crews).most_common(1)[0]
        alike = [u for u in crews if (u.profile, u.lights) == (profile, lights)]
        base = alike[0].base or (0.0, 0.0)
        turnout_s = min(parts.coverage.turnout_s(u, standing=True) for u in alike)
        return wanted, base, mode(query.profile or profile, lights), turnout_s
    with Session(parts.engine) as session:
        versions = layers.imports(session, parts.city.info.name, "stations") if parts.city else []
        known, _ = layers.within(session, versions, None, 5_000) if versions else ([], False)
    feature = next((one for one in known if one.ref == wanted), None)
    if feature is None:
        raise Problem(404, "unknown-station", f"There is no station {wanted!r}.")
    point = feature.geometry.representative_point()
    profile = query.profile or PROFILE_OF_KIND.get(str(feature.properties.get("kind")), "car")
    return feature.name or wanted, (point.x, point.y), mode(profile, True), 0.0
