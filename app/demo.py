"""The demo: logins, crews and their stations, and the tokens with which the demo's city life speaks.

Everything goes in through the same door as real data. Demo logins have published passwords, so they and the
tokens work only while the demo is on, which `up.check_exposure` allows on loopback addresses alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from dispatch import commands as c
from gis.geometry import Box, haversine_m, metres_between

if TYPE_CHECKING:
    from app.auth import Accounts
    from app.core import Core
    from config import Config
    from gis.city import City

PASSWORD = "straja-demo"  # noqa: S105 - it is published on purpose
LOGINS: tuple[dict[str, str], ...] = (
    {"name": "ana", "password": PASSWORD, "role": "dispatcher", "display_name": "Ana P."},
    {"name": "bogdan", "password": PASSWORD, "role": "dispatcher", "display_name": "Bogdan M."},
    {"name": "sorina", "password": PASSWORD, "role": "supervisor", "display_name": "Sorina T."},
    {"name": "matei", "password": PASSWORD, "role": "observer", "display_name": "Matei V."},
    {"name": "admin", "password": PASSWORD, "role": "admin", "display_name": "Administrator"},
)
SOURCE = "demo"
SEEDER = c.Actor("demo", "admin", frozenset({"*"}))
TOKENS = {"crews": "gateway", "calls": "gateway", "colleague": "dispatcher"}
"""Whom the demo's city life speaks as, and in which role."""
FILE = "demo.json"
"""In `var`, for its user alone: the tokens, and what the city life needs to know of city and stations."""
LIFE = Path(__file__).with_name("demo.yaml")
APART_M = 12.0
"""Between the vehicles of one station."""
CORE_M = 8_000.0
"""Side of the part of a region in which the demo lives."""


def is_demo_token(name: str) -> bool:
    """Whether a token of that name is the demo's; each time it is made anew its name ends in another
    number."""
    return re.fullmatch(rf"demo-({'|'.join(TOKENS)})(\.[0-9]+)?", name) is not None


def read_life(pack: str) -> Mapping[str, Any] | None:
    """The demo's city life for a pack, with `hours` and `busy`; None where none is written for it."""
    whole = yaml.safe_load(LIFE.read_text(encoding="utf-8"))
    life = whole.get(pack) if pack not in ("hours", "busy") else None
    return None if life is None else {**life, "hours": whole["hours"], "busy": whole["busy"]}


def is_on(core: Core) -> bool:
    """Whether this is a demo: it is not off, and some account of its own may sign in."""
    return core.config.demo and any(a.demo and not a.disabled for a in core.accounts.accounts())


# ---- beginning


def seed(config: Config) -> list[dict[str, str]]:
    """Begin the demo on the node of this configuration; returns the logins."""
    from app.core import open_core

    core = open_core(config)
    try:
        return begin(core)
    finally:
        core.close()


def begin(core: Core) -> list[dict[str, str]]:
    """Make the demo's accounts, tokens and crews where they are missing, and bring the crews to the stations
    of the city in use; returns the logins."""
    from app.auth import BadAccount

    have = {account.name for account in core.accounts.accounts()}
    for login in LOGINS:
        if login["name"] not in have:
            try:
                core.accounts.create_account(
                    login["name"],
                    login["password"],
                    login["role"],
                    ["*"],
                    display_name=login["display_name"],
                    demo=True,
                )
            except BadAccount:
                # Another process of the same start was quicker.
                continue
    life = read_life(core.pack.name)
    city, var = core.city, core.config.var
    kept = _read(var)
    tokens = _tokens(core.accounts, kept.get("tokens", {}))
    names = [known.name for s in tokens.values() if (known := core.accounts.by_token(s))]
    # Where everybody stands is found once for each city and pack: the next start has no need to wait for it.
    basis = [core.pack.name, core.pack.version, hashlib.sha256(LIFE.read_bytes()).hexdigest()]
    basis += [str(city.folder), city.info.built_at] if city is not None else []
    known_units = {unit.id for unit in core.picture.now.units()}
    is_settled = kept.get("basis") == basis and all(
        crew["unit"] in known_units for crew in (life or {}).get("crews", ())
    )
    if not is_settled:
        sites = _sites(city)
        all_stand = life is None or _bring_crews(core, life, sites)
        kept = {
            "basis": basis if all_stand else None,
            "city": str(city.folder) if city is not None else None,
            "core": _core(city) if city is not None else None,
            "hospitals": _hospitals(city, life, sites),
        }
    _write(var, {**kept, "tokens": tokens, "names": names})
    return [{k: login[k] for k in ("name", "password", "role")} for login in LOGINS]


def end(config: Config) -> tuple[int, int]:
    """End the demo on the node of this configuration; see `finish`."""
    from app.core import open_core

    core = open_core(config)
    try:
        return finish(core)
    finally:
        core.close()


