"""How the shift goes, from the log: how soon calls are answered and reached against their targets, who
carries how much, and what waits for somebody."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from app.core import Core
from app.rows import needs_of, rfc3339
from app.tables import event
from dispatch.commands import who
from dispatch.incident import Incident

HOURS_MAX = 24
"""As long as closed incidents stay in the picture."""
DONE = {
    "IncidentReported": "calls",
    "IncidentAcknowledged": "acknowledged",
    "UnitAssigned": "sent",
    "UnitRequested": "sent",
    "UnitStatusReported": "statuses",
    "NoteAdded": "notes",
    "IncidentClosed": "closed",
}
"""What somebody does at a console, as it is counted for them; everything else is `other`."""
PEOPLE = ("dispatcher:", "supervisor:", "admin:")


def percentile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that `part` (0 to 1) of them do not exceed; None of none."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def _spread(values: Sequence[float], target_s: float | None = None) -> dict[str, Any]:
    rounded = [round(value, 1) for value in values]
    within = None
    if target_s is not None and values:
        within = round(100 * sum(value <= target_s for value in values) / len(values), 1)
    return {
        "n": len(values),
        "p50_s": percentile(rounded, 0.5),
        "p90_s": percentile(rounded, 0.9),
        "max_s": max(rounded, default=None),
        "within_pct": within,
    }


def _arrived_us(x: Incident) -> int | None:
    """When the first crew was on scene."""
    return min((a.times["on_scene"] for a in x.assignments if "on_scene" in a.times), default=None)


def figures(core: Core, sees: Callable[[Incident], bool], hours: float) -> dict[str, Any]:
    """Over the incidents reported within the last `hours` (at most `HOURS_MAX`) that the reader sees: by
    priority, seconds from report to acknowledgement and to the first crew on scene. Calls that nobody has
    reached yet count as late once their target is over, and are not in the percentiles."""
    now_us = core.world.clock.now_us()
    since_us = now_us - round(min(hours, HOURS_MAX) * 3600e6)
    seen = [x for x in core.picture.now.incidents() if sees(x)]
    recent = [x for x in seen if x.reported_us >= since_us]
    return {
        "at": rfc3339(now_us),
        "since": rfc3339(since_us),
        "priorities": [
            _of_priority(core, code, [x for x in recent if x.priority == code], now_us)
            for code in core.pack.priorities
        ],
        "open": sum(x.open for x in seen),
        "waits": waits(core, (x for x in seen if x.open), now_us),
        "coverage": _coverage(core),
    }


def _of_priority(core: Core, code: str, found: list[Incident], now_us: int) -> dict[str, Any]:
    target_s = core.pack.priorities[code].target_s
    answered = [(x.acknowledged_us - x.reported_us) / 1e6 for x in found if x.acknowledged_us is not None]
    reached = [(at - x.reported_us) / 1e6 for x in found if (at := _arrived_us(x)) is not None]
    unreached = [x for x in found if x.open and _arrived_us(x) is None]
    late = 0
    if target_s is not None:
        late = sum(value > target_s for value in reached)
        late += sum(now_us - x.reported_us > target_s * 1e6 for x in unreached)
    return {
        "priority": code,
        "target_s": target_s,
        "incidents": len(found),
        "answer": _spread(answered),
        "response": _spread(reached, target_s),
        "not_reached": len(unreached),
        "late": late,
    }


def waits(core: Core, open_ones: Iterable[Incident], now_us: int) -> list[dict[str, Any]]:
    """What somebody should do something about, longest waiting first: calls that nobody has seen, calls that
    lack units, requests without an answer."""
    found: list[tuple[int, dict[str, Any]]] = []

    def add(x: Incident, kind: str, since_us: int, unit: str | None = None) -> None:
        row = {
            "kind": kind,
            "incident": x.id,
            "number": x.number,
            "priority": x.priority,
            "unit": unit,
            "since": rfc3339(since_us),
            "waiting_s": round((now_us - since_us) / 1e6, 1),
        }
        found.append((since_us, row))

    for x in open_ones:
        if x.acknowledged_us is None:
            add(x, "unacknowledged", x.reported_us)
        elif _lacks(core, x):
            add(x, "units_missing", x.reported_us)
        for request in x.requests:
            if request.state in ("asked", "no_answer"):
                add(x, f"request_{request.state}", request.asked_us, request.unit)
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _lacks(core: Core, x: Incident) -> bool:
    """Whether its needs are not filled by the units on it."""
    needs = needs_of(x, core.pack)
    given = dict.fromkeys(needs, 0)
    for assignment in x.active():
        unit = core.picture.now.unit(assignment.unit)
        for capability in () if unit is None or unit.crew < unit.crew_min else unit.capabilities:
            if capability in given:
                given[capability] += 1
    return any(given[capability] < count for capability, count in needs.items())


def _coverage(core: Core) -> list[dict[str, Any]]:
    """By standard: the share of the calls to be expected that somebody idle would reach in time."""
    found = [(one, core.coverage.of(one.capability)) for one in core.coverage.standards]
    return [
        {
            "capability": standard.capability,
            "target_s": standard.within_s,
            "covered_pct": round(100 * cover.share(), 1),
        }
        for standard, cover in found
        if cover is not None
    ]


def first_position(connection: Connection, since_us: int) -> int:
    """From where on the log of this node holds what it received at `since_us` or later. There is no index by
    time, and none is needed: positions grow with the time of receiving."""
    lowest, highest = 1, (connection.scalar(select(func.max(event.c.position))) or 0) + 1
    at = select(event.c.position, event.c.received_at).order_by(event.c.position).limit(1)
    while lowest < highest:
        middle = (lowest + highest) // 2
        found = connection.execute(at.where(event.c.position >= middle)).first()
        if found is None or found.received_at >= since_us:
            highest = middle
        else:
            lowest = found.position + 1
    return lowest


def load(core: Core, hours: float, sees: Callable[[Incident], bool]) -> list[dict[str, Any]]:
    """What each person at a console put on record within the last `hours`, the busiest first, and how many
    open calls that the reader sees each answers for: owns, or else has seen or taken."""
    now_us = core.world.clock.now_us()
    since_us = now_us - round(min(hours, HOURS_MAX) * 3600e6)
    with core.engine.connect() as connection:
        counted = connection.execute(
            select(event.c.actor, event.c.type, func.count(), func.max(event.c.recorded_at))
            .where(event.c.position >= first_position(connection, since_us))
            .group_by(event.c.actor, event.c.type)
        ).all()
    people: dict[str, dict[str, Any]] = {}
    for actor, kind, n, last_us in counted:
        if not actor.startswith(PEOPLE):
            continue
        row = people.setdefault(
            actor, dict.fromkeys(("calls", "acknowledged", "sent", "statuses", "notes", "closed", "other"), 0)
        )
        row[DONE.get(kind, "other")] += n
        row["last_us"] = max(row.get("last_us", 0), last_us)
    holds: dict[str, int] = {}
    for x in core.picture.now.incidents():
        if x.open and sees(x):
            held_by = x.owner[0] if x.owner is not None else who(x.acknowledged_by or x.reported_by)
            holds[held_by] = holds.get(held_by, 0) + 1
    rows = []
    for actor, row in people.items():
        last_us = row.pop("last_us")
        total = sum(row.values())
        rows.append(
            {
                "person": who(actor),
                "role": actor.partition(":")[0],
                "open": holds.get(who(actor), 0),
                **row,
                "total": total,
                "last_at": rfc3339(last_us),
            }
        )
    return sorted(rows, key=lambda row: (-row["open"], -row["total"], row["person"]))
