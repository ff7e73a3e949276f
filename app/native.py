"""Operating-system threads, locks and queues, whether or not gevent has patched the standard ones.

The log's writer must be a real thread: nothing inside its transaction may yield to a hub, or one slow
console could hold the write lock of the whole station. Under gevent `threading` and `queue` hand out
cooperative look-alikes, so the modules that run such threads take the originals from here.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from _queue import Empty, SimpleQueue
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any, Generic, TypeVar

__all__ = [
    "Empty",
    "Promise",
    "SimpleQueue",
    "is_cooperative",
    "keep_locks_native",
    "offload",
    "original",
    "sleep",
    "start_thread",
]

T = TypeVar("T")


def original(module: str, name: str) -> Any:
    """The unpatched attribute `name` of `module`."""
    if "gevent.monkey" in sys.modules:
        return sys.modules["gevent.monkey"].get_original(module, name)
    return getattr(__import__(module), name)


_mark = original("_thread", "_local")()
"""Set in threads that are not the event loop's, where blocking is allowed."""


def keep_locks_native() -> None:
    """Give logging and numba, which several OS threads use at once, locks of the operating system; call it
    before numba is imported. gevent's locks lose wake-ups between OS threads: a thread that meets another one
    at such a lock waits for ever, and were it the log's writer, nothing could be recorded until the next
    start. Neither library yields to the event loop while it holds one."""
    if not is_cooperative():
        return
    import logging
    import threading

    made = {"Lock": original("_thread", "allocate_lock"), "RLock": original("_thread", "RLock")}
    cooperative = {name: getattr(threading, name) for name in made}

    def create_lock(handler: logging.Handler) -> None:
        handler.lock = made["RLock"]()
        logging._register_at_fork_reinit_lock(handler)  # type: ignore[attr-defined]

    logging._lock = made["RLock"]()  # type: ignore[attr-defined]
    logging.Handler.createLock = create_lock  # type: ignore[method-assign, assignment]
    for kept in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = kept()
        if handler is not None:
            handler.lock = made["RLock"]()
    try:
        for name, native in made.items():
            setattr(threading, name, native)
        importlib.import_module("numba")
    finally:
        for name, own in cooperative.items():
            setattr(threading, name, own)


def sleep(seconds: float) -> None:
    """Block this OS thread for `seconds`."""
    original("time", "sleep")(seconds)


def start_thread(run: Callable[[], None], name: str) -> None:
    """Start `run` in an OS thread of its own, daemonic; `name` is what the kernel shows for it."""

    context = copy_context()

    def named() -> None:
        _mark.native = True
        with contextlib.suppress(OSError):
            Path("/proc/thread-self/comm").write_text(name[:15])
        context.run(run)

    original("_thread", "start_new_thread")(named, ())


class Promise(Generic[T]):
    """One result handed from the writer's thread to whoever waits for it, blocking natively."""

    __slots__ = ("_error", "_lock", "_value")

    def __init__(self) -> None:
        self._lock = original("_thread", "allocate_lock")()
        self._lock.acquire()
        self._value: T | None = None
        self._error: BaseException | None = None

    def keep(self, value: T) -> None:
        self._value = value
        self._lock.release()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._lock.release()

    def result(self, timeout_s: float = 30.0) -> T:
        """The value, or the error raised here; TimeoutError after `timeout_s`."""
        if not self._lock.acquire(True, timeout_s):
            raise TimeoutError("the log's writer did not answer")
        self._lock.release()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


def offload(call: Callable[[], T]) -> T:
    """Run `call` off the event loop when there is one: in gevent's pool of OS threads, else right here."""
    if not is_cooperative() or getattr(_mark, "native", False):
        return call()
    import gevent

    # What this greenlet works on is known in the other thread too: its lines name the request.
    context = copy_context()

    def marked() -> Callable[[], T]:
        # The pool prints the traceback of whatever is raised in it: carry errors home as values.
        _mark.native = True
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            caught = error

            def fail() -> T:
                raise caught

            return fail
        return lambda: value

    outcome: Callable[[], T] = gevent.get_hub().threadpool.apply(context.run, (marked,))
    return outcome()


def is_cooperative() -> bool:
    """Whether this process runs its requests as greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
