"""The units as columns, for whoever must look at all of them at once and has milliseconds.

What only the log changes is kept by the picture's position: a fact costs the rows that it is about, not a
walk over all units. Where they are is put on the roads again only for those that moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.native import original
from app.picture import Picture
from app.ports import Clock
from app.tracks import Tracks
from dispatch.commands import who
from dispatch.optimise import ROLLING, Candidates
from dispatch.plans import Pack
from dispatch.unit import UNDERWAY, Unit, is_asked
from gis.travel import RoadGraph, Snaps, mode

WORKLOAD_US = 8 * 3600 * 1_000_000
"""Over how long the work of a crew is counted."""
WORKLOAD_EVERY_S = 60.0
VIEWS_KEPT = 5
"""Of so many views of the roads the places of the units are kept: of now, without closures, and of some
what-ifs."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """n units in the order of their call signs, as the picture stood at `position`. The columns are those of
    `dispatch.optimise.Candidates`; further `asked`: the unit whose agency was asked for this crew and has not
    answered (itself or a mate), `ready_us` float64[n] with nan where nobody said, `profiles`, `lights`,
    `incident` ids, `base` float64[n, 2] and `n` int64[n], the rows of these units in the tracks' arrays."""

    position: int
    units: tuple[Unit, ...]
    ids: tuple[str, ...]
    types: tuple[str, ...]
    agencies: tuple[str, ...]
    command: tuple[str, ...]
    districts: tuple[str | None, ...]
    stations: tuple[str, ...]
    profiles: tuple[str, ...]
    lights: NDArray[np.bool_]
    gives: NDArray[np.bool_]
    status: tuple[str, ...]
    sendable: tuple[str, ...]
    crew: NDArray[np.int64]
    crew_min: NDArray[np.int64]
    crew_id: tuple[str | None, ...]
    blocked_by: tuple[str | None, ...]
    asked: tuple[Unit | None, ...]
    turnout_s: NDArray[np.float64]
    ready_us: NDArray[np.float64]
    incident: tuple[str | None, ...]
    busy_with: tuple[str | None, ...]
    busy_by: tuple[str | None, ...]
    base: NDArray[np.float64]
    n: NDArray[np.int64]
    workload: NDArray[np.float64]
    modes: tuple[tuple[str, ...], tuple[str, ...]]
    """How each drives like anybody, and how where its type's priority signals may be used."""
    by_mode: tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]
    """The rows that drive so, for each of the two."""
    crews: tuple[tuple[tuple[str, str, str], ...], tuple[tuple[str, str, str], ...]]
    """(type, station, mode) of each, for each of the two."""
    rolling: NDArray[np.bool_]
    soon: NDArray[np.bool_]
    underway: NDArray[np.bool_]
    rows: dict[str, int]
    """The row of each call sign."""
    sent: dict[str, list[int]]
    """The rows that are on each incident, by its id."""
    candidates: Candidates
    """They as the optimiser takes them, before anybody asks how far they are from where."""


_Slice = tuple[NDArray[np.int64], Snaps]
"""Some rows of the units' places: what is worked out for those is kept with them."""

_TUPLES = (
    "units", "ids", "types", "agencies", "command", "districts", "stations", "profiles", "status", "sendable",
    "crew_id", "blocked_by", "asked", "incident", "busy_with", "busy_by",
)  # fmt: skip
_ARRAYS = ("lights", "gives", "crew", "crew_min", "turnout_s", "ready_us", "base", "n")


