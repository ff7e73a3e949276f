"""Personal data: sealed on its way into the log, opened for those who may see it, erased for good.

Each value is encrypted under a key of its own (AES-256-GCM, a random 96-bit nonce before the
ciphertext). The log holds only the id and the SHA-256 of the ciphertext, so a chain of hashes stays
whole when a value is erased: deleting the key and the blob leaves nothing to decrypt, here or in a copy.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Engine, select

from app.native import original
from app.ports import Random
from app.tables import private, private_key
from dispatch.events import Sealed, canonical

CACHE_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Blob:
    """One sealed value as it is stored and sent to other nodes."""

    id: str
    ciphertext: bytes
    key: bytes


class Vault:
    """Seals and opens personal data. `open` may be called from any thread."""

    def __init__(self, engine: Engine, random: Random) -> None:
        self._engine = engine
        self._random = random
        self._cache: OrderedDict[str, Any] = OrderedDict()
        self._forgotten: set[str] = set()
        self._lock = original("_thread", "allocate_lock")()

    def seal(self, value: Any) -> tuple[Sealed, Blob]:
        """The reference that goes into the log, and the blob that the caller stores in the same
        transaction."""
        drawn = self._random.token(60)
        ident, key, nonce = drawn[:16].hex(), drawn[16:48], drawn[48:]
        ciphertext = nonce + AESGCM(key).encrypt(nonce, canonical(value).encode(), ident.encode())
        return Sealed(ident, hashlib.sha256(ciphertext).hexdigest()), Blob(ident, ciphertext, key)

    def remember(self, ident: str, value: Any) -> None:
        """Keep a value just sealed and stored, so that nobody has to decrypt it again."""
        with self._lock:
            if ident in self._forgotten:
                return
            self._cache[ident] = value
            while len(self._cache) > CACHE_MAX:
                self._cache.popitem(last=False)

    def forget(self, idents: Iterable[str]) -> None:
        """Keep these values no longer, and never again: a reader that fetched one before it was erased
        must not bring it back afterwards."""
        with self._lock:
            for ident in idents:
                self._cache.pop(ident, None)
                self._forgotten.add(ident)

    def open(self, sealed: Iterable[Sealed], connection: Connection | None = None) -> dict[str, Any]:
        """Values by id, in clear; an erased or damaged one is simply not among them."""
        wanted = [s.id for s in sealed]
        with self._lock:
            found = {ident: self._cache[ident] for ident in wanted if ident in self._cache}
        missing = [ident for ident in wanted if ident not in found]
        if not missing:
            return found
        if connection is None:
            with self._engine.connect() as own:
                return found | self._read(own, missing)
        return found | self._read(connection, missing)

    def _read(self, connection: Connection, idents: list[str]) -> dict[str, Any]:
        opened: dict[str, Any] = {}
        for start in range(0, len(idents), 500):
            rows = connection.execute(
                select(private.c.id, private.c.ciphertext, private_key.c.key)
                .join(private_key, private_key.c.id == private.c.id)
                .where(private.c.id.in_(idents[start : start + 500]))
            )
            for ident, ciphertext, key in rows:
                try:
                    clear = AESGCM(key).decrypt(ciphertext[:12], ciphertext[12:], ident.encode())
                except InvalidTag:
                    continue
                opened[ident] = json.loads(clear)
        for ident, value in opened.items():
            self.remember(ident, value)
        return opened
