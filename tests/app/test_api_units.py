"""Units over HTTP: bringing them into service, their statuses and flags, the board and its pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.control_room import RAILWAY_STATION, Room, is_problem, next_page, pages


def test_a_unit_is_brought_into_service_and_its_facts_set_anew(shared_room: Room) -> None:
    room = shared_room
    name = f"Ștefan{room.uuid()[:6]}"
    unit = {
        "id": name,
        "type": "ASAS",
        "station": "Nord",
        "district": "centru",
        "crew": 5,
        "talkgroup": "TG-1",
        "base": {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1]},
        "turnout_s": 45,
    }
    made = room.desk("supervisor").post("/units", unit)
    assert made.status_code == 201
    row = made.json
    assert (row["id"], row["type"], row["agency"], row["command"]) == (name, "ASAS", "ISU", "requested")
    assert row["capabilities"] == ["fire_suppression", "foam", "pumping"]
    assert (row["crew"], row["crew_min"], row["turnout_s"], row["profile"]) == (5, 4, 45, "fire_engine")
    assert (row["status"], row["incident"], row["request"], row["flags"]) == ("off_duty", None, None, [])
    assert (row["lon"], row["lat"], row["fix_at"]) == (None, None, None)
    assert row["base"] == unit["base"]
    # When the shift changes, the same call stands for its new crew
    again = room.desk("supervisor").post("/units", unit | {"crew": 4})
    assert (again.status_code, again.json["crew"]) == (200, 4)
    assert room.ana.get(f"/units/{name}").json["crew"] == 4


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"id": ""}, "invalid", "id"),
        ({"id": "x" * 33}, "invalid", "id"),
        ({"id": "two words"}, "bad-call-sign", "id"),
        ({"id": "a/b"}, "bad-call-sign", "id"),
        ({"id": "a:b"}, "bad-call-sign", "id"),
        ({"id": "a\0b"}, "invalid", "id"),
        ({"type": "TANC"}, "unknown-unit-type", "type"),
        ({"crew": -1}, "invalid", "crew"),
        ({"crew": 100}, "invalid", "crew"),
        ({"crew": "five"}, "invalid", "crew"),
        ({"crew": 2.5}, "invalid", "crew"),
        ({"crew": "4"}, "invalid", "crew"),
        ({"crew": True}, "invalid", "crew"),
        ({"turnout_s": "45"}, "invalid", "turnout_s"),
        ({"turnout_s": 7201}, "invalid", "turnout_s"),
        ({"base": {"lon": 24.9}}, "invalid", "base.lat"),
        ({"station": "x" * 65}, "invalid", "station"),
        ({"capabilities": ["aerial"]}, "invalid", "capabilities"),
    ],
)
def test_a_unit_that_cannot_be_is_refused_by_field(
    embedded_room: Room, wrong: dict[str, Any], code: str, field: str
) -> None:
    before = embedded_room.core.log.position
    unit = {"id": "Q1", "type": "SV", "station": "Nord", "crew": 4} | wrong
    is_problem(embedded_room.desk("admin").post("/units", unit), 422, code, field)
    assert embedded_room.core.log.position == before


def test_a_crew_drives_through_its_statuses_to_hospital_and_home(shared_room: Room) -> None:
    room = shared_room
    unit, incident = room.unit("TIM", crew=4), room.incident("M01")["id"]
    yes = {"answer": "accepted", "name": "dispecerat SMURD", "via": "phone"}
    room.sent(incident, unit)
    room.ana.post(f"/incidents/{incident}/requests/{unit}/answer", yes)
    path = f"/units/{unit}/status"
    for status in ("acknowledged", "en_route", "on_scene"):
        room.clock.advance(60)
        row = room.ana.post(path, {"status": status}).json
        assert (row["status"], row["status_since"], row["incident"]) == (status, room.ago(0), incident)
    is_problem(room.ana.post(path, {"status": "transporting"}), 422, "hospital-needed", "hospital")
    room.clock.advance(60)
    row = room.ana.post(path, {"status": "transporting", "hospital": "Floreasca"}).json
    assert row["hospital"] == "Floreasca"
    room.clock.advance(60)
    row = room.ana.post(path, {"status": "at_hospital", "ready_at": room.ago(-900)}).json
    assert row["ready_at"] == room.ago(-900)
    room.clock.advance(60)
    row = room.ana.post(path, {"status": "available", "observed_at": room.ago(30)}).json
    assert (row["status"], row["status_since"], row["incident"]) == ("available", room.ago(30), None)
    assert row["status_source"] == "api"
    times = room.ana.get(f"/incidents/{incident}").json["times"]
    assert list(times) == [
        "case_created",
        "unit_alerted",
        "unit_acknowledged",
        "unit_left",
        "unit_arrived",
        "scene_left",
        "hospital_reached",
        "unit_free",
    ]


def test_a_status_out_of_order_needs_a_dispatcher_who_says_why(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    path = f"/units/{unit}/status"
    body = is_problem(room.ana.post(path, {"status": "at_hospital"}), 409, "status-not-next", "status")
    assert (body["unit"], body["unit_status"]) == (unit, "available")
    assert "at_hospital" not in body["allowed"]
    assert body["allowed"]
    is_problem(room.ana.post(path, {"status": "at_hospital", "force": True}), 422, "reason-needed", "reason")
    forced = {"status": "at_hospital", "force": True, "reason": "stația radio defectă", "hospital": "Colțea"}
    assert room.ana.post(path, forced).json["status"] == "at_hospital"


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"status": "zburând"}, "unknown-status", "status"),
        ({"status": "assigned"}, "assign-instead", "status"),
        ({"status": "out_of_service"}, "reason-needed", "reason"),
        ({"status": "out_of_service", "reason": "x" * 501}, "invalid", "reason"),
        ({"status": None}, "invalid", "status"),
        ({}, "invalid", "status"),
        ({"status": "off_duty", "ready_at": "curând"}, "bad-time", "ready_at"),
        ({"status": "off_duty", "ready_at": "0001-01-01T00:00:00+14:00"}, "time-too-old", "ready_at"),
        ({"status": "off_duty", "ready_at": "9999-12-31T23:59:59-23:59"}, "time-too-far", "ready_at"),
        ({"status": "off_duty", "ready_at": "2036-11-23T00:00:00Z"}, "time-too-far", "ready_at"),
        ({"status": "off_duty", "observed_at": "1970-01-01T00:00:00Z"}, "time-too-old", "observed_at"),
        ({"status": "off_duty", "observed_at": "2026-W48-1T03:00:00Z"}, "bad-time", "observed_at"),
        ({"status": "off_duty", "observed_at": "2026-11-23"}, "bad-time", "observed_at"),
        ({"status": "off_duty", "observed_at": "2036-11-23T00:00:00Z"}, "time-in-future", "observed_at"),
        ({"status": "off_duty", "hospital": "x\ud800"}, "invalid", "hospital"),
        ({"status": "off_duty", "force": "perhaps"}, "invalid", "force"),
        ({"status": "off_duty", "force": 1}, "invalid", "force"),
        ({"status": "off_duty", "unit": "F21"}, "invalid", "unit"),
    ],
)
def test_a_status_that_cannot_be_is_refused_by_field(
    embedded_room: Room, wrong: dict[str, Any], code: str, field: str
) -> None:
    room = embedded_room
    unit = room.unit()
    before = room.core.log.position
    is_problem(room.ana.post(f"/units/{unit}/status", wrong), 422, code, field)
    assert room.core.log.position == before


def test_when_a_unit_will_be_ready_may_be_told_for_a_week_ahead(embedded_room: Room) -> None:
    room = embedded_room
    unit = room.unit()
    ready = {"status": "out_of_service", "reason": "revizie", "ready_at": room.ago(-6 * 86_400)}
    assert room.ana.post(f"/units/{unit}/status", ready).json["ready_at"] == ready["ready_at"]
    late = ready | {"ready_at": room.ago(-8 * 86_400)}
    is_problem(room.ana.post(f"/units/{unit}/status", late), 422, "time-too-far", "ready_at")
    assert room.ana.get("/units").status_code == 200


def test_a_crew_in_danger_is_flagged_with_the_time_and_cleared(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    path = f"/units/{unit}/flags"
    since = room.ago(0)
    assert room.ana.post(path, {"flag": "emergency", "on": True}).json["flags"] == [
        {"flag": "emergency", "since": since}
    ]
    room.clock.advance(60)
    again = room.ana.post(path, {"flag": "emergency", "on": True}).json
    assert again["flags"] == [{"flag": "emergency", "since": since}]
    assert room.ana.post(path, {"flag": "emergency", "on": False}).json["flags"] == []
    is_problem(room.ana.post(path, {"flag": "obosit", "on": True}), 422, "unknown-flag", "flag")
    is_problem(room.ana.post(path, {"flag": "emergency"}), 422, "invalid", "on")
    is_problem(room.ana.post(path, {"flag": "emergency", "on": "mâine"}), 422, "invalid", "on")


def test_what_is_said_of_an_unknown_unit_is_refused(shared_room: Room) -> None:
    room = shared_room
    is_problem(room.ana.get("/units/NU-E"), 404, "unknown-unit")
    is_problem(room.ana.post("/units/NU-E/status", {"status": "available"}), 404, "unknown-unit")
    is_problem(room.ana.post("/units/NU-E/flags", {"flag": "emergency", "on": True}), 404, "unknown-unit")
    unit = room.unit()
    resolution = {"conflict": "C2#1/7", "resolution": "x"}
    is_problem(room.ana.post(f"/units/{unit}/resolve", resolution), 404, "unknown-conflict")


def test_the_board_pages_through_every_unit_exactly_once(shared_room: Room) -> None:
    room = shared_room
    made = {
        room.unit(call_sign=f"{mark}{room.uuid()[:6]}", status=None) for mark in ("Ș", "ț-", "z_", "%", "&#")
    }
    whole = room.ana.get("/units?limit=1000")
    names = [unit["id"] for unit in whole.json]
    assert next_page(whole) is None
    assert made <= set(names)
    assert names == sorted(names)
    assert [unit["id"] for unit in pages(room.ana, "/units?limit=3")] == names
    is_problem(room.ana.get("/units?limit=1001"), 422, "invalid", "limit")
    is_problem(room.ana.get("/units?after=" + "x" * 33), 422, "invalid", "after")
    is_problem(room.ana.get("/units?afters=x"), 422, "invalid", "afters")


def test_the_board_tells_the_age_of_everything(shared_room: Room) -> None:
    room = shared_room
    room.clock.advance(3600)
    unit = room.unit()
    room.seen(unit, RAILWAY_STATION, seconds_ago=40, speed_mps=12.5, heading_deg=270, accuracy_m=4)
    row = room.ana.get(f"/units/{unit}").json
    assert (row["lon"], row["lat"]) == RAILWAY_STATION
    assert (row["fix_at"], row["fix_received_at"]) == (room.ago(40), room.ago(0))
    assert (row["speed_mps"], row["heading_deg"], row["accuracy_m"]) == (12.5, 270, 4)
    assert row["status_since"] == room.ago(0)


def test_who_shares_a_crew_cannot_change_while_it_is_out(shared_room: Room) -> None:
    room = shared_room
    crew = room.uuid()
    ladder, rescue = room.unit(crew_id=crew), room.unit(crew_id=crew)
    incident = room.incident()["id"]
    room.sent(incident, ladder)
    alone = {"id": ladder, "type": "SV", "station": "Nord", "crew": 5}
    is_problem(room.desk("admin").post("/units", alone), 409, "unit-out", "crew_id")
    assert room.ana.get(f"/units/{rescue}").json["blocked_by"] == ladder
    room.ana.delete(f"/incidents/{incident}/assignments/{ladder}")
    assert room.desk("admin").post("/units", alone).json["crew_id"] is None
    assert room.sent(incident, rescue)["assigned"] == [rescue]


# ---- the history of a crew


def test_the_history_of_a_crew_says_how_long_each_status_lasted(shared_room: Room) -> None:
    # given a crew that was sent, drove, and came back
    room = shared_room
    unit, incident = room.unit(), room.incident()
    room.clock.advance(300)
    room.sent(incident["id"], unit)
    for status, after_s in (("en_route", 60), ("on_scene", 240), ("available", 900)):
        room.clock.advance(after_s)
        room.ana.post(f"/units/{unit}/status", {"status": status})
    room.ana.post(f"/units/{unit}/flags", {"flag": "emergency", "on": True})
    room.clock.advance(30)

    # when somebody asks what it did
    lines = room.ana.get(f"/units/{unit}/history", accept_language="ro").json

    # then the newest comes first, each status with how long it lasted, and the last one lasts
    told = [(line["status"], line["lasted_s"]) for line in lines if line["status"]]
    assert told[:5] == [
        ("available", None),
        ("on_scene", 900),
        ("en_route", 240),
        ("assigned", 60),
        ("available", 300),
    ]
    assert lines[0]["words"] == f"{unit}: echipaj în pericol, semnalat"
    assert lines[0]["status"] is None
    sent = next(line for line in lines if line["status"] == "assigned")
    assert (sent["incident"], sent["incident_number"]) == (incident["id"], incident["number"])
    assert sent["actor"] == room.ana.name

    # and a page at a time tells the same, though the unit moves on meanwhile
    paged: list[dict[str, Any]] = []
    path: str | None = f"/units/{unit}/history?limit=2"
    while path is not None:
        answer = room.ana.get(path, accept_language="ro")
        assert len(answer.json) <= 2
        paged += answer.json
        path = next_page(answer)
    assert paged == lines


def test_an_order_that_was_undone_stands_in_the_history_and_counts_no_more(shared_room: Room) -> None:
    # given a crew that stood in its yard, was sent, and whose order was undone
    room = shared_room
    unit, incident = room.unit(), room.incident()
    room.clock.advance(100)
    sent = room.sent(incident["id"], unit)
    room.clock.advance(4)
    undone = room.ana.post("/undo", {"command": sent["undo"]["command"]})
    assert undone.status_code == 200, undone.text

    # then the order is there, struck out, and the crew has stood in its yard all the while
    lines = room.ana.get(f"/units/{unit}/history").json
    struck = next(line for line in lines if line["type"] == "UnitAssigned")
    assert (struck["taken_back"], struck["status"]) == (True, None)
    began = [(line["status"], line["lasted_s"]) for line in lines if line["status"]]
    assert began == [("available", None), ("off_duty", 0)]
    assert lines[0]["type"] == "TakenBack"


def test_the_history_of_a_crew_keeps_back_what_its_reader_may_not_know(shared_room: Room) -> None:
    # given a crew that was at an incident of a district that a neighbour does not see
    room = shared_room
    unit, incident = room.unit(), room.incident()
    room.sent(incident["id"], unit)
    room.ana.call("DELETE", f"/incidents/{incident['id']}/assignments/{unit}?reason=motor+stricat")

    # then whoever reads the other districts is refused, the crew itself reads its own and no other
    is_problem(room.desk("dispatcher", ("nord",)).get(f"/units/{unit}/history"), 403, "forbidden")
    crew = room.desk("field", ("centru",), unit)
    assert [line["type"] for line in crew.get(f"/units/{unit}/history").json][:2] == [
        "UnitRecalled",
        "UnitAssigned",
    ]
    other = room.unit()
    is_problem(crew.get(f"/units/{other}/history"), 404, "unknown-unit")
    # and what the crew did at an incident that it is no longer on names no incident to it
    assert [line["incident"] for line in crew.get(f"/units/{unit}/history").json][:2] == [None, None]
    assert room.ana.get(f"/units/{unit}/history").json[0]["incident"] == incident["id"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=501", "limit"), ("after=x", "after"), ("before=3", "before")],
)
def test_a_history_asked_for_wrongly_names_the_field(embedded_room: Room, query: str, field: str) -> None:
    unit = embedded_room.unit()
    is_problem(embedded_room.ana.get(f"/units/{unit}/history?{query}"), 422, None, field)
    is_problem(embedded_room.ana.get("/units/NIMENI/history"), 404, "unknown-unit")
