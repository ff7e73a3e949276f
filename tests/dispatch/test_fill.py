"""The exact set of units: table, HiGHS and brute force agree; what lateness costs; one slot in a hurry."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.fill import PLAIN, Bools, Floats, Ints, Lateness, choose_one, fill
from dispatch.plans import Optimiser

RULES = Optimiser(
    weights={"P1": 8.0, "P4": 1.0}, width_s=60, per_minute=0.02, first_due=1.0, unit_worth_s=60,
    coverage=1.0, away_s=3600, delta_s={"P1": 60}, tie_s=5,
)  # fmt: skip
CURVE = Lateness.of(RULES, "P1", 300.0)


class Case:
    """A small random one. Distinct arrivals and costs, so that there is but one best set."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        n, k = rng.randint(1, 8), rng.randint(1, 3)
        self.wanted: Bools = np.array([[rng.random() < 0.5 for _ in range(k)] for _ in range(n)])
        self.needed: Ints = np.array([rng.randint(0, 3) for _ in range(k)])
        self.eta_s: Floats = np.sort(np.array([rng.uniform(1.0, 900.0) for _ in range(n)]))
        self.late = CURVE.late(self.eta_s)
        self.extra: Floats = np.array([rng.choice((0.0, rng.uniform(0.0, 3.0))) for _ in range(n)])
        self.doubtful: Bools = np.array([rng.random() < 0.2 for _ in range(n)])
        self.crew: Ints = np.array([rng.choice((-1, -1, 0, 1)) for _ in range(n)])
        self.delta_s = rng.choice((float("inf"), 0.0, 60.0, 200.0))

    def solved(self, table_max: int) -> list[int]:
        return fill(
            self.wanted, self.needed, self.eta_s, self.late, self.doubtful, self.crew,
            extra=lambda rows: self.extra[rows], unit=CURVE.unit, first_due=CURVE.first_due,
            delta_s=self.delta_s, table_max=table_max,
        )  # fmt: skip

    def value(self, rows: tuple[int, ...], extra: Floats) -> tuple[int, int, float]:
        at = list(rows)
        open_ = int(np.maximum(self.needed - self.wanted[at].sum(axis=0), 0).sum())
        first = CURVE.first_due * self.late[at].min() if at else 0.0
        cost = self.late[at].sum() + extra[at].sum() + CURVE.unit * len(at) + first
        return open_, int(self.doubtful[at].sum()), round(float(cost), 9)

    def arrivals(self, rows: tuple[int, ...]) -> list[list[float]]:
        return [
            [float(self.eta_s[row]) for row in rows if self.wanted[row, need]][: self.needed[need]]
            for need in range(len(self.needed))
        ]

    def by_force(self) -> tuple[int, ...]:
        useful = [row for row in range(len(self.eta_s)) if self.wanted[row][self.needed > 0].any()]
        sets = [
            rows
            for size in range(len(useful) + 1)
            for rows in itertools.combinations(useful, size)
            if len(crews := [self.crew[row] for row in rows if self.crew[row] >= 0]) == len(set(crews))
        ]
        plain = min(sets, key=lambda rows: self.value(rows, np.zeros(len(self.extra))))
        latest = [[at_s + self.delta_s for at_s in need] for need in self.arrivals(plain)]

        def in_time(rows: tuple[int, ...]) -> bool:
            return self.delta_s == float("inf") or all(
                len(came) >= len(by) and all(a <= b for a, b in zip(came, by, strict=False))
                for came, by in zip(self.arrivals(rows), latest, strict=True)
            )

        return min((rows for rows in sets if in_time(rows)), key=lambda rows: self.value(rows, self.extra))


@settings(max_examples=150, deadline=None, print_blob=True)
@given(st.integers(min_value=0, max_value=2**32))
def test_the_table_highs_and_every_subset_agree(seed: int) -> None:
    case = Case(seed)
    best = list(case.by_force())
    assert case.solved(table_max=10**9) == best, f"the table, seed {seed}"
    assert case.solved(table_max=0) == best, f"HiGHS, seed {seed}"


