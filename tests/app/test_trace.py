"""Every request can be found again in the logs by its number, and no line holds what callers said."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from app import trace
from app.native import offload, start_thread
from tests.app.control_room import PHONE, Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server

ID = re.compile(r"[0-9a-f]{12}")


class Lines(logging.Handler):
    """What a station's collector of lines is given."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(trace.Json("web", "C1"))
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def about(self, request_id: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("request_id") == request_id]


@pytest.fixture
def lines() -> Iterator[Lines]:
    heard, root = Lines(), logging.getLogger()
    before = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    yield heard
    root.removeHandler(heard)
    root.setLevel(before)


# ---- the id


def test_an_answer_names_its_request_and_so_does_its_line(embedded_room: Room, lines: Lines) -> None:
    answer = embedded_room.ana.post("/incidents", {"type": "nonsense"}, x_request_id="tablet-7.call_0001")
    assert answer.headers["X-Request-Id"] == "tablet-7.call_0001"
    assert answer.json["request_id"] == "tablet-7.call_0001"
    [line] = lines.about("tablet-7.call_0001")
    assert (line["method"], line["route"], line["status"]) == ("POST", "/api/v1/incidents", 422)
    assert (line["level"], line["logger"]) == ("INFO", "straja.request")
    assert line["actor"] == f"dispatcher:{embedded_room.ana.name}"
    assert (line["process"], line["station"]) == ("web", "C1")
    assert line["duration_ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 65, "with space", "new\nline-1", 'inj"ected', "ăîșțâ-1234"]
)
def test_an_id_that_is_not_well_formed_is_replaced(given: str) -> None:
    assert ID.fullmatch(trace.accepted(given))


def test_every_request_without_an_id_gets_one_of_its_own(embedded_room: Room) -> None:
    answers = [embedded_room.ana.get("/catalogue").headers["X-Request-Id"] for _ in range(3)]
    assert len(set(answers)) == 3
    assert all(ID.fullmatch(answer) for answer in answers)


