"""What the idle units cover, and what a choice leaves uncovered: arrays in, figures out. No clock, no I/O.

The measure is the expected coverage of Daskin (1983, Transportation Science 17:48, MEXCLP). A cell of the
city with demand d, in reach of k idle units of which each is busy with probability q when a call comes,
counts for d (1 - q^k). The unit that leaves takes d (1 - q) q^(k - 1) of that away from every cell in its
reach: the marginal that Jagtenberg, Bhulai and van der Mei (2015, Operations Research for Health Care 4:27)
move idle ambulances by. That k units are busy independently of one another is the model's simplification, not
a fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.plans import Standby

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int32]

UNCOVERED_SHARE = 0.2
"""A zone is said to be left uncovered when this much of its demand loses the last idle unit in reach."""

_AT_ONCE = 64
"""Rows that are summed in one go: more would only make a larger copy."""
_NOTHING = 1e-15
"""A cell that a unit more or less changes by less than this part of all demand is passed over."""


class Coverage:
    """How u rows (a unit, or units that share one crew) cover m cells by one standard. Never changes.

    ``demand`` float64[m] calls an hour by cell; ``zone`` int32[m] the zone of each cell, an index into
    ``zones``, their ids; ``standard`` (capability, within_s), where within_s is one figure or one a cell;
    ``reach_s`` float32[u, m] seconds from the order to the arrival of row u in cell i, turnout included, inf
    or nan = never; ``idle`` bool[u]; ``q`` the share of its time that a unit is busy, 0 <= q < 1.

    Raises ValueError for arrays that do not fit one another, a demand that is negative or no number, a zone
    that is none of ``zones``, or q outside its range.
    """

    __slots__ = (
        "_dear", "_gain", "_loss", "capability", "demand", "idle", "k", "q", "reached", "within_s", "zone",
        "zones",
    )  # fmt: skip

    def __init__(
        self,
        demand: ArrayLike,
        zone: ArrayLike,
        zones: Sequence[str],
        standard: tuple[str, float | NDArray[np.float32]],
        reach_s: ArrayLike,
        idle: ArrayLike,
        q: float,
    ) -> None:
        self.demand: Floats = np.ascontiguousarray(demand, dtype=np.float64)
        self.zone: Ints = np.ascontiguousarray(zone, dtype=np.int32)
        self.zones = tuple(zones)
        self.capability, self.within_s = standard
        self.idle: Bools = np.array(idle, dtype=bool)
        self.q = float(q)
        cells = self.demand.shape
        reach = np.asarray(reach_s, dtype=np.float32)
        if self.demand.ndim != 1 or self.zone.shape != cells:
            raise ValueError(
                f"demand and zone must be flat and of one length, not {cells}, {self.zone.shape}"
            )
        if self.idle.ndim != 1 or reach.shape != (len(self.idle), len(self.demand)):
            raise ValueError(f"reach_s must be [rows, cells] {(*self.idle.shape, *cells)}, not {reach.shape}")
        if np.shape(self.within_s) not in ((), cells):
            raise ValueError(f"within_s must be one figure or one a cell, not {np.shape(self.within_s)}")
        if not (np.isfinite(self.demand).all() and (self.demand >= 0).all()):
            raise ValueError("demand must be finite and not negative")
        if len(self.zone) and not (self.zone.min() >= 0 and self.zone.max() < len(self.zones)):
            raise ValueError(f"zone must name one of the {len(self.zones)} zones")
        if not 0.0 <= self.q < 1.0:
            raise ValueError(f"q is the share of time that a unit is busy, 0 <= q < 1, not {q}")
        with np.errstate(invalid="ignore"):
            self.reached: Bools = np.asarray(reach <= self.within_s)
        self._count()

    def _count(self) -> None:
        """Work out who covers how often, and what one more or one less would change in each cell."""
        self.k: Ints = self.reached[self.idle].sum(axis=0, dtype=np.int32)
        self._weigh()

    def _weigh(self) -> None:
        powers = self.q ** np.arange(int(self.idle.sum()) + 2, dtype=np.float64)
        self._gain = self.demand * (1.0 - self.q) * powers[self.k]
        self._loss = self.demand * (1.0 - self.q) * powers[np.maximum(self.k - 1, 0)]
        # Where a hundred units stand, one of them is missed in few cells: only these are looked at.
        dear = np.flatnonzero(self._loss > _NOTHING * self.demand.sum())
        self._dear = None if 2 * len(dear) > len(self.demand) else dear

    def _with(self, reached: Bools, idle: Bools, k: Ints) -> Coverage:
        other = Coverage.__new__(Coverage)
        other.demand, other.zone, other.zones = self.demand, self.zone, self.zones
        other.capability, other.within_s, other.q = self.capability, self.within_s, self.q
        other.reached, other.idle, other.k = reached, idle, k
        other._weigh()
        return other

    # ---- another situation

    def changed(
        self, rows: ArrayLike, *, reach_s: ArrayLike | None = None, idle: ArrayLike | None = None
    ) -> Coverage:
        """The same with those rows at another place (``reach_s`` float32[n, m]), or idle or not (``idle``
        bool[n]). Costs what the changed rows cost. ``rows`` are distinct."""
        at = np.asarray(rows, dtype=np.intp)
        was = self.reached[at] & self.idle[at][:, np.newaxis]
        reached, standing = self.reached, self.idle
        if reach_s is not None:
            reached = reached.copy()
            with np.errstate(invalid="ignore"):
                reached[at] = np.asarray(reach_s, dtype=np.float32) <= self.within_s
        if idle is not None:
            standing = standing.copy()
            standing[at] = idle
        now = reached[at] & standing[at][:, np.newaxis]
        k = self.k + now.sum(axis=0, dtype=np.int32) - was.sum(axis=0, dtype=np.int32)
        return self._with(reached, standing, k)

    def reweighed(self, demand: ArrayLike, q: float) -> Coverage:
        """The same units under another demand float64[m] and busy share, as the constructor takes them."""
        other = Coverage(
            demand,
            self.zone,
            self.zones,
            (self.capability, self.within_s),
            np.zeros((0, len(self.zone))),
            (),
            q,
        )
        other.reached, other.idle, other.k = self.reached, self.idle, self.k
        other._weigh()
        return other

    def without(self, rows: ArrayLike) -> Coverage:
        """The same with those rows gone to work."""
        at = np.unique(np.asarray(rows, dtype=np.intp))
        return self.changed(at, idle=np.zeros(len(at), dtype=bool)) if len(at) else self

    # ---- expected coverage

    def expected(self) -> float:
        """Calls an hour that are expected to be met within the standard: the sum of d (1 - q^k)."""
        return float(self.demand @ self._met())

    def share(self) -> float:
        """The same as a share of all demand, 0 to 1; 1 where there is no demand."""
        total = float(self.demand.sum())
        return self.expected() / total if total > 0 else 1.0

    def loss(self, rows: ArrayLike) -> Floats:
        """float64[n]: the expected coverage lost, in calls an hour, when each of these rows alone leaves; 0
        for one that is not idle."""
        at = np.atleast_1d(np.asarray(rows, dtype=np.intp))
        if self._dear is not None:
            reached = self.reached[at[:, np.newaxis], self._dear]
            return np.asarray((reached @ self._loss[self._dear]) * self.idle[at])
        parts = [self.reached[at[i : i + _AT_ONCE]] @ self._loss for i in range(0, len(at), _AT_ONCE)]
        return np.concatenate([np.zeros(0), *parts]) * self.idle[at]

    def lost(self, rows: ArrayLike) -> float:
        """The expected coverage lost, in calls an hour, when all of these rows leave together: more than the
        sum of each alone where they stand in for one another."""
        return self.expected() - self.without(rows).expected()

    def gain(self, reach_s: ArrayLike) -> Floats:
        """float64[n]: the expected coverage won, in calls an hour, by each of n more idle units that would
        reach the cells in ``reach_s`` float32[n, m]."""
        with np.errstate(invalid="ignore"):
            return np.asarray((np.asarray(reach_s, dtype=np.float32) <= self.within_s) @ self._gain)

    def _met(self) -> Floats:
        return np.asarray(1.0 - self.q ** self.k.astype(np.float64))

    # ---- by zone

    def gap(self, rows_gone: ArrayLike = ()) -> Floats:
        """float64[z]: the share of each zone's demand that no idle unit reaches within the standard, when
        the named rows have left. A zone without demand is weighed by its cells; one without cells has no
        gap."""
        k = self.without(rows_gone).k
        return self._by_zone((k == 0).astype(np.float64))

    def uncovers(self, rows: ArrayLike) -> Floats:
        """float64[n, z]: the share of each zone's demand that is left without any idle unit in reach when
        each of these rows alone leaves; what nobody reaches even now is not counted."""
        at = np.atleast_1d(np.asarray(rows, dtype=np.intp))
        zones = len(self.zones)
        weight, whole = self._weights()
        last = np.flatnonzero(self.k == 1)
        alone = self.reached[at[:, np.newaxis], last] & self.idle[at][:, np.newaxis]
        place = np.arange(len(at))[:, np.newaxis] * zones + self.zone[last]
        sums = np.bincount(place.ravel(), (alone * weight[last]).ravel(), len(at) * zones)
        found = sums.reshape(len(at), zones)
        return np.divide(found, whole, out=np.zeros(found.shape), where=whole > 0)

    def preparedness(self) -> Floats:
        """float64[z]: the share of each zone's demand that is expected to be met within the standard, 0 to
        1, weighed as in ``gap``; 1 for a zone without cells."""
        return 1.0 - self._by_zone(1.0 - self._met())

    def demand_by_zone(self) -> Floats:
        """float64[z]: calls an hour."""
        return self._total(self.demand)

    def _total(self, of_cell: Floats) -> Floats:
        return np.bincount(self.zone, of_cell, len(self.zones)).astype(np.float64)

    def _weights(self) -> tuple[Floats, Floats]:
        """(float64[m] what each cell weighs in its zone, float64[z] what the zone weighs)."""
        total = self.demand_by_zone()
        weight = np.where(total[self.zone] > 0, self.demand, 1.0)
        return weight, self._total(weight)

    def _by_zone(self, of_cell: Floats) -> Floats:
        weight, whole = self._weights()
        part = self._total(weight * of_cell)
        return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A zone that a departure leaves without ``capability``: ``share`` of its demand, 0 to 1, loses its last
    idle unit in reach of the standard."""

    capability: str
    zone: str
    share: float


