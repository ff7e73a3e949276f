"""Which units to send, and why those: arrays in, Plan out. No clock, no I/O, no hidden randomness.

``recommend`` is exact. Units that break a hard rule are out; among the rest it takes, in this order,
(1) the smallest shortfall (needed capabilities left unfilled), (2) the fewest doubtful units, whose position
is over an hour old or unknown or who should have been free some time ago, (3) the smallest
``sum of ETAs + FIRST_DUE_WEIGHT * earliest ETA + UNIT_WEIGHT_S * units``. Each step is a mixed-integer
programme for HiGHS (scipy.optimize.milp, gap 0), the earlier ones held.

    ETA = ready_in (status sendable "soon" only) + turnout (0 when the wheels already roll) + drive

Every reason is a code with arguments; the words are in the Fluent catalogues. A list is codes joined by ",".

On a unit that is offered (``Pick``)
    fills{capabilities}         what it is counted for
    nearest{rank}               1 = soonest among sendable units that give any of that
    fix-age{age_s}              its position is fresh
    stale-fix{age_s}            its position is older than ``stale_s``
    old-fix{age_s}              its position is older than ``old_s``: used after all fresher units
    no-fix{}                    it never reported a position: used after all fresher units
    straight-line{}             the travel time is not from the road network
    request-only{agency}        the agency decides; the ETA counts from its acceptance
    ready-in{ready_in_s}        it becomes free after that time, which is in the ETA
    ready-overdue{late_s}       it should have been free that long ago; over ``OVERDUE_S``: used last
    too-far{eta_s}              later than ``far_s``: only a person may choose it
    beyond-needs{}              the needs are covered without it
    divert{incident}            it is on its way to that incident
    confirm{}                   only a person may choose it
    faster-alternative{unit,gain_s}  it would arrive that much before the chosen unit that fills the same
On a unit that was not chosen (``WhyNot``), besides divert, confirm, too-far, ready-overdue, old-fix, no-fix
    not-needed{}                gives nothing that the incident still needs
    covered{capabilities,units} the chosen units already fill all that it could
    crew-short{crew,crew_min}   too few people aboard for its capabilities to count
    crew-shared{unit}           its people are out with, or chosen with, that unit
    busy{incident,by}           works at that incident; by = who sent it
    not-sendable{status}        this status cannot be sent
    off-duty{}  out-of-service{}
    ready-unknown{}             nobody has said when it will be free
    out-of-zone{district}       its district has no competence here
    unreachable{}               no travel time: no way there, or no known place to start from
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# The first arrival counts double; one unit more must be worth a minute, because it is then missing elsewhere.
FIRST_DUE_WEIGHT = 1.0
UNIT_WEIGHT_S = 60.0
STALE_S = 120.0
OLD_S = 3600.0
# A crew that said when it would be free is often a few minutes late; much later it may not come at all.
OVERDUE_S = 300.0
FAR_S = 7200.0
ROLLING = frozenset({"returning", "en_route", "staged"})
SENDABLE = ("now", "divert", "soon", "never")

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: a code of the list above and its arguments."""

    code: str
    args: Mapping[str, str | int | float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """n units as parallel columns, one row a unit; c capabilities. Raises ValueError naming a column that is
    of another length, an id given twice, or a word that is not allowed.

    ids               call signs, unique
    types, agencies   codes of the pack
    command           "owned" (the city orders) or "requested" (the agency decides)
    districts         home district or None
    capabilities      the c names of the columns of ``gives``: all capabilities of the pack
    gives             bool[n, c]
    status            status codes; ``sendable``: "now" | "divert" | "soon" | "never" for that status
    crew, crew_min    people aboard (0 when unknown), and the fewest for its capabilities to count
    crew_id           units with the same crew_id are manned by the same people; None = a crew of its own
    blocked_by        the unit with which its shared crew is out now, or None
    drive_s           seconds, nan or inf = no way to know or to get there; ``distance_m`` likewise
    road              bool: travel time from the road network, else from the straight line
    turnout_s         seconds from order to wheels rolling when standing
    ready_in_s        seconds until free, read for "soon" only; nan = nobody said; below 0 counts as 0
    fix_age_s         age of the last position; nan = never had one
    in_zone           bool: competent at the place of the incident
    busy_with, busy_by  number of the incident it is on and who sent it, or None
    already           bool: already assigned to this very incident
    """

    ids: tuple[str, ...]
    types: tuple[str, ...]
    agencies: tuple[str, ...]
    command: tuple[str, ...]
    districts: tuple[str | None, ...]
    capabilities: tuple[str, ...]
    gives: Bools
    status: tuple[str, ...]
    sendable: tuple[str, ...]
    crew: Ints
    crew_min: Ints
    crew_id: tuple[str | None, ...]
    blocked_by: tuple[str | None, ...]
    drive_s: Floats
    distance_m: Floats
    road: Bools
    turnout_s: Floats
    ready_in_s: Floats
    fix_age_s: Floats
    in_zone: Bools
    busy_with: tuple[str | None, ...]
    busy_by: tuple[str | None, ...]
    already: Bools

    def __post_init__(self) -> None:
        many = len(self.ids)
        for one in fields(self):
            if one.name == "capabilities":
                continue
            column = getattr(self, one.name)
            wanted = (many, len(self.capabilities)) if one.name == "gives" else (many,)
            shape = column.shape if isinstance(column, np.ndarray) else (len(column),)
            if shape != wanted:
                raise ValueError(f"{one.name} has shape {shape}; {many} units need {wanted}")
        if len(set(self.ids)) != many:
            twice = next(unit for unit in self.ids if self.ids.count(unit) > 1)
            raise ValueError(f"ids: {twice} is given twice")
        for name, allowed in (("sendable", SENDABLE), ("command", ("owned", "requested"))):
            for word in getattr(self, name):
                if word not in allowed:
                    raise ValueError(f"{name}: {word!r} is not one of {', '.join(allowed)}")

    def eta_s(self) -> Floats:
        """Seconds from the order (a requested unit: from acceptance) to arrival; nan where not known."""
        rolling = np.array([status in ROLLING for status in self.status], dtype=bool)
        soon = np.array([word == "soon" for word in self.sendable], dtype=bool)
        eta_s = self.drive_s + np.where(rolling, 0.0, self.turnout_s)
        eta_s = eta_s + np.where(soon, np.maximum(self.ready_in_s, 0.0), 0.0)
        return np.where(np.isfinite(eta_s), eta_s, np.nan)


@dataclass(frozen=True, slots=True)
class Pick:
    """A unit that is offered. Times in seconds, ``turnout_s`` as counted in the ETA (0 when rolling).
    ``fix_age_s`` None = never had a fix. ``fills``: the capabilities it is counted for."""

    unit: str
    command: str
    eta_s: float
    drive_s: float
    turnout_s: float
    distance_m: float
    road: bool
    fix_age_s: float | None
    fills: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """A unit that one might have expected in the plan. ``eta_s`` None = not known."""

    unit: str
    eta_s: float | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """``chosen`` and ``alternatives`` by ETA (alternatives with an old position last). ``not_chosen``: every
    unit that would arrive before the slowest chosen one, every unit that gives something still missing, and
    every unit that gives something needed but has no ETA. ``missing``: capability -> count nobody fills."""

    chosen: tuple[Pick, ...]
    alternatives: tuple[Pick, ...]
    not_chosen: tuple[WhyNot, ...]
    missing: dict[str, int]
    complete: bool


def recommend(
    candidates: Candidates,
    needs: Mapping[str, int],
    *,
    top: int = 5,
    stale_s: float = STALE_S,
    old_s: float = OLD_S,
    far_s: float = FAR_S,
) -> Plan:
    """The best units for ``needs`` (capability -> how many units must have it, the incident's whole need).

    What the ``already`` assigned units give is counted first and they are not chosen again. ``top`` limits
    the alternatives; when nothing is missing they come from the whole ``needs``, for whoever wants one more.
    Nobody farther than ``far_s`` is chosen. Raises ValueError for a capability that is no column of
    ``candidates`` or a negative count.
    """
    column = _columns(candidates, needs)
    at_work = candidates.gives[candidates.already & (candidates.crew >= candidates.crew_min)]
    left = {name: count - int(at_work[:, column[name]].sum()) for name, count in needs.items()}
    remaining = {name: count for name, count in left.items() if count > 0}
    # Once all is covered the alternatives still answer to the whole need.
    names = tuple(remaining or (name for name, count in needs.items() if count > 0))
    wanted: Bools = candidates.gives[:, [column[name] for name in names]]
    useful: Bools = np.asarray(wanted.any(axis=1))

    eta_s = candidates.eta_s()
    soon: Bools = np.array([word == "soon" for word in candidates.sendable], dtype=bool)
    old: Bools = ~(candidates.fix_age_s <= old_s)
    doubtful: Bools = old | (soon & (candidates.ready_in_s < -OVERDUE_S))
    far: Bools = eta_s > far_s
    offer = [row for row in _by_eta(candidates, eta_s) if not candidates.already[row]]
    barriers = {row: _barriers(candidates, row) for row in offer}
    possible = [row for row in offer if useful[row] and not barriers[row]]
    sendable = [row for row in possible if candidates.sendable[row] != "divert" and not far[row]]
    needed = np.array(list(remaining.values()))
    chosen = _choose(candidates, sendable, wanted, needed, eta_s, doubtful) if remaining else []

    missing = dict(remaining)
    fills: dict[int, tuple[str, ...]] = {}
    for row in chosen:
        fills[row] = tuple(name for name in _given(names, wanted[row]) if missing[name] > 0)
        for name in fills[row]:
            missing[name] -= 1
    missing = {name: count for name, count in missing.items() if count > 0}
    lacking: Bools = np.asarray(wanted[:, [name in missing for name in names]].any(axis=1))
    chosen_crew = {candidates.crew_id[row]: row for row in chosen if candidates.crew_id[row] is not None}

    def pick(row: int, counted: tuple[str, ...], extra: Sequence[Reason]) -> Pick:
        rivals = wanted[sendable][:, [name in counted for name in names]].any(axis=1)
        rank = 1 + int((rivals & (eta_s[sendable] < eta_s[row])).sum())
        reasons = [Reason("fills", {"capabilities": ",".join(counted)}), Reason("nearest", {"rank": rank})]
        reasons.append(_position(candidates, row, stale_s, old_s))
        if not candidates.road[row]:
            reasons.append(Reason("straight-line"))
        if candidates.command[row] == "requested":
            reasons.append(Reason("request-only", {"agency": candidates.agencies[row]}))
        reasons += readiness(row)
        if far[row]:
            reasons.append(Reason("too-far", {"eta_s": float(eta_s[row])}))
        if not remaining:
            reasons.append(Reason("beyond-needs"))
        age_s = float(candidates.fix_age_s[row])
        return Pick(
            unit=candidates.ids[row],
            command=candidates.command[row],
            eta_s=float(eta_s[row]),
            drive_s=float(candidates.drive_s[row]),
            turnout_s=0.0 if candidates.status[row] in ROLLING else float(candidates.turnout_s[row]),
            distance_m=float(candidates.distance_m[row]),
            road=bool(candidates.road[row]),
            fix_age_s=None if np.isnan(age_s) else age_s,
            fills=counted,
            reasons=(*reasons, *extra),
        )

    def readiness(row: int) -> list[Reason]:
        ready_in_s = float(candidates.ready_in_s[row])
        if candidates.sendable[row] != "soon":
            return []
        if ready_in_s < 0:
            return [Reason("ready-overdue", {"late_s": -ready_in_s})]
        return [Reason("ready-in", {"ready_in_s": ready_in_s})]

    def crew_taken(row: int) -> list[Reason]:
        other = chosen_crew.get(candidates.crew_id[row])
        return [] if other is None else [Reason("crew-shared", {"unit": candidates.ids[other]})]

    def alternative(row: int) -> Pick:
        given = _given(names, wanted[row])
        extra = _diverting(candidates, row)
        beaten = [one for one in chosen if eta_s[one] > eta_s[row] and set(fills[one]) & set(given)]
        if beaten:
            slowest = beaten[-1]
            gain_s = float(eta_s[slowest] - eta_s[row])
            extra.append(Reason("faster-alternative", {"unit": candidates.ids[slowest], "gain_s": gain_s}))
        return pick(row, given, extra)

    def why_not(row: int) -> WhyNot:
        reasons = list(barriers[row])
        if not useful[row]:
            reasons.insert(0, Reason("not-needed"))
        elif not reasons:
            reasons = [*_diverting(candidates, row), *crew_taken(row)]
            if far[row]:
                reasons.append(Reason("too-far", {"eta_s": float(eta_s[row])}))
            if old[row]:
                reasons.append(_position(candidates, row, stale_s, old_s))
            if doubtful[row] and not old[row]:
                reasons += readiness(row)
            filled = [name for name in _given(names, wanted[row]) if name not in missing]
            by = [candidates.ids[one] for one in chosen if set(fills[one]) & set(filled)]
            if by:
                args = {"capabilities": ",".join(filled), "units": ",".join(by)}
                reasons.append(Reason("covered", args))
        known = None if np.isnan(eta_s[row]) else float(eta_s[row])
        return WhyNot(candidates.ids[row], known, tuple(reasons))

    slowest_s = float(eta_s[chosen[-1]]) if chosen else -np.inf
    expected = (eta_s < slowest_s) | lacking | (useful & np.isnan(eta_s))
    others = [row for row in possible if row not in chosen and not crew_taken(row)]
    others.sort(key=lambda row: bool(doubtful[row]))
    return Plan(
        chosen=tuple(pick(row, fills[row], ()) for row in chosen),
        alternatives=tuple(alternative(row) for row in others[: max(top, 0)]),
        not_chosen=tuple(why_not(row) for row in offer if expected[row] and row not in chosen),
        missing=missing,
        complete=not missing,
    )


def _columns(candidates: Candidates, needs: Mapping[str, int]) -> dict[str, int]:
    column = {capability: index for index, capability in enumerate(candidates.capabilities)}
    for capability, count in needs.items():
        if capability not in column:
            raise ValueError(f"needs: unknown capability {capability!r}")
        if count < 0:
            raise ValueError(f"needs: {capability} is {count}; a count cannot be negative")
    return column


def _by_eta(candidates: Candidates, eta_s: Floats) -> list[int]:
    """All rows, soonest first, unknown last; equal times by call sign, so the order of rows never matters."""
    times = [float("inf") if np.isnan(one) else one for one in eta_s.tolist()]
    return sorted(range(len(times)), key=lambda row: (times[row], candidates.ids[row]))


def _given(names: tuple[str, ...], row: Bools) -> tuple[str, ...]:
    return tuple(name for name, gives in zip(names, row.tolist(), strict=True) if gives)


def _diverting(candidates: Candidates, row: int) -> list[Reason]:
    if candidates.sendable[row] != "divert":
        return []
    return [Reason("divert", {"incident": candidates.busy_with[row] or ""}), Reason("confirm")]


def _position(candidates: Candidates, row: int, stale_s: float, old_s: float) -> Reason:
    age_s = float(candidates.fix_age_s[row])
    if np.isnan(age_s):
        return Reason("no-fix")
    code = "fix-age" if age_s <= stale_s else "stale-fix" if age_s <= old_s else "old-fix"
    return Reason(code, {"age_s": age_s})


def _barriers(candidates: Candidates, row: int) -> list[Reason]:
    """The hard rules that keep this one unit out, whatever the others do."""
    reasons: list[Reason] = []
    status = candidates.status[row]
    if candidates.sendable[row] == "never":
        if status in ("off_duty", "out_of_service"):
            reasons.append(Reason(status.replace("_", "-")))
        elif candidates.busy_with[row] is not None:
            busy = {"incident": candidates.busy_with[row] or "", "by": candidates.busy_by[row] or ""}
            reasons.append(Reason("busy", busy))
        else:
            reasons.append(Reason("not-sendable", {"status": status}))
    if candidates.sendable[row] == "soon" and not np.isfinite(candidates.ready_in_s[row]):
        reasons.append(Reason("ready-unknown"))
    if candidates.crew[row] < candidates.crew_min[row]:
        aboard = {"crew": int(candidates.crew[row]), "crew_min": int(candidates.crew_min[row])}
        reasons.append(Reason("crew-short", aboard))
    out_with = candidates.blocked_by[row]
    crew = candidates.crew_id[row]
    if out_with is None and crew is not None:
        for other in np.flatnonzero(candidates.already).tolist():
            if candidates.crew_id[other] == crew:
                out_with = candidates.ids[other]
    if out_with is not None:
        reasons.append(Reason("crew-shared", {"unit": out_with}))
    if not candidates.in_zone[row]:
        reasons.append(Reason("out-of-zone", {"district": candidates.districts[row] or ""}))
    if not np.isfinite(candidates.drive_s[row]):
        reasons.append(Reason("unreachable"))
    return reasons


def _choose(
    candidates: Candidates, sendable: list[int], wanted: Bools, needed: Ints, eta_s: Floats, doubtful: Bools
) -> list[int]:
    """Rows of the best set, by ETA. ``sendable`` is sorted by ETA; each row gives something needed."""
    rows = _undominated(candidates, sendable, wanted, needed, doubtful)
    if not rows:
        return []
    # Here, because it takes a server 40 MB and a while to start, and the first plan may be far away.
    from scipy.optimize import Bounds, LinearConstraint, milp

    many, kinds = len(rows), len(needed)
    cost_s = eta_s[rows]
    # Variables: x (unit is sent), y (unit is first due), s (shortfall of a capability). Only x must be
    # declared integral: for whole x the least y and s are whole by themselves, or tied.
    zero_x, zero_s = np.zeros(many), np.zeros(kinds)
    eye = np.eye(many)
    below = [np.hstack([-eye, eye, np.zeros((many, kinds))])]
    limits = [np.zeros(many)]
    crews: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        crew = candidates.crew_id[row]
        if crew is not None:
            crews.setdefault(crew, []).append(index)
    for members in crews.values():
        if len(members) > 1:
            one_crew = np.zeros(2 * many + kinds)
            one_crew[members] = 1.0
            below.append(one_crew[np.newaxis])
            limits.append(np.ones(1))
    covers = np.hstack([wanted[rows].T.astype(float), np.zeros((kinds, many)), np.eye(kinds)])
    first_due = np.concatenate([zero_x, np.ones(many), zero_s])[np.newaxis]
    objectives = [
        np.concatenate([zero_x, zero_x, np.ones(kinds)]),
        np.concatenate([doubtful[rows].astype(float), zero_x, zero_s]),
        np.concatenate([cost_s + UNIT_WEIGHT_S, FIRST_DUE_WEIGHT * cost_s, zero_s]),
    ]
    sent = zero_x
    for step, objective in enumerate(objectives):
        if step < 2 and not objective.any():
            continue
        solution = milp(
            objective,
            constraints=[
                LinearConstraint(np.vstack(below), ub=np.concatenate(limits)),
                LinearConstraint(covers, lb=needed),
                LinearConstraint(first_due, lb=1.0, ub=1.0),
            ],
            integrality=np.concatenate([np.ones(many), zero_x, zero_s]),
            bounds=Bounds(0.0, np.concatenate([np.ones(2 * many), needed])),
            options={"mip_rel_gap": 0.0},
        )
        if not solution.success:
            raise RuntimeError(f"the solver found no plan: {solution.message}")
        sent = np.round(solution.x[:many])
        if step < 2:
            # Both counts are whole numbers, so half a unit of slack holds them and spares the tolerances.
            below.append(objective[np.newaxis])
            limits.append(np.array([round(solution.fun) + 0.5]))
    return [row for row, yes in zip(rows, sent, strict=True) if yes]


def _undominated(
    candidates: Candidates, sendable: list[int], wanted: Bools, needed: Ints, doubtful: Bools
) -> list[int]:
    """The units that an optimal plan can need: of those that give exactly the same and have a crew of their
    own, no more than the largest count any of it is needed in, the less doubtful and sooner first. A plan
    with another can be exchanged for one without it that is no worse, so the result stays exact."""
    crews: dict[str, int] = {}
    for row in sendable:
        crew = candidates.crew_id[row]
        if crew is not None:
            crews[crew] = crews.get(crew, 0) + 1
    taken: dict[bytes, int] = {}
    kept: list[int] = []
    for row in sorted(sendable, key=lambda row: bool(doubtful[row])):
        crew = candidates.crew_id[row]
        if crew is None or crews[crew] == 1:
            pattern = wanted[row].tobytes()
            taken[pattern] = taken.get(pattern, 0) + 1
            if taken[pattern] > int(needed[wanted[row]].max()):
                continue
        kept.append(row)
    return sorted(kept, key=sendable.index)
