"""One node's parts joined together, without any web framework: what the web, the keeper, the worker and
the command line all start from."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine

from app import layers, trace
from app import tracks as tracks_module
from app.auth import Accounts
from app.coverage import CoverageNow
from app.database import UNREACHABLE, open_engine
from app.duty import Duty
from app.fleet import Fleet
from app.forecast import Forecasts
from app.living_map import LivingMap
from app.log import Log, write_durably
from app.migrations import MAIN, TRACKS, migrate
from app.native import is_cooperative, original, start_thread
from app.picture import Picture
from app.ports import World
from app.speeds import Speeds
from app.submit import Door
from app.tracks import Tracks
from app.up import CITY_CHOICE, Waiting, city_folder
from app.vault import Vault
from config import ROOT, Config, ConfigError
from dispatch.plans import Pack, PackError, load_pack
from gis.city import City, CityError, city_named, open_city
from gis.roads import Driving


@dataclass(frozen=True, slots=True)
class Core:
    """The parts of a node."""

    config: Config
    world: World
    engine: Engine
    vault: Vault
    log: Log
    picture: Picture
    door: Door
    accounts: Accounts
    tracks: Tracks
    pack: Pack
    city_in_use: CityInUse
    living_map: LivingMap
    speeds: Speeds
    forecast: Forecasts
    coverage: CoverageNow
    fleet: Fleet
    duty: Duty

    @property
    def city(self) -> City | None:
        """The city in use, None until one was imported. Take it once for what belongs together: within
        seconds it follows `straja city use` and a new import."""
        return self.city_in_use.now()

    def close(self) -> None:
        """Write what is pending and stop the threads."""
        self.coverage.close()
        self.tracks.close()
        self.log.stop()


# libyaml reads a pack in a tenth of the time; PyYAML may have been built without it.
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UniqueKeys(_SafeLoader):  # type: ignore[valid-type, misc]
    """Refuses a mapping in which a key stands twice: plain YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


def read_pack(name: str) -> Pack:
    """The pack shipped under that name, or the file at that path. Raises PackError or ConfigError."""
    path = ROOT / "packs" / f"{name}.yaml"
    if not path.exists():
        path = Path(name)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), UniqueKeys)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        raise ConfigError(f"STRAJA_PACK is {name!r}: {error.strerror}; use ro, generic or a file") from None
    except yaml.YAMLError as error:
        raise PackError([f"{path.name}: not valid YAML: {error}"]) from None
    return load_pack(raw)


CITY_LOOK_S = 2.0


def choose_city(config: Config, name: str) -> None:
    """Put the city `name` into use, from now on and after every start. Raises CityError when it cannot be."""
    cities = config.var / "cities"
    open_city(city_named(cities, name))
    try:
        write_durably(cities / CITY_CHOICE, f"{name}\n")
    except OSError as error:
        raise CityError(
            f"The choice cannot be written to {cities}: {error.strerror}.", "Check the folder and its disk."
        ) from error


class CityInUse:
    """The city that this process works with. Looks every `CITY_LOOK_S` seconds whether another one was chosen
    or the same one imported again, and opens it; who holds the old one goes on with it. A city that cannot be
    opened never takes the place of one that is."""

    def __init__(self, config: Config, driving: Driving | None = None) -> None:
        self._config = config
        self._driving = driving
        self._mark: tuple[object, ...] | None = None
        self._city: City | None = None
        self._looked_at = -math.inf
        # Given back by the thread that opens: one of the operating system, not of the event loop.
        self._looking = original("_thread", "allocate_lock")()
        folder = city_folder(config)  # A wrong STRAJA_CITY stops the start.
        if folder is not None:
            self._mark = self._mark_of(folder)
            self._open(folder)

    def now(self) -> City | None:
        """The city, or None when there is none that can be used."""
        moment = time.monotonic()
        if moment - self._looked_at >= CITY_LOOK_S and self._looking.acquire(False):
            self._looked_at = moment
            folder = None
            try:
                folder = self._changed()
            finally:
                if folder is None:
                    self._looking.release()
            if folder is not None:
                self._take(folder)
        return self._city

    def _changed(self) -> Path | None:
        """The city to open, if it is another one than that in use."""
        try:
            folder = city_folder(self._config)
        except ConfigError:
            return None
        mark = self._mark_of(folder) if folder is not None else None
        if mark is None or mark == self._mark:
            return None
        self._mark = mark
        return folder

    def _take(self, folder: Path) -> None:
        def opened() -> None:
            try:
                self._open(folder)
            finally:
                self._looking.release()

        if is_cooperative():
            # Opening reads for a while: the event loop goes on with the city that it has.
            start_thread(opened, "straja-city")
        else:
            opened()

    def _open(self, folder: Path) -> None:
        journal = logging.getLogger("straja")
        try:
            self._city = open_city(folder, self._driving)
        except CityError as error:
            journal.error("the city %s cannot be used: %s", folder.name, error)
        else:
            journal.info("the city in use is %s, imported %s", folder.name, self._city.info.built_at)

    @staticmethod
    def _mark_of(folder: Path) -> tuple[object, ...] | None:
        """What changes when another city, or another import of the same one, takes the place."""
        try:
            status = (folder / "city.json").stat()
        except OSError:
            return None
        return folder.name, status.st_dev, status.st_ino, status.st_mtime_ns


