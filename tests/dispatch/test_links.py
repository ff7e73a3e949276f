"""Stories about incidents that are one and the same, or have to do with each other; and which may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch import similar
from tests.dispatch.story import BOGDAN, START_US, Story, meet, pack

NOW_US = START_US
LON, LAT = 26.1025, 44.4268
METRE = 1 / 111_320


def two_calls() -> Story:
    story = Story()
    story.call("I1")
    story.call("I2")
    return story


def test_a_duplicate_points_to_where_the_work_is_done_and_can_be_taken_away_again() -> None:
    story = two_calls()
    assert story.when(c.LinkIncidents, incident="I2", other="I1", kind="duplicate") == (
        e.IncidentsLinked("I2", "I1", "duplicate"),
    )
    # Then each tells of the other, and both are still there
    assert (story.incident("I2").duplicate_of, story.incident("I1").duplicates) == ("I1", ("I2",))
    assert story.incident("I1").duplicate_of is None
    assert story.incident("I2").open
    assert story.incident("I2").links[0].by == "dispatcher:ana"
    # The same again changes nothing
    assert story.when(c.LinkIncidents, incident="I2", other="I1", kind="duplicate") == ()
    # and it can be undone from either side
    story.when(c.UnlinkIncidents, incident="I1", other="I2")
    assert story.incident("I1").links == story.incident("I2").links == ()
    assert story.when(c.UnlinkIncidents, incident="I1", other="I2") == ()


def test_related_incidents_lead_nowhere_and_may_turn_out_to_be_the_same() -> None:
    story = two_calls()
    story.when(c.LinkIncidents, incident="I1", other="I2", kind="related")
    assert [x.kind for x in story.incident("I2").links] == ["related"]
    assert story.incident("I1").duplicate_of is None
    story.when(c.LinkIncidents, incident="I1", other="I2", kind="duplicate")
    assert story.incident("I1").duplicate_of == "I2"
    assert len(story.incident("I1").links) == len(story.incident("I2").links) == 1


def test_an_incident_is_a_duplicate_of_one_alone_and_of_no_circle() -> None:
    story = two_calls()
    story.call("I3")
    story.when(c.LinkIncidents, incident="I2", other="I1", kind="duplicate")
    fault = story.refuses(c.LinkIncidents, incident="I2", other="I3", kind="duplicate")
    assert (fault.code, fault.extra["incident_number"]) == ("duplicate-already", "C1-1")
    story.when(c.LinkIncidents, incident="I3", other="I2", kind="duplicate")
    assert story.refuses(c.LinkIncidents, incident="I1", other="I3", kind="duplicate").code == (
        "duplicate-circle"
    )
    # The very same pair the other way round is no circle: it says which of them is worked on
    story.when(c.UnlinkIncidents, incident="I2", other="I3")
    story.when(c.LinkIncidents, incident="I1", other="I2", kind="duplicate")
    assert (story.incident("I1").duplicate_of, story.incident("I2").duplicate_of) == ("I2", None)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"other": "I1", "kind": "duplicate"}, "same-incident", "other"),
        ({"other": "I9", "kind": "related"}, "unknown-incident", "other"),
        ({"other": "I2", "kind": "twin"}, "unknown-kind", "kind"),
    ],
)
def test_what_is_no_link(fields: dict[str, str], code: str, field: str) -> None:
    fault = two_calls().refuses(c.LinkIncidents, incident="I1", **fields)
    assert (fault.code, fault.field) == (code, field)


def test_two_stations_that_link_crosswise_make_no_endless_circle() -> None:
    here, there = two_calls(), Story("C2", incarnation="b")
    meet(here, there)
    here.when(c.LinkIncidents, incident="I1", other="I2", kind="duplicate")
    there.when(c.LinkIncidents, incident="I2", other="I1", kind="duplicate", by=BOGDAN)
    meet(here, there)
    assert here.incident("I1").links == there.incident("I1").links
    # What was said last of the two stands, and a person may still turn it round
    assert {here.incident("I1").duplicate_of, here.incident("I2").duplicate_of} == {None, "I1"}
    here.when(c.LinkIncidents, incident="I1", other="I2", kind="duplicate")
    assert here.incident("I1").duplicate_of == "I2"


# ---- what the caller said


def test_the_answers_set_the_priority_and_say_why() -> None:
    story = Story()
    facts = story.when(
        c.ReportIncident,
        incident="I1",
        type="F05",
        place=c.Place(LON, LAT),
        answers={"trapped": "y"},
    )
    assert isinstance(facts[0], e.IncidentReported)
    assert facts[0].priority == "P1"
    assert facts[1] == e.ProtocolAnswered("I1", {"trapped": "y"}, "P1", ("trapped",))
    assert story.incident().protocol == ("P1", ("trapped",))
    # A dispatcher's own word weighs more
    story.call("I2", type="F05", answers={"trapped": "y"}, priority="P3")
    assert story.incident("I2").priority == "P3"
    # What is answered later counts with what was said before
    facts = story.when(c.AnswerProtocol, incident="I2", answers={"spreads": "n"})
    assert facts[0] == e.ProtocolAnswered("I2", {"spreads": "n"}, "P1", ("trapped",))
    assert facts[1] == e.IncidentChanged("I2", {"priority": "P1"})
    assert story.when(c.AnswerProtocol, incident="I2", answers={"spreads": "n"}) == ()
    assert story.incident("I2").answers == {"trapped": "y", "spreads": "n"}
    for answers, code in (({"colour": "y"}, "unknown-question"), ({"trapped": "x"}, "unknown-answer")):
        fault = story.refuses(c.AnswerProtocol, incident="I2", answers=answers)
        assert (fault.code, fault.field) == (code, f"answers.{next(iter(answers))}")


def test_below_the_usual_priority_it_goes_only_when_nothing_can_raise_it_any_more() -> None:
    triage = pack().triage
    assert triage("F01", {}) == (None, ())
    assert triage("F01", {"inside": "n"}) == (None, ())
    assert triage("F01", {"inside": "n", "seen": "smoke", "trapped": "n"}) == ("P2", ("inside", "seen"))
    assert triage("F01", {"inside": "y", "seen": "smoke"}) == ("P1", ("inside",))
    # an answer that the pack of today does not know says nothing
    assert triage("F01", {"inside": "later"}) == (None, ())


# ---- which may be the same

FIRE = similar.Known("I1", LON, LAT, NOW_US - 120_000_000, "F05", "722318940")
TOLD = similar.Told(LON, LAT + 25 * METRE, NOW_US, "F05")


def test_the_same_kind_at_the_same_place_now_is_probably_the_same() -> None:
    (found,) = similar.find(TOLD, [FIRE], pack())
    assert found.probable
    assert found.reasons == ("same_place", "same_kind")
    assert round(found.distance_m) == 25
    assert found.apart_s == 120


def test_what_is_far_old_or_of_another_kind_is_less_and_less_likely() -> None:
    def score(told: similar.Told = TOLD, known: similar.Known = FIRE) -> float:
        return next((x.score for x in similar.find(told, [known], pack())), 0.0)

    best = score()
    # Smoke is seen from afar; a man on the pavement is not
    assert best > score(replace(TOLD, lat=LAT + 400 * METRE)) > 0
    man = replace(FIRE, type="M08")
    assert score(replace(TOLD, lat=LAT + 400 * METRE, type="M08"), man) == 0
    # Where the network only knows the mast, farther away may be the same
    assert score(replace(TOLD, lat=LAT + 400 * METRE, type="M08", radius_m=500), man) > similar.PROBABLE
    # A rounded place is given the benefit of the doubt
    off = replace(FIRE, lat=LAT + 200 * METRE)
    assert score(known=replace(off, exact=False)) > score(known=off)
    assert best > score(known=replace(FIRE, at_us=NOW_US - 3_600_000_000)) > 0
    assert score(known=replace(FIRE, at_us=NOW_US - 5 * 3_600_000_000)) == 0
    assert best > score(replace(TOLD, type=None)) > score(replace(TOLD, type="P09"))


def test_the_same_number_is_a_hint_of_its_own() -> None:
    elsewhere = replace(TOLD, lat=LAT + 0.05, type="M08", phone=similar.digits("+40 722-318-940"))
    (found,) = similar.find(elsewhere, [FIRE], pack())
    assert found.probable
    assert found.reasons == ("same_number",)
    assert similar.digits("112") == ""


def test_in_a_surge_the_nearest_stand_first() -> None:
    # Given 900 open calls of a storm, three minutes of 300 each
    storm = [
        replace(FIRE, id=f"I{n}", lon=LON + (n % 30) * 40 * METRE, lat=LAT + (n // 30) * 40 * METRE)
        for n in range(900)
    ]
    found = similar.find(TOLD, storm, pack())
    assert [x.id for x in found[:2]] == ["I30", "I0"]
    assert [x.score for x in found] == sorted((x.score for x in found), reverse=True)
