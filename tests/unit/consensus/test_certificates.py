"""consensus/certificates.py: what proves that a block is final, or prepared, or that somebody lied."""

from __future__ import annotations

import msgspec
import pytest

from consensus.certificates import (
    verify_commit_certificate,
    verify_evidence,
    verify_prepared_certificate,
    verify_vote,
)
from consensus.messages import CommitCertificate, Evidence, Phase, PreparedCertificate, Vote
from consensus.types import Digest, Height, ReplicaId, Signature, View
from tests.unit.consensus.factories import Chain

replace = msgspec.structs.replace
CHAIN = Chain(4)
BLOCK = CHAIN.block("a")
OTHER = CHAIN.block("b")


def commit_holds(certificate: CommitCertificate, chain: Chain = CHAIN) -> bool:
    return verify_commit_certificate(certificate, chain.members, chain.domain, chain.scheme.verify)


def prepared_holds(certificate: PreparedCertificate) -> bool:
    return verify_prepared_certificate(certificate, CHAIN.members, CHAIN.domain, CHAIN.scheme.verify)


def vote_holds(vote: Vote) -> bool:
    return verify_vote(vote, CHAIN.members, CHAIN.domain, CHAIN.scheme.verify)


def evidence_holds(evidence: Evidence) -> bool:
    return verify_evidence(evidence, CHAIN.members, CHAIN.domain, CHAIN.scheme.verify)


def test_a_quorum_of_commits_proves_a_block() -> None:
    assert commit_holds(CHAIN.commit_certificate(BLOCK))
    assert commit_holds(CHAIN.commit_certificate(BLOCK, (0, 1, 2, 3)))
    assert commit_holds(CHAIN.commit_certificate(BLOCK, (1, 2, 3), view=7))


def test_fewer_than_a_quorum_prove_nothing() -> None:
    assert not commit_holds(CHAIN.commit_certificate(BLOCK, (0, 1)))


def test_nobody_counts_twice() -> None:
    """Trap 8."""
    assert not commit_holds(CHAIN.commit_certificate(BLOCK, (0, 1, 1)))


def test_signers_are_sorted_so_that_a_certificate_has_one_form() -> None:
    assert not commit_holds(CHAIN.commit_certificate(BLOCK, (1, 0, 2)))


@pytest.mark.parametrize(
    "change",
    [
        {"view": View(1)},
        {"height": Height(2)},
        {"height": Height(0)},
        {"view": View(-1)},
        {"digest": OTHER.digest},
        {"signatures": ()},
    ],
    ids=str,
)
def test_a_changed_commit_certificate_fails(change: dict[str, object]) -> None:
    assert not commit_holds(replace(CHAIN.commit_certificate(BLOCK), **change))


def test_a_stranger_cannot_sign() -> None:
    certificate = CHAIN.commit_certificate(BLOCK)
    signatures = (*certificate.signatures[:2], (ReplicaId(9), certificate.signatures[2][1]))
    assert not commit_holds(replace(certificate, signatures=signatures))


def test_one_bad_signature_spoils_a_certificate() -> None:
    certificate = CHAIN.commit_certificate(BLOCK, (0, 1, 2, 3))
    signatures = (*certificate.signatures[:3], (ReplicaId(3), Signature(bytes(64))))
    assert not commit_holds(replace(certificate, signatures=signatures))


def test_a_certificate_of_another_chain_fails() -> None:
    assert not commit_holds(CHAIN.commit_certificate(BLOCK), Chain(5))


def test_six_replicas_need_four() -> None:
    chain = Chain(6)
    block = chain.block("a")
    assert not commit_holds(chain.commit_certificate(block, (0, 1, 2)), chain)
    assert commit_holds(chain.commit_certificate(block, (0, 1, 2, 3)), chain)


def test_the_primary_and_two_others_prepare_a_block() -> None:
    assert prepared_holds(CHAIN.prepared(BLOCK))
    assert prepared_holds(CHAIN.prepared(BLOCK, (0, 2), view=1))


def test_the_primary_does_not_count_twice_as_its_own_backup() -> None:
    assert not prepared_holds(CHAIN.prepared(BLOCK, (0, 1)))


@pytest.mark.parametrize("signers", [(1,), (1, 1), (2, 1), ()])
def test_too_few_or_unsorted_prepares_fail(signers: tuple[int, ...]) -> None:
    assert not prepared_holds(CHAIN.prepared(BLOCK, signers))


def test_prepares_for_another_block_fail() -> None:
    """Trap 9."""
    other = CHAIN.prepared(OTHER)
    assert not prepared_holds(replace(CHAIN.prepared(BLOCK), prepares=other.prepares))
    assert not prepared_holds(replace(CHAIN.prepared(BLOCK), pre_prepare=other.pre_prepare))
    assert not prepared_holds(replace(CHAIN.prepared(BLOCK), view=View(4)))


def test_a_vote_is_what_its_sender_signed() -> None:
    vote = CHAIN.vote(Phase.PREPARE, 2, BLOCK)
    assert vote_holds(vote)
    assert not vote_holds(replace(vote, replica=ReplicaId(1)))
    assert not vote_holds(replace(vote, phase=Phase.COMMIT))
    assert not vote_holds(replace(vote, height=Height(2)))
    assert not vote_holds(replace(vote, replica=ReplicaId(7)))


def test_only_the_primary_sends_pre_prepares() -> None:
    assert vote_holds(CHAIN.vote(Phase.PRE_PREPARE, 0, BLOCK))
    assert not vote_holds(CHAIN.vote(Phase.PRE_PREPARE, 1, BLOCK))
    assert vote_holds(CHAIN.vote(Phase.PRE_PREPARE, 1, BLOCK, view=1))


def test_a_signed_digest_of_the_wrong_size_fails() -> None:
    assert not vote_holds(CHAIN.raw_vote(Phase.PREPARE, 2, 0, 1, Digest(bytes(1000))))


def pair() -> tuple[Vote, Vote]:
    first, second = sorted(
        (CHAIN.vote(Phase.PREPARE, 2, BLOCK), CHAIN.vote(Phase.PREPARE, 2, OTHER)), key=lambda vote: vote.digest
    )
    return first, second


def test_two_votes_in_one_slot_are_evidence() -> None:
    first, second = pair()
    assert evidence_holds(Evidence(first=first, second=second))


def test_evidence_has_one_form_and_needs_one_slot() -> None:
    first, second = pair()
    assert not evidence_holds(Evidence(first=second, second=first))
    assert not evidence_holds(Evidence(first=first, second=first))
    elsewhere = CHAIN.raw_vote(Phase.PREPARE, 2, 1, 1, Digest(b"\xff" * 32))
    assert not evidence_holds(Evidence(first=first, second=elsewhere))
    somebody = CHAIN.raw_vote(Phase.PREPARE, 3, 0, 1, Digest(b"\xff" * 32))
    assert not evidence_holds(Evidence(first=first, second=somebody))
    assert not evidence_holds(Evidence(first=first, second=replace(second, signature=Signature(bytes(64)))))
