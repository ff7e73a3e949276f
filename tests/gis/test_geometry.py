"""Points and metres."""

import math

import numpy as np
import pyproj
import pytest

from gis.geometry import LocalMetres, explain_outside, haversine_m, in_box, is_position, metres_between

HELSINKI = (24.78, 60.13, 25.25, 60.30)


def test_distances_agree_with_the_ellipsoid_within_half_a_percent():
    seed = 7
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(20, 30, 200), rng.uniform(43, 61, 200)
    lon2, lat2 = lon + rng.uniform(-0.3, 0.3, 200), lat + rng.uniform(-0.3, 0.3, 200)
    truth = pyproj.Geod(ellps="WGS84").inv(lon, lat, lon2, lat2)[2]
    ours = haversine_m(lon, lat, lon2, lat2)
    assert np.abs(ours / truth - 1).max() < 0.005, f"seed {seed}"
    assert metres_between(lon[0], lat[0], lon2[0], lat2[0]) == pytest.approx(ours[0])


def test_the_local_plane_returns_where_it_came_from():
    plane = LocalMetres(24.94, 60.17)
    x, y = plane.to_xy([24.99, 24.90], [60.20, 60.10])
    lon, lat = plane.to_lonlat(x, y)
    assert lon == pytest.approx([24.99, 24.90])
    assert lat == pytest.approx([60.20, 60.10])
    assert float(np.hypot(x[0], y[0])) == pytest.approx(metres_between(24.94, 60.17, 24.99, 60.20), rel=0.002)


def test_a_point_in_the_city_needs_no_explanation():
    assert explain_outside(24.94, 60.17, HELSINKI) is None


def test_a_unit_just_over_the_border_is_still_the_citys():
    assert not in_box(24.94, 60.31, HELSINKI)
    assert in_box(24.94, 60.31, HELSINKI, margin_m=5_000)
    assert explain_outside(24.94, 60.31, HELSINKI) is None


def test_latitude_typed_first_is_seen_for_what_it_is():
    assert explain_outside(60.17, 24.94, HELSINKI) == "swapped"


@pytest.mark.parametrize(
    ("lon", "lat"), [(26.1, 44.4), (math.nan, 60.17), (math.inf, 0), (24.94, 600.0), (-181, 60)]
)
def test_elsewhere_and_nowhere_are_outside(lon, lat):
    assert explain_outside(lon, lat, HELSINKI) == "outside"
    assert not in_box(lon, lat, HELSINKI)


def test_only_places_on_earth_are_positions():
    assert is_position(180, -90)
    assert not is_position(math.nan, 0)
    assert not is_position(0, 90.1)
