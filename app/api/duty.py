"""Duty lists: who is on duty where, with telephone numbers."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field, RootModel

from app.api.doors import Problem, Strict, blueprint, core, parse_moment, require_role, wrong
from app.api.shapes import Shape, Time
from app.duty import LIST_MAX, NAME_MAX, NOTE_MAX, NUMBER_MAX, NUMBERS_MAX, BadDuty, Entry, dialled
from app.rows import rfc3339

TAG = Tag(name="Duty", description="Whom to ring: the lists that the operator keeps.")


Numbers = Annotated[
    list[Annotated[str, Field(max_length=NUMBER_MAX)]], Field(min_length=1, max_length=NUMBERS_MAX)
]
Dialled = list[str]


class DutyPath(Strict):
    duty_id: str = Field(min_length=1, max_length=40)


class DutyQuery(Strict):
    at: str | None = Field(default=None, max_length=40, description="RFC 3339; none: now.")
    all: bool = Field(default=False, description="Also those who are not on duty then.")


class DutyBody(Strict):
    list: Annotated[str, Field(min_length=1, max_length=LIST_MAX)]
    name: Annotated[str, Field(max_length=NAME_MAX)] = ""
    role: Annotated[str, Field(max_length=NAME_MAX)] = ""
    partner: str | None = Field(default=None, max_length=32)
    numbers: Numbers
    from_: str | None = Field(default=None, max_length=40, alias="from", description="RFC 3339; none: open.")
    until: str | None = Field(default=None, max_length=40, description="RFC 3339; none: open.")
    note: Annotated[str, Field(max_length=NOTE_MAX)] = ""
    rank: int = Field(default=0, ge=0, le=100_000, strict=True, description="In which order to ring.")


class DutyFile(Strict):
    list: Annotated[str, Field(min_length=1, max_length=LIST_MAX)]
    csv: Annotated[str, Field(min_length=1, max_length=1_000_000)]


class DutyShape(Shape):
    id: str
    list: str
    name: str
    role: str
    partner: str | None
    numbers: Dialled
    from_: Time | None = Field(alias="from")
    until: Time | None
    note: str
    rank: int
    on_duty: bool
    changed_at: Time
    changed_by: str


class DutyEntries(RootModel[list[DutyShape]]):
    pass


class Imported(Shape):
    list: str
    entries: int


def _row(x: Entry, at_us: int) -> dict[str, Any]:
    return {
        "id": x.id,
        "list": x.list,
        "name": x.name,
        "role": x.role,
        "partner": x.partner,
        "numbers": list(x.numbers),
        "from": rfc3339(x.from_us),
        "until": rfc3339(x.until_us),
        "note": x.note,
        "rank": x.rank,
        "on_duty": x.on_duty(at_us),
        "changed_at": rfc3339(x.changed_us),
        "changed_by": x.changed_by,
    }


def _moment(text: str | None, field: str) -> int | None:
    """Any time at all: a list is written for the weeks ahead."""
    if text is None:
        return None
    try:
        return parse_moment(text)
    except (ValueError, OverflowError) as error:
        raise wrong(field, "bad-time", f"{field}: {error}") from None


def _refused(fault: BadDuty) -> Problem:
    errors = [{"field": where, "message": what} for where, what in fault.faults[:100]]
    return Problem(422, "bad-duty", f"Nothing was changed: {fault}"[:2000], errors=errors)


@blueprint.get("/duty", tags=[TAG], summary="Who is on duty, with numbers", responses={200: DutyEntries})
def list_duty(query: DutyQuery) -> Response:
    require_role("duty.read")
    at_us = _moment(query.at, "at")
    when_us = core().world.clock.now_us() if at_us is None else at_us
    return jsonify([_row(x, when_us) for x in core().duty.entries() if query.all or x.on_duty(when_us)])


@blueprint.put("/duty/<duty_id>", tags=[TAG], summary="Keep an entry", responses={200: DutyShape})
def put_duty(path: DutyPath, body: DutyBody) -> Response:
    who_asks = require_role("duty.edit")
    now_us = core().world.clock.now_us()
    entry = Entry(
        id=path.duty_id,
        list=body.list.strip(),
        name=body.name.strip(),
        role=body.role.strip(),
        partner=body.partner,
        numbers=dialled(body.numbers),
        from_us=_moment(body.from_, "from"),
        until_us=_moment(body.until, "until"),
        note=body.note.strip(),
        rank=body.rank,
        changed_us=now_us,
        changed_by=who_asks.name,
    )
    try:
        core().duty.put(entry)
    except BadDuty as fault:
        raise _refused(fault) from None
    return jsonify(_row(entry, now_us))


@blueprint.delete("/duty/<duty_id>", tags=[TAG], summary="Take an entry away")
def delete_duty(path: DutyPath) -> tuple[str, int]:
    require_role("duty.edit")
    core().duty.remove(path.duty_id)
    return "", 204


@blueprint.post(
    "/duty/import", tags=[TAG], summary="Put a CSV file in place of a list", responses={200: Imported}
)
def import_duty(body: DutyFile) -> Response:
    who_asks = require_role("duty.edit")
    now_us = core().world.clock.now_us()
    try:
        count = core().duty.replace(body.list.strip(), body.csv, now_us, who_asks.name)
    except BadDuty as fault:
        raise _refused(fault) from None
    return jsonify({"list": body.list.strip(), "entries": count})
