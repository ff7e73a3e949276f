"""What is in the way, laid over the roads: obstacles to arcs, and the view of the road graph that keeps to
them.

An obstacle closes whole arcs: what is cut anywhere is closed to through traffic. Who stands on such a street,
or is awaited there, is not lost: from the open part the street is left by its open end; from inside the
obstacle a vehicle gets to others inside by the streets inside, and to the rest by the nearest open street.
What an obstacle leaves open beside it and yet cuts off (a stub, a one-way street that begins inside) is a
*pocket*: an incident there is reached from the nearest street that one can get to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from gis.geometry import Box, FloatArray, LocalMetres, explain_outside, is_position
from gis.roads import (
    DRIVE_PROFILES,
    FOOT_PROFILES,
    IMPASSABLE,
    NETWORK_OF,
    NEVER_ASIDE_M,
    PRIORITY,
    Arrays,
)
from gis.travel import (
    ROAD,
    SCENE_ACCESS_MPS,
    UNIT_ACCESS_MPS,
    RoadGraph,
    Route,
    Snaps,
    Soonest,
    Travel,
    cut_off,
)

POINTS_MAX: Final = 2_000
RADIUS_MAX_M: Final = 5_000.0
LENGTH_MAX_M: Final = 50_000.0
AREA_MAX_KM2: Final = 100.0
OUTSIDE_M: Final = 5_000.0
"""How far outside the city's streets an obstacle may reach."""

FOLLOWS_M: Final = 8.0
"""How near to a street a line must run to follow it: hand-drawn lines and both carriageways of an avenue."""
FOLLOWS_COS: Final = math.cos(math.radians(35))
"""And how nearly parallel: a street that merely crosses the line is not followed."""
FOLLOWED_MIN_M: Final = 15.0
"""Metres of a street that a line must follow for the street to be closed, or half of a shorter street."""
POCKET_NODES: Final = 60
"""What is cut off with more junctions than this (a few blocks) is a
part of the city of its own, with its own incidents and units, and no pocket."""
STEP_M: Final = 3.0
"""How finely streets are looked at where they are cut."""
NAMED_AT: Final = np.linspace(0.05, 0.95, 7)
"""Where along a line its streets are asked for, as fractions."""

BITS: Final = {"both": 3, "along": 1, "against": 2}


class BadShape(ValueError):
    """A geometry that cannot be an obstacle. `code` is stable, `field` is what to change."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something in force. `shape` is WKB in degrees (a LineString or an area), `classes` the base profiles
    that it holds up, `speed_share` the share of the usual speed left to them (None: they may not pass),
    `entry` the capabilities with which one may go in all the same. `one_way`: only that direction of the
    streets that a line follows in which it was drawn."""

    id: str
    kind: str
    shape: bytes
    classes: frozenset[str]
    speed_share: float | None = None
    entry: frozenset[str] = frozenset()
    one_way: bool = False
    staging: tuple[float, float] | None = None
    """(lon, lat) where those wait whom a hazard zone keeps out."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The k edges of one network that an obstacle meets: between which fractions (`low`, `high` float64[k]),
    over what `share` of the edge, and in which directions (`bits` uint8[k]: 1 arc 2e, 2 arc 2e+1)."""

    edge: NDArray[np.int64]
    low: FloatArray
    high: FloatArray
    share: FloatArray
    bits: NDArray[np.uint8]


Cuts = MutableMapping[tuple[str, bytes, bool], Cut]
"""By network and shape: finding what an obstacle meets is done once."""


# ---- what was drawn


