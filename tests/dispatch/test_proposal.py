"""Proposals: what may be proposed at all, what accepting one orders, and no run of events breaks a guard."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Actor, Context, Refused
from dispatch.plans import Pack, PackError, Rule, load_pack
from dispatch.proposal import Proposal
from tests.dispatch.story import ANA, PLACE, SYSTEM, Story, pack

HOUR_S = 3600
FIGURES = {"gain_s": 90, "eta_s": 120, "loss_s": None, "map": "m"}


class Night(Story):
    """A story in a town whose pack may have rules."""

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[str, Rule] = {}

    def _context(self, by: Actor) -> Context:
        rules = MappingProxyType(self.rules)
        return Context(self.now_us, by, self.station, self.district, replace(pack(), rules=rules))

    def propose(self, *moves: tuple[str, str | None, str | None], **more: Any) -> tuple[e.Event, ...]:
        made = sum(isinstance(r.event, e.ProposalMade) for r in self.records)
        given_fields: dict[str, Any] = {
            "proposal": f"p{made + 1}",
            "kind": "reassign",
            "trigger": "unit_cleared",
            "district": "centru",
            "moves": moves,
            "figures": FIGURES,
        }
        return self.when(c.Propose, SYSTEM, **(given_fields | more))

    def proposal(self, name: str = "p1") -> Proposal:
        found = self.state.proposal(name)
        assert found is not None
        return found


@pytest.fixture
def night() -> Night:
    """Given PL1 on its way to a guard duty, PL2 free, and somebody who calls for help."""
    night = Night()
    night.call("guard", "P09")
    night.call("help", "D03")
    night.unit_on_duty("PL1")
    night.unit_on_duty("PL2")
    night.when(c.AssignUnits, incident="guard", units=("PL1",))
    night.on_the_way("PL1", "en_route")
    return night


DIVERT = ("PL1", "guard", "help")


def test_a_proposal_is_made_once_and_lasts_three_minutes(night: Night) -> None:
    (made,) = night.propose(DIVERT)
    assert isinstance(made, e.ProposalMade)
    assert made.subjects() == ("proposal:p1", "incident:guard", "incident:help")
    assert (night.proposal().open, night.proposal().unit) == (True, "PL1")
    assert night.propose(DIVERT) == ()
    assert night.propose(DIVERT, proposal="p1") == ()
    # Nor is any other about a unit that stands in an open one
    assert night.propose(DIVERT, ("PL2", None, "guard")) == ()
    assert night.when(c.ExpireProposal, SYSTEM, proposal="p1") == ()
    night.after(180)
    (over,) = night.when(c.ExpireProposal, SYSTEM, proposal="p1")
    assert (night.proposal().state, night.proposal().why) == ("expired", "time")
    assert isinstance(over, e.ProposalExpired)
    assert night.when(c.ExpireProposal, SYSTEM, proposal="p1") == ()


def test_accepting_a_swap_gives_every_order_of_it(night: Night) -> None:
    night.when(c.AssignUnits, incident="help", units=("PL2",))
    night.on_the_way("PL2", "en_route")
    swap = (DIVERT, ("PL2", "help", "guard"))
    with pytest.raises(Refused) as refused:
        night.propose(*swap, figures=FIGURES | {"loss_s": 10})
    # Nobody is turned to something less urgent, not even in exchange
    assert refused.value.code == "less-urgent"
    night.when(c.ChangeIncident, incident="guard", changes={"priority": "P1"})
    night.propose(*swap, figures=FIGURES | {"loss_s": 10})
    facts = night.when(c.AcceptProposal, proposal="p1")
    kinds = [type(fact).__name__ for fact in facts]
    assert kinds == ["ProposalAccepted", "UnitRecalled", "UnitAssigned", "UnitRecalled", "UnitAssigned"]
    assert (night.unit("PL1").incident, night.unit("PL2").incident) == ("help", "guard")
    assert night.unit("PL1").diverted == ("guard", "help")


@pytest.mark.parametrize(
    ("moves", "more", "code"),
    [
        ((), {}, "bad-moves"),
        ((DIVERT, DIVERT), {}, "bad-moves"),
        ((("PL1", "guard", None),), {}, "bad-moves"),
        ((("PL1", "guard", "guard"),), {}, "bad-moves"),
        ((("PL2", None, "help"),), {}, "bad-moves"),
        ((DIVERT,), {"kind": "teleport"}, "unknown-proposal-kind"),
        ((DIVERT,), {"trigger": "boredom"}, "unknown-trigger"),
        ((DIVERT,), {"post": PLACE}, "bad-moves"),
        ((DIVERT,), {"kind": "move_up", "post": PLACE}, "bad-moves"),
        ((("PL2", None, None),), {"kind": "move_up"}, "bad-moves"),
        ((("PL9", None, "help"), ("PL1", "guard", None)), {}, "unknown-unit"),
        ((("PL2", None, "nowhere"), ("PL1", "guard", None)), {}, "unknown-incident"),
        ((DIVERT,), {"figures": FIGURES | {"gain_s": 59}}, "gain-too-small"),
        ((("PL2", None, "guard"), ("PL1", "guard", None)), {"figures": {"gain_s": 20}}, "gain-too-small"),
        ((("PL1", "help", None), ("PL2", None, "help")), {}, "bad-moves"),
    ],
)
def test_what_is_no_proposal(night: Night, moves: Any, more: Any, code: str) -> None:
    with pytest.raises(Refused) as refused:
        night.propose(*moves, **more)
    assert refused.value.code == code


def test_between_equals_both_together_must_gain(night: Night) -> None:
    night.call("other", "P09")
    between = ("PL1", "guard", "other")
    for figures in ({"gain_s": 900, "loss_s": None}, {"gain_s": 100, "loss_s": 60}):
        with pytest.raises(Refused) as refused:
            night.propose(between, ("PL2", None, "guard"), figures=figures)
        assert refused.value.code == "gain-too-small"
    assert len(night.propose(between, ("PL2", None, "guard"), figures={"gain_s": 120, "loss_s": 60})) == 1


def test_an_alerted_crew_is_relieved_and_not_diverted(night: Night) -> None:
    night.when(c.AssignUnits, incident="help", units=("PL2",))
    night.call("worse", "D03")
    with pytest.raises(Refused) as refused:
        night.propose(("PL2", "help", "worse"))
    assert refused.value.code == "unit-not-rolling"
    night.unit_on_duty("PL3")
    assert len(night.propose(("PL3", None, "help"), ("PL2", "help", None))) == 1


def test_a_person_accepts_or_a_rule_and_nobody_else(night: Night) -> None:
    night.propose(DIVERT)
    assert night.refuses(c.AcceptProposal, SYSTEM, proposal="p1").code == "needs-a-person"
    assert night.refuses(c.AcceptProposal, SYSTEM, proposal="p1", rule=True).code == "no-rule"
    night.rules = {"reassign": Rule("reassign", False, 9, "nimeni", False)}
    assert night.refuses(c.AcceptProposal, SYSTEM, proposal="p1", rule=True).code == "no-rule"
    night.rules = {"reassign": Rule("reassign", True, 9, "Ordinul 12", False)}
    assert night.refuses(c.AcceptProposal, ANA, proposal="p1", rule=True).code == "rule-is-ours"
    facts = night.when(c.AcceptProposal, SYSTEM, proposal="p1", rule=True)
    assert [type(fact).__name__ for fact in facts] == ["ProposalAccepted", "UnitRecalled", "UnitAssigned"]
    assert (night.proposal().rule, night.proposal().authority) == ("reassign", "Ordinul 12")
    assert night.unit("PL1").incident == "help"


def test_a_rule_accepts_no_more_in_an_hour_than_it_may(night: Night) -> None:
    night.rules = {"move_up": Rule("move_up", True, 2, "Ordinul 12", False)}
    for n in range(3):
        night.unit_on_duty(f"PM{n}")
        night.propose((f"PM{n}", None, None), kind="move_up", post=PLACE, figures={})
        if n < 2:
            night.when(c.AcceptProposal, SYSTEM, proposal=f"p{n + 1}", rule=True)
    assert night.refuses(c.AcceptProposal, SYSTEM, proposal="p3", rule=True).code == "rule-limit"
    # A person still may
    assert len(night.when(c.AcceptProposal, proposal="p3")) == 2


@pytest.mark.parametrize("which", ["lead", "relieved", "move_up"])
def test_a_rule_never_touches_a_requested_unit(night: Night, which: str) -> None:
    night.rules = {kind: Rule(kind, True, 60, "Ordinul 12", True) for kind in ("reassign", "move_up")}
    night.call("ill", "M01")
    for unit in ("B2-1", "B2-2"):
        night.unit_on_duty(unit, "B2")
    night.when(c.AssignUnits, incident="ill", units=("B2-1",))
    night.when(c.AnswerRequest, incident="ill", unit="B2-1", answer="accepted", name="dr. Pop", via="phone")
    moves: Any = {
        "lead": (("B2-2", None, "ill"), ("B2-1", "ill", None)),
        "relieved": (("PL2", None, "ill"), ("B2-1", "ill", None)),
        "move_up": (("B2-2", None, None),),
    }[which]
    more: dict[str, Any] = {"kind": "move_up", "post": PLACE} if which == "move_up" else {}
    assert len(night.propose(*moves, **more)) == 1
    assert night.refuses(c.AcceptProposal, SYSTEM, proposal="p1", rule=True).code == "unit-not-owned"
    # A person's yes only asks the agency, where the unit it is about is one of theirs
    kinds = [type(fact).__name__ for fact in night.when(c.AcceptProposal, proposal="p1")]
    assert (
        kinds
        == {
            "lead": ["ProposalAccepted", "UnitRequested"],
            "relieved": ["ProposalAccepted", "UnitAssigned", "UnitRecalled"],
            "move_up": ["ProposalAccepted", "UnitMovingUp"],
        }[which]
    )


def test_a_unit_that_moved_up_has_its_rest(night: Night) -> None:
    up: dict[str, Any] = {"kind": "move_up", "post": PLACE, "figures": {}}
    night.propose(("PL2", None, None), **up)
    night.when(c.AcceptProposal, proposal="p1")
    night.when(c.EndMoveUp, SYSTEM, unit="PL2", why="arrived")
    elsewhere = up | {"post": replace(PLACE, label="Sud", lon=26.2)}
    with pytest.raises(Refused) as refused:
        night.after(1790).propose(("PL2", None, None), **elsewhere)
    assert refused.value.code == "needs-rest"
    # A person may all the same, and after half an hour so may a proposal: six times in twelve hours
    for n in range(2, 7):
        night.after(1800).propose(("PL2", None, None), **elsewhere | {"post": replace(PLACE, label=f"P{n}")})
        night.when(c.AcceptProposal, proposal=f"p{n}")
        night.when(c.EndMoveUp, SYSTEM, unit="PL2", why="arrived")
    with pytest.raises(Refused) as refused:
        night.after(1800).propose(("PL2", None, None), **elsewhere)
    assert refused.value.code == "needs-rest"
    assert len(night.when(c.MoveUp, unit="PL2", post=PLACE)) == 1


def test_a_unit_that_drives_home_moves_up_only_by_who_commands_it(night: Night) -> None:
    up: dict[str, Any] = {"kind": "move_up", "post": PLACE, "figures": {}}
    night.unit_on_duty("B2-1", "B2")
    night.when(c.AssignUnits, incident="help", units=("PL2", "B2-1"))
    yes = {"answer": "accepted", "name": "dr. Pop", "via": "phone"}
    night.when(c.AnswerRequest, incident="help", unit="B2-1", **yes)
    for unit in ("PL2", "B2-1"):
        night.on_the_way(unit, "en_route", "on_scene", "returning")
    with pytest.raises(Refused) as refused:
        night.propose(("B2-1", None, None), **up)
    assert refused.value.code == "unit-not-available"
    assert "where it drives is for" in str(refused.value)
    (made,) = night.propose(("PL2", None, None), **up)
    assert isinstance(made, e.ProposalMade)
    night.when(c.AcceptProposal, proposal="p1")
    assert (night.unit("PL2").status, night.unit("PL2").moving_up is not None) == ("returning", True)


def test_what_was_declined_is_silent_until_something_changes_or_it_gains_twice_as_much(night: Night) -> None:
    night.propose(DIVERT)
    night.when(c.DeclineProposal, proposal="p1", reason="nu")
    assert night.after(300).propose(DIVERT) == ()
    assert night.propose(DIVERT, figures=FIGURES | {"gain_s": 170}) == ()
    assert len(night.propose(DIVERT, figures=FIGURES | {"gain_s": 180})) == 1
    night.when(c.DeclineProposal, proposal="p2", reason="")
    assert night.after(11 * HOUR_S).propose(DIVERT) == ()
    night.when(c.ChangeIncident, incident="guard", changes={"priority": "P3"})
    assert len(night.propose(DIVERT)) == 1


# ---- the operator's rules in the pack


def with_rules(rules: Any) -> dict[str, Any]:
    from pathlib import Path

    import yaml

    path = Path(__file__).parents[2] / "packs" / "generic.yaml"
    raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return raw | {"rules": rules}


def test_the_shipped_packs_accept_nothing_by_themselves() -> None:
    for name in ("ro", "generic"):
        shipped: Pack = pack(name)
        assert not any(rule.accept for rule in shipped.rules.values())


def test_a_rule_says_on_whose_authority() -> None:
    rules = {"move_up": {"accept": True, "per_hour": 3, "authority": "Order 12"}}
    assert load_pack(with_rules(rules)).rules["move_up"] == Rule("move_up", True, 3, "Order 12", False)


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ({"move_up": {"accept": True}}, "rules.move_up.authority: missing"),
        ({"teleport": {"accept": False}}, "rules.teleport: unknown kind of proposal"),
        ({"move_up": {"accept": "yes please"}}, "rules.move_up.accept: must be true or false"),
        ({"move_up": {"per_hour": 0}}, "rules.move_up.per_hour: is 0; it must be from 1 to 60"),
        ({"move_up": {"acept": True}}, "rules.move_up.acept: unknown key"),
        (["move_up"], "rules: must be a mapping"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_by_name(rules: Any, fault: str) -> None:
    with pytest.raises(PackError) as wrong:
        load_pack(with_rules(rules))
    assert any(one.startswith(fault) for one in wrong.value.faults), wrong.value.faults


# ---- no run of events leads to a proposal that breaks a guard

UNITS = ("PL1", "PL2", "PL3", "B2-1")
INCIDENTS = ("low", "mid", "top")
ENDS = st.none() | st.sampled_from(INCIDENTS)
MOVE = st.tuples(st.sampled_from(UNITS), ENDS, ENDS)
STEP = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(UNITS), st.sampled_from(INCIDENTS)),
    st.tuples(
        st.just("status"),
        st.sampled_from(UNITS),
        st.sampled_from(["acknowledged", "en_route", "en_route", "staged", "on_scene", "available"]),
    ),
    st.tuples(st.just("recall"), st.sampled_from(UNITS), st.sampled_from(INCIDENTS)),
    st.tuples(st.just("priority"), st.sampled_from(INCIDENTS), st.sampled_from(["P1", "P2", "P3", "P4"])),
    st.tuples(st.just("wait"), st.sampled_from([1, 100, 200, 3600]), st.none()),
    st.tuples(
        st.just("propose"),
        st.lists(MOVE, min_size=1, max_size=3),
        st.none() | st.sampled_from([0, 59, 60, 400]),
    ),
    # What a unit is doing now is a likelier proposal than what it is not.
    st.tuples(st.just("improve"), st.sampled_from(UNITS), st.sampled_from(INCIDENTS)),
    st.tuples(st.just("accept"), st.booleans(), st.none()),
)


class Watched(Night):
    """Keeps its own account of who arrived where, and who was turned for what, from the facts alone."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = {"reassign": Rule("reassign", True, 60, "Ordinul 12", False)}
        self.arrived: set[tuple[str, str]] = set()
        self.turned: Counter[tuple[str, str]] = Counter()
        self.made = self.taken = 0

    def note(self, facts: tuple[e.Event, ...]) -> None:
        for fact in facts:
            if isinstance(fact, e.UnitAssigned):
                self.arrived.discard((fact.unit, fact.incident))
            if isinstance(fact, e.UnitStatusReported) and fact.status in ("on_scene", "staged"):
                self.arrived.add((fact.unit, fact.incident or ""))

    def try_(self, kind: type[c.Command], by: Actor = ANA, **fields: Any) -> tuple[e.Event, ...]:
        try:
            facts = self.when(kind, by, **fields)
        except Refused:
            return ()
        if kind is not c.AcceptProposal:
            self.note(facts)
        return facts

    def act(self, what: str, one: Any, two: Any) -> None:
        match what:
            case "send":
                self.try_(c.AssignUnits, incident=two, units=(one,))
                self.try_(c.AnswerRequest, incident=two, unit=one, answer="accepted", name="x", via="api")
            case "status":
                self.try_(c.ReportStatus, unit=one, status=two)
            case "recall":
                self.try_(c.RecallUnit, incident=two, unit=one, reason="")
            case "priority":
                self.try_(c.ChangeIncident, incident=one, changes={"priority": two})
            case "wait":
                self.after(one)
            case "propose":
                self.suggest(tuple(one), {"gain_s": two, "loss_s": None if two is None else 0})
            case "improve":
                self.suggest(self.likely(one, two), {"gain_s": 120, "loss_s": 0})
            case "accept":
                self.accept_all(rule=one)

    def likely(self, unit: str, incident: str) -> tuple[Any, ...]:
        now = self.unit(unit).incident
        if now is not None and now != incident:
            return ((unit, now, incident),)
        other = next((a.unit for a in self.incident(incident).active() if a.unit != unit), None)
        return ((unit, None, incident), (other, incident, None)) if other else ((unit, now, incident),)

    def suggest(self, moves: tuple[Any, ...], figures: dict[str, Any]) -> None:
        ranks = {p.code: p.rank for p in pack().priorities.values()}
        try:
            facts = self.propose(*moves, figures=figures)
        except Refused:
            return
        for fact in facts:
            assert isinstance(fact, e.ProposalMade)
            self.made += 1
            for unit, leaves, to in fact.moves:
                if leaves is None:
                    assert self.unit(unit).incident is None
                    continue
                assert self.unit(unit).incident == leaves
                assert (unit, leaves) not in self.arrived, "a unit that arrived is moved"
                assert self.turned[unit, leaves] == 0, "a unit is turned twice for one incident"
                gain_s = fact.figures["gain_s"]
                assert gain_s is None or gain_s >= 60
                if to is not None:
                    assert self.turned[unit, to] == 0
                    assert ranks[self.incident(to).priority] <= ranks[self.incident(leaves).priority]

    def accept_all(self, *, rule: bool) -> None:
        for proposal in [p for p in self.state.proposals() if p.open]:
            by = SYSTEM if rule else ANA
            before = {unit: self.unit(unit).incident for unit in UNITS}
            facts = self.try_(c.AcceptProposal, by, proposal=proposal.id, rule=rule)
            if not facts:
                continue
            self.taken += 1
            lead = self.unit(proposal.unit)
            if rule:
                assert all(self.unit(unit).command == "owned" for unit in proposal.units)
            if lead.command == "requested":
                assert {type(fact) for fact in facts} <= {e.ProposalAccepted, e.UnitRequested}
            for fact in facts:
                if isinstance(fact, e.UnitRecalled):
                    assert (fact.unit, fact.incident) not in self.arrived
                    assert before[fact.unit] == fact.incident
                    for turned in filter(None, (fact.incident, fact.to)):
                        self.turned[fact.unit, turned] += 1
                        assert self.turned[fact.unit, turned] == 1, "turned twice for one incident"
                if isinstance(fact, e.UnitAssigned):
                    assert self.unit(fact.unit).command == "owned"
            self.note(facts)


