"""The acceptance rule of signatures (docs/protocol.md), as far as it can be decided without curve arithmetic.

A signature is a pair (R, S) of 32 bytes each, a key an encoded point A. libsodium refuses some of them before it
computes anything; the lists here are those refusals. Source: libsodium, `crypto_sign/ed25519/ref10/open.c` with
`sc25519_is_canonical`, `ge25519_is_canonical` and `ge25519_has_small_order`.
"""

from __future__ import annotations

from typing import Final

from node.edwards import FIELD, ORDER

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
HALF_BYTES: Final = 32
"""Length of R and of S."""

_ORDER_8: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
"""y of two of the points of order 8; the other two have its negative."""


def _encodings(y: int) -> tuple[bytes, bytes]:
    """Both encodings with this y, below 2^255: the sign of x is the top bit."""
    return y.to_bytes(32, "little"), (y | 1 << 255).to_bytes(32, "little")


SMALL_ORDER: Final = frozenset(
    encoding for y in (0, 1, FIELD - 1, FIELD, FIELD + 1, _ORDER_8, FIELD - _ORDER_8) for encoding in _encodings(y)
)
"""Every encoding, canonical or not, of the eight points whose order divides 8. Refused as A and as R."""

NOT_CANONICAL: Final = frozenset(encoding for y in range(FIELD, 1 << 255) for encoding in _encodings(y))
"""Every encoding whose y is not reduced; there are 38. Refused as A. As R they need no list: both machines compare
R with the canonical encoding of what they computed."""

REFUSED_KEYS: Final = SMALL_ORDER | NOT_CANONICAL


def has_low_s(signature: bytes) -> bool:
    """Is S below the group order? Else S + ORDER would be a second signature of the same message. `signature` has
    64 bytes."""
    return int.from_bytes(signature[HALF_BYTES:], "little") < ORDER