def read_shape(geometry: Mapping[str, Any], box: Box | None = None, field: str = "geometry") -> BaseGeometry:
    """A GeoJSON Point with `radius_m`, LineString or Polygon as the shape that it stands for, in degrees (a
    point becomes a circle). `box` is the city's, None where there is none. Raises BadShape naming the field.
    """
    kind = geometry.get("type")
    coordinates = geometry.get("coordinates")
    where = f"{field}.coordinates"
    if kind == "Point":
        points = _positions([coordinates], where)
        radius_m: Any = geometry.get("radius_m")
        is_number = isinstance(radius_m, (int, float)) and not isinstance(radius_m, bool)
        # A whole number may be larger than any float; a comparison takes it all the same.
        if not is_number or radius_m != radius_m or abs(radius_m) == math.inf:
            raise BadShape("bad-radius", f"{field}.radius_m", "A point needs its radius_m in metres.")
        if not 1.0 <= radius_m <= RADIUS_MAX_M:
            said = f"radius_m must be from 1 to {RADIUS_MAX_M:.0f} m."
            raise BadShape("too-large" if radius_m > 1 else "bad-radius", f"{field}.radius_m", said)
        _check_inside(points, box, where)
        plane = LocalMetres(*points[0])
        return _in_degrees(shapely.Point(0.0, 0.0).buffer(float(radius_m), quad_segs=16), plane)
    if kind == "LineString":
        points = _positions(coordinates, where)
        if len(set(points)) < 2:
            raise BadShape("bad-geometry", where, "A line needs two different points.")
        _check_inside(points, box, where)
        line: BaseGeometry = shapely.LineString(points)
        length_m = shapely.length(_in_metres(line, LocalMetres(*points[0])))
        if length_m > LENGTH_MAX_M:
            said = f"A line of {length_m / 1000:.0f} km; {LENGTH_MAX_M / 1000:.0f} km is the most."
            raise BadShape("too-large", where, said)
        return line
    if kind == "Polygon":
        if not isinstance(coordinates, (list, tuple)) or not coordinates:
            raise BadShape("bad-geometry", where, "A polygon is a list of rings.")
        if sum(len(ring) for ring in coordinates if isinstance(ring, (list, tuple))) > POINTS_MAX:
            raise _too_many(where)
        rings = [_positions(ring, f"{where}.{i}") for i, ring in enumerate(coordinates)]
        for i, ring in enumerate(rings):
            if ring[0] != ring[-1]:
                said = "The ring is open: its last point must be its first."
                raise BadShape("ring-open", f"{where}.{i}", said)
            if len(ring) < 4:
                raise BadShape("bad-geometry", f"{where}.{i}", "A ring has four points or more.")
            _check_inside(ring, box, f"{where}.{i}")
        area: BaseGeometry = shapely.Polygon(rings[0], rings[1:])
        if not area.is_valid or area.area == 0.0:
            said = f"The outline crosses itself or encloses nothing ({explain_validity(area)})."
            raise BadShape("crosses-itself", where, said)
        km2 = shapely.area(_in_metres(area, LocalMetres(*rings[0][0]))) / 1e6
        if km2 > AREA_MAX_KM2:
            said = f"An area of {km2:.0f} km2; {AREA_MAX_KM2:.0f} km2 is the most."
            raise BadShape("too-large", where, said)
        return area
    raise BadShape("bad-geometry", f"{field}.type", "Draw a Point, a LineString or a Polygon.")


def _too_many(field: str) -> BadShape:
    return BadShape("too-many-points", field, f"More than {POINTS_MAX} points; draw it more simply.")


def _positions(given: Any, field: str) -> list[tuple[float, float]]:
    if not isinstance(given, (list, tuple)) or not given:
        raise BadShape("bad-geometry", field, "A list of [longitude, latitude] is missing.")
    if len(given) > POINTS_MAX:
        raise _too_many(field)
    found = []
    for i, point in enumerate(given):
        is_pair = isinstance(point, (list, tuple)) and len(point) == 2
        if not is_pair or any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in point):
            raise BadShape("bad-geometry", f"{field}.{i}", "A point is [longitude, latitude], two numbers.")
        if not all(abs(x) <= 360 for x in point) or not is_position(*point):
            raise BadShape("bad-geometry", f"{field}.{i}", "That is no place on Earth, in degrees.")
        found.append((float(point[0]), float(point[1])))
    return found


def _check_inside(points: Sequence[tuple[float, float]], box: Box | None, field: str) -> None:
    for lon, lat in points if box is not None else ():
        outside = explain_outside(lon, lat, box, OUTSIDE_M) if box is not None else None
        if outside is not None:
            hint = " Longitude and latitude look swapped." if outside == "swapped" else ""
            raise BadShape(f"outside-city-{outside}", field, f"It lies outside the city.{hint}")


def _in_metres(shape: BaseGeometry, plane: LocalMetres) -> BaseGeometry:
    return shapely.transform(shape, lambda xy: np.column_stack(plane.to_xy(xy[:, 0], xy[:, 1])))


def _in_degrees(shape: BaseGeometry, plane: LocalMetres) -> BaseGeometry:
    return shapely.transform(shape, lambda xy: np.column_stack(plane.to_lonlat(xy[:, 0], xy[:, 1])))


# ---- which streets it meets


