"""The command line: what a typed line means, in both languages, and what is wrong where it means nothing."""

from __future__ import annotations

import random as stdlib_random
from dataclasses import replace
from typing import Any

import pytest

from dispatch import commands as c
from dispatch.grammar import VERBS, Meaning, Places, View, fold, parse
from dispatch.state import decide
from tests.dispatch.story import ANA, Story, pack

STREETS = {
    "strada lunga 5": "Strada Lungă 5",
    "lunga 5": "Strada Lungă 5",
    "turn 3": "Strada Turn 3",
    "lipscani 12": "Strada Lipscani 12",
}


def look_up(words: str) -> Places:
    """A small town's address book, without diacritics and case."""
    label = STREETS.get(fold(words))
    if label is not None:
        return Places(c.Place(26.1, 44.4, label))
    alike = tuple(label for street, label in STREETS.items() if street.startswith(fold(words)))
    return Places(None, "not-exact" if alike else "not-found", alike)


@pytest.fixture
def story() -> Story:
    """Given two calls and four crews, one of them the ambulance service's."""
    story = Story()
    story.call("I1")
    story.call("I2", "R01")
    for unit in ("A3", "A7", "PL-01"):
        story.unit_on_duty(unit, base=c.Place(26.0, 44.5))
    story.unit_on_duty("B2", "B2", crew=3)
    return story


def view(story: Story, **more: Any) -> View:
    settings = {"language": "ro", "place": look_up, **more}
    return View(story.state, pack(), story.station, story.now_us, **settings)


def read(story: Story, line: str, **more: Any) -> Meaning:
    return parse(line, view(story, **more), id="new", key="key")


def one(meaning: Meaning) -> c.Command:
    assert not meaning.faults, meaning.faults
    (command,) = meaning.commands
    return command


def marked(line: str, meaning: Meaning) -> list[tuple[str, str]]:
    """The words that a line's faults mark, each with what is wrong with it."""
    assert not meaning.commands
    assert meaning.look is None
    return [(fault.code, line[fault.start : fault.end]) for fault in meaning.faults]


# ---- what lines mean


def test_units_are_sent_in_either_language_however_they_are_written(story: Story) -> None:
    wanted = c.AssignUnits(id="key", incident="I1", units=("A3", "A7"))
    lines = ("D 1 A3 A7", "t 1 a3 a7", "trimite #C1-1 A03, a-7", "DISPATCH c1-1 A3,A7", "send A3 A7 1")
    for line in lines:
        assert one(read(story, line)) == wanted, line
    here = story.incident("I1")
    assert one(read(story, "d a3 a7", here=here)) == wanted
    assert one(read(story, "D . a3 a7", here=here)) == wanted
    # A number that is named counts, whatever is on the screen
    assert one(read(story, "D 1 a3 a7", here=story.incident("I2"))) == wanted


def test_the_echo_says_who_is_ordered_and_who_is_asked(story: Story) -> None:
    echo = read(story, "T 1 A3 B2 MOTIV cea mai aproape").echo
    assert echo is not None
    assert echo.incident == story.incident("I1")
    assert echo.key == "assign"
    assert echo.args == {"how": "both", "send": "A3", "ask": "B2", "text": "cea mai aproape"}


def test_a_reason_diverts_a_crew_as_it_does_by_hand(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("A3",))
    story.on_the_way("A3", "acknowledged", "en_route")
    plain = one(read(story, "D 2 A3"))
    assert story.refuses(c.AssignUnits, incident="I2", units=("A3",)).code == "divert-needs-reason"
    assert isinstance(plain, c.AssignUnits)
    assert plain.override_reason is None
    with_reason = one(read(story, "D 2 A3 NOTE are medic"))
    assert with_reason == replace(plain, override_reason="are medic")
    facts = decide(story.state, with_reason, story._context(ANA))
    assert [type(fact).__name__ for fact in facts] == ["UnitRecalled", "UnitAssigned"]


