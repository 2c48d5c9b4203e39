"""The prime-order subgroup of edwards25519, over libsodium's group operations.

For what signatures alone cannot do: the verifiable random function of exams (`ecvrf.py`) and the beacon of jury
draws (`beacon.py`). Points are 32-byte encodings, scalars are ints below ORDER. Every function is deterministic,
and refuses the same inputs on every node: points that are not canonical, of small order or outside the
prime-order subgroup. libsodium also refuses a product that is the neutral element; so does this, as BadPoint.

Arithmetic on secret scalars uses Python integers, whose time may depend on their value. Whoever can measure a
node that closely holds its keys already; a signature, made hundreds of times as often, stays inside libsodium.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha512
from typing import Final

import nacl.bindings

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Of the subgroup, RFC 8032 section 5.1."""
FIELD: Final = 2**255 - 19
POINT_BYTES: Final = 32
NEUTRAL: Final = b"\x01" + bytes(31)

_times = nacl.bindings.crypto_scalarmult_ed25519_noclamp
_times_base = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp
_add = nacl.bindings.crypto_core_ed25519_add
_sub = nacl.bindings.crypto_core_ed25519_sub


class BadPoint(ValueError):
    """No point of the prime-order subgroup, or a result that is the neutral element."""


def is_point(data: bytes) -> bool:
    """Is it the canonical encoding of a point of the prime-order subgroup, other than the neutral one?"""
    return len(data) == POINT_BYTES and nacl.bindings.crypto_core_ed25519_is_valid_point(data)


def scalar_of(data: bytes) -> int:
    """A uniform scalar from 64 uniform bytes."""
    return int.from_bytes(data, "little") % ORDER


def hash_scalar(*parts: bytes) -> int:
    """A scalar from parts of known length, or whose lengths the first part fixes."""
    return scalar_of(sha512(b"".join(parts)).digest())


def scalar_bytes(scalar: int) -> bytes:
    return scalar.to_bytes(32, "little")


def read_scalar(data: bytes) -> int | None:
    """The scalar that 32 bytes hold, or None if it is not below ORDER."""
    scalar = int.from_bytes(data, "little")
    return scalar if len(data) == 32 and scalar < ORDER else None


def times_base(scalar: int) -> bytes:
    """Raises BadPoint for 0."""
    try:
        return _times_base(scalar_bytes(scalar % ORDER))
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadPoint(str(error)) from None


def times(scalar: int, point: bytes) -> bytes:
    """Raises BadPoint for 0, and for a point that is none of the subgroup."""
    try:
        return _times(scalar_bytes(scalar % ORDER), point)
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadPoint(str(error)) from None


def add(left: bytes, right: bytes) -> bytes:
    try:
        return _add(left, right)
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadPoint(str(error)) from None


def subtract(left: bytes, right: bytes) -> bytes:
    try:
        return _sub(left, right)
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadPoint(str(error)) from None


def total(points: Iterable[bytes]) -> bytes:
    """Sum of at least one point. Raises BadPoint, also if it is the neutral element."""
    result = b""
    for point in points:
        result = add(result, point) if result else point
    if not is_point(result):
        raise BadPoint("the points add up to none")
    return result


def clear_cofactor(point: bytes) -> bytes:
    """8 times a point of the curve, which need not be in the subgroup; may be the neutral element."""
    for _ in range(3):
        point = add(point, point)
    return point


def is_canonical(data: bytes) -> bool:
    """Decoding by RFC 8032 section 5.1.3 refuses y >= p, and a sign bit where x is 0; libsodium takes both."""
    number = int.from_bytes(data, "little")
    y = number & ((1 << 255) - 1)
    return y < FIELD and not (number >> 255 and y in (1, FIELD - 1))


def secret_scalar(seed: bytes) -> tuple[int, bytes]:
    """(scalar, second half of the hash), as RFC 8032 section 5.1.5 makes them from a 32-byte seed."""
    digest = sha512(seed).digest()
    number = int.from_bytes(digest[:32], "little")
    return number & ((1 << 254) - 8) | 1 << 254, digest[32:]
