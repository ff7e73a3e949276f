"""The facts: their form in the log, and a fold that nothing can upset."""

from __future__ import annotations

import dataclasses
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Refused
from dispatch.plans import STATUSES
from dispatch.state import DECIDE, MemorySlots, State, apply, fold
from tests.dispatch.story import PLACE, Story, applied, folded, meet

# ---- a fact of any kind, about a few subjects, so that they meet

INCIDENTS = st.sampled_from(["I1", "I2"])
UNITS = st.sampled_from(["F1", "F2"])
STATIONS = st.sampled_from(["C1", "C2"])
PROPOSALS = st.sampled_from(["p1", "p2"])
SOME_INCIDENTS = st.lists(INCIDENTS, max_size=2, unique=True).map(tuple)
WORDS = st.text(max_size=12)
TIMES = st.integers(0, 2**50)
SECRETS = st.none() | st.builds(
    e.Sealed, st.text("0123456789abcdef", min_size=1, max_size=4), st.just("f" * 64)
)
SAID = SECRETS | WORDS
POINTS = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
CASES = st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "kind": WORDS,
        "priority": WORDS,
        "medical_code": st.none() | WORDS,
        "coarse": POINTS,
        "place": SECRETS,
        "description": SECRETS,
        "caller": SECRETS,
        "talkgroup": st.none() | WORDS,
        "staging": st.booleans(),
        "from_a_later_version": WORDS,
    },
)
FIXES = st.dictionaries(UNITS, st.tuples(st.floats(-180, 180), st.floats(-90, 90), TIMES), max_size=2)
CLOSURES = st.sampled_from(["K1", "K2"])
SHAPES = st.fixed_dictionaries(
    {"type": st.just("LineString"), "coordinates": st.lists(POINTS, min_size=2, max_size=3).map(tuple)}
)
CONFLICTS = st.sampled_from(["A#1/1", "A#1/2", "B#1/1", "B#1/2"])

CALLS = st.sampled_from(["c1", "c2"])
ALARMS = st.sampled_from(["a1", "a2"])

