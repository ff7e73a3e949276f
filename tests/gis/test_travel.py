"""How long help takes: the search against a plain one, and the cases a dispatcher meets."""

import threading
from itertools import pairwise

import numpy as np
import pytest
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from gis.city import import_city
from gis.geometry import haversine_m
from gis.roads import IMPASSABLE, MODES, NETWORK_OF, NEVER_ASIDE_M, Driving
from gis.travel import (
    NO_POSITION,
    NOT_SEARCHED,
    OFF_ROAD,
    REACH_M,
    ROAD,
    SCENE_ACCESS_MPS,
    SEARCHED_SHARE,
    STRAIGHT,
    STRAIGHT_DETOUR,
    THERE_M,
    UNIT_ACCESS_MPS,
    UNREACHABLE,
    RoadGraph,
    mode,
)
from tests.gis.small_city import Town, at


@pytest.fixture(scope="module")
def helsinki(helsinki):
    return RoadGraph.open(helsinki)


@pytest.fixture(scope="module")
def porto(porto_folder):
    return RoadGraph.open(porto_folder)


def graph(tmp_path, town):
    import_city(town.write(tmp_path / "town.osm.pbf"), tmp_path, "town")
    return RoadGraph.open(tmp_path / "town")


def random_town(rng):
    """A grid of streets with gaps, bends, one-way streets, limits and dead ends, all drawn from `rng`."""
    town, size, shape = Town(), 7, 1000
    for i in range(size):
        for j in range(size):
            town.node(1 + i * size + j, i * 180 + rng.uniform(-40, 40), j * 180 + rng.uniform(-40, 40))
    for i in range(size):
        for j in range(size):
            for di, dj in ((1, 0), (0, 1)):
                if i + di >= size or j + dj >= size or rng.random() < 0.12:
                    continue
                a, b = 1 + i * size + j, 1 + (i + di) * size + j + dj
                (ax, ay), (bx, by) = town.nodes[a], town.nodes[b]
                shape += 1
                town.node(shape, (ax + bx) / 2 + rng.uniform(-30, 30), (ay + by) / 2 + rng.uniform(-30, 30))
                tags = {"highway": str(rng.choice(["residential", "primary", "service"]))}
                tags["oneway"] = str(rng.choice(["no", "no", "no", "yes", "-1"]))
                if rng.random() < 0.3:
                    tags["maxspeed"] = str(rng.choice([20, 30, 70]))
                town.way([a, shape, b], tags)
    return town


def plain_drive_s(roads, scene, units, profile):
    """The oracle: every position becomes a node of its own in a plain graph that scipy searches. That this
    graph keeps the turn restrictions is what test_turns.py holds."""
    a = roads.arrays(profile)
    ms = roads.ms(profile)
    nodes = len(a["in_first"]) - 1
    at_scene, at_unit = roads.snap(*scene, profile, arriving=True), roads.snap(*units, profile)
    arcs = {}

    def join(tail, head, cost):
        arcs[tail, head] = min(cost, arcs.get((tail, head), np.inf))

    goal, e, s = nodes, int(at_scene.edge[0]), float(at_scene.fraction[0])
    tiny = 1e-9  # scipy takes a stored zero for no arc at all
    bar = 1 << MODES.index(profile) if profile in MODES else 0
    for head in range(nodes):
        for j in range(a["in_first"][head], a["in_first"][head + 1]):
            arc, tail = int(a["in_arc"][j]), int(a["in_tail"][j])
            if ms[arc] != IMPASSABLE and not a["in_bars"][j] & bar:
                join(tail, head, float(ms[arc]))
                if arc >> 1 == e:
                    join(tail, goal, (1 - s if arc & 1 else s) * float(ms[arc]) + tiny)
    for i, (f, t) in enumerate(zip(at_unit.edge.tolist(), at_unit.fraction.tolist(), strict=True)):
        if f < 0:
            continue
        own = nodes + 1 + i
        if ms[2 * f] != IMPASSABLE:
            join(own, int(a["arc_head"][2 * f]), (1 - t) * float(ms[2 * f]) + tiny)
            if f == e and t <= s:
                join(own, goal, (s - t) * float(ms[2 * f]) + tiny)
        if ms[2 * f + 1] != IMPASSABLE:
            join(own, int(a["arc_head"][2 * f + 1]), t * float(ms[2 * f + 1]) + tiny)
            if f == e and t >= s:
                join(own, goal, (t - s) * float(ms[2 * f + 1]) + tiny)
    size = nodes + 1 + len(at_unit.edge)
    tails, heads = zip(*arcs, strict=True)
    backwards = csr_matrix((list(arcs.values()), (heads, tails)), shape=(size, size))
    cost_ms = dijkstra(backwards, indices=goal)[nodes + 1 :]
    access = SCENE_ACCESS_MPS if profile == "foot" else UNIT_ACCESS_MPS
    return cost_ms / 1000 + at_unit.away_m / access + at_scene.away_m[0] / SCENE_ACCESS_MPS


