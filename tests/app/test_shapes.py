"""Every real answer has the shape that the description of the API promises."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from app.api import shapes
from app.rows import NOTES_MAX

if TYPE_CHECKING:
    from tests.app.control_room import Room


def fits(shape: type[BaseModel], answer: Any) -> None:
    shape.model_validate(answer, strict=True)


@pytest.fixture
def story(own_room: Room) -> tuple[Room, str, str, str]:
    """A fire: one patrol sent, one engine asked for, a note, a case number, a position."""
    room = own_room
    patrol, engine = room.unit("PL"), room.unit("ASAS")
    incident = room.incident("F01", description="fum", caller={"name": "Ion", "phone": "0722"})["id"]
    room.ana.post(f"/incidents/{incident}/assignments", {"units": [patrol, engine]})
    room.ana.post(f"/incidents/{incident}/notes", {"text": "etajul 3"})
    room.ana.post(f"/incidents/{incident}/case-numbers", {"agency": "STS112", "number": "112-7"})
    room.ana.post(f"/units/{patrol}/status", {"status": "acknowledged"})
    return room, incident, patrol, engine


def test_reading_gives_what_the_description_promises(story: tuple[Room, str, str, str]) -> None:
    room, incident, patrol, _ = story
    for path, shape in (
        (f"/incidents/{incident}", shapes.IncidentShape),
        ("/incidents", shapes.Incidents),
        ("/incidents?state=all&q=112-7", shapes.Incidents),
        (f"/incidents/{incident}/recommendation", shapes.RecommendationShape),
        (f"/incidents/{incident}/ways?units={patrol}", shapes.WaysShape),
        (f"/incidents/{incident}/timeline", shapes.Timeline),
        ("/units", shapes.Units),
        (f"/units/{patrol}", shapes.UnitShape),
        ("/events?limit=1000", shapes.Events),
        ("/incident-types", shapes.IncidentTypes),
        ("/addresses?q=Kaisaniemenkatu", shapes.Addresses),
        ("/addresses/reverse?lon=24.9445&lat=60.1716", shapes.NearAddress),
    ):
        answer = room.ana.get(path)
        assert answer.status_code == 200, path
        fits(shape, answer.json)


def test_writing_gives_what_the_description_promises(story: tuple[Room, str, str, str]) -> None:
    room, incident, patrol, engine = story
    answered = {"answer": "accepted", "name": "mr. Pop", "via": "phone"}
    for path, body, shape in (
        (f"/incidents/{incident}/acknowledge", None, shapes.ChangedIncidentShape),
        (f"/incidents/{incident}/requests/{engine}/answer", answered, shapes.ChangedIncidentShape),
        (f"/incidents/{incident}/assignments", {"units": [patrol]}, shapes.AssignedShape),
        (f"/units/{patrol}/status", {"status": "en_route"}, shapes.ChangedUnitShape),
        (f"/units/{patrol}/flags", {"flag": "emergency", "on": True}, shapes.ChangedUnitShape),
    ):
        answer = room.ana.post(path, body)
        assert answer.status_code == 200, (path, answer.json)
        fits(shape, answer.json)
    fix = {"unit": patrol, "lon": 24.94, "lat": 60.17, "observed_at": room.ago(1)}
    fits(shapes.PositionsReceipt, room.ana.post("/positions", [fix, {"unit": "?"}]).json)


def test_an_error_is_a_problem(own_room: Room) -> None:
    answer = own_room.ana.post("/incidents", {"id": str(uuid.uuid4()), "type": "??"})
    fits(shapes.ProblemShape, answer.json)
    assert answer.status_code == 422


def test_a_row_carries_the_newest_notes_and_says_how_many_there_are(own_room: Room) -> None:
    room = own_room
    incident = room.incident()["id"]
    for n in range(NOTES_MAX + 3):
        room.ana.post(f"/incidents/{incident}/notes", {"text": f"nota {n}"})
    row = room.ana.get(f"/incidents/{incident}").json
    assert [note["text"] for note in row["notes"]] == [f"nota {n}" for n in range(3, NOTES_MAX + 3)]
    assert row["notes_total"] == NOTES_MAX + 3
    # And the timeline has them all
    told = [line["data"]["text"] for line in room.ana.get(f"/incidents/{incident}/timeline").json
            if line["type"] == "NoteAdded"]  # fmt: skip
    assert told == [f"nota {n}" for n in range(NOTES_MAX + 3)]
