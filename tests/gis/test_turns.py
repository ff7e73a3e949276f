"""Turn restrictions: what a driver may not do at a junction, held against a search over whole journeys."""

import heapq
import itertools

import numpy as np
import osmium
import pytest

from gis.city import import_city, open_city
from gis.roads import DRIVE_PROFILES, IMPASSABLE, MODES
from gis.travel import ROAD, SCENE_ACCESS_MPS, UNIT_ACCESS_MPS
from gis.turns import TURN_BACK_M, Restrictions
from tests.gis.small_city import Town, at, extract
from tests.gis.test_travel import random_town, scatter

STREET = {"highway": "residential"}


def crossroads():
    """A crossing, node 5, with an arm in each direction (ways 1 to 4), and a way round from the north's end
    to the east's (way 5) that is a little shorter than going to the end of an arm and turning back.

        3 north
    1 ----5---- 2
        4 south
    """
    town = Town()
    for number, (x, y) in enumerate([(-1200, 0), (900, 0), (0, 300), (0, -1200), (0, 0)], 1):
        town.node(number, x, y)
    for arm in (1, 2, 3, 4):
        town.way([arm, 5], {**STREET, "name": ["West", "East", "North", "South"][arm - 1]})
    town.way([3, 2], {**STREET, "name": "Round"})
    return town


def drive(tmp_path, town):
    (tmp_path / "town.osm.pbf").unlink(missing_ok=True)
    import_city(town.write(tmp_path / "town.osm.pbf"), tmp_path, "town")
    return open_city(tmp_path / "town")


def metres(city, start, end, profile="car"):
    travel = city.roads.nearest(*at(*end), [at(*start)[0]], [at(*start)[1]], profile)
    return float(travel.distance_m[0]) if travel.how[0] == ROAD else np.inf


WEST, EAST, NORTH, SOUTH = (-200, 0), (200, 0), (0, 200), (0, -200)
ROUND_M = float(np.hypot(900, 300))
BY_THE_ROUND_M = 200 + 900 + ROUND_M + 100


def test_no_left_turn_sends_the_driver_another_way(tmp_path):
    # given a sign on the west arm: no left turn to the north
    town = crossroads()
    town.restriction("no_left_turn", 1, 5, 3)
    city = drive(tmp_path, town)
    # then the driver goes on to the east and round by the outer street
    assert metres(city, WEST, NORTH) == pytest.approx(BY_THE_ROUND_M, rel=1e-3)
    way = city.roads.route(*at(*WEST), *at(*NORTH), "car")
    assert [street for street, _ in way.streets] == ["West", "East", "Round", "North"]
    assert way.distance_m == pytest.approx(BY_THE_ROUND_M, rel=1e-3)
    # all else is as it was, also the same turn from the other side
    for start, end in itertools.permutations((WEST, EAST, NORTH, SOUTH), 2):
        if (start, end) != (WEST, NORTH):
            assert metres(city, start, end) == pytest.approx(400, rel=1e-3), (start, end)
    assert city.info.counts["drive_turns"] == city.info.counts["drive_turns_applied"] == 1


def test_only_straight_on_forbids_all_else(tmp_path):
    town = crossroads()
    town.restriction("only_straight_on", 1, 5, 2)
    city = drive(tmp_path, town)
    assert metres(city, WEST, EAST) == pytest.approx(400, rel=1e-3)
    assert metres(city, WEST, NORTH) == pytest.approx(BY_THE_ROUND_M, rel=1e-3)
    # to the south only by turning back at the end of the east arm
    assert metres(city, WEST, SOUTH) == pytest.approx(200 + 900 + 900 + 200, rel=1e-3)


def test_two_only_signs_allow_what_either_allows(tmp_path):
    town = crossroads()
    town.restriction("only_straight_on", 1, 5, 2)
    town.restriction("only_right_turn", 1, 5, 4)
    city = drive(tmp_path, town)
    assert metres(city, WEST, EAST) == pytest.approx(400, rel=1e-3)
    assert metres(city, WEST, SOUTH) == pytest.approx(400, rel=1e-3)
    assert metres(city, WEST, NORTH) == pytest.approx(BY_THE_ROUND_M, rel=1e-3)


