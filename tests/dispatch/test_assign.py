"""Many incidents at once: the best plan against every plan, and the rules that any plan must keep."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.assign import (
    NEAREST_FIRST,
    Assignment,
    Demand,
    Fault,
    Found,
    Sending,
    Situation,
    assign,
    check,
    price,
)
from dispatch.fill import Lateness, late_by
from dispatch.plans import Optimiser
from tests.dispatch.fleet import CAPABILITIES, candidates, unit

RULES = Optimiser(
    weights={"P1": 8.0, "P2": 4.0, "P3": 2.0, "P4": 1.0}, width_s=60, per_minute=0.02, first_due=1.0,
    unit_worth_s=60, coverage=1.0, away_s=3600, delta_s={"P1": 60}, tie_s=5,
)  # fmt: skip
TARGETS = {1: 300.0, 2: 600.0, 3: 900.0, 4: None}


def demand(id: str, needs: dict[str, int], rank: int = 1, **changes: Any) -> Demand:
    return Demand(id, needs, Lateness.of(RULES, f"P{rank}", TARGETS[rank]), rank, **changes)


def random_situation(seed: int, *, slots: bool = False, covered: bool = False) -> Situation:
    """A small one. With `slots` each incident needs one unit."""
    rng = random.Random(seed)
    rows = []
    for index in range(rng.randint(1, 6)):
        sendable = rng.choices(("now", "soon", "divert", "never"), (8, 1, 1, 1))[0]
        status = {"now": "available", "soon": "at_hospital", "divert": "en_route", "never": "on_scene"}
        rows.append(unit(
            f"U{index}", rng.sample(CAPABILITIES[:3], rng.randint(1, 2)), np.nan, status=status[sendable],
            sendable=sendable, crew=rng.choice((1, 4, 4, 4)), ready_in_s=rng.choice((np.nan, 60.0)),
            crew_id=rng.choice((None, None, "c1", "c2")), fix_age_s=rng.choice((1.0, 1.0, 9000.0)),
            command=rng.choice(("owned", "requested")),
        ))  # fmt: skip
    demands = []
    for index in range(rng.randint(1, 3)):
        one = {rng.choice(CAPABILITIES[:3]): 1}
        many = {name: rng.randint(0, 2) for name in rng.sample(CAPABILITIES[:3], rng.randint(1, 3))}
        demands.append(demand(f"I{index}", one if slots else many, rng.randint(1, 4)))
    shape = (len(demands), len(rows))
    eta_s = np.array([[rng.choice((np.inf, *[rng.uniform(10, 1500)] * 6)) for _ in rows] for _ in demands])
    return Situation(
        tuple(demands), candidates(*rows), eta_s,
        in_zone=np.array([[rng.random() < 0.9 for _ in rows] for _ in demands]).reshape(shape),
        staging=np.array([[rng.random() < 0.3 for _ in rows] for _ in demands]).reshape(shape),
        uncovered=np.array([rng.uniform(0, 2) for _ in rows]) if covered else None,
    )  # fmt: skip


def every_plan(s: Situation) -> list[tuple[Sending, ...]]:
    """All plans that the program may make by itself: those without a fault."""
    places = [None, *(one.id for one in s.demands)]
    found = []
    for where in itertools.product(places, repeat=len(s.candidates.ids)):
        plan = tuple(
            Sending(to, id) for id, to in zip(s.candidates.ids, where, strict=True) if to is not None
        )
        if not check(plan, s):
            found.append(plan)
    return found


def rounded(s: Situation, plan: tuple[Sending, ...]) -> tuple[Any, ...]:
    missing, doubtful, cost = price(plan, s).key
    return missing, doubtful, round(cost, 6)


@settings(max_examples=60, deadline=None, print_blob=True)
@given(st.integers(min_value=0, max_value=2**32), st.booleans(), st.booleans())
def test_the_plan_is_the_best_of_all_plans(seed: int, slots: bool, covered: bool) -> None:
    s = random_situation(seed, slots=slots, covered=covered)
    made = assign(s)
    assert made.exact
    assert check(made.sendings, s) == [], f"seed {seed}"
    best = min(rounded(s, plan) for plan in every_plan(s))
    assert rounded(s, made.sendings) == best, f"seed {seed}, slots {slots}, covered {covered}"
    assert made.price == price(made.sendings, s)


@settings(max_examples=40, deadline=None, print_blob=True)
@given(st.integers(min_value=0, max_value=2**32))
def test_no_feasible_plan_is_cheaper_among_many(seed: int) -> None:
    # given more units and incidents than anybody could try, and a plan made at random
    rng = random.Random(seed)
    rows = [unit(f"U{i:02}", [rng.choice(CAPABILITIES)], np.nan) for i in range(40)]
    demands = tuple(demand(f"I{i}", {rng.choice(CAPABILITIES): 1}, rng.randint(1, 4)) for i in range(15))
    s = Situation(
        demands, candidates(*rows), np.array([[rng.uniform(10, 3000) for _ in rows] for _ in demands])
    )
    made = assign(s)
    left = list(range(len(rows)))
    rng.shuffle(left)
    plan = []
    for one in demands:
        who = next((row for row in left if set(rows[row]["gives"]) & set(one.needs)), None)
        if who is not None and rng.random() < 0.9:
            left.remove(who)
            plan.append(Sending(one.id, rows[who]["ids"]))
    assert check(plan, s) == []
    assert price(made.sendings, s).key <= price(plan, s).key, f"seed {seed}"


# ---- not everybody is looked at


class Searched:
    """Answers from all arrivals, only as far as it is asked, and remembers how far that was."""

    def __init__(self, eta_s: Any) -> None:
        self.eta_s = eta_s
        self.asked: list[int] = []

    def __call__(self, incidents: Any, rows: Any, k: int) -> Found:
        self.asked.append(k)
        eta_s = self.eta_s[np.ix_(incidents, rows)]
        order = np.argsort(eta_s, axis=1, kind="stable")
        at = np.repeat(np.arange(len(incidents)), min(k, len(rows)))
        first = order[:, :k].ravel()
        there = np.isfinite(eta_s[at, first])
        beyond_s = np.full(len(incidents), np.inf)
        if k < len(rows):
            beyond_s = eta_s[np.arange(len(incidents)), order[:, k]]
        return Found(at[there], rows[first[there]], eta_s[at[there], first[there]], beyond_s)


def by_search(s: Situation) -> tuple[Assignment, Searched, Situation]:
    search, unseen = Searched(s.eta_s), replace(s, eta_s=np.full(s.eta_s.shape, np.inf))
    return assign(unseen, search), search, unseen


def crowded_situation(rng: random.Random, *, ties: bool, covered: bool) -> Situation:
    """Incidents of one unit each; few or many units, some without a way, doubtful, of one crew, far off."""
    units = rng.choice((2, 6, 20, 60))
    rows = [
        unit(
            f"U{i:02}", rng.sample(CAPABILITIES[:3], rng.randint(1, 2)), np.nan,
            crew_id=rng.choice((None, None, None, "c1", "c2")) if units < 60 else None,
            fix_age_s=rng.choice((1.0, 1.0, 1.0, 9000.0)) if rng.random() < 0.5 else 1.0,
            workload=rng.choice((np.nan, 0.0, 0.5, 1.0)),
        )
        for i in range(units)
    ]  # fmt: skip
    cap_s = 60.0 if covered and not ties else np.inf
    demands = [
        demand(f"I{i}", {rng.choice(CAPABILITIES[:3]): 1}, rng.randint(1, 4), delta_s=cap_s)
        for i in range(rng.choice((1, 4, 12)))
    ]
    # What lies in one corner of the city wants the same few units, or nobody gets there.
    corner_s = [rng.uniform(0, 2000) for _ in rows]
    spread_s = rng.choice((5.0, 300.0, 8000.0))
    eta_s = np.array([[at + rng.uniform(0, spread_s) for at in corner_s] for _ in demands])
    if ties:
        eta_s = np.ceil(eta_s / 400) * 400
    eta_s[[[rng.random() < 0.1 for _ in rows] for _ in demands]] = np.inf
    return Situation(
        tuple(demands), candidates(*rows), eta_s,
        in_zone=np.array([[rng.random() < 0.9 for _ in rows] for _ in demands]) if units < 20 else None,
        uncovered=np.array([rng.choice((0.0, rng.uniform(0, 9))) for _ in rows]) if covered else None,
    )  # fmt: skip


@settings(max_examples=150, deadline=None, print_blob=True)
@given(st.integers(min_value=0, max_value=2**32), st.booleans(), st.booleans())
def test_a_plan_among_the_soonest_few_is_the_plan_among_all(seed: int, ties: bool, covered: bool) -> None:
    s = crowded_situation(random.Random(seed), ties=ties, covered=covered)
    made, _, seen = by_search(s)
    best = assign(s)
    told = f"seed {seed}, ties {ties}, covered {covered}"
    assert made.exact, told
    assert check(made.sendings, s) == [], told
    assert rounded(s, made.sendings) == rounded(s, best.sendings), told
    # and what it says of its plan is so by the arrivals that it looked at
    assert price(made.sendings, seen) == made.price == price(made.sendings, s), told


@settings(max_examples=20, deadline=None, print_blob=True)
@given(st.integers(min_value=0, max_value=2**32))
def test_plans_of_several_units_look_at_everybody(seed: int) -> None:
    s = random_situation(seed, covered=True)
    made, _, _ = by_search(s)
    assert rounded(s, made.sendings) == rounded(s, assign(s).sendings), f"seed {seed}"


def test_those_who_want_the_same_few_units_are_shown_more() -> None:
    # given a fire that ten people report from ten houses, sixty engines along one road to it, and a call at
    # the other end of the road
    rows = [unit(f"U{i:02}", [CAPABILITIES[0]], np.nan) for i in range(60)]
    here = [demand(f"I{i}", {CAPABILITIES[0]: 1}) for i in range(11)]
    eta_s = np.array([[60.0 * (1 + (u - 40) % 60) + i / 10 for u in range(60)] for i in range(11)])
    eta_s[:10] = np.array([[60.0 * (1 + u) + i / 10 for u in range(60)] for i in range(10)])
    s = Situation(tuple(here), candidates(*rows), eta_s, far_s=7200.0)
    # when a plan is made
    made, search, seen = by_search(s)
    # then the ten are shown more until ten different engines are theirs, and the eleventh is not
    assert max(search.asked) >= 10 > NEAREST_FIRST
    looked_at = np.isfinite(seen.eta_s).sum(axis=1)
    assert looked_at[10] == NEAREST_FIRST
    assert looked_at[:10].max() <= 20
    assert made.price == assign(s).price


def test_a_search_needs_a_limit() -> None:
    s = crowded_situation(random.Random(1), ties=False, covered=False)
    with pytest.raises(ValueError, match="far_s"):
        by_search(replace(s, far_s=np.inf))


@given(st.integers(min_value=0, max_value=2**32))
def test_many_curves_at_once_are_each_curve(seed: int) -> None:
    rng = random.Random(seed)
    curves = [
        Lateness.of(RULES, f"P{rng.randint(1, 4)}", rng.choice((None, 0.0, 300.0)), rng.uniform(0, 900))
        for _ in range(4)
    ]
    which = np.array([rng.randrange(4) for _ in range(20)])
    eta_s = np.array([rng.choice((0.0, np.inf, rng.uniform(0, 9000))) for _ in which])
    alone = np.array([curves[i].late(eta_s[n : n + 1])[0] for n, i in enumerate(which.tolist())])
    assert late_by(curves, which, eta_s) == pytest.approx(alone, rel=1e-12), f"seed {seed}"


# ---- check() catches every spoiled plan

Spoil = Callable[[Situation, list[Sending]], tuple[Situation, list[Sending]]]


def column(s: Situation, row: int, **changes: Any) -> Situation:
    """The same situation with some columns of one unit changed."""
    c = s.candidates
    new: dict[str, Any] = {}
    for name, value in changes.items():
        old = getattr(c, name)
        if isinstance(old, tuple):
            new[name] = (*old[:row], value, *old[row + 1 :])
        else:
            new[name] = old.copy()
            new[name][row] = value
    return replace(s, candidates=replace(c, **new))


def place(s: Situation, name: str, row: int, value: Any) -> Situation:
    matrix = getattr(s, name).copy()
    matrix[:, row] = value
    return replace(s, **{name: matrix})


def of(change: Callable[[Situation, int], Situation]) -> Spoil:
    """A spoil that changes what is known of the first unit of the plan."""

    def spoil(s: Situation, plan: list[Sending]) -> tuple[Situation, list[Sending]]:
        return change(s, s.candidates.ids.index(plan[0].unit)), plan

    return spoil


def line(**changes: Any) -> Spoil:
    """A spoil that changes the first line of the plan."""
    return lambda s, plan: (s, [replace(plan[0], **changes), *plan[1:]])


def one_crew(s: Situation, plan: list[Sending]) -> tuple[Situation, list[Sending]]:
    for sending in plan[:2]:
        s = column(s, s.candidates.ids.index(sending.unit), crew_id="same")
    return s, plan


SPOILED: dict[str, tuple[str, Spoil]] = {
    "at a scene": ("busy", of(lambda s, r: column(s, r, sendable="never", busy_with="C9"))),
    "off duty": ("off-duty", of(lambda s, r: column(s, r, status="off_duty", sendable="never"))),
    "broken down": (
        "out-of-service", of(lambda s, r: column(s, r, status="out_of_service", sendable="never"))
    ),
    "just assigned": ("not-sendable", of(lambda s, r: column(s, r, status="assigned", sendable="never"))),
    "on its way elsewhere": ("divert", of(lambda s, r: column(s, r, status="en_route", sendable="divert"))),
    "free, nobody knows when": (
        "ready-unknown", of(lambda s, r: column(s, r, sendable="soon", ready_in_s=np.nan))
    ),
    "short of crew": ("crew-short", of(lambda s, r: column(s, r, crew=1))),
    "crew out with another": ("crew-shared", of(lambda s, r: column(s, r, blocked_by="L9"))),
    "one crew twice": ("crew-twice", one_crew),
    "one unit twice": ("unit-twice", lambda s, plan: (s, [*plan, replace(plan[0], incident="I1")])),
    "out of its zone": ("out-of-zone", of(lambda s, r: place(s, "in_zone", r, False))),
    "no way there": ("unreachable", of(lambda s, r: place(s, "eta_s", r, np.inf))),
    "a position that is none": ("unreachable", of(lambda s, r: place(s, "eta_s", r, np.nan))),
    "hours away": ("too-far", of(lambda s, r: place(s, "eta_s", r, 9000.0))),
    "into the hazard": (
        "hazard-entry",
        lambda s, plan: (
            place(s, "staging", s.candidates.ids.index(plan[0].unit), True),
            [replace(plan[0], staging=False), *plan[1:]],
        ),
    ),
    "claims what it has not": ("not-given", line(fills=("transport",))),
    "claims what nobody knows": ("not-given", line(fills=("wings",))),
    "a requested unit ordered": ("request-only", of(lambda s, r: column(s, r, command="requested"))),
    "an owned unit asked for": ("not-requested", line(asked=True)),
    "a unit that is none": ("unknown-unit", line(unit="X99")),
    "an incident that is none": ("unknown-incident", line(incident="I99")),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
@settings(max_examples=10, deadline=None, print_blob=True)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_a_good_plan_spoiled_in_any_way_is_refused(name: str, seed: int) -> None:
    # given a good plan of at least two units
    rng = random.Random(seed)
    rows = [unit(f"U{i}", ["doctor", "first_aid"], np.nan) for i in range(5)]
    demands = (demand("I0", {"doctor": 1}), demand("I1", {"first_aid": 1, "doctor": 1}, 2))
    zeros = np.zeros((2, 5), dtype=bool)
    s = Situation(
        demands, candidates(*rows), np.array([[rng.uniform(10, 900) for _ in rows] for _ in demands]),
        in_zone=~zeros, staging=zeros,
    )  # fmt: skip
    made = list(assign(s).sendings)
    assert len(made) >= 2
    assert check(made, s) == []
    # when it is spoiled, then the rule that it breaks is named, at the unit concerned
    code, spoil = SPOILED[name]
    spoiled, plan = spoil(s, made)
    faults = check(plan, spoiled)
    assert code in [fault.code for fault in faults], f"seed {seed}: {faults}"
    assert all(fault.unit in {one.unit for one in plan} for fault in faults)


# ---- stories


def sent(made: Assignment) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in made.sendings:
        found.setdefault(one.incident, []).append(one.unit)
    return found


def test_the_life_in_danger_is_served_before_the_noise_complaint() -> None:
    # given one patrol, next door to the noise and far from the danger
    s = Situation(
        (demand("noise", {"local_patrol": 1}, 4), demand("danger", {"local_patrol": 1}, 1)),
        candidates(unit("P1", ["local_patrol"], np.nan)), np.array([[30.0], [900.0]]),
    )  # fmt: skip
    made = assign(s)
    assert sent(made) == {"danger": ["P1"]}
    assert made.missing == {"noise": {"local_patrol": 1}}
    assert made.price.missing == (0, 0, 0, 1)


def test_two_incidents_do_not_both_take_the_unit_between_them() -> None:
    # given A2, the nearest to both, and A1 that only the first can reach soon
    s = Situation(
        (demand("I0", {"doctor": 1}), demand("I1", {"doctor": 1})),
        candidates(unit("A1", ["doctor"], np.nan), unit("A2", ["doctor"], np.nan)),
        np.array([[120.0, 100.0], [800.0, 100.0]]),
    )  # fmt: skip
    assert sent(assign(s)) == {"I0": ["A1"], "I1": ["A2"]}


@pytest.mark.parametrize("budget_s", [1e-6, 0.5])
def test_a_storm_that_outlasts_the_time_gets_a_sound_plan_that_says_so(
    budget_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given eighty fires that each need two kinds of help and thirty crews, when there is not the time to
    prove which plan is the best, then there is a plan that breaks no rule, and it is not called exact."""
    monkeypatch.setattr("dispatch.assign.SOLVE_S_MAX", budget_s)
    rng = random.Random(7)
    kinds = CAPABILITIES[:3]
    rows = [unit(f"U{n}", rng.sample(kinds, rng.randint(1, 2)), np.nan) for n in range(30)]
    demands = tuple(
        demand(f"I{n}", dict.fromkeys(rng.sample(kinds, 2), 1), rng.randint(1, 3)) for n in range(80)
    )
    eta_s = np.array([[rng.uniform(10, 1500) for _ in rows] for _ in demands])
    storm = Situation(demands, candidates(*rows), eta_s)
    made = assign(storm)
    assert check(made.sendings, storm) == []
    if budget_s < 1e-3:
        assert not made.exact


