"""Files of operators as they come: every format, coordinate system and slip; each bad row is named."""

from __future__ import annotations

import json
import shutil
import sqlite3
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from gis.layer_file import ROWS_MAX, LayerFileError, Reading, read_file

BRASOV = (25.55, 45.60, 25.70, 45.70)
HELSINKI = (24.92, 60.15, 24.97, 60.19)
SPOT = (25.6, 45.65)
STEREO_70 = "EPSG:3844"


def in_crs(crs: str, *spots: tuple[float, float]) -> list[tuple[float, float]]:
    through = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    return [through.transform(*spot) for spot in spots]


def geopackage(
    path: Path, spots: Sequence[Any], crs: str | None, table: str = "hidranti", **columns: Any
) -> Path:
    shapes = [spot if spot is None or hasattr(spot, "geom_type") else shapely.Point(*spot) for spot in spots]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(np.array(shapes, dtype=object)),
            field_data=[
                np.array(values, dtype=object if isinstance(values[0], str | None) else None)
                for values in columns.values()
            ],
            fields=list(columns),
            layer=table,
            crs=crs,
            geometry_type="Unknown",
            append=path.exists(),
        )
    return path


def geojson(path: Path, features: list[Any], **more: Any) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}), encoding="utf-8")
    return path


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def point(lon: float = SPOT[0], lat: float = SPOT[1]) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def text_file(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def faults(reading: Reading) -> list[tuple[int, str, str]]:
    return [(one.row, one.field, one.code) for one in reading.faults]


def places(reading: Reading) -> list[tuple[float, float]]:
    return [(round(f.geometry.x, 5), round(f.geometry.y, 5)) for f in reading.features]


def refused(path: Path, box: tuple[float, float, float, float] = BRASOV, **more: Any) -> LayerFileError:
    with pytest.raises(LayerFileError) as caught:
        read_file(path, box, **more)
    assert caught.value.remedy
    return caught.value


# ---- coordinate systems


@pytest.mark.parametrize(
    ("crs", "box", "name"),
    [(STEREO_70, BRASOV, "Stereo70"), ("EPSG:3067", HELSINKI, "TM35FIN"), ("EPSG:3857", BRASOV, "Mercator")],
)
def test_a_geopackage_in_another_system_is_reprojected_and_says_so(
    tmp_path: Path, crs: str, box: tuple[float, float, float, float], name: str
) -> None:
    spots = [(box[0] + 0.01, box[1] + 0.01), (box[2] - 0.01, box[3] - 0.01)]
    file = geopackage(tmp_path / "a.gpkg", in_crs(crs, *spots), crs, ref=["H1", "H2"], debit=[900, 1200])
    reading = read_file(file, box)
    assert places(reading) == [(round(lon, 5), round(lat, 5)) for lon, lat in spots]
    assert [(f.ref, dict(f.properties)) for f in reading.features] == [
        ("H1", {"debit": 900}),
        ("H2", {"debit": 1200}),
    ]
    assert any("Reprojected" in note and crs in note and name in note for note in reading.notes)
    assert reading.faults == []


def test_geojson_that_names_its_system_as_gis_programs_do_is_reprojected(tmp_path: Path) -> None:
    [(x, y)] = in_crs(STEREO_70, SPOT)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3844"}}
    reading = read_file(geojson(tmp_path / "a.geojson", [feature(point(x, y))], crs=crs), BRASOV)
    assert places(reading) == [SPOT]
    crs84 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    reading = read_file(geojson(tmp_path / "b.geojson", [feature(point())], crs=crs84), BRASOV)
    assert places(reading) == [SPOT]
    assert not [note for note in reading.notes if "eproject" in note]


def test_coordinates_that_cannot_be_degrees_are_refused_with_the_system_that_would_fit(
    tmp_path: Path,
) -> None:
    [(x, y)] = in_crs(STEREO_70, SPOT)
    for file in (
        geojson(tmp_path / "a.geojson", [feature(point(x, y))]),
        text_file(tmp_path / "a.csv", f"x;y\n{x};{y}\n"),
        geopackage(tmp_path / "a.gpkg", [(x, y)], None, ref=["1"]),
    ):
        error = refused(file)
        assert (error.code, error.field) == ("no-crs", "crs")
        assert "--crs" in error.remedy
        assert STEREO_70 in error.remedy
        # and with it, the place is right
        assert places(read_file(file, BRASOV, crs=STEREO_70)) == [SPOT]


def test_a_system_that_is_asked_for_goes_before_the_one_in_the_file_and_that_is_said(tmp_path: Path) -> None:
    file = geopackage(tmp_path / "a.gpkg", in_crs(STEREO_70, SPOT), "EPSG:32635", ref=["1"])
    wrong = read_file(file, BRASOV)
    assert [code for *_, code in faults(wrong)] == ["outside-city"]
    assert any(STEREO_70 in note for note in wrong.notes)
    reading = read_file(file, BRASOV, crs=STEREO_70)
    assert places(reading) == [SPOT]
    assert any("EPSG:32635" in note and STEREO_70 in note for note in reading.notes)


def test_a_system_that_says_nothing_is_as_good_as_none(tmp_path: Path) -> None:
    [(x, y)] = in_crs(STEREO_70, SPOT)
    axes = 'AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]'
    drawn = f'ENGCRS["drawing",EDATUM["paper"],CS[Cartesian,2],{axes}]'
    named = {"type": "name", "properties": {"name": "urn:x:grila-veche"}}
    for file in (
        geopackage(tmp_path / "a.gpkg", [(x, y)], drawn, ref=["1"]),
        geojson(tmp_path / "a.geojson", [feature(point(x, y))], crs=named),
    ):
        assert refused(file).code == "no-crs"
        assert places(read_file(file, BRASOV, crs=STEREO_70)) == [SPOT]
    odd = geojson(tmp_path / "b.geojson", [feature(point())], crs={"type": "name", "properties": "?"})
    assert places(read_file(odd, BRASOV)) == [SPOT]


def test_an_unknown_system_is_refused(tmp_path: Path) -> None:
    assert refused(geojson(tmp_path / "a.geojson", [feature(point())]), crs="EPSG:999999").code == "bad-crs"


def test_latitude_before_longitude_is_seen_and_said(tmp_path: Path) -> None:
    swapped = [feature(point(SPOT[1], SPOT[0] + n / 1000), ref=n) for n in range(5)]
    reading = read_file(geojson(tmp_path / "a.geojson", swapped), BRASOV)
    assert places(reading)[0] == SPOT
    assert any("exchanged" in note for note in reading.notes)
    # Surveyors write Stereo 70 with the north first.
    [(east, north)] = in_crs(STEREO_70, SPOT)
    surveyed = text_file(tmp_path / "a.csv", f"x,y\n{north},{east}\n")
    assert places(read_file(surveyed, BRASOV, crs=STEREO_70)) == [SPOT]
    # But a single row among others is a slip of somebody's, and named.
    mixed = [feature(point(), ref=1), feature(point(), ref=2), feature(point(SPOT[1], SPOT[0]), ref=3)]
    reading = read_file(geojson(tmp_path / "b.geojson", mixed), BRASOV)
    assert faults(reading) == [(3, "geometry", "swapped")]
    assert len(reading.features) == 2


# ---- CSV


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("lon,lat,nume\n25.6,45.65,Piața Sfatului\n", "utf-8"),
        ("lon;lat;nume\r\n25,6;45,65;Piața Sfatului\r\n", "utf-8-sig"),
        ("nume\tLatitudine\tLongitudine\nPiața Sfatului\t45.65\t25.6\n", "utf-8"),
        ('LAT;LON;Nume\n45,65 ;"25,6";"Piața Sfatului"\n\n;;\n', "utf-16"),
    ],
)
def test_csv_is_read_as_spreadsheets_write_it(tmp_path: Path, text: str, encoding: str) -> None:
    reading = read_file(text_file(tmp_path / "a.csv", text, encoding), BRASOV)
    assert places(reading) == [SPOT]
    assert reading.features[0].name == "Piața Sfatului"
    assert reading.faults == []


