"""Checking certificates: pure, needs only the member set. Used by replicas, by sync and by auditors offline."""

from __future__ import annotations

from collections.abc import Sequence

from consensus.messages import CommitCertificate, Domain, Evidence, Phase, PreparedCertificate, Vote
from consensus.quorum import MemberSet
from consensus.types import DIGEST_BYTES, SIGNATURE_BYTES, PublicKey, ReplicaId, Signature, Verify


def _are_distinct_members(signatures: Sequence[tuple[ReplicaId, Signature]], members: MemberSet) -> bool:
    """Sorted strictly upwards (so nobody is counted twice) and all in the member set."""
    previous = -1
    for replica, _ in signatures:
        if replica <= previous or not members.holds(replica):
            return False
        previous = replica
    return True


def is_well_formed(vote: Vote) -> bool:
    """Are its bytes no longer than an honest vote's? Checked before anything keeps one: a signed vote for a
    "digest" of megabytes would be valid."""
    return len(vote.digest) == DIGEST_BYTES and len(vote.signature) <= SIGNATURE_BYTES


def vote_signature(vote: Vote, members: MemberSet, domain: Domain) -> tuple[PublicKey, Signature, bytes] | None:
    """(key, signature, message) of a vote; None if it is bad whatever its signature is worth."""
    if not members.holds(vote.replica) or vote.view < 0 or vote.height < 1 or not is_well_formed(vote):
        return None
    if vote.phase is Phase.PRE_PREPARE and vote.replica != members.primary(vote.view):
        return None
    message = domain.vote(vote.phase, vote.view, vote.height, vote.digest, vote.replica)
    return members.key(vote.replica), vote.signature, message


def verify_vote(vote: Vote, members: MemberSet, domain: Domain, verify: Verify) -> bool:
    """Is the vote signed by the member it names, and well formed?"""
    signed = vote_signature(vote, members, domain)
    return signed is not None and verify(*signed)


def commit_signatures(
    certificate: CommitCertificate, members: MemberSet, domain: Domain
) -> list[tuple[PublicKey, Signature, bytes]]:
    """(key, signature, message) of each of its votes. Empty if it proves nothing, whatever they are worth."""
    signatures = certificate.signatures
    if certificate.height < 1 or certificate.view < 0:
        return []
    if len(signatures) < members.quorum or not _are_distinct_members(signatures, members):
        return []
    view, height, digest = certificate.view, certificate.height, certificate.digest
    return [
        (members.key(replica), signature, domain.vote(Phase.COMMIT, view, height, digest, replica))
        for replica, signature in signatures
    ]


def verify_commit_certificate(
    certificate: CommitCertificate, members: MemberSet, domain: Domain, verify: Verify
) -> bool:
    """Is the block named by the certificate final?"""
    signed = commit_signatures(certificate, members, domain)
    return bool(signed) and all(verify(*item) for item in signed)


def verify_prepared_certificate(
    certificate: PreparedCertificate, members: MemberSet, domain: Domain, verify: Verify
) -> bool:
    """Did a quorum, the view's primary among it, accept this header in this view?"""
    view, header, prepares = certificate.view, certificate.header, certificate.prepares
    primary = members.primary(view)
    if view < 0 or header.height < 1 or header.genesis != domain.genesis:
        return False
    if len(prepares) < members.quorum - 1 or not _are_distinct_members(prepares, members):
        return False
    if any(replica == primary for replica, _ in prepares):
        return False
    height, digest = header.height, header.digest
    proposal = domain.vote(Phase.PRE_PREPARE, view, height, digest, primary)
    if not verify(members.key(primary), certificate.pre_prepare, proposal):
        return False
    return all(
        verify(members.key(replica), signature, domain.vote(Phase.PREPARE, view, height, digest, replica))
        for replica, signature in prepares
    )


def verify_evidence(evidence: Evidence, members: MemberSet, domain: Domain, verify: Verify) -> bool:
    """Do the two votes prove that one replica voted for two blocks in one slot?"""
    first, second = evidence.first, evidence.second
    same_slot = (first.phase, first.view, first.height, first.replica) == (
        second.phase,
        second.view,
        second.height,
        second.replica,
    )
    # Ordered by digest, so that one pair has one form.
    if not same_slot or not first.digest < second.digest:
        return False
    return verify_vote(first, members, domain, verify) and verify_vote(second, members, domain, verify)
