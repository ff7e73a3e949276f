"""The operator's pack: who there is, what can happen, and what each kind of incident needs.

A pack is one file that the operator edits (``packs/ro.yaml``). This module gets it already parsed, as plain
mappings, lists, texts and numbers, and either returns a :class:`Pack` that the rest of the program can trust
without looking again, or raises one :class:`PackError` that lists *every* fault with its path::

    incident_types[3].needs.doctr: unknown capability; did you mean doctor?

Two vocabularies belong to the program and not to the operator, because code depends on them: the priorities
P1..P4 and the twelve unit statuses. Their words, time limits and targets are the operator's.
Every ``*_s`` is in whole seconds. Response targets are the operator's configuration, not clinical fact.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import MappingProxyType
from typing import Any, TypeVar

PRIORITIES = ("P1", "P2", "P3", "P4")
STATUSES = (
    "off_duty", "out_of_service", "available", "assigned", "acknowledged", "en_route", "staged", "on_scene",
    "transporting", "at_hospital", "returning", "recovering",
)  # fmt: skip
COMMANDS = ("owned", "requested", "source")
SENDABLE = ("now", "divert", "soon", "never")
LIGHT_RULES = ("boost", "ask", "freeze", "none")
PROFILES = ("car", "fire_engine", "ambulance", "bus", "air")
AREAS = ("urban", "rural")
RULE_KINDS = ("reassign", "move_up")
REQUIRED_LANGUAGES = ("ro", "en")
OPTIMISER_WEIGHTS: Mapping[str, float] = MappingProxyType({"P1": 8.0, "P2": 4.0, "P3": 2.0, "P4": 1.0})
OPTIMISER_DELTA_S: Mapping[str, int] = MappingProxyType({"P1": 60, "P2": 120, "P3": 300})
LIGHTS_DEFAULT = frozenset({"P1", "P2"})
TARGET_S_DEFAULT: Mapping[str, int | None] = MappingProxyType({"P1": 480, "P2": 900, "P3": 1800, "P4": None})
ACKNOWLEDGE_S_DEFAULT: Mapping[str, int | None] = MappingProxyType(
    {"P1": 20, "P2": 45, "P3": 120, "P4": None}
)

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_LANGUAGE = re.compile(r"[a-z]{2}")
_NAME_LENGTH_MAX = 160
_CEDILLA = {"\u015e": "Ș", "\u015f": "ș", "\u0162": "Ț", "\u0163": "ț"}

Names = Mapping[str, str]
Counts = Mapping[str, int]


class PackError(ValueError):
    """The pack cannot be used. ``faults`` lists every fault as "path: what is wrong, what is allowed"."""

    def __init__(self, faults: Collection[str]) -> None:
        self.faults = tuple(faults)
        many = len(self.faults)
        super().__init__(f"{many} fault{'' if many == 1 else 's'} in the pack:\n" + "\n".join(self.faults))


@dataclass(frozen=True, slots=True)
class Agency:
    """``command``: owned = the city gives it orders; requested = the city asks and the agency decides;
    source = it only passes cases on (a 112 centre) and has no units here."""

    code: str
    names: Names
    command: str


@dataclass(frozen=True, slots=True)
class Partner:
    """A body reached by telephone. ``gives`` is the one capability it brings, if any."""

    code: str
    names: Names
    gives: str | None


@dataclass(frozen=True, slots=True)
class Capability:
    code: str
    names: Names


@dataclass(frozen=True, slots=True)
class Priority:
    """``rank`` 1 is the most urgent. ``target_s``: wanted time from report to first arrival, None = none.
    ``medical_code`` is the medical dispatcher's separate code that usually goes with it, None = none.
    ``lights``: units whose type may drive with priority signals do so to an incident of this priority.
    ``acknowledge_s``: one that nobody has taken over for so long is called out until somebody has, None =
    never."""

    code: str
    names: Names
    medical_code: str | None
    rank: int
    target_s: int | None
    lights: bool
    acknowledge_s: int | None


@dataclass(frozen=True, slots=True)
class MedicalCode:
    code: str
    names: Names


@dataclass(frozen=True, slots=True)
class Status:
    """``sendable``: now | divert (a person confirms) | soon (with a ready-at time) | never.
    ``next``: the statuses that normally follow. ``overdue_s``: alert when it lasts longer. ``par_s``: how
    often the crew is asked whether all are well. ``silent_s``: contact with a crew that has shown no position
    and pressed nothing for so long counts as lost."""

    code: str
    names: Names
    sendable: str
    next: tuple[str, ...]
    overdue_s: int | None
    silent_s: int | None
    par_s: int | None
    reason_required: bool
    needs_hospital: bool
    wants_ready_at: bool


@dataclass(frozen=True, slots=True)
class Flag:
    """Stands beside a status, never instead of it."""

    code: str
    names: Names


@dataclass(frozen=True, slots=True)
class AlarmLevel:
    level: int
    names: Names


@dataclass(frozen=True, slots=True)
class Overlay:
    """Something another authority declares, shown on the incident (a mass-casualty plan)."""

    code: str
    names: Names


@dataclass(frozen=True, slots=True)
class ResponseTarget:
    """A published service level: ``crew`` (a capability) there within ``within_s`` in ``share_pct`` %."""

    crew: str
    area: str
    within_s: int
    share_pct: int


@dataclass(frozen=True, slots=True)
class Optimiser:
    """How a choice is weighed (docs/optimiser.md). The unit of all is one late call of weight 1.

    ``weights`` by priority. Lateness is an S-curve ``width_s`` wide around the priority's ``target_s``, plus
    ``per_minute`` for each minute; the first arrival counts ``first_due`` times more; one unit more must be
    worth ``unit_worth_s``. ``coverage``: what one call that is expected to find nobody in reach, while the
    unit is away for ``away_s``, weighs; 0 = closest first. ``delta_s`` by priority: how much later than the
    soonest a unit may be for the sake of coverage; a priority that is not named has no such limit.
    ``tie_s``: how many seconds a unit's workload, and its shift's end, may weigh at most."""

    weights: Mapping[str, float]
    width_s: int
    per_minute: float
    first_due: float
    unit_worth_s: int
    coverage: float
    away_s: int
    delta_s: Mapping[str, int]
    tie_s: int


@dataclass(frozen=True, slots=True)
class Driving:
    """What driving with priority signals allows here: by how many per cent it is faster than without; whether
    ways for buses are open to it; whether it goes against one-way streets, and then at most how fast."""

    faster_pct: int
    bus_lanes: bool
    contra_flow: bool
    contra_flow_kmh: int


@dataclass(frozen=True, slots=True)
class Standby:
    """When idle units move to cover a gap. The defaults were tuned in the simulator (docs/simulate.md) on
    seeds that no published figure uses.

    ``at_once``        most units that one situation may set moving
    ``least_gain_pct`` least rise of the expected coverage that is worth a move, in % of one unit's part of
                       all demand: the hysteresis, without which two posts would swap units for ever
    ``rolling_gain_pct``  the same for a unit that drives to a post anyway, and is only sent to another
    ``horizon_s``      how long a situation is expected to last: a third of it on the way, a third less gained
    ``longest_s``      longest drive to ask for
    ``second_s``       a move that two units share must bring the later one there that much sooner
    ``rest_s``, ``per_watch``  a unit that was moved is left alone for so long, and moved so often in twelve
                       hours at the most (the caller keeps the time)
    ``throttle_from``, ``off_at``  busy share of the units at which moves become fewer, and stop
    """

    at_once: int = 1
    least_gain_pct: float = 24.0
    rolling_gain_pct: float = 16.0
    horizon_s: float = 1800.0
    longest_s: float = 1500.0
    second_s: float = 300.0
    rest_s: float = 1800.0
    per_watch: int = 6
    throttle_from: float = 0.4
    off_at: float = 0.8


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether proposals of a kind are accepted without a person: `accept` at all, `per_hour` at the most, on
    whose `authority`, and `in_demo` also for units and incidents that are none. Owned units only, always."""

    kind: str
    accept: bool
    per_hour: int
    authority: str
    in_demo: bool