def test_statuses_go_by_letter_short_word_code_and_name(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("A3", "A7"))
    for line in ("S A3 S", "s a3 os", "STARE A3 LC", "S A3 on_scene", "S A3 ajuns la caz", "S A3 On scene"):
        assert one(read(story, line)) == c.ReportStatus(id="key", unit="A3", status="on_scene"), line
    # "Plecat" is said of two statuses: only one of them can follow
    assert one(read(story, "S A3 plecat")) == c.ReportStatus(id="key", unit="A3", status="en_route")
    several = read(story, "S A3 A7 R").commands
    assert several == (
        c.ReportStatus(id="key", unit="A3", status="en_route"),
        c.ReportStatus(id="key/2", unit="A7", status="en_route"),
    )
    # The unit chosen on the board is meant where none is named
    assert one(read(story, "S R", unit_here=story.unit("A7"))) == replace(several[1], id="key")


def test_a_status_takes_what_it_needs(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("A3",))
    story.on_the_way("A3", "en_route", "on_scene")
    to_hospital = one(read(story, "S A3 T Spitalul Județean, UPU"))
    assert to_hospital == c.ReportStatus(
        id="key", unit="A3", status="transporting", hospital="Spitalul Județean, UPU"
    )
    assert marked("S A3 T", read(story, "S A3 T")) == [("which-hospital", "")]
    refit = one(read(story, "S A3 F 25min"))
    assert refit == c.ReportStatus(
        id="key", unit="A3", status="recovering", ready_us=story.now_us + 25 * 60_000_000
    )
    out = one(read(story, "S A7 O pană de cauciuc"))
    assert out == c.ReportStatus(id="key", unit="A7", status="out_of_service", reason="pană de cauciuc")
    assert marked("S A7 O", read(story, "S A7 O")) == [("which-reason", "")]


def test_a_status_out_of_order_is_forced_only_by_whoever_says_why(story: Story) -> None:
    plain = one(read(story, "S A3 S"))
    assert isinstance(plain, c.ReportStatus)
    assert not plain.force
    meant = read(story, "S A3 S MOTIV a plecat fără tabletă")
    assert one(meant) == replace(plain, force=True, reason="a plecat fără tabletă")
    assert [notice.key for notice in meant.notices] == ["notice-forced"]


def test_a_call_is_taken_in_one_line(story: Story) -> None:
    line = "N incendiu bloc Lunga 5 P2 NOTA doi copii, et. 3"
    wanted = c.ReportIncident(
        id="new",
        incident="new",
        type="F02",
        place=c.Place(26.1, 44.4, "Strada Lungă 5"),
        priority="P2",
        description="doi copii, et. 3",
    )
    assert one(read(story, line)) == wanted
    assert read(story, line).asked == "Lunga 5"
    by_code = replace(wanted, priority=None, description="")
    for line in ("N F02 strada Lungă 5", "n f02 la LUNGA 5", "NEW High-rise fire Lunga 5"):
        assert one(read(story, line)) == by_code, line


def test_words_that_could_be_type_or_street_go_where_there_is_an_address(story: Story) -> None:
    # "bloc turn" is in a type's name, and Turn 3 is a street
    told = one(read(story, "N incendiu bloc turn 3"))
    assert isinstance(told, c.ReportIncident)
    assert (told.type, told.place.label) == ("F02", "Strada Turn 3")


def test_a_type_that_several_share_takes_the_likeliest_and_says_so(story: Story) -> None:
    meant = read(story, "N FIRE Lunga 5 P1", language="en")
    told = one(meant)
    assert isinstance(told, c.ReportIncident)
    assert told.type == "F01"
    (notice,) = meant.notices
    assert notice.key == "notice-type"
    assert "F02 High-rise fire" in notice.args["others"]
    assert not read(story, "N dwelling fire Lunga 5", language="en").notices


