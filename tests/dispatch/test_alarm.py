"""Stories of alarms: what is wrong with the system and its devices, and what must not cry wolf."""

from __future__ import annotations

import itertools
import random as chance
from typing import Any

import pytest

from dispatch import commands as c
from dispatch import events as e
from dispatch.alarm import FLOOD_WITHIN_US, KINDS, PRIORITIES, Alarm, figures, flood_since
from dispatch.commands import Actor
from dispatch.state import fold
from tests.dispatch.story import ANA, BOGDAN, SYSTEM, Story

LAMPS = Actor("lampi", "gateway", frozenset({"*"}))
MINUTE_US = 60_000_000
OWN = {
    "title": "Punct de aprindere fără curent",
    "means": "Strada e în întuneric.",
    "todo": "Sunați la Electrica.",
}


def says(story: Story, on: bool, by: Actor = LAMPS, alarm: str = "PA7", **more: Any) -> tuple[e.Event, ...]:
    told = {"kind": "device_fault", "detail": "PA7"} | more if on else {}
    return story.when(c.ReportAlarm, by=by, alarm=alarm, on=on, **told)


def found(story: Story, alarm: str = "PA7") -> Alarm:
    x = story.state.alarm(alarm)
    assert x is not None
    return x


def now(story: Story, alarm: str = "PA7") -> str:
    return found(story, alarm).state(story.now_us)


def test_an_alarm_comes_is_acknowledged_and_goes() -> None:
    # Given a device that reports a fault
    story = Story()
    assert [type(f) for f in says(story, True)] == [e.AlarmRaised]
    assert (now(story), found(story).group, found(story).priority) == ("unacknowledged", "devices", "low")
    # which it may say as often as it likes
    assert says(story, True) == ()
    # When Ana acknowledges it, that is on record once, with her name
    story.after(30).when(c.AcknowledgeAlarm, by=ANA, alarm="PA7")
    assert story.when(c.AcknowledgeAlarm, by=BOGDAN, alarm="PA7") == ()
    ack = found(story).acknowledged(story.now_us)
    assert (now(story), ack and ack.by) == ("acknowledged", "dispatcher:ana")
    # Then it goes without another word
    story.after(300)
    says(story, False)
    assert now(story) == "normal"
    assert says(story, False) == ()


def test_what_went_before_anybody_saw_it_stays_to_be_seen() -> None:
    story = Story()
    says(story, True)
    story.after(90)
    says(story, False)
    assert now(story) == "returned"
    story.after(7_000).when(c.AcknowledgeAlarm, by=ANA, alarm="PA7")
    assert now(story) == "normal"
    # and when it comes again an hour later it wants somebody again
    story.after(3_600)
    says(story, True)
    assert now(story) == "unacknowledged"


def test_a_fault_that_lasts_a_breath_is_no_alarm_and_a_gap_of_a_breath_is_no_end() -> None:
    # Given a device whose faults count after 20 s, and are over after 30 s without
    story = Story()
    delays = {"on_delay_s": 20.0, "off_delay_s": 30.0}
    says(story, True, **delays)
    assert now(story) == "normal"
    assert found(story).phases(story.now_us)[1:] == [(story.now_us + 20_000_000, "unacknowledged")]
    # When it is over after 19 s, nobody hears of it
    story.after(19)
    says(story, False)
    story.after(60)
    assert (now(story), found(story).called_out(story.now_us)) == ("normal", [])
    # When it lasts, it stands from the 20th second on, whoever looks
    says(story, True, **delays)
    story.after(20)
    assert now(story) == "unacknowledged"
    story.when(c.AcknowledgeAlarm, by=ANA, alarm="PA7")
    # a gap of 29 s is none
    says(story, False)
    story.after(29)
    assert now(story) == "acknowledged"
    says(story, True, **delays)
    story.after(600)
    assert (now(story), len(found(story).called_out(story.now_us))) == ("acknowledged", 1)
    # and what is gone for 30 s is over
    says(story, False)
    story.after(30)
    assert now(story) == "normal"


