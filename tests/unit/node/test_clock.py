"""Chain time and wall time meet at genesis and part from there."""

from __future__ import annotations

import pytest

from node.clock import ChainClock


@pytest.mark.parametrize("scale", [1, 7, 86_400])
def test_scaled_clock_runs_from_genesis(scale: int) -> None:
    wall = 1_000
    clock = ChainClock(1_000, scale, lambda: wall)
    assert clock.now_ms() == 1_000
    wall = 1_010
    assert clock.now_ms() == 1_000 + 10 * scale
    assert clock.chain_ms_of(5) == 5 * scale


def test_scale_one_is_the_wall_clock() -> None:
    assert ChainClock(50, 1, lambda: 123_456).now_ms() == 123_456


@pytest.mark.parametrize("scale", [1, 7, 1000])
def test_waiting_as_long_as_it_says_reaches_the_moment(scale: int) -> None:
    wall = 5_000
    clock = ChainClock(0, scale, lambda: wall)
    for ahead in range(-3 * scale, 3 * scale + 1):
        target = clock.now_ms() + ahead
        wait = clock.real_ms_until(target)
        assert (wall + wait) * scale >= target
        assert (wall + wait - 1) * scale < target