def test_no_u_turn_where_the_driver_would_turn_back(tmp_path):
    # given that one must go straight on at the crossing, turning back at the next one is the short way
    town = crossroads()
    town.restriction("only_straight_on", 1, 5, 2)
    assert metres(drive(tmp_path, town), WEST, SOUTH) == pytest.approx(2200, rel=1e-3)
    # unless that is forbidden too: then round the outer street and down from the north
    town.restriction("no_u_turn", 2, 2, 2)
    city = drive(tmp_path, town)
    assert metres(city, WEST, SOUTH) == pytest.approx(200 + 900 + ROUND_M + 300 + 200, rel=1e-3)
    assert city.info.counts["drive_turns_applied"] == 2


def test_no_entry_and_no_exit_bind_every_way_they_name(tmp_path):
    town = crossroads()
    # nobody from the west or the south into the north arm; from the east neither to the south nor the north
    town.relations.append(
        (
            [("from", "w", 1), ("from", "w", 4), ("via", "n", 5), ("to", "w", 3)],
            {"type": "restriction", "restriction": "no_entry"},
        )
    )
    town.relations.append(
        (
            [("from", "w", 2), ("via", "n", 5), ("to", "w", 3), ("to", "w", 4)],
            {"type": "restriction", "restriction": "no_exit"},
        )
    )
    city = drive(tmp_path, town)
    for start in (WEST, SOUTH):
        assert metres(city, start, NORTH) == pytest.approx(BY_THE_ROUND_M, rel=1e-3)
    assert metres(city, EAST, NORTH) == pytest.approx(700 + ROUND_M + 100, rel=1e-3)
    assert metres(city, EAST, SOUTH) > 500
    assert metres(city, EAST, WEST) == pytest.approx(400, rel=1e-3)


@pytest.mark.parametrize(
    ("tags", "bound"),
    [
        ({}, set(MODES)),
        ({"except": "emergency"}, {"car", "ambulance", "fire_engine", "bus"}),
        ({"except": "psv"}, {"car", "ambulance", "fire_engine"}),
        ({"except": "psv;emergency"}, {"car", "ambulance", "fire_engine"}),
        ({"except": "bus"}, {"car", "ambulance", "fire_engine"}),
        ({"except": "motorcar"}, set(MODES) - {"car", "car_priority"}),
        ({"except": "bicycle; hgv"}, set(MODES)),
    ],
)
def test_a_restriction_binds_all_but_those_it_excepts(tmp_path, tags, bound):
    town = crossroads()
    town.restriction("no_left_turn", 1, 5, 3, **tags)
    city = drive(tmp_path, town)
    found = {mode for mode in MODES if metres(city, WEST, NORTH, mode) > 1000}
    # with priority signals one may go where buses may, as on bus lanes; without them one drives like anybody
    assert found == bound
    assert metres(city, WEST, NORTH, "foot") == pytest.approx(400, rel=1e-3)


@pytest.mark.parametrize(
    ("tags", "bound", "outcome"),
    [
        ({"restriction__bus": "no_left_turn"}, {"bus"}, "applied"),
        ({"restriction__psv": "no_left_turn"}, {"bus"}, "applied"),
        ({"restriction__motorcar": "no_left_turn"}, {"car"}, "applied"),
        ({"restriction__motor_vehicle": "no_left_turn"}, set(DRIVE_PROFILES), "applied"),
        ({"restriction__emergency": "no_left_turn"}, set(), "applied"),
        ({"restriction__bicycle": "no_left_turn"}, set(), "others"),
        ({"type": "restriction:bus", "restriction": "no_left_turn"}, {"bus"}, "applied"),
        ({"restriction__conditional": "no_left_turn @ (Mo-Fr 07:00-09:00)"}, set(), "timed"),
        ({"restriction": "no_left_turn", "hour_on": "07:00", "hour_off": "09:00"}, set(), "timed"),
        (
            {"restriction": "no_left_turn", "restriction__conditional": "none @ (22:00-06:00)"},
            set(DRIVE_PROFILES),
            "applied",
        ),
        ({"restriction": "please_mind_the_gap"}, set(), "unclear"),
        ({}, set(), "unclear"),
    ],
)
def test_whom_a_restriction_means_and_what_became_of_it(tmp_path, tags, bound, outcome):
    town = crossroads()
    town.restriction("", 1, 5, 3, **tags)
    city = drive(tmp_path, town)
    assert {p for p in DRIVE_PROFILES if metres(city, WEST, NORTH, p) > 1000} == bound
    if "restriction__emergency" in tags:
        assert metres(city, WEST, NORTH, "ambulance_priority") > 1000
    assert city.info.counts["drive_turns"] == city.info.counts[f"drive_turns_{outcome}"] == 1


