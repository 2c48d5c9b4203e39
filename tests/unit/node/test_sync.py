"""Catching up: every block checked, bad peers passed over, bounded on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from consensus.block import Block, Header
from consensus.codec import decode, encode
from consensus.errors import ProtocolViolation
from consensus.merkle import rfc6962_root
from consensus.messages import CommitCertificate, Domain, Phase
from consensus.quorum import Member, MemberSet
from consensus.types import Digest, Height, ReplicaId, View
from node.crypto import SigningKey, VoteVerifier
from node.sync import Sync, SyncSettings
from node.sync_messages import Announce, RangeReply, RangeRequest, SyncedBlock, SyncMessage

KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
MEMBERS = MemberSet(epoch=0, members=tuple(Member(name=n, key=k.public) for n, k in zip("abcd", KEYS, strict=True)))
GENESIS = Digest(bytes(range(32)))
DOMAIN = Domain(genesis=GENESIS, epoch=0, members=MEMBERS.digest)
VERIFY = VoteVerifier()


def certify(block: Block, signers: tuple[int, ...] = (0, 1, 2)) -> CommitCertificate:
    votes = tuple(
        (
            ReplicaId(index),
            KEYS[index].sign(DOMAIN.vote(Phase.COMMIT, View(0), block.height, block.digest, ReplicaId(index))),
        )
        for index in signers
    )
    return CommitCertificate(view=View(0), height=block.height, digest=block.digest, signatures=votes)


def make_chain(length: int) -> list[SyncedBlock]:
    chain: list[SyncedBlock] = []
    parent = Digest(bytes(32))
    for height in range(1, length + 1):
        transactions = (b"transaction %d" % height,)
        header = Header(
            genesis=GENESIS,
            epoch=0,
            height=Height(height),
            time_ms=height,
            parent=parent,
            transaction_count=len(transactions),
            transactions_root=rfc6962_root(transactions),
            receipts_root=Digest(bytes(32)),
            state_root=Digest(bytes(32)),
            members=MEMBERS.digest,
        )
        block = Block(header=header, transactions=transactions)
        chain.append(SyncedBlock(block=block, certificate=certify(block)))
        parent = block.digest
    return chain


CHAIN = make_chain(60)


class Store:
    """The committed chain of one node."""

    def __init__(self, chain: list[SyncedBlock]) -> None:
        self.chain = list(chain)

    @property
    def height(self) -> Height:
        return Height(len(self.chain))

    def block_at(self, height: int) -> Block | None:
        return self.chain[height - 1].block if 1 <= height <= len(self.chain) else None

    def certificate_at(self, height: int) -> CommitCertificate | None:
        return self.chain[height - 1].certificate if 1 <= height <= len(self.chain) else None


class Side:
    """One node's sync; what it sends lands in `sent`, what it delivers is committed at once."""

    def __init__(self, chain: list[SyncedBlock], *, commits: bool = True, **settings: int) -> None:
        self.store = Store(chain)
        self.sent: list[tuple[int, SyncMessage]] = []
        self.delivered: list[int] = []
        self.commits = commits
        self.now_ms = 1_000
        self.sync = Sync(
            chain=self.store,
            members=MEMBERS,
            domain=DOMAIN,
            verify=VERIFY,
            send=self.send,
            deliver=self.deliver,
            describe=lambda: (View(3), True, True),
            settings=SyncSettings(**settings),
            window=8,
        )

    def send(self, replica: ReplicaId, payload: bytes) -> bool:
        self.sent.append((replica, decode(SyncMessage, payload)))  # type: ignore[arg-type]
        return True

    def deliver(self, block: Block, certificate: CommitCertificate) -> None:
        self.delivered.append(block.height)
        if self.commits:
            assert block.height == self.store.height + 1
            self.store.chain.append(SyncedBlock(block=block, certificate=certificate))

    async def hears(self, replica: int, height: int) -> None:
        certificate = CHAIN[height - 1].certificate
        await self.says(replica, announce(height, certificate))

    async def says(self, replica: int, message: SyncMessage) -> None:
        await self.sync.received(ReplicaId(replica), encode(message))

    def tick(self, milliseconds: int = 100) -> None:
        self.now_ms += milliseconds
        self.sync.tick(self.now_ms)

    def requests(self) -> list[tuple[int, RangeRequest]]:
        """Requests sent since the last call."""
        found = [(replica, message) for replica, message in self.sent if isinstance(message, RangeRequest)]
        self.sent.clear()
        return found


