"""What is in the way: closed roads, hazard zones, slow zones, floods; the state of each, what each fact does
to it, and which facts a command about it may cause.

A report only warns. From the moment that a crew has confirmed it, or that somebody with the power to close a
road has ordered it, everybody drives another way. It ends when it is withdrawn or its time has passed; time
needs nobody to say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Context, Refused, upgrade_needed
from dispatch.incident import REASON_MAX, Conflict, Fact, must_exist, private, text_of

if TYPE_CHECKING:
    from dispatch.state import State

KINDS = ("closure", "hazard", "slow", "flood")
"""closure: a road or place where vehicles may not go. hazard: a zone that nobody enters but who has one of
the capabilities `entry`. slow: passable at `speed_share` of the usual speed. flood: passable only for the
`classes` named."""
CLASSES = ("car", "ambulance", "fire_engine", "bus", "foot")
"""The base travel profiles that a closure can be about."""
SHAPES = ("Point", "LineString", "Polygon")
AUTHORITIES = ("road_administrator", "police")
POLICE = "police"
"""The capability of a crew that may close a road on the spot."""
SLOW_MIN, SLOW_MAX = 0.05, 0.95
UNCONFIRMED_US = 24 * 3600 * 1_000_000
"""How long a report without an end of its own goes on warning while nobody confirms it."""
AHEAD_MAX_US = 2 * 366 * 86_400 * 1_000_000
"""How far ahead a closure may begin or end."""
NAME_MAX = 128


@dataclass(frozen=True, slots=True)
class Closure:
    """`classes`: whom it is about. Of a closure or slow zone: the vehicles held up, none named: all that
    drive. Of a flood: those that may still pass. Of a hazard: those kept out, none named: all, and on foot
    too."""

    id: str
    reported: bool = False
    """False while only later facts about it have arrived: not shown until its report is here."""
    station: str = ""
    district: str = ""
    kind: str = "closure"
    geometry: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    from_us: int | None = None
    until_us: int | None = None
    speed_share: float | None = None
    entry: tuple[str, ...] = ()
    staging: tuple[float, float] | None = None
    reason: e.Secret = None
    unit: str | None = None
    """The crew that reported it."""
    reported_us: int = 0
    reported_by: str = ""
    source: str = ""
    confirmed_us: int | None = None
    confirmed_by: str = ""
    confirmed_unit: str | None = None
    ordered_us: int | None = None
    recorded_by: str = ""
    """Who put the order on record."""
    authority: str = ""
    ordered_by: str = ""
    agreed_by: str = ""
    withdrawn_us: int | None = None
    withdrawn_by: str = ""
    withdrawn_reason: e.Secret = None
    expired_us: int | None = None
    """The end that was on record as passed; it counts only while it is the end."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    parked: bool = False
    """A newer program recorded something about it that this one cannot read."""
    sealed: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()
    position: int = 0

    @property
    def ends_us(self) -> int | None:
        """When it ends by itself; None: not before it is withdrawn."""
        if self.until_us is None and self.ordered_us is None and self.confirmed_us is None:
            return self.reported_us + UNCONFIRMED_US
        return self.until_us

    @property
    def state(self) -> str:
        """reported, confirmed, ordered, withdrawn, or expired, as far as is on record."""
        if self.withdrawn_us is not None:
            return "withdrawn"
        if self.expired_us is not None and self.expired_us == self.ends_us:
            return "expired"
        if self.ordered_us is not None:
            return "ordered"
        return "confirmed" if self.confirmed_us is not None else "reported"

    @property
    def crews(self) -> tuple[str, ...]:
        """Those that have seen it."""
        return tuple(unit for unit in (self.unit, self.confirmed_unit) if unit is not None)

    @property
    def reroutes(self) -> bool:
        """Whether it is of the kind of state that changes ways, not only warns."""
        return self.ordered_us is not None or self.confirmed_us is not None

    def has_ended(self, at_us: int) -> bool:
        """Withdrawn, or past its end, on record or not."""
        ends_us = self.ends_us
        return self.withdrawn_us is not None or (ends_us is not None and at_us >= ends_us)

    def holds(self, at_us: int) -> bool:
        """Whether it is there at that time: begun and not ended."""
        return self.reported and (self.from_us is None or at_us >= self.from_us) and not self.has_ended(at_us)

    def in_force(self, at_us: int) -> bool:
        """Whether everybody drives another way because of it at that time, as is known today."""
        return self.reroutes and self.holds(at_us)

    def was_in_force(self, at_us: int) -> bool:
        """Whether it changed ways at a time gone by: by then confirmed or ordered, not yet withdrawn."""
        since_us = min((us for us in (self.confirmed_us, self.ordered_us) if us is not None), default=None)
        if not self.reported or since_us is None or at_us < max(since_us, self.from_us or since_us):
            return False
        ends = [us for us in (self.withdrawn_us, self.ends_us) if us is not None]
        return at_us < min(ends, default=at_us + 1)

    def turns_at(self, after_us: int) -> int | None:
        """The next moment after `after_us` at which time alone changes what it does; None: never."""
        if not self.reported or self.withdrawn_us is not None:
            return None
        moments = [us for us in (self.from_us, self.ends_us) if us is not None and us > after_us]
        return min(moments, default=None)


