"""Stories from a dispatch room, told through real consoles on a real server."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Request, Route, expect

from app.ports import SystemClock, SystemRandom
from config import Config
from dispatch import commands as c
from tests.nodes.world import Node
from tests.web.conftest import ROOT, Seat, Server, SitDown

pytestmark = pytest.mark.web
AXE = ROOT / "app" / "web" / "node_modules" / "axe-core" / "axe.min.js"


# ---- a call, from the first ring to the crew on its way


def test_ana_takes_a_call_and_bogdan_sees_it_happen(sit: SitDown, radios: None) -> None:
    # given two dispatchers in one room
    ana, bogdan = sit("ana"), sit("bogdan")

    # when Ana takes a call about a fire at a real address, without touching the mouse
    number = ana.take_call("Kaisaniemenkatu 5", "incendiu apart", "Fum la etajul 3")

    # then Bogdan sees it pinned as unacknowledged, and hears of it because lives are in danger
    row = bogdan.see("queue-row", number=number)
    expect(row).to_contain_text("Kaisaniemenkatu 5")
    expect(row).to_contain_text("nepreluat")
    expect(bogdan.see("spoken")).to_contain_text(number)

    # and Ana is told whom to send, with the time, the way and the reasons
    first = ana.see("candidate", chosen="true").first
    expect(first).to_contain_text(re.compile(r"\d+:\d\d"))
    expect(first).to_contain_text("pe drum")
    expect(first).to_contain_text("aduce")
    expect(first).to_contain_text(re.compile(r"poziție \d+ s"))

    # when she acknowledges it and sends the plan
    ana.page.keyboard.press("F8")
    expect(row).not_to_contain_text("nepreluat")
    ana.page.keyboard.press("Enter")
    expect(ana.see("candidate").first.locator("button.stage")).to_be_focused()
    ana.page.keyboard.press("Enter")

    # then own crews are alerted and the others only asked, and both consoles say which is which
    expect(ana.see("send-result")).to_contain_text("Trimis")
    own = ana.see("assignment").first.get_attribute("data-unit")
    asked = ana.see("request", state="asked").first.get_attribute("data-unit")
    assert own
    assert asked
    bogdan.see("board-filter").fill(own)
    expect(bogdan.see("unit-row", unit=own)).to_have_attribute("data-status", "assigned")
    expect(bogdan.see("unit-row", unit=own)).to_contain_text(number)
    row.click()
    expect(bogdan.see("request", unit=asked)).to_contain_text("cerut de ana")

    # and nothing more is staged while the answers are awaited: a second Enter asks for nobody
    expect(ana.see("recommendation-waiting")).to_contain_text(asked)
    expect(ana.see("send-plan")).to_have_count(0)

    # when Bogdan hears the agency's yes on the phone and writes down whose it was
    bogdan.see(f"answer-yes-{asked}").click()
    bogdan.see("answer-name").fill("Ion Pop")
    bogdan.see("answer-save").click()

    # then Ana reads who accepted
    expect(ana.see("assignment", unit=asked)).to_contain_text("acceptat de Ion Pop")

    # when Bogdan hears on the radio that the crew has left, and presses R on its line
    bogdan.see("unit-row", unit=own).focus()
    bogdan.page.keyboard.press("r")

    # then Ana's card says so
    expect(ana.see("assignment", unit=own)).to_have_attribute("data-status", "en_route")
    expect(ana.see("assignment", unit=own)).to_contain_text("Plecat la caz")
    # and both consoles hold the very same rows
    expect_same_picture(ana, bogdan)


def expect_same_picture(one: Seat, other: Seat) -> None:
    """Snapshot plus changes on one console equals the same on the other, whatever each has missed."""

    def picture(seat: Seat) -> tuple[str, dict[str, Any]]:
        held = seat.held()
        # A fix reaches a console in position frames; a unit's row carries the one it was built with.
        fix = {"lon", "lat", "fix_at", "fix_received_at", "speed_mps", "heading_deg", "accuracy_m"}
        units = {row["id"]: {k: v for k, v in row.items() if k not in fix} for row in held["units"]}
        return held["cursor"], {row["id"]: row for row in held["incidents"]} | units

    for _ in range(500):
        # The log moves on by itself (plans offered, deadlines): compare when both stand at one cursor.
        hers, his = picture(one), picture(other)
        if hers[0] == his[0]:
            assert hers[1] == his[1]
            return
    pytest.fail("the two consoles never stood at the same cursor")


def test_two_dispatchers_reach_for_the_same_crew(sit: SitDown) -> None:
    # given Bogdan looking at a recommendation that names a crew of the city
    ana, bogdan = sit("ana"), sit("bogdan")
    bogdan.take_call("Aleksanterinkatu 52", "tulburarea", "Muzică tare")
    line = bogdan.see("candidate", chosen="true").first
    unit = line.get_attribute("data-unit")
    assert unit
    # and, from now on, no fresher recommendation reaches him
    bogdan.page.route("**/recommendation", lambda route: route.abort())

    # when Ana sends that crew elsewhere first
    hers = ana.take_call("Aleksanterinkatu 46", "tulburarea", "Ceartă în stradă")
    ana.see(f"send-{unit}").click()
    expect(ana.see("assignment", unit=unit)).to_be_visible()

    # then Bogdan's own try is refused in words: by whom, when, for what
    bogdan.see(f"send-{unit}").click()
    said = bogdan.see("send-result")
    expect(said).to_contain_text(re.compile(rf"{unit} a fost luat de ana acum \d+ s"))
    expect(said).to_contain_text(hers)
    expect(bogdan.see("assignment", unit=unit)).to_have_count(0)


def test_an_incident_is_corrected_noted_raised_and_closed_before_everybodys_eyes(sit: SitDown) -> None:
    # given an incident open on two consoles
    ana, bogdan = sit("ana"), sit("bogdan", language="en")
    number = ana.take_call("Mikonkatu 8", "copac", "Copac pe o mașină")
    bogdan.see("queue-row", number=number).click()
    card = bogdan.see("incident-card", number=number)

    # when the caller says that somebody is under the tree, and where exactly
    ana.see("edit-incident").click()
    ana.see("edit-priority").select_option("P1")
    ana.see("edit-address").fill("Kaisaniemenkatu 5")
    expect(ana.page.locator("#edit-address-0")).to_contain_text("Kaisaniemenkatu 5")
    ana.see("edit-address").press("Enter")
    ana.see("edit-save").click()
    # and Ana notes it and raises the alarm level
    ana.see("note").fill("Vecinii au un fierăstrău")
    ana.see("note").press("Enter")
    ana.see("alarm-level").select_option("2")

    # then Bogdan's card has it all, in his language
    expect(card).to_contain_text("Kaisaniemenkatu 5")
    expect(card).to_contain_text("Critical")
    expect(card).to_contain_text("Vecinii au un fierăstrău")
    expect(card).to_contain_text("Level 2: several stations")

    # when Ana closes it, saying how it ended
    ana.see("close-incident").click()
    ana.see("outcome").fill("Rezolvat la fața locului")
    ana.see("close-confirm").click()

    # then it leaves both queues, and the open card says so
    expect(bogdan.see("card-closed")).to_contain_text("Rezolvat la fața locului")
    for seat in (ana, bogdan):
        expect(seat.see("queue-row", number=number)).to_have_count(0)


# ---- a person knows better than the plan


def add(seat: Seat, unit: str) -> None:
    """Name a unit in the box of the open card, with the keyboard alone."""
    seat.see("incident-card").locator("#card-title").focus()
    seat.page.keyboard.press("+")
    expect(seat.see("add-unit")).to_be_focused()
    seat.page.keyboard.type(unit)
    expect(seat.see("add-unit-hit", unit=unit)).to_be_visible()
    seat.page.keyboard.press("Enter")
    expect(seat.see("send-unit", unit=unit)).to_be_visible()


def set_by_key(seat: Seat, unit: str, key: str, status: str) -> None:
    """Press a status key on the unit's line, as when it reports by radio."""
    seat.see("board-filter").fill(unit)
    seat.see("unit-row", unit=unit).focus()
    seat.page.keyboard.press(key)
    expect(seat.see("unit-row", unit=unit)).to_have_attribute("data-status", status)


