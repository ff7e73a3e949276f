"""Brings reference layers into the database: the city's own from its folder, and the operator's from files.
Gives `gis.layers` its sessions.

A file that comes over the network is read in a process of its own: GDAL, 50 MB of JSON or a hostile archive
must not hold up or bring down the one that dispatches.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import open_engine
from app.migrations import MAIN, migrate
from app.ports import Clock
from config import ROOT, Config
from dispatch.commands import SYSTEM
from gis import layers
from gis.geometry import Box

if TYPE_CHECKING:
    from gis.city import CityInfo
    from gis.layer_file import Fault, LayerFileError

log = logging.getLogger("straja.layers")

FAULTS_TOLD = 200
"""How many rows a report names; all are counted."""

IMPORT_TIMEOUT_S = 300.0
"""For a file that came over the network; deploy/nginx.conf waits a little longer."""
IMPORT_CPU_S = 240
IMPORT_MEMORY_BYTES = 4 << 30
UPLOAD_LEFT_S = 3600.0
"""An upload older than this is of a process that was killed: receiving and reading take less together."""
LOAD_LOCK = 5747
"""The PostgreSQL advisory lock under which one process at a time loads a city's layers."""


def load(config: Config, clock: Clock, folder: Path, info: CityInfo, only_newer: bool = False) -> int:
    """Put the layers of the city just imported, or just chosen (`only_newer`), into the database; how many
    features they have.

    Raises SchemaError, SQLAlchemyError, OSError or ValueError; the city itself is whole all the same, and
    the next start loads what is missing."""
    config.var.mkdir(parents=True, exist_ok=True)
    engine = open_engine(config.database_url)
    try:
        migrate(engine, MAIN)
        return _load(engine, clock, folder, info, only_newer)
    finally:
        engine.dispose()


def load_if_newer(engine: Engine, clock: Clock, folder: Path, info: CityInfo) -> None:
    """At start: load the city's layers where the database has none of this city (it is fresh, restored, or
    another node's) or older ones. Trouble is logged; dispatching does not wait for lamps."""
    try:
        with Session(engine) as session:
            if _is_current(session, info):
                return
        total = _load(engine, clock, folder, info, only_newer=True)
        log.info("%s: %d features in %d reference layers loaded", info.name, total, len(layers.LAYERS))
    except (OSError, ValueError, KeyError, SQLAlchemyError, TimeoutError):
        log.exception("the reference layers of %s could not be loaded", info.name)


def _is_current(session: Session, info: CityInfo) -> bool:
    """Whether every layer of the city is there, from this import of it or a later one."""
    there = {one.layer: one.version for one in layers.imports(session, info.name) if one.source == layers.OSM}
    return all(there.get(layer, "") >= info.built_at for layer in layers.LAYERS)


def _load(engine: Engine, clock: Clock, folder: Path, info: CityInfo, only_newer: bool = False) -> int:
    # Reading extracts needs far more than the import of an operator's file does.
    from gis.osm_layers import read_layers

    found = read_layers(folder)
    with Session(engine) as session:
        if engine.dialect.name == "sqlite":
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")
        else:
            session.connection().exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOAD_LOCK})")
        if not (only_newer and _is_current(session, info)):
            for layer, features in found.items():
                layers.replace(
                    session,
                    info.name,
                    layer,
                    layers.OSM,
                    features,
                    version=info.built_at,
                    now_us=clock.now_us(),
                    by=SYSTEM.name,
                )
        session.commit()
    return sum(len(features) for features in found.values())


