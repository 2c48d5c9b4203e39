"""Clients are refused while more waits than blocks take in the target time; what blocks take is measured when busy."""

from __future__ import annotations

from node.backlog import LEAST, Backlog
from node.claims.results import ResultCode
from tests.unit.node.pools import Pool, raw


def feed(backlog: Backlog, per_s: int, ms: int, *, start_ms: int = 0, waiting: int = 10) -> int:
    """Blocks each 50 ms at that rate; answers when it ended."""
    for now_ms in range(start_ms, start_ms + ms + 1, 50):
        backlog.committed(per_s // 20, waiting, now_ms)
    return start_ms + ms


def test_the_limit_follows_what_busy_blocks_take() -> None:
    backlog = Backlog(500)
    now_ms = feed(backlog, 10_000, 6_000)
    assert 4_800 < (backlog.limit or 0) <= 5_000
    feed(backlog, 3_000, 8_000, start_ms=now_ms)
    assert 1_450 < (backlog.limit or 0) < 1_600


def test_light_load_says_nothing_about_what_blocks_could_take() -> None:
    backlog = Backlog(500)
    before = backlog.limit
    feed(backlog, 100, 60_000, waiting=0)
    assert backlog.limit == before


def test_a_slow_chain_still_takes_the_largest_request() -> None:
    backlog = Backlog(500)
    feed(backlog, 20, 60_000)
    assert backlog.limit == LEAST


def test_without_a_target_there_is_no_limit() -> None:
    backlog = Backlog(0)
    feed(backlog, 1_000, 5_000)
    assert backlog.limit is None


def test_clients_are_refused_at_the_limit_and_peers_are_not() -> None:
    pool = Pool(sender_share_bps=10_000)
    pool.mempool.client_limit = 2
    raws = [raw(0, sequence) for sequence in range(1, 5)]
    answers, added = pool.mempool.add(raws, 0, 0)
    assert [answer.status for answer in answers] == ["pending", "pending", "refused", "refused"]
    assert answers[2].retry_after == 1 and "send it again" in answers[2].detail and len(added) == 2
    assert [answer.status for answer in pool.mempool.add(raws, 0, 0)[0]] == ["pending", "pending", "refused", "refused"]
    pool.mempool.client_limit, pool.mempool.on_the_way = 4, lambda: 2
    assert pool.mempool.add(raws[2:3], 0, 0)[0][0].status == "refused", "what peers have told counts as well"
    told, _ = pool.mempool.add(raws[2:], 0, 0, from_peer=True)
    assert [answer.status for answer in told] == ["pending", "pending"]


def test_nobody_shuts_the_others_out() -> None:
    pool = Pool()
    pool.mempool.client_limit = 100
    flood = [raw(0, sequence) for sequence in range(1, 201)]
    taken = [answer.status for answer in pool.mempool.add(flood, 0, 0)[0]].count("pending")
    assert taken == 50, "alone it may have half; then its share is 40 of the 100"
    others = [raw(1, sequence) for sequence in range(1, 201)]
    assert [answer.status for answer in pool.mempool.add(others, 0, 0)[0]].count("pending") == 40
    pool.mempool.add([raw(2, sequence) for sequence in range(1, 11)], 0, 0)
    assert len(pool.mempool) == 100 and not pool.mempool.refuse_all(1)
    answers = pool.mempool.add([raw(3, 1), raw(3, 2)], 0, 0)[0]
    assert [answer.status for answer in answers] == ["pending", "refused"], "who has nothing here gets one in"
    pool.mempool.on_the_way = lambda: 24
    refused = pool.mempool.refused
    assert pool.mempool.refuse_all(7) and pool.mempool.refused == refused + 7


def test_what_is_refused_costs_no_signature_check() -> None:
    pool = Pool()
    pool.mempool.client_limit = 0
    checked = pool.verifier.checked
    answers, _ = pool.mempool.add([raw(0, sequence) for sequence in range(1, 9)], 0, 0)
    assert {answer.status for answer in answers} == {"refused"} and pool.verifier.checked == checked
    assert answers[0].code != ResultCode.BAD_SIGNATURE
