"""Reads a city folder of JEMSS, the ambulance simulator of the University of Auckland, as data for our own.

The format (github.com/uoa-ems-research/JEMSS.jl, Apache-2.0) is one of tables in CSV files: a line with the
table's name, a line with its columns, rows, and an empty row at the end; a file may hold several. Times are
in days and distances in kilometres. A file may lie in a zip of the folder instead of beside it, as the roads
do. All faults of a folder are told at once, each with its file, row and column.
"""

from __future__ import annotations

import ast
import csv
import io
import math
import operator
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

DAY_S: Final = 86400.0
FAULTS_MAX: Final = 20
GENERATORS: Final = ("train", "validate", "test")
"""Each is a file ``gen_config_NAME.xml``."""
DISTRIBUTIONS: Final[Mapping[str, tuple[int, int]]] = {
    "Exponential": (0, 1), "Normal": (0, 2), "Uniform": (0, 2), "Gamma": (0, 2), "LogNormal": (0, 2),
    "Bernoulli": (0, 1), "Categorical": (1, 1),
}  # fmt: skip
"""The distributions that are understood, as Julia's Distributions names them: fewest and most parameters."""
STREAMS: Final = (
    "interarrivalTime", "priority", "dispatchDelay", "onSceneDuration", "transport", "handoverDuration",
)  # fmt: skip

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class JemssError(ValueError):
    """What is wrong with a folder: ``faults``, each with its file and, where there is one, row and column."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        more = len(faults) - FAULTS_MAX
        rest = [f"... and {more} more"] if more > 0 else []
        super().__init__("\n".join([*self.faults[:FAULTS_MAX], *rest]))


@dataclass(frozen=True, slots=True)
class Distribution:
    """``name`` is one of ``DISTRIBUTIONS``; ``parameters`` as there, times in days; ``seed`` of its
    stream."""

    name: str
    parameters: tuple[float, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Generator:
    """How a set of calls is drawn: one distribution for each of ``STREAMS``, and the seeds of the places."""

    name: str
    streams: Mapping[str, Distribution]
    cell_seed: int
    place_seed: int
    raster: str


@dataclass(frozen=True, slots=True, eq=False)
class Jemss:
    """One city. Places are longitude and latitude; ``x_km``, ``y_km`` the kilometres of a degree of each.

    ``node_lon``, ``node_lat`` float[n]; ``node_access`` bool[n]: a place off the road is reached from there.
    ``tail``, ``head`` int[A] count from 0, one row a direction; ``arc_m`` float[A]; ``arc_s`` float[modes,
    A]. ``station_*`` [s] and ``hospital_*`` [h]; ``home`` int[u] the station of each ambulance.
    ``priority_names`` with ``target_s`` and ``priority_mode`` (the mode that a response drives in),
    ``off_road_mps`` by mode. ``generators`` by name; ``cell_lon``, ``cell_lat``, ``cell_weight`` float[c]
    the raster's cells above 0, ``cell_size`` their width and height in degrees.
    """

    name: str
    x_km: float
    y_km: float
    node_lon: Floats
    node_lat: Floats
    node_access: NDArray[np.bool_]
    tail: Ints
    head: Ints
    arc_m: Floats
    arc_s: Floats
    station_lon: Floats
    station_lat: Floats
    station_names: tuple[str, ...]
    station_room: Ints
    hospital_lon: Floats
    hospital_lat: Floats
    hospital_names: tuple[str, ...]
    home: Ints
    priority_names: tuple[str, ...]
    target_s: Floats
    priority_mode: Ints
    off_road_mps: Floats
    generators: Mapping[str, Generator]
    cell_lon: Floats
    cell_lat: Floats
    cell_weight: Floats
    cell_size: tuple[float, float]


def read_jemss(folder: Path) -> Jemss:
    """The city in ``folder``. Raises JemssError with every fault that was found."""
    return _Reader(Path(folder)).city()


@dataclass(frozen=True, slots=True)
class _Table:
    file: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    first_row: int
    """The line of the first of ``rows`` in the file, counted from 1."""


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self.zipped: dict[str, Path] = {}

    def fault(self, what: str) -> None:
        self.faults.append(what)

    def stop_at_faults(self) -> None:
        if self.faults:
            raise JemssError(self.faults)

    def city(self) -> Jemss:
        if not self.folder.is_dir():
            raise JemssError([f"{self.folder}: there is no such folder"])
        for archive in sorted(self.folder.glob("*.zip")):
            try:
                with zipfile.ZipFile(archive) as held:
                    self.zipped |= {Path(name).name: archive for name in held.namelist()}
            except (OSError, zipfile.BadZipFile) as error:
                self.fault(f"{archive.name}: cannot be read: {error}")
        files = (
            "map.csv", "nodes.csv", "arcs.csv", "stations.csv", "hospitals.csv", "ambulances.csv",
            "priorities.csv", "travel.csv",
        )  # fmt: skip
        tables = {name: self.tables(name) for name in files}
        self.stop_at_faults()

        def table(file: str, name: str) -> _Table:
            found = tables[file].get(name)
            if found is None:
                self.fault(f"{file}: there is no table {name}")
                self.stop_at_faults()
            assert found is not None
            return found

        nodes, arcs, misc = (
            table("nodes.csv", "nodes"), table("arcs.csv", "arcs"), table("arcs.csv", "miscData")
        )  # fmt: skip
        many = len(nodes.rows)
        lon, lat = self.places(nodes)
        self.counted(nodes)
        access = self.numbers(nodes, "offRoadAccess", 0, 1) > 0
        modes = int(self.numbers(misc, "numModes", 1, 20)[0]) if misc.rows else 0
        directed = self.words(misc, "arcForm")[:1] == ["directed"]
        tail = self.whole(arcs, "fromNode", 1, many) - 1
        head = self.whole(arcs, "toNode", 1, many) - 1
        metres = self.numbers(arcs, "distance", 0) * 1000
        days = [self.numbers(arcs, f"mode_{mode + 1}", 0) for mode in range(modes)]
        stations, hospitals = table("stations.csv", "stations"), table("hospitals.csv", "hospitals")
        station_lon, station_lat = self.places(stations)
        hospital_lon, hospital_lat = self.places(hospitals)
        ambulances = table("ambulances.csv", "ambulances")
        home = self.whole(ambulances, "stationIndex", 1, len(stations.rows)) - 1
        priorities = table("priorities.csv", "priorities")
        names = tuple(self.words(priorities, "name"))
        target_s = self.numbers(priorities, "targetResponseTime", 0) * DAY_S
        driving = table("travel.csv", "travelModes")
        off_road = self.numbers(driving, "offRoadSpeed", 1e-9) * 1000 / DAY_S
        sets = table("travel.csv", "travelSets")
        modes_of = dict(
            zip(self.words(sets, "priority"), self.whole(sets, "travelModeIndex", 1, modes) - 1, strict=False)
        )
        for row, name in enumerate(names):
            if name not in modes_of:
                where = f"priorities.csv, row {priorities.first_row + row}"
                self.fault(f"travel.csv: table travelSets says nothing of {name} ({where})")
        if len(off_road) < modes:
            self.fault(f"travel.csv: {modes} modes drive (arcs.csv), and {len(off_road)} are described")
        for one, rows in (
            ("stations.csv", stations.rows),
            ("ambulances.csv", ambulances.rows),
            ("priorities.csv", priorities.rows),
            ("hospitals.csv", hospitals.rows),
            ("nodes.csv", nodes.rows),
        ):
            if not rows:
                self.fault(f"{one}: has no rows")
        x_km, y_km = self.scale()
        generators = self.generators(len(names))
        self.stop_at_faults()
        if not access.any():
            self.fault("nodes.csv: no node has offRoadAccess, so no place can be reached")
        rasters = {one.raster for one in generators.values()}
        if len(rasters) > 1:
            self.fault(f"gen_config: the generators name several rasters: {', '.join(sorted(rasters))}")
        self.stop_at_faults()
        cell_lon, cell_lat, weight, size = self.raster(rasters.pop())
        self.stop_at_faults()
        arc_s = np.array(days) * DAY_S
        if not directed:
            tail, head = np.concatenate((tail, head)), np.concatenate((head, tail))
            metres, arc_s = np.concatenate((metres, metres)), np.concatenate((arc_s, arc_s), axis=1)
        return Jemss(
            name=self.folder.name, x_km=x_km, y_km=y_km, node_lon=lon, node_lat=lat, node_access=access,
            tail=tail, head=head, arc_m=metres, arc_s=arc_s,
            station_lon=station_lon, station_lat=station_lat, station_names=self.named(stations, "NAME"),
            station_room=self.whole(stations, "capacity", 0, 10**6), hospital_lon=hospital_lon,
            hospital_lat=hospital_lat, hospital_names=self.named(hospitals, "name"), home=home,
            priority_names=names, target_s=target_s,
            priority_mode=np.array([modes_of[name] for name in names]), off_road_mps=off_road,
            generators=generators, cell_lon=cell_lon, cell_lat=cell_lat, cell_weight=weight, cell_size=size,
        )  # fmt: skip

    # ---- tables

    def raw(self, name: str) -> bytes | None:
        try:
            if (self.folder / name).is_file():
                return (self.folder / name).read_bytes()
            if name in self.zipped:
                with zipfile.ZipFile(self.zipped[name]) as held:
                    inside = next(one for one in held.namelist() if Path(one).name == name)
                    return held.read(inside)
        except (OSError, zipfile.BadZipFile) as error:
            self.fault(f"{name}: cannot be read: {error}")
            return None
        self.fault(f"{name}: is neither in {self.folder} nor in a zip there")
        return None

    def tables(self, name: str) -> dict[str, _Table]:
        raw = self.raw(name)
        if raw is None:
            return {}
        try:
            lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
        except (UnicodeDecodeError, csv.Error) as error:
            self.fault(f"{name}: is no CSV file in UTF-8: {error}")
            return {}
        found: dict[str, _Table] = {}
        row = 0
        while row < len(lines):
            if not any(lines[row]):
                row += 1
                continue
            title = lines[row][0].strip()
            columns = tuple(cell.strip() for cell in lines[row + 1]) if row + 1 < len(lines) else ()
            if not title or not any(columns):
                self.fault(f"{name}, row {row + 1}: a table's name and then its columns were expected")
                return found
            start = row + 2
            row = start
            while row < len(lines) and any(lines[row]):
                row += 1
            found[title] = _Table(name, columns, lines[start:row], start + 1)
        return found

    def column(self, table: _Table, name: str) -> list[str] | None:
        if name not in table.columns:
            self.fault(f"{table.file}, row {table.first_row - 1}: there is no column {name}")
            return None
        at = table.columns.index(name)
        short = [row for row, cells in enumerate(table.rows) if len(cells) <= at]
        for row in short[:FAULTS_MAX]:
            self.fault(f"{table.file}, row {table.first_row + row}, column {name}: the row ends before it")
        return None if short else [cells[at].strip() for cells in table.rows]

    def numbers(self, table: _Table, name: str, least: float = -math.inf, most: float = math.inf) -> Floats:
        cells = self.column(table, name)
        if cells is None:
            return np.zeros(len(table.rows))
        try:
            read = np.array(cells, dtype=np.float64)
        except ValueError:
            read = np.array([_number(cell) for cell in cells])
        wrong = ~((read >= least) & (read <= most) & np.isfinite(read))
        for row in np.flatnonzero(wrong)[:FAULTS_MAX].tolist():
            span = f" from {least:g} to {most:g}" if math.isfinite(least) or math.isfinite(most) else ""
            self.fault(
                f"{table.file}, row {table.first_row + row}, column {name}: {cells[row]!r} is no number{span}"
            )
        return np.where(wrong, max(least, 0.0) if math.isfinite(least) else 0.0, read)

    def whole(self, table: _Table, name: str, least: int, most: int) -> Ints:
        read = self.numbers(table, name, least, most)
        for row in np.flatnonzero(read != np.floor(read))[:FAULTS_MAX].tolist():
            self.fault(f"{table.file}, row {table.first_row + row}, column {name}: {read[row]} is not whole")
        return read.astype(np.int64)

    def words(self, table: _Table, name: str) -> list[str]:
        return self.column(table, name) or []

    def named(self, table: _Table, name: str) -> tuple[str, ...]:
        if name in table.columns:
            return tuple(self.words(table, name))
        return tuple(str(row + 1) for row in range(len(table.rows)))

    def places(self, table: _Table) -> tuple[Floats, Floats]:
        return self.numbers(table, "x", -180, 180), self.numbers(table, "y", -90, 90)

    def counted(self, table: _Table) -> None:
        """Arcs name nodes by their index, so the indices must count 1, 2, 3 ..."""
        read = self.numbers(table, "index")
        for row in np.flatnonzero(read != np.arange(1, len(read) + 1))[:1].tolist():
            where = f"{table.file}, row {table.first_row + row}, column index"
            self.fault(f"{where}: {read[row]:g} where {row + 1} follows")

    def scale(self) -> tuple[float, float]:
        """The map's table has its name in a cell and no empty row: name, columns, one row."""
        found = self.tables("map.csv").get("map")
        if found is None or len(found.rows) != 1:
            self.fault("map.csv: has no table map with one row")
            return 1.0, 1.0
        return float(self.numbers(found, "xScale", 1e-6)[0]), float(self.numbers(found, "yScale", 1e-6)[0])

    # ---- how calls are drawn

    def generators(self, priorities: int) -> dict[str, Generator]:
        found = {}
        for name in GENERATORS:
            file = f"gen_config_{name}.xml"
            if not (self.folder / file).is_file():
                continue
            try:
                top = ElementTree.fromstring((self.folder / file).read_bytes())  # noqa: S314
            except (OSError, ElementTree.ParseError) as error:
                self.fault(f"{file}: is no XML: {error}")
                continue
            generator = self.generator(name, file, top, priorities)
            if generator is not None:
                found[name] = generator
        if not found and not self.faults:
            self.fault(f"{self.folder}: there is none of gen_config_{{{','.join(GENERATORS)}}}.xml")
        return found

    def generator(self, name: str, file: str, top: ElementTree.Element, priorities: int) -> Generator | None:
        before = len(self.faults)
        streams = {}
        for stream in STREAMS:
            path = f"sim/callDistributions/{stream}"
            element = top.find(path)
            if element is None:
                self.fault(f"{file}: there is no {path}")
                continue
            read = self.distribution(f"{file}, {path}", element.text or "")
            seed = self.seed(file, path, element.get("seed"))
            if read is not None:
                streams[stream] = Distribution(*read, seed)
        shares = streams.get("priority")
        if shares and (shares.name != "Categorical" or len(shares.parameters) != priorities):
            self.fault(f"{file}, priority: must be a Categorical of {priorities} shares (priorities.csv)")
        density = top.find("sim/callDensityRaster")
        raster = "" if density is None else (density.findtext("filename") or "").strip()
        if density is None or not raster:
            self.fault(f"{file}: there is no sim/callDensityRaster/filename")
            return None
        cell = self.seed(file, "callDensityRaster", density.get("cellSeed"))
        place = self.seed(file, "callDensityRaster", density.get("cellLocSeed"))
        if len(self.faults) > before:
            return None
        return Generator(name, streams, cell, place, raster.replace("\\", "/").rpartition("/")[2])

    def seed(self, file: str, path: str, text: str | None) -> int:
        if text is None or not text.strip().isdigit():
            self.fault(f"{file}, {path}: the seed {text!r} is no whole number")
            return 0
        return int(text)

    def distribution(self, where: str, text: str) -> tuple[str, tuple[float, ...]] | None:
        try:
            call = ast.parse(text.strip(), mode="eval").body
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
                raise ValueError(f"{text.strip()!r} is no distribution")
            kind = call.func.id
            if kind not in DISTRIBUTIONS:
                raise ValueError(f"{kind} is none of {', '.join(DISTRIBUTIONS)}")
            given = call.args
            least, most = DISTRIBUTIONS[kind]
            if not least <= len(given) <= most:
                raise ValueError(f"{kind} takes {most} parameters at most, not {len(given)}")
            if kind == "Categorical":
                if not isinstance(given[0], (ast.List, ast.Tuple)):
                    raise ValueError("Categorical takes a list of shares")
                given = given[0].elts
            numbers = tuple(_arithmetic(one) for one in given)
            if kind == "Categorical" and not (min(numbers) >= 0 and abs(sum(numbers) - 1) < 1e-6):
                raise ValueError("the shares of Categorical must add up to 1")
            if kind == "Bernoulli" and not (numbers and 0 <= numbers[0] <= 1):
                raise ValueError("Bernoulli takes a share from 0 to 1")
            if kind in ("Exponential", "Gamma") and not all(one > 0 for one in numbers):
                raise ValueError(f"the parameters of {kind} must be above 0")
        except (SyntaxError, ValueError, ZeroDivisionError, IndexError) as error:
            self.fault(f"{where}: {error}")
            return None
        return kind, numbers

    def raster(self, name: str) -> tuple[Floats, Floats, Floats, tuple[float, float]]:
        empty = np.empty(0)
        held = self.raw(name)
        if held is None:
            return empty, empty, empty, (0.0, 0.0)
        import rasterio

        try:
            with rasterio.MemoryFile(held) as memory, memory.open() as source:
                values = source.read(1, masked=True)
                transform, crs = source.transform, source.crs
        except rasterio.RasterioIOError as error:
            self.fault(f"{name}: is no raster: {error}")
            return empty, empty, empty, (0.0, 0.0)
        if crs is not None and not crs.is_geographic:
            self.fault(f"{name}: is not in degrees ({crs})")
        weights = np.ma.filled(values.astype(np.float64), 0.0)
        row, column = np.nonzero(np.isfinite(weights) & (weights > 0))
        if not len(row):
            self.fault(f"{name}: no cell is above 0, so no call can happen")
        lon = transform.c + (column + 0.5) * transform.a
        lat = transform.f + (row + 0.5) * transform.e
        return lon, lat, weights[row, column], (abs(transform.a), abs(transform.e))


_OPERATORS: Final[Mapping[type[ast.AST], Callable[..., float]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip


def _arithmetic(node: Any) -> float:
    """The value of an expression such as 12/60/24: numbers and the four operations, nothing else."""
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_arithmetic(node.left), _arithmetic(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_arithmetic(node.operand))
    raise ValueError(f"{ast.unparse(node)!r} is no number")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