def test_a_breath_of_a_fault_takes_nothing_from_what_still_waits_for_somebody() -> None:
    # Given an alarm that came and went, and that nobody has acknowledged
    story = Story()
    says(story, True, on_delay_s=20.0)
    story.after(60)
    says(story, False)
    # When it comes for a breath again, an hour later
    story.after(3_600)
    says(story, True, on_delay_s=20.0)
    assert now(story) == "returned"
    story.after(5)
    says(story, False)
    # Then the first still waits
    assert now(story) == "returned"
    story.when(c.AcknowledgeAlarm, by=ANA, alarm="PA7")
    assert now(story) == "normal"


def test_what_comes_and_goes_is_called_chattering_and_calls_nobody_again() -> None:
    # Given an alarm that Ana has acknowledged
    story = Story()
    says(story, True)
    story.when(c.AcknowledgeAlarm, by=ANA, alarm="PA7")
    assert not found(story).chatters(story.now_us)
    # When it comes and goes every ten seconds
    for on in (False, True, False, True, False, True):
        story.after(10)
        says(story, on)
    # Then it is marked, and wants no second hand
    assert (found(story).chatters(story.now_us), now(story)) == (True, "acknowledged")
    assert len(found(story).called_out(story.now_us)) == 1
    # also where the pauses grow longer than a minute
    for on in (False, True):
        story.after(100)
        says(story, on)
    assert now(story) == "acknowledged"
    # and after ten quiet minutes it is an alarm like any other
    story.after(601)
    assert not found(story).chatters(story.now_us)
    says(story, False)
    story.after(700)
    says(story, True)
    assert now(story) == "unacknowledged"


def test_three_turns_in_a_minute_are_not_chattering() -> None:
    story = Story()
    for on in (True, False, True):
        says(story, on)
        story.after(15)
    assert not found(story).chatters(story.now_us)


def test_a_shelved_alarm_comes_back_by_itself() -> None:
    # Given an alarm that Ana puts aside for half an hour
    story = Story()
    says(story, True)
    story.when(c.ShelveAlarm, by=ANA, alarm="PA7", for_us=30 * MINUTE_US, reason="se lucrează")
    until_us = story.now_us + 30 * MINUTE_US
    assert (now(story), found(story).shelved_by) == ("shelved", "dispatcher:ana")
    assert found(story).phases(story.now_us) == [(story.now_us, "shelved"), (until_us, "unacknowledged")]
    # Then it is there again after that, though nobody said anything
    story.after(1_800)
    assert now(story) == "unacknowledged"
    # or as soon as Bogdan takes it back
    story.when(c.ShelveAlarm, by=ANA, alarm="PA7", for_us=30 * MINUTE_US)
    story.when(c.UnshelveAlarm, by=BOGDAN, alarm="PA7")
    assert now(story) == "unacknowledged"
    assert story.when(c.UnshelveAlarm, by=BOGDAN, alarm="PA7") == ()
    for wrong in (59_000_000, 13 * 60 * MINUTE_US):
        assert story.refuses(c.ShelveAlarm, alarm="PA7", for_us=wrong).field == "minutes"


def test_what_is_out_of_service_is_quiet_until_it_is_put_back() -> None:
    story = Story()
    says(story, True)
    assert story.refuses(c.SetAlarmService, alarm="PA7", in_service=False).field == "reason"
    story.when(c.SetAlarmService, alarm="PA7", in_service=False, reason="se schimbă")
    assert story.when(c.SetAlarmService, alarm="PA7", in_service=False, reason="se schimbă") == ()
    for on in (False, True):
        story.after(700)
        says(story, on)
        assert now(story) == "out_of_service"
    assert story.refuses(c.ShelveAlarm, alarm="PA7", for_us=30 * MINUTE_US).code == "out-of-service"
    story.when(c.SetAlarmService, alarm="PA7", in_service=True)
    assert now(story) == "unacknowledged"


