"""Votes that came before their time: for a view this replica has not entered, or heights it cannot reach yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Final

from consensus.messages import Vote
from consensus.types import Height, ReplicaId, View

BUFFERED_PER_WINDOW: Final = 6
"""Votes kept per peer for a view not entered yet, in windows: three phases, twice the heights."""


class WaitingVotes:
    """Bounded per sender, and nothing in it is verified: what is taken out goes through every check again."""

    def __init__(self, window: int) -> None:
        self._limit = BUFFERED_PER_WINDOW * window
        self._votes: dict[ReplicaId, deque[Vote]] = {}
        self._ahead: dict[ReplicaId, Height] = {}
        """The last height above the watermarks that each peer voted at, in the current view."""

    def put(self, vote: Vote) -> None:
        queue = self._votes.setdefault(vote.replica, deque(maxlen=self._limit))
        if queue and queue[-1].view < vote.view:
            # Only the latest view is worth waiting for: an honest peer has left the ones before.
            queue.clear()
        queue.append(vote)

    def take(self, view: View) -> list[Vote]:
        """All votes for `view` or later, by sender; nothing waits any more."""
        waiting, self._votes = self._votes, {}
        return [vote for sender in sorted(waiting) for vote in waiting[sender] if vote.view >= view]

    def saw_ahead(self, vote: Vote) -> None:
        self._ahead[vote.replica] = vote.height

    def ahead_of(self, height: Height) -> int:
        """How many peers vote above `height`, further up than votes were accepted."""
        return sum([at > height for at in self._ahead.values()])

    def forget_heights(self) -> None:
        """A view ended: what was voted on at the top of it may never become final."""
        self._ahead = {}

    def values(self) -> Iterable[Collection[Vote]]:
        """What waits, peer by peer."""
        return self._votes.values()

    def __len__(self) -> int:
        """How many peers have votes waiting."""
        return len(self._votes)