def announce(height: int, certificate: CommitCertificate | None) -> Announce:
    return Announce(height=height, view=2, is_active=True, is_voting=True, certificate=certificate)


def reply(request: RangeRequest, blocks: list[SyncedBlock] | None = None) -> RangeReply:
    span = CHAIN[request.first - 1 : request.first - 1 + request.count]
    return RangeReply(number=request.number, blocks=tuple(span if blocks is None else blocks))


def behind(*peers: int, height: int = 60, buffered_bytes: int = 33_554_432) -> Side:
    side = Side([], blocks_per_request=10, buffered_bytes=buffered_bytes)
    for peer in peers:
        side.sync.connected(ReplicaId(peer))
        asyncio.run(side.hears(peer, height))
    side.sent.clear()
    return side


def test_two_nodes_exchange_a_chain() -> None:
    """The real thing on both ends, messages carried by hand."""
    ahead, late = Side(CHAIN), Side([], blocks_per_request=10)

    async def carry() -> None:
        for _ in range(200):
            late.tick()
            ahead.tick()
            for source, target, number in ((ahead, late, 1), (late, ahead, 0)):
                messages, source.sent = source.sent, []
                for _, message in messages:
                    await target.says(number, message)
            if late.store.height == 60:
                return

    ahead.sync.connected(ReplicaId(0))
    late.sync.connected(ReplicaId(1))
    asyncio.run(carry())
    assert late.store.chain == CHAIN
    assert late.sync.fetched == 60 and late.sync.behind == 0


def test_ranges_are_spread_over_peers_and_arrive_in_any_order() -> None:
    side = behind(1, 2, 3)
    side.tick()
    requests = side.requests()
    assert [request.first for _, request in requests] == [1, 11, 21, 31, 41, 51]
    assert sorted(replica for replica, _ in requests) == [1, 1, 2, 2, 3, 3]
    for replica, request in reversed(requests):
        asyncio.run(side.says(replica, reply(request)))
    assert side.delivered == list(range(1, 61))


def test_claimed_height_without_certificate_counts_for_nothing() -> None:
    side = Side([])
    side.sync.connected(ReplicaId(1))
    asyncio.run(side.says(1, announce(10**9, None)))
    assert side.sync.target == 0
    certificate = CHAIN[9].certificate
    short = msgspec.structs.replace(certificate, signatures=certificate.signatures[:2])
    for lie in (announce(11, certificate), announce(10, short)):
        with pytest.raises(ProtocolViolation):
            asyncio.run(side.says(1, lie))
    assert side.sync.target == 0
    asyncio.run(side.hears(1, 10))
    assert (side.sync.target, side.sync.behind) == (10, 10)
    assert side.sync.peers[ReplicaId(1)].view == 2


def test_small_gap_is_left_to_the_core_for_a_moment() -> None:
    side = Side(CHAIN[:55], blocks_per_request=10)
    side.sync.connected(ReplicaId(1))
    side.sync.committed(side.now_ms)
    asyncio.run(side.hears(1, 60))
    side.tick(100)
    assert side.requests() == []
    side.tick(300)
    assert [(r.first, r.count) for _, r in side.requests()] == [(56, 5)]


def damaged(change: Callable[[SyncedBlock], SyncedBlock], request: RangeRequest) -> RangeReply:
    good = reply(request)
    return RangeReply(number=request.number, blocks=(good.blocks[0], change(good.blocks[1]), *good.blocks[2:]))


def _other_body(item: SyncedBlock) -> SyncedBlock:
    block = msgspec.structs.replace(item.block, transactions=(b"forged",))
    return SyncedBlock(block=block, certificate=item.certificate)


def _other_certificate(item: SyncedBlock) -> SyncedBlock:
    return SyncedBlock(block=item.block, certificate=CHAIN[0].certificate)


def _bad_signature(item: SyncedBlock) -> SyncedBlock:
    signatures = ((ReplicaId(0), CHAIN[0].certificate.signatures[0][1]), *item.certificate.signatures[1:])
    return SyncedBlock(block=item.block, certificate=msgspec.structs.replace(item.certificate, signatures=signatures))


def _repeated_block(item: SyncedBlock) -> SyncedBlock:
    return CHAIN[0]


