"""Customizable contraction hierarchies (CCH): times between many places at once, and single ways, exactly.

Dibbelt, Strasser and Wagner (2016, ACM Journal of Experimental Algorithmics 21, 1.5). The nodes of a road
network are put in an order in which a few that part it come last (nested dissection, when a city is imported:
`gis.roads.contraction_order`). Contracting them in that order adds arcs, of which none depends on how long a
street takes: the *topology*. A *metric* gives every arc of it, up and down the order, the least time there is
below it; making one takes tens of milliseconds, changing a few streets about one. Every quickest way is then
one that goes up the order and down again, so that a search meets hundreds of nodes and not the whole city.
The arcs up from a node lead to its ancestors in a tree, which spares the search a heap.

The search from few to many first goes up from each of the few, then once down over the ancestors of the many
(as RPHAST of Delling, Goldberg and Werneck, 2011, does), for `WIDE` of the few side by side.

Nodes are renamed by their place in the order, so the lower of two is contracted first. Weights are whole
milliseconds; `INF` is no way, and what takes longer (24 days) is none either.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

INF: Final = 2**31 - 1
IMPASSABLE: Final = 2**32 - 1
WIDE: Final = 4
PARTLY_MAX: Final = 4_000
"""With more arcs changed than this, making a metric anew is the quicker."""
LABELLED_AT_ONCE: Final = 32
"""Of so many places more the times upward are worked out for one question; for the others, once down over the
ancestors of all of them is the quicker, and theirs are worked out with the next questions."""
LABELS_MAX: Final = 4_096
"""Nodes whose times upward are kept: all that a fleet stands at, and where it stood lately."""
METRICS_KEPT: Final = 2
"""So many metrics of one mode are kept for the next question, of roads as they lie (of now, and of another
hour or view), and so many of roads with something in the way (of now, and of a what-if)."""

_F = TypeVar("_F", bound=Callable[..., Any])
Ranks = NDArray[np.int32]
Weights = NDArray[np.uint32]
_Undo = tuple[NDArray[np.int32], NDArray[np.uint32], NDArray[np.int32]]
"""Arcs int32[n], and what they had: weights uint32[2 n], via int32[2 n]."""


def _compiled(function: _F) -> _F:
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return function
    import numba

    return cast(_F, numba.njit(nogil=True, cache=True)(function))


def is_compiled() -> bool:
    """Without a compiler there is no hurrying: a hierarchy in plain Python is slower than a plain search."""
    return os.environ.get("NUMBA_DISABLE_JIT") != "1"


@_compiled
def _contract(first: Any, other: Any, nodes: int, up_first: Any, parent: Any) -> Any:
    """Fill `up_first` and `parent`; returns the higher ends of all arcs, each node's in rising order.

    The neighbours above a node are those it has in the network and those of every node below that has it for
    its lowest neighbour (George and Liu: symbolic elimination).
    """
    up_head = np.empty(4 * len(other) + 16, dtype=np.int32)
    child, sibling = np.full(nodes, -1, dtype=np.int32), np.full(nodes, -1, dtype=np.int32)
    seen = np.full(nodes, -1, dtype=np.int32)
    size = 0
    for x in range(nodes):
        up_first[x] = size
        # The arcs of one node are at most all the nodes above it.
        while size + nodes - x > len(up_head):
            wider = np.empty(2 * len(up_head), dtype=np.int32)
            wider[:size] = up_head[:size]
            up_head = wider
        begun = size
        for j in range(first[x], first[x + 1]):
            y = other[j]
            if y > x and seen[y] != x:
                seen[y] = x
                up_head[size] = y
                size += 1
        c = child[x]
        while c >= 0:
            for j in range(up_first[c], up_first[c + 1]):
                y = up_head[j]
                if y > x and seen[y] != x:
                    seen[y] = x
                    up_head[size] = y
                    size += 1
            c = sibling[c]
        parent[x] = -1
        # up_first[x + 1] is read by the parent of x before the next round writes it.
        up_first[x + 1] = size
        if size > begun:
            up_head[begun:size].sort()
            p = up_head[begun]
            parent[x] = p
            sibling[x], child[p] = child[p], x
    return up_head[:size].copy()


@_compiled
def _arc_of(up_first: Any, up_head: Any, x: int, y: int) -> Any:
    low, high = up_first[x], up_first[x + 1]
    while low < high:
        middle = (low + high) >> 1
        if up_head[middle] < y:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def _place(up_first: Any, up_head: Any, tail: Any, head: Any, slot: Any) -> None:
    """The arc of every entry: `slot` is it, doubled, plus 1 where the entry leads down; -1 for a loop."""
    for j in range(len(tail)):
        if tail[j] == head[j]:
            slot[j] = -1
        elif tail[j] < head[j]:
            slot[j] = 2 * _arc_of(up_first, up_head, tail[j], head[j])
        else:
            slot[j] = 2 * _arc_of(up_first, up_head, head[j], tail[j]) + 1


@_compiled
def _descend(parent: Any, depth: Any) -> None:
    """How many nodes lie above each."""
    for x in range(len(parent) - 1, -1, -1):
        depth[x] = 0 if parent[x] < 0 else depth[parent[x]] + 1


@_compiled
def _customise(
    up_first: Any, up_head: Any, slot: Any, in_arc: Any, in_bars: Any, bar: int, ms: Any, weight: Any,
    via: Any,
) -> None:  # fmt: skip
    """Fill `weight` uint32[2 U] (of arc a: 2 a up, 2 a + 1 down) and `via` int32[2 U]: the node below that
    the least time goes through, or -1 - entry."""
    weight[:], via[:] = INF, -1
    for j in range(len(slot)):
        s, arc = slot[j], in_arc[j]
        if s >= 0 and ms[arc] < weight[s] and not in_bars[j] & bar:
            weight[s], via[s] = ms[arc], -1 - j
    for x in range(len(up_first) - 1):
        last = up_first[x + 1]
        for a in range(up_first[x], last):
            b = up_first[up_head[a]]
            up, down = weight[2 * a], weight[2 * a + 1]
            for c in range(a + 1, last):
                z = up_head[c]
                while up_head[b] != z:
                    b += 1
                # y - x - z, and back: both ends above x are joined, since x was contracted first.
                total = down + weight[2 * c]
                if total < weight[2 * b]:
                    weight[2 * b], via[2 * b] = total, x
                total = weight[2 * c + 1] + up
                if total < weight[2 * b + 1]:
                    weight[2 * b + 1], via[2 * b + 1] = total, x


@_compiled
def _renew(
    up_first: Any, up_head: Any, down_first: Any, down_tail: Any, down_arc: Any,
    entry_first: Any, entry: Any, in_arc: Any, in_bars: Any, bar: int, ms: Any, weight: Any, via: Any,
    x: int, a: Any, to_x: Any, waiting: Any,
) -> None:  # fmt: skip
    """Arc a of x anew; those above it that may be others for it join the heap `waiting`. `to_x`: the arc
    from each node below x to it, -1 for all other nodes."""
    y = up_head[a]
    up: Any = INF
    down: Any = INF
    up_via, down_via = -1, -1
    for i in range(entry_first[2 * a], entry_first[2 * a + 1]):
        j = entry[i]
        if ms[in_arc[j]] < up and not in_bars[j] & bar:
            up, up_via = ms[in_arc[j]], -1 - j
    for i in range(entry_first[2 * a + 1], entry_first[2 * a + 2]):
        j = entry[i]
        if ms[in_arc[j]] < down and not in_bars[j] & bar:
            down, down_via = ms[in_arc[j]], -1 - j
    for i in range(down_first[y], down_first[y + 1]):
        z = down_tail[i]
        if z >= x:
            break
        b = to_x[z]
        if b >= 0:
            # x - z - y with z below both
            c = down_arc[i]
            total = np.int64(weight[2 * b + 1]) + np.int64(weight[2 * c])
            if total < up:
                up, up_via = total, z
            total = np.int64(weight[2 * c + 1]) + np.int64(weight[2 * b])
            if total < down:
                down, down_via = total, z
    is_new = up != weight[2 * a] or down != weight[2 * a + 1]
    weight[2 * a], weight[2 * a + 1], via[2 * a], via[2 * a + 1] = up, down, up_via, down_via
    if not is_new:
        return
    above = up_first[y]
    for b in range(up_first[x], up_first[x + 1]):
        z = up_head[b]
        if z == y:
            continue
        if z < y:
            c = _arc_of(up_first, up_head, z, y)
        else:
            # Both ends above x are joined, and rise together.
            while up_head[above] != z:
                above += 1
            c = above
        # From the lower of the two ends to the higher by way of x, and back.
        to_low, to_high = (a, b) if y < z else (b, a)
        there = np.int64(weight[2 * to_low + 1]) + np.int64(weight[2 * to_high])
        back = np.int64(weight[2 * to_high + 1]) + np.int64(weight[2 * to_low])
        # What neither went by way of x nor gains by it stays as it is.
        if via[2 * c] == x or via[2 * c + 1] == x or there < weight[2 * c] or back < weight[2 * c + 1]:
            heappush(waiting, np.int64(c))


@_compiled
def _recustomise(
    up_first: Any, up_head: Any, up_tail: Any, down_first: Any, down_tail: Any, down_arc: Any,
    entry_first: Any, entry: Any, in_arc: Any, in_bars: Any, bar: int, ms: Any, changed: Any, weight: Any,
    via: Any,
) -> Any:  # fmt: skip
    """As `_customise` would leave them, after the entries of the arcs `changed` got other times. Returns
    what was there before, as `_Undo`."""
    size = 0
    was_arc = np.empty(1024, dtype=np.int32)
    was_weight, was_via = np.empty(2 * 1024, dtype=np.uint32), np.empty(2 * 1024, dtype=np.int32)
    to_x = np.full(len(up_first) - 1, -1, dtype=np.int32)
    waiting = [np.int64(a) for a in changed]
    heapify(waiting)
    last, x = np.int64(-1), -1
    while len(waiting):
        # Arcs are numbered by their lower ends, and only such as have higher ones join: none comes twice,
        # and those of one lower end come one after the other.
        a = heappop(waiting)
        if a == last:
            continue
        last = a
        if up_tail[a] != x:
            if x >= 0:
                for i in range(down_first[x], down_first[x + 1]):
                    to_x[down_tail[i]] = -1
            x = up_tail[a]
            for i in range(down_first[x], down_first[x + 1]):
                to_x[down_tail[i]] = down_arc[i]
        if size == len(was_arc):
            was_arc = np.concatenate((was_arc, was_arc))
            was_weight = np.concatenate((was_weight, was_weight))
            was_via = np.concatenate((was_via, was_via))
        was_arc[size] = a
        for way in range(2):
            was_weight[2 * size + way] = weight[2 * a + way]
            was_via[2 * size + way] = via[2 * a + way]
        size += 1
        _renew(
            up_first, up_head, down_first, down_tail, down_arc, entry_first, entry, in_arc, in_bars, bar, ms,
            weight, via, x, a, to_x, waiting,
        )  # fmt: skip
    return was_arc[:size].copy(), was_weight[: 2 * size].copy(), was_via[: 2 * size].copy()


@_compiled
def _put_back(arcs: Any, was_weight: Any, was_via: Any, weight: Any, via: Any) -> None:
    for i in range(len(arcs)):
        for way in range(2):
            weight[2 * arcs[i] + way] = was_weight[2 * i + way]
            via[2 * arcs[i] + way] = was_via[2 * i + way]


@_compiled
def _sweep(
    up_first: Any, up_head: Any, parent: Any, weight: Any, outward: int,
    few_first: Any, few_node: Any, few_ms: Any, many_first: Any, many_node: Any, many_ms: Any,
    limit_ms: float, out_ms: Any,
) -> None:  # fmt: skip
    """`out_ms` float64[few, many]: least time between each of the few and each of the many, else inf.

    Row i of the few is what lies in few_first[i] .. few_first[i+1]: nodes, and milliseconds to them; so are
    the many. `outward` 1: from the few to the many; 0: from the many to the few.
    """
    nodes, few, many = len(parent), len(few_first) - 1, len(many_first) - 1
    # Everything above any of the many, what is higher before what is lower.
    listed = np.zeros(nodes, dtype=np.uint8)
    wanted = np.empty(nodes, dtype=np.int32)
    count, depth = 0, nodes
    for j in range(len(many_node)):
        x = many_node[j]
        # The path down to it is put in from its end: the free room of the list serves as stack.
        while x >= 0 and not listed[x]:
            listed[x] = 1
            depth -= 1
            wanted[depth] = x
            x = parent[x]
        while depth < nodes:
            wanted[count] = wanted[depth]
            count += 1
            depth += 1
    if few > 1:
        # From the top down in memory as well: that pays when it is gone through several times.
        wanted[:count] = np.sort(wanted[:count])[::-1]
    wide = min(WIDE, few)
    ms = np.empty((nodes, wide))
    above = np.zeros(nodes, dtype=np.uint8)
    away, toward = (0, 1) if outward else (1, 0)
    for start in range(0, few, wide):
        lanes = min(wide, few - start)
        for i in range(count):
            for lane in range(wide):
                ms[wanted[i], lane] = np.inf
        for lane in range(lanes):
            begun, end = few_first[start + lane], few_first[start + lane + 1]
            for j in range(begun, end):
                x = few_node[j]
                while x >= 0 and not above[x]:
                    above[x] = 1
                    if not listed[x]:
                        for other in range(wide):
                            ms[x, other] = np.inf
                    x = parent[x]
        for lane in range(lanes):
            begun, end = few_first[start + lane], few_first[start + lane + 1]
            for j in range(begun, end):
                ms[few_node[j], lane] = min(ms[few_node[j], lane], few_ms[j])
            # Up from all its nodes at once, the lowest first.
            at = few_node[begun:end].copy()
            while True:
                x = -1
                for j in range(len(at)):
                    if at[j] >= 0 and (x < 0 or at[j] < x):
                        x = at[j]
                if x < 0:
                    break
                for j in range(len(at)):
                    if at[j] == x:
                        at[j] = parent[x]
                above[x] = 0
                here = ms[x, lane]
                if here > limit_ms:
                    continue
                for a in range(up_first[x], up_first[x + 1]):
                    w = weight[2 * a + away]
                    if w < INF and here + w < ms[up_head[a], lane]:
                        ms[up_head[a], lane] = here + w
        for i in range(count):
            x = wanted[i]
            for a in range(up_first[x], up_first[x + 1]):
                w = weight[2 * a + toward]
                if w < INF:
                    y = up_head[a]
                    if wide == WIDE:
                        # A count that the compiler knows is one vector instruction.
                        for lane in range(WIDE):
                            ms[x, lane] = min(ms[x, lane], ms[y, lane] + w)
                    else:
                        for lane in range(wide):
                            ms[x, lane] = min(ms[x, lane], ms[y, lane] + w)
        for i in range(many):
            for j in range(many_first[i], many_first[i + 1]):
                for lane in range(lanes):
                    total = ms[many_node[j], lane] + many_ms[j]
                    if total < out_ms[start + lane, i]:
                        out_ms[start + lane, i] = total


def _compiled_wide(function: _F) -> _F:
    """For a least value over two arrays: without a not-a-number among them, several at once."""
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return function
    import numba

    return cast(_F, numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})(function))


@_compiled_wide
def _least_sum(whole: Any, other: Any) -> float:
    best = np.inf
    for d in range(len(whole)):
        best = min(best, whole[d] + other[d])
    return best


@_compiled
def _label(
    up_first: Any, over: Any, parent: Any, depth: Any, weight: Any, direction: int, node: int, chain: Any,
    ms: Any,
) -> None:  # fmt: skip
    """The ancestors of a node by depth, itself the last, and the least time of a way upward to each (from
    each, where `direction` is 1). `over`: the depth of each arc's higher end."""
    x = node
    for d in range(depth[node], -1, -1):
        chain[d], ms[d] = x, INF
        x = parent[x]
    ms[depth[node]] = 0
    for d in range(depth[node], -1, -1):
        here = np.int64(ms[d])
        if here >= INF:
            continue
        for a in range(up_first[chain[d]], up_first[chain[d] + 1]):
            # Without a branch: which way is the quicker cannot be foreseen.
            ms[over[a]] = min(np.int64(ms[over[a]]), here + np.int64(weight[2 * a + direction]))


