"""Stories of the command line: typed, dragged and clicked, all the same order; and taken back."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, expect

from tests.web.conftest import UNDO_S, Seat, Server, SitDown
from tests.web.test_console import axe
from tests.web.test_map import on_screen

pytestmark = pytest.mark.web


def idle(seat: Seat, n: int, command: str = "owned") -> list[str]:
    """Units of the city's own that stand ready, and whose crew is with no other unit."""
    units = seat.held()["units"]
    crews = {u["id"]: u["crew_id"] for u in units}
    found: list[str] = []
    for unit in units:
        free = unit["status"] == "available" and unit["command"] == command and not unit["blocked_by"]
        asked = unit["request"] and unit["request"]["state"] == "asked"
        alone = unit["crew_id"] is None or unit["crew_id"] not in [crews[other] for other in found]
        if free and alone and not asked and unit["crew"] >= unit["crew_min"]:
            found.append(unit["id"])
    assert len(found) >= n, "the demo has no crews left for this story"
    return found[:n]


def unit_of(seat: Seat, unit: str) -> dict[str, Any]:
    return next(row for row in seat.held()["units"] if row["id"] == unit)


def answered(seat: Seat, state: str) -> Locator:
    """The line once its echo is that of the text as it stands."""
    found = seat.see("command", state=state, answered="true")
    expect(found).to_have_count(1)
    return found


def drag(seat: Seat, source: Locator, target: Locator) -> None:
    source.scroll_into_view_if_needed()
    a, b = source.bounding_box(), target.bounding_box()
    assert a
    assert b
    mouse = seat.page.mouse
    mouse.move(a["x"] + 60, a["y"] + a["height"] / 2)
    mouse.down()
    mouse.move(a["x"] + 40, a["y"] + a["height"] / 2 - 12, steps=3)
    expect(seat.see("carried")).to_be_visible()
    mouse.move(b["x"] + b["width"] / 2, b["y"] + b["height"] / 2, steps=4)


def clear_up(seat: Seat, units: list[str], *numbers: str | None) -> None:
    """Crews come back and incidents are closed, by the line: the room is as it was."""
    seat.page.keyboard.press("Control+k")
    lines = [f"RECALL {' '.join(units)}"]
    lines += [
        f"S {unit} A" for unit in units if unit_of(seat, unit)["status"] not in ("assigned", "acknowledged")
    ]
    lines += [f"CLOSE {number} over" for number in numbers]
    for line in lines:
        seat.see("command-input").fill(line)
        answered(seat, "ready")
        seat.page.keyboard.press("Enter")
        expect(seat.see("command-input")).to_have_value("")


