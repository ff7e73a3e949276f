"""A small world of nodes: the shipped log, picture, vault and door, with time, chance, the network and the
fate of disks in a test's hands."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy import event as sqlalchemy_event

from app.database import open_engine
from app.log import Envelope, Log, Merged, Verified
from app.migrations import MAIN, migrate
from app.picture import Picture
from app.ports import Clock, Disk, Random, SystemClock, SystemDisk, SystemRandom, World
from app.submit import Answer, Door
from app.tables import erased, event, event_subject, lineage, private, quarantine
from app.vault import Blob, Vault
from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Actor, Refused
from dispatch.state import fold
from tests.dispatch.story import ANA, PLACE, pack

ADMIN = Actor("admin", "admin", frozenset({"*"}))
START_US = 1_795_402_800_000_000


class Dice(random.Random):
    """Chance with a seed, and `app.ports.Random` too."""

    def token(self, nbytes: int) -> bytes:
        return self.randbytes(nbytes)

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.randbytes(16), version=4))


class WallClock:
    """A clock that people set wrong: the wall time jumps, the monotonic time does not."""

    def __init__(self) -> None:
        self.us = START_US
        self.s = 1_000.0

    def now_us(self) -> int:
        return self.us

    def monotonic_s(self) -> float:
        return self.s

    def pass_time(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)
        self.s += seconds

    def jump(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


class Node:
    """One process of one station: everything the core needs, wired as the application wires it."""

    def __init__(
        self,
        url: str,
        folder: Path,
        clock: Clock,
        random: Random,
        *,
        station: str = "C1",
        district: str = "centru",
        disk: Disk | None = None,
        reserve_bytes: int = 0,
        poll_s: float = 0.02,
        engine: Engine | None = None,
        sync_to_disk: bool = True,
    ) -> None:
        self.folder = folder
        self.station = station
        self.clock = clock
        self.random = random
        folder.mkdir(parents=True, exist_ok=True)
        self.engine = engine or open_engine(url)
        if not sync_to_disk:
            sqlalchemy_event.listen(self.engine, "connect", _let_the_kernel_write)
        migrate(self.engine, MAIN)
        self.vault = Vault(self.engine, random)
        self.log = Log(
            self.engine,
            World(clock, random, disk or SystemDisk()),
            self.vault,
            station=station,
            folder=folder,
            reserve_bytes=reserve_bytes,
            poll_s=poll_s,
        )
        self.picture = Picture(self.engine, clock)
        self.door = Door(self.log, self.picture, clock, pack(), station=station, district=district)
        self.log.start(self.picture)

    def close(self) -> None:
        self.log.stop()
        self.engine.dispose()

    # ---- what people do

    def submit(self, kind: type[c.Command], /, by: Actor = ADMIN, **fields: Any) -> Answer:
        """A command through the door; `id` is made up unless given."""
        return self.door.submit(kind(**{"id": self.random.uuid(), **fields}), by)

    def call(self, incident: str = "I1", **fields: Any) -> str:
        self.submit(c.ReportIncident, **{"incident": incident, "type": "F01", "place": PLACE, **fields})
        return incident

    def unit_on_duty(self, unit: str, type: str = "PL") -> str:
        self.submit(c.RegisterUnit, unit=unit, type=type, station=self.station, district="centru", crew=4)
        self.submit(c.ReportStatus, unit=unit, status="available")
        return unit

    # ---- what the node holds

    def envelopes(self) -> list[Envelope]:
        return self.log.read(limit=1_000_000)

    def column(self, column: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.scalars(select(column)))

    def sealed(self) -> set[str]:
        """Ids of the personal data that is still here."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(private.c.id, private.c.ciphertext))
            return {ident for ident, ciphertext in rows if any(ciphertext)}

    def causes(self) -> set[str]:
        return set(self.column(event.c.cause))

    def subjects(self) -> set[str]:
        return set(self.column(event_subject.c.subject))

    def pull(self, other: Node, limit: int = 500) -> Merged:
        """Take what the other node has more of, over a link without faults."""
        envelopes, blobs = other.log.missing(self.log.have(), limit)
        return self.log.merge(over_the_wire(envelopes), blobs)


