"""Names for the numbers and bytes of the protocol, and the base of everything that is sent.

A sequence number of the paper is a block height here: one slot orders one block, so the two
never differ and one word is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NewType

import msgspec

ReplicaId = NewType("ReplicaId", int)
"""Position of a replica in the current member set, from 0."""
View = NewType("View", int)
"""Counts primaries, from 0."""
Height = NewType("Height", int)
"""Position of a block in the chain; genesis is 0, the first agreed block 1."""
Digest = NewType("Digest", bytes)
"""SHA-256, exactly 32 bytes."""
PublicKey = NewType("PublicKey", bytes)
"""Ed25519 public key, exactly 32 bytes."""
Signature = NewType("Signature", bytes)
"""Ed25519 signature, exactly 64 bytes."""

DIGEST_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
MAX_REPLICAS: Final = 64
"""Largest member set: certificates, view changes and decode limits are sized for it."""

Verify = Callable[[PublicKey, Signature, bytes], bool]
"""(public key, signature, message) -> is it valid. Pure; injected so that the core does no cryptography."""
Sign = Callable[[bytes], Signature]
"""Sign with this replica's node key. Deterministic, as Ed25519 is: the same slot gives the same bytes."""


class Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Base of all messages, blocks and certificates: a msgpack array in field order.

    Field order is wire order and part of the protocol; golden files pin it.
    """
