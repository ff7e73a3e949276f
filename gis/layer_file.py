"""Reads an operator's own layer: GeoJSON, CSV, GeoPackage or Shapefile, in whatever coordinates, and says
what is wrong with it row by row. Nothing is written here.

Coordinates come out in degrees (EPSG:4326, longitude first). A row that cannot be used becomes a `Fault` that
names it; a file that cannot be used at all raises `LayerFileError`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import sqlite3
import tempfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info
from pyproj.enums import PJType
from pyproj.exceptions import CRSError, ProjError
from shapely.geometry.base import BaseGeometry

from gis.geometry import Box, in_box, is_position, metres_between
from gis.layers import Feature
from gis.sqlite import WGS84, transformed

FILE_BYTES_MAX: Final = 200_000_000
ROWS_MAX: Final = 200_000
OUTSIDE_M: Final = 20_000.0
"""How far outside the city's box a thing may lie; beyond it, something is wrong with the coordinates."""

COLUMNS_MAX: Final = 40
TEXT_MAX: Final = 500
REF_MAX: Final = 128
RESERVED: Final = frozenset({"layer", "source", "ref", "name", "point", "distance_m"})
"""What the API itself says of a feature; a column of that name gets an underscore behind it."""

_REFS: Final = ("ref", "id")
_NAMES: Final = ("name", "nume", "denumire", "titlu", "title")
_LON: Final = ("lon", "lng", "long", "longitude", "longitudine")
_LAT: Final = ("lat", "latitude", "latitudine")
_PLANE: Final = (("x", "y"), ("est", "nord"), ("easting", "northing"), ("e", "n"))


class LayerFileError(Exception):
    """A file that cannot be used: `code` for programs, `field` what to change, and the remedy."""

    def __init__(self, code: str, field: str, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.code = code
        self.field = field
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is not usable. `row`: the line of a CSV file (its header is line 1), else the number of the
    feature or record, from 1 on. `field`: the column, or "geometry"."""

    row: int
    field: str
    code: str
    why: str


@dataclass(slots=True)
class Reading:
    """What a file holds: the usable `features`, the `faults` of the other rows, the rows whose areas were
    `mended`, and `notes` on what was assumed or changed."""

    kind: str
    rows: int = 0
    features: list[Feature] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    mended: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    number: int
    values: dict[str, Any]
    geometry: BaseGeometry | None = None
    key: str | None = None
    """The key that the format itself gives a row, such as the id of a GeoJSON feature."""


@dataclass(slots=True)
class _Table:
    """A file as read, before anything is made of it."""

    kind: str
    columns: list[str]
    rows: list[_Row]
    crs: CRS | None
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_file(
    path: Path,
    box: Box,
    *,
    city: str = "the city",
    ref: str | None = None,
    crs: str | None = None,
    table: str | None = None,
) -> Reading:
    """Read the file at `path` for a city with that box, called `city` in what is said of it. `ref` names
    the column that is each row's stable key, `crs` the coordinate system where the file does not (or not
    rightly) say, `table` one of a GeoPackage's.

    Raises LayerFileError.
    """
    found = _read(path, table, _crs(crs) if crs else None)
    reading = Reading(found.kind, len(found.rows) + len(found.faults), notes=found.notes)
    reading.faults += found.faults
    _place(found, reading, box, city, _crs(crs) if crs else None)
    _mend(found, reading)
    key = _key_column(found, reading, ref)
    name = _column(found.columns, _NAMES)
    _check_columns(found, reading, key, name)
    seen: dict[str, int] = {}
    for row in found.rows:
        if row.geometry is None:
            continue
        fault, mark = _mark(row, key, seen)
        if fault is not None:
            reading.faults.append(fault)
            continue
        called = _text(row.values.get(name)) if name else None
        facts = _facts(row.values, {key, name} if key else {name})
        reading.features.append(Feature(mark, called, row.geometry, facts))
    reading.faults.sort(key=lambda fault: fault.row)
    return reading


# -- the formats ---------------------------------------------------------------------------------------


def _read(path: Path, table: str | None, crs: CRS | None) -> _Table:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise LayerFileError(
            "no-file", "file", f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    if size == 0:
        raise LayerFileError("empty-file", "file", f"{path.name} is empty.", "Export it again.")
    if size > FILE_BYTES_MAX:
        raise LayerFileError(
            "file-too-large",
            "file",
            f"{path.name} has {size / 1e6:.0f} MB; {FILE_BYTES_MAX / 1e6:.0f} MB is the most.",
            "Export only this layer, and only this city.",
        )
    if head.startswith(b"SQLite format 3\0"):
        if head[68:72] not in (b"GPKG", b"GP10", b"GP11"):
            raise LayerFileError(
                "unknown-format", "file", f"{path.name} is a database, but no GeoPackage.", _FORMATS
            )
        _refuse_what_acts(path)
        return _read_by_gdal(path, "GeoPackage", table)
    if head.startswith(_SHAPEFILE):
        if path.suffix.lower() != ".shp":
            raise LayerFileError(
                "incomplete",
                "file",
                f"{path.name} is one part of a Shapefile.",
                "Zip it with its .dbf, .shx and .prj.",
            )
        return _read_by_gdal(path, "Shapefile", table)
    if head.startswith(b"PK\x03\x04"):
        with tempfile.TemporaryDirectory(prefix="straja-layer-") as folder:
            return _read_by_gdal(_unzipped_shapefile(path, Path(folder)), "Shapefile", table)
    text, coding = _decoded(path.read_bytes())
    if text.lstrip().startswith(("{", "[")):
        return _read_geojson(text, path.name)
    if "\0" in text:
        raise LayerFileError("unknown-format", "file", f"{path.name} is of no known format.", _FORMATS)
    return _read_csv(text, coding, path.name, crs)


_FORMATS: Final = "Export it as GeoJSON, CSV, GeoPackage or Shapefile (zipped)."


_SHAPEFILE: Final = b"\x00\x00\x27\x0a"
_PARTS: Final = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_PASSIVE: Final = re.compile(
    r"""\s*CREATE\s+(
        TABLE\b | (UNIQUE\s+)?INDEX\b | TRIGGER\b
        | VIRTUAL\s+TABLE\s+("([^"]|"")+"|\w+)\s+USING\s+rtree\s*\(
        | VIEW\s+"?(st_spatial_ref_sys|st_geometry_columns)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""What a GeoPackage's schema may say: tables, their indexes, and two views of the standard's own."""


