"""The checks that juries need, for `node.claims`: signatures, verifiable random function, beacon.

Ballots come a thousand to an action and are executed once by the proposer and once by each other node, or more
often if a block is built again; so good signatures are remembered for a while, as those of transactions are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from node import beacon, ecvrf, edwards
from node.claims.jury.proofs import Dealing, Signed
from node.crypto import verify

REMEMBERED: Final = 65_536
"""Signatures of ballots, by their hash: some 10 MB."""


class Proofs:
    """Not for use from several threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._limit = remembered
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self.checked = 0
        """Signatures checked so far, for tests."""

    def signatures(self, items: Sequence[Signed]) -> list[bool]:
        return [self._signature(*item) for item in items]

    def _signature(self, key: bytes, signature: bytes, message: bytes) -> bool:
        if len(key) != 32 or len(signature) != 64:
            return False
        name = sha256(key + signature + message).digest()
        if name in self._good:
            return True
        self.checked += 1
        if not verify(key, signature, message):
            return False
        self._good[name] = None
        if len(self._good) > self._limit:
            self._good.popitem(last=False)
        return True

    def valid_key(self, key: bytes) -> bool:
        return edwards.is_point(key)

    def exam_output(self, key: bytes, alpha: bytes, proof: bytes) -> bytes | None:
        return ecvrf.verify(key, alpha, proof)

    def dealing_valid(self, context: bytes, keys: Sequence[bytes], dealing: Dealing) -> bool:
        return beacon.dealing_valid(context, keys, dealing)

    def opening_valid(self, context: bytes, key: bytes, share: bytes, opened: bytes, proof: bytes) -> bool:
        return beacon.opening_valid(context, key, share, opened, proof)

    def add_up(self, rows: Sequence[Sequence[bytes]]) -> tuple[bytes, ...] | None:
        return beacon.add_up(rows)

    def combine(self, opened: Sequence[tuple[int, bytes]]) -> bytes | None:
        return beacon.combine(opened)