@_compiled
def _learn(
    up_first: Any, over: Any, parent: Any, depth: Any, weight: Any, node: Any, row_of: Any, chains: Any,
    label_ms: Any, used: int,
) -> Any:  # fmt: skip
    """Label those nodes; returns how many labels are then in use."""
    for i in range(len(node)):
        x = node[i]
        if row_of[x] < 0:
            _label(up_first, over, parent, depth, weight, 0, x, chains[used], label_ms[used])
            row_of[x] = used
            used += 1
    return used


@_compiled
def _meet(
    up_first: Any, over: Any, parent: Any, depth: Any, weight: Any, goal: Any, goal_ms: Any, node: Any,
    row_of: Any, chains: Any, label_ms: Any, out_ms: Any,
) -> None:  # fmt: skip
    """Least milliseconds from each node to the goals, which are a few nodes, into `out_ms`; inf from one
    that has no label. Ways meet at a common ancestor, and those of two nodes are the first ones of their
    chains."""
    goals, high = len(goal), label_ms.shape[1]
    chain, ms = np.empty(high, dtype=np.int32), np.empty(high, dtype=np.int32)
    ends = np.empty((goals, high), dtype=np.int32)
    end_ms = np.empty((goals, high))
    length = np.zeros(goals, dtype=np.int64)
    count = 0
    for j in range(goals):
        _label(up_first, over, parent, depth, weight, 1, goal[j], chain, ms)
        own = depth[goal[j]] + 1
        # The ends of one street mostly lie one above the other, and share a chain.
        at = count
        for g in range(count):
            least = min(own, length[g])
            if ends[g, least - 1] == chain[least - 1]:
                at = g
                break
        if at == count:
            count += 1
        for d in range(length[at], own):
            ends[at, d], end_ms[at, d] = chain[d], np.inf
        length[at] = max(length[at], own)
        for d in range(own):
            if ms[d] < INF:
                end_ms[at, d] = min(end_ms[at, d], goal_ms[j] + ms[d])
    for i in range(len(node)):
        best = np.inf
        x = node[i]
        row = row_of[x]
        if row >= 0:
            for g in range(count):
                low, common = 0, min(depth[x] + 1, length[g])
                while low < common:
                    middle = (low + common) >> 1
                    if chains[row, middle] == ends[g, middle]:
                        low = middle + 1
                    else:
                        common = middle
                best = min(best, _least_sum(label_ms[row, :common], end_ms[g, :common]))
        out_ms[i] = best if best < INF else np.inf


