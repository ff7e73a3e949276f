"""What Straja counts about itself, for Prometheus; listed in docs/metrics.md, which a test holds to this.

Each process counts into files of its own under `var/metrics` (prometheus_client's multiprocess mode), and
whichever web process is asked adds them up: counts go on when a process is started again, and nobody has to
be asked twice. A process holds a lock while it lives; what the dead have counted is added together, so that
the folder stays small. Without that folder (a command, a test) a process counts in its memory alone.

Labels take values from fixed lists only: routes as templates, commands by their type, roles of processes.
"""

from __future__ import annotations

import fcntl
import glob
import os
import platform
import socket
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prometheus_client.metrics
import prometheus_client.registry
import prometheus_client.values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from app import migrations
from app.native import original, sleep, start_thread
from app.up import METRICS_VARIABLE as FOLDER_VARIABLE

if TYPE_CHECKING:
    from app.core import Core

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SAMPLE_EVERY_S = 2.0
HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
"""Containers that share a folder may have the same process ids."""
METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})

# The log's writer counts from an OS thread: a lock that yields to an event loop would not do.
_Lock = original("_thread", "allocate_lock")
for _module in (prometheus_client.metrics, prometheus_client.registry, prometheus_client.values):
    _module.Lock = _Lock  # type: ignore[attr-defined]


class _Held:
    """This process's name among the files, with the lock that says it lives."""

    pid = 0
    name = ""
    file: int | None = None


