"""A scene inside a hazard zone: who may enter drives in, the others stop at the staging point."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from gis.conditions import Obstacle, read_shape
from gis.geometry import metres_between
from tests.app.control_room import RAILWAY_STATION, Room

LON, LAT = RAILWAY_STATION
STAGING = {"lon": LON - 0.004, "lat": LAT}


def hazard(room: Room, at: tuple[float, float]) -> str:
    lon, lat = at
    ring = [
        [lon + x, lat + y] for x, y in ((-0.002, -0.001), (0.002, -0.001), (0.002, 0.001), (-0.002, 0.001))
    ]
    body: dict[str, Any] = {
        "id": room.uuid(),
        "kind": "hazard",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "entry_capabilities": ["fire_suppression"],
        "staging": STAGING,
        "state": "ordered",
        "authority": "police",
        "ordered_by": "Popescu",
        "agreed_by": "Ionescu",
        "reason": "gaz",
    }
    answer = room.desk("admin").post("/closures", body)
    assert answer.status_code == 201, answer.text
    return str(body["id"])


def test_into_a_hazard_zone_goes_who_may_and_the_others_stop_at_its_staging_point(own_room: Room) -> None:
    room = own_room
    engine, patrol = (room.unit(kind, at=(LON - 0.01, LAT)) for kind in ("ASAS", "PL"))
    # given a gas leak, before and after the zone around it is closed
    incident = room.incident("G01", at=RAILWAY_STATION)["id"]
    zone = hazard(room, RAILWAY_STATION)
    found = room.ana.get(f"/incidents/{incident}/recommendation", accept_language="ro").json
    units = {one["unit"]: one for one in found["units"]}
    # then the engine drives in, the patrol to the staging point, and no time is infinite
    assert (units[engine]["staging"], units[patrol]["staging"]) == (False, True)
    assert any("punctul de așteptare" in why for why in units[patrol]["why"])
    assert units[patrol]["eta_s"] < units[engine]["eta_s"] + 600
    assert found["closures"] == [zone]
    # and the batch says the same
    planned = room.ana.post("/assignments/plan", {"incidents": [incident]}).json["incidents"][0]
    assert {one["unit"]: one["staging"] for one in planned["units"]} == {engine: False, patrol: True}


def test_far_from_any_closure_nothing_is_said_to_change(own_room: Room) -> None:
    room = own_room
    room.unit("ASAS", at=(LON - 0.01, LAT))
    hazard(room, (LON + 0.03, LAT + 0.01))
    incident = room.incident("F05", at=(LON - 0.012, LAT))["id"]
    assert room.ana.get(f"/incidents/{incident}/recommendation").json["closures"] == []


def test_who_is_held_back_waits_outside_every_zone_that_keeps_it_out(own_room: Room) -> None:
    room = own_room
    living_map = room.core.living_map
    # given two zones around the scene, the staging point of the one inside the other; the second keeps out
    # fire engines alone
    first = read_shape({"type": "Point", "coordinates": [LON, LAT], "radius_m": 80})
    second = read_shape({"type": "Point", "coordinates": [LON, LAT], "radius_m": 300})
    inner = (LON + 0.002, LAT)
    zones = (
        Obstacle("A", "hazard", shapely.to_wkb(first), frozenset({"fire_engine", "car"}), staging=inner),
        Obstacle("B", "hazard", shapely.to_wkb(second), frozenset({"fire_engine"})),
    )
    profiles = ("fire_engine", "car", "ambulance")
    goes, *wait = living_map.parties(LON, LAT, (), np.zeros((3, 0), dtype=bool), profiles, obstacles=zones)
    # then the ambulance, about which neither is, goes in, the car to the staging point, and the engine
    # outside both
    assert (goes.rows.tolist(), goes.staging) == ([2], False)
    by_unit = {profiles[row]: one for one in wait for row in one.rows}
    assert (by_unit["car"].lon, by_unit["car"].lat) == inner
    engine = by_unit["fire_engine"]
    assert not second.intersects(shapely.Point(engine.lon, engine.lat))
    assert metres_between(LON, LAT, engine.lon, engine.lat) < 600
