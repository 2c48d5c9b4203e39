"""The normal case: from a proposal to a final block. One slot orders one block.

Source: Castro & Liskov 1999, sections 4.2 and 4.3; docs/protocol.md, "A block is agreed".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consensus.block import Block, Header
from consensus.certificates import is_well_formed, verify_commit_certificate, verify_vote
from consensus.effects import Behind, Broadcast, Build, Commit, Execute, ProposalRejected, Send
from consensus.errors import InvariantBroken
from consensus.events import BlockBuilt, BlockExecuted
from consensus.log import Log, Slot
from consensus.messages import BlockRequest, CommitCertificate, Phase, Proposal, Vote
from consensus.types import Digest, Height, ReplicaId, View
from consensus.view_changer import MAX_VIEW_DISTANCE
from consensus.waiting import WaitingVotes

if TYPE_CHECKING:
    from consensus.replica import Replica


class NormalCase:
    """The slots of one replica, and every rule about what may be said in them."""

    def __init__(self, replica: Replica) -> None:
        self._r = replica
        # While a view is only asked for, its messages wait; votes of the one before may still complete a certificate.
        self.log = Log(replica.view if replica.active else View(replica.view - 1))
        self.certificates: dict[Height, CommitCertificate] = {}
        """Certificates of blocks not committed here yet, within the watermarks."""
        self._building: tuple[View, Height] | None = None
        self._is_work_new = False
        """Did work come while a block was being built? An empty block then does not mean that there is none."""
        self._requested: Digest | None = None
        """The certified block that was asked for since the last repetition."""
        self._future = WaitingVotes(replica.config.window)
        self._asked_status: dict[ReplicaId, View] = {}

    def on_vote(self, sender: ReplicaId, vote: Vote) -> None:
        r = self._r
        if vote.replica != sender:
            r.misbehaved(sender, "vote of somebody else")
            return
        if not is_well_formed(vote):
            r.misbehaved(sender, "vote of the wrong size")
            return
        if vote.view < self.log.view or not self._is_for_this_log(sender, vote):
            r.peers.tell_new_view(sender, vote.view)
            return
        if not self._between_watermarks(vote.height):
            self._future.saw_ahead(vote)
            return
        known = self.log.get(vote.height)
        if known is not None and known.has(vote):
            return
        if not verify_vote(vote, r.members, r.domain, r.verify):
            r.misbehaved(sender, "bad vote")
            return
        evidence = self.log.slot(vote.height).add(vote)
        if evidence is not None:
            r.peers.keep_evidence(evidence)

    def _is_for_this_log(self, sender: ReplicaId, vote: Vote) -> bool:
        """False for a view not entered yet: the vote waits for it, in a bounded queue."""
        r = self._r
        view = vote.view
        if view == self.log.view:
            return True
        if view < self.log.view or view > r.view + MAX_VIEW_DISTANCE:
            return False
        self._future.put(vote)
        if view > r.view and self._asked_status.get(sender, -1) < view:
            self._asked_status[sender] = view
            r.emit(Send(to=sender, message=r.peers.status()))
        return False

    def _between_watermarks(self, height: Height) -> bool:
        """Twice the window: a primary that is a full window ahead of this replica still finds it listening."""
        r = self._r
        return r.tip.height < height <= r.tip.height + 2 * r.config.window

    def on_proposal(self, sender: ReplicaId, proposal: Proposal) -> None:
        r = self._r
        vote, block = proposal.vote, proposal.block
        header = block.header
        if vote.phase is not Phase.PRE_PREPARE or vote.replica != sender or vote.digest != header.digest:
            r.misbehaved(sender, "proposal that does not fit its vote")
            return
        if sender != r.members.primary(vote.view):
            r.misbehaved(sender, "proposal from a backup")
            return
        if vote.view != self.log.view or not self._between_watermarks(vote.height):
            # Only the vote may wait. The block is not checked yet and may be large: it is fetched when needed.
            self.on_vote(sender, vote)
            return
        if header.height != vote.height:
            r.misbehaved(sender, "proposal that does not fit its vote")
            return
        if not block.is_whole:
            r.misbehaved(sender, "block that does not fit its header")
            return
        self.on_vote(sender, vote)
        slot = self.log.get(vote.height)
        if slot is not None and slot.pre_prepare is not None and slot.pre_prepare.digest == vote.digest:
            r.blocks.remember(block)

    def on_block(self, sender: ReplicaId, block: Block) -> None:
        """A block that was asked for. Unwanted ones are dropped, so nobody fills our memory with them."""
        r = self._r
        if block.digest not in self._wanted():
            return
        if not block.is_whole:
            r.misbehaved(sender, "block that does not fit its header")
            return
        r.blocks.remember(block)

    def _wanted(self) -> set[Digest]:
        """Digests of blocks this replica has a use for; what bounds the block cache."""
        r = self._r
        wanted = {header.digest for header in r.views.awaited()}
        wanted.update(certificate.digest for certificate in self.certificates.values())
        for slot in self.log.above(r.tip.height):
            if slot.pre_prepare is not None:
                wanted.add(slot.pre_prepare.digest)
        return wanted

    def on_certificate(self, sender: ReplicaId, certificate: CommitCertificate) -> None:
        r = self._r
        height = certificate.height
        if height <= r.tip.height:
            return
        if height not in self.certificates:
            if not verify_commit_certificate(certificate, r.members, r.domain, r.verify):
                r.misbehaved(sender, "bad commit certificate")
                return
            if self._between_watermarks(height):
                self.certificates[height] = certificate
        if height > r.tip.height + 1:
            r.emit(Behind(height=height))

    def on_synced(self, block: Block, certificate: CommitCertificate) -> None:
        r = self._r
        if block.height != r.tip.height + 1:
            return
        if certificate.digest != block.digest or certificate.height != block.height or not block.is_whole:
            return
        if verify_commit_certificate(certificate, r.members, r.domain, r.verify):
            self._commit(block, certificate)

    def work_changed(self, *, pending: bool) -> None:
        self._r.work_pending = self._is_work_new = pending

    def maybe_build(self) -> None:
        """Propose as soon as there is work and the window has room; no block timer."""
        r = self._r
        if not (r.work_pending and r.active and r.voting and r.primary == r.id):
            return
        parent = self.log.last_accepted(r.tip)
        height = Height(parent.height + 1)
        if self._building is not None or height > r.tip.height + r.config.window:
            return
        slot = self.log.get(height)
        if height <= r.views.last_chosen_height or (slot is not None and slot.pre_prepare is not None):
            return
        if (Phase.PRE_PREPARE, r.view, height) in r.journal.votes:
            return
        self._building = (r.view, height)
        self._is_work_new = False
        r.emit(Build(view=r.view, height=height, parent=parent))

    def on_built(self, event: BlockBuilt) -> None:
        r = self._r
        if self._building != (event.view, event.height):
            return
        self._building = None
        block = event.block
        if block is None:
            r.work_pending = self._is_work_new
            return
        parent = self.log.last_accepted(r.tip)
        if event.view != r.view or not r.active or block.header.parent != parent.digest:
            return
        slot = self.log.slot(block.height)
        vote = self.vote(slot, Phase.PRE_PREPARE, block.digest, block)
        if vote is not None:
            slot.accepted = block.header
            r.emit(Broadcast(message=Proposal(vote=vote, block=block)))

    def vote(self, slot: Slot, phase: Phase, digest: Digest, block: Block | None = None) -> Vote | None:
        """Make, keep and count this replica's vote, with the block it stands for; None if it may not vote.

        A vote made before a restart is used again as it was; a vote for another digest is never made.
        """
        r = self._r
        if not (r.voting and r.active):
            return None
        vote = r.journal.votes.get((phase, r.view, slot.height))
        if vote is None:
            message = r.domain.vote(phase, r.view, slot.height, digest, r.id)
            vote = Vote(
                phase=phase,
                view=r.view,
                height=slot.height,
                digest=digest,
                replica=r.id,
                signature=r.sign(message),
            )
            if block is not None:
                r.blocks.keep(block)
            r.journal.keep_vote(vote)
        elif vote.digest != digest:
            return None
        slot.add(vote)
        return vote

    def _accept_slots(self) -> None:
        """Execute proposals in height order, each on its accepted parent, and vote for those that hold."""
        r = self._r
        parent = r.tip
        for height in range(r.tip.height + 1, r.tip.height + 2 * r.config.window + 1):
            slot = self.log.get(Height(height))
            if slot is None or slot.rejected is not None or slot.pre_prepare is None:
                return
            if slot.accepted is None:
                self._consider(slot, parent)
            if slot.accepted is None:
                return
            if r.primary != r.id:
                self._prepare(slot)
            parent = slot.accepted

    def _consider(self, slot: Slot, parent: Header) -> None:
        """Check a proposal's header against its parent and have its block executed."""
        r = self._r
        if slot.pre_prepare is None or slot.executing is not None:
            return
        digest = slot.pre_prepare.digest
        block = r.blocks.get(digest)
        if block is None:
            self._request_block(slot)
            return
        fault = self._header_fault(block.header, parent)
        if fault is not None:
            self._reject(slot, fault)
            return
        slot.executing = digest
        r.blocks.remember(block)
        r.emit(Execute(block=block))

    def _reject(self, slot: Slot, fault: str) -> None:
        """No vote for this proposal; the timer decides about its primary. Perhaps the fault is our clock's."""
        slot.rejected = fault
        self._r.emit(ProposalRejected(view=slot.view, height=slot.height, reason=fault))

    def _header_fault(self, header: Header, parent: Header) -> str | None:
        """What is wrong with a proposed header, or None. A block proposed again is exempt from the clock."""
        r = self._r
        if header.genesis != r.domain.genesis or header.epoch != r.members.epoch:
            return "header of another chain or epoch"
        if header.members != r.members.digest or header.height != parent.height + 1:
            return "header with the wrong member set or height"
        if header.parent != parent.digest:
            return "header does not follow its parent"
        if header.time_ms <= parent.time_ms:
            return "block time does not grow"
        if header.height <= r.views.last_chosen_height:
            if header.digest != r.views.chosen_digest(header.height):
                return "not the block the new view has to propose again"
        elif self._has_voted_for(header):
            return None
        elif header.time_ms > r.now_ms + r.config.max_clock_ahead_ms:
            return f"block time {header.time_ms - r.now_ms} ms ahead of this clock"
        elif header.time_ms < r.now_ms - r.config.max_clock_behind_ms:
            return f"block time {r.now_ms - header.time_ms} ms behind this clock"
        return None

    def _has_voted_for(self, header: Header) -> bool:
        """Did this replica say yes to it in this view before it restarted? Then its time was judged then."""
        r = self._r
        phase = Phase.PRE_PREPARE if r.primary == r.id else Phase.PREPARE
        vote = r.journal.votes.get((phase, r.view, header.height))
        return vote is not None and vote.digest == header.digest

    def _request_block(self, slot: Slot) -> None:
        """Ask those who vouch for a block we have not seen: the primary, and f + 1 of those that prepared it."""
        r = self._r
        if slot.pre_prepare is None or slot.requested:
            return
        slot.requested = True
        digest = slot.pre_prepare.digest
        holders = [slot.pre_prepare.replica, *(v.replica for v in slot.supporters(Phase.PREPARE, digest))]
        for holder in [h for h in dict.fromkeys(holders) if h != r.id][: r.members.weak_quorum + 1]:
            r.emit(Send(to=holder, message=BlockRequest(digest=digest)))

    def on_executed(self, event: BlockExecuted) -> None:
        r = self._r
        for slot in self.log.above(r.tip.height):
            if slot.executing == event.digest and slot.accepted is None and slot.pre_prepare is not None:
                if event.fault is not None:
                    self._reject(slot, event.fault)
                    return
                block = r.blocks.get(event.digest)
                if block is not None:
                    slot.accepted = block.header
                return

    def _prepare(self, slot: Slot) -> None:
        """A backup accepts the primary's order. Source: section 4.2."""
        r = self._r
        if slot.accepted is None or r.id in slot.votes[Phase.PREPARE]:
            return
        digest = slot.accepted.digest
        vote = self.vote(slot, Phase.PREPARE, digest, r.blocks.get(digest))
        if vote is not None:
            r.emit(Broadcast(message=vote))

    def _commit_prefix(self) -> None:
        """Send commits upwards while every height above the tip is prepared in this view, without a hole."""
        r = self._r
        for height in range(r.tip.height + 1, r.tip.height + 2 * r.config.window + 1):
            slot = self.log.get(Height(height))
            if slot is None:
                return
            if slot.prepared is None:
                slot.prepared = slot.prepared_certificate(r.members)
            if r.id in slot.votes[Phase.COMMIT]:
                continue
            if not self._prefix_is_prepared(slot.height) or slot.prepared is None or not r.voting:
                return
            if (Phase.COMMIT, r.view, slot.height) not in r.journal.votes:
                r.journal.keep_lock(slot.prepared)
            vote = self.vote(slot, Phase.COMMIT, slot.prepared.header.digest)
            if vote is not None:
                r.emit(Broadcast(message=vote))

    def _prefix_is_prepared(self, height: Height) -> bool:
        """Prepared certificates of this view, linked by parent, from the tip up to `height` (traps 43, 44)."""
        r = self._r
        parent = r.tip.digest
        for below in range(r.tip.height + 1, height + 1):
            slot = self.log.get(Height(below))
            if slot is None or slot.prepared is None or slot.prepared.header.parent != parent:
                return False
            parent = slot.prepared.header.digest
        return True

    def _finish_next(self) -> bool:
        """Commit the next height if its certificate and block are here. Heights come in order."""
        r = self._r
        height = Height(r.tip.height + 1)
        certificate = self.certificates.get(height)
        if certificate is None:
            slot = self.log.get(height)
            certificate = None if slot is None else slot.commit_certificate(r.members)
            if certificate is None:
                return False
            self.certificates[height] = certificate
        block = r.blocks.get(certificate.digest)
        if block is None:
            self._request_certified(certificate)
            return False
        self._commit(block, certificate)
        return True

    def _request_certified(self, certificate: CommitCertificate) -> None:
        """Ask f + 1 of those who committed a block for it, once: one of them is honest and keeps it."""
        r = self._r
        if self._requested == certificate.digest:
            return
        self._requested = certificate.digest
        signers = [replica for replica, _ in certificate.signatures if replica != r.id]
        for replica in signers[: r.members.weak_quorum]:
            r.emit(Send(to=replica, message=BlockRequest(digest=certificate.digest)))

    def _commit(self, block: Block, certificate: CommitCertificate) -> None:
        r = self._r
        header = block.header
        if header.parent != r.tip.digest or header.height != r.tip.height + 1:
            raise InvariantBroken(f"certified block {header.digest.hex()} does not follow the tip: the chain forked")
        slot = self.log.get(header.height)
        is_other = slot is not None and slot.accepted is not None and slot.accepted.digest != header.digest
        r.blocks.keep(block)
        r.emit(Commit(block=block, certificate=certificate))
        r.tip, r.certificate, r.failed_views = header, certificate, 0
        if is_other:
            # What this view built above the block it accepted here hangs in the air; own votes stay in the journal.
            self.log.clear()
        else:
            self.log.drop_through(header.height)
        r.journal.forget_through(header.height)
        self.certificates = {h: c for h, c in self.certificates.items() if h > header.height}
        r.blocks.drop_through(header.height)
        r.restart_progress_timer()
        r.views.committed(certificate)

    def enter_log(self, view: View) -> None:
        """Start the slots of a view; messages that came for it before are taken in now."""
        r = self._r
        self.log = Log(view)
        self._building = None
        self._future.forget_heights()
        wanted = {header.digest for header in r.views.awaited()}
        wanted.update(lock.header.digest for lock in r.journal.locks.values())
        wanted.update(certificate.digest for certificate in self.certificates.values())
        r.blocks.retain(wanted)

    def replay_future(self) -> None:
        for vote in self._future.take(self.log.view):
            self.on_vote(vote.replica, vote)

    def advance(self) -> None:
        """Take every step the slots allow: accept, prepare, commit, finish. Then propose more."""
        r = self._r
        while True:
            if r.active:
                self._accept_slots()
                self._commit_prefix()
            if not self._finish_next():
                break
        self.maybe_build()

    @property
    def is_open(self) -> bool:
        """Is something proposed above the tip, or has it to be proposed again? Votes of fewer than f + 1 others
        do not count: one faulty backup must not keep the timers of an idle cluster running."""
        r = self._r
        if r.views.has_chosen_open:
            return True
        weak_quorum = r.members.weak_quorum
        for slot in self.log.above(r.tip.height):
            if slot.pre_prepare is not None or max(map(len, slot.votes.values())) >= weak_quorum:
                return True
        return False

    @property
    def is_behind(self) -> bool:
        """Do f + 1 others vote further up than this replica can follow? Then a connection lost messages."""
        r = self._r
        return self._future.ahead_of(r.tip.height) >= r.members.weak_quorum

    def ask_again(self) -> None:
        """Have blocks that did not come asked for once more, in this step."""
        self._requested = None
        for slot in self.log.above(self._r.tip.height):
            slot.requested = False
