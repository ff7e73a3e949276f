"""Stories of the map: the ground it stands on, what is marked on it, and how it says that nothing is real."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Response, expect

from tests.web.conftest import Seat, Server, SitDown
from tests.web.test_console import axe, until_green

pytestmark = pytest.mark.web

WATER = {"night": (0x10, 0x30, 0x4A), "day": (0xA9, 0xCB, 0xE2)}
TILES = re.compile(r"/api/v1/city/tiles")
START_GZ_BYTES_MAX = 120_000
"""What a console starts with, without the map library."""
WHOLE_GZ_BYTES_MAX = 260_000
"""With the other language and the parts that come when the console rests."""


def pixels(seat: Seat, colour: tuple[int, int, int]) -> int:
    """How many pixels of the map's picture have a colour, nearly."""
    picture = base64.b64encode(seat.see("map").screenshot()).decode()
    count: int = seat.page.evaluate(
        """async ([png, colour]) => {
          const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
          const image = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
          const ctx = new OffscreenCanvas(image.width, image.height).getContext('2d');
          ctx.drawImage(image, 0, 0);
          const p = ctx.getImageData(0, 0, image.width, image.height).data;
          let n = 0;
          for (let i = 0; i < p.length; i += 4)
            if (colour.every((c, k) => Math.abs(p[i + k] - c) < 6)) n++;
          return n;
        }""",
        [picture, list(colour)],
    )
    return count


def until_water(seat: Seat, theme: str, wanted: bool = True) -> None:
    for _ in range(60):
        if (pixels(seat, WATER[theme]) > 1_000) is wanted:
            return
    pytest.fail(f"the sea {'never appeared on' if wanted else 'never left'} the {theme} map")


def view(seat: Seat) -> dict[str, Any]:
    found: dict[str, Any] = seat.page.evaluate("() => straja.view")
    return found


def zoom_in(seat: Seat, steps: int) -> None:
    for _ in range(steps):
        before = view(seat)["zoom"]
        seat.see("map").get_by_role("button", name="+").or_(
            seat.see("map").get_by_role("button", name=re.compile("Apropie|Zoom in"))
        ).first.click()
        seat.page.wait_for_function("(z) => straja.view.zoom > z + 0.9", arg=before)


def ask(seat: Seat, path: str) -> Any:
    """What the API answers to this person."""
    return seat.page.evaluate("(path) => fetch('/api/v1' + path).then((r) => r.json())", path)


def on_screen(seat: Seat, lon: float, lat: float) -> tuple[float, float]:
    """Where a place is drawn in the window, by the camera that the console says it has."""
    camera = view(seat)
    box = seat.see("map").bounding_box()
    assert box

    def mercator(lon: float, lat: float) -> tuple[float, float]:
        return (lon + 180) / 360, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2

    scale = 512 * 2 ** camera["zoom"]
    (x, y), (cx, cy) = mercator(lon, lat), mercator(camera["lon"], camera["lat"])
    return box["x"] + box["width"] / 2 + (x - cx) * scale, box["y"] + box["height"] / 2 + (y - cy) * scale


# ---- the ground


def test_the_ground_is_drawn_by_night_and_by_day_and_nothing_moves_when_they_change(sit: SitDown) -> None:
    # given the whole city by night, its sea blue
    ana = sit("ana")
    ana.until_map()
    until_water(ana, "night")
    zoom_in(ana, 1)
    before = view(ana)

    # when she changes to day, and then the language
    ana.see("theme").click()
    until_water(ana, "day")
    ana.see("language-en").click()
    expect(ana.see("layers-open")).to_have_attribute("aria-label", "Layers and legend")

    # then the map stands where it stood, and still does after the page is loaded anew
    assert view(ana) == before
    ana.page.reload()
    ana.until_map()
    assert view(ana) == pytest.approx(before)
    until_water(ana, "day")


@pytest.mark.parametrize("size", [(1600, 900), (960, 540), (390, 700)])
def test_the_makers_of_the_map_are_named_at_every_size(sit: SitDown, size: tuple[int, int]) -> None:
    ana = sit("ana", size=size)
    ana.until_map()
    named = ana.see("attribution")
    named.scroll_into_view_if_needed()
    expect(named).to_be_in_viewport(ratio=1)
    expect(named).to_have_text("© OpenStreetMap contributors")
    box, whole = named.bounding_box(), ana.see("map").bounding_box()
    assert box
    assert whole
    assert box["x"] >= whole["x"]
    assert box["x"] + box["width"] <= whole["x"] + whole["width"]