@dataclass(frozen=True, slots=True)
class UnitType:
    """``crew_min``: fewest people for its capabilities to count. ``turnout_s``: from order to wheels rolling.
    ``lights``: may drive with priority signals. ``shares_crew``: types often manned by the same people.
    ``core``: part of the demonstration city."""

    code: str
    names: Names
    agency: str
    gives: frozenset[str]
    crew_min: int
    turnout_s: int
    lights: bool
    profile: str
    shares_crew: tuple[str, ...]
    core: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to a question; ``priority`` is what it asks for, None where it says nothing about it."""

    code: str
    names: Names
    priority: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a caller, with the answers to choose from, by code."""

    code: str
    names: Names
    answers: Mapping[str, Reply]


@dataclass(frozen=True, slots=True)
class Check:
    """Something to be done about an incident. ``from_level``: only from that alarm level on. ``within_s``: so
    long after the report it is overdue; None: whenever."""

    code: str
    names: Names
    from_level: int
    within_s: int | None


@dataclass(frozen=True, slots=True)
class IncidentType:
    """``units``: the usual first sending; ``needs``: capability -> units that must have it, one unit may
    cover several; ``needs_at``: priority -> needs that replace ``needs`` at that priority; ``levels``: alarm
    level -> units it adds. ``light``: boost | ask | freeze | none. ``stage``: crews wait until the scene is
    called safe."""

    code: str
    names: Names
    priority: str
    medical_code: str | None
    units: Counts
    needs: Counts
    needs_at: Mapping[str, Counts]
    levels: Mapping[int, Counts]
    notify: tuple[str, ...]
    light: str
    stage: bool
    par_s: int | None
    suspected: bool
    quiet: bool
    no_callback: bool
    planned: bool
    closes_road: bool
    tell_public: bool
    may_raise: str | None
    protocol: tuple[str, ...]
    """Codes of the questions to ask the caller, in order."""
    checklist: tuple[str, ...]
    """Codes of what is to be done about it, in order."""
    ask: tuple[str, ...]
    phone_guidance: str | None
    procedure: str | None