def scatter(roads, profile, rng, n, spread_m=40.0):
    """n positions beside the roads of a profile."""
    a = roads.arrays(profile)
    row = rng.integers(0, len(a["point_edge"]), n)
    wobble = spread_m / 111_000
    return (
        a["point_lon_e7"][row] / 1e7 + rng.normal(0, wobble, n),
        a["point_lat_e7"][row] / 1e7 + rng.normal(0, wobble, n),
    )


@pytest.mark.parametrize("seed", range(6))
def test_times_equal_a_plain_search_in_towns_drawn_by_chance(tmp_path, seed):
    rng = np.random.default_rng(seed)
    roads = graph(tmp_path, random_town(rng))
    for profile in ("car", "fire_engine", "foot"):
        lon, lat = scatter(roads, profile, rng, 40)
        # some units on the incident's own street, so that those ahead of it and behind it both occur
        scene = (float(lon[0]), float(lat[0]))
        lon[1:4], lat[1:4] = lon[0] + rng.normal(0, 2e-4, 3), lat[0] + rng.normal(0, 2e-4, 3)
        ours = roads.nearest(*scene, lon, lat, profile, straight=False).drive_s
        truth = plain_drive_s(roads, scene, (lon, lat), profile)
        assert ours == pytest.approx(truth, rel=1e-6, abs=1e-3), f"seed {seed}, profile {profile}"


@pytest.mark.parametrize("profile", list(NETWORK_OF))
def test_times_equal_a_plain_search_in_helsinki(helsinki, profile):
    seed = 11
    rng = np.random.default_rng(seed)
    for _ in range(3):
        lon, lat = scatter(helsinki, profile, rng, 120)
        scene = (float(lon[0]), float(lat[0]))
        ours = helsinki.nearest(*scene, lon, lat, profile, straight=False).drive_s
        assert ours == pytest.approx(
            plain_drive_s(helsinki, scene, (lon, lat), profile), rel=1e-6, abs=1e-3
        ), f"seed {seed}"


def test_times_equal_a_plain_search_in_porto(porto):
    seed = 5
    rng = np.random.default_rng(seed)
    lon, lat = scatter(porto, "ambulance", rng, 300)
    scene = (float(lon[0]), float(lat[0]))
    ours = porto.nearest(*scene, lon, lat, "ambulance", straight=False)
    assert ours.drive_s == pytest.approx(
        plain_drive_s(porto, scene, (lon, lat), "ambulance"), rel=1e-6, abs=1e-3
    )
    # and the roads are believable: no way is shorter than the crow's, nobody races or walks
    on_road = ours.road & (ours.distance_m > 2_000)
    crow_m = haversine_m(*scene, lon, lat)
    assert on_road.sum() > 250
    assert np.all(ours.distance_m[on_road] > crow_m[on_road] * 0.99 - 100)
    kmh = ours.distance_m[on_road] / ours.drive_s[on_road] * 3.6
    assert 20 < np.median(kmh) < 100
    assert kmh.max() < 121


