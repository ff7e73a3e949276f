"""The tables as they were first released.

Frozen: what a revision made must stay what it made, whatever `app.tables` says later.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None

METADATA = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")

Table(
    "event",
    METADATA,
    Column("position", _Serial, primary_key=True, autoincrement=True),
    Column("origin", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("lamport", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("subjects", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("cause", String(128), nullable=False),
    Column("cause_index", Integer, nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("hash_version", Integer, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("origin", "seq", name="event_origin_seq"),
    # The cause first, so that the same index answers "was this request met before, at any node?".
    UniqueConstraint("cause", "cause_index", "origin", name="event_cause_origin"),
    sqlite_autoincrement=True,
)

Table(
    "event_subject",
    METADATA,
    Column("subject", String(128), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

Table(
    "private",
    METADATA,
    Column("n", _Serial, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("ciphertext", LargeBinary, nullable=False),
)

Table(
    "private_key",
    METADATA,
    Column("n", _Serial, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("key", LargeBinary, nullable=False),
)

Table(
    "erased",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

Table(
    "quarantine",
    METADATA,
    Column("origin", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

Table(
    "lineage",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)

Table(
    "answered",
    METADATA,
    Column("cause", String(128), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

Table(
    "account",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("display_name", String(128), nullable=False),
    Column("role", String(32), nullable=False),
    Column("districts", Text, nullable=False),
    Column("unit", String(64)),
    Column("password_hash", Text, nullable=False),
    Column("demo", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

Table(
    "session",
    METADATA,
    Column("id_hash", String(64), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

Table(
    "token",
    METADATA,
    Column("token_hash", String(64), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(32), nullable=False),
    Column("districts", Text, nullable=False),
    Column("unit", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)


Table(
    "incident_index",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("number", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("numbers", Text, nullable=False),
    Index("incident_index_recorded", "recorded_at"),
    Index("incident_index_open", "closed_at"),
    sqlite_with_rowid=False,
)


def upgrade() -> None:
    METADATA.create_all(op.get_bind(), checkfirst=False)
