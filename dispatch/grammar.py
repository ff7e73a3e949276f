"""The dispatcher's command line: one line of text, and the commands it means.

`parse` reads a line in Romanian and English words, with or without diacritics, against what exists, and
answers with the very command objects that keys, clicks and the API submit; with an echo of what it
understood; with every word that fits nothing, where it stands and what it may have meant; and with what
could stand next. It changes nothing and never raises for any text.

Words about a meaning are messages (`Said`): the one who shows them knows the language and what may
be seen. Positions in the text count Python characters. Times are microseconds since 1970-01-01T00:00Z.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dispatch import commands as c
from dispatch.incident import Incident
from dispatch.plans import PRIORITIES, IncidentType, Pack
from dispatch.state import State
from dispatch.unit import Unit

COMPLETIONS_MAX = 8
MEANT_MAX = 3
TYPE_WORDS_MAX = 6
"""Most words that are tried as the name of an incident's type."""
UNITS_MAX = 100
"""Most units of one line."""
PLACES_TRIED_MAX = 3
"""Most divisions into type and address that are looked up."""
RADIUS_M = 25
"""How far around its point a closure reaches where nobody says."""


@dataclass(frozen=True, slots=True)
class Places:
    """What was found for an address: the one place, or why there is none, and what is alike."""

    place: c.Place | None
    code: str = ""
    """ "not-found", "not-exact" or "no-city" where there is no place."""
    alike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What exists, for whoever types. `here` and `unit_here` are what is chosen on the screen: they are meant
    where the line names none. `sees` tells which incidents the line may speak of; `numbered` finds one by its
    full number that has left memory; `place` looks an address up."""

    state: State
    pack: Pack
    station: str
    now_us: int
    language: str = "en"
    here: Incident | None = None
    unit_here: Unit | None = None
    answer_s: int = 120
    sees: Callable[[Incident], bool] = lambda _: True
    numbered: Callable[[str], Incident | None] = lambda _: None
    place: Callable[[str], Places] = lambda _: Places(None, "no-city")


@dataclass(frozen=True, slots=True)
class Said:
    """A message. Whoever words it knows an incident's place and type; `status`, `type`, `priority` and
    `kind` among the arguments are codes."""

    key: str
    args: Mapping[str, Any] = field(default_factory=dict)
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What stands in the way: the word from `start` to `end` fits nothing (`meant`: what is like it), or,
    where both are the same, something is still wanted there."""

    code: str
    start: int
    end: int
    args: Mapping[str, Any] = field(default_factory=dict)
    meant: tuple[str, ...] = ()

    @property
    def is_missing(self) -> bool:
        return self.start == self.end


@dataclass(frozen=True, slots=True)
class Completion:
    """`text` may stand from `start` to `end`. `kind` is "verb", "incident", "unit", "status", "type",
    "place", "priority" or "level"; `about` the id or code of what it names."""

    start: int
    end: int
    text: str
    kind: str
    about: str


@dataclass(frozen=True, slots=True)
class Look:
    """Something to be shown, which changes nothing: `what` is "incident", "unit", "place", "why", "closures"
    or "help"."""

    what: str
    incident: str | None = None
    unit: str | None = None
    place: c.Place | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a line means. With any fault there are neither commands nor a look. `asked` is the address as it
    was written, by which a request with a place is known again; `alone`: each of several commands stands for
    itself."""

    verb: str | None = None
    commands: tuple[c.Command, ...] = ()
    look: Look | None = None
    echo: Said | None = None
    notices: tuple[Said, ...] = ()
    faults: tuple[Fault, ...] = ()
    completions: tuple[Completion, ...] = ()
    asked: str | None = None


def parse(text: str, view: View, *, id: str = "", key: str = "", source: str = "console") -> Meaning:
    """What the line means. `id` is the UUID of what the line would create, `key` the id of its request; of
    several commands the second has `key`/2."""
    return _Line(text, view, id, key, source).meaning()


def fold(text: str) -> str:
    """Without case and diacritics: "Ș", "Ş" and "s" are one letter."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(ch for ch in plain if not unicodedata.combining(ch)).casefold()


# ---- the words of the grammar


@dataclass(frozen=True, slots=True)
class Verb:
    """`words` by language; the first of each is the one that is offered, all are accepted in both."""

    code: str
    words: Mapping[str, tuple[str, ...]]


def _verb(code: str, ro: str, en: str) -> Verb:
    return Verb(code, {"ro": tuple(ro.split()), "en": tuple(en.split())})


VERBS = (
    _verb("report", "N NOU APEL", "N NEW CALL"),
    _verb("assign", "T TRIMITE", "D DISPATCH SEND"),
    _verb("status", "S STARE", "S STATUS"),
    _verb("note", "NOTA", "NOTE"),
    _verb("recall", "RECHEAMA RETRAGE", "RECALL"),
    _verb("acknowledge", "VAZUT CONFIRMA", "ACK ACKNOWLEDGE"),
    _verb("answer-yes", "DA ACCEPTA", "YES ACCEPT"),
    _verb("answer-no", "NU REFUZA", "NO REFUSE"),
    _verb("find", "CAUTA UNDE", "FIND WHERE"),
    _verb("why", "DECE", "WHY"),
    _verb("close", "INCHIDE", "CLOSE"),
    _verb("reopen", "REDESCHIDE", "REOPEN"),
    _verb("level", "NIVEL", "LEVEL"),
    _verb("priority", "PRIORITATE", "PRIORITY PRIO"),
    _verb("merge", "UNESTE DUBLURA", "MERGE DUPLICATE"),
    _verb("link", "LEAGA", "LINK"),
    _verb("unlink", "DEZLEAGA", "UNLINK"),
    _verb("move", "MUTA", "MOVE"),
    _verb("closure", "RESTRICTIE BARAJ", "CLOSURE"),
    _verb("danger", "PERICOL", "DANGER"),
    _verb("safe", "SIGUR", "SAFE"),
    _verb("lights", "LUMINI", "LIGHTS"),
    _verb("help", "AJUTOR", "HELP"),
)
_VERB_OF = {fold(word): verb for verb in VERBS for words in verb.words.values() for word in words}

