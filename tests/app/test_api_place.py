"""The city over HTTP: its map, its addresses, and the words of the trade."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
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


@pytest.mark.parametrize("path", ["/catalogue", "/city/tiles"])
def test_what_seldom_changes_is_sent_once(embedded_room: Room, path: str) -> None:
    first = embedded_room.ana.get(path)
    assert first.status_code == 200
    assert "no-store" not in first.headers.get("Cache-Control", ""), "a browser may keep it, and ask again"
    again = embedded_room.ana.get(path, if_none_match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    assert embedded_room.ana.get(path, if_none_match='"another"').status_code == 200


def test_the_base_map_is_read_piece_by_piece(embedded_room: Room) -> None:
    room = embedded_room
    told = room.ana.get("/city").json["tiles"]
    assert (told["min_zoom"], told["max_zoom"]) == (0, 15)
    path = told["url"].removeprefix("/api/v1")
    whole = room.ana.get(path)
    assert (whole.status_code, whole.mimetype) == (200, "application/vnd.pmtiles")
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.data[:8] == b"PMTiles\x03"
    tag = whole.headers["ETag"]
    assert not tag.startswith("W/"), "ranges are put together by a strong tag only"
    assert "immutable" in whole.headers["Cache-Control"]
    # a piece, the end, and what lies beyond it
    piece = room.ana.get(path, range="bytes=100-299", accept_encoding="gzip, br")
    assert (piece.status_code, piece.data) == (206, whole.data[100:300])
    assert piece.headers["Content-Range"] == f"bytes 100-299/{len(whole.data)}"
    assert piece.headers["ETag"] == tag
    assert "Content-Encoding" not in piece.headers
    assert room.ana.get(path, range="bytes=-5").data == whole.data[-5:]
    beyond = room.ana.get(path, range=f"bytes={len(whole.data)}-")
    assert is_problem(beyond, 416, "requested-range-not-satisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole.data)}"
    # not sent twice; and a piece of another file is not put beside the first
    assert room.ana.get(path, if_none_match=tag).status_code == 304
    assert room.ana.get(path, range="bytes=0-9", if_range=tag).status_code == 206
    assert room.ana.get(path, range="bytes=0-9", if_range='"another"').status_code == 200
    # without its version, or with another one, the address is asked for again each time
    for other in ("/city/tiles", "/city/tiles?v=0123"):
        assert room.ana.get(other).headers["Cache-Control"] == "private, no-cache"
    assert is_problem(room.ana.get("/city/tiles?w=1"), 422, "invalid")


class Archive:
    """A reader of PMTiles, version 3, that knows the file only by the ranges that the door gives it."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self.read = read
        fields = struct.unpack("<7sB11Q6B4iB2i", read(0, 127))
        assert fields[:2] == (b"PMTiles", 3)
        self.root, self.about, self.leaves, self.tiles = (fields[i : i + 2] for i in (2, 4, 6, 8))

    def metadata(self) -> Any:
        return json.loads(gzip.decompress(self.read(*self.about)))

    def tile(self, zoom: int, x: int, y: int) -> bytes:
        """The tile, unpacked; nothing where there is none."""
        wanted, at, length = self.number(zoom, x, y), *self.root
        for _ in range(3):
            rows = self.directory(gzip.decompress(self.read(at, length)))
            row = max((row for row in rows if row[0] <= wanted), default=None)
            if row is None:
                return b""
            first, run, size, offset = row
            if run:
                found = wanted < first + run
                return gzip.decompress(self.read(self.tiles[0] + offset, size)) if found else b""
            at, length = self.leaves[0] + offset, size
        return b""

    @staticmethod
    def number(zoom: int, x: int, y: int) -> int:
        """Tiles are numbered along a Hilbert curve, zoom after zoom."""
        number = (4**zoom - 1) // 3
        for half in (1 << bit for bit in reversed(range(zoom))):
            right, lower = bool(x & half), bool(y & half)
            number += half * half * ((3 * right) ^ lower)
            if not lower:
                if right:
                    x, y = half - 1 - (x & (half - 1)), half - 1 - (y & (half - 1))
                x, y = y, x
        return number

    @staticmethod
    def directory(raw: bytes) -> list[tuple[int, int, int, int]]:
        """Rows of (first tile, how many, bytes, offset)."""
        numbers: list[int] = []
        number = shift = 0
        for byte in raw:
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                numbers.append(number)
                number = shift = 0
        count, *rest = numbers
        ids = list(itertools.accumulate(rest[:count]))
        runs, sizes, offsets = rest[count : 2 * count], rest[2 * count : 3 * count], rest[3 * count :]
        places: list[int] = []
        for i, offset in enumerate(offsets):
            places.append(offset - 1 if offset else places[-1] + sizes[i - 1])
        return list(zip(ids, runs, sizes, places, strict=True))


