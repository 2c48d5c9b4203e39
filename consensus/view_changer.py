"""How a replica leaves a view and enters the next. The pure rules are in `view_change.py`.

States: active in a view; or asking for one (its view change is out, it votes no more in earlier views).
Who asks repeats it until a new view comes. Timers grow with every view that fails and start over with the
first block that is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from consensus.block import Header
from consensus.effects import Broadcast, Send, ViewChangeStarted, ViewEntered
from consensus.messages import BlockRequest, CommitCertificate, NewView, Notice, Phase, ViewChange, Vote
from consensus.types import Digest, Height, ReplicaId, Signature, View
from consensus.view_change import PREFIX_MAX, choose, prepared_prefix, verify_new_view, verify_view_change

if TYPE_CHECKING:
    from consensus.replica import Replica

MAX_VIEW_DISTANCE = 1_000_000
"""Messages for views further ahead are dropped: no honest replica gets there (trap 20)."""


class ViewChanger:
    """The view-change half of one replica; shares its journal and log."""

    def __init__(self, replica: Replica) -> None:
        self._r = replica
        self._changes: dict[ReplicaId, ViewChange] = {}
        """The latest view change of each replica, one slot per sender."""
        self._base = Height(0)
        """Height that was final when the view started: nothing new is proposed or accepted up to there."""
        self._chosen: dict[Height, Header] = {}
        self._fetching: dict[Digest, Header] = {}
        """Blocks the new primary still needs before it may send the new view."""
        self._shown: dict[ReplicaId, tuple[View, int]] = {}
        """Which new view each peer was shown last, and when."""
        own = replica.journal.view_change
        if own is not None and not replica.active and own.view == replica.view:
            self._changes[replica.id] = own
        new_view = replica.journal.view.new_view
        if replica.active and new_view is not None:
            self._adopt(new_view)

    def _adopt(self, new_view: NewView) -> CommitCertificate | None:
        base, chosen = choose(new_view.view_changes, self._r.genesis.digest)
        self._base = Height(0 if base is None else base.height)
        self._chosen = {header.height: header for header in chosen}
        return base

    # Reading

    @property
    def last_chosen_height(self) -> Height:
        """Highest height that was decided for the current view by the view changes it started from.

        That includes heights which were final already: a replica, the primary too, may still be below them.
        """
        return max(self._chosen, default=self._base)

    def chosen_digest(self, height: Height) -> Digest | None:
        header = self._chosen.get(height)
        return None if header is None else header.digest

    def awaited(self) -> list[Header]:
        """Headers whose blocks this view needs: to propose again, or to be fetched first."""
        above = [header for height, header in self._chosen.items() if height > self._r.tip.height]
        return above + list(self._fetching.values())

    @property
    def has_chosen_open(self) -> bool:
        """Is a block that this view had to propose again not final yet?"""
        return bool(self._chosen) and self._r.active and max(self._chosen) > self._r.tip.height

    @property
    def is_fetching(self) -> bool:
        return bool(self._fetching)

    def held(self, replica: ReplicaId) -> ViewChange | None:
        return self._changes.get(replica)

    def timeout_ms(self) -> int:
        config = self._r.config
        return min(config.view_timeout_ms << min(self._r.failed_views, 20), config.view_timeout_max_ms)

    def quorum_asks(self) -> bool:
        """Does a quorum ask for this view or a later one? Only then does the next timeout mean anything."""
        asking = [change for change in self._changes.values() if change.view >= self._r.view]
        return len(asking) >= self._r.members.quorum

    # Leaving a view

    def resume(self) -> None:
        """After a restart: put own proposals and the prepared slots of this view back into the log."""
        r = self._r
        if not r.active:
            return
        for (phase, view, height), vote in sorted(r.journal.votes.items()):
            if phase is Phase.PRE_PREPARE and view == r.view and height > r.tip.height:
                r.slots.log.slot(height).add(vote)
        for height in sorted(r.journal.locks):
            lock = r.journal.locks[height]
            if lock.view != r.view:
                continue
            signers = [(Phase.PRE_PREPARE, r.primary, lock.pre_prepare)]
            signers += [(Phase.PREPARE, replica, signature) for replica, signature in lock.prepares]
            for phase, replica, signature in signers:
                vote = Vote(
                    phase=phase,
                    view=lock.view,
                    height=height,
                    digest=lock.header.digest,
                    replica=replica,
                    signature=signature,
                )
                r.slots.log.slot(height).add(vote)

    def timed_out(self) -> None:
        waited = self.timeout_ms()
        what = "no progress" if self._r.active else "no new view"
        self.start(View(self._r.view + 1), f"{what} in {waited} ms")

    def committed(self, certificate: CommitCertificate) -> None:
        """Planned change of the primary; only for blocks decided in this very view, not for synced ones."""
        r = self._r
        rotate = r.config.rotate_blocks
        if rotate and certificate.height % rotate == 0 and r.active and certificate.view == r.view:
            self.start(View(r.view + 1), "planned rotation", is_planned=True)

    def start(self, view: View, reason: str, *, is_planned: bool = False) -> None:
        """Ask for a view: vote no more below it, and say what was prepared."""
        r = self._r
        if not r.voting or view <= r.view:
            return
        if not is_planned:
            r.failed_views += 1
        unsigned = ViewChange(
            view=view,
            committed=r.certificate,
            prepared=prepared_prefix(r.tip, r.journal.locks),
            replica=r.id,
            signature=Signature(b""),
        )
        message = msgspec.structs.replace(unsigned, signature=r.sign(r.domain.view_change(unsigned)))
        r.journal.keep_view_change(message)
        r.journal.keep_view(view, active=False, new_view=None)
        self._changes[r.id] = message
        self._fetching = {}
        r.restart_progress_timer()
        r.emit(ViewChangeStarted(view=view, reason=reason))
        r.emit(Broadcast(message=message))

    def on_view_change(self, sender: ReplicaId, message: ViewChange) -> None:
        r = self._r
        if message.replica != sender:
            r.misbehaved(sender, "view change of somebody else")
            return
        committed_height = 0 if message.committed is None else message.committed.height
        if committed_height < r.tip.height and r.certificate is not None:
            r.emit(Send(to=sender, message=Notice(certificate=r.certificate)))
        if r.active and message.view <= r.view:
            self.show_new_view(sender)
            return
        known = self._changes.get(sender)
        if message.view < r.view or message.view > r.view + MAX_VIEW_DISTANCE:
            return
        if known is not None and known.view >= message.view:
            return
        fault = verify_view_change(
            message,
            genesis=r.genesis.digest,
            members=r.members,
            domain=r.domain,
            verify=r.verify,
            prefix_max=PREFIX_MAX,
        )
        if fault is not None:
            r.misbehaved(sender, f"view change: {fault}")
            return
        self._changes[sender] = message
        if message.committed is not None:
            r.slots.on_certificate(sender, message.committed)

    def advance(self) -> None:
        """Follow f + 1 others upwards; open the new view if it is ours and a quorum asks for it."""
        r = self._r
        while self._changes and r.voting:
            above = [c.view for replica, c in self._changes.items() if replica != r.id and c.view > r.view]
            if len(above) < r.members.weak_quorum:
                break
            # Whichever views they name: the lowest is one an honest replica is at or has passed (trap 21).
            self.start(min(above), f"{len(above)} replicas ask for later views")
        self._try_new_view()
        self._propose_again()

    # Entering a view

    def _try_new_view(self) -> None:
        r = self._r
        if not self._changes or r.active or not r.voting or r.primary != r.id:
            return
        changes = [self._changes[s] for s in sorted(self._changes) if self._changes[s].view == r.view]
        if len(changes) < r.members.quorum:
            return
        _, chosen = choose(changes, r.genesis.digest)
        missing = {h.digest: h for h in chosen if h.height > r.tip.height and r.blocks.get(h.digest) is None}
        unasked = [digest for digest in missing if digest not in self._fetching]
        self._fetching = missing
        if missing:
            self._ask_for(unasked)
            return
        unsigned = NewView(view=r.view, view_changes=tuple(changes), replica=r.id, signature=Signature(b""))
        message = msgspec.structs.replace(unsigned, signature=r.sign(r.domain.new_view(unsigned)))
        r.emit(Broadcast(message=message))
        self._enter(message)

    def _ask_for(self, digests: list[Digest]) -> None:
        """Ask all who signed for a block: at least one honest replica among them keeps it."""
        r = self._r
        for digest in digests:
            holders: set[ReplicaId] = set()
            for change in self._changes.values():
                for certificate in change.prepared:
                    if certificate.header.digest == digest:
                        holders.update((change.replica, r.members.primary(certificate.view)))
                        holders.update(replica for replica, _ in certificate.prepares)
            for holder in sorted(holders - {r.id}):
                r.emit(Send(to=holder, message=BlockRequest(digest=digest)))

    def fetch_again(self) -> None:
        self._ask_for(list(self._fetching))

    def on_new_view(self, sender: ReplicaId, message: NewView) -> None:
        """Anyone may pass a new view on; it is signed by its primary and proves itself."""
        r = self._r
        if message.view < r.view or (message.view == r.view and r.active):
            return
        if message.view > r.view + MAX_VIEW_DISTANCE:
            return
        fault = verify_new_view(
            message,
            genesis=r.genesis.digest,
            members=r.members,
            domain=r.domain,
            verify=r.verify,
            prefix_max=PREFIX_MAX,
        )
        if fault is not None:
            r.misbehaved(sender, f"new view: {fault}")
            return
        self._enter(message)

    def _enter(self, message: NewView) -> None:
        r = self._r
        r.journal.keep_view(message.view, active=True, new_view=message)
        r.journal.forget_views_below(message.view)
        base = self._adopt(message)
        self._fetching = {}
        self._changes = {s: c for s, c in self._changes.items() if c.view > message.view}
        r.slots.enter_log(message.view)
        r.restart_progress_timer()
        r.emit(ViewEntered(view=message.view, primary=r.primary, reason=f"{len(self._chosen)} blocks proposed again"))
        if base is not None:
            r.slots.on_certificate(r.primary, base)
        if r.certificate is not None and r.tip.height > self._base:
            # Nobody votes again at a height that is final for him: without this the others would wait for it.
            r.emit(Broadcast(message=Notice(certificate=r.certificate)))
        self._propose_again()
        r.slots.replay_future()

    def _propose_again(self) -> None:
        """The primary's pre-prepares for the chosen blocks; their bytes are fetched by those who lack them.

        Runs in every step: a crash may have come between the new view and these.
        """
        r = self._r
        if not (self._chosen and r.active and r.voting and r.primary == r.id):
            return
        for height in sorted(self._chosen):
            if height <= r.tip.height:
                continue
            slot, header = r.slots.log.slot(height), self._chosen[height]
            block = None if slot.pre_prepare is not None else r.blocks.get(header.digest)
            if block is not None:
                vote = r.slots.vote(slot, Phase.PRE_PREPARE, header.digest, block)
                if vote is not None:
                    r.emit(Broadcast(message=vote))

    def show_new_view(self, peer: ReplicaId) -> None:
        """Show a peer how the current view started; not more often than an honest one asks, for it is large."""
        r = self._r
        new_view = r.journal.view.new_view
        view, shown_ms = self._shown.get(peer, (View(-1), 0))
        is_recent = view == r.view and abs(r.now_ms - shown_ms) < r.config.view_timeout_ms // 4
        if new_view is not None and not is_recent:
            self._shown[peer] = (r.view, r.now_ms)
            r.emit(Send(to=peer, message=new_view))
