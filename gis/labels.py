"""Exact driving times between any two junctions in about a microsecond, for whoever asks millions of times.

The live system asks for a few units and one incident, and ``gis.travel`` answers that from the road graph as
it is this minute. A simulation asks for every call and every unit of a year, on roads that do not change. For
it each junction gets a label: its times on upward ways to and from its ancestors in the elimination tree of a
nested dissection order (RoutingKit's; Dibbelt, Strasser and Wagner 2016, ACM JEA 21, "Customizable
Contraction Hierarchies"). Some fastest way between two junctions goes up to a common ancestor and down
again, so the answer is the least sum over the common part of two labels (Ouyang et al. 2018, SIGMOD, "When
Hierarchy Meets 2-Hop-Labeling"). Times are whole milliseconds, so that every sum is exact.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEVER: Final = 2**30
"""Milliseconds that stand for "no way" (over twelve days); two of them still fit an int32."""

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    import numba

    return cast(_F, numba.njit(nogil=True, cache=True)(function))


@_compiled
def _eliminate(first: Any, other: Any, many: int) -> Any:
    """Upward neighbours of every node once all lower ones are contracted, sorted: (first, upper). Nodes are
    numbered by rank; ``first``, ``other``: the neighbours above each node in the graph itself."""
    up_first = np.zeros(many + 1, dtype=np.int64)
    upper = np.empty(max(1024, 4 * len(other)), dtype=np.int32)
    child = np.full(many, -1, dtype=np.int32)
    sibling = np.full(many, -1, dtype=np.int32)
    seen = np.full(many, -1, dtype=np.int32)
    used = 0
    for node in range(many):
        start = used
        for j in range(first[node], first[node + 1]):
            if seen[other[j]] != node:
                seen[other[j]] = node
                if used >= len(upper):
                    upper = np.concatenate((upper, np.empty(len(upper), dtype=np.int32)))
                upper[used] = other[j]
                used += 1
        below = child[node]
        while below >= 0:
            for j in range(up_first[below], up_first[below + 1]):
                one = upper[j]
                if one != node and seen[one] != node:
                    seen[one] = node
                    if used >= len(upper):
                        upper = np.concatenate((upper, np.empty(len(upper), dtype=np.int32)))
                    upper[used] = one
                    used += 1
            below = sibling[below]
        upper[start:used].sort()
        up_first[node + 1] = used
        if used > start:
            parent = upper[start]
            sibling[node] = child[parent]
            child[parent] = node
    return up_first, upper[:used].copy()


@_compiled
def _find(upper: Any, low: int, high: int, node: int) -> int:
    while low < high:
        middle = (low + high) >> 1
        if upper[middle] < node:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def _customise(tail: Any, head: Any, ms: Any, up_first: Any, upper: Any, never: int) -> Any:
    """Times of all upward arcs (up, and down against them) over ways through lower nodes."""
    up_ms = np.full(len(upper), never, dtype=np.int32)
    down_ms = np.full(len(upper), never, dtype=np.int32)
    for arc in range(len(tail)):
        a, b, cost = tail[arc], head[arc], ms[arc]
        if a == b or cost >= never:
            continue
        if a < b:
            j = _find(upper, up_first[a], up_first[a + 1], b)
            up_ms[j] = min(up_ms[j], cost)
        else:
            j = _find(upper, up_first[b], up_first[b + 1], a)
            down_ms[j] = min(down_ms[j], cost)
    for node in range(len(up_first) - 1):
        for i in range(up_first[node], up_first[node + 1]):
            a = upper[i]
            at = up_first[a]
            for j in range(i + 1, up_first[node + 1]):
                b = upper[j]
                while upper[at] < b:
                    at += 1
                up_ms[at] = min(up_ms[at], down_ms[i] + up_ms[j])
                down_ms[at] = min(down_ms[at], down_ms[j] + up_ms[i])
    return up_ms, down_ms


@_compiled
def _label(
    up_first: Any, upper: Any, up_ms: Any, down_ms: Any, depth: Any, label_first: Any, never: int
) -> Any:  # fmt: skip
    """Times on upward ways from (to) every node to (from) its ancestors, the root first."""
    to = np.full(label_first[-1], never, dtype=np.int32)
    back = np.full(label_first[-1], never, dtype=np.int32)
    many = len(up_first) - 1
    for node in range(many - 1, -1, -1):
        start = label_first[node]
        own = depth[node]
        to[start + own] = 0
        back[start + own] = 0
        for j in range(up_first[node], up_first[node + 1]):
            over = upper[j]
            at, level = label_first[over], depth[over]
            up, down = up_ms[j], down_ms[j]
            for d in range(level + 1):
                to[start + d] = min(to[start + d], up + to[at + d])
                back[start + d] = min(back[start + d], down + back[at + d])
        for d in range(own):
            to[start + d] = min(to[start + d], never)
            back[start + d] = min(back[start + d], never)
    return to, back


@_compiled
def _time(a: int, b: int, order: Any, lowest: Any, label_first: Any, to: Any, back: Any, never: int) -> int:
    """Milliseconds from a to b (numbered by rank)."""
    if a == b:
        return 0
    left, right = order[a], order[b]
    if left > right:
        left, right = right, left
    left += 1
    power = 0
    while (2 << power) <= right - left + 1:
        power += 1
    common = min(lowest[power, left], lowest[power, right - (1 << power) + 1])
    # Slices, so that the compiler sees that no index is negative and adds several at once.
    up, down = to[label_first[a] :][:common], back[label_first[b] :][:common]
    best = np.int32(never)
    for d in range(common):
        best = min(best, up[d] + down[d])
    return int(best)


@_compiled
def _table(
    starts: Any, ends: Any, rank: Any, order: Any, lowest: Any, label_first: Any, to: Any, back: Any,
    never: int, out: Any,
) -> None:  # fmt: skip
    for row in range(len(starts)):
        for column in range(len(ends)):
            out[row, column] = _time(
                rank[starts[row]], rank[ends[column]], order, lowest, label_first, to, back, never
            )


@_compiled
def _pairs(
    starts: Any, ends: Any, rank: Any, order: Any, lowest: Any, label_first: Any, to: Any, back: Any,
    never: int, out: Any,
) -> None:  # fmt: skip
    for row in range(len(starts)):
        out[row] = _time(rank[starts[row]], rank[ends[row]], order, lowest, label_first, to, back, never)


@_compiled
def _walk(
    a: int, b: int, after_ms: int, arc_first: Any, arc_head: Any, arc_ms: Any, arc_m: Any, order: Any,
    lowest: Any, label_first: Any, to: Any, back: Any, never: int,
) -> Any:  # fmt: skip
    """Along a fastest way to the first junction that is passed at ``after_ms`` or later: it, when, and the
    metres there. Every arc takes time, so it never turns back."""
    left = _time(a, b, order, lowest, label_first, to, back, never)
    gone, metres, before = 0, 0.0, a
    while a != b and gone < after_ms and left < never:
        for j in range(arc_first[a], arc_first[a + 1]):
            over, cost = arc_head[j], arc_ms[j]
            # The way never turns back, so that is not even asked.
            if over == before or cost > left:
                continue
            if cost + _time(over, b, order, lowest, label_first, to, back, never) == left:
                before, a, left, gone = a, over, left - cost, gone + cost
                metres += arc_m[j]
                break
    return a, gone, metres


@_compiled
def _tree(up_first: Any, upper: Any) -> Any:
    """Of the elimination tree: each node's place in preorder, the least depth over every power-of-two run of
    places, and each node's depth."""
    many = len(up_first) - 1
    depth = np.zeros(many, dtype=np.int32)
    size = np.ones(many, dtype=np.int32)
    for node in range(many):
        if up_first[node] < up_first[node + 1]:
            size[upper[up_first[node]]] += size[node]
    order = np.zeros(many, dtype=np.int32)
    taken = np.ones(many, dtype=np.int32)
    roots = 0
    for node in range(many - 1, -1, -1):
        if up_first[node] < up_first[node + 1]:
            parent = upper[up_first[node]]
            depth[node] = depth[parent] + 1
            order[node] = order[parent] + taken[parent]
            taken[parent] += size[node]
        else:
            order[node] = roots
            roots += size[node]
    powers = 1
    while (1 << powers) <= many:
        powers += 1
    lowest = np.zeros((powers, many), dtype=np.int32)
    for node in range(many):
        lowest[0, order[node]] = depth[node]
    for power in range(1, powers):
        half = 1 << (power - 1)
        for place in range(many - 2 * half + 1):
            lowest[power, place] = min(lowest[power - 1, place], lowest[power - 1, place + half])
    return order, lowest, depth


