"""Phones with Traccar Client or OwnTracks: where a unit is, told as these apps tell it."""

from __future__ import annotations

import base64
import json
import logging
import math
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import TestResponse

from app import cli
from tests.app.control_room import AREA, RAILWAY_STATION, Room, is_problem

if TYPE_CHECKING:
    from config import Config

FRAMES = sorted((Path(__file__).parent / "frames").glob("*.json"))
LON, LAT = RAILWAY_STATION
OSMAND = f"{AREA}/phones/osmand"
OWNTRACKS = f"{AREA}/phones/owntracks"


class Phone:
    """One phone with its token, speaking as the apps do; `address` is where it comes from."""

    def __init__(self, room: Room, token: str, address: str = "203.0.113.7") -> None:
        self.room = room
        self.token = token
        self.address = address

    def send(self, path: str, method: str = "POST", **more: Any) -> TestResponse:
        client = self.room.app.test_client(use_cookies=False)
        return client.open(path, method=method, environ_base={"REMOTE_ADDR": self.address}, **more)

    def traccar(self, **values: Any) -> TestResponse:
        """A position in the query, by the names of OsmAnd's protocol."""
        given = {"id": self.token, "lat": LAT, "lon": LON, **values}
        return self.send(OSMAND, query_string={k: v for k, v in given.items() if v is not None})

    def owntracks(self, **message: Any) -> TestResponse:
        basic = base64.b64encode(f"f21:{self.token}".encode()).decode()
        return self.send(OWNTRACKS, json=message, headers={"Authorization": f"Basic {basic}"})


def phone_of(room: Room, unit: str, **more: Any) -> Phone:
    return Phone(room, str(room.desk("field", districts=(), unit=unit).token), **more)


def last(room: Room, unit: str) -> Any:
    found = room.core.tracks.last(unit)
    assert found is not None
    return found


def seconds(room: Room, ago: float) -> int:
    return round(room.clock.now_us() / 1e6 - ago)


# ---- the frames of the apps


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: path.stem)
def test_what_the_apps_send_moves_the_unit_that_the_token_is_bound_to(
    open_another: Callable[..., Room], path: Path, tmp_path: Path
) -> None:
    frame = json.loads(path.read_text())
    assert frame["source"]
    room = open_another()
    unit = room.unit()
    phone = phone_of(room, unit)
    headers = {}
    if path.stem.startswith("owntracks"):
        basic = base64.b64encode(f"{unit}:{phone.token}".encode()).decode()
        headers["Authorization"] = f"Basic {basic}"
    answer = phone.send(
        OWNTRACKS if headers else OSMAND,
        frame["method"],
        query_string=frame.get("query", "").replace("TOKEN", phone.token),
        data=frame.get("body", "").replace("TOKEN", phone.token).encode() or None,
        content_type=frame.get("content_type"),
        headers=headers,
    )
    assert answer.status_code == 200, answer.text
    if headers:
        assert answer.json == [], "OwnTracks takes anything else for a message to itself, and sends again"
    else:
        assert answer.json["accepted"] >= 1
        assert answer.json["refused"] == []
    told, wanted = last(room, unit), frame["fix"]
    for name in ("lat", "lon", "speed_mps", "heading_deg", "accuracy_m"):
        assert getattr(told, name) == (
            pytest.approx(wanted[name], abs=1e-3) if wanted[name] is not None else None
        )
    assert (room.clock.now_us() - told.observed_us) / 1e6 == pytest.approx(wanted["seconds_ago"])
    assert told.source.startswith("field-")
    assert phone.token not in answer.text


# ---- who may, and what a wrong token is told


def test_a_phone_moves_its_own_unit_whatever_it_calls_itself(embedded_room: Room) -> None:
    room = embedded_room
    own, other = room.unit(), room.unit(at=(LON + 0.01, LAT))
    before = last(room, other)
    phone = phone_of(room, own)
    phone.owntracks(
        _type="location", lat=LAT, lon=LON, tst=seconds(room, 1), tid=other, topic=f"owntracks/{other}/x"
    )
    assert last(room, own).lon == LON
    assert last(room, other) == before


