"""Reference layers over HTTP: what there is, what lies in a box, what is nearest; the operator's own."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import shapely
from flask import Response, jsonify, request
from flask_openapi3 import Tag
from pydantic import BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from app.api import shapes
from app.api.doors import Problem, Strict, blueprint, core, parse_number, require, wrong
from app.layers import ImportTimeoutError, Order, import_apart
from app.native import is_cooperative, offload, original
from app.rows import rfc3339
from app.words import LANGUAGES, words_in
from gis import layers
from gis.geometry import Box, is_position
from gis.layer_file import LayerFileError
from gis.layers import Found, Imported

TAG = Tag(name="Layers", description="Hydrants, hospitals, street lamps and their like.")
FEATURES_MAX = 10_000
UPLOAD_BYTES_MAX = 50_000_000
RECEIVE_TIMEOUT_S = 120.0
"""How long a file may take to come in: 50 MB at 3.4 Mbit/s."""
NEAREST_WITHIN_M = 10_000.0
T = TypeVar("T")


class LayerPath(Strict):
    layer: str = Field(max_length=32)


class BoxQuery(Strict):
    bbox: str | None = Field(default=None, description="west,south,east,north in degrees; without it, all.")
    limit: int = Field(default=2_000, ge=1, le=FEATURES_MAX)

    @field_validator("bbox")
    @classmethod
    def _is_box(cls, value: str | None) -> str | None:
        if value is not None:
            read_box(value)
        return value

    @property
    def box(self) -> Box | None:
        return None if self.bbox is None else read_box(self.bbox)


def read_box(text: str) -> Box:
    """The box written as west,south,east,north. Raises PydanticCustomError where it is none."""
    try:
        west, south, east, north = (parse_number(part) for part in text.split(","))
    except ValueError:
        raise PydanticCustomError("box_numbers", "must be four numbers: west,south,east,north") from None
    if not is_position(west, south) or not is_position(east, north):
        raise PydanticCustomError("box_degrees", "must be in degrees, longitude first")
    if west > east or south > north:
        raise PydanticCustomError("box_order", "must be west,south,east,north, the smaller ones first")
    return west, south, east, north


class NearestQuery(Strict):
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)
    limit: int = Field(default=5, ge=1, le=100)


def _title(layer: str) -> dict[str, str] | None:
    if layer not in layers.LAYERS:
        return None
    return {
        language: words_in(language).say(f"layer-{layer}") for language in sorted(LANGUAGES, reverse=True)
    }


@blueprint.get(
    "/layers", tags=[TAG], summary="Every layer and where it comes from", responses={200: shapes.Layers}
)
def list_layers() -> Response:
    require("catalogue.read")
    parts = core()
    if parts.city is None:
        return jsonify([])
    with Session(parts.engine) as session:
        found = layers.imports(session, parts.city.info.name)
    return jsonify(
        [
            {
                "layer": one.layer,
                "source": one.source,
                "count": one.features,
                "imported_at": rfc3339(one.imported_at),
                "title": _title(one.layer),
            }
            for one in found
        ]
    )


def _versions(session: Session, layer: str) -> list[Imported]:
    city = core().city
    if city is None:
        raise Problem(404, "no-city", "No city is imported yet: straja city import FILE.osm.pbf")
    found = layers.imports(session, city.info.name, layer)
    if not found and layer not in layers.LAYERS:
        raise Problem(
            404, "unknown-layer", f"There is no layer {layer!r}; GET /layers names those there are."
        )
    return found


@blueprint.get(
    "/layers/<layer>",
    tags=[TAG],
    summary="The features of a layer in a box, as GeoJSON",
    responses={200: shapes.Features},
)
def get_layer(path: LayerPath, query: BoxQuery) -> Response:
    require("catalogue.read")
    with Session(core().engine) as session:
        versions = _versions(session, path.layer)
        answer = Response(mimetype="application/geo+json")
        answer.headers["Cache-Control"] = "private, no-cache"
        answer.set_etag(_tag(versions, query))
        if request.if_none_match.contains_weak(answer.get_etag()[0] or ""):
            answer.make_conditional(request)
            return answer
        found, truncated = _ask(lambda: layers.within(session, versions, query.box, query.limit))
    answer.set_data(offload(lambda: _collection(path.layer, versions, found, truncated)))
    return answer


def _ask(question: Callable[[], T]) -> T:
    """SQLite works out geometry in this process, away from the event loop; a server's driver yields to it."""
    return offload(question) if core().engine.dialect.name == "sqlite" else question()


