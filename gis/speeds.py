"""How fast a city is really driven, by class of road, hour and way of driving; and how far off an ETA may be.

The road graph holds free-flow times that follow from its map alone. A `SpeedTable` holds what the city's own
units needed of them: a factor on the time by group of road classes, band of hours and mode, each shrunk to
the prior by how few trips stand behind it; the spread of whole trips about their prediction; and turnout.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gis.geometry import EARTH_RADIUS_M, FloatArray, haversine_m
from gis.local_time import hours_of_week
from gis.roads import CLASSES
from gis.travel import RoadGraph, Snaps
from gis.travel import mode as way_of_driving

Float32s = NDArray[np.float32]

MODES: Final = ("ordinary", "priority")
"""Two ways of driving: as anybody, and with priority signals."""
GROUPS: Final = ("motorway", "main", "collector", "street", "yard")
"""Classes of road that are driven alike, and are met often enough to be told apart."""
_GROUP_OF: Final[Mapping[str, str]] = {
    "motorway": "motorway", "motorway_link": "motorway", "trunk": "motorway", "trunk_link": "motorway",
    "primary": "main", "primary_link": "main", "secondary": "main", "secondary_link": "main",
    "tertiary": "collector", "tertiary_link": "collector", "unclassified": "collector",
    "busway": "collector", "bus_guideway": "collector",
    "residential": "street", "living_street": "street", "road": "street",
}  # fmt: skip
GROUP_OF_CLASS: Final[NDArray[np.uint8]] = np.array(
    [GROUPS.index(_GROUP_OF.get(name, "yard")) for name in CLASSES], dtype=np.uint8
)
"""uint8[len(CLASSES)]: the group of each class of road."""
BANDS: Final = 48
"""Hours of a day, of Monday to Friday first and then of Saturday and Sunday. Public holidays are not told
apart."""
PARTS: Final = 4
"""Parts of a day of six hours each, the night first, by which turnout is told apart."""

FACTOR_MIN, FACTOR_MAX = 0.4, 2.5

Z80: Final = 1.2816
"""Of a normal distribution four fifths lie within so many standard deviations."""
DRIVE_SPREAD: Final = 0.30
"""Standard deviation of log(observed / predicted) of a trip by road where nothing is known: a stated
assumption, wide on purpose. That trip times are about log-normal: Westgate, Woodard, Matteson and Henderson,
"Large-network travel time distribution estimation for ambulances", EJOR 252 (2016) 322."""
STRAIGHT_SPREAD: Final = 0.45
"""The same for an estimate that follows no road: a stated assumption."""
TURNOUT_SPREAD: Final = 0.35
"""The same of turnout about its standard: a stated assumption."""


def mode_row(mode: str) -> int:
    """The row of MODES that a profile ("ambulance") or way of driving ("ambulance_priority") belongs to."""
    return int(mode.endswith("_priority"))


def band_of(hour_of_week: int) -> int:
    """The band, 0 to 47, of an hour of the week (Monday from midnight is 0)."""
    return hour_of_week % 24 + (24 if hour_of_week % 168 >= 120 else 0)


@dataclass(frozen=True)
class SpeedTable:
    """What one city's history says. M modes, G groups, B bands, P parts of a day.

    `factor` float32[M, G, B]: multiplies the graph's milliseconds; 1 where nothing is known.
    `trips` float32[M, G, B]: how many trips stand behind each, those of neighbouring hours by their weight.
    `quantile` float32[M, B, 2]: log(observed / predicted) of whole trips below which 10 % and 90 % lie;
    `quantile_trips` float32[M, B]. `turnout`: (unit type, station or "") -> float32[P, 4] of multipliers on
    the standard turnout (middle, 10 %, 90 %) and the number of departures behind them. `about` is what a
    person may ask: when it was made, from what, and how it did on trips that it had not seen.
    """

    factor: Float32s = field(default_factory=lambda: np.ones((2, len(GROUPS), BANDS), dtype=np.float32))
    trips: Float32s = field(default_factory=lambda: np.zeros((2, len(GROUPS), BANDS), dtype=np.float32))
    quantile: Float32s = field(
        default_factory=lambda: (
            np.full((2, BANDS, 2), Z80 * DRIVE_SPREAD, dtype=np.float32) * np.array([-1, 1], dtype=np.float32)
        )
    )
    quantile_trips: Float32s = field(default_factory=lambda: np.zeros((2, BANDS), dtype=np.float32))
    turnout: Mapping[tuple[str, str], Float32s] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


PRIOR: Final = SpeedTable()
"""Of a city without history."""


# ---- trails -> drives


STOP_S: Final = 120.0
"""Who stays in one place for so long has stopped; a shorter wait belongs to the drive, lights and all."""
STAND_M: Final = 30.0
GAP_S: Final = 300.0
"""Nothing is known of a drive across a longer silence."""
SPEED_MAX_MPS: Final = 60.0
"""A trail that is faster jumps: another receiver, or a false fix."""
LEG_M: Final = 150.0
OFF_ROAD_M: Final = 30.0
DRIVE_M_MIN: Final = 400.0
DRIVE_S_MIN: Final = 45.0
LEGS_MAX: Final = 200_000
"""So many legs of drives are routed at most in one learning; of more, a sample."""
_RATIO_MAX: Final = 8.0


@dataclass(frozen=True)
class Trail:
    """Where one unit was: n fixes in any order. `at_us` int64[n]; `label` int8[n] how it drove then: a row of
    MODES, or -1 where that is not known and nothing is to be learnt. `profile`: what it is."""

    profile: str
    at_us: NDArray[np.int64]
    lon: FloatArray
    lat: FloatArray
    label: NDArray[np.int8]


@dataclass(frozen=True)
class Drives:
    """Drives measured against the graph: d drives, k legs of them (some 150 m each), G groups of roads.

    `start_us` int64[d], `mode` int64[d] rows of MODES, `band` int64[d]. `trip_s` float64[d]: from beginning
    to end, NaN where the drive was no direct way; `trip_group_s` float64[d, G]: free-flow seconds of the
    quickest way, by group. `leg_drive` int64[k], `leg_s` float64[k] as driven, `leg_group_s` float64[k, G].
    `dropped`: why how many legs and drives told nothing.
    """

    start_us: NDArray[np.int64]
    mode: NDArray[np.int64]
    band: NDArray[np.int64]
    trip_s: FloatArray
    trip_group_s: FloatArray
    leg_drive: NDArray[np.int64]
    leg_s: FloatArray
    leg_group_s: FloatArray
    dropped: Mapping[str, int]


def runs(trail: Trail) -> list[slice]:
    """The stretches of a trail (in order of time, without repeats) in which the unit was under way: between
    stops, silences, jumps and changes of label. Each begins at the last fix of a stop, or at the first one
    known, and ends at the first fix of the next."""
    n = len(trail.at_us)
    if n < 2:
        return []
    at_s = (trail.at_us - trail.at_us[0]) / 1e6
    step_m = haversine_m(trail.lon[:-1], trail.lat[:-1], trail.lon[1:], trail.lat[1:])
    step_s = np.diff(at_s)
    breaks = (step_s > GAP_S) | (step_m > SPEED_MAX_MPS * np.maximum(step_s, 0.1) + STAND_M)
    changes = np.diff(trail.label) != 0
    ky = float(np.radians(1.0)) * EARTH_RADIUS_M
    x = ((trail.lon - trail.lon[0] + 180) % 360 - 180) * ky * np.cos(np.radians(trail.lat))
    y = (trail.lat - trail.lat[0]) * ky
    # Plain lists: the loop below reads single figures, which of arrays is slow.
    x, y, seconds = x.tolist(), y.tolist(), at_s.tolist()
    cut = np.flatnonzero(breaks) + 1
    found: list[slice] = []
    for first, last in zip([0, *cut.tolist()], [*cut.tolist(), n], strict=True):
        begin, i = first, first
        while i < last:
            # How long did it stay where it was at i?
            j = i + 1
            while j < last and (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 <= STAND_M**2:
                j += 1
            if seconds[j - 1] - seconds[i] >= STOP_S:
                found.append(slice(begin, i + 1))
                begin, i = j - 1, j
            else:
                i += 1
        found.append(slice(begin, last))
    whole = []
    for run in found:
        at = run.start
        for change in (np.flatnonzero(changes[run.start : run.stop - 1]) + run.start + 1).tolist():
            whole.append(slice(at, change))
            at = change
        whole.append(slice(at, run.stop))
    return [run for run in whole if run.stop - run.start >= 2 and trail.label[run.start] >= 0]


def measure(
    graph: RoadGraph, trails: Iterable[Trail], zone: tzinfo, *, seed: int = 0, legs_max: int = LEGS_MAX
) -> Drives:
    """Every drive in the trails beside the graph's own times for its way.

    A leg is dropped when an end lies off the road, when the graph has no way or one that is not the way
    driven (a detour much longer than the trail, or much shorter), or when it was more than eight times as
    fast or slow as free flow. `zone` gives the local hour.
    """
    dropped = dict.fromkeys(("short", "off_road", "no_way", "another_way", "implausible", "not_sampled"), 0)
    wanted: list[_Run] = []
    legs = 0
    for given in trails:
        trail = _in_order(given)
        for run in runs(trail):
            cut = _cut(trail, run)
            if cut.along_m[-1] < DRIVE_M_MIN or cut.at_us[-1] - cut.at_us[0] < DRIVE_S_MIN * 1e6:
                dropped["short"] += 1
                continue
            legs += len(cut.at_us) - 1
            wanted.append(cut)
    if legs > legs_max:
        some = np.random.default_rng(seed).random(len(wanted)) < legs_max / legs
        dropped["not_sampled"] = int((~some).sum())
        wanted = [one for one, taken in zip(wanted, some.tolist(), strict=True) if taken]
    kept: list[tuple[int, int, float, FloatArray]] = []
    leg_drive: list[int] = []
    leg_s: list[float] = []
    leg_group_s: list[FloatArray] = []
    for one in wanted:
        found = _measured(graph, one, dropped)
        if found is None:
            continue
        trip_s, trip_group_s, own_s, own_group_s = found
        leg_drive += [len(kept)] * len(own_s)
        leg_s += own_s
        leg_group_s += own_group_s
        kept.append((int(one.at_us[0]), one.row, trip_s, trip_group_s))
    start_us = np.array([one[0] for one in kept], dtype=np.int64)
    groups = len(GROUPS)
    return Drives(
        start_us=start_us,
        mode=np.array([one[1] for one in kept], dtype=np.int64),
        band=bands_of(hours_of_week(start_us, zone)) if kept else np.empty(0, dtype=np.int64),
        trip_s=np.array([one[2] for one in kept]),
        trip_group_s=np.array([one[3] for one in kept]).reshape(-1, groups),
        leg_drive=np.array(leg_drive, dtype=np.int64),
        leg_s=np.array(leg_s),
        leg_group_s=np.array(leg_group_s).reshape(-1, groups),
        dropped=dropped,
    )


@dataclass(frozen=True)
class _Run:
    """A stretch under way, told by the ends of its legs: when, where, and how far along the trail."""

    mode: str
    row: int
    at_us: NDArray[np.int64]
    lon: FloatArray
    lat: FloatArray
    along_m: FloatArray


def _in_order(given: Trail) -> Trail:
    order = np.argsort(given.at_us, kind="stable")
    order = order[np.isfinite(given.lon[order]) & np.isfinite(given.lat[order])]
    if len(order):
        order = order[np.concatenate(([True], np.diff(given.at_us[order]) > 0))]
    return Trail(given.profile, given.at_us[order], given.lon[order], given.lat[order], given.label[order])


def _cut(trail: Trail, run: slice) -> _Run:
    """The run in legs of LEG_M; the last takes in what is left over, so that none is very short."""
    lon, lat = trail.lon[run], trail.lat[run]
    along_m = np.concatenate(([0.0], np.cumsum(haversine_m(lon[:-1], lat[:-1], lon[1:], lat[1:]))))
    last = len(along_m) - 1
    ends = [0]
    while (further := int(np.searchsorted(along_m, along_m[ends[-1]] + LEG_M))) < last:
        ends.append(further)
    ends = [*ends[: max(1, len(ends) - 1)], last]
    row = int(trail.label[run.start])
    return _Run(
        way_of_driving(trail.profile, row == 1),
        row,
        trail.at_us[run][ends],
        lon[ends],
        lat[ends],
        along_m[ends],
    )


def _measured(
    graph: RoadGraph, run: _Run, dropped: dict[str, int]
) -> tuple[float, FloatArray, list[float], list[FloatArray]] | None:
    """(trip_s, its free-flow seconds by group, seconds of each leg, and its free-flow seconds by group)."""
    mode, along_m, at_s = run.mode, run.along_m, run.at_us / 1e6
    snaps = graph.snap(run.lon, run.lat, mode)
    own_s: list[float] = []
    own_group_s: list[FloatArray] = []
    way_m = told_m = 0.0
    for n in range(len(at_s) - 1):
        if max(snaps.away_m[n], snaps.away_m[n + 1]) > OFF_ROAD_M:
            dropped["off_road"] += 1
            continue
        group_s, metres = _free_flow(graph, snaps, n, n + 1, mode)
        chain_m = float(along_m[n + 1] - along_m[n])
        took_s = float(at_s[n + 1] - at_s[n])
        free_s = float(group_s.sum())
        if not math.isfinite(metres):
            dropped["no_way"] += 1
        elif not 0.7 * chain_m - 60 <= metres <= 1.5 * chain_m + 60:
            dropped["another_way"] += 1
        elif free_s < 1.0 or not 1 / _RATIO_MAX <= took_s / free_s <= _RATIO_MAX:
            dropped["implausible"] += 1
        else:
            own_s.append(took_s)
            own_group_s.append(group_s)
            way_m += metres
            told_m += chain_m
    if not own_s:
        return None
    trip_s, trip_group_s = math.nan, np.zeros(len(GROUPS))
    if told_m >= 0.8 * along_m[-1] and max(snaps.away_m[0], snaps.away_m[-1]) <= OFF_ROAD_M:
        group_s, metres = _free_flow(graph, snaps, 0, len(at_s) - 1, mode)
        if math.isfinite(metres) and way_m <= 1.25 * metres + 100:
            trip_s, trip_group_s = float(at_s[-1] - at_s[0]), group_s
    return trip_s, trip_group_s, own_s, own_group_s


def _free_flow(graph: RoadGraph, snaps: Snaps, one: int, other: int, mode: str) -> tuple[FloatArray, float]:
    """Free-flow seconds by group of roads from one row of `snaps` to the other, and metres; inf metres where
    there is no way."""
    arcs, share = graph.way(_row(snaps, one), _row(snaps, other), mode)
    if len(arcs) == 0:
        return np.zeros(len(GROUPS)), math.inf
    a = graph.arrays(mode)
    seconds = share * graph.ms(mode)[arcs] / 1000
    group = GROUP_OF_CLASS[a["edge_class"][arcs >> 1]]
    metres = float((share * a["edge_m"][arcs >> 1]).sum())
    return np.bincount(group, weights=seconds, minlength=len(GROUPS)).astype(np.float64), metres


def _row(snaps: Snaps, n: int) -> Snaps:
    one = slice(n, n + 1)
    return Snaps(snaps.lon[one], snaps.lat[one], snaps.edge[one], snaps.fraction[one], snaps.away_m[one])


# ---- drives -> table

MODE_TAU, GROUP_TAU, HOUR_TAU = 0.25, 0.15, 0.15
"""How far (standard deviation of the log) a city's truth may lie from the map's times as a whole, a group of
roads from the city, and an hour from its group: stated assumptions, by which thin data is shrunk."""
_SPREAD_MIN: Final = 0.05
_FULL_S: Final = 120.0
"""A drive counts in full for a group of roads when it has spent that long on them, by free flow."""
_LEAST_S: Final = 15.0
_BORROW: Final = (1.0, 0.5, 0.2)
"""What a drive counts for its own hour, one hour off, two hours off, on the same kind of day."""
_OTHER_DAY: Final = 0.25
_QUANTILE_PRIOR_TRIPS: Final = 20.0
_LEVEL_PRIOR_TRIPS: Final = 20.0
HELD_OUT: Final = 0.25
TRIPS_MIN: Final = 12
UNSEEN_MIN: Final = 8
"""Fewer whole trips to learn from, and to be judged by, prove nothing."""
_RESAMPLES: Final = 1000


def bands_of(hours_of_week: NDArray[np.int64]) -> NDArray[np.int64]:
    """`band_of` of many hours."""
    return hours_of_week % 24 + np.where(hours_of_week % 168 >= 120, 24, 0)


def _kernel() -> FloatArray:
    """float64[B, B]: what a drive in one band counts for another."""
    hour, weekend = np.arange(BANDS) % 24, np.arange(BANDS) // 24
    apart = np.abs(hour[:, None] - hour[None, :])
    apart = np.minimum(apart, 24 - apart)
    near = np.select([apart == n for n in range(len(_BORROW))], _BORROW, 0.0)
    return np.asarray(near * np.where(weekend[:, None] == weekend[None, :], 1.0, _OTHER_DAY))


def learn(drives: Drives, *, seed: int = 0) -> SpeedTable:
    """The table of a city from its drives. What is learnt from the older three quarters is first judged by
    the whole trips of the newest quarter, and used, by mode, only where it predicts them better than free
    flow did, beyond what chance explains (paired bootstrap, 95 %); then it is learnt anew from all.

    `about["held_out"]` by mode: how many trips, the errors before and after, the interval of the difference
    and whether it is used.
    """
    newest = np.zeros(len(drives.start_us), dtype=bool)
    for row in range(len(MODES)):
        own = np.flatnonzero(drives.mode == row)
        order = own[np.argsort(drives.start_us[own], kind="stable")]
        newest[order[math.ceil(len(order) * (1 - HELD_OUT)) :]] = True
    trained, _ = _factors(drives, ~newest)
    factor, trips = _factors(drives, np.ones(len(newest), dtype=bool))
    whole = np.isfinite(drives.trip_s)
    verdicts: dict[str, Any] = {}
    rng = np.random.default_rng(seed)
    for row, mode in enumerate(MODES):
        own = whole & (drives.mode == row)
        verdicts[mode] = _judge(drives, trained, own & newest, int((own & ~newest).sum()), rng)
        if not verdicts[mode]["used"]:
            factor[row] = 1.0
    quantile, quantile_trips = _quantiles(drives, factor, whole)
    about = {
        "held_out": verdicts,
        "drives": {mode: int((drives.mode == row).sum()) for row, mode in enumerate(MODES)},
        "trips": {mode: int((whole & (drives.mode == row)).sum()) for row, mode in enumerate(MODES)},
        "legs": len(drives.leg_s),
        "dropped": dict(drives.dropped),
        "seed": seed,
    }
    return SpeedTable(
        factor=factor.astype(np.float32),
        trips=trips.astype(np.float32),
        quantile=quantile.astype(np.float32),
        quantile_trips=quantile_trips.astype(np.float32),
        about=about,
    )


def _factors(drives: Drives, taken: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """(factor[M, G, B], trips[M, G, B]) from the drives taken.

    The seconds of a leg over several groups of roads are shared out by what each would take, round after
    round with the factors found so far; a drive gives one log ratio a group. Their trimmed mean is shrunk
    level by level (the mode to 1, a group to its mode, an hour to its group) by n / (n + s^2 / tau^2), the
    normal-normal rule (Morris, "Parametric empirical Bayes inference", JASA 78 (1983) 47), with n drives
    counted by exposure and s their robust spread.
    """
    groups, modes = len(GROUPS), len(MODES)
    factor, count = np.ones((modes, groups, BANDS)), np.zeros((modes, groups, BANDS))
    d = len(drives.start_us)
    kernel = _kernel()
    leg_taken = taken[drives.leg_drive] if d else np.empty(0, dtype=bool)
    leg_drive, leg_s = drives.leg_drive[leg_taken], drives.leg_s[leg_taken]
    leg_group_s = drives.leg_group_s[leg_taken]
    if len(leg_s) == 0:
        return factor, count
    free_s = np.zeros((d, groups))
    np.add.at(free_s, leg_drive, leg_group_s)
    seen_d, seen_g = np.nonzero(free_s >= _LEAST_S)
    weight = np.minimum(free_s[seen_d, seen_g], _FULL_S) / _FULL_S
    leg_mode, leg_band = drives.mode[leg_drive], drives.band[leg_drive]
    for _ in range(12):
        own = leg_group_s * factor[leg_mode, :, leg_band]
        took = np.zeros((d, groups))
        np.add.at(took, leg_drive, own * (leg_s / own.sum(axis=1))[:, None])
        ratio = np.log(took[seen_d, seen_g] / free_s[seen_d, seen_g])
        for row in range(modes):
            of_mode = drives.mode[seen_d] == row
            if not of_mode.any():
                continue
            r, w, g = ratio[of_mode], weight[of_mode], seen_g[of_mode]
            band = drives.band[seen_d][of_mode]
            level = np.zeros((groups, BANDS))
            middle = _trimmed(r, w)
            by_group = np.array([_trimmed(r[g == n], w[g == n]) for n in range(groups)])
            spread = max(_spread(r - by_group[g]), _SPREAD_MIN)
            level += _shrunk(middle, w.sum(), spread, MODE_TAU)
            for n in range(groups):
                mine = g == n
                if not mine.any():
                    continue
                rest = r[mine] - level[n, 0]
                level[n] += _shrunk(_trimmed(rest, w[mine]), w[mine].sum(), spread, GROUP_TAU)
                rest = r[mine] - level[n, 0]
                for b in range(BANDS):
                    near = w[mine] * kernel[b, band[mine]]
                    count[row, n, b] = near.sum()
                    level[n, b] += _shrunk(_trimmed(rest, near), near.sum(), spread, HOUR_TAU)
            factor[row] = np.clip(np.exp(level), FACTOR_MIN, FACTOR_MAX)
    _level(drives, factor, taken & np.isfinite(drives.trip_s))
    return factor, count


def _level(drives: Drives, factor: FloatArray, trips: NDArray[np.bool_]) -> None:
    """Take out, in place, what whole trips of a mode are off by in the middle: of a skewed ratio the mean of
    the logs is not the time that a trip takes."""
    for row in range(len(MODES)):
        own = trips & (drives.mode == row)
        if own.any():
            off = np.log(drives.trip_s[own] / _predicted_s(drives, factor, own))
            n = int(own.sum())
            factor[row] *= math.exp(float(np.median(off)) * n / (n + _LEVEL_PRIOR_TRIPS))
    np.clip(factor, FACTOR_MIN, FACTOR_MAX, out=factor)


def _predicted_s(drives: Drives, factor: FloatArray, which: NDArray[np.bool_]) -> FloatArray:
    by_group = factor[drives.mode[which], :, drives.band[which]]
    return np.asarray((drives.trip_group_s[which] * by_group).sum(axis=1))


def _judge(
    drives: Drives, factor: FloatArray, unseen: NDArray[np.bool_], learnt_from: int, rng: np.random.Generator
) -> dict[str, Any]:
    n = int(unseen.sum())
    if learnt_from < TRIPS_MIN or n < UNSEEN_MIN:
        return {"trips": n, "used": False, "why": "too few trips"}
    took_s = drives.trip_s[unseen]
    errors = []
    told: dict[str, Any] = {}
    for name, by in (("before", np.ones_like(factor)), ("after", factor)):
        said_s = _predicted_s(drives, by, unseen)
        off = np.log(took_s / said_s)
        errors.append(np.abs(off))
        told[name] = {
            "mean_error_s": float(np.abs(took_s - said_s).mean()),
            "median_error_pct": float(100 * np.median(np.abs(took_s - said_s) / took_s)),
            "bias_pct": float(100 * (math.exp(float(np.median(off))) - 1)),
        }
    gain = errors[1] - errors[0]
    means = gain[rng.integers(0, n, (_RESAMPLES, n))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    why = "predicts unseen trips better" if high < 0 else "no better than free flow on unseen trips"
    return {"trips": n, **told, "difference": [low, high], "used": high < 0, "why": why}


def _quantiles(drives: Drives, factor: FloatArray, trips: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """(quantile[M, B, 2], trips[M, B]): each hour's shrunk to its mode's, and that to the prior."""
    prior = np.array([-1.0, 1.0]) * Z80 * DRIVE_SPREAD
    quantile = np.tile(prior, (len(MODES), BANDS, 1))
    count = np.zeros((len(MODES), BANDS))
    kernel = _kernel()
    for row in range(len(MODES)):
        own = trips & (drives.mode == row)
        if not own.any():
            continue
        off = np.log(drives.trip_s[own] / _predicted_s(drives, factor, own))
        whole = _towards(prior, off, np.ones(len(off)))
        for b in range(BANDS):
            near = kernel[b, drives.band[own]]
            count[row, b] = near.sum()
            quantile[row, b] = _towards(whole, off, near)
    # However surely it is known, a drive may be quicker and slower than predicted.
    quantile[:, :, 0] = np.minimum(quantile[:, :, 0], -_SPREAD_MIN)
    quantile[:, :, 1] = np.maximum(quantile[:, :, 1], _SPREAD_MIN)
    return quantile, count


def _towards(prior: FloatArray, values: FloatArray, weight: FloatArray) -> FloatArray:
    """The weighted 10 % and 90 % quantiles, shrunk to `prior`, which counts as so many trips."""
    n = float(weight.sum())
    if n <= 0:
        return prior
    own = np.array([_quantile(values, weight, share) for share in (0.1, 0.9)])
    return np.asarray((n * own + _QUANTILE_PRIOR_TRIPS * prior) / (n + _QUANTILE_PRIOR_TRIPS))


def _quantile(values: FloatArray, weight: FloatArray, share: float) -> float:
    order = np.argsort(values, kind="stable")
    at = np.cumsum(weight[order])
    return float(np.interp(share * at[-1], at - weight[order] / 2, values[order]))


def _trimmed(values: FloatArray, weight: FloatArray, share: float = 0.1) -> float:
    """The weighted mean without the lowest and the highest tenth of the weight; 0 of nothing."""
    total = float(weight.sum())
    if total <= 0:
        return 0.0
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weight[order]) / total
    kept = np.clip(np.minimum(upto, 1 - share) - np.maximum(upto - weight[order] / total, share), 0, None)
    return float((kept * values[order]).sum() / kept.sum())


def _spread(values: FloatArray) -> float:
    """A standard deviation that outliers do not move: 1.4826 times the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _shrunk(mean: float, n: float, spread: float, tau: float) -> float:
    return float(mean * n / (n + (spread / tau) ** 2)) if n > 0 else 0.0


