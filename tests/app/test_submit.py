"""The door: who may ask, what is answered, and what it leaves in the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.auth import PERMISSIONS
from app.submit import ACTIONS, KEYED, hash_of
from app.tables import answered
from dispatch import commands as c
from dispatch.commands import SYSTEM, Actor, Refused
from dispatch.state import DECIDE
from tests.dispatch.story import PLACE
from tests.nodes.world import Node

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

ALL = frozenset({"*"})
ROLES = ("admin", "supervisor", "dispatcher", "field", "gateway", "observer", "drill_controller", "system")


@pytest.fixture
def node(database: str, tmp_path: Path, clock: FakeClock, random: SeededRandom) -> Iterator[Node]:
    """Given an open incident, a crew on it, one asked for, and one free; a street that is said to be closed;
    another incident that somebody was told of; a telephone that rings, a note about a place, a hand-over, and
    works that are planned."""
    node = Node(database, tmp_path / "var", clock, random)
    node.call("I1")
    for unit, kind in (("PL1", "PL"), ("AS1", "ASAS"), ("PL2", "PL")):
        node.unit_on_duty(unit, kind)
    node.submit(c.AssignUnits, incident="I1", units=("PL1", "AS1"))
    node.submit(c.ReportClosure, closure="K1", kind="closure", geometry=BARRIER)
    node.call("I3")
    node.submit(c.NotifyPerson, incident="I1", notice="N1", person={"name": "Radu"})
    node.submit(c.ReportCall, call="T1", state="ringing", number="0722 318 940")
    node.submit(c.NotePremise, premise="M1", kind="other", place=PLACE, radius_m=9.0, text="x")
    node.submit(c.WriteHandOver, handover="H1", notes="x")
    node.submit(c.PlanWork, planned="W1", kind="works", title="x", from_us=1, until_us=2)
    node.submit(c.ReportAlarm, alarm="A1", on=True, kind="device_fault")
    yield node
    node.close()


BARRIER = {"type": "LineString", "coordinates": [[26.1, 44.43], [26.104, 44.431]]}
ASKED: dict[type[c.Command], dict[str, Any]] = {
    c.ReportIncident: {"incident": "I2", "type": "F01", "place": PLACE},
    c.ChangeIncident: {"incident": "I1", "changes": {"priority": "P3"}},
    c.AcknowledgeIncident: {"incident": "I1"},
    c.AddNote: {"incident": "I1", "text": "x"},
    c.LinkCaseNumber: {"incident": "I1", "agency": "ISU", "number": "7"},
    c.LinkIncidents: {"incident": "I1", "other": "I3", "kind": "related"},
    c.UnlinkIncidents: {"incident": "I1", "other": "I3"},
    c.AnswerProtocol: {"incident": "I1", "answers": {}},
    c.SetOwner: {"incident": "I1", "owner": "x"},
    c.MarkCheck: {"incident": "I1", "check": "x", "state": "done"},
    c.CheckCrews: {"incident": "I1", "units": ("PL1",), "result": "well"},
    c.NotifyPerson: {"incident": "I1", "notice": "N2", "person": {"name": "Radu"}},
    c.FollowNotice: {"incident": "I1", "notice": "N1", "state": "answered"},
    c.ReportCall: {"call": "T2", "state": "ringing", "number": "0722 318 941"},
    c.AnswerCall: {"call": "T1"},
    c.LinkCall: {"call": "T1", "incident": "I1"},
    c.UnlinkCall: {"call": "T1", "incident": "I1"},
    c.CallBack: {"call": "T1", "reached": True},
    c.CloseCall: {"call": "T1", "why": "x"},
    c.EraseCall: {"call": "T1", "reason": "x"},
    c.NotePremise: {"premise": "M2", "kind": "other", "place": PLACE, "radius_m": 9.0, "text": "x"},
    c.WithdrawPremise: {"premise": "M1"},
    c.ErasePremise: {"premise": "M1", "reason": "x"},
    c.ReportAlarm: {"alarm": "A2", "on": True, "kind": "device_fault"},
    c.AcknowledgeAlarm: {"alarm": "A1"},
    c.ShelveAlarm: {"alarm": "A1", "for_us": 60_000_000},
    c.UnshelveAlarm: {"alarm": "A1"},
    c.SetAlarmService: {"alarm": "A1", "in_service": False, "reason": "x"},
    c.SetAlarmLevel: {"incident": "I1", "level": 2},
    c.CloseIncident: {"incident": "I1", "outcome": "x"},
    c.ReopenIncident: {"incident": "I1", "reason": "x"},
    c.RecordOffer: {"incident": "I1", "units": (("PL2", 9),), "missing": {}, "travel": "road", "fixes": {}},
    c.ErasePersonalData: {"incident": "I1", "reason": "x"},
    c.ResolveConflict: {"subject": "incident:I1", "conflict": "x", "resolution": "x"},
    c.AssignUnits: {"incident": "I1", "units": ("PL2",)},
    c.RecallUnit: {"incident": "I1", "unit": "PL1", "reason": "x"},
    c.AnswerRequest: {"incident": "I1", "unit": "AS1", "answer": "accepted", "name": "R", "via": "api"},
    c.LapseRequest: {"incident": "I1", "unit": "AS1"},
    c.RegisterUnit: {"unit": "PL9", "type": "PL", "station": "C1", "district": "centru", "crew": 2},
    c.ReportStatus: {"unit": "PL2", "status": "off_duty"},
    c.SetFlag: {"unit": "PL2", "flag": "emergency", "on": True},
    c.GrantCustody: {"unit": "PL2", "to": "C2"},
    c.Undo: {"command": "never-made"},
    c.AcknowledgeCancelled: {"unit": "PL2"},
    c.ReportClosure: {"closure": "K2", "kind": "closure", "geometry": BARRIER},
    c.ChangeClosure: {"closure": "K1", "changes": {"classes": ("bus",)}},
    c.ConfirmClosure: {"closure": "K1", "unit": "PL1"},
    c.OrderClosure: {"closure": "K1", "authority": "police", "ordered_by": "ag. Ilie"},
    c.WithdrawClosure: {"closure": "K1", "reason": "x"},
    c.ExpireClosure: {"closure": "K1"},
    c.EraseClosure: {"closure": "K1", "reason": "x"},
    c.RecordEta: {"incident": "I1", "unit": "PL1", "before_s": 9, "after_s": 99, "because": ("K1",)},
    c.MoveUp: {"unit": "PL2", "post": PLACE},
    c.AnswerMoveUp: {"unit": "PL2", "answer": "accepted", "name": "R", "via": "api"},
    c.EndMoveUp: {"unit": "PL2"},
    c.Propose: {
        "proposal": "P1",
        "kind": "move_up",
        "trigger": "coverage",
        "district": "centru",
        "moves": (("PL2", None, None),),
        "figures": {},
        "post": PLACE,
    },
    c.AcceptProposal: {"proposal": "P1"},
    c.DeclineProposal: {"proposal": "P1"},
    c.ExpireProposal: {"proposal": "P1"},
    c.WriteHandOver: {"handover": "H2"},
    c.TakeHandOver: {"handover": "H1"},
    c.PlanWork: {"planned": "W2", "kind": "works", "title": "x", "from_us": 1, "until_us": 2},
    c.ChangePlanned: {"planned": "W1", "changes": {"title": "y"}},
    c.WithdrawPlanned: {"planned": "W1", "reason": "x"},
    c.EraseShiftText: {"subject": "handover:H1", "reason": "x"},
    c.EnterFromPaper: {"incident": "I1", "notes": ((1, "x"),)},
}


def test_every_command_has_a_permission_and_a_story_here() -> None:
    assert ACTIONS.keys() == DECIDE.keys() == ASKED.keys()
    assert set(ACTIONS.values()) <= PERMISSIONS.keys()


def refusal_of(node: Node, kind: type[c.Command], by: Actor) -> Refused | None:
    try:
        node.submit(kind, by, **ASKED[kind])
    except Refused as refusal:
        return refusal
    return None


@pytest.mark.parametrize("kind", ASKED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_who_has_not_the_role_is_refused_and_nothing_is_recorded(node: Node, kind: type[c.Command]) -> None:
    granted = {str(role) for role in PERMISSIONS[ACTIONS[kind]]}
    for role in ROLES:
        before = node.log.position
        refusal = refusal_of(node, kind, Actor("x", role, ALL))
        forbidden = refusal is not None and refusal.code == "forbidden"
        if role not in granted:
            assert forbidden, role
            assert refusal is not None
            assert (refusal.kind, refusal.extra["action"]) == ("forbidden", ACTIONS[kind])
            assert node.log.position == before
        elif role != "field":
            assert not forbidden, role


@pytest.mark.parametrize("kind", [k for k in ASKED if k is not c.ReportIncident], ids=lambda k: k.__name__)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_another_districts_people_are_refused(node: Node, kind: type[c.Command]) -> None:
    for role in ("admin", "supervisor", "dispatcher", "gateway"):
        refusal = refusal_of(node, kind, Actor("x", role, frozenset({"nord"})))
        assert refusal is not None
        assert refusal.code == "forbidden"


def test_a_crew_speaks_for_itself_alone(node: Node) -> None:
    crew = Actor("echipaj", "field", ALL, unit="PL1")
    node.submit(c.ReportStatus, crew, unit="PL1", status="en_route")
    node.submit(c.SetFlag, crew, unit="PL1", flag="emergency", on=True)
    for kind in (c.ReportStatus, c.SetFlag):
        refusal = refusal_of(node, kind, crew)
        assert refusal is not None
        assert refusal.code == "forbidden"
    unit = node.picture.now.unit("PL2")
    assert unit is not None
    assert (unit.status, dict(unit.flags)) == ("available", {})


def test_the_log_tells_who_asked_by_which_door_and_when_it_was_seen(node: Node, clock: FakeClock) -> None:
    seen_us = clock.now_us() - 5_000_000
    ana = Actor("ana", "dispatcher", frozenset({"centru"}))
    answer = node.submit(
        c.SetAlarmLevel, ana, id="the-id", incident="I1", level=2, source="radio", observed_us=seen_us
    )
    (kept,) = node.log.read(after=answer.position - 1)
    rec = kept.recorded()
    assert (kept.actor, kept.cause, kept.cause_index, rec.source) == ("dispatcher:ana", "the-id", 0, "radio")
    assert (kept.observed_at, kept.received_at) == (seen_us, clock.now_us())
    assert kept.recorded_at >= clock.now_us()
    assert kept.epoch == 0


def test_facts_about_a_unit_carry_the_epoch_of_its_custody(node: Node) -> None:
    node.submit(c.GrantCustody, unit="PL2", to="C2")
    answer = node.submit(c.SetFlag, unit="PL2", flag="emergency", on=True)
    (kept,) = node.log.read(after=answer.position - 1)
    assert kept.epoch == 2


def test_several_facts_of_one_command_stand_together(node: Node) -> None:
    answer = node.submit(
        c.AnswerRequest, incident="I1", unit="AS1", answer="accepted", name="Radu", via="phone"
    )
    assert answer.facts == 2
    told = node.log.read(after=answer.position - 2)
    assert [(x.type, x.cause_index) for x in told] == [("RequestAnswered", 0), ("UnitAssigned", 1)]
    assert len({x.cause for x in told}) == 1


def test_a_command_that_changes_nothing_leaves_nothing(node: Node) -> None:
    before = node.log.position
    answer = node.submit(c.AssignUnits, incident="I1", units=("PL1",))
    assert (answer.facts, answer.replayed, answer.position) == (0, False, before)
    assert node.log.position == before


def test_a_refusal_says_what_is_missing_in_words(node: Node) -> None:
    with pytest.raises(Refused, match="needs the role") as caught:
        node.submit(c.AddNote, Actor("o", "observer", ALL), incident="I1", text="x")
    assert caught.value.extra == {"action": "incident.note"}


def test_the_system_itself_may_let_a_request_lapse_and_may_not_close_an_incident(
    node: Node, clock: FakeClock
) -> None:
    clock.advance(121)
    assert node.submit(c.LapseRequest, SYSTEM, incident="I1", unit="AS1").facts == 1
    with pytest.raises(Refused, match="role"):
        node.submit(c.CloseIncident, SYSTEM, incident="I1", outcome="x")


def test_the_same_request_has_the_same_hash_and_any_other_another() -> None:
    ana, bogdan = (Actor(name, "dispatcher", ALL) for name in ("ana", "bogdan"))

    def note(actor: Actor = ana, **fields: Any) -> str:
        return hash_of(c.AddNote(**{"id": "1", "incident": "I1", "text": "x", **fields}), actor)

    assert note() == note(id="2")
    others = [note(text="y"), note(incident="I2"), note(source="radio"), note(observed_us=1), note(bogdan)]
    assert len({note(), *others}) == 6
    reopen = c.ReopenIncident(id="1", incident="I1", reason="x")
    assert hash_of(reopen, ana) != hash_of(c.CloseIncident(id="1", incident="I1", outcome="x"), ana)
    place = c.Place(26.1, 44.4, "x", {"street": "y"})
    report = c.ReportIncident(id="1", incident="I1", type="F01", place=place)
    moved = c.ReportIncident(
        id="1", incident="I1", type="F01", place=c.Place(26.1, 44.4, "x", {"street": "z"})
    )
    assert hash_of(report, ana) != hash_of(moved, ana)
    # What was asked for stands for what was found
    assert hash_of(report, ana, "Lungă 5") == hash_of(moved, ana, "Lungă 5")
    assert hash_of(report, ana, "Lungă 5") != hash_of(report, ana, "Lungă 7")
    moves = [c.ChangeIncident(id="1", incident="I1", changes={"place": x.place}) for x in (report, moved)]
    assert len({hash_of(move, ana, "Lungă 5") for move in moves}) == 1


def test_a_request_that_changed_nothing_does_not_act_when_it_comes_again(
    node: Node, clock: FakeClock
) -> None:
    # Given a unit already on its way to the incident, sent once more with a key, and then recalled
    again = {"id": f"{KEYED}ana-0001", "incident": "I1", "units": ("PL1",)}
    first = node.submit(c.AssignUnits, **again)
    assert (first.facts, first.replayed) == (0, False)
    node.submit(c.RecallUnit, incident="I1", unit="PL1", reason="mai aproape este altul")
    # When the network delivers that request again, late
    late = node.submit(c.AssignUnits, **again)
    # Then it is known, and the unit stays recalled
    assert (late.facts, late.replayed, late.position) == (0, True, first.position)
    unit = node.picture.now.unit("PL1")
    assert unit is not None
    assert unit.incident is None
    with pytest.raises(Refused, match="already used"):
        node.submit(c.AssignUnits, **{**again, "units": ("PL2",)})
    # And after a week such answers are dropped, when the next is noted
    clock.advance(8 * 86_400)
    node.submit(c.AssignUnits, incident="I1", units=("PL1",))
    node.submit(c.AssignUnits, **{**again, "id": f"{KEYED}ana-0002"})
    assert node.column(answered.c.cause) == [f"{KEYED}ana-0002"]


def test_an_answer_given_before_is_told_only_to_who_asked_and_still_may(node: Node) -> None:
    crew = Actor("echipaj", "field", ALL, unit="PL1")
    pressed = {"id": "pressed-1", "unit": "PL1", "status": "en_route"}
    node.submit(c.ReportStatus, crew, **pressed)
    assert node.submit(c.ReportStatus, crew, **pressed).replayed
    # When somebody sends the same who may not, or who is another
    with pytest.raises(Refused) as other_crew:
        node.submit(c.ReportStatus, Actor("vecin", "field", ALL, unit="PL2"), **pressed)
    with pytest.raises(Refused) as dispatcher:
        node.submit(c.ReportStatus, Actor("ana", "dispatcher", ALL), **pressed)
    # Then it learns nothing of the first answer
    assert (other_crew.value.code, dispatcher.value.code) == ("forbidden", "id-reused")


def test_a_unit_is_moved_only_by_who_commands_both_districts(node: Node) -> None:
    moved = {**ASKED[c.RegisterUnit], "unit": "PL2", "district": "nord"}
    with pytest.raises(Refused, match="nord"):
        node.submit(c.RegisterUnit, Actor("s", "supervisor", frozenset({"centru"})), **moved)
    node.submit(c.RegisterUnit, Actor("s", "supervisor", frozenset({"centru", "nord"})), **moved)
