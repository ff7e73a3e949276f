"""5,000 units moving on a console's map, beside MapLibre's own way to move points; and what an hour leaves.

The console as it is served, signed in, in a real Chromium, over central Helsinki, with 5,000 units. Frames in
which every unit has moved come through the console's own socket, four a second. `units_update_cpu_ms` is the
processor time of the page's main thread for one of them: all that the console does with it, less what it does
without any. Peer: `setData` of a GeoJSON source with the same 5,000 points as turned symbols, called as often
on the same map in the same page; the two take turns. (The peer also keeps a worker busy: not counted.)

`heap_growth_pct` replays traffic (frames, calls changed, closed and reopened, statuses, incidents opened on
the screen) and compares what lives on the page's heap after it with what lived there before, both times after
garbage was collected; its peer is the limit. About 20 s of traffic, 30 minutes of it with `full`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import requests
from flask import Flask, jsonify, request
from numpy.typing import NDArray

from app.core import open_core
from bench.harness import BenchError, Figure
from bench.latency import ADMIN
from bench.start import free_port, prepared, station, until_answered
from config import ROOT, Config
from dispatch import commands as c
from gis.city import bundled_helsinki

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

UNITS = 5_000
INCIDENTS = 24
FRAME_EVERY_S = 0.25
FRAMES = 24
"""In one round of either."""
GROWTH_MAX_PCT = 5.0
NAME, PASSWORD = "bench", "a long enough pass phrase 17"
CHROMIUM = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--js-flags=--expose-gc",
]

PEER = """async (frames) => {
  const loaded = performance.getEntriesByType('resource').map((entry) => entry.name);
  const library = await import(loaded.find((name) => /\\/maplibre-[^/]*\\.js$/.test(name)));
  const isMap = (v) => typeof v === 'function' && v.prototype?.jumpTo && v.prototype?.addSource;
  const MapLibre = Object.values(library).find(isMap);
  const map = await new Promise((found) => {
    // The console's own map: it is asked for its centre each time that units are drawn.
    const { getCenter } = MapLibre.prototype;
    MapLibre.prototype.getCenter = function () {
      MapLibre.prototype.getCenter = getCenter;
      found(this);
      return getCenter.call(this);
    };
  });
  const ctx = new OffscreenCanvas(30, 30).getContext('2d');
  ctx.fillStyle = '#28F483';
  ctx.fillRect(4, 4, 22, 22);
  map.addImage('bench', ctx.getImageData(0, 0, 30, 30));
  const features = frames[0].map(([lon, lat, heading], id) => (
    { type: 'Feature', id, geometry: { type: 'Point', coordinates: [lon, lat] }, properties: { heading } }
  ));
  const data = { type: 'FeatureCollection', features };
  const layout = {
    'icon-image': 'bench', 'icon-rotate': ['get', 'heading'],
    'icon-allow-overlap': true, 'icon-ignore-placement': true,
  };
  window.peer = {
    on() {
      map.addSource('bench', { type: 'geojson', data });
      map.addLayer({ id: 'bench', type: 'symbol', source: 'bench', layout });
    },
    off() {
      map.removeLayer('bench');
      map.removeSource('bench');
    },
    update(k) {
      const moved = frames[k % frames.length];
      for (let i = 0; i < features.length; i++) {
        features[i].geometry.coordinates = [moved[i][0], moved[i][1]];
        features[i].properties.heading = moved[i][2];
      }
      void map.getSource('bench').setData(data);
    },
  };
}"""


def app() -> Flask:
    """Straja as it is, and one route more: it hands a position frame to every console."""
    from app import create_app

    flask = create_app()
    socketio = flask.extensions["straja_socketio"]
    live = flask.extensions["straja_live"]

    @flask.post("/bench/frame")
    def emit() -> Any:
        for scope in list(live._scopes.values()):
            socketio.emit("positions", request.get_data(), to=scope.key)
        return jsonify({}), 201

    return flask


def run(full: bool, folder: Path) -> list[Figure]:
    if not (ROOT / "app" / "static" / "console" / "index.html").is_file():
        raise BenchError("the console is not built: run ./straja build-console first")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise BenchError("a browser is driven by Playwright: run ./straja setup test first") from None
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise BenchError("there is no Chromium on this machine")
    var = prepared(folder / "station", bundled_helsinki())
    port = free_port()
    environment = station(var, port)
    tokens = seed(Config.from_env(environment))
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}",
         "--no-control-socket", "--log-level", "error", "bench.console:app()"],
        cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        until_answered(server, url, time.monotonic())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
            page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
            room = Room(url, tokens, page)
            figures = [room.update_cpu(6 if full else 2), room.heap_growth(1800.0 if full else 20.0)]
            browser.close()
            return figures
    finally:
        server.kill()
        server.wait(30)


def seed(config: Config) -> str:
    """Units, calls and somebody to look at them; returns a dispatcher's token."""
    core = open_core(config)
    try:
        core.accounts.create_account(NAME, PASSWORD, "dispatcher", ["*"])
        with ThreadPoolExecutor(16) as together:

            def one(n: int) -> None:
                unit = f"U{n}"
                core.door.submit(
                    c.RegisterUnit(
                        id=str(uuid.uuid4()), unit=unit, type="PL", station=f"S{n % 40}", district="d", crew=2
                    ),
                    ADMIN,
                )
                core.door.submit(c.ReportStatus(id=str(uuid.uuid4()), unit=unit, status="available"), ADMIN)

            list(together.map(one, range(UNITS)))
        return core.accounts.create_token("supervisor", "bench-console", ["*"])
    finally:
        core.close()


