"""Connections between nodes: proved, repaired, bounded, and no peer can hurt another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from consensus.errors import ProtocolViolation
from consensus.quorum import Member, MemberSet
from consensus.types import Digest, ReplicaId
from node.crypto import SigningKey
from node.frames import LIMITS, MAX_FRAME_BYTES, MERGED_BYTES, Channel, Outbox, encode_envelope
from node.guard import Attempt, HandshakeGuard, LeakyBucket, Penalties
from node.handshake import Dialer, Secrets
from node.transport import PEER_PATH, Transport, TransportSettings
from tests.unit.node.nodes import free_port, until

GENESIS = Digest(bytes(range(32)))
KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 4)]
MEMBERS = MemberSet(epoch=0, members=tuple(Member(name=n, key=k.public) for n, k in zip("abc", KEYS, strict=True)))
SETTINGS = TransportSettings(
    handshake_timeout_ms=2_000,
    keepalive_ms=50,
    silence_timeout_ms=1_000,
    reconnect_min_ms=10,
    reconnect_max_ms=100,
)


class Host:
    """One node's side: a transport on a port, and what it was told."""

    def __init__(self, index: int, ports: Sequence[int], *, dials: str = "later") -> None:
        """`dials`: "all" peers, only the "later" ones (so that each pair has one caller), or "none"."""
        called = {"all": MEMBERS.members, "later": MEMBERS.members[index:], "none": ()}[dials]
        addresses = {m.name: f"127.0.0.1:{p}" for m, p in zip(MEMBERS.members, ports, strict=True) if m in called}
        self.port = ports[index]
        self.transport = Transport(
            key=KEYS[index],
            genesis=GENESIS,
            members=MEMBERS,
            addresses=addresses,
            handler=self,
            settings=SETTINGS,
            seed=index,
        )
        self.events: list[tuple[str, int]] = []
        self.messages: list[tuple[int, Channel, bytes]] = []
        self.failures: list[Exception] = []
        self.hold = asyncio.Event()
        self.hold.set()

    def peer_connected(self, replica: ReplicaId) -> None:
        self.events.append(("connected", replica))

    def peer_disconnected(self, replica: ReplicaId, reason: str) -> None:
        self.events.append((f"disconnected: {reason}", replica))

    def peer_failed(self, error: Exception) -> None:
        self.failures.append(error)

    async def peer_message(self, replica: ReplicaId, channel: Channel, payload: bytes) -> None:
        await self.hold.wait()
        if payload == b"violation":
            raise ProtocolViolation("for the test")
        if payload == b"bug":
            raise ZeroDivisionError("for the test")
        self.messages.append((replica, channel, payload))

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(PEER_PATH, self.transport.accept)
        self.runner = web.AppRunner(app, shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        await self.transport.start()

    async def stop(self) -> None:
        await self.transport.stop()
        await self.runner.cleanup()


@asynccontextmanager
async def hosts(count: int = 2, *, dials: str = "later") -> AsyncIterator[list[Host]]:
    ports = [free_port() for _ in KEYS]
    made = [Host(index, ports, dials=dials) for index in range(count)]
    try:
        for host in made:
            await host.start()
        if dials != "none":
            await until(lambda: all(len(h.transport.connected()) == count - 1 for h in made), "connected")
        yield made
    finally:
        for host in made:
            await host.stop()
        assert [error for host in made for error in host.failures] == []


@asynccontextmanager
async def stranger(
    host: Host, key: SigningKey = KEYS[1]
) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, Secrets]]:
    """A peer made by hand, past its handshake."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{host.port}{PEER_PATH}", max_msg_size=0) as socket,
    ):
        dialer = Dialer(key, GENESIS, KEYS[0].public)
        await socket.send_bytes(dialer.hello())
        proof, secrets = dialer.prove(await socket.receive_bytes())
        await socket.send_bytes(proof)
        await until(lambda: bool(host.transport.connected()), "taken in")
        yield socket, secrets


async def closed(socket: aiohttp.ClientWebSocketResponse) -> aiohttp.WSMessage:
    """The message that ends the connection."""
    while True:
        message = await asyncio.wait_for(socket.receive(), 10)
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            return message


async def test_messages_arrive_in_order_on_every_channel() -> None:
    async with hosts() as (a, b):
        for number in range(200):
            assert a.transport.send(ReplicaId(1), Channel.CONSENSUS, b"c%d" % number)
            assert a.transport.send(ReplicaId(1), Channel.SYNC, b"s%d" % number)
        b.transport.broadcast(Channel.TRANSACTIONS, b"hello")
        await until(lambda: len(b.messages) == 400 and len(a.messages) == 1, "all messages")
        for channel, mark in ((Channel.CONSENSUS, b"c"), (Channel.SYNC, b"s")):
            got = [payload for _, kind, payload in b.messages if kind is channel]
            assert got == [mark + b"%d" % number for number in range(200)]
        assert a.messages == [(1, Channel.TRANSACTIONS, b"hello")]
        link = a.transport.peers[ReplicaId(1)].link
        assert link is not None and min(link.bytes_in, link.bytes_out, link.frames_in) > 0


async def test_one_connection_stays_when_both_dial() -> None:
    """Messages sent while two connections compete may be lost, so they are said again, as the core does."""
    async with hosts(3, dials="all") as made:

        def settled() -> bool:
            for host in made:
                host.transport.broadcast(Channel.CONSENSUS, b"x")
            links = {(i, r): p.link for i, h in enumerate(made) for r, p in h.transport.peers.items()}
            pairs = [(links[i, j], links[j, i]) for i, j in ((0, 1), (0, 2), (1, 2))]  # type: ignore[index]
            return all(one is not None and other is not None and one.dialed != other.dialed for one, other in pairs)

        await until(lambda: settled() and all(len({m[0] for m in h.messages}) == 2 for h in made), "one each")


async def test_keepalive_measures_round_trip_and_clock() -> None:
    async with hosts() as (a, _):
        link = a.transport.peers[ReplicaId(1)].link
        assert link is not None
        await until(lambda: link.round_trip_ms is not None, "a pong")
        assert link.clock_offset_ms is not None and abs(link.clock_offset_ms) < 1_000


async def test_peer_that_restarts_is_connected_again() -> None:
    async with hosts() as (a, b):
        await b.stop()
        await until(lambda: a.transport.connected() == [], "noticed")
        again = Host(1, [a.port, b.port, free_port()])
        await again.start()
        try:
            await until(lambda: a.transport.connected() == [1] and again.transport.connected() == [0], "again")
            a.transport.send(ReplicaId(1), Channel.CONSENSUS, b"x")
            await until(lambda: again.messages == [(0, Channel.CONSENSUS, b"x")], "and it works")
        finally:
            await again.stop()


async def test_isolated_peers_are_cut_off_in_both_directions_until_healed() -> None:
    async with hosts(dials="all") as (a, b):
        assert a.transport.isolate(["b"]) == ["b"]
        await until(lambda: not a.transport.connected() and not b.transport.connected(), "cut off")
        await until(lambda: a.transport.counters["accept: not now"] > 0, "b's calls are refused")
        assert not a.transport.send(ReplicaId(1), Channel.CONSENSUS, b"lost")
        a.transport.isolate([])
        await until(lambda: a.transport.connected() == [1], "healed")


async def test_violation_ends_the_connection_and_is_counted() -> None:
    async with hosts() as (a, b):
        b.transport.send(ReplicaId(0), Channel.SYNC, b"violation")
        await until(lambda: a.transport.counters["protocol violation"] == 1, "counted")
        await until(lambda: a.transport.connected() == [1], "and connected again, after a first offence")
        for _ in range(200):
            a.transport.misbehaved(ReplicaId(1), "for the test")
        await until(lambda: a.transport.connected() == [], "cut off for a while")
        assert a.transport.peers[ReplicaId(1)].penalties.total > 100


async def test_bug_while_serving_a_peer_is_reported() -> None:
    async with hosts() as (a, b):
        b.transport.send(ReplicaId(0), Channel.SYNC, b"bug")
        await until(lambda: bool(a.failures), "reported")
        assert isinstance(a.failures.pop(), ZeroDivisionError)


async def test_slow_peer_costs_the_others_nothing() -> None:
    async with hosts(3) as (a, b, c):
        b.hold.clear()
        payload = bytes(1_000_000)
        for _ in range(LIMITS[Channel.CONSENSUS].size // len(payload) + 80):
            a.transport.send(ReplicaId(1), Channel.CONSENSUS, payload)
            a.transport.send(ReplicaId(1), Channel.TRANSACTIONS, payload)
            await asyncio.sleep(0)
        a.transport.send(ReplicaId(2), Channel.CONSENSUS, b"quick")
        await until(lambda: (0, Channel.CONSENSUS, b"quick") in c.messages, "the other peer is served")
        assert a.transport.counters["dropped transactions"] > 0
        assert a.transport.counters["dropped consensus"] > 0
        # What was queued is gone with that connection; the core says it again on the next one.
        await until(lambda: a.events.count(("connected", 1)) >= 2, "connected anew")
        b.hold.set()


async def test_silent_peer_is_dropped() -> None:
    async with hosts(1, dials="none") as (a,), stranger(a) as (socket, _):
        await until(lambda: a.transport.counters["silent peer"] == 1, "dropped")
        await closed(socket)


async def test_hostile_frames_end_only_their_own_connection() -> None:
    frames = [b"", b"x", b"\x00" * 100, bytes(16) + b"\x91\x92\x00\xc4\x00", b"\xff" * 70_000]
    async with hosts(1, dials="none") as (a,), stranger(a, KEYS[2]) as (good, secrets):
        for number, frame in enumerate(frames, start=1):
            async with stranger(a) as (socket, _):
                await until(lambda: len(a.transport.connected()) == 2, "both")
                await socket.send_bytes(frame)
                await closed(socket)
                await until(lambda n=number: a.transport.counters["protocol violation"] == n, "counted")  # type: ignore[misc]
            await good.send_bytes(secrets.outgoing.close(encode_envelope([(Channel.SYNC, b"still here")])))
            await until(lambda n=number: len(a.messages) == n, "the good peer is served")  # type: ignore[misc]


async def test_text_and_oversized_frames_are_refused() -> None:
    async with hosts(1, dials="none") as (a,):
        async with stranger(a) as (socket, _):
            await socket.send_str("hello")
            await closed(socket)
        async with stranger(a) as (socket, secrets):
            try:
                await socket.send_bytes(secrets.outgoing.close(bytes(MAX_FRAME_BYTES + 10)))
            except ConnectionError:
                pass
            else:
                await closed(socket)
        await until(lambda: a.transport.counters["protocol violation"] == 2, "both counted")
        assert a.messages == []


async def test_strangers_are_refused_by_reason_and_then_by_rate() -> None:
    async with hosts(1, dials="none") as (a,), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{a.port}{PEER_PATH}"
        wrong = Dialer(KEYS[1], Digest(bytes(32)), KEYS[0].public).hello()
        unknown = Dialer(SigningKey(bytes(32)), GENESIS, KEYS[0].public).hello()
        for hello, reason in ((wrong, "wrong genesis"), (unknown, "unknown key"), (b"junk", "bad handshake")):
            async with session.ws_connect(url) as socket:
                await socket.send_bytes(hello)
                message = await closed(socket)
                assert message.data == 4_001
            assert a.transport.counters[f"accept: {reason}"] == 1

        async def junk_until_refused() -> None:
            for _ in range(40):
                async with session.ws_connect(url) as socket:
                    await socket.send_bytes(b"junk")
                    await closed(socket)

        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await junk_until_refused()
        assert refused.value.status == 429
        assert a.transport.connected() == []


async def test_outbox_sends_higher_channels_first_and_merges() -> None:
    outbox = Outbox()
    outbox.put(Channel.SYNC, b"s")
    outbox.put(Channel.TRANSACTIONS, b"t")
    outbox.put(Channel.CONSENSUS, b"c1")
    outbox.put(Channel.CONSENSUS, b"c2")
    assert [payload for _, payload in await outbox.take()] == [b"c1", b"c2", b"t", b"s"]
    big = bytes(MERGED_BYTES)
    outbox.put(Channel.SYNC, big)
    outbox.put(Channel.CONSENSUS, b"c3")
    outbox.put(Channel.SYNC, b"s2")
    assert await outbox.take() == [(Channel.CONSENSUS, b"c3")]
    assert await outbox.take() == [(Channel.SYNC, big)]
    assert await outbox.take() == [(Channel.SYNC, b"s2")]
    assert outbox.queued_bytes == 0
    waiting = asyncio.ensure_future(outbox.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.put(Channel.CONTROL, b"p")
    assert await waiting == [(Channel.CONTROL, b"p")]


async def test_outbox_lets_part_of_a_channel_go_before_what_is_said_next() -> None:
    outbox = Outbox()
    outbox.put(Channel.CONSENSUS, b"c1")
    for payload in (b"wait", b"Urgent", b"Half,half"):
        outbox.put(Channel.TRANSACTIONS, payload)
    before = outbox.queued_bytes
    parts = {b"wait": (b"", b"wait"), b"Urgent": (b"Urgent", b""), b"Half,half": (b"Half", b",half")}
    outbox.hurry(Channel.TRANSACTIONS, lambda payload: parts[payload])
    outbox.put(Channel.CONSENSUS, b"c2")
    assert outbox.queued_bytes == before + 2
    assert await outbox.take() == [
        (Channel.CONSENSUS, b"c1"),
        (Channel.TRANSACTIONS, b"Urgent"),
        (Channel.TRANSACTIONS, b"Half"),
        (Channel.CONSENSUS, b"c2"),
        (Channel.TRANSACTIONS, b"wait"),
        (Channel.TRANSACTIONS, b",half"),
    ]
    assert outbox.queued_bytes == 0


def test_outbox_is_bounded_per_channel() -> None:
    outbox = Outbox()
    limit = LIMITS[Channel.SYNC]
    results = [outbox.put(Channel.SYNC, b"x") for _ in range(limit.messages + 1)]
    assert results == [True] * limit.messages + [False]
    assert outbox.put(Channel.CONSENSUS, b"x")
    assert outbox.dropped[Channel.SYNC] == 1
    assert outbox.put(Channel.TRANSACTIONS, bytes(LIMITS[Channel.TRANSACTIONS].size + 1)), "one always fits"
    assert not outbox.put(Channel.TRANSACTIONS, b"x")


def test_guard_bounds_handshakes_and_forgets_failures() -> None:
    guard = HandshakeGuard()

    def enter(address: str, now_ms: int = 0) -> Attempt | None:
        return guard.enter(address, now_ms, lambda: cut.append(address))

    cut: list[str] = []
    running = [attempt for attempt in (enter("a") for _ in range(20)) if attempt is not None]
    assert len(running) == 8
    assert len([attempt for attempt in (enter("b") for _ in range(20)) if attempt is not None]) == 8
    assert cut == []
    # The crowd makes room for those who come from elsewhere, not for each other.
    assert enter("c") is not None and cut == ["a"]
    assert enter("c") is not None and cut == ["a", "b"]
    for attempt in running:
        guard.leave(attempt, 0, is_good=True)
    for _ in range(40):
        failed = enter("a")
        if failed is not None:
            guard.leave(failed, 0, is_good=False)
    assert enter("a") is None
    assert enter("c") is not None
    assert enter("a", 2_000) is not None
    for number in range(3_000):
        failed = enter(str(number))
        if failed is not None:
            guard.leave(failed, 0, is_good=False)
    assert len(guard._failures) <= 1_024


def test_penalties_add_up_leak_and_expire() -> None:
    penalties = Penalties()
    assert not any(penalties.add(1, now_ms) for now_ms in range(0, 1_000_000, 1_000))
    assert any(penalties.add(10, 1_000_000) for _ in range(11))
    assert penalties.is_banned(1_000_001)
    assert not penalties.is_banned(1_000_000 + Penalties.BAN_MS)
    bucket = LeakyBucket(10)
    bucket.add(3, 100)
    assert [bucket.level(now) for now in (100, 105, 110, 129, 130, 200)] == [3, 3, 2, 1, 0, 0]
