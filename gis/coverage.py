"""Where calls are to be expected, cell by cell, and how far one gets in so many minutes.

The city is cut into one to two thousand square cells, wherever there is a street to drive on; each has a
point on the road that stands for it. How demand spreads over them comes from the best that there is, and
which it was is said: people as the operator imported them (`demand/population.npz`), else the floors of the
buildings in the extract (`demand/buildings.npz`), else the length of its streets. Both files hold `lon`,
`lat` (degrees) and `people` (float, one a point), and may hold `about`, a text that names the source.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gis.geometry import FloatArray, LocalMetres, haversine_m
from gis.roads import CLASSES, DRIVE_PROFILES, IMPASSABLE, NEVER_ASIDE_M, Arrays
from gis.travel import STRAIGHT_KMH, UNIT_ACCESS_MPS, RoadGraph, Snaps

CELLS_MIN: Final = 1_000
CELLS_MAX: Final = 2_000
CELL_M_MIN: Final = 100.0
CELL_M_MAX: Final = 8_000.0
_STEP_M: Final = 50.0
"""Streets are looked at every so many metres: no cell that one passes through is missed by much."""

MANY_ARCS: Final = 0.05
"""Where more of the roads than this changed, everything is searched anew."""

DEMAND: Final = "demand"
POPULATION: Final = "population.npz"
BUILDINGS: Final = "buildings.npz"

STREET_SHARE: Final = 0.1
"""This much of the demand goes by the streets wherever people live: roads have crashes, squares crowds."""
PEOPLE_PER_STREET_KM: Final = 200.0
"""Where nobody is counted: people for each kilometre of residential street. An order of magnitude only."""
BUILDINGS_SHARE_MIN: Final = 0.2
"""Buildings count where they house at least this part of the people that the streets let suppose."""
URBAN_PER_KM2: Final = 300.0
"""People on a square kilometre from which on a place is a town (the limit of Eurostat's urban clusters)."""
_LIVED_ON: Final[Mapping[str, float]] = {
    "residential": 1.0, "living_street": 1.0, "pedestrian": 1.0, "unclassified": 0.5, "road": 0.5,
    "tertiary": 0.7, "secondary": 0.5, "primary": 0.4, "service": 0.15, "busway": 0.1, "trunk": 0.1,
    "motorway": 0.05,
}  # fmt: skip
"""What a metre of street weighs as a place where people live or pass: a stated assumption."""

FLOORS_M2_PER_PERSON: Final = 50.0
_FLOORS: Final = 2.0
_FLOORS_OF: Final[Mapping[str, float]] = {
    "apartments": 4.0, "dormitory": 4.0, "hotel": 4.0, "bungalow": 1.0, "hut": 1.0, "cabin": 1.0,
}  # fmt: skip
_HOUSED: Final[Mapping[str, float]] = {
    "garage": 0.0, "garages": 0.0, "shed": 0.0, "roof": 0.0, "carport": 0.0, "greenhouse": 0.0, "barn": 0.0,
    "farm_auxiliary": 0.0, "cowshed": 0.0, "stable": 0.0, "sty": 0.0, "ruins": 0.0, "construction": 0.0,
    "silo": 0.0, "storage_tank": 0.0, "service": 0.0, "transformer_tower": 0.0, "bunker": 0.0, "parking": 0.0,
    "warehouse": 0.1, "industrial": 0.1, "hangar": 0.0, "church": 0.2, "chapel": 0.1, "retail": 0.5,
    "supermarket": 0.5, "commercial": 0.5, "office": 0.5, "school": 0.5, "university": 0.5,
    "train_station": 0.7, "hospital": 1.0,
}  # fmt: skip
"""How much of a building's floors counts as if people lived on them; of other kinds all."""

PLACES_REACH_M: Final = 2_500.0
ZONES_MAX: Final = 40
_PLACE_RANK: Final[Mapping[str, int]] = {
    "borough": 0, "suburb": 0, "town": 0, "village": 1, "quarter": 1, "neighbourhood": 2, "hamlet": 3,
}  # fmt: skip
DIRECTIONS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")

Named = tuple[str, str, float, float]
"""A place on the map: name, kind, lon, lat."""


@dataclass(frozen=True)
class Points:
    """People at n points: `lon`, `lat` float64[n], `people` float64[n]; `source` is "population" or
    "buildings", `about` names it further where its file does."""

    lon: FloatArray
    lat: FloatArray
    people: FloatArray
    source: str
    about: str = ""


@dataclass(frozen=True)
class Zone:
    """A part of the city that has a name. `kind`: "district" (the operator's), "place" (the map's) or
    "sector", which is called after its direction (`name` "NE" or "C") and its ring, 0 in the middle; `street`
    is then its longest main street."""

    id: str
    name: str
    kind: str
    ring: int = 0
    street: str = ""


@dataclass(frozen=True)
class Cells:
    """m square cells with a street in each. `lon`, `lat`: the point on a road that stands for the cell.
    `people` float64[m]: how many count for it; `share` float64[m]: its part of all demand, the sum is 1.
    `source`: "population", "buildings" or "streets"; `about` names it further. `zone` int32[m]: an index into
    `zones`. `urban` bool[m]: densely lived in."""

    size_m: float
    plane: LocalMetres
    columns: int
    key: NDArray[np.int64]
    lon: FloatArray
    lat: FloatArray
    people: FloatArray
    share: FloatArray
    urban: NDArray[np.bool_]
    source: str
    about: str
    zone: NDArray[np.int32]
    zones: tuple[Zone, ...]
    _west_m: float = field(repr=False, default=0.0)
    _south_m: float = field(repr=False, default=0.0)

    def __len__(self) -> int:
        return len(self.key)

    def find(self, lon: ArrayLike, lat: ArrayLike, *, rings: int = 2) -> NDArray[np.int32]:
        """int32[n]: the cell of each point, else the nearest one within so many rings of cells, else -1. NaN
        is nowhere."""
        lons, lats = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (lon, lat))
        x, y = self.plane.to_xy(lons, lats)
        x, y = (x - self._west_m) / self.size_m, (y - self._south_m) / self.size_m
        known = np.isfinite(x) & np.isfinite(y) & (np.abs(x) < 1e6) & (np.abs(y) < 1e6)
        column = np.floor(np.where(known, x, -9)).astype(np.int64)
        row = np.floor(np.where(known, y, -9)).astype(np.int64)
        found = np.where(known, self._at(column, row), -1)
        lost = np.flatnonzero((found < 0) & known)
        if len(lost):
            away = np.full(len(lost), np.inf)
            for dx in range(-rings, rings + 1):
                for dy in range(-rings, rings + 1):
                    c, r = column[lost] + dx, row[lost] + dy
                    there = self._at(c, r)
                    off = np.hypot(c + 0.5 - x[lost], r + 0.5 - y[lost])
                    nearer = (there >= 0) & (off < away)
                    away[nearer] = off[nearer]
                    found[lost[nearer]] = there[nearer]
        return found.astype(np.int32)

    def _at(self, column: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
        key = row * self.columns + column
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        inside = (column >= 0) & (column < self.columns) & (row >= 0)
        return np.where(inside & (self.key[place] == key), place, -1)

    def square(self, cell: int) -> list[tuple[float, float]]:
        """The closed ring (lon, lat) of one cell."""
        row, column = divmod(int(self.key[cell]), self.columns)
        xs = self._west_m + self.size_m * np.array([column, column + 1, column + 1, column, column])
        ys = self._south_m + self.size_m * np.array([row, row, row + 1, row + 1, row])
        lon, lat = self.plane.to_lonlat(xs, ys)
        return [(round(float(a), 6), round(float(b), 6)) for a, b in zip(lon, lat, strict=True)]

    def centre(self) -> tuple[FloatArray, FloatArray]:
        """(lon, lat) of the middle of each square."""
        row, column = np.divmod(self.key, self.columns)
        x = self._west_m + self.size_m * (column + 0.5)
        return self.plane.to_lonlat(x, self._south_m + self.size_m * (row + 0.5))

    def in_districts(self, districts: Sequence[tuple[str, str, Any]]) -> Cells:
        """The same cells in the operator's districts, each (id, name, polygon in degrees); a cell in none of
        them keeps the zone that it had. With no district the same."""
        inside = np.full(len(self), -1, dtype=np.int32)
        lon, lat = self.centre()
        for index, (_, _, shape) in enumerate(districts):
            inside[(inside < 0) & shapely.contains_xy(shape, lon, lat)] = index
        own = [Zone(f"d:{code}", name, "district") for code, name, _ in districts]
        both = np.where(inside >= 0, inside, self.zone + len(own)).astype(np.int32)
        return self._zoned(both, [*own, *self.zones])

    def _zoned(self, zone: NDArray[np.int32], zones: Sequence[Zone]) -> Cells:
        used, compact = np.unique(zone, return_inverse=True)
        return replace(self, zone=compact.astype(np.int32), zones=tuple(zones[i] for i in used))


def load_points(city: Path) -> Points | None:
    """The people of the city's folder: counted ones, else those that its buildings let suppose, else None. A
    file that cannot be read is passed over."""
    for name, source in ((POPULATION, "population"), (BUILDINGS, "buildings")):
        try:
            with np.load(city / DEMAND / name, allow_pickle=False) as file:
                columns = [np.asarray(file[key], dtype=np.float64) for key in ("lon", "lat", "people")]
                about = str(file["about"]) if "about" in file else ""
        except (OSError, ValueError, KeyError):
            continue
        if len({column.shape for column in columns}) == 1 and columns[0].ndim == 1:
            good = np.logical_and.reduce([np.isfinite(column) for column in columns]) & (columns[2] > 0)
            if good.any():
                lon, lat, people = (column[good] for column in columns)
                return Points(lon, lat, people, source, about)
    return None


def version_of(city: Path) -> tuple[float, ...]:
    """What changes when the people in the city's folder do."""
    times = []
    for name in (POPULATION, BUILDINGS):
        try:
            times.append((city / DEMAND / name).stat().st_mtime)
        except OSError:
            times.append(0.0)
    return tuple(times)


class BuildingCount:
    """Gathers the buildings of an extract while it is read."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float]] = []

    def add_area(self, tags: Mapping[str, str], outer: Sequence[tuple[float, float]]) -> None:
        """Take an area: `outer` is its ring (lon, lat)."""
        kind = tags.get("building", "no")
        housed = _HOUSED.get(kind, 1.0)
        if kind == "no" or housed == 0.0 or len(outer) < 4:
            return
        lon0, lat0 = outer[0]
        kx, ky = 111_195.0 * math.cos(math.radians(lat0)), 111_195.0
        double_m2 = 0.0
        for (ax, ay), (bx, by) in itertools.pairwise(outer):
            double_m2 += (ax - lon0) * (by - lat0) - (bx - lon0) * (ay - lat0)
        floors = _FLOORS_OF.get(kind, _FLOORS)
        with contextlib.suppress(KeyError, ValueError):
            floors = min(80.0, max(1.0, float(tags["building:levels"])))
        people = abs(double_m2) / 2 * kx * ky * floors * housed / FLOORS_M2_PER_PERSON
        if people > 0:
            lon = sum(point[0] for point in outer[1:]) / (len(outer) - 1)
            lat = sum(point[1] for point in outer[1:]) / (len(outer) - 1)
            self._rows.append((lon, lat, people))

    def save(self, city: Path) -> int:
        """Write `demand/buildings.npz` where there are any; returns how many."""
        if self._rows:
            (city / DEMAND).mkdir(exist_ok=True)
            lon, lat, people = np.array(self._rows).T
            np.savez(
                city / DEMAND / BUILDINGS, lon=np.float32(lon), lat=np.float32(lat), people=np.float32(people)
            )
        return len(self._rows)


def cells_of(
    roads: Arrays,
    names: Sequence[str],
    points: Points | None,
    places: Sequence[Named],
) -> Cells:
    """The cells of a city, from its drive network (see `gis.roads`), the names of its streets, its people and
    its places (name, kind, lon, lat). Raises ValueError where there is no street to arrive on."""
    at = _Samples(roads)
    size_m, columns, key, of_sample = _cut(at)
    many = len(key)
    lived_m = np.bincount(of_sample, at.lived_m, many)
    length_m = np.bincount(of_sample, at.metres, many)
    spot = _spots(at, of_sample, many)
    lon, lat = at.plane.to_lonlat(at.x[spot], at.y[spot])
    cells = Cells(
        size_m, at.plane, columns, key, lon, lat, np.zeros(many), np.zeros(many), np.zeros(many, dtype=bool),
        "streets", "", np.zeros(many, dtype=np.int32), (), at.west_m, at.south_m,
    )  # fmt: skip
    streets = np.maximum(lived_m, 0.01 * length_m)
    people = lived_m / 1000 * PEOPLE_PER_STREET_KM
    source, about = "streets", ""
    if points is not None:
        cell = cells.find(points.lon, points.lat)
        counted = np.bincount(cell[cell >= 0], points.people[cell >= 0], many).astype(np.float64)
        # An extract that holds a few buildings only says nothing of where people live.
        enough = BUILDINGS_SHARE_MIN * people.sum() if points.source == "buildings" else 0.0
        if counted.sum() > enough:
            people, source, about = counted, points.source, points.about
    share = streets / streets.sum()
    if people.sum() > 0:
        of_street = STREET_SHARE if source != "streets" else 0.0
        share = of_street * share + (1 - of_street) * people / people.sum()
    urban = _nearby(cells, people) / (9 * (size_m / 1000) ** 2) >= URBAN_PER_KM2
    cells = replace(cells, people=people, share=share, urban=urban, source=source, about=about)
    return _named(cells, at, of_sample, names, places)


class _Samples:
    """The streets that a vehicle may arrive on, as points every `_STEP_M` metres; k of them."""

    def __init__(self, a: Arrays) -> None:
        aside = np.min([np.atleast_2d(a[f"arrive_{profile}"])[0] for profile in DRIVE_PROFILES], axis=0)
        if not (aside < NEVER_ASIDE_M).any():
            raise ValueError("there is no street to arrive on")
        kept = aside == 0 if (aside == 0).any() else aside < NEVER_ASIDE_M
        start = np.flatnonzero((a["point_edge"][:-1] == a["point_edge"][1:]) & kept[a["point_edge"][:-1]])
        edge = a["point_edge"][start]
        length_m = (a["point_m"][start + 1] - a["point_m"][start]).astype(np.float64)
        pieces = np.maximum(1, np.ceil(length_m / _STEP_M)).astype(np.int64)
        which = np.repeat(np.arange(len(start)), pieces)
        nth = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        along = (nth + 0.5) / pieces[which]
        p = start[which]
        ends = [a[name] for name in ("point_lon_e7", "point_lat_e7")]
        lon, lat = (end[p] / 1e7 * (1 - along) + end[p + 1] / 1e7 * along for end in ends)
        self.plane = LocalMetres(float((lon.min() + lon.max()) / 2), float((lat.min() + lat.max()) / 2))
        self.x, self.y = self.plane.to_xy(lon, lat)
        self.west_m, self.south_m = float(self.x.min()), float(self.y.min())
        self.edge = edge[which]
        self.metres = (length_m / pieces)[which]
        lived = np.array([_LIVED_ON.get(name.removesuffix("_link"), 0.02) for name in CLASSES])
        self.lived_m = self.metres * lived[a["edge_class"][self.edge]]
        self.street = a["edge_name"][self.edge]
        self.road_class = a["edge_class"][self.edge]

    def keys(self, size_m: float) -> tuple[int, NDArray[np.int64]]:
        """(columns of the grid, key of the square that each sample is in)."""
        column = ((self.x - self.west_m) / size_m).astype(np.int64)
        row = ((self.y - self.south_m) / size_m).astype(np.int64)
        columns = int(column.max()) + 1
        return columns, row * columns + column


def _cut(at: _Samples) -> tuple[float, int, NDArray[np.int64], NDArray[np.int64]]:
    """(side of the squares in metres, columns, keys of the squares in use, the square of each sample): the
    number of squares between the limits, where the city is large enough."""
    low, high = math.log(CELL_M_MIN), math.log(CELL_M_MAX)
    size_m = CELL_M_MIN
    for _ in range(14):
        columns, key = at.keys(size_m)
        used, of_sample = np.unique(key, return_inverse=True)
        if CELLS_MIN * 1.3 <= len(used) <= CELLS_MAX * 0.9 or (
            len(used) < CELLS_MIN and size_m == CELL_M_MIN
        ):
            break
        if len(used) > CELLS_MAX * 0.9:
            low = math.log(size_m)
        else:
            high = math.log(size_m)
        size_m = round(math.exp((low + high) / 2), 1)
    return size_m, columns, used, of_sample


def _spots(at: _Samples, of_sample: NDArray[np.int64], many: int) -> NDArray[np.int64]:
    """The sample of each cell that lies nearest to the middle of where its people are."""
    weight = at.lived_m + 1e-3 * at.metres + 1e-9
    whole = np.bincount(of_sample, weight, many)
    middle = [np.bincount(of_sample, weight * v, many) / whole for v in (at.x, at.y)]
    away = np.hypot(at.x - middle[0][of_sample], at.y - middle[1][of_sample])
    order = np.lexsort((away, of_sample))
    first = np.searchsorted(of_sample[order], np.arange(many))
    return np.asarray(order[first])


def _nearby(cells: Cells, of_cell: FloatArray) -> FloatArray:
    """The sum over each cell and the eight around it."""
    row, column = np.divmod(cells.key, cells.columns)
    total = np.zeros(len(cells))
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            there = cells._at(column + dx, row + dy)
            total += np.where(there >= 0, of_cell[there], 0.0)
    return total


# ---- zones


def _named(
    cells: Cells, at: _Samples, of_sample: NDArray[np.int64], names: Sequence[str],
    places: Sequence[Named],
) -> Cells:  # fmt: skip
    zone, zones = _by_place(cells, places)
    near = zone >= 0
    if near.mean() < 0.5:
        near[:] = False
    # What no place is near to is called after its direction from the middle, as is a city without places.
    sector, sectors = _by_direction(cells, at, of_sample, names)
    both = np.where(near, zone, sector + len(zones)).astype(np.int32)
    return cells._zoned(both, [*zones, *sectors])


def _by_place(cells: Cells, places: Sequence[Named]) -> tuple[NDArray[np.int32], list[Zone]]:
    """The nearest place of each cell within reach, -1 where there is none. Where the map has more places than
    a dispatcher can tell apart, the smaller kinds are left out."""
    known = sorted(
        {(_PLACE_RANK[kind], name, lon, lat) for name, kind, lon, lat in places if kind in _PLACE_RANK}
    )
    while len(known) > ZONES_MAX and known[-1][0] > known[0][0]:
        known = [place for place in known if place[0] < known[-1][0]]
    if not known:
        return np.full(len(cells), -1, dtype=np.int32), []
    if len(known) > ZONES_MAX:
        cell = cells.find([p[2] for p in known], [p[3] for p in known])
        people = np.where(cell >= 0, cells.people[cell], -1.0)
        known = [known[i] for i in sorted(np.argsort(-people)[:ZONES_MAX])]
    away = np.array([haversine_m(lon, lat, cells.lon, cells.lat) for _, _, lon, lat in known])
    nearest = away.argmin(axis=0)
    zone = np.where(away.min(axis=0) <= PLACES_REACH_M, nearest, -1).astype(np.int32)
    twice = {name for name in (p[1] for p in known) if sum(p[1] == name for p in known) > 1}
    zones = [
        Zone(f"p:{name}" if name not in twice else f"p:{name}:{lon:.3f}", name, "place")
        for _, name, lon, _ in known
    ]
    return zone, zones


def _by_direction(
    cells: Cells, at: _Samples, of_sample: NDArray[np.int64], names: Sequence[str]
) -> tuple[NDArray[np.int32], list[Zone]]:
    """Seventeen sectors: the middle with a quarter of the people, and two rings of eight directions."""
    x, y = cells.plane.to_xy(cells.lon, cells.lat)
    x0, y0 = float(x @ cells.share), float(y @ cells.share)
    away = np.hypot(x - x0, y - y0)
    order = np.argsort(away)
    within = np.cumsum(cells.share[order])
    inner, outer = (away[order][min(len(order) - 1, int(np.searchsorted(within, p)))] for p in (0.25, 0.7))
    ring = np.where(away <= inner, 0, np.where(away <= outer, 1, 2))
    eighth = np.round(np.arctan2(x - x0, y - y0) / (math.pi / 4)).astype(np.int64) % 8
    zone = np.where(ring == 0, 0, 1 + (ring - 1) * 8 + eighth).astype(np.int32)
    zones = [Zone("s:C", "C", "sector")]
    zones += [Zone(f"s:{d}{r}", d, "sector", r) for r in (1, 2) for d in DIRECTIONS]
    return zone, [
        replace(one, street=_main_street(at, names, zone[of_sample] == index))
        for index, one in enumerate(zones)
    ]


def _main_street(at: _Samples, names: Sequence[str], inside: NDArray[np.bool_]) -> str:
    """The longest street with a name among the samples, of those that lead somewhere if there is one."""
    for classes in (("primary", "secondary", "tertiary"), CLASSES):
        wanted = np.isin(at.road_class, [CLASSES.index(name) for name in classes])
        chosen = inside & wanted & (at.street >= 0)
        if chosen.any():
            return names[int(np.bincount(at.street[chosen], at.metres[chosen]).argmax())]
    return ""


# ---- demand


def hourly_demand(
    cells: Cells, calls: FloatArray, hours: float, prior_per_hour: float, *, prior_hours: float = 24 * 14,
    calls_to_learn: float = 30.0,
) -> FloatArray:  # fmt: skip
    """float64[m]: calls an hour expected in each cell, from `calls` float64[m] met in `hours`.

    What was met is drawn towards the default in three steps, so that thin history moves little: the rate of
    the whole city as if `prior_hours` of `prior_per_hour` had been seen before; each zone's part, and each
    cell's part of its zone, as if `calls_to_learn` calls had been seen to fall by `cells.share`.
    """
    many = len(cells.zones)
    rate = (float(calls.sum()) + prior_per_hour * prior_hours) / (max(0.0, hours) + prior_hours)
    met, whole = np.bincount(cells.zone, calls, many), np.bincount(cells.zone, cells.share, many)
    of_zone = (met + calls_to_learn * whole) / (met.sum() + calls_to_learn)
    in_zone = np.divide(cells.share, whole[cells.zone], out=np.zeros(len(cells)), where=whole[cells.zone] > 0)
    of_cell = (calls + calls_to_learn * in_zone) / (met[cells.zone] + calls_to_learn)
    return np.asarray(rate * of_zone[cells.zone] * of_cell, dtype=np.float64)


# ---- other roads


def disturbed(
    old: RoadGraph, new: RoadGraph, how: str, from_: Snaps, to: Snaps, known_s: NDArray[np.float32],
    limit_s: float,
) -> NDArray[np.bool_]:  # fmt: skip
    """bool[n]: which rows of `known_s` float32[n, m] (seconds from n places to m on the roads `old`, inf
    beyond `limit_s`) may be others on the roads `new`; the places are snapped alike on both.

    A row whose every known time is less than the least that a way over any changed street can take keeps
    them: its ways use none of those streets, before or after.
    """
    was, now = old.ms(how), new.ms(how)
    changed = np.flatnonzero(was != now).astype(np.int32)
    if not len(changed):
        return np.zeros(len(known_s), dtype=bool)
    if len(changed) > len(was) * MANY_ARCS:
        return np.ones(len(known_s), dtype=bool)
    either = new.with_ms({how: np.minimum(was, now)}, version=("either", old.version, new.version))
    to_s, from_s = either.around(changed, from_, to, how, limit_s=limit_s)
    found = np.empty(len(known_s), dtype=bool)
    for i in range(0, len(known_s), 256):
        least_s = to_s[i : i + 256, np.newaxis] + from_s
        known = np.minimum(known_s[i : i + 256], limit_s)
        # Half a second for rounding, on the side of searching once more.
        found[i : i + 256] = (least_s <= known + 0.5).any(axis=1)
    return found


# ---- isochrones

PIXEL_M: Final = 40.0
"""An isochrone is drawn on a raster this fine, or coarser where it spans more than `_PIXELS_MAX` of them."""
_PIXELS_MAX: Final = 700
BESIDE_M: Final = 80.0
"""How far beside a reached street still counts as reached: a block, not a river."""
HOLE_M2: Final = 60_000.0
"""Smaller holes are closed: the inside of a block is reached with the streets around it."""


def isochrones(
    graph: RoadGraph, lon: float, lat: float, how: str, limits_s: Sequence[float], *, before_s: float = 0.0
) -> list[shapely.Geometry] | None:
    """What is reached from (lon, lat) by mode `how` within each of `limits_s`, as polygons in degrees, empty
    where `before_s` (the turnout) leaves no time to drive; None where no road is near. The streets that are
    reached and what lies within a block of them: the straight line over a river is no way.

    `air` flies in a circle. Raises ValueError for an unknown mode.
    """
    plane = LocalMetres(lon, lat)
    left_s = [limit_s - before_s for limit_s in limits_s]
    if how == "air":
        circles = [shapely.Point(0, 0).buffer(max(0.0, s) * STRAIGHT_KMH["air"] / 3.6) for s in left_s]
        return [_in_degrees(circle, plane) for circle in circles]
    snap = graph.snap(lon, lat, how)
    if snap.edge[0] < 0:
        return None
    x, y, seconds = _passed(graph, snap, how, max(0.0, *left_s), plane)
    found = []
    for limit_s in left_s:
        within = seconds <= limit_s
        found.append(_in_degrees(_around(x[within], y[within]), plane))
    return found


def _passed(
    graph: RoadGraph, snap: Snaps, how: str, limit_s: float, plane: LocalMetres
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(x, y, seconds) of points along every street that is reached, a pixel apart at most."""
    reach = graph.reach(float(snap.lon[0]), float(snap.lat[0]), how, limit_s)
    a, ms = graph.arrays(how), graph.ms(how).astype(np.float64) / 1000
    ms[ms >= IMPASSABLE / 1000] = np.inf
    edges = len(a["edge_m"])
    tail_s, head_s = np.full(edges, np.inf), np.full(edges, np.inf)
    tail_s[reach.edge], head_s[reach.edge] = reach.tail_s, reach.head_s
    is_reached = np.zeros(edges, dtype=bool)
    is_reached[reach.edge] = True
    start = np.flatnonzero((a["point_edge"][:-1] == a["point_edge"][1:]) & is_reached[a["point_edge"][:-1]])
    length_m = (a["point_m"][start + 1] - a["point_m"][start]).astype(np.float64)
    pieces = np.maximum(1, np.ceil(length_m / PIXEL_M)).astype(np.int64)
    which = np.repeat(np.arange(len(start)), pieces)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    along = (nth + 0.5) / pieces[which]
    p = start[which]
    edge = a["point_edge"][p]
    whole_m = np.maximum(a["edge_m"][edge].astype(np.float64), 1e-3)
    share = np.minimum(1.0, (a["point_m"][p] + along * length_m[which]) / whole_m)
    with np.errstate(invalid="ignore"):
        forth, back = tail_s[edge] + share * ms[2 * edge], head_s[edge] + (1 - share) * ms[2 * edge + 1]
        own = edge == snap.edge[0]
        ahead = share[own] - snap.fraction[0]
        direct = np.where(ahead >= 0, ahead * ms[2 * edge[own]], -ahead * ms[2 * edge[own] + 1])
    seconds = np.fmin(forth, back)
    seconds[own] = np.fmin(seconds[own], direct + snap.away_m[0] / UNIT_ACCESS_MPS)
    ends = [a[name] for name in ("point_lon_e7", "point_lat_e7")]
    lon, lat = (end[p] / 1e7 * (1 - along) + end[p + 1] / 1e7 * along for end in ends)
    x, y = plane.to_xy(lon, lat)
    return x, y, seconds


def _around(x: FloatArray, y: FloatArray) -> shapely.Geometry:
    """The ground within a block of the points, in metres."""
    if not len(x):
        return shapely.Polygon()
    span = max(float(x.max() - x.min()), float(y.max() - y.min())) + 4 * BESIDE_M
    pixel = max(PIXEL_M, span / _PIXELS_MAX)
    margin = math.ceil(BESIDE_M / pixel) + 1
    west, south = float(x.min()) - margin * pixel, float(y.min()) - margin * pixel
    column, row = ((x - west) / pixel).astype(np.int64), ((y - south) / pixel).astype(np.int64)
    drawn = np.zeros((int(row.max()) + margin + 1, int(column.max()) + margin + 1), dtype=bool)
    drawn[row, column] = True
    wide = drawn.copy()
    for dx in range(-margin, margin + 1):
        for dy in range(-margin, margin + 1):
            if 0 < math.hypot(dx, dy) * pixel <= BESIDE_M:
                wide |= np.roll(drawn, (dy, dx), axis=(0, 1))
    # Here, because a process that only counts coverage never draws it.
    from contourpy import FillType, contour_generator

    high, across = wide.shape
    outline = contour_generator(
        west + (np.arange(across) + 0.5) * pixel, south + (np.arange(high) + 0.5) * pixel,
        wide.astype(np.float64), fill_type=FillType.OuterOffset,
    )  # fmt: skip
    parts = []
    for points, offsets in zip(*outline.filled(0.5, 2.0), strict=True):
        rings = [points[one:next_] for one, next_ in itertools.pairwise(offsets)]
        holes = [ring for ring in rings[1:] if shapely.Polygon(ring).area >= HOLE_M2]
        parts.append(shapely.Polygon(rings[0], holes).simplify(0.75 * pixel))
    return shapely.union_all(parts)


def _in_degrees(shape: shapely.Geometry, plane: LocalMetres) -> shapely.Geometry:
    def turned(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.column_stack(plane.to_lonlat(points[:, 0], points[:, 1])).round(5))

    return shapely.transform(shape, turned)
