"""Duty lists: who is on duty where, with telephone numbers, as the operator keeps them. Not in the log: a
list is replaced whole or entry by entry; what was done with it, whom somebody rang, is in the log."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from app.native import offload
from app.tables import duty

COLUMNS = ("name", "role", "partner", "numbers", "from", "until", "note")
NAME_MAX, NOTE_MAX, NUMBER_MAX, LIST_MAX = 128, 500, 50, 64
NUMBERS_MAX, ENTRIES_MAX = 8, 5000


class BadDuty(ValueError):
    """What cannot be kept: `faults` holds (where, what) for every fault; nothing was changed."""

    def __init__(self, faults: Collection[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{where}: {what}" for where, what in self.faults))


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody on a list; on duty from `from_us` until `until_us` (microseconds, None: open). `partner` is
    the pack's, if it is for one. The list's order is that in which they are rung."""

    id: str
    list: str
    name: str
    role: str
    partner: str | None
    numbers: tuple[str, ...]
    from_us: int | None
    until_us: int | None
    note: str
    rank: int = 0
    changed_us: int = 0
    changed_by: str = ""

    def on_duty(self, at_us: int) -> bool:
        return (self.from_us is None or self.from_us <= at_us) and (
            self.until_us is None or at_us < self.until_us
        )


