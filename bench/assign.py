"""Who goes where after a storm, beside SciPy, OR-tools and VROOM on the same travel times.

In Porto (its extract in the folder of test data; `--city PATH` takes another .osm.pbf), units and incidents
stand at random on the streets; each unit has one of four capabilities, each incident needs one unit.
`assign_200x1000_s` and `assign_1000x5000_s` run from positions to a finished plan: putting all of them on the
roads, the travel times that are needed (`RoadGraph.soonest`), the assignment and its proof, its price. Median
of the runs; `times_looked_at` is the share of all pairs that it took.

Peers get all travel times finished, in processes of their own (OR-tools and SciPy's HiGHS cannot share one),
and their time counts with those travel times (contraction hierarchies) added: SciPy's dense
`linear_sum_assignment`, OR-tools' min-cost flow over each incident's 100 soonest units, and, for the smaller
case alone, VROOM at its quickest (`exploration_level` 0, one job a vehicle, capabilities as its skills).
`gap` is what our plans cost more than those of the dense assignment over all pairs, as a share, the worst of
both sizes; its peer is the rounding allowed. The `eta_sum` figures are the seconds that all incidents wait in
sum, beside each peer's: VROOM's own gap is what is in them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import BenchError, Figure
from config import ROOT
from dispatch.assign import Demand, Found, Search, Situation, assign
from dispatch.fill import PLAIN
from dispatch.optimise import Candidates
from gis.city import import_city
from gis.travel import RoadGraph, Snaps

SEED = 20_261_123
CAPABILITIES = ("fire_suppression", "doctor", "transport", "tree_clearing")
TURNOUT_S = 60.0
SIZES = ((200, 1000), (1000, 5000))
ROUNDING = 1e-9
NEAREST = 100
NEVER_S = 100_000


def part(snaps: Snaps, rows: NDArray[np.int64]) -> Snaps:
    return Snaps(snaps.lon[rows], snaps.lat[rows], snaps.edge[rows], snaps.fraction[rows], snaps.away_m[rows])


def nobody(incidents: int, units: int) -> NDArray[np.float32]:
    """No arrivals are known yet."""
    return np.full((incidents, units), np.inf, dtype=np.float32)


class Storm:
    """Units and incidents at random on the streets."""

    def __init__(self, ways: RoadGraph, incidents: int, units: int) -> None:
        rng = np.random.default_rng(SEED + incidents)
        roads = ways.arrays("car")
        points = rng.integers(0, len(roads["point_lon_e7"]), incidents + units)
        self.lon, self.lat = roads["point_lon_e7"][points] / 1e7, roads["point_lat_e7"][points] / 1e7
        self.incidents, self.units, self.ways = incidents, units, ways
        self.skill = np.arange(units) % len(CAPABILITIES)
        self.need = rng.integers(0, len(CAPABILITIES), incidents)

    def travel(self) -> NDArray[np.float32]:
        """Seconds from the order to the arrival, float32[incidents, units]."""
        m = self.incidents
        scenes = self.ways.snap(self.lon[:m], self.lat[:m], "car", arriving=True)
        stands = self.ways.snap(self.lon[m:], self.lat[m:], "car")
        return np.ascontiguousarray(self.ways.times(stands, scenes, "car").T) + np.float32(TURNOUT_S)

    def search(self) -> Search:
        """Who is soonest, for the optimiser, from positions."""
        m = self.incidents
        scenes = self.ways.snap(self.lon[:m], self.lat[:m], "car", arriving=True)
        stands = self.ways.snap(self.lon[m:], self.lat[m:], "car")

        def search(incidents: NDArray[np.int64], rows: NDArray[np.int64], k: int) -> Found:
            found = self.ways.soonest(
                part(stands, rows), part(scenes, incidents), "car", k, ready_s=TURNOUT_S, limit_s=NEVER_S
            )
            return Found(found.place, rows[found.row], found.seconds, found.beyond_s)

        return search

    def situation(self, eta_s: NDArray[np.float32]) -> Situation:
        n = self.units
        nowhere, no = np.full(n, np.nan), (None,) * n
        candidates = Candidates(
            ids=tuple(f"U{i:05}" for i in range(n)), types=("X",) * n, agencies=("X",) * n,
            command=("owned",) * n, districts=no, capabilities=CAPABILITIES,
            gives=self.skill[:, np.newaxis] == np.arange(len(CAPABILITIES)), status=("available",) * n,
            sendable=("now",) * n, crew=np.full(n, 2), crew_min=np.full(n, 2), crew_id=no, blocked_by=no,
            drive_s=nowhere, distance_m=nowhere, road=np.ones(n, dtype=bool), turnout_s=np.zeros(n),
            ready_in_s=nowhere, fix_age_s=np.zeros(n), in_zone=np.ones(n, dtype=bool), busy_with=no,
            busy_by=no, already=np.zeros(n, dtype=bool),
        )  # fmt: skip
        demands = tuple(Demand(f"I{i:05}", {CAPABILITIES[k]: 1}, PLAIN) for i, k in enumerate(self.need))
        return Situation(demands, candidates, eta_s, far_s=float(NEVER_S))

    def matrix(self, eta_s: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same for peers: float64[incidents, units], NEVER_S where a unit is of no use there."""
        fits = self.need[:, np.newaxis] == self.skill
        return np.where(fits & np.isfinite(eta_s), eta_s, NEVER_S).astype(np.float64)


