"""Transactions: canonical bytes, limits, ids, and the replay window."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from node.claims import keys
from node.claims.builders import build_transaction, commitment, person_commitment
from node.claims.consortium import WINDOW, RecordEvidence, load_sender
from node.claims.mutual_aid.actions import MAX_BATCH, ConfirmPayment, Enrol, FileClaim
from node.claims.results import ResultCode, is_inadmissible
from node.claims.transaction import (
    MAX_ACTIONS,
    MAX_TRANSACTION_BYTES,
    Transaction,
    decode_transaction,
    encode_transaction,
)
from node.claims.types import DAY_MS
from node.claims.wire import Malformed, encode
from tests.factories import Chain, key_of, make_genesis, new_member, person, unsigned

PAYMENT = ConfirmPayment(claim=1, amount=5, receipt=person(1))


def transaction(*actions: object, **changes: object) -> Transaction:
    made = build_transaction(person(0), key_of("x"), 7, 1_000, actions or (PAYMENT,), unsigned)  # type: ignore[arg-type]
    return msgspec.structs.replace(made, **changes)


def test_a_decoded_transaction_signs_and_names_the_same_bytes_as_the_one_that_was_built() -> None:
    built = transaction(Enrol(plan="p", members=(new_member(1, key=person(2)),)), PAYMENT)
    decoded = decode_transaction(encode_transaction(built))
    assert decoded == built
    fields = ("weal/transaction/1", built.genesis, built.sender, built.sequence, built.valid_until_ms, built.actions)
    assert decoded.signed_bytes() == built.signed_bytes() == encode(fields)
    assert decoded.id == built.id == sha256(encode(fields)).digest()
    assert decoded.signature == unsigned(built.signed_bytes())


def test_the_signature_is_no_part_of_the_id() -> None:
    assert transaction(signature=bytes(64)).id == transaction().id


@pytest.mark.parametrize(
    "change",
    [
        {"genesis": bytes(31)},
        {"sender": bytes(33)},
        {"signature": b""},
        {"sequence": 0},
        {"sequence": 2**53},
        {"valid_until_ms": -1},
        {"actions": ()},
        {"actions": (PAYMENT,) * (MAX_ACTIONS + 1)},
        {"actions": (ConfirmPayment(claim=1, amount=-1, receipt=person(1)),)},
        {"actions": (ConfirmPayment(claim=1, amount=1, receipt=b"short"),)},
        {"actions": (Enrol(plan="p", members=()),)},
        {"actions": (Enrol(plan="Not a code", members=(new_member(1),)),)},
        {"actions": (RecordEvidence(evidence=bytes(5_000)),)},
        {"actions": (("no", "action"),)},
    ],
)
def test_a_field_outside_its_limits_is_malformed(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        decode_transaction(encode(transaction(**change)))


def test_a_code_with_a_line_break_is_malformed() -> None:
    """Python's `$` would let one pass; it has no place on the chain."""
    action = FileClaim(plan="p\n", member=1, ailment="S01", diagnosis_day=1, accident=False, evidence=person(1))
    with pytest.raises(Malformed):
        decode_transaction(encode(transaction(action)))


def test_longer_forms_of_the_same_value_are_malformed() -> None:
    data = encode(transaction(sequence=7))
    position = data.index(b"\x07\xcd\x03\xe8")
    with pytest.raises(Malformed, match="canonical"):
        decode_transaction(data[:position] + b"\xcc" + data[position:])
    with pytest.raises(Malformed):
        decode_transaction(data + b"\x00")
    with pytest.raises(Malformed):
        decode_transaction(data[:-1])


def test_bytes_above_the_limit_are_not_looked_at() -> None:
    with pytest.raises(Malformed, match="at most"):
        decode_transaction(b"\xc1" * (MAX_TRANSACTION_BYTES + 1))


