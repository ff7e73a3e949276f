"""Real cities that several of these tests read, imported once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gis.city import import_city
from tests.gis.small_city import extract


@pytest.fixture(scope="session")
def porto_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Porto, an extract with thousands of streets and hardly a house number."""
    cities = tmp_path_factory.mktemp("cities")
    import_city(extract("porto"), cities, "porto")
    return cities / "porto"
