"""The schema of the databases and how it moves on: one straight chain of revisions for the log's database
and one for that of the positions (on PostgreSQL they may share a database, so each keeps a version table of
its own).

Whichever process comes first brings a database up to date, under a lock and in one transaction: a process
killed in the middle leaves the old schema or the new one, never half of one. A database of a newer program
is refused, never guessed at. Table definitions stay in `app.tables`; a test holds that the chain leads to
exactly them. How to add a revision: docs/migrations.md.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select
from sqlalchemy.schema import DropTable

from app.database import WRITER_LOCK
from app.tables import metadata, tracks_metadata
from gis import layers

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

FOLDER = Path(__file__).parent
ADVISORY_LOCK = 5746
"""The PostgreSQL lock under which one process at a time moves a schema on."""
LOCK_WAIT_S = 600
"""How long a process waits for another one's migration."""
COPY_KEPT_S = 7 * 86_400
"""How long the copy made before a migration that rewrites data is kept: it holds what may be erased since."""

log = logging.getLogger("straja.migrations")


class SchemaError(Exception):
    """The database cannot be used by this program; `remedy` says what a person can do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass(frozen=True)
class Chain:
    """The revisions of one database, from files rNNNN_WORDS.py of a folder in the order of their numbers."""

    name: str
    metadata: tuple[MetaData, ...]
    """What the newest revision amounts to."""
    folder: Path
    rebuilt: frozenset[str] = frozenset()
    """Tables that can be dropped: another part of the program fills them again from the log."""

    @property
    def version(self) -> Table:
        """The table that holds the one row with the revision."""
        return Table(
            f"schema_version_{self.name}", MetaData(), Column("version_num", String(32), primary_key=True)
        )

    @property
    def revisions(self) -> tuple[str, ...]:
        """All revisions that this program knows, oldest first."""
        return _revisions(self.folder)

    @property
    def head(self) -> str:
        return self.revisions[-1]

    def owns(self, table: str) -> bool:
        """Whether a table of the database belongs to this chain."""
        return any(table in one.tables for one in self.metadata)


@cache
def _revisions(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name[1:5] for path in folder.glob("r[0-9][0-9][0-9][0-9]_*.py")))


MAIN = Chain("main", (metadata, layers.metadata), FOLDER / "main", frozenset({"incident_index"}))
TRACKS = Chain("tracks", (tracks_metadata,), FOLDER / "tracks")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a database stands in its chain."""

    revision: str | None
    """None where no revision is noted."""
    empty: bool
    """Whether none of the chain's tables is there."""

    def is_current(self, chain: Chain) -> bool:
        return self.revision == chain.head

    def is_newer(self, chain: Chain) -> bool:
        """Whether a newer program made it: a revision that is not among those known here."""
        return self.revision is not None and self.revision not in chain.revisions

    def words(self, chain: Chain) -> str:
        if self.revision is None:
            return "empty" if self.empty else "made before revisions were counted"
        if self.is_newer(chain):
            return f"at revision {self.revision}, which is newer than this program"
        return f"at revision {self.revision} of {chain.head}"


def standing(connection: Connection, chain: Chain) -> Standing:
    """Where the database of this connection stands; nothing is changed."""
    found = inspect(connection)
    if found.has_table(chain.version.name):
        revision = connection.scalar(select(chain.version.c.version_num))
        if revision is not None:
            return Standing(str(revision), empty=False)
    return Standing(None, empty=not any(chain.owns(name) for name in found.get_table_names()))


def newer(where: str, revision: str | None, chain: Chain) -> SchemaError:
    """The refusal of a database that a newer program has migrated."""
    return SchemaError(
        f"{where} has schema {chain.name} {revision}, and this program knows {chain.head} at most:"
        " a newer Straja has used it",
        "Start the newer program, or restore a backup that was made before it (docs/backup.md).",
    )


def migrate(
    engine: Engine, chain: Chain, *, copy: bool = True, say: Callable[[str], None] = log.warning
) -> Standing:
    """Bring the database to the newest revision; where it stood before.

    An empty database gets all revisions; one made before revisions were counted is checked against the
    first and taken from there. `copy`: before a revision that rewrites data, a SQLite file is copied beside
    itself. Raises SchemaError for a newer database, or for tables that are not Straja's.
    """
    where = _words_for(engine)
    with engine.connect() as connection:
        found = standing(connection, chain)
    if found.is_current(chain):
        return found
    with engine.connect() as connection:
        _lock(connection)
        # Another process may have done it while this one waited.
        found = standing(connection, chain)
        if found.is_newer(chain):
            raise newer(where, found.revision, chain)
        if found.is_current(chain):
            return found
        script = _script(chain)
        if copy and not found.empty:
            _copy_first(engine, chain, script, found, say)
        if found.revision is None and not found.empty:
            _adopt(connection, chain, script, where)
        _run(connection, chain, script, lambda rev, _: script._upgrade_revs("head", rev))
        connection.commit()
    if not found.empty:
        say(f"{where}: schema {chain.name} was {found.words(chain)} and is now at {chain.head}")
    return found


