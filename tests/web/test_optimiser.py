"""Stories of what is in the way, of what a choice leaves uncovered, and of what the computer proposes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.web.conftest import Seat, Server, SitDown, radios_of
from tests.web.test_console import add, axe, set_by_key
from tests.web.test_map import pixels

pytestmark = pytest.mark.web

FIRE = "Kaisaniemenkatu 5"
KAIVOKATU = "60.17047, 24.94247"
"""A spot on the way of those who come from the west of the railway station to that address."""
NEAR_THE_PATROL = "60.17173, 24.94426"
"""A spot on the way of patrol L71 to it, around which a longer way leads."""
CREW_LINE = (0xBA, 0xD9, 0xFD)
"""By night, of a crew on its way."""
BAND = re.compile(r"\d+:\d\d\s*–\s*\d+:\d\d")


@pytest.fixture(scope="module")
def city(start_server: Callable[..., Server]) -> Server:
    """A city whose roads these stories close and open again."""
    return start_server()


@pytest.fixture
def told_places(city: Server) -> Iterator[None]:
    with radios_of(city):
        yield


@pytest.fixture
def open_roads(city: Server, sit: SitDown) -> Iterator[None]:
    yield
    seat = sit("sorina", at=city, language="en")
    for closure in seat.page.evaluate("() => straja.closures"):
        post(seat, f"/closures/{closure['id']}/withdraw", {"reason": "the story is over"})


def post(seat: Seat, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the API answers to this person."""
    answer: dict[str, Any] = seat.page.evaluate(
        """async ([path, body]) => {
          const { csrf } = await (await fetch('/api/v1/session')).json();
          const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf };
          const call = { method: 'POST', headers, body: JSON.stringify(body) };
          return (await fetch('/api/v1' + path, call)).json();
        }""",
        [path, body],
    )
    return answer


def draw(seat: Seat, where: str, why: str) -> None:
    """Draw a closure around a typed place, with the keyboard alone; its card is open then."""
    keys = seat.page.keyboard
    keys.press("Alt+x")
    expect(seat.see("closures")).to_be_visible()
    seat.see("closure-new").focus()
    keys.press("Enter")
    seat.see("closure-place").focus()
    keys.type(where)
    expect(seat.page.locator("#closure-place-0")).to_be_visible()
    keys.press("Enter")
    expect(seat.see("closure-centre")).to_contain_text(where.split(",")[0])
    seat.see("closure-radius").fill("30")
    seat.see("closure-reason").fill(why)
    keys.press("Control+Enter")
    expect(seat.see("closure-card")).to_contain_text(why)


def order_closed(seat: Seat, where: str) -> str:
    """The police's order that the street there is closed, on record; its id."""
    lat, lon = (float(part) for part in where.split(","))
    around = {"type": "Point", "coordinates": [lon, lat], "radius_m": 30}
    order = {"state": "ordered", "authority": "police", "ordered_by": "cms. Pop"}
    closure: str = seat.page.evaluate("() => crypto.randomUUID()")
    made = post(seat, "/closures", {"id": closure, "kind": "closure", "geometry": around, **order})
    assert made["state"] == "ordered", made
    return closure


# ---- closures


