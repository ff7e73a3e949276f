"""Stories of the queue, the board and the sounds: nothing that waits goes out of sight or hearing."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from playwright.sync_api import Page, expect

from tests.web.conftest import ROOT, Seat, Server, SitDown
from tests.web.test_console import axe_in_every_dress

pytestmark = pytest.mark.web

EAR = """
() => {
  // What reaches the loudspeaker is listened to on its way: the program plays as it does for people.
  const connect = AudioNode.prototype.connect;
  window.ear = { loud: () => 0 };
  AudioNode.prototype.connect = function (to, ...more) {
    if (to instanceof AudioDestinationNode) {
      const hears = this.context.createAnalyser();
      hears.fftSize = 32768;
      connect.call(this, hears);
      const samples = new Float32Array(hears.fftSize);
      window.ear.loud = () => {
        hears.getFloatTimeDomainData(samples);
        return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
      };
    }
    return connect.call(this, to, ...more);
  };
}
"""


def token_of(server: Server, name: str) -> dict[str, str]:
    tokens = json.loads((server.var / "demo.json").read_text(encoding="utf-8"))["tokens"]
    return {"Authorization": f"Bearer {tokens[name]}"}


@pytest.fixture(scope="module")
def room(
    start_server: Callable[..., Server], built_console: Path, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """A server whose pack lets a crew that waits be silent for ten seconds, not for a quarter of an hour."""
    pack = yaml.safe_load((ROOT / "packs" / "ro.yaml").read_text(encoding="utf-8"))
    pack["statuses"]["available"]["silent_s"] = 10
    path = tmp_path_factory.mktemp("pack") / "impatient.yaml"
    path.write_text(yaml.safe_dump(pack, allow_unicode=True), encoding="utf-8")
    return start_server(STRAJA_PACK=str(path))


@pytest.fixture
def telephone(room: Server) -> Callable[..., str]:
    """A call that another centre passes on: telephone(type, seconds_ago) answers the incident's id."""
    who = token_of(room, "calls")

    def ring(type_code: str = "F01", seconds_ago: float = 0, place: int = 0, **more: Any) -> str:
        seen = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        body = {
            "id": str(uuid.uuid4()),
            "type": type_code,
            "location": {"lon": 24.9414 + place * 1e-4, "lat": 60.1712},
            "observed_at": seen.isoformat(timespec="milliseconds"),
            **more,
        }
        answer = requests.post(f"{room.url}/api/v1/incidents", json=body, headers=who, timeout=30)
        assert answer.status_code == 201, answer.text
        return str(body["id"])

    return ring


def hears(page: Page) -> None:
    """Waits until something is loud at the loudspeaker."""
    page.wait_for_function("() => window.ear.loud() > 0.02")


def colleague(room: Server, path: str, body: dict[str, Any]) -> requests.Response:
    """Somebody at another console does something."""
    answer = requests.post(
        f"{room.url}/api/v1{path}", json=body, headers=token_of(room, "colleague"), timeout=30
    )
    assert answer.status_code < 300, answer.text
    return answer


def own_crews(seat: Seat) -> list[str]:
    """Crews of the city that can be ordered now."""
    return [u["id"] for u in seat.held()["units"] if u["command"] == "owned" and u["status"] == "available"]


# ---- what sounds