class Cover:
    """n units under several standards at once. Never changes.

    ``row`` int32[s, n]: where unit i stands in each of the s ``standards``, -1 where it counts for nothing.
    Units of one crew share a row, for they leave together. Raises ValueError when the two do not fit.
    """

    __slots__ = ("row", "standards")

    def __init__(self, standards: Sequence[Coverage], row: ArrayLike) -> None:
        self.standards = tuple(standards)
        self.row: Ints = np.asarray(row, dtype=np.int32)
        if self.row.ndim != 2 or len(self.row) != len(self.standards):
            raise ValueError(f"row must be [standards, units], not {self.row.shape}")
        for one, rows in zip(self.standards, self.row, strict=True):
            if len(rows) and not (rows.min() >= -1 and rows.max() < len(one.idle)):
                raise ValueError(f"row names one that is not among the {len(one.idle)} of {one.capability}")

    def loss(self, units: ArrayLike) -> Floats:
        """float64[n]: the expected coverage lost, in calls an hour over all standards, when each of these
        units alone leaves."""
        at = np.atleast_1d(np.asarray(units, dtype=np.intp))
        total = np.zeros(len(at))
        for one, rows in zip(self.standards, self.row, strict=True):
            counted = rows[at] >= 0
            total[counted] += one.loss(rows[at[counted]])
        return total

    def lost(self, units: ArrayLike) -> float:
        """The same for all of these units leaving together."""
        at = np.atleast_1d(np.asarray(units, dtype=np.intp))
        pairs = zip(self.standards, self.row, strict=True)
        return float(sum(one.lost(rows[at][rows[at] >= 0]) for one, rows in pairs))

    def without(self, units: ArrayLike) -> Cover:
        """The same with those units gone to work."""
        at = np.atleast_1d(np.asarray(units, dtype=np.intp))
        pairs = zip(self.standards, self.row, strict=True)
        return Cover([one.without(rows[at][rows[at] >= 0]) for one, rows in pairs], self.row)

    def expected(self) -> float:
        """Calls an hour expected to be met, over all standards."""
        return sum(one.expected() for one in self.standards)

    def uncovers(self, units: ArrayLike, least: float = UNCOVERED_SHARE) -> list[tuple[Uncovered, ...]]:
        """For each of these units, the zones that its departure alone leaves without a capability, the
        largest share first; a zone is named once a capability, under its strictest standard."""
        at = np.atleast_1d(np.asarray(units, dtype=np.intp))
        found: list[dict[tuple[str, str], float]] = [{} for _ in at]
        for one, rows in zip(self.standards, self.row, strict=True):
            counted = np.flatnonzero(rows[at] >= 0)
            shares = one.uncovers(rows[at[counted]])
            for i, zone in zip(*(axis.tolist() for axis in np.nonzero(shares >= least)), strict=True):
                zones, key = found[int(counted[i])], (one.capability, one.zones[zone])
                zones[key] = max(zones.get(key, 0.0), float(shares[i, zone]))
        return [
            tuple(Uncovered(*key, share) for key, share in sorted(zones.items(), key=lambda z: (-z[1], z[0])))
            for zones in found
        ]


