"""From the tags of a way to who may drive it, and how fast."""

import numpy as np
import pytest

from gis.city import import_city
from gis.roads import (
    DRIVE_PROFILES,
    IMPASSABLE,
    LIMIT_SHARE,
    Driving,
    barrier_passes,
    limit_kmh,
    load_network,
    speeds_kmh,
)
from gis.travel import UNREACHABLE, RoadGraph
from tests.gis.small_city import Town, at

EVERYBODY = 0xFFFF


def may(tags, **allowed):
    """Modes that may use the way, with the directions: + along, - against; `allowed` is what priority signals
    are allowed."""
    return {
        mode: ("+" if along else "") + ("-" if against else "")
        for mode, (along, against) in speeds_kmh(tags, Driving(**allowed)).items()
        if along or against
    }


@pytest.mark.parametrize(
    ("tags", "kmh"),
    [
        ({"maxspeed": "50"}, 50),
        ({"maxspeed": "30 mph"}, 30 * 1.609344),
        ({"maxspeed": "RO:urban"}, 50),
        ({"maxspeed": "RO:rural"}, 90),
        ({"maxspeed": "FI:rural"}, 80),
        ({"maxspeed": "DE:zone30"}, 30),
        ({"maxspeed": "walk"}, 7),
        ({"maxspeed": "none"}, float("inf")),
        ({"maxspeed": "50; 40"}, 40),
        ({"source:maxspeed": "RO:zone:30"}, 30),
        ({"maxspeed": "signals", "maxspeed:type": "RO:urban"}, 50),
        ({"maxspeed": "fast"}, None),
        ({"maxspeed": "0"}, None),
        ({}, None),
    ],
)
def test_a_limit_is_read_however_it_is_written(tags, kmh):
    assert limit_kmh(tags) == (pytest.approx(kmh) if kmh is not None else None)


def test_the_limit_may_differ_by_direction():
    tags = {"highway": "primary", "maxspeed:forward": "70", "maxspeed:backward": "50"}
    assert speeds_kmh(tags)["car"] == (pytest.approx(70 * LIMIT_SHARE), pytest.approx(50 * LIMIT_SHARE))


def test_no_limit_does_not_mean_no_end():
    assert speeds_kmh({"highway": "motorway", "maxspeed": "none"})["car"][0] == pytest.approx(105)


@pytest.mark.parametrize(
    ("tags", "car"),
    [
        ({"highway": "residential"}, "+-"),
        ({"highway": "residential", "oneway": "yes"}, "+"),
        ({"highway": "residential", "oneway": "-1"}, "-"),
        ({"highway": "residential", "oneway": "no"}, "+-"),
        ({"highway": "tertiary", "junction": "roundabout"}, "+"),
        ({"highway": "motorway"}, "+"),
        ({"highway": "motorway", "oneway": "no"}, "+-"),
        ({"highway": "primary", "oneway": "reversible"}, None),
        ({"highway": "residential", "access": "private"}, None),
        ({"highway": "residential", "access": "no", "motor_vehicle": "yes"}, "+-"),
        ({"highway": "residential", "vehicle": "no"}, None),
        ({"highway": "residential", "access": "destination"}, "+-"),
        ({"highway": "footway"}, None),
        ({"highway": "footway", "access": "yes"}, None),
        ({"highway": "proposed"}, None),
        ({"highway": "construction"}, None),
    ],
)
def test_where_a_car_may_drive(tags, car):
    assert may(tags).get("car") == car


def test_the_gate_for_emergencies_opens_to_them_alone():
    # it opens to the vehicle of an emergency service, and to any that drives with priority signals
    with_keys = {"ambulance", "fire_engine", *(f"{profile}_priority" for profile in DRIVE_PROFILES)}
    assert set(may({"highway": "service", "access": "no", "emergency": "yes"})) == with_keys
    assert set(may({"highway": "service", "service": "emergency_access"})) - {"foot"} == with_keys
    assert "ambulance" in may({"highway": "pedestrian", "emergency": "yes"})
    assert "ambulance" not in may({"highway": "residential", "emergency": "no"})
    assert "ambulance_priority" not in may({"highway": "residential", "emergency": "no"})


def test_bus_roads_are_for_buses_and_emergencies():
    for bus_street in ({"highway": "unclassified", "access": "no", "bus": "yes"}, {"highway": "busway"}):
        assert set(may(bus_street)) == {"bus", "bus_priority"}
        # and to priority signals where the operator says so
        with_signals = {f"{profile}_priority" for profile in DRIVE_PROFILES}
        assert set(may(bus_street, bus_lanes=True)) == {"bus", *with_signals}
    # a lane for buses against a one-way street is one for them as well
    contra_lane = {"highway": "primary", "oneway": "yes", "busway": "opposite_lane"}
    assert may(contra_lane)["ambulance_priority"] == "+"
    assert may(contra_lane, bus_lanes=True)["ambulance_priority"] == "+-"
    assert may(contra_lane, bus_lanes=True)["ambulance"] == "+"
    closed_to_buses = {"highway": "residential", "bus": "no"}
    assert "bus" not in may(closed_to_buses)
    assert "ambulance_priority" in may(closed_to_buses, bus_lanes=True)


