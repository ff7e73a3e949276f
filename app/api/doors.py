"""What every handler shares: who is asking, whether they may, and errors that name what is wrong.

Errors are problem+json (RFC 9457) with a stable `code`; the type is `urn:straja:problem:CODE`.
"""

from __future__ import annotations

import logging
import re
import uuid
from functools import lru_cache
from typing import Annotated, Any, cast
from urllib.parse import quote

from flask import Flask, Response, current_app, g, jsonify, request
from flask_openapi3 import APIBlueprint
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestedRangeNotSatisfiable

from app import demo, metrics, trace
from app.api.shapes import PROBLEMS
from app.auth import BadLogin, Locked, could, csrf_matches, explain, may
from app.core import Core
from app.database import UNREACHABLE
from app.log import StorageError
from app.native import start_thread
from app.recommendation import Recommendation
from app.rows import Rows, parse_time, rfc3339
from app.submit import KEYED
from app.words import Words, pick_language, words_in
from dispatch.commands import SYSTEM, Actor, Command, RecordOffer, Refused, who
from dispatch.incident import Incident
from dispatch.plans import Pack
from dispatch.unit import Unit

COOKIE = "straja_session"
log = logging.getLogger("straja.api")

blueprint = APIBlueprint("api", __name__, url_prefix="/api/v1", abp_responses=PROBLEMS)


class Strict(BaseModel):
    """A body or query in which an unknown field is an error, not a silence."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str) and any(ch == "\0" or "\ud800" <= ch <= "\udfff" for ch in text):
                # PostgreSQL cannot hold the one, UTF-8 not the other.
                raise PydanticCustomError(
                    "unstorable_text", "a NUL or half a surrogate pair stands in the text"
                )
        return value


def _a_uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise PydanticCustomError("uuid", "must be a UUID") from None


Uuid = Annotated[str, AfterValidator(_a_uuid)]
"""An id that a client makes: any spelling of a UUID, kept in the usual one."""


class EraseReason(Strict):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Problem(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra


TITLES = {
    400: "The request cannot be read",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "The request did not come in time",
    409: "It conflicts with what is so now",
    413: "The request is too large",
    415: "The body must be JSON",
    416: "The file has no such bytes",
    422: "The request is not right",
    429: "Too many attempts",
    500: "An error in Straja",
    503: "Not possible just now",
    507: "No disk space",
}


def problem_body(status: int, code: str, detail: str, instance: str, **extra: Any) -> dict[str, Any]:
    """The members of a problem (RFC 9457), with the id under which the logs have the request."""
    asked = trace.request_id()
    return {
        "type": f"urn:straja:problem:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "instance": instance,
        **({} if asked is None else {"request_id": asked}),
        **extra,
    }


def problem(status: int, code: str, detail: str, **extra: Any) -> Response:
    answer = jsonify(problem_body(status, code, detail, request.path, **extra))
    answer.status_code = status
    answer.mimetype = "application/problem+json"
    if "retry_after_s" in extra:
        answer.headers["Retry-After"] = str(extra["retry_after_s"])
    return answer


def core() -> Core:
    return cast(Core, current_app.extensions["straja"])


def rows() -> Rows:
    return cast(Rows, current_app.extensions["straja_rows"])


def pack() -> Pack:
    return core().pack


def words() -> Words:
    return words_in(pick_language(request.headers.get("Accept-Language")))


# ---- which request


@lru_cache(maxsize=256)
def _template(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def begin() -> None:
    """Before anything else of a request: it gets its id, the caller's own where that is well formed."""
    rule = "" if request.url_rule is None else _template(request.url_rule.rule)
    # Where no door answers, what the caller wrote is not worth a line of its own.
    route = rule or "(none)"
    trace.begin(trace.Asked(trace.accepted(request.headers.get("X-Request-Id")), None, request.method, route))
    g.stopwatch = trace.Stopwatch()


def answered(answer: Response) -> Response:
    """After a request: the answer names its id, and a line tells how it went."""
    asked = trace.current()
    if asked is not None and asked.method and asked.route and "stopwatch" in g:
        answer.headers["X-Request-Id"] = asked.request_id
        seconds = g.stopwatch.seconds
        trace.tell_request(asked.method, asked.route, answer.status_code, seconds)
        metrics.answered(asked.method, asked.route, answer.status_code, seconds)
    return answer


