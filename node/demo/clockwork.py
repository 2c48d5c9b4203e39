"""Time and tasks of the demonstration: the chain's clock seen from here, waiting for a node, background work."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from consensus.errors import ChainError
from node.client import Client, ClientError
from node.localnet import LocalnetError

TIME_SCALE: Final = 9 * 86_400
"""Chain seconds per real second."""


class DemoFailed(ChainError):
    """The demonstration could not be carried through. The message says where."""


class Clock:
    """Chain time as the nodes have it: they share this machine's clock."""

    def __init__(self, genesis_ms: int) -> None:
        self._genesis_ms = genesis_ms

    def now_ms(self) -> int:
        return self._genesis_ms + (time.time_ns() // 1_000_000 - self._genesis_ms) * TIME_SCALE

    def seconds_until(self, chain_ms: int) -> float:
        return (chain_ms - self.now_ms()) / (1000 * TIME_SCALE)

    async def wait(self, chain_ms: int) -> None:
        while (left_s := self.seconds_until(chain_ms)) > 0:
            await asyncio.sleep(left_s)


async def until(client: Client, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 30.0) -> dict[str, Any]:
    """The node's status as soon as `condition` holds. Raises LocalnetError after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(ClientError):
            status = await client.status()
            if condition(status):
                return status
        if time.monotonic() >= end:
            raise LocalnetError(f"{client.http.url} did not get there within {timeout_s:g} seconds")
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def background() -> AsyncIterator[Callable[..., asyncio.Task[Any]]]:
    """Background tasks for the time of the block. One that fails ends the block with its error."""
    group: list[asyncio.Task[Any]] = []
    owner = asyncio.current_task()
    failed: list[BaseException] = []

    def start(coroutine: Any, *, must_end: bool = False) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(coroutine)

        def ended(done: asyncio.Task[Any]) -> None:
            if done.cancelled():
                return
            error = done.exception() or (None if must_end else DemoFailed("a part of the demonstration ended early"))
            if error is not None and not failed:
                failed.append(error)
                assert owner is not None
                owner.cancel()

        task.add_done_callback(ended)
        group.append(task)
        return task

    try:
        yield start
    except asyncio.CancelledError:
        if failed:
            raise failed[0] from None
        raise
    finally:
        for task in group:
            task.cancel()
        await asyncio.gather(*group, return_exceptions=True)
