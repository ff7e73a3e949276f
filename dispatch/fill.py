"""The exact set of units for one set of needs: arrays in, rows out. Nothing here knows what a unit is.

Costs are counted in *late calls*: 1 is one call of weight 1 that waits past its target. Sending row i costs

    a_i = late_i + unit + extra_i     late_i: weighted lateness of its arrival (``Lateness``)
                                      unit: the flat price of sending one more
                                      extra_i: what its absence costs elsewhere, and ties

and the whole set, in this order: the fewest needs left open, the fewest doubtful rows, and the least
``sum a_i + first_due * least late_i``. ``fill`` is exact. It walks a dynamic programme over the vector of
needs still open, rows in order of arrival, so that the first row taken is the first due; crews that would be
taken twice are branched on. Where that table would grow too large it is a mixed-integer programme for HiGHS.
Tests hold both equal to brute force.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dispatch.plans import Optimiser

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Limits: TypeAlias = tuple[tuple[float, int, int], ...]

_LARGEST = float(np.finfo(np.float64).max)
TABLE_MAX = 3_000_000
"""Rows times states up to which the table is walked; beyond, HiGHS is quicker."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """What it costs one incident that somebody arrives after ``eta_s``: ``weight`` times an S-curve from 0 to
    1 around the target, ``width_s`` wide, plus ``per_minute`` for each minute, so that nobody is forgotten
    once the target has passed. ``target_s`` counts from the report, which was ``waited_s`` ago; None = no
    curve, minutes only. The first arrival counts ``first_due`` times more, and one unit more must be worth
    ``unit_worth_s``. The numbers are the operator's configuration, not clinical fact.

    The defaults, without a target, are the plain sum of ETAs."""

    weight: float = 1.0
    target_s: float | None = None
    waited_s: float = 0.0
    width_s: float = 60.0
    per_minute: float = 0.02
    first_due: float = 1.0
    unit_worth_s: float = 60.0
    tie_s: float = 5.0

    @classmethod
    def of(
        cls, rules: Optimiser, priority: str, target_s: float | None = None, waited_s: float = 0.0
    ) -> Lateness:
        """The operator's curve for a priority; an unknown one weighs 1."""
        return cls(
            rules.weights.get(priority, 1.0), target_s, max(0.0, waited_s), rules.width_s, rules.per_minute,
            rules.first_due, rules.unit_worth_s, rules.tie_s,
        )  # fmt: skip

    def late(self, eta_s: Floats) -> Floats:
        """float64 like ``eta_s``: weighted late calls; inf or nan stay so."""
        if self.target_s is None:
            return self.slope * eta_s
        past = (eta_s + (self.waited_s - self.target_s)) / self.width_s
        return np.asarray(self.weight * _share(past) + self.slope * eta_s)

    @property
    def slope(self) -> float:
        """What each second costs."""
        return self.weight * self.per_minute / 60.0

    @property
    def unit(self) -> float:
        """The flat price of one unit."""
        return self.weight * self.per_minute * self.unit_worth_s / 60.0

    @property
    def tie(self) -> float:
        """How much workload and shift end may weigh, each."""
        return self.weight * self.per_minute * self.tie_s / 60.0


PLAIN = Lateness()


def late_by(curves: Sequence[Lateness], which: Ints, eta_s: Floats) -> Floats:
    """float64 like ``eta_s``: what ``curves[which].late(eta_s)`` would say, element by element."""
    targeted = np.array([curve.target_s is not None for curve in curves], dtype=bool)[which]
    weight, slope, offset_s, width_s = np.array(
        [(c.weight, c.slope, c.waited_s - (c.target_s or 0.0), c.width_s) for c in curves], dtype=np.float64
    ).reshape(len(curves), 4)[which].T  # fmt: skip
    return np.asarray(np.where(targeted, weight * _share((eta_s + offset_s) / width_s), 0.0) + slope * eta_s)


