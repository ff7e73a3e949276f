"""The bridge: the only place that knows the domain, the place and the things together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.core import Core
    from config import Config


def create_app(config: Config | None = None, core: Core | None = None) -> Flask:
    """The web application: wiring, nothing else. Raises ConfigError or up.Trouble with the reason."""
    from app.web_app import build
    from config import Config as Settings

    return build(config or Settings.from_env(), core)
