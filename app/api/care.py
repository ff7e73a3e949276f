"""What a control room sees to on an incident: who owns it, the checklist, whether its crews are well, who was
told; and the colleagues whom an incident can be handed to."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field, RootModel

from app.api.doors import (
    Strict,
    Uuid,
    actor,
    blueprint,
    core,
    fresh_incident,
    incident_or_404,
    request_id,
    require_role,
    send,
    source,
    wrong,
)
from app.api.incidents import IncidentPath, Short
from app.api.shapes import ChangedIncidentShape, Shape
from app.auth import could, may
from dispatch import commands as c
from dispatch.care import CHECK_STATES, NOTICE_STATES, REMIND_MAX_S, RESULTS, VIAS
from dispatch.commands import Actor
from dispatch.incident import Incident

TAG = Tag(name="Incidents")


class CheckPath(Strict):
    incident_id: str = Field(max_length=64)
    check: str = Field(max_length=32)


class NoticePath(Strict):
    incident_id: str = Field(max_length=64)
    notice_id: str = Field(max_length=64)


class Owner(Strict):
    owner: Annotated[str, Field(max_length=64)] | None = Field(description="A login; null: nobody.")
    was: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="From whom it is taken, as far as the asker knows."
    )


class CheckState(Strict):
    state: Literal[CHECK_STATES]  # type: ignore[valid-type]


class CrewCheck(Strict):
    units: list[Annotated[str, Field(max_length=32)]] = Field(min_length=1, max_length=100)
    result: Literal[RESULTS] = "well"  # type: ignore[valid-type]
    note: Short = ""


class Person(Strict):
    name: Annotated[str, Field(max_length=128)] = ""
    role: Annotated[str, Field(max_length=128)] = ""
    number: Annotated[str, Field(max_length=50)] = ""


class CameOfIt(Strict):
    state: Literal[NOTICE_STATES]  # type: ignore[valid-type]
    note: Short = ""
    remind_s: int | None = Field(
        default=None, ge=0, le=REMIND_MAX_S, strict=True,
        description="Try again after so many seconds; none: as is usual for the state, 0: never.",
    )  # fmt: skip


class NewNotice(CameOfIt):
    id: Uuid = Field(description="A UUID made by the client.")
    person: Person = Field(default_factory=Person)
    partner: str | None = Field(default=None, max_length=32, description="Whom the pack says is to be told.")
    via: Literal[VIAS] = "phone"  # type: ignore[valid-type]


class ColleagueShape(Shape):
    name: str
    display_name: str
    role: str


class Colleagues(RootModel[list[ColleagueShape]]):
    pass


def _changed(incident_id: str, command: c.Command) -> Response:
    cursor = send(command)
    return jsonify({**fresh_incident(incident_id), "log_position": cursor})


def _colleagues() -> list[Actor]:
    """Everybody who can see an incident through."""
    found = [
        Actor(x.name, x.role, x.districts, x.unit, x.display_name)
        for x in core().accounts.accounts()
        if not x.disabled
    ]
    return [x for x in found if could(x, "incident.own")]


@blueprint.get(
    "/colleagues", tags=[TAG], summary="Whom an incident can be handed to", responses={200: Colleagues}
)
def list_colleagues() -> Response:
    require_role("colleague.read")
    listed = [
        {"name": x.name, "display_name": x.display_name or x.name, "role": x.role} for x in _colleagues()
    ]
    return jsonify(listed)


@blueprint.put(
    "/incidents/<incident_id>/owner",
    tags=[TAG],
    summary="Who sees it through",
    responses={200: ChangedIncidentShape},
)
def put_owner(path: IncidentPath, body: Owner) -> Response:
    incident = incident_or_404(path.incident_id)
    require_role("incident.own")
    owner = (body.owner or "").strip()
    if owner and owner != actor().name:
        _must_be_able(owner, incident)
    command = c.SetOwner(
        id=request_id(), source=source(), incident=incident.id, owner=owner, was=body.was or ""
    )
    return _changed(incident.id, command)


def _must_be_able(owner: str, incident: Incident) -> None:
    found = next((x for x in _colleagues() if x.name == owner), None)
    if found is None:
        raise wrong("owner", "unknown-colleague", f"There is no {owner!r} here who takes incidents.")
    if not may(found, "incident.own", district=incident.district):
        raise wrong("owner", "colleague-elsewhere", f"{owner} does not command {incident.district}.")


@blueprint.put(
    "/incidents/<incident_id>/checks/<check>",
    tags=[TAG],
    summary="Where an item of its checklist stands",
    responses={200: ChangedIncidentShape},
)
def put_check(path: CheckPath, body: CheckState) -> Response:
    incident = incident_or_404(path.incident_id)
    command = c.MarkCheck(
        id=request_id(), source=source(), incident=incident.id, check=path.check, state=body.state
    )
    return _changed(incident.id, command)


@blueprint.post(
    "/incidents/<incident_id>/crew-checks",
    tags=[TAG],
    summary="Crews were asked whether all are well",
    responses={200: ChangedIncidentShape},
)
def check_crews(path: IncidentPath, body: CrewCheck) -> Response:
    incident = incident_or_404(path.incident_id)
    command = c.CheckCrews(
        id=request_id(),
        source=source(),
        incident=incident.id,
        units=tuple(body.units),
        result=body.result,
        note=body.note,
    )
    return _changed(incident.id, command)


@blueprint.post(
    "/incidents/<incident_id>/notices",
    tags=[TAG],
    summary="Somebody was told, or rung in vain",
    responses={201: ChangedIncidentShape},
)
def post_notice(path: IncidentPath, body: NewNotice) -> tuple[Response, int]:
    incident = incident_or_404(path.incident_id)
    command = c.NotifyPerson(
        id=body.id,
        source=source(),
        incident=incident.id,
        notice=body.id,
        person=body.person.model_dump(),
        partner=body.partner,
        via=body.via,
        state=body.state,
        note=body.note,
        remind_s=body.remind_s,
    )
    return _changed(incident.id, command), 201


@blueprint.post(
    "/incidents/<incident_id>/notices/<notice_id>",
    tags=[TAG],
    summary="What came of telling somebody",
    responses={200: ChangedIncidentShape},
)
def follow_notice(path: NoticePath, body: CameOfIt) -> Response:
    incident = incident_or_404(path.incident_id)
    command = c.FollowNotice(
        id=request_id(),
        source=source(),
        incident=incident.id,
        notice=path.notice_id,
        state=body.state,
        note=body.note,
        remind_s=body.remind_s,
    )
    return _changed(incident.id, command)
