"""An operator brings layers of their own: by command and by API, tried first, then all or nothing."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import cli, layers
from app.api import shapes
from app.api.layers import UPLOAD_BYTES_MAX
from app.database import open_engine
from app.layers import FAULTS_TOLD
from gis import layers as reference
from tests.app.control_room import AREA, Desk, Room, is_problem
from tests.gis.small_city import Town, at

GOOD = "ref;lon;lat;nume;debit\nH1;24,9414;60,1712;Gară;900\nH2;24,9430;60,1720;;1200\n"


def send(desk: Desk, path: str, body: bytes | str, kind: str = "text/csv") -> TestResponse:
    client = desk.room.app.test_client(use_cookies=False)
    raw = body if isinstance(body, bytes) else body.encode()
    headers = {"Authorization": f"Bearer {desk.token}"}
    return client.post(f"{AREA}{path}", data=raw, content_type=kind, headers=headers)


def features(room: Room, layer: str, source: str) -> dict[str, dict[str, Any]]:
    answer = room.ana.get(f"/layers/{layer}?limit=10000")
    assert answer.status_code == 200, answer.text
    found = json.loads(answer.data)["features"]
    return {f["properties"]["ref"]: f for f in found if f["properties"]["source"] == source}


# ---- by API


def test_a_layer_is_tried_then_imported_then_replaced(own_room: Room) -> None:
    room, admin = own_room, own_room.desk("admin")
    # Given a file of the water company, tried first
    tried = send(admin, "/layers/hydrants/import?source=apa&dry_run=1", GOOD)
    assert tried.status_code == 200, tried.text
    shapes.LayerReport.model_validate(tried.json, strict=True)
    assert (tried.json["written"], tried.json["dry_run"], tried.json["added"]) == (False, True, 2)
    assert features(room, "hydrants", "apa") == {}
    # When it is imported
    done = send(admin, "/layers/hydrants/import?source=apa", GOOD).json
    assert (done["written"], done["rows"], done["before"], done["added"]) == (True, 2, 0, 2)
    # Then its hydrants stand beside those of the map, with what the company knows of them
    own = features(room, "hydrants", "apa")
    assert own["H1"]["properties"]["name"] == "Gară"
    assert own["H1"]["properties"]["debit"] == "900"
    assert own["H1"]["geometry"] == {"type": "Point", "coordinates": [24.9414, 60.1712]}
    assert len(features(room, "hydrants", "osm")) == 37
    # And sent again it changes nothing; a newer version replaces it
    again = send(admin, "/layers/hydrants/import?source=apa", GOOD).json
    assert (again["added"], again["changed"], again["removed"], again["unchanged"]) == (0, 0, 0, 2)
    assert features(room, "hydrants", "apa") == own
    room.clock.advance(60)
    newer = GOOD.replace("H2;", "H3;").replace("900", "750")
    changed = send(admin, "/layers/hydrants/import?source=apa", newer).json
    assert (changed["before"], changed["added"], changed["changed"], changed["removed"]) == (2, 1, 1, 1)
    assert set(features(room, "hydrants", "apa")) == {"H1", "H3"}
    listed = {(one["layer"], one["source"]): one for one in room.ana.get("/layers").json}
    assert listed["hydrants", "apa"]["count"] == 2


def test_a_layer_that_nobody_foresaw(own_room: Room) -> None:
    room = own_room
    is_problem(room.ana.get("/layers/gas_valves"), 404, "unknown-layer")
    done = send(room.desk("admin"), "/layers/gas_valves/import", GOOD)
    assert done.status_code == 200, done.text
    assert set(features(room, "gas_valves", "operator")) == {"H1", "H2"}
    [listed] = [one for one in room.ana.get("/layers").json if one["layer"] == "gas_valves"]
    assert listed["title"] is None
    lon, lat = 24.9414, 60.1712
    near = json.loads(room.ana.get(f"/layers/gas_valves/nearest?lon={lon}&lat={lat}&limit=1").data)
    assert near["features"][0]["properties"]["distance_m"] == 0


def test_bad_rows_are_named_and_nothing_is_written(embedded_room: Room) -> None:
    room, admin = embedded_room, embedded_room.desk("admin")
    send(admin, "/layers/hydrants/import?source=apa", GOOD)
    bad = GOOD + "H3;abc;60,17;;\nH1;24,94;60,17;;\n"
    answer = send(admin, "/layers/hydrants/import?source=apa", bad)
    told = is_problem(answer, 422, "bad-rows", "row 4: lon")
    assert {error["field"] for error in told["errors"]} == {"row 4: lon", "row 5: ref"}
    assert told["report"]["faults_total"] == 2
    assert told["report"]["written"] is False
    assert set(features(room, "hydrants", "apa")) == {"H1", "H2"}
    # Tried, the same rows are named; skipped, the others come in
    tried = send(admin, "/layers/hydrants/import?source=apa&dry_run=1", bad).json
    assert [fault["code"] for fault in tried["faults"]] == ["not-a-number", "duplicate-ref"]
    skipped = send(admin, "/layers/hydrants/import?source=apa&skip_bad=1", bad.replace("H2", "H9")).json
    assert (skipped["written"], skipped["faults_total"], skipped["added"]) == (True, 2, 1)
    assert set(features(room, "hydrants", "apa")) == {"H1", "H9"}


def test_a_file_with_nothing_usable_does_not_empty_the_layer(embedded_room: Room) -> None:
    admin = embedded_room.desk("admin")
    send(admin, "/layers/hydrants/import?source=regia", GOOD)
    path = "/layers/hydrants/import?source=regia&skip_bad=1"
    is_problem(send(admin, path, "ref;lon;lat\nx;y;z\n"), 422, "no-usable-rows", "file")
    is_problem(send(admin, path, '{"type":"FeatureCollection","features":[]}'), 422, "no-usable-rows", "file")
    assert len(features(embedded_room, "hydrants", "regia")) == 2


def test_a_geopackage_in_the_countrys_grid_comes_over_the_network(
    embedded_room: Room, tmp_path: Path
) -> None:
    x, y = Transformer.from_crs(4326, 3067, always_xy=True).transform(24.9414, 60.1712)
    pyogrio.raw.write(
        tmp_path / "a.gpkg",
        geometry=shapely.to_wkb(np.array([shapely.Point(x, y)], dtype=object)),
        field_data=[np.array(["P-1"], dtype=object)],
        fields=["cod"],
        crs="EPSG:3067",
        geometry_type="Point",
    )
    body = (tmp_path / "a.gpkg").read_bytes()
    kind = "application/geopackage+sqlite3"
    done = send(embedded_room.desk("admin"), "/layers/pumps/import?ref=cod", body, kind)
    assert done.status_code == 200, done.text
    assert any("Reprojected from EPSG:3067" in note for note in done.json["notes"])
    lon, lat = features(embedded_room, "pumps", "operator")["P-1"]["geometry"]["coordinates"]
    assert (lon, lat) == pytest.approx((24.9414, 60.1712), abs=1e-6)
    # Nothing of the file stays behind.
    assert not list(embedded_room.core.config.var.glob(".upload-*"))


def test_a_zipped_shapefile_comes_over_the_network(embedded_room: Room, tmp_path: Path) -> None:
    pyogrio.raw.write(
        tmp_path / "a.shp",
        geometry=shapely.to_wkb(np.array([shapely.Point(24.9414, 60.1712)], dtype=object)),
        field_data=[np.array(["P-1"], dtype=object)],
        fields=["cod"],
        crs="EPSG:4326",
        geometry_type="Point",
    )
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for part in tmp_path.glob("a.[!z]*"):
            packed.write(part, part.name)
    body = (tmp_path / "a.zip").read_bytes()
    done = send(embedded_room.desk("admin"), "/layers/pumps/import?ref=cod", body, "application/zip")
    assert done.status_code == 200, done.text
    assert "P-1" in features(embedded_room, "pumps", "operator")


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("/layers/hydrants/import?source=osm", GOOD, "reserved-source", "source"),
        ("/layers/hydrants/import?source=../etc", GOOD, "bad-source-name", "source"),
        ("/layers/Hydrants/import", GOOD, "bad-layer-name", "layer"),
        ("/layers/hydrants/import?crs=EPSG:1", GOOD, "bad-crs", "crs"),
        ("/layers/hydrants/import?ref=cod", GOOD, "unknown-column", "ref"),
        ("/layers/hydrants/import", "x;y\n385607;6671910\n", "no-crs", "crs"),
        ("/layers/hydrants/import?dry_run=perhaps", GOOD, "invalid", "dry_run"),
        ("/layers/hydrants/import?file=x", GOOD, "invalid", "file"),
    ],
)
def test_an_import_that_cannot_be_says_what_to_change(
    embedded_room: Room, path: str, body: str, code: str, field: str
) -> None:
    told = is_problem(send(embedded_room.desk("admin"), path, body), 422, code, field)
    assert "--" not in told["detail"], "the command line's options are not this call's"


def test_a_file_beyond_the_limit_is_not_taken(embedded_room: Room) -> None:
    body = b" " * (UPLOAD_BYTES_MAX + 1)
    is_problem(send(embedded_room.desk("admin"), "/layers/hydrants/import", body), 413)
    assert not list(embedded_room.core.config.var.glob(".upload-*"))


def test_who_may_not_change_the_city_is_refused_before_the_file_is_read(embedded_room: Room) -> None:
    is_problem(send(embedded_room.ana, "/layers/hydrants/import", b" " * 3_000_000), 403, "forbidden")


def test_one_import_at_a_time(embedded_room: Room) -> None:
    from app.api.layers import _importing

    with _importing:
        answer = send(embedded_room.desk("admin"), "/layers/hydrants/import", GOOD)
    is_problem(answer, 409, "import-running")


class Stalling(io.BytesIO):
    """A body during which it is noted whether others may import."""

    barred: bool | None = None

    def readinto(self, into: Any) -> int:
        from app.api.layers import _importing

        self.barred = bool(self.barred or _importing.locked())
        return super().readinto(into)


def test_a_file_that_is_still_coming_in_bars_nobody(
    embedded_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = embedded_room.desk("admin")

    def post(body: io.BytesIO) -> TestResponse:
        return embedded_room.app.test_client(use_cookies=False).post(
            f"{AREA}/layers/hydrants/import?source=apa&dry_run=1",
            input_stream=body,
            content_length=len(GOOD.encode()),
            headers={"Authorization": f"Bearer {admin.token}"},
        )

    body = Stalling(GOOD.encode())
    assert post(body).status_code == 200
    assert body.barred is False
    # and has its time
    monkeypatch.setattr("app.api.layers.RECEIVE_TIMEOUT_S", -1.0)
    is_problem(post(io.BytesIO(GOOD.encode())), 408, "upload-too-slow")
    assert not list(embedded_room.core.config.var.glob(".upload-*"))


def test_a_file_that_takes_too_much_is_named_and_does_no_harm(
    embedded_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = embedded_room.desk("admin")
    # 10 million lists, 0.6 GB once parsed
    heavy = "[" + "[],[]," * 5_000_000 + "[]]"
    monkeypatch.setattr(layers, "IMPORT_MEMORY_BYTES", 600 << 20)
    body = f'{{"type":"FeatureCollection","features":{heavy}}}'
    is_problem(send(admin, "/layers/hydrants/import", body), 422, "too-large", "file")
    monkeypatch.undo()
    rows = "".join(f"H{n};24.94;60.17;x;1\n" for n in range(150_000))
    monkeypatch.setattr(layers, "IMPORT_CPU_S", 1)
    answer = send(admin, "/layers/hydrants/import", "ref;lon;lat;nume;debit\n" + rows)
    is_problem(answer, 422, "too-much-work", "file")
    monkeypatch.undo()
    monkeypatch.setattr(layers, "IMPORT_TIMEOUT_S", 0.01)
    told = is_problem(send(admin, "/layers/hydrants/import", GOOD), 503, "import-timeout")
    assert told["detail"].startswith("The import was ended")


def test_too_many_features_are_refused_before_they_are_parsed(embedded_room: Room) -> None:
    one = '{"type":"Feature","geometry":null},'
    body = '{"type":"FeatureCollection","features":[' + one * 200_001
    # It is no JSON either: that would have been found first.
    is_problem(send(embedded_room.desk("admin"), "/layers/x/import", body), 422, "too-many-rows", "file")


def test_what_a_killed_process_left_of_an_upload_is_swept(tmp_path: Path) -> None:
    for name, age_s in ((".upload-old", layers.UPLOAD_LEFT_S + 60), (".upload-new", 0), ("cities", 9e5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "upload").write_text("x")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    layers.sweep_uploads(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".upload-new", "cities"}


def test_without_a_city_nothing_can_be_imported(open_another: Callable[..., Room]) -> None:
    room = open_another(city=None)
    is_problem(send(room.desk("admin"), "/layers/hydrants/import", GOOD), 404, "no-city")


# ---- by command


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def straja(
    database: str,
    helsinki: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs a command on a fresh station: (exit code, standard output, standard error)."""
    var = tmp_path / "var"
    (var / "cities").mkdir(parents=True)
    (var / "cities" / "helsinki").symlink_to(helsinki)
    monkeypatch.setenv("STRAJA_VAR", str(var))
    monkeypatch.setenv("STRAJA_DATABASE_URL", database)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_command_names_bad_rows_and_its_exit_code_tells(straja: Run, tmp_path: Path) -> None:
    file = tmp_path / "hidranti.csv"
    bad = GOOD + "H3;abc;60,17;;\n" + "H4;0;0;;\n" * (FAULTS_TOLD + 5)
    file.write_text(bad, encoding="utf-8")
    words = ("layer", "import", str(file), "--layer", "hydrants", "--source", "apa")
    # tried: done, and faults were found
    code, out, _ = straja(*words, "--dry-run")
    assert code == 1
    assert "row 4: lon is not a number: 'abc'" in out
    assert "row 5: geometry lies" in out
    assert "and 6 more bad rows" in out
    assert out.splitlines()[-1].startswith("hydrants of apa in helsinki: would be 2 added")
    # in earnest: refused, with the remedy
    code, out, err = straja(*words)
    assert code == 2
    assert out.splitlines()[-1] == "hydrants of apa in helsinki: nothing was written"
    assert "would be" not in out
    assert "km outside helsinki" in out
    assert "nothing was written" in err
    assert "--skip-bad" in err
    code, out, _ = straja("layer", "list")
    assert "apa" not in out
    # without the bad ones: done
    code, out, _ = straja(*words, "--skip-bad")
    assert code == 0
    assert "hydrants of apa in helsinki: 2 added, 0 changed, 0 removed, 0 unchanged (before: 0)" in out
    file.write_text(GOOD, encoding="utf-8")
    code, out, _ = straja(*words, "--dry-run", "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1])["unchanged"] == 2
    code, out, _ = straja("layer", "list")
    assert "hydrants of apa: 2 features" in out
    # and away again
    assert straja("layer", "remove", "hydrants", "--source", "apa")[0] == 0
    code, _, err = straja("layer", "remove", "hydrants", "--source", "apa")
    assert (code, "there is no layer" in err) == (2, True)
    code, _, err = straja("layer", "remove", "hydrants", "--source", "osm")
    assert (code, "every start would bring it again" in err) == (2, True)


def test_the_command_says_what_is_wrong_with_a_file_as_a_whole(straja: Run, tmp_path: Path) -> None:
    for words, told in (
        (("nowhere.csv", "--layer", "hydrants"), "cannot be read"),
        ((str(tmp_path), "--layer", "hydrants"), "cannot be read"),
        ((str(tmp_path / "a.csv"), "--layer", "Hidranți"), "cannot name a layer"),
    ):
        (tmp_path / "a.csv").write_text(GOOD, encoding="utf-8")
        code, _, err = straja("layer", "import", *words)
        assert code == 2
        assert told in err
        assert "Remedy:" in err


def test_a_city_import_loads_its_layers(straja: Run, tmp_path: Path) -> None:
    town = Town()
    for number, x in ((1, 0), (2, 300)):
        town.node(number, x, 0)
    town.node(3, 100, 5, emergency="fire_hydrant")
    town.way([1, 2], {"highway": "residential", "name": "Strada Lungă"})
    code, out, _ = straja("city", "import", str(town.write(tmp_path / "sat.osm.pbf")))
    assert code == 0
    assert "1 features in 9 reference layers" in out
    # When it is put into use, and given a layer of our own
    file = tmp_path / "a.csv"
    file.write_text(f"ref,lon,lat\nV1,{at(50, 5)[0]},{at(50, 5)[1]}\n", encoding="utf-8")
    assert straja("city", "use", "sat")[0] == 0
    assert straja("layer", "import", str(file), "--layer", "valves")[0] == 0
    # Then its removal takes along what came with it, and never what is ours
    code, out, _ = straja("city", "remove", "sat", "--force")
    assert code == 0
    assert "valves of operator is kept: 1 features of your own" in out
    engine = open_engine(os.environ["STRAJA_DATABASE_URL"])
    with Session(engine) as session:
        assert [(one.layer, one.source) for one in reference.imports(session, "sat")] == [
            ("valves", "operator")
        ]
    engine.dispose()


def test_the_keys_of_a_report_are_those_that_the_child_sends_back() -> None:
    """The process apart answers with every field that the report has, and no other."""
    assert set(shapes.LayerReport.model_fields) == set(layers.Report.__dataclass_fields__)
