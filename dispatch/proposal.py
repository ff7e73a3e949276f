"""The proposal: something better than what is ordered, for a person to take up.

Two kinds. `reassign`: a unit on its way goes to another incident instead, or a unit that is free now takes
over from a farther one that has not arrived. `move_up`: a free unit stands by where the next call would wait
too long. A proposal says of which moves it is made, what it gains and what it costs; it changes nothing until
somebody accepts it, and then the orders are those of `dispatch.unit`, with every check they have by hand.

What may be proposed at all stands here and nowhere else (``fault_of``), and is asked when it is made, when it
is accepted and, by the keeper, in between:

- nobody who has arrived is moved, and a unit is turned once for each incident at the most;
- to turn a unit away gains ``GAIN_S`` or more, and leads to an incident at least as urgent;
- a unit that moves up is free and rested; one that is driving home is sent elsewhere only by who commands it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dispatch import commands as c
from dispatch import events as e
from dispatch import unit as units
from dispatch.commands import Context, Refused, upgrade_needed, who
from dispatch.incident import REASON_MAX, Incident, private, text_of
from dispatch.unit import STANDING_BY, UNDERWAY, Unit

if TYPE_CHECKING:
    from dispatch.state import State

KINDS = ("reassign", "move_up")
TRIGGERS = ("unit_cleared", "eta_slipped", "map_changed", "priority_changed", "new_call", "coverage")
GAIN_S = 60
"""The least that turning a unit away must gain, in seconds."""
LASTS_US: Mapping[str, int] = MappingProxyType({"reassign": 180_000_000, "move_up": 600_000_000})
"""How long a proposal waits for somebody."""
WATCH_US = 12 * 3_600_000_000
"""Over how long the move-ups of a unit are counted; how many, and the rest between two, the pack says."""
HOUR_US = 3_600_000_000
MOVES_MAX = 4

Move = tuple[str, str | None, str | None]
"""A unit, the incident it leaves, the incident it goes to; None for none."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`state`: open, accepted, declined, expired (nobody took it up in time) or superseded (what it rested on
    changed). `why` and `about` tell why it holds no more."""

    id: str
    made: bool = False
    kind: str = ""
    state: str = "open"
    trigger: str = ""
    station: str = ""
    district: str = ""
    moves: tuple[Move, ...] = ()
    post: tuple[str, float, float] | None = None
    incidents: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    basis: str = ""
    made_us: int = 0
    expires_us: int = 0
    decided_us: int | None = None
    decided_by: str = ""
    reason: e.Words = ""
    rule: str | None = None
    authority: str | None = None
    why: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    parked: bool = False
    position: int = 0

    @property
    def open(self) -> bool:
        return self.made and self.state == "open"

    @property
    def unit(self) -> str:
        """The unit it is about."""
        return self.moves[0][0] if self.moves else ""

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(move[0] for move in self.moves)


# ---- apply: never raises, for any subset of facts in any order


def apply(proposal: Proposal | None, rec: e.Recorded, subject_id: str) -> Proposal:
    """The proposal after one more fact."""
    was = proposal or Proposal(id=subject_id)
    step = _APPLY.get(type(rec.event))
    now = was if step is None else step(was, rec, rec.event)
    return replace(now, parked=now.parked or rec.event is None, position=max(now.position, rec.position))


def _made(was: Proposal, rec: e.Recorded, f: e.ProposalMade) -> Proposal:
    if was.made:
        return was
    return replace(
        was,
        made=True,
        kind=f.kind,
        trigger=f.trigger,
        station=f.station,
        district=f.district,
        moves=f.moves,
        post=f.post,
        incidents=f.incidents,
        figures=f.figures,
        basis=f.basis,
        made_us=rec.observed_us,
        expires_us=f.expires_us,
    )


def _ended(was: Proposal, rec: e.Recorded, state: str, **more: Any) -> Proposal:
    """What was said first stands, for the orders that followed from it were given."""
    if was.state != "open":
        return was
    return replace(was, state=state, decided_us=rec.observed_us, decided_by=rec.actor, **more)


def _accepted(was: Proposal, rec: e.Recorded, f: e.ProposalAccepted) -> Proposal:
    return _ended(was, rec, "accepted", rule=f.rule, authority=f.authority)


def _declined(was: Proposal, rec: e.Recorded, f: e.ProposalDeclined) -> Proposal:
    return _ended(was, rec, "declined", reason=f.reason)


def _expired(was: Proposal, rec: e.Recorded, f: e.ProposalExpired) -> Proposal:
    state = "expired" if f.why == "time" else "superseded"
    return _ended(was, rec, state, why=f.why, about=f.about)


_APPLY: dict[type[Any], Callable[[Proposal, e.Recorded, Any], Proposal]] = {
    e.ProposalMade: _made,
    e.ProposalAccepted: _accepted,
    e.ProposalDeclined: _declined,
    e.ProposalExpired: _expired,
}


# ---- what may be proposed


def fault_of(
    state: State,
    kind: str,
    moves: tuple[Move, ...],
    post: c.Place | None,
    figures: Mapping[str, Any],
    ctx: Context,
) -> Refused | None:
    """What forbids this proposal as things are now, in words that name who did what and when; None when
    nothing does."""
    try:
        for move in moves:
            _check_move(state, move, ctx)
        if kind == "move_up":
            _check_move_up(state, moves[0][0], post, ctx)
        else:
            _check_gain(state, moves, figures, ctx)
    except Refused as fault:
        return fault
    return None


def _check_gain(state: State, moves: tuple[Move, ...], figures: Mapping[str, Any], ctx: Context) -> None:
    gain_s, loss_s = figures.get("gain_s"), figures.get("loss_s")
    _, leaves, to = moves[0]
    source, target = (None if one is None else state.incident(one) for one in (leaves, to))
    if source is not None and target is not None and _rank(source, ctx) == _rank(target, ctx):
        # Between equals one incident's gain is the other's loss; with nobody for the other it is no gain.
        gain_s = None if loss_s is None else (gain_s or 0) - loss_s
        if gain_s is None:
            raise _stale("gain-too-small", f"It would leave {source.number} without anybody.")
    elif gain_s is None and "gain_s" in figures:
        # Nobody else can come at all, or the one that is on its way cannot arrive any more.
        return
    if gain_s is None or gain_s < GAIN_S:
        raise _stale(
            "gain-too-small", f"It gains {gain_s or 0:.0f} s; to turn a unit away takes {GAIN_S} s or more."
        )


def _ago(us: int | None, ctx: Context) -> str:
    seconds = max(0, ctx.now_us - (us or ctx.now_us)) // 1_000_000
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"


def _stale(code: str, detail: str, **about: Any) -> Refused:
    return Refused(code, detail, kind="conflict", field="proposal", **about)


def _check_move(state: State, move: Move, ctx: Context) -> None:
    unit_id, leaves, to = move
    unit = units.must_be_known(state, unit_id)
    units.must_be_held(unit, ctx)
    target = None if to is None else _open_incident(state, to, ctx)
    if unit.incident != leaves:
        _refuse_elsewhere(state, unit, leaves, ctx)
    if leaves is None:
        _must_be_free(state, unit, ctx)
        return
    source = _open_incident(state, leaves, ctx)
    reached = next((a.times for a in source.active() if a.unit == unit_id), {})
    if unit.status not in UNDERWAY or "on_scene" in reached or "staged" in reached:
        raise _stale(
            "unit-arrived",
            f"{unit_id} is {_status(unit, ctx)} at incident {source.number}, {_ago(unit.status_us, ctx)}.",
            unit=unit_id,
            status=unit.status,
            since_us=unit.status_us,
        )
    for one in (leaves, to):
        if one is not None and one in unit.diverted:
            number = source.number if one == leaves else (target.number if target else one)
            raise _stale(
                "turned-before", f"{unit_id} was turned once already for incident {number}.", unit=unit_id
            )
    if target is None:
        return
    if ctx.pack.sendable(unit.status) != "divert":
        raise _stale(
            "unit-not-rolling",
            f"{unit_id} is {_status(unit, ctx)} and cannot be diverted.",
            unit=unit_id,
            status=unit.status,
        )
    if _rank(target, ctx) > _rank(source, ctx):
        raise _stale(
            "less-urgent",
            f"Incident {target.number} is {target.priority}; {unit_id} is on its way to"
            f" {source.number}, which is {source.priority}.",
            unit=unit_id,
            incident_number=target.number,
        )


def _refuse_elsewhere(state: State, unit: Unit, leaves: str | None, ctx: Context) -> None:
    if unit.incident is not None:
        other = state.incident(unit.incident)
        number = other.number if other is not None else unit.incident
        raise _stale(
            "unit-taken",
            f"{unit.id} was sent to incident {number} by {who(unit.assigned_by)}"
            f" {_ago(unit.assigned_us, ctx)}.",
            unit=unit.id,
            by=unit.assigned_by,
            at_us=unit.assigned_us,
            incident_number=number,
        )
    raise _stale(
        "unit-left",
        f"{unit.id} is {_status(unit, ctx)} since {_ago(unit.status_us, ctx)}, by {who(unit.status_by)}.",
        unit=unit.id,
        by=unit.status_by,
        at_us=unit.status_us,
    )


def _must_be_free(state: State, unit: Unit, ctx: Context) -> None:
    if ctx.pack.sendable(unit.status) != "now":
        raise _stale(
            "unit-not-available",
            f"{unit.id} is {_status(unit, ctx)}, {_ago(unit.status_us, ctx)}.",
            unit=unit.id,
            status=unit.status,
            since_us=unit.status_us,
        )
    if unit.crew < unit.crew_min:
        raise _stale(
            "crew-short", f"{unit.id} has {unit.crew} aboard and needs {unit.crew_min}.", unit=unit.id
        )
    if units.is_asked(unit) and unit.asked is not None:
        raise _stale(
            "unit-asked",
            f"{unit.id} was asked for by {who(unit.asked.asked_by)} {_ago(unit.asked.asked_us, ctx)}.",
            unit=unit.id,
            by=unit.asked.asked_by,
            at_us=unit.asked.asked_us,
        )
    mate = units.crew_mate_out(state, unit) or units.crew_mate_asked(state, unit)
    if mate is not None:
        raise _stale("crew-out", f"The crew of {unit.id} is out with {mate.id}.", unit=unit.id)


def _check_move_up(state: State, unit_id: str, post: c.Place | None, ctx: Context) -> None:
    unit = units.must_be_known(state, unit_id)
    going = unit.moving_up
    if going is not None and (post is None or going.post != post.label):
        raise _stale(
            "moving-up",
            f"{unit_id} is on its way to stand by at {going.post}, by {who(going.by)}"
            f" {_ago(going.since_us, ctx)}.",
            unit=unit_id,
            by=going.by,
            at_us=going.since_us,
        )
    if unit.status not in STANDING_BY:
        raise _stale("unit-not-available", f"{unit_id} is {_status(unit, ctx)}.", unit=unit_id)
    if unit.status == "returning" and unit.command != "owned":
        # Its agency has it on its way already, and would be asked about a crew that it is not talking to.
        raise _stale(
            "unit-not-available",
            f"{unit_id} is {_status(unit, ctx)}; where it drives is for {unit.agency} to say.",
            unit=unit_id,
            status=unit.status,
            since_us=unit.status_us,
        )
    if not is_rested(unit, ctx):
        raise _stale(
            "needs-rest", f"{unit_id} moved up {_ago(unit.moved_up[-1], ctx)} and rests.", unit=unit_id
        )


def is_rested(unit: Unit, ctx: Context) -> bool:
    """Whether it has had its rest since it last moved up, and has not done so too often in this watch."""
    rules = ctx.pack.standby
    lately = [us for us in unit.moved_up if ctx.now_us - us < WATCH_US]
    if unit.moved_up and ctx.now_us - unit.moved_up[-1] < rules.rest_s * 1e6:
        return False
    return len(lately) < min(rules.per_watch, units.MOVED_UP_MAX)


def _open_incident(state: State, incident_id: str, ctx: Context) -> Incident:
    incident = state.incident(incident_id)
    if incident is None or not incident.reported:
        raise _stale("unknown-incident", f"There is no incident {incident_id}.")
    if not incident.open:
        raise _stale(
            "incident-closed",
            f"Incident {incident.number} was closed {_ago(incident.closed_us, ctx)}.",
            incident_number=incident.number,
        )
    return incident


def _status(unit: Unit, ctx: Context) -> str:
    known = ctx.pack.statuses.get(unit.status)
    return known.names["en"].lower() if known else unit.status


def _rank(incident: Incident, ctx: Context) -> int:
    """1 is the most urgent; a priority that a newer program wrote comes after all others."""
    known = ctx.pack.priorities.get(incident.priority)
    return known.rank if known is not None else 99


def basis_of(state: State, kind: str, moves: tuple[Move, ...], figures: Mapping[str, Any]) -> str:
    """What must change before the same moves are proposed again: who is on the incidents since when, their
    urgency and alarm level, whether anybody else could come at all. Times that drift change nothing, nor
    does a closure: where it matters, the gain grows."""
    parts: list[Any] = [kind, "gain_s" in figures and figures["gain_s"] is None]
    for incident_id in dict.fromkeys(one for _, *ends in moves for one in ends if one is not None):
        incident = state.incident(incident_id)
        if incident is not None:
            on_it = sorted((a.unit, a.times.get("assigned", 0)) for a in incident.active())
            parts += [incident_id, incident.priority, incident.alarm_level, on_it]
    if kind == "move_up":
        parts.append(figures.get("zone", ""))
    return hashlib.sha256(e.canonical(_plain(parts)).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


GREW = 2.0
"""A gain this many times larger than the one declined is worth another word."""
QUIET_US: Mapping[str, int] = MappingProxyType({"reassign": 12 * HOUR_US, "move_up": HOUR_US})
"""How long a person's word on a proposal counts: what leaves a zone bare may be another matter in an hour."""
EXPIRED_US = 900_000_000
"""How long one that nobody took up is not made again."""


