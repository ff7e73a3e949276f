"""A shift at a real console: handing over, figures, and a line of paper after an outage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.web.test_command import keep
from tests.web.test_console import axe

if TYPE_CHECKING:
    from tests.web.conftest import SitDown

SCRIPT = "<img src=x onerror=alert(1)>"


def test_a_shift_is_handed_over_paper_comes_in_and_the_figures_follow(sit: SitDown) -> None:
    # Given Ana at the end of her shift, with a call
    ana = sit("ana")
    keys = ana.page.keyboard
    number = ana.take_call("Kaisaniemenkatu 5", "F05")
    # When she opens the pages of the shift by keyboard, the queue and the card stay where they are
    keys.press("Alt+u")
    expect(ana.see("shift", page="brief")).to_be_visible()
    expect(ana.see("shift-tab-brief")).to_be_focused()
    expect(ana.see("brief-incidents")).to_contain_text(number)
    expect(ana.see("queue")).to_be_visible()
    expect(ana.see("incident-card")).to_be_visible()
    # and nothing of the map lies over them or is reached behind them
    over = """(p) => {
      const b = p.getBoundingClientRect(), hit = (x, y) => p.contains(document.elementFromPoint(x, y));
      return [[b.right - 30, b.top + 30], [b.right - 30, b.top + 120], [b.left + 30, b.bottom - 25]]
        .every(([x, y]) => hit(x, y));
    }"""
    assert ana.see("shift").evaluate(over)
    assert ana.see("map").evaluate("(m) => m.closest('[inert]') !== null")
    # then what she types survives a reload, is handed over as text, and is not hers to take
    ana.see("handover-text").fill(f"două fântâni blocate {SCRIPT}")
    ana.page.reload()
    ana.until_live()
    keys.press("Alt+u")
    expect(ana.see("handover-text")).to_have_value(f"două fântâni blocate {SCRIPT}")
    axe(ana, "the hand-over")
    keep(ana, "shift-brief")
    ana.see("handover-write").click()
    expect(ana.see("handover-notes")).to_have_text(f"două fântâni blocate {SCRIPT}")
    expect(ana.see("handover-take")).to_have_count(0)
    # Bogdan takes over, in English and by day, and signs
    bogdan = sit("bogdan", language="en")
    bogdan.see("theme").click()
    bogdan.see("shift-open").click()
    expect(bogdan.see("handover-notes")).to_contain_text("două fântâni blocate")
    axe(bogdan, "taking over, day, en")
    keep(bogdan, "shift-taking")
    bogdan.see("handover-take").click()
    expect(bogdan.see("brief-done")).to_contain_text("Taken over by bogdan")
    # A line of paper: the hours as they stand on it, the wrong one named, then entered
    bogdan.see("shift-tab-brief").focus()
    bogdan.page.keyboard.press("ArrowRight")
    bogdan.page.keyboard.press("ArrowRight")
    expect(bogdan.see("shift", page="paper")).to_be_visible()
    page = bogdan.page
    yesterday = page.evaluate("new Date(Date.now() - 864e5).toLocaleDateString('en-CA')")
    page.locator("#paper-day").fill(yesterday)
    page.locator("#paper-at").fill("2350")
    bogdan.see("paper-address").fill("Kaisaniemenkatu 2")
    expect(page.locator("#paper-address-0")).to_contain_text("Kaisaniemenkatu 2")
    page.keyboard.press("Enter")
    bogdan.see("paper-type").fill("F05")
    page.keyboard.press("Enter")
    page.locator("#paper-unit-0").fill("NIMENI")
    page.locator("#paper-assigned-0").fill("23:52")
    page.locator("#paper-free-0").fill("25")
    bogdan.see("paper-save").click()
    expect(page.locator("#paper-free-0")).to_have_attribute("aria-invalid", "true")
    axe(bogdan, "a wrong hour, day, en")
    keep(bogdan, "shift-paper")
    page.locator("#paper-free-0").fill("23.59")
    bogdan.see("paper-save").click()
    expect(bogdan.see("paper-fault")).to_contain_text("no such unit")
    expect(page.locator("#paper-unit-0")).to_have_attribute("aria-invalid", "true")
    page.locator("#paper-unit-0").fill("")
    page.locator("#paper-assigned-0").fill("")
    page.locator("#paper-free-0").fill("")
    page.locator("#paper-closed").fill("23:59")
    page.locator("#paper-outcome").fill("stins")
    bogdan.see("paper-save").click()
    expect(bogdan.see("paper-done")).to_contain_text(re.compile(r"Entered as C1-\d+"))
    # What is planned is known beforehand
    bogdan.see("shift-tab-planned").click()
    page.locator("#planned-title").fill("Tram works")
    bogdan.see("planned-save").click()
    expect(bogdan.see("planned", state="ahead")).to_contain_text("Tram works")
    axe(bogdan, "what is planned, day, en")
    keep(bogdan, "shift-planned")
    # The supervisor sees how it goes and on whom it lies, and the sheet opens without a script
    boss = sit("sorina")
    boss.page.keyboard.press("Alt+u")
    boss.see("shift-tab-figures").click()
    expect(boss.see("figures-times")).to_be_visible()
    expect(boss.see("figures-load").locator('[data-person="ana"]')).to_be_visible()
    axe(boss, "the figures")
    keep(boss, "shift-figures")
    with boss.context.expect_page() as opened:
        boss.see("shift-sheet").click()
    sheet = opened.value
    expect(sheet.locator("h1")).to_contain_text("Fișa de lucru")
    # One is written every minute: the next has what this one may have come too early for.
    boss.page.wait_for_function(
        "async ([sheet, number]) => (await (await fetch(sheet)).text()).includes(number)",
        arg=[sheet.url, number],
        polling=2_000,
        timeout=90_000,
    )
    sheet.reload()
    expect(sheet.locator("body")).to_contain_text(number)
    assert sheet.locator("script").count() == 0
    # Esc gives the map back
    boss.page.bring_to_front()
    boss.see("shift-tab-figures").focus()
    boss.page.keyboard.press("Escape")
    expect(boss.see("shift")).to_have_count(0)
