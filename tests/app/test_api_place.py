"""The city over HTTP: its map, its addresses, and the words of the trade."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.app.control_room import RAILWAY_STATION, Room, is_problem


def search(room: Room, text: str, **more: Any) -> list[dict[str, Any]]:
    client = room.app.test_client(use_cookies=False)
    headers = {"Authorization": f"Bearer {room.ana.token}"}
    answer = client.get("/api/v1/addresses", query_string={"q": text, **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json
    return found


def test_the_catalogue_is_the_whole_pack_in_both_languages(embedded_room: Room) -> None:
    found = embedded_room.ana.get("/catalogue").json
    for section in (
        "agencies",
        "priorities",
        "medical_codes",
        "unit_types",
        "capabilities",
        "statuses",
        "status_flags",
        "alarm_levels",
        "incident_types",
        "partners",
    ):
        assert found[section], section
        assert all(entry["ro"] and entry["en"] for entry in found[section]), section
    assert found["pack"] == "ro"
    assert embedded_room.ana.get("/incident-types").json == found["incident_types"]
    fire = next(entry for entry in found["incident_types"] if entry["code"] == "F01")
    assert fire["priority"] == "P1"


@pytest.mark.parametrize("path", ["/catalogue", "/city/roads"])
def test_what_seldom_changes_is_sent_once(embedded_room: Room, path: str) -> None:
    first = embedded_room.ana.get(path)
    assert first.status_code == 200
    assert "no-store" not in first.headers.get("Cache-Control", ""), "a browser may keep it, and ask again"
    again = embedded_room.ana.get(path, if_none_match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    assert embedded_room.ana.get(path, if_none_match='"another"').status_code == 200


def test_the_map_is_geojson_plain_or_packed(embedded_room: Room) -> None:
    plain = embedded_room.ana.get("/city/roads")
    packed = embedded_room.ana.get("/city/roads", accept_encoding="gzip, br")
    assert plain.mimetype == packed.mimetype == "application/geo+json"
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != packed.headers["ETag"]
    assert gzip.decompress(packed.data) == plain.data
    drawn = json.loads(plain.data)
    assert drawn["type"] == "FeatureCollection"
    layers = {feature["properties"]["layer"] for feature in drawn["features"]}
    assert layers == {"road", "water", "park", "building", "rail"}
    names = {feature["properties"].get("name") for feature in drawn["features"]}
    assert "Mannerheimintie" in names


def test_the_city_says_which_it_is_and_where(embedded_room: Room) -> None:
    found = embedded_room.ana.get("/city").json
    assert found["name"] == "helsinki"
    west, south, east, north = found["bbox"]
    lon, lat = found["center"]
    assert west < lon < east
    assert south < lat < north
    assert found["addresses"] > 600
    assert "OpenStreetMap" in found["attribution"]
    assert found["node"] == {"station": "C1", "station_name": "Centru", "district": "centru"}
    assert found["demo"] is False


def test_addresses_are_found_by_what_people_type(embedded_room: Room) -> None:
    room = embedded_room
    [best, *_] = search(room, "mannerheimintie 10")
    assert (best["label"], best["kind"], best["match"]) == ("Mannerheimintie 10", "address", "exact")
    assert (round(best["lon"], 4), round(best["lat"], 4)) == (24.9414, 60.1676)
    assert best["parts"] == {"street": "Mannerheimintie", "number": "10", "city": "Helsinki"}
    assert search(room, "KAIVOKATU X MANNERHEIMINTIE")[0]["kind"] == "crossing"
    assert search(room, "60.1699, 24.9384")[0]["kind"] == "coordinates"
    assert len(search(room, "katu", limit=3)) == 3
    assert search(room, "???") == []
    assert search(room, "kaivokatu", lon=RAILWAY_STATION[0], lat=RAILWAY_STATION[1])[0]["match"] == "exact"


def test_a_point_on_the_map_is_put_in_words(embedded_room: Room) -> None:
    found = embedded_room.ana.get("/addresses/reverse?lon=24.94&lat=60.17").json
    assert found["label"] == "Kaivokäytävä 10"
    assert 0 < found["distance_m"] < 50
    is_problem(embedded_room.ana.get("/addresses/reverse?lon=0&lat=0"), 404, "nothing-near")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/addresses", "q"),
        ("/addresses?q=", "q"),
        ("/addresses?q=" + "x" * 201, "q"),
        ("/addresses?q=%00", "q"),
        ("/addresses?q=a&limit=0", "limit"),
        ("/addresses?q=a&limit=51", "limit"),
        ("/addresses?q=a&lon=200&lat=60", "lon"),
        ("/addresses?q=a&lon=nan&lat=60", "lon"),
        ("/addresses?q=a&near=me", "near"),
        ("/addresses/reverse?lon=24.9", "lat"),
        ("/addresses/reverse?lon=nan&lat=60", "lon"),
        ("/addresses/reverse?lon=24.9&lat=91", "lat"),
        ("/addresses/reverse?lon=east&lat=60", "lon"),
    ],
)
def test_a_question_that_cannot_be_answered_names_the_field(
    embedded_room: Room, path: str, field: str
) -> None:
    is_problem(embedded_room.ana.get(path), 422, "invalid", field)


def test_without_a_city_everything_else_goes_on(open_another: Callable[..., Room]) -> None:
    room = open_another(city=None)
    assert room.ana.get("/city").json["name"] is None
    is_problem(room.ana.get("/city/roads"), 404, "no-city")
    assert search(room, "Kaivokatu") == []
    is_problem(room.ana.get("/addresses/reverse?lon=24.94&lat=60.17"), 404, "nothing-near")
    # An incident given by coordinates is taken anywhere on earth, and named by them
    row = room.incident(at=(26.1025, 44.4268))
    assert row["address"] == "44.42680, 26.10250"
    health = room.app.test_client().get("/healthz").json
    assert (health["parts"]["city"], health["status"]) == ("none", "degraded")
