"""A recommendation for one incident: fixes and roads in, the domain's plan out, in words.

Computed on every reading, outside the writer's lock, from the latest committed state and fixes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core import Core
from app.rows import Rows, needs_of
from app.words import Words
from dispatch.commands import who
from dispatch.incident import Incident
from dispatch.optimise import Candidates, Cost, Pick, Plan, Reason, WhyNot, recommend
from dispatch.plans import Pack
from dispatch.unit import Unit, crew_mate_asked, crew_mate_out, is_asked
from gis.travel import THERE_M, mode, straight_line


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The plan and what it was made from: fixes as unit -> (lon, lat, observed_us). `waiting_for` are the
    units whose agencies were asked and have not answered; they fill nothing, and the plan is what to do
    without them. `road_network` tells the two causes of straight lines apart: False where there is no city,
    True where none of the units, or not the incident, is near its roads."""

    incident: str
    plan: Plan
    travel: str
    road_network: bool
    waiting_for: tuple[str, ...]
    types: Mapping[str, str]
    fixes: Mapping[str, tuple[float, float, int]]
    computed_ms: float


def compute(core: Core, rows: Rows, incident: Incident) -> Recommendation:
    """Raises nothing for missing fixes, roads or units: the plan then says what is missing and why."""
    started = time.perf_counter()
    units = sorted(core.picture.now.units(), key=lambda u: u.id)
    lon, lat, _ = rows.place_of(incident)
    now_us = core.world.clock.now_us()
    columns, travel, fixes = _candidates(core, incident, units, lon, lat, now_us)
    plan = recommend(columns, needs_of(incident, core.pack))
    plan = replace(plan, not_chosen=tuple(_if_asked(core, why) for why in plan.not_chosen))
    waiting_for = tuple(r.unit for r in incident.requests if r.state == "asked")
    types = {unit.id: unit.type for unit in units}
    computed_ms = (time.perf_counter() - started) * 1000
    return Recommendation(
        incident.id, plan, travel, core.city is not None, waiting_for, types, fixes, computed_ms
    )


def _if_asked(core: Core, why: WhyNot) -> WhyNot:
    state = core.picture.now
    unit = state.unit(why.unit)
    if unit is None:
        return why
    asked = unit if is_asked(unit) else crew_mate_asked(state, unit)
    if asked is None or asked.asked is None:
        return why
    other = state.incident(asked.asked.incident)
    args = {"by": who(asked.asked.asked_by), "incident": other.number if other else asked.asked.incident}
    reason = Reason("asked", args) if asked is unit else Reason("crew-asked", {"unit": asked.id, **args})
    return replace(why, reasons=(reason,))


def _candidates(
    core: Core, incident: Incident, units: Sequence[Unit], lon: float, lat: float, now_us: int
) -> tuple[Candidates, str, dict[str, tuple[float, float, int]]]:
    state = core.picture.now
    lons = np.full(len(units), math.nan)
    lats = np.full(len(units), math.nan)
    age_s = np.full(len(units), math.nan)
    fixes: dict[str, tuple[float, float, int]] = {}
    for row, unit in enumerate(units):
        fix = core.tracks.last(unit.id)
        if fix is not None:
            lons[row], lats[row] = fix.lon, fix.lat
            age_s[row] = max(0.0, (now_us - fix.observed_us) / 1e6)
            fixes[unit.id] = (fix.lon, fix.lat, fix.observed_us)
        elif unit.base is not None:
            # Without a fix the best guess is its station; the plan still says that there is no fix.
            lons[row], lats[row] = unit.base
    drive_s, distance_m, road, travel = _travel(
        core, lon, lat, lons, lats, [_mode(core, incident, unit) for unit in units]
    )
    names = tuple(core.pack.capabilities)
    numbers = {u.id: state.incident(u.incident) for u in units if u.incident is not None}
    columns = Candidates(
        ids=tuple(u.id for u in units),
        types=tuple(u.type for u in units),
        agencies=tuple(u.agency for u in units),
        command=tuple(u.command for u in units),
        districts=tuple(u.district for u in units),
        capabilities=names,
        gives=np.array([[name in u.capabilities for name in names] for u in units], dtype=bool).reshape(
            len(units), len(names)
        ),
        status=tuple(u.status for u in units),
        sendable=tuple(
            "never" if is_asked(u) or crew_mate_asked(state, u) else core.pack.sendable(u.status)
            for u in units
        ),
        crew=np.array([u.crew for u in units], dtype=np.int64),
        crew_min=np.array([u.crew_min for u in units], dtype=np.int64),
        crew_id=tuple(u.crew_id for u in units),
        blocked_by=tuple(mate.id if (mate := crew_mate_out(state, u)) else None for u in units),
        drive_s=drive_s,
        distance_m=distance_m,
        road=road,
        turnout_s=np.array([u.turnout_s for u in units], dtype=np.float64),
        ready_in_s=np.array(
            [math.nan if u.ready_us is None else (u.ready_us - now_us) / 1e6 for u in units], dtype=np.float64
        ),
        fix_age_s=age_s,
        # Zones of competence come with closures and districts drawn on the map; until then the whole city
        # is everybody's.
        in_zone=np.ones(len(units), dtype=bool),
        busy_with=tuple(
            found.number if (found := numbers.get(u.id)) is not None else u.incident for u in units
        ),
        busy_by=tuple(who(u.assigned_by) if u.incident else None for u in units),
        already=np.array([u.incident == incident.id for u in units], dtype=bool),
    )
    return columns, travel, fixes


