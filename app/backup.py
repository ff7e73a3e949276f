"""Backups of a running station, and the way back: one file that holds everything a node knows.

A backup is a tar with two SQLite databases in it, whatever the station itself runs on, so that it can be put
back on either kind. It is made from one consistent view of each database while dispatching goes on, its hash
chains are checked, and it is read back from its disk before anybody is told that it is done.

The file holds personal data *and the keys that open it*. Given a passphrase it is sealed as a whole
(scrypt, AES-256-GCM in pieces, so that a cut or altered file is found out).

A restored node takes a new origin, as every copy does. What was erased after the backup was made would come
back with it; the list of erasures that is kept beside scheduled backups is applied before anything starts.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import logging
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Connection, Engine, create_engine, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from app import __version__, up
from app.core import ROOT, city_folder, open_core
from app.database import UNREACHABLE, open_engine
from app.log import Log, Verified, write_durably
from app.migrations import MAIN, TRACKS, Chain, migrate, standing
from app.native import start_thread
from app.ports import Clock, World
from app.tables import account, erased, event, fix, last_fix, lineage, private, private_key, session
from app.tracks import open_engine as open_tracks
from app.up import Trouble
from app.vault import Vault
from config import Config
from gis.city import CityError, open_city

FORMAT = 1
MAGIC = b"STRAJA-SEALED-1\n"
PIECE_BYTES = 1 << 20
ROWS = 2_000
RETRY_S = 900
LATE_FACTOR = 1.5
NAMES = ("manifest.json", "straja.sqlite", "tracks.sqlite", "pack.yaml", "lineage", "head")
log = logging.getLogger("straja.backup")

Say = Callable[[str], None]


# ---- sealing


class Sealing(io.RawIOBase):
    """A file that is sealed as it is written, each piece bound to its place and the last to being last."""

    def __init__(self, sink: IO[bytes], passphrase: str) -> None:
        salt = os.urandom(16)
        self._sink = sink
        self._cipher = AESGCM(_key(passphrase, salt))
        self._waiting = bytearray()
        self._count = 0
        sink.write(MAGIC + salt)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        while len(self._waiting) > PIECE_BYTES:
            self._seal(bytes(self._waiting[:PIECE_BYTES]), last=False)
            del self._waiting[:PIECE_BYTES]
        return len(data)

    def finish(self) -> None:
        self._seal(bytes(self._waiting), last=True)

    def _seal(self, piece: bytes, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._count), piece, b"last" if last else b"more")
        self._sink.write(struct.pack(">IB", len(sealed), last) + sealed)
        self._count += 1


class Unsealing(io.RawIOBase):
    """The other way. Raises Trouble for a wrong passphrase, and for a file that was cut or altered."""

    def __init__(self, source: IO[bytes], passphrase: str) -> None:
        self._source = source
        self._cipher = AESGCM(_key(passphrase, source.read(16)))
        self._piece = b""
        self._count = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._piece and not self._ended:
            self._piece = self._next()
        count = min(len(into), len(self._piece))
        into[:count], self._piece = self._piece[:count], self._piece[count:]
        return count

    def _next(self) -> bytes:
        head = self._source.read(5)
        if len(head) < 5:
            raise Trouble("the backup was cut: its end is missing", "Take another one.")
        length, last = struct.unpack(">IB", head)
        sealed = self._source.read(length) if length <= PIECE_BYTES + 16 else b""
        try:
            clear = self._cipher.decrypt(_nonce(self._count), sealed, b"last" if last else b"more")
        except InvalidTag:
            if self._count == 0:
                raise Trouble("the passphrase does not open this backup", "Try another one.") from None
            raise Trouble("the backup was altered or cut", "Take another one.") from None
        self._count += 1
        self._ended = bool(last)
        return clear


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())


def _nonce(count: int) -> bytes:
    return count.to_bytes(12, "big")


def read_passphrase(path: Path | None) -> str | None:
    """The first line of the file; None without a file. Raises Trouble for an empty or unreadable one."""
    if path is None:
        return None
    try:
        found = path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except OSError as error:
        raise Trouble(f"the passphrase in {path} cannot be read: {error.strerror}") from None
    if len(found) < 12:
        raise Trouble(f"the passphrase in {path} has fewer than 12 characters", "openssl rand -base64 24")
    return found


# ---- making one


def make(
    config: Config, target: Path, passphrase: str | None, *, tracks: bool = True, say: Say = print
) -> tuple[Path, dict[str, Any]]:
    """Back up the running node into `target`, a new file or a folder; the file, and its manifest.

    Raises Trouble where it could not be made; nothing half-done is left behind.
    """
    at = datetime.now(UTC).replace(microsecond=0)
    if target.is_dir():
        ending = ".tar.gz" if passphrase is None else ".tar.gz.sealed"
        target = target / f"straja-{config.station}-{at:%Y%m%dT%H%M%SZ}{ending}"
    if target.exists():
        raise Trouble(f"{target} is already there", "Give another name; a backup is never overwritten.")
    if not target.parent.is_dir():
        raise Trouble(f"the folder {target.parent} is not there", "Make it, or mount its disk.")
    with _workshop(config.var, "backup") as folder:
        with closing_engines(config) as (main, positions):
            _check_room(config, main, positions)
            _take_view(config, main, positions, folder, tracks)
        manifest = _describe(config, folder, at, say)
        part = target.with_name(f"{target.name}.part")
        try:
            with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as out:
                _pack(folder, out, manifest, passphrase)
                out.flush()
                os.fsync(out.fileno())
            say("Reading it back")
            _unpack(part, passphrase, None)
            os.replace(part, target)
        except OSError as error:
            raise Trouble(
                f"{target} could not be written: {error.strerror or error}", "Is its disk full, or away?"
            ) from None
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(target.parent)
    return target, manifest


@contextmanager
def closing_engines(config: Config) -> Iterator[tuple[Engine, Engine]]:
    main, positions = open_engine(config.database_url), open_tracks(config.tracks_url)
    try:
        yield main, positions
    finally:
        main.dispose()
        positions.dispose()


@contextmanager
def _workshop(var: Path, name: str) -> Iterator[Path]:
    """A folder of its own under `var`, for one at a time, gone afterwards whatever happens."""
    var.mkdir(parents=True, exist_ok=True)
    folder = var / f"{name}.part"
    with (var / f"{name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(f"another {name} is being made on {var}", "Wait for its end.") from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _check_room(config: Config, *engines: Engine) -> None:
    needed = 0
    for engine in engines:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                needed += pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            else:
                needed += connection.scalar(select(func.pg_database_size(func.current_database()))) or 0
    free = shutil.disk_usage(config.var).free - config.disk_reserve_mb * 1_000_000
    if free < needed:
        raise Trouble(
            f"a backup needs {needed / 1e6:.0f} MB for a while under {config.var}, and"
            f" {free / 1e6:.0f} MB are free above the reserve",
            "Free some space first: the log comes before its backup.",
        )


def _take_view(config: Config, main: Engine, positions: Engine, folder: Path, tracks: bool) -> None:
    """Put a consistent view of each database into the folder, as SQLite files of this program's schema."""
    jobs = [(main, MAIN, folder / "straja.sqlite")]
    if tracks:
        jobs.append((positions, TRACKS, folder / "tracks.sqlite"))
    with ExitStack() as views:
        shared: dict[str, Connection] = {}
        for engine, chain, path in jobs:
            with engine.connect() as looking:
                found = standing(looking, chain)
            if not found.is_current(chain):
                raise Trouble(
                    f"the database's schema {chain.name} is {found.words(chain)}",
                    "Run `./straja migrate` first, or make the backup with the program that runs on it.",
                )
            if engine.dialect.name == "sqlite":
                _copy_file(str(engine.url.database), path)
                continue
            url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            if url not in shared:
                # Both chains of one server in one view of it; readers keep nobody from writing.
                shared[url] = views.enter_context(
                    engine.connect().execution_options(isolation_level="REPEATABLE READ")
                )
                shared[url].exec_driver_sql("SET LOCAL statement_timeout = 0")
            into = _open_copy(path)
            migrate(into, chain)
            with into.begin() as writing:
                copy_rows(shared[url], writing, chain)
            into.dispose()
            _as_one_file(path)
    for name in ("lineage", "head"):
        if (config.var / name).exists():
            shutil.copyfile(config.var / name, folder / name)
    shutil.copyfile(_pack_file(config), folder / "pack.yaml")


