"""Cities on the command line and in use: getting, listing, choosing, removing, and those of older formats."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app import cli, core, up
from app.core import CityInUse
from config import Config
from gis import FORMAT_VERSION, city
from gis.city import City, import_city, open_city
from tests.gis.small_city import Town, at

Run = Callable[..., tuple[int, str, str]]


def town(file: Path, street: str) -> Path:
    """An extract with one street."""
    made = Town()
    made.node(1, 0, 0)
    made.node(2, 500, 0)
    made.way([1, 2], {"highway": "residential", "name": street})
    return made.write(file)


@pytest.fixture
def var(tmp_path: Path) -> Path:
    """Two cities, brasov and sibiu."""
    cities = tmp_path / "var" / "cities"
    for name, street in (("brasov", "Strada Lungă"), ("sibiu", "Strada Cetății")):
        import_city(town(tmp_path / f"{name}.osm.pbf", street), cities, name)
    return tmp_path / "var"


@pytest.fixture
def straja(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """The command line: straja("city", "list", STRAJA_CITY="x") -> (exit code, standard output, errors)."""
    for name in [name for name in os.environ if name.startswith("STRAJA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STRAJA_VAR", str(tmp_path / "var"))
    umask = os.umask(0o022)
    os.umask(umask)

    def run(*words: str, **settings: str) -> tuple[int, str, str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            code = cli.main(list(words))
        said = capfd.readouterr()
        return code, said.out, said.err

    yield run
    os.umask(umask)


def configured(var: Path, **settings: str) -> Config:
    return Config.from_env({"STRAJA_VAR": str(var), **settings})


def in_use(var: Path, **settings: str) -> str:
    folder = up.city_folder(configured(var, **settings))
    return folder.name if folder else ""


# -- listing and choosing ------------------------------------------------------------------------------


def test_the_list_marks_the_city_in_use_and_shows_size_age_and_format(straja: Run, var: Path) -> None:
    code, out, _ = straja("city", "list")
    assert code == 0
    brasov, sibiu = out.splitlines()
    assert brasov.startswith("* brasov: ")
    assert sibiu.startswith("  sibiu: ")
    for part in ("1 streets", " MB", f"format {FORMAT_VERSION}", "from brasov.osm.pbf", "(today)"):
        assert part in brasov


def test_how_long_ago_is_said_in_days() -> None:
    assert cli.age("2020-01-01T00:00:00Z").startswith("imported 2020-01-01 (")
    assert cli.age("2020-01-01T00:00:00Z").endswith(" days ago)")


def test_no_city_says_how_to_get_one(straja: Run) -> None:
    code, out, _ = straja("city", "list")
    assert code == 0
    assert "straja city get NAME" in out


def test_the_choice_stays_until_another_is_made(straja: Run, var: Path) -> None:
    # given that nobody chose: the first by name
    assert in_use(var) == "brasov"
    # when sibiu is chosen
    code, out, _ = straja("city", "use", "sibiu")
    assert (code, out.splitlines()[-1]) == (
        0,
        "sibiu is the city in use; the demo's crews move there at the next start",
    )
    # then it is in use, and marked
    assert in_use(var) == "sibiu"
    assert "* sibiu" in straja("city", "list")[1]
    # STRAJA_CITY goes before it, and the command says so
    assert in_use(var, STRAJA_CITY="brasov") == "brasov"
    assert "STRAJA_CITY is brasov, and it wins" in straja("city", "use", "sibiu", STRAJA_CITY="brasov")[1]
    # and when the chosen one is gone, there is still a city
    straja("city", "remove", "sibiu", "--force")
    assert in_use(var) == "brasov"


@pytest.mark.parametrize("name", ["cluj", ".in-use", "..", "../cities/sibiu", ""])
def test_a_city_that_is_not_there_can_be_neither_chosen_nor_removed(
    straja: Run, var: Path, name: str
) -> None:
    before = sorted((var / "cities").rglob("*"))
    for words in (("use", name), ("rebuild", name), ("remove", name, "--force")):
        code, _, errors = straja("city", *words)
        assert code == 2
        assert "There is no city" in errors
        assert "straja city list" in errors
    assert sorted((var / "cities").rglob("*")) == before
    assert in_use(var) == "brasov"


def test_a_city_that_cannot_be_opened_cannot_be_chosen(straja: Run, var: Path) -> None:
    (var / "cities" / "sibiu" / "addresses.sqlite").unlink()
    code, _, errors = straja("city", "use", "sibiu")
    assert code == 2
    assert "is damaged" in errors
    assert in_use(var) == "brasov"


def test_a_choice_that_cannot_be_read_is_no_choice(var: Path) -> None:
    for scribble in (b"", b"\n", b"../..\n", b".hidden\n", b"nowhere\n"):
        (var / "cities" / up.CITY_CHOICE).write_bytes(scribble)
        assert in_use(var) == "brasov"


# -- running processes follow --------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that looks at every call, instead of every two seconds."""
    monkeypatch.setattr(core, "CITY_LOOK_S", 0.0)


