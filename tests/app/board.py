"""What a console does with what it hears: a board built from a snapshot and the changes after it, over a
socket in memory or a real one; and a random story for boards to agree on."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
import socketio

from tests.app.control_room import AREA, CALLER, RAILWAY_STATION, Desk, Room

if TYPE_CHECKING:
    from tests.conftest import SeededRandom

PLACE = ("n", "lon", "lat", "fix_at", "fix_received_at", "speed_mps", "heading_deg", "accuracy_m")
"""Fields of a unit that come with position frames, and not with changes."""
HEAD = struct.Struct("<BBHId")


class Board:
    """Holds what a console would show. Frames that do not fit are an error in a test that says so, and a
    reason to ask again otherwise."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.incidents: dict[str, dict[str, Any]] = {}
        self.units: dict[str, dict[str, Any]] = {}
        self.closures: dict[str, dict[str, Any]] = {}
        self.proposals: dict[str, dict[str, Any]] = {}
        self.calls: dict[str, dict[str, Any]] = {}
        self.alarms: dict[str, dict[str, Any]] = {}
        self.heard: list[Any] = []
        self.modes: list[str] = []
        self.applied: list[tuple[str, str]] = []
        self.misfits = 0

    def answer(self, hello: dict[str, Any]) -> None:
        self.heard.append(hello)
        self.modes.append(hello["mode"])
        if hello["mode"] == "snapshot":
            self.incidents, self.units, self.closures, self.proposals = {}, {}, {}, {}
            self.calls = {}
            self.alarms = {}
        self.merge(hello)
        self.cursor = hello["cursor"]

    def merge(self, rows: dict[str, Any]) -> None:
        for row in rows["incidents"]:
            self.incidents[row["id"]] = row
        for row in rows["units"]:
            self.units[row["id"]] = row
        for row in rows["closures"]:
            self.closures[row["id"]] = row
        for row in rows["proposals"]:
            self.proposals[row["id"]] = row
        for row in rows["calls"]:
            self.calls[row["id"]] = row
        for row in rows["alarms"]:
            self.alarms[row["id"]] = row
        for gone in rows["gone"]["incidents"]:
            self.incidents.pop(gone, None)

    def changes(self, frame: dict[str, Any]) -> None:
        self.heard.append(frame)
        if frame["from"] != self.cursor:
            self.misfits += 1
            return
        self.merge(frame)
        self.applied.append((frame["from"], frame["to"]))
        self.cursor = frame["to"]

    def shown(self) -> dict[str, Any]:
        """What stands on it: the open incidents, and the units without their places."""
        return {
            "incidents": {key: row for key, row in self.incidents.items() if row["state"] == "open"},
            "proposals": {key: row for key, row in self.proposals.items() if row["state"] == "open"},
            "calls": {key: row for key, row in self.calls.items() if row["needs"] is not None},
            "alarms": {key: row for key, row in self.alarms.items() if row["state"] != "normal"},
            "closures": {
                key: row for key, row in self.closures.items() if row["state"] not in ("withdrawn", "expired")
            },
            "units": {
                key: {name: value for name, value in row.items() if name not in PLACE}
                for key, row in self.units.items()
            },
        }


class NearConsole(Board):
    """A console in the memory of the same process."""

    def __init__(self, room: Room, desk: Desk) -> None:
        super().__init__()
        self.room, self.desk = room, desk
        self.connect()

    def connect(self) -> None:
        self.client = self.room.sockets.test_client(self.room.app, auth={"token": self.desk.token})
        assert self.client.is_connected()
        self.hello()

    def hello(self) -> None:
        # Frames that arrive before the answer are still in the client's queue: they are taken after it.
        self.answer(self.client.emit("hello", {"cursor": self.cursor}, callback=True))

    def drop(self) -> None:
        """The line breaks: what was on its way is lost."""
        self.client.disconnect()

    def listen(self) -> None:
        """Take what has arrived."""
        for event in self.client.get_received():
            if event["name"] == "changes":
                self.changes(event["args"][0])
            else:
                self.heard.append(event)