def test_contra_flow_where_the_sign_says_so():
    tags = {"highway": "residential", "oneway": "yes", "oneway:emergency": "no", "oneway:bus": "no"}
    assert may(tags)["car"] == "+"
    assert may(tags)["ambulance"] == "+"
    assert may(tags)["ambulance_priority"] == "+-"
    assert may(tags)["bus"] == "+-"


def test_contra_flow_elsewhere_only_where_the_operator_says_so_and_slowly():
    one_way = {"highway": "primary", "oneway": "yes", "maxspeed": "70"}
    assert may(one_way)["fire_engine_priority"] == "+"
    assert may(one_way, contra_flow=True)["fire_engine_priority"] == "+-"
    assert may(one_way, contra_flow=True)["fire_engine"] == "+"
    along, against = speeds_kmh(one_way, Driving(contra_flow=True, contra_flow_kmh=15))["car_priority"]
    assert (round(along), round(against)) == (round(70 * LIMIT_SHARE * 1.1), 15)
    for never in ({"highway": "motorway"}, {"highway": "trunk", "oneway": "yes"},
                  {"highway": "tertiary", "junction": "roundabout"},
                  {"highway": "primary", "oneway": "reversible"}):  # fmt: skip
        assert may(never, contra_flow=True).get("car_priority") == may(never).get("car_priority")
    # nor into a street that is closed to it either way
    assert "car_priority" not in may(
        {"highway": "service", "oneway": "yes", "access": "no"}, contra_flow=True
    )


def test_with_priority_signals_it_is_faster_by_what_the_operator_says():
    street = {"highway": "secondary", "maxspeed": "50"}
    speeds = speeds_kmh(street, Driving(faster_pct=20))
    for profile in DRIVE_PROFILES:
        assert speeds[f"{profile}_priority"][0] == pytest.approx(speeds[profile][0] * 1.2)
    assert speeds["ambulance"] == speeds["car"]
    # and never faster than the vehicle is
    assert speeds_kmh({"highway": "motorway", "maxspeed": "130"}, Driving(faster_pct=50))[
        "fire_engine_priority"
    ][0] == pytest.approx(90)


def test_a_bad_surface_is_driven_slowly():
    def kmh(**tags):
        return speeds_kmh(tags)["car"][0]

    assert kmh(highway="residential", surface="asphalt") == kmh(highway="residential")
    assert kmh(highway="secondary", maxspeed="90", surface="gravel") == pytest.approx(30)
    by_grade = [kmh(highway="track", tracktype=f"grade{n}") for n in range(1, 6)]
    assert by_grade == sorted(by_grade, reverse=True)
    assert kmh(highway="track", tracktype="grade1", surface="mud") == pytest.approx(8)


def test_a_low_bridge_stops_the_engine_and_not_the_car():
    assert set(may({"highway": "tertiary", "maxheight": "3.0"})) == {
        "car", "ambulance", "car_priority", "ambulance_priority", "foot",
    }  # fmt: skip
    assert "fire_engine" not in may({"highway": "tertiary", "maxweight": "7.5"})
    assert "fire_engine" not in may({"highway": "tertiary", "maxheight": "9'6\""})
    assert "fire_engine" in may({"highway": "tertiary", "maxheight": "default"})


def test_people_walk_against_one_way_streets_and_not_on_motorways():
    assert may({"highway": "residential", "oneway": "yes"})["foot"] == "+-"
    assert "foot" not in may({"highway": "motorway"})
    assert "foot" not in may({"highway": "service", "access": "private"})
    assert "foot" in may({"highway": "steps"})


def test_bollards_stop_vehicles_and_open_gates_do_not():
    assert barrier_passes({"barrier": "bollard"}) == 0
    assert barrier_passes({"barrier": "gate"}) == EVERYBODY
    assert barrier_passes({"barrier": "gate", "access": "private"}) == 0
    # ambulance and fire engine as they are, everybody with priority signals
    assert barrier_passes({"barrier": "bollard", "emergency": "yes"}) == 0xFFF6
    assert barrier_passes({"barrier": "bollard", "bollard": "rising"}) == 0xEEEE
    assert barrier_passes({"barrier": "bollard", "bus": "yes"}) == 0x8F88
    assert barrier_passes({"barrier": "kerb"}) == EVERYBODY


def graph(tmp_path, town):
    import_city(town.write(tmp_path / "town.osm.pbf"), tmp_path, "town")
    return RoadGraph.open(tmp_path / "town")


