"""What the tests stand on: both databases, a clock and randomness they hold in their hands, a real server.

Set STRAJA_TEST_SEED to repeat the randomness of an earlier run (a failure prints it), STRAJA_NO_SKIPS=1
to make every skipped test a failure of the run, STRAJA_TEST_DATA to a folder of further test data.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import random as stdlib_random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest

from app import up

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("STRAJA_TEST_DATA", ROOT.parent / "shared" / "data"))

hypothesis.settings.register_profile("straja", deadline=None, print_blob=True)
hypothesis.settings.load_profile("straja")


# -- time and randomness -------------------------------------------------------------------------------


class FakeClock:
    """A clock that moves when told to. Starts at 2026-11-23T03:00:00Z."""

    def __init__(self, now_us: int = 1_795_402_800_000_000) -> None:
        self._now_us = now_us
        self._monotonic_s = 1_000.0

    def now_us(self) -> int:
        return self._now_us

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass: both clocks move on."""
        self._now_us += round(seconds * 1e6)
        self._monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock, forward or back; monotonic time does not follow."""
        self._now_us += round(seconds * 1e6)


class SeededRandom(stdlib_random.Random):
    """app.ports.Random, repeatable; also everything random.Random has."""

    def token(self, nbytes: int) -> bytes:
        return self.randbytes(nbytes)

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.randbytes(16), version=4))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def random(request: pytest.FixtureRequest) -> SeededRandom:
    """Differs from test to test and run to run; STRAJA_TEST_SEED repeats it, also for a test run alone."""
    seed = f"{request.config.stash[SEED]}:{request.node.nodeid}"
    return SeededRandom(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))


SEED = pytest.StashKey[int]()


# -- the run: seed, skips, data ------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SEED] = int(
        os.environ.get("STRAJA_TEST_SEED") or stdlib_random.SystemRandom().randrange(2**32)
    )
    # The processes that the run is divided among have one seed.
    os.environ["STRAJA_TEST_SEED"] = str(config.stash[SEED])
    config.addinivalue_line(
        "markers", "data(name): reads a file of STRAJA_TEST_DATA; left out where it is absent"
    )


def pytest_report_header(config: pytest.Config) -> str:
    return f"STRAJA_TEST_SEED={config.stash[SEED]}"


MISSING_DATA = pytest.StashKey[list[str]]()


LONGEST = (
    "tests/web/test_console.py",
    "tests/web/test_map.py",
    "tests/app/test_backup.py",
    "tests/app/test_processes.py",
    "tests/web/test_optimiser.py",
    "tests/app/test_failures.py",
    "tests/app/test_live.py",
    "tests/app/test_outage.py",
    "tests/gis/test_city.py",
    "tests/app/test_proposals.py",
    "tests/app/test_layer_import.py",
    "tests/app/test_coverage.py",
    "tests/test_up.py",
    "tests/nodes/test_nodes.py",
    "tests/web/test_outage.py",
)
"""The files that take longest; the others follow in their order."""


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Any:
    """Leave out, by name, the tests whose data files are not on this computer; in a divided run, begin with
    the longest files: one that is begun last is waited for by everybody."""
    found = yield
    if hasattr(config, "workerinput"):
        rank = {name: nth for nth, name in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
    absent = {
        item: name
        for item in items
        for mark in item.iter_markers("data")
        for name in mark.args
        if not (DATA / name).exists()
    }
    config.stash[MISSING_DATA] = [f"{item.nodeid} (needs {name})" for item, name in absent.items()]
    if absent:
        config.hook.pytest_deselected(items=list(absent))
        items[:] = [item for item in items if item not in absent]
    if hasattr(config, "workeroutput"):
        config.workeroutput["missing_data"] = config.stash[MISSING_DATA]
    return found


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Each process of a divided run left out the same tests; they are told once."""
    if (missing := getattr(node, "workeroutput", {}).get("missing_data")) is not None:
        node.config.stash[MISSING_DATA] = missing


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed and "random" in getattr(item, "fixturenames", ()):
        seed = item.config.stash[SEED]
        report.sections.append(("seed", f"STRAJA_TEST_SEED={seed} repeats this run's randomness"))
    return report


