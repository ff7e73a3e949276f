"""Where people live, from a population raster that the operator has: a GeoTIFF in, points with people out.

Read window by window, so that a raster of a whole continent costs no more than the city's part of it.
rasterio and pyproj are imported where a raster is read, never where a city is only opened.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gis.coverage import DEMAND, POPULATION
from gis.geometry import EARTH_RADIUS_M, Box, FloatArray

ABOUT: Final = "population.json"
CELL_M_MIN: Final = 40.0
"""Finer pixels are added up: nobody asks in which room people sleep."""
POINTS_MAX: Final = 2_000_000
PIXELS_MAX: Final = 400_000_000
BLOCK: Final = 1024
PER_KM2_MAX: Final = 60_000.0
"""Denser than this on the average of all inhabited pixels, no city lives: something else is counted."""


class RasterError(Exception):
    """A raster could not be used: `message` says what is wrong, `remedy` what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Population:
    """People at n points (the middles of pixels): `lon`, `lat` float64[n] degrees, `people` float64[n]."""

    lon: FloatArray
    lat: FloatArray
    people: FloatArray


@dataclass(frozen=True)
class About:
    """What stands beside the points: where they came from and when, their sum, the side of a pixel in metres
    (added-up ones), how many pixels had no data or a negative figure, and the raster's reference system."""

    source: str
    imported_at: str
    people: float
    points: int
    pixel_m: float
    no_data: int
    negative: int
    crs: str
    per_km2: bool


def import_raster(
    file: Path,
    city: Path,
    box: Box,
    *,
    crs: str | None = None,
    band: int | None = None,
    per_km2: bool = False,
) -> About:
    """Take the people in a raster for those of the city in that folder, whose box is `box`; what was imported
    before is replaced, whole or not at all. `crs`: where the raster says none; `per_km2`: its figures are
    people on a square kilometre, not people in the pixel. Raises RasterError."""
    found, about = read_raster(file, box, crs=crs, band=band, per_km2=per_km2)
    into = city / DEMAND
    try:
        into.mkdir(exist_ok=True)
        packed = io.BytesIO()
        told = f"{about.source}, {about.people:,.0f} people"
        np.savez_compressed(
            packed,
            lon=found.lon.astype(np.float32),
            lat=found.lat.astype(np.float32),
            people=found.people.astype(np.float32),
            about=np.array(told),
        )
        _put(into / ABOUT, json.dumps(asdict(about), ensure_ascii=False, indent=1).encode())
        _put(into / POPULATION, packed.getvalue())
    except OSError as error:
        raise RasterError(
            f"The people cannot be written to {into}: {error.strerror}.", "Check the folder and its disk."
        ) from error
    return about


