"""A control room for tests of the API: the real application on a real database in the demo city, people of
every role at its doors, and crews that a test brings into service as its story needs them."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argon2 import PasswordHasher
from flask import Flask
from flask_socketio import SocketIO
from werkzeug.test import TestResponse

from app import create_app
from app.auth import Accounts
from app.core import Core, open_core
from app.ports import SystemDisk, World
from app.up import wait_until
from config import Config

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

ROLES = ("admin", "supervisor", "dispatcher", "field", "gateway", "observer", "drill_controller")
RAILWAY_STATION = (24.9414, 60.1712)
"""In the middle of the demo city, beside streets (lon, lat)."""
PASSWORD = "trei brazi la munte"
AREA = "/api/v1"
PHONE = "+40 722 318 940"
"""The number of a caller, to be searched for where it must not be."""
CALLER = {"name": "Ioana Dragomirescu", "phone": PHONE}
_numbers = count(1)


def rfc3339(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Desk:
    """One caller of the API: a role's bearer token, or nothing for a stranger."""

    room: Room
    token: str | None
    name: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """`headers` in snake case: idempotency_key="..." is Idempotency-Key."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        more: dict[str, Any] = {} if body is None else {"json": body}
        client = self.room.app.test_client(use_cookies=False)
        return client.open(f"{AREA}{path}", method=method, headers=sent, **more)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.call("PATCH", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.call("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> TestResponse:
        return self.call("DELETE", path, **headers)


@dataclass
class Room:
    """The application, and shortcuts for what most stories begin with."""

    app: Flask
    core: Core
    clock: FakeClock
    random: SeededRandom
    made: dict[str, Desk] = field(default_factory=dict)

    def desk(self, role: str, districts: Sequence[str] = ("*",), unit: str | None = None) -> Desk:
        """Whoever has that role and reach, with a token; the same one each time."""
        who = "/".join((role, *districts, unit or ""))
        if who not in self.made:
            # Another room on the same database makes its own.
            name = f"{role}-{self.uuid()[:8]}"
            token = self.core.accounts.create_token(role, name, districts, unit)
            self.made[who] = Desk(self, token, name)
        return self.made[who]

    @property
    def stranger(self) -> Desk:
        return Desk(self, None, "stranger")

    @property
    def ana(self) -> Desk:
        """A dispatcher who commands all districts."""
        return self.desk("dispatcher")

    @property
    def sockets(self) -> SocketIO:
        found: SocketIO = self.app.extensions["straja_socketio"]
        return found

    def uuid(self) -> str:
        return self.random.uuid()

    def ago(self, seconds: float) -> str:
        return rfc3339(self.clock.now_us() - round(seconds * 1e6))

    def incident(
        self, type: str = "F05", at: tuple[float, float] = RAILWAY_STATION, **more: Any
    ) -> dict[str, Any]:
        """A call taken by Ana; `more` goes into the report."""
        body = {
            "id": self.uuid(),
            "type": type,
            "location": {"lon": at[0], "lat": at[1]},
            "description": "flăcări la motor",
            "caller": CALLER,
        }
        answer = self.ana.post("/incidents", body | more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json
        return found

    def unit(
        self,
        type: str = "SV",
        *,
        call_sign: str | None = None,
        district: str = "centru",
        crew: int = 5,
        status: str | None = "available",
        at: tuple[float, float] | None = None,
        **more: Any,
    ) -> str:
        """A crew brought into service and on the air; the city's own volunteers (owned) by default."""
        name = call_sign or f"{type}{next(_numbers)}"
        body = {"id": name, "type": type, "station": "Nord", "district": district, "crew": crew}
        answer = self.desk("admin").post("/units", body | more)
        assert answer.status_code == 201, answer.text
        if status is not None:
            told = self.desk("admin").post(f"/units/{name}/status", {"status": status})
            assert told.status_code == 200, told.text
        if at is not None:
            self.seen(name, at)
        return name

    def seen(self, unit: str, at: tuple[float, float], seconds_ago: float = 0, **more: Any) -> None:
        """The unit's radio tells where it is."""
        fix = {"unit": unit, "lon": at[0], "lat": at[1], "observed_at": self.ago(seconds_ago)}
        answer = self.desk("gateway").post("/positions", [fix | more])
        assert answer.status_code == 202, answer.text
        assert answer.json["accepted"] == 1, answer.text

    def send(self, incident: str, *units: str, desk: Desk | None = None) -> TestResponse:
        return (desk or self.ana).post(f"/incidents/{incident}/assignments", {"units": list(units)})

    def sent(self, incident: str, *units: str) -> dict[str, Any]:
        answer = self.send(incident, *units)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def facts(self, incident: str, kind: str | None = None) -> list[dict[str, Any]]:
        """The timeline of an incident, of one kind if so asked."""
        lines: list[dict[str, Any]] = self.ana.get(f"/incidents/{incident}/timeline").json
        return [line for line in lines if kind in (None, line["type"])]

    def offers(self, incident: str, expected: int) -> int:
        """How many plans are on record, once `expected` are there or two seconds have gone by: the record
        is made in the background."""
        wait_until(lambda: len(self.facts(incident, "RecommendationOffered")) >= expected, 2)
        return len(self.facts(incident, "RecommendationOffered"))


