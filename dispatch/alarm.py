"""Alarms of the system and of devices, after ISA-18.2 (IEC 62682): what is wrong, and a person can act on.

A call is never an alarm: calls are work. What time does to one (delays that run out, a shelf that ends) is
read from its facts and a clock, so that it happens at every node and console though nobody records it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Context, Refused, who
from dispatch.incident import REASON_MAX, text_of

if TYPE_CHECKING:
    from dispatch.state import State

PRIORITIES = ("high", "medium", "low")
"""Of all alarms about 5, 15 and 80 in a hundred should have each."""
STATES = ("unacknowledged", "acknowledged", "returned", "normal", "shelved", "out_of_service")
"""`returned`: over before anybody acknowledged it."""
WORDS_MAX, ID_MAX, NAME_MAX = 300, 80, 64
DELAY_MAX_S = 3_600.0
SHELF_MIN_US, SHELF_MAX_US = 60_000_000, 12 * 3_600_000_000
"""Nobody shelves for longer than a shift: whoever comes next must know."""
DEAD_US = 60_000_000
"""What comes again so soon after it was acknowledged and went is not announced anew."""
CHATTER_WITHIN_US, CHATTER_MORE_THAN = 60_000_000, 3
CALM_US = 600_000_000
"""Without coming or going for so long, an alarm chatters no more."""
FLOOD_WITHIN_US, FLOOD_MORE_THAN, FLOOD_OVER_BELOW = 600_000_000, 10, 5
STANDING_US = 24 * 3_600_000_000
DAY_US, HOUR_US = 24 * 3_600_000_000, 3_600_000_000

KINDS: dict[str, tuple[str, str]] = {
    "keeper_missing": ("node", "high"),
    "log_behind": ("node", "high"),
    "disk_low": ("node", "high"),
    "positions_failing": ("node", "medium"),
    "backup_late": ("backup", "medium"),
    "backup_failed": ("backup", "medium"),
    "jobs_absent": ("node", "low"),
    "contradiction": ("contradictions", "medium"),
    "positions_silent": ("positions", "high"),
    "crew_silent": ("positions", "medium"),
    "node_link_lost": ("nodes", "medium"),
    "device_silent": ("devices", "low"),
    "device_fault": ("devices", "low"),
}
"""kind -> (group, priority) of what has its words on every console; any other brings its own."""


@dataclass(frozen=True, slots=True)
class Ack:
    us: int
    by: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """`on_us` is when it came last, `off_us` when it went; None, None: it is not there and left nothing to be
    seen. `announced` holds when it was called out within the day before its last fact."""

    id: str
    raised: bool = False
    station: str = ""
    district: str = ""
    kind: str = ""
    group: str = ""
    priority: str = "low"
    title: str = ""
    means: str = ""
    todo: str = ""
    detail: str = ""
    on_delay_us: int = 0
    off_delay_us: int = 0
    source: str = ""
    raised_by: str = ""
    on_us: int | None = None
    off_us: int | None = None
    quiet: bool = False
    """Whether it came again too soon to be announced anew."""
    ever: bool = False
    """Whether it was ever announced."""
    ack: Ack | None = None
    before: Ack | None = None
    """How the occurrence before this one was acknowledged."""
    announced: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()
    """When it came and went lately."""
    chattered_us: int | None = None
    shelved_us: int | None = None
    shelved_by: str = ""
    shelved_until_us: int | None = None
    shelf_reason: str = ""
    out_us: int | None = None
    out_by: str = ""
    out_reason: str = ""
    parked: bool = False
    position: int = 0

    @property
    def on(self) -> bool:
        """Whether its source says that it is there, however lately."""
        return self.on_us is not None and self.off_us is None

    def _pending(self, now_us: int) -> bool:
        return self.on_us is not None and self.off_us is None and now_us < self.on_us + self.on_delay_us

    def active(self, now_us: int) -> bool:
        """Whether it stands: its source said so for long enough, and has not taken it back for as long."""
        if self.on_us is None or self._pending(now_us):
            return False
        return self.off_us is None or now_us < self.off_us + self.off_delay_us

    def acknowledged(self, now_us: int) -> Ack | None:
        """By whom what is called out now, or was last, was acknowledged."""
        return self.before if self._pending(now_us) and not self.quiet else self.ack

    def state(self, now_us: int) -> str:
        """One of STATES."""
        if self.out_us is not None:
            return "out_of_service"
        if self.shelved_until_us is not None and now_us < self.shelved_until_us:
            return "shelved"
        ack = self.acknowledged(now_us)
        if self.active(now_us):
            return "unacknowledged" if ack is None else "acknowledged"
        called = self.ever or (self.on and not self._pending(now_us))
        return "returned" if called and ack is None else "normal"

    def phases(self, now_us: int) -> list[tuple[int, str]]:
        """(from when, state): what it is now, and what time alone will make of it."""
        ends = [self.shelved_until_us]
        if self.on_us is not None:
            ends.append(
                self.on_us + self.on_delay_us if self.off_us is None else self.off_us + self.off_delay_us
            )
        found = [(now_us, self.state(now_us))]
        for at_us in sorted(us for us in ends if us is not None and us > now_us):
            if (then := self.state(at_us)) != found[-1][1]:
                found.append((at_us, then))
        return found

    def called_out(self, now_us: int, within_us: int = DAY_US) -> list[int]:
        """When it was announced within so long, the oldest first; one still to come is not among them."""
        found = list(self.announced)
        if self.on_us is not None and self.off_us is None and not self.quiet:
            found.append(self.on_us + self.on_delay_us)
        return [us for us in found if now_us - within_us < us <= now_us]

    def chatters_until(self) -> int | None:
        """Up to when it counts as chattering, should it neither come nor go again."""
        if self.chattered_us is None:
            return None
        return max(self.chattered_us, *self.turns) + CALM_US

    def chatters(self, now_us: int) -> bool:
        until_us = self.chatters_until()
        return until_us is not None and now_us < until_us


# ---- apply: never raises, for any subset of facts in any order


def apply(alarm: Alarm | None, rec: e.Recorded, subject_id: str) -> Alarm:
    """The alarm after one more fact."""
    was = alarm or Alarm(id=subject_id)
    step = _APPLY.get(type(rec.event))
    now = was if step is None else step(was, rec, rec.event)
    return replace(now, parked=now.parked or rec.event is None, position=max(now.position, rec.position))


def _turned(was: Alarm, rec: e.Recorded) -> tuple[Alarm, int]:
    """The alarm with one more turn, and when that was: a clock that was set back turns nothing round."""
    at_us = max(rec.observed_us, *was.turns) if was.turns else rec.observed_us
    turns = (*was.turns, at_us)[-8:]
    often = sum(1 for us in turns if us > at_us - CHATTER_WITHIN_US) > CHATTER_MORE_THAN
    return replace(was, turns=turns, chattered_us=at_us if often else was.chattered_us), at_us


def _raised(was: Alarm, rec: e.Recorded, f: e.AlarmRaised) -> Alarm:
    told = replace(
        was,
        raised=True,
        station=f.station,
        district=f.district,
        kind=f.kind,
        group=f.group,
        priority=f.priority,
        title=f.title,
        means=f.means,
        todo=f.todo,
        detail=f.detail,
        on_delay_us=f.on_delay_us,
        off_delay_us=f.off_delay_us,
        source=rec.source,
        raised_by=rec.actor,
    )
    if was.on:
        return told
    chattered = was.chatters(rec.observed_us)
    now, at_us = _turned(told, rec)
    if was.off_us is not None and at_us - was.off_us < was.off_delay_us:
        # It had not been gone for long enough to be over.
        again = was.announced if was.quiet else was.announced[:-1]
        return replace(now, off_us=None, announced=again)
    soon = was.off_us is not None and at_us - was.off_us < DEAD_US
    if was.ack is not None and (soon or chattered):
        return replace(now, on_us=at_us, off_us=None, quiet=True)
    return replace(now, on_us=at_us, off_us=None, quiet=False, before=was.ack, ack=None)


def _cleared(was: Alarm, rec: e.Recorded, f: e.AlarmCleared) -> Alarm:
    if was.on_us is None or was.off_us is not None:
        return was
    now, at_us = _turned(was, rec)
    called_us = was.on_us + was.on_delay_us
    if at_us < called_us:
        # It went before it was announced: nobody need know.
        return replace(now, on_us=None, off_us=None, quiet=False, ack=was.ack if was.quiet else was.before)
    if was.quiet:
        return replace(now, off_us=at_us)
    kept = tuple(us for us in was.announced if us > at_us - DAY_US)
    return replace(now, off_us=at_us, ever=True, announced=(*kept, called_us))


def _acknowledged(was: Alarm, rec: e.Recorded, f: e.AlarmAcknowledged) -> Alarm:
    ack = Ack(rec.observed_us, rec.actor)
    if was._pending(rec.observed_us) and not was.quiet:
        return replace(was, before=ack)
    return replace(was, ack=ack)


def _shelved(was: Alarm, rec: e.Recorded, f: e.AlarmShelved) -> Alarm:
    return replace(
        was,
        shelved_us=rec.observed_us,
        shelved_by=rec.actor,
        shelved_until_us=f.until_us,
        shelf_reason=f.reason,
    )


def _unshelved(was: Alarm, rec: e.Recorded, f: e.AlarmUnshelved) -> Alarm:
    return replace(was, shelved_us=None, shelved_by="", shelved_until_us=None, shelf_reason="")


def _service(was: Alarm, rec: e.Recorded, f: e.AlarmServiceSet) -> Alarm:
    if f.in_service:
        return replace(was, out_us=None, out_by="", out_reason="")
    return replace(was, out_us=rec.observed_us, out_by=rec.actor, out_reason=f.reason)


_APPLY: dict[type[Any], Callable[[Alarm, e.Recorded, Any], Alarm]] = {
    e.AlarmRaised: _raised,
    e.AlarmCleared: _cleared,
    e.AlarmAcknowledged: _acknowledged,
    e.AlarmShelved: _shelved,
    e.AlarmUnshelved: _unshelved,
    e.AlarmServiceSet: _service,
}


# ---- decide


def _must_be_there(state: State, alarm_id: str) -> Alarm:
    found = state.alarm(alarm_id)
    if found is None or not found.raised:
        raise Refused("unknown-alarm", f"There is no alarm {alarm_id}.", kind="missing", field="alarm")
    if found.parked:
        raise Refused(
            "upgrade-needed",
            "This alarm holds facts from a newer program; upgrade this station first.",
            kind="conflict",
        )
    return found


def report(state: State, cmd: c.ReportAlarm, ctx: Context) -> tuple[e.Event, ...]:
    alarm_id = text_of(cmd.alarm, "alarm", required=True, longest=ID_MAX)
    was = state.alarm(alarm_id)
    if not cmd.on:
        was = _must_be_there(state, alarm_id)
    if was is not None and was.raised and ctx.actor.role == "gateway" and was.raised_by != ctx.actor.label:
        raise Refused(
            "not-your-alarm",
            f"{who(was.raised_by)} raised this alarm; a gateway speaks for its own alone.",
            kind="forbidden",
            by=was.raised_by,
        )
    if not cmd.on:
        assert was is not None
        return (e.AlarmCleared(alarm_id),) if was.on else ()
    kind = text_of(cmd.kind, "kind", required=True, longest=NAME_MAX)
    group, priority = KINDS.get(kind, (kind, "low"))
    if cmd.priority is not None and cmd.priority not in PRIORITIES:
        raise Refused("unknown-priority", f"A priority is {', '.join(PRIORITIES)}.", field="priority")
    for name, delay_s in (("on_delay_s", cmd.on_delay_s), ("off_delay_s", cmd.off_delay_s)):
        if not 0 <= delay_s <= DELAY_MAX_S:
            raise Refused("bad-delay", f"{name} is 0 to {DELAY_MAX_S:.0f} s.", field=name)
    # An alarm that does not say what it means and what to do is none.
    own = kind not in KINDS
    said = {
        name: text_of(getattr(cmd, name), name, required=own, longest=WORDS_MAX)
        for name in ("title", "means", "todo")
    }
    if was is not None and was.on:
        return ()
    return (
        e.AlarmRaised(
            alarm=alarm_id,
            station=ctx.station,
            district=ctx.district,
            kind=kind,
            group=text_of(cmd.group, "group", longest=NAME_MAX) or group,
            priority=cmd.priority or priority,
            detail=text_of(cmd.detail, "detail", longest=WORDS_MAX),
            on_delay_us=round(cmd.on_delay_s * 1e6),
            off_delay_us=round(cmd.off_delay_s * 1e6),
            **said,
        ),
    )


def acknowledge(state: State, cmd: c.AcknowledgeAlarm, ctx: Context) -> tuple[e.Event, ...]:
    was = _must_be_there(state, cmd.alarm)
    open_to_it = was.active(ctx.now_us) or was.ever
    if was.acknowledged(ctx.now_us) is not None or not open_to_it:
        return ()
    return (e.AlarmAcknowledged(cmd.alarm),)


def shelve(state: State, cmd: c.ShelveAlarm, ctx: Context) -> tuple[e.Event, ...]:
    was = _must_be_there(state, cmd.alarm)
    if not SHELF_MIN_US <= cmd.for_us <= SHELF_MAX_US:
        raise Refused("bad-shelf", "An alarm is shelved for 1 minute to 12 hours.", field="minutes")
    if was.out_us is not None:
        raise Refused(
            "out-of-service",
            "This alarm is out of service; it need not be shelved.",
            kind="conflict",
            by=was.out_by,
            at_us=was.out_us,
        )
    reason = text_of(cmd.reason, "reason", longest=REASON_MAX)
    return (e.AlarmShelved(cmd.alarm, ctx.now_us + cmd.for_us, reason),)


def unshelve(state: State, cmd: c.UnshelveAlarm, ctx: Context) -> tuple[e.Event, ...]:
    was = _must_be_there(state, cmd.alarm)
    return () if was.shelved_until_us is None else (e.AlarmUnshelved(cmd.alarm),)


def set_service(state: State, cmd: c.SetAlarmService, ctx: Context) -> tuple[e.Event, ...]:
    was = _must_be_there(state, cmd.alarm)
    reason = text_of(cmd.reason, "reason", required=not cmd.in_service, longest=REASON_MAX)
    return (
        ()
        if cmd.in_service is (was.out_us is None)
        else (e.AlarmServiceSet(cmd.alarm, cmd.in_service, reason),)
    )


# ---- how the alarms themselves do


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the last 24 h. `per_hour` counts the announced in each, the oldest hour first; `worst` are (alarm,
    how often), the most frequent first; `standing` those that stand for longer than a day."""

    total: int
    per_hour: tuple[int, ...]
    last_10_min: int
    peak_10_min: int
    flood_since_us: int | None
    standing: tuple[str, ...]
    chattering: tuple[str, ...]
    worst: tuple[tuple[str, int], ...]
    by_priority: dict[str, int]