def test_a_stranger_a_wrong_path_and_a_wrong_method_are_answered_with_an_id_too(embedded_room: Room) -> None:
    for answer in (
        embedded_room.stranger.get("/incidents"),
        embedded_room.ana.get("/no/such/thing"),
        embedded_room.ana.call("PUT", "/incidents"),
    ):
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_an_error_nobody_foresaw_is_told_once_with_its_stack_and_its_number_reaches_the_dispatcher(
    embedded_room: Room, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("app.api.units.core", broken)
    answer = embedded_room.ana.get("/units")
    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    told = lines.about(answer.json["request_id"])
    assert [line["level"] for line in told] == ["ERROR", "ERROR"]
    assert [line.get("exception") for line in told] == ["ZeroDivisionError", None]
    assert "a fault of ours" in told[0]["stack"]
    assert told[1]["status"] == 500


# ---- what is told, and what is not


def test_lines_hold_nothing_that_a_caller_said(embedded_room: Room, lines: Lines) -> None:
    room = embedded_room
    incident = room.incident(
        description="a plâns la telefon", caller={"name": "Ioana Dragomirescu", "phone": PHONE}
    )
    room.ana.get(f"/incidents?q={PHONE.replace('+', '%2B')}&state=all")
    room.ana.get(f"/incidents/{incident['id']}")
    room.stranger.post("/session", {"name": "ana", "password": "parola-mea-secreta"})
    heard = json.dumps(
        [line for line in lines.lines if line["logger"] == "straja.request"], ensure_ascii=False
    )
    assert "/api/v1/incidents/{incident_id}" in heard
    for secret in (
        "plâns",
        "Dragomirescu",
        PHONE,
        PHONE[1:],
        "parola",
        incident["id"],
        room.ana.token or "?",
    ):
        assert secret not in heard


def test_health_is_not_told_reads_and_positions_are_quiet_and_what_fails_or_lasts_is_loud(
    lines: Lines,
) -> None:
    def level(method: str, route: str, status: int, seconds: float) -> str | None:
        lines.lines.clear()
        trace.tell_request(method, route, status, seconds)
        return lines.lines[0]["level"] if lines.lines else None

    assert level("GET", "/healthz", 200, 0.01) is None
    assert level("GET", "/readyz", 503, 0.01) == "WARNING"
    assert level("GET", "/api/v1/units", 200, 0.01) == "DEBUG"
    assert level("POST", "/api/v1/positions", 202, 0.01) == "DEBUG"
    assert level("POST", "/api/v1/incidents", 201, 0.01) == "INFO"
    assert level("POST", "/api/v1/incidents", 201, 1.5) == "WARNING"
    assert level("GET", "/api/v1/units", 200, 1.5) == "WARNING"
    assert level("POST", "/api/v1/incidents", 500, 0.01) == "ERROR"


def test_for_people_a_line_is_one_line_with_the_request_at_its_end() -> None:
    record = logging.LogRecord("straja.log", logging.WARNING, "", 0, "the disk is %s", ("full",), None)
    with trace.working_on(trace.Asked("3f9c02a17be4", "dispatcher:ana")):
        line = trace.Text().format(record)
    assert line.endswith("WARNING straja.log: the disk is full [3f9c02a17be4 dispatcher:ana]")
    assert trace.Text().format(record).endswith("the disk is full")


# ---- where the id goes


def test_other_threads_that_work_for_a_request_name_it_too_and_others_do_not() -> None:
    found: dict[str, str | None] = {}
    done = threading.Event()

    def look() -> None:
        found["thread"] = trace.request_id()
        done.set()

    with trace.working_on(trace.Asked("3f9c02a17be4")):
        found["offloaded"] = offload(trace.request_id)
        start_thread(look, "test")
        assert done.wait(10)
        with ThreadPoolExecutor(1) as stranger:
            found["stranger"] = stranger.submit(trace.request_id).result()
    assert found == {"offloaded": "3f9c02a17be4", "thread": "3f9c02a17be4", "stranger": None}
    assert trace.request_id() is None


def test_an_error_nobody_caught_is_one_line_with_its_stack() -> None:
    script = (
        "import threading, sys\nfrom app import trace\nfrom config import Config\n"
        "settings = {'STRAJA_LOG_FORMAT': 'json', 'STRAJA_STATION': 'C7'}\n"
        "trace.set_up(Config.from_env(settings), 'keeper')\n"
        "def fail(): raise ValueError('in a thread')\n"
        "t = threading.Thread(target=fail, name='helper'); t.start(); t.join()\nraise KeyError('in main')\n"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["message"], first["exception"]) == ("uncaught in helper", "ValueError")
    assert (second["message"], second["exception"]) == ("uncaught in main", "KeyError")
    assert {line["level"] for line in (first, second)} == {"CRITICAL"}
    assert (second["process"], second["station"]) == ("keeper", "C7")


def test_gunicorns_lines_take_the_form_in_whatever_case_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from gunicorn.config import Config as Gunicorn

    monkeypatch.setenv("STRAJA_LOG_FORMAT", " JSON ")
    own = trace.GunicornLog(Gunicorn())
    assert {type(handler.formatter) for handler in own.error_log.handlers} == {trace.Json}


def test_a_database_that_does_not_answer_is_told_without_what_was_asked(
    embedded_room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sqlalchemy import text

    engine = embedded_room.core.engine

    def fails(*_: object) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM nowhere WHERE hash = :hash"), {"hash": "deadbeef"})

    monkeypatch.setattr("app.api.incidents.incident_or_404", fails)
    with caplog.at_level("WARNING"):
        assert embedded_room.ana.get("/incidents/x%0Aforged").status_code == 503
    [line] = [one.getMessage() for one in caplog.records if "database does not answer" in one.getMessage()]
    assert line == (
        "GET /api/v1/incidents/{incident_id}: the database does not answer: no such table: nowhere"
    )
    # Nor by whoever logs the error itself
    with pytest.raises(Exception, match="nowhere") as raised:
        fails()
    assert "deadbeef" not in str(raised.value)


def test_a_running_station_writes_nothing_but_objects(start_server: Callable[..., Server]) -> None:
    import requests

    server = start_server(STRAJA_LOG_FORMAT="json", STRAJA_LOG_LEVEL="DEBUG")
    login = next(one for one in server.demo if one["role"] == "dispatcher")
    answer = requests.post(
        f"{server.url}/api/v1/session",
        json={"name": login["name"], "password": login["password"]},
        headers={"X-Request-Id": "the-first-login"},
        timeout=20,
    )
    assert answer.headers["X-Request-Id"] == "the-first-login"
    server.stop()
    lines = [
        json.loads(line)
        for part in ("web", "keeper")
        for line in io.StringIO((server.var / "log" / f"{part}.log").read_text())
    ]
    assert {"web", "keeper"} <= {line["process"] for line in lines}
    assert [line["route"] for line in lines if line.get("request_id") == "the-first-login"] == [
        "/api/v1/session"
    ]
