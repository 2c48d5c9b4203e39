"""Making the key: shares fit, cheats are found, and an accusation can be judged by anybody."""

from __future__ import annotations

from itertools import combinations

import pytest
from msgspec.structs import replace

from node.oprf import group
from node.oprf.ceremony import (
    Dealing,
    Verdict,
    accuse,
    deal,
    dealing_problem,
    judge,
    key_share,
    open_share,
    public_key,
    secret_of,
)
from node.oprf.group import NotInGroup
from node.oprf.sharing import interpolation_factors
from tests.unit.oprf.keys import make_ceremony, make_key, seeds_of, stream

CEREMONY = make_ceremony()
SECRETS = [secret_of(seed) for seed in seeds_of(4)]


def bad_share_dealing(dealer: int = 2, victim: int = 3) -> Dealing:
    """The victim's share is sealed well but lies on another polynomial."""
    good, other = (deal(CEREMONY, dealer, stream(name)) for name in ("one", "two"))
    boxes = list(good.boxes)
    boxes[victim - 1] = other.boxes[victim - 1]
    return replace(good, boxes=tuple(boxes))


def test_the_shares_of_any_threshold_determine_one_key() -> None:
    made = make_key()
    keys = set()
    for holders in combinations(range(1, 5), 3):
        factors = interpolation_factors(holders)
        parts = [group.multiply_scalars(factors[holder], made.shares[holder]) for holder in holders]
        keys.add(group.multiply_base(group.add_scalars(parts)))
    assert keys == {made.key.commitments[0]}
    assert [group.multiply_base(made.shares[holder]) for holder in range(1, 5)] == list(made.key.shares)


def test_one_holder_may_be_away_when_the_key_is_made() -> None:
    """Holder 4 has not dealt, and finds its share on the chain all the same."""
    made = make_key()
    assert set(made.dealings) == {1, 2, 3} and set(made.shares) == {1, 2, 3, 4}


@pytest.mark.parametrize(("holders", "threshold"), [(1, 1), (2, 2), (4, 3), (7, 5)])
def test_ceremonies_of_other_sizes(holders: int, threshold: int) -> None:
    made = make_key(holders, threshold)
    assert len(made.key.shares) == holders and made.key.threshold == threshold


def test_the_key_has_a_part_of_every_dealer() -> None:
    made = make_key()
    fewer = {number: dealing for number, dealing in made.dealings.items() if number != 2}
    assert public_key(made.ceremony, fewer).commitments != made.key.commitments


def test_a_bad_share_is_found_opened_and_the_dealer_named() -> None:
    dealing = bad_share_dealing()
    assert dealing_problem(CEREMONY, 2, dealing) is None
    assert open_share(CEREMONY, 2, dealing, 3, SECRETS[2]) is None
    assert open_share(CEREMONY, 2, dealing, 1, SECRETS[0]) is not None
    dealings = {1: deal(CEREMONY, 1, stream("x")), 2: dealing, 3: deal(CEREMONY, 3, stream("y"))}
    assert key_share(CEREMONY, dealings, 3, SECRETS[2]) == (None, (2,))
    opening, proof = accuse(CEREMONY, 2, dealing, 3, SECRETS[2], stream("z"))
    assert judge(CEREMONY, 2, dealing, 3, opening, proof) is Verdict.DEALER


def test_a_share_that_does_not_open_convicts_its_dealer_too() -> None:
    good = deal(CEREMONY, 2, stream("one"))
    dealing = replace(good, boxes=(*good.boxes[:2], bytes(48), good.boxes[3]))
    opening, proof = accuse(CEREMONY, 2, dealing, 3, SECRETS[2], stream("z"))
    assert judge(CEREMONY, 2, dealing, 3, opening, proof) is Verdict.DEALER


def test_a_false_accusation_convicts_the_accuser() -> None:
    good = deal(CEREMONY, 2, stream("one"))
    with pytest.raises(ValueError, match="the share is good"):
        accuse(CEREMONY, 2, good, 3, SECRETS[2], stream("z"))
    opening, proof = accuse(CEREMONY, 2, bad_share_dealing(), 3, SECRETS[2], stream("z"))
    # It opens a good share, opens something else, or opens nothing.
    assert judge(CEREMONY, 2, good, 3, opening, proof) is Verdict.ACCUSER
    assert judge(CEREMONY, 2, bad_share_dealing(), 3, group.BASE, proof) is Verdict.ACCUSER
    assert judge(CEREMONY, 2, bad_share_dealing(), 4, opening, proof) is Verdict.ACCUSER
    assert judge(CEREMONY, 2, bad_share_dealing(), 3, b"", b"") is Verdict.ACCUSER


def test_an_honest_opening_of_a_good_share_is_no_accusation() -> None:
    """A liar with the right secret proves an opening of a share that is good."""
    good = deal(CEREMONY, 2, stream("one"))
    from node.oprf.proofs import prove_same

    shared = group.multiply(good.ephemeral, SECRETS[2])
    context = CEREMONY.context(2, b"accuse" + (3).to_bytes(2, "big"))
    proof = prove_same(SECRETS[2], [good.ephemeral], [shared], context, stream("z"))
    assert judge(CEREMONY, 2, good, 3, shared, proof) is Verdict.ACCUSER


def malformed() -> dict[str, Dealing]:
    good, other = (deal(CEREMONY, 2, stream(name)) for name in ("one", "two"))
    first, second = good.proofs[:64], good.proofs[64:]
    return {
        "too few commitments": replace(good, commitments=good.commitments[:2]),
        "too few shares": replace(good, boxes=good.boxes[:3]),
        "a commitment outside the group": replace(good, commitments=(*good.commitments[:2], bytes(32))),
        "an ephemeral key outside the group": replace(good, ephemeral=group.NEUTRAL),
        "another's constant": replace(good, commitments=(other.commitments[0], *good.commitments[1:])),
        "another's ephemeral key": replace(good, ephemeral=other.ephemeral),
        "proofs in the wrong places": replace(good, proofs=second + first),
        "no proof": replace(good, proofs=bytes(128)),
        "a short proof": replace(good, proofs=first),
    }


@pytest.mark.parametrize("name", malformed())
def test_a_malformed_dealing_shows_without_an_opening(name: str) -> None:
    dealing = malformed()[name]
    assert dealing_problem(CEREMONY, 2, dealing) is not None
    assert open_share(CEREMONY, 2, dealing, 3, SECRETS[2]) is None
    with pytest.raises(ValueError, match="malformed"):
        accuse(CEREMONY, 2, dealing, 3, SECRETS[2], stream("z"))
    assert judge(CEREMONY, 2, dealing, 3, b"", b"") is Verdict.DEALER
    with pytest.raises(NotInGroup):
        public_key(CEREMONY, {1: deal(CEREMONY, 1, stream("x")), 2: dealing})


@pytest.mark.parametrize("change", [{"epoch": 2}, {"genesis": bytes(32)}, {"threshold": 2}])
def test_a_dealing_belongs_to_its_ceremony_and_dealer(change: dict[str, int]) -> None:
    dealing = deal(CEREMONY, 2, stream("one"))
    assert dealing_problem(replace(CEREMONY, **change), 2, dealing) is not None
    assert dealing_problem(CEREMONY, 3, dealing) is not None


def test_nobody_but_the_holder_opens_a_share() -> None:
    dealing = deal(CEREMONY, 2, stream("one"))
    assert open_share(CEREMONY, 2, dealing, 3, SECRETS[3]) is None
