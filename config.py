"""Every setting, in one place, read once from the environment. Only `app` imports this module."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent


class ConfigError(ValueError):
    """A setting that cannot be used; the message names it and what is allowed."""


def log_format_of(environment: Mapping[str, str]) -> str:
    """STRAJA_LOG_FORMAT as it is meant, whatever its case; not yet checked. gunicorn's lines need it before
    there is a Config."""
    return environment.get("STRAJA_LOG_FORMAT", "").strip().lower() or "text"


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one node. Each is read from `STRAJA_` and its name in capitals, but for `REDIS_URL`."""

    host: str
    """Address the web process listens on. Default 127.0.0.1."""
    port: int
    """TCP port the web process listens on. Default 8000; `straja up` takes the next free one."""
    var: Path
    """Folder of everything this node keeps: databases, cities, logs. Default ./var."""
    database_url: str
    """Where the log lies: sqlite:///PATH or postgresql://... Default: straja.sqlite in `var`."""
    tracks_url: str
    """Where positions lie. Default: tracks.sqlite in `var`, or the log's own PostgreSQL database."""
    redis_url: str
    """Redis for jobs that may wait, from REDIS_URL. Default: what `straja up` embeds, else port 6379 here."""
    secret: str
    """Signs what must not be forged between processes. Default: random at each start."""
    secret_given: bool
    """Whether `secret` was set by the operator rather than made up; not a setting of its own."""
    tls_cert: Path | None
    """Certificate file (PEM) to serve HTTPS itself. Default: none."""
    tls_key: Path | None
    """Private key of `tls_cert` (PEM). Default: none."""
    trusted_proxy: str | None
    """Addresses or networks of the proxies in front that do TLS and whose forwarded headers are believed,
    with commas between. Default: none."""
    web_processes: int
    """Processes that serve pages, the API and sockets, each with an event loop of its own. Default 1."""
    station: str
    """Code of this station, 1 to 8 letters and digits; incident numbers begin with it. Default C1."""
    station_name: str
    """What people call the station. Default "Centru"."""
    district: str
    """District that incidents reported here belong to. Default "centru"."""
    pack: str
    """The domain pack: "ro", "generic" or the path of a YAML file. Default ro."""
    city: str
    """Name of the imported city under var/cities to use. Default: the one that `straja city use` chose, else
    the first by name."""
    extracts_url: str
    """Scheme, host and path of a mirror that `straja city get` downloads from, instead of download.bbbike.org
    and download.geofabrik.de; it has their paths. Default: none."""
    demo: bool
    """Whether demo accounts may sign in; only ever on a loopback address. Default 1 (yes)."""
    demo_calls_per_hour: float
    """Calls an hour in the demo's city at a mean hour of the day; 0: nobody calls. Default 40."""
    demo_open_max: int
    """While so many of the demo's own calls are open, nobody else calls. Default 6."""
    demo_colleague: bool
    """Whether a demo colleague handles what no person touches. Default 1 (yes)."""
    disk_reserve_mb: int
    """Megabytes that must stay free on the disk of the log; below, new requests are refused. Default 200."""
    fallback_radio: str
    """What the room and its crews talk over when a console has lost its link, as people say it ("channel 2").
    Default: none, and the console says only that the radio is to be used."""
    answer_s: int
    """Seconds that a requested agency has to answer before the request counts as unanswered. Default 120."""
    undo_s: int
    """Seconds for which an order and most other requests can be taken back. Default 8; 0: never."""
    session_hours: float
    """Hours after which a login ends whatever happens; one shift and its hand-over. Default 13."""
    backup_dir: Path | None
    """Folder for scheduled backups, on another disk than `var`. Default: none, and none are made."""
    backup_every_h: float
    """Hours between two scheduled backups. Default 24."""
    backup_keep: int
    """How many scheduled backups are kept in `backup_dir`; 0 keeps all. Default 14."""
    backup_passphrase_file: Path | None
    """File whose first line seals backups. Default: none, and they are not sealed."""
    log_level: str
    """How much is told in the logs: DEBUG, INFO, WARNING or ERROR. Default INFO."""
    log_format: str
    """How lines look: "text" for people, "json" for programs, one object a line. Default text."""

    @staticmethod
    def from_env(environment: Mapping[str, str] | None = None) -> Config:
        """Raises ConfigError naming the first setting that cannot be used."""
        env = os.environ if environment is None else environment

        def text(name: str, default: str) -> str:
            return env.get(f"STRAJA_{name}", "").strip() or default

        def number(name: str, default: float, least: float, most: float) -> float:
            raw = text(name, str(default))
            try:
                value = float(raw)
            except ValueError:
                raise ConfigError(f"STRAJA_{name} is {raw!r}; it must be a number") from None
            if not least <= value <= most:
                raise ConfigError(f"STRAJA_{name} is {raw}; allowed are {least:g} to {most:g}")
            return value

        def path(name: str) -> Path | None:
            raw = text(name, "")
            return Path(raw) if raw else None

        def networks(name: str) -> str | None:
            named = [part.strip() for part in text(name, "").split(",") if part.strip()]
            for part in named:
                try:
                    ipaddress.ip_network(part)
                except ValueError:
                    raise ConfigError(
                        f"STRAJA_{name} names {part!r}; it must be an address or a network (10.0.0.0/24)"
                    ) from None
            return ",".join(named) or None

        def url(name: str) -> str:
            raw = text(name, "")
            if raw and not raw.startswith(("http://", "https://")):
                raise ConfigError(f"STRAJA_{name} is {raw!r}; it must begin with http:// or https://")
            return raw

        var = Path(text("VAR", str(ROOT / "var"))).resolve()
        database_url = text("DATABASE_URL", f"sqlite:///{var / 'straja.sqlite'}")
        embedded = database_url.startswith("sqlite")
        station = text("STATION", "C1")
        if not (station.isascii() and station.isalnum() and len(station) <= 8):
            raise ConfigError(f"STRAJA_STATION is {station!r}; it must be 1 to 8 letters and digits")

        def yes(name: str) -> bool:
            raw = text(name, "1")
            if raw not in ("0", "1"):
                raise ConfigError(f"STRAJA_{name} is {raw!r}; it must be 0 or 1")
            return raw == "1"

        level = text("LOG_LEVEL", "INFO").upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ConfigError(f"STRAJA_LOG_LEVEL is {level!r}; it must be DEBUG, INFO, WARNING or ERROR")
        log_format = log_format_of(env)
        if log_format not in ("text", "json"):
            raise ConfigError(f"STRAJA_LOG_FORMAT is {log_format!r}; it must be text or json")
        secret = text("SECRET", "")
        if secret and len(secret) < 32:
            raise ConfigError("STRAJA_SECRET is too short; it must have 32 characters or more")
        return Config(
            host=text("HOST", "127.0.0.1"),
            port=int(number("PORT", 8000, 1, 65535)),
            var=var,
            database_url=database_url,
            tracks_url=text("TRACKS_URL", f"sqlite:///{var / 'tracks.sqlite'}" if embedded else database_url),
            redis_url=env.get("REDIS_URL", "").strip() or "redis://127.0.0.1:6379/0",
            secret=secret or secrets.token_hex(32),
            secret_given=bool(secret),
            tls_cert=path("TLS_CERT"),
            tls_key=path("TLS_KEY"),
            trusted_proxy=networks("TRUSTED_PROXY"),
            web_processes=int(number("WEB_PROCESSES", 1, 1, 64)),
            station=station,
            station_name=text("STATION_NAME", "Centru"),
            district=text("DISTRICT", "centru"),
            pack=text("PACK", "ro"),
            city=text("CITY", ""),
            extracts_url=url("EXTRACTS_URL"),
            demo=yes("DEMO"),
            demo_calls_per_hour=number("DEMO_CALLS_PER_HOUR", 40, 0, 1000),
            demo_open_max=int(number("DEMO_OPEN_MAX", 6, 1, 100)),
            demo_colleague=yes("DEMO_COLLEAGUE"),
            disk_reserve_mb=int(number("DISK_RESERVE_MB", 200, 0, 1_000_000)),
            fallback_radio=text("FALLBACK_RADIO", ""),
            answer_s=int(number("ANSWER_S", 120, 5, 86_400)),
            undo_s=int(number("UNDO_S", 8, 0, 30)),
            session_hours=number("SESSION_HOURS", 13, 0.1, 72),
            backup_dir=path("BACKUP_DIR"),
            backup_every_h=number("BACKUP_EVERY_H", 24, 0.001, 8_760),
            backup_keep=int(number("BACKUP_KEEP", 14, 0, 100_000)),
            backup_passphrase_file=path("BACKUP_PASSPHRASE_FILE"),
            log_level=level,
            log_format=log_format,
        )
