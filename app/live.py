"""Live consoles over Socket.IO: a snapshot, then what changed after the cursor, positions as frames.

Every process follows the log by itself and emits to its own sockets. All consoles that may see the same
things share a room, and each change is built and encoded once a room. A frame of changes says from which
cursor to which it leads: a console that is not at `from` asks again, so nothing is missed or doubled.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flask import Flask, request
from flask_socketio import SocketIO, disconnect, join_room
from werkzeug.wrappers import Request, Response

from app import metrics, trace
from app.api.doors import COOKIE, bearer, problem_body
from app.auth import could, everywhere, may, origin_allowed
from app.core import Core
from app.database import UNREACHABLE
from app.detours import streets_of
from app.native import is_cooperative
from app.picture import crew_mates
from app.rows import Rows, rfc3339
from dispatch.alarm import Alarm
from dispatch.call import Call
from dispatch.closure import Closure
from dispatch.commands import Actor
from dispatch.incident import Incident
from dispatch.proposal import Proposal
from dispatch.unit import Unit

FRAME_EVERY_S = 0.25
PULSE_EVERY_S = 2.0
BACKLOG_MAX = 500
"""Packets waiting for one console before it is cut off, to come back with its cursor."""
PING_EVERY_S = 5
PING_ANSWER_S = 5
"""A console that does not answer a ping in time is gone: its place is given back, and it comes again."""
CANARIES_MAX = 6
"""A console sends one every five seconds; one that sends more in `HELLOS_WITHIN_S` gets no answer."""
HELLOS_MAX = 6
HELLOS_WITHIN_S = 10.0
"""A console asks where it stands when it connects or finds a gap; one that asks more often is cut off."""
SNAPSHOT_FRESH_S = 1.0
"""How long one snapshot serves all consoles of a scope, as after a restart when all come back at once."""
STRANGERS_MAX = 100
"""Sockets of callers that have not said who they are; further ones are turned away until some have."""
STRANGER_S = 5.0
"""Seconds in which a caller must say who it is."""
DEAD_S = 20
"""Seconds after which the kernel gives up a connection whose other side is silent."""
log = logging.getLogger("straja.live")


@dataclass(slots=True)
class Scope:
    """Consoles that may see the same things."""

    key: str
    actor: Actor
    sockets: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Peer:
    """One connected console; `still` tells whether its login is still good."""

    scope: str
    still: Callable[[], bool]
    who: str
    ready: bool = False
    hellos: deque[float] = field(default_factory=lambda: deque(maxlen=HELLOS_MAX))
    canaries: deque[float] = field(default_factory=lambda: deque(maxlen=CANARIES_MAX))


@dataclass(frozen=True, slots=True)
class Subjects:
    """What a frame is about."""

    incidents: list[Incident]
    units: list[Unit]
    closures: list[Closure]
    proposals: list[Proposal]
    calls: list[Call]
    alarms: list[Alarm]


class Bell:
    """Rung on the log's OS thread, heard on the event loop."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.ring: Callable[[], None] = self._event.set
        if is_cooperative():
            import gevent

            # Only an async watcher may be touched from a foreign OS thread.
            watcher = gevent.get_hub().loop.async_()
            watcher.start(self._event.set)
            self.ring = watcher.send

    def wait(self, timeout_s: float) -> None:
        self._event.wait(timeout_s)
        self._event.clear()


