"""Duty lists: whom to ring, as the operator keeps it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
REWRITES_DATA = False


def upgrade() -> None:
    op.create_table(
        "duty",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("list", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(128), nullable=False),
        sa.Column("partner", sa.String(32)),
        sa.Column("numbers", sa.Text, nullable=False),
        sa.Column("from_at", sa.BigInteger),
        sa.Column("until_at", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("changed_by", sa.String(128), nullable=False),
    )
    op.create_index("ix_duty_list", "duty", ["list"])