def _let_the_kernel_write(connection: sqlite3.Connection, _record: Any) -> None:
    # Power cuts are not what the simulator is about, and its thousands of commits need not wait for a disk.
    connection.execute("PRAGMA synchronous = OFF")


def over_the_wire(envelopes: Iterable[Envelope]) -> list[Envelope]:
    """As another process reads them: only what is in the text of the message survives."""
    return [Envelope(**{**x.as_row(), "position": 0, "received_at": 0}) for x in envelopes]


def shared(entity: Any) -> Any:
    """What all nodes must agree on: where and when a fact arrived is each node's own."""
    values = {f.name: getattr(entity, f.name) for f in dataclasses.fields(entity) if f.name != "position"}
    if "facts" in values:
        values["facts"] = {k: (f.source, f.by, f.observed_us) for k, f in sorted(values["facts"].items())}
    return values


def state_hash(node: Node) -> str:
    """Of the picture that the node shows, closed and forgotten incidents included."""
    shown = {subject: node.picture.get(subject) for subject in sorted(node.subjects())}
    return hashlib.sha256(repr({s: _plain(shared(x)) for s, x in shown.items() if x}).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def naive_picture(envelopes: Sequence[Envelope]) -> dict[str, Any]:
    """Every subject, folded at one go from the given events: what the operating picture must equal."""
    by_subject: dict[str, list[e.Recorded]] = {}
    for envelope in envelopes:
        rec = envelope.recorded()
        for subject in rec.subjects:
            by_subject.setdefault(subject, []).append(rec)
    found = {subject: fold(subject, facts) for subject, facts in by_subject.items()}
    return {subject: entity for subject, entity in found.items() if entity is not None}


@dataclasses.dataclass
class Tally:
    """What happened in one run, so that a run in which nothing happens proves nothing."""

    commands: int = 0
    refused: int = 0
    merged: int = 0
    lost_messages: int = 0
    damaged_messages: int = 0
    cuts: int = 0
    jumps: int = 0
    restores: int = 0
    crashes: int = 0
    rolled_back: int = 0
    conflicts: int = 0
    erased: int = 0
    new_origins: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            *(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True))
        )


