"""The reference layers: hydrants, hospitals, lamps; with a spatial index of either database's kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

revision = "0002"
down_revision = "0001"
REWRITES_DATA = False

INDEX = "idx_reference_feature_geometry"
BOUNDS = ", ".join(f"{bound}(NEW.geometry)" for bound in ("ST_XMin", "ST_XMax", "ST_YMin", "ST_YMax"))
ADD = f"INSERT INTO {INDEX} VALUES (NEW.id, {BOUNDS})"  # noqa: S608 - constants
REMOVE = f"DELETE FROM {INDEX} WHERE id = OLD.id"  # noqa: S608
ON_SQLITE = (
    f"CREATE VIRTUAL TABLE {INDEX} USING rtree(id, min_x, max_x, min_y, max_y)",
    f"CREATE TRIGGER {INDEX}_insert AFTER INSERT ON reference_feature BEGIN {ADD}; END",
    f"CREATE TRIGGER {INDEX}_update AFTER UPDATE OF geometry ON reference_feature BEGIN {REMOVE}; {ADD}; END",
    f"CREATE TRIGGER {INDEX}_delete AFTER DELETE ON reference_feature BEGIN {REMOVE}; END",
    "CREATE VIEW geometry_columns AS SELECT 'reference_feature' AS f_table_name,"
    " 'geometry' AS f_geometry_column, 0 AS geometry_type, 'XY' AS coord_dimension, 4326 AS srid,"
    " 0 AS spatial_index_enabled",
)


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        _have_postgis(bind)
    op.create_table(
        "reference_import",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("city", sa.String(64), nullable=False),
        sa.Column("layer", sa.String(32), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("features", sa.Integer, nullable=False),
        sa.Column("imported_at", sa.BigInteger, nullable=False),
        sa.Column("imported_by", sa.String(128), nullable=False),
        sa.UniqueConstraint("city", "layer", "source", name="reference_import_once"),
    )
    op.create_table(
        "reference_feature",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("import_id", sa.Integer, sa.ForeignKey("reference_import.id"), nullable=False),
        sa.Column("ref", sa.String(128), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("geometry", Geometry("GEOMETRY", srid=4326, spatial_index=False), nullable=False),
        sa.Column("properties", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.UniqueConstraint("import_id", "ref", name="reference_feature_once"),
    )
    if bind.dialect.name == "postgresql":
        op.execute(f"CREATE INDEX {INDEX} ON reference_feature USING gist (geometry)")
    else:
        for statement in ON_SQLITE:
            op.execute(statement)


def _have_postgis(bind: sa.Connection) -> None:
    if bind.scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'postgis'")):
        return
    try:
        bind.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS postgis")
    except DBAPIError as error:
        from app.migrations import SchemaError

        name = bind.engine.url.database
        raise SchemaError(
            f"the database {name} has no PostGIS, and it cannot be added: {str(error.orig).splitlines()[0]}",
            f"Install PostGIS on that server (package postgresql-NN-postgis-3), then as a superuser:"
            f' psql -d {name} -c "CREATE EXTENSION postgis"',
        ) from None
