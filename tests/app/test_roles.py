"""Every endpoint with every role, with the wrong district, and for a crew with its own unit and another's.

What is expected is written out here, call by call: it is what the roles are for, not what the code says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.api import openapi
from app.sheet import Sheets
from dispatch import commands as c
from dispatch.commands import SYSTEM
from tests.app.control_room import (
    PHONE,
    RAILWAY_STATION,
    ROLES,
    Desk,
    Room,
    close_quietly,
    console,
    is_problem,
    open_room,
    pages,
)

CALLERS = ("stranger", *ROLES)
#       stranger admin supervisor dispatcher field gateway observer drill_controller
EXPECTED = {
    "GET /session": "     401 200 200 200 200 200 200 200",
    "POST /session": "    401 401 401 401 401 401 401 401",
    "DELETE /session": "  204 204 204 204 204 204 204 204",
    "GET /catalogue": "   401 200 200 200 200 200 200 200",
    "GET /incident-types": "401 200 200 200 200 200 200 200",
    "GET /city": "        401 200 200 200 200 200 200 200",
    "GET /city/tiles": "  401 200 200 200 200 200 200 200",
    "GET /layers": "      401 200 200 200 200 200 200 200",
    "GET /layers/{layer}": "        401 200 200 200 200 200 200 200",
    "GET /layers/{layer}/density": "401 200 200 200 200 200 200 200",
    "POST /layers/{layer}/import": "401 200 403 403 403 403 403 403",
    "GET /layers/{layer}/nearest": "401 200 200 200 200 200 200 200",
    "GET /addresses": "   401 200 200 200 200 403 200 200",
    "GET /addresses/reverse": "401 200 200 200 200 403 200 200",
    "GET /coverage": "       401 200 200 200 403 403 200 200",
    "GET /coverage/zones": " 401 200 200 200 403 403 200 200",
    "GET /isochrones": "     401 200 200 200 403 403 200 200",
    "GET /forecast": "    401 200 200 403 403 403 200 403",
    "GET /performance": " 401 200 200 200 403 403 200 200",
    "GET /handover": "    401 200 200 200 403 403 403 403",
    "POST /handovers": "  401 201 201 201 403 403 403 403",
    "POST /handovers/{handover_id}/take": "      401 200 200 200 403 403 403 403",
    "POST /handovers/{handover_id}/erase": "     401 200 403 403 403 403 403 403",
    "GET /planned": "     401 200 200 200 403 403 200 200",
    "POST /planned": "    401 201 201 201 403 403 403 403",
    "PATCH /planned/{planned_id}": "             401 200 200 200 403 403 403 403",
    "POST /planned/{planned_id}/withdraw": "     401 200 200 200 403 403 403 403",
    "POST /planned/{planned_id}/erase": "        401 200 403 403 403 403 403 403",
    "POST /catch-up": "   401 201 201 201 403 403 403 403",
    "GET /register": "    401 200 200 403 403 403 403 403",
    "GET /sheet": "       401 200 200 200 403 403 403 403",
    "GET /events": "      401 200 200 200 403 403 200 200",
    "GET /incidents": "   401 200 200 200 200 403 200 200",
    "POST /incidents": "  401 201 201 201 403 201 403 403",
    "GET /incidents/{incident_id}": "                 401 200 200 200 404 403 200 200",
    "PATCH /incidents/{incident_id}": "               401 200 200 200 404 404 403 403",
    "GET /incidents/{incident_id}/recommendation": "  401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/what-if": "        401 200 200 200 404 404 403 403",
    "GET /incidents/{incident_id}/ways": "            401 200 200 200 404 404 403 403",
    "POST /commands": "                               401 200 200 200 403 403 403 403",
    "POST /commands/parse": "                         401 200 200 200 403 403 403 403",
    "POST /assignments/plan": "                       401 200 200 200 403 403 403 403",
    "GET /incidents/{incident_id}/timeline": "        401 200 200 200 404 404 200 200",
    "POST /incidents/{incident_id}/acknowledge": "    401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/notes": "          401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/close": "          401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/reopen": "         401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/case-numbers": "   401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/alarm-level": "    401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/erase": "          401 200 403 403 404 404 403 403",
    "POST /incidents/{incident_id}/resolve": "        401 200 200 200 404 404 403 403",
    "GET /incidents/similar": "                       401 200 200 200 403 403 403 403",
    "POST /incidents/{incident_id}/links": "          401 200 200 200 404 404 403 403",
    "DELETE /incidents/{incident_id}/links/{other_id}": " 401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/protocol": "       401 200 200 200 404 404 403 403",
    "GET /alarms": "                                  401 200 200 200 403 403 200 200",
    "POST /alarms": "                                 401 201 201 201 403 201 403 403",
    "GET /alarms/figures": "                          401 200 200 200 403 403 200 200",
    "GET /alarms/{alarm_id}": "                       401 200 200 200 403 403 200 200",
    "POST /alarms/{alarm_id}/acknowledge": "          401 200 200 200 403 403 403 403",
    "PUT /alarms/{alarm_id}/shelf": "                 401 200 200 200 403 403 403 403",
    "DELETE /alarms/{alarm_id}/shelf": "              401 200 200 200 403 403 403 403",
    "PUT /alarms/{alarm_id}/out-of-service": "        401 200 200 403 403 403 403 403",
    "DELETE /alarms/{alarm_id}/out-of-service": "     401 200 200 403 403 403 403 403",
    "GET /premises": "                                401 200 200 200 403 403 403 403",
    "GET /premises/notes": "                          401 200 200 200 403 403 403 403",
    "POST /premises/notes": "                         401 201 201 201 403 403 403 403",
    "DELETE /premises/notes/{premise_id}": "          401 200 200 200 403 403 403 403",
    "POST /premises/notes/{premise_id}/erase": "      401 200 403 403 403 403 403 403",
    "GET /duty": "                                    401 200 200 200 403 403 403 403",
    "PUT /duty/{duty_id}": "                          401 200 200 403 403 403 403 403",
    "DELETE /duty/{duty_id}": "                       401 204 204 403 403 403 403 403",
    "POST /duty/import": "                            401 200 200 403 403 403 403 403",
    "GET /colleagues": "                              401 200 200 200 403 403 403 403",
    "PUT /incidents/{incident_id}/owner": "           401 200 200 200 404 404 403 403",
    "PUT /incidents/{incident_id}/checks/{check}": "  401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/crew-checks": "    401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/notices": "        401 201 201 201 404 404 403 403",
    "POST /incidents/{incident_id}/notices/{notice_id}": " 401 200 200 200 404 404 403 403",
    "GET /calls": "                                   401 200 200 200 403 403 403 403",
    "POST /calls": "                                  401 201 201 201 403 201 403 403",
    "GET /calls/{call_id}": "                         401 200 200 200 403 403 403 403",
    "POST /calls/{call_id}/answer": "                 401 200 200 200 403 403 403 403",
    "POST /calls/{call_id}/incidents": "              401 200 200 200 403 403 403 403",
    "DELETE /calls/{call_id}/incidents/{incident_id}": "401 200 200 200 403 403 403 403",
    "POST /calls/{call_id}/back": "                   401 200 200 200 403 403 403 403",
    "POST /calls/{call_id}/close": "                  401 200 200 200 403 403 403 403",
    "POST /calls/{call_id}/erase": "                  401 200 403 403 403 403 403 403",
    "POST /incidents/{incident_id}/assignments": "    401 200 200 200 404 404 403 403",
    "DELETE /incidents/{incident_id}/assignments/{unit_id}": "   401 200 200 200 404 404 403 403",
    "POST /incidents/{incident_id}/requests/{unit_id}/answer": " 401 200 200 200 403 200 403 403",
    "GET /units": "                   401 200 200 200 200 200 200 200",
    "POST /units": "                  401 201 201 403 403 403 403 403",
    "GET /units/{unit_id}": "         401 200 200 200 404 200 200 200",
    "POST /units/{unit_id}/status": " 401 200 200 200 403 200 403 403",
    "POST /units/{unit_id}/flags": "  401 200 200 200 403 200 403 403",
    "POST /units/{unit_id}/resolve": "401 200 200 200 403 403 403 403",
    "POST /units/{unit_id}/cancelled/acknowledge": "401 200 200 200 403 200 403 403",
    "POST /undo": "                  401 200 200 200 403 403 403 403",
    "GET /units/{unit_id}/trail": "   401 200 200 200 404 403 403 403",
    "GET /units/{unit_id}/history": " 401 200 200 200 404 403 200 200",
    "POST /units/{unit_id}/move-up": "       401 200 200 200 403 403 403 403",
    "DELETE /units/{unit_id}/move-up": "     401 200 200 200 403 403 403 403",
    "POST /units/{unit_id}/move-up/answer": "401 200 200 200 403 200 403 403",
    "GET /proposals": "                      401 200 200 200 403 403 200 200",
    "GET /proposals/{proposal_id}": "        401 200 200 200 403 403 200 200",
    "POST /proposals/{proposal_id}/accept": " 401 200 200 200 403 403 403 403",
    "POST /proposals/{proposal_id}/decline": "401 200 200 200 403 403 403 403",
    "GET /phones/osmand": "           401 403 403 403 404 403 403 403",
    "POST /phones/osmand": "          401 403 403 403 404 403 403 403",
    "POST /phones/owntracks": "       401 403 403 403 404 403 403 403",
    "GET /closures": "                        401 200 200 200 200 200 200 200",
    "POST /closures": "                       401 201 201 201 201 201 403 403",
    "GET /closures/{closure_id}": "           401 200 200 200 200 200 200 200",
    "PATCH /closures/{closure_id}": "         401 200 200 200 403 403 403 403",
    "POST /closures/{closure_id}/confirm": "  401 200 200 200 200 403 403 403",
    "POST /closures/{closure_id}/order": "    401 200 200 403 403 403 403 403",
    "POST /closures/{closure_id}/withdraw": " 401 200 200 200 403 403 403 403",
    "POST /closures/{closure_id}/erase": "    401 200 403 403 403 403 403 403",
    "POST /positions": "              401 202 202 202 202 202 403 403",
}
"""A crew is asked about incidents and units other than its own; a position of another unit is answered 202
with that row refused. A phone's token is bound to a unit: that of the crew here is not registered. The
closure is one that somebody else reported; who orders it must be a police crew, who withdraws it the crew
that reported it: this one is neither."""

BARRIER = {"type": "LineString", "coordinates": [[24.9424, 60.1712], [24.9428, 60.1718]]}

ON_THE_SPOT = ("report it instead.", "tell the room about the rest.", "only who asked can take it back.")
"""How a crew is told that a closure is not its own to order or to take back, nor anybody's request."""
POST = {"post": "Gara", "location": {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1]}}


