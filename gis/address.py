"""The address book: what a caller says, found on the map while it is typed; and the way back from a point to
words.

One read-only SQLite file per city. Full-text search covers the *names* of streets and landmarks only; house
numbers are looked up by (street, number), so a million addresses add nothing to the cost of a search. Rows of
`name` are numbered by importance, so that the first rows of a full-text result are the ones worth ranking.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import sqlite3
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from gis.geometry import Box, explain_outside, haversine_m, is_position, metres_between
from gis.roads import UNKNOWN_E7

Kind = Literal["address", "street", "crossing", "landmark", "coordinates", "road_km"]
Match = Literal["exact", "prefix", "near"]
Rings = Sequence[tuple[Sequence[tuple[float, float]], Sequence[Sequence[tuple[float, float]]]]]
LonLat = tuple[float, float]

FILE_NAME: Final = "addresses.sqlite"
ADDRESS_REACH_M: Final = 40.0
STREET_REACH_M: Final = 300.0
LANDMARK_REACH_M: Final = 500.0
MILESTONE_GAP_KM_MAX: Final = 20.0
QUERY_CHARS_MAX: Final = 200
CANDIDATES_MAX: Final = 150
NUMBERED_STREETS_MAX: Final = 40

# One cell of the look-up grid: 0.002 degrees, about 220 m north to south.
_CELL_E7: Final = 20_000
_CELLS_A_ROW: Final = 180_001
# Pieces of one street name lie together when their cells of 0.004 degrees touch.
_CLUSTER_E7: Final = 40_000
_STREET_POINT_M: Final = 25.0

_SCHEMA: Final = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE street(id INTEGER PRIMARY KEY, name TEXT, lon_e7 INT, lat_e7 INT, district TEXT, city TEXT,
    label TEXT);
CREATE TABLE address(id INTEGER PRIMARY KEY, street INT, n INT, n_end INT, tail TEXT, number TEXT, block TEXT,
    lon_e7 INT, lat_e7 INT, cell INT);
CREATE TABLE street_point(cell INT, street INT, lon_e7 INT, lat_e7 INT);
CREATE TABLE crossing(a INT, b INT, lon_e7 INT, lat_e7 INT);
CREATE TABLE landmark(id INTEGER PRIMARY KEY, name TEXT, sort TEXT, lon_e7 INT, lat_e7 INT, cell INT,
    street TEXT, number TEXT, district TEXT, city TEXT);
CREATE TABLE name(id INTEGER PRIMARY KEY, folded TEXT, core TEXT, alt TEXT, old INT, street INT,
    landmark INT);
CREATE TABLE milestone(road TEXT, km REAL, lon_e7 INT, lat_e7 INT);
CREATE TABLE road_point(road TEXT, lon_e7 INT, lat_e7 INT);
CREATE TABLE word(word TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gap(gap TEXT, word TEXT, PRIMARY KEY (gap, word)) WITHOUT ROWID;
CREATE VIRTUAL TABLE name_words USING fts5(folded, content='', prefix='1 2 3 4', detail='none',
    tokenize='unicode61 remove_diacritics 0');
"""
_INDEXES: Final = """
CREATE INDEX address_number ON address(street, n);
CREATE INDEX address_cell ON address(cell);
CREATE INDEX street_point_cell ON street_point(cell);
CREATE INDEX crossing_a ON crossing(a, b);
CREATE INDEX crossing_b ON crossing(b, a);
CREATE INDEX landmark_cell ON landmark(cell);
CREATE INDEX name_core ON name(core);
CREATE INDEX name_street ON name(street, core);
CREATE INDEX milestone_km ON milestone(road, km);
CREATE INDEX road_point_road ON road_point(road, lat_e7);
"""

# Romanian words for kinds of street: every way they are written, to the full form. A query may omit them.
_KINDS_OF_STREET: Final[Mapping[str, str]] = {
    written: full
    for full, forms in {
        "strada": "strada str strad stradela", "bulevardul": "bulevardul bulevard bd bdul bld blvd bvd bul",
        "calea": "calea cal", "aleea": "aleea alee al", "soseaua": "soseaua sosea sos",
        "splaiul": "splaiul splai spl",
        "piata": "piata pta", "intrarea": "intrarea intr", "fundatura": "fundatura fdt fnd",
        "pasajul": "pasajul pasaj",
        "prelungirea": "prelungirea prel", "drumul": "drumul",
    }.items()
    for written in forms.split()
}  # fmt: skip
_HYPHENATED: Final = re.compile(r"\b(b|p)-(dul|ta)\b")
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
_NOT_WORD: Final = re.compile(r"[^0-9a-z\u0370-\uffff]+")

_NAME_KEYS: Final = (
    "name", "alt_name", "old_name", "short_name", "loc_name", "official_name", "int_name",
    "name:ro", "name:en", "name:fi", "name:sv", "name:hu", "name:de", "name:pt",
)  # fmt: skip
_NO_STREET: Final = frozenset(
    {
        "proposed",
        "planned",
        "construction",
        "platform",
        "rest_area",
        "services",
        "bus_stop",
        "elevator",
        "razed",
        "abandoned",
    }
)
_LANDMARK_KEYS: Final = (
    "amenity", "healthcare", "emergency", "railway", "public_transport", "aeroway", "tourism", "shop",
    "leisure", "office",
    "historic", "man_made", "place", "building", "natural", "craft", "bridge", "waterway", "landuse",
)  # fmt: skip
_WEIGHTY: Final[Mapping[str, float]] = {
    "hospital": 12, "station": 11, "aerodrome": 11, "fire_station": 11, "police": 11, "university": 9,
    "school": 8,
    "townhall": 10, "city": 12, "town": 11, "suburb": 9, "village": 9, "quarter": 8, "neighbourhood": 8,
    "mall": 9,
    "stadium": 9, "museum": 8, "theatre": 8, "pharmacy": 6, "clinic": 8, "marketplace": 8, "square": 8,
    "halt": 8,
}  # fmt: skip

_AREAS: Final = frozenset(
    {
        "city",
        "town",
        "village",
        "hamlet",
        "suburb",
        "borough",
        "quarter",
        "neighbourhood",
        "city_block",
        "island",
        "islet",
        "locality",
    }
)


def fold(text: str) -> str:
    """Lower case, no diacritics (ș and ş and s are one), punctuation to blanks, street kinds written out."""
    lowered = _HYPHENATED.sub(r"\1\2", text.casefold().translate(_LETTERS))
    bare = "".join(c for c in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(c))
    return " ".join(_KINDS_OF_STREET.get(word, word) for word in _NOT_WORD.sub(" ", bare).split())


def _core(folded: str) -> str:
    """A folded name without its kind of street, unless that is all there is."""
    words = folded.split()
    kept = [word for word in words if word not in _KINDS_OF_STREET]
    return " ".join(kept or words)


@dataclass(frozen=True)
class HouseNumber:
    """A house number as it compares: 12, 12A, 12-14, 12/3. `tail` is what follows the digits, folded."""

    n: int
    n_end: int
    tail: str

    @classmethod
    def parse(cls, text: str) -> HouseNumber | None:
        match = re.match(r"^(\d{1,5})(?:\s*[-–]\s*(\d{1,5})(?!\d))?\s*(.*)$", text.strip())
        if not match:
            return None
        low, high = sorted((int(match[1]), int(match[2] or match[1])))
        return cls(low, high, fold(match[3]).replace(" ", ""))

    def includes(self, asked: HouseNumber) -> bool:
        """Whether this building carries the number asked for."""
        if (self.n, self.n_end, self.tail) == (asked.n, asked.n_end, asked.tail):
            return True
        one_side = self.n % 2 == self.n_end % 2
        in_range = self.n <= asked.n == asked.n_end <= self.n_end and (
            not one_side or asked.n % 2 == self.n % 2
        )
        return self.n < self.n_end and in_range and not asked.tail


@dataclass(frozen=True)
class Place:
    """One answer of the address book.

    `parts` has some of: street, number, block, staircase, floor, apartment, intercom, district, city,
    landmark, road, road_km. `match` is "exact", "prefix" (still being typed) or "near" (not what was asked,
    and `note` says why: "number_not_found", "typo", "swapped", "outside", "interpolated", "landmark": only
    the landmark it is said to be by, "old_name": called so no longer, "elsewhere": not in the district or
    city that was said, or something else was said that does not belong to it). The note "area" on a landmark
    says that it is a whole neighbourhood or town. `distance_m` is set by `reverse` only.
    """

    label: str
    kind: Kind
    lon: float
    lat: float
    parts: dict[str, str] = field(default_factory=dict)
    match: Match = "exact"
    note: str = ""
    distance_m: float | None = None


