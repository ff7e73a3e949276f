"""The city: what was imported, its map, its addresses, and the catalogue of the domain."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request, send_from_directory
from flask_openapi3 import Tag
from pydantic import Field
from werkzeug.exceptions import NotFound

from app import demo
from app.api import shapes
from app.api.doors import Problem, Strict, blueprint, core, pack, require
from app.native import offload
from gis.address import Place
from gis.city import City

TILES_TYPE = "application/vnd.pmtiles"

TAG = Tag(name="City", description="Streets, addresses, the map, and the words of the trade.")


class AddressQuery(Strict):
    q: str = Field(min_length=1, max_length=200)
    limit: int = Field(default=10, ge=1, le=50)
    lon: float | None = Field(default=None, ge=-180, le=180, description="Nearness breaks ties.")
    lat: float | None = Field(default=None, ge=-90, le=90)


class PointQuery(Strict):
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)


@blueprint.get("/catalogue", tags=[TAG], summary="The whole domain pack")
def get_catalogue() -> Response:
    require("catalogue.read")
    answer = jsonify(pack().catalogue())
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.add_etag()
    answer.make_conditional(request)
    return answer


@blueprint.get("/incident-types", tags=[TAG], summary="Incident types", responses={200: shapes.IncidentTypes})
def list_incident_types() -> Response:
    require("catalogue.read")
    return jsonify(pack().catalogue()["incident_types"])


@blueprint.get("/city", tags=[TAG], summary="Which city, which station")
def get_city() -> Response:
    require("catalogue.read")
    parts = core()
    config = parts.config
    node = {"station": config.station, "station_name": config.station_name, "district": config.district}
    about = {"node": node, "fallback_radio": config.fallback_radio or None, "demo": demo.is_on(parts)}
    city = parts.city
    if city is None:
        return jsonify({"name": None, "tiles": None, **about})
    info = city.info
    return jsonify(
        {
            "name": info.name,
            "bbox": list(info.bbox),
            "center": list(info.centre),
            "addresses": info.counts.get("addresses", 0),
            "counts": info.counts,
            "attribution": info.attribution,
            "imported_at": info.built_at,
            "tiles": _tiles_row(city),
            **about,
        }
    )


def _tiles_row(city: City) -> dict[str, Any] | None:
    tiles = city.tiles
    if tiles is None:
        return None
    version = city.info.tiles_sha256[:16]
    return {
        "url": f"/api/v1/city/tiles?v={version}",
        "min_zoom": tiles.min_zoom,
        "max_zoom": tiles.max_zoom,
    }


class TilesQuery(Strict):
    v: str | None = Field(default=None, max_length=64, description="The version; it may be kept for ever.")


@blueprint.get(
    "/city/tiles",
    tags=[TAG],
    summary="The base map as one PMTiles file, by byte ranges",
    responses={200: {"content": {TILES_TYPE: {}}}, 206: {"content": {TILES_TYPE: {}}}},
)
def get_tiles(query: TilesQuery) -> Response:
    require("catalogue.read")
    city = core().city
    if city is None or city.tiles is None:
        raise Problem(404, "no-tiles", "No city with a base map is in use: straja city import FILE.osm.pbf")
    path = city.tiles.path
    # Imported anew while this process runs, the file is another one: then the tag follows the file.
    version = city.info.tiles_sha256[:16] if city.tiles.is_unchanged() else None
    try:
        answer = send_from_directory(
            path.parent.absolute(), path.name, mimetype=TILES_TYPE, conditional=True, etag=version or True
        )
    except NotFound:
        raise Problem(404, "no-tiles", "The base map is gone: import the city again.") from None
    # What the address names by its version never changes; without one, the browser asks each time.
    is_named = version is not None and query.v == version
    answer.headers["Cache-Control"] = (
        "private, max-age=31536000, immutable" if is_named else "private, no-cache"
    )
    return answer


def _row(place: Place) -> dict[str, Any]:
    return {
        "label": place.label,
        "kind": place.kind,
        "lon": place.lon,
        "lat": place.lat,
        "parts": dict(place.parts),
        "match": place.match,
    }


@blueprint.get(
    "/addresses",
    tags=[TAG],
    summary="Find an address, crossing, landmark or coordinates",
    responses={200: shapes.Addresses},
)
def search_addresses(query: AddressQuery) -> Response:
    require("address.search")
    city = core().city
    if city is None:
        return jsonify([])
    near = (query.lon, query.lat) if query.lon is not None and query.lat is not None else None
    found = offload(lambda: city.addresses.search(query.q, query.limit, near))
    return jsonify([_row(place) for place in found])


@blueprint.get(
    "/addresses/reverse", tags=[TAG], summary="What is at a point", responses={200: shapes.NearAddress}
)
def reverse_address(query: PointQuery) -> Response:
    require("address.search")
    city = core().city
    found = offload(lambda: city.addresses.reverse(query.lon, query.lat)) if city is not None else None
    if found is None:
        raise Problem(404, "nothing-near", "No address or street is near that point.")
    return jsonify({**_row(found), "distance_m": found.distance_m})