def test_a_thousand_members_with_keys_fit_and_more_bytes_are_refused_when_built() -> None:
    members = tuple(new_member(number, key=person(number)) for number in range(MAX_BATCH))
    batch = Enrol(plan="critical-illness", members=members)
    assert len(encode(transaction(batch))) < MAX_TRANSACTION_BYTES
    with pytest.raises(Malformed, match="split"):
        transaction(batch, batch, batch, batch)


def test_commitments_need_a_real_key_or_salt() -> None:
    assert person_commitment(bytes(16), "x") != person_commitment(b"\1" * 16, "x")
    assert commitment(bytes(32), b"x") != commitment(bytes(31) + b"\1", b"x")
    with pytest.raises(ValueError, match="16 bytes"):
        person_commitment(b"short", "x")
    with pytest.raises(ValueError, match="32 random bytes"):
        commitment(b"short", b"x")


# Admission.


def send(chain: Chain, sequence: int, *, sender: str = "b", valid_ms: int = 1_000) -> ResultCode:
    made = chain.transaction(sender, PAYMENT, sequence=sequence, valid_ms=valid_ms)
    admitted = chain.application.admit(chain.state, made, chain.now_ms + 1)
    before = dict(chain.state.records)
    code = ResultCode(chain.block(made).receipts[0].code)
    if is_inadmissible(code):
        assert admitted is code
        assert chain.state.records == before
    else:
        assert admitted is ResultCode.OK
    return code


def test_each_sequence_is_used_once_in_any_order_even_if_the_action_is_refused() -> None:
    chain = Chain()
    for sequence in (1, 5, 3, 2, 4):
        assert send(chain, sequence) is ResultCode.UNKNOWN_CLAIM
    for sequence in (1, 2, 3, 4, 5):
        assert send(chain, sequence) is ResultCode.SEQUENCE_USED
    assert chain.application.next_sequence(chain.state, key_of("account b")) == 6


def test_a_sequence_may_lead_by_1024_and_trail_by_1023() -> None:
    chain = Chain()
    assert send(chain, WINDOW + 1) is ResultCode.SEQUENCE_TOO_HIGH
    assert send(chain, WINDOW) is ResultCode.UNKNOWN_CLAIM
    assert send(chain, 1) is ResultCode.UNKNOWN_CLAIM
    assert send(chain, WINDOW + 1) is ResultCode.UNKNOWN_CLAIM
    assert send(chain, 1) is ResultCode.SEQUENCE_TOO_OLD
    assert send(chain, 2) is ResultCode.UNKNOWN_CLAIM
    record = load_sender(chain.state, key_of("account b"))
    assert record is not None
    assert len(record.window) <= 128


def test_the_same_transaction_twice_in_a_block_is_carried_out_once() -> None:
    chain = Chain()
    made = chain.transaction("b", PAYMENT)
    codes = [receipt.code for receipt in chain.block(made, made).receipts]
    assert codes == [ResultCode.UNKNOWN_CLAIM, ResultCode.SEQUENCE_USED]


def test_validity_is_bounded_on_both_sides_by_block_time() -> None:
    chain = Chain(make_genesis(max_validity_ms=DAY_MS))
    assert send(chain, 1, valid_ms=1) is ResultCode.EXPIRED
    assert send(chain, 1, valid_ms=2) is ResultCode.UNKNOWN_CLAIM
    assert send(chain, 2, valid_ms=DAY_MS + 2) is ResultCode.VALID_TOO_LONG
    assert send(chain, 2, valid_ms=DAY_MS + 1) is ResultCode.UNKNOWN_CLAIM


def test_strangers_and_other_chains_are_not_admitted() -> None:
    chain = Chain()
    assert send(chain, 1, sender="nobody") is ResultCode.UNKNOWN_SENDER
    foreign = build_transaction(person(9), key_of("account b"), 1, chain.now_ms + 100, [PAYMENT], unsigned)
    assert chain.application.admit(chain.state, foreign, chain.now_ms) is ResultCode.WRONG_GENESIS
    assert chain.application.next_sequence(chain.state, person(3)) == 1
    assert chain.state.get(keys.sender(person(3))) is None
