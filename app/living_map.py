"""The roads as they are now: the city's graph with the speeds of the hour and everything that is in force on
it.

Every figure of driving (recommendation, route, ETA, coverage) asks `ways()` and never the city's own graph,
so that a closure counts everywhere from the moment it lands and nowhere once it is over. Every process
follows the log and makes its own.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from app.native import original
from app.picture import Picture
from app.ports import Clock
from dispatch.closure import Closure
from gis.city import City
from gis.conditions import ALL_VEHICLES, EVERYBODY, BadShape, ClosedRoads, Cuts, Obstacle, apply, read_shape
from gis.travel import PROFILES, RoadGraph

VIEWS_MAX = 6
"""Views of the roads that are kept: that of now, those of who may enter a hazard zone, the one before."""
log = logging.getLogger("straja.map")


class Hours(Protocol):
    """The speeds of the hour; `app.speeds.Speeds`."""

    @property
    def version(self) -> int: ...

    def hour(self, now_us: int | None = None) -> int: ...

    def factors(self, mode: str, hour: int) -> NDArray[np.float32] | None: ...


@dataclass(frozen=True, slots=True)
class _Now:
    """What holds from `from_us` until `until_us` (None: until a fact says otherwise), at a position of the
    log. `warning` are the closures that are there and only reported."""

    position: int
    from_us: int
    until_us: int | None
    obstacles: tuple[Obstacle, ...]
    warning: tuple[Closure, ...]

    def holds(self, at_us: int) -> bool:
        return self.from_us <= at_us and (self.until_us is None or at_us < self.until_us)


@dataclass(frozen=True, slots=True)
class _GoingOn:
    """The closures, by id, that have not ended, as the log stood at a position; the others ended by
    `since_us`."""

    position: int
    since_us: int
    closures: dict[str, Closure]


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """Of n units, those (`rows` int64[k]) that drive to one place by the same roads. `staging`: it is where
    they wait outside a hazard zone that they may not enter."""

    rows: NDArray[np.int64]
    ways: RoadGraph | None
    lon: float
    lat: float
    staging: bool = False


class LivingMap:
    """Follows the picture, the clock and the city in use; safe from any thread."""

    def __init__(
        self, picture: Picture, clock: Clock, city: Callable[[], City | None], hours: Hours | None = None
    ) -> None:
        self._picture = picture
        self._clock = clock
        self._city = city
        self._hours = hours
        # Held for milliseconds by threads of the pool and by the event loop: one of the operating system.
        self._lock = original("_thread", "allocate_lock")()
        self._now: _Now | None = None
        self._going: _GoingOn | None = None
        self._drawn: dict[str, tuple[Closure, Obstacle | None]] = {}
        self._views: OrderedDict[tuple[Any, ...], RoadGraph] = OrderedDict()
        self._cuts: tuple[City, Cuts] | None = None
        self._timed: tuple[tuple[Any, ...], RoadGraph] | None = None

    # ---- what is in the way

    def obstacles(self, now_us: int | None = None) -> tuple[Obstacle, ...]:
        """What is in force at `now_us` (None: the present), by id."""
        return self._known(now_us).obstacles

    def warnings(self, now_us: int | None = None) -> tuple[Closure, ...]:
        """What is there and only reported: it warns, and changes no way."""
        return self._known(now_us).warning

    def obstacles_at(self, at_us: int) -> tuple[Obstacle, ...]:
        """What was in force at a time gone by, as is known today."""
        return self._obstacles(x for x in self._closures() if x.was_in_force(at_us))

    def hazards_at(self, lon: float, lat: float, now_us: int | None = None) -> tuple[Closure, ...]:
        """The hazard zones in force around a point."""
        found = []
        for obstacle in _hazards(self.obstacles(now_us), lon, lat):
            closure = self._picture.now.closure(obstacle.id)
            if closure is not None:
                found.append(closure)
        return tuple(found)

    # ---- the roads

    @property
    def version(self) -> str | None:
        """Changes with anything that changes a way; None where no city is in use."""
        ways = self.ways()
        return None if ways is None else str(ways.version)

    def ways(
        self, now_us: int | None = None, *, entering: Collection[str] = frozenset()
    ) -> RoadGraph | None:
        """The graph by which to drive at `now_us` (None: the present); None where no city is in use. Take it
        once for figures that belong together. `entering`: ids of hazard zones that are no obstacle here.
        """
        at_us = self._clock.now_us() if now_us is None else now_us
        obstacles = self._known(now_us).obstacles
        if entering:
            obstacles = tuple(o for o in obstacles if o.id not in entering)
        return self.ways_with(obstacles, at_us)

    def parties(
        self,
        lon: float,
        lat: float,
        capabilities: Sequence[str],
        gives: NDArray[np.bool_],
        profiles: Sequence[str],
        now_us: int | None = None,
        obstacles: tuple[Obstacle, ...] | None = None,
    ) -> tuple[Party, ...]:
        """How n units of those profiles that give those capabilities (bool[n, capabilities]) get to an
        incident: where it lies in hazard zones, those whom none keeps out go in (the first party, perhaps of
        nobody), and the others to a staging point outside all that keep them out, or without one to the
        nearest street outside. `obstacles`: what is in the way, None for what is now."""
        at_us = self._clock.now_us() if now_us is None else now_us
        if obstacles is None:
            obstacles = self._known(now_us).obstacles
        everybody = np.arange(len(gives), dtype=np.int64)
        zones = _hazards(obstacles, lon, lat)
        if not zones:
            return (Party(everybody, self.ways_with(obstacles, at_us), lon, lat),)
        barred = np.column_stack([_barred(zone, capabilities, gives, profiles) for zone in zones])
        entered = {zone.id for zone in zones}
        inside = self.ways_with(tuple(o for o in obstacles if o.id not in entered), at_us)
        found = [Party(everybody[~barred.any(axis=1)], inside, lon, lat)]
        for held in np.unique(barred[barred.any(axis=1)], axis=0):
            rows = everybody[(barred == held).all(axis=1)]
            out = {zone.id for zone, holds in zip(zones, held, strict=True) if not holds}
            around = tuple(o for o in obstacles if o.id not in out)
            ways = self.ways_with(around, at_us)
            # Outside each zone that keeps any of them out, be it one that the incident is not in.
            points = [zone.staging for zone in zones if zone.id not in out and zone.staging is not None]
            points = [at for at in points if not _hazards(around, *at)]
            if not points and ways is not None:
                points = [_nearest_outside(ways, around, lon, lat, sorted({profiles[row] for row in rows}))]
            found.append(Party(rows, ways, *(points[0] if points else (lon, lat)), staging=True))
        return tuple(found)

    def ways_with(self, obstacles: tuple[Obstacle, ...], at_us: int) -> RoadGraph | None:
        """The graph with just these obstacles, at the speeds of that time."""
        city = self._city()
        if city is None:
            return None
        hour = (self._hours.version, self._hours.hour(at_us)) if self._hours is not None else ()
        key = (id(city.roads), hour, obstacles)
        with self._lock:
            if (view := self._views.get(key)) is not None:
                self._views.move_to_end(key)
                return view
            if self._cuts is None or self._cuts[0] is not city:
                # Another city, or the same one imported anew: nothing found in the old one holds.
                self._cuts, self._timed = (city, {}), None
                self._views.clear()
            timed = self._at_that_hour(city, hour)
            cuts = self._cuts[1]
            if len(cuts) > 1_000:
                # Finding what a shape meets is what costs: nothing in force is found twice.
                in_force = self._now.obstacles if self._now is not None else ()
                kept = {o.shape for o in obstacles} | {o.shape for o in in_force}
                for gone in [key for key in cuts if key[1] not in kept]:
                    del cuts[gone]
            view = apply(timed, obstacles, version=_version(city, hour, obstacles), cuts=cuts)
            self._views[key] = view
            while len(self._views) > VIEWS_MAX:
                self._views.popitem(last=False)
            return view

    def _at_that_hour(self, city: City, hour: tuple[int, ...]) -> RoadGraph:
        """The city's graph at the speeds of an hour of the week."""
        if self._hours is None:
            return city.roads
        if self._timed is not None and self._timed[0] == hour:
            return self._timed[1]
        factors = {
            mode: factor
            for mode in PROFILES
            if mode != "air" and (factor := self._hours.factors(mode, hour[1])) is not None
        }
        timed = apply(city.roads, (), factors, version=_version(city, hour, ()))
        self._timed = hour, timed
        return timed

    # ---- following the log

    def _known(self, now_us: int | None) -> _Now:
        at_us = self._clock.now_us() if now_us is None else now_us
        known = self._now
        if known is not None and known.holds(at_us):
            if known.position == self._picture.position:
                return known
            changed = self._picture.changed_since(known.position)
            if changed is not None and not any(s.startswith("closure:") for s in changed[1]):
                known = _Now(changed[0], known.from_us, known.until_us, known.obstacles, known.warning)
                self._now = known
                return known
        going_on = self._going_on(at_us, is_present=now_us is None)
        closures = sorted(going_on.closures.values(), key=lambda x: x.id)
        turned = [us for x in closures for us in (x.from_us, x.ends_us) if us is not None and us <= at_us]
        turns = [us for x in closures if (us := x.turns_at(at_us)) is not None]
        known = _Now(
            going_on.position,
            max(turned, default=going_on.since_us),
            min(turns, default=None),
            self._obstacles(x for x in closures if x.in_force(at_us)),
            tuple(x for x in closures if x.holds(at_us) and not x.reroutes),
        )
        if now_us is None:
            self._now = known
        return known

    def _going_on(self, at_us: int, *, is_present: bool) -> _GoingOn:
        """The closures that count at `at_us` or later. Of those in memory, which go back a day, most are
        over: none of these is looked at again."""
        was = self._going
        changes = None if was is None else self._picture.changed_since(was.position)
        if was is None or changes is None or at_us < was.since_us:
            # Before the closures are read: what is published meanwhile is met again next time.
            position = self._picture.position
            closures = {x.id: x for x in self._picture.now.closures()}
            since_us = 0
        else:
            position, since_us = changes[0], was.since_us
            closures = dict(was.closures)
            for subject in changes[1]:
                kind, _, ident = subject.partition(":")
                if kind == "closure" and (found := self._picture.now.closure(ident)) is not None:
                    closures[ident] = found
        for one in list(closures.values()):
            if not one.reported or one.has_ended(at_us):
                del closures[one.id]
                if one.withdrawn_us is None and one.ends_us is not None:
                    since_us = max(since_us, one.ends_us)
        going_on = _GoingOn(position, since_us, closures)
        if is_present:
            self._going = going_on
        return going_on

    def _closures(self) -> list[Closure]:
        return sorted(self._picture.now.closures(), key=lambda x: x.id)

    def _obstacles(self, closures: Iterable[Closure]) -> tuple[Obstacle, ...]:
        found = []
        for closure in closures:
            was = self._drawn.get(closure.id)
            if was is None or was[0] is not closure:
                was = closure, obstacle_of(closure)
                self._drawn[closure.id] = was
            if was[1] is not None:
                found.append(was[1])
        if len(self._drawn) > 10_000:
            self._drawn.clear()
        return tuple(found)


