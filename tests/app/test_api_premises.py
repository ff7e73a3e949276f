"""Stories at the API about what is known of an address before anybody calls from there."""

from __future__ import annotations

from sqlalchemy import delete

from app.tables import incident_index
from tests.app.control_room import RAILWAY_STATION, Room, is_problem

LON, LAT = RAILWAY_STATION[0] - 0.006, RAILWAY_STATION[1] + 0.001


def test_who_takes_a_call_reads_what_is_known_about_the_address(shared_room: Room) -> None:
    room = shared_room
    # Given a note of the operator about a yard, and one about a house farther on
    gas = {"id": room.uuid(), "kind": "danger", "text": "butelii în curte", "radius_m": 40}
    told = room.ana.post("/premises/notes", gas | {"location": {"lon": LON, "lat": LAT}})
    assert told.status_code == 201
    assert room.ana.post("/premises/notes", gas | {"location": {"lon": LON, "lat": LAT}}).status_code == 201
    far = gas | {"id": room.uuid(), "location": {"lon": LON + 0.002, "lat": LAT}}
    assert room.ana.post("/premises/notes", far).status_code == 201
    # a fire there that was put out, one next door, and a zone about it
    old = room.incident(at=(LON, LAT))
    room.ana.post(f"/incidents/{old['id']}/close", {"outcome": "stins, butelie găsită"})
    room.incident(at=(LON + 0.004, LAT))
    zone = {"type": "Point", "coordinates": [LON, LAT], "radius_m": 50}
    hazard = room.ana.post("/closures", {"id": room.uuid(), "kind": "hazard", "geometry": zone}).json["id"]
    beside = {"type": "LineString", "coordinates": [[LON + 0.001, LAT], [LON + 0.001, LAT + 0.001]]}
    closed = room.ana.post("/closures", {"id": room.uuid(), "kind": "closure", "geometry": beside}).json["id"]
    # When somebody calls from there
    asked = f"/premises?lon={LON}&lat={LAT + 0.0001}"
    known = room.ana.get(asked).json
    # Then all of it is said, and nothing of elsewhere
    assert [note["text"] for note in known["notes"]] == ["butelii în curte"]
    assert [(x["number"], x["outcome"], x["distance_m"]) for x in known["earlier"]] == [
        (old["number"], "stins, butelie găsită", 11)
    ]
    assert known["complete"]
    assert [(x["closure"]["id"], x["distance_m"]) for x in known["in_the_way"]] == [(hazard, 0), (closed, 55)]
    layers = [near["layer"] for near in known["near"]]
    assert "hydrants" in layers
    assert "street_lamps" not in layers
    # also of what was dropped and made again from the log
    with room.core.engine.begin() as connection:
        connection.execute(delete(incident_index).where(incident_index.c.id == old["id"]))
    assert room.ana.get(asked).json["earlier"] == []
    room.ana.post(f"/incidents/{old['id']}/reopen", {"reason": "fum din nou"})
    (again,) = room.ana.get(asked).json["earlier"]
    assert again["state"] == "open"
    # A note that holds no more is not shown, and what it said can be destroyed
    withdrawn = room.ana.delete(f"/premises/notes/{gas['id']}")
    assert withdrawn.json["withdrawn_by"] == room.ana.name
    assert room.ana.get(asked).json["notes"] == []
    gone = room.desk("admin").post(f"/premises/notes/{gas['id']}/erase", {"reason": "cerere"})
    assert (gone.json["text"], gone.json["address"]) == (None, None)
    assert [note["id"] for note in room.ana.get("/premises/notes").json] == [far["id"]]


def test_what_is_no_note_and_no_place(embedded_room: Room) -> None:
    room = embedded_room
    note = {"id": room.uuid(), "kind": "danger", "text": "câine", "location": {"lon": LON, "lat": LAT}}
    for wrong, field in (
        ({"id": "7"}, "id"),
        ({"kind": "gossip"}, "kind"),
        ({"text": ""}, "text"),
        ({"text": "x" * 2001}, "text"),
        ({"radius_m": 3}, "radius_m"),
        ({"until": "soon"}, "until"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"location": None}, "location"),
        ({"location": {"lon": LAT, "lat": LON}}, "location"),
    ):
        is_problem(room.ana.post("/premises/notes", note | wrong), 422, None, field)
    is_problem(room.ana.get("/premises?lon=24.9"), 422, None, "lat")
    is_problem(room.ana.delete("/premises/notes/x"), 404, "unknown-premise")
    # An address that is found is as good as a point
    by_words = {**note, "address": "Mannerheimintie 10"}
    del by_words["location"]
    made = room.ana.post("/premises/notes", by_words)
    assert made.status_code == 201, made.text
    assert made.json["address"].startswith("Mannerheimintie 10")
