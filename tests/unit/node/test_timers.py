"""The core's timers on a loop whose clock stands still until it is moved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consensus.events import Timer, TimerFired
from node.timers import Timers
from tests.unit.node.still_loop import StillLoop

PROGRESS, RESEND = Timer.PROGRESS, Timer.RESEND


class Bench:
    def __init__(self) -> None:
        self.loop = StillLoop()
        self.events: list[TimerFired] = []
        self.timers = Timers(self.events.append)

    def do(self, *steps: tuple[Timer, int | None]) -> None:
        """Set timers, or cancel them where there is no delay."""

        def act() -> None:
            for timer, delay_ms in steps:
                if delay_ms is None:
                    self.timers.cancel(timer)
                else:
                    self.timers.set(timer, delay_ms)

        self.loop.do(act)

    def heard(self, after_ms: int) -> list[Timer]:
        """What the core hears after so long, of what is not void by then."""
        self.loop.move(after_ms)
        events, self.events[:] = list(self.events), []
        return [event.timer for event in events if not self.timers.is_void(event)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.timers.close()
    bench.loop.close()


def test_timer_fires_once_when_it_is_due(bench: Bench) -> None:
    bench.do((PROGRESS, 50), (RESEND, 20))
    assert bench.heard(10) == []
    assert bench.heard(11) == [RESEND]
    assert bench.heard(30) == [PROGRESS]
    assert bench.heard(1_000) == []


def test_timer_set_again_counts_from_then(bench: Bench) -> None:
    bench.do((PROGRESS, 50))
    assert bench.heard(40) == []
    bench.do((PROGRESS, 50))
    assert bench.heard(20) == []
    assert bench.heard(31) == [PROGRESS]


def test_timer_set_again_for_sooner_fires_sooner(bench: Bench) -> None:
    bench.do((PROGRESS, 1_000), (PROGRESS, 10))
    assert bench.heard(11) == [PROGRESS]
    assert bench.heard(2_000) == []


def test_cancelled_timer_is_silent_and_may_be_set_again(bench: Bench) -> None:
    bench.do((PROGRESS, 50), (PROGRESS, None))
    assert bench.heard(30) == []
    bench.do((PROGRESS, 50))
    assert bench.heard(30) == []
    assert bench.heard(21) == [PROGRESS]


@pytest.mark.parametrize("step", [(PROGRESS, None), (PROGRESS, 60_000)], ids=["cancelled", "set again"])
def test_what_has_fired_and_waits_is_void_once_the_core_thinks_better(bench: Bench, step: tuple[Timer, int]) -> None:
    bench.do((PROGRESS, 10))
    bench.loop.move(20)
    assert bench.events == [TimerFired(timer=PROGRESS)]
    bench.do(step)
    assert bench.timers.is_void(bench.events[0])
