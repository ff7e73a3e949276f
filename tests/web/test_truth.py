"""Stories of a console that is honest about its link: what it says while the link is gone, what it keeps, and
what its own clock may do to it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.web.conftest import Seat, Server, SitDown
from tests.web.test_console import axe

pytestmark = pytest.mark.web

CLOCK = """
(() => {
  const True = Date;
  window.off_ms = OFF;
  window.Date = class extends True {
    constructor(...given) { given.length ? super(...given) : super(True.now() + window.off_ms); }
    static now() { return True.now() + window.off_ms; }
  };
})()
"""


class Cable:
    """A cable between a console and the server, that can be pulled out and put in again."""

    def __init__(self, server: Server) -> None:
        self.var: Path = server.var
        self.demo = server.demo
        there = urlsplit(server.url)
        self._there = (there.hostname or "127.0.0.1", there.port or 80)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self._in = True
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def start(self, *parts: str) -> None: ...

    def kill(self, part: str) -> None: ...

    def pull(self) -> None:
        self._in = False
        lines, self._lines = self._lines, []
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def put_in(self) -> None:
        self._in = True

    def close(self) -> None:
        self._door.close()
        self.pull()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            if not self._in:
                near.close()
                continue
            far = socket.create_connection(self._there)
            self._lines += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while said := one.recv(65_536):
                other.sendall(said)
        for line in (one, other):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()


@pytest.fixture
def cable(room: Server) -> Iterator[Cable]:
    made = Cable(room)
    yield made
    made.close()


def idle_units(seat: Seat, n: int) -> list[str]:
    """Units that are free, and that nobody in these stories has touched."""
    free = [u["id"] for u in seat.held()["units"] if u["status"] == "available" and u["incident"] is None]
    assert len(free) >= n
    return free[-n:]


def press(seat: Seat, unit: str, key: str) -> None:
    """A status by one key on the board."""
    seat.see("board-filter").fill(unit)
    row = seat.see("unit-row", unit=unit)
    row.focus()
    seat.page.keyboard.press(key)


def recorded(seat: Seat, unit: str) -> list[dict[str, Any]]:
    """The statuses of a unit, as the log has them."""
    facts: list[dict[str, Any]] = seat.page.evaluate(
        """async () => {
          const all = [];
          for (let after = ''; ; ) {
            const answer = await fetch(`/api/v1/events?limit=1000${after && '&after=' + after}`);
            const page = await answer.json();
            all.push(...page);
            after = encodeURIComponent(answer.headers.get('Straja-Cursor'));
            if (!page.length) return all;
          }
        }"""
    )
    return [x for x in facts if x["type"] == "UnitStatusReported" and f"unit:{unit}" in x["subjects"]]


def test_what_is_decided_without_a_link_is_kept_and_arrives_once_with_its_time(
    sit: SitDown, cable: Cable
) -> None:
    # given Ana with an open call and the radio, when her cable is pulled out
    ana, bogdan = sit("ana", at=cable), sit("bogdan", language="en")
    number = ana.take_call("Unioninkatu 29", "copac", "Creangă pe trotuar")
    out, taken = idle_units(ana, 2)
    expect(ana.page.locator(".top .link")).to_have_attribute("title", re.compile(r"jurnal și înapoi: \d+ ms"))
    cable.pull()
    banner = ana.see("truth-banner")
    expect(banner).to_contain_text(re.compile(r"Fără legătură din \d\d:\d\d:\d\d"))
    expect(banner).to_contain_text(
        re.compile(r"Merg: harta, coada și echipajele așa cum erau la \d\d:\d\d:\d\d")
    )
    expect(banner).to_contain_text("NU merg: apelurile noi de la alții")
    expect(banner).to_contain_text("Folosiți stația radio")
    # when crews tell her things by radio and she puts them down as ever
    press(ana, out, "o")
    ana.see("status-reason").fill("pană de cauciuc")
    ana.page.keyboard.press("Enter")
    expect(ana.see("unsent")).to_have_text("→O")
    decided = datetime.now(UTC)
    ana.see("board-filter").fill(taken)
    ana.see("unit-row", unit=taken).focus()
    ana.page.keyboard.press("Enter")
    ana.see("status-other").click()
    ana.see("set-recovering").click()
    ana.see("status-reason").fill("se alimentează")
    ana.page.keyboard.press("Enter")
    ana.see("note").fill("Proprietarul a fost anunțat <b>de vecin</b>")
    ana.see("add-note").click()
    expect(ana.see("outbox", waiting="3")).to_contain_text("3 stări și note așteaptă să plece")
    ana.see("outbox").get_by_role("button", name="Care?").click()
    expect(ana.see("kept").first).to_contain_text(out)
    expect(ana.see("kept").last).to_contain_text("<b>de vecin</b>")
    axe(ana, "no link, by night")
    ana.see("theme").click()
    axe(ana, "no link, by day")
    # and Bogdan, whose link stands, sees none of it and gives the second one something else meanwhile
    expect(bogdan.see("truth-banner")).to_have_count(0)
    assert {u["id"]: u["status"] for u in bogdan.held()["units"]}[out] == "available"
    press(bogdan, taken, "o")
    bogdan.see("status-reason").fill("crew change")
    bogdan.page.keyboard.press("Enter")
    expect(bogdan.see("unit-row", unit=taken)).to_have_attribute("data-status", "out_of_service")
    cable.put_in()
    # then it leaves by itself, is recorded once, as of when it was decided; what came later stays
    expect(banner).to_have_count(0)
    expect(ana.see("outbox")).to_have_count(0)
    bogdan.see("board-filter").fill(out)
    expect(bogdan.see("unit-row", unit=out)).to_have_attribute("data-status", "out_of_service")
    bogdan.see("queue-row", number=number).click()
    expect(bogdan.see("incident-card")).to_contain_text("<b>de vecin</b>")
    (fact,) = [f for f in recorded(bogdan, out) if f["data"]["status"] == "out_of_service"]
    when = datetime.fromisoformat(fact["observed_at"])
    assert abs(when - decided) < timedelta(seconds=30)
    assert datetime.fromisoformat(fact["recorded_at"]) > when
    late = [f["data"]["late"] for f in recorded(bogdan, taken) if f["data"]["status"] == "recovering"]
    assert late in ([True], [False]), "recorded once"


def test_a_link_that_breaks_every_three_seconds_loses_and_doubles_nothing(sit: SitDown, cable: Cable) -> None:
    ana, bogdan = sit("ana", language="en", at=cable), sit("bogdan")
    unit, other = idle_units(ana, 2)
    enough = threading.Event()

    def flap() -> None:
        # One and a half seconds out, one and a half in.
        while not enough.wait(1.5):
            cable.pull()
            enough.wait(1.5)
            cable.put_in()

    flapping = threading.Thread(target=flap)
    flapping.start()
    try:
        # when the link flaps, then one banner stays and says so, rather than one that comes and goes
        banner = ana.see("truth-banner", kind="shaky")
        expect(banner).to_contain_text("The link breaks again and again")
        for key, wanted in (("o", "out_of_service"), ("a", "available"), ("o", "out_of_service")):
            expect(ana.see("unit-row", unit=unit).or_(ana.see("board-filter")).first).to_be_visible()
            press(ana, unit, key)
            if key == "o":
                ana.see("status-reason").fill("flapping")
                ana.page.keyboard.press("Enter")
            bogdan.see("board-filter").fill(unit)
            expect(bogdan.see("unit-row", unit=unit)).to_have_attribute("data-status", wanted)
            expect(ana.see("unit-row", unit=unit)).to_have_attribute("data-status", wanted)
        press(bogdan, other, "o")
        bogdan.see("status-reason").fill("seen meanwhile")
        bogdan.page.keyboard.press("Enter")
        ana.see("board-filter").fill(other)
        expect(ana.see("unit-row", unit=other)).to_have_attribute("data-status", "out_of_service")
    finally:
        enough.set()
        flapping.join()
        cable.put_in()
    # then each was recorded once, in its order, and both boards agree
    ana.until_live()
    expect(ana.see("outbox")).to_have_count(0)
    expect(ana.see("refused")).to_have_count(0)
    pressed = [f["data"]["status"] for f in recorded(bogdan, unit) if f["actor"] == "dispatcher:ana"]
    assert pressed == ["out_of_service", "available", "out_of_service"]
    assert {u["id"]: u["status"] for u in ana.held()["units"]} == {
        u["id"]: u["status"] for u in bogdan.held()["units"]
    }


def off_screen_s(seat: Seat) -> float:
    """By how much the time on the screen is not the server's, in seconds."""
    found = re.search(r"(\d\d):(\d\d):(\d\d)Z", seat.page.locator(".clock").text_content() or "")
    assert found
    shown = sum(int(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True))
    now = datetime.now(UTC)
    day = 86_400
    return abs((now.hour * 3600 + now.minute * 60 + now.second - shown + day / 2) % day - day / 2)


