"""Positions from two apps that anybody can install on a phone: Traccar Client (the OsmAnd protocol) and
OwnTracks (its HTTP mode).

Neither can send a bearer token. The token stands where the app has room for a secret: as the device's id, or
as the password of HTTP's basic authentication. It must be bound to a unit, and whatever the phone calls
itself, it moves that unit alone.

Both apps keep a position until they are answered 2xx, and send nothing else before: one that can never be
taken (of last week, outside the earth, at a time that is none) is therefore answered 200 and left out. Only
what somebody can put right (a wrong token, a unit that is not registered, a full queue here) is an error.
Formats: https://www.traccar.org/osmand/ and https://owntracks.org/booklet/tech/http/; docs/phones.md.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, current_app, g, jsonify, request
from flask_openapi3 import Tag

from app import demo, trace
from app.api import shapes
from app.api.doors import Problem, bearer, blueprint, core, parse_number, require_role, wrong
from app.api.units import POSITIONS_MAX, barred_from
from app.tracks import Fix
from dispatch.commands import Actor

TAG = Tag(name="Phones", description="Positions from the apps Traccar Client and OwnTracks.")
KNOT_MPS = 1852 / 3600
KMH_MPS = 1 / 3.6
AHEAD_US = 5_000_000
"""A phone's clock may be this much ahead without anybody minding."""
AHEAD_MOST_US = 600_000_000
"""A clock further ahead than this is not corrected: its positions are left out."""
_AHEAD_BELIEVED_US = 60_000_000
_PHONES_MAX = 10_000
_UNSIGNED_PLUS = re.compile(r" (\d\d:?\d\d)$")


class NeverRight(Exception):
    """A position that stays wrong however often it is sent. `code` as in a Refusal."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code

    def as_refused(self, index: int) -> dict[str, Any]:
        return {"index": index, "code": self.code, "detail": str(self)}


class Clocks:
    """How far phones' clocks are ahead of ours. Nothing can be observed after it has come in, so what a
    position claims beyond that is the clock's error, and goes for the older ones that wait behind it too."""

    def __init__(self) -> None:
        self._ahead: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def ahead_us(self, phone: str, newest_us: int, received_us: int) -> int:
        """Microseconds to take off this phone's times; `newest_us` is the latest of those it just sent."""
        ahead_us, until_us = self._ahead.get(phone, (0, 0))
        if received_us >= until_us:
            ahead_us = 0
        over_us = newest_us - received_us
        if AHEAD_US < over_us <= AHEAD_MOST_US:
            ahead_us = max(ahead_us, over_us)
            self._ahead[phone] = (ahead_us, received_us + _AHEAD_BELIEVED_US)
            self._ahead.move_to_end(phone)
            while len(self._ahead) > _PHONES_MAX:
                self._ahead.popitem(last=False)
        return ahead_us


def enter(secret: str | None) -> tuple[Actor, str]:
    """The phone behind a token, and its unit. Sets `g.actor`; raises Problem."""
    parts = core()
    if not secret:
        raise Problem(401, "sign-in", "The token is missing: give it as the device's id, or as the password.")
    who_asks = parts.accounts.by_token_from(secret, request.remote_addr or "")
    if who_asks is not None and demo.is_demo_token(who_asks.name) and not parts.config.demo:
        who_asks = None
    if who_asks is None:
        raise Problem(401, "bad-token", "The token is unknown or revoked.")
    g.actor = who_asks
    asked = trace.current()
    if asked is not None:
        asked.actor = who_asks.label
    require_role("position.report")
    if who_asks.unit is None:
        raise Problem(
            403, "token-without-unit", "A phone's token moves one unit and is bound to it; your unit: none."
        )
    if parts.picture.now.unit(who_asks.unit) is None:
        raise Problem(404, "unknown-unit", f"There is no unit {who_asks.unit}; register it first.")
    if why := barred_from(who_asks, who_asks.unit):
        raise Problem(403, "forbidden", why)
    return who_asks, who_asks.unit


def take(who_asks: Actor, fixes: list[Fix]) -> dict[str, Any]:
    """Hand the positions of one phone over, by our own clock. Raises Problem when they must wait."""
    parts = core()
    received_us = parts.world.clock.now_us()
    clocks: Clocks = current_app.extensions.setdefault("straja_phone_clocks", Clocks())
    newest_us = max((fix.observed_us for fix in fixes), default=0)
    ahead_us = clocks.ahead_us(who_asks.name, newest_us, received_us)
    if ahead_us:
        fixes = [fix._replace(observed_us=fix.observed_us - ahead_us) for fix in fixes]
    receipt = parts.tracks.accept(fixes, who_asks.name, received_us)
    if any(refusal.code == "overloaded" for refusal in receipt.refused):
        raise Problem(503, "overloaded", "Too many positions wait to be saved.", retry_after_s=1)
    return {
        "accepted": receipt.accepted,
        "late": receipt.late,
        "duplicates": receipt.duplicates,
        "refused": [{"index": r.index, "code": r.code, "detail": r.detail} for r in receipt.refused],
    }


