"""The schema moves on without losing anything: from empty, from the first release, from one revision to the
next; killed in the middle; and never under a program that does not know it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.engine import make_url

from app import up
from app.database import open_engine
from app.log import StorageError
from app.migrations import (
    COPY_KEPT_S,
    MAIN,
    TRACKS,
    Chain,
    SchemaError,
    difference,
    drop_old_copies,
    migrate,
    standing,
)
from app.tables import erased, event, event_subject, private, private_key
from dispatch import commands as c
from tests.nodes.world import Node

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"

FIRST_RELEASE = """
CREATE TABLE account (name VARCHAR(64) NOT NULL, display_name VARCHAR(128) NOT NULL,
  role VARCHAR(32) NOT NULL, districts TEXT NOT NULL, unit VARCHAR(64), password_hash TEXT NOT NULL,
  demo BOOLEAN NOT NULL,
  disabled BOOLEAN NOT NULL, failures INTEGER NOT NULL, locked_until BIGINT NOT NULL,
  created_at BIGINT NOT NULL, PRIMARY KEY (name));
CREATE TABLE answered (cause VARCHAR(128) NOT NULL, position BIGINT NOT NULL,
  request_hash VARCHAR(64) NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (cause));
CREATE INDEX ix_answered_at ON answered (at);
CREATE TABLE erased (id VARCHAR(40) NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (id));
CREATE TABLE event (position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, origin VARCHAR(64) NOT NULL,
  seq BIGINT NOT NULL, lamport BIGINT NOT NULL, recorded_at BIGINT NOT NULL, observed_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL, type VARCHAR(64) NOT NULL, version INTEGER NOT NULL, subjects TEXT NOT NULL,
  data TEXT NOT NULL, cause VARCHAR(128) NOT NULL, cause_index INTEGER NOT NULL,
  request_hash VARCHAR(64) NOT NULL, actor VARCHAR(128) NOT NULL, epoch BIGINT NOT NULL,
  hash_version INTEGER NOT NULL, prev_hash VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
  CONSTRAINT event_origin_seq UNIQUE (origin, seq),
  CONSTRAINT event_cause_origin UNIQUE (cause, cause_index, origin));
CREATE TABLE event_subject (subject VARCHAR(128) NOT NULL, position BIGINT NOT NULL,
  PRIMARY KEY (subject, position)) WITHOUT ROWID;
CREATE TABLE incident_index (id VARCHAR(64) NOT NULL, number VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
  PRIMARY KEY (id)) WITHOUT ROWID;
