"""What a web process answers before its database lets it in.

A database that is started beside this process, is down, or holds data of another version of the program is
told to people and machines as such: the console's page still comes, everything else is a 503 that says why.
Meanwhile it is tried again, and once the database lets it, the application takes over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify

from app import trace
from app.alarms import watch_the_keeper
from app.api import doors
from app.core import Core, NotYet, settle_memory, try_core
from app.database import UNREACHABLE
from app.keeper import is_kept
from app.migrations import SchemaError
from app.up import Waiting
from app.web_app import ENDING, build, heed_the_end, pages
from config import Config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EVERY_S = 1.0
log = logging.getLogger("straja")


def open_doors(config: Config) -> WSGIApplication:
    """The application, or where its database cannot be used yet, what stands in for it until then."""
    trace.set_up(config, "web")
    heed_the_end()
    try:
        return _open(config)
    except NotYet as why:
        return Doorway(config, why)


def _open(config: Config) -> Flask:
    try:
        core = try_core(config)
    except SchemaError as error:
        # Ending here would show people a browser's error page, and machines a closed port.
        raise NotYet("database-version", f"{error}. Remedy: {error.remedy}") from error
    try:
        app = build(config, core)
    except UNREACHABLE as error:
        core.close()
        raise NotYet("storage-unavailable", "the database went away again while it was opened") from error
    settle_memory()
    threading.Thread(target=_watch_the_keeper, args=(core,), name="straja-alarms", daemon=True).start()
    return app


def _watch_the_keeper(core: Core) -> None:
    watch_the_keeper(core, lambda: is_kept(core.engine, core.config.var), ENDING.wait)


class Doorway:
    """Answers for the application until that can be opened, which it tries again every second."""

    def __init__(self, config: Config, why: NotYet) -> None:
        self._config = config
        self._why = why
        self._app: WSGIApplication = self._closed()
        self._waiting = Waiting(log.warning)
        self._waiting.because(str(why))
        threading.Thread(target=self._try, name="straja-doorway", daemon=True).start()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def _try(self) -> None:
        while True:
            time.sleep(EVERY_S)
            try:
                app = _open(self._config)
            except NotYet as why:
                self._why = why
                self._waiting.because(str(why))
            except Exception:
                log.exception("the application cannot be opened")
            else:
                self._waiting.over()
                self._app = app
                return

    def _closed(self) -> Flask:
        app = Flask("app", static_folder=None)
        app.before_request(doors.begin)
        app.after_request(doors.answered)
        app.teardown_request(doors.ended)
        pages(app)

        def not_yet(path: str = "") -> Response:
            return doors.problem(503, self._why.code, f"Not ready: {self._why.detail}.", retry_after_s=2)

        def health() -> tuple[Response, int]:
            body = {"status": "down", "parts": {"log": self._why.detail}, "station": self._config.station}
            return jsonify(body), 503

        def ready() -> tuple[Response, int]:
            parts = {"process": "starting", "log": self._why.detail}
            return jsonify({"ready": False, "parts": parts, "station": self._config.station}), 503

        app.add_url_rule("/readyz", "readyz", ready)
        everything = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        for path in ("/healthz", "/api/v1/healthz"):
            app.add_url_rule(path, path, health)
        app.add_url_rule("/<path:path>", "not_yet", not_yet, methods=everything)
        return app
