"""A recommendation for one incident: fixes and roads in, the domain's plan out, in words.

Computed on every reading, outside the writer's lock, from the latest committed state and fixes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import detours
from app.core import Core
from app.fleet import Columns
from app.living_map import Party
from app.rows import Rows, needs_of, rfc3339
from app.tracks import Fixes
from app.words import Words
from dispatch.assign import Found, Search
from dispatch.commands import who
from dispatch.fill import Lateness
from dispatch.incident import Incident
from dispatch.optimise import FAR_S, STALE_S, Candidates, Cost, Pick, Plan, Reason, WhyNot, recommend
from dispatch.plans import Pack
from dispatch.standby import Cover
from gis.geometry import haversine_m
from gis.travel import PRIORITY, THERE_M, RoadGraph, Snaps, straight_line, straight_lines

USELESS_MAX = 20
"""Of so many units that give nothing needed the time is worked out: to say why a near one does not go."""
USUAL_MAX = 6
"""Of so many units more than are needed it is asked whether a closure keeps them out of the plan."""
DISTANCES_MAX = 64
"""Of so many units the metres are worked out: those that are offered."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The plan and what it was made from: fixes as unit -> (lon, lat, observed_us), of the units offered.
    `waiting_for` are the units whose agencies were asked and have not answered; they fill nothing, and the
    plan is what to do without them. `cut_off`: units on their way there that can arrive no more; they fill
    nothing either. `road_network` tells the two causes of straight lines apart: False where
    there is no city, True where none of the units, or not the incident, is near its roads. `modes`: how each
    unit drives there. `fresh`, `as_of_us`: of the coverage figures, None where there are none. `metres()`:
    how far each unit offered drives, worked out when it is asked for."""

    incident: str
    plan: Plan
    travel: str
    road_network: bool
    waiting_for: tuple[str, ...]
    types: Mapping[str, str]
    modes: Mapping[str, str]
    fixes: Mapping[str, tuple[float, float, int]]
    fresh: bool | None
    as_of_us: int | None
    closures: tuple[str, ...]
    cut_off: tuple[str, ...]
    candidates: Candidates
    metres: Callable[[], Mapping[str, float]]
    computed_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """All units as seen from one incident, row for row: the columns of the log, what the optimiser takes,
    how each one drives, where it was last. `metres(rows)` float64[n]: how far those drive. `places`
    float64[n, 2]: lon, lat of each, its station where it has no fix. `ways`: the roads to the incident
    itself, for those who do not wait outside a hazard zone."""

    columns: Columns
    candidates: Candidates
    modes: tuple[str, ...]
    fixes: Fixes
    metres: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    travel: str
    places: NDArray[np.float64]
    ways: RoadGraph | None


def compute(core: Core, rows: Rows, incident: Incident) -> Recommendation:
    """Raises nothing for missing fixes, roads or units: the plan then says what is missing and why."""
    started = time.perf_counter()
    lon, lat, _ = rows.place_of(incident)
    now_us = core.world.clock.now_us()
    needs = needs_of(incident, core.pack)
    looked = look(core, incident, lon, lat, now_us, needs)
    columns = looked.columns
    standing = core.coverage.standing(columns.ids, now_us)
    rules = core.pack.optimiser
    cut_off = _cut_off(looked, needs)
    counted = looked.candidates
    if len(cut_off):
        already = counted.already.copy()
        already[cut_off] = False
        counted = replace(counted, already=already)
    cover = standing.cover if standing is not None and rules.coverage > 0 else None

    def planned(candidates: Candidates, cover: Cover | None, top: int = 5) -> Plan:
        return recommend(
            candidates,
            needs,
            curve=curve,
            cover=cover,
            cover_weight=rules.coverage,
            away_s=away_s,
            delta_s=rules.delta_s.get(incident.priority, math.inf),
            top=top,
        )

    curve, away_s = curve_of(core, incident, now_us), away_s_of(core, incident)
    plan = planned(counted, cover)
    at = columns.rows
    offered = [at[pick.unit] for pick in (*plan.chosen, *plan.alternatives)][:DISTANCES_MAX]

    def metres() -> Mapping[str, float]:
        found = looked.metres(np.array(offered, dtype=np.int64)).tolist()
        return dict(zip((columns.ids[row] for row in offered), found, strict=True))

    def if_asked(why: WhyNot) -> WhyNot:
        row = at[why.unit]
        asked = columns.asked[row]
        if asked is None or asked.asked is None:
            return why
        other = core.picture.now.incident(asked.asked.incident)
        args = {"by": who(asked.asked.asked_by), "incident": other.number if other else asked.asked.incident}
        own = asked.id == why.unit
        reason = Reason("asked", args) if own else Reason("crew-asked", {"unit": asked.id, **args})
        return replace(why, reasons=(reason,))

    lost = tuple(columns.ids[row] for row in cut_off.tolist())
    stuck = (Reason("on-its-way-cut-off"), Reason("unreachable"))
    plan = replace(
        plan,
        not_chosen=(
            *(WhyNot(unit, None, None, None, None, stuck) for unit in lost),
            *(if_asked(why) for why in plan.not_chosen if why.unit not in lost),
        ),
    )
    named = [*offered, *(at[why.unit] for why in plan.not_chosen)]
    usual = _usual(core, looked, needs, lon, lat, now_us)
    # Who waits outside was sent elsewhere, not kept away; who reaches not even that place was.
    staging, none = looked.candidates.staging, ~np.isfinite(looked.candidates.drive_s)
    there = [row for row in dict.fromkeys((*named, *usual)) if not staging[row] or none[row]]
    places = {columns.ids[row]: (looked.places[row, 0], looked.places[row, 1]) for row in there}
    modes = {columns.ids[row]: looked.modes[row] for row in there}
    free_s = detours.unhindered_s(core, lon, lat, now_us, places, modes)
    kept_away: set[str] = set()
    drive_s = looked.candidates.drive_s
    chosen = {pick.unit for pick in plan.chosen}
    held_up = [unit for unit, one_s in free_s.items() if drive_s[at[unit]] - one_s >= detours.KEPT_AWAY_S]
    # Who is in the plan all the same, or of no use in it, is kept from nothing.
    if _useful(looked, needs, [at[unit] for unit in held_up if unit not in chosen]):
        # What would be done if nothing were in force, by the few who would do it.
        rows_ = np.unique([*there, *np.flatnonzero(looked.candidates.already)]).astype(np.int64)
        open_s = drive_s.copy()
        open_s[[at[unit] for unit in free_s]] = list(free_s.values())
        few = None if cover is None else cover.only(rows_)
        kept_away = {
            pick.unit
            for pick in planned(looked.candidates.only(rows_, drive_s=open_s), few, 0).chosen
            if pick.unit not in chosen
            and drive_s[at[pick.unit]] - free_s.get(pick.unit, np.inf) >= detours.KEPT_AWAY_S
        }
        if new := kept_away.difference(columns.ids[row] for row in named):
            now = planned(looked.candidates.only(rows_), few, len(rows_))
            plan = replace(plan, not_chosen=(*plan.not_chosen, *_kept_away(plan, now, sorted(new))))
            named += [at[unit] for unit in sorted(new)]
    plan, closures = detours.explain(
        core, plan, lon, lat, now_us, looked.ways, places, modes,
        {unit: float(drive_s[at[unit]]) for unit in places}, free_s, kept_away,
    )  # fmt: skip
    if looked.candidates.staging[named].any():
        hazards = (hazard.id for hazard in core.living_map.hazards_at(lon, lat))
        closures = tuple(dict.fromkeys((*closures, *hazards)))
    seen = [row for row in offered if looked.fixes.observed_us[columns.n[row]] > 0]
    return Recommendation(
        incident.id,
        plan,
        looked.travel,
        core.city is not None,
        tuple(r.unit for r in incident.requests if r.state == "asked"),
        {columns.ids[row]: columns.types[row] for row in named},
        {columns.ids[row]: looked.modes[row] for row in offered},
        {
            columns.ids[row]: (
                float(looked.fixes.lon[columns.n[row]]),
                float(looked.fixes.lat[columns.n[row]]),
                int(looked.fixes.observed_us[columns.n[row]]),
            )
            for row in seen
        },
        None if standing is None else standing.fresh,
        None if standing is None else standing.as_of_us,
        closures,
        lost,
        looked.candidates,
        metres,
        (time.perf_counter() - started) * 1000,
    )


def _usual(
    core: Core, looked: Looked, needs: Mapping[str, int], lon: float, lat: float, now_us: int
) -> list[int]:
    """Where something is in force: the rows of the units that are nearest as the crow flies and give what is
    needed, whether or not they are in the plan."""
    if not core.living_map.obstacles(now_us):
        return []
    c = looked.candidates
    found: list[int] = []
    for name, count in needs.items():
        rows = np.flatnonzero(c.gives[:, c.capabilities.index(name)] & (c.crew >= c.crew_min) & ~c.already)
        crow_m = haversine_m(lon, lat, looked.places[rows, 0], looked.places[rows, 1])
        nearest = rows[np.argsort(crow_m, kind="stable")].tolist()
        able = (
            row
            for row in nearest
            if c.sendable[row] in ("now", "soon") and math.isfinite(looked.places[row, 0])
        )
        found += islice(able, USUAL_MAX + count)
    return found


def _useful(looked: Looked, needs: Mapping[str, int], rows: Sequence[int]) -> bool:
    """Whether any of these rows gives something needed and is not there already."""
    c = looked.candidates
    needed = [needs.get(name, 0) > 0 for name in c.capabilities]
    return bool((c.gives[rows][:, needed].any(axis=1) & ~c.already[rows]).any())


def _kept_away(plan: Plan, now: Plan, units: Sequence[str]) -> list[WhyNot]:
    """These units as ones that were not chosen. `now`: a plan that has every alternative."""
    picks = {pick.unit: pick for pick in now.alternatives}
    found = []
    for unit in units:
        pick = picks.get(unit)
        if pick is None:
            found.append(WhyNot(unit, None, None, None, None, ()))
            continue
        by = [one for one in plan.chosen if set(one.fills) & set(pick.fills)]
        filled = [name for name in pick.fills if any(name in one.fills for one in by)]
        args = {"capabilities": ",".join(filled), "units": ",".join(one.unit for one in by)}
        covered = (Reason("covered", args),) if by else ()
        found.append(WhyNot(unit, pick.eta_s, pick.eta_low_s, pick.eta_high_s, pick.cost, covered))
    return found


def _cut_off(looked: Looked, needs: Mapping[str, int]) -> NDArray[np.int64]:
    """Rows of the units on their way that would give something needed and for which no way is left, by a
    position that is fresh."""
    c = looked.candidates
    if not c.already.any():
        return np.empty(0, dtype=np.int64)
    lost = c.already & looked.columns.underway & ~np.isfinite(c.drive_s) & (c.fix_age_s <= STALE_S)
    needed = [needs.get(name, 0) > 0 for name in c.capabilities]
    return np.flatnonzero(lost & c.gives[:, needed].any(axis=1))


def away_s_of(core: Core, incident: Incident) -> float:
    """How long a unit that is sent there is expected to be gone: as this city's history has it for the type,
    else the pack's."""
    away = core.coverage.away(incident.type)
    return float(core.pack.optimiser.away_s) if away.prior else away.seconds