def _hazards(obstacles: Iterable[Obstacle], lon: float, lat: float) -> list[Obstacle]:
    point = shapely.Point(lon, lat)
    return [o for o in obstacles if o.kind == "hazard" and shapely.from_wkb(o.shape).intersects(point)]


def _barred(
    zone: Obstacle, capabilities: Sequence[str], gives: NDArray[np.bool_], profiles: Sequence[str]
) -> NDArray[np.bool_]:
    """Whom a hazard zone keeps out, bool[n]: of the classes it is about (all, by air too, where none is
    named), those that bring nothing with which one may go in."""
    named = [i for i, name in enumerate(capabilities) if name in zone.entry]
    about = np.array([zone.classes >= EVERYBODY or one in zone.classes for one in profiles], dtype=bool)
    barred: NDArray[np.bool_] = about & ~gives[:, named].any(axis=1)
    return barred


def _nearest_outside(
    ways: RoadGraph, obstacles: Iterable[Obstacle], lon: float, lat: float, profiles: Sequence[str]
) -> tuple[float, float]:
    """The nearest place on a street outside hazard zones that the first of these profiles with streets gets
    to; the point itself where none lies within a zone's reach."""
    if not isinstance(ways, ClosedRoads):
        return lon, lat
    zones = shapely.union_all([shapely.from_wkb(o.shape) for o in obstacles if o.kind == "hazard"])
    for profile in profiles:
        if (place := ways.nearest_open(lon, lat, profile, zones)) is not None:
            return place
    return lon, lat


def obstacle_of(closure: Closure) -> Obstacle | None:
    """What a closure does to the roads; None where its geometry, perhaps of a newer program, is not
    understood: it is on the board all the same."""
    try:
        shape = shapely.to_wkb(read_shape(closure.geometry))
    except BadShape as fault:
        log.warning("closure %s changes no way: %s", closure.id, fault)
        return None
    named = frozenset(closure.classes)
    classes = {
        "flood": ALL_VEHICLES - named,
        "hazard": named or EVERYBODY,
    }.get(closure.kind, named or ALL_VEHICLES)
    slow = closure.kind == "slow"
    return Obstacle(
        closure.id,
        closure.kind,
        shape,
        classes,
        closure.speed_share if slow else None,
        frozenset(closure.entry),
        closure.geometry.get("direction") == "along",
        closure.staging,
    )


def _version(city: City, hour: tuple[int, ...], obstacles: tuple[Obstacle, ...]) -> str:
    """Short, and the same in every process."""
    told = [city.info.built_at, hour]
    told += [(o.id, o.kind, o.shape, sorted(o.classes), o.speed_share, o.one_way) for o in obstacles]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
