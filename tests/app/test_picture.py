"""The operating picture: now, then, as we knew it then; and for a console, what changed since."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from app import picture as picture_module
from app.log import StorageError, Transaction
from app.picture import KEEP_CLOSED_US, Picture
from dispatch import commands as c
from dispatch.commands import Refused
from dispatch.state import State
from tests.dispatch.story import PLACE
from tests.nodes.world import Node, naive_picture

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom


@pytest.fixture
def node(database: str, tmp_path: Path, clock: FakeClock, random: SeededRandom) -> Iterator[Node]:
    node = Node(database, tmp_path / "var", clock, random)
    yield node
    node.close()


def work(node: Node, random: SeededRandom, clock: FakeClock) -> None:
    """Somebody asks for something, rightly or wrongly."""
    incident, unit = random.choice(["I1", "I2", "I3", "I4"]), random.choice(["PL1", "PL2", "AS1"])
    kind, fields = random.choice(
        [
            (c.ReportIncident, {"incident": incident, "type": "F01", "place": PLACE}),
            (c.RegisterUnit, {"unit": unit, "type": "PL", "station": "C1", "district": "centru", "crew": 3}),
            (c.ReportStatus, {"unit": unit, "status": random.choice(["available", "en_route", "off_duty"])}),
            (c.AssignUnits, {"incident": incident, "units": (unit,)}),
            (c.RecallUnit, {"incident": incident, "unit": unit, "reason": "x"}),
            (c.AddNote, {"incident": incident, "text": "notă"}),
            (c.ChangeIncident, {"incident": incident, "changes": {"priority": random.choice(["P1", "P2"])}}),
            (c.SetFlag, {"unit": unit, "flag": "emergency", "on": random.random() < 0.5}),
            (c.CloseIncident, {"incident": incident, "outcome": "gata"}),
            (c.ReopenIncident, {"incident": incident, "reason": "iar"}),
        ]
    )
    clock.advance(random.uniform(0, 600))
    late_us = clock.now_us() - random.randrange(3_600_000_000)
    try:
        node.submit(kind, observed_us=random.choice([None, late_us]), **fields)
    except Refused:
        pass


def everything(state: State, subjects: set[str]) -> dict[str, Any]:
    found = {subject: state._slots.get(subject) for subject in subjects}
    return {subject: entity for subject, entity in found.items() if entity is not None}


# ---- now


def test_the_picture_is_what_the_log_says_whatever_was_asked(
    node: Node, random: SeededRandom, clock: FakeClock
) -> None:
    for _ in range(120):
        work(node, random, clock)
    naive = naive_picture(node.envelopes())
    assert everything(node.picture.now, node.subjects()) == naive
    # and a picture loaded anew is the same one
    fresh = Picture(node.engine, clock)
    with node.engine.connect() as connection:
        fresh.load(connection)
    fresh.publish(node.log.position)
    assert everything(fresh.now, node.subjects()) == naive


def test_the_known_incidents_and_units_are_listed(node: Node) -> None:
    node.call("I1")
    node.unit_on_duty("PL1")
    assert [x.id for x in node.picture.now.incidents()] == ["I1"]
    assert [x.id for x in node.picture.now.units()] == ["PL1"]
    assert node.picture.now.incident("I9") is None
    assert node.picture.now.unit("PL9") is None


# ---- nothing before it is on disk


def test_nobody_sees_what_is_not_committed(node: Node) -> None:
    node.call("I1")
    inside, go_on = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> int:
        common: dict[str, Any] = {"request_hash": "0", "actor": "a:b", "source": "x", "observed_us": None}
        from dispatch.events import AlarmLevelSet

        position = tx.append([AlarmLevelSet("I1", 3)], cause="slow", epoch_of=lambda _: 0, **common)
        working = node.picture.use(tx.connection).incident("I1")
        assert working is not None
        assert working.alarm_level == 3
        inside.set()
        assert go_on.wait(20)
        return position

    before = node.picture.position
    thread = threading.Thread(target=lambda: node.log.transact(slow))
    thread.start()
    assert inside.wait(20)
    # The writer has decided and folded, and not committed
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert incident.alarm_level == 1
    assert node.picture.changed_since(before) == (before, {})
    go_on.set()
    thread.join(20)
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert incident.alarm_level == 3


def test_a_commit_that_fails_leaves_the_picture_as_it_was(node: Node) -> None:
    node.call("I1")
    node.unit_on_duty("PL1")
    before = {s: node.picture.get(s) for s in node.subjects()}
    broken = [True]

    def fail(*_: Any) -> None:
        if broken[0]:
            raise OSError("the cable")

    # When the database fails at the very end of the transaction
    sqlalchemy_event.listen(node.engine, "before_cursor_execute", _on_commit(fail))
    with pytest.raises(StorageError):
        node.submit(c.AssignUnits, incident="I1", units=("PL1",))
    assert {s: node.picture.get(s) for s in node.subjects()} == before
    assert node.picture.position == len(node.envelopes())
    broken[0] = False
    # Then the next one finds things as they are
    node.submit(c.AssignUnits, incident="I1", units=("PL1",))
    unit = node.picture.now.unit("PL1")
    assert unit is not None
    assert unit.incident == "I1"
    assert {s: node.picture.get(s) for s in node.subjects()} == naive_picture(node.envelopes())
    assert node.log.verify().faults == []


def _on_commit(act: Any) -> Any:
    def listener(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement == "COMMIT":
            act()

    return listener


# ---- the past


def test_what_we_knew_when_the_log_stood_there(node: Node, random: SeededRandom, clock: FakeClock) -> None:
    shown: dict[int, dict[str, Any]] = {}
    for _ in range(60):
        work(node, random, clock)
        shown[node.log.position] = {s: node.picture.get(s) for s in node.subjects()}
    for position, then in shown.items():
        assert everything(node.picture.as_known(position), node.subjects()) == then


def test_what_was_so_at_a_time_counts_late_reports_in(
    node: Node, random: SeededRandom, clock: FakeClock
) -> None:
    for _ in range(60):
        work(node, random, clock)
    envelopes = node.envelopes()
    for moment in random.sample([x.observed_at for x in envelopes], 10):
        naive = naive_picture([x for x in envelopes if x.observed_at <= moment])
        assert everything(node.picture.at(moment), node.subjects()) == naive


def test_a_status_told_an_hour_late_is_in_the_past_but_was_not_known_then(
    node: Node, clock: FakeClock
) -> None:
    node.unit_on_duty("PL1")
    clock.advance(600)
    happened_us, known = clock.now_us(), node.log.position
    clock.advance(3600)
    node.submit(c.ReportStatus, unit="PL1", status="off_duty", observed_us=happened_us)
    then = node.picture.at(happened_us).unit("PL1")
    as_known = node.picture.as_known(known).unit("PL1")
    assert then is not None
    assert as_known is not None
    assert (then.status, as_known.status) == ("off_duty", "available")


# ---- what leaves memory


def test_memory_lets_go_of_the_long_closed_by_itself_when_work_goes_on(node: Node, clock: FakeClock) -> None:
    node.call("I1")
    node.submit(c.CloseIncident, incident="I1", outcome="x")
    # When more than a day later another call is taken
    clock.advance(KEEP_CLOSED_US / 1e6 + 1)
    node.call("I2")
    # Then nobody had to ask for it
    assert [x.id for x in node.picture.now.incidents()] == ["I2"]
    assert node.picture.evict() == 0


def test_an_incident_closed_for_a_day_leaves_memory_and_comes_back_when_asked_for(
    node: Node, clock: FakeClock
) -> None:
    for name in ("I1", "I2"):
        node.call(name)
    node.submit(c.CloseIncident, incident="I1", outcome="x")
    clock.advance(KEEP_CLOSED_US / 1e6 - 1)
    assert node.picture.evict() == 0
    clock.advance(2)
    assert node.picture.evict() == 1
    assert [x.id for x in node.picture.now.incidents()] == ["I2"]
    # When somebody asks for it by name, or writes to it
    found = node.picture.now.incident("I1")
    assert found is not None
    assert not found.open
    node.submit(c.AddNote, incident="I1", text="târziu")
    node.submit(c.AddNote, incident="I1", text="și mai târziu")
    assert {s: node.picture.get(s) for s in node.subjects()} == naive_picture(node.envelopes())
    node.picture.evict()
    node.submit(c.ReopenIncident, incident="I1", reason="iar")
    # Then it is on the board again and stays
    assert {x.id for x in node.picture.now.incidents()} == {"I1", "I2"}
    assert node.picture.evict() == 0
    assert {s: node.picture.get(s) for s in node.subjects()} == naive_picture(node.envelopes())


def test_a_start_loads_what_is_open_and_what_closed_lately(node: Node, clock: FakeClock) -> None:
    for name in ("old", "recent", "open"):
        node.call(name)
    node.submit(c.CloseIncident, incident="old", outcome="x")
    clock.advance(KEEP_CLOSED_US / 1e6)
    node.submit(c.CloseIncident, incident="recent", outcome="x")
    clock.advance(60)
    fresh = Picture(node.engine, clock)
    with node.engine.connect() as connection:
        fresh.load(connection)
    fresh.publish(node.log.position)
    assert {x.id for x in fresh.now.incidents()} == {"recent", "open"}


# ---- changes after a cursor


def test_an_old_snapshot_and_what_changed_since_make_a_fresh_snapshot(
    node: Node, random: SeededRandom, clock: FakeClock
) -> None:
    def snapshot() -> dict[str, Any]:
        return {s: node.picture.get(s) for s in node.subjects()}

    # Given consoles that came at different moments
    consoles = [(node.picture.position, snapshot())]
    for _ in range(80):
        work(node, random, clock)
        if random.random() < 0.2:
            consoles.append((node.picture.position, snapshot()))
        if random.random() < 0.1:
            # and one of them asks in between
            position, shown = consoles.pop(random.randrange(len(consoles)))
            changed = node.picture.changed_since(position)
            assert changed is not None
            consoles.append((changed[0], shown | {s: node.picture.get(s) for s in changed[1]}))
    # Then each, given what changed since it last asked, shows what a new one would
    fresh = snapshot()
    for position, shown in consoles:
        changed = node.picture.changed_since(position)
        assert changed is not None
        assert changed[0] == node.picture.position
        assert shown | {s: node.picture.get(s) for s in changed[1]} == fresh


def test_the_first_change_ever_is_a_change(node: Node) -> None:
    assert node.picture.changed_since(0) == (0, {})
    node.call("I1")
    assert node.picture.changed_since(0) == (1, {"incident:I1": None, "station:C1": None})


def test_who_asks_for_more_than_is_remembered_is_told_to_start_anew(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.call("I1")
    start = node.picture.position
    remembered = picture_module.CHANGES_MAX
    for _ in range(3):
        node.submit(c.AddNote, incident="I1", text="x")
    assert node.picture.changed_since(start) is not None
    # When so much has happened that the first changes are forgotten
    for _ in range(remembered):
        node.picture._pending = {"incident:I1": None}
        node.picture.publish(node.picture.position)
    assert node.picture.changed_since(start) is None
    assert node.picture.changed_since(node.picture.position) is not None
    # Nor does anybody get changes from the future
    assert node.picture.changed_since(node.picture.position + 1) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_merge_that_leaves_one_subject_as_it_was_still_tells_of_the_others(
    node: Node, tmp_path: Path, clock: FakeClock, random: SeededRandom
) -> None:
    """A fact that was met twice counts once; its subject then stands where it stood, far back in the log."""
    other = Node(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "other", clock, random, station="C2")
    for n in range(6):
        node.call(f"I{n}")
    other.pull(node)
    for where in (node, other):
        where.submit(c.AddNote, id="met-twice", incident="I0", text="o dată")
    for n in range(1, 6):
        other.submit(c.AddNote, incident=f"I{n}", text="alta")
    before = node.picture.position
    node.pull(other)
    changed = node.picture.changed_since(before)
    assert changed is not None
    assert {f"incident:I{n}" for n in range(1, 6)} <= changed[1].keys()
    other.close()
