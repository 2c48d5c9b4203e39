"""Delay between nodes: a process through which their connections go. Kernels in containers often have no netem.

Each node dials a port of the relay instead of its peer's; what comes in at one side leaves at the other after the
delay, in order. Nothing is lost and bandwidth is not limited: it is distance that this stands for.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Sequence
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event as ProcessEvent
from types import TracebackType
from typing import Final, Self

from node.localnet.ports import free_ports

_PIECE: Final = 256 * 1024
_READY_S: Final = 30.0


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """One direction of one connection."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(4_096)

    async def deliver() -> None:
        while True:
            due, piece = await waiting.get()
            if (left := due - loop.time()) > 0:
                await asyncio.sleep(left)
            if not piece:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    delivering = loop.create_task(deliver())
    try:
        while True:
            piece = await reader.read(_PIECE)
            await waiting.put((loop.time() + delay_s, piece))
            if not piece:
                break
        await delivering
    except ConnectionError:
        writer.close()
    finally:
        delivering.cancel()


async def _serve(routes: Sequence[tuple[int, int]], delay_s: float, ready: ProcessEvent) -> None:
    async def connect(target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()  # the node is not up: whoever dials tries again
            return
        await asyncio.gather(
            _pump(reader, far_writer, delay_s), _pump(far_reader, writer, delay_s), return_exceptions=True
        )

    servers = [await asyncio.start_server(partial(connect, target), "127.0.0.1", port) for port, target in routes]
    ready.set()
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _process(routes: Sequence[tuple[int, int]], delay_s: float, ready: ProcessEvent) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(routes, delay_s, ready))


class Relay:
    """A relay in front of nodes that are to listen on `targets`. Use as a context manager."""

    def __init__(self, delay_ms: float) -> None:
        self._delay_s = delay_ms / 1_000
        self._routes: dict[int, int] = {}
        self._process: BaseProcess | None = None

    def port_for(self, target: int) -> int:
        """The port to dial for a node that listens on `target`. Ask for all of them before it is entered."""
        if target not in self._routes:
            (self._routes[target],) = free_ports(1)
        return self._routes[target]

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        routes = [(port, target) for target, port in self._routes.items()]
        self._process = context.Process(target=_process, args=(routes, self._delay_s, ready), daemon=True)
        self._process.start()
        if not ready.wait(_READY_S):
            raise TimeoutError("the relay did not get ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
