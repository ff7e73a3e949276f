"""Stories of closures through the API, on both databases: from a drawing to crews that drive another way."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.detours import Watch
from app.keeper import Keeper
from app.rows import Rows
from app.up import wait_until
from dispatch.commands import SYSTEM
from tests.app.board import NearConsole
from tests.app.conftest import OpenRoom
from tests.app.control_room import RAILWAY_STATION, Desk, Room, is_problem, pages

ACROSS = {"type": "LineString", "coordinates": [[24.9424, 60.1712], [24.9428, 60.1718]]}
H = 3600.0
GONE = "Dragomirescu"


def around(lon: float, lat: float, radius_m: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat], "radius_m": radius_m}


def report(room: Room, desk: Desk | None = None, **more: Any) -> TestResponse:
    body = {"id": room.uuid(), "kind": "closure", "geometry": ACROSS, "reason": f"zid căzut la {GONE}"}
    return (desk or room.ana).post("/closures", body | more)


def reported(room: Room, desk: Desk | None = None, **more: Any) -> str:
    answer = report(room, desk, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def ordered(room: Room, **more: Any) -> str:
    order = {"state": "ordered", "authority": "police", "ordered_by": "ag. Ilie"}
    return reported(room, room.desk("supervisor"), **order, **more)


def over(room: Room, *closures: str) -> None:
    """The room is shared: what a story closed is open for the next."""
    for closure in closures:
        told = room.desk("supervisor").post(f"/closures/{closure}/withdraw", {"reason": "gata povestea"})
        assert told.status_code == 200, told.text


# ---- from a drawing to a row


def test_a_closure_is_reported_confirmed_ordered_and_withdrawn(shared_room: Room) -> None:
    room = shared_room
    crew, police = room.unit(), room.unit("PN", crew=2)
    tablet, patrol = room.desk("field", unit=crew), room.desk("field", unit=police)
    # A crew that meets a wall across the street says so
    closure = reported(room, tablet, classes=["car", "bus"])
    row = room.ana.get(f"/closures/{closure}").json
    assert (row["state"], row["unit"], row["classes"]) == ("reported", crew, ["bus", "car"])
    assert row["geometry"] == ACROSS
    assert row["reason"] == f"zid căzut la {GONE}"
    assert row["streets"], "the streets where it is have names"
    assert row["ends"] is not None
    # and, looking closer, that it is really so
    told = tablet.post(f"/closures/{closure}/confirm", {})
    assert (told.json["state"], told.json["confirmed_unit"]) == ("confirmed", crew)
    # A patrol closes the street on the spot
    told = patrol.post(f"/closures/{closure}/order", {"authority": "police"})
    assert told.status_code == 200, told.text
    assert [told.json[name] for name in ("state", "authority", "ordered_by")] == ["ordered", "police", police]
    # From then on the room's dispatcher changes nothing of it
    is_problem(room.ana.patch(f"/closures/{closure}", {"classes": []}), 403, "forbidden")
    is_problem(room.ana.post(f"/closures/{closure}/withdraw", {"reason": "gata"}), 403, "forbidden")
    is_problem(tablet.post(f"/closures/{closure}/withdraw", {"reason": "gata"}), 403)
    # until the patrol opens it
    told = patrol.post(f"/closures/{closure}/withdraw", {"reason": "s-a curățat"})
    assert told.json["state"] == "withdrawn"
    assert closure not in [x["id"] for x in pages(room.ana, "/closures?limit=2")]
    assert closure in [x["id"] for x in pages(room.ana, "/closures?state=all&limit=2")]
    is_problem(room.ana.post(f"/closures/{closure}/confirm", {"unit": crew}), 409, "closure-ended")


def test_the_same_report_sent_again_is_one_closure(shared_room: Room) -> None:
    room = shared_room
    water = around(24.94, 60.17, 15)
    body = {"id": room.uuid(), "kind": "flood", "geometry": water, "classes": ["fire_engine"]}
    first, again = (room.ana.post("/closures", body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["rev"] == again.json["rev"]
    is_problem(room.ana.post("/closures", {**body, "kind": "closure"}), 409, "id-reused")
    over(room, body["id"])


def test_only_what_is_named_changes(shared_room: Room) -> None:
    room = shared_room
    closure = reported(room, kind="slow", speed_pct=40, until=room.ago(-H))
    changed = room.ana.patch(f"/closures/{closure}", {"speed_pct": 25, "reason": "polei"})
    assert changed.status_code == 200, changed.text
    assert (changed.json["speed_pct"], changed.json["reason"]) == (25, "polei")
    assert changed.json["geometry"] == ACROSS
    moved = room.ana.patch(f"/closures/{closure}", {"geometry": around(24.94, 60.17, 30), "until": None})
    assert (moved.json["geometry"]["type"], moved.json["until"]) == ("Point", None)
    is_problem(room.ana.patch(f"/closures/{closure}", {}), 422, "empty")
    is_problem(room.ana.patch(f"/closures/{closure}", {"geometry": None}), 422, "invalid", "geometry")
    over(room, closure)


def test_who_may_not_order_or_confirm_cannot_do_so_by_reporting(shared_room: Room) -> None:
    room = shared_room
    order = {"state": "ordered", "authority": "police", "ordered_by": "ag. Ilie"}
    is_problem(report(room, **order), 403, "forbidden")
    is_problem(report(room, room.desk("gateway"), **order), 403, "forbidden")
    is_problem(report(room, room.desk("gateway"), state="confirmed", unit=room.unit()), 403, "forbidden")
    is_problem(report(room, room.desk("gateway", unit=room.unit())), 403, "forbidden")
    crew, other = room.unit(), room.unit()
    is_problem(report(room, room.desk("field", unit=crew), unit=other), 403, "forbidden")
    is_problem(report(room, room.desk("field", unit=crew), **order), 403, "not-an-authority")
    is_problem(report(room, state="confirmed"), 422, "crew-needed", "unit")
    agreed = {"state": "ordered", "authority": "road_administrator", "ordered_by": "ing. Marin"}
    is_problem(report(room, room.desk("supervisor"), **agreed), 422, "agreement-needed", "agreed_by")


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"geometry": {"type": "Polygon", "coordinates": [
            [[24.94, 60.17], [24.95, 60.18], [24.95, 60.17], [24.94, 60.18], [24.94, 60.17]]]}},
         "crosses-itself", "geometry.coordinates"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[24.94, 60.17], [24.95, 60.17], [24.95, 60.18]]]}},
         "ring-open", "geometry.coordinates.0"),
        ({"geometry": around(26.1, 44.43, 50)}, "outside-city-outside", "geometry.coordinates"),
        ({"geometry": around(60.17, 24.94, 50)}, "outside-city-swapped", "geometry.coordinates"),
        ({"geometry": around(24.94, 60.17, 1e9)}, "too-large", "geometry.radius_m"),
        ({"geometry": {**ACROSS, "direction": "up"}}, "invalid", "geometry.direction"),
        ({"geometry": {**ACROSS, "colour": "red"}}, "unknown-field", "geometry.colour"),
        ({"geometry": 7}, "invalid", "geometry"),
        ({"kind": "wall"}, "invalid", "kind"),
        ({"classes": ["tank"]}, "invalid", "classes.0"),
        ({"until": "mâine"}, "bad-time", "until"),
        ({"from": "2026-11-23"}, "bad-time", "from"),
        ({"until": "2020-01-01T00:00:00Z"}, "ends-too-soon", "until"),
        ({"until": "2199-01-01T00:00:00Z"}, "closure-too-far", "until"),
        ({"kind": "slow", "speed_pct": 99}, "bad-speed", "speed_pct"),
        ({"kind": "hazard", "entry_capabilities": ["teleport"]}, "unknown-capability", "entry_capabilities"),
        ({"kind": "hazard", "geometry": around(24.94, 60.17, 90), "staging": {"lon": 24.94, "lat": 60.17}},
         "staging-inside", "staging"),
        ({"staging": {"lon": 2.0, "lat": 48.0}}, "outside-city-outside", "staging"),
        ({"source": "keeper"}, "reserved-source", "source"),
        ({"reason": "x" * 501}, "invalid", "reason"),
        ({"id": "unu"}, "invalid", "id"),
        ({"mood": "grim"}, "invalid", "mood"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_naming_the_field(
    embedded_room: Room, more: dict[str, Any], code: str, field: str
) -> None:
    room = embedded_room
    before = room.core.log.position
    is_problem(report(room, **more), 422, code, field)
    assert room.core.log.position == before


def test_numbers_that_json_itself_does_not_have_are_refused(embedded_room: Room) -> None:
    room = embedded_room
    body = json.dumps({"id": room.uuid(), "kind": "closure", "geometry": around(24.94, math.nan, 5)})
    client = room.app.test_client(use_cookies=False)
    answer = client.post(
        "/api/v1/closures",
        data=body,
        headers={"Authorization": f"Bearer {room.ana.token}", "Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422), answer.text


def test_why_a_road_is_closed_is_for_those_who_read_personal_data(shared_room: Room) -> None:
    room = shared_room
    crew = room.unit()
    closure = reported(room, room.desk("field", unit=crew))
    seen = {
        role: room.desk(role).get(f"/closures/{closure}").json["reason"]
        for role in ("dispatcher", "observer", "gateway", "drill_controller")
    }
    assert seen.pop("dispatcher") is not None
    assert set(seen.values()) == {None}
    assert room.desk("field", unit=crew).get(f"/closures/{closure}").json["reason"] is not None
    assert room.desk("field", unit=room.unit()).get(f"/closures/{closure}").json["reason"] is None
    for path in ("/closures?state=all", "/events?limit=1000"):
        answer = room.desk("observer").get(path)
        assert GONE not in json.dumps(answer.json, ensure_ascii=False)
    # and once it is destroyed nobody reads it
    assert room.desk("admin").post(f"/closures/{closure}/erase", {"reason": "cerere"}).json["reason"] is None
    assert room.ana.get(f"/closures/{closure}").json["reason"] is None
    over(room, closure)


# ---- on the board


def heard(room: Room, console: NearConsole) -> None:
    """Everything that is so by now has reached the console."""
    room.app.extensions["straja_live"].pump()
    console.listen()


def test_consoles_hear_of_it_and_of_its_end(own_room: Room) -> None:
    room = own_room
    board, tablet = NearConsole(room, room.ana), NearConsole(room, room.desk("field", unit=room.unit()))
    closure = reported(room, until=room.ago(-H))
    for screen in (board, tablet):
        heard(room, screen)
        assert screen.closures[closure]["state"] == "reported"
    assert board.closures[closure]["reason"] is not None
    assert tablet.closures[closure]["reason"] is None
    # When its time has passed, it is on nobody's board any more
    room.clock.advance(H + 1)
    Keeper(room.core).step()
    heard(room, board)
    assert board.closures[closure]["state"] == "expired"
    assert closure not in NearConsole(room, room.ana).closures


# ---- what it does


RING = {
    "type": "Polygon",
    "coordinates": [
        [[24.925, 60.160], [24.941, 60.160], [24.941, 60.1695], [24.925, 60.1695], [24.925, 60.160]],
        [[24.926, 60.1605], [24.940, 60.1605], [24.940, 60.169], [24.926, 60.169], [24.926, 60.1605]],
    ],
}
"""Everything around a quarter, and nothing in it."""
NEAR, FAR = (24.9435, 60.1713), (24.9330, 60.1650)


def recommended(room: Room, incident: str, unit: str, language: str = "en") -> dict[str, Any]:
    """What the recommendation says of a unit that it must list: in a room where few others are, for it lists
    the soonest few alone."""
    answer = room.ana.get(f"/incidents/{incident}/recommendation", accept_language=language)
    assert answer.status_code == 200, answer.text
    named = [*answer.json["units"], *answer.json["not_chosen"]]
    [row] = [x for x in named if x["unit"] == unit]
    return {**row, "closures": answer.json["closures"]}


def codes(row: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in row["reasons"]}


def test_a_reported_closure_warns_and_an_ordered_one_reroutes_until_it_expires(own_room: Room) -> None:
    room = own_room
    unit = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    free = recommended(room, incident, unit)
    way = room.core.living_map.ways().route(*FAR, *NEAR, "fire_engine")
    middle = way.points[len(way.points) // 2]
    spot = around(*middle, 150)
    # Given that somebody says that the street on its way is closed
    closure = reported(room, geometry=spot, until=room.ago(-H))
    warned = recommended(room, incident, unit)
    assert warned["eta_s"] == free["eta_s"]
    assert "reported-closure" in codes(warned)
    assert warned["closures"] == [closure]
    # When a crew has seen it
    room.ana.post(f"/closures/{closure}/confirm", {"unit": room.unit()})
    now = recommended(room, incident, unit)
    assert now["eta_s"] >= free["eta_s"] + 30
    # Then the very next answer says so, and why, in both languages
    assert "detour" in codes(now)
    assert now["closures"] == [closure]
    assert any("închideri" in words for words in recommended(room, incident, unit, "ro")["why"])
    # and when its time has passed, all is as before, without anybody saying so
    room.clock.advance(H + 1)
    room.seen(unit, FAR)
    assert recommended(room, incident, unit)["eta_s"] == free["eta_s"]


def test_the_usual_crew_that_a_closure_keeps_away_is_named_with_the_closure(own_room: Room) -> None:
    room = own_room
    usual = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    ways = room.core.living_map.ways()
    way = ways.route(*FAR, *NEAR, "fire_engine").points
    spot = around(*way[len(way) // 2], 150)
    free_s = recommended(room, incident, usual)["eta_s"]
    # Given more crews than are ever listed, a little farther, to whom the closure is nothing
    places = [(24.9435 + dx, 60.1713 + dy) for dx in (0.0, 0.01, 0.02) for dy in (0.005, 0.01, 0.015)]
    lons, lats = zip(*places, strict=True)
    drive_s = ways.nearest(*NEAR, lons, lats, "fire_engine", None).drive_s
    usual_s = float(ways.nearest(*NEAR, *([x] for x in FAR), "fire_engine", None).drive_s[0])
    _, place = min((s, at) for s, at in zip(drive_s.tolist(), places, strict=True) if s > usual_s)
    others = [room.unit(at=place) for _ in range(9)]
    before = room.ana.get(f"/incidents/{incident}/recommendation").json
    assert next(x["unit"] for x in before["units"] if x["chosen"]) == usual
    # and one elsewhere that changes nothing for anybody
    ordered(room, geometry=around(24.9800, 60.1900, 60))
    closure = ordered(room, geometry=spot)
    after = room.ana.get(f"/incidents/{incident}/recommendation").json
    assert next(x["unit"] for x in after["units"] if x["chosen"]) in others
    assert usual not in [x["unit"] for x in after["units"]]
    # Then it is said who would have gone, that it is for this closure, and how much longer it takes
    row = next(x for x in after["not_chosen"] if x["unit"] == usual)
    assert [reason["code"] for reason in row["reasons"]] == ["detour", "covered"]
    assert row["reasons"][0]["closures"] == closure
    assert row["reasons"][0]["more_s"] == pytest.approx(row["eta_s"] - free_s, abs=2)
    assert row["cost"]["total"] > 0
    assert after["closures"] == [closure]


def test_a_unit_that_is_cut_off_is_said_to_be_and_has_no_eta(own_room: Room) -> None:
    room = own_room
    unit = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    ordered(room, geometry=RING)
    shut = recommended(room, incident, unit)
    assert shut["eta_s"] is None
    assert "cut-off" in codes(shut)
    assert "unreachable" not in codes(shut)
    # A unit on the incident's side still serves it
    inside = room.unit(at=(24.9445, 60.1716))
    assert recommended(room, incident, inside)["eta_s"] > 0


def test_into_a_hazard_zone_go_those_who_may_and_the_others_wait_outside(own_room: Room) -> None:
    room = own_room
    fire = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    free = recommended(room, incident, fire)
    staging = {"lon": 24.9390, "lat": 60.1690}
    zone = {"kind": "hazard", "geometry": around(*NEAR, 120), "staging": staging}
    # Given smoke into which the fire service goes
    smoke = ordered(room, entry_capabilities=["fire_suppression"], **zone)
    goes = recommended(room, incident, fire)
    assert (goes["staging"], goes["drive_s"]) == (False, free["drive_s"])
    assert not codes(goes) & {"staging", "detour", "cut-off"}
    over(room, smoke)
    # When only doctors may go in, it drives to the staging point, and says that it waits there
    ordered(room, entry_capabilities=["doctor"], **zone)
    waits = recommended(room, incident, fire)
    assert (waits["staging"], "staging" in codes(waits)) == (True, True)
    how = "fire_engine_priority" if waits["priority_signals"] else "fire_engine"
    there = room.core.living_map.ways().nearest(staging["lon"], staging["lat"], [FAR[0]], [FAR[1]], how)
    assert waits["drive_s"] == pytest.approx(float(there.drive_s[0]), abs=1)


def test_a_crew_on_its_way_and_the_room_hear_that_its_eta_has_changed(own_room: Room) -> None:
    room = own_room
    unit = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    room.sent(incident, unit)
    room.desk("admin").post(f"/units/{unit}/status", {"status": "en_route"})
    watch = Watch(room.core, Rows(room.core.picture, room.core.vault, room.core.tracks, room.core.pack))

    def look(at: Watch = watch) -> int:
        found = list(at.changes(room.core.world.clock.now_us()))
        for command in found:
            room.core.door.submit(command, SYSTEM)
        return len(found)

    assert look() == 0
    board = NearConsole(room, room.ana)
    closure = ordered(room, geometry=RING)
    other = Watch(room.core, Rows(room.core.picture, room.core.vault, room.core.tracks, room.core.pack))
    assert look() == 1
    # Looked at again, or by a keeper that has just begun, it is said once
    assert look() == 0
    assert look(other) == 0
    heard(room, board)
    (on_it,) = board.incidents[incident]["assignments"]
    change = on_it["eta_change"]
    assert change["closures"] == [closure]
    assert change["before_s"] > 0
    assert change["after_s"] is None
    (line,) = room.facts(incident, "EtaChanged")
    assert unit in line["words"]
    # and when the street is open again, that is said too
    over(room, closure)
    assert look() == 1
    assert room.facts(incident, "EtaChanged")[-1]["data"]["after_s"] == change["before_s"]
    # One who is there already is left alone
    room.desk("admin").post(f"/units/{unit}/status", {"status": "on_scene"})
    ordered(room, geometry=around(*RAILWAY_STATION, 400))
    assert look() == 0


def test_two_processes_on_one_database_close_the_same_streets(open_another: OpenRoom, tmp_path: Any) -> None:
    first = open_another()
    second = open_another(tmp_path / "second")
    before = second.core.living_map.version
    closure = ordered(first, geometry=around(*RAILWAY_STATION, 60))
    assert wait_until(lambda: second.core.picture.now.closure(closure) is not None, 5)
    assert second.core.living_map.version != before
    assert second.core.living_map.version == first.core.living_map.version
    assert [o.id for o in second.core.living_map.obstacles()] == [closure]
