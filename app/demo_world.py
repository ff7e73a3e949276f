"""The demo's city life, without any I/O: crews that drive, desks that answer, people who call, a colleague.

`DemoWorld.step(now_us, seen, replies)` is told what Straja shows and answers with the requests to send. The
same time, sights and seed give the same requests, so that a test lives a whole day in seconds. What is real
is Straja; only the edge of the world (vehicles, telephones, one colleague) is played here.

Decisions follow what Straja *shows* (status, order, request) and never what was sent before: a lost answer,
a restart or a person's hand on a unit all end in the same place. While nothing is shown, vehicles roll on
along their way and nobody decides anything.
"""

from __future__ import annotations

import bisect
import hashlib
import math
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Any, Protocol

from gis.geometry import metres_between
from gis.roads import mode

SOURCE = "demo"
CREWS, CALLS, COLLEAGUE = "crews", "calls", "colleague"
"""Whose token a request is sent with: the vehicles' and desks', the callers', the colleague's."""

BLIND_S = 15.0
"""Older sights than this decide nothing."""
HANDS_OFF_S = 600.0
"""How long a unit is left alone after somebody else reported its status or position."""
OUT_HANDS_OFF_S = 3600.0
"""How long a unit stays out of service that a person put there."""
COLLEAGUE_S = 75.0
"""How long an incident lies before the colleague takes it up."""
PROPOSAL_S = 75.0
"""How long a proposal lies before the colleague answers it."""
PERSON_S = 600.0
"""How long the colleague stays away from an incident that a person touched."""
GIVE_UP_S = 1500.0
"""After this, an incident to which nobody could be sent is closed as handed over."""
IDLE_S = 7200.0
"""Without a person at work for so long, the city calls less often."""
SAME_CALL_M, SAME_CALL_S = 150.0, 420.0
MOVING_FIX_S, PARKED_FIX_S = 2.0, 20.0
THERE_M = 60.0
YARD_MPS = 10 / 3.6
MPS_MAX = 38.0
PATROL_SHARE = 0.8
"""A patrol drives slower than the road allows."""
CORNER_M, CORNER_DEG, CORNER_SHARE = 15.0, 40.0, 0.45
BEAT_M = 1100.0
ROUTES_MAX = 3
"""Ways looked for in one step; who comes too late asks again in the next."""

LEAVING = frozenset({"available", "returning", "recovering", "off_duty", "out_of_service"})
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: `token` says as whom, `key` makes a retry the same request, `about` comes back with the
    reply."""

    method: str
    path: str
    body: Any = None
    token: str = CREWS
    key: str | None = None
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` is that of HTTP, 0 when there was no answer."""

    ask: Ask
    status: int
    body: Any
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the API shows: rows of units and open incidents. `touched_us`: when a person last did something
    to an incident; `looked_us`: when somebody last was shown a recommendation for it."""

    units: Sequence[Mapping[str, Any]]
    incidents: Sequence[Mapping[str, Any]]
    touched_us: Mapping[str, int] = field(default_factory=dict)
    looked_us: Mapping[str, int] = field(default_factory=dict)
    proposals: Sequence[Mapping[str, Any]] = ()


class Way(Protocol):
    """As gis.travel.Route: `road` False for a straight estimate of `drive_s`, else `at_s` at each point."""

    @property
    def points(self) -> list[Point]: ...
    @property
    def drive_s(self) -> float: ...
    @property
    def distance_m(self) -> float: ...
    @property
    def road(self) -> bool: ...
    @property
    def at_s(self) -> list[float]: ...


class Roads(Protocol):
    """As gis.travel.RoadGraph."""

    def route(self, lon: float, lat: float, to_lon: float, to_lat: float, profile: str) -> Way: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """`calls_per_hour` at a mean hour, none at 0; no new calls while `open_max` of the demo's are open;
    `colleague`: whether what nobody touches is handled."""

    calls_per_hour: float = 40.0
    open_max: int = 6
    colleague: bool = True


@dataclass(frozen=True, slots=True)
class Spot:
    """A place from which somebody calls."""

    lon: float
    lat: float
    label: str


# ---- driving


@dataclass(frozen=True, slots=True)
class Drive:
    """A way in time: at `at_s[i]` seconds after `start_us` the vehicle is at `points[i]`."""

    goal: tuple[str, ...]
    to: Point
    start_us: int
    points: tuple[Point, ...]
    at_s: tuple[float, ...]

    def done(self, now_us: int) -> bool:
        return now_us - self.start_us >= self.at_s[-1] * 1e6

    def where(self, now_us: int) -> tuple[Point, float, float | None]:
        """(place, speed in m/s, heading in degrees from north or None) at that time."""
        passed_s = (now_us - self.start_us) / 1e6
        if passed_s >= self.at_s[-1] or len(self.points) == 1:
            return self.points[-1], 0.0, None
        i = max(1, bisect.bisect_right(self.at_s, max(0.0, passed_s)))
        (lon1, lat1), (lon2, lat2) = self.points[i - 1], self.points[i]
        took_s = self.at_s[i] - self.at_s[i - 1]
        share = (max(0.0, passed_s) - self.at_s[i - 1]) / took_s if took_s > 0 else 1.0
        place = (lon1 + (lon2 - lon1) * share, lat1 + (lat2 - lat1) * share)
        length_m = metres_between(lon1, lat1, lon2, lat2)
        return place, length_m / took_s if took_s > 0 else 0.0, bearing(lon1, lat1, lon2, lat2)


def bearing(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Degrees clockwise from north; good for the few metres of a street's piece."""
    east = (lon2 - lon1) * math.cos(math.radians((lat1 + lat2) / 2))
    return math.degrees(math.atan2(east, lat2 - lat1)) % 360.0


