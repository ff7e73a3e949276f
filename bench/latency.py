"""From a call taken to the change in 50 consoles' sockets, beside a bare route that emits the same frame.

A real web process on the embedded database serves 50 consoles over websockets while 1,000 units move (each
once a second, through the API). `live_p99_ms`: from sending POST /incidents to the changed row in a socket,
over all sockets. Peer: in the same server, a route that only emits a frame of the same contents to the same
sockets. The two take turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import requests
import websockets
from flask import Flask, jsonify, request

from app.core import open_core
from bench.harness import BenchError, Figure
from config import ROOT, Config
from dispatch import commands as c

CONSOLES = 50
UNITS = 1_000
BATCH = 50
ADMIN = c.Actor("bench", "admin", frozenset({"*"}))


def app() -> Flask:
    """Straja as it is, and one route more: the peer."""
    from app import create_app

    flask = create_app()
    socketio = flask.extensions["straja_socketio"]
    live = flask.extensions["straja_live"]

    @flask.post("/bench/emit")
    def emit() -> Any:
        frame = request.get_json()
        for scope in list(live._scopes.values()):
            socketio.emit("changes", frame, to=scope.key)
        return jsonify({}), 201

    return flask


class Console:
    """One console: speaks Engine.IO 4 and Socket.IO 5 by hand, and notes when a marked frame came in."""

    def __init__(self, url: str, token: str, seen: dict[str, list[float]]) -> None:
        self._url = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        self._token = token
        self._seen = seen
        self.frame: dict[str, Any] | None = None
        self.position_frames = 0
        self.ready = asyncio.Event()

    async def run(self) -> None:
        async with websockets.connect(self._url, max_size=None, compression=None) as ws:
            async for packet in ws:
                now = time.perf_counter()
                if isinstance(packet, bytes):
                    self.position_frames += 1
                    continue
                if packet.startswith("451-"):
                    continue
                if packet == "2":
                    await ws.send("3")
                elif packet.startswith("0"):
                    await ws.send("40" + json.dumps({"token": self._token}))
                elif packet.startswith("40"):
                    await ws.send('420["hello",{"cursor":null}]')
                elif packet.startswith("430"):
                    self.ready.set()
                elif packet.startswith('42["changes"'):
                    for mark, times in list(self._seen.items()):
                        if mark in packet:
                            times.append(now)
                    if self.frame is None and '"number"' in packet:
                        self.frame = json.loads(packet[2:])[1]


def run(full: bool, folder: Path) -> list[Figure]:
    rounds, pause_s = (1_500, 0.15) if full else (120, 0.15)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env = {"STRAJA_VAR": str(folder), "STRAJA_PORT": str(port), "STRAJA_LOG_LEVEL": "ERROR"}
    console_token, gateway_token = _seed(Config.from_env(env))
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}",
         "--log-level", "error", "bench.latency:app()"],
        cwd=ROOT, env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        wait_for(url, server)
        return asyncio.run(_measure(url, console_token, gateway_token, rounds, pause_s))
    finally:
        server.terminate()
        server.wait(20)


def _seed(config: Config) -> tuple[str, str]:
    core = open_core(config)
    try:
        for n in range(UNITS):
            core.door.submit(
                c.RegisterUnit(id=f"unit-{n}", unit=f"U{n}", type="PL", station="S", district="d", crew=2),
                ADMIN,
            )
        return (
            core.accounts.create_token("dispatcher", "bench-console", ["*"]),
            core.accounts.create_token("gateway", "bench-gateway", ["*"]),
        )
    finally:
        core.close()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server is well. Raises BenchError when it ends, or after a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if server.poll() is not None:
            raise BenchError("the server ended before it answered")
        try:
            if requests.get(f"{url}/healthz", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise BenchError("the server did not answer within a minute")


def _drive(url: str, token: str, stop: threading.Event, refusals: list[str]) -> None:
    """1,000 units, each reporting once a second."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    turn = 0
    started = time.monotonic()
    while not stop.is_set():
        first = turn * BATCH % UNITS
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03d}Z"
        rows = [
            {"unit": f"U{n}", "lon": 24.93 + (n + turn) % 997 * 1e-5, "lat": 60.17, "observed_at": at}
            for n in range(first, first + BATCH)
        ]
        answer = session.post(f"{url}/api/v1/positions", json=rows, timeout=10)
        if answer.status_code != 202 or answer.json()["refused"]:
            refusals.append(answer.text[:200])
        turn += 1
        stop.wait(max(0.0, started + turn * BATCH / UNITS - time.monotonic()))


async def _measure(
    url: str, console_token: str, gateway_token: str, rounds: int, pause_s: float
) -> list[Figure]:
    seen: dict[str, list[float]] = {}
    consoles = [Console(url, console_token, seen) for _ in range(CONSOLES)]
    tasks = [asyncio.create_task(console.run()) for console in consoles]
    await asyncio.wait_for(asyncio.gather(*(console.ready.wait() for console in consoles)), 60)
    stop = threading.Event()
    refusals: list[str] = []
    driver = threading.Thread(target=_drive, args=(url, gateway_token, stop, refusals), daemon=True)
    driver.start()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {console_token}"
    times: dict[str, list[float]] = {"straja": [], "peer": []}
    frame: dict[str, Any] | None = None
    for n in range(-5, rounds):
        for kind in ("straja", "peer"):
            if kind == "peer" and frame is None:
                continue
            mark = str(uuid.uuid4())
            seen[mark] = []
            if kind == "straja":
                path, body = "/api/v1/incidents", _call(mark)
            else:
                # The same row as Straja sends, under an id of its own.
                assert frame is not None
                row = {**frame["incidents"][0], "id": mark}
                path, body = "/bench/emit", {**frame, "incidents": [row]}
            started = time.perf_counter()
            answer = await asyncio.to_thread(session.post, url + path, json=body, timeout=20)
            if answer.status_code != 201:
                raise BenchError(f"{path} answered {answer.status_code}: {answer.text[:300]}")
            until = time.perf_counter() + 20
            while len(seen[mark]) < CONSOLES:
                if time.perf_counter() > until:
                    raise BenchError(f"only {len(seen[mark])} of {CONSOLES} consoles saw a change ({kind})")
                await asyncio.sleep(0.005)
            if n >= 0:
                times[kind] += [1000 * (at - started) for at in seen[mark]]
            del seen[mark]
            frame = frame or consoles[0].frame
            await asyncio.sleep(pause_s)
    stop.set()
    await asyncio.to_thread(driver.join, 15)
    for task in tasks:
        task.cancel()
    if refusals:
        raise BenchError(f"positions were refused meanwhile: {refusals[0]}")
    beside = "a bare route that emits the same frame to the same 50 sockets"
    figures = []
    for name, share in (("live_p50_ms", 50), ("live_p99_ms", 99)):
        ours, bare = (float(np.percentile(times[kind], share)) for kind in ("straja", "peer"))
        figures.append(Figure(name, ours, "ms", beside, bare))
    return figures


def _call(ident: str) -> dict[str, Any]:
    return {
        "id": ident,
        "type": "F01",
        "location": {"lon": 24.9445, "lat": 60.1716},
        "address": "Kaisaniemenkatu 5",
        "description": "smoke on the third floor",
        "caller": {"name": "a caller", "phone": "0700000000"},
    }