@pytest.mark.usefixtures("open_roads")
def test_a_road_that_a_crew_found_closed_changes_the_recommendation_and_the_console_says_why(
    sit: SitDown, city: Server
) -> None:
    # given a fire, the crews for it with the span of their arrival, and somebody at another console
    ana, bogdan = sit("ana", at=city), sit("bogdan", at=city, language="en")
    number = ana.take_call(FIRE, "F01", "Fum la etajul 3")
    expect(ana.see("candidate", unit="L71", chosen="true").get_by_test_id("band")).to_contain_text(BAND)
    bogdan.see("queue-row", number=number).click()
    patrol = bogdan.see("candidate", unit="L71")
    expect(patrol).not_to_contain_text("closure")
    eta = patrol.locator(".eta").inner_text()

    # when Ana hears that the patrol's street is closed, and draws it without the mouse
    draw(ana, NEAR_THE_PATROL, "Conductă spartă")

    # then everybody sees it, and that it only warns: nobody is led another way
    expect(ana.see("closure-card")).to_have_attribute("data-state", "reported")
    expect(ana.see("closures")).to_contain_text("Doar avertizează")
    expect(bogdan.see("closures-open")).to_contain_text("1")
    expect(patrol).to_contain_text("a closure reported and not confirmed lies on its way")
    expect(patrol.locator(".eta")).to_have_text(eta)

    # when a crew has seen it
    ana.see("closure-confirm").press("Enter")
    expect(ana.see("step-unit")).to_be_focused()
    ana.page.keyboard.type("l74")
    ana.page.keyboard.press("Enter")
    expect(ana.see("closure-card")).to_have_attribute("data-state", "confirmed")

    # then the patrol takes longer, on Bogdan's console too, and it is said for what
    expect(patrol).to_contain_text("longer for a closure")
    expect(patrol.locator(".eta")).not_to_have_text(eta)
    expect(bogdan.see("recommendation-closures")).to_contain_text("Conductă spartă")
    # and one click leads to the closure itself
    bogdan.see("recommendation-closures").get_by_role("button").first.click()
    expect(bogdan.see("closure-card")).to_contain_text("Conductă spartă")
    expect(bogdan.see("closures")).to_contain_text("L74")

    # when it is open again
    ana.see("closure-withdraw").press("Enter")
    expect(ana.see("step-reason")).to_be_focused()
    ana.page.keyboard.type("Reparat")
    ana.page.keyboard.press("Enter")
    expect(ana.see("closure-card")).to_have_attribute("data-state", "withdrawn")

    # then the patrol is as soon there as before
    bogdan.see("queue-row", number=number).click()
    expect(patrol.locator(".eta")).to_have_text(eta)
    expect(bogdan.see("recommendation-closures")).to_have_count(0)


@pytest.mark.usefixtures("open_roads")
def test_an_area_is_drawn_with_the_mouse_and_a_bad_one_is_refused_at_its_field(
    sit: SitDown, city: Server
) -> None:
    # given a supervisor about to draw a hazard zone
    sorina = sit("sorina", at=city)
    sorina.until_map()
    sorina.see("closures-open").click()
    sorina.see("closure-new").click()
    sorina.see("closure-kind-hazard").check()
    sorina.see("closure-tool-Polygon").check()
    box = sorina.see("map").bounding_box()
    assert box

    def corner(x: float, y: float) -> None:
        sorina.page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)

    # when nothing is drawn yet, it is not sent, and the form says what is missing
    sorina.see("closure-save").click()
    expect(sorina.see("closure-fault", field="geometry")).to_contain_text("trei colțuri")

    # when its outline crosses itself, the server's refusal stands at the field in words
    for x, y in ((0.4, 0.4), (0.6, 0.6), (0.6, 0.4), (0.4, 0.6)):
        corner(x, y)
    expect(sorina.see("sketch-corner")).to_have_count(4)
    sorina.see("closure-save").click()
    fault = sorina.see("closure-fault", field="geometry")
    expect(fault).to_be_visible()
    expect(fault).not_to_contain_text(re.compile("crosses|outline"))
    expect(sorina.see("closure-place")).to_have_attribute("aria-invalid", "true")

    # when she takes two corners back, draws them the other way round, and sets where crews wait
    sorina.see("closure-undo").click()
    sorina.see("closure-undo").click()
    expect(sorina.see("sketch-corner")).to_have_count(2)
    corner(0.4, 0.6)
    sorina.see("closure-staging").click()
    corner(0.7, 0.8)
    expect(sorina.see("closure-staging-at")).to_be_visible()
    # and moves a corner with the arrow keys
    first = sorina.see("sketch-corner").first
    before = first.bounding_box()
    first.focus()
    sorina.page.keyboard.press("ArrowRight")
    after = first.bounding_box()
    assert before
    assert after
    assert after["x"] > before["x"]
    axe(sorina, "the form of a closure")
    sorina.see("closure-state-ordered").check()
    sorina.see("closure-ordered-by").fill("cms. Pop")
    sorina.see("closure-save").click()

    # then it is there as ordered, with who ordered it, and its staging point
    expect(sorina.see("closure-card")).to_have_attribute("data-state", "ordered")
    expect(sorina.see("closures")).to_contain_text("cms. Pop")
    (held,) = sorina.page.evaluate("() => straja.closures.filter((c) => c.state === 'ordered')")
    assert held["kind"] == "hazard"
    assert held["staging"]
    assert len(held["geometry"]["coordinates"][0]) == 4