def test_notes_closing_levels_and_the_rest_name_their_incident_or_mean_the_chosen_one(story: Story) -> None:
    here = story.incident("I2")
    assert one(read(story, "NOTA 1 fum dens, et. 3")) == c.AddNote(
        id="key", incident="I1", text="fum dens, et. 3"
    )
    assert one(read(story, "nota fum dens", here=here)) == c.AddNote(id="key", incident="I2", text="fum dens")
    assert one(read(story, "ÎNCHIDE 1 stins")) == c.CloseIncident(id="key", incident="I1", outcome="stins")
    assert one(read(story, "REOPEN 1 reaprins")) == c.ReopenIncident(
        id="key", incident="I1", reason="reaprins"
    )
    assert one(read(story, "LEVEL 1 3")) == c.SetAlarmLevel(id="key", incident="I1", level=3)
    assert one(read(story, "NIVEL +", here=here)) == c.SetAlarmLevel(id="key", incident="I2", level=2)
    assert one(read(story, "PRIO 1 p3")) == c.ChangeIncident(
        id="key", incident="I1", changes={"priority": "P3"}
    )
    assert one(read(story, "ACK", here=here)) == c.AcknowledgeIncident(id="key", incident="I2")
    assert [x.id for x in read(story, "VĂZUT 1 2").commands] == ["key", "key/2"]


def test_a_number_that_begins_a_note_is_told_when_it_is_taken_for_an_incident(story: Story) -> None:
    here = story.incident("I2")
    taken = read(story, "NOTE 1 persoane blocate", here=here)
    assert one(taken) == c.AddNote(id="key", incident="I1", text="persoane blocate")
    assert [notice.key for notice in taken.notices] == ["notice-number"]
    # No incident has this number: it is the note's own
    own = read(story, "NOTE 40 persoane", here=here)
    assert one(own) == c.AddNote(id="key", incident="I2", text="40 persoane")
    # Nothing is closed for a slip of the finger
    assert marked("CLOSE 40 stins", read(story, "CLOSE 40 stins", here=here)) == [("unknown-incident", "40")]


def test_recall_finds_what_each_unit_is_on(story: Story) -> None:
    story.when(c.AssignUnits, incident="I1", units=("A3",))
    story.when(c.AssignUnits, incident="I2", units=("B2",))
    meant = read(story, "RECHEAMĂ A3 B2 MOTIV alarmă falsă")
    assert meant.commands == (
        c.RecallUnit(id="key", incident="I1", unit="A3", reason="alarmă falsă"),
        c.RecallUnit(id="key/2", incident="I2", unit="B2", reason="alarmă falsă"),
    )
    assert marked("RECALL A3 A7", read(story, "RECALL A3 A7")) == [("unit-on-nothing", "A7")]


def test_what_an_agency_answers_is_written_down_with_a_name(story: Story) -> None:
    story.when(c.AssignUnits, incident="I2", units=("B2",))
    wanted = c.AnswerRequest(
        id="key", incident="I2", unit="B2", answer="accepted", name="dr. Pop", via="phone"
    )
    assert one(read(story, "DA B2 dr. Pop")) == wanted
    refusal = one(read(story, "NO B2 dr. Pop MOTIV fără medic"))
    assert refusal == replace(wanted, answer="refused", reason="fără medic")
    assert marked("DA B2", read(story, "DA B2")) == [("who-answered", "")]
    assert marked("DA A3 Pop", read(story, "DA A3 Pop")) == [("not-asked", "A3")]


def test_standing_by_closures_and_danger(story: Story) -> None:
    to_station = one(read(story, "MUTĂ A3 la c1"))
    assert to_station == c.MoveUp(id="key", unit="A3", post=c.Place(26.0, 44.5, "C1"))
    to_street = one(read(story, "MOVE A3 Lunga 5"))
    assert to_street == c.MoveUp(id="key", unit="A3", post=c.Place(26.1, 44.4, "Strada Lungă 5"))
    assert one(read(story, "MOVE A3 stop")) == c.EndMoveUp(id="key", unit="A3")
    closure = one(read(story, "CLOSURE inundat Lunga 5 60m 2h NOTE conductă spartă"))
    assert closure == c.ReportClosure(
        id="new",
        closure="new",
        kind="flood",
        geometry={"type": "Point", "coordinates": [26.1, 44.4], "radius_m": 60},
        until_us=story.now_us + 7_200_000_000,
        reason="conductă spartă",
    )
    assert marked("CLOSURE lent Lunga 5", read(story, "CLOSURE lent Lunga 5")) == [("which-speed", "")]
    assert one(read(story, "PERICOL A3")) == c.SetFlag(id="key", unit="A3", flag="emergency", on=True)
    assert one(read(story, "SAFE a-3")) == c.SetFlag(id="key", unit="A3", flag="emergency", on=False)


