"""Coming in: names and passwords, cookies and their CSRF tokens, bearer tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.demo import LOGINS
from app.demo import PASSWORD as DEMO_PASSWORD
from tests.app.control_room import AREA, PASSWORD, RAILWAY_STATION, Desk, Room, is_problem

REPORT = {"type": "F05", "location": {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1]}}


@pytest.fixture
def name(shared_room: Room) -> str:
    """A dispatcher with an account of her own."""
    made = f"ana-{shared_room.uuid()[:8]}"
    shared_room.core.accounts.create_account(made, PASSWORD, "dispatcher", ["*"], display_name="Ana Pop")
    return made


@pytest.fixture
def browser(shared_room: Room) -> FlaskClient:
    return shared_room.app.test_client()


def signed_in(browser: FlaskClient, name: str) -> str:
    """Sign in as a browser does; returns the CSRF token."""
    answer = browser.post(f"{AREA}/session", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return str(answer.json["csrf"])


def cookie_of(browser: FlaskClient) -> str:
    found = browser.get_cookie("straja_session")
    assert found is not None
    return f"straja_session={found.value}"


def test_a_dispatcher_signs_in_works_and_signs_out(
    shared_room: Room, name: str, browser: FlaskClient
) -> None:
    # Given a browser in which nobody is signed in
    is_problem(browser.get(f"{AREA}/session"), 401, "sign-in")
    # When Ana signs in
    answer = browser.post(f"{AREA}/session", json={"name": name, "password": PASSWORD})
    # Then she is known, by a cookie that scripts cannot read and other sites cannot send
    user = {"name": name, "role": "dispatcher", "districts": ["*"], "display_name": "Ana Pop", "unit": None}
    assert answer.json["user"] == user
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert answer.json["csrf"] not in cookie
    again = browser.get(f"{AREA}/session")
    assert again.json == answer.json
    assert again.headers["Cache-Control"] == "no-store"
    # When she signs out, the cookie opens nothing any more
    gone = browser.delete(f"{AREA}/session", headers={"X-CSRF-Token": answer.json["csrf"]})
    assert gone.status_code == 204
    is_problem(browser.get(f"{AREA}/session"), 401, "sign-in")
    is_problem(browser.get(f"{AREA}/incidents"), 401, "sign-in")


def test_wrong_passwords_are_answered_alike_and_then_locked_out(
    shared_room: Room, name: str, browser: FlaskClient
) -> None:
    wrong = [browser.post(f"{AREA}/session", json={"name": name, "password": "nu e asta"}) for _ in range(4)]
    nobody = browser.post(f"{AREA}/session", json={"name": "nimeni-" + name[-8:], "password": "nu e asta"})
    assert {is_problem(answer, 401, "bad-login")["detail"] for answer in (*wrong, nobody)} == {
        "The name or the password is wrong."
    }
    fifth = browser.post(f"{AREA}/session", json={"name": name, "password": "nu e asta"})
    body = is_problem(fifth, 429, "locked")
    assert body["retry_after_s"] == 900
    assert fifth.headers["Retry-After"] == "900"
    is_problem(browser.post(f"{AREA}/session", json={"name": name, "password": PASSWORD}), 429, "locked")
    # When the time is over, the right password is good again
    shared_room.clock.advance(901)
    signed_in(browser, name)


def test_every_write_with_a_cookie_needs_its_csrf_token(
    shared_room: Room, name: str, browser: FlaskClient
) -> None:
    csrf = signed_in(browser, name)
    other = signed_in(shared_room.app.test_client(), name)
    report = {**REPORT, "id": shared_room.uuid()}
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": csrf[:-1]}, {"X-CSRF-Token": other}):
        is_problem(browser.post(f"{AREA}/incidents", json=report, headers=headers), 403, "csrf")
        for method, path in (
            ("PATCH", f"/incidents/{report['id']}"),
            ("DELETE", f"/incidents/{report['id']}/assignments/F21"),
            ("DELETE", "/session"),
            ("POST", "/positions"),
        ):
            is_problem(browser.open(f"{AREA}{path}", method=method, json={}, headers=headers), 403, "csrf")
    # Then nothing was written and nobody signed out, and with the token the report is taken
    assert browser.get(f"{AREA}/incidents/{report['id']}").status_code == 404
    taken = browser.post(f"{AREA}/incidents", json=report, headers={"X-CSRF-Token": csrf})
    assert taken.status_code == 201
    assert taken.json["reported_by"] == name
    assert taken.json["facts"]["location"]["source"] == "console"


@pytest.mark.parametrize(
    "header",
    ["Bearer straja_nobody-has-this-one", "Bearer ", "Bearer", "Basic YW5hOmFuYQ==", "straja_x", "Bearer ș"],
)
def test_a_header_that_names_nobody_is_refused_even_beside_a_good_cookie(
    shared_room: Room, name: str, browser: FlaskClient, header: str
) -> None:
    signed_in(browser, name)
    answer = browser.get(f"{AREA}/incidents", headers={"Authorization": header.encode().decode("latin-1")})
    is_problem(answer, 401, "bad-token")


def test_a_revoked_token_opens_nothing_any_more(shared_room: Room) -> None:
    token = shared_room.core.accounts.create_token("gateway", "tetra-poarta-2", ["*"])
    gateway = Desk(shared_room, token, "tetra-poarta-2")
    assert gateway.post("/positions", []).status_code == 202
    assert shared_room.core.accounts.revoke_token("tetra-poarta-2")
    is_problem(gateway.post("/positions", []), 401, "bad-token")


def test_a_disabled_account_is_out_at_once(shared_room: Room, name: str, browser: FlaskClient) -> None:
    signed_in(browser, name)
    shared_room.core.accounts.set_disabled(name, True)
    is_problem(browser.get(f"{AREA}/units"), 401, "sign-in")


def test_a_session_ends_after_a_shift_and_after_half_an_hour_unused(
    shared_room: Room, name: str, browser: FlaskClient
) -> None:
    signed_in(browser, name)
    shared_room.clock.advance(29 * 60)
    assert browser.get(f"{AREA}/units").status_code == 200
    shared_room.clock.advance(31 * 60)
    is_problem(browser.get(f"{AREA}/units"), 401, "sign-in")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "ana"}, "password"),
        ({"password": PASSWORD}, "name"),
        ({"name": "", "password": PASSWORD}, "name"),
        ({"name": "a" * 65, "password": PASSWORD}, "name"),
        ({"name": "ana", "password": "x" * 1025}, "password"),
        ({"name": "ana", "password": PASSWORD, "role": "admin"}, "role"),
        ({"name": ["ana"], "password": PASSWORD}, "name"),
    ],
)
def test_a_sign_in_that_cannot_be_right_names_the_field(
    embedded_room: Room, body: dict[str, object], field: str
) -> None:
    is_problem(embedded_room.stranger.post("/session", body), 422, "invalid", field)


def test_the_demo_offers_its_logins_only_while_it_is_on(open_another: Callable[..., Room]) -> None:
    # Given a station with the demo's accounts
    shown = open_another()
    for login in LOGINS:
        shown.core.accounts.create_account(
            login["name"], DEMO_PASSWORD, login["role"], ["*"], display_name=login["display_name"], demo=True
        )
    offered = is_problem(shown.stranger.get("/session"), 401, "sign-in")["demo_logins"]
    assert [login["name"] for login in offered] == [login["name"] for login in LOGINS]
    login = {"name": "ana", "password": DEMO_PASSWORD}
    browser = shown.app.test_client()
    assert browser.post(f"{AREA}/session", json=login).status_code == 200
    assert shown.ana.get("/city").json["demo"] is True
    # When it is started without the demo, they are neither offered nor let in, however they are written
    real = open_another(STRAJA_DEMO="0")
    assert is_problem(real.stranger.get("/session"), 401)["demo_logins"] == []
    for name in ("ana", "ANA", " ana ", "ａｎａ"):
        is_problem(real.stranger.post("/session", login | {"name": name}), 401, "bad-login")
    # And who was in while it was on is out
    is_problem(real.app.test_client().get(f"{AREA}/session", headers={"Cookie": cookie_of(browser)}), 401)
