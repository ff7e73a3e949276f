"""How the city is covered now: the standards that it is measured by, and what the idle units reach.

A standard is a capability and the seconds within which a unit that gives it should be there. The operator's
published ones (`response_targets` of the pack) come first; then the capabilities that most kinds of urgent
incidents need, each within the time wanted for the most urgent of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.picture import Picture
from app.ports import Clock
from app.tracks import Tracks
from dispatch.plans import Pack
from dispatch.standby import Cover, Coverage
from gis.travel import RoadGraph

STANDARDS_MAX: Final = 6
"""Capabilities that are watched: each costs memory and time, and a board can show no more."""


@dataclass(frozen=True, slots=True)
class Standard:
    """`within_s` in towns and `rural_s` outside them, from the order to the arrival. `share_pct`: how often
    it is to be met, where the operator says so. `stated`: in the pack's response targets; else it follows
    from what incidents need and from the times wanted for their priorities."""

    capability: str
    within_s: float
    rural_s: float
    share_pct: int | None
    stated: bool


def standards_of(pack: Pack) -> tuple[Standard, ...]:
    """At most `STANDARDS_MAX`, those that the pack states first, then the capabilities that the most types of
    incidents need; one that only such units give as give another of the list is left out."""
    found: dict[str, Standard] = {}
    for target in pack.response_targets:
        was = found.get(target.crew)
        within_s, rural_s = (was.within_s, was.rural_s) if was else (target.within_s, target.within_s)
        share_pct = was.share_pct if was else target.share_pct
        if target.area == "urban":
            within_s, share_pct = target.within_s, target.share_pct
            rural_s = rural_s if was else target.within_s
        else:
            rural_s = target.within_s
        found[target.crew] = Standard(target.crew, within_s, rural_s, share_pct, stated=True)
    givers = {
        name: frozenset(kind.code for kind in pack.unit_types.values() if name in kind.gives)
        for name in pack.capabilities
    }
    needed: dict[str, list[str]] = {}
    for kind in pack.incident_types.values():
        for name in () if kind.planned else kind.needs:
            needed.setdefault(name, []).append(kind.priority)
    for name, priorities in sorted(needed.items(), key=lambda item: (-len(item[1]), item[0])):
        most_urgent = min(priorities, key=lambda code: pack.priorities[code].rank)
        target_s = pack.priorities[most_urgent].target_s
        if name in found or target_s is None or len(found) >= STANDARDS_MAX:
            continue
        if not givers[name] or any(givers[name] == givers[other] for other in found):
            continue
        found[name] = Standard(name, target_s, target_s, None, stated=False)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Standing:
    """How the city is covered at one moment. `cover` has the units in the order in which they were asked
    for. `fresh` False: a closure or an opening is still being worked in, and `as_of_us` is the time that the
    figures hold for."""

    cover: Cover
    fresh: bool
    as_of_us: int


class CoverageNow:
    """Follows the picture, the fixes and the roads; safe from any thread."""

    def __init__(
        self,
        pack: Pack,
        picture: Picture,
        tracks: Tracks,
        clock: Clock,
        ways: Callable[[], RoadGraph | None],
    ) -> None:
        self.standards = standards_of(pack)
        self._picture = picture
        self._tracks = tracks
        self._clock = clock
        self._ways = ways

    def of(self, capability: str, now_us: int | None = None) -> Coverage | None:
        """The coverage by the standard of one capability; None where there are no roads to measure it by.
        Raises ValueError for a capability without a standard."""
        if all(standard.capability != capability for standard in self.standards):
            known = ", ".join(standard.capability for standard in self.standards)
            raise ValueError(f"no standard for {capability!r}; there is one for: {known}")
        return None

    def standing(self, units: Sequence[str], now_us: int | None = None) -> Standing | None:
        """What each of those units (by id) is worth to the city, under all standards at once; None where
        there are no roads to measure it by."""
        return None
