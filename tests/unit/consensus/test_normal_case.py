"""consensus/normal_case.py: from a proposal to a final block. Whole scenarios are in tests/golden/consensus."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from consensus.effects import (
    Broadcast,
    Build,
    CancelTimer,
    Commit,
    Execute,
    Misbehaviour,
    Persist,
    PersistBlock,
    ProposalRejected,
    ReportEvidence,
)
from consensus.events import (
    BlockBuilt,
    BlockExecuted,
    BlockSynced,
    Received,
    Started,
    Timer,
    WorkChanged,
)
from consensus.messages import (
    BlockReply,
    BlockRequest,
    Evidence,
    Notice,
    Phase,
)
from consensus.replica import Replica, ReplicaConfig
from consensus.types import Digest, Height, ReplicaId, Signature, View
from tests.unit.consensus.factories import NOW, Chain, feed, kinds, receive, said, votes

replace = msgspec.structs.replace
CHAIN = Chain(4)
A = CHAIN.block("a")
B = CHAIN.block("b", A.header)


def prepared_backup() -> Replica:
    """Replica 1 has accepted a."""
    backup = CHAIN.started(1)
    receive(backup, 0, CHAIN.proposal(A))
    return backup


# The normal case


def test_a_replica_that_has_not_met_its_peers_says_nothing() -> None:
    replica = CHAIN.replica(1)
    replica.handle(Started(), NOW)
    assert not replica.voting
    assert votes(receive(replica, 0, CHAIN.proposal(A)), Phase.PREPARE) == []


def test_a_backup_executes_before_it_prepares() -> None:
    backup = CHAIN.started(1)
    effects = backup.handle(Received(sender=ReplicaId(0), message=CHAIN.proposal(A)), NOW)
    assert [effect for effect in effects if isinstance(effect, Execute)] == [Execute(block=A)]
    assert votes(effects, Phase.PREPARE) == []
    effects = backup.handle(BlockExecuted(digest=A.digest, fault=None), NOW)
    assert votes(effects, Phase.PREPARE) == [CHAIN.vote(Phase.PREPARE, 1, A)]


def test_what_is_said_was_written_before() -> None:
    """Block first, then the vote, then the word (trap 1)."""
    backup = CHAIN.started(1)
    effects = [e for e in receive(backup, 0, CHAIN.proposal(A)) if isinstance(e, PersistBlock | Persist | Broadcast)]
    names = kinds(effects)
    assert names.index("PersistBlock") < names.index("Broadcast")
    assert names.index("Persist") < names.index("Broadcast")


def test_a_block_that_does_not_execute_gets_no_vote() -> None:
    backup = CHAIN.started(1)
    backup.handle(Received(sender=ReplicaId(0), message=CHAIN.proposal(A)), NOW)
    effects = backup.handle(BlockExecuted(digest=A.digest, fault="state root differs"), NOW)
    assert votes(effects, Phase.PREPARE) == []
    assert [effect.reason for effect in effects if isinstance(effect, ProposalRejected)] == ["state root differs"]


def test_a_commit_follows_a_quorum_of_prepares() -> None:
    backup = prepared_backup()
    effects = receive(backup, 2, CHAIN.vote(Phase.PREPARE, 2, A))
    assert votes(effects, Phase.COMMIT) == [CHAIN.vote(Phase.COMMIT, 1, A)]
    assert any(isinstance(effect, Persist) and effect.key[:1] == b"L" for effect in effects)


def test_prepare_from_the_primary_is_ignored() -> None:
    """Its pre-prepare already counts as its prepare. Source: section 4.2."""
    backup = prepared_backup()
    assert votes(receive(backup, 0, CHAIN.vote(Phase.PREPARE, 0, A)), Phase.COMMIT) == []


def test_a_quorum_of_commits_makes_a_block_final() -> None:
    backup = prepared_backup()
    receive(backup, 2, CHAIN.vote(Phase.PREPARE, 2, A))
    receive(backup, 2, CHAIN.vote(Phase.COMMIT, 2, A))
    effects = receive(backup, 0, CHAIN.vote(Phase.COMMIT, 0, A))
    assert [e.block.digest for e in effects if isinstance(e, Commit)] == [A.digest]
    assert backup.tip == A.header
    assert backup.certificate == CHAIN.commit_certificate(A)


def test_commits_alone_are_enough_once_the_block_is_there() -> None:
    backup = CHAIN.started(1)
    for sender in (0, 2, 3):
        effects = receive(backup, sender, CHAIN.vote(Phase.COMMIT, sender, A))
    assert BlockRequest(digest=A.digest) in said(effects)
    effects = receive(backup, 0, BlockReply(block=A))
    assert [e.block.digest for e in effects if isinstance(e, Commit)] == [A.digest]


def test_a_block_nobody_asked_for_is_dropped() -> None:
    backup = CHAIN.started(1)
    assert receive(backup, 0, BlockReply(block=A)) == []
    assert len(backup.blocks) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"time_ms": NOW + 11_000},
        {"time_ms": NOW - 11_000},
        {"time_ms": CHAIN.genesis.time_ms},
        {"parent": A.digest},
        {"epoch": 1},
        {"members": Digest(bytes(32))},
        {"genesis": Digest(bytes(32))},
    ],
    ids=lambda change: ",".join(change),
)
def test_a_header_that_does_not_fit_is_not_even_executed(change: dict[str, Any]) -> None:
    block = replace(A, header=replace(A.header, **change))
    backup = CHAIN.started(1)
    effects = receive(backup, 0, CHAIN.proposal(block))
    assert "Execute" not in kinds(effects)
    assert votes(effects, Phase.PREPARE) == []


def test_a_body_that_is_not_in_the_header_is_refused() -> None:
    """Trap 25."""
    backup = CHAIN.started(1)
    effects = receive(backup, 0, CHAIN.proposal(replace(A, transactions=(b"other",))))
    assert "Misbehaviour" in kinds(effects)
    assert "Execute" not in kinds(effects)


def test_a_second_proposal_is_evidence_and_changes_nothing() -> None:
    backup = prepared_backup()
    effects = receive(backup, 0, CHAIN.proposal(CHAIN.block("other")))
    evidence = [effect.evidence for effect in effects if isinstance(effect, ReportEvidence)]
    assert len(evidence) == 1
    assert evidence[0].first.replica == 0
    assert Broadcast(message=evidence[0]) in effects
    assert backup.evidence == evidence
    assert votes(effects, Phase.PREPARE) == []


def test_evidence_is_reported_once_for_each_replica() -> None:
    backup = prepared_backup()
    receive(backup, 0, CHAIN.proposal(CHAIN.block("other")))
    assert "ReportEvidence" not in kinds(receive(backup, 0, CHAIN.proposal(CHAIN.block("third"))))


def test_evidence_from_a_peer_is_checked() -> None:
    backup = CHAIN.started(1)
    first, second = sorted(
        (CHAIN.vote(Phase.PREPARE, 2, A), CHAIN.vote(Phase.PREPARE, 2, CHAIN.block("x"))), key=lambda vote: vote.digest
    )
    forged = Evidence(first=first, second=replace(second, signature=Signature(bytes(64))))
    assert kinds(receive(backup, 3, forged)) == ["Misbehaviour"]
    assert "ReportEvidence" in kinds(receive(backup, 3, Evidence(first=first, second=second)))


@pytest.mark.parametrize(
    "message",
    [
        CHAIN.vote(Phase.PREPARE, 3, A),
        replace(CHAIN.vote(Phase.PREPARE, 2, A), signature=Signature(bytes(64))),
        replace(CHAIN.vote(Phase.PREPARE, 2, A), digest=Digest(bytes(5000))),
        CHAIN.vote(Phase.PRE_PREPARE, 2, A),
        CHAIN.view_change(3, 1),
        CHAIN.view_change(2, 1, CHAIN.commit_certificate(A, (0, 1))),
        Notice(certificate=CHAIN.commit_certificate(A, (0, 1))),
        CHAIN.greeting(certificate=CHAIN.commit_certificate(A, (0, 1))),
        CHAIN.new_view(1, [CHAIN.view_change(0, 1)]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_no_honest_replica_says_is_counted_against_its_sender(message: Any) -> None:
    effects = receive(CHAIN.started(1), 2, message)
    assert [effect.sender for effect in effects if isinstance(effect, Misbehaviour)] == [2]


def test_a_stranger_is_not_listened_to() -> None:
    assert kinds(receive(CHAIN.started(1), 9, CHAIN.vote(Phase.PREPARE, 2, A))) == ["Misbehaviour"]


def test_votes_far_above_or_at_the_tip_leave_no_trace() -> None:
    replica = CHAIN.started(1)
    for height in (0, 9, 1 << 60):
        receive(replica, 2, CHAIN.raw_vote(Phase.PREPARE, 2, 0, height, A.digest))
    assert len(replica.slots.log) == 0


def test_votes_for_a_later_view_wait_and_are_bounded() -> None:
    """Trap 29."""
    replica = CHAIN.started(1)
    for number in range(200):
        receive(replica, 2, CHAIN.raw_vote(Phase.PREPARE, 2, 1, 1 + number % 8, Digest(number.to_bytes(32, "big"))))
    assert sum(len(queue) for queue in replica.slots._future.values()) <= 6 * 4
    receive(replica, 2, CHAIN.raw_vote(Phase.PREPARE, 2, 1 << 60, 1, A.digest))
    assert replica.view == 0


# Proposing


def test_the_primary_proposes_as_soon_as_there_is_work() -> None:
    primary = CHAIN.started(0)
    effects = feed(primary, WorkChanged(pending=True))
    assert Build(view=View(0), height=Height(1), parent=CHAIN.genesis) in effects
    effects = feed(primary, BlockBuilt(view=View(0), height=Height(1), block=A))
    assert Broadcast(message=CHAIN.proposal(A)) in effects
    assert Build(view=View(0), height=Height(2), parent=A.header) in effects


def test_the_window_bounds_what_is_in_flight() -> None:
    primary = CHAIN.started(0, config=ReplicaConfig(window=1))
    feed(primary, WorkChanged(pending=True))
    effects = feed(primary, BlockBuilt(view=View(0), height=Height(1), block=A))
    assert "Build" not in kinds(effects)


def test_no_work_no_block() -> None:
    primary = CHAIN.started(0)
    feed(primary, WorkChanged(pending=True))
    effects = feed(primary, BlockBuilt(view=View(0), height=Height(1), block=None))
    assert said(effects) == []
    assert not primary.work_pending
    assert CancelTimer(timer=Timer.PROGRESS) in effects


def test_a_backup_builds_nothing() -> None:
    assert "Build" not in kinds(feed(CHAIN.started(2), WorkChanged(pending=True)))


def test_a_block_built_too_late_is_dropped() -> None:
    primary = CHAIN.started(0)
    feed(primary, WorkChanged(pending=True))
    feed(primary, BlockSynced(block=CHAIN.block("z"), certificate=CHAIN.commit_certificate(CHAIN.block("z"))))
    assert "Broadcast" not in kinds(feed(primary, BlockBuilt(view=View(0), height=Height(1), block=A)))
