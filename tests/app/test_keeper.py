"""The keeper: what is due is done once, by whichever keeper is there, also after a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import requests

from app.database import open_engine
from app.keeper import Keeper, is_kept, the_lock
from app.log import StorageError
from app.up import wait_until
from tests.app.board import Remote
from tests.app.control_room import RAILWAY_STATION, Room, is_problem

if TYPE_CHECKING:
    from tests.conftest import PostgreSQL, SeededRandom, Server

YES = {"answer": "accepted", "name": "dr. Pop", "via": "phone"}


def asked(room: Room) -> tuple[str, str]:
    """An incident, and an ambulance just asked for it: the agency has 120 s to answer."""
    incident, unit = room.incident("M01")["id"], room.unit("B2", crew=2)
    room.sent(incident, unit)
    return incident, unit


def request_state(room: Room, incident: str) -> str:
    return str(room.ana.get(f"/incidents/{incident}").json["requests"][0]["state"])


def test_a_request_without_an_answer_lapses_once_and_in_time(shared_room: Room) -> None:
    room = shared_room
    keeper = Keeper(room.core)
    incident, unit = asked(room)
    # One second before its time nothing happens
    room.clock.advance(119)
    keeper.step()
    assert request_state(room, incident) == "asked"
    # Then it is said once, by the system, however often the keeper looks
    room.clock.advance(1)
    for _ in range(3):
        keeper.step()
    assert request_state(room, incident) == "no_answer"
    [lapsed] = room.facts(incident, "RequestLapsed")
    assert (lapsed["actor"], lapsed["source"]) == ("straja", "keeper")
    assert lapsed["words"] == f"{unit}: no answer in time"
    assert room.ana.get(f"/units/{unit}").json["request"]["state"] == "no_answer"
    # The unit can be asked again, and a late yes is still a yes
    row = room.ana.post(f"/incidents/{incident}/requests/{unit}/answer", YES).json
    assert row["assignments"][0]["unit"] == unit


def test_a_request_asked_again_after_a_lapse_lapses_again(shared_room: Room) -> None:
    room = shared_room
    keeper = Keeper(room.core)
    incident, unit = asked(room)
    for times in (1, 2):
        room.clock.advance(121)
        keeper.step()
        assert len(room.facts(incident, "RequestLapsed")) == times
        room.sent(incident, unit)
        assert request_state(room, incident) == "asked"


@pytest.mark.parametrize("how", ["accepted", "refused", "withdrawn"])
def test_a_request_that_was_settled_does_not_lapse(shared_room: Room, how: str) -> None:
    room = shared_room
    incident, unit = asked(room)
    if how == "withdrawn":
        room.ana.delete(f"/incidents/{incident}/assignments/{unit}")
    else:
        room.ana.post(f"/incidents/{incident}/requests/{unit}/answer", YES | {"answer": how})
    room.clock.advance(121)
    Keeper(room.core).step()
    assert room.facts(incident, "RequestLapsed") == []
    assert request_state(room, incident) == how


def test_of_two_keepers_that_look_at_once_only_one_says_it(open_another: Callable[..., Room]) -> None:
    # Given two nodes' processes on one database, each of which believes it is the keeper
    rooms = [open_another(), open_another()]
    incidents = [asked(rooms[0])[0] for _ in range(4)]
    assert wait_until(lambda: rooms[0].core.picture.position == rooms[1].core.picture.position, 5)
    rooms[0].clock.advance(121)
    keepers = [Keeper(room.core) for room in rooms * 2]
    gate = threading.Barrier(len(keepers))

    def look(keeper: Keeper) -> None:
        gate.wait(10)
        keeper.step()

    threads = [threading.Thread(target=look, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for incident in incidents:
        assert len(rooms[0].facts(incident, "RequestLapsed")) == 1


def test_what_became_due_while_nothing_ran_is_done_at_the_next_start(
    open_another: Callable[..., Room],
) -> None:
    before = open_another()
    incident, _ = asked(before)
    before.clock.advance(3600)
    after = open_another()
    Keeper(after.core).step()
    assert request_state(after, incident) == "no_answer"


def test_who_waits_for_the_lock_gets_it_when_the_keeper_is_gone(open_another: Callable[..., Room]) -> None:
    core = open_another().core
    assert not is_kept(core.engine, core.config.var)
    never, got, leave = threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        with the_lock(core.engine, core.config.var, never):
            got.set()
            leave.wait(20)

    waiting = threading.Thread(target=second)
    with the_lock(core.engine, core.config.var, never):
        assert is_kept(core.engine, core.config.var)
        waiting.start()
        assert not got.wait(0.3)
    assert got.wait(5)
    assert is_kept(core.engine, core.config.var)
    leave.set()
    waiting.join(10)
    # PostgreSQL notices a moment later that a session has ended.
    assert wait_until(lambda: not is_kept(core.engine, core.config.var), 5)


def test_who_waits_can_be_told_to_stop(open_another: Callable[..., Room]) -> None:
    core = open_another().core
    stop = threading.Event()
    stop.set()
    with the_lock(core.engine, core.config.var, threading.Event()):  # noqa: SIM117 - one inside the other
        with pytest.raises(InterruptedError), the_lock(core.engine, core.config.var, stop):
            pytest.fail("two hold the lock at once")


def test_the_keeper_of_another_database_on_the_same_server_is_not_ours(
    postgresql: PostgreSQL, tmp_path: Any
) -> None:
    ours, theirs = (open_engine(postgresql.url(postgresql.fresh())) for _ in range(2))
    with the_lock(theirs, tmp_path, threading.Event()):
        assert is_kept(theirs, tmp_path)
        assert not is_kept(ours, tmp_path)
        with the_lock(ours, tmp_path, threading.Event()):
            assert is_kept(ours, tmp_path)


def test_the_database_failing_for_a_moment_loses_no_deadline(
    open_another: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = open_another()
    incident, _ = asked(room)
    room.clock.advance(121)
    keeper = Keeper(room.core)

    def full() -> None:
        raise StorageError("disk-full", "full")

    monkeypatch.setattr(room.core.log, "_check_space", full)
    with pytest.raises(StorageError):
        keeper.step()
    assert request_state(room, incident) == "asked"
    is_problem(room.ana.post(f"/incidents/{incident}/acknowledge"), 507, "disk-full")
    monkeypatch.undo()
    keeper.step()
    assert request_state(room, incident) == "no_answer"


def test_when_the_keeper_is_killed_the_other_takes_over_and_the_deadline_is_kept(
    stations: tuple[Server, Server], station_token: str, random: SeededRandom
) -> None:
    first, second = stations
    remote = Remote(second.url, station_token)
    # Given a request that runs out in 5 s, and two keepers of which the first holds the time
    at = dict(zip(("lon", "lat"), RAILWAY_STATION, strict=True))
    report = {"id": random.uuid(), "type": "M01", "location": at}
    remote.done("POST", "/incidents", report)
    unit = f"B2-{report['id'][:6]}"
    remote.done("POST", "/units", {"id": unit, "type": "B2", "station": "Est", "crew": 2})
    remote.done("POST", f"/units/{unit}/status", {"status": "available"})
    remote.done("POST", f"/incidents/{report['id']}/assignments", {"units": [unit]})
    asked_at = time.monotonic()
    # When the first is killed outright
    first.kill("keeper")

    def lapsed() -> list[Any]:
        lines = remote.get(f"/incidents/{report['id']}/timeline")
        return [line for line in lines if line["type"] == "RequestLapsed"]

    assert wait_until(lambda: bool(lapsed()), 12), second.logs()
    assert 4.5 < time.monotonic() - asked_at < 10
    # Then it is said once, also when a keeper comes back
    assert requests.get(f"{second.url}/healthz", timeout=10).json()["parts"]["keeper"] == "ok"
    first.start("keeper")
    assert len(lapsed()) == 1