def test_a_reader_of_pmtiles_finds_the_harbour_through_the_door(embedded_room: Room) -> None:
    room = embedded_room
    path = room.ana.get("/city").json["tiles"]["url"].removeprefix("/api/v1")

    def read(at: int, length: int) -> bytes:
        answer = room.ana.get(path, range=f"bytes={at}-{at + length - 1}")
        assert (answer.status_code, len(answer.data)) == (206, length)
        return answer.data

    archive = Archive(read)
    about = archive.metadata()
    assert (about["name"], about["attribution"]) == ("helsinki", "© OpenStreetMap contributors")
    lon, lat = 24.9450, 60.1773  # Kaisaniemenlahti
    for zoom in (12, 14, 15):
        n = 2**zoom
        y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n
        tile = archive.tile(zoom, int((lon + 180) / 360 * n), int(y))
        assert b"ocean" in tile, zoom
        assert b"earth" in tile, zoom
    assert archive.tile(15, 0, 0) == b""


def test_without_a_base_map_the_rest_of_the_city_works_and_the_map_is_a_404(
    open_another: Callable[..., Room], helsinki: Path, tmp_path: Path
) -> None:
    # given a city whose base map was lost, and a station without any city
    lost = tmp_path / "lost"
    lost.mkdir()
    for part in helsinki.iterdir():
        if part.name != "tiles.pmtiles":
            (lost / part.name).symlink_to(part)
    room = open_another(city=lost)
    assert room.ana.get("/city").json["tiles"] is None
    assert is_problem(room.ana.get("/city/tiles"), 404, "no-tiles")
    assert search(room, "Mannerheimintie")


def test_a_base_map_imported_anew_is_told_from_the_one_that_was_there(
    open_another: Callable[..., Room], helsinki: Path, tmp_path: Path
) -> None:
    # given a station at work in a city
    copy = tmp_path / "copy"
    shutil.copytree(helsinki, copy)
    room = open_another(city=copy)
    path = room.ana.get("/city").json["tiles"]["url"].removeprefix("/api/v1")
    before = room.ana.get(path)
    # when the city is imported anew under its feet
    (copy / "new").write_bytes(before.data + b"more")
    (copy / "new").rename(copy / "tiles.pmtiles")
    # then the pieces of the two are never taken for one file
    after = room.ana.get(path)
    assert after.data != before.data
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.headers["Cache-Control"] == "private, no-cache"
    # and when it is gone, that is said
    (copy / "tiles.pmtiles").unlink()
    assert is_problem(room.ana.get(path), 404, "no-tiles")


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
    is_problem(room.ana.get("/city/tiles"), 404, "no-tiles")
    assert search(room, "Kaivokatu") == []
    is_problem(room.ana.get("/addresses/reverse?lon=24.94&lat=60.17"), 404, "nothing-near")
    # An incident given by coordinates is taken anywhere on earth, and named by them
    row = room.incident(at=(26.1025, 44.4268))
    assert row["address"] == "44.42680, 26.10250"
    health = room.app.test_client().get("/healthz").json
    assert (health["parts"]["city"], health["status"]) == ("none", "degraded")