def test_ana_sends_units_that_no_plan_asked_for(sit: SitDown, start_server: Callable[..., Server]) -> None:
    # given an incident whose plan is covered
    ana = sit("ana", at=start_server(), size=(1366, 768))
    number = ana.take_call("Aleksanterinkatu 46", "tulburarea", "Ceartă în stradă")
    first = ana.see("candidate", chosen="true").first.get_attribute("data-unit")
    assert first
    ana.see("send-plan").click()
    expect(ana.see("assignment", unit=first)).to_be_visible()
    expect(ana.see("recommendation")).to_contain_text("Planul este acoperit.")

    # when she wants the road crew as well, and names it
    add(ana, "R92")

    # then she is told why the plan does without it, and one more key sends it
    expect(ana.see("send-unit")).to_contain_text("Nu aduce nimic din ce cere planul.")
    go = ana.see("send-unit-go")
    expect(go).to_be_focused()
    expect(go).to_contain_text(f"Trimite R92 la {number}")
    axe(ana, "a unit named by hand")
    for part in ("add-unit", "send-unit-go"):
        expect(ana.see(part)).to_be_in_viewport()
    page = "document.documentElement"
    assert ana.page.evaluate(f"() => {page}.scrollWidth <= {page}.clientWidth")
    ana.page.keyboard.press("Enter")
    expect(ana.see("assignment", unit="R92")).to_have_attribute("data-status", "assigned")
    expect(ana.see("send-result")).to_have_text("Trimis: R92.")
    expect(ana.see("add-unit")).to_be_focused()
    expect(ana.see("add-unit")).to_have_value("")

    # and an agency's unit is asked for, with the reason that she gives
    add(ana, "A41")
    expect(ana.see("send-unit-go")).to_contain_text(f"Cere A41 pentru {number}")
    expect(ana.see("send-unit-go")).to_be_focused()
    ana.page.keyboard.press("Shift+Tab")
    ana.page.keyboard.type("Un om a căzut")
    ana.page.keyboard.press("Enter")
    expect(ana.see("request", unit="A41", state="asked")).to_be_visible()
    expect(ana.see("send-result")).to_contain_text("Cerut: A41")

    # and whoever names it again reads that it was asked for already; nothing can be pressed
    add(ana, "A41")
    expect(ana.see("send-unit-warning")).to_contain_text("deja cerut")
    expect(ana.see("send-unit-go")).to_have_count(0)
    # and of what no unit is called, the box says so
    ana.page.keyboard.press("Escape")
    ana.see("add-unit").fill("ZZ9")
    expect(ana.see("add-unit-box")).to_contain_text("Niciun echipaj cu acest indicativ.")


