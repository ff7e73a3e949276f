"""Undo through the API: what every write says of it, and what taking back does to rows, crews and the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.tables import event
from dispatch import commands as c
from dispatch.commands import Actor
from tests.app.board import NearConsole
from tests.app.control_room import Room, is_problem
from tests.nodes.world import Node

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom


def taken_back(room: Room, write: dict[str, Any], desk: Any = None) -> dict[str, Any]:
    answer = (desk or room.ana).post("/undo", {"command": write["undo"]["command"]})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_an_order_is_taken_back_and_the_crew_reads_that_it_is_cancelled(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()["id"]
    unit, agency = room.unit(), room.unit("B2", crew=2)
    before = room.ana.get(f"/units/{unit}").json
    console = NearConsole(room, room.ana)
    room.clock.advance(40)
    # Given an order, whose answer says how it is taken back, and how long
    sent = room.sent(incident, unit, agency)
    undo = sent["undo"]
    assert undo["within_s"] == 8.0
    assert undo["what"].startswith(f"{unit}, {agency} → C1-")
    crew = room.desk("field", unit=unit)
    assert crew.get(f"/units/{unit}").json["incident"] == incident
    # When Ana takes it back
    room.clock.advance(3)
    answer = taken_back(room, sent)
    # Then nobody is on the incident, the request is withdrawn, the unit as it was
    assert (answer["told"], answer["withdrawn"]) == ([unit], [agency])
    (row,) = answer["incidents"]
    assert row["assignments"] == []
    assert [r["state"] for r in row["requests"]] == ["withdrawn"]
    crews = {one["id"]: one for one in answer["units"]}
    cancelled = crews[unit].pop("cancelled")
    assert cancelled["incident"] == incident
    assert (cancelled["what"], cancelled["by"]) == ("order", room.ana.get("/session").json["user"]["name"])
    assert {k: v for k, v in crews[unit].items() if k != "rev"} == {
        k: v for k, v in before.items() if k not in ("rev", "cancelled")
    }
    assert crews[agency]["cancelled"] is None
    # every console sees the same, and the order's lines are marked in the timeline
    console.listen()
    assert console.misfits == 0
    assert console.units[unit]["cancelled"] == cancelled
    assert console.incidents[incident]["assignments"] == []
    lines = room.facts(incident)
    marked = {x["type"] for x in lines if x["taken_back"]}
    assert marked == {"UnitAssigned", "UnitRequested"}
    (said,) = room.facts(incident, "TakenBack")
    assert said["words"] == f"Taken back: order, request, {unit}, {agency}"
    # and the crew says that it knows; another crew cannot say so for it
    is_problem(room.desk("field", unit="X9").post(f"/units/{unit}/cancelled/acknowledge"), 403)
    assert crew.get(f"/units/{unit}").json["cancelled"]["incident_number"] == row["number"]
    assert crew.post(f"/units/{unit}/cancelled/acknowledge").json["cancelled"] is None
    assert len(room.facts(incident, "CancellingAcknowledged")) == 1
    # Asked for twice, it is done once
    position = room.core.log.position
    assert taken_back(room, sent)["told"] == [unit]
    assert room.core.log.position == position


def test_what_cannot_be_taken_back_says_why(shared_room: Room) -> None:
    room = shared_room
    incident, unit = room.incident(), room.unit()
    assert "undo" not in incident, "a call stays a call"
    sent = room.sent(incident["id"], unit)
    is_problem(room.ana.post("/undo", {}), 422, field="command")
    is_problem(room.ana.post("/undo", {"command": "x" * 101}), 422, field="command")
    assert is_problem(room.ana.post("/undo", {"command": "never"}), 404)["code"] == "unknown-command"
    asked = {"command": sent["undo"]["command"]}
    other = room.desk("supervisor").post("/undo", asked)
    assert is_problem(other, 403)["code"] == "not-your-command"
    assert is_problem(room.desk("observer").post("/undo", asked), 403)["action"] == "undo"
    # Given that the crew was round the corner
    crew = room.desk("field", unit=unit)
    for status in ("en_route", "on_scene"):
        room.clock.advance(1)
        assert crew.post(f"/units/{unit}/status", {"status": status}).status_code == 200
    refusal = is_problem(room.ana.post("/undo", asked), 409)
    assert (refusal["code"], refusal["unit"], refusal["unit_status"]) == ("already-there", unit, "on_scene")
    assert refusal["incident_number"] == incident["number"]
    note = room.ana.post(f"/incidents/{incident['id']}/notes", {"text": "fum"}).json
    room.clock.advance(10.5)
    late = is_problem(room.ana.post("/undo", {"command": note["undo"]["command"]}), 409)
    assert late["code"] == "too-late-to-undo"


def test_the_same_write_sent_again_can_still_be_taken_back(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()["id"]
    path, key = f"/incidents/{incident}/alarm-level", room.uuid()
    first = room.ana.post(path, {"level": 2}, **{"Idempotency-Key": key}).json
    room.clock.advance(2)
    again = room.ana.post(path, {"level": 2}, **{"Idempotency-Key": key}).json
    assert again["undo"]["until"] == first["undo"]["until"]
    assert again["undo"]["within_s"] == 6.0
    undo_key = {"Idempotency-Key": room.uuid()}
    body = {"command": again["undo"]["command"]}
    done = room.ana.post("/undo", body, **undo_key)
    assert done.json["incidents"][0]["alarm_level"] == 1
    assert room.ana.post("/undo", body, **undo_key).json["log_position"] == done.json["log_position"]
    # Once it is taken back, the first request sent a third time does nothing and offers nothing
    third = room.ana.post(path, {"level": 2}, **{"Idempotency-Key": key}).json
    assert (third["alarm_level"], "undo" in third) == (1, False)


def test_a_closed_incident_is_in_the_list_again_and_a_note_is_struck(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()["id"]
    note = room.ana.post(f"/incidents/{incident}/notes", {"text": "doi răniți"}).json
    closed = room.ana.post(f"/incidents/{incident}/close", {"outcome": "fals"}).json
    taken_back(room, closed)
    listed = room.ana.get("/incidents?state=open").json
    assert incident in [x["id"] for x in listed]
    (row,) = taken_back(room, note)["incidents"]
    assert (row["state"], row["outcome"], row["closed_at"]) == ("open", None, None)
    ((struck),) = row["notes"]
    assert struck["text"] == "doi răniți"
    assert struck["struck_at"] is not None
    assert struck["struck_by"] == struck["by"]


def test_it_survives_a_restart_and_reaches_other_stations(
    database: str, tmp_path: Path, clock: FakeClock, random: SeededRandom
) -> None:
    ana = Actor("ana", "dispatcher", frozenset({"*"}))
    node = Node(database, tmp_path / "var", clock, random)
    node.call("I1")
    node.unit_on_duty("PL1")
    clock.advance(60)
    before = node.picture.now.unit("PL1")
    node.submit(c.AssignUnits, ana, id="order", incident="I1", units=("PL1",), override_reason="aproape")
    clock.advance(1)
    node.submit(c.Undo, ana, command="order")
    after = node.picture.now.unit("PL1")
    assert before is not None
    assert after is not None
    assert (after.status, after.status_us, after.incident) == (before.status, before.status_us, None)
    assert node.log.verify().faults == []
    # A neighbour hears of the end before the beginning
    other = Node(f"sqlite:///{tmp_path / 'b.sqlite'}", tmp_path / "b", clock, random, station="C2")
    while other.pull(node, limit=1).accepted:
        pass
    assert other.picture.now.unit("PL1").__class__ is after.__class__
    assert other.picture.get("unit:PL1").cancelled == after.cancelled  # type: ignore[union-attr]
    other.close()
    node.close()
    again = Node(database, tmp_path / "var", clock, random)
    assert again.picture.now.unit("PL1") == after
    assert [x for x in again.column(event.c.type) if x == "TakenBack"] == ["TakenBack"]
    again.close()