FACTS: dict[type[e.Event], st.SearchStrategy[Any]] = {
    e.IncidentReported: st.builds(
        e.IncidentReported,
        incident=INCIDENTS,
        station=STATIONS,
        district=WORDS,
        number=st.integers(1, 9),
        kind=WORDS,
        priority=WORDS,
        medical_code=st.none() | WORDS,
        coarse=POINTS,
        place=SECRETS,
        description=SECRETS,
        caller=SECRETS,
        case_numbers=CASES,
        staging=st.booleans(),
        talkgroup=st.none() | WORDS,
    ),
    e.IncidentChanged: st.builds(e.IncidentChanged, INCIDENTS, CHANGES),
    e.IncidentAcknowledged: st.builds(e.IncidentAcknowledged, INCIDENTS),
    e.NoteAdded: st.builds(e.NoteAdded, INCIDENTS, SECRETS),
    e.CaseNumberLinked: st.builds(e.CaseNumberLinked, INCIDENTS, WORDS, WORDS),
    e.AlarmLevelSet: st.builds(e.AlarmLevelSet, INCIDENTS, st.integers(1, 4)),
    e.IncidentClosed: st.builds(e.IncidentClosed, INCIDENTS, SECRETS),
    e.IncidentReopened: st.builds(e.IncidentReopened, INCIDENTS, SECRETS),
    e.RecommendationOffered: st.builds(
        e.RecommendationOffered,
        INCIDENTS,
        st.lists(st.tuples(UNITS, st.integers(0, 999)), max_size=2).map(tuple),
        st.dictionaries(WORDS, st.integers(0, 9), max_size=2),
        WORDS,
        FIXES,
    ),
    e.PersonalDataErased: st.builds(
        e.PersonalDataErased, INCIDENTS, st.lists(WORDS, max_size=2).map(tuple), WORDS
    ),
    e.ConflictResolved: st.builds(
        e.ConflictResolved,
        INCIDENTS.map("incident:{}".format)
        | UNITS.map("unit:{}".format)
        | CLOSURES.map("closure:{}".format)
        | st.just("siren:1"),
        CONFLICTS,
        WORDS,
    ),
    e.IncidentOwned: st.builds(e.IncidentOwned, INCIDENTS, WORDS, WORDS),
    e.CheckMarked: st.builds(
        e.CheckMarked, INCIDENTS, WORDS, st.sampled_from(["done", "not_needed", "open", "later"])
    ),
    e.CrewChecked: st.builds(
        e.CrewChecked, INCIDENTS, UNITS, st.sampled_from(["well", "no_answer", "later"]), SECRETS
    ),
    e.PersonNotified: st.builds(
        e.PersonNotified,
        incident=INCIDENTS,
        notice=WORDS,
        partner=st.none() | WORDS,
        person=SECRETS,
        via=WORDS,
        state=st.sampled_from(["answered", "waiting", "no_answer", "later"]),
        note=SECRETS,
        remind_us=st.none() | TIMES,
    ),
    e.NoticeFollowed: st.builds(
        e.NoticeFollowed,
        incident=INCIDENTS,
        notice=WORDS,
        state=st.sampled_from(["answered", "waiting", "no_answer", "later"]),
        note=SECRETS,
        remind_us=st.none() | TIMES,
    ),
    e.IncidentsLinked: st.builds(
        e.IncidentsLinked, INCIDENTS, INCIDENTS, st.sampled_from(["duplicate", "related", "later"])
    ),
    e.IncidentsUnlinked: st.builds(e.IncidentsUnlinked, INCIDENTS, INCIDENTS),
    e.ProtocolAnswered: st.builds(
        e.ProtocolAnswered,
        INCIDENTS,
        st.dictionaries(WORDS, WORDS, max_size=2),
        st.none() | WORDS,
        st.lists(WORDS, max_size=2).map(tuple),
    ),
    e.CallReceived: st.builds(
        e.CallReceived,
        call=CALLS,
        station=STATIONS,
        district=WORDS,
        line=WORDS,
        number=SECRETS,
        recording=SECRETS,
        coarse=st.none() | POINTS,
        radius_m=st.none() | st.floats(0, 9999),
        place=SECRETS,
    ),
    e.CallChanged: st.builds(
        e.CallChanged,
        CALLS,
        st.fixed_dictionaries(
            {},
            optional={
                "line": WORDS,
                "number": SECRETS,
                "coarse": st.none() | POINTS,
                "radius_m": st.none() | st.floats(0, 9999),
                "place": SECRETS,
                "from_a_later_version": WORDS,
            },
        ),
    ),
    e.CallAnswered: st.builds(e.CallAnswered, CALLS, WORDS),
    e.CallAbandoned: st.builds(e.CallAbandoned, CALLS),
    e.CallEnded: st.builds(e.CallEnded, CALLS),
    e.CallLinked: st.builds(e.CallLinked, CALLS, INCIDENTS),
    e.CallUnlinked: st.builds(e.CallUnlinked, CALLS, INCIDENTS),
    e.CalledBack: st.builds(e.CalledBack, CALLS, st.booleans(), SECRETS),
    e.CallClosed: st.builds(e.CallClosed, CALLS, WORDS, SECRETS),
    e.CallErased: st.builds(e.CallErased, CALLS, st.lists(WORDS, max_size=2).map(tuple), WORDS),
    e.PremiseNoted: st.builds(
        e.PremiseNoted,
        premise=st.sampled_from(["m1", "m2"]),
        station=STATIONS,
        district=WORDS,
        kind=WORDS,
        coarse=POINTS,
        place=SECRETS,
        radius_m=st.floats(5, 2000),
        text=SECRETS,
        until_us=st.none() | TIMES,
    ),
    e.PremiseWithdrawn: st.builds(e.PremiseWithdrawn, st.sampled_from(["m1", "m2"])),
    e.PremiseErased: st.builds(
        e.PremiseErased, st.sampled_from(["m1", "m2"]), st.lists(WORDS, max_size=2).map(tuple), WORDS
    ),
    e.AlarmRaised: st.builds(
        e.AlarmRaised,
        alarm=ALARMS,
        station=STATIONS,
        district=WORDS,
        kind=WORDS,
        group=WORDS,
        priority=WORDS,
        title=WORDS,
        means=WORDS,
        todo=WORDS,
        detail=WORDS,
        on_delay_us=st.integers(0, 3_600_000_000),
        off_delay_us=st.integers(0, 3_600_000_000),
    ),
    e.AlarmCleared: st.builds(e.AlarmCleared, ALARMS),
    e.AlarmAcknowledged: st.builds(e.AlarmAcknowledged, ALARMS),
    e.AlarmShelved: st.builds(e.AlarmShelved, ALARMS, TIMES, WORDS),
    e.AlarmUnshelved: st.builds(e.AlarmUnshelved, ALARMS),
    e.AlarmServiceSet: st.builds(e.AlarmServiceSet, ALARMS, st.booleans(), WORDS),
    e.UnitAssigned: st.builds(
        e.UnitAssigned,
        INCIDENTS,
        UNITS,
        st.none() | st.booleans(),
        SAID,
        st.none() | WORDS,
        st.none() | UNITS,
    ),
    e.UnitRecalled: st.builds(e.UnitRecalled, INCIDENTS, UNITS, SAID, st.none() | INCIDENTS),
    e.UnitRequested: st.builds(e.UnitRequested, INCIDENTS, UNITS, WORDS, TIMES, SAID),
    e.RequestAnswered: st.builds(
        e.RequestAnswered, INCIDENTS, UNITS, st.sampled_from(["accepted", "refused"]), WORDS, WORDS, SAID
    ),
    e.RequestLapsed: st.builds(e.RequestLapsed, INCIDENTS, UNITS),
    e.UnitRegistered: st.builds(
        e.UnitRegistered,
        unit=UNITS,
        type=WORDS,
        agency=WORDS,
        command=st.sampled_from(["owned", "requested"]),
        station=STATIONS,
        district=WORDS,
        custodian=STATIONS,
        capabilities=st.lists(WORDS, max_size=2).map(tuple),
        crew=st.integers(0, 9),
        crew_min=st.integers(0, 9),
        crew_id=st.none() | WORDS,
        turnout_s=st.integers(0, 999),
        lights=st.booleans(),
        profile=WORDS,
        talkgroup=st.none() | WORDS,
        base=st.none() | POINTS,
    ),
    e.UnitStatusReported: st.builds(
        e.UnitStatusReported,
        unit=UNITS,
        status=st.sampled_from([*sorted(STATUSES), "from_a_later_version"]),
        incident=st.none() | INCIDENTS,
        reason=SAID,
        hospital=st.none() | WORDS,
        ready_us=st.none() | TIMES,
        forced=st.booleans(),
        late=st.booleans(),
    ),
    e.UnitFlagSet: st.builds(e.UnitFlagSet, UNITS, st.sampled_from(["emergency", "x"]), st.booleans()),
    e.CustodyGranted: st.builds(e.CustodyGranted, UNITS, STATIONS, st.integers(1, 4)),
    e.ClosureReported: st.builds(
        e.ClosureReported,
        closure=CLOSURES,
        station=STATIONS,
        district=WORDS,
        kind=st.sampled_from(["closure", "hazard", "slow", "flood", "from_a_later_version"]),
        geometry=SHAPES,
        classes=st.lists(WORDS, max_size=2).map(tuple),
        from_us=st.none() | TIMES,
        until_us=st.none() | TIMES,
        speed_share=st.none() | st.floats(0.05, 0.95),
        entry=st.lists(WORDS, max_size=2).map(tuple),
        staging=st.none() | POINTS,
        reason=SECRETS,
        unit=st.none() | UNITS,
    ),
    e.ClosureChanged: st.builds(
        e.ClosureChanged,
        CLOSURES,
        st.fixed_dictionaries(
            {},
            optional={
                "geometry": SHAPES,
                "from_us": st.none() | TIMES,
                "until_us": st.none() | TIMES,
                "reason": SECRETS,
                "from_a_later_version": WORDS,
            },
        ),
    ),
    e.ClosureConfirmed: st.builds(e.ClosureConfirmed, CLOSURES, UNITS),
    e.ClosureOrdered: st.builds(e.ClosureOrdered, CLOSURES, WORDS, WORDS, WORDS),
    e.ClosureWithdrawn: st.builds(e.ClosureWithdrawn, CLOSURES, SECRETS),
    e.ClosureExpired: st.builds(e.ClosureExpired, CLOSURES, TIMES),
    e.ClosureErased: st.builds(e.ClosureErased, CLOSURES, st.lists(WORDS, max_size=2).map(tuple), WORDS),
    e.UnitWasSent: st.builds(
        e.UnitWasSent,
        INCIDENTS,
        UNITS,
        st.dictionaries(st.sampled_from(["assigned", "on_scene", "available"]), st.integers(0, 999)),
    ),
    e.HandOverWritten: st.builds(
        e.HandOverWritten,
        st.sampled_from(["h1", "h2"]),
        STATIONS,
        WORDS,
        st.lists(INCIDENTS, max_size=2).map(tuple),
        st.lists(UNITS, max_size=2).map(tuple),
        st.lists(CLOSURES, max_size=2).map(tuple),
        st.lists(st.tuples(INCIDENTS, UNITS), max_size=2).map(tuple),
        SECRETS,
    ),
    e.HandOverTaken: st.builds(e.HandOverTaken, st.sampled_from(["h1", "h2"]), SECRETS),
    e.WorkPlanned: st.builds(
        e.WorkPlanned,
        st.sampled_from(["p1", "p2"]),
        STATIONS,
        WORDS,
        WORDS,
        WORDS,
        WORDS,
        st.integers(0, 999),
        st.integers(0, 999),
        SECRETS,
    ),
    e.PlannedChanged: st.builds(
        e.PlannedChanged,
        st.sampled_from(["p1", "p2"]),
        st.fixed_dictionaries({}, optional={"title": WORDS, "from_us": st.integers(), "details": SECRETS}),
    ),
    e.PlannedWithdrawn: st.builds(e.PlannedWithdrawn, st.sampled_from(["p1", "p2"]), WORDS),
    e.ShiftTextErased: st.builds(
        e.ShiftTextErased,
        st.sampled_from(["handover:h1", "planned:p1"]),
        st.lists(WORDS, max_size=2).map(tuple),
        WORDS,
    ),
    e.EtaChanged: st.builds(
        e.EtaChanged,
        INCIDENTS,
        UNITS,
        st.none() | st.integers(0, 999),
        st.none() | st.integers(0, 999),
        st.lists(CLOSURES, max_size=2).map(tuple),
    ),
    e.UnitMovingUp: st.builds(
        e.UnitMovingUp,
        UNITS,
        WORDS,
        st.floats(-180, 180),
        st.floats(-90, 90),
        st.booleans(),
        st.none() | TIMES,
        st.none() | PROPOSALS,
    ),
    e.MoveUpAnswered: st.builds(
        e.MoveUpAnswered, UNITS, st.sampled_from(["accepted", "refused"]), WORDS, WORDS
    ),
    e.MoveUpEnded: st.builds(e.MoveUpEnded, UNITS, st.sampled_from(["arrived", "cancelled"])),
    e.ProposalMade: st.builds(
        e.ProposalMade,
        proposal=PROPOSALS,
        kind=st.sampled_from(["reassign", "move_up", "from_a_later_version"]),
        trigger=WORDS,
        station=STATIONS,
        district=WORDS,
        moves=st.lists(st.tuples(UNITS, st.none() | INCIDENTS, st.none() | INCIDENTS), max_size=2).map(tuple),
        post=st.none() | st.tuples(WORDS, st.floats(-180, 180), st.floats(-90, 90)),
        incidents=SOME_INCIDENTS,
        figures=st.dictionaries(WORDS, st.none() | st.integers(0, 999) | WORDS, max_size=2),
        basis=WORDS,
        expires_us=TIMES,
    ),
    e.ProposalAccepted: st.builds(
        e.ProposalAccepted,
        PROPOSALS,
        SOME_INCIDENTS,
        st.lists(UNITS, max_size=2, unique=True).map(tuple),
        st.none() | WORDS,
        st.none() | WORDS,
    ),
    e.ProposalDeclined: st.builds(e.ProposalDeclined, PROPOSALS, SOME_INCIDENTS, SAID),
    e.ProposalExpired: st.builds(
        e.ProposalExpired,
        PROPOSALS,
        SOME_INCIDENTS,
        st.sampled_from(["time", "unit-taken"]),
        st.dictionaries(WORDS, WORDS | st.integers(0, 9), max_size=2),
    ),
    e.TakenBack: st.builds(
        e.TakenBack,
        WORDS,
        st.lists(
            st.tuples(st.sampled_from(["met-twice", *(f"cause-{n}" for n in range(1, 9))]), st.just(0)),
            max_size=3,
        ).map(tuple),
        st.lists(WORDS, max_size=2).map(tuple),
        st.lists(
            INCIDENTS.map("incident:{}".format) | UNITS.map("unit:{}".format) | st.just("siren:1"),
            max_size=3,
            unique=True,
        ).map(tuple),
        st.lists(st.tuples(UNITS, st.none() | INCIDENTS, WORDS), max_size=2).map(tuple),
        st.lists(UNITS, max_size=2).map(tuple),
    ),
    e.CancellingAcknowledged: st.builds(e.CancellingAcknowledged, UNITS, st.none() | INCIDENTS),
}
ANY_FACT = st.one_of(*FACTS.values())