def test_an_alarm_says_what_it_means_and_what_to_do_or_is_none() -> None:
    story = Story()
    for missing in OWN:
        refused = story.refuses(
            c.ReportAlarm, by=LAMPS, alarm="X", on=True, kind="feeder_dead", **(OWN | {missing: " "})
        )
        assert (refused.code, refused.field) == ("empty-text", missing)
    says(story, True, alarm="X", kind="feeder_dead", group="feeder-4", priority="high", **OWN)
    x = found(story, "X")
    assert (x.title, x.means, x.todo, x.group, x.priority) == (*OWN.values(), "feeder-4", "high")
    for bad, field in (
        ({"priority": "P1"}, "priority"),
        ({"on_delay_s": -1.0}, "on_delay_s"),
        ({"kind": ""}, "kind"),
    ):
        told: dict[str, Any] = {"kind": "device_fault"} | bad
        assert story.refuses(c.ReportAlarm, by=LAMPS, alarm="Y", on=True, **told).field == field
    assert story.refuses(c.ReportAlarm, by=LAMPS, alarm="Z", on=False).code == "unknown-alarm"
    assert story.refuses(c.AcknowledgeAlarm, alarm="Z").kind == "missing"


def test_a_gateway_speaks_for_its_own_alarms_alone() -> None:
    # Given what the node itself found
    story = Story()
    says(story, True, by=SYSTEM, alarm="C1:disk", kind="disk_low")
    # Then no gateway takes it away
    refused = story.refuses(c.ReportAlarm, by=LAMPS, alarm="C1:disk", on=False)
    assert (refused.code, refused.kind) == ("not-your-alarm", "forbidden")
    # but the node does, and so may whoever sits in the room
    story.when(c.ReportAlarm, by=ANA, alarm="C1:disk", on=False)
    assert not found(story, "C1:disk").on


def test_every_kind_of_the_node_has_a_priority() -> None:
    assert {priority for _, priority in KINDS.values()} <= set(PRIORITIES)


# ---- how they do


def test_a_flood_begins_with_the_eleventh_in_ten_minutes_and_ends_below_five() -> None:
    start = 10**15
    times = [start + i * 30_000_000 for i in range(11)]
    assert flood_since(times[:10], times[9]) is None
    assert flood_since(times, times[10]) == times[10]
    # it lasts while five or more are of the last ten minutes
    assert flood_since(times, times[6] + FLOOD_WITHIN_US - 1) == times[10]
    assert flood_since(times, times[7] + FLOOD_WITHIN_US) is None
    # and a later one is another
    later = [us + 3_600_000_000 for us in times]
    assert flood_since([*times, *later], later[10]) == later[10]


def test_the_figures_name_who_cries_most() -> None:
    # Given a lamp that comes and goes every five minutes for an hour, and three that came once
    story = Story()
    for _ in range(12):
        says(story, True, alarm="lamp-1")
        story.after(60)
        says(story, False, alarm="lamp-1")
        story.after(240)
    for n in (2, 3, 4):
        says(story, True, alarm=f"lamp-{n}")
    story.after(60)
    # Then the figures say so
    done = figures(story.state.alarms(), story.now_us)
    assert (done.total, done.worst[0]) == (15, ("lamp-1", 12))
    assert sum(done.per_hour) == 15
    assert (done.last_10_min, done.peak_10_min, done.flood_since_us) == (4, 4, None)
    assert done.by_priority == {"high": 0, "medium": 0, "low": 15}
    assert (done.standing, done.chattering) == ((), ())
    # and a day later, that three of them have stood all the while
    story.after(86_400)
    done = figures(story.state.alarms(), story.now_us)
    assert (done.total, done.standing) == (0, ("lamp-2", "lamp-3", "lamp-4"))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_order_the_facts_arrive_in_the_alarm_is_the_same(seed: int) -> None:
    # Given an hour of a device that comes and goes as it likes, while people do what they may
    dice = chance.Random(seed)
    story = Story()
    says(story, True, on_delay_s=5.0, off_delay_s=5.0)
    for _ in range(40):
        story.after(dice.choice((2, 8, 70, 400)))
        says(story, dice.random() < 0.5, on_delay_s=5.0, off_delay_s=5.0)
        if dice.random() < 0.2:
            story.when(c.AcknowledgeAlarm, alarm="PA7")
        if dice.random() < 0.1:
            story.when(c.ShelveAlarm, alarm="PA7", for_us=MINUTE_US)
    # Then it folds to the same from any order, and its phases only ever lead forward
    facts = list(story.records)
    dice.shuffle(facts)
    assert fold("alarm:PA7", facts) == found(story)
    phases = found(story).phases(story.now_us)
    assert all(a[0] < b[0] and a[1] != b[1] for a, b in itertools.pairwise(phases))
    for at_us, state in phases:
        assert found(story).state(at_us) == state
