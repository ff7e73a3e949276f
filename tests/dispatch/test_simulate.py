"""A street of 21 junctions, a minute apart with priority signals and two minutes without; posts at both
ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from dispatch.simulate import (
    CLOSEST,
    NEAR_HOSPITALS,
    NEAR_POSTS,
    POLICIES,
    Calls,
    City,
    Demand,
    Distribution,
    Outcome,
    Policy,
    World,
    draw_calls,
    simulate,
)  # fmt: skip

JUNCTIONS = 21
FAST_MS, PLAIN_MS = 60_000, 120_000


class Street:
    """The roads: distance is time."""

    def time_ms(self, start: int, end: int, mode: int) -> int:
        return abs(start - end) * (PLAIN_MS if mode else FAST_MS)

    def table_ms(self, starts: ArrayLike, ends: ArrayLike, mode: int) -> np.ndarray:
        away = np.abs(np.asarray(starts)[:, None] - np.asarray(ends)[None, :])
        return (away * (PLAIN_MS if mode else FAST_MS)).astype(np.int32)

    def pairs_ms(self, starts: ArrayLike, ends: ArrayLike, mode: int) -> np.ndarray:
        away = np.abs(np.asarray(starts) - np.asarray(ends))
        return (away * (PLAIN_MS if mode else FAST_MS)).astype(np.int32)

    def ahead(self, start: int, end: int, mode: int, after_ms: int) -> tuple[int, int, float]:
        step = PLAIN_MS if mode else FAST_MS
        steps = min(abs(end - start), -(-after_ms // step))
        return start + steps * (1 if end > start else -1), steps * step, steps * 1000.0


def street(home: tuple[int, ...] = (0, 1), posts: tuple[int, ...] = (0, 20), **more: object) -> City:
    many = len(posts)
    cells = np.arange(JUNCTIONS, dtype=np.int32)
    city = City(
        name="street", roads=Street(), post_names=tuple(str(post) for post in posts),
        post_node=np.array(posts, dtype=np.int32), post_aside_m=np.zeros(many),
        hospital_node=np.array([10], dtype=np.int32), hospital_aside_m=np.zeros(1),
        home=np.array(home), target_s=np.array([480.0, 480.0, 1200.0]),
        counted=np.array([True, True, False]), response_mode=np.array([0, 0, 1]), plain_mode=1,
        aside_mps=np.array([10.0, 10.0]), cell_node=cells, cell_aside_m=np.zeros(JUNCTIONS),
        cell_share=np.full(JUNCTIONS, 1 / JUNCTIONS), cell_district=(cells > 10).astype(np.int64),
        districts=("west", "east"), delay_s=60.0,
    )  # fmt: skip
    return replace(city, **more)  # type: ignore[arg-type]


def calls(*rows: tuple[float, int, int, float, bool, float]) -> Calls:
    """Rows of (at, priority, junction, on scene, transport, handover); each is ready a minute later."""
    at, priority, node, scene, transport, handover = (np.array(column) for column in zip(*rows, strict=True))
    many = len(rows)
    return Calls(
        (0,), at.astype(float), at + 60.0, priority, node.astype(np.int32), np.zeros(many),
        (node > 10).astype(np.int64), scene.astype(float), transport, handover.astype(float),
    )  # fmt: skip


DEMAND = Demand(
    streams={
        "gap": (Distribution("Exponential", (1.0,)), 11),
        "priority": (Distribution("Categorical", (0.5, 0.3, 0.2)), 12),
        "delay": (Distribution("Normal", (60 / 86400, 0.0)), 13),
        "on_scene": (Distribution("Exponential", (600 / 86400,)), 14),
        "transport": (Distribution("Bernoulli", (0.7,)), 15),
        "handover": (Distribution("Exponential", (600 / 86400,)), 16),
    },
    seeds=(17, 18), lon=np.arange(JUNCTIONS) * 1.0, lat=np.zeros(JUNCTIONS), weight=np.ones(JUNCTIONS),
    size=(0.5, 0.5),
    snap=lambda lon, lat: (
        np.rint(lon).astype(np.int32), np.abs(lat) * 100, (np.rint(lon) > 10).astype(np.int64)
    ),
)  # fmt: skip


# -- a day worked out by hand ----------------------------------------------------------------------------


def test_a_day_by_hand() -> None:
    day = calls(
        # Unit 0 is at 0, three minutes away: ready 60 + 180. Works until 240 + 600 = 840, drives home.
        (0.0, 0, 3, 600.0, False, 0.0),
        # Ready at 960. Unit 0 left 3 at 840 and is at 2 now, two minutes from 4; unit 1 is 16 away.
        (900.0, 0, 4, 600.0, True, 300.0),
        # Ready at 1260: unit 0 is at the scene until 1680, so unit 1 comes from 20, at plain speed (low).
        (1200.0, 2, 15, 60.0, False, 0.0),
    )
    outcome = simulate(street(), day, CLOSEST)
    assert outcome.response_s.tolist() == [240.0, 180.0, 60.0 + 5 * 120.0]
    assert outcome.unit.tolist() == [0, 0, 1]
    # The second leaves 4 for the hospital at 10: 12 minutes, then the handover.
    assert outcome.free_s.tolist() == [840.0, 1080.0 + 600 + 720 + 300, 1860.0 + 60]
    assert outcome.work.tolist() == [[0, 60, 840], [1, 1260, 1920], [0, 960, 2700]]
    # Home from 3 to 2; from 15 to 20; from 10 to 0: 16 junctions of a kilometre.
    assert outcome.rolled_m == 16_000.0
    assert outcome.moves == outcome.diversions == outcome.reliefs == 0


def test_who_waits_longest_does_not_go_before_who_needs_it_more() -> None:
    # Given one unit that is busy until 1260, a low call that waits and a high one that comes later,
    day = calls(
        (0.0, 0, 0, 1200.0, False, 0.0), (10.0, 2, 1, 60.0, False, 0.0), (600.0, 0, 2, 60.0, False, 0.0)
    )
    outcome = simulate(street(home=(0,)), day, CLOSEST)
    # then the high one is served first.
    assert outcome.response_s[2] == 1260 + 120 - 600
    assert outcome.response_s[1] == 1260 + 120 + 60 + 120 - 10


# -- guards of reassignment ---------------------------------------------------------------------------------


def test_a_unit_is_diverted_to_a_call_that_it_passes_and_another_takes_its_own() -> None:
    # Given unit 0 under way from 0 to a low call at 9 and unit 1 at 20,
    day = calls((0.0, 2, 9, 60.0, False, 0.0), (300.0, 0, 3, 3600.0, False, 0.0))
    plain = simulate(street(), day, CLOSEST)
    assert plain.response_s[1] == 60 + 17 * 60
    # when a high call comes up beside it, it turns, and unit 1 serves the low one.
    turned = simulate(street(), day, Policy("reassign", reassign=True))
    assert turned.diversions == 1
    assert turned.unit.tolist() == [1, 0]
    assert turned.response_s[1] < 300.0


def test_nobody_is_diverted_to_a_lesser_call_or_for_little() -> None:
    rules = Policy("reassign", reassign=True)
    lesser = calls((0.0, 0, 9, 60.0, False, 0.0), (180.0, 2, 3, 60.0, False, 0.0))
    assert simulate(street(), lesser, rules).diversions == 0
    # A minute at least: from 20 unit 1 needs 9 minutes to 11, and unit 0, then at 2, as many.
    little = calls((0.0, 2, 9, 60.0, False, 0.0), (240.0, 0, 11, 60.0, False, 0.0))
    assert simulate(street(), little, rules).diversions == 0


def test_a_unit_that_clears_nearer_relieves_the_one_under_way() -> None:
    # Given unit 1 at work at 4 until 1320 and unit 0 gone, so that unit 2 comes to 5 from 20,
    city = street(home=(0, 0, 1))
    day = calls(
        (0.0, 0, 4, 600.0, False, 0.0), (0.0, 0, 4, 600.0, False, 0.0), (780.0, 0, 5, 60.0, False, 0.0)
    )
    plain = simulate(city, day, CLOSEST)
    assert plain.unit[2] == 2
    relieved = simulate(city, day, Policy("reassign", reassign=True))
    assert relieved.reliefs == 1
    assert relieved.unit[2] in (0, 1)
    assert relieved.response_s[2] == (900 + 60) - 780
    # The unit that turned back worked for nobody, and is home or elsewhere, but not twice.
    check(city, day, relieved)


# -- what must hold however the calls fall -------------------------------------------------------------------


def check(city: City, day: Calls, outcome: Outcome) -> None:
    """Every call is served once, nobody works at two places at once, and times add up."""
    assert np.isfinite(outcome.response_s).all()
    assert (outcome.unit >= 0).all()
    arrived_s = day.at_s + outcome.response_s
    assert (arrived_s >= day.ready_s - 1e-6).all()
    assert (outcome.free_s >= arrived_s + day.on_scene_s - 1e-6).all()
    for unit in range(len(city.home)):
        rows = np.flatnonzero(outcome.unit == unit)
        order = rows[np.argsort(arrived_s[rows])]
        assert (arrived_s[order][1:] >= outcome.free_s[order][:-1] - 1e-6).all()
        mine = outcome.work[outcome.work[:, 0] == unit]
        mine = mine[np.argsort(mine[:, 1])]
        assert (mine[:, 2] >= mine[:, 1]).all()
        assert (mine[1:, 1] >= mine[:-1, 2] - 1e-6).all()
    # Each call's work lies in a stretch of work of its unit; the rest are those who were relieved.
    assert len(outcome.work) == len(day.at_s) + outcome.reliefs
    straight_s = np.abs(city.post_node[:, None] - day.node[None, :]).min(axis=0)
    assert straight_s.shape == day.at_s.shape


@pytest.mark.parametrize("name", list(POLICIES))
@pytest.mark.parametrize("world", [World(), World(1.2, 90.0, 1)])
def test_conservation(name: str, world: World) -> None:
    city = street(home=(0, 0, 1, 1, 2), posts=(0, 20, 10))
    for seed, per_day in ((1, 60), (2, 150), (3, 260)):
        day = draw_calls(DEMAND, seed, 3.0, per_day)
        outcome = simulate(city, day, POLICIES[name], world)
        check(city, day, outcome)
        assert not np.isin(np.arange(5 - world.lost, 5), outcome.unit).any(), f"seed {seed}"


def test_the_same_run_twice_is_the_same() -> None:
    day = draw_calls(DEMAND, 5, 2.0, 150)
    city = street(home=(0, 0, 1, 1, 2), posts=(0, 20, 10))
    one, two = (simulate(city, day, POLICIES["all"]) for _ in range(2))
    assert one.response_s.tolist() == two.response_s.tolist()
    assert one.moves == two.moves


@given(st.integers(0, 2**32 - 1), st.sampled_from([80, 200, 320]))
@settings(max_examples=6, deadline=None, print_blob=True)
def test_who_is_surely_too_far_is_passed_over_without_another_outcome(seed: int, per_day: int) -> None:
    # Given one city of which it is known that priority halves every drive, and one where it is not known,
    day = draw_calls(DEMAND, seed, 0.5, per_day)
    city = street(home=(0, 0, 1, 1, 2, 2), posts=(0, 20, 10))
    knows = replace(city, pace=np.array([[1.0, 0.5], [2.0, 1.0]]))
    # then the same calls end alike, whoever decides.
    for policy in POLICIES.values():
        for world in (World(), World(drive_factor=1.3)):
            one, two = simulate(city, day, policy, world), simulate(knows, day, policy, world)
            assert one.unit.tolist() == two.unit.tolist(), f"seed {seed}, {policy.name}"
            assert one.response_s.tolist() == two.response_s.tolist(), f"seed {seed}, {policy.name}"
            assert (one.moves, one.diversions, one.reliefs, one.rolled_m) == (
                two.moves, two.diversions, two.reliefs, two.rolled_m
            ), f"seed {seed}, {policy.name}"  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.sampled_from([80, 200, 320]))
@settings(max_examples=6, deadline=None, print_blob=True)
def test_where_streets_lie_is_known_without_another_outcome(seed: int, per_day: int) -> None:
    # Given a city of more posts and hospitals than are looked at for a call, more units at some than at
    # others, some a little off the street,
    random = np.random.default_rng(seed)
    posts = tuple(random.integers(0, JUNCTIONS, NEAR_POSTS + 6).tolist())
    home = tuple(random.integers(0, len(posts), 7).tolist())
    city = street(
        home, posts, hospital_node=random.integers(0, JUNCTIONS, NEAR_HOSPITALS + 2).astype(np.int32),
        hospital_aside_m=random.integers(0, 3, NEAR_HOSPITALS + 2) * 400.0,
        post_aside_m=random.integers(0, 3, len(posts)) * 200.0,
    )  # fmt: skip
    day = draw_calls(DEMAND, seed, 0.5, per_day)
    # and the same city with the place of every junction, a kilometre from the next,
    place_m = np.column_stack((np.arange(JUNCTIONS) * 1000.0, np.zeros(JUNCTIONS)))
    fastest_mps = np.array([1e6 / FAST_MS, 1e6 / PLAIN_MS])
    pace = np.array([[1.0, 0.5], [2.0, 1.0]])
    knows = replace(city, pace=pace, place_m=place_m, fastest_mps=fastest_mps)
    # then the same calls end alike, whoever decides, also where drives are other than believed.
    for policy in (*POLICIES.values(), replace(POLICIES["all"], queue_nearest=True)):
        for world in (World(), World(drive_factor=1.3), World(drive_factor=0.8), World(fix_age_s=60.0)):
            one, two = simulate(city, day, policy, world), simulate(knows, day, policy, world)
            said = f"seed {seed}, {policy.name}, {world}"
            assert one.unit.tolist() == two.unit.tolist(), said
            assert one.response_s.tolist() == two.response_s.tolist(), said
            assert one.work.tolist() == two.work.tolist(), said
            assert (one.moves, one.diversions, one.reliefs, one.rolled_m) == (
                two.moves, two.diversions, two.reliefs, two.rolled_m
            ), said  # fmt: skip


def test_slower_roads_than_believed_make_later_arrivals() -> None:
    day = draw_calls(DEMAND, 5, 2.0, 60)
    city = street(home=(0, 1, 2), posts=(0, 20, 10))
    slow = simulate(city, day, CLOSEST, World(drive_factor=1.5))
    assert slow.response_s.mean() > simulate(city, day, CLOSEST).response_s.mean()


# -- the calls ---------------------------------------------------------------------------------------------


def test_calls_are_the_same_for_all_and_more_days_only_add_some() -> None:
    short, long = draw_calls(DEMAND, 7, 2.0, 100), draw_calls(DEMAND, 7, 2.0, 100)
    assert all(
        np.array_equal(getattr(short, name), getattr(long, name)) for name in ("at_s", "node", "on_scene_s")
    )
    assert short.seed == (11, 7)
    other = draw_calls(DEMAND, 8, 2.0, 100)
    assert not np.array_equal(short.at_s[:50], other.at_s[:50])


def test_as_many_calls_come_as_were_asked_for() -> None:
    day = draw_calls(DEMAND, 9, 50.0, 100)
    assert len(day.at_s) == pytest.approx(5000, abs=4 * 71)
    assert (np.diff(day.ready_s) >= 0).all()
    assert np.bincount(day.priority)[0] == pytest.approx(2500, abs=150)


def test_a_call_out_of_everybodys_reach_is_named() -> None:
    class Island(Street):
        def table_ms(self, starts: ArrayLike, ends: ArrayLike, mode: int) -> np.ndarray:
            table = super().table_ms(starts, ends, mode)
            table[:, np.asarray(ends) == 7] = 2**30
            return table

    with pytest.raises(ValueError, match="call 0 can be reached from no post"):
        simulate(street(roads=Island()), calls((0.0, 0, 7, 60.0, False, 0.0)), CLOSEST)