@pytest.mark.parametrize("way", ["traccar", "owntracks"])
def test_a_token_that_is_wrong_revoked_or_of_no_unit_is_told_so(embedded_room: Room, way: str) -> None:
    room = embedded_room
    unit = room.unit()

    def told(token: str) -> TestResponse:
        phone = Phone(room, token)
        if way == "traccar":
            return phone.traccar(timestamp=seconds(room, 1))
        return phone.owntracks(_type="location", lat=LAT, lon=LON, tst=seconds(room, 1))

    for token in ("12345678", "straja_" + "A" * 43):
        answer = told(token)
        is_problem(answer, 401, "bad-token")
        assert token not in answer.text
    is_problem(told(""), 401, "sign-in")
    is_problem(told(str(room.desk("observer").token)), 403, "forbidden")
    is_problem(told(str(room.desk("gateway").token)), 403, "token-without-unit")
    is_problem(told(str(room.desk("field", districts=(), unit="NU-E").token)), 404, "unknown-unit")
    is_problem(told(str(room.desk("gateway", ["nord"], unit=unit).token)), 403, "forbidden")
    assert room.core.tracks.last(unit) is None
    lost = room.desk("field", districts=(), unit=unit)
    assert told(str(lost.token)).status_code == 200
    assert room.core.accounts.revoke_token(lost.name)
    is_problem(told(str(lost.token)), 401, "bad-token")


def test_an_address_that_tries_tokens_is_locked_and_phones_known_there_go_on(
    open_another: Callable[..., Room],
) -> None:
    room = open_another()
    unit, later = room.unit(), room.unit()
    known, new = phone_of(room, unit), phone_of(room, later)
    assert known.traccar().status_code == 200
    for n in range(30):
        is_problem(Phone(room, f"straja_{n}").traccar(), 401, "bad-token")
    locked = Phone(room, "straja_31").traccar()
    is_problem(locked, 429, "locked")
    assert int(locked.headers["Retry-After"]) <= 60
    # Given a carrier behind whose one address many phones are
    assert known.traccar().status_code == 200
    is_problem(new.traccar(), 429, "locked")
    assert Phone(room, new.token, address="198.51.100.9").traccar().status_code == 200
    room.clock.advance(61)
    assert new.traccar().status_code == 200


def test_no_line_of_the_logs_and_no_answer_holds_a_token(
    embedded_room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = embedded_room
    phone = phone_of(room, room.unit())
    answers = []
    with caplog.at_level(logging.DEBUG):
        answers += [
            phone.traccar(),
            phone.traccar(lat="x"),
            phone.traccar(lat=95),
            phone.traccar(timestamp="x"),
        ]
        answers.append(phone.send(OSMAND, "GET", query_string={"id": phone.token, "lat": 1, "lon": 2}))
        answers.append(phone.owntracks(_type="location", lat="x", lon=LON, tst=seconds(room, 1)))
        # And not when the program itself fails under it
        monkeypatch.setattr(type(room.core.tracks), "accept", lambda *_: 1 / 0)
        answers.append(phone.traccar())
        answers.append(phone.owntracks(_type="location", lat=LAT, lon=LON, tst=seconds(room, 1)))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 200, 500, 500]
    written = caplog.text + "".join(answer.text + str(answer.headers) for answer in answers)
    assert "/phones/osmand" in caplog.text
    assert phone.token not in written
    assert base64.b64encode(f"f21:{phone.token}".encode()).decode() not in written


# ---- what can never be taken must not block what comes after it


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"lat": 91}, "bad-coordinates"),
        ({"lat": "nan"}, "bad-coordinates"),
        ({"lat": 0, "lon": 0}, "bad-coordinates"),
        ({"ago": 8 * 86_400}, "too-old"),
        ({"ago": -3600}, "future"),
    ],
)
def test_a_position_that_can_never_be_taken_is_answered_200_and_left_out(
    embedded_room: Room, more: dict[str, Any], code: str
) -> None:
    """Both apps keep a position until they hear 2xx, and would send nothing else for ever."""
    room = embedded_room
    unit = room.unit()
    phone = phone_of(room, unit)
    at = seconds(room, more.pop("ago", 1))
    answer = phone.traccar(timestamp=at, **more)
    assert answer.status_code == 200
    assert [r["code"] for r in answer.json["refused"]] == [code]
    assert answer.headers["Straja-Left-Out"] == code
    if more.get("lat") != "nan":
        answer = phone.owntracks(**{"_type": "location", "lat": LAT, "lon": LON, "tst": at, **more})
        assert (answer.status_code, answer.json) == (200, [])
        assert answer.headers["Straja-Left-Out"] == code
    assert room.core.tracks.last(unit) is None


