"""Paper to go on with: the running sheet, and how the shift goes."""

from __future__ import annotations

import stat
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from app.api import shapes
from app.performance import percentile
from app.sheet import LATE_S, Sheets, path_of
from tests.app.control_room import PHONE, Room, is_problem
from tests.app.test_shapes import fits


@pytest.fixture
def bare_room(open_another: Callable[..., Room]) -> Room:
    """A room without a city: paper and figures need none, and it opens at once."""
    return open_another(city=None)


def sheet(room: Room, language: str = "en", desk: Any = None) -> str:
    answer = (desk or room.ana).get(f"/sheet?language={language}")
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/html"
    assert answer.headers["Cache-Control"] == "no-store"
    return unescape(answer.text)


def test_when_everything_stops_the_sheet_on_the_disk_has_what_the_room_must_know(bare_room: Room) -> None:
    room = bare_room
    # Before the keeper has written one, that is said
    is_problem(room.ana.get("/sheet"), 503, "no-sheet")
    # Given a fire nobody has seen, a crew sent elsewhere, an engine asked for, a road closed
    script = "<script>alert(1)</script>"
    fire = room.incident("F01", description=script, address="Kaisaniemenkatu 2")
    seen = room.incident("F05", description="mașină")
    crew, engine = room.unit(status="available", talkgroup="TG 7"), room.unit("ASAS")
    room.sent(seen["id"], crew, engine)
    room.ana.post(f"/incidents/{seen['id']}/acknowledge")
    room.ana.post(f"/incidents/{seen['id']}/notes", {"text": "al doilea vehicul arde"})
    line = {"type": "LineString", "coordinates": [[24.9424, 60.1712], [24.9428, 60.1718]]}
    road = {"id": room.uuid(), "kind": "closure", "geometry": line, "reason": "conductă spartă"}
    assert room.ana.post("/closures", road).status_code == 201
    gone = room.incident("F05")
    assert room.ana.post(f"/incidents/{gone['id']}/close", {"outcome": "nimic"}).status_code == 200
    # When the keeper's minute comes
    sheets = Sheets(room.core)
    assert sheets.step()
    # Then there is one file a language, whole, for this user alone, and needing no script
    for language, said in (("ro", "NU L-A VĂZUT NIMENI ÎNCĂ"), ("en", "NOBODY HAS SEEN IT YET")):
        path = path_of(room.core.config.var, language)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        raw = path.read_text(encoding="utf-8")
        assert "<script" not in raw
        assert f'<html lang="{language}">' in raw
        text = sheet(room, language)
        assert script in text
        for wanted in (said, PHONE, "Kaisaniemenkatu 2", crew, engine, "TG 7", "conductă spartă"):
            assert wanted in text, wanted
        assert "al doilea vehicul arde" in text
        # What nobody has seen stands first; what is over is not there
        assert text.index(fire["number"]) < text.index(seen["number"])
        assert f"{gone['number']} ·" not in text
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []
    # It says what it covers, and how old it is; nothing is written again before the next minute
    assert "Covers 2 open incidents" in sheet(room)
    assert not sheets.step()
    room.clock.advance(59)
    assert not sheets.step()
    assert "Handed out 59 s after it was written" in sheet(room)
    room.ana.post(f"/incidents/{fire['id']}/acknowledge")
    room.clock.advance(1)
    assert sheets.step()
    assert "NOBODY HAS SEEN IT YET" not in sheet(room)
    # And when nobody writes it any more, it says that loudly
    room.clock.advance(LATE_S + 60)
    assert "nobody is writing it any more" in sheet(room)
    assert "nu o mai scrie nimeni" in sheet(room, "ro")


def test_a_disk_that_cannot_be_written_never_stops_the_keeper(bare_room: Room) -> None:
    room = bare_room
    sheets = Sheets(room.core)
    blocked = path_of(room.core.config.var, "en").parent
    blocked.write_text("a file where the folder belongs", encoding="utf-8")
    assert not sheets.step()
    # Mended, it is written at the next step and not a minute later
    blocked.unlink()
    assert sheets.step()