def test_the_k_nearest_are_the_first_of_all(porto):
    seed = 3
    rng = np.random.default_rng(seed)
    lon, lat = scatter(porto, "car", rng, 200)
    scene = (float(lon[7]), float(lat[7]))
    everyone = porto.nearest(*scene, lon, lat, "car")
    five = porto.nearest(*scene, lon, lat, "car", 5)
    assert (five.how == ROAD).sum() == 5, f"seed {seed}"
    assert (five.how == NOT_SEARCHED).sum() == 195
    first = np.argsort(everyone.drive_s)[:5]
    assert set(first.tolist()) == set(np.flatnonzero(five.road).tolist())
    assert five.drive_s[first] == pytest.approx(everyone.drive_s[first])
    assert five.distance_m[first] == pytest.approx(everyone.distance_m[first])


@pytest.mark.parametrize("seed", range(4))
def test_times_between_many_are_the_times_of_each(tmp_path, seed):
    """Both ways of searching, outward from few and back from few, against the search for one incident."""
    rng = np.random.default_rng(seed)
    roads = graph(tmp_path, random_town(rng))
    for profile in ("car", "fire_engine_priority", "foot"):
        lon, lat = scatter(roads, profile, rng, 24)
        lon[1:4], lat[1:4] = lon[0] + rng.normal(0, 2e-4, 3), lat[0] + rng.normal(0, 2e-4, 3)
        lon[5] = np.nan
        lon[6], lat[6] = at(9000, 0)
        for n in (6, 18):
            units = roads.snap(lon[:n], lat[:n], profile)
            scenes = roads.snap(lon[24 - n :], lat[24 - n :], profile, arriving=True)
            found = roads.times(units, scenes, profile)
            alone = [
                roads.nearest(
                    lon[24 - n + j], lat[24 - n + j], lon[:n], lat[:n], profile, straight=False
                ).drive_s
                for j in range(n)
            ]
            assert found == pytest.approx(np.array(alone).T, rel=1e-6, abs=1e-3), f"seed {seed}, {profile}"
            within = roads.times(units, scenes, profile, limit_s=60.0)
            assert np.array_equal(within, np.where(found <= 60, found, np.inf)), f"seed {seed}, {profile}"


