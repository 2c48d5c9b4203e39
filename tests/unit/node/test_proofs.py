"""Proof bundles: made by a node, checked with the genesis file alone, refused if anything is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from consensus.codec import encode
from node.claims import keys
from node.errors import Unavailable
from node.merkle import verify_state_proof
from node.proofs import (
    BadProof,
    KeyNeeded,
    OtherFact,
    ProofBundle,
    RecordProof,
    TransactionProof,
    decode_bundle,
    encode_bundle,
    from_json,
    parse_bundle,
    prove_record,
    prove_transaction,
    to_json,
    verify_bundle,
)
from tests.factories import make_genesis
from tests.unit.node.ledgers import ACCOUNT_KEYS, Ledger, certify, ledger_genesis, transfer

GENESIS = ledger_genesis()
SENDER = keys.sender(ACCOUNT_KEYS[0].public)
ABSENT = keys.sender(bytes(32))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path_factory.mktemp("proofs"))
    ledger.step(*(transfer(0, sequence) for sequence in range(1, 8)))
    ledger.step(transfer(2, 1), transfer(1, 1))
    yield ledger
    ledger.close()


def of_transaction(ledger: Ledger, account: int = 0, sequence: int = 4) -> ProofBundle:
    bundle = prove_transaction(ledger.executor, ledger.blocks, transfer(account, sequence).id)
    assert bundle is not None
    return bundle


def test_a_transaction_and_its_receipt_are_proved(ledger: Ledger) -> None:
    for account, sequence, code in ((0, 1, 0), (0, 4, 0), (0, 7, 0), (2, 1, 20), (1, 1, 0)):
        proven = verify_bundle(of_transaction(ledger, account, sequence), GENESIS)
        assert proven.transaction == transfer(account, sequence).transaction
        assert proven.receipt is not None and proven.receipt.code == code
        assert proven.key is None
    assert prove_transaction(ledger.executor, ledger.blocks, bytes(32)) is None


def test_a_record_and_an_absence_are_proved(ledger: Ledger) -> None:
    present, absent = (prove_record(ledger.state, ledger.blocks, key) for key in (SENDER, ABSENT))
    assert verify_bundle(present, GENESIS).value == ledger.state.record(SENDER) is not None
    proven = verify_bundle(absent, GENESIS, key=ABSENT)
    assert proven.key == ABSENT and proven.value is None
    assert proven.header == ledger.executor.tip


def test_nothing_is_proved_before_the_first_block(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(Unavailable, match="no block is final"):
        prove_record(ledger.state, ledger.blocks, SENDER)
    ledger.close()


def test_bytes_and_json_give_the_same_bundle_back(ledger: Ledger) -> None:
    for bundle in (
        of_transaction(ledger),
        prove_record(ledger.state, ledger.blocks, SENDER),
        prove_record(ledger.state, ledger.blocks, ABSENT),
    ):
        data = encode_bundle(bundle)
        text = json.dumps(to_json(bundle))
        answer = {"as_of": {}, "data": {"format": bundle.format, "bundle": data.hex()}}
        record = {"as_of": {}, "data": {"id": "C-000001"}, "proof": answer["data"]}
        assert decode_bundle(data) == bundle == from_json(json.loads(text))
        for form in (data, text.encode(), json.dumps(answer).encode(), json.dumps(record).encode()):
            assert parse_bundle(form) == bundle


def refused(bundle: ProofBundle, reason: str) -> None:
    with pytest.raises(BadProof, match=reason):
        verify_bundle(bundle, GENESIS)


def test_each_part_is_checked(ledger: Ledger) -> None:
    bundle = of_transaction(ledger)
    header, fact = bundle.header, bundle.fact
    assert isinstance(fact, TransactionProof)
    record = prove_record(ledger.state, ledger.blocks, SENDER)
    assert isinstance(record.fact, RecordProof)
    two = certify(header, signers=(0, 1))
    twice = msgspec.structs.replace(two, signatures=(*two.signatures, two.signatures[1]))
    stolen = msgspec.structs.replace(
        certify(header), signatures=tuple((replica, b"\1" * 64) for replica, _ in certify(header).signatures)
    )
    later = replace(header, time_ms=header.time_ms + 1)
    refused(replace(bundle, format="weal/proof/1"), "format")
    refused(replace(bundle, header=replace(header, genesis=bytes(32))), "chain")
    refused(replace(bundle, header=replace(header, members=bytes(32))), "member set")
    refused(replace(bundle, header=later), "certificate is for another block")
    refused(replace(bundle, certificate=two), "quorum")
    refused(replace(bundle, certificate=twice), "quorum")
    refused(replace(bundle, certificate=stolen), "quorum")
    refused(replace(bundle, certificate=replace(bundle.certificate, view=1)), "quorum")
    refused(replace(bundle, fact=replace(fact, index=4)), "transactions root")
    refused(replace(bundle, fact=replace(fact, transaction=transfer(0, 5).raw)), "transactions root")
    refused(replace(bundle, fact=replace(fact, receipt=fact.receipt[:-1] + b"\xff")), "receipts root")
    neighbour = of_transaction(ledger, 0, 5).fact
    assert isinstance(neighbour, TransactionProof)
    mixed = replace(fact, receipt=neighbour.receipt, receipt_path=neighbour.receipt_path)
    refused(replace(bundle, fact=mixed), "receipts root")
    refused(replace(record, fact=replace(record.fact, value=None)), "state root")
    refused(replace(record, fact=replace(record.fact, value=b"more")), "state root")
    refused(replace(record, fact=replace(record.fact, key=ABSENT)), "state root")
    refused(replace(record, header=bundle.header, certificate=bundle.certificate), "state root")


def test_a_bundle_of_another_chain_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BadProof, match="not of this one"):
        verify_bundle(of_transaction(ledger), make_genesis())


def test_a_header_with_another_count_is_another_block(ledger: Ledger) -> None:
    """Trees of several sizes share a path, so the header says which; it is signed."""
    bundle = of_transaction(ledger)
    for count in (6, 8):
        header = replace(bundle.header, transaction_count=count)
        refused(replace(bundle, header=header), "certificate is for another block")


def test_an_absence_is_shown_of_the_key_that_was_asked_only(ledger: Ledger) -> None:
    bundle = prove_record(ledger.state, ledger.blocks, ABSENT)
    assert isinstance(bundle.fact, RecordProof)
    with pytest.raises(KeyNeeded, match="give the key"):
        verify_bundle(bundle, GENESIS)
    beside = next(
        key
        for key in (keys.sender(number.to_bytes(32, "big")) for number in range(1, 1_000))
        if verify_state_proof(bundle.header.state_root, key, None, bundle.fact.proof)
    )
    other = replace(bundle, fact=replace(bundle.fact, key=beside))
    assert verify_bundle(other, GENESIS, key=beside).value is None
    for shown, asked in ((other, ABSENT), (bundle, beside)):
        with pytest.raises(OtherFact, match=f"{asked.hex()} was asked for"):
            verify_bundle(shown, GENESIS, key=asked)


def test_what_is_there_is_shown_of_the_key_that_was_asked_too(ledger: Ledger) -> None:
    present = prove_record(ledger.state, ledger.blocks, SENDER)
    assert verify_bundle(present, GENESIS, key=SENDER) == verify_bundle(present, GENESIS)
    for bundle in (present, of_transaction(ledger)):
        with pytest.raises(OtherFact):
            verify_bundle(bundle, GENESIS, key=ABSENT)


def test_a_bundle_of_another_format_is_named(ledger: Ledger) -> None:
    """As an older version wrote it: other fields, the format first."""
    older = b"\x94" + encode("weal/proof/1") + encode([[bytes(32)] * 9, [], []])
    text = json.dumps({**to_json(of_transaction(ledger)), "format": "weal/proof/1"}).encode()
    for data in (older, text):
        with pytest.raises(BadProof, match="format is 'weal/proof/1', this version reads 'weal/proof/2': ask a node"):
            parse_bundle(data)


@given(st.binary(max_size=400))
def test_hostile_bytes_are_refused_cleanly(data: bytes) -> None:
    for form in (data, b"{" + data):
        with pytest.raises(BadProof):
            parse_bundle(form)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150)
@given(data=st.data())
def test_hostile_json_is_refused_cleanly(ledger: Ledger, data: st.DataObject) -> None:
    """A valid document with one value, at any depth, replaced by anything or left out."""
    bundle = data.draw(st.sampled_from([of_transaction(ledger), prove_record(ledger.state, ledger.blocks, SENDER)]))
    document: Any = json.loads(json.dumps(to_json(bundle)))
    place, depth = document, data.draw(st.integers(0, 3))
    while True:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if depth == 0 or not isinstance(place[name], (dict, list)) or not place[name]:
            break
        place, depth = place[name], depth - 1
    before = place[name]
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[name]
    else:
        place[name] = data.draw(JSON.filter(lambda value: value != before))
    with pytest.raises(BadProof):
        verify_bundle(parse_bundle(json.dumps(document).encode()), GENESIS)


def test_too_large_a_bundle_is_not_even_decoded() -> None:
    with pytest.raises(BadProof, match="at most"):
        decode_bundle(b"\x94" + bytes(3 * 1024 * 1024))
    with pytest.raises(BadProof, match="at most"):
        parse_bundle(b'{"x": "' + b"0" * (6 * 1024 * 1024) + b'"}')


def test_a_proof_is_small(ledger: Ledger) -> None:
    assert len(encode(of_transaction(ledger))) < 2_000
    assert len(encode(prove_record(ledger.state, ledger.blocks, SENDER))) < 6_000
