"""The duty register: a day in one signed file, which the log must agree with."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from app import register
from app.api import shapes
from app.tables import event
from tests.app.control_room import PHONE, Room, is_problem
from tests.app.test_shapes import fits


@pytest.fixture
def bare_room(open_another: Callable[..., Room]) -> Room:
    return open_another(city=None)


def test_a_day_is_signed_without_anybody_s_name_and_every_change_is_found(bare_room: Room) -> None:
    room, boss = bare_room, bare_room.desk("supervisor")
    core = room.core
    # Given a day with a call, its outside number and its crew
    made = room.incident(case_numbers=[{"agency": "ISU", "number": "2026-77"}])
    crew = room.unit()
    room.sent(made["id"], crew)
    room.ana.post("/handovers", {"id": room.uuid(), "notes": "secret"})
    today = register.yesterday(core) + timedelta(days=1)
    found = boss.get(f"/register?day={today}").json
    fits(shapes.RegisterShape, found)
    [case] = found["cases"]
    assert (case["number"], case["crews"][0]["unit"]) == (made["number"], crew)
    assert case["case_numbers"] == [{"agency": "ISU", "number": "2026-77"}]
    assert len(found["handovers"]) == 1
    for private in (PHONE, "Dragomirescu", "secret", "fl\u0103c\u0103ri"):
        assert private not in json.dumps(found, ensure_ascii=False)
    # Then it holds against the log and the station's key
    key = register.public_of(register.key_of(core.config.var))
    assert stat.S_IMODE((core.config.var / "register.key").stat().st_mode) == 0o600
    assert register.faults_of(found, key, core.engine) == []
    # An altered file, another's key and a rewritten log are each named
    forged = json.loads(json.dumps(found))
    forged["cases"][0]["closed_at"] = "2026-01-01T00:00:00.000Z"
    assert "altered" in register.faults_of(forged, key, core.engine)[0]
    assert "not by" in register.faults_of(found, "00" * 32, core.engine)[0]
    for nonsense in (None, [], {"format": "x"}, {"format": register.FORMAT, "signature": {"key": "zz"}}):
        assert register.faults_of(nonsense, key, core.engine)
    with core.engine.begin() as connection:
        connection.execute(update(event).where(event.c.seq == 2).values(hash="f" * 64))
    [fault] = register.faults_of(found, key, core.engine)
    assert "other events under the same numbers" in fault
    is_problem(boss.get("/register?day=2026-13-40"), 422, "bad-day", "day")
    ahead = today + timedelta(days=1)
    is_problem(boss.get(f"/register?day={ahead}"), 422, "day-ahead", "day")


def test_the_keeper_writes_each_day_once_it_is_over(bare_room: Room) -> None:
    room, core = bare_room, bare_room.core
    room.incident()
    today = register.yesterday(core) + timedelta(days=1)
    registers = register.Registers(core)
    _, midnight_us = register.span_of(core, today)
    kept = register.path_of(core.config.var, today)
    # Until five minutes after midnight the day is not written
    room.clock.advance((midnight_us - room.clock.now_us()) / 1e6 + register.SETTLE_S - 1)
    registers.step()
    assert not kept.exists()
    room.clock.advance(register.LOOK_S)
    assert registers.step()
    document = json.loads(kept.read_text(encoding="utf-8"))
    assert document["day"] == today.isoformat()
    assert len(document["cases"]) == 1
    # Then once, and not again
    room.clock.advance(register.LOOK_S)
    assert not registers.step()
