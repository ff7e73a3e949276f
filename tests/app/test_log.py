"""The log: what it acknowledged is there, whatever happens to processes, disks and databases."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy import event as sqlalchemy_event

from app import metrics
from app.database import open_engine
from app.log import GENESIS, Log, StorageError, Transaction, _Work
from app.native import Promise
from app.picture import rebuild
from app.tables import event, incident_index, private, private_key
from app.up import wait_until
from dispatch import commands as c
from dispatch.commands import Refused
from tests.dispatch.story import PLACE
from tests.nodes.world import Node, naive_picture, over_the_wire, storm

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

Open = Callable[..., Node]
WAIT_S = 20


@pytest.fixture
def open_node(database: str, tmp_path: Path, clock: FakeClock, random: SeededRandom) -> Iterator[Open]:
    """Opens the log of this test's database as one more process would."""
    opened: list[Node] = []

    def open_one(**options: Any) -> Node:
        node = Node(database, tmp_path / "var", clock, random, **options)
        opened.append(node)
        return node

    yield open_one
    for node in opened:
        if not node.log._stopping:
            node.close()


@pytest.fixture
def node(open_node: Open) -> Node:
    """Given a node with one incident."""
    node = open_node()
    node.call("I1")
    return node


def is_embedded(node: Node) -> bool:
    return node.engine.dialect.name == "sqlite"


def in_one_group(node: Node, *works: Callable[[], Any]) -> list[Any]:
    """Run these at once, so that they share one commit; their answers or errors."""
    gate, waiting = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        waiting.set()
        assert gate.wait(WAIT_S)

    def outcome(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (Refused, StorageError) as error:
            return error

    def done(futures: list[Future[Any]]) -> int:
        return sum(future.done() for future in futures)

    with ThreadPoolExecutor(len(works) + 1) as pool:
        holding = pool.submit(node.log.transact, hold)
        assert waiting.wait(WAIT_S)
        futures: list[Future[Any]] = []
        for n, work in enumerate(works, 1):
            futures.append(pool.submit(outcome, work))
            assert wait_until(lambda n=n: node.log._queue.qsize() + done(futures) >= n, WAIT_S)
        gate.set()
        holding.result(WAIT_S)
        return [future.result(WAIT_S) for future in futures]


# ---- acknowledged means on disk


def test_what_was_acknowledged_is_there_when_the_log_is_opened_again(node: Node, open_node: Open) -> None:
    answer = node.submit(c.AddNote, incident="I1", text="prima")
    assert (answer.facts, answer.replayed, answer.position) == (1, False, node.log.position)
    node.close()
    again = open_node()
    assert again.log.origin == node.log.origin
    assert again.log.position == answer.position
    assert again.picture.now.incident("I1") == node.picture.now.incident("I1")
    # and the chain goes on where it stopped
    again.submit(c.AddNote, incident="I1", text="a doua")
    assert [x.seq for x in again.envelopes()] == [1, 2, 3]
    assert again.log.verify().faults == []


def test_an_answer_is_on_the_disk_before_it_is_given(node: Node) -> None:
    """Read through a connection that knows nothing of the writer, at the moment of each answer."""
    with node.engine.connect() as stranger:
        for n in range(10):
            answer = node.submit(c.AddNote, incident="I1", text=f"nota {n}")
            found = stranger.scalar(select(event.c.type).where(event.c.position == answer.position))
            stranger.rollback()
            assert found == "NoteAdded"


def test_every_connection_to_the_embedded_log_writes_through_to_the_disk(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    for _ in range(2):
        with engine.connect() as connection:
            settings = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "secure_delete")
            }
        assert settings == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


@pytest.mark.parametrize("threads", [1, 8])
def test_a_process_killed_at_any_moment_loses_nothing_it_had_acknowledged(
    database: str, tmp_path: Path, open_node: Open, random: SeededRandom, threads: int
) -> None:
    # A server that has everything imported starts each process in an instant.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.nodes.world"])
    acknowledged: set[str] = set()
    for _ in range(4):
        # When the process dies in the middle of its work
        told, said = context.Pipe(duplex=False)
        process = context.Process(target=storm, args=(database, tmp_path / "var", threads, said), daemon=True)
        process.start()
        said.close()
        until = len(acknowledged) + random.randint(1, 50)
        while len(acknowledged) < until:
            assert told.poll(WAIT_S)
            acknowledged.add(told.recv())
        process.kill()
        process.join()
        # What it could still say before it died counts too
        while told.poll():
            try:
                acknowledged.add(told.recv())
            except EOFError:
                break
    # Then all it had acknowledged is there, under one name, in one chain
    node = open_node()
    assert acknowledged <= node.causes()
    report = node.log.verify()
    assert report.faults == []
    assert len(report.heads) == 1
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert len(incident.notes) == len(node.envelopes()) - 1


