"""The beacon: any threshold of shares gives one result, and nobody can slip a wrong or a copied one in."""

from __future__ import annotations

from hashlib import sha256
from itertools import combinations

import pytest
from msgspec.structs import replace

from node import beacon
from node.claims.jury.proofs import Dealing, threshold
from node.edwards import FIELD, NEUTRAL, ORDER, read_scalar, scalar_bytes, times


def seeds(count: int) -> list[bytes]:
    return [sha256(b"organisation %d" % number).digest() for number in range(count)]


def context(dealer: int, draw: bytes = b"draw") -> bytes:
    return sha256(draw + bytes([dealer])).digest()


class Drawn:
    """A draw of `count` organisations, honest so far."""

    def __init__(self, count: int, draw: bytes = b"draw") -> None:
        self.seeds = seeds(count)
        self.keys = [beacon.beacon_public_key(seed) for seed in self.seeds]
        self.dealings = [beacon.deal(seed, context(number, draw), self.keys) for number, seed in enumerate(self.seeds)]
        sums = beacon.add_up([dealing.shares for dealing in self.dealings])
        assert sums is not None
        self.sums = sums
        self.opened = [
            beacon.open_share(seed, context(number, draw), share)
            for number, (seed, share) in enumerate(zip(self.seeds, sums, strict=True))
        ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_any_threshold_of_shares_gives_the_same_result(count: int) -> None:
    drawn = Drawn(count)
    for number, dealing in enumerate(drawn.dealings):
        assert beacon.dealing_valid(context(number), drawn.keys, dealing)
    for number, (key, share, (opened, proof)) in enumerate(zip(drawn.keys, drawn.sums, drawn.opened, strict=True)):
        assert beacon.opening_valid(context(number), key, share, opened, proof)
    results = {
        beacon.combine([(place + 1, drawn.opened[place][0]) for place in places])
        for places in combinations(range(count), threshold(count))
    }
    assert len(results) == 1
    assert None not in results


def test_fewer_shares_than_the_threshold_give_something_else() -> None:
    drawn = Drawn(4)
    shares = [(place + 1, opened) for place, (opened, _) in enumerate(drawn.opened)]
    assert beacon.combine(shares[:2]) != beacon.combine(shares[:3]) == beacon.combine(shares[1:])


def test_another_draw_has_another_result() -> None:
    results = {beacon.combine([(1, d.opened[0][0]), (2, d.opened[1][0])]) for d in (Drawn(3), Drawn(3, b"other"))}
    assert len(results) == 2


def test_a_dealing_is_bound_to_dealer_draw_and_keys() -> None:
    drawn = Drawn(4)
    dealing = drawn.dealings[0]
    assert not beacon.dealing_valid(context(1), drawn.keys, dealing), "copied by another dealer"
    assert not beacon.dealing_valid(context(0, b"other"), drawn.keys, dealing), "from another draw"
    assert not beacon.dealing_valid(context(0), drawn.keys[::-1], dealing)
    assert not beacon.dealing_valid(context(0), drawn.keys[:3], dealing)


def test_a_dealing_that_cancels_an_honest_one_is_refused() -> None:
    """The sum would be in the hands of whoever comes last: every point negated, the proof tried three ways."""
    drawn = Drawn(4)
    honest = drawn.dealings[0]
    negated = replace(
        honest,
        commitments=tuple(times(ORDER - 1, point) for point in honest.commitments),
        shares=tuple(times(ORDER - 1, point) for point in honest.shares),
    )
    challenge = read_scalar(honest.challenge)
    assert challenge is not None
    for dealing in (negated, replace(negated, challenge=scalar_bytes(ORDER - challenge))):
        for dealer in range(4):
            assert not beacon.dealing_valid(context(dealer), drawn.keys, dealing)


@pytest.mark.parametrize("part", ["commitments", "shares", "answers"])
def test_a_dealing_with_one_wrong_part_is_refused(part: str) -> None:
    drawn = Drawn(4)
    dealing = drawn.dealings[0]
    parts = getattr(dealing, part)
    for bad in (
        (parts[1], parts[0], *parts[2:]),
        parts[:-1],
        (*parts, parts[0]),
        (NEUTRAL, *parts[1:]),
        ((FIELD - 1).to_bytes(32, "little"), *parts[1:]),
        (b"\xff" * 32, *parts[1:]),
    ):
        changed: Dealing = replace(dealing, **{part: bad})
        assert not beacon.dealing_valid(context(0), drawn.keys, changed)


def test_a_share_opened_wrongly_is_refused() -> None:
    drawn = Drawn(4)
    opened, proof = drawn.opened[0]
    good = (context(0), drawn.keys[0], drawn.sums[0], opened, proof)
    assert beacon.opening_valid(*good)
    for place, other in enumerate((context(1), drawn.keys[1], drawn.sums[1], drawn.opened[1][0], drawn.opened[1][1])):
        changed = list(good)
        changed[place] = other
        assert not beacon.opening_valid(*changed)
    assert not beacon.opening_valid(*good[:4], proof[:63])
    assert not beacon.opening_valid(*good[:3], NEUTRAL, proof)


def test_dealing_again_gives_the_same_bytes() -> None:
    """After a restart an organisation has nothing to remember."""
    assert Drawn(3).dealings == Drawn(3).dealings


def test_sums_without_a_point_are_none() -> None:
    drawn = Drawn(1)
    share = drawn.dealings[0].shares[0]
    assert beacon.add_up([[share], [times(ORDER - 1, share)]]) is None
