"""Runs a bench and prints its figures: a table for people, or with `--json` one JSON object.

A bench is a module in this folder with a docstring (what is measured, and against what) and

    def run(full: bool, folder: Path) -> list[Figure]

`folder` is empty, on a real disk, and removed afterwards; with `full` it takes the time it needs, else
it ends within about a minute. A bench whose `run` has a third parameter, `city: Path | None`, can be told to
measure another city than its own (`--city PATH`); its docstring says what PATH is. Figures without a peer
measured in the same run, on the same machine, say little and are refused.
"""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import pkgutil
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

import bench

FOLDER = Path(__file__).resolve().parent / "out"
MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})


class BenchError(Exception):
    """Why a bench did not run, or why its figures are not worth printing."""


@dataclass(frozen=True)
class Figure:
    """One measured value beside its peer's, both in `unit` (SI symbols: "ms", "1/s", "MB")."""

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float

    def __post_init__(self) -> None:
        if not self.peer:
            raise BenchError(f"{self.name}: a figure needs a peer or a limit beside it")
        for number in (self.value, self.peer_value):
            if not math.isfinite(number):
                raise BenchError(f"{self.name}: {number} is not a measurement")
        if self.peer_value == 0:
            raise BenchError(f"{self.name}: the peer's value is 0, so no ratio can be given")

    @property
    def ratio(self) -> float:
        """value / peer_value, whichever of the two is better."""
        return self.value / self.peer_value


def names() -> dict[str, str]:
    """Every bench with the first line of its docstring."""
    found = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name != "harness")
    return {
        name: (importlib.import_module(f"bench.{name}").__doc__ or "").strip().partition("\n")[0]
        for name in found
    }


def mount_of(folder: Path) -> tuple[str, str]:
    """Device and file system type of the mount that `folder` lies on."""
    folder = folder.resolve()
    best = ("?", "?", "")
    for part in psutil.disk_partitions(all=True):
        inside = folder == Path(part.mountpoint) or Path(part.mountpoint) in folder.parents
        if inside and len(part.mountpoint) >= len(best[2]):
            best = (part.device, part.fstype, part.mountpoint)
    return best[0], best[1]


def refuse_memory(folder: Path) -> None:
    """Raises BenchError where `folder` lies in memory: a commit there costs nothing and proves nothing."""
    _, fstype = mount_of(folder)
    if fstype in MEMORY_FILESYSTEMS:
        raise BenchError(f"{folder} lies in memory ({fstype}); a figure of durable writes needs a disk")


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine(folder: Path) -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    device, fstype = mount_of(folder)
    return {
        "cpu": cpu_model(),
        "cores": psutil.cpu_count(logical=True),
        "load_1m": round(os.getloadavg()[0], 2),
        "mem_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "disk": f"{fstype} on {device}",
        "disk_free_gb": round(shutil.disk_usage(folder).free / 1e9, 1),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


@contextmanager
def workspace(parent: Path = FOLDER) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    refuse_memory(parent)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def measure(name: str, full: bool, parent: Path = FOLDER, city: Path | None = None) -> dict[str, Any]:
    """Run the bench `name`, on `city` if one is named, and return {bench, at, full, city, machine, figures}.
    Raises BenchError."""
    known = names()
    if name not in known:
        raise BenchError(f"there is no bench named {name!r}; known are: {', '.join(known) or 'none'}")
    run = importlib.import_module(f"bench.{name}").run
    options: dict[str, Any] = {}
    if city is not None:
        if "city" not in inspect.signature(run).parameters:
            raise BenchError(f"{name} measures no city, so --city says nothing to it")
        if not city.exists():
            raise BenchError(f"there is no {city}")
        options["city"] = city.resolve()
    with workspace(parent) as folder:
        # The load is taken before the bench itself makes any.
        about = machine(folder)
        figures: list[Figure] = run(full, folder, **options)
    if not figures:
        raise BenchError(f"{name} measured nothing")
    return {
        "bench": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "full": full,
        "city": city.name if city is not None else None,
        "machine": about,
        "figures": [asdict(figure) | {"ratio": round(figure.ratio, 4)} for figure in figures],
    }


def number(value: float) -> str:
    """Four significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def table(report: dict[str, Any]) -> str:
    """The report of `measure` as text."""
    about = report["machine"]
    rows = [("figure", "value", "unit", "peer", "peer's value", "ratio")]
    rows += [
        (f["name"], number(f["value"]), f["unit"], f["peer"], number(f["peer_value"]), f"{f['ratio']:.2f}")
        for f in report["figures"]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    right = (1, 4, 5)
    lines = [
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    head = f"{report['bench']}  {report['at']}  {'full' if report['full'] else 'quick'}"
    head += f"  {report['city']}" if report["city"] else ""
    where = (
        f"{about['cpu']}, {about['cores']} cores, load {about['load_1m']}, {about['mem_gb']} GB,"
        f" {about['disk']}, {about['os']}, Python {about['python']}, SQLite {about['sqlite']}"
    )
    busy = about["load_1m"] > about["cores"] / 2
    warning = ["note: this machine was busy before the bench began; repeat it on a quiet one"] if busy else []
    return "\n".join(
        [head, where, *warning, "", *(line.rstrip() for line in lines), "", "ratio = value / peer's value"]
    )


def main(name: str | None, as_json: bool, full: bool, city: Path | None = None) -> str:
    """What `straja bench` prints."""
    if name is None:
        return (
            "\n".join(f"  {known:20} {about}" for known, about in names().items()) or "there is no bench yet"
        )
    report = measure(name, full, city=city)
    return json.dumps(report, ensure_ascii=False) if as_json else table(report)
