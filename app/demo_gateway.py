"""The demo's city life as a process: what `DemoWorld` decides, over HTTP, as any gateway would send it.

It opens no database. It reads the road graph and the addresses of the city (a vehicle's own navigation) and
speaks to Straja by the public API alone, with the tokens that `straja demo` left in `var`. Without an answer
it waits, longer each time; what was to be sent meanwhile is not sent later.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import shutil
import signal
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from app import demo, trace, up
from app.demo_world import (
    COLLEAGUE,
    CREWS,
    SOURCE,
    Ask,
    DemoWorld,
    Pace,
    Reply,
    Seen,
    Spot,
    us_of,
)
from config import Config
from gis.geometry import Box
from gis.local_time import zone_of

if TYPE_CHECKING:
    from gis.address import AddressBook
    from gis.travel import RoadGraph

STEP_S = 1.0
LOOK_S = 2.0
"""Between two looks at the board; ten times what a look takes, where that is longer."""
WAIT_S_MAX = 30.0
ASKS_MAX = 40
"""Requests in one step; what is more is decided again in the next."""
PAGES_MAX = 5
DISK_MIN_BYTES = 2_000_000_000
"""With less than this free, nobody calls: a demo never fills the disk."""
TRIES = 12
log = logging.getLogger("straja.demo")

Send = Callable[[Ask], Reply]


class Wire:
    """One connection to the API of this computer's Straja, kept open."""

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        self._parts = urlsplit(url)
        self.tokens = dict(tokens)
        self._connection: http.client.HTTPConnection | None = None

    def send(self, ask: Ask) -> Reply:
        """Never raises: no answer is status 0."""
        headers = {"Authorization": f"Bearer {self.tokens[ask.token]}", "Accept": "application/json"}
        if ask.key is not None:
            headers["Idempotency-Key"] = ask.key
        body = None
        if ask.body is not None:
            body = json.dumps(ask.body, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        for _ in range(2):
            # The server ends connections that were idle. All of the demo's requests may be sent twice.
            kept = self._connection is not None
            try:
                if self._connection is None:
                    self._connection = self._open()
                self._connection.request(ask.method, f"/api/v1{ask.path}", body, headers)
                answer = self._connection.getresponse()
                data = answer.read()
                found = json.loads(data) if "json" in answer.headers.get("Content-Type", "") else None
                return Reply(ask, answer.status, found, answer.headers.get("Link"))
            except (OSError, http.client.HTTPException, ValueError):
                self.close()
                if not kept:
                    break
        return Reply(ask, 0, None)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "127.0.0.1", self._parts.port
        if self._parts.scheme == "https":
            # Our own process on this computer: its certificate is made out for its public name.
            context = ssl._create_unverified_context()  # noqa: S323
            return http.client.HTTPSConnection(host, port, timeout=10, context=context)
        return http.client.HTTPConnection(host, port, timeout=10)


class Watch:
    """Looks at the board: units, open incidents, and in their timelines who else was at work."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._read: dict[str, tuple[int, int, int]] = {}

    def look(self) -> Seen | None:
        """What the API shows, or None where it does not answer."""
        units = self._pages("/units?limit=1000", CREWS)
        incidents = self._pages("/incidents?limit=200", COLLEAGUE) if units is not None else None
        if units is None or incidents is None:
            return None
        proposals = self._pages("/proposals", COLLEAGUE) or []
        open_ids = {row["id"] for row in incidents}
        self._read = {id: read for id, read in self._read.items() if id in open_ids}
        for row in incidents:
            known = self._read.get(row["id"])
            if known is None or known[0] != row["rev"]:
                reply = self._send(Ask("GET", f"/incidents/{row['id']}/timeline", token=COLLEAGUE))
                if reply.status != 200:
                    return None
                self._read[row["id"]] = (row["rev"], *_handled(reply.body))
        touched = {id: read[1] for id, read in self._read.items()}
        looked = {id: read[2] for id, read in self._read.items()}
        return Seen(units, incidents, touched, looked, proposals)

    def _pages(self, path: str, token: str) -> list[dict[str, Any]] | None:
        rows: list[dict[str, Any]] = []
        for _ in range(PAGES_MAX):
            reply = self._send(Ask("GET", path, token=token))
            if reply.status != 200 or not isinstance(reply.body, list):
                return None
            rows += reply.body
            if not reply.link or 'rel="next"' not in reply.link:
                break
            path = reply.link.partition("<")[2].partition(">")[0].removeprefix("/api/v1")
        return rows


def _handled(timeline: list[Mapping[str, Any]]) -> tuple[int, int]:
    """When somebody who is not of the demo last did something to it, and when a plan was last shown."""
    touched = looked = 0
    for line in timeline:
        at_us = us_of(line["at"]) or 0
        if line["type"] == "RecommendationOffered":
            looked = max(looked, at_us)
        elif line["source"] not in (SOURCE, "keeper", "recommendation"):
            touched = max(touched, at_us)
    return touched, looked


class Streets:
    """Where people call from: real addresses on streets that can be driven to."""

    def __init__(
        self, roads: RoadGraph, addresses: AddressBook, bbox: Box, from_: tuple[float, float]
    ) -> None:
        self._roads, self._addresses, self._from = roads, addresses, from_
        a = roads.arrays("car")
        lons, lats = a["point_lon_e7"] / 1e7, a["point_lat_e7"] / 1e7
        west, south, east, north = bbox
        inside = (lons > west) & (lons < east) & (lats > south) & (lats < north)
        self._lons, self._lats = lons[inside], lats[inside]

    def spot(self, roll: Callable[[str], float]) -> Spot | None:
        """A place drawn by `roll`; one with a house number where that is found soon."""
        best: Spot | None = None
        for n in range(TRIES if len(self._lons) else 0):
            i = int(roll(f"point-{n}") * len(self._lons))
            near = self._addresses.reverse(float(self._lons[i]), float(self._lats[i]))
            if near is None:
                continue
            found = Spot(round(near.lon, 7), round(near.lat, 7), near.label)
            if best is not None and near.kind != "address":
                continue
            if self._roads.route(*self._from, found.lon, found.lat, "fire_engine").road:
                best = found
                if near.kind == "address":
                    break
        return best


def open_world(kept: Mapping[str, Any], city: Mapping[str, Any], catalogue: Mapping[str, Any], pace: Pace,
               ours: list[str]) -> DemoWorld | None:  # fmt: skip
    """The life of the city whose folder `kept` names; None where there is nothing to live on: no roads, or
    a pack for which no life is written."""
    life = demo.read_life(catalogue["pack"])
    if life is None or not kept.get("city"):
        return None
    from gis.address import AddressBook
    from gis.roads import Driving
    from gis.travel import RoadGraph

    folder = Path(kept["city"])
    roads = RoadGraph.open(folder, Driving(**catalogue["driving"]) if "driving" in catalogue else None)
    west, south, east, north = kept["core"]
    lon, lat = (west + east) / 2, (south + north) / 2
    a = roads.arrays("car")
    middle = ((a["point_lon_e7"] / 1e7 - lon) ** 2 + (a["point_lat_e7"] / 1e7 - lat) ** 2).argmin()
    from_ = float(a["point_lon_e7"][middle]) / 1e7, float(a["point_lat_e7"][middle]) / 1e7
    streets = Streets(roads, AddressBook.open(folder), cast(Box, tuple(kept["core"])), from_)
    return DemoWorld(
        life,
        catalogue,
        roads,
        [tuple(h) for h in kept["hospitals"]],
        streets.spot,
        seed=sum(map(ord, str(city["name"]))),
        zone=zone_of(lon, lat),
        pace=pace,
        ours=[demo.SEEDER.name, *ours],
    )


class Gateway:
    """The loop: look, decide, send. `send` is the wire; times come with each step."""

    def __init__(self, world: DemoWorld, send: Send) -> None:
        self._world, self._send = world, send
        self._watch = Watch(send)
        self._replies: list[Reply] = []
        self._look_at_s = 0.0
        self.answered = True

    def step(self, now_us: int, at_s: float, took: Callable[[], float] = time.monotonic) -> None:
        """One step at wall time `now_us` and monotonic `at_s`."""
        seen = None
        if at_s >= self._look_at_s:
            began = took()
            seen = self._watch.look()
            self.answered = seen is not None
            self._look_at_s = at_s + max(LOOK_S, 10 * (took() - began)) - STEP_S / 4
        asks = self._world.step(now_us, seen, self._replies)
        self._replies = []
        if not self.answered:
            return
        for ask in asks[:ASKS_MAX]:
            reply = self._send(ask)
            self._replies.append(reply)
            if reply.status in (0, 401, 503, 507):
                # Not possible just now: what else there is to say is decided anew when it is.
                self.answered = False
                break


def main(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Raises up.Trouble where there must be no demo."""
    if not config.demo:
        raise up.Trouble("the demo is off (STRAJA_DEMO=0)", "Start with STRAJA_DEMO=1 on a loopback address.")
    up.check_exposure(config, demo=True)
    trace.set_up(config, "demo-world")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    os.nice(5)
    # A way is looked for every few seconds: plain Python is quick enough, and a compiler is 90 MB.
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    wait_s = 1.0
    while not stop.is_set():
        began = time.monotonic()
        try:
            _live(config, stop)
        except (OSError, ValueError) as error:
            log.warning("the city cannot be read: %s", error)
        wait_s = 1.0 if time.monotonic() - began > 60 else min(WAIT_S_MAX, wait_s * 2)
        stop.wait(wait_s)


def _live(config: Config, stop: threading.Event) -> None:
    """One life: from a server that answers to one that does so no more."""
    kept = json.loads((config.var / demo.FILE).read_text(encoding="utf-8"))
    wire = Wire(up.url_of(config), kept["tokens"])
    try:
        city = wire.send(Ask("GET", "/city"))
        catalogue = wire.send(Ask("GET", "/catalogue"))
        if city.status != 200 or catalogue.status != 200 or not city.body["demo"]:
            return
        pace = Pace(config.demo_calls_per_hour, config.demo_open_max, config.demo_colleague)
        world = open_world(kept, city.body, catalogue.body, pace, kept["names"])
        if world is None:
            log.warning("there is no city life for this pack, or no city: crews stay where they are")
            stop.wait(600)
            return
        gateway = Gateway(world, wire.send)
        log.info("%s lives", city.body["name"])
        wait_s, silent_s, disk_s = STEP_S, 0.0, 0.0
        while not stop.is_set() and silent_s < 120:
            began = time.monotonic()
            if began >= disk_s:
                disk_s = began + 60
                world.calling = shutil.disk_usage(config.var).free > DISK_MIN_BYTES
            gateway.step(time.time_ns() // 1000, began)
            wait_s = STEP_S if gateway.answered else min(WAIT_S_MAX, wait_s * 2)
            silent_s = 0.0 if gateway.answered else silent_s + wait_s
            stop.wait(max(0.05, wait_s - (time.monotonic() - began)))
    finally:
        wire.close()
