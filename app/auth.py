"""Who is asking, and what they may do: accounts, sessions, tokens, and one visible table of permissions.

Permission is role x district (x own unit for a crew), and nothing is allowed that `PERMISSIONS` does not
name. Passwords are kept as argon2id hashes. Session and API tokens are kept as plain SHA-256: they hold
256 bits from the operating system, so there is nothing to guess and a slow hash would protect nothing,
while a fast one keeps thousands of positions a second affordable.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import math
import re
import unicodedata
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, Row, and_, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.database import UNREACHABLE
from app.native import offload, original
from app.ports import Clock, Random
from app.tables import account, session, token
from dispatch.commands import Actor

T = TypeVar("T")

# ---- roles and permissions


class Role(StrEnum):
    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    DISPATCHER = "dispatcher"
    FIELD = "field"
    GATEWAY = "gateway"
    OBSERVER = "observer"
    DRILL_CONTROLLER = "drill_controller"
    SYSTEM = "system"
    """The software itself (deadlines, escalations). Nobody signs in as it and no token carries it."""


class Scope(StrEnum):
    """How far a grant reaches."""

    CITY = "city"
    """Not bound to a district: the catalogue, or something of the whole city."""
    DISTRICT = "district"
    """Only what lies in the actor's districts; for a token bound to a unit, also only that unit."""
    OWN_UNIT = "own unit"
    """Only the actor's own unit and the incident it is on, in whichever district that is."""


_CITY, _DISTRICT, _OWN = Scope.CITY, Scope.DISTRICT, Scope.OWN_UNIT


def _grants(scope: Scope, roles: str, **others: Scope) -> Mapping[Role, Scope]:
    granted = dict.fromkeys(map(Role, roles.split()), scope)
    granted.update((Role(role), own_scope) for role, own_scope in others.items())
    return MappingProxyType(granted)


_ROOM = "admin supervisor dispatcher"
_WATCHERS = "observer drill_controller"

