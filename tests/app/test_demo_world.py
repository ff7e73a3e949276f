"""The demo's city life: hours of it in seconds, against the real application over its own API."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app import demo
from app.core import read_pack
from app.demo_gateway import Gateway, open_world
from app.demo_world import Ask, Crew, DemoWorld, Drive, Pace, Reply, Seen, timed, us_of
from app.keeper import due_lapses
from dispatch import commands as c
from dispatch.commands import SYSTEM
from gis.geometry import metres_between
from gis.travel import Route
from tests.app.control_room import Room, open_room

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

QUIET = Pace(calls_per_hour=0, colleague=False)


@dataclass
class Town:
    """A room in which the demo lives, hour after hour at the test's word; `asked` is all that it sent."""

    room: Room
    pace: Pace = field(default_factory=Pace)
    asked: list[tuple[int, Reply]] = field(default_factory=list)
    is_down: bool = False
    at_s: float = 0.0

    def __post_init__(self) -> None:
        demo.begin(self.room.core)
        self.kept = json.loads((self.room.core.config.var / demo.FILE).read_text(encoding="utf-8"))
        self.client = self.room.app.test_client(use_cookies=False)
        self.restart()

    def restart(self) -> None:
        """The demo's process starts anew, and knows nothing of before."""
        city, catalogue = (self.send(Ask("GET", path)).body for path in ("/city", "/catalogue"))
        world = open_world(self.kept, city, catalogue, self.pace, self.kept["names"])
        assert world is not None
        self.world: DemoWorld = world
        self.gateway = Gateway(world, self.send)

    def send(self, ask: Ask) -> Reply:
        if self.is_down:
            reply = Reply(ask, 0, None)
        else:
            headers = {"Authorization": f"Bearer {self.kept['tokens'][ask.token]}"}
            headers |= {} if ask.key is None else {"Idempotency-Key": ask.key}
            more = {} if ask.body is None else {"json": ask.body}
            answer = self.client.open(f"/api/v1{ask.path}", method=ask.method, headers=headers, **more)
            body = answer.json if "json" in answer.mimetype else None
            reply = Reply(ask, answer.status_code, body, answer.headers.get("Link"))
        self.asked.append((self.room.clock.now_us(), reply))
        return reply

    def live(self, seconds: float, step_s: float = 2.0, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass; whether `until` came true."""
        end_s = self.at_s + seconds
        while self.at_s < end_s:
            self.room.clock.advance(step_s)
            self.at_s += step_s
            self.gateway.step(self.room.clock.now_us(), self.at_s, lambda: 0.0)
            for command in list(due_lapses(self.room.core, self.room.clock.now_us())):
                self.room.core.door.submit(command, SYSTEM)
            if until is not None and until():
                return True
        return False

    def unit(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.room.ana.get(f"/units/{name}").json
        return found

    def status(self, name: str) -> str:
        found = self.room.core.picture.now.unit(name)
        assert found is not None
        return found.status

    def incident(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.room.ana.get(f"/incidents/{id}").json
        return found

    def writes(self, *ends: str, since: int = 0) -> list[Reply]:
        """What was sent but positions, of paths that end so if any are named."""
        return [
            reply
            for _, reply in self.asked[since:]
            if reply.ask.method != "GET"
            and reply.ask.path != "/positions"
            and (not ends or reply.ask.path.endswith(ends))
        ]

    def fixes(self, unit: str, since: int = 0) -> list[Mapping[str, Any]]:
        return [
            fix
            for _, reply in self.asked[since:]
            if reply.ask.path == "/positions"
            for fix in reply.ask.body
            if fix["unit"] == unit
        ]

    def until_status(self, unit: str, status: str, within_s: float = 900) -> None:
        came = self.live(within_s, 6, until=lambda: self.status(unit) == status)
        assert came, f"{unit} is {self.status(unit)} and never was {status}"

    def far(self) -> tuple[float, float]:
        """A place that is minutes away from where most crews stand."""
        return 24.9475, 60.1765


OpenTown = Callable[..., Town]


@pytest.fixture
def open_town(tmp_path: Path, clock: FakeClock, random: SeededRandom, helsinki: Path) -> Iterator[OpenTown]:
    rooms = []

    def open_one(pace: Pace = QUIET, noon: bool = True, **settings: str) -> Town:
        if noon:
            clock.advance(9 * 3600)
        url = f"sqlite:///{tmp_path / 'straja.sqlite'}"
        room = open_room(tmp_path, url, clock, random, helsinki, **settings)
        rooms.append(room)
        return Town(room.__enter__(), pace)

    yield open_one
    for room in rooms:
        room.__exit__(None, None, None)


# ---- a whole day


def expect_no_teleport(town: Town) -> None:
    """No vehicle is anywhere that it could not have driven to."""
    for unit in town.world.crews:
        for one, two in itertools.pairwise(town.fixes(unit)):
            took_s = ((us_of(two["observed_at"]) or 0) - (us_of(one["observed_at"]) or 0)) / 1e6
            away_m = metres_between(one["lon"], one["lat"], two["lon"], two["lat"])
            assert away_m <= 38 * took_s + 20, f"{unit} was {away_m:.0f} m away {took_s:.0f} s later"
            assert two["speed_mps"] <= 40


def expect_nothing_refused(town: Town) -> None:
    refused = [(r.ask.path, r.status, r.body) for _, r in town.asked if not 200 <= r.status < 300]
    assert not refused, refused[:5]
    positions = [r.body for _, r in town.asked if r.ask.path == "/positions"]
    assert not [body["refused"] for body in positions if body["refused"]]


def test_a_day_passes_and_leaves_nothing_behind(open_town: OpenTown) -> None:
    # given a city in which people call at a gentle pace, and nobody but the demo is at work
    town = open_town(Pace(calls_per_hour=8, open_max=6), noon=False)
    state = town.room.core.picture.now

    # when a day and a night pass
    for _ in range(24):
        town.live(3600, step_s=150)
        assert sum(x.open for x in state.incidents()) <= 8

    # then people called, crews went, and every request was one that Straja takes
    calls = town.writes("/incidents")
    assert len(calls) > 40
    expect_nothing_refused(town)
    expect_no_teleport(town)
    kinds = Counter(r.ask.body["status"] for r in town.writes("/status"))
    assert kinds.keys() >= {
        "en_route", "on_scene", "transporting", "at_hospital", "returning", "available", "off_duty",
    }  # fmt: skip
    answers = Counter(r.ask.body["answer"] for r in town.writes("/answer"))
    assert answers["accepted"] > answers["refused"] > 0
    assert len({call.ask.body["type"] for call in calls}) > 8
    assert all(call.ask.body["caller"]["phone"].startswith("000 ") for call in calls)

    # and when nobody calls any more, then every incident ends and every crew is home or on its beat
    town.world.calling = False
    town.live(3 * 3600, step_s=150)
    assert not [x.number for x in state.incidents() if x.open]
    assert {town.unit(name)["status"] for name in town.world.crews} <= {"available", "off_duty"}
    expect_nothing_refused(town)
    # and what a day takes in the log stays small
    assert town.room.core.picture.position < 45 * len(calls) + 300


def test_twenty_minutes_at_full_pace_move_crews_of_both_kinds(open_town: OpenTown) -> None:
    town = open_town(Pace(calls_per_hour=60), noon=True)
    on_way: set[str] = set()

    def nobody_drives_unasked() -> bool:
        for crew in town.world.crews.values():
            if crew.drive is not None and crew.drive.goal[0] == "incident":
                on_way.add(crew.unit)
                unit = town.room.core.picture.now.unit(crew.unit)
                assert unit is not None
                assert unit.incident == crew.drive.goal[1], f"{crew.unit} drives where nobody sent it"
        return False

    town.live(1500, 4, until=nobody_drives_unasked)
    expect_nothing_refused(town)
    expect_no_teleport(town)
    commands = {town.unit(name)["command"] for name in on_way}
    assert commands == {"owned", "requested"}
    # and they follow the streets: who moves says where to, and is on its way by road
    moving = [fix for name in on_way for fix in town.fixes(name) if fix["speed_mps"] > 3]
    assert len(moving) > 50
    assert all("heading_deg" in fix for fix in moving)


# ---- one mission


def test_a_crew_is_sent_and_does_all_that_a_crew_does(open_town: OpenTown) -> None:
    town = open_town()
    town.live(30)
    # given a volunteers' engine in its yard
    incident = town.room.incident("F05", town.far())["id"]
    town.room.sent(incident, "V82")
    sent_us = town.room.clock.now_us()

    # when time passes, then it confirms at once, rolls after its turnout, drives, arrives, works and is back
    town.until_status("V82", "acknowledged", 20)
    town.until_status("V82", "en_route", 300)
    assert town.room.clock.now_us() - sent_us > 100e6
    before = len(town.asked)
    town.until_status("V82", "on_scene")
    way = town.fixes("V82", before)
    assert len(way) > 5
    last = way[-1]
    assert metres_between(last["lon"], last["lat"], *town.far()) < 150
    town.until_status("V82", "returning", 1500)
    assert town.incident(incident)["assignments"] == []
    town.until_status("V82", "available", 1800)
    home = town.unit("V82")
    assert metres_between(home["lon"], home["lat"], home["base"]["lon"], home["base"]["lat"]) < 150
    expect_nothing_refused(town)


def test_a_requested_crew_moves_only_when_its_desk_said_yes(open_town: OpenTown) -> None:
    town = open_town()
    town.live(30)
    incident = town.room.incident("F05", town.far())["id"]
    town.room.sent(incident, "F11")
    asked_at = len(town.asked)
    assert town.unit("F11")["request"]["state"] == "asked"
    town.live(120, until=lambda: bool(town.writes("/answer", since=asked_at)))
    # until the answer nothing of the crew moved
    assert {fix["speed_mps"] for fix in town.fixes("F11", asked_at)} <= {0.0}
    answered = town.writes("/answer", since=asked_at)
    if not answered:
        # This desk is one that does not answer: the keeper says so.
        assert town.live(120, until=lambda: town.unit("F11")["request"]["state"] == "no_answer")
        return
    body = answered[0].ask.body
    assert "(" in body["name"]
    if body["answer"] == "refused":
        assert body["reason"]
        assert town.unit("F11")["incident"] is None
    else:
        town.until_status("F11", "en_route", 200)


def test_a_recall_turns_a_crew_around_wherever_it_is(open_town: OpenTown) -> None:
    town = open_town()
    town.live(30)
    incident = town.room.incident("U04", town.far())["id"]
    town.room.sent(incident, "L71")
    town.until_status("L71", "en_route", 120)
    town.live(6)
    # when the dispatcher takes it back
    town.room.ana.delete(f"/incidents/{incident}/assignments/L71?reason=not%20needed")
    town.live(4)
    drive = town.world.crews["L71"].drive
    assert drive is None or drive.goal[0] != "incident"
    # then it is free again and never reports an arrival
    town.until_status("L71", "available", 600)
    assert "on_scene" not in {r.ask.body["status"] for r in town.writes("/status") if "L71" in r.ask.path}
    expect_no_teleport(town)


def test_a_diverted_crew_drives_to_the_new_incident(open_town: OpenTown) -> None:
    town = open_town()
    town.live(30)
    first = town.room.incident("U04", town.far())["id"]
    second = town.room.incident("P08", (24.9385, 60.1662))["id"]
    town.room.sent(first, "L71")
    town.until_status("L71", "en_route", 120)
    town.live(4)
    answer = town.room.ana.post(
        f"/incidents/{second}/assignments", {"units": ["L71"], "override_reason": "nearer"}
    )
    assert answer.status_code == 200, answer.text
    town.until_status("L71", "on_scene")
    there = town.unit("L71")
    assert there["incident"] == second
    assert metres_between(there["lon"], there["lat"], 24.9385, 60.1662) < 150
    expect_no_teleport(town)


def test_an_ambulance_takes_its_patient_to_a_hospital_that_it_names(open_town: OpenTown) -> None:
    town = open_town()
    town.live(30)
    names = {name for name, _, _ in town.kept["hospitals"]}
    incident = town.room.incident("M04", town.far())["id"]
    town.room.sent(incident, "A41")
    yes = {"answer": "accepted", "name": "SAJ", "via": "phone"}
    answer = town.room.desk("gateway").post(f"/incidents/{incident}/requests/A41/answer", yes)
    assert answer.status_code == 200, answer.text
    town.until_status("A41", "transporting", 2400)
    assert town.unit("A41")["hospital"] in names
    town.until_status("A41", "at_hospital", 1200)
    at = town.unit("A41")
    assert at["hospital"] in names
    there = {name: (lon, lat) for name, lon, lat in town.kept["hospitals"]}[at["hospital"]]
    assert metres_between(at["lon"], at["lat"], *there) < 150
    town.until_status("A41", "available", 2400)


def test_city_crews_wait_until_the_scene_is_safe(open_town: OpenTown) -> None:
    town = open_town(Pace(calls_per_hour=0, colleague=False))
    town.live(30)
    incident = town.room.incident("G01", town.far())["id"]
    assert town.incident(incident)["staging"]
    town.room.sent(incident, "L71", "V82")
    # given that the patrol is there before the engine that makes it safe
    town.until_status("L71", "staged")
    town.room.ana.patch(f"/incidents/{incident}", {"staging": False})
    town.until_status("L71", "on_scene", 30)


# ---- a person's hand


def test_what_a_person_reports_of_a_unit_stands_and_it_is_left_alone(open_town: OpenTown) -> None:
    town = open_town()
    town.live(60)
    # when a dispatcher is told that a crew cannot go
    town.room.ana.post("/units/F31/status", {"status": "out_of_service", "reason": "pană de cauciuc"})
    told = len(town.asked)
    town.live(1800, step_s=20)
    # then nobody of the demo presses anything for it, for half an hour and more
    assert not [r for r in town.writes(since=told) if "/F31/" in r.ask.path]
    assert town.unit("F31")["status"] == "out_of_service"
    # but some time it is back
    assert town.live(3600, step_s=30, until=lambda: town.status("F31") == "available")


def test_a_position_from_elsewhere_silences_the_demo_for_that_unit(open_town: OpenTown) -> None:
    town = open_town()
    town.live(60)
    town.room.clock.advance(1)
    town.room.seen("L71", (24.9400, 60.1700))
    told = len(town.asked) + 20
    town.live(300, step_s=5)
    assert not town.fixes("L71", told)
    assert town.unit("L71")["lon"] == 24.94
    # and when the other is silent for long, the demo goes on from there
    town.live(600, step_s=5)
    assert town.fixes("L71", told)
    expect_no_teleport(town)


def test_an_operators_own_unit_of_the_same_name_is_never_touched(open_town: OpenTown) -> None:
    town = open_town()
    mine = {"id": "V81", "type": "SV", "station": "Vest", "crew": 5}
    assert town.room.desk("admin").post("/units", mine).status_code == 200
    assert town.unit("V81")["source"] == "api"
    before = len(town.asked)
    town.live(120)
    demo.begin(town.room.core)
    town.live(60)
    assert town.unit("V81")["source"] == "api"
    assert not town.fixes("V81", before)
    assert not [r for r in town.writes(since=before) if "/V81/" in r.ask.path]


def test_nobody_who_works_is_raced(open_town: OpenTown) -> None:
    # given a colleague, and two calls of the same minute
    town = open_town(Pace(calls_per_hour=0))
    town.live(10)
    mine = town.room.incident("P08", town.far())["id"]
    other = {
        "id": town.room.uuid(),
        "type": "U02",
        "location": {"lon": 24.94, "lat": 60.17},
        "source": "demo",
    }
    assert town.send(Ask("POST", "/incidents", other, token="calls")).status == 201
    town.live(20)
    # when a person takes one of them up
    town.room.ana.post(f"/incidents/{mine}/acknowledge")
    town.live(400, step_s=4)
    # then the colleague handles the other, and keeps away from hers
    assert town.incident(other["id"])["acknowledged_by"] == "demo-colleague"
    assert town.incident(other["id"])["assignments"]
    assert not [r for r in town.writes() if mine in r.ask.path]
    # and each touch counts anew
    town.room.ana.post(f"/incidents/{mine}/notes", {"text": "sună din nou"})
    town.live(500, step_s=5)
    assert not [r for r in town.writes() if mine in r.ask.path]
    # but what she leaves lying for long is done in the end
    assert town.live(3600, step_s=10, until=lambda: town.incident(mine)["state"] == "closed")


def test_with_nobody_there_a_call_is_handled_to_its_end(open_town: OpenTown) -> None:
    town = open_town(Pace(calls_per_hour=0))
    town.live(10)
    id = town.room.uuid()
    body = {
        "id": id,
        "type": "F05",
        "location": {"lon": town.far()[0], "lat": town.far()[1]},
        "source": "demo",
    }
    assert town.send(Ask("POST", "/incidents", body, token="calls")).status == 201
    assert town.live(3600, step_s=4, until=lambda: town.incident(id)["state"] == "closed")
    kinds = [line["type"] for line in town.room.facts(id)]
    assert kinds[0] == "IncidentReported"
    assert kinds.index("IncidentAcknowledged") < kinds.index("UnitRequested") < kinds.index("UnitAssigned")
    assert kinds[-1] == "IncidentClosed"
    sources = {line["source"] for line in town.room.facts(id)}
    assert sources <= {"demo", "recommendation", "keeper"}
    assert town.incident(id)["outcome"]


def test_a_proposal_lies_for_a_minute_and_is_then_answered_by_the_colleague(open_town: OpenTown) -> None:
    town = open_town(Pace(calls_per_hour=0))
    assert town.live(60, until=lambda: town.status("L71") == "available")
    lon, lat = town.far()
    command = c.Propose(
        id=town.room.uuid(),
        source="keeper",
        proposal="c" * 24,
        kind="move_up",
        trigger="coverage",
        district="centru",
        moves=(("L71", None, None),),
        figures={},
        post=c.Place(lon, lat, "Kallio"),
    )
    town.room.core.door.submit(command, SYSTEM)

    def state() -> str:
        return str(town.room.ana.get(f"/proposals/{'c' * 24}").json["state"])

    town.live(55)
    assert state() == "open"
    assert town.live(60, until=lambda: state() != "open")
    [answered] = town.writes("/accept", "/decline")
    assert (answered.status, answered.body["state"]) == (200, state())
    if state() == "accepted":
        # And the crew drives there
        assert town.live(900, 5, until=lambda: metres(town.unit("L71"), lon, lat) < 100)


def metres(row: Mapping[str, Any], lon: float, lat: float) -> float:
    return metres_between(row["lon"], row["lat"], lon, lat)


def test_the_second_report_of_one_event_is_closed_as_a_repetition(open_town: OpenTown) -> None:
    town = open_town(Pace(calls_per_hour=0))
    town.live(10)
    ids = [town.room.uuid(), town.room.uuid()]
    for n, id in enumerate(ids):
        place = {"lon": town.far()[0] + 0.0002 * n, "lat": town.far()[1]}
        town.send(
            Ask("POST", "/incidents", {"id": id, "type": "R04", "location": place, "source": "demo"}, "calls")
        )
        town.live(30)
    assert town.live(600, until=lambda: town.incident(ids[1])["state"] == "closed")
    assert town.incident(ids[0])["number"] in town.incident(ids[1])["outcome"]
    assert not town.room.facts(ids[1], "UnitRequested")


# ---- when the server is away


def test_without_an_answer_it_waits_and_goes_on_with_what_is_so_then(open_town: OpenTown) -> None:
    town = open_town(Pace(calls_per_hour=60))
    town.live(400, 5)
    # when the server is down for ten minutes
    town.is_down = True
    before = len(town.asked)
    town.live(600)
    # then it was asked whether it is there, and nothing else
    sent = [reply.ask for _, reply in town.asked[before:]]
    assert {ask.method for ask in sent} == {"GET"}
    assert len(sent) <= 300
    # and afterwards life goes on without a contradiction
    town.is_down = False
    since = len(town.asked)
    town.live(600, 5)
    assert not [r for _, r in town.asked[since:] if r.status >= 400]
    assert town.writes("/status", since=since)


def test_a_restart_in_the_middle_loses_nothing(open_town: OpenTown) -> None:
    town = open_town()
    town.live(30)
    incident = town.room.incident("F05", town.far())["id"]
    town.room.sent(incident, "V82")
    for status in ("en_route", "on_scene", "returning"):
        town.until_status("V82", status, 1500)
        town.restart()
    town.until_status("V82", "available", 1500)
    expect_nothing_refused(town)
    expect_no_teleport(town)


# ---- without a server


def test_the_same_sights_give_the_same_requests(open_town: OpenTown) -> None:
    town = open_town(Pace(calls_per_hour=60))
    rows = town.room.ana.get("/units?limit=1000").json
    worlds = []
    for _ in range(2):
        town.restart()
        worlds.append(town.world)
    now_us = town.room.clock.now_us()
    for n in range(120):
        seen = Seen(rows, [])
        first, second = (world.step(now_us + n * 2_000_000, seen) for world in worlds)
        assert first == second


@pytest.mark.parametrize("name", ["ro", "generic"])
def test_at_every_hour_the_board_can_serve_a_city(name: str) -> None:
    pack, life = read_pack(name), demo.read_life(name)
    assert life is not None
    catalogue = pack.catalogue()
    world = DemoWorld(life, catalogue, None, [], lambda roll: None, seed=1)  # type: ignore[arg-type]
    needed = {c for call in life["calls"] for c in pack.incident_types[call["type"]].needs}
    night = Counter[int]()
    for day, hour, minute in itertools.product(range(1, 8), range(24), (0, 20, 40)):
        now_us = round(datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp() * 1e6)
        types = {c["unit"]: c["type"] for c in life["crews"]}
        on = [types[crew.unit] for crew in world.crews.values() if world._on_watch(crew, now_us)]
        given = Counter(c for code in on for c in pack.unit_types[code].gives)
        assert not needed - given.keys(), f"at {hour}:{minute:02} nobody gives {needed - given.keys()}"
        assert len(on) > len(types) / 2
        night[hour] += len(on)
    # not everybody is awake at three, and everybody's shift comes
    assert night[3] < night[11]
    assert all(call["hours"] in life["hours"] for call in life["calls"])
    for call in life["calls"]:
        assert call["type"] in pack.incident_types
        for text in call["texts"]:
            assert text.format(**{slot: words[0] for slot, words in life["slots"].items()})


def test_a_way_takes_as_long_as_was_reckoned_slower_around_its_corners() -> None:
    # given two streets of 400 m that meet at a right angle, driven at 10 m/s
    lat = 60.0
    east, north = 400 / (111_195 * 0.5), 400 / 111_195
    points = [(24.0, lat), (24.0 + east, lat), (24.0 + east, lat + north)]
    way = Route(points, 80.0, 800.0, True, [], [0.0, 40.0, 80.0])
    drive = timed(way, points[0], 1.0, ("base",), points[-1], 0)
    assert drive.at_s[-1] == pytest.approx(80, abs=1)
    speeds = [drive.where(round(s * 1e6))[1] for s in range(1, 80)]
    assert max(speeds) < 15
    slowest = speeds.index(min(speeds[15:65]))
    assert 30 <= slowest <= 50, "it does not slow down at the corner"
    assert drive.where(10_000_000)[2] == pytest.approx(90, abs=1)
    assert drive.where(70_000_000)[2] == pytest.approx(0, abs=1)
    # and where no road leads, it goes straight, and arrives
    straight = timed(
        Route([], float("inf"), float("inf"), False, []), points[0], 1.0, ("base",), points[-1], 0
    )
    assert straight.where(10**12)[0] == points[-1]


def test_a_vehicle_is_where_it_says_at_any_time_asked() -> None:
    drive = Drive(("beat",), (1.0, 0.0), 1_000_000, ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0)), (0.0, 10.0, 30.0))
    assert drive.where(0)[0] == (0.0, 0.0)
    assert drive.where(6_000_000)[0] == pytest.approx((0.25, 0.0))
    assert drive.where(21_000_000)[0] == pytest.approx((0.75, 0.0))
    assert drive.where(40_000_000) == ((1.0, 0.0), 0.0, None)
    assert Crew("X", "wait", ()).known is False
