"""Several stations on a bad network with bad clocks and bad disks: when they meet, they agree.

STRAJA_NODE_SEEDS sets how many histories are played (20 if unset), STRAJA_TEST_SEED with which number they
begin (0 if unset). A failure names its seed; `Simulation(seed, folder).run(STEPS)` plays that history again.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from app.log import Transaction
from app.tables import event, quarantine
from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Refused
from tests.nodes.world import Dice, Node, Simulation, Tally, WallClock, over_the_wire, state_hash

SEEDS = int(os.environ.get("STRAJA_NODE_SEEDS", "20"))
STEPS = 150
FIRST = int(os.environ.get("STRAJA_TEST_SEED", "0"))


def test_whatever_happened_nodes_that_meet_hold_the_same(tmp_path: Path) -> None:
    total = Tally()
    for seed in range(FIRST, FIRST + SEEDS):
        total += Simulation(seed, tmp_path / str(seed)).run(STEPS)
    print(total)
    # And it did happen: a run that spares the nodes would prove nothing.
    rare = {name: count for name, count in dataclasses.asdict(total).items() if count < SEEDS // 4}
    assert not rare, f"hardly ever met: {rare}"


# ---- the rules, one story each


@pytest.fixture
def stations(tmp_path: Path) -> Iterator[Callable[[str], Node]]:
    """Opens a station by name; the same name opens the same disk again."""
    clock, opened = WallClock(), []

    def open_station(name: str) -> Node:
        node = Node(
            f"sqlite:///{tmp_path / name / 'straja.db'}",
            tmp_path / name,
            clock,
            Dice(f"{name}{len(opened)}"),
            station=name,
        )
        opened.append(node)
        return node

    yield open_station
    for node in opened:
        if not node.log._stopping:
            node.close()


def meet(*nodes: Node) -> None:
    learned = True
    while learned:
        learned = any(a.pull(b).accepted for a in nodes for b in nodes if a is not b)


def numbers(node: Node) -> dict[str, int]:
    """How far the node holds each stream."""
    return {origin: seq for origin, (seq, _) in node.log.have().items()}


def set_back(node: Node, backup: Path, *, unseen: bool = False) -> None:
    """Close a station and put an older copy of its database in place; `unseen` with the files beside it,
    so that nothing on the disk can tell."""
    node.close()
    for suffix in ("-wal", "-shm"):
        (node.folder / f"straja.db{suffix}").unlink(missing_ok=True)
    shutil.copyfile(backup, node.folder / "straja.db")
    if unseen:
        shutil.copyfile(backup.with_suffix(".head"), node.folder / "head")


def back_up(node: Node) -> Path:
    path = node.folder / f"backup-{node.log.position}.db"
    source, target = sqlite3.connect(node.folder / "straja.db"), sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.close()
    shutil.copyfile(node.folder / "head", path.with_suffix(".head"))
    return path


def test_an_event_made_during_a_cut_reaches_the_other_station_with_its_words(
    stations: Callable[[str], Node],
) -> None:
    here, there = stations("C1"), stations("C2")
    here.call("I1", description="fum", caller={"name": "Ioana Pop"})
    here.submit(c.AddNote, incident="I1", text="sună fiica")
    meet(here, there)
    incident = there.picture.now.incident("I1")
    assert incident is not None
    assert incident.number == "C1-1"
    sealed = [x for x in (incident.description, incident.caller, incident.notes[0].text) if x is not None]
    opened = there.vault.open([x for x in sealed if isinstance(x, e.Sealed)])
    assert sorted(map(str, opened.values())) == ["fum", "sună fiica", "{'name': 'Ioana Pop'}"]
    assert there.log.verify().faults == []


def test_a_unit_sent_twice_on_two_islands_is_shown_and_nobody_is_called_back(
    stations: Callable[[str], Node],
) -> None:
    # Given one crew that both stations hold to be theirs, because neither could hear the other
    islands = [stations("C1"), stations("C2")]
    for n, node in enumerate(islands):
        node.unit_on_duty("PL1")
        node.call(f"I{n}")
        node.submit(c.AssignUnits, incident=f"I{n}", units=("PL1",))
    # When the link is back
    meet(*islands)
    for node in islands:
        # Then it stands on both incidents, the contradiction is seen, and no order went out
        unit = node.picture.now.unit("PL1")
        assert unit is not None
        assert [k.kind for k in unit.conflicts] == ["sent-twice"]
        for name in ("I0", "I1"):
            incident = node.picture.now.incident(name)
            assert incident is not None
            assert [a.unit for a in incident.active()] == ["PL1"]
        assert not any(x.type == "UnitRecalled" for x in node.envelopes())
    assert state_hash(islands[0]) == state_hash(islands[1])


def test_a_station_set_back_to_yesterday_speaks_under_a_new_name(stations: Callable[[str], Node]) -> None:
    # Given a backup, and events after it that a peer has and one that nobody has
    here, there = stations("C1"), stations("C2")
    here.call("I1")
    backup, old_name = back_up(here), here.log.origin
    here.call("I2")
    meet(here, there)
    here.call("only-here")
    set_back(here, backup)
    # When the station is restored and goes on before it has heard anybody
    again = stations("C1")
    assert again.log.origin != old_name
    again.call("I3")
    meet(again, there)
    # Then nothing that anybody still held is lost, and no number in the log was used twice
    for node in (again, there):
        assert {f"incident:I{n}" for n in (1, 2, 3)} <= node.subjects()
        assert "incident:only-here" not in node.subjects()
        assert node.column(quarantine.c.origin) == []
        assert node.log.verify().faults == []
    assert numbers(again) == {old_name: 2, again.log.origin: 1}
    assert state_hash(again) == state_hash(there)


def test_a_whole_machine_set_back_learns_it_from_the_first_peer(stations: Callable[[str], Node]) -> None:
    # Given that also the files that would tell were set back
    here, there = stations("C1"), stations("C2")
    here.call("I1")
    backup, old_name = back_up(here), here.log.origin
    here.call("I2")
    meet(here, there)
    set_back(here, backup, unseen=True)
    again = stations("C1")
    assert again.log.origin == old_name
    # When a peer tells it what it had said itself
    meet(again, there)
    # Then it keeps that, and speaks under a new name
    assert again.log.origin != old_name
    again.call("I3")
    meet(again, there)
    assert numbers(there) == {old_name: 2, again.log.origin: 1}
    assert state_hash(again) == state_hash(there)


@pytest.mark.parametrize("spoken", [1, 2, 3], ids=["less", "as much", "more"])
def test_two_machines_that_speak_under_one_name_are_noticed(
    stations: Callable[[str], Node], spoken: int
) -> None:
    # Given a machine set back unseen, which spoke before it heard anybody: less than what was lost to it, as
    # much, or more
    here, there = stations("C1"), stations("C2")
    here.call("I1")
    backup, old_name = back_up(here), here.log.origin
    here.call("I2")
    here.call("I2b")
    meet(here, there)
    set_back(here, backup, unseen=True)
    again = stations("C1")
    for n in range(spoken):
        again.call(f"again-{n}")
    assert again.log.origin == old_name
    # When it meets who remembers the other history
    there.pull(again)
    again.pull(there)
    there.pull(again)
    # Then the stream is stopped on both sides with a reason for people
    for node in (again, there):
        assert node.column(quarantine.c.origin) == [old_name]
        assert "two nodes spoke under one name" in node.column(quarantine.c.reason)[0]
    # And what comes next goes under a new name, and arrives
    assert again.log.origin != old_name
    again.call("I4")
    meet(again, there)
    assert "incident:I4" in there.subjects()


def test_a_day_that_was_undone_and_comes_back_out_of_a_backup_is_noticed(
    stations: Callable[[str], Node],
) -> None:
    # Given a machine set back unseen to Monday, which no peer could tell: none had heard of Tuesday
    here, there, third = stations("C1"), stations("C2"), stations("C3")
    here.call("monday")
    monday, name = back_up(here), here.log.origin
    here.call("tuesday")
    tuesday = back_up(here)
    set_back(here, monday, unseen=True)
    again = stations("C1")
    meet(again, there, third)
    again.call("wednesday")
    meet(again, there)
    # When Tuesday's backup is put back on it, in which the same number is another call
    set_back(again, tuesday)
    restored = stations("C1")
    assert restored.log.origin != name
    restored.call("thursday")
    third.pull(restored)
    meet(restored, there, third)
    # Then people are told wherever one of the two is held, though all three hold the same number of events
    for node in (restored, there, third):
        assert numbers(node) == {name: 2, restored.log.origin: 1}
        assert node.column(quarantine.c.origin) == [name]
        assert "two nodes spoke under one name" in node.column(quarantine.c.reason)[0]
    # And neither call is thrown away where it is held
    assert "incident:wednesday" in there.subjects()
    for node in (restored, third):
        assert "incident:tuesday" in node.subjects()


def test_a_good_copy_does_not_hide_that_two_nodes_spoke_under_one_name(
    stations: Callable[[str], Node],
) -> None:
    # Given a stream that waits for a good copy of its third event
    here, there, third = stations("C1"), stations("C2"), stations("C3")
    here.call("I1")
    backup, name = back_up(here), here.log.origin
    here.call("I2")
    meet(here, third)
    here.call("I3")
    meet(here, there)
    (damaged,) = over_the_wire(x for x in there.envelopes() if x.seq == 3)
    third.log.merge([dataclasses.replace(damaged, actor="x:y")])
    assert "altered" in third.column(quarantine.c.reason)[0]
    # When it turns out that its second event is another elsewhere, and then the good copy comes
    set_back(here, backup, unseen=True)
    again = stations("C1")
    again.call("another")
    third.pull(again)
    assert third.pull(there).accepted == {name: 1}
    # Then the one is mended and the other still said
    assert third.column(quarantine.c.seq) == [2]
    assert "two nodes spoke under one name" in third.column(quarantine.c.reason)[0]


def test_a_broken_chain_stops_its_stream_until_a_good_copy_comes(stations: Callable[[str], Node]) -> None:
    here, there, third = stations("C1"), stations("C2"), stations("C3")
    for n in range(3):
        here.call(f"I{n}")
        there.call(f"J{n}")
    envelopes, blobs = here.log.missing({})
    envelopes = over_the_wire(envelopes)
    altered = [
        dataclasses.replace(envelopes[1], actor="dispatcher:nobody") if n == 1 else x
        for n, x in enumerate(envelopes)
    ]
    # When a stream comes altered together with a good one
    more, more_blobs = there.log.missing({})
    result = third.log.merge([*altered, *over_the_wire(more)], [*blobs, *more_blobs])
    # Then what came before the fault and the other stream are taken
    assert result.accepted == {here.log.origin: 1, there.log.origin: 3}
    assert result.quarantined == {here.log.origin: "event 2 was altered after it was recorded"}
    # When another peer has a good copy, the stream goes on
    meet(here, there)
    result = third.pull(there)
    assert result.accepted == {here.log.origin: 2}
    assert result.quarantined == {}
    assert third.column(quarantine.c.origin) == []


def test_a_stream_that_cannot_be_taken_does_not_keep_the_others_from_coming(
    stations: Callable[[str], Node],
) -> None:
    bad, good, third = stations("C1"), stations("C2"), stations("C3")
    for n in range(12):
        bad.call(f"I{n}")
    good.call("J1")
    meet(bad, good)
    with good.engine.begin() as connection:
        connection.execute(update(event).where(event.c.origin == bad.log.origin).values(actor="x:y"))
    for _ in range(4):
        third.pull(good, limit=6)
    assert "incident:J1" in third.subjects()


def test_events_of_a_newer_program_are_kept_relayed_and_stop_commands_on_what_they_touch(
    stations: Callable[[str], Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a station whose program does not know notes yet
    new, old, third = stations("C1"), stations("C2"), stations("C3")
    new.call("I1")
    new.submit(c.AddNote, incident="I1", text="din viitor")
    with monkeypatch.context() as patch:
        patch.delitem(e.TYPES, "NoteAdded")
        meet(new, old)
        incident = old.picture.now.incident("I1")
        assert incident is not None
        assert incident.parked
        with pytest.raises(Refused, match="upgrade"):
            old.submit(c.CloseIncident, incident="I1", outcome="x")
        # When it passes on what it cannot read
        meet(old, third)
    # Then whoever can read it has all of it, the sealed words too
    third.close()
    reader = stations("C3")
    incident = reader.picture.now.incident("I1")
    assert incident is not None
    assert not incident.parked
    text = incident.notes[0].text
    assert isinstance(text, e.Sealed)
    assert reader.vault.open([text])[text.id] == "din viitor"
    assert reader.log.verify().faults == []


def test_a_merge_answers_a_request_that_another_station_had_met(stations: Callable[[str], Node]) -> None:
    # Given a request that was answered at one station, and its answer lost
    here, there = stations("C1"), stations("C2")
    here.call("I1")
    meet(here, there)
    here.submit(c.AddNote, id="the-request", incident="I1", text="o dată")
    # When it comes to the other in the very commit that brings the news
    envelopes, blobs = here.log.missing(there.log.have())

    def both(tx: Transaction) -> int | None:
        tx.merge(over_the_wire(envelopes), blobs)
        done = tx.done("the-request")
        return done and done.position

    position = there.log.transact(both, cause="the-request")
    # Then it counts as done
    assert position == there.log.position


def test_a_damaged_sealed_value_waits_for_a_good_one(stations: Callable[[str], Node]) -> None:
    here, there = stations("C1"), stations("C2")
    here.call("I1", description="fum")
    envelopes, blobs = here.log.missing({})
    torn = [dataclasses.replace(b, ciphertext=b.ciphertext[:-1] + b"x") for b in blobs]
    assert there.log.merge(over_the_wire(envelopes), torn).accepted == {}
    assert there.column(quarantine.c.origin) == []
    meet(here, there)
    assert there.log.verify().faults == []
