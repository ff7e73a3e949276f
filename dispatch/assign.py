"""Many incidents at once: who goes where, what any plan costs, and which rules it breaks. Arrays in.

``assign`` is for the hour after a storm, or for what waited while a node was alone. It takes, in this
order, the fewest needs left open at the most urgent rank, then at the next, and so on; the fewest doubtful
units; the least cost, as ``dispatch.fill`` counts it. Where every incident needs one unit this is an
assignment problem (exact); else a mixed-integer programme (HiGHS).

**Not everybody is looked at.** Given a ``Search`` instead of all arrivals, the assignment is made among each
incident's soonest few, and then proven: with the prices of that plan (its dual solution) nobody who was left
out can improve it, since whoever was left out comes later than those who were found. Incidents for which that
cannot be shown get twice as many, until it can. The result is the best among all units.

``check`` names every rule that a plan breaks and ``price`` says what it costs, whether a person made it or
the program: both are computed by the same code.

**One number for filling and cost.** Which sets of slots can be filled together is a transversal matroid, so
the heaviest fill under any weights that fall with the rank is also the best rank by rank (Edmonds 1971,
Mathematical Programming 1:127). Weights that differ by more than all costs together therefore decide first
who is served, and need not grow exponentially.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.fill import PLAIN, Bools, Floats, Ints, Lateness, late_by
from dispatch.optimise import (
    FAR_S,
    OLD_S,
    Candidates,
    Cost,
    doubtful_rows,
    kept_back,
    kept_back_rows,
    tie_shares,
)

RANKS = 4
NEAREST_MAX = 40
"""So many units of each kind are looked at for each incident where plans overlap, unless fewer suffice."""
SOLVE_S_MAX = 10.0
"""For all the steps of one batch together: each has its part of it, and a step that runs out is not exact."""

OUT_OF_TIME = 1
"""The status of SciPy's `milp` where the time was up."""

NEAREST_FIRST = 4
"""So many units of an incident's kind are looked at before anything is known of the plan."""

Limits: TypeAlias = dict[int, list[tuple[float, int, int]]]
Solved: TypeAlias = tuple[dict[int, list[int]], bool]
"""Rows by incident, and whether that is proven the best."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One incident: ``needs`` is what it still lacks, capability -> units; ``rank`` 1 is the most urgent of
    ``RANKS``; ``delta_s`` how much later than otherwise anybody may come for the sake of coverage."""

    id: str
    needs: Mapping[str, int]
    curve: Lateness = PLAIN
    rank: int = 1
    delta_s: float = np.inf


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: p pairs of an incident and a unit that gets there, in no order.

    ``at`` int64[p]: place in the list of incidents asked for; ``row`` int64[p]: the unit; ``eta_s`` float[p]:
    seconds from the order to its arrival. ``beyond_s`` float64[incidents asked for]: none of the other units
    asked for arrives sooner; inf = none of them may go at all.
    """

    at: Ints
    row: Ints
    eta_s: Floats | NDArray[np.float32]
    beyond_s: Floats


Search: TypeAlias = Callable[[Ints, Ints, int], Found]
"""(incidents int64[a], rows int64[b], k) -> at least the k soonest of these units at each of these incidents,
all of them where k is b."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One line of a plan. ``fills``: what the unit is counted for, None = all that it can. ``staging``: its
    way ends at the staging point; ``asked``: its agency is asked, not ordered. None = as the rules say."""

    incident: str
    unit: str
    fills: tuple[str, ...] | None = None
    staging: bool | None = None
    asked: bool | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a line of a plan breaks. ``person``: a dispatcher may send it all the same, saying why."""

    code: str
    incident: str
    unit: str
    args: Mapping[str, str | int | float] = field(default_factory=dict)
    person: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """``missing`` int[RANKS]: needs left open by rank; ``doubtful`` units sent; ``cost`` in late calls.
    Plans are compared by ``key``: the smaller is the better."""

    missing: tuple[int, ...]
    doubtful: int
    cost: Cost

    @property
    def key(self) -> tuple[tuple[int, ...], int, float]:
        return self.missing, self.doubtful, self.cost.total


