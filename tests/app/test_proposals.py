"""Proposals while time goes on: what the keeper sees, what a person does with it, and what never happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.proposals import MOVE_UPS_EVERY_S, Proposer
from app.up import wait_until
from config import ROOT
from dispatch import commands as c
from dispatch.commands import SYSTEM, Actor
from tests.app.board import NearConsole
from tests.app.control_room import Room, is_problem

SYSTEM_ADMIN = Actor("seeder", "admin", frozenset({"*"}))
CENTRE = (24.9414, 60.1712)
NEAR = (24.9440, 60.1705)
FAR = (24.9300, 60.1850)
BRAWL, GUARD = "D03", "P09"
"""Two kinds of incidents for a patrol: one of priority P1, one of priority P4."""


Cleared = tuple[Room, Proposer, str, str, str]
"""A room, who proposes in it, an incident, the unit near it and the one far away."""


def patrol(room: Room, at: tuple[float, float] | None = None, **more: Any) -> str:
    """A local-police crew, the city's own."""
    return room.unit("PL", at=at, **more)


def under_way(room: Room, unit: str, incident: str, at: tuple[float, float]) -> None:
    """Given a unit that was sent and has left, and is seen there."""
    room.sent(incident, unit)
    told = room.desk("admin").post(f"/units/{unit}/status", {"status": "en_route"})
    assert told.status_code == 200, told.text
    room.seen(unit, at)


def proposed(room: Room, state: str = "open") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = room.ana.get(f"/proposals?state={state}").json
    return rows


@pytest.fixture
def room(open_another: Callable[..., Room]) -> Room:
    return open_another()


@pytest.fixture
def cleared(room: Room) -> Cleared:
    """Given a patrol that is still far from its call, and one that has just cleared beside it."""
    incident = room.incident(BRAWL, CENTRE)["id"]
    near = patrol(room, NEAR, status=None)
    far = patrol(room, FAR)
    under_way(room, far, incident, FAR)
    proposer = Proposer(room.core)
    proposer.step()
    assert proposed(room) == []
    room.clock.advance(20)
    room.desk("admin").post(f"/units/{near}/status", {"status": "available"})
    room.seen(far, FAR)
    room.seen(near, NEAR)
    proposer.step()
    return room, proposer, incident, near, far


def test_a_unit_that_clears_beside_the_call_is_proposed_for_one_that_is_far(cleared: Cleared) -> None:
    room, _, incident, near, far = cleared
    [row] = proposed(room)
    assert (row["kind"], row["trigger"], row["unit"], row["incident"]) == (
        "reassign", "unit_cleared", near, incident,
    )  # fmt: skip
    assert [(m["unit"], m["leaves"], m["to"]) for m in row["moves"]] == [
        (near, None, incident),
        (far, incident, None),
    ]
    assert row["figures"]["gain_s"] >= 60
    assert row["asks"] is False
    # Both languages say it, and the case has a line for it
    assert row["words"]["en"].startswith(f"{near} to C1-1 instead of {far}: ")
    assert row["words"]["ro"].startswith(f"{near} la C1-1 în locul {far}: ")
    [line] = room.facts(incident, "ProposalMade")
    assert (line["words"], line["source"], line["actor"]) == (f"Proposed: {near}, {far}", "keeper", "straja")


def test_nothing_moves_before_a_person_says_yes(cleared: Cleared) -> None:
    room, proposer, incident, near, far = cleared
    for _ in range(5):
        room.clock.advance(2)
        proposer.step()
    assert room.ana.get(f"/units/{near}").json["incident"] is None
    assert room.ana.get(f"/units/{far}").json["incident"] == incident
    assert len(proposed(room)) == 1


def test_accepting_gives_the_orders_and_says_who_did(cleared: Cleared) -> None:
    room, proposer, incident, near, far = cleared
    [row] = proposed(room)
    key = room.uuid()
    answer = room.ana.post(f"/proposals/{row['id']}/accept", {}, idempotency_key=key)
    assert answer.status_code == 200, answer.text
    assert (answer.json["state"], answer.json["decided_by"]) == ("accepted", room.ana.name)
    shown = room.ana.get(f"/incidents/{incident}").json
    assert [(a["unit"], a["by"]) for a in shown["assignments"]] == [(near, room.ana.name)]
    assert room.ana.get(f"/units/{far}").json["status"] == "returning"
    kinds = [line["type"] for line in room.facts(incident)][-3:]
    assert kinds == ["ProposalAccepted", "UnitAssigned", "UnitRecalled"]
    # The answer lost on the way: the same key does nothing twice, and a second yes is told what happened
    again = room.ana.post(f"/proposals/{row['id']}/accept", {}, idempotency_key=key)
    assert again.status_code == 200
    refused = is_problem(room.ana.post(f"/proposals/{row['id']}/accept", {}), 409, "proposal-closed")
    assert refused["by"] == room.ana.name
    assert refused["detail"] == f"This proposal was accepted by {room.ana.name} 0 s ago."
    assert len(room.facts(incident, "UnitRecalled")) == 1
    # And who was relieved is not sent back and forth
    room.clock.advance(60)
    room.seen(far, CENTRE)
    proposer.step()
    assert proposed(room) == []