def no_skips() -> bool:
    return os.environ.get("STRAJA_NO_SKIPS") == "1"


def skips(reporter: pytest.TerminalReporter) -> tuple[list[str], list[str]]:
    """What was skipped, as "test: reason": for want of a part of the system, and for want of a data file."""
    parts, data = [], []
    for report in reporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        line = f"{report.nodeid}: {reason.removeprefix('Skipped: ')}"
        (data if "../shared/data" in reason else parts).append(line)
    return parts, data


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    parts, data = skips(terminalreporter)
    data = config.stash.get(MISSING_DATA, []) + data
    verdict = ", which fails this run (STRAJA_NO_SKIPS=1)" if no_skips() else ""
    for title, lines in (
        (f"{len(data)} left out: data files that are not on this computer", data),
        (f"{len(parts)} skipped{verdict}", parts),
    ):
        if lines:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if no_skips() and reporter is not None and skips(reporter)[0] and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def data_folder() -> Path:
    """Further test data; a test that takes this is marked `data(name)` for every file it reads."""
    return DATA


# -- databases -----------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgis_bin() -> Path | None:
    """The bin folder of the newest PostgreSQL here that has PostGIS."""
    for share in sorted(Path("/usr/share/postgresql").glob("*/extension/postgis.control"), reverse=True):
        found = Path("/usr/lib/postgresql") / share.parts[-3] / "bin"
        if (found / "initdb").exists():
            return found
    if config := shutil.which("pg_config"):
        ask = subprocess.run([config, "--bindir", "--sharedir"], capture_output=True, text=True, check=True)
        bindir, sharedir = map(Path, ask.stdout.split("\n")[:2])
        if (sharedir / "extension" / "postgis.control").exists() and (bindir / "initdb").exists():
            return bindir
    return None


