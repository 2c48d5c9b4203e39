"""A verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI, RFC 9381 section 5.5, suite 0x03.

The holder of a key computes an output for an input and proves it: nobody else can predict it, and nobody, the
holder included, can get another one past `verify`. Exams use it, so that neither the examined person nor the
examiner chooses the questions. The vectors of the RFC's appendix B.3 pin it.

One difference, on the strict side: `verify` takes keys and proofs in the prime-order subgroup only. The RFC lets
Gamma have a component of small order, which the output ignores; no honest prover makes one.
"""

from __future__ import annotations

from hashlib import sha512
from typing import Final

from node.edwards import (
    NEUTRAL,
    ORDER,
    BadPoint,
    clear_cofactor,
    hash_scalar,
    is_canonical,
    is_point,
    read_scalar,
    scalar_bytes,
    secret_scalar,
    subtract,
    times,
    times_base,
)

SUITE: Final = b"\x03"
PROOF_BYTES: Final = 80
_CHALLENGE_BYTES: Final = 16


def public_key(seed: bytes) -> bytes:
    """As Ed25519's: the same seed has the same public key in both."""
    return times_base(secret_scalar(seed)[0])


def encode_to_curve(key: bytes, alpha: bytes) -> bytes:
    """Section 5.4.1.1, try and increment: an input becomes a point whose logarithm nobody knows."""
    for counter in range(256):
        candidate = sha512(SUITE + b"\x01" + key + alpha + bytes([counter]) + b"\x00").digest()[:32]
        if not is_canonical(candidate):
            continue
        try:
            point = clear_cofactor(candidate)
        except BadPoint:
            continue
        if point != NEUTRAL:
            return point
    raise BadPoint("no counter gives a point")  # One input in 2^256.


def _challenge(*points: bytes) -> int:
    """Section 5.4.3."""
    digest = sha512(SUITE + b"\x02" + b"".join(points) + b"\x00").digest()
    return int.from_bytes(digest[:_CHALLENGE_BYTES], "little")


def prove(seed: bytes, alpha: bytes) -> bytes:
    """Section 5.1: the proof of the output for `alpha`, 80 bytes. Deterministic."""
    scalar, rest = secret_scalar(seed)
    key = times_base(scalar)
    point = encode_to_curve(key, alpha)
    gamma = times(scalar, point)
    nonce = hash_scalar(rest, point)
    challenge = _challenge(key, point, gamma, times_base(nonce), times(nonce, point))
    answer = (nonce + challenge * scalar) % ORDER
    return gamma + challenge.to_bytes(_CHALLENGE_BYTES, "little") + scalar_bytes(answer)


def output_of(proof: bytes) -> bytes:
    """Section 5.2: the output, 64 bytes, of a proof that has been verified. Raises BadPoint."""
    return sha512(SUITE + b"\x03" + clear_cofactor(proof[:32]) + b"\x00").digest()


def verify(key: bytes, alpha: bytes, proof: bytes) -> bytes | None:
    """Section 5.3: the output, or None unless `proof` is one by the holder of `key` for `alpha`."""
    if len(proof) != PROOF_BYTES or not is_point(key):
        return None
    gamma, challenge, answer = proof[:32], int.from_bytes(proof[32:48], "little"), read_scalar(proof[48:])
    if answer is None or not is_point(gamma):
        return None
    try:
        point = encode_to_curve(key, alpha)
        left = subtract(times_base(answer), times(challenge, key))
        right = subtract(times(answer, point), times(challenge, gamma))
        if _challenge(key, point, gamma, left, right) != challenge:
            return None
        return output_of(proof)
    except BadPoint:
        return None
