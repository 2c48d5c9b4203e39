"""Properties of the threshold function for any inputs, holders and blindings."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.claims.nullifiers.holders import ValueKind
from node.oprf import group, inputs
from node.oprf.group import NotInGroup, scalar
from node.oprf.inputs import BadInput
from node.oprf.sharing import commitments, interpolation_factors, is_share, public_at, random_polynomial, value_at
from node.oprf.values import blind, combine, evaluate, finish, is_honest
from tests.unit.oprf.keys import GENESIS, make_key

KINDS = st.sampled_from(ValueKind)
TEXTS = st.binary(max_size=64)
SIZES = st.sampled_from([(1, 1), (2, 2), (4, 3), (7, 5)])


@settings(max_examples=20, deadline=None)
@given(data=st.data(), size=SIZES, kind=KINDS, text=TEXTS)
def test_every_set_of_holders_gives_the_same_value(
    data: st.DataObject, size: tuple[int, int], kind: ValueKind, text: bytes
) -> None:
    holders, threshold = size
    made = make_key(holders, threshold)
    values = set()
    for _ in range(2):
        chosen = data.draw(st.permutations(range(1, holders + 1)))[:threshold]
        blinded = blind(GENESIS, 1, kind, text, secrets.token_bytes)
        partials = {
            holder: evaluate(GENESIS, 1, made.shares[holder], [blinded.element], secrets.token_bytes)[0]
            for holder in chosen
        }
        values.add(finish(GENESIS, 1, blinded, combine(made.key, partials)[0]))
    assert len(values) == 1


@settings(max_examples=30, deadline=None)
@given(text=TEXTS, position=st.integers(0, 95), change=st.integers(1, 255))
def test_a_partial_result_with_any_byte_changed_is_caught(text: bytes, position: int, change: int) -> None:
    made = make_key()
    element = blind(GENESIS, 1, ValueKind.PAPER, text, secrets.token_bytes).element
    (result,), proof = evaluate(GENESIS, 1, made.shares[1], [element], secrets.token_bytes)
    wire = bytearray(result + proof)
    wire[position] ^= change
    assert not is_honest(made.key, 1, [element], [bytes(wire[:32])], bytes(wire[32:]))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40) | st.binary(min_size=32, max_size=32))
def test_bytes_from_outside_are_an_element_or_refused(data: bytes) -> None:
    if group.is_element(data):
        assert group.multiply(group.multiply(data, scalar(2)), group.invert_scalar(scalar(2))) == data
    else:
        with pytest.raises(NotInGroup):
            group.multiply(data, scalar(8))


@settings(max_examples=20, deadline=None)
@given(threshold=st.integers(1, 6), holder=st.integers(1, 64))
def test_a_share_fits_its_commitments_and_no_other_holder(threshold: int, holder: int) -> None:
    polynomial = random_polynomial(threshold, secrets.token_bytes)
    committed = commitments(polynomial)
    share = value_at(polynomial, holder)
    assert is_share(committed, holder, share) and public_at(committed, holder) == group.multiply_base(share)
    assert is_share(committed, holder + 1, share) == (threshold == 1)


@given(st.sets(st.integers(1, 64), min_size=1, max_size=8), st.integers(0, group.ORDER - 1))
def test_interpolation_finds_the_constant(holders: set[int], secret: int) -> None:
    polynomial = [scalar(secret), *(scalar(secret * number + 7) for number in range(1, len(holders)))]
    factors = interpolation_factors(sorted(holders))
    parts = [group.multiply_scalars(factors[holder], value_at(polynomial, holder)) for holder in holders]
    assert group.add_scalars(parts) == scalar(secret)


@given(st.text(max_size=220))
def test_an_identifier_is_brought_to_its_form_once_or_refused(text: str) -> None:
    try:
        form = inputs.identifier("number", text)
    except BadInput:
        return
    assert form.isascii() and form.isalnum() and inputs.identifier("number", form) == form == form.upper()