@_compiled
def _climb(
    up_first: Any, up_head: Any, parent: Any, weight: Any, direction: int, node: Any, node_ms: Any, ms: Any,
    by: Any,
) -> None:  # fmt: skip
    """Times to all that lies above the nodes, and the arc by which each is come to (-1 at the start)."""
    at = node.copy()
    for j in range(len(node)):
        if node_ms[j] < ms[node[j]]:
            ms[node[j]] = node_ms[j]
    while True:
        x = -1
        for j in range(len(at)):
            if at[j] >= 0 and (x < 0 or at[j] < x):
                x = at[j]
        if x < 0:
            return
        for j in range(len(at)):
            if at[j] == x:
                at[j] = parent[x]
        for a in range(up_first[x], up_first[x + 1]):
            w = weight[2 * a + direction]
            if w < INF and ms[x] + w < ms[up_head[a]]:
                ms[up_head[a]], by[up_head[a]] = ms[x] + w, a


class _Labels:
    """Times upward from some nodes to all their ancestors, by depth: from those that are asked about again
    and again. They hold for the times `of`, and are for one caller at a time."""

    def __init__(self, nodes: int, high: int) -> None:
        self.row_of: Ranks = np.full(nodes, -1, dtype=np.int32)
        self.chains: Ranks = np.empty((LABELS_MAX, high), dtype=np.int32)
        self.ms: Ranks = np.empty((LABELS_MAX, high), dtype=np.int32)
        self.used = 0
        self.of: NDArray[np.uint32] | None = None

    def forget(self) -> None:
        self.row_of[:] = -1
        self.used = 0


