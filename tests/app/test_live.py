"""The live board: a snapshot and the changes after it, positions as frames, and who may see what."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import requests
import socketio
import websocket

from app.auth import Accounts
from app.database import open_engine
from app.live import (
    CANARIES_MAX,
    HELLOS_MAX,
    PING_ANSWER_S,
    PING_EVERY_S,
    PULSE_EVERY_S,
    STRANGER_S,
    STRANGERS_MAX,
)
from app.ports import SystemClock, SystemRandom
from app.up import wait_until
from tests.app.board import (
    FarConsole,
    NearConsole,
    Remote,
    Story,
    far_console,
    near_call,
    new_client,
    read_frame,
)
from tests.app.control_room import AREA, PHONE, RAILWAY_STATION, Room, rfc3339

if TYPE_CHECKING:
    from tests.conftest import SeededRandom, Server

LON, LAT = RAILWAY_STATION


def caught_up(console: NearConsole, room: Room) -> bool:
    """Whether the console has heard of everything that is on record."""
    console.listen()
    at = (console.cursor or "").partition(".")[0]
    return room.core.log.position_of(at) == room.core.picture.position


def settled(console: NearConsole) -> NearConsole:
    assert wait_until(lambda: caught_up(console, console.room), 5), "a change was not heard of in 5 s"
    return console


# ---- in one process


def test_every_board_shows_what_a_fresh_one_shows_after_any_story(
    own_room: Room, random: SeededRandom
) -> None:
    room = own_room
    story = Story(near_call(room.desk("admin")), random)
    story.make_units("U")
    desks = {
        "dispatcher": room.ana,
        "observer": room.desk("observer"),
        "neighbour": room.desk("dispatcher", ["nord"]),
        "crew": room.desk("field", unit="U2"),
        "volunteers": room.desk("field", unit="U0"),
    }
    # Given consoles that listen without a break, and others whose line breaks now and then
    steady = {name: NearConsole(room, desk) for name, desk in desks.items()}
    shaky = {name: NearConsole(room, desk) for name, desk in desks.items()}
    away: set[str] = set()
    # When anything at all happens
    for _ in range(250):
        story.step()
        name = random.choice(list(shaky))
        if name in away:
            away.discard(name)
            shaky[name].connect()
        elif random.random() < 0.3:
            away.add(name)
            shaky[name].drop()
    for name in away:
        shaky[name].connect()
    assert story.done > 100
    assert len(story.incidents) > 5
    # Then every board shows exactly what one that is switched on now shows
    for name, desk in desks.items():
        fresh = NearConsole(room, desk)
        assert fresh.modes == ["snapshot"]
        for board in (steady[name], shaky[name]):
            assert settled(board).shown() == fresh.shown(), name
        assert steady[name].misfits == 0
        assert set(shaky[name].modes[1:]) <= {"changes"}, "nobody who was away for a moment starts anew"
    assert len(NearConsole(room, room.ana).incidents) > 0


def test_frames_follow_one_another_without_gap_or_overlap(own_room: Room, random: SeededRandom) -> None:
    room = own_room
    console = NearConsole(room, room.ana)
    begun = console.cursor
    story = Story(near_call(room.desk("admin")), random)
    story.make_units("U")
    for _ in range(60):
        story.step()
    settled(console)
    assert console.misfits == 0
    assert console.applied[0][0] == begun
    assert all(before[1] == after[0] for before, after in pairwise(console.applied))
    assert len({frame[1] for frame in console.applied}) == len(console.applied)


def test_the_first_fact_ever_reaches_a_console_that_was_there_before_it(own_room: Room) -> None:
    room = own_room
    console = NearConsole(room, room.ana)
    assert (console.incidents, console.units) == ({}, {})
    incident = room.incident()["id"]
    assert list(settled(console).incidents) == [incident]
    assert console.misfits == 0


@pytest.mark.parametrize("cursor", [None, "", "x", "ș", "5", "....", "x" * 300, 7, [], {"a": 1}])
def test_a_console_with_a_cursor_of_nowhere_gets_a_snapshot(shared_room: Room, cursor: Any) -> None:
    room = shared_room
    incident = room.incident()["id"]
    client = room.sockets.test_client(room.app, auth={"token": room.ana.token})
    for said in ({"cursor": cursor}, cursor):
        answer = client.emit("hello", said, callback=True)
        assert answer["mode"] == "snapshot"
        assert incident in [row["id"] for row in answer["incidents"]]
    client.disconnect()


def test_after_a_restart_a_console_gets_a_snapshot_with_the_new_numbers_of_units(
    open_another: Any,
) -> None:
    # Given a console that has missed nothing when its server is started again
    first = open_another()
    units = [first.unit() for _ in range(5)]
    for unit in reversed(units):
        first.seen(unit, RAILWAY_STATION)
    assert wait_until(lambda: first.core.tracks.pending == 0, 2)
    console = NearConsole(first, first.ana)
    second = open_another()
    # When it comes back with its cursor
    console.drop()
    console.room = second
    console.connect()
    # Then its units carry the numbers of the process that it listens to now
    assert console.modes == ["snapshot", "snapshot"]
    for unit in units:
        assert console.units[unit]["n"] == second.core.tracks.index(unit)


def test_a_crew_sees_its_own_unit_and_incident_and_is_told_when_that_ends(shared_room: Room) -> None:
    room = shared_room
    unit, other = room.unit(), room.unit()
    here, elsewhere = room.incident()["id"], room.incident()["id"]
    tablet = NearConsole(room, room.desk("field", unit=unit))
    asleep = NearConsole(room, room.desk("field", unit=unit))
    assert (tablet.incidents, list(tablet.units)) == ({}, [unit])
    # When it and another are sent
    room.sent(here, unit)
    room.sent(elsewhere, other)
    settled(tablet)
    settled(asleep)
    # Then it has its own incident, with the caller's number, and hears nothing of the other
    assert list(tablet.incidents) == [here]
    assert tablet.incidents[here]["caller"]["phone"] == PHONE
    assert tablet.units[unit]["incident"] == here
    assert elsewhere not in json.dumps(tablet.heard)
    assert other not in tablet.units
    # When it is recalled, the incident leaves its screen, also if the line was broken just then
    asleep.drop()
    room.ana.delete(f"/incidents/{here}/assignments/{unit}")
    room.ana.post(f"/incidents/{here}/notes", {"text": "după plecare"})
    assert settled(tablet).incidents == {}
    assert tablet.heard[-1]["gone"] == {"incidents": [here]}
    asleep.connect()
    assert asleep.modes[-1] == "changes"
    assert settled(asleep).incidents == {}
    assert "după plecare" not in json.dumps([tablet.heard, asleep.heard], ensure_ascii=False)


def test_two_tablets_of_one_crew_are_both_told(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit()
    incident = room.incident()["id"]
    room.sent(incident, unit)
    desk = room.desk("field", unit=unit)
    first, second = NearConsole(room, desk), NearConsole(room, desk)
    second.drop()
    room.ana.delete(f"/incidents/{incident}/assignments/{unit}")
    assert settled(first).incidents == {}
    second.connect()
    assert settled(second).incidents == {}


def test_an_observer_never_hears_personal_data(own_room: Room, random: SeededRandom) -> None:
    room = own_room
    watcher = NearConsole(room, room.desk("observer"))
    dispatcher = NearConsole(room, room.ana)
    story = Story(near_call(room.desk("admin")), random)
    story.make_units("U")
    for _ in range(60):
        story.step()
    late = NearConsole(room, room.desk("drill_controller"))
    settled(watcher)
    settled(dispatcher)
    assert PHONE in json.dumps(dispatcher.heard, ensure_ascii=False)
    for board in (watcher, late):
        heard = json.dumps(board.heard, ensure_ascii=False)
        for secret in (PHONE, "Dragomirescu", "fum", "o notă", "gata"):
            assert secret not in heard, secret
        assert board.incidents


def test_what_a_unit_gives_changes_with_its_crew(shared_room: Room) -> None:
    room = shared_room
    unit = room.unit("SV", crew=4)
    incident = room.incident("F05")["id"]
    room.sent(incident, unit)
    console = settled(NearConsole(room, room.ana))
    assert console.incidents[incident]["plan"]["filled"]["fire_suppression"] == 1
    room.desk("admin").post("/units", {"id": unit, "type": "SV", "station": "Nord", "crew": 0})
    assert settled(console).incidents[incident]["plan"]["filled"]["fire_suppression"] == 0


def test_who_shares_a_crew_is_seen_to_be_blocked_and_free_again(shared_room: Room) -> None:
    room = shared_room
    crew = room.uuid()
    ladder, rescue = room.unit(crew_id=crew), room.unit(crew_id=crew)
    console = NearConsole(room, room.ana)
    incident = room.incident()["id"]
    room.sent(incident, ladder)
    assert settled(console).units[rescue]["blocked_by"] == ladder
    room.ana.delete(f"/incidents/{incident}/assignments/{ladder}")
    assert settled(console).units[rescue]["blocked_by"] is None


def test_positions_come_as_frames_and_only_to_those_who_see_the_unit(shared_room: Room) -> None:
    room = shared_room
    mine, other = room.unit(), room.unit()
    tablet = room.sockets.test_client(room.app, auth={"token": room.desk("field", unit=mine).token})
    desk = room.sockets.test_client(room.app, auth={"token": room.ana.token})
    for client in (tablet, desk):
        client.emit("hello", {"cursor": None}, callback=True)
    room.seen(mine, (LON, LAT), heading_deg=45, speed_mps=10)
    room.seen(other, (LON + 0.01, LAT))
    seen: dict[str, dict[int, Any]] = {"tablet": {}, "desk": {}}

    def heard() -> bool:
        for name, client in (("tablet", tablet), ("desk", desk)):
            for event in client.get_received():
                if event["name"] == "positions":
                    seen[name] |= read_frame(event["args"][0])[1]
        return len(seen["tablet"]) >= 1 and len(seen["desk"]) >= 2

    assert wait_until(heard, 3)
    n = {unit: room.ana.get(f"/units/{unit}").json["n"] for unit in (mine, other)}
    assert set(seen["tablet"]) == {n[mine]}
    assert {n[mine], n[other]} <= set(seen["desk"])
    dot = seen["desk"][n[mine]]
    assert (dot.lon, dot.lat, dot.heading_deg, dot.speed_mps) == (LON, LAT, 45, 10)
    assert seen["desk"][n[other]].heading_deg is None
    for client in (tablet, desk):
        client.disconnect()


def test_a_socket_says_nothing_before_hello_and_nothing_to_a_login_that_ended(shared_room: Room) -> None:
    room = shared_room
    name = f"gata-{room.uuid()[:8]}"
    token = room.core.accounts.create_token("dispatcher", name, ["*"])
    client = room.sockets.test_client(room.app, auth={"token": token})
    room.incident()
    live = room.app.extensions["straja_live"]
    live.pump()
    assert "changes" not in [event["name"] for event in client.get_received()]
    room.core.accounts.revoke_token(name)
    live.pulse()
    assert not client.is_connected()


# ---- over real sockets


@pytest.fixture(scope="module")
def accounts_of(stations: tuple[Server, Server]) -> Iterator[Accounts]:
    """The accounts of the stations as another process on the same database has them in its hands."""
    engine = open_engine(stations[0].env["STRAJA_DATABASE_URL"])
    yield Accounts(engine, SystemClock(), SystemRandom())
    engine.dispose()


@pytest.fixture
def remote(stations: tuple[Server, Server], station_token: str) -> Remote:
    return Remote(stations[0].url, station_token)


def sign_in(url: str) -> tuple[requests.Session, str]:
    browser = requests.Session()
    answer = browser.post(f"{url}{AREA}/session", json={"name": "ana", "password": "straja-demo"}, timeout=20)
    assert answer.status_code == 200, answer.text
    return browser, answer.json()["csrf"]


def cookie_of(browser: requests.Session) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)


def test_nobody_without_a_right_to_listen_is_let_in(
    stations: tuple[Server, Server], accounts_of: Accounts
) -> None:
    url = stations[0].url
    browser, csrf = sign_in(url)
    cookie = cookie_of(browser)
    gateway = accounts_of.create_token("gateway", "poarta-live", ["*"])
    refused: list[dict[str, Any]] = [
        {},
        {"auth": {"token": "straja_nobody"}},
        {"auth": {"token": gateway}},
        {"auth": {"token": ["x"]}},
        {"auth": "token"},
        {"headers": {"Cookie": "straja_session=forged"}, "origin": url},
        # A page of somebody else's, open in her browser
        {"headers": {"Cookie": cookie}, "origin": "http://evil.example"},
        {"headers": {"Cookie": cookie}, "origin": "null"},
        {"headers": {"Cookie": cookie}},
        {"headers": {"Cookie": cookie}, "origin": url, "auth": {"token": "straja_nobody"}},
    ]
    for login in refused:
        client = new_client(login.pop("origin", None))
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.connect(url, transports=["websocket"], wait_timeout=10, **login)
    polled = requests.get(f"{url}/socket.io/?EIO=4&transport=polling", timeout=20)
    assert polled.status_code == 400, "there is no way in but the websocket"
    with far_console(url, headers={"Cookie": cookie}, origin=url) as console:
        assert console.modes == ["snapshot"]
    browser.delete(f"{url}{AREA}/session", headers={"X-CSRF-Token": csrf}, timeout=20)


def test_signing_out_cuts_the_socket_within_seconds(stations: tuple[Server, Server]) -> None:
    url = stations[0].url
    browser, csrf = sign_in(url)
    with far_console(url, headers={"Cookie": cookie_of(browser)}, origin=url) as console:
        answer = browser.delete(f"{url}{AREA}/session", headers={"X-CSRF-Token": csrf}, timeout=20)
        assert answer.status_code == 204
        assert console.cut.wait(6)
        assert console.revoked.is_set()


def test_a_token_revoked_by_another_process_is_cut_too(
    stations: tuple[Server, Server], accounts_of: Accounts
) -> None:
    token = accounts_of.create_token("observer", "primaria", ["*"])
    with far_console(stations[0].url, auth={"token": token}) as console:
        assert console.modes == ["snapshot"]
        accounts_of.revoke_token("primaria")
        assert console.cut.wait(8)
        assert console.revoked.is_set()


def test_nothing_is_missed_or_doubled_across_broken_lines_while_work_goes_on(
    stations: tuple[Server, Server], remote: Remote, station_token: str, random: SeededRandom
) -> None:
    story = Story(lambda method, path, body: remote.call(method, path, body), random)
    story.make_units(f"R{random.uuid()[:4]}-")
    login = {"auth": {"token": station_token}}
    with far_console(remote.url, **login) as steady, far_console(remote.url, **login) as shaky:
        for n in range(90):
            story.step()
            if n % 9 == 4:
                shaky.drop()
            elif n % 9 == 6:
                shaky.connect()
        with far_console(remote.url, **login) as fresh:
            assert wait_until(lambda: steady.cursor == shaky.cursor == fresh.cursor, 5)
            assert steady.shown() == fresh.shown()
            assert shaky.shown() == fresh.shown()
    assert steady.misfits == 0
    assert set(shaky.modes[1:]) == {"changes"}


def test_what_one_process_is_told_of_a_position_the_consoles_of_another_see_within_a_second(
    stations: tuple[Server, Server], remote: Remote, station_token: str, random: SeededRandom
) -> None:
    units = [f"Q{random.uuid()[:6]}" for _ in range(5)]
    for unit in units:
        remote.done("POST", "/units", {"id": unit, "type": "SV", "station": "Nord", "crew": 4})
    far = stations[1].url
    with far_console(far, auth={"token": station_token}) as console:
        assert wait_until(lambda: all(unit in console.units for unit in units), 5)
        numbers = {console.units[unit]["n"]: unit for unit in units}
        arrived: list[float] = []
        for turn in range(3):
            # Given positions told to one web process, of some units to this one and of others to that
            told = {unit: (24.9 + turn / 100, 60.17 + i / 1000) for i, unit in enumerate(units)}
            now_us = time.time_ns() // 1000
            for i, (unit, (lon, lat)) in enumerate(told.items()):
                fix = {"unit": unit, "lon": lon, "lat": lat, "observed_at": rfc3339(now_us)}
                Remote(stations[i % 2].url, station_token).done("POST", "/positions", [fix])
            began = time.monotonic()

            def seen() -> dict[str, tuple[float, float]]:
                found = {}
                for _, frame in list(console.frames):
                    for n, dot in read_frame(frame)[1].items():
                        if n in numbers:
                            found[numbers[n]] = (round(dot.lon, 6), round(dot.lat, 6))
                return found

            # Then a console on one of them sees all of them move
            wanted = {unit: (round(lon, 6), round(lat, 6)) for unit, (lon, lat) in told.items()}
            assert wait_until(lambda: seen() == wanted, 10), (seen(), wanted)  # noqa: B023
            arrived.append(max(at for at, _ in console.frames) - began)
        # One of three may meet a machine that is busy with something else
        assert sorted(arrived)[1] < 1.0, arrived


def test_position_frames_come_at_most_four_times_a_second_with_true_values(
    stations: tuple[Server, Server], remote: Remote, station_token: str, random: SeededRandom
) -> None:
    unit = f"P{random.uuid()[:6]}"
    remote.done("POST", "/units", {"id": unit, "type": "SV", "station": "Nord", "crew": 4})
    with far_console(remote.url, auth={"token": station_token}) as console:
        n = console.units[unit]["n"]
        until = time.monotonic() + 2.0
        steps = 0
        while time.monotonic() < until:
            steps += 1
            now_us = time.time_ns() // 1000
            fix = {
                "unit": unit,
                "lon": round(LON + steps * 1e-5, 7),
                "lat": LAT,
                "observed_at": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now_us // 1_000_000))}"
                f".{now_us % 1_000_000:06d}Z",
                "speed_mps": 8.25,
                "heading_deg": 89.96,
            }
            answer = remote.done("POST", "/positions", [fix])
            assert answer["accepted"] == 1, answer
        last = fix["lon"]

        def dots() -> list[tuple[float, Any]]:
            read = [(at, read_frame(frame)[1]) for at, frame in list(console.frames)]
            return [(at, found[n]) for at, found in read if n in found]

        assert wait_until(lambda: bool(dots()) and dots()[-1][1].lon == last, 3)
        seen = dots()
        assert steps > 10
        assert 4 <= len(seen) <= 12, "about four frames a second for two seconds"
        assert len(seen) < steps
        east = [dot.lon for _, dot in seen]
        assert east == sorted(east)
        dot = seen[-1][1]
        assert (dot.lat, dot.heading_deg, dot.speed_mps) == (LAT, 90.0, 8.25)
        assert dot.age_ms < 2000
        server_s = read_frame(console.frames[-1][1])[0]
        assert abs(server_s - time.time()) < 5


def test_the_pulse_tells_the_time_and_that_all_is_well(
    stations: tuple[Server, Server], station_token: str
) -> None:
    with far_console(stations[0].url, auth={"token": station_token}) as console:
        assert wait_until(lambda: len(console.pulses) >= 2, 8)
        assert set(console.pulses[-1]) == {"server_time", "as_of", "cursor", "trouble"}
        assert console.pulses[-1]["trouble"] is None
        assert wait_until(lambda: console.pulses[-1]["cursor"] == console.cursor, 5)


def test_two_processes_on_one_database_show_the_same_board_within_a_second(
    stations: tuple[Server, Server], station_token: str, random: SeededRandom
) -> None:
    first, second = (Remote(server.url, station_token) for server in stations)
    login = {"auth": {"token": station_token}}
    story = Story(lambda method, path, body: random.choice((first, second)).call(method, path, body), random)
    with far_console(first.url, **login) as one, far_console(second.url, **login) as two:
        story.make_units(f"T{random.uuid()[:4]}-")
        for _ in range(40):
            story.step()
        waits = []
        for way in ((first, two), (second, one)) * 2:
            at = {"lon": LON, "lat": LAT}
            report = {"id": random.uuid(), "type": "F05", "location": at, "caller": {"phone": PHONE}}
            way[0].done("POST", "/incidents", report)
            begun = time.monotonic()
            assert wait_until(lambda way=way, report=report: report["id"] in way[1].incidents, 5)
            waits.append(time.monotonic() - begun)
            assert way[1].incidents[report["id"]]["caller"]["phone"] == PHONE
        assert sorted(waits)[1] < 1.0, waits
        assert same_board(one, two)
        # Positions too
        unit = story.units[0]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        first.done("POST", "/positions", [{"unit": unit, "lon": LON, "lat": LAT, "observed_at": now}])
        n = two.units[unit]["n"]
        assert wait_until(lambda: any(n in read_frame(frame)[1] for _, frame in list(two.frames)), 5)


def same_board(one: FarConsole, two: FarConsole) -> bool:
    return wait_until(lambda: one.shown() == two.shown(), 5)


# ---- callers that mean no good, or are gone


def raw_socket(url: str, token: str | None) -> websocket.WebSocket:
    """A websocket that speaks Engine.IO by hand, and so never answers a ping unless told to."""
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    line = websocket.create_connection(address, timeout=5, suppress_origin=True)
    assert line.recv().startswith("0")
    if token is not None:
        line.send("40" + json.dumps({"token": token}))
        assert line.recv().startswith("40")
    return line


def ended(line: websocket.WebSocket) -> bool:
    """Whether the server has closed the connection itself, not only said goodbye."""
    line.sock.settimeout(0.05)
    try:
        return line.sock.recv(65_536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_console_that_lost_its_network_gives_its_place_back(remote: Remote) -> None:
    line = raw_socket(remote.url, remote.token)
    # When it answers no ping any more, then its connection is closed, goodbye or not
    assert wait_until(lambda: ended(line), PING_EVERY_S + PING_ANSWER_S + 8), "it kept its place"


def test_a_caller_that_does_not_say_who_it_is_is_turned_out(stations: tuple[Server, Server]) -> None:
    line = raw_socket(stations[0].url, None)
    assert wait_until(lambda: ended(line), STRANGER_S + 2 * PULSE_EVERY_S + 5)


def test_a_crowd_of_strangers_does_not_keep_the_dispatchers_out(remote: Remote) -> None:
    url, token = remote.url, remote.token
    # Given more strangers than are let in
    crowd: list[websocket.WebSocket] = []
    turned_away: list[int] = []
    for _ in range(STRANGERS_MAX + 20):
        try:
            crowd.append(raw_socket(url, None))
        except websocket.WebSocketBadStatusException as refusal:
            turned_away.append(refusal.status_code)
    assert turned_away
    assert set(turned_away) == {503}
    # Then whoever is known still comes in, and the server still answers
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    known = websocket.create_connection(
        address, timeout=5, suppress_origin=True, header=[f"Authorization: Bearer {token}"]
    )
    assert known.recv().startswith("0")
    assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
    for line in (*crowd, known):
        line.close(timeout=1)

    # And once the crowd has gone a stranger, who may be about to sign in, is let in again
    def let_in() -> bool:
        try:
            raw_socket(url, None).close(timeout=1)
        except websocket.WebSocketBadStatusException:
            return False
        return True

    assert wait_until(let_in, 15)


def test_a_console_that_asks_without_end_is_cut_off(shared_room: Room) -> None:
    room = shared_room
    console = NearConsole(room, room.desk("observer"))
    asked = 1
    while console.client.is_connected() and asked < 10 * HELLOS_MAX:
        console.client.emit("hello", {"cursor": None}, callback=True)
        asked += 1
    assert asked == HELLOS_MAX + 1


def test_a_canary_comes_back_after_everything_it_vouches_for(own_room: Room) -> None:
    room = own_room
    console = NearConsole(room, room.desk("observer"))
    room.clock.advance(60)
    incident = room.incident()["id"]
    assert wait_until(lambda: room.core.log.seen_us == room.clock.now_us(), 5)
    answer = console.client.emit("canary", callback=True)
    assert answer["as_of"] == rfc3339(room.clock.now_us())
    console.listen()
    assert incident in console.incidents, "its answer was there before what it vouches for"


def test_the_data_grow_old_when_the_log_is_read_no_more_though_the_server_speaks(
    open_another: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = open_another()
    console = NearConsole(room, room.ana)
    log = room.core.log
    # Given a database that takes the question and never answers
    asked, answered = threading.Event(), threading.Event()

    def hangs(connection: Any) -> int:
        asked.set()
        answered.wait(30)
        return -1

    monkeypatch.setattr(log, "_data_version", hangs)
    assert asked.wait(10)
    stuck = console.client.emit("canary", callback=True)["as_of"]
    # When a minute goes by
    room.clock.advance(60)
    answer = console.client.emit("canary", callback=True)
    # Then the server says what time it is, and that its data are a minute old
    assert answer["server_time"] > answer["as_of"] == stuck
    room.app.extensions["straja_live"].pulse()
    console.listen()
    pulse = next(x["args"][0] for x in console.heard if x.get("name") == "pulse")
    assert (pulse["as_of"], pulse["server_time"]) == (stuck, answer["server_time"])
    # And when it answers again, they are fresh
    answered.set()
    monkeypatch.undo()
    assert wait_until(lambda: rfc3339(log.seen_us) == answer["server_time"], 10)
    assert console.client.emit("canary", callback=True)["as_of"] == answer["server_time"]


def test_a_canary_without_hello_or_without_end_gets_no_word(shared_room: Room) -> None:
    room = shared_room
    client = room.sockets.test_client(room.app, auth={"token": room.ana.token})
    assert set(client.emit("canary", callback=True)) == {"error"}
    client.emit("hello", {"cursor": None}, callback=True)
    answers = [client.emit("canary", {"x": "ș" * 100}, callback=True) for _ in range(CANARIES_MAX + 3)]
    assert ["error" in x for x in answers] == [False] * CANARIES_MAX + [True] * 3
    assert client.is_connected(), "what cannot be answered now is no reason to be cut off"
    client.disconnect()


def test_one_row_that_cannot_be_built_does_not_hide_the_others(
    shared_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shared_room
    good, bad = room.unit("PL"), room.unit("PL")
    rows = room.app.extensions["straja_rows"]
    whole = rows.unit

    def broken(_: Any, unit: Any, **more: Any) -> dict[str, Any]:
        if unit.id == bad:
            raise ValueError("a fact of another program")
        return dict(whole(unit, **more))

    monkeypatch.setattr(type(rows), "unit", broken)
    seen = NearConsole(room, room.ana)
    assert good in seen.units
    assert bad not in seen.units
