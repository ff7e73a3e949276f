"""The forecast of calls: learnt from the log, told to supervisors, followed by coverage while in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from app import forecast
from app.forecast import Forecasts, mark_of
from app.learnt import file_of, put
from gis.coverage import cells_of
from gis.forecast import Forecast, as_json
from tests.app.control_room import RAILWAY_STATION, Desk, Room, is_problem

if TYPE_CHECKING:
    from tests.conftest import FakeClock, SeededRandom

OpenRoom = Callable[..., Room]


def test_calls_of_some_weeks_become_a_forecast_that_supervisors_read(own_room: Room) -> None:
    # given five weeks in which people call in the late afternoon only
    room = own_room
    before = room.desk("supervisor").get("/forecast")
    assert before.status_code == 200
    assert before.json["why"] == "nothing is learnt yet"
    assert before.json["hours"] is None
    room.clock.advance((15 - 3) * 3600)
    # calls of a few minutes are no rate
    room.incident("F05", at=RAILWAY_STATION)
    forecast.learn(room.core)
    room.clock.advance(3)
    early = room.desk("supervisor").get("/forecast").json
    assert (early["weeks"], early["calls"], early["in_use"]) == (0, 1, False)
    assert (early["flat_per_hour"], early["expected_per_hour"], early["hours"]) == (None, None, None)
    assert "too few to say how many an hour" in " ".join(forecast.told(room.core))
    for _ in range(5 * 7):
        for _ in range(3):
            room.incident("F05", at=RAILWAY_STATION)
            room.clock.advance(1500)
        room.clock.advance(86_400 - 3 * 1500)
    # when it is learnt
    found = forecast.learn(room.core)
    assert found.in_use, found.about
    room.clock.advance(3)
    # then the hour that is asked about is told from the flat prior
    told = room.desk("supervisor").get("/forecast")
    assert told.status_code == 200
    body: dict[str, Any] = told.json
    assert body["in_use"]
    assert body["calls"] == 5 * 7 * 3 + 1
    assert len(body["hours"]) == 168
    assert body["held_out"]["hours"]["beats_prior"]
    # it is a quarter past three by the clock of the world, a quarter past five in the city
    assert body["hour_of_week"] % 24 == 17
    assert body["expected_per_hour"] > 3 * body["flat_per_hour"]
    at_night = room.desk("admin").get("/forecast?at=" + room.ago(14 * 3600).replace("+", "%2B")).json
    assert at_night["expected_per_hour"] < body["flat_per_hour"]
    # and asking again changes nothing
    assert room.desk("supervisor").get("/forecast").json == body


def test_a_time_that_is_none_is_named(embedded_room: Room) -> None:
    for at in ("yesterday", "2026-11-23T03:00:00", "1970-01-01T00:00:00Z"):
        is_problem(embedded_room.desk("supervisor").get(f"/forecast?at={at}"), 422, field="at")
    is_problem(embedded_room.desk("supervisor").get("/forecast?hour=3"), 422, field="hour")


def test_those_who_plan_may_ask_and_others_may_not(embedded_room: Room) -> None:
    for role in ("admin", "supervisor", "observer"):
        assert embedded_room.desk(role).get("/forecast").status_code == 200
    for role in ("dispatcher", "field", "gateway", "drill_controller"):
        is_problem(embedded_room.desk(role).get("/forecast"), 403)
    is_problem(embedded_room.stranger.get("/forecast"), 401)


def test_planned_events_are_no_calls_and_the_demos_count_only_when_asked(own_room: Room) -> None:
    planned = next(kind.code for kind in own_room.core.pack.incident_types.values() if kind.planned)
    own_room.incident(planned)
    own_room.incident("F05")
    demo = Desk(own_room, own_room.core.accounts.create_token("gateway", "demo-calls", ["*"]), "demo-calls")
    at = {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1]}
    made_up = demo.post("/incidents", {"id": own_room.uuid(), "type": "F05", "location": at})
    assert made_up.status_code == 201, made_up.text
    assert forecast.learn(own_room.core).about["calls"] == 1
    assert forecast.learn(own_room.core, demo=True).about["calls"] == 2


def made(cells: str, *, hours: bool, places: bool, share: np.ndarray) -> Forecast:
    hourly = np.ones(168)
    hourly[17] = 85.0  # the mean is then 1.5
    verdict = {"hours": {"beats_prior": hours}, "places": {"beats_prior": places}}
    about = {"why": "", "held_out": verdict, "cells": cells}
    return Forecast(hourly if hours else np.ones(168), share, hours or places, about)


def test_coverage_follows_what_is_in_use_and_nothing_else(
    embedded_room: Room, clock: FakeClock, random: SeededRandom
) -> None:
    city = embedded_room.core.city
    assert city is not None
    cells = cells_of(city.roads.arrays("car"), city.roads.names, None, ())
    supposed = np.random.default_rng(random.getrandbits(32)).gamma(1.0, 1.0, len(cells))
    share = np.arange(len(cells), dtype=np.float64)
    share /= share.sum()
    folder = embedded_room.core.config.var / "made"
    known = Forecasts(folder, lambda: city, clock)

    def demand(found: Forecast | None, hour: int) -> np.ndarray:
        if found is not None:
            put(file_of(folder, city), as_json(found))
        clock.advance(3)
        return known.demand(cells, supposed, hour)

    # nothing learnt, or nothing in use: what is supposed stands
    assert (demand(None, 17) == supposed).all()
    flat = made(mark_of(cells), hours=False, places=False, share=share)
    assert (demand(flat, 17) == supposed).all()
    # the hours alone: the same places, more calls
    rush = made(mark_of(cells), hours=True, places=False, share=share)
    assert demand(rush, 17) == pytest.approx(supposed * 85 / 1.5)
    assert demand(rush, 3) == pytest.approx(supposed / 1.5)
    # both: as many calls, where they are expected
    both = made(mark_of(cells), hours=True, places=True, share=share)
    assert demand(both, 17) == pytest.approx(share * supposed.sum() * 85 / 1.5, rel=1e-5)
    # of other cells nothing is known
    other = made("other", hours=False, places=True, share=share)
    assert demand(other, 17) == pytest.approx(supposed)
    # and a file that is none is said to be none
    file_of(folder, city).write_text("{")
    clock.advance(3)
    assert (known.demand(cells, supposed, 17) == supposed).all()
    assert "forecast learn" in (known.trouble or "")