def _settled_by(state: State, cmd: c.Propose, basis: str, ctx: Context) -> bool:
    """Whether it is proposed already, was answered and nothing material changed, or a unit of it stands in
    another open proposal."""
    named = {move[0] for move in cmd.moves}
    for other in state.proposals():
        if other.open:
            if named & set(other.units):
                return True
            continue
        if (other.kind, other.moves) != (cmd.kind, cmd.moves) or _post(other) != _place(cmd.post):
            continue
        quiet_us = EXPIRED_US if other.state == "expired" else QUIET_US[cmd.kind]
        if other.state == "superseded" or ctx.now_us - (other.decided_us or 0) > quiet_us:
            continue
        grew = (cmd.figures.get("gain_s") or 0) >= GREW * (other.figures.get("gain_s") or 0) > 0
        if other.basis == basis and not grew:
            return True
    return False


def _post(proposal: Proposal) -> str:
    return proposal.post[0] if proposal.post is not None else ""


def _place(post: c.Place | None) -> str:
    return post.label if post is not None else ""


# ---- decide


def propose(state: State, cmd: c.Propose, ctx: Context) -> tuple[e.Event, ...]:
    if cmd.kind not in KINDS:
        raise Refused("unknown-proposal-kind", f"{cmd.kind!r} is no kind of proposal.", field="kind")
    if cmd.trigger not in TRIGGERS:
        raise Refused("unknown-trigger", f"{cmd.trigger!r} is no cause of a proposal.", field="trigger")
    if not 1 <= len(cmd.moves) <= MOVES_MAX or len({move[0] for move in cmd.moves}) != len(cmd.moves):
        raise Refused("bad-moves", f"A proposal moves 1 to {MOVES_MAX} units, each once.", field="moves")
    _check_form(cmd)
    known = state.proposal(cmd.proposal)
    if known is not None and known.made:
        return ()
    fault = fault_of(state, cmd.kind, cmd.moves, cmd.post, cmd.figures, ctx)
    if fault is not None:
        raise fault
    basis = basis_of(state, cmd.kind, cmd.moves, cmd.figures)
    if _settled_by(state, cmd, basis, ctx):
        return ()
    post = cmd.post
    made = e.ProposalMade(
        proposal=cmd.proposal,
        kind=cmd.kind,
        trigger=cmd.trigger,
        station=ctx.station,
        district=cmd.district,
        moves=cmd.moves,
        post=None if post is None else (post.label, round(post.lon, 7), round(post.lat, 7)),
        incidents=tuple(dict.fromkeys(one for _, *ends in cmd.moves for one in ends if one is not None)),
        figures=dict(cmd.figures),
        basis=basis,
        expires_us=ctx.now_us + LASTS_US[cmd.kind],
    )
    return (made,)