@pytest.mark.parametrize("share", [SEARCHED_SHARE, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_soonest_of_many_are_the_first_of_all_their_times(tmp_path, monkeypatch, seed, share):
    """By a search from each place, and by all times at once; some units are off the road, or nowhere."""
    monkeypatch.setattr("gis.travel.SEARCHED_SHARE", share)
    monkeypatch.setattr("gis.travel.SCENES_A_THREAD", 6)
    rng = np.random.default_rng(seed)
    roads = graph(tmp_path, random_town(rng))
    for profile, limit_s in (("car", np.inf), ("fire_engine_priority", 300.0), ("air", np.inf)):
        lon, lat = scatter(roads, "car", rng, 60)
        lon[1:4], lat[1:4] = lon[0] + rng.normal(0, 2e-4, 3), lat[0] + rng.normal(0, 2e-4, 3)
        lon[39:44], lat[39:44] = lon[0], lat[0]
        lon[5] = np.nan
        lon[6], lat[6] = at(9000, 0)
        lon[50], lat[50] = at(0, 9000)
        ready_s = rng.uniform(0, 90, 40)
        ready_s[7], ready_s[8] = np.nan, 5000.0
        units = roads.snap(lon[:40], lat[:40], profile)
        scenes = roads.snap(lon[40:], lat[40:], profile, arriving=True)
        every = np.array(
            [roads.nearest(lon[40 + j], lat[40 + j], lon[:40], lat[:40], profile).drive_s for j in range(20)]
        ) + ready_s  # fmt: skip
        every[~(every <= limit_s)] = np.inf
        for k in (1, 3, 40):
            told = f"seed {seed}, {profile}, k {k}"
            found = roads.soonest(units, scenes, profile, k, ready_s=ready_s, limit_s=limit_s)
            theirs = np.full(every.shape, np.inf)
            theirs[found.place, found.row] = found.seconds
            assert len(np.unique(found.place * 40 + found.row)) == len(found.row), told
            listed = np.isfinite(theirs)
            assert theirs[listed] == pytest.approx(every[listed], rel=1e-6, abs=1e-3), told
            left = np.where(listed, np.inf, every)
            assert (left.min(axis=1) >= found.beyond_s - 1e-3).all(), told
            assert (np.isfinite(every).sum(axis=1) - listed.sum(axis=1) <= 40 - k).all(), told
            assert (np.minimum(np.isfinite(every).sum(axis=1), k) <= listed.sum(axis=1)).all(), told
    with pytest.raises(ValueError, match="k is 0"):
        roads.soonest(units, scenes, "car", 0)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_within_reach_is_what_can_be_driven_to_in_that_time(tmp_path, seed, backward):
    rng = np.random.default_rng(seed)
    roads = graph(tmp_path, random_town(rng))
    lon, lat = scatter(roads, "car", rng, 1)
    reach = roads.reach(lon[0], lat[0], "car", 90.0, backward=backward)
    a = roads.arrays("car")
    assert 0 < len(reach.lon) < len(a["point_m"]), f"seed {seed}"
    # every point of a street is told with the time that a vehicle would take, or is farther than that
    point = np.arange(len(a["point_m"]))
    inside = (a["point_m"] > 0) & (point + 1 != np.repeat(a["point_first"][1:], np.diff(a["point_first"])))
    x, y = a["point_lon_e7"][inside] / 1e7, a["point_lat_e7"][inside] / 1e7
    told = {(x, y): s for x, y, s in zip(reach.lon, reach.lat, reach.seconds, strict=True)}
    # a dead end is set aside by snapping, so a drive that begins there is not the drive that is meant
    taken = roads.snap(x, y, "car", arriving=not backward)
    meant = (taken.edge == a["point_edge"][inside]) & (taken.away_m < 0.1)
    assert meant.sum() > 20, f"seed {seed}"
    for px, py in zip(x[meant], y[meant], strict=True):
        way = (px, py, lon[0], lat[0]) if backward else (lon[0], lat[0], px, py)
        drive = roads.nearest(*way[2:], [way[0]], [way[1]], "car", straight=False)
        if drive.drive_s[0] < 89.9:
            assert told[px, py] == pytest.approx(drive.drive_s[0], abs=0.05), f"seed {seed}"
        elif drive.drive_s[0] > 90.1:
            assert (px, py) not in told, f"seed {seed}"
    assert np.all(reach.seconds <= 90.0)
    ends = np.minimum(reach.tail_s, reach.head_s)
    assert np.all((ends <= 90) | (reach.edge == roads.snap(lon, lat, "car", arriving=backward).edge[0]))


def test_nothing_is_within_reach_of_no_place(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    for lon, lat in ((np.nan, 45.0), at(9000, 0)):
        assert len(roads.reach(lon, lat, "car", 600.0).edge) == 0
    assert len(roads.reach(*at(0, 0), "air", 600.0).lon) == 0


def test_a_view_closes_streets_for_itself_alone(tmp_path):
    # given the ring, and a view of it in which cars cannot drive its southern side and crawl on the others
    town = one_way_ring()
    ring, tags = town.ways.pop()
    for ends in pairwise(ring):
        town.way(ends, {**tags, "oneway": "no"})
    roads = graph(tmp_path, town)
    a = roads.arrays("car")
    ms = roads.ms("car").copy() * 2
    ms[roads.ms("car") == IMPASSABLE] = IMPASSABLE
    south = roads.snap([at(200, 0)[0]], [at(200, 0)[1]], "car").edge[0]
    closed = ms.copy()
    closed[2 * south : 2 * south + 2] = IMPASSABLE
    slow, view = roads.with_ms({"car": ms}, version=1), roads.with_ms({"car": closed}, version=2)
    goal, unit = at(400, 200), at(350, 0)
    # when each is asked, then the city itself is as it was and the slow one takes twice as long
    before = roads.nearest(*goal, [unit[0]], [unit[1]], "car").drive_s[0]
    assert slow.nearest(*goal, [unit[0]], [unit[1]], "car").drive_s[0] == pytest.approx(2 * before, abs=0.1)
    assert (roads.version, slow.version, view.version) == ("city", 1, 2)
    # and ambulances, of which the view says nothing, drive as ever
    assert np.array_equal(view.ms("ambulance"), roads.ms("ambulance"))
    # and who stands on the closed street is taken to the open one round the corner, where the drive begins
    moved = view.nearest(*goal, [unit[0]], [unit[1]], "car")
    assert moved.how[0] == ROAD
    assert view.snap([unit[0]], [unit[1]], "car").edge[0] != south
    assert a is view.arrays("car")


def test_where_all_within_reach_is_closed_there_is_no_way_and_no_estimate(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    shut = roads.with_ms({"car": np.full_like(roads.ms("car"), IMPASSABLE)}, version="shut")
    travel = shut.nearest(*at(200, 0), [at(350, 0)[0]], [at(350, 0)[1]], "car")
    assert travel.how.tolist() == [UNREACHABLE]
    assert np.isinf(travel.drive_s[0])
    assert not shut.route(*at(350, 0), *at(200, 0), "car").road
    with pytest.raises(ValueError, match="uint32"):
        roads.with_ms({"car": np.ones(3, dtype=np.uint32)}, version=0)
    with pytest.raises(ValueError, match="no roads"):
        roads.with_ms({"air": np.ones(3, dtype=np.uint32)}, version=0)


def test_what_the_operator_allows_needs_no_new_import(tmp_path):
    # given a one-way ring, and an engine just past the incident
    import_city(one_way_ring().write(tmp_path / "town.osm.pbf"), tmp_path, "town")
    scene, past = at(200, 0), at(250, 0)
    driven_m = {
        contra: RoadGraph.open(tmp_path / "town", Driving(contra_flow=contra))
        .nearest(*scene, [past[0]], [past[1]], mode("fire_engine", True))
        .distance_m[0]
        for contra in (False, True)
    }
    # then it turns round only where it may drive against the street
    assert driven_m == {False: pytest.approx(1550, rel=1e-3), True: pytest.approx(50, rel=1e-2)}
    assert mode("fire_engine", False) == "fire_engine"
    assert (mode("foot", True), mode("air", True)) == ("foot", "air")


def test_positions_snap_to_the_nearest_point_of_the_nearest_road(helsinki):
    seed = 2
    rng = np.random.default_rng(seed)
    for profile in ("ambulance", "foot"):
        a = helsinki.arrays(profile)
        lon, lat = scatter(helsinki, profile, rng, 200, spread_m=120)
        snaps = helsinki.snap(lon, lat, profile)
        for i in range(len(lon)):
            kx, ky = 111_195 * np.cos(np.radians(lat[i])), 111_195
            px, py = (a["point_lon_e7"] / 1e7 - lon[i]) * kx, (a["point_lat_e7"] / 1e7 - lat[i]) * ky
            if i == 0 or i % 20 == 0:  # the slow truth, for some of them
                lines = [
                    shapely.LineString(np.column_stack((px[p:q], py[p:q])))
                    for p, q in zip(a["point_first"][:-1], a["point_first"][1:], strict=True)
                ]
                aside = a[f"leave_{profile}"][0].astype(float)
                away = shapely.distance(lines, shapely.Point(0, 0))
                away[(away > REACH_M) | (aside == NEVER_ASIDE_M)] = np.inf
                best = np.min(away + aside)
                if np.isinf(best):
                    assert snaps.edge[i] == -1
                    continue
                edge = snaps.edge[i]
                assert snaps.away_m[i] + aside[edge] == pytest.approx(best, rel=1e-3, abs=0.05), (
                    f"seed {seed}, row {i}"
                )
                on_line = lines[edge].project(shapely.Point(0, 0), normalized=True)
                assert snaps.fraction[i] == pytest.approx(on_line, abs=5e-3)


def test_a_route_is_one_unbroken_line_as_long_as_it_says(porto):
    seed = 9
    rng = np.random.default_rng(seed)
    lon, lat = scatter(porto, "fire_engine", rng, 21, spread_m=10)
    for i in range(1, 21):
        route = porto.route(lon[i], lat[i], lon[0], lat[0], "fire_engine")
        travel = porto.nearest(lon[0], lat[0], [lon[i]], [lat[i]], "fire_engine")
        assert route.road == travel.road[0], f"seed {seed}"
        if not route.road:
            continue
        assert route.drive_s == pytest.approx(travel.drive_s[0])
        assert route.distance_m == pytest.approx(travel.distance_m[0])
        xs, ys = np.array(route.points).T
        line_m = float(haversine_m(xs[:-1], ys[:-1], xs[1:], ys[1:]).sum())
        assert line_m == pytest.approx(route.distance_m, rel=2e-3, abs=2)
        assert sum(metres for _, metres in route.streets) == pytest.approx(route.distance_m, rel=1e-3, abs=1)
        start, end = (
            porto.snap(lon[i], lat[i], "fire_engine"),
            porto.snap(lon[0], lat[0], "fire_engine", arriving=True),
        )
        assert haversine_m(*route.points[0], lon[i], lat[i]) == pytest.approx(start.away_m[0], abs=1)
        assert haversine_m(*route.points[-1], lon[0], lat[0]) == pytest.approx(end.away_m[0], abs=1)


def one_way_ring():
    """A square block of 400 m a side, one-way counter-clockwise, driven at 15 km/h."""
    town = Town()
    for number, (x, y) in enumerate([(0, 0), (400, 0), (400, 400), (0, 400)], 1):
        town.node(number, x, y)
    tags = {"highway": "service", "oneway": "yes", "name": "Strada Inelului"}
    town.way([1, 2, 3, 4, 1], tags)
    return town


def test_behind_the_incident_is_near_and_just_past_it_is_all_the_way_round(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    (behind, past) = (at(150, 0), at(250, 0))
    travel = roads.nearest(*at(200, 0), [behind[0], past[0]], [behind[1], past[1]], "car")
    assert travel.distance_m == pytest.approx([50, 1550], rel=1e-3)
    assert travel.drive_s == pytest.approx([50 / (15 / 3.6), 1550 / (15 / 3.6)], rel=1e-2)
    route = roads.route(*past, *at(200, 0), "car")
    assert route.streets == [("Strada Inelului", pytest.approx(1550, rel=1e-3))]
    assert len(route.points) == 6


def test_the_walk_from_the_road_and_the_yard_are_in_the_time(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    # given an incident 70 m south of the street and a unit 30 m from it, level with each other
    travel = roads.nearest(*at(200, -70), [at(200, -30)[0]], [at(200, -30)[1]], "car")
    assert travel.drive_s[0] == pytest.approx(70 / SCENE_ACCESS_MPS + 30 / UNIT_ACCESS_MPS, rel=1e-2)
    assert travel.distance_m[0] == pytest.approx(0, abs=0.5)


def test_a_unit_in_a_courtyard_is_put_on_the_street_outside(tmp_path):
    # given a courtyard lane that joins no street, nearer to the unit than the street
    town = one_way_ring()
    town.node(10, 150, 60)
    town.node(11, 250, 60)
    town.way([10, 11], {"highway": "service"})
    roads = graph(tmp_path, town)
    travel = roads.nearest(*at(200, 0), [at(160, 55)[0]], [at(160, 55)[1]], "car")
    assert travel.how[0] == ROAD
    assert travel.drive_s[0] < 60


def test_a_street_that_only_leads_out_of_town_is_good_for_arriving_not_for_leaving(tmp_path):
    # given a one-way street out of the town, cut at the extract's border 300 m on
    town = one_way_ring()
    town.node(10, 700, 0)
    town.way([2, 10], {"highway": "service", "oneway": "yes"})
    roads = graph(tmp_path, town)
    # then an incident on it is reached by that street, from the corner on
    to_it = roads.nearest(*at(600, 0), [at(300, 0)[0]], [at(300, 0)[1]], "car")
    assert to_it.road[0]
    assert to_it.distance_m[0] == pytest.approx(300, rel=1e-2)
    # and a unit on it, which could never come back, is taken to start from the town
    back = roads.nearest(*at(400, 100), [at(600, 0)[0]], [at(600, 0)[1]], "car")
    assert back.road[0]
    assert back.distance_m[0] == pytest.approx(100, rel=1e-2)


def island_town():
    """A town and an island 900 m off, each with a street."""
    town = one_way_ring()
    town.node(20, 0, 1300)
    town.node(21, 400, 1300)
    town.way([20, 21], {"highway": "residential"})
    return town


def test_over_the_water_there_is_no_way_and_it_is_said(tmp_path):
    roads = graph(tmp_path, island_town())
    travel = roads.nearest(
        *at(200, 0), [at(200, 1300)[0], at(100, 0)[0]], [at(200, 1300)[1], at(100, 0)[1]], "ambulance"
    )
    assert travel.how.tolist() == [UNREACHABLE, ROAD]
    assert np.isinf(travel.drive_s[0])
    assert not travel.road[0]
    assert np.isfinite(travel.drive_s[1])


def test_off_the_road_gets_an_estimate_that_says_so(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    far = at(3000, 0)
    travel = roads.nearest(*at(400, 0), [far[0]], [far[1]], "car")
    assert travel.how[0] == STRAIGHT
    assert not travel.road[0]
    assert travel.distance_m[0] == pytest.approx(2600 * STRAIGHT_DETOUR, rel=1e-3)
    assert travel.drive_s[0] == pytest.approx(2600 * STRAIGHT_DETOUR / (30 / 3.6), rel=1e-3)
    bare = roads.nearest(*at(400, 0), [far[0]], [far[1]], "car", straight=False)
    assert bare.how[0] == OFF_ROAD
    assert np.isinf(bare.drive_s[0])
    assert np.isinf(bare.distance_m[0])
    assert not roads.route(*far, *at(400, 0), "car").road


def test_an_incident_off_the_road_gives_estimates_for_all(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    travel = roads.nearest(*at(3000, 0), [at(0, 0)[0]] * 2, [at(0, 0)[1]] * 2, "car", 1)
    assert travel.how.tolist() == [STRAIGHT, STRAIGHT]
    assert np.all(np.isfinite(travel.drive_s))


def test_the_straight_estimate_does_not_promise_too_much(porto):
    seed = 21
    rng = np.random.default_rng(seed)
    lon, lat = scatter(porto, "ambulance", rng, 400)
    travel = porto.nearest(lon[0], lat[0], lon, lat, "ambulance", straight=False)
    estimate_s = haversine_m(lon[0], lat[0], lon, lat) * STRAIGHT_DETOUR / (30 / 3.6)
    assert np.median(estimate_s[travel.road] / travel.drive_s[travel.road]) > 1.0, f"seed {seed}"


def test_what_is_no_position_never_harms_the_others(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    good = at(100, 0)
    lons, lats = [np.nan, good[0], np.inf, 400.0, good[0]], [good[1], good[1], good[1], good[1], -91.0]
    for profile in (*NETWORK_OF, "air"):
        how = roads.nearest(*at(200, 0), lons, lats, profile).how.tolist()
        assert [how[0], *how[2:]] == [NO_POSITION] * 4
        assert how[1] == (STRAIGHT if profile == "air" else ROAD)
    nowhere = roads.nearest(np.nan, 45.0, lons, lats, "car")
    assert np.all(np.isinf(nowhere.drive_s))
    assert set(nowhere.how.tolist()) == {NO_POSITION}


def test_no_units_no_answer_and_wrong_questions_are_refused(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    assert len(roads.nearest(*at(0, 0), [], [], "car").drive_s) == 0
    with pytest.raises(ValueError, match="unknown profile"):
        roads.nearest(*at(0, 0), [0.0], [0.0], "submarine")
    with pytest.raises(ValueError, match="one length"):
        roads.nearest(*at(0, 0), [0.0, 1.0], [0.0], "car")


def test_a_helicopter_flies_straight(tmp_path):
    roads = graph(tmp_path, one_way_ring())
    travel = roads.nearest(*at(0, 0), [at(6000, 0)[0]], [at(6000, 0)[1]], "air", 1)
    assert travel.distance_m[0] == pytest.approx(6000, rel=1e-3)
    assert travel.drive_s[0] == pytest.approx(100, rel=1e-3)
    assert not travel.road[0]


def test_snaps_made_before_give_the_same_answer(helsinki):
    seed = 4
    lon, lat = scatter(helsinki, "car", np.random.default_rng(seed), 60)
    fresh = helsinki.nearest(lon[0], lat[0], lon, lat, "car")
    again = helsinki.nearest(lon[0], lat[0], lon, lat, "car", snaps=helsinki.snap(lon, lat, "car"))
    assert np.array_equal(fresh.drive_s, again.drive_s)


def test_threads_that_search_at_once_do_not_disturb_each_other(helsinki):
    seed = 6
    rng = np.random.default_rng(seed)
    lon, lat = scatter(helsinki, "car", rng, 200)
    alone = [helsinki.nearest(lon[i], lat[i], lon, lat, "car", 1 + i).drive_s for i in range(40)]
    wrong: list[int] = []

    def search() -> None:
        for i in range(40):
            if not np.array_equal(helsinki.nearest(lon[i], lat[i], lon, lat, "car", 1 + i).drive_s, alone[i]):
                wrong.append(i)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"seed {seed}"


def test_after_the_warm_up_no_request_compiles(helsinki):
    from gis import travel

    helsinki.warm_up()
    compiled = [len(kernel.signatures) for kernel in (travel._snap, travel._search)]
    lon, lat = scatter(helsinki, "bus", np.random.default_rng(1), 30)
    helsinki.nearest(24.94, 60.17, lon, lat, "bus", 3)
    helsinki.nearest(np.float32(24.94), 60, lon.tolist(), lat.astype(np.float32), "foot")
    helsinki.route(24.94, 60.17, 24.95, 60.17, "ambulance")
    assert [len(kernel.signatures) for kernel in (travel._snap, travel._search)] == compiled


def test_a_unit_in_the_same_yard_walks_over_instead_of_going_round_by_the_street(
    helsinki: RoadGraph,
) -> None:
    # Given a yard about 90 m from the nearest street, with the incident and a unit 20 m apart in it
    lon, lat = 24.9412, 60.1745
    beside = lat + 20 / 111_195
    # When the time is asked for with and without the right to walk over
    round_trip = helsinki.nearest(lon, lat, [lon], [beside], "car")
    across = helsinki.nearest(lon, lat, [lon], [beside], "car", walk_within_m=THERE_M)
    # Then walking is the shorter way, and a unit out of that reach is not touched by it
    assert across.drive_s[0] == pytest.approx(20 / SCENE_ACCESS_MPS, rel=0.01)
    assert across.drive_s[0] < round_trip.drive_s[0]
    far = helsinki.nearest(lon, lat, [24.95], [60.166], "car", walk_within_m=THERE_M)
    assert far.drive_s[0] == helsinki.nearest(lon, lat, [24.95], [60.166], "car").drive_s[0]