PERMISSIONS: Mapping[str, Mapping[Role, Scope]] = MappingProxyType(
    {
        # incidents
        "incident.read": _grants(_DISTRICT, f"{_ROOM} {_WATCHERS}", field=_OWN, system=_CITY),
        "incident.report": _grants(_DISTRICT, f"{_ROOM} gateway", system=_CITY),
        "incident.edit": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.acknowledge": _grants(_DISTRICT, _ROOM),
        "incident.note": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.close": _grants(_DISTRICT, _ROOM),
        "incident.reopen": _grants(_DISTRICT, _ROOM),
        "incident.link_case": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.alarm_level": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.recommendation": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.assign": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.recall": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.answer_request": _grants(_DISTRICT, f"{_ROOM} gateway", system=_CITY),
        # what the keeper sees that would be better; a person says yes or no to it
        "proposal.read": _grants(_DISTRICT, f"{_ROOM} {_WATCHERS}", system=_CITY),
        "proposal.make": _grants(_CITY, "system"),
        "proposal.decide": _grants(_DISTRICT, _ROOM, system=_CITY),
        # the line itself; what it means needs its own permission
        "command.line": _grants(_CITY, _ROOM),
        # who rings, and what is done about it
        "incident.link": _grants(_DISTRICT, _ROOM, system=_CITY),
        # who sees it through, what is still to be done, whether the crews are well, who was told
        "incident.own": _grants(_DISTRICT, _ROOM),
        "incident.check": _grants(_DISTRICT, _ROOM, system=_CITY),
        "incident.crew_check": _grants(_DISTRICT, _ROOM, field=_OWN, system=_CITY),
        "incident.notify": _grants(_DISTRICT, _ROOM, system=_CITY),
        "duty.read": _grants(_CITY, _ROOM),
        "duty.edit": _grants(_CITY, "admin supervisor"),
        "colleague.read": _grants(_CITY, _ROOM),
        "call.read": _grants(_DISTRICT, _ROOM),
        "call.report": _grants(_DISTRICT, f"{_ROOM} gateway", system=_CITY),
        "call.handle": _grants(_DISTRICT, _ROOM, system=_CITY),
        # what is known about a place before anybody calls
        "premise.read": _grants(_DISTRICT, _ROOM),
        "premise.edit": _grants(_DISTRICT, _ROOM),
        # what is wrong with the system and its devices
        "alarm.read": _grants(_DISTRICT, f"{_ROOM} {_WATCHERS}", system=_CITY),
        "alarm.report": _grants(_DISTRICT, f"{_ROOM} gateway", system=_CITY),
        "alarm.acknowledge": _grants(_DISTRICT, _ROOM),
        "alarm.shelve": _grants(_DISTRICT, _ROOM),
        "alarm.service": _grants(_DISTRICT, "admin supervisor"),
        # only what one has asked for oneself, moments ago
        "undo": _grants(_DISTRICT, f"{_ROOM} gateway", field=_OWN),
        # units; a control room sees its neighbours' units, and commands its own
        "unit.read": _grants(_CITY, f"{_ROOM} {_WATCHERS} system", field=_OWN, gateway=_DISTRICT),
        "unit.register": _grants(_DISTRICT, "admin supervisor"),
        "unit.status": _grants(_DISTRICT, f"{_ROOM} gateway", field=_OWN, system=_CITY),
        "unit.flag": _grants(_DISTRICT, f"{_ROOM} gateway", field=_OWN, system=_CITY),
        "unit.move_up": _grants(_DISTRICT, _ROOM, system=_CITY),
        "unit.answer_move_up": _grants(_DISTRICT, f"{_ROOM} gateway", system=_CITY),
        # where a crew has been is told to fewer than where it is
        "unit.trail": _grants(_DISTRICT, _ROOM, field=_OWN, system=_CITY),
        "unit.history": _grants(_DISTRICT, f"{_ROOM} {_WATCHERS}", field=_OWN, system=_CITY),
        "position.report": _grants(_DISTRICT, f"{_ROOM} gateway", field=_OWN, system=_CITY),
        "custody.grant": _grants(_DISTRICT, "admin supervisor"),
        # what is covered, of the whole city: a control room looks over its edge
        "coverage.read": _grants(_CITY, f"{_ROOM} {_WATCHERS} system"),
        # what is in the way: everybody drives by it; who may close a road is docs/closures.md
        "closure.read": _grants(_CITY, f"{_ROOM} {_WATCHERS} field gateway system"),
        "closure.report": _grants(_DISTRICT, f"{_ROOM} gateway", field=_OWN, system=_CITY),
        "closure.edit": _grants(_DISTRICT, _ROOM),
        "closure.confirm": _grants(_DISTRICT, _ROOM, field=_OWN),
        "closure.order": _grants(_DISTRICT, "admin supervisor", field=_OWN),
        "closure.withdraw": _grants(_DISTRICT, _ROOM, field=_OWN),
        "closure.expire": _grants(_CITY, "system"),
        "unit.eta": _grants(_CITY, "system"),
        # what everybody needs to understand the screen
        "catalogue.read": _grants(_CITY, f"{_ROOM} {_WATCHERS} field gateway system"),
        "address.search": _grants(_CITY, f"{_ROOM} {_WATCHERS} field system"),
        "live.listen": _grants(_CITY, f"{_ROOM} {_WATCHERS} field"),
        # the log and the people in it
        "event.read": _grants(_DISTRICT, f"{_ROOM} {_WATCHERS}", system=_CITY),
        "metrics.read": _grants(_CITY, "admin supervisor observer"),
        "forecast.read": _grants(_CITY, "admin supervisor observer system"),
        # how the shift goes, and on whom it lies
        "performance.read": _grants(_DISTRICT, f"{_ROOM} {_WATCHERS}"),
        "load.read": _grants(_CITY, "admin supervisor"),
        # one shift to the next, and what it should know of beforehand
        "handover.read": _grants(_DISTRICT, _ROOM),
        "handover.write": _grants(_DISTRICT, _ROOM),
        "handover.take": _grants(_DISTRICT, _ROOM),
        "planned.read": _grants(_DISTRICT, f"{_ROOM} {_WATCHERS}"),
        "planned.edit": _grants(_DISTRICT, _ROOM),
        "incident.catch_up": _grants(_DISTRICT, _ROOM),
        "register.read": _grants(_CITY, "admin supervisor"),
        # the paper bridge holds what the room itself reads
        "sheet.read": _grants(_DISTRICT, _ROOM),
        "log.verify": _grants(_CITY, f"admin supervisor {_WATCHERS} system"),
        "personal.read": _grants(_DISTRICT, _ROOM, field=_OWN),
        "personal.erase": _grants(_DISTRICT, "admin", system=_CITY),
        "conflict.resolve": _grants(_DISTRICT, _ROOM),
        # the house
        "city.manage": _grants(_CITY, "admin"),
        "account.manage": _grants(_CITY, "admin"),
    }
)
"""action -> role -> how far. What is not here is refused."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What an actor lacks. `code` is "unknown-action", "wrong-role", "wrong-district" or "wrong-unit"."""

    code: str
    action: str
    role: str
    needs: tuple[str, ...] = ()
    asked: str | None = None
    has: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.code == "unknown-action":
            return f"There is no action called {self.action}."
        if self.code == "wrong-role":
            return f"{self.action} needs the role {' or '.join(self.needs)}; yours is {self.role}."
        has = ", ".join(self.has) or "none"
        if self.code == "wrong-district":
            asked = f"district {self.asked}" if self.asked else "all districts"
            return f"{self.action} needs {asked}; yours: {has}."
        asked = f"unit {self.asked}" if self.asked else "a unit of your own"
        return f"{self.action} on {asked} is for that unit alone; your unit: {has}."


