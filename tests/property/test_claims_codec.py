"""Transactions and the replay window on random and hostile input."""

from __future__ import annotations

from contextlib import suppress

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from node.claims.builders import build_transaction
from node.claims.consortium import WINDOW, RecordEvidence, SenderRecord, sequence_problem, use_sequence
from node.claims.mutual_aid.actions import (
    MAX_BATCH,
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    NewMember,
    Review,
)
from node.claims.results import ResultCode
from node.claims.transaction import Transaction, decode_transaction, encode_transaction
from node.claims.wire import Malformed, decode_trusted, encode
from tests.factories import unsigned

BYTES32 = st.binary(min_size=32, max_size=32)
CLAUSES = st.sampled_from(["", "1", "4.2", "12.3.4.5"])
NUMBERS = st.integers(0, 2**53 - 1)
AMOUNTS = st.integers(0, 10**10)
PLANS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
ACTIONS = st.one_of(
    st.builds(RecordEvidence, evidence=st.binary(min_size=1, max_size=300)),
    st.builds(
        Enrol,
        plan=PLANS,
        members=st.lists(
            st.builds(
                NewMember,
                person=BYTES32,
                birth_month=st.integers(1850 * 12, 2400 * 12),
                key=st.just(b"") | BYTES32,
                payer=st.integers(-MAX_BATCH, 2**53 - 1),
            ),
            min_size=1,
            max_size=5,
        ).map(tuple),
    ),
    st.builds(
        FileClaim,
        plan=PLANS,
        member=NUMBERS,
        ailment=st.from_regex(r"[A-Z0-9]{1,8}", fullmatch=True),
        diagnosis_day=st.integers(0, 160_000),
        accident=st.booleans(),
        evidence=BYTES32,
        amount=AMOUNTS,
    ),
    st.builds(
        Investigate,
        claim=NUMBERS,
        finding=st.sampled_from(Finding),
        report=BYTES32,
        clause=CLAUSES,
        reason=st.integers(0, 255),
    ),
    st.builds(
        Review,
        claim=NUMBERS,
        decision=st.sampled_from(Decision),
        amount=AMOUNTS,
        clause=CLAUSES,
        evidence=st.just(b"") | BYTES32,
        reason=st.integers(0, 255),
    ),
    st.builds(ConfirmPayment, claim=NUMBERS, amount=AMOUNTS, receipt=BYTES32),
)
TRANSACTIONS = st.builds(
    lambda genesis, sender, sequence, until, actions: build_transaction(
        genesis, sender, sequence, until, actions, unsigned
    ),
    BYTES32,
    BYTES32,
    st.integers(1, 2**53 - 1),
    NUMBERS,
    st.lists(ACTIONS, min_size=1, max_size=4),
)


@given(TRANSACTIONS)
def test_a_transaction_survives_its_bytes_and_an_independent_packer_writes_the_same(made: Transaction) -> None:
    data = encode_transaction(made)
    again = decode_transaction(data)
    assert again == made
    assert (again.id, again.signed_bytes()) == (made.id, made.signed_bytes())
    assert msgpack.packb(msgpack.unpackb(data, strict_map_key=False)) == data


@settings(max_examples=300)
@given(TRANSACTIONS, st.data())
def test_damaged_bytes_are_refused_or_are_another_valid_transaction(made: Transaction, data: st.DataObject) -> None:
    raw = bytearray(encode_transaction(made))
    position = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw[position] ^= data.draw(st.integers(1, 255))
    else:
        del raw[position:]
    try:
        other = decode_transaction(bytes(raw))
    except Malformed:
        return
    assert encode_transaction(other) == bytes(raw)
    assert other.signed_bytes() == encode(
        ("weal/transaction/1", other.genesis, other.sender, other.sequence, other.valid_until_ms, other.actions)
    )


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    with suppress(Malformed):
        assert encode_transaction(decode_transaction(raw)) == raw


@given(
    st.lists(
        st.one_of(
            st.integers(1, 3_000), st.integers(-40, 40), st.sampled_from([WINDOW, WINDOW + 1, -WINDOW, 1 - WINDOW])
        ),
        max_size=120,
    )
)
def test_the_replay_window_equals_a_set_of_all_sequences_ever_used(steps: list[int]) -> None:
    """Steps are relative to the highest sequence so far."""
    record = SenderRecord(organisation=0, member=0, highest=0, window=b"")
    used: set[int] = set()
    for step in steps:
        sequence = record.highest + step
        code = sequence_problem(record, sequence)
        if sequence > record.highest + WINDOW:
            assert code is ResultCode.SEQUENCE_TOO_HIGH
        elif sequence < 1 or sequence <= record.highest - WINDOW:
            assert code is ResultCode.SEQUENCE_TOO_OLD
        elif sequence in used:
            assert code is ResultCode.SEQUENCE_USED
        else:
            assert code is ResultCode.OK
            used.add(sequence)
            record = decode_trusted(SenderRecord, encode(use_sequence(record, sequence)))
            assert record.highest == max(used)
            assert len(record.window) <= WINDOW // 8
