"""Travel times over the road graph: from many units to one incident, and the route of one unit.

The search for the nearest runs backwards from the incident (Dijkstra over the arcs that *enter* each
junction, or the copy of it that a turn restriction made) and stops when the k nearest units are settled, so
its cost follows how near help is, not how large the city is. Times between many, and single ways, go by
contraction hierarchies (`gis.cch`) where the city has them, else by plain searches; both give the same times.
Compiled by numba with `nogil`: several OS threads search one graph at once, each with a workspace of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gis.cch import INF as NO_WAY
from gis.cch import Hierarchy, Slots, is_compiled
from gis.geometry import FloatArray, haversine_m, is_position, metres_between
from gis.roads import (
    IMPASSABLE,
    MODES,
    NETWORK_OF,
    NEVER_ASIDE_M,
    PRIORITY,
    Arrays,
    Driving,
    is_order,
    load_network,
    mode_ms,
)
from gis.roads import mode as mode

PROFILES: Final = (*NETWORK_OF, "air")
"""Every mode of travel: the bare profiles, the drive ones with priority signals, on foot and by air."""

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

SEARCHED_SHARE: Final = 1 / 32
"""Where more than this part of the units is asked for, all times at once are quicker than searches."""
THREADS_MAX: Final = 4
SCENES_A_THREAD: Final = 64
FEW: Final = 12
NEAR_NODES: Final = 3_000
"""So few units are looked for among so many of the nearest nodes before more is made of the roads: a tenth of
what that takes."""
BOUNDED_MAX: Final = 16
"""With more of the nearest asked for, keeping their order during a search costs more than it spares."""

_BAR: Final = {mode: 1 << bit for bit, mode in enumerate(MODES)} | {"foot": 0}

Milliseconds = NDArray[np.uint32]

_ONWARD: Final = np.dtype([("cost", np.float64), ("arc", np.int32), ("node", np.int32)])

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        # As numba itself would, but without the 90 MB that it takes: for who asks for one way now and then.
        return function
    import numba

    return cast(_F, numba.njit(nogil=True, cache=True)(function))


def _unit_mps(profile: str) -> float:
    return SCENE_ACCESS_MPS if profile == "foot" else UNIT_ACCESS_MPS


def _straight_kmh(profile: str) -> float:
    return STRAIGHT_KMH[profile.removesuffix(PRIORITY)]


@dataclass(frozen=True)
class Snaps:
    """Positions put on the road network of one profile; n rows.

    `edge` is -1 where no road lies within `REACH_M` or the position is not one; `fraction` is how far along
    the edge, 0 to 1; `away_m` the straight distance to that point on the road. The arrays are not changed
    once they were searched from.
    """

    lon: FloatArray
    lat: FloatArray
    edge: NDArray[np.int32]
    fraction: FloatArray
    away_m: FloatArray

    @cached_property
    def is_known(self) -> NDArray[np.bool_]:
        """bool[n]: whether each is a position at all."""
        with np.errstate(invalid="ignore"):
            known: NDArray[np.bool_] = (np.abs(self.lon) <= 180.0) & (np.abs(self.lat) <= 90.0)
        return known

    @cached_property
    def on_road(self) -> NDArray[np.bool_]:
        """bool[n]: whether each is a position near a road."""
        on: NDArray[np.bool_] = self.is_known & (self.edge >= 0)
        return on

    @cached_property
    def all_on_road(self) -> bool:
        return bool(self.on_road.all())

    @cached_property
    def _access_ms(self) -> dict[float, FloatArray]:
        return {}

    def access_ms(self, mps: float) -> FloatArray:
        """float64[n]: milliseconds between each and its road at that speed; not to be written to."""
        if (found := self._access_ms.get(mps)) is None:
            found = self._access_ms[mps] = self.away_m / mps * 1000
        return found

    @cached_property
    def _setting_out(self) -> dict[int, tuple[NDArray[np.int32], ...] | None]:
        return {}

    def setting_out(self, arc_head: NDArray[np.int32], nodes: int) -> tuple[NDArray[np.int32], ...] | None:
        """Who sets out by which node, for `_search`: (the first slot of each node, the next slot). None on
        the first asking: it is worth its memory only for units that are searched from again and again."""
        kept = self._setting_out
        if id(arc_head) not in kept:
            kept[id(arc_head)] = None
            return None
        if (found := kept[id(arc_head)]) is None:
            unit_at, link = np.full(nodes, -1, dtype=np.int32), np.empty(2 * len(self.edge), dtype=np.int32)
            _set_out(arc_head, self.edge, unit_at, link)
            # The array stands with them so that its id stays its own.
            kept[id(arc_head)] = found = (unit_at, link, arc_head)
        return found


def _some(snaps: Snaps, rows: NDArray[np.int64]) -> Snaps:
    return Snaps(snaps.lon[rows], snaps.lat[rows], snaps.edge[rows], snaps.fraction[rows], snaps.away_m[rows])


def _one(snaps: Snaps, row: int) -> Snaps:
    i = slice(row, row + 1)
    return Snaps(snaps.lon[i], snaps.lat[i], snaps.edge[i], snaps.fraction[i], snaps.away_m[i])


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
class Soonest:
    """Who is soonest at each of m places: p pairs, in no order.

    `place`, `row` int64[p]: which place, which unit; `seconds` float32[p]: from the order to the arrival,
    with the access at both ends. `beyond_s` float64[m]: nobody else is at that place sooner; inf = nobody
    else gets there at all, or not within the limit.
    """

    place: NDArray[np.int64]
    row: NDArray[np.int64]
    seconds: NDArray[np.float32]
    beyond_s: FloatArray


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


@dataclass(frozen=True)
class Reach:
    """Where one gets from a place within `limit_s`, or from where one gets there when `backward`.

    `node_s` float32[N]: seconds to each node of the search (see `gis.roads`), inf beyond the limit; `edge`
    int32[r]: the edges that are reached in part or whole, with `tail_s` and `head_s` float32[r] at the two
    ends of their polylines. Access at the place is in all of them. `lon`, `lat`, `seconds` float64[q]: every
    point of a polyline that is passed within the limit, and when.
    """

    profile: str
    limit_s: float
    backward: bool
    node_s: NDArray[np.float32]
    edge: NDArray[np.int32]
    tail_s: NDArray[np.float32]
    head_s: NDArray[np.float32]
    lon: FloatArray
    lat: FloatArray
    seconds: FloatArray


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
def _sift_up(costs: Any, items: Any, i: int, cost: float, item: int) -> None:
    """Put an entry in at the free place i, or above it where it belongs."""
    while i > 0:
        parent = (i - 1) >> 1
        if costs[parent] <= cost:
            break
        costs[i], items[i] = costs[parent], items[parent]
        i = parent
    costs[i], items[i] = cost, item


@_compiled
def _push(costs: Any, items: Any, size: int, cost: float, item: int) -> int:
    _sift_up(costs, items, size, cost, item)
    return size + 1


@_compiled
def _pop(costs: Any, items: Any, size: int) -> int:
    """Drop the least entry (read it at index 0 first)."""
    size -= 1
    i, child = 0, 1
    # Down to the end by way of the lesser child, without asking whether the last entry belongs before: it
    # came from the end, and seldom has far to go back.
    while child + 1 < size:
        child += int(costs[child + 1] < costs[child])
        costs[i], items[i] = costs[child], items[child]
        i, child = child, 2 * child + 1
    if child < size:
        costs[i], items[i] = costs[child], items[child]
        i = child
    _sift_up(costs, items, i, costs[size], items[size])
    return size


@_compiled
def _set_out(arc_head: Any, unit_edge: Any, unit_at: Any, link: Any) -> None:
    """Chain the slots of the units (two a unit: one an end of its edge) by the node that each sets out to."""
    for i in range(len(unit_edge)):
        if unit_edge[i] >= 0:
            for slot in range(2 * i, 2 * i + 2):
                node = arc_head[2 * unit_edge[i] + (slot & 1)]
                link[slot] = unit_at[node]
                unit_at[node] = slot


@_compiled
def _bounded(least_ms: Any, least_unit: Any, k: int, unit: int, ms: float) -> Any:
    """Take a unit's new time in among the k least, in rising order; returns the last, inf where it is not
    kept."""
    last = len(least_ms) - 1
    if last + 1 < k or ms >= least_ms[last]:
        return np.inf if last + 1 < k else least_ms[last]
    # It takes its own place where it was there already, else the last one's.
    at = last
    for i in range(last + 1):
        if least_unit[i] == unit:
            at = i
    while at > 0 and least_ms[at - 1] > ms:
        least_ms[at], least_unit[at] = least_ms[at - 1], least_unit[at - 1]
        at -= 1
    least_ms[at], least_unit[at] = ms, unit
    return least_ms[last]


@_compiled
def _search(
    in_first: Any, step: Any, ms: Any, arc_head: Any, copy_next: Any, edge_tail: Any, edge_head: Any,
    edge_m: Any,
    scene_edge: int, scene_fraction: float, unit_edge: Any, unit_fraction: Any, unit_extra_ms: Any, k: int,
    on: Any, unit_at: Any, touched: Any, heap_cost: Any, heap_item: Any, link: Any,
    unit_ms: Any, unit_m: Any, path: Any,
) -> int:  # fmt: skip
    """Settle the k nearest units; returns the length of `path`, filled for unit 0 when the array is not
    empty.

    `step` uint32[I, 3]: from which node each entry leads, in how many milliseconds (IMPASSABLE where it may
    not be taken), by which arc. `on` _ONWARD[N]: of each node the cost, the arc to take there and the node it
    leads to; the arcs that lead straight to the incident are stored as -2 - arc. What is read together lies
    together: memory, not arithmetic, is what a search waits for.
    """
    nodes, units = len(on), len(unit_edge)
    size, touches, wanted = 0, 0, 0
    unit_via, unit_done = np.full(units, -1, dtype=np.int32), np.zeros(units, dtype=np.uint8)
    # The k least of the units' times so far: what is farther than the last of them leads to none of the k.
    least_ms = np.full(min(k, BOUNDED_MAX), np.inf)
    least_unit = np.full(len(least_ms), -1)
    bound = np.inf
    for i in range(units):
        unit_ms[i], unit_m[i] = np.inf, np.inf
        wanted += unit_edge[i] >= 0
    slot = unit_at[arc_head[2 * scene_edge]]
    while slot >= 0:
        i = slot >> 1
        if unit_edge[i] == scene_edge and slot & 1 == 0:
            ahead = scene_fraction - unit_fraction[i]
            # At the very spot either direction will do, and on a one-way street only one of them is open.
            arc = 2 * scene_edge
            if ahead < 0 or (ahead == 0 and ms[arc] == IMPASSABLE):
                arc += 1
            if ms[arc] != IMPASSABLE:
                unit_ms[i] = abs(ahead) * ms[arc] + unit_extra_ms[i]
                unit_via[i] = -2 - arc
                size = _push(heap_cost, heap_item, size, unit_ms[i], nodes + i)
                bound = _bounded(least_ms, least_unit, k, i, unit_ms[i])
        slot = link[slot]
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
                tail, total = step[j, 0], share * ms[arc]
                if step[j, 2] != arc or step[j, 1] == IMPASSABLE or total >= on[tail]["cost"]:
                    continue
                if on[tail]["cost"] == np.inf:
                    touched[touches] = tail
                    touches += 1
                on[tail]["cost"], on[tail]["arc"] = total, -2 - arc
                size = _push(heap_cost, heap_item, size, total, tail)
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
        if least > on[item]["cost"]:
            continue
        slot = unit_at[item]
        while slot >= 0:
            i = slot >> 1
            arc = 2 * unit_edge[i] + (slot & 1)
            if unit_done[i] == 0 and ms[arc] != IMPASSABLE:
                share = unit_fraction[i] if slot & 1 else 1.0 - unit_fraction[i]
                total = least + share * ms[arc] + unit_extra_ms[i]
                if total < unit_ms[i] and total <= bound:
                    unit_ms[i], unit_via[i] = total, arc
                    size = _push(heap_cost, heap_item, size, total, nodes + i)
                    bound = _bounded(least_ms, least_unit, k, i, total)
            slot = link[slot]
        for j in range(in_first[item], in_first[item + 1]):
            took_ms = step[j, 1]
            if took_ms == IMPASSABLE:
                continue
            tail = step[j, 0]
            total = least + took_ms
            if total < on[tail]["cost"] and total <= bound:
                if on[tail]["cost"] == np.inf:
                    touched[touches] = tail
                    touches += 1
                on[tail]["cost"], on[tail]["arc"], on[tail]["node"] = total, step[j, 2], item
                size = _push(heap_cost, heap_item, size, total, tail)

    for i in range(units):
        if unit_done[i] == 0:
            unit_ms[i] = np.inf
            continue
        # How far it drives, along its way to the incident.
        arc = unit_via[i]
        if arc < 0:
            unit_m[i] = abs(scene_fraction - unit_fraction[i]) * edge_m[scene_edge]
            continue
        metres = (unit_fraction[i] if arc & 1 else 1.0 - unit_fraction[i]) * edge_m[unit_edge[i]]
        node = arc_head[arc]
        while on[node]["arc"] >= 0:
            metres += edge_m[on[node]["arc"] >> 1]
            node = on[node]["node"]
        last = -2 - on[node]["arc"]
        unit_m[i] = metres + edge_m[scene_edge] * (1.0 - scene_fraction if last & 1 else scene_fraction)

    steps = 0
    if len(path) > 0 and unit_done[0]:
        path[0], steps = unit_via[0], 1
        if unit_via[0] >= 0:
            node = arc_head[unit_via[0]]
            while on[node]["arc"] >= 0:
                path[steps] = on[node]["arc"]
                node = on[node]["node"]
                steps += 1
            path[steps] = on[node]["arc"]
            steps += 1

    # Leave the workspace as it was found, touching only what this search touched.
    for j in range(touches):
        on[touched[j]]["cost"] = np.inf
    return steps


@_compiled
def _arrived(ms: Any, access_s: float, k: int, on_road: Any, how: Any) -> None:
    """Of the milliseconds of a search, in place, seconds with the access; and `how` each came about. Whoever
    is not on a road was not searched for, and has no figure."""
    settled = 0
    for i in range(len(ms)):
        settled += ms[i] < np.inf
    without = UNREACHABLE if settled < k else NOT_SEARCHED
    for i in range(len(ms)):
        if ms[i] < np.inf:
            ms[i], how[i] = ms[i] / 1000 + access_s, ROAD
        elif on_road[i]:
            how[i] = without


@_compiled
def _soonest(
    in_first: Any, in_tail: Any, in_arc: Any, in_bars: Any, bar: int, ms: Any, arc_head: Any, copy_next: Any,
    edge_tail: Any, edge_head: Any, scene_edge: Any, scene_fraction: Any, limit_ms: Any,
    unit_edge: Any, unit_fraction: Any, unit_extra_ms: Any, k: int, most: int,
    cost: Any, done: Any, unit_at: Any, touched: Any, heap_cost: Any, heap_item: Any,
    out_row: Any, out_ms: Any, out_count: Any, beyond_ms: Any,
) -> None:  # fmt: skip
    """As `_search` from many incidents, one after the other, without the ways: rows and milliseconds of the k
    soonest units of each, and what the next one takes at least. A search that settled `most` nodes without
    an end is given up, with a count of -1."""
    nodes, units = len(cost), len(unit_edge)
    link = np.empty(2 * units, dtype=np.int32)
    unit_ms = np.full(units, np.inf)
    unit_done = np.zeros(units, dtype=np.uint8)
    met = np.empty(units, dtype=np.int32)
    wanted = 0
    for i in range(units):
        wanted += unit_edge[i] >= 0
    _set_out(arc_head, unit_edge, unit_at, link)
    for s in range(len(scene_edge)):
        edge, fraction, limit = scene_edge[s], scene_fraction[s], limit_ms[s]
        out_count[s], beyond_ms[s] = 0, np.inf
        if edge < 0:
            continue
        size, touches, mets, settled, looked = 0, 0, 0, 0, 0
        slot = unit_at[arc_head[2 * edge]]
        while slot >= 0:
            i = slot >> 1
            if unit_edge[i] == edge and not slot & 1:
                ahead = fraction - unit_fraction[i]
                for direction in range(2):
                    arc = 2 * edge + direction
                    if ms[arc] != IMPASSABLE and (ahead >= 0.0 if direction == 0 else ahead <= 0.0):
                        total = abs(ahead) * ms[arc] + unit_extra_ms[i]
                        if total < unit_ms[i] and total <= limit:
                            if unit_ms[i] == np.inf:
                                met[mets] = i
                                mets += 1
                            unit_ms[i] = total
                            size = _push(heap_cost, heap_item, size, total, nodes + i)
            slot = link[slot]
        for direction in range(2):
            arc = 2 * edge + direction
            if ms[arc] == IMPASSABLE:
                continue
            total = (fraction if direction == 0 else 1.0 - fraction) * ms[arc]
            node = edge_head[edge] if direction == 0 else edge_tail[edge]
            while node >= 0:
                for j in range(in_first[node], in_first[node + 1]):
                    tail = in_tail[j]
                    if in_arc[j] != arc or in_bars[j] & bar or total >= cost[tail] or total > limit:
                        continue
                    if cost[tail] == np.inf:
                        touched[touches] = tail
                        touches += 1
                    cost[tail] = total
                    size = _push(heap_cost, heap_item, size, total, tail)
                node = copy_next[node]
        while size > 0 and settled < k and settled < wanted:
            least, item = heap_cost[0], heap_item[0]
            size = _pop(heap_cost, heap_item, size)
            if item >= nodes:
                i = item - nodes
                if unit_done[i] == 0:
                    unit_done[i] = 1
                    out_row[s, settled], out_ms[s, settled] = i, least
                    settled += 1
                continue
            if done[item]:
                continue
            if looked == most:
                settled = -1
                break
            looked += 1
            done[item] = 1
            slot = unit_at[item]
            while slot >= 0:
                i = slot >> 1
                arc = 2 * unit_edge[i] + (slot & 1)
                if ms[arc] != IMPASSABLE:
                    share = unit_fraction[i] if slot & 1 else 1.0 - unit_fraction[i]
                    total = least + share * ms[arc] + unit_extra_ms[i]
                    if total < unit_ms[i] and total <= limit:
                        if unit_ms[i] == np.inf:
                            met[mets] = i
                            mets += 1
                        unit_ms[i] = total
                        size = _push(heap_cost, heap_item, size, total, nodes + i)
                slot = link[slot]
            for j in range(in_first[item], in_first[item + 1]):
                arc = in_arc[j]
                if ms[arc] == IMPASSABLE or in_bars[j] & bar:
                    continue
                total = least + ms[arc]
                if total < cost[in_tail[j]] and total <= limit:
                    if cost[in_tail[j]] == np.inf:
                        touched[touches] = in_tail[j]
                        touches += 1
                    cost[in_tail[j]] = total
                    size = _push(heap_cost, heap_item, size, total, in_tail[j])
        out_count[s] = settled
        if size > 0 and 0 <= settled < wanted:
            beyond_ms[s] = heap_cost[0]
        for j in range(touches):
            cost[touched[j]], done[touched[j]] = np.inf, 0
        for j in range(mets):
            unit_ms[met[j]], unit_done[met[j]] = np.inf, 0
    for i in range(units):
        if unit_edge[i] >= 0:
            unit_at[arc_head[2 * unit_edge[i]]] = -1
            unit_at[arc_head[2 * unit_edge[i] + 1]] = -1


@_compiled
def _spread(
    first: Any, node_of: Any, arc_of: Any, bars_of: Any, bar: int, ms: Any, start: Any, start_ms: Any,
    limit_ms: float, cost: Any,
) -> None:  # fmt: skip
    """Settle every node within `limit_ms` of the starts, into `cost`, which comes filled with inf."""
    done = np.zeros(len(cost), dtype=np.uint8)
    heap_cost, heap_item = (
        np.empty(len(arc_of) + len(start)),
        np.empty(len(arc_of) + len(start), dtype=np.int32),
    )
    size = 0
    for i in range(len(start)):
        if start_ms[i] <= limit_ms and start_ms[i] < cost[start[i]]:
            cost[start[i]] = start_ms[i]
            size = _push(heap_cost, heap_item, size, start_ms[i], start[i])
    while size > 0:
        least, item = heap_cost[0], heap_item[0]
        size = _pop(heap_cost, heap_item, size)
        if done[item]:
            continue
        done[item] = 1
        for j in range(first[item], first[item + 1]):
            arc = arc_of[j]
            if ms[arc] == IMPASSABLE or bars_of[j] & bar:
                continue
            total = least + ms[arc]
            if total <= limit_ms and total < cost[node_of[j]]:
                cost[node_of[j]] = total
                size = _push(heap_cost, heap_item, size, total, node_of[j])


@_compiled
def _last_steps(
    in_first: Any, in_tail: Any, in_arc: Any, in_bars: Any, bar: int, ms: Any, copy_next: Any,
    edge_tail: Any, edge_head: Any, edge: Any, fraction: Any, first: Any, out_node: Any, out_ms: Any,
    out_arc: Any,
) -> None:  # fmt: skip
    """From which nodes the last arc to each of m places is taken, and how long it then takes. Fills `first`
    [m + 1] alone where `out_node` is empty, so that a second call knows how much there is to come."""
    size = 0
    for i in range(len(edge)):
        first[i] = size
        for direction in range(2 if edge[i] >= 0 else 0):
            arc = 2 * edge[i] + direction
            if ms[arc] == IMPASSABLE:
                continue
            node = edge_head[edge[i]] if direction == 0 else edge_tail[edge[i]]
            # The arc leads to the place from every copy of its first junction where it may be taken.
            while node >= 0:
                for j in range(in_first[node], in_first[node + 1]):
                    if in_arc[j] == arc and not in_bars[j] & bar:
                        if len(out_node):
                            out_node[size], out_arc[size] = in_tail[j], arc
                            out_ms[size] = (fraction[i] if direction == 0 else 1.0 - fraction[i]) * ms[arc]
                        size += 1
                node = copy_next[node]
    first[len(edge)] = size


@_compiled
def _along_one_street(
    edge: Any, fraction: Any, extra_ms: Any, to_edge: Any, to_fraction: Any, ms: Any, out_ms: Any
) -> None:
    """Where both ends lie on one street the way may be along it; `out_ms` [n, m] is improved in place."""
    for j in range(len(to_edge)):
        if to_edge[j] < 0:
            continue
        for i in range(len(edge)):
            if edge[i] == to_edge[j]:
                ahead = to_fraction[j] - fraction[i]
                for direction in range(2):
                    arc = 2 * edge[i] + direction
                    if ms[arc] != IMPASSABLE and (ahead >= 0.0 if direction == 0 else ahead <= 0.0):
                        out_ms[i, j] = min(out_ms[i, j], abs(ahead) * ms[arc] + extra_ms[i])


@_compiled
def _by_first_nodes(
    edge: Any, fraction: Any, extra_ms: Any, ms: Any, node_ms: Any, to_edge: int, to_fraction: float,
    walk_ms: float, limit_ms: float, out_s: Any,
) -> None:  # fmt: skip
    """Seconds to a place by the better of the two first nodes, or along the street where it is the same."""
    for i in range(len(edge)):
        best = np.inf
        ahead = to_fraction - fraction[i]
        for direction in range(2):
            arc = 2 * edge[i] + direction
            if ms[arc] == IMPASSABLE:
                continue
            share = fraction[i] if direction else 1.0 - fraction[i]
            best = min(best, share * ms[arc] + extra_ms[i] + node_ms[2 * i + direction])
            if edge[i] == to_edge and (ahead >= 0.0 if direction == 0 else ahead <= 0.0):
                best = min(best, abs(ahead) * ms[arc] + extra_ms[i])
        best += walk_ms
        out_s[i] = best / 1000 if best <= limit_ms else np.inf


class _Workspace:
    """Scratch arrays of one search at a time."""

    def __init__(self, nodes: int, entries: int) -> None:
        self.cost = np.full(nodes, np.inf)
        self.done = np.zeros(nodes, dtype=np.uint8)
        self.on = np.zeros(nodes, dtype=_ONWARD)
        self.on["cost"] = np.inf
        self.unit_at = np.full(nodes, -1, dtype=np.int32)
        self.touched = np.empty(nodes, dtype=np.int32)
        self.seen = np.zeros(nodes, dtype=np.int32)
        self.is_queued = np.zeros(nodes, dtype=np.uint8)
        self.queue = np.empty(nodes, dtype=np.int32)
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
    """One network's arrays, and what is derived from them once for every view of the city."""

    def __init__(self, arrays: Arrays, driving: Driving) -> None:
        self.arrays = arrays
        self.driving = driving
        self._free: list[_Workspace] = []
        self._ms: dict[str, Milliseconds] = {}
        self._outward: tuple[NDArray[Any], ...] | None = None
        self._junction_of: NDArray[np.int32] | None = None
        self._hierarchy: Hierarchy | None = None

    def ms(self, profile: str) -> Milliseconds:
        if (ms := self._ms.get(profile)) is None:
            a = self.arrays
            ms = mode_ms(a["edge_m"], a["arc_kmh"], a["arc_open"], profile, self.driving)
            ms.flags.writeable = False
            ms = self._ms.setdefault(profile, ms)
        return ms

    def aside(self, profile: str, arriving: bool) -> NDArray[np.uint16]:
        variant = self.driving.variant if profile.endswith(PRIORITY) else 0
        aside: NDArray[np.uint16] = self.arrays[f"{'arrive' if arriving else 'leave'}_{profile}"][variant]
        return aside

    def inward(self) -> tuple[NDArray[Any], ...]:
        """Entries by the node they lead to: (first, the node they come from, arc, bars)."""
        a = self.arrays
        return a["in_first"], a["in_tail"], a["in_arc"], a["in_bars"]

    def outward(self) -> tuple[NDArray[Any], ...]:
        """Entries by the node they come from: (first, the node they lead to, arc, bars)."""
        if self._outward is None:
            a = self.arrays
            nodes = len(a["copy_next"])
            head = self.entry_head()
            order = np.argsort(a["in_tail"], kind="stable")
            first = np.zeros(nodes + 1, dtype=np.int32)
            np.cumsum(np.bincount(a["in_tail"], minlength=nodes), out=first[1:])
            outward = (first, head[order], a["in_arc"][order], a["in_bars"][order])
            for array in outward:
                array.flags.writeable = False
            self._outward = outward
        return self._outward

    def junction_of(self) -> NDArray[np.int32]:
        """The junction of every node: itself, or the one that a copy was made of; int32[N]."""
        if self._junction_of is None:
            copies = self.arrays["copy_next"]
            found = np.arange(len(copies), dtype=np.int32)
            junctions = int(max(self.arrays["edge_tail"].max(), self.arrays["edge_head"].max())) + 1
            origin = np.flatnonzero(copies[:junctions] >= 0)
            node = copies[origin]
            while len(node):
                found[node] = origin
                origin, node = origin[copies[node] >= 0], copies[node]
                node = node[node >= 0]
            self._junction_of = found
        return self._junction_of

    def entry_head(self) -> NDArray[np.int32]:
        """The node that each entry leads to, int32[I]."""
        return np.repeat(
            np.arange(len(self.arrays["copy_next"]), dtype=np.int32), np.diff(self.arrays["in_first"])
        )

    def hierarchy(self) -> Hierarchy | None:
        """What hurries searches between many places; None where the city came without, or nothing is
        compiled."""
        if self._hierarchy is None and is_compiled():
            a = self.arrays
            order = a.get("order")
            if order is None or not is_order(order, len(a["copy_next"])):
                return None
            self._hierarchy = Hierarchy(order, a["in_tail"], self.entry_head(), a["in_arc"], a["in_bars"])
        return self._hierarchy

    def borrow(self, units: int) -> _Workspace:
        try:
            workspace = self._free.pop()
        except IndexError:
            workspace = _Workspace(len(self.arrays["in_first"]) - 1, len(self.arrays["in_arc"]))
        workspace.fit(units)
        return workspace

    def give_back(self, workspace: _Workspace) -> None:
        self._free.append(workspace)