# ---- apply: never raises, for any subset of facts in any order


def apply(closure: Closure | None, rec: e.Recorded, subject_id: str) -> Closure:
    """The closure after one more fact."""
    was = closure or Closure(id=subject_id)
    step = _APPLY.get(type(rec.event))
    now = was if step is None else step(was, rec, rec.event)
    fresh = () if rec.event is None else [sealed.id for sealed in e.sealed_in(rec.event)]
    return replace(
        now,
        parked=now.parked or rec.event is None,
        sealed=now.sealed.union(fresh),
        position=max(now.position, rec.position),
    )


def _known(was: Closure, rec: e.Recorded, *names: str) -> Mapping[str, Fact]:
    fact = Fact(rec.source, rec.actor, rec.observed_us, rec.received_us)
    return {**was.facts, **dict.fromkeys(names, fact)}


def _reported(was: Closure, rec: e.Recorded, f: e.ClosureReported) -> Closure:
    if was.reported:
        return replace(was, conflicts=(*was.conflicts, Conflict.shown_by(rec, "reported-twice", {})))
    return replace(
        was,
        reported=True,
        station=f.station,
        district=f.district,
        kind=f.kind,
        geometry=f.geometry,
        classes=f.classes,
        from_us=f.from_us,
        until_us=f.until_us,
        speed_share=f.speed_share,
        entry=f.entry,
        staging=f.staging,
        reason=f.reason,
        unit=f.unit,
        reported_us=rec.observed_us,
        reported_by=rec.actor,
        source=rec.source,
        facts=_known(was, rec, "kind", "geometry"),
    )


CHANGEABLE = ("geometry", "classes", "from_us", "until_us", "speed_share", "entry", "staging", "reason")


def _changed(was: Closure, rec: e.Recorded, f: e.ClosureChanged) -> Closure:
    new = {name: value for name, value in f.changes.items() if name in CHANGEABLE}
    return replace(was, facts=_known(was, rec, *new), **new)


def _back(was: Closure, rec: e.Recorded) -> Closure:
    """One station withdrew it while another, which had not heard, confirmed or ordered it: it stays in the
    way, for a detour costs less than a dead end, and a person who withdraws it again settles that."""
    if was.withdrawn_us is None:
        return was
    about = {"withdrawn_by": was.withdrawn_by, "by": rec.actor}
    return replace(
        was,
        withdrawn_us=None,
        withdrawn_by="",
        conflicts=(*was.conflicts, Conflict.shown_by(rec, "withdrawn-elsewhere", about)),
    )


def _confirmed(was: Closure, rec: e.Recorded, f: e.ClosureConfirmed) -> Closure:
    now = _back(was, rec)
    if now.confirmed_us is not None:
        return now
    return replace(
        now,
        confirmed_us=rec.observed_us,
        confirmed_by=rec.actor,
        confirmed_unit=f.unit,
    )