STATUS_WORDS: Mapping[str, tuple[str, ...]] = {
    "available": ("A", "AV", "LIBER", "DISP"),
    "acknowledged": ("C", "ACK"),
    "en_route": ("R", "ER", "DRUM", "ENROUTE"),
    "staged": ("W", "STG", "ASTEAPTA"),
    "on_scene": ("S", "OS", "LC", "SOSIT", "ONSCENE"),
    "transporting": ("T", "TR"),
    "at_hospital": ("H", "LS", "SPITAL"),
    "returning": ("B", "RET"),
    "recovering": ("F", "REFIT"),
    "out_of_service": ("O", "OOS", "INDISP"),
    "off_duty": ("X", "OFF"),
}
"""Short words for the program's own statuses, beside the names that the pack gives them."""
_STATUS_OF = {fold(word): code for code, words in STATUS_WORDS.items() for word in (*words, code)}

_TEXT_BEGINS = frozenset({"note", "nota", "motiv", "reason", "because", ":"})
"""Words after which everything is free text."""
_AT = frozenset({"la", "at", "@"})
_UP, _DOWN = frozenset({"+", "sus", "up"}), frozenset({"-", "jos", "down"})
_CLOSURE_KINDS = {
    "inchis": "closure", "inchisa": "closure", "closed": "closure", "closure": "closure",
    "pericol": "hazard", "hazard": "hazard", "inundat": "flood", "inundatie": "flood", "flood": "flood",
    "greu": "slow", "lent": "slow", "slow": "slow",
}  # fmt: skip
_END_MOVE = frozenset({"stop", "anuleaza", "cancel", "renunta"})
_IN_A_STREET = frozenset(
    (
        "str", "strada", "bd", "bdul", "bulevardul", "calea", "sos", "soseaua", "aleea", "piata", "intrarea",
        "splaiul", "street", "road", "avenue",
    )
)  # fmt: skip
_NUMBER = re.compile(r"#?(?:[^\W_]+-)?\d+")
_MINUTES = re.compile(r"(\d{1,4})(?:min|m|')?")
_RADIUS = re.compile(r"(\d{1,5})m")
_LASTS = re.compile(r"(\d{1,4})(h|ore|min)")
_PER_CENT = re.compile(r"(\d{1,3})%")


# ---- call signs