def test_a_crew_on_its_way_is_taken_off_only_with_a_reason(
    sit: SitDown, start_server: Callable[..., Server]
) -> None:
    # given a road crew on its way to a fallen tree, and a fire
    server = start_server()
    ana = sit("ana", at=server)
    bogdan = sit("bogdan", at=server, language="en")
    tree = ana.take_call("Mikonkatu 8", "copac", "Creangă pe trotuar")
    add(ana, "R92")
    ana.page.keyboard.press("Enter")
    expect(ana.see("assignment", unit="R92")).to_be_visible()
    set_by_key(ana, "R92", "r", "en_route")
    fire = ana.take_call("Kaisaniemenkatu 5", "F01", "Fum la etajul 3")

    # when Ana names it for the fire
    add(ana, "R92")

    # then she reads whom she would take it from, and an empty reason sends nothing
    expect(ana.see("send-unit-warning")).to_contain_text(f"va fi LUAT de la {tree}")
    reason = ana.see("send-unit-reason")
    expect(reason).to_be_focused()
    ana.page.keyboard.press("Enter")
    assert reason.evaluate("(field) => field.matches(':invalid')")
    expect(ana.see("assignment", unit="R92")).to_have_count(0)
    axe(ana, "a unit to be diverted")

    # when she says why
    ana.page.keyboard.type("Blochează accesul autospecialei")
    ana.page.keyboard.press("Enter")

    # then it is on the fire, and off the tree before Bogdan's eyes
    expect(ana.see("assignment", unit="R92")).to_be_visible()
    bogdan.see("queue-row", number=tree).click()
    expect(bogdan.see("incident-card", number=tree)).to_be_visible()
    expect(bogdan.see("assignment")).to_have_count(0)
    bogdan.see("board-filter").fill("R92")
    expect(bogdan.see("unit-row", unit="R92")).to_contain_text(fire)

    # when it has arrived and Bogdan wants it back all the same, the refusal is in his own words
    set_by_key(ana, "R92", "s", "on_scene")
    add(bogdan, "R92")
    expect(bogdan.see("send-unit-warning")).to_contain_text("In this status it cannot be sent")
    bogdan.page.keyboard.press("Enter")
    fault = bogdan.see("send-unit-fault")
    expect(fault).to_contain_text(re.compile(rf"R92 was taken by ana .* for {fire}"))
    expect(fault).to_contain_text("Nothing was sent")
    expect(bogdan.see("assignment")).to_have_count(0)


def test_a_recommended_crew_on_its_way_is_asked_about_before_it_is_sent(
    sit: SitDown, start_server: Callable[..., Server]
) -> None:
    # given a patrol on its way to a quarrel, and a second quarrel near it
    ana = sit("ana", at=start_server())
    first = ana.take_call("Aleksanterinkatu 46", "tulburarea", "Ceartă în stradă")
    unit = ana.see("candidate", chosen="true").first.get_attribute("data-unit")
    assert unit
    ana.see(f"send-{unit}").click()
    expect(ana.see("assignment", unit=unit)).to_be_visible()
    set_by_key(ana, unit, "r", "en_route")
    ana.take_call("Aleksanterinkatu 52", "tulburarea", "Muzică tare")
    line = ana.see("candidate", unit=unit)
    expect(line).to_contain_text(f"este în drum spre {first}")

    # when Ana presses its button, she is first asked why
    ana.see(f"send-{unit}").click()
    expect(ana.see("send-unit-reason")).to_be_focused()
    expect(ana.see("send-unit-warning")).to_contain_text(f"va fi LUAT de la {first}")

    # when she stages it beside the plan and sends both, she is asked too, and nothing is sent
    line.locator("button.stage").press(" ")
    ana.see("send-plan").click()
    expect(ana.see("send-result")).to_contain_text(f"{unit}: pe drum la alt caz")
    expect(ana.see("override")).to_be_focused()
    expect(ana.see("assignment")).to_have_count(0)
    expect(ana.page.locator("#override-whys option").first).to_have_attribute(
        "value", "cerut de cei de la fața locului"
    )
    axe(ana, "a staged unit to be diverted")

    # then, with the reason, both go
    ana.page.keyboard.type("Mai aproape de aici")
    ana.page.keyboard.press("Enter")
    expect(ana.see("assignment", unit=unit)).to_be_visible()
    expect(ana.see("assignment")).to_have_count(2)

    # and the timeline tells it as her choice, with what she said, and nothing else
    ana.page.locator("summary", has_text="Cronologie").click()
    expect(ana.see("timeline")).to_contain_text(f"{unit} trimis, ales de dispecer: Mai aproape de aici")


def test_a_unit_is_sent_from_the_board_to_the_incident_on_the_card(
    sit: SitDown, start_server: Callable[..., Server]
) -> None:
    # given an incident on the card
    ana = sit("ana", at=start_server(), language="en", size=(1366, 768))
    number = ana.take_call("Mikonkatu 8", "tree", "A branch")

    # when Ana opens a free crew's menu on the board
    def menu(unit: str) -> None:
        ana.see("board-filter").fill(unit)
        ana.see("unit-row", unit=unit).focus()
        ana.page.keyboard.press("Enter")
        expect(ana.see("status-menu")).to_be_visible()

    menu("R93")
    offer = ana.see("menu-send")
    expect(offer).to_have_text(f"Send R93 to {number}")
    expect(offer).to_be_focused()
    ana.page.keyboard.press("Enter")
    expect(ana.see("send-unit-go")).to_be_focused()
    axe(ana, "sending from the board")
    ana.page.keyboard.press("Enter")

    # then the crew is on the incident, the menu is gone and the line is where she left it
    expect(ana.see("assignment", unit="R93")).to_be_visible()
    expect(ana.see("status-menu")).to_have_count(0)
    expect(ana.see("unit-row", unit="R93")).to_be_focused()
    expect(ana.see("unit-row", unit="R93")).to_contain_text(number)
    # and its menu does not offer to send it there again
    menu("R93")
    expect(ana.see("menu-send")).to_have_count(0)
    ana.page.keyboard.press("Escape")

    # and an agency's unit is asked for on the same road
    menu("A42")
    expect(ana.see("menu-send")).to_have_text(f"Ask for A42 for {number}")
    ana.page.keyboard.press("Enter")
    expect(ana.see("send-unit-go")).to_be_focused()
    ana.page.keyboard.press("Enter")
    expect(ana.see("request", unit="A42", state="asked")).to_be_visible()