def test_two_incidents_are_merged_linked_and_untied(story: Story) -> None:
    merged = c.LinkIncidents(id="key", incident="I2", other="I1", kind="duplicate")
    assert one(read(story, "MERGE 2 1")) == merged
    assert one(read(story, "UNEȘTE 1", here=story.incident("I2"))) == merged
    assert one(read(story, "LEAGĂ #2 #1")) == replace(merged, kind="related")
    assert one(read(story, "unlink 2 1")) == c.UnlinkIncidents(id="key", incident="I2", other="I1")
    facts = decide(story.state, merged, story._context(ANA))
    assert [type(fact).__name__ for fact in facts] == ["IncidentsLinked"]
    for line, code in (
        ("MERGE", "which-incidents"),
        ("MERGE 2", "which-incidents"),
        ("MERGE 2 2", "same-incident"),
        ("MERGE 2 9", "unknown-incident"),
        ("MERGE 2 1 3", "too-much"),
    ):
        assert [fault.code for fault in read(story, line).faults] == [code], line


def test_looking_changes_nothing(story: Story) -> None:
    for line, what in (
        ("FIND A3", ("unit", None, "A3")),
        ("UNDE 2", ("incident", "I2", None)),
        ("WHY 1", ("why", "I1", None)),
        ("DE CE 1 A7", ("why", "I1", "A7")),
        ("CLOSURE", ("closures", None, None)),
        ("?", ("help", None, None)),
    ):
        meant = read(story, line)
        assert not meant.faults
        assert not meant.commands
        assert meant.look is not None
        assert (meant.look.what, meant.look.incident, meant.look.unit) == what
    found = read(story, "FIND lunga 5").look
    assert found is not None
    assert found.place == c.Place(26.1, 44.4, "Strada Lungă 5")


# ---- what is wrong with a line


def test_the_wrong_word_is_marked_and_what_was_meant_is_said(story: Story) -> None:
    line = "T 1 A3 A77"
    (fault,) = read(story, line).faults
    assert (fault.code, line[fault.start : fault.end]) == ("unknown-unit", "A77")
    assert "A7" in fault.meant
    for line, wrong, meant in (
        ("TRIMTE 1 A3", ("unknown-verb", "TRIMTE"), "T"),
        ("T 11 A3", ("unknown-incident", "11"), "C1-1"),
        ("S A3 disponbil", ("unknown-status", "disponbil"), "Disponibil"),
        ("N incendu Lunga 5", ("unknown-type", "incendu"), "Incendiu apartament / casă"),
        ("N F01 Lunga", ("place-not-exact", "Lunga"), "Strada Lungă 5"),
        ("LEVEL 1 9", ("unknown-level", "9"), "1"),
    ):
        said = read(story, line)
        assert marked(line, said) == [wrong], line
        assert meant in said.faults[0].meant, line


def test_every_wrong_word_is_told_at_once_and_nothing_is_sent(story: Story) -> None:
    line = "T 9 X1 A3 X2"
    assert marked(line, read(story, line)) == [
        ("unknown-incident", "9"),
        ("unknown-unit", "X1"),
        ("unknown-unit", "X2"),
    ]
    assert marked("T 1 A3 a03", read(story, "T 1 A3 a03")) == [("unit-twice", "a03")]


def test_what_is_still_missing_is_asked_for(story: Story) -> None:
    for line, wants in (
        ("T", ["which-incident", "which-units"]),
        ("T 1", ["which-units"]),
        ("T A3", ["which-incident"]),
        ("S", ["which-units"]),
        ("S A3", ["which-status"]),
        ("N", ["which-type"]),
        ("N F01", ["which-place"]),
        ("NOTA", ["which-incident"]),
        ("NOTA 1", ["which-text"]),
        ("CLOSE 1", ["which-outcome"]),
        ("LEVEL 1", ["which-level"]),
        ("PRIO 1", ["which-priority"]),
        ("FIND", ["find-what"]),
        ("MOVE A3", ["which-post"]),
    ):
        faults = read(story, line).faults
        assert [fault.code for fault in faults] == wants, line
        assert all(fault.is_missing for fault in faults), line