def test_a_stale_proposal_is_refused_in_words_and_ends(cleared: Cleared) -> None:
    room, proposer, incident, near, _ = cleared
    [row] = proposed(room)
    other = room.incident(GUARD, FAR)["id"]
    room.clock.advance(3)
    room.sent(other, near)
    room.clock.advance(2)
    refused = is_problem(room.ana.post(f"/proposals/{row['id']}/accept", {}), 409, "unit-taken")
    assert refused["detail"] == f"{near} was sent to incident C1-2 by {room.ana.name} 2 s ago."
    assert (refused["unit"], refused["by"], refused["incident_number"]) == (near, room.ana.name, "C1-2")
    # When the keeper looks again, it is over, and says why
    proposer.step()
    [ended] = proposed(room, "all")
    assert (ended["state"], ended["why"], ended["about"]["unit"]) == ("superseded", "unit-taken", near)
    assert room.facts(incident, "ProposalExpired")[0]["words"] == (
        f"Proposal no longer holds: {near} was sent elsewhere"
    )


def test_once_the_far_unit_arrives_there_is_nothing_to_propose(cleared: Cleared) -> None:
    room, proposer, _, _, far = cleared
    room.desk("admin").post(f"/units/{far}/status", {"status": "on_scene"})
    [row] = proposed(room)
    is_problem(room.ana.post(f"/proposals/{row['id']}/accept", {}), 409, "unit-arrived")
    proposer.step()
    assert [(p["state"], p["why"]) for p in proposed(room, "all")] == [("superseded", "unit-arrived")]


def test_a_declined_proposal_comes_back_only_when_something_material_changed(cleared: Cleared) -> None:
    room, proposer, incident, near, far = cleared
    [row] = proposed(room)
    said = room.ana.post(f"/proposals/{row['id']}/decline", {"reason": "drumul e blocat"})
    assert (said.json["state"], said.json["reason"]) == ("declined", "drumul e blocat")

    def clears_again() -> None:
        """It is out for a moment: the same situation once more."""
        for status in ("out_of_service", "available"):
            room.clock.advance(5)
            told = {"status": status, "reason": "alimentare"}
            room.desk("admin").post(f"/units/{near}/status", told)
            room.seen(far, FAR)
            proposer.step()

    clears_again()
    assert proposed(room) == []
    # When the alarm is raised, it is another matter
    room.ana.post(f"/incidents/{incident}/alarm-level", {"level": 2})
    clears_again()
    assert [p["unit"] for p in proposed(room)] == [near]
    # The reason is for those who may read about the incident
    watcher = room.desk("observer")
    rows = {p["id"]: p for p in watcher.get("/proposals?state=all").json}
    assert rows[row["id"]]["reason"] is None
    assert "drumul e blocat" not in watcher.get("/events?limit=1000").text


def test_one_that_nobody_takes_up_runs_out(cleared: Cleared) -> None:
    room, proposer, _, _, far = cleared
    [row] = proposed(room)
    for _ in range(18):
        room.clock.advance(10)
        room.seen(far, FAR)
        proposer.step()
    assert [(p["state"], p["why"]) for p in proposed(room, "all")] == [("expired", "time")]
    is_problem(room.ana.post(f"/proposals/{row['id']}/accept", {}), 409, "proposal-closed")


def test_when_the_far_unit_turns_out_to_be_near_it_is_withdrawn(cleared: Cleared) -> None:
    room, proposer, _, _, far = cleared
    room.clock.advance(11)
    room.seen(far, CENTRE)
    proposer.step()
    assert [(p["state"], p["why"]) for p in proposed(room, "all")] == [("superseded", "gain-gone")]


# ---- diverting


@pytest.fixture
def diverted(room: Room) -> Cleared:
    """Given a patrol on its way to a guard duty, when somebody calls for help on its way; the only other one
    is far."""
    guard = room.incident(GUARD, FAR)["id"]
    near, far = patrol(room, NEAR), patrol(room, FAR)
    under_way(room, near, guard, NEAR)
    proposer = Proposer(room.core)
    proposer.step()
    help = room.incident(BRAWL, CENTRE)["id"]
    room.clock.advance(1)
    proposer.step()
    return room, proposer, help, near, far


def test_a_unit_on_its_way_to_something_lesser_is_proposed_for_the_new_call(diverted: Cleared) -> None:
    room, _, help, near, far = diverted
    [row] = proposed(room)
    assert (row["unit"], row["incident"], row["trigger"]) == (near, help, "new_call")
    guard = row["leaves"]
    # The one that would have been sent takes its place
    assert [(m["unit"], m["leaves"], m["to"]) for m in row["moves"]] == [
        (near, guard, help),
        (far, None, guard),
    ]
    assert f"{far} goes to C1-1" in row["words"]["en"]
    # When it is accepted, one order takes it from the one to the other
    assert room.ana.post(f"/proposals/{row['id']}/accept", {"reason": "mai urgent"}).status_code == 200
    assert room.ana.get(f"/units/{near}").json["incident"] == help
    assert room.ana.get(f"/units/{far}").json["incident"] == guard
    [line] = room.facts(guard, "UnitRecalled")
    assert (line["data"]["to"], line["data"]["reason"]) == (help, "mai urgent")


