"""Where people live, from rasters: what is read, what is added up, and each way in which one can be wrong."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds

from gis.city import import_city, rebuild_city
from gis.coverage import load_points
from gis.geometry import Box
from gis.population import (
    RasterError,
    about_population,
    forget_population,
    import_raster,
    keep_population,
    read_raster,
)
from tests.gis.small_city import Town

BOX: Box = (24.90, 60.15, 24.98, 60.19)
WIDE: Box = (24.80, 60.10, 25.10, 60.25)


def raster(
    file: Path,
    values: Any,
    box: Box = WIDE,
    crs: str | None = "EPSG:4326",
    nodata: float | None = None,
    bands: int = 1,
) -> Path:
    values = np.asarray(values)
    high, wide = values.shape
    with rasterio.open(
        file, "w", driver="GTiff", width=wide, height=high, count=bands, dtype=values.dtype, crs=crs,
        transform=from_bounds(*box, wide, high), nodata=nodata,
    ) as out:  # fmt: skip
        for band in range(1, bands + 1):
            out.write(values, band)
    return file


def test_the_people_in_the_city_are_counted_where_they_are(tmp_path: Path) -> None:
    # given a raster wider than the city, with one crowded pixel in it and one outside
    values = np.ones((60, 120), dtype=np.float32)
    values[30, 60], values[2, 2] = 500.0, 9000.0
    file = raster(tmp_path / "people.tif", values)
    found, about = read_raster(file, BOX)
    # then the crowd is in its place, and nobody from outside is counted
    west, south, east, north = BOX
    assert (found.lon >= west).all()
    assert (found.lat <= north).all()
    assert (found.lon <= east).all()
    assert (found.lat >= south).all()
    crowd = int(found.people.argmax())
    assert found.people[crowd] == 500.0
    assert found.lon[crowd] == pytest.approx(24.80 + 60.5 * 0.3 / 120)
    assert found.lat[crowd] == pytest.approx(60.25 - 30.5 * 0.15 / 60)
    assert about.people == pytest.approx(float(found.people.sum()))
    assert about.points == len(found.people)


def test_another_reference_system_puts_people_in_the_same_place(tmp_path: Path) -> None:
    # given the same town in Finland's own coordinates (ETRS-TM35FIN): a block of people by the station
    box = (380_000.0, 6_665_000.0, 392_000.0, 6_677_000.0)
    values = np.zeros((120, 120))
    values[50, 58] = 800.0
    found, about = read_raster(raster(tmp_path / "fin.tif", values, box, "EPSG:3067"), WIDE)
    # then it is where pyproj says (0 elsewhere), and the sheet tells its system
    from pyproj import Transformer

    x, y = 380_000 + 58.5 * 100, 6_677_000 - 50.5 * 100
    lon, lat = Transformer.from_crs(3067, 4326, always_xy=True).transform(x, y)
    assert found.people.tolist() == [800.0]
    assert (found.lon[0], found.lat[0]) == (pytest.approx(lon, abs=1e-6), pytest.approx(lat, abs=1e-6))
    assert "TM35FIN" in about.crs
    assert about.pixel_m == pytest.approx(100, rel=0.01)


def test_what_holds_no_data_or_less_than_nobody_counts_nobody(tmp_path: Path) -> None:
    values = np.full((60, 120), 2.0, dtype=np.float32)
    values[25:30, 50:60], values[31, 55], values[32, 55] = -9999.0, -3.0, np.nan
    _, about = read_raster(raster(tmp_path / "holes.tif", values, nodata=-9999.0), BOX)
    assert about.no_data == 51
    assert about.negative == 1


def test_fine_pixels_are_added_up_and_nobody_is_lost(tmp_path: Path) -> None:
    # given pixels of some ten metres, more of them than one window holds
    values = np.full((900, 1700), 0.5, dtype=np.float32)
    file = raster(tmp_path / "fine.tif", values)
    found, about = read_raster(file, WIDE)
    assert about.pixel_m >= 36
    assert len(found.people) < values.size / 9
    assert about.people == pytest.approx(values.sum(), rel=0.01)


@pytest.mark.parametrize(
    ("change", "why", "remedy"),
    [
        ({"crs": None}, "reference system", "--crs"),
        ({"box": (2.0, 48.0, 2.3, 48.2)}, "does not reach the city", "covers the city"),
        ({"values": np.zeros((60, 120))}, "counts nobody", "--band"),
        ({"values": np.full((60, 120), -1.0)}, "counts nobody", "--band"),
        ({"values": np.full((60, 120), 1e6)}, "something else", "--per-km2"),
        ({"bands": 3}, "has 3 bands", "--band 1"),
        ({"values": np.zeros((60, 120), dtype=np.complex64)}, "no plain numbers", "counts"),
    ],
)
def test_each_way_to_be_wrong_is_named_with_its_remedy(
    tmp_path: Path, change: dict[str, Any], why: str, remedy: str
) -> None:
    given: dict[str, Any] = {"values": np.ones((60, 120)), **change}
    file = raster(tmp_path / "wrong.tif", **given)
    with pytest.raises(RasterError) as error:
        read_raster(file, BOX)
    assert why in error.value.message
    assert remedy in error.value.remedy


def test_what_is_no_geotiff_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("not a raster")
    (tmp_path / "broken.zip").write_text("not a zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as packed:
        packed.writestr("readme.txt", "nothing")
    # a file that would have the library fetch another one is no GeoTIFF either
    (tmp_path / "lure.vrt").write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    for name, why in (
        ("text.tif", "GeoTIFF"), ("broken.zip", "zip"), ("empty.zip", "0 GeoTIFFs"), ("lure.vrt", "GeoTIFF"),
        ("absent.tif", "no file"),
    ):  # fmt: skip
        with pytest.raises(RasterError, match=why):
            read_raster(tmp_path / name, BOX)
    good = raster(tmp_path / "good.tif", np.ones((60, 120)))
    with pytest.raises(RasterError, match="not known"):
        read_raster(good, BOX, crs="EPSG:99999999")
    with pytest.raises(RasterError, match="no band 4"):
        read_raster(good, BOX, band=4)


def test_imported_people_are_what_coverage_reads_until_they_are_taken_away(tmp_path: Path) -> None:
    city, again = tmp_path / "city", tmp_path / "again"
    city.mkdir()
    again.mkdir()
    assert about_population(city) is None
    file = raster(tmp_path / "people.tif", np.ones((60, 120)))
    about = import_raster(file, city, BOX)
    points = load_points(city)
    assert points is not None
    assert points.source == "population"
    assert float(points.people.sum()) == pytest.approx(about.people)
    assert "people.tif" in points.about
    assert about_population(city) == about
    # a second one takes its place, and one that cannot be used leaves it alone
    more = import_raster(raster(tmp_path / "more.tif", np.full((60, 120), 3.0)), city, BOX)
    with pytest.raises(RasterError):
        import_raster(raster(tmp_path / "far.tif", np.ones((9, 9)), (2.0, 48.0, 3.0, 49.0)), city, BOX)
    assert about_population(city) == more
    assert more.people == pytest.approx(3 * about.people)
    # another import of the city keeps them
    keep_population(city, again)
    assert about_population(again) == more
    assert forget_population(city)
    assert not forget_population(city)
    assert load_points(city) is None


def test_people_stay_when_their_city_is_imported_again(tmp_path: Path) -> None:
    # given a town of one street, with its people imported
    town = Town()
    for number, x_m in enumerate((0.0, 300.0, 600.0), 1):
        town.node(number, x_m, 0.0)
    town.way([1, 2, 3], {"highway": "residential", "name": "Strada Lungă"})
    info = import_city(town.write(tmp_path / "town.osm.pbf"), tmp_path, "town")
    west, south, east, north = info.bbox
    wider: Box = (west - 0.01, south - 0.01, east + 0.01, north + 0.01)
    file = raster(tmp_path / "people.tif", np.ones((40, 40)), wider)
    about = import_raster(file, tmp_path / "town", wider)
    # when the program imports it anew
    rebuild_city(tmp_path / "town")
    # then the people are still there
    assert about_population(tmp_path / "town") == about
    assert load_points(tmp_path / "town") is not None


@pytest.mark.data("jemss-auckland/demand_raster.zip")
def test_the_density_of_auckland_adds_up_to_its_people(data_folder: Path) -> None:
    file = data_folder / "jemss-auckland" / "demand_raster.zip"
    city: Box = (174.6, -37.05, 175.0, -36.6)
    with pytest.raises(RasterError, match="per-km2"):
        read_raster(file, city)
    _, about = read_raster(file, city, per_km2=True)
    # the urban area counts some 1.4 million
    assert 1.0e6 < about.people < 1.5e6
