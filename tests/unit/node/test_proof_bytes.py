"""Every changed byte of every kind of proof document is refused, at every position.

The verifier is asked what its user would ask: for an absence the key, else nothing. Each position is changed in three
ways: its lowest bit, the bit that makes capitals of letters, and one that differs from place to place and from run to
run. A statement is long, so only the last of these is for it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator

import pytest

from node.claims import keys
from node.proofs import (
    BadProof,
    ProofBundle,
    RecordProof,
    encode_bundle,
    parse_bundle,
    prove_record,
    prove_transaction,
    to_json,
    verify_bundle,
)
from tests.unit.node.ledgers import ACCOUNT_KEYS, Ledger, ledger_genesis, transfer
from tests.unit.node.test_statement_proofs import Story

GENESIS = ledger_genesis()
SENDER = keys.sender(ACCOUNT_KEYS[0].public)
Case = tuple[ProofBundle, bytes | None]
"""A bundle that holds, and the key that is asked for."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Blocks of one, seven and eight transactions."""
    ledger = Ledger(tmp_path_factory.mktemp("proofs"))
    ledger.step(transfer(1, 1))
    ledger.step(*(transfer(2, sequence) for sequence in range(1, 9)))
    ledger.step(*(transfer(0, sequence) for sequence in range(1, 8)))
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def statement(tmp_path_factory: pytest.TempPathFactory) -> ProofBundle:
    story = Story(tmp_path_factory.mktemp("statement"))
    bundle = story.prove(1)
    story.ledger.close()
    return bundle


def of_transaction(ledger: Ledger, account: int, sequence: int) -> Case:
    bundle = prove_transaction(ledger.executor, ledger.blocks, transfer(account, sequence).id)
    assert bundle is not None
    return bundle, None


def of_absence(ledger: Ledger, *, on_page: bool) -> Case:
    """Of the first sender's key whose place is a page with other records, or is empty."""
    for number in range(10_000):
        key = keys.sender(number.to_bytes(32, "big"))
        bundle = prove_record(ledger.state, ledger.blocks, key)
        assert isinstance(bundle.fact, RecordProof) and bundle.fact.value is None
        if bool(bundle.fact.proof.page) == on_page:
            return bundle, key
    raise AssertionError("no such key")


def cases(ledger: Ledger) -> dict[str, Case]:
    return {
        "alone in its block": of_transaction(ledger, 1, 1),
        "first of seven": of_transaction(ledger, 0, 1),
        "last of seven": of_transaction(ledger, 0, 7),
        "last of eight": of_transaction(ledger, 2, 8),
        "record": (prove_record(ledger.state, ledger.blocks, SENDER), None),
        "absence on a page": of_absence(ledger, on_page=True),
        "absence in an empty place": of_absence(ledger, on_page=False),
    }


SHORT = (
    "alone in its block",
    "first of seven",
    "last of seven",
    "last of eight",
    "record",
    "absence on a page",
    "absence in an empty place",
)


def holds(document: bytes, key: bytes | None) -> bool:
    try:
        verify_bundle(parse_bundle(document), GENESIS, key=key)
    except BadProof:
        return False
    return True


def changes(document: bytes, positions: Iterable[int], *bits: int) -> Iterator[tuple[int, bytes]]:
    """(position, document with that byte changed): by each of `bits`, and by some other."""
    for at in positions:
        for flip in {*bits, random.randrange(1, 256)}:
            yield at, document[:at] + bytes([document[at] ^ flip]) + document[at + 1 :]


@pytest.mark.parametrize("kind", SHORT)
def test_no_changed_byte_is_accepted(ledger: Ledger, kind: str) -> None:
    bundle, key = cases(ledger)[kind]
    data = encode_bundle(bundle)
    assert holds(data, key)
    assert [
        (at, changed[at]) for at, changed in changes(data, range(len(data)), 0x01, 0x20) if holds(changed, key)
    ] == []


@pytest.mark.parametrize("part", range(4))
def test_no_changed_byte_of_a_statement_is_accepted(statement: ProofBundle, part: int) -> None:
    data = encode_bundle(statement)
    assert holds(data, None)
    positions = range(part, len(data), 4)
    assert [(at, changed[at]) for at, changed in changes(data, positions) if holds(changed, None)] == []


@pytest.mark.parametrize("kind", SHORT)
def test_nothing_can_be_cut_off_or_added(ledger: Ledger, kind: str) -> None:
    bundle, key = cases(ledger)[kind]
    data = encode_bundle(bundle)
    assert not any(holds(data[:end], key) for end in range(len(data)))
    assert not any(holds(data + bytes([more]), key) for more in range(256))


def readable(bundle: ProofBundle) -> bytes:
    """As `weal ... --proof` writes it."""
    return json.dumps(to_json(bundle), indent=1).encode()


def changes_the_meaning(text: bytes, at: int, changed: bytes, bundle: ProofBundle) -> bool:
    """White space between the parts is not of the document: JSON reads the same with another."""
    return not chr(text[at]).isspace() or json.loads(changed) != to_json(bundle)


@pytest.mark.parametrize("kind", SHORT)
def test_no_changed_byte_of_the_readable_form_is_accepted(ledger: Ledger, kind: str) -> None:
    bundle, key = cases(ledger)[kind]
    text = readable(bundle)
    assert holds(text, key)
    for at, changed in changes(text, range(len(text)), 0x01, 0x20):
        assert not holds(changed, key) or not changes_the_meaning(text, at, changed, bundle), (at, changed[at])


def test_no_changed_byte_of_a_readable_statement_is_accepted(statement: ProofBundle) -> None:
    """At one place in eight, others in each run: it says in twice the length what the bytes say."""
    text = readable(statement)
    assert holds(text, None)
    for at, changed in changes(text, range(random.randrange(8), len(text), 8), 0x20):
        assert not holds(changed, None) or not changes_the_meaning(text, at, changed, statement), (at, changed[at])


@pytest.mark.parametrize("kind", ["last of seven", "record", "absence on a page"])
def test_no_changed_digit_of_an_answers_bundle_is_accepted(ledger: Ledger, kind: str) -> None:
    """What else is in the node's answer is its word, and no part of the proof."""
    bundle, key = cases(ledger)[kind]
    digits = encode_bundle(bundle).hex()
    proof = {"format": bundle.format, "bundle": digits}
    answer = json.dumps({"as_of": {}, "data": {"key": SENDER.hex()}, "proof": proof}).encode()
    assert holds(answer, key)
    first = answer.index(digits.encode())
    places = range(first, first + len(digits))
    assert [(at, changed[at]) for at, changed in changes(answer, places, 0x01, 0x20) if holds(changed, key)] == []
