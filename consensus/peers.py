"""Helping peers that are behind, and learning from those that know more about us than we do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consensus.certificates import verify_commit_certificate, verify_vote
from consensus.effects import Broadcast, ReportEvidence, Send
from consensus.messages import Evidence, Greeting, Message, Notice, Phase, Status
from consensus.normal_case import BUFFERED_PER_WINDOW
from consensus.types import Height, ReplicaId, View

if TYPE_CHECKING:
    from consensus.replica import Replica


class Peers:
    """What this replica tells single peers, and the evidence it holds against them."""

    def __init__(self, replica: Replica) -> None:
        self._r = replica
        self._told_new_view: dict[ReplicaId, View] = {}
        self._evidence: dict[ReplicaId, Evidence] = {}

    @property
    def evidence(self) -> list[Evidence]:
        """One proof of equivocation for each replica caught, sorted by replica."""
        return [self._evidence[replica] for replica in sorted(self._evidence)]

    def status(self) -> Status:
        r = self._r
        return Status(view=r.view, height=r.tip.height, active=r.active)

    def help(self, peer: ReplicaId, view: View, height: Height, *, is_active: bool) -> None:
        """A peer said where it stands: give it the certificate or the new view that brings it here."""
        r = self._r
        if height < r.tip.height and r.certificate is not None:
            r.emit(Send(to=peer, message=Notice(certificate=r.certificate)))
        if r.active and (view < r.view or (view == r.view and not is_active)):
            r.views.show_new_view(peer)

    def tell_new_view(self, peer: ReplicaId, view: View) -> None:
        """A peer still votes in an old view: show it the new one, once."""
        r = self._r
        if view < r.view and r.active and self._told_new_view.get(peer, -1) < r.view:
            self._told_new_view[peer] = r.view
            r.views.show_new_view(peer)

    def on_connected(self, peer: ReplicaId) -> None:
        r = self._r
        held = [
            slot.votes[phase][peer]
            for slot in r.slots.log.above(r.tip.height)
            for phase in Phase
            if peer in slot.votes[phase]
        ]
        greeting = Greeting(
            view=r.view,
            certificate=r.certificate,
            held=tuple(held),
            held_view_change=r.views.held(peer),
        )
        r.emit(Send(to=peer, message=greeting))
        for message in self.open_messages():
            r.emit(Send(to=peer, message=message))

    def open_messages(self) -> Sequence[Message]:
        """Own words that may still matter: what was lost with a connection costs no timeout."""
        r = self._r
        if not r.voting:
            return []
        if not r.active:
            own = r.journal.view_change
            return [] if own is None else [own]
        votes = [vote for vote in r.journal.votes.values() if vote.view == r.view]
        return sorted(votes, key=lambda vote: (vote.height, vote.phase))

    def on_greeting(self, sender: ReplicaId, greeting: Greeting) -> None:
        r = self._r
        height = Height(0)
        certificate = greeting.certificate
        if certificate is not None:
            if not verify_commit_certificate(certificate, r.members, r.domain, r.verify):
                r.misbehaved(sender, "bad commit certificate")
                return
            height = certificate.height
        lost = self._lost_words(greeting)
        r.probation.greeted(sender, height, greeting.view, lost=lost, tip=r.tip.height)
        if certificate is not None:
            r.slots.on_certificate(sender, certificate)
        self.help(sender, greeting.view, height, is_active=True)

    def _lost_words(self, greeting: Greeting) -> str | None:
        """What the peer holds of this replica's own words that its journal does not have."""
        r = self._r
        for vote in greeting.held[: BUFFERED_PER_WINDOW * r.config.window]:
            if vote.replica != r.id or vote.height <= r.tip.height:
                continue
            if r.journal.votes.get((vote.phase, vote.view, vote.height)) == vote:
                continue
            if verify_vote(vote, r.members, r.domain, r.verify):
                return f"a peer holds our vote at height {vote.height}, view {vote.view}, which our store has lost"
        change = greeting.held_view_change
        if change is not None and change.replica == r.id:
            own = r.journal.view_change
            message = r.domain.view_change(change)
            if (own is None or own.view < change.view) and r.verify(r.members.key(r.id), change.signature, message):
                return f"a peer holds our view change for view {change.view}, which our store has lost"
        return None

    def keep_evidence(self, evidence: Evidence) -> None:
        r = self._r
        culprit = evidence.first.replica
        if culprit not in self._evidence:
            self._evidence[culprit] = evidence
            r.emit(ReportEvidence(evidence=evidence))
            r.emit(Broadcast(message=evidence))
