"""From a call reported to its row painted on another dispatcher's console, while 5,000 units move.

A real web process on the embedded database, the city of the demo (or `--city FILE`, any .osm.pbf), 5,000
units reporting once a second through the API. A call comes in by POST /incidents; a Chromium at the console
of a dispatcher who did not report it tells when the row stood in the queue and the frame with it was drawn
(next animation frame, then a message after the rendering). Peer, in the same page, map and units and all: a
bare websocket that passes on the same row as text and one <div> that shows it. The two take turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import requests
import websockets

from app.core import open_core
from bench.harness import BenchError, Figure
from bench.latency import wait_for
from config import ROOT, Config
from dispatch import commands as c
from gis.city import bundled_helsinki, import_city

UNITS = 5_000
BATCH = 500
PASSWORD = "a bench of its own 2026"
ADMIN = c.Actor("bench", "admin", frozenset({"*"}))
CHROMIUM = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--no-first-run",
]

PAINTED = """
(port) => new Promise((ready) => {
  const painted = (then) => requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = () => then(performance.timeOrigin + performance.now());
    after.port2.postMessage(null);
  });
  window.bench = {};
  const seen = new Set();
  const look = () => {
    for (const row of document.querySelectorAll('[data-testid="queue-row"]')) {
      const id = row.dataset.incident;
      if (seen.has(id)) continue;
      seen.add(id);
      painted((at) => { window.bench[id] = at; });
    }
  };
  look();
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
  const list = document.createElement('div');
  list.style.cssText = 'position: fixed; inset: auto auto 0 0; z-index: 9';
  document.body.append(list);
  const bare = new WebSocket(`ws://127.0.0.1:${port}`);
  bare.onopen = () => ready();
  bare.onmessage = (said) => {
    const row = JSON.parse(said.data);
    const line = document.createElement('div');
    line.textContent = `${row.number} ${row.type} ${row.address}`;
    list.replaceChildren(line);
    painted((at) => { window.bench[row.id] = at; });
  };
})
"""


@dataclass(frozen=True)
class Station:
    """A web process with a city and units, and who may come in."""

    url: str
    dispatcher: str
    gateway: str
    unit_ids: tuple[str, ...]
    bbox: tuple[float, float, float, float]


@contextmanager
def station(folder: Path, extract: Path | None, units: int, incidents: int = 0) -> Iterator[Station]:
    """A running station in `folder`. Raises BenchError when the console is not built or nothing answers."""
    if not (ROOT / "app" / "static" / "console" / "index.html").is_file():
        raise BenchError("the console is not built: ./straja build-console")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env = {
        "STRAJA_VAR": str(folder),
        "STRAJA_PORT": str(port),
        "STRAJA_LOG_LEVEL": "ERROR",
        "STRAJA_DEMO": "0",
    }
    box = import_city(extract or bundled_helsinki(), folder / "cities", "place").bbox
    names = tuple(f"U{n}" for n in range(units))
    core = open_core(Config.from_env(env))
    try:
        for name in names:
            core.door.submit(
                c.RegisterUnit(id=f"unit-{name}", unit=name, type="PL", station="S", district="d", crew=2),
                ADMIN,
            )
        for n in range(incidents):
            core.door.submit(_reported(n, box), ADMIN)
        core.accounts.create_account("bench", PASSWORD, "dispatcher", ["*"])
        dispatcher = core.accounts.create_token("dispatcher", "bench-poster", ["*"])
        gateway = core.accounts.create_token("gateway", "bench-gateway", ["*"])
    finally:
        core.close()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}",
         "--log-level", "error", "app:create_app()"],
        cwd=ROOT, env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        wait_for(url, server)
        yield Station(url, dispatcher, gateway, names, box)
    finally:
        server.terminate()
        server.wait(20)


def _reported(n: int, box: tuple[float, float, float, float]) -> c.ReportIncident:
    west, south, east, north = box
    lon, lat = west + (east - west) * (n * 0.618 % 1), south + (north - south) * (n * 0.414 % 1)
    ident = str(uuid.uuid4())
    return c.ReportIncident(
        id=ident, incident=ident, type="F05", place=c.Place(lon, lat, label=f"Bench street {n}")
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser. Raises BenchError where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise BenchError("this bench looks through a browser: ./straja setup test") from None
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise BenchError("there is no Chromium on this computer")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(context: Any, url: str) -> None:
    answer = context.request.post(f"{url}/api/v1/session", data={"name": "bench", "password": PASSWORD})
    if not answer.ok:
        raise BenchError(f"the browser may not sign in: {answer.text()[:200]}")


class Relay:
    """A websocket server that passes on what it is told: nothing in it but that."""

    def __init__(self) -> None:
        self._listeners: set[Any] = set()
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self.port = 0
        threading.Thread(target=self._run, daemon=True).start()
        if not self._up.wait(10):
            raise BenchError("the bare websocket did not start")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async def heard(socket_: Any) -> None:
            self._listeners.add(socket_)
            await socket_.wait_closed()
            self._listeners.discard(socket_)

        async with websockets.serve(heard, "127.0.0.1", 0, compression=None) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._up.set()
            await asyncio.Future()

    def tell(self, row: dict[str, Any]) -> None:
        text = json.dumps(row)

        async def send() -> None:
            await asyncio.gather(*(one.send(text) for one in self._listeners))

        asyncio.run_coroutine_threadsafe(send(), self._loop).result(10)


def drive(place: Station, stop: threading.Event, refusals: list[str]) -> None:
    """Every unit reports once a second, a little further on its round."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {place.gateway}"
    west, south, east, north = place.bbox
    names, turn, started = place.unit_ids, 0, time.monotonic()
    while not stop.is_set():
        first = turn * BATCH % len(names)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03d}Z"
        rows = [
            {
                "unit": names[n],
                "lon": west + (east - west) * ((n * 0.618 + turn * 1e-4) % 1),
                "lat": south + (north - south) * (n * 0.414 % 1),
                "observed_at": at,
            }
            for n in range(first, min(first + BATCH, len(names)))
        ]
        answer = session.post(f"{place.url}/api/v1/positions", json=rows, timeout=30)
        if answer.status_code != 202 or answer.json()["refused"]:
            refusals.append(answer.text[:200])
        turn += 1
        stop.wait(max(0.0, started + turn * BATCH / len(names) - time.monotonic()))