def _copy_file(source: str, target: Path) -> None:
    """SQLite's own online copy: one view, whatever is written meanwhile."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reading:
        reading.execute("PRAGMA busy_timeout = 10000")
        with closing(sqlite3.connect(target)) as writing:
            reading.backup(writing)


def _open_copy(path: Path) -> Engine:
    """An engine for a database that is being packed or unpacked: nobody else sees it yet."""
    return open_engine(f"sqlite:///{path}")


def _as_one_file(path: Path) -> None:
    """Leave nothing of a database beside its file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def copy_rows(source: Connection, target: Connection, chain: Chain) -> int:
    """Every row of the chain's tables, in the order of their keys; how many. Counters go on behind them."""
    total = 0
    for metadata in chain.metadata:
        for table in metadata.sorted_tables:
            rows = source.execution_options(yield_per=ROWS).execute(
                select(table).order_by(*table.primary_key.columns)
            )
            for batch in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in batch])
                total += len(batch)
            column = table.autoincrement_column
            if target.dialect.name == "postgresql" and column is not None:
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                after = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
                target.execute(select(func.setval(sequence, after, False)))
    return total


def _pack_file(config: Config) -> Path:
    shipped = ROOT / "packs" / f"{config.pack}.yaml"
    return shipped if shipped.exists() else Path(config.pack)


