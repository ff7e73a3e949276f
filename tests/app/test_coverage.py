"""How the city is covered: standards, what idle units reach, and what the next departure would cost."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import shapely
import shapely.geometry

from app.api import shapes
from app.core import read_pack
from app.coverage import STANDARDS_MAX, Away, CoverageNow, standards_of, zone_words
from app.up import wait_until
from app.words import words_in
from dispatch.standby import Coverage
from gis.coverage import Zone
from gis.roads import IMPASSABLE
from gis.travel import RoadGraph, mode
from tests.app.control_room import RAILWAY_STATION, Room, is_problem
from tests.app.test_shapes import fits


def test_the_operators_published_targets_are_the_first_standards_and_urgent_needs_follow() -> None:
    pack = read_pack("ro")
    found = standards_of(pack)
    assert [(s.capability, s.within_s, s.rural_s, s.share_pct, s.stated) for s in found[:2]] == [
        ("first_aid", 480, 720, 90, True),
        ("doctor", 900, 1200, 90, True),
    ]
    assert "fire_suppression" in [s.capability for s in found[2:]]
    assert len(found) == STANDARDS_MAX
    assert len({s.capability for s in found}) == len(found)
    for standard in found[2:]:
        assert not standard.stated
        assert standard.within_s == standard.rural_s
        urgent = [t for t in pack.incident_types.values() if standard.capability in t.needs]
        assert standard.within_s == min(pack.priorities[t.priority].target_s or 9e9 for t in urgent)


# ---- now


def coverage_of(room: Room, ways: Callable[[], RoadGraph | None] | None = None) -> CoverageNow:
    """A coverage of the room's own city, ready to be asked; by other roads, if so wished."""
    core = room.core
    found = CoverageNow(
        core.pack, core.picture, core.tracks, core.world.clock, ways or core.living_map.ways,
        core.city_in_use.now, core.engine, core.speeds,
    )  # fmt: skip
    found.refresh()
    return found


def first_aid(coverage: CoverageNow) -> Coverage:
    found = coverage.of("first_aid")
    assert found is not None
    return found


def test_what_the_last_free_ambulance_is_worth_is_gone_once_it_is_sent(own_room: Room) -> None:
    # Given one ambulance by the railway station, and a fire engine
    room = own_room
    ambulance, engine = room.unit("B2", crew=2, at=RAILWAY_STATION), room.unit("ASAS", at=RAILWAY_STATION)
    coverage = coverage_of(room)
    before = first_aid(coverage)
    assert before.expected() > 0
    standing = coverage.standing([engine, ambulance, "NOBODY"])
    assert standing is not None
    assert standing.fresh
    loss = standing.cover.loss([0, 1, 2])
    assert loss[1] > 0
    assert loss[2] == 0
    assert before.loss([0])[0] == pytest.approx(before.expected())
    left = standing.cover.uncovers([1])[0]
    assert "first_aid" in {one.capability for one in left}
    names = {coverage.zone_name(one.zone, words_in("ro")) for one in left}
    assert "Kluuvi" in names
    # When it is sent, and its agency has not even answered
    room.sent(room.incident("M01")["id"], ambulance)
    # Then nobody is there for the next one
    assert first_aid(coverage).expected() == 0.0
    # And what only the engine gives is as it was
    assert coverage.of("fire_suppression").expected() > 0  # type: ignore[union-attr]


def test_a_crew_with_two_vehicles_is_counted_once_and_leaves_with_both(own_room: Room) -> None:
    room = own_room
    crew = room.uuid()
    one, other = (room.unit("B2", crew=2, crew_id=crew, at=RAILWAY_STATION) for _ in range(2))
    coverage = coverage_of(room)
    alone = first_aid(coverage)
    assert alone.idle.tolist() == [True]
    standing = coverage.standing([one, other])
    assert standing is not None
    assert standing.cover.loss([0, 1]) == pytest.approx([standing.cover.loss([0])[0]] * 2)
    room.sent(room.incident("M01")["id"], one)
    assert first_aid(coverage).expected() == 0.0


def test_who_is_off_duty_too_few_or_nowhere_covers_nothing(own_room: Room) -> None:
    room = own_room
    room.unit("B2", crew=2, status=None, at=RAILWAY_STATION)
    room.unit("B2", crew=1, at=RAILWAY_STATION)
    room.unit("B2", crew=2)
    far = room.unit("B2", crew=2, at=(25.6, 45.6))
    coverage = coverage_of(room)
    assert first_aid(coverage).expected() == 0.0
    assert (first_aid(coverage).gap() == 1.0).all()
    # When the one in another country comes to town
    room.clock.advance(5)
    room.seen(far, RAILWAY_STATION)
    coverage.of("first_aid")
    coverage.refresh()
    assert first_aid(coverage).expected() > 0.0
    # And a fifth comes into service
    before = first_aid(coverage).expected()
    room.unit("B2", crew=2, at=RAILWAY_STATION)
    coverage.of("first_aid")
    coverage.refresh()
    assert first_aid(coverage).expected() > before