def _identity() -> str:
    pid = os.getpid()
    if pid != _Held.pid:
        # Also in a child that was forked: it has files of its own.
        _Held.pid, _Held.name = pid, f"{HOST}-{pid}"
        path = Path(os.environ[FOLDER_VARIABLE]) / f"{_Held.name}.alive"
        _Held.file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(_Held.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return _Held.name


# The variable is the library's; `up.count_under` sets it before anything imports this module.
if os.environ.get(FOLDER_VARIABLE):
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(_identity)

REGISTRY = CollectorRegistry()
_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_ANSWER = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

HTTP_REQUESTS = Counter(
    "straja_http_requests_total",
    "Requests answered, by method, route template and status.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "straja_http_request_seconds",
    "Time from a request's arrival to its answer.",
    ["method", "route"],
    buckets=_ANSWER,
    registry=REGISTRY,
)
COMMANDS = Counter(
    "straja_commands_total",
    "Commands at the door, by type and outcome: done, replayed, refused, failed.",
    ["command", "outcome"],
    registry=REGISTRY,
)
LOG_SECONDS = Histogram(
    "straja_log_append_seconds",
    "Time of one group commit, from its begin to the disk.",
    buckets=_FAST,
    registry=REGISTRY,
)
LOG_BATCH = Histogram(
    "straja_log_batch_commands",
    "Commands that shared one commit.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
FOLLOW_SECONDS = Histogram(
    "straja_log_follow_seconds",
    "Age of an event when another process of this station has folded it.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
    registry=REGISTRY,
)
FOLLOWED = Gauge(
    "straja_log_followed_position",
    "Log position of the process of a kind that is furthest behind.",
    ["process"],
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
DATABASE_ERRORS = Counter(
    "straja_database_errors_total",
    "Times that a part lost its database or was refused by it.",
    ["part"],
    registry=REGISTRY,
)
CONSOLES = Gauge(
    "straja_live_consoles",
    "Consoles connected.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
FRAMES = Counter(
    "straja_live_frames_total",
    "Frames sent to consoles, by kind: snapshot, changes, positions.",
    ["kind"],
    registry=REGISTRY,
)
POSITIONS = Counter(
    "straja_positions_total",
    "Positions that came in, by outcome; late and duplicate ones are among the accepted.",
    ["outcome"],
    registry=REGISTRY,
)
POSITIONS_WAITING = Gauge(
    "straja_positions_waiting",
    "Accepted positions that are not on disk yet.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
POSITIONS_LAG = Gauge(
    "straja_positions_lag_seconds",
    "Age of the oldest accepted position that is not on disk yet.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
KEEPER_SECONDS = Histogram(
    "straja_keeper_step_seconds",
    "Time of one step of the keeper.",
    buckets=_ANSWER,
    registry=REGISTRY,
)
KEEPER_LAST = Gauge(
    "straja_keeper_last_step_timestamp_seconds",
    "When the keeper last finished a step.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
PROPOSER_SECONDS = Histogram(
    "straja_proposer_step_seconds",
    "Time of one look for something better than what is ordered.",
    buckets=_ANSWER,
    registry=REGISTRY,
)
PROPOSER_WAITING = Gauge(
    "straja_proposer_waiting",
    "Incidents that wait for such a look.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
JOBS = Counter(
    "straja_jobs_total",
    "Jobs that ended, by outcome: done, failed.",
    ["outcome"],
    registry=REGISTRY,
)
RESIDENT = Gauge(
    "straja_process_resident_bytes",
    "Memory of all processes of a kind.",
    ["process"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
PROCESSES = Gauge(
    "straja_processes",
    "Living processes of a kind: web, keeper, worker.",
    ["process"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)

# On the way of every change and every position: their children are looked up once.
FRAMES_SNAPSHOT, FRAMES_CHANGES, FRAMES_POSITIONS = (
    FRAMES.labels(kind) for kind in ("snapshot", "changes", "positions")
)
ACCEPTED, LATE, DUPLICATE, REFUSED = (
    POSITIONS.labels(outcome) for outcome in ("accepted", "late", "duplicate", "refused")
)


class Now:
    """What is so at the moment of asking, told by the process that is asked."""

    def __init__(self, core: Core, jobs: Callable[[], dict[str, int] | None]) -> None:
        self._core = core
        self._jobs = jobs

    def collect(self) -> Iterable[Metric]:
        from app import __version__, backup
        from app.keeper import is_kept

        core = self._core
        build = {
            "version": __version__,
            "schema": f"{migrations.MAIN.head}/{migrations.TRACKS.head}",
            "python": platform.python_version(),
            "database": core.engine.dialect.name,
        }
        info = GaugeMetricFamily(
            "straja_build_info", "Always 1; what runs is in the labels.", labels=list(build)
        )
        info.add_metric(list(build.values()), 1)
        yield info
        yield _one("straja_log_position", "Newest position in the log.", core.log.position)
        yield _one("straja_log_writable", "1 when the log can be written.", core.log.trouble is None)
        try:
            kept = is_kept(core.engine, core.config.var)
        except Exception:  # noqa: BLE001 - a database that is away must not take the other figures with it
            kept = False
        yield _one("straja_keeper_alive", "1 when some keeper holds the lock.", kept)
        found = self._jobs()
        yield _one("straja_redis_up", "1 when Redis answers.", found is not None)
        waiting = GaugeMetricFamily(
            "straja_jobs", "Jobs by state, where Redis answers: queued, running, failed.", labels=["state"]
        )
        for state, count in (found or {}).items():
            waiting.add_metric([state], count)
        yield waiting
        free = core.world.disk.free_bytes(core.config.var)
        yield _one("straja_disk_free_bytes", "Free bytes on the disk of the log.", free)
        yield _one(
            "straja_disk_reserve_bytes",
            "Free bytes below which nothing is recorded any more.",
            core.config.disk_reserve_mb * 1_000_000,
        )
        last = backup.state(core.config.var)
        yield _one(
            "straja_backup_last_success_timestamp_seconds",
            "When a scheduled backup last succeeded; 0 for never.",
            last.ok_at_s,
        )
        yield _one("straja_backup_failing", "1 when the last scheduled backup failed.", last.failing)
        if core.city is not None:
            built = parse_rfc3339_s(core.city.info.built_at)
            yield _one("straja_city_built_timestamp_seconds", "When the city was imported.", built)
        standing = core.coverage.standing([])
        if standing is not None:
            shares = GaugeMetricFamily(
                "straja_coverage_share",
                "Share of demand expected to be met within the standard by the units idle now.",
                labels=["capability"],
            )
            for one in standing.cover.standards:
                shares.add_metric([one.capability], one.share())
            yield shares
            yield _one(
                "straja_coverage_fresh", "1 when coverage is by the roads as they are.", standing.fresh
            )


def _one(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def parse_rfc3339_s(text: str) -> float:
    from app.rows import parse_time

    return parse_time(text) / 1e6


def exposition(core: Core, jobs: Callable[[], dict[str, int] | None]) -> bytes:
    """All figures of this node in Prometheus' text form."""
    registry = CollectorRegistry()
    registry.register(Now(core, jobs))  # type: ignore[arg-type]
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return generate_latest(REGISTRY) + generate_latest(registry)
    bury(Path(folder))
    with _alone(Path(folder), fcntl.LOCK_SH):
        MultiProcessCollector(registry, folder)
        return generate_latest(registry)


@contextmanager
def _alone(folder: Path, how: int) -> Iterator[None]:
    file = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(file, how)
        yield
    finally:
        os.close(file)


def bury(folder: Path) -> int:
    """Add together what processes that have ended had counted, and forget their gauges; how many ended."""
    dead = [path for path in folder.glob("*.alive") if not _lives(path)]
    if not dead:
        return 0
    with _alone(folder, fcntl.LOCK_EX):
        for path in dead:
            for kind in ("counter", "histogram"):
                left = folder / f"{kind}_{path.stem}.db"
                if left.exists():
                    _add(left, folder / f"{kind}_past.db")
                    left.unlink()
            for gauge in glob.glob(str(folder / f"gauge_live*_{path.stem}.db")):
                os.unlink(gauge)
            path.unlink(missing_ok=True)
    return len(dead)


def _lives(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True  # somebody else has buried it just now
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(file)


def _add(left: Path, past: Path) -> None:
    total = MmapedDict(str(past))
    try:
        for metric in MultiProcessCollector.merge([str(left)], accumulate=False):
            for sample in metric.samples:
                key = mmap_key(metric.name, sample.name, *_pairs(sample.labels), metric.documentation)
                before, _ = total.read_value(key)
                total.write_value(key, before + sample.value, 0.0)
    finally:
        total.close()


def _pairs(labels: dict[str, str]) -> tuple[list[str], list[str]]:
    return list(labels), list(labels.values())


def sample(core: Core, process: str) -> None:
    """Note what only this process knows about itself just now."""
    PROCESSES.labels(process).set(1)
    RESIDENT.labels(process).set(resident_bytes())
    POSITIONS_WAITING.set(core.tracks.pending)
    POSITIONS_LAG.set(core.tracks.lag_s())
    FOLLOWED.labels(process).set(core.picture.position)


def watch(core: Core, process: str) -> None:
    """Take samples in a thread until the process ends."""

    def run() -> None:
        while True:
            sample(core, process)
            sleep(SAMPLE_EVERY_S)

    start_thread(run, "straja-metrics")


def resident_bytes() -> int:
    """Memory of this process that lies in RAM."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def answered(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request that was answered."""
    method = method if method in METHODS else "other"
    HTTP_REQUESTS.labels(method, route, str(status)).inc()
    HTTP_SECONDS.labels(method, route).observe(seconds)


def families() -> dict[str, Any]:
    """Every metric by name, with its words and labels: for the documentation's test."""
    found = {}
    for metric in REGISTRY.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        found[name] = metric
    return found
