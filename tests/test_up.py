"""`straja up`, from what it refuses to what it leaves behind: real processes, real ports, a real Redis."""

from __future__ import annotations

import dataclasses
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import requests
from rq.job import Job

from app import jobs, up
from config import Config
from tests.app.board import FarConsole

ROOT = Path(__file__).resolve().parent.parent
OPEN = "0.0.0.0"


def config(var: Path, **settings: str) -> Config:
    return Config.from_env(
        {"STRAJA_VAR": str(var), **{f"STRAJA_{k.upper()}": v for k, v in settings.items()}}
    )


# -- what it refuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_on_this_computer_alone_the_demo_needs_no_secret_and_no_certificate(
    tmp_path: Path, host: str
) -> None:
    up.check_exposure(config(tmp_path, host=host), demo=True)


@pytest.mark.parametrize(
    ("settings", "demo", "reason"),
    [
        (
            {"secret": "s" * 32, "tls_cert": "c.pem", "tls_key": "k.pem"},
            True,
            "passwords that everyone can read",
        ),
        ({"tls_cert": "c.pem", "tls_key": "k.pem"}, False, "STRAJA_SECRET"),
        ({"secret": "s" * 32}, False, "in the clear"),
        ({"secret": "s" * 32, "tls_cert": "c.pem"}, False, "in the clear"),
    ],
)
def test_reachable_from_other_computers_it_refuses_what_gives_the_city_away(
    tmp_path: Path, settings: dict[str, str], demo: bool, reason: str
) -> None:
    with pytest.raises(up.Trouble, match=reason) as refused:
        up.check_exposure(config(tmp_path, host=OPEN, **settings), demo)
    assert refused.value.remedy


@pytest.mark.parametrize("tls", [{"tls_cert": "c.pem", "tls_key": "k.pem"}, {"trusted_proxy": "10.0.0.1"}])
def test_with_a_secret_and_tls_it_may_be_reached(tmp_path: Path, tls: dict[str, str]) -> None:
    up.check_exposure(config(tmp_path, host=OPEN, secret="s" * 32, **tls), demo=False)