def _ordered(was: Closure, rec: e.Recorded, f: e.ClosureOrdered) -> Closure:
    return replace(
        _back(was, rec),
        ordered_us=rec.observed_us if was.ordered_us is None else was.ordered_us,
        recorded_by=rec.actor,
        authority=f.authority,
        ordered_by=f.ordered_by,
        agreed_by=f.agreed_by,
    )


def _withdrawn(was: Closure, rec: e.Recorded, f: e.ClosureWithdrawn) -> Closure:
    return replace(
        was,
        withdrawn_us=rec.observed_us,
        withdrawn_by=rec.actor,
        withdrawn_reason=f.reason,
        conflicts=tuple(
            replace(k, resolution="withdrawn")
            if k.kind == "withdrawn-elsewhere" and k.resolution is None
            else k
            for k in was.conflicts
        ),
    )


def _expired(was: Closure, rec: e.Recorded, f: e.ClosureExpired) -> Closure:
    return replace(was, expired_us=f.until_us)


def _erased(was: Closure, rec: e.Recorded, f: e.ClosureErased) -> Closure:
    return replace(was, erased=was.erased | frozenset(f.ids))


def _resolved(was: Closure, rec: e.Recorded, f: e.ConflictResolved) -> Closure:
    return replace(was, conflicts=tuple(k.settled_by(f) for k in was.conflicts))


_APPLY: dict[type[Any], Callable[[Closure, e.Recorded, Any], Closure]] = {
    e.ClosureReported: _reported,
    e.ClosureChanged: _changed,
    e.ClosureConfirmed: _confirmed,
    e.ClosureOrdered: _ordered,
    e.ClosureWithdrawn: _withdrawn,
    e.ClosureExpired: _expired,
    e.ClosureErased: _erased,
    e.ConflictResolved: _resolved,
}


# ---- decide


def must_be_there(state: State, closure_id: str) -> Closure:
    """The closure, or the refusal that says why it cannot be worked on."""
    found = state.closure(closure_id)
    if found is None or not found.reported:
        raise Refused(
            "unknown-closure", f"There is no closure {closure_id}.", kind="missing", field="closure"
        )
    if found.parked:
        raise upgrade_needed("This closure")
    return found


def must_go_on(state: State, closure_id: str, ctx: Context) -> Closure:
    found = must_be_there(state, closure_id)
    if found.has_ended(ctx.now_us):
        raise Refused("closure-ended", "This closure has ended; report a new one.", kind="conflict")
    return found


def report(state: State, cmd: c.ReportClosure, ctx: Context) -> tuple[e.Event, ...]:
    was = state.closure(cmd.closure)
    if was is not None and was.reported:
        raise Refused(
            "closure-exists",
            "A closure with this id was already reported, with other contents.",
            kind="conflict",
            field="id",
        )
    if cmd.kind not in KINDS:
        raise Refused("unknown-kind", f"{cmd.kind!r} is none of {', '.join(KINDS)}.", field="kind")
    new = _checked(
        cmd.kind,
        {
            "geometry": cmd.geometry,
            "classes": cmd.classes,
            "from_us": cmd.from_us,
            "until_us": cmd.until_us,
            "speed_share": cmd.speed_share,
            "entry": cmd.entry,
            "staging": cmd.staging,
        },
        ctx,
    )
    if cmd.unit is not None:
        _must_be_a_crew(state, cmd.unit)
    first = e.ClosureReported(
        closure=cmd.closure,
        station=ctx.station,
        district=ctx.district,
        kind=cmd.kind,
        reason=private(text_of(cmd.reason, "reason", longest=REASON_MAX)),
        unit=cmd.unit if cmd.unit is not None else ctx.actor.unit,
        **new,
    )
    if cmd.state == "reported":
        return (first,)
    if cmd.state == "confirmed":
        return first, e.ClosureConfirmed(cmd.closure, _crew(state, cmd.unit, ctx))
    if cmd.state == "ordered":
        order = _order(state, cmd.closure, cmd.authority, cmd.ordered_by, cmd.agreed_by, ctx)
        return first, order
    raise Refused("unknown-state", "A closure begins as reported, confirmed or ordered.", field="state")


