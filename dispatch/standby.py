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
        "_dear", "_gain", "_loss", "_weighed", "capability", "demand", "idle", "k", "q", "reached",
        "within_s", "zone", "zones",
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
        self._weighed: list[tuple[Floats, Floats]] = []
        self._count()

    def _count(self) -> None:
        """Work out who covers how often, and what one more or one less would change in each cell."""
        self.k: Ints = self.reached[self.idle].sum(axis=0, dtype=np.int32)
        self._weigh()

    def _weigh(self) -> None:
        powers = self.q ** np.arange(int(self.k.max(initial=0)) + 1, dtype=np.float64)
        self._gain = self.demand * (1.0 - self.q) * powers[self.k]
        self._loss = self.demand * (1.0 - self.q) * powers[np.maximum(self.k - 1, 0)]
        # Where a hundred units stand, one of them is missed in few cells: only these are looked at.
        dear = np.flatnonzero(self._loss > _NOTHING * self.demand.sum())
        self._dear = None if 2 * len(dear) > len(self.demand) else dear

    def _with(self, reached: Bools, idle: Bools, k: Ints) -> Coverage:
        other = Coverage.__new__(Coverage)
        other.demand, other.zone, other.zones = self.demand, self.zone, self.zones
        other.capability, other.within_s, other.q = self.capability, self.within_s, self.q
        other._weighed = self._weighed
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
        # One list for all that share a demand, filled by whoever asks first.
        if not self._weighed:
            total = self.demand_by_zone()
            weight = np.where(total[self.zone] > 0, self.demand, 1.0)
            self._weighed.append((weight, self._total(weight)))
        return self._weighed[0]

    def _by_zone(self, of_cell: Floats) -> Floats:
        weight, whole = self._weights()
        part = self._total(weight * of_cell)
        return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


