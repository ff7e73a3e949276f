"""The log over HTTP, for programs that follow it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.app.control_room import PHONE, Room, is_problem, next_page, pages


def test_a_program_follows_the_log_page_by_page_and_goes_on_later(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()["id"]
    whole = pages(room.ana, "/events?limit=1000")
    assert pages(room.ana, "/events?limit=7") == whole
    assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
    assert whole[-1]["subjects"] == [f"incident:{incident}", "station:C1"]
    assert all(event["prev_hash"] == before["hash"] for before, event in pairwise(whole))
    # When it has read everything, it keeps the cursor, and later gets only what is new
    last = room.ana.get("/events?limit=1000&after=" + whole[-1]["position"])
    assert (last.json, next_page(last)) == ([], None)
    cursor = last.headers["Straja-Cursor"]
    room.ana.post(f"/incidents/{incident}/notes", {"text": f"sunați la {PHONE}"})
    [new] = room.ana.get(f"/events?after={cursor}").json
    assert (new["type"], new["actor"]) == ("NoteAdded", f"dispatcher:{room.ana.name}")
    # Personal data stands in no event, only the key to where it is sealed
    assert set(new["data"]["text"]) == {"$sealed", "sha256"}
    assert all(PHONE not in str(event) for event in pages(room.ana, "/events?limit=1000"))
    # And the answer to a write is a cursor of the same kind
    written = room.ana.post(f"/incidents/{incident}/acknowledge").json["log_position"]
    assert room.ana.get(f"/events?after={written}").json == []


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "words",
    [
        "C1#000000000000:5",
        "{origin}",
        "{origin}:",
        "{origin}:-1",
        "{origin}:1_0",
        "{origin}:x",
        "{origin}:٣",
        "{origin}:" + "9" * 30,
        "{origin}:" + "9" * 19,
    ],
)
def test_a_cursor_of_another_log_is_refused(shared_room: Room, words: str) -> None:
    after = cursor(words.format(origin=shared_room.core.log.origin))
    is_problem(shared_room.ana.get(f"/events?after={after}"), 409, "cursor-unknown", "after")


@pytest.mark.parametrize("after", ["x", "ș", "====", "%ff%fe", "", "٣"])
def test_what_is_no_cursor_at_all_is_refused(shared_room: Room, after: str) -> None:
    is_problem(shared_room.ana.get(f"/events?after={after}"), 409, "cursor-unknown", "after")
    is_problem(shared_room.ana.get("/events?after=%00"), 422, "invalid", "after")
    is_problem(shared_room.ana.get("/events?after=" + "x" * 201), 422, "invalid", "after")


def test_limits_are_kept(shared_room: Room) -> None:
    for wrong in ("limit=0", "limit=1001", "limit=-1"):
        is_problem(shared_room.ana.get(f"/events?{wrong}"), 422, "invalid", "limit")
    assert len(shared_room.ana.get("/events?limit=1").json) == 1


def test_a_district_sees_its_own_part_and_pages_to_the_end_of_it(shared_room: Room) -> None:
    room = shared_room
    own = room.unit(district="nord")
    for _ in range(5):
        room.incident()
    last = room.unit(district="nord")
    north = room.desk("dispatcher", ["nord"])
    seen = pages(north, "/events?limit=2")
    subjects = [subject for event in seen for subject in event["subjects"]]
    assert f"unit:{own}" in subjects
    assert f"unit:{last}" in subjects
    assert not any(event["type"] == "IncidentReported" for event in seen)


def test_what_happens_in_an_incident_is_for_those_who_see_it_though_its_units_are_known_to_all(
    shared_room: Room,
) -> None:
    room = shared_room
    # Given two districts, of which the north sees the centre's units on its board
    unit = room.unit()
    incident = room.incident()["id"]
    room.sent(incident, unit)
    for status in ("acknowledged", "en_route", "on_scene"):
        room.ana.post(f"/units/{unit}/status", {"status": status})
    north = room.desk("dispatcher", ["nord"])
    assert north.get(f"/units/{unit}").status_code == 200
    # Then the unit's own events are theirs to read, and nothing of what it does in that incident
    seen = pages(north, "/events?limit=1000")
    about_it = [event for event in seen if f"unit:{unit}" in event["subjects"]]
    assert {event["type"] for event in about_it} == {"UnitRegistered", "UnitStatusReported"}
    assert not [event for event in seen if f"incident:{incident}" in str(event)]
    centre = pages(room.desk("dispatcher", ["centru"]), "/events?limit=1000")
    assert [event for event in centre if f"incident:{incident}" in event["subjects"]]


def test_the_description_of_the_api_is_open_to_whoever_writes_a_program(embedded_room: Room) -> None:
    answer = embedded_room.stranger.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json["openapi"].startswith("3.1")
    schemes = answer.json["components"]["securitySchemes"]
    assert set(schemes) == {"token", "session"}


def test_health_is_told_to_anybody_and_says_what_does_not_work(open_another: Callable[..., Room]) -> None:
    room = open_another(REDIS_URL="redis://127.0.0.1:1/0")
    for path in ("/healthz", "/api/v1/healthz"):
        answer = room.app.test_client().get(path)
        assert answer.status_code == 200
        parts = answer.json["parts"]
        assert answer.json["status"] == "degraded"
        assert (parts["log"], parts["positions"], parts["city"]) == ("ok", "ok", "helsinki")
        assert (parts["jobs"], parts["keeper"]) == ("unavailable", "absent")
        assert answer.json["station"] == "C1"
