"""Extracts that others publish: which there are, and downloading one, all of it or nothing.

The lists are those that the package pyrosm carries as data: BBBike's cities and Geofabrik's regions, each
with its address. Only these two files of it are read. Its own `get_data` needs geopandas and pandas to be
imported at all, and forgets a broken download; what is left to do is one HTTP request that can be continued.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from gis.address import fold
from gis.city import SOURCE_BYTES_MAX, CityError, pyrosm_data

TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 4
PAUSE_S: Final = 2.0
SPARE_BYTES: Final = 100_000_000
_CHUNK_BYTES: Final = 1 << 18
_USER_AGENT: Final = "Straja (city command system)"

Received = Callable[[int, int | None], None]
"""Called with the bytes on disk so far, and how many there will be (None when the server does not say)."""


@dataclass(frozen=True)
class Extract:
    """One published extract: `name` as it is typed ("berlin", or "germany/berlin" for the region of that
    name), who publishes it, its address, and its size in bytes where the list has it."""

    name: str
    publisher: str
    url: str
    bytes: int | None


def known_extracts() -> list[Extract]:
    """Every extract on pyrosm's lists, cities first. Raises CityError when the package is missing."""
    folder = pyrosm_data()
    found: list[Extract] = []
    for file, publisher in (
        ("bbbike_index.geojson.gz", "BBBike"),
        ("geofabrik_index.geojson.gz", "Geofabrik"),
    ):
        try:
            with gzip.open(folder / file, "rt", encoding="utf-8") as lines:
                listed = json.load(lines)["features"]
            found += [
                Extract(_typed(one), publisher, one["pbf"], one.get("bytes"))
                for one in (feature["properties"] for feature in listed)
                if one.get("pbf")
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CityError(
                f"pyrosm's list of {publisher}'s extracts cannot be read ({error}).",
                "Install the package again: pip install --force-reinstall --no-deps pyrosm==0.25.0",
            ) from error
    return found


def _typed(one: dict[str, Any]) -> str:
    """The name by which an extract is asked for: a city's own, a region's with its parent before it."""
    if "parent" not in one:
        # "BuenosAires" is typed "buenos-aires".
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", one["id"]).lower()
    ident = str(one["id"])
    return ident if "/" in ident else f"{one['parent']}/{ident}" if one["parent"] else ident


def find_extract(asked: str) -> Extract:
    """The extract of that name ("porto", "europe/romania", "romania"). Raises CityError with suggestions when
    there is none, or more than one."""
    extracts = known_extracts()
    publisher, _, rest = asked.partition("/")
    if publisher.lower() == "bbbike" and rest:
        asked, extracts = rest, [one for one in extracts if one.publisher == "BBBike"]
    wanted = _plain(asked)
    if "/" in asked:
        found = [one for one in extracts if _plain(one.name) == wanted]
    else:
        # Also when it is some name in full: whether the city or the region is meant is not clear at all.
        found = [one for one in extracts if _plain(one.name.rpartition("/")[2]) == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        choices = "; ".join(f"straja city get {_spelled(one)} ({_about(one)})" for one in found)
        raise CityError(f"“{asked}” is the name of {len(found)} extracts.", f"Say which: {choices}")
    names = {_plain(one.name.rpartition("/")[2]): one.name for one in extracts}
    close = [names[near] for near in difflib.get_close_matches(wanted, names, n=4, cutoff=0.7)]
    close += [one.name for one in extracts if len(wanted) >= 4 and wanted in _plain(one.name)][:4]
    hint = f"Did you mean {', '.join(dict.fromkeys(close))}? " if close else ""
    raise CityError(
        f"Neither BBBike (cities) nor Geofabrik (regions) publishes an extract called “{asked}”.",
        f"{hint}A town that is not listed lies in its region's extract: download that, cut the town out"
        " (osmium extract --bbox WEST,SOUTH,EAST,NORTH REGION.osm.pbf -o TOWN.osm.pbf) and run: straja city"
        " import TOWN.osm.pbf",
    )


def _plain(name: str) -> str:
    """A name as it compares: no case, diacritics, blanks, dashes or underscores."""
    return "/".join(fold(part.replace("_", " ")).replace(" ", "") for part in name.split("/"))


def _spelled(one: Extract) -> str:
    """The name that means this one and no other."""
    return f"bbbike/{one.name}" if one.publisher == "BBBike" else one.name


def _about(one: Extract) -> str:
    size = f", {one.bytes / 1e6:,.0f} MB" if one.bytes else ""
    kind = "the city" if one.publisher == "BBBike" else "the region"
    return f"{kind}, from {one.publisher}{size}"


def file_of(extract: Extract, folder: Path) -> Path:
    """Where the download of an extract lies in `folder`."""
    return folder / f"{extract.name.rpartition('/')[2]}.osm.pbf"


def download(
    extract: Extract,
    folder: Path,
    received: Received = lambda done, total: None,
    *,
    mirror: str = "",
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Bring the extract into `folder` and return its file.

    The file appears whole or not at all: what has come lies beside it as `.part`, and is continued by the
    next call when the server still has the same. A file that is there already is fetched again only when the
    server has a newer one. `mirror` ("http://host/path") stands for the scheme and host of the address.
    Raises CityError with the cause and the remedy in plain words.
    """
    if extract.bytes and extract.bytes > SOURCE_BYTES_MAX:
        raise _too_large(extract, extract.bytes)
    url = extract.url if not mirror else mirror.rstrip("/") + urlsplit(extract.url).path
    target = file_of(extract, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(extract, url, target, received)
        for attempt in range(ATTEMPTS):
            try:
                transfer.run()
                return target
            except _Broken as broken:
                if attempt + 1 == ATTEMPTS or not transfer.worth_another(broken.cause):
                    raise transfer.explain(broken.cause) from broken
                pause(PAUSE_S * 2**attempt)
    except OSError as error:
        raise CityError(
            f"The extract could not be written to {folder}: {error.strerror or error}.",
            "Free some space, or check the folder's permissions; then run the same command again.",
        ) from error
    raise AssertionError("the last attempt returns or raises")


class _Broken(Exception):
    """The network's or the server's fault, as opposed to this machine's disk."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Transfer:
    def __init__(self, extract: Extract, url: str, target: Path, received: Received) -> None:
        self._extract, self._url, self._target, self._received = extract, url, target, received
        self._part = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.json")

    def size(self) -> int:
        """Bytes of the unfinished download that are on disk."""
        return self._part.stat().st_size if self._part.is_file() else 0

    def run(self) -> None:
        """One request, for the whole or for the rest. Raises _Broken, CityError or OSError."""
        note = self._read_note()
        headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
        have = self.size() if note.get("validator") else 0
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": note["validator"]}
        elif self._target.is_file() and note.get("validator"):
            field = "If-None-Match" if note["validator"].startswith(('"', "W/")) else "If-Modified-Since"
            headers[field] = note["validator"]
        try:
            # http and https alone: so are the lists, and the setting for a mirror is checked.
            request = urllib.request.Request(self._url, headers=headers)  # noqa: S310
            answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 304:
                return
            if error.code == 416 and have:
                # What lies here is no part of what the server has: from the beginning.
                self._part.unlink(missing_ok=True)
            raise _Broken(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(error) from error
        with answer:
            self._take(answer, have)

    def worth_another(self, cause: Exception) -> bool:
        """Whether trying again at once may help."""
        if isinstance(cause, urllib.error.HTTPError):
            return cause.code in (408, 416, 425, 429) or cause.code >= 500
        reason = getattr(cause, "reason", cause)
        return not isinstance(reason, (socket.gaierror, ssl.SSLError, ConnectionRefusedError))

    def _take(self, answer: Any, have: int) -> None:
        rest = int(answer.headers.get("Content-Length") or -1)
        goes_on = answer.status == 206 and have > 0
        if goes_on:
            first = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
            if first is None or int(first[1]) != have:
                self._part.unlink(missing_ok=True)
                raise _Broken(ConnectionError("the server continued at another place"))
        total = None if rest < 0 else rest + (have if goes_on else 0)
        if total is not None and total > SOURCE_BYTES_MAX:
            raise _too_large(self._extract, total)
        free = shutil.disk_usage(self._target.parent).free
        if total is not None and rest + SPARE_BYTES > free:
            raise CityError(
                f"{self._extract.name} needs {rest / 1e6:,.0f} MB more; only {free / 1e6:,.0f} MB are free.",
                "Free some space, or set STRAJA_VAR to another disk; then run the same command again.",
            )
        if "html" in (answer.headers.get("Content-Type") or ""):
            raise self._not_an_extract()
        validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        weak = validator.startswith("W/")
        self._note.write_text(json.dumps({"url": self._url, "validator": "" if weak else validator}))
        with self._part.open("ab" if goes_on else "wb") as file:
            done = self._copy(answer, file, have if goes_on else 0, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done < total:
            raise _Broken(ConnectionError(f"cut off after {done / 1e6:.1f} of {total / 1e6:.1f} MB"))
        with self._part.open("rb") as file:
            if b"OSMHeader" not in file.read(64):
                raise self._not_an_extract()
        os.replace(self._part, self._target)
        handle = os.open(self._target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _copy(self, answer: Any, file: IO[bytes], done: int, total: int | None) -> int:
        """Write what comes to disk until it ends or breaks; returns the bytes that are there then."""
        self._received(done, total)
        while True:
            try:
                chunk = answer.read(_CHUNK_BYTES)
            except http.client.IncompleteRead as cut:
                chunk = cut.partial
            except (OSError, http.client.HTTPException) as error:
                raise _Broken(error) from error
            if not chunk:
                return done
            file.write(chunk)
            done += len(chunk)
            self._received(done, total)
            if done > SOURCE_BYTES_MAX:
                raise _too_large(self._extract, done)

    def _read_note(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(self._note.read_text())
            if isinstance(note, dict) and note.get("url") == self._url:
                return note
        return {}

    def _not_an_extract(self) -> CityError:
        self._part.unlink(missing_ok=True)
        return CityError(
            f"{self._url} answered with something that is no extract, a web page perhaps.",
            "Is this network asking for a login first? Open a browser and see; or download the file elsewhere"
            " and run: straja city import FILE",
        )

    def explain(self, cause: Exception) -> CityError:
        """What broke, in words for people."""
        host = urlsplit(self._url).hostname or self._url
        elsewhere = f"or download {self._url} on another computer and run: straja city import FILE"
        if isinstance(cause, urllib.error.HTTPError):
            if cause.code in (404, 410):
                return CityError(
                    f"{host} has no such extract any more ({cause.code}): {self._url}",
                    f"Look on https://{urlsplit(self._extract.url).hostname}/ for its new place, download it"
                    " and run: straja city import FILE",
                )
            if cause.code == 407:
                return CityError("The proxy asks for a password.", f"Set it in https_proxy; {elsewhere}")
            return CityError(f"{host} refuses: {cause.code} {cause.reason}.", f"Try again later; {elsewhere}")
        reason = getattr(cause, "reason", cause)
        if isinstance(reason, ssl.SSLError):
            return CityError(
                f"{host} cannot prove who it is ({getattr(reason, 'reason', '') or reason}).",
                "Behind a proxy that opens TLS, set SSL_CERT_FILE to its certificate; "
                f"see that the clock is right; {elsewhere}",
            )
        if (kept := self.size()) and not isinstance(reason, socket.gaierror):
            return CityError(
                f"The download was cut off ({reason}); {kept / 1e6:.1f} MB are kept.",
                "Run the same command again: it goes on from there.",
            )
        return CityError(
            f"There is no network, or {host} cannot be reached from here"
            f" ({getattr(reason, 'strerror', None) or reason}).",
            f"Connect this computer to the Internet and run the same command again; {elsewhere}",
        )


def _too_large(extract: Extract, size: int) -> CityError:
    return CityError(
        f"{extract.name} has {size / 1e6:,.0f} MB: this is a country, not a city"
        f" (the limit is {SOURCE_BYTES_MAX // 10**6:,} MB).",
        f"Take a smaller region, or download {extract.url} and cut the city out: osmium extract --bbox"
        " WEST,SOUTH,EAST,NORTH FILE -o CITY.osm.pbf",
    )
