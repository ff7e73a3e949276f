"""How soon a station is there again, and how much memory it takes.

`second_start_s` runs from `straja up` on a folder that was used before to the first 200 of /healthz, the demo
off and the console built; its peer is the least that any such server needs: a bare Flask application under
gunicorn and gevent that imports numpy and numba, from its start to its first answer. `web_rss_mb` is the
resident memory of the web process with central Helsinki, after a call, a recommendation and an address were
asked for; `web_rss_porto_mb` the same with Porto, where STRAJA_TEST_DATA has its extract; `total_rss_mb` that
of all processes of `up`, with shared pages counted in each. Their peer is the bare server's.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from app import up
from bench.harness import BenchError, Figure
from config import ROOT
from gis.city import bundled_helsinki

DATA = Path(os.environ.get("STRAJA_TEST_DATA", ROOT.parent / "shared" / "data"))
READY_WITHIN_S = 120.0
BARE = """
import numba, numpy
from flask import Flask

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return {"status": "ok", "sum": int(numpy.arange(3).sum())}
"""


def run(full: bool, folder: Path) -> list[Figure]:
    if not (ROOT / "app" / "static" / "console" / "index.html").is_file():
        raise BenchError("the console is not built: run ./straja build-console first")
    times = 5 if full else 3
    # Under another name than the demo's own: nothing is looked for on the network.
    helsinki = prepared(folder / "helsinki", bundled_helsinki())
    bare_s, bare_mb = [], 0.0
    start_s: list[float] = []
    web_mb = total_mb = 0.0
    with serving_up(helsinki):
        pass
    for _ in range(times):
        with bare(folder) as (took_s, process):
            bare_s.append(took_s)
            bare_mb = max(bare_mb, memory_mb(worker_of(process)))
        with serving_up(helsinki) as (took_s, process, url):
            start_s.append(took_s)
            use(helsinki, url)
            web_mb = max(web_mb, memory_mb(web_of(process)))
            total_mb = max(total_mb, sum(memory_mb(p) for p in (process, *process.children(recursive=True))))
    peer = "bare Flask, gunicorn, gevent, numpy, numba"
    figures = [
        Figure("second_start_s", middle(start_s), "s", peer, middle(bare_s)),
        Figure("web_rss_mb", web_mb, "MB", peer, bare_mb),
        Figure("total_rss_mb", total_mb, "MB", f"one process: {peer}", bare_mb),
    ]
    extract = DATA / "porto.osm.pbf"
    if extract.is_file():
        porto = prepared(folder / "porto", extract)
        with serving_up(porto) as (_, process, url):
            use(porto, url)
            figures.append(Figure("web_rss_porto_mb", memory_mb(web_of(process)), "MB", peer, bare_mb))
    return figures


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def memory_mb(process: psutil.Process) -> float:
    """Resident memory, shared pages included; 0 for a process that has just ended."""
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


# ---- the bare server


@contextmanager
def bare(folder: Path) -> Iterator[tuple[float, psutil.Process]]:
    """(seconds to its first answer, the process) of a server that does nothing."""
    (folder / "bare.py").write_text(BARE)
    port = free_port()
    command = [
        sys.executable,
        "-P",
        "-m",
        "gunicorn",
        "--worker-class",
        "gevent",
        "--bind",
        f"127.0.0.1:{port}",
    ]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--no-control-socket", "--log-level", "warning", "bare:app"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        took_s = until_answered(process, f"http://127.0.0.1:{port}", began)
        yield took_s, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def worker_of(process: psutil.Process) -> psutil.Process:
    """gunicorn's one worker."""
    return process.children()[0]


# ---- the station


def prepared(var: Path, extract: Path) -> Path:
    """A folder with an imported city, ready for `up`."""
    var.mkdir()
    environment = station(var, free_port())
    for words in (
        ["city", "import", str(extract), "--name", "place"],
        ["token", "create", "--role", "admin", "--name", "bench"],
    ):
        done = subprocess.run(
            up.straja(*words), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"`straja {' '.join(words)}` failed:\n{done.stderr}")
    (var / "token").write_text(done.stdout.splitlines()[-1])
    return var


def station(var: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STRAJA_")}
    own = {"STRAJA_VAR": str(var), "STRAJA_PORT": str(port), "STRAJA_DEMO": "0", "REDIS_URL": ""}
    return kept | own | {"PYTHONPATH": str(ROOT)}


@contextmanager
def serving_up(var: Path) -> Iterator[tuple[float, psutil.Process, str]]:
    """(seconds to a good /healthz, the supervisor, the address) of `straja up` on `var`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (var / "up.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            up.straja("up"), cwd=ROOT, env=station(var, port), stdout=log, stderr=log, start_new_session=True
        )
    try:
        took_s = until_answered(process, url, began)
        yield took_s, psutil.Process(process.pid), url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def until_answered(process: subprocess.Popen[bytes], url: str, began: float) -> float:
    """Seconds from `began` to the first 200 of /healthz."""

    def answers() -> bool:
        if process.poll() is not None:
            raise BenchError(f"it ended with {process.returncode} before it answered")
        return up.healthy(url)

    if not up.wait_until(answers, READY_WITHIN_S):
        raise BenchError(f"no answer from {url} within {READY_WITHIN_S:.0f} s")
    return time.monotonic() - began


def web_of(supervisor: psutil.Process) -> psutil.Process:
    """The worker of the web part: of the processes that serve, the one that has no children."""
    serving = [
        process
        for process in supervisor.children(recursive=True)
        if "app:serve()" in " ".join(process.cmdline()) and not process.children()
    ]
    if len(serving) != 1:
        raise BenchError(f"{len(serving)} web workers run, not 1")
    return serving[0]


def use(var: Path, url: str) -> None:
    """What loads everything that a web process holds: an address, a call, a unit and a recommendation."""
    desk = requests.Session()
    desk.headers["Authorization"] = f"Bearer {(var / 'token').read_text().strip()}"
    west, south, east, north = json.loads((var / "cities" / "place" / "city.json").read_text())["bbox"]
    at = {"lon": (west + east) / 2, "lat": (south + north) / 2}
    base = f"{url}/api/v1"

    def post(path: str, body: object) -> None:
        answer = desk.post(base + path, json=body, timeout=60)
        if answer.status_code >= 400:
            raise BenchError(f"POST {path}: {answer.status_code} {answer.text[:300]}")

    incident, unit = str(uuid.uuid4()), f"SV-{uuid.uuid4().hex[:6]}"
    desk.get(f"{base}/addresses", params={"q": "rua 1"}, timeout=60).raise_for_status()
    post("/units", {"id": unit, "type": "SV", "station": "Nord", "crew": 4, "base": at})
    post(f"/units/{unit}/status", {"status": "available"})
    post("/incidents", {"id": incident, "type": "F05", "location": at})
    plan = desk.get(f"{base}/incidents/{incident}/recommendation", timeout=60)
    plan.raise_for_status()
    if not plan.json()["units"]:
        raise BenchError("the recommendation named no unit")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