# ---- many at once


def test_sixteen_dispatchers_share_commits_and_leave_one_chain(node: Node) -> None:
    commits: list[int] = []
    node.log.after_commit(lambda: commits.append(node.log.position))

    def dispatcher(n: int) -> list[int]:
        return [node.submit(c.AddNote, incident="I1", text=f"{n}/{k}").position for k in range(10)]

    with ThreadPoolExecutor(16) as pool:
        positions = [p for told in pool.map(dispatcher, range(16)) for p in told]
    assert sorted(positions) == list(range(2, 162))
    found = node.envelopes()
    assert [x.seq for x in found] == list(range(1, 162))
    assert [x.prev_hash for x in found] == [GENESIS, *(x.hash for x in found[:-1])]
    assert len(commits) < 160
    assert node.log.verify().faults == []


def test_one_request_that_fails_does_not_take_its_group_along(node: Node) -> None:
    taken, refused, kept = in_one_group(
        node,
        lambda: node.submit(c.AddNote, incident="I1", text="bun"),
        lambda: node.submit(c.AddNote, incident="nowhere", text="rău"),
        lambda: node.submit(c.AddNote, incident="I1", text="bun"),
    )
    assert (taken.facts, kept.facts) == (1, 1)
    assert isinstance(refused, Refused)
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert len(incident.notes) == 2