def test_csv_of_an_old_spreadsheet_keeps_its_letters(tmp_path: Path) -> None:
    text = "id;lon;lat;strada\n7;25,6;45,65;Şcolii, sector întâi\n"
    reading = read_file(text_file(tmp_path / "a.csv", text, "cp1250"), BRASOV)
    assert reading.features[0].properties == {"strada": "Şcolii, sector întâi"}
    assert any("Windows-1250" in note for note in reading.notes)


def test_csv_in_metres_with_decimal_commas_and_thousands(tmp_path: Path) -> None:
    [(x, y)] = in_crs(STEREO_70, SPOT)
    lines = [
        f"1;{x:.3f};{y:.3f}".replace(".", ","),
        f"2;{x:,.3f};{y:,.3f}".replace(",", " "),
        f"3;{x:,.3f};{y:,.3f}".replace(",", "_").replace(".", ",").replace("_", "."),
    ]
    reading = read_file(
        text_file(tmp_path / "a.csv", "id;est;nord\n" + "\n".join(lines)), BRASOV, crs=STEREO_70
    )
    assert places(reading) == [SPOT] * 3


def test_each_bad_row_of_a_csv_is_named_by_its_line_and_column(tmp_path: Path) -> None:
    text = (
        "ref,lon,lat,nota\n"  # line 1
        "a,25.60,45.65,bun\n"
        "b,abc,45.65,\n"  # line 3: not a number
        "c,25.60,,\n"  # line 4: empty
        'd,25.60,45.65,"două\nrânduri"\n'  # lines 5 and 6, good
        "a,25.61,45.65,\n"  # line 7: the ref of line 2
        ",25.61,45.65,\n"  # line 8: no ref
        "e,2.5,45.65,\n"  # line 9: outside
        "f,nan,45.65,\n"  # line 10
        "g,25.6,45.65,x,y\n"  # line 11: a cell too many
        "h,inf,45.65,\n"
    )
    reading = read_file(text_file(tmp_path / "a.csv", text), BRASOV)
    assert faults(reading) == [
        (3, "lon", "not-a-number"),
        (4, "lat", "not-a-number"),
        (7, "ref", "duplicate-ref"),
        (8, "ref", "no-ref"),
        (9, "geometry", "outside-city"),
        (10, "lon", "not-a-number"),
        (11, "row", "too-many-cells"),
        (12, "lon", "not-a-number"),
    ]
    why = {one.row: one.why for one in reading.faults}
    assert "'abc'" in why[3]
    assert "row 2" in why[7]
    assert "1798 km" in why[9] or "km outside the city" in why[9]
    assert [f.ref for f in reading.features] == ["a", "d"]
    assert reading.rows == 10


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nume,adresa\nPiața,Str. Lungă\n", "no-coordinates"),
        ("lon,lat,lon\n1,2,3\n", "bad-columns"),
        ("", "empty-file"),
        ("%PDF-1.7\0\0\0", "unknown-format"),
        ('{"type": "Topology"}', "damaged"),
        ('{"type": "FeatureCollection", "features": [', "damaged"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_a_file_that_is_no_layer_is_refused_in_words(tmp_path: Path, text: str, code: str) -> None:
    assert refused(text_file(tmp_path / "a.csv", text)).code == code


def test_too_many_rows_are_refused(tmp_path: Path) -> None:
    text = "lon,lat\n" + "25.6,45.65\n" * (ROWS_MAX + 1)
    assert refused(text_file(tmp_path / "a.csv", text)).code == "too-many-rows"


# ---- GeoPackage and Shapefile


def test_of_several_tables_one_must_be_named(tmp_path: Path) -> None:
    file = geopackage(tmp_path / "a.gpkg", [SPOT], "EPSG:4326", "hidranti", ref=["h"])
    geopackage(file, [SPOT], "EPSG:4326", "stalpi", ref=["s"])
    error = refused(file)
    assert (error.code, error.field) == ("several-tables", "table")
    assert "hidranti" in error.message
    assert "stalpi" in error.message
    assert "--table" in error.remedy
    assert [f.ref for f in read_file(file, BRASOV, table="stalpi").features] == ["s"]
    assert refused(file, table="lampi").code == "unknown-table"


def test_rows_of_a_geopackage_without_a_place_are_named(tmp_path: Path) -> None:
    file = geopackage(
        tmp_path / "a.gpkg", [SPOT, None, SPOT], "EPSG:4326", ref=["a", "b", None], debit=[1.0, 2.0, 3.5]
    )
    reading = read_file(file, BRASOV)
    assert faults(reading) == [(2, "geometry", "bad-geometry"), (3, "ref", "no-ref")]
    assert reading.rows == 3


def test_a_shapefile_is_read_alone_and_zipped(tmp_path: Path) -> None:
    folder = tmp_path / "shp"
    folder.mkdir()
    shapes = shapely.to_wkb(
        np.array([shapely.Point(*spot) for spot in in_crs(STEREO_70, SPOT)], dtype=object)
    )
    pyogrio.raw.write(
        folder / "puncte.shp",
        geometry=shapes,
        field_data=[np.array(["Pompă"], dtype=object)],
        fields=["nume"],
        crs=STEREO_70,
        geometry_type="Point",
        encoding="UTF-8",
    )
    packed = tmp_path / "puncte.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for part in folder.iterdir():
            archive.write(part, part.name)
    for file in (folder / "puncte.shp", packed):
        reading = read_file(file, BRASOV)
        assert places(reading) == [SPOT]
        assert (reading.features[0].name, reading.kind) == ("Pompă", "Shapefile")
    # Over the network a file has no name.
    nameless = shutil.copy(packed, tmp_path / "upload")
    assert places(read_file(Path(nameless), BRASOV)) == [SPOT]
    alone = refused(Path(shutil.copy(folder / "puncte.shp", tmp_path / "upload")))
    assert (alone.code, "Zip it" in alone.remedy) == ("incomplete", True)
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    assert refused(tmp_path / "book.xlsx").code == "unknown-format"


def test_what_is_called_a_shapefile_and_points_elsewhere_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(f"id,lon,lat,word\n1,{SPOT[0]},{SPOT[1]},hush\n")
    pointer = (
        f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{secret}</SrcDataSource>'
        "<SrcLayer>secret</SrcLayer><GeometryType>wkbPoint</GeometryType>"
        '<GeometryField encoding="PointFromColumns" x="lon" y="lat"/></OGRVRTLayer></OGRVRTDataSource>'
    )
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.shp", pointer)
    assert refused(packed).code == "unknown-format"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../a.shp", pointer)
    assert refused(packed).code == "unknown-format"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIRTUAL TABLE acts USING VirtualText('{secret}', 'UTF-8', 0)",
        "CREATE VIRTUAL TABLE acts/**/USING/**/VirtualText('{secret}')-- USING rtree(",
        "CREATE VIEW acts AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
    ],
)
def test_a_geopackage_that_would_act_when_it_is_read_is_refused(tmp_path: Path, sql: str) -> None:
    file = geopackage(tmp_path / "a.gpkg", [SPOT], "EPSG:4326", ref=["h"])
    assert refused(file, table="none").code == "unknown-table", "without the trap it is looked into"
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql)"
            " VALUES (?, 'acts', 'acts', 0, ?)",
            ("view" if "VIEW" in sql else "table", sql.replace("{secret}", "/etc/passwd")),
        )
    database.close()
    told = refused(file)
    assert (told.code, told.field) == ("not-plain", "file")
    assert "acts" in told.message