def straight_road(**middle):
    """Nodes 1 to 5 from west to east, 600 m apart, the third one tagged."""
    town = Town()
    for number in range(1, 6):
        town.node(number, (number - 1) * 600, 0, **(middle if number == 3 else {}))
    return town


def test_a_bollard_cuts_the_street_for_those_it_stops(tmp_path):
    # given a street with a bollard half way, removable for emergencies, where two ways meet
    town = straight_road(barrier="bollard", emergency="yes")
    town.way([1, 2, 3], {"highway": "residential"})
    town.way([3, 4, 5], {"highway": "residential"})
    roads = graph(tmp_path, town)
    # when each drives from end to end, then the car finds no way and the ambulance does
    assert not roads.route(*at(10, 0), *at(2390, 0), "car").road
    assert roads.nearest(*at(2390, 0), [at(10, 0)[0]], [at(10, 0)[1]], "car").how[0] == UNREACHABLE
    through = roads.route(*at(10, 0), *at(2390, 0), "ambulance")
    assert through.road
    assert through.distance_m == pytest.approx(2380, rel=1e-3)
    # and people walk past it
    assert roads.route(*at(10, 0), *at(2390, 0), "foot").road


def test_a_bollard_inside_one_way_of_the_map_cuts_it_as_well(tmp_path):
    town = straight_road(barrier="bollard")
    town.way([1, 2, 3, 4, 5], {"highway": "residential"})
    roads = graph(tmp_path, town)
    assert not roads.route(*at(10, 0), *at(2390, 0), "ambulance").road
    assert roads.route(*at(10, 0), *at(500, 0), "ambulance").road


def test_a_way_cut_by_the_border_keeps_what_is_inside(tmp_path):
    # given a way that leaves the extract and comes back: nodes 90 and 91 are not in the file
    town = straight_road()
    town.way([1, 2, 90, 91, 3, 4, 5], {"highway": "residential", "name": "Strada Lungă"})
    roads = graph(tmp_path, town)
    # then both halves are roads, and nothing joins them
    assert roads.route(*at(0, 0), *at(600, 0), "car").distance_m == pytest.approx(600, rel=1e-3)
    assert roads.route(*at(1200, 0), *at(2400, 0), "car").distance_m == pytest.approx(1200, rel=1e-3)
    assert not roads.route(*at(0, 0), *at(2400, 0), "car").road


def test_a_way_with_one_node_inside_is_dropped(tmp_path):
    town = straight_road()
    town.way([1, 2, 3, 4, 5], {"highway": "residential"})
    town.way([90, 3, 91], {"highway": "residential"})
    arrays = load_network(graph(tmp_path, town) and tmp_path / "town" / "roads" / "drive")
    assert set(arrays["edge_way"].tolist()) == {1}


def test_the_arrays_hold_together(tmp_path):
    # given two streets that cross, a loop, and a footpath that must not cut the street for vehicles
    town = Town()
    for number, (x, y) in enumerate(
        [(0, 0), (100, 0), (200, 0), (100, 100), (100, -100), (200, 100), (150, 0)], 1
    ):
        town.node(number, x, y)
    town.way([1, 2, 7, 3], {"highway": "residential", "name": "Strada Lungă", "oneway": "yes"})
    town.way([5, 2, 4], {"highway": "tertiary", "name": "Calea Veche"})
    town.way([4, 6, 3], {"highway": "service"})
    town.way([7, 6], {"highway": "footway"})
    roads = graph(tmp_path, town)
    a, ms = roads.arrays("car"), roads.ms("car")
    edges, arcs = len(a["edge_m"]), len(a["in_arc"])
    assert arcs == 2 * edges
    assert sorted(a["in_arc"].tolist()) == list(range(arcs))
    # every arc ends at the node it is filed under, and comes from the tail that is given
    for node in range(len(a["in_first"]) - 1):
        for row in range(a["in_first"][node], a["in_first"][node + 1]):
            edge, against = divmod(int(a["in_arc"][row]), 2)
            assert node == (a["edge_tail"] if against else a["edge_head"])[edge]
            assert a["in_tail"][row] == (a["edge_head"] if against else a["edge_tail"])[edge]
    # lengths are the lengths of the polylines; the one-way street is closed against its direction
    assert a["edge_m"].sum() == pytest.approx(200 + 200 + 200, rel=1e-3)
    one_way = [
        e for e in range(edges) if roads.names[a["edge_name"][e]] == "Strada Lungă" and a["edge_name"][e] >= 0
    ]
    assert one_way
    assert all(ms[2 * e] < IMPASSABLE and ms[2 * e + 1] == IMPASSABLE for e in one_way)
    # two pieces of the street, not three: the footpath is no junction for a car
    assert len(one_way) == 2
    assert len(set(roads.arrays("foot")["edge_way"].tolist())) == 4
    assert np.all(np.diff(a["point_first"]) >= 2)