def ended(_error: BaseException | None) -> None:
    """The connection may bring another request: this one is over."""
    trace.begin(None)


# ---- who is asking


def bearer(header: str) -> str | None:
    """The token in an Authorization header; None for any other scheme."""
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def identify() -> None:
    """Before each request: set `g.actor` from the bearer token or the session cookie, or leave it None."""
    g.actor = None
    g.csrf = None
    try:
        _identify()
    finally:
        asked = trace.current()
        if asked is not None and g.actor is not None:
            asked.actor = g.actor.label


def _identify() -> None:
    if request.endpoint in PHONES:
        return
    header = request.headers.get("Authorization", "")
    if header:
        secret = bearer(header)
        if secret is not None:
            g.actor = core().accounts.by_token(secret)
        if g.actor is not None and demo.is_demo_token(g.actor.name) and not core().config.demo:
            g.actor = None
        if g.actor is None:
            raise Problem(401, "bad-token", "The bearer token is unknown or revoked.")
        return
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return
    known = core().accounts.by_session(cookie)
    if known is None:
        return
    g.actor, g.csrf = known
    safe = request.method in ("GET", "HEAD", "OPTIONS")
    if not safe and not csrf_matches(g.csrf, request.headers.get("X-CSRF-Token")):
        raise Problem(403, "csrf", "A write with a session cookie needs its X-CSRF-Token header.")


PHONES = {"api.get_osmand", "api.post_osmand", "api.post_owntracks"}
"""Doors of apps that can send no bearer token, and not only JSON: they find out themselves who is there."""
OPEN_TO_STRANGERS = {"api.get_session", "api.post_session", "api.delete_session"}


TAKES_FILES = {"api.import_layer"}


def admit() -> None:
    """Before each call of the API, before anything of it is looked at: strangers are turned away, and a body
    must be JSON that can be read, but where a file is meant."""
    if request.blueprint != blueprint.name or request.endpoint in PHONES:
        return
    if request.endpoint not in OPEN_TO_STRANGERS:
        actor()
    if request.endpoint in TAKES_FILES:
        return
    if request.method in ("POST", "PATCH", "PUT") and request.get_data():
        try:
            request.get_json()
        except RecursionError:
            raise Problem(400, "bad-request", "The JSON is nested too deeply.") from None


def actor() -> Actor:
    """Who asks; a 401 for a stranger."""
    if g.actor is None:
        raise Problem(401, "sign-in", "Sign in, or send a bearer token.")
    return cast(Actor, g.actor)


def require(action: str, *, district: str | None = None, unit: Any = None) -> Actor:
    """The actor, if the role and the districts allow `action` on this subject; else 401 or 403."""
    who_asks = actor()
    if not may(who_asks, action, district=district, unit=unit):
        raise Problem(
            403, "forbidden", explain(who_asks, action, district=district, unit=unit), action=action
        )
    return who_asks


def require_role(action: str) -> Actor:
    """For doors where the subject is looked at later, row by row."""
    who_asks = actor()
    if not could(who_asks, action):
        raise Problem(403, "forbidden", explain(who_asks, action), action=action)
    return who_asks


def sees(who_asks: Actor, x: Incident) -> bool:
    units = [a.unit for a in x.active()]
    return may(who_asks, "incident.read", district=x.district, unit=units)


def sees_unit(who_asks: Actor, x: Unit) -> bool:
    return may(who_asks, "unit.read", district=x.district, unit=x.id)


def sees_personal(who_asks: Actor, x: Incident) -> bool:
    units = [a.unit for a in x.active()]
    return may(who_asks, "personal.read", district=x.district, unit=units)


def incident_or_404(incident_id: str) -> Incident:
    found = core().picture.now.incident(incident_id)
    if found is None or not found.reported or not sees(actor(), found):
        raise Problem(404, "unknown-incident", f"There is no incident {incident_id}.")
    return found


def unit_or_404(unit_id: str) -> Unit:
    found = core().picture.now.unit(unit_id)
    if found is None or not found.registered or not sees_unit(actor(), found):
        raise Problem(404, "unknown-unit", f"There is no unit {unit_id!r}.")
    return found


def incident_row(x: Incident) -> dict[str, Any]:
    return rows().incident(x, personal=sees_personal(actor(), x))


def unit_row(x: Unit) -> dict[str, Any]:
    opened = may(actor(), "personal.read", district=x.district, unit=x.id)
    return rows().unit(x, personal=opened)


