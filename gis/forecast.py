"""How many calls are to be expected, hour by hour and cell by cell, from those that came; and whether that is
any better than the flat prior.

The expectation is a curve over the hours of the week times each cell's share. The curve is a Poisson
regression on harmonics of the day, apart for working days and weekends; the shares are the prior's, moved by
the calls that each cell had. Both are drawn to the flat prior by how little history there is. scikit-learn is
imported where it learns, never where a forecast is only read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gis.geometry import FloatArray
from gis.local_time import HOURS, hours_of_week

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
WEEK_US: Final = 7 * DAY_US
WEEKS_MAX: Final = 26
"""Older calls tell of another season."""
SILENCE_US: Final = 14 * DAY_US
"""After so long without any call a history begins anew: nobody was recording, or a clock was wrong."""
TRAIN_WEEKS_MIN: Final = 2
HELD_OUT_WEEKS: Final = 6
HELD_OUT_WEEKS_MIN: Final = 2
CALLS_MIN: Final = 50
CURVE_TAU: Final = 0.4
"""Standard deviation of the prior on each coefficient of the curve (logs): a stated assumption."""
_DAY_WAVES: Final = 4
_WEEKEND_WAVES: Final = 2
_RESAMPLES: Final = 2000
VERSION: Final = 1


Prior = Callable[[FloatArray], FloatArray]
"""From the calls met in each cell, float64[m], to the share of each that is supposed without a forecast; the
sum is 1."""


@dataclass(frozen=True)
class Forecast:
    """Expected calls of a city with m cells.

    `hourly` float64[168]: calls an hour in the whole city, by local hour of the week. `share` float64[m]:
    each cell's part, the sum is 1. `in_use`: whether either beat the flat prior on weeks that it had not
    seen; what did not is the flat prior's. `about`: from what, and the errors of both.
    """

    hourly: FloatArray
    share: FloatArray
    in_use: bool
    about: Mapping[str, Any]


def learn(
    at_us: NDArray[np.int64],
    cell: NDArray[np.int32],
    prior: Prior,
    zone: tzinfo,
    *,
    cells: int,
    now_us: int,
    seed: int = 0,
) -> Forecast:
    """From n calls: `at_us` int64[n] when, `cell` int32[n] where (-1: outside every cell, counted in time
    only). `prior` gives the shares that would be used without a forecast. Calls of the future, or of more
    than WEEKS_MAX weeks ago, are left out.

    It is judged on the newest whole weeks, each predicted from what came before it (rolling origin): the
    Poisson deviance of calls by cell and hour against the flat prior's, day by day. What the hours add and
    what the places add are judged apart, and each is in use only when its 95 % interval (bootstrap over
    days, `seed`) lies wholly below zero.
    """
    taken = (at_us <= now_us) & (at_us > now_us - WEEKS_MAX * WEEK_US)
    order = np.argsort(at_us[taken], kind="stable")
    at_us, cell = at_us[taken][order], cell[taken][order]
    cell = np.where((cell >= 0) & (cell < cells), cell, -1)
    if len(at_us):
        silent = np.flatnonzero(np.diff(at_us) > SILENCE_US)
        begin = int(silent[-1]) + 1 if len(silent) else 0
        at_us, cell = at_us[begin:], cell[begin:]
    n = len(at_us)
    weeks = int((now_us - int(at_us[0])) // WEEK_US) if n else 0
    held_out = min(HELD_OUT_WEEKS, weeks - TRAIN_WEEKS_MIN)
    since_us = now_us - weeks * WEEK_US if weeks else (int(at_us[0]) if n else now_us)
    hours = max(1.0, (now_us - since_us) / HOUR_US)
    flat_per_h = int((at_us >= since_us).sum()) / hours
    about: dict[str, Any] = {"calls": n, "weeks": weeks, "flat_per_hour": flat_per_h, "seed": seed}
    flat = Forecast(np.full(HOURS, flat_per_h), prior(_counts(cell, cells)), False, about)
    if n < CALLS_MIN or held_out < HELD_OUT_WEEKS_MIN:
        about["why"] = "too little history"
        return flat
    about["held_out"] = verdict = _judge(at_us, cell, prior, cells, zone, now_us, weeks, held_out, seed)
    taken_us, taken_cell = at_us[at_us >= since_us], cell[at_us >= since_us]
    beaten = [name for name in ("hours", "places") if verdict[name]["beats_prior"]]
    if not beaten:
        about["why"] = "no better than the flat prior on unseen weeks"
        return flat
    about["why"] = f"beats the flat prior on unseen weeks: {', '.join(beaten)}"
    return Forecast(
        _curve(taken_us, zone, since_us, now_us) if "hours" in beaten else flat.hourly,
        _shares(_counts(taken_cell, cells), prior) if "places" in beaten else flat.share,
        True,
        about,
    )


def _judge(
    at_us: NDArray[np.int64],
    cell: NDArray[np.int32],
    prior: Prior,
    cells: int,
    zone: tzinfo,
    now_us: int,
    weeks: int,
    held_out: int,
    seed: int,
) -> dict[str, Any]:
    """The errors on the newest `held_out` weeks, each predicted from the weeks before it: of the hours and of
    the places apart, since the deviance of their product is the sum of the two."""
    begin_us = now_us - weeks * WEEK_US
    hour_gain: list[float] = []
    place_gain: list[float] = []
    hour_off: list[tuple[float, float]] = []
    place_off: list[tuple[float, float]] = []
    calls = 0
    for back in range(held_out, 0, -1):
        since_us = now_us - back * WEEK_US
        seen = (at_us >= begin_us) & (at_us < since_us)
        hourly = _curve(at_us[seen], zone, begin_us, since_us)
        counts = _counts(cell[seen], cells)
        share, known = _shares(counts, prior), prior(counts)
        flat = max(int(seen.sum()), 1) * HOUR_US / (since_us - begin_us)
        base = np.maximum(known, 1e-9)
        week = np.zeros(cells)
        expected = np.zeros(2)
        for from_us in range(since_us, since_us + WEEK_US, DAY_US):
            own = (at_us >= from_us) & (at_us < from_us + DAY_US)
            calls += int(own.sum())
            said = np.maximum(hourly[hours_of_week(from_us + np.arange(24) * HOUR_US, zone)], 1e-9)
            counted = np.bincount((at_us[own] - from_us) // HOUR_US, minlength=24)
            hour_gain.append(float(2 * ((said - flat).sum() - (counted * np.log(said / flat)).sum())))
            hour_off.append((float(np.abs(counted - said).mean()), float(np.abs(counted - flat).mean())))
            where = cell[own & (cell >= 0)]
            place_gain.append(float(-2 * np.log(share[where] / base[where]).sum()))
            week += _counts(where, cells)
            expected += said.sum(), flat * 24
        place_off.append(
            (
                float(np.abs(week - expected[1] * share).mean()),
                float(np.abs(week - expected[1] * known).mean()),
            )
        )
    rng = np.random.default_rng(seed)
    return {
        "weeks": held_out,
        "calls": calls,
        "hours": _verdict(np.array(hour_gain), np.array(hour_off), rng),
        "places": _verdict(np.array(place_gain), np.array(place_off), rng),
    }


def _verdict(gain: FloatArray, off: FloatArray, rng: np.random.Generator) -> dict[str, Any]:
    """`difference`: the 95 % interval of what the deviance of a day changed by against the prior's;
    `mean_error`: of calls an hour in the city, or of calls a week in a cell."""
    means = gain[rng.integers(0, len(gain), (_RESAMPLES, len(gain)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    forecast, prior = off.mean(axis=0).tolist()
    return {
        "deviance_per_day": float(gain.mean()),
        "difference": [low, high],
        "mean_error": {"forecast": forecast, "prior": prior},
        "beats_prior": high < 0,
    }


def _curve(at_us: NDArray[np.int64], zone: tzinfo, from_us: int, to_us: int) -> FloatArray:
    from sklearn.linear_model import PoissonRegressor

    passed = np.arange(from_us, to_us, HOUR_US, dtype=np.int64)
    exposure_h = np.bincount(hours_of_week(passed, zone), minlength=HOURS).astype(np.float64)
    n = len(at_us)
    mean = n / max(1.0, float(exposure_h.sum()))
    if n == 0:
        return np.zeros(HOURS)
    counted = np.bincount(hours_of_week(at_us, zone), minlength=HOURS)
    known = exposure_h > 0
    # In units of the mean the weights are expected calls, and the penalty a normal prior on the coefficients.
    model = PoissonRegressor(alpha=1.0 / (CURVE_TAU**2 * n), solver="newton-cholesky")
    model.fit(
        _waves()[known],
        counted[known] / exposure_h[known] / mean,
        sample_weight=exposure_h[known] * mean,
    )
    return np.asarray(model.predict(_waves()) * mean, dtype=np.float64)


def _waves() -> FloatArray:
    """float64[168, features]: harmonics of the day, again for Saturday and Sunday, and which of the two."""
    hour = np.arange(HOURS)
    angle = 2 * np.pi * (hour % 24) / 24
    weekend = (hour >= 120).astype(np.float64)
    columns = [weekend, (hour >= 144).astype(np.float64)]
    for k in range(1, _DAY_WAVES + 1):
        columns += [np.sin(k * angle), np.cos(k * angle)]
    for k in range(1, _WEEKEND_WAVES + 1):
        columns += [weekend * np.sin(k * angle), weekend * np.cos(k * angle)]
    return np.column_stack(columns)


def _counts(cell: NDArray[np.int32], cells: int) -> FloatArray:
    return np.bincount(cell[cell >= 0], minlength=cells).astype(np.float64)


def _shares(counted: FloatArray, prior: Prior) -> FloatArray:
    """The shares before any call, moved by the calls of each cell: the mean of a Dirichlet-multinomial whose
    weight (how many calls the prior is worth) makes what was seen most likely, among powers of two."""
    prior_share = prior(np.zeros(len(counted)))
    n = float(counted.sum())
    if n == 0:
        return prior_share
    from scipy.special import gammaln

    # No place is beyond calls, whatever the prior says.
    base = 0.98 * prior_share + 0.02 / len(prior_share)
    some = counted > 0
    best, weight = -math.inf, 1.0
    for power in range(3, 18):
        worth = 2.0**power
        alpha = worth * base[some]
        likely = float(
            gammaln(worth) - gammaln(worth + n) + (gammaln(alpha + counted[some]) - gammaln(alpha)).sum()
        )
        if likely > best:
            best, weight = likely, worth
    return np.asarray((counted + weight * base) / (n + weight))


def as_json(forecast: Forecast) -> dict[str, Any]:
    return {
        "version": VERSION,
        "in_use": forecast.in_use,
        "hourly": np.round(forecast.hourly, 6).tolist(),
        "share": np.round(forecast.share, 9).tolist(),
        "about": dict(forecast.about),
    }


def from_json(raw: Any) -> Forecast:
    """Raises ValueError where it is no forecast, or one of another version."""
    if not isinstance(raw, dict) or raw.get("version") != VERSION:
        raise ValueError(f"not a forecast of version {VERSION}")
    try:
        hourly = np.asarray(raw["hourly"], dtype=np.float64)
        share = np.asarray(raw["share"], dtype=np.float64)
        about, in_use = dict(raw["about"]), bool(raw["in_use"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"a forecast without {error}") from None
    fine = (
        hourly.shape == (HOURS,)
        and share.ndim == 1
        and np.isfinite(hourly).all()
        and np.isfinite(share).all()
    )
    if not fine or (hourly < 0).any() or (share < 0).any():
        raise ValueError("hourly must be 168, and share as many as there are cells, finite numbers from 0 on")
    return Forecast(hourly, share, in_use, about)
