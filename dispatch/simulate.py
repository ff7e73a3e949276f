"""A city's days under one dispatch policy or another, event by event. No clock, no I/O, no hidden randomness.

The decisions are the live ones: ``choose_one`` sends, ``Coverage`` prices what a departure uncovers,
``move_ups`` moves idle units, with the same rules and guards. Everything that the policy does not decide is
drawn before (``draw_calls``): who calls when and from where, how long a crew stays, whether it takes
somebody to hospital and how long the handover lasts. All policies meet the same calls (common random
numbers), so their difference is theirs and not the luck of the draw.

A call is *ready* once the call-taker has it (the dispatch delay). An idle unit stands at a post or drives to
one; either can be sent, the second from the next junction on its way. Without an idle unit the call waits in
the queue. A unit that is free again answers the queue first. docs/simulate.md tells what is left out.
"""

from __future__ import annotations

import heapq
import math
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.optimise import Lateness, choose_one
from dispatch.plans import Standby
from dispatch.standby import Tally, least_gain, move_ups

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Nodes: TypeAlias = NDArray[np.int32]

DAY_S: Final = 86400.0
WATCH_S: Final = 43200.0
NEVER_MS: Final = 2**30
"""Driving times of this many milliseconds or more mean that there is no way."""
FAR_MS: Final = 2**31 - 1

NEAR_POSTS: Final = 24
"""Of so many posts nearest in a straight line, the drives to a call are worked out at once."""
NEAR_HOSPITALS: Final = 6
MARGIN_S: Final = 0.01
"""More than sums of whole milliseconds can be off."""

AT_POST, ROLLING, RESPONDING, BUSY, LOST = range(5)
"""What a unit does: waits, drives to a post, drives to a call, works (scene, transport, hospital), is out."""
READY, ARRIVES, FREE, AT_HOME = range(4)
"""What happens: a call is ready, a unit reaches its call, is free again, reaches its post."""


class Roads(Protocol):
    """Driving times between junctions in whole milliseconds, by mode; ``gis.labels.Labels`` is one."""

    def time_ms(self, start: int, end: int, mode: int) -> int: ...

    def table_ms(self, starts: ArrayLike, ends: ArrayLike, mode: int) -> Nodes: ...

    def pairs_ms(self, starts: ArrayLike, ends: ArrayLike, mode: int) -> Nodes: ...

    def ahead(self, start: int, end: int, mode: int, after_ms: int) -> tuple[int, int, float]: ...


@dataclass(frozen=True, slots=True, eq=False)
class City:
    """What stands still. p posts, h hospitals, u units, m demand cells, k priorities (0 the most urgent).

    ``post_node``, ``hospital_node`` int32: the nearest junctions, ``*_aside_m`` metres from there.
    ``home`` int[u] the post of each unit. ``target_s`` float[k] from call to arrival; ``counted`` bool[k]
    whether it counts in the late share; ``response_mode`` int[k] how a response drives, ``plain_mode`` how
    everybody else does; ``aside_mps`` float[modes] off the road. ``cell_node`` int32[m] with
    ``cell_aside_m``, ``cell_share`` float[m] (of all calls, sums to 1) and ``cell_district`` int[m] into
    ``districts``. ``turnout_s`` from order to wheels rolling at a post; ``delay_s`` mean time until a call
    is ready. ``pace`` float[modes, modes]: no way takes longer in the first mode than so many times what it
    takes in the second; inf or None = not known. ``place_m`` float[junctions, 2] on a plane and
    ``fastest_mps`` float[modes]: no way is faster along the straight line between its ends; None = not known.
    Both only save work.
    """

    name: str
    roads: Roads
    post_names: tuple[str, ...]
    post_node: Nodes
    post_aside_m: Floats
    hospital_node: Nodes
    hospital_aside_m: Floats
    home: Ints
    target_s: Floats
    counted: Bools
    response_mode: Ints
    plain_mode: int
    aside_mps: Floats
    cell_node: Nodes
    cell_aside_m: Floats
    cell_share: Floats
    cell_district: Ints
    districts: tuple[str, ...]
    turnout_s: float = 0.0
    delay_s: float = 0.0
    pace: Floats | None = None
    place_m: Floats | None = None
    fastest_mps: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """n calls in order of ``ready_s``; all times in seconds from the start, durations in seconds."""

    seed: tuple[int, ...]
    at_s: Floats
    ready_s: Floats
    priority: Ints
    node: Nodes
    aside_m: Floats
    district: Ints
    on_scene_s: Floats
    transport: Bools
    handover_s: Floats


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution by its name in Julia's Distributions, and its parameters, in days where it is a time."""

    name: str
    parameters: tuple[float, ...]

    def draw(self, random: np.random.Generator, many: int) -> Floats:
        """float64[many]; Categorical counts from 0. Raises ValueError for a name that is not known."""
        given = self.parameters
        first = given[0] if given else 1.0
        second = given[1] if len(given) > 1 else 1.0
        if self.name == "Exponential":
            return random.exponential(first, many)
        if self.name == "Normal":
            return random.normal(given[0] if given else 0.0, second, many)
        if self.name == "Uniform":
            return random.uniform(given[0] if given else 0.0, second, many)
        if self.name == "Gamma":
            return random.gamma(first, second, many)
        if self.name == "LogNormal":
            return random.lognormal(given[0] if given else 0.0, second, many)
        if self.name == "Bernoulli":
            return (random.random(many) < first).astype(np.float64)
        if self.name == "Categorical":
            return random.choice(len(given), many, p=np.array(given) / sum(given)).astype(np.float64)
        raise ValueError(f"distribution {self.name} is not known")


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """How calls come about. ``gap``, ``delay``, ``on_scene``, ``transport``, ``handover``, ``priority`` with
    the seeds of their streams; ``seeds`` of the cell and of the place in it. ``lon``, ``lat``, ``weight``
    float[c] of the cells, ``size`` their width and height in degrees; ``snap(lon, lat)`` -> (junction,
    metres from it, district)."""

    streams: Mapping[str, tuple[Distribution, int]]
    seeds: tuple[int, int]
    lon: Floats
    lat: Floats
    weight: Floats
    size: tuple[float, float]
    snap: Callable[[Floats, Floats], tuple[Nodes, Floats, Ints]]


STREAMS: Final = ("gap", "priority", "delay", "on_scene", "transport", "handover")


