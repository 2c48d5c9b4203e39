"""The load generator's connections to a network: how transactions go in, and how it hears that they are final.

Both engines get whole batches in binary over a kept connection and tell finality block by block, so that neither is
held back by its client. A transaction is known by its number in the workload.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from benchmarks.engines import workload
from benchmarks.peers.wire import Answer, CommitReader, Transactions

Told = Callable[[Sequence[int], int], None]
"""(numbers, when in ns since 1970) of transactions that are final, or that were refused."""


class Feed(Protocol):
    """Connections of one load process to every node."""

    on_final: Told
    on_refused: Told

    def __len__(self) -> int:
        """Transactions in the workload."""

    @property
    def alive(self) -> list[int]:
        """Nodes that take transactions."""

    async def open(self) -> None: ...

    async def send(self, node: int, first: int, count: int) -> None:
        """Hand over transactions; returns when the node has answered for them, or cannot any more."""

    async def close(self) -> None: ...


def _nothing(numbers: Sequence[int], at_ns: int) -> None:
    return None


class WealFeed:
    """A WebSocket to each node (docs/api.md, "Many at once"); each node tells the finality of what it was given."""

    def __init__(self, urls: Sequence[str], path: Path) -> None:
        self._urls = list(urls)
        signed = workload.read(path)
        self._raws = [one.raw for one in signed]
        self._numbers = {one.id: number for number, one in enumerate(signed)}
        self.on_final: Told = _nothing
        self.on_refused: Told = _nothing
        self._sockets: dict[int, aiohttp.ClientWebSocketResponse] = {}
        self._answers: dict[int, tuple[int, int, asyncio.Future[None]]] = {}
        """Number of a message -> (node, first transaction, done when answered)."""
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._sent = 0

    def __len__(self) -> int:
        return len(self._raws)

    @property
    def alive(self) -> list[int]:
        return list(self._sockets)

    async def open(self) -> None:
        self._session = aiohttp.ClientSession()
        for node, url in enumerate(self._urls):
            try:
                socket = await self._session.ws_connect(
                    f"{url}/v1/submissions", compress=0, max_msg_size=16 << 20, autoping=True
                )
            except aiohttp.ClientConnectionError:
                continue  # it is down, as the run wants it
            self._sockets[node] = socket
            self._tasks.append(asyncio.create_task(self._hear(node, socket)))

    async def send(self, node: int, first: int, count: int) -> None:
        socket = self._sockets.get(node)
        if socket is None:
            return
        number, self._sent = self._sent, self._sent + 1
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers[number] = (node, first, answered)
        try:
            await socket.send_bytes(msgspec.msgpack.encode((number, self._raws[first : first + count])))
            await answered
        except (ConnectionError, aiohttp.ClientError):
            self._sockets.pop(node, None)
        finally:
            self._answers.pop(number, None)

    async def _hear(self, node: int, socket: aiohttp.ClientWebSocketResponse) -> None:
        decode = msgspec.msgpack.Decoder().decode
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                break
            self._heard(decode(message.data))
        self._sockets.pop(node, None)
        for asked, _, answered in self._answers.values():
            if asked != node or answered.done():
                continue
            if socket.close_code == aiohttp.WSCloseCode.INVALID_TEXT:
                # Whatever is missing then, it was not the node that lost it.
                answered.set_exception(RuntimeError(f"node {node} was sent what no client may send"))
            else:
                answered.set_result(None)

    def _heard(self, message: list[Any]) -> None:
        if message[0] == 0:
            _, first, answered = self._answers[message[1]]
            refused = [first + index for index, code in enumerate(message[2]) if code]
            if refused:
                self.on_refused(refused, time.time_ns())
            if not answered.done():
                answered.set_result(None)
        elif message[0] == 1:
            self.on_final([self._numbers[id] for id, _, code in message[2] if not code], time.time_ns())
        else:
            self.on_refused([self._numbers[id] for id, _, _ in message[1]], time.time_ns())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


class CometFeed:
    """Batches over HTTP to each node, and one stream of commits, of the first node that lives."""

    _BATCH_PATH: Final = "/batch"

    def __init__(self, urls: Sequence[str], path: Path) -> None:
        self._urls = list(urls)
        self._transactions = Transactions.read(path)
        self._numbers = {self._transactions.nonce(number): number for number in range(len(self._transactions))}
        self.on_final: Told = _nothing
        self.on_refused: Told = _nothing
        self._alive = set(range(len(urls)))
        self._session: aiohttp.ClientSession | None = None
        self._listener: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._transactions)

    @property
    def alive(self) -> list[int]:
        return sorted(self._alive)

    async def open(self) -> None:
        limits = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(timeout=limits, connector=aiohttp.TCPConnector(limit=0))
        ready = asyncio.Event()
        self._listener = asyncio.create_task(self._hear(ready))
        async with asyncio.timeout(10):
            await ready.wait()

    async def send(self, node: int, first: int, count: int) -> None:
        assert self._session is not None
        try:
            url = self._urls[node] + self._BATCH_PATH
            async with self._session.post(url, data=self._transactions.batch(first, count)) as reply:
                answers = await reply.read()
        except aiohttp.ClientError:
            self._alive.discard(node)
            return
        refused = [first + index for index, answer in enumerate(answers) if answer != Answer.ACCEPTED]
        if refused:
            self.on_refused(refused, time.time_ns())

    async def _hear(self, ready: asyncio.Event) -> None:
        assert self._session is not None
        for node, url in enumerate(self._urls):
            reader = CommitReader()
            with contextlib.suppress(aiohttp.ClientError):
                async with self._session.get(f"{url}/commits") as stream:
                    ready.set()
                    async for piece in stream.content.iter_any():
                        for commit in reader.feed(piece):
                            self.on_final([self._numbers[nonce] for nonce in commit.nonces], commit.at_ns)
            self._alive.discard(node)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


FEEDS: Final[dict[str, Callable[[Sequence[str], Path], Feed]]] = {"weal": WealFeed, "cometbft": CometFeed}