def cut(a: Arrays, shape: BaseGeometry, one_way: bool = False) -> Cut:
    """The edges of a network that a shape in degrees meets. An area (a circle too) meets every street that
    it touches. A line meets the streets that it follows; one that follows none is a barrier, and meets those
    that it crosses."""
    west, south, east, north = shape.bounds
    plane = LocalMetres((west + east) / 2, (south + north) / 2)
    flat = _in_metres(shape, plane)
    is_line = flat.geom_type == "LineString"
    edges = _near(a, shape.bounds, FOLLOWS_M if is_line else 0.0)
    if not len(edges):
        return _no_cut()
    sizes = (a["point_first"][edges + 1] - a["point_first"][edges]).astype(np.int64)
    of = np.repeat(np.arange(len(edges)), sizes)
    row = np.arange(len(of)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + a["point_first"][edges][of]
    x, y = plane.to_xy(a["point_lon_e7"][row] / 1e7, a["point_lat_e7"][row] / 1e7)
    streets: NDArray[Any] = np.asarray(shapely.linestrings(x, y, indices=of))
    shapely.prepare(flat)
    if is_line:
        followed = _followed(edges, streets, flat, one_way)
        if len(followed.edge):
            return followed
    met = np.asarray(shapely.intersects(flat, streets))
    whole = np.asarray(shapely.contains_properly(flat, streets)) & (not is_line)
    edges, streets, whole = edges[met], streets[met], whole[met]
    low, high, share = np.zeros(len(edges)), np.ones(len(edges)), np.ones(len(edges))
    part = np.flatnonzero(~whole)
    if len(part):
        low[part], high[part], share[part] = _between(streets[part], flat, is_line)
    return Cut(edges, low, high, share, np.full(len(edges), BITS["both"], dtype=np.uint8))


def streets_at(roads: RoadGraph, shape: BaseGeometry) -> list[str]:
    """The names of the streets where a shape in degrees lies, at the most two: those that run along most of a
    line, the one nearest to the middle of an area. Empty where none within reach of the roads has a name."""
    at: Any = shape.centroid
    if isinstance(shape, shapely.LineString):
        at = shapely.line_interpolate_point(shape, NAMED_AT, normalized=True)
    lon, lat = shapely.get_coordinates(at).T
    edges = roads.snap(lon, lat, "car").edge
    named = roads.arrays("car")["edge_name"][edges[edges >= 0]]
    often = Counter(roads.names[name] for name in named.tolist() if name >= 0)
    return [name for name, _ in often.most_common(2)]


def _no_cut() -> Cut:
    none = np.empty(0)
    return Cut(np.empty(0, dtype=np.int64), none, none, none, np.empty(0, dtype=np.uint8))


def _near(a: Arrays, bounds: Box, margin_m: float) -> NDArray[np.int64]:
    """Edges with a piece in a grid cell that the box touches."""
    lon0, lat0, kx, ky, cell = (float(v) for v in a["grid_shape"][:5])
    columns, rows = int(a["grid_shape"][5]), int(a["grid_shape"][6])
    west, south, east, north = bounds
    c0 = max(0, math.floor(((west - lon0) * kx - margin_m) / cell))
    c1 = min(columns - 1, math.floor(((east - lon0) * kx + margin_m) / cell))
    r0 = max(0, math.floor(((south - lat0) * ky - margin_m) / cell))
    r1 = min(rows - 1, math.floor(((north - lat0) * ky + margin_m) / cell))
    if c0 > c1 or r0 > r1:
        return np.empty(0, dtype=np.int64)
    first = a["grid_first"]
    found = [
        a["grid_point"][first[r * columns + c0] : first[r * columns + c1 + 1]] for r in range(r0, r1 + 1)
    ]
    return np.unique(a["point_edge"][np.concatenate(found)]).astype(np.int64)


def _samples(streets: NDArray[Any]) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """(street, fraction, step as a fraction) of points evenly along each, `STEP_M` apart or closer."""
    lengths = shapely.length(streets)
    counts = np.clip(np.ceil(lengths / STEP_M), 3, 10_000).astype(np.int64)
    of = np.repeat(np.arange(len(streets)), counts)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    return of, (nth + 0.5) / counts[of], 1.0 / counts


def _points_along(
    streets: NDArray[Any], of: NDArray[np.int64], fraction: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(x, y) of the points at those fractions of the streets `of`, street by street in rising order. Many
    points at once are found quicker so than one by one."""
    corners, street = shapely.get_coordinates(streets, return_index=True)
    step_m = np.hypot(*np.diff(corners, axis=0).T)
    step_m[np.diff(street) != 0] = 0.0
    driven_m = np.concatenate(([0.0], np.cumsum(step_m)))
    first = np.searchsorted(street, np.arange(len(streets)))
    last = np.append(first[1:], len(street)) - 1
    at_m = driven_m[first[of]] + fraction * (driven_m[last] - driven_m[first])[of]
    behind = np.clip(np.searchsorted(driven_m, at_m, side="right") - 1, first[of], last[of] - 1)
    share = (at_m - driven_m[behind]) / np.maximum(step_m[behind], 1e-9)
    at = corners[behind] + np.clip(share, 0.0, 1.0)[:, None] * (corners[behind + 1] - corners[behind])
    return at[:, 0], at[:, 1]


def _span(
    count: int, of: NDArray[np.int64], fraction: FloatArray, step: FloatArray, hit: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(low, high, share) of the samples that hit, by street; low > high where none did."""
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, of[hit], fraction[hit])
    np.maximum.at(high, of[hit], fraction[hit])
    share = np.bincount(of[hit], minlength=count) * step
    return np.maximum(0.0, low - step / 2), np.minimum(1.0, high + step / 2), share


def _between(
    streets: NDArray[Any], flat: BaseGeometry, is_line: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    count = len(streets)
    if is_line:
        low, high, share = np.full(count, np.inf), np.full(count, -np.inf), np.zeros(count)
    else:
        of, fraction, step = _samples(streets)
        x, y = _points_along(streets, of, fraction)
        low, high, share = _span(count, of, fraction, step, shapely.contains_xy(flat, x, y))
    # Cut between two samples, or by a line alone: a spot.
    for i in np.flatnonzero(low > high):
        spot = shapely.intersection(streets[i], flat)
        point = shapely.point_on_surface(spot)
        low[i] = high[i] = shapely.line_locate_point(streets[i], point, normalized=True)
    return low, high, share


def _followed(edges: NDArray[np.int64], streets: NDArray[Any], flat: BaseGeometry, one_way: bool) -> Cut:
    near = shapely.dwithin(streets, flat, FOLLOWS_M)
    edges, streets = edges[near], streets[near]
    if not len(edges):
        return _no_cut()
    of, fraction, step = _samples(streets)
    lengths = shapely.length(streets)
    at = shapely.line_interpolate_point(streets[of], fraction, normalized=True)
    ahead = np.minimum(1.0, fraction + step[of] / 2)
    behind = np.maximum(0.0, fraction - step[of] / 2)
    own = _direction(streets[of], behind * lengths[of], ahead * lengths[of])
    where = shapely.line_locate_point(np.array([flat], dtype=object), at)
    drawn = _direction(np.full(len(of), flat), np.maximum(0.0, where - 1.0), where + 1.0)
    cos = (own * drawn).sum(axis=1)
    # Beyond either end of the line nothing is followed: there the nearest point is the end itself.
    within = (where > 1e-6) & (where < flat.length - 1e-6)
    hit = within & (np.abs(cos) >= FOLLOWS_COS) & (shapely.distance(at, flat) <= FOLLOWS_M)
    low, high, share = _span(len(edges), of, fraction, step, hit)
    enough = share * lengths >= np.minimum(FOLLOWED_MIN_M, lengths / 2)
    enough &= share > 0
    ways = np.bincount(of[hit], weights=np.sign(cos[hit]), minlength=len(edges))
    bits = np.full(len(edges), BITS["both"])
    if one_way:
        bits = np.where(ways >= 0, BITS["along"], BITS["against"])
    return Cut(edges[enough], low[enough], high[enough], share[enough], bits[enough].astype(np.uint8))


def _direction(lines: NDArray[Any], start_m: FloatArray, end_m: FloatArray) -> FloatArray:
    a = shapely.get_coordinates(shapely.line_interpolate_point(lines, start_m))
    b = shapely.get_coordinates(shapely.line_interpolate_point(lines, end_m))
    way = b - a
    return way / np.maximum(1e-9, np.hypot(way[:, 0], way[:, 1]))[:, None]


# ---- the roads with it


def apply(
    graph: RoadGraph,
    obstacles: Sequence[Obstacle],
    factors: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    version: Hashable = None,
    cuts: Cuts | None = None,
) -> RoadGraph:
    """A view of `graph` with every arc's time multiplied by `factors` (by mode, float32[A]) and the obstacles
    in the way. `cuts` keeps what was found for each obstacle from one view to the next. A shape that cannot
    be read is passed over. Takes time by how many streets the obstacles meet, not by how large the city is.
    """
    base = graph
    if factors:
        timed = {mode: _times(graph.ms(mode), factor) for mode, factor in factors.items()}
        base = graph.with_ms(timed, version=(version, "times"))
    if not obstacles:
        return base if factors else graph
    found = cuts if cuts is not None else {}
    met: dict[str, list[tuple[Obstacle, Cut]]] = {}
    for mode in NETWORK_OF:
        profile = mode.removesuffix(PRIORITY)
        ours = [o for o in obstacles if profile in o.classes]
        if not ours:
            continue
        try:
            a = graph.arrays(mode)
        except ValueError:
            continue
        # What slows comes first, so that what closes has the last word.
        ours.sort(key=lambda o: o.speed_share is None)
        met[mode] = [(o, _cut_once(found, NETWORK_OF[mode], a, o)) for o in ours]
    return ClosedRoads.over(base, met, version) if met else base


def _obstructed(ms: NDArray[np.uint32], met: Sequence[tuple[Obstacle, Cut]]) -> NDArray[np.uint32]:
    new = ms.copy()
    for obstacle, cut_ in met:
        for bit, arc in ((1, 2 * cut_.edge), (2, 2 * cut_.edge + 1)):
            on = (cut_.bits & bit) > 0
            if obstacle.speed_share is None:
                new[arc[on]] = IMPASSABLE
            else:
                new[arc[on]] = _slowed(new[arc[on]], cut_.share[on], obstacle.speed_share)
    new.flags.writeable = False
    return new


class _Obstructed(Mapping[str, NDArray[np.uint32]]):
    """Milliseconds by mode with obstacles in the way, worked out for those modes that are asked about."""

    def __init__(self, base: RoadGraph, met: Mapping[str, Sequence[tuple[Obstacle, Cut]]]) -> None:
        self._base, self._met = base, met
        self._known: dict[str, NDArray[np.uint32]] = {}

    def __getitem__(self, mode: str) -> NDArray[np.uint32]:
        if (known := self._known.get(mode)) is None:
            if mode not in self._met:
                return self._base._changed[mode]
            known = self._known.setdefault(mode, _obstructed(self._base.ms(mode), self._met[mode]))
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._base._changed, *self._met)))

    def __len__(self) -> int:
        return len(set(self._base._changed) | set(self._met))


