"""The running sheet: all that a control room needs to go on by paper, as one printable page a language.

The keeper writes it each minute into `var/sheet/`, so that it is there when nothing else answers. It needs no
script and no other file: whoever can open a file, or print one, can work from it.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from html import escape
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app import demo
from app.core import Core
from app.detours import streets_of
from app.log import write_durably
from app.rows import Rows
from app.words import LANGUAGES, Words, words_in
from dispatch.closure import Closure
from dispatch.commands import who
from dispatch.incident import Incident
from dispatch.plans import Pack
from dispatch.unit import Unit
from gis.local_time import zone_of

EVERY_S = 60.0
LATE_S = 150.0
"""How old a sheet is when nobody is writing it any more."""
BLANK_LINES = 14
log = logging.getLogger("straja.sheet")

AGE_MARK = "<!--age-->"
"""Where the age is put in when the sheet is served: the file itself cannot know when it is read."""

STYLE = """
@page { size: A4 landscape; margin: 9mm; }
* { box-sizing: border-box; }
body { font: 13px/1.35 system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif; color: #000; background: #fff;
  margin: 0 auto; padding: 10px 14px; max-width: 1240px; }
h1 { font-size: 19px; margin: 0; } h2 { font-size: 15px; margin: 16px 0 5px; border-bottom: 2px solid #000; }
h3 { font-size: 14px; margin: 0; } p { margin: 2px 0; overflow-wrap: anywhere; }
.made { font-weight: 700; } .late { border: 3px solid #000; padding: 4px 8px; font-weight: 700; }
.case { border: 1px solid #000; padding: 5px 8px; margin: 0 0 7px; break-inside: avoid; }
.where { font-size: 16px; font-weight: 700; }
table { border-collapse: collapse; width: 100%; margin: 4px 0; }
th, td { border: 1px solid #666; padding: 2px 5px; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { background: #e4e4e4; } thead { display: table-header-group; } tr { break-inside: avoid; }
.blank td { height: 9mm; } .num { font-variant-numeric: tabular-nums; white-space: nowrap; }
@media print { a { color: inherit; text-decoration: none; } .screen { display: none; } }
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes a sheet is for: which incidents, and which of them with personal data."""

    sees: Callable[[Incident], bool]
    personal: Callable[[Incident], bool]


EVERYBODY = Reader(lambda _: True, lambda _: True)


def path_of(var: Path, language: str) -> Path:
    """Where the keeper writes the sheet in that language."""
    return var / "sheet" / f"running-{language}.html"


def made_us(page: str) -> int:
    """When a sheet was written, in microseconds since 1970: it says so itself, wherever it was copied to.
    ValueError for a page that is none."""
    found = re.search(r'<meta name="made-us" content="(\d+)">', page)
    if found is None:
        raise ValueError("not a running sheet")
    return int(found[1])


def with_age(page: str, age_s: float, words: Words) -> str:
    """The sheet as it is handed out, saying how old it is, and loudly when nobody writes it any more."""
    args = {"age": words.time(max(0.0, age_s))}
    kind, key = ("late", "sheet-age-late") if age_s > LATE_S else ("screen", "sheet-age")
    return page.replace(AGE_MARK, f'<p class="{kind}">{escape(words.say(key, args))}</p>', 1)


class Sheets:
    """Writes the sheet in every language, each minute, or at once when it has not been written yet."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._rows = Rows(core.picture, core.vault, core.tracks, core.pack)
        self._next_s = -math.inf

    def step(self) -> bool:
        """Write it if a minute has passed; whether it was written. OSError or a database error is told in the
        log, and tried again at the next step: paper must never hold up a deadline."""
        now_s = self._core.world.clock.monotonic_s()
        if now_s < self._next_s:
            return False
        try:
            for language in LANGUAGES:
                path = path_of(self._core.config.var, language)
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_durably(path, page(self._core, self._rows, language, EVERYBODY))
        except (OSError, SQLAlchemyError) as error:
            log.warning("the running sheet cannot be written: %s", getattr(error, "orig", error))
            return False
        self._next_s = now_s + EVERY_S
        return True


def keep_writing(core: Core, mine: Callable[[], bool], pause: Callable[[float], bool]) -> None:
    """Write the sheets, and each day's register once it is over, until `pause(seconds)` returns true; `mine`
    tells whether this is the keeper."""
    from app.register import Registers

    sheets, registers = Sheets(core), Registers(core)
    while True:
        if mine():
            sheets.step()
            registers.step()
        if pause(1.0):
            return


def city_zone(core: Core) -> tzinfo:
    """The local time of the city in use, UTC without one."""
    city = core.city
    return UTC if city is None else zone_of(*city.info.centre)


def page(core: Core, rows: Rows, language: str, reader: Reader) -> str:
    """The sheet as HTML, with `AGE_MARK` for `with_age`. Raises SQLAlchemyError where the database that holds
    addresses is away."""
    say = words_in(language)
    zone = city_zone(core)
    state = core.picture.now
    now_us = core.world.clock.now_us()
    incidents = sorted(
        (x for x in state.incidents() if x.open and reader.sees(x)),
        key=lambda x: (x.acknowledged_us is not None, x.priority, x.reported_us),
    )
    units = sorted(
        (x for x in state.units() if x.status != "off_duty"), key=lambda x: (x.station, x.type, x.id)
    )
    closures = sorted(
        (x for x in state.closures() if x.holds(now_us)), key=lambda x: (not x.reroutes, x.reported_us)
    )
    writer = _Writer(core, rows, say, zone, now_us)
    head = writer.head(len(incidents), len(units), len(closures))
    opened = dict(
        zip(
            (x.id for x in incidents),
            (rows.incident(x, personal=reader.personal(x)) for x in incidents),
            strict=True,
        )
    )
    body = [
        head,
        writer.title("sheet-incidents", len(incidents)),
        *(writer.case(x, opened[x.id]) for x in incidents),
        writer.title("sheet-units", len(units)),
        writer.units(units),
        writer.title("sheet-closures", len(closures)),
        writer.closures(closures),
        writer.title("sheet-by-hand", BLANK_LINES),
        f"<p>{escape(say.say('sheet-by-hand-how'))}</p>",
        writer.blank(),
    ]
    title = escape(say.say("sheet-title", {"station": core.config.station_name}))
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="made-us" content="{now_us}">\n'
        f'<meta http-equiv="refresh" content="30">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{''.join(body)}\n</body>\n</html>\n"
    )


class _Writer:
    """Puts entities into the sheet's words."""

    def __init__(self, core: Core, rows: Rows, say: Words, zone: tzinfo, now_us: int) -> None:
        self._core = core
        self._rows = rows
        self._say = say
        self._zone = zone
        self._now_us = now_us
        self._pack: Pack = core.pack

    def _t(self, key: str, **args: Any) -> str:
        return escape(self._say.say(key, args))

    def _name(self, among: Any, code: str) -> str:
        """What the pack calls it; the code where it does not know it."""
        found = among.get(code)
        return escape(str(found.names[self._say.language]) if found is not None else code)

    def _time(self, at: int | str | None) -> str:
        """Local wall-clock time, with the day where it is not today's."""
        if at is None:
            return "–"
        when = (
            datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at / 1e6, UTC)
        ).astimezone(self._zone)
        today = datetime.fromtimestamp(self._now_us / 1e6, UTC).astimezone(self._zone).date()
        return f"{when:%H:%M}" if when.date() == today else f"{when:%Y-%m-%d %H:%M}"

    def head(self, incidents: int, units: int, closures: int) -> str:
        made = datetime.fromtimestamp(self._now_us / 1e6, UTC)
        made_words = self._t(
            "sheet-made",
            local=f"{made.astimezone(self._zone):%Y-%m-%d %H:%M:%S}",
            utc=f"{made:%H:%M:%S}",
        )
        covers = self._t(
            "sheet-covers",
            incidents=incidents,
            units=units,
            closures=closures,
            position=self._core.picture.position,
        )
        station = self._core.config.station_name
        mark = f'<p class="late">{self._t("sheet-demo")}</p>' if demo.is_on(self._core) else ""
        return (
            f"<h1>{self._t('sheet-title', station=station)}</h1>{mark}"
            f'<p class="made num">{made_words}</p>{AGE_MARK}<p>{covers}</p>'
            f"<p>{self._t('sheet-not-covered')}</p>"
        )

    def title(self, key: str, n: int) -> str:
        return f"<h2>{self._t(key, n=n)}</h2>"

    def case(self, x: Incident, row: dict[str, Any]) -> str:
        caller = row["caller"] or {}
        lines = [
            f"<h3>{escape(x.number)} · {self._name(self._pack.priorities, x.priority)} · "
            f"{self._name(self._pack.incident_types, x.type)} · "
            f"{self._t('sheet-reported', at=self._time(x.reported_us), by=who(x.reported_by))}</h3>",
            f'<p class="where">{escape(row["address"] or self._t("sheet-coarse"))}</p>',
        ]
        if row["lon"] is not None:
            lines.append(f'<p class="num">{row["lat"]:.5f}, {row["lon"]:.5f}</p>')
        seen = (
            self._t("sheet-acknowledged", at=self._time(x.acknowledged_us), by=who(x.acknowledged_by))
            if x.acknowledged_us is not None
            else f"<b>{self._t('sheet-unacknowledged')}</b>"
        )
        more = [seen, self._t("sheet-level", level=x.alarm_level)]
        if x.talkgroup:
            more.append(self._t("sheet-talkgroup", name=x.talkgroup))
        if x.staging:
            more.append(self._t("sheet-staging"))
        more += [f"{escape(agency)} {escape(number)}" for agency, number in x.case_numbers]
        lines.append(f"<p>{' · '.join(more)}</p>")
        if caller:
            told = ", ".join(escape(caller[part]) for part in ("name", "phone") if caller.get(part))
            lines.append(f"<p>{self._t('sheet-caller')} <b>{told}</b></p>")
        if row["description"]:
            lines.append(f"<p>{escape(row['description'])}</p>")
        lines.append(self._sent(x, row))
        missing = row["plan"]["missing"]
        if missing:
            named = ", ".join(
                f"{count} × {self._name(self._pack.capabilities, code)}" for code, count in missing.items()
            )
            lines.append(f"<p><b>{self._t('sheet-missing')}</b> {named}</p>")
        lines += [
            f'<p><span class="num">{self._time(note["at"])}</span> {escape(note["by"])}: '
            f"{escape(note['text'])}</p>"
            for note in row["notes"][-4:]
            if note["text"]
        ]
        return f'<section class="case">{"".join(lines)}</section>'

    def _sent(self, x: Incident, row: dict[str, Any]) -> str:
        steps = ("assigned", "en_route", "on_scene", "transporting", "at_hospital")
        lines = [
            (a["unit"], self._name(self._pack.statuses, a["status"]), [a["times"].get(s) for s in steps])
            for a in row["assignments"]
        ]
        lines += [
            (r["unit"], self._t(f"sheet-request-{r['state']}", at=self._time(r["answer_by"])), [None] * 5)
            for r in row["requests"]
            if r["state"] in ("asked", "no_answer", "refused")
        ]
        if not lines:
            return f"<p><b>{self._t('sheet-nobody-sent')}</b></p>"
        heads = [self._t("sheet-unit"), self._t("sheet-status")]
        heads += [self._name(self._pack.statuses, step) for step in steps]
        cells = (
            [f"<b>{escape(unit)}</b>", status, *(self._time(at) if at else "" for at in times)]
            for unit, status, times in lines
        )
        return _table(heads, cells)

    def units(self, units: list[Unit]) -> str:
        state = self._core.picture.now
        heads = ("unit", "type", "status", "since", "incident", "station", "crew", "talkgroup")

        def incident(x: Unit) -> str:
            found = state.incident(x.incident) if x.incident else None
            return escape(found.number) if found is not None else ""

        cells = (
            [
                f"<b>{escape(x.id)}</b>",
                self._name(self._pack.unit_types, x.type),
                self._name(self._pack.statuses, x.status),
                self._time(x.status_us),
                incident(x),
                escape(x.station),
                str(x.crew),
                escape(x.talkgroup or ""),
            ]
            for x in units
        )
        return _table([self._t(f"sheet-{name}") for name in heads], cells)

    def closures(self, closures: list[Closure]) -> str:
        def reason(x: Closure) -> str:
            return escape(self._rows.closure(x, (), personal=True)["reason"] or "")

        heads = ("closure", "closure-state", "streets", "until", "reason")
        cells = (
            [
                self._t(f"sheet-kind-{x.kind}"),
                self._t(f"sheet-closure-{x.state}"),
                escape(", ".join(streets_of(self._core, x))),
                self._time(x.ends_us) if x.ends_us is not None else self._t("sheet-until-withdrawn"),
                reason(x),
            ]
            for x in closures
        )
        return _table([self._t(f"sheet-{name}") for name in heads], cells)

    def blank(self) -> str:
        """Lines to write on; they have the columns of the catch-up form."""
        heads = ("call-at", "where", "what", "caller", "unit", "sent-at", "scene-at", "free-at", "closed-at")
        titles = [self._t(f"sheet-{name}") for name in heads]
        cells: Iterable[list[str]] = ([""] * len(heads) for _ in range(BLANK_LINES))
        return _table(titles, cells, "blank")


def _table(heads: list[str], rows: Iterable[list[str]], kind: str = "") -> str:
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    marked = f' class="{kind}"' if kind else ""
    return f"<table{marked}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