def _refuse_what_acts(path: Path) -> None:
    """A GeoPackage is a database, and whoever reads it runs what stands in its schema. SpatiaLite, which GDAL
    brings along, has virtual tables that read any file of this computer, and a view may never end."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
            schema = opened.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    except sqlite3.Error as error:
        raise LayerFileError(
            "damaged", "file", f"The GeoPackage cannot be read ({error}).", "Export it again."
        ) from error
    for name, sql in schema:
        if not _PASSIVE.match(str(sql)):
            raise LayerFileError(
                "not-plain",
                "file",
                f"{str(name)[:64]!r} in the GeoPackage is no table but a view or a virtual table.",
                "Export the layer alone, into a new GeoPackage.",
            )


def _unzipped_shapefile(path: Path, folder: Path) -> Path:
    """The Shapefile that lies zipped in the file, in `folder`. GDAL would look into the archive itself, but
    goes by a file's ending there, and would take whatever is called .shp for what its contents say: also for
    a description (VRT) of any other file or address."""
    try:
        with zipfile.ZipFile(path) as packed:
            inside = packed.infolist()
            shapes = [one.filename for one in inside if one.filename.lower().endswith(".shp")]
            if not shapes:
                raise LayerFileError("unknown-format", "file", f"{path.name} holds no Shapefile.", _FORMATS)
            if sum(one.file_size for one in inside) > FILE_BYTES_MAX:
                raise LayerFileError(
                    "file-too-large",
                    "file",
                    f"{path.name} unpacks to more than {FILE_BYTES_MAX / 1e6:.0f} MB.",
                    "Export only this layer, and only this city.",
                )
            if len(shapes) > 1:
                raise LayerFileError(
                    "several-tables",
                    "table",
                    f"{path.name} holds several Shapefiles: {', '.join(sorted(shapes))}.",
                    "Zip one of them with its .dbf, .shx and .prj.",
                )
            stem = shapes[0][: -len(".shp")].lower()
            for one in inside:
                ending = one.filename.lower().removeprefix(stem)
                if ending in _PARTS:
                    with packed.open(one) as source, (folder / f"layer{ending}").open("wb") as target:
                        shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise LayerFileError(
            "damaged", "file", f"{path.name} is damaged, or has a password.", "Send it again."
        ) from error
    shape = folder / "layer.shp"
    with shape.open("rb") as file:
        if file.read(len(_SHAPEFILE)) != _SHAPEFILE:
            raise LayerFileError(
                "unknown-format", "file", f"{shapes[0]} in {path.name} is no Shapefile.", _FORMATS
            )
    return shape


def _read_by_gdal(path: Path, kind: str, table: str | None) -> _Table:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError, FieldError

    try:
        if kind == "GeoPackage":
            table = _which_table(
                [str(name) for name, shape in pyogrio.list_layers(path) if shape is not None], table
            )
        info = pyogrio.read_info(path, layer=table)
        _not_too_many(int(info["features"]))
        with warnings.catch_warnings():
            # What GDAL warns of (rings that do not close, odd encodings) is met again row by row.
            warnings.simplefilter("ignore")
            meta, fids, shapes, data = pyogrio.raw.read(
                path, layer=table, force_2d=True, return_fids=True, datetime_as_string=True
            )
    except (DataSourceError, DataLayerError, FieldError, UnicodeDecodeError) as error:
        raise LayerFileError(
            "damaged", "file", f"The {kind} cannot be read ({error}).", "Export it again."
        ) from error
    columns = [str(name) for name in meta["fields"]]
    # A Shapefile counts its records from 0.
    first = 1 if kind == "Shapefile" else 0
    parsed = shapely.from_wkb(shapes, on_invalid="ignore") if shapes is not None else [None] * len(fids)
    found = _Table(kind, columns, [], None)
    found.crs = _stated(meta["crs"], found.notes)
    for index, fid in enumerate(fids):
        number = int(fid) + first
        if parsed[index] is None:
            why = "is empty" if shapes is None or shapes[index] is None else "cannot be read"
            found.faults.append(Fault(number, "geometry", "bad-geometry", why))
            continue
        values = {name: _plain(column[index]) for name, column in zip(columns, data, strict=True)}
        found.rows.append(_Row(number, values, parsed[index]))
    return found


def _which_table(tables: Sequence[str], wanted: str | None) -> str:
    if wanted in tables:
        return str(wanted)
    there = ", ".join(tables) or "none with geometry"
    if wanted is not None:
        raise LayerFileError(
            "unknown-table", "table", f"There is no table {wanted!r}.", f"The tables are: {there}."
        )
    if len(tables) != 1:
        raise LayerFileError(
            "several-tables" if tables else "no-table",
            "table",
            f"The GeoPackage holds {len(tables)} tables: {there}.",
            "Name the one that is meant: --table NAME.",
        )
    return tables[0]


def _not_too_many(rows: int) -> None:
    if rows > ROWS_MAX:
        raise LayerFileError(
            "too-many-rows",
            "file",
            f"The file has {rows:,} rows; {ROWS_MAX:,} is the most.",
            "Export only this city, or divide it into several sources.",
        )


def _decoded(raw: bytes) -> tuple[str, str]:
    """The text and the name of its encoding: what its first bytes say, else UTF-8, else Windows-1250, the
    encoding of Central European spreadsheets."""
    for mark, coding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return raw.decode(coding, errors="replace"), coding.removesuffix("-sig").upper()
    try:
        return raw.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return raw.decode("cp1250", errors="replace"), "Windows-1250"


def _read_geojson(text: str, name: str) -> _Table:
    notes: list[str] = []
    # Counted before it is parsed: parsed it takes many times the room.
    _not_too_many(min(text.count('"Feature"'), text.count('"geometry"')))
    try:
        features, crs = _features(text, notes)
    except (ValueError, RecursionError) as error:
        raise LayerFileError(
            "damaged", "file", f"{name} is not GeoJSON ({error}).", "Export it again."
        ) from error
    _not_too_many(len(features))
    found = _Table("GeoJSON", [], [], crs, notes=notes)
    columns: dict[str, None] = {}
    for number, one in enumerate(features, 1):
        if not isinstance(one, dict) or one.get("type") != "Feature":
            found.faults.append(Fault(number, "type", "not-a-feature", "is not a GeoJSON Feature"))
            continue
        geometry, why = _geometry_of(one.get("geometry"))
        if geometry is None:
            found.faults.append(Fault(number, "geometry", "bad-geometry", why))
            continue
        given = one.get("properties")
        values = given if isinstance(given, dict) else {}
        columns.update(dict.fromkeys(values))
        key = one.get("id")
        found.rows.append(_Row(number, values, geometry, None if key is None else str(key)))
    found.columns = list(columns)
    return found


def _features(text: str, notes: list[str]) -> tuple[list[Any], CRS | None]:
    try:
        whole = json.loads(text)
    except ValueError:
        lines = [line.strip("\x1e \r\t") for line in text.splitlines()]
        if len(lines) < 2 or not lines[0].endswith("}"):
            raise
        # One feature a line, as GeoJSON text sequences have them.
        return [json.loads(line) for line in lines if line], None
    if isinstance(whole, dict) and whole.get("type") == "Feature":
        return [whole], None
    if not isinstance(whole, dict) or not isinstance(whole.get("features"), list):
        raise ValueError("it has no list of features")
    # RFC 7946 knows degrees alone; older files, and those of GIS programs, name another system here.
    named = whole.get("crs")
    inside = named.get("properties") if isinstance(named, dict) else None
    stated = inside.get("name") if isinstance(inside, dict) else None
    return whole["features"], _stated(stated, notes) if isinstance(stated, str) else CRS(WGS84)


def _geometry_of(given: Any) -> tuple[BaseGeometry | None, str]:
    if given is None:
        return None, "is empty"
    try:
        shape: BaseGeometry = shapely.from_geojson(json.dumps(given))
    except (shapely.errors.GEOSException, ValueError, TypeError) as error:
        return None, f"cannot be read ({str(error).splitlines()[0][:120]})"
    return shape, ""


def _read_csv(text: str, coding: str, name: str, crs: CRS | None) -> _Table:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(";,\t|", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [cell.strip() for cell in next(lines, [])]
    columns = [cell or f"column_{index}" for index, cell in enumerate(header, 1)]
    if len(set(columns)) != len(columns):
        twice = sorted({cell for cell in columns if columns.count(cell) > 1})
        raise LayerFileError(
            "bad-columns", "file", f"{name} has the column {twice[0]!r} twice.", "Rename one of them."
        )
    lon, lat = _column(columns, _LON), _column(columns, _LAT)
    x, y = next(
        (
            (a, b)
            for a, b in ((_column(columns, (one,)), _column(columns, (two,))) for one, two in _PLANE)
            if a and b
        ),
        (None, None),
    )
    east, north = (lon, lat) if lon and lat else (x, y)
    if east is None or north is None:
        raise LayerFileError(
            "no-coordinates",
            "file",
            f"{name} has no columns of coordinates; its columns are: {', '.join(columns)[:300]}.",
            "Call them lon and lat (degrees), or x and y with --crs EPSG:....",
        )
    # Degrees are degrees, unless somebody says that a column called so holds something else.
    found = _Table("CSV", columns, [], CRS(WGS84) if (east, north) == (lon, lat) and crs is None else None)
    if coding != "UTF-8":
        found.notes.append(f"The text was read as {coding}.")
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            _not_too_many(len(found.rows) + len(found.faults) + 1)
            _csv_row(found, lines.line_num, cells, (east, north))
    except csv.Error as error:
        raise LayerFileError(
            "damaged",
            "file",
            f"Line {lines.line_num} of {name} cannot be read ({error}).",
            "Export it again.",
        ) from error
    return found


def _csv_row(found: _Table, number: int, cells: Sequence[str], at: tuple[str, str]) -> None:
    if len(cells) > len(found.columns) and any(cell.strip() for cell in cells[len(found.columns) :]):
        why = (
            f"has {len(cells)} cells, the header {len(found.columns)}: is a separator inside a text unquoted?"
        )
        found.faults.append(Fault(number, "row", "too-many-cells", why))
        return
    values: dict[str, Any] = dict(zip(found.columns, (cell.strip() for cell in cells), strict=False))
    spot = []
    for column in at:
        given = str(values.pop(column, ""))
        number_there = _number(given)
        if number_there is None:
            why = "is empty" if not given else f"is not a number: {given[:40]!r}"
            found.faults.append(Fault(number, column, "not-a-number", why))
            return
        spot.append(number_there)
    found.rows.append(_Row(number, values, shapely.Point(*spot)))


_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def _number(text: str) -> float | None:
    """A number as people and spreadsheets write it: 25.601, 25,601, 1.234.567,89 or 1 234 567.89."""
    bare = re.sub(r"[\s\u00a0\u202f'°]", "", text)
    if "," in bare and "." in bare:
        thousands = "." if bare.rfind(",") > bare.rfind(".") else ","
        bare = bare.replace(thousands, "")
    bare = bare.replace(",", ".")
    return float(bare) if _PLAIN_NUMBER.fullmatch(bare) else None


# -- coordinates ---------------------------------------------------------------------------------------


def _crs(text: str) -> CRS:
    """A coordinate system of places on Earth, by its number or in whatever words a file has it."""
    try:
        found = CRS.from_user_input(text)
        found = CRS(found.sub_crs_list[0]) if found.is_compound else found
    except CRSError:
        found = None
    if found is None or not (found.is_geographic or found.is_projected):
        raise LayerFileError(
            "bad-crs",
            "crs",
            f"The coordinate system {text[:80]!r} is not one of places on Earth.",
            "Name it by its EPSG number, such as EPSG:3844 (Stereo 70).",
        )
    return found


def _stated(text: str | None, notes: list[str]) -> CRS | None:
    """The system that a file says its coordinates are in, None where that says nothing."""
    if not text:
        return None
    try:
        return _crs(text)
    except LayerFileError as error:
        notes.append(f"{error.message} The file is read as if it named none.")
        return None


def _place(found: _Table, reading: Reading, box: Box, city: str, wanted: CRS | None) -> None:
    """Bring every row's geometry into degrees, or set it to None and say why not."""
    for row in found.rows:
        shape = row.geometry
        why = None
        if shape is None or shape.is_empty:
            why = "is empty"
        elif not np.isfinite(shapely.get_coordinates(shape)).all():
            why = "has a coordinate that is not a number"
        if why is not None:
            reading.faults.append(Fault(row.number, "geometry", "bad-geometry", why))
            row.geometry = None
        else:
            row.geometry = shapely.force_2d(shape)
    rows = [row for row in found.rows if row.geometry is not None]
    if not rows:
        return
    crs = _which_crs(found, rows, reading, box, wanted)
    as_given = [row.geometry for row in rows if row.geometry is not None]
    straight = _in_degrees(as_given, crs)
    inside = [_lies_in(one, box) for one in straight]
    would = [False] * len(rows)
    if not all(inside):
        turned = _in_degrees([_exchanged(one) for one in as_given], crs)
        would = [_lies_in(one, box) for one in turned]
        if not any(inside) and sum(would) >= 0.9 * len(rows):
            reading.notes.append(
                "Every row has its coordinates exchanged (the northern one first);"
                " they were taken the other way."
            )
            straight, inside, would = turned, would, [False] * len(rows)
    for row, shape, is_in, would_be in zip(rows, straight, inside, would, strict=True):
        row.geometry = shape if is_in else None
        if not is_in:
            reading.faults.append(_outside(row.number, shape, box, city, would_be))
    if not any(inside) and (better := _suggested(as_given, box)):
        reading.notes.append(f"Nothing lies in {city}. In {better} it would: name it with --crs.")


