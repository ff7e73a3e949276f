"""What `straja simulate` and its benches do: a city and its calls into the domain's simulator, and out again
as figures with their intervals. The bridge between ``gis`` (roads, JEMSS folders) and ``dispatch.simulate``.

Every figure is of one seed first; seeds are then summed up as a mean with a 95 % t-interval. A change is
taken seed by seed against closest-idle on the same calls (paired), and only then averaged.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app import up
from config import Config
from dispatch.plans import Pack
from dispatch.simulate import (
    AS_BELIEVED,
    CLOSEST,
    DAY_S,
    POLICIES,
    Calls,
    City,
    Cover,
    Demand,
    Distribution,
    Outcome,
    Policy,
    World,
    draw_calls,
    late_bound,
    simulate,
)
from gis.jemss import Jemss, read_jemss
from gis.labels import NEVER, Labels

WARM_UP_DAYS: Final = 1.0
"""Days at the beginning, from all units at home, that no figure counts."""
LOADS: Final = (80, 150, 220, 280)
DISTRICT_MIN: Final = 30
"""A district with fewer calls says nothing about the worst one."""
QUIET_S: Final = 2.0

_STREAMS: Final = {
    "gap": "interarrivalTime", "priority": "priority", "delay": "dispatchDelay",
    "on_scene": "onSceneDuration", "transport": "transport", "handover": "handoverDuration",
}  # fmt: skip


class SimulationError(Exception):
    """Why a city cannot be simulated, in words for the person at the terminal."""


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A city, how its calls come about by set of seeds, and what was assumed to make it: lines for people."""

    city: City
    demands: Mapping[str, Demand]
    cover: Cover
    assumed: tuple[str, ...] = ()


# -- one run, in figures -------------------------------------------------------------------------------


FIGURES: Final = {
    "late_pct": "late %", "mean_s": "mean s", "p90_s": "p90 s", "worst_pct": "worst district late %",
    "moves": "moves/day", "moved_km": "relocation km/day", "empty_km": "km to posts/day",
    "diversions": "diversions/call", "reliefs": "reliefs/call", "busy_pct": "busy %",
}  # fmt: skip
"""What is told of a run, and its words in the table."""


def figures(city: City, calls: Calls, outcome: Outcome, days: float) -> dict[str, float]:
    """The figures of one run, its warm-up left out where a figure is of calls. ``late_pct`` and ``worst_pct``
    count the priorities whose target is the shortest (``City.counted``); all others count every call."""
    warm = calls.at_s >= WARM_UP_DAYS * DAY_S
    if not warm.any():
        raise SimulationError(f"{days:g} days are too few: the first {WARM_UP_DAYS:g} are not counted")
    counted = warm & city.counted[calls.priority]
    late = outcome.response_s > city.target_s[calls.priority]
    many = np.bincount(calls.district[counted], minlength=len(city.districts))
    share = np.bincount(calls.district[counted], late[counted], len(city.districts)) / np.maximum(many, 1)
    enough = many >= DISTRICT_MIN
    response_s = outcome.response_s[warm]
    total = max(1, len(calls.at_s))
    return {
        "late_pct": 100 * float(late[counted].mean()) if counted.any() else 0.0,
        "mean_s": float(response_s.mean()),
        "p90_s": float(np.quantile(response_s, 0.9)),
        "worst_pct": 100 * float(share[enough].max()) if enough.any() else float("nan"),
        "moves": outcome.moves / days,
        "moved_km": outcome.moved_m / 1000 / days,
        "empty_km": outcome.rolled_m / 1000 / days,
        "diversions": outcome.diversions / total,
        "reliefs": outcome.reliefs / total,
        "busy_pct": 100 * outcome.busy_share,
    }