def fresh_incident(incident_id: str) -> dict[str, Any]:
    """The row after a change just made: by its own committed state, whatever the actor may read."""
    found = core().picture.now.incident(incident_id)
    if found is None:
        raise Problem(404, "unknown-incident", f"There is no incident {incident_id}.")
    if not sees(actor(), found):
        return {"id": found.id, "number": found.number}
    return incident_row(found)


# ---- writing


def wrong(field: str, code: str, detail: str, **extra: Any) -> Problem:
    """A 422 that names the field."""
    return Problem(422, code, detail, errors=[{"field": field, "message": detail}], **extra)


_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)


def parse_number(text: str) -> float:
    """The number written so. ValueError for everything else that Python itself reads as one: 6_0, nan, and
    digits of other scripts."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return float(text)


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)", re.ASCII)
TIME_REACH_S = 7 * 86_400
"""How far from now a time in a request may lie: beyond it some clock or program is wrong."""


def parse_moment(text: str) -> int:
    """Microseconds since the epoch. ValueError or OverflowError unless it is RFC 3339 with an offset."""
    if not _RFC_3339.fullmatch(text):
        raise ValueError("not RFC 3339, such as 2026-11-23T03:00:00Z or 2026-11-23T05:00:00+02:00")
    return parse_time(text.upper())


def moment(text: str | None, field: str, *, ahead_s: float = TIME_REACH_S) -> int | None:
    """A time given in a body, in microseconds since the epoch, if it lies within a week of now and at most
    `ahead_s` ahead; how far off it is otherwise is said."""
    if text is None:
        return None
    try:
        at = parse_moment(text)
    except (ValueError, OverflowError) as error:
        raise wrong(field, "bad-time", f"{field}: {error}") from None
    off_s = (at - core().world.clock.now_us()) / 1e6
    if off_s > ahead_s:
        code = "time-in-future" if ahead_s < TIME_REACH_S else "time-too-far"
        raise wrong(field, code, f"{field} is {off_s:.0f} s in the future of this station's clock.")
    if off_s < -TIME_REACH_S:
        raise wrong(
            field, "time-too-old", f"{field} is {-off_s / 86_400:.0f} days ago by this station's clock."
        )
    return at


def observed(text: str | None, field: str) -> int | None:
    """When it happened: a clock that is a little fast is forgiven, a future time is not."""
    return moment(text, field, ahead_s=5)


def request_id() -> str:
    """The Idempotency-Key of the request, or a new id: a retry with the same key is the same request."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return str(uuid.uuid4())
    if not 8 <= len(key) <= 64 or not key.isascii() or not key.isprintable():
        raise Problem(
            422,
            "bad-idempotency-key",
            "Idempotency-Key has 8 to 64 printable ASCII characters; a UUID is best.",
            errors=[{"field": "Idempotency-Key", "message": "8 to 64 printable ASCII characters"}],
        )
    # Set apart from the ids that incidents and the keeper's own requests go by.
    return f"{KEYED}{key}"


def send(command: Command, asked: Any = None) -> str:
    """Submit, and answer with the cursor of the position that holds it. `asked`: see Door.submit."""
    answer = core().door.submit(command, actor(), asked)
    g.written = (command, answer)
    return core().log.cursor(answer.position)


def source() -> str:
    """Where a fact that comes through this door came from: a console, a program's token, the demo."""
    if g.csrf is not None:
        return "console"
    return demo.SOURCE if demo.is_demo_token(actor().name) else "api"


def paged(items: list[Any], next_cursor: str | None, **settled: Any) -> Response:
    """A bare array, with a link to the next page when there is more. `settled`: what the next page must be
    asked with, where that was not said."""
    answer = jsonify(items)
    if next_cursor is not None:
        args = {**request.args.to_dict(), **settled, "after": next_cursor}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in args.items())
        answer.headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return answer


# ---- errors


REFUSED_STATUS = {"invalid": 422, "missing": 404, "conflict": 409, "forbidden": 403}


def refused(error: Refused) -> Response:
    return problem(REFUSED_STATUS.get(error.kind, 422), **refusal(error))