def finish(core: Core) -> tuple[int, int]:
    """Take the demo out of service: its tokens end, its open incidents are closed, its crews stand out of
    service. Returns how many crews and incidents that were; what a person's unit is on stays open."""
    revoke_tokens(core.accounts)
    (core.config.var / FILE).unlink(missing_ok=True)
    life = read_life(core.pack.name) or {}
    reason = str(life.get("ended", "demo"))

    def done(command: type[c.Command], **facts: Any) -> bool:
        try:
            core.door.submit(command(id=core.world.random.uuid(), source=SOURCE, **facts), SEEDER)
        except c.Refused:
            return False
        return True

    state = core.picture.now
    crews = [u for u in state.units() if u.source == SOURCE and u.custodian == core.config.station]
    ours = {unit.id for unit in crews}
    stopped = sum(
        done(c.ReportStatus, unit=unit.id, status="out_of_service", reason=reason, force=True)
        for unit in crews
        if unit.status not in ("off_duty", "out_of_service")
    )
    closed = 0
    for incident in [x for x in state.incidents() if x.open]:
        if incident.facts["type"].source != SOURCE:
            continue
        for request in incident.requests:
            if request.state == "asked" and request.unit in ours:
                done(c.RecallUnit, incident=incident.id, unit=request.unit, reason=reason)
        closed += done(c.CloseIncident, incident=incident.id, outcome=reason)
    return stopped, closed