@dataclass(frozen=True, slots=True)
class Job:
    """One seed at one load: all policies on the same calls."""

    load: float
    seed: int
    days: float
    demand: str
    policies: tuple[Policy, ...]
    world: World = AS_BELIEVED
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job: the figures by policy; calls played, a policy each counted; seconds it took."""

    job: Job
    by_policy: Mapping[str, Mapping[str, float]]
    calls: int
    took_s: float


def play(scenario: Scenario, job: Job) -> Done:
    """Do one job."""
    began_s = time.perf_counter()
    calls = draw_calls(scenario.demands[job.demand], job.seed, job.days, job.load)
    found = {
        policy.name: figures(
            scenario.city, calls, simulate(scenario.city, calls, policy, job.world, scenario.cover), job.days
        )
        for policy in job.policies
    }
    if job.bound:
        share = late_bound(scenario.city, calls, WARM_UP_DAYS * DAY_S)
        found["bound"] = dict.fromkeys(FIGURES, math.nan) | {"late_pct": 100 * share}
    return Done(job, found, len(calls.at_s) * len(job.policies), time.perf_counter() - began_s)


_held: Scenario | None = None
"""The scenario in a forked worker: it is inherited, because pickling a city's labels would cost more."""


def _work(job: Job) -> Done:
    assert _held is not None
    return play(_held, job)


def run(
    scenario: Scenario,
    jobs: Sequence[Job],
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Done]:
    """All jobs, on ``processes`` cores (None: all there are), in the order given."""
    global _held
    # The longest first, so that no core is left alone with one at the end.
    order = sorted(range(len(jobs)), key=lambda i: -jobs[i].load * jobs[i].days)
    done: dict[int, Done] = {}
    many = min(processes or os.cpu_count() or 1, len(jobs))
    if many <= 1:
        for at in order:
            done[at] = play(scenario, jobs[at])
            progress(len(done), len(jobs))
        return [done[i] for i in range(len(jobs))]
    _held = scenario
    try:
        with multiprocessing.get_context("fork").Pool(many) as pool:
            for at, result in zip(order, pool.imap(_work, [jobs[i] for i in order]), strict=True):
                done[at] = result
                progress(len(done), len(jobs))
    finally:
        _held = None
    return [done[i] for i in range(len(jobs))]


# -- many seeds, with intervals ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and half the width of its 95 % t-interval (nan for a single seed)."""

    mean: float
    half: float
    seeds: int

    def __str__(self) -> str:
        digits = 1 if abs(self.mean) >= 100 else 2
        within = "" if math.isnan(self.half) else f" ± {self.half:.{digits}f}"
        return "–" if math.isnan(self.mean) else f"{self.mean:.{digits}f}{within}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of values of one seed each, with its interval; values that are nan are left out."""
    known = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    if len(known) < 2:
        return Estimate(float(known[0]) if len(known) else math.nan, math.nan, len(known))
    from scipy.stats import t

    half = float(t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))
    return Estimate(float(known.mean()), half, len(known))