def _other_header(item: SyncedBlock) -> SyncedBlock:
    header = msgspec.structs.replace(item.block.header, state_root=Digest(b"\x01" * 32))
    return SyncedBlock(block=Block(header=header, transactions=item.block.transactions), certificate=item.certificate)


@pytest.mark.parametrize(
    "change",
    [_other_body, _other_certificate, _bad_signature, _repeated_block, _other_header],
    ids=lambda c: c.__name__,
)
def test_false_block_is_refused_and_another_peer_is_asked(change: Callable[[SyncedBlock], SyncedBlock]) -> None:
    side = behind(1, 2)
    side.tick()
    requests = side.requests()
    liar, request = next((replica, r) for replica, r in requests if r.first == 1)
    with pytest.raises(ProtocolViolation, match="synced block 2"):
        asyncio.run(side.says(liar, damaged(change, request)))
    assert all(height == 1 for height in side.delivered)
    # What the other peer was asked for comes; what the liar owes is asked of the other one.
    for _ in range(10):
        side.tick()
        for replica, wanted in requests:
            if replica != liar:
                asyncio.run(side.says(replica, reply(wanted)))
        requests = side.requests()
        assert all(replica != liar for replica, _ in requests)
    assert side.store.chain[:10] == CHAIN[:10]


async def test_what_is_missing_is_asked_for_as_soon_as_a_peer_has_shown_it() -> None:
    side = Side([])
    side.sync.connected(ReplicaId(1))
    await side.hears(1, 60)
    assert side.requests() == [], "without a time there is no deadline"
    behind = Side([], blocks_per_request=10)
    behind.sync.connected(ReplicaId(1))
    behind.tick()
    await behind.hears(1, 60)
    assert [request.first for _, request in behind.requests()] == [1, 11]
    behind.tick(4_900)
    assert behind.requests() == [], "the time for an answer counts from the last tick"


async def test_a_small_gap_is_left_to_the_core_when_a_peer_shows_it() -> None:
    """After a quiet time too, when the last block is long ago and the next one is on its way."""
    side = Side(CHAIN[:10])
    side.sync.connected(ReplicaId(1))
    side.tick(10_000)
    await side.hears(1, 11)
    assert side.requests() == []
    side.tick()
    assert [request.first for _, request in side.requests()] == [11]


@pytest.mark.parametrize("leavers", [(0,), (0, 1)])
async def test_peers_that_leave_before_each_deadline_do_not_hold_up_sync(leavers: tuple[int, ...]) -> None:
    """They are the first to be asked, never answer, and call again at once."""
    side = Side([], blocks_per_request=10)
    side.tick()
    for replica in (*leavers, 2, 3):
        side.sync.connected(ReplicaId(replica))
        await side.hears(replica, 60)
    for step in range(600):
        while asked := [(replica, request) for replica, request in side.requests() if replica not in leavers]:
            for replica, request in asked:
                await side.says(replica, reply(request))
        side.tick()
        if step % 45 == 44:
            for leaver in leavers:
                side.sync.disconnected(ReplicaId(leaver))
                side.sync.connected(ReplicaId(leaver))
                await side.hears(leaver, 60)
    assert side.store.height == 60


def test_commits_between_ticks_take_nothing_from_what_a_peer_may_be_sent() -> None:
    side = Side(CHAIN, serve_bytes_per_second=1_000_000)
    side.tick()
    side.sync.connected(ReplicaId(1))
    side.sync.peers[ReplicaId(1)].allowance = 0
    for _ in range(5):
        side.sync.committed(side.now_ms + 99)
        side.tick()
    assert side.sync.peers[ReplicaId(1)].allowance == 500_000


def test_silent_peer_is_passed_over_after_its_deadline() -> None:
    side = behind(1, 2)
    side.tick()
    first = asked = side.requests()
    while any(replica == 2 for replica, _ in asked):
        for replica, request in asked:
            if replica == 2:
                asyncio.run(side.says(2, reply(request)))
        asked = side.requests()
    side.tick(5_100)
    again = side.requests()
    owed = {r.first for replica, r in first if replica == 1}
    assert owed <= {r.first for _, r in again}
    assert {replica for replica, _ in again} == {2}
    # A late answer of the first one changes nothing.
    late = next(r for replica, r in first if replica == 1)
    before = list(side.delivered)
    asyncio.run(side.says(1, reply(late)))
    assert side.delivered == before