# ---- move-up: where idle units should wait


STANDBY = Standby()
"""The rules where the operator's pack has none of its own."""


@dataclass(frozen=True, slots=True)
class Move:
    """Row ``row`` of the coverage should wait at post ``post`` instead, ``drive_s`` away. ``gain``: calls an
    hour that are then met within the standard, more than now. Moves with the same ``group`` belong together:
    a unit takes the place of one that moves on, and ``gain`` is that of both."""

    row: int
    post: int
    drive_s: float
    gain: float
    group: int


def move_ups(
    coverage: Coverage,
    posts_s: ArrayLike,
    drive_s: ArrayLike,
    post: ArrayLike,
    *,
    may_move: ArrayLike | None = None,
    rolling: ArrayLike | None = None,
    room: ArrayLike | None = None,
    utilisation: float = 0.0,
    rules: Standby = STANDBY,
) -> list[Move]:
    """The moves that raise the expected coverage most, or none. u rows of ``coverage``, p posts, m cells.

    ``posts_s``      float32[p, m] seconds from the order to arrival for a unit that waits at that post
    ``drive_s``      float[u, p] seconds from where the unit is now, driving as anybody; inf = no way
    ``post``         int[u] where the unit waits or is bound; -1 = nowhere. The coverage counts it there
    ``may_move``     bool[u]: neither resting nor barred; only idle rows are ever moved
    ``rolling``      bool[u]: drives to its post now
    ``room``         int[p] how many more units a post can take; None = no limit
    ``utilisation``  share of all units that is busy now, 0 to 1

    One step finds the pair of unit and post with the largest gain, discounted by the time it takes
    (``Standby.horizon_s``); of the ways to bring it about it takes the one whose longest drive is shortest:
    the unit itself, or another nearer to the post whose place it takes. Steps repeat until nothing is worth
    it.
    Raises ValueError for arrays that do not fit one another.
    """
    reach = np.asarray(posts_s, dtype=np.float32)
    drive = np.asarray(drive_s, dtype=np.float64)
    at = np.array(post, dtype=np.intp)
    rows, posts = len(coverage.idle), len(reach)
    free = coverage.idle & (True if may_move is None else np.asarray(may_move, dtype=bool))
    driving = np.zeros(rows, dtype=bool) if rolling is None else np.asarray(rolling, dtype=bool)
    places = np.full(posts, rows, dtype=np.intp) if room is None else np.array(room, dtype=np.intp)
    if reach.shape != (posts, len(coverage.demand)) or drive.shape != (rows, posts):
        raise ValueError(
            f"posts_s must be [posts, cells] and drive_s [rows, posts] ({rows}, {posts}), not"
            f" {reach.shape} and {drive.shape}"
        )
    if not at.shape == free.shape == driving.shape == (rows,) or places.shape != (posts,):
        raise ValueError("post, may_move and rolling have one entry a row, room one a post")
    throttle = _throttle(utilisation, rules)
    total = float(coverage.demand.sum())
    if throttle <= 0 or rules.at_once < 1 or total <= 0 or not free.any() or not posts:
        return []
    fair = total / rows / 100 / throttle
    least = fair * rules.least_gain_pct
    least_of = np.where(driving, fair * rules.rolling_gain_pct, least)
    most = max(1, round(rules.at_once * throttle))
    with np.errstate(invalid="ignore"):
        covers = (reach <= coverage.within_s).astype(np.float64)
    moves: list[Move] = []
    while len(moves) < most and free.any():
        movers = np.flatnonzero(free)
        home = at[movers]
        # No move gains more than one more unit at the post would, so most posts need no closer look.
        worth = (covers @ coverage._gain >= least_of[movers].min()) & (places > 0)
        gain = np.zeros((len(movers), posts))
        if worth.any():
            gain[:, worth] = _moved(coverage, movers, covers[worth])
        gain[home[:, np.newaxis] == np.arange(posts)] = 0.0
        enough = least_of[movers][:, np.newaxis]
        if not (gain >= enough).any():
            break
        there_s = np.where(drive[movers] <= rules.longest_s, drive[movers], np.inf)
        stay_s = np.where(home >= 0, drive[movers, home], 0.0)
        spent_s = there_s - stay_s[:, np.newaxis]
        via = np.full(spent_s.shape, -1)
        if most - len(moves) > 1:
            spent_s, via = _shared(spent_s, there_s, stay_s, home, gain >= least, rules.second_s)
        value = gain * np.clip(1.0 - spent_s / rules.horizon_s, 0.0, 1.0)
        value[value < np.where(via < 0, enough, least)] = 0.0
        best = int(value.argmax())
        one, to = divmod(best, posts)
        if value[one, to] <= 0.0:
            break
        row, second = int(movers[one]), int(via[one, to])
        legs = [(row, to)] if second < 0 else [(row, int(home[second])), (int(movers[second]), to)]
        group = len(moves)
        for mover, target in legs:
            moves.append(Move(mover, target, float(drive[mover, target]), float(gain[one, to]), group))
            free[mover] = False
        places[to] -= 1
        if home[one] >= 0:
            places[home[one]] += 1
        if len(moves) >= most:
            break
        gone = [mover for mover, _ in legs]
        at[gone] = [target for _, target in legs]
        coverage = coverage.changed(gone, reach_s=reach[at[gone]])
    return moves


