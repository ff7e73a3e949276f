"""The tables of positions as they were first released; frozen."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table

revision = "0001"
down_revision = None

METADATA = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")

Table(
    "last_fix",
    METADATA,
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
)

Table(
    "fix",
    METADATA,
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
    Index("fix_unit_observed", "unit", "observed_at", "source", unique=True),
)


def upgrade() -> None:
    METADATA.create_all(op.get_bind(), checkfirst=False)
