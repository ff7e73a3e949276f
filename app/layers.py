"""Brings a city's reference layers into the database, and gives `gis.layers` its sessions."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import open_engine
from app.migrations import MAIN, migrate
from app.ports import Clock
from config import Config
from dispatch.commands import SYSTEM
from gis import layers, osm_layers
from gis.city import CityInfo

log = logging.getLogger("straja.layers")

LOAD_LOCK = 5747
"""The PostgreSQL advisory lock under which one process at a time loads a city's layers."""


def load(config: Config, clock: Clock, folder: Path, info: CityInfo) -> int:
    """Put the layers of the city just imported into the database; how many features they have.

    Raises SchemaError, SQLAlchemyError, OSError or ValueError; the city itself is whole all the same, and
    the next start loads what is missing."""
    config.var.mkdir(parents=True, exist_ok=True)
    engine = open_engine(config.database_url)
    try:
        migrate(engine, MAIN)
        return _load(engine, clock, folder, info)
    finally:
        engine.dispose()


def load_if_newer(engine: Engine, clock: Clock, folder: Path, info: CityInfo) -> None:
    """At start: load the city's layers where the database has none of this city (it is fresh, restored, or
    another node's) or older ones. Trouble is logged; dispatching does not wait for lamps."""
    try:
        with Session(engine) as session:
            if _is_current(session, info):
                return
        total = _load(engine, clock, folder, info, only_newer=True)
        log.info("%s: %d features in %d reference layers loaded", info.name, total, len(layers.LAYERS))
    except (OSError, ValueError, KeyError, SQLAlchemyError, TimeoutError):
        log.exception("the reference layers of %s could not be loaded", info.name)


def _is_current(session: Session, info: CityInfo) -> bool:
    """Whether every layer of the city is there, from this import of it or a later one."""
    there = {one.layer: one.version for one in layers.imports(session, info.name) if one.source == layers.OSM}
    return all(there.get(layer, "") >= info.built_at for layer in layers.LAYERS)


def _load(engine: Engine, clock: Clock, folder: Path, info: CityInfo, only_newer: bool = False) -> int:
    found = osm_layers.read_layers(folder)
    with Session(engine) as session:
        if engine.dialect.name == "sqlite":
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")
        else:
            session.connection().exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOAD_LOCK})")
        if not (only_newer and _is_current(session, info)):
            for layer, features in found.items():
                layers.replace(
                    session,
                    info.name,
                    layer,
                    layers.OSM,
                    features,
                    version=info.built_at,
                    now_us=clock.now_us(),
                    by=SYSTEM.name,
                )
        session.commit()
    return sum(len(features) for features in found.values())