def difference(connection: Connection, chain: Chain, against: Iterable[MetaData] | None = None) -> list[Any]:
    """What differs between the database and `against` (what the program expects), as Alembic tells it;
    tables of others are not looked at."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    expected = list(chain.metadata if against is None else against)
    wanted = {name for one in expected for name in one.tables}

    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name in wanted

    def meant(one: Any, _name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return kind != "index" or one.info.get("only", connection.dialect.name) == connection.dialect.name

    options = {"include_name": ours, "include_object": meant, "compare_type": True}
    context = MigrationContext.configure(connection, opts={**options, "target_metadata": expected})
    return list(compare_metadata(context, expected))  # type: ignore[arg-type]


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {LOCK_WAIT_S * 1000}")
        # The driver begins no transaction before a CREATE by itself; this one holds to the end.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    # The second one is the log writer's: nobody records under the old schema while it changes.
    for key in (ADVISORY_LOCK, WRITER_LOCK):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({key})")


def _script(chain: Chain) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(chain.folder), version_locations=[str(chain.folder)])


def _run(connection: Connection, chain: Chain, script: ScriptDirectory, steps: Callable[..., Any]) -> None:
    """Have Alembic take these steps, inside the transaction that the connection is in."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, version_table=chain.version.name, transactional_ddl=True)
        environment.run_migrations()


def _module(script: ScriptDirectory, revision: str) -> ModuleType:
    return script.get_revision(revision).module


def _adopt(connection: Connection, chain: Chain, script: ScriptDirectory, where: str) -> None:
    """Take a database that was made before revisions were counted for the first revision, if that is what
    it is. What can be rebuilt is made anew where it differs; what was not made yet is made."""
    first = chain.revisions[0]
    known: MetaData = _module(script, first).METADATA
    there = set(inspect(connection).get_table_names())
    foreign = set()
    for change in difference(connection, chain, [known]):
        # A change of a column comes as a list of several, with the table's name in the third place.
        one = change[0] if isinstance(change, list) else change
        if one[0] == "add_table":
            continue
        subject = one[1] if hasattr(one[1], "table") else one[2]
        foreign.add(subject if isinstance(subject, str) else subject.table.name)
    foreign &= there
    for name in foreign & chain.rebuilt:
        connection.execute(DropTable(known.tables[name]))
    if foreign := foreign - chain.rebuilt:
        raise SchemaError(
            f"{where} holds tables that are not those of Straja: {', '.join(sorted(foreign))}",
            "Set STRAJA_DATABASE_URL (or STRAJA_TRACKS_URL) to a database of Straja's, or to an empty one.",
        )
    known.create_all(connection)
    _run(connection, chain, script, lambda rev, _: script._stamp_revs(first, rev))


def _copy_first(
    engine: Engine, chain: Chain, script: ScriptDirectory, found: Standing, say: Callable[[str], None]
) -> None:
    """Copy the SQLite file when a revision ahead rewrites data. The transaction guards against a crash, the
    copy against a fault in the revision itself. PostgreSQL's own backups serve there."""
    path = database_file(engine)
    ahead = [r for r in chain.revisions if found.revision is None or r > found.revision]
    if path is None or not any(getattr(_module(script, r), "REWRITES_DATA", False) for r in ahead):
        return
    free, needed = shutil.disk_usage(path.parent).free, 3 * path.stat().st_size
    if free < needed:
        # The copy, the rewritten tables, and the log of what was written meanwhile.
        raise SchemaError(
            f"migrating {path} needs {needed / 1e6:.0f} MB on its disk, and {free / 1e6:.0f} MB are free",
            "Free some space; or make a backup elsewhere and run `./straja migrate --no-copy`.",
        )
    target = path.with_name(f"{path.name}.before-{chain.head}")
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    source, into = sqlite3.connect(path), sqlite3.connect(target)
    try:
        # A reader of its own sees what was committed, which is the whole of it: the lock is held.
        source.backup(into)
        into.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    finally:
        source.close()
        into.close()
    say(f"a copy of {path} as it was is kept in {target} for {COPY_KEPT_S // 86_400} days")


def drop_old_copies(engine: Engine, now_s: float | None = None) -> list[Path]:
    """Delete the copies made before migrations that have been kept long enough."""
    path = database_file(engine)
    now_s = time.time() if now_s is None else now_s
    old = [] if path is None else list(path.parent.glob(f"{path.name}.before-*"))
    old = [copy for copy in old if copy.stat().st_mtime < now_s - COPY_KEPT_S]
    for copy in old:
        copy.unlink()
    return old


def database_file(engine: Engine) -> Path | None:
    """The file of an embedded database; None for a server's, or one in memory."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name == ":memory:":
        return None
    return Path(name)


def _words_for(engine: Engine) -> str:
    """The database in words for people, without its password."""
    path = database_file(engine)
    return str(path) if path else engine.url.render_as_string(hide_password=True)
