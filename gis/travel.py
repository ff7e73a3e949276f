"""Travel times over the road graph: from many units to one incident, and the route of one unit.

The search runs backwards from the incident (Dijkstra over the arcs that *enter* each junction, or the copy of
it that a turn restriction made) and stops when the k nearest units are settled, so its cost follows how near
help is, not how large the city is. Compiled by
numba with `nogil`: several OS threads search one graph at once, each with a workspace of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gis.geometry import FloatArray, haversine_m, is_position, metres_between
from gis.roads import DRIVE_PROFILES, IMPASSABLE, NETWORK_OF, NEVER_ASIDE_M, Arrays, load_network

PROFILES: Final = (*NETWORK_OF, "air")

REACH_M: Final = 500.0
"""Farther than this from every road of its profile, a position is off the road."""

UNIT_ACCESS_MPS: Final = 10 / 3.6
"""From where a unit stands to the road: out of a yard, at 10 km/h."""
SCENE_ACCESS_MPS: Final = 5 / 3.6
"""From the road to the incident: on foot with the kit, at 5 km/h."""

THERE_M: Final = 60.0
"""A unit this near may simply walk over, whatever the streets do: one yard, one square."""

STRAIGHT_DETOUR: Final = 1.4
"""Road distance over straight distance where no road is known: Ballou, Rahardja and Sakai (2002,
Transportation Research A 36:843) give about 1.2 to 1.6 for most countries. The caution is in the speeds."""
STRAIGHT_KMH: Final[dict[str, float]] = {
    "car": 30.0, "ambulance": 30.0, "fire_engine": 30.0, "bus": 20.0, "foot": 5.0, "air": 216.0,
}  # fmt: skip
"""Speed over the straight estimate: cautious town speeds; for `air` the cruise of a light rescue helicopter,
which flies straight, without the detour."""

ROAD, STRAIGHT, UNREACHABLE, OFF_ROAD, NO_POSITION, NOT_SEARCHED = range(6)
"""How each row of a `Travel` came about (`Travel.how`)."""

_BAR: Final = {profile: 1 << bit for bit, profile in enumerate(DRIVE_PROFILES)} | {"foot": 0}

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        # As numba itself would, but without the 90 MB that it takes: for who asks for one way now and then.
        return function
    import numba

    return cast(_F, numba.njit(nogil=True, cache=True)(function))


@dataclass(frozen=True)
class Snaps:
    """Positions put on the road network of one profile; n rows.

    `edge` is -1 where no road lies within `REACH_M` or the position is not one; `fraction` is how far along
    the edge, 0 to 1; `away_m` the straight distance to that point on the road.
    """

    lon: FloatArray
    lat: FloatArray
    edge: NDArray[np.int32]
    fraction: FloatArray
    away_m: FloatArray


@dataclass(frozen=True)
class Travel:
    """From n units to one incident.

    `drive_s` float64[n]: seconds on the way, with the access at both ends; inf where there is no figure.
    `distance_m` float64[n]: metres driven (without the access); inf where there is no figure. `road` bool[n]:
    whether the figure follows the road graph. A finite figure without it is a straight-line estimate. `how`
    uint8[n]: ROAD; STRAIGHT; UNREACHABLE (on a road with no way to the incident); OFF_ROAD (more than
    `REACH_M` from any road, no estimate asked for); NO_POSITION; NOT_SEARCHED (farther than the k nearest).
    """

    drive_s: FloatArray
    distance_m: FloatArray
    road: NDArray[np.bool_]
    how: NDArray[np.uint8]


@dataclass(frozen=True)
class Route:
    """One way through the city: `points` as (lon, lat) from the unit's road point to the incident's,
    `drive_s` with the access at both ends, `distance_m` driven, `streets` as (name or "", metres) in order.
    When `road` is False there was no way by road: two points and a straight-line estimate (inf when not even
    that is meaningful). `at_s`: when each point is passed, in seconds from the first, the vehicle rolling at
    each street's speed; empty without a road."""

    points: list[tuple[float, float]]
    drive_s: float
    distance_m: float
    road: bool
    streets: list[tuple[str, float]]
    at_s: list[float] = field(default_factory=list)