# --- What a caller in a Romanian city says --------------------------------------------------------

_POSTCODE: Final = re.compile(r"(?<=[\da-zA-Z])\s*,?\s+\d{5,6}(?=\s|,|$),?\s*")
"""Five or six digits after a house number or a place: no European house number has as many."""

_UNTIL: Final = (
    r"(?=\s*(?:,|;|$|"
    r"\b(?:bl|bloc|sc|scara|et|etaj|ap|apt|apartament|interfon|cartier|cart|sector|loc|reper|nr)\b))"
)
_SPOKEN: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (key, re.compile(pattern, re.IGNORECASE))
    for key, pattern in (
        ("landmark", r"\b(?:reper|lângă|langa|vizavi de|vis-a-vis de|peste drum de|în fața|in fata|în spatele"
                     r"|in spatele)\s*:?\s+([^,;]+?)" + _UNTIL),
        ("intercom", r"\b(?:interfon|interf)\b\.?\s*(?:cod\s*)?#?\s*(\w{1,8})"),
        ("apartment", r"\b(?:ap|apt|apart|apartament|apartamentul)\b\.?\s*(?:nr\.?\s*)?(\d{1,4}[a-z]?)\b"),
        ("floor", r"\b(?:et|etaj|etajul)\b\.?\s*(-?\d{1,2}|parter|demisol|mansard[aă]|[pdm])\b"),
        ("floor", r"(?<!\w)(parter|demisol|mansard[aă])\b"),
        ("staircase", r"\b(?:sc|scara)\b\.?\s*([a-z]|\d{1,2}[a-z]?)\b"),
        ("block", r"\b(?:bl|bloc|blocul)\b\.?\s*"
                  r"([a-z]{0,3}[-/ ]?\d{1,4}[a-z]?(?:[-/]\d{1,3})?|[a-z]{1,2})\b"),
        ("district", r"\b(sector(?:ul)?\s*[1-6])\b"),
        ("district", r"\b(?:cartierul|cartier|cart\.)\s*([^,;]+?)" + _UNTIL),
        ("city", r"\b(?:localitatea|loc\.|orașul|orasul|oraș|oras|municipiul|mun\.|comuna|com\.|satul|sat)"
                 r"\s+([^,;]+?)" + _UNTIL),
    )
)  # fmt: skip
_ROAD: Final = r"(?P<road>[A-Za-z]{1,3}\s?-?\s?\d{1,4}[A-Za-z]?)"
_KM: Final = r"km\.?\s*(?P<km>\d{1,4})(?:\s*\+\s*(?P<m>\d{1,3})|[.,](?P<part>\d{1,3}))?"
_ROAD_KM: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (rf"\b{_ROAD}\s*,?\s*(?:la\s+)?{_KM}\b", rf"\b{_KM}\s*,?\s*(?:pe\s+)?{_ROAD}\b")
)
_NUMBER: Final = r"\d{1,5}(?:\s?[-–/]\s?\d{1,5})?(?:\s?(?:bis|ter)|\s?[A-Za-z])?"
_NUMBER_SAID: Final = re.compile(
    rf"(?:,\s*)?\b(?:nr|num[aă]r|num[aă]rul|no)\b\.?\s*({_NUMBER})(?!\w)", re.IGNORECASE
)
_NUMBER_LAST: Final = re.compile(rf"[\s,]\s*({_NUMBER})$")
_NUMBER_BEFORE_COMMA: Final = re.compile(rf"[\s,]\s*({_NUMBER})(?=\s*,)")
_NUMBER_FIRST: Final = re.compile(rf"^({_NUMBER})[\s,]+(?=\D)")


def parse_parts(text: str) -> dict[str, str]:
    """The parts of a spoken address: "Str. Lungă 5 bl. A3 sc. B et. 4 ap. 17 interfon 23".

    Keys as in `Place.parts`; only those that were said. Nothing is looked up: the street stays as it was
    said.
    """
    parts, rest = _spoken(text)
    if road := _road_km(rest):
        parts["road"], parts["road_km"] = road[0], f"{road[1]:.3f}"
        return parts
    if said := _NUMBER_SAID.search(rest):
        parts["number"] = _tight(said[1])
        rest = (rest[: said.start()] + " " + rest[said.end() :]).strip(" ,;")
    elif last := _NUMBER_LAST.search(rest) or _NUMBER_BEFORE_COMMA.search(rest):
        parts["number"] = _tight(last[1])
        rest = (rest[: last.start()] + rest[last.end() :]).strip(" ,;")
    elif first := _NUMBER_FIRST.search(rest):
        parts["number"] = _tight(first[1])
        rest = rest[first.end() :].strip(" ,;")
    segments = [re.sub(r"\s+", " ", segment).strip() for segment in rest.split(",") if segment.strip()]
    if segments:
        parts["street"] = segments[0]
    if len(segments) > 1:
        parts.setdefault("city", segments[-1])
    order = (
        "street",
        "number",
        "block",
        "staircase",
        "floor",
        "apartment",
        "intercom",
        "district",
        "city",
        "landmark",
    )
    return {key: parts[key] for key in order if key in parts}


def _spoken(text: str) -> tuple[dict[str, str], str]:
    """The parts that are announced by a word of their own, and the text without them."""
    parts: dict[str, str] = {}
    rest = text[:QUERY_CHARS_MAX]
    for key, pattern in _SPOKEN:
        if key in parts:
            continue
        if match := pattern.search(rest):
            value = match[1].strip(" .")
            parts[key] = value.upper() if key in ("block", "staircase") else value
            rest = rest[: match.start()] + " \x1f " + rest[match.end() :]
    # A comma inside "km 12,3" stays; those left standing around a removed part go with it.
    rest = re.sub(r"\s*(?:[,;]\s*)?(?:\x1f[\s,;]*)+", ", ", rest)
    return parts, re.sub(r"\s+", " ", rest).strip(" ,;")


def _tight(number: str) -> str:
    tight = re.sub(r"\s*([-–/])\s*", r"\1", number.strip())
    return re.sub(r"^([\d/–-]+)\s+([A-Za-z])$", r"\1\2", tight)


def _road_km(text: str) -> tuple[str, float] | None:
    for pattern in _ROAD_KM:
        if match := pattern.search(text):
            km = float(match["km"])
            if match["m"]:
                km += int(match["m"].ljust(3, "0") if len(match["m"]) < 3 else match["m"]) / 1000
            elif match["part"]:
                km += float(f"0.{match['part']}")
            return _road(match["road"]), km
    return None


def _road(ref: str) -> str:
    return re.sub(r"[\s-]", "", ref).upper()


# --- Coordinates ----------------------------------------------------------------------------------

_DEGREES: Final = (
    r"(?P<{0}h1>[NSEWnsew])?\s*(?P<{0}d>[-+]?\d{{1,3}}(?:[.,]\d+)?)\s*(?:°|º|\s(?=\s*\d))?\s*"
    r"(?:(?P<{0}m>\d{{1,2}}(?:[.,]\d+)?)\s*(?:['′’]|\s(?=\s*\d))?\s*(?:(?P<{0}s>\d{{1,2}}(?:[.,]\d+)?)\s*(?:\"|″|”|'')?)?)?"
    r"\s*(?P<{0}h2>[NSEWnsew])?"
)
_DMS: Final = re.compile(rf"^\s*{_DEGREES.format('a')}\s*[,;\s]\s*{_DEGREES.format('b')}\s*$")
_DECIMAL: Final = re.compile(
    r"^\s*([NSns])?\s*([-+]?\d{1,3}(?:[.,]\d+)?)\s*°?\s*([NSEWnsew])?\s*[,;\s]\s*([EWNSewns])?\s*([-+]?\d{1,3}(?:[.,]\d+)?)\s*°?"
    r"\s*([NSEWnsew])?\s*$"
)


def parse_coordinates(text: str) -> LonLat | None:
    """(lon, lat) of typed coordinates, latitude first unless letters say otherwise; None when it is not a
    pair.

    Reads decimal degrees with point or comma, and degrees, minutes and seconds. A pair of whole numbers
    without a degree sign or letter is not taken for coordinates.
    """
    if (match := _DECIMAL.match(text)) and (re.search(r"\d[.,]\d", text) or re.search(r"[°NSEWnsew]", text)):
        first, second = (float(value.replace(",", ".")) for value in (match[2], match[5]))
        letters = ((match[1] or match[3] or "").upper(), (match[4] or match[6] or "").upper())
    elif (match := _DMS.match(text)) and re.search(r"[°º'′’NSEWnsew]", text):
        first, second = _degrees(match, "a"), _degrees(match, "b")
        letters = tuple((match[f"{x}h1"] or match[f"{x}h2"] or "").upper() for x in "ab")  # type: ignore[assignment]  # two letters
    else:
        return None
    if letters[0] in ("S", "W"):
        first = -abs(first)
    if letters[1] in ("S", "W"):
        second = -abs(second)
    lon_first = letters[0] in ("E", "W") or letters[1] in ("N", "S")
    lon, lat = (first, second) if lon_first else (second, first)
    return (lon, lat) if is_position(lon, lat) else None


