"""Several stations on a bad network with bad clocks and bad disks: when they meet, they agree.

STRAJA_NODE_SEEDS sets how many histories are played (20 if unset), STRAJA_TEST_SEED which ones. A failure
names its seed; `Simulation(seed, folder).run(STEPS)` plays that history again.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from dispatch import commands as c
from dispatch import events as e
from tests.nodes.world import Dice, Node, Simulation, Tally, WallClock

SEEDS = int(os.environ.get("STRAJA_NODE_SEEDS", "20"))
STEPS = 150


def test_whatever_happened_nodes_that_meet_hold_the_same(tmp_path: Path) -> None:
    total = Tally()
    for seed in range(SEEDS):
        total += Simulation(seed, tmp_path / str(seed)).run(STEPS)
    print(total)
    # And it did happen: a run that spares the nodes would prove nothing.
    rare = {name: count for name, count in dataclasses.asdict(total).items() if count < SEEDS // 4}
    assert not rare, f"hardly ever met: {rare}"


@pytest.fixture
def islands(tmp_path: Path) -> list[Node]:
    clock = WallClock()
    return [
        Node(f"sqlite:///{tmp_path / name}.db", tmp_path / name, clock, Dice(name), station=name)
        for name in ("C1", "C2", "C3")
    ]
