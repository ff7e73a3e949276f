"""Stories of what is done with the map: lights from afar and near, a unit followed, its trail, lengths, views
kept and sent to another desk, the map on paper; and colours that stay apart for every eye."""

from __future__ import annotations

import json
import math
import re
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import requests
from playwright.sync_api import expect

from app import up
from tests.web.conftest import ROOT, Server, SitDown
from tests.web.test_console import axe, until_green
from tests.web.test_map import ask, layer, on_screen, until_water, view

pytestmark = pytest.mark.web

LIGHTS = 50_000


def crews(server: Server) -> dict[str, str]:
    tokens = json.loads((server.var / "demo.json").read_text(encoding="utf-8"))["tokens"]
    return {"Authorization": f"Bearer {tokens['crews']}"}


def report(server: Server, unit: str, places: list[tuple[datetime, float, float]]) -> None:
    fixes = [
        {
            "unit": unit,
            "lon": lon,
            "lat": lat,
            "speed_mps": 8,
            "heading_deg": 90,
            "observed_at": at.isoformat(),
        }
        for at, lon, lat in places
    ]
    answer = requests.post(f"{server.url}/api/v1/positions", json=fixes, headers=crews(server), timeout=30)
    assert answer.status_code == 202
    assert not answer.json()["refused"], answer.text