def timed(way: Way, start: Point, share: float, goal: tuple[str, ...], to: Point, now_us: int) -> Drive:
    """The way as the vehicle drives it: at `share` of each street's speed, slower around corners and quicker
    between them, so that it takes as long as was reckoned; at walking pace out of the yard. A way without a
    road is driven straight."""
    if not way.road or len(way.points) != len(way.at_s):
        crow_m = max(1.0, metres_between(*start, *to))
        drive_s = way.drive_s if math.isfinite(way.drive_s) else crow_m / YARD_MPS
        return Drive(goal, to, now_us, (start, to), (0.0, max(1.0, drive_s, crow_m / MPS_MAX)))
    path, took_s = _with_corners(way.points, way.at_s)
    scale = way.at_s[-1] / share / max(1e-6, sum(took_s))
    points, at_s = [start], [0.0]
    yard_m = metres_between(*start, *path[0])
    if yard_m > 2:
        points.append(path[0])
        at_s.append(yard_m / YARD_MPS)
    for point, piece_s in zip(path[1:], took_s, strict=True):
        length_m = metres_between(*points[-1], *point)
        if length_m > 0.05:
            points.append(point)
            at_s.append(at_s[-1] + max(piece_s * scale, length_m / MPS_MAX))
    if len(points) == 1:
        points, at_s = [start, start], [0.0, 1.0]
    return Drive(goal, to, now_us, tuple(points), tuple(at_s))


def _with_corners(points: Sequence[Point], at_s: Sequence[float]) -> tuple[list[Point], list[float]]:
    """The path with a vertex on either side of each corner and of both ends, and how long each piece would
    take if everything between corners went at the street's speed."""
    heads = [bearing(*a, *b) for a, b in pairwise(points)]
    sharp = [True, *(abs((b - a + 180) % 360 - 180) > CORNER_DEG for a, b in pairwise(heads)), True]
    path, took_s = [points[0]], []
    for i, (a, b) in enumerate(pairwise(points)):
        length_m = metres_between(*a, *b)
        cuts = [0.0, 1.0]
        if length_m > 3 * CORNER_M:
            near = CORNER_M / length_m
            cuts = [0.0, *([near] if sharp[i] else []), *([1 - near] if sharp[i + 1] else []), 1.0]
        for low, high in pairwise(cuts):
            path.append((a[0] + (b[0] - a[0]) * high, a[1] + (b[1] - a[1]) * high))
            at_corner = (low == 0.0 and sharp[i]) or (high == 1.0 and sharp[i + 1])
            took_s.append((at_s[i + 1] - at_s[i]) * (high - low) / (CORNER_SHARE if at_corner else 1.0))
    return path, took_s


# ---- crews


@dataclass(slots=True)
class Crew:
    """What the demo knows of one of its units: standing facts, the last row, and the vehicle itself."""

    unit: str
    habit: str
    watch: tuple[tuple[int, int], ...]
    row: Mapping[str, Any] = field(default_factory=dict)
    base: Point = (0.0, 0.0)
    profile: str = "car"
    status: str = ""
    since_us: int = 0
    incident: str | None = None
    order: tuple[str, int] | None = None
    """(incident, when the order was given)."""
    rolling: bool = False
    """Whether the wheels already rolled when the order came."""
    at: Point | None = None
    drive: Drive | None = None
    arrived: tuple[tuple[str, ...], Point] | None = None
    """The last goal reached: the road may end some way before it."""
    retry_us: int = 0
    refusals: int = 0
    wander_us: int = 0
    hands_off_us: int = 0
    silent_us: int = 0
    fix_us: int = 0
    parked_us: int = 0
    post: tuple[str, Point] | None = None
    """Where it was told to stand by, until the next order."""

    @property
    def known(self) -> bool:
        return bool(self.row) and self.at is not None