class Fleet:
    """Follows the picture and the fixes; safe from any thread. What it returns never changes."""

    def __init__(self, picture: Picture, tracks: Tracks, pack: Pack, clock: Clock) -> None:
        self._picture = picture
        self._tracks = tracks
        self._pack = pack
        self._clock = clock
        self._capabilities = tuple(pack.capabilities)
        # Held for milliseconds by threads of the pool and by the event loop: one of the operating system.
        self._lock = original("_thread", "allocate_lock")()
        self._columns: Columns | None = None
        self._row: dict[str, int] = {}
        self._crews: dict[str, list[int]] = {}
        self._counted_s = -math.inf
        self._places: dict[tuple[int, str], tuple[RoadGraph, Columns, Snaps, _Slice | None]] = {}

    def now(self) -> Columns:
        """The units as the latest committed picture has them."""
        with self._lock:
            was = self._columns
            # Before the entities are read: what is published meanwhile is met again next time.
            position = self._picture.position
            if was is None:
                found = self._anew(position)
            elif was.position == position:
                found = was
            else:
                found = self._changed(was, position)
            moment_s = self._clock.monotonic_s()
            if moment_s - self._counted_s >= WORKLOAD_EVERY_S or len(found.workload) != len(found.ids):
                self._counted_s = moment_s
                found = self._with(found, workload=self._workload(found.ids))
            self._columns = found
            return found

    def places(self, columns: Columns, ways: RoadGraph, mode: str, rows: Any, lon: Any, lat: Any) -> Snaps:
        """Those rows of the columns, at (lon, lat) float64[len(rows)], on the roads of that mode; the same
        object as before where the same array of rows is asked for and none of them moved."""
        with self._lock:
            return self._placed(columns, ways, mode, rows, lon, lat)

    def _placed(self, columns: Columns, ways: RoadGraph, mode: str, rows: Any, lon: Any, lat: Any) -> Snaps:
        key = (id(ways), mode)
        kept = self._places.get(key)
        part: _Slice | None = None
        if kept is not None and kept[0] is ways and kept[1].ids is columns.ids:
            all_, part = kept[2:]
        else:
            many = len(columns.ids)
            nowhere = np.full(many, np.nan)
            edge = np.full(many, -1, dtype=np.int32)
            all_ = Snaps(nowhere, nowhere.copy(), edge, np.zeros(many), np.full(many, np.inf))
        if part is None or part[0] is not rows:
            part = None
        was = _part(all_, rows) if part is None else part[1]
        is_new = (was.lon != lon) | (was.lat != lat)
        # Who is nowhere, as before, has not moved.
        is_new &= ~(np.isnan(was.lon) & np.isnan(lon) & np.isnan(was.lat) & np.isnan(lat))
        moved = np.flatnonzero(is_new)
        if len(moved):
            at = rows[moved]
            if ways.beneath is None:
                found = ways.snap(lon[moved], lat[moved], mode)
            else:
                # A closure moves the few that stand on its streets.
                below = self._placed(columns, ways.beneath, mode, at, lon[moved], lat[moved])
                found = ways.placed(below, mode)
            # Others may be reading the arrays that were handed out.
            all_ = Snaps(*(getattr(all_, one.name).copy() for one in fields(all_)))
            all_.lon[at], all_.lat[at] = found.lon, found.lat
            all_.edge[at], all_.fraction[at], all_.away_m[at] = found.edge, found.fraction, found.away_m
            was = _part(all_, rows)
        self._places.pop(key, None)
        self._places[key] = (ways, columns, all_, (rows, was))
        views = list(dict.fromkeys(view for view, _ in self._places))
        for view in views[:-VIEWS_KEPT]:
            self._places = {k: v for k, v in self._places.items() if k[0] != view}
        return was

    # ---- following the picture

    def _anew(self, position: int) -> Columns:
        units = sorted(self._picture.now.units(), key=lambda unit: unit.id)
        self._row = {unit.id: row for row, unit in enumerate(units)}
        self._crews = {}
        for row, unit in enumerate(units):
            if unit.crew_id is not None:
                self._crews.setdefault(unit.crew_id, []).append(row)
        rows = [self._told(unit, units) for unit in units]
        columns: dict[str, Any] = {name: tuple(row[name] for row in rows) for name in _TUPLES}
        kinds = {"lights": bool, "gives": bool, "crew": np.int64, "crew_min": np.int64, "n": np.int64}
        for name in _ARRAYS:
            columns[name] = np.array([row[name] for row in rows], dtype=kinds.get(name, np.float64))
        columns["gives"] = columns["gives"].reshape(len(units), len(self._capabilities))
        columns["base"] = columns["base"].reshape(len(units), 2)
        derived = _derived(capabilities=self._capabilities, **columns)
        return Columns(position=position, workload=np.empty(0), **columns, **derived)

    def _changed(self, was: Columns, position: int) -> Columns:
        since = self._picture.changed_since(was.position)
        if since is None:
            return self._anew(position)
        touched: dict[int, Unit] = {}
        for subject in since[1]:
            kind, _, unit_id = subject.partition(":")
            if kind != "unit":
                continue
            unit, row = self._picture.now.unit(unit_id), self._row.get(unit_id)
            if unit is None or row is None or unit.crew_id != was.crew_id[row]:
                return self._anew(position)
            touched[row] = unit
        if not touched:
            return self._with(was, position=position)
        units = list(was.units)
        for row, unit in touched.items():
            units[row] = unit
        rows = set(touched)
        for unit in touched.values():
            rows.update(self._crews.get(unit.crew_id or "", ()))
        lists: dict[str, list[Any]] = {name: list(getattr(was, name)) for name in _TUPLES if name != "ids"}
        arrays: dict[str, Any] = {name: getattr(was, name).copy() for name in _ARRAYS}
        for row in rows:
            told = self._told(units[row], units)
            for name, values in lists.items():
                values[row] = told[name]
            for name, values in arrays.items():
                values[row] = told[name]
        columns = {name: tuple(values) for name, values in lists.items()}
        new = {**columns, **arrays}
        derived = _derived(ids=was.ids, capabilities=self._capabilities, **new)
        return self._with(was, position=position, **new, **derived)

    @staticmethod
    def _with(was: Columns, **new: Any) -> Columns:
        return Columns(**{name: new.get(name, getattr(was, name)) for name in Columns.__dataclass_fields__})

    def _told(self, unit: Unit, units: Sequence[Unit]) -> dict[str, Any]:
        """One unit's row. Nobody is sent whose agency was asked for it, or for a mate of the crew."""
        mates = [units[row] for row in self._crews.get(unit.crew_id or "", ()) if units[row].id != unit.id]
        asked = next((one for one in (unit, *mates) if is_asked(one)), None)
        state = self._picture.now
        incident = state.incident(unit.incident) if unit.incident is not None else None
        return {
            "units": unit,
            "ids": unit.id,
            "types": unit.type,
            "agencies": unit.agency,
            "command": unit.command,
            "districts": unit.district,
            "stations": unit.station,
            "profiles": unit.profile,
            "lights": unit.lights,
            "gives": [name in unit.capabilities for name in self._capabilities],
            "status": unit.status,
            "sendable": "never" if asked is not None else self._pack.sendable(unit.status),
            "crew": unit.crew,
            "crew_min": unit.crew_min,
            "crew_id": unit.crew_id,
            "blocked_by": next((mate.id for mate in mates if mate.incident is not None), None),
            "asked": asked,
            "turnout_s": unit.turnout_s,
            "ready_us": math.nan if unit.ready_us is None else unit.ready_us,
            "incident": unit.incident,
            "busy_with": incident.number if incident is not None else unit.incident,
            "busy_by": who(unit.assigned_by) if unit.incident else None,
            "base": unit.base or (math.nan, math.nan),
            "n": self._tracks.index(unit.id),
        }

    def _workload(self, ids: tuple[str, ...]) -> NDArray[np.float64]:
        """The share of the last hours that each unit was out, as far as incidents are in memory."""
        now_us = self._clock.now_us()
        since_us = now_us - WORKLOAD_US
        worked_us = np.zeros(len(ids))
        for incident in self._picture.now.incidents():
            for one in incident.assignments:
                row = self._row.get(one.unit)
                began_us = max(one.times.get("assigned", one.since_us), since_us)
                ended_us = min(now_us, one.ended_us if one.ended_us is not None else now_us)
                if row is not None and ended_us > began_us:
                    worked_us[row] += ended_us - began_us
        return np.minimum(worked_us / WORKLOAD_US, 1.0)