def test_nobody_is_turned_twice_for_the_same_incident(diverted: Cleared) -> None:
    room, proposer, help, near, _ = diverted
    [row] = proposed(room)
    room.ana.post(f"/proposals/{row['id']}/accept", {})
    # Given that the priorities turn round, and the crew is on its way again
    room.desk("admin").post(f"/units/{near}/status", {"status": "en_route"})
    room.ana.patch(f"/incidents/{help}", {"priority": "P4"})
    room.ana.patch(f"/incidents/{row['leaves']}", {"priority": "P1"})
    for _ in range(3):
        room.clock.advance(15)
        room.seen(near, FAR)
        proposer.step()
    assert all(near not in [m["unit"] for m in p["moves"]] for p in proposed(room))


def test_a_unit_on_its_way_to_something_more_urgent_is_left_alone(room: Room) -> None:
    help = room.incident(BRAWL, FAR)["id"]
    near = patrol(room, NEAR)
    patrol(room, FAR)
    under_way(room, near, help, NEAR)
    proposer = Proposer(room.core)
    proposer.step()
    room.incident(GUARD, CENTRE)
    proposer.step()
    assert proposed(room) == []


def test_a_raised_priority_is_looked_at(room: Room) -> None:
    guard, other = room.incident(GUARD, FAR)["id"], room.incident(GUARD, CENTRE)["id"]
    near = patrol(room, NEAR)
    under_way(room, near, guard, NEAR)
    proposer = Proposer(room.core)
    for _ in range(2):
        proposer.step(budget_s=30)
    assert proposed(room) == []
    room.ana.patch(f"/incidents/{other}", {"priority": "P1"})
    proposer.step()
    assert [(p["trigger"], p["unit"], p["incident"]) for p in proposed(room)] == [
        ("priority_changed", near, other)
    ]
    # Nobody else could come at all, and nobody takes its place
    [row] = proposed(room)
    assert row["figures"]["gain_s"] is None
    assert row["words"]["en"].endswith("C1-1 then waits for the next free unit.")


def test_a_crew_that_falls_behind_is_looked_at(room: Room) -> None:
    incident = room.incident(BRAWL, CENTRE)["id"]
    patrol(room, FAR)
    slow = patrol(room, NEAR)
    under_way(room, slow, incident, NEAR)
    proposer = Proposer(room.core)
    proposer.step()
    assert proposed(room) == []
    # When it drives away instead of coming, past the one that was free all the time
    room.clock.advance(15)
    room.seen(slow, (24.9200, 60.1960))
    proposer.step()
    assert [p["trigger"] for p in proposed(room)] == ["eta_slipped"]


