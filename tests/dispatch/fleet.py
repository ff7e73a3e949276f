"""Candidates for stories about the optimiser, unit by unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dispatch.optimise import Candidates

CAPABILITIES = ("fire_suppression", "officer", "first_aid", "doctor", "transport", "local_patrol")


def unit(id: str, gives: Sequence[str], drive_s: float, **changes: Any) -> dict[str, Any]:
    """One available unit with a full crew, a fresh fix and no turnout; ``changes`` replaces columns."""
    row: dict[str, Any] = {
        "ids": id, "types": "X", "agencies": "CITY", "command": "owned", "districts": "north",
        "gives": gives, "status": "available", "sendable": "now", "crew": 4, "crew_min": 2, "crew_id": None,
        "blocked_by": None, "drive_s": drive_s, "distance_m": drive_s * 10.0, "road": True,
        "turnout_s": 0.0, "ready_in_s": np.nan, "fix_age_s": 5.0, "in_zone": True,
        "busy_with": None, "busy_by": None, "already": False, "eta_low_s": np.nan, "eta_high_s": np.nan,
        "shift_left_s": np.nan, "workload": np.nan, "staging": False,
    }  # fmt: skip
    unknown = set(changes) - set(row)
    assert not unknown, unknown
    return row | changes


def candidates(*rows: Mapping[str, Any]) -> Candidates:
    def column(name: str) -> tuple[Any, ...]:
        return tuple(row[name] for row in rows)

    def array(name: str, kind: Any) -> Any:
        return np.array(column(name), dtype=kind)

    gives = np.array([[name in row["gives"] for name in CAPABILITIES] for row in rows], dtype=bool)
    return Candidates(
        ids=column("ids"), types=column("types"), agencies=column("agencies"), command=column("command"),
        districts=column("districts"), capabilities=CAPABILITIES,
        gives=gives.reshape(len(rows), len(CAPABILITIES)),
        status=column("status"), sendable=column("sendable"), crew=array("crew", np.int64),
        crew_min=array("crew_min", np.int64), crew_id=column("crew_id"), blocked_by=column("blocked_by"),
        drive_s=array("drive_s", float), distance_m=array("distance_m", float), road=array("road", bool),
        turnout_s=array("turnout_s", float), ready_in_s=array("ready_in_s", float),
        fix_age_s=array("fix_age_s", float), in_zone=array("in_zone", bool), busy_with=column("busy_with"),
        busy_by=column("busy_by"), already=array("already", bool), eta_low_s=array("eta_low_s", float),
        eta_high_s=array("eta_high_s", float), shift_left_s=array("shift_left_s", float),
        workload=array("workload", float), staging=array("staging", bool),
    )  # fmt: skip
