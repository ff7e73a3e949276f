"""Control rooms: a shared one on each database for stories that keep to themselves, and own ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.auth import Accounts
from app.database import open_engine
from app.ports import SystemClock, SystemRandom
from tests.app.control_room import Room, open_room

if TYPE_CHECKING:
    from tests.conftest import FakeClock, PostgreSQL, SeededRandom, Server

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
            return stack.enter_context(
                open_room(var or tmp_path / "var", database, clock, random, city, **more)
            )

        yield open_one


@pytest.fixture
def own_room(open_another: OpenRoom) -> Room:
    """A room of this test's own on a fresh database."""
    return open_another()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stations(
    request: pytest.FixtureRequest, start_server: Callable[..., Server]
) -> Iterator[tuple[Server, Server]]:
    """Two web processes and two keepers on one database, with the demo; requests lapse after 5 s, and Redis
    would be at `REDIS_URL`, where none runs."""
    above: Any = request.config.pluginmanager.get_plugin(str(Path(__file__).parent.parent / "conftest.py"))
    settings = {"STRAJA_ANSWER_S": "5", "REDIS_URL": f"redis://127.0.0.1:{above.free_port()}/0"}
    if request.param == "sqlite":
        first = start_server(**settings)
        url = f"sqlite:///{first.var / 'straja.sqlite'}"
        second = start_server(None, False, **settings, STRAJA_VAR=str(first.var))
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.url(server.fresh())
        first = start_server(url, **settings)
        second = start_server(url, False, **settings)
    for one in (first, second):
        one.env["STRAJA_DATABASE_URL"] = url
    yield first, second
    for one in (first, second):
        one.end()
    for one in (first, second):
        one.stop()


@pytest.fixture(scope="module")
def station_token(stations: tuple[Server, Server]) -> Iterator[str]:
    """An admin's token for both stations."""
    engine = open_engine(stations[0].env["STRAJA_DATABASE_URL"])
    yield Accounts(engine, SystemClock(), SystemRandom()).create_token("admin", "stations", ["*"])
    engine.dispose()