def test_a_closure_on_the_way_of_a_crew_brings_up_one_that_is_nearer_now(room: Room) -> None:
    incident = room.incident(BRAWL, CENTRE)["id"]
    ways = room.core.living_map.ways()
    start = (24.9330, 60.1650)
    way = ways.route(*start, *CENTRE, "car_priority").points
    lon, lat = way[len(way) // 2]
    usual_s = float(ways.nearest(*CENTRE, [start[0]], [start[1]], "car_priority", None).drive_s[0])
    places = [(24.9414 + dx, 60.1712 + dy) for dx in (0.002, 0.005, 0.01) for dy in (0.003, 0.006, 0.009)]
    lons, lats = zip(*places, strict=True)
    drive_s = ways.nearest(*CENTRE, lons, lats, "car_priority", None).drive_s.tolist()
    # Given somebody a little farther on the other side, and a crew that was sent for being nearer
    _, place = min((s, at) for s, at in zip(drive_s, places, strict=True) if s > usual_s - 40)
    other, usual = patrol(room, place), patrol(room, start)
    under_way(room, usual, incident, start)
    proposer = Proposer(room.core)
    proposer.step(budget_s=30)
    assert proposed(room) == []
    # When a street on its way is closed by the police
    closure = {
        "id": room.uuid(),
        "kind": "closure",
        "geometry": {"type": "Point", "coordinates": [lon, lat], "radius_m": 200},
        "state": "ordered",
        "authority": "police",
        "ordered_by": "ag. Ilie",
    }
    told = room.desk("supervisor").post("/closures", closure)
    assert told.status_code == 201, told.text
    room.clock.advance(1)
    for unit, at in ((usual, start), (other, place)):
        room.seen(unit, at)
    proposer.step(budget_s=30)
    # Then it says who instead of whom, for what cause, and how much sooner
    [row] = proposed(room)
    assert (row["kind"], row["trigger"], row["unit"], row["incident"]) == (
        "reassign", "map_changed", other, incident,
    )  # fmt: skip
    assert [m["unit"] for m in row["moves"]] == [other, usual]
    assert row["figures"]["gain_s"] >= 60
    assert row["words"]["en"].startswith(f"{other} to C1-1 instead of {usual}: ")


# ---- requested units


def test_a_requested_unit_is_asked_and_the_other_stays_until_its_agency_agrees(room: Room) -> None:
    incident = room.incident("M01", CENTRE)["id"]
    near, far = room.unit("B2", crew=2, status=None), room.unit("B2", crew=2, at=FAR)
    room.sent(incident, far)
    yes = {"answer": "accepted", "name": "dr. Pop", "via": "phone"}
    room.ana.post(f"/incidents/{incident}/requests/{far}/answer", yes)
    room.desk("admin").post(f"/units/{far}/status", {"status": "en_route"})
    room.seen(far, FAR)
    proposer = Proposer(room.core)
    proposer.step()
    room.clock.advance(10)
    room.desk("admin").post(f"/units/{near}/status", {"status": "available"})
    room.seen(near, NEAR)
    room.seen(far, FAR)
    proposer.step()
    [row] = proposed(room)
    assert (row["unit"], row["asks"]) == (near, True)
    assert room.ana.post(f"/proposals/{row['id']}/accept", {}).status_code == 200
    shown = room.ana.get(f"/incidents/{incident}").json
    assert [(r["unit"], r["state"]) for r in shown["requests"] if r["unit"] == near] == [(near, "asked")]
    assert [a["unit"] for a in shown["assignments"]] == [far]


# ---- several keepers


def test_of_keepers_that_look_at_once_one_makes_the_proposal(open_another: Callable[..., Room]) -> None:
    rooms = [open_another(), open_another()]
    first = rooms[0]
    incident = first.incident(BRAWL, CENTRE)["id"]
    near, far = patrol(first, status=None), patrol(first, FAR)
    under_way(first, far, incident, FAR)
    assert wait_until(lambda: rooms[0].core.picture.position == rooms[1].core.picture.position, 5)
    keepers = [Proposer(room.core) for room in rooms * 2]
    for keeper in keepers:
        keeper.step()
    first.clock.advance(5)
    first.desk("admin").post(f"/units/{near}/status", {"status": "available"})
    for room in rooms:
        # Positions are followed by themselves; here both were heard.
        room.seen(near, NEAR)
        room.seen(far, FAR, seconds_ago=0.5)
    assert wait_until(lambda: rooms[0].core.picture.position == rooms[1].core.picture.position, 5)
    gate = threading.Barrier(len(keepers))

    def look(keeper: Proposer) -> None:
        gate.wait(10)
        keeper.step()

    threads = [threading.Thread(target=look, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [p["unit"] for p in proposed(first)] == [near]
    assert len(first.facts(incident, "ProposalMade")) == 1


def test_a_keeper_that_lost_its_lock_proposes_nothing(cleared: Cleared) -> None:
    room, _, _, near, _ = cleared
    for status in ("out_of_service", "available"):
        room.clock.advance(5)
        room.desk("admin").post(f"/units/{near}/status", {"status": status, "reason": "pană"})
    before = room.core.log.position
    Proposer(room.core).step(lambda: False)
    assert room.core.log.position == before


# ---- standing by


def test_a_unit_stands_by_elsewhere_until_it_is_there(room: Room) -> None:
    unit = patrol(room, FAR)
    body = {"post": "Gara", "location": {"lon": CENTRE[0], "lat": CENTRE[1]}}
    row = room.ana.post(f"/units/{unit}/move-up", body).json
    assert (row["status"], row["moving_up"]["post"], row["moving_up"]["state"]) == (
        "available", "Gara", "moving",
    )  # fmt: skip
    assert row["moving_up"]["by"] == room.ana.name
    # Its crew's tablet sees where to go
    assert room.desk("field", unit=unit).get(f"/units/{unit}").json["moving_up"]["post"] == "Gara"
    proposer = Proposer(room.core)
    room.clock.advance(60)
    room.seen(unit, NEAR)
    proposer.step()
    assert room.ana.get(f"/units/{unit}").json["moving_up"] is not None
    room.clock.advance(60)
    room.seen(unit, CENTRE)
    proposer.step()
    assert room.ana.get(f"/units/{unit}").json["moving_up"] is None


def test_an_assignment_comes_before_standing_by(room: Room) -> None:
    unit = patrol(room, FAR)
    body = {"post": "Gara", "location": {"lon": CENTRE[0], "lat": CENTRE[1]}}
    room.ana.post(f"/units/{unit}/move-up", body)
    incident = room.incident(BRAWL, CENTRE)["id"]
    room.sent(incident, unit)
    row = room.ana.get(f"/units/{unit}").json
    assert (row["incident"], row["moving_up"]) == (incident, None)
    is_problem(room.ana.post(f"/units/{unit}/move-up", body), 409, "unit-not-free")


@pytest.mark.parametrize("said", ["accepted", "refused", None])
def test_a_requested_unit_is_asked_to_stand_by(room: Room, said: str | None) -> None:
    unit = room.unit("B2", crew=2, at=FAR)
    body = {"post": "Gara", "location": {"lon": CENTRE[0], "lat": CENTRE[1]}}
    assert room.ana.post(f"/units/{unit}/move-up", body).json["moving_up"]["state"] == "asked"
    if said is None:
        room.clock.advance(121)
        Proposer(room.core).step()
    else:
        yes = {"answer": said, "name": "dr. Pop", "via": "phone"}
        assert room.ana.post(f"/units/{unit}/move-up/answer", yes).status_code == 200
        is_problem(room.ana.post(f"/units/{unit}/move-up/answer", yes), 409, "not-asked")
    going = room.ana.get(f"/units/{unit}").json["moving_up"]
    assert (going and going["state"]) == ("moving" if said == "accepted" else None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"post": "", "location": {"lon": 24.9, "lat": 60.1}}, "post"),
        ({"post": "Gara", "location": {"lon": 240.9, "lat": 60.1}}, "location.lon"),
        ({"post": "Gara"}, "location"),
        ({"post": "Gara", "location": {"lon": 24.9, "lat": 60.1}, "why": "x"}, "why"),
    ],
)
def test_a_post_must_be_a_place_with_a_name(embedded_room: Room, body: Any, field: str) -> None:
    unit = embedded_room.unit("PL")
    is_problem(embedded_room.ana.post(f"/units/{unit}/move-up", body), 422, "invalid", field)


