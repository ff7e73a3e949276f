"""The words of both languages for what the server says, from Fluent catalogues like the console's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fluent.runtime import FluentBundle, FluentResource

LOCALES = Path(__file__).parent / "locales" / "server"
LANGUAGES = ("en", "ro")


class Words:
    """One language. `say` gives the message's words, or its key where the catalogue has none."""

    def __init__(self, language: str) -> None:
        self.language = language
        # Isolation marks protect mixed scripts on a screen; Romanian and English share one.
        self._bundle = FluentBundle([language], use_isolating=False)
        self._bundle.add_resource(FluentResource((LOCALES / f"{language}.ftl").read_text(encoding="utf-8")))

    def has(self, key: str) -> bool:
        return self._bundle.has_message(key)

    def say(self, key: str, args: Mapping[str, Any] | None = None) -> str:
        if not self._bundle.has_message(key):
            return key
        pattern = self._bundle.get_message(key).value
        if pattern is None:
            return key
        text, _ = self._bundle.format_pattern(pattern, dict(args or {}))
        return str(text)

    def time(self, seconds: float) -> str:
        """A length of time as people read it: "45 s", "9 min", "3 h", "2 d"."""
        if seconds < 90:
            return self.say("span-seconds", {"n": round(seconds)})
        if seconds < 90 * 60:
            return self.say("span-minutes", {"n": round(seconds / 60)})
        if seconds < 36 * 3600:
            return self.say("span-hours", {"n": round(seconds / 3600)})
        return self.say("span-days", {"n": round(seconds / 86400)})


@cache
def words_in(language: str) -> Words:
    return Words(language if language in LANGUAGES else "en")


def pick_language(accept: str | None) -> str:
    """The better of our languages for an Accept-Language header (RFC 9110, 12.5.4); English by default."""
    best, best_quality = "en", 0.0
    for part in (accept or "").split(","):
        tag, _, rest = part.strip().partition(";")
        name = tag.split("-")[0].lower()
        try:
            quality = float(rest.split("=")[1]) if "=" in rest else 1.0
        except ValueError:
            quality = 0.0
        if name in LANGUAGES and quality > best_quality:
            best, best_quality = name, quality
    return best