@dataclass(frozen=True, slots=True)
class Pack:
    """A whole, checked pack. All mappings are read-only and keep the order of the file."""

    name: str
    names: Names
    version: str
    languages: tuple[str, ...]
    agencies: Mapping[str, Agency]
    partners: Mapping[str, Partner]
    capabilities: Mapping[str, Capability]
    priorities: Mapping[str, Priority]
    medical_codes: Mapping[str, MedicalCode]
    statuses: Mapping[str, Status]
    flags: Mapping[str, Flag]
    alarm_levels: Mapping[int, AlarmLevel]
    overlays: Mapping[str, Overlay]
    response_targets: tuple[ResponseTarget, ...]
    driving: Driving
    unit_types: Mapping[str, UnitType]
    questions: Mapping[str, Question]
    checks: Mapping[str, Check]
    incident_types: Mapping[str, IncidentType]
    optimiser: Optimiser
    standby: Standby
    rules: Mapping[str, Rule]

    def needs(self, type: str, priority: str, alarm_level: int = 1) -> dict[str, int]:
        """Capability -> how many units must have it.

        Level 1 is the type's ``needs_at[priority]`` where the operator wrote one, else its ``needs``. Each
        level from 2 up to ``alarm_level`` then adds, for every unit that level sends, one of each capability
        that the unit's type gives: two ASAS that give fire_suppression and foam add 2 to both. A level that
        the type does not list adds nothing. ValueError names an unknown type, priority or level.
        """
        if type not in self.incident_types:
            raise ValueError(f"unknown incident type {type!r}")
        if priority not in self.priorities:
            raise ValueError(f"unknown priority {priority!r}; allowed: {', '.join(PRIORITIES)}")
        if alarm_level not in self.alarm_levels:
            allowed = ", ".join(map(str, self.alarm_levels))
            raise ValueError(f"unknown alarm level {alarm_level!r}; allowed: {allowed}")
        kind = self.incident_types[type]
        needed = dict(kind.needs_at.get(priority, kind.needs))
        for level in sorted(kind.levels):
            if level <= alarm_level:
                for unit_type, count in kind.levels[level].items():
                    for capability in sorted(self.unit_types[unit_type].gives):
                        needed[capability] = needed.get(capability, 0) + count
        return needed

    def triage(self, type: str, answers: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
        """The priority that follows from the answers to the type's questions, and from which questions; None
        where none of them says any. The most urgent answer counts. Below the type's own priority it goes only
        when every question that could still raise it has been answered."""
        kind = self.incident_types[type]
        asked = [self.questions[code] for code in kind.protocol if code in self.questions]
        said = {
            one.code: reply.priority
            for one in asked
            if (reply := one.answers.get(answers.get(one.code, ""))) is not None
        }
        named = {code: priority for code, priority in said.items() if priority is not None}
        if not named:
            return None, ()
        urgent = min(named.values())
        open_still = [
            one
            for one in asked
            if one.code not in said and any(x.priority and x.priority < urgent for x in one.answers.values())
        ]
        if urgent > kind.priority and open_still:
            return None, ()
        return urgent, tuple(code for code, priority in named.items() if priority == urgent)

    def sendable(self, status: str) -> str:
        """How a unit in this status may be sent; never in one that a newer program wrote."""
        return self.statuses[status].sendable if status in self.statuses else "never"

    def following(self, status: str) -> tuple[str, ...]:
        """The statuses that normally follow; none after one that a newer program wrote."""
        return self.statuses[status].next if status in self.statuses else ()

    def drives_with_priority(self, lights: bool, priority: str) -> bool:
        """Whether a unit that may use priority signals (its type's ``lights``) does so to an incident of this
        priority."""
        return lights and priority in self.priorities and self.priorities[priority].lights

    def command(self, unit_type: str) -> str:
        """owned | requested: whether the city orders units of this type or asks their agency for them."""
        return self.agencies[self.unit_types[unit_type].agency].command

    def catalogue(self) -> dict[str, Any]:
        """The pack as JSON-able data. Each section is a list in the order of the file; an entry carries its
        ``code`` (an alarm level its ``level``) and its names flat, as ``ro`` and ``en``."""
        listed: dict[str, Mapping[Any, Any]] = {
            "agencies": self.agencies,
            "partners": self.partners,
            "capabilities": self.capabilities,
            "priorities": self.priorities,
            "medical_codes": self.medical_codes,
            "statuses": self.statuses,
            "status_flags": self.flags,
            "alarm_levels": self.alarm_levels,
            "overlays": self.overlays,
            "unit_types": self.unit_types,
            "questions": self.questions,
            "checks": self.checks,
            "incident_types": self.incident_types,
        }
        return {
            "pack": self.name,
            **self.names,
            "version": self.version,
            "languages": list(self.languages),
            **{section: [_plain(entry) for entry in entries.values()] for section, entries in listed.items()},
            "response_targets": _plain(self.response_targets),
            "optimiser": _plain(self.optimiser),
            "standby": _plain(self.standby),
            "driving": _plain(self.driving),
        }


def load_pack(raw: Mapping[str, Any]) -> Pack:
    """The pack held in ``raw`` (the parsed file). Raises PackError listing every fault at once.

    A parser of YAML or JSON silently keeps the last of two equal keys, so a caller that reads text must
    refuse repeated keys itself; equal codes that reach this function (lists, letter case) are refused here.
    """
    reader = _Reader()
    pack = reader.pack(raw)
    if reader.faults or pack is None:
        raise PackError(reader.faults)
    return pack


def _plain(value: object) -> Any:
    if is_dataclass(value):
        plain: dict[str, Any] = {}
        for one in fields(value):
            inner = getattr(value, one.name)
            plain.update(inner) if one.name == "names" else plain.update({one.name: _plain(inner)})
        return plain
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value


_T = TypeVar("_T")
_ANNOTATIONS = ("src", "note")
_REQUIRED = object()


@dataclass
class _Entry:
    """One mapping of the file, read key by key; what nobody read is an unknown key."""

    reader: _Reader
    path: str
    raw: Mapping[str, Any]
    known: set[str] = field(default_factory=set)

    def fault(self, key: str, message: str) -> None:
        self.reader.fault(f"{self.path}.{key}" if self.path else key, message)

    def get(self, key: str, default: object) -> Any:
        """The raw value, or ``default``. A missing required key is a fault and reads as None."""
        self.known.add(key)
        if key in self.raw:
            return self.raw[key]
        if default is _REQUIRED:
            self.fault(key, "missing; it is required")
            return None
        return default

    def text(self, key: str, default: object = _REQUIRED) -> str:
        value = self.get(key, default)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            self.fault(key, f"must be a text that is not empty, not {_show(value)}")
        return value if isinstance(value, str) else ""

    def optional_text(self, key: str) -> str | None:
        return self.text(key, None) or None

    def whole(self, key: str, least: int, most: int, default: object = _REQUIRED) -> int:
        value = self.get(key, default)
        return self.reader.whole(f"{self.path}.{key}", value, least, most) if value is not None else 0

    def optional_whole(self, key: str, least: int, most: int) -> int | None:
        return self.whole(key, least, most, None) if self.raw.get(key) is not None else self.get(key, None)

    def number(self, key: str, least: float, most: float, default: object = _REQUIRED) -> float:
        value = self.get(key, default)
        return self.reader.number(f"{self.path}.{key}", value, least, most) if value is not None else least

    def yes(self, key: str, default: object = False) -> bool:
        value = self.get(key, default)
        if value is not None and not isinstance(value, bool):
            self.fault(key, f"must be true or false, not {_show(value)}")
        return value is True

    def one_of(self, key: str, allowed: Collection[str], what: str, default: object = _REQUIRED) -> str:
        value = self.get(key, default)
        if value is None:
            return ""
        return self.reader.known_code(f"{self.path}.{key}", value, allowed, what)

    def optional_one_of(self, key: str, allowed: Collection[str], what: str) -> str | None:
        return self.one_of(key, allowed, what, None) or None

    def texts(
        self, key: str, allowed: Collection[str] | None, what: str, default: object = ()
    ) -> tuple[str, ...]:
        value = self.get(key, default)
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)):
            self.fault(key, f"must be a list, not {_show(value)}")
            return ()
        read: list[str] = []
        for index, one in enumerate(value):
            path = f"{self.path}.{key}[{index}]"
            if allowed is not None:
                one = self.reader.known_code(path, one, allowed, what)
            elif not isinstance(one, str) or not one.strip():
                self.reader.fault(path, f"must be a text that is not empty, not {_show(one)}")
                continue
            if one and one in read:
                self.reader.fault(path, f"{one} is listed twice")
            elif one:
                read.append(one)
        return tuple(read)

    def counts(self, key: str, allowed: Collection[str], what: str) -> Counts:
        return self.reader.counts(f"{self.path}.{key}", self.get(key, _REQUIRED), allowed, what)

    def mapping(self, key: str) -> Mapping[Any, Any]:
        value = self.get(key, None)
        if value is None:
            return {}
        return self.reader.mapping(f"{self.path}.{key}", value)

    def names(self, languages: Collection[str]) -> Names:
        return MappingProxyType({language: self._name(language) for language in languages})

    def _name(self, language: str) -> str:
        self.known.add(language)
        value = self.raw.get(language)
        if value is None:
            self.fault(language, f'missing; "{language}" is a declared language, so every name needs it')
            return ""
        if not isinstance(value, str) or not value.strip():
            self.fault(language, f"must be a text that is not empty, not {_show(value)}")
            return ""
        value = unicodedata.normalize("NFC", value)
        if len(value) > _NAME_LENGTH_MAX:
            self.fault(language, f"is {len(value)} characters long; at most {_NAME_LENGTH_MAX} are allowed")
        if value != value.strip() or any(unicodedata.category(one) == "Cc" for one in value):
            self.fault(language, "must be one line without spaces at its ends")
        if language == "ro":
            for wrong in sorted(set(value) & set(_CEDILLA)):
                right = _CEDILLA[wrong]
                self.fault(
                    language,
                    f'"{wrong}" (U+{ord(wrong):04X}) has a cedilla; '
                    f'write "{right}" (U+{ord(right):04X}, comma below) in "{value}"',
                )
        return value

    def done(self) -> None:
        """Report the keys that nobody asked for. Call it after the last read."""
        for key in self.raw:
            if key in _ANNOTATIONS:
                if not isinstance(self.raw[key], str):
                    self.fault(key, f"must be a text, not {_show(self.raw[key])}")
            elif key not in self.known:
                self.fault(str(key), f"unknown key{_meant(key, self.known)}")