@pytest.mark.parametrize(
    "quiet",
    [
        {"lat": None, "lon": None},
        {"lat": None, "lon": None, "alarm": "sos"},
        {"valid": "false"},
        {"valid": "0"},
    ],
)
def test_a_sign_of_life_without_a_position_is_answered_200(
    embedded_room: Room, quiet: dict[str, Any]
) -> None:
    room = embedded_room
    unit = room.unit()
    answer = phone_of(room, unit).traccar(**quiet)
    assert (answer.status_code, answer.json["accepted"]) == (200, 0)
    assert room.core.tracks.last(unit) is None


@pytest.mark.parametrize(
    "kind", ["lwt", "status", "transition", "waypoint", "waypoints", "card", "cmd", "dump"]
)
def test_whatever_else_owntracks_tells_is_accepted_and_ignored(embedded_room: Room, kind: str) -> None:
    room = embedded_room
    unit = room.unit()
    answer = phone_of(room, unit).owntracks(_type=kind, tst=seconds(room, 0), lat=LAT, lon=LON)
    assert (answer.status_code, answer.json) == (200, [])
    assert room.core.tracks.last(unit) is None


def test_a_ping_of_owntracks_does_not_make_an_old_position_look_new(embedded_room: Room) -> None:
    room = embedded_room
    unit = room.unit()
    phone = phone_of(room, unit)
    phone.owntracks(_type="location", lat=LAT, lon=LON, tst=seconds(room, 600), t="t")
    assert phone.owntracks(_type="location", lat=LAT, lon=LON, tst=seconds(room, 0), t="p").json == []
    assert (room.clock.now_us() - last(room, unit).observed_us) / 1e6 >= 600


def test_an_encrypted_app_is_told_that_nobody_hears_it(embedded_room: Room) -> None:
    phone = phone_of(embedded_room, embedded_room.unit())
    is_problem(phone.owntracks(_type="encrypted", data="x"), 422, "encrypted", "_type")


def test_an_empty_message_of_owntracks_is_ignored(embedded_room: Room) -> None:
    phone = phone_of(embedded_room, embedded_room.unit())
    basic = base64.b64encode(f"f21:{phone.token}".encode()).decode()
    answer = phone.send(OWNTRACKS, data=b"", headers={"Authorization": f"Basic {basic}"})
    assert (answer.status_code, answer.json) == (200, [])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"lat": "north"}, "bad-coordinates"),
        ({"lat": "6_0"}, "bad-coordinates"),
        ({"lat": "٦٠"}, "bad-coordinates"),
        ({"lat": "inf"}, "bad-coordinates"),
        ({"lon": None}, "bad-coordinates"),
        ({"timestamp": "yesterday"}, "bad-time"),
        ({"timestamp": "nan"}, "bad-time"),
        ({"timestamp": "-1"}, "bad-time"),
        ({"timestamp": "1e400"}, "bad-time"),
        ({"timestamp": "9" * 400}, "bad-time"),
        ({"timestamp": "١٧٩٥٤٠٢٧٩٠"}, "bad-time"),
        ({"timestamp": "1_795_402_790"}, "bad-time"),
    ],
)
def test_a_value_that_can_never_be_right_does_not_block_what_waits_behind_it(
    embedded_room: Room, given: dict[str, Any], code: str
) -> None:
    room = embedded_room
    unit = room.unit()
    answer = phone_of(room, unit).traccar(**given)
    assert (answer.status_code, answer.headers["Straja-Left-Out"]) == (200, code)
    assert [one["code"] for one in answer.json["refused"]] == [code]
    assert next(iter(given)) in answer.json["refused"][0]["detail"]
    assert room.core.tracks.last(unit) is None


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"lat": None}, "bad-coordinates"),
        ({"lat": True}, "bad-coordinates"),
        ({"lat": [60]}, "bad-coordinates"),
        ({"lat": math.nan}, "bad-coordinates"),
        ({"lon": 10**400}, "bad-coordinates"),
        ({"tst": -1}, "bad-time"),
        ({"tst": math.inf}, "bad-time"),
        ({"tst": math.nan}, "bad-time"),
        ({"tst": True}, "bad-time"),
        ({"tst": {}}, "bad-time"),
        ({"tst": ""}, "bad-time"),
        ({"tst": None}, "bad-time"),
    ],
)
def test_owntracks_is_told_200_of_a_value_that_can_never_be_right(
    embedded_room: Room, given: dict[str, Any], code: str
) -> None:
    room = embedded_room
    unit = room.unit()
    message = {"_type": "location", "lat": LAT, "lon": LON, "tst": seconds(room, 1), **given}
    answer = phone_of(room, unit).owntracks(**{k: v for k, v in message.items() if v is not None})
    assert (answer.status_code, answer.json) == (200, [])
    assert answer.headers["Straja-Left-Out"] == code
    assert room.core.tracks.last(unit) is None