def run(full: bool, folder: Path, city: Path | None = None) -> list[Figure]:
    rounds = 1_000 if full else 60
    with station(folder, city, UNITS) as place, chromium() as browser:
        return _measure(place, browser, rounds)


def _measure(place: Station, browser: Any, rounds: int) -> list[Figure]:
    context = browser.new_context(viewport={"width": 1600, "height": 900}, locale="en-GB")
    context.set_default_timeout(120_000)
    sign_in(context, place.url)
    page = context.new_page()
    page.goto(place.url)
    page.wait_for_selector('[data-testid="console"][data-live="true"]')
    page.wait_for_selector('[data-testid="map"][data-ready="true"]')
    relay = Relay()
    page.evaluate(PAINTED, relay.port)
    stop, refusals = threading.Event(), list[str]()
    driver = threading.Thread(target=drive, args=(place, stop, refusals), daemon=True)
    driver.start()
    try:
        page.wait_for_function("() => straja.positionsSeen > 8")
        times = _turns(place, page, relay, rounds)
    finally:
        stop.set()
        driver.join(40)
    if refusals:
        raise BenchError(f"positions were refused meanwhile: {refusals[0]}")
    beside = "a bare websocket's row painted in the same page, the units moving"
    figures = []
    for name, share in (("painted_p50_ms", 50), ("painted_p99_ms", 99)):
        ours, bare = (float(np.percentile(times[kind], share)) for kind in ("straja", "peer"))
        figures.append(Figure(name, ours, "ms", beside, bare))
    return figures


def _turns(place: Station, page: Any, relay: Relay, rounds: int) -> dict[str, list[float]]:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {place.dispatcher}"
    times: dict[str, list[float]] = {"straja": [], "peer": []}
    west, south, east, north = place.bbox
    for n in range(-5, rounds):
        row: dict[str, Any] = {}
        for kind in ("straja", "peer"):
            mark = str(uuid.uuid4())
            began = time.time()
            if kind == "straja":
                body = {
                    "id": mark,
                    "type": "F01",
                    "location": {"lon": (west + east) / 2, "lat": (south + north) / 2},
                    "address": f"Bench street {n}",
                    "description": "smoke on the third floor",
                }
                answer = session.post(f"{place.url}/api/v1/incidents", json=body, timeout=30)
                if answer.status_code != 201:
                    raise BenchError(f"the call was answered {answer.status_code}: {answer.text[:300]}")
                row = answer.json()
            else:
                relay.tell({**row, "id": mark})
            painted: float = page.wait_for_function("(id) => window.bench[id]", arg=mark).json_value()
            if n >= 0:
                times[kind].append(painted - 1000 * began)
            if kind == "straja":
                # Off the queue again, so that the hundredth call finds a queue like the first one's.
                done = session.post(
                    f"{place.url}/api/v1/incidents/{mark}/close", json={"outcome": "measured"}, timeout=30
                )
                if not done.ok:
                    raise BenchError(f"closing was answered {done.status_code}: {done.text[:300]}")
            page.wait_for_timeout(50 + 100 * (n % 3))
    return times