def test_an_order_to_drive_where_a_vehicle_may_not_go_is_not_meant_for_it(tmp_path):
    # given that everybody must go straight on into a bus road
    town = crossroads()
    town.ways[1] = ([2, 5], {"highway": "busway", "name": "East"})
    town.restriction("only_straight_on", 1, 5, 2)
    city = drive(tmp_path, town)
    assert metres(city, WEST, NORTH) == pytest.approx(400, rel=1e-3)
    assert metres(city, WEST, NORTH, "bus") > 1000


def test_a_unit_that_stands_on_the_arm_is_bound_and_one_at_the_crossing_is_free(tmp_path):
    town = crossroads()
    town.restriction("no_left_turn", 1, 5, 3)
    city = drive(tmp_path, town)
    # given units on the restricted arm, however near to the crossing
    for x in (-290, -150, -10, -1):
        assert metres(city, (x, 0), NORTH) > 1000, x
    # and incidents on the arm that may not be turned into, at any point of it
    for y in (1, 10, 150, 290):
        assert metres(city, WEST, (0, y)) == pytest.approx(
            min(1100 + ROUND_M + 300 - y, 2000 + y), rel=2e-3
        ), y
    # a unit and an incident on one arm are no business of the crossing's
    assert metres(city, WEST, (-50, 0)) == pytest.approx(150, rel=1e-2)
    assert metres(city, (-50, 0), WEST) == pytest.approx(150, rel=1e-2)


def test_a_restriction_by_way_of_a_street_binds_only_those_who_came_from_the_first(tmp_path):
    # given two carriageways joined by a short link, where turning round over the link is forbidden
    #   1 > 2 > 3      eastbound, ways 1 and 2
    #       |          the link, way 5 (4 and 7 in between), with a lane that joins it at 7
    #   6 < 5 < 4      westbound, ways 4 (5 to 6) and 3
    town = Town()
    for number, (x, y) in enumerate([(0, 60), (300, 60), (600, 60), (600, 0), (300, 0), (0, 0)], 1):
        town.node(number, x, y)
    town.node(7, 300, 30)
    town.node(8, 700, 30)
    primary = {"highway": "primary", "oneway": "yes"}
    town.way([1, 2], primary)
    town.way([2, 3], primary)
    town.way([4, 5], primary)
    town.way([5, 6], primary)
    town.way([2, 7, 5], STREET)
    town.way([7, 8], STREET)
    town.way([3, 4], primary)
    town.way([6, 1], primary)
    town.restriction("no_u_turn", 1, [5], 4)
    city = drive(tmp_path, town)
    start, behind = (100, 60), (200, 0)
    # then it is driven round by the far end
    assert metres(city, start, behind) == pytest.approx(200 + 300 + 60 + 300 + 100, rel=1e-3)
    # but who comes out of the lane on the link may turn into either carriageway
    assert metres(city, (440, 30), behind) == pytest.approx(140 + 30 + 100, rel=1e-3)
    # who comes from the first carriageway may use the link to the lane
    assert metres(city, start, (440, 30)) == pytest.approx(200 + 30 + 140, rel=1e-3)
    # and who starts on the link itself came from nowhere
    assert metres(city, (300, 50), behind) == pytest.approx(50 + 100, rel=1e-3)
    assert city.info.counts["drive_turns_applied"] == 1


