"""How the city is covered: standards, what idle units reach, and what the next departure would cost."""

from __future__ import annotations

from app.core import read_pack
from app.coverage import STANDARDS_MAX, standards_of


def test_the_operators_published_targets_are_the_first_standards_and_urgent_needs_follow() -> None:
    pack = read_pack("ro")
    found = standards_of(pack)
    assert [(s.capability, s.within_s, s.rural_s, s.share_pct, s.stated) for s in found[:2]] == [
        ("first_aid", 480, 720, 90, True),
        ("doctor", 900, 1200, 90, True),
    ]
    assert "fire_suppression" in [s.capability for s in found[2:]]
    assert len(found) == STANDARDS_MAX
    assert len({s.capability for s in found}) == len(found)
    for standard in found[2:]:
        assert not standard.stated
        assert standard.within_s == standard.rural_s
        urgent = [t for t in pack.incident_types.values() if standard.capability in t.needs]
        assert standard.within_s == min(pack.priorities[t.priority].target_s or 9e9 for t in urgent)
