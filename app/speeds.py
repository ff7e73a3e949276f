"""Speeds by hour, turnout and the band of an ETA, as the city's own history tells them; priors until then.

Learning runs apart (`learn`, by the command or a job) and leaves one small file a city, var/speeds/CITY.json;
`Speeds` reads it, and again when it changes.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learnt import Followed, file_of, put
from app.ports import Clock
from app.rows import rfc3339
from dispatch import events as e
from dispatch.optimise import ROLLING
from dispatch.plans import Pack
from gis.city import City
from gis.geometry import haversine_m
from gis.local_time import hour_of_week, zone_of
from gis.roads import IMPASSABLE
from gis.speeds import (
    GROUP_OF_CLASS,
    GROUPS,
    MODES,
    PARTS,
    PRIOR,
    STRAIGHT_SPREAD,
    TURNOUT_SPREAD,
    Z80,
    Departure,
    SpeedTable,
    Trail,
    as_json,
    band_of,
    from_json,
    learn_turnout,
    measure,
    mode_row,
)
from gis.speeds import learn as learn_from
from gis.travel import RoadGraph
from gis.travel import mode as way_of_driving

if TYPE_CHECKING:
    from app.core import Core

Floats = NDArray[np.float64]

FRESH_S: Final = 30.0
"""A fix no older than this is where the unit is."""
STALE_S_MAX: Final = 300.0
"""What an old fix, or none, adds at most to either side of the band: a crew that drives where nobody looks
is that much nearer or farther. A stated assumption."""
_NO_TURNOUT: Final = np.array([1.0, *np.exp(np.array([-Z80, Z80]) * TURNOUT_SPREAD), 0.0], dtype=np.float32)


class Band(NamedTuple):
    """Multipliers on a drive time between which four trips in five end, the number of trips behind them, and
    whether they are the prior."""

    low: float
    high: float
    observations: int
    prior: bool


class Turnout(NamedTuple):
    """Seconds from the order to wheels rolling: the middle, and what 10 % and 90 % of departures stay below;
    the number of departures behind them, and whether they are the prior."""

    median_s: float
    low_s: float
    high_s: float
    observations: int
    prior: bool


class Etas(NamedTuple):
    """Of n units, float64[n] each: turnout as counted (0 when rolling), and the ETA with the band in which
    it ends four times in five. Seconds; not finite where there is no drive time."""

    turnout_s: Floats
    eta_s: Floats
    low_s: Floats
    high_s: Floats


class Speeds:
    """What is known of one city's speeds; safe from any thread. `version` changes when other figures come
    into use."""

    def __init__(self, folder: Path, city: Callable[[], City | None], pack: Pack, clock: Clock) -> None:
        self._city = city
        self._pack = pack
        self._clock = clock
        self._zone: tuple[City, tzinfo] | None = None
        self._crews: dict[int, tuple[object, object, int, Floats]] = {}
        self._followed = Followed(
            folder,
            city,
            clock,
            lambda file, city: read(file, city.roads),
            "`./straja speeds learn` makes it anew",
        )

    @property
    def table(self) -> SpeedTable:
        """What is in use: the city's own figures, or the prior. Follows the file within seconds."""
        found = self._followed.now()
        return PRIOR if found is None else found

    @property
    def version(self) -> int:
        """Changes when other figures come into use."""
        return self._followed.version

    @property
    def trouble(self) -> str | None:
        """Why the file that is there is not used, for people; None when it is, or when there is none."""
        return self._followed.trouble

    def hour(self, now_us: int | None = None) -> int:
        """The local hour of the week where the city lies, 0 (Monday from midnight) to 167; UTC without a
        city."""
        city = self._city()
        if city is None:
            zone: tzinfo = UTC
        else:
            if self._zone is None or self._zone[0] is not city:
                self._zone = city, zone_of(*city.info.centre)
            zone = self._zone[1]
        return hour_of_week(self._clock.now_us() if now_us is None else now_us, zone)

    def factors(self, mode: str, hour: int) -> NDArray[np.float32] | None:
        """What multiplies the milliseconds of each arc of the city's graph for `mode` (a profile, or one with
        `_priority`) in that hour of the week; None where the graph's own times stand."""
        city = self._city()
        by_group = self.table.factor[mode_row(mode), :, band_of(hour)]
        if city is None or mode in ("air", "foot") or (by_group == 1).all():
            return None
        edge_class = city.roads.arrays(mode)["edge_class"]
        return np.repeat(by_group[GROUP_OF_CLASS[edge_class]], 2)

    def band(self, mode: str, hour: int) -> Band:
        """The band of a drive by road, as multipliers on its predicted time."""
        row, band = mode_row(mode), band_of(hour)
        low, high = np.exp(self.table.quantile[row, band])
        trips = round(float(self.table.quantile_trips[row, band]))
        return Band(float(low), float(high), trips, trips == 0)

    def turnout_s(self, unit_type: str, station: str, hour: int, standard_s: float | None = None) -> Turnout:
        """Turnout of a crew of that type and station; `standard_s` is the unit's own, by default its type's
        (KeyError where the pack has no such type)."""
        standard = self._pack.unit_types[unit_type].turnout_s if standard_s is None else standard_s
        middle, low, high, count = _turnout(self.table, unit_type, station, hour).tolist()
        return Turnout(standard * middle, standard * low, standard * high, round(count), count == 0)

    def etas(
        self,
        crews: Sequence[tuple[str, str, str]],
        *,
        standard_s: Floats,
        drive_s: Floats,
        road: NDArray[np.bool_],
        rolling: NDArray[np.bool_],
        fix_age_s: Floats,
        hour: int,
    ) -> Etas:
        """The ETAs of n units in one call. `crews`: (unit type, station, mode) of each; `standard_s`: its
        standard turnout; `drive_s`: its drive (by the hour's factors already); `road`: whether that follows
        roads; `rolling`: whether its wheels roll; `fix_age_s`: NaN where it never had a fix.

        Turnout and drive are taken as independent: the half-widths add in quadrature.
        """
        table = self.table
        kept = self._crews.get(id(crews))
        if kept is not None and kept[0] is crews and kept[1] is table and kept[2] == hour:
            of = kept[3]
        else:
            of = _of_crews(table, crews, hour)
            if isinstance(crews, tuple):
                # The same crews are asked about again and again, until one of them changes.
                self._crews = {id(crews): (crews, table, hour, of), **dict(list(self._crews.items())[:3])}
        straight = np.where(road, 0.0, Z80 * STRAIGHT_SPREAD)
        drive_low = np.exp(np.minimum(of[:, 3], -straight))
        drive_high = np.exp(np.maximum(of[:, 4], straight))
        standing_s = np.where(rolling, 0.0, standard_s)
        turnout_s = standing_s * of[:, 0]
        eta_s = turnout_s + drive_s
        age_s = np.where(np.isnan(fix_age_s), np.inf, fix_age_s)
        stale_s = np.clip(age_s - FRESH_S, 0.0, STALE_S_MAX)
        with np.errstate(invalid="ignore"):
            # However little is known of where it is, no drive is shorter than none.
            sooner_s = np.minimum(drive_s, np.hypot(drive_s * (1 - drive_low), stale_s))
            down_s = np.hypot(turnout_s - standing_s * of[:, 1], sooner_s)
            up_s = np.sqrt(
                (standing_s * of[:, 2] - turnout_s) ** 2 + (drive_s * (drive_high - 1)) ** 2 + stale_s**2
            )
            low_s = eta_s - down_s
            low_s = np.where(np.isnan(fix_age_s), np.maximum(low_s, turnout_s), low_s)
            return Etas(turnout_s, eta_s, np.maximum(low_s, 0.0), eta_s + up_s)