def test_other_roads_count_as_soon_as_they_are_worked_in_and_until_then_it_is_said(own_room: Room) -> None:
    # Given a unit at the station, and roads that may be closed
    room = own_room
    unit = room.unit("B2", crew=2, at=RAILWAY_STATION)
    assert room.core.city is not None
    city = room.core.city.roads
    roads = [city]
    coverage = coverage_of(room, lambda: roads[0])
    open_ways = first_aid(coverage)
    # When every street is closed to it
    how = mode("ambulance", True)
    closed = np.full_like(city.ms(how), IMPASSABLE)
    roads[0] = city.with_ms({how: closed}, version="closed")
    # Then at first the figures are those of before, and say so
    coverage._busy = True  # the thread that would work it in comes late
    standing = coverage.standing([unit])
    assert standing is not None
    assert not standing.fresh
    assert standing.cover.expected() > 0
    # And then nothing is in its reach
    coverage._busy = False
    coverage.refresh()
    standing = coverage.standing([unit])
    assert standing is not None
    assert standing.fresh
    assert first_aid(coverage).expected() == 0.0
    # When they are opened again all is as it was
    roads[0] = city
    coverage.refresh()
    assert first_aid(coverage).expected() == pytest.approx(open_ways.expected())


def test_calls_of_the_past_draw_demand_to_where_they_were_and_tell_how_long_jobs_last(own_room: Room) -> None:
    room = own_room
    coverage = coverage_of(room)
    supposed = first_aid(coverage)
    standing = coverage.standing([])
    assert standing is not None
    cell = int(standing.cells.find(*RAILWAY_STATION)[0])
    assert coverage.away("M01") == Away(2700.0, 0)
    assert coverage.away("M01").prior
    # Given thirty calls to one street within an hour, each over after ten minutes
    for _ in range(30):
        incident = room.incident("M01")["id"]
        room.clock.advance(60)
        assert room.ana.post(f"/incidents/{incident}/close", {"outcome": "gata"}).status_code == 200
    room.clock.advance(61)
    coverage.refresh()
    learned = first_aid(coverage)
    assert learned.demand[cell] / learned.demand.sum() > 3 * supposed.demand[cell] / supposed.demand.sum()
    assert learned.demand.sum() > supposed.demand.sum()
    away = coverage.away("M01")
    assert away.jobs == 30
    assert away.seconds == pytest.approx((30 * 60 + 5 * 2700) / 35)


def test_what_was_planned_is_no_call(own_room: Room) -> None:
    room = own_room
    planned = next(kind for kind in room.core.pack.incident_types.values() if kind.planned)
    coverage = coverage_of(room)
    before = first_aid(coverage).demand
    for _ in range(20):
        room.incident(planned.code)
    room.clock.advance(61)
    coverage.refresh()
    assert first_aid(coverage).demand == pytest.approx(before)
    room.incident("M01")
    room.clock.advance(61)
    coverage.refresh()
    assert first_aid(coverage).demand.sum() > before.sum()


def test_units_at_work_for_hours_raise_the_busy_share(own_room: Room) -> None:
    room = own_room
    units = [room.unit("B2", crew=2, at=RAILWAY_STATION) for _ in range(6)]
    coverage = coverage_of(room)
    quiet = first_aid(coverage).q
    for unit in units[:5]:
        incident = room.incident("M01")["id"]
        room.sent(incident, unit)
        answer = {"answer": "accepted", "name": "Dan", "via": "phone"}
        path = f"/incidents/{incident}/requests/{unit}/answer"
        assert room.ana.post(path, answer).status_code == 200
    room.clock.advance(4 * 3600)
    coverage.refresh()
    assert first_aid(coverage).q > quiet + 0.15


def test_the_operators_districts_are_the_zones(own_room: Room) -> None:
    room = own_room
    box = [[24.93, 60.16], [24.945, 60.16], [24.945, 60.18], [24.93, 60.18], [24.93, 60.16]]
    collection = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature", "id": "1", "properties": {"name": "Sectorul 1"},
                "geometry": {"type": "Polygon", "coordinates": [box]},
            }
        ],
    }  # fmt: skip
    coverage = coverage_of(room)
    assert "d:1" not in first_aid(coverage).zones
    answer = room.desk("admin").post("/layers/districts/import?source=primarie", collection)
    assert answer.status_code == 200, answer.text
    room.clock.advance(61)
    coverage.refresh()
    assert "d:1" in first_aid(coverage).zones
    assert coverage.zone_name("d:1", words_in("ro")) == "Sectorul 1"


