"""How the city is covered now: the standards that it is measured by, and what the idle units reach.

A standard is a capability and the seconds within which a unit that gives it should be there. The operator's
published ones (`response_targets` of the pack) come first; then the capabilities that most kinds of urgent
incidents need, each within the time wanted for the most urgent of those.

Times from cell to cell are searched once for every cell where a unit of some mode ever stood, and kept while
the roads are the same: a figure is asked for far more often than anything moves. What takes longer than a
question may wait (other roads, other cells, the log's history) is done by a thread of its own, and until it
is done the answers say that they are not fresh.
"""

from __future__ import annotations

import logging
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.native import original, sleep, start_thread
from app.picture import Picture
from app.ports import Clock
from app.tables import event
from app.tracks import Tracks
from app.words import Words
from dispatch.events import IncidentClosed, IncidentReported, decode
from dispatch.optimise import ROLLING
from dispatch.plans import Pack
from dispatch.standby import Cover, Coverage
from dispatch.unit import Unit, is_asked
from gis import layers
from gis.city import City
from gis.coverage import Cells, Zone, cells_of, disturbed, hourly_demand, load_points, version_of
from gis.geometry import haversine_m
from gis.travel import STRAIGHT_KMH, RoadGraph, Snaps, mode

STANDARDS_MAX: Final = 6
"""Capabilities that are watched: each costs memory and time, and a board can show no more."""
DISTRICTS: Final = "districts"
"""The reference layer that holds the operator's districts, where there is one."""
LEARN_EVERY_S: Final = 60.0
"""How often the log's newer calls, the busy share, and what the city's folder holds are looked at again."""
DEMO: Final = "demo"
"""The source of calls that are made up (`app.demo`): they count while the demo is on."""
HISTORY_US: Final = 365 * 86_400 * 1_000_000
CALLS_PER_PERSON_YEAR: Final = 0.1
"""How often people call before the log tells: a stated assumption of the right order of magnitude."""
CALLS_TO_LEARN: Final = 30.0
"""Calls, and ended incidents of a type, that outweigh what was supposed before them."""
JOB_S: Final = 2_700.0
"""How long a unit is away before the log tells: 45 minutes, a stated assumption."""
JOB_S_MAX: Final = 12 * 3600.0
JOBS_TO_LEARN: Final = 5.0
BUSY: Final = 0.3
"""The share of its time that a unit is busy, before the last hours tell: a stated assumption."""
BUSY_UNIT_HOURS: Final = 8.0
BUSY_WINDOW_US: Final = 6 * 3600 * 1_000_000
BUSY_MIN, BUSY_MAX = 0.05, 0.9
BATCH: Final = 64
"""Origins that are searched in one go in the background."""
WAITING_MAX: Final = 2
"""Requests that wait for the first figures; others are told to come again."""
SETTLED_S: Final = 0.3
"""How long after a closure its times are worked in: whoever drew it asks whom to send now, and that goes
first; closures that come together are worked in together."""
RETRY_S: Final = 10.0
"""After work that failed, how long until it is tried again."""
log = logging.getLogger("straja.coverage")