def keep(seat: Seat, name: str) -> None:
    """A picture for whoever asks for one."""
    folder = os.environ.get("STRAJA_TEST_PICTURES")
    if folder:
        seat.page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_call_is_taken_and_crews_sent_by_the_line_alone(sit: SitDown) -> None:
    # given a dispatcher at a console, and another who watches
    ana, bogdan = sit("ana"), sit("bogdan")
    first, second = idle(ana, 2)
    keys = ana.page.keyboard

    # when she goes to the line and types a call
    expect(ana.see("command-input")).to_be_visible()
    keys.press("Control+k")
    expect(ana.see("command-input")).to_be_focused()
    keys.type("n incendiu apart Unioninkatu 20 NOTA fum la etajul 3")
    answered(ana, "ready")
    expect(ana.see("command-echo")).to_contain_text("Apel nou: Incendiu apartament / casă, Unioninkatu 20")
    keep(ana, "line-call")
    keys.press("Enter")

    # then it is in everybody's queue, with what she said of it
    expect(ana.see("command-input")).to_have_value("")
    expect(ana.see("command-echo")).to_contain_text("✓ Apel nou")
    row = bogdan.see("queue-row").filter(has_text="Unioninkatu 20").first
    expect(row).to_be_visible()
    number = row.get_attribute("data-number")
    assert number
    digits = number.rpartition("-")[2]

    # when she types a crew that does not exist, the word is marked and Enter sends nothing
    keys.type(f"t {digits} {first} QX77 ")
    answered(ana, "wrong")
    expect(ana.see("command-wrong")).to_have_text("QX77")
    keys.press("Enter")
    expect(ana.see("command-echo")).to_contain_text("nu există echipajul „QX77”")
    selected = "(() => { const i = document.getElementById('command-line'); "
    selected += "return i.value.slice(i.selectionStart, i.selectionEnd); })()"
    ana.page.wait_for_function(f"{selected} === 'QX77'")
    keep(ana, "line-wrong")
    assert unit_of(ana, first)["incident"] is None

    # and with the word written over, both crews are echoed and sent
    keys.type(second.lower())
    answered(ana, "ready")
    expect(ana.see("command-echo")).to_contain_text(f"Trimite {first}, {second} → {number}")
    keep(ana, "line-echo")
    keys.press("Enter")
    for unit in (first, second):
        bogdan.see("board-filter").fill(unit)
        expect(bogdan.see("unit-row", unit=unit)).to_have_attribute("data-status", "assigned")
        expect(bogdan.see("unit-row", unit=unit)).to_contain_text(number)

    # when both tell by radio that they have left, one line says so; letters of the line stay in the line
    keys.type(f"s {first} {second} r")
    answered(ana, "ready")
    keys.press("Enter")
    expect(ana.see("command-echo")).to_contain_text("plecat la caz")
    bogdan.see("board-filter").fill(first)
    expect(bogdan.see("unit-row", unit=first)).to_have_attribute("data-status", "en_route")

    # when a crew that is on its way is sent elsewhere, the line says before Enter why not
    keys.type("n f05 Kaisaniemenkatu 5")
    answered(ana, "ready")
    keys.press("Enter")
    other = bogdan.see("queue-row").filter(has_text="Kaisaniemenkatu 5").first
    expect(other).to_be_visible()
    to = (other.get_attribute("data-number") or "").rpartition("-")[2]
    keys.type(f"t {to} {first}")
    answered(ana, "refused")
    expect(ana.see("command-refusal")).to_contain_text(first)
    keys.press("Enter")
    expect(ana.see("command-input")).to_have_value(f"t {to} {first}")
    expect(ana.see("command-alert")).to_contain_text(first)
    # and a reason diverts it
    keys.type(" motiv mai aproape")
    answered(ana, "ready")
    keys.press("Enter")
    expect(bogdan.see("unit-row", unit=first)).to_contain_text(f"-{to}")

    # when she asks for what was sent before, and then for nothing
    keys.press("ArrowUp")
    expect(ana.see("command-input")).to_have_value(f"t {to} {first} motiv mai aproape")
    keys.press("ArrowUp")
    expect(ana.see("command-input")).to_have_value("n f05 Kaisaniemenkatu 5")
    keys.press("Escape")
    expect(ana.see("command-input")).to_have_value("")
    keys.press("Escape")
    expect(ana.see("command-input")).not_to_be_focused()

    # and no light is pretended to shine
    keys.press("Control+Space")
    keys.type("lumini sector4 100")
    answered(ana, "wrong")
    keys.press("Enter")
    expect(ana.see("command-echo")).to_contain_text("nicio lumină nu este legată")
    clear_up(ana, [first, second], number, other.get_attribute("data-number"))


