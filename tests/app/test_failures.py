"""What breaks, and what goes on: Redis gone, the web process killed, the disk full, an ordinary stop."""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from app.rows import rfc3339
from app.up import redis_server, wait_until
from tests.app.board import FarConsole, Remote
from tests.app.control_room import RAILWAY_STATION, GaugedDisk, Room, is_problem, open_room

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom, Server

AT = dict(zip(("lon", "lat"), RAILWAY_STATION, strict=True))


def health(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{server.url}/healthz", timeout=10).json()
    return found


@contextmanager
def redis(url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis where the stations expect one, killed outright at the end."""
    port = urlsplit(url).port
    command = [redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def dispatch(remote: Remote) -> str:
    """A whole call: taken, recommended, sent, closed. Returns the incident."""
    incident, unit = str(uuid.uuid4()), f"SV-{uuid.uuid4().hex[:8]}"
    remote.done("POST", "/units", {"id": unit, "type": "SV", "station": "Vest", "crew": 4, "base": AT})
    remote.done("POST", f"/units/{unit}/status", {"status": "available"})
    remote.done("POST", "/incidents", {"id": incident, "type": "F05", "location": AT})
    assert remote.get(f"/incidents/{incident}/recommendation")["units"]
    remote.done("POST", f"/incidents/{incident}/assignments", {"units": [unit]})
    remote.done("DELETE", f"/incidents/{incident}/assignments/{unit}")
    remote.done("POST", f"/incidents/{incident}/close", {"outcome": "stins"})
    return incident


def test_dispatching_goes_on_without_redis_and_health_says_so(
    stations: tuple[Server, Server], station_token: str, tmp_path: Path
) -> None:
    server = stations[0]
    remote = Remote(server.url, station_token)
    url = server.env["REDIS_URL"]

    def jobs() -> str:
        return str(health(server)["parts"]["jobs"])

    # Given that none runs: everything works, and whoever asks is told what does not
    assert (jobs(), health(server)["status"]) == ("unavailable", "degraded")
    dispatch(remote)
    # When it comes, all is well
    with redis(url, tmp_path) as process:
        assert wait_until(lambda: jobs() == "ok", 10)
        assert health(server)["status"] == "ok"
        # When it is killed in the middle of work, nobody at a desk notices
        dispatch(remote)
        process.kill()
        process.wait()
        begun = time.monotonic()
        dispatch(remote)
        assert time.monotonic() - begun < 5
        assert (jobs(), health(server)["status"]) == ("unavailable", "degraded")
    # And when it is back, so is health, without a restart
    with redis(url, tmp_path):
        assert wait_until(lambda: health(server)["status"] == "ok", 10)


def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_traffic(
    stations: tuple[Server, Server], station_token: str
) -> None:
    server = stations[0]
    remote = Remote(server.url, station_token)
    console = FarConsole(server.url, auth={"token": station_token})
    told: list[dict[str, Any]] = []
    noted: list[str] = []
    stop = threading.Event()

    def take_calls() -> None:
        while not stop.is_set():
            report = {"id": str(uuid.uuid4()), "type": "F05", "location": AT}
            text = f"nota {uuid.uuid4()}"
            try:
                status, row = remote.call("POST", "/incidents", report)
                if status == 201:
                    told.append(row)
                    if remote.call("POST", f"/incidents/{row['id']}/notes", {"text": text})[0] == 200:
                        noted.append(text)
            except requests.RequestException:
                return

    # Given four desks taking calls as fast as they can
    desks = [threading.Thread(target=take_calls) for _ in range(4)]
    for desk in desks:
        desk.start()
    assert wait_until(lambda: len(noted) >= 40, 30)
    # When the power goes
    server.kill("web")
    stop.set()
    for desk in desks:
        desk.join(30)
    assert console.cut.wait(10)
    server.start("web")
    # Then everything that was acknowledged is there, with the number that was said
    for row in told:
        kept = remote.get(f"/incidents/{row['id']}")
        assert kept["number"] == row["number"]
    rows = [row for row in remote.everything() if row["id"] in {told_row["id"] for told_row in told}]
    kept_notes = {note["text"] for row in rows for note in row["notes"]}
    assert set(noted) <= kept_notes
    numbers = [row["number"] for row in remote.everything()]
    assert len(numbers) == len(set(numbers))
    # And a console that was cut comes back by itself and shows the same as a fresh one
    console.connect()
    fresh = FarConsole(server.url, auth={"token": station_token})
    assert {row["id"] for row in told} <= set(console.incidents)
    assert wait_until(lambda: console.shown() == fresh.shown(), 5)
    for each in (console, fresh):
        each.close()


def test_an_ordinary_stop_loses_nothing(stations: tuple[Server, Server], station_token: str) -> None:
    server = stations[0]
    remote = Remote(server.url, station_token)
    unit = f"SV-{uuid.uuid4().hex[:8]}"
    remote.done("POST", "/units", {"id": unit, "type": "SV", "station": "Vest", "crew": 4})
    # Given calls on the way and positions that were accepted this very moment
    last = 0
    for step in range(20):
        now = time.time_ns() // 1_000_000
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now / 1000)) + f".{now % 1000:03d}Z"
        row = {"unit": unit, "lon": round(24.94 + step * 1e-5, 7), "lat": 60.17, "observed_at": at}
        if remote.done("POST", "/positions", [row])["duplicates"] == 0:
            last = step
    incident = dispatch(remote)
    # When the station is stopped as an operating system stops it
    process = server.processes.pop("web")
    begun = time.monotonic()
    process.terminate()
    process.wait(20)
    assert time.monotonic() - begun < 12
    server.start("web")
    # Then all of it is there
    assert remote.get(f"/units/{unit}")["lon"] == round(24.94 + last * 1e-5, 7)
    assert remote.get(f"/incidents/{incident}")["outcome"] == "stins"


# ---- the disk


def test_on_a_full_disk_nothing_is_acknowledged_nothing_is_lost_and_everything_is_still_read(
    open_another: Callable[..., Room],
) -> None:
    disk = GaugedDisk()
    room = open_another(disk=disk)
    unit = room.unit(at=RAILWAY_STATION)
    incident = room.incident()["id"]
    client = room.app.test_client()
    # When less is free than what must stay free
    disk.free = 199_000_000
    report = {"id": room.uuid(), "type": "F05", "location": AT}
    for method, path, body in (
        ("POST", "/incidents", report),
        ("POST", f"/incidents/{incident}/notes", {"text": "x"}),
        ("POST", f"/incidents/{incident}/assignments", {"units": [unit]}),
        ("POST", f"/units/{unit}/status", {"status": "off_duty"}),
    ):
        refused = room.ana.call(method, path, body)
        assert "200 MB" in is_problem(refused, 507, "disk-full")["detail"]
        assert refused.headers["Retry-After"] == "30"
    # Then health says so to machines and the pulse to people
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json["status"]) == (503, "down")
    assert "200 MB" in answer.json["parts"]["log"]
    console = room.sockets.test_client(room.app, auth={"token": room.ana.token})
    console.emit("hello", {"cursor": None}, callback=True)
    room.app.extensions["straja_live"].pulse()
    pulses = [event["args"][0] for event in console.get_received() if event["name"] == "pulse"]
    trouble = pulses[-1]["trouble"]
    assert (trouble["code"], trouble["since"]) == ("disk-full", rfc3339(room.clock.now_us()))
    assert "200 MB" in trouble["detail"]
    console.disconnect()
    # And what is known can still be read, worked with and reported
    assert room.ana.get(f"/incidents/{incident}").json["notes"] == []
    assert room.ana.get(f"/incidents/{incident}/recommendation").status_code == 200
    room.seen(unit, RAILWAY_STATION)
    # When space is made, it is seen without anybody writing, and the same request goes through
    disk.free = None
    assert wait_until(lambda: client.get("/healthz").status_code == 200, 5)
    assert room.ana.post("/incidents", report).status_code == 201
    assert room.core.log.verify().faults == []


def test_a_database_that_is_really_full_keeps_all_that_it_acknowledged(
    tmp_path: Path, clock: FakeClock, random: SeededRandom
) -> None:
    with open_room(tmp_path, f"sqlite:///{tmp_path / 'straja.sqlite'}", clock, random, None) as room:
        log = room.core.log

        def only_a_few_more_pages(tx: Any) -> None:
            pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 30}")

        room.incident()
        log.transact(only_a_few_more_pages)
        # When calls come until the database can hold no more
        kept: list[str] = []
        refused = None
        for _ in range(200):
            report = {"id": room.uuid(), "type": "F05", "location": AT, "description": "fum " * 2000}
            answer = room.ana.post("/incidents", report)
            if answer.status_code != 201:
                refused = report
                is_problem(answer, 507, "disk-full")
                break
            kept.append(report["id"])
        # Then the one that did not fit left nothing behind, and the others are whole
        assert kept
        assert refused is not None
        is_problem(room.ana.get(f"/incidents/{refused['id']}"), 404)
        for incident in kept:
            assert room.ana.get(f"/incidents/{incident}").json["description"].startswith("fum fum")
        # The writer has opened the database anew, without the limit: the call sent again is taken
        again = room.ana.post("/incidents", refused)
        assert again.status_code == 201
        assert again.json["number"] == f"C1-{len(kept) + 2}"
        assert log.verify().faults == []


def test_one_request_that_cannot_be_kept_does_not_take_others_with_it(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()["id"]
    # Given what the database refuses to hold, sent side by side with ordinary work
    strange = [{"text": "a\0b"}, {"text": "\udfff"}, {"text": "\U0010ffff" * 100}, {"text": "\x01\x7f\u200e"}]
    answers: dict[int, int] = {}

    def note(n: int) -> None:
        body = strange[n // 2 % 4] if n % 2 else {"text": f"nota {n}"}
        answers[n] = room.ana.post(f"/incidents/{incident}/notes", body).status_code

    threads = [threading.Thread(target=note, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # Then ordinary work was done, and what could not be kept was refused for its own sake
    assert {answers[n] for n in range(0, 16, 2)} == {200}
    assert [answers[n] for n in range(1, 16, 2)] == [422, 422, 200, 200] * 2
    assert room.core.log.trouble is None


def test_text_of_any_script_is_kept_as_it_was_written(shared_room: Room) -> None:
    room = shared_room
    text = "ș ț ă î â 火事 🚒 عربى"
    incident, unit = room.incident("M01")["id"], room.unit("TIM", crew=4)
    path = f"/incidents/{incident}"
    room.sent(incident, unit)
    yes = {"answer": "accepted", "name": text, "via": "phone", "reason": text}
    answered = room.ana.post(f"{path}/requests/{unit}/answer", yes).json["requests"][0]
    assert (answered["name"], answered["reason"]) == (text, text)
    linked = room.ana.post(f"{path}/case-numbers", {"agency": "ISU", "number": text}).json
    assert linked["case_numbers"] == [{"agency": "ISU", "number": text}]
    assert room.ana.patch(path, {"talkgroup": text}).json["talkgroup"] == text
    told = {"status": "out_of_service", "reason": text, "hospital": text, "force": True}
    row = room.ana.post(f"/units/{unit}/status", told).json
    assert (row["reason"], row["hospital"]) == (text, text)