def _tag(versions: Sequence[Imported], query: BaseModel) -> str:
    """Names this answer: the versions that it comes from, and what was asked of them."""
    told = [[(one.id, one.imported_at) for one in versions], query.model_dump()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


@blueprint.get(
    "/layers/<layer>/nearest",
    tags=[TAG],
    summary="The features nearest to a point",
    responses={200: shapes.Features},
)
def get_nearest(path: LayerPath, query: NearestQuery) -> Response:
    require("catalogue.read")
    with Session(core().engine) as session:
        versions = _versions(session, path.layer)
        found = _ask(
            lambda: layers.nearest(session, versions, query.lon, query.lat, query.limit, NEAREST_WITHIN_M)
        )
    body = offload(lambda: _collection(path.layer, versions, found, truncated=False))
    return Response(body, mimetype="application/geo+json")


class DensityQuery(Strict):
    cell_m: int = Field(default=150, ge=50, le=5_000, description="The side of a square, metres.")


@blueprint.get(
    "/layers/<layer>/density",
    tags=[TAG],
    summary="How many features stand where, for looking at a large layer from afar",
    responses={200: shapes.Density},
)
def get_density(path: LayerPath, query: DensityQuery) -> Response:
    require("catalogue.read")
    with Session(core().engine) as session:
        versions = _versions(session, path.layer)
        tag = _tag(versions, query)
        if not request.if_none_match.contains_weak(tag):
            # Tens of thousands of places are worked out away from the event loop, on either database.
            cells = offload(lambda: layers.density(session, versions, query.cell_m))
            answer = jsonify(
                {
                    "layer": path.layer,
                    "cell_m": query.cell_m,
                    "count": sum(n for _, _, n in cells),
                    "cells": [[round(lon, 6), round(lat, 6), n] for lon, lat, n in cells],
                }
            )
        else:
            answer = Response(status=304)
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.set_etag(tag)
    return answer


class ImportQuery(Strict):
    source: str = Field(default="operator", max_length=64, description="Whose layer it is.")
    dry_run: bool = Field(default=False, description="Name every bad row and write nothing.")
    skip_bad: bool = Field(default=False, description="Leave bad rows out and import the others.")
    ref: str | None = Field(
        default=None, max_length=128, description="The column with each row's stable key."
    )
    crs: str | None = Field(default=None, max_length=64, description="Such as EPSG:3844.")
    table: str | None = Field(default=None, max_length=128, description="Which table of a GeoPackage.")


_importing = original("_thread", "allocate_lock")()


@blueprint.post(
    "/layers/<layer>/import",
    tags=[TAG],
    summary="Import an operator's own layer from the file in the body",
    responses={200: shapes.LayerReport},
)
def import_layer(path: LayerPath, query: ImportQuery) -> Response:
    who_asks = require("city.manage")
    parts = core()
    if parts.city is None:
        raise Problem(404, "no-city", "No city is imported yet: straja city import FILE.osm.pbf")
    folder = Path(tempfile.mkdtemp(prefix=".upload-", dir=parts.config.var))
    try:
        # Before the lock: a sender that stalls must bar nobody else.
        upload = _received(folder)
        order = Order(
            path=str(upload),
            city=parts.city.info.name,
            box=parts.city.info.bbox,
            layer=path.layer,
            now_us=parts.world.clock.now_us(),
            by=who_asks.label,
            **query.model_dump(),
        )
        if not _importing.acquire(False):
            raise Problem(
                409, "import-running", "Another import is running in this process; send it again soon."
            )
        try:
            report = import_apart(parts.config.database_url, order)
        finally:
            _importing.release()
    except LayerFileError as error:
        # The remedies are worded for the command line; its options are this call's parameters.
        words = re.sub(r"--(\w+)", r"\1", str(error))
        raise wrong(error.field, error.code, words) from None
    except ImportTimeoutError as error:
        raise Problem(503, "import-timeout", str(error)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = asdict(report)
    if not report.written and not report.dry_run:
        errors = [
            {"field": f"row {fault['row']}: {fault['field']}", "message": fault["why"]}
            for fault in report.faults
        ]
        detail = f"{report.faults_total} of {report.rows} rows cannot be used; nothing was written."
        raise Problem(422, "bad-rows", detail, errors=errors, report=told)
    return jsonify(told)


def _received(folder: Path) -> Path:
    """The body of this request as a file. 413 where it is too large, 507 where there is no room for it, 408
    where it does not come in time."""
    request.max_content_length = UPLOAD_BYTES_MAX
    target = folder / "upload"
    try:
        with _in_time() as check, target.open("wb") as file:
            while piece := request.stream.read(1 << 18):
                file.write(piece)
                check()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Problem(507, "disk-full", "There is no room for the file.", retry_after_s=30) from error
    return target


@contextmanager
def _in_time() -> Iterator[Callable[[], None]]:
    """Ends the block with a 408 after RECEIVE_TIMEOUT_S: under gevent also while it waits for a piece,
    else where it asks."""
    late = Problem(408, "upload-too-slow", f"The file did not come within {RECEIVE_TIMEOUT_S:.0f} s.")
    until_s = time.monotonic() + RECEIVE_TIMEOUT_S

    def check() -> None:
        if time.monotonic() > until_s:
            raise late

    if not is_cooperative():
        yield check
        return
    import gevent

    with gevent.Timeout(RECEIVE_TIMEOUT_S, late):
        yield check


def _collection(layer: str, versions: Sequence[Imported], found: Sequence[Found], truncated: bool) -> bytes:
    """The features as GeoJSON text; geometries are written by GEOS, ten thousand in some milliseconds."""
    geometries = shapely.to_geojson(np.array([one.geometry for one in found], dtype=object))
    newest = max((one.imported_at for one in versions), default=None)
    head = {
        "type": "FeatureCollection",
        "truncated": truncated,
        "imported_at": None if newest is None else rfc3339(newest),
    }
    features = ",".join(
        f'{{"type":"Feature","id":{one.id},"geometry":{geometry},"properties":{_properties(layer, one)}}}'
        for one, geometry in zip(found, geometries, strict=True)
    )
    return f'{json.dumps(head)[:-1]},"features":[{features}]}}'.encode()


def _properties(layer: str, one: Found) -> str:
    words: dict[str, Any] = {
        **one.properties,
        "layer": layer,
        "source": one.source,
        "ref": one.ref,
        "name": one.name,
    }
    if one.geometry.geom_type != "Point":
        at = one.geometry.representative_point()
        words["point"] = [round(at.x, 7), round(at.y, 7)]
    if one.distance_m is not None:
        words["distance_m"] = round(one.distance_m, 1)
    return json.dumps(words, ensure_ascii=False, separators=(",", ":"))