def _of_crews(table: SpeedTable, crews: Sequence[tuple[str, str, str]], hour: int) -> Floats:
    """float64[n, 5]: of each crew, the shares of the standard turnout (middle, low, high) and the logarithms
    of the band of its drive."""
    band = band_of(hour)
    kinds: dict[tuple[str, str, str], int] = {}
    which = np.fromiter((kinds.setdefault(crew, len(kinds)) for crew in crews), np.int64, len(crews))
    told = np.empty((max(1, len(kinds)), 5))
    for (unit_type, station, mode), row in kinds.items():
        told[row, :3] = _turnout(table, unit_type, station, hour)[:3]
        told[row, 3:] = table.quantile[mode_row(mode), band]
    return np.asarray(told[which])


def _turnout(table: SpeedTable, unit_type: str, station: str, hour: int) -> NDArray[np.float32]:
    found = table.turnout.get((unit_type, station))
    if found is None:
        found = table.turnout.get((unit_type, ""))
    return _NO_TURNOUT if found is None else found[hour % 24 * PARTS // 24]


# ---- the file


def read(file: Path, graph: RoadGraph) -> SpeedTable:
    """The table in the file. Raises OSError or ValueError where it cannot be read, or was measured against
    other free-flow times than this graph's."""
    table = from_json(json.loads(file.read_text(encoding="utf-8")))
    measured = table.about.get("free_flow_s_per_km", {})
    for mode, then in measured.items():
        now = free_flow_s_per_km(graph, mode)
        if abs(now / then - 1) > 0.01:
            raise ValueError(
                f"it was measured where {mode} took {then:.1f} s a km by the map, which now says {now:.1f}"
            )
    return table


def free_flow_s_per_km(graph: RoadGraph, mode: str) -> float:
    """How fast the graph takes a way of driving to be, over all the roads that are open to it."""
    ms = graph.ms(mode)
    edge_m = np.repeat(graph.arrays(mode)["edge_m"], 2)
    is_open = ms != IMPASSABLE
    return float(ms[is_open].sum(dtype=np.float64) / max(1.0, float(edge_m[is_open].sum(dtype=np.float64))))


def told(core: Core) -> list[str]:
    """What is known of the speeds of the city in use, in lines for people."""
    speeds, city = core.speeds, core.city
    if city is None:
        return ["no city is in use"]
    about = speeds.table.about
    lines = [f"note: {speeds.trouble}"] if speeds.trouble else []
    if not about:
        return [*lines, f"{city.info.name}: nothing is learnt yet; ETAs follow the map's free-flow times"]
    first, last = rfc3339(about["from_us"]), rfc3339(about["to_us"])
    span = f"drives between {first} and {last}" if first is not None else "no drives at all"
    lines.append(f"{city.info.name}: learnt {rfc3339(about['made_at_us'])}, from {span}")
    left_out = ", ".join(f"{why} {n:,}" for why, n in about["dropped"].items() if n)
    lines.append(f"  {about['legs']:,} legs measured; left out: {left_out or 'none'}")
    for row, mode in enumerate(MODES):
        judged = about["held_out"][mode]
        lines.append(f"{mode}: {about['drives'][mode]:,} drives, {about['trips'][mode]:,} whole trips")
        if "before" in judged:
            before, after = judged["before"], judged["after"]
            lines.append(
                f"  error on {judged['trips']} unseen trips: {before['mean_error_s']:.0f} s"
                f" ({before['median_error_pct']:.0f} %, bias {before['bias_pct']:+.0f} %) by free flow,"
                f" {after['mean_error_s']:.0f} s ({after['median_error_pct']:.0f} %,"
                f" bias {after['bias_pct']:+.0f} %) as learnt"
            )
        lines.append(f"  {'in use' if judged['used'] else 'not in use'}: {judged['why']}")
        if not judged["used"]:
            continue
        for hour, name in ((8, "08-09"), (13, "13-14"), (17, "17-18"), (2, "02-03")):
            by_group = " ".join(
                f"{group} {speeds.table.factor[row, n, hour]:.2f} ({speeds.table.trips[row, n, hour]:.0f})"
                for n, group in enumerate(GROUPS)
            )
            low, high = np.exp(speeds.table.quantile[row, hour])
            lines.append(f"  working days {name}: {by_group}; band {low:.2f} to {high:.2f}")
    known = [f"{kind} {parts[2, 0]:.2f}" for (kind, at), parts in speeds.table.turnout.items() if not at]
    by_day = ", ".join(known) or "-"
    lines.append(f"turnout: {about['departures']:,} departures; by day, times the standard: {by_day}")
    return lines


# ---- learning, away from the web

HISTORY_US: Final = 30 * 86_400_000_000
"""As long as positions are kept."""
_PAGE: Final = 5_000
_ACCURACY_M_MAX: Final = 50.0
_MOVED_M: Final = 100.0
_DEPARTS_WITHIN_US: Final = 1_200_000_000
_ORDINARY: Final = frozenset({"available", "returning", "recovering"})
_WANTED: Final = frozenset(
    {
        "UnitRegistered", "UnitAssigned", "UnitRecalled", "UnitStatusReported", "IncidentReported",
        "IncidentChanged", "TakenBack",
    }
)  # fmt: skip


@dataclass
class _Life:
    """What the log tells of one unit: who it is, and its statuses in order of time with the incident."""

    kind: e.UnitRegistered | None = None
    demo: bool = False
    at_us: list[int] = field(default_factory=list)
    status: list[tuple[str, str | None]] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    """Rows of `status` that are orders."""


def learn(core: Core, *, seed: int = 0, demo: bool = False) -> SpeedTable:
    """Learn from the last 30 days and write the file of the city in use. The demo's crews count only with
    `demo`. Raises LookupError where no city is in use, OSError where the file cannot be written."""
    city = core.city
    if city is None:
        raise LookupError("no city is in use")
    now_us = core.world.clock.now_us()
    since_us = now_us - HISTORY_US
    zone = zone_of(*city.info.centre)
    lives, priorities = _lives(core)
    departures: list[Departure] = []
    modes: set[str] = set()

    def trails() -> Iterator[Trail]:
        for unit, life in lives.items():
            kind = life.kind
            if kind is None or (life.demo and not demo):
                continue
            at_us, lon, lat = _fixes(core, unit, since_us, now_us)
            departures.extend(_departures(life, at_us, lon, lat, zone, since_us))
            if kind.profile in ("air", "foot") or len(at_us) < 2:
                continue
            label = _labels(life, at_us, priorities, core.pack)
            modes.update(way_of_driving(kind.profile, row == 1) for row in set(label.tolist()) if row >= 0)
            yield Trail(kind.profile, at_us, lon, lat, label)

    drives = measure(city.roads, trails(), zone, seed=seed)
    table = learn_from(drives, seed=seed)
    table = replace(
        table,
        turnout=learn_turnout(departures),
        about={
            **table.about,
            "city": city.info.name,
            "made_at_us": now_us,
            "from_us": int(drives.start_us.min()) if len(drives.start_us) else None,
            "to_us": int(drives.start_us.max()) if len(drives.start_us) else None,
            "departures": len(departures),
            "free_flow_s_per_km": {mode: free_flow_s_per_km(city.roads, mode) for mode in sorted(modes)},
        },
    )
    put(file_of(core.config.var / "speeds", city), as_json(table))
    return table


def _lives(core: Core) -> tuple[dict[str, _Life], dict[str, list[tuple[int, str]]]]:
    """The units' lives, and of each incident its priorities from when on."""
    lives: dict[str, _Life] = {}
    priorities: dict[str, list[tuple[int, str]]] = {}
    position = 0
    while page := core.log.read(position, _PAGE):
        position = page[-1].position
        for envelope in page:
            if envelope.type in _WANTED:
                rec = envelope.recorded()
                _note(lives, priorities, rec, rec.event)
    for life in lives.values():
        order = sorted(range(len(life.at_us)), key=lambda row: life.at_us[row])
        rank = {row: n for n, row in enumerate(order)}
        life.at_us = [life.at_us[row] for row in order]
        life.status = [life.status[row] for row in order]
        life.orders = sorted(rank[row] for row in life.orders)
    return lives, priorities


def _note(
    lives: dict[str, _Life],
    priorities: dict[str, list[tuple[int, str]]],
    rec: e.Recorded,
    fact: e.Event | None,
) -> None:
    if isinstance(fact, e.IncidentReported):
        priorities.setdefault(fact.incident, []).append((rec.observed_us, fact.priority))
        return
    if isinstance(fact, e.IncidentChanged):
        if isinstance(fact.changes.get("priority"), str):
            priorities.setdefault(fact.incident, []).append((rec.observed_us, fact.changes["priority"]))
        return
    if isinstance(fact, e.UnitRegistered):
        life = lives.setdefault(fact.unit, _Life())
        life.kind, life.demo = fact, rec.source == "demo"
    elif isinstance(fact, e.UnitAssigned):
        life = lives.setdefault(fact.unit, _Life())
        life.orders.append(len(life.at_us))
        life.at_us.append(rec.observed_us)
        life.status.append(("assigned", fact.incident))
    elif isinstance(fact, e.UnitRecalled):
        life = lives.setdefault(fact.unit, _Life())
        life.at_us.append(rec.observed_us)
        life.status.append(("available", None))
    elif isinstance(fact, e.TakenBack):
        for unit, _, what in fact.told:
            if what == "order":
                life = lives.setdefault(unit, _Life())
                life.at_us.append(rec.observed_us)
                life.status.append(("available", None))
    elif isinstance(fact, e.UnitStatusReported) and not fact.late:
        life = lives.setdefault(fact.unit, _Life())
        life.at_us.append(rec.observed_us)
        life.status.append((fact.status, fact.incident))


def _fixes(core: Core, unit: str, since_us: int, until_us: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The unit's trail from the receiver that told most of it: two of them zigzag."""
    at_us: list[int] = []
    lon: list[float] = []
    lat: list[float] = []
    source: list[str] = []
    after: tuple[int, str] | None = None
    while True:
        page = core.tracks.trail(unit, since_us, until_us, _PAGE, after)
        for fix in page:
            if fix.accuracy_m is None or fix.accuracy_m <= _ACCURACY_M_MAX:
                at_us.append(fix.observed_us)
                lon.append(fix.lon)
                lat.append(fix.lat)
                source.append(fix.source)
        if len(page) < _PAGE:
            break
        after = page[-1].observed_us, page[-1].source
    told = np.array(at_us, dtype=np.int64), np.array(lon), np.array(lat)
    if len(set(source)) > 1:
        most = Counter(source).most_common(1)[0][0]
        kept = np.array([one == most for one in source])
        return told[0][kept], told[1][kept], told[2][kept]
    return told


def _labels(
    life: _Life, at_us: NDArray[np.int64], priorities: Mapping[str, list[tuple[int, str]]], pack: Pack
) -> NDArray[np.int8]:
    """How the unit drove at each fix: 1 with priority signals, 0 as anybody, -1 not known."""
    assert life.kind is not None, "asked of registered units"
    labels = [-1]
    for begins_us, (status, incident) in zip(life.at_us, life.status, strict=True):
        label = 0 if status in _ORDINARY else -1
        if status == "en_route" and incident is not None and incident in priorities:
            known = sorted(priorities[incident])
            priority = known[max(0, bisect_right(known, (begins_us, "\U0010ffff")) - 1)][1]
            label = int(pack.drives_with_priority(life.kind.lights, priority))
        labels.append(label)
    return np.array(labels, dtype=np.int8)[np.searchsorted(life.at_us, at_us, side="right")]


def _departures(
    life: _Life, at_us: NDArray[np.int64], lon: Floats, lat: Floats, zone: tzinfo, since_us: int
) -> Iterator[Departure]:
    """Every order to a unit that stood and what it took until its wheels rolled: until it said so, or was
    100 m from where the order had found it, whichever came first."""
    kind = life.kind
    assert kind is not None, "asked of registered units"
    for row in life.orders:
        ordered_us = life.at_us[row]
        before = life.status[row - 1][0] if row else ""
        if ordered_us < since_us or before in ROLLING or before == "assigned":
            continue
        upto_us = ordered_us + _DEPARTS_WITHIN_US
        rolled_us = None
        for later in range(row + 1, len(life.at_us)):
            status = life.status[later][0]
            if status == "acknowledged":
                continue
            if status == "en_route":
                rolled_us = life.at_us[later]
            else:
                # Recalled, sent elsewhere, or never said that it left.
                upto_us = min(upto_us, life.at_us[later])
            break
        first = int(np.searchsorted(at_us, ordered_us, side="right"))
        last = int(np.searchsorted(at_us, upto_us if rolled_us is None else rolled_us, side="right"))
        if 0 < first < last:
            away_m = haversine_m(lon[first - 1], lat[first - 1], lon[first:last], lat[first:last])
            gone = np.flatnonzero(away_m > _MOVED_M)
            if len(gone):
                rolled_us = int(at_us[first + gone[0]])
        if rolled_us is not None and rolled_us <= upto_us:
            hour = hour_of_week(ordered_us, zone)
            took_s = (rolled_us - ordered_us) / 1e6
            yield Departure(kind.type, kind.station, hour, float(kind.turnout_s), took_s)