def _degrees(match: re.Match[str], which: str) -> float:
    degrees, minutes, seconds = (float((match[f"{which}{part}"] or "0").replace(",", ".")) for part in "dms")
    return math.copysign(abs(degrees) + minutes / 60 + seconds / 3600, degrees)


# --- Searching ------------------------------------------------------------------------------------

_CROSSING: Final = re.compile(
    r"\s+(?:x|×|&|\+|and|și|si|(?:(?:la )?col[tț] |intersec[tț]ie )?cu|kulma)\s+|\s*[&×]\s*|\s+/\s+"
    r"|(?<=[^\W\d_]{3})/(?=[^\W\d_]{3})",
    re.IGNORECASE,
)
_CROSSING_LEAD: Final = re.compile(
    r"^(?:intersec[tț]i[ae]|colț|colt|crossing of|corner of)\s+", re.IGNORECASE
)
_KIND_ORDER: Final[Mapping[str, int]] = {
    "coordinates": 0,
    "road_km": 0,
    "address": 0,
    "street": 1,
    "crossing": 2,
    "landmark": 3,
}
_NAMES_EQUAL: Final = "SELECT id, folded, core, alt, old, street, landmark FROM name WHERE core = ? LIMIT ?"
_NAMES_BEGUN: Final = (
    "SELECT id, folded, core, alt, old, street, landmark FROM name WHERE core > ? AND core < ? LIMIT ?"
)
_NAMES_WITH_WORDS: Final = """
SELECT n.id, n.folded, n.core, n.alt, n.old, n.street, n.landmark FROM name n
JOIN (SELECT rowid FROM name_words WHERE name_words MATCH ? ORDER BY rowid LIMIT ?) w ON w.rowid = n.id
"""
_WORDS_AMONG: Final = "SELECT word FROM word WHERE word IN (SELECT value FROM json_each(?))"
_WORDS_BY_GAP: Final = "SELECT word FROM gap WHERE gap IN (SELECT value FROM json_each(?))"
_CROSSED_BY: Final = """
WITH start(id) AS (SELECT value FROM json_each(?1)),
     met(start, other, lon_e7, lat_e7) AS (
        SELECT a, b, lon_e7, lat_e7 FROM crossing WHERE a IN start
        UNION ALL SELECT b, a, lon_e7, lat_e7 FROM crossing WHERE b IN start)
SELECT met.start, met.other, met.lon_e7, met.lat_e7, name.core, name.old
FROM met JOIN name ON name.street = met.other
"""


@dataclass(frozen=True)
class _Named:
    """A row of `name` that matches: a street or a landmark."""

    id: int
    folded: str
    core: str
    alt: str | None
    old: int
    street: int | None
    landmark: int | None


_Ranked = tuple[tuple[float, ...], Place]
Ints = NDArray[np.int64]
_Find = Callable[[list[str]], list[_Named]]


class AddressBook:
    """The address book of an imported city. Reading only; safe to use from several threads at once."""

    def __init__(self, file: Path) -> None:
        self._uri = f"{file.resolve().as_uri()}?mode=ro&immutable=1"
        self._free: list[sqlite3.Connection] = []
        with self._connection() as db:
            meta = dict(db.execute("SELECT key, value FROM meta"))
        west, south, east, north = (float(meta[side]) for side in ("west", "south", "east", "north"))
        self.bbox: Box = (west, south, east, north)

    @classmethod
    def open(cls, city: Path) -> AddressBook:
        """Open the book in the city's folder. Raises sqlite3.Error or KeyError when it is unreadable."""
        return cls(city / FILE_NAME)

    def close(self) -> None:
        """Close the connections that no search holds."""
        while self._free:
            self._free.pop().close()

    def search(self, text: str, limit: int = 10, near: LonLat | None = None) -> list[Place]:
        """What the text may mean, best first: exact house number, street, crossing, landmark; ties by
        nearness to `near` (lon, lat). Coordinates and a road's kilometre are recognised. Never raises on any
        text."""
        text = " ".join(text[:QUERY_CHARS_MAX].replace("\x00", " ").split())
        if not text or limit < 1:
            return []
        if (point := parse_coordinates(text)) is not None:
            return self._coordinates(*point)
        # Callers and other programs say the postcode too; it tells nothing that the number and city do not.
        parts, rest = _spoken(_POSTCODE.sub(", ", text))
        with self._connection() as db:
            look = _Look(db, near if near and is_position(*near) else None)
            if (road := _road_km(rest)) is not None:
                return [_with(place, parts) for place in look.road_km(*road)]
            # With no street said, or none found, the landmark that the caller stands by is the best there is.
            ranked = look.everything(rest, parts) if rest else []
            if not ranked and "landmark" in parts:
                ranked = look.everything(parts["landmark"], {})
                ranked = [(rank, replace(place, match="near", note="landmark")) for rank, place in ranked]
            if not ranked and rest != text:
                ranked, parts = look.everything(text, {}), {}
        ranked.sort(key=lambda entry: entry[0])
        places: list[Place] = []
        seen: set[tuple[str, str]] = set()
        for _, place in ranked:
            key = (place.label, place.kind)
            if key in seen and any(
                p.label == place.label and metres_between(p.lon, p.lat, place.lon, place.lat) < 150
                for p in places
            ):
                continue
            seen.add(key)
            places.append(_with(place, parts))
            if len(places) == limit:
                break
        return places

    def reverse(self, lon: float, lat: float) -> Place | None:
        """The nearest address within 40 m, else street within 300 m, else landmark within 500 m; else
        None."""
        if not is_position(lon, lat):
            return None
        with self._connection() as db:
            look = _Look(db, (lon, lat))
            if (row := _nearest(db, "address", lon, lat, ADDRESS_REACH_M)) is not None:
                return replace(look.address(row[0], row[1]), distance_m=round(row[2], 1))
            if (row := _nearest(db, "street_point", lon, lat, STREET_REACH_M)) is not None:
                street = look.street(row[0])
                return replace(street, lon=row[3], lat=row[4], distance_m=round(row[2], 1))
            if (row := _nearest(db, "landmark", lon, lat, LANDMARK_REACH_M)) is not None:
                return replace(look.landmark(row[0]), distance_m=round(row[2], 1))
        return None

    def named_areas(self) -> list[tuple[str, str, float, float]]:
        """(name, kind, lon, lat) of the towns, villages, suburbs, quarters ... on the map, by name."""
        with self._connection() as db:
            rows = db.execute(
                "SELECT name, sort, lon_e7 / 1e7, lat_e7 / 1e7 FROM landmark"
                " WHERE sort IN (SELECT value FROM json_each(?)) ORDER BY name, id",
                (json.dumps(sorted(_AREAS)),),
            )
            return [(name, sort, lon, lat) for name, sort, lon, lat in rows]

    def _coordinates(self, lon: float, lat: float) -> list[Place]:
        def at(lon: float, lat: float, match: Match, note: str) -> Place:
            return Place(f"{lat:.6f}, {lon:.6f}", "coordinates", lon, lat, {}, match, note)

        reason = explain_outside(lon, lat, self.bbox)
        if reason is None:
            return [at(lon, lat, "exact", "")]
        if reason == "swapped":
            return [at(lat, lon, "near", "swapped")]
        return [at(lon, lat, "near", "outside")]

    def _connection(self) -> _Borrowed:
        return _Borrowed(self._uri, self._free)


class _Borrowed:
    """A connection of one's own for the length of a `with`: popping from and appending to a list are
    atomic."""

    def __init__(self, uri: str, free: list[sqlite3.Connection]) -> None:
        self._uri, self._free = uri, free

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._db = self._free.pop()
        except IndexError:
            self._db = sqlite3.connect(self._uri, uri=True, check_same_thread=False, isolation_level=None)
        return self._db

    def __exit__(self, *_: object) -> None:
        self._free.append(self._db)


def _with(place: Place, parts: Mapping[str, str]) -> Place:
    """The place with what else the caller said; what the map knows comes first."""
    return replace(place, parts={**parts, **place.parts}) if parts else place