@_compiled
def _severed(
    back_first: Any, back_node: Any, back_arc: Any, back_bars: Any, on_first: Any, on_node: Any, on_arc: Any,
    on_bars: Any, bar: int, ms: Any, junction_of: Any, copy_next: Any, seeds: Any, limit: int,
    state: Any, seen: Any, is_queued: Any, queue: Any, met: Any,
) -> Any:  # fmt: skip
    """`state` uint8[N]: 2 where no more than `limit` nodes lie behind, 1 where more do, 0 not looked at. A
    search forth starts at the seeds and goes on from what is severed only. Returns how many nodes of `queue`
    it came to, and how many of `met` it looked at: there `state`, `seen` and `is_queued` are not 0."""
    behind = np.empty(limit + 1, dtype=np.int32)
    size, mets = 0, 0
    for junction in seeds:
        node = junction_of[junction]
        while node >= 0:
            if not is_queued[node]:
                is_queued[node] = 1
                queue[size] = node
                size += 1
            node = copy_next[node]
    at = 0
    while at < size:
        start = queue[at]
        at += 1
        if state[start] == 0:
            behind[0] = start
            if seen[start] == 0:
                met[mets] = start
                mets += 1
            seen[start] = at
            found, looked = 1, 0
            leads = False
            while looked < found and not leads:
                node = behind[looked]
                looked += 1
                for j in range(back_first[node], back_first[node + 1]):
                    other = back_node[j]
                    if ms[back_arc[j]] == IMPASSABLE or back_bars[j] & bar or seen[other] == at:
                        continue
                    if state[other] == 1 or found > limit:
                        leads = True
                        break
                    if state[other] == 2:
                        continue
                    if seen[other] == 0:
                        met[mets] = other
                        mets += 1
                    seen[other] = at
                    behind[found] = other
                    found += 1
            if leads:
                state[start] = 1
            else:
                for i in range(found):
                    state[behind[i]] = 2
                    if not is_queued[behind[i]]:
                        is_queued[behind[i]] = 1
                        queue[size] = behind[i]
                        size += 1
        if state[start] != 2:
            continue
        for j in range(on_first[start], on_first[start + 1]):
            if ms[on_arc[j]] == IMPASSABLE or on_bars[j] & bar:
                continue
            node = junction_of[on_node[j]]
            while node >= 0:
                if not is_queued[node]:
                    is_queued[node] = 1
                    queue[size] = node
                    size += 1
                node = copy_next[node]
    return size, mets


