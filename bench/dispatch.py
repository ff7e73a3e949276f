"""A recommendation among 1,000 units, and the travel times under it, beside SciPy and Valhalla.

Porto (or `--city FILE`, any .osm.pbf) with 1,000 units and incidents on its streets, drawn with a seed.
`recommend_*`: the whole recommendation for one incident in process (plan, coverage loss, reasons, metres),
while units move; as in a web process, the collector of cycles leaves alone what was there at the start.
`recommend_cpu_p99_ms`: the processor time alone, which others on the machine disturb less.
`nearest5_ms`: the incident put on its street and the five soonest found, exact at both ends. Peer: SciPy's
Dijkstra on the same graph and the same snaps, limited to 5 minutes, from one end of the
incident's street only, which is less than the exact work; and Valhalla's `timedistancematrix`, the quicker
of its two, on tiles of the same extract, all 1,000 to one. `matrix_200x1000_ms`: peer SciPy, limited to 15
minutes, again from one end. `eta_mismatches`: pairs whose time is a millisecond off SciPy's unlimited
Dijkstra with both ends done by hand, with streets closed at random; beside it the pairs compared.
`eta_corr_valhalla`: car times against Valhalla's over sampled pairs. Without pyvalhalla-weekly its figures
are left out, and it is said.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from app import recommendation
from app.core import Core, choose_city, open_core, settle_memory
from app.rows import Rows
from app.tracks import Fix
from bench.harness import BenchError, Figure
from config import ROOT, Config
from dispatch import commands as c
from gis.city import bundled_helsinki, import_city
from gis.roads import CLASSES, IMPASSABLE, MODES
from gis.travel import SCENE_ACCESS_MPS, UNIT_ACCESS_MPS, RoadGraph, Snaps

SEED = 20_261_124
UNITS = 1_000
MODE = "ambulance_priority"
ADMIN = c.Actor("bench", "admin", frozenset({"*"}))
STREETS = (
    "primary", "secondary", "tertiary", "unclassified", "residential", "living_street", "service",
)  # fmt: skip
"""Where units and incidents are put: where people live, not on field tracks and motorways."""

Positions = tuple[NDArray[np.float64], NDArray[np.float64]]


def places(roads: RoadGraph, rng: np.random.Generator, many: int) -> Positions:
    """Positions some ten metres beside streets."""
    a = roads.arrays("car")
    street = np.isin(a["edge_class"], [CLASSES.index(name) for name in STREETS])
    point = rng.choice(np.flatnonzero(street[a["point_edge"]]), many)
    beside = 10 / 111_195
    return (
        a["point_lon_e7"][point] / 1e7 + rng.normal(0, beside, many),
        a["point_lat_e7"][point] / 1e7 + rng.normal(0, beside, many),
    )


def control_room(folder: Path, extract: Path, rng: np.random.Generator, units: int = UNITS) -> Core:
    """A node of its own in `folder` with that city and so many units on duty, each where its fix says."""
    config = Config.from_env({"STRAJA_VAR": str(folder), "STRAJA_LOG_LEVEL": "ERROR"})
    import_city(extract, folder / "cities", "city")
    choose_city(config, "city")
    core = open_core(config)
    city = core.city
    assert city is not None, "the city was just chosen"
    kinds = [kind for kind in core.pack.unit_types.values() if kind.profile != "air"]
    lon, lat = places(city.roads, rng, units)
    drawn = rng.integers(0, len(kinds), units)

    def enlist(n: int) -> None:
        kind = kinds[drawn[n]]
        core.door.submit(
            c.RegisterUnit(
                id=str(uuid.uuid4()), unit=f"U{n}", type=kind.code, station=core.config.station,
                district=core.config.district, crew=kind.crew_min, base=c.Place(float(lon[n]), float(lat[n])),
            ),
            ADMIN,
        )  # fmt: skip
        if core.picture.now.unit(f"U{n}").status != "available":  # type: ignore[union-attr]
            core.door.submit(c.ReportStatus(id=str(uuid.uuid4()), unit=f"U{n}", status="available"), ADMIN)

    # Together they share the disk's commits.
    with ThreadPoolExecutor(16) as together:
        list(together.map(enlist, range(units)))
    move(core, range(units), (lon, lat))
    return core


def move(core: Core, which: Sequence[int], to: Positions) -> None:
    now_us = core.world.clock.now_us()
    fixes = [Fix(f"U{n}", float(x), float(y), now_us) for n, x, y in zip(which, *to, strict=True)]
    receipt = core.tracks.accept(fixes, "bench", now_us)
    if receipt.refused:
        raise BenchError(f"positions were refused: {receipt.refused[:3]}")


def reported(core: Core, rng: np.random.Generator, many: int) -> list[str]:
    """Incidents of every type in turn, on streets."""
    city = core.city
    assert city is not None, "there is a city"
    kinds = list(core.pack.incident_types)
    found = []
    for n, (lon, lat) in enumerate(zip(*places(city.roads, rng, many), strict=True)):
        ident = str(uuid.UUID(int=int(rng.integers(2**63)), version=4))
        place = c.Place(float(lon), float(lat))
        kind = kinds[n % len(kinds)]
        core.door.submit(
            c.ReportIncident(id=str(uuid.uuid4()), incident=ident, type=kind, place=place), ADMIN
        )
        found.append(ident)
    return found


def recommendations(folder: Path, extract: Path, full: bool) -> tuple[list[Figure], RoadGraph]:
    rng = np.random.default_rng(SEED)
    core = control_room(folder, extract, rng)
    try:
        city = core.city
        assert city is not None, "there is a city"
        city.roads.warm_up()
        core.coverage.refresh()
        settle_memory()
        rows = Rows(core.picture, core.vault, core.tracks, core.pack)
        incidents = reported(core, rng, 200 if full else 60)
        core.coverage.refresh()
        took_ms, cpu_ms, complete = [], [], 0
        for turn in range(-1, 10 if full else 5):
            for n, ident in enumerate(incidents):
                if n % 20 == 0:
                    # Meanwhile crews drive on, and the coverage is brought up to date as its thread would.
                    some = rng.choice(UNITS, 40, replace=False).tolist()
                    move(core, some, places(city.roads, rng, len(some)))
                    core.coverage.refresh()
                incident = core.picture.now.incident(ident)
                assert incident is not None, "it was reported"
                started, cpu_s = time.perf_counter(), time.thread_time()
                found = recommendation.compute(core, rows, incident)
                cpu_s, ms = time.thread_time() - cpu_s, (time.perf_counter() - started) * 1000
                if turn >= 0:
                    took_ms.append(ms)
                    cpu_ms.append(cpu_s * 1000)
                    complete += bool(found.plan.chosen)
        if complete < len(took_ms) // 2:
            raise BenchError(f"only {complete} of {len(took_ms)} recommendations chose anybody")
        wanted = "wanted at most"
        return [
            Figure("recommend_p50_ms", float(np.percentile(took_ms, 50)), "ms", wanted, 5.0),
            Figure("recommend_p99_ms", float(np.percentile(took_ms, 99)), "ms", wanted, 5.0),
            Figure("recommend_cpu_p99_ms", float(np.percentile(cpu_ms, 99)), "ms", wanted, 5.0),
        ], city.roads
    finally:
        core.close()


# ---- plain searches


class Plain:
    """SciPy's Dijkstra on the same graph: entries as arcs, backwards as a dispatcher asks."""

    def __init__(self, roads: RoadGraph, mode: str) -> None:
        self.roads, self.mode = roads, mode
        self.a, self.ms = roads.arrays(mode), roads.ms(mode)
        bar = 1 << MODES.index(mode)
        nodes = len(self.a["copy_next"])
        self.head = np.repeat(np.arange(nodes), np.diff(self.a["in_first"]))
        is_open = (self.ms[self.a["in_arc"]] != IMPASSABLE) & ((self.a["in_bars"] & bar) == 0)
        self.entries = np.flatnonzero(is_open)
        tail, head = self.a["in_tail"][self.entries], self.head[self.entries]
        cost = self.ms[self.a["in_arc"][self.entries]].astype(np.float64)
        by_time = np.lexsort((cost, head, tail))
        tail, head, cost = tail[by_time], head[by_time], cost[by_time]
        # SciPy adds up parallel arcs: keep the quickest.
        once = np.concatenate(([True], (np.diff(tail) != 0) | (np.diff(head) != 0)))
        self.back = csr_matrix((cost[once], (head[once], tail[once])), shape=(nodes, nodes))

    def last_arcs(self, edge: int, fraction: float) -> list[tuple[int, float]]:
        """The nodes from which the last arc is taken, and how long it then takes."""
        arcs = self.a["in_arc"][self.entries]
        return [
            (int(tail), share * float(self.ms[arc]))
            for arc, share in ((2 * edge, fraction), (2 * edge + 1, 1 - fraction))
            for tail in self.a["in_tail"][self.entries[arcs == arc]]
        ]

    def first_ms(self, units: Snaps, node_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Milliseconds of every unit by the first arc's two ends; `node_ms` float64[N] from each node on."""
        found = np.full(len(units.edge), np.inf)
        for against in (0, 1):
            arc = 2 * units.edge + against
            share = units.fraction if against else 1 - units.fraction
            ways = share * self.ms[arc] + node_ms[self.a["arc_head"][arc]]
            found = np.where(self.ms[arc] == IMPASSABLE, found, np.minimum(found, ways))
        return found + units.away_m / UNIT_ACCESS_MPS * 1000

    def times(self, units: Snaps, scenes: Snaps) -> NDArray[np.float64]:
        """Seconds, float64[n, m], both ends by hand; every unit and scene on a road."""
        found = np.full((len(units.edge), len(scenes.edge)), np.inf)
        extra_ms = units.away_m / UNIT_ACCESS_MPS * 1000
        for j, (edge, at) in enumerate(zip(scenes.edge.tolist(), scenes.fraction.tolist(), strict=True)):
            least = np.full(len(self.a["copy_next"]), np.inf)
            for tail, last_ms in self.last_arcs(edge, at):
                least = np.minimum(least, dijkstra(self.back, indices=[tail])[0] + last_ms)
            found[:, j] = self.first_ms(units, least)
            for i in np.flatnonzero(units.edge == edge):
                ahead = at - float(units.fraction[i])
                for arc, way in ((2 * edge, ahead), (2 * edge + 1, -ahead)):
                    if way >= 0 and self.ms[arc] != IMPASSABLE:
                        found[i, j] = min(found[i, j], way * float(self.ms[arc]) + extra_ms[i])
            found[:, j] += scenes.away_m[j] / SCENE_ACCESS_MPS * 1000
        return found / 1000

    def limited(self, units: Snaps, scenes: Snaps, limit_s: float) -> NDArray[np.float64]:
        """Milliseconds, float64[m, n]: from one end of each incident's street, not further than the limit."""
        ends = self.a["edge_head"][scenes.edge]
        node_ms: Any = dijkstra(self.back, indices=ends, limit=limit_s * 1000)
        return np.array([self.first_ms(units, row) for row in np.atleast_2d(node_ms)])


def median_ms(work: Callable[[int], object], turns: int) -> float:
    work(0)
    took = []
    for turn in range(turns):
        started = time.perf_counter()
        work(turn)
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def on_road(roads: RoadGraph, at: Positions, *, arriving: bool = False) -> Snaps:
    snaps = roads.snap(*at, MODE, arriving=arriving)
    keep = np.flatnonzero(snaps.edge >= 0)
    return Snaps(snaps.lon[keep], snaps.lat[keep], snaps.edge[keep], snaps.fraction[keep], snaps.away_m[keep])


def against_scipy(roads: RoadGraph, full: bool) -> tuple[list[Figure], float]:
    rng = np.random.default_rng(SEED + 1)
    units, scenes = (
        on_road(roads, places(roads, rng, UNITS)),
        on_road(roads, places(roads, rng, 200), arriving=True),
    )
    plain = Plain(roads, MODE)
    turns = 200 if full else 60
    one = [Snaps(*(getattr(scenes, f)[n : n + 1] for f in ("lon", "lat", "edge", "fraction", "away_m")))
           for n in range(len(scenes.edge))]  # fmt: skip

    def ours(n: int) -> object:
        scene = one[n % len(one)]
        return roads.nearest(scene.lon[0], scene.lat[0], units.lon, units.lat, MODE, 5, snaps=units)

    def theirs(n: int) -> object:
        return np.argpartition(plain.limited(units, one[n % len(one)], 300.0)[0], 5)[:5]

    # In turns, so that a noisy machine is noisy for both.
    rounds = [(median_ms(ours, turns), median_ms(theirs, turns)) for _ in range(3)]
    nearest_ms, scipy_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    matrices = [
        (
            median_ms(lambda n: roads.times(units, scenes, MODE), 3),
            median_ms(lambda n: plain.limited(units, scenes, 900.0), 1),
        )
        for _ in range(3 if full else 1)
    ]
    matrix_ms, matrix_scipy_ms = (statistics.median(column) for column in zip(*matrices, strict=True))
    return [
        Figure("nearest5_ms", nearest_ms, "ms", "SciPy, 5 minutes at most", scipy_ms),
        Figure("nearest5_vs_scipy", nearest_ms / scipy_ms, "1", "wanted at most", 0.2),
        Figure("matrix_200x1000_ms", matrix_ms, "ms", "SciPy, 15 minutes at most", matrix_scipy_ms),
    ], nearest_ms


def mismatches(roads: RoadGraph, full: bool) -> Figure:
    """Compared in the city as it is and with streets closed at random."""
    rng = np.random.default_rng(SEED + 2)
    compared = wrong = 0
    for closed in (0, 300, 3_000):
        ms = roads.ms(MODE).copy()
        ms[rng.choice(len(ms), closed, replace=False)] = IMPASSABLE
        view = roads.with_ms({MODE: ms}, version=closed)
        units = on_road(view, places(roads, rng, UNITS))
        scenes = on_road(view, places(roads, rng, 40 if full else 12), arriving=True)
        truth = Plain(view, MODE).times(units, scenes)
        found = view.times(units, scenes, MODE).astype(np.float64)
        off = ~np.isclose(found, truth, rtol=0, atol=1e-3)
        for j in range(len(scenes.edge)):
            near = view.nearest(scenes.lon[j], scenes.lat[j], units.lon, units.lat, MODE, straight=False,
                                snaps=units).drive_s  # fmt: skip
            off[:, j] |= ~np.isclose(near, truth[:, j], rtol=0, atol=1e-3)
        wrong += int(off.sum())
        compared += off.size
    return Figure("eta_mismatches", float(wrong), "1", "pairs compared with plain Dijkstra", float(compared))


# ---- Valhalla


def tiles(folder: Path, extract: Path) -> Path:
    """Build Valhalla's tiles of the extract; returns its configuration. Raises BenchError."""
    import valhalla

    (folder / "valhalla").mkdir()
    config = valhalla.get_config(tile_extract="", tile_dir=str(folder / "valhalla"), verbose=False)
    for key in ("traffic_extract", "admin", "timezone", "landmarks"):
        config["mjolnir"].pop(key, None)
    config["mjolnir"]["logging"] = config["loki"]["logging"] = config["thor"]["logging"] = {"type": ""}
    config["thor"]["source_to_target_algorithm"] = "timedistancematrix"
    config["service_limits"]["auto"].update(
        max_distance=1e9, max_matrix_distance=1e9, max_matrix_location_pairs=10**7, max_locations=10**5
    )
    file = folder / "valhalla.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [str(valhalla.PYVALHALLA_DIR / "bin" / "valhalla_build_tiles"), "-c", str(file), str(extract)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"Valhalla's tiles of {extract.name} failed:\n{done.stderr[-1000:]}")
    return file


def against_valhalla(
    roads: RoadGraph, folder: Path, extract: Path, nearest_ms: float, full: bool
) -> list[Figure]:
    try:
        import valhalla
    except ModuleNotFoundError:
        print("note: not measured beside Valhalla: pyvalhalla-weekly is not installed", file=sys.stderr)
        return []
    actor = valhalla.Actor(str(tiles(folder, extract)))
    rng = np.random.default_rng(SEED + 3)
    froms, tos = places(roads, rng, UNITS), places(roads, rng, 20)

    def asked(columns: slice) -> NDArray[np.float64]:
        request = {
            "sources": [{"lon": x, "lat": y} for x, y in zip(*(v.tolist() for v in froms), strict=True)],
            "targets": [
                {"lon": x, "lat": y} for x, y in zip(*(v[columns].tolist() for v in tos), strict=True)
            ],
            "costing": "auto", "verbose": False,
        }  # fmt: skip
        answer: dict[str, Any] = actor.matrix(request)
        return np.array(answer["sources_to_targets"]["durations"], dtype=np.float64)

    valhalla_ms = median_ms(lambda n: asked(slice(n % 20, n % 20 + 1)), 9 if full else 3)
    theirs = asked(slice(0, 20 if full else 8))
    ours = roads.times(
        roads.snap(*froms, "car"),
        roads.snap(tos[0][: theirs.shape[1]], tos[1][: theirs.shape[1]], "car", arriving=True),
        "car",
    )
    both = np.isfinite(theirs) & np.isfinite(ours)
    if both.sum() < 1_000:
        raise BenchError(f"Valhalla and we agree on a way for {int(both.sum())} pairs only")
    corr = float(np.corrcoef(ours[both], theirs[both])[0, 1])
    ratio = float(np.median(ours[both] / np.maximum(theirs[both], 1.0)))
    return [
        Figure("nearest5_vs_valhalla", nearest_ms / valhalla_ms, "1", "wanted at most", 0.001),
        Figure("valhalla_1000x1_ms", valhalla_ms, "ms", "our five nearest", nearest_ms),
        Figure("eta_corr_valhalla", corr, "1", "wanted at least", 0.95),
        Figure("eta_median_ratio_valhalla", ratio, "1", "Valhalla's time", 1.0),
    ]


def run(full: bool, folder: Path, city: Path | None = None) -> list[Figure]:
    data = Path(os.environ.get("STRAJA_TEST_DATA", ROOT.parent / "shared" / "data"))
    extract = city or data / "porto.osm.pbf"
    if not extract.is_file():
        extract = bundled_helsinki()
        print(f"note: there is no Porto here; measured on {extract.name}", file=sys.stderr)
    (folder / "var").mkdir()
    figures, roads = recommendations(folder / "var", extract, full)
    nearest, nearest_ms = against_scipy(roads, full)
    return [
        *figures, *nearest, mismatches(roads, full),
        *against_valhalla(roads, folder, extract, nearest_ms, full),
    ]  # fmt: skip
