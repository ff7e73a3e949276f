"""Joins the API, the live sockets and the console's files into one Flask application."""

from __future__ import annotations

import atexit
import ipaddress
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, redirect, request, send_from_directory
from flask_openapi3 import Info, OpenAPI
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix

from app import backup, demo, jobs, metrics, migrations, trace, up
from app.api import (  # noqa: F401 - they register handlers
    alarms,
    calls,
    care,
    closures,
    commands,
    coverage,
    doors,
    duty,
    forecast,
    history,
    incidents,
    layers,
    phones,
    place,
    plans,
    premises,
    proposals,
    session,
    shift,
    undo,
    units,
)
from app.core import Core, open_core
from app.database import UNREACHABLE
from app.keeper import is_kept
from app.layers import sweep_uploads
from app.live import attach
from app.native import is_cooperative
from app.rows import Rows
from app.tables import event
from config import Config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STATIC = Path(__file__).parent / "static"
BODY_MAX_BYTES = 2_000_000
PICTURE_LATE_S = 5.0
CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; base-uri 'none';"
    " frame-ancestors 'none'; form-action 'self'"
)
"""Inline styles are what Svelte's transitions and MapLibre's markers set; no script is ever inline."""


class BehindProxy:
    """Takes caller, scheme and host from the headers of the proxies named in STRAJA_TRUSTED_PROXY, and from
    nobody else: whoever reaches the port past them cannot give himself another address."""

    def __init__(self, inner: WSGIApplication, proxies: str) -> None:
        self._inner = inner
        self._believing = ProxyFix(inner, x_for=1, x_proto=1, x_host=1)
        self._proxies = [ipaddress.ip_network(proxy) for proxy in proxies.split(",")]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            peer = ipaddress.ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return self._inner(environ, start_response)
        believed = any(peer in network for network in self._proxies)
        return (self._believing if believed else self._inner)(environ, start_response)


ENDING = threading.Event()
"""Set when this process was told to end: it finishes what it has, and wants nothing new."""
_STARTED_S = time.monotonic()
_at_the_end: list[Callable[[], None]] = []


def heed_the_end() -> None:
    """When this process is told to end, say so at /readyz and send the consoles elsewhere at once; what is
    being answered is finished by the server, whose own handler is called next."""
    before = signal.getsignal(signal.SIGTERM)

    def told(signum: int, frame: FrameType | None) -> None:
        if not ENDING.is_set():
            ENDING.set()
            for call in _at_the_end:
                _spawn(call)
        if callable(before):
            before(signum, frame)

    signal.signal(signal.SIGTERM, told)


def _spawn(call: Callable[[], None]) -> None:
    """Run `call` soon, without waiting for its beginning: a signal may come while the event loop runs."""
    if is_cooperative():
        import gevent

        gevent.spawn(call)
    else:
        threading.Thread(target=call, daemon=True).start()