class Scene:
    """Something of everything that a call can be about, made anew for each call."""

    def __init__(self, room: Room, neighbour: Room) -> None:
        self.room = room
        self.neighbour = neighbour

    def incident(self) -> str:
        return str(self.room.incident()["id"])

    def closed(self) -> str:
        found = self.incident()
        assert self.room.ana.post(f"/incidents/{found}/close", {"outcome": "stins"}).status_code == 200
        return found

    def contradicted(self) -> tuple[str, str, str, str]:
        """(incident, its conflict, unit, its conflict): while two stations could not hear each other, both
        sent the same unit, and one of them to an incident that the other had closed."""
        room, neighbour = self.room, self.neighbour
        incident = room.incident()["id"]
        merge(room, neighbour)
        unit = room.unit()
        neighbour.unit(call_sign=unit)
        neighbour.sent(incident, unit)
        room.sent(room.incident()["id"], unit)
        assert room.ana.post(f"/incidents/{incident}/close", {"outcome": "stins"}).status_code == 200
        merge(neighbour, room)
        closed, sent = (room.ana.get(path).json for path in (f"/incidents/{incident}", f"/units/{unit}"))
        kinds = [(k["kind"], k["resolution"]) for k in (*closed["conflicts"], *sent["conflicts"])]
        assert kinds == [("closed-with-units", None), ("sent-twice", None)]
        return incident, closed["conflicts"][0]["id"], unit, sent["conflicts"][0]["id"]

    def closure(self) -> str:
        body = {"id": self.room.uuid(), "kind": "closure", "geometry": BARRIER, "reason": "zid căzut"}
        answer = self.room.ana.post("/closures", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def ringing(self) -> str:
        body = {"id": self.room.uuid(), "number": PHONE, "line": "112"}
        answer = self.room.desk("gateway").post("/calls", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def alarm(self) -> str:
        """Something that is wrong in the district."""
        body = {"id": f"lampa-{self.room.uuid()[:8]}", "kind": "device_fault"}
        assert self.room.ana.post("/alarms", body).status_code == 201
        return body["id"]

    def premise(self) -> str:
        body = {"id": self.room.uuid(), "kind": "access", "text": "cod 1234", "location": POST["location"]}
        answer = self.room.ana.post("/premises/notes", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def noted(self, desk: Desk) -> str:
        """A note just written, by this caller where the role allows it: what takes it back."""
        path, body = f"/incidents/{self.incident()}/notes", {"text": "fum dens"}
        own = desk.post(path, body)
        written = own if own.status_code == 200 else self.room.ana.post(path, body)
        return str(written.json["undo"]["command"])

    def handover(self) -> str:
        """Written by somebody who is none of the callers, so that each of them may take it."""
        body = {"id": self.room.uuid(), "notes": "liniște"}
        answer = self.room.desk("dispatcher", ["centru"]).post("/handovers", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def works(self) -> dict[str, str]:
        span = {"from": self.room.ago(-3600), "until": self.room.ago(-7200)}
        return {"id": self.room.uuid(), "kind": "event", "title": "Meci", "details": "0722"} | span

    def planned(self) -> str:
        answer = self.room.ana.post("/planned", self.works())
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def request(self) -> tuple[str, str]:
        """An incident, and an ambulance that was asked for it."""
        incident, unit = self.incident(), self.room.unit("B2", crew=2)
        assert self.room.sent(incident, unit)["requested"] == [unit]
        return incident, unit

    def proposal(self) -> str:
        """A unit of the city's own that would do better to stand by elsewhere."""
        command = c.Propose(
            id=self.room.uuid(),
            source="keeper",
            proposal=self.room.uuid(),
            kind="move_up",
            trigger="coverage",
            district="centru",
            moves=((self.room.unit(), None, None),),
            figures={},
            post=c.Place(*RAILWAY_STATION, "Gara"),
        )
        assert self.room.core.door.submit(command, SYSTEM).facts == 1
        return command.proposal

    def call(self, route: str, desk: Desk) -> TestResponse:
        """Make the call as this caller, about a scene in which it succeeds for those who may."""
        room = self.room
        method, path = route.split(" ")
        body: Any = None
        incident, unit, proposal, closure, other, ringing, premise, thing, alarm = ("",) * 9
        handover, planned = "", ""
        match route:
            case "GET /incidents/similar":
                path += f"?lon={RAILWAY_STATION[0]}&lat={RAILWAY_STATION[1]}"
            case "PUT /duty/{duty_id}":
                thing, body = room.uuid(), {"list": "gaze", "role": "dispecer", "numbers": ["0244 123 456"]}
            case "DELETE /duty/{duty_id}":
                thing = room.uuid()
            case "POST /duty/import":
                body = {"list": "gaze", "csv": "role,numbers\ndispecer,0244 123 456\n"}
            case "PUT /incidents/{incident_id}/owner":
                incident, body = self.incident(), {"owner": desk.name or None}
            case "PUT /incidents/{incident_id}/checks/{check}":
                incident, thing, body = self.incident(), "tow", {"state": "done"}
            case "POST /incidents/{incident_id}/crew-checks":
                incident, unit = self.incident(), room.unit()
                room.sent(incident, unit)
                body = {"units": [unit]}
            case "POST /incidents/{incident_id}/notices":
                incident, body = self.incident(), {"id": room.uuid(), "partner": "GAZ", "state": "answered"}
            case "POST /incidents/{incident_id}/notices/{notice_id}":
                incident, thing, body = self.incident(), room.uuid(), {"state": "answered"}
                told = {"id": thing, "partner": "GAZ", "state": "no_answer"}
                assert room.ana.post(f"/incidents/{incident}/notices", told).status_code == 201
            case "POST /incidents/{incident_id}/links":
                incident, body = self.incident(), {"other": self.incident(), "kind": "related"}
            case "DELETE /incidents/{incident_id}/links/{other_id}":
                incident, other = self.incident(), self.incident()
                linked = {"other": other, "kind": "duplicate"}
                assert room.ana.post(f"/incidents/{incident}/links", linked).status_code == 200
            case "POST /incidents/{incident_id}/protocol":
                incident, body = self.incident(), {"answers": {"trapped": "y"}}
            case "POST /alarms":
                body = {"id": f"lampa-{room.uuid()[:8]}", "kind": "device_fault"}
            case "PUT /alarms/{alarm_id}/shelf":
                alarm, body = self.alarm(), {"minutes": 30}
            case "PUT /alarms/{alarm_id}/out-of-service":
                alarm, body = self.alarm(), {"reason": "se schimbă"}
            case _ if "{alarm_id}" in path:
                alarm = self.alarm()
            case "GET /premises":
                path += f"?lon={RAILWAY_STATION[0]}&lat={RAILWAY_STATION[1]}"
            case "POST /premises/notes":
                at = POST["location"]
                body = {"id": room.uuid(), "kind": "danger", "text": "câine rău", "location": at}
            case "POST /premises/notes/{premise_id}/erase":
                premise, body = self.premise(), {"reason": "cererea persoanei"}
            case "POST /calls":
                body = {"id": room.uuid(), "number": PHONE}
            case "POST /calls/{call_id}/incidents":
                ringing, body = self.ringing(), {"incident": self.incident()}
            case "DELETE /calls/{call_id}/incidents/{incident_id}":
                ringing, incident = self.ringing(), self.incident()
                assert room.ana.post(f"/calls/{ringing}/incidents", {"incident": incident}).status_code == 200
            case "POST /calls/{call_id}/back":
                ringing, body = self.ringing(), {"reached": True}
            case "POST /calls/{call_id}/close":
                ringing, body = self.ringing(), {"why": "test"}
            case "POST /calls/{call_id}/erase":
                ringing, body = self.ringing(), {"reason": "cererea persoanei"}
            case "POST /handovers":
                body = {"id": room.uuid(), "notes": "liniște"}
            case "POST /handovers/{handover_id}/take":
                handover, body = self.handover(), {"remark": "citit"}
            case "POST /planned":
                body = self.works()
            case "PATCH /planned/{planned_id}":
                planned, body = self.planned(), {"title": "Alt meci"}
            case "POST /planned/{planned_id}/withdraw":
                planned, body = self.planned(), {"reason": "s-a anulat"}
            case "POST /handovers/{handover_id}/erase" | "POST /planned/{planned_id}/erase":
                handover, planned = self.handover(), self.planned()
                body = {"reason": "cererea persoanei"}
            case "POST /catch-up":
                note = {"at": room.ago(60), "text": "scris de mână"}
                body = {"id": room.uuid(), "incident": self.incident(), "notes": [note]}
            case "POST /closures":
                body = {"id": room.uuid(), "kind": "closure", "geometry": BARRIER}
            case "PATCH /closures/{closure_id}":
                closure, body = self.closure(), {"classes": ["bus"]}
            case "POST /closures/{closure_id}/confirm":
                closure, seen_by = self.closure(), room.unit()
                # A crew speaks for itself, and must be known to do so.
                is_crew = desk.name.startswith("field")
                desk, body = (room.desk("field", unit=seen_by), {}) if is_crew else (desk, {"unit": seen_by})
            case "POST /closures/{closure_id}/order":
                closure = self.closure()
                body = {"authority": "police", "ordered_by": "ag. Ilie"}
            case "POST /closures/{closure_id}/withdraw":
                closure, body = self.closure(), {"reason": "liber"}
            case "POST /closures/{closure_id}/erase":
                closure, body = self.closure(), {"reason": "cererea persoanei"}
            case "POST /session":
                body = {"name": f"nimeni-{room.uuid()[:8]}", "password": "nimic altceva"}
            case "GET /addresses":
                path += "?q=Mannerheimintie"
            case "GET /addresses/reverse":
                path += f"?lon={RAILWAY_STATION[0]}&lat={RAILWAY_STATION[1]}"
            case "POST /layers/{layer}/import":
                path += "?dry_run=1"
                body = {"type": "FeatureCollection", "features": []}
            case "GET /layers/{layer}/nearest":
                path += f"?lon={RAILWAY_STATION[0]}&lat={RAILWAY_STATION[1]}"
            case "GET /isochrones":
                path += f"?minutes=1&unit={room.unit(at=RAILWAY_STATION)}"
            case "POST /incidents":
                at = {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1]}
                body = {"id": room.uuid(), "type": "F05", "location": at}
            case "PATCH /incidents/{incident_id}":
                incident, body = self.incident(), {"priority": "P1"}
            case "POST /incidents/{incident_id}/notes":
                incident, body = self.incident(), {"text": "fum dens"}
            case "POST /incidents/{incident_id}/close":
                incident, body = self.incident(), {"outcome": "stins"}
            case "POST /incidents/{incident_id}/reopen":
                incident, body = self.closed(), {"reason": "reaprins"}
            case "POST /incidents/{incident_id}/case-numbers":
                incident, body = self.incident(), {"agency": "ISU", "number": "2026-77"}
            case "POST /incidents/{incident_id}/alarm-level":
                incident, body = self.incident(), {"level": 2}
            case "POST /incidents/{incident_id}/erase":
                incident, body = self.closed(), {"reason": "cererea persoanei"}
            case "POST /incidents/{incident_id}/resolve":
                incident, conflict, _, _ = self.contradicted()
                body = {"conflict": conflict, "resolution": "același apel"}
            case "POST /units/{unit_id}/resolve":
                _, _, unit, conflict = self.contradicted()
                body = {"conflict": conflict, "resolution": "rămâne la primul"}
            case "POST /incidents/{incident_id}/assignments":
                incident, body = self.incident(), {"units": [room.unit()]}
            case "POST /incidents/{incident_id}/what-if":
                incident, body = self.incident(), {"units": [room.unit()]}
            case "POST /commands":
                number = room.ana.get(f"/incidents/{self.incident()}").json["number"]
                body = {"id": room.uuid(), "text": f"D {number} {room.unit()}"}
            case "POST /commands/parse":
                body = {"text": f"D 1 {room.unit()}"}
            case "POST /assignments/plan":
                body = {"incidents": [self.incident()]}
            case "DELETE /incidents/{incident_id}/assignments/{unit_id}":
                incident, unit = self.incident(), room.unit()
                room.sent(incident, unit)
            case "POST /incidents/{incident_id}/requests/{unit_id}/answer":
                incident, unit = self.request()
                body = {"answer": "accepted", "name": "dr. Pop", "via": "phone"}
            case "POST /units":
                body = {"id": f"N{room.uuid()[:8]}", "type": "SV", "station": "Vest", "crew": 4}
            case "POST /units/{unit_id}/status":
                unit, body = room.unit(), {"status": "out_of_service", "reason": "pană"}
            case "POST /units/{unit_id}/flags":
                unit, body = room.unit(), {"flag": "emergency", "on": True}
            case "POST /units/{unit_id}/move-up":
                unit, body = room.unit(), POST
            case "POST /units/{unit_id}/move-up/answer":
                unit, body = room.unit("B2"), {"answer": "accepted", "name": "dr. Pop", "via": "phone"}
                assert room.ana.post(f"/units/{unit}/move-up", POST).json["moving_up"]["state"] == "asked"
            case "POST /proposals/{proposal_id}/accept" | "POST /proposals/{proposal_id}/decline":
                proposal, body = self.proposal(), {"reason": "văzut"}
            case "POST /undo":
                body = {"command": self.noted(desk)}
            case "POST /positions":
                at = {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1], "observed_at": room.ago(0)}
                body = [{"unit": room.unit(), **at}]
            case _ if "{premise_id}" in path:
                premise = self.premise()
            case _ if "{call_id}" in path:
                ringing = self.ringing()
            case _ if "{proposal_id}" in path:
                proposal = self.proposal()
            case _ if "{incident_id}" in path:
                incident = self.incident()
            case _ if "{unit_id}" in path:
                unit = room.unit()
            case _ if "{closure_id}" in path:
                closure = self.closure()
        before = room.core.log.position
        about = {"incident_id": incident, "unit_id": unit, "proposal_id": proposal, "closure_id": closure}
        about |= {"other_id": other, "call_id": ringing, "premise_id": premise, "check": thing}
        about |= {"alarm_id": alarm, "notice_id": thing, "duty_id": thing}
        about |= {"handover_id": handover, "planned_id": planned}
        answer = desk.call(method, path.format(layer="hydrants", **about), body)
        if answer.status_code >= 400:
            is_problem(answer, answer.status_code)
            assert room.core.log.position == before, "what is refused leaves no trace"
        return answer


def merge(given: Room, taken: Room) -> None:
    """Everything that one station has on record reaches another."""
    log = taken.core.log
    while True:
        envelopes, blobs = given.core.log.missing(log.have())
        if not envelopes:
            return
        assert not log.merge(envelopes, blobs).quarantined


@pytest.fixture(scope="module")
def scene(embedded_room: Room, helsinki: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    var = tmp_path_factory.mktemp("neighbour")
    url = f"sqlite:///{var / 'straja.sqlite'}"
    with open_room(
        var, url, embedded_room.clock, embedded_room.random, helsinki, STRAJA_STATION="C2"
    ) as neighbour:
        # The sheet is the keeper's; it is written once for all of these stories.
        assert Sheets(embedded_room.core).step()
        yield Scene(embedded_room, neighbour)


def caller(room: Room, role: str) -> Desk:
    if role == "stranger":
        return room.stranger
    return room.desk(role, unit="TABLETA-7" if role == "field" else None)


def test_the_table_above_is_the_whole_api() -> None:
    described = {
        f"{verb.upper()} {path.removeprefix('/api/v1')}"
        for path, verbs in openapi()["paths"].items()
        for verb in verbs
    }
    assert described == set(EXPECTED)
    assert all(len(line.split()) == len(CALLERS) for line in EXPECTED.values())


@pytest.mark.parametrize("route", EXPECTED)
def test_each_role_may_do_its_own_work_and_no_more(scene: Scene, route: str) -> None:
    met = {}
    for role in CALLERS:
        answer = scene.call(route, caller(scene.room, role))
        met[role] = str(answer.status_code)
        if answer.status_code == 403:
            lacks = (f"yours is {role}.", "your unit: TABLETA-7.", "your unit: none.", *ON_THE_SPOT)
            assert answer.json["detail"].endswith(lacks)
    assert " ".join(met.values()) == " ".join(EXPECTED[route].split()), dict(
        zip(CALLERS, EXPECTED[route].split(), strict=True)
    )


def test_a_crew_cannot_move_another_unit(scene: Scene) -> None:
    room = scene.room
    answer = scene.call("POST /positions", caller(room, "field")).json
    assert answer["accepted"] == 0
    assert [(r["index"], r["code"]) for r in answer["refused"]] == [(0, "forbidden")]
    assert "TABLETA-7" in answer["refused"][0]["detail"]


def test_a_stranger_is_turned_away_before_the_request_is_even_looked_at(embedded_room: Room) -> None:
    for route in EXPECTED:
        method, path = route.split(" ")
        if path != "/session":
            names = ("incident_id", "unit_id", "proposal_id", "closure_id", "layer")
            names += ("other_id", "call_id", "premise_id", "check", "notice_id", "duty_id", "alarm_id")
            names += ("handover_id", "planned_id")
            about = dict.fromkeys(names, "x" * 900)
            path = path.format(**about)
            is_problem(embedded_room.stranger.call(method, path, {"nonsense": 1}), 401, "sign-in")


# ---- districts


OTHER_DISTRICT = {
    "GET /incidents/{incident_id}": 404,
    "PATCH /incidents/{incident_id}": 404,
    "GET /incidents/{incident_id}/recommendation": 404,
    "POST /incidents/{incident_id}/what-if": 404,
    "GET /incidents/{incident_id}/ways": 404,
    "GET /incidents/{incident_id}/timeline": 404,
    "POST /incidents": 403,
    "POST /handovers": 403,
    "POST /handovers/{handover_id}/take": 404,
    "POST /planned": 403,
    "PATCH /planned/{planned_id}": 404,
    "POST /planned/{planned_id}/withdraw": 404,
    "POST /catch-up": 404,
    "POST /incidents/{incident_id}/acknowledge": 404,
    "POST /incidents/{incident_id}/notes": 404,
    "POST /incidents/{incident_id}/close": 404,
    "POST /incidents/{incident_id}/reopen": 404,
    "POST /incidents/{incident_id}/case-numbers": 404,
    "POST /incidents/{incident_id}/alarm-level": 404,
    "POST /incidents/{incident_id}/erase": 404,
    "POST /incidents/{incident_id}/resolve": 404,
    "POST /incidents/{incident_id}/assignments": 404,
    "DELETE /incidents/{incident_id}/assignments/{unit_id}": 404,
    "POST /incidents/{incident_id}/requests/{unit_id}/answer": 403,
    "PUT /incidents/{incident_id}/owner": 404,
    "PUT /incidents/{incident_id}/checks/{check}": 404,
    "POST /incidents/{incident_id}/crew-checks": 404,
    "POST /incidents/{incident_id}/notices": 404,
    "POST /incidents/{incident_id}/notices/{notice_id}": 404,
    "POST /incidents/{incident_id}/links": 404,
    "DELETE /incidents/{incident_id}/links/{other_id}": 404,
    "POST /incidents/{incident_id}/protocol": 404,
    "POST /alarms": 403,
    "GET /alarms/{alarm_id}": 404,
    "POST /alarms/{alarm_id}/acknowledge": 404,
    "PUT /alarms/{alarm_id}/shelf": 404,
    "DELETE /alarms/{alarm_id}/shelf": 404,
    "PUT /alarms/{alarm_id}/out-of-service": 404,
    "DELETE /alarms/{alarm_id}/out-of-service": 404,
    "POST /premises/notes": 403,
    "DELETE /premises/notes/{premise_id}": 404,
    "POST /premises/notes/{premise_id}/erase": 404,
    "POST /calls": 403,
    "GET /calls/{call_id}": 404,
    "POST /calls/{call_id}/answer": 404,
    "POST /calls/{call_id}/incidents": 404,
    "DELETE /calls/{call_id}/incidents/{incident_id}": 404,
    "POST /calls/{call_id}/back": 404,
    "POST /calls/{call_id}/close": 404,
    "POST /calls/{call_id}/erase": 404,
    "GET /units/{unit_id}": 200,
    "GET /units/{unit_id}/trail": 403,
    "GET /units/{unit_id}/history": 403,
    "POST /units/{unit_id}/move-up": 403,
    "DELETE /units/{unit_id}/move-up": 403,
    "POST /units/{unit_id}/move-up/answer": 403,
    "GET /proposals/{proposal_id}": 404,
    "POST /proposals/{proposal_id}/accept": 404,
    "POST /proposals/{proposal_id}/decline": 404,
    "GET /closures/{closure_id}": 200,
    "POST /closures": 403,
    "PATCH /closures/{closure_id}": 403,
    "POST /closures/{closure_id}/confirm": 403,
    "POST /closures/{closure_id}/order": 403,
    "POST /closures/{closure_id}/withdraw": 403,
    "POST /closures/{closure_id}/erase": 403,
    "POST /units": 403,
    "POST /units/{unit_id}/status": 403,
    "POST /units/{unit_id}/flags": 403,
    "POST /units/{unit_id}/resolve": 403,
}
"""The admin of another district, who may do everything at home: sees the neighbours' units, and no more."""


@pytest.mark.parametrize("route", OTHER_DISTRICT)
def test_what_lies_in_another_district_is_not_theirs(scene: Scene, route: str) -> None:
    answer = scene.call(route, scene.room.desk("admin", ["nord"]))
    assert answer.status_code == OTHER_DISTRICT[route], answer.text
    if answer.status_code == 403:
        assert is_problem(answer, 403, "forbidden")["detail"].endswith("yours: nord.")


def test_lists_hold_only_what_lies_in_the_callers_districts(embedded_room: Room) -> None:
    room = embedded_room
    room.incident()
    north = room.desk("supervisor", ["nord"])
    for state in ("open", "closed", "all"):
        assert north.get(f"/incidents?state={state}").json == []
    own = room.unit(district="nord")
    subjects = [event["subjects"] for event in pages(north, "/events?limit=1000")]
    assert [f"unit:{own}"] in subjects
    # What a neighbour's unit was sent to is on every board, and so is a closed street; what is known about
    # that incident is not.
    assert all(any(s.startswith(("unit:", "closure:")) for s in named) for named in subjects)


def test_a_unit_of_another_district_is_seen_but_not_sent(embedded_room: Room) -> None:
    room = embedded_room
    theirs = room.unit(district="nord")
    home = room.desk("dispatcher", ["centru"])
    assert home.get(f"/units/{theirs}").json["district"] == "nord"
    incident = room.incident()["id"]
    refused = is_problem(room.send(incident, theirs, desk=home), 403, "out-of-district")
    assert refused["unit"] == theirs
    assert room.ana.get(f"/units/{theirs}").json["incident"] is None


def test_a_contradiction_about_a_unit_is_settled_in_the_units_own_district(scene: Scene) -> None:
    room = scene.room
    _, _, unit, conflict = scene.contradicted()
    # Given that the unit came back, and was lent to the north since
    out = room.ana.get(f"/units/{unit}").json["incident"]
    assert room.ana.delete(f"/incidents/{out}/assignments/{unit}").status_code == 200
    lent = {"id": unit, "type": "SV", "station": "Nord", "district": "nord", "crew": 4}
    assert room.desk("admin").post("/units", lent).status_code == 200
    said = {"conflict": conflict, "resolution": "rămâne la primul incident"}
    is_problem(room.desk("dispatcher", ["centru"]).post(f"/units/{unit}/resolve", said), 403, "forbidden")
    told = room.desk("dispatcher", ["nord"]).post(f"/units/{unit}/resolve", said)
    assert told.status_code == 200, told.text
    assert told.json["conflicts"][0]["resolution"] == "rămâne la primul incident"


# ---- crews


def test_a_crew_does_everything_for_its_own_unit_and_its_incident(embedded_room: Room) -> None:
    room = embedded_room
    # Given a crew with its tablet, sent to a fire
    unit = room.unit()
    tablet = room.desk("field", unit=unit)
    incident = room.incident()["id"]
    is_problem(tablet.get(f"/incidents/{incident}"), 404)
    room.sent(incident, unit)
    # Then it sees where to go and whom to call, and nothing else
    shown = tablet.get(f"/incidents/{incident}")
    assert shown.json["caller"]["phone"] == PHONE
    assert shown.json["location_precision"] == "exact"
    assert [x["id"] for x in tablet.get("/incidents").json] == [incident]
    assert [u["id"] for u in tablet.get("/units").json] == [unit]
    assert tablet.get(f"/incidents/{incident}/timeline").status_code == 200
    # And it tells its status, its flag and its place
    told = tablet.post(f"/units/{unit}/status", {"status": "acknowledged"})
    assert told.json["status_by"] == tablet.name
    assert tablet.post(f"/units/{unit}/flags", {"flag": "emergency", "on": True}).status_code == 200
    fix = {"unit": unit, "lon": 24.94, "lat": 60.17, "observed_at": room.ago(0)}
    assert tablet.post("/positions", [fix]).json["accepted"] == 1
    room.ana.post(f"/units/{unit}/status", {"status": "on_scene"})
    well = tablet.post(f"/incidents/{incident}/crew-checks", {"units": [unit]})
    assert well.json["assignments"][0]["check"]["by"] == tablet.name
    other = room.unit()
    room.sent(incident, other)
    is_problem(tablet.post(f"/incidents/{incident}/crew-checks", {"units": [unit, other]}), 403, "forbidden")
    # But it does not command: neither itself nor others, nor against the order of statuses
    is_problem(room.send(incident, unit, desk=tablet), 403, "forbidden")
    is_problem(tablet.post(f"/incidents/{incident}/close", {"outcome": "gata"}), 403, "forbidden")
    forced = {"status": "at_hospital", "force": True, "reason": "așa vreau", "hospital": "Urgențe"}
    is_problem(tablet.post(f"/units/{unit}/status", forced), 403, "force-needs-dispatcher", "force")
    # When it is recalled, the incident is closed to it again
    assert room.ana.delete(f"/incidents/{incident}/assignments/{unit}").status_code == 200
    is_problem(tablet.get(f"/incidents/{incident}"), 404)
    assert tablet.get("/incidents").json == []


def test_a_stolen_tracker_can_move_one_dot_and_nothing_else(embedded_room: Room) -> None:
    room = embedded_room
    unit, other = room.unit(), room.unit()
    tracker = room.desk("gateway", unit=unit)
    fixes = [{"unit": u, "lon": 24.94, "lat": 60.17, "observed_at": room.ago(0)} for u in (unit, other)]
    answer = tracker.post("/positions", fixes).json
    assert (answer["accepted"], [r["unit"] for r in answer["refused"]]) == (1, [other])
    at = {"lon": RAILWAY_STATION[0], "lat": RAILWAY_STATION[1]}
    is_problem(tracker.post("/incidents", {"id": room.uuid(), "type": "F05", "location": at}), 403)
    is_problem(tracker.post(f"/units/{other}/flags", {"flag": "emergency", "on": True}), 403)


# ---- personal data


@pytest.mark.parametrize("role", ["observer", "drill_controller", "gateway"])
def test_no_personal_data_reaches_those_who_only_look_on(embedded_room: Room, role: str) -> None:
    room = embedded_room
    secrets = (PHONE, "Dragomirescu", "în pivniță", "Kaivokatu", "scurgere", "reanimat")
    incident = room.incident(description="doi copii în pivniță", address="Kaivokatu 1")["id"]
    room.ana.post(f"/incidents/{incident}/notes", {"text": "scurgere de gaz"})
    room.ana.patch(f"/incidents/{incident}", {"caller": {"name": "Dragomirescu M.", "phone": PHONE}})
    room.ana.post(f"/incidents/{incident}/close", {"outcome": "unul reanimat"})
    # Given that the room itself reads all of it
    clear = room.ana.get(f"/incidents/{incident}").text + room.ana.get(f"/incidents/{incident}/timeline").text
    shown = clear.encode().decode("unicode_escape").encode("latin-1", "ignore").decode("latin-1")
    assert PHONE in clear
    assert "Kaivokatu" in shown
    # Then nothing that the other is answered holds a word of it
    desk = room.desk(role)
    for path in (
        f"/incidents/{incident}",
        f"/incidents/{incident}/timeline",
        "/incidents?state=all&limit=500",
        "/events?limit=1000",
        "/units",
    ):
        answer = desk.get(path)
        found = [secret for secret in secrets if secret in _plain(answer)]
        assert not found, (path, found)
    if role != "gateway":
        row = desk.get(f"/incidents/{incident}").json
        assert (row["caller"], row["description"], row["address"], row["outcome"]) == (None,) * 4
        assert row["location_precision"] == "coarse"
        assert (row["lon"], row["lat"]) == (round(row["lon"], 3), round(row["lat"], 3))


def _plain(answer: TestResponse) -> str:
    return json.dumps(answer.json, ensure_ascii=False)


# ---- the live socket


@pytest.mark.parametrize(
    ("role", "let_in"),
    [
        ("stranger", False),
        ("admin", True),
        ("supervisor", True),
        ("dispatcher", True),
        ("field", True),
        ("gateway", False),
        ("observer", True),
        ("drill_controller", True),
    ],
)
def test_each_role_at_the_live_socket(embedded_room: Room, role: str, let_in: bool) -> None:
    client = console(embedded_room, caller(embedded_room, role))
    try:
        assert client.is_connected() is let_in
        if let_in:
            hello: Callable[..., Any] = client.emit
            assert hello("hello", {"cursor": None}, callback=True)["mode"] == "snapshot"
    finally:
        close_quietly(client)
