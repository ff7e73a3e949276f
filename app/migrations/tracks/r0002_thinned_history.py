"""How far each unit's history is thinned out, and which fixes are evidence of an incident."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
REWRITES_DATA = False


def upgrade() -> None:
    op.add_column("last_fix", sa.Column("thinned_at", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("fix", sa.Column("evidence", sa.Boolean, nullable=False, server_default=sa.false()))
