"""Speeds by hour, turnout and the band of an ETA, as the city's own history tells them; priors until then.

Learning runs apart (`learn`, by the command or a job) and leaves one small file a city; this reads it, and
again when it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.ports import Clock
from dispatch.plans import Pack
from gis.city import City
from gis.local_time import hour_of_week, zone_of
from gis.speeds import (
    GROUP_OF_CLASS,
    PARTS,
    PRIOR,
    STRAIGHT_SPREAD,
    TURNOUT_SPREAD,
    Z80,
    SpeedTable,
    band_of,
    mode_row,
)

Floats = NDArray[np.float64]

FRESH_S: Final = 30.0
"""A fix no older than this is where the unit is."""
STALE_S_MAX: Final = 300.0
"""What an old fix, or none, adds at most to either side of the band: a crew that drives where nobody looks
is that much nearer or farther. A stated assumption."""
_NO_TURNOUT: Final = np.array([1.0, *np.exp(np.array([-Z80, Z80]) * TURNOUT_SPREAD), 0.0], dtype=np.float32)


class Band(NamedTuple):
    """Multipliers on a drive time between which four trips in five end, the number of trips behind them, and
    whether they are the prior."""

    low: float
    high: float
    observations: int
    prior: bool


class Turnout(NamedTuple):
    """Seconds from the order to wheels rolling: the middle, and what 10 % and 90 % of departures stay below;
    the number of departures behind them, and whether they are the prior."""

    median_s: float
    low_s: float
    high_s: float
    observations: int
    prior: bool


class Etas(NamedTuple):
    """Of n units, float64[n] each: turnout as counted (0 when rolling), and the ETA with the band in which
    it ends four times in five. Seconds; not finite where there is no drive time."""

    turnout_s: Floats
    eta_s: Floats
    low_s: Floats
    high_s: Floats


class Speeds:
    """What is known of one city's speeds; safe from any thread. `version` changes when other figures come
    into use."""

    def __init__(self, city: Callable[[], City | None], pack: Pack, clock: Clock) -> None:
        self._city = city
        self._pack = pack
        self._clock = clock
        self._zone: tuple[City, tzinfo] | None = None
        self._table: SpeedTable = PRIOR
        self.version = 0

    def hour(self, now_us: int | None = None) -> int:
        """The local hour of the week where the city lies, 0 (Monday from midnight) to 167; UTC without a
        city."""
        city = self._city()
        if city is None:
            zone: tzinfo = UTC
        else:
            if self._zone is None or self._zone[0] is not city:
                self._zone = city, zone_of(*city.info.centre)
            zone = self._zone[1]
        return hour_of_week(self._clock.now_us() if now_us is None else now_us, zone)

    def factors(self, mode: str, hour: int) -> NDArray[np.float32] | None:
        """What multiplies the milliseconds of each arc of the city's graph for `mode` (a profile, or one with
        `_priority`) in that hour of the week; None where the graph's own times stand."""
        city = self._city()
        by_group = self._table.factor[mode_row(mode), :, band_of(hour)]
        if city is None or mode in ("air", "foot") or (by_group == 1).all():
            return None
        edge_class = city.roads.arrays(mode)["edge_class"]
        return np.repeat(by_group[GROUP_OF_CLASS[edge_class]], 2)

    def band(self, mode: str, hour: int) -> Band:
        """The band of a drive by road, as multipliers on its predicted time."""
        row, band = mode_row(mode), band_of(hour)
        low, high = np.exp(self._table.quantile[row, band])
        trips = round(float(self._table.quantile_trips[row, band]))
        return Band(float(low), float(high), trips, trips == 0)

    def turnout_s(
        self, unit_type: str, station: str, hour: int, standard_s: float | None = None
    ) -> Turnout:
        """Turnout of a crew of that type and station; `standard_s` is the unit's own, by default its type's
        (KeyError where the pack has no such type)."""
        standard = self._pack.unit_types[unit_type].turnout_s if standard_s is None else standard_s
        middle, low, high, count = self._turnout(unit_type, station, hour).tolist()
        return Turnout(standard * middle, standard * low, standard * high, round(count), count == 0)

    def etas(
        self,
        crews: Sequence[tuple[str, str, str]],
        *,
        standard_s: Floats,
        drive_s: Floats,
        road: NDArray[np.bool_],
        rolling: NDArray[np.bool_],
        fix_age_s: Floats,
        hour: int,
    ) -> Etas:
        """The ETAs of n units in one call. `crews`: (unit type, station, mode) of each; `standard_s`: its
        standard turnout; `drive_s`: its drive (by the hour's factors already); `road`: whether that follows
        roads; `rolling`: whether its wheels roll; `fix_age_s`: NaN where it never had a fix.

        Turnout and drive are taken as independent: the half-widths add in quadrature.
        """
        rows: dict[tuple[str, str, str], int] = {}
        which = np.fromiter((rows.setdefault(crew, len(rows)) for crew in crews), np.int64, len(crews))
        band = band_of(hour)
        kinds = np.empty((max(1, len(rows)), 5))
        for (unit_type, station, mode), row in rows.items():
            kinds[row, :3] = self._turnout(unit_type, station, hour)[:3]
            kinds[row, 3:] = self._table.quantile[mode_row(mode), band]
        of = kinds[which]
        straight = np.where(road, 0.0, Z80 * STRAIGHT_SPREAD)
        drive_low = np.exp(np.minimum(of[:, 3], -straight))
        drive_high = np.exp(np.maximum(of[:, 4], straight))
        standing_s = np.where(rolling, 0.0, standard_s)
        turnout_s = standing_s * of[:, 0]
        eta_s = turnout_s + drive_s
        age_s = np.where(np.isnan(fix_age_s), np.inf, fix_age_s)
        stale_s = np.clip(age_s - FRESH_S, 0.0, STALE_S_MAX)
        with np.errstate(invalid="ignore"):
            down_s = np.sqrt(
                (turnout_s - standing_s * of[:, 1]) ** 2 + (drive_s * (1 - drive_low)) ** 2 + stale_s**2
            )
            up_s = np.sqrt(
                (standing_s * of[:, 2] - turnout_s) ** 2 + (drive_s * (drive_high - 1)) ** 2 + stale_s**2
            )
            return Etas(turnout_s, eta_s, np.maximum(eta_s - down_s, 0.0), eta_s + up_s)

    def _turnout(self, unit_type: str, station: str, hour: int) -> NDArray[np.float32]:
        found = self._table.turnout.get((unit_type, station))
        if found is None:
            found = self._table.turnout.get((unit_type, ""))
        return _NO_TURNOUT if found is None else found[hour % 24 * PARTS // 24]
