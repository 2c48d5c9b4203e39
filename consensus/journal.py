"""What a replica must not forget: its own words, and the prepared certificates behind them.

Keys, first byte the kind, numbers 8 bytes big-endian:

    V phase(1) view(8) height(8)   own vote, kept while its slot may still be open
    L height(8)                    prepared certificate of the highest view, above the committed tip
    C                              own latest view change
    W                              current view, whether it is entered or only asked for, and the new view
                                   that started it (one entry, so that the two never disagree)
    P                              this replica has voted or asked for a view before
    S                              listening: why, and until when (see `probation.py`)

A restarted replica says in each slot byte for byte what it said before: signatures are deterministic and
the vote itself is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from consensus.codec import decode, encode
from consensus.effects import Effect, Forget, Persist
from consensus.errors import InvariantBroken
from consensus.messages import NewView, Phase, PreparedCertificate, ViewChange, Vote
from consensus.types import Height, View, Wire

PARTICIPATION: Final = b"P"
"""Key of the entry that says: this replica has voted, or was allowed to."""


class ViewRecord(Wire, frozen=True):
    """`new_view` is the proof that started the view; None in view 0 and while a view is only asked for."""

    view: View
    active: bool
    new_view: NewView | None


class ListeningRecord(Wire, frozen=True):
    """Why this replica does not vote, and what ends it: a committed height and a later view.

    `height` is None until enough peers have said how far the chain is.
    """

    reason: str
    height: Height | None
    view: View


def _vote_key(phase: Phase, view: View, height: Height) -> bytes:
    return b"V" + bytes([phase]) + view.to_bytes(8, "big") + height.to_bytes(8, "big")


def _lock_key(height: Height) -> bytes:
    return b"L" + height.to_bytes(8, "big")


class Journal:
    """The journal in memory; every change is also emitted as an effect, durable before anything is said."""

    def __init__(self, entries: Mapping[bytes, bytes], emit: Callable[[Effect], None]) -> None:
        self._emit = emit
        self.is_new = PARTICIPATION not in entries
        """Did this journal never hold a vote or view change of ours?"""
        self.votes: dict[tuple[Phase, View, Height], Vote] = {}
        self.locks: dict[Height, PreparedCertificate] = {}
        self.view_change: ViewChange | None = None
        self.view = ViewRecord(view=View(0), active=True, new_view=None)
        self.listening: ListeningRecord | None = None
        for key in sorted(entries):
            self._load(key, entries[key])
        asked = self.view_change
        if asked is not None and asked.view > self.view.view:
            # The disk kept the view change and not the record after it: it may be said, so the view is given up.
            self.view = ViewRecord(view=asked.view, active=False, new_view=None)

    def _load(self, key: bytes, value: bytes) -> None:
        kind = key[:1]
        if kind == b"V":
            vote = decode(Vote, value)
            self.votes[vote.phase, vote.view, vote.height] = vote
        elif kind == b"L":
            lock = decode(PreparedCertificate, value)
            self.locks[lock.header.height] = lock
        elif kind == b"C":
            self.view_change = decode(ViewChange, value)
        elif kind == b"W":
            self.view = decode(ViewRecord, value)
        elif kind == b"S":
            self.listening = decode(ListeningRecord, value) if value else None
        elif kind != PARTICIPATION:
            raise InvariantBroken(f"unknown journal key {key.hex()}")

    def keep_vote(self, vote: Vote) -> None:
        self.keep_participation()
        key = (vote.phase, vote.view, vote.height)
        if key in self.votes:
            raise InvariantBroken(f"a second vote in slot {key}")
        self.votes[key] = vote
        self._emit(Persist(key=_vote_key(*key), value=encode(vote)))

    def keep_participation(self) -> None:
        """Written before the first word of ours, or once peers said that there is no chain yet; never deleted:
        an emptied journal is not a new one."""
        if self.is_new:
            self.is_new = False
            self._emit(Persist(key=PARTICIPATION, value=b""))

    def keep_lock(self, lock: PreparedCertificate) -> None:
        self.locks[lock.header.height] = lock
        self._emit(Persist(key=_lock_key(lock.header.height), value=encode(lock)))

    def keep_view_change(self, message: ViewChange) -> None:
        self.keep_participation()
        self.view_change = message
        self._emit(Persist(key=b"C", value=encode(message)))

    def keep_view(self, view: View, *, active: bool, new_view: NewView | None) -> None:
        self.view = ViewRecord(view=view, active=active, new_view=new_view)
        self._emit(Persist(key=b"W", value=encode(self.view)))

    def keep_listening(self, record: ListeningRecord | None) -> None:
        self.listening = record
        self._emit(Persist(key=b"S", value=b"" if record is None else encode(record)))

    def forget_views_below(self, view: View) -> None:
        """Drop votes of views left for good: durable knowledge of a later view keeps us from voting in them."""
        old = [key for key in self.votes if key[1] < view]
        for key in old:
            del self.votes[key]
        if old:
            self._emit(Forget(keys=tuple(_vote_key(*key) for key in old)))

    def forget_through(self, height: Height) -> None:
        """Drop votes and locks of slots at or below a committed height."""
        votes = [key for key in self.votes if key[2] <= height]
        locks = [lock for lock in self.locks if lock <= height]
        keys = tuple([_vote_key(*key) for key in votes] + [_lock_key(lock) for lock in locks])
        for key in votes:
            del self.votes[key]
        for lock in locks:
            del self.locks[lock]
        if keys:
            self._emit(Forget(keys=keys))