def worth_a_look(
    coverage: Coverage, posts_s: ArrayLike, utilisation: float = 0.0, rules: Standby = STANDBY
) -> Bools:
    """bool[p]: the posts where one more unit would gain what a move takes; no move leads to any other. Spares
    whoever asks ``move_ups`` the drives to the rest. Arguments as there."""
    throttle = _throttle(utilisation, rules)
    gain = coverage.gain(posts_s)
    if throttle <= 0 or rules.at_once < 1 or not len(coverage.idle):
        return np.zeros(len(gain), dtype=bool)
    least_pct = min(rules.least_gain_pct, rules.rolling_gain_pct)
    return np.asarray(gain >= coverage.demand.sum() / len(coverage.idle) / 100 / throttle * least_pct)


def _throttle(utilisation: float, rules: Standby) -> float:
    """1 = as the rules say, 0 = no move at all."""
    span = rules.off_at - rules.throttle_from
    if span <= 0:
        return float(utilisation <= rules.throttle_from)
    return min(1.0, (rules.off_at - utilisation) / span)


def _moved(coverage: Coverage, rows: NDArray[np.intp], covers: Floats) -> Floats:
    """float64[rows, posts]: what the expected coverage gains when one of these rows goes to a post."""
    here = coverage.reached[rows]
    powers = coverage.q ** np.arange(int(coverage.k.max(initial=0)) + 1, dtype=np.float64)
    left = coverage.demand * (1.0 - coverage.q) * powers[coverage.k - here]
    return np.asarray(left @ covers.T - (left * here).sum(axis=1)[:, np.newaxis])


