"""The smallest application with something to disagree about: a hash chain over ordered byte strings.

The state after a block is the hash of the state before it and the block's transactions; a transaction may be
in the chain once. Whatever is executed out of order or twice therefore shows up as another root.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from consensus.block import Block, Header
from consensus.merkle import rfc6962_root
from consensus.messages import CommitCertificate
from consensus.quorum import MemberSet
from consensus.types import Digest, Height
from tests.sim.checks import Violation

GENESIS = Digest(sha256(b"simulated genesis").digest())
GENESIS_TIME_MS = 1_000_000
_EMPTY = Digest(sha256(b"").digest())


def genesis_header(members: MemberSet) -> Header:
    return Header(
        genesis=GENESIS,
        epoch=members.epoch,
        height=Height(0),
        time_ms=GENESIS_TIME_MS,
        parent=Digest(bytes(32)),
        transaction_count=0,
        transactions_root=_EMPTY,
        receipts_root=_EMPTY,
        state_root=_EMPTY,
        members=members.digest,
    )


def next_root(root: bytes, transactions: Iterable[bytes]) -> Digest:
    state = sha256(root)
    for transaction in transactions:
        state.update(sha256(transaction).digest())
    return Digest(state.digest())


def make_block(parent: Header, transactions: tuple[bytes, ...], time_ms: int) -> Block:
    """The honest child of `parent` with these transactions."""
    header = Header(
        genesis=parent.genesis,
        epoch=parent.epoch,
        height=Height(parent.height + 1),
        time_ms=max(time_ms, parent.time_ms + 1),
        parent=parent.digest,
        transaction_count=len(transactions),
        transactions_root=rfc6962_root(transactions),
        receipts_root=rfc6962_root([b"done " + transaction for transaction in transactions]),
        state_root=next_root(parent.state_root, transactions),
        members=parent.members,
    )
    return Block(header=header, transactions=transactions)


class Application:
    """The application of one node. `tip` is the last block applied for good."""

    def __init__(self, genesis: Header, chain: Iterable[tuple[Block, CommitCertificate]]) -> None:
        self.tip = genesis
        self.committed: set[bytes] = set()
        self._executed: dict[Digest, Block] = {}
        for block, _ in chain:
            self._apply(block)

    def _apply(self, block: Block) -> None:
        self.tip = block.header
        self.committed.update(block.transactions)

    def in_flight(self, parent: Digest) -> tuple[Digest, set[bytes]] | None:
        """State root after the block `parent`, and the transactions between it and the tip.

        None if it was never executed here, or hangs from a block that another one has replaced.
        """
        if parent == self.tip.digest:
            return self.tip.state_root, set()
        taken: set[bytes] = set()
        digest = parent
        while digest != self.tip.digest:
            block = self._executed.get(digest)
            if block is None:
                return None
            taken.update(block.transactions)
            digest = block.header.parent
        return self._executed[parent].header.state_root, taken

    def execute(self, block: Block) -> str | None:
        """None if every root holds, else what does not. The parent must have been executed before."""
        header = block.header
        if header.digest in self._executed:
            return None
        above = self.in_flight(header.parent)
        if above is None:
            raise Violation(f"block {header.digest.hex()[:8]} at height {header.height} executed before its parent")
        parent_root, taken = above
        seen: set[bytes] = set()
        for transaction in block.transactions:
            if transaction in self.committed or transaction in taken or transaction in seen:
                return "a transaction twice"
            seen.add(transaction)
        if header.receipts_root != rfc6962_root([b"done " + transaction for transaction in block.transactions]):
            return "receipts root differs"
        if header.state_root != next_root(parent_root, block.transactions):
            return "state root differs"
        self._executed[header.digest] = block
        return None

    def executed(self) -> list[Block]:
        """Blocks executed and not yet committed."""
        return list(self._executed.values())

    def keep(self, block: Block) -> None:
        """Remember a block this node has built: building is executing."""
        self._executed[block.digest] = block

    def commit(self, block: Block) -> None:
        header = block.header
        if header.height != self.tip.height + 1 or header.parent != self.tip.digest:
            raise Violation(
                f"block {header.digest.hex()[:8]} at height {header.height} committed on a tip of height "
                f"{self.tip.height}: out of order or twice"
            )
        fault = self.execute(block)
        if fault is not None:
            raise Violation(f"a committed block does not hold: {fault}")
        self._apply(block)
        self._executed = {d: b for d, b in self._executed.items() if b.height > header.height}
