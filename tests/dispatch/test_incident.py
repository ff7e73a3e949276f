"""The incident: from the call to the closed file, and everything that may not be done to it on the way."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from tests.dispatch.story import ANA, PLACE, SYSTEM, Story, meet, pack


@pytest.fixture
def story() -> Story:
    return Story()


# ---- a call comes in


def test_a_call_opens_an_incident_with_what_its_type_brings(story: Story) -> None:
    # When a dwelling fire is called in and the caller names no priority
    (fact,) = story.when(
        c.ReportIncident,
        incident="I1",
        type="F01",
        place=PLACE,
        description="  fum la etajul 3  ",
        caller={"name": "Ioana Pop", "phone": "0722000000", "note": ""},
        source="112",
    )
    # Then it has the type's priority, level 1, the first number of this station
    incident = story.incident()
    assert isinstance(fact, e.IncidentReported)
    assert (incident.number, incident.type, incident.priority) == ("C1-1", "F01", "P1")
    assert (incident.medical_code, incident.alarm_level, incident.staging) == (None, 1, False)
    assert incident.open
    assert incident.reported
    assert (incident.district, incident.station) == ("centru", "C1")
    # and who said so, when, and through which door
    assert (incident.reported_by, incident.reported_us) == ("dispatcher:ana", story.now_us)
    assert incident.facts["type"].source == "112"
    assert set(incident.facts) == {"type", "priority", "location", "description", "caller"}
    # and what is personal is sealed: only about where it is stays readable
    assert incident.coarse == (26.102, 44.427)
    assert story.clear(incident.place)["label"] == "Strada Lipscani 12"
    assert story.clear(incident.place)["parts"] == {"street": "Strada Lipscani", "number": "12"}
    assert story.clear(incident.description) == "fum la etajul 3"
    assert story.clear(incident.caller) == {"name": "Ioana Pop", "phone": "0722000000"}
    assert "Ioana" not in e.encode(fact, "112")
    assert "Lipscani" not in e.encode(fact, "112")


def test_every_type_of_the_pack_can_be_called_in(story: Story) -> None:
    for code, kind in pack().incident_types.items():
        story.call(code, code)
        incident = story.incident(code)
        assert incident.priority == kind.priority
        assert incident.medical_code == kind.medical_code
        assert incident.staging == bool(kind.stage)


def test_the_call_taker_may_know_better_than_the_type(story: Story) -> None:
    story.call("I1", "M01", priority="P3", medical_code="cod_verde")
    assert (story.incident().priority, story.incident().medical_code) == ("P3", "cod_verde")


def test_a_medical_call_takes_the_code_of_its_type(story: Story) -> None:
    story.call("I1", "M01")
    assert story.incident().medical_code == "cod_rosu"


def test_crews_wait_at_a_staging_point_where_the_type_says_so(story: Story) -> None:
    story.call("gas", "G01")
    story.call("fire", "F01")
    assert story.incident("gas").staging
    assert not story.incident("fire").staging


def test_numbers_run_per_station() -> None:
    centre, north = Story("C1"), Story("C2")
    for name in ("a", "b"):
        centre.call(name)
        north.call("n" + name)
    assert [centre.incident(x).number for x in ("a", "b")] == ["C1-1", "C1-2"]
    assert [north.incident(x).number for x in ("na", "nb")] == ["C2-1", "C2-2"]
    meet(centre, north)
    centre.call("c")
    assert centre.incident("c").number == "C1-3"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"type": "F99"}, "unknown-type", "type"),
        ({"priority": "P5"}, "unknown-priority", "priority"),
        ({"medical_code": "cod_mov"}, "unknown-medical-code", "medical_code"),
        ({"description": "x" * 20_001}, "text-too-long", "description"),
        ({"caller": {"name": "x" * 20_001}}, "text-too-long", "caller.name"),
        ({"case_numbers": (("NASA", "1"),)}, "unknown-agency", "case_numbers.agency"),
        ({"case_numbers": (("STS112", "  "),)}, "bad-case-number", "case_numbers.number"),
        ({"case_numbers": (("STS112", "9" * 65),)}, "bad-case-number", "case_numbers.number"),
        ({"case_numbers": (("STS112", "4\x005"),)}, "bad-case-number", "case_numbers.number"),
    ],
)
def test_a_call_that_cannot_be_right_is_refused_and_names_the_field(
    story: Story, fields: dict[str, Any], code: str, field: str
) -> None:
    refusal = story.refuses(c.ReportIncident, **{"incident": "I1", "type": "F01", "place": PLACE, **fields})
    assert (refusal.code, refusal.field, refusal.kind) == (code, field, "invalid")


def test_an_id_that_is_taken_is_refused_and_names_the_incident(story: Story) -> None:
    story.call()
    refusal = story.refuses(c.ReportIncident, incident="I1", type="G01", place=PLACE)
    assert (refusal.code, refusal.kind, refusal.extra["incident_number"]) == (
        "incident-exists",
        "conflict",
        "C1-1",
    )


def test_the_time_a_call_was_taken_may_lie_before_it_was_typed_in(story: Story) -> None:
    taken_us = story.now_us - 90_000_000
    story.call(observed_us=taken_us)
    assert story.incident().reported_us == taken_us
    assert story.incident().facts["type"].received_us == story.now_us


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (c.ChangeIncident, {"changes": {"priority": "P2"}}),
        (c.AcknowledgeIncident, {}),
        (c.AddNote, {"text": "x"}),
        (c.LinkCaseNumber, {"agency": "ISU", "number": "1"}),
        (c.SetAlarmLevel, {"level": 2}),
        (c.CloseIncident, {"outcome": "x"}),
        (c.ReopenIncident, {"reason": "x"}),
        (c.RecordOffer, {"units": (), "missing": {}, "travel": "road", "fixes": {}}),
        (c.ErasePersonalData, {"reason": "x"}),
        (c.AssignUnits, {"units": ("PL1",)}),
        (c.RecallUnit, {"unit": "PL1", "reason": "x"}),
        (c.AnswerRequest, {"unit": "PL1", "answer": "accepted", "name": "x", "via": "api"}),
        (c.LapseRequest, {"unit": "PL1"}),
    ],
)
def test_nothing_can_be_done_to_an_incident_that_is_not_there(
    story: Story, kind: type[c.Command], fields: dict[str, Any]
) -> None:
    refusal = story.refuses(kind, incident="nowhere", **fields)
    assert (refusal.code, refusal.kind, refusal.field) == ("unknown-incident", "missing", "incident")


# ---- what is known of it changes


def test_a_change_records_only_what_changed_and_who_said_so(story: Story) -> None:
    story.call()
    story.after(60)
    (fact,) = story.when(
        c.ChangeIncident, incident="I1", changes={"priority": "P1", "talkgroup": " TG-4 "}, source="radio"
    )
    # Then the priority, which stays what it was, keeps its first source
    assert isinstance(fact, e.IncidentChanged)
    assert fact.changes == {"talkgroup": "TG-4"}
    incident = story.incident()
    assert incident.talkgroup == "TG-4"
    assert incident.facts["talkgroup"].source == "radio"
    assert incident.facts["priority"].source == "console"


def test_every_field_can_be_changed(story: Story) -> None:
    story.call("I1", "M08", description="cade", caller={"name": "A"})
    new_place = c.Place(26.2, 44.5, "Piața Unirii 1")
    story.when(
        c.ChangeIncident,
        incident="I1",
        changes={
            "type": "M01",
            "priority": "P1",
            "medical_code": "cod_rosu",
            "place": new_place,
            "description": "nu respiră",
            "caller": {"phone": "0700"},
            "talkgroup": "TG-1",
            "staging": True,
        },
    )
    incident = story.incident()
    assert (incident.type, incident.priority, incident.medical_code) == ("M01", "P1", "cod_rosu")
    assert (incident.coarse, story.clear(incident.place)["label"]) == ((26.2, 44.5), "Piața Unirii 1")
    assert story.clear(incident.description) == "nu respiră"
    assert story.clear(incident.caller) == {"phone": "0700"}
    assert (incident.talkgroup, incident.staging) == ("TG-1", True)
    # And what it said before still lies sealed under the incident, for erasure to find.
    assert len(incident.sealed) == 6


def test_what_was_told_can_be_taken_back(story: Story) -> None:
    story.call("I1", "M01", description="x", caller={"name": "A"})
    changes = {"description": "", "caller": None, "talkgroup": None, "medical_code": None}
    story.when(c.ChangeIncident, incident="I1", changes=changes)
    incident = story.incident()
    assert (incident.description, incident.caller, incident.talkgroup, incident.medical_code) == (
        None,
        None,
        None,
        None,
    )


def test_a_new_type_brings_its_staging_unless_somebody_says_otherwise(story: Story) -> None:
    story.call("a", "F01")
    story.when(c.ChangeIncident, incident="a", changes={"type": "G01"})
    assert story.incident("a").staging
    for changes in ({"type": "G01", "staging": False}, {"staging": False, "type": "G01"}):
        name = story.call(f"b{len(story.records)}", "F01")
        story.when(c.ChangeIncident, incident=name, changes=changes)
        assert not story.incident(name).staging


def test_a_change_that_changes_nothing_is_no_fact(story: Story) -> None:
    story.call()
    assert story.when(c.ChangeIncident, incident="I1", changes={"type": "F01", "priority": "P1"}) == ()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"type": "F99"}, "unknown-type", "type"),
        ({"priority": None}, "unknown-priority", "priority"),
        ({"medical_code": "x"}, "unknown-medical-code", "medical_code"),
        ({"description": "x" * 20_001}, "text-too-long", "description"),
        ({"number": "C1-9"}, "unknown-field", "number"),
    ],
)
def test_a_change_that_cannot_be_right_is_refused(
    story: Story, changes: dict[str, Any], code: str, field: str
) -> None:
    story.call()
    refusal = story.refuses(c.ChangeIncident, incident="I1", changes=changes)
    assert (refusal.code, refusal.field) == (code, field)


def test_acknowledging_twice_keeps_the_first_name(story: Story) -> None:
    story.call()
    story.after(5).when(c.AcknowledgeIncident, incident="I1")
    first_us = story.now_us
    sorina = c.Actor("sorina", "supervisor", frozenset({"*"}))
    assert story.after(5).when(c.AcknowledgeIncident, by=sorina, incident="I1") == ()
    assert story.incident().acknowledged_by == "dispatcher:ana"
    assert story.incident().acknowledged_us == first_us


def test_a_note_is_sealed_and_stays_in_order(story: Story) -> None:
    story.call()
    story.when(c.AddNote, incident="I1", text=" prima ")
    story.when(c.AddNote, incident="I1", text="a doua")
    assert [story.clear(n.text) for n in story.incident().notes] == ["prima", "a doua"]
    assert story.refuses(c.AddNote, incident="I1", text="  ").code == "empty-text"
    assert story.refuses(c.AddNote, incident="I1", text="x" * 20_001).code == "text-too-long"


def test_a_note_may_still_be_written_when_the_incident_is_closed(story: Story) -> None:
    story.call()
    story.when(c.CloseIncident, incident="I1", outcome="stins")
    story.when(c.AddNote, incident="I1", text="proces-verbal 14")
    assert len(story.incident().notes) == 1


def test_case_numbers_of_other_agencies_are_tied_once(story: Story) -> None:
    story.call(case_numbers=(("STS112", " 778 "),))
    story.when(c.LinkCaseNumber, incident="I1", agency="ISU", number="41/2026")
    assert story.when(c.LinkCaseNumber, incident="I1", agency="STS112", number="778") == ()
    story.when(c.LinkCaseNumber, incident="I1", agency="GAZ", number="9")
    assert story.incident().case_numbers == (("STS112", "778"), ("ISU", "41/2026"), ("GAZ", "9"))
    assert story.refuses(c.LinkCaseNumber, incident="I1", agency="X", number="1").code == "unknown-agency"


def test_the_alarm_level_rises_and_falls_within_the_pack(story: Story) -> None:
    story.call()
    story.when(c.SetAlarmLevel, incident="I1", level=3)
    assert story.incident().alarm_level == 3
    assert story.when(c.SetAlarmLevel, incident="I1", level=3) == ()
    story.when(c.SetAlarmLevel, incident="I1", level=1)
    assert story.incident().alarm_level == 1
    refusal = story.refuses(c.SetAlarmLevel, incident="I1", level=5)
    assert (refusal.code, refusal.field) == ("unknown-alarm-level", "level")
    assert "1, 2, 3, 4" in refusal.detail


def test_the_plan_shown_is_kept_when_it_changes_materially(story: Story) -> None:
    story.call()
    offer = {"missing": {"doctor": 1}, "travel": "road", "fixes": {"PL1": (26.1, 44.4, 1)}}
    story.when(c.RecordOffer, by=SYSTEM, incident="I1", units=(("PL1", 120), ("SV1", 300)), **offer)
    assert story.incident().offered == ("PL1", "SV1")
    # The same units with other times of arrival are the same plan
    assert story.when(c.RecordOffer, incident="I1", units=(("PL1", 90), ("SV1", 310)), **offer) == ()
    assert len(story.when(c.RecordOffer, incident="I1", units=(("SV1", 310),), **offer)) == 1


# ---- closing and reopening


def test_an_incident_with_units_cannot_be_closed(story: Story) -> None:
    story.call()
    story.unit_on_duty("PL1")
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    refusal = story.refuses(c.CloseIncident, incident="I1", outcome="gata")
    assert (refusal.code, refusal.kind, refusal.extra["units"]) == (
        "units-still-assigned",
        "conflict",
        ["PL1"],
    )
    # When the unit is free, it can
    story.on_the_way("PL1", "en_route", "on_scene", "available")
    story.when(c.CloseIncident, incident="I1", outcome=" fals ")
    incident = story.incident()
    assert not incident.open
    assert (incident.closed_us, story.clear(incident.outcome)) == (story.now_us, "fals")


def test_an_incident_that_waits_for_an_answer_cannot_be_closed(story: Story) -> None:
    story.call()
    story.unit_on_duty("ASAS1", "ASAS")
    story.when(c.AssignUnits, incident="I1", units=("ASAS1",))
    refusal = story.refuses(c.CloseIncident, incident="I1", outcome="x")
    assert (refusal.code, refusal.extra["units"]) == ("requests-open", ["ASAS1"])
    story.when(c.RecallUnit, incident="I1", unit="ASAS1", reason="stins")
    story.when(c.CloseIncident, incident="I1", outcome="x")


def test_closing_needs_an_outcome_and_happens_once(story: Story) -> None:
    story.call()
    assert story.refuses(c.CloseIncident, incident="I1", outcome=" ").field == "outcome"
    story.when(c.CloseIncident, incident="I1", outcome="x")
    assert story.when(c.CloseIncident, incident="I1", outcome="y") == ()


def test_a_closed_incident_takes_no_changes_and_no_units_until_it_is_reopened(story: Story) -> None:
    story.call()
    story.unit_on_duty("PL1")
    story.when(c.CloseIncident, incident="I1", outcome="x")
    for kind, fields in (
        (c.ChangeIncident, {"changes": {"priority": "P2"}}),
        (c.SetAlarmLevel, {"level": 2}),
        (c.AssignUnits, {"units": ("PL1",)}),
        (c.AnswerRequest, {"unit": "PL1", "answer": "accepted", "name": "x", "via": "api"}),
    ):
        assert story.refuses(kind, incident="I1", **fields).code == "incident-closed"
    assert story.refuses(c.ReopenIncident, incident="I1", reason="").field == "reason"
    story.when(c.ReopenIncident, incident="I1", reason="reaprindere")
    assert story.incident().open
    assert story.incident().closed_us is None
    assert story.when(c.ReopenIncident, incident="I1", reason="again") == ()
    story.when(c.AssignUnits, incident="I1", units=("PL1",))


# ---- erasure


def test_personal_data_is_erased_only_once_the_incident_is_closed(story: Story) -> None:
    story.call(description="fum", caller={"name": "Ioana"})
    story.when(c.AddNote, incident="I1", text="sună fiica")
    story.when(c.ChangeIncident, incident="I1", changes={"description": "flăcări"})
    assert story.refuses(c.ErasePersonalData, incident="I1", reason="GDPR").code == "incident-open"
    story.when(c.CloseIncident, incident="I1", outcome="stins")
    assert story.refuses(c.ErasePersonalData, incident="I1", reason="").field == "reason"
    (fact,) = story.when(c.ErasePersonalData, incident="I1", reason="GDPR")
    # Then everything ever sealed about it is named, the replaced description too
    assert isinstance(fact, e.PersonalDataErased)
    told = [story.secrets[ident] for ident in fact.ids]
    assert {"fum", "flăcări", "sună fiica", "stins"} <= {x for x in told if isinstance(x, str)}
    assert len(told) == 6
    assert story.incident().sealed == story.incident().erased
    # and there is nothing left to erase
    assert story.when(c.ErasePersonalData, incident="I1", reason="again") == ()


def test_what_is_written_after_an_erasure_can_be_erased_too(story: Story) -> None:
    story.call()
    story.when(c.CloseIncident, incident="I1", outcome="x")
    story.when(c.ErasePersonalData, incident="I1", reason="GDPR")
    story.when(c.AddNote, incident="I1", text="târziu")
    (fact,) = story.when(c.ErasePersonalData, incident="I1", reason="GDPR")
    assert isinstance(fact, e.PersonalDataErased)
    assert [story.secrets[ident] for ident in fact.ids] == ["târziu"]


# ---- contradictions


def test_an_incident_closed_here_while_units_were_sent_there_shows_it(story: Story) -> None:
    # Given one incident known to two stations that then lose each other
    other = Story("C2", incarnation="b")
    story.call()
    other.unit_on_duty("PL2")
    meet(story, other)
    # When the one closes it while the other sends a unit
    story.when(c.CloseIncident, incident="I1", outcome="fals")
    other.when(c.AddNote, incident="I1", text="încă arde")
    other.when(c.AssignUnits, incident="I1", units=("PL2",))
    meet(story, other)
    # Then both show the same contradiction, and the unit was not called back
    for node in (story, other):
        incident = node.incident()
        assert [k.kind for k in incident.conflicts] == ["sent-after-closing"]
        assert [a.unit for a in incident.active()] == ["PL2"]
        assert node.unit("PL2").incident == "I1"


def test_a_closing_that_had_not_heard_of_a_unit_shows_it(story: Story) -> None:
    other = Story("C2", incarnation="b")
    story.call()
    other.unit_on_duty("PL2")
    meet(story, other)
    other.when(c.AssignUnits, incident="I1", units=("PL2",))
    for _ in range(3):
        story.when(c.AddNote, incident="I1", text="liniște")
    story.when(c.CloseIncident, incident="I1", outcome="fals")
    meet(story, other)
    (conflict,) = other.incident().conflicts
    assert (conflict.kind, conflict.about) == ("closed-with-units", {"units": ["PL2"]})


def test_one_id_reported_twice_keeps_the_first_and_shows_the_second() -> None:
    here, there = Story("C1"), Story("C2", incarnation="b")
    here.call("I1", "F01")
    there.call("I0", "F02")
    there.call("I1", "G01")
    meet(here, there)
    incident = here.incident()
    assert (incident.number, incident.type) == ("C1-1", "F01")
    assert [(k.kind, k.about) for k in incident.conflicts] == [("reported-twice", {"number": "C2-2"})]
    assert there.incident() == incident or there.incident().conflicts == incident.conflicts


def test_a_person_resolves_a_conflict_once_and_says_how(story: Story) -> None:
    other = Story("C2", incarnation="b")
    story.call()
    other.unit_on_duty("PL2")
    meet(story, other)
    story.when(c.CloseIncident, incident="I1", outcome="fals")
    other.when(c.AssignUnits, incident="I1", units=("PL2",))
    meet(story, other)
    (conflict,) = story.incident().conflicts
    subject = "incident:I1"
    ask: dict[str, Any] = {"subject": subject, "conflict": conflict.id}
    assert story.refuses(c.ResolveConflict, **ask, resolution=" ").field == "resolution"
    story.when(c.ResolveConflict, **ask, resolution="echipajul rămâne")
    assert story.incident().conflicts[0].resolution == "echipajul rămâne"
    assert story.when(c.ResolveConflict, **ask, resolution="alt cuvânt") == ()
    # The other node learns the word with the next meeting
    meet(story, other)
    assert other.incident().conflicts[0].resolution == "echipajul rămâne"


def test_a_conflict_that_is_not_there_cannot_be_resolved(story: Story) -> None:
    story.call()
    for subject in ("incident:I1", "incident:none", "unit:PL1", "siren:1", "x"):
        refusal = story.refuses(c.ResolveConflict, subject=subject, conflict="C9#z/1", resolution="x")
        assert (refusal.code, refusal.kind) == ("unknown-conflict", "missing")


# ---- facts from a newer program


def test_an_incident_with_facts_from_a_newer_program_is_shown_but_not_changed(story: Story) -> None:
    story.call()
    story.record(None, subjects=("incident:I1",))
    assert story.incident().parked
    assert story.incident().number == "C1-1"
    for kind, fields in (
        (c.AddNote, {"text": "x"}),
        (c.CloseIncident, {"outcome": "x"}),
        (c.AssignUnits, {"units": ("PL1",)}),
    ):
        refusal = story.refuses(kind, by=ANA, incident="I1", **fields)
        assert (refusal.code, refusal.kind) == ("upgrade-needed", "conflict")