def _check_form(cmd: c.Propose) -> None:
    """Whether the moves are of its kind: the first leads somewhere, the others follow from it."""
    _, leaves, to = cmd.moves[0]
    if cmd.kind == "move_up":
        if len(cmd.moves) > 1 or leaves is not None or to is not None or cmd.post is None:
            raise Refused("bad-moves", "A move-up moves one free unit, to a post.", field="moves")
        return
    if cmd.post is not None or to is None:
        raise Refused("bad-moves", "A reassignment sends its first unit to an incident.", field="moves")
    if any(one == other for _, one, other in cmd.moves):
        raise Refused("bad-moves", "A move leads from one incident to another.", field="moves")
    if all(source is None for _, source, _ in cmd.moves):
        # That would be an ordinary sending, which is the recommendation's.
        raise Refused("bad-moves", "A reassignment turns at least one unit away.", field="moves")


def _must_be_open(state: State, proposal_id: str, ctx: Context) -> Proposal:
    proposal = state.proposal(proposal_id)
    if proposal is None or not proposal.made:
        raise Refused(
            "unknown-proposal", f"There is no proposal {proposal_id}.", kind="missing", field="proposal"
        )
    if proposal.parked:
        raise upgrade_needed(f"Proposal {proposal_id}")
    if not proposal.open:
        how = "accepted" if proposal.state == "accepted" else proposal.state
        by = f" by {who(proposal.decided_by)}" if proposal.state in ("accepted", "declined") else ""
        raise _stale(
            "proposal-closed",
            f"This proposal was {how}{by} {_ago(proposal.decided_us, ctx)}.",
            state=proposal.state,
            by=proposal.decided_by,
            at_us=proposal.decided_us,
        )
    return proposal