@pytest.mark.parametrize(
    "poison",
    [
        {"place": c.Place(math.nan, 44.4)},
        {"place": c.Place(math.inf, 44.4)},
        {"description": "\ud800"},
        {"observed_us": 2**70},
        {"observed_us": -1},
        {"id": "x" * 101},
        {"id": "a\x00b"},
        {"incident": "x" * 101},
        {"incident": "a\x00b"},
        {"caller": {"name": object()}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_cannot_be_kept_is_refused_alone_and_leaves_nothing(node: Node, poison: dict[str, Any]) -> None:
    before = node.log.position
    bad: dict[str, Any] = {"incident": "I-bad", "type": "F01", "place": PLACE, **poison}
    first, refused, last = in_one_group(
        node,
        lambda: node.submit(c.AddNote, incident="I1", text="înainte"),
        lambda: node.submit(c.ReportIncident, **bad),
        lambda: node.submit(c.AddNote, incident="I1", text="după"),
    )
    assert isinstance(refused, Refused)
    assert (refused.code, refused.kind) == ("cannot-be-kept", "invalid")
    assert (first.position, last.position) == (before + 1, before + 2)
    assert [x.type for x in node.envelopes()[before:]] == ["NoteAdded", "NoteAdded"]
    report = node.log.verify()
    assert report.faults == []
    assert len(node.sealed()) == report.sealed
    # The number that it would have had goes to the next call
    node.call("I2")
    incident = node.picture.now.incident("I2")
    assert incident is not None
    assert incident.number == "C1-2"


def test_whoever_listens_to_the_log_cannot_spoil_an_answer(node: Node) -> None:
    def clumsy() -> None:
        raise RuntimeError("a console fell over")

    node.log.after_commit(clumsy)
    for n in range(3):
        assert node.submit(c.AddNote, incident="I1", text=f"{n}").facts == 1


# ---- the same request again


def test_a_retry_gets_the_same_answer_and_changes_nothing(node: Node) -> None:
    first = node.submit(c.AddNote, id="the-request", incident="I1", text="o dată")
    node.submit(c.AddNote, incident="I1", text="alta")
    again = node.submit(c.AddNote, id="the-request", incident="I1", text="o dată")
    assert (again.position, again.facts, again.replayed) == (first.position, 0, True)
    assert len(node.envelopes()) == 3


def test_an_id_used_for_something_else_is_refused(node: Node) -> None:
    node.submit(c.AddNote, id="the-request", incident="I1", text="o dată")
    for kind, fields in (
        (c.AddNote, {"incident": "I1", "text": "altceva"}),
        (c.AddNote, {"incident": "I1", "text": "o dată", "source": "radio"}),
        (c.CloseIncident, {"incident": "I1", "outcome": "o dată"}),
    ):
        with pytest.raises(Refused) as caught:
            node.submit(kind, id="the-request", **fields)
        assert (caught.value.code, caught.value.kind, caught.value.field) == ("id-reused", "conflict", "id")
    assert len(node.envelopes()) == 2


def test_a_retry_that_meets_the_first_in_one_commit_is_still_a_retry(node: Node) -> None:
    def ask(words: str) -> Callable[[], Any]:
        return lambda: node.submit(c.AddNote, id="the-request", incident="I1", text=words)

    first, again, misuse = in_one_group(node, ask("o dată"), ask("o dată"), ask("altceva"))
    assert (first.facts, again.facts, again.replayed) == (1, 0, True)
    assert first.position == again.position
    assert isinstance(misuse, Refused)
    assert misuse.code == "id-reused"
    assert len(node.envelopes()) == 2


def test_a_retry_is_known_after_a_restart_and_by_another_process(node: Node, open_node: Open) -> None:
    first = node.submit(c.AddNote, id="the-request", incident="I1", text="o dată")
    other = open_node()
    assert other.submit(c.AddNote, id="the-request", incident="I1", text="o dată").replayed
    node.close()
    again = open_node().submit(c.AddNote, id="the-request", incident="I1", text="o dată")
    assert (again.position, again.replayed) == (first.position, True)
    with pytest.raises(Refused, match="already used"):
        other.submit(c.AddNote, id="the-request", incident="I1", text="altceva")


# ---- two processes, one database


def test_two_processes_never_send_one_unit_twice_and_see_the_same(node: Node, open_node: Open) -> None:
    other = open_node()
    units = [node.unit_on_duty(f"PL{n}") for n in range(8)]
    node.call("I2")
    reasons: set[str] = set()

    def send(where: Node, incident: str) -> list[str]:
        got = []
        for unit in units:
            try:
                where.submit(c.AssignUnits, incident=incident, units=(unit,))
                got.append(unit)
            except Refused as refusal:
                reasons.add(refusal.code)
        return got

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, node, "I1")
        second = pool.submit(send, other, "I2")
        sent = first.result(WAIT_S) + second.result(WAIT_S)
    # Every unit went to exactly one incident
    assert reasons == {"unit-taken"}
    assert sorted(sent) == sorted(units)
    # and both processes show it, without being asked
    last = max(node.log.position, other.log.position)
    for process in (node, other):
        assert wait_until(lambda p=process: p.picture.position == last, WAIT_S)
        naive = naive_picture(process.envelopes())
        assert {s: process.picture.get(s) for s in naive} == naive
    assert [x.seq for x in node.envelopes()] == list(range(1, last + 1))
    assert node.log.verify().faults == []


def test_a_process_that_starts_sees_what_happens_while_it_starts(node: Node, open_node: Open) -> None:
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            node.submit(c.AddNote, incident="I1", text="x")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(keep_writing)
        others = [open_node() for _ in range(3)]
        stop.set()
        writing.result(WAIT_S)
    for other in others:
        assert wait_until(lambda o=other: o.picture.position == node.log.position, WAIT_S)
        assert other.picture.now.incident("I1") == node.picture.now.incident("I1")


# ---- full disks, lost databases


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_on_a_full_disk_nothing_is_acknowledged_nothing_lost_and_it_goes_on_when_there_is_room(
    database: str, tmp_path: Path, clock: FakeClock, random: SeededRandom, open_node: Open
) -> None:
    open_node().close()
    pages_max = {"": _pages(tmp_path / "straja.db") + 25}
    engine = open_engine(database)

    def limit(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages_max['']}")

    sqlalchemy_event.listen(engine, "connect", limit)
    node = Node(database, tmp_path / "var", clock, random, engine=engine)
    # Given a disk that fills up while calls come in
    kept: list[str] = []
    while _succeeds(lambda: node.call(f"I{len(kept)}", id=f"call-{len(kept)}", description="x" * 500)):
        kept.append(f"I{len(kept)}")
        assert len(kept) < 5_000
    assert len(kept) > 5
    with pytest.raises(StorageError) as caught:
        node.call(f"I{len(kept)}", id=f"call-{len(kept)}", description="x" * 500)
    assert caught.value.code == "disk-full"
    # Then the trouble stands for as long as it lasts, however often the log tries again, wakes up, or answers
    # what it has answered before
    assert node.log.trouble == caught.value.detail
    tries, seen = _database_errors(), set()

    def tried_again() -> bool:
        node.log.wake()
        report = {"incident": "I0", "type": "F01", "place": PLACE, "description": "x" * 500}
        assert node.submit(c.ReportIncident, id="call-0", **report).replayed
        seen.add(node.log.trouble)
        return _database_errors() >= tries + 3

    assert wait_until(tried_again, WAIT_S)
    assert seen == {caught.value.detail}
    # and what was acknowledged is there, what was not is not, and nothing is shown that is not on disk
    refused = f"I{len(kept)}"
    for subject in [f"incident:{x}" for x in kept]:
        assert node.picture.get(subject) is not None
    assert node.picture.now.incident(refused) is None
    naive = naive_picture(node.envelopes())
    assert {s: node.picture.get(s) for s in naive} == naive
    assert {x.id for x in node.picture.now.incidents()} == set(kept)
    # When there is room again, the very same request succeeds
    pages_max[""] = 1_000_000
    retry = lambda: node.call(refused, id=f"call-{len(kept)}", description="x" * 500)  # noqa: E731
    assert wait_until(lambda: _succeeds(retry), WAIT_S)
    assert node.log.trouble is None
    incident = node.picture.now.incident(refused)
    assert incident is not None
    assert incident.number == f"C1-{len(kept) + 1}"
    assert node.log.verify().faults == []
    node.close()


def _pages(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count = int(connection.execute("PRAGMA page_count").fetchone()[0])
    connection.close()
    return count


def _database_errors() -> float:
    return float(metrics.DATABASE_ERRORS.labels("log")._value.get())


def _succeeds(call: Callable[[], Any]) -> bool:
    try:
        call()
    except StorageError:
        return False
    return True


@dataclasses.dataclass
class FakeDisk:
    free: int

    def free_bytes(self, path: Path) -> int:
        return self.free


def test_the_last_space_on_the_disk_is_left_alone(open_node: Open) -> None:
    disk = FakeDisk(10_000_000)
    node = open_node(disk=disk, reserve_bytes=1_000_000)
    node.call("I1")
    # When less is free than the reserve
    disk.free = 999_999
    with pytest.raises(StorageError) as caught:
        node.submit(c.AddNote, incident="I1", text="x")
    assert caught.value.code == "disk-full"
    assert "1 MB" in caught.value.detail
    assert node.log.trouble == caught.value.detail
    # Then reading goes on, and the trouble lasts as long as it lasts
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert incident.notes == ()
    # When space returns, the log finds out by itself
    disk.free = 2_000_000
    assert wait_until(lambda: node.log.trouble is None, WAIT_S)
    assert node.submit(c.AddNote, incident="I1", text="x").facts == 1


def test_whoever_is_refused_for_want_of_space_finds_the_trouble_at_that_very_moment(open_node: Open) -> None:
    # Given a log that has seen room enough, and looks again only when something is written
    disk = FakeDisk(10_000_000)
    node = open_node(disk=disk, reserve_bytes=1_000_000)
    assert wait_until(lambda: node.log._space_at_s > node.clock.monotonic_s(), WAIT_S)
    disk.free = 999_999
    found: list[str | None] = []

    class Watched(Promise[Any]):
        """Looks at what the writer's trouble is at the moment it is told of the failure."""

        __slots__ = ()

        def fail(self, error: BaseException) -> None:
            found.append(node.log.trouble)
            super().fail(error)

    asked = Watched()
    node.log._queue.put(_Work(lambda _: None, None, asked))
    with pytest.raises(StorageError) as caught:
        asked.result()
    assert found == [caught.value.detail]


def test_a_closed_log_has_let_go_of_the_database(open_node: Open) -> None:
    node = open_node()
    held: set[int] = set()
    begun: list[int] = []

    def begins(raw: Any, *_: Any) -> None:
        if Path("/proc/thread-self/comm").read_text().strip() == "straja-listen":
            held.add(id(raw))
            begun.append(id(raw))

    sqlalchemy_event.listen(node.engine, "checkout", begins)
    for end in ("checkin", "invalidate", "close"):
        sqlalchemy_event.listen(node.engine, end, lambda raw, *_: held.discard(id(raw)))
    node.call("I1")
    earlier = len(begun)
    if not is_embedded(node):
        # A connection that is made anew is one whose whole life is seen here.
        node.log.transact(lambda tx: tx.connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE datname = current_database() AND query LIKE 'LISTEN%'")
        ).all())  # fmt: skip
        assert wait_until(lambda: len(begun) > earlier, WAIT_S)
    # When it is closed
    node.log.stop()
    # Then no thread is inside the driver any more: the interpreter may end.
    assert held == set()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_lost_database_connection_is_an_error_and_then_mended(node: Node) -> None:
    def cut(tx: Transaction) -> None:
        tx.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    for n in range(3):
        node.submit(c.AddNote, incident="I1", text=f"înainte {n}")
        answers = in_one_group(
            node,
            lambda n=n: node.submit(c.AddNote, id=f"caught-{n}", incident="I1", text="prins"),
            lambda: node.log.transact(cut),
        )
        # Nobody in that commit was told that it was kept
        assert all(isinstance(x, StorageError) and x.code == "storage-unavailable" for x in answers)
        again = node.submit(c.AddNote, id=f"caught-{n}", incident="I1", text="prins")
        assert (again.facts, again.replayed) == (1, False)
    assert node.log.trouble is None
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert len(incident.notes) == 6
    assert node.log.verify().faults == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_that_cuts_everybody_off_is_followed_again(node: Node, open_node: Open) -> None:
    other = open_node()
    with node.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert wait_until(lambda: _succeeds(lambda: node.submit(c.AddNote, incident="I1", text="x")), WAIT_S)
    assert wait_until(lambda: other.picture.position == node.log.position, WAIT_S)
    assert other.picture.now.incident("I1") == node.picture.now.incident("I1")


# ---- the chain tells


def spoil_data(node: Node) -> None:
    with node.engine.begin() as connection:
        found = connection.scalar(select(event.c.data).where(event.c.seq == 2))
        data = json.loads(found)
        data["$source"] = "forged"
        connection.execute(update(event).where(event.c.seq == 2).values(data=json.dumps(data)))


def spoil_json(node: Node) -> None:
    with node.engine.begin() as connection:
        connection.execute(update(event).where(event.c.seq == 2).values(data='{"$sealed"'))


def lose_an_event(node: Node) -> None:
    with node.engine.begin() as connection:
        connection.execute(delete(event).where(event.c.seq == 3))


def swap_events(node: Node) -> None:
    with node.engine.begin() as connection:
        for old, new in ((3, 99), (4, 3), (99, 4)):
            connection.execute(update(event).where(event.c.seq == old).values(seq=new))


def rewrite_an_event(node: Node) -> None:
    """By somebody who knows how the hash is made."""
    (envelope,) = [x for x in node.envelopes() if x.seq == 3]
    forged = dataclasses.replace(envelope, actor="dispatcher:nobody")
    with node.engine.begin() as connection:
        connection.execute(
            update(event).where(event.c.seq == 3).values(actor=forged.actor, hash=forged.digest())
        )


def spoil_a_ciphertext(node: Node) -> None:
    with node.engine.begin() as connection:
        ident, blob = connection.execute(select(private.c.id, private.c.ciphertext)).first() or ("", b"")
        torn = blob[:-1] + bytes([blob[-1] ^ 1])
        connection.execute(update(private).where(private.c.id == ident).values(ciphertext=torn))


def lose_a_ciphertext(node: Node) -> None:
    with node.engine.begin() as connection:
        ident = connection.scalar(select(private.c.id))
        connection.execute(delete(private).where(private.c.id == ident))


def lose_a_key(node: Node) -> None:
    with node.engine.begin() as connection:
        ident = connection.scalar(select(private_key.c.id))
        connection.execute(delete(private_key).where(private_key.c.id == ident))


def bring_back_what_was_erased(node: Node) -> None:
    with node.engine.connect() as connection:
        rows = {x: list(connection.execute(select(x)).mappings()) for x in (private, private_key)}
    node.submit(c.CloseIncident, incident="I1", outcome="gata")
    node.submit(c.ErasePersonalData, incident="I1", reason="cerere")
    with node.engine.begin() as connection:
        for table, kept in rows.items():
            connection.execute(delete(table).where(table.c.id.in_([row["id"] for row in kept])))
            connection.execute(insert(table), [dict(row) for row in kept])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_data, ["event 2 was altered"]),
        (spoil_json, ["event 2 was altered"]),
        (lose_an_event, ["event 3 is missing", "event 4 does not follow"]),
        (swap_events, ["event 3 ", "event 4 "]),
        (rewrite_an_event, ["event 4 does not follow"]),
        (spoil_a_ciphertext, ["was altered"]),
        (lose_a_ciphertext, ["is missing and was never erased"]),
        (lose_a_key, ["has lost its key"]),
        (bring_back_what_was_erased, ["was erased and is back"]),
    ],
)
def test_verify_finds_what_was_done_to_the_log(
    node: Node, spoil: Callable[[Node], None], words: Sequence[str]
) -> None:
    for n in range(4):
        node.submit(c.AddNote, incident="I1", text=f"nota {n}")
    good = node.log.verify()
    assert (good.events, good.faults) == (5, [])
    assert list(good.heads) == [node.log.origin]
    assert good.heads[node.log.origin] == (5, node.envelopes()[-1].hash)
    spoil(node)
    faults = node.log.verify().faults
    for word in words:
        assert any(word in fault for fault in faults), faults


