"""Personal data: readable by who may read it, and gone from the disk when it was erased."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from app.tables import erased, event, private, private_key
from app.vault import CACHE_MAX, Vault
from dispatch import commands as c
from dispatch import events as e
from tests.dispatch.story import PLACE
from tests.nodes.world import Node, over_the_wire

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

SECRET = "Ioana-Dragomirescu-Strada-Lipscani-12"


@pytest.fixture
def open_node(tmp_path: Path, clock: FakeClock, random: SeededRandom) -> Iterator[Callable[[str], Node]]:
    opened: list[Node] = []

    def open_one(name: str = "C1") -> Node:
        home = tmp_path / name
        node = Node(f"sqlite:///{home / 'straja.db'}", home, clock, random, station=name)
        opened.append(node)
        return node

    yield open_one
    for node in opened:
        node.close()


@pytest.fixture
def node(open_node: Callable[[str], Node]) -> Node:
    """Given a closed incident full of personal data."""
    node = open_node("C1")
    node.call("I1", description=SECRET, caller={"name": SECRET})
    node.submit(c.AddNote, incident="I1", text=SECRET)
    node.submit(c.CloseIncident, incident="I1", outcome=SECRET)
    return node


def on_disk(node: Node) -> bytes:
    """Every byte that the database has in its folder."""
    return b"".join(path.read_bytes() for path in sorted(node.folder.iterdir()))


def secrets_of(node: Node) -> dict[str, tuple[bytes, bytes]]:
    """Ciphertext and key of everything sealed."""
    with node.engine.connect() as connection:
        query = select(private.c.id, private.c.ciphertext, private_key.c.key).join(
            private_key, private_key.c.id == private.c.id
        )
        rows = connection.execute(query)
        return {ident: (ciphertext, key) for ident, ciphertext, key in rows if any(ciphertext) or any(key)}


def leftovers(node: Node, secrets: dict[str, tuple[bytes, bytes]]) -> list[str]:
    """What can still be found in the files: whole values and any 16 bytes of them."""
    raw = on_disk(node)
    found = []
    for ident, (ciphertext, key) in secrets.items():
        for name, value in (("ciphertext", ciphertext), ("key", key)):
            pieces = [value[at : at + 16] for at in range(0, len(value) - 15, 16)]
            found += [f"{name} of {ident}" for piece in pieces if piece in raw]
    return found


# ---- sealing


def test_nothing_personal_stands_in_clear_on_the_disk(node: Node) -> None:
    assert SECRET.encode() not in on_disk(node)
    assert leftovers(node, secrets_of(node))
    for column in (event.c.data, event.c.subjects, event.c.actor):
        assert not any(SECRET in value for value in node.column(column))


def test_who_may_read_it_reads_it_also_after_a_restart(node: Node) -> None:
    incident = node.picture.now.incident("I1")
    assert incident is not None
    sealed = [x for x in (incident.description, incident.caller, incident.outcome) if isinstance(x, e.Sealed)]
    fresh = Vault(node.engine, node.random)
    opened = fresh.open(sealed)
    assert [opened[x.id] for x in sealed] == [SECRET, {"name": SECRET}, SECRET]
    with node.engine.connect() as connection:
        assert fresh.open(sealed, connection) == node.vault.open(sealed)


def test_every_value_has_a_key_of_its_own(node: Node) -> None:
    secrets = secrets_of(node)
    assert len({key for _, key in secrets.values()}) == len(secrets) == 5
    # The same words sealed twice do not look alike
    assert len({ciphertext for ciphertext, _ in secrets.values()}) == 5
    assert len({ciphertext[:12] for ciphertext, _ in secrets.values()}) == 5


def test_a_value_that_was_moved_or_altered_is_not_opened(node: Node) -> None:
    incident = node.picture.now.incident("I1")
    assert incident is not None
    description, outcome = incident.description, incident.outcome
    assert isinstance(description, e.Sealed)
    assert isinstance(outcome, e.Sealed)
    secrets = secrets_of(node)
    with node.engine.begin() as connection:
        # Somebody exchanges two values, keys and all: each is bound to its own id
        for mine, other in ((description, outcome), (outcome, description)):
            ciphertext, key = secrets[other.id]
            where = private.c.id == mine.id
            connection.execute(private.update().where(where).values(ciphertext=ciphertext))
            connection.execute(private_key.update().where(private_key.c.id == mine.id).values(key=key))
    assert Vault(node.engine, node.random).open([description, outcome]) == {}


def test_the_vault_forgets_the_oldest_when_it_remembers_too_much(node: Node) -> None:
    for n in range(CACHE_MAX + 10):
        node.vault.remember(f"{n}", n)
    found = node.vault.open([e.Sealed("5", ""), e.Sealed(str(CACHE_MAX), "")])
    assert found == {str(CACHE_MAX): CACHE_MAX}


# ---- erasing


def test_what_was_erased_is_gone_from_every_byte_of_the_files(node: Node) -> None:
    incident = node.picture.now.incident("I1")
    assert incident is not None
    secrets = secrets_of(node)
    assert leftovers(node, secrets)
    node.submit(c.ErasePersonalData, incident="I1", reason="cerere")
    assert leftovers(node, secrets) == []
    # Neither memory nor disk gives it back, and the chain is whole
    assert isinstance(incident.description, e.Sealed)
    assert node.vault.open([incident.description]) == {}
    assert Vault(node.engine, node.random).open([incident.description]) == {}
    report = node.log.verify()
    assert (report.faults, report.sealed, report.erased) == ([], 0, 5)


def test_erasing_one_of_many_leaves_no_trace_where_pages_were_split_and_joined(
    open_node: Callable[[str], Node], random: SeededRandom
) -> None:
    node = open_node("C1")
    for n in range(100):
        node.call(f"I{n}", description="x" * random.randint(1, 3_000), caller={"name": SECRET})
        node.submit(c.CloseIncident, incident=f"I{n}", outcome="gata")
    everything = secrets_of(node)
    victims = random.sample(range(100), 90)
    for n in victims:
        node.submit(c.ErasePersonalData, incident=f"I{n}", reason="cerere")
    gone = set(node.column(erased.c.id))
    assert len(gone) == 4 * 90
    assert leftovers(node, {ident: everything[ident] for ident in gone}) == []
    assert len(secrets_of(node)) == 4 * 10


def test_a_reader_that_stands_in_the_way_delays_the_scrubbing_and_not_the_answer(node: Node) -> None:
    from app.up import wait_until

    secrets = secrets_of(node)
    with node.engine.connect() as reader:
        reader.execute(select(event.c.position)).first()
        reader.exec_driver_sql("BEGIN")
        reader.execute(select(event.c.position)).all()
        assert node.submit(c.ErasePersonalData, incident="I1", reason="cerere").facts == 1
        reader.exec_driver_sql("ROLLBACK")
    assert wait_until(lambda: leftovers(node, secrets) == [], 10)


def test_what_was_written_and_erased_in_one_commit_is_not_remembered(node: Node) -> None:
    incident = node.picture.now.incident("I1")
    assert incident is not None

    def both(tx: Any) -> str:
        common = {
            "request_hash": "0",
            "actor": "admin:admin",
            "source": "console",
            "observed_us": None,
            "epoch_of": lambda _: 0,
        }
        tx.append([e.NoteAdded("I1", e.Private(SECRET))], cause="note", **common)
        (ident,) = tx.clear
        tx.append([e.PersonalDataErased("I1", (ident,), "cerere")], cause="erase", **common)
        return str(ident)

    ident = node.log.transact(both)
    assert node.vault.open([e.Sealed(ident, "")]) == {}
    assert ident not in secrets_of(node)


def test_a_reader_that_fetched_it_a_moment_before_does_not_bring_it_back(node: Node) -> None:
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert isinstance(incident.description, e.Sealed)
    node.submit(c.ErasePersonalData, incident="I1", reason="cerere")
    node.vault.remember(incident.description.id, SECRET)
    assert node.vault.open([incident.description]) == {}


# ---- copies at other stations


def test_a_second_station_that_held_a_copy_erases_it_when_it_hears(
    node: Node, open_node: Callable[[str], Node]
) -> None:
    other = open_node("C2")
    other.pull(node)
    secrets = secrets_of(other)
    assert secrets == secrets_of(node)
    incident = other.picture.now.incident("I1")
    assert incident is not None
    assert isinstance(incident.description, e.Sealed)
    assert other.vault.open([incident.description])
    node.submit(c.ErasePersonalData, incident="I1", reason="cerere")
    other.pull(node)
    assert leftovers(other, secrets) == []
    assert other.vault.open([incident.description]) == {}
    assert other.log.verify().faults == []


def test_what_was_erased_stays_away_when_an_old_copy_arrives_later(
    node: Node, open_node: Callable[[str], Node]
) -> None:
    # Given an old message that still carries the data, on its way
    envelopes, blobs = node.log.missing({})
    assert len(blobs) == 5
    # and an administrator of another station, who knows the incident and erases it
    other, third = open_node("C2"), open_node("C3")
    other.pull(node)
    other.submit(c.ErasePersonalData, incident="I1", reason="cerere")
    # When a third station hears of the erasure first and of the data after it
    erasure, _ = other.log.missing(node.log.have())
    third.log.merge(over_the_wire(erasure))
    assert third.log.merge(over_the_wire(envelopes), blobs).accepted == {node.log.origin: 3}
    # Then nothing of it was ever kept there
    secrets = {blob.id: (blob.ciphertext, blob.key) for blob in blobs}
    assert leftovers(third, secrets) == []
    assert secrets_of(third) == {}
    assert third.log.verify().faults == []
    # and the first station, which had it, loses it with the news
    node.pull(other)
    assert leftovers(node, secrets) == []


def test_sealed_data_that_no_event_asks_for_is_not_kept(node: Node, open_node: Callable[[str], Node]) -> None:
    other = open_node("C2")
    _, blobs = node.log.missing({})
    assert other.log.merge([], blobs).accepted == {}
    assert secrets_of(other) == {}


def test_the_place_on_the_map_outlives_the_address(node: Node) -> None:
    node.submit(c.ErasePersonalData, incident="I1", reason="cerere")
    incident = node.picture.now.incident("I1")
    assert incident is not None
    assert incident.coarse == (round(PLACE.lon, 3), round(PLACE.lat, 3))
    assert incident.sealed == incident.erased