def street(current: CityInUse) -> str:
    now = current.now()
    assert now is not None
    return now.addresses.search("Strada")[0].label


def test_a_running_process_follows_the_choice_and_a_new_import(
    straja: Run, var: Path, tmp_path: Path, impatient: None
) -> None:
    current = CityInUse(configured(var))
    assert street(current) == "Strada Lungă"
    held = current.now()
    # when another city is chosen
    straja("city", "use", "sibiu")
    assert street(current) == "Strada Cetății"
    # and imported again with another street
    import_city(town(tmp_path / "new.osm.pbf", "Strada Nouă"), var / "cities", "sibiu")
    assert street(current) == "Strada Nouă"
    # then who still holds the first one goes on with it
    assert held is not None
    assert held.addresses.search("Strada Lungă")
    assert held.roads.nearest(*at(10, 0), [at(400, 0)[0]], [at(400, 0)[1]], "car").road[0]


def test_a_process_keeps_its_city_when_the_next_one_is_harmed_or_gone(
    straja: Run, var: Path, impatient: None
) -> None:
    current = CityInUse(configured(var))
    (var / "cities" / up.CITY_CHOICE).write_text("sibiu\n")
    (var / "cities" / "sibiu" / "addresses.sqlite").write_bytes(b"scribble" * 99)
    assert street(current) == "Strada Lungă"
    # nor does it lose it when all are removed under it
    for name in ("sibiu", "brasov"):
        straja("city", "remove", name, "--force")
    assert street(current) == "Strada Lungă"
    assert in_use(var) == ""