def figures(alarms: Iterable[Alarm], now_us: int) -> Figures:
    known = [x for x in alarms if x.raised]
    called = {x.id: x.called_out(now_us) for x in known}
    times = sorted(us for listed in called.values() for us in listed)
    hours = [0] * 24
    for us in times:
        hours[23 - min(23, (now_us - us) // HOUR_US)] += 1
    often = sorted(
        ((x, len(listed)) for x, listed in called.items() if listed), key=lambda one: (-one[1], one[0])
    )
    return Figures(
        total=len(times),
        per_hour=tuple(hours),
        last_10_min=len(times) - bisect_left(times, now_us - FLOOD_WITHIN_US + 1),
        peak_10_min=max(
            (n + 1 - bisect_left(times, us - FLOOD_WITHIN_US + 1) for n, us in enumerate(times)), default=0
        ),
        flood_since_us=flood_since(times, now_us),
        standing=tuple(
            x.id for x in known if x.active(now_us) and now_us - (x.on_us or now_us) > STANDING_US
        ),
        chattering=tuple(x.id for x in known if x.chatters(now_us)),
        worst=tuple(often[:10]),
        by_priority={p: sum(len(called[x.id]) for x in known if x.priority == p) for p in PRIORITIES},
    )


def flood_since(times: Sequence[int], now_us: int) -> int | None:
    """Since when more come than a person can take in: more than 10 within 10 minutes, until fewer than 5 do.
    `times` are sorted."""
    since: int | None = None
    for n, us in enumerate(times):
        lately = n - bisect_left(times, us - FLOOD_WITHIN_US + 1)
        if since is not None and lately < FLOOD_OVER_BELOW:
            since = None
        if since is None and lately + 1 > FLOOD_MORE_THAN:
            since = us
    left = len(times) - bisect_left(times, now_us - FLOOD_WITHIN_US + 1)
    return since if left >= FLOOD_OVER_BELOW else None
