"""When a replica may vote: after it has heard from its peers what they hold of its own words.

A node that lost its disk (or came back from an old copy, or whose key runs twice) must not vote in a slot
where it may have voted before (trap 42). So each start waits for the greetings of n - f replicas, itself
counted. If one of them shows a vote or view change of this replica that it does not remember, or its store
is new although the chain has blocks and its key may have voted before, it listens: it follows and serves, and
votes again only once the chain has grown four windows beyond the highest certificate that n - f replicas had,
in a view entered since, and later than every view that it is shown to have voted in or asked for.

Four windows: its last votes may lie two above its tip of then, and that tip two above what those replicas
know, since they may have committed votes of theirs outstanding for as much.
"""

from __future__ import annotations

from typing import Final

import msgspec

from consensus.journal import Journal, ListeningRecord
from consensus.quorum import MemberSet
from consensus.types import Height, ReplicaId, View

_FIRST: Final = View(0)
LISTENING_WINDOWS: Final = 4
"""Own votes of before may lie so far above what the others have committed."""


class Probation:
    """Decides `voting`. Fed with greetings, commits and entered views."""

    def __init__(
        self, journal: Journal, members: MemberSet, window: int, *, override: bool, is_first_start: bool
    ) -> None:
        """`is_first_start`: this key is known never to have signed a vote, so a chain that has begun without
        this replica is no sign of a lost disk."""
        self._journal = journal
        self._is_first_start = is_first_start
        self._members = members
        self._window = window
        self._greetings: dict[ReplicaId, tuple[Height, View]] = {}
        self._override = override
        self.awaiting = members.n > 1 and not override
        if override and journal.listening is not None:
            journal.keep_listening(None)

    @property
    def voting(self) -> bool:
        return not self.awaiting and self._journal.listening is None

    @property
    def reason(self) -> str:
        """Why this replica does not vote; empty if it does."""
        if self._journal.listening is not None:
            return self._journal.listening.reason
        return "waiting for the greetings of peers" if self.awaiting else ""

    @property
    def needs_greetings(self) -> bool:
        """Do too few peers have said where they stand?"""
        listening = self._journal.listening
        return self.awaiting or (listening is not None and listening.height is None)

    def needs_greeting(self, peer: ReplicaId) -> bool:
        return self.needs_greetings and peer not in self._greetings

    def greeted(
        self, sender: ReplicaId, height: Height, view: View, *, lost: str | None, tip: Height, lost_view: View = _FIRST
    ) -> None:
        """A peer said how far it is. `lost` names what it showed of ours that we do not remember, and `lost_view`
        that word's view: whoever asked for a view has promised not to vote below it."""
        if self._override:
            return
        listening = self._journal.listening
        is_suspect = self.awaiting and self._journal.is_new and not self._is_first_start
        if lost is None and is_suspect and height > 0:
            lost = "this store is new, but the chain has blocks"
        if lost is not None and listening is None:
            listening = ListeningRecord(reason=lost, height=None, view=max(self._journal.view.view, lost_view))
            self._journal.keep_listening(listening)
        elif lost is not None and listening is not None and lost_view > listening.view:
            listening = msgspec.structs.replace(listening, view=lost_view)
            self._journal.keep_listening(listening)
        if not self.awaiting and (listening is None or listening.height is not None):
            return
        self._greetings[sender] = (height, view)
        if len(self._greetings) < self._members.reachable - 1:
            return
        self.awaiting = False
        if listening is None:
            self._journal.keep_participation()
        elif listening.height is None:
            highest = max([tip, *(h for h, _ in self._greetings.values())])
            # Views are not proved: the one that an honest peer has reached, whatever f others say.
            views = sorted((v for _, v in self._greetings.values()), reverse=True)
            latest = max(listening.view, views[min(self._members.f, len(views) - 1)])
            until = Height(highest + LISTENING_WINDOWS * self._window)
            self._journal.keep_listening(ListeningRecord(reason=listening.reason, height=until, view=View(latest)))

    def progressed(self, tip: Height, view: View, active: bool) -> None:
        """The chain grew or a view was entered: does listening end?"""
        listening = self._journal.listening
        if listening is None or listening.height is None or not active:
            return
        if tip >= listening.height and view > listening.view:
            self._journal.keep_listening(None)
            self._journal.keep_participation()