class Live:
    """The sockets of this process. `pump` sends what is new; it is called when the log moves."""

    def __init__(self, socketio: SocketIO, core: Core, rows: Rows) -> None:
        self._io = socketio
        self._core = core
        self._rows = rows
        self._at = core.picture.position
        self._as_of_us = core.log.seen_us
        # The numbers of units in position frames hold for one process only, so a console that comes from
        # another one must have a snapshot, even where it has missed nothing.
        self._process = core.world.random.token(6).hex()
        self._lock = threading.RLock()
        self._peers: dict[str, Peer] = {}
        self._scopes: dict[str, Scope] = {}
        self._snapshots: dict[str, tuple[int, float, dict[str, Any]]] = {}
        self._strangers: dict[str, float] = {}
        self._tick = 0
        self._bell = Bell()
        self._running = False

    def start(self) -> None:
        """Follow the log and the positions in background tasks of the server."""
        self._running = True
        self._core.log.after_commit(self._bell.ring)
        self._io.start_background_task(self._follow)
        self._io.start_background_task(self._move)
        self._io.start_background_task(self._pulse)

    def stop(self) -> None:
        self._running = False
        self._bell.ring()

    def leave(self) -> None:
        """Close every socket, as when the line breaks: consoles come back by themselves, to whoever takes
        calls then, with the cursor they have."""
        self.stop()
        for waiting in list(self._io.server.eio.sockets.values()):
            with contextlib.suppress(Exception):
                waiting.close(wait=False, abort=True)

    def _follow(self) -> None:
        while self._running:
            self._bell.wait(1.0)
            self._guarded(self.pump)

    def _move(self) -> None:
        while self._running:
            self._io.sleep(FRAME_EVERY_S)
            self._guarded(self.frames)

    def _pulse(self) -> None:
        while self._running:
            self._io.sleep(PULSE_EVERY_S)
            # Apart from the pulse, which goes out even where this fails: the age that it tells then grows.
            self._guarded(self.pump)
            self._guarded(self.pulse)
            self._guarded(self.turn_out)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            # One bad row must not end the stream for everybody; consoles notice the gap and ask again.
            log.exception("a live update failed")

    # ---- who is listening

    def connect(self, actor: Actor, still: Callable[[], bool], sid: str) -> None:
        key = f"{actor.role}/{'+'.join(sorted(actor.districts))}/{actor.unit or ''}"
        with self._lock:
            scope = self._scopes.setdefault(key, Scope(key, actor))
            scope.sockets.add(sid)
            metrics.CONSOLES.set(len(self._peers) + (sid not in self._peers))
            self._peers[sid] = Peer(key, still, actor.label)

    def disconnect(self, sid: str) -> None:
        with self._lock:
            peer = self._peers.pop(sid, None)
            if peer is None:
                return
            metrics.CONSOLES.set(len(self._peers))
            scope = self._scopes[peer.scope]
            scope.sockets.discard(sid)
            if not scope.sockets:
                del self._scopes[peer.scope]
                self._snapshots.pop(peer.scope, None)

    def peer_name(self, sid: str) -> str | None:
        """Who sits behind a socket, "role:name"; None before it is known."""
        peer = self._peers.get(sid)
        return None if peer is None else peer.who

    def is_full(self) -> bool:
        """Whether too many callers have not said who they are."""
        return len(self._io.server.eio.sockets) - len(self._peers) >= STRANGERS_MAX

    def welcome(self, sid: str) -> bool:
        """Whether this socket may ask again where it stands; cut off when it asks without end."""
        peer = self._peers.get(sid)
        if peer is None or not self._is_still_good(peer):
            return False
        now_s = self._core.world.clock.monotonic_s()
        if len(peer.hellos) == HELLOS_MAX and now_s - peer.hellos[0] < HELLOS_WITHIN_S:
            return False
        peer.hellos.append(now_s)
        return True

    def hello(self, sid: str, cursor: str | None) -> dict[str, Any] | None:
        """What brings one console up to date, and a seat in its room; None for an unknown socket."""
        with self._lock:
            peer = self._peers.get(sid)
            if peer is None:
                return None
            # Everybody else is brought to the same position first, so that the next frame fits here too.
            self.pump()
            scope = self._scopes[peer.scope]
            picture = self._core.picture
            position = self._position_of(cursor)
            changed = picture.changed_since(position) if position is not None else None
            if changed is None:
                mode, rows = "snapshot", self._snapshot(scope)
            else:
                mode, rows = "changes", self._built(scope, self._named(changed[1]))
            metrics.FRAMES_SNAPSHOT.inc() if changed is None else metrics.FRAMES_CHANGES.inc()
            answer = {
                "mode": mode,
                "cursor": self._cursor(self._at),
                **rows,
                **self._now(),
            }
            if not peer.ready:
                peer.ready = True
                join_room(scope.key, sid=sid, namespace="/")
            return answer

    def canary(self, sid: str) -> dict[str, Any] | None:
        """What a console learns by asking whether the whole way still stands: `as_of`, up to when everything
        on record has been read here, whatever was new in it being sent before this answer. None where the
        console has no seat yet, or asks without end."""
        peer = self._peers.get(sid)
        now_s = self._core.world.clock.monotonic_s()
        if peer is None or not peer.ready:
            return None
        if len(peer.canaries) == CANARIES_MAX and now_s - peer.canaries[0] < HELLOS_WITHIN_S:
            return None
        peer.canaries.append(now_s)
        self.pump()
        return {**self._now(), "cursor": self._cursor(self._at)}

    def _now(self) -> dict[str, Any]:
        """The time, and up to when everything on record has been sent."""
        return {
            "server_time": rfc3339(self._core.world.clock.now_us()),
            "as_of": rfc3339(self._as_of_us),
        }

    def _snapshot(self, scope: Scope) -> dict[str, Any]:
        now_s = self._core.world.clock.monotonic_s()
        kept = self._snapshots.get(scope.key)
        if kept is not None and kept[0] == self._at and now_s - kept[1] < SNAPSHOT_FRESH_S:
            return kept[2]
        state = self._core.picture.now
        now_us = self._core.world.clock.now_us()
        everything = Subjects(
            [x for x in state.incidents() if x.open],
            list(state.units()),
            [x for x in state.closures() if not x.has_ended(now_us)],
            [x for x in state.proposals() if x.open],
            [x for x in state.calls() if x.needs is not None],
            [x for x in state.alarms() if any(then != "normal" for _, then in x.phases(now_us))],
        )
        rows = self._built(scope, everything)
        self._snapshots[scope.key] = (self._at, now_s, rows)
        return rows

    def _cursor(self, position: int) -> str:
        return f"{self._core.log.cursor(position)}.{self._process}"

    def _position_of(self, cursor: str | None) -> int | None:
        text, _, process = (cursor or "").rpartition(".")
        return self._core.log.position_of(text) if process == self._process else None

    # ---- what is sent

    def pump(self) -> None:
        """Send every change since the last time, one frame a room."""
        with self._lock:
            as_of_us = self._core.log.seen_us
            changed = self._core.picture.changed_since(self._at)
            if changed is None:
                # More has happened than is remembered: whoever listens will find itself at another cursor.
                self._at = self._core.picture.position
                self._as_of_us = as_of_us
                return
            to, subjects = changed
            if to == self._at:
                self._as_of_us = as_of_us
                return
            named = self._named(subjects)
            envelope = {
                "from": self._cursor(self._at),
                "to": self._cursor(to),
                "server_time": rfc3339(self._core.world.clock.now_us()),
            }
            self._at = to
            for scope in list(self._scopes.values()):
                self._cut_slow(scope)
                frame = envelope | self._built(scope, named)
                self._io.emit("changes", frame, to=scope.key)
                metrics.FRAMES_CHANGES.inc(len(scope.sockets))
            self._as_of_us = as_of_us

    def _named(self, subjects: dict[str, None]) -> Subjects:
        state = self._core.picture.now
        incidents: dict[str, Incident] = {}
        units: dict[str, Unit] = {}
        closures: list[Closure] = []
        proposals: list[Proposal] = []
        calls: list[Call] = []
        alarms: list[Alarm] = []
        for subject in subjects:
            kind, _, subject_id = subject.partition(":")
            if kind == "incident":
                incident = state.incident(subject_id)
                if incident is not None and incident.reported:
                    incidents[subject_id] = incident
            elif kind == "unit":
                unit = state.unit(subject_id)
                if unit is not None and unit.registered:
                    units[subject_id] = unit
                    units |= {mate.id: mate for mate in crew_mates(state, unit)}
                    # What a unit gives to its incident changes with its crew.
                    on = state.incident(unit.incident) if unit.incident is not None else None
                    if on is not None and on.reported:
                        incidents[on.id] = on
            elif kind == "closure":
                closure = state.closure(subject_id)
                if closure is not None and closure.reported:
                    closures.append(closure)
            elif kind == "proposal":
                proposal = state.proposal(subject_id)
                if proposal is not None and proposal.made:
                    proposals.append(proposal)
            elif kind == "call":
                call = state.call(subject_id)
                if call is not None and call.received:
                    calls.append(call)
            elif kind == "alarm":
                alarm = state.alarm(subject_id)
                if alarm is not None and alarm.raised:
                    alarms.append(alarm)
        return Subjects(list(incidents.values()), list(units.values()), closures, proposals, calls, alarms)

    def _built(self, scope: Scope, named: Subjects) -> dict[str, Any]:
        """Rows for one scope, and the ids of what it may see no more: the incidents that its unit has left.
        Told from the incident alone, so that a console that was away meanwhile hears of it too."""
        actor = scope.actor
        now_us = self._core.world.clock.now_us()
        plain: list[Incident] = []
        personal: list[Incident] = []
        gone: list[str] = []
        for x in named.incidents:
            on_it = [a.unit for a in x.active()]
            if may(actor, "incident.read", district=x.district, unit=on_it):
                opened = may(actor, "personal.read", district=x.district, unit=on_it)
                (personal if opened else plain).append(x)
            elif any(a.unit == actor.unit for a in x.assignments):
                gone.append(x.id)
        seen = [u for u in named.units if may(actor, "unit.read", district=u.district, unit=u.id)]
        return {
            "incidents": [
                *_whole(personal, lambda x: self._rows.incident(x, personal=True)),
                *_whole(plain, lambda x: self._rows.incident(x, personal=False)),
            ],
            "units": _whole(
                seen,
                lambda u: self._rows.unit(
                    u, personal=may(actor, "personal.read", district=u.district, unit=u.id)
                ),
            ),
            "closures": _whole(
                named.closures if may(actor, "closure.read") else [],
                lambda x: self._rows.closure(
                    x,
                    streets_of(self._core, x),
                    personal=may(actor, "personal.read", district=x.district, unit=x.crews),
                ),
            ),
            "proposals": _whole(
                [p for p in named.proposals if may(actor, "proposal.read", district=p.district)],
                lambda p: self._rows.proposal(p, personal=may(actor, "personal.read", district=p.district)),
            ),
            "calls": _whole(
                [x for x in named.calls if may(actor, "call.read", district=x.district)], self._rows.call
            ),
            "alarms": _whole(
                [x for x in named.alarms if may(actor, "alarm.read", district=x.district)],
                lambda x: self._rows.alarm(x, now_us),
            ),
            "gone": {"incidents": gone},
        }

    def frames(self) -> None:
        """Send the positions that moved since the last frame."""
        tracks = self._core.tracks
        tick, moved = tracks.changed_since(self._tick)
        self._tick = tick
        if not len(moved) or not self._scopes:
            return
        now_us = self._core.world.clock.now_us()
        whole: bytes | None = None
        names = tracks.units()
        for scope in list(self._scopes.values()):
            actor = scope.actor
            # Nearly everybody sees every unit: asking for each of a thousand, four times a second, adds up.
            if everywhere(actor, "unit.read"):
                whole = whole or tracks.frame(moved, now_us)
                self._io.emit("positions", whole, to=scope.key)
                metrics.FRAMES_POSITIONS.inc(len(scope.sockets))
                continue
            seen = [n for n in moved if self._sees_unit(actor, names[n])]
            if seen:
                self._io.emit("positions", tracks.frame(np.array(seen), now_us), to=scope.key)
                metrics.FRAMES_POSITIONS.inc(len(scope.sockets))

    def _sees_unit(self, actor: Actor, unit_id: str) -> bool:
        unit = self._core.picture.now.unit(unit_id)
        return unit is not None and may(actor, "unit.read", district=unit.district, unit=unit_id)

    def pulse(self) -> None:
        """Feed every console's data age, and cut those whose login has ended."""
        self._io.emit(
            "pulse",
            {
                **self._now(),
                "cursor": self._cursor(self._at),
                "trouble": self._trouble(),
            },
        )
        for sid, peer in list(self._peers.items()):
            if not self._is_still_good(peer):
                self._io.emit("revoked", {}, to=sid)
                self._io.server.disconnect(sid, namespace="/")

    def _trouble(self) -> dict[str, Any] | None:
        """What keeps anything from being recorded just now, and since when."""
        failing = self._core.log.failing
        if failing is None:
            return None
        return {"code": failing.code, "since": rfc3339(failing.since_us), "detail": failing.detail}

    @staticmethod
    def _is_still_good(peer: Peer) -> bool:
        try:
            return peer.still()
        except UNREACHABLE:
            # Nobody can tell while the database is away: who is listening goes on listening to what was
            # known before, with the trouble said; nothing new can be recorded meanwhile.
            return True

    def turn_out(self) -> None:
        """Close the sockets of callers that have not said in time who they are."""
        server = self._io.server
        known = {server.manager.eio_sid_from_sid(sid, "/") for sid in list(self._peers)}
        now_s = self._core.world.clock.monotonic_s()
        before, self._strangers = self._strangers, {}
        for eio_sid, waiting in list(server.eio.sockets.items()):
            if eio_sid in known:
                continue
            since_s = before.get(eio_sid, now_s)
            if now_s - since_s >= STRANGER_S:
                waiting.close(wait=False, abort=True)
            else:
                self._strangers[eio_sid] = since_s

    def _cut_slow(self, scope: Scope) -> None:
        server = self._io.server
        for sid in list(scope.sockets):
            eio_sid = server.manager.eio_sid_from_sid(sid, "/")
            waiting = server.eio.sockets.get(eio_sid)
            if waiting is not None and waiting.queue.qsize() > BACKLOG_MAX:
                log.warning("a console that cannot keep up is cut off")
                self._io.server.disconnect(sid, namespace="/")


