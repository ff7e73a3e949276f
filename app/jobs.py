"""Work that may wait: run by RQ workers, away from dispatching.

A job carries ids, never data: what it works on lies in the log, in `var` or in the city's folder, and
what it makes ends there too. So Redis may be lost at any moment and with it every queued job: nothing
that was acknowledged goes with it, and asking again is always safe.

To add a job, write a function here that takes strings and numbers only, and list it in JOBS. A worker
runs nothing else: whoever can write to Redis can name a listed job, not a function of their choice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from app import metrics, trace
from config import Config

QUEUE = "straja"
TIMEOUT_S = 3600
TRIES_MORE = 2
"""How often a job whose worker died is tried again."""
BEAT_S = 5
"""How often a worker says that it is still at its job, and, when idle, looks for jobs of dead workers."""
SILENT_S = 20
"""Seconds of silence after which a worker counts as dead, and its job is another's."""

log = logging.getLogger(__name__)


class JobsUnavailable(Exception):
    """No Redis answers: the job was not taken. Dispatching is not touched by this."""


def import_city(upload: str, name: str) -> dict[str, Any]:
    """Import `var/uploads/<upload>`, an OpenStreetMap extract, as the city `name`.

    The city's folder appears whole or not at all, so a job that is run twice does no harm.
    Raises gis.city.CityError with a sentence for people when the file is not usable.
    """
    from app import layers
    from app.ports import SystemClock
    from gis.city import import_city as build

    config = Config.from_env()
    source = uploaded(config.var / "uploads", upload)

    def progress(step: str, share: float) -> None:
        log.info("%s: %s, %d %%", upload, step, round(share * 100))

    info = build(source, config.var / "cities", name, progress)
    layers.load(config, SystemClock(), config.var / "cities" / name, info)
    return {"city": info.name}


def verify_log() -> dict[str, Any]:
    """Check every hash chain of the log from its first event. Returns {events, faults:[words]}."""
    from app.core import open_core

    found = open_core(Config.from_env(), listen=False).log.verify()
    return {"events": found.events, "faults": found.faults}


def learn_speeds() -> dict[str, Any]:
    """Learn speeds by hour, turnout and the band of an ETA from the last weeks. Returns {drives}."""
    from app import speeds
    from app.core import open_core

    return {"drives": speeds.learn(open_core(Config.from_env(), listen=False)).about["drives"]}


def learn_forecast() -> dict[str, Any]:
    """Learn what calls are to be expected. Returns {in_use, why}."""
    from app import forecast
    from app.core import open_core

    found = forecast.learn(open_core(Config.from_env(), listen=False))
    return {"in_use": found.in_use, "why": found.about["why"]}


JOBS: dict[str, Callable[..., Any]] = {
    f"{job.__module__}.{job.__qualname__}": job
    for job in (import_city, verify_log, learn_speeds, learn_forecast)
}


def uploaded(folder: Path, upload: str) -> Path:
    """The path of the upload so named. ValueError when the name leaves `folder` or nothing is there."""
    path = (folder / upload).resolve()
    if path.parent != folder.resolve() or not path.is_file():
        raise ValueError(f"there is no uploaded file named {upload!r}")
    return path


class ListedJob(Job):
    """A job whose function is looked up in JOBS, never imported by the name that stands in Redis."""

    # RQ would import these by name too; no job of Straja has any.
    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    @property
    def func(self) -> Callable[..., Any]:
        try:
            return JOBS[str(self.func_name)]
        except KeyError:
            raise ValueError(
                f"{self.func_name!r} is not a job of Straja; known are {', '.join(JOBS)}"
            ) from None

    def perform(self) -> Any:
        asked = trace.Asked(
            trace.accepted(self.meta.get("request_id")), None, "JOB", str(self.func_name).rpartition(".")[2]
        )
        with trace.working_on(asked):
            watch = trace.Stopwatch()
            try:
                done = super().perform()
            except Exception:
                # RQ tells the stack; this line says which request it was.
                log.error("job %s failed after %.1f s", asked.route, watch.seconds)
                metrics.JOBS.labels("failed").inc()
                raise
            metrics.JOBS.labels("done").inc()
            log.info("job %s is done after %.1f s", asked.route, watch.seconds)
            return done


def connect(config: Config) -> Redis:
    # Short: whoever enqueues waits for this, and without Redis must go on at once.
    return Redis.from_url(config.redis_url, socket_connect_timeout=1.0)


def queue(config: Config) -> Queue:
    return Queue(QUEUE, connection=connect(config), serializer=JSONSerializer, job_class=ListedJob)


def enqueue(config: Config, job: Callable[..., Any], *ids: str | int | float) -> str:
    """Queue `job(*ids)` and return the job's id. JobsUnavailable when no Redis answers."""
    name = f"{job.__module__}.{job.__qualname__}"
    if name not in JOBS:
        raise ValueError(f"{name} is not listed in app.jobs.JOBS")
    try:
        # The lines of the job name the request that asked for it.
        meta = {"request_id": trace.request_id()}
        return queue(config).enqueue(name, *ids, job_timeout=TIMEOUT_S, retry=Retry(TRIES_MORE), meta=meta).id
    except RedisError as error:
        raise JobsUnavailable(f"no Redis answers at {config.redis_url}: {error}") from error


def counts(config: Config) -> dict[str, int] | None:
    """How many jobs are queued, running and failed; None when no Redis answers in time."""
    quick = Redis.from_url(config.redis_url, socket_connect_timeout=0.3, socket_timeout=0.3)
    try:
        waiting = Queue(QUEUE, connection=quick, serializer=JSONSerializer, job_class=ListedJob)
        return {
            "queued": waiting.count,
            "running": waiting.started_job_registry.count,
            "failed": waiting.failed_job_registry.count,
        }
    except RedisError:
        return None
    finally:
        quick.close()


def wait_for(connection: Redis) -> None:
    """Return once Redis answers; it may be starting beside this worker, or be away for a while."""
    told = False
    while True:
        try:
            connection.ping()
            return
        except RedisError as error:
            if not told:
                log.warning("waiting for Redis: %s", error)
                told = True
            time.sleep(0.5)


class Patient(Worker):
    """RQ's worker with other patience: as it comes, it is missed after a minute and a half, a job of a dead
    one is looked for each ten minutes, and Redis is waited for up to a minute at a time."""

    max_connection_wait_time = 2.0

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        return SILENT_S

    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: Any = None,
        exc_string: str = "",
        execution: Any = None,
    ) -> None:
        if not exc_string.startswith("Work-horse terminated unexpectedly"):
            # The job itself says that it cannot be done: doing it again is no use.
            job.retries_left = 0
        super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)


def work(config: Config, burst: bool = False) -> None:
    """Run jobs until stopped; with `burst`, until the queue is empty. Also runs what was scheduled."""
    trace.set_up(config, "worker")
    connection = Redis.from_url(config.redis_url)
    wait_for(connection)
    worker = Patient(
        [Queue(QUEUE, connection=connection, serializer=JSONSerializer, job_class=ListedJob)],
        connection=connection,
        serializer=JSONSerializer,
        job_class=ListedJob,
        job_monitoring_interval=BEAT_S,
        maintenance_interval=BEAT_S,
        worker_ttl=SILENT_S,
    )
    worker.work(burst=burst, with_scheduler=not burst, logging_level="INFO")