def test_a_status_out_of_order_is_set_with_a_reason(sit: SitDown) -> None:
    # given a free crew that is suddenly heard from a scene
    ana, bogdan = sit("ana"), sit("bogdan")
    ana.see("board-filter").fill("I91")
    row = ana.see("unit-row", unit="I91")
    row.focus()
    ana.page.keyboard.press("Enter")
    menu = ana.see("status-menu")
    expect(menu).to_be_visible()
    expect(ana.see("set-on_scene")).to_have_count(0)

    # when Ana asks for the other statuses
    ana.see("status-other").press("Enter")

    # then all twelve stand there, with the word that this is out of order
    expect(ana.see("status-out-of-order")).to_contain_text("În afara ordinii obișnuite")
    choices = menu.locator("button.choice")
    expect(choices).to_have_count(12)
    expect(ana.see("set-assigned")).to_be_disabled()
    expect(choices.first).to_be_focused()
    axe(ana, "other statuses")

    # when she chooses one, an empty reason sets nothing
    ana.see("set-on_scene").press("Enter")
    reason = ana.see("status-reason")
    expect(reason).to_be_focused()
    ana.page.keyboard.press("Enter")
    assert reason.evaluate("(field) => field.matches(':invalid')")
    expect(row).to_have_attribute("data-status", "available")

    # then, with a reason, both boards show it
    ana.page.keyboard.type("A dat peste un stâlp căzut")
    ana.page.keyboard.press("Enter")
    expect(menu).to_have_count(0)
    expect(row).to_be_focused()
    for seat in (ana, bogdan):
        seat.see("board-filter").fill("I91")
        expect(seat.see("unit-row", unit="I91")).to_have_attribute("data-status", "on_scene")
        expect(seat.see("unit-row", unit="I91")).to_contain_text("A dat peste un stâlp căzut")


# ---- numbers


def test_a_closed_incident_is_found_by_another_agencys_case_number_and_reopened(sit: SitDown) -> None:
    # given an incident that the ambulance service calls by a number of its own
    ana, bogdan = sit("ana"), sit("bogdan")
    number = ana.take_call("Mikonkatu 8", "copac", "Creangă ruptă")
    case = f"SAJ-{uuid.uuid4().hex[:8]}"
    ana.see("link-case").click()
    ana.see("case-agency").select_option("SAJ")
    ana.see("case-number").fill(case)
    ana.see("case-number").press("Enter")
    expect(ana.see("case-numbers")).to_contain_text(f"Serviciul de Ambulanță Județean {case}")
    expect(ana.see("link-case")).to_be_focused()
    # and that was closed since
    ana.see("close-incident").click()
    ana.see("outcome").fill("Rezolvat la fața locului")
    ana.see("close-confirm").click()
    expect(bogdan.see("queue-row", number=number)).to_have_count(0)

    # when the ambulance service calls Bogdan back, and he types the end of its number, without the mouse
    keys = bogdan.page.keyboard
    keys.press("/")
    expect(bogdan.see("find")).to_be_focused()
    keys.type(case[6:].upper())
    hit = bogdan.see("find-hit", number=number)
    expect(hit).to_contain_text(re.compile(r"închis la .*\d\d:\d\d:\d\d"))
    expect(hit).to_contain_text("Mikonkatu 8")
    expect(hit).to_contain_text(case)
    axe(bogdan, "search with a find")
    keys.press("Enter")

    # then its card opens, to be read only
    card = bogdan.see("incident-card", number=number)
    expect(card).to_contain_text("Rezolvat la fața locului")
    expect(bogdan.page.locator("#card-title")).to_be_focused()
    for closed_to in ("note", "close-incident", "link-case", "alarm-level", "candidate"):
        expect(bogdan.see(closed_to)).to_have_count(0)

    # when he reopens it, saying why
    bogdan.see("reopen").press("Enter")
    expect(bogdan.see("reopen-reason")).to_be_focused()
    keys.type("Mai este un rănit")
    keys.press("Enter")

    # then it is back in both queues
    for seat in (ana, bogdan):
        expect(seat.see("queue-row", number=number)).to_be_visible()
    expect(bogdan.see("note")).to_be_visible()


def test_the_search_forgets_says_nothing_found_and_leaves_slashes_to_those_who_type(sit: SitDown) -> None:
    # given an open incident
    ana = sit("ana")
    number = ana.take_call("Mikonkatu 8", "copac", "Creangă")
    find = ana.see("find")

    # when a number that nobody has is searched for, it is said; Esc clears it
    find.fill("nu-există-99")
    expect(ana.see("queue")).to_contain_text("Niciun incident nu are acest număr.")
    find.press("Escape")
    expect(find).to_have_value("")
    expect(ana.see("queue")).not_to_contain_text("Niciun incident nu are acest număr.")

    # when hands are faster than the search, Enter still opens the incident whose number was typed
    ana.page.keyboard.type(number.lower())
    ana.page.keyboard.press("Enter")
    expect(ana.see("incident-card", number=number)).to_be_visible()
    expect(ana.see("queue-row", number=number)).to_be_focused()
    expect(find).to_have_value("")

    # and a slash typed in a note stays in the note
    ana.see("note").focus()
    ana.page.keyboard.type("bl. 3/4")
    expect(ana.see("note")).to_have_value("bl. 3/4")


# ---- a crew in danger