class CallSigns:
    """Finds units by call sign as people type it: without case, hyphens and leading zeros."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._by_key: dict[str, list[str]] = {}
        for one in ids:
            self._by_key.setdefault(self.key(one), []).append(one)
        self.sorted = sorted((key, one) for key, listed in self._by_key.items() for one in listed)

    @staticmethod
    def key(text: str) -> str:
        bare = "".join(ch for ch in fold(text) if ch.isalnum())
        return re.sub(r"\d+", lambda digits: str(int(digits[0])), bare)

    def named(self, text: str) -> list[str]:
        """Those that can be meant; several where only their spelling tells them apart."""
        listed = self._by_key.get(self.key(text), [])
        same = [one for one in listed if one == text] or [one for one in listed if fold(one) == fold(text)]
        return same or listed

    def begin(self, text: str) -> list[str]:
        """Those that begin so, in order; hyphens and case aside."""
        bare = "".join(ch for ch in fold(text) if ch.isalnum())
        key = self.key(text)
        return [one for at, one in self.sorted if at.startswith(key) or fold(one).startswith(bare)]

    def like(self, text: str) -> tuple[str, ...]:
        keys = difflib.get_close_matches(self.key(text), list(self._by_key), n=MEANT_MAX, cutoff=0.5)
        return tuple(one for key in keys for one in self._by_key[key])[:MEANT_MAX]


@lru_cache(maxsize=4)
def _call_signs(ids: tuple[str, ...]) -> CallSigns:
    return CallSigns(ids)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int

    @property
    def plain(self) -> str:
        return fold(self.text)


class _Line:
    """One line while it is read."""

    def __init__(self, text: str, view: View, id: str, key: str, source: str) -> None:
        self.text = text
        self.view = view
        self.id = id
        self.key = key
        self.source = source
        self.tokens = [_Token(m[0], m.start(), m.end()) for m in re.finditer(r"[^\s,;]+", text)]
        self.faults: list[Fault] = []
        self.notices: list[Said] = []
        self.wants: list[str] = []
        """Kinds of words that may stand at the end of the line."""
        self.places: tuple[str, ...] = ()
        self.place_from = 0
        self.typed_type: list[_Token] = []
        self.asked: str | None = None
        self.next_statuses: tuple[str, ...] = ()
        self._numbers: dict[str, Incident] | None = None
        self._signs: CallSigns | None = None

    def meaning(self) -> Meaning:
        if not self.tokens:
            every = (Completion(0, len(self.text), *one) for one in self._every_verb())
            return Meaning(completions=tuple(every))
        verb, rest = self._find_verb()
        if verb is None:
            return Meaning(faults=tuple(self.faults), completions=self._completions("verb"))
        said = _READ[verb.code](self, rest)
        completions = self._completions("verb") if self._is_in_verb(rest) else self._completions()
        if self.faults or said is None:
            faults = sorted(self.faults, key=lambda f: (f.is_missing, f.start))
            return Meaning(
                verb.code, notices=tuple(self.notices), faults=tuple(faults), completions=completions
            )
        commands, look, echo = said
        return Meaning(verb.code, commands, look, echo, tuple(self.notices), (), completions, self.asked)

    def _every_verb(self) -> Iterator[tuple[str, str, str]]:
        return ((word, "verb", code) for word, code in self.offer_verbs(""))

    def _is_in_verb(self, rest: list[_Token]) -> bool:
        return not rest and not self.text[-1:].isspace()

    def _find_verb(self) -> tuple[Verb | None, list[_Token]]:
        first = self.tokens[0]
        if first.plain == "de" and len(self.tokens) > 1 and self.tokens[1].plain == "ce":
            return _VERB_OF["dece"], self.tokens[2:]
        if first.plain == "?":
            return _VERB_OF["help"], self.tokens[1:]
        verb = _VERB_OF.get(first.plain)
        if verb is None:
            close = difflib.get_close_matches(first.plain, list(_VERB_OF), n=MEANT_MAX, cutoff=0.6)
            meant = tuple(dict.fromkeys(self._offered(_VERB_OF[word]) for word in close))
            self.wrong("unknown-verb", first, meant)
        return verb, self.tokens[1:]

    def _offered(self, verb: Verb) -> str:
        return verb.words.get(self.view.language, verb.words["en"])[0]

    # ---- faults

    def wrong(self, code: str, token: _Token, meant: Sequence[str] = (), **args: Any) -> None:
        self.faults.append(
            Fault(code, token.start, token.end, {"word": token.text, **args}, tuple(meant)[:MEANT_MAX])
        )

    def missing(self, code: str, **args: Any) -> None:
        self.faults.append(Fault(code, len(self.text), len(self.text), args))

    # ---- parts of a line

    def free_text(self, tokens: list[_Token]) -> tuple[list[_Token], str]:
        """The words before the one after which free text begins, and that text."""
        for i, token in enumerate(tokens):
            if token.plain in _TEXT_BEGINS:
                return tokens[:i], self.text[token.end :].strip()
        return tokens, ""

    def tail(self, tokens: list[_Token]) -> str:
        """Everything from the first of these words on, as it was typed."""
        return self.text[tokens[0].start :].strip() if tokens else ""

    def span(self, tokens: list[_Token]) -> _Token:
        start, end = tokens[0].start, tokens[-1].end
        return _Token(self.text[start:end], start, end)

    # ---- incidents

    def incidents(self) -> Mapping[str, Incident]:
        """Incident by full number, folded; those in memory that may be seen."""
        if self._numbers is None:
            seen = (x for x in self.view.state.incidents() if self.view.sees(x))
            self._numbers = {fold(x.number): x for x in seen}
        return self._numbers

    def incident(self, token: _Token) -> Incident | None:
        """The incident of that number. Digits alone mean this station's, else that of the only other station
        that has one so numbered."""
        said = token.plain.removeprefix("#")
        if not _NUMBER.fullmatch(said):
            return None
        known = self.incidents()
        if not said.isdigit():
            return known.get(said) or self.view.numbered(said.upper())
        number = str(int(said))
        own = f"{self.view.station}-{number}"
        found = known.get(fold(own))
        if found is None:
            others = [x for full, x in known.items() if full.rpartition("-")[2] == number]
            found = others[0] if len(others) == 1 else None
        return found or self.view.numbered(own)

    def like_number(self, token: _Token) -> tuple[str, ...]:
        open_ones = [x.number for x in self.incidents().values() if x.open]
        wanted = token.plain.removeprefix("#")
        if wanted.isdigit():
            by_digits = {number.rpartition("-")[2]: number for number in open_ones}
            near = difflib.get_close_matches(wanted, list(by_digits), n=MEANT_MAX, cutoff=0.5)
            return tuple(by_digits[one] for one in near)
        return tuple(difflib.get_close_matches(wanted.upper(), open_ones, n=MEANT_MAX, cutoff=0.6))

    def named_incident(
        self, tokens: list[_Token], *, text_follows: bool = False
    ) -> tuple[Incident | None, list[_Token]]:
        """The incident that the first word names, else the one on the screen; and the words after it. A fault
        where there is neither. `text_follows`: a number that is no incident's may be the text's own."""
        self.want("incident", tokens[:1])
        if tokens and tokens[0].plain == "." and self.view.here is not None:
            return self.view.here, tokens[1:]
        if tokens:
            found = self.incident(tokens[0])
            if found is not None:
                return found, tokens[1:]
            own = text_follows and self.view.here is not None and tokens[0].text.isdigit()
            if _NUMBER.fullmatch(tokens[0].plain) and not own:
                self.wrong("unknown-incident", tokens[0], self.like_number(tokens[0]))
                return None, tokens[1:]
        if self.view.here is None:
            if tokens:
                self.wrong("incident-first", tokens[0])
            else:
                self.missing("which-incident")
        return self.view.here, tokens

    # ---- units

    @property
    def call_signs(self) -> CallSigns:
        if self._signs is None:
            self._signs = _call_signs(tuple(unit.id for unit in self.view.state.units()))
        return self._signs

    def unit(self, token: _Token) -> Unit | None:
        """The unit of that call sign; a fault where it could be several."""
        exact = self.view.state.unit(token.text)
        if exact is not None and exact.registered:
            return exact
        found = self.call_signs.named(token.text)
        if len(found) > 1:
            self.wrong("which-of-units", token, found)
        return self.view.state.unit(found[0]) if len(found) == 1 else None

    def is_unit(self, token: _Token) -> bool:
        return bool(self.call_signs.named(token.text))

    def unknown_unit(self, token: _Token) -> None:
        self.wrong("unknown-unit", token, self.call_signs.like(token.text))

    def units(self, tokens: list[_Token]) -> list[Unit]:
        """The units that these words name, each once; a fault for every other word."""
        found: list[Unit] = []
        for token in tokens:
            before = len(self.faults)
            unit = self.unit(token)
            if unit is None:
                if len(self.faults) == before:
                    self.unknown_unit(token)
            elif unit in found:
                self.wrong("unit-twice", token)
            elif len(found) == UNITS_MAX:
                self.wrong("too-many-units", token, most=UNITS_MAX)
                break
            else:
                found.append(unit)
        return found

    def ids(self) -> Iterator[str]:
        """The ids of this line's commands, one after another."""
        yield self.key
        n = 1
        while True:
            n += 1
            yield f"{self.key}/{n}"

    # ---- places

    def find_place(self, tokens: list[_Token]) -> c.Place | None:
        """The place these words are the address of; a fault where they are none."""
        whole = self.span(tokens)
        found = self.view.place(whole.text)
        self.places, self.place_from = found.alike, whole.start
        if found.place is None:
            self.wrong(f"place-{found.code}", whole, found.alike)
        else:
            self.asked = whole.text
        return found.place

    # ---- what could stand next

    def want(self, kind: str, tokens: Sequence[_Token] | None = None) -> None:
        """Words of that kind may stand at the end of the line: always, or where one of `tokens` is the word
        being typed or nothing follows yet."""
        last = self.tokens[-1]
        is_typing = not self.text[-1:].isspace()
        if tokens is None or (last in tokens if is_typing else not tokens):
            self.wants.append(kind)

    def _completions(self, *kinds: str) -> tuple[Completion, ...]:
        is_typing = bool(self.tokens) and not self.text[-1:].isspace()
        last = self.tokens[-1] if is_typing else None
        start, prefix = (last.start, last.text) if last is not None else (len(self.text), "")
        found: list[Completion] = []
        begins = {"place": self.place_from, "type": self.typed_type[0].start if self.typed_type else start}
        for kind in dict.fromkeys(kinds or self.wants):
            begin = begins.get(kind, start)
            for text, about in _OFFER[kind](self, prefix):
                if kind == "place" or text != prefix:
                    found.append(Completion(begin, len(self.text), text, kind, about))
                if len(found) == COMPLETIONS_MAX:
                    return tuple(found)
        return tuple(found)

    def offer_verbs(self, prefix: str) -> Iterator[tuple[str, str]]:
        own = self.view.language
        for verb in VERBS:
            words = [w for lang in sorted(verb.words, key=lambda x: x != own) for w in verb.words[lang]]
            fit = next((w for w in words if fold(w).startswith(fold(prefix))), None)
            if fit is not None:
                yield fit, verb.code

    def offer_incidents(self, prefix: str) -> Iterator[tuple[str, str]]:
        said = fold(prefix).removeprefix("#")
        open_ones = (x for x in self.incidents().values() if x.open)
        rank = self.view.pack.priorities
        for x in sorted(
            open_ones, key=lambda x: (rank[x.priority].rank if x.priority in rank else 9, x.reported_us)
        ):
            if fold(x.number).startswith(said) or x.number.rpartition("-")[2].startswith(said):
                station, _, number = x.number.rpartition("-")
                yield number if station == self.view.station else x.number, x.id

    def offer_units(self, prefix: str) -> Iterator[tuple[str, str]]:
        named = {token.plain for token in self.tokens}
        listed = [one for one in self.call_signs.begin(prefix) if fold(one) not in named - {fold(prefix)}]
        units = [unit for one in listed if (unit := self.view.state.unit(one)) is not None]
        order = {"now": 0, "soon": 1, "divert": 2}
        for unit in sorted(units, key=lambda u: order.get(self.view.pack.sendable(u.status), 3)):
            yield unit.id, unit.id

    def offer_statuses(self, prefix: str) -> Iterator[tuple[str, str]]:
        for code in self.next_statuses or tuple(self.view.pack.statuses):
            if code not in STATUS_WORDS or code not in self.view.pack.statuses:
                continue
            names = self.view.pack.statuses[code].names.values()
            words = [*STATUS_WORDS[code], *(w for name in names for w in _words(name))]
            if any(fold(word).startswith(fold(prefix)) for word in words):
                yield STATUS_WORDS[code][0], code

    def offer_types(self, _: str) -> Iterator[tuple[str, str]]:
        for kind in _types(self.view.pack, tuple(t.text for t in self.typed_type), self.view.language):
            yield kind.code, kind.code

    def offer_places(self, _: str) -> Iterator[tuple[str, str]]:
        return ((label, label) for label in self.places)

    def offer_priorities(self, prefix: str) -> Iterator[tuple[str, str]]:
        return ((code, code) for code in PRIORITIES if code.casefold().startswith(fold(prefix)))

    def offer_levels(self, prefix: str) -> Iterator[tuple[str, str]]:
        return (
            (str(level), str(level)) for level in self.view.pack.alarm_levels if str(level).startswith(prefix)
        )