def open_core(config: Config, world: World | None = None, *, listen: bool = True) -> Core:
    """Open everything. With `listen` False nothing is started: for commands that only read or administer.

    Raises ConfigError, PackError, CityError or SchemaError with a message for people.
    """
    world = world or World.system()
    trace.set_up(config, "command")
    config.var.mkdir(parents=True, exist_ok=True)
    pack = read_pack(config.pack)
    engine = open_engine(config.database_url)
    migrate(engine, MAIN)
    tracks_engine = tracks_module.open_engine(config.tracks_url)
    migrate(tracks_engine, TRACKS)
    vault = Vault(engine, world.random)
    log = Log(
        engine,
        world,
        vault,
        station=config.station,
        folder=config.var,
        reserve_bytes=config.disk_reserve_mb * 1_000_000,
    )
    picture = Picture(engine, world.clock)
    door = Door(
        log,
        picture,
        world.clock,
        pack,
        station=config.station,
        district=config.district,
        undo_s=config.undo_s,
    )
    accounts = Accounts(
        engine, world.clock, world.random, session_hours=config.session_hours, demo=config.demo
    )

    def on_incident(unit_id: str) -> bool:
        unit = picture.now.unit(unit_id)
        return unit is not None and unit.incident is not None

    tracks = Tracks(
        tracks_engine,
        world.clock,
        known_unit=lambda unit_id: picture.now.unit(unit_id) is not None,
        on_incident=on_incident,
    )
    city = CityInUse(config, Driving(**asdict(pack.driving)))
    if listen:
        if (opened := city.now()) is not None:
            layers.load_if_newer(engine, world.clock, opened.folder, opened.info)
        log.start(picture)
        try:
            tracks.start()
        except BaseException:
            log.stop()
            raise
    speeds = Speeds(config.var / "speeds", city.now, pack, world.clock)
    forecast = Forecasts(config.var / "forecast", city.now, world.clock)
    living_map = LivingMap(picture, world.clock, city.now, speeds)
    coverage = CoverageNow(
        pack, picture, tracks, world.clock, living_map.ways, city.now, engine, speeds, forecast.demand,
        config.demo,
    )  # fmt: skip
    if listen:
        log.after_commit(coverage.stir)
    return Core(
        config=config,
        world=world,
        engine=engine,
        vault=vault,
        log=log,
        picture=picture,
        door=door,
        accounts=accounts,
        tracks=tracks,
        pack=pack,
        city_in_use=city,
        living_map=living_map,
        speeds=speeds,
        forecast=forecast,
        coverage=coverage,
        fleet=Fleet(picture, tracks, pack, world.clock),
        duty=Duty(engine, pack.partners),
    )


def settle_memory() -> None:
    """What this process has made so far stays: tell the collector of cycles to leave it alone, and to look at
    what comes less often. A full look at a city's station takes 0.1 s, in which nothing is answered."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


class NotYet(Exception):
    """The database cannot be used now, and may be later: `code` and words say why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def try_core(config: Config) -> Core:
    """`open_core`, or NotYet where waiting may help."""
    try:
        return open_core(config)
    except UNREACHABLE as error:
        words = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        line = " ".join(words.splitlines()[-1].split())
        raise NotYet("storage-unavailable", f"the database does not answer: {line}") from error


def wait_for_core(config: Config, pause: Callable[[float], bool]) -> Core | None:
    """Open everything as soon as the database lets it; None once `pause(seconds)` returns true.

    A database that starts beside this process, or was stopped for a while, is no reason to end.
    """
    waiting = Waiting(logging.getLogger("straja").warning)
    while True:
        try:
            core = try_core(config)
        except NotYet as error:
            waiting.because(str(error))
            if pause(1.0):
                return None
        else:
            waiting.over()
            return core
