"""What Straja counts about itself: true, added up over processes, bounded, documented, not for all to see."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app import metrics, up
from tests.app.control_room import ROLES, Room

if TYPE_CHECKING:
    from tests.conftest import Server

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ALERTS = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text(encoding="utf-8"))
MAY = {"admin", "supervisor", "observer"}

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Figures:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked(room: Room, token: str | None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = room.app.test_client(use_cookies=False).get("/metrics", headers=headers)
    return answer.status_code, answer.get_data(as_text=True)


def figures(room: Room) -> Figures:
    status, text = asked(room, room.desk("observer").token)
    assert status == 200
    return read(text)


def grown(before: Figures, after: Figures, name: str, **labels: str) -> float:
    key = (name, tuple(sorted(labels.items())))
    return after.get(key, 0.0) - before.get(key, 0.0)


# ---- who may ask


@pytest.mark.parametrize("role", ["stranger", *ROLES])
def test_only_who_runs_or_watches_the_installation_sees_the_figures(embedded_room: Room, role: str) -> None:
    token = None if role == "stranger" else embedded_room.desk(role).token
    status, text = asked(embedded_room, token)
    assert status == (200 if role in MAY else 401 if role == "stranger" else 403)
    assert ("straja_build_info" in text) == (role in MAY)


# ---- that they are true


def test_a_night_shows_in_the_figures(shared_room: Room) -> None:
    room = shared_room
    before = figures(room)
    incident = room.incident()
    room.ana.post(
        f"/incidents/{incident['id']}/notes",
        {"text": "prima"},
        idempotency_key="nota-0001-" + room.uuid()[:8],
    )
    room.ana.post(f"/incidents/{incident['id']}/close", {"outcome": ""})
    room.ana.get("/incidents/" + room.uuid())
    after = figures(room)
    route = "/api/v1/incidents/{incident_id}"
    assert grown(before, after, "straja_commands_total", command="ReportIncident", outcome="done") == 1
    assert grown(before, after, "straja_commands_total", command="AddNote", outcome="done") == 1
    counted = {"method": "GET", "route": route, "status": "404"}
    assert grown(before, after, "straja_http_requests_total", **counted) == 1
    assert grown(before, after, "straja_http_request_seconds_count", method="GET", route=route) >= 1
    assert grown(before, after, "straja_log_append_seconds_count") >= 2
    assert grown(before, after, "straja_log_batch_commands_sum") >= 2
    assert after[("straja_log_position", ())] == room.core.log.position
    assert after[("straja_log_writable", ())] == 1
    assert after[("straja_keeper_alive", ())] == 0
    assert after[("straja_redis_up", ())] == 0
    assert after[("straja_disk_reserve_bytes", ())] == room.core.config.disk_reserve_mb * 1e6
    assert after[("straja_city_built_timestamp_seconds", ())] > 1.7e9


def test_positions_are_counted_by_what_became_of_them(embedded_room: Room) -> None:
    room = embedded_room
    unit = room.unit()
    row = {"unit": unit, "lon": 24.94, "lat": 60.17, "observed_at": room.ago(3)}
    before = figures(room)
    older = {**row, "observed_at": room.ago(60)}
    stranger = {**row, "unit": "nobody"}
    assert room.desk("gateway").post("/positions", [row, row, older, stranger]).status_code == 202
    after = figures(room)
    found = {
        outcome: grown(before, after, "straja_positions_total", outcome=outcome)
        for outcome in ("accepted", "duplicate", "late", "refused")
    }
    assert found == {"accepted": 3, "duplicate": 1, "late": 1, "refused": 1}


def test_a_command_sent_twice_and_one_refused_are_counted_as_such(embedded_room: Room) -> None:
    room = embedded_room
    incident = room.incident()
    path, key = f"/incidents/{incident['id']}/notes", f"nota-{room.uuid()}"
    before = figures(room)
    for _ in range(2):
        assert room.ana.post(path, {"text": "o dată"}, idempotency_key=key).status_code == 200
    assert room.ana.post(path, {"text": "altceva"}, idempotency_key=key).status_code == 409
    after = figures(room)
    for outcome in ("done", "replayed", "refused"):
        assert grown(before, after, "straja_commands_total", command="AddNote", outcome=outcome) == 1, outcome


# ---- that they stay small


def test_what_callers_make_up_makes_no_new_series(embedded_room: Room) -> None:
    room = embedded_room
    room.ana.get(f"/nothing/{room.uuid()}")
    room.ana.call("BREW", "/units")
    before = figures(room)
    for _ in range(5):
        room.ana.get(f"/nothing/{room.uuid()}?q={room.uuid()}")
        room.ana.get(f"/units/{room.uuid()}")
        room.ana.call("BREW", "/units")
    routes = {value for (_, labels) in figures(room) for name, value in labels if name == "route"}
    methods = {value for (_, labels) in figures(room) for name, value in labels if name == "method"}
    assert "(none)" in routes
    assert "other" in methods
    assert not [route for route in routes if re.search(r"[0-9a-f]{8}-", route)]
    assert len(figures(room)) - len(before) < 40


# ---- several processes


def test_processes_are_added_up_and_what_the_dead_counted_is_kept(tmp_path: Path) -> None:
    """Given three processes that count, of which two end, one of them by being killed."""
    program = (
        "import sys\nfrom app import up\nfrom pathlib import Path\nup.count_under(Path(sys.argv[1]))\n"
        "from app import metrics\nmetrics.COMMANDS.labels('AddNote', 'done').inc(10)\n"
        "metrics.LOG_SECONDS.observe(0.004)\nmetrics.CONSOLES.set(3)\nmetrics.FOLLOWED.labels('web').set(int(sys.argv[2]))\n"
        "print('ready', flush=True)\nsys.stdin.readline()"
    )
    asking = (
        "import sys\nfrom app import up\nfrom pathlib import Path\nup.count_under(Path(sys.argv[1]))\n"
        "from app import metrics\nfrom prometheus_client import CollectorRegistry, generate_latest\n"
        "from prometheus_client.multiprocess import MultiProcessCollector\n"
        "folder = Path(sys.argv[1]) / 'metrics'\nmetrics.bury(folder)\nr = CollectorRegistry()\n"
        "MultiProcessCollector(r, str(folder))\nsys.stdout.write(generate_latest(r).decode())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(position: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(position)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def ask() -> Figures:
        done = subprocess.run(
            [sys.executable, "-c", asking, str(tmp_path)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return read(done.stdout)

    processes = [start(position) for position in (70, 50, 90)]
    command = ("straja_commands_total", (("command", "AddNote"), ("outcome", "done")))
    quick = ("straja_log_append_seconds_bucket", (("le", "0.005"),))
    found = ask()
    assert (found[command], found[quick]) == (30, 3)
    assert found[("straja_live_consoles", ())] == 9
    assert found[("straja_log_followed_position", (("process", "web"),))] == 50
    processes[1].kill()
    processes[2].communicate("\n")
    processes[1].communicate()
    for _ in range(2):
        found = ask()
        # Counters never fall; what the dead saw last is not told as if it were so now.
        assert (found[command], found[quick]) == (30, 3)
        assert found[("straja_live_consoles", ())] == 3
        assert found[("straja_log_followed_position", (("process", "web"),))] == 70
    left = {path.stem.rpartition("-")[2] for path in (tmp_path / "metrics").glob("*.db")}
    assert not left & {str(process.pid) for process in processes[1:]}, "the dead leave no files behind"
    processes[0].communicate("\n")


def test_a_running_station_tells_of_all_its_processes(live_server: Server) -> None:
    from app.auth import Accounts
    from app.database import open_engine
    from app.ports import SystemClock, SystemRandom

    engine = open_engine(f"sqlite:///{live_server.var / 'straja.sqlite'}")
    token = Accounts(engine, SystemClock(), SystemRandom()).create_token("observer", "prometheus", ["*"])
    engine.dispose()
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{live_server.url}/metrics", timeout=10).status_code == 401

    def found() -> Figures:
        return read(requests.get(f"{live_server.url}/metrics", headers=headers, timeout=10).text)

    def all_told() -> bool:
        now = found()
        return (
            all(
                now.get(("straja_processes", (("process", process),))) == 1
                and now[("straja_process_resident_bytes", (("process", process),))] > 20e6
                for process in ("web", "keeper")
            )
            and ("straja_keeper_last_step_timestamp_seconds", ()) in now
        )

    assert up.wait_until(all_told, 20), found()
    assert found()[("straja_keeper_alive", ())] == 1


# ---- /readyz


def test_ready_says_what_is_ready_to_anybody(embedded_room: Room) -> None:
    answer = embedded_room.app.test_client().get("/readyz")
    assert answer.status_code == 200
    said = answer.json
    assert said.pop("up_s") > 0
    assert said == {
        "ready": True,
        "parts": {"process": "ok", "log": "ok", "picture": "ok", "schema": "ok", "city": "helsinki"},
        "station": embedded_room.core.config.station,
    }


def test_who_is_told_to_end_or_whose_database_moved_on_is_not_ready(own_room: Room) -> None:
    from app.web_app import ENDING

    ask = own_room.app.test_client().get
    ENDING.set()
    try:
        answer = ask("/readyz")
        assert (answer.status_code, answer.json["ready"]) == (503, False)
        assert answer.json["parts"]["process"] == "stopping"
    finally:
        ENDING.clear()
    with own_room.core.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_version_main SET version_num = '9999'")
    answer = ask("/readyz")
    assert answer.status_code == 503
    assert "newer than this program" in answer.json["parts"]["schema"]


def test_a_picture_that_no_longer_follows_the_log_is_not_ready(embedded_room: Room) -> None:
    embedded_room.incident()
    picture = embedded_room.core.picture
    ask = embedded_room.app.test_client().get
    head = picture.position
    assert ask("/readyz").json["parts"]["picture"] == "ok"
    # Given a picture that stays behind: for a moment that is nothing
    picture.position = head - 1
    assert ask("/readyz").status_code == 200
    embedded_room.clock.advance(6)
    answer = ask("/readyz")
    assert answer.status_code == 503
    assert answer.json["parts"]["picture"] == f"behind: at {head - 1}, the log at {head}"
    picture.position = head
    assert ask("/readyz").status_code == 200


# ---- what is written about them


def test_the_page_lists_exactly_what_is_counted(embedded_room: Room) -> None:
    told = {name.removesuffix("_bucket") for name in metrics.families()}
    now = metrics.Now(embedded_room.core, lambda: {"queued": 0}).collect()
    told |= {family.name for family in now}
    written = dict(re.findall(r"^\| `(straja_[a-z_]+)`(?:\s*\{([^}]*)\})? \|", PAGE, re.MULTILINE))
    assert set(written) == told
    for name, family in metrics.families().items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if labels:
            assert labels == set(written[name].replace(" ", "").split(",")), name


def test_every_alert_asks_for_figures_that_exist_and_says_what_to_do() -> None:
    known = set(metrics.families()) | set(re.findall(r"`(straja_[a-z_]+)`", PAGE))
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len(rules) > 8
    for rule in rules:
        named = re.findall(r"\bstraja_[a-z_]+", rule["expr"])
        assert named, rule["alert"]
        for name in named:
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert base in known or name in known, f"{rule['alert']}: {name}"
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_version_told_is_that_of_the_package() -> None:
    from app import __version__

    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