def _describe(config: Config, folder: Path, at: datetime, say: Say) -> dict[str, Any]:
    """Drop what must not travel, check the chains, and write down what is there."""
    say("Checking the hash chains")
    engine = _open_copy(folder / "straja.sqlite")
    with engine.begin() as connection:
        # Nobody is to be signed in by putting a backup back.
        connection.execute(session.delete())
        position = connection.scalar(select(func.max(event.c.position))) or 0
        origin = connection.scalar(select(lineage.c.value).where(lineage.c.name == "origin"))
    found = verify(engine, config.station)
    engine.dispose()
    _as_one_file(folder / "straja.sqlite")
    fixes = None
    if (folder / "tracks.sqlite").exists():
        _as_one_file(folder / "tracks.sqlite")
        with closing(sqlite3.connect(folder / "tracks.sqlite")) as positions:
            fixes = positions.execute("SELECT count(*) FROM fix").fetchone()[0]
    return {
        "format": FORMAT,
        "made_at": at.isoformat().replace("+00:00", "Z"),
        "version": __version__,
        "station": config.station,
        "station_name": config.station_name,
        "database": "sqlite" if config.database_url.startswith("sqlite") else "postgresql",
        "schema": {"main": MAIN.head, "tracks": TRACKS.head},
        "log": {
            "position": position,
            "origin": origin,
            "events": found.events,
            "heads": {name: list(head) for name, head in found.heads.items()},
            "sealed": found.sealed,
            "erased": found.erased,
            "faults": found.faults,
        },
        "fixes": fixes,
        "city": _city(config),
        "pack": config.pack,
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)}
            for path in sorted(folder.iterdir())
        },
    }


def verify(engine: Engine, station: str) -> Verified:
    """Check every hash chain and every sealed value of a log that nobody runs on."""
    world = World.system()
    return Log(engine, world, Vault(engine, world.random), station=station).verify()


