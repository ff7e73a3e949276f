"""The database goes away beneath a dispatcher who is taking a call, and comes back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Browser, Request, expect

if TYPE_CHECKING:
    from tests.conftest import PostgreSQL, Server
    from tests.web.conftest import SitDown


def test_a_call_typed_while_nothing_can_be_recorded_is_kept_and_arrives_once(
    sit: SitDown, browser: Browser, start_server: Callable[..., Server], own_postgresql: PostgreSQL
) -> None:
    server = start_server(own_postgresql.url(own_postgresql.fresh()))
    ana = sit("ana", at=server)
    bodies: list[Any] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/incidents"):
            bodies.append(request.post_data_json)

    ana.page.on("request", note)
    # given Ana in the middle of a call when the database is gone
    ana.page.keyboard.press("F2")
    ana.page.keyboard.type("Kaisaniemenkatu 5")
    expect(ana.page.locator("#call-address-0")).to_contain_text("Kaisaniemenkatu 5")
    ana.page.keyboard.press("Enter")
    own_postgresql.stop()
    try:
        # then her console says since when, what her picture is worth, and that her words are kept
        banner = ana.see("trouble-banner")
        expect(banner).to_contain_text(re.compile(r"Din \d\d:\d\d:\d\d NU se poate înregistra nimic"))
        expect(banner).to_contain_text(re.compile(r"vedeți situația de la \d\d:\d\d:\d\d"))
        expect(banner).to_contain_text("Fișa de apel păstrează ce ați scris")
        # and she can go on typing, and send: the form says that it is not sent, and keeps trying
        ana.see("call-type").fill("F01")
        ana.page.keyboard.press("Enter")
        ana.see("call-description").fill("Fum negru la etajul 2")
        ana.page.keyboard.press("Control+Enter")
        expect(ana.see("call-retrying")).to_contain_text("NETRIMIS")
        # Bogdan, who opens a console only now, reads why it does not open
        late = browser.new_page(locale="ro-RO")
        late.goto(server.url)
        expect(late.get_by_test_id("waiting")).to_contain_text("baza lui de date nu răspunde")
    finally:
        own_postgresql.start()
    # when the database is back, the call arrives by itself, once, and the banner goes away
    expect(ana.see("incident-card")).to_contain_text("Kaisaniemenkatu 5")
    expect(ana.see("incident-card")).to_contain_text("Fum negru la etajul 2")
    expect(banner).to_have_count(0)
    ana.until_live()
    assert len(bodies) >= 2, "the call was tried only once"
    assert all(body == bodies[0] for body in bodies), "a retry changed the call"
    same = [row for row in ana.held()["incidents"] if row["address"] == "Kaisaniemenkatu 5"]
    assert [row["id"] for row in same] == [bodies[0]["id"]]
    # and Bogdan's page leads to the login
    expect(late.get_by_test_id("login")).to_be_visible()
    late.close()
    server.stop()