def told(body: Any, left_out: list[dict[str, Any]]) -> Response:
    """200, and for whoever looks with other tools than the app, what was left out."""
    answer = jsonify(body)
    if left_out:
        answer.headers["Straja-Left-Out"] = ", ".join(sorted({r["code"] for r in left_out}))
    return answer


# ---- Traccar Client, and whatever else speaks OsmAnd's protocol


_OSMAND = {
    "id": "The token.",
    "lat": "Degrees.",
    "lon": "Degrees.",
    "timestamp": "Seconds, milliseconds or ISO 8601.",
    "speed": "Knots.",
    "bearing": "Degrees from north.",
    "accuracy": "Metres.",
}
_QUERY = {
    "parameters": [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in _OSMAND.items()
    ]
}
_BODY = {
    "requestBody": {
        "content": {
            kind: {"schema": {"type": "object", "additionalProperties": True}}
            for kind in ("application/json", "application/x-www-form-urlencoded")
        }
    }
}


@blueprint.get(
    "/phones/osmand",
    tags=[TAG],
    summary="A position by OsmAnd's protocol, in the query",
    responses={200: shapes.PhoneReceipt},
    openapi_extensions=_QUERY,
)
def get_osmand() -> Response:
    return _osmand()


@blueprint.post(
    "/phones/osmand",
    tags=[TAG],
    summary="Positions of Traccar Client, as JSON, form or query",
    responses={200: shapes.PhoneReceipt},
    openapi_extensions=_QUERY | _BODY,
)
def post_osmand() -> Response:
    return _osmand()


def _osmand() -> Response:
    """The query, the form, or JSON: one object, a list of such, or Traccar Client's own."""
    given = _osmand_rows()
    header = bearer(request.headers.get("Authorization", ""))
    auth = request.authorization
    password = auth.password if auth is not None and auth.type == "basic" else None
    named = {row.pop("id") for row in given if "id" in row}
    if len(named) > 1:
        raise wrong("id", "invalid", "The positions of one request are those of one device.")
    who_asks, unit = enter(header or password or next(iter(named), None))
    fixes: dict[int, Fix] = {}
    refused = []
    for i, row in enumerate(given):
        try:
            fix = _osmand_fix(row, unit)
        except NeverRight as fault:
            refused.append(fault.as_refused(i))
            continue
        if fix is not None:
            fixes[i] = fix
    receipt = take(who_asks, list(fixes.values()))
    row_of = list(fixes)
    refused += [{**one, "index": row_of[one["index"]]} for one in receipt["refused"]]
    receipt["refused"] = sorted(refused, key=lambda one: one["index"])
    return told(receipt, receipt["refused"])


def _osmand_rows() -> list[dict[str, Any]]:
    """What was sent as flat rows with the names of the query; `mps` is a speed in metres a second."""
    if not request.is_json:
        row: dict[str, Any] = request.values.to_dict()
        row.setdefault("id", row.pop("deviceid", None))
        return [row]
    body = json_body()
    rows = []
    for one in body if isinstance(body, list) else [body]:
        if not isinstance(one, dict):
            raise wrong("body", "invalid", "Not a JSON object, nor a list of such.")
        device = one.get("device_id", one.get("id", one.get("deviceid", request.args.get("id"))))
        location = one.get("location")
        if isinstance(location, dict | list):
            # An empty list is a sign of life, and the token in it counts.
            rows += [{"id": device, **_sdk_row(each)} for each in _listed(location)] or [{"id": device}]
        else:
            rows.append({**one, "id": device})
    if not rows:
        rows.append({"id": request.args.get("id")})
    if len(rows) > POSITIONS_MAX:
        raise Problem(413, "too-many-positions", f"{len(rows)} positions; {POSITIONS_MAX} are the most.")
    for row in rows:
        if row["id"] is not None and not isinstance(row["id"], str):
            row["id"] = str(row["id"])
    return rows


def _listed(location: Any) -> Iterator[Mapping[str, Any]]:
    for one in location if isinstance(location, list) else [location]:
        if not isinstance(one, dict):
            raise wrong("location", "invalid", "Not an object.")
        yield one


def _sdk_row(location: Mapping[str, Any]) -> dict[str, Any]:
    """One location as Traccar Client from 9.0 on sends it; a heartbeat may come without coordinates."""
    coords = location.get("coords")
    if coords is None:
        coords = {}
    if not isinstance(coords, dict):
        raise wrong("location.coords", "invalid", "Not an object.")
    return {
        "timestamp": location.get("timestamp"),
        "lat": coords.get("latitude"),
        "lon": coords.get("longitude"),
        "mps": coords.get("speed"),
        "heading": coords.get("heading"),
        "accuracy": coords.get("accuracy"),
    }