def test_a_log_that_was_verified_says_how_much_it_holds(node: Node) -> None:
    node.submit(c.AddNote, incident="I1", text="x")
    seen: list[int] = []
    report = node.log.verify(seen.append)
    assert (report.events, report.sealed, report.erased) == (2, 2, 0)
    node.submit(c.CloseIncident, incident="I1", outcome="gata")
    node.submit(c.ErasePersonalData, incident="I1", reason="cerere")
    report = node.log.verify()
    assert (report.faults, report.sealed, report.erased) == ([], 0, 3)


# ---- what can be made again


def test_the_search_index_is_made_again_from_the_log_alone(node: Node, open_node: Open) -> None:
    node.call("I2", case_numbers=(("STS112", "77"),))
    node.submit(c.CloseIncident, incident="I2", outcome="x")
    node.call("I3")

    def index() -> list[dict[str, Any]]:
        with node.engine.connect() as connection:
            query = select(incident_index).order_by(incident_index.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]

    before = index()
    assert [(row["id"], row["number"], row["state"]) for row in before] == [
        ("I1", "C1-1", "open"),
        ("I2", "C1-2", "closed"),
        ("I3", "C1-3", "open"),
    ]
    with node.engine.begin() as connection:
        connection.execute(update(incident_index).values(state="nonsense", numbers=""))
    assert rebuild(node.engine) == 3
    assert index() == before
    # When all that can be dropped was dropped, a start makes it anew and shows the same board
    with node.engine.begin() as connection:
        connection.execute(delete(incident_index))
    other = open_node()
    assert {x.id for x in other.picture.now.incidents() if x.open} == {"I1", "I3"}
    assert index() == before
    # And so does a program that keeps other columns there than the one before it
    with node.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE incident_index ADD COLUMN reported_at BIGINT")
    open_node()
    assert index() == before