def test_a_half_drawn_closure_that_was_hidden_is_gone_on_with(sit: SitDown, city: Server) -> None:
    # given Ana, who has begun to draw a line and to say why
    ana = sit("ana", at=city)
    ana.until_map()
    ana.page.keyboard.press("Alt+x")
    ana.see("closure-new").click()
    ana.see("closure-tool-LineString").check()
    box = ana.see("map").bounding_box()
    assert box
    for x in (0.4, 0.6):
        ana.page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * 0.5)
    expect(ana.see("sketch-corner")).to_have_count(2)
    ana.see("closure-reason").fill("Copac căzut")

    # when she hides the form by key, and opens an incident meanwhile
    ana.page.keyboard.press("Escape")
    expect(ana.see("closure-form")).to_have_count(0)
    expect(ana.see("sketch-corner")).to_have_count(0)
    ana.page.keyboard.press("Alt+x")
    expect(ana.see("closures")).to_have_count(0)

    # then all of it is there when she goes on
    ana.page.keyboard.press("Alt+x")
    expect(ana.see("closure-new")).to_have_text("Continuă desenul")
    ana.see("closure-new").click()
    expect(ana.see("sketch-corner")).to_have_count(2)
    expect(ana.see("closure-reason")).to_have_value("Copac căzut")
    expect(ana.see("closure-tool-LineString")).to_be_checked()

    # and nothing is, once she has thrown it away
    ana.see("closure-discard").click()
    expect(ana.see("closure-new")).to_have_text("Desenează o închidere")
    ana.see("closure-new").click()
    expect(ana.see("sketch-corner")).to_have_count(0)
    expect(ana.see("closure-reason")).to_have_value("")


@pytest.mark.usefixtures("open_roads")
def test_a_closure_without_a_reason_is_told_by_its_street(sit: SitDown, city: Server) -> None:
    ana, bogdan = sit("ana", at=city), sit("bogdan", at=city, language="en")
    # when Ana draws one in a hurry, and says not why
    draw(ana, NEAR_THE_PATROL, "")
    # then she and Bogdan read where it is
    (held,) = ana.page.evaluate("() => straja.closures.filter((c) => c.state === 'reported')")
    street = ", ".join(held["streets"])
    assert re.search(r"[a-z]{4}", street)
    expect(ana.see("closure-card")).to_have_text(f"Închis: {street}")
    expect(ana.see("closure-streets")).to_have_text(street)
    bogdan.page.keyboard.press("Alt+x")
    expect(bogdan.see("closure-row", id=held["id"])).to_contain_text(f"Closed: {street}")


def test_whoever_only_watches_sees_closures_and_coverage_and_can_draw_nothing(
    sit: SitDown, city: Server
) -> None:
    matei = sit("matei", at=city)
    matei.until_map()
    matei.page.keyboard.press("Alt+x")
    expect(matei.see("closures")).to_be_visible()
    for closed_to in ("closure-new", "closure-form", "closure-confirm", "closure-withdraw"):
        expect(matei.see(closed_to)).to_have_count(0)
    refused = post(matei, "/closures", {"id": "0", "kind": "closure", "geometry": {"type": "Point"}})
    assert refused["status"] in (403, 422)
    matei.page.keyboard.press("Alt+c")
    expect(matei.see("coverage")).to_have_attribute("data-cells", re.compile(r"[1-9]\d"))


# ---- what a choice would mean