def test_nobody_gets_round_a_sign_by_turning_back_behind_the_crossing(tmp_path):
    # given a lane 30 m behind the crossing, which makes a junction there
    town = crossroads()
    town.node(7, 30, 0)
    town.node(8, 30, 500)
    town.ways[1] = ([2, 7, 5], town.ways[1][1])
    town.way([7, 8], {**STREET, "name": "Lane"})
    town.restriction("no_left_turn", 1, 5, 3)
    city = drive(tmp_path, town)
    # then nobody turns back there to make two right turns of it
    assert metres(city, WEST, NORTH) == pytest.approx(200 + 30 + 1000 + 30 + 200, rel=1e-3)
    # but at the end of the lane, where the road ends, they may; and those who did not come by the sign
    # are not concerned: turning back is never quicker for them
    assert [street for street, _ in city.roads.route(*at(*WEST), *at(*NORTH), "car").streets] == [
        "West", "East", "Lane", "East", "North",
    ]  # fmt: skip
    # when there is another junction 200 m on, far enough to turn round in, that is quicker
    town.node(9, 230, 0)
    town.node(10, 230, 50)
    town.ways[1] = ([2, 9, 7, 5], town.ways[1][1])
    town.way([9, 10], STREET)
    city = drive(tmp_path, town)
    assert metres(city, WEST, NORTH) == pytest.approx(200 + 230 + 230 + 200, rel=1e-3)


def test_a_way_that_was_not_cut_at_the_junction_is_read_by_the_turn_s_name(tmp_path):
    # given a main street in one piece, and a sign at its side street's mouth: no left turn
    town = Town()
    for number, (x, y) in enumerate([(-300, 0), (0, 0), (300, 0), (0, -300), (-300, -300)], 1):
        town.node(number, x, y)
    town.way([1, 2, 3], {**STREET, "name": "Main"})
    town.way([4, 2], {**STREET, "name": "Side"})
    town.way([4, 5, 1], {**STREET, "name": "Round"})
    town.restriction("no_left_turn", 2, 2, 1)
    city = drive(tmp_path, town)
    assert metres(city, (0, -100), (-100, 0)) > 500
    assert metres(city, (0, -100), (100, 0)) == pytest.approx(200, rel=1e-2)
    # and one whose name tells nothing is counted as unclear, not guessed
    town.relations[0] = (town.relations[0][0], {"type": "restriction", "restriction": "no_entry"})
    city = drive(tmp_path, town)
    assert city.info.counts["drive_turns_unclear"] == 1
    assert metres(city, (0, -100), (-100, 0)) == pytest.approx(200, rel=1e-2)


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ([], "unclear"),
        ([("via", "n", 5)], "unclear"),
        ([("from", "w", 1), ("to", "w", 3)], "unclear"),
        ([("from", "w", 1), ("via", "n", 5), ("via", "n", 2), ("to", "w", 3)], "unclear"),
        ([("from", "w", 1), ("via", "r", 5), ("to", "w", 3)], "unclear"),
        ([("from", "w", 99), ("via", "n", 5), ("to", "w", 3)], "absent"),
        ([("from", "w", 1), ("via", "n", 5), ("to", "w", 99)], "absent"),
        ([("from", "w", 1), ("via", "n", 99), ("to", "w", 3)], "absent"),
        ([("from", "w", 1), ("via", "n", 2), ("to", "w", 3)], "absent"),
        ([("from", "w", 1), ("via", "w", 99), ("to", "w", 3)], "absent"),
        ([("from", "w", 1), ("via", "w", 5), ("to", "w", 3)], "unclear"),
        ([("from", "w", 1), ("via", "w", 2), ("to", "w", 2)], "unclear"),
        ([("from", "w", 1), ("via", "n", 5), ("to", "w", 1)], "applied"),
        ([("from", "w", 2**60), ("via", "n", -7), ("to", "w", -3)], "absent"),
        ([("", "w", 1), ("from", "w", 1), ("via", "n", 5), ("to", "w", 3), ("note", "n", 1)], "applied"),
    ],
)
def test_a_restriction_that_lost_members_or_makes_no_sense_harms_nothing(tmp_path, members, outcome):
    town = crossroads()
    town.relations.append((members, {"type": "restriction", "restriction": "no_left_turn"}))
    city = drive(tmp_path, town)
    assert city.info.counts[f"drive_turns_{outcome}"] == 1
    if outcome != "applied":
        assert metres(city, WEST, NORTH) == pytest.approx(400, rel=1e-3)


def test_what_is_no_restriction_is_not_counted():
    found = Restrictions([("motorcar", "access")])
    found.add(1, {"type": "route", "restriction": "no_left_turn"}, [("from", "w", 1)])
    found.add(2, {}, [])
    assert found.counts()["turns"] == 0