def test_a_crew_in_danger_stands_on_every_board_until_it_is_safe(sit: SitDown) -> None:
    # given a crew on its way
    ana, bogdan = sit("ana"), sit("bogdan")
    number = ana.take_call("Aleksanterinkatu 46", "tulburarea", "Ceartă în stradă")
    unit = ana.see("candidate", chosen="true").first.get_attribute("data-unit")
    assert unit
    ana.see(f"send-{unit}").click()
    expect(ana.see("assignment", unit=unit)).to_be_visible()

    # when Bogdan hears its emergency call on the radio
    bogdan.see("board-filter").fill(unit)
    bogdan.see("unit-row", unit=unit).focus()
    bogdan.page.keyboard.press("Enter")
    bogdan.see("danger-set").click()

    # then its flag stands whole in its row, whatever else the row has to say
    bogdan.page.set_viewport_size({"width": 1366, "height": 768})
    cell = bogdan.see("unit-row", unit=unit).locator(".status")
    flag = cell.get_by_test_id("unit-flag")
    expect(flag).to_be_visible()
    room, takes = cell.bounding_box(), flag.bounding_box()
    assert room
    assert takes
    assert takes["x"] + takes["width"] <= room["x"] + room["width"] + 0.5
    assert flag.evaluate("(e) => e.scrollWidth <= e.clientWidth")

    # and it stands on top of Ana's board, whatever she looks at, and is read out
    ana.see("board-filter").fill("nothing is called so")
    row = ana.see("danger-row", unit=unit)
    expect(row).to_contain_text("ECHIPAJ ÎN PERICOL")
    expect(row).to_contain_text(number)
    expect(row).to_contain_text("Aleksanterinkatu 46")
    spoken = ana.see("spoken-danger")
    expect(spoken).to_have_attribute("aria-live", "assertive")
    expect(spoken).to_have_text(f"Echipaj în pericol: {unit}, Aleksanterinkatu 46")

    # and nothing is pushed off a small screen by it: where the board is far down, the top bar leads there
    for width, height in ((1920, 1080), (1366, 768), (960, 540)):
        ana.page.set_viewport_size({"width": width, "height": height})
        chip = ana.see("danger-chip")
        expect(chip).to_contain_text(unit)
        chip.press("Enter")
        expect(row).to_be_in_viewport()
        expect(row.get_by_test_id("danger-show")).to_be_focused()
        expect(row.get_by_test_id("danger-clear")).to_be_visible()
        page = "document.documentElement"
        assert ana.page.evaluate(f"() => {page}.scrollWidth <= {page}.clientWidth"), width
    axe(ana, "crew in danger")

    # and whoever sits down later is told too
    matei = sit("matei", language="en")
    expect(matei.see("danger-row", unit=unit)).to_contain_text("CREW IN DANGER")
    expect(matei.see("spoken-danger")).to_contain_text(unit)
    expect(matei.see("danger-clear")).to_have_count(0)

    # when one key is pressed by mistake, nothing happens; pressed twice, the crew is safe again
    clear = row.get_by_test_id("danger-clear")
    clear.press("Enter")
    expect(clear).to_contain_text("Sigur?")
    expect(bogdan.see("danger-row", unit=unit)).to_be_visible()
    clear.press("Enter")
    for seat in (ana, bogdan, matei):
        expect(seat.see("danger-row")).to_have_count(0)
        expect(seat.see("spoken-danger")).to_have_text("")


# ---- servers that could not hear each other