_OFFER: Mapping[str, Callable[[_Line, str], Iterator[tuple[str, str]]]] = {
    "verb": _Line.offer_verbs,
    "incident": _Line.offer_incidents,
    "unit": _Line.offer_units,
    "status": _Line.offer_statuses,
    "type": _Line.offer_types,
    "place": _Line.offer_places,
    "priority": _Line.offer_priorities,
    "level": _Line.offer_levels,
}

_Read = tuple[tuple[c.Command, ...], Look | None, Said] | None


# ---- one function a verb: what its words mean, or None and at least one fault


def _report(x: _Line, tokens: list[_Token]) -> _Read:
    tokens, description = x.free_text(tokens)
    priority: str | None = None
    words: list[_Token] = []
    for token in tokens:
        if token.text.upper() in x.view.pack.priorities:
            priority = token.text.upper()
        else:
            words.append(token)
    kinds, address = _type_and_address(x, words)
    x.typed_type = words
    x.want("type", words)
    if not words:
        x.missing("which-type")
        return None
    if not kinds:
        first = words[0]
        known = {word for one in x.view.pack.incident_types.values() for word in _type_words(one)}
        close = difflib.get_close_matches(first.plain, sorted(known), n=1, cutoff=0.6)
        meant = _types(x.view.pack, (close[0],), x.view.language) if close else []
        x.wrong("unknown-type", first, [_named(one.names, x.view.language) for one in meant])
        return None
    kind = kinds[0]
    if len(kinds) > 1:
        others = ", ".join(f"{one.code} {_named(one.names, x.view.language)}" for one in kinds[1:4])
        x.notices.append(Said("notice-type", {"others": others, "n": len(kinds) - 1}))
    if not address:
        x.missing("which-place")
        return None
    place = x.find_place(address)
    if place is not None:
        x.wants.clear()
    x.want("place")
    if place is None:
        return None
    command = c.ReportIncident(
        id=x.id,
        source=x.source,
        incident=x.id,
        type=kind.code,
        place=place,
        priority=priority,
        description=description,
    )
    about = {
        "type": kind.code,
        "priority": priority or kind.priority,
        "place": place.label,
        "text": description or "none",
    }
    return (command,), None, Said("report", about)


