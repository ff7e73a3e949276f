"""Expected calls by hour and place: learnt from the log, and used only where they beat what would be supposed
without them. Coverage asks for them.

Learning (`learn`, by the command or a job) leaves var/forecast/CITY.json; `Forecasts` reads it, and again
when it changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from app.learnt import Followed, file_of, put
from app.ports import Clock
from app.rows import rfc3339
from dispatch import events as e
from gis.city import City
from gis.coverage import Cells, cells_of, hourly_demand, load_points
from gis.forecast import WEEK_US, WEEKS_MAX, Forecast, as_json, from_json
from gis.forecast import learn as learn_from
from gis.local_time import zone_of

if TYPE_CHECKING:
    from app.core import Core

Floats = NDArray[np.float64]
_PAGE: Final = 5_000


class Forecasts:
    """The forecast of the city in use; safe from any thread."""

    def __init__(self, folder: Path, city: Callable[[], City | None], clock: Clock) -> None:
        self._followed = Followed(folder, city, clock, _read, "`./straja forecast learn` makes it anew")

    @property
    def latest(self) -> Forecast | None:
        """What was last learnt, in use or not; None where nothing was. Follows the file within seconds."""
        return self._followed.now()

    @property
    def trouble(self) -> str | None:
        """Why the file that is there is not used, for people; None when it is, or when there is none."""
        return self._followed.trouble

    def demand(self, cells: Cells, supposed: Floats, hour: int) -> Floats:
        """Calls an hour by cell, float64[m], in that local hour of the week: `supposed` (what is known
        without a forecast) with the hour's part of the week, and over the places that the forecast expects,
        each as far as it is in use."""
        found = self.latest
        if found is None or not found.in_use or not len(supposed):
            return supposed
        mean = float(found.hourly.mean())
        part = float(found.hourly[hour % len(found.hourly)]) / mean if mean > 0 else 1.0
        if _beaten(found, "places") and found.about.get("cells") == mark_of(cells):
            return found.share * float(supposed.sum()) * part
        return supposed * part


def _beaten(forecast: Forecast, what: str) -> bool:
    return bool(forecast.about.get("held_out", {}).get(what, {}).get("beats_prior"))


def _read(file: Path, city: City) -> Forecast:
    return from_json(json.loads(file.read_text(encoding="utf-8")))


def mark_of(cells: Cells) -> str:
    """Tells these cells from any others: shares are by their order."""
    digest = hashlib.sha256(np.ascontiguousarray(cells.key).tobytes())
    digest.update(f"{cells.size_m} {cells.columns} {cells.lon[:1]} {cells.lat[:1]}".encode())
    return digest.hexdigest()[:16]


def learn(core: Core, *, seed: int = 0, demo: bool = False) -> Forecast:
    """Learn from the log and write the forecast of the city in use. The demo's calls count only with `demo`.
    Raises LookupError where no city is in use, OSError where the file cannot be written."""
    city = core.city
    if city is None:
        raise LookupError("no city is in use")
    now_us = core.world.clock.now_us()
    cells = cells_of(
        city.roads.arrays("car"), city.roads.names, load_points(city.folder), city.addresses.named_areas()
    )
    at_us, lon, lat = _calls(core, now_us - WEEKS_MAX * WEEK_US, demo)

    def prior(met: Floats) -> Floats:
        # As coverage supposes it: the share of the cells, drawn towards where calls were met.
        supposed = hourly_demand(cells, met, 1.0, 1.0)
        return supposed / supposed.sum()

    found = learn_from(
        at_us,
        cells.find(lon, lat),
        prior,
        zone_of(*city.info.centre),
        cells=len(cells),
        now_us=now_us,
        seed=seed,
    )
    about: dict[str, Any] = {
        **found.about,
        "city": city.info.name,
        "made_at_us": now_us,
        "cells": mark_of(cells),
    }
    found = replace(found, about=about)
    put(file_of(core.config.var / "forecast", city), as_json(found))
    return found


def told(core: Core) -> list[str]:
    """What is expected in the city in use, in lines for people."""
    city, found = core.city, core.forecast.latest
    if city is None:
        return ["no city is in use"]
    lines = [f"note: {core.forecast.trouble}"] if core.forecast.trouble else []
    if found is None:
        return [*lines, f"{city.info.name}: nothing is learnt yet; the same calls are expected at any hour"]
    about = found.about
    rate = f"{about['flat_per_hour']:.2f} an hour" if about["weeks"] else "too few to say how many an hour"
    lines.append(
        f"{city.info.name}: learnt {rfc3339(about['made_at_us'])} from {about['calls']:,} calls"
        f" in {about['weeks']} whole weeks, {rate}"
    )
    unit = {"hours": "calls an hour in the city", "places": "calls a week in a cell"}
    for what, words in unit.items() if "held_out" in about else ():
        judged = about["held_out"][what]
        error, (low, high) = judged["mean_error"], judged["difference"]
        lines.append(
            f"  {what}: on {about['held_out']['weeks']} unseen weeks off by {error['forecast']:.3f} {words},"
            f" the prior by {error['prior']:.3f}; deviance a day {judged['deviance_per_day']:+.2f}"
            f" ({low:+.2f} to {high:+.2f}): {'in use' if judged['beats_prior'] else 'not in use'}"
        )
    lines.append(f"{'in use' if found.in_use else 'not in use'}: {about['why']}")
    return lines


def _calls(core: Core, since_us: int, demo: bool) -> tuple[NDArray[np.int64], Floats, Floats]:
    """When and where (to some 100 m) people called; what was planned is no call."""
    planned = {kind.code for kind in core.pack.incident_types.values() if kind.planned}
    at_us: list[int] = []
    places: list[tuple[float, float]] = []
    position = 0
    while page := core.log.read(position, _PAGE):
        position = page[-1].position
        for envelope in page:
            if envelope.type != "IncidentReported" or envelope.observed_at < since_us:
                continue
            rec = envelope.recorded()
            fact = rec.event
            if isinstance(fact, e.IncidentReported) and fact.kind not in planned:
                if rec.source == "demo" and not demo:
                    continue
                at_us.append(rec.observed_us)
                places.append(fact.coarse)
    where = np.array(places, dtype=np.float64).reshape(-1, 2)
    return np.array(at_us, dtype=np.int64), where[:, 0], where[:, 1]