def _share(past: Floats) -> Floats:
    """The S-curve. Beyond 40 widths it is 0 or 1 to the last digit, and exp would overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.minimum(np.maximum(past, -40.0), 40.0))))


def choose_one(
    eta_s: Floats, curve: Lateness = PLAIN, loss: Floats | None = None, delta_s: float = np.inf
) -> int:
    """The row to send where one unit is needed and each may go; -1 when nobody can.

    ``eta_s`` float64[n], inf or nan = cannot; ``loss`` float64[n] >= 0, what the absence of each costs, in
    late calls. Never a row later than the soonest by more than ``delta_s``. The kernel of ``recommend`` for
    one slot, and of the simulator: about 10 us for 100 rows.
    """
    if not len(eta_s):
        return -1
    eta_s = np.where(np.isnan(eta_s), np.inf, eta_s)
    soonest = int(eta_s.argmin())
    if not eta_s[soonest] < np.inf:
        return -1
    if loss is None:
        return soonest
    rows = np.flatnonzero(eta_s <= min(eta_s[soonest] + delta_s, _LARGEST))
    if len(rows) == 1:
        return soonest
    cost = (1.0 + curve.first_due) * curve.late(eta_s[rows]) + loss[rows]
    best = rows[cost == cost.min()]
    return int(best[eta_s[best].argmin()])


def fill(
    wanted: Bools,
    needed: Ints,
    eta_s: Floats,
    late: Floats,
    doubtful: Bools,
    crew: Ints,
    *,
    extra: Callable[[Ints], Floats] | None = None,
    unit: float = 0.0,
    first_due: float = 1.0,
    delta_s: float = np.inf,
    table_max: int = TABLE_MAX,
) -> list[int]:
    """Rows of the best set, in order of ``eta_s``, by which the n rows must be sorted already.

    ``wanted`` bool[n, k]: which of the k needs a row gives; ``needed`` int[k] how many rows each need takes;
    ``late`` never falls with ``eta_s``; ``extra(rows)`` float64[len(rows)] >= 0 is asked once, for the rows
    that may still matter; ``crew`` int[n]: rows of equal number, unless -1, are manned by the same people,
    and one of them may go. ``delta_s``: what ``extra`` may cost in time: for each need the j-th arrival is at
    most that much later than in the set that would be best without ``extra``. With ``table_max`` 0 HiGHS
    solves all but the single slot.
    """
    needed = np.minimum(needed, wanted.sum(axis=0))
    if not needed.any():
        return []
    kinds = needed > 0
    at = np.flatnonzero(wanted[:, kinds].any(axis=1))
    problem = _Problem(
        wanted[at][:, kinds], needed[kinds], eta_s[at], late[at], np.full(len(at), unit), doubtful[at],
        crew[at], first_due,
    )  # fmt: skip
    if extra is None:
        return [int(at[row]) for row in problem.best((), table_max)]
    limits = tuple(problem.limits(problem.best((), table_max), delta_s)) if delta_s < np.inf else ()
    rows = np.flatnonzero(problem.in_time(limits))
    whole = problem.of(rows, extra(at[rows]))
    return [int(at[rows[row]]) for row in whole.best(limits, table_max)]


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Rows of which each gives something needed; n rows, k needs, all of ``needed`` above 0."""

    wanted: Bools
    needed: Ints
    eta_s: Floats
    late: Floats
    extra: Floats
    doubtful: Bools
    crew: Ints
    first_due: float

    def of(self, rows: Ints, more: Floats | float = 0.0) -> _Problem:
        """Those rows alone, each with so much more ``extra``."""
        return _Problem(
            self.wanted[rows], self.needed, self.eta_s[rows], self.late[rows], self.extra[rows] + more,
            self.doubtful[rows], self.crew[rows], self.first_due,
        )  # fmt: skip

    def limits(self, rows: list[int], delta_s: float) -> list[tuple[float, int, int]]:
        """(latest, need, j): by ``latest`` at least j rows that give the need have arrived, latest first."""
        found = []
        for need in range(len(self.needed)):
            arrivals = [self.eta_s[row] for row in rows if self.wanted[row, need]][: int(self.needed[need])]
            found += [(float(eta_s) + delta_s, need, j) for j, eta_s in enumerate(arrivals, start=1)]
        return sorted(found, reverse=True)

    def in_time(self, limits: Limits) -> Bools:
        """Who may matter: a need that is filled by its last limit takes nobody after it."""
        last_s = np.full(len(self.needed), np.inf)
        for latest_s, need, j in limits:
            if j == self.needed[need]:
                last_s[need] = latest_s
        return np.asarray((self.wanted & (self.eta_s[:, np.newaxis] <= last_s)).any(axis=1))

    def best(self, limits: Limits, table_max: int) -> list[int]:
        if int(self.needed.sum()) == 1:
            return self._one(limits)
        kept = self._undominated()
        small = self.of(kept)
        if int(np.prod(self.needed + 1.0)) * len(kept) <= table_max:
            rows = small._branch(limits)
        else:
            rows = small._programme(limits)
        return [int(kept[row]) for row in rows]

    def _undominated(self) -> Ints:
        """The rows that an optimal set can need. One for which there are enough that give the same, arrive no
        later and cost no more can always be exchanged for one of those: enough is the largest count any of it
        is needed in; for a row that shares its crew, as many as the set has members, each of another crew. A
        set has one member more than there are needs at the most: one that is there for being first."""
        cost = self.late + self.extra
        n, most = len(cost), int(self.needed.sum()) + 1
        shared = np.zeros(n, dtype=bool)
        largest_crew = 1
        if (self.crew >= 0).any():
            _, group, counts = np.unique(self.crew, return_inverse=True, return_counts=True)
            shared = (self.crew >= 0) & (counts[group] > 1)
            if shared.any():
                largest_crew = int(counts[group][shared].max())
        # Who gives the same and is as sure, side by side, in order of arrival.
        alike = 2 * (self.wanted @ (1 << np.arange(self.wanted.shape[1], dtype=np.int64))) + self.doubtful
        order = np.argsort(alike, kind="stable")
        keep = np.zeros(n, dtype=bool)
        for rows in np.split(order, np.flatnonzero(np.diff(alike[order])) + 1):
            own = rows[~shared[rows]] if largest_crew > 1 else rows
            keep[own[_layers(cost[own], int(self.needed[self.wanted[rows[0]]].max()))]] = True
            if len(own) < len(rows):
                front = rows[_layers(cost[rows], most * largest_crew)]
                keep[front[shared[front]]] = True
        return np.flatnonzero(keep)

    def _one(self, limits: Limits) -> list[int]:
        rows = np.flatnonzero(~self.doubtful)
        if not len(rows):
            rows = np.arange(len(self.eta_s))
        if limits:
            rows = rows[self.eta_s[rows] <= limits[0][0]]
        cost = (1.0 + self.first_due) * self.late[rows] + self.extra[rows]
        return [int(rows[int(cost.argmin())])]

    def _branch(self, limits: Limits) -> list[int]:
        """The table's answer where no crew is taken twice; else best first over which of its units may go."""
        tie = itertools.count()
        everybody = np.ones(len(self.eta_s), dtype=bool)
        value, rows = self._table(limits, everybody)
        open_ = [(value, next(tie), rows, everybody)]
        while open_:
            value, _, rows, allowed = heapq.heappop(open_)
            crews = [int(self.crew[row]) for row in rows if self.crew[row] >= 0]
            twice = next((crew for crew in crews if crews.count(crew) > 1), None)
            if twice is None:
                return rows
            members = (self.crew == twice) & allowed
            for member in np.flatnonzero(members):
                fewer = allowed & ~members
                fewer[member] = True
                value, rows = self._table(limits, fewer)
                if value < np.inf:
                    heapq.heappush(open_, (value, next(tie), rows, fewer))
        return []

    def _table(self, limits: Limits, allowed: Bools) -> tuple[float, list[int]]:
        """(value, rows) of the best set of the allowed rows, crews left aside. From the last arrival back to
        the first, ``open_[state]`` is the least cost of meeting what the state leaves open with the rows
        behind."""
        many = int(self.needed.sum()) + 1
        largest = np.sort(self.late + self.extra)[-many:].sum() + self.first_due * self.late[-1]
        doubt = 2.0 * float(largest) + 1.0
        gap = 2.0 * doubt * (many + 1)
        cost = self.late + self.extra + doubt * self.doubtful
        sizes = self.needed + 1
        strides = np.concatenate(([1], np.cumprod(sizes[:-1])))
        states = np.arange(int(sizes.prod()))
        left = (states[:, np.newaxis] // strides) % sizes
        full = len(states) - 1
        open_ = gap * left.sum(axis=1).astype(np.float64)
        pattern = self.wanted @ (1 << np.arange(len(sizes), dtype=np.int64))
        after = {
            int(one): states - ((left > 0) & self.wanted[pattern == one][0]) @ strides
            for one in np.unique(pattern)
        }
        ahead = list(limits)
        first_by_s = min((latest for latest, _, _ in limits), default=np.inf)
        best, first = (gap * many if not limits else np.inf), -1
        took: dict[int, Bools] = {}
        etas, costs = self.eta_s.tolist(), cost.tolist()
        starts = (cost + self.first_due * self.late).tolist()
        for row in np.flatnonzero(allowed)[::-1].tolist():
            while ahead and ahead[0][0] >= etas[row]:
                _, need, j = ahead.pop(0)
                open_[left[:, need] > self.needed[need] - j] = np.inf
            then = open_[after[int(pattern[row])]]
            if etas[row] <= first_by_s and starts[row] + then[full] <= best:
                best, first = starts[row] + float(then[full]), row
            then += costs[row]
            took[row] = then < open_
            open_ = np.minimum(then, open_)
        if first < 0:
            return float(best), []
        rows, state = [first], int(after[int(pattern[first])][full])
        for row in sorted(took):
            if row > first and took[row][state]:
                rows.append(row)
                state = int(after[int(pattern[row])][state])
        return best, rows

    def _programme(self, limits: Limits) -> list[int]:
        """The same by HiGHS. Variables: x (row is sent), y (row is first due), s (needs left open). Only x
        must be declared integral: for whole x the least y and s are whole by themselves, or tied."""
        # Here, because it takes a server 40 MB and a while to start, and the first such plan may be far away.
        from scipy.optimize import Bounds, LinearConstraint, milp

        many, kinds = self.wanted.shape
        zero_x, zero_s = np.zeros(many), np.zeros(kinds)
        eye = np.eye(many)
        below = [np.hstack([-eye, eye, np.zeros((many, kinds))])]
        most = [np.zeros(many)]
        for crew in np.unique(self.crew[self.crew >= 0]):
            members = np.flatnonzero(self.crew == crew)
            if len(members) > 1:
                one_crew = np.zeros(2 * many + kinds)
                one_crew[members] = 1.0
                below.append(one_crew[np.newaxis])
                most.append(np.ones(1))
        for latest_s, need, j in limits:
            in_time = np.zeros(2 * many + kinds)
            in_time[:many] = -1.0 * (self.wanted[:, need] & (self.eta_s <= latest_s))
            below.append(in_time[np.newaxis])
            most.append(np.array([-float(j)]))
        covers = np.hstack([self.wanted.T.astype(float), np.zeros((kinds, many)), np.eye(kinds)])
        first = np.concatenate([zero_x, np.ones(many), zero_s])[np.newaxis]
        objectives = [
            np.concatenate([zero_x, zero_x, np.ones(kinds)]),
            np.concatenate([self.doubtful.astype(float), zero_x, zero_s]),
            np.concatenate([self.late + self.extra, self.first_due * self.late, zero_s]),
        ]
        # HiGHS works to absolute tolerances of 1e-6 and 1e-7: costs of late calls are scaled up to seconds.
        objectives[2] *= 3000.0
        sent = zero_x
        for step, objective in enumerate(objectives):
            if step < 2 and not objective.any():
                continue
            solution = milp(
                objective,
                constraints=[
                    LinearConstraint(np.vstack(below), ub=np.concatenate(most)),
                    LinearConstraint(covers, lb=self.needed),
                    LinearConstraint(first, lb=1.0, ub=1.0),
                ],
                integrality=np.concatenate([np.ones(many), zero_x, zero_s]),
                bounds=Bounds(0.0, np.concatenate([np.ones(2 * many), self.needed])),
                options={"mip_rel_gap": 0.0},
            )
            if not solution.success:
                raise RuntimeError(f"the solver found no plan: {solution.message}")
            sent = np.round(solution.x[:many])
            if step < 2:
                # Both counts are whole numbers, so half a unit of slack holds them and spares the tolerances.
                below.append(objective[np.newaxis])
                most.append(np.array([round(solution.fun) + 0.5]))
        return [int(row) for row in np.flatnonzero(sent)]


def _layers(cost: Floats, depth: int) -> Ints:
    """Positions (sorted) in the first ``depth`` layers of a list in order of arrival: a layer is what is
    cheaper than all before it, and the next one is found among the others. Whoever has fewer than ``depth``
    before it that cost no more is in one of them."""
    left = np.arange(len(cost))
    found = []
    for _ in range(depth):
        if not len(left):
            break
        here = cost[left]
        before = np.minimum.accumulate(here)
        least = np.ones(len(left), dtype=bool)
        least[1:] = here[1:] < before[:-1]
        found.append(left[least])
        left = left[~least]
    return np.sort(np.concatenate(found)) if found else left
