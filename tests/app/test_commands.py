"""The command line's door: the echo before, the act, and that it is the same act as by any other door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import TestResponse

from app.api.commands import DoneShape, MeaningShape
from tests.app.control_room import RAILWAY_STATION, Desk, is_problem, pages

if TYPE_CHECKING:
    from tests.app.control_room import Room

SQUARE = "Kaisaniemenkatu 5"
"""An address of the demo city."""


def read(room: Room, text: str, desk: Desk | None = None, **more: Any) -> dict[str, Any]:
    """What the line means, by its door; the answer has the promised shape."""
    language = more.pop("language", "en")
    answer = (desk or room.ana).post("/commands/parse", {"text": text, **more}, accept_language=language)
    assert answer.status_code == 200, answer.text
    MeaningShape.model_validate(answer.json, strict=True)
    found: dict[str, Any] = answer.json
    return found


def say(room: Room, text: str, desk: Desk | None = None, **more: Any) -> TestResponse:
    return (desk or room.ana).post("/commands", {"id": room.uuid(), "text": text, **more})


def done(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    DoneShape.model_validate(answer.json, strict=True)
    found: dict[str, Any] = answer.json
    return found


def number(incident: dict[str, Any]) -> str:
    """As it is typed: without the station."""
    return str(incident["number"]).rpartition("-")[2]


def newest(room: Room, subject: str, kind: str) -> dict[str, Any]:
    """The newest fact of that kind about a subject, as the log has it, apart from where and when."""
    found = [x for x in pages(room.desk("admin"), "/events?limit=1000") if subject in x["subjects"]]
    fact = next(x for x in reversed(found) if x["type"] == kind)
    where_and_when = ("position", "seq", "lamport", "cause", "prev_hash", "hash", "subjects", "data")
    kept = {name: value for name, value in fact.items() if name not in where_and_when}
    return {
        **kept,
        "data": {k: v for k, v in fact["data"].items() if k not in ("incident", "unit", "closure")},
    }


# ---- the echo


def test_the_echo_says_what_would_be_done_in_the_language_of_the_room(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident("R01", address="Unioninkatu 20")
    own, theirs = room.unit("SV"), room.unit("B2", crew=3)
    before = room.core.log.position
    line = f"T {number(incident)} {own.lower()} {theirs}"
    meant = read(room, line, language="ro")
    assert meant["state"] == "ready"
    assert meant["echo"]["words"] == (
        f"Trimite {own}, solicită {theirs} → {incident['number']} Accident rutier cu victime, Unioninkatu 20"
    )
    assert read(room, line)["echo"]["words"].startswith(f"Send {own}, ask for {theirs} → ")
    assert meant["commands"] == [
        {
            "command": "AssignUnits",
            "incident": incident["id"],
            "units": [own, theirs],
            "override_reason": None,
            "answer_s": 120,
        }
    ]
    assert room.core.log.position == before, "an echo leaves no trace"


def test_a_wrong_word_is_marked_where_the_browser_counts(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit("SV")
    line = f"🔥 {unit}"
    (fault,) = read(room, line)["faults"]
    assert (fault["code"], fault["start"], fault["end"]) == ("unknown-verb", 0, 2)
    meant = read(room, f"S {unit} disponibll", language="ro")
    assert meant["state"] == "wrong"
    assert meant["faults"][0]["words"] == "„disponibll” nu este un status; poate Disponibil / Indisponibil"
    assert meant["faults"][0]["meant"] == ["Disponibil", "Indisponibil"]
    assert read(room, f"S {unit} ")["state"] == "missing"
    assert read(room, " ")["state"] == "empty"


def test_what_would_be_refused_is_told_before_it_is_sent(shared_room: Room) -> None:
    room = shared_room
    first, second = room.incident(), room.incident()
    unit = room.unit()
    room.sent(first["id"], unit)
    meant = read(room, f"D {number(second)} {unit}")
    assert meant["state"] == "refused"
    assert meant["refusal"]["code"] == "unit-taken"
    assert meant["refusal"]["incident_number"] == first["number"]
    assert meant["echo"]["words"].startswith(f"Send {unit}")
    # And the order itself is refused in the same words
    refused = is_problem(say(room, f"D {number(second)} {unit}"), 409, "unit-taken")
    assert {name: refused[name] for name in meant["refusal"]} == meant["refusal"]


def test_completions_carry_words(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit("SV", call_sign="ZQ41")
    assert read(room, "D 1 zq4")["completions"] == [
        {
            "start": 4,
            "end": 7,
            "text": unit,
            "kind": "unit",
            "about": unit,
            "words": "Available · Nord",
        }
    ]
    incident = room.incident("F01", address="Unioninkatu 20", priority="P1")
    found = {x["about"]: x for x in read(room, f"NOTE {number(incident)}")["completions"]}
    assert all(one["kind"] == "incident" for one in found.values())
    streets = [x["text"] for x in read(room, "N F01 Kaisaniemenk")["completions"]]
    assert streets[0] == "Kaisaniemenkatu"
    assert read(room, "tri", language="ro")["completions"][0]["words"] == "trimite: T 12 A3 A7"


# ---- the act


def test_a_line_is_the_same_act_as_the_form_the_keys_and_the_program(shared_room: Room) -> None:
    """Given two calls and two crews each, one is worked through the API's own paths and the other by lines:
    the log tells them apart by what they are about alone."""
    room = shared_room
    doors: list[dict[str, dict[str, Any]]] = []
    for by_line in (False, True):
        incident, unit = room.incident("F05"), room.unit("SV")
        at = number(incident)
        path = f"/incidents/{incident['id']}"
        acts: list[tuple[str, str, str, Any, str, str]] = [
            ("POST", f"{path}/acknowledge", "", {}, f"ACK {at}", "IncidentAcknowledged"),
            ("POST", f"{path}/notes", "", {"text": "fum dens"}, f"NOTA {at} fum dens", "NoteAdded"),
            ("POST", f"{path}/alarm-level", "", {"level": 2}, f"LEVEL {at} 2", "AlarmLevelSet"),
            ("PATCH", path, "", {"priority": "P1"}, f"PRIO {at} P1", "IncidentChanged"),
            ("POST", f"{path}/assignments", "", {"units": [unit]}, f"T {at} {unit}", "UnitAssigned"),
            (
                "POST",
                f"/units/{unit}/status",
                "",
                {"status": "en_route"},
                f"S {unit} R",
                "UnitStatusReported",
            ),
            (
                "DELETE",
                f"{path}/assignments/{unit}",
                "?reason=gata",
                None,
                f"RECALL {unit} NOTE gata",
                "UnitRecalled",
            ),
            (
                "POST",
                f"/units/{unit}/flags",
                "",
                {"flag": "emergency", "on": True},
                f"DANGER {unit}",
                "UnitFlagSet",
            ),
            ("POST", f"{path}/close", "", {"outcome": "stins"}, f"ÎNCHIDE {at} stins", "IncidentClosed"),
            (
                "POST",
                f"{path}/reopen",
                "",
                {"reason": "reaprins"},
                f"REOPEN {at} reaprins",
                "IncidentReopened",
            ),
        ]
        kept = {}
        for method, where, query, body, line, fact in acts:
            answer = say(room, line) if by_line else room.ana.call(method, where + query, body)
            assert answer.status_code == 200, (line, answer.text)
            subject = f"unit:{unit}" if where.startswith("/units") else f"incident:{incident['id']}"
            kept[fact] = newest(room, subject, fact)
        doors.append(kept)
    assert doors[0].keys() == doors[1].keys()
    sealed = {"NoteAdded", "UnitRecalled", "IncidentClosed", "IncidentReopened"}
    for fact, by_path in doors[0].items():
        by_line_fact = doors[1][fact]
        if fact in sealed:
            # Each piece of personal data lies under a key of its own.
            by_path, by_line_fact = ({**x, "data": sorted(x["data"])} for x in (by_path, by_line_fact))
        assert by_path == by_line_fact, fact


def test_a_call_taken_by_line_is_the_call_the_form_takes(shared_room: Room) -> None:
    room = shared_room
    line_id = room.uuid()
    text = f"N F05 {SQUARE} P2 NOTE două mașini"
    answer = done(room.ana.post("/commands", {"id": line_id, "text": text}))
    row = room.ana.get(f"/incidents/{line_id}").json
    assert answer["incidents"] == [row]
    assert (row["type"], row["priority"], row["address"]) == ("F05", "P2", SQUARE)
    assert row["description"] == "două mașini"
    form = room.uuid()
    taken = room.ana.post(
        "/incidents",
        {
            "id": form,
            "type": "F05",
            "priority": "P2",
            "location": {"lon": row["lon"], "lat": row["lat"]},
            "address": row["address"],
            "description": "două mașini",
        },
    ).json
    for name in ("lon", "lat", "address", "plan", "priority", "case_numbers", "reported_by"):
        assert taken[name] == row[name], name
    # What no map knows stays in the address
    inside = done(say(room, f"N F05 {SQUARE} ap. 3"))["incidents"][0]
    assert inside["address"] == f"{SQUARE}, flat 3"
    assert inside["address_parts"]["apartment"] == "3"


def test_several_units_are_each_a_command_of_their_own(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()
    units = [room.unit() for _ in range(3)]
    room.sent(incident["id"], *units)
    answer = done(say(room, f"S {' '.join(units)} R"))
    assert [x["unit"] for x in answer["done"]] == units
    assert {x["id"]: x["status"] for x in answer["units"]} == dict.fromkeys(units, "en_route")
    # One of them cannot follow: none is changed
    assert room.ana.post(f"/units/{units[0]}/status", {"status": "on_scene"}).status_code == 200
    before = room.core.log.position
    refused = is_problem(say(room, f"S {units[1]} {units[0]} R"), 409, "status-not-next")
    assert refused["unit"] == units[0]
    assert room.core.log.position == before


def test_nothing_is_sent_on_a_fault(shared_room: Room) -> None:
    room = shared_room
    incident, unit = room.incident(), room.unit()
    before = room.core.log.position
    for text, code in (
        (f"D {number(incident)} {unit} NUEXISTA", "unknown-unit"),
        (f"D 987654 {unit}", "unknown-incident"),
        (f"TRIMTE {number(incident)} {unit}", "unknown-verb"),
        ("LIGHTS SECTOR4 100", "lights-none"),
        (f"D {number(incident)}", "which-units"),
        ("", None),
        ("<script>alert(1)</script>", "unknown-verb"),
    ):
        body = is_problem(say(room, text), 422, "not-understood", "text")
        assert [fault["code"] for fault in body["faults"]] == ([code] if code else []), text
    lights = is_problem(say(room, "LUMINI"), 422)
    assert lights["detail"] == "no lights are connected to this centre: nothing is sent"
    assert room.core.log.position == before
    assert room.ana.get(f"/units/{unit}").json["incident"] is None


def test_a_line_sent_again_is_done_once_whatever_its_words_would_mean_by_then(shared_room: Room) -> None:
    room = shared_room
    incident, unit = room.incident(), room.unit()
    room.sent(incident["id"], unit)
    for text, fact in (
        (f"RECALL {unit} NOTE nu mai e nevoie", "UnitRecalled"),
        (f"LEVEL {number(incident)} +", "AlarmLevelSet"),
        (f"NOTE {number(incident)} o singură dată", "NoteAdded"),
    ):
        body = {"id": room.uuid(), "text": text}
        first = done(room.ana.post("/commands", body))
        before = room.core.log.position
        again = done(room.ana.post("/commands", body))
        assert (first["replayed"], again["replayed"]) == (False, True)
        assert [x["fact"] for x in again["done"]] == [fact]
        assert again["incidents"] == first["incidents"]
        assert again["log_position"] == first["log_position"]
        assert room.core.log.position == before, text
        # The same id for another line, or from somebody else, is a misuse
        is_problem(
            room.ana.post("/commands", {**body, "text": f"ACK {number(incident)}"}), 409, "id-reused", "id"
        )
        is_problem(room.desk("supervisor").post("/commands", body), 409, "id-reused", "id")
    # So is the id of a line as the key of another request
    note = {"text": "altceva"}
    key = body["id"]
    path = f"/incidents/{incident['id']}/notes"
    is_problem(room.ana.post(path, note, idempotency_key=key), 409, "id-reused")


def test_what_was_not_echoed_is_not_done(shared_room: Room) -> None:
    """Given that the echo spoke of one incident on the screen, when another is there at Enter, nothing is
    done before it was read anew."""
    room = shared_room
    first, second = room.incident(), room.incident()
    meant = read(room, "ACK", incident=first["id"])
    stale = {"id": room.uuid(), "text": "ACK", "incident": second["id"], "meaning": meant["meaning"]}
    problem = is_problem(room.ana.post("/commands", stale), 409, "meaning-changed")
    assert problem["parsed"]["echo"]["args"]["incident"] == second["id"]
    assert room.ana.get(f"/incidents/{second['id']}").json["acknowledged_at"] is None
    done(room.ana.post("/commands", {**stale, "incident": first["id"]}))
    # A span of time from now on is the same meaning a moment later
    line = f"CLOSURE {SQUARE} 40m 2h"
    first_read = read(room, line)
    room.clock.advance(3)
    done(say(room, line, meaning=first_read["meaning"]))


def test_times_count_from_when_the_line_was_typed(shared_room: Room) -> None:
    room = shared_room
    body = {
        "id": room.uuid(),
        "text": f"CLOSURE inundat {SQUARE} 60m 2h NOTE conductă",
        "said_at": room.ago(30),
    }
    done(room.ana.post("/commands", body))
    closure = room.ana.get(f"/closures/{body['id']}").json
    assert closure["until"] == room.ago(30 - 7200)
    assert (closure["kind"], closure["geometry"]["radius_m"], closure["reason"]) == ("flood", 60, "conductă")
    too_fast = {**body, "id": room.uuid(), "said_at": room.ago(-60)}
    is_problem(room.ana.post("/commands", too_fast), 422, "time-in-future", "said_at")


def test_looking_shows_and_changes_nothing(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident("F05")
    unit = room.unit("ASAS", at=RAILWAY_STATION)
    before = room.core.log.position
    shown = done(say(room, f"FIND {unit}"))
    assert (shown["look"]["what"], shown["look"]["unit"]) == ("unit", unit)
    assert [x["id"] for x in shown["units"]] == [unit]
    assert done(say(room, f"FIND {incident['number']}"))["incidents"][0]["id"] == incident["id"]
    place = done(say(room, f"FIND {SQUARE}"))["look"]
    assert (place["what"], place["label"]) == ("place", SQUARE)
    assert room.core.log.position == before
    why = done(say(room, f"WHY {number(incident)} {unit}"))
    assert why["lines"][0].startswith(f"{unit}: ")


def test_old_incidents_are_found_by_number(own_room: Room) -> None:
    room = own_room
    incident = room.incident()
    done(say(room, f"CLOSE {number(incident)} stins"))
    room.clock.advance(2 * 86_400)
    room.core.picture.evict()
    assert done(say(room, f"REOPEN {number(incident)} reaprins"))["incidents"][0]["state"] == "open"


def test_incidents_of_another_district_do_not_exist_for_the_line(shared_room: Room) -> None:
    room = shared_room
    incident, unit = room.incident(), room.unit()
    north = room.desk("dispatcher", ["nord"])
    meant = read(room, f"D {number(incident)} {unit}", desk=north)
    assert [fault["code"] for fault in meant["faults"]] == ["unknown-incident"]
    assert incident["number"] not in str(meant)
    is_problem(say(room, f"NOTE {number(incident)} x", desk=north), 422, "not-understood", "text")
    is_problem(say(room, "ACK", desk=north, incident=incident["id"]), 422, "unknown-incident", "incident")
    # What the line may name it may still not do: its unit belongs to the other district
    theirs = is_problem(say(room, f"S {unit} O pană", desk=north), 403, "forbidden")
    assert "nord" in theirs["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "ACK 1"}, "id"),
        ({"id": "nu", "text": "ACK 1"}, "id"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001"}, "text"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001", "text": 5}, "text"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001", "text": "x" * 30_000}, "text"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001", "text": "a\0b"}, "text"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001", "text": "ACK", "incident": "nimic"}, "incident"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001", "text": "S R", "unit": "nimeni"}, "unit"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001", "text": "?", "said_at": "ieri"}, "said_at"),
        ({"id": "5b0f6e7e-52f4-4b51-8a7f-9d8c8b9f0001", "text": "?", "force": True}, "force"),
    ],
)
def test_bad_input_names_the_field(embedded_room: Room, body: dict[str, Any], field: str) -> None:
    is_problem(embedded_room.ana.post("/commands", body), 422, field=field)
    if field != "id":
        without = {name: value for name, value in body.items() if name != "id"}
        is_problem(embedded_room.ana.post("/commands/parse", without), 422, field=field)


def test_a_page_of_pasted_text_is_kept_as_text(shared_room: Room) -> None:
    room = shared_room
    incident = room.incident()
    page = ("<script>alert('ș')</script> & fum; " * 300)[:10_000].strip()
    done(say(room, f"NOTE {number(incident)} {page}"))
    assert room.ana.get(f"/incidents/{incident['id']}").json["notes"][-1]["text"] == page
