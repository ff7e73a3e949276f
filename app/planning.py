"""Plans that are only looked at: many incidents at once, and what a choice would do. Nothing is recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core import Core
from app.recommendation import arrivals, as_cost, asked_for, away_s_of, curve_of, look, say
from app.rows import Rows, rfc3339
from app.words import Words
from dispatch.assign import (
    RANKS,
    Assignment,
    Demand,
    Fault,
    Price,
    Sending,
    Situation,
    assign,
    check,
    price,
)
from dispatch.incident import Incident
from dispatch.optimise import Candidates, Reason
from dispatch.plans import Pack
from dispatch.standby import Cover

INCIDENTS_MAX = 1000
"""So many incidents may be planned for in one request."""

ZoneName = Callable[[str, Words], str]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan for many incidents: nobody is sent by it. `eta_s` of the situation: the arrivals that
    were looked at."""

    incidents: tuple[Incident, ...]
    situation: Situation
    made: Assignment
    computed_ms: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What sending these units would mean. `zones`: (capability, zone, share of its demand that nobody idle
    reaches before, and after), where that changes. `fresh`, `as_of_us`: of the coverage figures, None where
    there are none."""

    incident: Incident
    candidates: Candidates
    units: tuple[str, ...]
    price: Price
    missing: dict[str, int]
    faults: tuple[Fault, ...]
    zones: tuple[tuple[str, str, float, float], ...]
    fresh: bool | None
    as_of_us: int | None


def demand_of(core: Core, rows: Rows, incident: Incident, now_us: int) -> Demand:
    """What the incident still lacks, and what lateness costs it."""
    priority = core.pack.priorities.get(incident.priority)
    return Demand(
        incident.id,
        rows.plan_of(incident)["missing"],
        curve_of(core, incident, now_us),
        RANKS if priority is None else min(priority.rank, RANKS),
        core.pack.optimiser.delta_s.get(incident.priority, math.inf),
    )


def plan(core: Core, rows: Rows, incidents: Sequence[Incident]) -> Planned:
    """The best plan for all of them together."""
    started = time.perf_counter()
    now_us = core.world.clock.now_us()
    candidates, search, staging = arrivals(
        core, [(one, *rows.place_of(one)[:2]) for one in incidents], now_us
    )
    situation = Situation(
        tuple(demand_of(core, rows, one, now_us) for one in incidents),
        candidates,
        np.full(staging.shape, np.inf, dtype=np.float32),
        staging=staging,
        uncovered=_uncovered(core, candidates.ids, now_us, core.pack.optimiser.away_s),
        away_s=core.pack.optimiser.away_s,
    )
    made = assign(situation, search)
    return Planned(tuple(incidents), situation, made, (time.perf_counter() - started) * 1000)


def what_if(core: Core, rows: Rows, incident: Incident, units: Sequence[str]) -> WhatIf:
    """What it would mean to send these units, all known here and each counted once, to this incident."""
    units = tuple(dict.fromkeys(units))
    now_us = core.world.clock.now_us()
    lon, lat, _ = rows.place_of(incident)
    candidates = look(core, incident, lon, lat, now_us).candidates
    eta_s = candidates.eta_s()[np.newaxis]
    demand = demand_of(core, rows, incident, now_us)
    situation = Situation(
        (demand,),
        candidates,
        eta_s,
        candidates.in_zone[np.newaxis],
        candidates.staging[np.newaxis],
        _uncovered(core, candidates.ids, now_us, away_s_of(core, incident)),
        away_s_of(core, incident),
    )
    lines = [Sending(incident.id, unit) for unit in units]
    at = [candidates.ids.index(unit) for unit in units]
    filled = candidates.gives[[row for row in at if np.isfinite(eta_s[0, row])]].sum(axis=0)
    left = {name: n - int(filled[situation.column[name]]) for name, n in demand.needs.items()}
    standing = core.coverage.standing(candidates.ids, now_us)
    return WhatIf(
        incident,
        candidates,
        units,
        price(lines, situation),
        {name: count for name, count in left.items() if count > 0},
        tuple(check(lines, situation)),
        () if standing is None else _zones(standing.cover, at),
        None if standing is None else standing.fresh,
        None if standing is None else standing.as_of_us,
    )


def _uncovered(core: Core, ids: tuple[str, ...], now_us: int, away_s: float) -> NDArray[np.float64] | None:
    """float64[n]: what each unit's absence would cost, in late calls; None where coverage is not weighed."""
    rules = core.pack.optimiser
    standing = core.coverage.standing(ids, now_us) if rules.coverage > 0 else None
    if standing is None:
        return None
    return rules.coverage * away_s / 3600.0 * standing.cover.loss(np.arange(len(ids)))