@_compiled
def _snap(
    lon: Any, lat: Any, shape: Any, grid_first: Any, grid_point: Any, point_edge: Any, point_lon: Any,
    point_lat: Any,
    point_m: Any, edge_m: Any, aside: Any, reach_m: float, out_edge: Any, out_fraction: Any, out_away: Any,
) -> None:  # fmt: skip
    lon0, lat0, kx_grid, ky, cell = shape[0], shape[1], shape[2], shape[3], shape[4]
    columns, rows = int(shape[5]), int(shape[6])
    rings = int(reach_m / cell) + 2
    for i in range(len(lon)):
        out_edge[i], out_fraction[i], out_away[i] = -1, 0.0, np.inf
        if not (np.isfinite(lon[i]) and np.isfinite(lat[i]) and abs(lon[i]) <= 180.0 and abs(lat[i]) <= 90.0):
            continue
        gx, gy = (lon[i] - lon0) * kx_grid / cell, (lat[i] - lat0) * ky / cell
        column, row = int(np.floor(gx)), int(np.floor(gy))
        inside = min(min(gx - column, column + 1 - gx), min(gy - row, row + 1 - gy)) * cell
        kx = ky * np.cos(np.radians(lat[i]))
        best = np.inf
        for ring in range(rings + 1):
            # Nothing in this ring can be nearer; the grid's one scale may be a few per cent off, hence 0.9.
            if ring > 0 and ((ring - 1) * cell + inside) * 0.9 > min(best, reach_m):
                break
            for r in range(row - ring, row + ring + 1):
                if r < 0 or r >= rows:
                    continue
                step = 1 if r == row - ring or r == row + ring else 2 * ring
                for c in range(column - ring, column + ring + 1, max(1, step)):
                    if c < 0 or c >= columns:
                        continue
                    for j in range(grid_first[r * columns + c], grid_first[r * columns + c + 1]):
                        p = grid_point[j]
                        edge = point_edge[p]
                        if aside[edge] == NEVER_ASIDE_M:
                            continue
                        ax, ay = (point_lon[p] * 1e-7 - lon[i]) * kx, (point_lat[p] * 1e-7 - lat[i]) * ky
                        bx, by = (
                            (point_lon[p + 1] * 1e-7 - lon[i]) * kx,
                            (point_lat[p + 1] * 1e-7 - lat[i]) * ky,
                        )
                        dx, dy = bx - ax, by - ay
                        square = dx * dx + dy * dy
                        t = 0.0 if square == 0.0 else min(1.0, max(0.0, -(ax * dx + ay * dy) / square))
                        away = np.hypot(ax + t * dx, ay + t * dy)
                        if away <= reach_m and away + aside[edge] < best:
                            best = away + aside[edge]
                            out_edge[i], out_away[i] = edge, away
                            whole = edge_m[edge]
                            along = point_m[p] + t * (point_m[p + 1] - point_m[p])
                            out_fraction[i] = min(1.0, along / whole) if whole > 0 else 0.0


@_compiled
def _push(costs: Any, items: Any, size: int, cost: float, item: int) -> int:
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if costs[parent] <= cost:
            break
        costs[i], items[i] = costs[parent], items[parent]
        i = parent
    costs[i], items[i] = cost, item
    return size + 1


