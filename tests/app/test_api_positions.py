"""Positions over HTTP: each row is judged for itself, and what is accepted is on disk within a second."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from app.up import wait_until
from tests.app.control_room import AREA, RAILWAY_STATION, Room, is_problem, next_page

LON, LAT = RAILWAY_STATION


def fix(room: Room, unit: Any, **more: Any) -> dict[str, Any]:
    return {"unit": unit, "lon": LON, "lat": LAT, "observed_at": room.ago(0)} | more


def test_a_bad_row_is_refused_by_name_and_the_rest_is_kept(shared_room: Room) -> None:
    room = shared_room
    first, last = room.unit(), room.unit()
    bad: list[tuple[Any, str, str, str]] = [
        (fix(room, "NU-E"), "NU-E", "unknown-unit", "NU-E"),
        (fix(room, first, lon="24.94"), first, "bad-coordinates", "lon"),
        (fix(room, first, lat=None), first, "bad-coordinates", "lat"),
        (fix(room, first, lon=float("nan")), first, "bad-coordinates", "lon"),
        (fix(room, first, lat=float("inf")), first, "bad-coordinates", "lat"),
        (fix(room, first, lon=True), first, "bad-coordinates", "lon"),
        (fix(room, first, lon=181), first, "bad-coordinates", "lon"),
        (fix(room, first, lat=-91), first, "bad-coordinates", "lat"),
        (fix(room, first, lon=0, lat=0), first, "bad-coordinates", "0"),
        (fix(room, first, observed_at=room.ago(-60)), first, "future", "clock"),
        (fix(room, first, observed_at=room.ago(8 * 86_400)), first, "too-old", "7 days"),
        (fix(room, first, observed_at="acum"), first, "bad-time", "observed_at"),
        (fix(room, first, observed_at="2026-11-23T03:00:00"), first, "bad-time", "observed_at"),
        (fix(room, first, observed_at="2026-W48-1T03:00:00Z"), first, "bad-time", "observed_at"),
        (fix(room, first, observed_at="0001-01-01T00:00:00+14:00"), first, "*", ""),
        (fix(room, first, observed_at=1_795_402_800), first, "invalid", "observed_at"),
        (fix(room, first, observed_at=None), first, "invalid", "observed_at"),
        (fix(room, first, speed_mps="fast"), first, "invalid", "speed_mps"),
        (fix(room, first, altitude_m=70), first, "invalid", "altitude_m"),
        (fix(room, None), None, "invalid", "unit"),
        (fix(room, 7), None, "invalid", "unit"),
        (fix(room, ""), "", "invalid", "unit"),
        (fix(room, "x" * 33), "x" * 33, "invalid", "unit"),
        (fix(room, "F\0"), "F\0", "invalid", "unit"),
        ({"unit": first}, first, "*", ""),
        ("F21", None, "invalid", "row"),
        (None, None, "invalid", "row"),
        ([], None, "invalid", "row"),
    ]
    rows = [fix(room, first), *(row for row, *_ in bad), fix(room, last, lat=LAT + 0.001)]
    answer = room.desk("gateway").post("/positions", rows)
    assert answer.status_code == 202
    body = answer.json
    assert body["accepted"] == 2
    assert [r["index"] for r in body["refused"]] == list(range(1, len(bad) + 1))
    for refused, (row, unit, code, word) in zip(body["refused"], bad, strict=True):
        assert refused["unit"] == unit, row
        assert code in (refused["code"], "*"), (row, refused)
        assert word in refused["detail"], (row, refused)
    assert room.ana.get(f"/units/{first}").json["lat"] == LAT
    assert room.ana.get(f"/units/{last}").json["lat"] == LAT + 0.001


def test_a_late_position_goes_into_the_history_and_moves_nothing_back(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    batch = [
        fix(room, unit, observed_at=room.ago(10), lat=60.171),
        fix(room, unit, observed_at=room.ago(30), lat=60.170),
        fix(room, unit, observed_at=room.ago(20), lat=60.1705),
    ]
    gateway = room.desk("gateway")
    assert {**gateway.post("/positions", batch).json} == {
        "accepted": 3,
        "late": 2,
        "duplicates": 0,
        "refused": [],
    }
    assert room.ana.get(f"/units/{unit}").json["lat"] == 60.171
    # When the tracker did not hear the answer, the same batch changes nothing
    again = gateway.post("/positions", batch[:1]).json
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert room.core.tracks.drain()
    trail = room.core.tracks.trail(unit, 0, room.clock.now_us())
    assert [kept.lat for kept in trail] == [60.170, 60.1705, 60.171]


@pytest.mark.parametrize("left_out", [{"speed_mps": -3}, {"heading_deg": 9000}, {"accuracy_m": float("nan")}])
def test_a_speed_heading_or_accuracy_that_cannot_be_is_left_out_and_the_place_kept(
    embedded_room: Room, left_out: dict[str, Any]
) -> None:
    room = embedded_room
    unit = room.unit()
    assert room.desk("gateway").post("/positions", [fix(room, unit, **left_out)]).json["accepted"] == 1
    row = room.ana.get(f"/units/{unit}").json
    assert (row["lon"], row[next(iter(left_out))]) == (LON, None)


def test_a_body_that_is_no_list_of_positions_is_refused_whole(embedded_room: Room) -> None:
    room = embedded_room
    gateway = room.desk("gateway")
    for body in ({"unit": "F21"}, "F21", 7):
        is_problem(gateway.post("/positions", body), 422, "invalid", "body")
    too_many = [{"unit": "F21"}] * 1001
    assert "1000" in is_problem(gateway.post("/positions", too_many), 413, "too-many-positions")["detail"]
    assert gateway.post("/positions", []).json == {"accepted": 0, "late": 0, "duplicates": 0, "refused": []}
    client = room.app.test_client(use_cookies=False)
    headers = {"Authorization": f"Bearer {gateway.token}"}

    def raw(data: bytes, kind: str | None) -> Any:
        return client.post(f"{AREA}/positions", data=data, content_type=kind, headers=headers)

    is_problem(raw(b"[{", "application/json"), 400, "bad-request")
    is_problem(raw(b"[]", "text/csv"), 415)
    is_problem(raw(b"", "application/json"), 400)
    is_problem(raw(b"", None), 415)
    is_problem(raw(b"[" + b" " * 2_000_001 + b"]", "application/json"), 413)


def test_a_thousand_positions_in_one_request(shared_room: Room) -> None:
    room = shared_room
    units = [room.unit() for _ in range(3)]
    rows = [
        fix(room, units[n % 3], observed_at=room.ago(2000 - n), lat=round(LAT + n * 1e-6, 7))
        for n in range(1000)
    ]
    assert room.desk("gateway").post("/positions", rows).json["accepted"] == 1000
    assert room.ana.get(f"/units/{units[999 % 3]}").json["lat"] == rows[999]["lat"]


def test_what_was_accepted_is_there_after_a_restart(open_another: Callable[..., Room]) -> None:
    room = open_another()
    unit = room.unit(at=RAILWAY_STATION)
    assert wait_until(lambda: room.core.tracks.pending == 0, 1)
    reopened = open_another()
    kept = reopened.core.tracks.last(unit)
    assert kept is not None
    assert (kept.lon, kept.lat) == RAILWAY_STATION


def test_while_too_much_waits_for_the_disk_the_sender_is_told_to_come_again(
    embedded_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = embedded_room
    unit = room.unit()
    monkeypatch.setattr(room.core.tracks, "_pending_max", 0)
    answer = room.desk("gateway").post("/positions", [fix(room, unit)])
    is_problem(answer, 503, "overloaded")
    assert answer.headers["Retry-After"] == "1"
    assert room.ana.get(f"/units/{unit}").json["lon"] is None
    monkeypatch.undo()
    assert room.desk("gateway").post("/positions", [fix(room, unit)]).json["accepted"] == 1


def test_positions_leave_no_trace_in_the_log(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    before = room.core.log.position
    room.seen(unit, RAILWAY_STATION)
    assert room.core.log.position == before


def test_the_frame_holds_what_was_reported(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    room.seen(unit, (LON, LAT), seconds_ago=2, heading_deg=90.04, speed_mps=13.889)
    n = room.ana.get(f"/units/{unit}").json["n"]
    frame = room.core.tracks.frame([n], room.clock.now_us())
    assert len(frame) == 36
    assert struct.unpack("<BBHIdIiiIHH", frame) == (
        1,
        0,
        0,
        1,
        room.clock.now_us() / 1e6,
        n,
        249_414_000,
        601_712_000,
        2000,
        900,
        1389,
    )


# ---- where a unit has been


def drive(room: Room, unit: str, points: int, every_s: int = 10) -> list[str]:
    """The unit reports along a street until now; returns the times."""
    times = [room.ago(every_s * i) for i in range(points)][::-1]
    rows = [fix(room, unit, observed_at=at, lon=round(LON + i * 1e-3, 7)) for i, at in enumerate(times)]
    assert room.desk("gateway").post("/positions", rows).json["accepted"] == points
    assert room.core.tracks.drain()
    return times


def test_a_trail_tells_where_a_unit_has_been_and_how_old_that_is(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    times = drive(room, unit, 5)
    trail = room.ana.get(f"/units/{unit}/trail").json
    assert [p["observed_at"] for p in trail] == times
    assert [p["age_s"] for p in trail] == [40, 30, 20, 10, 0]
    assert trail[0] == {
        "observed_at": times[0],
        "received_at": room.ago(0),
        "age_s": 40,
        "lon": LON,
        "lat": LAT,
        "speed_mps": None,
        "heading_deg": None,
        "accuracy_m": None,
        "source": room.desk("gateway").name,
    }


def test_a_trail_is_of_the_span_that_was_asked_for(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    times = drive(room, unit, 12, every_s=600)

    def trail(query: str) -> list[str]:
        return [p["observed_at"] for p in room.ana.get(f"/units/{unit}/trail{query}").json]

    assert trail("") == times[-7:], "the last hour, both its ends included"
    assert trail(f"?since={times[2]}") == times[2:]
    assert trail(f"?since={times[2]}&until={times[4]}") == times[2:5]
    assert trail(f"?until={times[4]}") == times[:5]
    assert trail(f"?since={room.ago(-60)}&until={room.ago(-120)}") == []


def test_a_long_trail_comes_in_pages_each_fix_once_while_the_unit_drives_on(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    times = drive(room, unit, 25)
    path: str | None = f"/units/{unit}/trail?limit=10"
    found: list[str] = []
    while path is not None:
        answer = room.ana.get(path)
        assert answer.status_code == 200, answer.text
        found += [p["observed_at"] for p in answer.json]
        room.clock.advance(1)
        room.seen(unit, (LON + 1 + len(found) / 100, LAT))
        path = next_page(answer)
    assert found == times


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?since=ieri", "since"),
        ("?until=2026-11-23T03:00:00", "until"),
        ("?since=2026-11-23T03:00:00Z&until=2026-11-23T02:00:00Z", "since"),
        ("?limit=0", "limit"),
        ("?limit=5001", "limit"),
        ("?limit=all", "limit"),
        ("?after=here", "after"),
        ("?after=99999999999999999999~avl", "after"),
        ("?bbox=1,2,3,4", "bbox"),
    ],
)
def test_a_trail_asked_for_wrongly_names_the_field(embedded_room: Room, query: str, field: str) -> None:
    unit = embedded_room.unit()
    is_problem(embedded_room.ana.get(f"/units/{unit}/trail{query}"), 422, None, field)


def test_a_crew_reads_its_own_trail_and_no_other(embedded_room: Room) -> None:
    room = embedded_room
    own, other = room.unit(), room.unit()
    drive(room, own, 3)
    tablet = room.desk("field", unit=own)
    assert len(tablet.get(f"/units/{own}/trail").json) == 3
    is_problem(tablet.get(f"/units/{other}/trail"), 404, "unknown-unit")
    is_problem(room.ana.get("/units/NU-E/trail"), 404, "unknown-unit")
