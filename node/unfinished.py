"""Coroutines begun without a task: most writes to a connection end at once, and a task would cost more than they do."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


class Unfinished(Awaitable[None]):
    """What is left of a coroutine; await it to its end."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
        """`waits_for`: what the coroutine wants its task to wait for."""
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, None, None]:
        try:
            # A future's own iterator says again that it is awaited; nothing: the next turn of the event loop will do.
            yield from (self._waits_for or (None,))
        except BaseException:
            self._coroutine.close()
            raise
        yield from self._coroutine.__await__()

    def drop(self) -> None:
        """Nobody is going to await it."""
        self._coroutine.close()


def begin(coroutine: Coroutine[Any, Any, None]) -> Unfinished | None:
    """Run a coroutine up to where it has to wait; None if it ended. Raises what it raises."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    if waits_for is not None:
        # As a task does with what it is given; until then, whoever else awaits the same future (every write to a full
        # connection awaits one, the answer to a ping too) gets a RuntimeError.
        waits_for._asyncio_future_blocking = False
    return Unfinished(coroutine, waits_for)
