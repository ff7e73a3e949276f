"""The database is not there: when the processes start, and in the middle of dispatching."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import requests
from flask import Flask
from sqlalchemy.exc import OperationalError

from app import doorway, up
from app.core import NotYet
from app.up import wait_until
from tests.app.board import FarConsole, Remote, far_console
from tests.app.control_room import RAILWAY_STATION, Room

if TYPE_CHECKING:
    from tests.conftest import PostgreSQL, Server

AT = dict(zip(("lon", "lat"), RAILWAY_STATION, strict=True))
ANSWERED_WITHIN_S = 15.0
"""However the database is, whoever asks gets an answer."""


@pytest.fixture(scope="module")
def city(own_postgresql: PostgreSQL, start_server: Callable[..., Server]) -> Iterator[Server]:
    """A station on a server of its own, which these stories stop and start."""
    server = start_server(own_postgresql.url(own_postgresql.fresh()))
    yield server
    server.stop()


@pytest.fixture
def remote(city: Server) -> Remote:
    return Remote(city.url, admins_token(city))


def admins_token(server: Server) -> str:
    words = up.straja("token", "create", "--role", "admin", "--name", f"t{uuid.uuid4().hex[:8]}")
    done = subprocess.run(words, env=server.env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def pids(server: Server) -> dict[str, int]:
    return {name: process.pid for name, process in server.processes.items() if process.poll() is None}


class Desks:
    """People who take calls as fast as they are answered, and remember what they were told."""

    def __init__(self, remote: Remote, n: int = 4) -> None:
        self.remote = remote
        self.told: dict[str, int] = {}
        self.refused: list[dict[str, Any]] = []
        self.codes: set[str] = set()
        self.retry_after: set[bool] = set()
        self.slowest_s = 0.0
        self.strange: list[Any] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(n)]

    def __enter__(self) -> Desks:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self) -> None:
        while not self._stop.is_set():
            report = {"id": str(uuid.uuid4()), "type": "F05", "location": AT, "description": "fum"}
            begun = time.monotonic()
            try:
                answer = requests.post(
                    f"{self.remote.url}/api/v1/incidents",
                    json=report,
                    headers={"Authorization": f"Bearer {self.remote.token}"},
                    timeout=60,
                )
            except requests.RequestException as error:
                self.strange.append(error)
                continue
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            if answer.status_code == 201:
                self.told[report["id"]] = answer.json()["number"]
            else:
                self._refusal(answer, report)

    def _refusal(self, answer: requests.Response, report: dict[str, Any]) -> None:
        if answer.headers.get("Content-Type") != "application/problem+json" or answer.status_code != 503:
            self.strange.append((answer.status_code, answer.text))
            return
        self.codes.add(answer.json()["code"])
        self.retry_after.add("Retry-After" in answer.headers)
        self.refused.append(report)
        self._stop.wait(0.1)


def assert_nothing_was_lost(desks: Desks, remote: Remote) -> None:
    """What was acknowledged is there with its number; what was refused is there once when sent again."""
    assert not desks.strange, desks.strange[:3]
    assert desks.slowest_s < ANSWERED_WITHIN_S
    for incident, number in desks.told.items():
        assert remote.get(f"/incidents/{incident}")["number"] == number
    for report in desks.refused:
        remote.done("POST", "/incidents", report)
        remote.done("POST", "/incidents", report)
        assert remote.get(f"/incidents/{report['id']}")["description"] == "fum"
    numbers = [row["number"] for row in remote.everything()]
    assert len(numbers) == len(set(numbers))


def parts(server: Server) -> dict[str, str]:
    found: dict[str, str] = requests.get(f"{server.url}/healthz", timeout=10).json()["parts"]
    return found


def trouble_on(console: FarConsole) -> dict[str, str] | None:
    """What the newest pulse says."""
    found: dict[str, str] | None = console.pulses[-1]["trouble"] if console.pulses else None
    return found


def verified(server: Server) -> str:
    done = subprocess.run(up.straja("verify"), env=server.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def stopped(server: PostgreSQL, how: signal.Signals = signal.SIGINT) -> Iterator[None]:
    server.stop(how)
    try:
        yield
    finally:
        server.start()


# ---- at the start


def test_a_database_that_comes_up_later_is_waited_for_and_it_is_said(
    own_postgresql: PostgreSQL, start_server: Callable[..., Server]
) -> None:
    # Given a station that was in use, and is started before its database is
    server = start_server(own_postgresql.url(own_postgresql.fresh()))
    server.stop()
    with stopped(own_postgresql):
        for part in ("web", "keeper"):
            launch(server, part)
        assert wait_until(lambda: answers(server), 60), server.logs()
        # Then people get the page, which tells them, and machines a problem that says why and when to come
        page = requests.get(server.url, timeout=10)
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        for method, path in (("GET", "/api/v1/session"), ("POST", "/api/v1/incidents")):
            answer = requests.request(method, server.url + path, timeout=10)
            assert (answer.status_code, answer.json()["code"]) == (503, "storage-unavailable")
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) > 0
        ready = requests.get(f"{server.url}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        health = requests.get(f"{server.url}/healthz", timeout=10)
        assert (health.status_code, health.json()["status"]) == (503, "down")
        assert "database does not answer" in health.json()["parts"]["log"]
        # and the logs say it in a line, not over and over
        for part in ("web", "keeper"):
            assert wait_until(lambda part=part: said(server, part, "waiting, and trying again"), 30)
            assert len(said(server, part, "waiting, and trying again")) <= 3
            assert not said(server, part, "Traceback")
        before = pids(server)
    # When the database comes, everything goes on by itself, in the same processes
    assert wait_until(lambda: up.healthy(server.url), 60), server.logs()
    assert pids(server) == before
    Remote(server.url, admins_token(server)).done(
        "POST", "/incidents", {"id": str(uuid.uuid4()), "type": "F05", "location": AT}
    )
    server.stop()


def launch(server: Server, part: str) -> None:
    log = (server.var / "log" / f"{part}.log").open("wb")
    server.processes[part] = subprocess.Popen(
        up.straja(part), cwd=up.ROOT, env=server.env, stdout=log, stderr=log, start_new_session=True
    )
    log.close()


def answers(server: Server) -> bool:
    try:
        requests.get(f"{server.url}/healthz", timeout=5)
    except requests.RequestException:
        return False
    return True


def said(server: Server, part: str, words: str) -> list[str]:
    lines = (server.var / "log" / f"{part}.log").read_text().splitlines()
    return [line for line in lines if words in line]


def test_up_waits_for_the_database_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a database that refuses twice, then answers
    told: list[str] = []
    tries = iter([psycopg.OperationalError("connection refused\n\tIs the server running?"), None])

    class Answers:
        def close(self) -> None: ...

    ours, real = threading.get_ident(), psycopg.connect

    def connect(*args: Any, **more: Any) -> Any:
        if threading.get_ident() != ours:
            # The threads of rooms that other stories have open go on as ever.
            return real(*args, **more)
        trouble = next(tries)
        if trouble is not None:
            raise trouble
        return Answers()

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(up, "say", told.append)
    up.wait_for_database("postgresql://straja@127.0.0.1:1/x")
    assert [line.partition(":")[0] for line in told] == [
        "waiting, and trying again every second",
        "the database answers; going on",
    ]


# ---- in the middle of dispatching


def test_a_database_that_goes_away_again_at_the_last_moment_is_waited_for_too(
    embedded_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a database that answers, and is gone when the application wants its first rows
    closed: list[bool] = []
    went_away = iter([OperationalError("SELECT", None, Exception("gone"))] * 2)

    class Opened:
        def close(self) -> None:
            closed.append(True)

    def build(*_: Any) -> Flask:
        if error := next(went_away, None):
            raise error
        return Flask("open")

    monkeypatch.setattr(doorway, "try_core", lambda config: Opened())
    monkeypatch.setattr(doorway, "build", build)
    monkeypatch.setattr(doorway, "EVERY_S", 0.01)
    # then the doors open once it is back, and nothing of the attempts stays
    door = doorway.Doorway(embedded_room.core.config, NotYet("storage-unavailable", "away"))
    assert wait_until(lambda: getattr(door, "_app").name == "open", 10)  # noqa: B009
    assert len(closed) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_database_that_is_away_for_a_while_loses_nothing_that_was_acknowledged(
    city: Server, own_postgresql: PostgreSQL, remote: Remote, how: signal.Signals
) -> None:
    before = pids(city)
    # Given four desks that take calls, and a console
    with far_console(city.url, auth={"token": remote.token}) as console, Desks(remote) as desks:
        assert wait_until(lambda: len(desks.told) >= 10, 30)
        with stopped(own_postgresql, how):
            gone = time.time()
            # Then every call is refused in words, within seconds, and the console is told since when
            assert wait_until(lambda: len(desks.refused) >= 12, 60), desks.strange
            assert wait_until(lambda: trouble_on(console) is not None, 15)
            trouble = trouble_on(console)
            assert trouble is not None
            assert trouble["code"] in ("storage-unavailable", "outcome-unknown")
            since = datetime.fromisoformat(trouble["since"]).timestamp()
            assert gone - 2 <= since <= gone + 10
            assert not console.cut.is_set()
            # What is known is still shown, to whoever had signed in
            assert remote.get("/units") is not None
            told = len(desks.told)
            assert wait_until(lambda: time.time() - gone > 6, 10)
            assert len(desks.told) == told
            assert (trouble_on(console) or {})["since"] == trouble["since"]
        # When it is back, so is recording, without a restart; the console is told that, too
        assert wait_until(lambda: len(desks.told) >= told + 5, 60), city.logs()
        assert wait_until(lambda: trouble_on(console) is None, 15)
    assert desks.codes <= {"storage-unavailable", "outcome-unknown"}
    assert desks.retry_after == {True}
    assert_nothing_was_lost(desks, remote)
    assert wait_until(lambda: parts(city)["keeper"] == "ok", 20)
    assert pids(city) == before
    assert "0 faults" in verified(city)


def test_connections_cut_in_the_middle_of_traffic_lose_nothing(
    city: Server, own_postgresql: PostgreSQL, remote: Remote
) -> None:
    with Desks(remote) as desks:
        for _ in range(6):
            told = len(desks.told)
            assert wait_until(lambda told=told: len(desks.told) >= told + 5, 30), desks.strange
            # When the server cuts everybody off, in the middle of whatever they do
            own_postgresql.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        told = len(desks.told)
        assert wait_until(lambda: len(desks.told) >= told + 5, 30)
    assert_nothing_was_lost(desks, remote)
    assert "0 faults" in verified(city)


def test_a_database_that_can_only_be_read_is_read_and_the_refusal_says_so(
    city: Server, own_postgresql: PostgreSQL, remote: Remote
) -> None:
    name = city.env["STRAJA_DATABASE_URL"].rpartition("/")[2]
    incident = {"id": str(uuid.uuid4()), "type": "F05", "location": AT}
    remote.done("POST", "/incidents", incident)
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    # Given a database that takes no writes, as a standby does
    own_postgresql.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    own_postgresql.run(cut)
    try:
        refused = {"id": str(uuid.uuid4()), "type": "F05", "location": AT}

        def refusal() -> bool:
            status, body = remote.call("POST", "/incidents", refused)
            assert status == 503, body
            return "read-only" in body["detail"]

        assert wait_until(refusal, 20)
        # Then what is known can be read, and health says why nothing can be recorded
        assert remote.get(f"/incidents/{incident['id']}")["id"] == incident["id"]
        assert "read-only" in parts(city)["log"]
    finally:
        own_postgresql.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        own_postgresql.run(cut)
    # When it takes them again, the same call goes through
    assert wait_until(lambda: remote.call("POST", "/incidents", refused)[0] == 201, 20)