def change(state: State, cmd: c.ChangeClosure, ctx: Context) -> tuple[e.Event, ...]:
    was = must_go_on(state, cmd.closure, ctx)
    unknown = sorted(cmd.changes.keys() - set(CHANGEABLE))
    if unknown:
        raise Refused(
            "unknown-field", f"A closure has no field {unknown[0]!r} that can be changed.", field=unknown[0]
        )
    merged = {name: cmd.changes.get(name, getattr(was, name)) for name in CHANGEABLE if name != "reason"}
    new = _checked(was.kind, merged, ctx)
    changes = {name: value for name, value in new.items() if value != getattr(was, name)}
    if "reason" in cmd.changes:
        changes["reason"] = private(text_of(cmd.changes["reason"], "reason", longest=REASON_MAX))
    return (e.ClosureChanged(cmd.closure, changes),) if changes else ()


def confirm(state: State, cmd: c.ConfirmClosure, ctx: Context) -> tuple[e.Event, ...]:
    was = must_go_on(state, cmd.closure, ctx)
    unit = _crew(state, cmd.unit, ctx)
    return () if was.confirmed_us is not None else (e.ClosureConfirmed(cmd.closure, unit),)


def order(state: State, cmd: c.OrderClosure, ctx: Context) -> tuple[e.Event, ...]:
    was = must_go_on(state, cmd.closure, ctx)
    fact = _order(state, cmd.closure, cmd.authority, cmd.ordered_by, cmd.agreed_by, ctx)
    same = (was.authority, was.ordered_by, was.agreed_by) == (fact.authority, fact.ordered_by, fact.agreed_by)
    return () if same and was.ordered_us is not None else (fact,)


def withdraw(state: State, cmd: c.WithdrawClosure, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.closure)
    if was.has_ended(ctx.now_us):
        return ()
    own = ctx.actor.unit
    is_theirs = _is_police(state, own) if was.ordered_us is not None else was.unit == own
    if own is not None and not is_theirs:
        raise Refused(
            "not-your-report",
            "A crew takes back what it reported itself, a police crew what was ordered; "
            "tell the room about the rest.",
            kind="forbidden",
        )
    reason = text_of(cmd.reason, "reason", required=True, longest=REASON_MAX)
    return (e.ClosureWithdrawn(cmd.closure, private(reason)),)


def expire(state: State, cmd: c.ExpireClosure, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.closure)
    ends_us = was.ends_us
    if was.withdrawn_us is not None or ends_us is None or ctx.now_us < ends_us or was.state == "expired":
        return ()
    return (e.ClosureExpired(cmd.closure, ends_us),)


def erase(state: State, cmd: c.EraseClosure, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.closure)
    left = tuple(sorted(was.sealed - was.erased))
    reason = text_of(cmd.reason, "reason", required=True, longest=REASON_MAX)
    return (e.ClosureErased(cmd.closure, left, reason),) if left else ()


def record_eta(state: State, cmd: c.RecordEta, ctx: Context) -> tuple[e.Event, ...]:
    incident = must_exist(state, cmd.incident, ctx)
    if not any(a.unit == cmd.unit for a in incident.active()) or cmd.before_s == cmd.after_s:
        return ()
    return (e.EtaChanged(cmd.incident, cmd.unit, cmd.before_s, cmd.after_s, cmd.because),)


def _must_be_a_crew(state: State, unit_id: str) -> None:
    unit = state.unit(unit_id)
    if unit is None or not unit.registered:
        raise Refused("unknown-unit", f"There is no unit {unit_id}.", kind="missing", field="unit")


def _is_police(state: State, unit_id: str | None) -> bool:
    unit = state.unit(unit_id) if unit_id is not None else None
    return unit is not None and POLICE in unit.capabilities


def _crew(state: State, named: str | None, ctx: Context) -> str:
    """The crew that has seen it: the asker's own, or the one that told the room so."""
    unit_id = named if named is not None else ctx.actor.unit
    if unit_id is None:
        raise Refused("crew-needed", "Say which crew has seen it.", field="unit")
    _must_be_a_crew(state, unit_id)
    return unit_id


