"""Which incidents may be the one that somebody is just telling of: scored by place, time, kind and caller,
each with its reasons. A suggestion for a person; nothing is ever joined by it.

The score is in 0..1: the place (full within `NEAR_M`, none beyond the reach) times the time (full for five
minutes, half after another half an hour) times how much the kinds are akin. A caller of the same number is a
strong hint of its own, wherever the place is said to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dispatch.plans import IncidentType, Pack

NEAR_M = 40.0
REACH_M = 300.0
"""How far apart two callers may place the same thing."""
FAR_REACH_M = 1000.0
"""The same for what is seen from afar: fire, smoke, a collapse."""
SEEN_FROM_AFAR = frozenset({"fire_suppression", "usar"})
"""Capabilities that such an incident needs."""
COARSE_M = 80.0
"""How far off a place that was rounded may be."""
FRESH_S, HALF_S, OLD_S = 300.0, 1800.0, 4 * 3600.0
UNKNOWN_KIND = 0.6
OTHER_KIND = 0.15
SAME_NUMBER = 0.9
LEAST, PROBABLE = 0.12, 0.5
METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of the new one: degrees, `radius_m` about them, `type` None while nobody knows it."""

    lon: float
    lat: float
    at_us: int
    type: str | None = None
    phone: str = ""
    radius_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """One that is there already; `exact` False: its place is rounded."""

    id: str
    lon: float
    lat: float
    at_us: int
    type: str
    phone: str = ""
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Similar:
    """`reasons` are codes: same_place, near, same_kind, akin, same_number."""

    id: str
    score: float
    distance_m: float
    apart_s: float
    reasons: tuple[str, ...]

    @property
    def probable(self) -> bool:
        return self.score >= PROBABLE


def find(told: Told, known: Iterable[Known], pack: Pack) -> list[Similar]:
    """The similar ones among `known`, best first."""
    found = (_score(told, one, pack) for one in known)
    return sorted((x for x in found if x.score >= LEAST), key=lambda x: (-x.score, x.distance_m, x.id))


def digits(number: str) -> str:
    """A telephone number as it is compared: its last nine digits, which the ways of writing it share; empty
    for what is too short to be somebody's."""
    plain = "".join(ch for ch in number if ch.isdigit())
    return plain[-9:] if len(plain) >= 6 else ""


def _score(told: Told, one: Known, pack: Pack) -> Similar:
    east_m = (one.lon - told.lon) * METRES_PER_DEGREE * math.cos(math.radians(told.lat))
    distance_m = math.hypot(east_m, (one.lat - told.lat) * METRES_PER_DEGREE)
    kind, theirs = pack.incident_types.get(told.type or ""), pack.incident_types.get(one.type)
    afar = any(x is not None and not SEEN_FROM_AFAR.isdisjoint(x.needs) for x in (kind, theirs))
    slack_m = told.radius_m + (0.0 if one.exact else COARSE_M)
    off_m = max(0.0, distance_m - slack_m)
    reach_m = FAR_REACH_M if afar else REACH_M
    place = max(0.0, 1.0 - max(0.0, off_m - NEAR_M) / (reach_m - NEAR_M))
    apart_s = abs(told.at_us - one.at_us) / 1e6
    time = 0.0 if apart_s > OLD_S else 0.5 ** (max(0.0, apart_s - FRESH_S) / HALF_S)
    akin = _akin(told.type, kind, one.type, theirs)
    score = place * time * akin
    reasons = []
    if off_m <= NEAR_M:
        reasons.append("same_place")
    elif place > 0:
        reasons.append("near")
    if told.type is not None and akin == 1.0:
        reasons.append("same_kind")
    elif akin >= UNKNOWN_KIND and told.type is not None:
        reasons.append("akin")
    if told.phone and told.phone == one.phone and time > 0:
        reasons.append("same_number")
        score = max(score, SAME_NUMBER * time)
    return Similar(one.id, score, distance_m, apart_s, tuple(reasons))


def _akin(code: str | None, kind: IncidentType | None, other: str, theirs: IncidentType | None) -> float:
    """How much two kinds have in common, by what they need: 1 for the same, down to `OTHER_KIND`."""
    if code is None:
        return UNKNOWN_KIND
    if code == other:
        return 1.0
    if kind is None or theirs is None:
        return OTHER_KIND
    both, either = set(kind.needs) & set(theirs.needs), set(kind.needs) | set(theirs.needs)
    return max(OTHER_KIND, len(both) / len(either)) if either else OTHER_KIND
