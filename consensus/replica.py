"""One replica: handle(event) -> effects.

Source: Castro & Liskov 1999, with blocks as requests (docs/protocol.md). Every event takes the same three
steps: take in what it says, advance as far as the slots allow, set the timers anew. The rules are in
`normal_case.py` (slots), `view_changer.py` (views) and `peers.py` (helping others); what must survive a
restart is in `journal.py`, and `probation.py` says when this replica may vote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from consensus.block import Block, Header
from consensus.blocks import BlockCache
from consensus.certificates import verify_evidence, vote_signature
from consensus.effects import (
    Broadcast,
    CancelTimer,
    Effect,
    Misbehaviour,
    Send,
    SetTimer,
    VotingChanged,
)
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
from consensus.normal_case import NormalCase
from consensus.peers import Peers
from consensus.probation import Probation
from consensus.quorum import MemberSet
from consensus.types import DIGEST_BYTES, Digest, Height, PublicKey, ReplicaId, Sign, Signature, Verify, View
from consensus.view_change import MAX_WINDOW
from consensus.view_changer import ViewChanger

VERIFIED_MAX: Final = 2_048
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

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW:
            raise ValueError(f"a window has 1 to {MAX_WINDOW} blocks, not {self.window}")


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
        is_first_start: bool = False,
    ) -> None:
        """`genesis` is the header of height 0, whose digest is the parent of block 1; `tip` is the last
        committed header and `certificate` its proof (genesis and None at first); `journal` is what `Persist`
        kept and `Forget` did not delete; `blocks` finds what `PersistBlock` kept. `is_first_start`: this key has
        certainly never signed a vote (see `probation.py`)."""
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
        self._effects: list[Effect] = []
        self.journal = Journal(journal, self.emit)
        self.journal.forget_through(tip.height)
        self.probation = Probation(
            self.journal, members, config.window, override=override_listening, is_first_start=is_first_start
        )
        self._was_voting = self.probation.voting
        self.failed_views = 0
        self.work_pending = False
        self._running: set[Timer] = set()
        self._is_progress_restarted = False
        self._repeated_tip = tip.height
        self.blocks = BlockCache(blocks, self.emit)
        self.slots = NormalCase(self)
        self.peers = Peers(self)
        self.views = ViewChanger(self)

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
        return self.peers.evidence

    def status(self) -> ReplicaStatus:
        return ReplicaStatus(
            view=self.view,
            active=self.active,
            primary=self.primary,
            height=self.tip.height,
            voting=self.voting,
            voting_reason=self.probation.reason,
            open_slots=len(self.slots.log),
            failed_views=self.failed_views,
        )

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event. `now_ms` is the chain time of this node's clock when the event happened."""
        self.now_ms = now_ms
        match event:
            case Received(sender=sender, message=message):
                self.on_message(sender, message)
            case BlockExecuted():
                self.slots.on_executed(event)
            case BlockBuilt():
                self.slots.on_built(event)
            case WorkChanged(pending=pending):
                self.slots.work_changed(pending=pending)
            case BlockSynced(block=block, certificate=certificate):
                self.slots.on_synced(block, certificate)
            case TimerFired(timer=timer):
                self._on_timer(timer)
            case PeerConnected(replica=peer):
                self.peers.on_connected(peer)
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

    def to_verify(self, waiting: Iterable[Received]) -> list[tuple[PublicKey, Signature, bytes]]:
        """(key, signature, message) of the votes among `waiting` that `handle` would check if all of them came next.

        For who can check many at once and remember which hold: `handle` still asks for each, and decides.
        """
        log, tip = self.slots.log, self.tip.height
        found: list[tuple[PublicKey, Signature, bytes]] = []
        named: set[tuple[ReplicaId, Phase, Height]] = set()
        for received in waiting:
            vote = received.message.vote if isinstance(received.message, Proposal) else received.message
            if not isinstance(vote, Vote) or vote.replica != received.sender or vote.view != log.view:
                continue
            slot = log.get(vote.height)
            if not tip < vote.height <= tip + 2 * self.config.window or (slot is not None and slot.has(vote)):
                continue
            # One of each place: what else a peer says there is dropped unchecked once one counts, at no cost to it.
            place = (vote.replica, vote.phase, vote.height)
            if place in named:
                continue
            named.add(place)
            signed = vote_signature(vote, self.members, self.domain)
            if signed is not None and signed not in self._verified:
                found.append(signed)
        return found

    def misbehaved(self, sender: ReplicaId, reason: str) -> None:
        self.emit(Misbehaviour(sender=sender, reason=reason))

    def on_message(self, sender: ReplicaId, message: Message) -> None:
        if sender == self.id or not self.members.holds(sender):
            self.misbehaved(sender, "not a peer")
            return
        match message:
            case Vote():
                self.slots.on_vote(sender, message)
            case Proposal():
                self.slots.on_proposal(sender, message)
            case ViewChange():
                self.views.on_view_change(sender, message)
            case NewView():
                self.views.on_new_view(sender, message)
            case BlockRequest(digest=digest):
                block = self.blocks.get(digest) if len(digest) == DIGEST_BYTES else None
                if block is not None:
                    self.emit(Send(to=sender, message=BlockReply(block=block)))
            case BlockReply(block=block):
                self.slots.on_block(sender, block)
            case Notice(certificate=certificate):
                self.slots.on_certificate(sender, certificate)
            case Status():
                self.peers.help(sender, message.view, message.height, is_active=message.active)
            case Greeting():
                self.peers.on_greeting(sender, message)
            case Evidence():
                if verify_evidence(message, self.members, self.domain, self.verify):
                    self.peers.keep_evidence(message)
                else:
                    self.misbehaved(sender, "evidence that proves nothing")

    def _advance(self) -> None:
        """Take every step the slots allow: accept, prepare, commit, finish. Then propose more."""
        while True:
            self.probation.progressed(self.tip.height, self.view, self.active)
            if self.voting != self._was_voting:
                self._was_voting = self.voting
                self.emit(VotingChanged(voting=self.voting, reason=self.probation.reason))
                # Peers connected while nothing could be said to them; what a crash cut off is said now.
                self.peers.repeat_open_messages()
            record = self.journal.view
            self.views.advance()
            self.slots.advance()
            if self.journal.view is record:
                return
            # A planned change of the primary came with a commit: perhaps all others asked for it before.

    def _needs_progress(self, *, is_open: bool) -> bool:
        if not self.voting:
            return False
        return is_open if self.active else self.views.quorum_asks()

    def _update_timers(self) -> None:
        """Timers run only while there is something to wait for."""
        is_restarted, self._is_progress_restarted = self._is_progress_restarted, False
        is_open = self.work_pending or self.slots.is_open
        self._run(Timer.PROGRESS, self._needs_progress(is_open=is_open), is_restarted=is_restarted)
        # A replica that only listens asks too: nobody else would notice what it has missed.
        is_open = is_open or bool(self.slots.certificates) or self.views.is_fetching
        is_waiting = is_open or not self.active or self.slots.is_behind or self.probation.needs_greetings
        self._run(Timer.RESEND, is_waiting)

    def _run(self, timer: Timer, is_needed: bool, *, is_restarted: bool = False) -> None:
        if is_needed and (is_restarted or timer not in self._running):
            self._running.add(timer)
            is_progress = timer is Timer.PROGRESS
            delay_ms = self.views.timeout_ms() if is_progress else max(1, self.config.view_timeout_ms // 2)
            self.emit(SetTimer(timer=timer, delay_ms=delay_ms))
        elif not is_needed and timer in self._running:
            self._running.discard(timer)
            self.emit(CancelTimer(timer=timer))

    def restart_progress_timer(self) -> None:
        self._is_progress_restarted = True

    def _on_timer(self, timer: Timer) -> None:
        if timer not in self._running:
            # It fired while it was being cancelled.
            return
        self._running.discard(timer)
        if timer is Timer.PROGRESS:
            self.views.timed_out()
            return
        if self.probation.needs_greetings:
            self.peers.ask_greetings()
        self.emit(Broadcast(message=self.peers.status()))
        if self.tip.height > self._repeated_tip:
            # Blocks are flowing: no vote of ours seems lost. But perhaps they flow because others bring them.
            self._repeated_tip = self.tip.height
            return
        self.peers.repeat_open_messages()
        self.views.fetch_again()
        self.slots.ask_again()