def _city(config: Config) -> dict[str, Any] | None:
    """Which city was in use: its files are not in the backup, they can be imported again."""
    folder = city_folder(config)
    if folder is None:
        return None
    try:
        info = open_city(folder).info
    except CityError:
        return {"name": folder.name}
    return {"name": info.name, "source": info.source, "imported_at": info.built_at}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pack(folder: Path, out: IO[bytes], manifest: dict[str, Any], passphrase: str | None) -> None:
    sealing = None if passphrase is None else Sealing(out, passphrase)
    sink: Any = out if sealing is None else sealing
    with (
        gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=1, filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        words = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size, info.mode = len(words), 0o600
        tar.addfile(info, io.BytesIO(words))
        for name in manifest["files"]:
            path = folder / name
            info = tarfile.TarInfo(name)
            info.size, info.mode = path.stat().st_size, 0o600
            with path.open("rb") as file:
                tar.addfile(info, file)
    if sealing is not None:
        sealing.finish()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- reading one


def is_sealed(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _unpack(source: Path, passphrase: str | None, into: Path | None) -> dict[str, Any]:
    """Read the whole file and hold it against its manifest, which is returned; with `into`, put its parts
    there. Raises Trouble."""
    try:
        with ExitStack() as opened:
            raw: IO[bytes] = opened.enter_context(source.open("rb"))
            stream: Any = raw
            if raw.read(len(MAGIC)) == MAGIC:
                if passphrase is None:
                    raise Trouble("the backup is sealed", "Name the passphrase with --passphrase-file.")
                stream = io.BufferedReader(Unsealing(raw, passphrase), PIECE_BYTES)
            else:
                raw.seek(0)
            packed = opened.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            tar = opened.enter_context(tarfile.open(fileobj=packed, mode="r|"))
            manifest = _read_members(tar, into)
            # The checksum of the packing, and the seal of the last piece, lie behind the last member.
            while packed.read(PIECE_BYTES):
                pass
            return manifest
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        EOFError,
        ValueError,
        KeyError,
        RecursionError,
        zlib.error,
    ) as error:
        raise Trouble(f"{source} is no whole backup: {error}", "Take another one.") from None
    except FileNotFoundError:
        raise Trouble(f"there is no file {source}") from None


class _Log(BaseModel):
    position: int
    origin: str | None
    events: int
    heads: dict[str, list[Any]]
    sealed: int
    erased: int
    faults: list[str]


class _City(BaseModel):
    name: str
    source: str = ""


class _Part(BaseModel):
    sha256: str


class _Manifest(BaseModel):
    """What of a manifest is relied upon: anybody may have written it."""

    made_at: str = Field(pattern=r"^[0-9TZ:.-]{10,32}$")
    version: str
    station: str = Field(pattern="^[A-Za-z0-9]{1,8}$")
    log: _Log
    fixes: int | None
    city: _City | None
    files: dict[str, _Part]


def _read_manifest(content: IO[bytes]) -> dict[str, Any]:
    """Raises Trouble for another format, and ValueError."""
    manifest = json.load(content)
    if not isinstance(manifest, dict):
        raise ValueError("its manifest is not an object")
    if manifest.get("format") != FORMAT:
        raise Trouble(
            f"the backup has format {manifest.get('format')}, and this program knows {FORMAT}",
            "Restore it with a newer Straja.",
        )
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"its manifest: {where}: {fault['msg']}") from None
    if "straja.sqlite" not in manifest["files"]:
        raise ValueError("it holds no log")
    return manifest


def _read_members(tar: tarfile.TarFile, into: Path | None) -> dict[str, Any]:
    manifest: dict[str, Any] = {}
    seen = set()
    for member in tar:
        content = tar.extractfile(member)
        if member.name not in NAMES or not member.isreg() or content is None:
            raise ValueError(f"{member.name!r} does not belong into one")
        if member.name == "manifest.json":
            manifest = _read_manifest(content)
            continue
        if not manifest:
            raise ValueError("its manifest does not come first")
        digest = hashlib.sha256()
        with (into / member.name).open("wb") if into else open(os.devnull, "wb") as out:
            while piece := content.read(PIECE_BYTES):
                digest.update(piece)
                out.write(piece)
        if digest.hexdigest() != manifest["files"][member.name]["sha256"]:
            raise Trouble(f"{member.name} in the backup was altered", "Take another one.")
        seen.add(member.name)
    if not manifest or seen != set(manifest["files"]):
        raise ValueError(f"parts are missing: {sorted(set(manifest.get('files', {})) - seen)}")
    return manifest