# -- the operator's own --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """What to import: a file into a layer, as which source, and how to read it. `now_us`: the time that the
    layer is marked with; `by`: who asks."""

    path: str
    city: str
    box: Box
    layer: str
    source: str
    now_us: int
    by: str
    ref: str | None = None
    crs: str | None = None
    table: str | None = None
    dry_run: bool = False
    skip_bad: bool = False


@dataclass(slots=True)
class Report:
    """What an import did, or with `written` False would do. `faults` and `mended` name the first rows,
    `faults_total` and `mended_total` count all."""

    layer: str
    source: str
    format: str
    rows: int
    features: int
    faults_total: int
    faults: list[dict[str, Any]]
    mended_total: int
    mended: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    before: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    dry_run: bool = False
    written: bool = False


def check_names(layer: str, source: str) -> None:
    """Raises LayerFileError for a layer or source that cannot be called so."""
    from gis.layer_file import LayerFileError

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", layer):
        raise LayerFileError(
            "bad-layer-name",
            "layer",
            f"{layer!r} cannot name a layer.",
            "Use 1 to 32 of a-z, 0-9 and _, a letter first.",
        )
    if not re.fullmatch(r"\w[\w .-]{0,62}\w|\w", source):
        raise LayerFileError(
            "bad-source-name",
            "source",
            f"{source!r} cannot name a source.",
            "Use 1 to 64 letters, digits, spaces, dots and dashes.",
        )
    if source.lower() == layers.OSM:
        raise LayerFileError(
            "reserved-source",
            "source",
            f"{layers.OSM!r} is what the city's own map brings.",
            "Choose another name for yours; what the map has stays beside it.",
        )


def import_file(engine: Engine, order: Order) -> Report:
    """Import the operator's file, all of it or nothing. Rows that cannot be used are reported; with any of
    them nothing is written, unless the order says to skip them. Raises LayerFileError."""
    from gis.layer_file import LayerFileError, read_file

    check_names(order.layer, order.source)
    path = Path(order.path)
    reading = read_file(path, order.box, city=order.city, ref=order.ref, crs=order.crs, table=order.table)
    report = Report(
        order.layer,
        order.source,
        reading.kind,
        reading.rows,
        len(reading.features),
        len(reading.faults),
        _told(reading.faults),
        len(reading.mended),
        _told(reading.mended),
        reading.notes,
        dry_run=order.dry_run,
    )
    with Session(engine) as session:
        known = layers.latest(session, order.city, order.layer, order.source)
        report.before = known.features if known else 0
        if order.dry_run or (reading.faults and not order.skip_bad):
            changes = layers.compare(session, known, reading.features)
        elif not reading.features:
            raise LayerFileError(
                "no-usable-rows",
                "file",
                f"{path.name} holds no row that can be used.",
                "Look at it with a dry run; to take a layer away, use: straja layer remove.",
            )
        else:
            with path.open("rb") as file:
                version = hashlib.file_digest(file, "sha256").hexdigest()
            changes = layers.replace(
                session,
                order.city,
                order.layer,
                order.source,
                reading.features,
                version=version,
                now_us=order.now_us,
                by=order.by,
            )
            session.commit()
            report.written = True
    report.added, report.changed = len(changes.added), len(changes.changed)
    report.removed, report.unchanged = len(changes.removed), changes.unchanged
    return report


def _told(faults: list[Fault]) -> list[dict[str, Any]]:
    return [asdict(fault) for fault in faults[:FAULTS_TOLD]]


class ImportTimeoutError(Exception):
    """An import that did not end in its time, in words."""


def sweep_uploads(var: Path) -> None:
    """Remove what uploads left behind whose process was killed."""
    for folder in var.glob(".upload-*"):
        try:
            left = time.time() - folder.stat().st_mtime > UPLOAD_LEFT_S
        except FileNotFoundError:
            continue
        if left:
            shutil.rmtree(folder, ignore_errors=True)


def import_apart(database_url: str, order: Order) -> Report:
    """`import_file` in a process of its own, which yields to the one that dispatches and may use only so
    much time and memory. Raises LayerFileError, also for a file that needs more; or ImportTimeoutError."""
    from gis.layer_file import LayerFileError

    check_names(order.layer, order.source)
    asked = json.dumps(
        {"database_url": database_url, "order": asdict(order), "limits": [IMPORT_CPU_S, IMPORT_MEMORY_BYTES]}
    )
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", "from app.layers import answer; answer()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Each thread of it would take address space, which is limited, on a machine with many cores.
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    try:
        told, _ = child.communicate(asked, timeout=IMPORT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ImportTimeoutError(
            f"The import was ended: it took more than {IMPORT_TIMEOUT_S:.0f} s. GET /layers tells whether"
            " it had been written."
        ) from None
    finally:
        child.kill()
        child.wait()
    if child.returncode == -signal.SIGXCPU:
        raise LayerFileError(
            "too-much-work",
            "file",
            f"Reading the file takes more than {IMPORT_CPU_S} s of computing.",
            "Divide it into several sources.",
        )
    if child.returncode in TOO_LARGE:
        raise _too_large()
    if child.returncode:
        raise RuntimeError(f"the import ended with {child.returncode}; its error is in this log")
    answered = json.loads(told)
    if "error" in answered:
        raise LayerFileError(**answered["error"])
    return Report(**answered["report"])


TOO_LARGE = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGKILL)
"""How a process ends whose libraries get no more memory, or that the kernel ends for lack of it."""


def _too_large() -> LayerFileError:
    from gis.layer_file import LayerFileError

    return LayerFileError(
        "too-large",
        "file",
        f"Reading the file needs more than {IMPORT_MEMORY_BYTES / 2**30:.1f} GB of memory, or it is damaged.",
        "Export it again, or divide it into several sources.",
    )


def answer() -> None:
    """The other end of `import_apart`: an order on standard input, its report on standard output."""
    from gis.layer_file import LayerFileError

    os.nice(10)
    asked = json.load(sys.stdin)
    cpu_s, memory_bytes = asked["limits"]
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # Its memory holds the database's password.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    order = Order(**{**asked["order"], "box": tuple(asked["order"]["box"])})
    engine = open_engine(asked["database_url"])
    try:
        told: dict[str, Any] = {"report": asdict(import_file(engine, order))}
    except (LayerFileError, MemoryError) as failure:
        error = failure if isinstance(failure, LayerFileError) else _too_large()
        words = {"code": error.code, "field": error.field, "message": error.message, "remedy": error.remedy}
        told = {"error": words}
    finally:
        engine.dispose()
    json.dump(told, sys.stdout)