def test_what_is_not_there_is_not_accepted(embedded_room: Room) -> None:
    for what in ("accept", "decline"):
        is_problem(embedded_room.ana.post(f"/proposals/nothing/{what}", {}), 404, "unknown-proposal")
        long = embedded_room.ana.post(f"/proposals/nothing/{what}", {"reason": "x" * 501})
        is_problem(long, 422, "invalid", "reason")
    is_problem(embedded_room.ana.get("/proposals?state=closed"), 422, "invalid", "state")


# ---- on the boards


def test_consoles_hear_of_a_proposal_and_of_its_end(cleared: Cleared) -> None:
    room, _, _, near, _ = cleared
    ana, crew = NearConsole(room, room.ana), NearConsole(room, room.desk("field", unit=near))
    [row] = proposed(room)
    assert ana.proposals == {row["id"]: row}
    room.ana.post(f"/proposals/{row['id']}/decline", {})
    assert wait_until(lambda: ana.listen() or ana.proposals[row["id"]]["state"] == "declined", 5)
    crew.listen()
    # A crew is told of orders, not of thoughts
    assert crew.proposals == {}
    fresh = NearConsole(room, room.ana)
    assert fresh.proposals == {}


# ---- where idle units should wait


def strict_pack(folder: Path, standby: dict[str, Any] | None = None, **rules: Any) -> str:
    """Romania's pack in a town that wants a patrol everywhere within four minutes; its path."""
    raw = yaml.safe_load((ROOT / "packs" / "ro.yaml").read_text(encoding="utf-8"))
    raw["response_targets"] = [{"crew": "local_patrol", "area": "urban", "within_s": 240, "share_pct": 90}]
    raw["rules"] = rules
    raw["standby"] |= standby or {}
    path = folder / "strict.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return str(path)


NORTH, SOUTH = (24.9380, 60.1775), (24.9500, 60.1655)


def bare_south(room: Room, **more: Any) -> tuple[Proposer, list[str]]:
    """Given three patrols that wait in the north, and the only one of the south at work."""
    bases = [dict(zip(("lon", "lat"), at, strict=True)) for at in (NORTH, SOUTH)]
    north = [patrol(room, NORTH, base=bases[0], station="Nord", **more) for _ in range(3)]
    south = patrol(room, SOUTH, base=bases[1], station="Sud", **more)
    incident = room.incident(GUARD, SOUTH)["id"]
    room.sent(incident, south)
    for status in ("en_route", "on_scene"):
        room.desk("admin").post(f"/units/{south}/status", {"status": status})
    proposer = Proposer(room.core)
    proposer.step(budget_s=30)
    return proposer, north


def look_round(room: Room, proposer: Proposer) -> None:
    """Time for every standard to be looked at once."""
    room.core.coverage.refresh()
    for _ in room.core.coverage.standards:
        room.clock.advance(MOVE_UPS_EVERY_S)
        proposer.step(budget_s=30)


