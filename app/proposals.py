"""What would be better than what is ordered, looked for by the keeper while time goes on.

Something happens (a unit clears, an ETA slips, a closure lands, a priority changes, somebody calls): the
incidents it may matter to are looked at one by one, the most urgent first, for as long as the budget of a
step lasts; what is left over waits for the next. More slowly the city is looked at for a move-up. What is
found is proposed through the door like anything else, and `dispatch.proposal` has the last word on what may
be: here is only where to look and what is worth it.

Ids are made of what is proposed, so that any number of keepers propose it once.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import demo, metrics, recommendation
from app.core import Core
from app.coverage import Standing, zone_words
from app.log import StorageError
from app.rows import Rows, needs_of
from app.words import LANGUAGES, words_in
from dispatch import commands as c
from dispatch import events as e
from dispatch import proposal as domain
from dispatch.commands import SYSTEM, Context, Refused
from dispatch.incident import Incident
from dispatch.optimise import STALE_S, recommend
from dispatch.proposal import GAIN_S, Move, Proposal
from dispatch.standby import Coverage, move_ups
from dispatch.standby import Move as StandbyMove
from dispatch.unit import UNDERWAY, Unit, is_asked
from gis.conditions import Obstacle
from gis.coverage import Cells
from gis.geometry import metres_between
from gis.travel import RoadGraph, mode

STEP_S = 1.0
BUDGET_S = 0.1
"""How long a step looks before it leaves the rest to the next; the incident in hand is finished."""
SLIPS_EVERY_S = 10.0
SLIP_S, SLIP_SHARE = 60.0, 0.2
"""An ETA has slipped when a crew will be later than it was to be by both."""
HOLDS_S = 30.0
"""An open proposal that has come to gain less is withdrawn: less than what makes one, or it would flicker."""
RIVALS = 3
"""How many units on their way elsewhere are weighed for one place: the soonest."""
NEVER_S = 3600.0
"""What nobody coming at all is weighed as."""
MOVE_UPS_EVERY_S = 15.0
"""How often one standard of coverage is looked at, in turn."""
MOVE_UPS_AT_ONCE = 2
"""So many units are on their way to a post, or proposed to be, at the most."""
AT_POST_M = 300.0
"""A unit this near to a post waits there."""
POSTS_MAX = 60
THERE_M = 150.0
MOVE_UP_MAX_US = 3_600_000_000
"""After this a unit that was to stand by somewhere is not waited for any longer."""
log = logging.getLogger("straja.proposals")

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """One way to do better. `worth` compares it with others, in weighted late calls."""

    moves: tuple[Move, ...]
    gain_s: float | None
    eta_s: float
    loss_s: float | None
    worth: float

    def figures(self, ways: str) -> dict[str, Any]:
        return {
            "gain_s": None if self.gain_s is None else round(self.gain_s),
            "eta_s": round(self.eta_s),
            "loss_s": None if self.loss_s is None else round(self.loss_s),
            "map": ways,
        }


class Times:
    """When each unit would be at one incident, and what it would give there."""

    def __init__(self, core: Core, rows: Rows, incident: Incident) -> None:
        now_us = core.world.clock.now_us()
        lon, lat, _ = rows.place_of(incident)
        self.incident = incident
        self.looked = looked = recommendation.look(core, incident, lon, lat, now_us)
        self._core, self._place = core, (lon, lat)
        self.columns, units = looked.candidates, looked.columns.units
        self.at = {unit_id: row for row, unit_id in enumerate(self.columns.ids)}
        self.needs = needs_of(incident, core.pack)
        needed = np.array([self.needs.get(name, 0) > 0 for name in self.columns.capabilities])
        self.useful: Bools = self.columns.gives & needed
        eta_s = self.columns.eta_s()
        for row, unit in enumerate(units):
            if unit.status in ("assigned", "acknowledged"):
                # Part of the turnout of a crew that was alerted is over.
                gone_s = (now_us - (unit.assigned_us or now_us)) / 1e6
                eta_s[row] -= min(float(self.columns.turnout_s[row]), max(0.0, gone_s))
        self.eta_s: Floats = np.where(np.isfinite(eta_s), eta_s, np.inf)
        station = core.config.station
        held = np.array([unit.custodian == station for unit in units], dtype=bool)
        able = held & self.columns.in_zone & (self.columns.crew >= self.columns.crew_min)
        self.curve = recommendation.curve_of(core, incident, now_us)
        sendable = np.array(self.columns.sendable)
        unbound = np.array([mate is None for mate in self.columns.blocked_by], dtype=bool)
        self.free: Bools = able & unbound & (sendable == "now") & ~self.columns.already
        fresh = self.columns.fix_age_s <= STALE_S
        rolling = np.array([status == "en_route" for status in self.columns.status], dtype=bool)
        self.rolling: Bools = able & fresh & rolling & (sendable == "divert") & ~self.columns.already
        self.known: Bools = held & fresh

    def soonest(self, rows: Bools, useful: Bools, before_s: float = np.inf) -> list[int]:
        """Rows that give all of `useful` before that time, soonest first, equals by call sign."""
        fits = rows & (self.columns.gives >= useful).all(axis=1) & (self.eta_s <= before_s)
        fits &= np.isfinite(self.eta_s)
        return sorted(np.flatnonzero(fits).tolist(), key=lambda row: (self.eta_s[row], self.columns.ids[row]))

    def changed_since(self, before: Sequence[Obstacle]) -> Bools:
        """Rows of what is of use here that drive half a minute longer or less than with those closures."""
        core, (lon, lat), columns = self._core, self._place, self.looked.columns
        now_us = core.world.clock.now_us()
        changed = np.zeros(len(columns.ids), dtype=bool)
        then, now = core.living_map.ways_with(tuple(before), now_us), core.living_map.ways(now_us)
        if then is None or now is None or core.living_map.hazards_at(lon, lat, now_us):
            # In a hazard zone some have another way than others.
            return ~changed
        useful = self.useful.any(axis=1)
        modes = np.array(self.looked.modes, dtype=object)
        for how in sorted(set(modes[useful]) - {"air"}):
            rows = np.flatnonzero(useful & (modes == how))
            lons, lats = self.looked.places[rows].T
            was_s, is_s = (
                ways.times(
                    core.fleet.places(columns, ways, how, rows, lons, lats),
                    ways.snap(lon, lat, how, arriving=True),
                    how,
                )[:, 0]
                for ways in (then, now)
            )
            changed[rows] = ~np.isclose(was_s, is_s, rtol=0.0, atol=HOLDS_S, equal_nan=True)
        return changed

    def late(self, eta_s: float) -> float:
        return float(self.curve.late(np.array([min(eta_s, NEVER_S)]))[0])


class Proposer:
    """One step notices what has changed, ends what is over, looks for something better and accepts what the
    operator's rules accept. Belongs to one thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._rows = Rows(core.picture, core.vault, core.tracks, core.pack)
        self._at = -1
        self._queue: dict[str, str] = {}
        self._priorities: dict[str, str] = {}
        self._busy: set[str] = set()
        self._expected: dict[tuple[str, str], tuple[int, float]] = {}
        self._ways = ""
        self._obstacles: tuple[Obstacle, ...] = ()
        self._before: tuple[Obstacle, ...] | None = None
        self._cut_off: set[tuple[str, str]] = set()
        self._slips: list[str] = []
        self._slips_at_s = -math.inf
        self._worth_at_s = -math.inf
        self._times: dict[str, Times] = {}
        self._cover_at_s = core.world.clock.monotonic_s()
        self._turn = 0
        self._cleared: dict[str, float] = {}
        self._reach: tuple[tuple[Any, ...], NDArray[np.float32]] | None = None

    def step(self, mine: Callable[[], bool] = lambda: True, budget_s: float = BUDGET_S) -> None:
        """`mine` tells whether this is still the keeper; it is asked before each thing that is done."""
        begun = time.perf_counter()

        def spare() -> bool:
            return time.perf_counter() - begun < budget_s

        self._times = {}
        self._notice()
        for command in (*self._over(), *self._stood_by()):
            if not mine():
                return
            self._submit(command)
        self._look_for_slips(spare)
        # One at the least, or a budget that all else used up would starve them for ever.
        while self._queue and mine():
            self._look_at(*self._next())
            if not spare():
                break
        if spare() and mine():
            if self._cleared and not self._queue:
                # Calls come first: what has cleared may be wanted for one.
                self._look_for_posts()
            self._look_for_move_ups()
        for command in self._by_rule():
            if not mine():
                return
            self._submit(command)
        metrics.PROPOSER_SECONDS.observe(time.perf_counter() - begun)
        metrics.PROPOSER_WAITING.set(self.waiting)

    @property
    def waiting(self) -> int:
        """Incidents that wait to be looked at."""
        return len(self._queue)

    def _submit(self, command: c.Command) -> None:
        try:
            self._core.door.submit(command, SYSTEM)
        except Refused as error:
            # Somebody was quicker: what was seen a moment ago is so no more.
            log.info("%s: %s", type(command).__name__, error)

    def _context(self) -> Context:
        core, config = self._core, self._core.config
        return Context(core.world.clock.now_us(), SYSTEM, config.station, config.district, core.pack)

    # ---- what has changed

    def _notice(self) -> None:
        """Put the incidents that something may have changed for into the queue."""
        picture = self._core.picture
        changed = picture.changed_since(self._at) if self._at >= 0 else None
        state = picture.now
        if changed is None:
            # The first look, or a long absence: everything may have changed.
            self._at = picture.position
            self._busy = {unit.id for unit in state.units() if not self._is_free(unit)}
            for incident in state.incidents():
                self._notice_incident(incident, "new_call")
        else:
            self._at, subjects = changed
            cleared = False
            for subject in subjects:
                kind, _, ident = subject.partition(":")
                if kind == "incident":
                    found = state.incident(ident)
                    if found is not None and found.reported:
                        self._notice_incident(found)
                elif kind == "unit":
                    unit = state.unit(ident)
                    if unit is not None and unit.registered:
                        free = self._is_free(unit)
                        if free and unit.id in self._busy:
                            cleared = True
                            self._cleared[unit.id] = self._core.world.clock.monotonic_s()
                        (self._busy.discard if free else self._busy.add)(unit.id)
            if cleared:
                self._queue_all("unit_cleared")
        ways, obstacles = self._map(), self._core.living_map.obstacles()
        if ways != self._ways:
            if self._ways:
                if "map_changed" not in self._queue.values():
                    self._before = self._obstacles
                self._queue_all("map_changed")
            self._ways = ways
        self._obstacles = obstacles

    def _notice_incident(self, incident: Incident, otherwise: str | None = None) -> None:
        if not incident.open:
            self._priorities.pop(incident.id, None)
            self._queue.pop(incident.id, None)
            return
        was = self._priorities.get(incident.id)
        self._priorities[incident.id] = incident.priority
        if was is None:
            self._queue.setdefault(incident.id, otherwise or "new_call")
        elif was != incident.priority:
            self._queue[incident.id] = "priority_changed"

    def _queue_all(self, trigger: str) -> None:
        for incident in self._core.picture.now.incidents():
            if incident.open:
                self._queue.setdefault(incident.id, trigger)

    def _is_free(self, unit: Unit) -> bool:
        return unit.incident is None and self._core.pack.sendable(unit.status) == "now" and not is_asked(unit)

    def _map(self) -> str:
        """What tells one state of the map from another, the hours of the day aside."""
        now_us = self._core.world.clock.now_us()
        found = [
            (x.id, x.position) for x in self._core.picture.now.closures() if x.reroutes and x.in_force(now_us)
        ]
        city = self._core.city
        text = e.canonical([city.info.built_at if city is not None else "", *map(list, sorted(found))])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _next(self) -> tuple[Incident, str]:
        """The most urgent incident that waits, the oldest of those."""
        state, pack = self._core.picture.now, self._core.pack

        def order(incident_id: str) -> tuple[int, int, str]:
            found = state.incident(incident_id)
            known = pack.priorities.get(found.priority) if found is not None else None
            return (known.rank if known else 99, found.reported_us if found else 0, incident_id)

        chosen = min(self._queue, key=order)
        trigger = self._queue.pop(chosen)
        found = state.incident(chosen)
        return found if found is not None else Incident(chosen, open=False), trigger

    # ---- what is over

    def _over(self) -> Iterator[c.Command]:
        """Open proposals whose time has run out, or that hold no more."""
        state, ctx = self._core.picture.now, self._context()
        now_s = self._core.world.clock.monotonic_s()
        weigh = now_s - self._worth_at_s >= SLIPS_EVERY_S
        if weigh:
            self._worth_at_s = now_s
        for proposal in list(state.proposals()):
            if not proposal.open or proposal.station != self._core.config.station:
                continue
            if domain.outdated(state, proposal, ctx) is not None:
                yield c.ExpireProposal(id=f"expire:{proposal.id}", source="keeper", proposal=proposal.id)
            elif weigh and self._gains_no_more(proposal):
                yield c.ExpireProposal(
                    id=f"expire:{proposal.id}", source="keeper", proposal=proposal.id, gain_gone=True
                )

    def _gains_no_more(self, proposal: Proposal) -> bool:
        """Whether the times have changed so much that it is not worth it any more."""
        if proposal.kind != "reassign":
            return False
        unit_id, leaves, to = proposal.moves[0]
        target = None if to is None else self._core.picture.now.incident(to)
        relieved = next((unit for unit, _, goes in proposal.moves if goes is None), None)
        gain_s = proposal.figures.get("gain_s")
        if target is None or (relieved is None and (leaves is None or gain_s is None)):
            return False
        times = self._times_of(target)
        if unit_id not in times.at:
            return True
        eta_s = times.eta_s[times.at[unit_id]]
        if relieved is not None:
            late_s = times.eta_s[times.at[relieved]] if relieved in times.at else np.inf
            if gain_s is None and math.isfinite(late_s):
                # It was made because that crew could not arrive, and now it can.
                return True
            return bool(late_s - eta_s < HOLDS_S)
        # Compared with whoever else could come when it was made.
        return bool(eta_s > proposal.figures["eta_s"] + gain_s - HOLDS_S)

    def _stood_by(self) -> Iterator[c.Command]:
        """Units that have reached their post, or are not on their way to it any more."""
        now_us = self._core.world.clock.now_us()
        for unit in self._core.picture.now.units():
            going = unit.moving_up
            if going is None or unit.custodian != self._core.config.station:
                continue
            why = ""
            if going.state == "asked":
                why = "no_answer" if now_us >= (going.answer_by_us or 0) else ""
            elif now_us - going.since_us > MOVE_UP_MAX_US:
                why = "overdue"
            else:
                fix = self._core.tracks.last(unit.id)
                if fix is not None and fix.observed_us >= going.since_us:
                    near = metres_between(fix.lon, fix.lat, going.lon, going.lat) <= THERE_M
                    why = "arrived" if near else ""
            if why:
                yield c.EndMoveUp(
                    id=f"stood-by:{unit.id}:{going.since_us}:{why}", source="keeper", unit=unit.id, why=why
                )

    # ---- crews that will be late

    def _look_for_slips(self, spare: Callable[[], bool]) -> None:
        """Every now and then, and a few incidents at a time: whether the crews on their way still arrive when
        they were to."""
        now_s = self._core.world.clock.monotonic_s()
        state = self._core.picture.now
        if not self._slips and now_s - self._slips_at_s >= SLIPS_EVERY_S:
            self._slips_at_s = now_s
            self._slips = [x.id for x in state.incidents() if x.open and self._underway(x)]
            here = set(self._slips)
            self._expected = {key: value for key, value in self._expected.items() if key[1] in here}
            self._cut_off = {key for key in self._cut_off if key[1] in here}
        while self._slips and spare():
            incident = state.incident(self._slips.pop())
            if incident is not None and incident.open and self._has_slipped(incident):
                self._queue[incident.id] = "eta_slipped"

    def _underway(self, incident: Incident) -> list[Unit]:
        state = self._core.picture.now
        found = [state.unit(a.unit) for a in incident.active()]
        return [u for u in found if u is not None and u.registered and u.status in UNDERWAY]

    def _sent(self, times: Times) -> Iterator[tuple[Unit, int]]:
        """The crews on their way whose position is known, and their rows. One that is cut off never
        arrives."""
        for unit in self._underway(times.incident):
            row = times.at.get(unit.id, -1)
            if row >= 0 and times.known[row]:
                yield unit, row

    def _has_slipped(self, incident: Incident) -> bool:
        now_us, slipped = self._core.world.clock.now_us(), False
        times = self._times_of(incident)
        for unit, row in self._sent(times):
            eta_s = float(times.eta_s[row])
            if not math.isfinite(eta_s):
                slipped |= (unit.id, incident.id) not in self._cut_off
                self._cut_off.add((unit.id, incident.id))
                continue
            self._cut_off.discard((unit.id, incident.id))
            due_us = now_us + round(eta_s * 1e6)
            first_us, whole_s = self._expected.setdefault((unit.id, incident.id), (due_us, eta_s))
            if due_us - first_us > max(SLIP_S, SLIP_SHARE * whole_s) * 1e6:
                self._expected[unit.id, incident.id] = (due_us, eta_s)
                slipped = True
        return slipped

    # ---- looking for something better

    def _times_of(self, incident: Incident) -> Times:
        """Worked out once a step."""
        if incident.id not in self._times:
            self._times[incident.id] = Times(self._core, self._rows, incident)
        return self._times[incident.id]

    def _look_at(self, incident: Incident, trigger: str) -> None:
        """Propose the best that can be done for one incident, if anything is worth it."""
        if not incident.open or not needs_of(incident, self._core.pack):
            return
        times = self._times_of(incident)
        changed = np.ones(len(times.eta_s), dtype=bool)
        if trigger == "map_changed" and self._before is not None:
            changed = times.changed_since(self._before)
            if not changed.any():
                return
        options = [*self._take_overs(times, trigger, changed), *self._diverts(times, changed)]
        for found in sorted(options, key=lambda x: (-x.worth, str(x.moves))):
            if self._is_allowed(found):
                self._propose(incident, trigger, found)
                return

    def _is_allowed(self, found: Found) -> bool:
        state = self._core.picture.now
        figures = found.figures(self._ways)
        return domain.fault_of(state, "reassign", found.moves, None, figures, self._context()) is None

    def _propose(self, incident: Incident, trigger: str, found: Found) -> None:
        if any(x.open and x.moves == found.moves for x in self._core.picture.now.proposals()):
            # It is there already; its figures stay those that a person has read.
            return
        self._submit(
            self._command("reassign", trigger, incident.district, found.moves, found.figures(self._ways))
        )

    def _command(
        self,
        kind: str,
        trigger: str,
        district: str,
        moves: tuple[Move, ...],
        figures: dict[str, Any],
        post: c.Place | None = None,
    ) -> c.Propose:
        state = self._core.picture.now
        basis = domain.basis_of(state, kind, moves, figures)
        # The same once more, after it was answered, is another proposal.
        before = sum(x.kind == kind and x.moves == moves and not x.open for x in state.proposals())
        named = [kind, [list(move) for move in moves], post.label if post else "", basis, before]
        ident = hashlib.sha256(e.canonical(named).encode()).hexdigest()[:24]
        return c.Propose(
            id=f"propose:{ident}",
            source="keeper",
            proposal=ident,
            kind=kind,
            trigger=trigger,
            district=district,
            moves=moves,
            figures=figures,
            post=post,
        )

    def _take_overs(self, times: Times, trigger: str, changed: Bools) -> Iterator[Found]:
        """A unit that is free now in place of one that is still on its way. `changed`: the rows whose way is
        another since the map changed, where that is the trigger."""
        incident, state = times.incident, self._core.picture.now
        for unit, row in self._sent(times):
            useful = times.useful[row]
            if not useful.any():
                continue
            for rival in times.soonest(times.free, useful, times.eta_s[row] - GAIN_S)[:RIVALS]:
                other = state.unit(times.columns.ids[rival])
                if other is None:
                    continue
                same = trigger in ("unit_cleared", "new_call") or not (changed[row] or changed[rival])
                if same and math.isfinite(times.eta_s[row]) and other.status_us <= (unit.assigned_us or 0):
                    # It was free already when the other was sent: somebody chose so.
                    continue
                gain_s = float(times.eta_s[row] - times.eta_s[rival])
                yield Found(
                    ((other.id, None, incident.id), (unit.id, incident.id, None)),
                    gain_s if math.isfinite(gain_s) else None,
                    float(times.eta_s[rival]),
                    None,
                    times.late(times.eta_s[row]) - times.late(times.eta_s[rival]),
                )
                break

    def _diverts(self, times: Times, changed: Bools) -> Iterator[Found]:
        """A unit on its way elsewhere in place of whoever comes now, or would be sent."""
        if not times.rolling.any():
            return
        for useful, without_s, relieved, sent in self._places(times):
            gained_s = without_s - GAIN_S
            for row in times.soonest(times.rolling, useful, gained_s)[:RIVALS]:
                if relieved is not None and not (changed[row] or changed[relieved]):
                    continue
                found = self._divert(times, row, without_s, relieved, sent)
                if found is not None and found.worth > 0:
                    yield found

    def _places(self, times: Times) -> Iterator[tuple[Bools, float, int | None, set[int]]]:
        """What has to be done at the incident: the capabilities, when somebody who gives them arrives as
        things are, who that is if it was sent, and the free units that the plan counts on."""
        state, columns = self._core.picture.now, times.columns
        for _, row in self._sent(times):
            if times.useful[row].any():
                yield times.useful[row], float(times.eta_s[row]), row, set()
        # Who was asked for and has not answered is counted on like one who comes.
        asked = [r.unit for r in times.incident.requests if r.state == "asked" and r.unit in times.at]
        needs = dict(times.needs)
        for unit_id in asked:
            for n in np.flatnonzero(times.useful[times.at[unit_id]]).tolist():
                needs[columns.capabilities[n]] = max(0, needs[columns.capabilities[n]] - 1)
        if not any(needs.values()):
            return
        plan = recommend(columns, needs, curve=times.curve, top=0)
        sent = {times.at[pick.unit] for pick in plan.chosen}
        names = list(columns.capabilities)
        for pick in plan.chosen:
            if state.unit(pick.unit) is not None and pick.fills:
                # Whoever is not sent after all can take the place of the one that is turned.
                yield np.isin(names, pick.fills), pick.eta_s, None, sent - {times.at[pick.unit]}
        for name in plan.missing:
            yield np.isin(names, [name]), math.inf, None, sent

    def _divert(
        self, times: Times, row: int, without_s: float, relieved: int | None, sent: set[int]
    ) -> Found | None:
        """What it is worth to turn that unit here, with the best that can then be done for the incident it
        leaves."""
        to = times.incident.id
        state = self._core.picture.now
        unit = state.unit(times.columns.ids[row])
        left = state.incident(unit.incident) if unit is not None and unit.incident is not None else None
        if unit is None or left is None or not left.open or to == left.id:
            return None
        there = self._times_of(left)
        if unit.id not in there.at:
            return None
        useful = there.useful[there.at[unit.id]]
        was_s = float(there.eta_s[there.at[unit.id]])
        free = there.free.copy()
        free[list(sent)] = False
        moves: list[Move] = [(unit.id, left.id, to)]
        instead = there.soonest(free, useful)[:1]
        after_s = float(there.eta_s[instead[0]]) if instead else math.inf
        if relieved is not None:
            other = times.columns.ids[relieved]
            # Only between equals: nobody is turned to something less urgent.
            equal = left.priority == times.incident.priority
            rolling = there.soonest(there.rolling, useful) if equal else []
            swaps = [n for n in rolling if there.columns.ids[n] == other]
            if swaps and there.eta_s[swaps[0]] <= after_s:
                after_s = float(there.eta_s[swaps[0]])
                moves.append((other, to, left.id))
            else:
                moves.append((other, to, None))
                if instead:
                    moves.append((there.columns.ids[instead[0]], None, left.id))
        elif instead:
            moves.append((there.columns.ids[instead[0]], None, left.id))
        loss_s = after_s - was_s if math.isfinite(after_s) and math.isfinite(was_s) else None
        worth = times.late(without_s) - times.late(times.eta_s[row])
        worth -= there.late(after_s) - there.late(was_s) if useful.any() else 0.0
        gain_s = without_s - float(times.eta_s[row])
        return Found(
            tuple(moves),
            gain_s if math.isfinite(gain_s) else None,
            float(times.eta_s[row]),
            None if loss_s is None else max(0.0, loss_s),
            worth,
        )

    # ---- standing by

    def _look_for_move_ups(self) -> None:
        """Every now and then, for one standard of coverage at a time."""
        core, now_s = self._core, self._core.world.clock.monotonic_s()
        if now_s - self._cover_at_s < MOVE_UPS_EVERY_S or not core.coverage.standards:
            return
        self._cover_at_s = now_s
        self._turn = (self._turn + 1) % len(core.coverage.standards)
        if not any(x.open and x.kind == "move_up" for x in core.picture.now.proposals()):
            self._look_at_standard(self._turn, "coverage")

    def _look_for_posts(self) -> None:
        """The best post for each unit that has just become free, at once: its wheels are rolling, and to turn
        them elsewhere costs less than to send one that waits."""
        core, now_s = self._core, self._core.world.clock.monotonic_s()
        for unit_id, since_s in list(self._cleared.items()):
            unit = core.picture.now.unit(unit_id)
            if unit is None or not self._is_free(unit) or now_s - since_s >= MOVE_UPS_EVERY_S:
                # By then the city is looked at as a whole.
                del self._cleared[unit_id]
                continue
            turns = [
                turn for turn, standard in enumerate(core.coverage.standards)
                if standard.capability in unit.capabilities
            ]  # fmt: skip
            looked = [self._look_at_standard(turn, "unit_cleared", only=unit_id) for turn in turns]
            if all(looked):
                del self._cleared[unit_id]

    def _look_at_standard(self, turn: int, trigger: str, only: str | None = None) -> bool:
        """Propose the best move-up by one standard of coverage, if any is worth it: of any unit, or of one.
        False where the figures are not there yet."""
        core, state = self._core, self._core.picture.now
        under_way = sum(unit.moving_up is not None for unit in state.units())
        waiting = sum(x.open and x.kind == "move_up" for x in state.proposals())
        standard = core.coverage.standards[turn]
        units = sorted(
            (u for u in state.units() if standard.capability in u.capabilities and u.profile != "air"),
            key=lambda u: u.id,
        )
        on_duty = [u for u in units if u.status not in ("off_duty", "out_of_service")]
        if under_way + waiting >= MOVE_UPS_AT_ONCE or len(on_duty) < 2:
            return True
        standing = core.coverage.standing([u.id for u in on_duty])
        ways = core.living_map.ways()
        if standing is None or not standing.fresh or ways is None:
            return False
        found = self._best_move_up(standing, turn, on_duty, ways, only)
        if found is None:
            return True
        unit, post, figures = found
        figures["map"] = self._ways
        moves: tuple[Move, ...] = ((unit.id, None, None),)
        figures |= {"capability": standard.capability, "within_s": round(standard.within_s)}
        if domain.fault_of(state, "move_up", moves, post, figures, self._context()) is None:
            self._submit(self._command("move_up", trigger, unit.district, moves, figures, post))
        return True

    def _best_move_up(
        self, standing: Standing, turn: int, units: Sequence[Unit], ways: RoadGraph, only: str | None
    ) -> tuple[Unit, c.Place, dict[str, Any]] | None:
        """The one move that covers most, where it is worth it: the unit, its post, and what that changes."""
        coverage, rows = standing.cover.standards[turn], standing.cover.row[turn]
        posts = _posts(units)
        counted = [n for n in range(len(units)) if rows[n] >= 0]
        if not posts or not counted:
            return None
        # Posts are measured by what most of these units are, and drive there like anybody.
        kinds = Counter(units[n].type for n in counted)
        usual, _ = min(kinds.items(), key=lambda item: (-item[1], item[0]))
        typical = next(units[n] for n in counted if units[n].type == usual)
        profile = typical.profile
        turnout_s = np.float32(self._core.coverage.turnout_s(typical, standing=True))
        posts_s = self._reach_of(posts, mode(profile, typical.lights), standing.cells, ways) + turnout_s
        drive_s = np.full((len(coverage.idle), len(posts)), np.inf)
        bound = np.full(len(coverage.idle), -1, dtype=np.intp)
        rolling = np.zeros(len(coverage.idle), dtype=bool)
        movers: dict[int, tuple[Unit, tuple[float, float]]] = {}
        seen: set[int] = set()
        proposals = self._core.picture.now.proposals()
        offered = {x.unit: x.post for x in proposals if x.open and x.post is not None}
        ctx = self._context()
        # Of several vehicles with one crew the first stands for it.
        for n in sorted(counted, key=lambda n: units[n].id != only):
            unit, row, place = units[n], int(rows[n]), self._where(units[n])
            if row in seen or place is None or not coverage.idle[row]:
                continue
            seen.add(row)
            going = unit.moving_up
            elsewhere = offered.get(unit.id)
            if going is not None:
                bound[row] = _nearest_post(posts, going.lon, going.lat)
            elif elsewhere is not None:
                # Most likely it will go: two are not sent into one gap.
                bound[row] = _nearest_post(posts, *elsewhere[1:])
            elif unit.status == "returning":
                bound[row] = _nearest_post(posts, *(unit.base or place))
            else:
                bound[row] = _nearest_post(posts, *place)
            if going is not None or elsewhere is not None or unit.status == "returning":
                # It counts where it will be.
                rolling[row] = True
                if bound[row] >= 0:
                    coverage = coverage.changed([row], reach_s=posts_s[[bound[row]]])
            if only is not None and unit.id != only:
                continue
            at_home = unit.status == "available" or (unit.status == "returning" and unit.command == "owned")
            if going is None and elsewhere is None and at_home and domain.is_rested(unit, ctx):
                movers[row] = (unit, place)
        if not movers:
            return None
        order = list(movers)
        lons, lats = (np.array([movers[row][1][axis] for row in order]) for axis in (0, 1))
        for p, post in enumerate(posts):
            drive_s[order, p] = ways.nearest(post.lon, post.lat, lons, lats, profile, None).drive_s
        may_move = np.isin(np.arange(len(coverage.idle)), order)
        busy = 1.0 - float(coverage.idle.mean())
        rules = replace(self._core.pack.standby, at_once=min(1, self._core.pack.standby.at_once))
        found = move_ups(
            coverage, posts_s, drive_s, bound, may_move=may_move, rolling=rolling, utilisation=busy,
            rules=rules,
        )  # fmt: skip
        if not found:
            return None
        [move] = found
        after = coverage.changed([move.row], reach_s=posts_s[[move.post]])
        return self._told(movers[move.row][0], posts[move.post], move, coverage, after, standing)

    def _told(
        self, unit: Unit, post: c.Place, move: StandbyMove, was: Coverage, now: Coverage, standing: Standing
    ) -> tuple[Unit, c.Place, dict[str, Any]] | None:
        """The zone that gains most in calls, and the one that loses most."""
        before, after = was.preparedness(), now.preparedness()
        rise = (after - before) * was.demand_by_zone()
        best, worst = int(rise.argmax()), int(rise.argmin())
        if round(10 * after[best]) <= round(10 * before[best]):
            # Nothing that could be said of it to a person.
            return None
        zones = standing.cells.zones

        def names(zone: int) -> dict[str, str]:
            return {language: zone_words(zones[zone], words_in(language)) for language in LANGUAGES}

        figures: dict[str, Any] = {
            "zone": zones[best].id,
            "zone_name": names(best),
            "before_in_10": round(10 * float(before[best])),
            "after_in_10": round(10 * float(after[best])),
            "city_before_pct": round(100 * was.share(), 1),
            "city_after_pct": round(100 * now.share(), 1),
            "drive_s": round(move.drive_s),
        }
        if round(10 * after[worst]) < round(10 * before[worst]):
            figures |= {
                "leaves_zone_name": names(worst),
                "leaves_before_in_10": round(10 * float(before[worst])),
                "leaves_after_in_10": round(10 * float(after[worst])),
            }
        return unit, post, figures

    def _reach_of(
        self, posts: Sequence[c.Place], how: str, cells: Cells, ways: RoadGraph
    ) -> NDArray[np.float32]:
        """float32[p, m]: seconds of driving from each post to each cell; kept while the roads stay."""
        key = (id(ways), id(cells), how, tuple(posts))
        if self._reach is None or self._reach[0] != key:
            lons, lats = (np.array([getattr(post, axis) for post in posts]) for axis in ("lon", "lat"))
            leave = ways.snap(lons, lats, how)
            arrive = ways.snap(cells.lon, cells.lat, how, arriving=True)
            horizon_s = max(max(s.within_s, s.rural_s) for s in self._core.coverage.standards)
            self._reach = (key, ways.times(leave, arrive, how, limit_s=horizon_s))
        return self._reach[1]

    def _where(self, unit: Unit) -> tuple[float, float] | None:
        fix = self._core.tracks.last(unit.id)
        return (fix.lon, fix.lat) if fix is not None else unit.base

    # ---- what needs no person

    def _by_rule(self) -> Iterator[c.Command]:
        """Open proposals that the operator's rules accept."""
        if not any(rule.accept for rule in self._core.pack.rules.values()):
            return
        state, ctx = self._core.picture.now, self._context()
        for proposal in list(state.proposals()):
            if not proposal.open or proposal.station != self._core.config.station:
                continue
            if domain.rule_for(state, proposal, ctx) is None or not self._is_in_earnest(proposal):
                continue
            yield c.AcceptProposal(id=f"rule:{proposal.id}", source="keeper", proposal=proposal.id, rule=True)

    def _is_in_earnest(self, proposal: Proposal) -> bool:
        """Whether it is about real units and incidents, or the rule goes for the demo's too."""
        if self._core.pack.rules[proposal.kind].in_demo:
            return True
        state = self._core.picture.now
        units = [state.unit(one) for one in proposal.units]
        incidents = [state.incident(one) for one in proposal.incidents]
        played = any(u is not None and u.source == demo.SOURCE for u in units) or any(
            x is not None and "type" in x.facts and x.facts["type"].source == demo.SOURCE for x in incidents
        )
        return not played and not self._core.config.demo


def _posts(units: Sequence[Unit]) -> list[c.Place]:
    """Where units of a kind wait: their stations, each once."""
    found: list[c.Place] = []
    for unit in units:
        if unit.base is None or len(found) >= POSTS_MAX:
            continue
        near = any(metres_between(*unit.base, post.lon, post.lat) <= AT_POST_M for post in found)
        if not near:
            found.append(c.Place(*unit.base, unit.station))
    return found


def _nearest_post(posts: Sequence[c.Place], lon: float, lat: float) -> int:
    """Which post is there, -1 for none."""
    near_m = [metres_between(lon, lat, post.lon, post.lat) for post in posts]
    nearest = int(np.argmin(near_m))
    return nearest if near_m[nearest] <= AT_POST_M else -1


def keep_proposing(core: Core, mine: Callable[[], bool], wait: Callable[[float], bool]) -> None:
    """Step until `wait(seconds)` returns true or the keeper's lock is lost, in a thread of its own: whatever
    is looked for here, no deadline waits for it."""
    proposer = Proposer(core)
    while not wait(STEP_S) and mine():
        try:
            proposer.step(mine)
        except StorageError as error:
            log.warning("proposals must wait: %s", error)
        except Exception:
            log.exception("a look for something better failed")
