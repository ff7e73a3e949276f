"""Durable commands a second through the door, beside bare commits of the same rows on the same disk.

Straja: `submit()` with all that belongs to it (permission, idempotency, decision, hash chain, fold, durable
commit), from one client and from 16 at once (group commit). `append` sends statuses of units, by far the
commonest command, which write one event; `call` sends new calls, which also seal caller, place and text and
enter the search index. Peer: the bare sqlite3 driver, which commits the very rows that such a command
writes, with the same indexes and the same durability, one command a commit. All take turns in short rounds,
so that a noisy machine is noisy for all of them.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import statistics
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.core import Core, open_core
from app.database import prepare_sqlite
from bench.harness import Figure
from config import Config
from dispatch import commands as c

ANA = c.Actor("ana", "supervisor", frozenset({"*"}))
CLIENTS = 16
TABLES = ("event", "event_subject", "private", "private_key", "incident_index")
Make = Callable[[int, int], c.Command]
"""(client, n) -> the client's n-th command."""


def call(client: int, n: int) -> c.Command:
    ident = str(uuid.uuid4())
    return c.ReportIncident(
        id=ident,
        incident=ident,
        type="F01",
        place=c.Place(24.94 + n % 100 * 1e-4, 60.17, "Kaisaniemenkatu 5", {"street": "Kaisaniemenkatu"}),
        description="smoke on the third floor",
        caller={"name": "a caller", "phone": "0700000000"},
    )


def status(client: int, n: int) -> c.Command:
    which = "available" if n % 2 == 0 else "out_of_service"
    return c.ReportStatus(id=str(uuid.uuid4()), unit=f"L{client}", status=which, reason="refuelling")


def submit_for(core: Core, seconds: float, clients: int, make: Make, counts: list[int]) -> float:
    """Commands a second that `clients` threads get through, each sending the next when one is answered."""
    before = sum(counts)
    until = time.perf_counter() + seconds

    def client(me: int) -> None:
        while time.perf_counter() < until:
            core.door.submit(make(me, counts[me]), ANA)
            counts[me] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=client, args=(me,)) for me in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (sum(counts) - before) / (time.perf_counter() - started)


class Bare:
    """The peer: the log's own tables in a file of their own, and the rows of the last command of a kind,
    written again and again under keys of their own, one durable commit a command."""

    def __init__(self, source: Path, path: Path, kind: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        prepare_sqlite(self._db, None)
        self._rows: list[tuple[str, list[str], list[Any]]] = []
        self._n = itertools.count(1)
        with sqlite3.connect(source) as model:
            for (ddl,) in model.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
                f" AND tbl_name IN ({','.join('?' * len(TABLES))})",
                TABLES,
            ):
                self._db.execute(ddl)
            self._take(model, "event", "type = ? ORDER BY position DESC LIMIT 1", kind)
            event = dict(zip(self._rows[0][1], self._rows[0][2], strict=True))
            self._take(model, "event_subject", "position = ?", event["position"])
            data = json.loads(event["data"])
            for value in data.values():
                if isinstance(value, dict) and "$sealed" in value:
                    self._take(model, "private", "id = ?", value["$sealed"])
                    self._take(model, "private_key", "id = ?", value["$sealed"])
            if kind == "IncidentReported":
                self._take(model, "incident_index", "id = ?", data["incident"])

    def _take(self, model: sqlite3.Connection, table: str, where: str, value: Any) -> None:
        found = model.execute(f"SELECT * FROM {table} WHERE {where}", (value,))
        columns = [column[0] for column in found.description]
        self._rows += [(table, columns, list(row)) for row in found]

    def commit_for(self, seconds: float) -> float:
        """Commits a second."""
        done = 0
        started = time.perf_counter()
        while time.perf_counter() < started + seconds:
            n = next(self._n)
            fresh = {"position": n, "seq": n, "cause": str(uuid.uuid4()), "n": None}
            self._db.execute("BEGIN IMMEDIATE")
            for table, columns, row in self._rows:
                own = fresh | {"id": str(uuid.uuid4())}
                values = [
                    own.get(name, value) for name, value in zip(columns, row, strict=True)
                ]
                marks = ", ".join("?" * len(values))
                self._db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
            self._db.execute("COMMIT")
            done += 1
        return done / (time.perf_counter() - started)


def run(full: bool, folder: Path) -> list[Figure]:
    rounds, seconds = (30, 3.0) if full else (6, 1.2)
    core = open_core(Config.from_env({"STRAJA_VAR": str(folder), "STRAJA_LOG_LEVEL": "ERROR"}))
    kinds: tuple[tuple[str, Make, str, str], ...] = (
        ("append", status, "UnitStatusReported", "the same row and indexes"),
        ("call", call, "IncidentReported", "the same ten rows and indexes"),
    )
    try:
        for client in range(CLIENTS):
            unit = f"L{client}"
            core.door.submit(
                c.RegisterUnit(id=unit, unit=unit, type="PL", station="S", district="d", crew=2), ANA
            )
        measured: defaultdict[str, list[float]] = defaultdict(list)
        counts = {name: [0] * CLIENTS for name, *_ in kinds}
        peers: dict[str, Bare] = {}
        for name, make, event, _ in kinds:
            submit_for(core, 0.5, CLIENTS, make, counts[name])
            peers[name] = Bare(folder / "straja.sqlite", folder / f"bare-{name}.sqlite", event)
        for _ in range(rounds):
            for name, make, *_ in kinds:
                measured[f"{name}_peer"].append(peers[name].commit_for(seconds))
                for many, clients in (("", 1), ("16", CLIENTS)):
                    done_per_s = submit_for(core, seconds, clients, make, counts[name])
                    measured[f"{name}{many}_per_s"].append(done_per_s)
    finally:
        core.close()
    middle = {key: statistics.median(values) for key, values in measured.items()}
    return [
        Figure(f"{name}{many}_per_s", middle[f"{name}{many}_per_s"], "1/s",
               f"{rows}, bare sqlite3, a commit a command", middle[f"{name}_peer"])
        for name, _, _, rows in kinds
        for many in ("", "16")
    ]  # fmt: skip
