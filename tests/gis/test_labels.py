"""Times between any two junctions, against plain Dijkstra."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from gis.labels import NEVER, Labels


def town(seed: int, across: int = 9, share: float = 0.75) -> tuple[np.ndarray, ...]:
    """A grid with streets missing, some of them one-way, and two modes."""
    random = np.random.default_rng(seed)
    place = np.arange(across * across).reshape(across, across)
    pairs = np.concatenate([
        np.column_stack((place[:, :-1].ravel(), place[:, 1:].ravel())),
        np.column_stack((place[:-1].ravel(), place[1:].ravel())),
    ])  # fmt: skip
    pairs = np.concatenate((pairs, pairs[:, ::-1]))
    pairs = pairs[random.random(len(pairs)) < share]
    ms = random.integers(1, 90_000, (2, len(pairs)))
    # The second mode may not go everywhere.
    ms[1][random.random(len(pairs)) < 0.1] = NEVER
    lon, lat = 25.0 + (place.ravel() % across) * 0.01, 45.0 + (place.ravel() // across) * 0.01
    return pairs[:, 0], pairs[:, 1], lon, lat, ms[0] / 60.0, ms


def plain(tail: np.ndarray, head: np.ndarray, ms: np.ndarray, many: int) -> np.ndarray:
    best: dict[tuple[int, int], int] = {}
    for a, b, cost in zip(tail.tolist(), head.tolist(), ms.tolist(), strict=True):
        if cost < NEVER:
            best[a, b] = min(cost, best.get((a, b), NEVER))
    rows, columns = zip(*best, strict=True) if best else ((), ())
    found = dijkstra(csr_matrix((list(best.values()), (rows, columns)), shape=(many, many)))
    return np.where(np.isinf(found), NEVER, found).astype(np.int64)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), share=st.sampled_from([0.2, 0.5, 0.75, 1.0]))
def test_times_equal_dijkstra_and_ways_add_up(seed: int, share: float) -> None:
    tail, head, lon, lat, metres, ms = town(seed, share=share)
    many = len(lon)
    labels = Labels(tail, head, lon, lat, metres, list(ms))
    every = np.arange(many)
    for mode in (0, 1):
        wanted = plain(tail, head, ms[mode], many)
        assert np.array_equal(labels.table_ms(every, every, mode), wanted)
        for start, end in np.random.default_rng(seed).integers(0, many, (5, 2)).tolist():
            whole = int(wanted[start, end])
            assert labels.time_ms(start, end, mode) == whole
            # Half-way along a fastest way, what is left is what the table says.
            node, at_ms, driven_m = labels.ahead(start, end, mode, whole // 2)
            if whole >= NEVER:
                assert (node, at_ms, driven_m) == (start, 0, 0.0)
                continue
            assert whole // 2 <= at_ms <= whole
            assert at_ms + wanted[node, end] == whole
            *there, driven_m = labels.ahead(start, end, mode, NEVER)
            assert there == [end, whole]
            assert mode == 1 or driven_m == pytest.approx(whole / 60.0)


def test_no_way_takes_longer_in_one_mode_than_the_pace_says() -> None:
    tail, head, lon, lat, metres, ms = town(4)
    labels = Labels(tail, head, lon, lat, metres, list(ms))
    every = np.arange(len(lon))
    pace = labels.pace()
    first, second = (labels.table_ms(every, every, mode).astype(float) for mode in (0, 1))
    ways = second < NEVER
    assert (first[ways] <= pace[0, 1] * second[ways]).all()
    # The second mode may not go everywhere that the first goes.
    assert pace[1, 0] == np.inf
    assert pace[0, 0] == pace[1, 1] == 1.0


def test_no_way_is_faster_than_the_straight_line_says() -> None:
    tail, head, lon, lat, metres, ms = town(4)
    labels = Labels(tail, head, lon, lat, metres, list(ms))
    place_m, fastest_mps = labels.plane()
    # Junctions lie as far from one another as on the globe: a hundredth of a degree of latitude is 1.1 km.
    assert np.hypot(*(place_m[9] - place_m[0])) == pytest.approx(1112, abs=2)
    every = np.arange(len(lon))
    line_m = np.hypot(*(place_m[:, np.newaxis] - place_m).transpose(2, 0, 1))
    for mode in (0, 1):
        table = labels.table_ms(every, every, mode)
        ways = table < NEVER
        assert (line_m[ways] <= fastest_mps[mode] * table[ways] / 1000.0).all()
        # Some arc is as fast as that, so no lower speed would do.
        arcs = ms[mode] < NEVER
        of_arcs = line_m[tail, head][arcs] / np.maximum(ms[mode][arcs], 1) * 1000.0
        assert fastest_mps[mode] == pytest.approx(of_arcs.max())


def test_pairs_are_the_diagonal_of_the_table() -> None:
    tail, head, lon, lat, metres, ms = town(5)
    labels = Labels(tail, head, lon, lat, metres, list(ms))
    starts, ends = np.random.default_rng(5).integers(0, len(lon), (2, 50))
    for mode in (0, 1):
        table = labels.table_ms(starts, ends, mode)
        assert labels.pairs_ms(starts, ends, mode).tolist() == table.diagonal().tolist()
    with pytest.raises(ValueError, match="go in pairs"):
        labels.pairs_ms(starts, ends[1:], 0)


def test_one_junction_and_a_road_that_nobody_uses() -> None:
    lonely = Labels([], [], [25.0], [45.0], [], [[]])
    assert lonely.time_ms(0, 0, 0) == 0
    two = Labels([0, 0], [1, 0], [25.0, 25.1], [45.0, 45.0], [10.0, 0.0], [[NEVER, 5]])
    assert two.table_ms([0, 1], [0, 1], 0).tolist() == [[0, NEVER], [NEVER, 0]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0], [5], [1.0, 2.0], [1.0, 2.0], [1.0], [[1]]), "none of the 2"),
        (([0], [1], [1.0, 2.0], [1.0, 2.0], [1.0], [[1, 2]]), "one time an arc"),
        (([0], [1], [1.0, 2.0], [1.0, 2.0], [1.0], [[-1]]), "below 0"),
        (([0], [1, 0], [1.0, 2.0], [1.0, 2.0], [1.0], [[1]]), "pairs"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Labels(*arguments)  # type: ignore[arg-type]
