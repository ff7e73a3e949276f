"""Turn restrictions: from OpenStreetMap's relations to copies of junctions, so that a search over junctions
keeps them.

A restriction forbids a sequence of arcs: the one driven into the junction and the one out of it, with the
whole of the ways between them where the restriction goes "via" a way. Whoever has driven the beginning of a
forbidden sequence stands on a *copy* of the junction, from which the arcs lead out that may still be taken.
The copies are the states of an Aho-Corasick automaton over arcs, so restrictions that overlap are all kept.
A vehicle that sets out from the middle of an arc has driven none before it.

A search over junctions may turn round at any of them, which is never quicker, unless it is to get round a
restriction: a few metres past the crossing and back again, and the left turn has become a right one. So
whoever has driven the beginning of a forbidden sequence may not turn round within `TURN_BACK_M`, except where
the road ends.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

Member = tuple[str, str, int]
"""Role, kind ("n", "w", "r") and id of one member of a relation."""

TOLD: Final = ("applied", "timed", "others", "absent", "unclear")
"""What became of each restriction: kept; left alone for its hours; meant for vehicles that are none of ours;
on roads that the extract does not hold or no vehicle may use; not to be understood."""

TURN_BACK_M: Final = 100.0
_TURN_BACK_PATHS_MAX: Final = 100

_KIND: Final = re.compile(r"^(no|only)_(left_turn|right_turn|straight_on|u_turn|entry|exit)$")
_TIMED: Final = frozenset({"day_on", "day_off", "hour_on", "hour_off"})
_HEADING: Final[Mapping[str, float]] = {"left_turn": -90.0, "straight_on": 0.0, "right_turn": 90.0}
"""By how many degrees a turn changes the heading, clockwise."""
_HEADING_SLACK: Final = 75.0

Ints = NDArray[np.int64]
Sequences = dict[tuple[int, ...], int]


@dataclass(frozen=True)
class Restriction:
    """One rule of one relation: whom it binds (`bars`, bit i for the i-th profile), and by which ways."""

    relation: int
    only: bool
    turn: str
    bars: int
    from_ways: tuple[int, ...]
    to_ways: tuple[int, ...]
    via_node: int | None
    via_ways: tuple[int, ...]


class Restrictions:
    """Collects the turn restrictions of an extract for `profiles`: of each, the access keys that mean it,
    the most particular first, the last one being `access`."""

    def __init__(self, profiles: Sequence[Sequence[str]]) -> None:
        self._profiles = profiles
        self.rules: list[Restriction] = []
        self.told: dict[int, str] = {}

    def add(self, relation: int, tags: Mapping[str, str], members: Sequence[Member]) -> None:
        """Take a relation of any type; only `type=restriction` counts. Never raises on odd ones."""
        sort, _, only_for = tags.get("type", "").partition(":")
        if sort != "restriction":
            return
        said = {
            key.partition(":")[2] or only_for: value
            for key, value in tags.items()
            if key.partition(":")[0] == "restriction" and not key.endswith(":conditional")
        }
        if not said or _TIMED & tags.keys():
            timed = _TIMED & tags.keys() or any(key.endswith(":conditional") for key in tags)
            self.told[relation] = "timed" if timed else "unclear"
            return
        by_role: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for role, kind, ref in members:
            by_role[role, kind].append(ref)
        from_ways, to_ways = tuple(by_role["from", "w"]), tuple(by_role["to", "w"])
        via_nodes, via_ways = by_role["via", "n"], tuple(by_role["via", "w"])
        kinds = [
            (match[1], match[2], whom)
            for whom, value in said.items()
            for part in value.split(";")
            if (match := _KIND.match(part.strip()))
        ]
        if not kinds or len(via_nodes) + bool(via_ways) > 1:
            self.told[relation] = "unclear"
            return
        # An extract is cut at its border, and a relation there may have lost any of its members.
        self.told[relation] = "absent" if from_ways and to_ways and (via_nodes or via_ways) else "unclear"
        if self.told[relation] == "unclear":
            return
        exempt = set(re.split(r"\s*[;,]\s*", tags.get("except", "")))
        for how, turn, whom in kinds:
            bars = sum(
                1 << bit
                for bit, keys in enumerate(self._profiles)
                if self._is_meant(whom, keys) and exempt.isdisjoint(keys)
            )
            if bars:
                via = via_nodes[0] if via_nodes else None
                self.rules.append(
                    Restriction(relation, how == "only", turn, bars, from_ways, to_ways, via, via_ways)
                )
            else:
                self.told[relation] = "others"

    @staticmethod
    def _is_meant(whom: str, keys: Sequence[str]) -> bool:
        # What is forbidden to buses alone says nothing about the ambulance that may use their lanes.
        borrowed = keys[0] == "emergency" and whom in ("bus", "psv")
        return not whom or (whom in keys[:-1] and not borrowed)

    def counts(self) -> dict[str, int]:
        """How many there are, and what became of them (`TOLD`)."""
        outcomes = list(self.told.values())
        return {"turns": len(outcomes), **{f"turns_{what}": outcomes.count(what) for what in TOLD}}


@dataclass(frozen=True)
class Turns:
    """The entries of the search's graph. Node numbers from `nodes` on are copies of junctions.

    Entry j says that `arc[j]` leads from `tail[j]` to `head[j]`, except for the profiles in `bars[j]`.
    `arc_head[a]` is where arc a leads a vehicle that has driven nothing before it; `copy_next[n]` the next
    copy of the same junction, -1 after the last.
    """

    arc: Ints
    tail: Ints
    head: Ints
    bars: NDArray[np.uint8]
    arc_head: Ints
    copy_next: Ints


class Junctions:
    """A network as restrictions see it. Arc 2 e runs along edge e from `tail[e]` to `head[e]`, arc 2 e + 1
    against it; `opens[a]` has bit i set where the i-th profile may drive arc a; `node_of` gives the junction
    of an OpenStreetMap node, or None; `heading` an arc's direction in degrees where it starts or ends;
    `edge_m` the metres of each edge."""

    def __init__(
        self,
        edge_way: Ints,
        tail: Ints,
        head: Ints,
        nodes: int,
        opens: Ints,
        node_of: Callable[[int], int | None],
        heading: Callable[[int, bool], float],
        edge_m: NDArray[np.float64],
    ) -> None:
        self._opens, self._node_of, self._heading, self._edge_m = opens, node_of, heading, edge_m
        self._tail, self._head, self._nodes = tail, head, nodes
        self._arc_tail = np.column_stack((tail, head)).ravel()
        self._arc_head = np.column_stack((head, tail)).ravel()
        self._by_way = np.argsort(edge_way, kind="stable")
        self._way_sorted = edge_way[self._by_way]
        self._by_tail = np.argsort(self._arc_tail, kind="stable")
        self._tail_sorted = self._arc_tail[self._by_tail]

    def turns(self, restrictions: Restrictions) -> Turns:
        """Keep the restrictions, and note in them what became of each."""
        forbidden = self._forbidden(restrictions)
        for arcs, bars in self._turning_back(forbidden).items():
            forbidden[arcs] = forbidden.get(arcs, 0) | bars
        begun = sorted({arcs[:n] for arcs in forbidden for n in range(1, len(arcs))})
        number = {arcs: self._nodes + i for i, arcs in enumerate(begun)}

        def state(arcs: tuple[int, ...]) -> int:
            """Where a vehicle stands that has just driven these arcs."""
            ends = (number[arcs[i:]] for i in range(len(arcs)) if arcs[i:] in number)
            return next(ends, int(self._arc_head[arcs[-1]]))

        arc_head = self._arc_head.copy()
        for arcs in begun:
            if len(arcs) == 1:
                arc_head[arcs[0]] = number[arcs]
        copy_next = np.full(self._nodes + len(begun), -1, dtype=np.int64)
        entries: list[tuple[int, int, int, int]] = []
        for arcs in begun:
            junction = int(self._arc_head[arcs[-1]])
            copy_next[number[arcs]], copy_next[junction] = copy_next[junction], number[arcs]
            for out in self._out_of(junction):
                driven = (*arcs, out)
                bars = 0
                for i in range(len(arcs)):
                    bars |= forbidden.get(driven[i:], 0)
                entries.append((out, number[arcs], state(driven), bars))
        more = np.array(entries, dtype=np.int64).reshape(-1, 4)
        return Turns(
            arc=np.concatenate((np.arange(len(arc_head)), more[:, 0])),
            tail=np.concatenate((self._arc_tail, more[:, 1])),
            head=np.concatenate((arc_head, more[:, 2])),
            bars=np.concatenate((np.zeros(len(arc_head), dtype=np.uint8), more[:, 3].astype(np.uint8))),
            arc_head=arc_head,
            copy_next=copy_next,
        )

    def _forbidden(self, restrictions: Restrictions) -> Sequences:
        """Every sequence of arcs that may not be driven, with the profiles that may not."""
        forbidden: Sequences = {}
        # Several "only" rules at one junction allow what any one of them allows.
        allowed: defaultdict[tuple[int, ...], defaultdict[int, set[int]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for rule in restrictions.rules:
            found, outcome = self._sequences(rule)
            if restrictions.told[rule.relation] != "applied":
                restrictions.told[rule.relation] = outcome
            for arcs in found:
                # An order to drive where a vehicle may not go cannot be meant for it.
                bars = rule.bars & int(self._opens[arcs[-1]]) if rule.only else rule.bars
                if not rule.only:
                    forbidden[arcs] = forbidden.get(arcs, 0) | bars
                for bit in range(bars.bit_length() if rule.only else 0):
                    if bars >> bit & 1:
                        allowed[arcs[:-1]][bit].add(arcs[-1])
        for arcs, by_bit in allowed.items():
            for out in self._out_of(int(self._arc_head[arcs[-1]])):
                bars = sum(1 << bit for bit, outs in by_bit.items() if out not in outs)
                if bars := bars & int(self._opens[out]):
                    forbidden[(*arcs, out)] = forbidden.get((*arcs, out), 0) | bars
        return forbidden

    def _turning_back(self, forbidden: Sequences) -> Sequences:
        """The turns back by which a forbidden sequence could be got round (see the head of this file)."""
        begun: Sequences = {}
        for arcs, bars in forbidden.items():
            for n in range(1, len(arcs)):
                begun[arcs[:n]] = begun.get(arcs[:n], 0) | bars
        found: Sequences = {}
        for start, bars in begun.items():
            paths = [(start, 0.0)]
            for path, driven_m in paths:
                outs = list(self._out_of(int(self._arc_head[path[-1]])))
                if len(path) > 1:
                    goes_on = 0
                    for out in outs:
                        goes_on |= int(self._opens[out]) if out != path[-1] ^ 1 else 0
                    back = (*path, path[-1] ^ 1)
                    found[back] = found.get(back, 0) | (bars & goes_on)
                for out in outs:
                    reach_m = driven_m + float(self._edge_m[out >> 1])
                    room = len(paths) < _TURN_BACK_PATHS_MAX and reach_m < TURN_BACK_M
                    if room and out != path[-1] ^ 1 and self._opens[out] & bars:
                        paths.append(((*path, out), reach_m))
        return {arcs: bars for arcs, bars in found.items() if bars}

    def _sequences(self, rule: Restriction) -> tuple[list[tuple[int, ...]], str]:
        """The arcs that the rule speaks of, and what became of it."""
        ways = (*rule.from_ways, *rule.via_ways, *rule.to_ways)
        if any(not len(self._edges(way)) for way in ways):
            return [], "absent"
        if rule.via_ways:
            return self._by_ways(rule)
        assert rule.via_node is not None, "a rule has a node or ways between its ends"
        via = self._node_of(rule.via_node)
        if via is None:
            return [], "absent"
        found = []
        for from_way, to_way in product(rule.from_ways, rule.to_ways):
            pairs = list(product(self._arcs(from_way, into=via), self._arcs(to_way, out_of=via)))
            if not pairs:
                return [], "absent"
            pair = self._meant(rule.turn, pairs, from_way == to_way)
            if pair is None:
                return [], "unclear"
            found += pair
        return found, "applied"

    def _by_ways(self, rule: Restriction) -> tuple[list[tuple[int, ...]], str]:
        """A rule whose way through leads along whole ways, from the end of one to the end of the next."""
        if len(rule.from_ways) != 1 or len(rule.to_ways) != 1:
            return [], "unclear"
        ways = (rule.from_ways[0], *rule.via_ways, rule.to_ways[0])
        meetings = []
        for one, other in pairwise(ways):
            shared = self._ends(one) & self._ends(other)
            if len(shared) != 1:
                return [], "unclear"
            meetings.append(shared.pop())
        through: list[int] = []
        for way, (start, end) in zip(rule.via_ways, pairwise(meetings), strict=True):
            edges = self._edges(way).tolist()
            along = int(self._tail[edges[0]]) == start and int(self._head[edges[-1]]) == end
            arcs = [2 * e for e in edges] if along else [2 * e + 1 for e in reversed(edges)]
            places = [start, *(int(self._arc_head[arc]) for arc in arcs)]
            joined = all(int(self._arc_tail[arc]) == at for arc, at in zip(arcs, places, strict=False))
            if start == end or not joined or places[-1] != end:
                return [], "unclear"
            through += arcs
        first, last = self._arcs(ways[0], into=meetings[0]), self._arcs(ways[-1], out_of=meetings[-1])
        if not first or not last or any(not self._opens[arc] for arc in through):
            return [], "absent"
        if len(first) > 1 or len(last) > 1:
            return [], "unclear"
        return [(first[0], *through, last[0])], "applied"

    def _meant(self, turn: str, pairs: list[tuple[int, int]], same_way: bool) -> list[tuple[int, ...]] | None:
        """Of several ways through a junction the one that the turn's name means, where a way was not cut at
        the junction as it should have been."""
        if turn == "u_turn" and same_way:
            return [pair for pair in pairs if pair[0] == pair[1] ^ 1] or None
        pairs = [pair for pair in pairs if pair[0] != pair[1] ^ 1] if len(pairs) > 1 else pairs
        if len(pairs) == 1:
            return [pairs[0]]
        if turn not in _HEADING:
            return None

        def off(pair: tuple[int, int]) -> float:
            turned = self._heading(pair[1], True) - self._heading(pair[0], False)
            return abs(math.remainder(turned - _HEADING[turn], 360.0))

        best = min(pairs, key=off)
        return [best] if off(best) <= _HEADING_SLACK else None

    def _edges(self, way: int) -> Ints:
        first, last = np.searchsorted(self._way_sorted, [way, way + 1])
        return self._by_way[first:last]

    def _ends(self, way: int) -> set[int]:
        edges = self._edges(way)
        return {int(self._tail[edges[0]]), int(self._head[edges[-1]])}

    def _arcs(self, way: int, *, into: int = -1, out_of: int = -1) -> list[int]:
        """The way's arcs into, or out of, a junction, that some vehicle may drive."""
        edges = self._edges(way)
        arcs = np.concatenate((2 * edges, 2 * edges + 1))
        meets = (self._arc_head[arcs] == into) | (self._arc_tail[arcs] == out_of)
        return [int(arc) for arc in arcs[meets] if self._opens[arc]]

    def _out_of(self, junction: int) -> Iterable[int]:
        first, last = np.searchsorted(self._tail_sorted, [junction, junction + 1])
        return (int(arc) for arc in self._by_tail[first:last])