def _shared(
    spent_s: Floats, there_s: Floats, stay_s: Floats, home: NDArray[np.intp], worth: Bools, second_s: float
) -> tuple[Floats, NDArray[np.intp]]:
    """``spent_s`` and -1, or who goes to the post instead while the first takes its place, if that is sooner.
    Asked of the pairs that are ``worth`` it."""
    spent_s, via = spent_s.copy(), np.full(spent_s.shape, -1)
    seconds = np.flatnonzero(home >= 0)
    targets = np.flatnonzero(worth.any(axis=0))
    onward_s = there_s[np.ix_(seconds, targets)] - stay_s[seconds][:, np.newaxis]
    onward_s[home[seconds][:, np.newaxis] == targets] = np.inf
    for first in np.flatnonzero(worth.any(axis=1)).tolist():
        follow_s = there_s[first, home[seconds]] - stay_s[first]
        follow_s[home[seconds] == home[first]] = np.inf
        both_s = np.maximum(follow_s[:, np.newaxis], onward_s) + second_s
        best = both_s.argmin(axis=0)
        least_s = both_s[best, np.arange(len(targets))]
        sooner = least_s < spent_s[first, targets]
        spent_s[first, targets[sooner]] = least_s[sooner]
        via[first, targets[sooner]] = seconds[best[sooner]]
    return spent_s, via
