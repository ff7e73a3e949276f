"""Searching an address while it is typed, among a million, beside a bare SQLite full-text query on its rows.

A million synthetic addresses (seeded: Romanian street names with diacritics, numbers with letters, districts;
the streets lie in a plane and cross) go through the very builder that an import uses. Addresses drawn from
them are typed key by key, with and without diacritics and the kind of street, some with a slip, and some as
a crossing of two streets; every key is a search. `address_p99_ms` is the 99th percentile over all keys,
`address_slip_p99_ms` over the texts with a slip alone, the dearest. Peer: an FTS5 table of the same lines
with a prefix index, asked for the same words by prefix; it forgives no slip, knows no range of numbers and no
crossing, and ranks nothing. Then the same on Liechtenstein, where its extract is in the folder of test data.
`--full` takes a million addresses, else a quarter of that.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from bench.harness import Figure
from config import ROOT
from gis.address import FILE_NAME, AddressBook, BookBuilder, fold
from gis.city import import_city

SEED = 20_261_123
NUMBERS_A_STREET = 50
WEST, SOUTH = 25.90, 44.30
LIMIT_MS = 20.0


def words(text: str) -> list[str]:
    return text.split(", ")


KINDS = words(
    "Strada, Strada, Strada, Strada, Bulevardul, Aleea, Calea, Intrarea, Șoseaua, Drumul, Fundătura, "
    "Splaiul, Piața"
)
TITLES = words(
    ", , , , General, Doctor, Profesor, Căpitan Aviator, Locotenent, Arhitect, Inginer, Sergent, Preot, "
    "Mitropolit, Pictor"
)
GIVEN = words(
    "Mihai, Ștefan, Ion, Nicolae, Alexandru, Constantin, Gheorghe, Vasile, Ana, Elena, Maria, Ecaterina, "
    "Dimitrie, Petre, Barbu, Grigore, Traian, Octavian, Lucian, George, Tudor, Matei, Radu, Vlad, Avram, "
    "Ilie, Simion, Emil, Liviu, Smaranda, Iuliu, Titu"
)
FAMILY = words(
    "Eminescu, Călinescu, Brătianu, Kogălniceanu, Creangă, Caragiale, Țiriac, Bălcescu, Iancu, "
    "Vladimirescu, Cantemir, Enescu, Brâncuși, Blaga, Rebreanu, Sadoveanu, Coșbuc, Goga, Haret, "
    "Maiorescu, Pârvan, Iorga, Titulescu, Grigorescu, Luchian, Aman, Petrașcu, Vuia, Vlaicu, Coandă, "
    "Babeș, Marinescu, Davila, Șaguna, Lazăr, Șincai, Micu, Maior, Bărnuțiu, Mureșanu, Negruzzi, "
    "Alecsandri, Rosetti, Golescu, Filipescu, Ghica, Cuza, Bibescu, Văcărescu, Săulescu, Drăghici, "
    "Țepeneag, Ștefănescu, Dobrogeanu, Racoviță"
)
THINGS = words(
    "Lalelelor, Trandafirilor, Zambilelor, Mărului, Teiului, Stejarului, Viilor, Fântânii, Izvorului, "
    "Morii, Bisericii, Gării, Școlii, Uzinei, Muncii, Libertății, Unirii, Victoriei, Independenței, "
    "Păcii, Înfrățirii, Primăverii, Toamnei, Soarelui, Lunii, Luceafărului, Câmpului, Dealului, Văii, "
    "Pădurii, Râului, Oltului, Dunării, Mureșului, Argeșului"
)
DISTRICTS = words(
    "Sector 1, Sector 2, Sector 3, Sector 4, Sector 5, Sector 6, Voluntari, Otopeni, Bragadiru, Chitila, "
    "Popești-Leordeni, Pantelimon"
)


def street_names(rng: random.Random) -> Iterable[str]:
    while True:
        kind = rng.choice(KINDS)
        if rng.random() < 0.25:
            tail = rng.choice(("", "", "", " Mari", " Noi", " Vechi", " de Sus", " de Jos"))
            yield f"{kind} {rng.choice(THINGS)}{tail}"
        else:
            yield " ".join(f"{kind} {rng.choice(TITLES)} {rng.choice(GIVEN)} {rng.choice(FAMILY)}".split())


def make_book(addresses: int, folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Write the address book; returns every address as one line, and pairs of streets that cross."""
    rng = random.Random(SEED)
    streets = addresses // NUMBERS_A_STREET
    side = int(streets**0.5) + 1
    book, lines, names = BookBuilder(), [], []
    cell_e7 = 40_000
    for n, name in zip(range(streets), street_names(rng), strict=False):
        names.append(name)
        row, column = divmod(n, side)
        district = DISTRICTS[row * len(DISTRICTS) // side]
        x, y = round(WEST * 1e7) + column * cell_e7, round(SOUTH * 1e7) + row * cell_e7
        for k in range(NUMBERS_A_STREET):
            number = str(k * 2 + 1 + n % 2) + (rng.choice("ABC") if rng.random() < 0.05 else "")
            tags = {
                "addr:street": name,
                "addr:housenumber": number,
                "addr:suburb": district,
                "addr:city": "București",
            }
            book.add_node(10**9 + n * 100 + k, tags, x + k * 700, y + 300)
            lines.append(f"{name} {number}, {district}")
    crossing = []
    for n, name in enumerate(names):
        row, column = divmod(n, side)
        x, y = round(WEST * 1e7) + column * cell_e7, round(SOUTH * 1e7) + row * cell_e7
        # Every street ends where its neighbour to the east begins, and bends to meet the one to the north.
        refs = [n + 1, n + 2 if column + 1 < side else 10**8 + n, n + side + 1]
        book.add_way(
            n + 1, {"highway": "residential", "name": name}, refs, [x, x + cell_e7, x], [y, y, y + cell_e7]
        )
        if column + 1 < side and n + 1 < streets:
            crossing.append((name, names[n + 1]))
    book.save(folder, (WEST, SOUTH, WEST + side * 0.004 + 0.1, SOUTH + side * 0.004 + 0.1))
    return lines, crossing


def slip(rng: random.Random, text: str) -> str:
    """One letter wrong, in the longest word."""
    word = max(text.split(), key=len)
    at = rng.randrange(1, len(word))
    return text.replace(word, word[:at] + rng.choice("aeioutrnl") + word[at + 1 :], 1)


def typed(rng: random.Random, lines: Sequence[str], many: int) -> tuple[list[str], list[str]]:
    """What is in the field after each key, for `many` addresses; and the same with a slip."""
    keys, slips = [], []
    for line in rng.sample(lines, many):
        text = line.partition(",")[0]
        manner = rng.random()
        if manner < 0.5:
            text = fold(text)
        elif manner < 0.7:
            text = text.replace("Strada", "Str.").replace("Bulevardul", "Bd.")
        if manner > 0.9:
            text = line
        keys += [text[:n] for n in range(2, len(text) + 1)]
        if rng.random() < 0.3:
            slips.append(slip(rng, text))
    return keys, slips


def times_ms(search: Callable[[str], object], texts: Sequence[str]) -> np.ndarray:
    found = np.empty(len(texts))
    for i, text in enumerate(texts):
        began = time.perf_counter()
        search(text)
        found[i] = (time.perf_counter() - began) * 1000
    return found


class Bare:
    """The peer: one FTS5 table of the same lines, asked by prefix."""

    def __init__(self, file: Path, lines: Iterable[str]) -> None:
        self._db = sqlite3.connect(file)
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE VIRTUAL TABLE line"
            " USING fts5(folded, prefix='2 3 4', detail='none', tokenize='unicode61')"
        )
        self._db.executemany("INSERT INTO line VALUES (?)", ((fold(line),) for line in lines))
        self._db.execute("INSERT INTO line(line) VALUES ('optimize')")
        self._db.commit()

    def search(self, text: str) -> list[tuple[str]]:
        match = " AND ".join(f'"{word}"*' for word in fold(text).split())
        return (
            self._db.execute("SELECT folded FROM line WHERE line MATCH ? LIMIT 10", (match,)).fetchall()
            if match
            else []
        )


