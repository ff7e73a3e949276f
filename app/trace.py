"""Which request is being worked on, and the lines that programs write about their work.

Every request, socket event and job has an id. Whoever asks may bring one (`X-Request-Id`), else it is made
here; the answer carries it, every line that is written on the way names it, and a job keeps the id of the
request that queued it. Lines are text for people, or one JSON object each (`STRAJA_LOG_FORMAT=json`).

Lines hold no query strings, no bodies, no tokens and no filled-in paths: what a caller says stays out.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from gunicorn import glogging

from config import Config, log_format_of

SLOW_S = 1.0
"""A request that takes longer is told at WARNING."""
QUIET_ROUTES = frozenset({"/healthz", "/api/v1/healthz", "/readyz", "/metrics"})
"""Asked all the time by machines: never told, unless they fail."""
FREQUENT = frozenset(
    ("POST", f"/api/v1/{path}") for path in ("positions", "phones/osmand", "phones/owntracks")
)
"""Writes that come hundreds of times a second: told at DEBUG, like reads."""
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

log = logging.getLogger("straja.request")


@dataclass(slots=True)
class Asked:
    """What is being worked on, as lines name it."""

    request_id: str
    actor: str | None = None
    """"role:name", as the log of events has it."""
    method: str | None = None
    route: str | None = None
    """The template, such as /api/v1/incidents/{incident_id}: never the ids in it."""


_now: ContextVar[Asked | None] = ContextVar("asked", default=None)


def new_id() -> str:
    """Short enough to be read out over a telephone; 48 random bits."""
    return secrets.token_hex(6)


def accepted(given: str | None) -> str:
    """The caller's own id when it is well formed (8 to 64 of A-Z a-z 0-9 . _ -), else a new one."""
    return given if given is not None and _GOOD_ID.fullmatch(given) else new_id()


def current() -> Asked | None:
    return _now.get()


def request_id() -> str | None:
    """The id of what is being worked on in this greenlet or thread."""
    asked = _now.get()
    return None if asked is None else asked.request_id


def begin(asked: Asked | None) -> None:
    """Say what this greenlet or thread works on from here on; None for nothing."""
    _now.set(asked)


@contextmanager
def working_on(asked: Asked) -> Iterator[Asked]:
    """Work on this for the length of a block."""
    token = _now.set(asked)
    try:
        yield asked
    finally:
        _now.reset(token)


def tell_request(method: str, route: str, status: int, seconds: float) -> None:
    """One line about a request that was answered: louder where it failed or took long."""
    if status >= 500:
        # Why nothing can be recorded just now is told by the part concerned, once and not a request.
        level = logging.WARNING if status in (503, 507) else logging.ERROR
    elif seconds >= SLOW_S:
        level = logging.WARNING
    elif route in QUIET_ROUTES:
        return
    elif method in ("GET", "HEAD", "OPTIONS") or (method, route) in FREQUENT:
        level = logging.DEBUG
    else:
        level = logging.INFO
    if log.isEnabledFor(level):
        facts = {"status": status, "duration_ms": round(seconds * 1000, 1)}
        log.log(level, "%s %s %d in %.0f ms", method, route, status, seconds * 1000, extra={"facts": facts})


# ---- how lines look


class Text(logging.Formatter):
    """A line for a person at a terminal; the request's id stands at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        asked = _now.get()
        if asked is None:
            return line
        return f"{line} [{asked.request_id}{f' {asked.actor}' if asked.actor else ''}]"


class Json(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, process, pid, station; where a
    request is worked on request_id, actor, method, route; for a request answered status and duration_ms; for
    an exception its type and stack."""

    def __init__(self, process: str, station: str) -> None:
        super().__init__()
        self._process = process
        self._station = station

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        asked = _now.get()
        if asked is not None:
            line["request_id"] = asked.request_id
            for name in ("actor", "method", "route"):
                if (value := getattr(asked, name)) is not None:
                    line[name] = value
        line |= getattr(record, "facts", {})
        line |= {"process": self._process, "pid": record.process, "station": self._station}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["stack"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return json.dumps(line, ensure_ascii=False, default=str)


def formatter(json_lines: bool, process: str, station: str) -> logging.Formatter:
    return Json(process, station) if json_lines else Text()


def set_up(config: Config, process: str) -> None:
    """Have everything that this process says go to standard error in one form, errors that nobody caught
    too. `process` is what its lines call it: the first call counts, and none does where somebody else has
    arranged for lines, as a test run does."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(config.log_format == "json", process, config.station))
    root.addHandler(handler)
    root.setLevel(config.log_level)
    # These tell each request of their own, or each poll.
    for chatty in ("urllib3", "geventwebsocket", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)

    def uncaught(
        kind: type[BaseException], error: BaseException, stack: TracebackType | None, where: str = "main"
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, stack)
            return
        logging.getLogger("straja").critical("uncaught in %s", where, exc_info=(kind, error, stack))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread else "a thread"
            uncaught(args.exc_type, args.exc_value, args.exc_traceback, name)

    sys.excepthook = uncaught
    threading.excepthook = in_thread


class GunicornLog(glogging.Logger):  # type: ignore[misc]
    """gunicorn's own lines (a worker that hangs, a handshake that fails) in the same form as all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        as_json = log_format_of(os.environ) == "json"
        station = os.environ.get("STRAJA_STATION", "").strip() or "C1"
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter(as_json, "web", station))


class Stopwatch:
    """Seconds since it was made."""

    __slots__ = ("_began",)

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began