def _cut_once(cuts: Cuts, network: str, a: Arrays, obstacle: Obstacle) -> Cut:
    key = (network, obstacle.shape, obstacle.one_way)
    if (met := cuts.get(key)) is None:
        try:
            met = cut(a, shapely.from_wkb(obstacle.shape), obstacle.one_way)
        except shapely.errors.GEOSException:
            met = _no_cut()
        cuts[key] = met
    return met


def _times(ms: NDArray[np.uint32], factor: NDArray[np.float32]) -> NDArray[np.uint32]:
    timed = np.clip(np.rint(ms * factor.astype(np.float64)), 1, IMPASSABLE - 1)
    return np.where(ms == IMPASSABLE, IMPASSABLE, timed).astype(np.uint32)


def _slowed(ms: NDArray[np.uint32], share: FloatArray, speed_share: float) -> NDArray[np.uint32]:
    slower = np.clip(np.rint(ms * (1.0 + share * (1.0 / speed_share - 1.0))), 1, IMPASSABLE - 1)
    return np.where(ms == IMPASSABLE, IMPASSABLE, slower).astype(np.uint32)


def _united(cuts: Sequence[Cut], edges: int) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """(the edges that any of these meets, from and to which fraction float64[E] each is cut)."""
    low, high = np.full(edges, np.inf), np.full(edges, -np.inf)
    for met in cuts:
        np.minimum.at(low, met.edge, met.low)
        np.maximum.at(high, met.edge, met.high)
    return np.unique(_edges_met(cuts)), low, high


