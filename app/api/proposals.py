"""Proposals: what the keeper sees that would be better, and a person's yes or no; standing by elsewhere."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import Field

from app.api import shapes
from app.api.doors import (
    Problem,
    Strict,
    actor,
    blueprint,
    core,
    request_id,
    require,
    require_role,
    rows,
    send,
    source,
    unit_or_404,
)
from app.api.incidents import Location, Short
from app.api.units import UnitPath, unit_answer
from app.auth import may
from dispatch import commands as c
from dispatch.commands import Actor
from dispatch.proposal import Proposal

TAG = Tag(name="Proposals", description="Reassignments and move-ups that a person accepts or declines.")


class ProposalPath(Strict):
    proposal_id: str = Field(max_length=64)


class ProposalsQuery(Strict):
    state: Literal["open", "all"] = Field(default="open", description="all: with those of the last day.")


class Reason(Strict):
    reason: Short = ""


class Post(Strict):
    post: str = Field(min_length=1, max_length=128, description="What the place is called.")
    location: Location


class MoveUpAnswer(Strict):
    answer: Literal["accepted", "refused"]
    name: str = Field(min_length=1, max_length=128, description="Who answered, by name.")
    via: Literal["api", "phone"]


def _sees(who_asks: Actor, x: Proposal) -> bool:
    return may(who_asks, "proposal.read", district=x.district)


def _row(x: Proposal) -> dict[str, Any]:
    return rows().proposal(x, personal=may(actor(), "personal.read", district=x.district))


def _proposal_or_404(proposal_id: str) -> Proposal:
    require_role("proposal.read")
    found = core().picture.now.proposal(proposal_id)
    if found is None or not found.made or not _sees(actor(), found):
        raise Problem(404, "unknown-proposal", f"There is no proposal {proposal_id}.")
    return found


@blueprint.get("/proposals", tags=[TAG], summary="What is proposed", responses={200: shapes.Proposals})
def list_proposals(query: ProposalsQuery) -> Response:
    who_asks = require_role("proposal.read")
    found = [
        x
        for x in core().picture.now.proposals()
        if (query.state == "all" or x.open) and _sees(who_asks, x)
    ]
    found.sort(key=lambda x: (x.made_us, x.id), reverse=True)
    return jsonify([_row(x) for x in found])


@blueprint.get(
    "/proposals/<proposal_id>", tags=[TAG], summary="One proposal", responses={200: shapes.ProposalShape}
)
def get_proposal(path: ProposalPath) -> Response:
    return jsonify(_row(_proposal_or_404(path.proposal_id)))


def _decided(path: ProposalPath, command: c.AcceptProposal | c.DeclineProposal) -> Response:
    cursor = send(command)
    found = core().picture.now.proposal(path.proposal_id)
    assert found is not None, "it was just decided"
    return jsonify({**_row(found), "log_position": cursor})


@blueprint.post(
    "/proposals/<proposal_id>/accept",
    tags=[TAG],
    summary="Do it: the same orders as by hand",
    responses={200: shapes.ChangedProposalShape},
)
def accept_proposal(path: ProposalPath, body: Reason) -> Response:
    found = _proposal_or_404(path.proposal_id)
    require("proposal.decide", district=found.district)
    command = c.AcceptProposal(
        id=request_id(),
        source=source(),
        proposal=path.proposal_id,
        reason=body.reason,
        answer_s=core().config.answer_s,
    )
    return _decided(path, command)


@blueprint.post(
    "/proposals/<proposal_id>/decline",
    tags=[TAG],
    summary="Decide against it",
    responses={200: shapes.ChangedProposalShape},
)
def decline_proposal(path: ProposalPath, body: Reason) -> Response:
    found = _proposal_or_404(path.proposal_id)
    require("proposal.decide", district=found.district)
    command = c.DeclineProposal(
        id=request_id(), source=source(), proposal=path.proposal_id, reason=body.reason
    )
    return _decided(path, command)


# ---- standing by elsewhere


@blueprint.post(
    "/units/<unit_id>/move-up",
    tags=[TAG],
    summary="Let a unit stand by elsewhere; a requested one is asked",
    responses={200: shapes.ChangedUnitShape},
)
def post_move_up(path: UnitPath, body: Post) -> Response:
    require_role("unit.move_up")
    unit_or_404(path.unit_id)
    command = c.MoveUp(
        id=request_id(),
        source=source(),
        unit=path.unit_id,
        post=c.Place(body.location.lon, body.location.lat, body.post),
        answer_s=core().config.answer_s,
    )
    return unit_answer(path.unit_id, send(command))


@blueprint.delete(
    "/units/<unit_id>/move-up",
    tags=[TAG],
    summary="It need not stand by there",
    responses={200: shapes.ChangedUnitShape},
)
def delete_move_up(path: UnitPath) -> Response:
    require_role("unit.move_up")
    unit_or_404(path.unit_id)
    cursor = send(c.EndMoveUp(id=request_id(), source=source(), unit=path.unit_id))
    return unit_answer(path.unit_id, cursor)


@blueprint.post(
    "/units/<unit_id>/move-up/answer",
    tags=[TAG],
    summary="What the agency answered, by name",
    responses={200: shapes.ChangedUnitShape},
)
def answer_move_up(path: UnitPath, body: MoveUpAnswer) -> Response:
    require_role("unit.answer_move_up")
    unit_or_404(path.unit_id)
    command = c.AnswerMoveUp(
        id=request_id(),
        source=source(),
        unit=path.unit_id,
        answer=body.answer,
        name=body.name,
        via=body.via,
    )
    return unit_answer(path.unit_id, send(command))
