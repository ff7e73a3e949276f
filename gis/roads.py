"""The road graph of a city: OpenStreetMap ways in, numpy arrays on disk out.

Two networks are built, each complete in itself: `drive` for the profiles car, ambulance, fire_engine and bus,
and `foot`. A junction of two footpaths is no junction for an engine, so each network is cut at its own
junctions only. A drive profile has two ways of driving, its *modes*: the bare profile drives like anybody,
`PROFILE_priority` with priority signals, as far as `Driving` goes.

An *edge* is a piece of one way between two junctions, with its polyline, street name and class. Each edge has
two *arcs*: arc `2 * edge` runs along the polyline, arc `2 * edge + 1` against it. What is stored of an arc is
its ordinary speed and who may drive it on what ground; `mode_ms` makes of that, when a city is opened, one
vector of milliseconds a mode, `IMPASSABLE` where it may not go. So what the operator allows needs no new
import, and closing a road is another vector. A junction with turn restrictions has copies (see `gis.turns`):
nodes from which not every arc may be taken, where whoever has driven a restricted arc arrives.

Arrays of a network (E edges, J junctions, N nodes: junctions first, then copies, P polyline points, A = 2 E
arcs, I >= A entries of the search):

    edge_tail, edge_head   int32[E]    junction where the polyline starts and ends
    edge_m                 float32[E]  length, metres
    edge_name              int32[E]    index into names.json, -1 when the street has none
    edge_class             uint8[E]    index into CLASSES
    edge_way               int64[E]    OpenStreetMap way
    point_first            int32[E+1]  the points of edge e are rows point_first[e] .. point_first[e+1]-1
    point_lon_e7, _lat_e7  int32[P]    degrees times 1e7
    point_edge             int32[P]    the edge of the point
    point_m                float32[P]  metres from the start of the edge
    in_first               int32[N+1]  the entries of node n are rows in_first[n] .. in_first[n+1]-1
    in_arc, in_tail        int32[I]    the arc that leads there, and the node it comes from
    in_bars                uint8[I]    bit i set: not for MODES[i], by a turn restriction
    arc_head               int32[A]    the node where a vehicle arrives that sets out on the arc
    copy_next              int32[N]    the next copy of the same junction, -1 after the last
    arc_kmh                float32[A]  free-flow speed of an ordinary car there, 0 where nothing ever drives
    arc_open               uint16[A]   who may drive it on what ground, see `opened`
    node_point             int32[N]    a polyline point where the node lies
    leave_MODE             uint16[V,E] metres by which snapping a unit sets an edge aside (see `_set_aside`),
                                       in the V variants of what may be allowed (see `Driving.variant`)
    arrive_MODE            uint16[V,E] the same when snapping an incident
    order                  uint32[N]   drive only: the nodes in order of contraction (see `gis.cch`); may be
                                       missing, and searches between many are then slower
    grid_first, grid_point int32       square cells over the city: the segments (first points) in each
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gis.geometry import LocalMetres, haversine_m
from gis.turns import Junctions, Member, Restrictions, Turns

IMPASSABLE: Final = 2**32 - 1
UNKNOWN_E7: Final = 2**31 - 1
"""What osmium gives as coordinate of a node that lies outside the extract."""

DRIVE_PROFILES: Final = ("car", "ambulance", "fire_engine", "bus")
FOOT_PROFILES: Final = ("foot",)
PRIORITY: Final = "_priority"
MODES: Final = (*DRIVE_PROFILES, *(profile + PRIORITY for profile in DRIVE_PROFILES))
NETWORK_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(MODES, "drive"),
    **dict.fromkeys(FOOT_PROFILES, "foot"),
}
_PRIVILEGED: Final = len(DRIVE_PROFILES)
_EVERYBODY: Final = (1 << 4 * len(DRIVE_PROFILES)) - 1


def mode(profile: str, priority: bool) -> str:
    """How a vehicle of this profile travels: with priority signals or like anybody. Who walks or flies does
    so either way."""
    return profile + PRIORITY if priority and profile in DRIVE_PROFILES else profile


CELL_M: Final = 150.0
CELLS_MAX: Final = 4_000_000
ISLAND_KM_MIN: Final = 20.0
ISLAND_ASIDE_M: Final = 100
STUB_ASIDE_M: Final = 400
NEVER_ASIDE_M: Final = 65_535

CLASSES: Final = (
    "motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link", "secondary",
    "secondary_link",
    "tertiary", "tertiary_link", "unclassified", "residential", "living_street", "service", "road", "track",
    "busway", "bus_guideway", "emergency_access", "pedestrian", "footway", "cycleway", "path", "steps",
    "bridleway",
    "corridor", "platform", "other",
)  # fmt: skip
_CLASS_INDEX: Final = {name: index for index, name in enumerate(CLASSES)}

# Free-flow speeds of a car where no limit is tagged, km/h. They allow for junctions and lights, so they lie
# under the usual limits; the general shape follows what open routers use for towns.
_CLASS_KMH: Final[Mapping[str, float]] = {
    "motorway": 105, "motorway_link": 55, "trunk": 80, "trunk_link": 45, "primary": 50, "primary_link": 35,
    "secondary": 45, "secondary_link": 35, "tertiary": 40, "tertiary_link": 30, "unclassified": 35,
    "residential": 28, "living_street": 12, "service": 15, "road": 28, "track": 20,
}  # fmt: skip
# What a surface lets an ordinary vehicle drive at most, km/h: supposed, near what open routers use.
_TRACK_KMH: Final[Mapping[str, float]] = {"grade1": 20, "grade2": 15, "grade3": 12, "grade4": 8, "grade5": 5}
_TRACK_KMH_UNSAID: Final = 8.0
_SURFACE_KMH: Final[Mapping[str, float]] = {
    "cobblestone": 30, "unhewn_cobblestone": 20, "sett": 40, "compacted": 40, "unpaved": 25, "gravel": 30,
    "fine_gravel": 30, "pebblestone": 20, "ground": 15, "dirt": 15, "earth": 15, "grass": 10, "sand": 10,
    "mud": 8,
}  # fmt: skip
_NARROW: Final = frozenset({"unclassified", "residential", "living_street", "service", "road", "track"})
# Ways that a vehicle may enter only where a tag says so.
_BY_PERMISSION: Final = frozenset(
    {"busway", "bus_guideway", "emergency_access", "pedestrian", "footway", "cycleway", "path", "bridleway"}
)
_PERMITTED_KMH: Final = 12.0

LIMIT_SHARE: Final = 0.85
"""Share of a tagged limit that is driven on average: lights, bends and waiting."""


@dataclass(frozen=True)
class Driving:
    """What driving with priority signals allows, as the operator sets it: by how many per cent it is faster
    than the same vehicle without; whether ways and lanes for buses are open to it; whether it may drive
    against a one-way street (never on motorways, trunk roads and roundabouts), and then at most how fast."""

    faster_pct: int = 10
    bus_lanes: bool = False
    contra_flow: bool = False
    contra_flow_kmh: int = 20

    @property
    def variant(self) -> int:
        """The row of `leave_MODE` and `arrive_MODE` of a mode with priority; the bare modes have one row."""
        return self.bus_lanes + 2 * self.contra_flow


_VARIANTS: Final = tuple(
    Driving(bus_lanes=bus, contra_flow=contra) for contra in (False, True) for bus in (False, True)
)


@dataclass(frozen=True)
class Vehicle:
    """What a drive profile may do. Figures are stated assumptions, not calibrated on any service's
    records."""

    faster: float  # multiplies a car's speed
    kmh_max: float
    priority_kmh_max: float
    height_m: float
    width_m: float
    mass_t: float
    keys: tuple[str, ...]  # access tags, the most particular first


_ANY_KEYS: Final = ("motor_vehicle", "vehicle", "access")
_BUS_KEYS: Final = ("bus", "psv")
# A gate or lane for emergencies opens to the vehicle, whether its signals are on or not.
VEHICLES: Final[Mapping[str, Vehicle]] = {
    "car": Vehicle(1.0, 130, 130, 1.9, 2.0, 3.0, ("motorcar", *_ANY_KEYS)),
    "ambulance": Vehicle(1.0, 110, 120, 2.9, 2.3, 5.0, ("emergency", *_ANY_KEYS)),
    "fire_engine": Vehicle(0.9, 80, 90, 3.5, 2.55, 18.0, ("emergency", *_ANY_KEYS)),
    "bus": Vehicle(0.8, 80, 80, 3.3, 2.55, 18.0, (*_BUS_KEYS, *_ANY_KEYS)),
}
TURN_KEYS: Final = (
    *(tuple(key for key in VEHICLES[profile].keys if key != "emergency") for profile in DRIVE_PROFILES),
    *(
        (
            "emergency",
            *_BUS_KEYS,
            *(key for key in VEHICLES[profile].keys if key not in ("emergency", *_BUS_KEYS)),
        )
        for profile in DRIVE_PROFILES
    ),
)
"""Whose turn restrictions bind each of MODES, and whose exemptions free it."""

_YES: Final = frozenset(
    {"yes", "permissive", "designated", "official", "destination", "customers", "delivery", "public"}
)
_NO: Final = frozenset(
    {
        "no",
        "private",
        "agricultural",
        "forestry",
        "agricultural;forestry",
        "military",
        "emergency",
        "residents",
        "permit",
    }
)
_WALK_KMH: Final = 5.0
_WALK_CLASS_KMH: Final[Mapping[str, float]] = {"steps": 2.0}
_WALK_ON: Final = frozenset(
    {
        "primary", "primary_link", "secondary", "secondary_link", "tertiary", "tertiary_link", "unclassified",
        "residential", "living_street", "service", "road", "track", "pedestrian", "footway", "path", "steps",
        "bridleway", "corridor", "platform", "cycleway",
    }
)  # fmt: skip
_WALK_WHERE_TAGGED: Final = frozenset({"trunk", "trunk_link", "busway", "bus_guideway"})

_URBAN: Final[Mapping[str, float]] = {
    "urban": 50, "rural": 90, "trunk": 100, "motorway": 130, "living_street": 20, "bicycle_road": 30,
    "walk": 7,
}  # fmt: skip
_BY_COUNTRY: Final[Mapping[str, float]] = {
    "FI:rural": 80, "FI:motorway": 120, "PT:motorway": 120, "PT:trunk": 100, "AT:rural": 100, "CH:rural": 80,
    "CH:motorway": 120, "LI:rural": 80, "DE:rural": 100, "DE:living_street": 7, "AT:living_street": 7,
    "IT:motorway": 130, "IT:trunk": 110, "HU:motorway": 130, "HU:trunk": 110, "GB:nsl_single": 96.6,
    "GB:nsl_dual": 112.7, "GB:motorway": 112.7, "UK:nsl_single": 96.6, "UK:nsl_dual": 112.7,
}  # fmt: skip
_TAGGED_SPEED = re.compile(r"^(\d+(?:\.\d+)?)\s*(mph|km/h|kmh|kph|knots)?$")
_ZONE = re.compile(r"^(?:[a-z]{2}:)?(?:zone:?)?(\d{1,3})$")

_BLOCKS_ALL: Final = frozenset(
    {
        "block", "bollard", "chain", "cycle_barrier", "debris", "full-height_turnstile", "hampshire_gate",
        "jersey_barrier",
        "kissing_gate", "log", "motorcycle_barrier", "planter", "sump_buster", "stile", "turnstile", "wedge",
        "bus_trap",
    }
)  # fmt: skip
_OPENS: Final = frozenset(
    {"gate", "lift_gate", "swing_gate", "sliding_gate", "wicket_gate", "barrier", "yes"}
)

# Tags that decide speeds and permissions: rules are worked out once for each distinct set of them.
_RULE_KEYS: Final = frozenset(
    {
        "highway", "access", "vehicle", "motor_vehicle", "motorcar", "emergency", "bus", "psv", "foot",
        "oneway",
        "oneway:emergency", "oneway:bus", "oneway:psv", "oneway:foot", "junction", "busway", "maxspeed",
        "maxspeed:forward",
        "maxspeed:backward", "maxspeed:type", "source:maxspeed", "zone:maxspeed", "maxheight", "maxwidth",
        "maxweight",
        "service", "sidewalk", "impassable", "area", "surface", "tracktype",
    }
)  # fmt: skip


def limit_kmh(tags: Mapping[str, str], direction: str = "") -> float | None:
    """The speed limit that the tags state, km/h, or None; "none" is infinity. Of several figures the lowest
    counts.

    Reads plain numbers, mph, "walk", "none", country codes ("RO:urban", "FI:rural", "DE:zone30") and, where
    there is no `maxspeed`, the keys that give its source.
    """
    for key in (f"maxspeed:{direction}", "maxspeed", "maxspeed:type", "source:maxspeed", "zone:maxspeed"):
        found = [
            kmh for part in tags.get(key, "").split(";") if (kmh := _one_limit_kmh(part.strip())) is not None
        ]
        if found:
            return min(found)
    return None


def _one_limit_kmh(text: str) -> float | None:
    lowered = text.lower()
    if match := _TAGGED_SPEED.match(lowered):
        kmh = float(match[1]) * {"mph": 1.609344, "knots": 1.852}.get(match[2] or "", 1.0)
        return kmh if kmh >= 1 else None
    if lowered in ("none", "unlimited"):
        return float("inf")
    if lowered == "walk":
        return _URBAN["walk"]
    if text in _BY_COUNTRY:
        return _BY_COUNTRY[text]
    country, _, kind = lowered.partition(":")
    if len(country) == 2 and kind in _URBAN:
        return _URBAN[kind]
    if match := _ZONE.match(lowered):
        return float(match[1])
    return None


def tagged_size_m(text: str) -> float | None:
    """A height or width as tagged ("3.5", "3,5 m", 11'6"), in metres, or a weight in tonnes; None where it is
    neither."""
    match = re.match(r"^(\d+(?:[.,]\d+)?)\s*(?:m|t|meters?)?$", text.strip().lower())
    if match:
        return float(match[1].replace(",", "."))
    feet = re.match(r"^(\d+)'(?:\s*(\d+)\"?)?$", text.strip())
    return (int(feet[1]) * 12 + int(feet[2] or 0)) * 0.0254 if feet else None


def _too_big(tags: Mapping[str, str], vehicle: Vehicle) -> bool:
    for key, size in (
        ("maxheight", vehicle.height_m),
        ("maxwidth", vehicle.width_m),
        ("maxweight", vehicle.mass_t),
    ):
        limit = tagged_size_m(tags[key]) if key in tags else None
        if limit is not None and size > limit:
            return True
    return False


def _allowed(tags: Mapping[str, str], keys: Sequence[str]) -> bool | None:
    """What the most particular access tag says; None when none says anything that is understood."""
    for key in keys:
        value = tags.get(key, "")
        if value in _YES:
            return True
        # An ambulance may use what buses may; a road closed to buses says nothing about it.
        borrowed = key in ("bus", "psv") and keys[0] == "emergency"
        if value in _NO and not borrowed:
            return value == "emergency" and keys[0] == "emergency"
    return None


def _directions(tags: Mapping[str, str], profile: str) -> tuple[bool, bool]:
    """Whether the way is open along and against its direction, as far as one-way rules go. For a drive
    profile, "emergency" for the exemption of emergency vehicles, or "foot"."""
    highway, oneway = tags.get("highway", ""), tags.get("oneway", "")
    if profile == "foot":
        oneway = tags.get("oneway:foot", "no")
    else:
        if not oneway and (highway == "motorway" or tags.get("junction") in ("roundabout", "circular")):
            oneway = "yes"
        if profile == "emergency":
            oneway = tags.get("oneway:emergency", oneway)
        if profile == "bus":
            if tags.get("busway") == "opposite_lane":
                oneway = "no"
            oneway = tags.get("oneway:bus", tags.get("oneway:psv", oneway))
    if oneway in ("yes", "true", "1"):
        return True, False
    if oneway in ("-1", "reverse"):
        return False, True
    if oneway == "reversible":
        return False, False
    return True, True


_ONE_WAY_FOR_ALL: Final = frozenset({"motorway", "motorway_link", "trunk", "trunk_link"})


def _may_drive(tags: Mapping[str, str], keys: Sequence[str]) -> bool:
    """Whether a vehicle with these access keys may use the way, one-way rules apart."""
    highway = tags.get("highway", "")
    is_emergency, is_bus = keys[0] == "emergency", "bus" in keys
    allowed = _allowed(tags, keys)
    if highway in _BY_PERMISSION:
        particular = keys[:-1]  # `access=yes` on a footpath speaks of people on foot
        if highway in ("busway", "bus_guideway") and is_bus and _allowed(tags, particular) is None:
            allowed = highway == "busway" or not is_emergency
        elif highway == "emergency_access" and is_emergency:
            allowed = allowed is not False or tags.get("access") in ("no", "private")
        elif _allowed(tags, particular) is not True:
            return False
    if tags.get("service") == "emergency_access":
        return is_emergency
    return allowed is not False


def _by_level(profile: str) -> tuple[tuple[str, ...], ...]:
    """The access keys of a profile as anybody, with priority signals, and with them on ways for buses."""
    own = VEHICLES[profile].keys
    rest = tuple(key for key in own if key != "emergency")
    signals = ("emergency", *rest)
    return own, signals, ("emergency", *_BUS_KEYS, *(key for key in rest if key not in _BUS_KEYS))


def _surface_kmh(tags: Mapping[str, str]) -> float:
    kmh = _SURFACE_KMH.get(tags.get("surface", ""), float("inf"))
    if tags.get("highway") == "track":
        kmh = min(kmh, _TRACK_KMH.get(tags.get("tracktype", ""), _TRACK_KMH_UNSAID))
    return kmh


def _drive_rules(tags: Mapping[str, str]) -> tuple[float, float, int, int]:
    """An ordinary car's km/h along and against, and the bits of `arc_open` along and against."""
    highway = tags.get("highway", "")
    if (highway not in _CLASS_KMH and highway not in _BY_PERMISSION) or tags.get("impassable") == "yes":
        return 0.0, 0.0, 0, 0
    with_signals = _directions(tags, "emergency")
    as_bus = tuple(map(max, with_signals, _directions(tags, "bus")))
    contra = highway not in _ONE_WAY_FOR_ALL and tags.get("oneway") != "reversible"
    contra = contra and tags.get("junction") not in ("roundabout", "circular")
    bits = [0, 0]
    for i, profile in enumerate(DRIVE_PROFILES):
        if _too_big(tags, VEHICLES[profile]):
            continue
        anybody, signals, buses = (_may_drive(tags, keys) for keys in _by_level(profile))
        ways = _directions(tags, profile)
        for against in (0, 1):
            ordinary = anybody and ways[against]
            privileged = ordinary or (signals and with_signals[against])
            grounds = (ordinary, privileged, buses and as_bus[against], contra and (anybody or signals))
            for level, given in enumerate(grounds):
                bits[against] |= int(given) << (level * _PRIVILEGED + i)
    if not any(bits):
        return 0.0, 0.0, 0, 0
    class_kmh = _CLASS_KMH.get(highway, 40.0 if highway.startswith("bus") else _PERMITTED_KMH)
    speeds = []
    for direction in ("forward", "backward"):
        limit = limit_kmh(tags, direction)
        kmh = class_kmh
        if limit is not None:
            driven = limit * LIMIT_SHARE
            narrow = highway in _NARROW or highway in _BY_PERMISSION or limit == float("inf")
            kmh = min(class_kmh, driven) if narrow else driven
        speeds.append(min(kmh, _surface_kmh(tags)))
    return speeds[0], speeds[1], bits[0], bits[1]


def _walk_kmh(tags: Mapping[str, str]) -> tuple[float, float]:
    highway = tags.get("highway", "")
    allowed = _allowed(tags, ("foot", "access"))
    if highway not in _WALK_ON:
        tagged = tags.get("foot") in _YES or tags.get("sidewalk") in ("yes", "both", "left", "right")
        if highway not in _WALK_WHERE_TAGGED or not tagged:
            return 0.0, 0.0
    if allowed is False:
        return 0.0, 0.0
    kmh = _WALK_CLASS_KMH.get(highway, _WALK_KMH)
    forward, backward = _directions(tags, "foot")
    return kmh * forward, kmh * backward


Rules = tuple[float, float, int, int]


@lru_cache(maxsize=65_536)
def _rules(items: frozenset[tuple[str, str]]) -> tuple[Rules, Rules]:
    """Of the networks `drive` and `foot`: km/h along and against, bits of `arc_open` along and against."""
    tags = dict(items)
    walk = _walk_kmh(tags)
    return _drive_rules(tags), (*walk, int(walk[0] > 0), int(walk[1] > 0))


def opened(
    arc_open: NDArray[np.uint16], mode: str, driving: Driving
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(which arcs the mode may drive, which of them against a one-way street).

    For the i-th profile bit i of `arc_open` says that it may as anybody, bit 4 + i with priority signals, bit
    8 + i with them where bus lanes are allowed, bit 12 + i with them where one-way streets may be driven
    against.
    """
    if NETWORK_OF[mode] == "foot":
        return arc_open != 0, np.zeros(len(arc_open), dtype=bool)
    profile = mode.removesuffix(PRIORITY)
    bit = DRIVE_PROFILES.index(profile)
    if mode == profile:
        return (arc_open >> bit) & 1 == 1, np.zeros(len(arc_open), dtype=bool)
    grounds = 1 << _PRIVILEGED + bit | driving.bus_lanes << 2 * _PRIVILEGED + bit
    with_it = (arc_open & grounds) != 0
    against = ~with_it & ((arc_open >> (3 * _PRIVILEGED + bit)) & 1 == 1) & driving.contra_flow
    return with_it | against, against


def mode_ms(
    edge_m: NDArray[np.float32],
    arc_kmh: NDArray[np.float32],
    arc_open: NDArray[np.uint16],
    mode: str,
    driving: Driving,
) -> NDArray[np.uint32]:
    """Milliseconds of every arc in free flow, uint32[A]; `IMPASSABLE` where the mode may not go."""
    is_open, against = opened(arc_open, mode, driving)
    is_open &= arc_kmh > 0
    kmh = arc_kmh.astype(np.float64)
    if NETWORK_OF[mode] != "foot":
        vehicle = VEHICLES[mode.removesuffix(PRIORITY)]
        if mode.endswith(PRIORITY):
            kmh = np.minimum(
                kmh * (vehicle.faster * (1 + driving.faster_pct / 100)), vehicle.priority_kmh_max
            )
            kmh[against] = np.minimum(kmh[against], driving.contra_flow_kmh)
        else:
            kmh = np.minimum(kmh * vehicle.faster, vehicle.kmh_max)
    ms = np.full(len(arc_kmh), IMPASSABLE, dtype=np.uint32)
    metres = np.repeat(edge_m.astype(np.float64), 2)[is_open]
    ms[is_open] = np.maximum(1, np.ceil(metres * 3600 / kmh[is_open]))
    return ms


def speeds_kmh(tags: Mapping[str, str], driving: Driving | None = None) -> dict[str, tuple[float, float]]:
    """Speed of every mode along and against a way with these tags, km/h; 0 where it may not go."""
    driving = driving or Driving()
    drive, foot = _rules(frozenset((key, tags[key]) for key in _RULE_KEYS & tags.keys()))
    found = {}
    for mode, network in NETWORK_OF.items():
        along, against, *bits = drive if network == "drive" else foot
        # An edge of 1,000 km takes 3.6e9 / kmh milliseconds, whose rounding is far below any digit shown.
        ms = mode_ms(
            np.array([1e6], dtype=np.float32), np.array([along, against], dtype=np.float32),
            np.array(bits, dtype=np.uint16), mode, driving,
        )  # fmt: skip
        one, other = (0.0 if t == IMPASSABLE else 3.6e9 / t for t in ms.tolist())
        found[mode] = (one, other)
    return found


def barrier_passes(tags: Mapping[str, str]) -> int:
    """Who passes a barrier node: bits as in `arc_open` (see `opened`). All ones means no barrier at all."""
    barrier = tags.get("barrier", "")
    passes = 0
    for i, profile in enumerate(DRIVE_PROFILES):
        if _too_big(tags, VEHICLES[profile]):
            continue
        if barrier == "bollard" and tags.get("bollard") == "rising":
            open_by_default = profile != "car"
        elif barrier in _BLOCKS_ALL:
            open_by_default = False
        else:
            open_by_default = not (barrier in _OPENS and tags.get("locked") == "yes")
        said = [_allowed(tags, keys) for keys in _by_level(profile)]
        anybody, signals, buses = (open_by_default if allowed is None else allowed for allowed in said)
        grounds = (anybody, anybody or signals, buses, anybody or signals)
        for level, given in enumerate(grounds):
            passes |= int(given) << (level * _PRIVILEGED + i)
    return passes


@dataclass
class _Ways:
    """The ways of one network as they are read: flat and typed, since there may be a million of them."""

    refs: array[int] = field(default_factory=lambda: array("q"))
    lon_e7: array[int] = field(default_factory=lambda: array("i"))
    lat_e7: array[int] = field(default_factory=lambda: array("i"))
    sizes: array[int] = field(default_factory=lambda: array("i"))
    speeds: array[int] = field(default_factory=lambda: array("i"))
    names: array[int] = field(default_factory=lambda: array("i"))
    classes: array[int] = field(default_factory=lambda: array("B"))
    ways: array[int] = field(default_factory=lambda: array("q"))
    rules: dict[Rules, int] = field(default_factory=dict)
    """Every distinct set of speeds and permissions; `speeds` are its numbers."""

    def add(
        self, way: int, refs: Sequence[int], lon_e7: Sequence[int], lat_e7: Sequence[int],
        rules: Rules, name: int, road_class: int,
    ) -> None:  # fmt: skip
        self.refs.extend(refs)
        self.lon_e7.extend(lon_e7)
        self.lat_e7.extend(lat_e7)
        self.sizes.append(len(refs))
        self.speeds.append(self.rules.setdefault(rules, len(self.rules)))
        self.names.append(name)
        self.classes.append(road_class)
        self.ways.append(way)


class RoadBuilder:
    """Collects the roads of an extract (barrier nodes first, then ways, then turn restrictions) and writes
    the road graph's files."""

    def __init__(self) -> None:
        self._drive = _Ways()
        self._foot = _Ways()
        self._barriers: dict[int, int] = {}
        self._copies: dict[int, int] = {}
        self._names: dict[str, int] = {}
        self._restrictions = Restrictions(TURN_KEYS)

    def add_barrier(self, ref: int, tags: Mapping[str, str]) -> None:
        """Take a node with a `barrier` tag; those that every vehicle passes are forgotten."""
        passes = barrier_passes(tags)
        if passes != _EVERYBODY:
            self._barriers[ref] = passes

    def add_way(
        self,
        way: int,
        tags: Mapping[str, str],
        refs: Sequence[int],
        lon_e7: Sequence[int],
        lat_e7: Sequence[int],
    ) -> None:
        """Take a way with a `highway` tag. Coordinates are `UNKNOWN_E7` where the extract was cut."""
        drive, foot = _rules(frozenset((key, tags[key]) for key in _RULE_KEYS & tags.keys()))
        name = self._name(tags.get("name") or tags.get("ref") or "")
        road_class = _CLASS_INDEX.get(tags.get("highway", ""), _CLASS_INDEX["other"])
        if any(drive[2:]):
            split = self._with_barriers(refs, lon_e7, lat_e7) if self._barriers else (refs, lon_e7, lat_e7)
            self._drive.add(way, *split, drive, name, road_class)
        if any(foot[2:]):
            self._foot.add(way, refs, lon_e7, lat_e7, foot, name, road_class)

    def add_restriction(self, relation: int, tags: Mapping[str, str], members: Sequence[Member]) -> None:
        """Take a relation; those that are no turn restriction are passed over."""
        self._restrictions.add(relation, tags, members)

    def save(self, into: Path) -> dict[str, dict[str, int]]:
        """Write `into` (made here) and return counts by network. Raises ValueError when no vehicle finds a
        road."""
        into.mkdir()
        drive = _arrays(self._drive, MODES, self._barriers, self._copies, self._restrictions)
        if drive is None:
            raise ValueError("no roads")
        counts = {"drive": _save(into / "drive", drive) | self._restrictions.counts()}
        foot = _arrays(self._foot, FOOT_PROFILES, {}, {}, Restrictions([]))
        if foot is not None:
            counts["foot"] = _save(into / "foot", foot)
        (into / "names.json").write_text(json.dumps(list(self._names), ensure_ascii=False), encoding="utf-8")
        return counts

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names)) if name else -1

    def _with_barriers(
        self, refs: Sequence[int], lon_e7: Sequence[int], lat_e7: Sequence[int]
    ) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Give each side of a barrier its own copy of the node (a negative ref), joined to it by an edge of
        no length that carries the barrier's permissions. Ways that merely end at the barrier get one too, so
        that two ways which meet there are not joined behind its back."""
        if self._barriers.keys().isdisjoint(refs):
            return refs, lon_e7, lat_e7
        out: tuple[list[int], list[int], list[int]] = ([], [], [])
        last = len(refs) - 1
        for i, (ref, lon, lat) in enumerate(zip(refs, lon_e7, lat_e7, strict=True)):
            chain = [ref]
            if ref in self._barriers:
                if i > 0:
                    chain.insert(0, self._copy(ref))
                if i < last:
                    chain.append(self._copy(ref))
            for point in chain:
                for column, value in zip(out, (point, lon, lat), strict=True):
                    column.append(value)
        return out

    def _copy(self, ref: int) -> int:
        copy = -1 - len(self._copies)
        self._copies[copy] = ref
        return copy


Arrays = dict[str, NDArray[Any]]
_ARRAYS: Final = frozenset(
    {
        "edge_tail", "edge_head", "edge_m", "edge_name", "edge_class", "edge_way", "point_first",
        "point_lon_e7", "point_lat_e7", "point_edge", "point_m", "in_first", "in_arc", "in_tail", "in_bars",
        "arc_head", "arc_kmh", "arc_open", "copy_next", "node_point",
        "grid_first", "grid_point", "grid_shape",
    }
)  # fmt: skip


def _arrays(
    ways: _Ways,
    modes: Sequence[str],
    barriers: Mapping[int, int],
    copies: Mapping[int, int],
    restrictions: Restrictions,
) -> Arrays | None:
    """The arrays of one network; None when no way has two known nodes in a row."""
    refs = np.asarray(ways.refs)
    lon_e7, lat_e7 = np.asarray(ways.lon_e7), np.asarray(ways.lat_e7)
    way = np.repeat(np.arange(len(ways.sizes), dtype=np.int32), np.asarray(ways.sizes))

    # An extract is cut at its border: nodes outside it have no location. Drop them, and end the run of points
    # there.
    known = (lon_e7 != UNKNOWN_E7) & (lat_e7 != UNKNOWN_E7)
    run = (
        np.cumsum(np.concatenate(([0], (np.diff(way) != 0) | (~known[:-1] & known[1:]))).astype(np.int64))
        if len(refs)
        else way
    )
    refs, lon_e7, lat_e7, way, run = (column[known] for column in (refs, lon_e7, lat_e7, way, run))
    run_size = np.bincount(run, minlength=1) if len(run) else np.zeros(1, dtype=np.int64)
    keep = run_size[run] >= 2 if len(run) else np.zeros(0, dtype=bool)
    refs, lon_e7, lat_e7, way, run = (column[keep] for column in (refs, lon_e7, lat_e7, way, run))
    if len(refs) == 0:
        return None

    node_ref, seen_at, node = np.unique(refs, return_index=True, return_inverse=True)
    first_of_run = np.concatenate(([True], np.diff(run) != 0))
    last_of_run = np.concatenate((np.diff(run) != 0, [True]))
    visits = np.bincount(node) + np.bincount(node[first_of_run | last_of_run], minlength=len(node_ref))
    junction = visits >= 2
    junction |= node_ref < 0
    if barriers:
        junction |= np.isin(node_ref, np.fromiter(barriers, dtype=np.int64))

    start = np.flatnonzero((first_of_run | junction[node]) & ~last_of_run)
    end_of = np.flatnonzero(last_of_run | (junction[node] & ~first_of_run))
    size = end_of - start + 1
    point_first = np.concatenate(([0], np.cumsum(size)))
    source = np.repeat(start - point_first[:-1], size) + np.arange(point_first[-1])
    point_edge = np.repeat(np.arange(len(start)), size)
    tail_all, head_all = node[start], node[end_of]

    # Only junctions become nodes of the graph, near ones with near numbers: what a search comes to next then
    # mostly lies in memory beside what it has just read.
    used = np.zeros(len(node_ref), dtype=bool)
    used[tail_all] = used[head_all] = True
    junctions_at = np.flatnonzero(used)
    nodes = len(junctions_at)
    number = np.full(len(node_ref), -1, dtype=np.int64)
    at = seen_at[junctions_at]
    number[junctions_at[_along_a_curve(lon_e7[at], lat_e7[at])]] = np.arange(nodes)
    tail, head = number[tail_all], number[head_all]

    lon, lat = lon_e7[source] / 1e7, lat_e7[source] / 1e7
    step_m = np.zeros(len(source))
    step_m[1:] = haversine_m(lon[:-1], lat[:-1], lon[1:], lat[1:])
    step_m[point_first[:-1]] = 0.0
    along = np.cumsum(step_m)
    point_m = along - np.repeat(along[point_first[:-1]], size)
    edge_m = point_m[point_first[1:] - 1]

    way_of_edge = way[start]
    rule = np.array(list(ways.rules), dtype=np.float64)[np.asarray(ways.speeds)[way_of_edge]]
    passes = np.full(len(start), _EVERYBODY, dtype=np.uint16)
    if copies:
        # The edge of no length between a barrier and its copy carries the barrier's permissions.
        original = np.array([copies[-1 - i] for i in range(len(copies))], dtype=np.int64)
        tail_ref, head_ref = node_ref[tail_all], node_ref[head_all]
        for copy_ref, other_ref in ((tail_ref, head_ref), (head_ref, tail_ref)):
            gate = copy_ref < 0
            gate[gate] = original[-1 - copy_ref[gate]] == other_ref[gate]
            passes[gate] = [barriers[int(ref)] for ref in other_ref[gate]]

    arrays: Arrays = {
        "edge_tail": tail.astype(np.int32),
        "edge_head": head.astype(np.int32),
        "edge_m": edge_m.astype(np.float32),
        "edge_name": np.asarray(ways.names)[way_of_edge],
        "edge_class": np.asarray(ways.classes)[way_of_edge],
        "edge_way": np.asarray(ways.ways)[way_of_edge],
        "point_first": point_first.astype(np.int32),
        "point_lon_e7": lon_e7[source].astype(np.int32),
        "point_lat_e7": lat_e7[source].astype(np.int32),
        "point_edge": point_edge.astype(np.int32),
        "point_m": point_m.astype(np.float32),
    }
    arrays["arc_kmh"] = rule[:, :2].astype(np.float32).ravel()
    arrays["arc_open"] = arc_open = rule[:, 2:].astype(np.uint16).ravel() & np.repeat(passes, 2)
    opens = np.zeros(2 * len(start), dtype=np.int64)
    for bit, mode in enumerate(modes):
        opens |= opened(arc_open, mode, Driving(bus_lanes=True))[0].astype(np.int64) << bit

    def node_of(ref: int) -> int | None:
        at = int(np.searchsorted(node_ref, ref))
        return int(number[at]) if at < len(node_ref) and node_ref[at] == ref and used[at] else None

    def heading(arc: int, starting: bool) -> float:
        """Degrees clockwise from north, where the arc starts or ends."""
        rows = np.arange(point_first[arc >> 1], point_first[(arc >> 1) + 1])[:: -1 if arc & 1 else 1]
        one, other = rows[:2] if starting else rows[-2:]
        east = (lon[other] - lon[one]) * np.cos(np.radians(lat[one]))
        return float(np.degrees(np.arctan2(east, lat[other] - lat[one])))

    junctions = Junctions(arrays["edge_way"], tail, head, nodes, opens, node_of, heading, edge_m)
    turns = junctions.turns(restrictions)
    order = np.argsort(turns.head, kind="stable")
    sizes = np.bincount(turns.head, minlength=len(turns.copy_next))
    arrays["in_arc"] = turns.arc[order].astype(np.int32)
    arrays["in_tail"] = turns.tail[order].astype(np.int32)
    arrays["in_bars"] = turns.bars[order]
    arrays["in_first"] = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
    arrays["arc_head"] = turns.arc_head.astype(np.int32)
    arrays["copy_next"] = turns.copy_next.astype(np.int32)
    node_point = np.zeros(len(turns.copy_next), dtype=np.int32)
    node_point[head] = point_first[1:] - 1
    node_point[tail] = point_first[:-1]
    copied = np.flatnonzero(turns.copy_next[:nodes] >= 0)
    copy = turns.copy_next[copied]
    while len(copy):
        node_point[copy] = node_point[copied]
        copied, copy = copied[turns.copy_next[copy] >= 0], turns.copy_next[copy]
        copy = copy[copy >= 0]
    arrays["node_point"] = node_point
    for bit, mode in enumerate(modes):
        found = [
            _set_aside(turns, bit, edge_m, opened(arc_open, mode, driving)[0])
            for driving in (_VARIANTS if mode.endswith(PRIORITY) else _VARIANTS[:1])
        ]
        arrays[f"leave_{mode}"] = np.stack([leave for leave, _ in found])
        arrays[f"arrive_{mode}"] = np.stack([arrive for _, arrive in found])
    arrays.update(_grid(arrays))
    if modes == MODES:
        point = node_point.astype(np.int64)
        contracted = contraction_order(turns.tail, turns.head, lon[point], lat[point])
        if contracted is not None:
            arrays["order"] = contracted
    return arrays


def _along_a_curve(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int64]:
    """The order of n points along a curve on which neighbours in the plane are mostly neighbours (Morton,
    1966: the bits of both coordinates in turn), int64[n]."""
    widest = max(int(np.ptp(x)), int(np.ptp(y)), 1)
    code = np.zeros(len(x), dtype=np.uint64)
    for values, shift in ((x, 0), (y, 1)):
        bits = ((values - values.min()).astype(np.float64) * (0xFFFF / widest)).astype(np.uint64)
        for step, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
            bits = (bits | bits << np.uint64(step)) & np.uint64(mask)
        code |= bits << np.uint64(shift)
    return np.argsort(code, kind="stable")


def contraction_order(
    tail: NDArray[Any], head: NDArray[Any], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.uint32] | None:
    """The nodes of a network in the order in which to contract them, uint32[N], by nested dissection; None
    where the package that computes it is missing or fails. `tail` and `head` int[I] are its arcs, `lon` and
    `lat` float64[N] where its nodes lie."""
    low, high = np.minimum(tail, head).astype(np.int64), np.maximum(tail, head).astype(np.int64)
    # Of two nodes it matters only whether they are joined.
    joined = np.unique(low[low != high] * len(lon) + high[low != high])
    low, high = (joined // len(lon)).astype(np.uint32), (joined % len(lon)).astype(np.uint32)
    if not len(joined):
        return np.arange(len(lon), dtype=np.uint32)
    folder = tempfile.mkdtemp(prefix="straja-order-")
    try:
        import pyroutingkit

        topology = pyroutingkit.CCHTopology()
        topology.build(low, high, lat.astype(np.float32), lon.astype(np.float32), len(lon))
        topology.save(folder)
        order = np.fromfile(Path(folder) / "order", dtype=np.uint32)
    except (ImportError, RuntimeError, ValueError, OSError):
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return order if is_order(order, len(lon)) else None


def is_order(order: NDArray[Any], nodes: int) -> bool:
    """Whether every node stands in it once."""
    if order.shape != (nodes,) or (nodes and int(order.max()) >= nodes):
        return False
    return bool((np.bincount(order.astype(np.int64), minlength=nodes) == 1).all())


def _set_aside(
    turns: Turns, bit: int, edge_m: NDArray[np.float64], is_open: NDArray[np.bool_]
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """By how many metres each edge is set aside when snapping a unit, and when snapping an incident.

    The measure is the largest strongly connected part of the network. A unit's edge is not set aside when
    that part can be reached from it, an incident's when it can be reached from that part. An island with
    streets of its own is set aside a little. Stubs and courtyards are set aside much, so that a unit standing
    there is taken to the street it will in truth drive out to. `NEVER_ASIDE_M` where the mode may not go."""
    passable = is_open[turns.arc] & ((turns.bars >> bit) & 1 == 0)
    arc, from_node, to_node = turns.arc[passable], turns.tail[passable], turns.head[passable]
    edge, edges, nodes = arc >> 1, len(edge_m), len(turns.copy_next)
    ones = np.ones(len(arc), dtype=np.int8)
    # Only an import needs them: a server that reads a city is the smaller and the sooner there without.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    graph = coo_matrix((ones, (from_node, to_node)), shape=(nodes, nodes)).tocsr()
    parts, part = connected_components(graph, directed=True, connection="strong")
    inner = part[from_node] == part[to_node]
    part_of_edge = np.full(edges, -1, dtype=np.int64)
    part_of_edge[edge[inner]] = part[to_node[inner]]
    whole = part_of_edge >= 0
    part_m = np.bincount(part_of_edge[whole], weights=edge_m[whole], minlength=parts)
    aside = np.full(edges, NEVER_ASIDE_M, dtype=np.uint16)
    aside[is_open[0::2] | is_open[1::2]] = STUB_ASIDE_M
    islands = np.flatnonzero(whole)
    aside[islands[part_m[part_of_edge[islands]] >= ISLAND_KM_MIN * 1000]] = ISLAND_ASIDE_M
    leave, arrive = aside.copy(), aside
    if whole.any():
        inside = int(np.flatnonzero(part == int(part_m.argmax()))[0])
        reaches, is_reached = np.zeros(nodes, dtype=bool), np.zeros(nodes, dtype=bool)
        reaches[breadth_first_order(graph.T.tocsr(), inside, return_predecessors=False)] = True
        is_reached[breadth_first_order(graph, inside, return_predecessors=False)] = True
        arcs = np.flatnonzero(is_open)
        leave[arcs[reaches[turns.arc_head[arcs]]] >> 1] = 0
        arrive[edge[is_reached[from_node]]] = 0
    return leave, arrive


def _grid(arrays: Arrays) -> Arrays:
    """Square cells over the network, each with the segments whose box touches it."""
    lon, lat = arrays["point_lon_e7"] / 1e7, arrays["point_lat_e7"] / 1e7
    plane = LocalMetres(lon0=float(lon.min()), lat0=float((lat.min() + lat.max()) / 2))
    x, y = plane.to_xy(lon, lat)
    y0 = float(y.min())
    cell_m = CELL_M
    while (int(x.max() / cell_m) + 1) * (int((y.max() - y0) / cell_m) + 1) > CELLS_MAX:
        cell_m *= 2
    column, row = (x / cell_m).astype(np.int64), ((y - y0) / cell_m).astype(np.int64)
    columns, rows = int(column.max()) + 1, int(row.max()) + 1
    segment = np.flatnonzero(np.diff(arrays["point_edge"]) == 0)
    c0, c1 = (
        np.minimum(column[segment], column[segment + 1]),
        np.maximum(column[segment], column[segment + 1]),
    )
    r0, r1 = np.minimum(row[segment], row[segment + 1]), np.maximum(row[segment], row[segment + 1])
    wide = c1 - c0 + 1
    touched = wide * (r1 - r0 + 1)
    nth = np.arange(int(touched.sum())) - np.repeat(np.cumsum(touched) - touched, touched)
    cell = (np.repeat(r0, touched) + nth // np.repeat(wide, touched)) * columns
    cell += np.repeat(c0, touched) + nth % np.repeat(wide, touched)
    order = np.argsort(cell, kind="stable")
    first = np.concatenate(([0], np.cumsum(np.bincount(cell, minlength=columns * rows))))
    south_lat = float(plane.to_lonlat(0.0, y0)[1])
    return {
        "grid_first": first.astype(np.int32),
        "grid_point": np.repeat(segment, touched)[order].astype(np.int32),
        # lon0, lat0 of the south-west corner; metres a degree of longitude and latitude; cell side; columns;
        # rows
        "grid_shape": np.array(
            [plane.lon0, south_lat, plane.x_m_per_degree, plane.y_m_per_degree, cell_m, columns, rows],
            dtype=np.float64,
        ),
    }


def _save(into: Path, arrays: Arrays) -> dict[str, int]:
    into.mkdir()
    for name, values in arrays.items():
        # Through a buffer: on a full disk numpy's own writing fails without saying that it is full.
        packed = io.BytesIO()
        np.save(packed, values)
        (into / f"{name}.npy").write_bytes(packed.getbuffer())
    return {
        "nodes": int(max(arrays["edge_tail"].max(), arrays["edge_head"].max())) + 1,
        "edges": len(arrays["edge_m"]),
        "points": len(arrays["point_edge"]),
        "length_km": int(arrays["edge_m"].sum(dtype=np.float64) / 1000),
    }


def load_network(folder: Path) -> Arrays:
    """The arrays of one network, mapped read-only into memory. Raises OSError or ValueError when one is
    missing, unreadable or of the wrong length."""
    arrays: Arrays = {}
    for file in sorted(folder.glob("*.npy")):
        # numba compiles for plain arrays; a view drops the memmap subclass and keeps the mapping.
        arrays[file.stem] = np.load(file, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    modes = [mode for mode, network in NETWORK_OF.items() if network == folder.name]
    by_mode = {f"{kind}_{mode}" for mode in modes for kind in ("leave", "arrive")}
    if missing := sorted((_ARRAYS | by_mode) - arrays.keys()):
        raise ValueError(f"{folder.name} has no {', '.join(missing)}")
    edges, points, nodes = len(arrays["edge_m"]), len(arrays["point_m"]), len(arrays["copy_next"])
    for name, values in arrays.items():
        variants = len(_VARIANTS) if name.endswith(PRIORITY) else 1
        fits = {
            "edge": len(values) == edges,
            "leave": values.shape == (variants, edges),
            "arrive": values.shape == (variants, edges),
            "point": len(values) == (edges + 1 if name == "point_first" else points),
            "node": len(values) == nodes,
            "order": len(values) == nodes,
            "arc": len(values) == 2 * edges,
            "in": len(values) == (nodes + 1 if name == "in_first" else len(arrays["in_arc"])),
        }
        if not fits.get(name.partition("_")[0], True):
            raise ValueError(f"{folder.name}/{name} has the wrong length {len(values)}")
    return arrays
