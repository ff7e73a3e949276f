"""Incidents over HTTP: taking calls, bad input, sending units, lists, what to send and why."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.app.control_room import (
    AREA,
    CALLER,
    PHONE,
    RAILWAY_STATION,
    Room,
    is_problem,
    next_page,
    pages,
    rfc3339,
)

LON, LAT = RAILWAY_STATION
AT = {"lon": LON, "lat": LAT}
FAR_EAST = (24.9530, 60.1712)
WEST = (24.9360, 60.1712)


# ---- taking a call


def test_a_call_is_taken_and_read_back(shared_room: Room) -> None:
    room = shared_room
    # Given a call of which a good deal is known
    report = {
        "id": room.uuid().upper(),
        "type": "F01",
        "priority": "P2",
        "location": AT,
        "address": {"street": "Kaivokatu", "number": "1", "block": "A", "staircase": "2", "apartment": "17"},
        "description": "fum pe scară, doi oameni la geam",
        "caller": CALLER,
        "case_numbers": [{"agency": "STS112", "number": "112-2026-000123"}],
        "source": "112",
        "observed_at": room.ago(90),
    }
    # When it is reported
    answer = room.ana.post("/incidents", report)
    # Then every part of it is kept, with where it came from and when
    assert answer.status_code == 201
    row = answer.json
    cursor = row.pop("log_position")
    assert room.core.log.position_of(cursor) is not None
    assert row["id"] == report["id"].lower()
    assert row["number"].startswith("C1-")
    assert (row["type"], row["priority"], row["state"]) == ("F01", "P2", "open")
    assert (row["lon"], row["lat"], row["location_precision"]) == (LON, LAT, "exact")
    assert row["address"] == "Kaivokatu 1, bl. A, sc. 2, ap. 17"
    assert row["address_parts"] == report["address"]
    assert row["description"] == report["description"]
    assert row["caller"] == CALLER
    assert row["case_numbers"] == report["case_numbers"]
    assert row["reported_at"] == report["observed_at"]
    assert row["facts"]["location"] == {
        "source": "112",
        "observed_at": report["observed_at"],
        "received_at": room.ago(0),
        "by": room.ana.name,
    }
    assert row["plan"]["missing"] == {"fire_suppression": 2, "officer": 1, "first_aid": 1, "local_patrol": 1}
    assert room.ana.get(f"/incidents/{row['id']}").json == row


def test_an_address_in_words_is_looked_up(shared_room: Room) -> None:
    room = shared_room
    for address, parts in (
        ("mannerheimintie 10", {"street": "Mannerheimintie", "number": "10", "city": "Helsinki"}),
        ({"street": "Mannerheimintie", "number": "10"}, {"street": "Mannerheimintie", "number": "10"}),
    ):
        row = room.incident(location=None, address=address)
        assert (round(row["lon"], 4), round(row["lat"], 4)) == (24.9414, 60.1676)
        assert parts.items() <= row["address_parts"].items()
        assert row["location_precision"] == "exact"


def test_a_place_without_words_is_given_those_of_the_nearest_street(shared_room: Room) -> None:
    row = shared_room.incident(at=(24.94, 60.17))
    assert row["address"] == "Kaivokäytävä 10"


@pytest.mark.parametrize(
    "address",
    [
        "Kaisaniemenkatu 5",
        "Unioninkatu 38, Helsinki",
        {"street": "Kaivokatu", "number": "1", "city": "Helsinki", "floor": "3", "landmark": "la gară"},
        {"street": "Mikonkatu", "crossing": "Aleksanterinkatu"},
        {"crossing": "Mikonkatu / Aleksanterinkatu", "city": "Helsinki"},
        "Mikonkatu/Aleksanterinkatu",
        {"landmark": "Ateneum"},
        "60.1712, 24.9414",
    ],
    ids=str,
)
def test_an_address_that_can_only_be_one_spot_needs_no_point(embedded_room: Room, address: Any) -> None:
    row = embedded_room.incident(location=None, address=address)
    assert 24.9 < row["lon"] < 25
    assert 60.1 < row["lat"] < 60.2


@pytest.mark.parametrize(
    ("address", "code", "candidate"),
    [
        ("Mannerheimintie", "address-not-exact", "Mannerheimintie"),
        ({"street": "Mannerheimintie", "city": "Helsinki"}, "address-not-exact", "Mannerheimintie"),
        ("K-Market", "address-not-exact", "K-Market Esplanadi, Eteläesplanadi 20 (K-Market)"),
        ("Kluuvi", "address-not-exact", "Kluuvi"),
        ("Hallituskatu 1", "address-not-found", "Yliopistonkatu 1 (Hallituskatu)"),
        ("Unioninkatu 38, Vantaa", "address-not-found", "Unioninkatu 38"),
        (
            {"street": "Kaivokatu", "number": "1", "city": "Vantaa"},
            "address-not-found",
            "Kaivokatu 1",
        ),
        ("Kaisaniemenkatu 4, Vuorikatu 5", "address-not-found", "Kaisaniemenkatu 4"),
        ({"street": "Unioninkatu", "crossing": "Mannerheimintie"}, "address-not-found", None),
    ],
    ids=str,
)
def test_an_address_that_may_mean_several_spots_is_refused_with_the_candidates(
    embedded_room: Room, address: Any, code: str, candidate: str | None
) -> None:
    room = embedded_room
    report = {"id": room.uuid(), "type": "F05", "address": address}
    # When a program sends it without a point, then nobody is sent to a guess
    told = is_problem(room.ana.post("/incidents", report), 422, code, "address")
    if candidate is not None:
        assert candidate in [place["label"] for place in told["candidates"]]
        assert told["nearest"] == told["candidates"][0]
    # But whoever has looked and gives the point may call it what they like
    assert room.ana.post("/incidents", report | {"location": AT}).status_code == 201


@pytest.mark.parametrize(
    ("said", "caller"),
    [
        ("Popescu, bl. 4 sc. 1 ap 100, Maria", {"name": "Popescu, bl. 4 sc. 1 ap 100, Maria"}),
        ("Maria Popescu, 0722 318 940", {"name": "Maria Popescu", "phone": "0722 318 940"}),
        ("+40 (722) 318-940 Maria", {"name": "Maria", "phone": "+40 (722) 318-940"}),
        ("0722318940", {"phone": "0722318940"}),
        ("112", {"phone": "112"}),
        ("  ", None),
    ],
)
def test_a_caller_in_one_text_is_taken_apart(
    embedded_room: Room, said: str, caller: dict[str, str] | None
) -> None:
    assert embedded_room.incident(caller=said)["caller"] == caller


def test_a_call_that_was_seen_long_ago_and_told_now_stands_on_top_of_the_list(embedded_room: Room) -> None:
    room = embedded_room
    fresh = room.incident(observed_at=room.ago(0))["id"]
    late = room.incident(observed_at=room.ago(6 * 86_400))["id"]
    for state in ("open", "all"):
        first, second = room.ana.get(f"/incidents?state={state}&limit=2").json
        assert (first["id"], second["id"]) == (late, fresh), state
    tale = {"id": room.uuid(), "type": "F05", "location": AT, "observed_at": room.ago(8 * 86_400)}
    assert "8 days" in is_problem(room.ana.post("/incidents", tale), 422, "time-too-old")["detail"]


def test_a_retry_is_answered_though_the_map_has_changed_meanwhile(
    open_another: Callable[..., Room], tmp_path: Path
) -> None:
    # Given a call and a correction, both by address, taken with one map
    before = open_another()
    ana = before.ana
    report = {"id": before.uuid(), "type": "F05", "address": "Kaisaniemenkatu 5"}
    correction, key = {"address": "Unioninkatu 29"}, "0b7c2a1e-correction"
    taken = ana.post("/incidents", report)
    corrected = ana.patch(f"/incidents/{report['id']}", correction, idempotency_key=key)
    assert (taken.status_code, corrected.status_code) == (201, 200)
    # When the answers were lost, and the same is sent again to a station that has no such street any more
    after = open_another(var=tmp_path / "other", city=None)
    again = after.app.test_client(use_cookies=False)
    signed = {"Authorization": f"Bearer {ana.token}"}
    same = again.post(f"{AREA}/incidents", json=report, headers=signed)
    still = again.patch(
        f"{AREA}/incidents/{report['id']}", json=correction, headers={**signed, "Idempotency-Key": key}
    )
    # Then it is known for what it is, and the place is the one that was found
    assert (same.status_code, still.status_code) == (201, 200), (same.text, still.text)
    assert same.json["log_position"] != ""
    assert (same.json["lon"], same.json["address"]) == (corrected.json["lon"], "Unioninkatu 29")
    # And another call under its id is refused as such, never taken
    other = again.post(f"{AREA}/incidents", json=report | {"address": "Mikonkatu 8"}, headers=signed)
    is_problem(other, 409, "id-reused")
    assert len(before.facts(report["id"], "IncidentReported")) == 1


def test_an_assignment_that_changed_nothing_does_not_send_anybody_when_it_comes_again(
    shared_room: Room,
) -> None:
    room = shared_room
    incident, unit = room.incident()["id"], room.unit()
    room.sent(incident, unit)
    path, body, key = f"/incidents/{incident}/assignments", {"units": [unit]}, room.uuid()
    assert room.ana.post(path, body, idempotency_key=key).status_code == 200
    room.ana.delete(f"{path}/{unit}")
    late = room.ana.post(path, body, idempotency_key=key)
    assert (late.status_code, late.json["assigned"]) == (200, [])
    assert room.ana.get(f"/units/{unit}").json["incident"] is None


def test_an_answer_is_repeated_only_to_who_asked(shared_room: Room) -> None:
    room = shared_room
    report = {"id": room.uuid(), "type": "F05", "location": AT}
    assert room.desk("gateway").post("/incidents", report).status_code == 201
    is_problem(room.ana.post("/incidents", report), 409, "id-reused", "id")
    is_problem(room.desk("dispatcher", ["nord"]).post("/incidents", report), 403, "forbidden")
    is_problem(room.desk("observer").post("/incidents", report), 403, "forbidden")


@pytest.mark.parametrize("level", [True, "2", 2.0, None])
def test_an_alarm_level_is_a_number(embedded_room: Room, level: Any) -> None:
    incident = embedded_room.incident()["id"]
    answer = embedded_room.ana.post(f"/incidents/{incident}/alarm-level", {"level": level})
    is_problem(answer, 422, "invalid", "level")


def test_the_same_report_twice_is_one_incident_and_another_under_its_id_is_refused(shared_room: Room) -> None:
    room = shared_room
    report = {"id": room.uuid(), "type": "F05", "location": AT, "description": "arde o mașină"}
    first = room.ana.post("/incidents", report)
    # When the console did not hear the answer and sends it again
    again = room.ana.post("/incidents", report)
    assert (again.status_code, again.json) == (201, first.json)
    # And even after it went on, it is still the same incident, as it is now
    room.ana.post(f"/incidents/{report['id']}/notes", {"text": "s-a sunat din nou"})
    late = room.ana.post("/incidents", report)
    assert late.status_code == 201
    assert late.json["number"] == first.json["number"]
    assert late.json["log_position"] == first.json["log_position"]
    assert len(late.json["notes"]) == 1
    # But another call may not take its place
    for other in (
        {"description": "alt apel"},
        {"type": "F01"},
        {"location": {"lon": LON, "lat": LAT + 0.001}},
    ):
        is_problem(room.ana.post("/incidents", report | other), 409, "id-reused", "id")
    assert len(room.facts(report["id"], "IncidentReported")) == 1


def test_nobody_is_called_twice_when_the_same_report_comes_from_many_sides_at_once(shared_room: Room) -> None:
    room = shared_room
    report = {"id": room.uuid(), "type": "F05", "location": AT}
    room.desk("gateway")
    answers = at_once([lambda: room.desk("gateway").post("/incidents", report)] * 8)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json["number"] for answer in answers}) == 1
    assert len(room.facts(report["id"], "IncidentReported")) == 1


def at_once(calls: list[Callable[[], TestResponse]]) -> list[TestResponse]:
    """Make the calls from as many threads, all of them let go at the same moment."""
    gate = threading.Barrier(len(calls))
    answers: dict[int, TestResponse] = {}

    def run(n: int) -> None:
        gate.wait(10)
        answers[n] = calls[n]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [answers[n] for n in range(len(calls))]


# ---- what cannot be right is said, by field


WRONG_REPORTS: list[tuple[dict[str, Any], str, str]] = [
    ({"id": "not a uuid"}, "invalid", "id"),
    ({"id": None}, "invalid", "id"),
    ({"type": "ZZ9"}, "unknown-type", "type"),
    ({"type": 7}, "invalid", "type"),
    ({"priority": "P9"}, "invalid", "priority"),
    ({"medical_code": "cod_mov"}, "unknown-medical-code", "medical_code"),
    ({"location": None}, "invalid", "body"),
    ({"location": {"lon": LON}}, "invalid", "location.lat"),
    ({"location": {"lon": "est", "lat": LAT}}, "invalid", "location.lon"),
    ({"location": {"lon": str(LON), "lat": LAT}}, "invalid", "location.lon"),
    ({"location": {"lon": True, "lat": LAT}}, "invalid", "location.lon"),
    ({"location": {"lon": float("nan"), "lat": LAT}}, "invalid", "location.lon"),
    ({"location": {"lon": float("inf"), "lat": LAT}}, "invalid", "location.lon"),
    ({"location": {"lon": 181, "lat": LAT}}, "invalid", "location.lon"),
    ({"location": {"lon": LON, "lat": -90.5}}, "invalid", "location.lat"),
    ({"location": {"lon": LAT, "lat": LON}}, "outside-city-swapped", "location"),
    ({"location": {"lon": 26.1025, "lat": 44.4268}}, "outside-city-outside", "location"),
    ({"location": {"lon": 0, "lat": 0}}, "outside-city-outside", "location"),
    ({"location": None, "address": "Strada Care Nu Există 5"}, "address-not-found", "address"),
    ({"location": None, "address": "44.4268, 26.1025"}, "address-not-found", "address"),
    ({"location": None, "address": {"floor": "3"}}, "address-not-found", "address"),
    ({"location": None, "address": {}}, "address-not-found", "address"),
    ({"location": None, "address": "   "}, "address-not-found", "address"),
    ({"address": "x" * 501}, "invalid", "address"),
    ({"address": {"street": "x" * 501}}, "invalid", "address.street"),
    ({"address": {"strada": "Kaivokatu"}}, "invalid", "address.strada"),
    ({"address": 7}, "invalid", "address"),
    ({"description": "ă" * 20_001}, "invalid", "description"),
    ({"description": "x" * 1_000_000}, "invalid", "description"),
    ({"description": "a\0b"}, "invalid", "description"),
    ({"description": "\ud800"}, "invalid", "description"),
    ({"description": None}, "invalid", "description"),
    ({"caller": {"name": "x" * 201}}, "invalid", "caller.name"),
    ({"caller": "x" * 201}, "invalid", "caller"),
    ({"caller": {"phone": "0" * 51}}, "invalid", "caller.phone"),
    ({"caller": {"telefon": PHONE}}, "invalid", "caller.telefon"),
    ({"caller": 7}, "invalid", "caller"),
    (
        {"case_numbers": [{"agency": "STS112", "number": str(n)} for n in range(21)]},
        "invalid",
        "case_numbers",
    ),
    ({"case_numbers": [{"agency": "STS112", "number": "a\0b"}]}, "invalid", "case_numbers.0.number"),
    ({"case_numbers": [{"agency": "XYZ", "number": "1"}]}, "unknown-agency", "case_numbers.agency"),
    ({"case_numbers": [{"agency": "STS112", "number": "  "}]}, "bad-case-number", "case_numbers.number"),
    ({"observed_at": "ieri"}, "bad-time", "observed_at"),
    ({"observed_at": "2026-11-23T03:00:00"}, "bad-time", "observed_at"),
    ({"observed_at": "2026-W48-1T03:00:00Z"}, "bad-time", "observed_at"),
    ({"observed_at": "20261123T030000Z"}, "bad-time", "observed_at"),
    ({"observed_at": "2026-11-23T24:00:01Z"}, "bad-time", "observed_at"),
    ({"observed_at": "0001-01-01T00:00:00+14:00"}, "time-too-old", "observed_at"),
    ({"observed_at": "1970-01-01T00:00:00Z"}, "time-too-old", "observed_at"),
    ({"source": "console"}, "reserved-source", "source"),
    ({"source": "keeper"}, "reserved-source", "source"),
    ({"source": "recommendation"}, "reserved-source", "source"),
    ({"source": "keeper\n\u202eX"}, "invalid", "source"),
    ({"source": "112\n"}, "invalid", "source"),
    ({"source": ""}, "invalid", "source"),
    ({"source": "Radio"}, "invalid", "source"),
    ({"observed_at": "9999-12-31T23:59:59-14:00"}, "time-in-future", "observed_at"),
    ({"observed_at": 1_795_402_800}, "invalid", "observed_at"),
    ({"priorty": "P1"}, "invalid", "priorty"),
    ({"number": "C1-1"}, "invalid", "number"),
]


FORM = [(wrong, field) for wrong, code, field in WRONG_REPORTS if code == "invalid"]


@pytest.mark.parametrize(("wrong", "field"), FORM, ids=[f"{f[1]}-{n}" for n, f in enumerate(FORM)])
def test_a_field_of_the_wrong_form_is_explained_in_the_language_of_whoever_asks(
    embedded_room: Room, wrong: dict[str, Any], field: str
) -> None:
    told = {}
    for language in ("ro", "en"):
        report = {"id": embedded_room.uuid(), "type": "F05", "location": AT} | wrong
        answer = embedded_room.ana.post("/incidents", report, **{"Accept-Language": language})
        (told[language],) = {e["message"] for e in is_problem(answer, 422, "invalid", field)["errors"]}
    # Neither the library's own words nor the other language's.
    assert told["ro"] != told["en"]
    assert not any(word in told["ro"] + told["en"] for word in ("Input", "should", "Value error", "{"))


@pytest.mark.parametrize(
    ("wrong", "code", "field"), WRONG_REPORTS, ids=[f"{w[2]}-{n}" for n, w in enumerate(WRONG_REPORTS)]
)
def test_a_report_that_cannot_be_right_is_refused_by_field_and_nothing_is_kept(
    embedded_room: Room, wrong: dict[str, Any], code: str, field: str
) -> None:
    room = embedded_room
    before = room.core.log.position
    report = {"id": room.uuid(), "type": "F05", "location": AT} | wrong
    is_problem(room.ana.post("/incidents", report), 422, code, field)
    assert room.core.log.position == before


def test_a_report_of_the_future_is_refused_saying_by_how_much(embedded_room: Room) -> None:
    room = embedded_room
    report = {"id": room.uuid(), "type": "F05", "location": AT, "observed_at": room.ago(-3600)}
    body = is_problem(room.ana.post("/incidents", report), 422, "time-in-future", "observed_at")
    assert "3600 s" in body["detail"]
    # A clock that is a little fast is nobody's fault
    assert room.ana.post("/incidents", report | {"observed_at": room.ago(-4)}).status_code == 201


def test_swapped_coordinates_are_recognised_for_what_they_are(embedded_room: Room) -> None:
    body = is_problem(
        embedded_room.ana.post(
            "/incidents", {"id": embedded_room.uuid(), "type": "F05", "location": {"lon": LAT, "lat": LON}}
        ),
        422,
    )
    assert "swapped" in body["detail"]


def raw(
    room: Room, data: bytes, kind: str | None = "application/json", path: str = "/incidents"
) -> TestResponse:
    headers = {"Authorization": f"Bearer {room.ana.token}"}
    client = room.app.test_client(use_cookies=False)
    return client.post(f"{AREA}{path}", data=data, content_type=kind, headers=headers)


@pytest.mark.parametrize(
    ("data", "kind", "status", "field"),
    [
        (b"{", "application/json", 400, None),
        (b'{"id": }', "application/json", 400, None),
        (b"\xff\xfe", "application/json", 400, None),
        (b"[" * 200_000, "application/json", 400, None),
        (b'{"id": ' + b"1" * 5000 + b"}", "application/json", 400, None),
        (b"{}", "text/plain", 415, None),
        (b"id=1&type=F05", "application/x-www-form-urlencoded", 415, None),
        (b"{}", None, 415, None),
        (b"", "application/json", 422, "body"),
        (b"", None, 422, "body"),
        (b"null", "application/json", 422, "body"),
        (b"[]", "application/json", 422, "body"),
        (b"7", "application/json", 422, "body"),
        (b'"id"', "application/json", 422, "body"),
        (b"{}", "application/json", 422, "id"),
        (b'{"description": "' + b"x" * 2_000_000 + b'"}', "application/json", 413, None),
    ],
    ids=range(16),
)
def test_a_body_that_cannot_be_read_is_refused(
    embedded_room: Room, data: bytes, kind: str | None, status: int, field: str | None
) -> None:
    before = embedded_room.core.log.position
    is_problem(raw(embedded_room, data, kind), status, None, field)
    assert embedded_room.core.log.position == before


ODD_IDS = [
    "ș" * 30,
    "x" * 64,
    "x" * 65,
    "x" * 5000,
    "%00",
    "a%00b",
    "%ED%A0%80",
    "..%2F..%2Fetc%2Fpasswd",
    "a%2Fb",
    "'%20OR%201=1--",
    "%F0%9F%9A%92",
    "incident:x",
    "00000000-0000-0000-0000-000000000000",
]


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_odd_id_in_the_path_is_not_found_or_refused_and_harms_nobody(shared_room: Room, odd: str) -> None:
    ana = shared_room.ana
    for method, path, body in (
        ("GET", "/incidents/{}", None),
        ("GET", "/incidents/{}/timeline", None),
        ("GET", "/incidents/{}/recommendation", None),
        ("PATCH", "/incidents/{}", {"priority": "P1"}),
        ("POST", "/incidents/{}/acknowledge", None),
        ("POST", "/incidents/{}/notes", {"text": "x"}),
        ("POST", "/incidents/{}/requests/F1/answer", {"answer": "accepted", "name": "x", "via": "api"}),
        ("GET", "/units/{}", None),
        ("POST", "/units/{}/status", {"status": "available"}),
        ("POST", "/units/{}/flags", {"flag": "emergency", "on": True}),
    ):
        answer = ana.call(method, path.format(odd), body)
        assert answer.status_code in (404, 422), (method, path, answer.text)
        is_problem(answer, answer.status_code)
    assert shared_room.core.log.trouble is None
    assert shared_room.incident()["state"] == "open"


def test_what_is_not_there_and_what_is_not_done_are_problems_too(embedded_room: Room) -> None:
    ana = embedded_room.ana
    is_problem(ana.get("/nothing"), 404, "not-found")
    wrong = ana.call("PUT", "/incidents", {})
    is_problem(wrong, 405, "method-not-allowed")
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].split(", "))
    is_problem(ana.get("/incidents?status=open"), 422, "invalid", "status")
    is_problem(ana.get("/incidents?limit=0"), 422, "invalid", "limit")
    is_problem(ana.get("/incidents?limit=many"), 422, "invalid", "limit")
    is_problem(ana.get("/incidents?limit=501"), 422, "invalid", "limit")
    is_problem(ana.get("/incidents?state=maybe"), 422, "invalid", "state")
    is_problem(ana.get("/incidents?q=" + "x" * 101), 422, "invalid", "q")
    is_problem(ana.get("/incidents?q=%00"), 422, "invalid", "q")


def test_an_error_of_ours_is_a_problem_too_and_says_nothing_of_the_inside(
    embedded_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"secret {PHONE}")

    monkeypatch.setattr(embedded_room.core.door, "_log", type("Log", (), {"transact": broken})())
    answer = embedded_room.ana.post("/incidents", {"id": embedded_room.uuid(), "type": "F05", "location": AT})
    told = is_problem(answer, 500, "internal")["detail"]
    assert PHONE not in told
    # It may have happened after the change was on disk, so nobody is told that it was not
    assert "may have been recorded" in told
    assert "send the same request again" in told


# ---- changing


def test_each_change_is_kept_with_who_made_it(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident("F01")["id"]
    bogdan = room.desk("dispatcher", ["centru"])
    changes: list[tuple[dict[str, Any], str, Any]] = [
        ({"type": "F02"}, "type", "F02"),
        ({"priority": "P2"}, "priority", "P2"),
        ({"medical_code": "cod_galben"}, "medical_code", "cod_galben"),
        ({"description": "extins la etajul 3"}, "description", "extins la etajul 3"),
        ({"caller": {"phone": PHONE}}, "caller", {"phone": PHONE}),
        ({"talkgroup": "TG-7"}, "talkgroup", "TG-7"),
        ({"staging": True}, "staging", True),
    ]
    for body, field, value in changes:
        row = bogdan.patch(f"/incidents/{incident}", body).json
        assert row[field] == value
        assert row["facts"][field]["by"] == bogdan.name
    moved = bogdan.patch(f"/incidents/{incident}", {"address": "Mannerheimintie 10"}).json
    assert moved["address"] == "Mannerheimintie 10"
    assert round(moved["lon"], 4) == 24.9414
    assert moved["plan"]["needs"]["fire_suppression"] == 3
    emptied = bogdan.patch(f"/incidents/{incident}", {"caller": None, "talkgroup": None}).json
    assert (emptied["caller"], emptied["talkgroup"]) == (None, None)
    for body, code, field in (
        ({}, "empty", "body"),
        ({"type": "ZZ"}, "unknown-type", "type"),
        ({"priority": None}, "invalid", "priority"),
        ({"staging": None}, "invalid", "staging"),
        ({"state": "closed"}, "invalid", "state"),
        ({"location": {"lon": LAT, "lat": LON}}, "outside-city-swapped", "location"),
    ):
        is_problem(bogdan.patch(f"/incidents/{incident}", body), 422, code, field)


def test_the_life_of_an_incident(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident("F01")["id"]
    path = f"/incidents/{incident}"
    seen = room.ana.post(f"{path}/acknowledge").json
    assert (seen["acknowledged_by"], seen["acknowledged_at"]) == (room.ana.name, room.ago(0))
    assert room.ana.post(f"{path}/alarm-level", {"level": 2}).json["plan"]["needs"]["fire_suppression"] > 2
    is_problem(room.ana.post(f"{path}/alarm-level", {"level": 9}), 422, "unknown-alarm-level", "level")
    is_problem(room.ana.post(f"{path}/notes", {"text": " "}), 422, "empty-text", "text")
    is_problem(room.ana.post(f"{path}/notes", {"text": "x" * 20_001}), 422, "invalid", "text")
    is_problem(room.ana.post(f"{path}/close", {"outcome": ""}), 422, "empty-text", "outcome")
    closed = room.ana.post(f"{path}/close", {"outcome": "stins, fără victime"}).json
    assert (closed["state"], closed["outcome"]) == ("closed", "stins, fără victime")
    is_problem(room.ana.patch(path, {"priority": "P4"}), 409, "incident-closed")
    is_problem(room.send(incident, room.unit()), 409, "incident-closed")
    is_problem(room.ana.post(f"{path}/reopen", {"reason": ""}), 422, "empty-text", "reason")
    assert room.ana.post(f"{path}/reopen", {"reason": "reaprins"}).json["state"] == "open"
    lines = room.facts(incident)
    assert [line["type"] for line in lines] == [
        "IncidentReported",
        "IncidentAcknowledged",
        "AlarmLevelSet",
        "IncidentClosed",
        "IncidentReopened",
    ]
    assert {line["actor"] for line in lines} == {room.ana.name}


def test_an_incident_with_units_on_it_is_not_closed(shared_room: Room) -> None:
    room = shared_room
    incident, unit, ambulance = room.incident()["id"], room.unit(), room.unit("B2", crew=2)
    room.sent(incident, unit, ambulance)
    busy = is_problem(
        room.ana.post(f"/incidents/{incident}/close", {"outcome": "x"}), 409, "units-still-assigned"
    )
    assert busy["units"] == [unit]
    room.ana.delete(f"/incidents/{incident}/assignments/{unit}?reason=nu%20mai%20e%20nevoie")
    asked = is_problem(room.ana.post(f"/incidents/{incident}/close", {"outcome": "x"}), 409, "requests-open")
    assert asked["units"] == [ambulance]
    row = room.ana.delete(f"/incidents/{incident}/assignments/{ambulance}").json
    assert [r["state"] for r in row["requests"]] == ["withdrawn"]
    assert room.ana.post(f"/incidents/{incident}/close", {"outcome": "x"}).status_code == 200


def test_personal_data_once_erased_is_nowhere_any_more(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident(address="Kaivokatu 1")["id"]
    path = f"/incidents/{incident}"
    admin = room.desk("admin")
    room.ana.post(f"{path}/notes", {"text": f"sunați la {PHONE}"})
    is_problem(admin.post(f"{path}/erase", {"reason": "cerere"}), 409, "incident-open")
    room.ana.post(f"{path}/close", {"outcome": "rezolvat"})
    is_problem(admin.post(f"{path}/erase", {"reason": ""}), 422, "invalid", "reason")
    erased = admin.post(f"{path}/erase", {"reason": "cererea persoanei"})
    assert erased.json["personal_data"] == "erased"
    assert erased.json["location_precision"] == "coarse"
    for told in (admin.get(path), admin.get(f"{path}/timeline")):
        assert PHONE not in told.text
        assert "Kaivokatu" not in told.text


# ---- retries


def writes(room: Room) -> list[tuple[str, str, Any]]:
    """Every write that takes an Idempotency-Key, each about a scene of its own: (method, path, body)."""
    open_ = [room.incident()["id"] for _ in range(7)]
    shut, wiped = room.incident()["id"], room.incident()["id"]
    for each in (shut, wiped):
        room.ana.post(f"/incidents/{each}/close", {"outcome": "x"})
    unit, out, ambulance = room.unit(), room.unit(), room.unit("B2", crew=2)
    room.sent(open_[5], out)
    room.sent(open_[6], ambulance)
    answer = {"answer": "accepted", "name": "dr. Pop", "via": "phone"}
    return [
        ("PATCH", f"/incidents/{open_[0]}", {"description": "altceva"}),
        ("POST", f"/incidents/{open_[0]}/acknowledge", None),
        ("POST", f"/incidents/{open_[0]}/notes", {"text": "o singură dată"}),
        ("POST", f"/incidents/{open_[1]}/close", {"outcome": "x"}),
        ("POST", f"/incidents/{shut}/reopen", {"reason": "x"}),
        ("POST", f"/incidents/{open_[2]}/case-numbers", {"agency": "ISU", "number": "7"}),
        ("POST", f"/incidents/{open_[3]}/alarm-level", {"level": 2}),
        ("POST", f"/incidents/{wiped}/erase", {"reason": "x"}),
        ("POST", f"/incidents/{open_[4]}/assignments", {"units": [unit]}),
        ("DELETE", f"/incidents/{open_[5]}/assignments/{out}", None),
        ("POST", f"/incidents/{open_[6]}/requests/{ambulance}/answer", answer),
        ("POST", "/units", {"id": f"N{room.uuid()[:8]}", "type": "SV", "station": "Vest", "crew": 4}),
        ("POST", f"/units/{room.unit()}/status", {"status": "out_of_service", "reason": "pană"}),
        ("POST", f"/units/{room.unit()}/flags", {"flag": "emergency", "on": True}),
    ]


def test_a_write_sent_again_with_its_key_is_done_once_and_answered_alike(shared_room: Room) -> None:
    room = shared_room
    admin = room.desk("admin")
    for method, path, body in writes(room):
        key = room.uuid()
        first = admin.call(method, path, body, idempotency_key=key)
        assert first.status_code in (200, 201), (path, first.text)
        position = room.core.log.position
        again = admin.call(method, path, body, idempotency_key=key)
        assert again.json == first.json, path
        assert again.status_code == 200 if path == "/units" else first.status_code
        assert room.core.log.position == position, path
        # The key of one request does not serve for another
        other = admin.post(f"/incidents/{room.incident()['id']}/notes", {"text": "x"}, idempotency_key=key)
        is_problem(other, 409, "id-reused")


@pytest.mark.parametrize("key", ["", "short", "x" * 65, "ș" * 10, "with\ttab-in-it"])
def test_a_key_that_cannot_be_one_is_refused(embedded_room: Room, key: str) -> None:
    room = embedded_room
    incident = room.incident()["id"]
    key = key.encode().decode("latin-1")
    answer = room.ana.post(f"/incidents/{incident}/notes", {"text": "x"}, idempotency_key=key)
    is_problem(answer, 422, "bad-idempotency-key", "Idempotency-Key")


# ---- sending


def test_a_unit_already_taken_is_refused_saying_by_whom_and_when(shared_room: Room) -> None:
    room = shared_room
    unit, free = room.unit(), room.unit()
    first, second = room.incident(), room.incident()
    room.sent(first["id"], unit)
    when = room.ago(0)
    room.clock.advance(75)
    body = is_problem(room.send(second["id"], free, unit), 409, "unit-taken", "units")
    assert (body["unit"], body["by"], body["at"]) == (unit, room.ana.name, when)
    assert body["incident_number"] == first["number"]
    # All or none: the free one stayed where it was
    assert room.ana.get(f"/units/{free}").json["incident"] is None
    # To the incident it is on already, it may be sent again: nothing happens
    assert room.sent(first["id"], unit)["assigned"] == [unit]
    assert len(room.facts(first["id"], "UnitAssigned")) == 1


@pytest.mark.parametrize("round", range(3))
def test_of_two_dispatchers_who_send_one_unit_at_once_exactly_one_does(shared_room: Room, round: int) -> None:
    room = shared_room
    unit = room.unit()
    incidents = [room.incident() for _ in range(6)]
    desks = [room.desk("dispatcher"), room.desk("dispatcher", ["centru"]), room.desk("supervisor")] * 2

    def sending(n: int) -> Callable[[], TestResponse]:
        return lambda: room.send(incidents[n]["id"], unit, desk=desks[n])

    answers = at_once([sending(n) for n in range(6)])
    won = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert len(won) == 1
    for n, answer in enumerate(answers):
        if n not in won:
            body = is_problem(answer, 409, "unit-taken", "units")
            assert body["by"] == desks[won[0]].name
            assert body["incident_number"] == incidents[won[0]]["number"]
    on = [x for i in incidents for x in room.ana.get(f"/incidents/{i['id']}").json["assignments"]]
    assert [x["unit"] for x in on] == [unit]
    assert room.ana.get(f"/units/{unit}").json["incident"] == incidents[won[0]]["id"]


@pytest.mark.parametrize(
    ("units", "status", "code", "field"),
    [
        ([], 422, "invalid", "units"),
        (["NU-EXISTA"], 404, "unknown-unit", "unit"),
        ([f"X{n}" for n in range(101)], 422, "invalid", "units"),
        (["x" * 33], 422, "invalid", "units.0"),
        (["F1\0"], 422, "invalid", "units"),
        ([7], 422, "invalid", "units.0"),
        ("F21", 422, "invalid", "units"),
        (None, 422, "invalid", "units"),
    ],
)
def test_a_sending_that_cannot_be_right(
    embedded_room: Room, units: Any, status: int, code: str, field: str
) -> None:
    room = embedded_room
    incident = room.incident()["id"]
    is_problem(room.ana.post(f"/incidents/{incident}/assignments", {"units": units}), status, code, field)


def test_units_that_cannot_go_are_refused_with_the_reason(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()["id"]
    resting = room.unit(status=None)
    body = is_problem(room.send(incident, resting), 409, "unit-not-available", "units")
    assert (body["unit"], body["unit_status"]) == (resting, "off_duty")
    twice = room.unit()
    is_problem(room.send(incident, twice, twice), 422, "unit-named-twice", "units")
    crew = room.uuid()
    ladder, rescue = room.unit(crew_id=crew), room.unit(crew_id=crew)
    is_problem(room.send(incident, ladder, rescue), 409, "crew-shared", "units")
    room.sent(incident, ladder)
    body = is_problem(room.send(incident, rescue), 409, "crew-out", "units")
    assert body["with_unit"] == ladder
    assert room.ana.get(f"/units/{rescue}").json["blocked_by"] == ladder


def test_an_agency_is_asked_for_its_unit_and_answers_by_name(shared_room: Room) -> None:
    room = shared_room
    incident, ambulance = room.incident("M01")["id"], room.unit("B2", crew=2)
    path = f"/incidents/{incident}/requests/{ambulance}/answer"
    yes = {"answer": "accepted", "name": "dr. Pop", "via": "phone"}
    is_problem(room.ana.post(path, yes), 404, "not-requested")
    answer = room.sent(incident, ambulance)
    assert (answer["assigned"], answer["requested"]) == ([], [ambulance])
    # Until it accepts, it is on nothing and fills nothing
    row = answer["incident"]
    assert row["assignments"] == []
    assert not any(row["plan"]["filled"].values())
    assert row["requests"][0]["answer_by"] == room.ago(-120)
    unit = room.ana.get(f"/units/{ambulance}").json
    assert (unit["status"], unit["incident"], unit["request"]["state"]) == ("available", None, "asked")
    # While one waits for the answer, nobody else may ask
    taken = is_problem(room.send(room.incident()["id"], ambulance), 409, "unit-asked", "units")
    assert taken["by"] == room.ana.name
    for wrong, field in (
        (yes | {"answer": "poate"}, "answer"),
        (yes | {"name": ""}, "name"),
        (yes | {"via": "fax"}, "via"),
    ):
        is_problem(room.ana.post(path, wrong), 422, None, field)
    is_problem(room.ana.post(path, yes | {"name": "  "}), 422, "name-needed", "name")
    row = room.ana.post(path, yes).json
    assert row["assignments"][0]["unit"] == ambulance
    assert (row["assignments"][0]["requested"], row["assignments"][0]["accepted_by"]) == (True, "dr. Pop")
    assert (row["requests"][0]["state"], row["requests"][0]["name"]) == ("accepted", "dr. Pop")
    assert any(row["plan"]["filled"].values())
    # Said again it changes nothing, said otherwise it is refused
    assert room.ana.post(path, yes).json["rev"] == row["rev"]
    is_problem(room.ana.post(path, yes | {"answer": "refused"}), 409, "already-answered")


# ---- lists


def test_lists_are_bare_arrays_that_page_through_everything_exactly_once(shared_room: Room) -> None:
    room = shared_room
    made = [room.incident()["id"] for _ in range(7)]
    for closed in made[:3]:
        room.ana.post(f"/incidents/{closed}/close", {"outcome": "x"})
    for state, members in (("open", made[3:]), ("closed", made[:3]), ("all", made)):
        whole = room.ana.get(f"/incidents?state={state}&limit=500").json
        paged = [x["id"] for x in pages(room.ana, f"/incidents?state={state}&limit=2")]
        assert paged == [x["id"] for x in whole]
        assert len(set(paged)) == len(paged)
        assert set(members) <= set(paged)
        assert next_page(room.ana.get(f"/incidents?state={state}&limit=500")) is None


def test_a_page_goes_on_where_the_last_one_ended_even_if_that_incident_has_left_the_list(
    shared_room: Room,
) -> None:
    room = shared_room
    made = []
    for _ in range(4):
        room.clock.advance(1)
        made.insert(0, room.incident()["id"])
    first = room.ana.get("/incidents?limit=2")
    assert [x["id"] for x in first.json] == made[:2]
    room.ana.post(f"/incidents/{made[1]}/close", {"outcome": "x"})
    second = room.ana.get(next_page(first) or "")
    assert [x["id"] for x in second.json] == made[2:]


@pytest.mark.parametrize("after", ["x", "²-x", "1-2", "9" * 40 + ".x", ".x", "1.", "-", "%00"])
@pytest.mark.parametrize("state", ["open", "all"])
def test_a_cursor_of_nowhere_is_refused(embedded_room: Room, after: str, state: str) -> None:
    is_problem(embedded_room.ana.get(f"/incidents?state={state}&after={after}"), 422, None, "after")


@pytest.mark.parametrize(
    "asked",
    ["vâlcea-ȘT-7", "VALCEA", "valcea-st", "Vâlcea", "ȘŢ-7", "a-ș"],
)
def test_case_numbers_are_found_without_minding_case_and_diacritics(shared_room: Room, asked: str) -> None:
    room = shared_room
    mark = room.uuid()[:6]
    found = room.incident(case_numbers=[{"agency": "ISU", "number": f"{mark}-Vâlcea-ȘT-7%_"}])["id"]
    room.incident(case_numbers=[{"agency": "ISU", "number": f"{mark}-Cluj-8"}])

    def search(q: str, state: str = "open") -> list[str]:
        answer = room.app.test_client(use_cookies=False).get(
            f"{AREA}/incidents",
            query_string={"q": q, "state": state},
            headers={"Authorization": f"Bearer {room.ana.token}"},
        )
        return [x["id"] for x in answer.json]

    assert found in search(asked)
    assert search(f"{mark.upper()}-valcea") == [found]
    assert len(search(mark)) == 2
    # What a pattern would mean to the database is a letter like any other
    assert search(f"{mark}%") == []
    assert search("ST-7%_") != []
    # And a closed one is found among the closed
    room.ana.post(f"/incidents/{found}/case-numbers", {"agency": "STS112", "number": f"târziu-{mark}"})
    room.ana.post(f"/incidents/{found}/close", {"outcome": "x"})
    assert search(f"TARZIU-{mark}") == []
    assert search(f"TARZIU-{mark}", "closed") == [found]
    number = room.ana.get(f"/incidents/{found}").json["number"]
    assert found in search(number.lower(), "all")


# ---- what to send, and why


def recommended(room: Room, incident: str, language: str = "en") -> dict[str, Any]:
    answer = room.ana.get(f"/incidents/{incident}/recommendation", accept_language=language)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    assert found["incident"] == incident
    return found


def test_the_nearest_fit_unit_by_road_comes_first_and_says_why(own_room: Room) -> None:
    room = own_room
    # Given engines near and far, one without enough crew, one broken down, and a unit that is no use
    near = room.unit("ASAS", at=(LON - 0.002, LAT))
    far = room.unit("ASAS", at=FAR_EAST)
    short = room.unit("ASAS", crew=2, at=RAILWAY_STATION)
    broken = room.unit("ASAS", at=RAILWAY_STATION)
    told = {"status": "out_of_service", "reason": "pană"}
    room.ana.post(f"/units/{broken}/status", told)
    useless = room.unit("IL", crew=2, at=RAILWAY_STATION, turnout_s=0)
    police = room.unit("PN", crew=2, at=WEST)
    # When a car burns near the station
    incident = room.incident("F05", at=(LON + 0.001, LAT))["id"]
    found = recommended(room, incident)
    # Then the nearest fit engine is chosen, on real roads, and every unit says why it is or is not
    assert found["travel"] == "road"
    assert found["complete"] is True
    assert found["missing"] == {}
    chosen = [u for u in found["units"] if u["chosen"]]
    assert {u["unit"] for u in chosen} == {near, police}
    assert [u["eta_s"] for u in chosen] == sorted(u["eta_s"] for u in chosen)
    best = next(u for u in chosen if u["unit"] == near)
    other = next(u for u in found["units"] if u["unit"] == far)
    assert (best["travel"], other["chosen"]) == ("road", False)
    assert 0 < best["distance_m"] < other["distance_m"] < 10_000
    assert best["eta_s"] == best["drive_s"] + best["turnout_s"]
    assert best["eta_s"] < other["eta_s"]
    assert best["fix_age_s"] == 0
    assert best["fills"] == ["fire_suppression"]
    codes = {r["code"] for r in best["reasons"]}
    assert {"fills", "nearest"} <= codes
    assert "brings fire suppression" in best["why"]
    assert {u["unit"]: [r["code"] for r in u["reasons"]] for u in found["not_chosen"]} == {
        short: ["crew-short"],
        broken: ["out-of-service"],
        useless: ["not-needed"],
    }
    # And in Romanian, the same in Romanian words
    romanian = recommended(room, incident, "ro-RO,ro;q=0.9,en;q=0.8")
    mine = next(u for u in romanian["units"] if u["unit"] == near)
    assert "aduce stingere" in mine["why"]
    assert [u["unit"] for u in romanian["units"]] == [u["unit"] for u in found["units"]]
    for row in (*romanian["units"], *romanian["not_chosen"], *found["units"], *found["not_chosen"]):
        assert row["why"]
        assert len(row["why"]) == len(row["reasons"])
        assert not any(why.startswith("reason-") or "{" in why for why in row["why"])


def test_an_older_position_is_said_to_be_old_and_a_missing_one_to_be_missing(own_room: Room) -> None:
    room = own_room
    silent = room.unit("ASAS", base={"lon": LON, "lat": LAT})
    stale = room.unit("ASAS")
    room.seen(stale, WEST, seconds_ago=5 * 60)
    lost = room.unit("ASAS")
    incident = room.incident("F01")["id"]
    found = recommended(room, incident)
    rows = {u["unit"]: u for u in (*found["units"], *found["not_chosen"])}
    assert set(rows) == {silent, stale, lost}
    assert rows[stale]["fix_age_s"] == 300
    assert any("5 min" in why for why in rows[stale]["why"])
    assert rows[silent]["fix_age_s"] is None
    assert "no-fix" in {r["code"] for r in rows[silent]["reasons"]}
    # A unit of which no place is known at all is never said to arrive
    assert lost not in {u["unit"] for u in found["units"] if u["chosen"]}
    assert rows[lost]["eta_s"] is None
    assert rows[lost]["why"]


def test_a_busy_unit_says_where_it_is_and_who_sent_it(own_room: Room) -> None:
    room = own_room
    engine = room.unit("SV", at=RAILWAY_STATION)
    first, second = room.incident(), room.incident("F05")
    room.sent(first["id"], engine)
    for status in ("acknowledged", "en_route", "on_scene"):
        room.ana.post(f"/units/{engine}/status", {"status": status})
    found = recommended(room, second["id"])
    busy = next(u for u in found["not_chosen"] if u["unit"] == engine)
    assert f"at incident {first['number']}, sent by {room.ana.name}" in busy["why"]
    assert found["complete"] is False
    assert found["missing"]["fire_suppression"] == 1


def test_a_unit_that_was_asked_is_not_offered_again_and_fills_nothing_before_it_accepts(
    own_room: Room,
) -> None:
    room = own_room
    asked = room.unit("ASAS", at=RAILWAY_STATION)
    incident = room.incident("F05")
    assert [u["unit"] for u in recommended(room, incident["id"])["units"]] == [asked]
    room.sent(incident["id"], asked)
    for language, words in (("en", f"already asked for {incident['number']}"), ("ro", "deja solicitat")):
        found = recommended(room, incident["id"], language)
        assert found["units"] == []
        assert found["missing"]["fire_suppression"] == 1
        [row] = found["not_chosen"]
        assert row["unit"] == asked
        assert words in row["why"][0]
    # When it accepts, the need is met and nothing more is asked for
    yes = {"answer": "accepted", "name": "plt. Ionescu", "via": "phone"}
    row = room.ana.post(f"/incidents/{incident['id']}/requests/{asked}/answer", yes).json
    assert row["plan"]["missing"] == {"traffic_control": 1}
    assert "fire_suppression" not in recommended(room, incident["id"])["missing"]


def test_the_plan_offered_is_recorded_once_and_again_when_it_changes(own_room: Room) -> None:
    room = own_room
    first = room.unit("SV", at=WEST)
    incident = room.incident("F05")["id"]
    for _ in range(3):
        recommended(room, incident)
    assert room.offers(incident, 1) == 1
    # The same plan a little later is the same plan
    room.clock.advance(2)
    room.seen(first, (WEST[0] + 0.0001, WEST[1]))
    at_once([lambda: room.ana.get(f"/incidents/{incident}/recommendation")] * 4)
    # A nearer unit makes another
    nearer = room.unit("SV", at=RAILWAY_STATION)
    recommended(room, incident)
    assert room.offers(incident, 2) == 2
    offered = [line["data"]["units"][0][0] for line in room.facts(incident, "RecommendationOffered")]
    assert offered == [first, nearer]
    assert room.facts(incident, "RecommendationOffered")[1]["words"] == f"Plan offered: {nearer}"
    # And the sending says whether it was followed
    room.sent(incident, first)
    [sent] = room.facts(incident, "UnitAssigned")
    assert sent["data"]["followed"] is False


def test_without_a_city_the_way_is_a_straight_line_and_says_so(open_another: Callable[..., Room]) -> None:
    room = open_another(city=None)
    engine = room.unit("SV", at=RAILWAY_STATION)
    incident = room.incident("F05", at=WEST)["id"]
    found = recommended(room, incident)
    assert (found["travel"], found["road_network"]) == ("straight", False)
    [row] = found["units"]
    assert (row["unit"], row["travel"]) == (engine, "straight")
    assert "straight line, not by road" in row["why"]
    assert row["eta_s"] > 0
    # Words alone cannot be found without a city, and that is said too
    report = {"id": room.uuid(), "type": "F05", "address": "Kaivokatu 1"}
    is_problem(room.ana.post("/incidents", report), 422, "no-city", "location")


def test_units_far_from_the_citys_roads_are_told_apart_from_a_city_without_roads(own_room: Room) -> None:
    # given a unit that stands in another city
    room = own_room
    engine = room.unit("SV", at=(-8.61, 41.15))
    incident = room.incident("F05", at=WEST)["id"]
    # then its time is a straight line's, though the road network is there
    found = recommended(room, incident)
    assert (found["travel"], found["road_network"]) == ("straight", True)
    assert [(row["unit"], row["travel"]) for row in found["units"]] == [(engine, "straight")]
    # and one near by is timed by road
    near = room.unit("SV", at=RAILWAY_STATION)
    found = recommended(room, incident)
    assert (found["travel"], found["road_network"]) == ("road", True)
    assert [unit["unit"] for unit in found["units"] if unit["travel"] == "road"] == [near]


def test_with_no_units_at_all_the_plan_says_what_is_missing(own_room: Room) -> None:
    found = recommended(own_room, own_room.incident("F01")["id"])
    assert (found["units"], found["not_chosen"], found["complete"]) == ([], [], False)
    assert found["missing"] == {"fire_suppression": 2, "officer": 1, "first_aid": 1, "local_patrol": 1}


# ---- the timeline


def test_the_timeline_tells_the_story_in_the_readers_language(shared_room: Room) -> None:
    room = shared_room
    room.clock.advance(600)
    incident, unit, ambulance = room.incident()["id"], room.unit(), room.unit("B2", crew=2)
    path = f"/incidents/{incident}"
    room.clock.advance(5)
    room.sent(incident, unit, ambulance)
    yes = {"answer": "accepted", "name": "dr. Pop", "via": "phone"}
    room.ana.post(f"{path}/requests/{ambulance}/answer", yes)
    room.clock.advance(60)
    room.ana.post(f"/units/{unit}/status", {"status": "acknowledged", "observed_at": room.ago(20)})
    room.ana.post(f"{path}/notes", {"text": "acces din spate"})
    english = room.ana.get(f"{path}/timeline").json
    romanian = room.ana.get(f"{path}/timeline", accept_language="ro").json
    assert [line["words"] for line in english] == [
        "Reported",
        f"{unit} sent",
        f"{ambulance} requested from SAJ",
        f"{ambulance}: accepted by dr. Pop",
        f"{ambulance} sent",
        f"{unit}: acknowledged",
        "Note: acces din spate",
    ]
    assert romanian[0]["words"] == "Raportat"
    assert romanian[1]["words"] == f"{unit} trimis"
    assert romanian[6]["words"] == "Notă: acces din spate"
    assert set(english[0]["data"]) >= {"kind", "place", "caller"}
    assert "VERSION" not in english[0]["data"]
    # Each line says when it happened, when it was heard of, and from whom
    late = english[5]
    assert (late["observed_at"], late["received_at"]) == (room.ago(20), room.ago(0))
    assert {line["actor"] for line in english} == {room.ana.name}
    times = room.ana.get(path).json["times"]
    assert times["unit_acknowledged"] == room.ago(20)
    assert times["case_created"] == english[0]["observed_at"]
    assert list(times.values()) == sorted(times.values())


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        (None, "Reported"),
        ("ro", "Raportat"),
        ("RO-ro", "Raportat"),
        ("fr, ro;q=0.5, en;q=0.1", "Raportat"),
        ("en-GB, ro;q=0.9", "Reported"),
        ("hu", "Reported"),
        ("ro;q=0", "Reported"),
        ("ro;q=nonsense", "Reported"),
        ("*", "Reported"),
        (";;,,;=", "Reported"),
    ],
)
def test_the_language_is_the_best_of_those_asked_for(
    embedded_room: Room, accept: str | None, said: str
) -> None:
    incident = embedded_room.incident()["id"]
    headers = {} if accept is None else {"accept_language": accept}
    [line] = embedded_room.ana.get(f"/incidents/{incident}/timeline", **headers).json
    assert line["words"] == said


def test_times_are_utc_to_the_millisecond(embedded_room: Room) -> None:
    row = embedded_room.incident()
    assert row["reported_at"] == rfc3339(embedded_room.clock.now_us())
    assert row["reported_at"].endswith("Z")
    assert json.dumps(row)