def _type_and_address(x: _Line, words: list[_Token]) -> tuple[list[IncidentType], list[_Token]]:
    """The types that the first words can name, likeliest first, and the words of the address. Where a word
    could belong to either, that division counts whose address there is."""
    pack, language = x.view.pack, x.view.language
    for i, token in enumerate(words):
        if token.plain in _AT and i:
            kinds = _types(pack, tuple(t.text for t in words[:i]), language, best=True)
            if kinds:
                return kinds, words[i + 1 :]
    divided = []
    for k in range(min(len(words), TYPE_WORDS_MAX), 0, -1):
        if k > 1 and not _continues_a_type(words[k - 1]):
            continue
        kinds = _types(pack, tuple(t.text for t in words[:k]), language, best=True)
        if kinds:
            divided.append((kinds, words[k:]))
    with_address = [one for one in divided if one[1]]
    if len(with_address) > 1:
        for one in with_address[:PLACES_TRIED_MAX]:
            if x.view.place(x.span(one[1]).text).place is not None:
                return one
    return (with_address or divided or [([], [])])[0]


def _continues_a_type(token: _Token) -> bool:
    return len(token.text) >= 3 and token.text.isalpha() and token.plain not in _IN_A_STREET


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", fold(name))


@lru_cache(maxsize=512)
def _type_words_of(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_words(name)) for name in names)


def _type_words(kind: IncidentType) -> set[str]:
    return {word for words in _type_words_of(tuple(kind.names.values())) for word in words}


def _types(pack: Pack, typed: tuple[str, ...], language: str, *, best: bool = False) -> list[IncidentType]:
    """The types whose code or name every typed word begins a word of, likeliest first; the language of the
    one who types weighs more. `best`: only those that are as likely as the first."""
    codes = {fold(code) for code in pack.incident_types}
    parts = [part for word in typed for part in ([fold(word)] if fold(word) in codes else _words(word))]
    if typed and not parts:
        return []
    found: list[tuple[int, IncidentType]] = []
    for kind in pack.incident_types.values():
        own = _type_words_of((kind.names.get(language, ""),))[0]
        every = _type_words(kind)
        score = 0
        for part in parts:
            if fold(kind.code) == part:
                score += 20
            elif fold(kind.code).startswith(part):
                score += 8
            elif own and own[0].startswith(part):
                score += 6
            elif any(word.startswith(part) for word in own):
                score += 4
            elif any(word.startswith(part) for word in every):
                score += 2
            else:
                score = -1
                break
        if score >= 0:
            found.append((score, kind))
    found.sort(key=lambda one: -one[0])
    return [kind for score, kind in found if not best or score == found[0][0]]


def _named(names: Mapping[str, str], language: str) -> str:
    return names.get(language) or names["en"]


def _assign(x: _Line, tokens: list[_Token]) -> _Read:
    tokens, reason = x.free_text(tokens)
    incident: Incident | None = None
    named: list[_Token] = []
    for token in tokens:
        found = x.view.here if token.plain == "." else x.incident(token)
        if incident is None and found is not None and not (named and x.is_unit(token)):
            incident = found
        elif incident is None and _NUMBER.fullmatch(token.plain) and not x.is_unit(token):
            x.wrong("unknown-incident", token, x.like_number(token))
        else:
            named.append(token)
    units = x.units(named)
    if incident is None and x.view.here is None:
        x.want("incident")
    x.want("unit")
    if incident is None:
        incident = x.view.here
    if incident is None and not any(f.code == "unknown-incident" for f in x.faults):
        x.missing("which-incident")
    if not named:
        x.missing("which-units")
    if incident is None or x.faults:
        return None
    command = c.AssignUnits(
        id=x.key,
        source=x.source,
        incident=incident.id,
        units=tuple(unit.id for unit in units),
        override_reason=reason or None,
        answer_s=x.view.answer_s,
    )
    own = ", ".join(unit.id for unit in units if unit.command != "requested")
    asked = ", ".join(unit.id for unit in units if unit.command == "requested")
    how = "both" if own and asked else "ask" if asked else "send"
    return (
        (command,),
        None,
        Said("assign", {"how": how, "send": own, "ask": asked, "text": reason or "none"}, incident),
    )


def _status(x: _Line, tokens: list[_Token]) -> _Read:
    tokens, reason = x.free_text(tokens)
    named: list[_Token] = []
    code, free = None, ""
    ready_us: int | None = None
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if not x.is_unit(token) and code is None:
            before = next((u for t in named for u in (x.view.state.unit(t.text),) if u is not None), None)
            code, used = _status_of(x, tokens[i:], before or x.view.unit_here)
            if code is not None:
                i += used
                status = x.view.pack.statuses[code]
                if status.needs_hospital or status.reason_required:
                    free = x.text[tokens[i].start : tokens[-1].end].strip() if i < len(tokens) else ""
                    break
                if status.wants_ready_at and i < len(tokens) and (m := _MINUTES.fullmatch(tokens[i].plain)):
                    ready_us = x.view.now_us + int(m[1]) * 60_000_000
                    i += 1
                continue
            if named or x.view.unit_here is not None:
                _unknown_status(x, token)
                code = ""
                i += 1
                continue
        named.append(token)
        i += 1
    units = x.units(named)
    if not named and x.view.unit_here is not None:
        units = [x.view.unit_here]
    x.next_statuses = x.view.pack.following(units[0].status) if units else ()
    if not units or code:
        x.want("unit")
    if units and not code:
        x.want("status")
    if not units and not x.faults:
        x.missing("which-units")
    if code is None and not x.faults:
        x.missing("which-status")
    if not code or not units or x.faults:
        return None
    status = x.view.pack.statuses[code]
    if status.needs_hospital and not free:
        x.missing("which-hospital")
        return None
    if status.reason_required:
        reason = reason or free
        if not reason:
            x.missing("which-reason")
            return None
    ids = x.ids()
    # The usual order is broken on purpose, by whoever says why.
    forced = [u for u in units if reason and code != u.status and code not in x.view.pack.following(u.status)]
    if forced:
        x.notices.append(Said("notice-forced", {"units": ", ".join(u.id for u in forced)}))
    commands = tuple(
        c.ReportStatus(
            id=next(ids),
            source=x.source,
            unit=unit.id,
            status=code,
            reason=reason,
            hospital=free if status.needs_hospital else None,
            ready_us=ready_us,
            force=unit in forced,
        )
        for unit in units
    )
    minutes = 0 if ready_us is None else (ready_us - x.view.now_us) // 60_000_000
    args = {
        "units": ", ".join(unit.id for unit in units),
        "status": code,
        "hospital": free if status.needs_hospital else "none",
        "minutes": minutes,
        "text": reason or "none",
    }
    return commands, None, Said("status", args)


