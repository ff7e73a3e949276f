"""Stories about what is in the way: who may say what, what it then is, and what time and other stations make
of it."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch.closure import UNCONFIRMED_US, Closure
from dispatch.commands import SYSTEM, Actor
from tests.dispatch.story import ANA, Story, meet

BARRIER = {"type": "LineString", "coordinates": [[26.1, 44.43], [26.104, 44.431]]}
ZONE = {"type": "Point", "coordinates": [26.11, 44.44], "radius_m": 150}
MIHAI = Actor("mihai", "supervisor", frozenset({"*"}))
CREW = Actor("tableta-1", "field", frozenset({"centru"}), unit="PL1")
POLICE = Actor("tableta-2", "field", frozenset({"centru"}), unit="P7")
H = 3_600_000_000


def reported(story: Story, **fields: Any) -> Closure:
    story.when(c.ReportClosure, **{"closure": "K1", "kind": "closure", "geometry": BARRIER, **fields})
    return found(story)


def found(story: Story) -> Closure:
    closure = story.state.closure("K1")
    assert closure is not None
    return closure


def crews() -> Story:
    story = Story()
    story.unit_on_duty("PL1")
    story.unit_on_duty("P7", "PN")
    return story


# ---- what each state does


def test_a_report_only_warns() -> None:
    story = Story()
    closure = reported(story, reason="copac căzut lângă nr. 12")
    assert (closure.state, closure.reroutes) == ("reported", False)
    assert closure.holds(story.now_us)
    assert not closure.in_force(story.now_us)
    # and what was said of it is kept under seal
    assert story.clear(closure.reason) == "copac căzut lângă nr. 12"


def test_what_a_crew_has_seen_changes_ways() -> None:
    story = crews()
    reported(story, by=CREW)
    assert found(story).unit == "PL1"
    story.when(c.ConfirmClosure, by=CREW, closure="K1")
    closure = found(story)
    assert (closure.state, closure.confirmed_unit) == ("confirmed", "PL1")
    assert closure.in_force(story.now_us)
    # and the same said again adds nothing
    assert story.when(c.ConfirmClosure, by=CREW, closure="K1") == ()


def test_the_room_confirms_in_the_name_of_a_crew_and_of_none_but_a_known_one() -> None:
    story = crews()
    reported(story)
    assert story.refuses(c.ConfirmClosure, closure="K1").field == "unit"
    assert story.refuses(c.ConfirmClosure, closure="K1", unit="X9").code == "unknown-unit"
    story.when(c.ConfirmClosure, closure="K1", unit="PL1")
    assert found(story).crews == ("PL1",)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"authority": "mayor", "ordered_by": "primar"}, "unknown-authority", "authority"),
        ({"authority": "road_administrator", "ordered_by": "ing. Marin"}, "agreement-needed", "agreed_by"),
        ({"authority": "road_administrator", "ordered_by": " "}, "order-name-needed", "ordered_by"),
        ({"authority": "police", "ordered_by": ""}, "order-name-needed", "ordered_by"),
        ({"authority": "police", "ordered_by": "x" * 200}, "text-too-long", "ordered_by"),
    ],
)
def test_an_order_names_who_gave_it_and_for_a_road_administrator_who_agreed(
    fields: dict[str, str], code: str, field: str
) -> None:
    story = Story()
    reported(story)
    refused = story.refuses(c.OrderClosure, by=MIHAI, closure="K1", **fields)
    assert (refused.code, refused.field) == (code, field)


def test_a_road_administrator_orders_with_the_agreement_of_the_police() -> None:
    story = Story()
    reported(story)
    given = {"authority": "road_administrator", "ordered_by": "ing. Marin", "agreed_by": "ag. Stan"}
    story.when(c.OrderClosure, by=MIHAI, closure="K1", **given)
    closure = found(story)
    assert (closure.state, closure.ordered_by, closure.agreed_by) == ("ordered", "ing. Marin", "ag. Stan")
    assert closure.in_force(story.now_us)
    assert story.when(c.OrderClosure, by=MIHAI, closure="K1", **given) == ()


def test_on_the_spot_only_a_police_crew_orders() -> None:
    story = crews()
    reported(story)
    refused = story.refuses(c.OrderClosure, by=CREW, closure="K1", authority="police", ordered_by="noi")
    assert (refused.code, refused.kind) == ("not-an-authority", "forbidden")
    refused = story.refuses(
        c.OrderClosure, by=POLICE, closure="K1", authority="road_administrator", ordered_by="x", agreed_by="y"
    )
    assert refused.code == "not-an-authority"
    story.when(c.OrderClosure, by=POLICE, closure="K1", authority="police", ordered_by="")
    assert found(story).ordered_by == "P7"


def test_it_can_begin_as_confirmed_or_ordered() -> None:
    story = crews()
    assert reported(story, by=CREW, state="confirmed").state == "confirmed"
    order = {"state": "ordered", "authority": "police", "ordered_by": "ag. Ilie"}
    story.when(c.ReportClosure, by=MIHAI, closure="K2", kind="closure", geometry=BARRIER, **order)
    assert story.state.closure("K2").state == "ordered"
    refused = story.refuses(
        c.ReportClosure, closure="K3", kind="closure", geometry=BARRIER, state="withdrawn"
    )
    assert refused.field == "state"


# ---- what may be said of it


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"kind": "wall"}, "unknown-kind", "kind"),
        ({"geometry": {"type": "MultiPoint"}}, "bad-geometry", "geometry.type"),
        ({"geometry": {"type": "Point", "coordinates": [26.1, 44.4]}}, "bad-radius", "geometry.radius_m"),
        ({"classes": ("tank",)}, "unknown-class", "classes"),
        ({"speed_share": 0.5}, "bad-speed", "speed_pct"),
        ({"kind": "slow"}, "bad-speed", "speed_pct"),
        ({"kind": "slow", "speed_share": 0.0}, "bad-speed", "speed_pct"),
        ({"kind": "slow", "speed_share": float("nan")}, "bad-speed", "speed_pct"),
        ({"entry": ("doctor",)}, "not-for-kind", "entry_capabilities"),
        ({"kind": "hazard", "entry": ("teleport",)}, "unknown-capability", "entry_capabilities"),
        ({"from_us": 2**52}, "closure-too-far", "from"),
        ({"until_us": 2**52}, "closure-too-far", "until"),
        ({"until_us": 1}, "ends-too-soon", "until"),
        ({"reason": "x" * 501}, "text-too-long", "reason"),
    ],
)
def test_a_report_that_cannot_be_right_names_its_field(fields: dict[str, Any], code: str, field: str) -> None:
    told = {"closure": "K1", "kind": "closure", "geometry": BARRIER, **fields}
    refused = Story().refuses(c.ReportClosure, **told)
    assert (refused.code, refused.field) == (code, field)


def test_it_must_end_after_it_begins() -> None:
    story = Story()
    later = story.now_us + 2 * H
    refused = story.refuses(
        c.ReportClosure, closure="K1", kind="closure", geometry=BARRIER, from_us=later, until_us=later - H
    )
    assert refused.code == "ends-too-soon"


def test_only_what_is_named_changes_and_nothing_for_what_is_so_already() -> None:
    story = Story()
    reported(story, classes=("car",), reason="zid")
    (fact,) = story.when(c.ChangeClosure, closure="K1", changes={"classes": ("bus", "car"), "staging": None})
    assert isinstance(fact, e.ClosureChanged)
    assert fact.changes == {"classes": ("bus", "car")}
    assert story.clear(found(story).reason) == "zid"
    assert story.when(c.ChangeClosure, closure="K1", changes={"classes": ("car", "bus")}) == ()
    assert story.refuses(c.ChangeClosure, closure="K1", changes={"kind": "slow"}).code == "unknown-field"


# ---- how it ends


def test_time_alone_opens_the_road_and_the_keeper_only_notes_it() -> None:
    story = crews()
    reported(story, state="confirmed", by=CREW, until_us=story.now_us + H)
    at_us = story.now_us
    assert found(story).turns_at(at_us) == at_us + H
    assert found(story).in_force(at_us + H - 1)
    assert not found(story).in_force(at_us + H)
    # Too early there is nothing to note
    assert story.when(c.ExpireClosure, by=SYSTEM, closure="K1") == ()
    story.after(3_600)
    story.when(c.ExpireClosure, by=SYSTEM, closure="K1")
    assert found(story).state == "expired"
    assert story.when(c.ExpireClosure, by=SYSTEM, closure="K1") == ()
    # and what is over is not gone on with
    for kind, fields in (
        (c.ChangeClosure, {"changes": {"until_us": story.now_us + H}}),
        (c.ConfirmClosure, {"unit": "PL1"}),
        (c.OrderClosure, {"authority": "police", "ordered_by": "ag. Ilie"}),
    ):
        assert story.refuses(kind, by=MIHAI, closure="K1", **fields).code == "closure-ended"


def test_one_that_begins_later_holds_nobody_up_before() -> None:
    story = crews()
    closure = reported(story, state="confirmed", by=CREW, from_us=story.now_us + H)
    assert not closure.in_force(story.now_us)
    assert closure.turns_at(story.now_us) == story.now_us + H
    assert closure.in_force(story.now_us + H)
    assert closure.turns_at(story.now_us + H) is None


def test_a_report_that_nobody_confirms_stops_warning_and_a_confirmed_one_goes_on() -> None:
    story = crews()
    closure = reported(story)
    assert closure.ends_us == story.now_us + UNCONFIRMED_US
    story.when(c.ConfirmClosure, closure="K1", unit="PL1")
    assert found(story).ends_us is None


def test_a_crew_takes_back_its_own_report_alone() -> None:
    story = crews()
    reported(story, by=POLICE)
    refused = story.refuses(c.WithdrawClosure, by=CREW, closure="K1", reason="liber")
    assert (refused.code, refused.kind) == ("not-your-report", "forbidden")
    assert story.refuses(c.WithdrawClosure, by=POLICE, closure="K1", reason=" ").field == "reason"
    story.when(c.WithdrawClosure, by=POLICE, closure="K1", reason="s-a ridicat copacul")
    assert found(story).state == "withdrawn"
    assert not found(story).holds(story.now_us)
    assert story.when(c.WithdrawClosure, by=ANA, closure="K1", reason="iar") == ()


def test_what_was_ordered_is_opened_by_no_other_crew_than_a_police_crew() -> None:
    story = crews()
    reported(story, by=CREW)
    story.when(c.OrderClosure, by=MIHAI, closure="K1", authority="police", ordered_by="ag. Ilie")
    assert story.refuses(c.WithdrawClosure, by=CREW, closure="K1", reason="liber").code == "not-your-report"
    story.when(c.WithdrawClosure, by=POLICE, closure="K1", reason="redeschis")
    assert found(story).state == "withdrawn"


def test_its_words_can_be_destroyed() -> None:
    story = Story()
    reported(story, reason="la familia Dragomirescu")
    (fact,) = story.when(c.EraseClosure, closure="K1", reason="cererea persoanei")
    assert isinstance(fact, e.ClosureErased)
    assert set(fact.ids) == found(story).sealed == found(story).erased
    assert story.when(c.EraseClosure, closure="K1", reason="cererea persoanei") == ()


def test_what_was_in_force_at_a_time_gone_by_is_known_today() -> None:
    story = crews()
    began_us = story.now_us
    reported(story)
    story.after(600).when(c.ConfirmClosure, closure="K1", unit="PL1")
    story.after(600).when(c.WithdrawClosure, closure="K1", reason="liber")
    closure = found(story)
    minutes = {m: closure.was_in_force(began_us + m * 60_000_000) for m in (0, 9, 11, 19, 21)}
    assert minutes == {0: False, 9: False, 11: True, 19: True, 21: False}


# ---- two stations


def test_withdrawn_here_and_ordered_there_it_stays_in_the_way_and_shows_why() -> None:
    here, there = Story("C1"), Story("C2", incarnation="b")
    reported(here)
    meet(here, there)
    # When the stations cannot hear each other
    here.when(c.WithdrawClosure, closure="K1", reason="liber")
    there.after(5).when(c.AddNote, incident=there.call(), text="o altă treabă")
    there.when(c.OrderClosure, by=MIHAI, closure="K1", authority="police", ordered_by="ag. Ilie")
    meet(here, there)
    for story in (here, there):
        assert found(story).state == "ordered"
        assert [k.kind for k in found(story).conflicts] == ["withdrawn-elsewhere"]
        assert found(story).in_force(story.now_us)
    # Then whoever withdraws it again settles it
    here.when(c.WithdrawClosure, by=MIHAI, closure="K1", reason="verificat la fața locului")
    meet(here, there)
    assert found(there).state == "withdrawn"
    assert [k.resolution for k in found(there).conflicts] == ["withdrawn"]


def test_an_end_noted_at_one_station_does_not_undo_that_it_was_put_off_at_another() -> None:
    here, there = Story("C1"), Story("C2", incarnation="b")
    reported(here, until_us=here.now_us + H)
    meet(here, there)
    put_off = there.now_us + 5 * H
    there.when(c.ChangeClosure, closure="K1", changes={"until_us": put_off})
    here.after(3_601).when(c.ExpireClosure, by=SYSTEM, closure="K1")
    meet(here, there)
    for story in (here, there):
        assert found(story).state == "reported"
        assert found(story).ends_us == put_off


# ---- crews on their way


def test_a_changed_eta_stands_by_the_crew_until_it_leaves() -> None:
    story = crews()
    story.call()
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    change = {"before_s": 120, "after_s": 310, "because": ("K1",)}
    story.when(c.RecordEta, by=SYSTEM, incident="I1", unit="PL1", **change)
    (on_it,) = story.incident().active()
    assert on_it.eta_change is not None
    assert (on_it.eta_change.before_s, on_it.eta_change.after_s) == (120, 310)
    story.when(c.RecallUnit, incident="I1", unit="PL1", reason="nu mai e nevoie")
    assert story.when(c.RecordEta, by=SYSTEM, incident="I1", unit="PL1", **change) == ()