class DemoWorld:
    """One city's life. `life` is the pack's section of demo.yaml with `hours` and `busy`, `catalogue` the
    API's; `hospitals` are places to take patients to; `spot(roll)` gives a place for a call, drawn by
    roll(key), a number from 0 to 1; `ours` are the names under which the demo itself is known."""

    def __init__(
        self,
        life: Mapping[str, Any],
        catalogue: Mapping[str, Any],
        roads: Roads,
        hospitals: Sequence[tuple[str, float, float]],
        spot: Callable[[Callable[[str], float]], Spot | None],
        *,
        seed: int,
        zone: tzinfo = UTC,
        pace: Pace | None = None,
        ours: Iterable[str] = (),
    ) -> None:
        self._life = life
        self._hours: Mapping[str, Sequence[float]] = life["hours"]
        self._busy: Sequence[float] = life["busy"]
        self._statuses: dict[str, Any] = {s["code"]: s for s in catalogue["statuses"]}
        self._with_signals = {p["code"] for p in catalogue.get("priorities", ()) if p["lights"]}
        self._flags = {f["code"] for f in catalogue["status_flags"]}
        self._types: dict[str, Any] = {t["code"]: t for t in catalogue["incident_types"]}
        self._calls = [call for call in life["calls"] if call["type"] in self._types]
        self._call_of = {call["type"]: call for call in self._calls}
        self._roads = roads
        self._hospitals = list(hospitals)
        self._spot = spot
        self._seed = seed
        self._zone = zone
        self._pace = pace or Pace()
        self.calling = True
        """Whether anybody calls at all; for whoever runs this to say."""
        self._ours = frozenset(ours)
        self._crews = {
            c["unit"]: Crew(c["unit"], c["habit"], tuple((a, b) for a, b in life["watches"][c["watch"]]))
            for c in life["crews"]
        }
        self._incidents: dict[str, Mapping[str, Any]] = {}
        self._proposals: Sequence[Mapping[str, Any]] = ()
        self._touched_us: Mapping[str, int] = {}
        self._looked_us: Mapping[str, int] = {}
        self._seen_us = 0
        self._begun_us = 0
        self._person_us = 0
        self._call_us = 0
        self._repeat: tuple[int, Ask] | None = None
        self._acted: dict[tuple[str, ...], int] = {}
        self._planned: dict[str, int] = {}
        self._plans: dict[str, Mapping[str, Any]] = {}
        self._carried: dict[str, int] = {}
        self._routes = 0

    @property
    def crews(self) -> Mapping[str, Crew]:
        return self._crews

    def step(self, now_us: int, seen: Seen | None = None, replies: Sequence[Reply] = ()) -> list[Ask]:
        """Everything to send now. `seen` is what was just read, None when nothing was; `replies` are the
        answers to the requests of the step before."""
        self._begun_us = self._begun_us or now_us
        self._routes = 0
        asks: list[Ask] = []
        for reply in replies:
            self._hear(reply, now_us)
        if seen is not None:
            self._look(seen, now_us)
        if now_us - self._seen_us <= BLIND_S * 1e6:
            for crew in self._crews.values():
                if crew.known:
                    asks += self._crew(crew, now_us)
            asks += self._desks(now_us)
            asks += self._callers(now_us)
            if self._pace.colleague:
                asks += self._colleague(now_us)
        fixes = [fix for crew in self._crews.values() if (fix := self._fix(crew, now_us)) is not None]
        if fixes:
            asks.insert(0, Ask("POST", "/positions", fixes))
        return asks

    # ---- chance: numbers that depend on what they are for, not on how often somebody asked

    def _roll(self, *key: object) -> float:
        text = "\0".join(map(str, (self._seed, *key)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2**56

    def _between(self, low: float, high: float, *key: object) -> float:
        return low + (high - low) * self._roll(*key)

    def _pick(self, choices: Sequence[Any], *key: object) -> Any:
        return choices[min(len(choices) - 1, int(self._roll(*key) * len(choices)))]

    def _uuid(self, *key: object) -> str:
        text = "\0".join(map(str, (self._seed, *key)))
        return str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest(), version=4))

    # ---- what is shown

    def _look(self, seen: Seen, now_us: int) -> None:
        self._seen_us = now_us
        self._incidents = {row["id"]: row for row in seen.incidents}
        self._touched_us, self._looked_us = seen.touched_us, seen.looked_us
        self._proposals = seen.proposals
        self._person_us = max([self._person_us, *seen.touched_us.values()])
        for row in seen.units:
            crew = self._crews.get(row["id"])
            if crew is not None and row["source"] == SOURCE:
                self._take_row(crew, row, now_us)
            elif crew is not None:
                # Somebody has a unit of that name; it is theirs.
                crew.row = {}
        for known in (self._planned, self._carried, self._plans):
            for gone in [i for i in known if i not in self._incidents]:
                del known[gone]
        for acted in [k for k, us in self._acted.items() if now_us - us > 3600e6]:
            del self._acted[acted]

    def _take_row(self, crew: Crew, row: Mapping[str, Any], now_us: int) -> None:
        first = not crew.row
        was, was_on = crew.status, crew.incident
        crew.row = row
        crew.profile = row["profile"]
        crew.status, crew.incident = row["status"], row["incident"]
        crew.since_us = us_of(row["status_since"]) or now_us
        base = row["base"]
        crew.base = (base["lon"], base["lat"]) if base else crew.base
        fix_us = us_of(row["fix_at"]) or 0
        foreign_fix = row["lon"] is not None and row["fix_source"] not in self._ours
        if foreign_fix and fix_us > now_us - HANDS_OFF_S * 1e6:
            crew.silent_us = max(crew.silent_us, round(fix_us + HANDS_OFF_S * 1e6))
            crew.at, crew.drive, crew.arrived = (row["lon"], row["lat"]), None, None
        if first or crew.at is None:
            # A vehicle goes on from where it was last seen, unless that is another city.
            seen_at: Point = (row["lon"], row["lat"]) if row["lon"] is not None else crew.base
            crew.at = seen_at if metres_between(*seen_at, *crew.base) < 50_000 else crew.base
            crew.parked_us = now_us
        if crew.incident is not None:
            crew.post = None
        ordered = crew.status in ("assigned", "acknowledged", "en_route") and crew.incident is not None
        if ordered and (crew.order is None or crew.order[0] != crew.incident or crew.status == "assigned"):
            if crew.order is None or crew.order != (crew.incident, crew.since_us):
                # Rolling already: out of the yard, or on the way somewhere.
                crew.rolling = metres_between(*crew.at, *crew.base) > 150 or crew.drive is not None
                crew.order = (str(crew.incident), crew.since_us)
                if crew.drive is not None and crew.drive.goal != ("incident", str(crew.incident)):
                    self._halt(crew, now_us)
        elif crew.incident is None:
            crew.order = None
        recalled = was_on is not None and crew.incident is None and crew.status in ("available", "returning")
        pressed = crew.status != was and crew.status != "assigned" and row["status_by"] not in self._ours
        if pressed and (first or not recalled):
            long_s = OUT_HANDS_OFF_S if crew.status == "out_of_service" else HANDS_OFF_S
            crew.hands_off_us = max(crew.hands_off_us, round(crew.since_us + long_s * 1e6))
            self._person_us = max(self._person_us, crew.since_us)
            if crew.status in ("out_of_service", "off_duty"):
                self._halt(crew, now_us)

    def _halt(self, crew: Crew, now_us: int) -> None:
        if crew.drive is not None:
            crew.at = crew.drive.where(now_us)[0]
            crew.drive = None
            crew.parked_us = now_us

    def _hear(self, reply: Reply, now_us: int) -> None:
        about = reply.ask.about
        if about[:1] == ("press",):
            # Refused or lost: what Straja shows next decides anew, after an ever longer breath.
            crew = self._crews[about[1]]
            crew.refusals = 0 if 200 <= reply.status < 300 else crew.refusals + 1
            if crew.refusals:
                crew.retry_us = now_us + min(600, 5 * 2 ** min(crew.refusals, 7)) * 1_000_000
        elif about[:1] == ("plan",) and reply.status == 200:
            self._plans[about[1]] = reply.body

    # ---- crews

    def _on_watch(self, crew: Crew, now_us: int) -> bool:
        """Whether the crew's shift runs; each crew is a few minutes early or late, other ones each day."""
        local = datetime.fromtimestamp(now_us / 1e6, self._zone)
        shift_min = self._between(-9, 9, "shift", crew.unit, local.date())
        hour = local.hour + local.minute / 60 + shift_min / 60
        return any(a <= hour < b or a <= hour + 24 < b or (a, b) == (0, 24) for a, b in crew.watch)

    def _press(self, crew: Crew, wanted: str, now_us: int, **more: Any) -> list[Ask]:
        """The status, or the first one on the legal way to it."""
        if now_us < crew.retry_us or now_us < crew.hands_off_us or now_us < crew.silent_us:
            return []
        status = self._toward(crew.status, wanted)
        if status is None or status == crew.status:
            return []
        rule = self._statuses[status]
        body: dict[str, Any] = {"status": status}
        if rule["needs_hospital"] or status == "at_hospital":
            body["hospital"] = self._hospital(crew)[0]
        if rule["reason_required"]:
            body["reason"] = more.get("reason") or self._life["out_of_service"]
        if rule["wants_ready_at"]:
            body["ready_at"] = rfc3339(now_us + round(more.get("ready_s", 600) * 1e6))
        # By what it was and since when: the same press sent twice is one.
        key = self._uuid("press", crew.unit, crew.status, crew.since_us, status)
        crew.status, crew.since_us = status, now_us
        if status in LEAVING:
            crew.incident, crew.order = None, None
        return [Ask("POST", f"/units/{crew.unit}/status", body, key=key, about=("press", crew.unit, status))]

    def _toward(self, status: str, wanted: str) -> str | None:
        """The next status on the shortest legal way from one to another; None where there is none."""
        if status == wanted:
            return wanted
        ways = {status: status}
        front = [status]
        while front:
            reached = []
            for here in front:
                for after in self._statuses.get(here, {"next": ()})["next"]:
                    if after in ways or after == "assigned":
                        continue
                    ways[after] = after if here == status else ways[here]
                    if after == wanted:
                        return ways[after]
                    reached.append(after)
            front = reached
        return None

    def _go(
        self, crew: Crew, goal: tuple[str, ...], to: Point, now_us: int, share: float = 1.0,
        *, signals: bool = False,
    ) -> bool:  # fmt: skip
        """See that the vehicle drives there, with priority signals or without; True when it has arrived."""
        assert crew.at is not None
        drive = crew.drive
        if drive is not None and drive.goal == goal and metres_between(*drive.to, *to) < 30:
            if drive.done(now_us):
                self._halt(crew, now_us)
                crew.arrived = (goal, to)
                return True
            return False
        self._halt(crew, now_us)
        if crew.arrived == (goal, to) or metres_between(*crew.at, *to) < THERE_M:
            return True
        if self._routes < ROUTES_MAX:
            self._routes += 1
            crew.arrived = None
            way = self._roads.route(*crew.at, *to, mode(crew.profile, signals))
            crew.drive = timed(way, crew.at, share, goal, to, now_us)
        return False

    def _crew(self, crew: Crew, now_us: int) -> list[Ask]:
        """What the crew does now, by what it is doing."""
        if now_us < crew.silent_us:
            return []
        return [*self._hear_cancelled(crew, now_us), *self._act(crew, now_us)]

    def _hear_cancelled(self, crew: Crew, now_us: int) -> list[Ask]:
        """Somebody took back what it had been told: it says that it has heard."""
        cancelled = crew.row.get("cancelled")
        if cancelled is None:
            return []
        key = ("cancelled", crew.unit, cancelled["at"])
        read_us = (us_of(cancelled["at"]) or 0) + self._between(2, 6, *key) * 1e6
        if now_us < read_us or not self._once(key, 30):
            return []
        return [Ask("POST", f"/units/{crew.unit}/cancelled/acknowledge", key=self._uuid(*key))]

    def _act(self, crew: Crew, now_us: int) -> list[Ask]:
        incident = self._incidents.get(crew.incident) if crew.incident else None
        status = crew.status
        if status == "off_duty":
            self._halt(crew, now_us)
            return self._press(crew, "available", now_us) if self._on_watch(crew, now_us) else []
        if status == "out_of_service":
            self._halt(crew, now_us)
            return self._press(crew, "available", now_us)
        if status in ("assigned", "acknowledged"):
            return self._turn_out(crew, incident, now_us)
        if status == "en_route":
            return self._drive_there(crew, incident, now_us)
        if status == "staged":
            self._halt(crew, now_us)
            if incident is None or not self._must_stage(crew, incident, now_us):
                return self._press(crew, "on_scene", now_us)
            return []
        if status == "on_scene":
            self._halt(crew, now_us)
            return self._work(crew, incident, now_us)
        if status == "transporting":
            name, lon, lat = self._hospital(crew)
            if self._go(crew, ("hospital", name), (lon, lat), now_us):
                return self._press(crew, "at_hospital", now_us)
            return []
        if status == "at_hospital":
            self._halt(crew, now_us)
            if now_us - crew.since_us >= self._between(300, 720, "hand-over", crew.unit, crew.since_us) * 1e6:
                return self._press(crew, "returning", now_us)
            return []
        if status == "recovering":
            self._halt(crew, now_us)
            ready_us = us_of(crew.row.get("ready_at")) or crew.since_us + 600_000_000
            return self._press(crew, "available", now_us) if now_us >= ready_us else []
        if status == "returning":
            return self._return(crew, now_us)
        if status == "available" and crew.incident is None:
            return self._stand_by(crew, now_us)
        return []

    def _turn_out(self, crew: Crew, incident: Mapping[str, Any] | None, now_us: int) -> list[Ask]:
        if incident is None or crew.order is None:
            return []
        ordered_us = crew.order[1]
        key = (crew.unit, crew.incident, ordered_us)
        turnout_s = crew.row["turnout_s"] or 60
        roll_s = (
            self._between(8, 20, "roll", *key)
            if crew.rolling
            else turnout_s * self._between(0.6, 1.0, "roll", *key)
        )
        if now_us - ordered_us >= max(12.0, roll_s) * 1e6:
            asks = self._press(crew, "en_route", now_us)
            if asks:
                self._go(crew, ("incident", incident["id"]), (incident["lon"], incident["lat"]), now_us)
            return asks
        if crew.status == "assigned" and now_us - ordered_us >= self._between(4, 11, "ack", *key) * 1e6:
            return self._press(crew, "acknowledged", now_us)
        return []

    def _drive_there(self, crew: Crew, incident: Mapping[str, Any] | None, now_us: int) -> list[Ask]:
        if incident is None:
            return []
        goal, to = ("incident", incident["id"]), (incident["lon"], incident["lat"])
        signals = crew.row["lights"] and incident["priority"] in self._with_signals
        if not self._go(crew, goal, to, now_us, signals=signals):
            return []
        return self._press(crew, "staged" if self._must_stage(crew, incident, now_us) else "on_scene", now_us)

    def _must_stage(self, crew: Crew, incident: Mapping[str, Any], now_us: int) -> bool:
        """Medical and city crews wait until police or fire call the scene safe; not for ever."""
        if not incident["staging"] or set(crew.row["capabilities"]) & {
            "fire_suppression",
            "police",
            "officer",
        }:
            return False
        if crew.status == "staged" and now_us - crew.since_us > 480e6:
            return False
        return any(self._leads(a["unit"]) for a in incident["assignments"])

    def _leads(self, unit: str) -> bool:
        crew = self._crews.get(unit)
        gives = set(crew.row["capabilities"]) if crew is not None and crew.row else set()
        return bool(gives & {"fire_suppression", "police", "officer"})

    def _work(self, crew: Crew, incident: Mapping[str, Any] | None, now_us: int) -> list[Ask]:
        if incident is None:
            return []
        call = self._call_of.get(incident["type"], {})
        low, high = call.get("work_min", (8, 15))
        key = (crew.unit, incident["id"])
        work_s = self._between(low, high, "work", *key) * 60
        worked_s = (now_us - crew.since_us) / 1e6
        asks = self._tell_flags(crew, worked_s, work_s, key)
        if worked_s < work_s:
            return asks
        if "transport" in crew.row["capabilities"] and self._patient_for(crew, incident, call):
            self._carried[incident["id"]] = self._carried.get(incident["id"], 0) + 1
            return asks + self._press(crew, "transporting", now_us)
        return asks + self._press(crew, "returning", now_us)

    def _tell_flags(self, crew: Crew, worked_s: float, work_s: float, key: tuple[str, ...]) -> list[Ask]:
        """Few flags: crews note when they reach the patient, and once in a long while one is in danger."""
        if crew.hands_off_us > self._seen_us:
            return []
        told = {f["flag"] for f in crew.row["flags"]}
        gives = set(crew.row["capabilities"])
        asks = []
        for flag, meant, share, begin_s, end_s in (
            ("at_patient", {"doctor", "nurse", "first_aid"}, 0.5, 60.0, work_s),
            ("emergency", {"police", "local_patrol", "city_patrol"}, 0.004, 90.0, 150.0),
        ):
            if flag not in self._flags or not gives & meant or self._roll("flag", flag, *key) >= share:
                continue
            on = begin_s <= worked_s < end_s
            if on != (flag in told) and self._once(("flag", crew.unit, flag, str(on), *key), 30):
                asks.append(
                    Ask("POST", f"/units/{crew.unit}/flags", {"flag": flag, "on": on}, about=("flag",))
                )
        return asks

    def _once(self, what: tuple[str, ...], every_s: float) -> bool:
        """Whether this is due: not done in the last `every_s` seconds of what was seen."""
        if self._seen_us - self._acted.get(what, -(10**18)) < every_s * 1e6:
            return False
        self._acted[what] = self._seen_us
        return True

    def _patient_for(self, crew: Crew, incident: Mapping[str, Any], call: Mapping[str, Any]) -> bool:
        carried = sum(a["status"] in ("transporting", "at_hospital") for a in incident["assignments"])
        carried = max(carried, self._carried.get(incident["id"], 0))
        medical = incident["type"] in self._types and "transport" in self._types[incident["type"]]["needs"]
        share = call.get("patients", 0.7 if medical else 0.0)
        return carried == 0 and self._roll("patient", incident["id"]) < share

    def _hospital(self, crew: Crew) -> tuple[str, float, float]:
        named = crew.row.get("hospital")
        for hospital in self._hospitals:
            if hospital[0] == named:
                return hospital
        assert crew.at is not None
        at = crew.at
        if not self._hospitals:
            return (self._life["hospitals"][0]["name"], *crew.base)
        return min(self._hospitals, key=lambda h: metres_between(h[1], h[2], *at))

    def _return(self, crew: Crew, now_us: int) -> list[Ask]:
        up = crew.row.get("moving_up")
        if up is not None and up["state"] == "moving":
            crew.post = (up["post"], (up["lon"], up["lat"]))
        if crew.post is not None:
            # On its way home it was sent to stand by elsewhere.
            there = self._go(crew, ("post", crew.post[0]), crew.post[1], now_us)
            return self._press(crew, "available", now_us) if there else []
        if crew.habit == "patrol" and self._on_watch(crew, now_us):
            # A patrol has no need of its station: it goes on from here.
            free_s = self._between(25, 80, "free", crew.unit, crew.since_us)
            self._halt(crew, now_us)
            return self._press(crew, "available", now_us) if now_us - crew.since_us >= free_s * 1e6 else []
        if not self._go(crew, ("base",), crew.base, now_us):
            return []
        if (
            self._roll("refit", crew.unit, crew.since_us) < 0.2
            and "fire_suppression" in crew.row["capabilities"]
        ):
            ready_s = self._between(240, 540, "ready", crew.unit, crew.since_us)
            return self._press(crew, "recovering", now_us, ready_s=ready_s)
        return self._press(crew, "available", now_us)

    def _stand_by(self, crew: Crew, now_us: int) -> list[Ask]:
        request = crew.row.get("request")
        asked = request is not None and request["state"] == "asked"
        if not self._on_watch(crew, now_us):
            home = self._go(crew, ("base",), crew.base, now_us)
            return self._press(crew, "off_duty", now_us) if home and not asked else []
        if now_us < crew.hands_off_us:
            return []
        up = crew.row.get("moving_up")
        if up is not None and up["state"] == "asked":
            desk = self._life["desks"].get(crew.row["agency"], ["demo"])
            said = {"answer": "accepted", "name": self._pick(desk, "up", crew.unit), "via": "api"}
            key = self._uuid("up", crew.unit, up["since"])
            asks = [Ask("POST", f"/units/{crew.unit}/move-up/answer", said, CREWS, key, ("up", crew.unit))]
            return asks if self._once(("up", crew.unit), 20) else []
        if up is not None:
            crew.post = (up["post"], (up["lon"], up["lat"]))
        if crew.post is not None:
            self._go(crew, ("post", crew.post[0]), crew.post[1], now_us)
        elif crew.habit == "wait":
            self._go(crew, ("base",), crew.base, now_us)
        elif crew.drive is not None and crew.drive.goal[0] in ("base", "incident", "hospital"):
            if crew.drive.goal != ("base",) or self._go(crew, ("base",), crew.base, now_us):
                self._halt(crew, now_us)
        elif crew.drive is not None:
            if crew.drive.done(now_us):
                self._halt(crew, now_us)
                low, high = (60, 300) if crew.habit == "patrol" else (600, 1800)
                crew.wander_us = now_us + round(self._between(low, high, "stop", crew.unit, now_us) * 1e6)
        elif now_us >= crew.wander_us and self._routes < ROUTES_MAX:
            self._wander(crew, now_us)
        return []

    def _wander(self, crew: Crew, now_us: int) -> None:
        """Drive to some place of the beat; where no road leads there, think of another one later."""
        assert crew.at is not None
        turn = 2 * math.pi * self._roll("beat", crew.unit, now_us)
        reach_m = BEAT_M * math.sqrt(self._roll("reach", crew.unit, now_us))
        lat = crew.base[1] + reach_m * math.sin(turn) / 111_195
        lon = crew.base[0] + reach_m * math.cos(turn) / (111_195 * math.cos(math.radians(crew.base[1])))
        crew.wander_us = now_us + 20_000_000
        self._routes += 1
        way = self._roads.route(*crew.at, lon, lat, crew.profile)
        if way.road and way.distance_m > 200:
            to = way.points[-1]
            crew.arrived = None
            crew.drive = timed(way, crew.at, PATROL_SHARE, ("beat",), to, now_us)

    def _fix(self, crew: Crew, now_us: int) -> dict[str, Any] | None:
        """The vehicle's radio: often while it moves, seldom while it stands, not at all off duty."""
        if not crew.known or crew.status == "off_duty" or now_us < crew.silent_us:
            return None
        assert crew.at is not None
        place, speed_mps, heading = crew.at, 0.0, None
        if crew.drive is not None:
            place, speed_mps, heading = crew.drive.where(now_us)
            if crew.drive.done(now_us):
                speed_mps = 0.0
        every_s = (
            MOVING_FIX_S if speed_mps > 0 else self._between(0.75, 1.25, "radio", crew.unit) * PARKED_FIX_S
        )
        if now_us - crew.fix_us < every_s * 1e6 - 300_000:
            return None
        crew.fix_us = now_us
        # A standing receiver holds its error; a moving one wanders.
        key = ("noise", crew.unit, now_us if speed_mps > 0 else crew.parked_us)
        away_m, turn = 4.0 * self._roll(*key) ** 2, 2 * math.pi * self._roll("turn", *key)
        lat = place[1] + away_m * math.sin(turn) / 111_195
        lon = place[0] + away_m * math.cos(turn) / (111_195 * math.cos(math.radians(place[1])))
        fix: dict[str, Any] = {
            "unit": crew.unit,
            "lon": round(lon, 7),
            "lat": round(lat, 7),
            "observed_at": rfc3339(now_us),
            "speed_mps": round(speed_mps, 1),
            "accuracy_m": round(3 + 4 * self._roll("accuracy", crew.unit, crew.parked_us), 1),
        }
        if heading is not None:
            fix["heading_deg"] = round(heading, 1) % 360
        return fix

    # ---- the agencies' desks

    def _desks(self, now_us: int) -> list[Ask]:
        """Most say yes within the minute, some say no and why, a few do not answer at all."""
        asks = []
        for crew in self._crews.values():
            request = crew.row.get("request") if crew.row else None
            if request is None or request["state"] != "asked" or request["incident"] not in self._incidents:
                continue
            key = (crew.unit, request["incident"], request["asked_at"])
            asked_us = us_of(request["asked_at"]) or now_us
            if now_us - asked_us < self._between(7, 38, "desk", *key) * 1e6:
                continue
            chance = self._roll("answer", *key)
            busy = crew.incident is not None or crew.status in ("off_duty", "out_of_service")
            if chance > 0.97 and not busy:
                continue
            if not self._once(("desk", *key), 20):
                continue
            body = {"answer": "accepted", "via": "api"}
            body["name"] = self._pick(self._life["desks"].get(crew.row["agency"], ["demo"]), "name", *key)
            if busy or chance > 0.90:
                body["answer"] = "refused"
                body["reason"] = (
                    self._life["declines"][0] if busy else self._pick(self._life["declines"], "no", *key)
                )
            path = f"/incidents/{request['incident']}/requests/{crew.unit}/answer"
            asks.append(Ask("POST", path, body, key=self._uuid("answer", *key), about=("answer",)))
        return asks

    # ---- callers

    def _callers(self, now_us: int) -> list[Ask]:
        if self._pace.calls_per_hour <= 0 or not self.calling or not self._calls:
            return []
        if self._repeat is not None and now_us >= self._repeat[0]:
            again, self._repeat = self._repeat[1], None
            return [again]
        local = datetime.fromtimestamp(now_us / 1e6, self._zone)
        idle = now_us - max(self._person_us, self._begun_us) > IDLE_S * 1e6
        mean_s = 3600 / self._pace.calls_per_hour * (sum(self._busy) / 24) / self._busy[local.hour]
        if self._call_us == 0:
            self._call_us = now_us + 6_000_000
        if now_us < self._call_us:
            return []
        wait_s = mean_s * (3 if idle else 1) * self._between(0.5, 1.5, "wait", now_us)
        self._call_us = now_us + round(wait_s * 1e6)
        mine = [i for i in self._incidents.values() if source_of(i) == SOURCE]
        if len(mine) >= (self._pace.open_max + 1) // 2 if idle else len(mine) >= self._pace.open_max:
            return []
        weights = [c["weight"] * self._hours[c["hours"]][local.hour] for c in self._calls]
        at = self._roll("type", now_us) * sum(weights)
        call = self._calls[-1]
        for one, weight in zip(self._calls, weights, strict=True):
            at -= weight
            if at < 0:
                call = one
                break
        spot = self._spot(lambda key: self._roll("spot", now_us, key))
        if spot is None:
            return []
        if self._roll("again", now_us) < 0.12:
            near = Spot(spot.lon + 0.0002, spot.lat + 0.0001, spot.label)
            text = self._pick(self._life["again"], "again", now_us) + self._words(call, now_us, 1)
            due_us = now_us + round(self._between(25, 70, "again-in", now_us) * 1e6)
            self._repeat = (due_us, self._report(call, near, text, now_us, 1))
        return [self._report(call, spot, self._words(call, now_us, 0), now_us, 0)]

    def _words(self, call: Mapping[str, Any], now_us: int, which: int) -> str:
        slots = {
            name: self._pick(all_of, name, now_us, which) for name, all_of in self._life["slots"].items()
        }
        return str(self._pick(call["texts"], "text", now_us, which)).format(**slots)

    def _report(self, call: Mapping[str, Any], spot: Spot, text: str, now_us: int, which: int) -> Ask:
        body: dict[str, Any] = {
            "id": self._uuid("call", now_us, which),
            "type": call["type"],
            "location": {"lon": spot.lon, "lat": spot.lat},
            "description": text,
            "caller": {
                "name": self._pick(self._life["callers"], "caller", now_us, which),
                # Nobody has a number that begins with three noughts.
                "phone": f"000 000 {int(self._roll('phone', now_us, which) * 1000):03d}",
            },
            "source": SOURCE,
        }
        if spot.label:
            body["address"] = spot.label
        return Ask("POST", "/incidents", body, token=CALLS, about=("call", call["type"]))

    # ---- the colleague

    def _colleague(self, now_us: int) -> list[Ask]:
        """Handles what nobody else does: a person's incident is theirs."""
        asks: list[Ask] = []
        for incident in self._incidents.values():
            asks += self._handle(incident, now_us)
        for proposal in self._proposals:
            asks += self._answer(proposal, now_us)
        return asks

    def _answer(self, proposal: Mapping[str, Any], now_us: int) -> list[Ask]:
        """A yes more often than a no, once a person had time to look at it."""
        id, touched = proposal["id"], self._touched_us
        about = [end for move in proposal["moves"] for end in (move["leaves"], move["to"]) if end]
        if any(now_us - touched.get(one, 0) < PERSON_S * 1e6 for one in about):
            return []
        made_us = us_of(proposal["made_at"]) or now_us
        patience_us = PROPOSAL_S * self._between(0.8, 1.2, "consider", id) * 1e6
        if now_us - made_us < patience_us or not self._once(("answer", id), 30):
            return []
        what = "accept" if self._roll("answer", id) < 0.75 else "decline"
        key = self._uuid(what, id)
        return [Ask("POST", f"/proposals/{id}/{what}", {}, COLLEAGUE, key, ("answer", id))]

    def _handle(self, incident: Mapping[str, Any], now_us: int) -> list[Ask]:
        id = incident["id"]
        if now_us - self._touched_us.get(id, 0) < PERSON_S * 1e6:
            return []
        waited_us = now_us - (us_of(incident["reported_at"]) or now_us)
        patience_us = COLLEAGUE_S * self._between(0.8, 1.2, "patience", id) * 1e6
        if waited_us < patience_us:
            return []
        if id not in self._planned and now_us - self._looked_us.get(id, 0) < patience_us:
            return []
        path = f"/incidents/{id}"

        def ask(what: str, method: str, end: str, body: Any = None) -> list[Ask]:
            key = self._uuid(what, id, incident["rev"], body) if method != "GET" else None
            return [Ask(method, path + end, body, COLLEAGUE, key, (what, id))]

        if incident["acknowledged_at"] is None:
            return ask("acknowledge", "POST", "/acknowledge") if self._once(("acknowledge", id), 10) else []
        on_it = incident["assignments"]
        waiting = [r for r in incident["requests"] if r["state"] == "asked"]
        twin = self._twin(incident) if not on_it and not waiting else None
        if twin is not None:
            body = {"outcome": f"{self._life['duplicate']} {twin['number']}"}
            return ask("close", "POST", "/close", body) if self._once(("close", id), 20) else []
        served = any(name in incident["times"] for name in ("unit_arrived", "scene_left"))
        if served and not on_it and not waiting:
            return self._close(incident, now_us, ask)
        if incident["staging"] and any(
            a["status"] == "on_scene"
            and self._leads(a["unit"])
            and now_us - (us_of(a["since"]) or now_us) > self._between(70, 160, "safe", id) * 1e6
            for a in on_it
        ):
            return ask("safe", "PATCH", "", {"staging": False}) if self._once(("safe", id), 20) else []
        lost = any(
            r["state"] in ("refused", "no_answer")
            and now_us - (us_of(r["answered_at"] or r["answer_by"]) or 0) < 300e6
            for r in incident["requests"]
        )
        if served and not lost:
            # What the crews who are done have filled is not missing again.
            return []
        if id in self._plans:
            return self._send(incident, ask)
        missing = bool(incident["plan"]["missing"]) and not waiting
        if not missing:
            return []
        if not on_it and waited_us > GIVE_UP_S * 1e6:
            return self._close(incident, now_us, ask)
        # Soon after the first look, then in ever longer breaths: a plan that lacks somebody still lacks them.
        tries = self._planned.get(id, 0)
        if not self._once(("plan", id), min(240.0, 6.0 if tries == 0 else 25.0 * 2 ** min(tries, 4))):
            return []
        self._planned[id] = tries + 1
        return ask("plan", "GET", "/recommendation")

    def _send(self, incident: Mapping[str, Any], ask: Callable[..., list[Ask]]) -> list[Ask]:
        plan = self._plans.pop(incident["id"])
        there = {a["unit"] for a in incident["assignments"]} | {
            r["unit"] for r in incident["requests"] if r["state"] == "asked"
        }
        # Who went off duty since the plan was made stays there.
        gone = {c.unit for c in self._crews.values() if c.status in ("off_duty", "out_of_service")}
        units = [u["unit"] for u in plan["units"] if u["chosen"] and u["unit"] not in there | gone]
        return ask("send", "POST", "/assignments", {"units": units}) if units else []

    def _close(self, incident: Mapping[str, Any], now_us: int, ask: Callable[..., list[Ask]]) -> list[Ask]:
        freed_us = us_of(incident["times"].get("unit_free")) or 0
        if now_us - freed_us < self._between(25, 70, "close", incident["id"]) * 1e6:
            return []
        call = self._call_of.get(incident["type"], {})
        served = "unit_arrived" in incident["times"]
        ends = call.get("ends") if served else None
        outcome = self._pick(ends, "end", incident["id"]) if ends else self._life["unserved"]
        if not self._once(("close", incident["id"]), 20):
            return []
        return ask("close", "POST", "/close", {"outcome": outcome})

    def _twin(self, incident: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The older open incident that this one tells of again."""
        if source_of(incident) != SOURCE:
            return None
        reported_us = us_of(incident["reported_at"]) or 0
        for other in self._incidents.values():
            gap_us = reported_us - (us_of(other["reported_at"]) or 0)
            if (
                other["id"] != incident["id"]
                and other["type"] == incident["type"]
                and 0 < gap_us < SAME_CALL_S * 1e6
                and None not in (other["lon"], incident["lon"])
                and metres_between(other["lon"], other["lat"], incident["lon"], incident["lat"]) < SAME_CALL_M
            ):
                return other
        return None


def source_of(incident: Mapping[str, Any]) -> str:
    """Where the call came from."""
    return str(incident["facts"].get("type", {}).get("source", ""))


def us_of(text: str | None) -> int | None:
    """Microseconds since the epoch of an API time."""
    if text is None:
        return None
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def rfc3339(us: int) -> str:
    moment = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us // 1000 % 1000:03d}Z"