def _status_of(x: _Line, tokens: list[_Token], unit: Unit | None) -> tuple[str | None, int]:
    """The status that the first of these words name, and how many of them; that which may follow the unit's
    present one, where several could be meant."""
    statuses = x.view.pack.statuses
    short = _STATUS_OF.get(tokens[0].plain)
    if short is not None and short in statuses:
        return short, 1
    for k in range(min(len(tokens), 4), 0, -1):
        said = [token.plain for token in tokens[:k]]
        fit = [
            code
            for code, status in statuses.items()
            if any(_begins(said, _words(name)) for name in status.names.values())
        ]
        if len(fit) > 1 and unit is not None:
            following = x.view.pack.following(unit.status)
            fit = [code for code in fit if code in following] or fit
        if len(fit) == 1:
            return fit[0], k
    return None, 0


def _begins(said: list[str], words: list[str]) -> bool:
    return len(said) <= len(words) and all(
        word.startswith(part) for part, word in zip(said, words, strict=False)
    )


def _unknown_status(x: _Line, token: _Token) -> None:
    words = {
        word: code
        for code, status in x.view.pack.statuses.items()
        for word in (*(fold(w) for w in STATUS_WORDS.get(code, ())), *_words(" ".join(status.names.values())))
        if len(word) > 1
    }
    close = difflib.get_close_matches(token.plain, list(words), n=MEANT_MAX, cutoff=0.6)
    meant = [_named(x.view.pack.statuses[words[word]].names, x.view.language) for word in close]
    x.wrong("unknown-status", token, list(dict.fromkeys(meant)))


def _note(x: _Line, tokens: list[_Token]) -> _Read:
    incident, rest = x.named_incident(tokens, text_follows=True)
    other = incident is not None and x.view.here is not None and incident.id != x.view.here.id
    if other and tokens[0].text.isdigit():
        # "3 people trapped" begins with a number too.
        x.notices.append(Said("notice-number", {"number": incident.number if incident else ""}))
    text = x.tail(rest)
    if not text and not x.faults:
        x.missing("which-text")
    if incident is None or x.faults:
        return None
    command = c.AddNote(id=x.key, source=x.source, incident=incident.id, text=text)
    return (command,), None, Said("note", {"text": text}, incident)


def _recall(x: _Line, tokens: list[_Token]) -> _Read:
    tokens, reason = x.free_text(tokens)
    only: Incident | None = None
    named: list[_Token] = []
    for token in tokens:
        found = None if x.is_unit(token) else x.incident(token)
        if found is not None and only is None:
            only = found
        else:
            named.append(token)
    x.want("unit")
    units = x.units(named)
    ids = x.ids()
    commands: list[c.Command] = []
    numbers: list[str] = []
    for token, unit in zip(named, units, strict=False) if len(named) == len(units) else ():
        at = only.id if only is not None else _bound_to(unit)
        if at is None:
            x.wrong("unit-on-nothing", token)
            continue
        incident = x.view.state.incident(at)
        numbers.append(incident.number if incident is not None else at)
        commands.append(c.RecallUnit(id=next(ids), source=x.source, incident=at, unit=unit.id, reason=reason))
    if not named:
        x.missing("which-units")
    if x.faults or not commands:
        return None
    args = {
        "units": ", ".join(unit.id for unit in units),
        "numbers": ", ".join(dict.fromkeys(numbers)),
        "text": reason or "none",
    }
    return tuple(commands), None, Said("recall", args)


def _bound_to(unit: Unit) -> str | None:
    """The incident it is on, or is asked for."""
    if unit.incident is not None:
        return unit.incident
    return unit.asked.incident if unit.asked is not None and unit.asked.state != "refused" else None


def _incidents(x: _Line, tokens: list[_Token]) -> list[Incident]:
    """All that these words name, or the one on the screen."""
    x.want("incident")
    found: list[Incident] = []
    for token in tokens:
        one = x.view.here if token.plain == "." else x.incident(token)
        if one is None:
            x.wrong("unknown-incident", token, x.like_number(token))
        elif one not in found:
            found.append(one)
    if not tokens:
        if x.view.here is None:
            x.missing("which-incident")
        else:
            found.append(x.view.here)
    return found


def _acknowledge(x: _Line, tokens: list[_Token]) -> _Read:
    found = _incidents(x, tokens)
    if x.faults:
        return None
    ids = x.ids()
    commands = tuple(c.AcknowledgeIncident(id=next(ids), source=x.source, incident=i.id) for i in found)
    if len(found) == 1:
        return commands, None, Said("acknowledge", {}, found[0])
    return commands, None, Said("acknowledge-all", {"numbers": ", ".join(i.number for i in found)})


def _close(x: _Line, tokens: list[_Token]) -> _Read:
    incident, rest = x.named_incident(tokens)
    text = x.tail(rest)
    if not text and not x.faults:
        x.missing("which-outcome")
    if incident is None or x.faults:
        return None
    command = c.CloseIncident(id=x.key, source=x.source, incident=incident.id, outcome=text)
    return (command,), None, Said("close", {"text": text}, incident)


def _reopen(x: _Line, tokens: list[_Token]) -> _Read:
    incident, rest = x.named_incident(tokens)
    text = x.tail(rest)
    if not text and not x.faults:
        x.missing("which-reason")
    if incident is None or x.faults:
        return None
    command = c.ReopenIncident(id=x.key, source=x.source, incident=incident.id, reason=text)
    return (command,), None, Said("reopen", {"text": text}, incident)