def test_a_patrol_is_proposed_to_wait_where_the_next_call_would_wait_too_long(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path))
    proposer, north = bare_south(room)
    look_round(room, proposer)
    [row] = proposed(room)
    assert (row["kind"], row["trigger"], row["post"]["name"]) == ("move_up", "coverage", "Sud")
    assert row["unit"] in north
    figures = row["figures"]
    assert figures["capability"] == "local_patrol"
    assert figures["after_in_10"] > figures["before_in_10"]
    assert figures["city_after_pct"] > figures["city_before_pct"]
    assert figures["drive_s"] > 60
    said = row["words"]["en"]
    assert said.startswith(f"{row['unit']} to stand by at Sud: {figures['zone_name']['en']} from ")
    assert "of 10 calls reached in 4 min" in said
    # One at a time: the same look says nothing more
    look_round(room, proposer)
    assert [p["id"] for p in proposed(room)] == [row["id"]]
    # When it is accepted, the crew goes, and nobody else is asked for the same
    assert room.ana.post(f"/proposals/{row['id']}/accept", {}).status_code == 200
    going = room.ana.get(f"/units/{row['unit']}").json
    assert (going["status"], going["moving_up"]["post"]) == ("available", "Sud")
    for _ in range(3):
        look_round(room, proposer)
        for again in proposed(room):
            assert again["unit"] != row["unit"]
            room.ana.post(f"/proposals/{again['id']}/accept", {})
    rows = [room.ana.get(f"/units/{unit}").json for unit in north]
    assert sum(one["moving_up"] is not None for one in rows) <= 2


def at_work(room: Room, unit: str, at: tuple[float, float]) -> None:
    """Given that it was sent to a guard duty there and is at the scene."""
    room.sent(room.incident(GUARD, at)["id"], unit)
    for status in ("en_route", "on_scene"):
        room.desk("admin").post(f"/units/{unit}/status", {"status": status})
    room.seen(unit, at)


def drives_home(room: Room, unit: str) -> None:
    """When it is done there, and its times are known where it is."""
    assert room.desk("admin").post(f"/units/{unit}/status", {"status": "returning"}).status_code == 200
    room.core.coverage.refresh()


HALFWAY = (24.9460, 60.1690)


def test_a_crew_that_clears_is_proposed_a_better_post_than_its_home_at_once(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path))
    proposer, north = bare_south(room)
    at_work(room, north[1], HALFWAY)
    room.core.coverage.refresh()
    proposer.step(budget_s=30)
    assert proposed(room) == []
    room.clock.advance(1)
    drives_home(room, north[1])
    proposer.step(budget_s=30)
    # Then it is that crew, in the same second, and nobody who waits is disturbed
    [row] = proposed(room)
    assert (row["kind"], row["trigger"], row["unit"], row["post"]["name"]) == (
        "move_up", "unit_cleared", north[1], "Sud",
    )  # fmt: skip
    assert row["figures"]["city_after_pct"] > row["figures"]["city_before_pct"]
    # It drives on, to there, under the status that it has; and nothing more is asked of it
    assert room.ana.post(f"/proposals/{row['id']}/accept", {}).status_code == 200
    going = room.ana.get(f"/units/{north[1]}").json
    assert (going["status"], going["moving_up"]["post"]) == ("returning", "Sud")
    for _ in range(3):
        look_round(room, proposer)
    assert north[1] not in [one["unit"] for one in proposed(room)]
    room.seen(north[1], SOUTH)
    proposer.step(budget_s=30)
    assert room.ana.get(f"/units/{north[1]}").json["moving_up"] is None


def test_a_crew_that_drives_home_is_sent_on_rather_than_one_that_waits(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path))
    _, north = bare_south(room)
    at_work(room, north[2], HALFWAY)
    drives_home(room, north[2])
    # Given a keeper that has just begun, and did not see it clear
    proposer = Proposer(room.core)
    look_round(room, proposer)
    assert [(p["trigger"], p["unit"]) for p in proposed(room)] == [("coverage", north[2])]


@pytest.mark.parametrize(("rolling_gain_pct", "asked"), [(1, True), (1000, False)])
def test_what_it_takes_to_send_on_a_rolling_crew_is_the_packs_to_say(
    open_another: Callable[..., Room], tmp_path: Path, rolling_gain_pct: int, asked: bool
) -> None:
    standby = {"least_gain_pct": 1000, "rolling_gain_pct": rolling_gain_pct}
    room = open_another(STRAJA_PACK=strict_pack(tmp_path, standby))
    proposer, north = bare_south(room)
    at_work(room, north[0], HALFWAY)
    proposer.step(budget_s=30)
    drives_home(room, north[0])
    look_round(room, proposer)
    assert [p["unit"] for p in proposed(room)] == ([north[0]] if asked else [])


def test_a_crew_that_has_moved_up_rests_also_when_it_clears(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path))
    proposer, north = bare_south(room)
    body = {"post": "Gara", "location": {"lon": CENTRE[0], "lat": CENTRE[1]}}
    room.ana.post(f"/units/{north[0]}/move-up", body)
    at_work(room, north[0], HALFWAY)
    proposer.step(budget_s=30)
    drives_home(room, north[0])
    proposer.step(budget_s=30)
    assert proposed(room) == []