def test_the_web_part_alone_refuses_the_same(tmp_path: Path) -> None:
    environment = os.environ | {"STRAJA_VAR": str(tmp_path), "STRAJA_HOST": OPEN, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        up.straja("web"), env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 2
    assert "everyone can read" in done.stderr
    assert "Remedy: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(up.Trouble, match="only one of"):
        up.check_tls(config(tmp_path, tls_cert="c.pem"))
    with pytest.raises(up.Trouble, match="cannot be used") as refused:
        up.check_tls(config(tmp_path, tls_cert=str(tmp_path / "c.pem"), tls_key=str(tmp_path / "k.pem")))
    assert "c.pem" in refused.value.remedy


def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(up.Trouble, match="cannot be written"):
        up.check_disk(tmp_path / "file" / "var")


# -- the port ------------------------------------------------------------------------------------------


def test_a_taken_port_gives_way_to_the_next_free_one_unless_somebody_named_it() -> None:
    with up.take_port("127.0.0.1", 20_000, fixed=False) as holder:
        taken = holder.getsockname()[1]
        with up.take_port("127.0.0.1", taken, fixed=False) as other:
            assert taken < other.getsockname()[1] < taken + 100
        with pytest.raises(up.Trouble, match=str(taken)):
            up.take_port("127.0.0.1", taken, fixed=True)
    with up.take_port("127.0.0.1", taken, fixed=True) as again:
        assert again.getsockname()[1] == taken


# -- what it shows -------------------------------------------------------------------------------------


def test_a_parts_output_goes_to_its_log_and_its_complaints_to_the_terminal_too(tmp_path: Path) -> None:
    shown: list[str] = []
    journal = up.Journal("web", tmp_path, shown.append)
    # given output in pieces that do not end where lines end
    for piece in (
        b"listening\nERR",
        b"OR disk full\nTraceback (most recent call last):\n  File x\nValueEr",
        b"ror: 1\nok\n",
    ):
        journal({"data": piece})
    journal.close()
    assert shown == [
        "[web] ERROR disk full",
        "[web] Traceback (most recent call last):",
        "[web]   File x",
        "[web] ValueError: 1",
    ]
    assert (tmp_path / "web.log").read_text().splitlines()[::5] == ["listening", "ok"]


def test_a_name_that_is_no_command_ends_in_one_line_not_in_a_traceback(tmp_path: Path) -> None:
    environment = os.environ | {"STRAJA_VAR": str(tmp_path), "PYTHONPATH": str(ROOT), "STRAJA_PORT": "high"}
    for words, message in ((["city", "import", "no.osm.pbf"], "STRAJA_PORT"), (["nonsense"], "nonsense")):
        done = subprocess.run(up.straja(*words), env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


# -- Redis and jobs ------------------------------------------------------------------------------------


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[tuple[Config, Callable[[], None], Callable[[], None]]]:
    """A configuration with an embedded Redis, how to stop that, and how to start it again."""
    part, url = up.redis_part(tmp_path)
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(subprocess.Popen(part.command, stdout=subprocess.DEVNULL))
        client = redis.Redis.from_url(url)
        assert up.wait_until(lambda: answers(client), 20)

    def stop() -> None:
        process = running.pop()
        process.terminate()
        process.wait(20)

    start()
    yield dataclasses.replace(config(tmp_path), redis_url=url), stop, start
    for process in running:
        process.kill()
        process.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


Embedded = tuple[Config, Callable[[], None], Callable[[], None]]


def test_the_embedded_redis_listens_here_alone_and_asks_for_its_password(embedded: Embedded) -> None:
    settings, _, _ = embedded
    port = redis.connection.parse_url(settings.redis_url)["port"]
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port).ping()
    mine = psutil.Process().children()
    addresses = {c.laddr.ip for p in mine for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    conf = settings.var / "redis" / "redis.conf"
    assert conf.stat().st_mode & 0o077 == 0


def test_a_job_outlives_a_restart_of_redis(embedded: Embedded) -> None:
    settings, stop, start = embedded
    job = jobs.enqueue(settings, jobs.import_city, "none.osm.pbf", "x")
    stop()
    start()
    assert jobs.queue(settings).job_ids == [job]


def test_without_redis_a_job_is_refused_at_once_and_by_its_own_error(embedded: Embedded) -> None:
    settings, stop, _ = embedded
    stop()
    with pytest.raises(jobs.JobsUnavailable):
        jobs.enqueue(settings, jobs.verify_log)


def test_a_worker_runs_no_function_that_is_not_listed(embedded: Embedded, tmp_path: Path) -> None:
    settings, _, _ = embedded
    with pytest.raises(ValueError, match="not listed"):
        jobs.enqueue(settings, os.remove, str(tmp_path))
    # given somebody who writes to Redis past enqueue()
    precious = tmp_path / "precious"
    precious.touch()
    forged = jobs.queue(settings).enqueue_call("os.remove", args=(str(precious),))
    # when a worker takes it
    environment = os.environ | {
        "STRAJA_VAR": str(tmp_path),
        "REDIS_URL": settings.redis_url,
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(
        up.straja("worker", "--burst"), env=environment, check=True, capture_output=True, timeout=60
    )
    # then it failed, and what it was meant to do was not done
    assert precious.exists()
    fetched = Job.fetch(forged.id, connection=jobs.connect(settings), serializer=jobs.JSONSerializer)
    assert fetched.is_failed


def test_a_worker_imports_an_uploaded_city_and_nothing_from_elsewhere(
    embedded: Embedded, tmp_path: Path
) -> None:
    from gis.city import bundled_helsinki, open_city

    settings, _, _ = embedded
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "h.osm.pbf").write_bytes(bundled_helsinki().read_bytes())
    good = jobs.enqueue(settings, jobs.import_city, "h.osm.pbf", "town")
    bad = jobs.enqueue(settings, jobs.import_city, "../redis/redis.conf", "stolen")
    environment = os.environ | {
        "STRAJA_VAR": str(tmp_path),
        "REDIS_URL": settings.redis_url,
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(
        up.straja("worker", "--burst"), env=environment, check=True, capture_output=True, timeout=300
    )
    states = [
        Job.fetch(job, connection=jobs.connect(settings), serializer=jobs.JSONSerializer).get_status().value
        for job in (good, bad)
    ]
    assert states == ["finished", "failed"]
    assert open_city(tmp_path / "cities" / "town").info.name == "town"
    assert not (tmp_path / "cities" / "stolen").exists()


@contextmanager
def worker(settings: Config, var: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with a process group of its own, killed at the end."""
    environment = os.environ | {
        "STRAJA_VAR": str(var),
        "REDIS_URL": settings.redis_url,
        "PYTHONPATH": str(ROOT),
    }
    with (var / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            up.straja("worker", *words), env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def state_of(settings: Config, job: str) -> str:
    found = Job.fetch(job, connection=jobs.connect(settings), serializer=jobs.JSONSerializer)
    return str(found.get_status().value)


def test_a_job_whose_worker_dies_in_the_middle_is_done_by_another(embedded: Embedded, tmp_path: Path) -> None:
    from gis.city import bundled_helsinki, open_city

    settings, _, _ = embedded
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "h.osm.pbf").write_bytes(bundled_helsinki().read_bytes())
    job = jobs.enqueue(settings, jobs.import_city, "h.osm.pbf", "town")
    # Given a worker that is killed, and its child with it, in the middle of an import
    with worker(settings, tmp_path) as first:
        assert up.wait_until(lambda: any((tmp_path / "cities").glob(".town.importing-*")), 60)
        for process in (psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)):
            process.kill()
        first.wait(20)
    assert state_of(settings, job) == "started"
    # When it has been silent for long enough (here the note of when that is, is set back)
    running = jobs.queue(settings).started_job_registry
    connection = jobs.connect(settings)
    [(entry, silent_at)] = connection.zrange(running.key, 0, -1, withscores=True)
    assert silent_at - time.time() <= jobs.SILENT_S
    connection.zadd(running.key, {entry: time.time() - 1})
    # Then the next worker finds the job, does it, and what was left half done is gone
    with worker(settings, tmp_path, "--burst") as second:
        assert second.wait(240) == 0, (tmp_path / "worker.log").read_text()
    assert state_of(settings, job) == "finished"
    assert open_city(tmp_path / "cities" / "town").info.name == "town"
    assert not list((tmp_path / "cities").glob(".town.importing-*"))


def test_a_worker_waits_for_a_redis_that_is_away_and_goes_on(embedded: Embedded, tmp_path: Path) -> None:
    settings, stop, start = embedded
    with worker(settings, tmp_path) as process:
        first = jobs.enqueue(settings, jobs.verify_log)
        assert up.wait_until(lambda: state_of(settings, first) == "finished", 60)
        # When Redis goes away and comes back, the same worker takes the next job
        stop()
        start()
        second = jobs.enqueue(settings, jobs.verify_log)
        assert up.wait_until(lambda: state_of(settings, second) == "finished", 60)
        assert process.poll() is None


# -- the whole -----------------------------------------------------------------------------------------


class Up:
    """A running `straja up` and what it has said so far."""

    def __init__(self, var: Path, **environment: str) -> None:
        with up.take_port("127.0.0.1", 21_000, fixed=False) as free:
            port = str(free.getsockname()[1])
        clean = {name: value for name, value in os.environ.items() if not name.startswith("STRAJA_")}
        self.var = var
        self.process = subprocess.Popen(
            up.straja("up"),
            env=clean
            | {"STRAJA_VAR": str(var), "STRAJA_PORT": port, "PYTHONPATH": str(ROOT), "REDIS_URL": ""}
            | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, word: str, timeout_s: float = 150) -> str:
        """The first line yet to come that holds `word`."""
        while True:
            try:
                line = self._lines.get(timeout=timeout_s)
            except queue.Empty:
                line = None
            if line is None:
                pytest.fail(f"`straja up` never said {word!r}, but:\n" + "\n".join(self.said))
            self.said.append(line)
            if word in line:
                return line

    def parts(self) -> dict[str, psutil.Process]:
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                command = " ".join(child.cmdline())
            except psutil.NoSuchProcess:
                continue  # It ended meanwhile, or is dead and not yet buried.
            for name in ("web", "keeper", "worker", "demo-world"):
                if command.endswith(f"app.cli {name}") or (name == "web" and "gunicorn" in command):
                    found[name] = child
            if "redis.conf" in command or "valkey-server" in command or "redis-server" in command:
                found["redis"] = child
        return found

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def start_up(helsinki: Path, tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(**environment: str) -> Up:
        # A space in the path, as in "My Documents".
        var = tmp_path / "my var"
        (var / "cities").mkdir(parents=True, exist_ok=True)
        if not (var / "cities" / "town").exists():
            (var / "cities" / "town").symlink_to(helsinki)
        started.append(Up(var, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            family = one.family()
            one.process.kill()
            psutil.wait_procs(family, timeout=20)


def test_up_starts_all_parts_starts_a_dead_one_again_and_leaves_nothing_behind(
    start_up: Callable[..., Up],
) -> None:
    # given a running Straja
    one = start_up()
    url = one.until("Straja is ready").split()[-1]
    assert up.healthy(url)
    one.until("Ctrl-C")
    assert any("dispatcher" in line for line in one.said), "the demo's logins are not shown"
    assert one.parts().keys() == {"redis", "web", "keeper", "worker", "demo-world"}
    assert not [line for line in one.said if line.startswith("[")], "a part complained while it was started"

    # and its address shows the console, with all that the page asks for
    page = requests.get(url, timeout=10).text
    wanted = re.findall(r'(?:src|href)="(/[^"]+)"', page)
    assert len(wanted) >= 2
    assert [requests.get(url + path, timeout=10).status_code for path in wanted] == [200] * len(wanted)

    # when a part dies, then it is started again, and the person is told
    for name in ("keeper", "web"):
        dead = one.parts()[name]
        dead.kill()
        one.until(f"{name} ended and is started again", 30)
        assert up.wait_until(lambda name=name, dead=dead: one.parts().get(name) not in (None, dead), 20)
    assert up.wait_until(lambda: up.healthy(url), 60)

    # when another is started on the same folder, then it is refused and told by whom
    other = start_up()
    other.until("Straja already runs")
    assert str(one.process.pid) in other.said[-1]
    assert other.process.wait(20) == 2
    assert up.healthy(url)

    # when it is asked to stop, then everything it started is gone
    family = one.family()
    assert len(family) >= 4
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(40) == 0
    told = len(one.said)
    one.until("Stopped.")
    assert one.said[told:] == ["Stopped."], "something complained while it was stopped"
    assert not psutil.wait_procs(family, timeout=1)[1]
    assert not up.healthy(url)
    for log in ("web", "keeper", "worker", "redis"):
        assert (one.var / "log" / f"{log}.log").exists()
    # and what it wrote is for its own user alone
    written = [path for path in one.var.rglob("*") if path.is_file() and "cities" not in path.parts]
    assert len(written) > 6
    assert not [path for path in written if path.stat().st_mode & 0o077]

    # and it starts again on what it left
    again = start_up()
    again.until("Straja is ready")
    again.process.terminate()
    assert again.process.wait(40) == 0


def test_within_a_minute_the_city_lives(start_up: Callable[..., Up]) -> None:
    # given a Straja just started, and nobody at work
    one = start_up(STRAJA_DEMO_CALLS_PER_HOUR="600")
    url = one.until("Straja is ready").split()[-1]
    login = {"name": "ana", "password": "straja-demo"}
    session = requests.Session()
    session.headers["Connection"] = "close"
    assert session.post(f"{url}/api/v1/session", json=login, timeout=10).status_code == 200

    def board() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = session.get(f"{url}/api/v1/units", timeout=10).json()
        return rows

    def calls() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = session.get(f"{url}/api/v1/incidents", timeout=10).json()
        return rows

    # then within a minute crews drive, their positions are fresh, and people have called
    places = {unit["id"]: (unit["lon"], unit["lat"]) for unit in board()}

    def lives() -> bool:
        rows = board()
        moved = [u["id"] for u in rows if u["lon"] is not None and (u["lon"], u["lat"]) != places[u["id"]]]
        return len(moved) >= 3 and bool(calls())

    assert up.wait_until(lives, 60), one.said
    assert {incident["facts"]["type"]["source"] for incident in calls()} == {"demo"}

    # and a crew that is sent says so itself
    free = next(u for u in board() if u["type"] == "PL" and u["status"] == "available")
    csrf = session.get(f"{url}/api/v1/session", timeout=10).json()["csrf"]
    sent = session.post(
        f"{url}/api/v1/incidents/{calls()[0]['id']}/assignments",
        json={"units": [free["id"]], "override_reason": "near"},
        headers={"X-CSRF-Token": csrf},
        timeout=10,
    )
    assert sent.status_code == 200, sent.text

    def confirmed() -> bool:
        status = session.get(f"{url}/api/v1/units/{free['id']}", timeout=10).json()["status"]
        return status in ("acknowledged", "en_route", "on_scene")

    assert up.wait_until(confirmed, 60)

    # and it takes little of the computer's memory
    assert one.parts()["demo-world"].memory_info().rss < 130e6
    one.process.terminate()
    assert one.process.wait(40) == 0


class Hammer:
    """Dispatchers who take call after call, and send each again, under its id, until it is answered."""

    def __init__(self, url: str, people: int) -> None:
        self.url = url
        self.acknowledged: dict[str, str] = {}
        self.refused: list[str] = []
        self.again = 0
        self._stop, self._gave_up = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(people)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        caller, headers = sign_in(self.url)
        while not self._stop.wait(0.2):
            ident = str(uuid.uuid4())
            body = {"id": ident, "type": "F05", "location": {"lon": 24.9414, "lat": 60.1712}}
            while not self._gave_up.is_set():
                try:
                    answer = caller.post(
                        f"{self.url}/api/v1/incidents", json=body, headers=headers, timeout=20
                    )
                except requests.RequestException:
                    # The line broke: nobody knows whether it was recorded.
                    self.again += 1
                    continue
                if answer.status_code == 201:
                    self.acknowledged[ident] = answer.json()["number"]
                    break
                if answer.status_code != 503:
                    self.refused.append(answer.text)
                    return

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        self._gave_up.set()


def sign_in(url: str) -> tuple[requests.Session, dict[str, str]]:
    caller = requests.Session()
    login = {"name": "ana", "password": "straja-demo"}
    answer = caller.post(f"{url}/api/v1/session", json=login, timeout=20)
    return caller, {"X-CSRF-Token": answer.json()["csrf"]}


def test_parts_are_started_anew_while_calls_keep_coming_and_none_is_lost(
    start_up: Callable[..., Up],
) -> None:
    one = start_up()
    url = one.until("Straja is ready").split()[-1]
    environment = {**os.environ, "STRAJA_VAR": str(one.var), "PYTHONPATH": str(ROOT)}
    watcher, _ = sign_in(url)
    cookie = "; ".join(f"{name}={value}" for name, value in watcher.cookies.items())
    # Given calls that keep coming, and a console that listens
    console = FarConsole(url, headers={"Cookie": cookie}, origin=url)
    hammer = Hammer(url, people=4)
    try:
        for _ in range(2):
            before, count = one.parts(), len(hammer.acknowledged)
            assert up.wait_until(lambda count=count: len(hammer.acknowledged) > count + 10, 60)
            # When the parts are started anew
            done = subprocess.run(
                up.straja("restart"), env=environment, cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["all parts were started anew"])
            # then each is another process, but for Redis, which keeps what is queued
            after = one.parts()
            assert after.keys() == before.keys()
            same = {name for name in before if before[name].pid == after[name].pid}
            assert same == {"redis"}
            # and the console's line broke, so that it came back to the new one
            assert console.cut.wait(30)
            console.connect()
        count = len(hammer.acknowledged)
        assert up.wait_until(lambda: len(hammer.acknowledged) > count + 10, 60)
    finally:
        hammer.stop()
    assert hammer.refused == []
    # Then all that was acknowledged is there, once, under the number that was told
    caller, _ = sign_in(url)
    rows, path = [], "/api/v1/incidents?state=all&limit=200"
    while path:
        answer = caller.get(f"{url}{path}", timeout=20)
        rows += answer.json()
        path = answer.links.get("next", {}).get("url", "")
    found = {row["id"]: row["number"] for row in rows}
    assert len(found) == len(rows)
    assert len(set(found.values())) == len(rows), "a number was given twice"
    assert {ident: found.get(ident) for ident in hammer.acknowledged} == hammer.acknowledged
    # and the console shows what a fresh one shows
    fresh = FarConsole(url, headers={"Cookie": cookie}, origin=url)

    def same_board() -> bool:
        fresh.hello()
        console.hello()
        return console.incidents.keys() == fresh.incidents.keys() >= hammer.acknowledged.keys()

    assert up.wait_until(same_board, 20)
    for board in (console, fresh):
        board.close()
    checked = subprocess.run(
        up.straja("verify"), env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    one.process.terminate()
    assert one.process.wait(40) == 0


def test_a_restart_where_nothing_runs_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "STRAJA_VAR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        up.straja("restart"), env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no `straja up` runs" in done.stderr


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux ends the children of a killed process"
)
def test_killed_outright_it_takes_its_parts_with_it(start_up: Callable[..., Up]) -> None:
    one = start_up()
    one.until("Straja is ready")
    family = one.family()
    one.process.kill()
    assert not psutil.wait_procs(family, timeout=20)[1]


def test_a_taken_port_is_said_and_the_next_one_used(start_up: Callable[..., Up]) -> None:
    # Held by this test, or by whoever else was quicker: taken it is.
    holder = up.bind("127.0.0.1", 8000)
    one = start_up(STRAJA_PORT="")
    assert "using the next free one" in one.until("Port 8000 is taken")
    url = one.until("Straja is ready").split()[-1]
    assert not url.endswith(":8000")
    assert up.healthy(url)
    one.process.terminate()
    assert one.process.wait(40) == 0
    if holder:
        holder.close()