class _Reader:
    """Reads the sections in the order in which they refer to each other and collects the faults."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.languages: tuple[str, ...] = REQUIRED_LANGUAGES

    def fault(self, path: str, message: str) -> None:
        self.faults.append(f"{path}: {message}")

    def mapping(self, path: str, value: object) -> Mapping[Any, Any]:
        if isinstance(value, Mapping):
            return value
        self.fault(path, f"must be a mapping of keys to values, not {_show(value)}")
        return {}

    def whole(self, path: str, value: object, least: int, most: int) -> int:
        # True and False are whole numbers to Python, but never to a person who edits a pack.
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault(path, f"must be a whole number from {least} to {most}, not {_show(value)}")
            return least
        if not least <= value <= most:
            self.fault(path, f"is {value}; it must be from {least} to {most}")
            return least
        return value

    def number(self, path: str, value: object, least: float, most: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            self.fault(path, f"must be a number from {least:g} to {most:g}, not {_show(value)}")
            return least
        return float(value)

    def known_code(self, path: str, value: object, allowed: Collection[str], what: str) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        self.fault(
            path,
            f"unknown {what}{'' if _ends_with(path, value) else ' ' + _show(value)}{_meant(value, allowed)}",
        )
        return ""

    def counts(self, path: str, value: object, allowed: Collection[str], what: str) -> Counts:
        if value is None:
            return MappingProxyType({})
        read: dict[str, int] = {}
        table = self.mapping(path, value)
        if isinstance(value, Mapping) and not table:
            self.fault(path, f"is empty; name at least one {what}")
        for code, count in table.items():
            known = self.known_code(f"{path}.{code}", code, allowed, what)
            number = self.whole(f"{path}.{code}", count, 1, 99)
            if known:
                read[known] = number
        return MappingProxyType(read)

    def section(
        self, top: _Entry, key: str, read: Callable[[str, _Entry], _T], required: bool = True
    ) -> Mapping[str, _T]:
        """A section keyed by code: each entry read by ``read(code, entry)``."""
        value = top.get(key, _REQUIRED if required else None)
        if value is None:
            return MappingProxyType({})
        table = self.mapping(key, value)
        if required and isinstance(value, Mapping) and not table:
            self.fault(key, "is empty; at least one entry is required")
        entries: dict[str, _T] = {}
        seen: dict[str, str] = {}
        for code, raw in table.items():
            if self.good_code(f"{key}.{code}", code, seen):
                entry = _Entry(self, f"{key}.{code}", self.mapping(f"{key}.{code}", raw))
                entries[code] = read(code, entry)
                entry.done()
        return MappingProxyType(entries)

    def good_code(self, path: str, code: object, seen: dict[str, str]) -> bool:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            self.fault(
                path,
                f"{_show(code)} is not a code: 1 to 32 letters, digits, _ or -, a letter first "
                "(quote words such as no and on)",
            )
            return False
        if code.casefold() in seen:
            self.fault(
                path,
                f"duplicate code {code}; already used by {seen[code.casefold()]} "
                "(letter case does not tell codes apart)",
            )
            return False
        seen[code.casefold()] = path
        return True

    def pack(self, raw: object) -> Pack | None:
        if not isinstance(raw, Mapping):
            self.fault("pack", f"the file must hold a mapping of sections, not {_show(raw)}")
            return None
        top = _Entry(self, "", raw)
        name = top.text("pack")
        version = top.get("version", _REQUIRED)
        if version is not None and (
            isinstance(version, bool) or not isinstance(version, (int, str)) or version == ""
        ):
            self.fault("version", f"must be a number or a text, not {_show(version)}")
        self.read_languages(top)
        names = top.names(self.languages)

        def named(make: Callable[..., _T]) -> Callable[[str, _Entry], _T]:
            return lambda code, entry: make(code, entry.names(self.languages))

        agencies = self.section(top, "agencies", self.agency)
        capabilities = self.section(top, "capabilities", named(Capability))
        partners = self.section(
            top, "partners", lambda code, entry: self.partner(code, entry, capabilities), False
        )
        medical_codes = self.section(top, "medical_codes", named(MedicalCode), False)
        priorities = self.section(
            top, "priorities", lambda code, entry: self.priority(code, entry, medical_codes)
        )
        self.exactly("priorities", raw.get("priorities"), PRIORITIES, "priority")
        statuses = self.section(top, "statuses", self.status)
        self.exactly("statuses", raw.get("statuses"), STATUSES, "status")
        self.check_statuses(statuses)
        flags = self.section(top, "status_flags", named(Flag), False)
        alarm_levels = self.alarm_levels(top)
        overlays = self.section(top, "overlays", named(Overlay), False)
        targets = self.response_targets(top, capabilities)
        driving = self.driving(top)
        raw_unit_types = raw.get("unit_types")
        type_codes = [str(code) for code in raw_unit_types] if isinstance(raw_unit_types, Mapping) else []
        unit_types = self.section(
            top,
            "unit_types",
            lambda code, entry: self.unit_type(code, entry, agencies, capabilities, type_codes),
        )
        questions = self.section(top, "questions", self.question, False)
        checks = self.section(
            top, "checks", lambda code, entry: self.check(code, entry, alarm_levels), False
        )
        incident_types = self.incident_types(
            top,
            lambda code, entry: self.incident_type(
                code,
                entry,
                priorities,
                medical_codes,
                unit_types,
                capabilities,
                alarm_levels,
                partners,
                overlays,
                questions,
                checks,
            ),
        )
        optimiser = self.optimiser(top)
        standby = self.standby(top)
        rules = self.rules(top)
        top.done()
        return Pack(
            name, names, str(version), self.languages, agencies, partners, capabilities, priorities,
            medical_codes, statuses, flags, alarm_levels, overlays, targets, driving, unit_types,
            questions, checks, incident_types, optimiser, standby, rules,
        )  # fmt: skip

    def read_languages(self, top: _Entry) -> None:
        value = top.get("languages", _REQUIRED)
        if value is None:
            return
        if not isinstance(value, (list, tuple)):
            self.fault("languages", f"must be a list such as [ro, en], not {_show(value)}")
            return
        read: list[str] = []
        for index, one in enumerate(value):
            if not isinstance(one, str) or not _LANGUAGE.fullmatch(one):
                self.fault(
                    f"languages[{index}]", f"{_show(one)} is not a two-letter language code such as ro"
                )
            elif one in read:
                self.fault(f"languages[{index}]", f"{one} is listed twice")
            else:
                read.append(one)
        for needed in REQUIRED_LANGUAGES:
            if needed not in read:
                self.fault("languages", f"{needed} is missing; the program speaks it, so the pack must too")
        self.languages = tuple(read)

    def exactly(self, section: str, raw: object, codes: Collection[str], what: str) -> None:
        """These codes belong to the program: no more, no fewer."""
        if isinstance(raw, Mapping):
            for code in raw:
                if code not in codes:
                    self.fault(
                        f"{section}.{code}",
                        f"unknown {what}{_meant(code, codes)}; these codes are fixed by the program",
                    )
            for code in codes:
                if code not in raw:
                    self.fault(f"{section}.{code}", f"missing; every {what} fixed by the program is required")

    def agency(self, code: str, entry: _Entry) -> Agency:
        return Agency(code, entry.names(self.languages), entry.one_of("command", COMMANDS, "command"))

    def partner(self, code: str, entry: _Entry, capabilities: Collection[str]) -> Partner:
        return Partner(
            code, entry.names(self.languages), entry.optional_one_of("gives", capabilities, "capability")
        )

    def priority(self, code: str, entry: _Entry, medical_codes: Collection[str]) -> Priority:
        rank = PRIORITIES.index(code) + 1 if code in PRIORITIES else 0
        default = TARGET_S_DEFAULT.get(code)
        target_s = entry.optional_whole("target_s", 1, 7 * 86400) if "target_s" in entry.raw else default
        entry.known.add("target_s")
        medical_code = entry.optional_one_of("medical_code", medical_codes, "medical code")
        lights = entry.yes("lights", code in LIGHTS_DEFAULT)
        acknowledge_s = (
            entry.optional_whole("acknowledge_s", 5, 3600)
            if "acknowledge_s" in entry.raw
            else ACKNOWLEDGE_S_DEFAULT.get(code)
        )
        entry.known.add("acknowledge_s")
        return Priority(
            code, entry.names(self.languages), medical_code, rank, target_s, lights, acknowledge_s
        )

    def driving(self, top: _Entry) -> Driving:
        entry = _Entry(self, "driving", top.mapping("driving"))
        read = Driving(
            faster_pct=entry.whole("faster_pct", 0, 50, 10),
            bus_lanes=entry.yes("bus_lanes"),
            contra_flow=entry.yes("contra_flow"),
            contra_flow_kmh=entry.whole("contra_flow_kmh", 5, 50, 20),
        )
        entry.done()
        return read

    def status(self, code: str, entry: _Entry) -> Status:
        return Status(
            code,
            entry.names(self.languages),
            sendable=entry.one_of("sendable", SENDABLE, "sendable"),
            next=entry.texts("next", STATUSES, "status", _REQUIRED),
            overdue_s=entry.optional_whole("overdue_s", 1, 86400),
            silent_s=entry.optional_whole("silent_s", 10, 86400),
            par_s=entry.optional_whole("par_s", 60, 86400),
            reason_required=entry.yes("reason_required"),
            needs_hospital=entry.yes("needs_hospital"),
            wants_ready_at=entry.yes("wants_ready_at"),
        )

    def check_statuses(self, statuses: Mapping[str, Status]) -> None:
        for code in ("off_duty", "out_of_service"):
            if code in statuses and statuses[code].sendable not in ("never", ""):
                self.fault(f"statuses.{code}.sendable", "must be never: nobody is there to send")
        for code, status in statuses.items():
            if code in status.next:
                self.fault(f"statuses.{code}.next", "leads to itself")
            if code != "available" and "available" not in _reachable(code, statuses):
                self.fault(
                    f"statuses.{code}.next", "leads nowhere: no chain of statuses comes back to available"
                )
            if code == "available" and not status.next:
                self.fault(f"statuses.{code}.next", "leads nowhere: name at least one status that may follow")

    def alarm_levels(self, top: _Entry) -> Mapping[int, AlarmLevel]:
        value = top.get("alarm_levels", _REQUIRED)
        levels: dict[int, AlarmLevel] = {}
        for key, raw in self.mapping("alarm_levels", value).items() if value is not None else ():
            path = f"alarm_levels.{key}"
            level = _level(key)
            if level is None or not 1 <= level <= 9:
                self.fault(path, f"{_show(key)} is not a level number from 1 to 9")
            elif level in levels:
                self.fault(path, f"duplicate level {level}")
            else:
                entry = _Entry(self, path, self.mapping(path, raw))
                levels[level] = AlarmLevel(level, entry.names(self.languages))
                entry.done()
        if value is not None and (not levels or sorted(levels) != list(range(1, len(levels) + 1))):
            self.fault("alarm_levels", f"must count 1, 2, 3 ... without a gap, not {sorted(levels)}")
        return MappingProxyType(dict(sorted(levels.items())))

    def response_targets(self, top: _Entry, capabilities: Collection[str]) -> tuple[ResponseTarget, ...]:
        targets = []
        for entry in self.listed(top, "response_targets", required=False):
            targets.append(
                ResponseTarget(
                    entry.one_of("crew", capabilities, "capability"),
                    entry.one_of("area", AREAS, "area"),
                    entry.whole("within_s", 1, 7 * 86400),
                    entry.whole("share_pct", 1, 100),
                )
            )
            entry.done()
        return tuple(targets)

    def optimiser(self, top: _Entry) -> Optimiser:
        """The section may be left out, and so may each of its keys."""
        value = top.get("optimiser", None)
        raw = {} if value is None else self.mapping("optimiser", value)
        entry = _Entry(self, "optimiser", raw)
        weights, delta_s = dict(OPTIMISER_WEIGHTS), dict(OPTIMISER_DELTA_S)
        if "weights" in entry.raw:
            for priority, value in entry.mapping("weights").items():
                path = f"{entry.path}.weights.{priority}"
                if known := self.known_code(path, priority, PRIORITIES, "priority"):
                    weights[known] = self.number(path, value, 0.001, 1000)
        if "delta_s" in entry.raw:
            delta_s = {}
            for priority, value in entry.mapping("delta_s").items():
                path = f"{entry.path}.delta_s.{priority}"
                known = self.known_code(path, priority, PRIORITIES, "priority")
                if known and value is not None:
                    delta_s[known] = self.whole(path, value, 0, 86400)
        entry.known |= {"weights", "delta_s"}
        read = Optimiser(
            weights=MappingProxyType(weights),
            width_s=entry.whole("width_s", 1, 3600, 30),
            per_minute=entry.number("per_minute", 0.0001, 10, 0.02),
            first_due=entry.number("first_due", 0, 100, 1.0),
            unit_worth_s=entry.whole("unit_worth_s", 0, 3600, 60),
            coverage=entry.number("coverage", 0, 1000, 5.0),
            away_s=entry.whole("away_s", 60, 86400, 3600),
            delta_s=MappingProxyType(delta_s),
            tie_s=entry.whole("tie_s", 0, 600, 5),
        )
        entry.done()
        return read

    def standby(self, top: _Entry) -> Standby:
        """The section may be left out, and so may each of its keys."""
        value = top.get("standby", None)
        entry = _Entry(self, "standby", {} if value is None else self.mapping("standby", value))
        usual = Standby()
        read = Standby(
            at_once=entry.whole("at_once", 0, 20, usual.at_once),
            least_gain_pct=entry.number("least_gain_pct", 0.1, 1000, usual.least_gain_pct),
            rolling_gain_pct=entry.number("rolling_gain_pct", 0.1, 1000, usual.rolling_gain_pct),
            horizon_s=entry.number("horizon_s", 60, 86400, usual.horizon_s),
            longest_s=entry.number("longest_s", 0, 86400, usual.longest_s),
            second_s=entry.number("second_s", 0, 86400, usual.second_s),
            rest_s=entry.number("rest_s", 0, 86400, usual.rest_s),
            per_watch=entry.whole("per_watch", 0, 100, usual.per_watch),
            throttle_from=entry.number("throttle_from", 0, 1, usual.throttle_from),
            off_at=entry.number("off_at", 0, 1, usual.off_at),
        )
        entry.done()
        if read.off_at < read.throttle_from:
            self.fault("standby.off_at", f"must not be below throttle_from ({read.throttle_from:g})")
        return read

    def rules(self, top: _Entry) -> Mapping[str, Rule]:
        """What is accepted without a person: nothing, unless the operator wrote so and on whose word."""
        read: dict[str, Rule] = {}
        value = top.get("rules", None)
        for kind, raw in ({} if value is None else self.mapping("rules", value)).items():
            path = f"rules.{kind}"
            known = self.known_code(path, kind, RULE_KINDS, "kind of proposal")
            entry = _Entry(self, path, self.mapping(path, raw))
            accept = entry.yes("accept")
            per_hour = entry.whole("per_hour", 1, 60, 2)
            authority = entry.text("authority") if accept else entry.text("authority", None)
            rule = Rule(known, accept, per_hour, authority, entry.yes("in_demo"))
            entry.done()
            if known:
                read[known] = rule
        return MappingProxyType(read)

    def listed(self, top: _Entry, key: str, required: bool) -> Iterator[_Entry]:
        value = top.get(key, _REQUIRED if required else None)
        if value is None:
            return
        if not isinstance(value, (list, tuple)) or (required and not value):
            self.fault(key, f"must be a list with at least one entry, not {_show(value)}")
            return
        for index, raw in enumerate(value):
            path = f"{key}[{index}]"
            yield _Entry(self, path, self.mapping(path, raw))

    def unit_type(
        self,
        code: str,
        entry: _Entry,
        agencies: Mapping[str, Agency],
        capabilities: Collection[str],
        type_codes: Collection[str],
    ) -> UnitType:
        agency = entry.one_of("agency", agencies, "agency")
        if agency and agencies[agency].command == "source":
            entry.fault("agency", f"{agency} only passes cases on (command: source) and cannot have units")
        gives = entry.texts("gives", capabilities, "capability", _REQUIRED)
        if entry.raw.get("gives") in ([], ()):
            entry.fault("gives", "is empty; a unit type that gives nothing can never be recommended")
        shares_crew = entry.texts("shares_crew", type_codes, "unit type")
        if code in shares_crew:
            entry.fault("shares_crew", f"{code} shares its crew with itself")
        return UnitType(
            code,
            entry.names(self.languages),
            agency,
            frozenset(gives),
            crew_min=entry.whole("crew_min", 1, 99),
            turnout_s=entry.whole("turnout_s", 0, 86400),
            lights=entry.yes("lights", _REQUIRED),
            profile=entry.one_of("profile", PROFILES, "profile"),
            shares_crew=shares_crew,
            core=entry.yes("core"),
        )

    def question(self, code: str, entry: _Entry) -> Question:
        path = f"{entry.path}.answers"
        table = self.mapping(path, entry.get("answers", _REQUIRED) or {})
        if len(table) < 2:
            self.fault(path, "needs at least two answers to choose from")
        answers: dict[str, Reply] = {}
        seen: dict[str, str] = {}
        for one, raw in table.items():
            if self.good_code(f"{path}.{one}", one, seen):
                reply = _Entry(self, f"{path}.{one}", self.mapping(f"{path}.{one}", raw))
                priority = reply.optional_one_of("priority", PRIORITIES, "priority")
                answers[one] = Reply(one, reply.names(self.languages), priority)
                reply.done()
        return Question(code, entry.names(self.languages), MappingProxyType(answers))

    def check(self, code: str, entry: _Entry, alarm_levels: Collection[int]) -> Check:
        level = entry.whole("from_level", 1, 99, 1)
        if alarm_levels and level not in alarm_levels:
            entry.fault("from_level", f"{level} is no alarm level of this pack")
        return Check(code, entry.names(self.languages), level, entry.optional_whole("within_s", 1, 86400))

    def incident_types(
        self, top: _Entry, read: Callable[[str, _Entry], IncidentType]
    ) -> Mapping[str, IncidentType]:
        kinds: dict[str, IncidentType] = {}
        seen: dict[str, str] = {}
        for entry in self.listed(top, "incident_types", required=True):
            code = entry.text("code")
            kind = read(code, entry)
            entry.done()
            if code and self.good_code(f"{entry.path}.code", code, seen):
                kinds[code] = kind
        return MappingProxyType(kinds)

    def incident_type(
        self,
        code: str,
        entry: _Entry,
        priorities: Collection[str],
        medical_codes: Collection[str],
        unit_types: Mapping[str, UnitType],
        capabilities: Collection[str],
        alarm_levels: Collection[int],
        partners: Collection[str],
        overlays: Collection[str],
        questions: Collection[str],
        checks: Collection[str],
    ) -> IncidentType:
        units = entry.counts("units", unit_types, "unit type")
        needs = entry.counts("needs", capabilities, "capability")
        given: dict[str, int] = {}
        for unit_type, count in units.items():
            for capability in unit_types[unit_type].gives:
                given[capability] = given.get(capability, 0) + count
        self.check_giveable(entry, "needs", needs, unit_types)
        giveable = {one for kind in unit_types.values() for one in kind.gives}
        raw_units = entry.raw.get("units")
        whole = isinstance(raw_units, Mapping) and len(units) == len(raw_units)
        for capability, count in needs.items():
            if whole and capability in giveable and given.get(capability, 0) < count:
                entry.fault(
                    f"needs.{capability}",
                    f"asks for {count}, but the units listed for {code} give {given.get(capability, 0)}",
                )
        needs_at: dict[str, Counts] = {}
        for priority, table in entry.mapping("needs_at").items():
            known = self.known_code(f"{entry.path}.needs_at.{priority}", priority, PRIORITIES, "priority")
            counts = self.counts(f"{entry.path}.needs_at.{priority}", table, capabilities, "capability")
            self.check_giveable(entry, f"needs_at.{priority}", counts, unit_types)
            if known:
                needs_at[known] = counts
        levels: dict[int, Counts] = {}
        for key, table in entry.mapping("levels").items():
            level = _level(key)
            if level is None or level < 2 or level not in alarm_levels:
                allowed = ", ".join(str(one) for one in alarm_levels if one > 1) or "none"
                entry.fault(
                    f"levels.{key}",
                    f"{_show(key)} is not an alarm level that can add units; allowed: {allowed}",
                )
            elif level in levels:
                entry.fault(f"levels.{key}", f"duplicate level {level}")
            counts = self.counts(f"{entry.path}.levels.{key}", table, unit_types, "unit type")
            levels[level if level is not None else 0] = counts
        return IncidentType(
            code,
            entry.names(self.languages),
            priority=entry.one_of("priority", PRIORITIES, "priority"),
            medical_code=entry.optional_one_of("medical_code", medical_codes, "medical code"),
            units=units,
            needs=needs,
            needs_at=MappingProxyType(needs_at),
            levels=MappingProxyType(dict(sorted(levels.items()))),
            notify=entry.texts("notify", partners, "partner"),
            light=entry.one_of("light", LIGHT_RULES, "light rule"),
            stage=entry.yes("stage"),
            par_s=entry.optional_whole("par_s", 60, 86400),
            suspected=entry.yes("suspected"),
            quiet=entry.yes("quiet"),
            no_callback=entry.yes("no_callback"),
            planned=entry.yes("planned"),
            closes_road=entry.yes("closes_road"),
            tell_public=entry.yes("tell_public"),
            may_raise=entry.optional_one_of("may_raise", overlays, "overlay"),
            protocol=entry.texts("protocol", questions, "question"),
            checklist=entry.texts("checklist", checks, "check"),
            ask=entry.texts("ask", None, "question"),
            phone_guidance=entry.optional_text("phone_guidance"),
            procedure=entry.optional_text("procedure"),
        )

    def check_giveable(
        self, entry: _Entry, key: str, needs: Counts, unit_types: Mapping[str, UnitType]
    ) -> None:
        for capability in needs:
            if not any(capability in kind.gives for kind in unit_types.values()):
                entry.fault(f"{key}.{capability}", "no unit type in this pack gives it")


def _reachable(start: str, statuses: Mapping[str, Status]) -> set[str]:
    reached: set[str] = set()
    frontier = [start]
    while frontier:
        code = frontier.pop()
        for following in statuses[code].next if code in statuses else ():
            if following not in reached:
                reached.add(following)
                frontier.append(following)
    return reached


def _level(key: object) -> int | None:
    # A file read as JSON has texts for keys where YAML has numbers.
    if isinstance(key, str) and key.isascii() and key.isdigit():
        return int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) else None


def _ends_with(path: str, value: object) -> bool:
    return isinstance(value, str) and path.endswith(f".{value}")


def _meant(value: object, allowed: Collection[str]) -> str:
    """Either the likeliest word, or the whole list when it is short enough to read."""
    close = difflib.get_close_matches(str(value), sorted(allowed), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    if 0 < len(allowed) <= 12:
        return f"; allowed: {', '.join(allowed)}"
    return ""


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
