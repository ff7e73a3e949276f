"""Expected calls: from made histories whose truth is known, judged on weeks that were not learnt from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gis.forecast import CALLS_MIN, DAY_US, HOUR_US, WEEK_US, Forecast, as_json, from_json, learn
from gis.geometry import FloatArray
from gis.local_time import HOURS, hours_of_week

if TYPE_CHECKING:
    from tests.conftest import SeededRandom

ZONE = ZoneInfo("Europe/Helsinki")
NOW_US = int(datetime(2026, 11, 23, 3, tzinfo=UTC).timestamp()) * 1_000_000
CELLS = 400


@pytest.fixture
def rng(random: SeededRandom) -> np.random.Generator:
    return np.random.default_rng(random.getrandbits(32))


@pytest.fixture
def shares(rng: np.random.Generator) -> FloatArray:
    drawn = rng.gamma(1.0, 1.0, CELLS)
    return np.asarray(drawn / drawn.sum())


def calls(
    rng: np.random.Generator, share: FloatArray, *, weeks: int = 12, per_hour: float = 2.0, swing: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """(when, in which cell): more of them around five in the afternoon, by `swing` of the logarithm."""
    hours = NOW_US - np.arange(weeks * 168, 0, -1) * HOUR_US
    rate = per_hour * np.exp(swing * np.cos(2 * np.pi * (hours_of_week(hours, ZONE) % 24 - 17) / 24))
    many = rng.poisson(rate)
    at_us = np.repeat(hours, many) + rng.integers(0, HOUR_US, int(many.sum()))
    return at_us, rng.choice(len(share), size=len(at_us), p=share).astype(np.int32)


def learned(at_us: np.ndarray, cell: np.ndarray, prior: FloatArray, *, seed: int = 1) -> Forecast:
    return learn(at_us, cell, lambda met: prior, ZONE, cells=len(prior), now_us=NOW_US, seed=seed)


def test_a_city_whose_calls_come_in_the_afternoon_is_known_for_it(
    rng: np.random.Generator, shares: FloatArray
) -> None:
    found = learned(*calls(rng, shares, swing=0.7), shares)
    assert found.in_use
    held_out = found.about["held_out"]
    assert held_out["hours"]["beats_prior"]
    assert held_out["hours"]["mean_error"]["forecast"] < held_out["hours"]["mean_error"]["prior"]
    # the afternoon of a working day has four times the calls of the small hours
    assert found.hourly[24 + 17] / found.hourly[24 + 5] == pytest.approx(np.exp(1.4), rel=0.35)
    assert found.hourly.mean() == pytest.approx(2.0 * np.i0(0.7), rel=0.1)
    # its places are as the prior has them, or nearly
    assert np.abs(found.share - shares).sum() < 0.3


def test_places_that_the_prior_does_not_know_are_learnt(rng: np.random.Generator, shares: FloatArray) -> None:
    true = shares * np.exp(rng.normal(0, 1.0, CELLS))
    true /= true.sum()
    found = learned(*calls(rng, true), shares)
    assert found.about["held_out"]["places"]["beats_prior"]
    assert np.abs(found.share - true).sum() < 0.6 * np.abs(shares - true).sum()
    assert found.share.sum() == pytest.approx(1.0)


def test_where_there_is_nothing_to_learn_the_prior_stays(shares: FloatArray) -> None:
    # given cities that are as flat as the prior: hardly one in forty may seem otherwise, by chance
    taken = 0
    for seed in range(5):
        taken += learned(*calls(np.random.default_rng(seed), shares, weeks=8), shares).in_use
    assert taken <= 1


@pytest.mark.parametrize(
    ("weeks", "per_hour"),
    [(0, 0.0), (1, 2.0), (3, 2.0), (12, 0.01)],
    ids=["no calls", "a week", "three weeks", "hardly any"],
)
def test_too_little_history_says_so(
    rng: np.random.Generator, shares: FloatArray, weeks: int, per_hour: float
) -> None:
    at_us, cell = calls(rng, shares, weeks=max(1, weeks), per_hour=per_hour, swing=0.7)
    found = learned(at_us, cell, shares)
    assert not found.in_use
    assert found.about["why"] == "too little history"
    assert (found.hourly == found.hourly[0]).all()
    assert np.isfinite(found.hourly).all()
    assert (found.share == shares).all()


def test_one_day_of_many_calls_is_no_history(rng: np.random.Generator, shares: FloatArray) -> None:
    at_us = NOW_US - rng.integers(0, DAY_US, 5 * CALLS_MIN)
    found = learned(at_us, np.zeros(len(at_us), dtype=np.int32), shares)
    assert not found.in_use
    assert found.hourly[0] == pytest.approx(5 * CALLS_MIN / 24, rel=0.2)


def test_clocks_that_were_wrong_do_not_spoil_it(rng: np.random.Generator, shares: FloatArray) -> None:
    # given a good history, and calls dated next year, in 1970, and lone ones of months ago
    at_us, cell = calls(rng, shares, swing=0.7)
    wrong = np.array([NOW_US + 300 * DAY_US, 0, -(2**60), NOW_US - 20 * WEEK_US, NOW_US - 17 * WEEK_US])
    found = learned(np.concatenate((at_us, wrong)), np.concatenate((cell, np.zeros(5, np.int32))), shares)
    clean = learned(at_us, cell, shares)
    assert found.in_use
    assert found.about["weeks"] == clean.about["weeks"]
    assert found.hourly == pytest.approx(clean.hourly, rel=1e-6)


def test_calls_outside_every_cell_count_for_the_hours_alone(
    rng: np.random.Generator, shares: FloatArray
) -> None:
    at_us, _ = calls(rng, shares, swing=0.7)
    cell = np.where(np.arange(len(at_us)) % 2, -1, CELLS + 5).astype(np.int32)
    found = learned(at_us, cell, shares)
    assert found.about["held_out"]["hours"]["beats_prior"]
    assert (found.share == shares).all()


def test_the_same_calls_and_seed_give_the_same_forecast(rng: np.random.Generator, shares: FloatArray) -> None:
    told = calls(rng, shares, swing=0.3)
    assert as_json(learned(*told, shares, seed=4)) == as_json(learned(*told, shares, seed=4))


def test_a_forecast_is_read_back_as_it_was_written(rng: np.random.Generator, shares: FloatArray) -> None:
    found = learned(*calls(rng, shares, swing=0.7), shares)
    back = from_json(as_json(found))
    assert back.hourly == pytest.approx(found.hourly, abs=1e-5)
    assert back.share == pytest.approx(found.share, abs=1e-8)
    assert back.in_use


@pytest.mark.parametrize(
    "change",
    [{"version": 9}, {"hourly": [1.0]}, {"share": [-1.0]}, {"hourly": [-1.0] * HOURS}, {"about": None}],
)
def test_a_file_that_is_no_forecast_is_refused(
    rng: np.random.Generator, shares: FloatArray, change: dict[str, object]
) -> None:
    with pytest.raises(ValueError):
        from_json(as_json(learned(*calls(rng, shares, weeks=1), shares)) | change)
