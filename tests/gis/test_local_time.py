"""Local time of places."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gis.local_time import hour_of_week, hours_of_week, zone_of

HELSINKI = ZoneInfo("Europe/Helsinki")


def us(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("lon", "lat", "zone"),
    [
        (24.94, 60.17, "Europe/Helsinki"),
        (-8.61, 41.15, "Europe/Lisbon"),
        (26.1, 44.43, "Europe/Bucharest"),
        (-74.0, 40.7, "America/New_York"),
    ],
)
def test_the_local_time_is_that_of_the_city(lon: float, lat: float, zone: str) -> None:
    assert str(zone_of(lon, lat)) == zone


def test_far_out_at_sea_the_longitude_gives_the_time() -> None:
    hours = datetime(2026, 1, 1, tzinfo=zone_of(-100.0, -55.0)).utcoffset()
    assert hours is not None
    assert hours.total_seconds() == -7 * 3600


@pytest.mark.parametrize(
    ("when", "hour"),
    [
        ((2026, 11, 22, 21, 59), 167),  # Sunday, a minute to midnight
        ((2026, 11, 22, 22, 0), 0),  # Monday has begun
        ((2026, 11, 25, 10, 30), 60),
        ((2026, 3, 28, 23, 59), 145),  # the last minutes of winter time, Sunday past one
        ((2026, 3, 29, 1, 0), 148),  # and there is no hour from three to four
    ],
)
def test_a_week_of_hours_begins_on_monday_at_midnight_local_time(when: tuple[int, ...], hour: int) -> None:
    assert hour_of_week(us(*when), HELSINKI) == hour


def test_a_clock_gone_wild_still_has_an_hour() -> None:
    hours = hours_of_week([-(2**62), 2**62, 0], HELSINKI)
    assert ((hours >= 0) & (hours < 168)).all()
