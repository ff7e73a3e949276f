"""Alarms of the system and of devices: what is wrong, who sees to it, what is put aside; never calls."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field, RootModel

from app.api.doors import (
    Problem,
    Strict,
    actor,
    blueprint,
    core,
    observed,
    request_id,
    require_role,
    rows,
    send,
    source,
    wrong,
)
from app.api.incidents import OWN_SOURCES
from app.api.shapes import Shape, Time, UndoShape
from app.auth import may
from app.rows import rfc3339
from dispatch import commands as c
from dispatch.alarm import (
    DELAY_MAX_S,
    ID_MAX,
    NAME_MAX,
    PRIORITIES,
    SHELF_MAX_US,
    STATES,
    WORDS_MAX,
    Alarm,
    figures,
)
from dispatch.commands import Actor

TAG = Tag(name="Alarms", description="What is wrong with the system and its devices.")
MINUTE_US = 60_000_000
Said = Annotated[str, Field(max_length=WORDS_MAX)]
State = Literal[STATES]  # type: ignore[valid-type]
Priority = Literal[PRIORITIES]  # type: ignore[valid-type]


class AlarmPath(Strict):
    alarm_id: str = Field(max_length=ID_MAX)


class AlarmsQuery(Strict):
    state: Literal["present", "all"] = Field(
        default="present",
        description="present: all but those that are normal; all: whatever was ever raised.",
    )


class NewAlarm(Strict):
    id: str = Field(
        min_length=1, max_length=ID_MAX, description="The same for all that is said of one thing."
    )
    on: bool = Field(default=True, strict=True, description="Whether it is wrong, or right again.")
    kind: Annotated[str, Field(max_length=NAME_MAX)] = ""
    group: Annotated[str, Field(max_length=NAME_MAX)] = Field(
        default="", description="The cause that it shares with others, such as a feeder."
    )
    priority: Priority | None = None
    title: Said = ""
    means: Said = ""
    todo: Said = ""
    detail: Said = ""
    on_delay_s: float = Field(default=0, ge=0, le=DELAY_MAX_S, allow_inf_nan=False)
    off_delay_s: float = Field(default=0, ge=0, le=DELAY_MAX_S, allow_inf_nan=False)
    at: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="RFC 3339: since when that is so."
    )
    source: str | None = Field(default=None, pattern=r"^[a-z0-9_-]{1,32}$")


class Shelf(Strict):
    minutes: int = Field(ge=1, le=SHELF_MAX_US // MINUTE_US, strict=True)
    reason: Said = ""


class OutOfService(Strict):
    reason: Annotated[str, Field(min_length=1, max_length=WORDS_MAX)]


class PhaseShape(Shape):
    at: Time
    state: State


class AlarmShape(Shape):
    """`phases`: what it is, and what time alone makes of it from when on. `title`, `means`, `todo` are null
    where the kind has its words on every console."""

    id: str
    kind: str
    group: str
    priority: Priority
    state: State
    phases: list[PhaseShape]
    title: str | None
    means: str | None
    todo: str | None
    detail: str | None
    source: str
    raised_by: str
    raised_at: Time | None
    cleared_at: Time | None
    acknowledged_at: Time | None
    acknowledged_by: str | None
    shelved_at: Time | None
    shelved_by: str | None
    shelved_until: Time | None
    shelf_reason: str | None
    out_of_service_at: Time | None
    out_of_service_by: str | None
    out_of_service_reason: str | None
    chattering_until: Time | None
    announced_at: list[Time] = Field(description="Within the last ten minutes, and the one to come.")
    count_24h: int
    upgrade_needed: bool
    district: str
    station: str
    rev: int


class ChangedAlarmShape(AlarmShape):
    log_position: str
    undo: UndoShape | None = None


class Alarms(RootModel[list[AlarmShape]]):
    pass


class BadActorShape(Shape):
    id: str
    kind: str
    title: str | None
    detail: str | None
    count: int
    share_pct: float


class AlarmFigures(Shape):
    """Of the last 24 h; `per_hour` begins with the oldest hour."""

    at: Time
    total: int
    per_hour: list[int]
    last_10_min: int
    peak_10_min: int
    flood_since: Time | None
    standing: list[str] = Field(description="For longer than a day.")
    chattering: list[str]
    bad_actors: list[BadActorShape]
    by_priority: dict[str, int]
    shelved: int
    out_of_service: int


def _sees(who_asks: Actor, x: Alarm) -> bool:
    return may(who_asks, "alarm.read", district=x.district)


def _alarm_or_404(alarm_id: str) -> Alarm:
    require_role("alarm.read")
    found = core().picture.now.alarm(alarm_id)
    if found is None or not found.raised or not _sees(actor(), found):
        raise Problem(404, "unknown-alarm", f"There is no alarm {alarm_id}.")
    return found


def _fresh(alarm_id: str, cursor: str) -> Response:
    found = core().picture.now.alarm(alarm_id)
    if found is None or not found.raised:
        raise Problem(404, "unknown-alarm", f"There is no alarm {alarm_id}.")
    return jsonify({**rows().alarm(found, core().world.clock.now_us()), "log_position": cursor})


@blueprint.get("/alarms", tags=[TAG], summary="Alarms, the most urgent first", responses={200: Alarms})
def list_alarms(query: AlarmsQuery) -> Response:
    who_asks = require_role("alarm.read")
    now_us = core().world.clock.now_us()
    found = [x for x in core().picture.now.alarms() if _sees(who_asks, x)]
    if query.state == "present":
        found = [x for x in found if any(state != "normal" for _, state in x.phases(now_us))]
    found.sort(
        key=lambda x: (STATES.index(x.state(now_us)), PRIORITIES.index(x.priority), x.on_us or 0, x.id)
    )
    return jsonify([rows().alarm(x, now_us) for x in found])


@blueprint.get(
    "/alarms/figures",
    tags=[TAG],
    summary="How the alarms themselves do: rates, floods, bad actors",
    responses={200: AlarmFigures},
)
def alarm_figures() -> Response:
    who_asks = require_role("alarm.read")
    now_us = core().world.clock.now_us()
    seen = {x.id: x for x in core().picture.now.alarms() if _sees(who_asks, x)}
    done = figures(seen.values(), now_us)
    states = [x.state(now_us) for x in seen.values()]
    worst = [
        {
            "id": ident,
            "kind": seen[ident].kind,
            "title": seen[ident].title or None,
            "detail": seen[ident].detail or None,
            "count": count,
            "share_pct": round(100 * count / done.total, 1),
        }
        for ident, count in done.worst
    ]
    return jsonify(
        {
            "at": rfc3339(now_us),
            "total": done.total,
            "per_hour": done.per_hour,
            "last_10_min": done.last_10_min,
            "peak_10_min": done.peak_10_min,
            "flood_since": rfc3339(done.flood_since_us),
            "standing": done.standing,
            "chattering": done.chattering,
            "bad_actors": worst,
            "by_priority": done.by_priority,
            "shelved": states.count("shelved"),
            "out_of_service": states.count("out_of_service"),
        }
    )


@blueprint.get("/alarms/<alarm_id>", tags=[TAG], summary="One alarm", responses={200: AlarmShape})
def get_alarm(path: AlarmPath) -> Response:
    return jsonify(rows().alarm(_alarm_or_404(path.alarm_id), core().world.clock.now_us()))


@blueprint.post(
    "/alarms", tags=[TAG], summary="Something is wrong, or right again", responses={201: ChangedAlarmShape}
)
def post_alarm(body: NewAlarm) -> tuple[Response, int]:
    require_role("alarm.report")
    if body.source in OWN_SOURCES and body.source != source():
        raise wrong("source", "reserved-source", f"{body.source} is a part of this station itself.")
    told = body.model_dump(exclude={"id", "at", "source"})
    command = c.ReportAlarm(
        id=request_id(),
        source=body.source or source(),
        observed_us=observed(body.at, "at"),
        alarm=body.id,
        **told,
    )
    return _fresh(body.id.strip(), send(command)), 201


@blueprint.post(
    "/alarms/<alarm_id>/acknowledge",
    tags=[TAG],
    summary="Somebody sees to it",
    responses={200: ChangedAlarmShape},
)
def acknowledge_alarm(path: AlarmPath) -> Response:
    _alarm_or_404(path.alarm_id)
    command = c.AcknowledgeAlarm(id=request_id(), source=source(), alarm=path.alarm_id)
    return _fresh(path.alarm_id, send(command))


@blueprint.put(
    "/alarms/<alarm_id>/shelf",
    tags=[TAG],
    summary="Out of the way for so long",
    responses={200: ChangedAlarmShape},
)
def shelve_alarm(path: AlarmPath, body: Shelf) -> Response:
    _alarm_or_404(path.alarm_id)
    command = c.ShelveAlarm(
        id=request_id(),
        source=source(),
        alarm=path.alarm_id,
        for_us=body.minutes * MINUTE_US,
        reason=body.reason,
    )
    return _fresh(path.alarm_id, send(command))


@blueprint.delete(
    "/alarms/<alarm_id>/shelf", tags=[TAG], summary="Back from there", responses={200: ChangedAlarmShape}
)
def unshelve_alarm(path: AlarmPath) -> Response:
    _alarm_or_404(path.alarm_id)
    command = c.UnshelveAlarm(id=request_id(), source=source(), alarm=path.alarm_id)
    return _fresh(path.alarm_id, send(command))


def _service(alarm_id: str, in_service: bool, reason: str) -> Response:
    require_role("alarm.service")
    _alarm_or_404(alarm_id)
    command = c.SetAlarmService(
        id=request_id(), source=source(), alarm=alarm_id, in_service=in_service, reason=reason
    )
    return _fresh(alarm_id, send(command))


@blueprint.put(
    "/alarms/<alarm_id>/out-of-service",
    tags=[TAG],
    summary="Not to be heard until it is put back",
    responses={200: ChangedAlarmShape},
)
def take_alarm_out(path: AlarmPath, body: OutOfService) -> Response:
    return _service(path.alarm_id, False, body.reason)


@blueprint.delete(
    "/alarms/<alarm_id>/out-of-service",
    tags=[TAG],
    summary="In service again",
    responses={200: ChangedAlarmShape},
)
def put_alarm_back(path: AlarmPath) -> Response:
    return _service(path.alarm_id, True, "")
