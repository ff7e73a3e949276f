"""The search index knows about where each incident was: the history of an address is asked of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
REWRITES_DATA = False


def upgrade() -> None:
    op.add_column("incident_index", sa.Column("cell", sa.BigInteger))
    op.create_index("incident_index_cell", "incident_index", ["cell", "recorded_at"])
    # An empty index is filled from the log at the next start, which is now.
    op.execute("DELETE FROM incident_index")
