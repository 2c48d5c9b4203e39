"""Transactions of clients and peers on their way into the pool.

Where a process checks signatures beside this one, it is asked first about those that the pool would look at, and then
the pool takes in as if nothing had been asked: it decides by what is so at that moment, and finds most signatures
known. So answers are the same with and without; only this thread's time differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from consensus.types import ReplicaId
from node.claims.results import ResultCode
from node.gossip import PORTION, SLICE
from node.link import steady_ms
from node.mempool import Submission

if TYPE_CHECKING:
    from node.node import Node

_NEVER_TOLD: Final = frozenset((ResultCode.BAD_SIGNATURE, ResultCode.MALFORMED))
"""What no honest peer passes on."""


class Intake:
    """For one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def begin(self, raws: Sequence[bytes], *, from_peer: bool = False) -> asyncio.Future[list[bool]] | None:
        """Begin to check the signatures of at most `PORTION` transactions; None if there is nothing to wait for."""
        node = self._node
        if not node.ahead.has_room(len(raws)):
            return None
        return node.ahead.begin(node.mempool.to_check(raws, node.clock.now_ms(), from_peer=from_peer))

    async def check_ahead(self, raws: Sequence[bytes]) -> None:
        """The signatures of at most `PORTION` transactions of a client, if that is of use now."""
        answer = self.begin(raws)
        if answer is not None:
            await answer

    async def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        """Take in transactions of a client, and tell the peers. One answer for each, in order."""
        answers: list[Submission] = []
        for start in range(0, len(raws), SLICE):
            if start:
                await asyncio.sleep(0)
            if start % PORTION == 0:
                await self.check_ahead(raws[start : start + PORTION])
            answers += self.submit_some(raws[start : start + SLICE])
        return answers

    def submit_some(self, raws: Sequence[bytes]) -> list[Submission]:
        """The same at once, for at most `SLICE` of them: more would keep a vote waiting."""
        node = self._node
        submissions, added = node.mempool.add(raws, node.clock.now_ms(), steady_ms())
        if added:
            node.gossip.tell([pending.raw for pending in added])
            node.driver.work_arrived()
        return submissions

    async def from_peer(self, replica: ReplicaId, raws: Sequence[bytes]) -> bool:
        """Take in what a peer told; False if no honest one tells it."""
        node = self._node
        submissions, added = node.mempool.add(raws, node.clock.now_ms(), steady_ms(), from_peer=True)
        if added:
            node.driver.work_arrived()
        if any(submission.code in _NEVER_TOLD for submission in submissions):
            # Nobody tells a transaction before checking it.
            node.transport.misbehaved(replica, "told a transaction that is malformed or wrongly signed")
            return False
        return True

    def on_the_way(self) -> int:
        """Transactions of peers that wait. No peer by itself closes this node to clients with what it tells."""
        node = self._node
        return node.gossip.waiting((node.mempool.client_limit or 0) // (2 * max(1, len(node.transport.peers))))
