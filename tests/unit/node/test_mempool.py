"""The pool: bounded, in order, fair between senders, and it never forgets silently."""

from __future__ import annotations

from random import Random

import pytest

from node.claims.results import ResultCode
from node.mempool import EARLY_MAX, TRANSACTION_OVERHEAD_BYTES
from tests.unit.node.pools import KEYS, Pool, raw, transaction


def test_transactions_wait_in_order_of_arrival() -> None:
    pool = Pool()
    assert pool.add(raw(0, 3), raw(1, 1), raw(0, 2)) == ["pending"] * 3
    assert pool.waiting() == [3, 1, 2]
    assert [p.raw for p in pool.mempool.candidates((), 1, 10, 10**6)] == [raw(0, 3), raw(1, 1), raw(0, 2)]


def test_duplicates_cost_nothing_and_change_nothing() -> None:
    pool = Pool()
    pool.add(raw(), raw())
    assert pool.add(raw()) == ["pending"]
    assert len(pool.mempool) == 1
    assert pool.verifier.checked == 1
    pool.commit(transaction())
    assert pool.add(raw()) == ["committed"]
    assert pool.verifier.checked == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ResultCode.MALFORMED),
        (b"\xc1", ResultCode.MALFORMED),
        (b"\x00" * 300_000, ResultCode.MALFORMED),
        (raw()[:-1], ResultCode.MALFORMED),
        (raw() + b"\x00", ResultCode.MALFORMED),
        (raw()[:-1] + bytes([raw()[-1] ^ 1]), ResultCode.BAD_SIGNATURE),
        (raw(4), ResultCode.UNKNOWN_SENDER),
        (raw(valid_until_ms=5), ResultCode.EXPIRED),
        (raw(sequence=2_000), ResultCode.SEQUENCE_TOO_HIGH),
    ],
)
def test_what_no_block_may_hold_is_rejected_with_its_code(data: bytes, code: ResultCode) -> None:
    pool = Pool()
    (answer,), added = pool.mempool.add([data], 10, 0)
    assert (answer.status, answer.code, added) == ("rejected", int(code), [])
    assert answer.detail
    assert len(pool.mempool) == pool.mempool.size_bytes == 0


def test_strangers_cost_no_signature_check() -> None:
    pool = Pool()
    pool.add(raw(4), raw(valid_until_ms=0), raw(sequence=5_000))
    assert pool.verifier.checked == 0


def test_second_transaction_with_the_same_sequence_is_rejected() -> None:
    pool = Pool()
    assert pool.add(raw(person=1), raw(person=2)) == ["pending", "rejected"]


def test_rival_of_a_committed_transaction_leaves_with_its_fate() -> None:
    pool = Pool()
    mine, theirs = transaction(person=1), transaction(person=2)
    pool.add(raw(person=1))
    assert pool.commit(theirs) == 0
    assert len(pool.mempool) == 0
    departure = pool.mempool.departure(mine.id)
    assert departure is not None and (departure.state, departure.code) == ("rejected", int(ResultCode.SEQUENCE_USED))


def test_full_pool_refuses_and_says_when_to_come_back() -> None:
    pool = Pool(max_transactions=3, sender_share_bps=10_000)
    assert pool.add(*(raw(sender) for sender in range(4))) == ["pending"] * 3 + ["refused"]
    (answer,), _ = pool.mempool.add([raw(3)], 0, 0)
    assert answer.retry_after == 1 and "full" in answer.detail
    assert pool.verifier.checked == 3
    pool.commit(transaction(0))
    assert pool.add(raw(3)) == ["pending"]


