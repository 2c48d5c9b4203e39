"""A peer with a valid key, or a stranger without one, that does its worst: the others go on, within bounds."""

from __future__ import annotations

import socket as sockets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import msgspec
import pytest
from aiohttp import web

from consensus.codec import encode
from consensus.events import Event, Received, Started, Timer, TimerFired
from consensus.messages import BlockRequest, Status
from consensus.types import Height, ReplicaId, View
from node.claims.transaction import encode_transaction
from node.frames import MAX_MESSAGES_PER_FRAME, Channel, encode_envelope
from node.gossip import SLICE, encode_batch
from node.guard import RequestGuard
from node.handshake import Dialer, Secrets
from node.inbox import Inbox
from node.transport import PEER_PATH
from tests.unit.node.nodes import Cluster, until
from tests.unit.node.pools import KEYS, Pool, transaction

HOSTILE = ReplicaId(3)


class Hostile:
    """Replica d, in the hands of somebody else: a proved connection to node a."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, secrets: Secrets) -> None:
        self.socket = socket
        self.secrets = secrets

    async def say(self, channel: Channel, *payloads: bytes) -> None:
        frame = encode_envelope([(channel, payload) for payload in payloads])
        await self.socket.send_bytes(self.secrets.outgoing.close(frame))


class Battle:
    """Nodes a, b and c are honest; d never starts."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.session = session
        self.a = cluster.nodes["a"]
        self.url = f"http://127.0.0.1:{cluster.ports[0]}{PEER_PATH}"

    async def connect(self) -> Hostile:
        socket = await self.session.ws_connect(self.url, max_msg_size=0)
        dialer = Dialer(self.cluster.node_keys[3], self.a.domain.genesis, self.cluster.node_keys[0].public)
        await socket.send_bytes(dialer.hello())
        proof, secrets = dialer.prove(await socket.receive_bytes())
        await socket.send_bytes(proof)
        return Hostile(socket, secrets)

    async def still_commits(self) -> None:
        item = self.cluster.enrol()
        assert await self.cluster.submit("a", [item]) == ["pending"]
        fates = await self.a.wait_final([item.id], 20)
        assert fates[0].state == "committed"
        assert all(node.failure is None for node in self.cluster.nodes.values())

    @property
    def is_banned(self) -> bool:
        return self.a.transport.peers[HOSTILE].penalties.is_banned(time.monotonic_ns() // 1_000_000)

    def connections(self) -> int:
        """Open connections of node a's client port."""
        runner = cast(web.AppRunner, self.a._listeners[0])
        assert runner.server is not None
        return len(runner.server.connections)


@asynccontextmanager
async def battle(folder: Path) -> AsyncIterator[Battle]:
    cluster = Cluster(folder)
    try:
        await cluster.start("a", "b", "c")
        await until(lambda: all(len(n.transport.connected()) == 2 for n in cluster.nodes.values()), "connected")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield Battle(cluster, session)
    finally:
        await cluster.stop()


async def test_flood_of_block_requests_is_answered_in_part_and_then_cut_off(tmp_path: Path) -> None:
    async with battle(tmp_path) as fight:
        await fight.still_commits()
        block = fight.a.blocks.block_at(1)
        assert block is not None
        asked: list[Event] = []
        take = fight.a.driver.inbox.take

        def spy() -> Event | None:
            event = take()
            if isinstance(event, Received) and isinstance(event.message, BlockRequest):
                asked.append(event)
            return event

        fight.a.driver.inbox.take = spy  # type: ignore[method-assign]
        hostile = await fight.connect()
        await hostile.say(Channel.CONSENSUS, *[encode(BlockRequest(digest=block.digest))] * MAX_MESSAGES_PER_FRAME)
        await until(lambda: fight.is_banned, "cut off")
        await fight.still_commits()
        assert 0 < len(asked) < 200


async def test_wrong_signatures_cost_their_teller_more_than_us(tmp_path: Path) -> None:
    async with battle(tmp_path) as fight:
        await fight.still_commits()
        forged = []
        for _ in range(1_000):
            item = fight.cluster.enrol(1)
            forged.append(encode_transaction(msgspec.structs.replace(item, signature=bytes(64))))
        before = fight.a.verifier.checked
        hostile = await fight.connect()
        for _ in range(5):
            await hostile.say(Channel.TRANSACTIONS, encode_batch(forged))
        await until(lambda: fight.a.gossip.dropped >= len(forged) - SLICE, "the rest is dropped unseen")
        await fight.still_commits()
        assert fight.a.transport.peers[HOSTILE].penalties.total > 1
        assert fight.a.verifier.checked - before <= 5 * SLICE + 10


def _is_stuck(fight: Battle) -> bool:
    link = fight.a.transport.peers[HOSTILE].link
    return link is not None and not link.is_closing and link.outbox.queued_bytes > 100_000


def _small_socket(info: aiohttp.AddrInfoType) -> sockets.socket:
    """One that holds little of what is not read."""
    family, kind, protocol, _, _ = info
    made = sockets.socket(family, kind, protocol)
    made.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
    return made


async def test_connections_that_are_never_read_are_gone_when_replaced(tmp_path: Path) -> None:
    """Closing alone would keep each one's buffers until its peer reads."""
    async with battle(tmp_path) as fight, AsyncExitStack() as stack:
        people = [fight.cluster.enrol(members=1_000) for _ in range(12)]
        await fight.cluster.submit("a", people)
        await fight.a.wait_final([item.id for item in people], 20)
        blocks = [fight.a.blocks.block_at(height) for height in range(1, fight.a.executor.tip.height + 1)]
        largest = max((b for b in blocks if b is not None), key=lambda block: sum(map(len, block.transactions)))
        before = fight.connections()
        connector = aiohttp.TCPConnector(limit=0, socket_factory=_small_socket)
        await fight.session.close()
        fight.session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        held = []
        for _ in range(3):
            hostile = await fight.connect()
            held.append(hostile)
            connection = hostile.socket._response.connection
            assert connection is not None and connection.protocol is not None
            connection.protocol.pause_reading()
            await hostile.say(Channel.CONSENSUS, *[encode(BlockRequest(digest=largest.digest))] * 10)
            await until(lambda: _is_stuck(fight), "it waits for a peer that does not read")
        await until(lambda: fight.connections() <= before + 1, "only the last is open")
        assert len(held) == 3
        await fight.still_commits()


async def test_peer_that_connects_over_and_over_is_refused_for_a_while(tmp_path: Path) -> None:
    async with battle(tmp_path) as fight:
        for _ in range(150):
            try:
                await (await fight.connect()).socket.close()
            except (aiohttp.ClientError, ConnectionError, TypeError):
                break
        assert fight.is_banned
        await fight.still_commits()


async def test_strangers_who_leave_handshakes_open_do_not_keep_peers_out(tmp_path: Path) -> None:
    open_for_ever = []
    async with battle(tmp_path) as fight, AsyncExitStack() as stack:
        for address in ("127.0.0.2", "127.0.0.3"):
            connector = aiohttp.TCPConnector(limit=0, local_addr=(address, 0))
            try:
                with sockets.socket() as probe:
                    probe.bind((address, 0))
            except OSError:
                pytest.skip("this system has one loopback address only")
            crowd = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            for _ in range(8):
                open_for_ever.append(await crowd.ws_connect(fight.url))
        hostile = await fight.connect()
        await until(lambda: HOSTILE in fight.a.transport.connected(), "taken in")
        assert not hostile.socket.closed and len(open_for_ever) == 16


async def test_peers_take_turns_and_own_events_keep_their_place() -> None:
    inbox = Inbox()

    def message(number: int) -> Status:
        return Status(view=View(0), height=Height(number), active=True)

    assert inbox.take() == Started()
    for number in range(4):
        await inbox.post_received(ReplicaId(1), message(number), 1)
    inbox.post(TimerFired(timer=Timer.PROGRESS))
    for number in range(2):
        await inbox.post_received(ReplicaId(2), message(number), 1)
    taken = []
    while (event := inbox.take()) is not None:
        taken.append((event.sender, event.message.height) if isinstance(event, Received) else "timer")  # type: ignore[union-attr]
    assert taken == [(1, 0), (2, 0), (1, 1), (2, 1), "timer", (1, 2), (1, 3)]
    assert not inbox and inbox.backlog(ReplicaId(1)) == 0


def test_requests_are_allowed_at_the_pace_of_an_honest_peer() -> None:
    guard = RequestGuard()
    assert sum(guard.allows(ReplicaId(1), 0) for _ in range(100)) == 32
    assert guard.allows(ReplicaId(2), 0)
    assert sum(guard.allows(ReplicaId(1), 500) for _ in range(100)) == 25


def test_what_is_put_aside_is_signed_and_kept_once() -> None:
    pool = Pool()
    early = transaction(0, 1_025)
    forged = encode_transaction(msgspec.structs.replace(early, signature=bytes(64)))
    pool.add(forged, from_peer=True)
    assert not pool.mempool.has_early
    pool.add(*[encode_transaction(early)] * 5, from_peer=True)
    assert pool.mempool._early_count == 1
    pool.commit(transaction(0, 1))
    assert pool.mempool.retry_early([KEYS[0].public], 1, 0) == 1
    assert pool.mempool._early_count == 0


def test_nothing_expires_while_a_block_in_flight_holds_it() -> None:
    """The block's time may lie before the transaction's end although this machine's clock has passed it."""
    pool = Pool()
    first, second = transaction(0, 1, valid_until_ms=100), transaction(1, 1, valid_until_ms=100)
    pool.add(encode_transaction(first), encode_transaction(second))
    assert pool.mempool.expire(150, {first.id}) == 1
    assert first.id in pool.mempool and pool.mempool.departure(first.id) is None
    assert pool.mempool.expire(200) == 1
    gone = pool.mempool.departure(first.id)
    assert gone is not None and gone.state == "expired"
