"""From a polygon drawn to a changed recommendation among 1,000 units, beside Valhalla's exclude_polygons.

Porto (or `--city FILE`, any .osm.pbf) with 1,000 units; for each incident a zone is drawn over the middle
of the way of the unit recommended. `closure_p50_ms`, `closure_p99_ms`: the shape checked, ordered through
the door (decided, sealed, on the disk, folded), the living map made anew and the whole recommendation
computed by it, plan, coverage and reasons, in process. Rounds in which nothing changes for the plan count
too; how many did is told beside. Each round begins when the coverage of the round before is worked in; the
collector of cycles is set as in a web process.
Peer: Valhalla's matrix from the same 1,000 positions to the same place with the same polygon excluded,
which knows no permission, disk or plan. `closure_disk_p50_ms`: the part until it is on record; peer: the
whole. `closure_arcs`: how many arcs the zones closed, at the median.
"""

from __future__ import annotations

import math
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from app import recommendation
from app.core import Core, settle_memory
from app.recommendation import Recommendation
from app.rows import Rows
from bench.dispatch import ADMIN, UNITS, control_room, reported, tiles
from bench.harness import BenchError, Figure
from config import ROOT
from dispatch import commands as c
from gis.city import bundled_helsinki
from gis.conditions import read_shape
from gis.geometry import metres_between

SEED = 20_261_125
RADIUS_M = 400.0
CLEAR_M = 200.0
"""How far the zone lies from both ends of the way."""
WANTED_MS = 20.0


