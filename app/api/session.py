"""Signing in and out."""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify, request
from flask_openapi3 import Tag
from pydantic import Field

from app.api import shapes
from app.api.doors import COOKIE, Problem, Strict, blueprint, core
from app.demo import LOGINS
from dispatch.commands import Actor

TAG = Tag(name="Session", description="Signing in and out.")


class Login(Strict):
    name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=1024)


def _user(actor: Actor) -> dict[str, Any]:
    return {
        "name": actor.name,
        "role": actor.role,
        "districts": sorted(actor.districts),
        "display_name": actor.display_name or actor.name,
        "unit": actor.unit,
    }


def demo_logins() -> list[dict[str, str]]:
    """The demo's logins, while the demo is on and its accounts exist."""
    parts = core()
    if not parts.config.demo:
        return []
    known = {account.name for account in parts.accounts.accounts() if account.demo and not account.disabled}
    return [dict(login) for login in LOGINS if login["name"] in known]


@blueprint.get("/session", tags=[TAG], summary="Who is signed in", responses={200: shapes.SessionShape})
def get_session() -> Response:
    if g.actor is None:
        raise Problem(401, "sign-in", "Nobody is signed in.", demo_logins=demo_logins())
    return jsonify({"user": _user(g.actor), "csrf": g.csrf})


@blueprint.post("/session", tags=[TAG], summary="Sign in", responses={200: shapes.SessionShape})
def post_session(body: Login) -> Response:
    parts = core()
    session = parts.accounts.login(body.name, body.password, request.remote_addr or "")
    answer = jsonify({"user": _user(session.actor), "csrf": session.csrf})
    answer.set_cookie(
        COOKIE,
        session.token,
        max_age=round(parts.config.session_hours * 3600),
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
        path="/",
    )
    return answer


@blueprint.delete("/session", tags=[TAG], summary="Sign out")
def delete_session() -> tuple[str, int]:
    cookie = request.cookies.get(COOKIE)
    if cookie:
        core().accounts.logout(cookie)
    return "", 204
