"""Block sync: always on, in the background, from several peers at once.

Each peer says how far it is and shows the certificate of its last block: a height without one counts for
nothing. A node that is behind asks several peers for different ranges, checks every block against its own
certificate, and hands them to the core in order. Who sends something false, or nothing, is passed over for a
while and somebody else is asked. Small gaps are left to the core, which repairs them faster.

No clock and no sockets here: `tick` is called regularly, messages go out through `send`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from consensus.block import Block
from consensus.certificates import commit_signatures, verify_commit_certificate
from consensus.codec import MAX_MESSAGE_BYTES, decode, encode
from consensus.errors import ProtocolViolation
from consensus.messages import CommitCertificate, Domain
from consensus.quorum import MemberSet
from consensus.types import Height, ReplicaId, View
from node.crypto import VoteVerifier
from node.sync_messages import Announce, RangeReply, RangeRequest, SyncedBlock, SyncMessage

PATIENCE_MS: Final = 300
"""A gap that the core has not closed after this long is fetched."""
_PASSED_OVER_MS: Final = 5_000
_REQUESTS_PER_PEER: Final = 2
_BUFFERED_BLOCKS: Final = 1_024
"""Blocks fetched or asked for above those given to the core; also bounded in bytes."""
_DELIVERED_AHEAD: Final = 128
"""Blocks given to the core that it has not committed yet."""
_SLICE: Final = 16
"""Blocks checked or read before others get the event loop."""
_FIRST_GUESS_BYTES: Final = 20_000
_CERTIFICATE_BYTES: Final = 512
_COST_PER_BLOCK: Final = 4_096
"""Bytes that even the smallest block counts for when it is served: reading it costs as much as sending these."""


class SyncSettings(msgspec.Struct, frozen=True, kw_only=True):
    """See `SyncSection` in config.py."""

    response_bytes: int = 1_000_000
    blocks_per_request: int = 100
    request_timeout_ms: int = 5_000
    buffered_bytes: int = 33_554_432
    serve_bytes_per_second: int = 16_777_216


class Chain(Protocol):
    """The committed chain, as sync reads it."""

    @property
    def height(self) -> Height: ...

    def block_at(self, height: int) -> Block | None: ...

    def certificate_at(self, height: int) -> CommitCertificate | None: ...


class PeerStatus(msgspec.Struct, kw_only=True):
    """What a peer last said about itself; `height` is proved by a certificate, the rest is its word."""

    height: int = 0
    view: View = View(0)
    is_active: bool = False
    is_voting: bool = False
    shown: int = 0
    """Own height whose certificate this peer has been shown."""
    requests: int = 0
    """Ranges it was asked for and has not sent."""
    allowance: int = 0
    """Bytes it may still be sent now."""
    waiting: list[RangeRequest] = []


class _Request(msgspec.Struct, kw_only=True):
    peer: ReplicaId
    first: int
    count: int
    deadline_ms: int


class _Ready(msgspec.Struct, frozen=True):
    item: SyncedBlock
    size: int
    peer: ReplicaId


class Sync:
    """Both sides of sync for one node. Times are milliseconds of a steady clock."""

    def __init__(
        self,
        *,
        chain: Chain,
        members: MemberSet,
        domain: Domain,
        verify: VoteVerifier,
        send: Callable[[ReplicaId, bytes], bool],
        deliver: Callable[[Block, CommitCertificate], None],
        describe: Callable[[], tuple[View, bool, bool]],
        settings: SyncSettings,
        window: int,
    ) -> None:
        """`deliver` hands a checked block to the core; `describe` gives own view, is active, is voting."""
        self._chain = chain
        self._members = members
        self._domain = domain
        self._verify = verify
        self._send = send
        self._deliver = deliver
        self._describe = describe
        self._settings = settings
        self._window = window
        self.peers: dict[ReplicaId, PeerStatus] = {}
        self._passed_over_until_ms: dict[ReplicaId, int] = {}  # outlives connections
        self._allowances: dict[ReplicaId, int] = {}  # of peers that are away: calling again brings no new one
        self._requests: OrderedDict[int, _Request] = OrderedDict()
        self._ready: dict[int, _Ready] = {}
        self._ready_bytes = 0
        self._block_bytes = _FIRST_GUESS_BYTES
        self._numbers = 0
        self._tip = int(chain.height)
        self._delivered = int(chain.height)
        self._moved_ms = 0
        self._now_ms = 0
        self._refilled_ms = 0
        self._highest = 0
        self.fetched = 0
        """Blocks taken in by sync since the start."""

    # Reading

    @property
    def target(self) -> int:
        """The highest height that a certificate has proved."""
        return max(self._highest, self._chain.height)

    @property
    def behind(self) -> int:
        """Blocks that others have and this node has not."""
        return max(0, self.target - self._chain.height)

    # Events

    def connected(self, replica: ReplicaId) -> None:
        self.disconnected(replica)  # the connection that this one replaces, if any
        allowance = self._allowances.pop(replica, self._settings.serve_bytes_per_second)
        self.peers[replica] = PeerStatus(allowance=allowance, waiting=[])
        self._announce(replica)

    def disconnected(self, replica: ReplicaId) -> None:
        peer = self.peers.pop(replica, None)
        if peer is not None:
            self._allowances[replica] = peer.allowance
        owed = [(number, request) for number, request in self._requests.items() if request.peer == replica]
        for number, request in owed:
            asked_ms = request.deadline_ms - self._settings.request_timeout_ms
            # Who goes after a while without an answer is as good as late. One just asked may have been called twice.
            self._give_up(number, late=self._now_ms - asked_ms >= PATIENCE_MS)
        if owed:
            # Before it is back: else leaving before each deadline keeps the lowest range from all others for ever.
            self._fetch()

    def reported(self, height: int) -> None:
        """The core saw a certificate for `height`."""
        self._highest = max(self._highest, height)

    def committed(self, now_ms: int) -> None:
        """The chain has grown, by sync or by agreement."""
        self._now_ms = self._moved_ms = now_ms
        before, self._tip = self._tip, int(self._chain.height)
        self._delivered = max(self._delivered, self._tip)
        if not (self._ready or self._requests):
            return
        for height in range(before + 1, self._tip + 1):
            ready = self._ready.pop(height, None)
            if ready is not None:
                self._ready_bytes -= ready.size
        self._pump()
        if self._covered() < _BUFFERED_BLOCKS // 2:
            self._fetch()

    def tick(self, now_ms: int) -> None:
        """Time has passed: give up on late answers, serve who was put off, ask for what is missing."""
        self._now_ms = now_ms
        for request in [r for r in self._requests.items() if r[1].deadline_ms <= now_ms]:
            self._give_up(request[0], late=True)
        if self._delivered > self._chain.height and now_ms - self._moved_ms > self._settings.request_timeout_ms:
            # The core did not take what it was given; it may have been dropped at a restart of sync.
            self._delivered = int(self._chain.height)
        self._refill(now_ms)
        self._pump()
        self._fetch()

    def announce(self) -> None:
        """Tell every peer where this node stands."""
        for replica in self.peers:
            self._announce(replica)

    async def received(self, replica: ReplicaId, payload: bytes) -> None:
        """A message of the sync channel. Raises ProtocolViolation for what no honest peer sends."""
        message: SyncMessage = decode(SyncMessage, payload, MAX_MESSAGE_BYTES)  # type: ignore[arg-type]
        peer = self.peers.get(replica)
        if peer is None:
            return
        match message:
            case Announce():
                self._heard(peer, message)
            case RangeRequest():
                await self._asked(replica, peer, message)
            case RangeReply():
                await self._answered(replica, peer, message, len(payload))

    # Where peers stand

    def _announce(self, replica: ReplicaId) -> None:
        peer, height = self.peers[replica], self._chain.height
        view, is_active, is_voting = self._describe()
        certificate = self._chain.certificate_at(height) if height > peer.shown else None
        message = Announce(height=height, view=view, is_active=is_active, is_voting=is_voting, certificate=certificate)
        if self._send(replica, encode(message)):
            peer.shown = height

    def _heard(self, peer: PeerStatus, message: Announce) -> None:
        peer.view, peer.is_active, peer.is_voting = View(message.view), message.is_active, message.is_voting
        certificate = message.certificate
        if certificate is None or certificate.height <= peer.height:
            return
        if certificate.height != message.height:
            raise ProtocolViolation("a height that its certificate does not prove")
        if not verify_commit_certificate(certificate, self._members, self._domain, self._verify):
            raise ProtocolViolation("an announced certificate that proves nothing")
        peer.height = certificate.height
        self._highest = max(self._highest, peer.height)
        if self._now_ms and self.behind > self._window:  # before the first tick no deadline can be set
            self._fetch()

    # Fetching

    def _is_needed(self) -> bool:
        behind = self.target - self._chain.height
        return behind > self._window or (behind > 0 and self._now_ms - self._moved_ms >= PATIENCE_MS)

    def _covered(self) -> int:
        """Blocks that are here or asked for."""
        return len(self._ready) + sum(request.count for request in self._requests.values())

    def _fetch(self) -> None:
        """Ask idle peers for the lowest ranges that nobody was asked for, as far as the buffer allows."""
        if not (self._is_needed() or self._requests or self._ready):
            return
        settings = self._settings
        promised = sum(request.count for request in self._requests.values()) * self._block_bytes
        height = self._delivered + 1
        room = _BUFFERED_BLOCKS - self._covered()
        while room > 0 and height <= self.target and self._ready_bytes + promised < settings.buffered_bytes:
            covering = self._covering(height)
            if covering is not None:
                height = covering
                continue
            peer = self._idle_peer(height)
            if peer is None:
                return
            count = 1
            while count < settings.blocks_per_request and height + count <= self.peers[peer].height:
                if self._covering(height + count) is not None:
                    break
                count += 1
            self._numbers += 1
            if not self._send(peer, encode(RangeRequest(number=self._numbers, first=height, count=count))):
                self._passed_over_until_ms[peer] = self._now_ms + _PASSED_OVER_MS
                continue
            deadline = self._now_ms + settings.request_timeout_ms
            self._requests[self._numbers] = _Request(peer=peer, first=height, count=count, deadline_ms=deadline)
            self.peers[peer].requests += 1
            promised += count * self._block_bytes
            room -= count
            height += count

    def _covering(self, height: int) -> int | None:
        """The height after a block that is here, or after a range that was asked for; None if neither."""
        if height in self._ready:
            return height + 1
        for request in self._requests.values():
            if request.first <= height < request.first + request.count:
                return request.first + request.count
        return None

    def _idle_peer(self, height: int) -> ReplicaId | None:
        able = [
            (peer.requests, replica)
            for replica, peer in self.peers.items()
            if peer.height >= height
            and peer.requests < _REQUESTS_PER_PEER
            and self._passed_over_until_ms.get(replica, 0) <= self._now_ms
        ]
        return min(able)[1] if able else None

    def _give_up(self, number: int, *, late: bool) -> None:
        request = self._requests.pop(number)
        peer = self.peers.get(request.peer)
        if peer is not None:
            peer.requests -= 1
        if late:
            self._passed_over_until_ms[request.peer] = self._now_ms + _PASSED_OVER_MS

    async def _answered(self, replica: ReplicaId, peer: PeerStatus, reply: RangeReply, size: int) -> None:
        request = self._requests.get(reply.number)
        if request is None or request.peer != replica:
            return  # too late: somebody else was asked
        if len(reply.blocks) > request.count:
            raise ProtocolViolation("more blocks than were asked for")
        if not reply.blocks:
            self._give_up(reply.number, late=True)
            self._fetch()
            return
        self._block_bytes = max(1, (3 * self._block_bytes + size // len(reply.blocks)) // 4)
        each = size // len(reply.blocks)
        for offset, item in enumerate(reply.blocks):
            height = request.first + offset
            if offset % _SLICE == 0:
                self._check_together(reply.blocks[offset : offset + _SLICE])
            fault = None if height <= self._chain.height else self._fault(item, height)
            if fault is not None:
                self._give_up(reply.number, late=True)
                raise ProtocolViolation(f"synced block {height}: {fault}")
            if height > self._delivered and height not in self._ready:
                self._ready[height] = _Ready(item, each, replica)
                self._ready_bytes += each
            if offset % _SLICE == _SLICE - 1:
                self._pump()
                await asyncio.sleep(0)
        if reply.number in self._requests:
            self._give_up(reply.number, late=False)
        self._pump()
        self._fetch()

    def _check_together(self, items: Sequence[SyncedBlock]) -> None:
        """The signatures of these certificates, as far as they are still needed; `_fault` then finds them checked."""
        self._verify.prepare(
            signed
            for item in items
            if item.certificate.height > self._chain.height
            for signed in commit_signatures(item.certificate, self._members, self._domain)
        )

    def _fault(self, item: SyncedBlock, height: int) -> str | None:
        block, certificate = item.block, item.certificate
        if block.height != height or certificate.height != height or certificate.digest != block.digest:
            return "not the block that was asked for, or not its certificate"
        if block.header.genesis != self._domain.genesis or not block.is_whole:
            return "a body that does not fit its header"
        if not verify_commit_certificate(certificate, self._members, self._domain, self._verify):
            return "a certificate that proves nothing"
        return None

    def _pump(self) -> None:
        """Give the core the next blocks in order, a bounded number ahead of what it has committed."""
        while self._delivered < self._chain.height + _DELIVERED_AHEAD:
            ready = self._ready.pop(self._delivered + 1, None)
            if ready is None:
                return
            self._ready_bytes -= ready.size
            self._delivered += 1
            self.fetched += 1
            self._deliver(ready.item.block, ready.item.certificate)

    # Serving

    def _refill(self, now_ms: int) -> None:
        elapsed_ms = now_ms - self._refilled_ms if self._refilled_ms else 0
        self._refilled_ms = now_ms
        rate = self._settings.serve_bytes_per_second
        for replica, peer in self.peers.items():
            peer.allowance = min(rate, peer.allowance + rate * elapsed_ms // 1000)
            if peer.waiting and peer.allowance > 0:
                request = peer.waiting.pop(0)
                self._send(replica, self._reply(peer, request))

    async def _asked(self, replica: ReplicaId, peer: PeerStatus, request: RangeRequest) -> None:
        if request.first < 1 or not 1 <= request.count <= 10_000:
            raise ProtocolViolation("a request for no blocks, or too many")
        if peer.allowance <= 0:
            if len(peer.waiting) < _REQUESTS_PER_PEER:
                peer.waiting.append(request)
            return
        self._send(replica, self._reply(peer, request))
        await asyncio.sleep(0)

    def _reply(self, peer: PeerStatus, request: RangeRequest) -> bytes:
        blocks: list[SyncedBlock] = []
        size = 0
        for height in range(request.first, request.first + request.count):
            block, certificate = self._chain.block_at(height), self._chain.certificate_at(height)
            if block is None or certificate is None:
                break
            size += _CERTIFICATE_BYTES + sum(len(transaction) for transaction in block.transactions)
            if blocks and size > self._settings.response_bytes:
                break
            blocks.append(SyncedBlock(block=block, certificate=certificate))
        reply = encode(RangeReply(number=request.number, blocks=tuple(blocks)))
        peer.allowance -= max(len(reply), _COST_PER_BLOCK * len(blocks))
        return reply