@_compiled
def _leads_out(
    arc: int, arriving: bool, on_first: Any, on_arc: Any, on_bars: Any, bar: int, ms: Any, arc_head: Any,
    edge_tail: Any, edge_head: Any, copy_next: Any, state: Any,
) -> bool:  # fmt: skip
    """Whether the arc may be taken and leads to, or when `arriving` from, a node that is not severed."""
    if ms[arc] == IMPASSABLE:
        return False
    if not arriving:
        return bool(state[arc_head[arc]] != 2)
    node = edge_head[arc >> 1] if arc & 1 else edge_tail[arc >> 1]
    while node >= 0:
        if state[node] != 2:
            for j in range(on_first[node], on_first[node + 1]):
                if on_arc[j] == arc and not on_bars[j] & bar:
                    return True
        node = copy_next[node]
    return False


@_compiled
def _pocket(
    back_first: Any, back_node: Any, back_arc: Any, back_bars: Any, on_first: Any, on_node: Any, on_arc: Any,
    on_bars: Any, bar: int, ms: Any, arc_head: Any, edge_tail: Any, edge_head: Any, junction_of: Any,
    copy_next: Any, arriving: bool, seeds: Any, limit: int,
    state: Any, seen: Any, is_queued: Any, queue: Any, met: Any,
) -> Any:  # fmt: skip
    """Open edges at severed nodes of which no way leads out, int64[n]; some perhaps twice."""
    size, mets = _severed(
        back_first, back_node, back_arc, back_bars, on_first, on_node, on_arc, on_bars, bar, ms, junction_of,
        copy_next, seeds, limit, state, seen, is_queued, queue, met,
    )  # fmt: skip
    most = 0
    for i in range(size):
        if state[queue[i]] == 2:
            most += on_first[queue[i] + 1] - on_first[queue[i]]
    found = np.empty(most, dtype=np.int64)
    count = 0
    for i in range(size):
        node = queue[i]
        if state[node] != 2:
            continue
        for j in range(on_first[node], on_first[node + 1]):
            edge = on_arc[j] >> 1
            is_cut = ms[2 * edge] != IMPASSABLE or ms[2 * edge + 1] != IMPASSABLE
            for arc in range(2 * edge, 2 * edge + 2):
                is_cut = is_cut and not _leads_out(
                    arc, arriving, on_first, on_arc, on_bars, bar, ms, arc_head, edge_tail, edge_head,
                    copy_next, state,
                )  # fmt: skip
            if is_cut:
                found[count] = edge
                count += 1
    # The scratch as it was found, touching only what this search touched.
    for i in range(size):
        is_queued[queue[i]] = 0
    for i in range(mets):
        state[met[i]], seen[met[i]] = 0, 0
    return found[:count]