def draw_calls(demand: Demand, replicate: int, days: float, per_day: float) -> Calls:
    """The calls of ``days`` days at ``per_day`` calls a day on average. The same seeds and replicate give the
    same calls; each property has a stream of its own, so that more days only add calls at the end."""
    # A margin of ten standard deviations: an expected Poisson count is hardly ever passed by more.
    expected = days * per_day
    many = int(expected + 10 * np.sqrt(expected) + 20)

    def stream(name: str) -> Floats:
        distribution, seed = demand.streams[name]
        return distribution.draw(np.random.default_rng((seed, replicate)), many)

    gap, seed = demand.streams["gap"]
    mean = gap.parameters[0] if gap.parameters else 1.0
    at_s = np.cumsum(gap.draw(np.random.default_rng((seed, replicate)), many)) * DAY_S / (mean * per_day)
    keep = at_s < days * DAY_S
    bounds = np.cumsum(demand.weight)
    cells = np.random.default_rng((demand.seeds[0], replicate)).random(many) * bounds[-1]
    cell = np.minimum(np.searchsorted(bounds, cells, side="right"), len(bounds) - 1)
    place = np.random.default_rng((demand.seeds[1], replicate)).random((many, 2)) - 0.5
    lon = demand.lon[cell] + place[:, 0] * demand.size[0]
    lat = demand.lat[cell] + place[:, 1] * demand.size[1]
    node, aside_m, district = demand.snap(lon[keep], lat[keep])
    ready_s = at_s + np.maximum(stream("delay"), 0) * DAY_S
    order = np.argsort(ready_s[keep], kind="stable")
    drawn = np.flatnonzero(keep)[order]
    priority = stream("priority").astype(np.int64)
    on_scene_s, handover_s = (np.maximum(stream(name), 0) * DAY_S for name in ("on_scene", "handover"))
    return Calls(
        (seed, replicate), at_s[drawn], ready_s[drawn], priority[drawn], node[order], aside_m[order],
        district[order], on_scene_s[drawn], stream("transport")[drawn] > 0, handover_s[drawn],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides. Without any of the three: the closest idle unit, which returns home afterwards.

    ``coverage``: the choice weighs what a departure uncovers; ``move_up``: idle units move to gaps and units
    that become free go where they cover most; ``reassign``: units under way may be turned to another call, or
    be relieved by a nearer one. ``weights`` by priority, and the rest as in the pack's sections ``optimiser``
    and ``standby``: the defaults here are the defaults there."""

    name: str
    coverage: bool = False
    move_up: bool = False
    reassign: bool = False
    weights: tuple[float, ...] = (8.0, 4.0, 2.0, 1.0)
    width_s: float = 30.0
    per_minute: float = 0.02
    first_due: float = 1.0
    coverage_weight: float = 5.0
    away_s: float = 3600.0
    delta_s: tuple[float, ...] = (60.0, 120.0, 300.0, 300.0)
    gain_s: float = 60.0
    standby: Standby = field(default_factory=Standby)
    queue_nearest: bool = False


CLOSEST: Final = Policy("closest-idle")
POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        CLOSEST,
        Policy("coverage-aware", coverage=True),
        Policy("move-up", move_up=True),
        Policy("reassign", reassign=True),
        Policy("all", coverage=True, move_up=True, reassign=True),
    )
}


@dataclass(frozen=True, slots=True)
class World:
    """How reality differs from what the optimiser believes: drives take ``drive_factor`` times as long, a
    moving unit is seen where it was ``fix_age_s`` ago, and the last ``lost`` units are not there at all."""

    drive_factor: float = 1.0
    fix_age_s: float = 0.0
    lost: int = 0


AS_BELIEVED: Final = World()


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What happened to n calls and u units. ``response_s`` float[n] from call to arrival; ``unit`` int[n] who
    came; ``free_s`` float[n] when that unit was free again. ``work`` int[w, 3], float: unit, from, until of
    every stretch of work, for checks. Totals of the whole run: ``moves`` ordered, ``moved_m`` driven on
    them, ``rolled_m`` driven to posts on any account, ``diversions`` from one call to another, ``reliefs``
    by a nearer unit, ``busy_share`` of the units' time."""

    policy: str
    response_s: Floats
    unit: Ints
    free_s: Floats
    work: Floats
    moves: int
    moved_m: float
    rolled_m: float
    diversions: int
    reliefs: int
    busy_share: float
    end_s: float


def simulate(
    city: City, calls: Calls, policy: Policy, world: World = AS_BELIEVED, cover: Cover | None = None
) -> Outcome:
    """Play ``calls`` through under ``policy``. ``cover`` = ``Cover.of(city)``, made once for many runs.
    Raises ValueError where a call can be reached from no post at all."""
    return _Run(city, calls, policy, world, cover or Cover.of(city)).play()


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """The demand cells as the posts see them: cells that the same posts reach in time count as one.
    ``reach_s`` float32[p, m], ``share`` float[m]; ``post_s`` float[p, p] driving from post to post."""

    reach_s: NDArray[np.float32]
    within_s: float
    share: Floats
    post_s: Floats

    @classmethod
    def of(cls, city: City) -> Cover:
        first = int(np.flatnonzero(city.counted)[0])
        mode = int(city.response_mode[first])
        within_s = float(city.target_s[city.counted].min() - city.delay_s)
        drive_s = _seconds(city.roads.table_ms(city.post_node, city.cell_node, mode))
        aside_s = (city.post_aside_m[:, None] + city.cell_aside_m[None, :]) / city.aside_mps[mode]
        reached = drive_s + aside_s + city.turnout_s <= within_s
        patterns, which = np.unique(reached, axis=1, return_inverse=True)
        share = np.bincount(which.ravel(), city.cell_share, patterns.shape[1]).astype(np.float64)
        plain = city.plain_mode
        post_s = _seconds(city.roads.table_ms(city.post_node, city.post_node, plain))
        asides = city.post_aside_m / city.aside_mps[plain]
        post_s = post_s + asides[:, None] + asides[None, :]
        np.fill_diagonal(post_s, 0.0)
        reach_s = np.where(patterns, 0.0, np.inf).astype(np.float32)
        return cls(reach_s, within_s, share, post_s)


def _seconds(ms: Nodes) -> Floats:
    return np.where(ms >= NEVER_MS, np.inf, ms / 1000.0)


class _Run:
    """One run. Lists where single entries are read and written, arrays where rows are summed."""

    def __init__(self, city: City, calls: Calls, policy: Policy, world: World, cover: Cover) -> None:
        self.city, self.calls, self.policy, self.world, self.cover = city, calls, policy, world, cover
        self.roads = city.roads
        self.units = len(city.home)
        self.factor = world.drive_factor
        many = len(calls.at_s)
        # ---- what all decisions about a call need, worked out at once
        mode = city.response_mode[calls.priority]
        self.mode: list[int] = mode.tolist()
        self.aside_s = calls.aside_m / city.aside_mps[mode]
        posts = len(city.post_node)
        self._nearest()
        plain = city.plain_mode
        hospital, to_hospital_s = self._hospitals()
        self.hospital: list[int] = hospital.tolist()
        way_s = to_hospital_s + calls.aside_m / city.aside_mps[plain]
        work_s = calls.on_scene_s + np.where(calls.transport, way_s * self.factor + calls.handover_s, 0.0)
        self.work_s: list[float] = work_s.tolist()
        self.call_node: list[int] = calls.node.tolist()
        self.at_s: list[float] = calls.at_s.tolist()
        self.priority: list[int] = calls.priority.tolist()
        self.curve = [
            Lateness(
                weight=policy.weights[level], target_s=float(city.target_s[level]), width_s=policy.width_s,
                per_minute=policy.per_minute, first_due=policy.first_due,
            )
            for level in range(len(city.target_s))
        ]  # fmt: skip
        # ---- units
        there = self.units - world.lost
        self.state = [AT_POST] * there + [LOST] * world.lost
        self.idle = np.arange(self.units) < there
        self.idle_many = there
        self.rolling: set[int] = set()
        self.responding: set[int] = set()
        self.standing = self.idle.copy()
        self.post = np.array(city.home, dtype=np.int64)
        self.waiting: list[list[int]] = [[] for _ in range(posts)]
        for unit, home in enumerate(self.post[:there].tolist()):
            self.waiting[home].append(unit)
        self.call = [-1] * self.units
        self.version = [0] * self.units
        self.start = [0] * self.units
        self.end = [0] * self.units
        self.drive_mode = [plain] * self.units
        self.left_s = [0.0] * self.units
        self.seen: list[tuple[int, int, float]] = [(0, 0, 0.0)] * self.units
        self.spot: list[tuple[float, float, float, int]] = [(0.0, 0.0, 0.0, plain)] * self.units
        self.relocating = [False] * self.units
        self.arrive_s = [0.0] * self.units
        self.rested_s = np.zeros(self.units)
        self.barred_s = np.zeros(self.units)
        self.moved_at: list[list[float]] = [[] for _ in range(self.units)]
        self.turned: set[tuple[int, int]] = set()
        self.rolls: list[int] = []
        self.passed = [-1] * self.units
        self.soonest_s = np.inf
        # ---- what is counted
        self.response_s = np.full(many, np.nan)
        self.by = np.full(many, -1, dtype=np.int64)
        self.free_s = np.full(many, np.nan)
        self.since_s = [0.0] * self.units
        self.work: list[tuple[int, float, float]] = []
        self.moves = self.diversions = self.reliefs = 0
        self.rolled_m = self.moved_m = 0.0
        self.queue: list[tuple[int, float, int]] = []
        self.events: list[tuple[float, int, int, int, int]] = []
        self.serial = 0
        self.share_busy = 0.3
        self.share_at_s = 0.0
        self.q = 0.3
        # Calls an hour by cell: the loss of coverage is then in calls, as the lateness is.
        demand = cover.share * (many / max(1.0, self.calls.at_s[-1] if many else 0.0) * 3600.0)
        self.part = float(demand.sum()) / max(1, self.units)
        self.tally = Tally(demand, cover.reach_s <= cover.within_s, self.q)
        for post, units in enumerate(np.bincount(self.post[:there], minlength=posts).tolist()):
            self.tally.come(post, units)
        self.pace = None if city.pace is None or world.fix_age_s else city.pace.tolist()
        # Whoever drives to a post then comes no nearer to a call in a second than a second's drive.
        self.steady = [
            self.pace is not None and world.drive_factor >= 1.0 and self.pace[one][plain] <= 1.0
            for one in range(len(city.aside_mps))
        ]
        self.x_m: list[float] = []
        self.y_m: list[float] = []
        if city.place_m is not None and city.fastest_mps is not None:
            self.x_m, self.y_m = city.place_m.T.tolist()
            self.fastest_mps: list[float] = city.fastest_mps.tolist()

    def _nearest(self) -> None:
        """The posts from which each call may be reached soonest: ``near_post`` and ``near_s`` [n, k] sorted,
        and ``edge_s`` [n]: from any other it takes that long at least."""
        city, calls = self.city, self.calls
        many, posts = len(calls.at_s), len(city.post_node)
        place_m, fastest_mps = city.place_m, city.fastest_mps
        known = place_m is not None and fastest_mps is not None and posts > NEAR_POSTS
        k = NEAR_POSTS if known else posts
        self.near_post = np.empty((many, k), dtype=np.int64)
        self.near_s = np.empty((many, k))
        self.edge_s = np.full(many, np.inf)
        self.whole: dict[int, tuple[list[int], list[float]]] = {}
        mode = city.response_mode[calls.priority]
        if known:
            assert place_m is not None
            assert fastest_mps is not None
            # Here, because most cities have so few posts that nobody needs it.
            from scipy.spatial import cKDTree

            tree: Any = cKDTree(place_m[city.post_node])
            away_m, which = tree.query(place_m[calls.node], k + 1)
            self.near_post[:] = which[:, :k]
            self.edge_s = away_m[:, k] / fastest_mps[mode] - MARGIN_S
            self.edge_s += (city.post_aside_m.min() / city.aside_mps)[mode] + self.aside_s + city.turnout_s
        else:
            self.near_post[:] = np.arange(posts)
        for one in np.unique(mode).tolist():
            rows = mode == one
            post, node = self.near_post[rows], calls.node[rows]
            if known:
                ms = self.roads.pairs_ms(city.post_node[post].ravel(), np.repeat(node, k), one)
                drive_s = _seconds(ms).reshape(post.shape)
            else:
                drive_s = _seconds(self.roads.table_ms(city.post_node, node, one)).T
            self.near_s[rows] = drive_s + city.post_aside_m[post] / city.aside_mps[one]
        self.near_s += self.aside_s[:, None] + city.turnout_s
        order = np.argsort(self.near_s, axis=1, kind="stable")
        self.near_post = np.take_along_axis(self.near_post, order, axis=1)
        self.near_s = np.take_along_axis(self.near_s, order, axis=1)
        for call in np.flatnonzero(~np.isfinite(self.near_s[:, 0])).tolist():
            if not self._every(call)[1][0] < np.inf:
                raise ValueError(f"call {call} can be reached from no post")

    def _hospitals(self) -> tuple[Ints, Floats]:
        """(int[n], float[n]): the hospital that is nearest by driving to each call, and the seconds."""
        city, node, plain = self.city, self.calls.node, self.city.plain_mode
        hospitals = len(city.hospital_node)
        aside_s = city.hospital_aside_m / city.aside_mps[plain]
        which, drive_s = np.zeros(len(node), dtype=np.int64), np.zeros(len(node))
        rest = np.arange(len(node))
        if city.place_m is not None and city.fastest_mps is not None and hospitals > NEAR_HOSPITALS:
            from scipy.spatial import cKDTree

            tree: Any = cKDTree(city.place_m[city.hospital_node])
            away_m, near = tree.query(city.place_m[node], NEAR_HOSPITALS + 1)
            # In order of their numbers, so that of two as near the first is taken.
            near = np.sort(near[:, :-1], axis=1)
            ms = self.roads.pairs_ms(np.repeat(node, NEAR_HOSPITALS), city.hospital_node[near].ravel(), plain)
            seconds = _seconds(ms).reshape(near.shape) + aside_s[near]
            at = seconds.argmin(axis=1)[:, None]
            which = np.take_along_axis(near, at, axis=1)[:, 0].astype(np.int64)
            drive_s = np.take_along_axis(seconds, at, axis=1)[:, 0]
            beyond_s = away_m[:, -1] / city.fastest_mps[plain] + aside_s.min() - MARGIN_S
            rest = (drive_s >= beyond_s).nonzero()[0]
        if len(rest):
            seconds = _seconds(self.roads.table_ms(node[rest], city.hospital_node, plain)) + aside_s
            which[rest], drive_s[rest] = seconds.argmin(axis=1), seconds.min(axis=1)
        return which, drive_s

    def _every(self, call: int) -> tuple[list[int], list[float]]:
        """All posts and the believed seconds from each to the call, the soonest first."""
        if call not in self.whole:
            city, mode = self.city, self.mode[call]
            ms = self.roads.table_ms(city.post_node, self.calls.node[call : call + 1], mode)
            seconds = _seconds(ms)[:, 0] + city.post_aside_m / city.aside_mps[mode]
            seconds += self.aside_s[call] + city.turnout_s
            order = np.argsort(seconds, kind="stable")
            self.whole[call] = order.tolist(), seconds[order].tolist()
        return self.whole[call]

    # ---- the course of events

    def play(self) -> Outcome:
        calls = self.calls
        ready_s: list[float] = calls.ready_s.tolist()
        many, following, now = len(ready_s), 0, 0.0
        events = self.events
        while following < many or events:
            if following < many and (not events or ready_s[following] <= events[0][0]):
                now = ready_s[following]
                self._ready(following, now)
                following += 1
                continue
            now, _, what, unit, version = heapq.heappop(events)
            if version != self.version[unit]:
                continue
            if what == ARRIVES:
                self._arrives(unit, now)
            elif what == FREE:
                self._free(unit, now)
            else:
                self._home(unit, now)
        busy_s = sum(until - since for _, since, until in self.work)
        return Outcome(
            self.policy.name, self.response_s, self.by, self.free_s,
            np.array(self.work, dtype=np.float64).reshape(-1, 3), self.moves, self.moved_m, self.rolled_m,
            self.diversions, self.reliefs, busy_s / max(1e-9, now * max(1, self.units - self.world.lost)),
            now,
        )  # fmt: skip

    def _at(self, when_s: float, what: int, unit: int) -> None:
        self.serial += 1
        self.version[unit] = self.serial
        heapq.heappush(self.events, (when_s, self.serial, what, unit, self.serial))

    def _ready(self, call: int, now: float) -> None:
        self._share(now)
        if not self._send_to(call, now):
            heapq.heappush(self.queue, (self.priority[call], self.at_s[call], call))
        elif self.policy.move_up:
            self._move_up(now)

    def _arrives(self, unit: int, now: float) -> None:
        call = self.call[unit]
        self.response_s[call] = now - self.at_s[call]
        self.by[call] = unit
        self.state[unit] = BUSY
        self.responding.discard(unit)
        self._at(now + self.work_s[call], FREE, unit)

    def _free(self, unit: int, now: float) -> None:
        call = self.call[unit]
        city, plain = self.city, self.city.plain_mode
        self.free_s[call] = now
        self.call[unit] = -1
        self.work.append((unit, self.since_s[unit], now))
        if self.calls.transport[call]:
            hospital = self.hospital[call]
            node, aside_m = int(city.hospital_node[hospital]), float(city.hospital_aside_m[hospital])
        else:
            node, aside_m = self.call_node[call], float(self.calls.aside_m[call])
        self._roll(unit, node, aside_m / city.aside_mps[plain], int(city.home[unit]), now, False)
        self.rested_s[unit] = now
        self._share(now)
        if self.queue:
            self._serve_queue(unit, now)
            return
        if self.policy.reassign:
            self._relieve(now)
        if self.policy.move_up:
            self._move_up(now)

    def _home(self, unit: int, now: float) -> None:
        self.state[unit] = AT_POST
        self.rolling.discard(unit)
        self.standing[unit] = True
        insort(self.waiting[self.post[unit]], unit)
        self._walked(unit)

    # ---- driving

    def _roll(self, unit: int, node: int, off_s: float, post: int, now: float, relocating: bool) -> None:
        """From a junction that it passes in ``off_s`` to a post, driving as anybody."""
        city, plain = self.city, self.city.plain_mode
        if self.idle[unit]:
            self.tally.come(int(self.post[unit]), -1)
        else:
            self.idle_many += 1
        self.tally.come(post)
        if self.standing[unit]:
            self.waiting[self.post[unit]].remove(unit)
        self.rolls.append(unit)
        self.state[unit] = ROLLING
        self.responding.discard(unit)
        self.rolling.add(unit)
        self.idle[unit], self.standing[unit] = True, False
        self.post[unit] = post
        self.relocating[unit] = relocating
        end = int(city.post_node[post])
        self._leave(unit, node, end, plain, now + off_s * self.factor)
        drive_s = self.roads.time_ms(node, end, plain) / 1000.0
        aside_s = float(city.post_aside_m[post]) / city.aside_mps[plain]
        self._at(self.left_s[unit] + (drive_s + aside_s) * self.factor, AT_HOME, unit)

    def _leave(self, unit: int, start: int, end: int, mode: int, left_s: float) -> None:
        self.start[unit], self.end[unit], self.drive_mode[unit] = start, end, mode
        self.left_s[unit] = left_s
        self._sight(unit, start, 0, 0.0)

    def _sight(self, unit: int, node: int, at_ms: int, metres: float) -> None:
        """The unit is at a junction at this time since it set out."""
        self.seen[unit] = (node, at_ms, metres)
        if self.x_m:
            at_s = self.left_s[unit] + at_ms / 1000.0 * self.factor
            self.spot[unit] = self.x_m[node], self.y_m[node], at_s, self.drive_mode[unit]

    def _where(self, unit: int, now: float) -> tuple[int, float]:
        """The junction at which a driving unit can next turn off, and the believed seconds until it is
        there."""
        gone_ms = int((now - self.left_s[unit]) * 1000.0 / self.factor)
        node, at_ms, metres = self.seen[unit]
        if gone_ms > at_ms:
            further = self.roads.ahead(node, self.end[unit], self.drive_mode[unit], gone_ms - at_ms)
            node, at_ms, metres = further[0], at_ms + further[1], metres + further[2]
            self._sight(unit, node, at_ms, metres)
        return node, max(0, at_ms - gone_ms) / 1000.0

    def _seen(self, unit: int, now: float) -> tuple[int, float]:
        """The same as the optimiser knows it, by a fix that may be old."""
        if not self.world.fix_age_s:
            return self._where(unit, now)
        before = self.seen[unit]
        self.seen[unit] = (self.start[unit], 0, 0.0)
        then = self._where(unit, max(self.left_s[unit], now - self.world.fix_age_s))
        self.seen[unit] = before
        return then[0], 0.0

    def _walked(self, unit: int) -> None:
        """Count what was driven towards a post, now that it ends."""
        node, _, metres = self.seen[unit]
        if self.state[unit] == AT_POST and node != self.end[unit]:
            metres += self.roads.ahead(node, self.end[unit], self.drive_mode[unit], FAR_MS)[2]
        self.rolled_m += metres
        if self.relocating[unit]:
            self.moved_m += metres

    def _send(self, unit: int, call: int, now: float) -> None:
        """Order the unit to the call, from wherever it is."""
        city, mode = self.city, self.mode[call]
        was = self.state[unit]
        if was == AT_POST:
            post = int(self.post[unit])
            start = int(city.post_node[post])
            off_s = city.turnout_s + float(city.post_aside_m[post]) / city.aside_mps[mode] * self.factor
        else:
            start, off_s = self._where(unit, now)
            off_s *= self.factor
            if was == ROLLING:
                self._walked(unit)
        if was != RESPONDING:
            self.since_s[unit] = now
        if self.idle[unit]:
            self.tally.come(int(self.post[unit]), -1)
            self.idle_many -= 1
        if self.standing[unit]:
            self.waiting[self.post[unit]].remove(unit)
        self.passed[unit] = -1
        self.state[unit] = RESPONDING
        self.rolling.discard(unit)
        self.responding.add(unit)
        self.idle[unit] = self.standing[unit] = False
        self.call[unit] = call
        self._leave(unit, start, self.call_node[call], mode, now + off_s)
        drive_s = self.roads.time_ms(start, self.call_node[call], mode) / 1000.0
        self.arrive_s[unit] = now + off_s + (drive_s + float(self.aside_s[call])) * self.factor
        self._at(self.arrive_s[unit], ARRIVES, unit)

    # ---- deciding

    def _near(
        self, call: int, now: float, within_s: float, before_s: float = np.inf
    ) -> tuple[list[int], list[float]]:
        """The idle units that would be there no later than the soonest of them and ``within_s``, and the
        believed seconds of each; of those later than ``before_s`` perhaps none."""
        found = self._standing(call, within_s, before_s)
        soonest = found[0][0] if found else np.inf
        if self.rolling:
            driving = list(self.rolling)
            if self.pace is None:
                found += zip(self._etas_of(call, now, driving), driving, strict=True)
            else:
                # Nearest first, as far as is known without driving after them.
                driving = self._within(call, now, driving, min(soonest + within_s, before_s))
                for least_s, unit in self._floors(call, now, driving) if driving else ():
                    if least_s > min(soonest + within_s, before_s):
                        break
                    eta_s = self._etas_of(call, now, (unit,))[0]
                    found.append((eta_s, unit))
                    soonest = min(soonest, eta_s)
            soonest = min((eta_s for eta_s, _ in found), default=np.inf)
        if soonest == np.inf:
            return [], []
        rows = sorted((unit, eta_s) for eta_s, unit in found if eta_s <= soonest + within_s)
        return [unit for unit, _ in rows], [eta_s for _, eta_s in rows]

    def _standing(self, call: int, within_s: float, before_s: float) -> list[tuple[float, int]]:
        """(believed seconds, unit), the soonest first: those of the units at posts that ``_near`` asks
        for."""
        posts, seconds, edge_s = self.near_post[call].tolist(), self.near_s[call].tolist(), self.edge_s[call]
        while True:
            found: list[tuple[float, int]] = []
            last_s = np.inf
            for post, eta_s in zip(posts, seconds, strict=True):
                if eta_s > last_s or eta_s == np.inf:
                    break
                if self.waiting[post]:
                    if not found:
                        last_s = eta_s + within_s
                    found += [(eta_s, unit) for unit in self.waiting[post]]
            if min(last_s, before_s) < edge_s or edge_s == np.inf:
                return found
            (posts, seconds), edge_s = self._every(call), np.inf

    def _within(self, call: int, now: float, driving: list[int], limit_s: float) -> list[int]:
        """Those of them who may be at the call by then, by the straight line from where they were seen."""
        if not self.x_m or limit_s == np.inf:
            return driving
        assert self.pace is not None
        mode, node = self.mode[call], self.call_node[call]
        x_m, y_m, mps, paces = self.x_m[node], self.y_m[node], self.fastest_mps[mode], self.pace[mode]
        left_s = limit_s - float(self.aside_s[call]) + MARGIN_S
        spots, near = self.spot, list[int]()
        for unit in driving:
            unit_x_m, unit_y_m, at_s, driven = spots[unit]
            ahead_s = (now - at_s) / self.factor
            if ahead_s > 0:
                ahead_s *= paces[driven] if paces[driven] <= 1.0 else np.inf
            reach_m = (left_s + ahead_s) * mps
            x, y = unit_x_m - x_m, unit_y_m - y_m
            if reach_m >= 0 and x * x + y * y <= reach_m * reach_m:
                near.append(unit)
        return near

    def _floors(self, call: int, now: float, driving: Sequence[int]) -> list[tuple[float, int]]:
        """(seconds, unit), the least first: nobody driving is at the call sooner than that. Whoever was seen
        at a junction has come nearer since by no more than it drove."""
        assert self.pace is not None
        mode, aside_s = self.mode[call], float(self.aside_s[call])
        seen, found = self.seen, []
        drive_ms = self._drives_ms([seen[unit][0] for unit in driving], call)
        for unit, ms in zip(driving, drive_ms, strict=True):
            ahead_ms = int((now - self.left_s[unit]) * 1000.0 / self.factor) - seen[unit][1]
            pace = self.pace[mode][self.drive_mode[unit]]
            if ahead_ms <= 0:
                least_ms: float = ms - ahead_ms
            elif pace <= 1.0:
                least_ms = ms - pace * ahead_ms
            else:
                least_ms = -np.inf
            # A millisecond less, for the rounding of the sums.
            found.append(((least_ms - 1.0) / 1000.0 + aside_s if ms < NEVER_MS else np.inf, unit))
        found.sort()
        return found

    def _drives_ms(self, starts: list[int], call: int) -> list[int]:
        node, mode = self.call_node[call], self.mode[call]
        if len(starts) <= 3:
            return [self.roads.time_ms(start, node, mode) for start in starts]
        drive_ms: list[int] = self.roads.table_ms(starts, [node], mode)[:, 0].tolist()
        return drive_ms

    def _etas_of(self, call: int, now: float, driving: Sequence[int]) -> list[float]:
        """The believed seconds of those units that drive."""
        seen = [self._seen(unit, now) for unit in driving]
        drive_ms = self._drives_ms([node for node, _ in seen], call)
        aside_s = float(self.aside_s[call])
        return [
            off_s + ms / 1000.0 + aside_s if ms < NEVER_MS else np.inf
            for (_, off_s), ms in zip(seen, drive_ms, strict=True)
        ]

    def _choose(self, call: int, now: float) -> tuple[int, float]:
        """The idle unit to send and its believed seconds; (-1, inf) when nobody can."""
        policy, level = self.policy, self.priority[call]
        delta_s = policy.delta_s[level] if policy.coverage else 0.0
        rows, eta_s = self._near(call, now, delta_s)
        self.soonest_s = min(eta_s, default=np.inf)
        if not rows:
            return -1, np.inf
        if len(rows) == 1:
            best = 0
        elif not policy.coverage:
            best = choose_one(np.array(eta_s))
        else:
            known = self.curve[level]
            curve = Lateness(
                known.weight, known.target_s, now - self.at_s[call], known.width_s, known.per_minute,
                known.first_due,
            )  # fmt: skip
            loss = self.tally.loss(self.post[rows])
            loss *= policy.coverage_weight * policy.away_s / 3600.0
            best = choose_one(np.array(eta_s), curve, loss, delta_s)
        return rows[best], eta_s[best]

    def _send_to(self, call: int, now: float) -> bool:
        unit, eta_s = self._choose(call, now)
        soonest_s = self.soonest_s
        if self.policy.reassign and self._divert(call, unit, eta_s, now):
            return True
        if unit < 0:
            return False
        self._send(unit, call, now)
        last_s = self.arrive_s[unit] - now - self.policy.gain_s + MARGIN_S
        if soonest_s > last_s and self.steady[self.mode[call]]:
            self.passed[unit] = len(self.rolls)
        return True

    def _late(self, call: int, eta_s: float, now: float) -> float:
        """Weighted late calls when somebody arrives after ``eta_s``."""
        curve = self.curve[self.priority[call]]
        past = (eta_s + now - self.at_s[call] - (curve.target_s or 0.0)) / curve.width_s
        past = min(40.0, max(-40.0, past))
        return float(curve.weight / (1.0 + math.exp(-past)) + curve.weight * curve.per_minute / 60.0 * eta_s)

    def _divert(self, call: int, unit: int, best_s: float, now: float) -> bool:
        """Turn a unit under way to this call, where that helps more than it costs the call it leaves."""
        level = self.priority[call]
        able = [
            one
            for one in sorted(self.responding)
            if self.priority[self.call[one]] >= level
            and (one, self.call[one]) not in self.turned
            and (unit >= 0 or self.priority[self.call[one]] > level)
        ]
        if able and unit >= 0 and self.pace is not None:
            floors = self._floors(call, now, self._within(call, now, able, best_s - self.policy.gain_s))
            able = sorted(one for least_s, one in floors if least_s <= best_s - self.policy.gain_s)
        if not able:
            return False
        theirs = dict(zip(able, self._etas_of(call, now, able), strict=True))
        gain, found = 0.0, (-1, -1)
        for one in able:
            if not theirs[one] <= best_s - self.policy.gain_s:
                continue
            left = self.call[one]
            if unit < 0:
                if self._late(call, theirs[one], now) < np.inf and (
                    found[0] < 0 or theirs[one] < theirs[found[0]]
                ):
                    found = (one, -1)
                continue
            instead, instead_s = self._choose(left, now)
            before = self._late(call, best_s, now) + self._late(left, self.arrive_s[one] - now, now)
            after = self._late(call, theirs[one], now) + self._late(left, instead_s, now)
            if before - after > gain:
                gain, found = before - after, (one, instead)
        one, instead = found
        if one < 0:
            return False
        left = self.call[one]
        self.turned.add((one, left))
        self.diversions += 1
        self._send(one, call, now)
        if instead >= 0:
            self._send(instead, left, now)
        else:
            heapq.heappush(self.queue, (self.priority[left], self.at_s[left], left))
        return True

    def _relieve(self, now: float) -> None:
        """Where an idle unit would be there sooner than the one under way, it goes and the other turns
        back."""
        gain, found = 0.0, (-1, -1)
        for one in sorted(self.responding):
            call = self.call[one]
            left_s = self.arrive_s[one] - now
            if left_s <= self.policy.gain_s or (one, call) in self.turned:
                continue
            last_s = left_s - self.policy.gain_s
            if self._passed_over(one, now, last_s + MARGIN_S):
                continue
            rows, eta_s = self._near(call, now, 0.0, last_s + MARGIN_S)
            if (not rows or eta_s[0] > last_s + MARGIN_S) and self.steady[self.mode[call]]:
                self.passed[one] = len(self.rolls)
            if not rows or eta_s[0] > last_s:
                continue
            won = self._late(call, left_s, now) - self._late(call, eta_s[0], now)
            if won > gain:
                gain, found = won, (one, rows[0])
        one, instead = found
        if one < 0:
            return
        call = self.call[one]
        self.turned.add((one, call))
        self.reliefs += 1
        node, off_s = self._where(one, now)
        self.work.append((one, self.since_s[one], now))
        self.call[one] = -1
        self._roll(one, node, off_s, int(self.post[one]), now, False)
        self._send(instead, call, now)

    def _passed_over(self, one: int, now: float, limit_s: float) -> bool:
        """Whether it is known that nobody idle can be at this unit's call by then. Whoever could not when it
        was last asked cannot later either, for the limit falls by a second each second, and nobody comes
        nearer sooner: only those who set out for a post since are looked at."""
        since = self.passed[one]
        if since < 0:
            return False
        rolled = [unit for unit in self.rolls[since:] if self.idle[unit]]
        if rolled and self._within(self.call[one], now, rolled, limit_s):
            return False
        self.passed[one] = len(self.rolls)
        return True

    def _serve_queue(self, unit: int, now: float) -> None:
        _, _, call = heapq.heappop(self.queue)
        if self.policy.queue_nearest and self.queue:
            level = self.priority[call]
            same = [call, *(one for _, _, one in self.queue if self.priority[one] == level)]
            best = (np.inf, call)
            for one in same:
                best = min(best, (self._etas_of(one, now, (unit,))[0], one))
            if best[1] != call:
                heapq.heappush(self.queue, (level, self.at_s[call], call))
                call = best[1]
                self.queue.remove((level, self.at_s[call], call))
                heapq.heapify(self.queue)
        self._send(unit, call, now)

    # ---- standing by

    def _watch(self, unit: int, now: float) -> None:
        """Count a move, and let the unit rest once it made as many as a watch allows."""
        recent = [at for at in self.moved_at[unit] if at > now - WATCH_S]
        recent.append(now)
        self.moved_at[unit] = recent
        if len(recent) >= self.policy.standby.per_watch:
            self.barred_s[unit] = recent[-self.policy.standby.per_watch] + WATCH_S

    def _share(self, now: float) -> None:
        """The busy share of the units, smoothed over about twelve hours."""
        past = now - self.share_at_s
        if past <= 0:
            return
        busy = 1.0 - self.idle_many / max(1, self.units - self.world.lost)
        keep = math.exp(-past / 43200.0)
        self.share_busy = keep * self.share_busy + (1.0 - keep) * busy
        self.share_at_s = now
        if abs(self.share_busy - self.q) > 0.03:
            self.q = min(0.95, max(0.02, self.share_busy))
            self.tally.reweigh(self.q)

    def _move_up(self, now: float) -> None:
        rules = self.policy.standby
        busy = 1.0 - self.idle_many / max(1, self.units - self.world.lost)
        least = least_gain(self.part, busy, rules)
        more = self.tally.gain(least)
        worth = (more >= least).nonzero()[0]
        if not len(worth):
            return
        able = self.idle & (self.rested_s <= now) & (self.barred_s <= now)
        city, plain, post_s = self.city, self.city.plain_mode, self.cover.post_s
        alone = rules.at_once == 1
        if alone:
            # Only who would gain enough, and not on the way lose what it gains, needs a closer look: nobody
            # gains more than one more unit there would.
            scale = least * (1.0 - 1e-9) / min(rules.least_gain_pct, rules.rolling_gain_pct)
            way_s = post_s[:, worth]
            lasts = np.where(way_s <= rules.longest_s, 1.0 - way_s / rules.horizon_s, 0.0)
            near: Bools = np.any(lasts * more[worth] >= scale * rules.least_gain_pct, axis=1)
            able &= near[self.post] | ~self.standing
            driving = (able & ~self.standing).nonzero()[0].tolist()
            if driving:
                # It goes the quickest way home: wherever it is on it by now, a post elsewhere is no less of a
                # detour than it was from the junction where it was last seen.
                nodes = np.array([self.seen[unit][0] for unit in driving], dtype=np.int32)
                detour_s = _seconds(self.roads.table_ms(nodes, city.post_node[worth], plain))
                homes = city.post_node[self.post[driving]]
                detour_s -= _seconds(self.roads.pairs_ms(nodes, homes, plain))[:, None]
                left = np.clip(1.0 - detour_s / rules.horizon_s, 0.0, 1.0)
                able[driving] = (left * more[worth] >= scale * rules.rolling_gain_pct).any(axis=1)
        units = able.nonzero()[0]
        if alone and len(units):
            home, standing = self.post[units], self.standing[units]
            gain = self.tally.moved(home, worth)
            enough = scale * np.where(standing, rules.least_gain_pct, rules.rolling_gain_pct)[:, None]
            kept = (np.where(standing[:, None], gain * lasts[home], gain) >= enough).any(axis=1)
            units, gain, enough = units[kept], gain[kept], enough[kept]
        if not len(units):
            return
        # A second move may lead where the first made room, and one unit may take another's place.
        posts = (
            np.unique(np.concatenate((worth, self.post[units]))) if alone else np.arange(len(city.post_node))
        )
        home = self.post[units]
        drive_s = post_s[home[:, None], posts]
        at = np.searchsorted(posts, home)
        driving = (~self.standing[units]).nonzero()[0].tolist()
        places = {int(units[row]): self._where(int(units[row]), now) for row in driving}
        if driving:
            nodes = np.array([node for node, _ in places.values()], dtype=np.int32)
            to = np.searchsorted(posts, worth)
            drive_s[driving] = np.inf
            drive_s[np.array(driving)[:, None], to] = _seconds(
                self.roads.table_ms(nodes, city.post_node[worth], plain)
            )
            # What is left to the post that each is bound for, which is what staying costs.
            left_ms = self.roads.pairs_ms(nodes, city.post_node[home[driving]], plain)
            drive_s[driving, at[driving]] = left_ms / 1000.0
            if alone:
                there_s = np.where(drive_s[:, to] <= rules.longest_s, drive_s[:, to], np.inf)
                spent_s = there_s - drive_s[np.arange(len(units)), at][:, None]
                if not (gain * np.clip(1.0 - spent_s / rules.horizon_s, 0.0, 1.0) >= enough).any():
                    return
        coverage, posts_s = self.tally.around(home, posts)
        found = move_ups(
            coverage, posts_s, drive_s, at, rolling=~self.standing[units], utilisation=busy, rules=rules,
            part=self.part,
        )  # fmt: skip
        for move in found:
            unit, target = int(units[move.row]), int(posts[move.post])
            if self.state[unit] == AT_POST:
                post = int(self.post[unit])
                plain = self.city.plain_mode
                start = int(self.city.post_node[post])
                off_s = float(self.city.post_aside_m[post]) / self.city.aside_mps[plain]
            else:
                start, off_s = places[unit]
                self._walked(unit)
            self.moves += 1
            self.rested_s[unit] = now + rules.rest_s
            self._watch(unit, now)
            self._roll(unit, start, off_s, target, now, True)


# ---- what nobody could do better


def late_bound(city: City, calls: Calls, after_s: float = 0.0) -> float:
    """A lower bound on the share of late calls among those that count and come after ``after_s``, 0 to 1.

    It holds for every policy, even one that knows all calls beforehand, whose units set out from a post or
    from the fastest way between the place where they became free and a post: which post, and whether a call
    is answered at all, is free. It is a relaxation and hence below what can be reached: calls that do not
    count, or would be late, cost nothing and take nobody's time; a unit is free again as if it had reached
    its call at once; posts hold any number of units. A policy that sends units from between two posts may
    pass it.

    The most calls that so many units can be in time for are a flow through the calls in order, each passed by
    one unit at most; its linear programme is whole by itself (HiGHS).
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    rows = np.flatnonzero(city.counted[calls.priority])
    many = len(rows)
    scored = calls.at_s[rows] >= after_s
    if not scored.any():
        return 0.0
    reach = _Reach(city, calls, rows)
    # Variables: y (answered in time), w (joins the pool afterwards), s (taken from the pool), then near arcs.
    near = reach.near()
    heads, tails = near[:, 1], near[:, 0]
    arcs = len(near)
    y, w, s, x, p = 0, many, 2 * many, 3 * many, 3 * many + arcs
    every = np.arange(many)
    # The pool in the order of time: who may have reached any post joins, then who is called leaves.
    when = np.concatenate((reach.pooled_s, reach.ready_s))
    order = np.lexsort((np.repeat((0, 1), many), when))
    steps = len(order)
    step_of = np.empty(steps, dtype=np.int64)
    step_of[order] = np.arange(steps)
    into, out_of, pool = 0, many, 2 * many
    entries = [
        # y_j = taken from the pool + near arcs into j
        (into + every, y + every, 1.0), (into + every, s + every, -1.0), (into + heads, x + np.arange(arcs),
        -1.0), # y_i = joins the pool + near arcs out of i
        (out_of + every, y + every, 1.0), (out_of + every, w + every, -1.0),
        (out_of + tails, x + np.arange(arcs), -1.0),
        # what is in the pool after each step: what was there, and who joined or left
        (pool + np.arange(steps), p + 1 + np.arange(steps), 1.0), (pool + np.arange(steps), p +
        np.arange(steps), -1.0), (pool + step_of[:many], w + every, -1.0), (pool + step_of[many:], s + every,
        1.0),
    ]  # fmt: skip
    row = np.concatenate([at for at, _, _ in entries])
    column = np.concatenate([at for _, at, _ in entries])
    value = np.concatenate([np.full(len(at), one) for at, _, one in entries])
    variables = p + steps + 1
    upper = np.full(variables, np.inf)
    upper[:many] = 1.0
    upper[s : s + many] = np.where(reach.from_post, 1.0, 0.0)
    lower = np.zeros(variables)
    lower[p] = upper[p] = len(city.home)
    balance: Any = coo_array((value, (row, column)), shape=(2 * many + steps, variables)).tocsr()
    limits: Any = np.column_stack((lower, upper))
    solved: Any = linprog(
        np.concatenate((-scored.astype(np.float64), np.zeros(variables - many))),
        A_eq=balance,
        b_eq=np.zeros(2 * many + steps),
        bounds=limits,
        method="highs",
    )
    if not solved.success:
        raise RuntimeError(f"the solver found no bound: {solved.message}")
    return max(0.0, 1.0 + float(solved.fun) / float(scored.sum()))


class _Reach:
    """Which of the calls ``rows`` can follow one another in time, for ``late_bound``."""

    def __init__(self, city: City, calls: Calls, rows: Ints) -> None:
        self.city, self.roads = city, city.roads
        plain, mode = city.plain_mode, int(city.response_mode[calls.priority[rows[0]]])
        self.mode = mode
        self.node = calls.node[rows]
        self.ready_s = calls.ready_s[rows]
        self.deadline_s = calls.at_s[rows] + city.target_s[calls.priority[rows]]
        self.aside_s = calls.aside_m[rows] / city.aside_mps[mode]
        post_aside_s = city.post_aside_m / city.aside_mps[mode]
        drive_s = _seconds(self.roads.table_ms(city.post_node, self.node, mode)).T
        self.post_s = drive_s + post_aside_s + self.aside_s[:, None] + city.turnout_s
        self.from_post = self.ready_s + self.post_s.min(axis=1) <= self.deadline_s
        to_hospital_s = _seconds(self.roads.table_ms(self.node, city.hospital_node, plain))
        hospital = to_hospital_s.argmin(axis=1)
        transport = calls.transport[rows]
        end_aside_m = np.where(transport, city.hospital_aside_m[hospital], calls.aside_m[rows])
        self.end = np.where(transport, city.hospital_node[hospital], self.node)
        way_s = to_hospital_s.min(axis=1) + (calls.aside_m[rows] + end_aside_m) / city.aside_mps[plain]
        work_s = calls.on_scene_s[rows] + np.where(transport, way_s + calls.handover_s[rows], 0.0)
        # Free as if there at once; the way back to the road is left out: both only lower the bound.
        self.free_s = self.ready_s + work_s
        self.home_s = _seconds(self.roads.table_ms(self.end, city.post_node, plain))
        self.pooled_s = self.free_s + self.home_s.max(axis=1, where=np.isfinite(self.home_s), initial=0.0)

    def near(self) -> NDArray[np.int64]:
        """Pairs (i, j): a unit that ends i can be in time for j, and may not have reached every post yet."""
        pairs: list[tuple[int, int]] = []
        last = np.searchsorted(self.ready_s, self.pooled_s)
        for i in range(len(self.node)):
            following = range(i + 1, int(last[i]))
            able = (j for j in following if self.deadline_s[j] > self.free_s[i] and self._in_time(i, j))
            pairs.extend((i, j) for j in able)
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def _in_time(self, i: int, j: int) -> bool:
        arrives_s = np.maximum(self.ready_s[j], self.free_s[i] + self.home_s[i]) + self.post_s[j]
        if (arrives_s <= self.deadline_s[j]).any():
            return True
        start, goal, gap_s = int(self.end[i]), int(self.node[j]), self.ready_s[j] - self.free_s[i]
        left_s = self.deadline_s[j] - max(self.ready_s[j], self.free_s[i]) - self.aside_s[j]
        if gap_s <= 0:
            return bool(self.roads.time_ms(start, goal, self.mode) / 1000.0 <= left_s)
        # Nobody is nearer on any way home than the plain difference of the two drives says.
        if self.roads.time_ms(start, goal, self.mode) / 1000.0 - gap_s > left_s:
            return False
        for post, home_s in enumerate(self.home_s[i].tolist()):
            if gap_s < home_s < np.inf:
                after_ms = int(gap_s * 1000)
                home = int(self.city.post_node[post])
                node = self.roads.ahead(start, home, self.city.plain_mode, after_ms)[0]
                if self.roads.time_ms(node, goal, self.mode) / 1000.0 <= left_s:
                    return True
        return False