def summed(done: Sequence[Done]) -> list[dict[str, Any]]:
    """One row for each load and policy, in the order played: ``load``, ``policy``, an Estimate for each of
    ``FIGURES``, and ``late_rel`` and ``mean_rel``: the change against the first policy, relative, paired."""
    rows = []
    for load in dict.fromkeys(one.job.load for one in done):
        seeds = [one for one in done if one.job.load == load]
        first = next(iter(seeds[0].by_policy))
        for policy in seeds[0].by_policy:
            mine = [one.by_policy[policy] for one in seeds]
            base = [one.by_policy[first] for one in seeds]
            row: dict[str, Any] = {"load": load, "policy": policy}
            row |= {name: estimate([figure[name] for figure in mine]) for name in FIGURES}
            for name, of in (("late_rel", "late_pct"), ("mean_rel", "mean_s")):
                pairs = zip(mine, base, strict=True)
                row[name] = estimate([m[of] / b[of] - 1 if b[of] else math.nan for m, b in pairs])
            rows.append(row)
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of ``summed`` for people: values, each with half its interval."""
    titles = ["calls/day", "policy", "late change %", "mean change %", *FIGURES.values()]
    lines = [titles]
    for row in rows:
        change = [_percent(row["late_rel"]), _percent(row["mean_rel"])]
        lines.append([f"{row['load']:g}", row["policy"], *change, *(str(row[name]) for name in FIGURES)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    text = [
        "  ".join(
            cell.ljust(width) if column == 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "  ".join("-" * width for width in widths), *text[1:]])


def _percent(change: Estimate) -> str:
    if math.isnan(change.mean) or change.mean == 0:
        return "–"
    within = "" if math.isnan(change.half) else f" ± {100 * change.half:.1f}"
    return f"{100 * change.mean:+.1f}{within}"


def as_json(scenario: Scenario, done: Sequence[Done]) -> str:
    """One JSON object: ``city``, ``assumed``, ``rows`` (mean, half and seeds of every figure), ``seeds``."""

    def plain(value: object) -> object:
        if isinstance(value, Estimate):
            numbers = (value.mean, value.half)
            mean, half = (None if math.isnan(number) else round(number, 5) for number in numbers)
            return {"mean": mean, "half": half, "seeds": value.seeds}
        return value

    rows = [{name: plain(value) for name, value in row.items()} for row in summed(done)]
    seeds = sorted({one.job.seed for one in done})
    head = {"city": scenario.city.name, "assumed": scenario.assumed, "seeds": seeds}
    return json.dumps(head | {"rows": rows}, ensure_ascii=False)


def plot(scenario: Scenario, done: Sequence[Done], file: Path) -> None:
    """The late share by load with intervals, and its change against the first policy, as SVG or PNG."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "straja"
    from matplotlib import pyplot

    rows = summed(done)
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for index, policy in enumerate(policies):
        mine = [row for row in rows if row["policy"] == policy]
        loads = np.array([row["load"] for row in mine], dtype=np.float64)
        shift = (index - (len(policies) - 1) / 2) * max(1.0, np.ptp(loads)) * 0.006
        for axes, name, scale in ((left, "late_pct", 1.0), (right, "late_rel", 100.0)):
            if (name == "late_rel" and index == 0) or policy == "bound":
                continue
            means = [scale * row[name].mean for row in mine]
            halves = [0.0 if math.isnan(row[name].half) else scale * row[name].half for row in mine]
            style: dict[str, Any] = {"fmt": "o-", "capsize": 3, "markersize": 4, "color": f"C{index}"}
            axes.errorbar(loads + shift, means, yerr=halves, label=policy, **style)
        if policy == "bound":
            means = [row["late_pct"].mean for row in mine]
            left.plot(loads, means, "k--", linewidth=1, label="offline bound")
    seeds = len({one.job.seed for one in done})
    head = f"{scenario.city.name}: late arrivals, {seeds} seeds"
    left.set(title=head, xlabel="calls a day", ylabel="late, %")
    right.set(
        title=f"change against {policies[0]}, same calls", xlabel="calls a day", ylabel="relative change, %"
    )
    right.axhline(0.0, color="grey", linewidth=0.8)
    left.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=8)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)
    pyplot.close(figure)


def told(stream: Any = None) -> Callable[[int, int], None]:
    """A progress that draws a bar on a terminal, and elsewhere a line each tenth; nothing in the first two
    seconds, which many runs do not take."""
    out = stream or sys.stderr
    began_s, said = time.monotonic(), -1

    def progress(done: int, of: int) -> None:
        nonlocal said
        passed_s = time.monotonic() - began_s
        if passed_s < QUIET_S:
            return
        left_s = passed_s / done * (of - done)
        if out.isatty():
            bar = "#" * int(30 * done / of)
            end = "\n" if done == of else ""
            out.write(f"\r  [{bar:30}] {done}/{of}, {left_s:4.0f} s left{end}")
        elif int(10 * done / of) > said:
            said = int(10 * done / of)
            out.write(f"  {done}/{of}, {left_s:.0f} s left\n")
        out.flush()

    return progress


