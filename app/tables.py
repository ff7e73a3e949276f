"""Every table. `event` is the truth; what stands below the line can be dropped and rebuilt from it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData()
tracks_metadata = MetaData()
"""Positions live apart (their own file on the embedded database): they are acknowledged before they
are on disk, and nothing about them may slow or endanger the log."""

# SQLite only gives an ever-growing row id to a column declared INTEGER.
_Serial = BigInteger().with_variant(Integer, "sqlite")

event = Table(
    "event",
    metadata,
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

event_subject = Table(
    "event_subject",
    metadata,
    Column("subject", String(128), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

# Rows are only ever added at the end of these two and, on SQLite, erased in place by zeros of the same
# length: a page that is split, or joined with its neighbour, would leave copies of its rows behind that no
# later erasure finds.
private = Table(
    "private",
    metadata,
    Column("n", _Serial, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("ciphertext", LargeBinary, nullable=False),
)

private_key = Table(
    "private_key",
    metadata,
    Column("n", _Serial, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("key", LargeBinary, nullable=False),
)

erased = Table(
    "erased",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("origin", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

lineage = Table(
    "lineage",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)

# The answers to requests that changed nothing: no event remembers these, and a retry must not act later.
answered = Table(
    "answered",
    metadata,
    Column("cause", String(128), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

account = Table(
    "account",
    metadata,
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

session = Table(
    "session",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(32), nullable=False),
    Column("districts", Text, nullable=False),
    Column("unit", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

# Whom to ring, as the operator keeps it.
duty = Table(
    "duty",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("list", String(64), nullable=False, index=True),
    Column("name", String(128), nullable=False),
    Column("role", String(128), nullable=False),
    Column("partner", String(32)),
    Column("numbers", Text, nullable=False),
    Column("from_at", BigInteger),
    Column("until_at", BigInteger),
    Column("note", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
)

# ---------------------------------------------------------------------------------------------------
# Below this line everything can be dropped: `straja rebuild` makes it again from the log.

incident_index = Table(
    "incident_index",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("number", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("numbers", Text, nullable=False),
    Column("cell", BigInteger),
    Index("incident_index_recorded", "recorded_at"),
    Index("incident_index_open", "closed_at"),
    Index("incident_index_cell", "cell", "recorded_at"),
    sqlite_with_rowid=False,
)

last_fix = Table(
    "last_fix",
    tracks_metadata,
    Column("unit", String(64), primary_key=True),
    Column("rev", BigInteger, nullable=False, index=True),
    Column("lon", Float, nullable=False),
    Column("lat", Float, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("speed_mps", Float),
    Column("heading_deg", Float),
    Column("accuracy_m", Float),
    Column("source", String(64), nullable=False),
    # Up to here the unit's history is thinned out.
    Column("thinned_at", BigInteger, nullable=False, server_default="0"),
)

fix = Table(
    "fix",
    tracks_metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("unit", String(64), nullable=False),
    Column("lon", Float, nullable=False),
    Column("lat", Float, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("speed_mps", Float),
    Column("heading_deg", Float),
    Column("accuracy_m", Float),
    Column("source", String(64), nullable=False),
    # The unit was on an incident: this stays as it is for as long as history is kept.
    Column("evidence", Boolean, nullable=False, server_default=false()),
    Index("fix_unit_observed", "unit", "observed_at", "source", unique=True),
)