def figures(
    name: str,
    book: AddressBook,
    bare: Bare,
    lines: Sequence[str],
    crossing: Sequence[tuple[str, str]],
    many: int,
) -> list[Figure]:
    rng = random.Random(SEED + 1)
    keys, slips = typed(rng, lines, many)
    corners = [f"{a} x {b}" for a, b in rng.sample(crossing, min(many, len(crossing)))]
    rng.shuffle(keys)
    for text in keys[:200]:
        book.search(text)
        bare.search(text)
    ours, theirs = [], []
    # In turns, so that a noisy machine is noisy for both.
    for start in range(0, len(keys), 500):
        ours.append(times_ms(book.search, keys[start : start + 500]))
        theirs.append(times_ms(bare.search, keys[start : start + 500]))
    own, peers = np.concatenate(ours), np.concatenate(theirs)
    peer = "bare FTS5 prefix query, same rows"
    found = [
        Figure(f"{name}_p50_ms", float(np.percentile(own, 50)), "ms", peer, float(np.percentile(peers, 50))),
        Figure(f"{name}_p99_ms", float(np.percentile(own, 99)), "ms", peer, float(np.percentile(peers, 99))),
    ]
    for sort, texts in (("slip", slips), ("crossing", corners)):
        if texts:
            figure = float(np.percentile(times_ms(book.search, texts), 99))
            found.append(Figure(f"{name}_{sort}_p99_ms", figure, "ms", "wanted at most", LIMIT_MS))
    return found


def run(full: bool, folder: Path) -> list[Figure]:
    lines, crossing = make_book(1_000_000 if full else 250_000, folder)
    bare = Bare(folder / "bare.sqlite", lines)
    found = figures("address", AddressBook.open(folder), bare, lines, crossing, 400 if full else 100)
    extract = (
        Path(os.environ.get("STRAJA_TEST_DATA", ROOT.parent / "shared" / "data")) / "liechtenstein.osm.pbf"
    )
    if extract.is_file():
        import_city(extract, folder, "liechtenstein")
        city = folder / "liechtenstein"
        db = sqlite3.connect(city / FILE_NAME)
        rows = db.execute(
            "SELECT name || ' ' || number FROM address JOIN street ON street.id = address.street"
        )
        lines = sorted(line for (line,) in rows)
        pairs = db.execute(
            "SELECT a.name, b.name FROM crossing"
            " JOIN street a ON a.id = crossing.a JOIN street b ON b.id = crossing.b"
        ).fetchall()
        db.close()
        bare = Bare(folder / "bare-liechtenstein.sqlite", lines)
        found += figures("liechtenstein", AddressBook.open(city), bare, lines, pairs, min(200, len(lines)))
    return found