def test_the_shift_is_begun_with_a_test_of_the_loudspeaker_and_what_sounds_is_also_seen(
    sit: SitDown, room: Server, telephone: Callable[..., str]
) -> None:
    # given Ana, who has begun no shift at this console yet: it asks her to, in the colour of warnings
    ana = sit("ana")
    ana.context.add_init_script(f"({EAR})()")
    ana.page.reload()
    ana.until_live()
    expect(ana.see("sound", tested="")).to_contain_text("Începe tura")

    # when a life-threatening call comes meanwhile, it is seen, whether or not it can be heard
    first = telephone("F01", seconds_ago=60)
    expect(ana.see("alert")).to_be_visible()

    # when she begins her shift, the three sounds are played in turn
    ana.see("sound").click()
    dialog = ana.see("sound-test")
    for meaning in ("Echipaj în pericol", "Viață în pericol", "nu l-a preluat nimeni"):
        expect(dialog.locator("li[data-playing]")).to_contain_text(meaning)
        hears(ana.page)
    axe_in_every_dress(ana, "test of the loudspeaker", ("ro",))

    # and whoever does not hear them is told what to do, and stays warned until they are heard
    ana.see("sound-not-heard").click()
    expect(ana.see("sound-advice")).to_contain_text("Verificați casca")
    ana.page.keyboard.press("Escape")
    expect(ana.see("sound")).to_contain_text("nu se aude")
    ana.see("language-en").click()
    ana.see("sound").click()
    expect(dialog).to_contain_text("Do you hear all three?")
    axe_in_every_dress(ana, "test of the loudspeaker", ("en",))
    ana.see("sound-heard").click()
    ana.see("language-ro").click()
    expect(dialog).to_have_count(0)
    expect(ana.see("sound", tested="heard")).to_be_visible()

    # then the call that nobody takes over goes on sounding, and the bar says which and for how long
    expect(ana.see("alert", alert="waiting")).to_contain_text(re.compile(r"nepreluat de \d+:\d\d"))
    hears(ana.page)

    # when she presses F9, it is quiet for a minute, and what waits stays in sight
    ana.page.keyboard.press("F9")
    expect(ana.see("silenced")).to_contain_text("Tăcere")
    ana.page.wait_for_function("() => window.ear.loud() === 0")
    expect(ana.see("alert", alert="waiting")).to_be_visible()

    # but a crew that calls for help is heard all the same
    crew = own_crews(ana)[0]
    colleague(room, f"/units/{crew}/flags", {"flag": "emergency", "on": True})
    expect(ana.see("alert", alert="danger")).to_contain_text(crew)
    expect(ana.see("silenced")).to_have_count(0)
    hears(ana.page)
    axe_in_every_dress(ana, "a crew in danger, sounding")

    # when she has looked at it, what waits sounds again; nothing does once that is taken over
    ana.see("danger-row", unit=crew).get_by_test_id("danger-show").click()
    expect(ana.see("alert", alert="waiting")).to_be_visible()
    colleague(room, f"/incidents/{first}/acknowledge", {})
    expect(ana.see("alert")).to_have_count(0)
    colleague(room, f"/units/{crew}/flags", {"flag": "emergency", "on": False})
    expect(ana.see("danger-row")).to_have_count(0)


# ---- the queue


def test_nothing_that_waits_for_somebody_scrolls_out_of_sight(
    sit: SitDown, room: Server, telephone: Callable[..., str]
) -> None:
    # given many calls that were taken over, to which nobody was sent, and two that nobody has taken over
    bogdan = sit("bogdan", size=(1600, 800))
    taken = [telephone("F05", seconds_ago=400 - i, place=i) for i in range(12)]
    for one in taken:
        colleague(room, f"/incidents/{one}/acknowledge", {})
    waiting = [telephone("F01", seconds_ago=30), telephone("F05", seconds_ago=10)]

    # then those stand on top, by priority, then the others by priority and age
    rows = bogdan.see("queue-row")
    for one in waiting:
        expect(bogdan.see("queue-row", incident=one, wait="unacknowledged")).to_be_visible()
    order = rows.evaluate_all("(all) => all.map((row) => row.dataset.incident)")
    assert [one for one in order if one in {*waiting, *taken}][:2] == waiting
    assert [one for one in order if one in taken] == taken

    # when he goes down to the last, they are still in sight, and nothing covers the row that has the focus
    rows.first.focus()
    bogdan.page.keyboard.press("End")
    last = rows.last
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport(ratio=0.9)
    for one in waiting:
        expect(bogdan.see("queue-row", incident=one)).to_be_in_viewport(ratio=0.9)
    # and what is above says how many there are, and that nobody was sent to any of them
    above = bogdan.see("queue").get_by_test_id("beyond-above")
    expect(above).to_contain_text("mai sus · de rezolvat:")
    hidden = int(above.get_attribute("data-n") or 0)
    assert 0 < hidden < len(taken)
    assert above.get_attribute("data-act") == str(hidden)

    # when he follows that, the nearest of them is in sight and chosen
    above.click()
    chosen = bogdan.page.locator('[data-testid="queue-row"][aria-selected="true"]')
    expect(chosen).to_be_focused()
    expect(chosen).to_have_attribute("data-wait", re.compile("nobody|late"))
    expect(chosen).to_be_in_viewport(ratio=0.9)
    box, pinned = chosen.bounding_box(), bogdan.see("queue-row", incident=waiting[1]).bounding_box()
    assert box
    assert pinned
    assert box["y"] >= pinned["y"] + pinned["height"] - 1, "it is not under those that are pinned"
    axe_in_every_dress(bogdan, "a long queue")


# ---- the board