def test_fifty_thousand_lights_are_a_glow_from_afar_and_dots_near_by(sit: SitDown, room: Server) -> None:
    # given a city whose register has fifty thousand lights
    side = math.isqrt(LIGHTS)
    lights = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": n,
                "properties": {},
                "geometry": {
                    "type": "Point",
                    "coordinates": [24.84 + n % side * 0.2 / side, 60.125 + n // side * 0.09 / side],
                },
            }
            for n in range(LIGHTS)
        ],
    }
    file = room.var / "lights.geojson"
    file.write_text(json.dumps(lights))
    done = subprocess.run(
        up.straja("layer", "import", str(file), "--layer", "street_lamps", "--source", "register"),
        cwd=ROOT, env=room.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

    # when somebody looks at the whole city
    ana = sit("ana", language="en")
    ana.until_map()
    expect(ana.see("views-open")).to_be_visible()
    ana.page.evaluate("() => { location.hash = 'map=12.00/60.17/24.94&layers=street_lamps' }")
    ana.page.wait_for_function("() => Math.abs(straja.view.zoom - 12) < 0.01")
    ana.see("layers-open").click()

    # then all of them are in its glow, none is left out, and no part is excused
    total = ask(ana, "/layers/street_lamps/density")["count"]
    assert total >= LIGHTS
    expect(layer(ana, "street_lamps")).to_have_attribute("data-glow", str(total))
    expect(ana.see("layers-trouble")).to_have_count(0)
    axe(ana, "layers with fifty thousand lights")
    ana.page.keyboard.press("Escape")

    # and near by each is a dot of its own: as many as stand in view, to a click
    ana.page.evaluate("() => { location.hash = 'map=14.30/60.17/24.94&layers=street_lamps' }")
    ana.page.wait_for_function("() => Math.abs(straja.view.zoom - 14.3) < 0.01")
    ana.see("layers-open").click()
    expect(layer(ana, "street_lamps")).to_have_attribute("data-held", re.compile(r"^\d{4,}$"))
    expect(ana.see("layers-trouble")).to_have_count(0)
    ana.page.keyboard.press("Escape")
    near = {"map": "18.00/60.17000/24.94000"}
    ana.page.evaluate("(at) => { location.hash = `map=${at}&layers=street_lamps` }", near["map"])
    ana.page.wait_for_function("() => Math.abs(straja.view.zoom - 18) < 0.01")
    [one] = ask(ana, "/layers/street_lamps/nearest?lon=24.94&lat=60.17&limit=1")["features"]
    for _ in range(40):
        ana.page.mouse.click(*on_screen(ana, *one["geometry"]["coordinates"]))
        if ana.see("feature", layer="street_lamps").count():
            break
    expect(ana.see("feature", layer="street_lamps")).to_be_visible()


def test_a_unit_is_followed_and_its_trail_tells_when_it_was_where(sit: SitDown, room: Server) -> None:
    # given a crew that drove east for twenty minutes, stood four, and said nothing for five
    ana = sit("ana", language="en")
    ana.until_map()
    expect(ana.see("unit-row").first).to_be_visible()
    expect(ana.see("views-open")).to_be_visible()
    units = {u["id"]: u for u in ana.held()["units"]}
    unit = next(name for name, u in units.items() if u["command"] == "owned" and u["base"])
    now = datetime.now(UTC)
    drive = [(now - timedelta(seconds=1740 - 10 * k), 24.90 + k * 0.0003, 60.17) for k in range(120)]
    stand = [(now - timedelta(seconds=540 - 10 * k), 24.936, 60.17) for k in range(24)]
    last = [(now - timedelta(seconds=3), 24.94, 60.171)]
    report(room, unit, drive)
    report(room, unit, stand + last)

    # when she follows it from the board with a key
    ana.see("board-filter").fill(unit)
    row = ana.page.locator(f'[data-testid="unit-row"][data-unit="{unit}"]')
    row.click()
    row.focus()
    ana.page.keyboard.press("f")
    strip = ana.see("unit-strip", unit=unit)
    expect(strip).to_have_attribute("data-following", "true")
    ana.page.wait_for_function(
        "() => Math.abs(straja.view.lon - 24.94) < 1e-4 && Math.abs(straja.view.lat - 60.171) < 1e-4"
    )

    # then the map goes where it goes
    report(room, unit, [(datetime.now(UTC), 24.9444, 60.1702)])
    ana.page.wait_for_function("() => Math.abs(straja.view.lon - 24.9444) < 1e-4")

    # and its trail says from when to when, how far, that it was silent, and where it stood
    ana.see("trail").click()
    expect(strip).to_have_attribute("data-trail", re.compile(r"^\d{2,}$"))
    words = ana.see("trail-words")
    expect(words).to_contain_text(re.compile(r"\d\d:\d\d–\d\d:\d\d · \d"))
    expect(words).to_contain_text(re.compile(r"silent for up to [45]:\d\d"))
    expect(strip).to_contain_text("one stop")
    before = int(strip.get_attribute("data-trail") or 0)
    report(room, unit, [(datetime.now(UTC), 24.9450, 60.1702)])
    ana.page.wait_for_function(
        "(n) => Number(document.querySelector('[data-testid=unit-strip]').dataset.trail) > n", arg=before
    )
    ana.see("trail-span").select_option("60")
    expect(words).to_contain_text("–")
    for _ in ("night", "day"):
        axe(ana, "a followed unit with its trail")
        ana.see("theme").click()

    # and a hand on the map lets go of it
    box = ana.see("map").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.75
    ana.page.mouse.move(x, y)
    ana.page.mouse.down()
    ana.page.mouse.move(x + 60, y - 40, steps=4)
    ana.page.mouse.up()
    expect(strip).to_have_attribute("data-following", "false")


def test_lengths_are_measured_with_the_mouse_and_without(sit: SitDown) -> None:
    # given the middle of the map
    ana = sit("ana", language="en")
    ana.until_map()
    expect(ana.see("measure-open")).to_be_visible()
    ana.page.keyboard.press("Alt+m")
    strip = ana.see("measure")
    expect(strip).to_be_visible()

    # when she sets corners with the keyboard alone
    first = view(ana)
    ana.page.keyboard.press("Enter")
    expect(strip).to_have_attribute("data-corners", "1")
    ana.page.keyboard.press("ArrowRight")
    ana.page.wait_for_function("(lon) => straja.view.lon > lon + 1e-4", arg=first["lon"])
    second = view(ana)
    ana.page.keyboard.press("Enter")
    expect(strip).to_have_attribute("data-corners", "2")

    # then the length is that between the two
    east_m = math.radians(second["lon"] - first["lon"]) * 6_371_008.8 * math.cos(math.radians(first["lat"]))
    assert float(strip.get_attribute("data-metres") or 0) == pytest.approx(east_m, rel=0.01)
    expect(strip).to_contain_text(re.compile(r"last leg .+, (89|90|91)°"))

    # and a click adds a third, which encloses something; Backspace takes it back; Esc ends
    box = ana.see("map").bounding_box()
    assert box
    ana.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.3)
    expect(strip).to_have_attribute("data-corners", "3")
    expect(strip).to_contain_text("encloses")
    axe(ana, "measuring")
    ana.page.keyboard.press("Backspace")
    expect(strip).to_have_attribute("data-corners", "2")
    ana.page.keyboard.press("Escape")
    expect(strip).to_have_count(0)