def report(scenario: Scenario, done: Sequence[Done]) -> str:
    """What `straja simulate` prints: the table, and what a reader needs to judge and repeat it."""
    job = done[0].job
    seeds = sorted({one.job.seed for one in done})
    calls, took_s = sum(one.calls for one in done), sum(one.took_s for one in done)
    world = "" if job.world == AS_BELIEVED else f"; {_world(job.world)}"
    head = [
        f"{scenario.city.name}: {len(scenario.city.home)} ambulances, {len(scenario.city.post_names)} posts;"
        f" seeds {job.demand} {', '.join(map(str, seeds))}; {job.days:g} days each, the first"
        f" {WARM_UP_DAYS:g} not counted{world}",
        *(f"assumed: {line}" for line in scenario.assumed),
    ]
    foot = [
        "± half of a 95 % t-interval over the seeds; changes are against the first policy on the same calls.",
        "Read differences, not levels: the city is not calibrated. No figure is a clinical benefit.",
        f"{calls:,} calls played in {took_s:.0f} s of processor time.",
    ]
    if job.bound:
        foot.insert(1, "bound: no policy that sends units from posts is late less; docs/simulate.md")
    return "\n".join([*head, "", table(summed(done)), "", *foot])


def _world(world: World) -> str:
    said = []
    if world.drive_factor != 1.0:
        said.append(f"drives take {world.drive_factor:g} times what is believed")
    if world.fix_age_s:
        said.append(f"fixes are {world.fix_age_s:g} s old")
    if world.lost:
        said.append(f"{world.lost} units are not there")
    return ", ".join(said)


def check(scenario: Scenario, jobs: Sequence[Job]) -> None:
    """Raises SimulationError for what would only be found while playing."""
    for job in jobs:
        if job.demand not in scenario.demands:
            known = ", ".join(scenario.demands)
            raise SimulationError(f"there are no seeds named {job.demand!r} here, but: {known}")
        if job.world.lost >= len(scenario.city.home):
            raise SimulationError(f"{job.world.lost} of {len(scenario.city.home)} units lost leaves nobody")


def opened(config: Config, named: str | None, pack: Pack, units: int | None) -> Scenario:
    """The JEMSS folder or the imported city that was named, else the city in use. Raises what they raise."""
    if named is not None and Path(named).is_dir():
        return open_jemss(Path(named))
    folder = config.var / "cities" / named if named else up.city_folder(config)
    if folder is None or not folder.is_dir():
        what = f"{named!r} is no imported city and no folder" if named else "no city was imported yet"
        raise SimulationError(f"{what}: name a JEMSS folder, or import a city (./straja city import FILE)")
    return open_city(folder, pack, units)


# -- where cities come from ----------------------------------------------------------------------------


def open_jemss(folder: Path) -> Scenario:
    """A scenario of a JEMSS city folder. Raises JemssError."""
    city, demands = of_jemss(read_jemss(folder))
    return Scenario(city, demands, Cover.of(city))