def _which_crs(found: _Table, rows: Sequence[_Row], reading: Reading, box: Box, wanted: CRS | None) -> CRS:
    stated = found.crs
    if wanted is not None:
        if stated is not None and not stated.equals(wanted, ignore_axis_order=True):
            reading.notes.append(
                f"The file says {_called(stated)}; {_called(wanted)} was asked for and used."
            )
        stated = wanted
    if stated is None or stated.is_geographic:
        shapes = [row.geometry for row in rows if row.geometry is not None]
        corners = shapely.get_coordinates(np.array(shapes, dtype=object))
        beyond = (np.abs(corners) > 180).any(axis=1)
        if beyond.mean() > 0.5:
            better = _suggested(shapes, box)
            x, y = corners[int(np.argmax(beyond))]
            raise LayerFileError(
                "no-crs",
                "crs",
                f"The coordinates ({x:g}, {y:g}) cannot be degrees, and the file does not say what they are."
                if stated is None
                else f"The coordinates ({x:g}, {y:g}) cannot be degrees, which {_called(stated)} has.",
                f"Name their system with --crs; in {better} they lie in the city."
                if better
                else "Name their system with --crs, for example --crs EPSG:3844 for Stereo 70.",
            )
    if stated is None:
        reading.notes.append(
            "The file names no coordinate system; its numbers were taken for degrees (WGS 84)."
        )
        return CRS(WGS84)
    if not _is_wgs84(stated):
        reading.notes.append(f"Reprojected from {_called(stated)} to degrees (WGS 84).")
    return stated