@dataclass(frozen=True, slots=True)
class Assignment:
    """``missing``: incident -> capability -> units that nobody fills. ``exact``: proven the best of all
    plans; else the best found among each incident's nearest units, or in the time there was."""

    sendings: tuple[Sending, ...]
    missing: Mapping[str, Mapping[str, int]]
    price: Price
    exact: bool


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What plans are judged by: m incidents, n units.

    ``candidates``: the units (its travel columns are not read). ``eta_s`` float[m, n]: seconds from the order
    to the arrival with turnout and waiting, inf or nan = no way. ``in_zone``, ``staging`` bool[m, n] as in
    ``Candidates``, None = competent everywhere, no staging. ``uncovered`` float64[n]: what each unit's
    absence costs elsewhere, in late calls; None = nothing. Raises ValueError for what does not fit, for two
    incidents of one id, an unknown capability, a negative count or a rank that is none.
    """

    demands: tuple[Demand, ...]
    candidates: Candidates
    eta_s: Floats | NDArray[np.float32]
    in_zone: Bools | None = None
    staging: Bools | None = None
    uncovered: Floats | None = None
    away_s: float = 3600.0
    old_s: float = OLD_S
    far_s: float = FAR_S
    column: Mapping[str, int] = field(init=False)
    doubtful: Bools = field(init=False)
    ties: Floats = field(init=False)

    def __post_init__(self) -> None:
        units, ids = len(self.candidates.ids), [demand.id for demand in self.demands]
        for name, shape in (
            ("eta_s", (len(ids), units)), ("in_zone", (len(ids), units)), ("staging", (len(ids), units)),
            ("uncovered", (units,)),
        ):  # fmt: skip
            given = getattr(self, name)
            if given is not None and np.shape(given) != shape:
                raise ValueError(f"{name} has shape {np.shape(given)}; it must be {shape}")
        if len(set(ids)) != len(ids):
            raise ValueError(f"incidents: {next(one for one in ids if ids.count(one) > 1)} is given twice")
        column = {name: i for i, name in enumerate(self.candidates.capabilities)}
        for demand in self.demands:
            for name, count in demand.needs.items():
                if name not in column:
                    raise ValueError(f"needs of {demand.id}: unknown capability {name!r}")
                if count < 0:
                    raise ValueError(f"needs of {demand.id}: {name} is {count}; it cannot be negative")
            if not 1 <= demand.rank <= RANKS:
                raise ValueError(f"rank of {demand.id} is {demand.rank}; it is 1 to {RANKS}")
        object.__setattr__(self, "column", column)
        object.__setattr__(self, "doubtful", doubtful_rows(self.candidates, self.old_s))
        object.__setattr__(self, "ties", tie_shares(self.candidates, self.away_s))

    def open_needs(self, i: int) -> tuple[tuple[str, ...], Ints]:
        """(names, counts) of what incident i lacks."""
        needs = {name: count for name, count in self.demands[i].needs.items() if count > 0}
        return tuple(needs), np.array(list(needs.values()), dtype=np.int64)

    def wanted(self, i: int) -> Bools:
        """bool[n, k]: which of the open needs of incident i each unit gives."""
        names, _ = self.open_needs(i)
        return self.candidates.gives[:, [self.column[name] for name in names]]

    def free(self) -> Bools:
        """bool[n]: whom the program may send without asking a person."""
        goes = np.array([word != "divert" for word in self.candidates.sendable], dtype=bool)
        return np.asarray(~kept_back_rows(self.candidates) & goes)

    def may(self, i: int, free: Bools) -> Bools:
        """bool[n]: who of the free may be sent to incident i."""
        with np.errstate(invalid="ignore"):
            able = free & (self.eta_s[i] <= self.far_s)
        return np.asarray(able if self.in_zone is None else able & self.in_zone[i])

    def beside(self, i: int) -> Floats:
        """float64[n]: what sending each unit to incident i costs beside lateness and the flat price."""
        tie = self.demands[i].curve.tie * self.ties
        return tie if self.uncovered is None else tie + self.uncovered


# ---- judging a plan


def check(plan: Sequence[Sending], situation: Situation) -> list[Fault]:
    """Every rule that the plan breaks, line by line; none for a plan that may be sent as it is."""
    return list(_faults(plan, situation))


def _faults(plan: Sequence[Sending], s: Situation) -> Iterator[Fault]:
    c = s.candidates
    incident = {demand.id: i for i, demand in enumerate(s.demands)}
    row_of = {unit: row for row, unit in enumerate(c.ids)}
    sent: dict[str, str] = {}
    crews: dict[str, str] = {}
    counted: dict[tuple[str, str], int] = {}
    for line in plan:

        def fault(code: str, person: bool = False, line: Sending = line, **args: str | int | float) -> Fault:
            return Fault(code, line.incident, line.unit, args, person)

        i, row = incident.get(line.incident), row_of.get(line.unit)
        if i is None:
            yield fault("unknown-incident")
        if row is None:
            yield fault("unknown-unit")
        if line.unit in sent:
            yield fault("unit-twice")
        sent.setdefault(line.unit, line.incident)
        if row is None:
            continue
        crew = c.crew_id[row]
        if crew is not None and crews.setdefault(crew, line.unit) != line.unit:
            yield fault("crew-twice", with_unit=crews[crew])
        for reason in kept_back(c, row):
            yield Fault(reason.code, line.incident, line.unit, reason.args, reason.code == "crew-short")
        if c.sendable[row] == "divert":
            yield Fault("divert", line.incident, line.unit, {"incident": c.busy_with[row] or ""}, True)
        if line.asked is not None and line.asked != (c.command[row] == "requested"):
            yield fault("request-only" if not line.asked else "not-requested", agency=c.agencies[row])
        if i is None:
            continue
        eta_s = float(s.eta_s[i, row])
        if not np.isfinite(eta_s):
            yield fault("unreachable")
        elif eta_s > s.far_s:
            yield fault("too-far", True, eta_s=eta_s)
        if s.in_zone is not None and not s.in_zone[i, row]:
            yield fault("out-of-zone", district=c.districts[row] or "")
        if line.staging is False and s.staging is not None and s.staging[i, row]:
            yield fault("hazard-entry")
        for name in line.fills or ():
            if name not in s.column or not c.gives[row, s.column[name]]:
                yield fault("not-given", capability=name)
            counted[line.incident, name] = counted.get((line.incident, name), 0) + 1
            if counted[line.incident, name] > s.demands[i].needs.get(name, 0):
                yield fault("not-needed", True, capability=name)


def price(plan: Sequence[Sending], situation: Situation) -> Price:
    """What the plan costs, whatever rules it breaks. A line that names an unknown unit or incident counts for
    nothing, and a unit that is named twice serves the first. Whom no way leads there is as late as ``far_s``
    twice over, and fills nothing."""
    s, c = situation, situation.candidates
    incident = {demand.id: i for i, demand in enumerate(s.demands)}
    row_of = {unit: row for row, unit in enumerate(c.ids)}
    rows: dict[int, list[int]] = {}
    claims: dict[int, set[str]] = {}
    for line in plan:
        i, row = incident.get(line.incident), row_of.get(line.unit)
        if i is not None and row is not None and row not in claims:
            rows.setdefault(i, []).append(row)
            claims[row] = set(s.column if line.fills is None else line.fills)
    missing = [0] * RANKS
    doubtful, total = 0, Cost()
    for i, demand in enumerate(s.demands):
        at = rows.get(i, [])
        eta_s = s.eta_s[i, at].astype(np.float64)
        there = np.isfinite(eta_s)
        useful = np.zeros(len(at), dtype=bool)
        for name, count in demand.needs.items():
            gives = c.gives[at, s.column[name]] & there
            useful |= gives & (count > 0)
            filled = sum(bool(yes) and name in claims[row] for yes, row in zip(gives, at, strict=True))
            missing[demand.rank - 1] += max(0, count - filled)
        if not at:
            continue
        late = demand.curve.late(np.where(there, eta_s, 2 * s.far_s))
        tie = demand.curve.tie * s.ties[at]
        total += Cost(
            # Somebody who can do nothing there is no first arrival.
            float(late.sum() + demand.curve.first_due * late[useful if useful.any() else slice(None)].min()),
            0.0 if s.uncovered is None else float(s.uncovered[at].sum()),
            float(tie.sum()) + demand.curve.unit * len(at),
        )
        doubtful += int(s.doubtful[at].sum())
    return Price(tuple(missing), doubtful, total)


# ---- making one


def assign(situation: Situation, search: Search | None = None) -> Assignment:
    """The best plan for all incidents together. Nobody who works at a scene, or is on the way to one, is
    taken off it: only who can be sent now, or says when it will be free. With ``uncovered``, each incident's
    arrivals are held to its ``delta_s`` after those of the best plan without it.

    With ``search``, ``eta_s`` comes filled with inf and is written to: the arrivals that were looked at, all
    that the plan needs. Raises ValueError for a search without a ``far_s``."""
    s = situation
    needs = [int(s.open_needs(i)[1].sum()) for i in range(len(s.demands))]
    free = s.free()
    solve: Callable[..., Solved] = _by_slots if max(needs, default=0) <= 1 else _by_programme
    if search is not None:
        if not np.isfinite(s.far_s):
            raise ValueError("far_s must be finite where units are searched for")
        if solve is _by_slots:
            solve = _Near(s, free, search).solve
        else:
            _look_at_all(s, free, search)
    limits: Limits = {}
    if s.uncovered is not None and any(demand.delta_s < np.inf for demand in s.demands):
        plain, _ = solve(s, free, {}, extra=False)
        limits = {i: _limits(s, i, rows) for i, rows in plain.items() if s.demands[i].delta_s < np.inf}
    chosen, exact = solve(s, free, limits, extra=True)
    sendings: list[Sending] = []
    missing: dict[str, dict[str, int]] = {}
    for i, demand in enumerate(s.demands):
        left = dict(zip(*s.open_needs(i), strict=True))
        for row in sorted(chosen.get(i, ()), key=lambda row: (float(s.eta_s[i, row]), s.candidates.ids[row])):
            fills = tuple(name for name in left if left[name] > 0 and s.candidates.gives[row, s.column[name]])
            for name in fills:
                left[name] -= 1
            stages = bool(s.staging is not None and s.staging[i, row])
            asked = s.candidates.command[row] == "requested"
            sendings.append(Sending(demand.id, s.candidates.ids[row], fills, stages, asked))
        if any(left.values()):
            missing[demand.id] = {name: int(count) for name, count in left.items() if count > 0}
    return Assignment(tuple(sendings), missing, price(sendings, s), exact)


def _columns_of_crews(s: Situation, rows: Ints) -> Ints:
    """int[len(rows)]: a column for each row; those of one crew share theirs."""
    seen: dict[object, int] = {}
    ids = s.candidates.crew_id
    return np.array([seen.setdefault(ids[row] or int(row), len(seen)) for row in rows], dtype=np.int64)


def _limits(s: Situation, i: int, rows: Sequence[int]) -> list[tuple[float, int, int]]:
    """(latest, need, j): by ``latest`` at least j units that give the need have reached incident i."""
    wanted, (_, counts) = s.wanted(i), s.open_needs(i)
    found = []
    for need, count in enumerate(counts.tolist()):
        arrivals = sorted(float(s.eta_s[i, row]) for row in rows if wanted[row, need])[:count]
        found += [(eta_s + s.demands[i].delta_s, need, j) for j, eta_s in enumerate(arrivals, start=1)]
    return found


def _by_slots(s: Situation, free: Bools, limits: Limits, *, extra: bool) -> Solved:
    """Each incident takes one unit. Its slot's gain, were it filled, is a weight by rank less the cost; who
    may not go gains nothing, which is the same as to leave the slot open."""
    from scipy.optimize import linear_sum_assignment

    slots = [i for i in range(len(s.demands)) if s.open_needs(i)[1].any()]
    rows = np.flatnonzero(free)
    if not slots or not len(rows):
        return {}, True
    cost = np.full((len(slots), len(rows)), np.inf)
    for at, i in enumerate(slots):
        curve = s.demands[i].curve
        may = s.may(i, free)[rows] & s.wanted(i)[rows, 0]
        if i in limits:
            may &= s.eta_s[i, rows] <= limits[i][0][0]
        late = curve.late(s.eta_s[i, rows[may]].astype(np.float64))
        more = s.beside(i)[rows[may]] if extra else 0.0
        cost[at, may] = (1.0 + curve.first_due) * late + curve.unit + more
    doubtful = s.doubtful[rows]
    if doubtful.any():
        cost += np.where(doubtful, _spread(cost), 0.0)
    # A crew is one column: of its units the one that costs the slot least stands for it.
    column = _columns_of_crews(s, rows)
    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.diff(column[order], prepend=-1))
    whole = cost if len(starts) == len(rows) else np.minimum.reduceat(cost[:, order], starts, axis=1)
    weight = _spread(whole) * np.array([RANKS + 1 - s.demands[i].rank for i in slots], dtype=np.float64)
    gain = np.where(np.isfinite(whole), weight[:, np.newaxis] - whole, 0.0)
    chosen: dict[int, list[int]] = {}
    ends = np.append(starts[1:], len(order))
    for slot, crew in zip(
        *(axis.tolist() for axis in linear_sum_assignment(gain, maximize=True)), strict=True
    ):
        if np.isfinite(whole[slot, crew]):
            members = order[starts[crew] : ends[crew]]
            chosen[slots[slot]] = [int(rows[members[int(cost[slot, members].argmin())]])]
    return chosen, True


def _spread(cost: Floats) -> float:
    """More than any two plans can differ by in cost."""
    finite = cost[np.isfinite(cost)]
    return float(min(cost.shape) * finite.max() + 1.0) if len(finite) else 1.0


def _look_at_all(s: Situation, free: Bools, search: Search) -> None:
    """Everybody who gives anything that is needed, everywhere."""
    some = np.array([i for i in range(len(s.demands)) if s.open_needs(i)[1].any()], dtype=np.int64)
    useful = sorted({s.column[name] for i in some.tolist() for name in s.open_needs(i)[0]})
    rows = np.flatnonzero(free & s.candidates.gives[:, useful].any(axis=1))
    if len(some) and len(rows):
        found = search(some, rows, len(rows))
        s.eta_s[some[found.at], found.row] = found.eta_s


class _Near:
    """Each incident takes one unit, of the soonest few, proven the best of all."""

    def __init__(self, s: Situation, free: Bools, search: Search) -> None:
        self.s, self.search = s, search
        self.slots = np.array([i for i in range(len(s.demands)) if s.open_needs(i)[1].any()], dtype=np.int64)
        self.curves = [s.demands[i].curve for i in self.slots.tolist()]
        need = [s.column[s.open_needs(i)[0][0]] for i in self.slots.tolist()]
        self.need = np.array(need, dtype=np.int64)
        self.rows = {one: np.flatnonzero(free & s.candidates.gives[:, one]) for one in dict.fromkeys(need)}
        self.crew = _columns_of_crews(s, np.arange(len(s.candidates.ids)))
        self.crews = int(self.crew.max()) + 1 if len(self.crew) else 0
        # What everybody costs beside the arrival: so much for each unit of `tie`, and so much anyhow.
        none = np.zeros(len(self.crew))
        self.uncovered = none if s.uncovered is None else s.uncovered
        self.least = {
            one: (float(s.ties[rows].min()), float(self.uncovered[rows].min()))
            for one, rows in self.rows.items()
            if len(rows)
        }
        self.k = np.zeros(len(self.slots), dtype=np.int64)
        self.beyond_s = np.full(len(self.slots), np.inf)
        self.at, self.row = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._look(np.arange(len(self.slots)))

    def _look(self, some: Ints) -> None:
        """Look at more units for some of the slots."""
        s = self.s
        kept = np.ones(len(self.slots), dtype=bool)
        kept[some] = False
        pairs = [(self.at[kept[self.at]], self.row[kept[self.at]])]
        self.k[some] = np.maximum(NEAREST_FIRST, 2 * self.k[some])
        for need, rows in self.rows.items():
            mine = some[self.need[some] == need]
            for k in np.unique(self.k[mine]).tolist() if len(rows) else ():
                slots = mine[self.k[mine] == k]
                found = self.search(self.slots[slots], rows, min(k, len(rows)))
                s.eta_s[self.slots[slots[found.at]], found.row] = found.eta_s
                self.beyond_s[slots] = found.beyond_s
                pairs.append((slots[found.at], found.row))
        self.at, self.row = (np.concatenate(column) for column in zip(*pairs, strict=True))

    def solve(self, s: Situation, free: Bools, limits: Limits, *, extra: bool) -> Solved:
        """As ``_by_slots``."""
        while True:
            chosen, unproven, exact = self._among_these(limits, extra)
            if not len(unproven):
                return chosen, exact
            self._look(unproven)

    def _price(self, at: Ints, eta_s: Floats, tie: Floats, uncovered: Floats, extra: bool) -> Floats:
        first_due, unit, weigh = np.array(
            [(1.0 + c.first_due, c.unit, c.tie if extra else 0.0) for c in self.curves], dtype=np.float64
        ).reshape(len(self.curves), 3)[at].T  # fmt: skip
        cost = first_due * late_by(self.curves, at, eta_s) + unit + weigh * tie
        return np.asarray(cost + uncovered if extra else cost)

    def _among_these(self, limits: Limits, extra: bool) -> tuple[dict[int, list[int]], Ints, bool]:
        """(the best plan among those looked at, the slots for which somebody else might be better, whether
        the plan is proven the best among those)."""
        s, slots = self.s, self.slots
        latest_s = np.array([limits[i][0][0] if i in limits else np.inf for i in slots.tolist()])
        latest_s = np.minimum(latest_s, s.far_s)
        eta_s = s.eta_s[slots[self.at], self.row].astype(np.float64)
        may = eta_s <= latest_s[self.at]
        if s.in_zone is not None:
            may &= s.in_zone[slots[self.at], self.row]
        at, row, eta_s = self.at[may], self.row[may], eta_s[may]
        cost = self._price(at, eta_s, s.ties[row], self.uncovered[row], extra)
        # Nobody may go who comes after `far_s`: no cost of anybody, looked at or not, is above these.
        every = np.arange(len(slots))
        top = self._price(
            every,
            np.full(len(slots), s.far_s),
            np.full(len(slots), s.ties.max(initial=0.0)),
            np.full(len(slots), self.uncovered.max(initial=0.0)),
            extra,
        ).max(initial=0.0)
        smaller = min(len(slots), self.crews)
        doubt = smaller * float(top) + 1.0
        doubtful = s.doubtful[row]
        if any(s.doubtful[rows].any() for rows in self.rows.values()):
            cost, top = cost + np.where(doubtful, doubt, 0.0), top + doubt
        rank = np.array([RANKS + 1 - s.demands[i].rank for i in slots.tolist()], dtype=np.float64)
        weight = (smaller * float(top) + 1.0) * rank
        # A crew is one column: of its units the one that costs the slot least stands for it.
        column = self.crew[row]
        order = np.lexsort((cost, column, at))
        first = np.diff(at[order] * self.crews + column[order], prepend=-1) > 0
        some = order[first]
        at, row, column, loss = at[some], row[some], column[some], (cost - weight[at])[some]
        rounding = float(64 * np.finfo(np.float64).eps * weight.max(initial=1.0))
        matched, slot_price, exact = _cheapest(len(slots), at, column, loss, rounding)
        chosen = {int(slots[at[pair]]): [int(row[pair])] for pair in matched.tolist()}
        # Whoever was left out comes at `beyond_s` at the soonest, and is paid at least 0 for.
        tie, uncovered = np.array(
            [self.least.get(need, (0.0, 0.0)) for need in self.need.tolist()], dtype=np.float64
        ).reshape(len(slots), 2).T  # fmt: skip
        open_ = self.beyond_s <= latest_s
        beyond_s = np.where(open_, self.beyond_s, 0.0)
        gain = self._price(every, beyond_s, tie, uncovered, extra) - weight - slot_price
        return chosen, np.flatnonzero(open_ & (gain < -rounding)), exact


def _cheapest(slots: int, at: Ints, column: Ints, loss: Floats, rounding: float) -> tuple[Ints, Floats, bool]:
    """The cheapest assignment over pairs (slot ``at``, ``column``, ``loss``), sorted by both, in which slots
    may stay open for nothing: (the pairs taken, float64[slots] the price of each slot, whether the prices
    prove it the best, but for ``rounding``).

    The prices are a dual solution: with ``price[column] <= 0``, 0 for those not taken, no pair has less than
    ``slot_price[at] + price[column]``. They are the shortest ways in the graph of exchanges (Bellman-Ford).
    """
    if not len(at):
        return np.empty(0, dtype=np.int64), np.zeros(slots), True
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    used, column = np.unique(column, return_inverse=True)
    # Beside its pairs each slot has a column of its own, which leaves it open. A stored 0 would be no pair.
    shift = 1.0 - min(0.0, float(loss.min()))
    every = np.arange(slots)
    graph = csr_array(
        (
            np.concatenate((loss + shift, np.full(slots, shift))),
            (np.concatenate((at, every)), np.concatenate((column, len(used) + every))),
        ),
        shape=(slots, len(used) + slots),
    )
    _, to = min_weight_full_bipartite_matching(graph)
    to = np.asarray(to, dtype=np.int64)
    taken = np.flatnonzero(to[at] == column)
    own = np.zeros(slots)
    own[at[taken]] = loss[taken]
    filled = to < len(used)
    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.diff(column[order], prepend=-1))
    price = np.zeros(len(used))
    slot_price = np.zeros(slots)
    for _ in range(slots + 1):
        slot_price = np.where(filled, own - price[np.where(filled, to, 0)], 0.0)
        lower = np.minimum(price, np.minimum.reduceat((loss - slot_price[at])[order], starts))
        if (price - lower <= rounding / 64).all():
            break
        price = lower
    empty = np.ones(len(used), dtype=bool)
    empty[to[filled]] = False

    worst = min(float(price[empty].min(initial=0.0)), -float(slot_price.max(initial=0.0)))
    return taken, slot_price, bool(worst >= -rounding)


def _by_programme(s: Situation, free: Bools, limits: Limits, *, extra: bool) -> Solved:
    """Plans of several units. Variables: x (unit goes to incident), y (it is first due there), o (needs left
    open), z (somebody goes there); solved step by step, each keeping what the one before reached."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    slots = sum(int(s.open_needs(i)[1].sum()) + 1 for i in range(len(s.demands)))
    exact = True
    pair_i: list[Ints] = []
    pair_row: list[Ints] = []
    entries: list[tuple[ArrayLike, ArrayLike]] = []  # of the covering rows: (rows, pairs)
    held: list[tuple[Ints, int]] = []
    open_rank: list[int] = []
    open_most: list[int] = []
    at = 0
    for i in range(len(s.demands)):
        names, counts = s.open_needs(i)
        if not len(names):
            continue
        wanted = s.wanted(i)
        may = s.may(i, free) & wanted.any(axis=1)
        rows = np.flatnonzero(may)
        rows = rows[np.argsort(s.eta_s[i, rows], kind="stable")]
        pattern = wanted[rows] @ (1 << np.arange(len(names), dtype=np.int64))
        kept = np.zeros(len(rows), dtype=bool)
        cost = s.demands[i].curve.late(s.eta_s[i, rows].astype(np.float64))
        cost += s.beside(i)[rows] if extra else 0.0
        most = max(NEAREST_MAX, int(counts.max()))
        for one in np.unique(pattern):
            for sure in (False, True):
                same = np.flatnonzero((pattern == one) & (s.doubtful[rows] == sure))
                if len(same) > most:
                    # Whoever the others may take can be replaced only by as many as there are others.
                    exact = exact and most >= slots and not extra and len(set(s.candidates.crew_id)) == 1
                kept[same[:most]] = True
                kept[same[np.argsort(cost[same], kind="stable")[:most]]] = True
        rows = rows[kept]
        for latest_s, need, j in limits.get(i, ()):
            held.append((at + np.flatnonzero(wanted[rows, need] & (s.eta_s[i, rows] <= latest_s)), j))
        for name in range(len(names)):
            gives = np.flatnonzero(wanted[rows, name])
            entries.append((np.full(len(gives), len(open_rank)), at + gives))
            open_rank.append(s.demands[i].rank)
            open_most.append(int(counts[name]))
        pair_i.append(np.full(len(rows), i, dtype=np.int64))
        pair_row.append(rows)
        at += len(rows)
    pairs, needs = at, len(open_rank)
    if not pairs:
        return {}, True
    of_i, of_row = np.concatenate(pair_i), np.concatenate(pair_row)
    _, which = np.unique(of_i, return_inverse=True)
    incidents = int(which.max()) + 1
    width = 2 * pairs + needs + incidents
    late = np.empty(pairs)
    flat = np.empty(pairs)
    first = np.empty(pairs)
    for i in np.unique(of_i):
        here = of_i == i
        curve = s.demands[int(i)].curve
        late[here] = curve.late(s.eta_s[i, of_row[here]].astype(np.float64))
        flat[here] = curve.unit + (s.beside(int(i))[of_row[here]] if extra else 0.0)
        first[here] = curve.first_due * late[here]

    def matrix(height: int, parts: Sequence[tuple[ArrayLike, ArrayLike, float]]) -> csr_array:
        rows = np.concatenate([np.asarray(r, dtype=np.int64) for r, _, _ in parts])
        columns = np.concatenate([np.asarray(c, dtype=np.int64) for _, c, _ in parts])
        values = np.concatenate([np.full(len(np.asarray(r)), v) for r, _, v in parts])
        return csr_array((values, (rows, columns)), shape=(height, width))

    every = np.arange(pairs)
    crew = _columns_of_crews(s, of_row)
    somebody = 2 * pairs + needs + which
    each = 2 * pairs + needs + np.arange(incidents)
    rules = [
        LinearConstraint(matrix(int(crew.max()) + 1, [(crew, every, 1.0)]), ub=1.0),
        # Only who is sent can be first due, and where somebody is sent somebody is.
        LinearConstraint(matrix(pairs, [(every, every, -1.0), (every, pairs + every, 1.0)]), ub=0.0),
        LinearConstraint(matrix(pairs, [(every, every, -1.0), (every, somebody, 1.0)]), lb=0.0),
        LinearConstraint(
            matrix(incidents, [(which, pairs + every, 1.0), (np.arange(incidents), each, -1.0)]), lb=0.0
        ),
        LinearConstraint(
            matrix(
                needs,
                [
                    *((rows, columns, 1.0) for rows, columns in entries),
                    (np.arange(needs), 2 * pairs + np.arange(needs), 1.0),
                ],
            ),
            lb=np.array(open_most, dtype=np.float64),
        ),
    ]
    if held:
        in_time = [(np.full(len(columns), row), columns, 1.0) for row, (columns, _) in enumerate(held)]
        rules.append(LinearConstraint(matrix(len(held), in_time), lb=np.array([float(j) for _, j in held])))
    nothing = np.zeros(width)
    steps = []
    for rank in sorted(set(open_rank)):
        goal = nothing.copy()
        goal[2 * pairs : 2 * pairs + needs] = np.array(open_rank) == rank
        steps.append(goal)
    doubt = nothing.copy()
    doubt[:pairs] = s.doubtful[of_row]
    steps.append(doubt)
    # HiGHS works to absolute tolerances of 1e-6 and 1e-7: costs of late calls are scaled up to seconds.
    steps.append(3000.0 * np.concatenate([late + flat, first, np.zeros(needs + incidents)]))
    sent = np.zeros(pairs)
    for number, goal in enumerate(steps):
        last = number == len(steps) - 1
        if not last and not goal.any():
            continue
        solution = milp(
            goal,
            constraints=rules,
            integrality=np.concatenate([np.ones(pairs), np.zeros(width - pairs)]),
            bounds=Bounds(0.0, np.concatenate([np.ones(2 * pairs), open_most, np.ones(incidents)])),
            # Twice: with the cap on what may be sacrificed a batch is solved a second time.
            options={"mip_rel_gap": 0.0, "time_limit": SOLVE_S_MAX / (2 * len(steps))},
        )
        if solution.x is None and solution.status == OUT_OF_TIME:
            # What the steps before found is a plan all the same; without any, it is that nobody is sent.
            exact = False
            break
        if solution.x is None:
            raise RuntimeError(f"the solver found no plan: {solution.message}")
        exact = exact and bool(solution.success)
        sent = np.round(solution.x[:pairs])
        if not last:
            # Whole numbers, so half a unit of slack holds them and spares the tolerances.
            rules.append(LinearConstraint(goal[np.newaxis], ub=round(float(goal @ solution.x)) + 0.5))
    chosen: dict[int, list[int]] = {}
    for pair in np.flatnonzero(sent):
        chosen.setdefault(int(of_i[pair]), []).append(int(of_row[pair]))
    return chosen, exact