class _Look:
    """One look into the book, on one connection."""

    def __init__(self, db: sqlite3.Connection, near: LonLat | None) -> None:
        self.db = db
        self.near = near
        self._streets: dict[int, Place] = {}

    def everything(self, text: str, parts: Mapping[str, str]) -> list[_Ranked]:
        hints = [fold(parts[key]) for key in ("district", "city") if key in parts]
        found = self._crossings(text, hints) + self._readings(text, parts, hints, self.names)
        if not found:
            found = self._readings(text, parts, hints, self.names_despite_typos)
            found = [((1.0, *rank[1:]), replace(p, match="near", note=p.note or "typo")) for rank, p in found]
        return [(rank, _honest(place, missed=rank[2])) for rank, place in found]

    def _readings(self, text: str, parts: Mapping[str, str], hints: list[str], find: _Find) -> list[_Ranked]:
        """Every way to read the text: as a name, or as a street with a number before, behind or between."""
        head, *tail = [segment for segment in (s.strip() for s in text.split(",")) if segment] or [""]
        if tail and HouseNumber.parse(tail[0]) and len(tail[0]) <= 8:
            head, tail = f"{head} {tail[0]}", tail[1:]
        if said := _NUMBER_SAID.search(head):
            head = f"{head[: said.start()]} {_tight(said[1])} {head[said.end() :]}"
        hints = hints + [fold(segment) for segment in tail]
        # Folding would take a range or "12 A" apart: keep each number whole, as one word.
        pieces = re.sub(rf"(?<!\S)({_NUMBER})(?!\S)", lambda m: _tight(m[1]).replace(" ", ""), head).split()
        found: list[_Ranked] = []
        for i, piece in enumerate(pieces):
            if not piece[0].isdigit() or (asked := HouseNumber.parse(piece)) is None:
                continue
            before, behind = fold(" ".join(pieces[:i])), fold(" ".join(pieces[i + 1 :]))
            if before:
                found += self._numbered(
                    find(before.split()), before, asked, parts, hints + [behind] * bool(behind)
                )
            elif behind:
                found += self._numbered(find(behind.split()), behind, asked, parts, hints)
        folded = fold(head)
        for named in find(folded.split()):
            place = self.place(named)
            exact = named.core == _core(folded)
            found.append(
                (
                    self._rank(named, folded, place, exact, hints),
                    replace(place, match="exact" if exact else "prefix"),
                )
            )
        return found

    def _numbered(
        self,
        streets: Iterable[_Named],
        said: str,
        asked: HouseNumber,
        parts: Mapping[str, str],
        hints: list[str],
    ) -> list[_Ranked]:
        found: list[_Ranked] = []
        unnumbered: list[_Ranked] = []
        block = fold(parts.get("block", "")).replace(" ", "")
        for named in itertools.islice((n for n in streets if n.street is not None), NUMBERED_STREETS_MAX):
            assert named.street is not None
            rows = self.db.execute(
                "SELECT id, n, n_end, tail, number, block FROM address WHERE street = ? ORDER BY n, tail",
                (named.street,),
            ).fetchall()
            same_name = named.core == _core(said)
            if not rows:
                if same_name or len(said) >= 4:
                    place = replace(self.place(named), match="near", note="number_not_found")
                    rank = self._rank(named, said, place, same_name, hints)
                    unnumbered.append(((0.9, float(not same_name), rank[2], 0.0, *rank[3:]), place))
                continue
            hits = [row for row in rows if HouseNumber(row[1], row[2], row[3]).includes(asked)]
            by_block = [row for row in hits if block and fold(row[5] or "").replace(" ", "") == block]
            for row in by_block or hits:
                place = self.address(row[0], named.street)
                if named.old:
                    place = replace(place, label=f"{place.label} ({named.alt})", note="old_name")
                rank = self._rank(named, said, place, same_name, hints)
                as_said = -0.1 * (row[1:4] == (asked.n, asked.n_end, asked.tail))
                level = (-1.0 if same_name else -0.8) + as_said
                found.append(
                    ((rank[0], level, *rank[2:]), replace(place, match="exact" if same_name else "prefix"))
                )
            begun = [
                row for row in rows
                if not asked.tail and row not in hits and str(row[1]).startswith(str(asked.n))
            ]  # fmt: skip
            for row in begun[:4] if same_name or hits else ():
                place = self.address(row[0], named.street)
                rank = self._rank(named, said, place, same_name, hints)
                found.append(((rank[0], 0.5, *rank[2:]), replace(place, match="prefix")))
            if not hits and (same_name or len(said) >= 4):
                # The other side of the street is as near by number, but not the house next door.
                nearest = sorted(
                    rows, key=lambda row: (abs(row[1] - asked.n), (row[1] - asked.n) % 2, row[3])
                )
                for nth, row in enumerate(nearest[:3]):
                    place = replace(self.address(row[0], named.street), match="near", note="number_not_found")
                    rank = self._rank(named, said, place, same_name, hints)
                    found.append(((0.9, float(not same_name), rank[2], nth, *rank[3:]), place))
        # A street none of whose numbers the map knows is the answer where no other street has the number.
        if not found:
            return sorted(unnumbered, key=lambda entry: entry[0])[:3]
        # Neighbouring numbers are an answer only where the number itself is not found, on the street that was
        # named.
        if any(place.match == "exact" for _, place in found):
            return [entry for entry in found if entry[1].match != "near"]
        if any(place.match == "near" and rank[1] == 0.0 for rank, place in found):
            return [(rank, place) for rank, place in found if place.match != "near" or rank[1] == 0.0]
        return found

    def _rank(
        self, named: _Named, said: str, place: Place, exact: bool, hints: list[str]
    ) -> tuple[float, ...]:
        kind_differs = float(exact and named.folded != said) + named.old
        starts = 0.0 if named.core.startswith(_core(said)) else 1.0
        away_m = metres_between(*self.near, place.lon, place.lat) if self.near else 0.0
        return (
            0.0,
            0.0 if exact else 1.0,
            _missed(hints, place),
            _KIND_ORDER[place.kind],
            kind_differs,
            starts,
            away_m,
            named.id,
        )

    def names(self, words: list[str]) -> list[_Named]:
        """Streets and landmarks whose names hold every word, the last one as a beginning; the important
        first."""
        if not words:
            return []
        core = [word for word in words if word not in _KINDS_OF_STREET] or words
        said = " ".join(core)
        match = " AND ".join(f'"{word}"*' for word in core)
        rows = self.db.execute(_NAMES_EQUAL, (said, CANDIDATES_MAX)).fetchall()
        rows += self.db.execute(_NAMES_BEGUN, (said, said + "\U0010ffff", CANDIDATES_MAX // 3)).fetchall()
        rows += self.db.execute(_NAMES_WITH_WORDS, (match, CANDIDATES_MAX)).fetchall()
        best: dict[tuple[int | None, int | None], _Named] = {}
        for row in rows:
            named = _Named(*row)
            key = (named.street, named.landmark)
            held = best.get(key)
            if held is None or (named.core == said and held.core != said):
                best[key] = named
        return sorted(best.values(), key=lambda n: (n.core != said, n.id))

    def names_despite_typos(self, words: list[str]) -> list[_Named]:
        """As `names`, with up to one slip in each word: a letter wrong, missing, too many, or two
        exchanged."""
        core = [word for word in words if word not in _KINDS_OF_STREET] or words
        choices = [
            [word] if self._begins_a_word(word) else self._meant(word, word is core[-1]) for word in core
        ]
        if all(choice == [word] for choice, word in zip(choices, core, strict=True)):
            variants = [
                [*core[:i], other, *core[i + 1 :]]
                for i, word in enumerate(core)
                for other in self._meant(word, word is core[-1])
            ]
        else:
            variants = [list(variant) for variant in itertools.product(*choices)]
        found: dict[tuple[int | None, int | None], _Named] = {}
        for variant in variants[:12]:
            for named in self.names(variant):
                found.setdefault((named.street, named.landmark), named)
        return list(found.values())

    def _begins_a_word(self, word: str) -> bool:
        row = self.db.execute(
            "SELECT 1 FROM word WHERE word >= ? AND word < ? LIMIT 1", (word, word + "\U0010ffff")
        )
        return row.fetchone() is not None

    def _meant(self, word: str, is_last: bool) -> list[str]:
        """Words of the book one slip away from `word`; for the last one also words that go on after it."""
        if len(word) < 4 or word.isdigit():
            return []
        gaps = sorted(_gaps(word))
        near = {w for (w,) in self.db.execute(_WORDS_AMONG, (json.dumps(gaps),))}
        near |= {w for (w,) in self.db.execute(_WORDS_BY_GAP, (json.dumps([*gaps, word]),))}
        meant = sorted(w for w in near if w != word and _one_slip(word, w))
        if not meant and is_last and len(word) >= 5:
            size = len(word)
            for start in (word[: (size + 1) // 2], word[:2]):
                rows = self.db.execute(
                    "SELECT word FROM word WHERE word >= ? AND word < ? LIMIT 2000",
                    (start, start + "\U0010ffff"),
                )
                meant = [
                    w
                    for (w,) in rows
                    if any(_one_slip(word, w[:cut]) for cut in (size - 1, size, size + 1) if cut <= len(w))
                ]
                if meant:
                    break
        return meant[:6]

    def place(self, named: _Named) -> Place:
        place = self.street(named.street) if named.street is not None else self.landmark(named.landmark or 0)
        note = "old_name" if named.old else place.note
        return replace(place, label=f"{place.label} ({named.alt})", note=note) if named.alt else place

    def street(self, street: int) -> Place:
        if (held := self._streets.get(street)) is not None:
            return held
        name, lon, lat, district, city, label = self.db.execute(
            "SELECT name, lon_e7, lat_e7, district, city, label FROM street WHERE id = ?", (street,)
        ).fetchone()
        parts = _parts(street=name, district=district, city=city)
        place = self._streets[street] = Place(label, "street", lon / 1e7, lat / 1e7, parts)
        return place

    def address(self, address: int, street: int) -> Place:
        number, block, lon, lat, held = self.db.execute(
            "SELECT number, block, lon_e7, lat_e7, street FROM address WHERE id = ?", (address,)
        ).fetchone()
        of = self.street(held)
        name, rest = of.parts["street"], of.label[len(of.parts["street"]) :]
        parts = _parts(**{**of.parts, "number": number, "block": block})
        return Place(f"{name} {number}{rest}", "address", lon / 1e7, lat / 1e7, parts)

    def landmark(self, landmark: int) -> Place:
        name, sort, lon, lat, street, number, district, city = self.db.execute(
            "SELECT name, sort, lon_e7, lat_e7, street, number, district, city FROM landmark WHERE id = ?",
            (landmark,),
        ).fetchone()
        parts = _parts(landmark=name, street=street, number=number, district=district, city=city)
        where = f"{street} {number}".strip() if street else district or city
        return Place(
            f"{name}, {where}" if where and fold(where) not in fold(name) else name,
            "landmark",
            lon / 1e7,
            lat / 1e7,
            parts,
            note="area" if sort in _AREAS else "",
        )

    def _crossings(self, text: str, hints: list[str]) -> list[_Ranked]:
        text = _CROSSING_LEAD.sub("", text)
        found: list[_Ranked] = []
        for cut in _CROSSING.finditer(text):
            behind, *tail = text[cut.end() :].split(",")
            sides = (fold(text[: cut.start()]), fold(behind))
            where = hints + [fold(segment) for segment in tail]
            named = [[n for n in self.names(said.split()) if n.street is not None] for said in sides]
            known = [
                [n for n in side if n.core == _core(said)] for side, said in zip(named, sides, strict=True)
            ]
            # Start from the street that is said in full, else from the one that may mean fewer; then see what
            # crosses it.
            anchor = 0 if known[0] else 1 if known[1] or 0 < len(named[1]) < len(named[0]) else 0
            other_words = _core(sides[1 - anchor]).split()
            if not other_words:
                continue
            starts = {n.street: n.old for n in (known[anchor] or named[anchor])[:NUMBERED_STREETS_MAX]}
            rows = self.db.execute(_CROSSED_BY, (json.dumps(sorted(starts, key=int)),)).fetchall()
            best: dict[tuple[int, int, int, int], bool] = {}
            old: set[tuple[int, int, int, int]] = set()
            for start, crossed, lon_e7, lat_e7, core, is_old in rows:
                if _holds(core.split(), other_words):
                    key = (start, crossed, lon_e7, lat_e7)
                    best[key] = best.get(key, False) or core.split() == other_words
                    if starts[start] or (is_old and core.split() == other_words):
                        old.add(key)
            for (start, crossed, lon_e7, lat_e7), in_full in best.items():
                pair = (self.street(start), self.street(crossed))
                first, second = pair if anchor == 0 else pair[::-1]
                lon, lat = lon_e7 / 1e7, lat_e7 / 1e7
                both = in_full and bool(known[anchor])
                label = f"{first.parts['street']} × {second.parts['street']}"
                place = Place(
                    label,
                    "crossing",
                    lon,
                    lat,
                    {**second.parts, **first.parts, "street": label},
                    "exact" if both else "prefix",
                    "old_name" if (start, crossed, lon_e7, lat_e7) in old else "",
                )
                away_m = metres_between(*self.near, lon, lat) if self.near else 0.0
                # A text that joins two streets asks for their crossing, before any name with those words.
                level, missed = -0.5 if both else 0.4, _missed(where, place)
                found.append(((0.0, level, missed, 2.0, 0.0, 0.0, away_m, float(start)), place))
        return found

    def road_km(self, road: str, km: float) -> list[Place]:
        """The place of a road's kilometre: at its milestone, or between two, never beyond the last one."""
        rows = self.db.execute(
            "SELECT km, lon_e7, lat_e7 FROM milestone WHERE road = ? ORDER BY km", (road,)
        ).fetchall()
        metres = round(km * 1000)
        label = f"{road} km {metres // 1000}+{metres % 1000:03d}"
        parts = {"road": road, "road_km": f"{km:.3f}"}
        places = [
            Place(label, "road_km", lon / 1e7, lat / 1e7, parts)
            for at, lon, lat in rows
            if abs(at - km) <= 0.05
        ]  # fmt: skip
        if places:
            return places[:1]
        for (km_a, lon_a, lat_a), (km_b, lon_b, lat_b) in itertools.pairwise(rows):
            if km_a < km < km_b and km_b - km_a <= MILESTONE_GAP_KM_MAX:
                share = (km - km_a) / (km_b - km_a)
                lon, lat = lon_a + share * (lon_b - lon_a), lat_a + share * (lat_b - lat_a)
                on_road = self.db.execute(
                    "SELECT lon_e7, lat_e7 FROM road_point WHERE road = ? AND lat_e7 BETWEEN ? AND ?",
                    (road, lat - 500_000, lat + 500_000),
                ).fetchall()
                if not on_road:
                    return []
                at = min(on_road, key=lambda p: metres_between(lon / 1e7, lat / 1e7, p[0] / 1e7, p[1] / 1e7))
                return [Place(label, "road_km", at[0] / 1e7, at[1] / 1e7, parts, "near", "interpolated")]
        return []


def _missed(hints: list[str], place: Place) -> float:
    """How many words of the district and city that were said are not the place's; one half for each that
    only begins so."""
    where = fold(" ".join(place.parts.get(key, "") for key in ("district", "city"))).split()
    missed = 0.0
    for word in itertools.chain.from_iterable(hint.split() for hint in hints):
        missed += 0.0 if word in where else 0.5 if any(w.startswith(word) for w in where) else 1.0
    return missed


def _honest(place: Place, missed: float) -> Place:
    """The place, exact only if nothing that was said speaks against it."""
    if place.match != "exact" or (not missed and place.note != "old_name"):
        return place
    if not missed:
        return replace(place, match="near")
    return replace(place, match="prefix") if missed < 1 else replace(place, match="near", note="elsewhere")


def _parts(**parts: str | None) -> dict[str, str]:
    return {key: value for key, value in parts.items() if value}


def _holds(words: Sequence[str], said: Sequence[str]) -> bool:
    """Whether each word said begins a word of the name."""
    return all(any(word.startswith(begun) for word in words) for begun in said)


def _gaps(word: str) -> set[str]:
    """The word with one letter left out, every way."""
    return {word[:i] + word[i + 1 :] for i in range(len(word))}


def _one_slip(a: str, b: str) -> bool:
    """Whether one letter wrong, missing, too many, or two neighbours exchanged, makes `a` into `b`."""
    if a == b:
        return True
    if abs(len(a) - len(b)) > 1:
        return False
    i = 0
    while i < min(len(a), len(b)) and a[i] == b[i]:
        i += 1
    if len(a) == len(b):
        exchanged = a[i : i + 2] == b[i : i + 2][::-1] and a[i + 2 :] == b[i + 2 :]
        return a[i + 1 :] == b[i + 1 :] or exchanged
    long, short = (a, b) if len(a) > len(b) else (b, a)
    return long[i + 1 :] == short[i:]


def _cell(lon_e7: int, lat_e7: int) -> int:
    return (lat_e7 + 900_000_000) // _CELL_E7 * _CELLS_A_ROW + (lon_e7 + 1_800_000_000) // _CELL_E7


_NEAREST: Final[Mapping[str, str]] = {
    "address": "SELECT id, street, lon_e7, lat_e7 FROM address WHERE cell BETWEEN ? AND ?",
    "street_point": "SELECT street, street, lon_e7, lat_e7 FROM street_point WHERE cell BETWEEN ? AND ?",
    "landmark": "SELECT id, 0, lon_e7, lat_e7 FROM landmark WHERE cell BETWEEN ? AND ?",
}


def _nearest(
    db: sqlite3.Connection, table: str, lon: float, lat: float, reach_m: float
) -> tuple[int, int, float, float, float] | None:
    """(id, street, metres away, lon, lat) of the nearest row within reach."""
    dy = reach_m / 111_000
    dx = min(1.0, dy / max(0.01, math.cos(math.radians(lat))))
    west, east = max(-180.0, lon - dx), min(180.0, lon + dx)
    best: tuple[int, int, float, float, float] | None = None
    south, north = max(-90.0, lat - dy), min(90.0, lat + dy)
    row_e7 = int(south * 1e7) // _CELL_E7 * _CELL_E7
    while row_e7 <= north * 1e7:
        for found, street, lon_e7, lat_e7 in db.execute(
            _NEAREST[table], (_cell(int(west * 1e7), row_e7), _cell(int(east * 1e7), row_e7))
        ):
            away_m = metres_between(lon, lat, lon_e7 / 1e7, lat_e7 / 1e7)
            if away_m <= reach_m and (best is None or away_m < best[2]):
                best = (found, street, away_m, lon_e7 / 1e7, lat_e7 / 1e7)
        row_e7 += _CELL_E7
    return best


# --- Building -------------------------------------------------------------------------------------


@dataclass
class _House:
    street: str
    number: str
    block: str
    lon_e7: int
    lat_e7: int
    district: str
    city: str


@dataclass
class _Landmark:
    name: str
    others: tuple[str, ...]
    old: frozenset[str]
    sort: str
    lon_e7: int
    lat_e7: int
    street: str
    number: str


class BookBuilder:
    """Collects what an extract says of streets, addresses and landmarks (nodes, then ways, then areas) and
    writes the address book."""

    def __init__(self) -> None:
        self._refs, self._lon, self._lat = array("q"), array("l"), array("l")
        self._sizes: list[int] = []
        self._way_names: list[int] = []
        self._names: dict[str, int] = {}
        self._others: defaultdict[str, set[str]] = defaultdict(set)
        self._old: defaultdict[str, set[str]] = defaultdict(set)
        self._houses: list[_House] = []
        self._landmarks: list[_Landmark] = []
        self._zones: list[tuple[str, str, shapely.Polygon]] = []
        self._milestones: dict[int, tuple[float, str, int, int]] = {}
        self._milestone_roads: dict[int, str] = {}
        self._roads: list[tuple[str, int, int]] = []  # road, and its points' rows

    def add_node(self, node: int, tags: Mapping[str, str], lon_e7: int, lat_e7: int) -> None:
        """Take a node with tags."""
        if tags.get("highway") == "milestone":
            self._add_milestone(node, tags, lon_e7, lat_e7)
        self._add_point(tags, lon_e7, lat_e7)

    def add_way(
        self,
        way: int,
        tags: Mapping[str, str],
        refs: Sequence[int],
        lon_e7: Sequence[int],
        lat_e7: Sequence[int],
    ) -> None:
        """Take a way. Coordinates are `UNKNOWN_E7` where the extract was cut."""
        known = [
            i for i, (lon, lat) in enumerate(zip(lon_e7, lat_e7, strict=True)) if UNKNOWN_E7 not in (lon, lat)
        ]
        if not known:
            return
        highway = tags.get("highway")
        if highway is not None and highway not in _NO_STREET:
            name = tags.get("name") or tags.get("ref")
            if name and len(known) >= 2:
                start = len(self._refs)
                self._refs.extend(refs[i] for i in known)
                self._lon.extend(lon_e7[i] for i in known)
                self._lat.extend(lat_e7[i] for i in known)
                self._sizes.append(len(known))
                self._way_names.append(self._names.setdefault(name, len(self._names)))
                self._others[name].update(_names(tags))
                self._old[name].update(_old_names(tags))
                for road in filter(None, (_road(ref) for ref in tags.get("ref", "").split(";"))):
                    self._roads.append((road, start, len(self._refs)))
            for ref in refs if self._milestones and "ref" in tags else ():
                if ref in self._milestones:
                    self._milestone_roads.setdefault(ref, _road(tags["ref"].split(";")[0]))
        if (highway is None or "addr:housenumber" in tags) and tags:
            self._add_point(tags, *_middle([lon_e7[i] for i in known], [lat_e7[i] for i in known]))

    def add_area(self, thing: int, from_way: bool, tags: Mapping[str, str], rings: Rings) -> None:
        """Take an area; those made of one closed way have been taken as that way, but for what they
        enclose."""
        level, place = tags.get("admin_level", ""), tags.get("place", "")
        sort = ""
        if tags.get("boundary") == "administrative":
            sort = "city" if level in ("7", "8") else "district" if level in ("9", "10", "11") else ""
        if place in ("city", "town", "village"):
            sort = "city"
        elif place in ("suburb", "quarter", "neighbourhood", "borough"):
            sort = "district"
        name = tags.get("name", "")
        if sort and name:
            self._zones.extend((sort, name, shapely.Polygon(outer)) for outer, _ in rings if len(outer) >= 4)
        if not from_way and any(key in tags for key in ("addr:housenumber", "name")):
            outer = max(rings, key=lambda ring: len(ring[0]))[0]
            lon_e7, lat_e7 = [round(lon * 1e7) for lon, _ in outer], [round(lat * 1e7) for _, lat in outer]
            self._add_point(tags, *_middle(lon_e7, lat_e7))

    def save(self, folder: Path, bbox: Box) -> dict[str, int]:
        """Write the book into the city's folder; returns what it holds."""
        db = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
        try:
            # The file is made in a folder of its own and put on disk as a whole, so it needs no journal.
            db.execute("PRAGMA journal_mode = OFF")
            db.execute("PRAGMA synchronous = OFF")
            db.executescript(_SCHEMA)
            db.execute("BEGIN")
            sides = zip(("west", "south", "east", "north"), bbox, strict=True)
            db.executemany("INSERT INTO meta VALUES (?, ?)", [(side, repr(value)) for side, value in sides])
            counts = self._write(db)
            db.execute("COMMIT")
            db.executescript(_INDEXES)
            db.execute("INSERT INTO name_words(name_words) VALUES ('optimize')")
            db.execute("ANALYZE")
        finally:
            db.close()
        return counts

    def _add_point(self, tags: Mapping[str, str], lon_e7: int, lat_e7: int) -> None:
        street, number = (
            tags.get("addr:street") or tags.get("addr:place") or "",
            tags.get("addr:housenumber", ""),
        )
        if street and number:
            block = tags.get("addr:block", "")
            district = (
                tags.get("addr:suburb") or tags.get("addr:district") or tags.get("addr:neighbourhood") or ""
            )
            for piece in re.split(r"\s*[;,]\s*", number):
                if piece:
                    self._houses.append(
                        _House(street, piece, block, lon_e7, lat_e7, district, tags.get("addr:city", ""))
                    )
        name = tags.get("name", "")
        key = next((k for k in _LANDMARK_KEYS if tags.get(k, "no") != "no"), None)
        if name and key and tags.get("boundary") != "administrative":
            others = tuple(sorted(_names(tags) - {name}))
            old = frozenset(_old_names(tags))
            self._landmarks.append(_Landmark(name, others, old, tags[key], lon_e7, lat_e7, street, number))

    def _add_milestone(self, node: int, tags: Mapping[str, str], lon_e7: int, lat_e7: int) -> None:
        for key in ("distance", "pk", "kilometre", "km", "name", "ref"):
            if match := re.search(
                r"(?:^|km\s*|\s)(\d{1,4})(?:\s*\+\s*(\d{3})|[.,](\d{1,3}))?(?:\s*km)?$",
                tags.get(key, "").strip(),
            ):
                km = int(match[1]) + (
                    int(match[2]) / 1000 if match[2] else float(f"0.{match[3]}") if match[3] else 0.0
                )
                said = tags.get("road_ref") or tags.get("highway:ref") or tags.get("nat_ref") or ""
                if not said and key != "ref" and re.fullmatch(_ROAD, tags.get("ref", "")):
                    said = tags["ref"]
                self._milestones[node] = (km, _road(said), lon_e7, lat_e7)
                return

    def _write(self, db: sqlite3.Connection) -> dict[str, int]:
        lon = np.array(self._lon, dtype=np.int64)
        lat = np.array(self._lat, dtype=np.int64)
        way = np.repeat(np.arange(len(self._sizes)), self._sizes)
        name = np.repeat(np.array(self._way_names, dtype=np.int64), self._sizes)
        street_of_point, by_cell = _clusters(name, way, lon, lat)
        streets = int(street_of_point.max()) + 1 if len(lon) else 0
        spellings = list(self._names)
        street_name = [""] * streets
        for street, index in zip(
            street_of_point[np.cumsum([0, *self._sizes[:-1]])] if streets else (),
            self._way_names,
            strict=True,
        ):
            street_name[int(street)] = spellings[index]
        middle = _middles(street_of_point, lon, lat, streets)
        weight = np.bincount(street_of_point, minlength=streets).astype(float).tolist() if streets else []

        houses = self._place_houses(by_cell, street_name, middle, weight)
        zones = _Zones(self._zones)
        where = zones.of(middle)
        said: defaultdict[int, tuple[Counter[str], Counter[str]]] = defaultdict(
            lambda: (Counter(), Counter())
        )
        for street, house in houses:
            said[street][0].update([house.district] if house.district else [])
            said[street][1].update([house.city] if house.city else [])
        for street, counters in said.items():
            # What the addresses say of their own street goes before the zone that its middle lies in.
            where[street] = tuple(
                c.most_common(1)[0][0] if c else w for c, w in zip(counters, where[street], strict=True)
            )
        crossings = _crossings(np.array(self._refs, dtype=np.int64), street_of_point, lon, lat)
        db.executemany("INSERT INTO crossing VALUES (?, ?, ?, ?)", crossings)
        labels = _labels(street_name, where, crossings, weight)
        db.executemany(
            "INSERT INTO street VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((i, n, *middle[i], *where[i], labels[i]) for i, n in enumerate(street_name)),
        )
        counts = {
            "streets": len(street_name),
            "addresses": self._write_houses(db, houses),
            "crossings": len(crossings),
        }
        _write_street_points(db, way, street_of_point, lon, lat)
        landmarks = self._distinct_landmarks()
        in_zone = zones.of([(mark.lon_e7, mark.lat_e7) for mark in landmarks])
        db.executemany(
            "INSERT INTO landmark VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    i,
                    m.name,
                    m.sort,
                    m.lon_e7,
                    m.lat_e7,
                    _cell(m.lon_e7, m.lat_e7),
                    m.street,
                    m.number,
                    *in_zone[i],
                )
                for i, m in enumerate(landmarks)
            ),
        )
        counts["landmarks"] = len(landmarks)
        counts["milestones"] = self._write_milestones(db, lon, lat)
        self._write_names(db, street_name, weight, landmarks)
        return counts

    def _place_houses(
        self,
        by_cell: Mapping[tuple[int, int, int], int],
        street_name: list[str],
        middle: list[tuple[int, int]],
        weight: list[float],
    ) -> list[tuple[int, _House]]:
        """Each house with its street: the nearest piece of that name, or a street known by its houses
        alone."""
        same: defaultdict[str, list[int]] = defaultdict(list)
        for index, spelling in enumerate(self._names):
            same[fold(spelling)].append(index)
        pieces: defaultdict[str, list[int]] = defaultdict(list)
        for piece, spelling in enumerate(street_name):
            pieces[fold(spelling)].append(piece)
        own: dict[tuple[str, int, int], int] = {}
        placed: list[tuple[int, _House]] = []
        around = sorted(itertools.product((-1, 0, 1), repeat=2), key=lambda d: abs(d[0]) + abs(d[1]))
        for house in self._houses:
            folded = fold(house.street)
            x, y = house.lon_e7 // _CLUSTER_E7, house.lat_e7 // _CLUSTER_E7
            cells = ((index, x + dx, y + dy) for dx, dy in around for index in same.get(folded, ()))
            street: int | None = next((by_cell[cell] for cell in cells if cell in by_cell), None)
            if street is None:
                street = next((own[c] for dx, dy in around if (c := (folded, x + dx, y + dy)) in own), None)
            if street is None:
                at = (house.lon_e7 / 1e7, house.lat_e7 / 1e7)
                near = [
                    (metres_between(*at, middle[other][0] / 1e7, middle[other][1] / 1e7), other)
                    for other in pieces.get(folded, ())
                ]
                street = min(near)[1] if near and min(near)[0] <= 3_000 else None
            if street is None:
                street = len(street_name)
                street_name.append(house.street)
                middle.append((house.lon_e7, house.lat_e7))
                weight.append(0.0)
                own[folded, x, y] = street
            elif (folded, x, y) not in own and not any((i, x, y) in by_cell for i in same.get(folded, ())):
                own[folded, x, y] = street
            weight[street] += 3.0
            placed.append((street, house))
        return placed

    @staticmethod
    def _write_houses(db: sqlite3.Connection, houses: list[tuple[int, _House]]) -> int:
        seen: set[tuple[int, str, str, int]] = set()
        rows = []
        for street, house in houses:
            cell = _cell(house.lon_e7, house.lat_e7)
            key = (street, house.number, house.block, cell)
            if key in seen:
                continue
            seen.add(key)
            number = HouseNumber.parse(house.number) or HouseNumber(0, 0, fold(house.number).replace(" ", ""))
            rows.append(
                (
                    street,
                    number.n,
                    number.n_end,
                    number.tail,
                    house.number,
                    house.block,
                    house.lon_e7,
                    house.lat_e7,
                    cell,
                )
            )
        rows.sort(key=lambda row: row[:3])
        db.executemany(
            "INSERT INTO address(street, n, n_end, tail, number, block, lon_e7, lat_e7, cell) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        return len(rows)

    def _distinct_landmarks(self) -> list[_Landmark]:
        """One of each name in a neighbourhood: a station is often a node, a building and a platform at
        once."""
        best: dict[tuple[str, int], _Landmark] = {}
        for mark in self._landmarks:
            key = (fold(mark.name), _cell(mark.lon_e7, mark.lat_e7))
            if key not in best or _WEIGHTY.get(mark.sort, 5) > _WEIGHTY.get(best[key].sort, 5):
                best[key] = mark
        return list(best.values())

    def _write_milestones(self, db: sqlite3.Connection, lon: Ints, lat: Ints) -> int:
        rows = [
            (road or self._milestone_roads.get(node, ""), km, lon_e7, lat_e7)
            for node, (km, road, lon_e7, lat_e7) in self._milestones.items()
        ]
        rows = [row for row in rows if row[0]]
        roads = {row[0] for row in rows}
        db.executemany("INSERT INTO milestone VALUES (?, ?, ?, ?)", rows)
        for road, start, end in self._roads:
            if road in roads:
                points = zip(lon[start:end].tolist(), lat[start:end].tolist(), strict=True)
                db.executemany("INSERT INTO road_point VALUES (?, ?, ?)", ((road, x, y) for x, y in points))
        return len(rows)

    def _write_names(
        self, db: sqlite3.Connection, street_name: list[str], weight: list[float], landmarks: list[_Landmark]
    ) -> None:
        rows: list[tuple[float, str, str | None, bool, int | None, int | None]] = []
        for street, spelling in enumerate(street_name):
            importance = 4 + math.log2(1 + weight[street])
            rows.append((importance, spelling, None, False, street, None))
            rows.extend(
                (importance - 0.5, other, other, other in self._old[spelling], street, None)
                for other in sorted(self._others.get(spelling, ()))
            )
        for number, mark in enumerate(landmarks):
            importance = _WEIGHTY.get(mark.sort, 4.0)
            rows.append((importance, mark.name, None, False, None, number))
            rows.extend(
                (importance - 0.5, other, other, other in mark.old, None, number) for other in mark.others
            )
        seen: set[tuple[str, int | None, int | None]] = set()
        words: set[str] = set()
        names = []
        for importance, spelling, alt, old, street_id, landmark in sorted(
            rows, key=lambda row: row[2] is not None
        ):
            folded = fold(spelling)
            if folded and (folded, street_id, landmark) not in seen:
                seen.add((folded, street_id, landmark))
                names.append((-importance, folded, alt, old, street_id, landmark))
        names.sort(key=lambda row: (row[0], row[1]))
        for i, (_, folded, alt, old, street_id, landmark) in enumerate(names, 1):
            db.execute(
                "INSERT INTO name VALUES (?, ?, ?, ?, ?, ?, ?)",
                (i, folded, _core(folded), alt, old, street_id, landmark),
            )
            db.execute("INSERT INTO name_words(rowid, folded) VALUES (?, ?)", (i, folded))
            words.update(folded.split())
        db.executemany("INSERT INTO word VALUES (?)", ((word,) for word in sorted(words)))
        gaps = sorted((gap, w) for w in words if 4 <= len(w) <= 24 and not w.isdigit() for gap in _gaps(w))
        db.executemany("INSERT INTO gap VALUES (?, ?)", gaps)


class _Zones:
    """Which district and city a point lies in, where the extract holds their whole boundary."""

    def __init__(self, zones: list[tuple[str, str, shapely.Polygon]]) -> None:
        self._zones = zones
        self._tree = shapely.STRtree([polygon for _, _, polygon in zones])

    def of(self, points: Sequence[tuple[int, int]]) -> list[tuple[str, ...]]:
        """(district, city) of each point, "" where not known; the smallest zone of its sort counts."""
        found = [["", ""] for _ in points]
        size = [[math.inf, math.inf] for _ in points]
        if self._zones and points:
            spots = shapely.points(np.array(points, dtype=np.float64) / 1e7)
            for point, zone in self._tree.query(spots, predicate="within").T:
                sort, name, polygon = self._zones[zone]
                column = 0 if sort == "district" else 1
                if polygon.area < size[point][column]:
                    size[point][column], found[point][column] = polygon.area, name
        return [tuple(pair) for pair in found]


def _names(tags: Mapping[str, str]) -> set[str]:
    """Every name that the tags give, and the road's number."""
    return {
        name
        for key in (*_NAME_KEYS, "ref")
        for name in re.split(r"\s*;\s*", tags.get(key, ""))
        if len(name) > 1
    }


def _old_names(tags: Mapping[str, str]) -> set[str]:
    """Names that the tags give as no longer used, and under no other heading."""
    return set(re.split(r"\s*;\s*", tags.get("old_name", ""))) - _names({**tags, "old_name": ""})


def _middle(lon_e7: Sequence[int], lat_e7: Sequence[int]) -> tuple[int, int]:
    """The centre of a ring (its centroid) or of a line's points (their mean), in degrees times 1e7."""
    if len(lon_e7) >= 4 and lon_e7[0] == lon_e7[-1] and lat_e7[0] == lat_e7[-1]:
        x, y = np.array(lon_e7, dtype=np.float64), np.array(lat_e7, dtype=np.float64)
        x, y = x - lon_e7[0], y - lat_e7[0]
        cross = x[:-1] * y[1:] - x[1:] * y[:-1]
        if abs(area := float(cross.sum())) > 0:
            cx = float(((x[:-1] + x[1:]) * cross).sum()) / (3 * area)
            cy = float(((y[:-1] + y[1:]) * cross).sum()) / (3 * area)
            return lon_e7[0] + round(cx), lat_e7[0] + round(cy)
    return round(sum(lon_e7) / len(lon_e7)), round(sum(lat_e7) / len(lat_e7))


def _clusters(name: Ints, way: Ints, lon: Ints, lat: Ints) -> tuple[Ints, dict[tuple[int, int, int], int]]:
    """The street of each point: pieces of one name are one street where they lie together (some 450 m) or are
    one way. Also the street by (name, column, row) of the clustering grid."""
    if not len(lon):
        return np.zeros(0, dtype=np.int64), {}
    keys, key_of_point = np.unique(
        np.column_stack((name, lon // _CLUSTER_E7, lat // _CLUSTER_E7)), axis=0, return_inverse=True
    )
    key_of_point = key_of_point.ravel()
    index = {(int(n), int(x), int(y)): i for i, (n, x, y) in enumerate(keys)}
    pairs = [
        (i, other)
        for (n, x, y), i in index.items()
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1))
        if (other := index.get((n, x + dx, y + dy))) is not None
    ]
    along = np.column_stack((key_of_point[:-1], key_of_point[1:]))[
        (way[:-1] == way[1:]) & (key_of_point[:-1] != key_of_point[1:])
    ]
    links = np.concatenate((np.array(pairs, dtype=np.int64).reshape(-1, 2), along))
    graph = coo_matrix(
        (np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])), shape=(len(keys), len(keys))
    )
    _, street_of_key = connected_components(graph, directed=False)
    return street_of_key[key_of_point].astype(np.int64), {
        key: int(street_of_key[i]) for key, i in index.items()
    }


def _middles(street: Ints, lon: Ints, lat: Ints, streets: int) -> list[tuple[int, int]]:
    """A point on each street: of its own points the one nearest to their mean."""
    if not streets:
        return []
    size = np.bincount(street, minlength=streets)
    mean_x = np.bincount(street, weights=lon, minlength=streets) / size
    mean_y = np.bincount(street, weights=lat, minlength=streets) / size
    square = ((lon - mean_x[street]) * np.cos(np.radians(lat / 1e7))) ** 2 + (lat - mean_y[street]) ** 2
    order = np.lexsort((square, street))
    first = order[np.concatenate(([True], np.diff(street[order]) != 0))]
    return list(zip(lon[first].tolist(), lat[first].tolist(), strict=True))


def _labels(
    names: Sequence[str],
    where: Sequence[tuple[str, ...]],
    crossings: Iterable[tuple[int, int, int, int]],
    weight: Sequence[float],
) -> list[str]:
    """A label that tells each street from its namesakes: by district and city, and where those are not known
    or the same, by the weightiest street that it crosses."""
    namesakes = Counter(fold(name) for name in names)
    labels = [
        ", ".join(filter(None, (name, *dict.fromkeys(places)))) if namesakes[fold(name)] > 1 else name
        for name, places in zip(names, where, strict=True)
    ]
    meets: dict[int, int] = {}
    for a, b, _, _ in crossings:
        for one, other in ((a, b), (b, a)):
            if names[one] != names[other] and (one not in meets or weight[other] > weight[meets[one]]):
                meets[one] = other
    alike = Counter(labels)
    return [
        f"{label} (× {names[meets[i]]})" if alike[label] > 1 and i in meets else label
        for i, label in enumerate(labels)
    ]


def _crossings(refs: Ints, street: Ints, lon: Ints, lat: Ints) -> list[tuple[int, int, int, int]]:
    """(street, street, lon_e7, lat_e7) of streets that share a node; the several nodes of one wide crossing
    (100 m) count once."""
    if not len(refs):
        return []
    _, first = np.unique(np.column_stack((refs, street)), axis=0, return_index=True)
    refs, street, lon, lat = refs[first], street[first], lon[first], lat[first]
    shared = np.concatenate((refs[1:] == refs[:-1], [False]))
    shared[1:] |= refs[1:] == refs[:-1]
    spots: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    rows = zip(
        refs[shared].tolist(),
        street[shared].tolist(),
        lon[shared].tolist(),
        lat[shared].tolist(),
        strict=True,
    )
    for _, meeting in itertools.groupby(rows, key=lambda row: row[0]):
        at = list(meeting)
        for (_, a, x, y), (_, b, *_rest) in itertools.combinations(at, 2):
            spots[min(a, b), max(a, b)].append((x, y))
    kept = []
    for (a, b), points in spots.items():
        apart: list[tuple[int, int]] = []
        for x, y in points:
            if all(metres_between(x / 1e7, y / 1e7, u / 1e7, v / 1e7) > 100 for u, v in apart):
                apart.append((x, y))
        kept += [(a, b, x, y) for x, y in apart]
    return kept


def _write_street_points(db: sqlite3.Connection, way: Ints, street: Ints, lon: Ints, lat: Ints) -> None:
    """Points on the streets no farther apart than 25 m, for the way back from a position to a street's
    name."""
    if not len(lon):
        return
    whole = np.flatnonzero(way[1:] == way[:-1])
    length_m = haversine_m(lon[whole] / 1e7, lat[whole] / 1e7, lon[whole + 1] / 1e7, lat[whole + 1] / 1e7)
    pieces = np.maximum(1, np.ceil(length_m / _STREET_POINT_M)).astype(np.int64)
    segment = np.repeat(whole, pieces)
    nth = np.arange(len(segment)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = (nth + 0.5) / np.repeat(pieces, pieces)
    x = np.rint(lon[segment] + share * (lon[segment + 1] - lon[segment])).astype(np.int64)
    y = np.rint(lat[segment] + share * (lat[segment + 1] - lat[segment])).astype(np.int64)
    cell = (y + 900_000_000) // _CELL_E7 * _CELLS_A_ROW + (x + 1_800_000_000) // _CELL_E7
    order = np.argsort(cell, kind="stable")
    columns = (column[order].tolist() for column in (cell, street[segment], x, y))
    db.executemany("INSERT INTO street_point VALUES (?, ?, ?, ?)", zip(*columns, strict=True))