@settings(max_examples=150, deadline=None, print_blob=True)
@given(st.integers(min_value=0, max_value=2**32))
def test_the_quick_way_for_one_slot_is_the_general_one(seed: int) -> None:
    # given one need of one unit, nobody doubtful, no crew shared
    case = Case(seed)
    case.wanted = np.ones((len(case.eta_s), 1), dtype=bool)
    case.needed, case.crew = np.array([1]), np.full(len(case.eta_s), -1)
    case.doubtful = np.zeros(len(case.eta_s), dtype=bool)
    quick = choose_one(case.eta_s, CURVE, case.extra, case.delta_s)
    assert [quick] == case.solved(10**9) == list(case.by_force()), f"seed {seed}"


def test_among_many_units_the_table_walks_the_few_that_matter_and_agrees_with_highs() -> None:
    rng = np.random.default_rng(5)
    n = 400
    wanted = rng.random((n, 4)) < 0.3
    eta_s = np.sort(rng.uniform(30, 3000, n))
    extra = rng.uniform(0, 1, n)
    crew = np.where(rng.random(n) < 0.5, rng.integers(0, 150, n), -1)

    def solve(table_max: int) -> list[int]:
        return fill(
            wanted, np.array([2, 1, 2, 1]), eta_s, CURVE.late(eta_s), np.zeros(n, dtype=bool), crew,
            extra=lambda rows: extra[rows], unit=CURVE.unit, delta_s=300.0, table_max=table_max,
        )  # fmt: skip

    found = solve(10**9)
    assert found == solve(0), "seed 5"
    assert (wanted[found].sum(axis=0) >= [2, 1, 2, 1]).all()


# ---- what lateness costs


def test_lateness_rises_steeply_around_the_target_and_never_stops() -> None:
    curve = Lateness.of(RULES, "P1", 480.0)
    etas = np.array([0.0, 240.0, 420.0, 480.0, 540.0, 900.0, 3600.0])
    late = curve.late(etas)
    assert (np.diff(late) > 0).all()
    assert late[3] == pytest.approx(8 * (0.5 + 0.02 * 8))
    assert late[4] - late[2] > 3 * (late[1] - late[0]), "the target is where it hurts"
    assert late[6] - late[5] == pytest.approx(8 * 0.02 * 45, abs=0.02), "past it, minutes still count"


def test_a_call_that_has_waited_is_nearer_to_its_target() -> None:
    fresh, waited = Lateness.of(RULES, "P1", 480.0), Lateness.of(RULES, "P1", 480.0, waited_s=300.0)
    etas = np.array([120.0, 240.0])
    assert np.diff(waited.late(etas))[0] > 2 * np.diff(fresh.late(etas))[0]


def test_without_a_target_only_minutes_count_and_nothing_overflows() -> None:
    assert Lateness.of(RULES, "P4", None).late(np.array([600.0]))[0] == pytest.approx(0.2)
    assert np.isfinite(Lateness.of(RULES, "P1", 1.0).late(np.array([0.0, 1e7]))).all()
    assert np.isinf(CURVE.late(np.array([np.inf]))).all()


# ---- one slot


def test_given_nobody_or_nobody_who_can_then_no_row() -> None:
    assert choose_one(np.array([])) == -1
    assert choose_one(np.array([np.inf, np.nan]), CURVE, np.array([0.0, 0.0]), 60.0) == -1


def test_the_soonest_goes_unless_another_within_the_cap_leaves_more_covered() -> None:
    etas, loss = np.array([np.nan, 200.0, 100.0, 150.0]), np.array([0.0, 0.0, 5.0, 0.0])
    assert choose_one(etas, PLAIN) == 2
    assert choose_one(etas, CURVE, loss, 60.0) == 3
    assert choose_one(etas, CURVE, loss, 40.0) == 2, "50 s is more than the cap allows"
