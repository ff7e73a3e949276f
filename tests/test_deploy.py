"""What servers run it with: the Dockerfile, compose.yaml and nginx's settings, held against the program; and
nginx itself before two web processes."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import websocket
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app import cli, up
from app.web_app import BehindProxy
from config import Config

if TYPE_CHECKING:
    from tests.conftest import Server

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {command.words for command in cli.COMMANDS}
SECRET = "0123456789abcdef" * 2


def settings() -> set[str]:
    return {f"STRAJA_{name.upper()}" for name in Config.__dataclass_fields__} | {"REDIS_URL"}


# ---- the Dockerfile


def instructions() -> list[tuple[str, str]]:
    """(instruction, its words), continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def test_the_dockerfile_copies_what_is_there_and_all_that_runs() -> None:
    copied: set[str] = set()
    for what, words in instructions():
        if what == "COPY" and "--from=" not in words:
            *sources, _ = words.split()
            for source in sources:
                assert (ROOT / source).exists(), source
            copied |= set(sources)
    # Every folder of the program, and nothing that the builder is not given
    islands = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert islands | {"config.py", "packs", "LICENSE", "requirements.txt"} <= copied
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source.split("/")[0] for source in copied} == let_in
    assert (ROOT / ".dockerignore").read_text().split("#")[1].splitlines()[1] == "*"


def test_the_image_runs_known_commands_with_known_settings_as_nobody_special() -> None:
    found = instructions()
    last = dict(found)
    assert json.loads(last["CMD"])[0] in COMMANDS
    assert last["HEALTHCHECK"].rstrip(']" ').split('"')[-1] in COMMANDS
    named = set(re.findall(r"\b(STRAJA_\w+)=", last["ENV"]))
    assert named
    assert named <= settings()
    assert last["USER"].partition(":")[0].isdigit()
    assert last["USER"] != "0:0"
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert found[0][0] == "ARG"
    assert found[0][1].startswith("BASE=")
    assert [words for what, words in found if what == "FROM"] == ["${BASE} AS build", "${BASE}"]
    # Packages come by their hashes, and the data outlives the container
    installs = [words for what, words in found if "pip install" in words]
    assert len(installs) == 2
    assert all("--require-hashes" in words for words in installs)
    assert json.loads(last["VOLUME"]) == [dict(re.findall(r"(\w+)=(\S+)", last["ENV"]))["STRAJA_VAR"]]


# ---- compose.yaml

Service = dict[str, Any]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def given(text: str, values: dict[str, str]) -> str:
    """What compose makes of ${NAME:-default} and ${NAME:?words}."""

    def value(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        if not values.get(name) and how == ":?":
            raise KeyError(f"{name}: {rest}")
        return values.get(name) or (rest if how == ":-" else "")

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


def own_services() -> dict[str, Service]:
    return {name: one for name, one in compose()["services"].items() if one["image"] == "straja"}


def test_compose_starts_each_part_by_its_command_with_settings_that_there_are() -> None:
    parts = own_services()
    assert set(parts) == {"web", "keeper", "worker"}
    example = (ROOT / "deploy" / "straja.env.example").read_text()
    filled = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    filled |= {"STRAJA_SECRET": SECRET, "POSTGRES_PASSWORD": "abc"}
    image = dict(re.findall(r"(STRAJA_\w+)=(\S+)", dict(instructions())["ENV"]))
    for name, part in parts.items():
        assert part["command"] == [name]
        assert name in COMMANDS
        assert set(part["environment"]) <= settings()
        # Filled in as the example says, it is a configuration that may be reached from outside
        values = {key: given(str(value), filled) for key, value in part["environment"].items()}
        config = Config.from_env(image | values)
        up.check_exposure(config, config.demo)
        assert config.database_url.endswith("@database/straja")
        assert config.var == Path(image["STRAJA_VAR"])
    # and each value that it asks for is in the example
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert asked == set(filled)


def test_compose_hangs_together_and_holds_no_secret() -> None:
    whole = compose()
    for name, one in whole["services"].items():
        assert one["restart"] == "unless-stopped", name
        image = one["image"]
        assert image == "straja" or re.search(r":[\d][\w.-]*$", image), f"{image} names no version"
        for needed, how in one.get("depends_on", {}).items():
            assert needed in whole["services"]
            if how["condition"] == "service_healthy":
                healthy = whole["services"][needed]
                assert "healthcheck" in healthy or healthy["image"] == "straja"
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert source == "./deploy/tls" or (ROOT / source).exists(), source
            else:
                assert source in whole["volumes"]
        assert set(one["networks"]) <= set(whole["networks"])
        for key, value in one.get("environment", {}).items():
            if re.search("SECRET|PASSWORD|_URL", key) and key != "REDIS_URL":
                assert "${" in str(value), f"{name}: {key} stands there in clear"
    [subnet] = whole["networks"]["inside"]["ipam"]["config"]
    for part in own_services().values():
        assert part["environment"]["STRAJA_TRUSTED_PROXY"] == subnet["subnet"]
    # Without its secrets it does not start
    with pytest.raises(KeyError, match="STRAJA_SECRET"):
        given(str(own_services()["web"]["environment"]["STRAJA_SECRET"]), {})


def test_the_secrets_that_are_filled_in_are_never_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/deploy/straja.env", "/deploy/tls/"} <= set(ignored)


# ---- whose headers are believed


@pytest.mark.parametrize(
    ("peer", "believed"),
    [("10.1.2.3", True), ("10.2.0.1", False), ("::1", True), ("192.0.2.1", False), ("", False)],
)
def test_forwarded_headers_are_believed_from_the_proxies_and_from_nobody_else(
    peer: str, believed: bool
) -> None:
    seen: dict[str, Any] = {}

    def inner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        return []

    asked = {
        "REMOTE_ADDR": peer,
        "HTTP_HOST": "inside:8000",
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_FOR": "198.51.100.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "straja.example",
    }
    BehindProxy(inner, "10.1.0.0/16,::1")(asked, lambda *_: None)  # type: ignore[arg-type, return-value]
    expected = ("198.51.100.7", "https", "straja.example") if believed else (peer, "http", "inside:8000")
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == expected


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nginx\.example"):
        Config.from_env({"STRAJA_TRUSTED_PROXY": "10.0.0.1, nginx.example"})
    assert Config.from_env({"STRAJA_TRUSTED_PROXY": " 10.0.0.1, 10.1.0.0/16"}).trusted_proxy


# ---- nginx


@dataclass
class Proxy:
    """A running nginx with the shipped settings, before two web processes."""

    url: str
    plain_url: str
    certificate: Path
    log: Path
    servers: tuple[Server, Server]

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.certificate)
        return session