def place_of(proposal: Proposal) -> c.Place | None:
    """Where a move-up leads."""
    return None if proposal.post is None else c.Place(proposal.post[1], proposal.post[2], proposal.post[0])


def accept(state: State, cmd: c.AcceptProposal, ctx: Context) -> tuple[e.Event, ...]:
    """The same orders as by hand, one after the other; nothing where one of them cannot be given. Where the
    unit it is about belongs to an agency, that is asked and nothing else is ordered yet: the others stay
    until it has said yes."""
    proposal = _must_be_open(state, cmd.proposal, ctx)
    if ctx.now_us >= proposal.expires_us:
        raise _stale("proposal-closed", f"This proposal ran out {_ago(proposal.expires_us, ctx)}.")
    fault = fault_of(state, proposal.kind, proposal.moves, place_of(proposal), proposal.figures, ctx)
    if fault is not None:
        raise fault
    authority = _authority(state, proposal, ctx) if cmd.rule else None
    if not cmd.rule and ctx.actor.role == "system":
        raise Refused("needs-a-person", "A proposal is accepted by a person, or by a rule.", kind="forbidden")
    reason = text_of(cmd.reason, "reason", longest=REASON_MAX) or "proposal"
    taken = _steps(state, proposal)
    facts: list[e.Event] = []
    for unit_id, leaves, to in taken:
        if to is not None:
            order = c.AssignUnits(
                id=cmd.id,
                incident=to,
                units=(unit_id,),
                override_reason=None if leaves is None else reason,
                answer_s=cmd.answer_s,
            )
            facts += units.assign(state, order, ctx)
        elif leaves is not None:
            recall = c.RecallUnit(id=cmd.id, incident=leaves, unit=unit_id, reason=reason)
            facts += units.recall(state, recall, ctx)
    post = place_of(proposal)
    if post is not None:
        unit = units.must_be_known(state, proposal.unit)
        units.must_be_covered(unit.id, unit.district, ctx)
        facts += units.moving_up(state, unit, post, ctx, cmd.answer_s, proposal.id)
    told = e.ProposalAccepted(
        proposal.id,
        proposal.incidents,
        tuple(move[0] for move in taken),
        proposal.kind if cmd.rule else None,
        authority,
    )
    return (told, *facts)


