"""The recommendation where the plan meets the orders: what it offers can be sent, what it says has words."""

from __future__ import annotations

from tests.app.control_room import Room, is_problem


def test_a_crew_that_is_asked_for_with_one_vehicle_is_not_offered_with_the_other(shared_room: Room) -> None:
    # Given two ambulances of one crew, and one of them asked for
    room = shared_room
    crew = room.uuid()
    asked, other = (room.unit("B2", crew=2, crew_id=crew) for _ in range(2))
    incident = room.incident("M01")["id"]
    room.sent(incident, asked)
    # Then the other cannot be asked for too, and the plan says why it does not offer it
    assert is_problem(room.send(incident, other), 409, "crew-asked", "units")["with_unit"] == asked
    for language, words in (("en", "already asked for with"), ("ro", "deja solicitat cu")):
        plan = room.ana.get(f"/incidents/{incident}/recommendation", **{"Accept-Language": language}).json
        assert other not in {row["unit"] for row in plan["units"]}
        (why,) = [row for row in plan["not_chosen"] if row["unit"] == other]
        assert [reason["code"] for reason in why["reasons"]] == ["crew-asked"]
        assert words in why["why"][0]


def test_a_diversion_is_made_with_a_reason_that_only_the_case_shows(shared_room: Room) -> None:
    # Given a patrol on its way to one call
    room = shared_room
    first, second, patrol = room.incident()["id"], room.incident()["id"], room.unit()
    room.sent(first, patrol)
    for status in ("acknowledged", "en_route"):
        assert room.ana.post(f"/units/{patrol}/status", {"status": status}).status_code == 200
    # When it is taken for another
    path, why = f"/incidents/{second}/assignments", "copilul Mariei P. în apă"
    is_problem(room.send(second, patrol), 409, "divert-needs-reason", "override_reason")
    answer = room.ana.post(path, {"units": [patrol], "override_reason": why})
    # Then it is off the one and on the other
    assert answer.json["assigned"] == [patrol]
    assert room.ana.get(f"/incidents/{first}").json["assignments"] == []
    # And the words are in both timelines, and not in the log as programs read it
    for incident in (first, second):
        assert why in room.ana.get(f"/incidents/{incident}/timeline").json[-1]["data"].values()
    kept = [x for x in room.core.log.read(0, 100_000) if first in x.subjects or second in x.subjects]
    assert {"UnitRecalled", "UnitAssigned"} <= {x.type for x in kept}
    assert not any("Mariei" in x.data for x in kept)
