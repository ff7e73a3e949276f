"""The demo: crews and logins with which anybody can try the console on a machine of their own.

Everything goes in through the same door as real data. Demo logins have published passwords, so they work
only while the demo is on, which `up.check_exposure` allows on loopback addresses alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.auth import BadAccount
from app.core import Core, open_core
from app.tracks import Fix
from config import Config
from dispatch import commands as c

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


@dataclass(frozen=True, slots=True)
class Crew:
    """One demo unit: its station as shares of the city's box, and the people aboard."""

    unit: str
    type: str
    station: str
    at: tuple[float, float]
    crew: int
    crew_id: str | None = None


_NORTH, _CENTRE, _EAST, _SOUTH, _WEST = (0.45, 0.80), (0.50, 0.52), (0.80, 0.58), (0.55, 0.22), (0.20, 0.45)

CREWS: dict[str, tuple[Crew, ...]] = {
    "ro": (
        Crew("F11", "ASAS", "Nord", _NORTH, 5),
        Crew("F12", "ASAS", "Nord", _NORTH, 4),
        Crew("F21", "ASAS", "Sud", _SOUTH, 5),
        Crew("F31", "ASAS", "Vest", _WEST, 5),
        Crew("C10", "APIC", "Nord", _NORTH, 2),
        Crew("S14", "ASM", "Nord", _NORTH, 3, "nord-scara"),
        Crew("D15", "DESC", "Nord", _NORTH, 3, "nord-scara"),
        Crew("K16", "CBRN", "Nord", _NORTH, 4),
        Crew("W22", "SCAF", "Sud", _SOUTH, 3),
        Crew("A12", "TIM", "Nord", _NORTH, 4),
        Crew("A23", "EPA", "Sud", _SOUTH, 3),
        Crew("A33", "EPA", "Vest", _WEST, 3),
        Crew("A41", "B2", "Ambulanță", _EAST, 2),
        Crew("A42", "B2", "Ambulanță", _EAST, 2),
        Crew("A43", "C2", "Ambulanță", _EAST, 3),
        Crew("P51", "PN", "Poliție", _CENTRE, 2),
        Crew("P52", "PN", "Poliție", _EAST, 2),
        Crew("P53", "PN", "Poliție", _WEST, 2),
        Crew("J61", "JD", "Jandarmi", _CENTRE, 4),
        Crew("L71", "PL", "Poliția Locală", _CENTRE, 2),
        Crew("L72", "PL", "Poliția Locală", _NORTH, 2),
        Crew("L73", "PL", "Poliția Locală", _SOUTH, 2),
        Crew("L74", "PL", "Poliția Locală", _EAST, 2),
        Crew("V81", "SV", "SVSU", _WEST, 4),
        Crew("V82", "SV", "SVSU", _SOUTH, 4),
        Crew("I91", "IL", "Iluminat", _CENTRE, 2),
        Crew("R92", "DR", "Drumuri", _NORTH, 3),
        Crew("R93", "DR", "Drumuri", _SOUTH, 3),
    ),
    "generic": (
        Crew("E11", "ENGINE", "North", _NORTH, 5),
        Crew("E21", "ENGINE", "South", _SOUTH, 5),
        Crew("T12", "LADDER", "North", _NORTH, 4),
        Crew("M31", "AMB", "East", _EAST, 3),
        Crew("M32", "AMB", "West", _WEST, 3),
        Crew("P41", "PATROL", "Centre", _CENTRE, 2),
        Crew("P42", "PATROL", "East", _EAST, 2),
    ),
}


def seed(config: Config) -> list[dict[str, str]]:
    """Make the demo's accounts and crews where they are missing; returns the logins."""
    core = open_core(config)
    try:
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
        for crew in CREWS.get(core.pack.name, ()):
            if crew.type in core.pack.unit_types and core.picture.now.unit(crew.unit) is None:
                _register(core, crew)
    finally:
        core.close()
    return [{k: login[k] for k in ("name", "password", "role")} for login in LOGINS]


def _register(core: Core, crew: Crew) -> None:
    door = core.door
    door.submit(
        c.RegisterUnit(
            id=f"demo-unit-{crew.unit}",
            source=SOURCE,
            unit=crew.unit,
            type=crew.type,
            station=crew.station,
            district=core.config.district,
            crew=crew.crew,
            crew_id=crew.crew_id,
            talkgroup=f"TG-{crew.station}",
            base=_base(core, crew),
        ),
        SEEDER,
    )
    door.submit(
        c.ReportStatus(id=f"demo-status-{crew.unit}", source=SOURCE, unit=crew.unit, status="available"),
        SEEDER,
    )


def _base(core: Core, crew: Crew) -> c.Place | None:
    """Where the unit waits: on a street near its station's place, each a little apart from its neighbours."""
    if core.city is None:
        return None
    west, south, east, north = core.city.info.bbox
    spread = sum(map(ord, crew.unit)) % 7 / 7 - 0.5
    lon = west + (east - west) * (crew.at[0] + 0.06 * spread)
    lat = south + (north - south) * (crew.at[1] - 0.04 * spread)
    near = core.city.addresses.reverse(lon, lat)
    if near is not None:
        lon, lat = near.lon, near.lat
    return c.Place(lon, lat)


class Parked:
    """The demo crews' own radios: each tells its place while it waits at its station.

    Fakes the edge of the world only (the satellite receiver in the vehicle), and stops for a unit as soon
    as anybody else reports its position.
    """

    def __init__(self, core: Core, every_s: float = 5.0) -> None:
        self._core = core
        self._every_us = round(every_s * 1_000_000)
        self._next_us = 0

    def step(self) -> None:
        now_us = self._core.world.clock.now_us()
        if now_us < self._next_us:
            return
        self._next_us = now_us + self._every_us
        known = {crew.unit for crew in CREWS.get(self._core.pack.name, ())}
        fixes = []
        for unit in self._core.picture.now.units():
            if unit.id not in known or unit.base is None:
                continue
            last = self._core.tracks.last(unit.id)
            if last is None or last.source == SOURCE:
                fixes.append(Fix(unit.id, unit.base[0], unit.base[1], now_us, 0.0, None, 10.0))
        if fixes:
            self._core.tracks.accept(fixes, SOURCE, now_us)
