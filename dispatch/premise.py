"""What the operator knows about a place before anybody calls: gas bottles in the yard, a dog, the code of the
gate, whom to ask for the key. It is shown to whoever takes a call from there, and to nobody on the map.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch.closure import AHEAD_MAX_US
from dispatch.commands import Context, Refused, upgrade_needed
from dispatch.incident import REASON_MAX, private, text_of

if TYPE_CHECKING:
    from dispatch.state import State

KINDS = ("danger", "access", "contact", "other")
TEXT_MAX = 2_000
RADIUS_MIN_M, RADIUS_MAX_M = 5.0, 2_000.0
"""How far around its point a note holds: a house, at the most an industrial estate."""


@dataclass(frozen=True, slots=True)
class Premise:
    """`place` seals {lon, lat, label}; `coarse` is it to about 100 m."""

    id: str
    noted: bool = False
    station: str = ""
    district: str = ""
    kind: str = ""
    coarse: tuple[float, float] | None = None
    place: e.Secret = None
    radius_m: float = 0.0
    text: e.Secret = None
    until_us: int | None = None
    noted_us: int = 0
    noted_by: str = ""
    withdrawn_us: int | None = None
    withdrawn_by: str = ""
    parked: bool = False
    sealed: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()
    position: int = 0

    def holds(self, at_us: int) -> bool:
        """Whether it is to be shown at that time."""
        over = self.until_us is not None and at_us >= self.until_us
        return self.noted and self.withdrawn_us is None and not over


# ---- apply: never raises, for any subset of facts in any order


def apply(premise: Premise | None, rec: e.Recorded, subject_id: str) -> Premise:
    """The note after one more fact."""
    was = premise or Premise(id=subject_id)
    step = _APPLY.get(type(rec.event))
    now = was if step is None else step(was, rec, rec.event)
    fresh = () if rec.event is None else [sealed.id for sealed in e.sealed_in(rec.event)]
    return replace(
        now,
        parked=now.parked or rec.event is None,
        sealed=now.sealed.union(fresh),
        position=max(now.position, rec.position),
    )


def _noted(was: Premise, rec: e.Recorded, f: e.PremiseNoted) -> Premise:
    if was.noted:
        return was
    return replace(
        was,
        noted=True,
        station=f.station,
        district=f.district,
        kind=f.kind,
        coarse=f.coarse,
        place=f.place,
        radius_m=f.radius_m,
        text=f.text,
        until_us=f.until_us,
        noted_us=rec.observed_us,
        noted_by=rec.actor,
    )


def _withdrawn(was: Premise, rec: e.Recorded, f: e.PremiseWithdrawn) -> Premise:
    if was.withdrawn_us is not None:
        return was
    return replace(was, withdrawn_us=rec.observed_us, withdrawn_by=rec.actor)


def _erased(was: Premise, rec: e.Recorded, f: e.PremiseErased) -> Premise:
    return replace(was, erased=was.erased | frozenset(f.ids))


_APPLY: dict[type[Any], Callable[[Premise, e.Recorded, Any], Premise]] = {
    e.PremiseNoted: _noted,
    e.PremiseWithdrawn: _withdrawn,
    e.PremiseErased: _erased,
}


# ---- decide


def must_be_there(state: State, premise_id: str) -> Premise:
    """The note, or the refusal that says why it cannot be worked on."""
    found = state.premise(premise_id)
    if found is None or not found.noted:
        raise Refused("unknown-premise", f"There is no note {premise_id}.", kind="missing", field="premise")
    if found.parked:
        raise upgrade_needed("This note")
    return found


def note(state: State, cmd: c.NotePremise, ctx: Context) -> tuple[e.Event, ...]:
    was = state.premise(cmd.premise)
    if was is not None and was.noted:
        raise Refused(
            "premise-exists", "A note with this id is there already.", kind="conflict", field="id"
        )
    if cmd.kind not in KINDS:
        raise Refused("unknown-kind", f"{cmd.kind!r} is none of {', '.join(KINDS)}.", field="kind")
    if not (math.isfinite(cmd.radius_m) and RADIUS_MIN_M <= cmd.radius_m <= RADIUS_MAX_M):
        span = f"{RADIUS_MIN_M:.0f} to {RADIUS_MAX_M:.0f} m"
        raise Refused("bad-radius", f"A note holds for {span} around its point.", field="radius_m")
    if cmd.until_us is not None and cmd.until_us <= ctx.now_us:
        raise Refused("ends-too-soon", "It must end after now.", field="until")
    if cmd.until_us is not None and cmd.until_us > ctx.now_us + AHEAD_MAX_US:
        raise Refused("closure-too-far", "It ends more than two years ahead.", field="until")
    place = {
        "lon": round(cmd.place.lon, 7),
        "lat": round(cmd.place.lat, 7),
        "label": text_of(cmd.place.label, "address", longest=REASON_MAX),
    }
    return (
        e.PremiseNoted(
            premise=cmd.premise,
            station=ctx.station,
            district=ctx.district,
            kind=cmd.kind,
            coarse=(round(cmd.place.lon, 3), round(cmd.place.lat, 3)),
            place=e.Private(place),
            radius_m=cmd.radius_m,
            text=private(text_of(cmd.text, "text", required=True, longest=TEXT_MAX)),
            until_us=cmd.until_us,
        ),
    )


def withdraw(state: State, cmd: c.WithdrawPremise, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.premise)
    return () if was.withdrawn_us is not None else (e.PremiseWithdrawn(cmd.premise),)


def erase(state: State, cmd: c.ErasePremise, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.premise)
    left = tuple(sorted(was.sealed - was.erased))
    reason = text_of(cmd.reason, "reason", required=True, longest=REASON_MAX)
    return (e.PremiseErased(cmd.premise, left, reason),) if left else ()
