"""Stories of the ways that a map draws: whose, by which streets, and how they change with the roads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import shapely

from gis.geometry import haversine_m
from gis.travel import REACH_M
from tests.app.conftest import OpenRoom
from tests.app.control_room import Room, is_problem
from tests.app.test_api_closures import FAR, NEAR, RING, around, ordered, over, recommended, reported


def ways(room: Room, incident: str, *units: str) -> Any:
    answer = room.ana.get(f"/incidents/{incident}/ways" + (f"?units={','.join(units)}" if units else ""))
    assert answer.status_code == 200, answer.text
    return answer.json


def way(room: Room, incident: str, unit: str) -> Any:
    (found,) = [x for x in ways(room, incident, unit)["features"] if x["id"] == unit]
    return found


def metres(line: list[list[float]]) -> float:
    return sum(float(haversine_m(*here, *there)) for here, there in pairwise(line))


def test_a_crew_and_a_candidate_are_drawn_along_the_streets_with_the_times_of_the_plan(
    own_room: Room,
) -> None:
    # In a room of its own: a recommendation lists the soonest few, and no nearer crew may be there
    room = own_room
    sent, asked_about, apart = room.unit(at=FAR), room.unit(at=FAR), room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    plan = recommended(room, incident, asked_about)
    # Given that nobody was sent yet: nothing is drawn that was not asked for
    assert ways(room, incident)["features"] == []
    room.sent(incident, sent)
    # When the crew is on its way, it is drawn without being named, and nobody else is
    assert [x["id"] for x in ways(room, incident)["features"]] == [sent]
    found = {x["id"]: x for x in ways(room, incident, asked_about, sent)["features"]}
    assert set(found) == {sent, asked_about}
    assert apart not in found
    assert (found[sent]["properties"]["under_way"], found[asked_about]["properties"]["under_way"]) == (1, 0)
    told, line = found[asked_about]["properties"], found[asked_about]["geometry"]["coordinates"]
    # Then the candidate's times are those of the recommendation
    for name in ("eta_s", "eta_low_s", "eta_high_s", "distance_m"):
        assert told[name] == pytest.approx(plan[name], abs=1), name
    assert told["travel"] == "road"
    # and the line is as long as it says, along streets that have names
    assert metres(line) == pytest.approx(told["distance_m"], rel=0.01)
    assert len(line) > 5
    assert 1 <= len(told["streets"]) <= 4
    assert all(told["streets"])
    # and it leads from the one place to the other
    assert float(haversine_m(*line[0], *FAR)) < REACH_M < told["distance_m"]
    assert float(haversine_m(*line[-1], *NEAR)) < 60


@pytest.mark.parametrize(("status", "drawn"), [("en_route", True), ("staged", True), ("on_scene", False)])
def test_a_crew_is_drawn_until_it_is_there(embedded_room: Room, status: str, drawn: bool) -> None:
    room = embedded_room
    unit = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    room.sent(incident, unit)
    for step in dict.fromkeys(("acknowledged", "en_route", status)):
        assert room.ana.post(f"/units/{unit}/status", {"status": step}).status_code == 200
    assert bool(ways(room, incident)["features"]) is drawn


def test_a_closure_changes_the_way_at_once_and_its_end_gives_the_old_one_back(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    room.sent(incident, unit)
    before, version = way(room, incident, unit), ways(room, incident)["version"]
    line = before["geometry"]["coordinates"]
    middle = line[len(line) // 2]
    # Given that a closure on it is only reported: it changes nothing
    rumour = reported(room, geometry=around(*middle, 60))
    assert way(room, incident, unit)["geometry"] == before["geometry"]
    # When it is ordered
    closure = ordered(room, geometry=around(*middle, 60))
    after = way(room, incident, unit)
    # Then the very next answer leads around it, and takes longer
    assert shapely.LineString(after["geometry"]["coordinates"]).distance(shapely.Point(middle)) > 4e-4
    assert after["properties"]["eta_s"] > before["properties"]["eta_s"]
    assert ways(room, incident)["version"] != version
    # and when it is over the way is the old one
    over(room, closure, rumour)
    assert way(room, incident, unit)["geometry"] == before["geometry"]


def test_who_may_not_enter_a_hazard_zone_is_drawn_to_where_it_waits(shared_room: Room) -> None:
    room = shared_room
    fire, doctor = room.unit(at=FAR), room.unit("B2", crew=2, at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    staging = {"lon": 24.9390, "lat": 60.1690}
    zone = {"kind": "hazard", "geometry": around(*NEAR, 120), "staging": staging}
    smoke = ordered(room, entry_capabilities=["fire_suppression"], **zone)
    goes, waits = way(room, incident, fire), way(room, incident, doctor)
    over(room, smoke)
    assert (goes["properties"]["staging"], waits["properties"]["staging"]) == (False, True)
    assert float(haversine_m(*goes["geometry"]["coordinates"][-1], *NEAR)) < 60
    assert float(haversine_m(*waits["geometry"]["coordinates"][-1], staging["lon"], staging["lat"])) < 60


def test_who_has_no_way_is_listed_with_the_cause(own_room: Room) -> None:
    room = own_room
    silent, shut = room.unit(), room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    ordered(room, geometry=RING)
    found = ways(room, incident, silent, shut)
    assert found["features"] == []
    assert found["without_way"] == [
        {"unit": silent, "why": "no-position"},
        {"unit": shut, "why": "unreachable"},
    ]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_far_from_every_road_it_is_a_straight_estimate_and_says_so(own_room: Room) -> None:
    # In a room of its own: a recommendation lists the soonest few, and hardly anybody is farther
    room = own_room
    afloat = (24.99, 60.115)
    unit = room.unit(at=afloat)
    incident = room.incident("F05", at=NEAR)["id"]
    found = way(room, incident, unit)
    assert found["properties"]["travel"] == "straight"
    assert found["properties"]["streets"] == []
    assert found["geometry"]["coordinates"] == [list(afloat), list(NEAR)]
    assert found["properties"]["eta_s"] == recommended(room, incident, unit)["eta_s"]


def test_without_a_city_every_way_is_a_straight_estimate(open_another: OpenRoom) -> None:
    room = open_another(city=None)
    unit = room.unit(at=FAR)
    incident = room.incident("F05", at=NEAR)["id"]
    found = ways(room, incident, unit)
    assert found["version"] is None
    assert [x["properties"]["travel"] for x in found["features"]] == ["straight"]
    assert found["features"][0]["geometry"]["coordinates"] == [list(FAR), list(NEAR)]


def test_a_way_tells_the_age_of_the_place_that_it_begins_at(embedded_room: Room) -> None:
    room = embedded_room
    unit = room.unit()
    room.seen(unit, FAR, seconds_ago=300)
    found = way(room, room.incident("F05", at=NEAR)["id"], unit)
    assert found["properties"]["fix_age_s"] == pytest.approx(300, abs=1)


def test_what_cannot_be_asked_is_refused_naming_the_field(embedded_room: Room) -> None:
    room = embedded_room
    incident = room.incident()["id"]
    path = f"/incidents/{incident}/ways"
    assert is_problem(room.ana.get(f"{path}?units=NIMENI"), 422, "unknown-unit", "units")["unit"] == "NIMENI"
    many = ",".join(room.unit() for _ in range(11))
    is_problem(room.ana.get(f"{path}?units={many}"), 422, "too-many-units", "units")
    is_problem(room.ana.get(f"{path}?unit=A"), 422, None, "unit")
    is_problem(room.ana.get(f"/incidents/{room.uuid()}/ways"), 404, "unknown-incident")
    # Nobody outside the incident's district, and nobody who only watches, learns where crews drive
    is_problem(room.desk("dispatcher", ("vest",)).get(path), 404, "unknown-incident")
    is_problem(room.desk("observer").get(path), 403, "forbidden")