class Duty:
    """The lists in the database. Safe from any thread."""

    def __init__(self, engine: Engine, partners: Collection[str]) -> None:
        self._engine = engine
        self._partners = partners

    def entries(self) -> list[Entry]:
        """All entries, list by list, in the order in which they are rung."""

        def read() -> list[Entry]:
            with self._engine.connect() as db:
                wanted = select(duty).order_by(duty.c.list, duty.c.rank, duty.c.id)
                return [_entry(row) for row in db.execute(wanted)]

        return offload(read)

    def put(self, entry: Entry) -> None:
        """Keep one entry, new or changed. Raises BadDuty naming every field that cannot be."""
        faults = list(self._faults(entry))
        if faults:
            raise BadDuty(faults)

        def write() -> None:
            with self._engine.begin() as db:
                db.execute(delete(duty).where(duty.c.id == entry.id))
                _insert(db, [entry])

        try:
            offload(write)
        except IntegrityError:
            offload(write)  # The same entry was put by somebody else in between: the later one stands.

    def remove(self, entry_id: str) -> bool:
        """Whether there was such an entry."""

        def write() -> bool:
            with self._engine.begin() as db:
                return db.execute(delete(duty).where(duty.c.id == entry_id)).rowcount > 0

        return offload(write)

    def replace(self, name: str, text: str, now_us: int, by: str) -> int:
        """Put the rows of a CSV file in place of the whole list `name`, all or none; how many. Columns:
        COLUMNS, of which name or role, and numbers (several with ";" between) must be there; times are RFC
        3339, or local time of this machine without an offset. Raises BadDuty naming every bad row."""
        entries, faults = self._read(name, text, now_us, by)
        if faults:
            raise BadDuty(faults)

        def write() -> None:
            with self._engine.begin() as db:
                db.execute(delete(duty).where(duty.c.list == name))
                _insert(db, entries)

        offload(write)
        return len(entries)

    def _read(
        self, name: str, text: str, now_us: int, by: str
    ) -> tuple[list[Entry], list[tuple[str, str]]]:
        if not name.strip() or len(name) > LIST_MAX:
            return [], [("list", f"a list has a name of 1 to {LIST_MAX} characters")]
        text = text.removeprefix("\ufeff")
        if "\0" in text:
            return [], [("row 1", "a NUL stands in the text: this is no CSV file")]
        first = text.partition("\n")[0]
        delimiter = ";" if ";" in first and "," not in first else ","
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        found: list[Entry] = []
        faults: list[tuple[str, str]] = []
        try:
            named = [column.strip().lower() for column in rows.fieldnames or ()]
            lines = [(rows.line_num, row) for row in rows]
        except csv.Error as error:
            return [], [(f"row {rows.reader.line_num}", f"this is no CSV: {error}")]
        strange = [column for at, column in enumerate(named) if column not in COLUMNS or column in named[:at]]
        if strange or "numbers" not in named:
            allowed = ", ".join(COLUMNS) + ", each once"
            there = ", ".join(strange) or "no numbers"
            return [], [("row 1", f"the columns are {allowed}; there is {there}")]
        for at, row in lines:
            if None in row:
                faults.append((f"row {at}", "has more columns than the first row names"))
                continue
            said = {key.strip().lower(): (value or "").strip() for key, value in row.items()}
            if not any(said.values()):
                continue
            try:
                times = [_time(said.get(which, "")) for which in ("from", "until")]
            except ValueError as error:
                faults.append((f"row {at}", str(error)))
                continue
            separators = said.get("numbers", "").replace(",", ";").replace("|", ";")
            entry = Entry(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{at}/{now_us}")),
                list=name,
                name=said.get("name", ""),
                role=said.get("role", ""),
                partner=said.get("partner") or None,
                numbers=dialled(separators.split(";")),
                from_us=times[0],
                until_us=times[1],
                note=said.get("note", ""),
                rank=at,
                changed_us=now_us,
                changed_by=by,
            )
            faults += [(f"row {at}, {field}", what) for field, what in self._faults(entry)]
            found.append(entry)
        if not found and not faults:
            faults.append(("row 2", "there is nobody in it"))
        if len(found) > ENTRIES_MAX:
            faults.append((f"row {ENTRIES_MAX + 2}", f"a list has {ENTRIES_MAX} entries at the most"))
        return found, faults

    def _faults(self, x: Entry) -> Iterable[tuple[str, str]]:
        if not x.list.strip() or len(x.list) > LIST_MAX:
            yield "list", f"has 1 to {LIST_MAX} characters"
        if not x.name and not x.role:
            yield "name", "say a name or a role"
        for field, value, most in (("name", x.name, NAME_MAX), ("role", x.role, NAME_MAX)):
            if len(value) > most:
                yield field, f"has {most} characters at the most"
        if len(x.note) > NOTE_MAX:
            yield "note", f"has {NOTE_MAX} characters at the most"
        if not x.numbers or len(x.numbers) > NUMBERS_MAX:
            yield "numbers", f"give 1 to {NUMBERS_MAX} numbers"
        for number in x.numbers:
            if len(number) > NUMBER_MAX or sum(ch.isdigit() for ch in number) < 3:
                yield "numbers", f"{number!r} is no number to dial"
        if x.partner is not None and x.partner not in self._partners:
            yield "partner", f"{x.partner!r} is no partner of the pack: {', '.join(self._partners)}"
        if x.from_us is not None and x.until_us is not None and x.until_us <= x.from_us:
            yield "until", "ends before it begins"


def dialled(numbers: Iterable[str]) -> tuple[str, ...]:
    """The numbers in their order, each once, without blanks around them."""
    return tuple(dict.fromkeys(one.strip() for one in numbers if one.strip()))


def _time(text: str) -> int | None:
    if not text:
        return None
    try:
        return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no time such as 2026-11-23 18:00") from None


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        id=row.id,
        list=row.list,
        name=row.name,
        role=row.role,
        partner=row.partner,
        numbers=tuple(json.loads(row.numbers)),
        from_us=row.from_at,
        until_us=row.until_at,
        note=row.note,
        rank=row.rank,
        changed_us=row.changed_at,
        changed_by=row.changed_by,
    )


def _insert(db: Connection, entries: list[Entry]) -> None:
    values = [
        {
            "id": x.id,
            "list": x.list,
            "name": x.name,
            "role": x.role,
            "partner": x.partner,
            "numbers": json.dumps(x.numbers, ensure_ascii=False),
            "from_at": x.from_us,
            "until_at": x.until_us,
            "note": x.note,
            "rank": x.rank,
            "changed_at": x.changed_us,
            "changed_by": x.changed_by,
        }
        for x in entries
    ]
    if values:
        db.execute(insert(duty), values)
