"""What must hold after every event, checked without the help of the code under test.

The checker sees every message that leaves an honest replica and does its own arithmetic. It assumes the worst
of faulty replicas: each may have signed anything. So it does not wait for a fork to be carried out; it
reports as soon as two certificates that exclude each other could exist:

- `final`: a block is final as soon as the honest commits for it and all faulty replicas are a quorum, and so
  is everything below it. A second block at such a height is a fork, even if nobody has committed it yet.
- `votes`: an honest replica votes once per phase, view and height, over its whole life.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from consensus.block import Block, Header
from consensus.messages import CommitCertificate, Domain, Evidence, Phase, Proposal, ViewChange, Vote
from consensus.quorum import MemberSet
from consensus.types import Digest, Verify

if TYPE_CHECKING:
    from consensus.messages import Message
    from consensus.replica import Replica

VERIFIED_MAX = 2_048


class Violation(AssertionError):
    """The protocol broke a promise."""


def quorum_of(n: int) -> tuple[int, int]:
    """(f, quorum) from the definition: the fewest votes of which any two sets share an honest replica."""
    f = max(faulty for faulty in range(n) if 3 * faulty < n)
    return f, min(votes for votes in range(1, n + 1) if 2 * votes - n > f)


class Checker:
    """Watches one cluster. Each method raises Violation."""

    def __init__(
        self, members: MemberSet, domain: Domain, verify: Verify, genesis: Header, faulty: frozenset[int]
    ) -> None:
        self._members = members
        self._domain = domain
        self._verify = verify
        self._faulty = faulty
        self.n = len(members.members)
        self.f, self.quorum = quorum_of(self.n)
        self.headers: dict[Digest, Header] = {genesis.digest: genesis}
        self.final: dict[int, Digest] = {0: genesis.digest}
        self.votes: dict[tuple[int, Phase, int, int], Digest] = {}
        self._lost_slots: set[tuple[int, Phase, int, int]] = set()
        self._asked: dict[int, int] = {}
        self._view_changes: dict[tuple[int, int], ViewChange] = {}
        self._tallies: dict[tuple[Phase, int, int, Digest], set[int]] = {}
        self._checked: set[tuple[int, Digest, CommitCertificate]] = set()

    def knows(self, header: Header) -> None:
        """Some block exists; it may be an invalid one."""
        self.headers.setdefault(header.digest, header)

    # What is said

    def sent(self, replica: int, message: Message, executed: Container[Digest]) -> None:
        """An honest replica said something. `executed`: the blocks it has ever found good."""
        if isinstance(message, Vote):
            self._vote(replica, message, executed)
        elif isinstance(message, Proposal):
            self._vote(replica, message.vote, executed)
        elif isinstance(message, ViewChange):
            self._view_change(replica, message)

    def _vote(self, replica: int, vote: Vote, executed: Container[Digest]) -> None:
        key = (replica, vote.phase, vote.view, vote.height)
        where = f"replica {replica}: {vote.phase.name} in view {vote.view} at height {vote.height}"
        if key in self._lost_slots:
            raise Violation(f"{where}, where it may have voted before its disk was wiped")
        earlier = self.votes.get(key)
        if earlier is not None:
            if earlier != vote.digest:
                raise Violation(f"{where} for two blocks: {earlier.hex()[:8]} and {vote.digest.hex()[:8]}")
            return
        if vote.view < self._asked.get(replica, 0):
            raise Violation(f"{where}, after it asked for view {self._asked[replica]}")
        # A new primary repeats what a quorum had prepared, executed by honest ones among them; it may do so later.
        if vote.phase is not Phase.PRE_PREPARE and vote.digest not in executed:
            raise Violation(f"{where} for {vote.digest.hex()[:8]}, which it never executed")
        self.votes[key] = vote.digest
        # The primary's pre-prepare is its prepare.
        phase = Phase.COMMIT if vote.phase is Phase.COMMIT else Phase.PREPARE
        tally = self._tallies.setdefault((phase, vote.view, vote.height, vote.digest), set())
        tally.add(replica)
        if phase is Phase.COMMIT:
            self._commit_is_backed(vote, where)
            if len(tally) + len(self._faulty) >= self.quorum:
                self._is_final(vote.digest)

    def _commit_is_backed(self, vote: Vote, where: str) -> None:
        said = self._tallies.get((Phase.PREPARE, vote.view, vote.height, vote.digest), set())
        # Its own prepare is in its journal, even if a crash kept it from being said.
        prepares = said | {vote.replica}
        if len(prepares) + len(self._faulty) < self.quorum:
            raise Violation(
                f"{where} without a prepared certificate: only {sorted(prepares)} and at most "
                f"{len(self._faulty)} faulty replicas prepared {vote.digest.hex()[:8]}"
            )

    def _is_final(self, digest: Digest) -> None:
        """A quorum may have committed this block; with it everything below is decided."""
        header: Header | None = self.headers.get(digest)
        while header is not None:
            known = self.final.setdefault(header.height, header.digest)
            if known != header.digest:
                raise Violation(
                    f"fork: certificates can exist for {known.hex()[:8]} and {header.digest.hex()[:8]} "
                    f"at height {header.height}"
                )
            below = self.headers.get(header.parent)
            if below is None or self.final.get(below.height) == below.digest:
                return
            header = below

    def _view_change(self, replica: int, message: ViewChange) -> None:
        key = (replica, message.view)
        earlier = self._view_changes.setdefault(key, message)
        if earlier != message:
            raise Violation(f"replica {replica}: two different view changes for view {message.view}")
        self._asked[replica] = max(self._asked.get(replica, 0), message.view)

    def wiped(self, replica: int) -> None:
        """Its disk is gone: it must never again speak in a slot it may have spoken in."""
        self._lost_slots.update(key for key in self.votes if key[0] == replica)
        self._view_changes = {key: change for key, change in self._view_changes.items() if key[0] != replica}

    # What is done

    def committed(self, replica: int, block: Block, certificate: CommitCertificate) -> None:
        """An honest replica committed a block."""
        height, digest = block.height, block.digest
        if certificate.digest != digest or certificate.height != height:
            raise Violation(f"replica {replica}: certificate of another block at height {height}")
        self._certificate(replica, certificate)
        self._is_final(digest)
        if self.final.get(height) != digest:
            raise Violation(f"replica {replica} committed {digest.hex()[:8]} at height {height}, which is not final")

    def _certificate(self, replica: int, certificate: CommitCertificate) -> None:
        key = (certificate.height, certificate.digest, certificate)
        if key in self._checked:
            return
        where = f"replica {replica}: commit certificate at height {certificate.height}"
        signers = [signer for signer, _ in certificate.signatures]
        if len(set(signers)) != len(signers) or not all(0 <= signer < self.n for signer in signers):
            raise Violation(f"{where} names a signer twice, or a stranger")
        if len(signers) < self.quorum:
            raise Violation(f"{where} has {len(signers)} signatures of {self.quorum}")
        for signer, signature in certificate.signatures:
            message = self._domain.vote(Phase.COMMIT, certificate.view, certificate.height, certificate.digest, signer)
            if not self._verify(self._members.members[signer].key, signature, message):
                raise Violation(f"{where}: signature of replica {signer} does not verify")
        self._checked.add(key)

    def accused(self, replica: int, culprit: int, reason: str) -> None:
        if culprit not in self._faulty:
            raise Violation(f"replica {replica} accuses honest replica {culprit}: {reason}")

    def evidence(self, replica: int, evidence: Evidence) -> None:
        first, second = evidence.first, evidence.second
        self.accused(replica, first.replica, "equivocation")
        for vote in (first, second):
            message = self._domain.vote(vote.phase, vote.view, vote.height, vote.digest, vote.replica)
            if not self._verify(self._members.members[vote.replica].key, vote.signature, message):
                raise Violation(f"replica {replica}: evidence with a bad signature")

    # What is kept

    def buffers(self, replica: Replica) -> None:
        """Every container of the core against an explicit limit."""
        window = replica.config.window
        slots, views, journal, blocks = replica.slots, replica.views, replica.journal, replica.blocks
        for queue in slots._future.values():
            if len(queue) > 6 * window:
                raise Violation(f"replica {replica.id}: {len(queue)} messages waiting for later views")
        sizes = (
            ("slots", len(slots.log), 2 * window),
            ("blocks", len(blocks), 8 * window + 2),
            ("durable blocks in flight", len(blocks._durable), 8 * window + 2),
            ("certificates", len(slots.certificates), 2 * window),
            ("peers with waiting votes", len(slots._future), self.n - 1),
            ("peers seen ahead", len(slots._future._ahead), self.n - 1),
            ("status questions", len(slots._asked_status), self.n),
            ("remembered signatures", len(replica._verified), VERIFIED_MAX),
            ("pieces of evidence", len(replica.peers._evidence), self.n),
            ("new views shown", len(replica.peers._told_new_view), self.n),
            ("view changes", len(views._changes), self.n),
            ("chosen headers", len(views._chosen), 2 * window),
            ("blocks fetched", len(views._fetching), 2 * window),
            ("prepared certificates", len(journal.locks), 2 * window),
            ("own votes", len(journal.votes), 6 * window),
        )
        for what, size, limit in sizes:
            if size > limit:
                raise Violation(f"replica {replica.id}: {size} {what}, the limit is {limit}")