# -- held against a slow search over journeys ---------------------------------------------------------


def slow_drive_s(roads, profile, scene, units, forbidden):
    """The oracle: a forward search whose states are the last arcs driven, so that every forbidden sequence of
    arcs can be seen in them. Knows nothing of copies of junctions."""
    a = roads.arrays(profile)
    ms = roads.ms(profile)
    ends = [(int(u), int(v)) for u, v in zip(a["edge_tail"], a["edge_head"], strict=True)]
    starts_at = {}
    for edge, (u, v) in enumerate(ends):
        starts_at.setdefault(u, []).append(2 * edge)
        starts_at.setdefault(v, []).append(2 * edge + 1)
    begun = {sequence[:n] for sequence in forbidden for n in range(1, len(sequence))}

    first = {sequence[0] for sequence in begun}

    def since_begun(driven):
        """(where it began a forbidden sequence, how much it drove of it, what it drove since), for each that
        was begun less than 100 m ago."""
        for n in (n for n, arc in enumerate(driven) if arc in first):
            for m in range(n + 1, len(driven) + 1):
                if driven[n:m] in begun:
                    since = driven[m:]
                    straight = all(one != other ^ 1 for one, other in itertools.pairwise(driven[m - 1 :]))
                    if straight and sum(float(a["edge_m"][arc >> 1]) for arc in since) < TURN_BACK_M:
                        yield n, driven[n:m], since

    def is_turning_back(driven):
        last = driven[-1]
        outs = starts_at[ends[last >> 1][0 if last & 1 else 1]]
        return any(since or len(begun) > 1 for _, begun, since in since_begun(driven)) and any(
            arc != last ^ 1 and ms[arc] != IMPASSABLE for arc in outs
        )

    def remembered(driven):
        """The end of the journey that can still matter."""
        return driven[min((n for n, _, _ in since_begun(driven)), default=len(driven) - 1) :]

    at_scene, at_unit = roads.snap(*scene, profile, arriving=True), roads.snap(*units, profile)
    e, s = int(at_scene.edge[0]), float(at_scene.fraction[0])
    access_s = at_unit.away_m / UNIT_ACCESS_MPS + at_scene.away_m[0] / SCENE_ACCESS_MPS
    found = np.full(len(at_unit.edge), np.inf)
    for i, (f, t) in enumerate(zip(at_unit.edge.tolist(), at_unit.fraction.tolist(), strict=True)):
        best, done, heap = np.inf, set(), []
        for arc, share in ((2 * f, 1 - t), (2 * f + 1, t)):
            if ms[arc] != IMPASSABLE:
                heapq.heappush(heap, (share * float(ms[arc]), (arc,)))
                ahead = (s - t) if arc & 1 == 0 else (t - s)
                if f == e and ahead >= 0:
                    best = min(best, ahead * float(ms[arc]))
        while heap and heap[0][0] < best:
            cost, driven = heapq.heappop(heap)
            if driven in done:
                continue
            done.add(driven)
            last = driven[-1]
            for arc in starts_at[ends[last >> 1][0 if last & 1 else 1]]:
                whole = (*driven, arc)
                if ms[arc] == IMPASSABLE or any(whole[n:] in forbidden for n in range(len(whole))):
                    continue
                if arc == last ^ 1 and is_turning_back(driven):
                    continue
                if arc >> 1 == e:
                    best = min(best, cost + (s if arc & 1 == 0 else 1 - s) * float(ms[arc]))
                heapq.heappush(heap, (cost + float(ms[arc]), remembered(whole)))
        found[i] = best / 1000
    return found + access_s


def arcs_by_way(roads, profile, way):
    a = roads.arrays(profile)
    return [2 * int(e) for e in np.flatnonzero(a["edge_way"] == way)]