def test_at_a_busy_hour_nobody_is_moved(open_another: Callable[..., Room], tmp_path: Path) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path))
    proposer, north = bare_south(room)
    # Given that all but one are out
    for unit in north[1:]:
        incident = room.incident(GUARD, NORTH)["id"]
        room.sent(incident, unit)
        for status in ("en_route", "on_scene"):
            room.desk("admin").post(f"/units/{unit}/status", {"status": status})
    # and four in five of all patrols
    for _ in range(2):
        unit = patrol(room, SOUTH)
        room.sent(room.incident(GUARD, SOUTH)["id"], unit)
        for status in ("en_route", "on_scene"):
            room.desk("admin").post(f"/units/{unit}/status", {"status": status})
    look_round(room, proposer)
    assert [p for p in proposed(room, "all") if p["kind"] == "move_up"] == []


# ---- the operator's rule

RULE = {"accept": True, "per_hour": 2, "authority": "Ordinul 12 al dispecerului-șef"}


def test_a_rule_accepts_and_is_logged_as_the_rule(open_another: Callable[..., Room], tmp_path: Path) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path, move_up=RULE), STRAJA_DEMO="0")
    proposer, _ = bare_south(room)
    look_round(room, proposer)
    [row] = proposed(room, "all")
    assert (row["state"], row["decided_by"], row["rule"]) == ("accepted", "straja", "move_up")
    assert row["authority"] == RULE["authority"]
    assert room.ana.get(f"/units/{row['unit']}").json["moving_up"]["by"] == "straja"


def test_without_a_rule_for_that_kind_a_person_decides(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path, reassign=RULE), STRAJA_DEMO="0")
    proposer, _ = bare_south(room)
    look_round(room, proposer)
    assert [p["state"] for p in proposed(room, "all")] == ["open"]


@pytest.mark.parametrize(("in_demo", "state"), [(False, "open"), (True, "accepted")])
def test_where_the_demo_runs_a_rule_rests_unless_it_is_set(
    open_another: Callable[..., Room], tmp_path: Path, in_demo: bool, state: str
) -> None:
    pack = strict_pack(tmp_path, move_up=RULE | {"in_demo": in_demo})
    room = open_another(STRAJA_PACK=pack, STRAJA_DEMO="1")
    proposer, _ = bare_south(room)
    look_round(room, proposer)
    assert [p["state"] for p in proposed(room, "all")] == [state]


def test_the_demos_units_are_left_alone_by_a_rule_also_where_the_demo_is_off(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path, move_up=RULE), STRAJA_DEMO="0")
    unit = patrol(room, NORTH)
    command = c.RegisterUnit(
        id=room.uuid(), source="demo", unit=unit, type="PL", station="Nord", district="centru", crew=3
    )
    room.core.door.submit(command, SYSTEM_ADMIN)
    made = c.Propose(
        id=room.uuid(),
        proposal="d" * 24,
        kind="move_up",
        trigger="coverage",
        district="centru",
        moves=((unit, None, None),),
        figures={},
        post=c.Place(*SOUTH, "Sud"),
    )
    room.core.door.submit(made, SYSTEM)
    Proposer(room.core).step()
    assert [p["state"] for p in proposed(room, "all")] == ["open"]


def test_a_rule_never_touches_an_agencys_unit(open_another: Callable[..., Room], tmp_path: Path) -> None:
    room = open_another(STRAJA_PACK=strict_pack(tmp_path, move_up=RULE, reassign=RULE), STRAJA_DEMO="0")
    unit = room.unit("B2", crew=2, at=NORTH)
    made = c.Propose(
        id=room.uuid(),
        proposal="e" * 24,
        kind="move_up",
        trigger="coverage",
        district="centru",
        moves=((unit, None, None),),
        figures={},
        post=c.Place(*SOUTH, "Sud"),
    )
    room.core.door.submit(made, SYSTEM)
    for _ in range(3):
        Proposer(room.core).step()
    assert [p["state"] for p in proposed(room, "all")] == ["open"]
    assert room.ana.get(f"/units/{unit}").json["moving_up"] is None


# ---- bounded work


def test_a_look_stops_at_its_budget_and_goes_on_in_the_next(room: Room) -> None:
    for _ in range(6):
        room.incident(GUARD, CENTRE)
    patrol(room, NEAR)
    proposer = Proposer(room.core)
    waiting = []
    for _ in range(6):
        proposer.step(budget_s=0.0)
        waiting.append(proposer.waiting)
    # Without any time at all, one incident a step all the same
    assert waiting == [5, 4, 3, 2, 1, 0]


# ---- closures


SHUT_IN = (24.9330, 60.1650)
RING = {
    "type": "Polygon",
    "coordinates": [
        [[24.925, 60.160], [24.941, 60.160], [24.941, 60.1695], [24.925, 60.1695], [24.925, 60.160]],
        [[24.926, 60.1605], [24.940, 60.1605], [24.940, 60.169], [24.926, 60.169], [24.926, 60.1605]],
    ],
}
"""Everything around a quarter, and nothing in it."""