@st.composite
def recordings(draw: st.DrawFn) -> list[e.Recorded]:
    """Facts of every kind from two nodes, some unknown, some the same request met twice."""
    facts = draw(st.lists(ANY_FACT | st.none(), min_size=1, max_size=30))
    clocks = {"A#1": 0, "B#1": 0}
    seqs = dict.fromkeys(clocks, 0)
    found = []
    for position, fact in enumerate(facts, 1):
        origin = draw(st.sampled_from(sorted(clocks)))
        clocks[origin] = max(clocks[origin], *(clocks.values() if draw(st.booleans()) else [0])) + 1
        seqs[origin] += 1
        observed_us = draw(TIMES)
        found.append(
            e.Recorded(
                event=fact,
                type="FromTheFuture" if fact is None else type(fact).__name__,
                position=position,
                origin=origin,
                seq=seqs[origin],
                lamport=clocks[origin],
                recorded_us=observed_us,
                observed_us=observed_us,
                received_us=observed_us,
                actor="dispatcher:ana",
                epoch=1,
                cause=draw(st.sampled_from(["met-twice", f"cause-{position}"])),
                cause_index=0,
                source="console",
                subjects=("incident:I1", "unit:F1", "weather:1") if fact is None else fact.subjects(),
            )
        )
    return found