@given(st.lists(STEP, max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_run_of_events_leads_to_a_proposal_that_breaks_a_guard(steps: list[Any]) -> None:
    night = Watched()
    for incident, priority in zip(INCIDENTS, ("P4", "P3", "P1"), strict=True):
        night.call(incident, "P08", priority=priority)
    for unit in UNITS:
        night.unit_on_duty(unit, "B2" if unit.startswith("B2") else "PL")
    night.try_(c.AssignUnits, incident="low", units=("PL1",))
    night.try_(c.ReportStatus, unit="PL1", status="en_route")
    for step in steps:
        night.act(*step)


def test_the_run_above_does_make_and_take_proposals() -> None:
    """Or it would prove nothing."""
    night = Watched()
    for incident, priority in zip(INCIDENTS, ("P4", "P3", "P1"), strict=True):
        night.call(incident, "P08", priority=priority)
    for unit in UNITS:
        night.unit_on_duty(unit, "B2" if unit.startswith("B2") else "PL")
    for step in (
        ("send", "PL1", "low"), ("status", "PL1", "en_route"), ("improve", "PL1", "top"),
        ("accept", True, None), ("improve", "PL2", "top"), ("accept", False, None), ("send", "B2-1", "mid"),
        ("improve", "PL3", "mid"), ("accept", False, None),
    ):  # fmt: skip
        night.act(*step)
    assert night.made >= 2
    assert night.taken >= 2