@dataclass
class Remote:
    """A caller of a real server over HTTP, with a token."""

    url: str
    token: str | None

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        more: dict[str, Any] = {} if body is None else {"json": body}
        answer = requests.request(method, f"{self.url}{AREA}{path}", headers=sent, timeout=20, **more)
        return answer.status_code, answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        status, body = self.call("GET", path)
        assert status == 200, body
        return body

    def everything(self) -> list[dict[str, Any]]:
        """Every incident there is, page after page."""
        rows: list[dict[str, Any]] = []
        path = "/incidents?state=all&limit=500"
        while True:
            answer = requests.get(
                f"{self.url}{AREA}{path}", headers={"Authorization": f"Bearer {self.token}"}, timeout=20
            )
            rows += answer.json()
            if "next" not in answer.links:
                return rows
            path = answer.links["next"]["url"].partition(AREA)[2]

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """A call that must succeed; its answer."""
        status, answer = self.call(method, path, body)
        assert status in (200, 201, 202), answer
        return answer


def new_client(origin: str | None = None) -> socketio.Client:
    """A socket as a browser's page at `origin` opens it, or a program that has none."""
    options = {"origin": origin} if origin else {"suppress_origin": True}
    return socketio.Client(reconnection=False, handle_sigint=False, websocket_extra_options=options)


class FarConsole(Board):
    """A console on a real socket to a real server; every frame is taken as it comes, as the browser does."""

    def __init__(self, url: str, **login: Any) -> None:
        super().__init__()
        self.url, self.login = url, login
        self.origin = login.pop("origin", None)
        self.lock = threading.RLock()
        self.waiting: list[dict[str, Any]] | None = None
        self.frames: list[tuple[float, bytes]] = []
        self.pulses: list[dict[str, Any]] = []
        self.revoked = threading.Event()
        self.cut = threading.Event()
        self.connect()

    def connect(self) -> None:
        self.cut.clear()
        client = new_client(self.origin)
        client.on("changes", self._changes)
        client.on("positions", lambda frame: self.frames.append((time.monotonic(), frame)))
        client.on("pulse", self.pulses.append)
        client.on("revoked", lambda _: self.revoked.set())
        client.on("disconnect", lambda *_: self.cut.set())
        client.connect(self.url, transports=["websocket"], wait_timeout=10, **self.login)
        self.client = client
        self.hello()

    def hello(self) -> None:
        with self.lock:
            self.waiting = []
        answer = self.client.call("hello", {"cursor": self.cursor}, timeout=20)
        assert "error" not in answer, answer
        with self.lock:
            self.answer(answer)
            # Frames may overtake the answer: those that fit it are applied after it.
            waited, self.waiting = self.waiting or [], None
            for frame in waited:
                if frame["from"] == self.cursor:
                    self.changes(frame)

    def _changes(self, frame: dict[str, Any]) -> None:
        with self.lock:
            if self.waiting is not None:
                self.waiting.append(frame)
            else:
                self.changes(frame)

    def drop(self) -> None:
        self.client.disconnect()

    def close(self) -> None:
        self.client.disconnect()


@contextmanager
def far_console(url: str, **login: Any) -> Iterator[FarConsole]:
    console = FarConsole(url, **login)
    try:
        yield console
    finally:
        console.close()


@dataclass
class Dot:
    """One unit in a position frame."""

    n: int
    lon: float
    lat: float
    age_ms: int
    heading_deg: float | None
    speed_mps: float | None


