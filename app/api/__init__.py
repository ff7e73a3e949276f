"""The HTTP API under /api/v1: each handler parses, submits or reads, and answers."""

from __future__ import annotations

from typing import Any


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 description, made from the handlers themselves."""
    from app.web_app import skeleton

    return dict(skeleton().api_doc)