def test_a_crew_at_a_scene_is_never_moved() -> None:
    there = unit("A1", ["doctor"], np.nan, status="on_scene", sendable="never", busy_with="C1-3")
    s = Situation((demand("I0", {"doctor": 1}),), candidates(there), np.array([[10.0]]))
    made = assign(s)
    assert (made.sendings, made.missing) == ((), {"I0": {"doctor": 1}})
    assert check([Sending("I0", "A1")], s) == [
        Fault("busy", "I0", "A1", {"incident": "C1-3", "by": ""}, person=False)
    ]


def test_one_crew_goes_with_one_of_its_vehicles_and_the_better_one() -> None:
    rows = (unit("L1", ["officer"], np.nan, crew_id="g"), unit("R1", ["doctor"], np.nan, crew_id="g"))
    s = Situation(
        (demand("I0", {"doctor": 1}), demand("I1", {"officer": 1}, 3)),
        candidates(*rows), np.array([[200.0, 200.0], [50.0, 50.0]]),
    )  # fmt: skip
    assert sent(assign(s)) == {"I0": ["R1"]}


def test_for_coverage_nobody_comes_later_than_the_cap() -> None:
    # given the nearest, whom its district would miss, and one 50 s or 90 s later whom nobody would
    rows = (unit("A1", ["doctor"], np.nan), unit("A2", ["doctor"], np.nan))
    for later_s, expected in ((50.0, "A2"), (90.0, "A1")):
        s = Situation(
            (demand("I0", {"doctor": 1}, delta_s=60.0),), candidates(*rows),
            np.array([[100.0, 100.0 + later_s]]), uncovered=np.array([50.0, 0.0]),
        )  # fmt: skip
        assert sent(assign(s)) == {"I0": [expected]}


