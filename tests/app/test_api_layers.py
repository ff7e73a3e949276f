"""Reference layers over HTTP, and how the city's own come into the database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from app import layers as city_layers
from app.api import shapes
from gis import layers
from gis.city import open_city
from tests.app.control_room import RAILWAY_STATION, Room, is_problem

EAST_OF_THE_STATION = "24.945,60.168,24.955,60.175"


def get(room: Room, path: str, **headers: str) -> Any:
    answer = room.ana.get(path, **headers)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.data)


def test_every_layer_of_the_city_is_listed_in_both_languages(shared_room: Room) -> None:
    found = get(shared_room, "/layers")
    shapes.Layers.model_validate(found, strict=True)
    own = {one["layer"]: one for one in found if one["source"] == "osm"}
    assert set(own) == set(layers.LAYERS)
    assert own["street_lamps"]["count"] == 586
    assert own["hospitals"]["count"] == 0, "that none is known is told too"
    assert own["hydrants"]["title"] == {"ro": "Hidranți și surse de apă", "en": "Hydrants and fire water"}


def test_a_box_gives_the_features_in_it_as_geojson(shared_room: Room) -> None:
    answer = shared_room.ana.get(f"/layers/hydrants?bbox={EAST_OF_THE_STATION}")
    assert answer.mimetype == "application/geo+json"
    found = json.loads(answer.data)
    shapes.Features.model_validate(found, strict=True)
    assert 0 < len(found["features"]) < 37
    assert not found["truncated"]
    for one in found["features"]:
        lon, lat = one["geometry"]["coordinates"]
        assert 24.945 <= lon <= 24.955
        assert 60.168 <= lat <= 60.175
        assert one["properties"]["layer"] == "hydrants"
        assert one["properties"]["source"] == "osm"
        assert one["properties"]["ref"].startswith("node/")
    assert len(get(shared_room, "/layers/hydrants")["features"]) == 37


def test_when_there_is_more_than_asked_for_it_says_so(shared_room: Room) -> None:
    found = get(shared_room, "/layers/street_lamps?limit=100")
    assert (len(found["features"]), found["truncated"]) == (100, True)


def test_a_line_or_an_area_names_the_point_where_it_is_marked(shared_room: Room) -> None:
    [station] = get(shared_room, "/layers/stations")["features"]
    assert station["geometry"]["type"] == "Polygon"
    lon, lat = station["properties"]["point"]
    assert (round(lon, 3), round(lat, 3)) == (24.945, 60.165)


def test_the_nearest_come_first_with_their_distance(shared_room: Room) -> None:
    lon, lat = RAILWAY_STATION
    found = get(shared_room, f"/layers/hydrants/nearest?lon={lon}&lat={lat}&limit=4")
    shapes.Features.model_validate(found, strict=True)
    metres = [one["properties"]["distance_m"] for one in found["features"]]
    assert len(metres) == 4
    assert metres == sorted(metres)
    assert 0 < metres[0] < 1_000
    assert get(shared_room, "/layers/hydrants/nearest?lon=0&lat=0")["features"] == []


def test_from_afar_a_layer_is_told_by_how_much_stands_where(shared_room: Room) -> None:
    # given the lamps of the whole city by squares of 150 m
    found = get(shared_room, "/layers/street_lamps/density")
    shapes.Density.model_validate_json(json.dumps(found), strict=True)
    # then every lamp is in one square, and there are far fewer squares than lamps
    assert found["count"] == sum(n for _, _, n in found["cells"]) == 586
    assert len(found["cells"]) < 300
    # and the sum of the places is that of the lamps
    lamps = get(shared_room, "/layers/street_lamps?limit=1000")["features"]
    for axis in (0, 1):
        own = sum(one["geometry"]["coordinates"][axis] for one in lamps)
        assert sum(cell[axis] * cell[2] for cell in found["cells"]) == pytest.approx(own, abs=1e-3)
    # and squares twelve times as wide are fewer
    assert len(get(shared_room, "/layers/street_lamps/density?cell_m=1800")["cells"]) < 12
    assert get(shared_room, "/layers/hospitals/density")["cells"] == []
    # and what has not changed is not sent again
    first = shared_room.ana.get("/layers/street_lamps/density")
    again = shared_room.ana.get("/layers/street_lamps/density", if_none_match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    # and what cannot be is refused by name
    is_problem(shared_room.ana.get("/layers/street_lamps/density?cell_m=3"), 422, "invalid", "cell_m")
    is_problem(shared_room.ana.get("/layers/nowhere/density"), 404, "unknown-layer")


def test_what_has_not_changed_is_not_sent_again(shared_room: Room) -> None:
    path = f"/layers/street_lamps?bbox={EAST_OF_THE_STATION}"
    first = shared_room.ana.get(path)
    assert "no-store" not in first.headers["Cache-Control"]
    again = shared_room.ana.get(path, if_none_match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    other = shared_room.ana.get(f"{path}&limit=5", if_none_match=first.headers["ETag"])
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/layers/hydrants?bbox=1,2,3", "bbox"),
        ("/layers/hydrants?bbox=a,b,c,d", "bbox"),
        ("/layers/hydrants?bbox=25,60,24,61", "bbox"),
        ("/layers/hydrants?bbox=24,61,25,60", "bbox"),
        ("/layers/hydrants?bbox=nan,60,25,61", "bbox"),
        ("/layers/hydrants?bbox=2_4,60,25,61", "bbox"),
        ("/layers/hydrants?bbox=٢٤,60,25,61", "bbox"),
        ("/layers/hydrants?bbox=24,60,25,91", "bbox"),
        ("/layers/hydrants?limit=0", "limit"),
        ("/layers/hydrants?limit=10001", "limit"),
        ("/layers/hydrants?boks=1", "boks"),
        ("/layers/hydrants/nearest?lon=24", "lat"),
        ("/layers/hydrants/nearest?lon=inf&lat=60", "lon"),
        ("/layers/hydrants/nearest?lon=24&lat=60&limit=101", "limit"),
        ("/layers/" + "x" * 33, "layer"),
    ],
)
def test_a_question_that_cannot_be_answered_names_the_field(
    embedded_room: Room, path: str, field: str
) -> None:
    is_problem(embedded_room.ana.get(path), 422, "invalid", field)


def test_a_layer_that_nobody_has_is_not_found(embedded_room: Room) -> None:
    is_problem(embedded_room.ana.get("/layers/volcanoes"), 404, "unknown-layer")
    is_problem(embedded_room.ana.get("/layers/volcanoes/nearest?lon=24&lat=60"), 404, "unknown-layer")


def test_without_a_city_there_are_no_layers(open_another: Callable[..., Room]) -> None:
    room = open_another(city=None)
    assert get(room, "/layers") == []
    is_problem(room.ana.get("/layers/hydrants"), 404, "no-city")


# ---- from the city's folder into the database


def test_a_start_loads_what_the_database_lacks_and_nothing_twice(
    open_another: Callable[..., Room], helsinki: Path, tmp_path: Path
) -> None:
    room = open_another()
    info = open_city(helsinki).info
    with Session(room.core.engine) as session:
        first = layers.imports(session, "helsinki")
    assert {one.version for one in first} == {info.built_at}
    # When a second process starts, or the first one again
    room.clock.advance(60)
    written: list[str] = []
    event.listen(room.core.engine, "before_cursor_execute", lambda _c, _k, sql, *_: written.append(sql))
    city_layers.load_if_newer(room.core.engine, room.clock, helsinki, info)
    told = [sql for sql in written if "reference_" in sql]
    assert told
    assert all(sql.startswith("SELECT") for sql in told)
    # When the database was restored from before, or lost a layer
    with Session(room.core.engine) as session:
        layers.remove(session, "helsinki", "hydrants", "osm")
        session.commit()
    city_layers.load_if_newer(room.core.engine, room.clock, helsinki, info)
    assert len(get(room, "/layers/hydrants")["features"]) == 37


def test_a_node_with_an_older_map_does_not_take_the_newer_one_away(
    own_room: Room, helsinki: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    older.mkdir()
    (older / "layers.geojsonl").write_text("")
    info = open_city(helsinki).info
    stale = replace(info, built_at="2020-01-01T00:00:00Z")
    city_layers.load_if_newer(own_room.core.engine, own_room.clock, older, stale)
    assert len(get(own_room, "/layers/hydrants")["features"]) == 37
    # but a newer one does, and the operator's own layers stay
    newer = replace(info, built_at="2099-01-01T00:00:00Z")
    city_layers.load_if_newer(own_room.core.engine, own_room.clock, older, newer)
    assert get(own_room, "/layers/hydrants")["features"] == []


def test_a_damaged_file_of_layers_does_not_keep_the_station_from_starting(
    open_another: Callable[..., Room], helsinki: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harmed = tmp_path / "harmed" / "helsinki"
    shutil.copytree(helsinki, harmed)
    (harmed / "layers.geojsonl").write_text('{"type":"Feature","prop')
    room = open_another(city=harmed)
    assert "could not be loaded" in caplog.text
    assert get(room, "/layers") == []
    assert room.incident()["state"] == "open"
