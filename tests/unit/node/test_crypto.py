"""The acceptance rule for signatures, pinned by public vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consensus.types import PublicKey, Signature
from node.crypto import SigningKey, VoteVerifier, verify, verify_many

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ed25519"
SPECCHECK: list[dict[str, str]] = json.loads((FIXTURES / "speccheck.json").read_text())
WYCHEPROOF: list[dict[str, Any]] = json.loads((FIXTURES / "wycheproof.json").read_text())

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def test_speccheck_only_the_mixed_order_case_is_accepted() -> None:
    """Case 3 (mixed-order A and R, equation holds without the cofactor) is libsodium's mark."""
    accepted = [
        index
        for index, case in enumerate(SPECCHECK)
        if verify(*(bytes.fromhex(case[name]) for name in ("pub_key", "signature", "message")))
    ]
    assert accepted == [3]


@pytest.mark.parametrize("case", WYCHEPROOF, ids=lambda case: str(case["tcId"]))
def test_wycheproof_vector_gives_the_published_result(case: dict[str, Any]) -> None:
    key, signature, message = (bytes.fromhex(case[name]) for name in ("pk", "sig", "msg"))
    assert verify(key, signature, message) is (case["result"] == "valid"), case["comment"]


def test_signature_verifies_and_any_flipped_byte_does_not() -> None:
    key = SigningKey(bytes(range(32)))
    signature = key.sign(b"message")
    assert verify(key.public, signature, b"message")
    for index in range(64):
        flipped = bytearray(signature)
        flipped[index] ^= 1
        assert not verify(key.public, bytes(flipped), b"message")
    assert not verify(key.public, signature, b"messagf")


def test_malleable_signature_is_refused() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"x")
    raised = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    assert not verify(key.public, signature[:32] + raised.to_bytes(32, "little"), b"x")


@pytest.mark.parametrize("lengths", [(0, 64), (31, 64), (33, 64), (32, 0), (32, 63), (32, 65)])
def test_wrong_lengths_are_invalid_not_an_error(lengths: tuple[int, int]) -> None:
    assert verify(bytes(lengths[0]), bytes(lengths[1]), b"message") is False


def test_signing_is_deterministic_and_repr_hides_the_secret() -> None:
    key = SigningKey(bytes(range(32)))
    assert key.sign(b"a") == SigningKey(key.seed).sign(b"a")
    assert key.seed.hex() not in repr(key)
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(b"short")


def test_batch_says_which_signature_is_bad() -> None:
    key = SigningKey.generate()
    keys, signatures = [key.public, key.public, key.public, b""], [key.sign(b"1")] * 3 + [b""]
    assert verify_many(keys, signatures, [b"1", b"2", b"1", b""]) == [True, False, True, False]


def test_prepared_votes_are_checked_together_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    key, verifier = SigningKey.generate(), VoteVerifier()
    items = [(key.public, key.sign(b"%d" % number), b"%d" % number) for number in range(5)]
    bad = (key.public, key.sign(b"other"), b"text")
    verifier.prepare([*items, bad, *items])
    assert len(verifier._valid) == 5
    assert not verifier(*bad)
    monkeypatch.setattr("node.crypto.verify", lambda *item: pytest.fail("checked a second time"))
    assert all(verifier(*item) for item in items)


def test_vote_verifier_remembers_valid_signatures_up_to_its_capacity() -> None:
    key = SigningKey.generate()
    verifier = VoteVerifier(capacity=2)
    for text in (b"1", b"2", b"3"):
        assert verifier(key.public, key.sign(text), text)
    assert not verifier(key.public, key.sign(b"1"), b"other")
    assert not verifier(PublicKey(bytes(32)), Signature(bytes(64)), b"1")
    assert len(verifier._valid) == 2


def test_a_remembered_vote_is_not_found_under_another_division_of_its_bytes() -> None:
    """A hash of the three stands for them: the same bytes one after the other must not be the same vote."""
    key, verifier = SigningKey.generate(), VoteVerifier()
    signature = key.sign(b"text")
    assert verifier(key.public, signature, b"text")
    assert not verifier(PublicKey(key.public + signature[:1]), Signature(signature[1:]), b"text")
    assert not verifier(key.public, Signature(signature + b"t"), b"ext")
    assert not verifier(PublicKey(key.public[:-1]), Signature(key.public[-1:] + signature), b"text")
