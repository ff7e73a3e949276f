"""Taking back: the last seconds as if they had not been, for everybody but those who heard of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Actor
from tests.dispatch.story import ANA, BOGDAN, CREW, SYSTEM, Story, meet

MIHAI = Actor("mihai", "supervisor", frozenset({"*"}))


@pytest.fixture
def story() -> Story:
    """Given a dwelling fire, and a crew of the city that has been free for an hour."""
    story = Story()
    story.call()
    story.unit_on_duty("PL1")
    return story.after(3600)


def the_same(now: Any, was: Any, *but: str) -> None:
    """Then everything is as it was, but for when it was last heard of, what can be erased, and what is
    named."""
    for part in dataclasses.fields(now):
        if part.name not in ("position", "sealed", *but):
            assert getattr(now, part.name) == getattr(was, part.name), part.name


def undo(story: Story, command: str | None = None, **fields: Any) -> tuple[e.Event, ...]:
    return story.when(c.Undo, command=command or story.last, **fields)


def refused(story: Story, command: str | None = None, **fields: Any) -> str:
    refusal = story.refuses(c.Undo, command=command or story.last, **fields)
    assert refusal.kind in ("conflict", "forbidden", "missing")
    return refusal.code


# ---- orders


def test_an_order_taken_back_leaves_all_as_it_was_and_the_crew_hears_that_it_is_cancelled(
    story: Story,
) -> None:
    incident, unit = story.incident(), story.unit("PL1")
    # Given an order of three seconds ago, which the crew has read
    story.when(c.AssignUnits, incident="I1", units=("PL1",), override_reason="mai aproape")
    order = story.last
    story.after(2).when(c.ReportStatus, by=CREW, unit="PL1", status="acknowledged")
    # When whoever gave it takes it back
    taken, *rest = undo(story.after(1), order)
    # Then it counts no more, nor does what the crew pressed because of it
    assert isinstance(taken, e.TakenBack)
    assert not rest
    assert taken.kinds == ("UnitAssigned",)
    assert len(taken.facts) == 2
    the_same(story.incident(), incident)
    the_same(story.unit("PL1"), unit, "cancelled")
    assert story.unit("PL1").status == "available"
    # its sealed reason can still be erased with the case
    assert len(story.incident().sealed) == len(incident.sealed) + 1
    # and the crew, which had heard of it, has to acknowledge that it is cancelled
    told = story.unit("PL1").cancelled
    assert told is not None
    assert (told.incident, told.what, told.by) == ("I1", "order", ANA.label)
    (known,) = story.when(c.AcknowledgeCancelled, by=CREW, unit="PL1")
    assert known == e.CancellingAcknowledged("PL1", "I1")
    assert story.unit("PL1").cancelled is None
    assert story.when(c.AcknowledgeCancelled, by=CREW, unit="PL1") == ()
    # Asked for a second time it is done already, and the order can be given anew
    assert undo(story, order) == ()
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    assert story.unit("PL1").incident == "I1"


def test_a_crew_that_rolls_turns_round_and_one_that_is_there_must_be_recalled(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    order = story.last
    story.after(1).when(c.ReportStatus, by=CREW, unit="PL1", status="en_route")
    taken, *_ = undo(story.after(1), order)
    assert isinstance(taken, e.TakenBack)
    assert taken.rolling == ("PL1",)
    assert (story.unit("PL1").status, story.unit("PL1").incident) == ("returning", None)
    assert story.unit("PL1").status_us == story.now_us
    assert story.incident().active() == ()
    # Given one that stood round the corner
    story.unit_on_duty("PL2")
    story.unit_on_duty("PL3")
    story.when(c.AssignUnits, incident="I1", units=("PL2", "PL3"))
    order = story.last
    story.after(1).on_the_way("PL2", "en_route", "on_scene")
    refusal = story.refuses(c.Undo, command=order)
    assert (refusal.code, refusal.kind, refusal.extra["unit"]) == ("already-there", "conflict", "PL2")
    assert refusal.extra["status"] == "on_scene"
    # Then nothing of the order is taken back: each is recalled by itself
    assert {a.unit for a in story.incident().active()} == {"PL2", "PL3"}


def test_a_diverted_crew_goes_on_to_where_it_was_going(story: Story) -> None:
    story.call("I2")
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    story.after(60).on_the_way("PL1", "acknowledged", "en_route")
    incident, unit = story.incident(), story.unit("PL1")
    story.after(30).when(c.AssignUnits, incident="I2", units=("PL1",), override_reason="mai grav")
    order = story.last
    story.after(1).on_the_way("PL1", "acknowledged", "en_route")
    undo(story.after(3), order)
    the_same(story.incident(), incident)
    the_same(story.unit("PL1"), unit, "cancelled")
    assert (story.unit("PL1").status, story.unit("PL1").incident) == ("en_route", "I1")
    assert story.incident("I2").active() == ()
    # But not to one that was closed meanwhile
    story.when(c.AssignUnits, incident="I2", units=("PL1",), override_reason="mai grav")
    order = story.last
    story.after(1).when(c.CloseIncident, incident="I1", outcome="fals")
    assert refused(story, order) == "incident-closed"


def test_a_unit_that_somebody_recalled_has_moved_on(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    order = story.last
    story.after(1).when(c.RecallUnit, by=MIHAI, incident="I1", unit="PL1", reason="")
    refusal = story.refuses(c.Undo, command=order)
    assert (refusal.code, refusal.extra["incident_number"]) == ("moved-on", "C1-1")
    # and sent there once more by another order, it is that order which stands
    story.after(1).when(c.AssignUnits, by=MIHAI, incident="I1", units=("PL1",))
    assert refused(story, order) == "moved-on"
    assert story.unit("PL1").incident == "I1"


def test_a_request_to_an_agency_is_withdrawn_until_it_has_answered(story: Story) -> None:
    story.unit_on_duty("ASAS1", "ASAS")
    story.when(c.AssignUnits, incident="I1", units=("PL1", "ASAS1"))
    taken, withdrawn = undo(story.after(4))
    assert isinstance(taken, e.TakenBack)
    assert withdrawn == e.UnitRecalled("I1", "ASAS1", None)
    (request,) = story.incident().requests
    assert request.state == "withdrawn"
    assert story.unit("ASAS1").asked is None
    assert [unit for unit, *_ in taken.told] == ["PL1"]
    # Asked again, and answered at once
    story.when(c.AssignUnits, incident="I1", units=("ASAS1",))
    order = story.last
    story.after(2).when(
        c.AnswerRequest, by=MIHAI, incident="I1", unit="ASAS1", answer="accepted", name="Radu", via="phone"
    )
    refusal = story.refuses(c.Undo, command=order)
    assert (refusal.code, refusal.extra["unit"]) == ("agency-answered", "ASAS1")
    # An answer that was written down wrongly can be taken back, and is then still awaited
    answer = story.last
    undo(story.after(1), answer, by=MIHAI)
    assert [r.state for r in story.incident().requests] == ["asked"]
    assert story.unit("ASAS1").status == "available"
    assert story.unit("ASAS1").cancelled is None, "its crew hears from its own agency"


def test_a_recall_taken_back_puts_the_crew_back_on_its_way(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    story.after(60).on_the_way("PL1", "en_route")
    incident, unit = story.incident(), story.unit("PL1")
    story.after(60).when(c.RecallUnit, incident="I1", unit="PL1", reason="greșit")
    undo(story.after(2))
    the_same(story.incident(), incident)
    the_same(story.unit("PL1"), unit, "cancelled")
    told = story.unit("PL1").cancelled
    assert told is not None
    assert told.what == "recall"
    # A request that was withdrawn is made anew, not taken back
    story.unit_on_duty("ASAS1", "ASAS")
    story.when(c.AssignUnits, incident="I1", units=("ASAS1",))
    story.when(c.RecallUnit, incident="I1", unit="ASAS1", reason="")
    assert refused(story) == "cannot-be-undone"


def test_a_status_set_by_mistake_is_taken_back_with_all_that_it_led_to(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    story.after(60).on_the_way("PL1", "en_route", "on_scene")
    incident, unit = story.incident(), story.unit("PL1")
    # Given a wrong row in the board: the crew at the fire is set free
    story.after(600).when(c.ReportStatus, unit="PL1", status="available")
    assert story.incident().active() == ()
    undo(story.after(5))
    the_same(story.incident(), incident)
    the_same(story.unit("PL1"), unit)
    assert story.incident().active()[0].times.keys() == {"assigned", "en_route", "on_scene"}
    # But a newer status stands
    story.when(c.ReportStatus, unit="PL1", status="available")
    first = story.last
    story.after(1).when(c.ReportStatus, by=CREW, unit="PL1", status="off_duty")
    refusal = story.refuses(c.Undo, command=first)
    assert (refusal.code, refusal.extra["status"]) == ("moved-on", "off_duty")


def test_a_crew_out_with_its_other_vehicle_is_not_put_back(story: Story) -> None:
    story.unit_on_duty("PL2", crew_id="echipa")
    story.unit_on_duty("PL3", crew_id="echipa")
    story.when(c.AssignUnits, incident="I1", units=("PL2",))
    story.after(60).when(c.ReportStatus, unit="PL2", status="available", force=True, reason="gata")
    freed = story.last
    story.after(1).when(c.AssignUnits, by=MIHAI, incident="I1", units=("PL3",))
    refusal = story.refuses(c.Undo, command=freed)
    assert (refusal.code, refusal.extra["with_unit"]) == ("crew-out", "PL3")


def test_standing_by_elsewhere_is_cancelled_and_goes_on_when_an_order_was_a_mistake(story: Story) -> None:
    post = {"post": c.Place(26.2, 44.5, "Piața Sudului")}
    story.when(c.MoveUp, unit="PL1", **post)
    standing_by = story.unit("PL1").moving_up
    story.after(20).when(c.AssignUnits, incident="I1", units=("PL1",))
    assert story.unit("PL1").moving_up is None
    undo(story.after(1))
    assert story.unit("PL1").moving_up == standing_by
    story.unit_on_duty("PL2")
    story.when(c.MoveUp, unit="PL2", **post)
    undo(story.after(1))
    assert story.unit("PL2").moving_up is None
    told = story.unit("PL2").cancelled
    assert told is not None
    assert (told.what, told.incident) == ("move_up", None)
    # and an agency that was asked for it is told that it need not
    story.unit_on_duty("ASAS1", "ASAS")
    story.when(c.MoveUp, unit="ASAS1", **post)
    assert undo(story.after(1))[1:] == (e.MoveUpEnded("ASAS1", "cancelled"),)


# ---- what is known of an incident


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (c.ChangeIncident, {"changes": {"priority": "P4", "description": "altceva", "type": "G01"}}),
        (c.SetAlarmLevel, {"level": 2}),
        (c.CloseIncident, {"outcome": "fals"}),
        (c.AcknowledgeIncident, {}),
        (c.LinkCaseNumber, {"agency": "ISU", "number": "7/2026"}),
    ],
)
def test_what_was_changed_is_as_it_was(story: Story, kind: type[c.Command], fields: dict[str, Any]) -> None:
    was = story.incident()
    story.when(kind, incident="I1", **fields)
    assert story.incident() != was
    undo(story.after(7))
    the_same(story.incident(), was)


def test_a_note_is_struck_and_stays_to_be_read(story: Story) -> None:
    story.when(c.AddNote, incident="I1", text="doi răniți")
    first = story.last
    story.when(c.AddNote, by=MIHAI, incident="I1", text="trei răniți")
    undo(story.after(3), first)
    struck, other = story.incident().notes
    assert story.clear(struck.text) == "doi răniți"
    assert (struck.struck_us, struck.struck_by) == (story.now_us, ANA.label)
    assert other.struck_us is None


def test_reopening_is_taken_back_unless_somebody_was_sent_there(story: Story) -> None:
    story.when(c.CloseIncident, incident="I1", outcome="fals")
    was = story.incident()
    story.after(60).when(c.ReopenIncident, incident="I1", reason="arde din nou")
    undo(story.after(1))
    the_same(story.incident(), was)
    story.when(c.ReopenIncident, incident="I1", reason="arde din nou")
    reopened = story.last
    story.after(1).when(c.AssignUnits, by=MIHAI, incident="I1", units=("PL1",))
    assert refused(story, reopened) == "moved-on"


def test_requests_are_taken_back_from_the_last_one_on(story: Story) -> None:
    steps = []
    for priority in ("P2", "P3", "P4"):
        story.when(c.ChangeIncident, incident="I1", changes={"priority": priority})
        steps.append(story.last)
    # What another request changed again stands
    assert refused(story, steps[1]) == "moved-on"
    for command, expected in zip(reversed(steps), ("P3", "P2", "P1"), strict=True):
        undo(story, command)
        assert story.incident().priority == expected
    # Different things do not stand in each other's way
    story.when(c.SetAlarmLevel, incident="I1", level=2)
    level = story.last
    story.when(c.ChangeIncident, by=MIHAI, incident="I1", changes={"priority": "P3"})
    undo(story, level)
    assert (story.incident().alarm_level, story.incident().priority) == (1, "P3")
    # and what is closed meanwhile stays closed as it is
    story.when(c.SetAlarmLevel, incident="I1", level=2)
    level = story.last
    story.when(c.CloseIncident, by=MIHAI, incident="I1", outcome="gata")
    assert refused(story, level) == "incident-closed"


def test_an_accepted_proposal_is_open_again(story: Story) -> None:
    story.when(
        c.Propose,
        by=SYSTEM,
        proposal="p1",
        kind="move_up",
        trigger="coverage",
        district="centru",
        moves=(("PL1", None, None),),
        figures={},
        post=c.Place(26.2, 44.5, "Piața Sudului"),
    )
    was, unit = story.state.proposal("p1"), story.unit("PL1")
    assert was is not None
    story.after(5).when(c.AcceptProposal, proposal="p1")
    assert story.unit("PL1").moving_up is not None
    undo(story.after(4))
    now = story.state.proposal("p1")
    assert now is not None
    assert now.open
    the_same(now, was)
    the_same(story.unit("PL1"), unit, "cancelled")


# ---- who, until when, and what not


def test_only_who_asked_takes_back_and_only_for_a_while(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    refusal = story.refuses(c.Undo, by=BOGDAN, command=story.last)
    assert (refusal.code, refusal.kind) == ("not-your-command", "forbidden")
    assert refused(story.after(8), "never-made") == "unknown-command"
    # A press in the last second is taken, though the way here took another
    assert story.after(1.9).now_us
    undo(story)
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    refusal = story.after(10.1).refuses(c.Undo, command=story.last)
    assert (refusal.code, refusal.extra["units"]) == ("too-late-to-undo", ["PL1"])
    # and an operator may have set another time
    undo(story, within_s=20)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (c.ReportIncident, {"incident": "I9", "type": "F01", "place": c.Place(26.1, 44.4)}),
        (c.SetFlag, {"unit": "PL1", "flag": "emergency", "on": True}),
        (c.RegisterUnit, {"unit": "X1", "type": "PL", "station": "C1", "district": "centru", "crew": 2}),
        (c.GrantCustody, {"unit": "PL1", "to": "C2"}),
    ],
)
def test_what_others_rely_on_is_not_taken_back(
    story: Story, kind: type[c.Command], fields: dict[str, Any]
) -> None:
    story.when(kind, **fields)
    assert refused(story) == "cannot-be-undone"


def test_two_stations_agree_on_what_was_taken_back_whenever_they_hear_of_it(story: Story) -> None:
    there = Story("C2", incarnation="b")
    there.call("I2")
    meet(story, there)
    # Given an order here, and there, at the same time, another for the same crew by somebody who is mistaken
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    order = story.last
    there.record(e.UnitAssigned("I2", "PL1", None, None, None))
    # When the one here is taken back before anybody hears of the other
    undo(story.after(2), order)
    meet(story, there)
    # Then the other stands, without a contradiction
    for one in (story, there):
        assert one.unit("PL1").incident == "I2"
        assert one.unit("PL1").conflicts == ()
        assert one.incident("I1").active() == ()
    assert story.slots.entities.keys() == there.slots.entities.keys()
    # and each goes on by itself
    there.when(c.ChangeIncident, incident="I2", changes={"priority": "P4"})
    undo(there)
    assert refused(there, "nobody's") == "unknown-command"