def test_without_a_city_nothing_is_measured_and_an_unknown_capability_is_refused(
    open_another: Callable[..., Room],
) -> None:
    room = open_another(city=None)
    unit = room.unit("B2", crew=2)
    coverage = coverage_of(room)
    assert coverage.standing([unit]) is None
    assert coverage.of("first_aid") is None
    with pytest.raises(ValueError, match="no standard for 'levitation'"):
        coverage.of("levitation")


def test_the_first_question_starts_the_work_and_a_later_one_has_the_answer(own_room: Room) -> None:
    unit = own_room.unit("B2", crew=2, at=RAILWAY_STATION)
    coverage = own_room.core.coverage
    coverage.standing([unit])
    assert wait_until(lambda: coverage.standing([unit]) is not None, 20)


@pytest.mark.parametrize("language", ["ro", "en"])
def test_zones_that_the_map_does_not_name_are_called_after_their_direction(language: str) -> None:
    said = [
        zone_words(Zone("s:C", "C", "sector"), words_in(language)),
        zone_words(Zone("s:NE2", "NE", "sector", 2, "Calea Moșilor"), words_in(language)),
        zone_words(Zone("p:Kluuvi", "Kluuvi", "place"), words_in(language)),
    ]
    assert (
        said
        == {
            "ro": ["centru", "marginea de nord-est (Calea Moșilor)", "Kluuvi"],
            "en": ["centre", "outer north-east (Calea Moșilor)", "Kluuvi"],
        }[language]
    )


# ---- over HTTP


@pytest.fixture
def ready(own_room: Room) -> tuple[Room, str]:
    """A room with one ambulance at the railway station, and the city known."""
    unit = own_room.unit("B2", crew=2, at=RAILWAY_STATION)
    own_room.core.coverage.refresh()
    return own_room, unit


def test_the_map_shows_what_is_in_reach_and_what_would_be_if_a_unit_left(ready: tuple[Room, str]) -> None:
    room, unit = ready
    now = room.ana.get("/coverage?capability=")
    assert now.mimetype == "application/geo+json"
    fits(shapes.CoverageShape, now.json)
    assert now.json["capability"] == "first_aid"
    assert [one["capability"] for one in now.json["standards"]][:2] == ["first_aid", "doctor"]
    assert (now.json["fresh"], now.json["source"]) == (True, "buildings")
    covered = [cell for cell in now.json["features"] if not cell["properties"]["gap"]]
    assert covered
    assert all(cell["properties"]["covered_by"] == 1 for cell in covered)
    assert shapely.geometry.shape(covered[0]["geometry"]).area > 0
    without = room.ana.get(f"/coverage?capability=first_aid&without={unit}, {unit}").json
    assert without["without"] == [unit]
    assert without["share"] == 0.0
    assert all(cell["properties"]["gap"] for cell in without["features"])
    # Thinking changes nothing
    assert room.ana.get("/coverage").json["share"] == now.json["share"] > 0


def test_zones_say_how_prepared_they_are_before_and_after(ready: tuple[Room, str]) -> None:
    room, unit = ready
    answer = room.ana.get(f"/coverage/zones?without={unit}").json
    fits(shapes.CoverageZonesShape, answer)
    assert "Kluuvi" in [zone["name"] for zone in answer["zones"]]
    for zone in answer["zones"]:
        first = zone["standards"][0]
        assert first["capability"] == "first_aid"
        assert (first["gap_after_pct"], first["preparedness_after_pct"]) == (100.0, 0.0)
        assert first["gap_pct"] < 100.0
    plain = room.ana.get("/coverage/zones").json["zones"]
    assert all(s["gap_pct"] == s["gap_after_pct"] for zone in plain for s in zone["standards"])


def test_isochrones_hold_the_streets_that_are_reached_and_those_of_more_minutes_more(
    ready: tuple[Room, str],
) -> None:
    room, unit = ready
    answer = room.ana.get(f"/isochrones?unit={unit}&minutes=2,1.5,1")
    assert answer.mimetype == "application/geo+json"
    fits(shapes.IsochronesShape, answer.json)
    assert (answer.json["mode"], answer.json["from"]["name"]) == ("ambulance_priority", unit)
    minutes = [feature["properties"]["minutes"] for feature in answer.json["features"]]
    assert minutes == [1, 1.5, 2]
    areas = [shapely.geometry.shape(feature["geometry"]).area for feature in answer.json["features"]]
    assert areas[0] < areas[1] < areas[2]
    again = room.ana.get(f"/isochrones?unit={unit}&minutes=2,1.5,1")
    assert again.data == answer.data