def test_views_are_kept_under_keys_and_sent_as_links(sit: SitDown, room: Server) -> None:
    # given a dispatcher who looks closely at one place, with schools shown
    ana = sit("ana", language="en")
    ana.until_map()
    number = ana.take_call("Mikonkatu 8", "tree", "A branch")
    expect(ana.see("views-open")).to_be_visible()
    ana.page.evaluate("() => { location.hash = 'map=15.50/60.16800/24.95000&layers=schools,hydrants' }")
    ana.page.wait_for_function("() => Math.abs(straja.view.zoom - 15.5) < 0.01")

    # when she keeps it, an empty name and a script among the names
    ana.page.keyboard.press("Alt+v")
    expect(ana.see("view-name")).to_be_focused()
    ana.page.keyboard.press("Enter")
    expect(ana.see("views")).to_contain_text("A view needs a name")
    for name in ("Harbour", "<img src=x onerror=alert(1)>"):
        ana.see("view-name").fill(name)
        ana.page.keyboard.press("Enter")
        expect(ana.see("view").filter(has_text=name)).to_be_visible()
    link = ana.see("view-link").input_value()
    for _ in ("night", "day"):
        axe(ana, "saved views")
        ana.see("theme").click()
    ana.see("views").get_by_role("button", name="Close the views").click()

    # then a key brings it back, after the whole city and a reload
    ana.see("map").get_by_role("button", name="Whole city").click()
    ana.page.wait_for_function("() => straja.view.zoom < 15")
    ana.page.reload()
    ana.until_map()
    expect(ana.see("views-open")).to_be_visible()
    ana.page.keyboard.press("Alt+1")
    ana.page.wait_for_function("() => Math.abs(straja.view.zoom - 15.5) < 0.01")
    assert view(ana)["lon"] == pytest.approx(24.95, abs=1e-4)
    expect(ana.see("map-said")).to_contain_text("Harbour")
    ana.page.keyboard.press("Alt+7")
    expect(ana.see("map-said")).to_contain_text("No view is saved under Alt 7")

    # and the link opens it at another desk, incident and layers too, though nobody had signed in there
    bogdan = sit(None, language="en")
    bogdan.page.goto(link.replace(link.split("/#")[0], room.url))
    bogdan.page.reload()
    bogdan.see("demo-bogdan").click()
    bogdan.until_map()
    bogdan.page.wait_for_function("() => Math.abs(straja.view.zoom - 15.5) < 0.01")
    expect(bogdan.see("incident-card", number=number)).to_be_visible()
    assert "#" not in bogdan.page.url
    bogdan.see("layers-open").click()
    expect(layer(bogdan, "schools")).to_have_attribute("data-on", "true")
    expect(layer(bogdan, "hospitals")).to_have_attribute("data-on", "false")


def test_the_map_goes_on_paper_with_grid_scale_and_legend(sit: SitDown) -> None:
    # given a map by night with an incident on it
    ana = sit("ana", language="en")
    ana.until_map()
    until_water(ana, "night")
    ana.take_call("Mikonkatu 8", "tree", "A branch")
    ana.page.evaluate("() => { window.print = () => { window.printed = (window.printed ?? 0) + 1 } }")

    # when she prints it on A3, upright
    ana.see("print-open").click()
    ana.see("print-paper").select_option("A3")
    ana.see("print-way").select_option("up")
    ana.see("print-heading").fill("Sector 4 <script>alert(1)</script>")
    for _ in ("night", "day"):
        axe(ana, "printing the map")
        ana.page.evaluate("() => document.querySelector('[data-testid=theme]').click()")
    ana.see("print-now").click()
    ana.page.wait_for_function("() => window.printed === 1")

    # then the sheet has that size, says that it is a demo, when and by whom, at which scale
    paper = ana.page.pdf(prefer_css_page_size=True)
    sides = [float(n) for n in re.findall(rb"/MediaBox \[[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)\]", paper)[0]]
    assert sides == pytest.approx([297 / 25.4 * 72, 420 / 25.4 * 72], abs=2)
    assert paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page/") == 1, "one sheet, one page"
    words = ana.see("sheet").text_content() or ""
    for wanted in (
        "Sector 4 <script>",
        "DEMO",
        "1 : ",
        "OpenStreetMap",
        "fire and rescue",
        "Hydrants",
        "Ana",
    ):
        assert wanted in words, wanted

    # and its picture is drawn by day, fine enough for paper, while the screen stays as it was
    width, light = ana.page.evaluate(
        """async () => {
          const image = document.querySelector('.sheet > img');
          await image.decode();
          const ctx = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext('2d');
          ctx.drawImage(image, 0, 0);
          const p = ctx.getImageData(0, 0, image.naturalWidth, image.naturalHeight).data;
          let light = 0;
          for (let i = 0; i < p.length; i += 4) if (p[i] + p[i + 1] + p[i + 2] > 480) light++;
          return [image.naturalWidth, light / (p.length / 4)];
        }"""
    )
    assert width > 277 / 25.4 * 180
    assert light > 0.7
    ana.page.keyboard.press("Escape")
    expect(ana.see("print")).to_have_count(0)
    until_water(ana, "night")


