"""Stories of alarms at the API, at the live consoles, and of what a node finds wrong with itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.alarms import CLEARED_S, GATEWAY_SILENT_S, KEEPERS, Looking, Watch, Wrong
from app.up import wait_until
from dispatch.alarm import KINDS
from tests.app.board import NearConsole
from tests.app.control_room import GaugedDisk, Room, is_problem, open_room
from tests.app.test_roles import Scene

OWN = {"title": "Punct fără curent", "means": "Strada e în întuneric.", "todo": "Sunați la Electrica."}


def raised(room: Room, **more: Any) -> str:
    body = {"id": f"lampa-{room.uuid()[:8]}", "kind": "device_fault", "detail": "7"} | more
    answer = room.desk("gateway").post("/alarms", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def test_a_gateway_raises_an_alarm_and_the_room_deals_with_it(shared_room: Room) -> None:
    # given a gateway that tells of something of its own
    room = shared_room
    alarm = raised(room, kind="feeder_dead", group="feeder-4", priority="high", **OWN)
    row = room.ana.get(f"/alarms/{alarm}").json
    assert (row["state"], row["group"], row["priority"]) == ("unacknowledged", "feeder-4", "high")
    assert [row[name] for name in OWN] == list(OWN.values())
    assert row in room.ana.get("/alarms").json

    # when Ana acknowledges it, puts it aside and takes it back, each is on record under her name
    done = room.ana.post(f"/alarms/{alarm}/acknowledge", {}).json
    assert (done["state"], done["acknowledged_by"]) == ("acknowledged", room.ana.name)
    done = room.ana.put(f"/alarms/{alarm}/shelf", {"minutes": 30, "reason": "se lucrează"}).json
    assert (done["state"], done["shelved_by"], done["shelf_reason"]) == (
        "shelved",
        room.ana.name,
        "se lucrează",
    )
    assert [phase["state"] for phase in done["phases"]] == ["shelved", "acknowledged"]
    assert room.ana.delete(f"/alarms/{alarm}/shelf").json["state"] == "acknowledged"
    facts = [
        (event["type"], event["actor"].partition(":")[2])
        for event in room.desk("admin").get("/events?limit=1000").json
        if event["subjects"] == [f"alarm:{alarm}"]
    ]
    assert [kind for kind, _ in facts] == [
        "AlarmRaised",
        "AlarmAcknowledged",
        "AlarmShelved",
        "AlarmUnshelved",
    ]
    assert {who for _, who in facts[1:]} == {room.ana.name}

    # and when it is over, it is no more among those that are present
    assert room.ana.post("/alarms", {"id": alarm, "on": False}).json["state"] == "normal"
    assert alarm not in [x["id"] for x in room.ana.get("/alarms").json]
    assert alarm in [x["id"] for x in room.ana.get("/alarms?state=all").json]


def test_the_same_word_of_a_gateway_twice_is_one(shared_room: Room) -> None:
    room = shared_room
    alarm = raised(room)
    before = room.core.log.position
    raised(room, id=alarm)
    gateway = room.desk("gateway")
    first = gateway.call("POST", "/alarms", {"id": alarm, "on": False}, idempotency_key="stins-" + alarm)
    again = gateway.call("POST", "/alarms", {"id": alarm, "on": False}, idempotency_key="stins-" + alarm)
    assert (first.json["state"], again.json["state"]) == ("returned", "returned")
    assert room.core.log.position == before + 1
    # but under the same key nothing else
    other = gateway.call(
        "POST", "/alarms", {"id": alarm, "kind": "device_fault"}, idempotency_key="stins-" + alarm
    )
    is_problem(other, 409, "id-reused")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "device_fault"}, "id"),
        ({"id": "", "kind": "device_fault"}, "id"),
        ({"id": "x" * 81, "kind": "device_fault"}, "id"),
        ({"id": "L1"}, "kind"),
        ({"id": "L1", "kind": "mine", "title": "a", "means": "b"}, "todo"),
        ({"id": "L1", "kind": "mine", "title": "a" * 301, "means": "b", "todo": "c"}, "title"),
        ({"id": "L1", "kind": "device_fault", "priority": "P1"}, "priority"),
        ({"id": "L1", "kind": "device_fault", "on_delay_s": 3601}, "on_delay_s"),
        ({"id": "L1", "kind": "device_fault", "on": "yes"}, "on"),
        ({"id": "L1", "kind": "device_fault", "at": "yesterday"}, "at"),
        ({"id": "L1", "kind": "device_fault", "source": "keeper"}, "source"),
        ({"id": "L1", "kind": "device_fault", "colour": "red"}, "colour"),
    ],
)
def test_an_alarm_told_wrongly_names_the_field(embedded_room: Room, body: dict[str, Any], field: str) -> None:
    before = embedded_room.core.log.position
    is_problem(embedded_room.desk("gateway").post("/alarms", body), 422, None, field)
    assert embedded_room.core.log.position == before


def test_what_is_asked_of_an_alarm_wrongly_is_refused(embedded_room: Room) -> None:
    room = embedded_room
    alarm = raised(room)
    for minutes in (0, 721, 1.5, "30"):
        is_problem(room.ana.put(f"/alarms/{alarm}/shelf", {"minutes": minutes}), 422, None, "minutes")
    is_problem(room.desk("admin").put(f"/alarms/{alarm}/out-of-service", {"reason": ""}), 422, None, "reason")
    is_problem(room.ana.post("/alarms/nothing/acknowledge", {}), 404, "unknown-alarm")
    is_problem(room.desk("gateway").post("/alarms", {"id": "never", "on": False}), 404, "unknown-alarm")
    # what another gateway raised, or the node itself, is not a gateway's to clear
    is_problem(
        room.desk("gateway", ("centru",)).post("/alarms", {"id": alarm, "on": False}), 403, "not-your-alarm"
    )


def test_the_figures_of_the_alarms(own_room: Room) -> None:
    # given one device that cries every two minutes, and ten others at once
    room = own_room
    lamp = raised(room)
    for _ in range(5):
        room.clock.advance(60)
        room.desk("gateway").post("/alarms", {"id": lamp, "on": False})
        room.clock.advance(60)
        raised(room, id=lamp)
    for _ in range(10):
        raised(room, on_delay_s=5)
    room.clock.advance(5)

    # then the figures say who it is, and that the room is flooded
    done = room.ana.get("/alarms/figures").json
    assert (done["total"], done["last_10_min"]) == (16, 15)
    assert done["flood_since"] is not None
    assert (done["bad_actors"][0]["id"], done["bad_actors"][0]["count"]) == (lamp, 6)
    assert done["bad_actors"][0]["share_pct"] == 37.5
    assert (sum(done["per_hour"]), done["standing"], done["shelved"]) == (16, [], 0)


# ---- what a node finds wrong with itself


def standing(room: Room) -> dict[str, str]:
    """The alarms of the node itself that are not over: kind -> detail."""
    return {x.kind: x.detail for x in room.core.picture.now.alarms() if x.on and x.source == "keeper"}


def test_what_is_wrong_for_long_enough_is_raised_once_and_cleared_when_it_is_right(own_room: Room) -> None:
    room = own_room
    wrong: dict[str, Wrong] = {}
    watch = Watch(room.core, lambda: wrong, frozenset({"disk_low"}))
    watch.step()
    # When the disk is low, it is an alarm after ten seconds
    wrong["disk"] = Wrong("disk_low", 10, "300 MB")
    watch.step()
    room.clock.advance(9)
    watch.step()
    assert standing(room) == {}
    room.clock.advance(1)
    for _ in range(3):
        watch.step()
    assert standing(room) == {"disk_low": "300 MB"}
    [row] = room.ana.get("/alarms").json
    assert (row["id"], row["raised_by"], row["source"]) == ("C1:disk", "straja", "keeper")
    # a keeper that takes over knows of it, and does not say it again
    position = room.core.log.position
    another = Watch(room.core, lambda: wrong, frozenset({"disk_low"}))
    another.step()
    room.clock.advance(60)
    another.step()
    assert room.core.log.position == position
    # When there is room again, it is over as soon as that has held
    del wrong["disk"]
    another.step()
    room.clock.advance(CLEARED_S)
    another.step()
    assert standing(room) == {}
    assert room.ana.get("/alarms/C1:disk").json["state"] == "returned"


def test_a_watch_clears_nothing_that_is_not_its_own(own_room: Room) -> None:
    room = own_room
    Watch(room.core, lambda: {"keeper": Wrong("keeper_missing", 0)}, frozenset({"keeper_missing"})).step()
    keepers = Watch(room.core, dict, KEEPERS)
    keepers.step()
    room.clock.advance(100)
    keepers.step()
    assert standing(room) == {"keeper_missing": ""}


def test_the_keeper_sees_a_low_disk_and_a_backup_that_failed_or_is_late(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    disk = GaugedDisk()
    room = open_another(disk=disk, STRAJA_BACKUP_DIR=str(tmp_path))
    look = Looking(room.core)
    assert {one.kind for one in look().values()} <= {"jobs_absent"}
    # When the disk fills, and the last backup failed
    disk.free = 2 * 200_000_000 - 1
    (room.core.config.var / "backup.json").write_text(json.dumps({"failed_at_s": 9.0, "error": "disc plin"}))
    found = {one.kind: one.detail for one in look().values()}
    assert found.pop("disk_low") == "399 MB"
    assert found.pop("backup_failed") == "disc plin"
    assert found.keys() <= {"jobs_absent"}
    # or has not been made for far longer than it should
    (room.core.config.var / "backup.json").write_text(json.dumps({"ok_at_s": 9.0}))
    assert "backup_late" in {one.kind for one in look().values()}
    assert KINDS.keys() >= KEEPERS


def test_two_stations_that_contradict_each_other_is_an_alarm_until_it_is_settled(
    own_room: Room, helsinki: Path, tmp_path: Path
) -> None:
    # given a crew that two stations, cut off from each other, have both sent
    room = own_room
    url = f"sqlite:///{tmp_path / 'neighbour.sqlite'}"
    with open_room(
        tmp_path / "neighbour", url, room.clock, room.random, helsinki, STRAJA_STATION="C2"
    ) as neighbour:
        (tmp_path / "neighbour").mkdir(exist_ok=True)
        _, _, unit, conflict = Scene(room, neighbour).contradicted()
    # then it is found, by the crew's name
    look = Looking(room.core)
    found = {name: one.detail for name, one in look.contradictions().items()}
    assert found[f"contradiction:unit:{unit}"] == unit
    # and no more once somebody has settled it
    body = {"conflict": conflict, "resolution": "rămâne la primul"}
    assert room.ana.post(f"/units/{unit}/resolve", body).status_code == 200
    assert f"contradiction:unit:{unit}" not in look.contradictions()


def test_one_silent_crew_is_that_crew_and_all_of_them_are_their_gateway(own_room: Room) -> None:
    # given three crews of the city, heard a moment ago
    room = own_room
    crews = [room.unit(at=(24.94, 60.17)) for _ in range(3)]
    look = Looking(room.core)
    assert look.silence() == {}
    limit_s = room.core.pack.statuses["available"].silent_s
    assert limit_s is not None

    def tell(unit: str) -> None:
        at = {"unit": unit, "lon": 24.94, "lat": 60.17, "observed_at": room.ago(0)}
        assert room.desk("gateway").post("/positions", [at]).status_code == 202

    # when one of them is not heard for longer than its status allows, while the others are
    room.clock.advance(limit_s + 1)
    for unit in crews[1:]:
        tell(unit)
    assert look.silence() == {f"crew:{crews[0]}": Wrong("crew_silent", 0, crews[0])}
    # and when nobody is heard at all, that is one alarm, not three
    room.clock.advance(GATEWAY_SILENT_S + 1)
    [one] = look.silence().values()
    assert one.kind == "positions_silent"
    # a crew that went home is not missed
    tell(crews[1])
    room.ana.post(f"/units/{crews[0]}/status", {"status": "off_duty", "force": True, "reason": "gata"})
    assert look.silence() == {}


def test_consoles_see_alarms_as_they_come_and_a_crew_does_not(own_room: Room) -> None:
    room = own_room
    desk, watcher = NearConsole(room, room.ana), NearConsole(room, room.desk("observer"))
    crew = NearConsole(room, room.desk("field", unit="TABLETA-7"))
    alarm = raised(room)

    def told(console: NearConsole) -> str | None:
        console.listen()
        row = console.alarms.get(alarm)
        return None if row is None else str(row["state"])

    assert wait_until(lambda: told(desk) == told(watcher) == "unacknowledged", 5)
    room.ana.post(f"/alarms/{alarm}/acknowledge", {})
    assert wait_until(lambda: told(desk) == told(watcher) == "acknowledged", 5)
    assert told(crew) is None
    # and who comes later finds it in the snapshot, until it is over
    assert told(NearConsole(room, room.ana)) == "acknowledged"
    room.ana.post("/alarms", {"id": alarm, "on": False})
    assert told(NearConsole(room, room.ana)) is None
