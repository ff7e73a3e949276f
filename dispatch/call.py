"""The call: somebody rings. What the telephone system said of it, who spoke with the caller, which incidents
it is about, and what is still to be done.

A call is never lost by hanging up: one that nobody answered waits for a call back, one that was answered
waits until it is linked to an incident or somebody says why there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Context, Refused, upgrade_needed, who
from dispatch.incident import REASON_MAX, must_exist, private, text_of

if TYPE_CHECKING:
    from dispatch.state import State

STATES = ("ringing", "answered", "abandoned", "ended")
"""What a telephone system may say of a call."""
WHYS = ("no_emergency", "passed_on", "wrong_number", "silent", "prank", "test", "not_reached", "other")
"""Why nothing is to be done about a call."""
NUMBER_MAX, LINE_MAX, RECORDING_MAX, AGENT_MAX = 50, 64, 500, 64
RADIUS_MAX_M = 200_000.0
"""The widest circle that a network still gives for a telephone."""


@dataclass(frozen=True, slots=True)
class Call:
    """`coarse` is the place to about 100 m, `place` seals the exact one, with `radius_m` about it."""

    id: str
    received: bool = False
    """False while only later facts about it have arrived: not shown until its beginning is here."""
    station: str = ""
    district: str = ""
    line: str = ""
    number: e.Secret = None
    recording: e.Secret = None
    coarse: tuple[float, float] | None = None
    radius_m: float | None = None
    place: e.Secret = None
    source: str = ""
    received_us: int = 0
    answered_us: int | None = None
    answered_by: str = ""
    abandoned_us: int | None = None
    ended_us: int | None = None
    incidents: tuple[str, ...] = ()
    tries: int = 0
    """How often somebody called back."""
    tried_us: int | None = None
    tried_by: str = ""
    reached_us: int | None = None
    closed_us: int | None = None
    closed_by: str = ""
    why: str = ""
    note: e.Secret = None
    """What was said at the end, or when it was called back."""
    parked: bool = False
    sealed: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()
    position: int = 0

    @property
    def state(self) -> str:
        """ringing, answered, ended, abandoned, called_back or closed."""
        if self.closed_us is not None:
            return "closed"
        if self.reached_us is not None:
            return "called_back"
        if self.answered_us is not None:
            return "answered" if self.ended_us is None else "ended"
        return "ringing" if self.abandoned_us is None else "abandoned"

    @property
    def needs(self) -> str | None:
        """What somebody has still to do: answer, record or call_back; None: nothing."""
        state = self.state
        if state == "ringing":
            return "answer"
        if state == "closed" or self.incidents:
            return None
        return "call_back" if state == "abandoned" else "record"


# ---- apply: never raises, for any subset of facts in any order


def apply(call: Call | None, rec: e.Recorded, subject_id: str) -> Call:
    """The call after one more fact."""
    was = call or Call(id=subject_id)
    step = _APPLY.get(type(rec.event))
    now = was if step is None else step(was, rec, rec.event)
    fresh = () if rec.event is None else [sealed.id for sealed in e.sealed_in(rec.event)]
    return replace(
        now,
        parked=now.parked or rec.event is None,
        sealed=now.sealed.union(fresh),
        position=max(now.position, rec.position),
    )


def _received(was: Call, rec: e.Recorded, f: e.CallReceived) -> Call:
    if was.received:
        return was
    return replace(
        was,
        received=True,
        station=f.station,
        district=f.district,
        line=f.line,
        number=f.number,
        recording=f.recording,
        coarse=f.coarse,
        radius_m=f.radius_m,
        place=f.place,
        source=rec.source,
        received_us=rec.observed_us,
    )


_CHANGEABLE = ("line", "number", "recording", "coarse", "radius_m", "place")


def _changed(was: Call, rec: e.Recorded, f: e.CallChanged) -> Call:
    return replace(was, **{name: value for name, value in f.changes.items() if name in _CHANGEABLE})


def _answered(was: Call, rec: e.Recorded, f: e.CallAnswered) -> Call:
    """The first one has it; who it was may be heard later than that it was answered."""
    if was.answered_us is None:
        return replace(was, answered_us=rec.observed_us, answered_by=f.by)
    return was if was.answered_by else replace(was, answered_by=f.by)


def _abandoned(was: Call, rec: e.Recorded, f: e.CallAbandoned) -> Call:
    return replace(was, abandoned_us=rec.observed_us) if was.abandoned_us is None else was


def _ended(was: Call, rec: e.Recorded, f: e.CallEnded) -> Call:
    return replace(was, ended_us=rec.observed_us) if was.ended_us is None else was


def _linked(was: Call, rec: e.Recorded, f: e.CallLinked) -> Call:
    return was if f.incident in was.incidents else replace(was, incidents=(*was.incidents, f.incident))


def _unlinked(was: Call, rec: e.Recorded, f: e.CallUnlinked) -> Call:
    return replace(was, incidents=tuple(x for x in was.incidents if x != f.incident))


def _back(was: Call, rec: e.Recorded, f: e.CalledBack) -> Call:
    reached_us = rec.observed_us if f.reached and was.reached_us is None else was.reached_us
    return replace(
        was,
        tries=was.tries + 1,
        tried_us=rec.observed_us,
        tried_by=rec.actor,
        reached_us=reached_us,
        note=f.note or was.note,
    )


def _closed(was: Call, rec: e.Recorded, f: e.CallClosed) -> Call:
    if was.closed_us is not None:
        return was
    return replace(was, closed_us=rec.observed_us, closed_by=rec.actor, why=f.why, note=f.note or was.note)


def _erased(was: Call, rec: e.Recorded, f: e.CallErased) -> Call:
    return replace(was, erased=was.erased | frozenset(f.ids))


_APPLY: dict[type[Any], Callable[[Call, e.Recorded, Any], Call]] = {
    e.CallReceived: _received,
    e.CallChanged: _changed,
    e.CallAnswered: _answered,
    e.CallAbandoned: _abandoned,
    e.CallEnded: _ended,
    e.CallLinked: _linked,
    e.CallUnlinked: _unlinked,
    e.CalledBack: _back,
    e.CallClosed: _closed,
    e.CallErased: _erased,
}


# ---- decide


def must_be_there(state: State, call_id: str) -> Call:
    """The call, or the refusal that says why it cannot be worked on."""
    found = state.call(call_id)
    if found is None or not found.received:
        raise Refused("unknown-call", f"There is no call {call_id}.", kind="missing", field="call")
    if found.parked:
        raise upgrade_needed("This call")
    return found


def report(state: State, cmd: c.ReportCall, ctx: Context) -> tuple[e.Event, ...]:
    if cmd.state not in STATES:
        raise Refused("unknown-state", f"A call is {', '.join(STATES)}.", field="state")
    given = _given(cmd)
    was = state.call(cmd.call)
    facts: list[e.Event] = []
    if was is None or not was.received:
        nothing: dict[str, Any] = dict.fromkeys(_CHANGEABLE) | {"line": ""}
        facts.append(
            e.CallReceived(call=cmd.call, station=ctx.station, district=ctx.district, **(nothing | given))
        )
        was = Call(cmd.call)
    else:
        must_be_there(state, cmd.call)
        changes = _news(was, given)
        if changes:
            facts.append(e.CallChanged(cmd.call, changes))
    spoke = was.answered_us is not None
    agent = text_of(cmd.agent, "agent", longest=AGENT_MAX)
    if cmd.state == "answered" and (not spoke or (agent and not was.answered_by)):
        facts.append(e.CallAnswered(cmd.call, agent))
    elif cmd.state in ("abandoned", "ended"):
        # Whatever the system calls it: a call that nobody answered was abandoned, another one was not.
        if spoke or (cmd.state == "ended" and agent):
            facts += [] if spoke else [e.CallAnswered(cmd.call, agent)]
            facts += [] if was.ended_us is not None else [e.CallEnded(cmd.call)]
        elif was.abandoned_us is None:
            facts.append(e.CallAbandoned(cmd.call))
    return tuple(facts)


def _given(cmd: c.ReportCall) -> dict[str, Any]:
    """What the telephone system says, as it is kept; only what it does say."""
    found: dict[str, Any] = {}
    number = text_of(cmd.number, "number", longest=NUMBER_MAX)
    line = text_of(cmd.line, "line", longest=LINE_MAX)
    recording = text_of(cmd.recording, "recording", longest=RECORDING_MAX)
    if number:
        found["number"] = e.Private(number)
    if line:
        found["line"] = line
    if recording:
        found["recording"] = e.Private(recording)
    if cmd.radius_m is not None and not (math.isfinite(cmd.radius_m) and 0 <= cmd.radius_m <= RADIUS_MAX_M):
        raise Refused(
            "bad-radius", f"radius_m is 0 to {RADIUS_MAX_M:.0f} m.", field="location.radius_m"
        )
    if cmd.place is not None:
        lon, lat = cmd.place
        found["coarse"] = (round(lon, 3), round(lat, 3))
        found["place"] = e.Private({"lon": round(lon, 7), "lat": round(lat, 7)})
        found["radius_m"] = cmd.radius_m
    return found


def _news(was: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    """What of it was not known. Sealed values cannot be looked at here: a number and a recording stay as they
    were first said, and a place is another one where its circle is."""
    news = {name: given[name] for name in ("number", "recording") if name in given and not getattr(was, name)}
    if given.get("line", was.line) != was.line:
        news["line"] = given["line"]
    if "place" in given and (given["coarse"], given["radius_m"]) != (was.coarse, was.radius_m):
        news |= {name: given[name] for name in ("coarse", "radius_m", "place")}
    return news


def answer(state: State, cmd: c.AnswerCall, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.call)
    me = ctx.actor.label
    if who(was.answered_by) == who(me):
        return ()
    if was.answered_by:
        raise Refused(
            "call-taken",
            f"{who(was.answered_by)} speaks with this caller.",
            kind="conflict",
            by=was.answered_by,
            at_us=was.answered_us,
        )
    if was.closed_us is not None:
        raise Refused(
            "call-closed", "This call is closed.", kind="conflict", by=was.closed_by, at_us=was.closed_us
        )
    return (e.CallAnswered(cmd.call, me),)


def link(state: State, cmd: c.LinkCall, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.call)
    must_exist(state, cmd.incident, ctx)
    return () if cmd.incident in was.incidents else (e.CallLinked(cmd.call, cmd.incident),)


def unlink(state: State, cmd: c.UnlinkCall, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.call)
    return (e.CallUnlinked(cmd.call, cmd.incident),) if cmd.incident in was.incidents else ()


def back(state: State, cmd: c.CallBack, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.call)
    if was.number is None:
        raise Refused("no-number", "This call came without a number to call back.", kind="conflict")
    if was.closed_us is not None:
        raise Refused(
            "call-closed", "This call is closed.", kind="conflict", by=was.closed_by, at_us=was.closed_us
        )
    return (e.CalledBack(cmd.call, cmd.reached, private(text_of(cmd.note, "note", longest=REASON_MAX))),)


def close(state: State, cmd: c.CloseCall, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.call)
    if cmd.why not in WHYS:
        raise Refused("unknown-reason", f"{cmd.why!r} is none of {', '.join(WHYS)}.", field="why")
    note = text_of(cmd.note, "note", required=cmd.why == "other", longest=REASON_MAX)
    return () if was.closed_us is not None else (e.CallClosed(cmd.call, cmd.why, private(note)),)


def erase(state: State, cmd: c.EraseCall, ctx: Context) -> tuple[e.Event, ...]:
    was = must_be_there(state, cmd.call)
    left = tuple(sorted(was.sealed - was.erased))
    reason = text_of(cmd.reason, "reason", required=True, longest=REASON_MAX)
    return (e.CallErased(cmd.call, left, reason),) if left else ()