def test_tab_completes_and_hands_may_be_faster_than_the_echo(sit: SitDown) -> None:
    # given an English console and an incident chosen in the queue
    ana = sit("ana", language="en")
    number = ana.take_call("Mannerheimintie 5", "vehicle fire")
    keys = ana.page.keyboard
    (unit,) = idle(ana, 1)

    # when she completes word by word
    keys.press("Control+k")
    keys.type("disp")
    answered(ana, "wrong")
    keys.press("Tab")
    expect(ana.see("command-input")).to_have_value("DISPATCH ")
    keys.type(unit[:-1])
    expect(ana.see("command-offered").locator("li").filter(has_text=unit).first).to_be_visible()
    keep(ana, "line-offered")
    axe(ana, "what the line offers")
    keys.press("Backspace")
    keys.type(unit[len(unit) - 2 :])
    answered(ana, "ready")

    # then the incident on the screen is the one that is meant
    expect(ana.see("command-echo")).to_contain_text(f"Send {unit} → {number}")
    keys.press("Enter")
    expect(ana.see("assignment", unit=unit)).to_be_visible()

    # when a line and its Enter are typed in one go, it is read before it acts
    keys.type("note two people out already")
    keys.press("Enter")
    expect(ana.see("command-input")).to_have_value("")
    expect(ana.see("command-echo")).to_contain_text("✓ Note on")
    # and one that is wrong stays to be looked at
    keys.type("note 99999 x")
    keys.press("Control+a")
    keys.type("close 99999 over")
    keys.press("Enter")
    expect(ana.see("command-wrong")).to_have_text("99999")
    expect(ana.see("incident-card")).to_have_attribute("data-number", number)

    # when something that several could be is typed in one go, it waits for eyes
    keys.press("Escape")
    keys.type("n fire Fredrikinkatu 30")
    keys.press("Enter")
    expect(ana.see("command-notice")).to_contain_text("may also be")
    expect(ana.see("command-input")).to_have_value("n fire Fredrikinkatu 30")
    keys.press("Enter")
    expect(ana.see("queue-row").filter(has_text="Fredrikinkatu 30").first).to_be_visible()

    # when a page is pasted it is text, and script is text as well
    page = "<img src=x onerror=alert(1)> " * 340
    keys.insert_text(f"note {page}")
    answered(ana, "ready")
    expect(ana.see("command-echo").locator("img")).to_have_count(0)
    keys.press("Enter")
    expect(ana.see("command-input")).to_have_value("")

    # when help is asked for and what was found is shown
    keys.type("?")
    answered(ana, "ready")
    keys.press("Enter")
    expect(ana.see("help")).to_be_visible()
    expect(ana.see("help-commands")).to_contain_text("send: D 12 A3 A7")
    axe(ana, "help with the typed commands")
    keep(ana, "line-help")
    keys.press("Escape")
    keys.press("Control+k")
    keys.type(f"find {unit}")
    answered(ana, "ready")
    keys.press("Enter")
    expect(ana.see("unit-row", unit=unit)).to_have_attribute("aria-selected", "true")
    keys.type(f"why {number}")
    answered(ana, "ready")
    keys.press("Enter")
    expect(ana.see("command-echo")).to_contain_text("✓ Why these units")
    another = ana.see("queue-row").filter(has_text="Fredrikinkatu 30").first.get_attribute("data-number")
    clear_up(ana, [unit], number, another)


