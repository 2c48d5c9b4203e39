"""A disk that loses what was not synced: a log of writes, of which a crash keeps a prefix.

That is what LevelDB's write-ahead log gives: later writes never survive earlier ones, and a synced write
makes all before it durable.
"""

from __future__ import annotations

from random import Random

from consensus.block import Block
from consensus.effects import Commit, Forget, Persist, PersistBlock
from consensus.messages import CommitCertificate
from consensus.types import Digest

Write = Persist | PersistBlock | Commit | Forget


class Disk:
    """Journal, blocks and chain of one node. Reads see every write, synced or not."""

    def __init__(self) -> None:
        self.journal: dict[bytes, bytes] = {}
        self.chain: list[tuple[Block, CommitCertificate]] = []
        self._blocks: dict[Digest, Block] = {}
        self._unsynced: list[Write] = []
        self._unsynced_blocks: dict[Digest, Block] = {}
        self.durable: set[bytes] = set()
        """Every journal value that was ever durable here."""

    def block(self, digest: Digest) -> Block | None:
        return self._blocks.get(digest) or self._unsynced_blocks.get(digest)

    def blocks_from(self, height: int, count: int) -> list[tuple[Block, CommitCertificate]]:
        """Committed blocks from `height` upwards, durable or not: a certificate proves itself."""
        unsynced = [(w.block, w.certificate) for w in self._unsynced if isinstance(w, Commit)]
        return (self.chain + unsynced)[height - 1 : height - 1 + count]

    def write(self, write: Write) -> None:
        self._unsynced.append(write)
        if isinstance(write, PersistBlock):
            self._unsynced_blocks[write.block.digest] = write.block

    def sync(self) -> None:
        for write in self._unsynced:
            self._apply(write)
        self._unsynced.clear()
        self._unsynced_blocks.clear()

    def _apply(self, write: Write) -> None:
        if isinstance(write, Persist):
            self.journal[write.key] = write.value
            self.durable.add(write.value)
        elif isinstance(write, PersistBlock):
            self._blocks[write.block.digest] = write.block
        elif isinstance(write, Forget):
            for key in write.keys:
                self.journal.pop(key, None)
        else:
            # Committing names the digest; the bytes must be there already.
            self.chain.append((self._blocks[write.block.digest], write.certificate))

    def crash(self, random: Random) -> None:
        """Keep some prefix of the writes since the last sync."""
        for write in self._unsynced[: random.randrange(len(self._unsynced) + 1)]:
            self._apply(write)
        self._unsynced.clear()
        self._unsynced_blocks.clear()