CREATE TABLE lineage (name VARCHAR(32) NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE private (n INTEGER NOT NULL, id VARCHAR(40) NOT NULL, ciphertext BLOB NOT NULL, PRIMARY KEY (n),
  UNIQUE (id));
CREATE TABLE private_key (n INTEGER NOT NULL, id VARCHAR(40) NOT NULL, key BLOB NOT NULL, PRIMARY KEY (n),
  UNIQUE (id));
CREATE TABLE quarantine (origin VARCHAR(64) NOT NULL, seq BIGINT NOT NULL, reason TEXT NOT NULL,
  at BIGINT NOT NULL, PRIMARY KEY (origin));
CREATE TABLE session (id_hash VARCHAR(64) NOT NULL, account VARCHAR(64) NOT NULL, csrf VARCHAR(64) NOT NULL,
  created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY (id_hash));
CREATE INDEX ix_session_account ON session (account);
CREATE TABLE token (token_hash VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL, role VARCHAR(32) NOT NULL,
  districts TEXT NOT NULL, unit VARCHAR(64), created_at BIGINT NOT NULL, revoked_at BIGINT,
  PRIMARY KEY (token_hash), UNIQUE (name));
"""
"""A database as it was before revisions were counted, with the incident index of an early form: what an
operator who comes from there has on the disk."""


def first_release(engine: Engine) -> list[str]:
    script = FIRST_RELEASE
    if engine.dialect.name == "postgresql":
        for embedded, server in (
            ("INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "BIGSERIAL NOT NULL PRIMARY KEY"),
            ("(n INTEGER NOT NULL", "(n BIGSERIAL NOT NULL"),
            (" WITHOUT ROWID", ""),
            ("BLOB", "BYTEA"),
        ):
            script = script.replace(embedded, server)
    return [statement for statement in script.split(";\n") if statement.strip()]


def fill(connection: Connection) -> list[dict[str, object]]:
    """Put the golden log into the old tables; its events as they lie there now."""
    raw = [json.loads(line) for line in (GOLDEN / "log-v1.jsonl").read_text(encoding="utf-8").splitlines()]
    events = [
        {**row, "position": n, "received_at": row["recorded_at"]}
        for n, row in enumerate((row for row in raw if "hash" in row), 1)
    ]
    gone = {
        ident
        for row in events
        if row["type"] == "PersonalDataErased"
        for ident in json.loads(row["data"])["ids"]
    }
    connection.execute(event.insert(), events)
    for row in events:
        subjects = [
            {"subject": s, "position": row["position"]} for s in dict.fromkeys(json.loads(row["subjects"]))
        ]
        connection.execute(event_subject.insert(), subjects)
    for blob in (row for row in raw if "ciphertext" in row and row["id"] not in gone):
        for table, column in ((private, "ciphertext"), (private_key, "key")):
            connection.execute(table.insert(), {"id": blob["id"], column: bytes.fromhex(blob[column])})
    if gone:
        connection.execute(erased.insert(), [{"id": ident, "at": 1} for ident in gone])
    return events


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = open_engine(database)
    yield made
    made.dispose()


def longer(tmp_path: Path, words: str, number: str = "0099", rewrites: bool = False) -> Chain:
    """The main chain with one revision more, as the next release may bring it."""
    folder = tmp_path / f"chain-{number}"
    folder.mkdir()
    for path in MAIN.folder.glob("r*.py"):
        (folder / path.name).write_text(path.read_text())
    body = f"from alembic import op\nimport sqlalchemy as sa\nrevision = {number!r}\n"
    body += f"down_revision = {MAIN.head!r}\nREWRITES_DATA = {rewrites}\n\ndef upgrade():\n"
    (folder / f"r{number}_next.py").write_text(body + textwrap.indent(textwrap.dedent(words).strip(), "    "))
    return Chain("main", MAIN.metadata, folder, MAIN.rebuilt)


ADD = """
op.add_column("token", sa.Column("note", sa.String(64)))
op.execute("UPDATE token SET note = 'old'")
"""


def columns(engine: Engine, table: str) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns(table)}


# ---- the chain leads to what the program expects


def test_an_empty_database_becomes_exactly_what_the_tables_say(engine: Engine) -> None:
    for chain in (MAIN, TRACKS):  # on PostgreSQL both live in one database
        assert migrate(engine, chain).empty
        with engine.connect() as connection:
            assert difference(connection, chain) == []
            assert standing(connection, chain).is_current(chain)
    # and a second start changes nothing
    assert migrate(engine, MAIN).is_current(MAIN)


def test_a_difference_would_be_seen(engine: Engine) -> None:
    """That the comparison above can fail: a column more, an index less."""
    migrate(engine, MAIN)
    with engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE token ADD COLUMN note VARCHAR(64)")
        connection.exec_driver_sql("DROP INDEX ix_session_account")
        found = {change[0] for change in difference(connection, MAIN)}
    assert found == {"remove_column", "add_index"}


@pytest.mark.parametrize("chain", [MAIN, TRACKS], ids=lambda chain: chain.name)
def test_the_chain_is_straight_and_numbered_without_a_gap(chain: Chain) -> None:
    assert list(chain.revisions) == [f"{n:04}" for n in range(1, len(chain.revisions) + 1)]
    before = None
    for number in chain.revisions:
        [path] = chain.folder.glob(f"r{number}_*.py")
        scope: dict[str, object] = {}
        exec(compile(path.read_text(), str(path), "exec"), scope)
        assert (scope["revision"], scope["down_revision"]) == (number, before), path.name
        assert before is None or isinstance(scope.get("REWRITES_DATA"), bool), f"{path.name} must say"
        before = number


def test_many_processes_may_start_at_once(database: str) -> None:
    engines = [open_engine(database) for _ in range(6)]
    with ThreadPoolExecutor(len(engines)) as pool:
        found = list(pool.map(lambda engine: migrate(engine, MAIN), engines))
    # Whoever came second found it made, or waited until it was.
    assert sum(one.empty for one in found) >= 1
    with engines[0].connect() as connection:
        assert difference(connection, MAIN) == []
        assert connection.scalar(text("SELECT count(*) FROM schema_version_main")) == 1


# ---- from the first release


def test_a_database_of_the_first_release_keeps_every_event_and_its_hash(
    database: str, tmp_path: Path, clock: FakeClock, random: SeededRandom, engine: Engine
) -> None:
    # Given an old database with a log in it
    with engine.begin() as connection:
        for statement in first_release(engine):
            connection.exec_driver_sql(statement)
        rows = fill(connection)
        connection.exec_driver_sql("INSERT INTO token VALUES ('h', 'tablet', 'field', '[]', 'F21', 1, NULL)")
    # when the program of today opens it
    node = Node(database, tmp_path / "var", clock, random)
    # then the schema is today's, nothing is lost, and the chains hold
    with engine.connect() as connection:
        assert difference(connection, MAIN) == []
        kept = [dict(row) for row in connection.execute(select(event).order_by(event.c.position)).mappings()]
        assert connection.scalar(text("SELECT unit FROM token WHERE name = 'tablet'")) == "F21"
        index = set(connection.scalars(text("SELECT id FROM incident_index")))
    assert kept == rows
    found = node.log.verify()
    assert (found.events, found.faults) == (len(rows), [])
    assert (found.sealed, found.erased) == (8, 5)
    # and the list of incidents of an early form was made anew from the log
    assert index == {x.id for x in node.picture.now.incidents()}
    node.close()


def test_tables_of_somebody_else_are_refused_and_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE event (id INTEGER PRIMARY KEY, title TEXT)")
        connection.exec_driver_sql("INSERT INTO event VALUES (1, 'a concert')")
    with pytest.raises(SchemaError, match="not those of Straja: event") as refused:
        migrate(engine, MAIN)
    assert "STRAJA_DATABASE_URL" in refused.value.remedy
    assert set(inspect(engine).get_table_names()) - {"spatial_ref_sys"} == {"event"}


# ---- from one revision to the next


def test_an_older_database_is_brought_to_a_newer_program_and_it_is_said(
    engine: Engine, tmp_path: Path
) -> None:
    migrate(engine, MAIN)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO token VALUES ('h', 'tablet', 'field', '[]', 'F21', 1, NULL)")
    said: list[str] = []
    newer = longer(tmp_path, ADD)
    found = migrate(engine, newer, say=said.append)
    assert (found.revision, found.is_current(newer)) == (MAIN.head, False)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT note FROM token")) == "old"
        assert standing(connection, newer).is_current(newer)
    assert len(said) == 1
    assert "is now at 0099" in said[0]
    assert "password" not in said[0]


def test_a_revision_that_fails_leaves_the_old_schema_whole(engine: Engine, tmp_path: Path) -> None:
    migrate(engine, MAIN)
    failing = longer(tmp_path, ADD + 'raise RuntimeError("in the middle")')
    with pytest.raises(RuntimeError, match="in the middle"):
        migrate(engine, failing)
    assert "note" not in columns(engine, "token")
    with engine.connect() as connection:
        assert standing(connection, MAIN).is_current(MAIN)
        assert difference(connection, MAIN) == []


def test_a_process_killed_in_the_middle_leaves_the_old_schema_whole(
    database: str, engine: Engine, tmp_path: Path
) -> None:
    # Given a process that has altered a table and is about to commit
    migrate(engine, MAIN)
    reached = tmp_path / "reached"
    hanging = longer(
        tmp_path,
        ADD + f"import pathlib, threading\npathlib.Path({str(reached)!r}).touch()\nthreading.Event().wait()",
    )
    program = (
        "from pathlib import Path\nfrom app.database import open_engine\nfrom app.migrations import *\n"
        f"migrate(open_engine({database!r}), Chain('main', MAIN.metadata, Path({str(hanging.folder)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        assert up.wait_until(reached.exists, 60)
    finally:
        # when the power goes
        process.send_signal(signal.SIGKILL)
        process.wait()
    # then nothing of it is there, and the next one does all of it
    assert "note" not in columns(engine, "token")
    finishing = longer(tmp_path, ADD, "0100")
    migrate(engine, finishing)
    assert "note" in columns(engine, "token")


# ---- a newer database


def test_a_newer_database_is_refused_by_an_older_program_with_the_remedy(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    migrate(engine, longer(tmp_path, ADD))
    with pytest.raises(SchemaError, match=rf"main 0099.*knows {MAIN.head} at most") as refused:
        migrate(engine, MAIN)
    assert "newer program" in refused.value.remedy
    # and so by each command, in a sentence and not in a traceback
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRAJA_")}
    environment |= {"STRAJA_VAR": str(tmp_path / "var"), "STRAJA_DATABASE_URL": database}
    environment["PYTHONPATH"] = str(ROOT)
    for command, code in ((["keeper"], 2), (["migrate"], 2)):
        done = subprocess.run(
            up.straja(*command),
            env={**environment, "STRAJA_PORT": "1024"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Remedy: Start the newer program" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert done.returncode == code
    checked = subprocess.run(
        up.straja("migrate", "--check"),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1
    assert "newer than this program" in checked.stdout


def test_a_running_program_stops_recording_when_its_database_is_migrated_beneath_it(
    database: str, engine: Engine, tmp_path: Path, clock: FakeClock, random: SeededRandom
) -> None:
    node = Node(database, tmp_path / "var", clock, random)
    node.call("I1")
    migrate(engine, longer(tmp_path, ADD))
    with pytest.raises(StorageError, match=rf"schema 0099 and this process knows {MAIN.head}"):
        node.submit(c.AddNote, incident="I1", text="prea târziu")
    assert node.log.trouble is not None
    assert "started again" in node.log.trouble
    # What it knows can still be read, and what it refused left no trace.
    assert node.picture.now.incident("I1") is not None
    assert [x.type for x in node.envelopes()] == ["IncidentReported"]
    node.close()


# ---- the copy before a revision that rewrites data


def test_before_data_is_rewritten_the_file_is_copied_for_a_week(
    tmp_path: Path, clock: FakeClock, random: SeededRandom
) -> None:
    path = tmp_path / "straja.db"
    node = Node(f"sqlite:///{path}", tmp_path, clock, random)
    node.call("I1")
    node.close()
    rewriting = longer(tmp_path, "op.execute(\"UPDATE private SET id = 'x' || id\")", rewrites=True)
    migrate(node.engine, rewriting)
    copy = path.with_name("straja.db.before-0099")
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as before, node.engine.connect() as after:
        old = {row[0] for row in before.execute("SELECT id FROM private")}
        assert {f"x{ident}" for ident in old} == set(after.scalars(select(private.c.id)))
    # It holds keys, so it does not stay for ever.
    assert drop_old_copies(node.engine) == []
    assert drop_old_copies(node.engine, copy.stat().st_mtime + COPY_KEPT_S + 1) == [copy]
    assert not copy.exists()


def test_no_copy_is_made_where_nothing_is_rewritten_or_nobody_wants_one(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'straja.db'}")
    migrate(engine, MAIN)
    migrate(engine, longer(tmp_path, ADD))
    assert not list(tmp_path.glob("*.before-*"))


def test_migrations_take_turns_with_the_writer(
    database: str, engine: Engine, tmp_path: Path, clock: FakeClock, random: SeededRandom
) -> None:
    """Given a command in the middle of its transaction, a migration waits until it is committed."""
    node = Node(database, tmp_path / "var", clock, random)
    node.call("I1")
    inside, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        inside.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(node.log.transact, hold)
        assert inside.wait(20)
        moving = pool.submit(migrate, engine, longer(tmp_path, ADD))
        assert not up.wait_until(moving.done, 0.3)
        assert "note" not in columns(engine, "token")
        go_on.set()
        holding.result(20)
        moving.result(20)
    assert "note" in columns(engine, "token")
    node.close()


def test_the_password_of_the_database_is_not_shown(tmp_path: Path) -> None:
    from app.migrations import _words_for

    engine = open_engine("postgresql://straja:geheim@127.0.0.1/x")
    assert "geheim" not in _words_for(engine)
    assert make_url(_words_for(engine)).database == "x"
