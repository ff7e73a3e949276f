"""Stories about what a room sees to beside sending units: who owns an incident, the checklist, whether crews
are well, who was told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dispatch import care
from dispatch import commands as c
from dispatch import events as e
from dispatch.commands import Actor
from dispatch.plans import PackError, load_pack
from tests.dispatch.story import ANA, START_US, Story, meet, pack

PACKS = Path(__file__).parents[2] / "packs"
ION = Actor("ion", "dispatcher", frozenset({"*"}))


def owner(story: Story) -> str | None:
    has = story.incident("I1").owner
    return has[0] if has is not None else None


def test_who_acknowledges_has_it_until_somebody_takes_it_over() -> None:
    # Given an incident that nobody has
    story = Story()
    story.call()
    assert owner(story) is None
    # When Ana acknowledges it, it is hers
    story.when(c.AcknowledgeIncident, by=ANA, incident="I1")
    assert owner(story) == "ana"
    assert story.when(c.SetOwner, by=ANA, incident="I1", owner="ana") == ()
    # Then Ion cannot take it without knowing that
    story.after(2)
    fault = story.refuses(c.SetOwner, by=ION, incident="I1", owner="ion")
    assert (fault.code, fault.extra["by"], fault.extra["at_us"]) == ("owned-by-another", "ana", START_US)
    assert story.refuses(c.SetOwner, by=ION, incident="I1", owner="ion", was="maria").code == fault.code
    # but takes it over when he says from whom
    assert story.when(c.SetOwner, by=ION, incident="I1", owner="ion", was="ana") == (
        e.IncidentOwned("I1", "ion", "ana"),
    )
    assert story.incident("I1").owner == ("ion", START_US + 2_000_000, "dispatcher:ion")
    # and may hand it on, or let go of it
    story.when(c.SetOwner, by=ION, incident="I1", owner="maria")
    assert owner(story) == "maria"
    story.when(c.SetOwner, by=ANA, incident="I1", owner="", was="maria")
    assert owner(story) is None
    assert story.when(c.SetOwner, by=ANA, incident="I1", owner="ana", was="maria") != ()


def test_a_checklist_follows_the_type_and_the_alarm_level() -> None:
    story = Story()
    story.call(type="F01")
    asked = [x.code for x in care.checklist(story.incident("I1"), pack())]
    assert asked[:2] == ["missing_people", "water_supply"]
    assert "shelter" not in asked
    story.when(c.SetAlarmLevel, incident="I1", level=2)
    assert "shelter" in [x.code for x in care.checklist(story.incident("I1"), pack())]
    # An item is done, or not needed, and may be opened again
    story.when(c.MarkCheck, incident="I1", check="water_supply", state="done")
    assert story.when(c.MarkCheck, by=ION, incident="I1", check="water_supply", state="done") == ()
    mark = story.incident("I1").checks["water_supply"]
    assert (mark.state, mark.by) == ("done", "dispatcher:ana")
    story.when(c.MarkCheck, by=ION, incident="I1", check="water_supply", state="open")
    assert story.incident("I1").checks["water_supply"].state == "open"
    assert story.when(c.MarkCheck, incident="I1", check="shelter", state="open") == ()
    # Of another type the list is another one; what was done stays known
    story.when(c.ChangeIncident, incident="I1", changes={"type": "U03"})
    assert care.checklist(story.incident("I1"), pack()) == ()
    assert "water_supply" in story.incident("I1").checks


def ask_at_s(story: Story) -> float | None:
    incident = story.incident("I1")
    (assignment,) = incident.active()
    at_us = care.ask_at_us(incident, assignment, pack())
    return None if at_us is None else (at_us - START_US) / 1e6


def test_a_crew_on_the_scene_is_asked_again_and_again_whether_all_are_well() -> None:
    # Given a crew on its way to a fire where crews are asked every 20 minutes
    story = Story()
    story.call(type="F01")
    story.unit_on_duty("PL1")
    story.when(c.AssignUnits, incident="I1", units=("PL1",))
    assert ask_at_s(story) is None
    # Then it is asked 20 minutes after it arrived
    story.after(100).on_the_way("PL1", "on_scene")
    assert ask_at_s(story) == 100 + 1200
    # When nobody answers, it stays due, and the tries are counted
    for tries in (1, 2):
        story.after(1200).when(c.CheckCrews, incident="I1", units=("PL1",), result="no_answer", note="tac")
        check = story.incident("I1").active()[0].check
        assert check is not None
        assert (check.tries, check.well_us, story.clear(check.note)) == (tries, None, "tac")
        assert ask_at_s(story) == 100 + 1200
    # When all are well, the time runs anew
    story.after(100).when(c.CheckCrews, incident="I1", units=("PL1", "PL1"), result="well")
    check = story.incident("I1").active()[0].check
    assert check is not None
    assert (check.tries, check.well_us) == (0, story.now_us)
    assert ask_at_s(story) == 2600 + 1200
    # and off the scene nobody asks
    story.on_the_way("PL1", "returning")
    assert story.refuses(c.CheckCrews, incident="I1", units=("PL1",), result="well").code == "unit-not-here"
    # The type says how often, where it says so; else the status does
    story.call("I2", type="R01")
    assert pack().incident_types["R01"].par_s is None
    story.unit_on_duty("PL2")
    story.when(c.AssignUnits, incident="I2", units=("PL2",))
    story.on_the_way("PL2", "on_scene")
    found = story.incident("I2")
    every_s = pack().statuses["on_scene"].par_s
    assert care.asked_every_s(found, found.active()[0], pack()) == every_s
    assert care.asked_every_s(replace(found, type="F03"), found.active()[0], pack()) == 900


def test_somebody_is_told_and_somebody_else_is_rung_again() -> None:
    # Given a fire of which the gas and the power network are to be told
    story = Story()
    story.call(type="F01")
    assert care.to_tell(story.incident("I1"), pack()) == ("GAZ", "ELE")
    # When the gas network does not answer
    person = {"name": "Popa I.", "role": "dispecer gaze", "number": "0244 123 456"}
    story.when(
        c.NotifyPerson, incident="I1", notice="n1", partner="GAZ", person=person, state="no_answer"
    )
    (notice,) = story.incident("I1").notices
    # Then it is tried again in five minutes, and whom is kept under seal
    assert (notice.state, notice.remind_us) == ("no_answer", story.now_us + 300_000_000)
    assert story.clear(notice.person) == person
    assert care.to_tell(story.incident("I1"), pack()) == ("ELE",)
    # When word was left, an answer is owed, when Ana says
    story.after(300)
    story.when(
        c.FollowNotice, incident="I1", notice="n1", state="waiting", note="revine", remind_s=120
    )
    (notice,) = story.incident("I1").notices
    assert (notice.state, notice.remind_us) == ("waiting", story.now_us + 120_000_000)
    # and with the answer nothing more is due
    story.after(60).when(c.FollowNotice, by=ION, incident="I1", notice="n1", state="answered")
    (notice,) = story.incident("I1").notices
    assert (notice.remind_us, [x.state for x in notice.words]) == (None, ["no_answer", "waiting", "answered"])
    assert [story.clear(x.note) for x in notice.words if x.note] == ["revine"]
    assert story.when(c.FollowNotice, by=ANA, incident="I1", notice="n1", state="answered") == ()
    # Told after the end is told, too; and all of it goes when the incident is erased
    story.when(c.CloseIncident, incident="I1", outcome="stins")
    story.when(c.NotifyPerson, incident="I1", notice="n2", person={"role": "DSP"}, state="answered")
    story.when(c.ErasePersonalData, incident="I1", reason="cerere")
    assert story.incident("I1").sealed == story.incident("I1").erased


WELL = {"units": ("PL1",), "result": "well"}
TOLD = {"notice": "n2", "person": {"name": "x"}}


@pytest.mark.parametrize(
    ("command", "fields", "code", "field"),
    [
        (c.SetOwner, {"owner": "x" * 65}, "text-too-long", "owner"),
        (c.MarkCheck, {"check": "tea", "state": "done"}, "unknown-check", "check"),
        (c.MarkCheck, {"check": "tow", "state": "soon"}, "unknown-word", "state"),
        (c.CheckCrews, {"units": (), "result": "well"}, "no-units", "units"),
        (c.CheckCrews, WELL, "unit-not-here", "units"),
        (c.CheckCrews, WELL | {"result": "fine"}, "unknown-word", "result"),
        (c.CheckCrews, WELL | {"note": "x" * 501}, "text-too-long", "note"),
        (c.NotifyPerson, TOLD | {"notice": "n1"}, "id-taken", "id"),
        (c.NotifyPerson, TOLD | {"partner": "NASA"}, "unknown-partner", "partner"),
        (c.NotifyPerson, TOLD | {"via": "pigeon"}, "unknown-word", "via"),
        (c.NotifyPerson, TOLD | {"state": "told"}, "unknown-word", "state"),
        (c.NotifyPerson, TOLD | {"person": {"name": " "}}, "nobody-named", "person"),
        (c.NotifyPerson, TOLD | {"person": {"number": "0" * 51}}, "text-too-long", "person.number"),
        (c.NotifyPerson, TOLD | {"remind_s": 86_401}, "remind-too-late", "remind_s"),
        (c.FollowNotice, {"notice": "n9", "state": "answered"}, "unknown-notice", "notice"),
    ],
)
def test_what_is_refused(command: type[c.Command], fields: dict[str, Any], code: str, field: str) -> None:
    story = Story()
    story.call()
    story.when(c.NotifyPerson, incident="I1", notice="n1", person={"name": "x"})
    fault = story.refuses(command, incident="I1", **fields)
    assert (fault.code, fault.field) == (code, field)


def test_a_closed_incident_has_no_owner_to_change_and_no_crew_to_ask() -> None:
    story = Story()
    story.call()
    story.when(c.CloseIncident, incident="I1", outcome="gata")
    for command, fields in (
        (c.SetOwner, {"owner": "ana"}),
        (c.MarkCheck, {"check": "tow", "state": "done"}),
        (c.CheckCrews, {"units": ("PL1",), "result": "well"}),
    ):
        assert story.refuses(command, incident="I1", **fields).code == "incident-closed"


def test_two_stations_that_could_not_hear_each_other_agree_afterwards() -> None:
    north, south = Story(incarnation="a"), Story(incarnation="b")
    north.call()
    meet(north, south)
    north.when(c.SetOwner, by=ANA, incident="I1", owner="ana")
    south.after(1).when(c.SetOwner, by=ION, incident="I1", owner="ion")
    south.when(c.MarkCheck, by=ION, incident="I1", check="tow", state="done")
    meet(north, south)
    assert north.incident("I1").owner == south.incident("I1").owner
    assert north.incident("I1").checks == south.incident("I1").checks


def test_a_pack_names_every_fault_of_its_checklists() -> None:
    raw = yaml.safe_load((PACKS / "generic.yaml").read_text(encoding="utf-8"))
    raw["checks"]["tow"]["from_level"] = 9
    raw["checks"]["spill"]["within_s"] = "soon"
    raw["incident_types"][0]["checklist"] = ["towe"]
    with pytest.raises(PackError) as caught:
        load_pack(raw)
    said = "\n".join(caught.value.faults)
    assert "checks.tow.from_level: 9 is no alarm level" in said
    assert "checks.spill.within_s" in said
    assert "incident_types[0].checklist[0]: unknown check 'towe'; did you mean tow?" in said