def own_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, f"deploy/nginx.conf has no {old!r}"
        text = text.replace(old, new)
    return text


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


@contextmanager
def running_nginx(folder: Path, ports: tuple[int, int], addresses: tuple[str, ...]) -> Iterator[Path]:
    """nginx with deploy/nginx.conf, its names of ports, files and servers put in; gives its access log."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    own_certificate(folder)
    lines = [f"server {one} max_fails=1 fail_timeout=2s;" for one in addresses]
    site = replaced(
        (ROOT / "deploy" / "nginx.conf").read_text(),
        ("server web:8000 max_fails=1 fail_timeout=2s;", "\n".join(lines)),
        ("listen 80;\n    listen [::]:80;", f"listen 127.0.0.1:{ports[0]};"),
        ("listen 443 ssl http2;\n    listen [::]:443 ssl http2;", f"listen 127.0.0.1:{ports[1]} ssl http2;"),
        ("/etc/nginx/tls/", f"{folder}/"),
        ("/var/log/nginx/", f"{folder}/"),
    )
    (folder / "site.conf").write_text(site)
    places = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ {places}\n include {folder}/site.conf; }}\n"
    )
    folder.chmod(0o755)
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-e", f"{folder}/error.log"])
    try:
        assert up.wait_until(lambda: listens(ports[1]), 30), (folder / "error.log").read_text()
        yield folder / "access.log"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def proxy(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    trusted = {"STRAJA_TRUSTED_PROXY": "127.0.0.1"}
    first = start_server(**trusted)
    second = start_server(None, False, **trusted, STRAJA_VAR=str(first.var))
    folder = tmp_path_factory.mktemp("nginx")
    with (
        up.take_port("127.0.0.1", 23_000, fixed=False) as plain,
        up.take_port("127.0.0.1", 24_000, fixed=False) as tls,
    ):
        ports = (plain.getsockname()[1], tls.getsockname()[1])
    addresses = tuple(one.url.removeprefix("http://") for one in (first, second))
    with running_nginx(folder, ports, addresses) as log:
        yield Proxy(
            f"https://localhost:{ports[1]}",
            f"http://localhost:{ports[0]}",
            folder / "cert.pem",
            log,
            (first, second),
        )
    for one in (first, second):
        one.stop()


def sign_in(proxy: Proxy) -> tuple[requests.Session, str]:
    session = proxy.session()
    login = proxy.servers[0].demo[0]
    body = {"name": login["name"], "password": login["password"]}
    answer = session.post(f"{proxy.url}/api/v1/session", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return session, answer.json()["csrf"]


def socket_through(proxy: Proxy, session: requests.Session, origin: str) -> tuple[websocket.WebSocket, str]:
    """A console's socket through the proxy, and the server's first word to it: "40..." for come in."""
    line = websocket.create_connection(
        proxy.url.replace("https", "wss") + "/socket.io/?EIO=4&transport=websocket",
        timeout=20,
        origin=origin,
        cookie="; ".join(f"{name}={value}" for name, value in session.cookies.items()),
        sslopt={"ca_certs": str(proxy.certificate), "cert_reqs": ssl.CERT_REQUIRED},
    )
    assert str(line.recv()).startswith("0")
    line.send("40")
    return line, str(line.recv())


def test_behind_nginx_people_sign_in_and_their_sockets_open(proxy: Proxy) -> None:
    session, _ = sign_in(proxy)
    # The cookie goes over TLS only, though the process behind speaks plain HTTP
    [cookie] = session.cookies
    assert cookie.secure
    line, word = socket_through(proxy, session, proxy.url)
    assert word.startswith("40"), word
    line.send('420["hello",{"cursor":null}]')
    answer = str(line.recv())
    while not answer.startswith("430"):
        answer = str(line.recv())
    assert json.loads(answer[3:])[0]["mode"] == "snapshot"
    line.close()
    # A page of another origin is refused, as without a proxy
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        socket_through(proxy, session, "https://evil.example")


def test_behind_nginx_plain_http_is_led_to_tls_and_inner_doors_are_shut(proxy: Proxy) -> None:
    moved = requests.get(f"{proxy.plain_url}/login", allow_redirects=False, timeout=10)
    assert moved.status_code == 301
    assert moved.headers["Location"].startswith("https://")
    session = proxy.session()
    for path in ("/metrics", "/readyz", "/healthz", "/api/v1/healthz"):
        assert session.get(proxy.url + path, timeout=10).status_code == 404
        # which inside are open, the figures with a token
        assert requests.get(proxy.servers[0].url + path, timeout=10).status_code in (200, 401)
    assert "Strict-Transport-Security" in session.get(proxy.url, timeout=10).headers


def test_what_people_search_for_is_not_in_the_access_log(proxy: Proxy) -> None:
    session, _ = sign_in(proxy)
    assert session.get(f"{proxy.url}/api/v1/incidents", params={"q": "0722123456"}, timeout=10).ok
    assert up.wait_until(lambda: "/api/v1/incidents" in proxy.log.read_text(), 10)
    assert "0722123456" not in proxy.log.read_text()


def test_the_token_of_a_phone_is_in_no_log_of_nginx_when_nobody_answers(tmp_path: Path) -> None:
    # Given nginx before nobody
    with (
        up.take_port("127.0.0.1", 23_000, fixed=False) as plain,
        up.take_port("127.0.0.1", 24_000, fixed=False) as tls,
        up.take_port("127.0.0.1", 25_000, fixed=False) as nobody,
    ):
        ports = (plain.getsockname()[1], tls.getsockname()[1])
        gone = f"127.0.0.1:{nobody.getsockname()[1]}"
    with running_nginx(tmp_path, ports, (gone,)) as log:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(tmp_path / "cert.pem")
        asked = session.get(f"https://localhost:{ports[1]}/api/v1/phones/osmand?id=straja_abc", timeout=10)
        assert asked.status_code == 502
        # Then the failure is told, and the token is not
        assert up.wait_until(lambda: "/api/v1/phones/osmand 502" in log.read_text(), 10)
        for path in (log, tmp_path / "error.log"):
            assert "straja_abc" not in path.read_text()


def test_when_one_process_dies_the_other_serves(proxy: Proxy) -> None:
    session, csrf = sign_in(proxy)
    sockets = [socket_through(proxy, session, proxy.url) for _ in range(4)]
    assert all(word.startswith("40") for _, word in sockets)
    # When one is killed, whoever asks gets an answer each time
    proxy.servers[0].kill("web")
    for _ in range(20):
        assert session.get(f"{proxy.url}/api/v1/incidents", timeout=10).status_code == 200
    # A call that met the dead one is sent again with the same id, as consoles do, and is there once
    report = {
        "id": "99999999-2222-4333-8444-555555555555",
        "type": "F05",
        "location": {"lon": 24.94, "lat": 60.17},
    }

    def taken() -> bool:
        answer = session.post(
            f"{proxy.url}/api/v1/incidents", json=report, headers={"X-CSRF-Token": csrf}, timeout=10
        )
        assert answer.status_code in (201, 200, 502), answer.text
        return answer.status_code != 502

    assert up.wait_until(taken, 10)
    line, word = socket_through(proxy, session, proxy.url)
    assert word.startswith("40")
    for one, _ in [*sockets, (line, word)]:
        one.close()
    proxy.servers[0].start("web")