def missing(
    actor: Actor,
    action: str,
    *,
    district: str | None = None,
    unit: str | Collection[str] | None = None,
) -> Missing | None:
    """What `actor` lacks for `action` on a subject in `district` that concerns `unit`; None: nothing.

    `unit` is the unit acted on or, for an incident, all units on it. A subject without a district is
    open only to those who hold every district ("*").
    """
    granted = PERMISSIONS.get(action)
    if granted is None:
        return Missing("unknown-action", action, actor.role)
    scope = granted.get(actor.role)  # type: ignore[call-overload]
    if scope is None:
        needs = tuple(role.value for role in granted if role is not Role.SYSTEM)
        return Missing("wrong-role", action, actor.role, needs=needs)
    if scope is Scope.CITY:
        return None
    if scope is Scope.OWN_UNIT or actor.unit is not None:
        units = (unit,) if isinstance(unit, str) else tuple(unit or ())
        if actor.unit is None or actor.unit not in units:
            has = (actor.unit,) if actor.unit else ()
            return Missing("wrong-unit", action, actor.role, asked=", ".join(units) or None, has=has)
    if scope is Scope.DISTRICT and "*" not in actor.districts and district not in actor.districts:
        return Missing(
            "wrong-district", action, actor.role, asked=district, has=tuple(sorted(actor.districts))
        )
    return None


def may(
    actor: Actor,
    action: str,
    *,
    district: str | None = None,
    unit: str | Collection[str] | None = None,
) -> bool:
    """Whether `actor` may do `action` on this very subject; see `missing`."""
    return missing(actor, action, district=district, unit=unit) is None


def could(actor: Actor, action: str) -> bool:
    """Whether the role allows `action` on anything at all: for a door that has not yet looked up which
    subject is meant. It never replaces `may` on the subject."""
    return actor.role in PERMISSIONS.get(action, {})


def everywhere(actor: Actor, action: str) -> bool:
    """Whether `actor` may do `action` on every subject there is: none need be asked about."""
    scope = PERMISSIONS.get(action, {}).get(actor.role)  # type: ignore[call-overload]
    return scope is Scope.CITY or (scope is Scope.DISTRICT and actor.unit is None and "*" in actor.districts)


def explain(
    actor: Actor,
    action: str,
    *,
    district: str | None = None,
    unit: str | Collection[str] | None = None,
) -> str:
    """One English sentence naming what is missing; empty when nothing is."""
    return str(missing(actor, action, district=district, unit=unit) or "")


# ---- checks at the edge


def csrf_matches(expected: str, given: str | None) -> bool:
    """Whether the header carries the session's own CSRF token, compared in constant time."""
    return bool(expected) and hmac.compare_digest(expected.encode(), (given or "").encode())


def origin_allowed(origin: str | None, allowed: Iterable[str]) -> bool:
    """Whether a browser's `Origin` header is one of `allowed` ("https://host[:port]").

    A missing or opaque ("null") origin is refused: browsers always send one with a socket, so whoever
    comes with a cookie and without an origin is not our console. Callers with a token need not ask.
    """
    asked = _origin(origin or "")
    return asked is not None and any(asked == _origin(known) for known in allowed)