def skeleton() -> OpenAPI:
    """The application with its API and its description, but without a city's data behind it."""
    app = OpenAPI(
        "app",
        info=Info(
            title="Straja",
            version="1",
            description="The command system of a city's emergencies. Errors are problem+json (RFC 9457).",
        ),
        security_schemes={
            "token": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": doors.COOKIE},
        },
        doc_prefix="/api/v1",
        doc_url="/openapi.json",
        doc_ui=True,
        validation_error_callback=doors.invalid,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_api(doors.blueprint)
    app.before_request(doors.begin)
    app.before_request(doors.identify)
    app.before_request(doors.admit)
    doors.register_errors(app)
    app.after_request(doors.answered)
    app.after_request(undo.offer)
    app.teardown_request(doors.ended)
    return app


def build(config: Config, core: Core | None = None) -> Flask:
    """The whole application, its sockets running. Refuses to expose demo logins."""
    up.check_exposure(config, config.demo)
    app = skeleton()
    trace.set_up(config, "web")
    core = core or open_core(config)
    rows = Rows(core.picture, core.vault, core.tracks, core.pack)
    app.extensions["straja"] = core
    app.extensions["straja_rows"] = rows
    if not config.demo:
        # Who signed in with a published password while the demo was on is out now that it is off.
        for account in core.accounts.accounts():
            if account.demo:
                core.accounts.revoke_sessions(account.name)
        demo.revoke_tokens(core.accounts)
    if core.city is not None:
        core.city.roads.warm_up()
        core.coverage.warm_up()
    sweep_uploads(config.var)
    pages(app)
    _health(app, core)
    socketio, live = attach(app, core, rows)
    if config.trusted_proxy:
        # Around the sockets too, which check that a page's origin is this very server.
        app.wsgi_app = BehindProxy(app.wsgi_app, config.trusted_proxy)  # type: ignore[method-assign]
    live.start()
    _at_the_end.append(live.leave)
    metrics.watch(core, "web")
    app.extensions["straja_live"] = live
    app.extensions["straja_socketio"] = socketio
    atexit.register(core.close)
    return app


def _is_demo(core: Core | None) -> bool:
    if core is None:
        return False
    try:
        return demo.is_on(core)
    except SQLAlchemyError:
        # The database is away, and the page must come all the same: rather one mark too many.
        return core.config.demo


DEMO_MARK = '<meta name="straja-demo" content="1" />'


def pages(app: Flask) -> None:
    """The console: a page and its built parts."""

    def console() -> Response | tuple[str, int]:
        """The page, marked while the demo is on: who has not signed in yet sees it too."""
        try:
            page = (STATIC / "console" / "index.html").read_text(encoding="utf-8")
        except FileNotFoundError:
            return "The console is not built yet: run ./straja build-console, then load this page again.", 503
        if _is_demo(app.extensions.get("straja")):
            page = page.replace("</head>", f"  {DEMO_MARK}\n  </head>", 1)
        answer = Response(page, mimetype="text/html")
        answer.headers["Cache-Control"] = "no-cache"
        answer.add_etag()
        answer.make_conditional(request)
        return answer

    def static_file(name: str) -> Response:
        hashed = "/assets/" in f"/{name}"
        return send_from_directory(STATIC, name, conditional=True, max_age=31_536_000 if hashed else 0)

    def icon() -> Any:
        return redirect("/static/console/icon.svg")

    # Not through the API's own decorators: these are pages, not part of what OpenAPI describes.
    app.add_url_rule("/", "console", console)
    app.add_url_rule("/login", "login", console)
    app.add_url_rule("/static/<path:name>", "static_file", static_file)
    app.add_url_rule("/favicon.ico", "icon", icon)

    @app.after_request
    def guard(answer: Response) -> Response:
        answer.headers.setdefault("Content-Security-Policy", CSP)
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        answer.headers.setdefault("Referrer-Policy", "no-referrer")
        if answer.mimetype in ("application/json", "application/problem+json"):
            answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def _health(app: Flask, core: Core) -> None:
    redis = Redis.from_url(core.config.redis_url, socket_connect_timeout=0.3, socket_timeout=0.3)

    def healthz() -> tuple[Response, int]:
        """What works and what does not. 503 only when nothing can be recorded."""
        try:
            work = "ok" if redis.ping() else "unavailable"
        except RedisError:
            work = "unavailable"
        try:
            keeper = "ok" if is_kept(core.engine, core.config.var) else "absent"
        except Exception:  # noqa: BLE001 - health is told even when the database is not well
            keeper = "unknown"
        trouble = core.log.trouble
        parts = {
            "log": trouble or "ok",
            "positions": core.tracks.trouble or "ok",
            "jobs": work,
            "keeper": keeper,
            "city": core.city.info.name if core.city else "none",
            "backup": backup.state(core.config.var).words(core.config, core.world.clock.now_us() / 1e6),
        }
        parts_ok = all(parts[name] == "ok" for name in ("log", "positions", "jobs", "keeper"))
        well = parts_ok and core.city is not None and parts["backup"] in ("ok", "off", "none yet")
        status = "down" if trouble else "ok" if well else "degraded"
        body = {
            "status": status,
            "parts": parts,
            "positions_lag_s": round(core.tracks.lag_s(), 3),
            "station": core.config.station,
            "cursor": core.log.cursor(core.picture.position),
        }
        return jsonify(body), 503 if trouble else 200

    expected: tuple[int, float] | None = None
    """A head of the log that the picture had not reached when it was seen, and when that was."""

    def picture_words(head: int) -> str:
        """Whether the picture reaches each head of the log within PICTURE_LATE_S of its being seen here."""
        nonlocal expected
        at, now_s = core.picture.position, core.world.clock.monotonic_s()
        if expected is not None and at >= expected[0]:
            expected = None
        if expected is None and at < head:
            expected = (head, now_s)
        if expected is None or now_s - expected[1] <= PICTURE_LATE_S:
            return "ok"
        return f"behind: at {at}, the log at {head}"

    def readyz() -> tuple[Response, int]:
        """Whether this process may be given requests now: 200, or 503 with what keeps it from that."""
        trouble = core.log.trouble
        picture = "unknown: the database does not answer"
        try:
            with core.engine.connect() as connection:
                picture = picture_words(connection.scalar(select(func.max(event.c.position))) or 0)
                found = migrations.standing(connection, migrations.MAIN)
            schema = "ok" if found.is_current(migrations.MAIN) else found.words(migrations.MAIN)
        except UNREACHABLE:
            schema = "unknown: the database does not answer"
        parts = {
            "process": "stopping" if ENDING.is_set() else "ok",
            "log": trouble or "ok",
            "picture": picture,
            "schema": schema,
        }
        ready = all(part == "ok" for part in parts.values())
        body = {
            "ready": ready,
            # A node without a city takes calls all the same, by coordinates.
            "parts": {**parts, "city": core.city.info.name if core.city else "none"},
            "station": core.config.station,
            "up_s": round(time.monotonic() - _STARTED_S, 3),
        }
        return jsonify(body), 200 if ready else 503

    def figures() -> Response:
        """What this node counts about itself, for Prometheus."""
        doors.require("metrics.read")
        text = metrics.exposition(core, lambda: jobs.counts(core.config))
        return Response(text, content_type=metrics.CONTENT_TYPE)

    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/metrics", "metrics", figures)
    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/api/v1/healthz", "api_healthz", healthz)