class Simulation:
    """Three to five stations, a network that fails them, disks that are set back: one seed, one history."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.dice = Dice(seed)
        self.folder = folder
        self.tally = Tally()
        self.clocks = [WallClock() for _ in range(self.dice.randint(3, 5))]
        self.nodes = [self._start(n) for n in range(len(self.clocks))]
        count = len(self.nodes)
        self.cut = {(a, b) for a in range(count) for b in range(count)}
        """Who cannot ask whom. At first nobody can ask anybody."""
        self.delayed: list[tuple[int, list[Envelope], list[Blob]]] = []
        self.backups: dict[int, list[Path]] = {n: [] for n in range(len(self.nodes))}
        self.acknowledged: set[str] = set()
        self.recalls: set[str] = set()
        self.rolled_back: set[str] = set()
        self.ever_erased: set[str] = set()
        self.incidents = [f"I{n}" for n in range(4)]
        for n in range(len(self.nodes)):
            for unit, kind in ((f"PL{n}", "PL"), (f"AS{n}", "ASAS")):
                self._acknowledge(n, c.RegisterUnit, unit=unit, type=kind, crew=4)
                self._acknowledge(n, c.ReportStatus, unit=unit, status="available")
            if n < 2:
                # Registered on two islands: each believes that it commands this crew.
                self._acknowledge(n, c.RegisterUnit, unit="PL-both", type="PL", crew=4)
                self._acknowledge(n, c.ReportStatus, unit="PL-both", status="available")
            self._acknowledge(n, c.ReportIncident, incident=f"I{n}", type="F01", place=PLACE)
            if n < 2 and self.dice.random() < 0.7:
                self._acknowledge(n, c.AssignUnits, incident=f"I{n}", units=("PL-both",))

    # ---- the fate of nodes

    def _start(self, n: int) -> Node:
        home = self.folder / f"node{n}"
        home.mkdir(parents=True, exist_ok=True)
        return Node(
            f"sqlite:///{home / 'straja.db'}",
            home,
            self.clocks[n],
            Dice(self.dice.getrandbits(64)),
            station=f"S{n}",
            sync_to_disk=False,
            poll_s=5.0,
        )

    def crash(self, n: int) -> None:
        self.nodes[n].close()
        self.nodes[n] = self._start(n)
        self.tally.crashes += 1

    def back_up(self, n: int) -> None:
        path = self.folder / f"backup{n}-{len(self.backups[n])}.db"
        with sqlite3.connect(self.nodes[n].folder / "straja.db") as source, sqlite3.connect(path) as target:
            source.backup(target)
        for connection in (source, target):
            connection.close()
        shutil.copyfile(self.nodes[n].folder / "lineage", path.with_suffix(".lineage"))
        shutil.copyfile(self.nodes[n].folder / "head", path.with_suffix(".head"))
        self.backups[n].append(path)

    def restore(self, n: int) -> None:
        """The disk of a station is set back to an old backup: the database alone, with what lies beside it
        lost, or the whole folder as it was then."""
        if not self.backups[n]:
            return
        backup = self.dice.choice(self.backups[n])
        node = self.nodes[n]
        held, origin = node.causes(), node.log.origin
        erased_here = set(node.column(erased.c.id))
        node.close()
        for suffix in ("-wal", "-shm"):
            (node.folder / f"straja.db{suffix}").unlink(missing_ok=True)
        shutil.copyfile(backup, node.folder / "straja.db")
        how = self.dice.choice(["database", "bare", "whole"])
        if how == "bare":
            (node.folder / "lineage").unlink()
            (node.folder / "head").unlink()
        if how == "whole":
            shutil.copyfile(backup.with_suffix(".lineage"), node.folder / "lineage")
            shutil.copyfile(backup.with_suffix(".head"), node.folder / "head")
        self.nodes[n] = self._start(n)
        kept = set().union(*(other.causes() for other in self.nodes))
        gone = held - kept
        self.rolled_back |= gone
        self.ever_erased |= erased_here
        self.tally.rolled_back += len(gone)
        self.tally.restores += 1
        if how == "whole":
            # Nothing on this disk can tell; the first peer can. Such a node must hear one before it speaks.
            for m in range(len(self.nodes)):
                if m != n:
                    while self.nodes[n].pull(self.nodes[m]).accepted:
                        pass
            self._lose_the_undone_days_of(self.nodes[n])
        self.tally.new_origins += self.nodes[n].log.origin != origin
        # The station is needed at once, and goes on without having heard anybody.
        for _ in range(3):
            self.work(n)

    def _lose_the_undone_days_of(self, node: Node) -> None:
        """A node set back whole goes on under the name it had. What it had said under that name and no node
        holds any more must not come back, neither with a message that is still under way nor out of a
        backup: else there would be two events under one number, which is noticed and left to people."""
        name = node.log.origin
        held = {(x.seq, x.hash) for x in node.envelopes() if x.origin == name}
        self.delayed = [
            (to, [x for x in envelopes if x.origin != name or (x.seq, x.hash) in held], blobs)
            for to, envelopes, blobs in self.delayed
        ]
        for paths in self.backups.values():
            paths[:] = [path for path in paths if said_under(name, path) <= held]

    # ---- what people do

    def _acknowledge(self, n: int, kind: type[c.Command], **fields: Any) -> None:
        if kind is c.RegisterUnit:
            fields = {"station": f"S{n}", "district": "centru", **fields}
        command = kind(**{"id": self.dice.uuid(), **fields})
        self.tally.commands += 1
        try:
            answer = self.nodes[n].door.submit(command, ADMIN)
        except Refused:
            self.tally.refused += 1
            return
        if answer.facts:
            self.acknowledged.add(command.id)
            if kind is c.RecallUnit:
                self.recalls.add(command.id)

    def work(self, n: int) -> None:
        dice = self.dice
        incident = dice.choice(self.incidents)
        unit = dice.choice([f"PL{n}", f"AS{n}", "PL-both", "PL-both", f"PL{dice.randrange(len(self.nodes))}"])
        known = self.nodes[n].picture.now.unit(unit)
        there = (known and known.incident) or incident
        done = [x.id for x in self.nodes[n].picture.now.incidents() if not x.open]
        closed = dice.choice(sorted(done) or self.incidents)
        kind, fields = dice.choice(
            [
                (
                    c.ReportIncident,
                    {"incident": incident, "type": dice.choice(["F01", "G01"]), "place": PLACE},
                ),
                (
                    c.ReportIncident,
                    {"incident": dice.uuid(), "type": "M01", "place": PLACE, "caller": {"name": "Ioana"}},
                ),
                (c.AddNote, {"incident": incident, "text": f"notă {dice.random()}"}),
                (
                    c.ChangeIncident,
                    {
                        "incident": incident,
                        "changes": {"priority": dice.choice(["P1", "P2", "P3"]), "description": "alta"},
                    },
                ),
                (c.SetAlarmLevel, {"incident": incident, "level": dice.randint(1, 4)}),
                (c.AssignUnits, {"incident": incident, "units": (unit,)}),
                (c.AssignUnits, {"incident": incident, "units": (unit,)}),
                (c.AssignUnits, {"incident": incident, "units": (unit,)}),
                (c.RecallUnit, {"incident": there, "unit": unit, "reason": "x"}),
                (
                    c.AnswerRequest,
                    {
                        "incident": incident,
                        "unit": f"AS{n}",
                        "answer": dice.choice(["accepted", "refused"]),
                        "name": "Radu",
                        "via": "phone",
                    },
                ),
                (
                    c.ReportStatus,
                    {"unit": unit, "status": dice.choice(["en_route", "on_scene", "available"])},
                ),
                (c.SetFlag, {"unit": unit, "flag": "emergency", "on": dice.random() < 0.5}),
                (c.GrantCustody, {"unit": unit, "to": f"S{dice.randrange(len(self.nodes))}"}),
                (c.CloseIncident, {"incident": incident, "outcome": "gata"}),
                (c.ReopenIncident, {"incident": incident, "reason": "iar"}),
                (c.ErasePersonalData, {"incident": closed, "reason": "cerere"}),
                (c.ErasePersonalData, {"incident": closed, "reason": "cerere"}),
            ]
        )
        self.clocks[n].pass_time(dice.uniform(0, 90))
        self._acknowledge(n, kind, **fields)

    def say_again(self, n: int) -> None:
        """A request whose answer got lost is sent again, to another station: the same id, the same words."""
        twin = self.dice.randrange(len(self.nodes))
        incident, text = self.dice.choice(self.incidents), "de două ori"
        command = c.AddNote(id=self.dice.uuid(), incident=incident, text=text)
        for where in (n, twin):
            try:
                if self.nodes[where].door.submit(command, ADMIN).facts:
                    self.acknowledged.add(command.id)
            except Refused:
                pass

    # ---- the network

    def exchange(self) -> None:
        """One node asks another for what it lacks; the answer may be lost in part, doubled, late, out of
        order or damaged."""
        here, there = self.dice.sample(range(len(self.nodes)), 2)
        if (here, there) in self.cut:
            return
        limit = self.dice.choice([1, 5, 20, 500])
        envelopes, blobs = self.nodes[there].log.missing(self.nodes[here].log.have(), limit)
        envelopes = over_the_wire(envelopes)
        chance = self.dice.random()
        if chance < 0.25:
            kept = [x for x in envelopes if self.dice.random() < 0.7]
            self.tally.lost_messages += len(envelopes) - len(kept)
            envelopes = kept
        elif chance < 0.4 and envelopes:
            victim = self.dice.randrange(len(envelopes))
            envelopes[victim] = damaged(envelopes[victim], self.dice)
            self.tally.damaged_messages += 1
        elif chance < 0.5 and blobs:
            victim = self.dice.randrange(len(blobs))
            torn = bytes([blobs[victim].ciphertext[0] ^ 1]) + blobs[victim].ciphertext[1:]
            blobs[victim] = dataclasses.replace(blobs[victim], ciphertext=torn)
            self.tally.damaged_messages += 1
        elif chance < 0.7:
            self.delayed.append((here, envelopes, blobs))
            if self.dice.random() < 0.5:
                return
        self.dice.shuffle(envelopes)
        self.tally.merged += sum(self.nodes[here].log.merge(envelopes, blobs).accepted.values())

    def deliver_late(self) -> None:
        if self.delayed:
            here, envelopes, blobs = self.delayed.pop(self.dice.randrange(len(self.delayed)))
            self.tally.merged += sum(self.nodes[here].log.merge(envelopes, blobs).accepted.values())

    def repartition(self) -> None:
        count = len(self.nodes)
        pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
        shape = self.dice.choice(["whole", "halves", "alone", "one-way", "hub"])
        lone = self.dice.randrange(count)
        left = set(self.dice.sample(range(count), count // 2))
        self.cut = {
            (a, b)
            for a, b in pairs
            if (shape == "halves" and (a in left) != (b in left))
            or (shape == "alone" and lone in (a, b))
            or (shape == "one-way" and a == lone)
            or (shape == "hub" and lone not in (a, b))
        }
        self.tally.cuts += shape != "whole"

    # ---- a run

    def step(self) -> None:
        n = self.dice.randrange(len(self.nodes))
        chance = self.dice.random()
        if chance < 0.45:
            self.work(n)
        elif chance < 0.49:
            self.say_again(n)
        elif chance < 0.79:
            self.exchange()
        elif chance < 0.84:
            self.deliver_late()
        elif chance < 0.89:
            self.repartition()
        elif chance < 0.92:
            self.clocks[n].jump(self.dice.uniform(-30, 30) * 86_400)
            self.tally.jumps += 1
        elif chance < 0.95:
            self.back_up(n)
        elif chance < 0.98:
            self.restore(n)
        else:
            self.crash(n)

    def heal(self) -> None:
        """All links are back; every node asks every other until nobody learns anything more."""
        self.cut = set()
        for _ in range(50):
            learned = 0
            for here in self.nodes:
                for there in self.nodes:
                    if here is not there:
                        learned += sum(here.pull(there).accepted.values())
            if not learned:
                return
        raise AssertionError(f"seed {self.seed}: the nodes do not come to rest")

    def check(self) -> None:
        """What must hold once they have met, whatever happened before."""
        first = self.nodes[0]
        where = f"seed {self.seed}"
        events = {(x.origin, x.seq): x.hash for x in first.envelopes()}
        for node in self.nodes:
            held = {(x.origin, x.seq): x.hash for x in node.envelopes()}
            assert held == events, f"{where}: {node.station} and {first.station} hold other events"
            # Stopped may stay only what its own node has lost, so that nobody has a good copy any more.
            stopped = zip(node.column(quarantine.c.origin), node.column(quarantine.c.seq), strict=True)
            assert not set(stopped) & events.keys(), f"{where}: a good stream stays stopped"
            lost = self.acknowledged - node.causes() - self.rolled_back
            assert not lost, f"{where}: acknowledged and gone at {node.station}: {lost}"
            assert state_hash(node) == state_hash(first), f"{where}: {node.station} shows another picture"
            naive = naive_picture(node.envelopes())
            for subject in node.subjects():
                assert node.picture.get(subject) == naive.get(subject), f"{where}: {node.station} {subject}"
            self._check_chains(node.log.verify(), where)
        blobs = [node.sealed() - self.ever_erased for node in self.nodes]
        gone = [set(node.column(erased.c.id)) for node in self.nodes]
        assert all(ids == blobs[0] for ids in blobs), f"{where}: sealed data differs"
        assert all(ids == gone[0] for ids in gone), f"{where}: not the same was erased everywhere"
        assert not any(ids & gone[0] for ids in blobs), f"{where}: what was erased is back"
        self.tally.erased += len(gone[0])
        state = first.picture.now
        incidents = [
            state.incident(s.partition(":")[2]) for s in first.subjects() if s.startswith("incident:")
        ]
        for unit in state.units():
            on = [x.id for x in incidents if x and any(a.unit == unit.id for a in x.active())]
            told = {k.kind for k in unit.conflicts}
            assert len(on) < 2 or told & {"sent-twice", "left-another"}, f"{where}: {unit.id} on {on} unseen"
            assert unit.incident is None or unit.incident in on, f"{where}: {unit.id} is where nobody sees it"
            self.tally.conflicts += len(unit.conflicts)
        written: dict[str, set[str]] = {}
        for x in first.envelopes():
            if x.type == "NoteAdded":
                written.setdefault(x.subjects, set()).add(x.cause)
            assert x.type != "UnitRecalled" or x.cause in self.recalls, f"{where}: nobody recalled {x.data}"

        for incident in filter(None, incidents):
            once = written.get(e.canonical([f"incident:{incident.id}"]), set())
            assert len(incident.notes) == len(once), f"{where}: a request counted twice on {incident.id}"

    def _check_chains(self, report: Verified, where: str) -> None:
        faults = [fault for fault in report.faults if not any(ident in fault for ident in self.ever_erased)]
        assert not faults, f"{where}: {faults}"

    def run(self, steps: int) -> Tally:
        try:
            for _ in range(steps):
                self.step()
            self.heal()
            self.check()
        finally:
            for node in self.nodes:
                node.close()
        return self.tally


def damaged(envelope: Envelope, dice: Dice) -> Envelope:
    """One thing in it is other than it was recorded."""
    return dataclasses.replace(
        envelope,
        **dice.choice(
            [
                {"data": envelope.data.replace("1", "2", 1) if "1" in envelope.data else envelope.data + " "},
                {"lamport": envelope.lamport + 7},
                {"actor": "dispatcher:nobody"},
                {"observed_at": envelope.observed_at + 60_000_000},
                {"prev_hash": "0" * 63 + "1"},
            ]
        ),
    )


def said_under(origin: str, database: Path) -> set[tuple[int, str]]:
    """Number and hash of every event that a closed file holds of an origin."""
    with sqlite3.connect(database) as connection:
        found = set(connection.execute(f"SELECT seq, hash FROM {event.name} WHERE origin = ?", (origin,)))
    connection.close()
    return found


def origin_of(database: Path) -> str:
    """The name under which the log in a closed file speaks."""
    with sqlite3.connect(database) as connection:
        query = f"SELECT value FROM {lineage.name} WHERE name = 'origin'"
        (value,) = connection.execute(query).fetchone()
    connection.close()
    return str(value)


__all__ = ["ADMIN", "ANA", "Dice", "Node", "Simulation", "Tally", "WallClock", "naive_picture", "shared"]


def storm(url: str, folder: Path, threads: int, said: Any) -> None:
    """Runs in a process of its own until that is killed: `threads` dispatchers write notes and tell `said`,
    the end of a pipe, the id of each one that was acknowledged."""
    node = Node(url, folder, SystemClock(), SystemRandom())
    node.picture.now.incident("I1") or node.call("I1")
    lock = threading.Lock()

    def dispatcher() -> None:
        while True:
            ident = str(uuid.uuid4())
            node.submit(c.AddNote, id=ident, incident="I1", text="notă")
            with lock:
                said.send(ident)

    for _ in range(threads):
        threading.Thread(target=dispatcher, daemon=True).start()
    threading.Event().wait()
