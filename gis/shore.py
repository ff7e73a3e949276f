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
"""A lake or river that would have more than this share of the streets and houses in it is not drawn."""

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


def divide_by_coast(runs: Sequence[Run], box: Box) -> Shore:
    """Land and sea in the box by its coastline (land to the left, sea to the right). Without a coast all of
    it is land."""
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
    land, water = list(faces[is_land]), list(faces[is_water])
    unknown = list(faces[~is_land & ~is_water])
    if unknown:
        dry, wet = closing.strips(chains, unknown)
        land += dry
        water += wet
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
    # The edge is known to go on where it ends, whichever member of the relation is missing there.
    ends = {_point(chain, i) for chain in chains for i in (0, -1)}
    added = closing.close(chains, ends, directed=False).added
    faces = _faces([*chains, *added], whole)
    if len(faces) < 2:
        return ()
    side = _two_sides([*chains, *added], faces, box)
    tree = shapely.STRtree(faces)

    def fall_on_first(points: NDArray[np.float64]) -> tuple[int, int]:
        if not len(points):
            return 0, 0
        _, hit = tree.query(shapely.points(points), predicate="intersects")
        return int((side[hit] == 0).sum()), int((side[hit] == 1).sum())

    wet_0, wet_1 = fall_on_first(wet)
    dry_0, dry_1 = fall_on_first(dry)
    # How well each side does as water: streams on it and streets off it speak for it.
    dry_all = max(1, dry_0 + dry_1)
    wet_all = max(1, wet_0 + wet_1)
    score_0 = wet_0 / wet_all + dry_1 / dry_all
    score_1 = wet_1 / wet_all + dry_0 / dry_all
    if score_0 == score_1:
        areas = shapely.area(faces)
        chosen = int(areas[side == 1].sum() < areas[side == 0].sum())
    else:
        chosen = int(score_1 > score_0)
    if (dry_1 if chosen else dry_0) > _DROWNED * dry_all:
        return ()
    return tuple(faces[side == chosen])


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
        open_chains = [chain for chain in chains if not chain.is_closed]
        heads = [p for p in (_point(chain, 0) for chain in open_chains) if self._inside(p)]
        tails = [p for p in (_point(chain, -1) for chain in open_chains) if self._inside(p)]
        added: list[LineString] = []
        joins = []
        if directed:
            for t, tail in enumerate(tails):
                for h, head in enumerate(heads):
                    apart_m = self._apart_m(tail, head)
                    if apart_m <= min(JOIN_MAX_M, self._to_border(tail)[0], self._to_border(head)[0]):
                        joins.append((apart_m, t, h))
        used_t: set[int] = set()
        used_h: set[int] = set()
        for _, t, h in sorted(joins):
            if t not in used_t and h not in used_h:
                used_t.add(t)
                used_h.add(h)
                if tails[t] != heads[h]:
                    added.append(LineString([tails[t], heads[h]]))
        guessed = open_ends = 0
        left_over = [p for i, p in enumerate(tails) if i not in used_t]
        left_over += [p for i, p in enumerate(heads) if i not in used_h]
        for end in left_over:
            away_m, foot = self._to_border(end)
            if away_m > NEAR_BORDER_M:
                if end not in cut:
                    open_ends += 1
                    continue
                guessed += 1
            if away_m > 0:
                added.append(LineString([end, foot]))
        return _Closed(added, len(used_t), guessed, open_ends)

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

    def _to_border(self, point: Point) -> tuple[float, Point]:
        """How far the border is, and its nearest point."""
        west, south, east, north = self._box
        x, y = point
        feet = ((west, y), (east, y), (x, south), (x, north))
        return min((self._apart_m(point, foot), foot) for foot in feet)


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
    tree = shapely.STRtree(faces)

    def face_at(points: NDArray[np.float64]) -> NDArray[np.int64]:
        found = np.full(len(points), -1, dtype=np.int64)
        which, face = tree.query(shapely.points(points), predicate="intersects")
        found[which] = face
        return found

    return face_at(middle + aside), face_at(middle - aside), length


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
