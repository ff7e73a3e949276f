"""Units: sent by order or asked of their agency, twelve statuses, shared crews, custody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch.incident import LEAVING
from dispatch.plans import STATUSES
from dispatch.unit import crew_mate_out
from tests.dispatch.story import ANA, BOGDAN, CREW, START_US, SYSTEM, Story, meet, pack


@pytest.fixture
def story() -> Story:
    """Given a dwelling fire and a local-police crew on duty."""
    story = Story()
    story.call()
    story.unit_on_duty("PL1")
    return story


@pytest.fixture
def asked(story: Story) -> Story:
    """Given that the fire engine was asked of the county inspectorate."""
    story.unit_on_duty("ASAS1", "ASAS")
    story.when(c.AssignUnits, incident="I1", units=("ASAS1",), answer_s=90)
    return story


# ---- coming into service


def test_a_unit_is_registered_with_what_its_type_gives() -> None:
    story = Story()
    base = c.Place(26.123456789, 44.4)
    (fact,) = story.when(
        c.RegisterUnit,
        unit="ASAS1",
        type="ASAS",
        station="Dristor",
        district="sud",
        crew=5,
        talkgroup="TG",
        base=base,
    )
    kind = pack().unit_types["ASAS"]
    unit = story.unit("ASAS1")
    assert isinstance(fact, e.UnitRegistered)
    assert (unit.agency, unit.command, unit.custodian, unit.epoch) == ("ISU", "requested", "C1", 1)
    assert unit.capabilities == ("fire_suppression", "foam", "pumping")
    assert (unit.turnout_s, unit.lights, unit.profile) == (kind.turnout_s, kind.lights, kind.profile)
    assert (unit.crew, unit.crew_min) == (5, 4)
    assert unit.base == (26.1234568, 44.4)
    assert unit.status == "off_duty"


def test_registering_again_changes_standing_facts_and_keeps_status_and_custody(story: Story) -> None:
    story.when(c.RegisterUnit, unit="PL1", type="PL", station="Nord", district="nord", crew=3, turnout_s=5)
    unit = story.unit("PL1")
    assert (unit.station, unit.district, unit.crew, unit.turnout_s) == ("Nord", "nord", 3, 5)
    assert (unit.status, unit.custodian) == ("available", "C1")


def test_a_unit_that_is_out_keeps_its_type_district_and_crew(story: Story) -> None:
    given = {"unit": "PL1", "type": "PL", "station": "C1", "district": "centru", "crew": 4}
    story.unit_on_duty("ASAS1", "ASAS")
    story.when(c.AssignUnits, incident="I1", units=("PL1", "ASAS1"))
    for name, value in (("type", "SV"), ("district", "nord"), ("crew_id", "echipa-7")):
        refusal = story.refuses(c.RegisterUnit, **(given | {name: value}))
        assert (refusal.code, refusal.kind, refusal.field) == ("unit-out", "conflict", name)
        out = {**given, "unit": "ASAS1", "type": "ASAS", name: value}
        assert story.refuses(c.RegisterUnit, **out).code == "unit-out"
    # What does not change who it is may change
    story.when(c.RegisterUnit, **(given | {"crew": 3, "station": "Nord"}))
    assert story.unit("PL1").crew == 3
    story.when(c.RecallUnit, incident="I1", unit="PL1", reason="x")
    story.when(c.RegisterUnit, **(given | {"type": "SV"}))
    assert story.unit("PL1").type == "SV"


def test_a_unit_is_registered_anew_only_where_it_is_held_and_by_who_commands_both_districts(
    story: Story,
) -> None:
    given = {"unit": "PL1", "type": "PL", "station": "C1", "district": "nord", "crew": 4}
    # Given a dispatcher of the north, who would move a crew of the centre there
    refusal = story.refuses(c.RegisterUnit, by=BOGDAN, **given)
    assert (refusal.code, refusal.kind) == ("out-of-district", "forbidden")
    story.when(c.RegisterUnit, by=ANA, **given)
    # Now it is his, but he cannot give it away either
    assert story.refuses(c.RegisterUnit, by=BOGDAN, **(given | {"district": "centru"})).code == (
        "out-of-district"
    )
    other = Story("C2", incarnation="b")
    meet(story, other)
    assert other.refuses(c.RegisterUnit, **given).code == "not-held-here"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"type": "TANK"}, "unknown-unit-type", "type"),
        ({"unit": ""}, "bad-call-sign", "id"),
        ({"unit": "A B"}, "bad-call-sign", "id"),
        ({"unit": "A:B"}, "bad-call-sign", "id"),
        ({"unit": "A" * 33}, "bad-call-sign", "id"),
        ({"unit": "A\x00"}, "bad-call-sign", "id"),
        ({"crew": -1}, "bad-crew", "crew"),
        ({"crew": 100}, "bad-crew", "crew"),
    ],
)
def test_a_registration_that_cannot_be_right_is_refused(
    fields: dict[str, Any], code: str, field: str
) -> None:
    given = {"unit": "PL9", "type": "PL", "station": "C1", "district": "centru", "crew": 2, **fields}
    refusal = Story().refuses(c.RegisterUnit, **given)
    assert (refusal.code, refusal.field) == (code, field)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (c.ReportStatus, {"status": "available"}),
        (c.SetFlag, {"flag": "emergency", "on": True}),
        (c.GrantCustody, {"to": "C2"}),
    ],
)
def test_nothing_can_be_done_to_a_unit_that_is_not_there(
    story: Story, kind: type[c.Command], fields: dict[str, Any]
) -> None:
    refusal = story.refuses(kind, unit="PL9", **fields)
    assert (refusal.code, refusal.kind, refusal.extra["unit"]) == ("unknown-unit", "missing", "PL9")


# ---- the city's own units are sent


def test_an_owned_unit_is_assigned_by_the_order_itself(story: Story) -> None:
    story.after(30)
    (fact,) = story.when(c.AssignUnits, incident="I1", units=("PL1",), override_reason="mai aproape")
    assert isinstance(fact, e.UnitAssigned)
    assert (fact.followed, fact.accepted_by) == (None, None)
    assert story.clear(fact.override_reason) == "mai aproape"
    unit = story.unit("PL1")
    assert (unit.status, unit.incident, unit.assigned_by) == ("assigned", "I1", "dispatcher:ana")
    assert unit.assigned_us == story.now_us
    (assignment,) = story.incident().active()
    assert (assignment.unit, assignment.status, assignment.by) == ("PL1", "assigned", "dispatcher:ana")
    # Sending it to where it already goes is no news
    assert story.when(c.AssignUnits, incident="I1", units=("PL1",)) == ()


def test_the_log_tells_whether_the_recommendation_was_followed(story: Story) -> None:
    story.unit_on_duty("PL2")
    story.when(c.RecordOffer, incident="I1", units=(("PL1", 60),), missing={}, travel="road", fixes={})
    facts = story.when(c.AssignUnits, incident="I1", units=("PL1", "PL2"))
    assert [fact.followed for fact in facts if isinstance(fact, e.UnitAssigned)] == [True, False]


def test_a_unit_that_is_taken_is_refused_with_by_whom_and_since_when(story: Story) -> None:
    story.call("I2", "F02")
    story.after(10).when(c.AssignUnits, incident="I1", units=("PL1",))
    taken_us = story.now_us
    refusal = story.after(20).refuses(c.AssignUnits, incident="I2", units=("PL1",))
    assert (refusal.code, refusal.kind, refusal.field) == ("unit-taken", "conflict", "units")
    assert refusal.extra == {
        "unit": "PL1",
        "by": "dispatcher:ana",
        "at_us": taken_us,
        "incident_number": "C1-1",
    }


def test_a_unit_that_is_done_at_hospital_goes_straight_to_the_next_incident(story: Story) -> None:
    # Given a crew that has brought its patient to hospital
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    put_into(story, "PL1", "at_hospital")
    story.call("I2", "F02")
    # When it is sent to the next incident
    facts = story.after(5).when(c.AssignUnits, incident="I2", units=("PL1",))
    # Then one order takes it from the first and gives it to the second, and both see it
    assert [(type(f), f.incident) for f in facts if isinstance(f, (e.UnitRecalled, e.UnitAssigned))] == [
        (e.UnitRecalled, "I1"),
        (e.UnitAssigned, "I2"),
    ]
    assert isinstance(facts[0], e.UnitRecalled)
    assert facts[0].to == "I2"
    assert story.incident("I1").active() == ()
    assert story.incident("I1").assignments[0].ended_us == story.now_us
    assert [a.unit for a in story.incident("I2").active()] == ["PL1"]
    unit = story.unit("PL1")
    assert (unit.status, unit.incident, unit.conflicts) == ("assigned", "I2", ())


def test_a_unit_on_its_way_is_diverted_only_by_a_person_who_says_why(story: Story) -> None:
    # Given a crew on its way to a call
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    story.on_the_way("PL1", "en_route")
    story.call("I2", "F02")
    # When somebody takes it for another one without a word, then it stays
    for nothing in (None, "  "):
        refusal = story.refuses(c.AssignUnits, incident="I2", units=("PL1",), override_reason=nothing)
        assert (refusal.code, refusal.kind, refusal.field) == (
            "divert-needs-reason",
            "conflict",
            "override_reason",
        )
        assert refusal.extra["incident_number"] == "C1-1"
    # When the reason is given, then it turns round
    facts = story.when(c.AssignUnits, incident="I2", units=("PL1",), override_reason="copil în apă")
    assert [type(f) for f in facts] == [e.UnitRecalled, e.UnitAssigned]
    assert (story.unit("PL1").incident, story.incident("I1").active()) == ("I2", ())
    # A crew at work is never taken away by an order, whatever the reason
    put_into(story, "PL1", "on_scene")
    refusal = story.refuses(c.AssignUnits, incident="I1", units=("PL1",), override_reason="mai grav")
    assert refusal.code == "unit-taken"


def test_an_agency_that_was_asked_to_divert_its_unit_does_so_with_its_yes(asked: Story) -> None:
    # Given an ambulance on its way for its agency, asked for another incident with a reason
    yes: dict[str, Any] = {"unit": "ASAS1", "answer": "accepted", "name": "Radu", "via": "phone"}
    asked.when(c.AnswerRequest, incident="I1", **yes)
    asked.on_the_way("ASAS1", "en_route")
    asked.call("I2", "F02")
    assert asked.refuses(c.AssignUnits, incident="I2", units=("ASAS1",)).code == "divert-needs-reason"
    asked.when(c.AssignUnits, incident="I2", units=("ASAS1",), override_reason="mai grav")
    assert asked.unit("ASAS1").incident == "I1"
    # When the agency says yes
    facts = asked.when(c.AnswerRequest, incident="I2", **yes)
    # Then it changes over in one step
    assert [type(f) for f in facts] == [e.RequestAnswered, e.UnitRecalled, e.UnitAssigned]
    unit = asked.unit("ASAS1")
    assert (unit.incident, unit.conflicts) == ("I2", ())
    assert asked.incident("I1").requests[0].state == "withdrawn"


def test_a_unit_that_leaves_its_incident_stays_asked_for_the_next(asked: Story) -> None:
    asked.when(c.AnswerRequest, incident="I1", unit="ASAS1", answer="accepted", name="Radu", via="phone")
    put_into(asked, "ASAS1", "at_hospital")
    asked.call("I2", "F02")
    asked.when(c.AssignUnits, incident="I2", units=("ASAS1",))
    asked.on_the_way("ASAS1", "returning")
    unit = asked.unit("ASAS1")
    assert unit.asked is not None
    assert (unit.incident, unit.asked.incident, unit.asked.state) == (None, "I2", "asked")


def test_one_unit_that_cannot_go_keeps_all_of_them(story: Story) -> None:
    story.unit_on_duty("PL2")
    story.when(c.ReportStatus, unit="PL2", status="off_duty")
    assert story.refuses(c.AssignUnits, incident="I1", units=("PL1", "PL2")).extra["unit"] == "PL2"
    assert story.unit("PL1").incident is None


def test_an_order_names_units_and_each_once(story: Story) -> None:
    assert story.refuses(c.AssignUnits, incident="I1", units=()).code == "no-units"
    assert story.refuses(c.AssignUnits, incident="I1", units=("PL1", "PL1")).code == "unit-named-twice"
    assert story.refuses(c.AssignUnits, incident="I1", units=("PL1", "PL9")).code == "unknown-unit"


def put_into(story: Story, unit: str, status: str) -> None:
    story.when(c.ReportStatus, unit=unit, status=status, reason="exercițiu", hospital="Floreasca", force=True)


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_whether_a_free_unit_can_be_sent_follows_from_its_status(story: Story, status: str) -> None:
    if status == "assigned":
        return
    put_into(story, "PL1", status)
    assert story.unit("PL1").status == status
    if pack().statuses[status].sendable == "never":
        refusal = story.refuses(c.AssignUnits, incident="I1", units=("PL1",))
        assert (refusal.code, refusal.extra["status"]) == ("unit-not-available", status)
    else:
        story.when(c.AssignUnits, incident="I1", units=("PL1",))
        assert story.unit("PL1").status == "assigned"


def test_a_recalled_unit_is_free_at_once_or_on_its_way_back(story: Story) -> None:
    story.unit_on_duty("PL2")
    story.when(c.AssignUnits, incident="I1", units=("PL1", "PL2"))
    story.on_the_way("PL2", "en_route")
    for unit, left_as in (("PL1", "available"), ("PL2", "returning")):
        story.when(c.RecallUnit, incident="I1", unit=unit, reason="alarmă falsă")
        assert (story.unit(unit).status, story.unit(unit).incident) == (left_as, None)
    assert story.incident().active() == ()
    assert {a.ended_by for a in story.incident().assignments} == {"dispatcher:ana"}
    # Calling back who is not there is no news
    assert story.when(c.RecallUnit, incident="I1", unit="PL1", reason="x") == ()


# ---- other agencies' units are asked for


def test_a_requested_unit_is_asked_and_never_looks_assigned(asked: Story) -> None:
    unit, incident = asked.unit("ASAS1"), asked.incident()
    assert (unit.status, unit.incident) == ("available", None)
    assert unit.asked is not None
    assert (unit.asked.incident, unit.asked.state, unit.asked.asked_by) == ("I1", "asked", "dispatcher:ana")
    assert unit.asked.answer_by_us == asked.now_us + 90_000_000
    assert incident.active() == ()
    assert incident.assignments == ()
    assert [(r.unit, r.state) for r in incident.requests] == [("ASAS1", "asked")]
    # Asking again while it is asked is no news
    assert asked.when(c.AssignUnits, incident="I1", units=("ASAS1",)) == ()


def test_only_a_name_turns_a_request_into_an_assignment(asked: Story) -> None:
    for name in ("", "   ", "x" * 129):
        refusal = asked.refuses(
            c.AnswerRequest, incident="I1", unit="ASAS1", answer="accepted", name=name, via="phone"
        )
        assert (refusal.code, refusal.field) == ("name-needed", "name")
        assert asked.incident().active() == ()
    asked.after(40)
    facts = asked.when(
        c.AnswerRequest,
        incident="I1",
        unit="ASAS1",
        answer="accepted",
        name=" plt. Radu ",
        via="phone",
    )
    assert [type(fact) for fact in facts] == [e.RequestAnswered, e.UnitAssigned]
    (request,) = asked.incident().requests
    assert (request.state, request.name, request.via, request.answered_us) == (
        "accepted",
        "plt. Radu",
        "phone",
        asked.now_us,
    )
    (assignment,) = asked.incident().active()
    assert (assignment.unit, assignment.accepted_by) == ("ASAS1", "plt. Radu")
    assert (asked.unit("ASAS1").status, asked.unit("ASAS1").incident) == ("assigned", "I1")
    # The same answer twice is one answer; the other one now comes too late
    again: dict[str, Any] = {"incident": "I1", "unit": "ASAS1", "name": "alt nume", "via": "api"}
    assert asked.when(c.AnswerRequest, answer="accepted", **again) == ()
    refusal = asked.refuses(c.AnswerRequest, answer="refused", **again)
    assert refusal.code == "already-answered"
    assert "plt. Radu" in refusal.detail


def test_a_refusal_leaves_the_unit_free_and_says_why(asked: Story) -> None:
    asked.when(
        c.AnswerRequest,
        incident="I1",
        unit="ASAS1",
        answer="refused",
        name="Radu",
        via="api",
        reason="fără echipaj",
    )
    (request,) = asked.incident().requests
    assert (request.state, asked.clear(request.reason)) == ("refused", "fără echipaj")
    assert asked.incident().assignments == ()
    assert asked.unit("ASAS1").incident is None
    # and it can be asked anew, which is what the incident then shows
    asked.when(c.AssignUnits, incident="I1", units=("ASAS1",))
    assert [r.state for r in asked.incident().requests] == ["asked"]


def test_without_an_answer_a_request_lapses_when_its_time_is_up_and_not_before(asked: Story) -> None:
    lapse: dict[str, Any] = {"incident": "I1", "unit": "ASAS1"}
    assert asked.after(89.9).when(c.LapseRequest, by=SYSTEM, **lapse) == ()
    assert len(asked.after(0.1).when(c.LapseRequest, by=SYSTEM, **lapse)) == 1
    assert asked.incident().requests[0].state == "no_answer"
    unit = asked.unit("ASAS1")
    assert unit.asked is not None
    assert (unit.asked.state, unit.incident) == ("no_answer", None)
    assert asked.when(c.LapseRequest, by=SYSTEM, **lapse) == ()
    # A late yes is still a yes
    asked.when(c.AnswerRequest, **lapse, answer="accepted", name="Radu", via="phone")
    assert asked.unit("ASAS1").incident == "I1"


def test_a_request_can_be_withdrawn(asked: Story) -> None:
    asked.when(c.RecallUnit, incident="I1", unit="ASAS1", reason="nu mai e nevoie")
    assert asked.incident().requests[0].state == "withdrawn"
    assert asked.unit("ASAS1").asked is None
    assert asked.unit("ASAS1").status == "available"
    assert asked.when(c.RecallUnit, incident="I1", unit="ASAS1", reason="x") == ()
    # The agency may send it all the same, and then it is there
    asked.when(c.AnswerRequest, incident="I1", unit="ASAS1", answer="accepted", name="R", via="api")
    assert asked.incident().requests[0].state == "accepted"
    assert asked.unit("ASAS1").incident == "I1"


def test_a_request_without_an_answer_can_be_withdrawn(asked: Story) -> None:
    asked.after(90).when(c.LapseRequest, by=SYSTEM, incident="I1", unit="ASAS1")
    (fact,) = asked.when(c.RecallUnit, incident="I1", unit="ASAS1", reason="nu mai e nevoie")
    assert isinstance(fact, e.UnitRecalled)
    assert asked.incident().requests[0].state == "withdrawn"
    assert asked.unit("ASAS1").asked is None


def test_a_recall_ends_the_accepted_request_too_and_the_agency_may_send_again(asked: Story) -> None:
    # Given that the agency accepted and the unit was then recalled
    said: dict[str, Any] = {"incident": "I1", "unit": "ASAS1", "name": "Radu", "via": "phone"}
    asked.when(c.AnswerRequest, answer="accepted", **said)
    asked.when(c.RecallUnit, incident="I1", unit="ASAS1", reason="alarmă falsă")
    assert asked.incident().requests[0].state == "withdrawn"
    # When the agency says yes again, then the unit is there again
    asked.after(60).when(c.AnswerRequest, answer="accepted", **said)
    assert [a.unit for a in asked.incident().active()] == ["ASAS1"]
    # And from a refusal the agency may come back as well
    asked.when(c.RecallUnit, incident="I1", unit="ASAS1", reason="x")
    asked.when(c.AnswerRequest, answer="refused", **said)
    assert asked.incident().requests[0].state == "refused"
    asked.when(c.AnswerRequest, answer="accepted", **said)
    assert asked.unit("ASAS1").incident == "I1"


def test_a_yes_counts_whatever_this_side_believed_of_the_unit(asked: Story) -> None:
    # Given that the unit asked for is put out of service here
    asked.when(c.ReportStatus, unit="ASAS1", status="out_of_service", reason="pană")
    # When its agency, which decides, says that it goes
    asked.when(c.AnswerRequest, incident="I1", unit="ASAS1", answer="accepted", name="Radu", via="phone")
    # Then it goes
    assert (asked.unit("ASAS1").status, asked.unit("ASAS1").incident) == ("assigned", "I1")


def test_a_unit_asked_for_one_incident_is_not_asked_for_another(asked: Story) -> None:
    asked.call("I2", "F02")
    refusal = asked.refuses(c.AssignUnits, incident="I2", units=("ASAS1",))
    assert (refusal.code, refusal.extra["by"], refusal.extra["incident_number"]) == (
        "unit-asked",
        "dispatcher:ana",
        "C1-1",
    )
    assert refusal.extra["at_us"] == asked.now_us


def test_a_yes_for_a_unit_that_went_elsewhere_meanwhile_is_recorded_and_the_contradiction_seen(
    asked: Story,
) -> None:
    asked.call("I2", "F02")
    asked.after(100).when(c.LapseRequest, by=SYSTEM, incident="I1", unit="ASAS1")
    asked.when(c.AssignUnits, incident="I2", units=("ASAS1",))
    yes: dict[str, Any] = {"unit": "ASAS1", "answer": "accepted", "name": "Radu", "via": "phone"}
    asked.when(c.AnswerRequest, incident="I2", **yes)
    asked.when(c.AnswerRequest, incident="I1", **yes)
    assert asked.incident("I1").requests[0].state == "accepted"
    assert [a.unit for a in asked.incident("I1").active()] == ["ASAS1"]
    unit = asked.unit("ASAS1")
    assert unit.incident == "I2"
    assert [(k.kind, k.about["first"], k.about["second"]) for k in unit.conflicts] == [
        ("sent-twice", "I2", "I1")
    ]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [({"answer": "maybe"}, "bad-answer", "answer"), ({"via": "pigeon"}, "bad-answer", "via")],
)
def test_an_answer_that_is_none_is_refused(
    asked: Story, fields: dict[str, Any], code: str, field: str
) -> None:
    given = {"answer": "accepted", "name": "Radu", "via": "phone", **fields}
    refusal = asked.refuses(c.AnswerRequest, incident="I1", unit="ASAS1", **given)
    assert (refusal.code, refusal.field) == (code, field)


def test_who_was_not_asked_cannot_answer(story: Story) -> None:
    refusal = story.refuses(
        c.AnswerRequest, incident="I1", unit="PL1", answer="accepted", name="x", via="api"
    )
    assert (refusal.code, refusal.kind) == ("not-requested", "missing")


# ---- one crew, two vehicles


def test_a_shared_crew_is_out_with_the_one_or_the_other(story: Story) -> None:
    for unit in ("ASM1", "DESC1"):
        story.unit_on_duty(unit, "SV", crew_id="echipa-7")
    both = story.refuses(c.AssignUnits, incident="I1", units=("ASM1", "DESC1"))
    assert (both.code, both.extra["unit"]) == ("crew-shared", "DESC1")
    story.when(c.AssignUnits, incident="I1", units=("ASM1",))
    refusal = story.refuses(c.AssignUnits, incident="I1", units=("DESC1",))
    assert (refusal.code, refusal.extra["with_unit"]) == ("crew-out", "ASM1")
    mate = crew_mate_out(story.state, story.unit("DESC1"))
    assert mate is not None
    assert mate.id == "ASM1"
    assert crew_mate_out(story.state, story.unit("ASM1")) is None
    # When the crew is back, either may go
    story.when(c.RecallUnit, incident="I1", unit="ASM1", reason="x")
    story.when(c.AssignUnits, incident="I1", units=("DESC1",))


def test_a_crew_is_asked_for_with_one_of_its_vehicles_only(story: Story) -> None:
    for unit in ("ASM1", "DESC1"):
        story.unit_on_duty(unit, "ASM", crew_id="echipa-7")
    story.when(c.AssignUnits, incident="I1", units=("ASM1",))
    refusal = story.refuses(c.AssignUnits, incident="I1", units=("DESC1",))
    assert (refusal.code, refusal.extra) == ("crew-asked", {"unit": "DESC1", "with_unit": "ASM1"})
    story.when(c.RecallUnit, incident="I1", unit="ASM1", reason="x")
    story.when(c.AssignUnits, incident="I1", units=("DESC1",))


def test_when_an_agency_sends_one_crew_with_two_vehicles_both_stand_and_it_is_seen(story: Story) -> None:
    # Given two vehicles asked for, which were given one crew only afterwards, at the station
    for unit in ("ASM1", "DESC1"):
        story.unit_on_duty(unit, "ASM")
        story.when(c.AssignUnits, incident="I1", units=(unit,))
        registered = next(r.event for r in reversed(story.records) if isinstance(r.event, e.UnitRegistered))
        story.record(replace(registered, crew_id="echipa-7"))
    # When the agency says yes for both
    for unit in ("ASM1", "DESC1"):
        story.when(c.AnswerRequest, incident="I1", unit=unit, answer="accepted", name="Radu", via="phone")
    # Then its word is on record twice, and the contradiction at the second
    assert [r.state for r in story.incident().requests] == ["accepted", "accepted"]
    assert story.unit("ASM1").conflicts == ()
    (conflict,) = story.unit("DESC1").conflicts
    assert (conflict.kind, conflict.about["first"]) == ("crew-sent-twice", "ASM1")


# ---- statuses


@pytest.mark.parametrize("before", sorted(STATUSES))
@pytest.mark.parametrize("after", sorted(STATUSES))
def test_a_status_follows_only_where_the_pack_says_so(story: Story, before: str, after: str) -> None:
    if before == "assigned":
        story.when(c.AssignUnits, incident="I1", units=("PL1",))
    else:
        put_into(story, "PL1", before)
    ask: dict[str, Any] = {"unit": "PL1", "status": after, "reason": "pană", "hospital": "Floreasca"}
    if after == "assigned":
        assert story.refuses(c.ReportStatus, **ask).code == "assign-instead"
        assert story.refuses(c.ReportStatus, force=True, **ask).code == "assign-instead"
        return
    allowed = pack().statuses[before].next
    if after in allowed or after == before:
        (fact,) = story.when(c.ReportStatus, **ask)
        assert isinstance(fact, e.UnitStatusReported)
        assert not fact.forced
    else:
        refusal = story.refuses(c.ReportStatus, **ask)
        assert (refusal.code, refusal.extra["allowed"]) == ("status-not-next", list(allowed))
        # Only a dispatcher may set it none the less, and says why
        crew = story.refuses(c.ReportStatus, by=CREW, force=True, **ask)
        assert (crew.code, crew.kind) == ("force-needs-dispatcher", "forbidden")
        assert story.refuses(c.ReportStatus, force=True, **(ask | {"reason": " "})).code == "reason-needed"
        (fact,) = story.when(c.ReportStatus, force=True, **ask)
        assert isinstance(fact, e.UnitStatusReported)
        assert fact.forced
    assert story.unit("PL1").status == after


def test_the_way_of_a_unit_leaves_its_times_on_the_case(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    times = {"assigned": story.now_us}
    for status in ("acknowledged", "en_route", "staged", "on_scene", "transporting", "at_hospital"):
        story.after(60).on_the_way("PL1", status)
        times[status] = story.now_us
    story.after(60).on_the_way("PL1", "returning")
    (assignment,) = story.incident().assignments
    assert dict(assignment.times) == times
    assert assignment.ended_us == story.now_us
    assert story.unit("PL1").incident is None


@pytest.mark.parametrize("status", sorted(LEAVING))
def test_a_unit_that_leaves_is_free(story: Story, status: str) -> None:
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    put_into(story, "PL1", status)
    assert story.unit("PL1").incident is None
    assert story.incident().active() == ()


def test_some_statuses_need_a_reason_or_a_hospital(story: Story) -> None:
    refusal = story.refuses(c.ReportStatus, unit="PL1", status="out_of_service")
    assert (refusal.code, refusal.field) == ("reason-needed", "reason")
    put_into(story, "PL1", "on_scene")
    refusal = story.refuses(c.ReportStatus, unit="PL1", status="transporting")
    assert (refusal.code, refusal.field) == ("hospital-needed", "hospital")
    story.when(c.ReportStatus, unit="PL1", status="transporting", hospital="Floreasca")
    assert story.unit("PL1").hospital == "Floreasca"
    story.when(c.ReportStatus, unit="PL1", status="at_hospital")
    assert story.unit("PL1").hospital is None
    story.when(c.ReportStatus, unit="PL1", status="recovering", ready_us=story.now_us + 900_000_000)
    assert story.unit("PL1").ready_us == story.now_us + 900_000_000


def test_a_status_says_when_and_by_which_road_it_came(story: Story) -> None:
    seen_us = story.after(300).now_us - 120_000_000
    story.when(c.ReportStatus, unit="PL1", status="off_duty", by=CREW, observed_us=seen_us, source="radio")
    unit = story.unit("PL1")
    assert (unit.status_us, unit.status_by, unit.status_source) == (seen_us, "field:echipaj", "radio")


def test_a_status_nobody_knows_is_refused_and_the_same_status_again_is_no_news(story: Story) -> None:
    refusal = story.refuses(c.ReportStatus, unit="PL1", status="lunch")
    assert (refusal.code, refusal.field) == ("unknown-status", "status")
    assert "available" in refusal.detail
    assert story.when(c.ReportStatus, unit="PL1", status="available") == ()


def test_a_status_that_comes_late_is_a_time_on_the_case_and_nothing_else(story: Story) -> None:
    # Given a crew that arrived without a link, was then set free by a dispatcher and sent on to a new call
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    story.after(60).on_the_way("PL1", "en_route")
    arrived_us = story.after(300).now_us
    left_us = story.after(600).now_us
    story.after(600).when(c.ReportStatus, unit="PL1", status="available")
    story.call("I2", "F02")
    sent_us = story.after(30).now_us
    story.when(c.AssignUnits, incident="I2", units=("PL1",))
    before = story.after(5).unit("PL1")
    # When its tablet comes back and empties its queue
    for status, seen_us in (("on_scene", arrived_us), ("available", left_us)):
        (fact,) = story.when(
            c.ReportStatus, unit="PL1", status=status, by=CREW, observed_us=seen_us, source="field"
        )
        assert isinstance(fact, e.UnitStatusReported)
        assert (fact.late, fact.forced, fact.incident) == (True, False, "I1")
    # Then the old case has its time of arrival, and the new order stands
    (old,) = story.incident("I1").assignments
    assert old.times["on_scene"] == arrived_us
    assert old.ended_us == before.assigned_us - 30_000_000
    (new,) = story.incident("I2").active()
    assert (new.status, dict(new.times)) == ("assigned", {"assigned": sent_us})
    assert replace(story.unit("PL1"), position=before.position) == before


def test_a_status_from_before_the_order_is_nobodys(story: Story) -> None:
    # Given a crew that was never out, and an order it has not heard of
    seen_us = story.now_us - 1_200_000_000
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    (fact,) = story.when(c.ReportStatus, unit="PL1", status="available", by=CREW, observed_us=seen_us)
    assert isinstance(fact, e.UnitStatusReported)
    assert (fact.late, fact.incident) == (True, None)
    assert (story.unit("PL1").status, story.unit("PL1").incident) == ("assigned", "I1")
    # What it presses after the order counts at once
    story.after(9).when(c.ReportStatus, unit="PL1", status="acknowledged", by=CREW, observed_us=story.now_us)
    assert story.unit("PL1").status == "acknowledged"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"ready_us": START_US + 8 * 86_400_000_000}, "bad-ready-time", "ready_at"),
        ({"ready_us": 253_402_387_139_000_000}, "bad-ready-time", "ready_at"),
        ({"ready_us": 0}, "bad-ready-time", "ready_at"),
        ({"reason": "x" * 501}, "text-too-long", "reason"),
        ({"hospital": "x" * 129}, "text-too-long", "hospital"),
    ],
)
def test_a_status_with_what_cannot_be_right_is_refused(
    story: Story, fields: dict[str, Any], code: str, field: str
) -> None:
    refusal = story.refuses(c.ReportStatus, unit="PL1", status="out_of_service", **({"reason": "x"} | fields))
    assert (refusal.code, refusal.field) == (code, field)
    in_a_week = story.now_us + 7 * 86_400_000_000
    story.when(c.ReportStatus, unit="PL1", status="out_of_service", reason="x", ready_us=in_a_week)


@pytest.mark.parametrize("name", ["ro", "generic"])
def test_the_packs_let_a_unit_do_what_happens(name: str) -> None:
    statuses = pack(name).statuses
    for code, status in statuses.items():
        if code not in ("off_duty", "out_of_service"):
            assert "out_of_service" in status.next, f"{code}: a vehicle breaks down at any time"
    for code in ("assigned", "acknowledged", "en_route"):
        assert {"staged", "on_scene"} <= set(statuses[code].next), f"{code}: nobody presses every button"
    assert {"returning", "available"} <= set(statuses["transporting"].next), "the patient died on the way"
    assert {"recovering", "off_duty"} <= set(statuses["returning"].next)


def test_what_is_said_about_an_incident_is_sealed_and_what_is_said_about_a_unit_is_not(asked: Story) -> None:
    # Given words in every place where people write about an incident
    told: list[tuple[str, tuple[e.Event, ...]]] = []
    words = "soțul Mariei P. e înarmat"
    said: dict[str, Any] = {"incident": "I1", "unit": "ASAS1", "name": "Radu", "via": "phone"}
    told.append(("reason", asked.when(c.AnswerRequest, answer="refused", reason=words, **said)))
    again = asked.when(c.AssignUnits, incident="I1", units=("ASAS1", "PL1"), override_reason=words)
    told.append(("override_reason", again))
    broken = asked.when(c.ReportStatus, unit="PL1", status="out_of_service", reason=words)
    told.append(("reason", broken))
    told.append(("reason", asked.when(c.RecallUnit, incident="I1", unit="ASAS1", reason=words)))
    # Then none of them stands in the log in clear, and all of them go when the incident is erased
    sealed = []
    for name, facts in told:
        for fact in facts:
            kept = getattr(fact, name)
            assert isinstance(kept, e.Sealed)
            assert asked.clear(kept) == words
            assert words not in e.encode(fact, "console")
            sealed.append(kept.id)
    assert set(sealed) <= asked.incident().sealed
    # But why a crew at home is out of service is everybody's to read
    asked.when(c.ReportStatus, unit="ASAS1", status="out_of_service", reason="pană")
    assert asked.unit("ASAS1").reason == "pană"


def test_flags_stand_beside_the_status(story: Story) -> None:
    story.when(c.SetFlag, unit="PL1", flag="emergency", on=True)
    since = story.now_us
    assert story.after(9).when(c.SetFlag, unit="PL1", flag="emergency", on=True) == ()
    story.when(c.SetFlag, unit="PL1", flag="at_patient", on=True)
    assert story.unit("PL1").flags == {"emergency": since, "at_patient": story.now_us}
    assert story.unit("PL1").status == "available"
    story.when(c.SetFlag, unit="PL1", flag="emergency", on=False)
    assert set(story.unit("PL1").flags) == {"at_patient"}
    refusal = story.refuses(c.SetFlag, unit="PL1", flag="hungry", on=True)
    assert (refusal.code, refusal.field) == ("unknown-flag", "flag")


# ---- who commands it


def test_only_the_station_that_holds_a_unit_commands_it(story: Story) -> None:
    other = Story("C2", incarnation="b")
    story.unit_on_duty("ASAS1", "ASAS")
    story.when(c.AssignUnits, incident="I1", units=("ASAS1",))
    meet(story, other)
    other.call("I2", "F02")
    for kind, fields in (
        (c.AssignUnits, {"incident": "I2", "units": ("PL1",)}),
        (c.ReportStatus, {"unit": "PL1", "status": "off_duty"}),
        (c.GrantCustody, {"unit": "PL1", "to": "C2"}),
        (c.RecallUnit, {"incident": "I1", "unit": "ASAS1", "reason": "x"}),
        (
            c.AnswerRequest,
            {"incident": "I1", "unit": "ASAS1", "answer": "accepted", "name": "Radu", "via": "phone"},
        ),
    ):
        refusal = other.refuses(kind, **fields)
        assert (refusal.code, refusal.extra["custodian"]) == ("not-held-here", "C1")
    # A crew in danger is heard by everybody
    other.when(c.SetFlag, unit="PL1", flag="emergency", on=True)


def test_custody_is_granted_with_an_epoch_and_never_while_the_unit_is_busy(story: Story) -> None:
    other = Story("C2", incarnation="b")
    assert story.when(c.GrantCustody, unit="PL1", to="C1") == ()
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    assert story.refuses(c.GrantCustody, unit="PL1", to="C2").code == "unit-busy"
    story.when(c.RecallUnit, incident="I1", unit="PL1", reason="x")
    (fact,) = story.when(c.GrantCustody, unit="PL1", to="C2")
    assert isinstance(fact, e.CustodyGranted)
    assert fact.epoch == 2
    # In flight nobody commands it
    assert story.refuses(c.ReportStatus, unit="PL1", status="off_duty").code == "not-held-here"
    meet(story, other)
    other.when(c.AssignUnits, incident="I1", units=("PL1",))
    assert (other.unit("PL1").custodian, other.unit("PL1").epoch) == ("C2", 2)


def test_a_unit_that_is_asked_for_is_not_handed_over(asked: Story) -> None:
    assert asked.refuses(c.GrantCustody, unit="ASAS1", to="C2").code == "unit-busy"


def test_an_old_grant_does_not_take_a_unit_back_and_a_second_of_one_epoch_is_a_conflict(story: Story) -> None:
    story.when(c.GrantCustody, unit="PL1", to="C2")
    story.record(e.CustodyGranted("PL1", "C3", 1))
    assert (story.unit("PL1").custodian, story.unit("PL1").epoch) == ("C2", 2)
    assert story.unit("PL1").conflicts == ()
    story.record(e.CustodyGranted("PL1", "C3", 2))
    (conflict,) = story.unit("PL1").conflicts
    assert (conflict.kind, conflict.about) == ("custody-granted-twice", {"first": "C2", "second": "C3"})
    assert story.unit("PL1").custodian == "C2"


def test_a_dispatcher_sends_units_of_the_own_district_only(story: Story) -> None:
    story.unit_on_duty("PL2", district="nord")
    refusal = story.refuses(c.AssignUnits, by=BOGDAN, incident="I1", units=("PL1",))
    assert (refusal.code, refusal.kind, refusal.extra["unit"]) == ("out-of-district", "forbidden", "PL1")
    story.when(c.AssignUnits, by=BOGDAN, incident="I1", units=("PL2",))
    assert ANA.covers("nord")
    assert ANA.covers("centru")
    assert BOGDAN.covers(None)


def test_a_unit_with_facts_from_a_newer_program_takes_no_orders(story: Story) -> None:
    story.record(None, subjects=("unit:PL1",))
    for kind, fields in (
        (c.AssignUnits, {"incident": "I1", "units": ("PL1",)}),
        (c.ReportStatus, {"unit": "PL1", "status": "off_duty"}),
        (c.SetFlag, {"unit": "PL1", "flag": "emergency", "on": True}),
    ):
        assert story.refuses(kind, **fields).code == "upgrade-needed"


# ---- two islands


def test_a_unit_sent_twice_on_two_islands_is_a_visible_conflict_and_nobody_is_called_back() -> None:
    # Given that two stations each believe they hold the unit: both had it registered while cut off
    here, there = Story("C1"), Story("C2", incarnation="b")
    for node, incident in ((here, "I1"), (there, "I2")):
        node.call(incident)
        node.unit_on_duty("PL1")
        node.when(c.AssignUnits, incident=incident, units=("PL1",))
    # When they meet
    meet(here, there)
    # Then both show the same: it stands on both incidents, the first order holds, a person must decide
    for node in (here, there):
        unit = node.unit("PL1")
        assert (unit.incident, unit.status) == ("I1", "assigned")
        (conflict,) = unit.conflicts
        assert (conflict.kind, conflict.about["first"], conflict.about["second"]) == (
            "sent-twice",
            "I1",
            "I2",
        )
        assert [a.unit for a in node.incident("I1").active()] == ["PL1"]
        assert [a.unit for a in node.incident("I2").active()] == ["PL1"]
        assert not any(isinstance(r.event, e.UnitRecalled) for r in node.records)
    # The dispatcher of the station that holds it takes it off the second and says so
    here.when(c.RecallUnit, incident="I2", unit="PL1", reason="rămâne la I1")
    assert here.incident("I2").active() == ()
    assert here.unit("PL1").incident == "I1"
    conflict_id = here.unit("PL1").conflicts[0].id
    here.when(c.ResolveConflict, subject="unit:PL1", conflict=conflict_id, resolution="rămâne la I1")
    assert here.unit("PL1").conflicts[0].resolution == "rămâne la I1"


def test_who_did_not_know_where_a_unit_was_sent_does_not_take_it_off() -> None:
    # Given that the station was set back by a day and does not know that the crew was sent
    here, there = Story("C1"), Story("C1", incarnation="b")
    here.call()
    here.unit_on_duty("PL1")
    meet(here, there)
    here.when(c.AssignUnits, incident="I1", units=("PL1",))
    # When the crew goes off duty in the words of a node that thinks it free
    for _ in range(2):
        there.when(c.ReportStatus, unit="PL1", status="off_duty")
        there.when(c.ReportStatus, unit="PL1", status="available")
    meet(here, there)
    # Then it is still on its incident for both, and the contradiction is seen
    for node in (here, there):
        assert node.unit("PL1").incident == "I1"
        assert [a.unit for a in node.incident().active()] == ["PL1"]
        assert node.unit("PL1").conflicts[0].kind == "left-another"
        assert node.refuses(c.AssignUnits, incident=node.call("I9"), units=("PL1",)).code == "unit-taken"


def test_the_same_request_met_at_two_nodes_counts_once() -> None:
    here, there = Story("C1"), Story("C2", incarnation="b")
    here.call()
    meet(here, there)
    for node in (here, there):
        node.when(c.AddNote, id="the-one-request", incident="I1", text="o dată")
    meet(here, there)
    assert len(here.incident().notes) == 1
    assert len(there.incident().notes) == 1


def test_a_clock_a_little_behind_does_not_make_a_press_late_unless_it_would_free_the_unit(
    story: Story,
) -> None:
    story.after(30).when(c.AssignUnits, incident="I1", units=("PL1",))
    behind_us = story.now_us - 20_000_000
    # Given a tablet whose clock runs 20 s behind, an "en route" counts for what it says
    story.when(c.ReportStatus, unit="PL1", status="en_route", observed_us=behind_us)
    assert story.unit("PL1").status == "en_route"
    # But an "available" from before the order frees nobody
    story.when(c.ReportStatus, unit="PL1", status="available", observed_us=behind_us)
    assert (story.unit("PL1").status, story.unit("PL1").incident) == ("en_route", "I1")