def of_jemss(jemss: Jemss) -> tuple[City, dict[str, Demand]]:
    """The simulator's city, and its demand by generator ("train", "test" ...). A district is the area that
    one station is nearest to by driving time."""
    from scipy.spatial import cKDTree

    ms = np.rint(jemss.arc_s * 1000).astype(np.int64)
    roads = Labels(jemss.tail, jemss.head, jemss.node_lon, jemss.node_lat, jemss.arc_m, list(ms))
    place_m, fastest_mps = roads.plane()
    doors = np.flatnonzero(jemss.node_access).astype(np.int32)
    scale = np.array([jemss.x_km, jemss.y_km]) * 1000.0
    tree = cKDTree(np.column_stack((jemss.node_lon, jemss.node_lat))[doors] * scale)

    def near(
        lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        away_m, which = tree.query(np.column_stack((lon, lat)) * scale)
        return doors[which], np.asarray(away_m)

    post_node, post_aside_m = near(jemss.station_lon, jemss.station_lat)
    hospital_node, hospital_aside_m = near(jemss.hospital_lon, jemss.hospital_lat)
    plain = int(jemss.priority_mode[-1])
    nearest = np.zeros(len(jemss.node_lon), dtype=np.int64)
    every = np.arange(len(jemss.node_lon), dtype=np.int32)
    nearest[:] = roads.table_ms(post_node, every, int(jemss.priority_mode[0])).argmin(axis=0)

    def snap(
        lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
        node, aside_m = near(lon, lat)
        return node, aside_m, nearest[node]

    # Cells that share a junction are one, at their mean distance from it.
    node, aside_m = near(jemss.cell_lon, jemss.cell_lat)
    at, which = np.unique(node, return_inverse=True)
    weight = np.bincount(which, jemss.cell_weight)
    mean_m = np.bincount(which, jemss.cell_weight * aside_m) / weight
    delay = next(iter(jemss.generators.values())).streams["dispatchDelay"]
    delay_s = delay.parameters[0] * 86400.0 if delay.parameters else 0.0
    shortest = jemss.target_s.min()
    city = City(
        name=jemss.name, roads=roads, post_names=jemss.station_names, post_node=post_node,
        post_aside_m=post_aside_m, hospital_node=hospital_node, hospital_aside_m=hospital_aside_m,
        home=jemss.home, target_s=jemss.target_s, counted=jemss.target_s <= shortest + 1.0,
        response_mode=jemss.priority_mode, plain_mode=plain, aside_mps=jemss.off_road_mps,
        cell_node=at.astype(np.int32), cell_aside_m=mean_m, cell_share=weight / weight.sum(),
        cell_district=nearest[at], districts=jemss.station_names, delay_s=delay_s, pace=roads.pace(),
        place_m=place_m, fastest_mps=fastest_mps,
    )  # fmt: skip
    demands = {
        name: Demand(
            streams={
                ours: (
                    Distribution(generator.streams[theirs].name, generator.streams[theirs].parameters),
                    generator.streams[theirs].seed,
                )
                for ours, theirs in _STREAMS.items()
            },
            seeds=(generator.cell_seed, generator.place_seed), lon=jemss.cell_lon, lat=jemss.cell_lat,
            weight=jemss.cell_weight, size=jemss.cell_size, snap=snap,
        )
        for name, generator in jemss.generators.items()
    }  # fmt: skip
    return city, demands


SHARES: Final = (0.3, 0.5, 0.2)
"""Of the first three priorities among the calls of an imported city: an assumption, and printed as one."""
SCENE_MIN: Final = 12.0
HANDOVER_MIN: Final = 12.0
TRANSPORT: Final = 0.8
DELAY_S: Final = 60.0
"""Those of the JEMSS cities, and a minute until a call is ready: assumed where a city's own are not known."""
SEEDS: Final = {"train": 20_260_101, "test": 20_260_202}
POSTS_MAX: Final = 20


def open_city(folder: Path, pack: Pack, units: int | None = None) -> Scenario:
    """A scenario of an imported city: its roads for ambulances, its stations and hospitals from its layers,
    its demand cells, the pack's targets. What its data do not tell is assumed, and said. Raises CityError, or
    SimulationError where nothing can be simulated."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    from gis.city import open_city as opened
    from gis.coverage import cells_of, load_points
    from gis.geometry import LocalMetres
    from gis.roads import IMPASSABLE
    from gis.travel import SCENE_ACCESS_MPS, UNIT_ACCESS_MPS, mode

    city = opened(folder)
    modes = (mode("ambulance", True), mode("ambulance", False))
    arrays = city.roads.arrays("ambulance")
    junctions = int(max(arrays["edge_tail"].max(), arrays["edge_head"].max())) + 1
    tail = np.column_stack((arrays["edge_tail"], arrays["edge_head"])).ravel()
    head = np.column_stack((arrays["edge_head"], arrays["edge_tail"])).ravel()
    point = arrays["node_point"][:junctions]
    lon, lat = arrays["point_lon_e7"][point] / 1e7, arrays["point_lat_e7"][point] / 1e7
    ms = []
    for one in modes:
        known = np.asarray(city.roads.ms(one), dtype=np.int64)
        ms.append(np.where(known == IMPASSABLE, NEVER, known))
    roads = Labels(tail, head, lon, lat, np.repeat(arrays["edge_m"], 2), ms)
    place_m, fastest_mps = roads.plane()
    # Whoever stands must be able to leave and to come back, so all places lie in the largest such part.
    there = ms[1] < NEVER
    ways = coo_array((np.ones(there.sum()), (tail[there], head[there])), shape=(junctions, junctions))
    _, part = connected_components(ways.tocsr(), connection="strong")
    doors = np.flatnonzero(part == np.bincount(part).argmax()).astype(np.int32)
    plane = LocalMetres(float(lon.mean()), float(lat.mean()))
    tree = cKDTree(np.column_stack(plane.to_xy(lon[doors], lat[doors])))

    def near(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        away_m, which = tree.query(np.column_stack(plane.to_xy(x, y)))
        return doors[which], np.asarray(away_m)

    cells = cells_of(
        city.roads.arrays("car"), city.roads.names, load_points(folder), city.addresses.named_areas()
    )
    assumed = [
        f"demand by {cells.source}; calls: {TRANSPORT:.0%} to hospital, {SCENE_MIN:g} min on scene and"
        f" {HANDOVER_MIN:g} min handover on average, priorities {', '.join(f'{one:.0%}' for one in SHARES)}",
        "junction to junction, without turn restrictions",
    ]
    found = _places(folder)
    stations = [place for place in found if place[0] == "ambulance"]
    if len(stations) < 2:
        stations = [place for place in found if place[0] != "hospital"]
        assumed.append(f"ambulances at all {len(stations)} stations of any service: the layers know too few")
    stations = stations[:POSTS_MAX]
    if len(stations) < 2:
        # The cells with most demand, well apart: a city without stations can still be studied.
        spread = _spread(cells.lon, cells.lat, cells.share, 6)
        stations = [("post", f"post {n + 1}", cells.lon[i], cells.lat[i]) for n, i in enumerate(spread)]
        assumed[-1] = f"{len(stations)} posts where most demand is, well apart: the layers know no stations"
    hospitals = [place for place in found if place[0] == "hospital"]
    if not hospitals:
        middle = int(cells.share.argmax())
        hospitals = [("hospital", "hospital", cells.lon[middle], cells.lat[middle])]
        assumed.append("one hospital where most demand is: the layers know none")
    post_node, post_aside_m = near(*_columns(stations))
    hospital_node, hospital_aside_m = near(*_columns(hospitals))
    cell_node, cell_aside_m = near(cells.lon, cells.lat)
    many = units or max(4, len(stations))
    home = np.arange(many) % len(stations)
    assumed.append(f"{many} ambulances, spread over the posts")
    targets = [one.target_s or 3600 for one in list(pack.priorities.values())[:3]]
    zones = tuple(zone.name for zone in cells.zones)
    turnout = next((one.turnout_s for one in pack.unit_types.values() if one.profile == "ambulance"), 60)

    def snap(
        x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
        node, aside_m = near(x, y)
        return node, aside_m, cells.zone[np.maximum(cells.find(x, y), 0)].astype(np.int64)

    scenario = City(
        name=city.info.name, roads=roads, post_names=tuple(name for _, name, _, _ in stations),
        post_node=post_node, post_aside_m=post_aside_m, hospital_node=hospital_node,
        hospital_aside_m=hospital_aside_m, home=home, target_s=np.array(targets, dtype=np.float64),
        counted=np.array([True, True, False]), response_mode=np.array([0, 0, 1]), plain_mode=1,
        aside_mps=np.array([UNIT_ACCESS_MPS, UNIT_ACCESS_MPS]), cell_node=cell_node,
        cell_aside_m=cell_aside_m * (UNIT_ACCESS_MPS / SCENE_ACCESS_MPS), cell_share=cells.share,
        cell_district=cells.zone.astype(np.int64), districts=zones, turnout_s=float(turnout), delay_s=DELAY_S,
        pace=roads.pace(), place_m=place_m,
        fastest_mps=fastest_mps,
    )  # fmt: skip
    wide = cells.size_m / 111_195.0
    size = (wide / math.cos(math.radians(float(lat.mean()))), wide)
    streams = {
        "gap": Distribution("Exponential", (1.0,)),
        "priority": Distribution("Categorical", SHARES),
        "delay": Distribution("Normal", (DELAY_S / DAY_S, 0.0)),
        "on_scene": Distribution("Exponential", (SCENE_MIN / 1440,)),
        "transport": Distribution("Bernoulli", (TRANSPORT,)),
        "handover": Distribution("Exponential", (HANDOVER_MIN / 1440,)),
    }
    demands = {
        name: Demand(
            {stream: (one, seed + n) for n, (stream, one) in enumerate(streams.items())},
            (seed + 6, seed + 7), cells.lon, cells.lat, cells.share, size, snap,
        )
        for name, seed in SEEDS.items()
    }  # fmt: skip
    return Scenario(scenario, demands, Cover.of(scenario), tuple(assumed))


Place = tuple[str, str, float, float]
"""Kind, name, longitude, latitude."""


def _places(folder: Path) -> list[Place]:
    """Stations and hospitals of the city's own reference layers, by kind and name."""
    path = folder / "layers.geojsonl"
    found: list[Place] = []
    if not path.is_file():
        return found
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if '"stations"' not in line and '"hospitals"' not in line:
                continue
            feature = json.loads(line)
            told = feature["properties"]
            if told["layer"] in ("stations", "hospitals"):
                points = np.array(list(_points(feature["geometry"]["coordinates"])))
                if len(points):
                    x, y = points.mean(axis=0).tolist()
                    found.append((str(told["kind"]), str(told.get("name") or told["kind"]), x, y))
    return sorted(found)


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    if coordinates and isinstance(coordinates[0], (int, float)):
        yield coordinates[0], coordinates[1]
    else:
        for part in coordinates:
            yield from _points(part)


def _columns(places: Sequence[Place]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array([place[2] for place in places]), np.array([place[3] for place in places])


def _spread(
    lon: NDArray[np.float64], lat: NDArray[np.float64], share: NDArray[np.float64], many: int
) -> list[int]:
    """Rows with much demand and far from one another: each next one has the most demand times distance."""
    chosen = [int(share.argmax())]
    while len(chosen) < min(many, len(share)):
        away = np.min([np.hypot(lon - lon[i], lat - lat[i]) for i in chosen], axis=0)
        chosen.append(int((away * (share + share.mean())).argmax()))
    return chosen


def policies_of(pack: Pack, names: Sequence[str] = tuple(POLICIES)) -> tuple[Policy, ...]:
    """The policies of these names by the operator's own settings, closest-idle first. Raises SimulationError
    for a name that is none."""
    unknown = [name for name in names if name not in POLICIES]
    if unknown:
        raise SimulationError(f"{unknown[0]!r} is no policy; there are: {', '.join(POLICIES)}")
    rules = pack.optimiser
    chosen = [POLICIES[name] for name in POLICIES if name in names or name == CLOSEST.name]
    return tuple(
        replace(
            policy,
            weights=tuple(rules.weights.get(priority, 1.0) for priority in pack.priorities),
            width_s=float(rules.width_s), per_minute=rules.per_minute, first_due=rules.first_due,
            coverage_weight=rules.coverage, away_s=float(rules.away_s),
            delta_s=tuple(float(rules.delta_s.get(priority, math.inf)) for priority in pack.priorities),
            standby=pack.standby,
        )
        for policy in chosen
    )  # fmt: skip