def test_a_station_is_one_that_units_have_or_one_of_the_map(ready: tuple[Room, str]) -> None:
    room, _ = ready
    lon, lat = RAILWAY_STATION
    room.unit("ASAS", crew=5, base={"lon": lon, "lat": lat})
    own = room.ana.get("/isochrones?station=Nord&minutes=5").json
    assert (own["mode"], own["turnout_s"]) == ("fire_engine_priority", 60)
    (first, *_) = room.ana.get("/layers/stations").json["features"]
    mapped = room.ana.get(f"/isochrones?station={first['properties']['ref']}&minutes=5")
    assert mapped.status_code == 200
    assert mapped.json["turnout_s"] == 0
    on_foot = room.ana.get("/isochrones?station=Nord&minutes=5&profile=air").json
    assert on_foot["mode"] == "air"


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("/coverage?capability=levitation", 422, "unknown-capability", "capability"),
        ("/coverage?capability=foam", 422, "unknown-capability", "capability"),
        ("/coverage?without=NIMENI", 422, "unknown-unit", "without"),
        ("/coverage?capabilty=doctor", 422, "invalid", "capabilty"),
        ("/coverage/zones?without=NIMENI", 422, "unknown-unit", "without"),
        ("/isochrones", 422, "unit-or-station", "unit"),
        ("/isochrones?unit=A&station=B", 422, "unit-or-station", "unit"),
        ("/isochrones?unit=NIMENI", 404, "unknown-unit", None),
        ("/isochrones?station=NIMENI", 404, "unknown-station", None),
        ("/isochrones?station=Nord&minutes=0", 422, "invalid", "minutes"),
        ("/isochrones?station=Nord&minutes=10000", 422, "invalid", "minutes"),
        ("/isochrones?station=Nord&minutes=-4", 422, "invalid", "minutes"),
        ("/isochrones?station=Nord&minutes=", 422, "invalid", "minutes"),
        ("/isochrones?station=Nord&minutes=patru", 422, "invalid", "minutes"),
        ("/isochrones?station=Nord&minutes=1,2,3,4,5,6,7", 422, "invalid", "minutes"),
        ("/isochrones?station=Nord&profile=tank", 422, "invalid", "profile"),
    ],
)
def test_what_cannot_be_measured_is_said(
    embedded_room: Room, path: str, status: int, code: str, field: str | None
) -> None:
    is_problem(embedded_room.ana.get(path), status, code, field)


def test_fifty_units_may_be_thought_away_and_no_more(embedded_room: Room) -> None:
    names = ",".join(f"N{n}" for n in range(51))
    is_problem(embedded_room.ana.get(f"/coverage?without={names}"), 422, "too-many-units", "without")


def test_units_without_a_place_or_far_from_every_road_have_no_isochrone(own_room: Room) -> None:
    room = own_room
    nowhere, at_sea = room.unit("B2", crew=2), room.unit("B2", crew=2, at=(20.0, 57.0))
    is_problem(room.ana.get(f"/isochrones?unit={nowhere}"), 409, "no-position", "unit")
    is_problem(room.ana.get(f"/isochrones?unit={at_sea}"), 409, "off-road", "unit")


def test_nobody_on_duty_is_a_city_of_gaps_not_an_error(own_room: Room) -> None:
    room = own_room
    empty = room.ana.get("/coverage")
    assert empty.status_code == 200
    assert all(cell["properties"]["gap"] for cell in empty.json["features"])
    unit = room.unit("B2", crew=2, at=RAILWAY_STATION)
    room.sent(room.incident("M01")["id"], unit)
    busy = room.ana.get(f"/coverage?without={unit}")
    assert busy.json["share"] == 0.0
    assert room.ana.get("/coverage/zones").json["zones"][0]["standards"][0]["gap_pct"] == 100.0


def test_without_a_city_each_call_says_that_one_must_be_imported(open_another: Callable[..., Room]) -> None:
    room = open_another(city=None)
    unit = room.unit("B2", crew=2)
    for path in ("/coverage", "/coverage/zones", f"/isochrones?unit={unit}"):
        is_problem(room.ana.get(path), 404, "no-city")


def test_what_is_covered_is_a_figure_for_prometheus(ready: tuple[Room, str]) -> None:
    room, _ = ready
    admin = room.desk("admin")
    answer = room.app.test_client().get("/metrics", headers={"Authorization": f"Bearer {admin.token}"})
    share = re.search(r'straja_coverage_share\{capability="first_aid"\} ([0-9.]+)', answer.text)
    assert share is not None, answer.text[-2000:]
    assert 0 < float(share[1]) < 1
    assert "straja_coverage_fresh 1.0" in answer.text
