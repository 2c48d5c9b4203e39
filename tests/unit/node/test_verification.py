"""Each signature is checked once, and only good ones are remembered, within bounds."""

from __future__ import annotations

from collections.abc import Sequence

from node.ed25519.sodium import Sodium
from node.verification import TransactionVerifier, cost
from tests.unit.node.pools import raw, transaction


def test_good_transactions_are_decoded_and_checked_once() -> None:
    verifier = TransactionVerifier()
    first = verifier.resolve([raw(0), raw(1)])
    assert [item and item.id for item in first] == [transaction(0).id, transaction(1).id]
    again = verifier.resolve([raw(1), raw(0)])
    assert verifier.checked == 2
    assert again[0] is first[1]


def test_bad_ones_are_none_and_never_remembered() -> None:
    verifier = TransactionVerifier()
    good = raw(0)
    # Same content, same id, broken signature: it must not pass for the good one.
    forged = good[:-1] + bytes([good[-1] ^ 1])
    for _ in range(2):
        found = verifier.resolve([good, forged, b"junk", b""])
        assert [item is not None for item in found] == [True, False, False, False]
    assert verifier.checked == 3


def test_a_batch_is_one_call_and_repeats_in_it_count_once() -> None:
    calls: list[int] = []

    class Counting(Sodium):
        def verify_many(
            self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]
        ) -> list[bool]:
            calls.append(len(keys))
            return super().verify_many(keys, signatures, messages)

    verifier = TransactionVerifier(signatures=Counting())
    good, forged = raw(0), raw(1)[:-1] + bytes([raw(1)[-1] ^ 1])
    assert [item is not None for item in verifier.resolve([good, forged, b"", good, raw(2)])] == [1, 0, 0, 1, 1]
    assert calls == [3] and verifier.checked == 3
    verifier.resolve([good, raw(2)])
    assert verifier.check_many([]) == [] and calls == [3]


def test_memory_is_bounded_in_number_and_bytes() -> None:
    size = cost(raw(0))
    by_bytes = TransactionVerifier(remembered_bytes=3 * size)
    by_number = TransactionVerifier(remembered_max=2)
    for sequence in range(1, 10):
        for verifier in (by_bytes, by_number):
            verifier.resolve([raw(0, sequence)])
    assert len(by_bytes._good) == 3 and by_bytes._bytes == by_bytes._limit_bytes
    assert len(by_number._good) == 2
    assert by_bytes.resolve([raw(0, 9)])[0] is not None
    assert by_bytes.checked == 9


def test_what_is_final_is_forgotten_and_its_memory_with_it() -> None:
    verifier = TransactionVerifier()
    raws = [raw(0, sequence) for sequence in range(1, 4)]
    verifier.resolve(raws)
    verifier.forget([raws[0], raws[1], b"never seen"])
    assert verifier.checked == 3
    assert all(verifier.resolve(raws)) and verifier.checked == 5, "the third is still known"
    verifier.forget(raws)
    assert verifier._bytes == 0 and not verifier._good