@pytest.mark.parametrize(
    "given", [{"speed": "fast"}, {"speed": "1_0"}, {"bearing": "N"}, {"accuracy": "good"}]
)
def test_a_speed_heading_or_accuracy_that_is_none_does_not_cost_the_position(
    embedded_room: Room, given: dict[str, Any]
) -> None:
    room = embedded_room
    unit = room.unit()
    assert phone_of(room, unit).traccar(**given).json["accepted"] == 1
    told = last(room, unit)
    assert (told.speed_mps, told.heading_deg, told.accuracy_m) == (None, None, None)


def test_of_a_list_each_row_left_out_is_named_by_its_own_place(embedded_room: Room) -> None:
    room = embedded_room
    unit = room.unit()
    phone = phone_of(room, unit)
    good = {"id": phone.token, "lat": LAT, "lon": LON, "timestamp": seconds(room, 1)}
    listed = [{"id": phone.token}, {**good, "lat": 91}, {**good, "timestamp": "x"}, good]
    answer = phone.send(OSMAND, json=listed)
    assert [(one["index"], one["code"]) for one in answer.json["refused"]] == [
        (1, "bad-coordinates"),
        (2, "bad-time"),
    ]
    assert answer.json["accepted"] == 1


def test_a_list_without_a_position_is_a_sign_of_life_and_its_token_counts(embedded_room: Room) -> None:
    room = embedded_room
    phone = phone_of(room, room.unit())
    for answer in (
        phone.send(OSMAND, json={"id": phone.token, "location": []}),
        phone.send(f"{OSMAND}?id={phone.token}", json=[]),
    ):
        assert (answer.status_code, answer.json["accepted"]) == (200, 0)
    is_problem(phone.send(OSMAND, json={"id": "straja_x", "location": []}), 401, "bad-token")


def test_bodies_that_no_app_sends(embedded_room: Room) -> None:
    room = embedded_room
    phone = phone_of(room, room.unit())
    url = f"{OSMAND}?id={phone.token}"
    is_problem(phone.send(url, data=b"[{", content_type="application/json"), 400)
    is_problem(phone.send(url, data=b"[" * 100_000, content_type="application/json"), 400)
    is_problem(phone.send(url, json=[7]), 422, "invalid", "body")
    is_problem(phone.send(url, json={"device_id": phone.token, "location": [7]}), 422, "invalid", "location")
    is_problem(
        phone.send(url, json={"device_id": phone.token, "location": {"coords": 7}}),
        422,
        "invalid",
        "location.coords",
    )
    is_problem(phone.send(url, json=[{"id": phone.token}] * 1001), 413, "too-many-positions")
    is_problem(phone.send(url, json=[{"id": phone.token}, {"id": "straja_b"}]), 422, "invalid", "id")
    is_problem(phone.owntracks(lat=LAT), 422, "invalid", "_type")
    is_problem(phone.send(OSMAND, "DELETE"), 405)


# ---- hours without a network, and clocks