def test_another_choice_is_weighed_before_anything_is_sent(sit: SitDown, city: Server) -> None:
    # given a fire and the plan for it, weighed
    ana = sit("ana", at=city, language="en", size=(1440, 900))
    number = ana.take_call(FIRE, "F01", "Fum")
    weighed = ana.see("what-if", fresh="true")
    expect(weighed).to_contain_text(re.compile(r"first arrival \d+:\d\d"))
    plan = weighed.get_attribute("data-units")
    assert plan
    # and at this size the send button and two of the crews, with all their reasons, stand in sight together
    for part in (ana.see("send-plan"), *(ana.see("candidate").nth(i) for i in range(2))):
        expect(part).to_be_in_viewport(ratio=0.9)

    # when Ana leaves the first crew out, by its key
    ana.see("candidate").first.locator("button.stage").focus()
    first = ana.see("candidate").first.get_attribute("data-unit")
    assert first
    ana.page.keyboard.press("1")

    # then it is told at once what that changes, and which need is then open
    expect(weighed).not_to_have_attribute("data-units", plan)
    expect(weighed).to_contain_text(re.compile(r"If .*:"))
    # and pointing at it shows the plan again, before it is chosen
    ana.see("candidate", unit=first).hover()
    expect(ana.see("what-if", fresh="true", units=plan)).to_be_visible()

    # when she asks for the costs, and for the map
    ana.see("candidate").first.locator("button.stage").focus()
    ana.page.keyboard.press("c")
    expect(ana.see("cost").first).to_contain_text(re.compile(r"late calls: here \d"))
    ana.page.keyboard.press("w")
    cover = ana.see("coverage")
    expect(cover).to_have_attribute("data-cells", re.compile(r"[1-9]\d"))
    expect(ana.see("coverage-sum")).to_contain_text("Without")

    # then nothing was sent by all this
    (held,) = [i for i in ana.held()["incidents"] if i["number"] == number]
    assert held["assignments"] == held["requests"] == []

    # and from a station, lines show how far one gets; one key takes all of it away
    ana.see("isochrones-from").select_option(index=1)
    expect(cover).to_have_attribute("data-rings", "3")
    axe(ana, "coverage and what-if")
    ana.page.keyboard.press("Alt+c")
    expect(cover).to_have_count(0)


def test_what_lies_under_the_pointer_is_never_taken_for_what_would_be_sent(
    sit: SitDown, city: Server
) -> None:
    # given a fire and the plan for it, weighed
    ana = sit("ana", at=city, language="en")
    ana.take_call(FIRE, "F01", "Fum")
    weighed = ana.see("what-if", fresh="true")
    expect(weighed).to_have_attribute("data-sent", "true")
    plan = weighed.get_attribute("data-units")
    assert plan

    # when the pointer comes to lie on a crew that is not in it
    other = ana.see("candidate", chosen="false").first
    unit = other.get_attribute("data-unit")
    other.hover()
    # then its line says that this is not what the button would send
    expect(ana.see("what-if-only")).to_have_text(f"Not chosen yet. With {unit} as well:")
    expect(ana.see("what-if", fresh="true", sent="false")).not_to_have_attribute("data-units", plan)
    expect(ana.see("send-plan")).not_to_contain_text(str(unit))

    # when Ana goes on by keyboard, the pointer at rest
    ana.see("candidate").first.locator("button.stage").focus()
    ana.page.keyboard.press("ArrowDown")
    # then what is told is what Enter would send, and so is what the map shows
    expect(ana.see("what-if", fresh="true", sent="true", units=plan)).to_be_visible()
    ana.page.keyboard.press("w")
    expect(ana.see("coverage-sum")).to_contain_text("Without")
    without = re.search(r"Without (.+?)(?::| nobody)", ana.see("coverage-sum").inner_text())
    assert without
    assert sorted(without[1].split(", ")) == plan.split(",")
    ana.page.keyboard.press("Alt+c")