def _is_wgs84(crs: CRS) -> bool:
    return bool(crs.equals(CRS(WGS84), ignore_axis_order=True)) or crs.name.startswith("WGS 84 (CRS84)")


def _called(crs: CRS) -> str:
    authority = crs.to_authority(min_confidence=70)
    return f"{':'.join(authority)} {crs.name}" if authority else str(crs.name)


def _in_degrees(shapes: list[BaseGeometry], crs: CRS) -> list[BaseGeometry]:
    if _is_wgs84(crs):
        return shapes
    through = Transformer.from_crs(crs, WGS84, always_xy=True)
    return [transformed(shape, through) for shape in shapes]


def _exchanged(shape: BaseGeometry) -> BaseGeometry:
    return shapely.transform(shape, lambda corners: corners[:, ::-1])


def _lies_in(shape: BaseGeometry, box: Box) -> bool:
    west, south, east, north = shape.bounds
    return in_box(west, south, box, OUTSIDE_M) and in_box(east, north, box, OUTSIDE_M)


def _outside(row: int, shape: BaseGeometry, box: Box, city: str, would_be: bool) -> Fault:
    if would_be:
        why = f"has its two coordinates exchanged: the other way round it lies in {city}"
        return Fault(row, "geometry", "swapped", why)
    west, south, east, north = shape.bounds
    if not (is_position(west, south) and is_position(east, north)):
        return Fault(row, "geometry", "outside-city", "lies nowhere on Earth")
    at = shape.representative_point()
    near = min(max(at.x, box[0]), box[2]), min(max(at.y, box[1]), box[3])
    km = metres_between(at.x, at.y, *near) / 1000
    why = f"lies {km:.0f} km outside {city}, at {at.y:.5f}, {at.x:.5f}"
    return Fault(row, "geometry", "outside-city", why)


