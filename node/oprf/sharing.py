"""Shamir shares of a scalar, and Feldman's commitments by which each share can be checked.

A polynomial of degree t - 1 with the secret as its constant; holder number i (from 1) has its value at i. Any t
shares determine the secret, t - 1 say nothing about it. Commitments are the coefficients times B.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from node.oprf.group import (
    ORDER,
    NotInGroup,
    Randomness,
    add,
    linear,
    multiply_base,
    random_scalar,
    scalar,
)


def random_polynomial(threshold: int, randomness: Randomness) -> tuple[bytes, ...]:
    """Coefficients, the constant first. Its length is the threshold."""
    return tuple(random_scalar(randomness) for _ in range(threshold))


def commitments(polynomial: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(multiply_base(coefficient) for coefficient in polynomial)


def value_at(polynomial: Sequence[bytes], holder: int) -> bytes:
    """The share of a holder, numbered from 1."""
    if holder < 1:
        raise ValueError("holders are numbered from 1: the value at 0 is the secret")
    total = 0
    for coefficient in reversed(polynomial):
        total = (total * holder + int.from_bytes(coefficient, "little")) % ORDER
    return scalar(total)


def public_at(committed: Sequence[bytes], holder: int) -> bytes:
    """What `multiply_base` of that share must give. Raises NotInGroup for commitments that are no elements."""
    return linear((element, scalar(holder**power)) for power, element in enumerate(committed))


def is_share(committed: Sequence[bytes], holder: int, share: bytes) -> bool:
    """Does the share lie on the committed polynomial?"""
    try:
        return multiply_base(share) == public_at(committed, holder)
    except NotInGroup:
        return False


def sum_of_commitments(several: Sequence[Sequence[bytes]]) -> tuple[bytes, ...]:
    """Commitments to the sum of polynomials of one degree."""
    return tuple(add(column) for column in zip(*several, strict=True))


def interpolation_factors(holders: Iterable[int]) -> Mapping[int, bytes]:
    """Lagrange coefficients for the value at 0 from the values at these holders, each once."""
    numbers = list(holders)
    if len(set(numbers)) != len(numbers) or min(numbers, default=0) < 1:
        raise ValueError("holders are numbered from 1 and each counts once")
    factors = {}
    for one in numbers:
        top, bottom = 1, 1
        for other in numbers:
            if other != one:
                top, bottom = top * other % ORDER, bottom * (other - one) % ORDER
        factors[one] = scalar(top * pow(bottom, -1, ORDER))
    return factors
