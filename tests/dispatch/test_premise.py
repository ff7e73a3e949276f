"""Stories about what is known of a place before anybody calls."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch.premise import Premise
from tests.dispatch.story import PLACE, Story


def noted(story: Story, **fields: Any) -> Premise:
    given = {"premise": "m1", "kind": "danger", "place": PLACE, "radius_m": 30.0, "text": "câine rău"}
    story.when(c.NotePremise, **{**given, **fields})
    return found(story)


def found(story: Story) -> Premise:
    premise = story.state.premise("m1")
    assert premise is not None
    return premise


def test_a_note_holds_until_it_is_withdrawn_or_its_time_has_passed() -> None:
    story = Story()
    note = noted(story, until_us=story.now_us + 60_000_000)
    assert note.holds(story.now_us)
    assert not note.holds(story.now_us + 60_000_000)
    # What it says, and where, is sealed; only about where stays in clear
    assert story.clear(note.text) == "câine rău"
    assert story.clear(note.place)["label"] == PLACE.label
    assert note.coarse == (26.102, 44.427)
    again = {"premise": "m1", "kind": "other", "place": PLACE, "radius_m": 9.0, "text": "x"}
    assert story.refuses(c.NotePremise, **again).code == "premise-exists"
    story.when(c.WithdrawPremise, premise="m1")
    assert not found(story).holds(story.now_us)
    assert story.when(c.WithdrawPremise, premise="m1") == ()
    (gone,) = story.when(c.ErasePremise, premise="m1", reason="cerere")
    assert isinstance(gone, e.PremiseErased)
    assert found(story).sealed == found(story).erased


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"kind": "gossip"}, "unknown-kind", "kind"),
        ({"radius_m": 4.0}, "bad-radius", "radius_m"),
        ({"radius_m": float("nan")}, "bad-radius", "radius_m"),
        ({"text": "  "}, "empty-text", "text"),
        ({"text": "x" * 2001}, "text-too-long", "text"),
        ({"until_us": 1}, "ends-too-soon", "until"),
        ({"until_us": 2**60}, "closure-too-far", "until"),
    ],
)
def test_what_is_no_note(fields: dict[str, Any], code: str, field: str) -> None:
    given = {"premise": "m1", "kind": "danger", "place": PLACE, "radius_m": 30.0, "text": "câine"}
    fault = Story().refuses(c.NotePremise, **{**given, **fields})
    assert (fault.code, fault.field) == (code, field)
    assert Story().refuses(c.WithdrawPremise, premise="m9").code == "unknown-premise"