def _rank(tail: Any, head: Any, lon: Any, lat: Any) -> NDArray[np.int32]:
    """Each junction's place in a nested dissection order (inertial flow)."""
    import pyroutingkit

    topology = pyroutingkit.CCHTopology()
    ends = tail.astype(np.uint32), head.astype(np.uint32)
    topology.build(*ends, lat.astype(np.float32), lon.astype(np.float32), len(lon))
    with tempfile.TemporaryDirectory() as folder:
        topology.save(folder)
        rank = np.fromfile(Path(folder) / "rank", dtype=np.uint32).astype(np.int32)
    if len(rank) != len(lon) or not np.array_equal(np.sort(rank), np.arange(len(lon))):
        raise RuntimeError("RoutingKit's order is no order of these junctions")
    return rank


class Labels:
    """Driving times over junctions 0 .. n-1 and modes 0 .. k-1 of one road network that does not change.

    ``tail``, ``head`` int[A] junctions of each one-way arc; ``lon``, ``lat`` float[n] of the junctions (they
    only guide the order); ``metres`` float[A]; ``ms`` one int[A] a mode: milliseconds (at least 1 is
    counted), ``NEVER`` or more where the mode may not go.
    Raises ValueError for arrays that do not fit one another, a junction that is none, or a negative time.
    Auckland's 54,000 junctions and two modes: 2 s, 55 MB.
    """

    def __init__(
        self,
        tail: ArrayLike,
        head: ArrayLike,
        lon: ArrayLike,
        lat: ArrayLike,
        metres: ArrayLike,
        ms: Sequence[ArrayLike],
    ) -> None:
        tails, heads = np.asarray(tail, dtype=np.int64), np.asarray(head, dtype=np.int64)
        x, y = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
        many = len(x)
        lengths = np.asarray(metres, dtype=np.float64)
        if tails.ndim != 1 or not tails.shape == heads.shape == lengths.shape or y.shape != x.shape or not ms:
            raise ValueError("tail, head and metres, lon and lat go in pairs, and there is at least one mode")
        ends = np.concatenate((tails, heads))
        if len(ends) and not (ends.min() >= 0 and ends.max() < many):
            raise ValueError(f"an arc leads to a junction that is none of the {many}")
        self.many = many
        scale = np.array([np.cos(np.radians(y.mean())), 1.0]) if many else np.ones(2)
        self._place_m = np.column_stack((x, y)) * (111_195.0 * scale)
        self.rank = _rank(tails, heads, x, y)
        self.node = np.empty(many, dtype=np.int32)
        self.node[self.rank] = np.arange(many, dtype=np.int32)
        t, h = self.rank[tails], self.rank[heads]
        low, high = np.minimum(t, h).astype(np.int64), np.maximum(t, h).astype(np.int64)
        pairs = np.unique(low[low != high] * many + high[low != high])
        first = np.searchsorted(pairs // many, np.arange(many + 1)).astype(np.int64)
        up_first, upper = _eliminate(first, (pairs % many).astype(np.int32), many)
        self._order, self._lowest, depth = _tree(up_first, upper)
        self._first = np.concatenate(([0], np.cumsum(depth.astype(np.int64) + 1)))
        by_tail = np.argsort(t, kind="stable")
        self._arc_first = np.searchsorted(t[by_tail], np.arange(many + 1)).astype(np.int64)
        self._arc_head = h[by_tail]
        self._arc_m = lengths[by_tail]
        self._modes = []
        for one in ms:
            costs = np.asarray(one, dtype=np.int64)
            if costs.shape != tails.shape or (len(costs) and costs.min() < 0):
                raise ValueError("each mode has one time an arc, none below 0")
            whole = np.clip(costs, 1, NEVER).astype(np.int32)
            up_ms, down_ms = _customise(t, h, whole, up_first, upper, NEVER)
            to, back = _label(up_first, upper, up_ms, down_ms, depth, self._first, NEVER)
            self._modes.append((whole[by_tail], to, back))

    def pace(self) -> NDArray[np.float64]:
        """float64[k, k]: no arc takes longer in the first mode than so many times what it takes in the
        second, and so no way; inf where the second may go and the first may not."""
        many = len(self._modes)
        found = np.full((many, many), np.inf)
        for b, (other, _, _) in enumerate(self._modes):
            open_ = other < NEVER
            for a, (one, _, _) in enumerate(self._modes):
                if open_.any() and (one[open_] < NEVER).all():
                    found[a, b] = float((one[open_] / other[open_]).max())
        return found

    def time_ms(self, start: int, end: int, mode: int) -> int:
        """Milliseconds from one junction to another; ``NEVER`` = no way."""
        _, to, back = self._modes[mode]
        a, b = int(self.rank[start]), int(self.rank[end])
        return int(_time(a, b, self._order, self._lowest, self._first, to, back, NEVER))

    def table_ms(self, starts: ArrayLike, ends: ArrayLike, mode: int) -> NDArray[np.int32]:
        """int32[n, m] from each of n junctions to each of m; ``NEVER`` = no way."""
        a, b = np.asarray(starts, dtype=np.int32), np.asarray(ends, dtype=np.int32)
        out = np.empty((len(a), len(b)), dtype=np.int32)
        _, to, back = self._modes[mode]
        _table(a, b, self.rank, self._order, self._lowest, self._first, to, back, NEVER, out)
        return out

    def pairs_ms(self, starts: ArrayLike, ends: ArrayLike, mode: int) -> NDArray[np.int32]:
        """int32[n] from each of n junctions to the one beside it in ``ends``; ``NEVER`` = no way."""
        a, b = np.asarray(starts, dtype=np.int32), np.asarray(ends, dtype=np.int32)
        if a.shape != b.shape or a.ndim != 1:
            raise ValueError(f"starts and ends go in pairs, not {a.shape} and {b.shape}")
        out = np.empty(len(a), dtype=np.int32)
        _, to, back = self._modes[mode]
        _pairs(a, b, self.rank, self._order, self._lowest, self._first, to, back, NEVER, out)
        return out

    def plane(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(float64[n, 2] metres of the junctions on a plane, float64[k] metres a second): no way of a mode is
        faster along the straight line between its ends, for no arc is."""
        tails = np.repeat(np.arange(self.many), np.diff(self._arc_first))
        ends = self._place_m[self.node[tails]] - self._place_m[self.node[self._arc_head]]
        line_m = np.hypot(ends[:, 0], ends[:, 1])
        fastest = np.zeros(len(self._modes))
        for mode, (arc_ms, _, _) in enumerate(self._modes):
            open_ = arc_ms < NEVER
            fastest[mode] = (line_m[open_] / arc_ms[open_]).max(initial=1e-6) * 1000.0
        return self._place_m, fastest * (1.0 + 1e-9)

    def ahead(self, start: int, end: int, mode: int, after_ms: int) -> tuple[int, int, float]:
        """Who left ``start`` for ``end`` that long ago: the junction where it can next turn off, in how many
        milliseconds from the start it is there, and the metres driven until then. Stays at ``start`` where
        there is no way."""
        arc_ms, to, back = self._modes[mode]
        node, at_ms, metres = _walk(
            int(self.rank[start]), int(self.rank[end]), after_ms, self._arc_first, self._arc_head, arc_ms,
            self._arc_m, self._order, self._lowest, self._first, to, back, NEVER,
        )  # fmt: skip
        return int(self.node[node]), at_ms, metres
