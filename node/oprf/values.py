"""From an input to its value: blind, have a threshold of holders evaluate, combine, unblind, hash (2HashDH).

    client             P = H1(kind, input)         A = r*P                r random: A says nothing about P
    holder i           Z_i = s_i*A                 proof that Z_i / A = S_i / B
    client's own node  Z = sum of l_i*Z_i          l_i: Lagrange factors; = k*A without anybody knowing k
    client             N = (1/r)*Z = k*P           value = H2(kind, input, N)

Source: Jarecki, Kiayias, Krawczyk, Xu 2017 (threshold OPRF); RFC 9497 for proofs over batches. The hashes are
bound to the chain and the key epoch, so values of two chains or epochs have nothing in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from node.claims.nullifiers.holders import ValueKind
from node.oprf.ceremony import PublicKey
from node.oprf.group import (
    Randomness,
    check_element,
    hash_to_element,
    invert_scalar,
    linear,
    multiply,
    random_scalar,
)
from node.oprf.proofs import prove_same, verify_same
from node.oprf.sharing import interpolation_factors

_INPUT: Final = b"weal/oprf/input/1"
_VALUE: Final = b"weal/oprf/value/1"
_PARTIAL: Final = b"weal/oprf/partial/1"


class Blinded(msgspec.Struct, frozen=True, kw_only=True):
    """One input on the client's side. `element` is all that leaves it."""

    kind: ValueKind
    text: bytes
    element: bytes
    factor: bytes


def _scope(genesis: bytes, epoch: int) -> bytes:
    return genesis + epoch.to_bytes(2, "big")


def blind(genesis: bytes, epoch: int, kind: ValueKind, text: bytes, randomness: Randomness) -> Blinded:
    """`text` is a canonical input (inputs.py). A fresh factor each time: two requests cannot be linked."""
    factor = random_scalar(randomness)
    point = hash_to_element(_INPUT, _scope(genesis, epoch), bytes([kind]), text)
    return Blinded(kind=kind, text=text, element=multiply(point, factor), factor=factor)


def prove_partial(
    genesis: bytes,
    epoch: int,
    share: bytes,
    elements: Sequence[bytes],
    results: Sequence[bytes],
    randomness: Randomness,
) -> bytes:
    """Proof for `is_honest`; results[i] = share * elements[i]."""
    return prove_same(share, elements, results, _PARTIAL + _scope(genesis, epoch), randomness)


def evaluate(
    genesis: bytes, epoch: int, share: bytes, elements: Sequence[bytes], randomness: Randomness
) -> tuple[tuple[bytes, ...], bytes]:
    """One holder's part: (results, proof). Raises NotInGroup for an element that is none."""
    results = tuple(multiply(element, share) for element in elements)
    return results, prove_partial(genesis, epoch, share, elements, results, randomness)


def is_honest(key: PublicKey, holder: int, elements: Sequence[bytes], results: Sequence[bytes], proof: bytes) -> bool:
    """Did this holder use its share of the key? False for anything malformed."""
    context = _PARTIAL + _scope(key.genesis, key.epoch)
    return verify_same(key.shares[holder - 1], elements, results, context, proof)


def combine(key: PublicKey, partials: Mapping[int, Sequence[bytes]]) -> tuple[bytes, ...]:
    """Results under the joint key from those of a threshold of holders. Check each with `is_honest` first.

    Raises ValueError for fewer than the threshold.
    """
    if len(partials) < key.threshold:
        raise ValueError(f"{len(partials)} partial results, {key.threshold} are needed")
    chosen = sorted(partials)[: key.threshold]
    factors = interpolation_factors(chosen)
    columns = zip(*(partials[holder] for holder in chosen), strict=True)
    return tuple(linear(zip(column, (factors[holder] for holder in chosen), strict=True)) for column in columns)


def finish(genesis: bytes, epoch: int, blinded: Blinded, result: bytes) -> bytes:
    """The value, 32 bytes. Raises NotInGroup for a result that is no element."""
    element = multiply(check_element(result), invert_scalar(blinded.factor))
    parts = (_VALUE, _scope(genesis, epoch), bytes([blinded.kind]), blinded.text, element)
    return sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