@_compiled
def _pop(costs: Any, items: Any, size: int) -> int:
    """Drop the least entry (read it at index 0 first)."""
    size -= 1
    cost, item = costs[size], items[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and costs[child + 1] < costs[child]:
            child += 1
        if costs[child] >= cost:
            break
        costs[i], items[i] = costs[child], items[child]
        i = child
    costs[i], items[i] = cost, item
    return size


@_compiled
def _search(
    in_first: Any, in_tail: Any, in_arc: Any, in_bars: Any, bar: int, ms: Any, arc_head: Any, copy_next: Any,
    edge_tail: Any, edge_head: Any, edge_m: Any,
    scene_edge: int, scene_fraction: float, unit_edge: Any, unit_fraction: Any, unit_extra_ms: Any, k: int,
    cost: Any, metres: Any, done: Any, onward: Any, unit_at: Any, touched: Any, heap_cost: Any,
    heap_item: Any,
    goes_to: Any, link: Any, unit_ms: Any, unit_m: Any, unit_via: Any, unit_done: Any, path: Any,
) -> int:  # fmt: skip
    """Settle the k nearest units; returns the length of `path`, filled for unit 0 when the array is not
    empty.

    `onward[node]` is the arc to take there, and `goes_to[node]` the node it leads to; the arcs that lead
    straight to the incident are stored as -2 - arc. `bar` is the profile's bit of `in_bars`.
    """
    nodes = len(cost)
    size, touches, wanted = 0, 0, 0
    for i in range(len(unit_edge)):
        unit_ms[i], unit_m[i], unit_via[i], unit_done[i] = np.inf, np.inf, -1, 0
        edge = unit_edge[i]
        if edge < 0:
            continue
        wanted += 1
        for slot in range(2 * i, 2 * i + 2):
            node = arc_head[2 * edge + (slot & 1)]
            link[slot] = unit_at[node]
            unit_at[node] = slot
        if edge == scene_edge:
            ahead = scene_fraction - unit_fraction[i]
            # At the very spot either direction will do, and on a one-way street only one of them is open.
            arc = 2 * edge if ahead > 0 or (ahead == 0 and ms[2 * edge] != IMPASSABLE) else 2 * edge + 1
            if ms[arc] != IMPASSABLE:
                unit_ms[i] = abs(ahead) * ms[arc] + unit_extra_ms[i]
                unit_m[i], unit_via[i] = abs(ahead) * edge_m[edge], -2 - arc
                size = _push(heap_cost, heap_item, size, unit_ms[i], nodes + i)
    wanted = min(wanted, k)
    for direction in range(2):
        arc = 2 * scene_edge + direction
        if ms[arc] == IMPASSABLE:
            continue
        share = scene_fraction if direction == 0 else 1.0 - scene_fraction
        # The arc leads to the incident from every copy of its first junction where it may be taken.
        node = edge_head[scene_edge] if direction == 0 else edge_tail[scene_edge]
        while node >= 0:
            for j in range(in_first[node], in_first[node + 1]):
                tail = in_tail[j]
                if in_arc[j] != arc or in_bars[j] & bar or share * ms[arc] >= cost[tail]:
                    continue
                if cost[tail] == np.inf:
                    touched[touches] = tail
                    touches += 1
                cost[tail], metres[tail] = share * ms[arc], share * edge_m[scene_edge]
                onward[tail] = -2 - arc
                size = _push(heap_cost, heap_item, size, cost[tail], tail)
            node = copy_next[node]

    settled = 0
    while size > 0 and settled < wanted:
        least, item = heap_cost[0], heap_item[0]
        size = _pop(heap_cost, heap_item, size)
        if item >= nodes:
            if unit_done[item - nodes] == 0:
                unit_done[item - nodes] = 1
                settled += 1
            continue
        if done[item]:
            continue
        done[item] = 1
        slot = unit_at[item]
        while slot >= 0:
            i = slot >> 1
            edge = unit_edge[i]
            arc = 2 * edge + (slot & 1)
            if unit_done[i] == 0 and ms[arc] != IMPASSABLE:
                share = unit_fraction[i] if slot & 1 else 1.0 - unit_fraction[i]
                total = least + share * ms[arc] + unit_extra_ms[i]
                if total < unit_ms[i]:
                    unit_ms[i], unit_m[i], unit_via[i] = total, metres[item] + share * edge_m[edge], arc
                    size = _push(heap_cost, heap_item, size, total, nodes + i)
            slot = link[slot]
        for j in range(in_first[item], in_first[item + 1]):
            arc = in_arc[j]
            if ms[arc] == IMPASSABLE or in_bars[j] & bar:
                continue
            tail = in_tail[j]
            total = least + ms[arc]
            if total < cost[tail]:
                if cost[tail] == np.inf:
                    touched[touches] = tail
                    touches += 1
                cost[tail], metres[tail] = total, metres[item] + edge_m[arc >> 1]
                onward[tail], goes_to[tail] = arc, item
                size = _push(heap_cost, heap_item, size, total, tail)

    steps = 0
    if len(path) > 0 and unit_done[0]:
        arc = unit_via[0]
        path[0], steps = arc, 1
        node = arc_head[max(0, arc)]
        while arc >= 0:
            arc = onward[node]
            node = goes_to[node]
            path[steps] = arc
            steps += 1

    # Leave the workspace as it was found, touching only what this search touched.
    for j in range(touches):
        cost[touched[j]], done[touched[j]] = np.inf, 0
    for i in range(len(unit_edge)):
        if unit_edge[i] >= 0:
            unit_at[arc_head[2 * unit_edge[i]]] = -1
            unit_at[arc_head[2 * unit_edge[i] + 1]] = -1
    for i in range(len(unit_edge)):
        if unit_edge[i] >= 0 and unit_done[i] == 0:
            unit_ms[i], unit_m[i] = np.inf, np.inf
    return steps


class _Workspace:
    """Scratch arrays of one search at a time."""

    def __init__(self, nodes: int, entries: int) -> None:
        self.cost = np.full(nodes, np.inf)
        self.metres = np.empty(nodes)
        self.done = np.zeros(nodes, dtype=np.uint8)
        self.onward = np.empty(nodes, dtype=np.int32)
        self.goes_to = np.zeros(nodes, dtype=np.int32)
        self.unit_at = np.full(nodes, -1, dtype=np.int32)
        self.touched = np.empty(nodes, dtype=np.int32)
        self.entries = entries
        self.heap_cost = np.empty(0)
        self.heap_item = np.empty(0, dtype=np.int32)

    def fit(self, units: int) -> None:
        """Each entry is pushed at most once, and once more where it leads to the incident; each unit at most
        three times."""
        need = 2 * self.entries + 3 * units
        if len(self.heap_cost) < need:
            self.heap_cost, self.heap_item = np.empty(need), np.empty(need, dtype=np.int32)


class _Network:
    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self._free: list[_Workspace] = []

    def borrow(self, units: int) -> _Workspace:
        try:
            workspace = self._free.pop()
        except IndexError:
            workspace = _Workspace(len(self.arrays["in_first"]) - 1, len(self.arrays["in_arc"]))
        workspace.fit(units)
        return workspace

    def give_back(self, workspace: _Workspace) -> None:
        self._free.append(workspace)


class RoadGraph:
    """The road graph of an imported city. Reading only; safe to use from several OS threads at once."""

    def __init__(self, networks: dict[str, Arrays], names: list[str]) -> None:
        self._networks = {name: _Network(arrays) for name, arrays in networks.items()}
        self.names = names

    @classmethod
    def open(cls, city: Path) -> RoadGraph:
        """Map the graph in the city's folder into memory. Raises OSError or ValueError when it is
        unreadable."""
        folder = city / "roads"
        networks = {part.name: load_network(part) for part in sorted(folder.iterdir()) if part.is_dir()}
        if "drive" not in networks:
            raise ValueError(f"{folder} has no drive network")
        return cls(networks, json.loads((folder / "names.json").read_text(encoding="utf-8")))

    def arrays(self, profile: str) -> Arrays:
        """The arrays of the network that a road profile travels on (see `gis.roads`). Raises ValueError if
        none."""
        network = self._network(profile)
        if network is None:
            raise ValueError(f"profile {profile!r} has no roads in this city")
        return network.arrays

    def warm_up(self) -> None:
        """Compile, or load from the cache, all that a request will run. Takes seconds the first time ever."""
        for name, network in self._networks.items():
            profile = next(p for p, n in NETWORK_OF.items() if n == name)
            lon, lat = network.arrays["point_lon_e7"][0] / 1e7, network.arrays["point_lat_e7"][0] / 1e7
            self.nearest(lon, lat, [lon], [lat], profile, 1)
            self.route(lon, lat, lon, lat, profile)

    def snap(self, lon: ArrayLike, lat: ArrayLike, profile: str, *, arriving: bool = False) -> Snaps:
        """Put n positions on the nearest road that the profile may use, at the nearest point along it.

        For units, a stub or courtyard that no route leaves is passed over for the street within reach that
        leads on; for incidents (`arriving`), one that no route enters.
        """
        lons = np.ascontiguousarray(np.atleast_1d(np.asarray(lon, dtype=np.float64)))
        lats = np.ascontiguousarray(np.atleast_1d(np.asarray(lat, dtype=np.float64)))
        if lons.shape != lats.shape or lons.ndim != 1:
            raise ValueError(f"lon and lat must be flat and of one length, not {lons.shape} and {lats.shape}")
        n = len(lons)
        snaps = Snaps(lons, lats, np.full(n, -1, dtype=np.int32), np.zeros(n), np.full(n, np.inf))
        network = self._network(profile)
        if network is not None:
            a = network.arrays
            _snap(
                lons, lats, a["grid_shape"], a["grid_first"], a["grid_point"], a["point_edge"],
                a["point_lon_e7"],
                a["point_lat_e7"], a["point_m"], a["edge_m"],
                a[f"{'arrive' if arriving else 'leave'}_{profile}"], REACH_M,
                snaps.edge, snaps.fraction, snaps.away_m,
            )  # fmt: skip
        return snaps

    def nearest(
        self, lon: float, lat: float, unit_lon: ArrayLike, unit_lat: ArrayLike, profile: str,
        k: int | None = None,
        *, straight: bool = True, snaps: Snaps | None = None, walk_within_m: float = 0.0,
    ) -> Travel:  # fmt: skip
        """Travel from n units of one profile to the incident at (lon, lat).

        With `k`, the search stops when the k nearest by road are settled; the rest are inf, NOT_SEARCHED.
        Units (or an incident) more than `REACH_M` from any road get a straight-line estimate with `road`
        False, or inf when `straight` is False. Units on a road that does not lead there are inf, UNREACHABLE.
        Units within `walk_within_m` of the incident walk over when that is quicker (`THERE_M` is a yard).
        A position that is not one (NaN, out of range) is inf. `air` flies straight. Pass `snaps` (from `snap`
        with the same profile) for units that have not moved. Raises ValueError for an unknown profile or
        arrays of unequal length.
        """
        units = self.snap(unit_lon, unit_lat, profile) if snaps is None else snaps
        n = len(units.lon)
        scene = self.snap(lon, lat, profile, arriving=True)
        drive_s, distance_m = np.full(n, np.inf), np.full(n, np.inf)
        how = np.full(n, NO_POSITION, dtype=np.uint8)
        with np.errstate(invalid="ignore"):
            is_known = (np.abs(units.lon) <= 180.0) & (np.abs(units.lat) <= 90.0)
        if not is_position(float(lon), float(lat)):
            is_known[:] = False
        off_road = is_known & ((units.edge < 0) | (scene.edge[0] < 0))
        on_road = is_known & ~off_road
        if on_road.any():
            k_max = n if k is None else k
            _, drive_ms, driven_m = self._run(scene, units, profile, k_max, path=False)
            settled = on_road & np.isfinite(drive_ms)
            drive_s[settled] = drive_ms[settled] / 1000 + self._scene_access_s(scene)
            distance_m[settled] = driven_m[settled]
            how[on_road] = UNREACHABLE if settled.sum() < k_max else NOT_SEARCHED
            how[settled] = ROAD
            # Who already stands there does not go out to the street and back in.
            with np.errstate(invalid="ignore"):
                on_foot_m = haversine_m(lon, lat, units.lon, units.lat)
                there = on_road & (on_foot_m < walk_within_m)
            quicker = there & (on_foot_m / SCENE_ACCESS_MPS < drive_s)
            drive_s[quicker] = on_foot_m[quicker] / SCENE_ACCESS_MPS
            distance_m[quicker] = on_foot_m[quicker]
            how[quicker] = ROAD
        how[off_road] = OFF_ROAD
        if straight or profile == "air":
            crow_m = haversine_m(lon, lat, units.lon[off_road], units.lat[off_road])
            distance_m[off_road] = crow_m * (1.0 if profile == "air" else STRAIGHT_DETOUR)
            drive_s[off_road] = distance_m[off_road] / (STRAIGHT_KMH[profile] / 3.6)
            how[off_road] = STRAIGHT
        return Travel(drive_s, distance_m, how == ROAD, how)

    def route(self, lon: float, lat: float, to_lon: float, to_lat: float, profile: str) -> Route:
        """The quickest way of one unit at (lon, lat) to (to_lon, to_lat), for drawing and for its street
        names."""
        unit, scene = self.snap(lon, lat, profile), self.snap(to_lon, to_lat, profile, arriving=True)
        if unit.edge[0] >= 0 and scene.edge[0] >= 0:
            arcs, drive_ms, driven_m = self._run(scene, unit, profile, 1, path=True)
            if np.isfinite(drive_ms[0]):
                points, streets, at_s = self._follow(arcs, unit, scene, profile)
                drive_s = float(drive_ms[0]) / 1000 + self._scene_access_s(scene)
                return Route(points, drive_s, float(driven_m[0]), True, streets, at_s)
        travel = self.nearest(to_lon, to_lat, [lon], [lat], profile)
        ends = [(lon, lat), (to_lon, to_lat)] if np.isfinite(travel.drive_s[0]) else []
        return Route(ends, float(travel.drive_s[0]), float(travel.distance_m[0]), False, [])

    def _network(self, profile: str) -> _Network | None:
        if profile not in PROFILES:
            raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
        return self._networks.get(NETWORK_OF.get(profile, ""))

    @staticmethod
    def _scene_access_s(scene: Snaps) -> float:
        return float(scene.away_m[0]) / SCENE_ACCESS_MPS

    def _run(
        self, scene: Snaps, units: Snaps, profile: str, k: int, *, path: bool
    ) -> tuple[NDArray[np.int32], FloatArray, FloatArray]:
        """(arcs of unit 0's way, ms of every unit, metres of every unit)."""
        network = self._network(profile)
        assert network is not None, "a snapped position has a network"
        a, n = network.arrays, len(units.lon)
        access_mps = SCENE_ACCESS_MPS if profile == "foot" else UNIT_ACCESS_MPS
        extra_ms = units.away_m / access_mps * 1000
        unit_ms, unit_m = np.empty(n), np.empty(n)
        arcs = np.empty(len(a["in_first"]) + 1 if path else 0, dtype=np.int32)
        workspace = network.borrow(n)
        try:
            steps = _search(
                a["in_first"], a["in_tail"], a["in_arc"], a["in_bars"], _BAR[profile], a[f"ms_{profile}"],
                a["arc_head"], a["copy_next"], a["edge_tail"], a["edge_head"], a["edge_m"],
                int(scene.edge[0]), float(scene.fraction[0]), units.edge, units.fraction, extra_ms, k,
                workspace.cost, workspace.metres, workspace.done, workspace.onward, workspace.unit_at,
                workspace.touched,
                workspace.heap_cost, workspace.heap_item, workspace.goes_to, np.empty(2 * n, dtype=np.int32),
                unit_ms, unit_m, np.empty(n, dtype=np.int32), np.empty(n, dtype=np.uint8), arcs,
            )  # fmt: skip
        finally:
            network.give_back(workspace)
        return arcs[:steps], unit_ms, unit_m

    def _follow(
        self, arcs: NDArray[np.int32], unit: Snaps, scene: Snaps, profile: str
    ) -> tuple[list[tuple[float, float]], list[tuple[str, float]], list[float]]:
        """The polyline and streets of a way, and when each point is passed. Its last entry is the incident's
        own arc, stored as -2 - arc."""
        a = self.arrays(profile)
        ms = a[f"ms_{profile}"]
        at_s: list[float] = []
        points: list[tuple[float, float]] = []
        streets: list[tuple[str, float]] = []
        for i, stored in enumerate(arcs):
            arc = int(stored) if stored >= 0 else -2 - int(stored)
            edge, against = arc >> 1, bool(arc & 1)
            start, end = (1.0, 0.0) if against else (0.0, 1.0)
            if i == 0:
                start = float(unit.fraction[0])
            if i == len(arcs) - 1:
                end = float(scene.fraction[0])
            piece, shares = _piece(a, edge, start, end)
            entered_s = at_s[-1] if at_s else 0.0
            goes_on = bool(points) and piece[0] == points[-1]
            points.extend(piece[goes_on:])
            took_s = abs(end - start) * float(ms[arc]) / 1000
            at_s.extend(entered_s + share * took_s for share in shares[goes_on:])
            name = int(a["edge_name"][edge])
            street, metres = (
                self.names[name] if name >= 0 else "",
                abs(end - start) * float(a["edge_m"][edge]),
            )
            if streets and streets[-1][0] == street:
                streets[-1] = (street, streets[-1][1] + metres)
            else:
                streets.append((street, metres))
        return points, streets, at_s


def _piece(
    a: Arrays, edge: int, start: float, end: float
) -> tuple[list[tuple[float, float]], list[float]]:
    """The polyline of an edge from one fraction to another, backwards when `end` is less than `start`; and
    how far along this piece each point is, 0 to 1."""
    rows = slice(int(a["point_first"][edge]), int(a["point_first"][edge + 1]))
    along = a["point_m"][rows].astype(np.float64)
    low, high = sorted((start * along[-1], end * along[-1]))
    at = np.concatenate(([low], along[(along > low) & (along < high)], [high]))
    lon = np.interp(at, along, a["point_lon_e7"][rows] / 1e7)
    lat = np.interp(at, along, a["point_lat_e7"][rows] / 1e7)
    piece = [(round(float(x), 7), round(float(y), 7)) for x, y in zip(lon, lat, strict=True)]
    shares = [float(x) for x in (at - low) / (high - low if high > low else 1.0)]
    return (piece[::-1], [1.0 - x for x in reversed(shares)]) if end < start else (piece, shares)


def straight_line(lon: float, lat: float, to_lon: float, to_lat: float, profile: str) -> tuple[float, float]:
    """The labelled estimate for where there is no road graph at all: (seconds, metres), see
    `STRAIGHT_DETOUR`."""
    detour = 1.0 if profile == "air" else STRAIGHT_DETOUR
    distance_m = metres_between(lon, lat, to_lon, to_lat) * detour
    return distance_m / (STRAIGHT_KMH[profile] / 3.6), distance_m