def test_a_crew_overdue_or_unheard_is_ringed_and_never_lost_from_sight(sit: SitDown, room: Server) -> None:
    # given a crew that said when it would be ready, and another whose radio has fallen silent
    ana = sit("ana", size=(1600, 900))
    late, silent = own_crews(ana)[-2:]
    soon = datetime.now(UTC) - timedelta(seconds=5)
    body = {"status": "recovering", "force": True, "reason": "alimentare", "ready_at": soon.isoformat()}
    colleague(room, f"/units/{late}/status", body)
    long_ago = datetime.now(UTC) - timedelta(minutes=40)
    fix = {"unit": silent, "lon": 24.9414, "lat": 60.1712, "observed_at": long_ago.isoformat()}
    crews = token_of(room, "crews")
    assert requests.post(f"{room.url}/api/v1/positions", json=[fix], headers=crews, timeout=30).ok

    # when Ana looks for something else, the board says that the filter hides them, and takes her back
    ana.see("board-filter").fill("nobody is called so")
    expect(ana.see("board-left-out")).to_be_visible()
    ana.see("board-left-out").click()
    expect(ana.see("board-filter")).to_have_value("")

    # and whichever lies out of sight is counted and one press away
    ana.see("unit-row").first.focus()
    ana.page.keyboard.press("Home")
    below = ana.see("board").get_by_test_id("beyond-below")
    expect(below).to_contain_text("de rezolvat")
    below.click()
    expect(ana.page.locator('[data-testid="unit-row"]:focus')).to_have_attribute(
        "data-unit", re.compile(f"{late}|{silent}")
    )
    ana.see("board-filter").fill(late)
    expect(ana.see("unit-row", unit=late, late="true")).to_be_visible()
    ana.see("board-filter").fill(silent)
    row = ana.see("unit-row", unit=silent, silent="true")
    expect(row).to_contain_text("fără legătură")
    expect(row.locator("svg")).to_have_attribute("data-fill", "stale")

    # when she asks for its history with one key, its card says what it can and what it did; Esc goes back
    row.focus()
    ana.page.keyboard.press("h")
    card = ana.see("unit-card", unit=silent)
    expect(card).to_contain_text("fără legătură de")
    expect(ana.see("unit-skills")).not_to_be_empty()
    expect(ana.see("unit-history").locator("li").first).to_contain_text("disponibil")
    axe_in_every_dress(ana, "the history of a crew")
    ana.page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(row).to_be_focused()
    # and the board finds crews by what they can do
    ana.see("board-filter").fill("patrula locala")
    expect(ana.see("unit-row").first).to_be_visible()


# ---- the same crew, twice


def test_of_two_dispatchers_in_the_same_second_one_sends_and_the_other_gets_the_next_best(
    sit: SitDown, room: Server
) -> None:
    # given two dispatchers, each before a quarrel in the street, with the same crew on top of the list
    ana, bogdan = sit("ana"), sit("bogdan")
    numbers = [seat.take_call("Aleksanterinkatu 46", "tulburarea", "Ceartă") for seat in (ana, bogdan)]
    unit = ana.see("candidate", chosen="true").first.get_attribute("data-unit")
    expect(bogdan.see("candidate", chosen="true").first).to_have_attribute("data-unit", str(unit))

    # when both press at the same moment
    moment_ms = int(datetime.now(UTC).timestamp() * 1000) + 1500
    for seat in (ana, bogdan):
        seat.page.evaluate(
            "([button, at]) => { setTimeout(() => document.querySelector(button).click(), at - Date.now()) }",
            [f'[data-testid="send-{unit}"]', moment_ms],
        )
    results = [seat.see("send-result") for seat in (ana, bogdan)]
    for result in results:
        expect(result).to_contain_text(re.compile("Trimis|a fost luat"))

    # then one of them sent it, and the other reads by whom it was taken, and who comes instead
    won = ["Trimis" in (result.text_content() or "") for result in results]
    assert sorted(won) == [False, True]
    loser, winner = (bogdan, "ana") if won[0] else (ana, "bogdan")
    said = loser.see("send-result")
    expect(said).to_contain_text(re.compile(rf"{unit} a fost luat de {winner} acum \d+ s"))
    expect(said).to_contain_text(numbers[0 if won[0] else 1])
    expect(said).to_contain_text("În loc:")
    following = loser.see("candidate", chosen="true").first.get_attribute("data-unit")
    assert following
    assert following != unit
    expect(said).to_contain_text(following)

    # and one press sends that one
    loser.page.keyboard.press("Escape")
    loser.see("candidate", chosen="true").first.locator("button.stage").focus()
    loser.page.keyboard.press("Enter")
    expect(loser.see("send-result")).to_contain_text(following)
    expect(loser.see("send-result")).to_contain_text(re.compile("Trimis|Solicitat|cerut", re.IGNORECASE))


