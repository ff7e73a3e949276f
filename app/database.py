"""Opens the databases: SQLite files with the durability the log promises, or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import psycopg
from sqlalchemy import Connection, Dialect, Engine, create_engine, event, exc, make_url
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import ClauseElement

from gis import sqlite as spatial

WRITER_LOCK = 0x57AA_1A
"""The PostgreSQL advisory lock that makes one writer of the log of many processes."""

UNREACHABLE = (
    exc.OperationalError,
    exc.InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    sqlite3.OperationalError,
)
"""What a read or a write raises while the database is away, full or locked: it may work again later."""
SERVER_SETTINGS = {
    "synchronous_commit": "on",
    "timezone": "UTC",
    # Every process waits for the one that writes: a machine that vanished must give its locks back.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""What PostgreSQL is told about each session, whatever its own defaults are."""
CLIENT_SETTINGS = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}
"""How soon a session notices that its server is gone: without these, a cut cable is found out in hours."""


def open_engine(url: str, **server_settings: str) -> Engine:
    """An engine for the log. SQLite: write-ahead log, every commit on the disk before it is answered,
    erased rows overwritten. PostgreSQL: synchronous commit, whatever the server's default is, and what else
    `server_settings` say of its sessions.

    Connections are not pooled: they are opened by the writer's thread for good and by readers for one
    short read, and a pool's locks would be shared between OS threads and greenlets. Errors show no values:
    they are logged, and the values may be a caller's number or the hash of a token.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed, poolclass=NullPool, hide_parameters=True, connect_args={"check_same_thread": False}
        )
        event.listen(engine, "connect", prepare_sqlite)
        return engine
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    told = " ".join(f"-c {name}={value}" for name, value in (SERVER_SETTINGS | server_settings).items())
    return create_engine(
        parsed,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"options": told, **CLIENT_SETTINGS},
    )


def prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Durability and manners of every connection to the log: the promises of the module's page."""
    cursor = connection.cursor()
    for pragma in (
        "busy_timeout = 10000",
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    spatial.register(connection)


def _as_they_are(values: Mapping[str, Any]) -> Any:
    return values


class Prepared:
    """A statement that SQLAlchemy writes once and the driver then runs many times.

    Each use of a Core statement costs some 100 microseconds of building and caching, more than the commit
    of a call; on the writer's path that was two thirds of all time. Values are given by name, as written
    with `bindparam` or as an insert's columns.
    """

    def __init__(
        self, statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None = None
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self._sql = str(compiled)
        order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._given: Callable[[Mapping[str, Any]], Any] = _as_they_are
        if order:
            # One name alone would come back bare, not as the sequence that the driver wants.
            self._given = itemgetter(*order) if len(order) > 1 else lambda values: (values[order[0]],)

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        """The rows it selects."""
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._sql, self._given(values))
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each row of values."""
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(self._sql, [self._given(row) for row in rows])
        finally:
            cursor.close()