def _osmand_fix(row: Mapping[str, Any], unit: str) -> Fix | None:
    """None where the phone had no position to tell: it says that it lives, and must be told 200. Raises
    NeverRight."""
    lat, lon = row.get("lat"), row.get("lon")
    if isinstance(row.get("location"), str) and lat is None:
        lat, _, lon = row["location"].partition(",")
    if str(row.get("valid", "true")).lower() in ("false", "0") or (lat is None and lon is None):
        return None
    speed_kn = number(row.get("speed"))
    heading = row.get("bearing", row.get("heading"))
    return Fix(
        unit,
        coordinate(lon, "lon"),
        coordinate(lat, "lat"),
        moment_of(row.get("timestamp"), "timestamp"),
        number(row.get("mps")) if speed_kn is None else speed_kn * KNOT_MPS,
        _known(number(heading)),
        _known(number(row.get("accuracy"))),
    )


# ---- OwnTracks


@blueprint.post(
    "/phones/owntracks",
    tags=[TAG],
    summary="A message of OwnTracks in HTTP mode",
    responses={200: shapes.NoMessages},
    openapi_extensions=_BODY,
)
def post_owntracks() -> Response:
    """A message of the app: its positions are taken, everything else it tells is not for us."""
    auth = request.authorization
    password = auth.password if auth is not None and auth.type == "basic" else None
    who_asks, unit = enter(bearer(request.headers.get("Authorization", "")) or password)
    if not request.get_data():
        return told([], [])
    body = json_body()
    if not isinstance(body, dict):
        raise wrong("body", "invalid", "Not a JSON object.")
    kind = body.get("_type")
    if not isinstance(kind, str):
        raise wrong("_type", "invalid", "Every message of OwnTracks has its _type.")
    if kind == "encrypted":
        # The app would show that all is well, and the unit would never move.
        raise wrong("_type", "encrypted", "Straja cannot read it: take the encryption key out of the app.")
    # A ping repeats the last position under the time of the ping, which would make an old one look new.
    if kind != "location" or body.get("t") == "p":
        return told([], [])
    speed_kmh = number(body.get("vel"))
    try:
        if body.get("tst") in (None, ""):
            raise NeverRight("bad-time", "tst is missing: a position of unknown age must not look live.")
        fix = Fix(
            unit,
            coordinate(body.get("lon"), "lon"),
            coordinate(body.get("lat"), "lat"),
            moment_of(body["tst"], "tst"),
            None if speed_kmh is None else speed_kmh * KMH_MPS,
            _known(number(body.get("cog"))),
            _known(number(body.get("acc"))),
        )
    except NeverRight as fault:
        return told([], [fault.as_refused(0)])
    # The app takes an answer for a list of messages to itself: nothing but an empty one will do.
    return told([], take(who_asks, [fix])["refused"])


# ---- what fields hold


def json_body() -> Any:
    """OwnTracks for iOS has sent JSON under other names: what counts is that it can be read."""
    try:
        return request.get_json(force=True)
    except RecursionError:
        raise Problem(400, "bad-request", "The JSON is nested too deeply.") from None


def number(value: Any) -> float | None:
    """A number, or a text that is one, as queries have it; None for anything else: a speed, heading or
    accuracy that cannot be read is left out, and the position kept."""
    try:
        if isinstance(value, str):
            return parse_number(value)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None


def coordinate(value: Any, field: str) -> float:
    """Degrees. Raises NeverRight naming the field."""
    found = number(value)
    if found is None:
        raise NeverRight("bad-coordinates", f"{field} is missing or not a number.")
    return found


def moment_of(value: Any, field: str) -> int:
    """Microseconds since the epoch of a time in seconds, milliseconds or ISO 8601 (UTC where it names no
    offset); now, where none is given. Raises NeverRight naming the field."""
    if value is None or value == "":
        return core().world.clock.now_us()
    text = str(value).strip()
    try:
        if re.fullmatch(r"[\d.]+", text, re.ASCII):
            seconds = float(text)
            return round(seconds * (1e6 if seconds < 2**31 else 1e3))
        if not text.isascii():
            raise ValueError("digits of another script")
        # A plus sign that was not written as %2B has come in as a blank.
        moment = datetime.fromisoformat(_UNSIGNED_PLUS.sub(r"+\1", text) if "T" in text else text)
    except (ValueError, OverflowError):
        raise NeverRight("bad-time", f"{field} is no time: seconds, milliseconds or ISO 8601.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def _known(value: float | None) -> float | None:
    """Apps say -1 for what they do not know."""
    return None if value is None or math.isnan(value) or value < 0 else value
