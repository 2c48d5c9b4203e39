"""crypto_mb's verdicts are libsodium's, on signatures made to tell them apart.

The lanes are compared before libsodium corrects anything. A False of theirs that libsodium does not share would do
no harm, but there is none; a True would fork the chain.
"""

from __future__ import annotations

import random
from itertools import islice

import pytest

from node.ed25519.sodium import verify
from node.ed25519.vectors import Case
from tests.hostile_signatures import Hostile
from tests.lanes import LANES, WHY_NOT

pytestmark = pytest.mark.skipif(LANES is None, reason=WHY_NOT)


def compare(seed: int, count: int) -> tuple[int, int]:
    """(valid, all). Batches of all sizes, so that good and bad meet in one call and the last call is padded."""
    assert LANES is not None
    source, sizes = Hostile(seed).cases(count), random.Random(seed)
    valid = compared = 0
    while batch := list(islice(source, sizes.randint(1, 40))):
        found = LANES.accepted([c.key for c in batch], [c.signature for c in batch], [c.message for c in batch])
        for case, verdict in zip(batch, found, strict=True):
            assert verdict is verify(*case), describe(case)
        valid += sum(found)
        compared += len(batch)
    return valid, compared


def describe(case: Case) -> str:
    return f"key {case.key.hex()} signature {case.signature.hex()} message {case.message.hex()}"


def test_lanes_and_libsodium_agree() -> None:
    valid, compared = compare(seed=0, count=10_000)
    assert compared == 10_000
    assert 2_500 < valid < 3_500


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1, 11))
def test_lanes_and_libsodium_agree_on_a_hundred_thousand(seed: int) -> None:
    """A million in all."""
    assert compare(seed, 100_000)[1] == 100_000