def _steps(state: State, proposal: Proposal) -> tuple[Move, ...]:
    return proposal.moves[:1] if asks(state, proposal) else proposal.moves


def asks(state: State, proposal: Proposal) -> bool:
    """Whether accepting it only asks an agency for the unit it is about."""
    unit = state.unit(proposal.unit)
    return unit is not None and unit.command == "requested"


def rule_for(state: State, proposal: Proposal, ctx: Context) -> str | None:
    """On whose authority the operator's rule accepts it now; None where it does not."""
    try:
        return _authority(state, proposal, ctx)
    except Refused:
        return None


def _authority(state: State, proposal: Proposal, ctx: Context) -> str:
    rule = ctx.pack.rules.get(proposal.kind)
    if rule is None or not rule.accept:
        raise Refused("no-rule", f"No rule accepts a {proposal.kind} by itself.", kind="forbidden")
    if ctx.actor.role != "system":
        raise Refused("rule-is-ours", "Only the keeper accepts by a rule.", kind="forbidden")
    for unit_id in proposal.units:
        unit = units.must_be_known(state, unit_id)
        if unit.command != "owned":
            raise Refused(
                "unit-not-owned",
                f"{unit_id} is commanded by {unit.agency}; a rule never touches it.",
                kind="forbidden",
                unit=unit_id,
            )
    done = sum(
        other.rule == proposal.kind and ctx.now_us - (other.decided_us or 0) < HOUR_US
        for other in state.proposals()
    )
    if done >= rule.per_hour:
        raise Refused(
            "rule-limit",
            f"The rule accepted {done} in the last hour and may {rule.per_hour}.",
            kind="conflict",
        )
    return rule.authority


