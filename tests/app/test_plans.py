"""Plans that are only looked at: what a choice would do, and many incidents at once."""

from __future__ import annotations

from typing import Any

from tests.app.control_room import RAILWAY_STATION, Room, is_problem

LON, LAT = RAILWAY_STATION


def test_a_what_if_says_what_a_choice_would_mean_and_sends_nobody(own_room: Room) -> None:
    room = own_room
    # given a car on fire, an engine near it and one whose crew is too small
    near, short = room.unit("ASAS", at=(LON - 0.002, LAT)), room.unit("ASAS", crew=2, at=RAILWAY_STATION)
    incident = room.incident("F05", at=(LON + 0.001, LAT))["id"]
    # when the dispatcher looks at what each would mean
    good = room.ana.post(f"/incidents/{incident}/what-if", {"units": [near]}).json
    bad = room.ana.post(f"/incidents/{incident}/what-if", {"units": [near, short]}, accept_language="ro").json
    # then the times are those of the recommendation, and what stays open is said
    offered = room.ana.get(f"/incidents/{incident}/recommendation").json
    eta_s = next(one["eta_s"] for one in offered["units"] if one["unit"] == near)
    [eta] = good["etas"]
    assert (eta["unit"], eta["eta_s"]) == (near, eta_s)
    assert eta["eta_low_s"] < eta_s < eta["eta_high_s"]
    assert (good["faults"], good["complete"], good["missing"]) == ([], False, {"traffic_control": 1})
    # and a rule that is broken is named, with who may break it
    [fault] = bad["faults"]
    assert (fault["unit"], fault["code"], fault["person_may"]) == (short, "crew-short", True)
    assert "la bord" in fault["why"]
    assert bad["cost"]["total"] > good["cost"]["total"]
    # and a unit that is named twice counts once, and how old the figures of coverage are is said
    room.core.coverage.refresh()
    once, twice = (
        room.ana.post(f"/incidents/{incident}/what-if", {"units": units}).json
        for units in ([near], [near, near])
    )
    assert twice == once
    assert [one["unit"] for one in twice["etas"]] == [near]
    assert good["coverage"].keys() == {"fresh", "as_of"} == offered["coverage"].keys()
    # and nobody was sent, however often it was asked
    assert room.ana.get(f"/incidents/{incident}").json["assignments"] == []
    assert room.facts(incident, "UnitAssigned") == []


def test_what_if_names_the_unit_that_is_none_and_the_body_that_is_wrong(shared_room: Room) -> None:
    incident = shared_room.incident()["id"]
    path = f"/incidents/{incident}/what-if"
    is_problem(shared_room.ana.post(path, {"units": ["NIMENI-1"]}), 422, "unknown-unit", "units[0]")
    for body in ({}, {"units": []}, {"units": ["A"], "more": 1}, {"units": "A"}):
        assert shared_room.ana.post(path, body).status_code == 422
    assert shared_room.ana.post("/incidents/nu-e/what-if", {"units": ["A"]}).status_code == 404


def test_what_a_choice_would_mean_for_a_closed_incident_is_not_asked(shared_room: Room) -> None:
    incident, unit = shared_room.incident()["id"], shared_room.unit()
    told = shared_room.ana.post(f"/incidents/{incident}/close", {"outcome": "stins"})
    assert told.status_code == 200, told.text
    refused = shared_room.ana.post(f"/incidents/{incident}/what-if", {"units": [unit]})
    is_problem(refused, 409, "incident-closed")
    told = shared_room.ana.get(f"/incidents/{incident}/recommendation")
    is_problem(told, 409, "incident-closed")


def planned(room: Room, *incidents: str) -> dict[str, Any]:
    answer = room.ana.post("/assignments/plan", {"incidents": list(incidents)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    assert [one["incident"] for one in found["incidents"]] == list(incidents)
    return found


def test_after_a_storm_each_tree_gets_a_crew_and_the_danger_comes_first(own_room: Room) -> None:
    room = own_room
    # given two crews that clear roads, and three fallen trees, one of them on somebody
    west, east = (room.unit("DR", crew=2, at=(LON + off, LAT)) for off in (-0.01, 0.01))
    near_west = room.incident("H03", at=(LON - 0.009, LAT))["id"]
    near_east = room.incident("H03", at=(LON + 0.009, LAT))["id"]
    danger = room.incident("H03", at=(LON + 0.0095, LAT))["id"]
    assert room.ana.patch(f"/incidents/{danger}", {"priority": "P1"}).status_code == 200
    # when all three are planned for together
    found = planned(room, near_west, near_east, danger)
    # then the danger gets the nearest crew, the other tree the other crew, and one tree waits
    at = {one["incident"]: [unit["unit"] for unit in one["units"]] for one in found["incidents"]}
    assert at == {near_west: [west], near_east: [], danger: [east]}
    assert (found["exact"], found["missing"]) == (True, 1)
    waiting = found["incidents"][1]
    assert waiting["missing"] == {"tree_clearing": 1}
    assert waiting["ask"][0]["words"]
    # and it is sent incident by incident: one whose crew was taken meanwhile is refused, the other goes
    room.sent(room.incident("H03")["id"], west)
    answers = {incident: room.send(incident, *units) for incident, units in at.items() if units}
    assert is_problem(answers[near_west], 409, "unit-taken", "units")["unit"] == west
    assert answers[danger].json["assigned"] == [east]
    # and who was sent is not planned for again
    assert planned(room, near_west, near_east)["missing"] == 2


def test_a_plan_for_an_incident_that_is_closed_unknown_or_named_twice_is_refused_by_name(
    shared_room: Room,
) -> None:
    room = shared_room
    open_, closed = room.incident()["id"], room.incident()["id"]
    assert room.ana.post(f"/incidents/{closed}/close", {"outcome": "gata"}).status_code == 200
    for incidents, code, field in (
        ([open_, closed], "incident-closed", "incidents[1]"),
        (["nu-e"], "unknown-incident", "incidents[0]"),
        ([open_, open_], "incident-named-twice", "incidents"),
    ):
        is_problem(room.ana.post("/assignments/plan", {"incidents": incidents}), 422, code, field)
    assert room.ana.post("/assignments/plan", {"incidents": []}).status_code == 422


def test_the_incidents_of_another_district_are_not_planned_for(shared_room: Room) -> None:
    incident = shared_room.incident()["id"]
    stranger = shared_room.desk("dispatcher", districts=("altundeva",))
    answer = stranger.post("/assignments/plan", {"incidents": [incident]})
    is_problem(answer, 422, "unknown-incident", "incidents[0]")