@pytest.mark.parametrize("off_s", [600, -600])
def test_a_console_whose_clock_is_ten_minutes_wrong_shows_the_servers(
    sit: SitDown, off_s: int, cable: Cable
) -> None:
    # given a computer whose clock is wrong from the beginning
    ana = sit(None, at=cable)
    ana.page.add_init_script(CLOCK.replace("OFF", str(off_s * 1000)))
    ana.page.reload()
    ana.see("demo-ana").click()
    ana.until_live()
    # then she is told, and every time on the screen is the server's
    expect(ana.see("clock-wrong")).to_contain_text("10 min înainte" if off_s > 0 else "10 min în urmă")
    assert off_screen_s(ana) < 5
    number = ana.take_call("Unioninkatu 29", "copac", "Creangă pe trotuar")
    expect(ana.see("queue-row", number=number)).to_contain_text(re.compile(r"\b0:\d\d\b"))
    # and so are the times of what waits for the link
    (unit,) = idle_units(ana, 1)
    cable.pull()
    expect(ana.see("truth-banner")).to_be_visible()
    press(ana, unit, "o")
    ana.see("status-reason").fill("ceas greșit")
    ana.page.keyboard.press("Enter")
    expect(ana.see("unsent")).to_be_visible()
    decided = datetime.now(UTC)
    cable.put_in()
    expect(ana.see("outbox")).to_have_count(0)
    fact = recorded(ana, unit)[-1]
    assert fact["data"]["status"] == "out_of_service"
    assert abs(datetime.fromisoformat(fact["observed_at"]) - decided) < timedelta(seconds=20)
    # when somebody sets the clock right while she works, nothing is lost and nothing looks old
    ana.page.evaluate("() => { window.off_ms = 0; }")
    expect(ana.see("clock-wrong")).to_have_count(0)
    ana.until_live()
    assert off_screen_s(ana) < 5
    press(ana, unit, "a")
    expect(ana.see("unit-row", unit=unit)).to_have_attribute("data-status", "available")


