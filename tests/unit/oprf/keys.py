"""A joint key made by a whole ceremony, with fixed randomness so that values can be pinned."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256, shake_256

import msgspec

from node.crypto import SigningKey
from node.oprf.ceremony import Ceremony, Dealing, PublicKey, deal, key_share, public_key, secret_of

GENESIS = sha256(b"genesis").digest()


def stream(seed: str) -> Callable[[int], bytes]:
    """Randomness that repeats: for known answers only."""
    taken = 0

    def read(size: int) -> bytes:
        nonlocal taken
        taken += 1
        return shake_256(f"{seed} {taken}".encode()).digest(size)

    return read


class Made(msgspec.Struct, frozen=True):
    """Everything about a key, the secrets of all holders included."""

    ceremony: Ceremony
    seeds: tuple[bytes, ...]
    dealings: dict[int, Dealing]
    key: PublicKey
    shares: dict[int, bytes]


def seeds_of(holders: int) -> tuple[bytes, ...]:
    return tuple(sha256(b"node %d" % number).digest() for number in range(holders))


def make_ceremony(holders: int = 4, threshold: int = 3, epoch: int = 1) -> Ceremony:
    publics = tuple(SigningKey(seed).public for seed in seeds_of(holders))
    return Ceremony(genesis=GENESIS, epoch=epoch, threshold=threshold, holders=publics)


@cache
def make_key(holders: int = 4, threshold: int = 3, epoch: int = 1) -> Made:
    """Holders 1..threshold deal; all get their share."""
    ceremony, seeds = make_ceremony(holders, threshold, epoch), seeds_of(holders)
    dealings = {number: deal(ceremony, number, stream(f"dealer {number}")) for number in range(1, threshold + 1)}
    shares = {}
    for holder, seed in enumerate(seeds, start=1):
        share, cheats = key_share(ceremony, dealings, holder, secret_of(seed))
        assert share is not None and cheats == ()
        shares[holder] = share
    return Made(ceremony, seeds, dealings, public_key(ceremony, dealings), shares)