# ---- the log's form


def test_every_event_is_told_here() -> None:
    assert FACTS.keys() == set(e.TYPES.values())


def test_every_command_has_its_decision() -> None:
    kinds = {kind for kind in vars(c).values() if isinstance(kind, type) and issubclass(kind, c.Command)} - {
        c.Command
    }
    assert DECIDE.keys() == kinds


@given(ANY_FACT, WORDS)
def test_a_fact_comes_back_from_the_log_as_it_was(fact: e.Event, source: str) -> None:
    text = e.encode(fact, source)
    assert e.decode(type(fact).__name__, fact.VERSION, text) == (fact, source)
    # and its text is the only one: what is hashed here hashes the same elsewhere
    assert e.canonical(json.loads(text)) == text


@given(ANY_FACT)
def test_all_personal_data_of_a_fact_is_found(fact: e.Event) -> None:
    text = e.encode(fact, "console")
    assert {sealed.id for sealed in e.sealed_in(fact)} == {
        part.split('"')[1] for part in text.replace(" ", "").split('"$sealed":')[1:]
    }


def test_personal_data_never_reaches_the_log_in_clear() -> None:
    with pytest.raises(TypeError, match="sealed"):
        e.encode(e.NoteAdded("I1", e.Private("sună fiica")), "console")
    with pytest.raises(TypeError, match="sealed"):
        e.encode(e.IncidentChanged("I1", {"caller": e.Private("x")}), "console")


