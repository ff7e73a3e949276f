"""The ways of units to one incident, street by street, as a map draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core import Core
from app.living_map import Party
from app.recommendation import waiting_s, whereabouts
from app.rows import Rows, rfc3339
from dispatch.incident import Incident
from gis.geometry import haversine_m, is_position
from gis.travel import THERE_M, Route, straight_line

UNDER_WAY = frozenset({"assigned", "acknowledged", "en_route", "staged"})
"""The statuses of a crew that is on its way to its incident, or waits close to it."""
STREETS_MAX = 4


@dataclass(frozen=True, slots=True)
class Way:
    """How one unit gets there. `points`: two or more (lon, lat); by `road`, from where it meets the road to
    where it leaves it, else its place and the goal. Seconds are those of a recommendation: from now, with
    waiting and turnout, nan in a band that nobody knows. `staging`: it ends where units wait outside a hazard
    zone. `under_way`: it was sent to this incident. `streets`: the first names on the way."""

    unit: str
    points: tuple[tuple[float, float], ...]
    eta_s: float
    eta_low_s: float
    eta_high_s: float
    distance_m: float
    road: bool
    staging: bool
    under_way: bool
    fix_age_s: float
    streets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ways:
    """`without`: (unit, why: no-position | unreachable | no-place). `version`: of the roads, None where there
    is no city. `as_of_us`: for when all this holds."""

    ways: tuple[Way, ...]
    without: tuple[tuple[str, str], ...]
    version: str | None
    as_of_us: int


def compute(core: Core, rows: Rows, incident: Incident, units: Sequence[str] = ()) -> Ways:
    """The ways of the crews that are on their way there, and of these units; names of none are passed over.
    Raises nothing for missing fixes, roads or places."""
    now_us = core.world.clock.now_us()
    lon, lat, _ = rows.place_of(incident)
    version = core.living_map.version
    c = core.fleet.now()
    at = {unit: row for row, unit in enumerate(c.ids)}
    sent = [
        one.unit for one in incident.active()
        if one.unit in at and c.incident[at[one.unit]] == incident.id and c.status[at[one.unit]] in UNDER_WAY
    ]  # fmt: skip
    wanted = list(dict.fromkeys((*sent, *(unit for unit in units if unit in at))))
    if not wanted:
        return Ways((), (), version, now_us)
    if not is_position(lon, lat):
        return Ways((), tuple((unit, "no-place") for unit in wanted), version, now_us)
    lons, lats, age_s, fixes = whereabouts(core, c, now_us)
    seen = fixes.observed_us[c.n] > 0
    hurry = core.pack.drives_with_priority(True, incident.priority)
    parties = core.living_map.parties(lon, lat, tuple(core.pack.capabilities), c.gives, c.profiles)
    party_of = {int(row): party for party in parties for row in party.rows}
    found: dict[int, Route] = {}
    without: list[tuple[str, str]] = []
    drive_s, road = np.full(len(c.ids), math.inf), np.zeros(len(c.ids), dtype=bool)
    for unit in wanted:
        row = at[unit]
        if not seen[row]:
            without.append((unit, "no-position"))
            continue
        route = _route(party_of[row], float(lons[row]), float(lats[row]), c.modes[hurry][row])
        if not math.isfinite(route.drive_s):
            without.append((unit, "unreachable"))
            continue
        found[row], drive_s[row], road[row] = route, route.drive_s, route.road
    etas = core.speeds.etas(
        c.crews[hurry],
        standard_s=c.turnout_s,
        drive_s=drive_s,
        road=road,
        rolling=c.rolling,
        fix_age_s=age_s,
        hour=core.speeds.hour(now_us),
    )
    wait_s = waiting_s(c, now_us)
    made = tuple(
        Way(
            c.ids[row],
            tuple(route.points),
            float(wait_s[row] + etas.turnout_s[row] + route.drive_s),
            float(wait_s[row] + etas.low_s[row]),
            float(wait_s[row] + etas.high_s[row]),
            route.distance_m,
            route.road,
            party_of[row].staging,
            c.ids[row] in sent,
            float(age_s[row]),
            tuple(dict.fromkeys(name for name, _ in route.streets if name))[:STREETS_MAX],
        )
        for row, route in found.items()
    )
    return Ways(made, tuple(without), version, now_us)


def _route(party: Party, lon: float, lat: float, how: str) -> Route:
    """The way of one unit of that party, with the times that a recommendation gives it."""
    ends = [(lon, lat), (party.lon, party.lat)]
    if party.ways is None:
        return Route(ends, *straight_line(lon, lat, party.lon, party.lat, how), False, [])
    route = party.ways.route(lon, lat, party.lon, party.lat, how)
    if float(haversine_m(lon, lat, party.lon, party.lat)) < THERE_M:
        # In one yard: who stands there walks over.
        near = party.ways.nearest(party.lon, party.lat, [lon], [lat], how, walk_within_m=THERE_M)
        if near.drive_s[0] < route.drive_s:
            return Route(ends, float(near.drive_s[0]), float(near.distance_m[0]), bool(near.road[0]), [])
    if len(route.points) > 1:
        return route
    return Route(ends, route.drive_s, route.distance_m, route.road, route.streets)


def as_json(found: Ways) -> dict[str, Any]:
    """GeoJSON (RFC 7946), a LineString for each way."""
    as_of = rfc3339(found.as_of_us)
    return {
        "type": "FeatureCollection",
        "version": found.version,
        "as_of": as_of,
        "without_way": [{"unit": unit, "why": why} for unit, why in found.without],
        "features": [
            {
                "type": "Feature",
                "id": way.unit,
                "geometry": {
                    "type": "LineString",
                    "coordinates": [[round(lon, 6), round(lat, 6)] for lon, lat in way.points],
                },
                "properties": {
                    "unit": way.unit,
                    "under_way": way.under_way,
                    "staging": way.staging,
                    "eta_s": round(way.eta_s) if math.isfinite(way.eta_s) else None,
                    "eta_low_s": round(way.eta_low_s) if math.isfinite(way.eta_low_s) else None,
                    "eta_high_s": round(way.eta_high_s) if math.isfinite(way.eta_high_s) else None,
                    "distance_m": round(way.distance_m),
                    "travel": "road" if way.road else "straight",
                    "fix_age_s": round(way.fix_age_s, 1),
                    "as_of": as_of,
                    "streets": list(way.streets),
                },
            }
            for way in found.ways
        ],
    }
