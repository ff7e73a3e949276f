"""The language of the domain's tests: given what has happened, when somebody asks, then these facts follow.

A `Story` is one node without a database. Every fact that a command causes goes through the log's own form
(sealed, encoded, decoded) before it is folded, so that each story also proves that nothing is lost there.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import SYSTEM, Actor, Context, Refused
from dispatch.incident import Incident
from dispatch.plans import Pack, load_pack
from dispatch.state import MemorySlots, State, apply, decide, fold, refolds
from dispatch.unit import Unit

__all__ = ["ANA", "BOGDAN", "CREW", "SYSTEM", "Story", "meet", "pack"]

ANA = Actor("ana", "dispatcher", frozenset({"*"}))
BOGDAN = Actor("bogdan", "dispatcher", frozenset({"nord"}))
CREW = Actor("echipaj", "field", frozenset({"centru"}), unit="PL1")

START_US = 1_795_402_800_000_000
PLACE = c.Place(26.1025, 44.4268, "Strada Lipscani 12", {"street": "Strada Lipscani", "number": "12"})

_causes = itertools.count(1)


@cache
def pack(name: str = "ro") -> Pack:
    path = Path(__file__).parents[2] / "packs" / f"{name}.yaml"
    return load_pack(yaml.safe_load(path.read_text(encoding="utf-8")))


class Story:
    """One node's state. Time passes only with `after`."""

    def __init__(self, station: str = "C1", district: str = "centru", incarnation: str = "a") -> None:
        self.station = station
        self.district = district
        self.origin = f"{station}#{incarnation}"
        self.now_us = START_US
        self.records: list[e.Recorded] = []
        self.secrets: dict[str, Any] = {}
        self.last = ""
        """The request that was last made."""
        self.slots = MemorySlots()
        self.state = State(self.slots)

    # ---- when

    def when(self, kind: type[c.Command], /, by: Actor = ANA, **fields: Any) -> tuple[e.Event, ...]:
        """Somebody asks; the facts that follow, now part of the story."""
        command = self._command(kind, fields)
        facts = decide(self.state, command, self._context(by))
        self.last = command.id
        kept = tuple(self._through_the_log(fact, command.source) for fact in facts)
        for index, fact in enumerate(kept):
            self.record(
                fact,
                by=by,
                source=command.source,
                cause=command.id,
                index=index,
                observed_us=command.observed_us,
            )
        return kept

    def refuses(self, kind: type[c.Command], /, by: Actor = ANA, **fields: Any) -> Refused:
        """Somebody asks for what a rule forbids; the refusal."""
        before = dict(self.slots.entities)
        with pytest.raises(Refused) as caught:
            decide(self.state, self._command(kind, fields), self._context(by))
        assert self.slots.entities == before
        assert caught.value.detail.endswith(".")
        return caught.value

    def record(
        self,
        fact: e.Event | None,
        *,
        by: Actor = ANA,
        source: str = "console",
        cause: str = "",
        index: int = 0,
        observed_us: int | None = None,
        subjects: tuple[str, ...] = (),
    ) -> e.Recorded:
        """A fact is recorded here; None stands for one of a type that only a newer program knows."""
        lamport = 1 + max((r.lamport for r in self.records), default=0)
        rec = e.Recorded(
            event=fact,
            type="FromTheFuture" if fact is None else type(fact).__name__,
            position=1 + max((r.position for r in self.records), default=0),
            origin=self.origin,
            seq=1 + sum(r.origin == self.origin for r in self.records),
            lamport=lamport,
            recorded_us=self.now_us,
            observed_us=self.now_us if observed_us is None else observed_us,
            received_us=self.now_us,
            actor=by.label,
            epoch=1,
            cause=cause or f"cause-{next(_causes)}",
            cause_index=index,
            source=source,
            subjects=subjects if fact is None else fact.subjects(),
        )
        self.records.append(rec)
        self.slots.apply(rec)
        return rec

    def after(self, seconds: float) -> Story:
        self.now_us += round(seconds * 1e6)
        return self

    # ---- given

    def call(self, incident: str = "I1", type: str = "F01", **fields: Any) -> str:
        """Given a call."""
        self.when(c.ReportIncident, **{"incident": incident, "type": type, "place": PLACE, **fields})
        return incident

    def unit_on_duty(self, unit: str, type: str = "PL", *, district: str | None = None, **fields: Any) -> str:
        """Given a unit, registered here, on duty and available."""
        self.when(
            c.RegisterUnit,
            unit=unit,
            type=type,
            station=self.station,
            district=district or self.district,
            crew=fields.pop("crew", 4),
            **fields,
        )
        self.when(c.ReportStatus, unit=unit, status="available")
        return unit

    def on_the_way(self, unit: str, *statuses: str) -> None:
        """Given that the unit pressed these statuses, in order."""
        for status in statuses:
            hospital = "Spitalul Floreasca" if status == "transporting" else None
            self.when(c.ReportStatus, unit=unit, status=status, hospital=hospital)

    # ---- then

    def incident(self, incident: str = "I1") -> Incident:
        found = self.state.incident(incident)
        assert found is not None
        return found

    def unit(self, unit: str) -> Unit:
        found = self.state.unit(unit)
        assert found is not None
        return found

    def clear(self, secret: e.Words) -> Any:
        """What a sealed value says, to somebody who may read it."""
        return self.secrets[secret.id] if isinstance(secret, e.Sealed) else None

    # ---- inside

    def _command(self, kind: type[c.Command], fields: dict[str, Any]) -> c.Command:
        return kind(**{"id": f"cause-{next(_causes)}", **fields})

    def _context(self, by: Actor) -> Context:
        return Context(self.now_us, by, self.station, self.district, pack())

    def _through_the_log(self, fact: e.Event, source: str) -> e.Event:
        def sealer(value: Any) -> e.Sealed:
            ident = f"{self.origin}-{len(self.secrets)}"
            self.secrets[ident] = value
            return e.Sealed(ident, hashlib.sha256(e.canonical(value).encode()).hexdigest())

        sealed = e.seal(fact, sealer)
        read, told_by = e.decode(type(fact).__name__, fact.VERSION, e.encode(sealed, source))
        assert read == sealed
        assert told_by == source
        return sealed


