"""Values: known answers, agreement of every set of holders, liars, and what a coalition below the threshold has."""

from __future__ import annotations

import secrets
from itertools import combinations

import pytest

from node.claims.nullifiers.holders import ValueKind
from node.oprf import group, inputs
from node.oprf.group import NotInGroup, scalar
from node.oprf.sharing import interpolation_factors
from node.oprf.values import blind, combine, evaluate, finish, is_honest
from tests.unit.oprf import reference
from tests.unit.oprf.keys import GENESIS, Made, make_key, stream

PERSON = inputs.person("CN-RESIDENT", "11010519491231002X")
EVENT = inputs.event("CN-RESIDENT", "11010519491231002X", "H-001", "2026-03-01", "S01")
RECEIPT = inputs.receipt("H-001", "2026/000123")
KNOWN = {
    (ValueKind.PERSON, PERSON): "4f60955c0270e227a9d7bac10828ba0f8a7d55e9db66a32ecf99a4d75476e019",
    (
        ValueKind.EVENT,
        inputs.event("CN-RESIDENT", "11010519491231002X", "H-001", "2026-03-01", "S01"),
    ): "41161cf15976dcb89eff62ea80d88ce444dc733811464d89b56eaa49a8813a65",
    (
        ValueKind.PAPER,
        inputs.receipt("H-001", "2026/000123"),
    ): "b3cc1d506f8b6caff15becbabd07d51fe7239ba2c2e949c6edb9aaa883777c4a",
    (ValueKind.PAPER, inputs.file(b"a scan")): "84968f39872751070cbaf75131513f09e0abf5c631a57b688ee3f0514118ba95",
}


def joint_secret(made: Made) -> int:
    """What no one ever holds outside this test."""
    factors = interpolation_factors([1, 2, 3])
    parts = [group.multiply_scalars(factors[holder], made.shares[holder]) for holder in factors]
    return int.from_bytes(group.add_scalars(parts), "little")


def value(made: Made, holders: tuple[int, ...], kind: ValueKind, text: bytes) -> bytes:
    """By these holders together, with a fresh blinding."""
    epoch = made.ceremony.epoch
    blinded = blind(GENESIS, epoch, kind, text, secrets.token_bytes)
    partials = {}
    for holder in holders:
        results, proof = evaluate(GENESIS, epoch, made.shares[holder], [blinded.element], secrets.token_bytes)
        assert is_honest(made.key, holder, [blinded.element], results, proof)
        partials[holder] = results
    return finish(GENESIS, epoch, blinded, combine(made.key, partials)[0])


@pytest.mark.parametrize(("kind", "text"), KNOWN)
def test_values_are_those_known(kind: ValueKind, text: bytes) -> None:
    """Pinned: another value for the same input would blind the chain to every duplicate before it. And the same
    as an implementation that knows the whole key computes, in other words than the product's."""
    made = make_key()
    found = value(made, (1, 2, 3), kind, text)
    assert found == reference.value(GENESIS, 1, kind, text, joint_secret(made))
    assert found.hex() == KNOWN[kind, text]


def test_any_three_of_four_give_the_same_value_whatever_the_blinding() -> None:
    made = make_key()
    values = {value(made, holders, ValueKind.PERSON, PERSON) for holders in combinations(range(1, 5), 3)}
    values |= {value(made, (1, 2, 3, 4), ValueKind.PERSON, PERSON)}
    assert len(values) == 1


def test_kind_chain_and_epoch_separate_values() -> None:
    made = make_key()
    values = {value(made, (1, 2, 3), kind, PERSON) for kind in ValueKind}
    # The same key under another chain's name, or another epoch's.
    for genesis, epoch in ((bytes(32), 1), (GENESIS, 2)):
        blinded = blind(genesis, epoch, ValueKind.PERSON, PERSON, secrets.token_bytes)
        result = group.multiply(blinded.element, scalar(joint_secret(made)))
        values |= {finish(genesis, epoch, blinded, result)}
    assert len(values) == len(ValueKind) + 2


def test_fewer_than_the_threshold_combine_to_nothing() -> None:
    made = make_key()
    blinded = blind(GENESIS, 1, ValueKind.PERSON, PERSON, secrets.token_bytes)
    partials = {
        holder: evaluate(GENESIS, 1, made.shares[holder], [blinded.element], secrets.token_bytes)[0]
        for holder in (1, 2)
    }
    with pytest.raises(ValueError, match="3 are needed"):
        combine(made.key, partials)