def _level(x: _Line, tokens: list[_Token]) -> _Read:
    # With one word only, and an incident on the screen, it is that one's level.
    incident, rest = (x.view.here, tokens) if x.view.here and len(tokens) == 1 else x.named_incident(tokens)
    x.want("level", rest)
    if incident is None or x.faults:
        return None
    if not rest:
        x.missing("which-level")
        return None
    said = rest[0].plain
    levels = list(x.view.pack.alarm_levels)
    if said in _UP | _DOWN:
        level = incident.alarm_level + (1 if said in _UP else -1)
    else:
        level = int(said) if said.isascii() and said.isdigit() else 0
    for extra in rest[1:]:
        x.wrong("too-much", extra)
    if level not in levels:
        x.wrong("unknown-level", rest[0], [str(one) for one in levels], levels=", ".join(map(str, levels)))
    if x.faults:
        return None
    command = c.SetAlarmLevel(id=x.key, source=x.source, incident=incident.id, level=level)
    args = {"level": level, "before": incident.alarm_level}
    return (command,), None, Said("level", args, incident)


def _priority(x: _Line, tokens: list[_Token]) -> _Read:
    said = next((t for t in tokens if t.text.upper() in x.view.pack.priorities), None)
    incident, rest = x.named_incident([t for t in tokens if t is not said])
    for extra in rest:
        x.wrong("unknown-priority", extra, PRIORITIES)
    if said is None and not x.faults:
        x.want("priority")
        x.missing("which-priority")
    if incident is None or said is None or x.faults:
        return None
    code = said.text.upper()
    command = c.ChangeIncident(id=x.key, source=x.source, incident=incident.id, changes={"priority": code})
    return (command,), None, Said("priority", {"priority": code}, incident)


def _two(x: _Line, tokens: list[_Token]) -> tuple[Incident, Incident] | None:
    """The two incidents that are named; with one word, the one on the screen is the first."""
    if len(tokens) == 1 and x.view.here is not None:
        found = [x.view.here, *_incidents(x, tokens)]
    else:
        found = _incidents(x, tokens[:2]) if tokens else []
        for extra in tokens[2:]:
            x.wrong("too-much", extra)
    if x.faults:
        return None
    if len(found) == 2 and found[0].id != found[1].id:
        return found[0], found[1]
    if len(tokens) > 1 or (found and len(found) == 2):
        x.wrong("same-incident", tokens[-1])
    else:
        x.want("incident")
        x.missing("which-incidents")
    return None


def _linked(x: _Line, tokens: list[_Token], kind: str) -> _Read:
    both = _two(x, tokens)
    if both is None:
        return None
    one, other = both
    command = c.LinkIncidents(id=x.key, source=x.source, incident=one.id, other=other.id, kind=kind)
    return (command,), None, Said("link", {"how": kind, "one": one.number}, other)


def _merge(x: _Line, tokens: list[_Token]) -> _Read:
    return _linked(x, tokens, "duplicate")


def _link(x: _Line, tokens: list[_Token]) -> _Read:
    return _linked(x, tokens, "related")


def _unlink(x: _Line, tokens: list[_Token]) -> _Read:
    both = _two(x, tokens)
    if both is None:
        return None
    one, other = both
    command = c.UnlinkIncidents(id=x.key, source=x.source, incident=one.id, other=other.id)
    return (command,), None, Said("link", {"how": "none", "one": one.number}, other)


def _find(x: _Line, tokens: list[_Token]) -> _Read:
    x.want("unit")
    x.want("incident")
    if not tokens:
        x.missing("find-what")
        return None
    if len(tokens) == 1:
        incident = None if x.is_unit(tokens[0]) else x.incident(tokens[0])
        if incident is not None:
            return (), Look("incident", incident=incident.id), Said("find-incident", {}, incident)
        before = len(x.faults)
        unit = x.unit(tokens[0])
        if unit is not None:
            return (), Look("unit", unit=unit.id), Said("find-unit", {"unit": unit.id})
        if len(x.faults) > before:
            return None
        if _NUMBER.fullmatch(tokens[0].plain):
            x.wrong("unknown-incident", tokens[0], x.like_number(tokens[0]))
            return None
    found = x.view.place(x.span(tokens).text)
    x.places, x.place_from = found.alike, tokens[0].start
    x.want("place")
    if found.place is None:
        meant = (*x.call_signs.like(tokens[0].text), *found.alike) if len(tokens) == 1 else found.alike
        x.wrong("found-nothing", x.span(tokens), meant)
        return None
    x.asked = None
    return (), Look("place", place=found.place), Said("find-place", {"place": found.place.label})


def _why(x: _Line, tokens: list[_Token]) -> _Read:
    incident: Incident | None = None
    unit: Unit | None = None
    x.want("incident", tokens[:1])
    x.want("unit", tokens[-1:])
    for token in tokens:
        found = None if x.is_unit(token) else x.incident(token)
        if found is not None and incident is None:
            incident = found
        elif x.is_unit(token):
            unit = x.unit(token)
        elif _NUMBER.fullmatch(token.plain):
            x.wrong("unknown-incident", token, x.like_number(token))
        else:
            x.unknown_unit(token)
    incident = incident or x.view.here
    if incident is None and unit is not None and unit.incident is not None:
        incident = x.view.state.incident(unit.incident)
    if incident is None and not x.faults:
        x.missing("which-incident")
    if incident is None or x.faults:
        return None
    look = Look("why", incident=incident.id, unit=unit.id if unit else None)
    return (), look, Said("why", {"unit": unit.id if unit else "none"}, incident)


