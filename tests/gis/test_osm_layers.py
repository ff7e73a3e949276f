"""What an extract tells of hydrants, hospitals, lamps: the right things, once each, with what crews need."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from gis.city import import_city
from gis.layers import LAYERS, Feature
from gis.osm_layers import TEXT_MAX, extract_layers, layers_of, read_layers
from tests.gis.small_city import Town, at

TOWN = (25.0, 45.0, 26.0, 46.0)


def layers_in(town: Town, folder: Path) -> dict[str, list[Feature]]:
    extract_layers(town.write(folder / "town.osm.pbf"), "pbf", folder, TOWN)
    return read_layers(folder)


def square(town: Town, number: int, x: float, y: float, side: float, **tags: str) -> None:
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    for n, (px, py) in enumerate(corners):
        town.node(number + n, px, py)
    town.way([*range(number, number + 4), number], {k.replace("__", ":"): v for k, v in tags.items()})


def test_central_helsinki_has_the_lamps_signals_and_hydrants_that_are_counted_in_it(helsinki: Path) -> None:
    found = read_layers(helsinki)
    counts = {layer: len(features) for layer, features in found.items()}
    assert (counts["street_lamps"], counts["traffic_signals"], counts["hydrants"]) == (586, 135, 37)
    # The counts are told with the city's others.
    told = json.loads((helsinki / "city.json").read_text(encoding="utf-8"))["counts"]
    assert {layer: told[f"layer_{layer}"] for layer in LAYERS} == counts
    [station] = found["stations"]
    assert (station.name, station.properties["kind"]) == ("Erottajan paloasema", "fire")
    assert station.geometry.geom_type == "Polygon"
    assert {f.properties["type"] for f in found["hydrants"] if "type" in f.properties} >= {"underground"}
    low = [
        f.properties["maxheight_m"] for f in found["underpasses"] if f.properties["kind"] == "low_clearance"
    ]
    assert low
    assert max(low) <= 4.0
    # A node and its building are one shelter or two, as they are drawn; never a bus stop's roof.
    assert {f.properties["kind"] for f in found["shelters"]} == {"bomb_shelter"}


@pytest.mark.data("liechtenstein.osm.pbf")
def test_liechtenstein_has_its_fire_stations_hospital_and_police(data_folder: Path, tmp_path: Path) -> None:
    source = data_folder / "liechtenstein.osm.pbf"
    counts = extract_layers(source, "pbf", tmp_path, (9.4, 47.0, 9.7, 47.3))
    found = read_layers(tmp_path)
    assert {f"layer_{layer}": len(features) for layer, features in found.items()} == counts
    assert Counter(f.properties["kind"] for f in found["stations"]) == {"fire": 6, "police": 1}
    [hospital] = found["hospitals"]
    assert (hospital.name, hospital.properties["emergency"]) == ("Liechtensteinisches Landesspital", "yes")
    # 5 + 1 kindergartens, 7 + 12 schools, 2 nurseries
    kinds = Counter(f.properties["kind"] for f in found["schools"])
    assert kinds == {"school": 19, "kindergarten": 6, "childcare": 2}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"amenity": "fire_station"}, ("stations", "fire")),
        ({"emergency": "ambulance_station"}, ("stations", "ambulance")),
        ({"amenity": "police"}, ("stations", "police")),
        ({"amenity": "hospital"}, ("hospitals", "hospital")),
        ({"amenity": "clinic", "emergency": "yes"}, ("hospitals", "clinic")),
        ({"emergency": "fire_hydrant"}, ("hydrants", "hydrant")),
        ({"emergency": "suction_point"}, ("hydrants", "suction_point")),
        ({"amenity": "kindergarten"}, ("schools", "kindergarten")),
        ({"heritage": "2", "historic": "memorial"}, ("heritage", "memorial")),
        ({"building": "yes", "historic": "yes"}, ("heritage", "building")),
        ({"historic": "castle"}, ("heritage", "castle")),
        ({"building": "church", "ref:RO:lmi": "BV-II-m-A-11413"}, ("heritage", "building")),
        ({"emergency": "assembly_point"}, ("shelters", "assembly_point")),
        ({"military": "bunker", "bunker_type": "bomb_shelter"}, ("shelters", "bomb_shelter")),
        ({"amenity": "shelter", "shelter_type": "bomb_shelter"}, ("shelters", "bomb_shelter")),
        ({"emergency:social_facility": "shelter"}, ("shelters", "accommodation")),
        ({"barrier": "height_restrictor", "maxheight": "2.1"}, ("underpasses", "height_limit")),
    ],
)
def test_what_a_thing_is_follows_from_its_tags(tags: dict[str, str], expected: tuple[str, str]) -> None:
    assert expected in list(layers_of(tags))


@pytest.mark.parametrize(
    "tags",
    [
        {"amenity": "clinic"},
        {"amenity": "shelter", "shelter_type": "public_transport"},
        {"military": "bunker", "bunker_type": "pillbox"},
        {"historic": "memorial"},
        {"historic": "ruins", "building": "yes"},
        {"amenity": "hospital", "abandoned": "yes"},
        {"emergency": "life_ring"},
        {"heritage": "no"},
        {"amenity": "parking", "maxheight": "2.0"},
    ],
)
def test_what_only_looks_like_it_is_in_no_layer(tags: dict[str, str]) -> None:
    assert list(layers_of(tags)) == []


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"highway": "primary", "tunnel": "yes"}, "road"),
        ({"highway": "footway", "tunnel": "yes"}, "pedestrian"),
        ({"highway": "service", "tunnel": "building_passage"}, "building_passage"),
        ({"highway": "residential", "maxheight": "3.2 m"}, "low_clearance"),
        ({"highway": "residential", "maxheight": "4.5"}, None),
        ({"highway": "steps", "tunnel": "yes"}, None),
        ({"highway": "residential"}, None),
        ({"highway": "unclassified", "tunnel": "culvert"}, None),
    ],
)
def test_underpasses_are_where_one_drives_or_walks_below(tags: dict[str, str], kind: str | None) -> None:
    assert list(layers_of(tags, is_line=True)) == ([("underpasses", kind)] if kind else [])


def test_what_crews_need_is_kept_and_what_is_endless_is_cut(tmp_path: Path) -> None:
    town = Town()
    town.node(
        1,
        10,
        20,
        emergency="fire_hydrant",
        fire_hydrant__type="pillar",
        fire_hydrant__diameter="100",
        fire_hydrant__pressure="4.5",
        ref="H-17",
        operator="Compania Apa",
        note="irrelevant",
    )
    town.node(
        2, 30, 20, amenity="hospital", name="Spitalul Județean", phone="+40 268 320 022", beds="x" * 900
    )
    found = layers_in(town, tmp_path)
    [hydrant] = found["hydrants"]
    assert hydrant.ref == "node/1"
    assert dict(hydrant.properties) == {
        "kind": "hydrant",
        "type": "pillar",
        "diameter_mm": "100",
        "pressure": "4.5",
        "number": "H-17",
        "operator": "Compania Apa",
    }
    assert (hydrant.geometry.x, hydrant.geometry.y) == pytest.approx(at(10, 20), abs=1e-7)
    [hospital] = found["hospitals"]
    assert (hospital.name, hospital.properties["phone"]) == ("Spitalul Județean", "+40 268 320 022")
    assert len(hospital.properties["beds"]) == TEXT_MAX


def test_a_thing_drawn_twice_is_told_once(tmp_path: Path) -> None:
    town = Town()
    # Given a fire station as an outline with its node inside, an unnamed node in a school's grounds, and two
    # schools that share them
    square(town, 10, 0, 0, 100, amenity="fire_station", name="Stația 1")
    town.node(1, 50, 50, amenity="fire_station", name="Stația 1")
    square(town, 20, 500, 0, 200, amenity="school", name="Campus")
    town.node(2, 550, 50, amenity="school")
    town.node(3, 600, 50, amenity="school", name="Liceul 2")
    town.node(4, 650, 50, amenity="kindergarten")
    found = layers_in(town, tmp_path)
    assert [f.ref for f in found["stations"]] == ["way/1"]
    assert sorted(str(f.name) for f in found["schools"]) == ["Campus", "Liceul 2", "None"]


def test_one_thing_may_be_in_several_layers(tmp_path: Path) -> None:
    town = Town()
    square(town, 10, 0, 0, 50, amenity="school", building="yes", historic="yes", name="Colegiul Șaguna")
    found = layers_in(town, tmp_path)
    assert [f.ref for f in found["schools"]] == [f.ref for f in found["heritage"]] == ["way/1"]


def test_what_the_extract_cuts_keeps_the_part_that_is_there(tmp_path: Path) -> None:
    town = Town()
    for number, (x, y) in enumerate([(0, 0), (100, 0), (100, 100)], 1):
        town.node(number, x, y)
    # Given a hospital one of whose corners, and a tunnel one of whose ends, lies outside the extract
    town.way([1, 2, 3, 99, 1], {"amenity": "hospital", "name": "Spitalul"})
    town.way([1, 2, 98], {"highway": "primary", "tunnel": "yes"})
    town.way([97, 98, 99, 97], {"amenity": "hospital", "name": "Nicăieri"})
    found = layers_in(town, tmp_path)
    [hospital] = found["hospitals"]
    assert (hospital.name, hospital.geometry.geom_type) == ("Spitalul", "Point")
    [tunnel] = found["underpasses"]
    assert len(tunnel.geometry.coords) == 2


def test_what_lies_far_from_the_city_is_left_out(tmp_path: Path) -> None:
    town = Town()
    town.node(1, 0, 0, emergency="fire_hydrant")
    town.node(2, 0, 90_000, emergency="fire_hydrant")
    assert [f.ref for f in layers_in(town, tmp_path)["hydrants"]] == ["node/1"]


def test_an_import_writes_the_layers_beside_the_rest(tmp_path: Path) -> None:
    town = Town()
    for number, x in ((1, 0), (2, 300)):
        town.node(number, x, 0)
    town.node(3, 100, 5, highway="street_lamp", ref="L-1")
    town.way([1, 2], {"highway": "residential", "name": "Strada Lungă"})
    info = import_city(town.write(tmp_path / "t.osm.pbf"), tmp_path / "cities", "t")
    assert info.counts["layer_street_lamps"] == 1
    assert info.counts["layer_hydrants"] == 0
    [lamp] = read_layers(tmp_path / "cities" / "t")["street_lamps"]
    assert lamp.properties["number"] == "L-1"
