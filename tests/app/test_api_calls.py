"""Stories at the API about calls: the telephone system tells of them, a dispatcher answers, what comes of it;
and about incidents that are one and the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.board import NearConsole
from tests.app.control_room import PHONE, RAILWAY_STATION, Room, is_problem

LON, LAT = RAILWAY_STATION
SPOT = {"lon": LON, "lat": LAT, "radius_m": 35.5}


def rings(room: Room, **more: Any) -> dict[str, Any]:
    body = {"id": room.uuid(), "number": PHONE, "line": "112", "location": SPOT, "recording": "rec/7"}
    answer = room.desk("gateway").post("/calls", body | more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_a_call_from_its_first_ring_to_its_incident(shared_room: Room) -> None:
    room = shared_room
    # Given a telephone system that tells of a call; it may tell, and not read
    call = room.uuid()
    body = {"id": call, "number": PHONE, "line": "112", "location": SPOT, "recording": "rec/7"}
    trunk = room.desk("gateway")
    told = trunk.post("/calls", body)
    assert told.status_code == 201
    assert (told.json["id"], told.json["state"], "number" in told.json) == (call, "ringing", False)
    is_problem(trunk.get(f"/calls/{call}"), 403, "forbidden")
    # The very same word again is the same request
    assert trunk.post("/calls", body).json["log_position"] == told.json["log_position"]
    # Then a dispatcher has it before her
    (row,) = room.ana.get("/calls").json
    assert (row["number"], row["line"], row["recording"]) == (PHONE, "112", "rec/7")
    assert (row["location"], row["needs"]) == (SPOT, "answer")
    # When she answers, nobody else does
    mine = room.ana.post(f"/calls/{call}/answer")
    assert (mine.json["answered_by"], mine.json["needs"]) == (room.ana.name, "record")
    late = is_problem(room.desk("supervisor").post(f"/calls/{call}/answer"), 409, "call-taken")
    assert late["by"] == room.ana.name
    assert late["at"].endswith("Z")
    # and the report that she takes belongs to it
    incident = room.incident(call=call)
    assert incident["calls"] == [call]
    assert room.ana.get(f"/calls/{call}").json["incidents"] == [incident["id"]]
    assert room.ana.get("/calls").json == []
    assert "Call linked" in [line["words"] for line in room.facts(incident["id"])]
    # The system says that it is over; nothing is to be done any more
    assert trunk.post("/calls", {"id": call, "state": "ended"}).json["state"] == "ended"
    assert [x["id"] for x in room.ana.get("/calls?state=all").json] == [call]
    # When its incident is erased, the number goes with it
    room.ana.post(f"/incidents/{incident['id']}/close", {"outcome": "stins"})
    room.desk("admin").post(f"/incidents/{incident['id']}/erase", {"reason": "cerere"})
    gone = room.ana.get(f"/calls/{call}").json
    assert (gone["number"], gone["recording"], gone["personal_data"]) == (None, None, "erased")
    assert gone["location"] == {"lon": round(LON, 3), "lat": round(LAT, 3), "radius_m": 35.5}


def test_an_abandoned_call_is_called_back(embedded_room: Room) -> None:
    room = embedded_room
    call = rings(room)["id"]
    assert room.desk("gateway").post("/calls", {"id": call, "state": "abandoned"}).status_code == 201
    key = room.uuid()
    tried = room.ana.post(f"/calls/{call}/back", {"reached": False}, idempotency_key=key).json
    assert (tried["needs"], tried["tries"], tried["tried_by"]) == ("call_back", 1, room.ana.name)
    # A retry is no second try
    again = room.ana.post(f"/calls/{call}/back", {"reached": False}, idempotency_key=key)
    assert again.json["tries"] == 1
    is_problem(room.ana.post(f"/calls/{call}/back", {"reached": "yes"}), 422, "invalid", "reached")
    is_problem(room.ana.post(f"/calls/{call}/close", {"why": "tired"}), 422, "invalid", "why")
    is_problem(room.ana.post(f"/calls/{call}/close", {"why": "other"}), 422, "empty-text", "note")
    over = room.ana.post(f"/calls/{call}/close", {"why": "not_reached"}).json
    assert (over["state"], over["why"], over["needs"]) == ("closed", "not_reached", None)
    # and an incident that it was linked to by mistake lets go of it again
    incident = room.incident()["id"]
    linked = room.ana.post(f"/calls/{call}/incidents", {"incident": incident}).json
    assert linked["incidents"] == [incident]
    assert room.ana.delete(f"/calls/{call}/incidents/{incident}").json["incidents"] == []
    is_problem(room.ana.post(f"/calls/{call}/incidents", {"incident": "x"}), 404, "unknown-incident")
    is_problem(room.ana.get("/calls/x"), 404, "unknown-call")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"id": "7"}, "id"),
        ({"state": "dialling"}, "state"),
        ({"number": "0" * 51}, "number"),
        ({"number": 7}, "number"),
        ({"location": {"lon": 200, "lat": 0}}, "location.lon"),
        ({"location": {"lon": 24, "lat": 60, "radius_m": -1}}, "location.radius_m"),
        ({"colour": "red"}, "colour"),
        ({"at": "yesterday"}, "at"),
        ({"source": "console"}, "source"),
    ],
)
def test_what_is_no_call(embedded_room: Room, wrong: dict[str, Any], field: str) -> None:
    room = embedded_room
    answer = room.desk("gateway").post("/calls", {"id": room.uuid()} | wrong)
    is_problem(answer, 422, None, field)


def test_a_call_is_not_turned_away_because_a_clock_is_fast(embedded_room: Room) -> None:
    room = embedded_room
    call = rings(room, at=room.ago(-90))
    row = room.ana.get(f"/calls/{call['id']}").json
    assert row["received_at"] == room.ago(0)


def test_calls_reach_the_room_and_nobody_else(embedded_room: Room) -> None:
    room = embedded_room
    desk, watcher = NearConsole(room, room.ana), NearConsole(room, room.desk("observer"))
    call = rings(room, location=None)["id"]
    room.app.extensions["straja_live"].pump()
    desk.listen()
    watcher.listen()
    assert desk.calls[call]["number"] == PHONE
    assert watcher.calls == {}
    # A console that comes anew has it in its first picture, until nothing is to be done any more
    other = NearConsole(room, room.ana)
    assert call in other.calls
    room.ana.post(f"/calls/{call}/close", {"why": "test"})
    room.app.extensions["straja_live"].pump()
    desk.listen()
    assert desk.calls[call]["state"] == "closed"
    assert call not in NearConsole(room, room.ana).calls
    for one in (desk, watcher, other):
        one.drop()


def test_a_dispatcher_of_another_district_hears_of_no_call_here(embedded_room: Room) -> None:
    room = embedded_room
    call = rings(room)["id"]
    nord = room.desk("dispatcher", ["nord"])
    assert call not in [x["id"] for x in nord.get("/calls").json]
    is_problem(nord.get(f"/calls/{call}"), 404, "unknown-call")
    is_problem(nord.post(f"/calls/{call}/answer"), 404, "unknown-call")


# ---- one and the same


def test_duplicates_are_suggested_linked_and_unlinked(shared_room: Room) -> None:
    room = shared_room
    # Given a burning car, and a fight two streets away
    lon, lat = LON + 0.02, LAT + 0.01
    first = room.incident(at=(lon, lat), caller={"phone": "0744 112 358"})
    room.incident("P02", at=(lon + 0.003, lat + 0.002))
    # When somebody tells of a burning car some metres away
    asked = f"/incidents/similar?lon={lon}&lat={lat + 0.0003}&type=F05"
    (found,) = [x for x in room.ana.get(asked).json if x["probable"]]
    # Then it is said which one it may be, and why
    assert (found["incident"], found["number"], found["distance_m"]) == (first["id"], first["number"], 33)
    assert [reason["words"] for reason in found["reasons"]] == ["same place", "same kind"]
    romanian = room.ana.get(asked, accept_language="ro").json[0]
    assert [reason["words"] for reason in romanian["reasons"]] == ["același loc", "același fel"]
    # and by the number alone, wherever it is said to be
    (same,) = room.ana.get(f"/incidents/similar?lon={lon}&lat={lat + 0.1}&phone=0040744112358").json
    assert [reason["code"] for reason in same["reasons"]] == ["same_number"]
    # When it is taken as one of its own, it is there, and linked
    second = room.incident(at=(lon, lat + 0.0003), caller=None)
    links = f"/incidents/{second['id']}/links"
    key = room.uuid()
    linked = room.ana.post(links, {"other": first["id"], "kind": "duplicate"}, idempotency_key=key)
    assert (linked.json["state"], linked.json["duplicate_of"]) == ("open", first["id"])
    assert linked.json["links"][0] | {"at": ""} == {
        "incident": first["id"],
        "number": first["number"],
        "kind": "duplicate",
        "of": first["id"],
        "at": "",
        "by": room.ana.name,
    }
    again = room.ana.post(links, {"other": first["id"], "kind": "duplicate"}, idempotency_key=key)
    assert again.json["log_position"] == linked.json["log_position"]
    assert f"Duplicate of {first['number']}" in [line["words"] for line in room.facts(second["id"])]
    told = room.facts(first["id"], "IncidentsLinked")
    assert told[0]["words"] == f"{second['number']} is a duplicate of this one"
    # Each is asked about by its own id, too
    (back,) = [x for x in room.ana.get(f"/incidents/similar?incident={second['id']}").json if x["probable"]]
    assert back["incident"] == first["id"]
    # and it can be taken back
    free = room.ana.delete(f"{links}/{first['id']}").json
    assert (free["links"], free["duplicate_of"]) == ([], None)
    assert room.ana.get(f"/incidents/{first['id']}").json["links"] == []


def test_what_cannot_be_linked_or_asked(embedded_room: Room) -> None:
    room = embedded_room
    one = room.incident()["id"]
    for body, field in (
        ({"other": one, "kind": "duplicate"}, "other"),
        ({"other": "x", "kind": "related"}, "other"),
        ({"other": one, "kind": "twin"}, "kind"),
        ({"other": one}, "kind"),
    ):
        is_problem(room.ana.post(f"/incidents/{one}/links", body), 422, None, field)
    is_problem(room.ana.get("/incidents/similar?lon=24.9"), 422, "no-place", "lat")
    is_problem(room.ana.get("/incidents/similar?lon=a&lat=60"), 422, None, "lon")
    is_problem(room.ana.get("/incidents/similar?incident=x"), 404, "unknown-incident")
    # Somebody who commands only one district links nothing of another
    nord = room.desk("dispatcher", ["nord"])
    is_problem(nord.post(f"/incidents/{one}/links", {"other": one, "kind": "related"}), 404)


def test_what_the_caller_says_sets_the_priority(embedded_room: Room) -> None:
    room = embedded_room
    row = room.incident("F05", answers={"trapped": "y"})
    assert row["priority"] == "P1"
    assert row["protocol"] == {"answers": {"trapped": "y"}, "priority": "P1", "because": ["trapped"]}
    (line,) = room.facts(row["id"], "ProtocolAnswered")
    assert line["words"] == "The caller said: Is anybody trapped, unable to get out? Yes → P1"
    path = f"/incidents/{row['id']}/protocol"
    changed = room.ana.post(path, {"answers": {"trapped": "n", "spreads": "n"}}).json
    assert (changed["priority"], changed["protocol"]["because"]) == ("P3", ["spreads"])
    by_hand = room.ana.post(path, {"answers": {}, "priority": "P2"}).json
    assert by_hand["priority"] == "P2"
    is_problem(room.ana.post(path, {"answers": {"colour": "y"}}), 422, "unknown-question", "answers.colour")
    is_problem(room.ana.post(path, {"answers": {"trapped": "x"}}), 422, "unknown-answer", "answers.trapped")
    unknown = {"id": room.uuid(), "type": "F05", "location": {"lon": LON, "lat": LAT}, "call": "nope"}
    is_problem(room.ana.post("/incidents", unknown), 422, "unknown-call", "call")
