"""What the chain has told so far, and waiting for what it will tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from node.client import Event
from node.demo.clockwork import DemoFailed

PATIENCE_S: Final = 60.0


class Moments:
    """Every event of the chain, in order."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._changed = asyncio.Event()

    def saw(self, event: Event) -> None:
        self._events.append(event)
        self._changed.set()
        self._changed = asyncio.Event()

    async def first(self, *types: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> Event:
        """The first event of one of these types that fits, past or to come. Raises DemoFailed if it does not come."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        seen = 0
        while True:
            for event in self._events[seen:]:
                if event.type in types and fits(event.data):
                    return event
            seen = len(self._events)
            left_s = end - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, left_s))
            except TimeoutError:
                raise DemoFailed(f"nothing of this happened: {', '.join(types)}") from None