def broken(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_a_bad_signature_makes_way_for_what_comes_behind_it() -> None:
    """Same content, same place in the sender's sequence, last room: as if they had come one by one."""
    pool = Pool(max_transactions=2, sender_share_bps=10_000)
    forged = broken(raw(0))
    assert pool.add(forged, raw(0), broken(raw(1, 1, person=1)), raw(1, 1, person=2), raw(2)) == [
        "rejected",
        "pending",
        "rejected",
        "pending",
        "refused",
    ]
    assert pool.waiting() == [1, 1]


def test_a_batch_is_taken_in_as_one_by_one() -> None:
    draw = Random(1)
    for _ in range(40):
        items = [raw(draw.randrange(5), draw.randrange(1, 4), person=draw.randrange(2)) for _ in range(24)]
        items = [broken(item) if draw.randrange(3) == 0 else item for item in items]
        items += [raw(0, 2_000), raw(1, 3_000), b"junk"]
        draw.shuffle(items)
        from_peer = draw.random() < 0.5
        together, alone = (Pool(max_transactions=7, sender_share_bps=4_000) for _ in range(2))
        answers, added = together.mempool.add(items, 0, 0, from_peer=from_peer)
        singly = [alone.mempool.add([item], 0, 0, from_peer=from_peer) for item in items]
        assert answers == [answer for (answer,), _ in singly]
        assert [item.raw for item in added] == [item.raw for _, new in singly for item in new]
        assert together.mempool.refused == alone.mempool.refused
        assert together.mempool._early == alone.mempool._early


def test_bytes_bound_the_pool_too() -> None:
    cost = len(raw()) + TRANSACTION_OVERHEAD_BYTES
    pool = Pool(max_bytes=2 * cost, sender_share_bps=10_000)
    assert pool.add(raw(0), raw(1), raw(2)) == ["pending", "pending", "refused"]
    assert pool.mempool.size_bytes <= 2 * cost


def test_one_sender_keeps_within_its_share_and_leaves_room_for_others() -> None:
    pool = Pool(max_transactions=10, sender_share_bps=4_000)
    assert pool.add(*(raw(0, sequence) for sequence in range(1, 7))) == ["pending"] * 4 + ["refused"] * 2
    assert pool.add(*(raw(1, sequence) for sequence in range(1, 5))) == ["pending"] * 4
    assert pool.mempool.share_used_bps(KEYS[0].public) == 10_000
    assert pool.mempool.fullness_bps() == 8_000
    pool.commit(transaction(0, 1))
    assert pool.add(raw(0, 5)) == ["pending"]


def test_accounts_return_to_nothing() -> None:
    pool = Pool()
    items = [transaction(sender, sequence) for sender in range(3) for sequence in range(1, 40)]
    pool.add(*(raw(sender, sequence) for sender in range(3) for sequence in range(1, 40)))
    assert pool.mempool.is_taken(KEYS[1].public, 39) and not pool.mempool.is_taken(KEYS[1].public, 40)
    pool.commit(*items)
    assert len(pool.mempool) == pool.mempool.size_bytes == 0
    assert not pool.mempool._used and not pool.mempool._slots
    assert not pool.mempool.is_taken(KEYS[1].public, 39)


def test_expired_transactions_leave_by_chain_time() -> None:
    pool = Pool()
    gone: list[bytes] = []
    pool.mempool.on_departed = gone.append
    pool.add(raw(0, 1, 100), raw(0, 2, 200), raw(0, 3, 300))
    assert [p.transaction.sequence for p in pool.mempool.candidates((), 100, 10, 10**6)] == [2, 3]
    assert pool.mempool.expire(200) == 2
    assert pool.waiting() == [3]
    assert gone == [transaction(0, 1, 100).id, transaction(0, 2, 200).id]
    departure = pool.mempool.departure(gone[0])
    assert departure is not None and departure.state == "expired"
    assert pool.mempool.expire(299) == 0


def test_expiry_heap_stays_in_proportion() -> None:
    pool = Pool()
    for sequence in range(1, 3_000):
        pool.add(raw(0, sequence))
        pool.commit(transaction(0, sequence))
    assert len(pool.mempool._expiry) < 1_100


def test_candidates_leave_out_what_is_in_flight_and_keep_to_limits() -> None:
    pool = Pool()
    pool.add(*(raw(0, sequence) for sequence in range(1, 11)))
    flying = {transaction(0, 1).id, transaction(0, 2).id}
    chosen = pool.mempool.candidates(flying, 1, 3, 10**6)
    assert [p.transaction.sequence for p in chosen] == [3, 4, 5]
    size = len(raw())
    assert len(pool.mempool.candidates((), 1, 100, 2 * size)) == 2
    assert len(pool.mempool.candidates((), 1, 100, 1)) == 1, "a single one always fits"


def test_commit_answers_the_latest_arrival() -> None:
    pool = Pool()
    pool.add(raw(0, 1), raw(0, 2), raw(0, 3))
    assert pool.commit(transaction(0, 2)) == 2
    assert pool.commit(transaction(1, 9)) == 0


def test_what_comes_early_from_a_peer_is_put_aside_until_its_sender_moves_on() -> None:
    pool = Pool()
    assert pool.add(raw(0, 1_025), from_peer=True) == ["rejected"]
    assert pool.mempool.has_early
    pool.commit(transaction(0, 1))
    assert pool.mempool.retry_early([KEYS[0].public], 1, 0) == 1
    assert pool.waiting() == [1_025]
    assert not pool.mempool.has_early
    pool.add(*(raw(1, 2_000 + number) for number in range(EARLY_MAX + 5)), from_peer=True)
    assert pool.mempool._early_count == EARLY_MAX


def test_bytes_are_found_by_id_and_those_put_aside_apart() -> None:
    pool = Pool()
    here, early, unknown = transaction(0, 1), transaction(1, 1_025), transaction(2, 1)
    pool.add(raw(0, 1), raw(1, 1_025), from_peer=True)
    assert pool.mempool.raws([unknown.id, here.id, early.id]) == [None, raw(0, 1), None]
    assert list(pool.mempool.early()) == [(early.id, raw(1, 1_025))]
    pool.commit(transaction(1, 1))
    pool.mempool.retry_early([KEYS[1].public], 1, 0)
    assert list(pool.mempool.early()) == []
    assert pool.mempool.raws([early.id]) == [raw(1, 1_025)]


def test_admissible_drops_what_the_ledger_ruled_out_but_not_what_may_still_come() -> None:
    pool = Pool()
    pool.add(raw(0, 1), raw(1, 1))
    first, second = pool.mempool.oldest(2)
    pool.ledger.used[first.sender] = 5
    pool.ledger.used[second.sender] = -2_000
    assert not pool.mempool.admissible(first, 1)
    assert not pool.mempool.admissible(second, 1)
    assert first.id not in pool.mempool and second.id in pool.mempool


def test_fates_are_remembered_in_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.mempool.FATES_REMEMBERED", 5)
    pool = Pool()
    ids = []
    for sequence in range(1, 10):
        pool.add(raw(0, sequence))
        ids.append(transaction(0, sequence).id)
        pool.mempool.reject(ids[-1], None, "for the test")
    assert [pool.mempool.departure(id) is not None for id in ids] == [False] * 4 + [True] * 5