class Room:
    """The page with its console, and the traffic that reaches it."""

    def __init__(self, url: str, token: str, page: Page) -> None:
        self._url = url
        self._page = page
        self._dice = random.Random(20)
        self._desk = requests.Session()
        self._desk.headers["Authorization"] = f"Bearer {token}"
        self._beats = 0
        page.goto(url)
        signed_in = page.evaluate(
            """async ([name, password]) => {
              const body = JSON.stringify({ name, password });
              const headers = { 'Content-Type': 'application/json' };
              return (await fetch('/api/v1/session', { method: 'POST', headers, body })).status;
            }""",
            [NAME, PASSWORD],
        )
        if signed_in != 200:
            raise BenchError(f"signing in was answered {signed_in}")
        page.goto(url)
        page.locator('[data-testid="map"][data-ready="true"]').wait_for(timeout=120_000)
        page.wait_for_function(f"() => straja.units.length === {UNITS}", timeout=120_000)
        west, south, east, north = self._ask("GET", "/city")["bbox"]
        self._n = np.array(page.evaluate("() => straja.units.map((u) => u.n)"), dtype="<u4")
        # Everybody drives a circle of their own, so that nobody ever leaves.
        place = np.random.default_rng(20)
        self._centre = place.uniform((west, south), (east, north), (UNITS, 2))
        self._phase = place.uniform(0, 2 * np.pi, UNITS)
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._beat()
        page.wait_for_function("() => straja.positionsSeen > 0")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self._desk.request(method, f"{self._url}/api/v1{path}", json=body, timeout=60)
        if answer.status_code >= 400:
            raise BenchError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def _places(self, beat: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of every unit, and its heading in degrees."""
        angle = self._phase + beat * 0.03
        circle = np.stack((np.cos(angle) * 0.002, np.sin(angle) * 0.001), axis=1)
        return self._centre + circle, np.degrees(-angle) % 360

    def _beat(self) -> None:
        """One position frame in which every unit has moved (docs/live.md)."""
        self._beats += 1
        at, heading = self._places(self._beats)
        frame = b"".join(
            (
                struct.pack("<BBHId", 1, 0, 0, UNITS, time.time()),
                self._n.tobytes(),
                np.rint(at * 1e7).astype("<i4").T.tobytes(),
                np.zeros(UNITS, "<u4").tobytes(),
                np.rint(heading * 10).astype("<u2").tobytes(),
                np.full(UNITS, 1_100, "<u2").tobytes(),
            )
        )
        answer = self._desk.post(f"{self._url}/bench/frame", data=frame, timeout=60)
        if answer.status_code != 201:
            raise BenchError(f"a frame was answered {answer.status_code}: {answer.text[:300]}")

    # ---- the cost of one frame

    def update_cpu(self, rounds: int) -> Figure:
        frames = []
        for beat in range(8):
            at, heading = self._places(beat)
            frames.append(np.column_stack((at, heading)).round(7).tolist())
        self._page.evaluate(PEER, frames)

        def ours(_: int) -> None:
            self._beat()

        def theirs(k: int) -> None:
            self._page.evaluate("(k) => peer.update(k)", k)

        def nothing(_: int) -> None:
            self._page.evaluate("(k) => k", 0)

        spent: dict[str, list[float]] = {"idle": [], "ours": [], "peer": []}
        self._spend(ours, 8)
        for _ in range(rounds):
            spent["idle"].append(self._spend(nothing))
            spent["ours"].append(self._spend(ours))
            self._page.evaluate("() => peer.on()")
            self._spend(theirs, 4)
            spent["peer"].append(self._spend(theirs))
            self._page.evaluate("() => peer.off()")
        idle, own, peer = (float(np.median(spent[kind])) for kind in ("idle", "ours", "peer"))
        return Figure("units_update_cpu_ms", own - idle, "ms", "MapLibre setData, same page", peer - idle)

    def _spend(self, update: Callable[[int], None], times: int = FRAMES) -> float:
        """Milliseconds of the main thread's processor time for each update."""
        before = self._busy_s()
        seen: int = self._page.evaluate("() => straja.positionsSeen")
        beats = self._beats
        for k in range(times):
            due = time.perf_counter() + FRAME_EVERY_S
            update(k)
            time.sleep(max(0.0, due - time.perf_counter()))
        self._page.wait_for_function("(n) => straja.positionsSeen >= n", arg=seen + self._beats - beats)
        # What was drawn last is on the screen before the clock stops.
        self._page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        return 1000 * (self._busy_s() - before) / times

    def _busy_s(self) -> float:
        found = self._cdp.send("Performance.getMetrics")["metrics"]
        return float(next(m["value"] for m in found if m["name"] == "TaskDuration"))

    # ---- what is left on the heap

    def heap_growth(self, traffic_s: float) -> Figure:
        west, south, east, north = self._ask("GET", "/city")["bbox"]
        incidents = [str(uuid.uuid4()) for _ in range(INCIDENTS)]
        for ident in incidents:
            at = {"lon": self._dice.uniform(west, east), "lat": self._dice.uniform(south, north)}
            self._ask(
                "POST",
                "/incidents",
                {"id": ident, "type": "F05", "location": at, "address": "Kaisaniemenkatu 5"},
            )
        quiet, *busy = incidents
        self._page.wait_for_function(f"() => straja.incidents.length >= {INCIDENTS}", timeout=60_000)
        self._replay(busy, max(15.0, traffic_s / 10))
        before = self._heap(quiet)
        self._replay(busy, traffic_s)
        after = self._heap(quiet)
        growth = 100 * (after - before) / before
        return Figure("heap_growth_pct", max(growth, 0.0), "%", "the limit", GROWTH_MAX_PCT)

    def _replay(self, incidents: list[str], seconds: float) -> None:
        closed: set[str] = set()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            due = time.perf_counter() + FRAME_EVERY_S
            self._beat()
            ident = self._dice.choice(incidents)
            match self._dice.randrange(5):
                case 0 if ident in closed:
                    self._ask("POST", f"/incidents/{ident}/reopen", {"reason": "again"})
                    closed.discard(ident)
                case 0:
                    self._ask("POST", f"/incidents/{ident}/close", {"outcome": "done"})
                    closed.add(ident)
                case 1 if ident not in closed:
                    self._ask(
                        "PATCH", f"/incidents/{ident}", {"priority": self._dice.choice(["P1", "P2", "P3"])}
                    )
                case 2:
                    unit = f"U{self._dice.randrange(UNITS)}"
                    for status, reason in (("out_of_service", "fuel"), ("available", "")):
                        self._ask("POST", f"/units/{unit}/status", {"status": status, "reason": reason})
                case _:
                    self._show(ident)
            time.sleep(max(0.0, due - time.perf_counter()))
        for ident in closed:
            self._ask("POST", f"/incidents/{ident}/reopen", {"reason": "again"})

    def _show(self, ident: str) -> None:
        row = json.dumps(f'[data-testid="queue-row"][data-incident="{ident}"]')
        self._page.evaluate(f"() => document.querySelector({row})?.click()")

    def _heap(self, ident: str) -> float:
        """Bytes that live on the page's heap, with the same incident on the screen each time."""
        self._show(ident)
        self._page.wait_for_selector('[data-testid="incident-card"]')
        for _ in range(4):
            self._cdp.send("HeapProfiler.collectGarbage")
            self._page.evaluate(
                "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))"
            )
        return float(self._cdp.send("Runtime.getHeapUsage")["usedSize"])
