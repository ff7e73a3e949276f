"""What closures change for crews: words beside a recommendation, and the ETA of those on their way."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import shapely

from app.core import Core
from app.living_map import obstacle_of
from app.log import StorageError
from app.rows import Rows
from dispatch import commands as c
from dispatch.closure import Closure
from dispatch.commands import SYSTEM, Refused
from dispatch.incident import Assignment, Incident
from dispatch.optimise import Pick, Plan, Reason, WhyNot
from dispatch.unit import Unit
from gis.conditions import Obstacle, streets_at
from gis.geometry import haversine_m
from gis.travel import SCENE_ACCESS_MPS, THERE_M, RoadGraph, mode

DETOUR_S = 30.0
"""From how many seconds on a longer way is worth a word."""
KEPT_AWAY_S = 5.0
"""From how many seconds on where they cost a unit its place in the plan."""
MOVED_S = 60
"""From how many seconds on the ETA of a crew on its way counts as changed, and is put on record."""
NEAR_DEG = 2e-4
"""Some 20 m: how near to a line drawn on the map a way runs that follows it."""
ON_THE_WAY = frozenset({"assigned", "acknowledged", "en_route"})
NAMED_MAX = 4
"""Of so many units at the most the ways are looked at street by street."""
log = logging.getLogger("straja.keeper")


def streets_of(core: Core, closure: Closure) -> list[str]:
    """The names of the streets that a closure is about, for whoever reads of one without a reason."""
    city, drawn = core.city, obstacle_of(closure)
    return [] if city is None or drawn is None else streets_at(city.roads, shapely.from_wkb(drawn.shape))


# ---- beside a recommendation


def unhindered_s(
    core: Core,
    lon: float,
    lat: float,
    now_us: int,
    places: Mapping[str, tuple[float, float]],
    modes: Mapping[str, str],
) -> dict[str, float]:
    """For how long each of these units (where it is, how it drives) would drive there if nothing were in
    force; nothing where nothing is, or where no road leads."""
    found: dict[str, float] = {}
    free = core.living_map.ways_with((), now_us) if core.living_map.obstacles(now_us) else None
    if free is None:
        return found
    for how in sorted(set(modes.values()) - {"air"}):
        units = [unit for unit in places if modes[unit] == how]
        at = np.array([places[unit] for unit in units], dtype=np.float64).reshape(-1, 2)
        snaps, scene = free.snap(at[:, 0], at[:, 1], how), free.snap(lon, lat, how, arriving=True)
        took_s = free.times(snaps, scene, how)[:, 0].astype(np.float64)
        # Who is so near may walk over.
        on_foot_m = haversine_m(lon, lat, at[:, 0], at[:, 1])
        walks = (snaps.edge >= 0) & (scene.edge[0] >= 0) & (on_foot_m < THERE_M)
        took_s[walks] = np.minimum(took_s[walks], on_foot_m[walks] / SCENE_ACCESS_MPS)
        found |= {unit: s for unit, s in zip(units, took_s.tolist(), strict=True) if math.isfinite(s)}
    return found


def explain(
    core: Core,
    plan: Plan,
    lon: float,
    lat: float,
    now_us: int,
    now: RoadGraph | None,
    places: Mapping[str, tuple[float, float]],
    modes: Mapping[str, str],
    drive_s: Mapping[str, float],
    free_s: Mapping[str, float],
    kept_away: Collection[str] = (),
) -> tuple[Plan, tuple[str, ...]]:
    """The plan with what closures change said beside each unit that it names, and the ids of those closures.
    `now`: the roads by which units drive to the incident itself; `places`: where each of these is, `modes`:
    how it drives, `drive_s`: for how long by those roads, `free_s`: and if nothing were in force. A closure
    that is only reported and lies on the way of a unit chosen is a warning. `kept_away`: units that only
    closures keep out of the plan; these are told of first, and of shorter detours too."""
    obstacles, warnings = core.living_map.obstacles(now_us), core.living_map.warnings(now_us)
    free = core.living_map.ways_with((), now_us)
    if free is None or now is None or not (obstacles or warnings):
        return plan, ()
    about: tuple[Pick | WhyNot, ...] = (*plan.chosen, *plan.alternatives, *plan.not_chosen)
    named = [x.unit for x in about if x.unit in places]
    named.sort(key=lambda unit: unit not in kept_away)
    more = {unit: drive_s[unit] - free_s[unit] for unit in named if unit in free_s}
    told: dict[str, tuple[Reason, ...]] = {}
    because: dict[str, None] = {}
    chosen = {pick.unit for pick in plan.chosen}
    compared = 0
    for unit in named:
        more_s = more.get(unit, 0.0)
        warned = warnings if unit in chosen else ()
        is_longer = more_s >= (KEPT_AWAY_S if unit in kept_away else DETOUR_S)
        if not is_longer and not warned:
            continue
        reasons: list[Reason] = []
        hit: list[str] = []
        # Where there is but one obstacle, it is that one.
        alone = len(obstacles) == 1
        if alone and is_longer:
            hit = [obstacles[0].id]
        if compared < NAMED_MAX + len(kept_away) and (warned or not alone):
            compared += 1
            line = _line(free if is_longer else now, *places[unit], lon, lat, modes[unit])
            if is_longer and not alone:
                hit = [o.id for o in obstacles if line is not None and _meets(line, o)]
            crossed = [x.id for x in warned if line is not None and _is_on(line, x)]
            if crossed:
                reasons.append(Reason("reported-closure", {"closures": ",".join(crossed)}))
                because |= dict.fromkeys(crossed)
        if is_longer:
            ids = {"closures": ",".join(hit)}
            if math.isfinite(more_s):
                reasons.append(Reason("detour", {"more_s": round(more_s), **ids}))
            else:
                reasons.append(Reason("cut-off", ids))
            because |= dict.fromkeys(hit)
        told[unit] = tuple(reasons)

    def pick(x: Pick) -> Pick:
        return replace(x, reasons=(*x.reasons, *told.get(x.unit, ())))

    def why_not(x: WhyNot) -> WhyNot:
        extra = told.get(x.unit, ())
        is_cut_off = any(reason.code == "cut-off" for reason in extra)
        kept = [reason for reason in x.reasons if reason.code != "unreachable" or not is_cut_off]
        return replace(x, reasons=(*extra, *kept) if x.unit in kept_away else (*kept, *extra))

    plan = replace(
        plan,
        chosen=tuple(pick(x) for x in plan.chosen),
        alternatives=tuple(pick(x) for x in plan.alternatives),
        not_chosen=tuple(why_not(x) for x in plan.not_chosen),
    )
    return plan, tuple(because)


def _line(
    ways: RoadGraph, lon: float, lat: float, to_lon: float, to_lat: float, how: str
) -> shapely.LineString | None:
    if how == "air":
        return None
    points = ways.route(lon, lat, to_lon, to_lat, how).points
    return shapely.LineString(points) if len(points) > 1 else None


def _meets(line: shapely.LineString, obstacle: Obstacle) -> bool:
    return bool(shapely.dwithin(line, shapely.from_wkb(obstacle.shape), NEAR_DEG))


def _is_on(line: shapely.LineString, closure: Closure) -> bool:
    drawn = obstacle_of(closure)
    return drawn is not None and _meets(line, drawn)


# ---- crews on their way


class Watch:
    """Looks, whenever the map has changed, whether crews on their way come later or sooner for it. What was
    promised is not kept anywhere: it is the way from where a crew is by the map as it was before."""

    def __init__(self, core: Core, rows: Rows) -> None:
        self._core = core
        self._rows = rows
        self._before: tuple[Obstacle, ...] | None = None

    def changes(self, now_us: int) -> Iterator[c.RecordEta]:
        """The changes of ETA to be put on record, for units held here. After a start the map before is, for
        each crew, that of when it was sent."""
        living_map = self._core.living_map
        now, before = living_map.obstacles(now_us), self._before
        self._before = now
        if before is not None and set(before) == set(now):
            return
        ways = living_map.ways(now_us)
        if ways is None:
            return
        for incident, assignment, unit in self._crews():
            last = assignment.eta_change
            since_us = max(unit.assigned_us or now_us, last.at_us if last is not None else 0)
            then = before if before is not None else living_map.obstacles_at(since_us)
            other = sorted({o.id for o in set(then) ^ set(now)})
            found = self._compared(incident, unit, then, now, now_us) if other else None
            if found is None:
                continue
            before_s, after_s, because = found
            because = because or tuple(other)
            yield c.RecordEta(
                id=self._mark(incident, unit, other),
                source="keeper",
                incident=incident.id,
                unit=unit.id,
                before_s=before_s,
                after_s=after_s,
                because=because,
            )

    def _mark(self, incident: Incident, unit: Unit, other: Sequence[str]) -> str:
        """An id made of what has changed, so that any number of keepers say it once."""
        state = self._core.picture.now
        facts = [(ident, found.position if (found := state.closure(ident)) else 0) for ident in other]
        text = repr((incident.id, unit.id, unit.assigned_us, facts))
        return f"eta:{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def _crews(self) -> Iterator[tuple[Incident, Assignment, Unit]]:
        state = self._core.picture.now
        for unit in state.units():
            if unit.incident is None or unit.status not in ON_THE_WAY:
                continue
            incident = state.incident(unit.incident)
            if incident is None or unit.custodian != self._core.config.station:
                continue
            for assignment in incident.active():
                if assignment.unit == unit.id:
                    yield incident, assignment, unit

    def _compared(
        self,
        incident: Incident,
        unit: Unit,
        then: Collection[Obstacle],
        now: Collection[Obstacle],
        now_us: int,
    ) -> tuple[int | None, int | None, tuple[str, ...]] | None:
        """(seconds before, after, which closures), None when it makes no difference worth a word."""
        core = self._core
        fix = core.tracks.last(unit.id)
        at = (fix.lon, fix.lat) if fix is not None else unit.base
        lon, lat, _ = self._rows.place_of(incident)
        if at is None or not math.isfinite(lon):
            return None
        how = mode(unit.profile, core.pack.drives_with_priority(unit.lights, incident.priority))
        if how == "air":
            return None
        took: list[int | None] = []
        lines: list[shapely.LineString | None] = []
        capabilities = tuple(core.pack.capabilities)
        gives = np.array([[name in unit.capabilities for name in capabilities]], dtype=bool)
        for obstacles in (then, now):
            party = next(
                one
                for one in core.living_map.parties(
                    lon, lat, capabilities, gives, (unit.profile,), now_us, tuple(obstacles)
                )
                if len(one.rows)
            )
            if party.ways is None:
                return None
            route = party.ways.route(*at, party.lon, party.lat, how)
            took.append(round(route.drive_s) if math.isfinite(route.drive_s) else None)
            lines.append(shapely.LineString(route.points) if len(route.points) > 1 else None)
        before_s, after_s = took
        if before_s == after_s:
            return None
        if before_s is not None and after_s is not None and abs(after_s - before_s) < MOVED_S:
            return None
        # What came lies on the way it would have taken, what went on the way it takes now.
        came, went = set(now) - set(then), set(then) - set(now)
        hit = {o.id for o in came if lines[0] is not None and _meets(lines[0], o)}
        hit |= {o.id for o in went if lines[1] is not None and _meets(lines[1], o)}
        return before_s, after_s, tuple(sorted(hit))


WATCH_S = 1.0


def keep_watching(core: Core, mine: Callable[[], bool], wait: Callable[[float], bool]) -> None:
    """Step until `wait(seconds)` returns true or the keeper's lock is lost, in a thread of its own: no
    deadline waits for ways to be found."""
    watch = Watch(core, Rows(core.picture, core.vault, core.tracks, core.pack))
    while not wait(WATCH_S) and mine():
        try:
            for command in watch.changes(core.world.clock.now_us()):
                if not mine():
                    return
                try:
                    core.door.submit(command, SYSTEM)
                except Refused as error:
                    log.info("the changed ETA of %s is on record already: %s", command.unit, error)
        except StorageError as error:
            log.warning("changed ETAs must wait: %s", error)
        except Exception:
            log.exception("a look at the crews on their way failed")
