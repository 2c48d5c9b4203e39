"""Compact proposals of peers made whole again: from what this node has, and one question for the rest.

What waits for an answer is bounded by sender, and dropped when it has lost its point: its height is final, its view
is over, or the sender proposes something else there. Where no answer comes, or a wrong one, the pre-prepare alone
goes to the core, as when a connection lost the block: the core then asks for the whole block, the primary and those
who have prepared it, and its timers decide about a primary that does not give it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from consensus.block import Block
from consensus.errors import DecodeError
from consensus.messages import Phase, Proposal, Vote
from consensus.quorum import MemberSet
from consensus.types import Height, ReplicaId, View
from node.claims.transaction import id_of
from node.compact import LARGEST, TAG, CompactProposal, TransactionsReply, TransactionsRequest
from node.known import Find

_WINDOWS: Final = 4
"""Heights above the last final block that are worth a question. The core listens for two windows; blocks that it has
still to take in may be on their way to it."""
_WARY: Final = 16
"""Proposals for which transactions whose signatures nobody has checked are no help, after some were made up."""


class _Waiting(msgspec.Struct, kw_only=True):
    proposal: CompactProposal
    ids: tuple[bytes, ...]
    raws: list[bytes | None]
    missing: tuple[int, ...]
    is_doubtful: bool
    """Some of `raws` may be others than those of the proposal."""
    asked_ms: int
    is_given_up: bool = False
    """The core has the pre-prepare by now; an answer that comes late still helps it."""


class Rebuilder:
    """Of one node. What `received`, `answered` and `overdue` answer is for the core, in order."""

    def __init__(
        self,
        *,
        members: MemberSet,
        window: int,
        answer_ms: int,
        position: Callable[[], tuple[View, Height]],
        find: Find,
        ask: Callable[[ReplicaId, TransactionsRequest], object],
        misbehaved: Callable[[ReplicaId, str], None],
    ) -> None:
        """`answer_ms`: how long an answer may take. `position`: this node's view and last final height."""
        self._members = members
        self._window = window
        self._answer_ms = answer_ms
        self._position = position
        self._find = find
        self._ask = ask
        self._misbehaved = misbehaved
        self._waiting: dict[ReplicaId, dict[Height, _Waiting]] = {}
        self._asked: Counter[ReplicaId] = Counter()
        """Questions to each peer that it has not answered."""
        self._looked: dict[ReplicaId, dict[Height, View]] = {}
        """The last view in which each peer's proposal for a height was worth a search and a question: one is."""
        self._wary = 0
        """For how many proposals more only what is checked counts."""
        self.counters: Counter[str] = Counter()

    def received(self, sender: ReplicaId, proposal: CompactProposal, now_ms: int) -> list[Proposal | Vote]:
        """Raises DecodeError for what no honest peer sends."""
        self._drop_old()
        ids = proposal.split_ids()
        vote, header = proposal.vote, proposal.header
        if vote.phase is not Phase.PRE_PREPARE or vote.replica != sender or vote.digest != header.digest:
            # The core says what is wrong with it, and looks at the block last.
            return [Proposal(vote=vote, block=Block(header=header, transactions=()))]
        is_worth_asking = self._is_worth_asking(sender, vote)
        if is_worth_asking:
            self._looked.setdefault(sender, {})[vote.height] = vote.view
        raws, unchecked = self._find(proposal, ids, is_worth_asking and not self._wary)
        self._wary = max(0, self._wary - 1)
        if _size(raws) > LARGEST.max_block_bytes:
            raise DecodeError("a compact proposal of a block that is too large")
        missing: tuple[int, ...] = ()
        if None in raws:
            missing = tuple(place for place, raw in enumerate(raws) if raw is None)
        else:
            whole = _whole(proposal, raws)
            if not unchecked or whole.block.is_whole:
                self.counters["rebuilt"] += 1
                return [whole]
            self._wary = _WARY
            missing, unchecked = tuple(sorted(unchecked)), frozenset()
        if not is_worth_asking:
            # Only the vote may wait, as for a whole proposal out of reach.
            return [vote]
        self._waiting.setdefault(sender, {})[vote.height] = _Waiting(
            proposal=proposal, ids=ids, raws=raws, missing=missing, is_doubtful=bool(unchecked), asked_ms=now_ms
        )
        self._asked[sender] += 1
        self.counters["asked"] += 1
        self._ask(sender, TransactionsRequest(digest=vote.digest, missing=missing))
        return []

    def answered(self, sender: ReplicaId, reply: TransactionsReply) -> list[Proposal | Vote]:
        """A peer's answer; one for what is decided by now is dropped."""
        self._drop_old()
        if not self._asked[sender]:
            self._misbehaved(sender, "transactions that nobody asked for")
            return []
        self._asked[sender] -= 1
        waiting = self._waiting.get(sender, {})
        item = next((item for item in waiting.values() if item.proposal.vote.digest == reply.digest), None)
        if item is None:
            return []
        del waiting[item.proposal.vote.height]
        if not _fits(item, reply.transactions):
            if reply.transactions:
                self._misbehaved(sender, "other transactions than it was asked for")
            return self._give_up(item)
        for place, raw in zip(item.missing, reply.transactions, strict=True):
            item.raws[place] = raw
        whole = _whole(item.proposal, item.raws)
        if not whole.block.is_whole:
            if item.is_doubtful:
                self._wary = _WARY
            else:
                self._misbehaved(sender, "transactions that do not fit the header they were proposed with")
            return self._give_up(item)
        self.counters["completed"] += 1
        return [whole]

    def overdue(self, sender: ReplicaId, now_ms: int) -> list[Proposal | Vote]:
        """Pre-prepares of a peer that goes on talking and has not answered in time."""
        if not self._waiting.get(sender):
            return []
        self._drop_old()
        late = [item for item in self._waiting[sender].values() if now_ms - item.asked_ms >= self._answer_ms]
        return [vote for item in late for vote in self._give_up(item)]

    def forget(self, sender: ReplicaId) -> None:
        """Its connection has ended, and the questions with it; on the next one it repeats its pre-prepares."""
        self._waiting.pop(sender, None)
        self._asked.pop(sender, None)
        self._looked.pop(sender, None)

    def _give_up(self, item: _Waiting) -> list[Proposal | Vote]:
        if item.is_given_up:
            return []
        item.is_given_up = True
        self.counters["given up"] += 1
        return [item.proposal.vote]

    def _is_worth_asking(self, sender: ReplicaId, vote: Vote) -> bool:
        """One search and one question for each height and view, about the first proposal for it: the core goes by that,
        too, and of another only the vote counts, as evidence."""
        view, height = self._position()
        # Within so many views a replica is primary once.
        is_near = view <= vote.view < view + self._members.n and sender == self._members.primary(vote.view)
        waiting = self._waiting.get(sender, {})
        before = waiting.get(vote.height)
        has_room = len(waiting) < 2 * self._window if before is None else before.proposal.vote.view < vote.view
        is_new = self._looked.get(sender, {}).get(vote.height, -1) < vote.view
        return is_new and is_near and has_room and height < vote.height <= height + _WINDOWS * self._window

    def _drop_old(self) -> None:
        view, height = self._position()
        for sender, waiting in self._waiting.items():
            self._waiting[sender] = {
                at: item for at, item in waiting.items() if at > height and item.proposal.vote.view >= view
            }
        for sender, looked in self._looked.items():
            self._looked[sender] = {at: last for at, last in looked.items() if at > height and last >= view}

    def __len__(self) -> int:
        """How many wait for an answer."""
        return sum(map(len, self._waiting.values()))


def _size(raws: Sequence[bytes | None]) -> int:
    return sum([len(raw) for raw in raws if raw])


def _fits(item: _Waiting, answer: Sequence[bytes]) -> bool:
    """Is this what was asked for?"""
    asked = [(item.ids[place], item.proposal.tag(place)) for place in item.missing]
    is_small = _size(item.raws) + _size(answer) <= LARGEST.max_block_bytes
    return is_small and [(id_of(raw), raw[TAG]) for raw in answer] == asked


def _whole(proposal: CompactProposal, raws: Sequence[bytes | None]) -> Proposal:
    """All of `raws` are there."""
    transactions = tuple([raw for raw in raws if raw is not None])
    return Proposal(vote=proposal.vote, block=Block(header=proposal.header, transactions=transactions))
