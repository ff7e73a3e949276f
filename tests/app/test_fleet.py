"""The units as columns: kept up row by row, they are what a walk over all units would find."""

from __future__ import annotations

import numpy as np

from app.fleet import Columns, Fleet
from app.tracks import Fix
from dispatch.optimise import Candidates
from gis.roads import IMPASSABLE
from tests.app.control_room import RAILWAY_STATION, Room

LON, LAT = RAILWAY_STATION


def same(one: Columns, other: Columns) -> None:
    for name in Columns.__dataclass_fields__:
        if name in ("workload", "by_mode"):
            continue
        left, right = getattr(one, name), getattr(other, name)
        if name == "candidates":
            for column in Candidates.__dataclass_fields__:
                ours, theirs = getattr(left, column), getattr(right, column)
                is_number = getattr(ours, "dtype", None) == np.float64
                assert np.array_equal(ours, theirs, equal_nan=is_number), column
            for mark in ("rolling", "divert", "soon", "never", "blocked", "crew"):
                assert np.array_equal(getattr(left.roster, mark), getattr(right.roster, mark)), mark
            continue
        equal = np.array_equal(left, right, equal_nan=True) if name == "ready_us" or name == "base" else None
        assert equal if equal is not None else np.array_equal(np.array(left), np.array(right)), name


def test_after_every_fact_the_columns_are_those_of_a_walk_over_all_units(own_room: Room) -> None:
    room, core = own_room, own_room.core

    def anew() -> Columns:
        return Fleet(core.picture, core.tracks, core.pack, core.world.clock).now()

    # given a patrol, and two ambulances manned by one crew
    crew = room.uuid()
    patrol, first, second = room.unit(), room.unit("B2", crew_id=crew), room.unit("B2", crew_id=crew)
    kept = core.fleet
    same(kept.now(), anew())
    # when they are sent, asked, report, and another comes into service
    incident = room.incident("M01")["id"]
    room.sent(incident, patrol)
    same(kept.now(), anew())
    room.sent(incident, first)
    now = kept.now()
    same(now, anew())
    # then the mate of the crew that is asked for is kept back too
    asked = now.asked[now.ids.index(second)]
    assert asked is not None
    assert asked.id == first
    assert now.sendable[now.ids.index(second)] == "never"
    for status in ("acknowledged", "en_route"):
        room.ana.post(f"/units/{patrol}/status", {"status": status})
        same(kept.now(), anew())
    room.unit("ASAS")
    same(kept.now(), anew())
    # and nothing is worked out again while nothing happens
    assert kept.now() is kept.now()


def test_only_who_moved_is_put_on_the_roads_again(own_room: Room) -> None:
    room, core = own_room, own_room.core
    a, b = room.unit(at=RAILWAY_STATION), room.unit(at=(LON + 0.01, LAT))
    ways = core.living_map.ways()
    assert ways is not None
    columns = core.fleet.now()
    rows = np.array([columns.ids.index(unit) for unit in (a, b)])
    lon, lat = np.array([LON, LON + 0.01]), np.array([LAT, LAT])
    before = core.fleet.places(columns, ways, "car", rows, lon, lat)
    fresh = ways.snap(lon, lat, "car")
    assert (before.edge.tolist(), before.fraction.tolist()) == (fresh.edge.tolist(), fresh.fraction.tolist())
    # when one of them drives on
    lon = np.array([LON + 0.005, LON + 0.01])
    after = core.fleet.places(columns, ways, "car", rows, lon, lat)
    assert after.edge[1] == before.edge[1]
    assert after.edge.tolist() == ways.snap(lon, lat, "car").edge.tolist()
    # then what was handed out before stays as it was
    assert before.lon.tolist() == [LON, LON + 0.01]


def test_what_is_kept_of_places_holds_until_somebody_moves_or_the_roads_are_others(own_room: Room) -> None:
    # given two patrols at their places, asked about twice
    room, core = own_room, own_room.core
    a, b = room.unit(at=RAILWAY_STATION), room.unit(at=(LON + 0.01, LAT))
    ways = core.living_map.ways()
    assert ways is not None
    columns = core.fleet.now()
    rows = np.array([columns.ids.index(unit) for unit in (a, b)])
    lon, lat = np.array([LON, LON + 0.01]), np.array([LAT, LAT])
    scene = ways.snap(LON + 0.004, LAT, "car", arriving=True)
    before = core.fleet.places(columns, ways, "car", rows, lon, lat)
    was_s = ways.times(before, scene, "car")
    # then it is one and the same answer, and what was worked out stands with it
    assert core.fleet.places(columns, ways, "car", rows, lon.copy(), lat.copy()) is before
    # when one drives on, it is another, with other times
    moved = core.fleet.places(columns, ways, "car", rows, lon + np.array([0.005, 0.0]), lat)
    assert moved is not before
    is_s = ways.times(moved, scene, "car")
    assert is_s[0] != was_s[0]
    assert is_s[1] == was_s[1]
    # and with it closed a street away, the same places are found anew
    ms = ways.ms("car").copy()
    ms[2 * moved.edge[0] : 2 * moved.edge[0] + 2] = IMPASSABLE
    other = ways.with_ms({"car": ms}, version="closed")
    elsewhere = core.fleet.places(columns, other, "car", rows, lon + np.array([0.005, 0.0]), lat)
    assert elsewhere.edge[0] == other.snap(lon[:1] + 0.005, lat[:1], "car").edge[0] != moved.edge[0]


def test_fixes_are_the_same_until_somebody_moves(own_room: Room) -> None:
    room, core = own_room, own_room.core
    unit = room.unit(at=RAILWAY_STATION)
    before = core.tracks.arrays()
    assert core.tracks.arrays() is before
    room.clock.advance(5)
    now_us = core.world.clock.now_us()
    assert core.tracks.accept([Fix(unit, LON + 0.01, LAT, now_us)], "avl", now_us).refused == []
    after = core.tracks.arrays()
    assert after.lon[core.tracks.index(unit)] == LON + 0.01
    assert before.lon[core.tracks.index(unit)] != LON + 0.01


def test_a_crew_that_was_out_has_worked(own_room: Room) -> None:
    room = own_room
    busy, idle = room.unit(), room.unit()
    room.sent(room.incident()["id"], busy)
    room.clock.advance(4 * 3600)
    columns = Fleet(room.core.picture, room.core.tracks, room.core.pack, room.core.world.clock).now()
    worked = dict(zip(columns.ids, columns.workload.tolist(), strict=True))
    assert 0.49 < worked[busy] < 0.51
    assert worked[idle] == 0