@dataclass
class PostgreSQL:
    """A server of this test run's own, with a template that has PostGIS in it."""

    port: int
    folder: Path
    command: list[str | Path]
    made: int = 0
    process: subprocess.Popen[bytes] | None = None

    def url(self, name: str, driver: str = "+psycopg") -> str:
        return f"postgresql{driver}://straja@127.0.0.1:{self.port}/{name}"

    def run(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database, driver=""), autocommit=True) as connection:
            connection.execute(statement.encode())

    def fresh(self) -> str:
        """The name of a new, empty database with PostGIS."""
        self.made += 1
        name = f"test_{self.made}"
        self.run(f"CREATE DATABASE {name} TEMPLATE straja_template STRATEGY FILE_COPY")
        return name

    def start(self) -> None:
        """Start the server; returns when it takes connections."""
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        self.process = process

        def answers() -> bool:
            if process.poll() is not None:
                pytest.fail(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            with contextlib.suppress(psycopg.OperationalError):
                self.run("SELECT 1")
                return True
            return False

        assert up.wait_until(answers, 60), (self.folder / "log").read_text()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT is its "fast" shutdown, which waits for no connection; SIGQUIT a crash."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(how)
            process.wait(30)


@contextlib.contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    bindir = postgis_bin()
    if bindir is None:
        pytest.skip("PostgreSQL with PostGIS is not installed")
    folder = Path(tempfile.mkdtemp(prefix="straja-pg-"))
    # PostgreSQL refuses to run as root; and it must not outlive a test run that was killed.
    drop: list[str | Path] = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        drop += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    (folder / "log").touch()
    initdb = [
        bindir / "initdb",
        "-D",
        folder / "data",
        "-U",
        "straja",
        "--auth=trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    port = free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "fsync": "off",
        "full_page_writes": "off",
        "max_connections": "200",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = PostgreSQL(port, folder, [*drop, bindir / "postgres", "-D", folder / "data", *options])
    try:
        subprocess.run([*drop, *initdb, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=folder)
        try:
            server.start()
            server.run("CREATE DATABASE straja_template")
            server.run("CREATE EXTENSION postgis", "straja_template")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The server that all tests share; nobody stops it."""
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def own_postgresql() -> Iterator[PostgreSQL]:
    """A server that may be stopped and started; whoever stops it starts it again."""
    with postgresql_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of this test's own; the test runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'straja.db'}"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = server.fresh()
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


# -- a real city, a real server ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def imported(pytestconfig: pytest.Config) -> Callable[[Path, str], Path]:
    """imported(extract, name): the folder of that city, which nobody changes. It is imported once and kept
    while neither the extract nor the importer changes."""
    from gis import city

    cache = pytestconfig.cache
    assert cache is not None
    kept = Path(cache.mkdir("cities"))

    def open_once(extract: Path, name: str) -> Path:
        digest = hashlib.sha256()
        for source in (extract, *sorted((ROOT / "gis").glob("*.py"))):
            digest.update(source.read_bytes())
        cities = kept / digest.hexdigest()[:16]
        # One process of a divided run imports it, the others wait.
        with (kept / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (cities / name).is_dir():
                city.import_city(extract, cities, name)
        return cities / name

    return open_once


@pytest.fixture(scope="session")
def helsinki(imported: Callable[[Path, str], Path]) -> Path:
    """The folder of the demo city."""
    from gis.city import bundled_helsinki

    return imported(bundled_helsinki(), "helsinki")


@dataclass
class Server:
    """A running Straja: web and keeper as processes of their own, on `var`."""

    url: str
    var: Path
    env: dict[str, str]
    demo: list[dict[str, str]] = field(default_factory=list)
    """The demo's logins: name, password, role."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *parts: str) -> None:
        for part in parts or ("web", "keeper"):
            log = (self.var / "log" / f"{part}.log").open("ab")
            self.processes[part] = subprocess.Popen(
                [sys.executable, "-P", "-c", up.LEASHED, *up.straja(part)],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            log.close()
        if not up.wait_until(lambda: up.healthy(self.url), 60, self._alive):
            pytest.fail(f"no answer from {self.url}\n{self.logs()}")

    def _alive(self, waited_s: float) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                pytest.fail(f"{name} ended with {process.returncode} after {waited_s:.0f} s\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(
            f"== {log.name}\n{log.read_text()[-4000:]}" for log in (self.var / "log").glob("*.log")
        )

    def kill(self, part: str) -> None:
        """As a power cut would: nothing is flushed, nobody says goodbye."""
        process = self.processes.pop(part)
        os.killpg(process.pid, 9)
        process.wait()

    def end(self) -> None:
        """Ask it to stop, and do not wait: that takes seconds, while the sockets are told."""
        for process in self.processes.values():
            process.terminate()

    def stop(self) -> None:
        self.end()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
        self.processes.clear()


@pytest.fixture(scope="module")
def start_server(helsinki: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers, each on its own folder: start_server(database_url=None, **environment). They run until
    the file's last test, and not beside the tests of others."""
    servers: list[Server] = []

    def start(database_url: str | None = None, demo: bool = True, **environment: str) -> Server:
        var = tmp_path_factory.mktemp("var")
        (var / "cities").mkdir()
        (var / "cities" / "helsinki").symlink_to(helsinki)
        (var / "log").mkdir()
        port = free_port()
        env = {name: value for name, value in os.environ.items() if not name.startswith("STRAJA_")}
        env |= {
            "STRAJA_VAR": str(var),
            "STRAJA_HOST": "127.0.0.1",
            "STRAJA_PORT": str(port),
            "STRAJA_SUPERVISOR": str(os.getpid()),
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": "",
        }
        if database_url:
            env["STRAJA_DATABASE_URL"] = database_url
        server = Server(f"http://127.0.0.1:{port}", var, env | environment)
        servers.append(server)
        if demo:
            seeded = subprocess.run(
                up.straja("demo", "--json"),
                cwd=ROOT,
                env=server.env,
                capture_output=True,
                text=True,
                check=False,
            )
            if seeded.returncode:
                pytest.fail(f"the demo could not be set up:\n{seeded.stdout}{seeded.stderr}")
            server.demo = json.loads(seeded.stdout.splitlines()[-1])
        server.start()
        return server

    yield start
    for server in servers:
        server.end()
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def live_server(start_server: Callable[..., Server]) -> Server:
    """One server with the demo for all tests of a file that leave it usable for the next one."""
    return start_server()
