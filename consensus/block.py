"""Blocks as consensus sees them: a header that is agreed on, and opaque transactions.

The header's digest does not contain the view, so a block proposed again in a later view keeps it. The header says
how many transactions there are, as a signed tree head of RFC 6962 says its size beside its root: trees of several
sizes share an audit path, so whoever has only the header could not tell them apart by the root alone. There is
always one receipt more than transactions, the clock's, so that tree's size follows.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256

import msgspec

from consensus.merkle import rfc6962_root
from consensus.types import Digest, Height, Wire


class Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """What a certificate certifies. Source: docs/protocol.md, "Header"."""

    genesis: Digest
    """Digest of the genesis file: names the chain."""
    epoch: int
    """Number of the member set that decides this block."""
    height: Height
    time_ms: int
    """UTC milliseconds, chain time; at least 1 above the parent's."""
    parent: Digest
    """Digest of the header below; at height 1 the digest of the genesis header."""
    transaction_count: int
    """Transactions in the block, and so leaves under `transactions_root`. 0 for genesis."""
    transactions_root: Digest
    """RFC 6962 root over the transactions' bytes."""
    receipts_root: Digest
    """RFC 6962 root over the receipts' bytes, the clock's first, then in the order of the transactions:
    `transaction_count` + 1 leaves. Genesis has none."""
    state_root: Digest
    """Root of the state after this block."""
    members: Digest
    """Digest of the member set that decides this block."""

    @cached_property
    def digest(self) -> Digest:
        return Digest(sha256(b"weal/header/2\0" + msgspec.msgpack.encode(self)).digest())


class Block(Wire, frozen=True, dict=True, gc=True):
    """A header and the transactions it orders, each as its own opaque canonical bytes."""

    header: Header
    transactions: tuple[bytes, ...]

    @property
    def digest(self) -> Digest:
        return self.header.digest

    @property
    def height(self) -> Height:
        return self.header.height

    @cached_property
    def is_whole(self) -> bool:
        """Are these the transactions of the header, as many and the same? The digest covers the header only.

        Remembered, because whoever takes a block in asks: transport or sync, the core, the executor, the store.
        """
        header, transactions = self.header, self.transactions
        return len(transactions) == header.transaction_count and rfc6962_root(transactions) == header.transactions_root