def _part(all_: Snaps, rows: Any) -> Snaps:
    return Snaps(all_.lon[rows], all_.lat[rows], all_.edge[rows], all_.fraction[rows], all_.away_m[rows])


def _derived(
    *,
    ids: tuple[str, ...],
    capabilities: tuple[str, ...],
    incident: tuple[str | None, ...],
    types: tuple[str, ...],
    stations: tuple[str, ...],
    profiles: tuple[str, ...],
    lights: NDArray[np.bool_],
    status: tuple[str, ...],
    sendable: tuple[str, ...],
    **others: Any,
) -> dict[str, Any]:
    """What every recommendation would work out again from the columns."""
    pairs = list(zip(profiles, lights.tolist(), strict=True))
    sent: dict[str, list[int]] = {}
    for row, on in enumerate(incident):
        if on is not None:
            sent.setdefault(on, []).append(row)
    nowhere = np.full(len(ids), np.nan)
    modes = profiles, tuple(mode(profile, bright) for profile, bright in pairs)
    return {
        "modes": modes,
        "crews": tuple(tuple(zip(types, stations, each, strict=True)) for each in modes),
        "by_mode": tuple(
            {how: np.flatnonzero(np.array(each) == how) for how in sorted(set(each))} for each in modes
        ),
        "rolling": np.array([word in ROLLING for word in status], dtype=bool),
        "soon": np.array([word == "soon" for word in sendable], dtype=bool),
        "underway": np.array([word in UNDERWAY for word in status], dtype=bool),
        "rows": {unit: row for row, unit in enumerate(ids)},
        "sent": sent,
        "candidates": Candidates(
            ids=ids,
            types=types,
            capabilities=capabilities,
            status=status,
            sendable=sendable,
            drive_s=nowhere,
            distance_m=np.full(len(ids), np.inf),
            road=np.zeros(len(ids), dtype=bool),
            ready_in_s=nowhere,
            fix_age_s=nowhere,
            # Nobody has drawn zones of competence: the whole city is everybody's.
            in_zone=np.ones(len(ids), dtype=bool),
            already=np.zeros(len(ids), dtype=bool),
            **{
                name: others[name]
                for name in ("agencies", "command", "districts", "gives", "crew", "crew_min", "crew_id")
            },
            **{name: others[name] for name in ("blocked_by", "turnout_s", "busy_with", "busy_by")},
        ),
    }
