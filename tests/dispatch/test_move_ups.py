"""Where idle units should wait. A street of five posts 300 s apart; a cell of demand beside each post."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.standby import Coverage, Standby, move_ups

APART_S = 300.0
POSTS = np.abs(np.arange(5)[:, None] - np.arange(5)[None, :]).astype(np.float32) * APART_S
RULES = Standby(at_once=2, least_gain_pct=1.0, horizon_s=3600.0, longest_s=1500.0, second_s=60.0)


def standing(posts: list[int], demand: tuple[float, ...] = (1, 1, 1, 1, 1), q: float = 0.3) -> Coverage:
    """Units at these posts; each covers its own cell and the next ones (within 300 s)."""
    return Coverage(demand, [0] * 5, ["city"], ("doctor", 300.0), POSTS[posts], [True] * len(posts), q)


def moves(posts: list[int], coverage: Coverage | None = None, **more: object) -> list[tuple[int, int]]:
    found = move_ups(
        coverage or standing(posts),
        POSTS,
        POSTS[posts],
        posts,
        **({"rules": RULES} | more),  # type: ignore[arg-type]
    )
    return [(move.row, move.post) for move in found]


def test_a_gap_is_filled_by_a_unit_from_where_two_stand() -> None:
    # Given two units at the west end, one in the middle, none in the east,
    # when asked, then one of the two goes; not the one that is needed where it is.
    assert moves([0, 0, 2], rules=Standby(at_once=1, least_gain_pct=1.0, horizon_s=3600)) == [(0, 3)]


def test_a_long_way_is_shared_so_that_the_gap_is_closed_sooner() -> None:
    found = move_ups(standing([0, 0, 2]), POSTS, POSTS[[0, 0, 2]], [0, 0, 2], rules=RULES)
    # The unit in the middle goes east and one from the west takes its place: 600 s instead of 900.
    assert [(move.row, move.post, move.drive_s) for move in found] == [(0, 2, 600.0), (2, 3, 300.0)]
    assert found[0].group == found[1].group
    after = standing([2, 0, 3]).expected() - standing([0, 0, 2]).expected()
    assert found[0].gain == pytest.approx(after)


def test_nobody_moves_for_little_and_nobody_moves_back() -> None:
    # Given the posts 1 and 3, which cover everything,
    assert moves([1, 3]) == []
    # and from the worst beginning there comes an end, with more covered at every step.
    posts, steps = [0, 0, 0], 0
    while found := moves(posts):
        covered = standing(posts).expected()
        for row, post in found:
            posts[row] = post
        assert standing(posts).expected() > covered
        steps += 1
        assert steps < 5
    assert standing(posts).gap()[0] == 0


def test_resting_units_full_posts_and_long_ways_are_respected() -> None:
    one = Standby(at_once=1, least_gain_pct=1.0, horizon_s=3600)
    assert moves([0, 0, 2], may_move=[False, True, True], rules=one) == [(1, 3)]
    assert moves([0, 0, 2], may_move=[False, False, False], rules=one) == []
    assert moves([0, 0, 2], room=[9, 9, 9, 0, 9], rules=one) == [(0, 4)]
    near = Standby(at_once=1, longest_s=500, horizon_s=3600)
    assert moves([0, 0, 2], rules=near) == [(2, 3)]


def test_moves_stop_when_most_units_are_busy() -> None:
    assert moves([0, 0, 2], utilisation=RULES.off_at) == []
    assert len(moves([0, 0, 2], utilisation=(RULES.throttle_from + RULES.off_at) / 2)) == 1


def test_busy_rows_neither_move_nor_cover() -> None:
    idle = [True, False, True]
    busy = Coverage([1.0] * 5, [0] * 5, ["city"], ("doctor", 300.0), POSTS[[0, 0, 2]], idle, 0.3)
    assert all(row != 1 for row, _ in moves([0, 0, 2], coverage=busy))


@pytest.mark.parametrize(
    ("what", "posts", "drive", "post"),
    [("posts_s", POSTS[:, :4], POSTS[[0, 1]], [0, 1]), ("post", POSTS, POSTS[[0, 1]], [0])],
)
def test_arrays_that_do_not_fit_are_refused(what: str, posts: object, drive: object, post: list[int]) -> None:
    with pytest.raises(ValueError, match=what):
        move_ups(standing([0, 1]), posts, drive, post)  # type: ignore[arg-type]


def test_an_empty_city_and_no_posts_give_no_moves() -> None:
    nothing = Coverage([0.0] * 5, [0] * 5, ["city"], ("doctor", 300.0), POSTS[[0]], [True], 0.3)
    assert move_ups(nothing, POSTS, POSTS[[0]], [0]) == []
    assert move_ups(standing([0]), np.empty((0, 5)), np.empty((1, 0)), [-1]) == []