# ---- cursors


def test_a_cursor_leads_back_to_its_position_and_says_nothing_else(node: Node) -> None:
    cursor = node.log.cursor(7)
    assert node.log.position_of(cursor) == 7
    assert "C1" not in cursor
    for other in ("", "x", cursor[:-3], cursor + "zz", "AAAA", "č", "C1#0:7", cursor.swapcase()):
        assert node.log.position_of(other) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_cursor_of_another_incarnation_leads_nowhere(node: Node, open_node: Open) -> None:
    cursor = node.log.cursor(node.log.position)
    node.close()
    (node.folder / "lineage").unlink()
    again = open_node()
    assert again.log.origin != node.log.origin
    assert again.log.position_of(cursor) is None


# ---- copies


def closed_copy(node: Node, to: Path) -> Path:
    """What a backup of the database file holds."""
    with sqlite3.connect(node.folder.parent / "straja.db") as source, sqlite3.connect(to) as target:
        source.backup(target)
    source.close()
    target.close()
    return to


def put_back(copy: Path, database: Path) -> None:
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(copy, database)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_backup_put_back_takes_a_new_name_and_uses_no_number_twice(
    node: Node, open_node: Open, tmp_path: Path
) -> None:
    backup = closed_copy(node, tmp_path / "backup.db")
    node.call("I2")
    lost = node.envelopes()[-1]
    node.close()
    put_back(backup, tmp_path / "straja.db")
    # When the restored log goes on
    again = open_node()
    again.call("I3")
    names = {(x.origin, x.seq) for x in again.envelopes()}
    # Then what was lost, should it come back from a peer, finds its place free
    assert (lost.origin, lost.seq) not in names
    assert again.log.origin != lost.origin
    second = closed_copy(again, tmp_path / "second.db")
    assert again.log.merge(over_the_wire([lost])).accepted == {lost.origin: 1}
    assert again.log.verify().heads.keys() == {lost.origin, again.log.origin}
    # and the same backup put back once more is once more another log
    again.close()
    put_back(backup, tmp_path / "straja.db")
    third = open_node()
    assert len({node.log.origin, again.log.origin, third.log.origin}) == 3
    # and so is a copy of the second, put back before the third had said anything
    third.close()
    put_back(second, tmp_path / "straja.db")
    assert open_node().log.origin not in {x.log.origin for x in (node, again, third)}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_copied_folder_is_another_log_and_the_original_stays_itself(
    node: Node, open_node: Open, tmp_path: Path, clock: FakeClock, random: SeededRandom
) -> None:
    node.close()
    clone = tmp_path / "clone"
    shutil.copytree(node.folder, clone)
    shutil.copyfile(tmp_path / "straja.db", clone / "straja.db")
    twin = Node(f"sqlite:///{clone / 'straja.db'}", clone, clock, random)
    again = open_node()
    assert again.log.origin == node.log.origin
    assert twin.log.origin != node.log.origin
    # Both may go on, and when they meet they understand each other
    again.call("I2")
    twin.call("I3")
    assert again.pull(twin).quarantined == {}
    assert twin.pull(again).quarantined == {}
    assert twin.log.have() == again.log.have()
    twin.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_after_the_mark_was_moved_on_any_earlier_copy_is_known_for_one(
    node: Node, open_node: Open, tmp_path: Path
) -> None:
    backup = closed_copy(node, tmp_path / "backup.db")
    node.log.renew_mark()
    node.close()
    # The log itself is still itself
    again = open_node()
    assert again.log.origin == node.log.origin
    again.close()
    put_back(backup, tmp_path / "straja.db")
    assert open_node().log.origin != node.log.origin


