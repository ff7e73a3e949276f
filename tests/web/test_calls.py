"""Stories from the telephone to the crew on its way: who rings, who has the call, what comes of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from tests.web.conftest import Seat, Server, SitDown
from tests.web.test_console import axe

pytestmark = pytest.mark.web
SPOT = {"lon": 24.9414, "lat": 60.1712}

Tell = Callable[..., str]


@pytest.fixture
def trunk(room: Server) -> Tell:
    """The telephone system: trunk(number=...) tells of a new call, trunk(call, state=...) of one told of."""
    token = json.loads((room.var / "demo.json").read_text(encoding="utf-8"))["tokens"]["calls"]

    def tell(call: str | None = None, **said: Any) -> str:
        body = {"id": call or str(uuid.uuid4()), "line": "112", **said}
        answer = requests.post(
            f"{room.url}/api/v1/calls", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return tell


def ring_off(seat: Seat) -> None:
    """Every call that is left is closed, so that the next story begins with a quiet room."""
    seat.page.keyboard.press("Escape")
    seat.page.evaluate(
        """async () => {
          const {csrf} = await (await fetch('/api/v1/session')).json();
          const headers = {'X-CSRF-Token': csrf, 'Content-Type': 'application/json'};
          for (const {id} of await (await fetch('/api/v1/calls?limit=1000')).json())
            await fetch(`/api/v1/calls/${id}/close`, {method: 'POST', headers, body: '{"why": "test"}'});
        }"""
    )
    expect(seat.see("calls")).to_have_count(0)


def put_out(seat: Seat, number: str) -> None:
    """The incident is closed: it was put out."""
    seat.page.evaluate(
        """async (number) => {
          const {csrf} = await (await fetch('/api/v1/session')).json();
          const {id} = straja.incidents.find((row) => row.number === number);
          await fetch(`/api/v1/incidents/${id}/close`, {method: 'POST', body: '{"outcome": "put out"}',
            headers: {'X-CSRF-Token': csrf, 'Content-Type': 'application/json'}});
        }""",
        number,
    )


# ---- from the first ring to the crew on its way


def test_from_call_answered_to_unit_sent_in_twelve_keystrokes_and_the_address(
    sit: SitDown, radios: None, trunk: Tell
) -> None:
    # given a dispatcher whose hands are free, and every key she presses counted by the page itself
    ana = sit("ana")
    ana.page.evaluate(
        "() => { window.pressed = []; addEventListener('keydown', (e) => pressed.push(e.key), true); }"
    )

    # when the telephone rings, and the network knows within 800 m where
    call = trunk(number="+40722318940", location={**SPOT, "radius_m": 800})

    # then the form stands there, with the number in it and the focus where she writes
    expect(ana.see("call-ringing")).to_contain_text("+40722318940")
    expect(ana.see("call-ringing")).to_contain_text("800 m")
    expect(ana.see("call-address")).to_be_focused()
    expect(ana.see("call-caller-phone")).to_have_value("+40722318940")
    expect(ana.see("call-dial")).to_have_attribute("href", "tel:+40722318940")

    # when she answers, writes the address, the kind, and sends what is recommended
    address, keys = "Kaisaniemenkatu 5", ana.page.keyboard
    keys.type(address)
    expect(ana.page.locator("#call-address-0")).to_contain_text(address)
    keys.press("Tab")
    expect(ana.see("call-type")).to_be_focused()
    keys.type("F05")
    expect(ana.page.locator("#call-type-0")).to_be_visible()
    keys.press("Enter")
    keys.press("Control+Enter")
    expect(ana.see("call-form")).to_have_count(0)
    expect(ana.see("candidate", chosen="true").first).to_be_visible()
    keys.press("Enter")
    expect(ana.see("candidate").first.locator("button.stage")).to_be_focused()
    keys.press("Enter")
    expect(ana.see("send-result")).to_be_visible()

    # then that took no more than twelve keystrokes beside the address
    pressed = [key for key in ana.page.evaluate("() => pressed") if key != "Control"]
    assert len(pressed) - len(address) <= 12, pressed
    # and the call belongs to the incident that it led to
    number = ana.see("incident-card").get_attribute("data-number")
    (incident,) = [row for row in ana.held()["incidents"] if row["number"] == number]
    assert incident["calls"] == [call]
    assert incident["caller"] == {"phone": "+40722318940"}
    expect(ana.see("calls")).to_have_count(0)


def test_two_consoles_ring_and_the_first_letter_has_the_call(sit: SitDown, trunk: Tell) -> None:
    # given two dispatchers, and a call that stands on both screens
    ana, bogdan = sit("ana"), sit("bogdan", language="en")
    trunk(number="0744112358")
    for seat in (ana, bogdan):
        expect(seat.see("call-ringing")).to_contain_text("0744112358")

    # when Ana begins to write
    ana.page.keyboard.type("Mikonk")

    # then Bogdan's empty form goes, and what she writes stays hers
    expect(bogdan.see("call-form")).to_have_count(0)
    expect(bogdan.see("call-row", needs="record")).to_contain_text("ana spoke with the caller")
    expect(ana.see("call-address")).to_have_value("Mikonk")
    expect(ana.see("call-taken")).to_have_count(0)

    # given that Bogdan writes a report of his own, on another line: the next call leaves his hands alone
    bogdan.page.keyboard.press("F2")
    bogdan.page.keyboard.type("Aleksanterinkatu")
    second = trunk(number="0755000111")
    row = bogdan.see("call-row", call=second)
    expect(row).to_contain_text("Rings")
    expect(bogdan.see("calls-spoken")).to_contain_text("0755000111")
    expect(bogdan.see("call-address")).to_have_value("Aleksanterinkatu")
    expect(bogdan.see("call-address")).to_be_focused()

    # when he takes it into that form, and the telephone system says that Ana has it
    row.get_by_test_id("call-take").click()
    expect(bogdan.see("call-ringing")).to_contain_text("0755000111")
    trunk(second, state="answered", agent="ana")

    # then nothing that he wrote is lost, and he reads who has the caller
    expect(bogdan.see("call-taken")).to_contain_text("ana speaks with this caller")
    expect(bogdan.see("call-address")).to_have_value("Aleksanterinkatu")
    ring_off(ana)


def test_a_call_that_the_telephone_system_gave_to_one_dispatcher_comes_to_her_alone(
    sit: SitDown, trunk: Tell
) -> None:
    ana, bogdan = sit("ana"), sit("bogdan")
    call = trunk(number="0766222333", state="answered", agent="bogdan", location={**SPOT, "radius_m": 20})
    # then it stands on his screen, pinned where the network is sure of it
    expect(bogdan.see("call-ringing")).to_contain_text("0766222333")
    expect(bogdan.see("call-address")).not_to_have_value("")
    expect(bogdan.see("call-form")).to_contain_text("60.17120")
    expect(ana.see("call-row", call=call)).to_be_visible()
    expect(ana.see("call-form")).to_have_count(0)
    # and he records it in the words of the caller
    bogdan.see("call-type").fill("copac")
    expect(bogdan.page.locator("#call-type-0")).to_be_visible()
    bogdan.page.keyboard.press("Enter")
    bogdan.page.keyboard.press("Control+Enter")
    expect(bogdan.see("incident-card")).to_be_visible()
    expect(ana.see("calls")).to_have_count(0)


# ---- whom nobody answered


def test_an_abandoned_call_waits_to_be_called_back(sit: SitDown, trunk: Tell) -> None:
    ana = sit("ana", language="en")
    # given somebody who hung up while Ana was busy with a report
    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Mikonkatu 8")
    call = trunk(number="+40 733 444 555")
    trunk(call, state="abandoned")
    ana.page.keyboard.press("Escape")
    ana.page.keyboard.press("Escape")
    row = ana.see("call-row", call=call)
    expect(row).to_contain_text("Call back")
    expect(row.get_by_test_id("call-tel")).to_have_attribute("href", "tel:+40733444555")
    for theme in ("night", "day"):
        axe(ana, f"a call to be called back, {theme}")
        ana.see("theme").click()

    # when she goes there by key, calls in vain, and then reaches somebody
    ana.page.keyboard.press("Alt+T")
    expect(row).to_be_focused()
    row.get_by_test_id("call-not-reached").click()
    expect(row).to_contain_text("called back once, in vain: ana")
    row.get_by_test_id("call-reached").click()
    expect(row).to_have_attribute("data-needs", "record")

    # then it stays until she says what came of it
    row.focus()
    ana.page.keyboard.press("Delete")
    expect(ana.see("call-why-no_emergency")).to_be_focused()
    axe(ana, "why there is no incident")
    ana.page.keyboard.press("Enter")
    expect(ana.see("calls")).to_have_count(0)
    ana.page.keyboard.press("F2")
    expect(ana.see("call-address")).to_have_value("Mikonkatu 8")
    ana.see("call-form").get_by_role("button", name="Discard").click()


# ---- one and the same


def test_a_second_caller_is_suggested_linked_and_never_swallowed(sit: SitDown) -> None:
    # given a burning car that somebody has told of
    ana, bogdan = sit("ana", language="en"), sit("bogdan")
    first = bogdan.take_call("Annankatu 10", "F05", "arde o mașină")

    # when Ana is told of a burning car at the next door
    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Annankatu 12")
    expect(ana.page.locator("#call-address-0")).to_contain_text("Annankatu 12")
    ana.page.keyboard.press("Tab")
    ana.page.keyboard.type("F05")
    expect(ana.page.locator("#call-type-0")).to_be_visible()
    ana.page.keyboard.press("Enter")

    # then she is told which one it may be, and why
    one = ana.see("call-similar").filter(has_text=first)
    expect(one).to_contain_text("Probably the same one")
    expect(one).to_contain_text("same kind")
    axe(ana, "a probable duplicate")

    # when she says so, and what the caller answers about who is inside
    one.get_by_test_id("call-same").click()
    expect(ana.see("call-links")).to_have_text(f"Will be a duplicate of {first}.")
    ana.see("call-answer-trapped-n").check()
    expect(ana.see("call-because")).to_have_count(0)
    expect(ana.see("call-priority-P2")).to_be_checked()
    ana.see("call-answer-trapped-y").check()
    expect(ana.see("call-priority-P1")).to_be_checked()
    expect(ana.see("call-because")).to_contain_text("Is anybody trapped, unable to get out? Yes")
    ana.page.keyboard.press("Control+Enter")
    expect(ana.see("call-form")).to_have_count(0)

    # then it stands in the queue as one of its own, urgent, and points to the first
    number = ana.see("incident-card").get_attribute("data-number")
    assert number
    assert number != first
    expect(bogdan.see("queue-row", number=number)).to_be_visible()
    held = {row["number"]: row for row in ana.held()["incidents"]}
    assert held[number]["duplicate_of"] == held[first]["id"]
    assert held[number]["priority"] == "P1"
    assert held[number]["protocol"]["because"] == ["trapped"]
    # and both go, for marks that lie over each other on the map are too small to touch in the next story
    for one in (number, first):
        put_out(ana, one)
        expect(ana.see("queue-row", number=one)).to_have_count(0)


def test_what_is_known_of_the_address_stands_in_the_form(sit: SitDown) -> None:
    # given a fire that was put out at an address, and a note that Ana writes about it
    ana = sit("ana", language="en")
    old = ana.take_call("Uudenmaankatu 16", "F05", "arde")
    put_out(ana, old)
    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Uudenmaankatu 16")
    expect(ana.page.locator("#call-address-0")).to_contain_text("Uudenmaankatu 16")
    ana.page.keyboard.press("Enter")
    expect(ana.see("known-earlier")).to_contain_text(f"{old} Vehicle fire: put out")
    expect(ana.see("known-near")).to_contain_text(" m")
    ana.see("known-write").click()
    ana.see("known-text").fill("gas bottles in the yard <b>!</b>")
    axe(ana, "what is known of a place")
    ana.see("known-text").press("Enter")

    # then whoever takes the next call from there reads it before anything is sent
    bogdan = sit("bogdan")
    bogdan.page.keyboard.press("F2")
    bogdan.page.keyboard.type("Uudenmaankatu 16")
    expect(bogdan.page.locator("#call-address-0")).to_contain_text("Uudenmaankatu 16")
    bogdan.page.keyboard.press("Enter")
    expect(bogdan.see("known-note")).to_contain_text("Pericol")
    expect(bogdan.see("known-note")).to_contain_text("gas bottles in the yard <b>!</b>")

    # and it can be said that it holds no more
    bogdan.see("known-drop").click()
    expect(bogdan.see("known-note")).to_have_count(0)
    for seat in (ana, bogdan):
        seat.page.get_by_test_id("call-form").locator("footer button").last.click()


# ---- what must never happen


def test_what_is_pasted_is_text_however_long_and_whatever_it_says(sit: SitDown, trunk: Tell) -> None:
    ana = sit("ana")
    evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    # given a telephone system that sends what it likes
    call = trunk(number="<b>0722</b> 1", line=evil[:64], recording=evil)
    expect(ana.see("call-ringing")).to_contain_text("<img src=x")
    # when every field of the form is given more of it
    for field in ("call-description", "call-caller-name", "call-block", "call-case-number", "call-type"):
        ana.see(field).fill((evil + "ț" * 10_000)[:10_000])
    ana.see("call-address").fill(evil)
    ana.see("call-description").focus()
    ana.page.keyboard.press("Control+Enter")
    # then it is refused where it must be, kept as it was written, and nothing of it has run
    expect(ana.see("call-type")).to_have_attribute("aria-invalid", "true")
    assert len(ana.see("call-description").input_value()) == 10_000
    assert ana.page.evaluate("() => window.hit") is None
    expect(ana.see("call-row", call=call)).to_contain_text("<b>0722</b> 1")
    ana.see("call-form").get_by_role("button", name="Aruncă schița").click()
    ring_off(ana)


def test_three_hundred_calls_in_a_minute(sit: SitDown, trunk: Tell) -> None:
    # given a storm: three hundred ring at once, most hang up
    ana = sit("ana")
    with ThreadPoolExecutor(6) as lines:
        list(lines.map(lambda n: trunk(number=f"0722{n:06d}", state="abandoned"), range(299)))
    last = trunk(number="0799999999")

    # then the one that rings stands first, every other is counted, and a report can be written all the while
    expect(ana.see("call-ringing")).to_contain_text("0799999999")
    expect(ana.see("calls")).to_contain_text("299")
    expect(ana.see("call-row").first).to_have_attribute("data-call", last)
    ana.page.keyboard.type("Kaisaniemenkatu 5")
    expect(ana.page.locator("#call-address-0")).to_contain_text("Kaisaniemenkatu 5")
    ana.page.keyboard.press("Escape")
    ana.see("call-form").get_by_role("button", name="Aruncă schița").click()
    ring_off(ana)