def cut_off(
    network: _Network, profile: str, ms: Milliseconds, closed: NDArray[np.int64], arriving: bool, limit: int
) -> NDArray[np.int64]:
    """Edges that closing those arcs has cut off from all but `limit` nodes: that cannot be entered
    (`arriving`), or be left; some perhaps twice."""
    a = network.arrays
    inward, outward = network.inward(), network.outward()
    back, on = (inward, outward) if arriving else (outward, inward)
    edge, is_along = closed >> 1, closed & 1 == 0
    at_head = is_along == arriving
    seeds = np.sort(np.where(at_head, a["edge_head"][edge], a["edge_tail"][edge])).astype(np.int64)
    junction_of = network.junction_of()
    workspace = network.borrow(0)
    try:
        found: NDArray[np.int64] = _pocket(
            back[0], back[1], back[2], back[3], on[0], on[1], on[2], on[3], _BAR[profile], ms, a["arc_head"],
            a["edge_tail"], a["edge_head"], junction_of, a["copy_next"], arriving, seeds, limit,
            workspace.done, workspace.seen, workspace.is_queued, workspace.queue, workspace.touched,
        )  # fmt: skip
    finally:
        network.give_back(workspace)
    return found


class RoadGraph:
    """The road graph of an imported city, or a view of it with other times on some arcs (`with_ms`). Reading
    only; safe to use from several OS threads at once. `version` tells views apart. `beneath`: the roads that
    this view closes some of, None where it closes none."""

    beneath: RoadGraph | None = None

    def __init__(self, networks: dict[str, Arrays], names: list[str], driving: Driving | None = None) -> None:
        self._networks = {name: _Network(arrays, driving or Driving()) for name, arrays in networks.items()}
        self._changed: Mapping[str, Milliseconds] = {}
        self._asides: dict[tuple[str, bool], NDArray[np.uint16]] = {}
        self._entries: dict[str, NDArray[np.uint32]] = {}
        self.names = names
        self.version: Hashable = "city"

    @classmethod
    def open(cls, city: Path, driving: Driving | None = None) -> RoadGraph:
        """Map the graph in the city's folder into memory; `driving` is what priority signals allow. Raises
        OSError or ValueError when it is unreadable."""
        folder = city / "roads"
        networks = {part.name: load_network(part) for part in sorted(folder.iterdir()) if part.is_dir()}
        if "drive" not in networks:
            raise ValueError(f"{folder} has no drive network")
        return cls(networks, json.loads((folder / "names.json").read_text(encoding="utf-8")), driving)

    def arrays(self, profile: str) -> Arrays:
        """The arrays of the network that a mode travels on (see `gis.roads`). Raises ValueError if none."""
        network = self._network(profile)
        if network is None:
            raise ValueError(f"profile {profile!r} has no roads in this city")
        return network.arrays

    def ms(self, profile: str) -> Milliseconds:
        """Milliseconds by arc, uint32[A], read-only; `IMPASSABLE` where the mode may not go. Raises
        ValueError for a mode without roads in this city."""
        self.arrays(profile)
        return self._ms(profile)

    def with_ms(self, ms: Mapping[str, Milliseconds], *, version: Hashable) -> RoadGraph:
        """A view of this graph with other milliseconds by arc for some modes; it shares all the rest and
        costs next to nothing. The arrays are taken as they are and must not be written to any more. Raises
        ValueError for a mode without roads or an array of another length or kind."""
        view = copy(self)
        changed = dict(self._changed)
        for profile, given in ms.items():
            arcs = 2 * len(self.arrays(profile)["edge_m"])
            if given.shape != (arcs,) or given.dtype != np.uint32:
                raise ValueError(f"ms of {profile} must be uint32[{arcs}], not {given.dtype}{given.shape}")
            own = np.ascontiguousarray(given).view()
            own.flags.writeable = False
            changed[profile] = own
        view._changed, view._asides, view._entries, view.version = changed, {}, {}, version
        return view

    def warm_up(self) -> None:
        """Compile, or load from the cache, all that a request will run. Takes seconds the first time ever."""
        for name, network in self._networks.items():
            profile = next(p for p, n in NETWORK_OF.items() if n == name)
            lon, lat = network.arrays["point_lon_e7"][0] / 1e7, network.arrays["point_lat_e7"][0] / 1e7
            self.nearest(lon, lat, [lon], [lat], profile, 1)
            self.reach(lon, lat, profile, 1.0)
            self.reach(lon, lat, profile, 1.0, backward=True)
            here = self.snap([lon], [lat], profile)
            self.times(here, here, profile)
            self._soonest(here, np.zeros(1), here, profile, 1, np.inf)
            self.route(lon, lat, lon, lat, profile)
            cut_off(network, profile, network.ms(profile), np.zeros(1, dtype=np.int64), True, 1)

    def snap(self, lon: ArrayLike, lat: ArrayLike, profile: str, *, arriving: bool = False) -> Snaps:
        """Put n positions on the nearest road that the profile may use, at the nearest point along it.

        For units, a stub or courtyard that no route leaves is passed over for the street within reach that
        leads on; for incidents (`arriving`), one that no route enters. A street that is closed in this view
        is passed over for an open one within reach; the rest of the way is then the access.
        """
        lons = np.array(lon, dtype=np.float64, ndmin=1, order="C", copy=None)
        lats = np.array(lat, dtype=np.float64, ndmin=1, order="C", copy=None)
        if lons.shape != lats.shape or lons.ndim != 1:
            raise ValueError(f"lon and lat must be flat and of one length, not {lons.shape} and {lats.shape}")
        n = len(lons)
        snaps = Snaps(lons, lats, np.full(n, -1, dtype=np.int32), np.zeros(n), np.full(n, np.inf))
        network = self._network(profile)
        if network is not None:
            self._snap(network, snaps, self._aside(profile, arriving))
            cut = np.flatnonzero(snaps.edge < 0) if profile in self._changed else ()
            if len(cut):
                # Where every road within reach is closed, one stands on a closed road, not off the road.
                part = Snaps(lons[cut], lats[cut], snaps.edge[cut], snaps.fraction[cut], snaps.away_m[cut])
                self._snap(network, part, network.aside(profile, arriving))
                snaps.edge[cut], snaps.fraction[cut], snaps.away_m[cut] = (
                    part.edge,
                    part.fraction,
                    part.away_m,
                )
        return snaps

    @staticmethod
    def _snap(network: _Network, snaps: Snaps, aside: NDArray[np.uint16]) -> None:
        a = network.arrays
        _snap(
            snaps.lon, snaps.lat, a["grid_shape"], a["grid_first"], a["grid_point"], a["point_edge"],
            a["point_lon_e7"], a["point_lat_e7"], a["point_m"], a["edge_m"], aside, REACH_M,
            snaps.edge, snaps.fraction, snaps.away_m,
        )  # fmt: skip

    def _aside(self, profile: str, arriving: bool) -> NDArray[np.uint16]:
        """By how many metres snapping sets each edge aside: the city's, and never an edge that is closed both
        ways here."""
        network = self._network(profile)
        assert network is not None, "only a mode with roads is snapped"
        aside = network.aside(profile, arriving)
        return self._open_aside(profile, arriving) if profile in self._changed else aside

    def _open_aside(self, profile: str, arriving: bool) -> NDArray[np.uint16]:
        if (own := self._asides.get((profile, arriving))) is None:
            own = self._weighed_aside(profile, arriving)
            own.flags.writeable = False
            self._asides[profile, arriving] = own
        return own

    def _weighed_aside(self, profile: str, arriving: bool) -> NDArray[np.uint16]:
        network = self._network(profile)
        assert network is not None, "only a mode with roads is snapped"
        ms = self._ms(profile)
        is_closed = (ms[0::2] == IMPASSABLE) & (ms[1::2] == IMPASSABLE)
        return np.where(is_closed, np.uint16(NEVER_ASIDE_M), network.aside(profile, arriving))

    def placed(self, at: Snaps, profile: str) -> Snaps:
        """Units that were snapped on the roads `beneath` as they are found on these; not to be written to."""
        return at

    def nearest(
        self, lon: float, lat: float, unit_lon: ArrayLike, unit_lat: ArrayLike, profile: str,
        k: int | None = None,
        *, straight: bool = True, snaps: Snaps | None = None, walk_within_m: float = 0.0,
    ) -> Travel:  # fmt: skip
        """Travel from n units of one mode to the incident at (lon, lat).

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
        is_place = is_position(float(lon), float(lat))
        everybody = is_place and bool(scene.edge[0] >= 0) and units.all_on_road
        if everybody:
            on_road, off_road = units.on_road, None
        else:
            is_known = units.is_known & is_place
            on_road = units.on_road & (is_place and bool(scene.edge[0] >= 0))
            off_road = is_known & ~on_road
        how = np.full(n, NO_POSITION, dtype=np.uint8)
        if everybody or on_road.any():
            k_max = n if k is None else k
            _, drive_s, distance_m = self._run(scene, units, profile, k_max, path=False)
            _arrived(drive_s, self._scene_access_s(scene), k_max, on_road, how)
            if walk_within_m > 0:
                # Who already stands there does not go out to the street and back in.
                with np.errstate(invalid="ignore"):
                    on_foot_m = haversine_m(lon, lat, units.lon, units.lat)
                    there = on_road & (on_foot_m < walk_within_m)
                quicker = there & (on_foot_m / SCENE_ACCESS_MPS < drive_s)
                drive_s[quicker] = on_foot_m[quicker] / SCENE_ACCESS_MPS
                distance_m[quicker] = on_foot_m[quicker]
                how[quicker] = ROAD
        else:
            drive_s, distance_m = np.full(n, np.inf), np.full(n, np.inf)
        if off_road is not None and off_road.any():
            how[off_road] = OFF_ROAD
            if straight or profile == "air":
                crow_m = haversine_m(lon, lat, units.lon[off_road], units.lat[off_road])
                distance_m[off_road] = crow_m * (1.0 if profile == "air" else STRAIGHT_DETOUR)
                drive_s[off_road] = distance_m[off_road] / (_straight_kmh(profile) / 3.6)
                how[off_road] = STRAIGHT
        return Travel(drive_s, distance_m, how == ROAD, how)

    def route(self, lon: float, lat: float, to_lon: float, to_lat: float, profile: str) -> Route:
        """The quickest way of one unit at (lon, lat) to (to_lon, to_lat), for drawing and for its street
        names."""
        unit, scene = self.snap(lon, lat, profile), self.snap(to_lon, to_lat, profile, arriving=True)
        if unit.edge[0] >= 0 and scene.edge[0] >= 0:
            arcs, drive_ms, driven_m = self._way(unit, scene, profile)
            if np.isfinite(drive_ms):
                points, streets, at_s = self._follow(arcs, unit, scene, profile)
                drive_s = drive_ms / 1000 + self._scene_access_s(scene)
                return Route(points, drive_s, driven_m, True, streets, at_s)
        travel = self.nearest(to_lon, to_lat, [lon], [lat], profile)
        ends = [(lon, lat), (to_lon, to_lat)] if np.isfinite(travel.drive_s[0]) else []
        return Route(ends, float(travel.drive_s[0]), float(travel.distance_m[0]), False, [])

    def times(
        self, from_: Snaps, to: Snaps, profile: str, *, limit_s: float | None = None
    ) -> NDArray[np.float32]:
        """Seconds from each of n places to each of m, float32[n, m], with the access at both ends; inf where
        there is no way by road or it takes more than `limit_s`; by contraction hierarchies (`gis.cch`) where
        the city has them. `from_` is snapped as units are, `to` with
        `arriving`, both in this view. Equal to `nearest` to the millisecond. Raises ValueError for an unknown
        mode."""
        network = self._network(profile)
        found_ms = np.full((len(from_.edge), len(to.edge)), np.inf)
        if network is None or not found_ms.size:
            return found_ms.astype(np.float32)
        ms, bar = self._ms(profile), _BAR[profile]
        limit_ms = np.inf if limit_s is None else limit_s * 1000
        hierarchy = network.hierarchy()
        if len(to.edge) == 1 and hierarchy is not None:
            return self._times_to(from_, to, profile, network, hierarchy, limit_ms)
        first_steps, last_steps = self._first_steps(from_, profile)[0], self._last_steps(to, profile)[0]
        outward = len(from_.edge) <= len(to.edge)
        few, many = (first_steps, last_steps) if outward else (last_steps, first_steps)
        if hierarchy is not None:
            metric = hierarchy.borrow(ms, bar, *self._under(profile))
            try:
                between = hierarchy.between(metric, few, many, outward=outward, limit_ms=limit_ms)
            finally:
                hierarchy.give_back(metric, bar)
        else:
            between = self._between(few, many, profile, outward, limit_ms)
        found_ms = np.ascontiguousarray(between if outward else between.T)
        extra_ms = from_.away_m / _unit_mps(profile) * 1000
        _along_one_street(from_.edge, from_.fraction, extra_ms, to.edge, to.fraction, ms, found_ms)
        with np.errstate(invalid="ignore"):
            found_ms += to.away_m / SCENE_ACCESS_MPS * 1000
        # A place without a road is infinitely far from it.
        found_ms[~(found_ms <= limit_ms)] = np.inf
        return (found_ms / 1000).astype(np.float32)

    def _times_to(
        self, from_: Snaps, to: Snaps, profile: str, network: _Network, hierarchy: Hierarchy, limit_ms: float
    ) -> NDArray[np.float32]:
        """`times` to one place, float32[n, 1]."""
        found_s = np.full((len(from_.edge), 1), np.inf, dtype=np.float32)
        rows = np.flatnonzero(from_.edge >= 0)
        if to.edge[0] < 0 or not len(rows):
            return found_s
        ms, bar = self._ms(profile), _BAR[profile]
        walk_ms = float(to.away_m[0]) / SCENE_ACCESS_MPS * 1000
        everybody = len(rows) == len(from_.edge)
        at = from_ if everybody else _some(from_, rows)
        if len(rows) <= FEW and not hierarchy.is_ready(ms, bar):
            # Under a closure just drawn: a few units near the place are found before a metric is made.
            row, took_ms, count, _ = self._soonest(
                at, np.zeros(len(rows)), to, profile, len(rows), limit_ms, NEAR_NODES
            )
            if count[0] >= 0:
                found_s[rows[row[0, : count[0]]], 0] = (took_ms[0, : count[0]] + walk_ms) / 1000
                return found_s
        goal = self._last_steps(to, profile)[0]
        # The nodes that those come to first, both ways, where they may go that way.
        arcs = (2 * at.edge[:, np.newaxis] + np.arange(2)).ravel()
        is_open = ms[arcs] != IMPASSABLE
        node_ms = np.full(len(arcs), np.inf)
        metric = hierarchy.borrow(ms, bar, *self._under(profile))
        try:
            node_ms[is_open] = hierarchy.toward(metric, goal, network.arrays["arc_head"][arcs[is_open]])
        finally:
            hierarchy.give_back(metric, bar)
        extra_ms = from_.access_ms(_unit_mps(profile))
        out_s = np.empty(len(rows), dtype=np.float32)
        _by_first_nodes(
            at.edge, at.fraction, extra_ms if everybody else extra_ms[rows], ms, node_ms, int(to.edge[0]),
            float(to.fraction[0]), walk_ms, limit_ms, out_s,
        )  # fmt: skip
        found_s[rows, 0] = out_s
        return found_s

    def soonest(
        self, from_: Snaps, to: Snaps, profile: str, k: int, *,
        ready_s: ArrayLike = 0.0, limit_s: float = np.inf,
    ) -> Soonest:  # fmt: skip
        """The k units that are soonest at each of m places, of n units of one mode: a bounded search from
        every place, on several OS threads, or all times at once (`times`) where k is a large part of n.

        `ready_s` float[n] or one for all: seconds before a unit sets off, inf or nan = never. Who is off the
        road, and everybody where the place is, is estimated as in `nearest` and listed whatever k is. Times
        are those of `times` with `ready_s` added. Raises ValueError for an unknown mode or a k below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; it must be 1 or more")
        n, m = len(from_.edge), len(to.edge)
        ready = np.broadcast_to(np.asarray(ready_s, dtype=np.float64), (n,))
        network = self._network(profile)
        places: list[NDArray[np.int64]] = []
        rows: list[NDArray[np.int64]] = []
        seconds: list[NDArray[np.float32]] = []
        beyond_s = np.full(m, np.inf)

        def listed(place: NDArray[np.int64], row: NDArray[np.int64], took_s: NDArray[np.float32]) -> None:
            took_s = took_s + ready[row].astype(np.float32)
            with np.errstate(invalid="ignore"):
                fits = (took_s <= limit_s) & (took_s < np.inf)
            places.append(place[fits])
            rows.append(row[fits])
            seconds.append(took_s[fits])

        units, scenes = np.flatnonzero((from_.edge >= 0) & np.isfinite(ready)), np.flatnonzero(to.edge >= 0)
        if network is None or not len(units) or not len(scenes):
            pass
        elif k >= len(units) * SEARCHED_SHARE:
            some, there = _some(from_, units), _some(to, scenes)
            at, i = np.divmod(np.arange(len(scenes) * len(units)), len(units))
            listed(scenes[at], units[i], np.ascontiguousarray(self.times(some, there, profile).T).ravel())
        else:
            near, near_ms, count, beyond_ms = self._soonest(
                _some(from_, units), ready[units] * 1000, _some(to, scenes), profile, k, limit_s * 1000
            )
            at, j = np.nonzero(np.arange(near.shape[1]) < count[:, np.newaxis])
            row = units[near[at, j]]
            walk_ms = to.away_m[scenes] / SCENE_ACCESS_MPS * 1000
            drive_s = (near_ms[at, j] - ready[row] * 1000 + walk_ms[at]) / 1000
            listed(scenes[at], row, drive_s.astype(np.float32))
            # What is listed is rounded to float32: nothing that is not may seem to be sooner by that.
            beyond_s[scenes] = (beyond_ms + walk_ms) / 1000 * (1.0 - 1e-6)
        off = ~((from_.edge >= 0)[np.newaxis] & (to.edge >= 0)[:, np.newaxis])
        if off.any():
            at, row = np.nonzero(off)
            crow_m = haversine_m(to.lon[at], to.lat[at], from_.lon[row], from_.lat[row])
            crow_m[~(to.is_known[at] & from_.is_known[row])] = np.nan
            detour = 1.0 if profile == "air" else STRAIGHT_DETOUR
            listed(at, row, (crow_m * detour / (_straight_kmh(profile) / 3.6)).astype(np.float32))
        if not places:
            nothing = np.empty(0, dtype=np.int64)
            return Soonest(nothing, nothing, np.empty(0, dtype=np.float32), beyond_s)
        return Soonest(np.concatenate(places), np.concatenate(rows), np.concatenate(seconds), beyond_s)

    def _soonest(
        self, units: Snaps, ready_ms: FloatArray, scenes: Snaps, profile: str, k: int, limit_ms: float,
        most: int = 2**62,
    ) -> tuple[NDArray[np.int32], FloatArray, NDArray[np.int32], FloatArray]:  # fmt: skip
        """(rows int32[m, k], milliseconds float64[m, k], how many int32[m], float64[m] what the next one
        takes at least), without the walk from the road to the place. How many is -1 where that would take
        settling more than `most` nodes."""
        network = self._network(profile)
        assert network is not None, "a snapped position has a network"
        a, m, ms = network.arrays, len(scenes.edge), self._ms(profile)
        rows, took_ms = np.empty((m, k), dtype=np.int32), np.empty((m, k))
        count, beyond_ms = np.empty(m, dtype=np.int32), np.empty(m)
        extra_ms = units.away_m / _unit_mps(profile) * 1000 + ready_ms
        within_ms = limit_ms - scenes.away_m / SCENE_ACCESS_MPS * 1000

        def part(first: int, last: int) -> None:
            workspace = network.borrow(len(units.edge))
            try:
                _soonest(
                    a["in_first"], a["in_tail"], a["in_arc"], a["in_bars"], _BAR[profile], ms,
                    a["arc_head"], a["copy_next"], a["edge_tail"], a["edge_head"],
                    scenes.edge[first:last], scenes.fraction[first:last], within_ms[first:last],
                    units.edge, units.fraction, extra_ms, k, most,
                    workspace.cost, workspace.done, workspace.unit_at, workspace.touched,
                    workspace.heap_cost, workspace.heap_item,
                    rows[first:last], took_ms[first:last], count[first:last], beyond_ms[first:last],
                )  # fmt: skip
            finally:
                network.give_back(workspace)

        threads = min(THREADS_MAX, m // SCENES_A_THREAD)
        if threads < 2:
            part(0, m)
        else:
            from concurrent.futures import ThreadPoolExecutor

            threads = min(threads, os.cpu_count() or 1)
            ends = np.linspace(0, m, threads + 1).astype(int).tolist()
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(part, ends[:-1], ends[1:]))
        return rows, took_ms, count, beyond_ms

    def around(
        self, arcs: NDArray[np.int32], from_: Snaps, to: Snaps, profile: str, *, limit_s: float
    ) -> tuple[FloatArray, FloatArray]:
        """(float64[n] seconds from each of n places to where any of these arcs begins, float64[m] seconds
        from where any of them ends to each of m places), inf beyond `limit_s`. A way that uses one of them
        takes no less than the sum. Raises ValueError for a mode without roads."""
        a = self.arrays(profile)
        edges = np.unique(arcs >> 1)
        begin = np.unique(a["in_tail"][np.isin(a["in_arc"], arcs)])
        found = []
        for places, nodes, outward in ((from_, begin, False), (to, np.unique(a["arc_head"][arcs]), True)):
            steps = (self._last_steps if outward else self._first_steps)(places, profile)[0]
            start = np.array([0, len(nodes)], dtype=np.int32), nodes.astype(np.int32), np.zeros(len(nodes))
            seconds = self._between(start, steps, profile, outward, limit_s * 1000)[0] / 1000
            # Who stands on one of the streets is at it.
            seconds[np.isin(places.edge, edges)] = 0.0
            found.append(np.where(seconds <= limit_s, seconds, np.inf))
        return found[0], found[1]

    def _between(
        self, few: Slots, many: Slots, profile: str, outward: bool, limit_ms: float
    ) -> NDArray[np.float64]:
        """As `Hierarchy.between`, by a plain search from each of the few."""
        network = self._network(profile)
        assert network is not None, "only a mode with roads is searched"
        first, node, arc, bars = network.outward() if outward else network.inward()
        found = np.full((len(few[0]) - 1, len(many[0]) - 1), np.inf)
        goal = np.repeat(np.arange(len(many[0]) - 1), np.diff(many[0]))
        for row in range(len(found)):
            starts = slice(few[0][row], few[0][row + 1])
            cost = np.full(len(first) - 1, np.inf)
            _spread(
                first, node, arc, bars, _BAR[profile], self._ms(profile), few[1][starts], few[2][starts],
                limit_ms, cost,
            )  # fmt: skip
            np.minimum.at(found[row], goal, cost[many[1]] + many[2])
        found[found >= NO_WAY] = np.inf
        return found

    def reach(self, lon: float, lat: float, profile: str, limit_s: float, *, backward: bool = False) -> Reach:
        """Everywhere that one gets to from (lon, lat) within `limit_s`, the access there included; with
        `backward`, from where one gets there. Nothing where no road is near. Raises ValueError for an unknown
        mode."""
        snap = self.snap(lon, lat, profile, arriving=backward)
        network = self._network(profile)
        nothing, none = np.empty(0, dtype=np.float32), np.empty(0)
        if network is None or snap.edge[0] < 0:
            nodes = 0 if network is None else len(network.arrays["copy_next"])
            far = np.full(nodes, np.inf, dtype=np.float32)
            return Reach(
                profile,
                limit_s,
                backward,
                far,
                np.empty(0, dtype=np.int32),
                nothing,
                nothing,
                none,
                none,
                none,
            )
        a, ms = network.arrays, self._ms(profile)
        if backward:
            (_, start, start_ms), _ = self._last_steps(snap, profile)
            start_ms = start_ms + float(snap.away_m[0]) / SCENE_ACCESS_MPS * 1000
        else:
            (_, start, start_ms), _ = self._first_steps(snap, profile)
        cost = np.full(len(a["copy_next"]), np.inf)
        first, node, arc, bars = network.inward() if backward else network.outward()
        _spread(first, node, arc, bars, _BAR[profile], ms, start, start_ms, limit_s * 1000, cost)
        return self._reached(snap, cost, ms, profile, limit_s, backward)

    def _reached(
        self, snap: Snaps, cost: FloatArray, ms: Milliseconds, profile: str, limit_s: float, backward: bool
    ) -> Reach:
        a = self.arrays(profile)
        network = self._network(profile)
        assert network is not None, "a snapped position has a network"
        # When each arc is entered (backward: how long after its end one is there), and each junction passed,
        # which is when the soonest of its copies is.
        enters = np.full(len(ms), np.inf)
        if backward:
            enters[:] = cost[a["arc_head"]]
        else:
            _, tail, arc, bars = network.inward()
            usable = (bars & _BAR[profile]) == 0
            np.minimum.at(enters, arc[usable], cost[tail[usable]])
        enters[ms == IMPASSABLE] = np.inf
        passed = np.full(len(cost), np.inf)
        np.minimum.at(passed, network.junction_of(), cost)
        tail_ms, head_ms = passed[a["edge_tail"]], passed[a["edge_head"]]
        own, fraction = int(snap.edge[0]), float(snap.fraction[0])
        is_reached = np.minimum(tail_ms, head_ms) <= limit_s * 1000
        is_reached[own] = True
        edge = np.flatnonzero(is_reached).astype(np.int32)
        sizes = a["point_first"][edge + 1] - a["point_first"][edge]
        row = np.repeat(a["point_first"][edge] - np.concatenate(([0], np.cumsum(sizes)[:-1])), sizes)
        row = row + np.arange(len(row))
        of = np.repeat(edge, sizes)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(a["edge_m"][of] > 0, a["point_m"][row] / a["edge_m"][of], 0.0)
        along, against = (share, 1.0 - share) if not backward else (1.0 - share, share)
        seen = np.minimum(enters[2 * of] + along * ms[2 * of], enters[2 * of + 1] + against * ms[2 * of + 1])
        mine = of == own
        ahead = (share[mine] - fraction) * (-1 if backward else 1)
        access_ms = float(snap.away_m[0]) / (SCENE_ACCESS_MPS if backward else _unit_mps(profile)) * 1000
        for arc_ms, way in ((ms[2 * own], ahead), (ms[2 * own + 1], -ahead)):
            if arc_ms != IMPASSABLE:
                direct = np.where(way >= 0, access_ms + way * float(arc_ms), np.inf)
                seen[mine] = np.minimum(seen[mine], direct)
        within = seen <= limit_s * 1000
        return Reach(
            profile, limit_s, backward, (cost / 1000).astype(np.float32), edge,
            (tail_ms[edge] / 1000).astype(np.float32), (head_ms[edge] / 1000).astype(np.float32),
            a["point_lon_e7"][row[within]] / 1e7, a["point_lat_e7"][row[within]] / 1e7, seen[within] / 1000,
        )  # fmt: skip

    def _first_steps(self, units: Snaps, profile: str) -> tuple[Slots, NDArray[np.int32]]:
        """Where each of n units first comes to a node, after how many milliseconds, access included; and by
        which arc."""
        a, ms = self.arrays(profile), self._ms(profile)
        known = np.flatnonzero(units.edge >= 0)
        # Both directions of each, those that are open.
        arc = (2 * units.edge[known][:, None] + np.arange(2)).ravel()
        share = np.column_stack((1.0 - units.fraction[known], units.fraction[known])).ravel()
        row = np.repeat(known, 2)
        is_open = ms[arc] != IMPASSABLE
        arc, share, row = arc[is_open], share[is_open], row[is_open]
        first = np.zeros(len(units.edge) + 1, dtype=np.int32)
        np.cumsum(np.bincount(row, minlength=len(units.edge)), out=first[1:])
        extra_ms = units.away_m[row] / _unit_mps(profile) * 1000
        return (first, a["arc_head"][arc], share * ms[arc] + extra_ms), arc

    def _last_steps(self, scenes: Snaps, profile: str) -> tuple[Slots, NDArray[np.int32]]:
        """From which nodes the last arc to each of m incidents is taken, how many milliseconds it then takes,
        without the access; and which arc it is."""
        a, ms = self.arrays(profile), self._ms(profile)
        first = np.zeros(len(scenes.edge) + 1, dtype=np.int32)
        node, arc, took_ms = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32), np.empty(0)
        for _ in range(2):
            _last_steps(
                a["in_first"], a["in_tail"], a["in_arc"], a["in_bars"], _BAR[profile], ms, a["copy_next"],
                a["edge_tail"], a["edge_head"], scenes.edge, scenes.fraction, first, node, took_ms, arc,
            )  # fmt: skip
            if len(node) or not first[-1]:
                break
            node, arc = np.empty(first[-1], dtype=np.int32), np.empty(first[-1], dtype=np.int32)
            took_ms = np.empty(first[-1])
        return (first, node, took_ms), arc

    def way(self, unit: Snaps, scene: Snaps, profile: str) -> tuple[NDArray[np.int32], FloatArray]:
        """The arcs of the quickest way from one position to another (one row each), in order, and the share
        of each that is driven, 0 to 1. Both empty where there is no way by road."""
        none = np.empty(0, dtype=np.int32), np.empty(0)
        if unit.edge[0] < 0 or scene.edge[0] < 0:
            return none
        stored, drive_ms, _ = self._run(scene, unit, profile, 1, path=True)
        if not np.isfinite(drive_ms[0]):
            return none
        arcs = np.where(stored >= 0, stored, -2 - stored)
        share = np.ones(len(arcs))
        start, end = float(unit.fraction[0]), float(scene.fraction[0])
        if len(arcs) == 1:
            share[0] = abs(end - start)
        else:
            share[0] = start if arcs[0] & 1 else 1.0 - start
            share[-1] = 1.0 - end if arcs[-1] & 1 else end
        return arcs, share

    def _network(self, profile: str) -> _Network | None:
        if profile not in PROFILES:
            raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
        return self._networks.get(NETWORK_OF.get(profile, ""))

    @staticmethod
    def _scene_access_s(scene: Snaps) -> float:
        return float(scene.away_m[0]) / SCENE_ACCESS_MPS

    def _ms(self, profile: str) -> Milliseconds:
        if (changed := self._changed.get(profile)) is not None:
            return changed
        network = self._network(profile)
        assert network is not None, "only a mode with roads has times"
        return network.ms(profile)

    def _under(self, profile: str) -> tuple[Milliseconds | None, NDArray[np.int64] | None]:
        """The times under those of this view, and the arcs that may differ (None: not known)."""
        return (None if self.beneath is None else self.beneath._ms(profile)), None

    def _steps(self, profile: str) -> NDArray[np.uint32]:
        """From which node each entry leads, its milliseconds, `IMPASSABLE` where the mode may not take it,
        and its arc; uint32[I, 3]."""
        if (known := self._entries.get(profile)) is None:
            a, ms = self.arrays(profile), self._ms(profile)
            if self.beneath is None:
                barred = (a["in_bars"] & _BAR[profile]) != 0
                took_ms = np.where(barred, np.uint32(IMPASSABLE), ms[a["in_arc"]])
                known = np.column_stack((a["in_tail"], took_ms, a["in_arc"])).astype(np.uint32)
            else:
                # Obstacles change a few, and open none.
                below, changed = self._under(profile)
                is_changed = np.zeros(len(ms), dtype=bool)
                is_changed[np.flatnonzero(below != ms) if changed is None else changed] = True
                known = self.beneath._steps(profile).copy()
                rows = np.flatnonzero(is_changed[a["in_arc"]])
                rows = rows[known[rows, 1] != IMPASSABLE]
                known[rows, 1] = ms[known[rows, 2]]
            known = self._entries.setdefault(profile, known)
        return known

    def _run(
        self, scene: Snaps, units: Snaps, profile: str, k: int, *, path: bool
    ) -> tuple[NDArray[np.int32], FloatArray, FloatArray]:
        """(arcs of unit 0's way, ms of every unit, metres of every unit)."""
        network = self._network(profile)
        assert network is not None, "a snapped position has a network"
        a, n = network.arrays, len(units.lon)
        extra_ms = units.access_ms(_unit_mps(profile))
        unit_ms, unit_m = np.empty(n), np.empty(n)
        arcs = np.empty(len(a["in_first"]) + 1 if path else 0, dtype=np.int32)
        workspace = network.borrow(n)
        kept = units.setting_out(a["arc_head"], len(workspace.on))
        if kept is None:
            unit_at, link = workspace.unit_at, np.empty(2 * n, dtype=np.int32)
            _set_out(a["arc_head"], units.edge, unit_at, link)
        else:
            unit_at, link, _ = kept
        try:
            steps = _search(
                a["in_first"], self._steps(profile), self._ms(profile), a["arc_head"], a["copy_next"],
                a["edge_tail"], a["edge_head"], a["edge_m"],
                int(scene.edge[0]), float(scene.fraction[0]), units.edge, units.fraction, extra_ms, k,
                workspace.on, unit_at, workspace.touched, workspace.heap_cost, workspace.heap_item, link,
                unit_ms, unit_m, arcs,
            )  # fmt: skip
        finally:
            if kept is None:
                unit_at[a["arc_head"][2 * units.edge[units.edge >= 0]]] = -1
                unit_at[a["arc_head"][2 * units.edge[units.edge >= 0] + 1]] = -1
            network.give_back(workspace)
        return arcs[:steps], unit_ms, unit_m

    def _way(self, unit: Snaps, scene: Snaps, profile: str) -> tuple[NDArray[np.int32], float, float]:
        """(arcs of the quickest way, the last as -2 - arc; milliseconds; metres driven)."""
        network = self._network(profile)
        assert network is not None, "a snapped position has a network"
        hierarchy = network.hierarchy()
        if hierarchy is None:
            steps, took_ms, metres = self._run(scene, unit, profile, 1, path=True)
            return steps, float(took_ms[0]), float(metres[0])
        a, ms, bar = network.arrays, self._ms(profile), _BAR[profile]
        along = np.full((1, 1), np.inf)
        extra_ms = unit.away_m / _unit_mps(profile) * 1000
        _along_one_street(unit.edge, unit.fraction, extra_ms, scene.edge, scene.fraction, ms, along)
        (_, start, start_ms), out = self._first_steps(unit, profile)
        (_, goal, goal_ms), into = self._last_steps(scene, profile)
        metric = hierarchy.borrow(ms, bar, *self._under(profile))
        try:
            way = hierarchy.way(metric, start, start_ms, goal, goal_ms)
        finally:
            hierarchy.give_back(metric, bar)
        edge_m, at, to = a["edge_m"], float(unit.fraction[0]), float(scene.fraction[0])
        if way is None or along[0, 0] <= way[0]:
            forward = 2 * int(scene.edge[0])
            is_forward = to > at or (to == at and ms[forward] != IMPASSABLE)
            arcs = np.array([-2 - forward - (not is_forward)], dtype=np.int32)
            return arcs, float(along[0, 0]), abs(to - at) * float(edge_m[scene.edge[0]])
        drive_ms, first, last, entries = way
        through = a["in_arc"][entries] if entries else np.empty(0, dtype=np.int32)
        own, end = int(out[first]), int(into[last])
        driven_m = float(edge_m[own >> 1]) * (at if own & 1 else 1.0 - at)
        driven_m += float(edge_m[through >> 1].sum(dtype=np.float64))
        driven_m += float(edge_m[end >> 1]) * (1.0 - to if end & 1 else to)
        return np.concatenate(([own], through, [-2 - end])).astype(np.int32), drive_ms, driven_m

    def _follow(
        self, arcs: NDArray[np.int32], unit: Snaps, scene: Snaps, profile: str
    ) -> tuple[list[tuple[float, float]], list[tuple[str, float]], list[float]]:
        """The polyline and streets of a way, and when each point is passed. Its last entry is the incident's
        own arc, stored as -2 - arc."""
        a = self.arrays(profile)
        ms = self._ms(profile)
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


def _piece(a: Arrays, edge: int, start: float, end: float) -> tuple[list[tuple[float, float]], list[float]]:
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
    return distance_m / (_straight_kmh(profile) / 3.6), distance_m


def straight_lines(
    lon: FloatArray, lat: FloatArray, to_lon: FloatArray, to_lat: FloatArray, profile: str
) -> FloatArray:
    """`straight_line` from each of n positions to each of m: seconds, float64[m, n]; nan where either is
    none."""
    detour = 1.0 if profile == "air" else STRAIGHT_DETOUR
    distance_m = haversine_m(to_lon[:, np.newaxis], to_lat[:, np.newaxis], lon, lat) * detour
    return distance_m / (_straight_kmh(profile) / 3.6)
