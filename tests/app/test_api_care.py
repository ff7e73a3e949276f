"""Stories at the API about what a room sees to on an incident: who owns it, its checklist, whether its crews
are well, who was told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.board import NearConsole
from tests.app.control_room import Room, is_problem


def colleague(room: Room, role: str, districts: tuple[str, ...] = ("*",)) -> str:
    name = f"{role[:4]}-{room.uuid()[:6]}"
    room.core.accounts.create_account(
        name, "o parolă destul de lungă", role, districts, display_name=name.title()
    )
    return name


def test_an_incident_is_taken_handed_on_and_taken_over(shared_room: Room) -> None:
    room = shared_room
    ion, north, watcher = (
        colleague(room, "dispatcher"),
        colleague(room, "dispatcher", ("nord",)),
        colleague(room, "observer"),
    )
    listed = {x["name"]: x for x in room.ana.get("/colleagues").json}
    assert listed[ion]["display_name"] == ion.title()
    assert watcher not in listed
    incident = room.incident()["id"]
    where = f"/incidents/{incident}/owner"
    # Given that Ana takes it
    mine = room.ana.put(where, {"owner": room.ana.name}).json
    assert (mine["owner"]["name"], mine["owner"]["by"]) == (room.ana.name, room.ana.name)
    # Then another one reads whose it is, and since when
    boss = room.desk("supervisor")
    late = is_problem(boss.put(where, {"owner": boss.name}), 409, "owned-by-another")
    assert (late["by"], late["at"]) == (room.ana.name, mine["owner"]["since"])
    assert boss.put(where, {"owner": boss.name, "was": room.ana.name}).json["owner"]["name"] == boss.name
    # and hands it to who can see it through
    assert boss.put(where, {"owner": ion}).json["owner"]["name"] == ion
    is_problem(boss.put(where, {"owner": "nobody"}), 422, "unknown-colleague", "owner")
    is_problem(boss.put(where, {"owner": watcher}), 422, "unknown-colleague", "owner")
    is_problem(boss.put(where, {"owner": north}), 422, "colleague-elsewhere", "owner")
    is_problem(boss.put(where, {"owner": 7}), 422, "invalid", "owner")
    is_problem(boss.put(where, {}), 422, None, "owner")
    assert boss.put(where, {"owner": None, "was": ion}).json["owner"] is None
    said = [line["words"] for line in room.facts(incident, "IncidentOwned")]
    assert said[1] == f"{boss.name} has it, from {room.ana.name}"
    assert said[-1] == "Nobody has it any more"


def test_a_checklist_a_crew_and_somebody_to_tell(embedded_room: Room) -> None:
    room = embedded_room
    desk = NearConsole(room, room.ana)
    row = room.incident(type="F01")
    incident = row["id"]
    # Given a fire: what is to be done, and who is to be told, follows from its type
    assert [x["state"] for x in row["checklist"]] == ["open"] * len(row["checklist"])
    assert row["to_tell"] == ["GAZ", "ELE"]
    check = row["checklist"][1]["check"]
    key = room.uuid()
    for _ in range(2):
        done = room.ana.put(f"/incidents/{incident}/checks/{check}", {"state": "done"}, idempotency_key=key)
    item = next(x for x in done.json["checklist"] if x["check"] == check)
    assert (item["state"], item["by"], item["at"]) == ("done", room.ana.name, room.ago(0))
    assert len(room.facts(incident, "CheckMarked")) == 1
    is_problem(room.ana.put(f"/incidents/{incident}/checks/tea", {"state": "done"}), 422, None, "check")
    is_problem(room.ana.put(f"/incidents/{incident}/checks/{check}", {"state": "ok"}), 422, None, "state")
    # When its crew is on the scene, it is due to be asked
    unit = room.unit()
    room.sent(incident, unit)
    assert room.ana.get(f"/incidents/{incident}").json["due"]["crew_check_at"] is None
    room.ana.post(f"/units/{unit}/status", {"status": "on_scene"})
    asked = room.ana.get(f"/incidents/{incident}").json
    assert asked["due"]["crew_check_at"] == asked["assignments"][0]["check"]["due_at"] == room.ago(-1200)
    room.clock.advance(1300)
    where = f"/incidents/{incident}/crew-checks"
    silent = room.ana.post(where, {"units": [unit], "result": "no_answer", "note": "stația tace"}).json
    assert silent["assignments"][0]["check"]["note"] == "stația tace"
    assert silent["due"]["crew_check_at"] == asked["due"]["crew_check_at"]
    well = room.ana.post(where, {"units": [unit]}).json["assignments"][0]["check"]
    assert (well["tries"], well["well_at"], well["due_at"]) == (0, room.ago(0), room.ago(-1200))
    is_problem(room.ana.post(where, {"units": ["X9"]}), 409, "unit-not-here", "units")
    is_problem(room.ana.post(where, {"units": []}), 422, None, "units")
    # When the gas network does not answer, it is rung again
    notice = room.uuid()
    body: dict[str, Any] = {"id": notice, "partner": "GAZ", "state": "no_answer"}
    body["person"] = {"name": "Popa <script>", "number": "0244 123 456"}
    told = room.ana.post(f"/incidents/{incident}/notices", body)
    assert told.status_code == 201
    again = room.ana.post(f"/incidents/{incident}/notices", body)
    assert again.json["log_position"] == told.json["log_position"]
    (kept,) = told.json["notices"]
    assert kept["person"] == body["person"]
    assert (kept["remind_at"], told.json["due"]["notice_at"]) == (room.ago(-300),) * 2
    assert told.json["to_tell"] == ["ELE"]
    follow = f"/incidents/{incident}/notices/{notice}"
    (kept,) = room.ana.post(follow, {"state": "answered", "note": "trimit echipa"}).json["notices"]
    assert (kept["state"], kept["remind_at"]) == ("answered", None)
    assert [x["state"] for x in kept["words"]] == ["no_answer", "answered"]
    nowhere = room.ana.post(f"/incidents/{incident}/notices/x", {"state": "answered"})
    is_problem(nowhere, 404, "unknown-notice")
    # Then other consoles have it, the timeline says it, and who only watches does not read whom
    room.app.extensions["straja_live"].pump()
    desk.listen()
    assert desk.incidents[incident]["notices"][0]["state"] == "answered"
    said = [line["words"] for line in room.facts(incident)]
    assert f"{unit} does not answer whether all are well: stația tace" in said
    assert "No answer: Gas network operator, Popa <script>" in said
    watched = room.desk("observer").get(f"/incidents/{incident}").json["notices"][0]
    assert (watched["person"], watched["words"][1]["note"], watched["partner"]) == (None, None, "GAZ")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"id": "7"}, "id"),
        ({"state": "maybe"}, "state"),
        ({"via": "pigeon"}, "via"),
        ({"partner": "NASA"}, "partner"),
        ({"partner": None, "person": {}}, "person"),
        ({"person": {"number": "0" * 51}}, "person.number"),
        ({"note": "x" * 501}, "note"),
        ({"remind_s": -1}, "remind_s"),
        ({"remind_s": 1.5}, "remind_s"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_no_notice(embedded_room: Room, wrong: dict[str, Any], field: str) -> None:
    room = embedded_room
    incident = room.incident()["id"]
    body = {"id": room.uuid(), "partner": "GAZ", "state": "answered"} | wrong
    is_problem(room.ana.post(f"/incidents/{incident}/notices", body), 422, None, field)
