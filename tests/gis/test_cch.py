"""Contraction hierarchies against plain searches that know nothing of them."""

import heapq
import threading
import unittest.mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from gis.cch import INF, Hierarchy
from gis.city import import_city
from gis.roads import IMPASSABLE, MODES, contraction_order, is_order, load_network
from gis.travel import ROAD, SCENE_ACCESS_MPS, UNIT_ACCESS_MPS, RoadGraph
from tests.gis.small_city import at, extract
from tests.gis.test_travel import random_town, scatter


@pytest.fixture(scope="module")
def liechtenstein(imported):
    return imported(extract("liechtenstein"), "liechtenstein")


# ---- graphs drawn by chance


@st.composite
def graphs(draw):
    """(nodes, tails, heads, bars, a sequence of milliseconds by arc): loops, parallel arcs, closed arcs and
    islands all occur; entry j is of arc j."""
    nodes = draw(st.integers(1, 14))
    size = draw(st.integers(0, 40))
    node = st.integers(0, nodes - 1)
    tails = draw(st.lists(node, min_size=size, max_size=size))
    heads = draw(st.lists(node, min_size=size, max_size=size))
    bars = draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), min_size=size, max_size=size))
    time = st.one_of(
        st.just(IMPASSABLE), st.integers(1, 50), st.sampled_from([1, 10**9, INF - 1, INF, 2**32 - 2])
    )
    times = draw(st.lists(st.lists(time, min_size=size, max_size=size), min_size=1, max_size=4))
    order = draw(st.permutations(range(nodes)))
    return nodes, tails, heads, bars, times, order


def plainly(nodes, tails, heads, bars, bar, ms, start):
    """Dijkstra, as plain as it gets: whole milliseconds to each node, inf where there is no way."""
    least, heap = {}, [(0, start)]
    while heap:
        cost, node = heapq.heappop(heap)
        if node in least:
            continue
        least[node] = cost
        for tail, head, barred, t in zip(tails, heads, bars, ms, strict=True):
            if tail == node and t != IMPASSABLE and not barred & bar and cost + t < INF:
                heapq.heappush(heap, (cost + t, head))
    return [least.get(node, np.inf) for node in range(nodes)]


def each(nodes, ms=0.0):
    """Every node as a place of its own."""
    return (
        np.arange(nodes + 1, dtype=np.int32), np.arange(nodes, dtype=np.int32), np.full(nodes, float(ms)),
    )  # fmt: skip


@given(graphs(), st.sampled_from([1, 2]))
@settings(max_examples=150, deadline=None, print_blob=True)
def test_whatever_is_closed_the_times_are_those_of_a_plain_search(graph, bar):
    # given a network with its nodes in any order at all
    nodes, tails, heads, bars, times, order = graph
    columns = (np.array(tails, dtype=np.int32), np.array(heads, dtype=np.int32))
    entries = (np.arange(len(tails), dtype=np.int32), np.array(bars, dtype=np.uint8))
    hierarchy = Hierarchy(np.array(order, dtype=np.uint32), *columns, *entries)
    # when streets close and open again, each time on the metric of the time before
    for ms in times:
        held = np.array(ms, dtype=np.uint32)
        metric = hierarchy.borrow(held, bar)
        anew = Hierarchy(np.array(order, dtype=np.uint32), *columns, *entries).borrow(held, bar)
        # then it is as if it had been made anew, and the times are those of the plain search, both ways
        assert np.array_equal(metric.weight, anew.weight)
        truth = np.array([plainly(nodes, tails, heads, bars, bar, ms, start) for start in range(nodes)])
        assert np.array_equal(hierarchy.between(metric, each(nodes), each(nodes), outward=True), truth)
        back = hierarchy.between(metric, each(nodes), each(nodes), outward=False)
        assert np.array_equal(back.T, truth)
        # and each way that is told is a way, and as long as it is told to be
        for start, goal in ((0, nodes - 1), (nodes - 1, 0)):
            way = hierarchy.way(
                metric, np.array([start]), np.array([0.25]), np.array([goal]), np.array([0.5])
            )
            if np.isinf(truth[start, goal]):
                assert way is None
                continue
            took_ms, _, _, steps = way
            assert took_ms == truth[start, goal] + 0.75
            assert sum(ms[j] for j in steps) == truth[start, goal]
            places = [start, *(heads[j] for j in steps)]
            assert [tails[j] for j in steps] == places[:-1]
            assert places[-1] == goal
            assert not any(bars[j] & bar for j in steps)
        hierarchy.give_back(metric, bar)