def test_without_its_ground_the_map_says_so_and_still_shows_crews_and_incidents(
    sit: SitDown, radios: None
) -> None:
    # given a server whose base map has vanished
    ana = sit(None)
    ana.page.route(TILES, lambda route: route.fulfill(status=404, body="gone"))
    ana.see("demo-ana").click()
    ana.until_live()

    # then the map says so in words, and crews are on it
    line = ana.see("ground-missing")
    expect(line).to_contain_text("Harta de fond nu vine")
    ana.until_map()
    until_green(ana, True)
    number = ana.take_call("Mikonkatu 8", "copac", "Creangă ruptă")
    expect(ana.see("incident-marker").filter(has_text="3").first).to_be_visible()
    ana.see("queue-row", number=number).click()
    until_water(ana, "night", wanted=False)

    # when the file is back, the ground comes by itself
    ana.page.unroute(TILES)
    expect(line).to_have_count(0)
    ana.see("map").get_by_role("button", name="Tot orașul").click()
    until_water(ana, "night")


def test_a_city_without_a_base_map_says_what_to_do(sit: SitDown, radios: None) -> None:
    ana = sit(None)

    def without_tiles(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(json={**answer.json(), "tiles": None})

    ana.page.route("**/api/v1/city", without_tiles)
    ana.see("demo-ana").click()
    ana.until_map()
    expect(ana.see("ground-missing")).to_contain_text("importați-l din nou")
    until_green(ana, True)


def test_the_ground_stays_when_the_link_is_lost(sit: SitDown) -> None:
    # given a console that has taken the whole base map in the background
    whole: list[Response] = []
    ana = sit(None)
    ana.page.on("response", lambda r: whole.append(r) if TILES.search(r.url) and r.status == 200 else None)
    ana.see("demo-ana").click()
    ana.until_map()
    until_water(ana, "night")
    for _ in range(400):
        if whole:
            break
        ana.page.evaluate("0")  # lets the browser's messages in
    assert whole, "the base map was never taken whole"
    whole[0].finished()

    # when the network goes and she looks closer, at streets that she has not looked at before
    ana.context.set_offline(True)
    expect(ana.see("truth-banner")).to_be_visible()
    zoom_in(ana, 2)

    # then they are there
    for _ in range(60):
        if pixels(ana, (0x25, 0x2C, 0x34)) > 5_000:
            break
    else:
        pytest.fail("no building was drawn without the network")
    expect(ana.see("ground-missing")).to_have_count(0)
    ana.context.set_offline(False)


def test_the_ground_and_its_marks_come_back_after_the_graphics_are_lost(sit: SitDown) -> None:
    # given a map with its ground and hydrants
    ana = sit("ana")
    ana.until_map()
    until_water(ana, "night")

    # when the graphics context of the ground is lost and given back
    ana.page.evaluate(
        "() => { window.lost = document.querySelector('.maplibregl-canvas').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context'); window.lost.loseContext(); }"
    )
    until_water(ana, "night", wanted=False)
    ana.page.evaluate("() => window.lost.restoreContext()")

    # then the sea is back, and a click still finds a hydrant
    until_water(ana, "night")
    open_a_hydrant_by_click(ana)


def test_the_console_is_small_beside_its_map_library(built_console: Any) -> None:
    assets = built_console.parent / "assets"
    packed = {
        p.name: len(gzip.compress(p.read_bytes(), 9))
        for p in assets.glob("*.js")
        if not p.name.startswith("maplibre")
    }
    # given the page's own program, the map, the larger of the two languages, and whatever those need at once
    one_of = {lang: next(name for name in packed if re.match(rf"{lang}-", name)) for lang in ("ro", "en")}
    map_view = next(name for name in packed if name.startswith("MapView-"))
    wanted = [*re.findall(r'src="[^"]*/([\w.-]+\.js)"', built_console.read_text(encoding="utf-8"))]
    assert wanted, "the page names no program"
    wanted += [map_view, max(one_of.values(), key=packed.__getitem__)]
    start: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in packed or name in start:
            continue
        start.add(name)
        program = (assets / name).read_text(encoding="utf-8")
        wanted += re.findall(r'(?:from|import)"\./([\w.-]+\.js)"', program)
    assert len(start) < len(packed)
    # then it is small, and so is all of it together
    at_start = sum(packed[name] for name in start)
    assert at_start <= START_GZ_BYTES_MAX, f"{at_start} bytes packed to start with, without the map library"
    whole = sum(packed.values())
    assert whole <= WHOLE_GZ_BYTES_MAX, f"{whole} bytes packed, without the map library"


# ---- what is marked on it


def layer(seat: Seat, name: str) -> Any:
    return seat.see("layer", layer=name)


def open_a_hydrant_by_click(seat: Seat) -> None:
    """Clicks on one that stands clear of every crew and other mark."""
    zoom_in(seat, 2)
    box = seat.see("map").bounding_box()
    assert box
    for feature in ask(seat, "/layers/hydrants?bbox=-180,-90,180,90&limit=500")["features"]:
        x, y = on_screen(seat, *feature["geometry"]["coordinates"])
        left, top = x - box["x"], y - box["y"]
        if not (60 < left < box["width"] - 90 and 60 < top < box["height"] - 60):
            continue
        for _ in range(10):
            seat.page.mouse.click(x, y)
            if seat.see("feature", layer="hydrants").count():
                return
    pytest.fail("no click on a hydrant showed one")


def test_layers_are_chosen_and_read_with_the_keyboard_alone(sit: SitDown) -> None:
    # given the menu of layers, opened by a key
    ana = sit("ana")
    ana.until_map()
    ana.see("layers-open").focus()
    ana.page.keyboard.press("Enter")
    menu = ana.see("layer-menu")
    expect(menu).to_be_visible()
    counts = {row["layer"]: row["count"] for row in ask(ana, "/layers")}
    assert counts["hydrants"] > 20
    expect(layer(ana, "hydrants")).to_contain_text(str(counts["hydrants"]))
    expect(layer(ana, "hydrants")).to_contain_text(re.compile(r"OpenStreetMap · importat acum \d+"))
    expect(layer(ana, "hydrants")).to_have_attribute("data-held", str(counts["hydrants"]))

    # when she takes hydrants off and puts schools on
    for name in ("hydrants", "schools"):
        box = layer(ana, name).get_by_role("checkbox")
        box.focus()
        ana.page.keyboard.press("Space")
    expect(layer(ana, "hydrants")).to_have_attribute("data-on", "false")
    expect(layer(ana, "schools")).to_have_attribute("data-held", str(counts["schools"]))

    # and asks for the schools nearby, and opens the nearest
    layer(ana, "schools").get_by_test_id("layer-nearest").focus()
    ana.page.keyboard.press("Enter")
    first = layer(ana, "schools").get_by_test_id("layer-feature").first
    first.focus()
    ana.page.keyboard.press("Enter")

    # then its card has the focus and says what it is, from where and how old
    card = ana.see("feature", layer="schools")
    expect(card.locator("#feature-title")).to_be_focused()
    expect(card).to_contain_text("OpenStreetMap")
    expect(card).to_contain_text(re.compile(r"importat acum \d+"))
    ana.page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(first).to_be_focused()
    ana.page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(ana.see("layers-open")).to_be_focused()

    # and her choice is hers: kept over a reload, and not Bogdan's at the same computer
    ana.page.reload()
    ana.until_map()
    ana.see("layers-open").click()
    expect(layer(ana, "schools")).to_have_attribute("data-on", "true")
    expect(layer(ana, "hydrants")).to_have_attribute("data-on", "false")
    ana.see("sign-out").click()
    ana.see("demo-bogdan").click()
    ana.until_map()
    ana.see("layers-open").click()
    expect(layer(ana, "hydrants")).to_have_attribute("data-on", "true")
    expect(layer(ana, "schools")).to_have_attribute("data-on", "false")


def test_a_click_on_a_mark_says_what_it_is(sit: SitDown) -> None:
    ana = sit("ana", language="en")
    ana.until_map()
    until_water(ana, "night")
    open_a_hydrant_by_click(ana)
    card = ana.see("feature", layer="hydrants")
    expect(card).to_contain_text("Hydrants")
    expect(card).to_contain_text("OpenStreetMap")
    expect(card).to_contain_text(re.compile(r"imported \d+ \w+ ago"))


def test_the_nearest_are_counted_from_the_incident(sit: SitDown) -> None:
    ana = sit("ana")
    ana.until_map()
    ana.take_call("Aleksanterinkatu 52", "copac", "Copac pe șine")
    ana.see("layers-open").click()
    nearest = layer(ana, "hydrants").get_by_test_id("layer-nearest")
    expect(nearest).to_contain_text("de incident")
    nearest.click()
    distances = layer(ana, "hydrants").locator("ol .dim")
    expect(distances.nth(2)).to_be_visible()
    metres = [
        float(re.sub(r"[^\d]", "", words)) for words in distances.all_text_contents() if "km" not in words
    ]
    assert len(metres) >= 3
    assert metres == sorted(metres)
    assert metres[0] < 300


def test_a_layer_that_does_not_come_is_named_and_the_others_stand(sit: SitDown) -> None:
    # given a server that cannot give the hydrants
    ana = sit(None)
    ana.page.route("**/api/v1/layers/hydrants*", lambda route: route.fulfill(status=500, body="{}"))
    ana.see("demo-ana").click()
    ana.until_map()

    # then the map names what is missing, and the menu too, with a way to try again
    expect(ana.see("layers-trouble")).to_contain_text("Hidranți")
    ana.see("layers-open").click()
    expect(layer(ana, "hydrants").get_by_test_id("layer-fault")).to_be_visible()
    expect(layer(ana, "traffic_signals")).to_have_attribute("data-held", re.compile(r"\d+"))

    # when it is well again
    ana.page.unroute("**/api/v1/layers/hydrants*")
    layer(ana, "hydrants").get_by_role("button", name="Încearcă din nou").click()
    expect(layer(ana, "hydrants")).to_have_attribute("data-held", re.compile(r"\d+"))
    expect(ana.see("layers-trouble")).to_have_count(0)


@pytest.mark.parametrize("language", ["ro", "en"])
def test_the_layer_menu_and_a_card_are_clean_for_assistive_tools(sit: SitDown, language: str) -> None:
    seat = sit("sorina", language=language)
    seat.until_map()
    seat.see("layers-open").click()
    layer(seat, "hydrants").get_by_test_id("layer-nearest").click()
    layer(seat, "hydrants").get_by_test_id("layer-feature").first.click()
    expect(seat.see("feature")).to_be_visible()
    for theme in ("night", "day"):
        axe(seat, f"layers, {language}, {theme}")
        seat.see("theme").click()


# ---- nothing here is real


def test_a_demo_says_so_on_every_screen(sit: SitDown) -> None:
    # given the demo's sign-in, before anybody is known
    nobody = sit(None, language="en")
    band = nobody.see("demo")
    expect(band).to_contain_text("DEMO · simulated crews")
    expect(nobody.page).to_have_title(re.compile("^DEMO · "))

    # then the console says it too, above everything, without covering any of it
    nobody.see("demo-ana").click()
    nobody.until_live()
    expect(band).to_be_in_viewport(ratio=1)
    expect(nobody.page).to_have_title(re.compile("^DEMO · "))
    over, under = band.bounding_box(), nobody.page.locator("header.top").bounding_box()
    assert over
    assert under
    assert over["y"] + over["height"] <= under["y"] + 0.5

    # and nothing makes the page longer than the window, not even more incidents than the queue has room for
    nobody.page.set_viewport_size({"width": 1366, "height": 640})
    fill = """async () => {
        const { csrf } = await (await fetch('/api/v1/session')).json();
        const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf };
        const location = { lon: 24.936, lat: 60.1712 };
        for (let i = 0; i < 12; i++) {
            const body = JSON.stringify({ id: crypto.randomUUID(), type: 'F05', location });
            const answer = await fetch('/api/v1/incidents', { method: 'POST', headers, body });
            if (!answer.ok) throw new Error(await answer.text());
        }
    }"""
    nobody.page.evaluate(fill)
    rows = nobody.see("queue-row")
    expect(rows.nth(11)).to_be_attached()
    expect(rows.last).not_to_be_in_viewport()
    page = "document.documentElement"
    assert nobody.page.evaluate(f"() => {page}.scrollHeight <= {page}.clientHeight")

    # and so do the page that opens over it, and paper
    nobody.page.keyboard.press("?")
    expect(nobody.see("help").get_by_test_id("demo-tag")).to_be_visible()
    nobody.page.keyboard.press("Escape")
    nobody.page.emulate_media(media="print")
    expect(band).to_be_visible()
    assert band.evaluate("(e) => getComputedStyle(e).position") == "fixed"


def test_what_is_real_is_never_called_a_demo(sit: SitDown, start_server: Callable[..., Server]) -> None:
    nobody = sit(None, at=start_server(demo=False, STRAJA_DEMO="0"))
    expect(nobody.see("demo")).to_have_count(0)
    expect(nobody.page).to_have_title("Straja")
    assert "DEMO" not in json.dumps(nobody.page.content())
