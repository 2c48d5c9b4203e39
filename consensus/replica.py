"""One replica: handle(event) -> effects. The normal case is here; views change in `view_changer.py`.

Source: Castro & Liskov 1999, with blocks as requests (docs/protocol.md). Every path runs through the same
three steps: take in what the event says, `_advance` as far as the slots allow, set the timers anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from consensus.block import Block, Header
from consensus.certificates import verify_commit_certificate, verify_evidence, verify_vote
from consensus.effects import (
    Behind,
    Broadcast,
    Build,
    CancelTimer,
    Commit,
    Effect,
    Execute,
    Misbehaviour,
    PersistBlock,
    ReportEvidence,
    Send,
    SetTimer,
    VotingChanged,
)
from consensus.errors import InvariantBroken
from consensus.events import (
    BlockBuilt,
    BlockExecuted,
    BlockSynced,
    Event,
    PeerConnected,
    PrimarySuspected,
    Received,
    Started,
    Timer,
    TimerFired,
    WorkChanged,
)
from consensus.journal import Journal
from consensus.log import Log, Slot
from consensus.messages import (
    BlockReply,
    BlockRequest,
    CommitCertificate,
    Domain,
    Evidence,
    Greeting,
    Message,
    NewView,
    Notice,
    Phase,
    Proposal,
    Status,
    ViewChange,
    Vote,
)
from consensus.probation import Probation
from consensus.quorum import MemberSet
from consensus.types import Digest, Height, PublicKey, ReplicaId, Sign, Signature, Verify, View
from consensus.view_changer import MAX_VIEW_DISTANCE, ViewChanger

BUFFERED_PER_WINDOW: Final = 6
"""Messages kept per peer for a view not entered yet, in windows: three phases, twice the heights."""
VERIFIED_MAX: Final = 8_192
"""Signatures remembered as valid: certificates and view changes repeat the votes they are made of."""


class ReplicaConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Timing and limits. Timers are real milliseconds; clock bounds are chain milliseconds."""

    window: int = 8
    """Blocks in flight above the last committed one; 1 is plain PBFT."""
    view_timeout_ms: int = 1_000
    """First timeout without progress; doubles with each view that fails."""
    view_timeout_max_ms: int = 30_000
    max_clock_ahead_ms: int = 10_000
    """A first proposal's time is at most this far ahead of this replica's clock, ..."""
    max_clock_behind_ms: int = 10_000
    """... and at most this far behind it."""
    rotate_blocks: int = 10_000
    """The primary changes each so many blocks: a slow one does not stay for ever, and a replica that
    listens gets the later view it waits for. 0: only when the primary fails."""


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot for operators."""

    view: View
    active: bool
    primary: ReplicaId
    height: Height
    voting: bool
    voting_reason: str
    open_slots: int
    failed_views: int


class Replica:
    """The state machine of one replica. Not thread-safe; `handle` is the only way in."""

    def __init__(
        self,
        *,
        config: ReplicaConfig,
        replica: ReplicaId,
        members: MemberSet,
        genesis: Header,
        tip: Header,
        certificate: CommitCertificate | None,
        journal: Mapping[bytes, bytes],
        blocks: Callable[[Digest], Block | None],
        sign: Sign,
        verify: Verify,
        override_listening: bool = False,
    ) -> None:
        """`genesis` is the header of height 0, whose digest is the parent of block 1; `tip` is the last
        committed header and `certificate` its proof (genesis and None at first); `journal` is what `Persist`
        kept and `Forget` did not delete; `blocks` finds what `PersistBlock` kept."""
        self.config = config
        self.id = replica
        self.members = members
        self.genesis = genesis
        self.domain = Domain(genesis=genesis.genesis, epoch=members.epoch, members=members.digest)
        self.tip = tip
        self.certificate = certificate
        self.sign = sign
        self.now_ms = 0
        self._verify = verify
        self._verified: dict[tuple[PublicKey, Signature, bytes], None] = {}
        self._stored_block = blocks
        self._effects: list[Effect] = []
        self.journal = Journal(journal, self.emit)
        self.journal.forget_through(tip.height)
        self.probation = Probation(self.journal, members, config.window, override=override_listening)
        self._was_voting = self.probation.voting
        # While a view is only asked for, its messages wait; votes of the one before may still complete a certificate.
        self.log = Log(self.view if self.active else View(self.view - 1))
        self.failed_views = 0
        self.work_pending = False
        self._building: tuple[View, Height] | None = None
        self._blocks: dict[Digest, Block] = {}
        self._certificates: dict[Height, CommitCertificate] = {}
        self._future: dict[ReplicaId, deque[Vote | Proposal]] = {}
        self._asked_status: dict[ReplicaId, View] = {}
        self._told_new_view: dict[ReplicaId, View] = {}
        self._evidence: dict[ReplicaId, Evidence] = {}
        self._kept: dict[Digest, Height] = {}
        """Blocks in flight that are durable already."""
        self._running: set[Timer] = set()
        self._is_progress_restarted = False
        self._repeated_tip = tip.height
        self.views = ViewChanger(self)

    # Reading

    @property
    def view(self) -> View:
        """The view entered, or asked for while `active` is False."""
        return self.journal.view.view

    @property
    def active(self) -> bool:
        return self.journal.view.active

    @property
    def primary(self) -> ReplicaId:
        return self.members.primary(self.view)

    @property
    def voting(self) -> bool:
        return self.probation.voting

    @property
    def evidence(self) -> list[Evidence]:
        """One proof of equivocation for each replica caught, sorted by replica."""
        return [self._evidence[replica] for replica in sorted(self._evidence)]

    def status(self) -> ReplicaStatus:
        return ReplicaStatus(
            view=self.view,
            active=self.active,
            primary=self.primary,
            height=self.tip.height,
            voting=self.voting,
            voting_reason=self.probation.reason,
            open_slots=len(self.log),
            failed_views=self.failed_views,
        )

    # The one way in

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event. `now_ms` is the chain time of this node's clock when the event happened."""
        self.now_ms = now_ms
        match event:
            case Received(sender=sender, message=message):
                self._on_message(sender, message)
            case BlockExecuted():
                self._on_executed(event)
            case BlockBuilt():
                self._on_built(event)
            case WorkChanged(pending=pending):
                self.work_pending = pending
            case BlockSynced(block=block, certificate=certificate):
                self._on_synced(block, certificate)
            case TimerFired(timer=timer):
                self._on_timer(timer)
            case PeerConnected(replica=peer):
                self._on_connected(peer)
            case PrimarySuspected(view=view, reason=reason):
                if view == self.view and self.active:
                    self.views.start(View(view + 1), reason)
            case Started():
                self.views.resume()
        self._advance()
        self._update_timers()
        effects, self._effects = self._effects, []
        return effects

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def verify(self, key: PublicKey, signature: Signature, message: bytes) -> bool:
        """As the injected check, but what was found valid is remembered: certificates repeat votes."""
        known = (key, signature, message)
        if known in self._verified:
            return True
        if not self._verify(key, signature, message):
            return False
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        self._verified[known] = None
        return True

    def misbehaved(self, sender: ReplicaId, reason: str) -> None:
        self.emit(Misbehaviour(sender=sender, reason=reason))

    # Messages

    def _on_message(self, sender: ReplicaId, message: Message) -> None:
        if sender == self.id or not self.members.holds(sender):
            self.misbehaved(sender, "not a peer")
            return
        match message:
            case Vote():
                self._on_vote(sender, message)
            case Proposal():
                self._on_proposal(sender, message)
            case ViewChange():
                self.views.on_view_change(sender, message)
            case NewView():
                self.views.on_new_view(sender, message)
            case BlockRequest(digest=digest):
                block = self.block(digest)
                if block is not None:
                    self.emit(Send(to=sender, message=BlockReply(block=block)))
            case BlockReply(block=block):
                self._on_block(sender, block)
            case Notice(certificate=certificate):
                self.on_certificate(sender, certificate)
            case Status():
                self._help(sender, message.view, message.height, is_active=message.active)
            case Greeting():
                self._on_greeting(sender, message)
            case Evidence():
                if verify_evidence(message, self.members, self.domain, self.verify):
                    self._keep_evidence(message)
                else:
                    self.misbehaved(sender, "evidence that proves nothing")

    def _on_vote(self, sender: ReplicaId, vote: Vote, *, is_verified: bool = False) -> None:
        if vote.replica != sender:
            self.misbehaved(sender, "vote of somebody else")
            return
        if vote.view < self.log.view or not self._is_for_this_log(sender, vote):
            self._tell_new_view(sender, vote.view)
            return
        if not self._between_watermarks(vote.height):
            return
        slot = self.log.slot(vote.height)
        if slot.has(vote):
            return
        if not is_verified and not verify_vote(vote, self.members, self.domain, self.verify):
            self.misbehaved(sender, "bad vote")
            return
        evidence = slot.add(vote)
        if evidence is not None:
            self._keep_evidence(evidence)

    def _is_for_this_log(self, sender: ReplicaId, item: Vote | Proposal) -> bool:
        """False for a view not entered yet: the message waits for it, in a bounded queue."""
        view = (item.vote if isinstance(item, Proposal) else item).view
        if view == self.log.view:
            return True
        if view < self.log.view or view > self.view + MAX_VIEW_DISTANCE:
            return False
        queue = self._future.setdefault(sender, deque(maxlen=BUFFERED_PER_WINDOW * self.config.window))
        if queue and _view_of(queue[-1]) < view:
            # Only the latest view is worth waiting for: an honest peer has left the ones before.
            queue.clear()
        if isinstance(item, Proposal) and sum(isinstance(i, Proposal) for i in queue) >= 2 * self.config.window:
            return False
        queue.append(item)
        if view > self.view and self._asked_status.get(sender, -1) < view:
            self._asked_status[sender] = view
            self.emit(Send(to=sender, message=self._status()))
        return False

    def _between_watermarks(self, height: Height) -> bool:
        """Twice the window: a primary that is a full window ahead of this replica still finds it listening."""
        return self.tip.height < height <= self.tip.height + 2 * self.config.window

    def _on_proposal(self, sender: ReplicaId, proposal: Proposal) -> None:
        vote, block = proposal.vote, proposal.block
        header = block.header
        if vote.phase is not Phase.PRE_PREPARE or vote.replica != sender or vote.digest != header.digest:
            self.misbehaved(sender, "proposal that does not fit its vote")
            return
        if vote.view > self.log.view and sender != self.members.primary(vote.view):
            self.misbehaved(sender, "proposal from a backup")
            return
        if not self._is_for_this_log(sender, proposal):
            self._tell_new_view(sender, vote.view)
            return
        if not self._between_watermarks(vote.height) or header.height != vote.height:
            return
        known = self.log.slot(vote.height).pre_prepare
        if known is None or known.digest == vote.digest:
            if not block.is_whole():
                self.misbehaved(sender, "block that does not fit its header")
                return
            self._on_vote(sender, vote)
            accepted = self.log.slot(vote.height).pre_prepare
            if accepted is not None and accepted.digest == vote.digest:
                self._blocks[vote.digest] = block
        else:
            self._on_vote(sender, vote)

    def _on_block(self, sender: ReplicaId, block: Block) -> None:
        """A block that was asked for. Unwanted ones are dropped, so nobody fills our memory with them."""
        if block.digest not in self._wanted():
            return
        if not block.is_whole():
            self.misbehaved(sender, "block that does not fit its header")
            return
        self._blocks[block.digest] = block

    def _wanted(self) -> set[Digest]:
        """Digests of blocks this replica has a use for; the bound of `_blocks`."""
        wanted = {header.digest for header in self.views.awaited()}
        wanted.update(certificate.digest for certificate in self._certificates.values())
        for slot in self.log.above(self.tip.height):
            if slot.pre_prepare is not None:
                wanted.add(slot.pre_prepare.digest)
        return wanted

    def block(self, digest: Digest) -> Block | None:
        """A block in flight or committed, from memory or from the store."""
        block = self._blocks.get(digest)
        if block is None:
            block = self._stored_block(digest)
            if block is not None:
                self._kept[digest] = block.height
        return block

    def _keep_block(self, block: Block) -> None:
        """Make a block durable, once: with the first vote for it, or when it is committed."""
        if block.digest not in self._kept:
            self._kept[block.digest] = block.height
            self.emit(PersistBlock(block=block))

    def on_certificate(self, sender: ReplicaId, certificate: CommitCertificate) -> None:
        height = certificate.height
        if height <= self.tip.height:
            return
        known = self._certificates.get(height)
        if known is None:
            if not verify_commit_certificate(certificate, self.members, self.domain, self.verify):
                self.misbehaved(sender, "bad commit certificate")
                return
            if self._between_watermarks(height):
                self._certificates[height] = certificate
        if height > self.tip.height + 1:
            self.emit(Behind(height=height))
        elif self.block(certificate.digest) is None:
            self.emit(Send(to=sender, message=BlockRequest(digest=certificate.digest)))

    def _on_synced(self, block: Block, certificate: CommitCertificate) -> None:
        if block.height != self.tip.height + 1:
            return
        if certificate.digest != block.digest or certificate.height != block.height or not block.is_whole():
            return
        if verify_commit_certificate(certificate, self.members, self.domain, self.verify):
            self._commit(block, certificate)

    # Peers that are behind, or that know more about us than we do

    def _status(self) -> Status:
        return Status(view=self.view, height=self.tip.height, active=self.active)

    def _help(self, peer: ReplicaId, view: View, height: Height, *, is_active: bool) -> None:
        """A peer said where it stands: give it the certificate or the new view that brings it here."""
        if height < self.tip.height and self.certificate is not None:
            self.emit(Send(to=peer, message=Notice(certificate=self.certificate)))
        if self.active and (view < self.view or (view == self.view and not is_active)):
            self.views.show_new_view(peer)

    def _tell_new_view(self, peer: ReplicaId, view: View) -> None:
        """A peer still votes in an old view: show it the new one, once."""
        if view < self.view and self.active and self._told_new_view.get(peer, -1) < self.view:
            self._told_new_view[peer] = self.view
            self.views.show_new_view(peer)

    def _on_connected(self, peer: ReplicaId) -> None:
        held = [
            slot.votes[phase][peer]
            for slot in self.log.above(self.tip.height)
            for phase in Phase
            if peer in slot.votes[phase]
        ]
        greeting = Greeting(
            view=self.view,
            certificate=self.certificate,
            held=tuple(held),
            held_view_change=self.views.held(peer),
        )
        self.emit(Send(to=peer, message=greeting))
        for message in self._open_messages():
            self.emit(Send(to=peer, message=message))

    def _open_messages(self) -> Sequence[Message]:
        """Own words that may still matter: what was lost with a connection costs no timeout."""
        if not self.voting:
            return []
        if not self.active:
            own = self.journal.view_change
            return [] if own is None else [own]
        votes = [vote for vote in self.journal.votes.values() if vote.view == self.view]
        return sorted(votes, key=lambda vote: (vote.height, vote.phase))

    def _on_greeting(self, sender: ReplicaId, greeting: Greeting) -> None:
        height = Height(0)
        certificate = greeting.certificate
        if certificate is not None:
            if not verify_commit_certificate(certificate, self.members, self.domain, self.verify):
                self.misbehaved(sender, "bad commit certificate")
                return
            height = certificate.height
        lost = self._lost_words(greeting)
        self.probation.greeted(sender, height, greeting.view, lost=lost, tip=self.tip.height)
        if certificate is not None:
            self.on_certificate(sender, certificate)
        self._help(sender, greeting.view, height, is_active=True)

    def _lost_words(self, greeting: Greeting) -> str | None:
        """What the peer holds of this replica's own words that its journal does not have."""
        for vote in greeting.held[: BUFFERED_PER_WINDOW * self.config.window]:
            if vote.replica != self.id or vote.height <= self.tip.height:
                continue
            if self.journal.votes.get((vote.phase, vote.view, vote.height)) == vote:
                continue
            if verify_vote(vote, self.members, self.domain, self.verify):
                return f"a peer holds our vote at height {vote.height}, view {vote.view}, which our store has lost"
        change = greeting.held_view_change
        if change is not None and change.replica == self.id:
            own = self.journal.view_change
            message = self.domain.view_change(change)
            if (own is None or own.view < change.view) and self.verify(
                self.members.key(self.id), change.signature, message
            ):
                return f"a peer holds our view change for view {change.view}, which our store has lost"
        return None

    def _keep_evidence(self, evidence: Evidence) -> None:
        culprit = evidence.first.replica
        if culprit not in self._evidence:
            self._evidence[culprit] = evidence
            self.emit(ReportEvidence(evidence=evidence))
            self.emit(Broadcast(message=evidence))

    # Proposing

    def _maybe_build(self) -> None:
        """Propose as soon as there is work and the window has room; no block timer."""
        if not (self.work_pending and self.active and self.voting and self.primary == self.id):
            return
        parent = self._last_accepted()
        height = Height(parent.height + 1)
        if self._building is not None or height > self.tip.height + self.config.window:
            return
        if height <= self.views.last_chosen_height or self.log.slot(height).pre_prepare is not None:
            return
        if (Phase.PRE_PREPARE, self.view, height) in self.journal.votes:
            return
        self._building = (self.view, height)
        self.emit(Build(view=self.view, height=height, parent=parent))

    def _last_accepted(self) -> Header:
        header = self.tip
        for slot in self.log.above(self.tip.height):
            if slot.accepted is None or slot.height != header.height + 1:
                break
            header = slot.accepted
        return header

    def _on_built(self, event: BlockBuilt) -> None:
        if self._building != (event.view, event.height):
            return
        self._building = None
        block = event.block
        if block is None:
            self.work_pending = False
            return
        parent = self._last_accepted()
        if event.view != self.view or not self.active or block.header.parent != parent.digest:
            return
        slot = self.log.slot(block.height)
        vote = self.vote(slot, Phase.PRE_PREPARE, block.digest, block)
        if vote is not None:
            slot.accepted = block.header
            self.emit(Broadcast(message=Proposal(vote=vote, block=block)))

    def vote(self, slot: Slot, phase: Phase, digest: Digest, block: Block | None = None) -> Vote | None:
        """Make, keep and count this replica's vote, with the block it stands for; None if it may not vote.

        A vote made before a restart is used again as it was; a vote for another digest is never made.
        """
        if not (self.voting and self.active):
            return None
        vote = self.journal.votes.get((phase, self.view, slot.height))
        if vote is None:
            message = self.domain.vote(phase, self.view, slot.height, digest, self.id)
            vote = Vote(
                phase=phase,
                view=self.view,
                height=slot.height,
                digest=digest,
                replica=self.id,
                signature=self.sign(message),
            )
            if block is not None:
                self._blocks[digest] = block
                self._keep_block(block)
            self.journal.keep_vote(vote)
        elif vote.digest != digest:
            return None
        slot.add(vote)
        return vote

    # Following

    def _advance(self) -> None:
        """Take every step the slots allow: accept, prepare, commit, finish. Then propose more."""
        self.probation.progressed(self.tip.height, self.view, self.active)
        if self.voting != self._was_voting:
            self._was_voting = self.voting
            self.emit(VotingChanged(voting=self.voting, reason=self.probation.reason))
        self.views.advance()
        while True:
            if self.active:
                self._accept_slots()
                self._commit_prefix()
            if not self._finish_next():
                break
        self._maybe_build()

    def _accept_slots(self) -> None:
        """Execute proposals in height order, each on its accepted parent, and vote for those that hold."""
        parent = self.tip
        for height in range(self.tip.height + 1, self.tip.height + 2 * self.config.window + 1):
            slot = self.log.get(Height(height))
            if slot is None or slot.rejected is not None or slot.pre_prepare is None:
                return
            if slot.accepted is None:
                self._consider(slot, parent)
            if slot.accepted is None:
                return
            if self.primary != self.id:
                self._prepare(slot)
            parent = slot.accepted

    def _consider(self, slot: Slot, parent: Header) -> None:
        """Check a proposal's header against its parent and have its block executed."""
        if slot.pre_prepare is None or slot.executing is not None:
            return
        digest = slot.pre_prepare.digest
        block = self.block(digest)
        if block is None:
            self._request_block(slot)
            return
        fault = self._header_fault(block.header, parent)
        if fault is not None:
            slot.rejected = fault
            self.misbehaved(slot.pre_prepare.replica, fault)
            return
        slot.executing = digest
        self._blocks[digest] = block
        self.emit(Execute(block=block))

    def _header_fault(self, header: Header, parent: Header) -> str | None:
        """What is wrong with a proposed header, or None. A block proposed again is exempt from the clock."""
        if header.genesis != self.domain.genesis or header.epoch != self.members.epoch:
            return "header of another chain or epoch"
        if header.members != self.members.digest or header.height != parent.height + 1:
            return "header with the wrong member set or height"
        if header.parent != parent.digest:
            return "header does not follow its parent"
        if header.time_ms <= parent.time_ms:
            return "block time does not grow"
        if header.height <= self.views.last_chosen_height:
            if header.digest != self.views.chosen_digest(header.height):
                return "not the block the new view has to propose again"
        elif header.time_ms > self.now_ms + self.config.max_clock_ahead_ms:
            return f"block time {header.time_ms - self.now_ms} ms ahead of this clock"
        elif header.time_ms < self.now_ms - self.config.max_clock_behind_ms:
            return f"block time {self.now_ms - header.time_ms} ms behind this clock"
        return None

    def _request_block(self, slot: Slot) -> None:
        """Ask those who vouch for a block we have not seen: the primary and one that prepared it."""
        if slot.pre_prepare is None or slot.requested:
            return
        slot.requested = True
        digest = slot.pre_prepare.digest
        holders = [slot.pre_prepare.replica, *(v.replica for v in slot.supporters(Phase.PREPARE, digest))]
        for holder in [h for h in dict.fromkeys(holders) if h != self.id][:2]:
            self.emit(Send(to=holder, message=BlockRequest(digest=digest)))

    def _on_executed(self, event: BlockExecuted) -> None:
        for slot in self.log.above(self.tip.height):
            if slot.executing == event.digest and slot.accepted is None and slot.pre_prepare is not None:
                if event.fault is not None:
                    slot.rejected = event.fault
                    self.misbehaved(slot.pre_prepare.replica, event.fault)
                    return
                block = self.block(event.digest)
                if block is not None:
                    slot.accepted = block.header
                return

    def _prepare(self, slot: Slot) -> None:
        """A backup accepts the primary's order. Source: section 4.2."""
        if slot.accepted is None or self.id in slot.votes[Phase.PREPARE]:
            return
        digest = slot.accepted.digest
        vote = self.vote(slot, Phase.PREPARE, digest, self.block(digest))
        if vote is not None:
            self.emit(Broadcast(message=vote))

    def _commit_prefix(self) -> None:
        """Send commits upwards while every height above the tip is prepared in this view, without a hole."""
        for height in range(self.tip.height + 1, self.tip.height + 2 * self.config.window + 1):
            slot = self.log.get(Height(height))
            if slot is None:
                return
            if slot.prepared is None:
                slot.prepared = slot.prepared_certificate(self.members)
            if not self._prefix_is_prepared(slot.height):
                return
            if self.id in slot.votes[Phase.COMMIT] or slot.prepared is None or not self.voting:
                continue
            if (Phase.COMMIT, self.view, slot.height) not in self.journal.votes:
                self.journal.keep_lock(slot.prepared)
            vote = self.vote(slot, Phase.COMMIT, slot.prepared.header.digest)
            if vote is not None:
                self.emit(Broadcast(message=vote))

    def _prefix_is_prepared(self, height: Height) -> bool:
        """Prepared certificates of this view, linked by parent, from the tip up to `height` (traps 43, 44)."""
        parent = self.tip.digest
        for below in range(self.tip.height + 1, height + 1):
            slot = self.log.get(Height(below))
            if slot is None or slot.prepared is None or slot.prepared.header.parent != parent:
                return False
            parent = slot.prepared.header.digest
        return True

    def _finish_next(self) -> bool:
        """Commit the next height if its certificate and block are here. Heights come in order."""
        height = Height(self.tip.height + 1)
        certificate = self._certificates.get(height)
        if certificate is None:
            slot = self.log.get(height)
            certificate = None if slot is None else slot.commit_certificate(self.members)
            if certificate is None:
                return False
            self._certificates[height] = certificate
            if self.block(certificate.digest) is None:
                self._request_certified(certificate)
        block = self.block(certificate.digest)
        if block is None:
            return False
        self._commit(block, certificate)
        return True

    def _request_certified(self, certificate: CommitCertificate) -> None:
        """Ask f + 1 of those who committed a block for it: one of them is honest and keeps it."""
        signers = [replica for replica, _ in certificate.signatures if replica != self.id]
        for replica in signers[: self.members.weak_quorum]:
            self.emit(Send(to=replica, message=BlockRequest(digest=certificate.digest)))

    def _commit(self, block: Block, certificate: CommitCertificate) -> None:
        header = block.header
        if header.parent != self.tip.digest or header.height != self.tip.height + 1:
            raise InvariantBroken(f"certified block {header.digest.hex()} does not follow the tip: the chain forked")
        slot = self.log.get(header.height)
        is_ours = slot is not None and slot.accepted is not None and slot.accepted.digest == header.digest
        self._keep_block(block)
        self.emit(Commit(block=block, certificate=certificate))
        self.tip, self.certificate, self.failed_views = header, certificate, 0
        if is_ours:
            self.log.drop_through(header.height)
        else:
            # What this view built above another block hangs in the air; own votes stay in the journal.
            self.log.clear()
        self.journal.forget_through(header.height)
        self._certificates = {h: c for h, c in self._certificates.items() if h > header.height}
        self._blocks = {d: b for d, b in self._blocks.items() if b.height > header.height}
        self._kept = {d: h for d, h in self._kept.items() if h > header.height}
        self._is_progress_restarted = True
        self.views.committed(certificate)

    # Timers

    def _needs_progress(self) -> bool:
        if not self.voting:
            return False
        if not self.active:
            return self.views.quorum_asks()
        return self.work_pending or len(self.log) > 0

    def _update_timers(self) -> None:
        """Timers run only while there is something to wait for."""
        is_restarted, self._is_progress_restarted = self._is_progress_restarted, False
        self._run(Timer.PROGRESS, self._needs_progress(), self.views.timeout_ms(), is_restarted=is_restarted)
        is_open = self._needs_progress() or (self.voting and not self.active) or bool(self._certificates)
        self._run(Timer.RESEND, is_open or self.views.is_fetching, max(1, self.config.view_timeout_ms // 2))

    def _run(self, timer: Timer, is_needed: bool, delay_ms: int, *, is_restarted: bool = False) -> None:
        if is_needed and (is_restarted or timer not in self._running):
            self._running.add(timer)
            self.emit(SetTimer(timer=timer, delay_ms=delay_ms))
        elif not is_needed and timer in self._running:
            self._running.discard(timer)
            self.emit(CancelTimer(timer=timer))

    def restart_progress_timer(self) -> None:
        self._is_progress_restarted = True

    def _on_timer(self, timer: Timer) -> None:
        self._running.discard(timer)
        if timer is Timer.PROGRESS:
            self.views.timed_out()
            return
        if self.tip.height > self._repeated_tip:
            # Blocks are flowing: nothing seems lost.
            self._repeated_tip = self.tip.height
            return
        self.emit(Broadcast(message=self._status()))
        for message in self._open_messages():
            self.emit(Broadcast(message=message))
        self.views.fetch_again()
        for slot in self.log.above(self.tip.height):
            slot.requested = False
        certificate = self._certificates.get(Height(self.tip.height + 1))
        if certificate is not None and self.block(certificate.digest) is None:
            self._request_certified(certificate)

    # Used by the view changer

    def enter_log(self, view: View) -> None:
        """Start the slots of a view; messages that came for it before are taken in now."""
        self.log = Log(view)
        self._building = None
        wanted = {header.digest for header in self.views.awaited()}
        wanted.update(lock.header.digest for lock in self.journal.locks.values())
        self._blocks = {d: b for d, b in self._blocks.items() if d in wanted}

    def replay_future(self) -> None:
        waiting, self._future = self._future, {}
        for sender in sorted(waiting):
            for item in waiting[sender]:
                if _view_of(item) >= self.log.view:
                    self._on_message(sender, item)


def _view_of(item: Vote | Proposal) -> View:
    return item.vote.view if isinstance(item, Proposal) else item.view
