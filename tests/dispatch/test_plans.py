"""Packs: both that ship load clean, and every class of fault is found, all at once, with its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dispatch.plans import PRIORITIES, STATUSES, Driving, Pack, PackError, load_pack

PACKS = Path(__file__).parents[2] / "packs"
SHIPPED = ("ro", "generic")


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys in silence; in a shipped pack that would hide a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"repeated key near {node.start_mark}"
        return super().construct_mapping(node, deep=deep)


def read(name: str) -> dict[str, Any]:
    raw = yaml.load((PACKS / f"{name}.yaml").read_text(encoding="utf-8"), Loader=_UniqueKeys)
    assert isinstance(raw, dict)
    return raw


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    return read("ro")


@pytest.fixture
def raw(shipped: dict[str, Any]) -> dict[str, Any]:
    """The Romanian pack as an operator holds it in the editor, about to be spoiled by a test."""
    return copy.deepcopy(shipped)


@pytest.fixture(scope="module")
def ro(shipped: dict[str, Any]) -> Pack:
    return load_pack(shipped)


def faults(raw: Any) -> tuple[str, ...]:
    with pytest.raises(PackError) as caught:
        load_pack(raw)
    assert "\n".join(caught.value.faults) in str(caught.value)
    return caught.value.faults


# ---- the packs that ship


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pack_loads_without_a_fault_and_speaks_both_languages(name: str) -> None:
    pack = load_pack(read(name))
    assert pack.name == name
    assert {"ro", "en"} <= set(pack.languages)
    assert tuple(pack.priorities) == PRIORITIES
    assert tuple(pack.statuses) == STATUSES
    assert len(pack.incident_types) >= 20
    assert {agency.command for agency in pack.agencies.values()} >= {"owned", "requested"}
    for word in "\u015e\u015f\u0162\u0163":
        assert word not in (PACKS / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_incident_type_can_be_filled_at_every_priority_and_alarm_level(name: str) -> None:
    pack = load_pack(read(name))
    for code in pack.incident_types:
        for priority in PRIORITIES:
            before: dict[str, int] = {}
            for level in pack.alarm_levels:
                needs = pack.needs(code, priority, level)
                assert needs
                assert all(needs[one] >= count for one, count in before.items()), (
                    "a higher level never takes away"
                )
                for capability in needs:
                    assert any(capability in kind.gives for kind in pack.unit_types.values())
                before = needs


@pytest.mark.parametrize("name", SHIPPED)
def test_the_catalogue_is_json_and_carries_every_name(name: str) -> None:
    pack = load_pack(read(name))
    catalogue = json.loads(json.dumps(pack.catalogue(), ensure_ascii=False))
    assert catalogue["pack"] == name
    for section in (
        "agencies", "partners", "capabilities", "priorities", "medical_codes", "statuses", "status_flags",
        "alarm_levels", "overlays", "unit_types", "incident_types",
    ):  # fmt: skip
        assert catalogue[section], section
        assert all(entry["ro"] and entry["en"] for entry in catalogue[section]), section
    assert [entry["code"] for entry in catalogue["incident_types"]] == list(pack.incident_types)
    assert [entry["level"] for entry in catalogue["alarm_levels"]] == list(pack.alarm_levels)


def test_the_romanian_pack_holds_what_dispatchers_expect(ro: Pack) -> None:
    assert ro.priorities["P1"].names == {"ro": "1 Critic", "en": "1 Critical"}
    assert ro.priorities["P1"].medical_code == "cod_rosu"
    assert [ro.priorities[one].target_s for one in PRIORITIES] == [480, 900, 1800, None]
    assert ro.command("TIM") == "requested"
    assert ro.command("PL") == "owned"
    assert ro.unit_types["TIM"].gives == {"first_aid", "doctor", "intensive_care", "transport"}
    assert ro.statuses["en_route"].sendable == "divert"
    assert ro.statuses["on_scene"].par_s == 1200
    assert ro.statuses["en_route"].silent_s == 120
    assert ro.statuses["off_duty"].silent_s is None
    assert ro.statuses["transporting"].needs_hospital
    assert ro.statuses["recovering"].wants_ready_at
    assert ro.incident_types["G01"].light == "freeze"
    assert ro.incident_types["G01"].stage
    assert ro.incident_types["F01"].notify == ("GAZ", "ELE")


# ---- needs


def test_needs_at_level_one_are_those_of_the_type(ro: Pack) -> None:
    assert ro.needs("F01", "P1", 1) == {
        "fire_suppression": 2,
        "officer": 1,
        "first_aid": 1,
        "local_patrol": 1,
    }


def test_a_second_alarm_adds_everything_that_its_units_give(ro: Pack) -> None:
    # Two ASAS (fire_suppression, foam, pumping), ASM (aerial, rope_rescue), ACAP (fire_suppression,
    # water_carry, foam) and TIM (first_aid, doctor, intensive_care, transport) on top of level 1.
    assert ro.needs("F01", "P1", 2) == {
        "fire_suppression": 5, "officer": 1, "first_aid": 2, "local_patrol": 1, "foam": 3, "pumping": 2,
        "aerial": 1, "rope_rescue": 1, "water_carry": 1, "doctor": 1, "intensive_care": 1, "transport": 1,
    }  # fmt: skip


def test_a_level_that_the_type_does_not_list_adds_nothing(ro: Pack) -> None:
    assert ro.needs("F01", "P1", 4) == ro.needs("F01", "P1", 2)
    assert ro.needs("U02", "P3", 4) == ro.needs("U02", "P3", 1)


def test_the_operator_may_write_other_needs_for_a_priority(ro: Pack) -> None:
    assert ro.needs("F05", "P2", 1) == {"fire_suppression": 1, "traffic_control": 1}
    assert ro.needs("F05", "P1", 1) == {"fire_suppression": 1, "traffic_control": 1, "first_aid": 1}


def test_asking_for_needs_never_changes_the_pack(ro: Pack) -> None:
    first = ro.needs("F01", "P1", 2)
    first["doctor"] = 99
    assert ro.needs("F01", "P1", 2)["doctor"] == 1
    with pytest.raises(TypeError):
        ro.incident_types["F01"].needs["doctor"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("asked", "named"), [(("F99", "P1", 1), "F99"), (("F01", "P5", 1), "P5"), (("F01", "P1", 9), "9")]
)
def test_needs_of_something_unknown_is_an_error_that_names_it(
    ro: Pack, asked: tuple[Any, ...], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        ro.needs(*asked)


# ---- faults: one spoilt place each, and the words that must point to it


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(raw: dict[str, Any]) -> None:
        place: Any = raw
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return spoil


def _drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(raw: dict[str, Any]) -> None:
        place: Any = raw
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return spoil


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "an unknown key at the top": (
        _set("incident_type", to=[]),
        "incident_type: unknown key; did you mean incident_types?",
    ),
    "an unknown key in an entry": (
        _set("unit_types", "TIM", "crewmin", to=4),
        "unit_types.TIM.crewmin: unknown key; did you mean crew_min?",
    ),
    "an unknown capability, with the likely one": (
        _set("incident_types", 3, "needs", "doctr", to=1),
        "incident_types[3].needs.doctr: unknown capability; did you mean doctor?",
    ),
    "an unknown unit type": (
        _set("incident_types", 0, "units", "ASAX", to=1),
        "incident_types[0].units.ASAX: unknown unit type; did you mean ASAS?",
    ),
    "an unknown unit type in a level": (
        _set("incident_types", 0, "levels", 2, "ASAX", to=1),
        "incident_types[0].levels.2.ASAX: unknown unit type",
    ),
    "an unknown agency": (
        _set("unit_types", "TIM", "agency", to="ISUU"),
        "unit_types.TIM.agency: unknown agency 'ISUU'; did you mean ISU?",
    ),
    "an unknown partner": (
        _set("incident_types", 0, "notify", to=["GAZZ"]),
        "incident_types[0].notify[0]: unknown partner 'GAZZ'; did you mean GAZ?",
    ),
    "an unknown medical code": (
        _set("priorities", "P1", "medical_code", to="cod_roz"),
        "priorities.P1.medical_code: unknown medical code 'cod_roz'",
    ),
    "an unknown overlay": (
        _set("incident_types", 0, "may_raise", to="plan_albastru"),
        "incident_types[0].may_raise: unknown overlay",
    ),
    "an unknown light rule": (
        _set("incident_types", 0, "light", to="bright"),
        "incident_types[0].light: unknown light rule 'bright'; allowed: boost, ask, freeze, none",
    ),
    "an unknown profile": (
        _set("unit_types", "TIM", "profile", to="boat"),
        "unit_types.TIM.profile: unknown profile 'boat'",
    ),
    "a command that is not one": (
        _set("agencies", "PLO", "command", to="own"),
        "agencies.PLO.command: unknown command 'own'; did you mean owned?",
    ),
    "a type given a text for a number": (
        _set("unit_types", "TIM", "crew_min", to="four"),
        "unit_types.TIM.crew_min: must be a whole number from 1 to 99, not 'four'",
    ),
    "true for a number": (
        _set("incident_types", 0, "needs", "officer", to=True),
        "incident_types[0].needs.officer: must be a whole number from 1 to 99, not true",
    ),
    "a number for yes or no": (
        _set("incident_types", 0, "stage", to=1),
        "incident_types[0].stage: must be true or false, not 1",
    ),
    "a list for a mapping": (
        _set("capabilities", to=["doctor"]),
        "capabilities: must be a mapping of keys to values",
    ),
    "a text for a list": (
        _set("unit_types", "TIM", "gives", to="doctor"),
        "unit_types.TIM.gives: must be a list, not 'doctor'",
    ),
    "a mapping for the list of types": (
        _set("incident_types", to={}),
        "incident_types: must be a list with at least one entry",
    ),
    "a priority outside P1..P4 on a type": (
        _set("incident_types", 0, "priority", to="P5"),
        "incident_types[0].priority: unknown priority 'P5'",
    ),
    "a fifth priority": (
        _set("priorities", "P5", to={"ro": "5", "en": "5"}),
        "priorities.P5: unknown priority",
    ),
    "a priority left out": (
        _drop("priorities", "P3"),
        "priorities.P3: missing; every priority fixed by the program is required",
    ),
    "needs for a priority that does not exist": (
        _set("incident_types", 0, "needs_at", to={"P9": {"doctor": 1}}),
        "incident_types[0].needs_at.P9: unknown priority",
    ),
    "a duplicate code": (
        _set("incident_types", 1, "code", to="F01"),
        "incident_types[1].code: duplicate code F01; already used by incident_types[0].code",
    ),
    "a duplicate code but for letter case": (
        _set("unit_types", "tim", to={}),
        "unit_types.tim: duplicate code tim; already used by unit_types.TIM",
    ),
    "a code that YAML read as a truth value": (
        _set("capabilities", False, to={"ro": "Nu", "en": "No"}),
        "capabilities.False: false is not a code",
    ),
    "a code with a space": (
        _set("incident_types", 0, "code", to="F 01"),
        "incident_types[0].code: 'F 01' is not a code",
    ),
    "a status left out": (
        _drop("statuses", "staged"),
        "statuses.staged: missing; every status fixed by the program is required",
    ),
    "a thirteenth status": (
        _set(
            "statuses",
            "on_break",
            to={"ro": "Pauză", "en": "Break", "sendable": "never", "next": ["available"]},
        ),
        "statuses.on_break: unknown status",
    ),
    "a status that leads nowhere": (
        _set("statuses", "recovering", "next", to=[]),
        "statuses.recovering.next: leads nowhere",
    ),
    "statuses that lead only to each other": (
        _set("statuses", "transporting", "next", to=["transporting"]),
        "statuses.transporting.next: leads nowhere",
    ),
    "a status that leads to an unknown one": (
        _set("statuses", "returning", "next", to=["availble"]),
        "statuses.returning.next[0]: unknown status 'availble'; did you mean available?",
    ),
    "an off-duty unit that could be sent": (
        _set("statuses", "off_duty", "sendable", to="now"),
        "statuses.off_duty.sendable: must be never",
    ),
    "a sendable word that is none": (
        _set("statuses", "available", "sendable", to="yes"),
        "statuses.available.sendable: unknown sendable 'yes'; allowed: now, divert, soon, never",
    ),
    "a missing Romanian name": (
        _drop("capabilities", "doctor", "ro"),
        'capabilities.doctor.ro: missing; "ro" is a declared language',
    ),
    "an empty English name": (
        _set("incident_types", 0, "en", to="  "),
        "incident_types[0].en: must be a text that is not empty",
    ),
    "a name missing in a third language": (
        _set("languages", to=["ro", "en", "hu"]),
        'agencies.ISU.hu: missing; "hu" is a declared language',
    ),
    "a language the program needs left out": (_set("languages", to=["ro"]), "languages: en is missing"),
    "a language that is no code": (
        _set("languages", to=["ro", "en", "maghiară"]),
        "languages[2]: 'maghiară' is not a two-letter language code",
    ),
    "a need that no unit type gives": (
        _set("incident_types", 0, "needs", "gas_isolation", to=1),
        "incident_types[0].needs.gas_isolation: no unit type in this pack gives it",
    ),
    "needs that the listed units cannot give": (
        _set("incident_types", 0, "needs", "doctor", to=1),
        "incident_types[0].needs.doctor: asks for 1, but the units listed for F01 give 0",
    ),
    "no needs at all": (
        _set("incident_types", 0, "needs", to={}),
        "incident_types[0].needs: is empty; name at least one capability",
    ),
    "level 1 among the added levels": (
        _set("incident_types", 0, "levels", to={1: {"ASAS": 1}}),
        "incident_types[0].levels.1: 1 is not an alarm level that can add units; allowed: 2, 3, 4",
    ),
    "a level that the pack does not have": (
        _set("incident_types", 0, "levels", to={7: {"ASAS": 1}}),
        "incident_types[0].levels.7: 7 is not an alarm level",
    ),
    "a level that is no number": (
        _set("incident_types", 0, "levels", to={"two": {"ASAS": 1}}),
        "incident_types[0].levels.two: 'two' is not an alarm level",
    ),
    "alarm levels with a gap": (
        _drop("alarm_levels", 2),
        "alarm_levels: must count 1, 2, 3 ... without a gap, not [1, 3, 4]",
    ),
    "an alarm level below one": (
        _set("alarm_levels", 0, to={"ro": "Zero", "en": "Zero"}),
        "alarm_levels.0: 0 is not a level number from 1 to 9",
    ),
    "a negative count": (
        _set("incident_types", 0, "units", "ASAS", to=-2),
        "incident_types[0].units.ASAS: is -2; it must be from 1 to 99",
    ),
    "a negative turnout": (
        _set("unit_types", "TIM", "turnout_s", to=-1),
        "unit_types.TIM.turnout_s: is -1; it must be from 0 to 86400",
    ),
    "a negative response target": (
        _set("priorities", "P1", "target_s", to=-480),
        "priorities.P1.target_s: is -480",
    ),
    "a silence that every pause for breath would break": (
        _set("statuses", "en_route", "silent_s", to=2),
        "statuses.en_route.silent_s: is 2; it must be from 10 to 86400",
    ),
    "an incident that is called out again at once": (
        _set("priorities", "P1", "acknowledge_s", to=0),
        "priorities.P1.acknowledge_s: is 0; it must be from 5 to 3600",
    ),
    "a share above a hundred": (
        _set("response_targets", 0, "share_pct", to=120),
        "response_targets[0].share_pct: is 120; it must be from 1 to 100",
    ),
    "an s with a cedilla": (
        _set("incident_types", 0, "ro", to="Incendiu în ora\u015f"),
        'incident_types[0].ro: "\u015f" (U+015F) has a cedilla; write "ș" (U+0219, comma below)',
    ),
    "a capital T with a cedilla": (
        _set("capabilities", "doctor", "ro", to="\u0162intă"),
        'capabilities.doctor.ro: "\u0162" (U+0162) has a cedilla; write "Ț" (U+021A',
    ),
    "a cedilla typed as a combining mark": (
        _set("capabilities", "doctor", "ro", to="oras\u0327"),
        'capabilities.doctor.ro: "\u015f" (U+015F) has a cedilla',
    ),
    "a name of two lines": (
        _set("capabilities", "doctor", "en", to="Doc\ntor"),
        "capabilities.doctor.en: must be one line",
    ),
    "a unit type that gives nothing": (
        _set("unit_types", "SO", "gives", to=[]),
        "unit_types.SO.gives: is empty",
    ),
    "a unit type that gives the same twice": (
        _set("unit_types", "SO", "gives", to=["social_care", "social_care"]),
        "unit_types.SO.gives[1]: social_care is listed twice",
    ),
    "a unit type that shares a crew with itself": (
        _set("unit_types", "ASM", "shares_crew", to=["ASM"]),
        "unit_types.ASM.shares_crew: ASM shares its crew with itself",
    ),
    "units of an agency that only passes cases on": (
        _set("unit_types", "SO", "agency", to="STS112"),
        "unit_types.SO.agency: STS112 only passes cases on",
    ),
    "a required field left out": (
        _drop("unit_types", "TIM", "turnout_s"),
        "unit_types.TIM.turnout_s: missing; it is required",
    ),
    "a section left out": (_drop("capabilities"), "capabilities: missing; it is required"),
    "a mark that is no text": (
        _set("unit_types", "TIM", "src", to=3),
        "unit_types.TIM.src: must be a text, not 3",
    ),
    "a version that is a list": (_set("version", to=[1]), "version: must be a number or a text"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_reported_with_its_place(raw: dict[str, Any], what: str) -> None:
    spoil, expected = FAULTS[what]
    spoil(raw)
    assert any(fault.startswith(expected) for fault in faults(raw)), faults(raw)


def test_all_faults_are_listed_at_once(raw: dict[str, Any]) -> None:
    raw["unit_types"]["TIM"]["crew_min"] = "four"
    raw["incident_types"][0]["light"] = "bright"
    raw["statuses"]["recovering"]["nxt"] = []
    found = faults(raw)
    assert len(found) == 3
    assert [fault.split(":")[0] for fault in found] == [
        "statuses.recovering.nxt", "unit_types.TIM.crew_min", "incident_types[0].light",
    ]  # fmt: skip
    with pytest.raises(PackError, match="3 faults in the pack"):
        load_pack(raw)


@pytest.mark.parametrize(
    "nonsense", [None, [], "pack", 7, {}, {"pack": None, "incident_types": [None, 3, "x"]}]
)
def test_anything_that_is_no_pack_is_refused_and_never_crashes(nonsense: Any) -> None:
    assert faults(nonsense)


def test_any_single_value_may_be_spoilt_without_a_crash(shipped: dict[str, Any]) -> None:
    # Every leaf and branch of the pack in turn becomes something of another type: load_pack may accept it or
    # raise PackError, and nothing else.
    def places(node: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        found = [path] if path else []
        for key, inner in items:
            found += places(inner, (*path, key))
        return found

    small = copy.deepcopy(shipped)
    small["incident_types"] = small["incident_types"][:2]
    refused = 0
    for path in places(small, ()):
        parent: Any = small
        for step in path[:-1]:
            parent = parent[step]
        kept = parent[path[-1]]
        wrongs: tuple[Any, ...] = (None, -1, [], {"x": 1})
        for wrong in wrongs:
            parent[path[-1]] = wrong
            try:
                load_pack(small)
            except PackError:
                refused += 1
        parent[path[-1]] = kept
    load_pack(small)
    assert refused > 1000


def test_numbers_as_texts_are_read_as_levels_because_json_has_no_other_keys(
    raw: dict[str, Any], ro: Pack
) -> None:
    assert load_pack(json.loads(json.dumps(raw))) == ro


def test_who_drives_with_priority_signals_is_said_by_the_type_and_the_priority(raw: dict[str, Any]) -> None:
    for priority in raw["priorities"].values():
        priority.pop("lights", None)
    pack = load_pack(raw)
    assert [pack.drives_with_priority(True, p) for p in ("P1", "P2", "P3", "P4")] == [
        True,
        True,
        False,
        False,
    ]
    assert not pack.drives_with_priority(False, "P1")
    assert not pack.drives_with_priority(True, "P9")
    raw["priorities"]["P2"]["lights"] = False
    assert not load_pack(raw).drives_with_priority(True, "P2")


def test_what_priority_signals_allow_is_little_unless_the_operator_says_more(raw: dict[str, Any]) -> None:
    raw.pop("driving", None)
    assert load_pack(raw).driving == Driving(10, bus_lanes=False, contra_flow=False, contra_flow_kmh=20)
    raw["driving"] = {"faster_pct": 25, "contra_flow": True}
    assert load_pack(raw).driving == Driving(25, bus_lanes=False, contra_flow=True, contra_flow_kmh=20)
    assert load_pack(raw).catalogue()["driving"]["faster_pct"] == 25
    raw["driving"] = {"faster_pct": 90, "contra_flow": "yes", "bus_lane": True}
    with pytest.raises(PackError) as refused:
        load_pack(raw)
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "driving.faster_pct", "driving.contra_flow", "driving.bus_lane",
    ]  # fmt: skip


def test_the_response_targets_have_defaults_and_null_means_none(raw: dict[str, Any]) -> None:
    for priority in PRIORITIES:
        del raw["priorities"][priority]["target_s"]
    assert [one.target_s for one in load_pack(raw).priorities.values()] == [480, 900, 1800, None]
    raw["priorities"]["P1"]["target_s"] = None
    assert load_pack(raw).priorities["P1"].target_s is None


def test_how_long_a_call_may_wait_to_be_taken_over_has_defaults_and_null_means_for_ever(
    raw: dict[str, Any],
) -> None:
    for priority in PRIORITIES:
        del raw["priorities"][priority]["acknowledge_s"]
    assert [one.acknowledge_s for one in load_pack(raw).priorities.values()] == [20, 45, 120, None]
    raw["priorities"]["P1"]["acknowledge_s"] = None
    assert load_pack(raw).priorities["P1"].acknowledge_s is None


def test_a_third_language_is_welcome_once_every_name_has_it(raw: dict[str, Any]) -> None:
    raw["languages"].append("hu")

    def translate(node: Any) -> None:
        if isinstance(node, dict):
            if "ro" in node and "en" in node:
                node["hu"] = node["en"]
            for inner in list(node.values()):
                translate(inner)
        elif isinstance(node, list):
            for inner in node:
                translate(inner)

    translate(raw)
    assert all(entry["hu"] for entry in load_pack(raw).catalogue()["unit_types"])
