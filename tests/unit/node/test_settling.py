"""What is final is written soon, and not a second time when a promise has taken it along."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.settling import Settling
from tests.unit.node.still_loop import StillLoop


class Bench:
    def __init__(self) -> None:
        self.loop = StillLoop()
        self.woken = 0
        self.settling = Settling(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def waits(self) -> None:
        self.loop.do(self.settling.waits)

    def is_due(self, after_ms: int) -> bool:
        self.loop.move(after_ms)
        assert self.settling.is_due == (self.woken > 0)
        return self.settling.is_due


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.settling.close()
    bench.loop.close()


def test_what_waits_is_due_after_a_while(bench: Bench) -> None:
    bench.waits()
    assert not bench.is_due(10)
    bench.waits()
    assert bench.is_due(11), "the oldest counts"


def test_what_a_promise_took_along_is_not_written_again(bench: Bench) -> None:
    bench.waits()
    bench.settling.settled()
    assert not bench.is_due(100)


def test_block_that_comes_after_a_promise_has_its_own_time(bench: Bench) -> None:
    bench.waits()
    assert not bench.is_due(15)
    bench.settling.settled()
    bench.waits()
    assert not bench.is_due(15)
    assert bench.is_due(6)