def test_sealing_leaves_every_other_value_alone() -> None:
    given_facts = [
        e.NoteAdded("I1", e.Private("x")),
        e.IncidentChanged("I1", {"caller": e.Private("x"), "priority": "P1"}),
        e.IncidentAcknowledged("I1"),
    ]
    kept = e.Sealed("1", "f" * 64)
    sealed = [e.seal(fact, lambda _: kept) for fact in given_facts]
    assert sealed == [
        e.NoteAdded("I1", kept),
        e.IncidentChanged("I1", {"caller": kept, "priority": "P1"}),
        e.IncidentAcknowledged("I1"),
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", object()])
def test_what_the_logs_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        e.encode(e.UnitRecalled("I1", "F1", value), "console")


@pytest.mark.parametrize(
    ("type_name", "version", "data"),
    [
        ("WeatherObserved", 1, '{"$source":"station","wind":7}'),
        ("NoteAdded", 2, '{"$source":"station","incident":"I1","text":null,"mood":"x"}'),
        ("NoteAdded", 1, '{"$source":"station","incident":"I1","text":null,"unheard_of":1}'),
        ("NoteAdded", 1, '{"$source":"station","incident":"I1"}'),
    ],
)
def test_a_fact_from_a_newer_program_is_no_fact_here_and_keeps_its_source(
    type_name: str, version: int, data: str
) -> None:
    assert e.decode(type_name, version, data) == (None, "station")


def test_an_old_version_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e.AlarmLevelSet, "VERSION", 3)
    monkeypatch.setitem(e.UPCASTS, ("AlarmLevelSet", 1), lambda raw: {**raw, "level": raw["stage"]})
    monkeypatch.setitem(
        e.UPCASTS, ("AlarmLevelSet", 2), lambda raw: {k: v for k, v in raw.items() if k != "stage"}
    )
    text = '{"$source":"x","incident":"I1","stage":2}'
    assert e.decode("AlarmLevelSet", 1, text) == (e.AlarmLevelSet("I1", 2), "x")