def _mode(core: Core, incident: Incident, unit: Unit) -> str:
    return mode(unit.profile, core.pack.drives_with_priority(unit.lights, incident.priority))


def _travel(
    core: Core,
    lon: float,
    lat: float,
    lons: NDArray[np.float64],
    lats: NDArray[np.float64],
    profiles: Sequence[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], str]:
    """(drive_s, distance_m, road, "road" | "straight") per unit, each by its own profile."""
    drive_s = np.full(len(lons), math.inf)
    distance_m = np.full(len(lons), math.inf)
    road = np.zeros(len(lons), dtype=bool)
    kinds = np.array(profiles, dtype=object)
    ways = core.living_map.ways()
    for profile in sorted(set(profiles)):
        rows = np.flatnonzero(kinds == profile)
        if ways is not None:
            found = ways.nearest(lon, lat, lons[rows], lats[rows], profile, None, walk_within_m=THERE_M)
        else:
            for row in rows:
                drive_s[row], distance_m[row] = straight_line(lons[row], lats[row], lon, lat, profile)
            continue
        drive_s[rows], distance_m[rows], road[rows] = found.drive_s, found.distance_m, found.road
    return drive_s, distance_m, road, "road" if road.any() else "straight"


# ---- in words


def as_json(result: Recommendation, pack: Pack, words: Words) -> dict[str, Any]:
    """The API's form; `why` in the asker's language, `reasons` as codes for programs."""
    plan = result.plan
    return {
        "incident": result.incident,
        "travel": result.travel,
        "road_network": result.road_network,
        "computed_ms": round(result.computed_ms, 2),
        "complete": plan.complete,
        "missing": plan.missing,
        "waiting_for": list(result.waiting_for),
        "nobody": list(plan.nobody),
        "cost": _cost(plan.cost),
        "units": [
            *(_pick(pick, True, result.types, pack, words) for pick in plan.chosen),
            *(_pick(pick, False, result.types, pack, words) for pick in plan.alternatives),
        ],
        "not_chosen": [_why_not(why, result.types, pack, words) for why in plan.not_chosen],
    }


def _pick(pick: Pick, chosen: bool, types: Mapping[str, str], pack: Pack, words: Words) -> dict[str, Any]:
    return {
        "unit": pick.unit,
        "type": types[pick.unit],
        "command": pick.command,
        "chosen": chosen,
        "eta_s": round(pick.eta_s),
        "eta_low_s": _whole(pick.eta_low_s),
        "eta_high_s": _whole(pick.eta_high_s),
        "drive_s": round(pick.drive_s),
        "turnout_s": round(pick.turnout_s),
        "distance_m": round(pick.distance_m) if math.isfinite(pick.distance_m) else None,
        "travel": "road" if pick.road else "straight",
        "fix_age_s": None if pick.fix_age_s is None else round(pick.fix_age_s, 1),
        "fills": list(pick.fills),
        "staging": pick.staging,
        "uncovers": _uncovers(pick.reasons),
        "cost": _cost(pick.cost),
        "why": [say(reason, pack, words) for reason in pick.reasons],
        "reasons": [{"code": reason.code, **reason.args} for reason in pick.reasons],
    }


def _why_not(why: WhyNot, types: Mapping[str, str], pack: Pack, words: Words) -> dict[str, Any]:
    return {
        "unit": why.unit,
        "type": types[why.unit],
        "eta_s": _whole(why.eta_s),
        "eta_low_s": _whole(why.eta_low_s),
        "eta_high_s": _whole(why.eta_high_s),
        "uncovers": _uncovers(why.reasons),
        "cost": None if why.cost is None else _cost(why.cost),
        "why": [say(reason, pack, words) for reason in why.reasons],
        "reasons": [{"code": reason.code, **reason.args} for reason in why.reasons],
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None or not math.isfinite(seconds) else round(seconds)


def _cost(cost: Cost) -> dict[str, float]:
    return {
        "late": round(cost.late, 4),
        "uncovered": round(cost.uncovered, 4),
        "total": round(cost.total, 4),
    }


def _uncovers(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    found = [dict(reason.args) for reason in reasons if reason.code == "uncovers"]
    return [{**one, "zone_name": one["zone"]} for one in found]


def say(reason: Reason, pack: Pack, words: Words) -> str:
    """One reason in the asker's language: codes of the pack become its names, seconds become a span."""
    args: dict[str, Any] = {}
    for name, value in reason.args.items():
        if name == "capabilities":
            known = [pack.capabilities[c] for c in str(value).split(",") if c in pack.capabilities]
            args[name] = ", ".join(c.names[words.language].lower() for c in known)
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