def about_population(city: Path) -> About | None:
    """What was imported for the city in that folder, None where nothing was."""
    try:
        return About(**json.loads((city / DEMAND / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def forget_population(city: Path) -> bool:
    """Take the imported people away again; False where there were none."""
    was = False
    for name in (POPULATION, ABOUT):
        with contextlib.suppress(FileNotFoundError):
            (city / DEMAND / name).unlink()
            was = True
    return was


def keep_population(old: Path, new: Path) -> None:
    """Carry what was imported for a city over to another import of it."""
    for name in (POPULATION, ABOUT):
        if (old / DEMAND / name).is_file():
            (new / DEMAND).mkdir(exist_ok=True)
            (new / DEMAND / name).write_bytes((old / DEMAND / name).read_bytes())


def _put(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_raster(
    file: Path, box: Box, *, crs: str | None = None, band: int | None = None, per_km2: bool = False
) -> tuple[Population, About]:
    """The people inside `box` (west, south, east, north), and what is said about them. Raises RasterError."""
    import rasterio
    from rasterio.errors import RasterioError

    if not file.is_file():
        raise RasterError(f"There is no file {file}.", "Check the path.")
    try:
        # Nothing but GeoTIFF: other formats of the library may name further files, or the network.
        with rasterio.open(_inside(file), driver="GTiff") as raster:
            return _read(raster, file, box, crs, band, per_km2)
    except RasterioError as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RasterError(
            f"{file.name} cannot be read as a GeoTIFF ({why}).",
            "Give a .tif, or a .zip with one inside; other forms convert with: gdal_translate IN OUT.tif",
        ) from error


def _inside(file: Path) -> str:
    if file.suffix.lower() != ".zip":
        return str(file)
    try:
        with zipfile.ZipFile(file) as packed:
            found = [name for name in packed.namelist() if name.lower().endswith((".tif", ".tiff"))]
    except zipfile.BadZipFile as error:
        raise RasterError(f"{file.name} is no zip file.", "Give the .tif itself.") from error
    if len(found) != 1:
        raise RasterError(
            f"{file.name} holds {len(found)} GeoTIFFs, and one is wanted.", "Unpack it; give the .tif itself."
        )
    return f"/vsizip/{file.resolve()}/{found[0]}"


def _read(
    raster: Any, file: Path, box: Box, crs: str | None, band: int | None, per_km2: bool
) -> tuple[Population, About]:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    if crs is None and raster.crs is None:
        raise RasterError(
            f"{file.name} does not say in which reference system its coordinates are.",
            "Ask its publisher, and name it: --crs EPSG:4326 (degrees), or EPSG:3035, EPSG:3844 ...",
        )
    try:
        system = CRS.from_user_input(crs if crs is not None else raster.crs.to_wkt())
    except CRSError as error:
        raise RasterError(
            f"The reference system {crs or raster.crs} is not known.", "Name one by its code: --crs EPSG:3035"
        ) from error
    if band is None and raster.count != 1:
        raise RasterError(
            f"{file.name} has {raster.count} bands.", "Say which of them counts people: --band 1"
        )
    number = 1 if band is None else band
    if not 1 <= number <= raster.count:
        raise RasterError(f"{file.name} has no band {number}.", f"It has {raster.count}.")
    if np.dtype(raster.dtypes[number - 1]).kind not in "uif":
        raise RasterError(f"{file.name} holds no plain numbers.", "Give a raster of counts.")
    to_degrees = Transformer.from_crs(system, CRS.from_epsg(4326), always_xy=True)
    columns, rows = _window(raster, Transformer.from_crs(CRS.from_epsg(4326), system, always_xy=True), box)
    width, height = columns[1] - columns[0], rows[1] - rows[0]
    if width <= 0 or height <= 0:
        raise RasterError(
            f"{file.name} does not reach the city: {_where(raster, to_degrees, box)}.",
            "Take the sheet that covers the city; if it ought to, its reference system may be named wrongly"
            " (--crs).",
        )
    if width * height > PIXELS_MAX:
        raise RasterError(
            f"The city's part of {file.name} has {width * height:,} pixels.",
            "Make it coarser first: gdalwarp -r sum -tr SIZE SIZE IN OUT.tif",
        )
    middle = ((columns[0] + columns[1]) / 2, (rows[0] + rows[1]) / 2)
    pixel_m = _pixel_m(raster, to_degrees, middle)
    factor = max(1, math.floor(CELL_M_MIN / min(pixel_m)), math.ceil(math.sqrt(width * height / POINTS_MAX)))
    lon, lat, people, dropped = _gather(
        raster, number, to_degrees, columns, rows, factor, pixel_m[0] * pixel_m[1] / 1e6 if per_km2 else 1.0
    )
    west, south, east, north = box
    inside = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    lon, lat, people = lon[inside], lat[inside], people[inside]
    total = float(people.sum())
    if total <= 0:
        raise RasterError(
            f"{file.name} counts nobody inside the city"
            f" ({dropped['no_data']:,} of {width * height:,} pixels hold no data).",
            "Take another sheet, or another band (--band).",
        )
    # One tower may stand in one pixel; a whole square kilometre of them stands nowhere.
    area_km2 = max(1.0, len(people) * factor**2 * pixel_m[0] * pixel_m[1] / 1e6)
    if total / area_km2 > PER_KM2_MAX:
        density = "" if per_km2 else " If its figures are people on a square kilometre, say --per-km2."
        raise RasterError(
            f"{file.name} would put {total:,.0f} people on {area_km2:,.1f} square kilometres: it counts"
            " something else.",
            f"Take a raster of people counted by pixel.{density}",
        )
    about = About(
        source=file.name,
        imported_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        people=round(total, 1),
        points=len(people),
        pixel_m=round(math.sqrt(pixel_m[0] * pixel_m[1]) * factor, 1),
        no_data=dropped["no_data"],
        negative=dropped["negative"],
        crs=system.to_string() if len(system.to_string()) < 40 else system.name,
        per_km2=per_km2,
    )
    return Population(lon, lat, people), about


def _window(raster: Any, from_degrees: Any, box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
    """(first and last column, first and last row) of the raster's part around the box; empty where it does
    not reach there."""
    west, south, east, north = box
    share = np.linspace(0.0, 1.0, 21)
    lon = np.concatenate([west + (east - west) * share, west + (east - west) * share, np.full(42, west)])
    lat = np.concatenate([np.full(21, south), np.full(21, north), *[south + (north - south) * share] * 2])
    lon[63:] = east
    x, y = from_degrees.transform(lon, lat)
    inverse = ~raster.transform
    column = inverse.a * np.asarray(x) + inverse.b * np.asarray(y) + inverse.c
    row = inverse.d * np.asarray(x) + inverse.e * np.asarray(y) + inverse.f
    known = np.isfinite(column) & np.isfinite(row)
    if not known.any():
        return (0, 0), (0, 0)
    columns = max(0, math.floor(column[known].min())), min(raster.width, math.ceil(column[known].max()))
    rows = max(0, math.floor(row[known].min())), min(raster.height, math.ceil(row[known].max()))
    return columns, rows


def _gather(
    raster: Any,
    band: int,
    to_degrees: Any,
    columns: tuple[int, int],
    rows: tuple[int, int],
    factor: int,
    weight: float,
) -> tuple[FloatArray, FloatArray, FloatArray, dict[str, int]]:
    dropped = {"no_data": 0, "negative": 0}
    found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    for left, top, values in _blocks(raster, band, columns, rows, factor):
        unknown = ~np.isfinite(values)
        negative = ~unknown & (values < 0)
        dropped["no_data"] += int(unknown.sum())
        dropped["negative"] += int(negative.sum())
        counted = np.where(unknown | negative, 0.0, values) * weight
        high, wide = (-(-size // factor) for size in counted.shape)
        padded = np.zeros((high * factor, wide * factor))
        padded[: counted.shape[0], : counted.shape[1]] = counted
        summed = padded.reshape(high, factor, wide, factor).sum(axis=(1, 3))
        row, column = np.nonzero(summed)
        if len(row) == 0:
            continue
        x, y = _at(raster, left + (column + 0.5) * factor, top + (row + 0.5) * factor)
        lon, lat = to_degrees.transform(x, y)
        good = np.isfinite(lon) & np.isfinite(lat)
        found.append((np.asarray(lon)[good], np.asarray(lat)[good], summed[row, column][good]))
    empty = np.empty(0)
    lon, lat, people = (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else [empty] * 3
    return lon, lat, people, dropped


def _blocks(
    raster: Any, band: int, columns: tuple[int, int], rows: tuple[int, int], factor: int
) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    """(first column, first row, values with NaN for no data) of pieces, whole multiples of `factor`."""
    from rasterio.windows import Window

    step = max(factor, BLOCK // factor * factor)
    for top in range(rows[0], rows[1], step):
        for left in range(columns[0], columns[1], step):
            window = Window(left, top, min(step, columns[1] - left), min(step, rows[1] - top))
            values = raster.read(band, window=window, masked=True)
            yield left, top, np.ma.filled(values.astype(np.float64), np.nan)


def _at(raster: Any, column: Any, row: Any) -> tuple[Any, Any]:
    t = raster.transform
    return t.a * column + t.b * row + t.c, t.d * column + t.e * row + t.f


def _pixel_m(raster: Any, to_degrees: Any, at: tuple[float, float]) -> tuple[float, float]:
    """Width and height of the pixel there, metres."""
    column, row = at
    x, y = _at(raster, np.array([column, column + 1, column]), np.array([row, row, row + 1]))
    lon, lat = to_degrees.transform(x, y)
    ky = math.radians(1.0) * EARTH_RADIUS_M
    kx = ky * math.cos(math.radians(lat[0]))
    sides = [math.hypot((lon[i] - lon[0]) * kx, (lat[i] - lat[0]) * ky) for i in (1, 2)]
    return max(sides[0], 1e-3), max(sides[1], 1e-3)


def _where(raster: Any, to_degrees: Any, box: Box) -> str:
    corners = [(0, 0), (raster.width, 0), (0, raster.height), (raster.width, raster.height)]
    x, y = _at(raster, np.array([c for c, _ in corners]), np.array([r for _, r in corners]))
    lon, lat = (np.asarray(v) for v in to_degrees.transform(x, y))
    west, south, east, north = box
    city = f"the city lies from {west:.2f}, {south:.2f} to {east:.2f}, {north:.2f}"
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return f"its corners are nowhere on Earth, and {city}"
    return f"it covers {lon.min():.2f}, {lat.min():.2f} to {lon.max():.2f}, {lat.max():.2f}, and {city}"