def _zones(cover: Cover, units: Sequence[int]) -> tuple[tuple[str, str, float, float], ...]:
    found = []
    for standard, row in zip(cover.standards, cover.row, strict=True):
        gone = row[list(units)]
        before, after = standard.gap(), standard.gap(gone[gone >= 0])
        found += [
            (standard.capability, standard.zones[zone], float(before[zone]), float(after[zone]))
            for zone in np.flatnonzero(after > before + 1e-9)
        ]
    return tuple(sorted(found, key=lambda one: one[2] - one[3]))


# ---- in words


def plan_as_json(planned: Planned, pack: Pack, words: Words) -> dict[str, Any]:
    made, s = planned.made, planned.situation
    lines: dict[str, list[Sending]] = {}
    for line in made.sendings:
        lines.setdefault(line.incident, []).append(line)
    row_of = {unit: row for row, unit in enumerate(s.candidates.ids)}
    incidents = []
    for i, one in enumerate(planned.incidents):
        missing = dict(made.missing.get(one.id, {}))
        incidents.append(
            {
                "incident": one.id,
                "number": one.number,
                "units": [
                    {
                        "unit": line.unit,
                        "type": s.candidates.types[row_of[line.unit]],
                        "command": s.candidates.command[row_of[line.unit]],
                        "eta_s": round(float(s.eta_s[i, row_of[line.unit]])),
                        "fills": list(line.fills or ()),
                        "staging": bool(line.staging),
                    }
                    for line in lines.get(one.id, ())
                ],
                "missing": missing,
                "ask": asked_for(s.candidates, missing, pack, words),
            }
        )
    return {
        "incidents": incidents,
        "exact": made.exact,
        "cost": as_cost(made.price.cost),
        "missing": sum(made.price.missing),
        "computed_ms": round(planned.computed_ms, 2),
    }


def what_if_as_json(found: WhatIf, pack: Pack, words: Words, zone_name: ZoneName) -> dict[str, Any]:
    c = found.candidates
    row_of = {unit: row for row, unit in enumerate(c.ids)}
    eta_s = c.eta_s()

    def whole(value: float) -> int | None:
        return round(value) if math.isfinite(value) else None

    return {
        "incident": found.incident.id,
        "cost": as_cost(found.price.cost),
        "complete": not found.missing,
        "missing": found.missing,
        "etas": [
            {
                "unit": unit,
                "eta_s": whole(float(eta_s[row_of[unit]])),
                "eta_low_s": whole(float(c.eta_low_s[row_of[unit]])),
                "eta_high_s": whole(float(c.eta_high_s[row_of[unit]])),
            }
            for unit in found.units
        ],
        "uncovered": [
            {
                "capability": capability,
                "zone": zone,
                "zone_name": zone_name(zone, words),
                "before_pct": round(100 * before),
                "after_pct": round(100 * after),
            }
            for capability, zone, before, after in found.zones
        ],
        "coverage": None
        if found.as_of_us is None
        else {"fresh": bool(found.fresh), "as_of": rfc3339(found.as_of_us)},
        "faults": [
            {
                "unit": fault.unit,
                "code": fault.code,
                **fault.args,
                "person_may": fault.person,
                "why": say(Reason(fault.code, fault.args), pack, words, zone_name),
            }
            for fault in found.faults
        ],
    }