def _origin(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


# ---- accounts, sessions, tokens


class BadLogin(Exception):
    """The name or the password is wrong, or the account is disabled; which one is not said."""


class Locked(Exception):
    """Too many attempts; the next is looked at after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(f"Too many attempts: try again in {self.retry_after_s} s.")


class BadAccount(ValueError):
    """What was asked of an account or token cannot be: `field` names the part, `detail` says why."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Session:
    token: str
    """For the cookie; kept nowhere on this side."""
    csrf: str
    actor: Actor
    expires_us: int


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    display_name: str
    role: str
    districts: frozenset[str]
    unit: str | None
    demo: bool
    disabled: bool
    locked_until_us: int
    created_us: int


@dataclass(frozen=True, slots=True)
class Token:
    name: str
    role: str
    districts: frozenset[str]
    unit: str | None
    created_us: int
    revoked_us: int | None


@dataclass(slots=True)
class _Known:
    """A session or token as looked up a moment ago."""

    actor: Actor
    csrf: str
    until_s: float
    seen_us: int
    written_us: int
    expires_us: int
    believed_until_s: float = 0.0
    revoked: int = 0
    """Of a token: how many tokens had been revoked when it was read."""


BELIEVED_S = 600.0
"""How much longer a login that was looked up is believed while the database does not answer."""
CACHE_S = 2.0
"""How long a look-up may be answered from memory: a revocation made by another process counts within it."""
_CACHE_ENTRIES_MAX = 10_000
_ADDRESSES_MAX = 10_000
_HASHES_AT_ONCE_MAX = 4
"""Each password hash takes its own 46 MiB and a core for 50 ms: more at once would starve a laptop."""
_SEEN_WRITE_US = 60_000_000
PASSWORD_MIN = 10
PASSWORD_MAX = 1024
_NAME = re.compile(r"[^\W_][\w.@-]{0,63}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _pack_districts(districts: Iterable[str]) -> str:
    return " ".join(sorted(set(districts)))


class Accounts:
    """The people and machines that may come in.

    Safe to call from any thread or greenlet. Password hashing (50 ms) leaves the event loop; everything
    else is one short statement. `idle_minutes` without a request ends a session; a connected console
    makes requests by itself, so this ends only sessions nobody has on a screen. Failed attempts are
    counted before the password is looked at, so that attempts sent side by side count too. With `demo`
    False, accounts marked demo are as good as disabled.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        random: Random,
        *,
        session_hours: float = 12,
        idle_minutes: float = 30,
        max_failures: int = 5,
        lock_s: float = 900,
        ip_limit_per_minute: int = 30,
        demo: bool = True,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._random = random
        self._session_us = round(session_hours * 3_600_000_000)
        self._idle_us = round(idle_minutes * 60_000_000)
        self._max_failures = max_failures
        self._lock_us = round(lock_s * 1_000_000)
        self._ip_limit = ip_limit_per_minute
        self._open = account.c.disabled == literal(False)
        if not demo:
            self._open = and_(self._open, account.c.demo == literal(False))
        # The first of OWASP's equivalent argon2id settings (Password Storage Cheat Sheet).
        self._hasher = hasher or PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)
        self._lock = original("_thread", "allocate_lock")()
        self._cache: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._generation = 0
        self._revoked = 0
        self._revoked_until_s = -math.inf
        self._in_vain_until_s = -math.inf
        self._attempts: OrderedDict[str, deque[float]] = OrderedDict()
        self._strangers: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._hashing = 0
        self._decoy = self._hasher.hash(base64.b64encode(random.token(32)).decode())

    # ---- accounts

    def create_account(
        self,
        name: str,
        password: str,
        role: str,
        districts: Iterable[str],
        unit: str | None = None,
        display_name: str = "",
        demo: bool = False,
    ) -> Account:
        """A new account. Raises BadAccount naming the field that cannot be."""
        name = _login_name(name)
        kept_districts = _check_reach(role, districts, unit)
        created = Account(
            name=name,
            display_name=(display_name or name).strip()[:128],
            role=role,
            districts=kept_districts,
            unit=unit,
            demo=demo,
            disabled=False,
            locked_until_us=0,
            created_us=self._clock.now_us(),
        )
        hashed = self._hash_password(_check_password(name, password, demo))
        try:
            with self._engine.begin() as db:
                db.execute(
                    insert(account).values(
                        name=name,
                        display_name=created.display_name,
                        role=role,
                        districts=_pack_districts(kept_districts),
                        unit=unit,
                        password_hash=hashed,
                        demo=demo,
                        disabled=False,
                        failures=0,
                        locked_until=0,
                        created_at=created.created_us,
                    )
                )
        except IntegrityError as error:
            raise BadAccount("name", f"there is already an account called {name}") from error
        return created

    def accounts(self) -> list[Account]:
        """Every account, by name."""
        with self._engine.connect() as db:
            rows = db.execute(select(account).order_by(account.c.name)).all()
        return [
            Account(
                name=row.name,
                display_name=row.display_name,
                role=row.role,
                districts=frozenset(row.districts.split()),
                unit=row.unit,
                demo=row.demo,
                disabled=row.disabled,
                locked_until_us=row.locked_until,
                created_us=row.created_at,
            )
            for row in rows
        ]

    def set_password(self, name: str, password: str) -> None:
        """A new password; every session of the account ends. Raises BadAccount."""
        name = _login_name(name)
        hashed = self._hash_password(_check_password(name, password, demo=False))
        self._change(name, password_hash=hashed, demo=False, failures=0, locked_until=0)
        self.revoke_sessions(name)

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Bar the account at once, sessions and all, or let it in again. Raises BadAccount."""
        self._change(_login_name(name), disabled=disabled)
        if disabled:
            self.revoke_sessions(name)

    def unlock(self, name: str) -> None:
        """Let the account try again before its lock has run out. Raises BadAccount."""
        self._change(_login_name(name), failures=0, locked_until=0)

    def _change(self, name: str, **values: object) -> None:
        with self._engine.begin() as db:
            changed = db.execute(update(account).where(account.c.name == name).values(**values)).rowcount
        self._forget_all()
        if not changed:
            raise BadAccount("name", f"there is no account called {name}")

    # ---- signing in and out

    def login(self, name: str, password: str, ip: str) -> Session:
        """A new session. Raises BadLogin, or Locked with the seconds to wait.

        A name nobody has costs the same hash and locks after the same number of attempts as a real one,
        so that answers do not tell which names exist.
        """
        try:
            name = _login_name(name)
        except BadAccount:
            name = ""
        give_back = self._take_address_attempt(ip)
        with self._engine.connect() as db:
            row = db.execute(select(account).where(account.c.name == name, self._open)).first()
        locks_us = self._take_account_attempt(name) if row else self._take_stranger_attempt(name)
        right = self._verify(row.password_hash if row else self._decoy, password)
        if not (right and row):
            if locks_us:
                raise Locked(locks_us / 1e6)
            raise BadLogin("Wrong name or password.")
        opened = self._open_session(row, password)
        give_back()
        return opened

    def _open_session(self, row: Row[Any], password: str) -> Session:
        now_us = self._clock.now_us()
        secret, csrf = self._secret(), self._secret()
        values: dict[str, object] = {"failures": 0, "locked_until": 0}
        if self._hasher.check_needs_rehash(row.password_hash):
            values["password_hash"] = self._hash_password(_normal(password))
        unchanged = and_(
            account.c.name == row.name,
            self._open,
            account.c.password_hash == row.password_hash,
        )
        with self._engine.begin() as db:
            if not db.execute(update(account).where(unchanged).values(**values)).rowcount:
                # Disabled, or given another password, while this one was being verified.
                raise BadLogin("Wrong name or password.")
            db.execute(delete(session).where(session.c.account == row.name, session.c.expires_at <= now_us))
            db.execute(
                insert(session).values(
                    id_hash=_hash(secret),
                    account=row.name,
                    csrf=csrf,
                    created_at=now_us,
                    seen_at=now_us,
                    expires_at=now_us + self._session_us,
                )
            )
        return Session(secret, csrf, _actor(row), now_us + self._session_us)

    def logout(self, session_token: str) -> None:
        """End this session; ending one that is not there is no error."""
        with self._engine.begin() as db:
            db.execute(delete(session).where(session.c.id_hash == _hash(session_token)))
        self._forget_all()

    def revoke_sessions(self, name: str) -> int:
        """End every session of the account at once; returns how many there were."""
        with self._engine.begin() as db:
            ended = db.execute(delete(session).where(session.c.account == _login_name(name))).rowcount
        self._forget_all()
        return ended

    def by_session(self, session_token: str) -> tuple[Actor, str] | None:
        """The actor and the CSRF token of a live session, or None. Asking counts as use of the session."""
        key = ("session", _hash(session_token))
        now_us = self._clock.now_us()
        known = self._recall(key)
        if known is None:
            known = self._load_session(key)
        if known is None or now_us >= known.expires_us or now_us - known.seen_us >= self._idle_us:
            return None
        known.seen_us = now_us
        if now_us - known.written_us >= min(_SEEN_WRITE_US, self._idle_us // 4):
            known.written_us = now_us
            self._write_seen(key[1], now_us)
        return known.actor, known.csrf

    def _load_session(self, key: tuple[str, str]) -> _Known | None:
        generation = self._generation
        try:
            with self._engine.connect() as db:
                row = db.execute(
                    select(session, account)
                    .join(account, account.c.name == session.c.account)
                    .where(session.c.id_hash == key[1], self._open)
                ).first()
        except UNREACHABLE:
            late = self._recall_late(key)
            if late is None:
                raise
            return late
        if row is None:
            self._drop(key)
            return None
        found = _Known(_actor(row), row.csrf, 0, row.seen_at, row.seen_at, row.expires_at)
        return self._remember(key, found, generation)

    def _write_seen(self, id_hash: str, now_us: int) -> None:
        try:
            with self._engine.begin() as db:
                db.execute(update(session).where(session.c.id_hash == id_hash).values(seen_at=now_us))
        except DBAPIError:
            # A full or busy disk must not put a working dispatcher out: memory keeps the time of use.
            pass

    # ---- API tokens

    def create_token(self, role: str, name: str, districts: Iterable[str], unit: str | None = None) -> str:
        """A new token, shown this once. Raises BadAccount naming the field that cannot be."""
        name = _login_name(name)
        # A token may be made before its vehicle is known; until it names a unit, a crew's token opens
        # next to nothing (see `missing`).
        kept_districts = _check_reach(role, districts, unit, unit_needed=False)
        secret = "straja_" + self._secret()
        try:
            with self._engine.begin() as db:
                db.execute(
                    insert(token).values(
                        token_hash=_hash(secret),
                        name=name,
                        role=role,
                        districts=_pack_districts(kept_districts),
                        unit=unit,
                        created_at=self._clock.now_us(),
                        revoked_at=None,
                    )
                )
        except IntegrityError as error:
            raise BadAccount("name", f"there is already a token called {name}") from error
        return secret

    def by_token(self, secret: str) -> Actor | None:
        """The actor a token stands for, or None when it is unknown or revoked."""
        if not secret.startswith("straja_"):
            return None
        key = ("token", _hash(secret))
        # Trackers report more seldom than a look-up may be trusted. But a token never changes, but to be
        # revoked, and for good: while none was, what was read of all of them still holds.
        now_s = self._clock.monotonic_s()
        with self._lock:
            known, revoked = self._cache.get(key), self._revoked
            fresh, in_vain = now_s < self._revoked_until_s, now_s < self._in_vain_until_s
        generation = self._generation
        try:
            if known is not None:
                if not fresh and in_vain and self._recall_late(key) is not None:
                    return known.actor
                if not fresh:
                    with self._engine.connect() as db:
                        revoked = db.execute(_REVOKED).scalar_one()
                    self._note_revoked(revoked, now_s, generation)
                if known.revoked == revoked:
                    known.until_s = self._revoked_until_s
                    known.believed_until_s = known.until_s + BELIEVED_S
                    return known.actor
            with self._engine.connect() as db:
                row = db.execute(
                    select(token, _REVOKED.scalar_subquery().label("revoked")).where(
                        token.c.token_hash == key[1], token.c.revoked_at.is_(None)
                    )
                ).first()
        except UNREACHABLE:
            late = self._recall_late(key)
            if late is None:
                raise
            # Not every tracker has to find out anew that the database is away.
            self._in_vain_until_s = now_s + CACHE_S
            return late.actor
        if row is None:
            self._drop(key)
            return None
        self._note_revoked(row.revoked, now_s, generation)
        actor = Actor(row.name, row.role, frozenset(row.districts.split()), row.unit, row.name)
        return self._remember(key, _Known(actor, "", 0, 0, 0, 0, row.revoked), generation).actor

    def by_token_from(self, secret: str, ip: str) -> Actor | None:
        """`by_token`, for doors to which anybody may come: an address that was wrong 30 times within a minute
        waits (Locked). Whoever is known already does not wait for his neighbours."""
        with self._lock:
            known = ("token", _hash(secret)) in self._cache
        if known:
            return self.by_token(secret)
        give_back = self._take_address_attempt(ip)
        actor = self.by_token(secret)
        if actor is not None:
            give_back()
        return actor

    def _note_revoked(self, revoked: int, now_s: float, generation: int) -> None:
        with self._lock:
            if generation == self._generation:
                self._revoked, self._revoked_until_s = revoked, now_s + CACHE_S

    def revoke_token(self, name: str) -> bool:
        """End a token at once; False when there is no live one of this name."""
        with self._engine.begin() as db:
            ended = db.execute(
                update(token)
                .where(token.c.name == _login_name(name), token.c.revoked_at.is_(None))
                .values(revoked_at=self._clock.now_us())
            ).rowcount
        self._forget_all()
        return bool(ended)

    def tokens(self) -> list[Token]:
        """Every token ever made, by name; never the secrets."""
        with self._engine.connect() as db:
            rows = db.execute(select(token).order_by(token.c.name)).all()
        return [
            Token(
                name=row.name,
                role=row.role,
                districts=frozenset(row.districts.split()),
                unit=row.unit,
                created_us=row.created_at,
                revoked_us=row.revoked_at,
            )
            for row in rows
        ]

    # ---- memory of recent look-ups

    def _recall(self, key: tuple[str, str]) -> _Known | None:
        with self._lock:
            known = self._cache.get(key)
            if known is None or known.until_s <= self._clock.monotonic_s():
                return None
            self._cache.move_to_end(key)
            return known

    def _recall_late(self, key: tuple[str, str]) -> _Known | None:
        """A login that was known lately, when nobody can be asked about it; None when it was not."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            known = self._cache.get(key)
            if known is None or known.until_s == -math.inf or known.believed_until_s <= now_s:
                return None
            # Not every request has to find out anew that the database is away.
            known.until_s = min(now_s + CACHE_S, known.believed_until_s)
            return known

    def _remember(self, key: tuple[str, str], found: _Known, generation: int) -> _Known:
        found.until_s = self._clock.monotonic_s() + CACHE_S
        found.believed_until_s = found.until_s + BELIEVED_S
        with self._lock:
            before = self._cache.get(key)
            if before is not None:
                found.seen_us = max(found.seen_us, before.seen_us)
                found.written_us = max(found.written_us, before.written_us)
            # What was read before a revocation must not be remembered after it.
            if generation == self._generation:
                self._cache[key] = found
                self._cache.move_to_end(key)
                while len(self._cache) > _CACHE_ENTRIES_MAX:
                    self._cache.popitem(last=False)
        return found

    def _drop(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._cache.pop(key, None)

    def _forget_all(self) -> None:
        with self._lock:
            self._generation += 1
            self._revoked_until_s = -math.inf
            for known in self._cache.values():
                known.until_s = -math.inf

    # ---- attempts

    def _take_address_attempt(self, ip: str) -> Callable[[], None]:
        """Count an attempt against the address, or raise Locked; returns what takes it back, because a
        whole control room signing in at the change of shift comes from one address."""
        key = _network(ip)
        now_s = self._clock.monotonic_s()
        with self._lock:
            window = self._attempts.setdefault(key, deque())
            self._attempts.move_to_end(key)
            while window and window[0] <= now_s - 60:
                window.popleft()
            if len(window) >= self._ip_limit:
                raise Locked(window[0] + 60 - now_s)
            window.append(now_s)
            while len(self._attempts) > _ADDRESSES_MAX:
                self._attempts.popitem(last=False)

        def give_back() -> None:
            with self._lock:
                if now_s in window:
                    window.remove(now_s)

        return give_back

    def _take_account_attempt(self, name: str) -> int:
        """Count an attempt before the password is looked at; returns the microseconds of lock it sets off
        if it proves wrong, or raises Locked."""
        now_us = self._clock.now_us()
        until = account.c.locked_until
        # A lock that ends later than any lock made now would end was made under a wrong clock.
        open_now = or_(until <= now_us, until > now_us + self._lock_us)
        failures = case((until > 0, 1), else_=account.c.failures + 1)
        locked_until = case((failures >= self._max_failures, now_us + self._lock_us), else_=0)
        with self._engine.begin() as db:
            taken = db.execute(
                update(account)
                .where(account.c.name == name, open_now)
                .values(failures=failures, locked_until=locked_until)
            ).rowcount
            row = db.execute(select(until).where(account.c.name == name)).first()
        lock_us = max(0, row.locked_until - now_us) if row else 0
        if not taken:
            raise Locked(lock_us / 1e6)
        return lock_us

    def _take_stranger_attempt(self, name: str) -> int:
        """The same count for a name that nobody has, in memory."""
        now_us = self._clock.now_us()
        with self._lock:
            failures, until_us = self._strangers.get(name, (0, 0))
            if until_us > now_us:
                raise Locked((until_us - now_us) / 1e6)
            failures = 1 if until_us else failures + 1
            until_us = now_us + self._lock_us if failures >= self._max_failures else 0
            self._strangers[name] = (failures, until_us)
            self._strangers.move_to_end(name)
            while len(self._strangers) > _ADDRESSES_MAX:
                self._strangers.popitem(last=False)
        return max(0, until_us - now_us)

    def _verify(self, hashed: str, password: str) -> bool:
        plain = _normal(password[: PASSWORD_MAX + 1])

        def verify() -> bool:
            try:
                return self._hasher.verify(hashed, plain)
            except (VerificationError, InvalidHashError):
                return False

        return self._one_of_few(verify)

    def _hash_password(self, plain: str) -> str:
        return self._one_of_few(lambda: self._hasher.hash(plain))

    def _one_of_few(self, work: Callable[[], T]) -> T:
        with self._lock:
            if self._hashing >= _HASHES_AT_ONCE_MAX:
                raise Locked(1)
            self._hashing += 1
        try:
            return offload(work)
        finally:
            with self._lock:
                self._hashing -= 1

    def _secret(self) -> str:
        """256 random bits, safe in a cookie, a header and a URL."""
        return base64.urlsafe_b64encode(self._random.token(32)).rstrip(b"=").decode()


_REVOKED = select(func.count()).select_from(token).where(token.c.revoked_at.is_not(None))


def _actor(row: Row[Any]) -> Actor:
    return Actor(row.name, row.role, frozenset(row.districts.split()), row.unit, row.display_name)


def _login_name(name: str) -> str:
    """The one spelling of a name: a person may type Ana, ana or ANA."""
    plain = unicodedata.normalize("NFKC", name).strip().casefold()
    if not _NAME.fullmatch(plain):
        raise BadAccount("name", "1 to 64 letters, digits or . _ @ -, beginning with a letter or digit")
    return plain


def _normal(password: str) -> str:
    # The same key presses give differently composed ș on different keyboards.
    return unicodedata.normalize("NFKC", password)


def _check_password(name: str, password: str, demo: bool) -> str:
    plain = _normal(password)
    if not plain or len(plain) > PASSWORD_MAX:
        raise BadAccount("password", f"1 to {PASSWORD_MAX} characters")
    if not demo and len(plain) < PASSWORD_MIN:
        raise BadAccount("password", f"at least {PASSWORD_MIN} characters")
    if not demo and plain.casefold() == name:
        raise BadAccount("password", "must not be the name")
    return plain


def _check_reach(
    role: str, districts: Iterable[str], unit: str | None, *, unit_needed: bool = True
) -> frozenset[str]:
    roles = [known.value for known in Role if known is not Role.SYSTEM]
    if role not in roles:
        raise BadAccount("role", f"one of {', '.join(roles)}")
    if isinstance(districts, str):
        raise BadAccount("districts", 'a list of district codes, or ["*"] for all')
    kept = frozenset(districts)
    if any(not code or code.split() != [code] for code in kept):
        raise BadAccount("districts", "district codes without blanks")
    if role == Role.FIELD and not unit and unit_needed:
        raise BadAccount("unit", "a field login belongs to one unit: give its call sign")
    if unit and role not in (Role.FIELD, Role.GATEWAY):
        raise BadAccount("unit", "only a field or gateway login is bound to a unit")
    if unit and len(unit) > 64:
        raise BadAccount("unit", "at most 64 characters")
    if not kept and role != Role.FIELD:
        raise BadAccount("districts", "at least one district, or * for all")
    return kept


def _network(ip: str) -> str:
    """What counts as one address: an IPv6 customer holds a whole /64."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