class Hours(Protocol):
    """Turnout by the hour of the week; `app.speeds.Speeds`."""

    def hour(self, now_us: int | None = None) -> int: ...

    def turnout_s(self, unit_type: str, station: str, hour: int, standard_s: float | None = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Standard:
    """`within_s` in towns and `rural_s` outside them, from the order to the arrival. `share_pct`: how often
    it is to be met, where the operator says so. `stated`: in the pack's response targets; else it follows
    from what incidents need and from the times wanted for their priorities."""

    capability: str
    within_s: float
    rural_s: float
    share_pct: int | None
    stated: bool


def standards_of(pack: Pack) -> tuple[Standard, ...]:
    """At most `STANDARDS_MAX`, those that the pack states first, then the capabilities that the most types of
    incidents need; one that only such units give as give another of the list is left out."""
    found: dict[str, Standard] = {}
    for target in pack.response_targets:
        was = found.get(target.crew)
        within_s, rural_s = (was.within_s, was.rural_s) if was else (target.within_s, target.within_s)
        share_pct = was.share_pct if was else target.share_pct
        if target.area == "urban":
            within_s, share_pct = target.within_s, target.share_pct
            rural_s = rural_s if was else target.within_s
        else:
            rural_s = target.within_s
        found[target.crew] = Standard(target.crew, within_s, rural_s, share_pct, stated=True)
    givers = {
        name: frozenset(kind.code for kind in pack.unit_types.values() if name in kind.gives)
        for name in pack.capabilities
    }
    needed: dict[str, list[str]] = {}
    for kind in pack.incident_types.values():
        for name in () if kind.planned else kind.needs:
            needed.setdefault(name, []).append(kind.priority)
    for name, priorities in sorted(needed.items(), key=lambda item: (-len(item[1]), item[0])):
        most_urgent = min(priorities, key=lambda code: pack.priorities[code].rank)
        target_s = pack.priorities[most_urgent].target_s
        if name in found or target_s is None or len(found) >= STANDARDS_MAX:
            continue
        if not givers[name] or any(givers[name] == givers[other] for other in found):
            continue
        found[name] = Standard(name, target_s, target_s, None, stated=False)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Standing:
    """How the city is covered at one moment. `cover` has the units in the order in which they were asked
    for. `fresh` False: other roads (a closure, an opening, another hour) are still being worked in, and the
    figures are by those before, or a unit that has just come into service is not counted yet. `as_of_us` is
    since when these roads hold, `cells` what it is measured on."""

    cover: Cover
    fresh: bool
    as_of_us: int
    cells: Cells


@dataclass(frozen=True, slots=True)
class Away:
    """How long a unit that is sent to a type of incident is expected to be gone, from how many of them;
    `prior`: none, it is supposed."""

    seconds: float
    jobs: int

    @property
    def prior(self) -> bool:
        return self.jobs == 0


@dataclass(slots=True)
class _Placed:
    """A unit as coverage counts it. `cell` is where it stands as far as times from there are known, -1 where
    none are; `wanted` where it stands."""

    cell: int
    wanted: int
    mode: str
    turnout_s: float
    idle: bool
    crew: str
    gives: tuple[int, ...]


class _History:
    """What the log tells of past calls: where, of which types, how long they kept people busy."""

    def __init__(self) -> None:
        self.position = 0
        self.first_us: int | None = None
        self._lon, self._lat = array("d"), array("d")
        self.kinds: Counter[str] = Counter()
        self._open: dict[str, tuple[str, int]] = {}
        self._ended: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def read(self, engine: Engine, since_us: int, planned: Collection[str], made_up: bool) -> None:
        """Take in what is new in the log, but types that are `planned`, and the demo's unless `made_up`."""
        wanted = (
            select(event.c.position, event.c.type, event.c.version, event.c.observed_at, event.c.data)
            .where(
                event.c.position > self.position,
                event.c.type.in_(("IncidentReported", "IncidentClosed")),
                event.c.observed_at >= since_us,
            )
            .order_by(event.c.position)
        )
        with engine.connect() as connection:
            for position, kind, version, observed_us, data in connection.execute(wanted):
                self.position = position
                fact, source = decode(kind, version, data)
                if isinstance(fact, IncidentReported):
                    if fact.kind not in planned and (made_up or source != DEMO):
                        self._reported(fact, observed_us)
                elif isinstance(fact, IncidentClosed):
                    self._closed(fact, observed_us)

    def _reported(self, fact: IncidentReported, observed_us: int) -> None:
        self._lon.append(fact.coarse[0])
        self._lat.append(fact.coarse[1])
        self.kinds[fact.kind] += 1
        self._open[fact.incident] = (fact.kind, observed_us)
        self.first_us = observed_us if self.first_us is None else min(self.first_us, observed_us)

    def _closed(self, fact: IncidentClosed, observed_us: int) -> None:
        if (begun := self._open.pop(fact.incident, None)) is not None:
            ended = self._ended[begun[0]]
            ended[0] += 1
            ended[1] += min(JOB_S_MAX, max(0.0, (observed_us - begun[1]) / 1e6))

    def calls(self, cells: Cells) -> NDArray[np.float64]:
        """float64[m]: calls that were met in each cell."""
        if not self._lon:
            return np.zeros(len(cells))
        cell = cells.find(np.array(self._lon), np.array(self._lat))
        return np.bincount(cell[cell >= 0], minlength=len(cells)).astype(np.float64)

    def away(self, kind: str) -> Away:
        """The mean of that type's incidents, drawn towards what is supposed where there are few."""
        count, total_s = self._ended.get(kind, (0.0, 0.0))
        return Away((total_s + JOBS_TO_LEARN * JOB_S) / (count + JOBS_TO_LEARN), int(count))


@dataclass(slots=True)
class _Drives:
    """Seconds of driving from one cell to all, by mode and cell of origin, on one graph; float32[m] each,
    shared by all units that stand there."""

    graph: RoadGraph
    rows: dict[tuple[str, int], NDArray[np.float32]] = field(default_factory=dict)
    snaps: dict[str, tuple[Snaps, Snaps]] = field(default_factory=dict)

    def places(self, cells: Cells, how: str) -> tuple[Snaps, Snaps]:
        """The cells' points as those who leave from there, and who come there, find them on these roads."""
        if how not in self.snaps:
            leave = self.graph.snap(cells.lon, cells.lat, how)
            self.snaps[how] = leave, self.graph.snap(cells.lon, cells.lat, how, arriving=True)
        return self.snaps[how]

    def search(
        self, cells: Cells, how: str, origins: Sequence[int], limit_s: float
    ) -> list[NDArray[np.float32]]:
        """The rows of those origins, without keeping them."""
        at = np.asarray(origins, dtype=np.intp)
        if how == "air":
            metres = haversine_m(cells.lon[at, np.newaxis], cells.lat[at, np.newaxis], cells.lon, cells.lat)
            return list((metres / (STRAIGHT_KMH["air"] / 3.6)).astype(np.float32))
        leave, arrive = self.places(cells, how)
        return list(self.graph.times(_some(leave, at), arrive, how, limit_s=limit_s))

    def kept(self, new: _Drives, cells: Cells, how: str, limit_s: float) -> list[int]:
        """The origins whose rows hold on the roads of `new` too."""
        origins = [cell for other, cell in list(self.rows) if other == how]
        if how == "air" or not origins:
            return origins
        (leave, arrive), (now_leave, now_arrive) = self.places(cells, how), new.places(cells, how)
        if not _alike(arrive, now_arrive).all():
            return []
        at = np.array(origins, dtype=np.intp)
        same = _alike(leave, now_leave)[at]
        known_s = np.array([self.rows[how, cell] for cell in origins])
        at_work = disturbed(self.graph, new.graph, how, _some(leave, at), arrive, known_s, limit_s)
        return at[same & ~at_work].tolist()


def _some(snaps: Snaps, at: NDArray[np.intp]) -> Snaps:
    return Snaps(snaps.lon[at], snaps.lat[at], snaps.edge[at], snaps.fraction[at], snaps.away_m[at])


def _alike(one: Snaps, other: Snaps) -> NDArray[np.bool_]:
    return np.asarray((one.edge == other.edge) & (one.fraction == other.fraction))


class _State:
    """All that is known about one city, for one graph at a time. Changed under the owner's lock only."""

    def __init__(self, city: City, key: tuple[Any, ...], cells: Cells, standards: Sequence[Standard]) -> None:
        self.city = city
        self.key = key
        self.cells = cells
        self.limits = [
            s.within_s
            if s.within_s == s.rural_s
            else np.where(cells.urban, s.within_s, s.rural_s).astype(np.float32)
            for s in standards
        ]
        self.horizon_s = max(max(s.within_s, s.rural_s) for s in standards) if standards else 0.0
        self.demand = [np.zeros(len(cells)) for _ in standards]
        self.busy = [BUSY for _ in standards]
        self.drives: _Drives | None = None
        self.units: dict[str, _Placed] = {}
        self.crews: dict[str, list[str]] = {}
        self.coverages: list[Coverage] = []
        self.rows: list[dict[str, int]] = []
        self.waiting: dict[tuple[str, int], set[str]] = {}
        self.position = 0
        self.tick = 0
        self.hour = 0
        self.as_of_us = 0
        self.zone_ids = [zone.id for zone in cells.zones]
        self.asked: tuple[str, ...] = ()
        self.row: NDArray[np.int32] | None = None


class CoverageNow:
    """Follows the picture, the fixes and the roads; safe from any thread."""

    def __init__(
        self,
        pack: Pack,
        picture: Picture,
        tracks: Tracks,
        clock: Clock,
        ways: Callable[[], RoadGraph | None],
        city: Callable[[], City | None],
        engine: Engine,
        hours: Hours,
        by_hour: Callable[[Cells, NDArray[np.float64], int], NDArray[np.float64]] | None = None,
        demo: bool = False,
    ) -> None:
        self.standards = standards_of(pack)
        self._index = {standard.capability: i for i, standard in enumerate(self.standards)}
        self._pack = pack
        self._picture = picture
        self._tracks = tracks
        self._clock = clock
        self._ways = ways
        self._city = city
        self._engine = engine
        self._hours = hours
        self._by_hour = by_hour
        self._demo = demo
        # Held for milliseconds, by threads of the pool and by the event loop alike.
        self._lock = original("_thread", "allocate_lock")()
        self._working = original("_thread", "allocate_lock")()
        self._busy = False
        self._closed = False
        self._waiting = 0
        self._state: _State | None = None
        self._history = _History()
        self._learned_s: float | None = None
        self._not_before_s = -float("inf")

    # ---- asking

    def of(self, capability: str, now_us: int | None = None) -> Coverage | None:
        """The coverage by the standard of one capability; None until the city's cells are known, and where
        there is no city. Raises ValueError for a capability without a standard."""
        if capability not in self._index:
            raise ValueError(f"no standard for {capability!r}; there is one for: {', '.join(self._index)}")
        with self._lock:
            state = self._followed()
            return None if state is None else state.coverages[self._index[capability]]

    def standing(self, units: Sequence[str], now_us: int | None = None) -> Standing | None:
        """What each of those units (by id) is worth to the city, under all standards at once; None until the
        city's cells are known, and where there is no city. Never waits for a search."""
        with self._lock:
            state = self._followed()
            if state is None:
                return None
            asked = tuple(units)
            if asked != state.asked or state.row is None:
                row = np.full((len(self.standards), len(asked)), -1, dtype=np.int32)
                for i, unit in enumerate(asked):
                    if (placed := state.units.get(unit)) is not None:
                        row[:, i] = [rows.get(placed.crew, -1) for rows in state.rows]
                # A board is asked about as a whole, again and again.
                state.asked, state.row = asked, row
            cover = Cover(state.coverages, state.row)
            return Standing(cover, self._is_fresh(state), state.as_of_us, state.cells)

    def away(self, kind: str) -> Away:
        """How long a unit sent to an incident of this type is expected to be gone."""
        return self._history.away(kind)

    def turnout_s(self, unit: Unit, *, hour: int | None = None, standing: bool = False) -> float:
        """Seconds until the unit's wheels roll: none where they do already, unless it is to be taken as
        `standing` at its station."""
        if unit.status in ROLLING and not standing:
            return 0.0
        at = self._hours.hour() if hour is None else hour
        return float(self._hours.turnout_s(unit.type, unit.station, at, unit.turnout_s).median_s)

    def zone_name(self, zone: str, words: Words) -> str:
        """What a dispatcher calls the zone of that id."""
        with self._lock:
            state = self._state
        found = None if state is None else next((z for z in state.cells.zones if z.id == zone), None)
        return zone if found is None else zone_words(found, words)

    # ---- following

    def _followed(self) -> _State | None:
        """The state, brought up to date as far as that costs nothing; the rest is set going. Call it with the
        lock held."""
        city = self._city()
        state = self._state
        if city is None:
            return None
        if state is None or state.city is not city:
            self._set_going()
            return None
        self._follow(state)
        late = not self._is_fresh(state) or bool(state.waiting)
        if late or self._learned_s is None or self._clock.monotonic_s() - self._learned_s > LEARN_EVERY_S:
            self._set_going(SETTLED_S)
        return state

    def _is_fresh(self, state: _State) -> bool:
        if state.drives is None or state.drives.graph is not self._ways():
            return False
        # A unit that has just come into service, or far, is not counted before times from there are known.
        return all(state.units[unit].cell >= 0 for units in state.waiting.values() for unit in units)

    def _follow(self, state: _State) -> None:
        changes = self._picture.changed_since(state.position)
        hour = self._hours.hour()
        state.tick, moved = self._tracks.changed_since(state.tick)
        if changes is None or hour != state.hour:
            self._place_all(state)
            return
        state.position, subjects = changes
        names = self._tracks.units()
        touched = {subject.removeprefix("unit:") for subject in subjects if subject.startswith("unit:")}
        # Who shares a crew with one that changed is free or not with it.
        for name in list(touched):
            if (placed := state.units.get(name)) is not None:
                touched.update(state.crews.get(placed.crew, ()))
        touched.update(names[n] for n in moved.tolist())
        if not touched:
            return
        dirty: set[str] = set()
        found = [self._picture.now.unit(unit_id) for unit_id in touched]
        units = [unit for unit in found if unit is not None and unit.registered]
        for unit, wanted in zip(units, self._cells_of(state, units), strict=True):
            was = state.units.get(unit.id)
            mates = () if unit.crew_id is None else self._picture.now.crew(unit.crew_id)
            now = self._placed(state, unit, wanted, mates, was)
            if was is None or was.crew != now.crew or was.gives != now.gives:
                self._place_all(state)
                return
            if was != now:
                state.units[unit.id] = now
                dirty.add(now.crew)
        self._renew(state, dirty)

    def _cells_of(self, state: _State, units: Sequence[Unit]) -> list[int]:
        """The cell where each unit stands, by its fix, else its station; -1 where neither is known."""
        at = []
        for unit in units:
            fix = self._tracks.last(unit.id)
            at.append((fix.lon, fix.lat) if fix is not None else unit.base or (float("nan"), float("nan")))
        lon, lat = np.array(at).reshape(-1, 2).T
        found: list[int] = state.cells.find(lon, lat).tolist()
        return found

    def _placed(
        self, state: _State, unit: Unit, wanted: int, mates: Iterable[Unit], was: _Placed | None
    ) -> _Placed:
        """The unit as it counts now in the cell `wanted`, given who shares its crew; a cell from where no
        times are known yet is noted as waited for."""
        assert state.drives is not None, "a state has roads before it has units"
        how = mode(unit.profile, unit.lights)
        cell = was.cell if was is not None and was.mode == how else -1
        if wanted < 0 or (how, wanted) in state.drives.rows:
            cell = wanted
        else:
            state.waiting.setdefault((how, wanted), set()).add(unit.id)
        idle = (
            self._pack.sendable(unit.status) == "now"
            and unit.incident is None
            and not is_asked(unit)
            and unit.crew >= unit.crew_min
            and not any(mate.incident is not None or is_asked(mate) for mate in mates if mate.id != unit.id)
        )
        turnout_s = self.turnout_s(unit, hour=state.hour)
        gives = tuple(sorted(self._index[c] for c in unit.capabilities if c in self._index))
        # A unit of no crew is one of its own; the prefix keeps its name apart from crews' names.
        crew = f"crew:{unit.crew_id}" if unit.crew_id is not None else f"unit:{unit.id}"
        return _Placed(cell, wanted, how, turnout_s, idle, crew, gives)

    def _place_all(self, state: _State) -> None:
        """Everything about units anew: at first, when one comes into service, and at the turn of an hour."""
        state.position = self._picture.position
        state.hour = self._hours.hour()
        state.waiting = {}
        before = state.units
        units = sorted(self._picture.now.units(), key=lambda unit: unit.id)
        mates: dict[str | None, list[Unit]] = {}
        for unit in units:
            if unit.crew_id is not None:
                mates.setdefault(unit.crew_id, []).append(unit)
        cells = self._cells_of(state, units)
        state.units = {
            unit.id: self._placed(state, unit, cell, mates.get(unit.crew_id, ()), before.get(unit.id))
            for unit, cell in zip(units, cells, strict=True)
        }
        state.row = None
        state.crews = {}
        for unit_id, placed in state.units.items():
            state.crews.setdefault(placed.crew, []).append(unit_id)
        state.rows = [{} for _ in self.standards]
        for placed in state.units.values():
            for s in placed.gives:
                state.rows[s].setdefault(placed.crew, len(state.rows[s]))
        state.coverages = []
        for s, rows in enumerate(state.rows):
            found = [self._row(state, s, crew) for crew in rows]
            reach_s = np.empty((len(rows), len(state.cells)), dtype=np.float32)
            for i, (reach, _) in enumerate(found):
                reach_s[i] = reach
            state.coverages.append(
                Coverage(
                    state.demand[s], state.cells.zone, state.zone_ids,
                    (self.standards[s].capability, state.limits[s]),
                    reach_s, [idle for _, idle in found], state.busy[s],
                )
            )  # fmt: skip

    def _renew(self, state: _State, crews: Iterable[str]) -> None:
        """The rows of those crews anew."""
        for s, rows in enumerate(state.rows):
            changed = [crew for crew in crews if crew in rows]
            if changed:
                found = [self._row(state, s, crew) for crew in changed]
                state.coverages[s] = state.coverages[s].changed(
                    [rows[crew] for crew in changed],
                    reach_s=np.array([reach for reach, _ in found]),
                    idle=np.array([idle for _, idle in found]),
                )

    def _row(self, state: _State, s: int, crew: str) -> tuple[NDArray[np.float32], bool]:
        """(seconds from the order to each cell by the crew's soonest idle unit, whether there is one)."""
        assert state.drives is not None, "a state has roads before it has units"
        best: NDArray[np.float32] | None = None
        for unit_id in state.crews[crew]:
            placed = state.units[unit_id]
            if not placed.idle or s not in placed.gives:
                continue
            drive = state.drives.rows.get((placed.mode, placed.cell))
            if drive is not None:
                reach = drive + np.float32(placed.turnout_s)
                best = reach if best is None else np.minimum(best, reach)
        if best is None:
            return np.full(len(state.cells), np.inf, dtype=np.float32), False
        return best, True

    # ---- what takes longer

    def stir(self) -> None:
        """Look at once whether the roads changed, in a thread of its own; quick, for the log's writer."""
        state = self._state
        if state is None:
            return
        changes = self._picture.changed_since(state.position)
        if changes is None or any(subject.startswith("closure:") for subject in changes[1]):
            with self._lock:
                self._set_going(SETTLED_S)

    def warm_up(self) -> None:
        """Begin to find out about the city, in a thread of its own."""
        with self._lock:
            if self._city() is not None:
                self._set_going()

    def refresh(self) -> None:
        """Do all that waits to be done, here and now. For commands, benches and tests; takes seconds in a
        large city the first time."""
        with self._working:
            self._work()

    def settle(self) -> None:
        """The same for a request, which may wait for it; nothing where others wait already, for they hold
        threads that everybody needs."""
        with self._lock:
            if self._waiting >= WAITING_MAX:
                return
            self._waiting += 1
        try:
            self.refresh()
        finally:
            with self._lock:
                self._waiting -= 1

    def close(self) -> None:
        """Begin nothing new."""
        self._closed = True

    def _set_going(self, after_s: float = 0.0) -> None:
        if not self._busy and not self._closed and self._clock.monotonic_s() >= self._not_before_s:
            self._busy = True
            start_thread(lambda: self._run(after_s), "straja-coverage")

    def _run(self, after_s: float) -> None:
        if after_s:
            sleep(after_s)
        try:
            with self._working:
                self._work()
        except SQLAlchemyError as error:
            # Without its database a node goes on with what it knew.
            log.warning("coverage cannot read the log: %s", type(error).__name__)
            self._not_before_s = self._clock.monotonic_s() + RETRY_S
        except Exception:
            log.exception("coverage could not be worked out")
            self._not_before_s = self._clock.monotonic_s() + RETRY_S
        finally:
            self._busy = False

    def _work(self) -> None:
        city, graph = self._city(), self._ways()
        if city is None or graph is None:
            return
        now_s = self._clock.monotonic_s()
        due = self._learned_s is None or now_s - self._learned_s > LEARN_EVERY_S
        state = self._state
        if due or state is None or state.city is not city:
            self._learned_s = now_s
            key = self._key(city)
            if state is None or state.city is not city or state.key != key:
                state = _State(city, key, self._cells(city), self.standards)
            self._learn(state)
        if state.drives is None or state.drives.graph is not graph:
            self._reroute(state, graph)
        if self._state is not state:
            with self._lock:
                self._place_all(state)
                self._state = state
        with self._lock:
            self._follow(state)
        self._fill(state)

    def _key(self, city: City) -> tuple[Any, ...]:
        with Session(self._engine) as session:
            versions = layers.imports(session, city.info.name, DISTRICTS)
        return version_of(city.folder), tuple((one.id, one.imported_at) for one in versions)

    def _cells(self, city: City) -> Cells:
        cells = cells_of(
            city.roads.arrays("car"), city.roads.names, load_points(city.folder), city.addresses.named_areas()
        )
        with Session(self._engine) as session:
            versions = layers.imports(session, city.info.name, DISTRICTS)
            found, _ = layers.within(session, versions, None, 500) if versions else ([], False)
        areas = [one for one in found if isinstance(one.geometry, shapely.Polygon | shapely.MultiPolygon)]
        return cells.in_districts([(one.ref, one.name or one.ref, one.geometry) for one in areas])

    def _learn(self, state: _State) -> None:
        """Demand and the busy share, from the log as far as it goes."""
        now_us = self._clock.now_us()
        planned = {kind.code for kind in self._pack.incident_types.values() if kind.planned}
        self._history.read(self._engine, now_us - HISTORY_US, planned, self._demo)
        history, cells = self._history, state.cells
        hours = 0.0 if history.first_us is None else max(0.0, (now_us - history.first_us) / 3.6e9)
        prior_per_hour = float(cells.people.sum()) * CALLS_PER_PERSON_YEAR / 8_766
        demand = hourly_demand(cells, history.calls(cells), hours, prior_per_hour)
        if self._by_hour is not None:
            demand = self._by_hour(cells, demand, self._hours.hour(now_us))
        shares = [self._needing(standard.capability) for standard in self.standards]
        busy = [self._busy_share(s, now_us) for s in range(len(self.standards))]
        with self._lock:
            state.demand = [demand * share for share in shares]
            state.busy = busy
            state.coverages = [
                coverage.reweighed(state.demand[s], busy[s]) for s, coverage in enumerate(state.coverages)
            ]

    def _needing(self, capability: str) -> float:
        """The share of calls that need the capability: of the types that the pack has, drawn towards those
        that were met."""
        kinds = [kind for kind in self._pack.incident_types.values() if not kind.planned]
        supposed = sum(capability in kind.needs for kind in kinds) / max(1, len(kinds))
        met = self._history.kinds
        known = {kind.code for kind in kinds if capability in kind.needs}
        count = sum(n for kind, n in met.items() if kind in known)
        return (count + CALLS_TO_LEARN * supposed) / (met.total() + CALLS_TO_LEARN)

    def _busy_share(self, s: int, now_us: int) -> float:
        """The share of the last hours that units with this capability were on incidents, by what is in
        memory: every incident open within a day."""
        state, capability = self._picture.now, self.standards[s].capability
        units = {u.id: u for u in state.units() if capability in u.capabilities}
        on_duty = [u for u in units.values() if u.status not in ("off_duty", "out_of_service")]
        begun_us = [u.status_us for u in on_duty]
        worked_us = 0
        for incident in state.incidents():
            begun_us.append(incident.reported_us)
            for assignment in incident.assignments:
                if assignment.unit in units:
                    from_us = max(assignment.times.get("assigned", now_us), now_us - BUSY_WINDOW_US)
                    worked_us += max(0, (assignment.ended_us or now_us) - from_us)
        window_us = min(BUSY_WINDOW_US, max(0, now_us - min(begun_us, default=now_us)))
        duty_h = len(on_duty) * window_us / 3.6e9
        busy = (worked_us / 3.6e9 + BUSY * BUSY_UNIT_HOURS) / (duty_h + BUSY_UNIT_HOURS)
        return min(BUSY_MAX, max(BUSY_MIN, busy))

    def _reroute(self, state: _State, graph: RoadGraph) -> None:
        """Times on other roads, for every place that had some; then all of them at once come into use."""
        old, new = state.drives, _Drives(graph)
        wanted: dict[str, list[int]] = {}
        if old is not None:
            kept: dict[str, set[int]] = {}
            for how, cell in list(old.rows):
                if how not in kept:
                    kept[how] = set(old.kept(new, state.cells, how, state.horizon_s))
                if cell in kept[how]:
                    new.rows[how, cell] = old.rows[how, cell]
                else:
                    wanted.setdefault(how, []).append(cell)
        for how, origins in wanted.items():
            for i in range(0, len(origins), BATCH):
                batch = origins[i : i + BATCH]
                found = new.search(state.cells, how, batch, state.horizon_s)
                new.rows.update(zip(((how, cell) for cell in batch), found, strict=True))
        with self._lock:
            state.drives = new
            state.as_of_us = self._clock.now_us()
            if self._state is state:
                self._place_all(state)

    def _fill(self, state: _State) -> None:
        """Times from where units have come to stand meanwhile."""
        while state.waiting and not self._closed:
            with self._lock:
                assert state.drives is not None, "a state that is in use has roads"
                drives = state.drives
                by_mode: dict[str, list[int]] = {}
                for how, cell in list(state.waiting):
                    by_mode.setdefault(how, []).append(cell)
            for how, cells in by_mode.items():
                for i in range(0, len(cells), BATCH):
                    batch = cells[i : i + BATCH]
                    found = drives.search(state.cells, how, batch, state.horizon_s)
                    with self._lock:
                        self._arrived(state, drives, how, batch, found)

    def _arrived(
        self,
        state: _State,
        drives: _Drives,
        how: str,
        cells: Sequence[int],
        found: Sequence[NDArray[np.float32]],
    ) -> None:
        drives.rows.update(zip(((how, cell) for cell in cells), found, strict=True))
        dirty = set()
        for cell in cells:
            for unit_id in state.waiting.pop((how, cell), ()):
                placed = state.units.get(unit_id)
                if placed is not None and (placed.mode, placed.wanted) == (how, cell):
                    placed.cell = cell
                    dirty.add(placed.crew)
        self._renew(state, dirty)


def zone_words(zone: Zone, words: Words) -> str:
    """What a dispatcher calls a zone: its own name, or its direction and main street."""
    if zone.kind != "sector":
        return zone.name
    place = words.say(f"zone-{zone.name.lower()}")
    if zone.ring == 2:
        place = words.say("zone-outer", {"place": place})
    return words.say("zone-by-street", {"place": place, "street": zone.street}) if zone.street else place