def _whole(items: Iterable[Any], row: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all items that have one: what cannot be shown must not hide the rest."""
    rows = []
    for item in items:
        try:
            rows.append(row(item))
        except Exception:
            log.exception("the row of %s cannot be built", item.id)
    return rows


def _closes_promptly(base: Any) -> Any:
    """Engine.IO's websocket, whose connection really ends when it is closed.

    As it comes, closing only says goodbye: towards a laptop that has lost its network the reading side goes
    on waiting for ever, and each such connection keeps a place on the server.
    """

    class Websocket(base):  # type: ignore[misc]
        def __init__(self, handler: Callable[[Any], Any], server: Any) -> None:
            def tuned(me: Any) -> Any:
                # The kernel asks a silent peer, and gives up one that takes nothing off our hands.
                sock = me.ws.sock
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_S // 2)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_S * 1000)
                return handler(me)

            super().__init__(tuned, server)

        def close(self) -> None:
            try:
                super().close()
            finally:
                try:
                    self.ws.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    log.debug("the connection had ended by itself")

    return Websocket


class Gate:
    """In front of the sockets: known callers come in, strangers only while there are few of them."""

    def __init__(self, inner: Callable[..., Any], live: Live, core: Core) -> None:
        self._inner = inner
        self._live = live
        self._accounts = core.accounts

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if not environ.get("PATH_INFO", "").startswith("/socket.io"):
            return self._inner(environ, start_response)
        asked = Request(environ)
        if not self._live.is_full() or self._is_known(asked):
            return self._inner(environ, start_response)
        retry_s = round(STRANGER_S)
        with trace.working_on(trace.Asked(trace.accepted(asked.headers.get("X-Request-Id")))) as this:
            body = problem_body(
                503, "too-many-strangers", "Too many callers; try again.", asked.path, retry_after_s=retry_s
            )
        headers = {"Retry-After": str(retry_s), "X-Request-Id": this.request_id}
        refusal = Response(json.dumps(body), 503, headers)
        refusal.mimetype = "application/problem+json"
        return refusal(environ, start_response)

    def _is_known(self, asked: Request) -> bool:
        secret = bearer(asked.headers.get("Authorization", ""))
        cookie = asked.cookies.get(COOKIE)
        try:
            if secret is not None:
                return self._accounts.by_token(secret) is not None
            return cookie is not None and self._accounts.by_session(cookie) is not None
        except UNREACHABLE:
            return False


def attach(app: Flask, core: Core, rows: Rows) -> tuple[SocketIO, Live]:
    """The Socket.IO server on `app`, websocket only, same origin only for cookies."""
    socketio = SocketIO(
        app,
        async_mode="gevent" if is_cooperative() else "threading",
        transports=["websocket"],
        manage_session=False,
        cors_allowed_origins=None,
        ping_interval=PING_EVERY_S,
        ping_timeout=PING_ANSWER_S,
        max_http_buffer_size=64_000,
        logger=False,
        engineio_logger=False,
    )
    server = socketio.server.eio
    server._async = {**server._async, "websocket": _closes_promptly(server._async["websocket"])}
    live = Live(socketio, core, rows)
    app.wsgi_app = Gate(app.wsgi_app, live, core)  # type: ignore[method-assign]
    accounts = core.accounts

    def told(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Each event of a socket is a request of its own in the logs; what fails in it is told once."""

        def around(handle: Callable[..., Any]) -> Callable[..., Any]:
            def run(*given: Any) -> Any:
                peer = live.peer_name(request.sid)  # type: ignore[attr-defined]
                given_id = request.headers.get("X-Request-Id") if name == "connect" else None
                with trace.working_on(trace.Asked(trace.accepted(given_id), peer, "SOCKET", name)) as asked:
                    try:
                        return handle(*given)
                    except Exception:
                        log.exception("a socket event failed")
                        if name == "connect":
                            return False
                        return {"error": "internal", "request_id": asked.request_id}

            return run

        return around

    @socketio.on("connect")
    @told("connect")
    def on_connect(auth: Any = None) -> bool:
        try:
            return come_in(auth)
        except UNREACHABLE:
            return False

    def come_in(auth: Any) -> bool:
        secret = auth.get("token") if isinstance(auth, dict) else None
        still: Callable[[], bool]
        if isinstance(secret, str) and secret:
            actor = accounts.by_token(secret)

            def still() -> bool:
                return accounts.by_token(secret) is not None
        else:
            cookie = request.cookies.get(COOKIE, "")
            if not origin_allowed(request.headers.get("Origin"), [request.host_url]):
                return False
            known = accounts.by_session(cookie) if cookie else None
            actor = known[0] if known else None

            def still() -> bool:
                return accounts.by_session(cookie) is not None

        if actor is None or not could(actor, "live.listen"):
            return False
        live.connect(actor, still, request.sid)  # type: ignore[attr-defined]
        return True

    @socketio.on("hello")
    @told("hello")
    def on_hello(data: Any = None, *_: Any) -> dict[str, Any]:
        sid: str = request.sid  # type: ignore[attr-defined]
        if not live.welcome(sid):
            disconnect()
            return {"error": "sign-in-or-slow-down"}
        cursor = data.get("cursor") if isinstance(data, dict) else None
        answer = live.hello(sid, cursor if isinstance(cursor, str) and len(cursor) < 200 else None)
        return answer or {"error": "sign-in"}

    @socketio.on("canary")
    @told("canary")
    def on_canary(*_: Any) -> dict[str, Any]:
        sid: str = request.sid  # type: ignore[attr-defined]
        return live.canary(sid) or {"error": "hello-first-or-slow-down"}

    @socketio.on("disconnect")
    @told("disconnect")
    def on_disconnect(*_: Any) -> None:
        live.disconnect(request.sid)  # type: ignore[attr-defined]

    return socketio, live