def test_a_coalition_below_the_threshold_cannot_test_guesses() -> None:
    """Two of four pool their shares, have the whole chain and know that the value on it is one of ten people's.

    Whatever they compute from shares and chain gives no value on it: neither their own interpolation, nor that
    with any public element in place of the missing part. That they cannot do better is the one-more
    Diffie-Hellman assumption; that their shares say nothing about the key is checked exactly: for every
    candidate key there is a share of a third holder that fits what they hold.
    """
    made = make_key()
    target = value(made, (1, 2, 3), ValueKind.PERSON, PERSON)
    dictionary = [inputs.person("CN-RESIDENT", f"11010519491231{number:04d}") for number in range(9)] + [PERSON]
    coalition = {holder: made.shares[holder] for holder in (1, 4)}
    on_chain = [element for dealing in made.dealings.values() for element in (*dealing.commitments, dealing.ephemeral)]
    on_chain += [*made.key.shares, *made.key.commitments]
    factors = interpolation_factors(coalition)
    guess = group.add_scalars(group.multiply_scalars(factors[holder], coalition[holder]) for holder in coalition)
    with_third = interpolation_factors([1, 4, 2])
    for text in dictionary:
        blinded = blind(GENESIS, 1, ValueKind.PERSON, text, stream("one"))
        own = [(blinded.element, group.multiply_scalars(with_third[holder], coalition[holder])) for holder in coalition]
        candidates = [group.multiply(blinded.element, key) for key in (guess, *coalition.values())]
        candidates += [group.add([group.linear(own), element]) for element in on_chain]
        assert target not in {finish(GENESIS, 1, blinded, result) for result in candidates}
    for candidate in (scalar(1), scalar(12345), guess):
        missing = group.subtract_scalars(
            candidate,
            group.add_scalars(group.multiply_scalars(with_third[holder], coalition[holder]) for holder in coalition),
        )
        third = group.multiply_scalars(missing, group.invert_scalar(with_third[2]))
        parts = [group.multiply_scalars(with_third[holder], share) for holder, share in {**coalition, 2: third}.items()]
        assert group.add_scalars(parts) == candidate


def test_a_holder_that_lies_is_caught_and_an_honest_one_is_not() -> None:
    made = make_key()
    elements = [blind(GENESIS, 1, ValueKind.PAPER, bytes([number]), secrets.token_bytes).element for number in range(3)]
    results, proof = evaluate(GENESIS, 1, made.shares[2], elements, secrets.token_bytes)
    other, other_proof = evaluate(GENESIS, 1, made.shares[3], elements, secrets.token_bytes)
    assert is_honest(made.key, 2, elements, results, proof)
    swapped = (results[1], results[0], results[2])
    # Errors that would cancel out in a plain sum.
    shift = group.multiply_base(scalar(5))
    back = group.multiply(shift, scalar(-1))
    cancelling = (group.add([results[0], shift]), group.add([results[1], back]), results[2])
    for wrong in (other, swapped, cancelling, results[:2], (), (*results[:2], bytes(32)), (*results[:2], b"")):
        assert not is_honest(made.key, 2, elements, wrong, proof)
    assert not is_honest(made.key, 2, elements, other, other_proof)
    assert not is_honest(made.key, 3, elements, results, proof)
    assert not is_honest(make_key(epoch=2).key, 2, elements, results, proof)
    for bad in (proof[:-1], b"", proof[:32] + bytes(32), bytes(64), b"\xff" * 64, proof[32:] + proof[:32]):
        assert not is_honest(made.key, 2, elements, results, bad)


@pytest.mark.parametrize("bad", [bytes(32), group.NEUTRAL, b"\xff" * 32, b"", group.BASE[:31]])
def test_a_holder_evaluates_no_element_that_could_leak_its_share(bad: bytes) -> None:
    """A point of small order times the share tells the share modulo 8."""
    with pytest.raises(NotInGroup):
        evaluate(GENESIS, 1, make_key().shares[1], [group.BASE, bad], secrets.token_bytes)


def test_a_result_that_is_no_element_gives_no_value() -> None:
    blinded = blind(GENESIS, 1, ValueKind.PERSON, PERSON, secrets.token_bytes)
    with pytest.raises(NotInGroup):
        finish(GENESIS, 1, blinded, bytes(32))


def test_two_requests_for_one_input_look_unrelated() -> None:
    elements = {blind(GENESIS, 1, ValueKind.PERSON, PERSON, secrets.token_bytes).element for _ in range(8)}
    assert len(elements) == 8


def test_a_full_batch_is_proved_at_once() -> None:
    made = make_key()
    elements = [blind(GENESIS, 1, ValueKind.PAPER, bytes([n]), stream(str(n))).element for n in range(16)]
    results, proof = evaluate(GENESIS, 1, made.shares[1], elements, secrets.token_bytes)
    assert len(proof) == 64 and is_honest(made.key, 1, elements, results, proof)
