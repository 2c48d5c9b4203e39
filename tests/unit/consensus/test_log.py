"""consensus/log.py: the votes of one view."""

from __future__ import annotations

from consensus.log import Log, Slot
from consensus.messages import Phase
from consensus.types import Height, View
from tests.unit.consensus.factories import Chain

CHAIN = Chain(4)
A = CHAIN.block("a")
B = CHAIN.block("b")


def slot_with(*replicas: int, block_of: dict[int, str] | None = None) -> Slot:
    """A slot in which the primary proposed a, it was accepted, and `replicas` prepared."""
    slot = Slot(View(0), Height(1))
    slot.add(CHAIN.vote(Phase.PRE_PREPARE, 0, A))
    slot.accepted = A.header
    for replica in replicas:
        slot.add(CHAIN.vote(Phase.PREPARE, replica, B if (block_of or {}).get(replica) == "b" else A))
    return slot


def test_a_quorum_with_the_primary_is_prepared() -> None:
    certificate = slot_with(1, 2).prepared_certificate(CHAIN.members)
    assert certificate is not None
    assert [replica for replica, _ in certificate.prepares] == [1, 2]
    assert certificate == CHAIN.prepared(A)


def test_one_prepare_is_not_enough() -> None:
    assert slot_with(1).prepared_certificate(CHAIN.members) is None


def test_prepares_for_another_block_do_not_count() -> None:
    """Trap 9."""
    assert slot_with(1, 2, block_of={2: "b"}).prepared_certificate(CHAIN.members) is None


def test_a_prepare_of_the_primary_does_not_count_again() -> None:
    """Its pre-prepare already counts as its prepare. Source: section 4.2."""
    slot = slot_with(1)
    slot.add(CHAIN.vote(Phase.PREPARE, 0, A))
    assert slot.prepared_certificate(CHAIN.members) is None


def test_nothing_is_prepared_before_the_block_was_executed() -> None:
    slot = slot_with(1, 2)
    slot.accepted = None
    assert slot.prepared_certificate(CHAIN.members) is None


def test_the_first_vote_counts_and_the_second_is_evidence() -> None:
    slot = slot_with(1)
    evidence = slot.add(CHAIN.vote(Phase.PREPARE, 1, B))
    assert evidence is not None
    assert evidence.first.digest < evidence.second.digest
    assert {evidence.first.digest, evidence.second.digest} == {A.digest, B.digest}
    assert slot.votes[Phase.PREPARE][CHAIN.vote(Phase.PREPARE, 1, A).replica].digest == A.digest


def test_the_same_vote_twice_is_nothing_new() -> None:
    slot = slot_with(1)
    vote = CHAIN.vote(Phase.PREPARE, 1, A)
    assert slot.has(vote)
    assert slot.add(vote) is None
    assert slot.prepared_certificate(CHAIN.members) is None


def test_commits_make_a_certificate_even_of_a_block_never_seen() -> None:
    slot = Slot(View(0), Height(1))
    for replica in (3, 1, 0):
        slot.add(CHAIN.vote(Phase.COMMIT, replica, B))
    assert slot.commit_certificate(CHAIN.members) == CHAIN.commit_certificate(B, (0, 1, 3))


def test_commits_for_different_blocks_make_none() -> None:
    slot = Slot(View(0), Height(1))
    for replica, block in ((0, A), (1, B), (2, A), (3, B)):
        slot.add(CHAIN.vote(Phase.COMMIT, replica, block))
    assert slot.commit_certificate(CHAIN.members) is None


def test_the_log_goes_upwards_and_forgets_what_is_final() -> None:
    log = Log(View(0))
    for height in (3, 1, 2):
        log.slot(Height(height))
    assert [slot.height for slot in log.above(Height(1))] == [2, 3]
    log.drop_through(Height(2))
    assert [slot.height for slot in log.above(Height(0))] == [3]
    assert log.get(Height(1)) is None
    assert len(log) == 1
