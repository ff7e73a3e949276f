"""How fast a city is really driven, by class of road, hour and way of driving; and how far off an ETA may be.

The road graph holds free-flow times that follow from its map alone. A `SpeedTable` holds what the city's own
units needed of them: a factor on the time by group of road classes, band of hours and mode, each shrunk to
the prior by how few trips stand behind it; the spread of whole trips about their prediction; and turnout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gis.roads import CLASSES

Float32s = NDArray[np.float32]

MODES: Final = ("ordinary", "priority")
"""Two ways of driving: as anybody, and with priority signals."""
GROUPS: Final = ("motorway", "main", "collector", "street", "yard")
"""Classes of road that are driven alike, and are met often enough to be told apart."""
_GROUP_OF: Final[Mapping[str, str]] = {
    "motorway": "motorway", "motorway_link": "motorway", "trunk": "motorway", "trunk_link": "motorway",
    "primary": "main", "primary_link": "main", "secondary": "main", "secondary_link": "main",
    "tertiary": "collector", "tertiary_link": "collector", "unclassified": "collector",
    "busway": "collector", "bus_guideway": "collector",
    "residential": "street", "living_street": "street", "road": "street",
}  # fmt: skip
GROUP_OF_CLASS: Final[NDArray[np.uint8]] = np.array(
    [GROUPS.index(_GROUP_OF.get(name, "yard")) for name in CLASSES], dtype=np.uint8
)
"""uint8[len(CLASSES)]: the group of each class of road."""
BANDS: Final = 48
"""Hours of a day, of Monday to Friday first and then of Saturday and Sunday. Public holidays are not told
apart."""
PARTS: Final = 4
"""Parts of a day of six hours each, the night first, by which turnout is told apart."""

FACTOR_MIN, FACTOR_MAX = 0.4, 2.5

Z80: Final = 1.2816
"""Of a normal distribution four fifths lie within so many standard deviations."""
DRIVE_SPREAD: Final = 0.30
"""Standard deviation of log(observed / predicted) of a trip by road where nothing is known: a stated
assumption, wide on purpose. That trip times are about log-normal: Westgate, Woodard, Matteson and Henderson,
"Large-network travel time distribution estimation for ambulances", EJOR 252 (2016) 322."""
STRAIGHT_SPREAD: Final = 0.45
"""The same for an estimate that follows no road: a stated assumption."""
TURNOUT_SPREAD: Final = 0.35
"""The same of turnout about its standard: a stated assumption."""


def mode_row(mode: str) -> int:
    """The row of MODES that a profile ("ambulance") or way of driving ("ambulance_priority") belongs to."""
    return int(mode.endswith("_priority"))


def band_of(hour_of_week: int) -> int:
    """The band, 0 to 47, of an hour of the week (Monday from midnight is 0)."""
    day, hour = divmod(hour_of_week % 168, 24)
    return hour + (24 if day >= 5 else 0)


@dataclass(frozen=True)
class SpeedTable:
    """What one city's history says. M modes, G groups, B bands, P parts of a day.

    `factor` float32[M, G, B]: multiplies the graph's milliseconds; 1 where nothing is known.
    `trips` float32[M, G, B]: how many trips stand behind each, those of neighbouring hours by their weight.
    `quantile` float32[M, B, 2]: log(observed / predicted) of whole trips below which 10 % and 90 % lie;
    `quantile_trips` float32[M, B]. `turnout`: (unit type, station or "") -> float32[P, 4] of multipliers on
    the standard turnout (middle, 10 %, 90 %) and the number of departures behind them. `about` is what a
    person may ask: when it was made, from what, and how it did on trips that it had not seen.
    """

    factor: Float32s = field(default_factory=lambda: np.ones((2, len(GROUPS), BANDS), dtype=np.float32))
    trips: Float32s = field(default_factory=lambda: np.zeros((2, len(GROUPS), BANDS), dtype=np.float32))
    quantile: Float32s = field(
        default_factory=lambda: (
            np.full((2, BANDS, 2), Z80 * DRIVE_SPREAD, dtype=np.float32) * np.array([-1, 1], dtype=np.float32)
        )
    )
    quantile_trips: Float32s = field(default_factory=lambda: np.zeros((2, BANDS), dtype=np.float32))
    turnout: Mapping[tuple[str, str], Float32s] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


PRIOR: Final = SpeedTable()
"""Of a city without history."""
