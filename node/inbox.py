"""What waits for the driver: events of its own and messages of peers, synced blocks behind them.

Each peer may have only so much waiting. Its connection is not read while it has more, which holds back that
peer and nobody else. Peers take turns, message by message: who floods makes others wait for as many of its
messages as they have themselves. An event of this node's own waits for all that came before it, so that a
timer that fires in a busy moment does not overtake the progress that would have stopped it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import Final

from consensus.block import Block
from consensus.events import BlockSynced, Event, Received, Started
from consensus.messages import CommitCertificate, Message
from consensus.types import ReplicaId

PEER_BACKLOG: Final = 2_048
"""Messages of one peer that may wait."""
PEER_BACKLOG_BYTES: Final = 48 * 1024 * 1024


class Inbox:
    """Used from the event loop only. `synced` is bounded by sync, which gives only so many ahead."""

    def __init__(self) -> None:
        # Peers may connect before the driver runs, but Started is the core's first event.
        self._own: deque[tuple[int, Event]] = deque([(0, Started())])  # (messages to be taken first, event)
        self._queues: dict[ReplicaId, deque[tuple[Received, int]]] = {}
        self._turns: deque[ReplicaId] = deque()  # peers with messages waiting, whose turn is next first
        self._posted = self._taken = 0  # messages of peers
        self._synced: deque[BlockSynced] = deque()
        self._backlog: dict[ReplicaId, list[int]] = {}  # messages and bytes waiting, by peer
        self._room = asyncio.Event()
        self.filled = asyncio.Event()
        """Set when something has come in; cleared by the driver."""

    def __bool__(self) -> bool:
        return bool(self._own or self._turns or self._synced)

    def backlog(self, sender: ReplicaId) -> int:
        """Messages of a peer that wait."""
        return self._backlog[sender][0] if sender in self._backlog else 0

    def post(self, event: Event) -> None:
        """Queue an event of this node's own."""
        self._own.append((self._posted, event))
        self.filled.set()

    def post_synced(self, block: Block, certificate: CommitCertificate) -> None:
        """Queue a block fetched from a peer; taken in after what consensus has to say."""
        self._synced.append(BlockSynced(block=block, certificate=certificate))
        self.filled.set()

    async def post_received(self, sender: ReplicaId, message: Message, size: int) -> None:
        """Queue a peer's message of `size` bytes; waits while too many of the same peer are queued."""
        backlog = self._backlog.setdefault(sender, [0, 0])
        while backlog[0] >= PEER_BACKLOG or (backlog[0] and backlog[1] + size > PEER_BACKLOG_BYTES):
            self._room.clear()
            await self._room.wait()
        backlog[0] += 1
        backlog[1] += size
        self._posted += 1
        queue = self._queues.setdefault(sender, deque())
        if not queue:
            self._turns.append(sender)
        queue.append((Received(sender=sender, message=message), size))
        self.filled.set()

    def take(self) -> Event | None:
        """The next event, synced blocks apart."""
        if self._own and self._own[0][0] <= self._taken:
            return self._own.popleft()[1]
        if not self._turns:
            return None
        sender = self._turns.popleft()
        queue = self._queues[sender]
        event, size = queue.popleft()
        if queue:
            self._turns.append(sender)
        self._taken += 1
        backlog = self._backlog[sender]
        backlog[0] -= 1
        backlog[1] -= size
        return event

    def waiting(self, each: int) -> list[Received]:
        """Up to so many messages of each peer, those that are taken first."""
        return [received for sender in self._turns for received, _ in islice(self._queues[sender], each)]

    def take_synced(self) -> BlockSynced | None:
        """The next synced block, if nothing else waits."""
        return self._synced.popleft() if self._synced and not (self._own or self._turns) else None

    def drained(self) -> None:
        """Let in peers that were held back."""
        self._room.set()
