"""The demo's beginning, its marks and its end: logins, tokens, stations, on both databases."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import demo, up
from dispatch import commands as c
from tests.app.control_room import AREA, Desk, Room, is_problem

ROOT = Path(__file__).resolve().parents[2]
OpenRoom = Callable[..., Room]
MARK = '<meta name="straja-demo" content="1" />'


def kept(room: Room) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((room.core.config.var / demo.FILE).read_text(encoding="utf-8"))
    return found


def desk_of(room: Room, who: str) -> Desk:
    return Desk(room, kept(room)["tokens"][who], f"demo-{who}")


def test_begun_twice_the_demo_is_there_once(own_room: Room) -> None:
    demo.begin(own_room.core)
    first, position = kept(own_room), own_room.core.picture.position
    demo.begin(own_room.core)
    # the tokens are those of before, the crews are not registered again, the secrets are for their user alone
    assert kept(own_room) == first
    assert own_room.core.picture.position == position
    assert (own_room.core.config.var / demo.FILE).stat().st_mode & 0o077 == 0
    units = own_room.ana.get("/units").json
    assert len(units) > 20
    assert {unit["source"] for unit in units} == {"demo"}
    assert {unit["command"] for unit in units} == {"owned", "requested"}
    west, south, east, north = own_room.core.city.info.bbox if own_room.core.city else (0, 0, 0, 0)
    assert all(west <= u["base"]["lon"] <= east and south <= u["base"]["lat"] <= north for u in units)


def test_in_another_city_the_crews_move_to_its_stations(own_room: Room) -> None:
    demo.begin(own_room.core)
    here = {unit["id"]: unit["base"] for unit in own_room.ana.get("/units").json}
    # given that the demo last ran in another city, where a crew stood elsewhere
    moved = c.RegisterUnit(
        id=own_room.uuid(), source="demo", unit="F21", type="ASAS", station="Porto", district="centru",
        crew=5, base=c.Place(-8.6, 41.1),
    )  # fmt: skip
    own_room.core.door.submit(moved, demo.SEEDER)
    path = own_room.core.config.var / demo.FILE
    path.write_text(json.dumps({**kept(own_room), "basis": ["ro", "another city"]}), encoding="utf-8")
    # when it begins here
    demo.begin(own_room.core)
    # then it stands where it stood, and its status was not touched
    unit = own_room.ana.get("/units/F21").json
    assert unit["base"] == here["F21"]
    assert unit["status"] == "available"


def test_lost_tokens_are_made_anew_and_the_old_ones_end(own_room: Room) -> None:
    demo.begin(own_room.core)
    old = desk_of(own_room, "crews")
    assert old.get("/units").status_code == 200
    (own_room.core.config.var / demo.FILE).unlink()
    demo.begin(own_room.core)
    is_problem(old.get("/units"), 401, "bad-token")
    assert desk_of(own_room, "crews").get("/units").status_code == 200
    assert kept(own_room)["names"] == ["demo-crews.2", "demo-calls.2", "demo-colleague.2"]


def test_what_the_demo_sends_says_so_and_nobody_else_may_say_it(own_room: Room) -> None:
    demo.begin(own_room.core)
    report = {
        "id": own_room.uuid(),
        "type": "U04",
        "location": {"lon": 24.94, "lat": 60.17},
        "source": "demo",
    }
    is_problem(own_room.desk("gateway").post("/incidents", report), 422, "reserved-source", "source")
    is_problem(own_room.ana.post("/incidents", report), 422, "reserved-source", "source")
    assert desk_of(own_room, "calls").post("/incidents", report).status_code == 201
    (line,) = own_room.facts(report["id"])
    assert line["source"] == "demo"
    assert own_room.ana.get(f"/incidents/{report['id']}").json["facts"]["type"]["source"] == "demo"
    told = desk_of(own_room, "crews").post("/units/L71/status", {"status": "off_duty"})
    assert told.json["status_source"] == "demo"
    # and its crews' token commands nothing
    sent = desk_of(own_room, "crews").post(f"/incidents/{report['id']}/assignments", {"units": ["L72"]})
    assert sent.status_code in (403, 404)


def test_every_page_is_marked_while_the_demo_is_on_and_kept_by_browsers_no_longer_than_that(
    open_another: OpenRoom, tmp_path: Path, built: None
) -> None:
    room = open_another(tmp_path / "on")
    page = room.app.test_client().get("/")
    assert MARK not in page.text
    demo.begin(room.core)
    marked = room.app.test_client().get("/login")
    assert MARK in marked.text.partition("</head>")[0]
    assert marked.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]
    # a browser asks again each time, is told when nothing changed, and when something did
    assert marked.headers["Cache-Control"] == "no-cache"
    assert marked.headers["ETag"] != page.headers["ETag"]
    again = room.app.test_client().get("/", headers={"If-None-Match": marked.headers["ETag"]})
    assert again.status_code == 304
    old = room.app.test_client().get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert old.status_code == 200
    assert room.ana.get("/city").json["demo"] is True


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from app import web_app

    (tmp_path / "static" / "console").mkdir(parents=True)
    page = "<!doctype html><html><head><title>Straja</title></head><body></body></html>"
    (tmp_path / "static" / "console" / "index.html").write_text(page, encoding="utf-8")
    monkeypatch.setattr(web_app, "STATIC", tmp_path / "static")


def test_with_the_demo_off_its_tokens_are_refused_and_its_marks_are_gone(
    open_another: OpenRoom, tmp_path: Path, built: None
) -> None:
    room = open_another(tmp_path / "on")
    demo.begin(room.core)
    secret = kept(room)["tokens"]["crews"]
    off = open_another(tmp_path / "off", STRAJA_DEMO="0")
    is_problem(Desk(off, secret, "demo-crews").get("/units"), 401, "bad-token")
    assert MARK not in off.app.test_client().get("/").text
    assert off.ana.get("/city").json["demo"] is False
    # and they have ended for good: on again, others are made
    room.clock.advance(3)
    demo.begin(room.core)
    assert kept(room)["tokens"]["crews"] != secret


def test_ended_it_leaves_a_clear_board_and_what_is_a_persons_own(own_room: Room) -> None:
    # given a demo at work, with calls of its own and one of Ana's
    demo.begin(own_room.core)
    calls, crews = desk_of(own_room, "calls"), desk_of(own_room, "crews")
    ids = [own_room.uuid() for _ in range(2)]
    for id in ids:
        body = {"id": id, "type": "U04", "location": {"lon": 24.94, "lat": 60.17}, "source": "demo"}
        assert calls.post("/incidents", body).status_code == 201
    hers = own_room.incident("U04")["id"]
    own = own_room.unit("DR", call_sign="MY1")
    own_room.sent(ids[0], "L71", "F11")
    own_room.sent(ids[1], own)
    crews.post("/units/L71/status", {"status": "en_route"})

    # when it ends
    stopped, closed = demo.finish(own_room.core)

    # then its crews stand out of service, its calls are closed, its tokens have ended
    units = {unit["id"]: unit for unit in own_room.ana.get("/units").json}
    assert stopped == len(units) - 1
    assert {u["status"] for u in units.values() if u["source"] == "demo"} == {"out_of_service"}
    assert units["L71"]["incident"] is None
    assert closed == 1
    states = {id: own_room.ana.get(f"/incidents/{id}").json["state"] for id in (*ids, hers)}
    # but for what a unit of somebody's own is on, and what somebody else took
    assert states == {ids[0]: "closed", ids[1]: "open", hers: "open"}
    assert units[own]["status"] == "assigned"
    is_problem(crews.get("/units"), 401, "bad-token")
    assert not (own_room.core.config.var / demo.FILE).exists()
    # and ended again it has nothing to do
    assert demo.finish(own_room.core) == (0, 0)


def test_crews_stand_at_the_citys_own_stations(own_room: Room) -> None:
    city = own_room.core.city
    assert city is not None
    lon, lat = city.info.centre
    sites = [
        demo.Site("fire", "Paloasema", lon, lat),
        demo.Site("police", "Poliisi", lon - 0.002, lat),
        demo.Site("hospital", "Sairaala", lon, lat + 0.002),
    ]
    life = demo.read_life("ro")
    assert life is not None
    placed = demo._stations(city, life["stations"], sites)
    real = {name for name, _ in placed.values()}
    assert {"Paloasema", "Poliisi"} <= real
    # the others keep to their share of the city, on a street
    assert "Sud" in real or "Nord" in real
    assert demo._hospitals(city, life, sites) == [("Sairaala", lon, lat + 0.002)]
    for _, at in placed.values():
        assert at is not None
        near = city.addresses.reverse(*at)
        assert near is None or (near.distance_m or 0) < 500


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"STRAJA_DEMO": "0"}, "the demo is off"),
        ({"STRAJA_HOST": "0.0.0.0"}, "everyone can read"),
    ],
)
def test_the_city_life_refuses_to_run_where_no_demo_may_be(
    tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    environment = os.environ | {"STRAJA_VAR": str(tmp_path), "PYTHONPATH": str(ROOT)} | settings
    done = subprocess.run(
        up.straja("demo-world"), env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_the_paths_the_demo_asks_for_are_those_of_the_api(own_room: Room) -> None:
    demo.begin(own_room.core)
    for who, path, wanted in (
        ("crews", "/units", 200),
        ("crews", "/city", 200),
        ("crews", "/incidents", 403),
        ("colleague", "/incidents", 200),
        ("calls", "/units", 200),
    ):
        answer = own_room.app.test_client().get(
            AREA + path, headers={"Authorization": f"Bearer {kept(own_room)['tokens'][who]}"}
        )
        assert answer.status_code == wanted, (who, path, answer.text)
