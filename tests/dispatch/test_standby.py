"""What idle units cover and what a choice leaves uncovered, held against counting by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.plans import Standby
from dispatch.standby import Cover, Coverage, Tally, Uncovered, move_ups

ZONES = ("north", "middle", "south")


def by_hand(c: Coverage, reach_s: Any, idle: Any) -> float:
    """The sum of d (1 - q^k), cell by cell."""
    total = 0.0
    for i in range(len(c.demand)):
        k = sum(1 for u in range(len(idle)) if idle[u] and reach_s[u][i] <= c.within_s)
        total += float(c.demand[i]) * (1 - c.q**k)
    return total


@st.composite
def situations(draw: st.DrawFn) -> tuple[Coverage, Any, Any]:
    """A few units and cells; some arrive on the very second, some never, some are busy."""
    units, cells = draw(st.integers(0, 6)), draw(st.integers(0, 8))
    second = st.sampled_from([0.0, 300.0, 480.0, 481.0, float("inf"), float("nan")])
    reach_s = np.array([[draw(second) for _ in range(cells)] for _ in range(units)]).reshape(units, cells)
    idle = np.array([draw(st.booleans()) for _ in range(units)], dtype=bool)
    demand = [draw(st.sampled_from([0.0, 0.1, 1.0, 7.5])) for _ in range(cells)]
    zone = [draw(st.integers(0, len(ZONES) - 1)) for _ in range(cells)]
    q = draw(st.sampled_from([0.0, 0.2, 0.5, 0.99]))
    return Coverage(demand, zone, ZONES, ("first_aid", 480.0), reach_s, idle, q), reach_s, idle


@given(situations())
@settings(max_examples=200, deadline=None)
def test_what_a_unit_takes_away_is_what_is_expected_with_it_less_what_is_expected_without(
    situation: tuple[Coverage, Any, Any],
) -> None:
    coverage, reach_s, idle = situation
    assert coverage.expected() == pytest.approx(by_hand(coverage, reach_s, idle), abs=1e-9)
    losses = coverage.loss(np.arange(len(idle)))
    for row in range(len(idle)):
        gone = idle.copy()
        gone[row] = False
        lost = coverage.expected() - by_hand(coverage, reach_s, gone)
        assert losses[row] == pytest.approx(lost, abs=1e-9)
        assert coverage.lost([row]) == pytest.approx(lost, abs=1e-9)


@given(situations(), st.data())
@settings(max_examples=100, deadline=None)
def test_units_that_leave_together_and_units_that_move_count_as_if_counted_anew(
    situation: tuple[Coverage, Any, Any], data: st.DataObject
) -> None:
    coverage, reach_s, idle = situation
    units, cells = reach_s.shape
    some = [row for row in range(units) if data.draw(st.booleans())]
    gone = idle.copy()
    gone[some] = False
    assert coverage.lost(some) == pytest.approx(
        coverage.expected() - by_hand(coverage, reach_s, gone), abs=1e-9
    )

    elsewhere = reach_s.copy()
    standing = idle.copy()
    for row in some:
        elsewhere[row] = data.draw(st.sampled_from([0.0, 900.0]))
        standing[row] = data.draw(st.booleans())
    moved = coverage.changed(some, reach_s=elsewhere[some], idle=standing[some])
    anew = Coverage(
        coverage.demand, coverage.zone, ZONES, ("first_aid", 480.0), elsewhere, standing, coverage.q
    )
    assert moved.k.tolist() == anew.k.tolist()
    assert moved.loss(np.arange(units)) == pytest.approx(anew.loss(np.arange(units)))
    # And the one that it was made from is as it was.
    assert coverage.expected() == pytest.approx(by_hand(coverage, reach_s, idle), abs=1e-9)

    one_more = np.full((1, cells), 10.0)
    joined = by_hand(coverage, np.vstack([reach_s, one_more]), np.append(idle, True))
    assert coverage.gain(one_more)[0] == pytest.approx(joined - coverage.expected(), abs=1e-9)


@given(situations())
@settings(max_examples=100, deadline=None)
def test_the_zones_of_the_city_add_up_to_the_city(situation: tuple[Coverage, Any, Any]) -> None:
    coverage, _, _ = situation
    demand = coverage.demand_by_zone()
    assert coverage.preparedness() @ demand == pytest.approx(coverage.expected(), abs=1e-9)
    uncovered = float(coverage.demand[coverage.k == 0].sum())
    assert coverage.gap() @ demand == pytest.approx(uncovered, abs=1e-9)
    for shares in (coverage.preparedness(), coverage.gap()):
        assert ((shares >= -1e-12) & (shares <= 1 + 1e-12)).all()


@given(situations(), st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=60, deadline=None)
def test_another_demand_weighs_the_same_units_anew(situation: tuple[Coverage, Any, Any], q: float) -> None:
    coverage, reach_s, idle = situation
    demand = np.arange(len(coverage.demand), dtype=float)
    other = coverage.reweighed(demand, q)
    anew = Coverage(demand, coverage.zone, ZONES, ("first_aid", 480.0), reach_s, idle, q)
    assert other.expected() == pytest.approx(anew.expected())
    assert other.loss(np.arange(len(idle))) == pytest.approx(anew.loss(np.arange(len(idle))))


def test_a_zone_whose_only_ambulance_leaves_is_a_gap_and_the_others_are_as_before() -> None:
    """Given an ambulance in the north and two in the south, when the northern one or a southern leaves, then
    the north is left without, and in the south the second one stands in."""
    near, far = 200.0, 900.0
    coverage = Coverage(
        demand=[1.0, 3.0, 2.0, 2.0],
        zone=[0, 0, 2, 2],
        zones=ZONES,
        standard=("first_aid", 480.0),
        reach_s=[[near, near, far, far], [far, far, near, near], [far, far, near, near]],
        idle=[True, True, True],
        q=0.3,
    )
    assert coverage.gap().tolist() == [0.0, 0.0, 0.0]
    assert coverage.gap([0]).tolist() == [1.0, 0.0, 0.0]
    assert coverage.gap([1]).tolist() == [0.0, 0.0, 0.0]
    assert coverage.gap([1, 2]).tolist() == [0.0, 0.0, 1.0]
    assert coverage.loss([0, 1]) == pytest.approx([4.0 * 0.7, 4.0 * 0.7 * 0.3])
    assert coverage.preparedness() == pytest.approx([0.7, 1.0, 1 - 0.09])
    assert coverage.without([0]).loss([0])[0] == 0.0
    assert coverage.share() == pytest.approx((4 * 0.7 + 4 * 0.91) / 8)


def test_a_standard_may_differ_from_cell_to_cell() -> None:
    """Given a town's 8 minutes and the country's 12, when a unit needs 10 to both, then it covers one."""
    within_s = np.array([480.0, 720.0], dtype=np.float32)
    coverage = Coverage([1.0, 1.0], [0, 1], ZONES, ("first_aid", within_s), [[600.0, 600.0]], [True], 0.0)
    assert coverage.k.tolist() == [0, 1]
    assert coverage.loss([0])[0] == pytest.approx(1.0)


def test_without_units_and_without_demand_there_are_figures_all_the_same() -> None:
    nobody = Coverage([1.0], [0], ("all",), ("doctor", 900.0), np.zeros((0, 1)), [], 0.2)
    assert nobody.expected() == 0.0
    assert nobody.share() == 0.0
    assert nobody.gap().tolist() == [1.0]
    assert nobody.preparedness().tolist() == [0.0]
    assert nobody.loss([]).tolist() == []
    quiet = Coverage([0.0, 0.0], [0, 0], ("all", "empty"), ("doctor", 900.0), [[1.0, 9999.0]], [True], 0.0)
    assert quiet.share() == 1.0
    assert quiet.gap().tolist() == [0.5, 0.0]
    assert quiet.preparedness().tolist() == [0.5, 1.0]


GOOD: dict[str, Any] = {
    "demand": [1.0, 2.0], "zone": [0, 1], "zones": ("a", "b"), "standard": ("doctor", 480.0),
    "reach_s": [[1.0, 2.0]], "idle": [True], "q": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"demand": [1.0, -2.0]}, "demand"),
        ({"demand": [1.0, float("nan")]}, "demand"),
        ({"zone": [0, 2]}, "zone"),
        ({"zone": [-1, 0]}, "zone"),
        ({"zone": [0]}, "one length"),
        ({"reach_s": [[1.0]]}, "reach_s"),
        ({"idle": [True, False]}, "reach_s"),
        ({"standard": ("doctor", np.zeros(3, dtype=np.float32))}, "within_s"),
        ({"q": 1.0}, "q is"),
        ({"q": -0.1}, "q is"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Coverage(**{**GOOD, **wrong})


def test_more_rows_than_are_summed_at_once_give_the_same_losses() -> None:
    chance = np.random.default_rng(7)
    reach_s = chance.uniform(0, 1000, (150, 40)).astype(np.float32)
    coverage = Coverage(chance.uniform(0, 1, 40), np.zeros(40), ("all",), ("doctor", 480.0), reach_s,
                        chance.uniform(size=150) < 0.7, 0.9)  # fmt: skip
    together = coverage.loss(np.arange(150))
    alone = [coverage.loss([row])[0] for row in range(150)]
    assert together == pytest.approx(alone)
    assert (together[~coverage.idle] == 0).all()
    assert (together[coverage.idle] > 0).any()


@given(situations())
@settings(max_examples=100, deadline=None)
def test_what_a_unit_leaves_uncovered_is_how_much_the_gap_grows(situation: tuple[Coverage, Any, Any]) -> None:
    coverage, _, idle = situation
    shares = coverage.uncovers(np.arange(len(idle)))
    for row in range(len(idle)):
        assert shares[row] == pytest.approx(coverage.gap([row]) - coverage.gap(), abs=1e-9)


def a_cover() -> Cover:
    """Unit 0, an ambulance with a doctor, alone in the north; unit 1, an ambulance of the south, and unit 2
    of the same crew; unit 3, a second one of the south."""
    near, far = 200.0, 900.0
    first_aid = Coverage(
        demand=[2.0, 4.0], zone=[0, 2], zones=ZONES, standard=("first_aid", 480.0),
        reach_s=[[near, far], [far, near], [far, near]], idle=[True, True, True], q=0.5,
    )  # fmt: skip
    doctor = Coverage(
        demand=[1.0, 1.0], zone=[0, 2], zones=ZONES, standard=("doctor", 900.0),
        reach_s=[[near, far]], idle=[True], q=0.5,
    )  # fmt: skip
    return Cover([first_aid, doctor], [[0, 1, 1, 2], [0, -1, -1, -1]])


def test_a_unit_that_meets_several_standards_is_missed_under_each() -> None:
    cover = a_cover()
    # North: 2 first-aid calls and 2 of the doctor's, whose 15 minutes reach the south too, all halved by q.
    assert cover.loss([0, 1, 2, 3]) == pytest.approx([2 * 0.5 + 2 * 0.5, 4 * 0.25, 4 * 0.25, 4 * 0.25])
    assert cover.lost([1, 2]) == pytest.approx(cover.loss([1])[0])
    assert cover.lost([1, 3]) == pytest.approx(4 * 0.75)
    assert cover.without([0]).expected() == pytest.approx(cover.expected() - cover.loss([0])[0])
    assert cover.uncovers([0, 3]) == [
        (
            Uncovered("doctor", "north", 1.0),
            Uncovered("doctor", "south", 1.0),
            Uncovered("first_aid", "north", 1.0),
        ),
        (),
    ]
    assert cover.without([3]).uncovers([1]) == [(Uncovered("first_aid", "south", 1.0),)]


def test_rows_that_name_nobody_are_refused() -> None:
    standards = a_cover().standards
    for row in ([[0], [1]], [[0]], [[-2], [0]]):
        with pytest.raises(ValueError, match="row"):
            Cover(standards, row)


# -- kept up as units come and go -----------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None, print_blob=True)
def test_what_is_kept_up_is_what_counting_anew_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    posts, cells = int(random.integers(1, 9)), int(random.integers(1, 30))
    reached = random.random((posts, cells)) < random.choice([0.1, 0.4, 0.9])
    demand = random.choice([0.0, 0.1, 1.0, 7.5], cells)
    q = float(random.choice([0.02, 0.3, 0.9]))
    posts_s = np.where(reached, 0.0, np.inf)
    tally, home = Tally(demand, reached, q), []
    # Given posts where units come and go,
    for _ in range(int(random.integers(1, 40))):
        if home and random.random() < 0.45:
            tally.come(home.pop(int(random.integers(len(home)))), -1)
        else:
            home.append(int(random.integers(posts)))
            tally.come(home[-1])
        if random.random() < 0.1:
            q = float(random.choice([0.02, 0.3, 0.9]))
            tally.reweigh(q)
        # when asked after any of the changes, or only after several,
        if random.random() < 0.5:
            continue
        anew = Coverage(
            demand, [0] * cells, ["city"], ("first_aid", 0.0), posts_s[home], [True] * len(home), q
        )
        # then all figures are those of a count from the beginning,
        assert tally.k.tolist() == anew.k.tolist(), f"seed {seed}"
        assert tally.loss(home) == pytest.approx(anew.loss(np.arange(len(home))), abs=1e-9), f"seed {seed}"
        gain, least = anew.gain(posts_s), float(random.choice([0.0, 0.5, 2.0]))
        kept = tally.gain(least)
        enough = gain >= least + 1e-9
        assert kept[enough] == pytest.approx(gain[enough], abs=1e-9), f"seed {seed}"
        assert (kept[~enough] <= least + 1e-9).all() or least == 0.0, f"seed {seed}"
        # and a part of the city finds the same moves as all of it.
        if not home:
            continue
        for row, post in enumerate(home):
            gone = [anew.changed([row], reach_s=posts_s[[to]]).expected() for to in range(posts)]
            won = tally.moved([post], np.arange(posts))[0]
            assert won == pytest.approx(np.array(gone) - anew.expected(), abs=1e-9), f"seed {seed}"
        drive_s = random.integers(60, 2400, (posts, posts)).astype(float)
        np.fill_diagonal(drive_s, 0.0)
        rules = Standby(at_once=1, least_gain_pct=5.0, rolling_gain_pct=5.0)
        whole = move_ups(anew, posts_s, drive_s[home], home, rules=rules)
        part, part_s = tally.around(home, np.arange(posts))
        some = move_ups(part, part_s, drive_s[home], home, rules=rules, part=demand.sum() / len(home))
        assert [(one.row, one.post) for one in some] == [(one.row, one.post) for one in whole], f"seed {seed}"


def test_a_tally_refuses_arrays_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="reached"):
        Tally([1.0, 2.0], [[True]], 0.3)