def _move(x: _Line, tokens: list[_Token]) -> _Read:
    if not tokens:
        x.want("unit")
        x.missing("which-units")
        return None
    x.want("unit", tokens[:1])
    units = x.units(tokens[:1])
    if not units:
        return None
    unit, rest = units[0], tokens[1:]
    if len(rest) == 1 and rest[0].plain in _END_MOVE:
        return (
            (c.EndMoveUp(id=x.key, source=x.source, unit=unit.id),),
            None,
            Said("move-end", {"units": unit.id}),
        )
    if rest and rest[0].plain in _AT:
        rest = rest[1:]
    posts = _stations(x.view.state)
    if not rest:
        x.places, x.place_from = tuple(sorted(posts)), len(x.text)
        x.want("place")
        x.missing("which-post")
        return None
    whole = x.span(rest)
    near = [name for name in posts if fold(name) == fold(whole.text)]
    near = near or [name for name in posts if _begins(_words(whole.text), _words(name))]
    post: c.Place | None
    if len(near) == 1:
        lon, lat = posts[near[0]]
        post = c.Place(lon, lat, near[0])
    else:
        post = x.find_place(rest)
        x.places = (*near, *x.places)
    x.want("place")
    if post is None:
        return None
    command = c.MoveUp(id=x.key, source=x.source, unit=unit.id, post=post, answer_s=x.view.answer_s)
    args = {
        "units": unit.id,
        "place": post.label,
        "how": "ask" if unit.command == "requested" else "send",
    }
    return (command,), None, Said("move", args)


def _stations(state: State) -> dict[str, tuple[float, float]]:
    """Where each station is that some unit calls its own."""
    found: dict[str, tuple[float, float]] = {}
    for unit in state.units():
        if unit.station and unit.base is not None:
            found.setdefault(unit.station, unit.base)
    return found


def _closure(x: _Line, tokens: list[_Token]) -> _Read:
    if not tokens:
        return (), Look("closures"), Said("closures")
    tokens, reason = x.free_text(tokens)
    kind, radius_m = "closure", RADIUS_M
    until_us: int | None = None
    minutes = 0
    share: float | None = None
    address: list[_Token] = []
    for token in tokens:
        if token.plain in _CLOSURE_KINDS and not address:
            kind = _CLOSURE_KINDS[token.plain]
        elif m := _RADIUS.fullmatch(token.plain):
            radius_m = int(m[1])
        elif m := _LASTS.fullmatch(token.plain):
            minutes = int(m[1]) * (1 if m[2] == "min" else 60)
            until_us = x.view.now_us + minutes * 60_000_000
        elif m := _PER_CENT.fullmatch(token.plain):
            share = int(m[1]) / 100
        else:
            address.append(token)
    if not address:
        x.missing("which-place")
        return None
    if kind == "slow" and share is None:
        x.missing("which-speed")
    place = x.find_place(address)
    x.want("place")
    if place is None or x.faults:
        return None
    command = c.ReportClosure(
        id=x.id,
        source=x.source,
        closure=x.id,
        kind=kind,
        geometry={"type": "Point", "coordinates": [place.lon, place.lat], "radius_m": radius_m},
        until_us=until_us,
        speed_share=share,
        reason=reason,
    )
    args = {
        "kind": kind,
        "place": place.label,
        "radius": radius_m,
        "minutes": minutes,
        "percent": round(share * 100) if share is not None else 0,
        "text": reason or "none",
    }
    return (command,), None, Said("closure", args)


def _flagged(x: _Line, tokens: list[_Token], on: bool) -> _Read:
    x.want("unit")
    units = x.units(tokens) if tokens else [x.view.unit_here] if x.view.unit_here else []
    if not units and not x.faults:
        x.missing("which-units")
    if not units or x.faults:
        return None
    ids = x.ids()
    commands = tuple(
        c.SetFlag(id=next(ids), source=x.source, unit=unit.id, flag="emergency", on=on) for unit in units
    )
    args = {"units": ", ".join(unit.id for unit in units), "on": "yes" if on else "no"}
    return commands, None, Said("danger", args)


def _danger(x: _Line, tokens: list[_Token]) -> _Read:
    return _flagged(x, tokens, True)


def _safe(x: _Line, tokens: list[_Token]) -> _Read:
    return _flagged(x, tokens, False)


def _answer(x: _Line, tokens: list[_Token], answer: str) -> _Read:
    tokens, reason = x.free_text(tokens)
    x.want("unit", tokens[:1])
    if not tokens:
        x.missing("which-units")
        return None
    units = x.units(tokens[:1])
    if not units:
        return None
    unit = units[0]
    if unit.asked is None:
        x.wrong("not-asked", tokens[0])
        return None
    name = x.span(tokens[1:]).text if tokens[1:] else ""
    if not name:
        x.missing("who-answered")
        return None
    incident = x.view.state.incident(unit.asked.incident)
    command = c.AnswerRequest(
        id=x.key,
        source=x.source,
        incident=unit.asked.incident,
        unit=unit.id,
        answer=answer,
        name=name,
        via="phone",
        reason=reason,
    )
    args = {"units": unit.id, "answer": answer, "name": name, "text": reason or "none"}
    return (command,), None, Said("answer", args, incident)


def _yes(x: _Line, tokens: list[_Token]) -> _Read:
    return _answer(x, tokens, "accepted")


def _no(x: _Line, tokens: list[_Token]) -> _Read:
    return _answer(x, tokens, "refused")


def _lights(x: _Line, tokens: list[_Token]) -> _Read:
    """There are no lights to command: nothing that is typed here may look as if it had been sent."""
    x.wrong("lights-none", x.span(x.tokens))
    return None


def _help(x: _Line, tokens: list[_Token]) -> _Read:
    return (), Look("help"), Said("help")


_READ: Mapping[str, Callable[[_Line, list[_Token]], _Read]] = {
    "report": _report,
    "assign": _assign,
    "status": _status,
    "note": _note,
    "recall": _recall,
    "acknowledge": _acknowledge,
    "answer-yes": _yes,
    "answer-no": _no,
    "find": _find,
    "why": _why,
    "close": _close,
    "reopen": _reopen,
    "level": _level,
    "priority": _priority,
    "merge": _merge,
    "link": _link,
    "unlink": _unlink,
    "move": _move,
    "closure": _closure,
    "danger": _danger,
    "safe": _safe,
    "lights": _lights,
    "help": _help,
}