def test_a_unit_is_carried_onto_an_incident_or_both_are_clicked(sit: SitDown, radios: None) -> None:
    # given an incident in the queue and crews on the board
    ana = sit("ana", size=(1920, 1080))
    number = ana.take_call("Unioninkatu 20", "incendiu autovehicul")
    row = ana.see("queue-row", number=number)
    carried, clicked, stopped = idle(ana, 3)

    # when she takes a crew from the board and lets go over nothing, nothing happens
    ana.see("board-filter").fill(stopped)
    drag(ana, ana.see("unit-row", unit=stopped), ana.see("command-echo"))
    ana.page.mouse.up()
    expect(ana.see("carried")).to_have_count(0)
    # and Escape puts it down as well
    drag(ana, ana.see("unit-row", unit=stopped), row)
    expect(ana.see("carried")).to_contain_text(number)
    keep(ana, "line-carried")
    ana.page.keyboard.press("Escape")
    expect(ana.see("carried")).to_have_count(0)
    ana.page.mouse.up()
    assert unit_of(ana, stopped)["incident"] is None

    # when she lets go over the incident, that crew is sent, and the line says what was done
    ana.see("board-filter").fill(carried)
    drag(ana, ana.see("unit-row", unit=carried), row)
    ana.page.mouse.up()
    expect(ana.see("unit-row", unit=carried)).to_have_attribute("data-status", "assigned")
    expect(ana.see("command-echo")).to_contain_text(f"✓ Trimite {carried} → {number}")

    # when she clicks a crew and the incident one after the other, the line offers the same
    ana.see("board-filter").fill(clicked)
    ana.see("unit-row", unit=clicked).click()
    row.click()
    expect(ana.see("command-offer")).to_contain_text(f"{clicked} → {number}")
    keep(ana, "line-offer")
    ana.see("command-offer").click()
    expect(ana.see("unit-row", unit=clicked)).to_have_attribute("data-status", "assigned")

    # when a crew on its way is carried to another incident, the line waits for the reason
    ana.see("board-filter").fill(carried)
    ana.see("unit-row", unit=carried).focus()
    ana.page.keyboard.press("r")
    expect(ana.see("unit-row", unit=carried)).to_have_attribute("data-status", "en_route")
    other = ana.take_call("Kaisaniemenkatu 5", "incendiu autovehicul")
    ana.see("board-filter").fill(carried)
    drag(ana, ana.see("unit-row", unit=carried), ana.see("queue-row", number=other))
    ana.page.mouse.up()
    expect(ana.see("command-input")).to_have_value(f"D {other} {carried} MOTIV ")
    expect(ana.see("command-input")).to_be_focused()
    ana.page.keyboard.type("mai aproape")
    answered(ana, "ready")
    ana.page.keyboard.press("Enter")
    expect(ana.see("assignment", unit=carried)).to_be_visible()

    # when a crew is taken up on the map itself, the crew moves and not the map
    ana.until_map()
    third = ana.take_call("Fredrikinkatu 30", "incendiu autovehicul")
    at = yard(ana)
    centre = ana.page.evaluate("() => straja.view")
    ana.page.mouse.move(*at)
    ana.page.mouse.down()
    ana.page.mouse.move(at[0] + 9, at[1] + 9, steps=3)
    expect(ana.see("carried")).to_be_visible()
    unit = ana.see("carried").inner_text()
    box = ana.see("queue-row", number=third).bounding_box()
    assert box
    ana.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    ana.page.mouse.up()
    expect(ana.see("command-echo")).to_contain_text(re.compile(rf"✓ (Trimite|Solicită) {unit} → {third}"))
    assert ana.page.evaluate("() => straja.view") == centre
    expect(ana.see("command-input")).to_have_value("")
    clear_up(ana, [carried, clicked, unit], number, other, third)


def yard(seat: Seat) -> tuple[float, float]:
    """Where on the page stands a station all of whose crews are ready, away from the map's own buttons."""
    by_yard: dict[tuple[float, float], list[dict[str, Any]]] = {}
    for unit in seat.held()["units"]:
        if unit["base"]:
            by_yard.setdefault((unit["base"]["lon"], unit["base"]["lat"]), []).append(unit)
    box = seat.see("map").bounding_box()
    assert box
    for (lon, lat), units in by_yard.items():
        if all(u["status"] == "available" and not u["request"] and not u["blocked_by"] for u in units):
            x, y = on_screen(seat, lon, lat)
            if (
                box["x"] + 80 < x < box["x"] + box["width"] - 120
                and box["y"] + 80 < y < box["y"] + box["height"] - 90
            ):
                return x, y
    pytest.fail("no yard with ready crews is on the screen")


def test_the_line_is_clean_for_assistive_tools_in_both_looks_and_languages(sit: SitDown) -> None:
    for language, line in (("ro", "t 1 nimeni "), ("en", "d 1 nobody ")):
        ana = sit("ana", language=language)
        expect(ana.see("command-input")).to_be_visible()
        for theme in ("night", "day"):
            ana.page.keyboard.press("Control+k")
            ana.page.keyboard.type(line)
            answered(ana, "wrong")
            expect(ana.see("command-wrong").first).to_be_visible()
            ana.page.keyboard.press("Enter")
            axe(ana, f"a wrong word, {theme}, {language}")
            keep(ana, f"line-{theme}-{language}")
            ana.page.keyboard.press("Escape")
            ana.see("theme").click()
    # whoever only watches has no line
    matei = sit("matei")
    expect(matei.see("unit-row").first).to_be_visible()
    expect(matei.see("command")).to_have_count(0)


# ---- taking back


def by_line(seat: Seat, line: str) -> None:
    """Typed and sent; the keys stay in the empty line."""
    seat.page.keyboard.press("Control+k")
    seat.see("command-input").fill(line)
    answered(seat, "ready")
    seat.page.keyboard.press("Enter")
    expect(seat.see("command-input")).to_have_value("")


