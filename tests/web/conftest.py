"""Dispatchers at real consoles: one server for each file, a real Chromium, a seat for each person."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 45_000
"""A software-drawn map on a loaded machine may need many seconds; every wait is for a state, not for time."""
UNDO_S = 30
"""For how long anything can be taken back here: more than every day's 8 s, for machines that are busy."""
CHROMIUM = [
    "--no-sandbox",
    # WebGL in software; all else is drawn without it, which takes a twentieth of the processor.
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--autoplay-policy=document-user-activation-required",
]

expect.set_options(timeout=PATIENCE_MS)


class Server(Protocol):
    url: str
    var: Path
    demo: list[dict[str, str]]

    def start(self, *parts: str) -> None: ...
    def kill(self, part: str) -> None: ...


@dataclass
class Seat:
    """One person at one console. `faults` collects what no console may do: page errors, outside requests."""

    page: Page
    context: BrowserContext
    url: str
    faults: list[str] = field(default_factory=list)

    def see(self, testid: str, **attributes: str) -> Locator:
        """The elements with this test id, and with these data attributes."""
        wanted = "".join(f'[data-{name}="{value}"]' for name, value in attributes.items())
        return self.page.locator(f'[data-testid="{testid}"]{wanted}')

    def until_live(self) -> None:
        expect(self.see("console", live="true")).to_be_visible()

    def until_map(self) -> None:
        expect(self.see("map", ready="true")).to_be_visible()

    def held(self) -> dict[str, Any]:
        """What the console holds: cursor, incidents, units, positionsSeen."""
        held: dict[str, Any] = self.page.evaluate(
            "() => ({cursor: straja.cursor, incidents: straja.incidents, units: straja.units,"
            " positionsSeen: straja.positionsSeen})"
        )
        return held

    def take_call(self, address: str, type_words: str, description: str = "") -> str:
        """Take a call with the keyboard alone, as a dispatcher does; returns the incident's number."""
        keys = self.page.keyboard
        keys.press("F2")
        expect(self.see("call-address")).to_be_focused()
        keys.type(address)
        first = self.page.locator("#call-address-0")
        expect(first).to_contain_text(address)
        keys.press("Enter")
        expect(self.see("call-address")).to_have_value(address)
        self.see("call-type").focus()
        keys.type(type_words)
        expect(self.page.locator("#call-type-0")).to_be_visible()
        keys.press("Enter")
        self.see("call-description").fill(description)
        keys.press("Control+Enter")
        expect(self.see("call-form")).to_have_count(0)
        number = self.see("incident-card").get_attribute("data-number")
        assert number
        return number


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def built_console() -> Path:
    page = ROOT / "app" / "static" / "console" / "index.html"
    if not page.is_file():
        pytest.fail("the console is not built: run ./straja build-console")
    return page


@pytest.fixture(scope="module")
def room(start_server: Callable[..., Server], built_console: Path) -> Server:
    """The server of a file's stories: they send its crews out and do not call them back."""
    return start_server(STRAJA_UNDO_S=str(UNDO_S))


@pytest.fixture
def radios(room: Server) -> Iterator[None]:
    """The radios of the crews in their stations' yards, each telling its place every second."""
    with radios_of(room):
        yield


@contextmanager
def radios_of(server: Server) -> Iterator[None]:
    """The same for the crews of any server."""
    tokens = json.loads((server.var / "demo.json").read_text(encoding="utf-8"))["tokens"]
    who = {"Authorization": f"Bearer {tokens['crews']}"}
    units = requests.get(f"{server.url}/api/v1/units", headers=who, timeout=10).json()
    off = threading.Event()

    def tell() -> None:
        while not off.wait(1):
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            fixes = [{"unit": u["id"], **u["base"], "observed_at": now} for u in units if u["base"]]
            requests.post(f"{server.url}/api/v1/positions", json=fixes, headers=who, timeout=10)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        off.set()
        thread.join()


SitDown = Callable[..., Seat]


@pytest.fixture
def sit(browser: Browser, room: Server) -> Iterator[SitDown]:
    """Put somebody at a console: sit("ana"), sit("ana", language="en"); sit(None) only opens the login."""
    seats: list[Seat] = []

    def sit_down(
        name: str | None, language: str = "ro", at: Server | None = None, size: tuple[int, int] = (1600, 900)
    ) -> Seat:
        server = at or room
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, locale={"ro": "ro-RO", "en": "en-GB"}[language]
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        seat = Seat(page, context, server.url)
        seats.append(seat)
        home = urlsplit(server.url).netloc

        def refuse_outside(request: Request) -> None:
            where = urlsplit(request.url)
            if where.scheme in ("http", "https", "ws", "wss") and where.netloc != home:
                seat.faults.append(f"asked outside: {request.url}")

        def refuse_breach(message: ConsoleMessage) -> None:
            if "Content Security Policy" in message.text:
                seat.faults.append(f"against the policy: {message.text}")

        page.on("request", refuse_outside)
        page.on("console", refuse_breach)
        page.on("pageerror", lambda error: seat.faults.append(f"page error: {error}"))
        page.goto(server.url)
        expect(seat.see("login")).to_be_visible()
        if name is not None:
            seat.see(f"demo-{name}").click()
            seat.until_live()
        return seat

    yield sit_down
    for seat in seats:
        seat.context.close()
    faults = [fault for seat in seats for fault in seat.faults]
    assert not faults, "\n".join(faults)
