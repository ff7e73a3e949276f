"""1,000 units report beside 20 live consoles, while calls are taken; read back from the database.

A real server as production starts it. A process of its own sends batches of 10 positions, each unit over its
own connection and with its own token: first 3,600 a second, while another client takes calls; then as many as
are answered. A position counts when, afterwards, the database holds its unit's last fix and a history from
which it is read back within the error that the page on positions promises; the seconds run until all is on
disk. `incident_ack_p99_ms` is POST /incidents meanwhile; its peer the same before. Peer of the most that it
takes: a bare gevent handler, served and loaded alike, that parses the same JSON and writes the same rows
with the same durability; no tokens, permission, consoles or calls.

STRAJA_BENCH_DATABASE_URL may name an empty PostgreSQL database to use instead of the embedded one.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests
from sqlalchemy import func, select

from app import up
from app.core import open_core
from app.rows import rfc3339
from app.tables import event, last_fix
from app.tracks import ERROR_M, open_engine
from bench.harness import BenchError, Figure
from bench.latency import ADMIN, Console, wait_for
from config import ROOT, Config
from dispatch import commands as c
from gis.geometry import haversine_m

UNITS = 1_000
BATCH = 10
CONSOLES = 20
OFFERED_PER_S = 3_600
"""Positions a second while calls are taken: enough above the 3,000 that are wanted."""
IN_FLIGHT = 12
"""Requests under way at once: enough that the server never waits for the sender."""
CALL_EVERY_S = 0.1
SPEED_MPS = 12.0
RADIUS_M = 250.0


def place(n: int, observed_us: int) -> tuple[float, float]:
    """Where unit `n` is at a time: it drives round a block of its own."""
    angle = SPEED_MPS * (observed_us / 1e6 % 86_400) / RADIUS_M + n
    lat = 60.17 + n // 40 * 1e-3 + RADIUS_M * math.sin(angle) / 111_195
    lon = 24.94 + n % 40 * 1e-3 + RADIUS_M * math.cos(angle) / (111_195 * math.cos(math.radians(60.17)))
    return round(lon, 7), round(lat, 7)


# ---- the sender, a process of its own


@dataclass
class Sender:
    """One unit's device: its own connection, its own token; `sent` holds the times of its positions."""

    n: int
    port: int
    path: str
    token: str
    sent: list[int]
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    def batch(self) -> bytes:
        now_us = time.time_ns() // 1000
        since_us = self.sent[-1] if self.sent else now_us - 200_000
        # Milliseconds are what a tracker sends; the same ones are compared afterwards.
        times = [(since_us + (now_us - since_us) * (i + 1) // BATCH) // 1000 * 1000 for i in range(BATCH)]
        rows = []
        for at in times:
            lon, lat = place(self.n, at)
            rows.append(
                {"unit": f"U{self.n}", "lon": lon, "lat": lat, "observed_at": rfc3339(at),
                 "speed_mps": SPEED_MPS, "heading_deg": 90.0, "accuracy_m": 4.0}
            )  # fmt: skip
        self.sent += times
        body = json.dumps(rows).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def send(self) -> float:
        """Seconds from sending a batch to its answer. BenchError when it was not taken whole."""
        request = self.batch()
        began = time.perf_counter()
        for attempt in (1, 2):
            if self.writer is None:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            assert self.reader is not None
            try:
                self.writer.write(request)
                head = await self.reader.readuntil(b"\r\n\r\n")
                break
            except (asyncio.IncompleteReadError, ConnectionError):
                # The server had closed a connection that was idle for long: what any client meets.
                self.writer.close()
                self.writer = None
                if attempt == 2:
                    raise
        assert self.reader is not None
        assert self.writer is not None
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await self.reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 202") or json.loads(body)["accepted"] != BATCH:
            raise BenchError(f"a batch was not taken: {head[:80]!r} {body[:300]!r}")
        if b"connection: close" in head.lower():
            self.writer.close()
            self.writer = None
        return time.perf_counter() - began


async def _load(spec: dict[str, Any]) -> dict[str, Any]:
    senders = [Sender(n, spec["port"], spec["path"], token, []) for n, token in enumerate(spec["tokens"])]
    queue: asyncio.Queue[Sender] = asyncio.Queue()
    for sender in senders:
        queue.put_nowait(sender)
    took: list[float] = []
    turn = time.monotonic()
    until = turn + spec["seconds"]
    pause_s = BATCH / spec["per_s"] if spec["per_s"] else 0.0

    async def work() -> None:
        nonlocal turn
        while time.monotonic() < until:
            if pause_s:
                mine, turn = turn, max(turn, time.monotonic() - 1) + pause_s
                await asyncio.sleep(max(0.0, mine - time.monotonic()))
            sender = queue.get_nowait()
            took.append(await sender.send())
            queue.put_nowait(sender)

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return {
        "seconds": time.monotonic() - began,
        "sent": [sender.sent for sender in senders],
        "p99_ms": 1000 * float(np.percentile(took, 99)),
    }


def load(
    port: int, path: str, tokens: list[str], seconds: float, per_s: float = 0
) -> Callable[[], dict[str, Any]]:
    """Start sending in a process of its own, `per_s` positions a second or as many as are answered; the call
    that is returned waits for its end."""
    sender = subprocess.Popen(
        [sys.executable, "-P", "-m", "bench.positions"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert sender.stdin is not None
    spec = {"port": port, "path": path, "tokens": tokens, "seconds": seconds, "per_s": per_s}
    sender.stdin.write(json.dumps(spec).encode())
    sender.stdin.close()
    sender.stdin = None

    def result() -> dict[str, Any]:
        out, _ = sender.communicate(timeout=seconds + 120)
        if sender.returncode:
            raise BenchError("the sender failed; see above")
        return dict(json.loads(out))

    return result


# ---- the peer


def bare() -> Callable[..., Iterable[bytes]]:
    """A WSGI handler that parses the positions and hands them to a thread which writes them, and no more."""
    from gevent.monkey import get_original

    db = sqlite3.connect(os.environ["BENCH_FILE"], check_same_thread=False, isolation_level=None)
    db.executescript(
        """PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
        CREATE TABLE last_fix (unit TEXT PRIMARY KEY, lon, lat, at, speed, heading, accuracy);
        CREATE TABLE fix (id INTEGER PRIMARY KEY, unit TEXT, lon, lat, at, speed, heading, accuracy);
        CREATE UNIQUE INDEX fix_unit ON fix (unit, at);"""
    )
    waiting: list[tuple[Any, ...]] = []

    def write() -> None:
        nonlocal waiting
        sleep = get_original("time", "sleep")
        while True:
            sleep(0.25)
            rows, waiting = waiting, []
            if not rows:
                continue
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO fix (unit, lon, lat, at, speed, heading, accuracy) VALUES (?,?,?,?,?,?,?)", rows
            )
            last = {row[0]: row for row in rows}
            db.executemany("INSERT OR REPLACE INTO last_fix VALUES (?,?,?,?,?,?,?)", last.values())
            db.execute("COMMIT")

    get_original("_thread", "start_new_thread")(write, ())
    keys = ("unit", "lon", "lat", "observed_at", "speed_mps", "heading_deg", "accuracy_m")

    def handle(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        rows = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"[]")
        waiting.extend(tuple(row[key] for key in keys) for row in rows)
        answer = json.dumps({"accepted": len(rows)}).encode()
        head = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        start_response("202 Accepted", head)
        return [answer]

    return handle


def _measure_bare(folder: Path, port: int, command: list[str], seconds: float) -> float:
    file = folder / "bare.sqlite"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_FILE": str(file)}
    with _running([*command[:-1], "bench.positions:bare()"], env) as server:
        wait_for(f"http://127.0.0.1:{port}", server)
        done = load(port, "/", ["-"] * UNITS, seconds)()
        sent = sum(len(times) for times in done["sent"])
        with sqlite3.connect(file) as db:
            rows = 0
            for _ in range(100):
                (rows,) = db.execute("SELECT count(*) FROM fix").fetchone()
                if rows == sent:
                    return float(sent / done["seconds"])
                time.sleep(0.05)
    raise BenchError(f"the peer wrote {rows} of {sent} positions")


# ---- the measurement


def run(full: bool, folder: Path) -> list[Figure]:
    seconds = 60.0 if full else 12.0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {"STRAJA_VAR": str(folder / "var"), "STRAJA_PORT": str(port), "STRAJA_LOG_LEVEL": "ERROR"}
    if given := os.environ.get("STRAJA_BENCH_DATABASE_URL", "").strip():
        env["STRAJA_DATABASE_URL"] = given
    config = Config.from_env(env)
    tokens = _seed(config)
    command = up.web_command(config)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STRAJA_")}
    with _running(command, {**kept, **env, "PYTHONPATH": str(ROOT)}) as server:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, server)
        seen = asyncio.run(_beside_consoles(url, port, tokens, seconds, server))
    steady, most = read_back(config, [seen.steady["sent"], seen.most["sent"]])
    bare_per_s = _measure_bare(folder, port, command, seconds)
    beside = "a bare gevent handler that writes the same rows"
    return [
        Figure("positions_per_s", steady / seen.steady["seconds"], "1/s", "the rate offered", OFFERED_PER_S),
        Figure(
            "incident_ack_p99_ms", seen.busy_ms, "ms", "the same calls before the positions", seen.idle_ms
        ),
        Figure("batch_ack_p99_ms", seen.steady["p99_ms"], "ms", "in which they are on disk", 1000.0),
        Figure("positions_most_per_s", most / seen.most["seconds"], "1/s", beside, bare_per_s),
        Figure("web_rss_mb", seen.rss_mb, "MB", "the budget of a web process", 400.0),
    ]


def _seed(config: Config) -> list[str]:
    """1,000 units, each with its own token; the dispatcher's token comes last."""
    config.var.mkdir(parents=True, exist_ok=True)
    core = open_core(config)
    try:
        with core.engine.connect() as db:
            if db.scalar(select(func.count()).select_from(event)):
                raise BenchError("the database is not empty; a bench fills it with made-up units")
        tokens = []
        for n in range(UNITS):
            unit = c.RegisterUnit(id=f"unit-{n}", unit=f"U{n}", type="PL", station="S", district="d", crew=2)
            core.door.submit(unit, ADMIN)
            tokens.append(core.accounts.create_token("field", f"tracker-{n}", [], f"U{n}"))
        return [*tokens, core.accounts.create_token("dispatcher", "console", ["*"])]
    finally:
        core.close()


@contextmanager
def _running(command: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    # The kernel ends it should the bench be killed: a busy server left behind spoils every later figure.
    leashed = [sys.executable, "-P", "-c", up.LEASHED, *command]
    server = subprocess.Popen(leashed, cwd=ROOT, env={**env, "STRAJA_SUPERVISOR": str(os.getpid())})
    try:
        yield server
    finally:
        server.terminate()
        server.wait(30)


@dataclass(frozen=True)
class Seen:
    """p99 of calls before and during the load, what was sent at the rate offered and as fast as it was
    answered (each with the seconds until all of it was on disk), and the server's memory at the end."""

    idle_ms: float
    busy_ms: float
    steady: dict[str, Any]
    most: dict[str, Any]
    rss_mb: float


async def _beside_consoles(
    url: str, port: int, tokens: list[str], seconds: float, server: subprocess.Popen[bytes]
) -> Seen:
    *trackers, dispatcher = tokens
    consoles = [Console(url, dispatcher, {}) for _ in range(CONSOLES)]
    tasks = [asyncio.create_task(console.run()) for console in consoles]
    await asyncio.wait_for(asyncio.gather(*(console.ready.wait() for console in consoles)), 60)
    stop = threading.Event()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {dispatcher}"

    def call() -> float:
        body = {
            "id": str(uuid.uuid4()),
            "type": "F01",
            "location": {"lon": 24.9445, "lat": 60.1716},
            "address": "Kaisaniemenkatu 5",
            "description": "smoke on the third floor",
            "caller": {"name": "a caller", "phone": "0700000000"},
        }
        began = time.perf_counter()
        answer = session.post(f"{url}/api/v1/incidents", json=body, timeout=20)
        took = 1000 * (time.perf_counter() - began)
        if answer.status_code != 201:
            raise BenchError(f"a call was answered {answer.status_code}: {answer.text[:300]}")
        time.sleep(max(0.0, CALL_EVERY_S - took / 1000))
        return took

    def calls(most: int) -> list[float]:
        taken: list[float] = []
        while len(taken) < most and not stop.is_set():
            taken.append(call())
        return taken

    await asyncio.to_thread(calls, 10)
    idle = await asyncio.to_thread(calls, round(seconds / 2 / CALL_EVERY_S))
    frames_before = [console.position_frames for console in consoles]

    def sending(per_s: float) -> dict[str, Any]:
        done = load(port, "/api/v1/positions", trackers, seconds, per_s)()
        began = time.monotonic()
        while requests.get(f"{url}/healthz", timeout=10).json()["positions_lag_s"]:
            time.sleep(0.02)
        return {**done, "seconds": done["seconds"] + time.monotonic() - began}

    busy_calls = asyncio.create_task(asyncio.to_thread(calls, 1_000_000))
    steady = await asyncio.to_thread(sending, OFFERED_PER_S)
    stop.set()
    busy = await busy_calls
    for console, before in zip(consoles, frames_before, strict=True):
        if console.position_frames - before < seconds:
            raise BenchError(f"a console got {console.position_frames - before} frames in {seconds:.0f} s")
    most = await asyncio.to_thread(sending, 0)
    rss_mb = max(p.memory_info().rss for p in psutil.Process(server.pid).children()) / 1e6
    for task in tasks:
        task.cancel()
    idle_ms, busy_ms = (float(np.percentile(taken, 99)) for taken in (idle, busy))
    return Seen(idle_ms, busy_ms, steady, most, rss_mb)


def read_back(config: Config, runs: list[list[list[int]]]) -> list[int]:
    """How many of the positions of each run are in the database, by last fix and by history."""
    tracks = open_core(config, listen=False).tracks
    engine = open_engine(config.tracks_url)
    with engine.connect() as db:
        last = dict(db.execute(select(last_fix.c.unit, last_fix.c.observed_at)).tuples().all())
    engine.dispose()
    right = [0] * len(runs)
    for n in range(UNITS):
        sent = [times for run in runs for times in run[n]]
        if not sent or last.get(f"U{n}") != sent[-1]:
            continue
        trail = tracks.trail(f"U{n}", sent[0], sent[-1], limit=1_000_000)
        known = [kept.observed_us for kept in trail]
        for i, run in enumerate(runs):
            if run[n]:
                lons = np.interp(run[n], known, [kept.lon for kept in trail])
                lats = np.interp(run[n], known, [kept.lat for kept in trail])
                there = np.array([place(n, at) for at in run[n]])
                off_m = haversine_m(there[:, 0], there[:, 1], lons, lats)
                right[i] += int(np.sum(off_m <= ERROR_M))
    return right


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_load(json.load(sys.stdin)))))
