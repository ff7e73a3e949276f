"""Stories of the incident's card: who has it, whether crews are well, what is to be done, who is told, what
is related; by the keyboard where that is how it is done at night."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.web.conftest import Seat, SitDown
from tests.web.test_console import axe

pytestmark = pytest.mark.web

SCRIPT = "<script>document.title='gone'</script>"


def ask(seat: Seat, method: str, path: str, body: Any = None) -> Any:
    """What the API answers this seat's person."""
    return seat.page.evaluate(
        """async ([method, path, body]) => {
          const {csrf} = await (await fetch('/api/v1/session')).json();
          const headers = {'X-CSRF-Token': csrf, 'Content-Type': 'application/json'};
          const answer = await fetch('/api/v1' + path, {method, headers, body: body && JSON.stringify(body)});
          return [answer.status, answer.status === 204 ? null : await answer.json()];
        }""",
        [method, path, body],
    )


def theme(seat: Seat, name: str) -> None:
    seat.page.evaluate(f"() => {{ document.documentElement.dataset.theme = '{name}' }}")


def test_what_a_room_sees_to_on_an_incident(sit: SitDown) -> None:
    # Given a fire that Ana has acknowledged, with a crew of her own on the scene
    ana = sit("ana")
    number = ana.take_call("Kaisaniemenkatu 5", "F01", "fum pe scara")
    incident = next(x["id"] for x in ana.held()["incidents"] if x["number"] == number)
    expect(ana.see("owner")).to_be_visible()
    ana.see("owner-take").click()
    expect(ana.see("owner", owner="ana")).to_be_visible()
    units = ask(ana, "GET", "/units")[1]
    crew = next(u["id"] for u in units if u["command"] == "owned" and u["status"] == "available")
    assert ask(ana, "POST", f"/incidents/{incident}/assignments", {"units": [crew]})[0] == 200
    assert ask(ana, "POST", f"/units/{crew}/status", {"status": "on_scene"})[0] == 200

    # Then a ring says when the crew is asked again, and a press says that all are well
    check = ana.see("crew-check", unit=crew)
    expect(check).to_contain_text("se întreabă din nou")
    check.get_by_test_id("crew-silent").click()
    expect(check).to_contain_text("o dată fără răspuns")
    check.get_by_test_id("crew-well").click()
    expect(check).to_contain_text("bine la")
    expect(check).not_to_contain_text("fără răspuns")

    # When she ticks off the checklist with the keyboard, it is done by her
    first = ana.see("check").first
    first.get_by_role("checkbox").focus()
    ana.page.keyboard.press("Space")
    expect(first).to_have_attribute("data-state", "done")
    expect(first).to_contain_text("ana")
    second = ana.see("check").nth(1)
    second.get_by_role("button").click()
    expect(second).to_have_attribute("data-state", "not_needed")

    # Given a duty list with the gas network's number
    csv = f"name,role,partner,numbers\nPopa {SCRIPT},dispecer,GAZ,0244 123 456\n"
    boss = sit("sorina", language="en")
    assert ask(boss, "POST", "/duty/import", {"list": "gaze", "csv": csv})[0] == 200

    # When she tells the gas network, the number is there to dial and to take over, and nobody answers
    expect(ana.see("untold")).to_have_count(2)
    ana.see("tell-partner").first.press("Enter")
    duty = ana.see("on-duty")
    expect(duty).to_contain_text(SCRIPT)
    expect(duty.get_by_role("link")).to_have_attribute("href", "tel:0244123456")
    ana.see("on-duty-choose").press("Enter")
    expect(ana.see("tell-number")).to_have_value("0244 123 456")
    ana.see("tell-silent").press("Enter")
    notice = ana.see("notice")
    expect(notice).to_contain_text("fără răspuns la")
    expect(notice).to_contain_text("din nou la")
    axe(ana, "the card, night")
    theme(ana, "day")
    axe(ana, "the card, day")

    # Then whoever sits elsewhere sees the same in their language, and reads who has it when they want it too
    boss.page.locator(f'[data-testid="queue-row"][data-incident="{incident}"]').click()
    expect(boss.see("owner")).to_contain_text("ana has it")
    expect(boss.see("notice")).to_contain_text("no answer at")
    expect(boss.see("notice")).to_contain_text(SCRIPT)
    axe(boss, "the card in English")
    ana.see("notice-answered").click()
    expect(boss.see("notice")).to_contain_text("told at")
    boss.see("owner-hand").press("Enter")
    boss.see("owner-to").select_option("bogdan")
    boss.see("owner-give").press("Enter")
    expect(ana.see("owner", owner="bogdan")).to_be_visible()

    # When the talkgroup is set and the crews must wait, everybody reads it
    ana.see("talkgroup").press("Enter")
    ana.page.keyboard.type("ISU 3")
    ana.page.keyboard.press("Enter")
    expect(boss.see("talkgroup-now")).to_contain_text("ISU 3")
    ana.see("staging").press("Enter")
    expect(boss.see("staging")).to_have_attribute("aria-pressed", "true")

    # Given a second report, it is tied to the first by its number and taken apart again
    other = ana.take_call("Kaisaniemenkatu 7", "F05")
    ana.see("link-incident").press("Enter")
    ana.page.keyboard.type("no such")
    ana.page.keyboard.press("Enter")
    expect(ana.see("care-fault")).to_contain_text("no such")
    ana.see("link-number").fill(number.rpartition("-")[2])
    ana.page.keyboard.press("Enter")
    expect(ana.see("link-row")).to_contain_text(number)
    ana.see("link-open").click()
    expect(ana.see("incident-card")).to_have_attribute("data-number", number)
    expect(ana.see("link-row")).to_contain_text(other)
    ana.see("link-remove").click()
    expect(ana.see("link-row")).to_have_count(0)
    assert ana.page.title() != "gone"