def beside(at: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(at), "radius_m": 40}


def closed(room: Room, geometry: dict[str, Any]) -> str:
    """A closure that is in force at once."""
    body = {"id": room.uuid(), "kind": "closure", "reason": "surpare", "state": "ordered"}
    body |= {"authority": "police", "ordered_by": "ag. Ilie"}
    told = room.desk("supervisor").post("/closures", {**body, "geometry": geometry})
    assert told.status_code == 201, told.text
    return str(told.json["id"])


def opened(room: Room, closure: str) -> None:
    told = room.desk("supervisor").post(f"/closures/{closure}/withdraw", {"reason": "gata"})
    assert told.status_code == 200, told.text


@pytest.fixture
def chosen_otherwise(room: Room) -> Cleared:
    """Given a patrol sent from far by somebody who had a nearer one free, and that stays so."""
    incident = room.incident(BRAWL, CENTRE)["id"]
    near, far = patrol(room, NEAR), patrol(room, SHUT_IN)
    under_way(room, far, incident, SHUT_IN)
    proposer = Proposer(room.core)
    proposer.step(budget_s=30)
    assert proposed(room) == []
    return room, proposer, incident, near, far


def goes_on(room: Room, proposer: Proposer, seconds: int, seen: dict[str, tuple[float, float]]) -> None:
    for _ in range(seconds // 4):
        room.clock.advance(4)
        for unit, at in seen.items():
            room.seen(unit, at)
        proposer.step(budget_s=30)


def test_a_crew_that_a_closure_cuts_off_is_proposed_to_be_relieved(chosen_otherwise: Cleared) -> None:
    room, proposer, incident, near, far = chosen_otherwise
    seen = {near: NEAR, far: SHUT_IN}
    # When every way out of where the crew is now is closed
    closure = closed(room, RING)
    goes_on(room, proposer, 8, seen)
    # Then whoever can still arrive is proposed, and why is said in both languages
    [row] = proposed(room)
    assert [(m["unit"], m["leaves"], m["to"]) for m in row["moves"]] == [
        (near, None, incident),
        (far, incident, None),
    ]
    assert (row["trigger"], row["figures"]["gain_s"]) == ("map_changed", None)
    assert row["words"]["en"].startswith(f"{near} to C1-1 instead of {far}: {far} cannot arrive any more;")
    assert f"{far} nu mai poate ajunge" in row["words"]["ro"]
    # and the recommendation counts on the crew no more
    plan = room.ana.get(f"/incidents/{incident}/recommendation").json
    assert (plan["cut_off"], plan["closures"]) == ([far], [closure])
    assert [one["unit"] for one in plan["units"] if one["chosen"]] == [near]
    lost = next(one for one in plan["not_chosen"] if one["unit"] == far)
    assert [reason["code"] for reason in lost["reasons"]] == ["on-its-way-cut-off", "cut-off"]
    assert lost["why"][0].startswith("on its way here, and cannot arrive any more")
    # When nobody else is free either, the need is open
    room.desk("admin").post(f"/units/{near}/status", {"status": "out_of_service", "reason": "pană"})
    plan = room.ana.get(f"/incidents/{incident}/recommendation").json
    assert (plan["complete"], plan["missing"]) == (False, {"local_patrol": 1})
    room.desk("admin").post(f"/units/{near}/status", {"status": "available"})
    # When the road is open again, it is as it was, and the proposal holds no more
    opened(room, closure)
    goes_on(room, proposer, 16, seen)
    assert proposed(room)[1:] == []
    assert row["id"] not in [one["id"] for one in proposed(room)]
    assert room.ana.get(f"/incidents/{incident}/recommendation").json["cut_off"] == []


def test_a_closure_that_changes_nobodys_way_overturns_no_choice(chosen_otherwise: Cleared) -> None:
    room, proposer, _, near, far = chosen_otherwise
    # When a street is closed and opened that neither of the two would take
    closure = closed(room, beside((24.9560, 60.1800)))
    goes_on(room, proposer, 8, {near: NEAR, far: SHUT_IN})
    assert proposed(room, "all") == []
    opened(room, closure)
    goes_on(room, proposer, 8, {near: NEAR, far: SHUT_IN})
    assert proposed(room, "all") == []


def test_a_proposal_that_was_declined_does_not_come_back_for_a_closure_elsewhere(cleared: Cleared) -> None:
    room, proposer, _, near, far = cleared
    [row] = proposed(room)
    room.ana.post(f"/proposals/{row['id']}/decline", {"reason": "nu"})
    closed(room, beside((24.9560, 60.1800)))
    goes_on(room, proposer, 8, {near: NEAR, far: SHUT_IN})
    assert proposed(room) == []
    # When the crew is then cut off, that is another matter
    closed(room, RING)
    goes_on(room, proposer, 8, {near: NEAR, far: SHUT_IN})
    assert [one["figures"]["gain_s"] for one in proposed(room)] == [None]