# ---- what is wrong with the system


def test_alarms_of_the_system_are_dealt_with_by_keyboard_and_seen_by_all(sit: SitDown, room: Server) -> None:
    # given a gateway that tells of three lamps on one feeder, and of one thing of a kind of its own
    gateway = token_of(room, "crews")
    mark = uuid.uuid4().hex[:6]

    def says(alarm: str, on: bool = True, **more: Any) -> str:
        body = {"id": f"{alarm}-{mark}", "on": on, **more}
        answer = requests.post(f"{room.url}/api/v1/alarms", json=body, headers=gateway, timeout=30)
        assert answer.status_code == 201, answer.text
        return str(body["id"])

    lamp = {"kind": "device_fault", "group": f"feeder-{mark}"}
    lamps = [says(f"lamp{n}", detail=f"L{n}", **lamp) for n in range(3)]
    own = {"title": "<b>Pompa 2 stă</b>", "means": "Pasajul se inundă.", "todo": "Închideți pasajul."}
    pump = says("pump", kind="pump_stopped", priority="high", **own)
    ana, sorina = sit("ana"), sit("sorina")
    expect(ana.see("alarm-chip", worst="high")).to_contain_text("alarme")

    # when Ana asks for them with one key, the urgent one has the focus and says what to do, as text
    ana.page.keyboard.press("Alt+a")
    row = ana.see("alarm-row", alarm=pump)
    expect(row).to_be_focused()
    expect(row).to_contain_text("<b>Pompa 2 stă</b>")
    ana.page.keyboard.press("Enter")
    expect(ana.see("alarm", alarm=pump)).to_contain_text("Închideți pasajul.")
    axe_in_every_dress(ana, "alarms")
    if ana.see("alarm-panel").count() == 0:
        ana.page.keyboard.press("Alt+a")
    expect(row).to_be_visible()

    # and acknowledges it, every console sees by whom
    if ana.see("alarm", alarm=pump).locator(".more").count() == 0:
        row.click()
    axe_in_every_dress(ana, "one alarm", ("ro",))
    row.focus()
    ana.page.keyboard.press("a")
    expect(ana.see("alarm", alarm=pump, state="acknowledged")).to_be_visible()
    sorina.see("alarm-chip").click()
    sorina.see("alarm-row", alarm=pump).click()
    expect(sorina.see("alarm", alarm=pump, state="acknowledged")).to_contain_text("preluată de ana")

    # when she puts one lamp aside and acknowledges the other two together, it waits below until its time
    ana.see("alarm-row", alarm=lamps[0]).focus()
    ana.page.keyboard.press("s")
    shelved = ana.see("alarm-aside").locator(f'[data-alarm="{lamps[0]}"][data-state="shelved"]')
    expect(shelved).to_be_visible()
    ana.see("alarm-acknowledge-all", group=f"feeder-{mark}").click()
    for one in lamps[1:]:
        expect(ana.see("alarm", alarm=one, state="acknowledged")).to_be_visible()
    # and a supervisor takes it out of service, with the reason
    sorina.see("alarm-row", alarm=lamps[0]).click()
    sorina.see("alarm", alarm=lamps[0]).get_by_test_id("alarm-reason").fill("se schimbă lampa")
    sorina.see("alarm", alarm=lamps[0]).get_by_test_id("alarm-take-out").click()
    expect(ana.see("alarm", alarm=lamps[0], state="out_of_service")).to_be_visible()

    # when too many come at once, the top bar says so, and the foot of the list who cries most
    for _ in range(3):
        says("lamp9", detail="L9", **lamp)
        says("lamp9", on=False)
    flood = [says(f"flood{n}", detail=f"F{n}", **lamp) for n in range(11)]
    expect(ana.see("alarm-flood")).to_contain_text("Val de alarme")
    ana.page.keyboard.press("Escape")
    expect(ana.see("alarm-panel")).to_have_count(0)
    expect(ana.see("alarm-chip")).to_be_focused()
    ana.page.keyboard.press("Alt+a")
    expect(ana.see("alarm-bad-actors")).to_contain_text("lamp9")
    expect(ana.see("alarm-figures")).to_be_visible()

    # when all is mended and seen, none is left
    for one in [*lamps, pump, *flood]:
        says(one.removesuffix(f"-{mark}"), on=False)
    ana.see("alarm-acknowledge-all", group=f"feeder-{mark}").click()
    for one in [*lamps[1:], pump, *flood]:
        expect(ana.see("alarm", alarm=one)).to_have_count(0)
