"""One shift to the next, what is planned, and paper: as the API tells and takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.api import shapes
from tests.app.control_room import RAILWAY_STATION, Room, is_problem, open_room
from tests.app.test_shapes import fits

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def bare_room(open_another: Callable[..., Room]) -> Room:
    """A room without a city: none of this needs one, and it opens at once."""
    return open_another(city=None)


def test_the_next_shift_reads_the_brief_and_signs_for_it(bare_room: Room) -> None:
    room = bare_room
    # Given a call with a crew, another that nobody has seen, a request without an answer, works planned
    seen, unseen = room.incident(), room.incident("M01")
    crew, asked = room.unit(), room.unit("B2", crew=2)
    room.sent(seen["id"], crew)
    room.sent(unseen["id"], asked)
    room.ana.post(f"/incidents/{seen['id']}/acknowledge")
    room.ana.post(f"/incidents/{seen['id']}/notes", {"text": "al doilea vehicul"})
    works = {
        "id": room.uuid(),
        "kind": "works",
        "title": "Șină de tramvai",
        "from": room.ago(-3600),
        "until": room.ago(-7200),
        "details": SCRIPT,
    }
    entered = room.ana.post("/planned", works)
    assert entered.status_code == 201, entered.text
    fits(shapes.ChangedPlannedShape, entered.json)
    assert room.ana.post("/planned", works).json["rev"] == entered.json["rev"]
    # Then the brief has all of it, what nobody has seen first
    brief = room.ana.get("/handover").json
    fits(shapes.BriefShape, brief)
    assert [x["number"] for x in brief["incidents"]] == [unseen["number"], seen["number"]]
    assert brief["incidents"][1]["last_note"] == "al doilea vehicul"
    assert brief["incidents"][1]["units"] == [crew]
    assert {w["kind"] for w in brief["waits"]} >= {"unacknowledged", "request_asked"}
    assert [u["unit"] for u in brief["units"]] == [crew]
    assert [p["title"] for p in brief["planned"]] == ["Șină de tramvai"]
    # When Ana hands over, twice by a lost answer
    given = {"id": room.uuid(), "notes": f"ploaie {SCRIPT}"}
    first = room.ana.post("/handovers", given)
    assert first.status_code == 201, first.text
    fits(shapes.ChangedHandOverShape, first.json)
    assert room.ana.post("/handovers", given).json["rev"] == first.json["rev"]
    is_problem(room.ana.post("/handovers", given | {"notes": "alta"}), 409, "id-reused", "id")
    path = f"/handovers/{given['id']}"
    is_problem(room.ana.post(f"{path}/take", {}), 409, "handover-own")
    boss = room.desk("supervisor")
    taken = boss.post(f"{path}/take", {"remark": "citit"})
    assert taken.status_code == 200, taken.text
    assert (taken.json["state"], taken.json["taken_by"], taken.json["remark"]) == (
        "taken",
        boss.name,
        "citit",
    )
    assert taken.json["notes"] == f"ploaie {SCRIPT}"
    assert [x["number"] for x in taken.json["incidents"]] == sorted(
        [seen["number"], unseen["number"]], key=lambda n: next(
            x["id"] for x in (seen, unseen) if x["number"] == n)
    )  # fmt: skip
    assert taken.json["requests"] == [{"incident": unseen["id"], "number": unseen["number"], "unit": asked}]
    third = room.desk("dispatcher", ["centru"])
    assert is_problem(third.post(f"{path}/take", {}), 409, "handover-taken")["by"] == boss.name
    # The admin can destroy its text; the record that it was handed over stays
    gone = room.desk("admin").post(f"{path}/erase", {"reason": "cererea persoanei"}).json
    assert (gone["notes"], gone["remark"], gone["taken_by"]) == (None, None, boss.name)
    # What is planned for other eyes comes without its details
    [plain] = room.desk("observer").get("/planned").json
    assert (plain["title"], plain["details"]) == ("Șină de tramvai", None)
    is_problem(room.ana.patch(f"/planned/{works['id']}", {"until": works["from"]}), 422, "bad-span", "until")
    is_problem(room.ana.patch(f"/planned/{works['id']}", {"from": "mâine"}), 422, "bad-time", "from")
    is_problem(room.ana.patch(f"/planned/{works['id']}", {}), 422, "empty")
    is_problem(room.ana.post("/planned/none/withdraw", {"reason": "x"}), 404, "unknown-planned")
    assert room.ana.patch(f"/planned/{works['id']}", {"title": "Șine"}).json["title"] == "Șine"
    out = room.ana.post(f"/planned/{works['id']}/withdraw", {"reason": "ploaie"}).json
    assert (out["state"], out["reason"]) == ("withdrawn", "ploaie")


def paper(room: Room, **more: Any) -> dict[str, Any]:
    at = {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1]}
    report = {"type": "F05", "at": room.ago(7200), "location": at, "address": "Strada Lungă 5"}
    return {"id": room.uuid(), "report": report} | more


def test_a_line_of_paper_becomes_a_case_with_the_hours_that_stand_on_it(bare_room: Room) -> None:
    room = bare_room
    crew = room.unit()
    before = room.ana.get(f"/units/{crew}").json
    sent = {
        "unit": crew,
        "assigned": room.ago(7080),
        "on_scene": room.ago(6600),
        "available": room.ago(3600),
    }
    entry = paper(
        room,
        sendings=[sent],
        notes=[{"at": room.ago(6000), "text": SCRIPT}],
        closed={"at": room.ago(3500), "outcome": "stins"},
    )
    made = room.ana.post("/catch-up", entry)
    assert made.status_code == 201, made.text
    fits(shapes.ChangedIncidentShape, made.json)
    row = made.json
    assert row["state"] == "closed"
    assert row["reported_at"] == entry["report"]["at"]
    assert row["times"]["unit_arrived"] == sent["on_scene"]
    assert row["closed_at"] == entry["closed"]["at"]
    # Every fact says that it comes from paper, when it happened, and that it was typed now
    lines = room.facts(row["id"])
    assert {line["source"] for line in lines} == {"paper"}
    assert {line["actor"] for line in lines} == {room.ana.name}
    arrived = next(line for line in lines if line["type"] == "UnitWasSent")
    assert arrived["observed_at"] == sent["assigned"]
    assert crew in arrived["words"]
    assert all(line["at"] >= room.ago(1) for line in lines)
    # Nobody was moved, and nothing rings
    assert room.ana.get(f"/units/{crew}").json == before
    assert row["acknowledged_at"] is not None
    # Sent again it is the same entry; with other contents it is refused
    assert room.ana.post("/catch-up", entry).json["rev"] == row["rev"]
    is_problem(room.ana.post("/catch-up", entry | {"notes": []}), 409, "id-reused", "id")
    # More about a call that is known
    known = room.incident()
    more = {"id": room.uuid(), "incident": known["id"], "notes": [{"at": room.ago(30), "text": "fum"}]}
    assert room.ana.post("/catch-up", more).json["notes_total"] == 1


def test_a_line_that_cannot_be_is_refused_whole_and_says_which(bare_room: Room) -> None:
    room = bare_room
    crew = room.unit()
    sent = {"unit": crew, "assigned": room.ago(7080), "available": room.ago(3600)}
    place = room.core.log.position
    for change, status, code, field in (
        ({"sendings": [sent | {"on_scene": room.ago(7100)}]}, 422, "out-of-order", "sendings.0.on_scene"),
        ({"sendings": [sent, sent | {"unit": "X9"}]}, 404, "unknown-unit", "sendings.1.unit"),
        ({"sendings": [sent | {"available": "14:05"}]}, 422, "bad-time", "sendings.0.available"),
        ({"closed": {"at": room.ago(-60), "outcome": "x"}}, 422, "time-in-future", "closed.at"),
        ({"incident": room.uuid()}, 422, "invalid", "body"),
        ({"notes": [{"at": room.ago(60), "text": "x" * 20_001}]}, 422, "invalid", "notes.0.text"),
        ({"id": "eu"}, 422, "invalid", "id"),
    ):
        answer = room.ana.post("/catch-up", paper(room) | change)
        is_problem(answer, status, code, field)
    old = paper(room)
    old["report"]["at"] = room.ago(32 * 86_400)
    is_problem(room.ana.post("/catch-up", old), 422, "paper-too-old", "report")
    is_problem(room.ana.post("/catch-up", {"id": room.uuid(), "incident": "none"}), 404, "unknown-incident")
    assert room.core.log.position == place


def test_after_a_restart_the_shift_is_still_there(bare_room: Room) -> None:
    room = bare_room
    given = {"id": room.uuid(), "notes": "noapte"}
    assert room.ana.post("/handovers", given).status_code == 201
    span = {"from": room.ago(-60), "until": room.ago(-86_400)}
    works = {"id": room.uuid(), "kind": "exercise", "title": "Alarmă"} | span
    assert room.ana.post("/planned", works).status_code == 201
    config = room.core.config
    with open_room(config.var.parent / "again", config.database_url, room.clock, room.random, None) as again:
        brief = again.ana.get("/handover").json
        assert [h["notes"] for h in brief["handovers"]] == ["noapte"]
        assert [p["title"] for p in brief["planned"]] == ["Alarmă"]