def test_a_crew_picked_by_hand_does_not_sink_when_times_change(sit: SitDown, city: Server) -> None:
    # given a fire, and a crew picked from far down the list
    ana = sit("ana", at=city, language="en")
    number = ana.take_call(FIRE, "F01", "Fum")
    expect(ana.see("candidate", chosen="true").first).to_be_visible()
    chosen = ana.see("candidate", chosen="true").count()
    picked = ana.see("candidate").last.get_attribute("data-unit")
    assert picked
    assert ana.see("candidate", unit=picked, chosen="false").count() == 1
    ana.see("candidate", unit=picked).locator("button.stage").click()

    # when the recommendation is computed anew
    (incident,) = (i for i in ana.held()["incidents"] if i["number"] == number)
    bogdan = sit("bogdan", at=city)
    bogdan.see("queue-row", number=number).click()
    bogdan.page.evaluate(
        """async (id) => {
          const { csrf } = await (await fetch('/api/v1/session')).json();
          const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf };
          const body = JSON.stringify({ description: 'Fum gros' });
          await fetch('/api/v1/incidents/' + id, { method: 'PATCH', headers, body });
        }""",
        incident["id"],
    )

    # then it stands with the others that would be sent, above all the rest
    expect(ana.see("candidate").nth(chosen)).to_have_attribute("data-unit", picked)
    pressed = (
        ana.see("candidate")
        .locator("button.stage")
        .evaluate_all("(all) => all.map((one) => one.getAttribute('aria-pressed'))")
    )
    assert pressed == sorted(pressed, reverse=True)


def test_where_nobody_is_left_the_map_shows_where_calls_come_from(sit: SitDown, room: Server) -> None:
    # given a call for which every crew with a doctor is picked
    ana = sit("ana", at=room, language="en")
    ana.take_call(FIRE, "M01", "Stop cardiac")
    doctors = [u["id"] for u in ana.held()["units"] if "doctor" in u["capabilities"]]
    assert doctors
    expect(ana.see("candidate").first).to_be_visible()
    for unit in doctors:
        stage = ana.see("candidate", unit=unit).locator("button.stage")
        if stage.get_attribute("aria-pressed") == "false":
            stage.click()

    # when Ana looks on the map at what that leaves
    ana.see("what-if-map").click()
    ana.see("coverage-capability").select_option("doctor")

    # then it is not hatched from end to end: it says that nobody is left, and where most calls come from
    cover = ana.see("coverage")
    expect(cover).to_have_attribute("data-nobody", "true")
    expect(ana.see("coverage-sum")).to_contain_text("nobody is left who would be there in time")
    shares = ana.see("coverage-zones").locator("li span:last-child").all_inner_texts()
    figures = [int(share.removesuffix(" %")) for share in shares]
    assert figures == sorted(figures, reverse=True)
    assert 0 < sum(figures) <= 100 + len(figures)
    axe(ana, "coverage with nobody left")
    ana.page.keyboard.press("Alt+c")


# ---- what the computer proposes


@pytest.mark.usefixtures("open_roads", "told_places")
def test_a_closure_in_a_crews_way_brings_a_proposal_that_ana_accepts_by_key(
    sit: SitDown, city: Server
) -> None:
    # given a patrol on its way
    ana, bogdan = sit("ana", at=city, language="en"), sit("bogdan", at=city)
    number = ana.take_call(FIRE, "P09", "Muzică tare")
    add(ana, "L71")
    ana.page.keyboard.press("Enter")
    expect(ana.see("assignment", unit="L71")).to_be_visible()
    set_by_key(ana, "L71", "r", "en_route")
    ana.see("board-filter").fill("")

    # when the supervisor orders its road closed
    order_closed(sit("sorina", at=city), KAIVOKATU)

    # then both are told who would be there sooner, beside the queue and not over it
    offer = ana.see("proposal", kind="reassign")
    expect(offer).to_contain_text(f"to {number} instead of L71")
    expect(bogdan.see("proposal")).to_contain_text(f"la {number} în locul L71")
    strip, queue = ana.see("proposals").bounding_box(), ana.see("queue").bounding_box()
    assert strip
    assert queue
    assert queue["y"] + queue["height"] <= strip["y"] + 1
    axe(ana, "a proposal")
    # and the card of the call says what became of the crew's arrival, and why
    expect(ana.see("eta-change")).to_contain_text("Closed")

    # when Ana accepts it with two keys
    instead = offer.get_attribute("data-unit")
    assert instead
    ana.page.keyboard.press("Alt+p")
    expect(offer).to_be_focused()
    ana.page.keyboard.press("Enter")

    # then the crews change places, and Bogdan reads who decided
    expect(ana.see("assignment", unit=instead)).to_be_visible()
    expect(ana.see("assignment", unit="L71")).to_have_count(0)
    told = bogdan.see("proposal-over", state="accepted")
    expect(told).to_contain_text(re.compile(r"acceptată de ana acum \d+ s"))
    expect(bogdan.see("proposal")).to_have_count(0)


