"""Durable commands a second through the door, beside bare commits of the same row on the same disk.

Straja: `submit()` of new calls (permission, idempotency, decision, sealing of caller, place and text,
hash chain, search index, durable commit), from one client and from 16 at once (group commit). Peer: the
bare sqlite3 driver, which commits the same event row with the same indexes and subjects, one row a commit,
at the same durability. The two take turns in short rounds, so that a noisy machine is noisy for both.
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
import uuid
from pathlib import Path

from app.core import Core, open_core
from app.database import prepare_sqlite
from bench.harness import Figure
from config import Config
from dispatch import commands as c

ANA = c.Actor("ana", "dispatcher", frozenset({"*"}))
CLIENTS = 16


def call(n: int) -> c.ReportIncident:
    ident = str(uuid.uuid4())
    return c.ReportIncident(
        id=ident,
        incident=ident,
        type="F01",
        place=c.Place(24.94 + n % 100 * 1e-4, 60.17, "Kaisaniemenkatu 5", {"street": "Kaisaniemenkatu"}),
        description="smoke on the third floor",
        caller={"name": "a caller", "phone": "0700000000"},
    )


def submit_for(core: Core, seconds: float, clients: int) -> float:
    """Commands a second that `clients` threads get through, each sending the next when one is answered."""
    counts = [0] * clients
    until = time.perf_counter() + seconds

    def client(me: int) -> None:
        while time.perf_counter() < until:
            core.door.submit(call(counts[me]), ANA)
            counts[me] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=client, args=(me,)) for me in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


class Bare:
    """The peer: the log's own tables in a file of their own, one durable commit a row."""

    def __init__(self, source: Path, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        prepare_sqlite(self._db, None)
        with sqlite3.connect(source) as model:
            for (ddl,) in model.execute(
                "SELECT sql FROM sqlite_master"
                " WHERE tbl_name IN ('event', 'event_subject') AND sql IS NOT NULL"
            ):
                self._db.execute(ddl)
            row = model.execute("SELECT * FROM event WHERE type = 'IncidentReported' LIMIT 1")
            self._columns = [column[0] for column in row.description]
            self._row = list(row.fetchone())
        marks = ", ".join("?" * len(self._columns))
        self._insert = f"INSERT INTO event ({', '.join(self._columns)}) VALUES ({marks})"
        self._n = 0

    def commit_for(self, seconds: float) -> float:
        position, seq, cause = (self._columns.index(name) for name in ("position", "seq", "cause"))
        started, before = time.perf_counter(), self._n
        while time.perf_counter() < started + seconds:
            self._n += 1
            row = list(self._row)
            row[position], row[seq], row[cause] = self._n, self._n, str(uuid.uuid4())
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(self._insert, row)
            for subject in (f"incident:{row[cause]}", "station:C1"):
                self._db.execute("INSERT INTO event_subject VALUES (?, ?)", (subject, self._n))
            self._db.execute("COMMIT")
        return (self._n - before) / (time.perf_counter() - started)


def run(full: bool, folder: Path) -> list[Figure]:
    rounds, seconds = (40, 3.0) if full else (8, 1.5)
    core = open_core(Config.from_env({"STRAJA_VAR": str(folder), "STRAJA_LOG_LEVEL": "ERROR"}))
    try:
        submit_for(core, 0.5, 1)
        bare = Bare(folder / "straja.sqlite", folder / "bare.sqlite")
        one, many, peer = [], [], []
        for _ in range(rounds):
            peer.append(bare.commit_for(seconds))
            one.append(submit_for(core, seconds, 1))
            many.append(submit_for(core, seconds, CLIENTS))
    finally:
        core.close()
    beside = "the same row and indexes, bare sqlite3, a commit a row"
    limit = statistics.median(peer)
    return [
        Figure("append_per_s", statistics.median(one), "1/s", beside, limit),
        Figure("append16_per_s", statistics.median(many), "1/s", beside, limit),
    ]
