"""What the optimiser's choices change: late arrivals of five policies on the same simulated calls.

Auckland of the JEMSS project (`--city DIR` takes another JEMSS city folder), its *test* seeds, which nothing
was tuned on; 80, 150, 220 and 280 calls a day. The peer of every figure is closest-idle on the same calls.
`late_rel_N` and `mean_rel_N` are relative changes of policy `all`, each with `_low` and `_high`, the ends of
its 95 % t-interval over the paired seeds. The whole tables, of robustness and of the offline bound too, are
written to standard error. 20 seeds of 30 days are reckoned to take seven minutes on two quiet cores, `--full`
four times that.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from app import simulation
from app.core import read_pack
from app.simulation import CLOSEST, Done, Estimate, Job, Scenario, World
from bench.harness import BenchError, Figure
from gis.jemss import JemssError

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "jemss-auckland"
SEEDS, DAYS = 20, 30.0
FULL_SEEDS, FULL_DAYS = 40, 60.0
ROBUST_SEEDS, ROBUST_DAYS = 10, 15.0
ROBUST_LOADS = (80, 220)
BOUND_SEEDS, BOUND_DAYS = 6, 8.0
WORLDS = {
    "drives 20 % longer than believed": World(drive_factor=1.2),
    "drives 20 % shorter than believed": World(drive_factor=0.8),
    "every fix 120 s old": World(fix_age_s=120.0),
    "2 units lost": World(lost=2),
}


def run(full: bool, folder: Path, city: Path | None = None) -> list[Figure]:
    place = city or DATA
    if not place.is_dir():
        raise BenchError(f"{place} is not here; docs/simulate.md tells where JEMSS cities come from")
    try:
        scenario = simulation.open_jemss(place)
    except JemssError as error:
        raise BenchError(f"{place} has faults:\n{error}") from None
    policies = simulation.policies_of(read_pack("generic"))
    seeds, days = (FULL_SEEDS, FULL_DAYS) if full else (SEEDS, DAYS)
    jobs = [Job(load, seed, days, "test", policies) for load in simulation.LOADS for seed in range(seeds)]
    done = simulation.run(scenario, jobs, progress=simulation.told())
    say(simulation.report(scenario, done))
    figures = [figure for load in simulation.LOADS for figure in of_load(done, load)]
    figures += bounds(scenario)
    figures += robustness(scenario)
    return figures


def say(text: str) -> None:
    sys.stderr.write(text + "\n\n")
    sys.stderr.flush()


def of_load(done: list[Done], load: float) -> list[Figure]:
    """The figures of policy `all` at one load, beside closest-idle's."""
    rows = {row["policy"]: row for row in simulation.summed(done) if row["load"] == load}
    ours, base = rows["all"], rows[CLOSEST.name]
    name, figures = f"_{load:g}", []
    for change, of, unit in (("late_rel", "late_pct", "%"), ("mean_rel", "mean_s", "s")):
        found: Estimate = ours[change]
        for end, value in (("", 0.0), ("_low", -found.half), ("_high", found.half)):
            figures.append(relative(f"{change}{name}{end}", found.mean + value, f"{of} of closest-idle", 1.0))
        figures.append(Figure(f"{of}{name}", ours[of].mean, unit, "closest-idle", base[of].mean))
    for of, unit in (("p90_s", "s"), ("worst_pct", "%"), ("empty_km", "km/day")):
        if not math.isnan(ours[of].mean):
            figures.append(Figure(f"{of}{name}", ours[of].mean, unit, "closest-idle", base[of].mean))
    figures.append(
        Figure(
            f"moved_km{name}",
            ours["moved_km"].mean,
            "km/day",
            "closest-idle, to posts",
            base["empty_km"].mean,
        )
    )
    turned = ours["diversions"].mean + ours["reliefs"].mean
    return [*figures, Figure(f"diversions{name}", turned, "1/call", "one a call, the guard's limit", 1.0)]


def relative(name: str, value: float, peer: str, peer_value: float) -> Figure:
    return Figure(name, value, "1", peer, peer_value)


def bounds(scenario: Scenario) -> list[Figure]:
    """How much of the way from closest-idle to the offline bound is done, and what is left."""
    policies = simulation.policies_of(read_pack("generic"), ("all",))
    jobs = [
        Job(load, seed, BOUND_DAYS, "test", policies, bound=True)
        for load in simulation.LOADS
        for seed in range(BOUND_SEEDS)
    ]
    done = simulation.run(scenario, jobs, progress=simulation.told())
    say(f"Offline bound, {BOUND_SEEDS} seeds of {BOUND_DAYS:g} days")
    say(simulation.table(simulation.summed(done)))
    rows = {(row["load"], row["policy"]): row["late_pct"].mean for row in simulation.summed(done)}
    return [
        Figure(f"late_left_{load:g}", rows[load, "all"] - rows[load, "bound"], "points", "closest-idle, left",
               rows[load, CLOSEST.name] - rows[load, "bound"])
        for load in simulation.LOADS
    ]  # fmt: skip


def robustness(scenario: Scenario) -> list[Figure]:
    """The same comparison where the world is not as believed."""
    policies = simulation.policies_of(read_pack("generic"), ("all",))
    figures = []
    for words, world in WORLDS.items():
        jobs = [
            Job(load, seed, ROBUST_DAYS, "test", policies, world)
            for load in ROBUST_LOADS
            for seed in range(ROBUST_SEEDS)
        ]
        done = simulation.run(scenario, jobs, progress=simulation.told())
        say(f"{words}, {ROBUST_SEEDS} seeds of {ROBUST_DAYS:g} days")
        say(simulation.table(simulation.summed(done)))
        for row in simulation.summed(done):
            if row["policy"] == "all":
                found: Estimate = row["late_rel"]
                name = f"late_rel_{row['load']:g}, {words}"
                figures.append(relative(name, found.mean, f"closest-idle, the same; ± {found.half:.3f}", 1.0))
    return figures
