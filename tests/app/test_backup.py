"""Backups, and the drill: everything destroyed, put back, and nothing of what was promised is missing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import tarfile
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sqlalchemy import func, select

from app import backup, up
from app.core import open_core
from app.tables import erased, private, private_key, session
from app.up import Trouble
from config import Config
from dispatch import commands as c
from tests.app.control_room import PHONE, Room, open_room

if TYPE_CHECKING:
    from tests.conftest import FakeClock, PostgreSQL, SeededRandom, Server

ROOT = Path(__file__).resolve().parent.parent.parent
PASSPHRASE = "corect cal baterie capsă"


@pytest.fixture
def room(own_room: Room) -> Room:
    """Given a station with a closed and an open incident, a unit that was sent, and a position."""
    own_room.incident(description="a căzut o creangă", caller={"name": "Ioana", "phone": PHONE})
    closed = own_room.incident()
    own_room.ana.post(f"/incidents/{closed['id']}/close", {"outcome": "stins"})
    unit = own_room.unit()
    own_room.sent(own_room.incident()["id"], unit)
    row = {"unit": unit, "lon": 24.94, "lat": 60.17, "observed_at": own_room.ago(2)}
    assert own_room.desk("gateway").post("/positions", [row]).status_code == 202
    assert own_room.core.tracks.drain()
    return own_room


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Where backups are put: another disk."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    return folder


@pytest.fixture
def emptied(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Config]]:
    """Settings of a new machine with nothing on it, on either kind of database: emptied("sqlite")."""
    dropped: list[tuple[PostgreSQL, str]] = []

    def make(kind: str) -> Config:
        var = tmp_path / f"new-{uuid.uuid4().hex[:6]}"
        config = Config.from_env({"STRAJA_VAR": str(var)})
        if kind == "postgresql":
            server: PostgreSQL = request.getfixturevalue("postgresql")
            dropped.append((server, server.fresh()))
            url = server.url(dropped[-1][1])
            config = replace(config, database_url=url, tracks_url=url)
        return config

    yield make
    for server, name in dropped:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


def quiet(_: str) -> None: ...


def board(room: Room) -> dict[str, Any]:
    """What the room shows, without what moves by itself."""
    rows = room.ana.get("/incidents?state=all").json + room.ana.get("/units").json
    keep = (
        "id",
        "number",
        "state",
        "status",
        "description",
        "caller",
        "location",
        "assignments",
        "crew",
        "notes",
    )
    return {row["id"]: {name: row.get(name) for name in keep} for row in rows}


def board_of(config: Config, clock: FakeClock, random: SeededRandom, city: Path) -> dict[str, Any]:
    with open_room(config.var, config.database_url, clock, random, city) as again:
        return board(again)


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def rewritten(file: Path, parts: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


# ---- there and back


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_station_comes_back_as_it_was_on_either_kind_of_database(
    room: Room,
    shelf: Path,
    emptied: Callable[[str], Config],
    kind: str,
    clock: FakeClock,
    random: SeededRandom,
    helsinki: Path,
) -> None:
    before, log = board(room), room.core.log
    file, manifest = backup.make(room.core.config, shelf, None, say=quiet)
    assert file.stat().st_mode & 0o777 == 0o600
    assert manifest["log"]["position"] == log.position
    assert manifest["log"]["heads"] == {name: list(head) for name, head in log.verify().heads.items()}
    assert sorted(path.name for path in shelf.iterdir()) == [file.name]
    # When everything is put back on another machine
    config = emptied(kind)
    done = backup.restore(config, file, None, say=quiet)
    # then the same board is shown, personal data can be read, and the chains hold
    assert (done.open_incidents, done.units) == (2, 1)
    assert board_of(config, clock, random, helsinki) == before
    assert PHONE in json.dumps(before)
    core = open_core(config, listen=False)
    found = core.log.verify()
    assert (found.faults, found.events) == ([], manifest["log"]["events"])
    # and it speaks under a new name from now on, after all that it knew
    assert done.origin != log.origin
    started = open_core(config)
    assert started.log.origin == done.origin
    assert started.tracks.arrays().units
    note = c.AddNote(id=str(random.uuid()), incident=next(iter(before)), text="după", source="console")
    from tests.nodes.world import ADMIN

    answer = started.door.submit(note, ADMIN)
    assert answer.position == manifest["log"]["position"] + 1
    started.close()
    # and nobody is signed in by it
    with core.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(session)) == 0


def test_a_sealed_backup_holds_nothing_readable_and_opens_with_its_passphrase_alone(
    room: Room, shelf: Path, emptied: Callable[[str], Config]
) -> None:
    file, _ = backup.make(room.core.config, shelf, PASSPHRASE, say=quiet)
    assert file.name.endswith(".sealed")
    raw = file.read_bytes()
    assert b"manifest" not in raw
    assert b"SQLite" not in gzip.compress(raw)[:0] + raw
    with pytest.raises(Trouble, match="passphrase does not open"):
        backup.restore(emptied("sqlite"), file, "corect cal baterie capsa", say=quiet)
    with pytest.raises(Trouble, match="is sealed"):
        backup.restore(emptied("sqlite"), file, None, say=quiet)
    assert backup.restore(emptied("sqlite"), file, PASSPHRASE, say=quiet).open_incidents == 2


def unpacks_to(raw: bytes) -> bytes | None:
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error):
        return None


@pytest.mark.parametrize("sealed", [None, PASSPHRASE])
def test_a_backup_that_was_cut_or_altered_is_refused_and_nothing_is_put_in_place(
    room: Room, shelf: Path, emptied: Callable[[str], Config], sealed: str | None, random: SeededRandom
) -> None:
    file, _ = backup.make(room.core.config, shelf, sealed, say=quiet)
    whole = file.read_bytes()
    config = emptied("sqlite")
    broken = [whole[: len(whole) - n] for n in (1, 9, len(whole) // 2)]
    for _ in range(6):
        at = random.randrange(40, len(whole))
        broken.append(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
    for raw in broken:
        if sealed is None and unpacks_to(raw) == unpacks_to(whole):
            continue  # A zero may be packed as a repetition of any of the zeros before it.
        file.write_bytes(raw)
        with pytest.raises(Trouble):
            backup.restore(config, file, sealed, say=quiet)
        assert not list(config.var.glob("*.sqlite*"))


def test_a_log_that_does_not_fit_its_manifest_is_refused(
    room: Room, shelf: Path, emptied: Callable[[str], Config], tmp_path: Path
) -> None:
    """Somebody opened the file, changed what a dispatcher said, and packed it anew with a right checksum."""
    file, _ = backup.make(room.core.config, shelf, None, say=quiet)
    parts = members(file)
    forged = tmp_path / "forged.sqlite"
    forged.write_bytes(parts["straja.sqlite"])
    with sqlite3.connect(forged) as connection:
        connection.execute("UPDATE event SET actor = 'dispatcher:altcineva' WHERE position = 2")
    connection.close()
    manifest = json.loads(parts["manifest.json"])
    parts["straja.sqlite"] = forged.read_bytes()
    manifest["files"]["straja.sqlite"]["sha256"] = hashlib.sha256(parts["straja.sqlite"]).hexdigest()
    parts["manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(Trouble, match=r"not the one its manifest describes.*altered"):
        backup.restore(emptied("sqlite"), rewritten(file, parts), None, say=quiet)


def without_log(manifest: dict[str, Any]) -> Any:
    return {name: value for name, value in manifest.items() if name != "log"}


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (lambda manifest: [manifest], "manifest is not an object"),
        (without_log, "manifest: log"),
        (lambda manifest: manifest | {"station": "../../x"}, "manifest: station"),
        (lambda manifest: manifest | {"files": {}}, "holds no log"),
        (lambda manifest: manifest | {"log": manifest["log"] | {"heads": []}}, "manifest: log.heads"),
    ],
)
def test_a_manifest_that_anybody_may_have_written_is_refused_in_words(
    room: Room, shelf: Path, emptied: Callable[[str], Config], forge: Callable[[Any], Any], told: str
) -> None:
    file, manifest = backup.make(room.core.config, shelf, None, say=quiet)
    parts = members(file) | {"manifest.json": json.dumps(forge(manifest)).encode()}
    with pytest.raises(Trouble, match=told):
        backup.restore(emptied("sqlite"), rewritten(file, parts), None, say=quiet)


def test_a_log_that_is_no_database_is_refused_in_words(
    room: Room, shelf: Path, emptied: Callable[[str], Config]
) -> None:
    file, manifest = backup.make(room.core.config, shelf, None, say=quiet)
    parts = members(file) | {"straja.sqlite": b"no database " * 1000}
    manifest["files"]["straja.sqlite"]["sha256"] = hashlib.sha256(parts["straja.sqlite"]).hexdigest()
    parts["manifest.json"] = json.dumps(manifest).encode()
    config = emptied("sqlite")
    with pytest.raises(Trouble, match="cannot be used: file is not a database"):
        backup.restore(config, rewritten(file, parts), None, say=quiet)
    assert not list(config.var.glob("*.sqlite*"))


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "other.sqlite"])
def test_a_tar_with_strange_names_in_it_is_refused(
    room: Room, shelf: Path, emptied: Callable[[str], Config], name: str
) -> None:
    file, _ = backup.make(room.core.config, shelf, None, say=quiet)
    parts = members(file) | {name: b"x"}
    with pytest.raises(Trouble, match="does not belong"):
        backup.restore(emptied("sqlite"), rewritten(file, parts), None, say=quiet)


def test_a_backup_of_a_newer_program_is_refused_with_the_remedy(
    room: Room, shelf: Path, emptied: Callable[[str], Config], tmp_path: Path
) -> None:
    file, _ = backup.make(room.core.config, shelf, None, say=quiet)
    parts = members(file)
    manifest = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps(manifest | {"format": 99}).encode()
    with pytest.raises(Trouble, match="format 99") as refused:
        backup.restore(emptied("sqlite"), rewritten(file, parts), None, say=quiet)
    assert "newer Straja" in refused.value.remedy


# ---- what it refuses


def test_an_empty_node_that_runs_is_not_replaced_under_its_own_feet(
    room: Room, shelf: Path, emptied: Callable[[str], Config]
) -> None:
    file, _ = backup.make(room.core.config, shelf, None, say=quiet)
    config = emptied("sqlite")
    running = open_core(config)
    try:
        with pytest.raises(Trouble, match="is in use"):
            backup.restore(config, file, None, say=quiet)
    finally:
        running.close()
    assert backup.restore(config, file, None, say=quiet).units == 1


def test_a_log_that_is_there_is_never_touched(room: Room, shelf: Path) -> None:
    file, _ = backup.make(room.core.config, shelf, None, say=quiet)
    before = room.core.log.position
    with pytest.raises(Trouble, match="is not empty"):
        backup.restore(room.core.config, file, None, say=quiet)
    room.incident()
    assert room.core.log.position == before + 1
    assert room.core.log.trouble is None


def test_a_backup_is_never_overwritten_and_a_missing_disk_is_said(room: Room, shelf: Path) -> None:
    file, _ = backup.make(room.core.config, shelf / "one.tar.gz", None, say=quiet)
    with pytest.raises(Trouble, match="already there"):
        backup.make(room.core.config, file, None, say=quiet)
    with pytest.raises(Trouble, match="is not there"):
        backup.make(room.core.config, shelf / "away" / "one.tar.gz", None, say=quiet)
    assert [path.name for path in shelf.iterdir()] == ["one.tar.gz"]


def test_a_passphrase_must_be_worth_its_name(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("scurt\n")
    with pytest.raises(Trouble, match="fewer than 12"):
        backup.read_passphrase(path)
    path.write_text(f"{PASSPHRASE}\nignored\n")
    assert backup.read_passphrase(path) == PASSPHRASE
    assert backup.read_passphrase(None) is None
    with pytest.raises(Trouble, match="cannot be read"):
        backup.read_passphrase(tmp_path / "none")


# ---- erased stays erased


def test_what_was_erased_before_stays_erased_and_what_was_erased_since_is_erased_again(
    room: Room, shelf: Path, emptied: Callable[[str], Config]
) -> None:
    admin = room.desk("admin")

    def erase(description: str) -> set[str]:
        incident = room.incident(description=description)
        room.ana.post(f"/incidents/{incident['id']}/close", {"outcome": "gata"})
        before = ids(room)
        assert admin.post(f"/incidents/{incident['id']}/erase", {"reason": "cerere"}).status_code == 200
        return ids(room) - before

    def ids(room: Room) -> set[str]:
        with room.core.engine.connect() as connection:
            return set(connection.scalars(select(erased.c.id)))

    earlier = erase("prima")
    to_be = room.incident(description="a doua")
    room.ana.post(f"/incidents/{to_be['id']}/close", {"outcome": "gata"})
    file, manifest = backup.make(room.core.config, shelf, None, say=quiet)
    # After the backup somebody asks to be forgotten, and the keeper notes the ids beside the backups
    assert admin.post(f"/incidents/{to_be['id']}/erase", {"reason": "cerere"}).status_code == 200
    later = ids(room) - earlier
    assert later
    assert backup.note_erasures(room.core.engine, shelf, manifest["station"]) == len(earlier | later)
    assert backup.note_erasures(room.core.engine, shelf, manifest["station"]) == 0
    # When the backup is put back
    config = emptied("sqlite")
    done = backup.restore(config, file, None, say=quiet)
    # then neither can be read, and no fault is found in that
    assert done.erased_again == len(later)
    core = open_core(config, listen=False)
    with core.engine.connect() as connection:
        for table, column in ((private, private.c.ciphertext), (private_key, private_key.c.key)):
            left = connection.execute(select(table.c.id, column).where(table.c.id.in_(earlier | later)))
            assert not [ident for ident, value in left if any(value)]
        assert set(connection.scalars(select(erased.c.id))) == earlier | later
    assert core.log.verify().faults == []
    # Without the list it would have come back: that is why the list lies beside the backups.
    unlisted = emptied("sqlite")
    shutil.move(backup.erasures_file(shelf, manifest["station"]), shelf / "elsewhere.txt")
    assert backup.restore(unlisted, file, None, say=quiet).erased_again == 0
    listed = emptied("sqlite")
    assert backup.restore(
        listed, file, None, erasures=shelf / "elsewhere.txt", say=quiet
    ).erased_again == len(later)


def test_a_damaged_list_of_erasures_is_named_with_its_line(tmp_path: Path) -> None:
    path = backup.erasures_file(tmp_path, "C1")
    path.write_text("ab12 17\n<html>\n")
    with pytest.raises(Trouble, match="line 2"):
        backup.read_erasures(path)


# ---- by itself


def test_a_disk_of_backups_that_hangs_stops_no_deadline(
    own_room: Room, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, asked = threading.Event(), []

    def note(*_: Any) -> int:
        asked.append(1)
        assert hangs.wait(30)
        return 0

    monkeypatch.setattr(backup, "note_erasures", note)
    monkeypatch.setattr(backup.Schedule, "_is_due", lambda _: False)
    config = replace(own_room.core.config, backup_dir=shelf)
    schedule = backup.Schedule(config, own_room.core.engine, own_room.clock)
    # When the keeper steps, it goes on, and does not pile up more that wait
    for _ in range(3):
        schedule.step()
    assert up.wait_until(lambda: bool(asked), 10)
    schedule.step()
    assert asked == [1]
    # and notes again when the disk is back
    hangs.set()

    def again() -> bool:
        schedule.step()
        return len(asked) > 1

    assert up.wait_until(again, 10)


def test_the_keeper_makes_backups_when_they_are_due_and_says_when_they_fail(
    tmp_path: Path,
    shelf: Path,
    clock: FakeClock,
    random: SeededRandom,
    helsinki: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    var = tmp_path / "var"
    with open_room(var, f"sqlite:///{var / 'straja.sqlite'}", clock, random, helsinki) as room:
        room.incident()
        config = replace(room.core.config, backup_dir=shelf, backup_every_h=24, backup_keep=2)
        for name, value in (
            ("VAR", var),
            ("DATABASE_URL", config.database_url),
            ("TRACKS_URL", config.tracks_url),
        ):
            monkeypatch.setenv(f"STRAJA_{name}", str(value))
        schedule = backup.Schedule(config, room.core.engine, clock)
        now_s = clock.now_us() / 1e6
        assert backup.state(var).words(config, now_s) == "none yet"

        def settled() -> bool:
            schedule.step()
            return schedule._running is None

        schedule.step()
        assert up.wait_until(settled, 60)
        assert backup.state(var).words(config, clock.now_us() / 1e6) == "ok"
        first = Path(backup.state(var).file)
        assert backup.check(config, first, None)[1].faults == []
        # Not again before its time
        clock.advance(3600)
        schedule.step()
        assert schedule._running is None
        # The disk of the backups is taken away
        clock.advance(24 * 3600)
        shelf.rename(tmp_path / "away")
        schedule.step()
        assert up.wait_until(settled, 60)
        words = backup.state(var).words(config, clock.now_us() / 1e6)
        assert words.startswith("failed: the folder")
        schedule.step()
        assert schedule._running is None, "not again at once"
        # and brought back
        (tmp_path / "away").rename(shelf)
        clock.advance(backup.RETRY_S + 1)
        schedule.step()
        assert up.wait_until(settled, 60)
        assert backup.state(var).words(config, clock.now_us() / 1e6) == "ok"
        # Nobody makes them any more
        clock.advance(48 * 3600)
        assert backup.state(var).words(config, clock.now_us() / 1e6) == "late"
        health = room.app.test_client().get("/healthz").json
        assert health["parts"]["backup"] == "off"


def test_only_the_newest_are_kept_and_nothing_else_is_deleted(shelf: Path) -> None:
    names = [f"straja-C1-2026112{day}T030000Z.tar.gz{ending}" for day in range(5) for ending in ("",)]
    names[3] += ".sealed"
    others = ["straja-C2-20261120T030000Z.tar.gz", "erasures-C1.txt", "straja-C1-notes.tar.gz"]
    for name in names + others:
        (shelf / name).touch()
    assert [path.name for path in backup.rotate(shelf, "C1", 2)] == names[:3]
    assert {path.name for path in shelf.iterdir()} == {*names[3:], *others}
    assert backup.rotate(shelf, "C1", 0) == []


# ---- the drill


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_drill(
    kind: str,
    start_server: Callable[..., Server],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    shelf: Path,
) -> None:
    """A station under load is backed up, burns down, and starts again elsewhere from the backup."""
    url, fresh = None, None
    if kind == "postgresql":
        database: PostgreSQL = request.getfixturevalue("postgresql")
        url, fresh = database.url(database.fresh()), database.url(database.fresh())
    server = start_server(url)
    login = next(one for one in server.demo if one["role"] == "dispatcher")
    acknowledged: list[tuple[float, str]] = []
    stop, errors = threading.Event(), []

    def sign_in(at: str) -> tuple[requests.Session, dict[str, str]]:
        caller = requests.Session()
        answer = caller.post(
            f"{at}/api/v1/session", json={k: login[k] for k in ("name", "password")}, timeout=20
        )
        return caller, {"X-CSRF-Token": answer.json()["csrf"]}

    def take_calls() -> None:
        caller, headers = sign_in(server.url)
        # Forty calls a second are a load; as many as the processors can take would starve what is watched.
        while not stop.wait(0.1):
            ident = str(uuid.uuid4())
            body = {
                "id": ident,
                "type": "F05",
                "location": {"lon": 24.9414, "lat": 60.1712},
                "description": PHONE,
            }
            try:
                answer = caller.post(f"{server.url}/api/v1/incidents", json=body, headers=headers, timeout=20)
                assert answer.status_code == 201, answer.text
                acknowledged.append((answer.json()["number"], ident))
            except Exception as error:
                errors.append(error)
                return

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            up.straja(*words),
            cwd=ROOT,
            env={**server.env, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    callers = [threading.Thread(target=take_calls) for _ in range(4)]
    for caller in callers:
        caller.start()
    # When a backup is made while calls keep coming
    assert up.wait_until(lambda: len(acknowledged) > 20 or bool(errors), 60)
    before = list(acknowledged)
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE)
    made = run("backup", str(shelf), "--passphrase-file", str(passphrase))
    assert made.returncode == 0, made.stderr
    file = Path(made.stdout.splitlines()[-1])
    assert up.wait_until(lambda: len(acknowledged) > len(before) + 5 or bool(errors), 60)
    stop.set()
    for caller in callers:
        caller.join()
    assert not errors
    session_, _ = sign_in(server.url)
    shown = {row["id"]: row for row in everything(session_, server.url)}
    # and then everything is destroyed
    for part in list(server.processes):
        server.kill(part)
    for path in server.var.glob("*"):
        if path.name not in ("cities", "log"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if fresh:
        database.run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")  # type: ignore[union-attr]
        server.env["STRAJA_DATABASE_URL"] = fresh
    checked = run("restore", str(file), "--check", "--passphrase-file", str(passphrase))
    assert checked.returncode == 0, checked.stderr
    back = run("restore", str(file), "--passphrase-file", str(passphrase))
    assert back.returncode == 0, back.stderr
    assert "records as C1#" in back.stdout
    again = run("restore", str(file), "--passphrase-file", str(passphrase))
    assert again.returncode == 2
    assert "is not empty" in again.stderr
    # then the station starts, and shows exactly what it showed of everything up to the backup
    server.start()
    caller, headers = sign_in(server.url)
    now = {row["id"]: row for row in everything(caller, server.url)}
    assert {ident for _, ident in before} <= now.keys()
    for ident, row in now.items():
        moving = {"log_position", "age_s", "server_time"}
        assert {k: v for k, v in row.items() if k not in moving} == {
            k: v for k, v in shown[ident].items() if k not in moving
        }
    assert PHONE in json.dumps(now)
    # and goes on: a new call, whose number nobody else has
    body = {"id": str(uuid.uuid4()), "type": "F05", "location": {"lon": 24.9414, "lat": 60.1712}}
    fresh_call = caller.post(f"{server.url}/api/v1/incidents", json=body, headers=headers, timeout=20)
    assert fresh_call.status_code == 201
    assert fresh_call.json()["number"] not in {row["number"] for row in now.values()}
    verified = run("verify")
    assert verified.returncode == 0, verified.stdout
    server.stop()


def everything(caller: requests.Session, url: str) -> list[dict[str, Any]]:
    rows, path = [], "/api/v1/incidents?state=all&limit=200"
    while path:
        answer = caller.get(f"{url}{path}", timeout=20)
        rows += answer.json()
        path = answer.links.get("next", {}).get("url", "")
    return rows
