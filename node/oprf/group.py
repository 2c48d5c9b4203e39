"""The prime-order subgroup of edwards25519, on libsodium's operations.

libsodium's ristretto255 is not among PyNaCl's bindings, so the cofactor is dealt with here, in one place:
`is_element` (libsodium's `crypto_core_ed25519_is_valid_point`) takes canonical encodings of points of prime order
only, neither small nor mixed order, nor the neutral element; hashing into the group clears the cofactor; and
what comes from outside passes `check_element` before anything is multiplied with it. Inside the subgroup the
cofactor does no harm, so a value has one encoding and equality of bytes is equality of elements.

Scalars are 32 bytes, little-endian, below the order L, and never 0 where a secret is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha512
from typing import Final

import nacl.bindings as sodium
import nacl.exceptions

ELEMENT_BYTES: Final = 32
SCALAR_BYTES: Final = 32
ORDER: Final = 2**252 + 27742317777372353535851937790883648493

Randomness = Callable[[int], bytes]
"""Number of bytes -> that many unpredictable bytes, such as `secrets.token_bytes`."""

_is_valid = sodium.crypto_core_ed25519_is_valid_point
_times = sodium.crypto_scalarmult_ed25519_noclamp
_times_base = sodium.crypto_scalarmult_ed25519_base_noclamp
_plus = sodium.crypto_core_ed25519_add
_reduce = sodium.crypto_core_ed25519_scalar_reduce


class NotInGroup(ValueError):
    """Bytes that are no element of the group, or no scalar. Whoever sent them is faulty."""


def is_element(data: bytes) -> bool:
    """Is this the canonical encoding of an element other than the neutral one?"""
    return len(data) == ELEMENT_BYTES and bool(_is_valid(data))


def check_element(data: bytes) -> bytes:
    """The element, or NotInGroup."""
    if not is_element(data):
        raise NotInGroup("not the canonical encoding of a point of prime order")
    return data


def check_scalar(data: bytes) -> bytes:
    """The scalar, or NotInGroup unless it is below the order and not 0."""
    if len(data) != SCALAR_BYTES or not 0 < int.from_bytes(data, "little") < ORDER:
        raise NotInGroup("not a canonical scalar other than 0")
    return data


def scalar(number: int) -> bytes:
    return (number % ORDER).to_bytes(SCALAR_BYTES, "little")


def hash_to_scalar(tag: bytes, *parts: bytes) -> bytes:
    return _reduce(_digest(tag, parts))


def random_scalar(randomness: Randomness) -> bytes:
    """Uniform; 0 has no measurable probability and is refused all the same."""
    return check_scalar(_reduce(randomness(64)))


def add_scalars(scalars: Iterable[bytes]) -> bytes:
    return scalar(sum(int.from_bytes(one, "little") for one in scalars))


def subtract_scalars(left: bytes, right: bytes) -> bytes:
    return sodium.crypto_core_ed25519_scalar_sub(left, right)


def multiply_scalars(left: bytes, right: bytes) -> bytes:
    return sodium.crypto_core_ed25519_scalar_mul(left, right)


def invert_scalar(one: bytes) -> bytes:
    return sodium.crypto_core_ed25519_scalar_invert(check_scalar(one))


def hash_to_element(tag: bytes, *parts: bytes) -> bytes:
    """Hash into the group so that nobody knows a discrete logarithm: two Elligator 2 maps, cofactor cleared, added.

    One map alone reaches only about half of the group; the sum of two is indistinguishable from uniform (as in
    ristretto255's and RFC 9380's hash-to-curve constructions, which differ from this one in details).
    """
    digest = _digest(tag, parts)
    halves = (sodium.crypto_core_ed25519_from_uniform(half) for half in (digest[:32], digest[32:]))
    return check_element(_plus(*halves))


def _digest(tag: bytes, parts: Iterable[bytes]) -> bytes:
    """Tag and parts each behind their length: no two lists hash the same bytes."""
    return sha512(b"".join(len(part).to_bytes(4, "big") + part for part in (tag, *parts))).digest()


def multiply(element: bytes, factor: bytes) -> bytes:
    """factor * element. Raises NotInGroup for what is no element, and for a factor of 0.

    libsodium's multiplication refuses itself what `is_element` refuses; a test holds it to that.
    """
    if len(element) != ELEMENT_BYTES:
        raise NotInGroup("an element has 32 bytes")
    try:
        return _times(check_scalar(factor), element)
    except nacl.exceptions.RuntimeError:
        raise NotInGroup("not the canonical encoding of a point of prime order") from None


def multiply_base(factor: bytes) -> bytes:
    """factor * B."""
    return _times_base(check_scalar(factor))


BASE: Final = _times_base(scalar(1))
NEUTRAL: Final = bytes([1]) + bytes(31)


def add(elements: Iterable[bytes]) -> bytes:
    """Sum of elements that have been checked; it may be the neutral element, which is no element.

    Raises NotInGroup for what is no point of the curve at all.
    """
    total = NEUTRAL
    try:
        for element in elements:
            total = _plus(total, element)
    except (nacl.exceptions.RuntimeError, nacl.exceptions.TypeError):
        raise NotInGroup("not a point of the curve") from None
    return total


def linear(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Sum of factor * element over (element, factor). Factors of 0 are left out. Raises NotInGroup."""
    return add(multiply(element, factor) for element, factor in pairs if any(factor))
