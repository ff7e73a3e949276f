"""A shift and the next one; what is planned; what was written on paper while the console was away."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch.shift import PAPER_REACH_US
from tests.dispatch.story import ANA, BOGDAN, PLACE, Story

MIN = 60_000_000


def test_a_hand_over_keeps_what_stood_open_and_who_took_it() -> None:
    # Given an open call, a closed one, and a crew on the open one
    story = Story()
    for call in ("one", "two"):
        story.when(c.ReportIncident, incident=call, type="F05", place=PLACE)
    story.when(c.CloseIncident, incident="two", outcome="nimic")
    # When Ana hands over
    [fact] = story.when(c.WriteHandOver, handover="h", notes="coloană de mașini pe DN1")
    assert isinstance(fact, e.HandOverWritten)
    assert fact.incidents == ("one",)
    assert isinstance(fact.notes, e.Sealed)
    # Then she cannot take over from herself; the next shift can, once
    assert story.refuses(c.TakeHandOver, handover="h").code == "handover-own"
    story.when(c.TakeHandOver, BOGDAN, handover="h", remark="citit")
    assert story.when(c.TakeHandOver, BOGDAN, handover="h") == ()
    third = c.Actor("cora", "dispatcher", frozenset({"*"}))
    refused = story.refuses(c.TakeHandOver, third, handover="h")
    assert (refused.code, refused.extra["by"]) == ("handover-taken", BOGDAN.label)
    found = story.state.handover("h")
    assert found is not None
    assert (found.written_by, found.taken_by) == (ANA.label, BOGDAN.label)
    # And closing the call afterwards does not change what was handed over
    story.when(c.CloseIncident, incident="one", outcome="stins")
    again = story.state.handover("h")
    assert again is not None
    assert again.incidents == ("one",)
    # Erasing reaches both texts, once
    [gone] = story.when(c.EraseShiftText, subject="handover:h", reason="cerere")
    assert isinstance(gone, e.ShiftTextErased)
    assert len(gone.ids) == 2
    assert story.when(c.EraseShiftText, subject="handover:h", reason="cerere") == ()
    assert story.refuses(c.TakeHandOver, handover="none").code == "unknown-handover"
    assert story.refuses(c.WriteHandOver, handover="h").code == "handover-exists"


def test_what_is_planned_is_entered_changed_and_withdrawn() -> None:
    story = Story()
    start = story.now_us + 60 * MIN
    about: dict[str, Any] = {"planned": "p", "kind": "event", "title": " Meci ", "from_us": start}
    story.when(c.PlanWork, **about, until_us=start + 120 * MIN, details="sună la 0722")
    found = story.state.planned("p")
    assert found is not None
    assert found.title == "Meci"
    assert not found.holds(start - 1)
    assert found.holds(start)
    assert not found.holds(start + 120 * MIN)
    # Only what is other than before is a fact
    assert story.when(c.ChangePlanned, planned="p", changes={"title": "Meci"}) == ()
    [fact] = story.when(c.ChangePlanned, planned="p", changes={"title": "Concert", "kind": "event"})
    assert isinstance(fact, e.PlannedChanged)
    assert fact.changes == {"title": "Concert"}
    for changes, code in (
        ({"until_us": start}, "bad-span"),
        ({"kind": "party"}, "unknown-kind"),
        ({"title": " "}, "empty-text"),
        ({"colour": "red"}, "unknown-field"),
    ):
        assert story.refuses(c.ChangePlanned, planned="p", changes=changes).code == code
    story.when(c.ChangePlanned, planned="p", changes={"details": "sună la 0733"})
    [gone] = story.when(c.EraseShiftText, subject="planned:p", reason="cerere")
    assert isinstance(gone, e.ShiftTextErased)
    assert len(gone.ids) == 2
    story.when(c.WithdrawPlanned, planned="p", reason="ploaie")
    assert story.when(c.WithdrawPlanned, planned="p", reason="ploaie") == ()
    assert story.refuses(c.ChangePlanned, planned="p", changes={"title": "x"}).code == "planned-withdrawn"
    assert story.refuses(c.PlanWork, **about, until_us=start + MIN).code == "planned-exists"


def paper(story: Story, **more: Any) -> dict[str, Any]:
    t0 = story.now_us - 120 * MIN
    report = c.ReportIncident(id="p", incident="p", type="F05", place=PLACE, observed_us=t0)
    times = {"assigned": t0 + 2 * MIN, "on_scene": t0 + 9 * MIN, "available": t0 + 40 * MIN}
    sent = (c.PaperSending("PL1", times),)
    return {"id": "p", "incident": "p", "report": report, "sendings": sent} | more


def register(story: Story) -> None:
    story.when(
        c.RegisterUnit, c.Actor("sef", "supervisor", frozenset({"*"})), unit="PL1", type="PL",
        station="Centru", district="centru", crew=2,
    )  # fmt: skip


def test_paper_gives_a_case_its_times_and_moves_nobody() -> None:
    story = Story()
    register(story)
    before = story.state.unit("PL1")
    t0 = story.now_us - 120 * MIN
    facts = story.when(c.EnterFromPaper, **paper(story, closed=(t0 + 45 * MIN, "stins")))
    assert [type(fact).__name__ for fact in facts] == [
        "IncidentReported",
        "IncidentAcknowledged",
        "UnitWasSent",
        "IncidentClosed",
    ]
    found = story.state.incident("p")
    assert found is not None
    assert not found.open
    assert found.assignments[0].times["on_scene"] == t0 + 9 * MIN
    assert found.active() == ()
    assert story.state.unit("PL1") == before


@pytest.mark.parametrize(
    ("times", "code", "field"),
    [
        ({"assigned": -118, "on_scene": -119, "available": -10}, "out-of-order", "sendings.0.on_scene"),
        ({"assigned": -121, "available": -10}, "out-of-order", "sendings.0.assigned"),
        ({"assigned": -100}, "time-needed", "sendings.0.available"),
        ({"available": -100}, "time-needed", "sendings.0.assigned"),
        ({"assigned": -100, "available": 10}, "time-in-future", "sendings.0.available"),
    ],
)
def test_times_that_cannot_be_are_refused_by_their_line(times: dict[str, int], code: str, field: str) -> None:
    story = Story()
    register(story)
    sent = (c.PaperSending("PL1", {step: story.now_us + at * MIN for step, at in times.items()}),)
    refused = story.refuses(c.EnterFromPaper, **paper(story, sendings=sent))
    assert (refused.code, refused.field) == (code, field)


def test_paper_refuses_what_nobody_could_have_written() -> None:
    story = Story()
    register(story)
    t0 = story.now_us - 120 * MIN
    nobody = (c.PaperSending("PL9", {"assigned": t0 + MIN, "available": t0 + 2 * MIN}),)
    old = c.ReportIncident(
        id="p", incident="p", type="F05", place=PLACE, observed_us=story.now_us - PAPER_REACH_US - MIN
    )
    for more, code in (
        ({"sendings": nobody}, "unknown-unit"),
        ({"closed": (t0 - MIN, "stins")}, "closed-before-reported"),
        ({"closed": (t0 + MIN, " ")}, "empty-text"),
        ({"notes": ((t0, " "),)}, "empty-text"),
        ({"report": old, "sendings": ()}, "paper-too-old"),
        ({"report": None, "sendings": ()}, "unknown-incident"),
    ):
        assert story.refuses(c.EnterFromPaper, **paper(story, **more)).code == code, more
    # A crew that is out on it now is told by its statuses, and it cannot be closed over its head
    story.when(c.ReportIncident, incident="q", type="F05", place=PLACE)
    assert story.refuses(c.EnterFromPaper, id="e", incident="q").code == "empty"
    story.when(c.ReportStatus, unit="PL1", status="available")
    story.when(c.AssignUnits, incident="q", units=("PL1",))
    now = {"assigned": story.now_us, "available": story.now_us}
    on_it = story.refuses(c.EnterFromPaper, id="e", incident="q", sendings=(c.PaperSending("PL1", now),))
    assert on_it.code == "unit-on-it"
    shut = story.refuses(c.EnterFromPaper, id="e", incident="q", closed=(story.now_us, "gata"))
    assert shut.code == "units-still-assigned"