def _read(var: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads((var / FILE).read_text(encoding="utf-8"))
        return kept
    except (OSError, ValueError):
        return {}


def _write(var: Path, kept: Mapping[str, Any]) -> None:
    beside = var / f".{FILE}.new"
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as out:
        json.dump(kept, out, ensure_ascii=False)
    beside.replace(var / FILE)


def _tokens(accounts: Accounts, kept: Mapping[str, str]) -> dict[str, str]:
    """The demo's tokens: those kept, while they are good; else new ones, and the old ones end, so that one
    city life alone speaks for one set of crews."""
    if kept.keys() == TOKENS.keys() and all(accounts.by_token(secret) for secret in kept.values()):
        return dict(kept)
    names = revoke_tokens(accounts)
    made = {}
    for who, role in TOKENS.items():
        name, n = f"demo-{who}", 1
        while name in names:
            n += 1
            name = f"demo-{who}.{n}"
        made[who] = accounts.create_token(role, name, ["*"])
    return made


def revoke_tokens(accounts: Accounts) -> set[str]:
    """End every token of the demo; returns all names that tokens have had."""
    tokens = accounts.tokens()
    for token in tokens:
        if token.revoked_us is None and is_demo_token(token.name):
            accounts.revoke_token(token.name)
    return {token.name for token in tokens}


def _bring_crews(core: Core, life: Mapping[str, Any], sites: Sequence[Site]) -> bool:
    """Register the crews at their stations; False when one was out and could not be moved there."""
    all_stand = True
    stations = _stations(core.city, life["stations"], sites)
    beside: dict[str, int] = {}
    for crew in life["crews"]:
        if crew["type"] not in core.pack.unit_types:
            continue
        name, at = stations[crew["station"]]
        n = beside[crew["station"]] = beside.get(crew["station"], -1) + 1
        wanted = c.RegisterUnit(
            id=core.world.random.uuid(),
            source=SOURCE,
            unit=crew["unit"],
            type=crew["type"],
            station=name[:64],
            district=core.config.district,
            crew=crew["crew"],
            crew_id=crew.get("crew_id"),
            talkgroup=f"TG-{life['stations'][crew['station']]['name']}"[:64],
            base=None if at is None else c.Place(round(at[0] + n * _degrees(APART_M, at[1]), 7), at[1]),
            turnout_s=crew.get("turnout_s"),
        )
        known = core.picture.now.unit(crew["unit"])
        if known is not None and (known.custodian != core.config.station or known.source != SOURCE):
            # Somebody has a unit of that name; it is theirs.
            continue
        base = (wanted.base.lon, wanted.base.lat) if wanted.base else None
        if known is None or (known.base, known.station, known.crew) != (base, wanted.station, wanted.crew):
            try:
                core.door.submit(wanted, SEEDER)
            except c.Refused:
                # Out just now: it is brought to its new station at the next start.
                all_stand = False
                continue
        if known is None:
            core.door.submit(
                c.ReportStatus(
                    id=core.world.random.uuid(), source=SOURCE, unit=crew["unit"], status="available"
                ),
                SEEDER,
            )
    return all_stand


# ---- stations


@dataclass(frozen=True, slots=True)
class Site:
    """A real station or hospital of the city. `kind`: fire, police, ambulance, hospital."""

    kind: str
    name: str
    lon: float
    lat: float


def _sites(city: City | None) -> list[Site]:
    """Stations and hospitals from the city's reference layers; none where these were not imported."""
    path = city.folder / "layers.geojsonl" if city is not None else None
    if city is None or path is None or not path.is_file():
        return []
    west, south, east, north = _core(city)
    found = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if '"stations"' not in line and '"hospitals"' not in line:
                continue
            feature = json.loads(line)
            told = feature["properties"]
            points = list(_points(feature["geometry"]["coordinates"]))
            if told["layer"] not in ("stations", "hospitals") or not points:
                continue
            lon, lat = (sum(axis) / len(points) for axis in zip(*points, strict=True))
            if west <= lon <= east and south <= lat <= north:
                name = told.get("name") or (told.get("number") and f"{told['kind']} {told['number']}") or ""
                found.append(Site(told["kind"], name, lon, lat))
    return sorted(found, key=lambda site: (site.kind, site.name, site.lon, site.lat))


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    if coordinates and isinstance(coordinates[0], (int, float)):
        yield coordinates[0], coordinates[1]
    else:
        for part in coordinates:
            yield from _points(part)


def _stations(
    city: City | None, wanted: Mapping[str, Any], sites: Sequence[Site]
) -> dict[str, tuple[str, tuple[float, float] | None]]:
    """Each station's name and place: a real one of its kind while there are any, the next one as far from
    those taken as can be; else its share of the city's box, on a street that leads to the city's others."""
    placed: dict[str, tuple[str, tuple[float, float] | None]] = {}
    taken: dict[str, list[Site]] = {}
    for code, station in wanted.items():
        if city is None:
            placed[code] = (station["name"], None)
            continue
        west, south, east, north = _core(city)
        share = (west + (east - west) * station["at"][0], south + (north - south) * station["at"][1])
        ours = taken.setdefault(station["kind"], [])
        free = [site for site in sites if site.kind == station["kind"] and site not in ours and site.name]
        if free:
            best = max(
                free,
                key=lambda s: min(
                    [metres_between(s.lon, s.lat, t.lon, t.lat) for t in ours]
                    # The first one is that nearest to where the demo would have put it.
                    or [-metres_between(s.lon, s.lat, *share)]
                ),
            )
            ours.append(best)
            placed[code] = (best.name, (round(best.lon, 7), round(best.lat, 7)))
        else:
            placed[code] = (station["name"], _on_a_street(city, *share))
    return placed


def _on_a_street(city: City, lon: float, lat: float) -> tuple[float, float]:
    """The nearest place on a road from which the middle of the city can be driven to."""
    a = city.roads.arrays("car")
    lons, lats = a["point_lon_e7"] / 1e7, a["point_lat_e7"] / 1e7
    nearest = haversine_m(lon, lat, lons, lats).argsort()
    west, south, east, north = _core(city)
    middle = haversine_m((west + east) / 2, (south + north) / 2, lons, lats).argmin()
    for n in nearest[: 4000 : max(1, min(len(nearest), 4000) // 40)]:
        at = float(lons[n]), float(lats[n])
        if city.roads.route(*at, float(lons[middle]), float(lats[middle]), "fire_engine").road:
            return round(at[0], 7), round(at[1], 7)
    return round(float(lons[nearest[0]]), 7), round(float(lats[nearest[0]]), 7)


def _core(city: City) -> Box:
    """Where the demo lives: the whole of a small city; of a whole region, the 8 km around its densest
    streets."""
    west, south, east, north = city.info.bbox
    a = city.roads.arrays("car")
    lons, lats = a["point_lon_e7"] / 1e7, a["point_lat_e7"] / 1e7
    wide, high = _degrees(CORE_M, (south + north) / 2), CORE_M / 111_195
    columns, rows = max(1, round((east - west) / wide * 8)), max(1, round((north - south) / high * 8))
    count, _, _ = np.histogram2d(lons, lats, bins=(columns, rows), range=((west, east), (south, north)))
    # Of cells of about a kilometre, the one with the most streets in and around it.
    padded = np.pad(count, 1)
    around = sum(
        (np.roll(padded, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)), np.zeros_like(padded)
    )
    column, row = np.unravel_index(np.argmax(around[1:-1, 1:-1]), count.shape)
    lon = west + (column + 0.5) * (east - west) / columns
    lat = south + (row + 0.5) * (north - south) / rows
    return (
        max(west, lon - wide / 2),
        max(south, lat - high / 2),
        min(east, lon + wide / 2),
        min(north, lat + high / 2),
    )


def _hospitals(
    city: City | None, life: Mapping[str, Any] | None, sites: Sequence[Site]
) -> list[tuple[str, float, float]]:
    """Where patients are taken: the city's hospitals, else two places that say that they are the demo's."""
    if city is None or life is None:
        return []
    real = [(site.name, site.lon, site.lat) for site in sites if site.kind == "hospital" and site.name]
    if real:
        return real[:20]
    west, south, east, north = _core(city)
    return [
        (
            h["name"],
            *_on_a_street(city, west + (east - west) * h["at"][0], south + (north - south) * h["at"][1]),
        )
        for h in life["hospitals"]
    ]


def _degrees(metres: float, lat: float) -> float:
    """Degrees of longitude that are so many metres at that latitude."""
    return metres / max(1.0, metres_between(0.0, lat, 1.0, lat))