def test_empty_or_short_answer_leads_to_another_request() -> None:
    side = behind(1, 2, height=10)
    side.tick()
    ((peer, request),) = side.requests()
    asyncio.run(side.says(peer, reply(request, [])))
    ((other, again),) = side.requests()
    assert other != peer and again.first == 1
    asyncio.run(side.says(other, reply(again, CHAIN[:4])))
    assert side.delivered == [1, 2, 3, 4]
    ((_, rest),) = side.requests()
    assert (rest.first, rest.count) == (5, 6)
    with pytest.raises(ProtocolViolation, match="more blocks"):
        asyncio.run(side.says(other, reply(rest, CHAIN[4:20])))


def test_peer_that_leaves_frees_its_ranges() -> None:
    side = behind(1, 2)
    side.tick()
    side.requests()
    side.sync.disconnected(ReplicaId(1))
    side.sync.disconnected(ReplicaId(2))
    side.sync.connected(ReplicaId(3))
    asyncio.run(side.hears(3, 60))
    side.tick()
    assert [r.first for _, r in side.requests()] == [1, 11]


def test_buffer_bounds_what_is_asked_for() -> None:
    side = behind(1, 2, 3, buffered_bytes=250_000)
    side.tick()
    assert [r.first for _, r in side.requests()] == [1, 11], "20 kB a block until it knows better"


def test_blocks_the_core_does_not_take_are_delivered_again() -> None:
    side = Side([], commits=False, blocks_per_request=10)
    side.sync.connected(ReplicaId(1))
    asyncio.run(side.hears(1, 5))
    side.tick()
    ((_, request),) = side.requests()
    asyncio.run(side.says(1, reply(request)))
    assert side.delivered == [1, 2, 3, 4, 5]
    side.tick(6_000)
    assert [r.first for _, r in side.requests()] == [1]


def test_serving_is_bounded_in_bytes_and_rate() -> None:
    side = Side(CHAIN, response_bytes=3_000, serve_bytes_per_second=8_000)
    side.sync.connected(ReplicaId(2))
    side.sent.clear()
    ask = RangeRequest(number=7, first=1, count=60)
    asyncio.run(side.says(2, ask))
    (first,) = [message for _, message in side.sent if isinstance(message, RangeReply)]
    assert 1 <= len(first.blocks) < 10 and first.number == 7
    assert first.blocks == tuple(CHAIN[: len(first.blocks)])
    for number in range(8, 20):
        asyncio.run(side.says(2, RangeRequest(number=number, first=1, count=60)))
    assert len(side.sent) == 1, "put off until the allowance is back"
    for _ in range(60):
        side.tick(100)
    assert [m.number for _, m in side.sent if isinstance(m, RangeReply)] == [7, 8, 9], "and only a few are kept"


@pytest.mark.parametrize(("first", "count"), [(0, 1), (1, 0), (1, 10_001), (-5, 3)])
def test_senseless_request_is_a_violation(first: int, count: int) -> None:
    side = Side(CHAIN)
    side.sync.connected(ReplicaId(2))
    with pytest.raises(ProtocolViolation):
        asyncio.run(side.says(2, RangeRequest(number=1, first=first, count=count)))


def test_request_beyond_the_chain_gets_an_empty_answer() -> None:
    side = Side(CHAIN)
    side.sync.connected(ReplicaId(2))
    asyncio.run(side.says(2, RangeRequest(number=1, first=61, count=5)))
    assert side.sent[-1] == (2, RangeReply(number=1, blocks=()))


def test_certificate_is_shown_once_per_height_and_connection() -> None:
    side = Side(CHAIN)
    side.sync.connected(ReplicaId(1))
    side.sync.announce()
    announced = [message for _, message in side.sent if isinstance(message, Announce)]
    assert [message.certificate is not None for message in announced] == [True, False]
    assert announced[0].height == 60 and announced[0].view == 3


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\x91\x01", b"\x95\x01\x01\x01\xc3\xc3", b"\xdd\xff\xff\xff\xff"])
def test_garbage_is_a_violation(payload: bytes) -> None:
    side = Side([])
    side.sync.connected(ReplicaId(1))
    with pytest.raises(ProtocolViolation):
        asyncio.run(side.sync.received(ReplicaId(1), payload))