def test_lights_are_honest(story: Story) -> None:
    for line in ("LIGHTS SECTOR4 100", "LUMINI"):
        assert marked(line, read(story, line)) == [("lights-none", line)]


def test_two_call_signs_that_differ_only_in_zeros_are_asked_about(story: Story) -> None:
    story.unit_on_duty("A03")
    (fault,) = read(story, "T 1 a-3").faults
    assert (fault.code, sorted(fault.meant)) == ("which-of-units", ["A03", "A3"])
    assert one(read(story, "T 1 a03")) == c.AssignUnits(id="key", incident="I1", units=("A03",))


def test_incidents_one_may_not_see_do_not_exist_for_the_line(story: Story) -> None:
    meant = read(story, "T 1 A3", sees=lambda incident: incident.id != "I1")
    assert [fault.code for fault in meant.faults] == ["unknown-incident"]
    assert "C1-1" not in meant.faults[0].meant


def test_an_old_number_is_fetched(story: Story) -> None:
    old = replace(story.incident("I1"), id="OLD", number="C1-77", open=False)
    found = {"C1-77": old}
    assert one(read(story, "REOPEN 77 reaprins", numbered=found.get)) == c.ReopenIncident(
        id="key", incident="OLD", reason="reaprins"
    )


# ---- what could stand next


def test_completions_offer_what_fits_the_place(story: Story) -> None:
    def offered(line: str, **more: Any) -> list[str]:
        return [one.text for one in read(story, line, **more).completions]

    assert len(offered("")) == len(VERBS), "an empty line shows every command there is"
    assert offered("TRI")[0] == "TRIMITE"
    assert offered("dis", language="en")[0] == "DISPATCH"
    assert offered("T ")[:2] == ["1", "2"]
    assert offered("T 1 A") == ["A3", "A7"]
    assert offered("T 1 A3 ") == ["A7", "B2", "PL-01"]
    story.when(c.AssignUnits, incident="I1", units=("A3",))
    assert offered("T 2 A") == ["A7", "A3"], "who can be sent comes first"
    assert offered("S A3 ") == ["C", "R", "W", "S", "A", "O"], "what may follow, in the pack's order"
    assert offered("N incendiu b")[0] == "F02"
    assert offered("N F01 lun") == ["Strada Lungă 5"]
    (last,) = read(story, "N F01 lun").completions
    assert (last.start, last.end, last.kind) == (6, 9, "place")
    assert offered("MOVE A3 ") == ["C1"]
    assert offered("PRIO 1 ") == ["P1", "P2", "P3", "P4"]


# ---- anything at all


def test_no_line_breaks_it_and_spans_lie_in_the_line(story: Story) -> None:
    seed = 20261123
    random = stdlib_random.Random(seed)
    words = [w for verb in VERBS for listed in verb.words.values() for w in listed]
    words += [
        "1",
        "#2",
        "C1-1",
        "99",
        "A3",
        "a-7",
        "PL01",
        "OS",
        "T",
        "+",
        ".",
        ":",
        "NOTE",
        "lunga",
        "5",
        "P1",
    ]
    words += [
        "<script>alert(1)</script>",
        "ş",
        "\u202e",
        "🔥",
        "''; --",
        "²",
        "१२",
        "-",
        "#",
        "-1",
        "50m",
        "2h",
    ]
    for _ in range(600):
        line = " ".join(random.choices(words, k=random.randint(0, 7))) + random.choice(["", " "])
        here = story.incident("I1") if random.random() < 0.3 else None
        meant = read(story, line, here=here)
        assert bool(meant.faults) or bool(meant.commands) != bool(meant.look) or not line.split(), (
            seed,
            line,
        )
        assert (meant.echo is not None) == (bool(meant.commands) or meant.look is not None), (seed, line)
        for found in (*meant.faults, *meant.completions):
            assert 0 <= found.start <= found.end <= len(line), (seed, line)


def test_a_pasted_page_is_a_note_or_a_fault_and_never_slow_to_read(story: Story) -> None:
    page = "fum la etajul 3, " * 700
    note = one(read(story, f"NOTE 1 {page}"))
    assert isinstance(note, c.AddNote)
    assert note.text == page.strip()
    assert len(read(story, f"T 1 {page}").faults) > 100