def decline(state: State, cmd: c.DeclineProposal, ctx: Context) -> tuple[e.Event, ...]:
    proposal = _must_be_open(state, cmd.proposal, ctx)
    reason = text_of(cmd.reason, "reason", longest=REASON_MAX)
    said: e.Words = private(reason) if proposal.incidents else reason
    return (e.ProposalDeclined(proposal.id, proposal.incidents, said),)


def expire(state: State, cmd: c.ExpireProposal, ctx: Context) -> tuple[e.Event, ...]:
    proposal = state.proposal(cmd.proposal)
    if proposal is None or not proposal.open:
        return ()
    found = outdated(state, proposal, ctx)
    if found is None and cmd.gain_gone:
        found = ("gain-gone", {})
    if found is None:
        return ()
    why, about = found
    return (e.ProposalExpired(proposal.id, proposal.incidents, why, about),)


def outdated(state: State, proposal: Proposal, ctx: Context) -> tuple[str, dict[str, Any]] | None:
    """Why an open proposal holds no more, as a code and its facts; None while it does."""
    if ctx.now_us >= proposal.expires_us:
        return "time", {}
    fault = fault_of(state, proposal.kind, proposal.moves, place_of(proposal), proposal.figures, ctx)
    if fault is None:
        return None
    return fault.code, {name: value for name, value in fault.extra.items() if value is not None}
