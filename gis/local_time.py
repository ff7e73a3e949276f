"""Local time of a place: what hour it is where the city lies, whatever the computer's own clock is set to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gis.geometry import metres_between

HOURS: Final = 168
"""Hours of a week; hour 0 is Monday from midnight to one, local time."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER_US: Final = 900_000_000
# Monday, 5 January 1970.
_MONDAY_H: Final = 4 * 24


def zone_of(lon: float, lat: float) -> tzinfo:
    """The local time of a place: that of the nearest principal place in the time zone database, or of its
    longitude where the nearest is over 1,500 km away."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone1970.tab").read_text(encoding="utf-8")
    nearest, name = 1_500_000.0, ""
    for line in table.splitlines():
        if line.startswith("#"):
            continue
        _, where, zone = line.split("\t")[:3]
        cut = max(where.rfind("+"), where.rfind("-"))
        away_m = metres_between(lon, lat, _degrees(where[cut:]), _degrees(where[:cut]))
        if away_m < nearest:
            nearest, name = away_m, zone
    return ZoneInfo(name) if name else timezone(timedelta(hours=round(lon / 15)))


def hours_of_week(us: ArrayLike, zone: tzinfo) -> NDArray[np.int64]:
    """The local hour of the week, 0 to 167, of each moment in microseconds since 1970."""
    moments = np.atleast_1d(np.asarray(us, dtype=np.int64))
    # No place's offset is finer than a quarter of an hour, and few quarters occur.
    quarters, back = np.unique(moments // _QUARTER_US, return_inverse=True)
    hours = np.empty(len(quarters), dtype=np.int64)
    for n, quarter in enumerate(quarters.tolist()):
        hours[n] = _hour_at(quarter, zone)
    return hours[back]


def hour_of_week(us: int, zone: tzinfo) -> int:
    """The local hour of the week, 0 (Monday, midnight) to 167."""
    return _hour_at(us // _QUARTER_US, zone)


@lru_cache(maxsize=1024)
def _hour_at(quarter: int, zone: tzinfo) -> int:
    """The hour of the week of a quarter of an hour, counted since 1970."""
    try:
        local = (_EPOCH + timedelta(minutes=15 * quarter)).astimezone(zone)
    except (OverflowError, ValueError):  # A clock gone wild is in no year; it has an hour all the same.
        return (quarter // 4 - _MONDAY_H) % HOURS
    return 24 * local.weekday() + local.hour


def _degrees(text: str) -> float:
    """Of ISO 6709, "+6010" or "+0245830": degrees, minutes, seconds."""
    digits = text[1:]
    whole = 2 if len(digits) in (4, 6) else 3
    minutes, seconds = int(digits[whole : whole + 2]), int(digits[whole + 2 :] or 0)
    value = int(digits[:whole]) + minutes / 60 + seconds / 3600
    return -value if text[0] == "-" else value
