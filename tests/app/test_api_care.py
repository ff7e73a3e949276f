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


def test_whom_to_ring_is_kept_by_the_operator(shared_room: Room) -> None:
    room = shared_room
    boss = room.desk("supervisor")
    # Given a list for tonight, and one entry that is open
    csv = (
        "\ufeffname,role,partner,numbers,from,until,note\n"
        f"Popa Ion,dispecer,GAZ,0244 123 456;+40 722 000 111,{room.ago(60)},{room.ago(-3600)},întâi\n"
        f"Ene Dan,dispecer,GAZ,0244 123 457,{room.ago(-3600)},{room.ago(-7200)},\n\n"
    )
    assert boss.post("/duty/import", {"list": "gaze", "csv": csv}).json == {"list": "gaze", "entries": 2}
    mayor = {"list": "oraș", "role": "primar", "numbers": ["0700 000 001", " 0700 000 001"]}
    assert boss.put("/duty/d1", mayor).json["changed_by"] == boss.name
    # Then the room sees who is on duty now, and later
    now = [x for x in room.ana.get("/duty").json if x["list"] in ("gaze", "oraș")]
    assert [x["name"] or x["role"] for x in now] == ["Popa Ion", "primar"]
    assert now[0]["numbers"] == ["0244 123 456", "+40 722 000 111"]
    assert now[1]["numbers"] == ["0700 000 001"]
    later = room.ana.get(f"/duty?at={room.ago(-5000)}").json
    assert [x["name"] for x in later if x["list"] == "gaze"] == ["Ene Dan"]
    assert sum(x["list"] == "gaze" for x in room.ana.get("/duty?all=true").json) == 2
    # When a file has bad rows, each is named and the list stays as it was
    bad = "name,numbers,partner,until\nPopa,,GAZ,\nEne,abc,NASA,\nPop,0244 123 456,,soon\n"
    told = is_problem(boss.post("/duty/import", {"list": "gaze", "csv": bad}), 422, "bad-duty")
    assert [x["field"] for x in told["errors"]] == [
        "row 2, numbers",
        "row 3, numbers",
        "row 3, partner",
        "row 4",
    ]
    for csv, row in (
        ('name,numbers\n\n"Popa,0244 123 456\n', "row 3"),
        ("name,numbers\nPopa,0244 123 456,0722 000 111\n", "row 2"),
        ("name,numbers,from\nPopa,0244 123 456,0001-01-01 00:00+14:00\n", "row 2"),
        ("name,numbers,numbers\nPopa,0244 123 456,\n", "row 1"),
        ("name,numbers\n", "row 2"),
    ):
        is_problem(boss.post("/duty/import", {"list": "gaze", "csv": csv}), 422, "bad-duty", row)
    strange = {"list": "gaze", "csv": "name;phone\nPopa;1\n"}
    assert "phone" in is_problem(boss.post("/duty/import", strange), 422, "bad-duty")["detail"]
    assert sum(x["list"] == "gaze" for x in room.ana.get("/duty?all=true").json) == 2
    is_problem(boss.put("/duty/d2", mayor | {"numbers": ["no"]}), 422, "bad-duty", "numbers")
    is_problem(boss.put("/duty/d2", mayor | {"numbers": []}), 422, None, "numbers")
    is_problem(boss.put("/duty/d2", mayor | {"from": "soon"}), 422, "bad-time", "from")
    backwards = mayor | {"from": room.ago(0), "until": room.ago(60)}
    is_problem(boss.put("/duty/d2", backwards), 422, "bad-duty", "until")
    # An entry that is gone is gone, and asking again is no fault
    for _ in range(2):
        assert boss.delete("/duty/d1").status_code == 204
    assert [x for x in room.ana.get("/duty").json if x["list"] == "oraș"] == []


def test_a_choice_against_the_plan_is_told_with_its_reason_and_blames_nobody(embedded_room: Room) -> None:
    room = embedded_room
    # Given a plan that was shown, and a crew that is not in it
    incident = room.incident(type="F05")["id"]
    room.unit("PL")
    room.ana.get(f"/incidents/{incident}/recommendation")
    room.offers(incident, 1)
    other = room.unit("SO", crew=2)
    body = {"units": [other], "override_reason": "cerut de cei de la fața locului"}
    assert room.ana.post(f"/incidents/{incident}/assignments", body).status_code == 200
    (line,) = room.facts(incident, "UnitAssigned")
    assert line["words"] == f"{other} sent, chosen by hand: cerut de cei de la fața locului"
