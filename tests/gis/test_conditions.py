"""What is in the way: what may be drawn, which streets it meets, and the roads without them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis.city import import_city
from gis.conditions import (
    ALL_VEHICLES,
    EVERYBODY,
    BadShape,
    ClosedRoads,
    Obstacle,
    apply,
    cut,
    read_shape,
    streets_at,
)
from gis.roads import IMPASSABLE, MODES
from gis.travel import ROAD, UNREACHABLE, RoadGraph
from tests.gis.small_city import Town, at
from tests.gis.test_travel import random_town, scatter

BOX = (*at(-500, -500), *at(3000, 3000))


def line(*points: tuple[float, float], **more: Any) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [list(at(*p)) for p in points], **more}


def points(*pairs: Any) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": list(pairs)}


def rings(*corners: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(at(*p)) for p in corners]]}


def area(*corners: tuple[float, float]) -> dict[str, Any]:
    return rings(*corners, corners[0])


def circle(x_m: float, y_m: float, radius_m: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(at(x_m, y_m)), "radius_m": radius_m}


def obstacle(geometry: dict[str, Any], **more: Any) -> Obstacle:
    one_way = geometry.get("direction") == "along"
    shape = shapely.to_wkb(read_shape(geometry))
    told: dict[str, Any] = {"classes": ALL_VEHICLES, "one_way": one_way, **more}
    return Obstacle("K1", "closure", shape, **told)


def grid_town() -> Town:
    """Five by five junctions 400 m apart, two-way streets; street (i, j) right and up of each."""
    town = Town()
    for i in range(5):
        for j in range(5):
            town.node(1 + 5 * i + j, 400 * i, 400 * j)
    for i in range(5):
        town.way([1 + 5 * i + j for j in range(5)], {"highway": "residential", "name": f"Verticala {i}"})
    for j in range(5):
        town.way([1 + 5 * i + j for i in range(5)], {"highway": "residential", "name": f"Orizontala {j}"})
    return town


def opened(folder: Path, town: Town) -> RoadGraph:
    import_city(town.write(folder / "town.osm.pbf"), folder, "town")
    return RoadGraph.open(folder / "town")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> RoadGraph:
    return opened(tmp_path_factory.mktemp("grid"), grid_town())


Spot = tuple[float, float]


def drive_s(roads: RoadGraph, start: Spot, end: Spot, mode: str = "car") -> float:
    (lon, lat), (to_lon, to_lat) = at(*start), at(*end)
    return float(roads.nearest(to_lon, to_lat, [lon], [lat], mode).drive_s[0])


def shut_edges(roads: RoadGraph, mode: str = "car") -> set[int]:
    ms = roads.ms(mode)
    return set(np.flatnonzero((ms[0::2] == IMPASSABLE) & (ms[1::2] == IMPASSABLE)).tolist())


# ---- what may be drawn

NAN = float("nan")
SQUARE = area((0, 0), (400, 0), (400, 400), (0, 400))


@pytest.mark.parametrize(
    ("geometry", "code", "field"),
    [
        (area((0, 0), (400, 400), (400, 0), (0, 400)), "crosses-itself", "geometry.coordinates"),
        (area((0, 0), (400, 0), (800, 0)), "crosses-itself", "geometry.coordinates"),
        (rings((0, 0), (9, 0), (9, 9), (0, 9)), "ring-open", "geometry.coordinates.0"),
        ({"type": "Polygon", "coordinates": []}, "bad-geometry", "geometry.coordinates"),
        ({"type": "Polygon", "coordinates": 7}, "bad-geometry", "geometry.coordinates"),
        (rings((0, 0), (9, 0), (0, 0)), "bad-geometry", "geometry.coordinates.0"),
        (line((0, 0), (NAN, 0)), "bad-geometry", "geometry.coordinates.1"),
        (line((0, 0), (math.inf, 0)), "bad-geometry", "geometry.coordinates.1"),
        (points([25.6, True], [25.7, 45.6]), "bad-geometry", "geometry.coordinates.0"),
        (points(["25.6", 45.6], [25.7, 45.6]), "bad-geometry", "geometry.coordinates.0"),
        (line((10, 10), (10, 10)), "bad-geometry", "geometry.coordinates"),
        (line((10, 10)), "bad-geometry", "geometry.coordinates"),
        (line((0, 0), (60_000, 0)), "outside-city-outside", "geometry.coordinates"),
        (points([45.65, 25.6], [45.66, 25.6]), "outside-city-swapped", "geometry.coordinates"),
        (points(*([25.6, 45.65 + i / 1e6] for i in range(2_001))), "too-many-points", "geometry.coordinates"),
        (circle(0, 0, NAN), "bad-radius", "geometry.radius_m"),
        (points([10**400, 45.6], [25.7, 45.6]), "bad-geometry", "geometry.coordinates.0"),
        (circle(0, 0, 10**400), "too-large", "geometry.radius_m"),
        (circle(0, 0, -(10**400)), "bad-radius", "geometry.radius_m"),
        (circle(0, 0, 0), "bad-radius", "geometry.radius_m"),
        (circle(0, 0, 90_000), "too-large", "geometry.radius_m"),
        ({"type": "Point", "coordinates": list(at(0, 0))}, "bad-radius", "geometry.radius_m"),
        ({"type": "MultiPolygon", "coordinates": []}, "bad-geometry", "geometry.type"),
        ({"coordinates": []}, "bad-geometry", "geometry.type"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_obstacle_is_refused_naming_what_to_change(
    geometry: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(BadShape) as refused:
        read_shape(geometry, BOX)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert str(refused.value).endswith(".")


def test_an_absurdly_large_area_or_line_is_refused_even_where_no_city_says_where_it_ends() -> None:
    for huge in (area((0, 0), (50_000, 0), (50_000, 50_000)), line((0, 0), (60_000, 0))):
        with pytest.raises(BadShape) as refused:
            read_shape(huge)
        assert refused.value.code == "too-large"


def test_a_point_is_a_circle_of_its_radius() -> None:
    shape = read_shape(circle(400, 400, 100), BOX)
    for x, y, inside in ((400, 495, True), (400, 505, False), (330, 330, True), (320, 320, False)):
        assert shape.contains(shapely.Point(*at(x, y))) is inside


# ---- which streets it meets


def names_cut(roads: RoadGraph, geometry: dict[str, Any]) -> set[str]:
    a = roads.arrays("car")
    met = cut(a, read_shape(geometry))
    return {roads.names[int(a["edge_name"][edge])] for edge in met.edge}


def test_a_shape_is_named_after_the_streets_where_it_lies(grid: RoadGraph) -> None:
    def named(geometry: dict[str, Any]) -> list[str]:
        return streets_at(grid, read_shape(geometry))

    assert named(circle(200, 390, 30)) == ["Orizontala 1"]
    assert named(line((10, 400), (790, 400))) == ["Orizontala 1"]
    # around a corner: both, the longer part first
    assert named(line((100, 400), (400, 400), (400, 500))) == ["Orizontala 1", "Verticala 1"]
    # a barrier across one
    assert named(line((200, 390), (200, 410))) == ["Orizontala 1"]
    # an area by the street that is nearest to its middle
    assert named(area((380, 150), (460, 150), (460, 250), (380, 250))) == ["Verticala 1"]
    # and far from all of them
    assert named(circle(-450, -450, 10)) == []


def test_a_line_closes_the_street_it_follows_and_none_of_those_it_crosses(grid: RoadGraph) -> None:
    # Given a line drawn by hand along two blocks of a street, a few metres beside it
    geometry = line((20, 403), (390, 396), (780, 404))
    assert names_cut(grid, geometry) == {"Orizontala 1"}
    met = cut(grid.arrays("car"), read_shape(geometry))
    assert len(met.edge) == 2


def test_a_line_across_a_street_is_a_barrier(grid: RoadGraph) -> None:
    met = cut(grid.arrays("car"), read_shape(line((200, 380), (200, 420))))
    assert len(met.edge) == 1
    assert names_cut(grid, line((200, 380), (200, 420))) == {"Orizontala 1"}
    assert met.low[0] == met.high[0] == pytest.approx(0.5, abs=0.01)


def test_a_line_with_a_direction_closes_that_direction_alone(grid: RoadGraph) -> None:
    east = apply(grid, [obstacle(line((10, 400), (390, 400), direction="along"))])
    west = apply(grid, [obstacle(line((390, 400), (10, 400), direction="along"))])
    free_s = drive_s(grid, (0, 400), (400, 400))
    assert drive_s(east, (0, 400), (400, 400)) > free_s
    assert drive_s(east, (400, 400), (0, 400)) == pytest.approx(drive_s(grid, (400, 400), (0, 400)))
    assert drive_s(west, (0, 400), (400, 400)) == pytest.approx(free_s)
    assert drive_s(west, (400, 400), (0, 400)) > free_s


def test_an_area_and_a_circle_close_what_they_touch(grid: RoadGraph) -> None:
    square = area((350, 350), (450, 350), (450, 450), (350, 450))
    assert names_cut(grid, square) == {"Verticala 1", "Orizontala 1"}
    assert names_cut(grid, circle(200, 390, 20)) == {"Orizontala 1"}
    assert names_cut(grid, circle(200, 200, 50)) == set()


def test_a_needle_between_two_looks_is_found_too(grid: RoadGraph) -> None:
    met = cut(grid.arrays("car"), read_shape(area((200.2, 399), (200.6, 399), (200.4, 401))))
    assert len(met.edge) == 1


def test_an_obstacle_where_no_street_is_changes_nothing(grid: RoadGraph) -> None:
    view = apply(grid, [obstacle(circle(-3000, -3000, 100))])
    assert all((view.ms(mode) == grid.ms(mode)).all() for mode in MODES)


# ---- the roads with it


def test_only_those_whom_it_is_about_are_held_up(grid: RoadGraph) -> None:
    view = apply(grid, [obstacle(circle(200, 400, 30), classes=frozenset({"car"}))])
    for mode in ("car", "car_priority"):
        assert drive_s(view, (10, 400), (390, 400), mode) > drive_s(grid, (10, 400), (390, 400), mode)
    for mode in ("ambulance", "fire_engine_priority"):
        assert (view.ms(mode) == grid.ms(mode)).all()


def test_a_slow_zone_slows_the_share_of_the_street_that_lies_in_it(grid: RoadGraph) -> None:
    # Given snow on half of a block
    snow = obstacle(area((-50, 350), (200, 350), (200, 450), (-50, 450)), speed_share=0.5)
    view = apply(grid, [snow])
    met = cut(grid.arrays("car"), shapely.from_wkb(snow.shape))
    half = [e for e, share in zip(met.edge, met.share, strict=True) if abs(share - 0.5) < 0.02]
    assert len(half) == 1
    before, now = (roads.ms("car")[2 * half[0]] for roads in (grid, view))
    assert now == pytest.approx(1.5 * before, rel=0.02)
    assert shut_edges(view) == shut_edges(grid)


def test_factors_and_obstacles_add_up_and_what_was_closed_stays_closed(grid: RoadGraph) -> None:
    arcs = len(grid.ms("car"))
    view = apply(grid, [obstacle(circle(200, 400, 30))], {"car": np.full(arcs, 2.0, dtype=np.float32)})
    open_ = view.ms("car") != IMPASSABLE
    assert (view.ms("car")[open_] == 2 * grid.ms("car")[open_].astype(np.int64)).all()
    assert len(shut_edges(view)) == 1


def test_a_shape_that_cannot_be_read_closes_nothing(grid: RoadGraph) -> None:
    broken = Obstacle("K9", "closure", b"\x01\x02", ALL_VEHICLES)
    view = apply(grid, [broken])
    assert (view.ms("car") == grid.ms("car")).all()


# ---- who stands on a street that is cut


def test_a_unit_on_the_open_part_of_a_cut_street_gets_out_by_its_open_end(grid: RoadGraph) -> None:
    # Given a wall across a block, 300 m from its western end, and a car 100 m from that end
    view = apply(grid, [obstacle(circle(320, 400, 15))])
    # When it is wanted in the west, it drives there as ever
    assert drive_s(view, (100, 400), (0, 0)) == pytest.approx(drive_s(grid, (100, 400), (0, 0)), rel=0.02)
    # and to the east it goes around, out by its own end first
    around_s = drive_s(view, (100, 400), (800, 400))
    assert math.isfinite(around_s)
    assert around_s > drive_s(grid, (100, 400), (800, 400)) + 30
    # and a car beyond the wall is as near to the east as ever
    free_s = drive_s(grid, (360, 400), (800, 400))
    assert drive_s(view, (360, 400), (800, 400)) == pytest.approx(free_s, rel=0.02)


def test_an_incident_on_the_open_part_is_reached_by_the_open_end(grid: RoadGraph) -> None:
    view = apply(grid, [obstacle(circle(320, 400, 15))])
    assert drive_s(view, (0, 0), (150, 400)) == pytest.approx(drive_s(grid, (0, 0), (150, 400)), rel=0.02)
    from_east_s = drive_s(view, (800, 400), (150, 400))
    assert from_east_s > drive_s(grid, (800, 400), (150, 400)) + 30
    assert math.isfinite(from_east_s)


def test_a_district_cut_off_is_served_from_inside_and_unreachable_from_outside(grid: RoadGraph) -> None:
    # Given that every street out of the north-east is closed
    ring = [obstacle(line((1000, 700), (1000, 1700))), obstacle(line((700, 1000), (1700, 1000)))]
    view = apply(grid, ring)
    inside, outside, fire = (1250, 1200), (0, 0), (1600, 1500)
    assert drive_s(view, inside, fire) == pytest.approx(drive_s(grid, inside, fire))
    lon, lat = at(*fire)
    lons, lats = zip(*(at(*p) for p in (inside, outside)), strict=True)
    found = view.nearest(lon, lat, lons, lats, "car")
    assert found.how.tolist() == [ROAD, UNREACHABLE]
    # and no straight line is offered through the closure
    assert not math.isfinite(found.drive_s[1])
    assert not view.route(*at(*outside), *at(*fire), "car").road


def test_inside_a_closed_area_a_unit_still_gets_to_others_inside(grid: RoadGraph) -> None:
    # Given that the whole east is closed
    view = apply(grid, [obstacle(area((750, -50), (1700, -50), (1700, 1700), (750, 1700)))])
    inside, fire = (1600, 800), (1200, 1200)
    assert drive_s(view, inside, fire) == pytest.approx(drive_s(grid, inside, fire))
    assert view.route(*at(*inside), *at(*fire), "car").road
    # but nobody drives in from outside, farther than one would walk
    assert drive_s(view, (0, 0), (1600, 1500)) == math.inf
    # and to an incident just inside one drives up to the edge, and walks
    edge_s = drive_s(view, (0, 800), (820, 800))
    assert drive_s(grid, (0, 800), (820, 800)) < edge_s < 600


def one_way_out(town: Town) -> Town:
    """On the block from (400, 400) to (800, 400) a yard of its own: in by a lane from the middle, and out by
    a one-way lane."""
    town.node(101, 600, 400)
    town.node(102, 600, 460)
    town.node(103, 650, 460)
    town.way([7, 101, 12], {"highway": "residential", "name": "Principala"})
    town.way([101, 102], {"highway": "residential", "name": "Fundac"})
    town.way([102, 103], {"highway": "residential", "name": "Fundac"})
    return town


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> RoadGraph:
    return opened(tmp_path_factory.mktemp("yard"), one_way_out(grid_town()))


def test_an_incident_beside_a_closure_is_reached_from_the_nearest_street_one_can_get_to(
    yard: RoadGraph,
) -> None:
    # Given smoke over the mouth of a yard, whose lane stays open and leads nowhere any more
    view = apply(yard, [obstacle(circle(600, 410, 40), classes=EVERYBODY)])
    assert isinstance(view, ClosedRoads)
    a = view.arrays("car")
    lane = {int(e) for e in np.flatnonzero(view.pockets("car", True))}
    assert {yard.names[int(a["edge_name"][e])] for e in lane} == {"Fundac"}
    # Then an incident in the smoke, and one in the yard, are reached by car and on foot from a street beside
    for spot in ((600, 415), (640, 460)):
        snap = view.snap(*([x] for x in at(*spot)), "car", arriving=True)
        assert int(snap.edge[0]) not in lane | shut_edges(view)
        for mode in ("car", "foot"):
            assert math.isfinite(drive_s(view, (0, 0), spot, mode)), (spot, mode)
    # and who stands in the yard gets out, and sooner still to the incident there
    assert math.isfinite(drive_s(view, (620, 460), (0, 0)))
    assert drive_s(view, (620, 460), (640, 460)) < 10
    lon, lat = at(640, 460)
    lons, lats = zip(*(at(*p) for p in ((620, 460), (0, 0))), strict=True)
    times = view.times(view.snap(lons, lats, "car"), view.snap([lon], [lat], "car", arriving=True), "car")
    np.testing.assert_allclose(times[:, 0], view.nearest(lon, lat, lons, lats, "car").drive_s, rtol=1e-3)
    # Where nothing is closed, no street is set aside
    assert not apply(yard, [obstacle(circle(600, 200, 40))]).pockets("car", True).any()  # type: ignore[attr-defined]


def test_who_is_soonest_knows_the_streets_inside_a_closed_area(grid: RoadGraph) -> None:
    # Given that the whole east is closed, units on both sides, and calls on both sides
    view = apply(grid, [obstacle(area((750, -50), (1700, -50), (1700, 1700), (750, 1700)))])
    stand = [at(x, y) for x in (0, 800, 1600) for y in (0, 400, 800, 1200)]
    calls = [at(*p) for p in ((400, 390), (1200, 1200), (1600, 390), (0, 1210))]
    units = view.snap(*zip(*stand, strict=True), "car")
    scenes = view.snap(*zip(*calls, strict=True), "car", arriving=True)
    every = view.times(units, scenes, "car").T
    for k in (1, 3, 12):
        found = view.soonest(units, scenes, "car", k)
        listed = np.full(every.shape, np.inf)
        listed[found.place, found.row] = found.seconds
        # then those who are listed come as soon as they do, and nobody who is not comes sooner
        there = np.isfinite(listed)
        assert listed[there] == pytest.approx(every[there])
        assert (np.where(there, np.inf, every).min(axis=1) >= found.beyond_s - 1e-3).all()
        assert (there.sum(axis=1) >= np.minimum(k, np.isfinite(every).sum(axis=1))).all()


def test_who_walks_is_kept_out_of_a_hazard_zone_too(tmp_path: Path) -> None:
    roads = opened(tmp_path, grid_town())
    zone = area((550, -50), (1050, -50), (1050, 1700), (550, 1700))
    for classes, reached in ((ALL_VEHICLES, True), (EVERYBODY, False)):
        view = apply(roads, [obstacle(zone, classes=classes)])
        assert math.isfinite(drive_s(view, (0, 0), (1600, 0), "foot")) is reached


# ---- the same as roads built without those arcs


def without(roads: RoadGraph, mode: str, gone: np.ndarray) -> RoadGraph:
    """The graph built anew with those arcs left out of its network."""
    a = dict(roads.arrays(mode))
    keep = ~gone[a["in_arc"]]
    node = np.repeat(np.arange(len(a["in_first"]) - 1), np.diff(a["in_first"]))[keep]
    a["in_arc"], a["in_tail"], a["in_bars"] = (a[n][keep] for n in ("in_arc", "in_tail", "in_bars"))
    a["in_first"] = np.concatenate(
        ([0], np.cumsum(np.bincount(node, minlength=len(a["in_first"]) - 1)))
    ).astype(np.int32)
    a["arc_open"] = np.where(gone, 0, a["arc_open"]).astype(a["arc_open"].dtype)
    return RoadGraph({"drive": a}, roads.names)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> RoadGraph:
    return opened(tmp_path_factory.mktemp("random"), random_town(np.random.default_rng(7)))


SPOTS = st.tuples(st.floats(0, 1_100), st.floats(0, 1_100))
DRAWN = st.one_of(
    st.builds(lambda p, r: circle(*p, r), SPOTS, st.floats(5, 150)),
    st.builds(lambda p, q: line(p, (q[0] + 1, q[1])), SPOTS, SPOTS),
    st.builds(
        lambda p, w, h: area(p, (p[0] + w, p[1]), (p[0] + w, p[1] + h), (p[0], p[1] + h)),
        SPOTS, st.floats(5, 300), st.floats(5, 300),
    ),
)  # fmt: skip


@given(st.lists(DRAWN, min_size=1, max_size=4), st.integers(0, 2**32), st.sampled_from(MODES))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_closures_the_roads_are_those_built_without_the_closed_arcs(
    town: RoadGraph, drawn: list[dict[str, Any]], seed: int, mode: str
) -> None:
    view = apply(town, [obstacle(geometry) for geometry in drawn])
    assert isinstance(view, ClosedRoads)
    gone = (view.ms(mode) == IMPASSABLE) & (town.ms(mode) != IMPASSABLE)
    built = without(town, mode, gone)
    rng = np.random.default_rng(seed)
    lon, lat = scatter(town, mode, rng, 40)
    # Who stands on what is closed or cut off is taken to where one gets on; a unit and an incident at one
    # spot may belong to two streets.
    untouched = ~(gone[0::2] | gone[1::2] | view.pockets(mode, True) | view.pockets(mode, False))
    on_open = untouched[town.snap(lon, lat, mode).edge]
    reached = np.flatnonzero(on_open & untouched[town.snap(lon, lat, mode, arriving=True).edge])
    if not len(reached):
        return
    to = int(rng.choice(reached))
    kept = np.flatnonzero(on_open)
    mine = view.nearest(lon[to], lat[to], lon[kept], lat[kept], mode)
    theirs = built.nearest(lon[to], lat[to], lon[kept], lat[kept], mode)
    np.testing.assert_array_equal(mine.how, theirs.how)
    np.testing.assert_allclose(mine.drive_s, theirs.drive_s, rtol=1e-9)
    # and nobody's way touches what is closed
    for unit in kept[:5]:
        way = view.route(lon[unit], lat[unit], lon[to], lat[to], mode)
        if way.road:
            assert math.isfinite(way.drive_s)


@pytest.mark.parametrize("seed", range(4))
def test_units_carried_over_from_the_open_roads_stand_where_they_would_be_put_anew(
    town: RoadGraph, seed: int
) -> None:
    # given units placed on the open streets
    rng = np.random.default_rng(seed)
    lon, lat = scatter(town, "ambulance", rng, 300)
    before = town.snap(lon, lat, "ambulance")
    kept = before.edge.copy()
    # when somewhere among them is closed
    x_m, y_m = rng.uniform(0, 1_000, 2)
    view = apply(town, [obstacle(circle(x_m, y_m, 150))], version=seed)
    over, anew = view.placed(before, "ambulance"), view.snap(lon, lat, "ambulance")
    # then both ways give the same, what was handed out is untouched, and as if all were worked out at once
    assert view.beneath is town
    for name in ("edge", "fraction", "away_m"):
        assert np.array_equal(getattr(over, name), getattr(anew, name)), f"seed {seed}"
    assert np.array_equal(before.edge, kept)
    plain = town.with_ms({"ambulance": view.ms("ambulance")}, version=("plain", seed))
    aside = plain._aside("ambulance", False)
    assert np.array_equal(view._aside("ambulance", False), aside), f"seed {seed}"
