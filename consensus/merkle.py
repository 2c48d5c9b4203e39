"""The Merkle tree hash of RFC 6962, section 2.1: leaves are tagged 0x00, inner nodes 0x01."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from consensus.types import Digest


def rfc6962_root(leaves: Sequence[bytes]) -> Digest:
    """Root over `leaves` in order; the hash of nothing for an empty tree.

    Works level by level: an odd node at the end of a level moves up unchanged, which gives the RFC's
    shape (the left subtree is the largest power of two below the size).
    """
    if not leaves:
        return Digest(sha256(b"").digest())
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        above = [sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return Digest(level[0])
