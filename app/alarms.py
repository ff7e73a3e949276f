"""What a node knows to be wrong with itself, told as alarms: by the keeper, and by the web part
where it is the keeper that is missing. What cannot be recorded is no alarm: the banner of consoles says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from redis import Redis, RedisError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from app import backup
from app.core import Core
from app.database import UNREACHABLE
from app.log import StorageError
from app.tables import event
from dispatch import commands as c
from dispatch.alarm import WORDS_MAX
from dispatch.commands import SYSTEM, Refused
from dispatch.unit import Unit

STEP_S = 5.0
DISK_FACTOR = 2
"""The disk is low while less than so many times the reserve is free: in time to do something."""
GATEWAY_SILENT_S = 120.0
"""Where crews were heard and nobody has been for so long, it is their gateway or the network."""
CREWS_HEARD_MIN = 2
HEARD_LATELY_S = 1_800.0
log = logging.getLogger("straja.alarms")


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is wrong now, and for how many seconds it must be before it is an alarm."""

    kind: str
    holds_s: float
    detail: str = ""


CLEARED_S = 15.0
"""For how long something must be right again before the alarm is cleared."""


class Holding:
    """Which of the things that come and go have held for long enough, by a clock that only grows."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def of(self, name: str, so: bool, now_s: float) -> float:
        """For how many seconds `name` has been `so`; 0 as soon as it is not."""
        key = f"{name} {so}"
        self._since.pop(f"{name} {not so}", None)
        return now_s - self._since.setdefault(key, now_s)

    def forget(self, names: set[str]) -> None:
        """Keep no more than these."""
        for key in [k for k in self._since if k.rpartition(" ")[0] not in names]:
            del self._since[key]


class Watch:
    """Raises and clears what `look` finds, each under an id of this station's own. `mine` are the kinds that
    it speaks for: only those does it clear."""

    def __init__(self, core: Core, look: Callable[[], Mapping[str, Wrong]], mine: frozenset[str]) -> None:
        self._core = core
        self._look = look
        self._mine = mine
        self._holding = Holding()

    def step(self) -> None:
        core = self._core
        now_s = core.world.clock.monotonic_s()
        station = core.config.station
        wrong = {f"{station}:{name}": one for name, one in self._look().items()}
        raised = {
            x.id: x
            for x in core.picture.now.alarms()
            if x.kind in self._mine and x.station == station and x.source == "keeper" and x.on
        }
        names = wrong.keys() | raised.keys()
        self._holding.forget(set(names))
        for name in sorted(names):
            one = wrong.get(name)
            for_s = self._holding.of(name, one is not None, now_s)
            if one is not None and name not in raised and for_s >= one.holds_s:
                self._say(name, one)
            elif one is None and for_s >= CLEARED_S:
                self._say(name, None)

    def _say(self, name: str, wrong: Wrong | None) -> None:
        command = c.ReportAlarm(
            id=f"alarm:{self._core.world.random.uuid()}",
            source="keeper",
            alarm=name,
            on=wrong is not None,
            kind="" if wrong is None else wrong.kind,
            detail="" if wrong is None else wrong.detail[:WORDS_MAX],
        )
        try:
            self._core.door.submit(command, SYSTEM)
        except Refused as error:
            log.warning("the alarm %s cannot be told: %s", name, error)


KEEPERS = frozenset(
    {
        "log_behind",
        "disk_low",
        "positions_failing",
        "backup_late",
        "backup_failed",
        "jobs_absent",
        "contradiction",
        "positions_silent",
        "crew_silent",
    }
)


class Looking:
    """What the keeper finds wrong with its node."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._redis = Redis.from_url(core.config.redis_url, socket_connect_timeout=0.3, socket_timeout=0.3)

    def __call__(self) -> dict[str, Wrong]:
        return {**self.node(), **self.contradictions(), **self.silence()}

    def node(self) -> dict[str, Wrong]:
        core, found = self._core, {}
        free = core.world.disk.free_bytes(core.config.var)
        if free < DISK_FACTOR * core.config.disk_reserve_mb * 1_000_000:
            found["disk"] = Wrong("disk_low", 10, f"{free // 1_000_000} MB")
        if (trouble := core.tracks.trouble) is not None:
            found["positions"] = Wrong("positions_failing", 10, trouble)
        with core.engine.connect() as connection:
            head = connection.scalar(select(func.max(event.c.position))) or 0
        if core.picture.position < head:
            found["log"] = Wrong("log_behind", 15, f"{head - core.picture.position}")
        backups = backup.state(core.config.var)
        words = backups.words(core.config, core.world.clock.now_us() / 1e6)
        if words == "late":
            found["backup"] = Wrong("backup_late", 0)
        elif words.startswith("failed"):
            found["backup"] = Wrong("backup_failed", 0, words.removeprefix("failed: "))
        try:
            self._redis.ping()
        except RedisError:
            # Work that may wait does: who runs without Redis for a while need not hear of it.
            found["jobs"] = Wrong("jobs_absent", 600)
        return found

    def contradictions(self) -> dict[str, Wrong]:
        """What two facts say differently, and nobody has settled for two minutes."""
        state = self._core.picture.now
        found = {}
        for kind, entities in (
            ("unit", state.units()),
            ("incident", state.incidents()),
            ("closure", state.closures()),
        ):
            for x in entities:
                if any(k.resolution is None for k in x.conflicts):
                    name = getattr(x, "number", None) or x.id
                    found[f"contradiction:{kind}:{x.id}"[:70]] = Wrong("contradiction", 120, str(name))
        return found

    def silence(self) -> dict[str, Wrong]:
        """Crews of this station of which nothing was heard for longer than the pack allows; where that is
        everybody at once, the one cause of it."""
        core = self._core
        now_us = core.world.clock.now_us()
        silent: dict[str, Wrong] = {}
        ages_s = []
        for unit in core.picture.now.units():
            if unit.custodian != core.config.station or (fix := core.tracks.last(unit.id)) is None:
                continue
            age_s = (now_us - fix.observed_us) / 1e6
            if unit.status != "off_duty" and age_s < HEARD_LATELY_S:
                ages_s.append(age_s)
            limit_s = self._limit_s(unit)
            heard_s = min(age_s, (now_us - unit.status_us) / 1e6)
            if limit_s is not None and heard_s > limit_s:
                silent[f"crew:{unit.id}"] = Wrong("crew_silent", 0, unit.id)
        if len(ages_s) >= CREWS_HEARD_MIN and min(ages_s) > GATEWAY_SILENT_S:
            # One cause, one alarm: that no crew is heard follows from it.
            return {"positions_from_crews": Wrong("positions_silent", 0, str(len(ages_s)))}
        return silent

    def _limit_s(self, unit: Unit) -> float | None:
        status = self._core.pack.statuses.get(unit.status)
        return None if status is None else status.silent_s


def keep_alarms(core: Core, mine: Callable[[], bool], pause: Callable[[float], bool]) -> None:
    """Look until `pause(seconds)` returns true; `mine` tells whether this is the keeper."""
    watch = Watch(core, Looking(core), KEEPERS)
    while True:
        if mine():
            _guarded(watch)
        if pause(STEP_S):
            return


def watch_the_keeper(core: Core, is_kept: Callable[[], bool], pause: Callable[[float], bool]) -> None:
    """For a web process: whether anybody keeps time. Another keeper takes over within 5 s."""

    def look() -> dict[str, Wrong]:
        return {} if is_kept() else {"keeper": Wrong("keeper_missing", 20)}

    watch = Watch(core, look, frozenset({"keeper_missing"}))
    while not pause(STEP_S):
        _guarded(watch)


def _guarded(watch: Watch) -> None:
    try:
        watch.step()
    except (StorageError, TimeoutError, SQLAlchemyError, OSError, *UNREACHABLE) as error:
        log.warning("what is wrong cannot be told: %s", " ".join(str(error).split()))