def curve_of(core: Core, incident: Incident, now_us: int) -> Lateness:
    """What lateness costs this incident from now on, by the operator's rules."""
    priority = core.pack.priorities.get(incident.priority)
    waited_s = max(0.0, (now_us - incident.reported_us) / 1e6)
    arrived = any("on_scene" in one.times for one in incident.assignments)
    # Once somebody is there the target has been met or missed, and only minutes count.
    target_s = None if priority is None or arrived else priority.target_s
    return Lateness.of(core.pack.optimiser, incident.priority, target_s, waited_s)


def arrivals(
    core: Core, scenes: Sequence[tuple[Incident, float, float]], now_us: int
) -> tuple[Candidates, Search, NDArray[np.bool_]]:
    """All units; who of them is soonest at each of m incidents at (lon, lat): seconds from the order to the
    arrival, with turnout, waiting and driving; and bool[m, n] whose way ends at a staging point. The
    candidates' own travel columns are empty."""
    c = core.fleet.now()
    lons, lats, age_s, _ = whereabouts(core, c, now_us)
    many = len(c.ids)
    staging = np.zeros((len(scenes), many), dtype=bool)
    ways = core.living_map.ways()
    at = np.array([(lon, lat) for _, lon, lat in scenes], dtype=np.float64).reshape(len(scenes), 2)
    hurries = np.array(
        [core.pack.drives_with_priority(True, one.priority) for one, _, _ in scenes], dtype=bool
    )
    etas = core.speeds.etas(
        c.crews[False],
        standard_s=c.turnout_s,
        drive_s=np.zeros(many),
        road=np.ones(many, dtype=bool),
        rolling=c.rolling,
        fix_age_s=age_s,
        hour=core.speeds.hour(now_us),
    )
    nowhere = np.full(many, np.nan)
    candidates = _as_candidates(
        c, now_us, drive_s=nowhere, road=np.zeros(many, dtype=bool), turnout_s=etas.turnout_s,
        fix_age_s=age_s, already=np.zeros(many, dtype=bool), eta_low_s=nowhere, eta_high_s=nowhere,
        staging=np.zeros(many, dtype=bool),
    )  # fmt: skip
    ready_s = etas.turnout_s + waiting_s(c, now_us)
    outside: dict[int, NDArray[np.float64]] = {}
    for nth, (_, lon, lat) in enumerate(scenes):
        if core.living_map.hazards_at(lon, lat):
            # Here some wait outside, and others drive where nobody else may.
            parties = core.living_map.parties(lon, lat, tuple(core.pack.capabilities), c.gives, c.profiles)
            outside[nth] = _travel(core, c, parties, lons, lats, bool(hurries[nth]))[0] + ready_s
            for party in parties:
                staging[nth, party.rows] = party.staging
    in_hazard = np.isin(np.arange(len(scenes)), list(outside))
    stands: dict[tuple[bool, str], Snaps] = {}
    places: dict[str, Snaps] = {}

    def search(incidents: NDArray[np.int64], rows: NDArray[np.int64], k: int) -> Found:
        beyond_s = np.full(len(incidents), np.inf)
        pairs: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.floating[Any]]]] = []
        for place in np.flatnonzero(in_hazard[incidents]).tolist():
            eta_s = outside[int(incidents[place])][rows]
            there = np.isfinite(eta_s)
            pairs.append((np.full(int(there.sum()), place, dtype=np.int64), rows[there], eta_s[there]))
        wanted = np.zeros(many, dtype=bool)
        wanted[rows] = True
        for hurry in (False, True):
            to = np.flatnonzero((hurries[incidents] == hurry) & ~in_hazard[incidents])
            for how, all_ in c.by_mode[hurry].items() if len(to) else ():
                use = np.flatnonzero(wanted[all_])
                own = all_[use]
                if not len(own):
                    continue
                if ways is None:
                    goal = at[incidents[to]]
                    eta_s = straight_lines(lons[own], lats[own], goal[:, 0], goal[:, 1], how) + ready_s[own]
                    nth, unit = np.nonzero(np.isfinite(eta_s))
                    pairs.append((to[nth], own[unit], eta_s[nth, unit]))
                    continue
                if (hurry, how) not in stands:
                    stands[hurry, how] = core.fleet.places(c, ways, how, all_, lons[all_], lats[all_])
                if how not in places:
                    places[how] = ways.snap(at[:, 0], at[:, 1], how, arriving=True)
                found = ways.soonest(
                    _some(stands[hurry, how], use), _some(places[how], incidents[to]), how, k,
                    ready_s=ready_s[own], limit_s=FAR_S,
                )  # fmt: skip
                pairs.append((to[found.place], own[found.row], found.seconds))
                beyond_s[to] = np.minimum(beyond_s[to], found.beyond_s)
        if not pairs:
            nothing = np.empty(0, dtype=np.int64)
            return Found(nothing, nothing, np.empty(0), beyond_s)
        return Found(
            np.concatenate([pair[0] for pair in pairs]),
            np.concatenate([pair[1] for pair in pairs]),
            np.concatenate([pair[2] for pair in pairs]),
            beyond_s,
        )

    return candidates, search, staging


