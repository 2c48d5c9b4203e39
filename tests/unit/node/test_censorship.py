"""When a node suspects the primary of leaving a transaction out, and when it must not."""

from __future__ import annotations

from node.censorship import CensorshipWatch
from tests.unit.node.pools import Pool, raw, transaction

TIMEOUT_MS = 1_000


class Watched:
    """A pool with a victim (sender 0) that waits from time 0, and a watch on it."""

    def __init__(self, **limits: int) -> None:
        self.pool = Pool(**limits)
        self.watch = CensorshipWatch(self.pool.mempool, TIMEOUT_MS)
        self.pool.add(raw(0, 1), steady_ms=0)
        self.sequence = 0

    def overtake(self, now_ms: int) -> None:
        """Another sender's transaction arrives and is committed at once."""
        self.sequence += 1
        self.pool.add(raw(1, self.sequence), steady_ms=now_ms)
        self.watch.committed(self.pool.commit(transaction(1, self.sequence)), 1, now_ms)

    def forward(self, now_ms: int, overtaken: int = 2) -> int:
        """Forward what is stuck; the primary then commits `overtaken` others, twice the length of the line."""
        forwarded = len(self.watch.stuck((), now_ms))
        for _ in range(overtaken if forwarded else 0):
            self.overtake(now_ms)
        return forwarded

    def suspicion(self, now_ms: int, in_flight: frozenset[bytes] = frozenset()) -> str | None:
        return self.watch.suspicion(in_flight, lambda: 1, now_ms)


def test_transaction_overtaken_for_a_whole_timeout_is_a_reason_once_per_view() -> None:
    watched = Watched()
    watched.overtake(100)
    assert watched.forward(600) == 1
    assert watched.suspicion(1_050) is None, "overtaken at 100: the timeout ends at 1100"
    reason = watched.suspicion(1_150)
    assert reason is not None and transaction(0, 1).id.hex()[:16] in reason
    assert watched.suspicion(5_000) is None
    watched.watch.view_entered(1, 5_000)
    assert watched.suspicion(5_900) is None, "a new primary gets a whole timeout"
    watched.overtake(5_100)
    assert watched.forward(5_600) == 1
    assert watched.suspicion(6_200) is not None


def test_waiting_alone_is_no_reason() -> None:
    watched = Watched()
    watched.forward(600, overtaken=0)
    assert watched.suspicion(60_000) is None


def test_transaction_that_was_not_forwarded_yet_is_no_reason() -> None:
    watched = Watched()
    watched.overtake(100)
    assert watched.suspicion(5_000) is None
    watched.forward(5_000)
    assert watched.suspicion(5_400) is None, "the primary has it for less than half a timeout"
    assert watched.suspicion(5_600) is not None


def test_waiting_in_a_long_line_is_no_reason_until_the_line_has_passed_twice() -> None:
    """Under load the line is longer than a timeout, and no two nodes have the same one."""
    watched = Watched()
    watched.pool.add(*(raw(2, sequence) for sequence in range(1, 50)), steady_ms=300)
    assert watched.forward(600, overtaken=0) == 1
    for turn in range(1, 100):
        watched.overtake(600 + turn)
    assert watched.suspicion(60_000) is None, "99 transactions of a line of 50"
    watched.overtake(60_000)
    assert watched.suspicion(60_001) is not None


def test_transaction_in_flight_is_no_reason() -> None:
    watched = Watched()
    watched.overtake(100)
    watched.forward(600)
    flying = frozenset({transaction(0, 1).id})
    assert watched.suspicion(2_000, flying) is None
    assert watched.suspicion(2_000) is not None


def test_crowded_pool_or_flooding_sender_is_no_reason() -> None:
    crowded = Watched(max_transactions=8)
    crowded.overtake(100)
    crowded.forward(600)
    crowded.pool.add(*(raw(sender, 50) for sender in (1, 2, 3)), raw(2, 51))
    assert crowded.suspicion(2_000) is None
    flooding = Watched(max_transactions=100, sender_share_bps=500)
    flooding.overtake(100)
    flooding.forward(600)
    flooding.pool.add(raw(0, 2), raw(0, 3))
    assert flooding.suspicion(2_000) is None


def test_transaction_the_ledger_ruled_out_is_no_reason_and_leaves() -> None:
    watched = Watched()
    watched.overtake(100)
    watched.forward(600)
    watched.pool.ledger.used[transaction(0, 1).sender] = 9
    assert watched.suspicion(2_000) is None
    assert len(watched.pool.mempool) == 0


def test_stuck_transactions_are_forwarded_once_per_view() -> None:
    watched = Watched()
    assert watched.forward(400) == 0
    assert watched.forward(500) == 1
    assert watched.forward(700) == 0
    watched.watch.view_entered(1, 800)
    assert watched.forward(800) == 1
    assert watched.watch.stuck({transaction(0, 1).id}, 800) == []


def test_a_replica_between_views_tells_everybody_again_after_each_timeout() -> None:
    """Nobody else may be in the view it waits for, and their primary may never have heard of it."""
    watched = Watched()
    assert watched.watch.unheard(400) == [], "gossip gets half a timeout"
    assert len(watched.watch.unheard(1_000)) == 1
    assert watched.watch.unheard(1_900) == []
    assert len(watched.watch.unheard(2_000)) == 1
    watched.overtake(2_100)
    assert watched.suspicion(9_000) is None, "no primary was given it"
