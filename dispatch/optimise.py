"""Which units to send, and why those: arrays in, Plan out. No clock, no I/O, no hidden randomness.

``recommend`` is exact. Units that break a hard rule are out; among the rest it takes, in this order,
(1) the smallest shortfall (needed capabilities left unfilled), (2) the fewest doubtful units, whose position
is over an hour old or unknown or who should have been free some time ago, (3) the smallest sum of weighted
lateness, the first arrival counting more, of what the units leave uncovered, and of a flat price a unit; see
``dispatch.fill`` and docs/optimiser.md. For the sake of coverage nobody arrives more than ``delta_s`` later.

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
    uncovers{capability,zone,minutes,share_pct}  its departure alone leaves that much of the zone's demand
                                without the capability for about so long
    spares{unit,delay_s}        sent that much later instead of that unit, whose absence would cost more
    delta-cap{delta_s}          would cost less elsewhere, and comes too late for that to be allowed
    staging{}                   its way ends at the staging point
On a unit that was not chosen (``WhyNot``), besides divert, confirm, too-far, ready-overdue, old-fix, no-fix
    not-needed{}                gives nothing that the incident still needs
    weakens-cover{calls_pct}    its departure would cost elsewhere more than it gains here: so many hundredths
                                of a late call
    covered{capabilities,units} the chosen units already fill all that it could
    crew-short{crew,crew_min}   too few people aboard for its capabilities to count
    crew-shared{unit}           its people are out with, or chosen with, that unit
    busy{incident,by}           works at that incident; by = who sent it
    not-sendable{status}        this status cannot be sent
    off-duty{}  out-of-service{}
    ready-unknown{}             nobody has said when it will be free
    out-of-zone{district}       its district has no competence here
    unreachable{}               no travel time: no way there, or no known place to start from
    on-its-way-cut-off{}        it was sent here and no way is left: what it gives is counted as missing
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import numpy as np

from dispatch.fill import PLAIN, Bools, Floats, Ints, Lateness, choose_one, fill
from dispatch.standby import Cover

__all__ = [
    "PLAIN",
    "Candidates",
    "Cost",
    "Lateness",
    "Pick",
    "Plan",
    "Reason",
    "WhyNot",
    "choose_one",
    "recommend",
]

STALE_S = 120.0
OLD_S = 3600.0
# A crew that said when it would be free is often a few minutes late; much later it may not come at all.
OVERDUE_S = 300.0
FAR_S = 7200.0
ROLLING = frozenset({"returning", "en_route", "staged"})
SENDABLE = ("now", "divert", "soon", "never")

ZONES_MAX = 3
"""So many zones that a unit leaves uncovered are named, the worst first."""
NOT_NEEDED_MAX = 20
"""So many of the nearer units that give nothing needed are named."""


def _left_out() -> Floats:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: a code of the list above and its arguments."""

    code: str
    args: Mapping[str, str | int | float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class _Roster:
    """What follows from words and call signs alone, so that it is worked out once for units that only move.
    bool[n] each; `crew` int[n] one number for each crew, -1 for a crew of its own; `by_id` int[n] the place
    of each in the order of call signs, None where they stand in that order."""

    rolling: Bools
    divert: Bools
    soon: Bools
    never: Bools
    blocked: Bools
    crew: Ints
    by_id: Ints | None

    @classmethod
    def of(cls, c: Candidates) -> _Roster:
        def are(words: Sequence[object]) -> Bools:
            return np.array(words, dtype=bool)

        number: dict[str, int] = {}
        crew = [-1 if one is None else number.setdefault(one, len(number)) for one in c.crew_id]
        ordered = sorted(range(len(c.ids)), key=c.ids.__getitem__)
        by_id = np.empty(len(ordered), dtype=np.int64)
        by_id[ordered] = np.arange(len(ordered))
        return cls(
            are([status in ROLLING for status in c.status]),
            are([one == "divert" for one in c.sendable]),
            are([one == "soon" for one in c.sendable]),
            are([one == "never" for one in c.sendable]),
            are([one is not None for one in c.blocked_by]),
            np.array(crew, dtype=np.int64),
            None if ordered == list(range(len(ordered))) else by_id,
        )


class _Enrolled:
    """Room for what is kept beside the columns and is none."""

    __slots__ = ("_roster",)
    _roster: _Roster


@dataclass(frozen=True, slots=True, eq=False)
class Candidates(_Enrolled):
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

    and, which may be left out:
    eta_low_s, eta_high_s  the band within which 8 of 10 arrivals fall, seconds like the ETA; nan = not known
    shift_left_s      seconds until its shift ends; nan = not known
    workload          share of the last hours that it worked, 0 to 1; nan = not known
    staging           bool: its way ends at a staging point, for it may not enter the scene
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
    eta_low_s: Floats = field(default_factory=_left_out)
    eta_high_s: Floats = field(default_factory=_left_out)
    shift_left_s: Floats = field(default_factory=_left_out)
    workload: Floats = field(default_factory=_left_out)
    staging: Bools = field(default_factory=lambda: np.empty(0, dtype=bool))

    def __post_init__(self) -> None:
        many = len(self.ids)
        for name in ("eta_low_s", "eta_high_s", "shift_left_s", "workload"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(many, np.nan))
        if not len(self.staging):
            object.__setattr__(self, "staging", np.zeros(many, dtype=bool))
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
            for word in sorted(set(getattr(self, name)).difference(allowed)):
                raise ValueError(f"{name}: {word!r} is not one of {', '.join(allowed)}")

    @property
    def roster(self) -> _Roster:
        try:
            return self._roster
        except AttributeError:
            found = _Roster.of(self)
            object.__setattr__(self, "_roster", found)
            return found

    def renewed(self, **columns: Floats | Bools) -> Candidates:
        """The same units with other figures: any of the columns that are flat arrays. Costs nothing, however
        many units there are. Raises ValueError naming a column that is another or of another length."""
        other = object.__new__(Candidates)
        object.__setattr__(other, "_roster", self.roster)
        for name, column in columns.items():
            if name not in _FIGURES or column.shape != (len(self.ids),):
                raise ValueError(f"{name} has shape {column.shape}; one figure a unit is renewed")
        for name in _COLUMNS:
            object.__setattr__(other, name, columns[name] if name in columns else getattr(self, name))
        return other

    def only(self, rows: Ints, **columns: Floats) -> Candidates:
        """Those rows alone, with other ``columns`` (of all n units) in place of theirs."""
        at = np.asarray(rows, dtype=np.intp)
        kept: dict[str, object] = {"capabilities": self.capabilities}
        for one in fields(self):
            column = columns.get(one.name, getattr(self, one.name))
            if one.name != "capabilities":
                kept[one.name] = (
                    column[at] if isinstance(column, np.ndarray) else tuple(column[i] for i in at)
                )
        return Candidates(**kept)  # type: ignore[arg-type]

    def eta_s(self) -> Floats:
        """Seconds from the order (a requested unit: from acceptance) to arrival; nan where not known."""
        roster = self.roster
        eta_s = self.drive_s + np.where(roster.rolling, 0.0, self.turnout_s)
        eta_s = eta_s + np.where(roster.soon, np.maximum(self.ready_in_s, 0.0), 0.0)
        return np.where(np.isfinite(eta_s), eta_s, np.nan)


_COLUMNS = tuple(one.name for one in fields(Candidates))
_FIGURES = frozenset(
    (
        "crew", "crew_min", "drive_s", "distance_m", "road", "turnout_s", "ready_in_s", "fix_age_s",
        "in_zone", "already", "eta_low_s", "eta_high_s", "shift_left_s", "workload", "staging",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """What sending costs, in late calls (see ``dispatch.fill``). ``late``: weighted lateness, with the extra
    weight of a first arrival; ``uncovered``: what is expected to be missed elsewhere meanwhile, weighted;
    ``other``: the flat price a unit, workload and shift end."""

    late: float = 0.0
    uncovered: float = 0.0
    other: float = 0.0

    @property
    def total(self) -> float:
        return self.late + self.uncovered + self.other

    def __add__(self, more: Cost) -> Cost:
        return Cost(self.late + more.late, self.uncovered + more.uncovered, self.other + more.other)


@dataclass(frozen=True, slots=True)
class Pick:
    """A unit that is offered. Times in seconds, ``turnout_s`` as counted in the ETA (0 when rolling).
    ``eta_low_s``, ``eta_high_s``: the band, None = not known. ``fix_age_s`` None = never had a fix.
    ``fills``: the capabilities it is counted for. ``cost``: its own part of the plan's."""

    unit: str
    command: str
    eta_s: float
    eta_low_s: float | None
    eta_high_s: float | None
    drive_s: float
    turnout_s: float
    distance_m: float
    road: bool
    staging: bool
    fix_age_s: float | None
    fills: tuple[str, ...]
    cost: Cost
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """A unit that one might have expected in the plan. ``eta_s`` and its band None = not known; ``cost`` None
    = it could not have been chosen."""

    unit: str
    eta_s: float | None
    eta_low_s: float | None
    eta_high_s: float | None
    cost: Cost | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """``chosen`` and ``alternatives`` by ETA (alternatives with an old position last). ``not_chosen``: every
    unit that would arrive before the slowest chosen one (of those that give nothing needed, the nearest
    ``NOT_NEEDED_MAX``), every unit that gives something still missing, and every unit that gives something
    needed but has no ETA. ``missing``: capability -> count nobody fills; ``nobody``: those of them that no
    unit gives at all, whatever it does now. ``cost``: of all that is chosen."""

    chosen: tuple[Pick, ...]
    alternatives: tuple[Pick, ...]
    not_chosen: tuple[WhyNot, ...]
    missing: dict[str, int]
    complete: bool
    nobody: tuple[str, ...] = ()
    cost: Cost = Cost()


def recommend(
    candidates: Candidates,
    needs: Mapping[str, int],
    *,
    curve: Lateness = PLAIN,
    cover: Cover | None = None,
    cover_weight: float = 1.0,
    away_s: float = 3600.0,
    delta_s: float = np.inf,
    top: int = 5,
    stale_s: float = STALE_S,
    old_s: float = OLD_S,
    far_s: float = FAR_S,
) -> Plan:
    """The best units for ``needs`` (capability -> how many units must have it, the incident's whole need).

    What the ``already`` assigned units give is counted first and they are not chosen again. ``curve``: what
    lateness costs this incident. ``cover``: what the units cover, row for row as ``candidates``; a call that
    is expected to find nobody in reach during the ``away_s`` that a unit is gone costs ``cover_weight``, and
    for the sake of that nobody arrives more than ``delta_s`` later than otherwise. ``top`` limits the
    alternatives; when nothing is missing they come from the whole ``needs``, for whoever wants one more.
    Nobody farther than ``far_s`` is chosen. Raises ValueError for a capability that is no column of
    ``candidates``, a negative count, or a ``cover`` of other units.
    """
    column = _columns(candidates, needs)
    if cover is not None and cover.row.shape[1] != len(candidates.ids):
        raise ValueError(f"cover counts {cover.row.shape[1]} units, candidates {len(candidates.ids)}")
    at_work = candidates.gives[candidates.already & (candidates.crew >= candidates.crew_min)]
    left = {name: count - int(at_work[:, column[name]].sum()) for name, count in needs.items()}
    remaining = {name: count for name, count in left.items() if count > 0}
    # Once all is covered the alternatives still answer to the whole need.
    names = tuple(remaining or (name for name, count in needs.items() if count > 0))
    wanted: Bools = candidates.gives[:, [column[name] for name in names]]
    useful: Bools = np.asarray(wanted.any(axis=1))

    eta_s = candidates.eta_s()
    roster = candidates.roster
    old: Bools = ~(candidates.fix_age_s <= old_s)
    doubtful = doubtful_rows(candidates, old_s)
    far: Bools = eta_s > far_s
    order = _by_eta(candidates, eta_s)
    order = order[~candidates.already[order]]
    stays = kept_back_rows(candidates) | ~candidates.in_zone | ~np.isfinite(candidates.drive_s)
    possible = order[useful[order] & ~stays[order]]
    sendable = possible[~(roster.divert | far)[possible]]
    late = curve.late(eta_s)
    tie = tie_costs(candidates, curve, away_s)
    per_call = cover_weight * away_s / 3600.0

    def uncovered(rows: Ints) -> Floats:
        return per_call * cover.loss(rows) if cover is not None else np.zeros(len(rows))

    def chosen_rows() -> list[int]:
        if not remaining or not len(sendable):
            return []
        at = fill(
            wanted[sendable],
            np.array(list(remaining.values())),
            eta_s[sendable],
            late[sendable],
            doubtful[sendable],
            _crews(candidates, sendable),
            extra=(lambda rows: uncovered(sendable[rows]) + tie[sendable[rows]])
            if cover is not None or tie.any()
            else None,
            unit=curve.unit,
            first_due=curve.first_due,
            delta_s=delta_s,
        )
        return [int(row) for row in sendable[at]]

    chosen = chosen_rows()
    missing = dict(remaining)
    fills: dict[int, tuple[str, ...]] = {}
    for row in chosen:
        fills[row] = tuple(name for name in _given(names, wanted[row]) if missing[name] > 0)
        for name in fills[row]:
            missing[name] -= 1
    missing = {name: count for name, count in missing.items() if count > 0}
    lacking: Bools = np.asarray(wanted[:, [name in missing for name in names]].any(axis=1))
    chosen_crew = {candidates.crew_id[row]: row for row in chosen if candidates.crew_id[row] is not None}

    def crew_taken(row: int) -> list[Reason]:
        other = chosen_crew.get(candidates.crew_id[row]) if chosen_crew else None
        return [] if other is None else [Reason("crew-shared", {"unit": candidates.ids[other]})]

    free = ~np.isin(possible, chosen)
    if chosen_crew:
        free &= ~np.isin(roster.crew[possible], roster.crew[list(chosen_crew.values())])
    unsure = doubtful[possible]
    others = [*possible[free & ~unsure][: max(top, 0)].tolist(), *possible[free & unsure].tolist()]
    others = others[: max(top, 0)]
    slowest_s = float(eta_s[chosen[-1]]) if chosen else -np.inf
    nearer = order[eta_s[order] < slowest_s]
    expected = (useful & ((eta_s < slowest_s) | np.isnan(eta_s))) | lacking
    expected[nearer[~useful[nearer]][:NOT_NEEDED_MAX]] = True
    expected[chosen] = False
    passed = order[expected[order]].tolist()

    # What the departure of each unit that is talked about would cost.
    weighed = [*chosen, *others]
    weighed += [row for row in passed if useful[row] and not stays[row] and row not in others]
    losses = dict(zip(weighed, uncovered(np.array(weighed, dtype=np.int64)).tolist(), strict=True))
    zones: dict[int, list[Reason]] = {}
    free_at_s = {
        row: float(candidates.ready_in_s[row])
        for row in np.flatnonzero(roster.soon & (candidates.ready_in_s >= 0.0)).tolist()
    }
    if cover is not None:
        asked = weighed[: len(chosen) + len(others) + 10]
        for row, found in zip(asked, cover.uncovers(asked), strict=True):
            zones[row] = [
                Reason(
                    "uncovers",
                    {
                        "capability": one.capability,
                        "zone": one.zone,
                        "minutes": _minutes(free_at_s, cover, row, one.capability, away_s),
                        "share_pct": round(100 * one.share),
                    },
                )
                for one in found[:ZONES_MAX]
            ]

    def cost_of(row: int) -> Cost:
        # Who is not chosen and comes before all who are would have been the first.
        soonest = not chosen or row == chosen[0] or (row not in fills and eta_s[row] < eta_s[chosen[0]])
        first = 1.0 + (curve.first_due if soonest else 0.0)
        return Cost(first * float(late[row]), losses[row], curve.unit + float(tie[row]))

    def better_covered(row: int, than: int) -> bool:
        return bool(losses.get(row, 0.0) < losses.get(than, 0.0))

    sendable_s = eta_s[sendable]
    rivals_of: dict[tuple[str, ...], Ints] = {}

    def rank_of(row: int, counted: tuple[str, ...]) -> int:
        """1 and how many that can be sent and give any of that are sooner."""
        if (rivals := rivals_of.get(counted)) is None:
            given = wanted[sendable][:, [name in counted for name in names]].any(axis=1)
            rivals = rivals_of[counted] = np.concatenate(([0], np.cumsum(given)))
        return 1 + int(rivals[np.searchsorted(sendable_s, eta_s[row])])

    def pick(row: int, counted: tuple[str, ...], extra: Sequence[Reason]) -> Pick:
        rank = rank_of(row, counted)
        reasons = [Reason("fills", {"capabilities": ",".join(counted)}), Reason("nearest", {"rank": rank})]
        reasons.append(_position(candidates, row, stale_s, old_s))
        if not candidates.road[row]:
            reasons.append(Reason("straight-line"))
        if candidates.staging[row]:
            reasons.append(Reason("staging"))
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
            eta_low_s=_known(candidates.eta_low_s[row]),
            eta_high_s=_known(candidates.eta_high_s[row]),
            drive_s=float(candidates.drive_s[row]),
            turnout_s=0.0 if candidates.status[row] in ROLLING else float(candidates.turnout_s[row]),
            distance_m=float(candidates.distance_m[row]),
            road=bool(candidates.road[row]),
            staging=bool(candidates.staging[row]),
            fix_age_s=None if np.isnan(age_s) else age_s,
            fills=counted,
            cost=cost_of(row),
            reasons=(*reasons, *zones.get(row, ()), *extra),
        )

    def readiness(row: int) -> list[Reason]:
        ready_in_s = float(candidates.ready_in_s[row])
        if candidates.sendable[row] != "soon":
            return []
        if ready_in_s < 0:
            return [Reason("ready-overdue", {"late_s": -ready_in_s})]
        return [Reason("ready-in", {"ready_in_s": ready_in_s})]

    def spared(row: int) -> list[Reason]:
        """The soonest unit that could have filled the same and stays for what it covers."""
        for one in passed:
            if one not in losses or eta_s[one] >= eta_s[row] or not better_covered(row, one):
                continue
            if set(_given(names, wanted[one])) & set(fills[row]):
                free = candidates.sendable[one] != "divert" and not doubtful[one]
                if free and not crew_taken(one):
                    delay_s = float(eta_s[row] - eta_s[one])
                    return [Reason("spares", {"unit": candidates.ids[one], "delay_s": delay_s})]
        return []

    def capped(row: int, rival: int) -> bool:
        """Whether it would cost less than the chosen one and only the cap on its delay stands against it."""
        first = 1.0 + (curve.first_due if rival == chosen[0] else 0.0)
        cheaper = first * late[row] + losses[row] < first * late[rival] + losses[rival]
        return bool(cover is not None and cheaper and eta_s[row] > eta_s[rival] + delta_s)

    def alternative(row: int) -> Pick:
        given = _given(names, wanted[row])
        extra = _diverting(candidates, row)
        rivals = [one for one in chosen if set(fills[one]) & set(given)]
        beaten = [one for one in rivals if eta_s[one] > eta_s[row]]
        if beaten:
            slowest = beaten[-1]
            gain_s = float(eta_s[slowest] - eta_s[row])
            extra.append(Reason("faster-alternative", {"unit": candidates.ids[slowest], "gain_s": gain_s}))
        elif rivals and capped(row, rivals[0]):
            extra.append(Reason("delta-cap", {"delta_s": delta_s}))
        return pick(row, given, extra)

    def why_not(row: int) -> WhyNot:
        reasons = _barriers(candidates, row) if stays[row] else []
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
            by = [one for one in chosen if set(fills[one]) & set(filled)]
            if any(eta_s[one] > eta_s[row] and better_covered(one, row) for one in by):
                reasons += zones.get(row) or [Reason("weakens-cover", {"calls_pct": _pct(losses[row])})]
            if by:
                units = ",".join(candidates.ids[one] for one in by)
                reasons.append(Reason("covered", {"capabilities": ",".join(filled), "units": units}))
        return WhyNot(
            candidates.ids[row],
            _known(eta_s[row]),
            _known(candidates.eta_low_s[row]),
            _known(candidates.eta_high_s[row]),
            cost_of(row) if row in losses else None,
            tuple(reasons),
        )

    picks = tuple(pick(row, fills[row], spared(row)) for row in chosen)
    return Plan(
        chosen=picks,
        alternatives=tuple(alternative(row) for row in others),
        not_chosen=tuple(why_not(row) for row in passed),
        missing=missing,
        complete=not missing,
        nobody=tuple(name for name in missing if not candidates.gives[:, column[name]].any()),
        cost=sum((one.cost for one in picks), Cost()),
    )


def _columns(candidates: Candidates, needs: Mapping[str, int]) -> dict[str, int]:
    column = {capability: index for index, capability in enumerate(candidates.capabilities)}
    for capability, count in needs.items():
        if capability not in column:
            raise ValueError(f"needs: unknown capability {capability!r}")
        if count < 0:
            raise ValueError(f"needs: {capability} is {count}; a count cannot be negative")
    return column


def _by_eta(candidates: Candidates, eta_s: Floats) -> Ints:
    """All rows, soonest first, unknown last; equal times by call sign, so the order of rows never matters."""
    times = np.where(np.isnan(eta_s), np.inf, eta_s)
    by_id = candidates.roster.by_id
    return np.argsort(times, kind="stable") if by_id is None else np.lexsort((by_id, times))


def kept_back_rows(candidates: Candidates) -> Bools:
    """bool[n]: whether status or crew keeps the unit back from any incident; ``kept_back`` says which."""
    roster = candidates.roster
    kept: Bools = roster.never | roster.blocked | (candidates.crew < candidates.crew_min)
    kept |= roster.soon & ~np.isfinite(candidates.ready_in_s)
    at_work = roster.crew[candidates.already]
    at_work = at_work[at_work >= 0]
    if len(at_work):
        kept |= np.isin(roster.crew, at_work)
    return kept


def doubtful_rows(candidates: Candidates, old_s: float = OLD_S) -> Bools:
    """bool[n]: who is used after all others: its position is old or was never known, or it is overdue."""
    soon = candidates.roster.soon
    return np.asarray(~(candidates.fix_age_s <= old_s) | (soon & (candidates.ready_in_s < -OVERDUE_S)))


def tie_costs(candidates: Candidates, curve: Lateness, away_s: float) -> Floats:
    """float64[n]: what tells units apart that cost the same otherwise."""
    return curve.tie * tie_shares(candidates, away_s)


def tie_shares(candidates: Candidates, away_s: float) -> Floats:
    """float64[n], 0 to 2: the same in units of ``Lateness.tie``. Unknown counts as rested, with a long shift
    ahead."""
    worked = np.clip(np.nan_to_num(candidates.workload), 0.0, 1.0)
    left = np.nan_to_num(candidates.shift_left_s, nan=away_s)
    return np.asarray(worked + 1.0 - np.clip(left / away_s, 0.0, 1.0))


def _crews(candidates: Candidates, rows: Ints) -> Ints:
    """int[n]: a number for each crew, -1 for those of their own."""
    return np.asarray(candidates.roster.crew[rows])


def _minutes(
    free_at_s: Mapping[int, float], cover: Cover, row: int, capability: str, away_s: float
) -> int:  # fmt: skip
    """How long its part of the city is expected to stay without: until the unit is back, or until one that
    gives the same becomes free in reach of any of it. `free_at_s`: when those that are soon free are."""
    gone_s = away_s
    standard, at = next(
        (one, rows)
        for one, rows in zip(cover.standards, cover.row, strict=True)
        if one.capability == capability and rows[row] >= 0
    )
    alone = standard.reached[at[row]] & (standard.k == 1)
    for other, ready_in_s in free_at_s.items():
        if ready_in_s < gone_s and at[other] >= 0 and (standard.reached[at[other]] & alone).any():
            gone_s = ready_in_s
    return max(1, round(gone_s / 60.0))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _pct(calls: float) -> int:
    return max(1, round(100 * calls))


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


def kept_back(candidates: Candidates, row: int) -> list[Reason]:
    """What of its status and crew keeps this unit back from any incident."""
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
    return reasons


def _barriers(candidates: Candidates, row: int) -> list[Reason]:
    """The hard rules that keep this one unit out of this incident, whatever the others do."""
    reasons = kept_back(candidates, row)
    if not candidates.in_zone[row]:
        reasons.append(Reason("out-of-zone", {"district": candidates.districts[row] or ""}))
    if not np.isfinite(candidates.drive_s[row]):
        reasons.append(Reason("unreachable"))
    return reasons