def test_an_order_leaves_at_once_and_is_taken_back_while_there_is_time(sit: SitDown, room: Server) -> None:
    # given a fire, two dispatchers, and crews with tablets
    ana, bogdan = sit("ana"), sit("bogdan", language="en")
    ana.page.clock.install()
    first, second = idle(ana, 2)
    tokens = json.loads((room.var / "demo.json").read_text(encoding="utf-8"))["tokens"]
    tablet = {"Authorization": f"Bearer {tokens['crews']}"}

    def crew_says(what: str, body: dict[str, str] | None = None) -> None:
        answer = requests.post(f"{room.url}/api/v1/units/{what}", json=body, headers=tablet, timeout=30)
        assert answer.status_code == 200, answer.text

    number = ana.take_call("Unioninkatu 20", "incendiu autovehicul")
    digits = number.rpartition("-")[2]
    bogdan.see("board-filter").fill(first)
    crew = bogdan.see("unit-row", unit=first)
    foot = ana.page.locator("footer.keys")
    place = foot.bounding_box()

    # when Ana sends a crew, nobody asks her whether she is sure: it is ordered before everybody's eyes
    by_line(ana, f"T {digits} {first}")
    chip = ana.see("undo-chip")
    expect(chip.last).to_contain_text(f"Anulează {first} → {number}")
    expect(chip.last).to_contain_text(" s")
    expect(crew).to_have_attribute("data-status", "assigned")
    keep(ana, "undo-offered")
    axe(ana, "an order that can be taken back, night, ro")

    # when she sees that it is the wrong one and takes it back by key
    ana.page.keyboard.press("Control+z")

    # then it is as it was, and both consoles show who has still to acknowledge that
    expect(crew).to_have_attribute("data-status", "available")
    expect(ana.see("undo-said")).to_contain_text(f"Echipajul {first} trebuie să confirme")
    expect(ana.see("unheard-unit", unit=first)).to_contain_text("anulat, neconfirmat")
    expect(bogdan.see("unheard-unit", unit=first)).to_contain_text("cancelled, unacknowledged")
    assert foot.bounding_box() == place, "nothing may move under a hand"
    ana.see("theme").click()
    axe(ana, "a cancelling that is unacknowledged, day, ro")
    axe(bogdan, "a cancelling that is unacknowledged, night, en")
    keep(ana, "undo-unheard-day")
    keep(bogdan, "undo-unheard")

    # when its tablet acknowledges, nobody waits for it any more
    crew_says(f"{first}/cancelled/acknowledge")
    for seat in (ana, bogdan):
        expect(seat.see("unheard")).to_have_count(0)

    # when another order is cancelled by a click, and that crew says by radio that it has heard
    by_line(ana, f"T {digits} {second}")
    ana.see("undo-chip").filter(has_text=second).click()
    bogdan.see(f"heard-{second}").click()
    for seat in (ana, bogdan):
        expect(seat.see("unheard")).to_have_count(0)

    # when a crew is there before she presses, she reads that it must be recalled
    by_line(ana, f"T {digits} {first}")
    mine = ana.see("undo-chip").filter(has_text=first)
    expect(mine).to_be_visible()
    for status in ("en_route", "on_scene"):
        crew_says(f"{first}/status", {"status": status})
    expect(crew).to_have_attribute("data-status", "on_scene")
    mine.click()
    expect(ana.see("undo-said")).to_contain_text(f"{first} este deja la incidentul {number}: rechemați")
    expect(crew).to_have_attribute("data-status", "on_scene")

    # when the time is over, the key says so and takes nothing back
    by_line(ana, f"T {digits} {second}")
    expect(ana.see("undo-chip").filter(has_text=second)).to_be_visible()
    ana.page.clock.fast_forward(UNDO_S * 1000)
    expect(ana.see("undo-chip").filter(has_text=second)).to_have_count(0)
    ana.page.keyboard.press("Control+z")
    expect(ana.see("undo-said")).to_contain_text("Prea târziu pentru anulare")
    keep(ana, "undo-late")
    bogdan.see("board-filter").fill(second)
    expect(bogdan.see("unit-row", unit=second)).to_have_attribute("data-status", "assigned")

    # then there is the recall
    clear_up(bogdan, [first, second], number)
