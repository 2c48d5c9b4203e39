"""Waiting for things to become final, without polling: a height, or the fate of transactions.

Nothing is queued for anybody: a waiter is woken and reads the chain itself, from wherever it stopped. So a slow
client costs one future, and a client that reconnects has missed nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence


class FinalityFeed:
    """Wakes those who wait. Used from the event loop only."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._for_height: list[tuple[int, asyncio.Future[None]]] = []
        """Who waits for a block above which height."""
        self._by_id: dict[bytes, set[asyncio.Future[None]]] = {}

    @property
    def waiting(self) -> int:
        """Transactions that somebody waits for."""
        return len(self._by_id)

    def committed(self, height: int, ids: Iterable[bytes]) -> None:
        """A block with these transactions is final and can be read."""
        self.height = height
        if self._for_height:
            waiting, self._for_height = self._for_height, []
            for above, future in waiting:
                if height > above:
                    _wake(future)
                else:
                    self._for_height.append((above, future))
        if self._by_id:
            for id in ids:
                self.decided(id)

    def decided(self, id: bytes) -> None:
        """The fate of a transaction has changed for good."""
        for future in self._by_id.pop(id, ()):
            _wake(future)

    async def wait_height(self, above: int, timeout_s: float) -> int:
        """The committed height as soon as it is greater than `above`, or whatever it is after `timeout_s`."""
        if self.height <= above:
            # Every block wakes several who wait so: a timer and a future are a third of what asyncio.timeout costs.
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            timer = loop.call_later(timeout_s, _wake, future)
            entry = above, future
            self._for_height.append(entry)
            try:
                await future
            finally:
                timer.cancel()
                if entry in self._for_height:
                    self._for_height.remove(entry)
        return self.height

    async def wait_decided(self, ids: Sequence[bytes], is_decided: Callable[[bytes], bool], timeout_s: float) -> bool:
        """Whether the fate of all `ids` is decided, as soon as it is or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                for id in ids:
                    while not is_decided(id):
                        await self._wait_for(id)
        except TimeoutError:
            return all(is_decided(id) for id in ids)
        return True

    async def _wait_for(self, id: bytes) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._by_id.setdefault(id, set()).add(future)
        try:
            await future
        finally:
            waiting = self._by_id.get(id)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._by_id[id]


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