def test_an_event_loop_never_waits_while_another_city_is_opened(
    straja: Run, var: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server whose requests share one event loop, and a city that takes long to open
    current = CityInUse(configured(var))
    may_open, opening = threading.Event(), threading.Event()

    def slowly(folder: Path, driving: Any = None) -> City:
        opening.set()
        assert may_open.wait(30)
        return open_city(folder, driving)

    straja("city", "use", "sibiu")
    monkeypatch.setattr(core, "open_city", slowly)
    monkeypatch.setattr(core, "is_cooperative", lambda: True)
    # When it was chosen, requests go on with the one before
    assert street(current) == "Strada Lungă"
    assert opening.wait(30)
    assert street(current) == "Strada Lungă"
    # Until it is there
    may_open.set()
    assert up.wait_until(lambda: street(current) == "Strada Cetății", 30)


def test_the_first_city_is_found_without_a_restart(var: Path, tmp_path: Path, impatient: None) -> None:
    empty = tmp_path / "empty"
    current = CityInUse(configured(empty))
    assert current.now() is None
    import_city(town(tmp_path / "first.osm.pbf", "Strada Întâi"), empty / "cities", "first")
    assert street(current) == "Strada Întâi"


# -- removing ------------------------------------------------------------------------------------------


def test_removing_frees_what_it_says_and_spares_the_one_in_use(straja: Run, var: Path) -> None:
    size = city.size_bytes(var / "cities" / "sibiu")
    code, _, errors = straja("city", "remove", "brasov")
    assert code == 2
    assert "brasov is the city in use" in errors
    assert "straja city use NAME" in errors
    code, out, _ = straja("city", "remove", "sibiu")
    assert (code, out) == (0, f"sibiu is removed; {size / 1e6:,.1f} MB are free again\n")
    assert [p.name for p in (var / "cities").iterdir()] == ["brasov"]
    code, _, errors = straja("city", "remove", "sibiu")
    assert code == 2
    assert "There is no city" in errors


def test_a_city_that_is_being_imported_is_not_removed(straja: Run, var: Path, tmp_path: Path) -> None:
    def meanwhile(step: str, done: float) -> None:
        if step == "roads":
            code, _, errors = straja("city", "remove", "sibiu")
            assert code == 2
            assert "is being imported" in errors

    import_city(town(tmp_path / "new.osm.pbf", "Strada Nouă"), var / "cities", "sibiu", meanwhile)
    assert open_city(var / "cities" / "sibiu").info.counts["streets"] == 1


def test_what_a_killed_removal_left_is_swept_by_the_next_import(var: Path, tmp_path: Path) -> None:
    (var / "cities" / "sibiu").rename(var / "cities" / ".sibiu.removed-4711")
    import_city(town(tmp_path / "new.osm.pbf", "Strada Nouă"), var / "cities", "sibiu")
    assert sorted(p.name for p in (var / "cities").iterdir()) == ["brasov", "sibiu"]


# -- older formats -------------------------------------------------------------------------------------


def made_older(folder: Path, **changes: object) -> None:
    """As if an older version of the program had made it."""
    stored = json.loads((folder / "city.json").read_text(encoding="utf-8"))
    stored |= {"format_version": 2, **changes}
    (folder / "city.json").write_text(json.dumps({k: v for k, v in stored.items() if v is not None}))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Which commands `up` ran; `setup` is not, for this environment has all that it would install."""
    ran: list[list[str]] = []
    real = up.step

    def step(title: str, command: list[str], **more: object) -> None:
        ran.append(command)
        if "setup" not in command:
            real(title, command, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(up, "step", step)
    return ran


def environment(var: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STRAJA_")}
    return clean | {"STRAJA_VAR": str(var), "PYTHONPATH": str(up.ROOT)}


def test_up_imports_a_city_of_an_older_format_again_from_its_own_copy(
    var: Path, tmp_path: Path, steps: list[list[str]]
) -> None:
    # given a city of an older format, whose source is no longer where it was
    made_older(var / "cities" / "brasov")
    (tmp_path / "brasov.osm.pbf").unlink()
    with pytest.raises(city.CityError, match="has format 2") as refused:
        open_city(var / "cities" / "brasov")
    assert "straja city rebuild brasov" in refused.value.remedy
    # when Straja starts
    up.ensure_city(configured(var), environment(var))
    # then it is there again, and the next start finds nothing to do
    again = open_city(var / "cities" / "brasov").info
    assert again.source == "brasov.osm.pbf"
    assert again.counts["streets"] == 1
    assert len(steps) == 1
    up.ensure_city(configured(var), environment(var))
    assert len(steps) == 1


def test_up_sees_that_files_of_a_city_are_missing_and_makes_it_anew(
    var: Path, steps: list[list[str]]
) -> None:
    (var / "cities" / "brasov" / "addresses.sqlite").unlink()
    up.ensure_city(configured(var), environment(var))
    assert open_city(var / "cities" / "brasov").addresses.search("Strada Lungă")
    assert len(steps) == 1


def test_a_city_that_kept_no_extract_says_so_and_straja_starts_without_it(
    straja: Run, var: Path, steps: list[list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    made_older(var / "cities" / "brasov", extract=None)
    up.ensure_city(configured(var), environment(var))
    said = capfd.readouterr()
    assert "does not keep the extract" in said.err
    assert "straja city import FILE --name brasov" in said.err
    assert "going on without brasov" in said.out
    assert "Traceback" not in said.err
    assert "format 2" in straja("city", "list")[1]


def test_an_extract_that_is_not_the_one_it_was_made_from_is_not_taken(straja: Run, var: Path) -> None:
    with (var / "cities" / "brasov" / "extract.osm.pbf").open("ab") as kept:
        kept.write(b"more")
    code, _, errors = straja("city", "rebuild", "brasov")
    assert code == 2
    assert "is not the one that it was made from" in errors


def test_the_demonstration_city_is_made_anew_from_its_package(
    tmp_path: Path, helsinki: Path, steps: list[list[str]]
) -> None:
    # given the demo city as format 2 left it: without a copy of its extract
    var = tmp_path / "var"
    shutil.copytree(helsinki, var / "cities" / "helsinki")
    (var / "cities" / "helsinki" / "extract.osm.pbf").unlink()
    made_older(var / "cities" / "helsinki", extract=None)
    up.ensure_city(configured(var), environment(var))
    assert open_city(var / "cities" / "helsinki").info.format_version == FORMAT_VERSION
    # `city rebuild` finds it there too
    made_older(var / "cities" / "helsinki", extract=None)
    (var / "cities" / "helsinki" / "extract.osm.pbf").unlink()
    assert city.rebuild_city(var / "cities" / "helsinki").source == city.BUNDLED


# -- getting -------------------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A mirror that has Helsinki as BBBike publishes it, and no other city."""
    folder = tmp_path / "mirror" / "osm" / "bbbike" / "Helsinki"
    folder.mkdir(parents=True)
    shutil.copyfile(city.bundled_helsinki(), folder / "Helsinki.osm.pbf")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(tmp_path / "mirror"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_city_is_downloaded_imported_and_stays_beside_the_one_in_use(
    straja: Run, var: Path, mirror: str
) -> None:
    code, out, errors = straja("city", "get", "Helsinki", "--as-name", "centru", STRAJA_EXTRACTS_URL=mirror)
    assert (code, errors) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("helsinki, from BBBike: https://download.bbbike.org/")
    assert "brasov stays in use; `./straja city use centru` changes that" in lines
    assert lines[-1].startswith("centru: ")
    assert open_city(var / "cities" / "centru").info.source == "helsinki.osm.pbf"
    # the download itself is not kept twice
    assert list((var / "extracts").iterdir()) == []


def test_a_city_that_comes_first_by_name_leaves_the_one_in_use_alone(straja: Run, var: Path) -> None:
    # given that nobody chose, and brasov is at work
    assert in_use(var) == "brasov"
    # when a city is imported whose name sorts before it
    code, out, _ = straja("city", "import", "helsinki", "--name", "Arad")
    assert code == 0
    # then the consoles stay where they are until somebody says otherwise
    assert "brasov stays in use; `./straja city use Arad` changes that" in out.splitlines()
    assert in_use(var) == "brasov"


def test_getting_fails_in_one_line_and_a_remedy(straja: Run, var: Path, mirror: str) -> None:
    for words, settings, message in (
        (("city", "get", "porto"), {"STRAJA_EXTRACTS_URL": mirror}, "has no such extract any more (404)"),
        (("city", "get", "porto"), {"STRAJA_EXTRACTS_URL": "http://127.0.0.1:1"}, "There is no network"),
        (("city", "get", "prto"), {"STRAJA_EXTRACTS_URL": mirror}, "publishes an extract called “prto”"),
        (
            ("city", "get", "helsinki", "--as-name", "a/b"),
            {"STRAJA_EXTRACTS_URL": mirror},
            "cannot name a city",
        ),
        (("city", "get", "porto"), {"STRAJA_EXTRACTS_URL": "file:///etc"}, "must begin with http"),
    ):
        code, _, errors = straja(*words, **settings)
        assert code == 2, words
        assert message in errors
        assert "Traceback" not in errors
    # nothing is left but the choice, which was made before the import that failed
    assert sorted(p.name for p in (var / "cities").iterdir()) == [".in-use", "brasov", "sibiu"]
    assert in_use(var) == "brasov"


def test_the_commands_answer_without_a_database_or_a_console(tmp_path: Path) -> None:
    """As a person runs them on a fresh copy: in a process of its own, with nothing made yet."""
    done = subprocess.run(
        up.straja("city", "list"),
        env=environment(tmp_path / "fresh"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "straja city get NAME" in done.stdout
    assert not (tmp_path / "fresh").exists()
