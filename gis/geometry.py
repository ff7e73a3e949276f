"""Points and metres: great-circle distance, a local metric plane, and whether a point is in the city.

Everywhere in `gis`, a point is WGS 84 longitude then latitude in degrees, and a box is (west, south, east,
north).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth (IUGG R1); the sphere differs from WGS 84 by at most 0.5 %."""

CITY_MARGIN_M = 5_000.0
"""How far outside the extract's box a point still counts as the city's: units come back from a neighbour's
edge."""

Box = tuple[float, float, float, float]
FloatArray = NDArray[np.float64]


def haversine_m(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> FloatArray:
    """Great-circle distance in metres, element by element (haversine; arguments broadcast, NaN gives NaN)."""
    lam1, phi1, lam2, phi2 = (np.radians(np.asarray(v, dtype=np.float64)) for v in (lon1, lat1, lon2, lat2))
    h = np.sin((phi2 - phi1) / 2) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin((lam2 - lam1) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0))), dtype=np.float64)


def metres_between(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Great-circle distance in metres between two points; the scalar twin of `haversine_m`."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    h = math.sin((phi2 - phi1) / 2) ** 2
    h += math.cos(phi1) * math.cos(phi2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h)))


@dataclass(frozen=True)
class LocalMetres:
    """An equirectangular plane around one point: x east and y north, in metres.

    Good to about 1 % within 40 km of the origin at 60 degrees north, and better further south: enough to find
    the nearest road, not to measure one (lengths use `haversine_m`).
    """

    lon0: float
    lat0: float

    @property
    def x_m_per_degree(self) -> float:
        return math.radians(1.0) * EARTH_RADIUS_M * math.cos(math.radians(self.lat0))

    @property
    def y_m_per_degree(self) -> float:
        return math.radians(1.0) * EARTH_RADIUS_M

    def to_xy(self, lon: ArrayLike, lat: ArrayLike) -> tuple[FloatArray, FloatArray]:
        x = (np.asarray(lon, dtype=np.float64) - self.lon0) * self.x_m_per_degree
        y = (np.asarray(lat, dtype=np.float64) - self.lat0) * self.y_m_per_degree
        return x, y

    def to_lonlat(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        lon = np.asarray(x, dtype=np.float64) / self.x_m_per_degree + self.lon0
        lat = np.asarray(y, dtype=np.float64) / self.y_m_per_degree + self.lat0
        return lon, lat


def is_position(lon: float, lat: float) -> bool:
    """Whether the two numbers can be a place on Earth at all (finite, |lon| <= 180, |lat| <= 90)."""
    return math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180.0 and abs(lat) <= 90.0


def in_box(lon: float, lat: float, box: Box, margin_m: float = 0.0) -> bool:
    """Whether a point lies in the box, or within `margin_m` of it. Never raises; NaN is outside."""
    if not is_position(lon, lat):
        return False
    west, south, east, north = box
    plane = LocalMetres(lon0=(west + east) / 2, lat0=(south + north) / 2)
    dx = margin_m / max(1e-6, plane.x_m_per_degree)
    dy = margin_m / plane.y_m_per_degree
    return west - dx <= lon <= east + dx and south - dy <= lat <= north + dy


def explain_outside(
    lon: float, lat: float, box: Box, margin_m: float = CITY_MARGIN_M
) -> Literal["outside", "swapped"] | None:
    """Why a point is not in the city: None when it is in, "swapped" when it would be in with longitude and
    latitude exchanged (the commonest slip with typed coordinates), else "outside"."""
    if in_box(lon, lat, box, margin_m):
        return None
    return "swapped" if in_box(lat, lon, box, margin_m) else "outside"


def box_of(lon: FloatArray, lat: FloatArray) -> Box:
    """The smallest box around the points. Raises ValueError when there are none."""
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