def whom_to_ask(pack: Pack, capability: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(partners that bring the capability, agencies that have units which give it), for mutual aid."""
    partners = tuple(one.code for one in pack.partners.values() if one.gives == capability)
    agencies = dict.fromkeys(kind.agency for kind in pack.unit_types.values() if capability in kind.gives)
    return partners, tuple(agencies)


def look(
    core: Core,
    incident: Incident,
    lon: float,
    lat: float,
    now_us: int,
    needs: Mapping[str, int] | None = None,
) -> Looked:
    """Every unit as it would travel to (lon, lat) now for this incident. With `needs`, of those that give
    none of them only the `USELESS_MAX` nearest as the crow flies are searched a way for."""
    c = core.fleet.now()
    lons, lats, age_s, fixes = whereabouts(core, c, now_us)
    hurry = core.pack.drives_with_priority(True, incident.priority)
    modes = c.modes[hurry]
    wanted = np.ones(len(c.ids), dtype=bool)
    if needs is not None:
        useful = [name in needs for name in core.pack.capabilities]
        wanted = np.asarray(c.gives[:, useful].any(axis=1), dtype=bool)
        useless = np.flatnonzero(~wanted)
        crow_m = haversine_m(lon, lat, lons[useless], lats[useless])
        wanted[useless[np.argsort(crow_m, kind="stable")[:USELESS_MAX]]] = True
    parties = core.living_map.parties(lon, lat, tuple(core.pack.capabilities), c.gives, c.profiles)
    drive_s, road, metres = _travel(core, c, parties, lons, lats, hurry, wanted)
    etas = core.speeds.etas(
        c.crews[hurry],
        standard_s=c.turnout_s,
        drive_s=drive_s,
        road=road,
        rolling=c.rolling,
        fix_age_s=age_s,
        hour=core.speeds.hour(now_us),
    )
    staging = np.zeros(len(c.ids), dtype=bool)
    for party in parties:
        staging[party.rows] = party.staging
    already = np.zeros(len(c.ids), dtype=bool)
    already[c.sent.get(incident.id, [])] = True
    candidates = _as_candidates(
        c, now_us, drive_s=drive_s, road=road, turnout_s=etas.turnout_s, fix_age_s=age_s,
        staging=staging, already=already,
        eta_low_s=etas.low_s, eta_high_s=etas.high_s,
    )  # fmt: skip
    return Looked(
        c,
        candidates,
        modes,
        fixes,
        metres,
        "road" if road.any() else "straight",
        np.column_stack((lons, lats)),
        parties[0].ways,
    )


def whereabouts(
    core: Core, c: Columns, now_us: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], Fixes]:
    """(lon, lat, age of the fix in seconds) of each unit, and all last fixes. A unit without a fix is
    taken to be at its station, and its age is nan."""
    fixes = core.tracks.arrays()
    observed_us = fixes.observed_us[c.n]
    known = observed_us > 0
    # Without a fix the best guess is its station; the plan still says that there is no fix.
    lons = np.where(known, fixes.lon[c.n], c.base[:, 0])
    lats = np.where(known, fixes.lat[c.n], c.base[:, 1])
    return lons, lats, np.where(known, np.maximum(0.0, (now_us - observed_us) / 1e6), np.nan), fixes


def waiting_s(c: Columns, now_us: int) -> NDArray[np.float64]:
    """float64[n]: until those are free that will be so soon, nan where nobody knows; else 0."""
    return np.where(c.soon, np.maximum((c.ready_us - now_us) / 1e6, 0.0), 0.0)


def _as_candidates(
    c: Columns,
    now_us: int,
    *,
    drive_s: NDArray[np.float64],
    road: NDArray[np.bool_],
    turnout_s: NDArray[np.float64],
    fix_age_s: NDArray[np.float64],
    already: NDArray[np.bool_],
    eta_low_s: NDArray[np.float64],
    eta_high_s: NDArray[np.float64],
    staging: NDArray[np.bool_],
) -> Candidates:
    """What the optimiser takes. The band is that of turnout and drive; waiting to be free comes on top."""
    wait_s = waiting_s(c, now_us)
    return c.candidates.renewed(
        drive_s=drive_s,
        road=road,
        turnout_s=turnout_s,
        ready_in_s=(c.ready_us - now_us) / 1e6,
        fix_age_s=fix_age_s,
        already=already,
        eta_low_s=eta_low_s + wait_s,
        eta_high_s=eta_high_s + wait_s,
        workload=c.workload,
        staging=staging,
    )


def _travel(
    core: Core,
    columns: Columns,
    parties: Sequence[Party],
    lons: NDArray[np.float64],
    lats: NDArray[np.float64],
    hurry: bool,
    wanted: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], Callable[[NDArray[np.int64]], NDArray[np.float64]]]:
    """(drive_s, road, metres of some rows) per unit, or per unit `wanted`, each in its own mode and to where
    its party goes."""
    many = len(lons)
    drive_s, distance_m = np.full(many, math.inf), np.full(many, math.nan)
    road = np.zeros(many, dtype=bool)
    placed: list[tuple[Party, RoadGraph, str, NDArray[np.int64], Snaps]] = []
    for party in parties:
        ways, lon, lat = party.ways, party.lon, party.lat
        off_m = haversine_m(lon, lat, lons, lats)
        goes = np.zeros(many, dtype=bool)
        goes[party.rows] = True
        if wanted is not None:
            goes &= wanted
        for how, all_ in columns.by_mode[hurry].items():
            use = np.flatnonzero(goes[all_])
            rows = all_[use]
            if not len(rows):
                continue
            if ways is None:
                for row in rows:
                    drive_s[row], distance_m[row] = straight_line(lons[row], lats[row], lon, lat, how)
                continue
            # All of that mode, whoever goes: who has not moved need not be put on the roads again.
            stand = core.fleet.places(columns, ways, how, all_, lons[all_], lats[all_])
            scene = ways.snap(lon, lat, how, arriving=True)
            snaps = stand if len(use) == len(all_) else _some(stand, use)
            drive_s[rows] = ways.times(snaps, scene, how)[:, 0]
            road[rows] = np.isfinite(drive_s[rows])
            placed.append((party, ways, how, rows, snaps))
            # Who is off the roads, or so near that it may walk over.
            apart = np.flatnonzero((snaps.edge < 0) | (scene.edge[0] < 0) | (off_m[rows] < THERE_M))
            if len(apart):
                some = _some(snaps, apart)
                found = ways.nearest(
                    lon, lat, some.lon, some.lat, how, None, snaps=some, walk_within_m=THERE_M
                )
                drive_s[rows[apart]], distance_m[rows[apart]] = found.drive_s, found.distance_m
                road[rows[apart]] = found.road

    def metres(wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        for party, ways, how, rows, snaps in placed:
            at = np.flatnonzero(np.isin(rows, wanted) & np.isnan(distance_m[rows]))
            if len(at):
                some = _some(snaps, at)
                found = ways.nearest(
                    party.lon, party.lat, some.lon, some.lat, how, None, snaps=some, straight=False
                )
                distance_m[rows[at]] = found.distance_m
        return distance_m[wanted]

    return drive_s, road, metres


def _some(snaps: Snaps, at: NDArray[np.int64]) -> Snaps:
    return Snaps(snaps.lon[at], snaps.lat[at], snaps.edge[at], snaps.fraction[at], snaps.away_m[at])


# ---- in words


def as_json(
    result: Recommendation,
    pack: Pack,
    words: Words,
    zone_name: Callable[[str, Words], str] = lambda zone, _: zone,
) -> dict[str, Any]:
    """The API's form; `why` in the asker's language, `reasons` as codes for programs. `zone_name` says what a
    dispatcher calls a zone."""
    plan, metres = result.plan, result.metres()
    return {
        "incident": result.incident,
        "travel": result.travel,
        "road_network": result.road_network,
        "computed_ms": round(result.computed_ms, 2),
        "complete": plan.complete,
        "missing": plan.missing,
        "waiting_for": list(result.waiting_for),
        "nobody": list(plan.nobody),
        "ask": asked_for(result.candidates, plan.missing, pack, words),
        "cost": as_cost(plan.cost),
        "coverage": None
        if result.as_of_us is None
        else {"fresh": bool(result.fresh), "as_of": rfc3339(result.as_of_us)},
        "closures": list(result.closures),
        "cut_off": list(result.cut_off),
        "units": [
            *(_pick(pick, True, metres, result, pack, words, zone_name) for pick in plan.chosen),
            *(_pick(pick, False, metres, result, pack, words, zone_name) for pick in plan.alternatives),
        ],
        "not_chosen": [_why_not(why, result.types, pack, words, zone_name) for why in plan.not_chosen],
    }


def asked_for(
    candidates: Candidates, missing: Mapping[str, int], pack: Pack, words: Words
) -> list[dict[str, Any]]:
    """For what nobody here can fill, whom to ask."""
    found = []
    for capability, count in missing.items():
        partners, agencies = whom_to_ask(pack, capability)
        names = [pack.partners[code].names[words.language] for code in partners]
        names += [pack.agencies[code].names[words.language] for code in agencies]
        gives = candidates.gives[:, candidates.capabilities.index(capability)].any()
        args = {
            "capability": pack.capabilities[capability].names[words.language].lower(),
            "whom": "; ".join(names),
            "how": "busy" if gives else "nobody",
        }
        found.append(
            {
                "capability": capability,
                "count": count,
                "partners": list(partners),
                "agencies": list(agencies),
                "words": words.say("missing-ask" if names else "missing-nobody", args),
            }
        )
    return found


def _pick(
    pick: Pick,
    chosen: bool,
    metres: Mapping[str, float],
    result: Recommendation,
    pack: Pack,
    words: Words,
    zone_name: Callable[[str, Words], str],
) -> dict[str, Any]:
    return {
        "unit": pick.unit,
        "type": result.types[pick.unit],
        "command": pick.command,
        "chosen": chosen,
        "eta_s": round(pick.eta_s),
        "eta_low_s": _whole(pick.eta_low_s),
        "eta_high_s": _whole(pick.eta_high_s),
        "drive_s": round(pick.drive_s),
        "turnout_s": round(pick.turnout_s),
        "distance_m": _whole(metres.get(pick.unit)),
        "travel": "road" if pick.road else "straight",
        "fix_age_s": None if pick.fix_age_s is None else round(pick.fix_age_s, 1),
        "fills": list(pick.fills),
        "staging": pick.staging,
        "priority_signals": result.modes[pick.unit].endswith(PRIORITY),
        "uncovers": _uncovers(pick.reasons, words, zone_name),
        "cost": as_cost(pick.cost),
        **_reasons(pick.reasons, pack, words, zone_name),
    }


def _why_not(
    why: WhyNot,
    types: Mapping[str, str],
    pack: Pack,
    words: Words,
    zone_name: Callable[[str, Words], str],
) -> dict[str, Any]:
    return {
        "unit": why.unit,
        "type": types[why.unit],
        "eta_s": _whole(why.eta_s),
        "eta_low_s": _whole(why.eta_low_s),
        "eta_high_s": _whole(why.eta_high_s),
        "uncovers": _uncovers(why.reasons, words, zone_name),
        "cost": None if why.cost is None else as_cost(why.cost),
        **_reasons(why.reasons, pack, words, zone_name),
    }


def _reasons(
    reasons: Sequence[Reason], pack: Pack, words: Words, zone_name: Callable[[str, Words], str]
) -> dict[str, list[Any]]:
    """The words of each reason and its code, in one order. What is left uncovered is one reason for each
    capability, with all its zones: a sentence for each zone would fill the screen."""
    told: list[Reason] = []
    zones: dict[tuple[object, object], list[str]] = {}
    for reason in reasons:
        if reason.code != "uncovers":
            told.append(reason)
            continue
        key = reason.args["capability"], reason.args["minutes"]
        if key not in zones:
            zones[key] = []
            told.append(reason)
        zones[key].append(str(reason.args["zone"]))
    for at, reason in enumerate(told):
        if reason.code == "uncovers":
            capability, minutes = reason.args["capability"], reason.args["minutes"]
            names = ",".join(zones[capability, minutes])
            args = {"capability": capability, "zones": names, "minutes": minutes}
            told[at] = Reason("uncovers", args)
    return {
        "why": [say(reason, pack, words, zone_name) for reason in told],
        "reasons": [{"code": reason.code, **reason.args} for reason in told],
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None or not math.isfinite(seconds) else round(seconds)


def as_cost(cost: Cost) -> dict[str, float]:
    return {
        "late": round(cost.late, 4),
        "uncovered": round(cost.uncovered, 4),
        "total": round(cost.total, 4),
    }


def _uncovers(
    reasons: Sequence[Reason], words: Words, zone_name: Callable[[str, Words], str]
) -> list[dict[str, Any]]:
    found = [dict(reason.args) for reason in reasons if reason.code == "uncovers"]
    return [{**one, "zone_name": zone_name(str(one["zone"]), words)} for one in found]


def say(
    reason: Reason, pack: Pack, words: Words, zone_name: Callable[[str, Words], str] = lambda zone, _: zone
) -> str:
    """One reason in the asker's language: codes of the pack become its names, seconds become a span."""
    args: dict[str, Any] = {}
    for name, value in reason.args.items():
        if name == "capabilities":
            known = [pack.capabilities[c] for c in str(value).split(",") if c in pack.capabilities]
            args[name] = ", ".join(c.names[words.language].lower() for c in known)
        elif name == "zones":
            args[name] = ", ".join(zone_name(zone, words) for zone in str(value).split(","))
        elif name == "capability" and value in pack.capabilities:
            args[name] = pack.capabilities[str(value)].names[words.language].lower()
        elif name == "agency" and value in pack.agencies:
            args[name] = pack.agencies[str(value)].names[words.language]
        elif name == "status" and value in pack.statuses:
            args[name] = pack.statuses[str(value)].names[words.language].lower()
        elif name.endswith("_s") and isinstance(value, (int, float)):
            args[name] = words.time(value)
        elif name == "units":
            args[name] = str(value).replace(",", ", ")
        else:
            args[name] = value
    return words.say(f"reason-{reason.code}", args)