@pytest.mark.parametrize("order", ["in order", "newest first"])
def test_a_buffer_of_hours_goes_into_the_history_without_moving_the_unit_back(
    open_another: Callable[..., Room], order: str
) -> None:
    """Given a crew for two hours in a valley, when its phone sends what it kept, one by one and some of it
    twice, then the trail is whole, each position once, and the unit is where it is now."""
    room = open_another()
    unit = room.unit()
    phone = phone_of(room, unit)
    kept = [(seconds(room, 7200 - 60 * i), round(60.10 + i * 1e-3, 6)) for i in range(120)]
    sent = kept if order == "in order" else kept[::-1]
    for at, lat in [*sent[:60], *sent[50:]]:
        assert phone.traccar(timestamp=at, lat=lat).status_code == 200
    assert last(room, unit).lat == kept[-1][1]
    assert room.core.tracks.drain()
    trail = room.core.tracks.trail(unit, 0, room.clock.now_us())
    assert [(fix.observed_us // 1_000_000, fix.lat) for fix in trail] == kept


def test_a_clock_that_is_ahead_is_corrected_also_for_what_waits_behind(
    open_another: Callable[..., Room],
) -> None:
    """Given a phone five minutes ahead that comes out of a tunnel and sends the newest first, then each
    position is as old as it is, none is refused, and none lies in the future."""
    room = open_another()
    unit = room.unit()
    phone = phone_of(room, unit)
    ages = [0, 10, 20, 30]
    for age in ages:
        answer = phone.traccar(timestamp=seconds(room, age - 300), lat=LAT + age * 1e-4)
        assert answer.json["refused"] == []
    assert last(room, unit).lat == LAT
    assert room.core.tracks.drain()
    trail = room.core.tracks.trail(unit, 0, room.clock.now_us())
    assert [round((room.clock.now_us() - fix.observed_us) / 1e6) for fix in trail] == ages[::-1]
    # When its clock was set right, it is believed again within a minute
    room.clock.advance(61)
    phone.traccar(timestamp=seconds(room, 2), lat=LAT + 0.01)
    assert round((room.clock.now_us() - last(room, unit).observed_us) / 1e6) == 2


@pytest.mark.parametrize(
    "written",
    ["1795402790", "1795402790.0", "1795402790000", "2026-11-23T02:59:50Z", "2026-11-23T02:59:50.000Z",
     "2026-11-23T04:59:50+02:00", "2026-11-23T04:59:50 02:00", "2026-11-23 02:59:50"],
)  # fmt: skip
def test_each_way_of_writing_the_time_means_the_same(open_another: Callable[..., Room], written: str) -> None:
    room = open_another()
    unit = room.unit()
    assert phone_of(room, unit).traccar(timestamp=written).json["accepted"] == 1
    assert room.clock.now_us() - last(room, unit).observed_us == 10_000_000


def test_without_a_time_it_was_now(embedded_room: Room) -> None:
    room = embedded_room
    unit = room.unit()
    phone_of(room, unit).traccar()
    assert last(room, unit).observed_us == room.clock.now_us()


def test_while_too_much_waits_for_the_disk_the_phone_keeps_its_position(
    embedded_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = embedded_room
    phone = phone_of(room, room.unit())
    monkeypatch.setattr(room.core.tracks, "_pending_max", 0)
    is_problem(phone.traccar(), 503, "overloaded")
    message = {"_type": "location", "lat": LAT, "lon": LON, "tst": seconds(room, 1)}
    is_problem(phone.owntracks(**message), 503, "overloaded")


# ---- setting a phone up


def test_the_command_prints_what_each_app_needs(
    open_another: Callable[..., Room], capsys: pytest.CaptureFixture[str]
) -> None:
    room = open_another()
    unit = room.unit(call_sign="F21")
    config: Config = room.core.config
    cli.run_phone(config, Namespace(unit=unit, name="", url="https://straja.example/"))
    out = capsys.readouterr().out
    token = out.splitlines()[-1]
    assert "https://straja.example/api/v1/phones/osmand\n" in out
    link = next(word for word in out.split() if word.startswith("https://") and "?id=" in word)
    assert f"?id={token}&" in link
    packed = next(word for word in out.split() if word.startswith("owntracks:///config?inline="))
    settings = json.loads(
        base64.b64decode(packed.partition("=")[2].replace("%3D", "=").replace("%2B", "+").replace("%2F", "/"))
    )
    assert (settings["_type"], settings["mode"], settings["username"]) == ("configuration", 3, "F21")
    # Then a phone set up so moves the unit
    assert Phone(room, token).traccar().json["accepted"] == 1
    assert (
        Phone(room, settings["password"])
        .owntracks(_type="location", lat=LAT, lon=LON, tst=seconds(room, 0))
        .json
        == []
    )
