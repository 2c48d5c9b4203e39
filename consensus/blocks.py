"""The blocks a replica has in hand: those in flight in memory, those made durable in the store behind."""

from __future__ import annotations

from collections.abc import Callable, Container

from consensus.block import Block
from consensus.effects import Effect, PersistBlock
from consensus.types import Digest, Height


class BlockCache:
    """Finds blocks by digest and makes each durable once: with the first vote for it, or when it commits.

    Bounded by its users: only blocks named by a slot, a chosen header or a certificate are remembered.
    """

    def __init__(self, stored: Callable[[Digest], Block | None], emit: Callable[[Effect], None]) -> None:
        self._stored = stored
        self._emit = emit
        self._blocks: dict[Digest, Block] = {}
        self._durable: dict[Digest, Height] = {}

    def get(self, digest: Digest) -> Block | None:
        """A block in flight or committed, from memory or from the store."""
        return self._blocks.get(digest) or self._stored(digest)

    def remember(self, block: Block) -> None:
        self._blocks[block.digest] = block

    def keep(self, block: Block) -> None:
        """Make a block durable before the vote for it is said."""
        self._blocks[block.digest] = block
        if block.digest not in self._durable:
            self._durable[block.digest] = block.height
            if self._stored(block.digest) is None:
                self._emit(PersistBlock(block=block))

    def drop_through(self, height: Height) -> None:
        self._blocks = {digest: block for digest, block in self._blocks.items() if block.height > height}
        self._durable = {digest: at for digest, at in self._durable.items() if at > height}

    def retain(self, digests: Container[Digest]) -> None:
        self._blocks = {digest: block for digest, block in self._blocks.items() if digest in digests}

    def __len__(self) -> int:
        return len(self._blocks)