def _suggested(shapes: Sequence[BaseGeometry], box: Box) -> str:
    """The coordinate systems of this part of the world in which most of the rows lie in the city, the most
    local first; empty where there is none."""
    spots = [
        shape.representative_point() for shape in shapes[:: max(1, len(shapes) // 20)] if shape is not None
    ]
    x, y = np.array([spot.x for spot in spots]), np.array([spot.y for spot in spots])
    area = AreaOfInterest(*box)
    known = query_crs_info("EPSG", PJType.PROJECTED_CRS, area, contains=True)
    fitting = []
    for one in [*known, *query_crs_info("EPSG", PJType.GEOGRAPHIC_2D_CRS, area, contains=True)]:
        if one.deprecated or (one.type == PJType.GEOGRAPHIC_2D_CRS and one.code != str(WGS84)):
            continue
        try:
            through = Transformer.from_crs(CRS.from_authority("EPSG", one.code), WGS84, always_xy=True)
        except ProjError:
            continue  # Some of EPSG's oldest systems have no way to degrees.
        for a, b in ((x, y), (y, x)):
            lon, lat = through.transform(a, b)
            placed = [in_box(p, q, box, OUTSIDE_M) for p, q in zip(lon, lat, strict=True)]
            if sum(placed) > 0.5 * len(placed):
                use = one.area_of_use
                size = (use.east - use.west) * (use.north - use.south) if use else 1e9
                fitting.append((size, int(one.code), f"EPSG:{one.code} ({one.name})"))
                break
    return " or ".join(words for _, _, words in sorted(fitting)[:3])


def _mend(found: _Table, reading: Reading) -> None:
    """Make invalid areas valid, and say which were; what nothing is left of is a fault."""
    for row in found.rows:
        if row.geometry is None or shapely.is_valid(row.geometry):
            continue
        why = shapely.is_valid_reason(row.geometry)
        mended: Any = shapely.make_valid(row.geometry)
        if mended.geom_type == "GeometryCollection":
            mended = shapely.union_all([one for one in mended.geoms if one.geom_type.endswith("Polygon")])
        if mended.is_empty or shapely.get_dimensions(mended) < shapely.get_dimensions(row.geometry):
            row.geometry = None
            reading.faults.append(Fault(row.number, "geometry", "bad-geometry", f"cannot be mended ({why})"))
        else:
            row.geometry = mended
            reading.mended.append(
                Fault(row.number, "geometry", "mended", f"was invalid ({why}) and is mended")
            )


# -- columns -------------------------------------------------------------------------------------------


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().strip().lower()
    return plain.replace(" ", "_")


def _column(columns: Iterable[str], wanted: Iterable[str]) -> str | None:
    by_name = {_folded(column): column for column in columns}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _key_column(found: _Table, reading: Reading, ref: str | None) -> str | None:
    if ref is not None:
        column = ref if ref in found.columns else _column(found.columns, (_folded(ref),))
        if column is None:
            raise LayerFileError(
                "unknown-column",
                "ref",
                f"There is no column {ref!r}.",
                f"The columns are: {', '.join(found.columns)[:300]}.",
            )
        return column
    column = _column(found.columns, _REFS)
    if column is not None:
        reading.notes.append(f"The column {column!r} is each row's key.")
    elif any(row.key is None for row in found.rows):
        reading.notes.append("No column was named as the key (--ref); each row's position is its key.")
    return column


def _mark(row: _Row, key: str | None, seen: dict[str, int]) -> tuple[Fault | None, str]:
    """The row's key, or why it has none."""
    assert row.geometry is not None
    if key is not None:
        mark = _text(row.values.get(key)) or ""
    elif row.key is not None:
        mark = _text(row.key) or ""
    else:
        at = row.geometry.representative_point()
        mark = f"at {at.y:.6f} {at.x:.6f}"
    where = key or "ref"
    if not mark:
        return Fault(row.number, where, "no-ref", "is empty; it must be each row's key"), ""
    if len(mark) > REF_MAX:
        return Fault(row.number, where, "ref-too-long", f"has more than {REF_MAX} characters"), ""
    if mark in seen:
        return Fault(row.number, where, "duplicate-ref", f"is {mark!r}, as in row {seen[mark]}"), ""
    seen[mark] = row.number
    return None, mark


def _check_columns(found: _Table, reading: Reading, *taken: str | None) -> None:
    kept = [column for column in found.columns if column not in taken]
    if len(kept) > COLUMNS_MAX:
        reading.notes.append(f"Of {len(kept)} columns the first {COLUMNS_MAX} are kept.")
        dropped = set(kept[COLUMNS_MAX:])
        for row in found.rows:
            row.values = {name: value for name, value in row.values.items() if name not in dropped}
    longest = max(
        (len(v) for row in found.rows for v in row.values.values() if isinstance(v, str)), default=0
    )
    if longest > TEXT_MAX:
        reading.notes.append(f"Texts of more than {TEXT_MAX} characters are cut there.")


def _facts(values: Mapping[str, Any], taken: set[str | None]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in values.items():
        clean = _text(value) if isinstance(value, str | list | dict) else value
        if name in taken or clean is None or (isinstance(clean, float) and not math.isfinite(clean)):
            continue
        called = (_text(name) or "column")[:64]
        facts[f"{called}_" if called in RESERVED else called] = clean
    return facts


def _text(value: Any) -> str | None:
    """A value as text that both databases can keep; None for an empty one."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    bare = "".join(ch for ch in text if ch in "\n\t" or (ch.isprintable() and not "\ud800" <= ch <= "\udfff"))
    return bare.strip()[:TEXT_MAX] or None


def _plain(value: Any) -> Any:
    """A value of a numpy column as JSON has it."""
    if value is None or isinstance(value, bytes):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        # A column of whole numbers in which some are missing comes as one of fractions.
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return value if isinstance(value, bool | int | str) else str(value)