def zone(lon: float, lat: float) -> dict[str, Any]:
    """Sixteen corners around a point, as GeoJSON."""
    ring = []
    for n in range(16):
        angle = 2 * math.pi * n / 16
        ring.append(
            [
                round(lon + RADIUS_M * math.cos(angle) / (111_195 * math.cos(math.radians(lat))), 7),
                round(lat + RADIUS_M * math.sin(angle) / 111_195, 7),
            ]
        )
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def in_the_way(core: Core, rows: Rows, ident: str) -> tuple[dict[str, Any], Recommendation] | None:
    """A zone over the middle of the way of the unit recommended; None where that is too short for one."""
    incident = core.picture.now.incident(ident)
    ways = core.living_map.ways()
    assert incident is not None, "it was just reported"
    assert ways is not None, "there is a city"
    before = recommendation.compute(core, rows, incident)
    lon, lat, _ = rows.place_of(incident)
    for pick in before.plan.chosen:
        if pick.unit not in before.fixes:
            continue
        at = before.fixes[pick.unit][:2]
        way = ways.route(*at, lon, lat, before.modes[pick.unit]).points
        clear = [
            p for p in way if min(metres_between(*p, *at), metres_between(*p, lon, lat)) > RADIUS_M + CLEAR_M
        ]
        if clear:
            return zone(*clear[len(clear) // 2]), before
    return None


def plan_of(found: Recommendation) -> list[tuple[str, int]]:
    return [(pick.unit, round(pick.eta_s)) for pick in found.plan.chosen]


def run(full: bool, folder: Path, city: Path | None = None) -> list[Figure]:
    data = Path(os.environ.get("STRAJA_TEST_DATA", ROOT.parent / "shared" / "data"))
    extract = city or data / "porto.osm.pbf"
    if not extract.is_file():
        extract = bundled_helsinki()
        print(f"note: there is no Porto here; measured on {extract.name}", file=sys.stderr)
    (folder / "var").mkdir()
    rng = np.random.default_rng(SEED)
    core = control_room(folder / "var", extract, rng)
    try:
        return measured(core, folder, extract, rng, full)
    finally:
        core.close()


def measured(
    core: Core, folder: Path, extract: Path, rng: np.random.Generator, full: bool
) -> list[Figure]:
    rounds, warm = (300, 20) if full else (60, 10)
    rows = Rows(core.picture, core.vault, core.tracks, core.pack)
    settle_memory()
    whole_ms: list[float] = []
    disk_ms: list[float] = []
    arcs: list[int] = []
    changed = 0
    asked: list[tuple[dict[str, Any], float, float]] = []
    assert core.city is not None, "the city was just imported"
    box, free = core.city.info.bbox, core.city.roads.ms("car")
    for n, ident in enumerate(reported(core, rng, 4 * rounds)):
        if len(whole_ms) == rounds:
            break
        drawn = in_the_way(core, rows, ident)
        if drawn is None:
            continue
        geometry, before = drawn
        incident = core.picture.now.incident(ident)
        assert incident is not None, "it was just reported"
        closure = str(uuid.uuid4())
        core.coverage.refresh()
        began = time.perf_counter()
        read_shape(geometry, box)
        core.door.submit(
            c.ReportClosure(
                id=closure, closure=closure, kind="closure", geometry=geometry, reason="a wall has come down",
                state="ordered", authority="police", ordered_by="an officer",
            ),
            ADMIN,
        )  # fmt: skip
        recorded = time.perf_counter()
        after = recommendation.compute(core, rows, incident)
        ended = time.perf_counter()
        if n >= warm:
            whole_ms.append((ended - began) * 1000)
            disk_ms.append((recorded - began) * 1000)
            changed += plan_of(after) != plan_of(before)
            ways = core.living_map.ways()
            assert ways is not None, "there is a city"
            arcs.append(int((ways.ms("car") != free).sum()))
            lon, lat, _ = rows.place_of(incident)
            asked.append((geometry, lon, lat))
        core.door.submit(c.WithdrawClosure(id=str(uuid.uuid4()), closure=closure, reason="over"), ADMIN)
    if len(whole_ms) < rounds // 2:
        raise BenchError(f"only {len(whole_ms)} ways were long enough for a zone upon them")
    print(f"note: {changed} of {len(whole_ms)} zones changed the plan or its times", file=sys.stderr)
    p50, p99 = (float(np.percentile(whole_ms, share)) for share in (50, 99))
    disk = float(np.percentile(disk_ms, 50))
    beside = against_valhalla(core, folder, extract, asked[: 9 if full else 3])
    peer = ("Valhalla's matrix with exclude_polygons", beside) if beside else ("wanted at most", WANTED_MS)
    return [
        Figure("closure_p50_ms", p50, "ms", *peer),
        Figure("closure_p99_ms", p99, "ms", *peer),
        Figure("closure_disk_p50_ms", disk, "ms", "the whole, at the median", p50),
        Figure("closure_arcs", float(np.median(arcs)), "1", "arcs of the city", float(len(free))),
        Figure("closure_changed", float(changed), "1", "zones drawn", float(len(whole_ms))),
    ]


def against_valhalla(
    core: Core, folder: Path, extract: Path, asked: list[tuple[dict[str, Any], float, float]]
) -> float | None:
    """Milliseconds of one matrix with one polygon excluded, at the median; None where Valhalla is not."""
    try:
        import valhalla
    except ModuleNotFoundError:
        print("note: not measured beside Valhalla: pyvalhalla-weekly is not installed", file=sys.stderr)
        return None
    actor = valhalla.Actor(str(tiles(folder, extract)))
    fixes = [fix for n in range(UNITS) if (fix := core.tracks.last(f"U{n}")) is not None]
    sources = [{"lon": fix.lon, "lat": fix.lat} for fix in fixes]
    took_ms = []
    for geometry, lon, lat in asked:
        request = {
            "sources": sources,
            "targets": [{"lon": lon, "lat": lat}],
            "costing": "auto",
            "verbose": False,
            "exclude_polygons": geometry["coordinates"],
        }
        began = time.perf_counter()
        actor.matrix(request)
        took_ms.append((time.perf_counter() - began) * 1000)
    return float(np.median(took_ms))
