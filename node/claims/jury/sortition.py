"""Drawing without replacement from a seed: exam questions from a bank, seats from a pool.

A sparse Fisher-Yates shuffle: each step swaps one place of the imagined list 0..n-1, so k items cost O(k) however
large n is, each list of k distinct items is equally likely, and going on never repeats one. Numbers below a bound
are made by rejection, so that none is favoured by a remainder.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

_TAG: Final = b"weal/sortition/1\0"
_WIDTH: Final = 1 << 64


def shuffled(seed: bytes, size: int) -> Iterator[int]:
    """0..size-1 in an order that `seed` (32 bytes) fixes. Stop whenever enough has come."""
    moved: dict[int, int] = {}
    stream = _numbers(seed)
    for start in range(size):
        place = start + _below(stream, size - start)
        yield moved.get(place, place)
        moved[place] = moved.pop(start, start)


def _below(stream: Iterator[int], bound: int) -> int:
    """Uniform below `bound`, which is at most 2^64."""
    limit = _WIDTH - _WIDTH % bound
    while True:
        number = next(stream)
        if number < limit:
            return number % bound


def _numbers(seed: bytes) -> Iterator[int]:
    """Uniform 64-bit numbers: the hashes of seed and counter, four to each."""
    counter = 0
    while True:
        digest = sha256(_TAG + seed + counter.to_bytes(8, "big")).digest()
        yield from (int.from_bytes(digest[at : at + 8], "big") for at in range(0, 32, 8))
        counter += 1
