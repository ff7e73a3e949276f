"""`straja simulate`: from a folder or an imported city to a table, a picture and figures with intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from app import cli, simulation
from app.core import read_pack
from dispatch.plans import Standby
from dispatch.simulate import POLICIES, Policy, draw_calls, late_bound, simulate
from tests.gis.test_jemss import write_village


@pytest.fixture
def village(tmp_path: Path) -> Path:
    return write_village(tmp_path / "village")


@pytest.fixture
def straja(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("STRAJA_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("STRAJA_PACK", "generic")

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["simulate", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_policies_defaults_are_the_packs(tmp_path: Path) -> None:
    for name in ("generic", "ro"):
        pack = read_pack(name)
        assert pack.standby == Standby()
        for policy in simulation.policies_of(pack):
            ours = POLICIES[policy.name]
            assert policy.weights == ours.weights
            assert policy.delta_s[:3] == ours.delta_s[:3]
            for field in ("width_s", "per_minute", "first_due", "coverage_weight", "away_s", "standby"):
                assert getattr(policy, field) == getattr(ours, field), field


def test_intervals_are_those_of_student() -> None:
    # Of 1, 2, 3: t(0.975, 2) = 4.303 times 1 over the root of 3.
    found = simulation.estimate([1.0, 2.0, 3.0, math.nan])
    assert (found.mean, found.seeds) == (2.0, 3)
    assert found.half == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert math.isnan(simulation.estimate([5.0]).half)


def test_a_village_is_played_and_printed(
    village: Path,
    straja: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:
    words = ["--city", str(village), "--demand", "train", "--load", "30", "--days", "3", "--seeds", "2"]
    picture = tmp_path / "late.svg"
    code, out, _ = straja(*words, "--policy", "all", "--bound", "--out", str(picture))
    assert code == 0
    assert "seeds train 0, 1; 3 days each" in out
    assert "closest-idle" in out
    assert "bound" in out
    assert "move-up" not in out
    assert picture.read_text().lstrip().startswith("<?xml")
    code, out, _ = straja(*words, "--json")
    told = json.loads(out.splitlines()[-1])
    assert code == 0
    assert told["seeds"] == [0, 1]
    assert [row["policy"] for row in told["rows"]] == list(POLICIES)
    # The same seeds again: the same figures.
    assert json.loads(straja(*words, "--json")[1].splitlines()[-1]) == told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--city", "/nowhere"], "is no imported city and no folder"),
        (["--policy", "best"], "'best' is no policy"),
        (["--demand", "holiday"], "there are no seeds named 'holiday'"),
        (["--demand", "train", "--lost", "2"], "leaves nobody"),
        (["--out", "late.bmp"], "late.bmp cannot be drawn"),
    ],
)
def test_what_cannot_be_played_is_said(
    village: Path,
    straja: Callable[..., tuple[int, str, str]],
    words: list[str],
    said: str,
) -> None:
    place = [] if "--city" in words else ["--city", str(village)]
    code, out, err = straja(*place, *words)
    assert code == 2
    assert said in out + err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--days", "0"], "0 is not a number from 1.5 to 3650: the first day is not counted"),
        (["--days", "nan"], "nan is not a number"),
        (["--seeds", "2.5"], "2.5 is not a whole number from 1 to 10000"),
    ],
)
def test_a_figure_out_of_its_bounds_is_refused_with_them(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["simulate", *words])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_the_help_names_every_policy_and_what_is_taken_unless_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["simulate", "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    given = cli.parser().parse_args(["simulate"])
    loads = [str(load) for load in simulation.LOADS]
    for words in (
        *POLICIES,
        f"default: {', '.join(loads[:-1])} and {loads[-1]}",
        f"default: {given.days:g}",
        f"default: {given.seeds}",
        f"default: {given.first_seed}",
        f"default: {given.demand}",
        f"default: {given.drive_factor:g}",
        f"default: {given.fix_age:g}",
        f"default: {given.lost}",
    ):
        assert words in help_text


def test_a_folder_with_faults_is_said_with_their_places(
    village: Path,
    straja: Callable[..., tuple[int, str, str]],
) -> None:
    (village / "hospitals.csv").write_text("hospitals,,\nindex,x,y,name\n1,here,-36.5,General\n")
    code, out, err = straja("--city", str(village))
    assert code == 2
    assert "hospitals.csv, row 3, column x: 'here' is no number" in out + err


def test_nobody_is_late_less_than_the_bound(village: Path) -> None:
    scenario = simulation.open_jemss(village)
    for seed in range(3):
        calls = draw_calls(scenario.demands["train"], seed, 4.0, 40.0)
        bound = late_bound(scenario.city, calls)
        assert 0.0 <= bound <= 1.0
        # Closest-idle sends from posts and from the way home alone, so the bound holds for it.
        outcome = simulate(scenario.city, calls, Policy("closest-idle"), cover=scenario.cover)
        counted = scenario.city.counted[calls.priority]
        late = outcome.response_s > scenario.city.target_s[calls.priority]
        assert late[counted].mean() >= bound - 1e-9, f"seed {seed}"


def test_an_imported_city_says_what_was_assumed(helsinki: Path) -> None:
    scenario = simulation.open_city(helsinki, read_pack("generic"), units=4)
    assert any("turn restrictions" in line for line in scenario.assumed)
    jobs = [simulation.Job(60, 0, 2.0, "test", simulation.policies_of(read_pack("generic"), ["all"]))]
    done = simulation.run(scenario, jobs, processes=1)
    text = simulation.report(scenario, done)
    assert "assumed: " in text
    assert "4 ambulances" in text
    assert done[0].by_policy["all"]["mean_s"] > 60
