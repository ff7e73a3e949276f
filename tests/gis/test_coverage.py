"""Where calls are to be expected: cells with a street in each, and how demand spreads over them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.address import AddressBook
from gis.city import import_city
from gis.coverage import (
    CELL_M_MIN,
    CELLS_MAX,
    CELLS_MIN,
    DEMAND,
    POPULATION,
    Cells,
    Zone,
    cells_of,
    disturbed,
    hourly_demand,
    isochrones,
    load_points,
    version_of,
)
from gis.geometry import LocalMetres
from gis.roads import IMPASSABLE
from gis.travel import RoadGraph
from tests.gis.small_city import Town, at

SIDE_M = 6_000.0
BLOCK_M = 300.0


def chequered_town() -> Town:
    """A square town of streets every 300 m, Calea Mare along its middle; two suburbs are on the map, one in
    the west and one in the east, and a block of flats stands in the north-east corner."""
    town, lines = Town(), int(SIDE_M / BLOCK_M) + 1
    for i in range(lines):
        for j in range(lines):
            town.node(1 + i * lines + j, i * BLOCK_M, j * BLOCK_M)
    for i in range(lines):
        town.way([1 + i * lines + j for j in range(lines)], {"highway": "residential"})
        across = {"highway": "residential"}
        if i == lines // 2:
            across = {"highway": "primary", "name": "Calea Mare"}
        town.way([1 + j * lines + i for j in range(lines)], across)
    for number, (x, y) in enumerate([(5900, 5800), (5990, 5800), (5990, 5890), (5900, 5890)], 9001):
        town.node(number, x, y)
    town.way([9001, 9002, 9003, 9004, 9001], {"building": "apartments", "building:levels": "80"})
    town.node(9101, 1500, 3000, place="suburb", name="Apus")
    town.node(9102, 4500, 3000, place="suburb", name="Răsărit")
    return town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cities")
    import_city(chequered_town().write(folder / "town.osm.pbf"), folder, "town")
    return folder / "town"


def cells_in(city: Path) -> Cells:
    roads = RoadGraph.open(city)
    places = AddressBook.open(city).named_areas()
    return cells_of(roads.arrays("car"), roads.names, load_points(city), places)


def people(city: Path, lon: list[float], lat: list[float], people: list[float]) -> Path:
    (city / DEMAND).mkdir(exist_ok=True)
    file = city / DEMAND / POPULATION
    np.savez(file, lon=lon, lat=lat, people=people, about="a census")
    return file


def test_a_town_is_cut_into_one_to_two_thousand_cells_each_with_a_street_in_it(town: Path) -> None:
    cells = cells_in(town)
    assert CELLS_MIN <= len(cells) <= CELLS_MAX
    assert cells.share.sum() == pytest.approx(1.0)
    assert (cells.share > 0).all()
    assert cells.find(cells.lon, cells.lat).tolist() == list(range(len(cells)))
    roads = RoadGraph.open(town)
    assert roads.snap(cells.lon, cells.lat, "car", arriving=True).away_m.max() < 1.0
    ring = cells.square(7)
    assert ring[0] == ring[-1]
    assert shapely.Polygon(ring).contains(shapely.Point(cells.centre()[0][7], cells.centre()[1][7]))


def test_a_point_beside_every_street_belongs_to_the_nearest_cell_and_one_far_away_to_none(town: Path) -> None:
    cells = cells_in(town)
    lon, lat = zip(at(-120.0, 40.0), at(-3000.0, 0.0), (float("nan"), 45.0), (float("inf"), 9e9), strict=True)
    near, far, nowhere, absurd = cells.find(lon, lat).tolist()
    assert near == cells.find(*at(1.0, 40.0))[0]
    assert (far, nowhere, absurd) == (-1, -1, -1)


def test_where_only_buildings_are_known_people_are_where_the_floors_are(town: Path) -> None:
    cells = cells_in(town)
    assert cells.source == "buildings"
    full = int(cells.people.argmax())
    assert full == cells.find(*at(5945.0, 5845.0))[0]
    # 8,100 m2 on eighty floors, 50 m2 each; a tenth of the demand goes by the streets.
    assert cells.people[full] == pytest.approx(12_960, rel=0.02)
    assert 0.9 <= cells.share[full] < 0.91


def test_counted_people_go_before_buildings_and_a_spoiled_file_before_nothing(
    town: Path, tmp_path: Path
) -> None:
    before = version_of(town)
    lon, lat = at(10.0, 10.0)
    file = people(town, [lon, lon, lon, 0.0], [lat, lat, lat, 0.0], [900.0, 100.0, float("nan"), 5.0])
    try:
        assert version_of(town) != before
        cells = cells_in(town)
        assert (cells.source, cells.about) == ("population", "a census")
        corner = int(cells.find(lon, lat)[0])
        assert cells.people[corner] == 1000.0
        assert cells.people.sum() == 1000.0, "who lives outside the city is not counted"
        assert cells.urban[corner]
        file.write_bytes(b"PK not a file of arrays")
        assert cells_in(town).source == "buildings"
    finally:
        file.unlink()


def test_without_people_and_buildings_the_streets_where_people_live_tell(town: Path) -> None:
    roads = RoadGraph.open(town)
    cells = cells_of(roads.arrays("car"), roads.names, None, ())
    assert cells.source == "streets"
    lived_in, along_calea_mare = cells.find(*at(1500.0, 1500.0))[0], cells.find(*at(1450.0, 3000.0))[0]
    assert cells.share[lived_in] > cells.share[along_calea_mare]


def test_zones_are_called_after_the_suburbs_on_the_map_else_after_their_direction(town: Path) -> None:
    cells = cells_in(town)
    names = {zone.name: index for index, zone in enumerate(cells.zones)}
    west, east = cells.find(*at(900.0, 2700.0))[0], cells.find(*at(5100.0, 3300.0))[0]
    assert cells.zone[west] == names["Apus"]
    assert cells.zone[east] == names["Răsărit"]

    roads = RoadGraph.open(town)
    unnamed = cells_of(roads.arrays("car"), roads.names, None, ())
    assert len(unnamed.zones) == 17
    assert len({zone.id for zone in unnamed.zones}) == 17
    corner = unnamed.zones[unnamed.zone[unnamed.find(*at(5900.0, 5900.0))[0]]]
    assert (corner.kind, corner.name, corner.ring) == ("sector", "NE", 2)
    middle = unnamed.zones[unnamed.zone[unnamed.find(*at(3000.0, 3000.0))[0]]]
    assert (middle.name, middle.ring, middle.street) == ("C", 0, "Calea Mare")


def test_the_operators_districts_go_before_what_the_map_says(town: Path) -> None:
    cells = cells_in(town)
    old_town = shapely.box(*at(0.0, 0.0), *at(3000.0, 3000.0))
    own = cells.in_districts([("1", "Cetate", old_town), ("2", "Elsewhere", shapely.box(0, 0, 1, 1))])
    inside, outside = cells.find(*at(900.0, 900.0))[0], cells.find(*at(5000.0, 5000.0))[0]
    assert own.zones[own.zone[inside]].name == "Cetate"
    assert own.zones[own.zone[outside]] == cells.zones[cells.zone[outside]]
    assert "Elsewhere" not in [zone.name for zone in own.zones], "a district without cells is none"
    assert cells.in_districts([]).zones == cells.zones


@pytest.mark.parametrize("name", ["helsinki", "porto"])
def test_real_cities_have_cells_whatever_their_extracts_leave_out(
    name: str, request: pytest.FixtureRequest
) -> None:
    city: Path = request.getfixturevalue({"porto": "porto_folder"}.get(name, name))
    cells = cells_in(city)
    if name == "porto":
        # The extract has 75 buildings in all, which tell nothing of where a million people live.
        assert load_points(city) is not None
        assert cells.source == "streets"
        assert CELLS_MIN <= len(cells) <= CELLS_MAX
        assert len(cells.zones) >= 15
    else:
        # Three square kilometres: small cells, fewer of them, and suburbs that the map names.
        assert cells.size_m == CELL_M_MIN
        assert cells.source == "buildings"
        assert "Kluuvi" in [zone.name for zone in cells.zones]
    assert cells.urban.mean() > 0.5


@given(st.lists(st.integers(0, 400), min_size=6, max_size=6), st.floats(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_thin_history_moves_demand_little_and_long_history_decides(counts: list[int], hours: float) -> None:
    cells = six_cells()
    calls = np.array(counts, dtype=float)
    demand = hourly_demand(cells, calls, hours, 2.0)
    assert (demand > 0).all()
    if hours > 0:
        met = calls.sum() / hours
        assert min(2.0, met) - 1e-9 <= demand.sum() <= max(2.0, met) + 1e-6, "between supposed and met"
    nothing = hourly_demand(cells, np.zeros(6), 0.0, 2.0)
    assert nothing == pytest.approx(2.0 * cells.share)


def test_a_thousand_calls_in_one_cell_outweigh_the_default() -> None:
    cells = six_cells()
    calls = np.array([1000.0, 0, 0, 0, 0, 0])
    few, many = (hourly_demand(cells, calls * part, 8760.0 * part, 0.1) for part in (0.001, 1.0))
    assert few[0] / few.sum() < 0.3
    assert many[0] / many.sum() > 0.9
    assert many.sum() == pytest.approx(1000 / 8760, rel=0.05)


def six_cells() -> Cells:
    n = 6
    share = np.array([0.2, 0.1, 0.2, 0.1, 0.3, 0.1])
    zones = (Zone("p:a", "a", "place"), Zone("p:b", "b", "place"))
    empty = Cells(
        100.0, LocalMetres(25.0, 45.0), n, np.arange(n), np.zeros(n), np.zeros(n), share * 100, share,
        np.ones(n, dtype=bool), "streets", "", np.zeros(n, dtype=np.int32), zones,
    )  # fmt: skip
    return replace(empty, zone=np.array([0, 0, 0, 1, 1, 1], dtype=np.int32))


# ---- isochrones


@pytest.fixture(scope="module")
def two_banks(tmp_path_factory: pytest.TempPathFactory) -> RoadGraph:
    """Streets along both banks of a river 400 m wide, with one bridge in the west; the southern one is one
    way, towards the east."""
    town = Town()
    for i in range(11):
        town.node(1 + i, i * 300, 0)
        town.node(101 + i, i * 300, 400)
    town.way(range(1, 12), {"highway": "primary", "oneway": "yes"})
    town.way(range(101, 112), {"highway": "primary"})
    town.way([1, 101], {"highway": "primary", "bridge": "yes"})
    folder = tmp_path_factory.mktemp("cities")
    import_city(town.write(folder / "town.osm.pbf"), folder, "town")
    return RoadGraph.open(folder / "town")


def test_an_isochrone_follows_the_streets_and_not_the_water_between(two_banks: RoadGraph) -> None:
    # Given a car at the east end of the northern bank
    lon, lat = at(3000.0, 400.0)
    drive_s = two_banks.nearest(*at(300.0, 400.0), [lon], [lat], "car").drive_s[0]
    found = isochrones(two_banks, lon, lat, "car", [60.0, drive_s + 5, 1800.0])
    assert found is not None
    near, far, all_of_it = found
    # Then it reaches its street as far as it comes, neither the water nor the other bank before the bridge
    here, over_there = shapely.Point(*at(2900.0, 400.0)), shapely.Point(*at(2900.0, 0.0))
    water = shapely.Point(*at(1500.0, 200.0))
    assert near.contains(here)
    assert not near.contains(shapely.Point(*at(300.0, 400.0)))
    assert far.contains(shapely.Point(*at(330.0, 400.0)))
    assert not far.contains(over_there)
    assert all_of_it.contains(over_there)
    for ground in found:
        assert ground.is_valid
        assert not ground.contains(water)
    assert near.area < far.area < all_of_it.area
    # And what each contains is reached in time, as the routes say
    for x in (600.0, 1500.0, 2400.0):
        for y, limit_s, ground in ((400.0, 60.0, near), (400.0, drive_s + 5, far), (0.0, 60.0, near)):
            seconds = two_banks.nearest(*at(x, y), [lon], [lat], "car").drive_s[0]
            if abs(seconds - limit_s) > 15:
                assert ground.contains(shapely.Point(*at(x, y))) == (seconds < limit_s), (x, y, seconds)


def test_turnout_is_taken_off_the_time_to_drive(two_banks: RoadGraph) -> None:
    lon, lat = at(3000.0, 400.0)
    late = isochrones(two_banks, lon, lat, "car", [60.0, 120.0], before_s=90.0)
    soon = isochrones(two_banks, lon, lat, "car", [30.0])
    assert late is not None
    assert soon is not None
    assert late[0].is_empty
    assert late[1].equals(soon[0])


def test_a_one_way_street_is_reached_with_its_direction_only(two_banks: RoadGraph) -> None:
    east = isochrones(two_banks, *at(1500.0, 0.0), "car", [90.0])
    assert east is not None
    assert east[0].contains(shapely.Point(*at(2000.0, 0.0)))
    assert not east[0].contains(shapely.Point(*at(1000.0, 0.0)))


def test_a_helicopter_flies_in_a_circle_and_who_is_far_from_every_road_has_none(two_banks: RoadGraph) -> None:
    lon, lat = at(1500.0, 200.0)
    flown = isochrones(two_banks, lon, lat, "air", [60.0])
    assert flown is not None
    assert flown[0].contains(shapely.Point(*at(1500.0, 3700.0)))
    assert not flown[0].contains(shapely.Point(*at(1500.0, 3900.0)))
    assert isochrones(two_banks, *at(1500.0, 9000.0), "car", [60.0]) is None


# ---- other roads


def test_rows_that_a_change_of_roads_is_said_not_to_touch_are_the_same_after_it(town: Path) -> None:
    """Given times between the cells of a town, when some streets are closed, slowed or opened, then every row
    that is not named as touched is what a search on the new roads finds; and most are not named."""
    city = RoadGraph.open(town)
    cells = cells_in(town)
    chance = np.random.default_rng(11)
    some = chance.choice(len(cells), 60, replace=False)
    lon, lat = cells.lon[some], cells.lat[some]
    limit_s, how = 120.0, "ambulance"
    arcs = len(city.ms(how))
    spared = 0
    for step in range(12):
        before, after = (city.ms(how).copy() for _ in range(2))
        around = int(chance.integers(0, arcs - 12))
        struck = np.arange(around, around + 12)
        (after if step % 3 else before)[struck] = IMPASSABLE
        if step % 4 == 1:
            after[struck] = city.ms(how)[struck] * 3
        old, new = (city.with_ms({how: ms}, version=(step, n)) for n, ms in enumerate((before, after)))
        leave, arrive = city.snap(lon, lat, how), city.snap(lon, lat, how, arriving=True)
        known_s = old.times(leave, arrive, how, limit_s=limit_s)
        touched = disturbed(old, new, how, leave, arrive, known_s, limit_s)
        anew = new.times(leave, arrive, how, limit_s=limit_s)
        same = [np.allclose(a, b, atol=0.01, equal_nan=True) for a, b in zip(known_s, anew, strict=True)]
        assert not [row for row in range(len(some)) if not touched[row] and not same[row]], step
        spared += int((~touched).sum())
    assert spared > 12 * len(some) / 3
    nothing = disturbed(city, city, how, leave, arrive, known_s, limit_s)
    assert not nothing.any()
    all_roads = city.with_ms({how: (city.ms(how) // 2 + 1).astype(np.uint32)}, version="twice as fast")
    assert disturbed(city, all_roads, how, leave, arrive, known_s, limit_s).all()
