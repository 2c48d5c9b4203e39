"""The slots of one view above the last committed block, and the votes in them.

A tally is keyed by phase and digest and counts each replica once: the first vote of a replica in a phase
is the one that counts, a later one for another digest is evidence against it (traps 8 and 9).
"""

from __future__ import annotations

from collections.abc import Iterator

from consensus.block import Header
from consensus.messages import CommitCertificate, Evidence, Phase, PreparedCertificate, Vote
from consensus.quorum import MemberSet
from consensus.types import Digest, Height, ReplicaId, View


class Slot:
    """One height in one view."""

    __slots__ = ("accepted", "executing", "height", "pre_prepare", "prepared", "rejected", "requested", "view", "votes")

    def __init__(self, view: View, height: Height) -> None:
        self.view = view
        self.height = height
        self.pre_prepare: Vote | None = None
        self.votes: dict[Phase, dict[ReplicaId, Vote]] = {phase: {} for phase in Phase}
        self.executing: Digest | None = None
        self.accepted: Header | None = None
        """The proposed header, once its block was executed on its accepted parent."""
        self.rejected: str | None = None
        self.requested = False
        """Was the missing block asked for since the last repetition?"""
        self.prepared: PreparedCertificate | None = None

    def add(self, vote: Vote) -> Evidence | None:
        """Count a verified vote. Returns evidence if its replica already voted for another block here."""
        votes = self.votes[vote.phase]
        earlier = votes.get(vote.replica)
        if earlier is None:
            votes[vote.replica] = vote
            if vote.phase is Phase.PRE_PREPARE:
                self.pre_prepare = vote
            return None
        if earlier.digest == vote.digest:
            return None
        first, second = sorted((earlier, vote), key=lambda v: v.digest)
        return Evidence(first=first, second=second)

    def has(self, vote: Vote) -> bool:
        """Was this vote counted already, with the same digest?"""
        earlier = self.votes[vote.phase].get(vote.replica)
        return earlier is not None and earlier.digest == vote.digest

    def supporters(self, phase: Phase, digest: Digest) -> list[Vote]:
        """Votes for one digest in one phase, sorted by replica."""
        votes = self.votes[phase]
        return [votes[replica] for replica in sorted(votes) if votes[replica].digest == digest]

    def prepared_certificate(self, members: MemberSet) -> PreparedCertificate | None:
        """Made once this replica accepted the block and a quorum, the primary among it, did so too."""
        if self.accepted is None or self.pre_prepare is None:
            return None
        primary = members.primary(self.view)
        prepares = [v for v in self.supporters(Phase.PREPARE, self.accepted.digest) if v.replica != primary]
        if len(prepares) < members.quorum - 1:
            return None
        return PreparedCertificate(
            view=self.view,
            header=self.accepted,
            pre_prepare=self.pre_prepare.signature,
            prepares=tuple((v.replica, v.signature) for v in prepares[: members.quorum - 1]),
        )

    def commit_certificate(self, members: MemberSet) -> CommitCertificate | None:
        """Made once a quorum sent commits for one digest, whether or not this replica accepted it."""
        commits = self.votes[Phase.COMMIT]
        if len(commits) < members.quorum:
            return None
        for replica in sorted(commits):
            digest = commits[replica].digest
            supporters = self.supporters(Phase.COMMIT, digest)
            if len(supporters) >= members.quorum:
                return CommitCertificate(
                    view=self.view,
                    height=self.height,
                    digest=digest,
                    signatures=tuple((v.replica, v.signature) for v in supporters),
                )
        return None


class Log:
    """The slots of one view. Heights at or below the committed tip are dropped, far ones never enter."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._slots: dict[Height, Slot] = {}

    def slot(self, height: Height) -> Slot:
        """The slot of a height, made if new. The caller has checked that it lies between the watermarks."""
        slot = self._slots.get(height)
        if slot is None:
            slot = self._slots[height] = Slot(self.view, height)
        return slot

    def get(self, height: Height) -> Slot | None:
        return self._slots.get(height)

    def above(self, height: Height) -> Iterator[Slot]:
        """Slots above `height` in height order."""
        for slot_height in sorted(self._slots):
            if slot_height > height:
                yield self._slots[slot_height]

    def last_accepted(self, tip: Header) -> Header:
        """The last of the accepted headers that follow `tip` without a hole; what the next proposal builds on."""
        header = tip
        for slot in self.above(tip.height):
            if slot.accepted is None or slot.height != header.height + 1:
                break
            header = slot.accepted
        return header

    def drop_through(self, height: Height) -> None:
        for slot_height in [h for h in self._slots if h <= height]:
            del self._slots[slot_height]

    def clear(self) -> None:
        self._slots.clear()

    def __len__(self) -> int:
        return len(self._slots)
