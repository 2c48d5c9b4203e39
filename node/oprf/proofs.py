"""Non-interactive proofs that a secret was used as it should be (Fiat-Shamir, no trusted party).

- `prove_known`: I know x with X = x*B (Schnorr). Stops a dealer from using what it does not know.
- `prove_same`: I know x with X = x*B and Z = x*A (Chaum-Pedersen, "DLEQ"). Convicts a share holder that lies.

Several elements under one secret share one proof: a random combination of them is proved, with factors that
follow from all of them (as in RFC 9497, 2.2.1). The `context` binds a proof to its chain, epoch and purpose.
A proof is challenge || response, 64 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.oprf.group import (
    BASE,
    NotInGroup,
    Randomness,
    add,
    check_element,
    check_scalar,
    hash_to_scalar,
    is_element,
    linear,
    multiply,
    multiply_base,
    multiply_scalars,
    random_scalar,
    subtract_scalars,
)

PROOF_BYTES: Final = 64
_KNOWN: Final = b"weal/oprf/known/1"
_SAME: Final = b"weal/oprf/same/1"
_WEIGHT: Final = b"weal/oprf/weight/1"


def prove_known(secret: bytes, context: bytes, randomness: Randomness) -> bytes:
    """Proof for `verify_known(secret * B, ...)`."""
    nonce = random_scalar(randomness)
    challenge = hash_to_scalar(_KNOWN, context, multiply_base(secret), multiply_base(nonce))
    return challenge + subtract_scalars(nonce, multiply_scalars(challenge, secret))


def verify_known(public: bytes, context: bytes, proof: bytes) -> bool:
    """Does whoever made `proof` know the discrete logarithm of `public`?"""
    if len(proof) != PROOF_BYTES or not is_element(public):
        return False
    challenge, response = proof[:32], proof[32:]
    try:
        nonce = add((multiply_base(check_scalar(response)), multiply(public, check_scalar(challenge))))
    except NotInGroup:
        return False
    return hash_to_scalar(_KNOWN, context, public, nonce) == challenge


def _combine(context: bytes, public: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """One factor for each (element, result): nobody can choose errors that cancel out."""
    seed = hash_to_scalar(_WEIGHT, context, public, *(part for pair in pairs for part in pair))
    return [hash_to_scalar(_WEIGHT, seed, index.to_bytes(4, "big")) for index in range(len(pairs))]


def prove_same(
    secret: bytes, elements: Sequence[bytes], results: Sequence[bytes], context: bytes, randomness: Randomness
) -> bytes:
    """Proof for `verify_same`; results[i] = secret * elements[i]."""
    public = multiply_base(secret)
    factors = _combine(context, public, list(zip(elements, results, strict=True)))
    element = linear(zip(elements, factors, strict=True))
    nonce = random_scalar(randomness)
    # What the verifier computes from the results is secret * element.
    parts = (public, element, multiply(element, secret), multiply_base(nonce), multiply(element, nonce))
    challenge = hash_to_scalar(_SAME, context, BASE, *parts)
    return challenge + subtract_scalars(nonce, multiply_scalars(challenge, secret))


def verify_same(
    public: bytes, elements: Sequence[bytes], results: Sequence[bytes], context: bytes, proof: bytes
) -> bool:
    """Is results[i] = x * elements[i] for all i and the x of `public` = x * B? False for anything malformed."""
    if len(proof) != PROOF_BYTES or len(elements) != len(results) or not elements:
        return False
    challenge, response = proof[:32], proof[32:]
    try:
        check_scalar(challenge)
        check_scalar(response)
        check_element(public)
        factors = _combine(context, public, list(zip(elements, results, strict=True)))
        element = linear(zip(elements, factors, strict=True))
        result = linear(zip(results, factors, strict=True))
        first = add((multiply_base(response), multiply(public, challenge)))
        second = add((multiply(element, response), multiply(result, challenge)))
    except NotInGroup:
        return False
    return hash_to_scalar(_SAME, context, BASE, public, element, result, first, second) == challenge