@given(graphs(), st.data())
@settings(max_examples=100, deadline=None, print_blob=True)
def test_what_is_laid_over_the_roads_comes_off_again_without_a_trace(graph, data):
    # given roads as they lie, and several views with something on some of them
    _, tails, heads, bars, times, order = graph
    columns = (np.array(tails, dtype=np.int32), np.array(heads, dtype=np.int32))
    entries = (np.arange(len(tails), dtype=np.int32), np.array(bars, dtype=np.uint8))
    hierarchy = Hierarchy(np.array(order, dtype=np.uint32), *columns, *entries)
    views = [np.array(ms, dtype=np.uint32) for ms in times]
    beneath, lent = views[0], []
    anew = [Hierarchy(np.array(order, dtype=np.uint32), *columns, *entries).borrow(ms, 1) for ms in views]
    # when they are asked about in any order, some while others are still in use
    for which in data.draw(st.lists(st.integers(0, len(views) - 1), max_size=12)):
        ms = views[which]
        is_told = data.draw(st.booleans())
        changed = np.flatnonzero(ms != beneath) if is_told else None
        metric = hierarchy.borrow(ms, 1, beneath, changed)
        lent.append((metric, which))
        # then each has the times of its own view, and so have those that others hold
        for held, of in lent:
            assert np.array_equal(held.weight, anew[of].weight)
        if data.draw(st.booleans()):
            hierarchy.give_back(lent.pop(data.draw(st.integers(0, len(lent) - 1)))[0], 1)


@given(graphs(), st.sampled_from([1, 2]), st.integers(1, 4))
@settings(max_examples=150, deadline=None, print_blob=True)
def test_what_is_kept_of_nodes_holds_until_the_roads_are_others(graph, bar, at_once):
    """Also where more nodes are asked about than are learnt at once, or than there is room for."""
    nodes, tails, heads, bars, times, order = graph
    hierarchy = Hierarchy(
        np.array(order, dtype=np.uint32), np.array(tails, dtype=np.int32), np.array(heads, dtype=np.int32),
        np.arange(len(tails), dtype=np.int32), np.array(bars, dtype=np.uint8),
    )  # fmt: skip
    here = np.arange(nodes, dtype=np.int32)
    with (
        unittest.mock.patch("gis.cch.LABELLED_AT_ONCE", at_once),
        unittest.mock.patch("gis.cch.LABELS_MAX", max(at_once, nodes - 2)),
    ):
        for ms in times:
            truth = np.array([plainly(nodes, tails, heads, bars, bar, ms, start) for start in range(nodes)])
            metric = hierarchy.borrow(np.array(ms, dtype=np.uint32), bar)
            for turn in range(3):
                for goal in range(nodes):
                    # when one asks for the way to a place of two nodes, from some nodes and then from all
                    other = (goal + turn) % nodes
                    two = np.array([0, 2], dtype=np.int32), np.array([goal, other], dtype=np.int32)
                    some = here[goal:] if turn == 0 else here
                    found = hierarchy.toward(metric, (*two, np.array([0.25, 1.5])), some)
                    # then the times are those of the plain search on the roads of now
                    by_either = np.minimum(truth[:, goal] + 0.25, truth[:, other] + 1.5)[some]
                    assert np.array_equal(found, np.where(by_either < INF, by_either, np.inf))
            hierarchy.give_back(metric, bar)


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, print_blob=True)
def test_a_place_may_be_several_nodes_each_some_time_away(graph, seed):
    nodes, tails, heads, bars, times, order = graph
    rng = np.random.default_rng(seed)
    hierarchy = Hierarchy(
        np.array(order, dtype=np.uint32), np.array(tails, dtype=np.int32), np.array(heads, dtype=np.int32),
        np.arange(len(tails), dtype=np.int32), np.array(bars, dtype=np.uint8),
    )  # fmt: skip
    metric = hierarchy.borrow(np.array(times[0], dtype=np.uint32), 1)

    def places(many):
        sizes = rng.integers(0, 4, many)
        first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
        total = int(sizes.sum())
        return first, rng.integers(0, nodes, total).astype(np.int32), rng.integers(0, 80, total) / 4

    few, many = places(6), places(9)
    found = hierarchy.between(metric, few, many, outward=True)
    truth = np.array([plainly(nodes, tails, heads, bars, 1, times[0], start) for start in range(nodes)])
    for i in range(6):
        for j in range(9):
            ways = [
                few[2][a] + truth[few[1][a], many[1][b]] + many[2][b]
                for a in range(few[0][i], few[0][i + 1])
                for b in range(many[0][j], many[0][j + 1])
            ]
            assert found[i, j] == min((ms for ms in ways if ms < INF), default=np.inf), f"seed {seed}"