@pytest.mark.parametrize("seed", range(8))
def test_times_equal_a_search_over_journeys_in_towns_with_signs_drawn_by_chance(tmp_path, seed):
    rng = np.random.default_rng(1000 + seed)
    town = random_town(rng)
    ends = {number: (nodes[0], nodes[-1]) for number, (nodes, _) in enumerate(town.ways, 1)}
    forbidden, allowed = set(), {}

    def arc(way, towards):
        """Each way of this town is one edge, so way and direction name the arc: by the way, not by number."""
        return way, ends[way].index(towards)

    def out_of(node):
        return [(way, 1 - pair.index(node)) for way, pair in ends.items() if node in pair]

    # given some sixty signs of every sort
    for _ in range(60):
        via = int(rng.integers(1, 50))
        arms = [way for way, pair in ends.items() if via in pair]
        if len(arms) < 2:
            continue
        come, go = (int(way) for way in rng.choice(arms, 2, replace=False))
        sort = rng.choice(
            ["no_left_turn", "no_u_turn", "only_straight_on", "by way"], p=[0.5, 0.1, 0.15, 0.25]
        )
        if sort == "no_left_turn":
            town.restriction("no_left_turn", come, via, go)
            forbidden.add((arc(come, via), (go, 1 - ends[go].index(via))))
        elif sort == "no_u_turn":
            town.restriction("no_u_turn", come, via, come)
            forbidden.add((arc(come, via), (come, 1 - ends[come].index(via))))
        elif sort == "only_straight_on":
            if town.ways[go - 1][1]["oneway"] == ("yes", "-1")[ends[go].index(via) == 0]:
                continue  # it points into a one-way street's mouth: nobody is bound
            town.restriction("only_straight_on", come, via, go)
            allowed.setdefault(arc(come, via), set()).add((go, 1 - ends[go].index(via)))
        else:
            far = ends[go][1 - ends[go].index(via)]
            further = [way for way, pair in ends.items() if far in pair and way not in (go, come)]
            if not further or ends[come] == ends[go]:
                continue
            last = int(rng.choice(further))
            town.restriction("no_u_turn", come, [go], last)
            forbidden.add(((arc(come, via)), (go, ends[go].index(far)), (last, 1 - ends[last].index(far))))
    for come, outs in allowed.items():
        node = ends[come[0]][come[1]]
        forbidden |= {(come, out) for out in out_of(node) if out not in outs}
    city = drive(tmp_path, town)
    roads = city.roads
    assert city.info.counts["drive_turns_unclear"] == 0
    assert city.info.counts["drive_turns_applied"] > 15
    for profile in ("car", "fire_engine"):
        edge_of = {int(way): edge for edge, way in enumerate(roads.arrays(profile)["edge_way"])}
        # direction 1 is towards the way's last node, which is along it
        barred = {
            tuple(2 * edge_of[way] + (0 if towards == 1 else 1) for way, towards in turns)
            for turns in forbidden
        }
        # a sign at the mouth of a one-way street that comes out there binds nobody
        ms = roads.ms(profile)
        barred = {arcs for arcs in barred if all(ms[arc] != IMPASSABLE for arc in arcs)}
        lon, lat = scatter(roads, profile, rng, 30)
        scene = (float(lon[0]), float(lat[0]))
        lon[1:4], lat[1:4] = lon[0] + rng.normal(0, 2e-4, 3), lat[0] + rng.normal(0, 2e-4, 3)
        ours = roads.nearest(*scene, lon, lat, profile, straight=False).drive_s
        truth = slow_drive_s(roads, profile, scene, (lon, lat), barred)
        assert ours == pytest.approx(truth, rel=1e-6, abs=1e-3), f"seed {seed}, profile {profile}"
        # and the routes that are drawn keep the rules they were timed by
        for i in range(1, 30):
            route = roads.route(lon[i], lat[i], *scene, profile)
            if route.road:
                assert route.drive_s == pytest.approx(ours[i], rel=1e-6), f"seed {seed}, row {i}"
                line_m = sum(piece_m for _, piece_m in route.streets)
                assert line_m == pytest.approx(route.distance_m, rel=1e-3, abs=1), f"seed {seed}, row {i}"


def read_restrictions(file, profile):
    """(only, from way, via node, to way) of an extract, read in the plainest way there is."""
    exempting = {"car": {"motorcar", "motor_vehicle", "vehicle"}, "ambulance": {"emergency", "bus", "psv"}}
    found = []
    for thing in osmium.FileProcessor(str(file)):
        tags = {tag.k: tag.v for tag in thing.tags}
        if thing.is_relation() and tags.get("type") == "restriction" and "hour_on" not in tags:
            if set(tags.get("except", "").split(";")) & exempting[profile]:
                continue
            role = {member.role: member.ref for member in thing.members}
            found.append((tags["restriction"].startswith("only"), role["from"], role["via"], role["to"]))
    return found