def test_a_position_three_days_old_is_used_last() -> None:
    rows = (unit("A1", ["doctor"], np.nan, fix_age_s=3 * 86400.0), unit("A2", ["doctor"], np.nan))
    s = Situation((demand("I0", {"doctor": 1}),), candidates(*rows), np.array([[10.0, 900.0]]))
    assert sent(assign(s)) == {"I0": ["A2"]}
    s = Situation(
        (demand("I0", {"doctor": 1}), demand("I1", {"doctor": 1})), candidates(*rows), np.full((2, 2), 90.0)
    )
    assert len(assign(s).sendings) == 2, "and better than nobody"


def test_nobody_and_nothing_make_an_empty_plan() -> None:
    nobody = Situation((demand("I0", {"doctor": 2}),), candidates(), np.empty((1, 0)))
    assert assign(nobody).missing == {"I0": {"doctor": 2}}
    nothing = Situation((), candidates(unit("A1", ["doctor"], np.nan)), np.empty((0, 1)))
    assert assign(nothing) == Assignment((), {}, price((), nothing), True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eta_s": np.zeros((2, 2))}, "eta_s has shape"),
        ({"demands": (demand("I0", {"wings": 1}),)}, "unknown capability 'wings'"),
        ({"demands": (demand("I0", {"doctor": -1}),)}, "doctor is -1"),
        ({"demands": (Demand("I0", {}, rank=7),)}, "rank of I0 is 7"),
        ({"demands": (demand("I0", {}), demand("I0", {})), "eta_s": np.zeros((2, 1))}, "I0 is given twice"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    s = Situation((demand("I0", {"doctor": 1}),), candidates(unit("A1", ["doctor"], 1.0)), np.zeros((1, 1)))
    with pytest.raises(ValueError, match=words):
        replace(s, **changes)
