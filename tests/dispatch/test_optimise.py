"""The optimiser against brute force, and stories a dispatcher would tell."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dispatch.optimise import (
    OVERDUE_S,
    PLAIN,
    Candidates,
    Lateness,
    Pick,
    Plan,
    WhyNot,
    recommend,
)
from dispatch.standby import Cover, Coverage
from tests.dispatch.fleet import CAPABILITIES, candidates, unit


def sent(plan: Plan) -> list[str]:
    return [pick.unit for pick in plan.chosen]


def codes(one: Pick | WhyNot) -> list[str]:
    return [reason.code for reason in one.reasons]


def args(one: Pick | WhyNot, code: str) -> dict[str, Any]:
    return dict(next(reason.args for reason in one.reasons if reason.code == code))


def why_not(plan: Plan, id: str) -> WhyNot:
    return next(one for one in plan.not_chosen if one.unit == id)


def alternative(plan: Plan, id: str) -> Pick:
    return next(one for one in plan.alternatives if one.unit == id)


# ---- the exact optimum, against every subset


def brute_force(rows: Sequence[Mapping[str, Any]], needs: Mapping[str, int]) -> tuple[float, float, float]:
    """The best (shortfall, units with an old position, seconds) over all allowed subsets."""
    usable = [
        row for row in rows
        if row["sendable"] in ("now", "soon") and row["crew"] >= row["crew_min"] and row["blocked_by"] is None
        and row["in_zone"] and np.isfinite(row["drive_s"])
        and any(needs.get(capability, 0) > 0 for capability in row["gives"])
        and not (row["sendable"] == "soon" and np.isnan(row["ready_in_s"]))
    ]  # fmt: skip
    best = (float("inf"), float("inf"), float("inf"))
    for size in range(len(usable) + 1):
        for subset in itertools.combinations(usable, size):
            crews = [row["crew_id"] for row in subset if row["crew_id"] is not None]
            if len(crews) == len(set(crews)):
                best = min(best, value(subset, needs))
    return best


def value(subset: Sequence[Mapping[str, Any]], needs: Mapping[str, int]) -> tuple[float, float, float]:
    shortfall = sum(
        max(0, count - sum(capability in row["gives"] for row in subset))
        for capability, count in needs.items()
    )
    old = sum(
        not row["fix_age_s"] <= 3600 or (row["sendable"] == "soon" and row["ready_in_s"] < -OVERDUE_S)
        for row in subset
    )
    etas = [
        row["drive_s"]
        + (0 if row["status"] == "returning" else row["turnout_s"])
        + (max(0.0, row["ready_in_s"]) if row["sendable"] == "soon" else 0)
        for row in subset
    ]
    seconds = sum(etas) + PLAIN.first_due * min(etas, default=0.0) + PLAIN.unit_worth_s * len(etas)
    return shortfall, old, round(seconds, 6)


def random_case(rng: random.Random) -> tuple[list[dict[str, Any]], dict[str, int]]:
    rows = []
    for index in range(rng.randint(0, 9)):
        sendable = rng.choices(("now", "soon", "divert", "never"), (8, 2, 1, 1))[0]
        status = {"now": "available", "soon": "at_hospital", "divert": "en_route", "never": "on_scene"}[
            sendable
        ]
        if sendable == "now" and rng.random() < 0.3:
            status = "returning"
        rows.append(unit(
            f"U{index}", rng.sample(CAPABILITIES, rng.randint(1, 4)),
            rng.choice((np.nan, *range(0, 400, 20))),
            status=status, sendable=sendable, crew=rng.choice((1, 3, 4, 4, 4)),
            turnout_s=rng.choice((0.0, 60.0)), ready_in_s=rng.choice((np.nan, -900.0, -5.0, 120.0)),
            fix_age_s=rng.choice((np.nan, 1.0, 10.0, 600.0, 9000.0)),
            crew_id=rng.choice((None, None, "c1", "c2")), in_zone=rng.random() < 0.9,
        ))  # fmt: skip
    needs = {one: rng.randint(0, 3) for one in rng.sample(CAPABILITIES, rng.randint(1, 4))}
    return rows, needs


def test_the_plan_is_as_good_as_the_best_of_all_subsets() -> None:
    # Overlapping capabilities, shared crews, shortfall, old positions and every kind of status, all at once.
    shortfalls = overlaps = shared = 0
    for seed in range(250):
        rows, needs = random_case(random.Random(seed))
        plan = recommend(candidates(*rows), needs)
        subset = [row for row in rows if row["ids"] in sent(plan)]
        assert value(subset, needs) == brute_force(rows, needs), f"seed {seed}"
        assert sum(plan.missing.values()) == value(subset, needs)[0], f"seed {seed}"
        assert plan.complete == (not plan.missing), f"seed {seed}"
        assert [pick.eta_s for pick in plan.chosen] == sorted(pick.eta_s for pick in plan.chosen), (
            f"seed {seed}"
        )
        shortfalls += not plan.complete
        overlaps += any(len(pick.fills) > 1 for pick in plan.chosen)
        crews = [row["crew_id"] for row in rows if row["crew_id"]]
        shared += len(crews) > len(set(crews))
    assert min(shortfalls, overlaps, shared) > 50, "the cases no longer cover what they are for"


def test_the_order_in_which_units_are_listed_changes_nothing() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        rows, needs = random_case(rng)
        first = recommend(candidates(*rows), needs)
        rng.shuffle(rows)
        assert recommend(candidates(*rows), needs) == first, f"seed {seed}"


def test_among_a_thousand_units_the_dominated_are_dropped_without_changing_the_optimum() -> None:
    # With one capability a unit and no shared crew, the optimum is simply the soonest of each.
    rng = random.Random(7)
    rows = [
        unit(f"U{index}", [rng.choice(CAPABILITIES)], float(rng.randint(30, 3000))) for index in range(1000)
    ]
    needs = {"fire_suppression": 3, "doctor": 2, "officer": 1}
    plan = recommend(candidates(*rows), needs)
    soonest = {
        capability: sorted((row["drive_s"], row["ids"]) for row in rows if capability in row["gives"])[:count]
        for capability, count in needs.items()
    }
    assert sorted(sent(plan)) == sorted(id for best in soonest.values() for _, id in best), "seed 7"


# ---- stories: what is sent


def test_given_three_engines_when_two_are_needed_then_the_two_soonest_go() -> None:
    engines = [unit(f"F{n}", ["fire_suppression"], eta) for n, eta in ((1, 300.0), (2, 100.0), (3, 200.0))]
    plan = recommend(candidates(*engines), {"fire_suppression": 2})
    assert sent(plan) == ["F2", "F3"]
    assert plan.complete
    assert args(plan.chosen[0], "nearest") == {"rank": 1}
    assert args(plan.chosen[1], "nearest") == {"rank": 2}
    assert args(plan.chosen[0], "fills") == {"capabilities": "fire_suppression"}
    assert args(plan.chosen[0], "fix-age") == {"age_s": 5.0}


def test_one_unit_that_covers_two_needs_beats_two_that_cover_one_each_when_that_is_sooner_in_sum() -> None:
    plan = recommend(
        candidates(
            unit("T1", ["doctor", "transport"], 240.0),
            unit("C2", ["doctor"], 200.0),
            unit("B2", ["transport"], 220.0),
        ),
        {"doctor": 1, "transport": 1},
    )
    # 240, once more for the first arrival, 60 for the unit: 540; the other two: 200 + 220 + 200 + 120 = 740.
    assert sent(plan) == ["T1"]
    assert plan.chosen[0].fills == ("doctor", "transport")
    nearer = why_not(plan, "C2")
    assert args(nearer, "covered") == {"capabilities": "doctor", "units": "T1"}
    assert args(alternative(plan, "C2"), "faster-alternative") == {"unit": "T1", "gain_s": 40.0}


@pytest.mark.parametrize(("first_aid_eta_s", "expected"), [(60.0, ["E1", "T1"]), (500.0, ["T1"])])
def test_a_first_arrival_that_is_much_sooner_is_worth_one_more_unit(
    first_aid_eta_s: float, expected: list[str]
) -> None:
    plan = recommend(
        candidates(unit("T1", ["doctor", "first_aid"], 600.0), unit("E1", ["first_aid"], first_aid_eta_s)),
        {"doctor": 1, "first_aid": 1},
    )
    assert sent(plan) == expected


@pytest.mark.parametrize(("both_eta_s", "expected"), [(159.0, ["T1"]), (161.0, ["C2", "B2"])])
def test_one_unit_more_must_be_worth_a_minute(both_eta_s: float, expected: list[str]) -> None:
    # The pair costs 80 + 100, 80 for the first arrival and 120 for two units: 380. T1 costs 2 * eta + 60.
    plan = recommend(
        candidates(
            unit("T1", ["doctor", "transport"], both_eta_s),
            unit("C2", ["doctor"], 80.0),
            unit("B2", ["transport"], 100.0),
        ),
        {"doctor": 1, "transport": 1},
    )
    assert sent(plan) == expected


def test_filling_a_need_outranks_any_speed() -> None:
    plan = recommend(
        candidates(unit("P1", ["local_patrol"], 30.0), unit("T9", ["doctor"], 7200.0)),
        {"local_patrol": 1, "doctor": 1},
    )
    assert sent(plan) == ["P1", "T9"]


def test_given_one_doctor_when_two_are_needed_then_one_goes_and_one_is_missing() -> None:
    plan = recommend(
        candidates(
            unit("T1", ["doctor"], 300.0),
            unit(
                "T2", ["doctor"], 100.0, status="on_scene", sendable="never", busy_with="C1-12", busy_by="ana"
            ),
        ),
        {"doctor": 2},
    )
    assert sent(plan) == ["T1"]
    assert plan.missing == {"doctor": 1}
    assert not plan.complete
    assert args(why_not(plan, "T2"), "busy") == {"incident": "C1-12", "by": "ana"}


def test_what_is_missing_is_explained_even_by_units_farther_than_the_slowest_sent() -> None:
    plan = recommend(
        candidates(
            unit("P1", ["local_patrol"], 10.0),
            unit("T2", ["doctor"], 5000.0, status="out_of_service", sendable="never"),
        ),
        {"doctor": 1, "local_patrol": 1},
    )
    assert codes(why_not(plan, "T2")) == ["out-of-service"]


def test_no_units_at_all_gives_an_empty_plan_with_everything_missing() -> None:
    plan = recommend(candidates(), {"doctor": 1, "officer": 2})
    assert plan == Plan((), (), (), {"doctor": 1, "officer": 2}, False, nobody=("doctor", "officer"))


def test_no_needs_at_all_is_a_complete_plan_that_sends_nobody() -> None:
    plan = recommend(candidates(unit("F1", ["officer"], 10.0)), {})
    assert sent(plan) == []
    assert plan.complete
    assert recommend(candidates(unit("F1", ["officer"], 10.0)), {"officer": 0}).complete


def test_an_unknown_capability_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="doctr"):
        recommend(candidates(unit("T1", ["doctor"], 10.0)), {"doctr": 1})
    with pytest.raises(ValueError, match="officer is -1"):
        recommend(candidates(), {"officer": -1})


def test_units_already_there_count_first_and_are_not_sent_again() -> None:
    there = unit("F1", ["fire_suppression"], 0.0, status="on_scene", sendable="never", already=True)
    plan = recommend(
        candidates(there, unit("F2", ["fire_suppression"], 90.0), unit("F3", ["fire_suppression"], 80.0)),
        {"fire_suppression": 2},
    )
    assert sent(plan) == ["F3"]
    assert all(one.unit != "F1" for one in plan.not_chosen)


def test_a_unit_there_with_too_few_people_does_not_count() -> None:
    there = unit("F1", ["fire_suppression"], 0.0, already=True, crew=1, sendable="never", status="on_scene")
    plan = recommend(candidates(there, unit("F2", ["fire_suppression"], 90.0)), {"fire_suppression": 1})
    assert sent(plan) == ["F2"]


# ---- stories: hard rules


@pytest.mark.parametrize(
    ("changes", "code", "reason_args"),
    [
        ({"crew": 1}, "crew-short", {"crew": 1, "crew_min": 2}),
        ({"blocked_by": "L1"}, "crew-shared", {"unit": "L1"}),
        ({"in_zone": False, "districts": "south"}, "out-of-zone", {"district": "south"}),
        ({"drive_s": np.nan}, "unreachable", {}),
        ({"drive_s": np.inf}, "unreachable", {}),
        ({"status": "off_duty", "sendable": "never"}, "off-duty", {}),
        ({"status": "out_of_service", "sendable": "never"}, "out-of-service", {}),
        ({"status": "assigned", "sendable": "never"}, "not-sendable", {"status": "assigned"}),
        ({"status": "recovering", "sendable": "soon"}, "ready-unknown", {}),
    ],
)
def test_a_nearer_unit_that_breaks_a_hard_rule_stays_and_the_reason_is_said(
    changes: dict[str, Any], code: str, reason_args: dict[str, Any]
) -> None:
    near = unit("A1", ["doctor"], 10.0) | changes
    plan = recommend(candidates(near, unit("A2", ["doctor"], 500.0)), {"doctor": 1})
    assert sent(plan) == ["A2"]
    assert codes(why_not(plan, "A1")) == [code]
    assert args(why_not(plan, "A1"), code) == reason_args
    assert all(one.unit != "A1" for one in plan.alternatives)


def test_two_vehicles_with_one_crew_are_never_sent_together() -> None:
    rows = (
        unit("L1", ["officer"], 10.0, crew_id="guard-1"),
        unit("R1", ["doctor"], 20.0, crew_id="guard-1"),
        unit("R2", ["doctor"], 900.0),
    )
    plan = recommend(candidates(*rows), {"officer": 1, "doctor": 1})
    assert sent(plan) == ["L1", "R2"]
    assert args(why_not(plan, "R1"), "crew-shared") == {"unit": "L1"}
    assert all(one.unit != "R1" for one in plan.alternatives), "it cannot be added to what is sent"


def test_a_crew_that_is_already_at_the_incident_with_another_vehicle_cannot_bring_a_second() -> None:
    there = unit("L1", ["officer"], 0.0, crew_id="guard-1", already=True, status="on_scene", sendable="never")
    plan = recommend(candidates(there, unit("R1", ["doctor"], 20.0, crew_id="guard-1")), {"doctor": 1})
    assert sent(plan) == []
    assert args(why_not(plan, "R1"), "crew-shared") == {"unit": "L1"}


def test_a_unit_on_its_way_elsewhere_is_offered_but_only_a_person_may_take_it() -> None:
    rows = (
        unit("A1", ["doctor"], 30.0, status="en_route", sendable="divert", busy_with="C1-7", turnout_s=60.0),
        unit("A2", ["doctor"], 400.0),
    )
    plan = recommend(candidates(*rows), {"doctor": 1})
    assert sent(plan) == ["A2"]
    offered = alternative(plan, "A1")
    assert offered.eta_s == 30.0, "its wheels already roll"
    assert args(offered, "divert") == {"incident": "C1-7"}
    assert "confirm" in codes(offered)
    assert args(offered, "faster-alternative") == {"unit": "A2", "gain_s": 370.0}
    assert codes(why_not(plan, "A1"))[:2] == ["divert", "confirm"]


def test_when_only_a_diversion_could_fill_the_need_it_is_still_missing_until_a_person_decides() -> None:
    plan = recommend(
        candidates(unit("A1", ["doctor"], 30.0, status="en_route", sendable="divert", busy_with="C1-7")),
        {"doctor": 1},
    )
    assert (sent(plan), plan.missing) == ([], {"doctor": 1})
    assert alternative(plan, "A1").fills == ("doctor",)
    assert "covered" not in codes(why_not(plan, "A1"))


# ---- stories: times and positions


def test_turnout_counts_at_the_station_and_not_on_the_way_home() -> None:
    plan = recommend(
        candidates(
            unit("A1", ["doctor"], 100.0, turnout_s=60.0),
            unit("A2", ["doctor"], 120.0, turnout_s=60.0, status="returning"),
        ),
        {"doctor": 1},
    )
    assert sent(plan) == ["A2"]
    assert (plan.chosen[0].eta_s, plan.chosen[0].turnout_s) == (120.0, 0.0)
    assert (plan.alternatives[0].eta_s, plan.alternatives[0].turnout_s) == (160.0, 60.0)


def test_a_unit_at_hospital_is_chosen_when_even_with_the_wait_it_is_sooner() -> None:
    soon = unit(
        "A1", ["doctor"], 60.0, status="at_hospital", sendable="soon", ready_in_s=120.0, turnout_s=30.0
    )
    plan = recommend(candidates(soon, unit("A2", ["doctor"], 300.0)), {"doctor": 1})
    assert sent(plan) == ["A1"]
    assert plan.chosen[0].eta_s == 210.0
    assert args(plan.chosen[0], "ready-in") == {"ready_in_s": 120.0}


def test_a_unit_that_should_be_free_by_now_gains_nothing_from_being_late() -> None:
    soon = unit("A1", ["doctor"], 60.0, status="recovering", sendable="soon", ready_in_s=-200.0)
    pick = recommend(candidates(soon, unit("A2", ["doctor"], 90.0)), {"doctor": 1}).chosen[0]
    assert (pick.unit, pick.eta_s) == ("A1", 60.0)
    assert args(pick, "ready-overdue") == {"late_s": 200.0}
    assert "ready-in" not in codes(pick)


def test_a_unit_that_should_have_been_free_six_hours_ago_is_used_last_and_said_so() -> None:
    soon = unit("A1", ["doctor"], 60.0, status="at_hospital", sendable="soon", ready_in_s=-6 * 3600.0)
    plan = recommend(candidates(soon, unit("A2", ["doctor"], 900.0)), {"doctor": 1})
    assert sent(plan) == ["A2"]
    assert args(why_not(plan, "A1"), "ready-overdue") == {"late_s": 21_600.0}
    alone = recommend(candidates(soon), {"doctor": 1})
    assert sent(alone) == ["A1"], "better than nobody"
    assert args(alone.chosen[0], "ready-overdue") == {"late_s": 21_600.0}


def test_a_unit_hours_away_does_not_make_a_plan_complete() -> None:
    # Given a doctor whose last position is in another city
    plan = recommend(candidates(unit("T1", ["doctor"], 81 * 3600.0)), {"doctor": 1})
    # Then the need stays open, the unit is offered, and both say why
    assert (sent(plan), plan.complete, plan.missing) == ([], False, {"doctor": 1})
    assert args(alternative(plan, "T1"), "too-far") == {"eta_s": 291_600.0}
    assert args(why_not(plan, "T1"), "too-far") == {"eta_s": 291_600.0}


def test_when_all_is_covered_the_dispatcher_still_sees_whom_to_add() -> None:
    # Given a fire engine at work that is all the plan asks for
    there = unit("F1", ["fire_suppression"], 0.0, status="on_scene", sendable="never", already=True)
    rows = (
        there,
        unit("F2", ["fire_suppression"], 90.0),
        unit("F3", ["fire_suppression"], 60.0),
        unit("P1", ["local_patrol"], 10.0),
    )
    plan = recommend(candidates(*rows), {"fire_suppression": 1})
    # Then nobody is chosen, and the nearest that would help stand beside the plan
    assert (sent(plan), plan.complete) == ([], True)
    assert [one.unit for one in plan.alternatives] == ["F3", "F2"]
    assert all("beyond-needs" in codes(one) for one in plan.alternatives)
    # And without any need nobody is offered
    assert recommend(candidates(*rows), {}).alternatives == ()


@pytest.mark.parametrize(("age_s", "code"), [(3 * 86400.0, "old-fix"), (np.nan, "no-fix")])
def test_a_position_three_days_old_or_none_at_all_is_used_last_and_said_so(age_s: float, code: str) -> None:
    near = unit("A1", ["doctor"], 10.0, fix_age_s=age_s)
    plan = recommend(candidates(near, unit("A2", ["doctor"], 900.0)), {"doctor": 1})
    assert sent(plan) == ["A2"]
    assert code in codes(why_not(plan, "A1"))
    alone = recommend(candidates(near), {"doctor": 1})
    assert sent(alone) == ["A1"]
    assert code in codes(alone.chosen[0])
    assert alone.chosen[0].fix_age_s == (None if np.isnan(age_s) else age_s)


def test_a_position_a_few_minutes_old_is_used_and_its_age_said() -> None:
    near = unit("A1", ["doctor"], 10.0, fix_age_s=300.0)
    plan = recommend(candidates(near, unit("A2", ["doctor"], 900.0)), {"doctor": 1})
    assert args(plan.chosen[0], "stale-fix") == {"age_s": 300.0}
    fresh_enough = recommend(candidates(near), {"doctor": 1}, stale_s=600.0)
    assert "fix-age" in codes(fresh_enough.chosen[0])


def test_a_straight_line_time_and_a_requested_unit_say_what_they_are() -> None:
    row = unit("SMURD1", ["doctor"], 90.0, road=False, command="requested", agencies="ISU")
    pick = recommend(candidates(row), {"doctor": 1}).chosen[0]
    assert "straight-line" in codes(pick)
    assert args(pick, "request-only") == {"agency": "ISU"}
    assert (pick.command, pick.road) == ("requested", False)


def test_top_limits_the_alternatives_and_old_positions_come_last_among_them() -> None:
    rows = [unit(f"A{n}", ["doctor"], 100.0 * n) for n in range(1, 9)]
    rows[1]["fix_age_s"] = 9000.0
    plan = recommend(candidates(*rows), {"doctor": 1}, top=7)
    assert [one.unit for one in plan.alternatives] == ["A3", "A4", "A5", "A6", "A7", "A8", "A2"]
    assert [one.unit for one in recommend(candidates(*rows), {"doctor": 1}, top=2).alternatives] == [
        "A3",
        "A4",
    ]


def test_every_unit_nearer_than_the_slowest_sent_has_a_reason() -> None:
    for seed in range(120):
        rows, needs = random_case(random.Random(1000 + seed))
        plan = recommend(candidates(*rows), needs)
        if not plan.chosen:
            continue
        eta_s = candidates(*rows).eta_s()
        nearer = {
            row["ids"] for row, eta in zip(rows, eta_s, strict=True) if eta < plan.chosen[-1].eta_s
        } - set(sent(plan))
        explained = {one.unit: one for one in plan.not_chosen}
        assert nearer <= set(explained), f"seed {1000 + seed}"
        assert all(one.reasons for one in plan.not_chosen), f"seed {1000 + seed}"


def test_a_nearer_unit_that_can_do_nothing_here_says_so() -> None:
    plan = recommend(
        candidates(unit("P1", ["local_patrol"], 1.0), unit("T1", ["doctor"], 90.0)), {"doctor": 1}
    )
    assert codes(why_not(plan, "P1")) == ["not-needed"]


# ---- bad input


def test_columns_that_do_not_fit_together_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="ids: A1 is given twice"):
        candidates(unit("A1", [], 1.0), unit("A1", [], 1.0))
    with pytest.raises(ValueError, match="sendable: 'maybe'"):
        candidates(unit("A1", [], 1.0, sendable="maybe"))
    good = candidates(unit("A1", [], 1.0))
    columns = {name: getattr(good, name) for name in Candidates.__dataclass_fields__}
    with pytest.raises(ValueError, match="drive_s has shape"):
        Candidates(**(columns | {"drive_s": np.array([1.0, 2.0])}))


def test_units_that_only_moved_keep_what_is_known_of_them() -> None:
    # given units of which one is busy and two are of one crew
    rows = [
        unit("B2", ["doctor"], 50.0, crew_id="x"), unit("A1", ["doctor"], 90.0, crew_id="x"),
        unit("C3", ["doctor"], 10.0, sendable="never", status="on_scene"),
    ]  # fmt: skip
    before = candidates(*rows)
    assert recommend(before, {"doctor": 1}).chosen[0].unit == "B2"
    # when they drive on, and one comes to the incident
    drive_s, already = np.array([80.0, 20.0, 5.0]), np.array([False, False, True])
    after = before.renewed(drive_s=drive_s, already=already)
    # then the plan is as if they had been told of anew, and those before are as they were
    told = [row | {"drive_s": s, "already": on} for row, s, on in zip(rows, drive_s, already, strict=True)]
    for needs in ({"doctor": 1}, {"doctor": 2}):
        assert recommend(after, needs) == recommend(candidates(*told), needs)
    assert before.drive_s.tolist() == [50.0, 90.0, 10.0]
    # and neither words nor figures of other units are taken
    for wrong in ({"drive_s": np.zeros(2)}, {"status": np.zeros(3)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            before.renewed(**wrong)


# ---- stories: what a choice leaves uncovered


def cover(*reaches: Sequence[int], idle: Sequence[bool] | None = None) -> Cover:
    """Doctors of whom row i reaches these of four cells, two in each of the zones north and south, in each
    of which two calls an hour come; half the time a doctor is busy."""
    reach_s = np.full((len(reaches), 4), np.inf)
    for row, cells in enumerate(reaches):
        reach_s[row, list(cells)] = 100.0
    free = [True] * len(reaches) if idle is None else list(idle)
    standard = Coverage([2.0] * 4, [0, 0, 1, 1], ("north", "south"), ("doctor", 480.0), reach_s, free, 0.5)
    return Cover([standard], [np.arange(len(reaches))])


URGENT = Lateness(8.0, 480.0)


def test_the_nearest_stays_where_only_it_covers_and_the_plan_says_what_it_would_have_left() -> None:
    # given A1, the only one in reach of the north, and A2, 50 s later, who stands beside A3 in the south
    rows = [unit("A1", ["doctor"], 200.0), unit("A2", ["doctor"], 250.0), unit("A3", ["doctor"], 900.0)]
    stands = cover([0, 1], [2, 3], [2, 3])
    plan = recommend(candidates(*rows), {"doctor": 1}, curve=URGENT, cover=stands, delta_s=60.0)
    # then A2 goes, and both say why
    assert sent(plan) == ["A2"]
    assert args(plan.chosen[0], "spares") == {"unit": "A1", "delay_s": 50.0}
    nearer = why_not(plan, "A1")
    assert args(nearer, "uncovers") == {
        "capability": "doctor", "zone": "north", "minutes": 60, "share_pct": 100,
    }  # fmt: skip
    assert nearer.cost is not None
    assert nearer.cost.uncovered == pytest.approx(2.0), "two cells of two calls an hour, half of them met"
    assert plan.cost.uncovered == pytest.approx(1.0)
    assert plan.cost.total < nearer.cost.total


def test_for_coverage_nobody_comes_later_than_the_cap_and_that_is_said_too() -> None:
    rows = [unit("A1", ["doctor"], 200.0), unit("A2", ["doctor"], 270.0), unit("A3", ["doctor"], 900.0)]
    stands = cover([0, 1], [2, 3], [2, 3])
    plan = recommend(candidates(*rows), {"doctor": 1}, curve=URGENT, cover=stands, delta_s=60.0)
    assert sent(plan) == ["A1"]
    assert args(plan.chosen[0], "uncovers")["zone"] == "north"
    assert args(alternative(plan, "A2"), "delta-cap") == {"delta_s": 60.0}
    # without coverage in the weights it is simply the nearest
    assert sent(recommend(candidates(*rows), {"doctor": 1}, cover=stands, cover_weight=0.0)) == ["A1"]


def test_a_zone_is_left_only_until_another_is_free_in_reach_of_it() -> None:
    back = unit("A9", ["doctor"], 900.0, status="at_hospital", sendable="soon", ready_in_s=540.0)
    stands = cover([0, 1], [0], idle=[True, False])
    rows = (unit("A1", ["doctor"], 100.0), back)
    plan = recommend(candidates(*rows), {"doctor": 1}, cover=stands, delta_s=60.0)
    assert args(plan.chosen[0], "uncovers")["minutes"] == 9


def test_where_the_cost_is_the_same_the_rested_crew_goes() -> None:
    rows = [
        unit("A1", ["doctor"], 100.0, workload=0.9),
        unit("A2", ["doctor"], 100.0, workload=0.2),
        unit("A3", ["doctor"], 100.0, workload=0.2, shift_left_s=600.0),
    ]
    assert sent(recommend(candidates(*rows), {"doctor": 1})) == ["A2"]
    # but not when it is noticeably later
    rows[1]["drive_s"] = rows[2]["drive_s"] = 110.0
    assert sent(recommend(candidates(*rows), {"doctor": 1})) == ["A1"]


def test_what_no_unit_of_the_city_gives_is_told_apart_from_what_is_only_busy() -> None:
    busy = unit("T1", ["doctor"], 10.0, status="on_scene", sendable="never", busy_with="C1-2")
    plan = recommend(candidates(busy), {"doctor": 1, "transport": 1})
    assert plan.missing == {"doctor": 1, "transport": 1}
    assert plan.nobody == ("transport",)


def test_a_cover_of_other_units_is_refused() -> None:
    with pytest.raises(ValueError, match="cover counts 2 units, candidates 1"):
        recommend(candidates(unit("A1", ["doctor"], 1.0)), {"doctor": 1}, cover=cover([0], [1]))
