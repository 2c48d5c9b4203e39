"""Consensus between the nodes: what the driver says goes out, what peers say comes into its inbox.

A proposal goes out compact (`compact.py`) where that saves something. Those of its transactions that gossip has
still to tell a peer go before it, so each crosses each connection once, however much else waits there. Who had to
ask for most of a proposal, having been away perhaps, gets the next ones whole.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from consensus.block import Block
from consensus.codec import encode
from consensus.errors import DecodeError
from consensus.messages import BlockRequest, Message, Proposal
from consensus.types import Digest, ReplicaId
from node.compact import (
    CompactProposal,
    TransactionsReply,
    TransactionsRequest,
    compact,
    decode_peer_message,
    saved_bytes,
)
from node.frames import Channel, Split
from node.gossip import splitter
from node.guard import RequestGuard
from node.known import KnownTransactions
from node.link import steady_ms
from node.rebuilder import Rebuilder

if TYPE_CHECKING:
    from node.node import Node

LEAST_SAVED: Final = 4_096
"""Bytes. Less is not worth that a transaction may be missing; at 258 bytes for each it is 19 of them."""
_LONG_MS: Final = 1
_WHOLE_AFTER_MISSES: Final = 16
"""Whole proposals for a peer that had to ask for most of one."""


class Wires(Protocol):
    """What this needs of the transport."""

    def connected(self) -> list[ReplicaId]: ...

    def send(self, replica: ReplicaId, channel: Channel, payload: bytes) -> bool: ...

    def broadcast(self, channel: Channel, payload: bytes) -> None: ...

    def hurry(self, replica: ReplicaId, channel: Channel, split: Split) -> None: ...

    def misbehaved(self, replica: ReplicaId, reason: str) -> None: ...


class _Offer(msgspec.Struct, frozen=True):
    """A block that was proposed in the compact form."""

    block: Block
    may_ask: set[ReplicaId]
    """Who got it so and has not asked yet: each may once."""


class ConsensusChannel:
    """Both directions for one node; the driver's `Outgoing`."""

    def __init__(
        self,
        *,
        wires: Wires,
        rebuilder: Rebuilder,
        post: Callable[[ReplicaId, Message, int], Awaitable[None]],
        ids: Callable[[Sequence[bytes]], list[bytes]],
        tell_gossip: Callable[[], None],
        offers: int,
    ) -> None:
        """`post`: into the inbox; waits while it is full. `ids`: of transactions, in order. `tell_gossip`: have gossip
        queue what it has. `offers`: the last so many proposals can be asked about."""
        self._wires = wires
        self.rebuilder = rebuilder
        self._post = post
        self._ids = ids
        self._tell_gossip = tell_gossip
        self._offers_max = offers
        self._offers: OrderedDict[Digest, _Offer] = OrderedDict()
        self._whole: Counter[ReplicaId] = Counter()
        """How many proposals each peer still gets whole."""
        self._requests = RequestGuard()
        self.counters: Counter[str] = Counter()

    # Out

    def send(self, replica: ReplicaId, message: Message) -> None:
        self._wires.send(replica, Channel.CONSENSUS, encode(message))

    def broadcast(self, message: Message) -> None:
        if isinstance(message, Proposal) and saved_bytes(message.block.transactions) >= LEAST_SAVED:
            self._propose(message)
        else:
            self._wires.broadcast(Channel.CONSENSUS, encode(message))

    def misbehaved(self, replica: ReplicaId, reason: str) -> None:
        self._wires.misbehaved(replica, reason)

    def _propose(self, proposal: Proposal) -> None:
        block = proposal.block
        self._tell_gossip()
        short = encode(compact(proposal, self._ids(block.transactions)))
        whole: bytes | None = None
        offer = self._offers[block.digest] = _Offer(block, set())
        while len(self._offers) > self._offers_max:
            self._offers.popitem(last=False)
        split = splitter(set(block.transactions))
        for replica in self._wires.connected():
            if self._whole[replica]:
                self._whole[replica] -= 1
                self.counters["whole"] += 1
                whole = whole or encode(proposal)
                self._wires.send(replica, Channel.CONSENSUS, whole)
            else:
                self.counters["compact"] += 1
                offer.may_ask.add(replica)
                self._wires.hurry(replica, Channel.TRANSACTIONS, split)
                self._wires.send(replica, Channel.CONSENSUS, short)

    # In

    async def received(self, replica: ReplicaId, payload: bytes) -> None:
        """Take in a peer's message. Raises DecodeError."""
        now_ms = steady_ms()
        message = decode_peer_message(payload)
        for_core: Sequence[Message]
        match message:
            case CompactProposal():
                for_core = self.rebuilder.received(replica, message, now_ms)
                if steady_ms() > now_ms + _LONG_MS:
                    await asyncio.sleep(0)  # it was searched for; a frame of many such must not hold up the others
            case TransactionsReply():
                for_core = self.rebuilder.answered(replica, message)
            case TransactionsRequest():
                self._answer(replica, message)
                return
            case BlockRequest() if not self._requests.allows(replica, now_ms):
                if self._requests.is_flood(replica):
                    self.misbehaved(replica, "asks for blocks faster than it can need them")
                return
            case _:
                for_core = (*self.rebuilder.overdue(replica, now_ms), message)
        for item in for_core:
            # What it takes in memory, of which a compact form is the smaller part.
            body = sum(map(len, item.block.transactions)) if isinstance(item, Proposal) else 0
            await self._post(replica, item, max(len(payload), body))

    def disconnected(self, replica: ReplicaId) -> None:
        self.rebuilder.forget(replica)

    def _answer(self, replica: ReplicaId, request: TransactionsRequest) -> None:
        offer = self._offers.get(request.digest)
        if offer is None:
            # Too long ago; no answer at all would cost the peer a timeout.
            self._reply(replica, request.digest, ())
            return
        transactions = offer.block.transactions
        if not request.fits(len(transactions)):
            raise DecodeError("a request for transactions that the block does not have")
        if replica not in offer.may_ask:
            self.misbehaved(replica, "asks again for transactions of a block, or for those of a whole one")
            return
        offer.may_ask.discard(replica)
        if 2 * len(request.missing) > len(transactions):
            self._whole[replica] = _WHOLE_AFTER_MISSES
        self.counters["answered"] += 1
        self._reply(replica, request.digest, tuple(transactions[place] for place in request.missing))

    def _reply(self, replica: ReplicaId, digest: Digest, transactions: tuple[bytes, ...]) -> None:
        payload = encode(TransactionsReply(digest=digest, transactions=transactions))
        self._wires.send(replica, Channel.CONSENSUS, payload)


def consensus_channel(node: Node) -> ConsensusChannel:
    """Of a node whose other parts, up to the driver, are there."""
    settings = node.config.consensus
    rebuilder = Rebuilder(
        members=node.members,
        window=settings.window,
        # As long as the core takes to repeat what is open.
        answer_ms=settings.view_timeout_ms // 2,
        position=lambda: (node.replica.view, node.replica.tip.height),
        find=KnownTransactions(node.mempool, node.gossip.find).find,
        ask=lambda replica, request: node.transport.send(replica, Channel.CONSENSUS, encode(request)),
        misbehaved=node.transport.misbehaved,
    )
    return ConsensusChannel(
        wires=node.transport,
        rebuilder=rebuilder,
        post=lambda replica, message, size: node.driver.inbox.post_received(replica, message, size),
        ids=lambda raws: [node.verifier.decode(raw).id for raw in raws],
        tell_gossip=node.gossip.flush,
        offers=2 * settings.window,
    )
