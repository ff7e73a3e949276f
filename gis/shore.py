"""Land and water where an extract cuts them: shorelines closed against the extract's box.

OpenStreetMap knows the sea only by its coast, drawn with land on its left, and a lake or river only by its
edge. An extract ends such lines at its own border. Here they are carried on to the box, the box is divided
along them, and each part is told to be land, water or unknown. What cannot be told stays unknown: it is never
filled in as land.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, MultiLineString, Polygon
from shapely.geometry.base import BaseGeometry

from gis.geometry import Box, LocalMetres

Point = tuple[float, float]

JOIN_MAX_M: Final = 300.0
"""A break in a coast up to this long is a slip of the mapper and is bridged."""

NEAR_BORDER_M: Final = 300.0
"""A coast that ends this near to the border has left the extract there; farther off, closing it is a
guess."""

STRIP_M: Final = 100.0
"""How far from a coast that cannot be closed its two sides are still drawn as land and water."""

_CONTRADICTED: Final = 0.25
"""A part of the box is unknown when more than this share of its coast says otherwise than the rest."""

_DROWNED: Final = 0.25
"""Water that would have streets and houses in it more than this much as densely as the whole box is none."""

_FEW: Final = 3
"""So many points of streets in the water may be slips: a quay, a bridge that is not tagged as one."""

_ASTRAY: Final = 2.0
"""A line is carried straight on to the border when that is at most so many times the shortest way."""

_ASIDE_DEGREES: Final = 1e-6


@dataclass(frozen=True)
class Run:
    """A stretch of a shoreline that the extract knows: two points (lon, lat) or more, in the line's own
    direction. `cut_start`, `cut_end`: the line goes on there, to points outside the file."""

    points: Sequence[Point]
    cut_start: bool = False
    cut_end: bool = False


@dataclass(frozen=True)
class Shore:
    """The box in parts. `joined` breaks were bridged, `guessed` ends lay far from the border and were carried
    on to it all the same, `open_ends` could not be closed, and `unknown_km2` is neither land nor water."""

    land: tuple[Polygon, ...]
    water: tuple[Polygon, ...]
    joined: int = 0
    guessed: int = 0
    open_ends: int = 0
    unknown_km2: float = 0.0


def divide_by_coast(runs: Sequence[Run], box: Box, dry: NDArray[np.float64]) -> Shore:
    """Land and sea in the box by its coastline (land to the left, sea to the right). Without a coast all of
    it is land. A sea that would drown streets and houses (`dry`, points of them, (n, 2)) is unknown."""
    whole = shapely.box(*box)
    if not runs:
        return Shore(land=(whole,), water=())
    closing = _Closing(box)
    chains = _lines(shapely.line_merge(MultiLineString([list(run.points) for run in runs]), directed=True))
    closed = closing.close(chains, _cut_points(runs), directed=True)
    faces = _faces([*chains, *closed.added], whole)
    if len(faces) == 0:
        return Shore(land=(), water=(), unknown_km2=closing.km2([whole]))
    left, right, weight = _sides(chains, faces, box)
    for_land = np.bincount(left[left >= 0], weight[left >= 0], len(faces))
    for_water = np.bincount(right[right >= 0], weight[right >= 0], len(faces))
    total = for_land + for_water
    if not total.any():
        # The coast lies outside the box altogether: nothing says that a street is in the sea.
        return Shore(land=(whole,), water=())
    doubtful = np.minimum(for_land, for_water) > _CONTRADICTED * total
    is_land = ~doubtful & (for_land > for_water)
    is_water = ~doubtful & (for_water > for_land)
    streets = _hits(dry, faces)
    # Piers carry streets too; a third of the town's do not lie in the sea.
    drowned = is_water & (streets > max(_FEW, streets.sum() / 3))
    is_water &= ~drowned
    land, water = list(faces[is_land]), list(faces[is_water])
    unknown = list(faces[~is_land & ~is_water])
    if contradicted := list(faces[~is_land & ~is_water & ~drowned]):
        by_land, by_water = closing.strips(chains, contradicted)
        land += by_land
        water += by_water
    return Shore(
        land=tuple(land),
        water=tuple(water),
        joined=closed.joined,
        guessed=closed.guessed,
        open_ends=closed.open_ends,
        unknown_km2=closing.km2(unknown),
    )


def water_within(
    runs: Sequence[Run], box: Box, wet: NDArray[np.float64], dry: NDArray[np.float64]
) -> tuple[Polygon, ...]:
    """The parts of the box that a lake or river covers, of whose edge the extract holds only `runs`.

    The edge of an inland water has no direction. Crossing it leads from land to water or back, so there are
    but two ways to see it; `wet` (n, 2) points in the stream and `dry` (n, 2) points of streets and houses
    tell which. Without either the smaller side is the water; where they contradict both, there is none.
    """
    whole = shapely.box(*box)
    if not runs:
        return ()
    closing = _Closing(box)
    chains = _lines(shapely.line_merge(MultiLineString([list(run.points) for run in runs])))
    closed = closing.close(chains, _cut_points(runs), directed=False)
    if closed.open_ends:
        # The edge breaks off in the middle of the box: a fault of the map, not a cut of the extract.
        return ()
    faces = _faces([*chains, *closed.added], whole)
    if len(faces) < 2:
        return ()
    side = _two_sides([*chains, *closed.added], faces, box)
    streams, streets = _hits(wet, faces), _hits(dry, faces)
    areas = shapely.area(faces)

    def fitness(is_water: NDArray[np.bool_]) -> tuple[float, float]:
        """How well these faces do as water: streams in it and streets out of it speak for it, and else that
        they are the smaller part."""
        in_streams = streams[is_water].sum() / max(1, streams.sum())
        off_streets = streets[~is_water].sum() / max(1, streets.sum())
        return float(in_streams + off_streets), -float(areas[is_water].sum())

    is_water = max((side == 0, side == 1), key=fitness)
    return () if _drowns(streets, areas, is_water) else tuple(faces[is_water])


def _hits(points: NDArray[np.float64], faces: NDArray[np.object_]) -> NDArray[np.int64]:
    """How many of the points lie in each face."""
    if not len(points):
        return np.zeros(len(faces), dtype=np.int64)
    return np.bincount(_falls(points, faces)[0], minlength=len(faces))


def _drowns(streets: NDArray[np.int64], areas: NDArray[np.float64], is_water: NDArray[np.bool_]) -> bool:
    """Whether streets are so dense in these faces that they cannot be water."""
    inside = streets[is_water].sum()
    usual = streets.sum() / areas.sum() * areas[is_water].sum()
    return bool(inside > _FEW and inside > _DROWNED * usual)


@dataclass(frozen=True)
class _Closed:
    added: list[LineString]
    joined: int
    guessed: int
    open_ends: int


class _Closing:
    """Carries loose ends on: to one another over a short break, else to the border of the box."""

    def __init__(self, box: Box) -> None:
        self._box = box
        west, south, east, north = box
        self._plane = LocalMetres((west + east) / 2, (south + north) / 2)

    def close(self, chains: Sequence[LineString], cut: set[Point], *, directed: bool) -> _Closed:
        ends = [
            (point, _point(chain, before), index)
            for chain in chains
            if not chain.is_closed
            for index, before in ((0, 1), (-1, -2))
            if self._inside(point := _point(chain, index))
        ]
        if not ends:
            return _Closed([], 0, 0, 0)
        feet = [self._to_border(point, before) for point, before, _ in ends]
        added: list[LineString] = []
        joined: set[int] = set()
        scale = self._plane.x_m_per_degree, self._plane.y_m_per_degree
        flat = np.asarray(shapely.points(np.array([point for point, _, _ in ends]) * scale))
        pairs = shapely.STRtree(flat).query(flat, predicate="dwithin", distance=JOIN_MAX_M).T
        near = [(float(shapely.distance(flat[a], flat[b])), int(a), int(b)) for a, b in pairs if a < b]
        for apart_m, a, b in sorted(near):
            # A coast goes on from where one piece ends to where another one starts.
            fits = not directed or ends[a][2] != ends[b][2]
            if fits and apart_m <= min(feet[a][0], feet[b][0]) and joined.isdisjoint((a, b)):
                joined |= {a, b}
                if apart_m > 0:
                    added.append(LineString([ends[a][0], ends[b][0]]))
        guessed = open_ends = 0
        for number, ((point, _, _), (away_m, foot)) in enumerate(zip(ends, feet, strict=True)):
            if number in joined:
                continue
            if away_m > NEAR_BORDER_M:
                if point not in cut:
                    open_ends += 1
                    continue
                guessed += 1
            if away_m > 0:
                added.append(LineString([point, foot]))
        return _Closed(added, len(joined) // 2, guessed, open_ends)

    def strips(
        self, chains: Sequence[LineString], unknown: Sequence[Polygon]
    ) -> tuple[list[Polygon], list[Polygon]]:
        """The two sides of the coast within parts of the box that cannot be told: land, water."""
        area = shapely.union_all(unknown)
        stretch = self._plane.x_m_per_degree, self._plane.y_m_per_degree
        dry: list[BaseGeometry] = []
        wet: list[BaseGeometry] = []
        for chain in chains:
            if not chain.intersects(area):
                continue
            flat = LineString(np.asarray(chain.coords) * stretch)
            for sign, side in ((1, dry), (-1, wet)):
                strip = shapely.buffer(flat, sign * STRIP_M, cap_style="flat", single_sided=True)
                side.append(shapely.transform(strip, lambda xy: xy / stretch))
        land, water = shapely.union_all(dry), shapely.union_all(wet)
        return (
            _polygons(area.intersection(land.difference(water))),
            _polygons(area.intersection(water.difference(land))),
        )

    def km2(self, parts: Iterable[Polygon]) -> float:
        degrees2 = sum(part.area for part in parts)
        return float(degrees2 * self._plane.x_m_per_degree * self._plane.y_m_per_degree / 1e6)

    def _inside(self, point: Point) -> bool:
        west, south, east, north = self._box
        return west < point[0] < east and south < point[1] < north

    def _apart_m(self, one: Point, other: Point) -> float:
        return math.hypot(
            (one[0] - other[0]) * self._plane.x_m_per_degree, (one[1] - other[1]) * self._plane.y_m_per_degree
        )

    def _to_border(self, point: Point, before: Point) -> tuple[float, Point]:
        """How far the border is, and where a line is taken to reach it: straight on from the point `before`
        where that is not much farther, else the nearest point."""
        west, south, east, north = self._box
        x, y = point
        feet = ((west, y), (east, y), (x, south), (x, north))
        away_m, foot = min((self._apart_m(point, foot), foot) for foot in feet)
        along_x, along_y = x - before[0], y - before[1]
        ahead = []
        if along_x:
            edge = east if along_x > 0 else west
            ahead.append((edge, y + (edge - x) / along_x * along_y))
        if along_y:
            edge = north if along_y > 0 else south
            ahead.append((x + (edge - y) / along_y * along_x, edge))
        ahead_m, on = min(((self._apart_m(point, hit), hit) for hit in ahead), default=(math.inf, foot))
        return away_m, on if ahead_m <= _ASTRAY * away_m else foot


def _cut_points(runs: Iterable[Run]) -> set[Point]:
    starts = {run.points[0] for run in runs if run.cut_start}
    return starts | {run.points[-1] for run in runs if run.cut_end}


def _point(line: LineString, index: int) -> Point:
    x, y = line.coords[index][:2]
    return x, y


def _lines(geometry: BaseGeometry) -> list[LineString]:
    return [part for part in shapely.get_parts(geometry) if isinstance(part, LineString)]


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon) and part.area > 0]


def _faces(lines: Sequence[LineString], whole: Polygon) -> NDArray[np.object_]:
    """The parts into which the lines divide the box."""
    noded = shapely.union_all([*lines, whole.exterior])
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    inside = shapely.contains(whole, shapely.point_on_surface(faces))
    return np.asarray(faces[inside], dtype=np.object_)


def _sides(
    lines: Sequence[LineString], faces: NDArray[np.object_], box: Box
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """For each short piece of the lines: the face on its left, on its right (-1 for none), its weight."""
    step = max(box[2] - box[0], box[3] - box[1]) / 200
    shrink = math.cos(math.radians((box[1] + box[3]) / 2))
    starts, ends = [], []
    for line in lines:
        xy = shapely.get_coordinates(shapely.segmentize(line, step))
        starts.append(xy[:-1])
        ends.append(xy[1:])
    a, b = np.concatenate(starts), np.concatenate(ends)
    along = (b - a) * (shrink, 1.0)
    length = np.hypot(along[:, 0], along[:, 1])
    keep = length > 0
    a, b, along, length = a[keep], b[keep], along[keep], length[keep]
    aside = np.column_stack([-along[:, 1] / shrink, along[:, 0]]) / length[:, None] * _ASIDE_DEGREES
    middle = (a + b) / 2
    found = []
    for points in (middle + aside, middle - aside):
        of_point = np.full(len(points), -1, dtype=np.int64)
        face, point = _falls(points, faces)
        of_point[point] = face
        found.append(of_point)
    return found[0], found[1], length


def _falls(points: NDArray[np.float64], faces: NDArray[np.object_]) -> NDArray[np.int64]:
    """Pairs of (face, point in it). The few large faces are what is looked up in a tree of the many points:
    so each is prepared but once."""
    tree = shapely.STRtree(np.asarray(shapely.points(points)))
    return tree.query(faces, predicate="intersects")


def _two_sides(lines: Sequence[LineString], faces: NDArray[np.object_], box: Box) -> NDArray[np.int64]:
    """Each face's side, 0 or 1: to cross a line is to change sides."""
    left, right, _ = _sides(lines, faces, box)
    pairs = {(int(a), int(b)) for a, b in zip(left, right, strict=True) if a >= 0 and b >= 0 and a != b}
    neighbours: dict[int, set[int]] = {}
    for a, b in pairs:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    side = np.zeros(len(faces), dtype=np.int64)
    seen: set[int] = set()
    for first in range(len(faces)):
        if first in seen:
            continue
        seen.add(first)
        queue = [first]
        for face in queue:
            for other in sorted(neighbours.get(face, ())):
                if other not in seen:
                    seen.add(other)
                    side[other] = 1 - side[face]
                    queue.append(other)
    return side
