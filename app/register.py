"""The duty register: a day of the station in one signed file, which anybody can check against the log.

It holds no personal data, so that it may be kept for as long as the law wants: cases with their times and
crews, hand-overs, what was planned, and where the chains of the log stood.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from app.core import Core
from app.log import write_durably
from app.performance import first_position
from app.rows import rfc3339
from app.sheet import city_zone
from app.tables import event, event_subject, incident_index
from dispatch.commands import who
from dispatch.events import canonical
from dispatch.incident import Incident

FORMAT = "straja-register-1"
LOOK_S = 60.0
SETTLE_S = 300
"""How long after midnight a day is written: what was under way at its end is on record by then."""
log = logging.getLogger("straja.register")


def span_of(core: Core, day: date) -> tuple[int, int]:
    """From and until when the day lasts where the city lies, in microseconds since 1970."""
    zone = city_zone(core)
    starts = [datetime(one.year, one.month, one.day, tzinfo=zone) for one in (day, day + timedelta(days=1))]
    first, last = (round(start.timestamp() * 1e6) for start in starts)
    return first, last


def yesterday(core: Core) -> date:
    """The last day that is over where the city lies."""
    now = datetime.fromtimestamp(core.world.clock.now_us() / 1e6, UTC).astimezone(city_zone(core))
    return now.date() - timedelta(days=1)


def of_day(core: Core, day: date) -> dict[str, Any]:
    """The register of a day, not yet signed."""
    from_us, until_us = span_of(core, day)
    state = core.picture.now
    with core.engine.connect() as connection:
        # A call entered from paper was recorded after its day, never before it.
        ids = connection.scalars(
            select(incident_index.c.id).where(incident_index.c.recorded_at >= from_us)
        ).all()
        chains = list(_chains(connection, from_us, until_us))
        # Those of earlier days have left memory.
        handovers = [state.handover(one) for one in _known(connection, "handover")]
        works = [state.planned(one) for one in _known(connection, "planned")]
    cases = [
        x for one in ids if (x := state.incident(one)) is not None and from_us <= x.reported_us < until_us
    ]
    return {
        "format": FORMAT,
        "station": core.config.station,
        "day": day.isoformat(),
        "from": rfc3339(from_us),
        "until": rfc3339(until_us),
        "made_at": rfc3339(core.world.clock.now_us()),
        "cases": [_case(x) for x in sorted(cases, key=lambda x: (x.reported_us, x.id))],
        "handovers": [
            {
                "written_at": rfc3339(x.written_us),
                "written_by": who(x.written_by),
                "taken_at": rfc3339(x.taken_us),
                "taken_by": who(x.taken_by) or None,
                "open_cases": len(x.incidents),
            }
            for x in sorted((x for x in handovers if x is not None), key=lambda x: (x.written_us, x.id))
            if from_us <= x.written_us < until_us
        ],
        "planned": [
            {
                "kind": x.kind,
                "title": x.title,
                "where": x.where,
                "from": rfc3339(x.from_us),
                "until": rfc3339(x.until_us),
                "withdrawn_at": rfc3339(x.withdrawn_us),
            }
            for x in sorted((x for x in works if x is not None), key=lambda x: (x.from_us, x.id))
            if x.from_us < until_us and from_us < x.until_us
        ],
        "chains": chains,
    }


def _known(connection: Connection, kind: str) -> list[str]:
    """Ids of all of a kind that the log ever heard of."""
    subject = event_subject.c.subject
    wanted = select(subject).where(subject >= f"{kind}:", subject < f"{kind};").distinct()
    return [one.partition(":")[2] for one in connection.scalars(wanted)]


def _case(x: Incident) -> dict[str, Any]:
    return {
        "number": x.number,
        "case_numbers": [{"agency": agency, "number": number} for agency, number in x.case_numbers],
        "type": x.type,
        "priority": x.priority,
        "alarm_level": x.alarm_level,
        "coarse": None if x.coarse is None else {"lon": x.coarse[0], "lat": x.coarse[1]},
        "state": "open" if x.open else "closed",
        "reported_at": rfc3339(x.reported_us),
        "recorded_at": rfc3339(x.recorded_us),
        "acknowledged_at": rfc3339(x.acknowledged_us),
        "closed_at": rfc3339(x.closed_us),
        "crews": [
            {"unit": a.unit, "times": {step: rfc3339(us) for step, us in sorted(a.times.items())}}
            for a in x.assignments
        ],
    }


def _chains(connection: Connection, from_us: int, until_us: int) -> Iterator[dict[str, Any]]:
    """By origin, the part of its chain that was recorded in the span. `digest` is SHA-256 over the hashes of
    its events in order, `before` the hash of the event ahead of the first."""
    rows = connection.execute(
        select(event.c.origin, event.c.seq, event.c.prev_hash, event.c.hash)
        .where(
            event.c.position >= first_position(connection, from_us),
            event.c.recorded_at >= from_us,
            event.c.recorded_at < until_us,
        )
        .order_by(event.c.origin, event.c.seq)
    )
    gathered: dict[str, list[Any]] = {}
    for row in rows:
        gathered.setdefault(row.origin, []).append(row)
    for origin, found in sorted(gathered.items()):
        yield {
            "origin": origin,
            "first": found[0].seq,
            "last": found[-1].seq,
            "before": found[0].prev_hash,
            "head": found[-1].hash,
            "events": len(found),
            "digest": _digest(row.hash for row in found),
        }


def _digest(hashes: Iterator[str]) -> str:
    total = hashlib.sha256()
    for one in hashes:
        total.update(one.encode())
    return total.hexdigest()


# ---- signing


def key_of(var: Path) -> Ed25519PrivateKey:
    """The station's key, made on first use and readable by its user alone. OSError where it cannot be kept,
    ValueError where the file holds no key."""
    path = var / "register.key"
    try:
        raw = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        fresh = os.urandom(32)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            # Another process of this station was a moment sooner.
            return key_of(var)
        with os.fdopen(descriptor, "w") as file:
            file.write(fresh.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        raw = fresh.hex()
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(raw))


def public_of(key: Ed25519PrivateKey) -> str:
    """The public key in hex: what the other side keeps, to know this station's registers by."""
    return key.public_key().public_bytes_raw().hex()