# ---- everybody can use it


@pytest.mark.parametrize("language", ["ro", "en"])
@pytest.mark.usefixtures("open_roads")
def test_closures_and_coverage_are_clean_for_assistive_tools(
    sit: SitDown, city: Server, language: str
) -> None:
    seat = sit("sorina", at=city, language=language)
    seat.until_map()
    draw(seat, "60.16780, 24.93845", "Test")
    seat.page.keyboard.press("Alt+c")
    expect(seat.see("coverage")).to_have_attribute("data-cells", re.compile(r"[1-9]\d"))
    for theme in ("night", "day"):
        axe(seat, f"a closure's card and coverage, {language}, {theme}")
        seat.see("theme").click()
    seat.see("closure-back").click()
    expect(seat.see("closure-row").first).to_be_visible()
    for theme in ("night", "day"):
        axe(seat, f"the list of closures, {language}, {theme}")
        seat.see("theme").click()


# ---- by which streets


@pytest.mark.usefixtures("open_roads", "told_places")
def test_the_way_of_a_crew_is_drawn_along_the_streets_and_changes_when_a_closure_lands(
    sit: SitDown, city: Server
) -> None:
    # given a fire, and nobody sent: no way is drawn until a candidate is pointed at
    ana, matei = sit("ana", at=city, language="en"), sit("matei", at=city)
    number = ana.take_call(FIRE, "P09", "Muzică tare")
    ana.until_map()
    expect(ana.see("ways")).to_be_attached()
    first = ana.see("candidate").first
    unit = first.get_attribute("data-unit")
    assert unit
    expect(ana.see("way")).to_have_count(0)
    first.hover()
    thought = ana.see("way", unit=unit, kind="candidate", travel="road")
    expect(thought).to_contain_text(f"{unit}, if it is sent: by ")
    # by keyboard it is the same, and it goes when nobody looks any more
    ana.see("map").hover()
    expect(ana.see("way")).to_have_count(0)
    first.locator("button.stage").focus()
    expect(thought).to_be_attached()

    # when a patrol is sent that has some way to go
    add(ana, "L71")
    ana.page.keyboard.press("Enter")
    expect(ana.see("assignment", unit="L71")).to_be_visible()
    set_by_key(ana, "L71", "r", "en_route")
    ana.see("board-filter").fill("")
    crew = ana.see("way", unit="L71", kind="crew")
    expect(crew).to_contain_text("L71 on its way: by ")
    expect(crew).to_have_attribute("data-stale", "false")
    ana.see("map").hover()
    until_drawn(ana)
    before, version = crew.inner_text(), ana.see("ways").get_attribute("data-version")
    line = crew.get_attribute("data-line")
    assert version

    # and the supervisor orders its street closed
    sorina = sit("sorina", at=city)
    closure = order_closed(sorina, KAIVOKATU)

    # then the line leads around it, and the words with it
    expect(ana.see("ways")).not_to_have_attribute("data-version", version)
    expect(crew).not_to_have_attribute("data-line", line or "")
    assert crew.inner_text() != before
    until_drawn(ana)
    axe(ana, "ways on the map")

    # whoever only watches has no ways, and the straight dots instead
    matei.until_map()
    matei.see("queue-row", number=number).click()
    expect(matei.see("incident-card")).to_be_visible()
    expect(matei.see("ways")).to_have_count(0)

    # when the street is open again, the way is the old one
    post(sorina, f"/closures/{closure}/withdraw", {"reason": "gata"})
    expect(crew).to_have_attribute("data-line", line or "")


def until_drawn(seat: Seat) -> None:
    """Until the map's picture has a crew's whole line on it."""
    for _ in range(60):
        if pixels(seat, CREW_LINE) > 150:
            return
    pytest.fail("no line of a crew was ever drawn")