def test_a_status_that_the_server_will_not_have_comes_back_to_who_set_it(sit: SitDown, cable: Cable) -> None:
    # given a status that waits, and a login that may not set it any more when the link is back
    ana = sit("ana", language="en", at=cable)
    unit, _ = idle_units(ana, 2)
    cable.pull()
    expect(ana.see("truth-banner")).to_be_visible()
    press(ana, unit, "r")
    if ana.see("unsent").count() == 0:
        # Available crews go out by an order alone: so the long way, as a dispatcher who was told by radio.
        ana.page.keyboard.press("Enter")
        ana.see("status-other").click()
        ana.see("set-en_route").click()
        ana.see("status-reason").fill("told by radio")
        ana.page.keyboard.press("Enter")
    expect(ana.see("unsent")).to_be_visible()

    def refuse(route: Any) -> None:
        body = {"title": "It conflicts", "status": 409, "code": "status-not-next", "detail": "Not from here."}
        route.fulfill(status=409, json=body, content_type="application/problem+json")

    ana.page.route("**/units/*/status", refuse)
    cable.put_in()
    # then it is shown with the reason until she has seen it, and sent no more
    refused = ana.see("refused")
    expect(refused).to_contain_text("did not take")
    expect(refused).to_contain_text(unit)
    axe(ana, "a refused status")
    expect(ana.see("outbox")).to_have_count(0)
    refused.get_by_role("button", name="Seen").click()
    expect(refused).to_have_count(0)
