"""An event loop whose clock stands still until it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class StillLoop:
    """For what sets timers on the event loop that runs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._now_s = 100.0
        self._loop.time = lambda: self._now_s  # type: ignore[method-assign]

    def do(self, act: Callable[[], None]) -> None:
        """Call `act` on the loop."""

        async def call() -> None:
            act()

        self._loop.run_until_complete(call())

    def move(self, ms: int) -> None:
        """Let so much time pass, and what is due happen."""
        self._now_s += ms / 1000
        for _ in range(3):
            self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        self._loop.close()
