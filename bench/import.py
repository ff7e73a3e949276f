"""Seconds and peak memory of importing a city, beside osmium merely reading the same file.

The import runs in a process of its own, as `straja city import` does: roads, addresses, reference layers,
base map, everything on disk. `*_peak_mb` is the greatest resident memory of that process; the program that
cuts the tiles (tippecanoe) is not in it. Peer: a process that lets osmium read the same file in the same way
(areas put together, objects without tags left out) and keeps nothing. Both take turns. Porto is read from the
folder of test data; without it, the demonstration city takes its place.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench.harness import BenchError, Figure
from config import ROOT
from gis.city import bundled_helsinki

MEASURE = """
import json, resource, sys, time
started = time.perf_counter()
{work}
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6]))
"""
IMPORT = """
from pathlib import Path
from gis.city import import_city
import_city(Path(sys.argv[1]), Path(sys.argv[2]), "city")
"""
READ = """
import osmium
from osmium.filter import EmptyTagFilter
for thing in osmium.FileProcessor(sys.argv[1]).with_areas().with_filter(EmptyTagFilter()):
    pass
"""


def measured(work: str, source: Path, into: Path) -> tuple[float, float]:
    """(seconds, MB of the process)."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", MEASURE.format(work=work), str(source), str(into)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"the import of {source.name} failed:\n{done.stderr[-2000:]}")
    seconds, own_mb = json.loads(done.stdout.splitlines()[-1])
    return seconds, own_mb


def run(full: bool, folder: Path) -> list[Figure]:
    data = Path(os.environ.get("STRAJA_TEST_DATA", ROOT.parent / "shared" / "data"))
    source = data / "porto.osm.pbf"
    name = "porto"
    if not source.is_file():
        source, name = bundled_helsinki(), "helsinki"
    megabytes = source.stat().st_size / 1e6
    imports, reads = [], []
    for turn in range(5 if full else 2):
        reads.append(measured(READ, source, folder))
        into = folder / str(turn)
        imports.append(measured(IMPORT, source, into))
        shutil.rmtree(into)
    import_s, import_mb = (statistics.median(column) for column in zip(*imports, strict=True))
    read_s, read_mb = (statistics.median(column) for column in zip(*reads, strict=True))
    peer = "osmium reading the same file"
    return [
        Figure(f"{name}_import_s", import_s, "s", peer, read_s),
        Figure(f"{name}_import_s_per_mb", import_s / megabytes, "s/MB", peer, read_s / megabytes),
        Figure(f"{name}_import_peak_mb", import_mb, "MB", peer, read_mb),
        Figure(f"{name}_import_peak_mb_per_mb", import_mb / megabytes, "MB/MB", peer, read_mb / megabytes),
    ]
