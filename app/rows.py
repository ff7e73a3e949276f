"""Entities as the outside world sees them: one shape for the API and for the live consoles.

Ids become words here: personal data is opened for those who may see it, relations between subjects are
looked up, times are RFC 3339 in UTC with milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.picture import Picture
from app.tracks import Tracks
from app.vault import Vault
from app.words import LANGUAGES, Words, words_in
from dispatch import care
from dispatch.alarm import FLOOD_WITHIN_US, Alarm
from dispatch.call import Call
from dispatch.closure import Closure
from dispatch.commands import who
from dispatch.events import Sealed, Secret
from dispatch.events import Words as SaidWords
from dispatch.incident import Assignment, Conflict, Incident
from dispatch.plans import Pack
from dispatch.proposal import Proposal, asks
from dispatch.state import State
from dispatch.unit import Unit, crew_mate_out

NOTES_MAX = 20
"""The newest notes that travel with a row, which is sent again at each change; the timeline has all."""
TIME_MAX_US = 253_402_300_799_999_999
"""The last microsecond of the year 9999, which RFC 3339 can still write."""


def rfc3339(us: int | None) -> str | None:
    """Microseconds since the epoch as "2026-11-23T04:05:06.789Z"."""
    if us is None:
        return None
    # A time out of range (an old log, another node) must not make a whole board unreadable.
    us = min(max(us, 0), TIME_MAX_US)
    moment = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us // 1000 % 1000:03d}Z"


def parse_time(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time. ValueError without a UTC offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its UTC offset, such as Z or +02:00")
    return round(moment.timestamp() * 1_000_000)


def needs_of(incident: Incident, pack: Pack) -> dict[str, int]:
    """Capability -> count. Nothing where the log holds a type, priority or level that the pack of today does
    not know: then nobody knows its needs."""
    try:
        return pack.needs(incident.type, incident.priority, incident.alarm_level)
    except ValueError:
        return {}


class Rows:
    """Builds rows from the picture. Safe from any thread."""

    def __init__(self, picture: Picture, vault: Vault, tracks: Tracks, pack: Pack) -> None:
        self._picture = picture
        self._vault = vault
        self._tracks = tracks
        self._pack = pack

    def incidents(self, incidents: Iterable[Incident], *, personal: bool) -> list[dict[str, Any]]:
        """Rows of several incidents; their personal data is fetched in one go."""
        listed = list(incidents)
        opened: dict[str, Any] = {}
        if personal:
            secrets = [
                secret
                for x in listed
                for secret in (
                    x.place,
                    x.description,
                    x.caller,
                    x.outcome,
                    *(note.text for note in x.notes[-NOTES_MAX:]),
                    *(request.reason for request in x.requests),
                    *(a.check.note for a in x.active() if a.check is not None),
                    *(said for n in x.notices for said in (n.person, *(w.note for w in n.words))),
                )
            ]
            opened = self._vault.open(s for s in secrets if isinstance(s, Sealed))
        return [self._incident(incident, opened) for incident in listed]

    def incident(self, incident: Incident, *, personal: bool) -> dict[str, Any]:
        return self.incidents([incident], personal=personal)[0]

    def place_of(self, incident: Incident) -> tuple[float, float, bool]:
        """(lon, lat, exact): the sealed place, or the coarse one where that was erased."""
        if isinstance(incident.place, Sealed):
            place = self._vault.open([incident.place]).get(incident.place.id)
            if place is not None:
                return place["lon"], place["lat"], True
        lon, lat = incident.coarse or (math.nan, math.nan)
        return lon, lat, False

    def plan_of(self, incident: Incident) -> dict[str, dict[str, int]]:
        """What the incident needs, what its assigned units give, what is still missing. A unit that was
        only asked for fills nothing."""
        needs = needs_of(incident, self._pack)
        filled = dict.fromkeys(needs, 0)
        for assignment in incident.active():
            unit = self._picture.now.unit(assignment.unit)
            if unit is None or unit.crew < unit.crew_min:
                continue
            for capability in unit.capabilities:
                if capability in filled:
                    filled[capability] += 1
        missing = {c: n - filled[c] for c, n in needs.items() if n > filled[c]}
        return {"needs": needs, "filled": filled, "missing": missing}

    def _due(self, x: Incident) -> dict[str, Any]:
        """When somebody has to see to it again, whether or not its card is open."""
        crews = [care.ask_at_us(x, a, self._pack) for a in x.active()] if x.open else []
        notices = [n.remind_us for n in x.notices] if x.open else []
        return {
            "crew_check_at": rfc3339(min((us for us in crews if us is not None), default=None)),
            "notice_at": rfc3339(min((us for us in notices if us is not None), default=None)),
        }

    def _incident(self, x: Incident, opened: dict[str, Any]) -> dict[str, Any]:
        def clear(secret: Secret) -> Any:
            return opened.get(secret.id) if isinstance(secret, Sealed) else None

        place = clear(x.place)
        lon, lat = (place["lon"], place["lat"]) if place else (x.coarse or (None, None))
        return {
            "id": x.id,
            "number": x.number,
            "type": x.type,
            "priority": x.priority,
            "medical_code": x.medical_code,
            "state": "open" if x.open else "closed",
            "alarm_level": x.alarm_level,
            "lon": lon,
            "lat": lat,
            "location_precision": "exact" if place else "coarse",
            "address": place["label"] if place else None,
            "address_parts": place["parts"] if place else {},
            "description": clear(x.description),
            "caller": clear(x.caller),
            "reported_at": rfc3339(x.reported_us),
            "reported_by": who(x.reported_by),
            "acknowledged_at": rfc3339(x.acknowledged_us),
            "acknowledged_by": who(x.acknowledged_by) or None,
            "closed_at": rfc3339(x.closed_us),
            "outcome": clear(x.outcome),
            "staging": x.staging,
            "talkgroup": x.talkgroup,
            "case_numbers": [{"agency": agency, "number": number} for agency, number in x.case_numbers],
            "plan": self.plan_of(x),
            "assignments": [
                {
                    "unit": a.unit,
                    "status": a.status,
                    "since": rfc3339(a.since_us),
                    "by": who(a.by),
                    "requested": a.accepted_by is not None,
                    "accepted_by": a.accepted_by,
                    "times": {status: rfc3339(us) for status, us in a.times.items()},
                    "eta_change": None
                    if a.eta_change is None
                    else {
                        "at": rfc3339(a.eta_change.at_us),
                        "before_s": a.eta_change.before_s,
                        "after_s": a.eta_change.after_s,
                        "closures": list(a.eta_change.because),
                    },
                    "check": _crew_check(x, a, self._pack, clear),
                }
                for a in x.active()
            ],
            "requests": [
                {
                    "unit": r.unit,
                    "state": r.state,
                    "asked_at": rfc3339(r.asked_us),
                    "asked_by": who(r.asked_by),
                    "answer_by": rfc3339(r.answer_by_us),
                    "name": r.name or None,
                    "via": r.via or None,
                    "reason": _said(r.reason, opened),
                    "answered_at": rfc3339(r.answered_us),
                }
                for r in x.requests
            ],
            "notes": [
                {
                    "at": rfc3339(n.at_us),
                    "by": who(n.by),
                    "text": clear(n.text),
                    "struck_at": rfc3339(n.struck_us),
                    "struck_by": who(n.struck_by) or None,
                }
                for n in x.notes[-NOTES_MAX:]
            ],
            "notes_total": len(x.notes),
            "owner": None
            if (owner := x.owner) is None
            else {"name": owner[0], "since": rfc3339(owner[1]), "by": who(owner[2])},
            "checklist": [
                {
                    "check": check.code,
                    "state": mark.state if (mark := x.checks.get(check.code)) else "open",
                    "at": rfc3339(mark.at_us) if mark else None,
                    "by": who(mark.by) if mark else None,
                }
                for check in care.checklist(x, self._pack)
            ],
            "to_tell": list(care.to_tell(x, self._pack)),
            "notices": [
                {
                    "id": n.id,
                    "partner": n.partner,
                    "person": clear(n.person),
                    "via": n.via,
                    "state": n.state,
                    "remind_at": rfc3339(n.remind_us),
                    "words": [
                        {"at": rfc3339(w.at_us), "by": who(w.by), "state": w.state, "note": clear(w.note)}
                        for w in n.words
                    ],
                }
                for n in x.notices
            ],
            "due": self._due(x),
            "links": [
                {
                    "incident": link.other,
                    "number": other.number if (other := self._picture.now.incident(link.other)) else None,
                    "kind": link.kind,
                    "of": link.of or None,
                    "at": rfc3339(link.at_us),
                    "by": who(link.by),
                }
                for link in x.links
            ],
            "duplicate_of": x.duplicate_of,
            "calls": list(x.calls),
            "protocol": {
                "answers": dict(x.answers),
                "priority": x.protocol[0],
                "because": list(x.protocol[1]),
            },
            "facts": {
                name: {
                    "source": f.source,
                    "observed_at": rfc3339(f.observed_us),
                    "received_at": rfc3339(f.received_us),
                    "by": who(f.by),
                }
                for name, f in x.facts.items()
            },
            "times": _case_times(x),
            "conflicts": [_conflict(k) for k in x.conflicts],
            "personal_data": "erased" if x.sealed and x.sealed <= x.erased else "kept",
            "upgrade_needed": x.parked,
            "district": x.district,
            "station": x.station,
            "rev": x.position,
        }

    def unit(self, unit: Unit, state: State | None = None, *, personal: bool = True) -> dict[str, Any]:
        """Without `personal`, a reason that is about an incident stays closed."""
        state = state or self._picture.now
        opened = self._vault.open([unit.reason]) if personal and isinstance(unit.reason, Sealed) else {}
        incident = state.incident(unit.incident) if unit.incident else None
        mate = crew_mate_out(state, unit)
        asked = unit.asked
        fix = self._tracks.last(unit.id)
        return {
            "id": unit.id,
            "n": self._tracks.index(unit.id),
            "source": unit.source,
            "type": unit.type,
            "agency": unit.agency,
            "command": unit.command,
            "capabilities": list(unit.capabilities),
            "crew": unit.crew,
            "crew_min": unit.crew_min,
            "crew_id": unit.crew_id,
            "district": unit.district,
            "station": unit.station,
            "status": unit.status,
            "status_since": rfc3339(unit.status_us),
            "status_source": unit.status_source,
            "status_by": who(unit.status_by),
            "reason": _said(unit.reason, opened),
            "hospital": unit.hospital,
            "ready_at": rfc3339(unit.ready_us),
            "flags": [{"flag": flag, "since": rfc3339(us)} for flag, us in unit.flags.items()],
            "incident": unit.incident,
            "incident_number": incident.number if incident else None,
            "request": None
            if asked is None
            else {
                "incident": asked.incident,
                "state": asked.state,
                "asked_at": rfc3339(asked.asked_us),
                "answer_by": rfc3339(asked.answer_by_us),
            },
            "moving_up": _moving_up(unit),
            "cancelled": _cancelled(unit, state),
            "blocked_by": mate.id if mate else None,
            "talkgroup": unit.talkgroup,
            "turnout_s": unit.turnout_s,
            "lights": unit.lights,
            "profile": unit.profile,
            "base": None if unit.base is None else {"lon": unit.base[0], "lat": unit.base[1]},
            "custodian": unit.custodian,
            "epoch": unit.epoch,
            "lon": fix.lon if fix else None,
            "lat": fix.lat if fix else None,
            "fix_at": rfc3339(fix.observed_us) if fix else None,
            "fix_received_at": rfc3339(fix.received_us) if fix else None,
            "speed_mps": fix.speed_mps if fix else None,
            "heading_deg": fix.heading_deg if fix else None,
            "accuracy_m": fix.accuracy_m if fix else None,
            "fix_source": fix.source if fix else None,
            "conflicts": [_conflict(k) for k in unit.conflicts],
            "upgrade_needed": unit.parked,
            "rev": unit.position,
        }

    def closure(self, x: Closure, streets: Sequence[str], *, personal: bool) -> dict[str, Any]:
        """`streets`: where it is. Without `personal`, why the road is closed stays closed."""
        secrets = [s for s in (x.reason, x.withdrawn_reason) if personal and isinstance(s, Sealed)]
        opened = self._vault.open(secrets) if secrets else {}
        return {
            "id": x.id,
            "kind": x.kind,
            "state": x.state,
            "geometry": x.geometry,
            "streets": list(streets),
            "classes": list(x.classes),
            "from": rfc3339(x.from_us),
            "until": rfc3339(x.until_us),
            "ends": rfc3339(x.ends_us),
            "speed_pct": None if x.speed_share is None else round(100 * x.speed_share, 1),
            "entry_capabilities": list(x.entry),
            "staging": None if x.staging is None else {"lon": x.staging[0], "lat": x.staging[1]},
            "reason": _said(x.reason, opened),
            "unit": x.unit,
            "source": x.source,
            "reported_at": rfc3339(x.reported_us),
            "reported_by": who(x.reported_by),
            "confirmed_at": rfc3339(x.confirmed_us),
            "confirmed_by": who(x.confirmed_by) or None,
            "confirmed_unit": x.confirmed_unit,
            "ordered_at": rfc3339(x.ordered_us),
            "authority": x.authority or None,
            "ordered_by": x.ordered_by or None,
            "agreed_by": x.agreed_by or None,
            "withdrawn_at": rfc3339(x.withdrawn_us),
            "withdrawn_by": who(x.withdrawn_by) or None,
            "withdrawn_reason": _said(x.withdrawn_reason, opened),
            "conflicts": [_conflict(k) for k in x.conflicts],
            "upgrade_needed": x.parked,
            "district": x.district,
            "station": x.station,
            "rev": x.position,
        }

    def calls(self, calls: Iterable[Call]) -> list[dict[str, Any]]:
        """Rows of several calls, for those who may know who rings."""
        listed = list(calls)
        secrets = (s for x in listed for s in (x.number, x.recording, x.place, x.note))
        opened = self._vault.open(s for s in secrets if isinstance(s, Sealed))
        return [self._call(x, opened) for x in listed]

    def call(self, call: Call) -> dict[str, Any]:
        return self.calls([call])[0]

    def _call(self, x: Call, opened: dict[str, Any]) -> dict[str, Any]:
        def clear(secret: Secret) -> Any:
            return opened.get(secret.id) if isinstance(secret, Sealed) else None

        place = clear(x.place)
        point = (place["lon"], place["lat"]) if place else x.coarse
        return {
            "id": x.id,
            "state": x.state,
            "needs": x.needs,
            "line": x.line or None,
            "number": clear(x.number),
            "recording": clear(x.recording),
            "location": None if point is None else {"lon": point[0], "lat": point[1], "radius_m": x.radius_m},
            "source": x.source,
            "received_at": rfc3339(x.received_us),
            "answered_at": rfc3339(x.answered_us),
            "answered_by": who(x.answered_by) or None,
            "abandoned_at": rfc3339(x.abandoned_us),
            "ended_at": rfc3339(x.ended_us),
            "incidents": list(x.incidents),
            "tries": x.tries,
            "tried_at": rfc3339(x.tried_us),
            "tried_by": who(x.tried_by) or None,
            "reached_at": rfc3339(x.reached_us),
            "closed_at": rfc3339(x.closed_us),
            "closed_by": who(x.closed_by) or None,
            "why": x.why or None,
            "note": clear(x.note),
            "personal_data": "erased" if x.sealed and x.sealed <= x.erased else "kept",
            "upgrade_needed": x.parked,
            "district": x.district,
            "station": x.station,
            "rev": x.position,
        }

    def alarm(self, x: Alarm, now_us: int) -> dict[str, Any]:
        phases = x.phases(now_us)
        ack = x.acknowledged(now_us)
        called = x.called_out(now_us, FLOOD_WITHIN_US)
        if x.on and x.on_us is not None and x.on_us + x.on_delay_us > now_us and not x.quiet:
            called.append(x.on_us + x.on_delay_us)
        return {
            "id": x.id,
            "kind": x.kind,
            "group": x.group,
            "priority": x.priority,
            "state": phases[0][1],
            "phases": [{"at": rfc3339(us), "state": state} for us, state in phases],
            "title": x.title or None,
            "means": x.means or None,
            "todo": x.todo or None,
            "detail": x.detail or None,
            "source": x.source,
            "raised_by": who(x.raised_by),
            "raised_at": rfc3339(x.on_us),
            "cleared_at": rfc3339(x.off_us),
            "acknowledged_at": None if ack is None else rfc3339(ack.us),
            "acknowledged_by": None if ack is None else who(ack.by),
            "shelved_at": rfc3339(x.shelved_us),
            "shelved_by": who(x.shelved_by) or None,
            "shelved_until": rfc3339(x.shelved_until_us),
            "shelf_reason": x.shelf_reason or None,
            "out_of_service_at": rfc3339(x.out_us),
            "out_of_service_by": who(x.out_by) or None,
            "out_of_service_reason": x.out_reason or None,
            "chattering_until": rfc3339(x.chatters_until()),
            "announced_at": [rfc3339(us) for us in called],
            "count_24h": len(x.called_out(now_us)),
            "upgrade_needed": x.parked,
            "district": x.district,
            "station": x.station,
            "rev": x.position,
        }

    def proposal(self, x: Proposal, *, personal: bool = True) -> dict[str, Any]:
        """Without `personal`, the reason of whoever declined it stays closed."""
        state = self._picture.now
        opened = self._vault.open([x.reason]) if personal and isinstance(x.reason, Sealed) else {}

        def number(incident_id: str | None) -> str | None:
            incident = state.incident(incident_id) if incident_id is not None else None
            return incident.number if incident is not None and incident.reported else None

        moves = [
            {
                "unit": unit_id,
                "command": unit.command if (unit := state.unit(unit_id)) is not None else "owned",
                "leaves": leaves,
                "leaves_number": number(leaves),
                "to": to,
                "to_number": number(to),
            }
            for unit_id, leaves, to in x.moves
        ]
        lead = moves[0] if moves else {"unit": "", "leaves": None, "to": None}
        return {
            "id": x.id,
            "kind": x.kind,
            "state": x.state,
            "trigger": x.trigger,
            "made_at": rfc3339(x.made_us),
            "expires_at": rfc3339(x.expires_us),
            "unit": lead["unit"],
            "incident": lead["to"],
            "leaves": lead["leaves"],
            "moves": moves,
            "post": None if x.post is None else dict(zip(("name", "lon", "lat"), x.post, strict=False)),
            "asks": asks(state, x),
            "figures": dict(x.figures),
            "words": {
                language: proposal_words(x, moves, self._pack, words_in(language)) for language in LANGUAGES
            },
            "decided_at": rfc3339(x.decided_us),
            "decided_by": who(x.decided_by) or None,
            "reason": _said(x.reason, opened),
            "rule": x.rule,
            "authority": x.authority,
            "why": x.why or None,
            "about": {
                name.removesuffix("_us") + "_at" * name.endswith("_us"): rfc3339(value)
                if name.endswith("_us")
                else value
                for name, value in x.about.items()
            },
            "district": x.district,
            "station": x.station,
            "upgrade_needed": x.parked,
            "rev": x.position,
        }


def proposal_words(x: Proposal, moves: Sequence[Mapping[str, Any]], pack: Pack, say: Words) -> str:
    """What is proposed, what it gains and what it costs, in one language."""
    figures = x.figures

    def span(name: str) -> str:
        value = figures.get(name)
        return say.time(value) if isinstance(value, (int, float)) else ""

    def given(name: str) -> str:
        return "yes" if figures.get(name) is not None else "no"

    def in_language(name: str) -> str:
        value = figures.get(name)
        return str(value.get(say.language, "")) if isinstance(value, Mapping) else str(value or "")

    if x.kind == "move_up":
        capability = pack.capabilities.get(str(figures.get("capability")))
        args = {
            "unit": x.unit,
            "post": x.post[0] if x.post else "",
            "capability": capability.names[say.language].lower() if capability else "",
            "zone": in_language("zone_name"),
            "loses": "yes" if "leaves_zone_name" in figures else "no",
            "left": in_language("leaves_zone_name"),
            "left_before": figures.get("leaves_before_in_10", 0),
            "left_after": figures.get("leaves_after_in_10", 0),
            "within": span("within_s"),
            "before": figures.get("before_in_10", 0),
            "after": figures.get("after_in_10", 0),
            "drive": span("drive_s"),
        }
        return say.say("proposal-move-up", args)
    if not moves:
        return ""
    lead, rest = moves[0], moves[1:]
    relieved = next((m["unit"] for m in rest if m["to"] is None), "")
    instead = next((m for m in rest if m["to"] is not None and m["to"] == lead["leaves"]), None)
    args = {
        "unit": lead["unit"],
        "to": lead["to_number"] or "",
        "leaves": lead["leaves_number"] or "",
        "relieved": relieved,
        "instead": instead["unit"] if instead else "",
        "gain": span("gain_s"),
        "gains": given("gain_s"),
        "eta": span("eta_s"),
        "loss": span("loss_s"),
        "loses": "yes" if (figures.get("loss_s") or 0) > 0 else "no",
    }
    if lead["leaves"] is None:
        return say.say("proposal-take-over", args)
    said = say.say("proposal-divert", args)
    return f"{said} {say.say('proposal-instead' if instead else 'proposal-nobody-instead', args)}"


def _crew_check(
    x: Incident, a: Assignment, pack: Pack, clear: Callable[[Secret], Any]
) -> dict[str, Any] | None:
    every_s = care.asked_every_s(x, a, pack)
    if every_s is None and a.check is None:
        return None
    return {
        "every_s": every_s,
        "due_at": rfc3339(care.ask_at_us(x, a, pack)),
        "at": rfc3339(a.check.at_us) if a.check else None,
        "by": who(a.check.by) if a.check else None,
        "result": a.check.result if a.check else None,
        "tries": a.check.tries if a.check else 0,
        "well_at": rfc3339(a.check.well_us) if a.check else None,
        "note": clear(a.check.note) if a.check else None,
    }


def _cancelled(unit: Unit, state: State) -> dict[str, Any] | None:
    cancelled = unit.cancelled
    if cancelled is None:
        return None
    incident = state.incident(cancelled.incident) if cancelled.incident is not None else None
    return {
        "incident": cancelled.incident,
        "incident_number": incident.number if incident is not None else None,
        "what": cancelled.what,
        "at": rfc3339(cancelled.at_us),
        "by": who(cancelled.by),
    }


def _moving_up(unit: Unit) -> dict[str, Any] | None:
    going = unit.moving_up
    if going is None:
        return None
    return {
        "post": going.post,
        "lon": going.lon,
        "lat": going.lat,
        "state": going.state,
        "since": rfc3339(going.since_us),
        "by": who(going.by),
        "answer_by": rfc3339(going.answer_by_us),
    }


def _said(words: SaidWords, opened: dict[str, Any]) -> Any:
    """What free text says, None where there is none or it is not for this reader."""
    if isinstance(words, Sealed):
        return opened.get(words.id)
    return words if isinstance(words, str) and words else None


def _conflict(k: Conflict) -> dict[str, Any]:
    return {
        "id": k.id,
        "kind": k.kind,
        "at": rfc3339(k.at_us),
        "about": dict(k.about),
        "resolution": k.resolution,
    }


_FIRST = {
    "assigned": "unit_alerted",
    "acknowledged": "unit_acknowledged",
    "en_route": "unit_left",
    "on_scene": "unit_arrived",
    "transporting": "scene_left",
    "at_hospital": "hospital_reached",
}


def _case_times(x: Incident) -> dict[str, str | None]:
    """The moments a report needs: the first unit to reach each step gives the time."""
    times: dict[str, int] = {"case_created": x.reported_us}
    if x.acknowledged_us is not None:
        times["case_acknowledged"] = x.acknowledged_us
    for assignment in x.assignments:
        for status, us in assignment.times.items():
            name = _FIRST.get(status)
            if name is not None:
                times[name] = min(us, times.get(name, us))
    ended = [a.ended_us for a in x.assignments if a.ended_us is not None]
    if ended and len(ended) == len(x.assignments):
        times["unit_free"] = max(ended)
    if x.closed_us is not None:
        times["case_closed"] = x.closed_us
    return {name: rfc3339(us) for name, us in sorted(times.items(), key=lambda item: item[1])}
