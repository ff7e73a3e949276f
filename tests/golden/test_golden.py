"""Logs that every later version must read: the same facts, the same state, the same hashes, the same words.

`log-vN.jsonl` is a night at two stations, one line an event in the frozen envelope or a sealed value with its
key; `state-vN.json` is what it folds to. Both are frozen: they are never made anew, so that a change of the
program cannot change them with it. A version of the program that adds an event type or a version of one adds
`log-v2.jsonl` and `state-v2.json` beside these, with at least one event of each new form, and its number to
VERSIONS. A field that a new version adds to the state of an old log is not held against it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.log import HASH_VERSION, Envelope
from app.tables import erased
from app.vault import Blob
from dispatch import events as e
from tests.nodes.world import Node, naive_picture, shared

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

HERE = Path(__file__).parent
VERSIONS = (1, 2, 3, 4, 5, 6, 7, 8)


@dataclasses.dataclass(frozen=True)
class Golden:
    envelopes: list[Envelope]
    blobs: list[Blob]
    state: dict[str, Any]
    clear: dict[str, Any]
    heads: dict[str, list[Any]]


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest) -> Golden:
    envelopes, blobs = [], []
    for line in (HERE / f"log-v{request.param}.jsonl").read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)
        if "ciphertext" in raw:
            blobs.append(Blob(raw["id"], bytes.fromhex(raw["ciphertext"]), bytes.fromhex(raw["key"])))
        else:
            envelopes.append(Envelope(**raw, position=len(envelopes) + 1, received_at=raw["recorded_at"]))
    kept = json.loads((HERE / f"state-v{request.param}.json").read_text(encoding="utf-8"))
    return Golden(envelopes, blobs, kept["state"], kept["clear"], kept["heads"])


@pytest.fixture
def node(database: str, tmp_path: Path, clock: FakeClock, random: SeededRandom) -> Iterator[Node]:
    node = Node(database, tmp_path / "var", clock, random, station="later")
    yield node
    node.close()


def as_json(value: Any) -> Any:
    """An entity as the golden state writes it."""
    if isinstance(value, e.Sealed):
        return {"$sealed": value.id, "sha256": value.sha256}
    if dataclasses.is_dataclass(value):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return value


def as_before(now: Any, then: Any) -> Any:
    """What now is, without what a later version added to it."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: as_before(item, then[key]) for key, item in now.items() if key in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [as_before(a, b) for a, b in zip(now, then, strict=True)]
    return now


def test_every_form_of_event_that_ever_was_is_in_a_golden_log() -> None:
    found = set()
    for version in VERSIONS:
        for line in (HERE / f"log-v{version}.jsonl").read_text(encoding="utf-8").splitlines():
            raw = json.loads(line)
            found.add((raw.get("type"), raw.get("version")))
    wanted = {(name, v) for name, kind in e.TYPES.items() for v in range(1, kind.VERSION + 1)}
    assert wanted <= found, f"add a golden log with {sorted(wanted - found)}"


def test_the_golden_log_folds_to_the_golden_state(golden: Golden) -> None:
    folded = {s: as_json(shared(x)) for s, x in naive_picture(golden.envelopes).items()}
    assert folded.keys() == golden.state.keys()
    for subject, then in golden.state.items():
        assert as_before(folded[subject], then) == then, subject


def test_the_golden_log_is_taken_verified_and_opened_by_a_node_of_today(golden: Golden, node: Node) -> None:
    # When a node of today gets it from an old one
    merged = node.log.merge(golden.envelopes, golden.blobs)
    assert merged.quarantined == {}
    assert sum(merged.accepted.values()) == len(golden.envelopes)
    # Then every chain holds, down to the very hashes
    report = node.log.verify()
    assert report.faults == []
    assert {origin: list(head) for origin, head in report.heads.items()} == golden.heads
    # its picture is the golden state
    for subject, then in golden.state.items():
        assert as_before(as_json(shared(node.picture.get(subject))), then) == then, subject
    # and the words are readable, but for those that were erased
    assert node.vault.open([e.Sealed(ident, "") for ident in golden.clear]) == golden.clear
    assert node.sealed() == set(golden.clear)
    gone = set(node.column(erased.c.id))
    assert gone == {blob.id for blob in golden.blobs} - golden.clear.keys()
    assert gone


def test_the_envelope_is_frozen(golden: Golden) -> None:
    for envelope in golden.envelopes:
        assert envelope.hash_version <= HASH_VERSION
        assert envelope.digest() == envelope.hash
        assert e.canonical(json.loads(envelope.data)) == envelope.data
        assert e.canonical(json.loads(envelope.subjects)) == envelope.subjects