def signed(body: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The register with its signature: Ed25519 over the canonical JSON of everything else."""
    signature = key.sign(canonical(body).encode()).hex()
    return {**body, "signature": {"algorithm": "Ed25519", "key": public_of(key), "value": signature}}


def faults_of(document: Any, trusted: str | None, engine: Engine | None) -> list[str]:
    """What is wrong with a signed register, in English; empty: nothing. `trusted` is the public key (hex)
    that it must be signed by; with `engine` its chains are looked up in that log too."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return [f"this is not a register of the form {FORMAT}"]
    body = {name: value for name, value in document.items() if name != "signature"}
    mark: Any = document.get("signature")
    try:
        given = str(mark["key"])
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(given))
        public.verify(bytes.fromhex(mark["value"]), canonical(body).encode())
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return ["the signature does not fit: the file was altered, or never signed"]
    if trusted is not None and given != trusted.lower():
        return [f"signed by {given}, not by {trusted.lower()}"]
    faults = []
    if engine is not None:
        with engine.connect() as connection:
            for chain in body["chains"]:
                fault = _chain_fault(connection, chain)
                if fault is not None:
                    faults.append(f"{chain['origin']}: {fault}")
    return faults


def _chain_fault(connection: Connection, chain: dict[str, Any]) -> str | None:
    rows = connection.execute(
        select(event.c.seq, event.c.prev_hash, event.c.hash)
        .where(
            event.c.origin == chain["origin"],
            event.c.seq >= chain["first"],
            event.c.seq <= chain["last"],
        )
        .order_by(event.c.seq)
    ).all()
    if len(rows) != chain["events"]:
        return f"the log holds {len(rows)} of its {chain['events']} events of that day"
    if rows[0].prev_hash != chain["before"] or _digest(row.hash for row in rows) != chain["digest"]:
        return "the log holds other events under the same numbers"
    return None


# ---- each day


def path_of(var: Path, day: date) -> Path:
    """Where the register of a day is kept."""
    return var / "register" / f"{day.isoformat()}.json"


def write(core: Core, day: date) -> Path:
    """Write the signed register of a day, over an earlier one: what came late is in the newer."""
    path = path_of(core.config.var, day)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = signed(of_day(core, day), key_of(core.config.var))
    write_durably(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    return path


class Registers:
    """Writes the register of each day once it is over."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._next_s = 0.0

    def step(self) -> bool:
        """Write yesterday's, if it is not there; whether it was written."""
        now_s = self._core.world.clock.monotonic_s()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + LOOK_S
        try:
            day = yesterday(self._core)
            _, until_us = span_of(self._core, day)
            late_s = (self._core.world.clock.now_us() - until_us) / 1e6
            if late_s < SETTLE_S or path_of(self._core.config.var, day).exists():
                return False
            write(self._core, day)
        except (OSError, ValueError, SQLAlchemyError) as error:
            log.warning("yesterday's register cannot be written: %s", getattr(error, "orig", error))
            return False
        return True
