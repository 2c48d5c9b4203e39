"""What happens because time passes: sync, announcements, expiry, and a watch on the primary."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from node.frames import Channel
from node.gossip import in_batches
from node.link import steady_ms

if TYPE_CHECKING:
    from node.node import Node

TICK_MS: Final = 100
_TICKS_PER_ANNOUNCE: Final = 10
_QUIET_ANNOUNCES: Final = 5
"""After so many without a block the state goes to the disk: a node that is killed while idle starts at once."""


class Ticks:
    """The regular work of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def run(self) -> None:
        """Tick for ever."""
        count = quiet = 0
        height = -1
        due = steady_ms()
        self._node.sync.tick(due)  # from now on sync has a time, and asks as soon as a peer shows more
        while True:
            due = max(due, steady_ms()) + TICK_MS
            await asyncio.sleep(max(0, due - steady_ms()) / 1000)
            now_ms = steady_ms()
            self._node.loop_lag_ms = now_ms - due
            count += 1
            self._node.sync.tick(now_ms)
            if count % _TICKS_PER_ANNOUNCE == 0:
                self._node.sync.announce()
                self._node.mempool.expire(self._node.clock.now_ms(), self._node.driver.in_flight())
                quiet = quiet + 1 if self._node.executor.tip.height == height else 0
                height = self._node.executor.tip.height
                if quiet == _QUIET_ANNOUNCES:
                    self._node.state.flush()
            self._watch_primary(now_ms)

    def _watch_primary(self, now_ms: int) -> None:
        """Forward what waits too long to the primary, and suspect one that leaves it out all the same."""
        is_active = self._node.replica.active
        if len(self._node.mempool) == 0 or (is_active and self._node.replica.primary == self._node.id):
            return
        in_flight = self._node.driver.in_flight()
        waiting = self._node.watch.stuck(in_flight, now_ms) if is_active else self._node.watch.unheard(now_ms)
        stuck = [p for p in waiting if self._node.mempool.admissible(p, self._node.clock.now_ms())]
        for payload in in_batches(pending.raw for pending in stuck):
            if is_active:
                self._node.transport.send(self._node.replica.primary, Channel.TRANSACTIONS, payload)
            else:
                self._node.transport.broadcast(Channel.TRANSACTIONS, payload)
        self._node.counters["forwarded"] += len(stuck)
        if not is_active:
            return
        reason = self._node.watch.suspicion(in_flight, self._node.clock.now_ms, now_ms)
        if reason is not None:
            self._node.counters["censorship suspected"] += 1
            self._node.driver.suspect(self._node.replica.view, reason)