@dataclass
class GaugedDisk:
    """A disk whose free space the test sets; None asks the real one."""

    free: int | None = None

    def free_bytes(self, path: Path) -> int:
        return SystemDisk().free_bytes(path) if self.free is None else self.free


@contextmanager
def open_room(
    var: Path,
    database: str,
    clock: FakeClock,
    random: SeededRandom,
    city: Path | None,
    disk: GaugedDisk | None = None,
    **settings: str,
) -> Iterator[Room]:
    """The application on `database`, in the city at that folder or in none."""
    if city is not None:
        (var / "cities").mkdir(parents=True, exist_ok=True)
        link = var / "cities" / city.name
        if not link.exists():
            link.symlink_to(city)
    config = Config.from_env({"STRAJA_VAR": str(var), "STRAJA_DATABASE_URL": database, **settings})
    core = open_core(config, World(clock, random, disk or GaugedDisk()))
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    cheap = Accounts(core.engine, clock, random, demo=config.demo, hasher=hasher)
    object.__setattr__(core, "accounts", cheap)
    app = create_app(config, core)
    atexit.unregister(core.close)
    try:
        yield Room(app, core, clock, random)
    finally:
        app.extensions["straja_live"].stop()
        core.close()


def next_page(answer: TestResponse) -> str | None:
    """The path of the next page, from the Link header."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    address, _, rel = link.partition(">")
    assert 'rel="next"' in rel
    return address.removeprefix("<").removeprefix(AREA)


def pages(desk: Desk, path: str) -> list[dict[str, Any]]:
    """All the rows of a list, page after page; no page may be without end."""
    rows: list[dict[str, Any]] = []
    at: str | None = path
    for _ in range(1000):
        answer = desk.get(at or "")
        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json, list)
        rows += answer.json
        at = next_page(answer)
        if at is None:
            return rows
    raise AssertionError(f"{path} has no last page")


def is_problem(
    answer: TestResponse, status: int, code: str | None = None, field: str | None = None
) -> Mapping[str, Any]:
    """The problem+json (RFC 9457) that every error must be, with that code and naming that field."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.mimetype == "application/problem+json", answer.text
    body: dict[str, Any] = json.loads(answer.data)
    assert body["status"] == status
    assert body["type"] == f"urn:straja:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    if code is not None:
        assert body["code"] == code, body
    if field is not None:
        named = [error["field"] for error in body["errors"]]
        assert field in named, body
        assert all(error["message"] for error in body["errors"])
    return body


def console(room: Room, desk: Desk) -> Any:
    """A console connected to this very process over Socket.IO, in memory."""
    return room.sockets.test_client(room.app, auth={"token": desk.token})


def close_quietly(client: Any) -> None:
    with suppress(Exception):
        client.disconnect()
