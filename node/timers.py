"""The core's timers on the event loop.

A block sets them anew and cancels them, and hardly one ever fires: so the event loop keeps one handle for each, and
only when that goes off it is seen whether the timer is due, cancelled or to wait on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from consensus.events import Timer, TimerFired


class Timers:
    """Used from the event loop only."""

    def __init__(self, post: Callable[[TimerFired], None]) -> None:
        """`post`: have the core told, unless `is_void` when its turn comes."""
        self._post = post
        self._handles: dict[Timer, asyncio.TimerHandle] = {}
        self._due_s: dict[Timer, float] = {}
        """When each timer that runs is to fire, by the event loop's clock."""
        self._fired: set[Timer] = set()

    def set(self, timer: Timer, delay_ms: int) -> None:
        """(Re)start a timer."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + delay_ms / 1000
        self._fired.discard(timer)
        self._due_s[timer] = due_s
        handle = self._handles.get(timer)
        if handle is None or handle.when() > due_s:
            if handle is not None:
                handle.cancel()
            self._handles[timer] = loop.call_at(due_s, self._went_off, timer)

    def cancel(self, timer: Timer) -> None:
        self._fired.discard(timer)
        self._due_s.pop(timer, None)

    def is_void(self, event: TimerFired) -> bool:
        """Was the timer set again or cancelled while this waited? Then it says nothing: else a busy moment, in which
        the progress comes that would have stopped the timer, costs a view."""
        if event.timer in self._fired:
            self._fired.discard(event.timer)
            return False
        return True

    def _went_off(self, timer: Timer) -> None:
        del self._handles[timer]
        due_s, loop = self._due_s.get(timer), asyncio.get_running_loop()
        if due_s is None:
            return
        if due_s > loop.time():
            self._handles[timer] = loop.call_at(due_s, self._went_off, timer)
            return
        del self._due_s[timer]
        self._fired.add(timer)
        self._post(TimerFired(timer=timer))

    def close(self) -> None:
        """Nothing fires any more."""
        for handle in self._handles.values():
            handle.cancel()
