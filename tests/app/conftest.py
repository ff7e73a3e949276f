"""Control rooms: a shared one on each database for stories that keep to themselves, and own ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.app.control_room import Room, open_room

if TYPE_CHECKING:
    from tests.conftest import FakeClock, PostgreSQL, SeededRandom

OpenRoom = Callable[..., Room]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shared_room(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, helsinki: Path
) -> Iterator[Room]:
    """One room on each database for the whole run: its tests make incidents and units of their own."""
    clock, random = _clock_and_random(request)
    var = tmp_path_factory.mktemp("room")
    url = f"sqlite:///{var / 'straja.sqlite'}"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.url(server.fresh())
    with open_room(var, url, clock, random, helsinki) as room:
        yield room


def _clock_and_random(request: pytest.FixtureRequest) -> tuple[FakeClock, SeededRandom]:
    # The classes live in the conftest above, which must not be imported a second time.
    above: Any = request.config.pluginmanager.get_plugin(str(Path(__file__).parent.parent / "conftest.py"))
    return above.FakeClock(), above.SeededRandom(request.config.stash[above.SEED])


@pytest.fixture(scope="session")
def embedded_room(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, helsinki: Path
) -> Iterator[Room]:
    """One room on the embedded database alone, for what has nothing to do with databases."""
    clock, random = _clock_and_random(request)
    var = tmp_path_factory.mktemp("embedded")
    with open_room(var, f"sqlite:///{var / 'straja.sqlite'}", clock, random, helsinki) as room:
        yield room


@pytest.fixture
def open_another(
    database: str, clock: FakeClock, random: SeededRandom, helsinki: Path, tmp_path: Path
) -> Iterator[OpenRoom]:
    """Opens rooms of a test's own on one fresh database: open_another(city=None, **settings)."""
    with ExitStack() as stack:

        def open_one(var: Path | None = None, city: Path | None = helsinki, **more: Any) -> Room:
            return stack.enter_context(open_room(var or tmp_path / "var", database, clock, random, city, **more))

        yield open_one


@pytest.fixture
def own_room(open_another: OpenRoom) -> Room:
    """A room of this test's own on a fresh database."""
    return open_another()