# ---- the fold


@given(recordings(), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_nothing_can_upset_the_fold(records: list[e.Recorded], rng: random.Random) -> None:
    """Any subset of any facts, in any order, right or wrong: an answer, never an error."""
    chosen = [rec for rec in records if rng.random() < 0.7]
    rng.shuffle(chosen)
    applied(chosen)
    applied(chosen + chosen)
    state = State(MemorySlots(folded(chosen)))
    # and what comes out can be looked at like anything else
    for incident in state.incidents():
        assert incident.reported
        assert {a.unit for a in incident.active()} <= {"F1", "F2"}
    for unit in state.units():
        assert unit.registered
    for closure in state.closures():
        assert closure.state in ("reported", "confirmed", "ordered", "withdrawn", "expired")
        for at_us in (0, 2**49, closure.ends_us or 0):
            assert closure.holds(at_us) or not closure.in_force(at_us)
            assert (closure.turns_at(at_us) or at_us + 1) > at_us
    for proposal in state.proposals():
        assert proposal.made
        assert proposal.open is (proposal.decided_us is None)


@given(recordings(), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_the_fold_depends_on_which_facts_there_are_and_on_nothing_else(
    records: list[e.Recorded], rng: random.Random
) -> None:
    expected = folded(records)
    mixed = records[:]
    rng.shuffle(mixed)
    assert folded(mixed) == expected


@given(recordings())
@settings(max_examples=100)
def test_folding_one_by_one_in_causal_order_is_the_same_as_folding_all_at_once(
    records: list[e.Recorded],
) -> None:
    unique = {(r.cause, r.cause_index): r for r in sorted(records, key=lambda r: r.key, reverse=True)}
    in_order = sorted(unique.values(), key=lambda r: r.key)
    assert {s: x for s, x in applied(in_order).items() if x is not None} == folded(in_order)


def test_a_fact_that_saw_another_comes_after_it_whatever_the_clocks_say() -> None:
    here, there = Story("C1"), Story("C2", incarnation="b")
    here.call()
    meet(here, there)
    # Given that the other station's clock is thirty days slow, and it saw the priority before changing it
    there.after(-30 * 86_400)
    here.when(c.ChangeIncident, incident="I1", changes={"priority": "P2"})
    meet(here, there)
    there.when(c.ChangeIncident, incident="I1", changes={"priority": "P3"})
    meet(here, there)
    assert here.incident().priority == "P3"
    assert there.incident().priority == "P3"


def test_an_unknown_kind_of_subject_is_left_alone() -> None:
    story = Story()
    rec = story.record(None, subjects=("weather:1", "incident:I1"))
    assert apply("weather:1", None, rec) is None
    assert fold("weather:1", [rec]) is None
    incident = story.incident("I1")
    assert incident.parked
    assert not incident.reported
    assert list(story.state.incidents()) == []


# ---- whole nights at two stations, in random order


@given(st.integers(0, 2**32))
@settings(max_examples=40)
def test_two_stations_that_work_apart_and_meet_now_and_then_end_with_one_picture(seed: int) -> None:
    rng = random.Random(seed)
    nodes = [Story("C1", incarnation="a"), Story("C2", incarnation="b")]
    for node in nodes:
        for name in ("PL1", "SV1"):
            node.unit_on_duty(f"{name}-{node.station}", name[:2])
        node.unit_on_duty("PL-shared")
        node.unit_on_duty(f"ASAS-{node.station}", "ASAS")
    for _ in range(40):
        node = rng.choice(nodes)
        node.after(rng.uniform(-600, 600))
        try:
            kind, fields = a_command(rng, node)
            node.when(kind, **fields)
        except Refused:
            pass
        if rng.random() < 0.1:
            meet(*nodes)
    meet(*nodes)
    first, second = ({s: shared(x) for s, x in node.slots.entities.items()} for node in nodes)
    assert first == second
    for unit in nodes[0].state.units():
        on = [x.id for x in nodes[0].state.incidents() if any(a.unit == unit.id for a in x.active())]
        # and a unit is where its incident says it is; where it stands on two, somebody is told
        assert on == ([unit.incident] if unit.incident else []) or unit.conflicts, (
            unit.id,
            on,
            unit.incident,
        )


BARRIER = {"type": "LineString", "coordinates": ((26.1, 44.4), (26.11, 44.4))}


def a_command(rng: random.Random, node: Story) -> tuple[type[c.Command], dict[str, Any]]:
    incident = rng.choice(["I1", "I2"])
    unit = rng.choice([f"PL1-{node.station}", f"SV1-{node.station}", "PL-shared", f"ASAS-{node.station}"])
    return rng.choice(
        [
            (c.ReportIncident, {"incident": incident, "type": rng.choice(["F01", "G01"]), "place": PLACE}),
            (
                c.ChangeIncident,
                {"incident": incident, "changes": {"priority": rng.choice(["P1", "P2", "P3"])}},
            ),
            (c.AddNote, {"incident": incident, "text": "notă"}),
            (c.SetAlarmLevel, {"incident": incident, "level": rng.randint(1, 4)}),
            (c.AssignUnits, {"incident": incident, "units": (unit,)}),
            (c.AssignUnits, {"incident": incident, "units": (unit,)}),
            (c.RecallUnit, {"incident": incident, "unit": unit, "reason": "x"}),
            (
                c.AnswerRequest,
                {
                    "incident": incident,
                    "unit": unit,
                    "answer": rng.choice(["accepted", "refused"]),
                    "name": "Radu",
                    "via": "phone",
                },
            ),
            (c.ReportStatus, {"unit": unit, "status": rng.choice(["en_route", "on_scene", "available"])}),
            (c.CloseIncident, {"incident": incident, "outcome": "gata"}),
            (c.ReopenIncident, {"incident": incident, "reason": "iar"}),
            (c.SetFlag, {"unit": unit, "flag": "emergency", "on": rng.random() < 0.5}),
            (c.ReportClosure, {"closure": "K1", "kind": "closure", "geometry": BARRIER}),
            (c.ConfirmClosure, {"closure": "K1", "unit": unit}),
            (c.WithdrawClosure, {"closure": "K1", "reason": "liber"}),
        ]
    )


def shared(entity: Any) -> Any:
    """What all nodes must agree on: where and when a fact arrived is each node's own."""
    values = {f.name: getattr(entity, f.name) for f in dataclasses.fields(entity) if f.name != "position"}
    if "facts" in values:
        values["facts"] = {k: (f.source, f.by, f.observed_us) for k, f in values["facts"].items()}
    return values