class Metric:
    """The times `ms` of one mode in one view of the city, on the arcs of a `Hierarchy`. One without `beneath`
    never changes and serves everybody; another differs from that of `beneath` by `undo`, and is lent to one
    caller at a time."""

    def __init__(self, ms: NDArray[np.uint32], weight: Weights, via: Ranks) -> None:
        self.ms: NDArray[np.uint32] | None = ms
        self.weight = weight
        self.via = via
        self.beneath: NDArray[np.uint32] | None = None
        self.undo: _Undo | None = None
        self.labels: list[_Labels] = []


class Hierarchy:
    """The topology of one network and a few metrics on it; safe to use from several OS threads at once.

    `order` uint32[N] is the nodes in order of contraction; entry j of the search leads from `tail[j]` to
    `head[j]` by the arc `in_arc[j]`, except for the modes in `in_bars[j]`.
    """

    def __init__(
        self,
        order: NDArray[np.uint32],
        tail: NDArray[np.int32],
        head: NDArray[np.int32],
        in_arc: NDArray[np.int32],
        in_bars: NDArray[np.uint8],
    ) -> None:
        nodes = len(order)
        self.rank = np.empty(nodes, dtype=np.int32)
        self.rank[order] = np.arange(nodes, dtype=np.int32)
        low, high = self.rank[tail], self.rank[head]
        ends = np.concatenate((low, high))
        others = np.concatenate((high, low))[np.argsort(ends, kind="stable")]
        first = np.concatenate(([0], np.cumsum(np.bincount(ends, minlength=nodes)))).astype(np.int32)
        self._first: Ranks = np.zeros(nodes + 1, dtype=np.int32)
        self._parent: Ranks = np.empty(nodes, dtype=np.int32)
        self._head: Ranks = _contract(first, others.astype(np.int32), nodes, self._first, self._parent)
        self._tail: Ranks = np.repeat(np.arange(nodes, dtype=np.int32), np.diff(self._first))
        self._depth: Ranks = np.empty(nodes, dtype=np.int32)
        _descend(self._parent, self._depth)
        self._over: Ranks = self._depth[self._head]
        self._high = int(self._depth.max(initial=0)) + 1
        self._slot = np.empty(len(tail), dtype=np.int32)
        _place(self._first, self._head, low, high, self._slot)
        self._in_arc, self._in_bars, self._entry_tail = in_arc, in_bars, tail
        self._down_arc = np.argsort(self._head, kind="stable").astype(np.int32)
        self._down_tail: Ranks = self._tail[self._down_arc]
        self._down_first = _first_of(self._head, nodes)
        placed = np.flatnonzero(self._slot >= 0)
        self._entry = placed[np.argsort(self._slot[placed], kind="stable")].astype(np.int32)
        self._entry_first = _first_of(self._slot[placed], 2 * len(self._head))
        self._by_arc = np.argsort(in_arc, kind="stable").astype(np.int32)
        self._by_arc_first = _first_of(in_arc, int(in_arc.max()) + 1 if len(in_arc) else 0)
        self._lying: dict[int, tuple[Metric, ...]] = {}
        self._free: dict[int, list[Metric]] = {}

    @property
    def arcs(self) -> int:
        return len(self._head)

    def borrow(
        self,
        ms: NDArray[np.uint32],
        bar: int,
        beneath: NDArray[np.uint32] | None = None,
        changed: NDArray[np.int64] | None = None,
    ) -> Metric:
        """A metric of these times by arc, for the mode of that bit; hand it to `give_back`. The arrays must
        not be written to any more. `beneath`: times that these are the same as but for a few arcs, at most
        those `changed` (None: to be found out): what is asked about under many closures."""
        if beneath is None or beneath is ms:
            return self._of_roads_as_they_lie(ms, bar)
        free = self._free.setdefault(bar, [])
        metric = _taken(free, lambda m: m.ms is ms) or _taken(free, lambda m: m.beneath is beneath)
        if metric is not None and metric.ms is ms:
            return metric
        if changed is None:
            changed = np.flatnonzero(beneath != ms)
        if len(changed) > PARTLY_MAX:
            if metric is not None:
                self.give_back(metric, bar)
            return self._of_roads_as_they_lie(ms, bar)
        if metric is None:
            below = self._of_roads_as_they_lie(beneath, bar)
            metric = Metric(beneath, below.weight.copy(), below.via.copy())
            metric.beneath = beneath
        elif metric.undo is not None:
            _put_back(*metric.undo, metric.weight, metric.via)
        metric.undo = self._change(metric, ms, bar, changed)
        metric.ms = ms
        return metric

    def is_ready(self, ms: NDArray[np.uint32], bar: int) -> bool:
        """Whether `borrow` has a metric of these times at hand."""
        made = (*self._lying.get(bar, ()), *self._free.get(bar, ()))
        return any(metric.ms is ms for metric in made)

    def give_back(self, metric: Metric, bar: int) -> None:
        if metric.beneath is None:
            return
        free = self._free.setdefault(bar, [])
        free.append(metric)
        while len(free) > METRICS_KEPT:
            try:
                free.pop(0)
            except IndexError:
                return

    def _of_roads_as_they_lie(self, ms: NDArray[np.uint32], bar: int) -> Metric:
        kept = self._lying.get(bar, ())
        for metric in kept:
            if metric.ms is ms:
                if metric is not kept[0]:
                    self._lying[bar] = (metric, *(m for m in kept if m is not metric))
                return metric
        changed = np.flatnonzero(kept[0].ms != ms) if kept else None
        if kept and changed is not None and len(changed) <= PARTLY_MAX:
            metric = Metric(ms, kept[0].weight.copy(), kept[0].via.copy())
            self._change(metric, ms, bar, changed)
        else:
            arcs = self.arcs
            metric = Metric(ms, np.empty(2 * arcs, dtype=np.uint32), np.empty(2 * arcs, dtype=np.int32))
            _customise(
                self._first, self._head, self._slot, self._in_arc, self._in_bars, bar, ms, metric.weight,
                metric.via,
            )  # fmt: skip
        # Two threads may do this at once: then one of the two is done again when it is asked for again.
        self._lying[bar] = (metric, *kept)[:METRICS_KEPT]
        return metric

    def _change(
        self, metric: Metric, ms: NDArray[np.uint32], bar: int, changed: NDArray[np.int64]
    ) -> _Undo | None:
        """Bring the arcs above those streets to their times in `ms`."""
        if not len(changed):
            return None
        firsts, lasts = self._by_arc_first[changed], self._by_arc_first[changed + 1]
        sizes = lasts - firsts
        rows = np.repeat(firsts - np.cumsum(sizes) + sizes, sizes) + np.arange(int(sizes.sum()))
        slots = self._slot[self._by_arc[rows]]
        found: _Undo = _recustomise(
            self._first, self._head, self._tail, self._down_first, self._down_tail, self._down_arc,
            self._entry_first, self._entry, self._in_arc, self._in_bars, bar, ms, slots[slots >= 0] >> 1,
            metric.weight, metric.via,
        )  # fmt: skip
        return found

    def between(
        self, metric: Metric, few: Slots, many: Slots, *, outward: bool, limit_ms: float = np.inf
    ) -> NDArray[np.float64]:
        """Milliseconds between each of the few and each of the many places, float64[few, many]; inf where
        there is no way. From the few to the many when `outward`, else from the many to the few. Beyond
        `limit_ms` a figure may be inf."""
        found = np.full((len(few[0]) - 1, len(many[0]) - 1), np.inf)
        _sweep(
            self._first, self._head, self._parent, metric.weight, int(outward),
            few[0], self.rank[few[1]], few[2], many[0], self.rank[many[1]], many[2], limit_ms, found,
        )  # fmt: skip
        found[found >= INF] = np.inf
        return found

    def toward(self, metric: Metric, goal: Slots, nodes: NDArray[np.int32]) -> NDArray[np.float64]:
        """Milliseconds from each of k nodes to one place, float64[k]; inf where there is no way. Quick for
        nodes that were asked about before by the same metric: what depends on them alone is kept with it."""
        try:
            labels = metric.labels.pop()
        except IndexError:
            labels = _Labels(len(self._parent), self._high)
        found = self._toward(metric, labels, goal, nodes)
        if len(metric.labels) < METRICS_KEPT:
            metric.labels.append(labels)
        return found

    def _toward(
        self, metric: Metric, labels: _Labels, goal: Slots, nodes: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        ranks, found = self.rank[nodes], np.empty(len(nodes))
        topology = self._first, self._over, self._parent, self._depth, metric.weight
        # Times that are asked about for the first time may be a closure's just drawn: that answer is waited
        # for, and labels pay from the second on.
        is_known = labels.of is metric.ms
        if not is_known or labels.used + len(nodes) > LABELS_MAX:
            labels.forget()
            labels.of = metric.ms
        new = np.flatnonzero(labels.row_of[ranks] < 0)
        some = new[: min(LABELLED_AT_ONCE, LABELS_MAX - labels.used) if is_known else 0]
        rest = new[len(some) :]
        if len(some):
            labels.used = _learn(
                *topology, ranks[some], labels.row_of, labels.chains, labels.ms, labels.used
            )
        if len(rest) < len(nodes):
            _meet(
                *topology, self.rank[goal[1]], goal[2], ranks, labels.row_of, labels.chains, labels.ms, found
            )
        if len(rest):
            each = np.arange(len(rest) + 1, dtype=np.int32), nodes[rest], np.zeros(len(rest))
            found[rest] = self.between(metric, goal, each, outward=False)[0]
        return found

    def way(
        self, metric: Metric, start: NDArray[Any], start_ms: NDArray[np.float64], goal: NDArray[Any],
        goal_ms: NDArray[np.float64],
    ) -> tuple[float, int, int, list[int]] | None:  # fmt: skip
        """The quickest way from one of the starts to one of the goals: (milliseconds, which start, which
        goal, the entries in order); None where there is none."""
        nodes = len(self._parent)
        up_ms, down_ms = np.full(nodes, np.inf), np.full(nodes, np.inf)
        up_by, down_by = np.full(nodes, -1, dtype=np.int32), np.full(nodes, -1, dtype=np.int32)
        begun, ended = self.rank[start], self.rank[goal]
        _climb(self._first, self._head, self._parent, metric.weight, 0, begun, start_ms, up_ms, up_by)
        _climb(self._first, self._head, self._parent, metric.weight, 1, ended, goal_ms, down_ms, down_by)
        both = up_ms + down_ms
        top = int(both.argmin()) if nodes else 0
        if not nodes or not both[top] < INF:
            return None
        slots: list[int] = []
        x = top
        while up_by[x] >= 0:
            slots.append(2 * int(up_by[x]))
            x = int(self._tail[up_by[x]])
        first = x
        slots.reverse()
        x = top
        while down_by[x] >= 0:
            slots.append(2 * int(down_by[x]) + 1)
            x = int(self._tail[down_by[x]])
        entries = [entry for slot in slots for entry in self._unpacked(metric, slot)]
        one = np.flatnonzero(begun == first)
        other = np.flatnonzero(ended == x)
        return (
            float(both[top]), int(one[start_ms[one].argmin()]), int(other[goal_ms[other].argmin()]), entries
        )  # fmt: skip

    def _unpacked(self, metric: Metric, slot: int) -> list[int]:
        """The entries that an arc stands for."""
        entries: list[int] = []
        stack = [slot]
        while stack:
            slot = stack.pop()
            x = int(metric.via[slot])
            if x < 0:
                entries.append(-1 - x)
                continue
            low, high = int(self._tail[slot >> 1]), int(self._head[slot >> 1])
            to_low = int(_arc_of(self._first, self._head, x, low))
            to_high = int(_arc_of(self._first, self._head, x, high))
            # Up from low to high by way of x: down to x, then up to high. The last pushed comes first.
            if slot & 1 == 0:
                stack += [2 * to_high, 2 * to_low + 1]
            else:
                stack += [2 * to_low, 2 * to_high + 1]
        return entries


def _taken(free: list[Metric], fits: Callable[[Metric], bool]) -> Metric | None:
    """The latest that fits, taken from the list, which other threads take from and add to meanwhile."""
    for metric in reversed(tuple(free)):
        if fits(metric):
            try:
                free.remove(metric)
            except ValueError:
                continue
            # Meanwhile another thread may have brought it to other times and given it back.
            if fits(metric):
                return metric
            free.append(metric)
    return None


Slots = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]
"""Places as nodes of the search: (first int32[n+1], nodes, milliseconds to them)."""


def _first_of(values: NDArray[Any], size: int) -> NDArray[np.int32]:
    first = np.zeros(size + 1, dtype=np.int32)
    np.cumsum(np.bincount(values, minlength=size), out=first[1:])
    return first