def meet(*stories: Story) -> None:
    """The link is back: each node learns the others' facts, and folds anew what they are about."""
    known = {(r.origin, r.seq): r for story in stories for r in story.records}
    secrets = {ident: value for story in stories for ident, value in story.secrets.items()}
    for story in stories:
        have = {(r.origin, r.seq) for r in story.records}
        position = max((r.position for r in story.records), default=0)
        for key in sorted(known.keys() - have):
            position += 1
            story.records.append(replace(known[key], position=position, received_us=story.now_us))
        story.secrets = dict(secrets)
        story.slots.records = list(story.records)
        story.slots.entities = folded(story.records)


def folded(records: Iterable[e.Recorded]) -> dict[str, Any]:
    """Every subject, folded from its facts in causal order."""
    by_subject: dict[str, list[e.Recorded]] = {}
    for rec in records:
        for subject in rec.subjects:
            by_subject.setdefault(subject, []).append(rec)
    found = {subject: fold(subject, facts) for subject, facts in by_subject.items()}
    return {subject: entity for subject, entity in found.items() if entity is not None}


def applied(records: Iterable[e.Recorded]) -> dict[str, Any]:
    """Every subject after these facts, applied in just this order, right or wrong; what a fact takes back is
    applied anew without it."""
    entities: dict[str, Any] = {}
    known: list[e.Recorded] = []
    for rec in records:
        known.append(rec)
        for subject in rec.subjects:
            entity = apply(subject, entities.get(subject), rec)
            if refolds(rec):
                entity = fold(subject, [one for one in known if subject in one.subjects])
            entities[subject] = entity
    return entities