def _edges_met(cuts: Sequence[Cut]) -> NDArray[np.int64]:
    """The edges that each of these meets, one after the other."""
    return np.concatenate([met.edge for met in cuts]) if cuts else np.empty(0, dtype=np.int64)


class ClosedRoads(RoadGraph):
    """A view in which some streets are closed, and who stands on one of them still gets away. Snaps for its
    `nearest` and `times` must be its own: on another view the same place may lie on an open street."""

    _base: RoadGraph
    _met: Mapping[str, Sequence[tuple[Obstacle, Cut]]]
    _spans: Mapping[str, Sequence[Cut]]
    _shut: dict[str, tuple[NDArray[np.bool_], FloatArray, FloatArray]]
    _inner: dict[str, RoadGraph]
    _pockets: dict[tuple[str, bool], NDArray[np.bool_]]
    _ends: dict[tuple[int, ...], tuple[NDArray[np.int64], FloatArray, FloatArray]]

    @classmethod
    def over(
        cls,
        base: RoadGraph,
        met: Mapping[str, Sequence[tuple[Obstacle, Cut]]],
        version: Hashable,
    ) -> ClosedRoads:
        """`met`: what each mode meets, in the order in which it counts."""
        view = cls.__new__(cls)
        view.__dict__.update(vars(base.with_ms({}, version=version)))
        view._changed = _Obstructed(base, met)
        view.beneath = view._base = base
        view._spans = {
            mode: [cut_ for obstacle, cut_ in each if obstacle.speed_share is None]
            for mode, each in met.items()
        }
        view._met = met
        view._shut, view._inner, view._ends, view._pockets = {}, {}, {}, {}
        return view

    def _under(self, profile: str) -> tuple[NDArray[np.uint32] | None, NDArray[np.int64] | None]:
        met = _edges_met([cut_ for _, cut_ in self._met.get(profile, ())])
        return self._base._ms(profile), np.concatenate((2 * met, 2 * met + 1))

    def _cut(self, profile: str) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
        """As `_united` of what closes streets to the mode. Most modes meet the same."""
        cuts = self._spans.get(profile, ())
        key = tuple(id(met) for met in cuts)
        if (known := self._ends.get(key)) is None:
            known = self._ends.setdefault(key, _united(cuts, len(self.arrays(profile)["edge_m"])))
        return known

    def shut(self, profile: str) -> tuple[NDArray[np.bool_], FloatArray, FloatArray]:
        """(closed bool[E], from fraction float64[E], to fraction float64[E]): the streets that are passable
        without the obstacles and are not with them, and the part of each that is cut."""
        if (known := self._shut.get(profile)) is not None:
            return known
        met, low, high = self._cut(profile)
        # Only what an obstacle meets can be shut: nothing here looks at the whole city.
        met = met[high[met] >= low[met]]
        is_shut = np.zeros(len(low), dtype=bool)
        before, now = self._base.ms(profile), self.ms(profile)
        was_open = (before[2 * met] != IMPASSABLE) | (before[2 * met + 1] != IMPASSABLE)
        is_shut[met] = was_open & (now[2 * met] == IMPASSABLE) & (now[2 * met + 1] == IMPASSABLE)
        return self._shut.setdefault(profile, (is_shut, low, high))

    def pockets(self, profile: str, arriving: bool) -> NDArray[np.bool_]:
        """bool[E]: open streets that the obstacles leave and that nobody from elsewhere can enter, or, for
        units, that lead nowhere else."""
        if (known := self._pockets.get((profile, arriving))) is not None:
            return known
        edges = self._cut(profile)[0]
        arcs = np.concatenate((2 * edges, 2 * edges + 1))
        now = self.ms(profile)
        closed = arcs[(now[arcs] == IMPASSABLE) & (self._base.ms(profile)[arcs] != IMPASSABLE)]
        found = np.zeros(len(now) // 2, dtype=bool)
        network = self._network(profile)
        # Of a village, most is still the city itself.
        pocket = min(POCKET_NODES, len(self.arrays(profile)["copy_next"]) // 8)
        if len(closed) and network is not None:
            found[cut_off(network, profile, now, closed, arriving, pocket)] = True
        return self._pockets.setdefault((profile, arriving), found)

    def _leads_on(self, at: Snaps, profile: str, arriving: bool) -> Snaps:
        """On the nearest open street that is no pocket; edge -1 where none lies within reach."""
        network = self._network(profile)
        assert network is not None, "only a mode with roads is closed"
        pockets = self.pockets(profile, arriving)
        aside = self._aside(profile, arriving)
        if pockets.any():
            aside = np.where(pockets, np.uint16(NEVER_ASIDE_M), aside)
        n = len(at.lon)
        found = Snaps(at.lon, at.lat, np.full(n, -1, dtype=np.int32), np.zeros(n), np.full(n, np.inf))
        self._snap(network, found, aside)
        return found

    def snap(self, lon: ArrayLike, lat: ArrayLike, profile: str, *, arriving: bool = False) -> Snaps:
        """As in `RoadGraph`; who is on the open part of a street that is cut leaves it, or is reached, by its
        open end; who is inside or in a pocket, by the nearest open street that leads on."""
        return self._off_shut(self._base.snap(lon, lat, profile, arriving=arriving), profile, arriving)

    def placed(self, at: Snaps, profile: str) -> Snaps:
        return self._off_shut(at, profile, False)

    def _weighed_aside(self, profile: str, arriving: bool) -> NDArray[np.uint16]:
        aside = self._base._open_aside(profile, arriving)
        if profile in self._spans:
            aside = aside.copy()
            aside[np.flatnonzero(self.shut(profile)[0])] = NEVER_ASIDE_M
        return aside

    def _off_shut(self, at: Snaps, profile: str, arriving: bool) -> Snaps:
        if NETWORK_OF.get(profile) is None or profile not in self._spans:
            return at
        is_shut, low, high = self.shut(profile)
        pockets = self.pockets(profile, arriving)
        rows = np.flatnonzero((at.edge >= 0) & (is_shut[at.edge] | pockets[at.edge]))
        if not len(rows):
            return at
        moved = self._leads_on(_some(at, rows), profile, arriving)
        lost = np.flatnonzero(moved.edge < 0)
        if len(lost):
            other = super().snap(at.lon[rows[lost]], at.lat[rows[lost]], profile, arriving=arriving)
            moved.edge[lost], moved.fraction[lost], moved.away_m[lost] = (
                other.edge,
                other.fraction,
                other.away_m,
            )
        at = Snaps(at.lon, at.lat, at.edge.copy(), at.fraction.copy(), at.away_m.copy())
        for i, row in enumerate(rows):
            edge, fraction = int(at.edge[row]), float(at.fraction[row])
            end = None
            if is_shut[edge] and not low[edge] <= fraction <= high[edge]:
                end = self._open_end(profile, edge, fraction, fraction < low[edge], arriving)
            if end is None:
                at.edge[row], at.fraction[row], at.away_m[row] = (
                    moved.edge[i],
                    moved.fraction[i],
                    moved.away_m[i],
                )
            else:
                access_mps = SCENE_ACCESS_MPS if arriving else _access_mps(profile)
                at.edge[row], at.fraction[row] = end[0], end[1]
                at.away_m[row] += end[2] / 1000 * access_mps
        return at

    def nearest_open(
        self, lon: float, lat: float, profile: str, outside: BaseGeometry | None = None
    ) -> tuple[float, float] | None:
        """(lon, lat) of the nearest point of an open street that one can get to, however far within
        `RADIUS_MAX_M`, and not in the area `outside` of which it is to lie; None where there is none."""
        network = self._network(profile)
        if network is None:
            return None
        a, plane = network.arrays, LocalMetres(lon, lat)
        is_left = (self._aside(profile, True) == 0) & ~self.pockets(profile, True)
        for reach_m in (250.0, 1_000.0, RADIUS_MAX_M):
            (west, east), (south, north) = plane.to_lonlat(
                np.array([-reach_m, reach_m]), np.array([-reach_m, reach_m])
            )
            edges = _near(a, (float(west), float(south), float(east), float(north)), 0.0)
            edges = edges[is_left[edges]]
            if not len(edges):
                continue
            rows = np.concatenate([np.arange(*a["point_first"][e : e + 2]) for e in edges])
            lons, lats = a["point_lon_e7"][rows] / 1e7, a["point_lat_e7"][rows] / 1e7
            x, y = plane.to_xy(lons, lats)
            away_m = np.hypot(x, y)
            if outside is not None:
                away_m[shapely.intersects_xy(outside, lons, lats)] = np.inf
            best = int(away_m.argmin())
            if away_m[best] <= reach_m:
                return float(lons[best]), float(lats[best])
        return None

    def _open_end(
        self, profile: str, edge: int, fraction: float, by_tail: bool, arriving: bool
    ) -> tuple[int, float, float] | None:
        """(an open edge at the street's open end, the fraction of it that is that end, ms between the two);
        None where the street may not be driven that way, or nothing is open there."""
        a, before, now = self.arrays(profile), self._base.ms(profile), self.ms(profile)
        # Leaving by its tail is driving against the polyline, arriving by it is driving along.
        arc = 2 * edge + (by_tail != arriving)
        if before[arc] == IMPASSABLE:
            return None
        took_ms = (fraction if by_tail else 1.0 - fraction) * float(before[arc])
        junction = a["edge_tail" if by_tail else "edge_head"][edge]
        pockets = self.pockets(profile, arriving)
        best: tuple[int, float, float] | None = None
        for end, fraction_there in (("edge_tail", 0.0), ("edge_head", 1.0)):
            for other in np.flatnonzero(a[end] == junction):
                ways = now[2 * other] != IMPASSABLE, now[2 * other + 1] != IMPASSABLE
                leads = ways[0] if (fraction_there == 0.0) != arriving else ways[1]
                leads = leads and not pockets[other]
                if leads and (best is None or all(ways)):
                    best = int(other), fraction_there, took_ms
                    if all(ways):
                        return best
        return best

    def inside(self, profile: str) -> RoadGraph:
        """The closed streets alone, as they were: for who is inside to get to others inside."""
        if (known := self._inner.get(profile)) is not None:
            return known
        is_shut, before = self.shut(profile)[0], self._base.ms(profile)
        only = np.where(np.repeat(is_shut, 2), before, np.uint32(IMPASSABLE)).astype(np.uint32)
        return self._inner.setdefault(
            profile, self._base.with_ms({profile: only}, version=(self.version, "inside", profile))
        )

    def _as_it_lies(self, profile: str) -> RoadGraph:
        """The open streets with the pockets among them: for who is in a pocket to get to others there."""
        key = profile + " pockets"
        if (known := self._inner.get(key)) is not None:
            return known
        view = self._base.with_ms({profile: self.ms(profile)}, version=(self.version, "pockets", profile))
        view.beneath = self._base
        return self._inner.setdefault(key, view)

    def _shares(self, units: Snaps, scene: Snaps, profile: str) -> NDArray[np.bool_]:
        """Which units stand in a pocket, where the incident is in one or in what is closed; bool[n]."""
        edge = int(scene.edge[0])
        arrive = self.pockets(profile, True)
        if edge < 0 or not (arrive[edge] or self.shut(profile)[0][edge]):
            return np.zeros(len(units.edge), dtype=bool)
        either = arrive | self.pockets(profile, False)
        shares: NDArray[np.bool_] = (units.edge >= 0) & either[units.edge]
        return shares

    def nearest(
        self, lon: float, lat: float, unit_lon: ArrayLike, unit_lat: ArrayLike, profile: str,
        k: int | None = None,
        *, straight: bool = True, snaps: Snaps | None = None, walk_within_m: float = 0.0,
    ) -> Travel:  # fmt: skip
        """As in `RoadGraph`; who is inside a closed area gets to an incident inside by the streets inside."""
        found = super().nearest(
            lon, lat, unit_lon, unit_lat, profile, k,
            straight=straight, snaps=snaps, walk_within_m=walk_within_m,
        )  # fmt: skip
        if profile not in self._spans:
            return found
        scene = self._base.snap(lon, lat, profile, arriving=True)
        if scene.edge[0] < 0 or not self._is_met(profile)[scene.edge[0]]:
            return found
        at = self._base.snap(unit_lon, unit_lat, profile)
        for roads, meets in (
            (self.inside(profile), self._meets(at, scene, profile)),
            (self._as_it_lies(profile), self._shares(at, scene, profile)),
        ):
            rows = np.flatnonzero(meets)
            if not len(rows):
                continue
            within = roads.nearest(
                lon, lat, at.lon[rows], at.lat[rows], profile, straight=False, walk_within_m=walk_within_m
            )
            sooner = within.drive_s < found.drive_s[rows]
            found.drive_s[rows[sooner]] = within.drive_s[sooner]
            found.distance_m[rows[sooner]] = within.distance_m[sooner]
            found.road[rows[sooner]], found.how[rows[sooner]] = True, ROAD
        return found

    def _is_met(self, profile: str) -> NDArray[np.bool_]:
        """bool[E]: streets that are closed, or that nobody can enter any more."""
        met: NDArray[np.bool_] = self.shut(profile)[0] | self.pockets(profile, True)
        return met

    def times(
        self, from_: Snaps, to: Snaps, profile: str, *, limit_s: float | None = None
    ) -> NDArray[np.float32]:
        """As in `RoadGraph`; who is inside a closed area gets to a place inside by the streets inside."""
        found = super().times(from_, to, profile, limit_s=limit_s)
        if profile not in self._spans or not found.size:
            return found
        places = self._base.snap(to.lon, to.lat, profile, arriving=True)
        columns = np.flatnonzero((places.edge >= 0) & self._is_met(profile)[places.edge])
        if not len(columns):
            return found
        units = self._base.snap(from_.lon, from_.lat, profile)
        for column in columns:
            place = _some(places, slice(column, column + 1))
            for roads, meets in (
                (self.inside(profile), self._meets(units, place, profile)),
                (self._as_it_lies(profile), self._shares(units, place, profile)),
            ):
                rows = np.flatnonzero(meets)
                if len(rows):
                    there = roads.snap(place.lon, place.lat, profile, arriving=True)
                    own = roads.snap(units.lon[rows], units.lat[rows], profile)
                    within = roads.times(own, there, profile, limit_s=limit_s)
                    found[rows, column] = np.minimum(found[rows, column], within[:, 0])
        return found

    def soonest(
        self, from_: Snaps, to: Snaps, profile: str, k: int, *,
        ready_s: ArrayLike = 0.0, limit_s: float = np.inf,
    ) -> Soonest:  # fmt: skip
        """As in `RoadGraph`; to a place on a closed street, or in a pocket, everybody is looked at."""
        shut = np.zeros(len(to.edge), dtype=bool)
        if profile in self._spans:
            places = self._base.snap(to.lon, to.lat, profile, arriving=True)
            shut = (places.edge >= 0) & self._is_met(profile)[places.edge]
        if not shut.any():
            return super().soonest(from_, to, profile, k, ready_s=ready_s, limit_s=limit_s)
        beyond_s = np.full(len(shut), np.inf)
        parts = []
        for which, many in ((np.flatnonzero(~shut), k), (np.flatnonzero(shut), max(k, len(from_.edge)))):
            part = super().soonest(
                from_, _some(to, which), profile, many, ready_s=ready_s, limit_s=limit_s
            )  # fmt: skip
            beyond_s[which] = part.beyond_s
            parts.append((which[part.place], part.row, part.seconds))
        place, row, seconds = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Soonest(place, row, seconds, beyond_s)

    def route(self, lon: float, lat: float, to_lon: float, to_lat: float, profile: str) -> Route:
        """As in `RoadGraph`, and inside a closed area by the streets inside where that is quicker."""
        found = super().route(lon, lat, to_lon, to_lat, profile)
        if profile in self._spans:
            unit = self._base.snap(lon, lat, profile)
            scene = self._base.snap(to_lon, to_lat, profile, arriving=True)
            for roads, meets in (
                (self.inside(profile), self._meets(unit, scene, profile)),
                (self._as_it_lies(profile), self._shares(unit, scene, profile)),
            ):
                if meets[0]:
                    within = roads.route(lon, lat, to_lon, to_lat, profile)
                    if within.road and (not found.road or within.drive_s < found.drive_s):
                        found = within
        return found

    def _meets(self, units: Snaps, scene: Snaps, profile: str) -> NDArray[np.bool_]:
        """Which units get to an incident by closed streets alone: both are inside an obstacle, or on one
        street with nothing between them; bool[n]."""
        is_shut, low, high = self.shut(profile)
        edge, fraction = int(scene.edge[0]), float(scene.fraction[0])
        on = (units.edge >= 0) & is_shut[units.edge]
        if edge < 0 or not is_shut[edge]:
            return np.zeros(len(on), dtype=bool)
        within = (low[units.edge] <= units.fraction) & (units.fraction <= high[units.edge])
        both = within & (low[edge] <= fraction <= high[edge])
        before = (units.fraction < low[edge]) & (fraction < low[edge])
        behind = (units.fraction > high[edge]) & (fraction > high[edge])
        meets: NDArray[np.bool_] = on & (both | ((units.edge == edge) & (before | behind)))
        return meets


def _some(snaps: Snaps, rows: Any) -> Snaps:
    return Snaps(snaps.lon[rows], snaps.lat[rows], snaps.edge[rows], snaps.fraction[rows], snaps.away_m[rows])


def _access_mps(profile: str) -> float:
    return SCENE_ACCESS_MPS if profile in FOOT_PROFILES else UNIT_ACCESS_MPS


ALL_VEHICLES: Final = frozenset(DRIVE_PROFILES)
EVERYBODY: Final = frozenset((*DRIVE_PROFILES, *FOOT_PROFILES))
