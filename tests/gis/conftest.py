"""Real cities that several of these tests read, imported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gis.small_city import extract


@pytest.fixture(scope="session")
def porto_folder(imported: Callable[[Path, str], Path]) -> Path:
    """The folder of Porto, an extract with thousands of streets and hardly a house number."""
    return imported(extract("porto"), "porto")
