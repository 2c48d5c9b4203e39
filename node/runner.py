"""Runs one node as a process: logging, signals, event loop. The command line and tests start nodes through it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable

from consensus.errors import ChainError, InvariantBroken
from node.config import Config
from node.keyfile import PassphraseSource
from node.logs import Logging
from node.node import Node

log = logging.getLogger("weal.node")


def run_node(
    config: Config,
    *,
    passphrase: PassphraseSource | None = None,
    parent_fd: int | None = None,
    on_started: Callable[[Node], None] = lambda node: None,
) -> None:
    """Run a node until SIGTERM or SIGINT, or until whoever holds the other end of the pipe `parent_fd` is gone.

    Raises ChainError if it cannot start, and ChainError or InvariantBroken if it had to stop. Anything else
    that escapes is a bug.
    """
    node = Node(config, passphrase=passphrase)
    context = {"chain": node.genesis.chain, "node": node.name}
    with (
        Logging(level=config.log.level, format=config.log.format, context=context),
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        runner.run(_run(node, parent_fd, on_started))


async def _run(node: Node, parent_fd: int | None, on_started: Callable[[Node], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.request_stop, f"received {number.name}")
    if parent_fd is not None:
        loop.add_reader(parent_fd, _parent_gone, node, loop, parent_fd)
    try:
        await node.start()
        # What exists now lives as long as the process: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        on_started(node)
        await node.wait_stopped()
    except (ChainError, InvariantBroken) as error:
        log.critical("the node cannot go on: %s", error)
        raise
    finally:
        await node.stop()


def _parent_gone(node: Node, loop: asyncio.AbstractEventLoop, parent_fd: int) -> None:
    if not os.read(parent_fd, 4096):
        loop.remove_reader(parent_fd)
        node.request_stop("its parent process has ended")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop if it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