def test_crews_come_back_after_the_graphics_are_lost(sit: SitDown, radios: None) -> None:
    # given a map with crews, one of which can be picked
    ana = sit("ana", language="en")
    ana.until_map()
    until_water(ana, "night")
    until_green(ana, True)
    lose = """(which) => { window.lost ??= {};
      const gl = document.querySelector(which).getContext('webgl2');
      window.lost[which] = gl.getExtension('WEBGL_lose_context');
      window.lost[which].loseContext(); }"""

    # when the graphics card goes, under the ground and under the units
    for which in (".maplibregl-canvas", ".unit-overlay"):
        ana.page.evaluate(lose, which)
    said = ana.see("graphics-lost")
    expect(said).to_contain_text("The queue, the card and the unit board work")
    until_green(ana, False)
    axe(ana, "without a graphics card")

    # then calls are taken all the same, and when the card is back so is everything
    number = ana.take_call("Mikonkatu 8", "tree", "A branch")
    expect(ana.see("queue-row", number=number)).to_be_visible()
    for which in (".maplibregl-canvas", ".unit-overlay"):
        ana.page.evaluate("(which) => window.lost[which].restoreContext()", which)
    expect(said).to_have_count(0)
    until_water(ana, "night")
    until_green(ana, True)


# ---- colours


def linear(colour: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """sRGB #rrggbb as linear light."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    light: np.ndarray[Any, np.dtype[np.float64]] = np.where(
        c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4
    )
    return light


SEEN_BY = {
    "everybody": np.eye(3),
    # Machado, Oliveira, Fernandes 2009, severity 1.0, on linear light
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab(light: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    rgb_to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = rgb_to_xyz @ np.clip(light, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(weights @ linear(c)) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def palette() -> dict[str, str]:
    """The colours of statuses, as the console's source has them."""
    source = (ROOT / "app/web/src/desk.svelte.ts").read_text(encoding="utf-8")
    block = re.search(r"PALETTE: Record<MarkColour, string> = \{(.*?)\}", source, re.DOTALL)
    assert block
    return dict(re.findall(r"'?([\w-]+)'?: '(#[0-9A-Fa-f]{6})'", block.group(1)))


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_the_colours_of_statuses_stay_apart_for_every_eye(eyes: str) -> None:
    colours = palette()
    assert len(colours) == 6
    for (one, a), (other, b) in combinations(colours.items(), 2):
        apart = float(np.linalg.norm(lab(SEEN_BY[eyes] @ linear(a)) - lab(SEEN_BY[eyes] @ linear(b))))
        assert apart >= 34.5, f"{one} and {other} are {apart:.1f} apart for {eyes}"


def test_the_colours_of_statuses_stand_out_from_the_ground_and_carry_their_letter() -> None:
    for name, colour in palette().items():
        # On the panels and on the land by night; by day a mark has a dark rim of its own.
        for ground in ("#15191e", "#171b20"):
            assert contrast(colour, ground) >= 4.4, f"{name} on {ground}"
        assert contrast(colour, "#0b0e12") >= 4.5, f"the letter on {name}"
