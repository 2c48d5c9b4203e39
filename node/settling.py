"""What is final waits for the next promise's synced write, and only so long for one that does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

SETTLE_S: Final = 0.02


class Settling:
    """Used from the event loop only."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake`: have the driver look at `is_due`, in a step, where a disk that fails stops the node."""
        self._wake = wake
        self.is_due = False
        self._since_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def waits(self) -> None:
        """Something final is not on the disk."""
        if self._since_s is None:
            loop = asyncio.get_running_loop()
            self._since_s = loop.time()
            if self._timer is None:
                self._timer = loop.call_later(SETTLE_S, self._went_off)

    def settled(self) -> None:
        """Everything is on the disk."""
        self._since_s, self.is_due = None, False

    def _went_off(self) -> None:
        self._timer = None
        if self._since_s is None:
            return
        loop = asyncio.get_running_loop()
        due_s = self._since_s + SETTLE_S
        if loop.time() < due_s:
            # A promise has taken along what this was begun for; another block waits now, and has its own time.
            self._timer = loop.call_at(due_s, self._went_off)
            return
        self.is_due = True
        self._wake()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
