"""Stories about who rings: what the telephone system says, who answers, and what is still to be done."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch.call import Call
from dispatch.commands import Actor
from tests.dispatch.story import ANA, BOGDAN, Story, meet

TRUNK = Actor("centrala", "gateway", frozenset({"*"}))
HERE = (26.10251, 44.42684)


def rings(story: Story, state: str = "ringing", **fields: Any) -> Call:
    given: dict[str, Any] = {"number": "0722 318 940", "line": "112", "place": HERE, "radius_m": 40.0}
    story.when(c.ReportCall, by=TRUNK, **{"call": "c1", "state": state, **given, **fields})
    return found(story)


def says(story: Story, state: str, **fields: Any) -> tuple[e.Event, ...]:
    return story.when(c.ReportCall, by=TRUNK, call="c1", state=state, **fields)


def found(story: Story) -> Call:
    call = story.state.call("c1")
    assert call is not None
    return call


def test_a_call_that_is_answered_and_becomes_an_incident() -> None:
    # Given a telephone that rings
    story = Story()
    call = rings(story)
    assert (call.state, call.needs, call.line) == ("ringing", "answer", "112")
    # whose number and place are kept under seal, but for about where it is
    assert story.clear(call.number) == "0722 318 940"
    assert story.clear(call.place) == {"lon": 26.10251, "lat": 44.42684}
    assert (call.coarse, call.radius_m) == ((26.103, 44.427), 40.0)
    # When Ana answers it
    story.after(4).when(c.AnswerCall, by=ANA, call="c1")
    assert (found(story).state, found(story).needs, found(story).answered_by) == (
        "answered",
        "record",
        "dispatcher:ana",
    )
    # Then it is hers, and Bogdan reads so
    fault = story.refuses(c.AnswerCall, by=BOGDAN, call="c1")
    assert (fault.code, fault.extra["by"]) == ("call-taken", "dispatcher:ana")
    assert story.when(c.AnswerCall, by=ANA, call="c1") == ()
    # and with the incident that she opens nothing more is to be done about it
    facts = story.when(c.ReportIncident, incident="I1", type="F01", place=c.Place(*HERE), call="c1")
    assert [type(fact) for fact in facts] == [e.IncidentReported, e.CallLinked]
    assert (found(story).incidents, found(story).needs) == (("I1",), None)
    assert story.incident().calls == ("c1",)
    # until somebody sees that it was about another one
    story.when(c.UnlinkCall, call="c1", incident="I1")
    assert (found(story).needs, story.incident().calls) == ("record", ())


def test_a_call_that_nobody_answered_waits_for_a_call_back() -> None:
    story = Story()
    rings(story)
    story.after(30)
    assert says(story, "abandoned") == (e.CallAbandoned("c1"),)
    assert (found(story).state, found(story).needs) == ("abandoned", "call_back")
    # When it is tried in vain, it waits on
    story.when(c.CallBack, call="c1", reached=False)
    assert (found(story).needs, found(story).tries) == ("call_back", 1)
    # and when somebody is reached, what was said is still to be recorded, or why it is nothing
    story.when(c.CallBack, call="c1", reached=True, note="a sunat copilul din greșeală")
    assert (found(story).state, found(story).needs) == ("called_back", "record")
    story.when(c.CloseCall, call="c1", why="no_emergency")
    assert (found(story).state, found(story).needs) == ("closed", None)
    assert story.clear(found(story).note) == "a sunat copilul din greșeală"
    assert story.refuses(c.CallBack, call="c1", reached=True).code == "call-closed"


def test_what_a_telephone_system_says_twice_or_late_changes_nothing() -> None:
    story = Story()
    rings(story)
    assert says(story, "ringing", number="0722 318 940", line="112", place=HERE, radius_m=40.0) == ()
    # Given that it only knows later where the telephone is, and who answered
    assert says(story, "answered", agent="ana") == (e.CallAnswered("c1", "ana"),)
    (changed,) = says(story, "answered", place=(26.1101, 44.4300), radius_m=12.0, recording="rec/88")
    assert isinstance(changed, e.CallChanged)
    assert sorted(changed.changes) == ["coarse", "place", "radius_m", "recording"]
    # A late word that it rings takes nothing back, and hanging up after speaking is no abandoned call
    assert says(story, "ringing") == ()
    assert says(story, "abandoned") == (e.CallEnded("c1"),)
    assert says(story, "ended") == ()
    assert (found(story).state, found(story).needs) == ("ended", "record")
    # and Ana, whom the telephone system calls by her login, has it already
    assert story.when(c.AnswerCall, by=ANA, call="c1") == ()


def test_a_system_that_only_tells_of_calls_when_they_are_over() -> None:
    story = Story()
    call = rings(story, "ended", agent="ana")
    assert (call.state, call.answered_by) == ("ended", "ana")
    other = Story()
    assert rings(other, "ended").state == "abandoned"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"state": "dialling"}, "unknown-state", "state"),
        ({"radius_m": -1.0}, "bad-radius", "location.radius_m"),
        ({"radius_m": float("nan")}, "bad-radius", "location.radius_m"),
        ({"number": "0" * 51}, "text-too-long", "number"),
        ({"line": "x" * 65}, "text-too-long", "line"),
        ({"recording": "x" * 501}, "text-too-long", "recording"),
        ({"agent": "x" * 65}, "text-too-long", "agent"),
    ],
)
def test_what_no_call_can_be(fields: dict[str, Any], code: str, field: str) -> None:
    fault = Story().refuses(c.ReportCall, by=TRUNK, **{"call": "c1", "state": "ringing", **fields})
    assert (fault.code, fault.field) == (code, field)


def test_what_cannot_be_done_about_a_call() -> None:
    story = Story()
    assert story.refuses(c.AnswerCall, call="c9").code == "unknown-call"
    assert (
        story.refuses(c.ReportIncident, incident="I1", type="F01", place=c.Place(*HERE), call="c9").field
        == "call"
    )
    rings(story, number="")
    assert story.refuses(c.CallBack, call="c1", reached=True).code == "no-number"
    assert story.refuses(c.CloseCall, call="c1", why="tired").field == "why"
    assert story.refuses(c.CloseCall, call="c1", why="other").code == "empty-text"
    assert story.refuses(c.LinkCall, call="c1", incident="I9").code == "unknown-incident"
    story.when(c.CloseCall, call="c1", why="other", note="apel de control")
    assert story.refuses(c.AnswerCall, by=BOGDAN, call="c1").code == "call-closed"
    assert story.when(c.CloseCall, call="c1", why="test") == ()


def test_the_personal_data_of_a_call_goes_with_its_incident() -> None:
    story = Story()
    rings(story, recording="rec/88")
    story.call("I1", call="c1")
    story.call("I2")
    story.when(c.LinkCall, call="c1", incident="I2")
    story.when(c.CloseIncident, incident="I1", outcome="stins")
    # Given another incident that still needs it, it stays
    facts = story.when(c.ErasePersonalData, incident="I1", reason="cerere")
    assert [type(fact) for fact in facts] == [e.PersonalDataErased]
    story.when(c.CloseIncident, incident="I2", outcome="stins")
    facts = story.when(c.ErasePersonalData, incident="I2", reason="cerere")
    assert [type(fact) for fact in facts] == [e.PersonalDataErased, e.CallErased]
    assert found(story).sealed == found(story).erased
    # and a call that led to nothing is erased by itself
    assert story.when(c.EraseCall, call="c1", reason="cerere") == ()


def test_a_call_answered_at_two_stations_is_had_by_the_first() -> None:
    here, there = Story("C1"), Story("C2", incarnation="b")
    rings(here)
    meet(here, there)
    here.when(c.AnswerCall, by=ANA, call="c1")
    there.after(1).when(c.AnswerCall, by=BOGDAN, call="c1")
    meet(here, there)
    assert found(here).answered_by == found(there).answered_by == "dispatcher:ana"