# ---- the way back


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: the manifest, the origin from here on, and what is on the board."""

    manifest: dict[str, Any]
    origin: str
    open_incidents: int
    units: int
    erased_again: int


def check(config: Config, source: Path, passphrase: str | None) -> tuple[dict[str, Any], Verified]:
    """Look whether a backup could be put back: its parts, its schema, its chains. Nothing is changed."""
    with _workshop(config.var, "restore") as folder:
        manifest = _unpack(source, passphrase, folder)
        return manifest, _make_ready(folder, manifest, {}, say=lambda _: None)[0]


def restore(
    config: Config,
    source: Path,
    passphrase: str | None,
    *,
    erasures: Path | None = None,
    say: Say = print,
) -> Restored:
    """Put a backup into the empty databases of `config`, check everything, and start the log once, so that
    it takes its new origin. Raises Trouble and SchemaError; an existing log is never touched."""
    try:
        _refuse_unless_empty(config)
    except UNREACHABLE as error:
        raise Trouble(f"the target does not answer: {error}", "Is that database there?") from None
    with _workshop(config.var, "restore") as folder:
        say("Reading the backup")
        manifest = _unpack(source, passphrase, folder)
        gone = read_erasures(erasures or erasures_file(source.parent, manifest["station"]))
        if gone:
            say(f"Erasing again what was erased since: a list of {len(gone)} values was found")
        say("Checking the hash chains")
        found, again = _make_ready(folder, manifest, gone, say)
        if found.faults:
            # It was backed up with them: better a log with a known fault than none.
            for fault in found.faults:
                say(f"FAULT {fault}")
        say("Putting it in place")
        # The log last: with it the node is there.
        if (folder / "tracks.sqlite").exists():
            _put(folder / "tracks.sqlite", open_tracks(config.tracks_url), TRACKS)
        _put(folder / "straja.sqlite", open_engine(config.database_url), MAIN)
    # Files beside an older log of this folder would speak of that one.
    for name in ("lineage", "head"):
        (config.var / name).unlink(missing_ok=True)
    core = open_core(config)
    try:
        incidents = sum(1 for x in core.picture.now.incidents() if x.open)
        return Restored(manifest, core.log.origin, incidents, sum(1 for _ in core.picture.now.units()), again)
    finally:
        core.close()


def _refuse_unless_empty(config: Config) -> None:
    if (config.var / "up.lock").exists():
        with (config.var / "up.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Trouble(f"Straja runs on {config.var}", "Stop it, and restore elsewhere.") from None
    with closing_engines(config) as (main, positions):
        for engine, tables in ((main, (event, account, private)), (positions, (fix, last_fix))):
            path = engine.url.database if engine.dialect.name == "sqlite" else None
            if path is not None and not Path(path).exists():
                continue
            with engine.connect() as connection:
                there = set(inspect(connection).get_table_names())
                for table in tables:
                    if table.name in there and connection.scalar(select(func.count()).select_from(table)):
                        raise Trouble(
                            f"{path or engine.url.render_as_string(hide_password=True)} is not empty:"
                            f" {table.name} has rows",
                            "Name an empty folder or database with --into. Nothing was changed.",
                        )
            if path is not None:
                _refuse_while_open(Path(path))


def _refuse_while_open(path: Path) -> None:
    """A web part or a keeper that was started by itself takes no lock on the folder, and would go on in the
    file that is replaced under it: whatever it then acknowledges would be nowhere."""
    try:
        # SQLite does this only for whoever is alone.
        with closing(sqlite3.connect(path, timeout=2)) as alone:
            alone.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        raise Trouble(
            f"{path} is in use ({error})", "Stop everything that runs on it, and restore again."
        ) from None


def _make_ready(
    folder: Path, manifest: dict[str, Any], gone: dict[str, int], say: Say
) -> tuple[Verified, int]:
    """Bring the unpacked databases to this program's schema, check the log against the manifest, make it a
    copy that knows it is one, and erase again. Raises Trouble and SchemaError."""
    try:
        return _make_sound(folder, manifest, gone, say)
    except (SQLAlchemyError, sqlite3.Error) as error:
        said = getattr(error, "orig", None) or error
        raise Trouble(
            f"a database in the backup cannot be used: {said}", "Take another one, or look for room."
        ) from None


def _make_sound(
    folder: Path, manifest: dict[str, Any], gone: dict[str, int], say: Say
) -> tuple[Verified, int]:
    main = _open_copy(folder / "straja.sqlite")
    again = 0
    try:
        migrate(main, MAIN, copy=False, say=say)
        if (folder / "tracks.sqlite").exists():
            positions = create_engine(f"sqlite:///{folder / 'tracks.sqlite'}", poolclass=NullPool)
            migrate(positions, TRACKS, copy=False, say=say)
            positions.dispose()
            _as_one_file(folder / "tracks.sqlite")
        with main.begin() as connection:
            for ident, at in gone.items():
                again += _erase(connection, ident, at)
            connection.execute(lineage.delete().where(lineage.c.name.in_(("fingerprint", "mark"))))
        found = verify(main, manifest["station"])
        heads = {name: tuple(head) for name, head in manifest["log"]["heads"].items()}
        if found.heads != heads or found.faults != manifest["log"]["faults"]:
            raise Trouble(
                "the log in the backup is not the one its manifest describes:"
                f" {'; '.join(found.faults[:3]) or 'other heads'}",
                "Take another one.",
            )
        return found, again
    finally:
        main.dispose()
        _as_one_file(folder / "straja.sqlite")


def _erase(connection: Connection, ident: str, at: int) -> int:
    """Zero one sealed value where it is; 1 if it was."""
    found = 0
    for table, column in ((private, private.c.ciphertext), (private_key, private_key.c.key)):
        zeros = func.zeroblob(func.length(column))
        here = table.update().where(table.c.id == ident, column != zeros).values({column: zeros})
        found = connection.execute(here).rowcount or found
    if connection.scalar(select(erased.c.id).where(erased.c.id == ident)) is None:
        connection.execute(insert(erased).values(id=ident, at=at))
    return int(bool(found))


def _put(source: Path, target: Engine, chain: Chain) -> None:
    """Move a file into its place, or its rows into a server, all or nothing."""
    try:
        if target.dialect.name == "sqlite":
            path = Path(str(target.url.database))
            path.parent.mkdir(parents=True, exist_ok=True)
            for beside in ("-wal", "-shm", ""):
                path.with_name(path.name + beside).unlink(missing_ok=True)
            with source.open("rb") as file:
                os.fsync(file.fileno())
            os.chmod(source, 0o600)
            try:
                os.replace(source, path)
            except OSError:
                # Another disk: a copy under another name first, so that it appears whole.
                scratch = path.with_name(f"{path.name}.new")
                shutil.copyfile(source, scratch)
                with scratch.open("rb") as file:
                    os.fsync(file.fileno())
                os.chmod(scratch, 0o600)
                os.replace(scratch, path)
            _sync_folder(path.parent)
            return
        migrate(target, chain)
        copy = _open_copy(source)
        with copy.connect() as reading, target.begin() as writing:
            if chain is TRACKS:
                writing.exec_driver_sql("SET LOCAL statement_timeout = 0")
            copy_rows(reading, writing, chain)
        copy.dispose()
    finally:
        target.dispose()


# ---- what was erased since


def erasures_file(folder: Path, station: str) -> Path:
    """Where the ids of everything erased at a station are kept beside its backups."""
    return folder / f"erasures-{station}.txt"


def note_erasures(engine: Engine, folder: Path, station: str) -> int:
    """Write down beside the backups what has been erased; how many ids are new there. The ids are random
    and say nothing about anybody."""
    path = erasures_file(folder, station)
    known = read_erasures(path)
    with engine.connect() as connection:
        if (connection.scalar(select(func.count()).select_from(erased)) or 0) <= len(known):
            return 0
        now = {row.id: row.at for row in connection.execute(select(erased))}
    lines = sorted((at, ident) for ident, at in (known | now).items())
    write_durably(path, "".join(f"{ident} {at}\n" for at, ident in lines))
    return len(now.keys() - known.keys())


def read_erasures(path: Path) -> dict[str, int]:
    """Id -> when, µs since 1970; empty where there is no list. Raises Trouble for one that is damaged."""
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        ident, _, at = line.partition(" ")
        if not (ident.isascii() and ident.isalnum() and at.isdigit()):
            raise Trouble(f"line {number} of {path} cannot be read", "Mend or remove that line.")
        found[ident] = int(at)
    return found


# ---- on a schedule


@dataclass(frozen=True, slots=True)
class State:
    """How backups have gone; times in seconds since 1970, 0 for never."""

    ok_at_s: float = 0.0
    file: str = ""
    failed_at_s: float = 0.0
    error: str = ""

    @property
    def failing(self) -> bool:
        return self.failed_at_s > self.ok_at_s

    def words(self, config: Config, now_s: float) -> str:
        """For /healthz: "off", "ok", "late" or "failed: why"."""
        if config.backup_dir is None:
            return "off"
        if self.failing:
            return f"failed: {self.error}"
        if self.ok_at_s and now_s - self.ok_at_s > LATE_FACTOR * config.backup_every_h * 3600:
            return "late"
        return "ok" if self.ok_at_s else "none yet"


def state(var: Path) -> State:
    try:
        return State(**json.loads((var / "backup.json").read_text()))
    except (OSError, ValueError, TypeError):
        return State()


class Schedule:
    """What the keeper does about backups: starts one in a process of its own when it is due, writes down
    how it went, and keeps the list of erasures beside them. `step` never waits, not
    for a disk of theirs that hangs either."""

    def __init__(self, config: Config, engine: Engine, clock: Clock) -> None:
        self._config = config
        self._engine = engine
        self._clock = clock
        self._running: subprocess.Popen[str] | None = None
        self._said = ""
        self._noting = False

    def step(self) -> None:
        folder = self._config.backup_dir
        if folder is None:
            return
        if self._running is not None:
            self._reap(self._running)
        elif self._is_due():
            self._start(folder)
        if not self._noting:
            self._noting = True
            start_thread(lambda: self._note_erasures(folder), "straja-erased")

    def _note_erasures(self, folder: Path) -> None:
        try:
            note_erasures(self._engine, folder, self._config.station)
            self._said = ""
        except (OSError, Trouble, SQLAlchemyError) as error:
            # Once, not each second.
            if str(error) != self._said:
                self._said = str(error)
                log.error("what was erased cannot be noted beside the backups: %s", error)
        finally:
            self._noting = False

    def _is_due(self) -> bool:
        now_s, last = self._clock.now_us() / 1e6, state(self._config.var)
        every_s = self._config.backup_every_h * 3600
        if last.failing:
            return now_s - last.failed_at_s >= min(RETRY_S, every_s)
        # A clock that was set back must not put the next one off for good.
        return not 0 <= now_s - last.ok_at_s < every_s

    def _start(self, folder: Path) -> None:
        command = up.straja("backup", "--keep", str(self._config.backup_keep))
        environment = {
            **os.environ,
            "STRAJA_BACKUP_DIR": str(folder),
            "PYTHONPATH": str(ROOT),
            "STRAJA_SUPERVISOR": str(os.getpid()),
        }
        try:
            self._running = subprocess.Popen(
                [sys.executable, "-P", "-c", up.LEASHED, *command],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except OSError as error:
            self._note(failed=str(error))

    def _reap(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            return
        self._running = None
        said = (process.communicate()[0] or "").strip()
        if process.returncode == 0:
            self._note(file=said.splitlines()[-1])
            log.info("backed up to %s", said.splitlines()[-1])
        else:
            _, _, why = said.rpartition("straja: ")
            self._note(failed=why.splitlines()[0] if why else f"exit code {process.returncode}")
            log.error("the backup failed: %s", said)

    def _note(self, file: str = "", failed: str = "") -> None:
        now_s, last = self._clock.now_us() / 1e6, state(self._config.var)
        new = State(now_s, file) if file else State(last.ok_at_s, last.file, now_s, failed)
        words = {name: getattr(new, name) for name in State.__dataclass_fields__}
        write_durably(self._config.var / "backup.json", json.dumps(words, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """End a backup that is being made: its half is removed by the next one."""
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()
            self._running.wait(10)


def rotate(folder: Path, station: str, keep: int) -> list[Path]:
    """Delete all but the newest `keep` backups of a station in a folder; those deleted."""
    names = [*folder.glob(f"straja-{station}-*Z.tar.gz"), *folder.glob(f"straja-{station}-*Z.tar.gz.sealed")]
    old = sorted(names, key=lambda path: path.name.partition(".")[0])[: -keep or None] if keep else []
    for path in old:
        path.unlink()
    return old


def newer_beside(source: Path, manifest: dict[str, Any]) -> Iterable[Path]:
    """Backups of the same station in the same folder whose names say that they are newer."""
    stem = f"straja-{manifest['station']}-"
    made = manifest["made_at"].replace("-", "").replace(":", "")
    for path in sorted(source.parent.glob(f"{stem}*")):
        if path != source and path.name.removeprefix(stem).partition(".")[0] > made:
            yield path
