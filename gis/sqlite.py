"""The spatial functions that the reference layers need, on an SQLite connection, over Shapely and pyproj.

SpatiaLite comes in no wheel, and many a Python cannot load extensions, so the few functions that GeoAlchemy2
and `gis.layers` call are registered here under the names they call. A geometry is stored as EWKB, as PostGIS
would hand it out, so the same statements give the same rows on both databases.

An ST_ function alone uses no index on SQLite. `in_box` therefore asks an R*Tree there, in a subquery, and the
GiST index on PostGIS; `spatial_index` makes the tree and the triggers that keep it.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import shapely
from pyproj import Geod, Transformer
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

WGS84: Final = 4326
_GEOD: Final = Geod(ellps="WGS84")
_POINT_HEAD: Final = b"\x01\x01\x00\x00\x20"
_POINT: Final = struct.Struct("<5sIdd")
"""A little-endian EWKB point with its SRID: by far the commonest value, read without Shapely."""


def ewkb(geometry: BaseGeometry, srid: int = WGS84) -> bytes:
    """A geometry as both databases take it in."""
    return bytes(shapely.to_wkb(shapely.set_srid(geometry, srid), include_srid=True, byte_order=1))


@lru_cache(maxsize=64)
def _shape(blob: bytes) -> BaseGeometry:
    shape = shapely.from_wkb(blob)
    shapely.prepare(shape)
    return shape


def _point(blob: bytes) -> tuple[float, float] | None:
    if len(blob) == _POINT.size and blob[:5] == _POINT_HEAD:
        _, _, x, y = _POINT.unpack(blob)
        return x, y
    shape = _shape(blob)
    return (shape.x, shape.y) if isinstance(shape, shapely.Point) and not shape.is_empty else None


def _srid(blob: bytes) -> int:
    return int(shapely.get_srid(_shape(blob)))


def _from_wkb(blob: bytes | None, srid: int | None = None) -> bytes | None:
    if blob is None or (blob[:5] == _POINT_HEAD and srid is None):
        return blob
    shape = shapely.from_wkb(blob)
    return ewkb(shape, int(shapely.get_srid(shape)) if srid is None else srid)


def _from_text(text: str | None) -> bytes | None:
    if text is None:
        return None
    head, found, wkt = text.partition(";")
    srid = int(head.removeprefix("SRID=")) if found else 0
    return ewkb(shapely.from_wkt(wkt if found else text), srid)


def _as_binary(blob: bytes | None) -> bytes | None:
    return None if blob is None else bytes(shapely.to_wkb(shapely.from_wkb(blob), byte_order=1))


def _bounds(blob: bytes) -> tuple[float, float, float, float]:
    at = _point(blob)
    return (*at, *at) if at is not None else _shape(blob).bounds


def _bound(number: int) -> Callable[[bytes | None], float | None]:
    return lambda blob: None if blob is None else _bounds(blob)[number]


def _envelope(west: float, south: float, east: float, north: float, srid: int) -> bytes:
    return ewkb(shapely.box(west, south, east, north), srid)


def _intersects(one: bytes | None, other: bytes | None) -> bool | None:
    if one is None or other is None:
        return None
    at = _point(one)
    if at is not None:
        return bool(shapely.intersects_xy(_shape(other), *at))
    return bool(_shape(other).intersects(_shape(one)))


@lru_cache(maxsize=32)
def _transformer(source: int, target: int) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def transformed(geometry: BaseGeometry, transformer: Transformer) -> BaseGeometry:
    """The geometry with every vertex put through the transformer, in traditional axis order."""
    through: Any = transformer.transform
    return shapely.transform(geometry, through, interleaved=False)


def _transform(blob: bytes | None, srid: int) -> bytes | None:
    if blob is None:
        return None
    return ewkb(transformed(shapely.from_wkb(blob), _transformer(_srid(blob), srid)), srid)


@lru_cache(maxsize=32)
def _seen_from(lon: float, lat: float) -> Transformer:
    """Degrees to the plane in which every distance from this point is the geodesic one."""
    plane = f"+proj=aeqd +lat_0={lat!r} +lon_0={lon!r} +datum=WGS84 +units=m +no_defs"
    return Transformer.from_crs(WGS84, plane, always_xy=True)


_ORIGIN: Final = shapely.Point(0.0, 0.0)


def distance_m(one: bytes | None, other: bytes | None) -> float | None:
    """Metres on the WGS 84 ellipsoid between a point and anything (EWKB, degrees); 0 inside an area.

    Raises ValueError when neither is a point.
    """
    if one is None or other is None:
        return None
    here, there = _point(one), _point(other)
    if here is not None and there is not None:
        return float(_GEOD.inv(*here, *there)[2])
    if there is None:
        if here is None:
            raise ValueError("one of the two must be a point")
        here, one = here, other
    else:
        here = there
    return float(shapely.distance(_ORIGIN, transformed(_shape(one), _seen_from(*here))))


def _recover(*_: Any) -> int:
    """SpatiaLite registers a geometry column in tables of its own; here a column is just its values."""
    return 1


_FUNCTIONS: Final[Sequence[tuple[str, int, Callable[..., Any]]]] = (
    # What GeoAlchemy2 writes around a column's values, under SpatiaLite's names, and around its tables.
    ("GeomFromEWKB", 1, _from_wkb),
    ("GeomFromEWKB", 2, _from_wkb),
    ("GeomFromWKB", 2, _from_wkb),
    ("GeomFromEWKT", 1, _from_text),
    ("AsEWKB", 1, lambda blob: blob),
    ("AsBinary", 1, _as_binary),
    ("RecoverGeometryColumn", 5, _recover),
    ("DiscardGeometryColumn", 2, _recover),
    ("CheckSpatialIndex", 2, lambda table, column: None),
    # What the layers ask.
    ("ST_MakeEnvelope", 5, _envelope),
    ("ST_Intersects", 2, _intersects),
    ("ST_Transform", 2, _transform),
    ("ST_DistanceMetres", 2, distance_m),
    ("ST_XMin", 1, _bound(0)),
    ("ST_YMin", 1, _bound(1)),
    ("ST_XMax", 1, _bound(2)),
    ("ST_YMax", 1, _bound(3)),
)


def register(connection: sqlite3.Connection) -> None:
    """Teach this connection the functions; every connection that touches a layer needs it."""
    for name, arguments, run in _FUNCTIONS:
        connection.create_function(name, arguments, run, deterministic=True)


def spatial_ddl(table: str, column: str) -> tuple[str, ...]:
    """The statements that make the R*Tree of a table's geometry and the triggers that keep it, and tell
    GeoAlchemy2 what the column holds when it reads the table back from the database."""
    tree = index_name(table, column)
    bounds = ", ".join(f"{bound}(NEW.{column})" for bound in ("ST_XMin", "ST_XMax", "ST_YMin", "ST_YMax"))
    add = f"INSERT INTO {tree} VALUES (NEW.id, {bounds})"  # noqa: S608 - a table's and a column's names
    remove = f"DELETE FROM {tree} WHERE id = OLD.id"  # noqa: S608
    return (
        f"CREATE VIRTUAL TABLE {tree} USING rtree(id, min_x, max_x, min_y, max_y)",
        f"CREATE TRIGGER {tree}_insert AFTER INSERT ON {table} BEGIN {add}; END",
        f"CREATE TRIGGER {tree}_update AFTER UPDATE OF {column} ON {table} BEGIN {remove}; {add}; END",
        f"CREATE TRIGGER {tree}_delete AFTER DELETE ON {table} BEGIN {remove}; END",
        f"CREATE VIEW geometry_columns AS SELECT '{table}' AS f_table_name, '{column}' AS f_geometry_column,"
        f" 0 AS geometry_type, 'XY' AS coord_dimension, {WGS84} AS srid, 0 AS spatial_index_enabled",
    )


def index_name(table: str, column: str) -> str:
    """What GeoAlchemy2 calls the index on PostGIS, and the R*Tree is called here."""
    return f"idx_{table}_{column}"


class in_box(FunctionElement[Any]):
    """in_box(table.c.id, table.c.geometry, west, south, east, north): the bounds of the geometry touch the
    box. Answered by the spatial index of either database."""

    # Not typed as a truth value: on SQLite that would be written `(id IN (...)) = 1`, which no index answers.
    name = "in_box"
    inherit_cache = True


@compiles(in_box, "postgresql")
def _in_box_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    _, geometry, *box = (compiler.process(clause, **more) for clause in element.clauses)
    return f"({geometry} && ST_MakeEnvelope({', '.join(box)}, {WGS84}))"


@compiles(in_box, "sqlite")
def _in_box_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    column = list(element.clauses)[1]
    number, _, west, south, east, north = (compiler.process(clause, **more) for clause in element.clauses)
    tree = index_name(column.table.name, column.name)
    touching = f"max_x >= {west} AND max_y >= {south} AND min_x <= {east} AND min_y <= {north}"
    return f"({number} IN (SELECT id FROM {tree} WHERE {touching}))"  # noqa: S608 - SQLAlchemy's own words


class metres(FunctionElement[float]):
    """metres(a, b): the geodesic distance between two geometries in degrees, one of them a point."""

    name = "metres"
    type = Float()
    inherit_cache = True


@compiles(metres, "postgresql")
def _metres_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    one, other = (compiler.process(clause, **more) for clause in element.clauses)
    return f"ST_Distance(({one})::geography, ({other})::geography)"


@compiles(metres, "sqlite")
def _metres_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    one, other = (compiler.process(clause, **more) for clause in element.clauses)
    return f"ST_DistanceMetres({one}, {other})"


class apart(FunctionElement[int]):
    """apart(column): the column, kept from SQLite's planner, which would else walk a whole layer by an
    ordinary index rather than the few rows that the R*Tree names (50,000 lamps: 40 times slower)."""

    name = "apart"
    inherit_cache = True


@compiles(apart)
def _apart(element: Any, compiler: Any, **more: Any) -> str:
    return str(compiler.process(element.clauses, **more))


@compiles(apart, "sqlite")
def _apart_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    return f"+{compiler.process(element.clauses, **more)}"
