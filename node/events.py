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
        self._next_block: asyncio.Future[None] | None = None
        self._by_id: dict[bytes, set[asyncio.Future[None]]] = {}

    @property
    def waiting(self) -> int:
        """Transactions that somebody waits for."""
        return len(self._by_id)

    def committed(self, height: int, ids: Iterable[bytes]) -> None:
        """A block with these transactions is final and can be read."""
        self.height = height
        if self._next_block is not None:
            self._next_block.set_result(None)
            self._next_block = None
        if self._by_id:
            for id in ids:
                self.decided(id)

    def decided(self, id: bytes) -> None:
        """The fate of a transaction has changed for good."""
        for future in self._by_id.pop(id, ()):
            if not future.done():
                future.set_result(None)

    async def wait_height(self, above: int, timeout_s: float) -> int:
        """The committed height as soon as it is greater than `above`, or whatever it is after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.height <= above:
                    if self._next_block is None:
                        self._next_block = asyncio.get_running_loop().create_future()
                    # Shielded: others wait for the same block.
                    await asyncio.shield(self._next_block)
        except TimeoutError:
            pass
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