def test_a_restart_keeps_the_name(node: Node, open_node: Open) -> None:
    for _ in range(3):
        node.close()
        again = open_node()
        assert again.log.origin == node.log.origin
        node = again


# ---- times


def test_clocks_that_jump_change_no_order(node: Node, clock: FakeClock) -> None:
    for days in (30, -60, 5):
        clock.jump(days * 86_400)
        node.submit(c.AddNote, incident="I1", text=f"{days}")
    found = node.envelopes()
    assert [x.lamport for x in found] == [1, 2, 3, 4]
    # The time for people never goes back within a stream; when it was seen is what the clock said
    recorded = [x.recorded_at for x in found]
    assert recorded == sorted(set(recorded))
    assert found[2].observed_at < found[1].observed_at


def test_a_log_that_is_closed_says_so(node: Node) -> None:
    node.close()
    with pytest.raises(StorageError, match="closed"):
        node.submit(c.AddNote, incident="I1", text="x")


def test_reading_pages_through_the_log(node: Node) -> None:
    for n in range(5):
        node.submit(c.AddNote, incident="I1", text=f"{n}")
    assert [x.position for x in node.log.read(after=2, limit=2)] == [3, 4]
    assert [x.position for x in node.log.read(after=2, until=5)] == [3, 4, 5]
    last = node.envelopes()
    assert node.log.have() == {node.log.origin: (6, last[5].hash)}
    envelopes, blobs = node.log.missing({node.log.origin: (4, last[3].hash)})
    assert [x.seq for x in envelopes] == [5, 6]
    assert len(blobs) == 2
    assert isinstance(node.log, Log)
    assert is_embedded(node) == node.log.embedded
