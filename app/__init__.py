"""The bridge: the only place that knows the domain, the place and the things together."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from flask import Flask

    from app.core import Core
    from config import Config


def create_app(config: Config | None = None, core: Core | None = None) -> Flask:
    """The web application: wiring, nothing else. Raises ConfigError, up.Trouble or SchemaError with the
    reason."""
    from app.web_app import build
    from config import Config as Settings

    return build(config or Settings.from_env(), core)


def serve() -> WSGIApplication:
    """What gunicorn's workers serve: the application, and until the database lets it open, an answer that
    says so. What a person can put right ends it with a line and the remedy, and exit code 3, by which
    gunicorn knows that trying again is no use."""
    from app.native import keep_locks_native

    keep_locks_native()
    from app.cli import complain, explanation
    from app.doorway import open_doors
    from app.up import Trouble
    from config import Config as Settings
    from config import ConfigError

    try:
        return open_doors(Settings.from_env())
    except Trouble as trouble:
        what, remedy = str(trouble), trouble.remedy
    except ConfigError as error:
        what, remedy = str(error), ""
    except Exception as error:
        what, remedy = explanation(error)
        if not what:
            raise
    complain(what, remedy)
    raise SystemExit(3)
