"""The nine reference layers of a city, taken from its OpenStreetMap extract.

`layers.geojsonl` in the city's folder holds one GeoJSON feature a line, with the properties layer, ref
("node/123", "way/45", "relation/6"), name, kind and what crews need. What tags mean: the OpenStreetMap wiki.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import osmium
import shapely
from osmium.filter import KeyFilter
from shapely.geometry.base import BaseGeometry

from gis.geometry import CITY_MARGIN_M, Box, in_box
from gis.layers import LAYERS, Feature
from gis.roads import tagged_size_m

FILE: Final = "layers.geojsonl"
TEXT_MAX: Final = 200
"""Characters kept of one property."""

LOW_M: Final = 4.0
"""Clearances up to this height are in the layer of underpasses: ladders and engines are up to 3.5 m high."""

Tags = Mapping[str, str]
Progress = Callable[[str, float], None]

_STATIONS: Final = {
    ("amenity", "fire_station"): "fire",
    ("emergency", "ambulance_station"): "ambulance",
    ("amenity", "police"): "police",
    ("emergency", "mountain_rescue"): "rescue",
    ("emergency", "water_rescue"): "rescue",
}
_WATER: Final = {
    "fire_hydrant": "hydrant",
    "suction_point": "suction_point",
    "fire_water_pond": "pond",
    "water_tank": "tank",
}
_SCHOOLS: Final = frozenset({"school", "kindergarten", "childcare"})
_OLD_BUILDINGS: Final = frozenset(
    {
        "building",
        "house",
        "church",
        "chapel",
        "monastery",
        "mosque",
        "synagogue",
        "castle",
        "fort",
        "fortress",
        "manor",
        "palace",
        "mansion",
        "tower",
        "city_gate",
        "monument",
        "mill",
        "watermill",
        "windmill",
        "theatre",
        "railway_station",
    }
)
_NO_BUILDINGS: Final = frozenset(
    {
        "memorial",
        "wayside_cross",
        "wayside_shrine",
        "tomb",
        "boundary_stone",
        "milestone",
        "ruins",
        "archaeological_site",
        "battlefield",
        "no",
    }
)
_SHELTERS: Final = frozenset({"bomb", "bomb_shelter", "nuclear", "fallout_shelter"})
_DRIVEN: Final = frozenset(
    {
        "motorway",
        "motorway_link",
        "trunk",
        "trunk_link",
        "primary",
        "primary_link",
        "secondary",
        "secondary_link",
        "tertiary",
        "tertiary_link",
        "unclassified",
        "residential",
        "living_street",
        "service",
        "road",
        "track",
        "busway",
    }
)
_WALKED: Final = frozenset({"footway", "path", "pedestrian", "cycleway"})
_GONE: Final = ("disused", "abandoned", "demolished", "ruins")

_COMMON: Final = {
    "operator": ("operator",),
    "phone": ("emergency:phone", "phone", "contact:phone"),
    "opening_hours": ("opening_hours",),
    "access": ("access",),
    "number": ("ref",),
}
_KEPT: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "stations": {},
    "hospitals": {
        "beds": ("beds", "capacity:beds"),
        "emergency": ("emergency",),
        "speciality": ("healthcare:speciality",),
        "helipad": ("helipad",),
    },
    "hydrants": {
        "type": ("fire_hydrant:type",),
        "diameter_mm": ("fire_hydrant:diameter",),
        "pressure": ("fire_hydrant:pressure", "pressure"),
        "flow": ("flow_rate", "fire_hydrant:flow_capacity", "fire_hydrant:flow_rate"),
        "couplings": ("couplings:diameters", "couplings", "fire_hydrant:couplings"),
        "coupling_type": ("couplings:type", "fire_hydrant:coupling_type"),
        "position": ("fire_hydrant:position",),
        "water_source": ("water_source", "fire_hydrant:water_source"),
        "volume": ("water_tank:volume", "volume"),
        "colour": ("colour",),
    },
    "street_lamps": {
        "lamp_type": ("lamp_type", "light:method"),
        "mount": ("lamp_mount", "support"),
        "height_m": ("height",),
        "lights": ("light:count",),
    },
    "traffic_signals": {"direction": ("traffic_signals:direction",), "signals": ("traffic_signals",)},
    "schools": {"capacity": ("capacity",), "min_age": ("min_age",), "max_age": ("max_age",)},
    "heritage": {
        "heritage": ("heritage",),
        "listed_by": ("heritage:operator",),
        "listed_as": ("heritage:ref", "ref:lmi", "ref:RO:lmi"),
        "material": ("building:material",),
    },
    "underpasses": {
        "maxheight": ("maxheight", "maxheight:physical"),
        "maxweight": ("maxweight",),
        "maxwidth": ("maxwidth",),
        "highway": ("highway",),
    },
    "shelters": {"capacity": ("capacity",), "for": ("social_facility:for", "assembly_point:purpose")},
}


def layers_of(tags: Tags, is_line: bool = False) -> Iterator[tuple[str, str]]:
    """The layers that an object with these tags is in, each with its kind there. `is_line`: an open way, or
    a road."""
    if any(tags.get(key) == "yes" for key in _GONE):
        return
    amenity, emergency, highway = tags.get("amenity"), tags.get("emergency"), tags.get("highway")
    for (key, value), kind in _STATIONS.items():
        if tags.get(key) == value:
            yield "stations", kind
            break
    if amenity == "hospital" or tags.get("healthcare") == "hospital":
        yield "hospitals", "hospital"
    elif emergency == "yes" and "clinic" in (amenity, tags.get("healthcare")):
        yield "hospitals", "clinic"
    if emergency in _WATER:
        yield "hydrants", _WATER[emergency]
    if highway == "street_lamp":
        yield "street_lamps", "lamp"
    elif highway == "traffic_signals":
        yield "traffic_signals", "signals"
    if amenity in _SCHOOLS:
        yield "schools", amenity
    if (old := _heritage(tags)) is not None:
        yield "heritage", old
    if (under := _underpass(tags, is_line)) is not None:
        yield "underpasses", under
    if (shelter := _shelter(tags)) is not None:
        yield "shelters", shelter


def _heritage(tags: Tags) -> str | None:
    historic = tags.get("historic", "no")
    listed = tags.get("heritage", "no") != "no" or any(
        key.startswith("ref:") and key.lower().endswith(":lmi") for key in tags
    )
    built = tags.get("building", "no") != "no" and historic not in _NO_BUILDINGS
    if not listed and historic not in _OLD_BUILDINGS and not built:
        return None
    return historic if historic not in ("no", "yes") else "building" if "building" in tags else "listed"


def _underpass(tags: Tags, is_line: bool) -> str | None:
    highway = tags.get("highway")
    low = tagged_size_m(tags.get("maxheight", "")) or tagged_size_m(tags.get("maxheight:physical", ""))
    is_low = low is not None and low <= LOW_M
    if not is_line:
        return "height_limit" if is_low and {"barrier", "highway"} & tags.keys() else None
    tunnel = tags.get("tunnel", "no")
    if highway in _DRIVEN:
        if tunnel == "building_passage":
            return "building_passage"
        return "road" if tunnel not in ("no", "culvert") else "low_clearance" if is_low else None
    return "pedestrian" if highway in _WALKED and tunnel in ("yes", "underpass") else None


def _shelter(tags: Tags) -> str | None:
    if tags.get("emergency") == "assembly_point" or tags.get("emergency:waiting_area") == "yes":
        return "assembly_point"
    kinds = {tags.get("shelter_type"), tags.get("bunker_type"), tags.get("emergency")}
    if kinds & _SHELTERS:
        return "bomb_shelter"
    designated = tags.get("emergency:social_facility") or tags.get("social_facility")
    if designated == "shelter" or tags.get("emergency:shelter_area") == "yes":
        return "accommodation"
    return None


@dataclass(slots=True)
class _One:
    layer: str
    kind: str
    ref: str
    tags: dict[str, str]
    geometry: BaseGeometry


def extract_layers(
    source: Path, kind: str, building: Path, bbox: Box, progress: Progress = lambda step, done: None
) -> dict[str, int]:
    """Read the extract `source` (of the osmium format `kind`) once more and write `layers.geojsonl` into the
    folder `building`; how many features each layer has, as `layer_NAME`. What lies more than 5 km outside
    `bbox` is left out."""
    progress("layers", 0.0)
    found = _read(source, kind)
    counts = dict.fromkeys((f"layer_{layer}" for layer in LAYERS), 0)
    with (building / FILE).open("w", encoding="utf-8") as out:
        for one in _without_doubles(found):
            at = one.geometry.representative_point()
            if not in_box(at.x, at.y, bbox, CITY_MARGIN_M):
                continue
            counts[f"layer_{one.layer}"] += 1
            geometry = shapely.to_geojson(shapely.set_precision(one.geometry, 1e-7, mode="pointwise"))
            words = {
                "layer": one.layer,
                "ref": one.ref,
                "name": one.tags.get("name", "")[:TEXT_MAX] or None,
                "kind": one.kind,
            }
            text = json.dumps(words | _properties(one), ensure_ascii=False, separators=(",", ":"))
            out.write(f'{{"type":"Feature","properties":{text},"geometry":{geometry}}}\n')
    progress("layers", 1.0)
    return counts


def _properties(one: _One) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, keys in {**_KEPT[one.layer], **_COMMON}.items():
        value = next((one.tags[key] for key in keys if one.tags.get(key)), None)
        if value is not None:
            kept[name] = value[:TEXT_MAX]
    street, number = one.tags.get("addr:street"), one.tags.get("addr:housenumber")
    if street:
        kept["address"] = " ".join(part for part in (street, number) if part)[:TEXT_MAX]
    height_m = tagged_size_m(one.tags.get("maxheight", ""))
    if one.layer == "underpasses" and height_m is not None:
        kept["maxheight_m"] = round(height_m, 2)
    return kept


_KEYS: Final = (
    "amenity",
    "healthcare",
    "emergency",
    "historic",
    "heritage",
    "ref:lmi",
    "ref:RO:lmi",
    "shelter_type",
    "bunker_type",
    "social_facility",
    "emergency:social_facility",
    "emergency:waiting_area",
    "emergency:shelter_area",
    "maxheight",
    "maxheight:physical",
)


def _read(source: Path, kind: str) -> list[_One]:
    found: list[_One] = []
    cut: dict[str, _One] = {}
    # Every street is a highway, and none of them is looked at but the tunnels and low ones.
    wanted_nodes, wanted_rest = KeyFilter(*_KEYS, "highway"), KeyFilter(*_KEYS, "tunnel")
    wanted_nodes.enable_for(osmium.osm.NODE)
    wanted_rest.enable_for(osmium.osm.WAY | osmium.osm.AREA)
    reading = osmium.FileProcessor(osmium.io.File(str(source), kind)).with_areas(KeyFilter(*_KEYS))
    for thing in reading.with_filter(wanted_nodes).with_filter(wanted_rest):
        tags = {tag.k: tag.v for tag in thing.tags}
        if isinstance(thing, osmium.osm.Node):
            kinds = list(layers_of(tags))
            if kinds and thing.location.valid():
                ref, shape = f"node/{thing.id}", shapely.Point(thing.lon, thing.lat)
                found += (_One(layer, kind_there, ref, tags, shape) for layer, kind_there in kinds)
        elif isinstance(thing, osmium.osm.Way):
            nodes = [(node.lon, node.lat) for node in thing.nodes if node.location.valid()]
            is_area = thing.is_closed() and "highway" not in tags
            for layer, kind_there in layers_of(tags, is_line=not is_area):
                ref = f"way/{thing.id}"
                if is_area:
                    # Kept until its area comes; it never does where the extract cut some of its nodes away.
                    if nodes:
                        shape = shapely.MultiPoint(nodes).centroid
                        cut[f"{layer} {ref}"] = _One(layer, kind_there, ref, tags, shape)
                elif len(set(nodes)) > 1:
                    found.append(_One(layer, kind_there, ref, tags, shapely.LineString(nodes)))
        elif isinstance(thing, osmium.osm.Area):
            ref = f"{'way' if thing.from_way() else 'relation'}/{thing.orig_id()}"
            kinds = [k for k in layers_of(tags) if k[0] != "underpasses"]
            outline = _outline(thing) if kinds else None
            if outline is not None:
                for layer, kind_there in kinds:
                    cut.pop(f"{layer} {ref}", None)
                    found.append(_One(layer, kind_there, ref, tags, outline))
    return found + list(cut.values())


def _outline(area: osmium.osm.Area) -> BaseGeometry | None:
    polygons = []
    for outer in area.outer_rings():
        inner = [[(n.lon, n.lat) for n in ring] for ring in area.inner_rings(outer)]
        polygons.append(shapely.Polygon([(n.lon, n.lat) for n in outer], inner))
    if not polygons:
        return None
    shape: BaseGeometry = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
    return shape if shape.is_valid else shapely.make_valid(shape)


def _without_doubles(found: list[_One]) -> Iterator[_One]:
    """Drop what is drawn twice: a node, or a smaller outline, inside an outline of the same kind and name."""
    outlines = [one for one in found if one.geometry.geom_type in ("Polygon", "MultiPolygon")]
    tree = shapely.STRtree([one.geometry for one in outlines])
    for one in found:
        around = () if one.geometry.geom_type == "LineString" else tree.query(one.geometry, "within")
        if not any(_repeats(one, outlines[index]) for index in around):
            yield one


def _repeats(one: _One, outline: _One) -> bool:
    """Whether what lies in the outline says nothing that the outline does not."""
    if (one.layer, one.kind) != (outline.layer, outline.kind) or one.ref == outline.ref:
        return False
    name, other = one.tags.get("name"), outline.tags.get("name")
    if one.geometry.geom_type == "Point":
        return name == other or None in (name, other)
    # Of two equal outlines one stays.
    larger = (outline.geometry.area, outline.ref) > (one.geometry.area, one.ref)
    return name is not None and name == other and larger


def read_layers(folder: Path) -> dict[str, list[Feature]]:
    """The layers of an imported city, all nine of them. Raises OSError or ValueError where the file is not
    whole."""
    layers: dict[str, list[Feature]] = {layer: [] for layer in LAYERS}
    with (folder / FILE).open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            words = one["properties"]
            geometry = shapely.from_geojson(json.dumps(one["geometry"]))
            layer, ref, name = words.pop("layer"), words.pop("ref"), words.pop("name")
            layers[layer].append(Feature(ref, name, geometry, words))
    return layers
