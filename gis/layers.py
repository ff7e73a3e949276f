"""Reference layers: where the hydrants, hospitals, lamps of a city are. GeoAlchemy2 tables and what is asked
of them, on PostGIS and on SQLite alike (`gis.sqlite`).

A layer comes from one source or several: OpenStreetMap (`OSM`) and what the operator imports. Each source's
version of a layer is one row of `reference_import`, replaced whole, and its features point at that row; all
layers share one table, since an operator may add layers of any name, and nobody migrates a database for it.

Every function takes the caller's Session; none commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from geoalchemy2 import Geometry
from shapely.geometry.base import BaseGeometry
from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gis.geometry import EARTH_RADIUS_M, Box
from gis.sqlite import WGS84, apart, ewkb, in_box, index_name, metres, spatial_ddl

LAYERS: Final = (
    "stations",
    "hospitals",
    "hydrants",
    "street_lamps",
    "traffic_signals",
    "schools",
    "heritage",
    "underpasses",
    "shelters",
)
"""The layers that every city has, from its map; operators may add their own."""

OSM: Final = "osm"
"""The source that the city's own import replaces, and nobody else."""

metadata = MetaData()

reference_import = Table(
    "reference_import",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("city", String(64), nullable=False),
    Column("layer", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("features", Integer, nullable=False),
    Column("imported_at", BigInteger, nullable=False),
    Column("imported_by", String(128), nullable=False),
    UniqueConstraint("city", "layer", "source", name="reference_import_once"),
)

reference_feature = Table(
    "reference_feature",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("import_id", Integer, ForeignKey("reference_import.id"), nullable=False),
    Column("ref", String(128), nullable=False),
    Column("name", Text),
    Column("geometry", Geometry("GEOMETRY", srid=WGS84, spatial_index=False), nullable=False),
    Column("properties", JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    UniqueConstraint("import_id", "ref", name="reference_feature_once"),
)

_TREE: Final = index_name("reference_feature", "geometry")
Index(_TREE, reference_feature.c.geometry, postgresql_using="gist", info={"only": "postgresql"}).ddl_if(
    dialect="postgresql"
)


def _on_sqlite(moment: str, statements: Iterable[str]) -> None:
    for statement in statements:
        run = DDL(statement)  # type: ignore[no-untyped-call]
        event.listen(reference_feature, moment, run.execute_if(dialect="sqlite"))


_on_sqlite("after_create", spatial_ddl("reference_feature", "geometry"))
_on_sqlite("before_drop", (f"DROP TABLE IF EXISTS {_TREE}", "DROP VIEW IF EXISTS geometry_columns"))


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing in a layer. `ref` is its key at the source, stable from import to import; `geometry` is in
    degrees, longitude first; `properties` hold JSON values."""

    ref: str
    name: str | None
    geometry: BaseGeometry
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Imported:
    """One source's version of a layer. `version` is what that source calls it, `imported_at` microseconds
    since the epoch."""

    id: int
    layer: str
    source: str
    version: str
    features: int
    imported_at: int
    imported_by: str


@dataclass(frozen=True, slots=True)
class Found:
    """A feature as the database has it; `distance_m` is set by `nearest`."""

    id: int
    source: str
    ref: str
    name: str | None
    geometry: BaseGeometry
    properties: Mapping[str, Any]
    distance_m: float | None = None


@dataclass(slots=True)
class Changes:
    """What a new version of a layer changes: features, with the row's id where there is one already."""

    added: list[Feature] = field(default_factory=list)
    changed: list[tuple[int, Feature]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    unchanged: int = 0


def imports(session: Session, city: str, layer: str | None = None) -> list[Imported]:
    """What was imported, by layer and source."""
    table = reference_import
    wanted = table.c.city == city
    if layer is not None:
        wanted &= table.c.layer == layer
    columns = [table.c[name] for name in Imported.__slots__]
    found = session.execute(select(*columns).where(wanted).order_by(table.c.layer, table.c.source))
    return [Imported(*row) for row in found]


def replace(
    session: Session,
    city: str,
    layer: str,
    source: str,
    features: Sequence[Feature],
    *,
    version: str,
    now_us: int,
    by: str,
) -> Changes:
    """Make `features` (refs unique) the whole of that source's layer; what is unchanged keeps its row.

    What changes is worked out before the first write, so that the write lock of an embedded database is held
    for the writing alone. Whoever else replaced it meanwhile is met by starting again.
    """
    for _ in range(5):
        known = latest(session, city, layer, source)
        changes = compare(session, known, features)
        values = {"version": version, "features": len(features), "imported_at": now_us, "imported_by": by}
        if _claim(session, known, {"city": city, "layer": layer, "source": source}, values):
            _write(session, latest(session, city, layer, source), changes)
            return changes
    raise TimeoutError(f"others keep replacing the layer {layer} of {source}")


def compare(session: Session, known: Imported | None, features: Sequence[Feature]) -> Changes:
    """What replacing the version `known` by `features` would change."""
    changes = Changes()
    table = reference_feature
    had: dict[str, tuple[int, str | None, bytes, Any]] = {}
    if known is not None:
        wkb = func.ST_AsEWKB(table.c.geometry, type_=LargeBinary())
        rows = session.execute(
            select(table.c.ref, table.c.id, table.c.name, wkb, table.c.properties).where(
                table.c.import_id == known.id
            )
        )
        had = {row[0]: (row[1], row[2], bytes(row[3]), row[4]) for row in rows}
    for one in features:
        before = had.pop(one.ref, None)
        if before is None:
            changes.added.append(one)
        elif before[1:] != (one.name, ewkb(one.geometry), dict(one.properties)):
            changes.changed.append((before[0], one))
        else:
            changes.unchanged += 1
    changes.removed = [number for number, *_ in had.values()]
    return changes


def latest(session: Session, city: str, layer: str, source: str) -> Imported | None:
    """That source's version of the layer, if there is one."""
    return next((one for one in imports(session, city, layer) if one.source == source), None)


def _claim(
    session: Session, known: Imported | None, key: Mapping[str, str], values: Mapping[str, Any]
) -> bool:
    """Take the row of this source's layer, if nobody did since `known` was read."""
    table = reference_import
    done: Any
    if known is None:
        new: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        done = session.execute(new(table).values(**key, **values).on_conflict_do_nothing())
        return bool(done.rowcount)
    mine = update(table).where(table.c.id == known.id, table.c.imported_at == known.imported_at)
    # Two versions within one microsecond, by a clock that stands still, must differ too.
    later = max(int(values["imported_at"]), known.imported_at + 1)
    done = session.execute(mine.values(**{**values, "imported_at": later}))
    return bool(done.rowcount)


def _write(session: Session, known: Imported | None, changes: Changes) -> None:
    assert known is not None
    table = reference_feature
    geometry = func.ST_GeomFromEWKB(bindparam("wkb"))
    if changes.removed:
        gone = delete(table).where(table.c.id == bindparam("gone"))
        session.connection().execute(gone, [{"gone": number} for number in changes.removed])
    if changes.changed:
        # Core bind names must not be those of columns.
        renewed = (
            update(table)
            .where(table.c.id == bindparam("number"))
            .values(name=bindparam("called"), properties=bindparam("facts"), geometry=geometry)
        )
        rows = [
            {"number": number, "called": f.name, "facts": dict(f.properties), "wkb": ewkb(f.geometry)}
            for number, f in changes.changed
        ]
        session.connection().execute(renewed, rows)
    if changes.added:
        rows = [
            {
                "import_id": known.id,
                "ref": f.ref,
                "name": f.name,
                "properties": dict(f.properties),
                "wkb": ewkb(f.geometry),
            }
            for f in changes.added
        ]
        session.connection().execute(insert(table).values(geometry=geometry), rows)


def remove(session: Session, city: str, layer: str, source: str) -> int | None:
    """Take a source's layer out; how many features went with it, or None when it was not there."""
    known = latest(session, city, layer, source)
    if known is None:
        return None
    session.execute(delete(reference_feature).where(reference_feature.c.import_id == known.id))
    session.execute(delete(reference_import).where(reference_import.c.id == known.id))
    return known.features


def within(
    session: Session, versions: Sequence[Imported], box: Box | None, limit: int
) -> tuple[list[Found], bool]:
    """The features of these versions that meet the box (west <= east), in the order of their ids; at most
    `limit`, and whether there are more."""
    table = reference_feature
    wanted: list[Any]
    if box is None:
        wanted = [table.c.import_id.in_([one.id for one in versions])]
    else:
        envelope = func.ST_MakeEnvelope(*box, WGS84)
        wanted = [
            apart(table.c.import_id).in_([one.id for one in versions]),
            in_box(table.c.id, table.c.geometry, *box),
            func.ST_Intersects(table.c.geometry, envelope),
        ]
    asked = select(*_COLUMNS).where(*wanted).order_by(table.c.id).limit(limit + 1)
    rows = session.execute(asked).all()
    return _found(versions, rows[:limit]), len(rows) > limit


def nearest(
    session: Session, versions: Sequence[Imported], lon: float, lat: float, limit: int, within_m: float
) -> list[Found]:
    """The features nearest to a point by geodesic distance, nearest first, at most `within_m` away.

    Looks in a small circle first and in wider ones while fewer than `limit` are there: whatever lies within
    a circle is nearer than all that lies outside it.
    """
    table = reference_feature
    here = func.ST_GeomFromEWKB(ewkb(shapely.Point(lon, lat)))
    away = metres(table.c.geometry, here)
    reach_m = min(200.0, within_m)
    while True:
        boxes = [in_box(table.c.id, table.c.geometry, *box) for box in _boxes_around(lon, lat, reach_m)]
        asked = (
            select(*_COLUMNS, away.label("away"))
            .where(apart(table.c.import_id).in_([one.id for one in versions]), or_(*boxes), away <= reach_m)
            .order_by("away", table.c.ref)
            .limit(limit)
        )
        rows = session.execute(asked).all()
        if len(rows) >= limit or reach_m >= within_m:
            return _found(versions, rows)
        reach_m = min(reach_m * 4, within_m)


def density(session: Session, versions: Sequence[Imported], cell_m: float) -> list[tuple[float, float, int]]:
    """How many features of these versions stand in each square of about `cell_m` metres: (lon, lat, count),
    at the middle of those that stand there. A line or an area counts once, at its centroid."""
    column = func.ST_AsEWKB(reference_feature.c.geometry, type_=LargeBinary())
    asked = select(column).where(reference_feature.c.import_id.in_([one.id for one in versions]))
    shapes = shapely.from_wkb(np.array([bytes(row[0]) for row in session.execute(asked)], dtype=object))
    at = shapely.get_coordinates(shapely.centroid(shapes))
    if not len(at):
        return []
    north_deg = float(np.degrees(cell_m / EARTH_RADIUS_M))
    east_deg = north_deg / max(float(np.cos(np.radians(at[:, 1].mean()))), 0.01)
    cells = np.floor(at / (east_deg, north_deg)).astype(np.int64)
    _, first, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    which = first.reshape(-1)
    lon, lat = (np.bincount(which, at[:, axis]) / counts for axis in (0, 1))
    return [(float(x), float(y), int(n)) for x, y, n in zip(lon, lat, counts, strict=True)]


_COLUMNS: Final = (
    reference_feature.c.id,
    reference_feature.c.import_id,
    reference_feature.c.ref,
    reference_feature.c.name,
    reference_feature.c.properties,
    func.ST_AsEWKB(reference_feature.c.geometry, type_=LargeBinary()),
)


def _found(versions: Iterable[Imported], rows: Sequence[Any]) -> list[Found]:
    source = {one.id: one.source for one in versions}
    shapes = shapely.from_wkb(np.array([bytes(row[5]) for row in rows], dtype=object))
    return [
        Found(row[0], source[row[1]], row[2], row[3], shape, row[4], row[6] if len(row) > 6 else None)
        for row, shape in zip(rows, shapes, strict=True)
    ]


def _boxes_around(lon: float, lat: float, reach_m: float) -> list[Box]:
    """Boxes in degrees that hold everything within `reach_m` of the point, over the date line too."""
    # The ellipsoid's degrees are up to 0.7 % shorter than the sphere's.
    dy = np.degrees(reach_m / EARTH_RADIUS_M) * 1.01
    south, north = max(-90.0, lat - dy), min(90.0, lat + dy)
    shrink = np.cos(np.radians(max(abs(south), abs(north))))
    if dy >= 180 * shrink:
        return [(-180.0, float(south), 180.0, float(north))]
    dx = dy / shrink
    west, east = lon - dx, lon + dx
    pieces = [(max(west, -180.0), min(east, 180.0))]
    if west < -180:
        pieces.append((west + 360, 180.0))
    if east > 180:
        pieces.append((-180.0, east - 360))
    return [(float(a), float(south), float(b), float(north)) for a, b in pieces]
