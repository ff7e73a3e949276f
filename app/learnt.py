"""What was learnt of a city from its own history: one small file a city, var/WHAT/CITY.json, put there whole
and followed by whatever runs."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from app.log import write_durably
from app.ports import Clock
from gis.city import City

LOOK_S: Final = 2.0
_What = TypeVar("_What")


def file_of(folder: Path, city: City) -> Path:
    """Where what was learnt of a city lies."""
    return folder / f"{city.info.name}.json"


def put(file: Path, learnt: Mapping[str, Any]) -> None:
    """Put it where running processes find it, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_durably(file, json.dumps(learnt, ensure_ascii=False))


class Followed(Generic[_What]):
    """The file of the city in use, looked at every `LOOK_S` seconds, read again when it changes; safe from
    any thread. `read` raises OSError or ValueError for one that cannot be used; `remedy` is said of it."""

    def __init__(
        self,
        folder: Path,
        city: Callable[[], City | None],
        clock: Clock,
        read: Callable[[Path, City], _What],
        remedy: str,
    ) -> None:
        self._folder = folder
        self._city = city
        self._clock = clock
        self._read = read
        self._remedy = remedy
        self._looked_at_s = -math.inf
        self._mark: tuple[object, ...] | None = None
        self._found: _What | None = None
        self.version = 0
        """Changes when something else comes into use."""
        self.trouble: str | None = None
        """Why the file that is there is not used, for people; None when it is, or when there is none."""

    def now(self) -> _What | None:
        """What was last learnt of the city in use; None where nothing was, or its file cannot be used."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_at_s >= LOOK_S:
            self._looked_at_s = now_s
            self._look()
        return self._found

    def _look(self) -> None:
        city = self._city()
        file = None if city is None else file_of(self._folder, city)
        try:
            status = None if file is None else file.stat()
        except OSError:
            status = None
        mark = None if status is None else (file, status.st_ino, status.st_mtime_ns, id(city))
        if mark == self._mark:
            return
        self._mark = mark
        found, trouble = None, None
        if mark is not None and file is not None and city is not None:
            try:
                found = self._read(file, city)
            except (OSError, ValueError) as error:
                trouble = f"{file.name} is not used: {error}; {self._remedy}"
                logging.getLogger("straja").warning("%s", trouble)
        self.trouble = trouble
        if found is not self._found:
            self._found = found
            self.version += 1