class Tally:
    """The same measure for u units of which each waits at one of p posts, or drives there, kept up as they
    come and go: a change costs what the cells and posts in reach of that post cost, however large the city.
    For whoever plays many changes, one after the other. Changes; not for two threads.

    ``demand`` float64[m] calls an hour by cell; ``reached`` bool[p, m] the cells that a unit at each post
    reaches in time; ``q`` as for ``Coverage``. Nobody is anywhere at first. Each figure is summed anew over
    its cells when one of them changed, so none depends on what happened before. Raises ValueError for arrays
    that do not fit one another.
    """

    __slots__ = (
        "_cells", "_covers", "_dear", "_gain", "_old", "_row", "_scale", "_touched", "_won", "_worth",
        "demand", "k", "q", "reached",
    )  # fmt: skip

    def __init__(self, demand: ArrayLike, reached: ArrayLike, q: float) -> None:
        self.demand: Floats = np.ascontiguousarray(demand, dtype=np.float64)
        self.reached: Bools = np.ascontiguousarray(reached, dtype=bool)
        if self.demand.ndim != 1 or self.reached.shape[1:] != self.demand.shape:
            raise ValueError(f"reached must be [posts, {len(self.demand)} cells], not {self.reached.shape}")
        posts, cells = self.reached.shape
        self.k: Ints = np.zeros(cells, dtype=np.int32)
        self._cells = [np.flatnonzero(row) for row in self.reached]
        widest = max((len(one) for one in self._cells), default=0)
        # Rows of one width, filled up with a cell behind the last that is worth nothing.
        self._row = np.full((posts, widest), cells, dtype=np.intp)
        for post, one in enumerate(self._cells):
            self._row[post, : len(one)] = one
        self._covers = self.reached.astype(np.float64)
        shared = self._covers @ self._covers.T
        self._touched = [np.flatnonzero(row) for row in shared > 0]
        self._worth, self._dear = np.zeros(cells + 1), np.zeros(cells + 1)
        self._gain = np.zeros(posts)
        self._old = np.ones(posts, dtype=bool)
        self.reweigh(q)

    def reweigh(self, q: float) -> None:
        """The same units under another busy share."""
        self.q = float(q)
        self._scale = self.demand * (1.0 - self.q)
        self._won = self.q ** np.arange(int(self.k.max(initial=0)) + 2, dtype=np.float64)
        self._weigh(np.arange(len(self.demand)))
        self._gain[:], self._old[:] = np.inf, True

    def _weigh(self, cells: NDArray[np.intp]) -> None:
        k, scale = self.k[cells], self._scale[cells]
        self._worth[cells] = scale * self._won[k]
        self._dear[cells] = scale * self._won[np.maximum(k - 1, 0)]

    def come(self, post: int, many: int = 1) -> None:
        """So many more idle units count at the post; fewer where it is negative."""
        cells, touched = self._cells[post], self._touched[post]
        before = self._worth[cells].sum() if many < 0 else 0.0
        self.k[cells] += many
        if many > 0 and len(cells) and int(self.k[cells].max()) >= len(self._won):
            self._won = self.q ** np.arange(2 * len(self._won) + many, dtype=np.float64)
        self._weigh(cells)
        if many < 0:
            # No post nearby can have gained more than all of its cells together.
            self._gain[touched] += (self._worth[cells].sum() - before) * (1.0 + 1e-9)
        self._old[touched] = True

    def gain(self, least: float = 0.0) -> Floats:
        """float64[p]: the expected coverage won, in calls an hour, by one more idle unit at each post; where
        it is below ``least``, perhaps only some figure below that. To be read before the next change."""
        old = (self._old & (self._gain >= least)).nonzero()[0]
        if len(old):
            self._gain[old] = self._worth[self._row[old]].sum(axis=1)
            self._old[old] = False
        return self._gain

    def loss(self, posts: ArrayLike) -> Floats:
        """float64[n]: the expected coverage lost, in calls an hour, when an idle unit leaves each of these
        posts, of which each has one."""
        return np.asarray(self._dear[self._row[np.asarray(posts, dtype=np.intp)]].sum(axis=1))

    def moved(self, rows: ArrayLike, posts: ArrayLike) -> Floats:
        """float64[n, m]: what the expected coverage gains, in calls an hour, when an idle unit at each of the
        posts ``rows`` goes to each of ``posts``; 0 where it is already there."""
        home, which = np.unique(np.asarray(rows, dtype=np.intp), return_inverse=True)
        to = np.asarray(posts, dtype=np.intp)
        both = (self._covers[to] * (self._dear - self._worth)[:-1]) @ self._covers[home].T
        found = both.T + self._worth[self._row[to]].sum(axis=1) - self.loss(home)[:, np.newaxis]
        found[home[:, np.newaxis] == to] = 0.0
        return np.asarray(found[which])

    def around(self, rows: ArrayLike, posts: ArrayLike) -> tuple[Coverage, NDArray[np.float32]]:
        """As ``move_ups`` takes it: idle units at the posts ``rows`` int[n], in the cells that any of
        ``posts`` reaches, and float32[posts, cells] 0 where a post reaches a cell, inf otherwise. All units
        of the city count, also those that are not among the n."""
        at = np.asarray(posts, dtype=np.intp)
        cells = np.flatnonzero(self.reached[at].any(axis=0))
        posts_s = np.where(self.reached[at[:, np.newaxis], cells], np.float32(0.0), np.float32(np.inf))
        home = np.asarray(rows, dtype=np.intp)
        part = Coverage.__new__(Coverage)
        part.demand, part.zone = self.demand[cells], np.zeros(len(cells), dtype=np.int32)
        part.zones, part.capability, part.within_s, part.q = ("city",), "response", 0.0, self.q
        part._weighed = []
        part.reached = self.reached[home[:, np.newaxis], cells]
        part.idle, part.k = np.ones(len(home), dtype=bool), self.k[cells]
        part._gain, part._loss, part._dear = self._worth[cells], self._dear[cells], None
        return part, posts_s


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

    def only(self, units: ArrayLike) -> Cover:
        """Row for row those units alone; the others cover on."""
        return Cover(self.standards, self.row[:, np.asarray(units, dtype=np.intp)])

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
    part: float | None = None,
) -> list[Move]:
    """The moves that raise the expected coverage most, or none. u rows of ``coverage``, p posts, m cells.

    ``posts_s``      float32[p, m] seconds from the order to arrival for a unit that waits at that post
    ``drive_s``      float[u, p] seconds from where the unit is now, driving as anybody; inf = no way
    ``post``         int[u] where the unit waits or is bound; -1 = nowhere. The coverage counts it there
    ``may_move``     bool[u]: neither resting nor barred; only idle rows are ever moved
    ``rolling``      bool[u]: drives to its post now
    ``room``         int[p] how many more units a post can take; None = no limit
    ``utilisation``  share of all units that is busy now, 0 to 1
    ``part``         one unit's part of all demand, calls an hour; None = that of these rows and cells. For
                     whoever asks about a part of the city alone

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
    fair = (total / rows if part is None else part) / 100 / throttle
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
        more = covers @ coverage._gain
        worth = (more >= least_of[movers].min()) & (places > 0)
        gain = np.zeros((len(movers), posts))
        if worth.any():
            gain[:, worth] = _moved(coverage, movers, covers[worth], more[worth])
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
        # The first of those that are alike but for the rounding of sums: two units at one post are.
        best = int((value.ravel() >= value.max() * (1.0 - 1e-9)).argmax())
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


def least_gain(part: float, utilisation: float = 0.0, rules: Standby = STANDBY) -> float:
    """What one more unit at a post must win, in calls an hour, for a move to lead there; inf = none does.
    Spares whoever asks ``move_ups`` the drives to all other posts. Arguments as there."""
    throttle = _throttle(utilisation, rules)
    if throttle <= 0 or rules.at_once < 1:
        return np.inf
    return part / 100 / throttle * min(rules.least_gain_pct, rules.rolling_gain_pct)


def _throttle(utilisation: float, rules: Standby) -> float:
    """1 = as the rules say, 0 = no move at all."""
    span = rules.off_at - rules.throttle_from
    if span <= 0:
        return float(utilisation <= rules.throttle_from)
    return min(1.0, (rules.off_at - utilisation) / span)


def _moved(coverage: Coverage, rows: NDArray[np.intp], covers: Floats, more: Floats) -> Floats:
    """float64[rows, posts]: what the expected coverage gains when one of these rows, all of them idle, goes
    to a post: what one more unit there gains, less what its leaving loses; where it was and is in reach of a
    cell, neither."""
    here = coverage.reached[rows].astype(np.float64)
    both = (here * (coverage._loss - coverage._gain)) @ covers.T
    return np.asarray(both + more - (here @ coverage._loss)[:, np.newaxis])


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