def test_a_damaged_geopackage_and_another_database_are_refused(tmp_path: Path) -> None:
    whole = geopackage(tmp_path / "a.gpkg", [SPOT] * 500, "EPSG:4326", ref=[str(n) for n in range(500)])
    harmed = tmp_path / "b.gpkg"
    shutil.copy(whole, harmed)
    with harmed.open("r+b") as file:
        file.truncate(harmed.stat().st_size // 3)
    assert refused(harmed).code in ("damaged", "no-table")
    sqlite3.connect(tmp_path / "c.gpkg").executescript("CREATE TABLE t (a)")
    assert refused(tmp_path / "c.gpkg").code == "unknown-format"


# ---- geometry, keys, columns


def test_an_invalid_area_is_mended_and_named_and_what_encloses_nothing_is_refused(tmp_path: Path) -> None:
    lon, lat = SPOT
    bow = [[lon, lat], [lon + 0.01, lat + 0.01], [lon + 0.01, lat], [lon, lat + 0.01], [lon, lat]]
    flat = [[lon, lat], [lon + 0.01, lat], [lon, lat], [lon, lat]]
    features = [
        feature({"type": "Polygon", "coordinates": [bow]}, ref="bow"),
        feature({"type": "Polygon", "coordinates": [flat]}, ref="flat"),
        feature({"type": "Polygon", "coordinates": [[[lon, lat]]]}, ref="dot"),
        feature({"type": "Polygon", "coordinates": []}, ref="empty"),
        feature(None, ref="none"),
        feature({"type": "Blob"}, ref="blob"),
        "nonsense",
        feature({"type": "LineString", "coordinates": [[lon, lat], [0, 0]]}, ref="blunder"),
    ]
    reading = read_file(geojson(tmp_path / "a.geojson", features), BRASOV)
    assert [f.ref for f in reading.features] == ["bow"]
    assert reading.features[0].geometry.is_valid
    assert [(one.row, one.code) for one in reading.mended] == [(1, "mended")]
    assert "Self-intersection" in reading.mended[0].why
    assert [(row, code) for row, _, code in faults(reading)] == [
        (2, "bad-geometry"),
        (3, "bad-geometry"),
        (4, "bad-geometry"),
        (5, "bad-geometry"),
        (6, "bad-geometry"),
        (7, "not-a-feature"),
        (8, "outside-city"),
    ]


def test_the_key_is_the_column_named_else_ref_or_id_else_the_position(tmp_path: Path) -> None:
    rows = [feature(point(), cod="A", id=1), feature(point(25.61), cod="B", id=2)]
    file = geojson(tmp_path / "a.geojson", rows)
    assert [f.ref for f in read_file(file, BRASOV, ref="COD").features] == ["A", "B"]
    reading = read_file(file, BRASOV)
    assert [f.ref for f in reading.features] == ["1", "2"]
    assert any("'id'" in note for note in reading.notes)
    assert refused(file, ref="nr").code == "unknown-column"
    keyed = geojson(tmp_path / "b.geojson", [feature(point()) | {"id": "urn:\0001"}])
    assert [f.ref for f in read_file(keyed, BRASOV).features] == ["urn:1"]
    bare = geojson(tmp_path / "c.geojson", [feature(point()), feature(point())])
    reading = read_file(bare, BRASOV)
    assert [f.ref for f in reading.features] == ["at 45.650000 25.600000"]
    assert faults(reading) == [(2, "ref", "duplicate-ref")]
    assert any("--ref" in note for note in reading.notes)


def test_what_is_kept_of_a_row_is_bounded_and_can_be_stored_anywhere(tmp_path: Path) -> None:
    many = {f"c{n}": n for n in range(60)}
    odd = {
        "layer": "x",
        "nul": "a\0b",
        "half": "a\ud800b",
        "long": "y" * 900,
        "gol": None,
        "lista": [1, {"a": 2}],
    }
    file = geojson(tmp_path / "a.geojson", [feature(point(), **odd, **many)])
    reading = read_file(file, BRASOV)
    kept = dict(reading.features[0].properties)
    assert kept["layer_"] == "x"
    assert (kept["nul"], kept["half"], len(kept["long"]), kept["lista"]) == ("ab", "ab", 500, '[1, {"a": 2}]')
    assert "gol" not in kept
    assert len(kept) <= 40
    assert any("60" in note or "66" in note for note in reading.notes)
    assert any("500" in note for note in reading.notes)


def test_one_feature_a_line_is_geojson_too(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(feature(point(), ref=str(n))) for n in range(3))
    reading = read_file(text_file(tmp_path / "a.geojsonl", lines + "\n"), BRASOV)
    assert [f.ref for f in reading.features] == ["0", "1", "2"]