def test_whoever_works_in_one_district_gets_a_sheet_of_that_district(bare_room: Room) -> None:
    room = bare_room
    here = room.incident(description="secretul din centru")
    Sheets(room.core).step()
    elsewhere = room.desk("dispatcher", ["nord"])
    assert here["number"] not in sheet(room, desk=elsewhere)
    assert "secretul din centru" not in sheet(room, desk=elsewhere)
    assert "secretul din centru" in sheet(room, desk=room.desk("dispatcher", ["centru"]))
    is_problem(room.ana.get("/sheet?language=de"), 422, "invalid", "language")


def test_the_supervisor_reads_who_waits_how_soon_and_on_whom_it_lies(bare_room: Room) -> None:
    room = bare_room
    boss = room.desk("supervisor")
    # Given four calls of one priority: acknowledged after 10, 20, 30 s; one that nobody has seen
    made = [room.incident("F05", priority="P2") for _ in range(4)]
    for one in made[:3]:
        room.clock.advance(10)
        assert room.ana.post(f"/incidents/{one['id']}/acknowledge").status_code == 200
    crew = room.unit()
    room.sent(made[0]["id"], crew)
    room.clock.advance(270)
    for status in ("en_route", "on_scene"):
        told = room.ana.post(f"/units/{crew}/status", {"status": status, "force": True, "reason": "radio"})
        assert told.status_code == 200, told.text
    # When the page is read
    found = boss.get("/performance?hours=1").json
    fits(shapes.PerformanceShape, found)
    row = next(p for p in found["priorities"] if p["priority"] == "P2")
    target_s = room.core.pack.priorities["P2"].target_s
    assert row["target_s"] == target_s
    assert row["incidents"] == 4
    assert row["answer"] | {"n": 3} == row["answer"]
    assert (row["answer"]["p50_s"], row["answer"]["p90_s"]) == (20.0, 30.0)
    assert row["response"]["p50_s"] == 300.0
    assert row["response"]["within_pct"] == (100.0 if target_s >= 300 else 0.0)
    assert row["not_reached"] == 3
    # Then what nobody has seen waits longest, and it is said for whom and since when
    unseen = next(w for w in found["waits"] if w["kind"] == "unacknowledged")
    assert (unseen["number"], unseen["waiting_s"]) == (made[3]["number"], 300.0)
    # A target that runs out with nobody there counts as late, though no percentile can hold it
    room.clock.advance(target_s)
    late = boss.get("/performance?hours=1").json["priorities"]
    assert next(p for p in late if p["priority"] == "P2")["late"] >= 3
    # Who did how much is for supervisors; the figures are for the room
    ana = next(p for p in found["people"] if p["person"] == room.ana.name)
    assert (ana["calls"], ana["acknowledged"], ana["sent"], ana["open"]) == (4, 3, 1, 4)
    assert room.ana.get("/performance").json["people"] is None
    # The hour that is over is over
    room.clock.advance(3 * 3600)
    assert all(p["incidents"] == 0 for p in boss.get("/performance?hours=1").json["priorities"])
    assert not any(p["person"] == room.ana.name for p in boss.get("/performance?hours=1").json["people"])
    # Another district's calls are not in a supervisor's figures
    away = room.desk("supervisor", ["nord"]).get("/performance?hours=24").json
    assert sum(p["incidents"] for p in away["priorities"]) == 0
    is_problem(boss.get("/performance?hours=99"), 422, "invalid", "hours")


@pytest.mark.parametrize(("part", "expected"), [(0.0, 1), (0.5, 5), (0.9, 9), (0.91, 10), (1.0, 10)])
def test_a_percentile_is_one_of_the_values_that_were_met(part: float, expected: int) -> None:
    assert percentile(list(range(10, 0, -1)), part) == expected
    assert percentile([], part) is None
