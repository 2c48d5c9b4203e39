"""What the pool (mempool.py) knows about transactions while it takes them in, several in one call."""

from __future__ import annotations

import msgspec

from node.claims.results import ResultCode
from node.claims.transaction import Transaction


class Arrival(msgspec.Struct, eq=False):
    """What is known of one transaction while it is taken in."""

    raw: bytes
    transaction: Transaction | None = None
    """None if the bytes are none; `fault` says why."""
    fault: str = ""
    code: ResultCode | None = None
    """What `admit` says; None if it was not asked, because the pool holds this or its like already."""
    is_valid: bool | None = None
    """Its signature; None if it was not checked yet."""


class Ahead:
    """Room that the transactions before one, in the same call, are about to take."""

    def __init__(self) -> None:
        self.count = self.bytes = 0
        self.of: dict[bytes, tuple[int, int]] = {}
        """Sender -> (transactions, bytes)"""

    def add(self, sender: bytes, cost: int) -> None:
        self.count += 1
        self.bytes += cost
        count, size = self.of.get(sender, (0, 0))
        self.of[sender] = (count + 1, size + cost)