def refusal(error: Refused) -> dict[str, Any]:
    """A refusal as the outside sees it: its code, its words and the facts behind it."""
    extra: dict[str, Any] = {}
    for name, value in error.extra.items():
        if name.endswith("_us"):
            extra[name[:-3]] = rfc3339(value)
        elif name == "by":
            extra[name] = who(value)
        elif name == "status":
            # A problem's own `status` is that of the answer.
            extra["unit_status"] = value
        else:
            extra[name] = value
    if error.field is not None:
        extra["errors"] = [{"field": error.field, "message": error.detail}]
    return {"code": error.code, "detail": error.detail, **extra}


def invalid(error: ValidationError) -> Response:
    """422 naming every field that is wrong, in the language of whoever asks."""
    say = words()
    errors = [
        {"field": _field(fault["loc"]), "message": _fault(fault, say)}
        for fault in error.errors(include_url=False, include_input=False)
    ]
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in errors[:5])
    return problem(422, "invalid", detail, errors=errors)


def _fault(fault: ErrorDetails, say: Words) -> str:
    """A fault of form in words; what a rule of our own says is worded where the rule stands."""
    key = f"form-{fault['type'].replace('_', '-')}"
    if not say.has(key):
        return fault["msg"]
    return say.say(key, {name: value for name, value in fault.get("ctx", {}).items() if name != "error"})


def _field(path: tuple[int | str, ...]) -> str:
    """The field at a path of pydantic's; what stands in brackets there only tells which kind was expected."""
    return ".".join(str(part) for part in path if not str(part).startswith("(")) or "body"


def register_errors(app: Flask) -> None:
    """Every way a request can fail, as problem+json."""

    @app.errorhandler(Problem)
    def _problem(error: Problem) -> Response:
        return problem(error.status, error.code, error.detail, **error.extra)

    @app.errorhandler(Refused)
    def _refused(error: Refused) -> Response:
        return refused(error)

    @app.errorhandler(StorageError)
    def _storage(error: StorageError) -> Response:
        full = error.code == "disk-full"
        return problem(507 if full else 503, error.code, error.detail, retry_after_s=30 if full else 2)

    def _away(error: Exception) -> Response:
        # The template, for a path may hold anything; and the driver's words without the statement's values.
        rule = "(none)" if request.url_rule is None else _template(request.url_rule.rule)
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        log.warning("%s %s: the database does not answer: %s", request.method, rule, said)
        return problem(
            503,
            "storage-unavailable",
            "The database does not answer; nothing of this was done. Send it again a little later.",
            retry_after_s=2,
        )

    for kind in UNREACHABLE:
        app.register_error_handler(kind, _away)

    @app.errorhandler(TimeoutError)
    def _slow(error: TimeoutError) -> Response:
        return problem(
            503,
            "no-answer",
            "The log did not answer in time; the same request may be sent again.",
            retry_after_s=2,
        )

    @app.errorhandler(BadLogin)
    def _bad_login(error: BadLogin) -> Response:
        return problem(401, "bad-login", "The name or the password is wrong.")

    @app.errorhandler(Locked)
    def _locked(error: Locked) -> Response:
        return problem(429, "locked", str(error), retry_after_s=error.retry_after_s)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        code = (error.name or "error").lower().replace(" ", "-")
        answer = problem(status, code, error.description or "")
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        if isinstance(error, RequestedRangeNotSatisfiable) and error.length is not None:
            answer.headers["Content-Range"] = f"{error.units} */{error.length}"
        return answer

    @app.errorhandler(Exception)
    def _unforeseen(error: Exception) -> Response:
        log.exception("a request failed")
        return problem(
            500,
            "internal",
            "Something went wrong here; it was logged. A change may have been recorded all the same: "
            "send the same request again, with the same id or key.",
        )


def remember_offer(incident: Incident, result: Recommendation) -> None:
    """Record the plan that was shown, when it is the first or another one than last time."""
    plan = tuple((pick.unit, round(pick.eta_s)) for pick in result.plan.chosen)
    if incident.offered == tuple(unit for unit, _ in plan) or not incident.open:
        return
    door = core().door
    command = RecordOffer(
        id=str(uuid.uuid4()),
        source="recommendation",
        incident=incident.id,
        units=plan,
        missing=result.plan.missing,
        travel=result.travel,
        fixes={unit: result.fixes[unit] for unit, _ in plan if unit in result.fixes},
    )

    def record() -> None:
        try:
            door.submit(command, SYSTEM)
        except (Refused, StorageError):
            # The offer is a note about a recommendation, never a reason to withhold it.
            log.warning("the plan offered for incident %s could not be recorded", incident.number)

    start_thread(record, "straja-offer")