@pytest.mark.parametrize("profile", ["car", "ambulance"])
def test_times_equal_a_search_over_journeys_in_helsinki(tmp_path, profile):
    source = extract("helsinki")
    import_city(source, tmp_path, "helsinki")
    city = open_city(tmp_path / "helsinki")
    counts = city.info.counts
    # 45 signs: one with hours, two on roads that the extract or our vehicles do not have
    assert (counts["drive_turns"], counts["drive_turns_applied"], counts["drive_turns_timed"]) == (45, 42, 1)
    roads, rng = city.roads, np.random.default_rng(31)
    a = roads.arrays(profile)
    where = {n.id: (n.location.x, n.location.y) for n in osmium.FileProcessor(str(source), osmium.osm.NODE)}
    first, last = a["point_first"][:-1], a["point_first"][1:] - 1
    tail_at = list(zip(a["point_lon_e7"][first].tolist(), a["point_lat_e7"][first].tolist(), strict=True))
    head_at = list(zip(a["point_lon_e7"][last].tolist(), a["point_lat_e7"][last].tolist(), strict=True))
    ms = roads.ms(profile)

    def arcs(way, into=None, out_of=None):
        """The way's open arcs into or out of a place."""
        found = []
        for e in range(len(tail_at)):
            for number, start, end in ((2 * e, tail_at[e], head_at[e]), (2 * e + 1, head_at[e], tail_at[e])):
                meets = (into is not None and end == into) or (out_of is not None and start == out_of)
                if meets and ms[number] != IMPASSABLE and (way is None or a["edge_way"][e] == way):
                    found.append(number)
        return found

    forbidden, kept = set(), 0
    for only, come, via, go in read_restrictions(source, profile):
        spot = where.get(via)
        pairs = list(itertools.product(arcs(come, into=spot), arcs(go, out_of=spot))) if spot else []
        if come == go:
            pairs = [(one, other) for one, other in pairs if one == other ^ 1]
        if not pairs:
            continue
        kept += 1
        assert len(pairs) == 1, (come, via, go)
        one, other = pairs[0]
        outs = [out for out in arcs(None, out_of=spot) if out != other] if only else [other]
        forbidden |= {(one, out) for out in outs}
    assert kept > 35
    lon, lat = scatter(roads, profile, rng, 40)
    changed = 0
    for i in range(2):
        scene = (float(lon[i]), float(lat[i]))
        ours = roads.nearest(*scene, lon, lat, profile, straight=False).drive_s
        truth = slow_drive_s(roads, profile, scene, (lon, lat), forbidden)
        assert ours == pytest.approx(truth, rel=1e-6, abs=1e-3), f"scene {i}"
        free = slow_drive_s(roads, profile, scene, (lon, lat), set())
        changed += int((truth > free + 0.5).sum())
    assert changed > 10, "the restrictions should matter to some of these journeys"


@pytest.mark.data("porto.osm.pbf")
def test_porto_s_restrictions_are_kept_and_counted(porto_folder):
    city = open_city(porto_folder)
    counts = city.info.counts
    assert counts["drive_turns"] == 357
    assert counts["drive_turns_applied"] >= 325
    told = ("applied", "timed", "others", "absent", "unclear")
    assert sum(counts[f"drive_turns_{what}"] for what in told) == 357
    # every copy of a junction leads somewhere, and none is reached but by an arc into that very junction
    a = city.roads.arrays("car")
    junctions = counts["drive_nodes"]
    copies = range(junctions, len(a["copy_next"]))
    assert 300 < len(copies) < junctions / 10
    listed = set()
    for junction in range(junctions):
        copy = int(a["copy_next"][junction])
        while copy >= 0:
            listed.add(copy)
            rows = slice(int(a["in_first"][copy]), int(a["in_first"][copy + 1]))
            for arc in a["in_arc"][rows].tolist():
                assert junction == (a["edge_tail"] if arc & 1 else a["edge_head"])[arc >> 1]
            copy = int(a["copy_next"][copy])
    assert listed == set(copies)
    assert set(a["in_tail"].tolist()) >= listed
