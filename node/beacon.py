"""Randomness that no minority of the organisations can choose, predict or prevent, for drawing juries.

Publicly verifiable secret sharing after Schoenmakers, "A Simple Publicly Verifiable Secret Sharing Scheme and Its
Application to Electronic Voting" (CRYPTO 1999), with the sharings added up before anybody opens them:

1. *Deal.* Each organisation shares a random point among all n: commitments to its polynomial, one encrypted share
   for each, and a proof that they belong together. Anybody can check it; nobody below the threshold can read it.
2. The sum of all dealings is a sharing too. Once dealing is over, the result is fixed, and nobody knows it.
3. *Open.* Each organisation decrypts its share of the sum, with a proof. Any `threshold(n)` of them give the same
   result, so whoever withholds a share changes nothing while as many others open theirs.

A proof is bound to its dealer, draw and set of keys: a dealing copied, negated or multiplied by another dealer
does not verify, so nobody can cancel an honest contribution. Polynomial and nonces are derived from the secret
key and the draw: the same draw gives the same bytes, with no state to keep.

Compared with the hash of verifiable random functions that each organisation reveals: there the last to reveal
sees the result with and without its own output, and k withholders choose among 2^k results. Here they have none
to choose from.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from hmac import digest as hmac_digest
from typing import Final

import nacl.bindings

from node.claims.jury.proofs import Dealing, threshold
from node.edwards import (
    ORDER,
    BadPoint,
    add,
    hash_scalar,
    is_point,
    read_scalar,
    scalar_bytes,
    secret_scalar,
    times,
    times_base,
    total,
)

SECOND_BASE: Final = nacl.bindings.crypto_core_ed25519_from_uniform(sha256(b"weal/beacon/second base/1").digest())
"""A generator whose logarithm to the base point nobody knows."""
_DEAL: Final = b"weal/beacon/deal/1\0"
_OPEN: Final = b"weal/beacon/open/1\0"


def beacon_public_key(seed: bytes) -> bytes:
    return times_base(_secret(seed))


def _secret(seed: bytes) -> int:
    return secret_scalar(seed)[0] % ORDER


def _derived(seed: bytes, purpose: bytes, context: bytes) -> int:
    """A secret scalar for one purpose; the same for the same context."""
    return hash_scalar(hmac_digest(seed, b"weal/beacon/derive/1\0" + purpose + context, "sha512"))


def deal(seed: bytes, context: bytes, keys: Sequence[bytes]) -> Dealing:
    """This organisation's dealing to the holders of `keys`; `context` (32 bytes) names draw, keys and dealer."""
    needed = threshold(len(keys))
    polynomial = [_derived(seed, b"coefficient%d " % power, context) for power in range(needed)]
    commitments = tuple([times(coefficient, SECOND_BASE) for coefficient in polynomial])
    values = [_evaluate(polynomial, place) for place in range(1, len(keys) + 1)]
    shares = tuple([times(value, key) for value, key in zip(values, keys, strict=True)])
    nonces = [_derived(seed, b"nonce%d " % place, context) for place in range(len(keys))]
    rows = [
        (times(value, SECOND_BASE), share, times(nonce, SECOND_BASE), times(nonce, key))
        for value, share, nonce, key in zip(values, shares, nonces, keys, strict=True)
    ]
    challenge = _dealing_challenge(context, commitments, rows)
    answers = [(nonce - challenge * value) % ORDER for nonce, value in zip(nonces, values, strict=True)]
    return Dealing(
        commitments=commitments,
        shares=shares,
        challenge=scalar_bytes(challenge),
        answers=tuple([scalar_bytes(answer) for answer in answers]),
    )


def _evaluate(polynomial: Sequence[int], place: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * place + coefficient) % ORDER
    return value


def _dealing_challenge(
    context: bytes, commitments: Sequence[bytes], rows: Sequence[tuple[bytes, bytes, bytes, bytes]]
) -> int:
    sizes = len(commitments).to_bytes(2, "big") + len(rows).to_bytes(2, "big")
    return hash_scalar(_DEAL, context, sizes, *commitments, *(point for row in rows for point in row))


def dealing_valid(context: bytes, keys: Sequence[bytes], dealing: Dealing) -> bool:
    """Does each share lie on the committed polynomial, under the key of its place, and did the dealer know it?"""
    if len(dealing.commitments) != threshold(len(keys)):
        return False
    if not len(dealing.shares) == len(dealing.answers) == len(keys):
        return False
    challenge = read_scalar(dealing.challenge)
    answers = [read_scalar(answer) for answer in dealing.answers]
    if challenge is None or not all(is_point(point) for point in (*dealing.commitments, *dealing.shares)):
        return False
    try:
        rows = []
        for place, (key, share, answer) in enumerate(zip(keys, dealing.shares, answers, strict=True), start=1):
            if answer is None:
                return False
            value = _committed_value(dealing.commitments, place)
            first = add(times(answer, SECOND_BASE), times(challenge, value))
            second = add(times(answer, key), times(challenge, share))
            rows.append((value, share, first, second))
    except BadPoint:
        return False
    return _dealing_challenge(context, dealing.commitments, rows) == challenge


def _committed_value(commitments: Sequence[bytes], place: int) -> bytes:
    value = commitments[-1]
    for commitment in reversed(commitments[:-1]):
        value = add(times(place, value) if place > 1 else value, commitment)
    return value


def open_share(seed: bytes, context: bytes, share: bytes) -> tuple[bytes, bytes]:
    """(decrypted share, proof of 64 bytes) of this organisation's share of the sum."""
    secret = _secret(seed)
    opened = times(pow(secret, -1, ORDER), share)
    nonce = _derived(seed, b"opening ", context + share)
    challenge = _opening_challenge(context, times_base(secret), opened, share, times_base(nonce), times(nonce, opened))
    return opened, scalar_bytes(challenge) + scalar_bytes((nonce - challenge * secret) % ORDER)


def _opening_challenge(context: bytes, *points: bytes) -> int:
    return hash_scalar(_OPEN, context, *points)


def opening_valid(context: bytes, key: bytes, share: bytes, opened: bytes, proof: bytes) -> bool:
    """Was `share` decrypted with the secret of `key`?"""
    challenge, answer = read_scalar(proof[:32]), read_scalar(proof[32:])
    if len(proof) != 64 or challenge is None or answer is None or not is_point(opened):
        return False
    try:
        first = add(times_base(answer), times(challenge, key))
        second = add(times(answer, opened), times(challenge, share))
    except BadPoint:
        return False
    return _opening_challenge(context, key, opened, share, first, second) == challenge


def add_up(rows: Sequence[Sequence[bytes]]) -> tuple[bytes, ...] | None:
    """Share by share, the sum of all dealings; None if one of the sums is no point, which no honest dealer's
    randomness lets happen."""
    try:
        return tuple([total(column) for column in zip(*rows, strict=True)])
    except BadPoint:
        return None


def combine(opened: Sequence[tuple[int, bytes]]) -> bytes | None:
    """The result from exactly as many shares as the threshold: (place from 1, decrypted share), places distinct."""
    try:
        result = b""
        for place, share in opened:
            over, under = 1, 1
            for other, _ in opened:
                if other != place:
                    over = over * other % ORDER
                    under = under * (other - place) % ORDER
            part = times(over * pow(under, -1, ORDER) % ORDER, share)
            result = add(result, part) if result else part
        return result
    except BadPoint:
        return None