def test_an_order_names_every_node_once():
    rng = np.random.default_rng(1)
    tail, head = rng.integers(0, 60, 200), rng.integers(0, 60, 200)
    order = contraction_order(tail, head, rng.uniform(0, 1, 60), rng.uniform(0, 1, 60))
    assert order is not None
    assert is_order(order, 60)
    assert is_order(contraction_order(tail[:0], head[:0], np.zeros(3), np.zeros(3)), 3)
    assert not is_order(np.array([0, 1, 1], dtype=np.uint32), 3)
    assert not is_order(np.array([0, 1, 3], dtype=np.uint32), 3)


# ---- real cities


def with_closures(roads, profile, rng):
    """A view with streets closed here and there and all of a neighbourhood, others slow."""
    ms = roads.ms(profile).copy()
    a = roads.arrays(profile)
    shut = rng.choice(len(ms), len(ms) // 200, replace=False)
    first = a["point_first"][:-1]
    middle = rng.integers(0, len(first))
    away = np.hypot(
        a["point_lon_e7"][first] - float(a["point_lon_e7"][first[middle]]),
        a["point_lat_e7"][first] - float(a["point_lat_e7"][first[middle]]),
    )
    near = np.argsort(away)[: len(first) // 100]
    slow = rng.choice(len(ms), len(ms) // 20, replace=False)
    ms[slow] = np.where(ms[slow] == IMPASSABLE, IMPASSABLE, ms[slow] * 3)
    ms[shut], ms[2 * near], ms[2 * near + 1] = IMPASSABLE, IMPASSABLE, IMPASSABLE
    return roads.with_ms({profile: ms}, version=int(rng.integers(1, 2**31)))


def plain_times(roads, units, scenes, profile):
    """The oracle: SciPy's Dijkstra over the entries, and the two ends done by hand."""
    a, ms = roads.arrays(profile), roads.ms(profile).astype(np.float64)
    bar = 1 << MODES.index(profile)
    nodes = len(a["copy_next"])
    head = np.repeat(np.arange(nodes), np.diff(a["in_first"]))
    open_ = (roads.ms(profile)[a["in_arc"]] != IMPASSABLE) & ((a["in_bars"] & bar) == 0)
    arc, tail, head = a["in_arc"][open_], a["in_tail"][open_], head[open_]
    # SciPy adds up what is given twice: keep the quickest of parallel arcs.
    by_time = np.lexsort((ms[arc], head, tail))
    tail, head, cost = tail[by_time], head[by_time], ms[arc][by_time]
    once = np.concatenate(([True], (np.diff(tail) != 0) | (np.diff(head) != 0)))
    network = csr_matrix((cost[once], (tail[once], head[once])), shape=(nodes, nodes))
    goals = [
        [
            (int(t), share * ms[g])
            for g, share in ((2 * e, s), (2 * e + 1, 1 - s))
            for t in tail_of(arc, a, open_, g)
        ]
        if e >= 0
        else []
        for e, s in zip(scenes.edge.tolist(), scenes.fraction.tolist(), strict=True)
    ]
    found = np.full((len(units.edge), len(scenes.edge)), np.inf)
    is_open = roads.ms(profile) != IMPASSABLE
    for i, (e, f) in enumerate(zip(units.edge.tolist(), units.fraction.tolist(), strict=True)):
        if e < 0:
            continue
        least = np.full(nodes, np.inf)
        for out, share in ((2 * e, 1 - f), (2 * e + 1, f)):
            if is_open[out]:
                least = np.minimum(
                    least, share * ms[out] + dijkstra(network, indices=int(a["arc_head"][out]))
                )
        for j, (g, s) in enumerate(zip(scenes.edge.tolist(), scenes.fraction.tolist(), strict=True)):
            ways = [least[t] + t_ms for t, t_ms in goals[j]]
            if g == e and is_open[2 * e] and s >= f:
                ways.append((s - f) * ms[2 * e])
            if g == e and is_open[2 * e + 1] and s <= f:
                ways.append((f - s) * ms[2 * e + 1])
            found[i, j] = min(ways, default=np.inf)
    return found / 1000 + units.away_m[:, None] / UNIT_ACCESS_MPS + scenes.away_m / SCENE_ACCESS_MPS


def tail_of(arc, a, open_, wanted):
    return a["in_tail"][open_][arc == wanted]


@pytest.mark.parametrize("city", ["helsinki", "liechtenstein", "porto_folder"])
def test_in_real_cities_with_closures_the_times_are_those_of_a_plain_search(city, request):
    roads = RoadGraph.open(request.getfixturevalue(city))
    assert "order" in roads.arrays("car")
    seed = 17
    rng = np.random.default_rng(seed)
    view = roads
    for profile in ("ambulance_priority", "fire_engine"):
        for _ in range(2):
            view = with_closures(view, profile, rng)
            lon, lat = scatter(roads, profile, rng, 24)
            # two at one spot, and one on the incident's own street
            lon[1], lat[1], lon[2] = lon[0], lat[0], lon[23] + 1e-5
            units = view.snap(lon[:10], lat[:10], profile)
            scenes = view.snap(lon[10:], lat[10:], profile, arriving=True)
            found, truth = view.times(units, scenes, profile), plain_times(view, units, scenes, profile)
            assert np.array_equal(np.isinf(found), np.isinf(truth)), f"seed {seed}"
            assert np.isfinite(found).mean() > 0.5
            is_way = np.isfinite(truth)
            # float32 holds an hour to a quarter of a millisecond
            assert found[is_way] == pytest.approx(truth[is_way], rel=1e-7, abs=1e-3), f"seed {seed}"
            # the other way round it is the few that are searched from
            turned = view.times(
                view.snap(lon[10:], lat[10:], profile),
                view.snap(lon[:10], lat[:10], profile, arriving=True),
                profile,
            )
            assert turned.shape == (14, 10)


def test_the_k_nearest_are_the_least_of_all_times(porto_folder):
    roads = with_closures(RoadGraph.open(porto_folder), "ambulance", np.random.default_rng(2))
    seed = 8
    rng = np.random.default_rng(seed)
    lon, lat = scatter(roads, "ambulance", rng, 300)
    units = roads.snap(lon, lat, "ambulance")
    for i in range(0, 300, 50):
        scene = roads.snap([lon[i]], [lat[i]], "ambulance", arriving=True)
        every = roads.times(units, scene, "ambulance")[:, 0]
        five = roads.nearest(lon[i], lat[i], lon, lat, "ambulance", 5, straight=False, snaps=units)
        near = np.flatnonzero(five.how == ROAD)
        assert five.drive_s[near] == pytest.approx(every[near], abs=1e-3), f"seed {seed}"
        assert np.sort(five.drive_s[near]) == pytest.approx(np.sort(every)[: len(near)], abs=1e-3), (
            f"seed {seed}"
        )


def test_without_the_order_everything_is_the_same_and_slower(tmp_path):
    # given one city twice, the second without what hurries the search, a third with nonsense in its place
    rng = np.random.default_rng(3)
    file = random_town(rng).write(tmp_path / "town.osm.pbf")
    for name in ("with", "without", "nonsense"):
        import_city(file, tmp_path, name)
    (tmp_path / "without" / "roads" / "drive" / "order.npy").unlink()
    order = load_network(tmp_path / "with" / "roads" / "drive")["order"]
    np.save(tmp_path / "nonsense" / "roads" / "drive" / "order.npy", np.zeros_like(order))
    cities = [RoadGraph.open(tmp_path / name) for name in ("with", "without", "nonsense")]
    lon, lat = scatter(cities[0], "car", rng, 30)
    lon[3], lat[4] = np.nan, 95.0
    lon[5], lat[5] = at(20_000, 0)
    times, ways = [], []
    for roads in cities:
        units, scenes = roads.snap(lon, lat, "car"), roads.snap(lon[:20], lat[:20], "car", arriving=True)
        times.append((roads.times(units, scenes, "car"), roads.times(units, scenes, "car", limit_s=45.0)))
        ways.append([roads.route(lon[i], lat[i], lon[0], lat[0], "car") for i in range(30)])
    for other in (1, 2):
        assert times[0][0] == pytest.approx(times[other][0], abs=1e-3)
        assert times[0][1] == pytest.approx(times[other][1], abs=1e-3)
        for one, two in zip(ways[0], ways[other], strict=True):
            assert (one.road, one.drive_s) == (two.road, pytest.approx(two.drive_s, abs=1e-3))
    assert np.isinf(times[0][0][3:6]).all()


def test_a_way_that_is_drawn_takes_the_time_that_is_told(porto_folder):
    roads = with_closures(RoadGraph.open(porto_folder), "fire_engine", np.random.default_rng(4))
    seed = 12
    lon, lat = scatter(roads, "fire_engine", np.random.default_rng(seed), 40)
    for i in range(1, 40):
        route = roads.route(lon[i], lat[i], lon[0], lat[0], "fire_engine")
        told = roads.nearest(lon[0], lat[0], [lon[i]], [lat[i]], "fire_engine", straight=False)
        if told.how[0] == ROAD:
            assert route.drive_s == pytest.approx(told.drive_s[0], abs=1e-3), f"seed {seed}"
            assert sum(metres for _, metres in route.streets) == pytest.approx(route.distance_m, rel=1e-6)
            assert len(route.at_s) == len(route.points)
            rolling_s = route.drive_s - sum(
                roads.snap([x], [y], "fire_engine", arriving=arriving).away_m[0] / mps
                for x, y, arriving, mps in (
                    (lon[i], lat[i], False, UNIT_ACCESS_MPS), (lon[0], lat[0], True, SCENE_ACCESS_MPS),
                )
            )  # fmt: skip
            assert route.at_s[-1] == pytest.approx(rolling_s, abs=1e-3), f"seed {seed}"


def test_threads_that_ask_of_different_views_get_each_its_own_times(helsinki):
    seed = 6
    rng = np.random.default_rng(seed)
    city = RoadGraph.open(helsinki)
    lon, lat = scatter(city, "car", rng, 60)
    views = [city, *(with_closures(city, "car", rng) for _ in range(4))]
    asked = [(v, v.snap(lon, lat, "car"), v.snap(lon[:9], lat[:9], "car", arriving=True)) for v in views]
    alone = [view.times(units, scenes, "car") for view, units, scenes in asked]
    wrong: list[int] = []

    def ask(first: int) -> None:
        for turn in range(25):
            which = (first + turn) % len(asked)
            view, units, scenes = asked[which]
            if not np.array_equal(view.times(units, scenes, "car"), alone[which]):
                wrong.append(which)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"seed {seed}"