def test_a_unit_sent_by_two_servers_is_shown_to_people_who_settle_it(
    sit: SitDown, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    # given two open incidents, a crew of the city, and the station's reserve laptop that knows of them all
    server = start_server()
    ana, bogdan = sit("ana", at=server), sit("bogdan", at=server, language="en")
    theirs = ana.take_call("Aleksanterinkatu 52", "tulburarea", "Muzică tare")
    ours = ana.take_call("Aleksanterinkatu 46", "tulburarea", "Ceartă în stradă")
    unit = ana.see("candidate", chosen="true").first.get_attribute("data-unit")
    assert unit
    ids = {i["number"]: i["id"] for i in ana.held()["incidents"]}
    url = Config.from_env(server.env).database_url
    here = Node(url, server.var, SystemClock(), SystemRandom(), station="C1")
    laptop = Node(
        f"sqlite:///{tmp_path / 'laptop.sqlite'}", tmp_path, SystemClock(), SystemRandom(), station="C1"
    )
    try:
        while laptop.pull(here).accepted:
            pass

        # when both servers send that crew while they cannot hear each other, and then can again
        ana.see(f"send-{unit}").click()
        expect(ana.see("assignment", unit=unit)).to_be_visible()
        laptop.submit(c.AssignUnits, incident=ids[theirs], units=(unit,))
        while here.pull(laptop).accepted:
            pass
    finally:
        laptop.close()
        here.close()

    # then board, queue and card say so in words, and nobody was recalled
    clash = ana.see("contradiction", kind="sent-twice")
    expect(clash).to_contain_text("Trimis de două ori")
    for word in (unit, ours, theirs, "nu recheamă pe nimeni"):
        expect(clash).to_contain_text(word)
    ana.see("board-filter").fill(unit)
    expect(ana.see("unit-row", unit=unit).get_by_test_id("unit-clash")).to_contain_text("Trimis de două ori")
    for number in (ours, theirs):
        expect(ana.see("queue-row", number=number).get_by_test_id("queue-clash")).to_be_visible()
        ana.see("queue-row", number=number).click()
        expect(ana.see("assignment", unit=unit)).to_be_visible()
        expect(clash).to_have_count(1)
    ana.page.set_viewport_size({"width": 1366, "height": 768})
    axe(ana, "contradiction on the card")

    # when Bogdan opens the unit's menu with the keyboard and writes down what people agreed
    bogdan.see("board-filter").fill(unit)
    expect(bogdan.see("unit-clash")).to_contain_text("Sent twice")
    bogdan.see("unit-row", unit=unit).focus()
    bogdan.page.keyboard.press("Enter")
    menu = bogdan.see("status-menu")
    expect(menu).to_contain_text("recalls nobody")
    axe(bogdan, "contradiction in the menu")
    menu.get_by_test_id("settle").press("Enter")
    expect(menu.get_by_test_id("settle-how")).to_be_focused()
    bogdan.page.keyboard.type("Agreed with the laptop: stays at the quarrel")
    bogdan.page.keyboard.press("Enter")

    # then the contradiction is gone from both consoles, and the crew is where it was
    for seat in (ana, bogdan):
        for chip in ("contradiction", "unit-clash", "queue-clash"):
            expect(seat.see(chip)).to_have_count(0)
    held = {u["id"]: u for u in ana.held()["units"]}[unit]
    assert held["conflicts"][0]["resolution"] == "Agreed with the laptop: stays at the quarrel"
    assert held["incident"] in (ids[ours], ids[theirs])
    expect(ana.see("assignment", unit=unit)).to_be_visible()


# ---- links break


def test_a_console_cut_off_says_so_and_catches_up(sit: SitDown) -> None:
    # given two consoles, one of them about to lose the network
    ana, bogdan = sit("ana"), sit("bogdan")
    before = ana.held()["cursor"]
    ana.context.set_offline(True)

    # then it says since when, what works and what does not; nothing looks live
    banner = ana.see("truth-banner")
    expect(banner).to_contain_text(re.compile(r"Fără legătură din \d\d:\d\d:\d\d"))
    expect(banner).to_contain_text("NU merg")
    expect(ana.see("console")).to_have_attribute("data-live", "false")
    expect(ana.see("board")).to_contain_text("situația de la")

    # when the room works on meanwhile and the network comes back
    number = bogdan.take_call("Unioninkatu 29", "copac", "Creangă pe trotuar")
    assert ana.held()["cursor"] == before
    ana.context.set_offline(False)

    # then the console catches up by itself, without being loaded anew
    ana.until_live()
    expect(ana.see("queue-row", number=number)).to_be_visible()
    expect(banner).to_have_count(0)
    expect_same_picture(ana, bogdan)


def test_a_call_sent_into_a_dead_server_is_kept_and_arrives_once(
    sit: SitDown, start_server: Callable[..., Server]
) -> None:
    # given a call typed in on a console whose server has just lost power
    server = start_server()
    ana = sit("ana", at=server)
    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Kaisaniemenkatu 5")
    expect(ana.page.locator("#call-address-0")).to_contain_text("Kaisaniemenkatu 5")
    ana.page.keyboard.press("Enter")
    ana.see("call-type").fill("F01")
    ana.page.keyboard.press("Enter")
    bodies: list[Any] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/incidents"):
            bodies.append(request.post_data_json)

    ana.page.on("request", note)
    server.kill("web")

    # when it is sent
    ana.page.keyboard.press("Control+Enter")

    # then the console says that it is not sent, and keeps trying with the same call
    expect(ana.see("call-retrying")).to_contain_text("NETRIMIS")
    server.start("web")
    expect(ana.see("incident-card")).to_contain_text("Kaisaniemenkatu 5")
    ana.until_live()
    assert len(bodies) >= 2, "the call was tried only once"
    assert all(body == bodies[0] for body in bodies), "a retry changed the call"
    same = [i for i in ana.held()["incidents"] if i["address"] == "Kaisaniemenkatu 5"]
    assert [i["id"] for i in same] == [bodies[0]["id"]]


def test_a_lost_answer_does_not_open_a_second_incident(sit: SitDown) -> None:
    # given a network that loses the answer of the first try, after the server has recorded the call
    ana = sit("ana")
    lost: list[int] = []

    def lose_once(route: Route) -> None:
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    ana.page.route("**/api/v1/incidents", lose_once)

    # when the call is taken
    number = ana.take_call("Mikonkatu 8", "copac", "Stejar peste șine")

    # then the server had it already, and there is one incident
    assert lost == [201]
    matching = [i for i in ana.held()["incidents"] if i["description"] == "Stejar peste șine"]
    assert [i["number"] for i in matching] == [number]


# ---- the call form


def test_hands_faster_than_the_search_still_get_the_whole_address(sit: SitDown) -> None:
    # given a search whose answers are held back
    ana = sit("ana")
    held: list[Route] = []
    ana.page.route("**/api/v1/addresses?*", lambda route: held.append(route))

    def answer() -> None:
        while not held:
            ana.page.evaluate("0")  # lets the browser's messages in
        while held:
            held.pop().continue_()

    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Kaisaniemenkatu")
    answer()
    expect(ana.page.locator("#call-address-0")).to_be_visible()

    # when the number and Enter follow at once, while the old suggestions still stand
    ana.page.keyboard.type(" 5")
    ana.page.keyboard.press("Enter")
    answer()

    # then the number is not lost to an old suggestion
    expect(ana.see("call-address")).to_have_value("Kaisaniemenkatu 5")
    expect(ana.page.locator("#call-address-state")).to_contain_text(re.compile(r"60\.\d+, 24\.\d+"))


def test_a_draft_survives_a_reload(sit: SitDown) -> None:
    ana = sit("ana")
    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Kaisaniemenkatu 5")
    ana.see("call-description").fill("Apelantul șoptește")
    ana.see("call-staircase").fill("B")
    ana.page.reload()
    expect(ana.see("call-address")).to_have_value("Kaisaniemenkatu 5")
    expect(ana.see("call-description")).to_have_value("Apelantul șoptește")
    expect(ana.see("call-staircase")).to_have_value("B")


def test_a_refusal_stands_at_the_field_it_names_and_nothing_is_lost(sit: SitDown) -> None:
    # given a call at a street that does not exist here
    ana = sit("ana")
    ana.page.keyboard.press("F2")
    ana.see("call-type").fill("F01")
    expect(ana.page.locator("#call-type-0")).to_be_visible()
    ana.page.keyboard.press("Enter")
    ana.see("call-address").fill("Strada Zyxwq 999")
    ana.see("call-description").fill("Fum negru")

    # when it is sent as it is
    ana.page.keyboard.press("Control+Enter")

    # then the address is marked wrong in words, has the focus, and the rest stays
    address = ana.see("call-address")
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(address).to_be_focused()
    expect(ana.page.locator("#call-address-fault")).to_contain_text("Zyxwq")
    expect(ana.see("call-description")).to_have_value("Fum negru")


@pytest.mark.parametrize("typed", ["cazut canal", "căzut CANAL", "cãzut", "R09"])
def test_types_are_found_by_code_and_without_diacritics(sit: SitDown, typed: str) -> None:
    ana = sit("ana")
    ana.page.keyboard.press("F2")
    ana.see("call-type").fill(typed)
    expect(ana.see("call-type-list")).to_contain_text("Persoană căzută în canal")


def test_the_type_brings_its_priority_until_a_person_chooses_one(sit: SitDown) -> None:
    ana = sit("ana")
    ana.page.keyboard.press("F2")
    ana.see("call-type").fill("H03")
    ana.page.keyboard.press("Enter")
    expect(ana.see("call-priority-P3")).to_be_checked()
    ana.see("call-priority-P2").focus()
    ana.page.keyboard.press("Space")
    ana.see("call-type").fill("F01")
    ana.page.keyboard.press("Enter")
    expect(ana.see("call-priority-P2")).to_be_checked()


def test_a_click_on_the_map_says_where(sit: SitDown) -> None:
    ana = sit("ana")
    ana.until_map()
    ana.page.keyboard.press("F2")
    box = ana.see("map").bounding_box()
    assert box
    ana.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(ana.see("call-pin")).to_be_visible()
    # the pin stands where the click was
    pin = ana.see("call-pin").bounding_box()
    assert pin
    assert abs(pin["x"] + pin["width"] / 2 - box["x"] - box["width"] / 2) < 3
    assert abs(pin["y"] + pin["height"] - box["y"] - box["height"] / 2) < 3
    expect(ana.see("call-address")).not_to_have_value("")
    # and the words for the place come from the city's own addresses
    expect(ana.see("call-address")).to_have_value(re.compile(r"[A-Za-z]{4}"))


# ---- the map


def green_pixels(seat: Seat) -> int:
    """How many pixels of the map's picture have the colour of an available crew."""
    picture = base64.b64encode(seat.see("map").screenshot()).decode()
    count: int = seat.page.evaluate(
        """async (png) => {
          const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
          const image = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
          const canvas = new OffscreenCanvas(image.width, image.height);
          const ctx = canvas.getContext('2d');
          ctx.drawImage(image, 0, 0);
          const p = ctx.getImageData(0, 0, image.width, image.height).data;
          let n = 0;
          for (let i = 0; i < p.length; i += 4)
            if ([0x28, 0xf4, 0x83].every((c, k) => Math.abs(p[i + k] - c) < 12)) n++;
          return n;
        }""",
        picture,
    )
    return count


def until_green(seat: Seat, wanted: bool) -> None:
    for _ in range(60):
        if (green_pixels(seat) > 200) is wanted:
            return
    pytest.fail(f"crews {'never appeared on' if wanted else 'never left'} the map")


def test_crews_are_drawn_and_come_back_after_the_graphics_are_lost(sit: SitDown, radios: None) -> None:
    # given a map with crews on it
    ana = sit("ana")
    ana.until_map()
    until_green(ana, True)
    # and it says that no graphics card draws it, and whose data it shows
    expect(ana.see("software")).to_be_visible()
    expect(ana.see("attribution")).to_contain_text("OpenStreetMap")

    # when the graphics context is lost
    ana.page.evaluate(
        "() => { window.lost = document.querySelector('.unit-overlay').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context'); window.lost.loseContext(); }"
    )
    until_green(ana, False)
    # and comes back
    ana.page.evaluate("() => window.lost.restoreContext()")

    # then the crews are back
    until_green(ana, True)


def test_positions_flow_and_crews_can_be_picked_on_the_map(sit: SitDown, radios: None) -> None:
    ana = sit("ana")
    ana.until_map()
    ana.page.wait_for_function("() => straja.positionsSeen >= 2")
    until_green(ana, True)
    # Sweep the map until a click meets a crew: what is drawn is what is picked.
    box = ana.see("map").bounding_box()
    assert box
    for step in range(400):
        x = box["x"] + box["width"] * (0.2 + 0.03 * (step % 20))
        y = box["y"] + box["height"] * (0.05 + 0.045 * (step // 20))
        ana.page.mouse.click(x, y)
        if ana.page.locator('[data-testid="unit-row"][aria-selected="true"]').count():
            return
    pytest.fail("no click on the map selected a crew")


# ---- who may do what, in which words


def test_an_observer_watches_and_has_no_way_to_change_anything(sit: SitDown) -> None:
    matei = sit("matei")
    expect(matei.see("unit-row").first).to_be_visible()
    expect(matei.see("new-call")).to_have_count(0)
    matei.page.keyboard.press("F2")
    expect(matei.see("call-form")).to_have_count(0)
    unit = matei.see("unit-row").first
    unit.focus()
    matei.page.keyboard.press("Enter")
    expect(matei.see("status-menu")).to_have_count(0)


def test_a_wrong_password_is_refused_in_words(sit: SitDown) -> None:
    nobody = sit(None, language="en")
    nobody.see("login-name").fill("ana")
    nobody.see("login-password").fill(uuid.uuid4().hex)
    nobody.page.keyboard.press("Enter")
    expect(nobody.see("login-fault")).to_contain_text("wrong")


def test_the_language_changes_everything_at_once_and_is_remembered(sit: SitDown) -> None:
    # given a console in Romanian, with a count that needs "de"
    ana = sit("ana")
    html = ana.page.locator("html")
    expect(html).to_have_attribute("lang", "ro")
    expect(ana.see("board")).to_contain_text("28 de unități")
    expect(ana.see("board")).to_contain_text("Disponibil")

    # when English is chosen
    ana.see("language-en").click()

    # then labels, counts and the pack's own words are English
    expect(html).to_have_attribute("lang", "en")
    expect(ana.see("board")).to_contain_text("28 units")
    expect(ana.see("board")).to_contain_text("Available")
    expect(ana.see("new-call")).to_contain_text("New call")

    # and stay so after a reload
    ana.page.reload()
    ana.until_live()
    expect(html).to_have_attribute("lang", "en")


def test_a_session_that_has_ended_leads_back_to_the_login_with_the_draft_kept(sit: SitDown) -> None:
    ana = sit("ana")
    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Kaisaniemenkatu 5")
    ana.context.clear_cookies()
    ana.see("call-type").fill("F01")
    ana.page.keyboard.press("Enter")
    ana.page.keyboard.press("Control+Enter")
    expect(ana.see("login")).to_contain_text("Sesiunea s-a încheiat")
    ana.see("demo-ana").click()
    expect(ana.see("call-address")).to_have_value("Kaisaniemenkatu 5")


# ---- everybody can use it


def axe(seat: Seat, where: str) -> None:
    """No finding of axe-core under the WCAG 2.2 AA rules. The map's canvas is opaque to it by nature."""
    if not AXE.is_file():
        pytest.fail("axe-core is not installed: run npm ci in app/web")
    # Evaluated by the browser's debugger, so that the page's own policy against foreign scripts stays on.
    seat.page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    found = seat.page.evaluate(
        """async () => (await axe.run(document, {runOnly: [
          'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'
        ]})).violations.map((v) => ({id: v.id, help: v.help,
          nodes: v.nodes.map((n) => n.html.slice(0, 160) + ' :: ' + n.failureSummary.slice(0, 200))}))"""
    )
    assert found == [], where + "\n" + json.dumps(found, indent=1, ensure_ascii=False)


def axe_in_every_dress(seat: Seat, where: str, languages: tuple[str, ...] = ("en", "ro")) -> None:
    """The same by night and by day, in both languages; the seat is left as it was, but for a dialog: that
    does not outlive another language."""
    was = seat.page.locator("html").get_attribute("lang")
    press = "(id) => document.querySelector(`[data-testid=\"${id}\"]`).click()"
    # By the page itself: what is modal lets nobody else reach them.
    for language in languages:
        seat.page.evaluate(press, f"language-{language}")
        expect(seat.page.locator("html")).to_have_attribute("lang", language)
        for _ in ("night", "day"):
            seat.page.evaluate(press, "theme")
            axe(seat, f"{where}, {language}, {seat.page.locator('html').get_attribute('data-theme')}")
    seat.page.evaluate(press, f"language-{was}")


@pytest.mark.parametrize("theme", ["night", "day"])
@pytest.mark.parametrize("language", ["ro", "en"])
def test_login_and_console_are_clean_for_assistive_tools(sit: SitDown, language: str, theme: str) -> None:
    nobody = sit(None, language=language)
    axe(nobody, "login")
    seat = sit("sorina", language=language)
    if theme == "day":
        seat.see("theme").click()
    seat.until_map()
    seat.take_call("Mikonkatu 8", "F01" if language == "ro" else "dwelling", "Fum")
    expect(seat.see("candidate").first).to_be_visible()
    axe(seat, f"console with an incident, {theme}")
    seat.page.keyboard.press("F2")
    seat.page.keyboard.type("Kaisan")
    expect(seat.page.locator("#call-address-0")).to_be_visible()
    axe(seat, f"call form, {theme}")
    seat.page.keyboard.press("Escape")
    seat.page.keyboard.press("Escape")
    unit = seat.see("unit-row").first
    unit.focus()
    seat.page.keyboard.press("Enter")
    expect(seat.see("status-menu")).to_be_visible()
    axe(seat, f"status menu, {theme}")
    seat.page.keyboard.press("Escape")
    expect(unit).to_be_focused()
    seat.page.keyboard.press("?")
    expect(seat.see("help")).to_be_visible()
    axe(seat, f"help, {theme}")


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768), (960, 540)])
def test_nothing_is_cut_off_on_smaller_screens_and_at_twice_the_size(
    sit: SitDown, size: tuple[int, int]
) -> None:
    """A 1920 px screen zoomed to 200 % is 960 px wide: every part still fits and every list is in reach."""
    seat = sit("sorina", size=size)
    seat.until_map()
    seat.take_call("Mikonkatu 8", "F01", "Fum gros pe scara blocului, vecinii spun că este cineva înăuntru")
    expect(seat.see("candidate").first).to_be_visible()
    page = "document.documentElement"
    assert seat.page.evaluate(f"() => {page}.scrollWidth <= {page}.clientWidth")
    for part in ("queue", "incident-card", "send-plan", "board", "map", "help-open"):
        seat.see(part).scroll_into_view_if_needed()
        expect(seat.see(part)).to_be_in_viewport()
        box = seat.see(part).bounding_box()
        assert box
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= size[0] + 1, part
