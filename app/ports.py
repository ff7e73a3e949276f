"""What the core takes from the world: time, randomness, the disk. Passed in, so that tests and the
simulator of several nodes can hold all three in their hands."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds since 1970-01-01T00:00Z; may jump, and is never used to order events."""

    def monotonic_s(self) -> float:
        """Seconds that only grow; for time-outs."""


class Random(Protocol):
    def token(self, nbytes: int) -> bytes: ...

    def uuid(self) -> str: ...


class Disk(Protocol):
    def free_bytes(self, path: Path) -> int: ...


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()


class SystemRandom:
    def token(self, nbytes: int) -> bytes:
        return os.urandom(nbytes)

    def uuid(self) -> str:
        return str(uuid.uuid4())


class SystemDisk:
    def free_bytes(self, path: Path) -> int:
        return shutil.disk_usage(path).free


@dataclass(frozen=True)
class World:
    """The three together, as `create_app` wires them."""

    clock: Clock
    random: Random
    disk: Disk

    @staticmethod
    def system() -> World:
        return World(SystemClock(), SystemRandom(), SystemDisk())