def read_frame(frame: bytes) -> tuple[float, dict[int, Dot]]:
    """A binary position frame as docs/live.md gives it: (server time in seconds, dots by n)."""
    version, flags, reserved, count, server_s = HEAD.unpack_from(frame)
    assert (version, flags, reserved) == (1, 0, 0)
    assert len(frame) == 16 + 20 * count
    at = 16
    columns = []
    for kind, size in (("I", 4), ("i", 4), ("i", 4), ("I", 4), ("H", 2), ("H", 2)):
        columns.append(struct.unpack_from(f"<{count}{kind}", frame, at))
        at += size * count
    dots = {}
    for n, lon, lat, age, heading, speed in zip(*columns, strict=True):
        known_heading = None if heading == 65535 else heading / 10
        dots[n] = Dot(n, lon / 1e7, lat / 1e7, age, known_heading, None if speed == 65535 else speed / 100)
    return server_s, dots


Call = Callable[[str, str, Any], tuple[int, Any]]


def near_call(desk: Desk) -> Call:
    def call(method: str, path: str, body: Any) -> tuple[int, Any]:
        answer = desk.call(method, path, body)
        return answer.status_code, answer.json

    return call


@dataclass
class Story:
    """Calls, sendings, statuses and endings in random order, as an admin's desk makes them. What is refused
    is refused; what fails is a failure."""

    call: Call
    random: SeededRandom
    units: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    done: int = 0
    refused: int = 0

    def make_units(self, prefix: str) -> None:
        crew = self.random.uuid()
        for n, kind in enumerate(("SV", "SV", "SV", "SV", "IL", "B2", "B2", "PN")):
            name = f"{prefix}{n}"
            shared = crew if n < 2 else None
            self.units.append(name)
            body = {"id": name, "type": kind, "station": "Nord", "crew": 4, "crew_id": shared}
            self.do("POST", "/units", body)
            self.do("POST", f"/units/{name}/status", {"status": "available"})

    def do(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        assert status < 500, (method, path, body, answer)
        self.done += status < 400
        self.refused += status >= 400
        return answer

    def step(self) -> None:
        """One more thing happens."""
        random = self.random
        unit = random.choice(self.units)
        if not self.incidents or random.random() < 0.12:
            lon, lat = RAILWAY_STATION
            body = {
                "id": random.uuid(),
                "type": random.choice(("F05", "M01", "P01", "F01")),
                "location": {"lon": lon + random.uniform(-0.005, 0.005), "lat": lat},
                "description": "fum",
                "caller": CALLER,
            }
            self.do("POST", "/incidents", body)
            self.incidents.append(str(body["id"]))
            return
        incident = f"/incidents/{random.choice(self.incidents[-6:])}"
        yes = random.choice(("accepted", "refused"))
        statuses = ("acknowledged", "en_route", "on_scene", "available", "returning", "out_of_service")
        again = {"id": unit, "type": "SV", "station": "Sud", "crew": random.randint(0, 6)}
        choices: list[tuple[int, str, str, Any]] = [
            (
                6,
                "POST",
                f"{incident}/assignments",
                {"units": random.sample(self.units, random.randint(1, 2))},
            ),
            (3, "DELETE", f"{incident}/assignments/{unit}", None),
            (4, "POST", f"{incident}/requests/{unit}/answer", {"answer": yes, "name": "x", "via": "api"}),
            (8, "POST", f"/units/{unit}/status", {"status": random.choice(statuses), "reason": "r"}),
            (2, "POST", f"/units/{unit}/flags", {"flag": "emergency", "on": random.random() < 0.5}),
            (1, "POST", "/units", again),
            (2, "POST", f"{incident}/notes", {"text": "o notă"}),
            (1, "POST", f"{incident}/acknowledge", None),
            (2, "PATCH", incident, {"priority": random.choice(("P1", "P2", "P3"))}),
            (1, "POST", f"{incident}/alarm-level", {"level": random.randint(1, 3)}),
            (3, "POST", f"{incident}/close", {"outcome": "gata"}),
            (1, "POST", f"{incident}/reopen", {"reason": "iar"}),
            (1, "POST", f"{incident}/case-numbers", {"agency": "ISU", "number": str(random.randint(1, 99))}),
        ]
        [chosen] = random.choices(choices, [weight for weight, *_ in choices])
        self.do(*chosen[1:])