# ---- turnout

TURNOUT_S_MAX: Final = 1200.0
"""A departure that took longer was delayed by something else than turnout."""
_TURNOUT_PRIOR: Final = (8.0, 16.0, 24.0)
"""So many departures the level above counts as: for a type, for its station, for a part of the day there."""
_TURNOUT_LEAST_S: Final = 5.0


@dataclass(frozen=True)
class Departure:
    """One order to a unit that stood: its type and station, the local hour of the week, its standard turnout
    and how long it took to roll, seconds."""

    unit_type: str
    station: str
    hour: int
    standard_s: float
    took_s: float


def learn_turnout(departures: Sequence[Departure]) -> dict[tuple[str, str], Float32s]:
    """(type, station or "") -> [part of the day, (middle, 10 %, 90 %, departures)], as multipliers on the
    standard. Each is shrunk to the level above (type and station and part, type and station, type, the
    standard), which counts as `_TURNOUT_PRIOR` departures for the middle and twenty for the ends."""
    usable = [
        one for one in departures if 0 <= one.took_s <= TURNOUT_S_MAX and one.standard_s >= _TURNOUT_LEAST_S
    ]
    if not usable:
        return {}
    off = np.log([max(one.took_s, _TURNOUT_LEAST_S) / one.standard_s for one in usable])
    off = np.clip(off, math.log(0.2), math.log(5.0))
    part = np.array([one.hour % 24 * PARTS // 24 for one in usable])
    prior = (0.0, np.array([-1.0, 1.0]) * Z80 * TURNOUT_SPREAD)
    found: dict[tuple[str, str], Float32s] = {}
    types = np.array([one.unit_type for one in usable])
    stations = np.array([one.station for one in usable])
    for unit_type in sorted(set(types.tolist())):
        of_type = types == unit_type
        by_type = _turnout_of(off[of_type], prior, 0)
        places = sorted({""} | set(stations[of_type].tolist()))
        for station in places:
            here = of_type & (stations == station) if station else of_type
            by_station = _turnout_of(off[here], by_type, 1) if station else by_type
            rows = []
            for n in range(PARTS):
                own = off[here & (part == n)]
                middle, ends = _turnout_of(own, by_station, 2)
                rows.append([*np.exp([middle, middle + ends[0], middle + ends[1]]), len(own)])
            table = np.array(rows, dtype=np.float32)
            # What stands behind a figure is every departure that it was shrunk to.
            table[:, 3] = len(off[here])
            found[unit_type, station] = table
    return found


def _turnout_of(off: FloatArray, above: tuple[float, FloatArray], level: int) -> tuple[float, FloatArray]:
    n = len(off)
    if n == 0:
        return above
    worth = _TURNOUT_PRIOR[level]
    middle = (n * float(np.median(off)) + worth * above[0]) / (n + worth)
    ends = _towards(above[1], off - float(np.median(off)), np.ones(n))
    return middle, np.array([min(ends[0], -_SPREAD_MIN), max(ends[1], _SPREAD_MIN)])


# ---- the file

VERSION: Final = 1


def as_json(table: SpeedTable) -> dict[str, Any]:
    def rounded(values: Float32s) -> list[Any]:
        return list(np.round(values.astype(np.float64), 4).tolist())

    return {
        "version": VERSION,
        "modes": list(MODES),
        "groups": list(GROUPS),
        "factor": rounded(table.factor),
        "trips": rounded(table.trips),
        "quantile": rounded(table.quantile),
        "quantile_trips": rounded(table.quantile_trips),
        "turnout": [
            {"type": unit_type, "station": station, "parts": rounded(parts)}
            for (unit_type, station), parts in sorted(table.turnout.items())
        ],
        "about": dict(table.about),
    }


def from_json(raw: Any) -> SpeedTable:
    """Raises ValueError where it is not such a table, or one of another version; factors out of bounds are
    put back within them."""
    if not isinstance(raw, dict) or raw.get("version") != VERSION:
        raise ValueError(f"not a table of speeds of version {VERSION}")
    if raw.get("modes") != list(MODES) or raw.get("groups") != list(GROUPS):
        raise ValueError("a table of speeds of other modes or groups of roads")

    def array(name: str, value: Any, shape: tuple[int, ...]) -> Float32s:
        found = np.asarray(value, dtype=np.float32)
        if found.shape != shape or not np.isfinite(found).all():
            raise ValueError(f"{name} must be {shape} finite numbers")
        return found

    modes, groups = len(MODES), len(GROUPS)
    try:
        turnout = {
            (str(row["type"]), str(row["station"])): array("turnout", row["parts"], (PARTS, 4))
            for row in raw["turnout"]
        }
        return SpeedTable(
            factor=np.clip(
                array("factor", raw["factor"], (modes, groups, BANDS)), FACTOR_MIN, FACTOR_MAX
            ).astype(np.float32),
            trips=array("trips", raw["trips"], (modes, groups, BANDS)),
            quantile=array("quantile", raw["quantile"], (modes, BANDS, 2)),
            quantile_trips=array("quantile_trips", raw["quantile_trips"], (modes, BANDS)),
            turnout=turnout,
            about=dict(raw["about"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a table of speeds without {error}") from None
