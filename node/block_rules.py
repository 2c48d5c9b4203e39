"""What makes a block valid before it is executed: its place, its size, its transactions' form and signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from consensus.block import Block, Header
from consensus.errors import ProtocolViolation
from node.claims.transaction import Transaction
from node.claims.wire import Malformed


class BlockLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Largest block that is valid. Part of the chain's rules: equal on all nodes."""

    max_block_bytes: int = 1 << 20
    """Sum of the transactions' bytes."""
    max_block_transactions: int = 2_000


class InvalidBlock(ProtocolViolation):
    """The block breaks a rule or its header says something else than its execution: do not vote for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Verifier(Protocol):
    """Decodes transactions and checks their signatures, each once per node (node/verification.py)."""

    def resolve(self, raws: Sequence[bytes]) -> list[Transaction | None]:
        """None where one is malformed or its signature is wrong."""
        ...

    def decode(self, raw: bytes) -> Transaction:
        """Raises Malformed. Does not check the signature."""
        ...


def check_header(header: Header, parent: Header) -> None:
    """Does the header continue its parent? Raises InvalidBlock."""
    if header.genesis != parent.genesis:
        raise InvalidBlock("it is of another chain")
    if header.parent != parent.digest:
        raise InvalidBlock(f"its parent is {header.parent.hex()}, not {parent.digest.hex()}")
    if header.height != parent.height + 1:
        raise InvalidBlock(f"its height is {header.height}, its parent's {parent.height}")
    if header.time_ms <= parent.time_ms:
        raise InvalidBlock(f"its time {header.time_ms} is not above its parent's {parent.time_ms}")
    if header.epoch != parent.epoch or header.members != parent.members:
        raise InvalidBlock("it names another member set than its parent")


def check_size(block: Block, limits: BlockLimits) -> None:
    """Is the body within the limits? Raises InvalidBlock."""
    raws = block.transactions
    if len(raws) > limits.max_block_transactions:
        raise InvalidBlock(f"it has {len(raws)} transactions, allowed are {limits.max_block_transactions}")
    size = sum(map(len, raws))
    if size > limits.max_block_bytes:
        raise InvalidBlock(f"its transactions have {size} bytes, allowed are {limits.max_block_bytes}")


def check_body(block: Block) -> None:
    """Is the body the one of the header? Raises InvalidBlock."""
    if len(block.transactions) != block.header.transaction_count:
        raise InvalidBlock(
            f"it has {len(block.transactions)} transactions, its header says {block.header.transaction_count}"
        )
    if not block.is_whole:
        raise InvalidBlock("its transactions are not those of its header")


def read_transactions(block: Block, verifier: Verifier, *, check_signatures: bool) -> list[Transaction]:
    """The block's transactions, decoded and distinct. Raises InvalidBlock."""
    found: list[Transaction] = []
    if check_signatures:
        for index, transaction in enumerate(verifier.resolve(block.transactions)):
            if transaction is None:
                raise InvalidBlock(f"transaction {index} is malformed or its signature is wrong")
            found.append(transaction)
    else:
        for index, raw in enumerate(block.transactions):
            try:
                found.append(verifier.decode(raw))
            except Malformed as error:
                raise InvalidBlock(f"transaction {index} is malformed: {error}") from error
    if len({transaction.id for transaction in found}) != len(found):
        raise InvalidBlock("a transaction is in the block twice")
    return found