def _order(
    state: State, closure: str, authority: str, ordered_by: str, agreed_by: str, ctx: Context
) -> e.ClosureOrdered:
    if authority not in AUTHORITIES:
        allowed = " or ".join(AUTHORITIES)
        raise Refused("unknown-authority", f"A road is closed by {allowed}.", field="authority")
    if ctx.actor.unit is not None:
        if authority != "police" or not _is_police(state, ctx.actor.unit):
            raise Refused(
                "not-an-authority",
                "On the spot only a police crew can order a road closed; report it instead.",
                kind="forbidden",
                field="authority",
            )
        ordered_by = ordered_by or ctx.actor.unit
    ordered_by = text_of(ordered_by, "ordered_by", longest=NAME_MAX)
    agreed_by = text_of(agreed_by, "agreed_by", longest=NAME_MAX)
    if not ordered_by:
        raise Refused("order-name-needed", "Say by name who ordered it.", field="ordered_by")
    if authority == "road_administrator" and not agreed_by:
        raise Refused(
            "agreement-needed",
            "A road administrator closes a road with the police's agreement: say by name who agreed.",
            field="agreed_by",
        )
    return e.ClosureOrdered(closure, authority, ordered_by, agreed_by)


def _checked(kind: str, given: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The fields of a closure as they are kept, or the refusal that names the one that is wrong."""
    geometry = given["geometry"]
    shape = geometry.get("type")
    if shape not in SHAPES:
        raise Refused("bad-geometry", f"A closure is drawn as {', '.join(SHAPES)}.", field="geometry.type")
    if shape == "Point" and not _is_number(geometry.get("radius_m"), 1.0):
        raise Refused("bad-radius", "A point needs a radius_m of 1 m or more.", field="geometry.radius_m")
    classes = tuple(sorted(set(given["classes"])))
    strange = [name for name in classes if name not in CLASSES]
    if strange:
        raise Refused("unknown-class", f"{strange[0]!r} is none of {', '.join(CLASSES)}.", field="classes")
    share = given["speed_share"]
    if kind == "slow" and not _is_number(share, SLOW_MIN, SLOW_MAX):
        span = f"{SLOW_MIN:.0%} to {SLOW_MAX:.0%}"
        raise Refused("bad-speed", f"A slow zone is driven at {span} of the usual speed.", field="speed_pct")
    if kind != "slow" and share is not None:
        raise Refused("bad-speed", "Only a slow zone has a speed.", field="speed_pct")
    entry = tuple(sorted(set(given["entry"])))
    if entry and kind != "hazard":
        raise Refused(
            "not-for-kind", "Only a hazard zone is entered by capability.", field="entry_capabilities"
        )
    unknown = [name for name in entry if name not in ctx.pack.capabilities]
    if unknown:
        raise Refused(
            "unknown-capability",
            f"{unknown[0]!r} is not a capability of the pack {ctx.pack.name}.",
            field="entry_capabilities",
        )
    from_us, until_us = given["from_us"], given["until_us"]
    if from_us is not None and from_us > ctx.now_us + AHEAD_MAX_US:
        raise Refused("closure-too-far", "It begins more than two years ahead.", field="from")
    if until_us is not None:
        if until_us > ctx.now_us + AHEAD_MAX_US:
            raise Refused("closure-too-far", "It ends more than two years ahead.", field="until")
        if until_us <= max(ctx.now_us, from_us or 0):
            raise Refused("ends-too-soon", "It must end after now and after it begins.", field="until")
    staging = given["staging"]
    if staging is not None:
        staging = (round(staging[0], 7), round(staging[1], 7))
    return {
        "geometry": _frozen(geometry),
        "classes": classes,
        "from_us": from_us,
        "until_us": until_us,
        "speed_share": share,
        "entry": entry,
        "staging": staging,
    }


def _is_number(value: Any, least: float, most: float = math.inf) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and least <= value <= most


def _frozen(value: Any) -> Any:
    """Nested lists as tuples, as they come back from the log."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, Mapping) else value
