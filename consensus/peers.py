"""Helping peers that are behind, and learning from those that know more about us than we do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consensus.certificates import verify_commit_certificate, verify_vote
from consensus.effects import Broadcast, ReportEvidence, Send
from consensus.messages import Evidence, Greeting, Message, Notice, Phase, Status
from consensus.types import Height, ReplicaId, View
from consensus.waiting import BUFFERED_PER_WINDOW

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
        self._greet(peer)
        for message in self.open_messages():
            self._r.emit(Send(to=peer, message=message))

    def ask_greetings(self) -> None:
        """Greet again all peers whose word is missing before this replica may vote."""
        for peer in map(ReplicaId, range(self._r.members.n)):
            if peer != self._r.id and self._r.probation.needs_greeting(peer):
                self._greet(peer, asks=True)

    def _greet(self, peer: ReplicaId, *, asks: bool = False) -> None:
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
            asks=asks,
        )
        r.emit(Send(to=peer, message=greeting))

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

    def repeat_open_messages(self) -> None:
        for message in self.open_messages():
            self._r.emit(Broadcast(message=message))

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
        reason, view = (None, View(0)) if lost is None else lost
        r.probation.greeted(sender, height, greeting.view, lost=reason, tip=r.tip.height, lost_view=view)
        if certificate is not None:
            r.slots.on_certificate(sender, certificate)
        if greeting.asks:
            self._greet(sender)
        self.help(sender, greeting.view, height, is_active=True)

    def _lost_words(self, greeting: Greeting) -> tuple[str, View] | None:
        """What the peer holds of this replica's own words that its journal does not have, and that word's view."""
        r = self._r
        for vote in greeting.held[: BUFFERED_PER_WINDOW * r.config.window]:
            # Votes of views this replica has left are forgotten; it cannot vote in them again.
            if vote.replica != r.id or vote.height <= r.tip.height or vote.view < r.view:
                continue
            if r.journal.votes.get((vote.phase, vote.view, vote.height)) == vote:
                continue
            if not verify_vote(vote, r.members, r.domain, r.verify):
                # No honest peer keeps one: look no further, so that a greeting costs one bad signature at most.
                return None
            what = f"our vote at height {vote.height}, view {vote.view}"
            return f"a peer holds {what}, which our store has lost", vote.view
        change = greeting.held_view_change
        if change is not None and change.replica == r.id:
            own = r.journal.view_change
            message = r.domain.view_change(change)
            if (own is None or own.view < change.view) and r.verify(r.members.key(r.id), change.signature, message):
                what = f"our view change for view {change.view}"
                return f"a peer holds {what}, which our store has lost", change.view
        return None

    def keep_evidence(self, evidence: Evidence) -> None:
        r = self._r
        culprit = evidence.first.replica
        if culprit not in self._evidence:
            self._evidence[culprit] = evidence
            r.emit(ReportEvidence(evidence=evidence))
            r.emit(Broadcast(message=evidence))
