"""How fast a city's days are played, and how that grows with the city.

`days_per_s`: days of Auckland (JEMSS; `--city DIR` takes another) at 150 calls a day under policy `all`, on
one core. Its peer is closest-idle on the same calls, which needs neither coverage nor move-up. `calls_per_s`
is the same by calls. `growth`: a grid city of ten times the junctions, posts, units and calls a day, seconds
for a simulated day against the small one's, divided by what n log n would take; the peer is 1.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from app import simulation
from app.core import read_pack
from app.simulation import CLOSEST, Scenario
from bench.harness import BenchError, Figure
from bench.policy import DATA
from dispatch.simulate import POLICIES, City, Cover, Demand, Distribution, Policy, draw_calls, simulate
from gis.labels import Labels

LOAD = 150.0
SMALL = 40
"""Junctions across the small grid city."""
TIMES = 10


def run(full: bool, folder: Path, city: Path | None = None) -> list[Figure]:
    place = city or DATA
    if not place.is_dir():
        raise BenchError(f"{place} is not here; docs/simulate.md tells where JEMSS cities come from")
    scenario = simulation.open_jemss(place)
    policies = {policy.name: policy for policy in simulation.policies_of(read_pack("generic"))}
    days = 60.0 if full else 20.0
    ours_s, calls = best_s(scenario, policies["all"], LOAD, days)
    base_s, _ = best_s(scenario, CLOSEST, LOAD, days)
    # As many calls in each, so a day of the large one is a tenth of the days of the small one.
    small_s, _ = best_s(grid(SMALL, 12, 20), POLICIES["all"], 150.0, days / 2)
    large_s, _ = best_s(grid(round(SMALL * math.sqrt(TIMES)), 120, 200), POLICIES["all"], 1500.0, days / 20)
    # n calls a day, each weighed against units and posts that grow with n: n log n of events is the wish.
    n = 150.0
    wish = TIMES * math.log(TIMES * n) / math.log(n)
    return [
        Figure("days_per_s", days / ours_s, "1/s", "closest-idle", days / base_s),
        Figure("calls_per_s", calls / ours_s, "1/s", "closest-idle", calls / base_s),
        Figure("growth", TIMES * large_s / small_s / wish, "1", "n log n", 1.0),
    ]


def best_s(scenario: Scenario, policy: Policy, load: float, days: float) -> tuple[float, int]:
    """The shortest of three runs, in seconds, and how many calls it played."""
    calls = draw_calls(next(iter(scenario.demands.values())), 0, days, load)
    took_s = []
    for _ in range(3):
        began_s = time.perf_counter()
        simulate(scenario.city, calls, policy, cover=scenario.cover)
        took_s.append(time.perf_counter() - began_s)
    return min(took_s), len(calls.at_s)


def grid(across: int, posts: int, units: int) -> Scenario:
    """A city of streets at right angles, 200 m apart, with posts, hospitals and demand spread evenly."""
    random = np.random.default_rng(across)
    place = np.arange(across * across).reshape(across, across)
    pairs = np.concatenate([
        np.column_stack((place[:, :-1].ravel(), place[:, 1:].ravel())),
        np.column_stack((place[:-1].ravel(), place[1:].ravel())),
    ])  # fmt: skip
    pairs = np.concatenate((pairs, pairs[:, ::-1]))
    lon = np.asarray(25.0 + (place.ravel() % across) * 0.0025, dtype=np.float64)
    lat = np.asarray(45.0 + (place.ravel() // across) * 0.0018, dtype=np.float64)
    fast_ms = random.integers(12_000, 20_000, len(pairs))
    metres = np.full(len(pairs), 200.0)
    roads = Labels(pairs[:, 0], pairs[:, 1], lon, lat, metres, [fast_ms, fast_ms * 3 // 2])
    many = across * across
    post = random.choice(many, posts, replace=False).astype(np.int32)
    hospital = random.choice(many, max(1, posts // 4), replace=False).astype(np.int32)
    place_m, fastest_mps = roads.plane()
    # Cells of a city grow larger with it: they stay about a thousand, as those of an imported one.
    cells = np.arange(0, many, max(1, many // 1000), dtype=np.int32)
    city = City(
        name=f"grid of {many}", roads=roads, post_names=tuple(map(str, range(posts))), post_node=post,
        post_aside_m=np.zeros(posts), hospital_node=hospital, hospital_aside_m=np.zeros(len(hospital)),
        home=np.arange(units) % posts, target_s=np.array([480.0, 480.0, 1200.0]),
        counted=np.array([True, True, False]), response_mode=np.array([0, 0, 1]), plain_mode=1,
        aside_mps=np.array([10.0, 8.0]), cell_node=cells, cell_aside_m=np.zeros(len(cells)),
        cell_share=np.full(len(cells), 1.0 / len(cells)), cell_district=np.zeros(len(cells), dtype=np.int64),
        districts=("grid",), delay_s=50.0, pace=roads.pace(), place_m=place_m,
        fastest_mps=fastest_mps,
    )  # fmt: skip
    streams = {
        "gap": Distribution("Exponential", (1.0,)),
        "priority": Distribution("Categorical", (0.57, 0.245, 0.185)),
        "delay": Distribution("Normal", (50 / 86400, 0.0)),
        "on_scene": Distribution("Exponential", (12 / 1440,)),
        "transport": Distribution("Bernoulli", (0.8,)),
        "handover": Distribution("Exponential", (12 / 1440,)),
    }
    demand = Demand(
        {name: (one, number) for number, (name, one) in enumerate(streams.items())}, (6, 7), lon, lat,
        np.ones(many), (0.0, 0.0),
        lambda x, y: (
            (np.rint((y - 45.0) / 0.0018) * across + np.rint((x - 25.0) / 0.0025)).astype(np.int32),
            np.zeros(len(x)), np.zeros(len(x), dtype=np.int64),
        ),
    )  # fmt: skip
    return Scenario(city, {"grid": demand}, Cover.of(city))