def peer(kind: str, matrix: NDArray[np.float64], folder: Path) -> dict[str, float]:
    """What the peer took, in seconds, and the sum of the arrivals of its plan."""
    path = folder / "matrix.npy"
    np.save(path, matrix)
    done = subprocess.run(
        [sys.executable, "-m", "bench.assign", kind, str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError(
            f"{kind} failed: {done.stderr.strip().splitlines()[-1:]}; make bench-deps installs it"
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(full: bool, folder: Path, city: Path | None = None) -> list[Figure]:
    """`full` measures more runs; `city` is an .osm.pbf."""
    from scipy.optimize import linear_sum_assignment

    source = city or ROOT.parent / "shared" / "data" / "porto.osm.pbf"
    if not source.exists():
        raise BenchError(f"{source} is missing: name an extract with --city")
    import_city(source, folder / "cities", "storm")
    ways = RoadGraph.open(folder / "cities" / "storm")
    figures: list[Figure] = []
    gaps: list[float] = []
    for incidents, units in SIZES:
        storm = Storm(ways, incidents, units)
        storm.travel()
        assign(storm.situation(nobody(incidents, units)), storm.search())
        took_s, travel_s, dense_s = [], [], []
        for _ in range(9 if full else 5):
            began = time.perf_counter()
            situation = storm.situation(nobody(incidents, units))
            made = assign(situation, storm.search())
            took_s.append(time.perf_counter() - began)
        for _ in range(3):
            began = time.perf_counter()
            eta_s = storm.travel()
            travel_s.append(time.perf_counter() - began)
            matrix = storm.matrix(eta_s)
            at, best = linear_sum_assignment(matrix)
            dense_s.append(time.perf_counter() - began)
        if not made.exact or any(made.price.missing):
            raise BenchError(f"the plan for {incidents} incidents is not whole: {made.price.missing}")
        exact_s = float(matrix[at, best].sum())
        row = {demand.id: i for i, demand in enumerate(situation.demands)}
        unit = {id: i for i, id in enumerate(situation.candidates.ids)}
        own_s = float(sum(matrix[row[one.incident], unit[one.unit]] for one in made.sendings))
        gaps.append(own_s / exact_s - 1.0)
        size, own = f"{incidents}x{units}", statistics.median(took_s)
        travel = statistics.median(travel_s)
        dense = statistics.median(dense_s)
        looked_at = float(np.isfinite(situation.eta_s).mean())
        figures.append(Figure(f"assign_{size}_vs_scipy_s", own, "s", "SciPy, dense, same times", dense))
        figures.append(Figure(f"times_looked_at_{size}", looked_at, "1", "SciPy, dense", 1.0))
        flow = peer("ortools", matrix, folder)
        figures.append(Figure(f"assign_{size}_s", own, "s", "OR-tools, same times", travel + flow["took_s"]))
        figures.append(Figure(f"eta_sum_{size}_s", own_s, "s", "SciPy, dense exact", exact_s))
        figures.append(Figure(f"eta_sum_{size}_vs_ortools_s", own_s, "s", "OR-tools", flow["sum_s"]))
        if incidents == SIZES[0][0]:
            routed = peer("vroom", matrix, folder)
            name = f"assign_{size}_vs_vroom_s"
            figures.append(Figure(name, own, "s", "VROOM, same times", travel + routed["took_s"]))
            figures.append(Figure(f"eta_sum_{size}_vs_vroom_s", own_s, "s", "VROOM", routed["sum_s"]))
    return [*figures, Figure("gap", max(abs(gap) for gap in gaps), "1", "rounding allowed", ROUNDING)]


# ---- the peers, each in a process of its own


def ortools(matrix: NDArray[np.float64]) -> dict[str, float]:
    """Min-cost flow over each incident's soonest units, milliseconds as whole numbers."""
    from ortools.graph.python import min_cost_flow

    began = time.perf_counter()
    incidents, units = matrix.shape
    near = np.argpartition(matrix, NEAREST, axis=1)[:, :NEAREST]
    source, sink = incidents + units, incidents + units + 1
    who = np.repeat(np.arange(incidents), NEAREST)
    taken = np.unique(near)
    flow = min_cost_flow.SimpleMinCostFlow()
    one = np.ones
    tails = np.concatenate([np.full(incidents, source), who, incidents + taken])
    heads = np.concatenate([np.arange(incidents), incidents + near.ravel(), np.full(len(taken), sink)])
    ms = np.rint(matrix[who, near.ravel()] * 1000).astype(np.int64)
    costs = np.concatenate([np.zeros(incidents, np.int64), ms, np.zeros(len(taken), np.int64)])
    arcs = flow.add_arcs_with_capacity_and_unit_cost(tails, heads, one(len(tails), np.int64), costs)
    flow.set_nodes_supplies(np.array([source, sink]), np.array([incidents, -incidents]))
    if flow.solve() != flow.OPTIMAL:
        raise SystemExit("OR-tools found no plan")
    used = flow.flows(arcs)[incidents : incidents + len(who)] > 0
    took_s = time.perf_counter() - began
    return {"took_s": took_s, "sum_s": float(matrix[who, near.ravel()][used].sum())}


def vroom(matrix: NDArray[np.float64]) -> dict[str, float]:
    """One job a vehicle, who is of no use there kept off by skills; whole seconds."""
    import vroom as solver

    incidents, units = matrix.shape
    began = time.perf_counter()
    # Incidents that want the same units want the same skill.
    useful, skill = np.unique(matrix < NEVER_S, axis=0, return_inverse=True)
    skills = [set(np.flatnonzero(column).tolist()) for column in useful.T]
    every = np.full((units + incidents, units + incidents), NEVER_S, dtype=np.uint32)
    every[:units, units:] = np.rint(matrix.T)
    problem: Any = solver.Input()
    problem.set_durations_matrix(profile="car", matrix_input=every)
    problem.add_vehicle(
        [solver.Vehicle(i, start=i, capacity=[1], max_tasks=1, skills=skills[i]) for i in range(units)]
    )
    problem.add_job(
        [
            solver.Job(i, location=units + i, delivery=[1], skills={int(skill.ravel()[i])})
            for i in range(incidents)
        ]
    )
    solution = problem.solve(exploration_level=0, nb_threads=1)
    took_s = time.perf_counter() - began
    routes = solution.routes
    jobs = routes[routes["type"] == "job"]
    rows, columns = jobs["id"].to_numpy(dtype=np.int64), jobs["vehicle_id"].to_numpy(dtype=np.int64)
    if len(rows) != incidents:
        raise SystemExit(f"VROOM left {incidents - len(rows)} incidents without a unit")
    return {"took_s": took_s, "sum_s": float(matrix[rows, columns].sum())}


if __name__ == "__main__":
    kind, path = sys.argv[1:3]
    print(json.dumps({"ortools": ortools, "vroom": vroom}[kind](np.load(path))))
