"""Replica to replica: one authenticated WebSocket per peer, on the port that also serves clients.

Both ends dial, as either may sit behind NAT; when both succeed, the connection opened by the replica with the
smaller key stays. A connection that ends is opened again, with jittered backoff up to a cap. Sending never
waits: what does not fit a peer's queue is dropped (transactions, sync) or ends that connection (consensus, as
the core repeats what is open on the next one), so a slow peer costs the others nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol

import aiohttp
import msgspec
from aiohttp import web

from consensus.quorum import MemberSet
from consensus.types import Digest, PublicKey, ReplicaId
from node.crypto import SigningKey
from node.frames import MAX_FRAME_BYTES, TAG_BYTES, Channel, Split
from node.guard import HandshakeGuard, Penalties
from node.handshake import Acceptor, Dialer, Refusal
from node.link import Link, Socket, cut, steady_ms

log = logging.getLogger("weal.transport")

PEER_PATH: Final = "/v1/peer"
_MAX_MESSAGE_BYTES: Final = MAX_FRAME_BYTES + TAG_BYTES
_CLOSE_REFUSED: Final = 4_001
"""WebSocket close code of a failed handshake; the reason is in the message."""


class TransportSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Timing of connections, in real milliseconds."""

    handshake_timeout_ms: int = 5_000
    keepalive_ms: int = 1_000
    silence_timeout_ms: int = 10_000
    reconnect_min_ms: int = 100
    reconnect_max_ms: int = 5_000


class PeerHandler(Protocol):
    """What the transport tells the node."""

    def peer_connected(self, replica: ReplicaId) -> None: ...

    def peer_disconnected(self, replica: ReplicaId, reason: str) -> None: ...

    async def peer_message(self, replica: ReplicaId, channel: Channel, payload: bytes) -> None:
        """As `link.Receive`."""
        ...

    def peer_failed(self, error: Exception) -> None:
        """Something that is no peer's fault went wrong while serving one: a bug, or our own disk."""
        ...


class Peer:
    """Another replica: where to reach it, and the connection to it, if any."""

    def __init__(self, replica: ReplicaId, name: str, key: PublicKey, address: str | None) -> None:
        self.replica = replica
        self.name = name
        self.key = key
        self.address = address
        self.link: Link | None = None
        self.penalties = Penalties()
        self.changed = asyncio.Event()
        """Set whenever dialling may have become possible or pointless."""
        self.last_error = ""
        self.bytes_in = self.bytes_out = 0  # of connections that have ended

    @property
    def is_connected(self) -> bool:
        return self.link is not None and not self.link.is_closing

    @property
    def url(self) -> str:
        address = self.address or ""
        return (address if "://" in address else f"http://{address}").rstrip("/") + PEER_PATH


class Transport:
    """All connections of one node. `counters` counts refused connections and dropped input by reason."""

    def __init__(
        self,
        *,
        key: SigningKey,
        genesis: Digest,
        members: MemberSet,
        addresses: Mapping[str, str],
        handler: PeerHandler,
        settings: TransportSettings,
        seed: int,
    ) -> None:
        self._key = key
        self._genesis = genesis
        self._handler = handler
        self._settings = settings
        self._random = random.Random(seed)
        self._guard = HandshakeGuard()
        self._tasks: list[asyncio.Task[None]] = []
        self._serving: set[asyncio.Task[str]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._is_stopping = False
        self.blocked: frozenset[str] = frozenset()
        self.counters: Counter[str] = Counter()
        self.peers = {
            ReplicaId(index): Peer(ReplicaId(index), member.name, member.key, addresses.get(member.name))
            for index, member in enumerate(members.members)
            if member.key != key.public
        }
        self._by_key = {peer.key: peer for peer in self.peers.values()}

    async def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._settings.handshake_timeout_ms / 1000)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False, trust_env=False)
        self._tasks = [asyncio.create_task(self._dial_forever(p)) for p in self.peers.values() if p.address]
        self._tasks.append(asyncio.create_task(self._watch()))

    async def stop(self) -> None:
        """Close everything; afterwards no task of the transport is left."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        for peer in self.peers.values():
            if peer.link is not None:
                peer.link.close("this node stops")
        await asyncio.gather(*self._tasks, *self._serving, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    # Sending

    def connected(self) -> list[ReplicaId]:
        return [replica for replica, peer in self.peers.items() if peer.is_connected]

    def send(self, replica: ReplicaId, channel: Channel, payload: bytes) -> bool:
        """Queue a message for a peer; False if it is not connected or has no room."""
        peer = self.peers.get(replica)
        if peer is None or peer.link is None or not peer.is_connected:
            return False
        if peer.link.send(channel, payload):
            return True
        self.counters[f"dropped {channel.name.lower()}"] += 1
        if channel is Channel.CONSENSUS:
            peer.link.close("it does not read what we send")
        return False

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        for replica in self.connected():
            self.send(replica, channel, payload)

    def hurry(self, replica: ReplicaId, channel: Channel, split: Split) -> None:
        """As `Outbox.hurry`, of what waits for a peer."""
        peer = self.peers.get(replica)
        if peer is not None and peer.link is not None:
            peer.link.outbox.hurry(channel, split)

    # Faults and discipline

    def isolate(self, names: Iterable[str]) -> list[str]:
        """Cut the connections to these organisations until told otherwise, in both directions; answers who is
        cut off now. An empty list heals. Raises KeyError for a name that is no peer."""
        wanted = frozenset(names)
        unknown = wanted - {peer.name for peer in self.peers.values()}
        if unknown:
            raise KeyError(min(unknown))
        self.blocked = wanted
        for peer in self.peers.values():
            if peer.name in wanted and peer.link is not None:
                peer.link.close("isolated by an operator")
            peer.changed.set()
        return sorted(wanted)

    def misbehaved(self, replica: ReplicaId, reason: str) -> None:
        """Count what no honest peer sends; too much of it and the peer is cut off for a while."""
        peer = self.peers.get(replica)
        if peer is None:
            return
        self.counters["misbehaviour"] += 1
        if not peer.penalties.is_banned(steady_ms()):
            log.warning("peer misbehaved: %s", reason, extra={"peer": peer.name})
        if peer.penalties.add(1, steady_ms()) and peer.link is not None:
            peer.link.close("it misbehaved too often")

    def _may_connect(self, peer: Peer) -> bool:
        return not self._is_stopping and peer.name not in self.blocked and not peer.penalties.is_banned(steady_ms())

    # Calling

    async def _dial_forever(self, peer: Peer) -> None:
        settings = self._settings
        backoff_ms = settings.reconnect_min_ms
        # The connection dialled by the larger key would be dropped for the other: let that one try first, if it starts
        # now as well. One that has run for a while calls only when its own pause is over.
        await asyncio.sleep(0 if self._key.public < peer.key else settings.reconnect_min_ms / 10 / 1000)
        while True:
            peer.changed.clear()
            if peer.link is None and self._may_connect(peer):
                started = steady_ms()
                was_open = await self._dial(peer)
                if was_open and steady_ms() - started > settings.reconnect_max_ms:
                    backoff_ms = settings.reconnect_min_ms
            if peer.link is None and self._may_connect(peer):
                delay_ms = self._random.randint(backoff_ms // 2, backoff_ms)
                backoff_ms = min(2 * backoff_ms, settings.reconnect_max_ms)
            else:
                delay_ms, backoff_ms = settings.reconnect_max_ms, settings.reconnect_min_ms
            try:
                async with asyncio.timeout(delay_ms / 1000):
                    await peer.changed.wait()
            except TimeoutError:
                continue

    async def _dial(self, peer: Peer) -> bool:
        """One attempt; returns when the connection has ended, with whether it was ever open."""
        assert self._session is not None
        try:
            async with (
                asyncio.timeout(self._settings.handshake_timeout_ms / 1000) as deadline,
                self._session.ws_connect(
                    peer.url, compress=0, max_msg_size=_MAX_MESSAGE_BYTES, autoping=True, timeout=_NO_WAIT
                ) as socket,
            ):
                dialer = Dialer(self._key, self._genesis, peer.key)
                await socket.send_bytes(dialer.hello())
                proof, secrets = dialer.prove(await _receive_bytes(socket))
                await socket.send_bytes(proof)
                deadline.reschedule(None)
                await self._serve(peer, Link(peer.replica, socket, secrets, dialed=True))
                return True
        except Refusal as refusal:
            self._note_failure(peer, refusal.reason, str(refusal))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._note_failure(peer, "unreachable", f"{type(error).__name__}: {error}")
        return False

    def _note_failure(self, peer: Peer, reason: str, detail: str) -> None:
        self.counters[f"dial: {reason}"] += 1
        level = logging.DEBUG if peer.last_error == detail else logging.WARNING
        log.log(level, "cannot connect: %s", detail, extra={"peer": peer.name})
        peer.last_error = detail

    # Being called

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """Serve GET /v1/peer."""
        address = request.remote or ""
        deadline = asyncio.timeout(self._settings.handshake_timeout_ms / 1000)

        def make_room() -> None:
            with suppress(RuntimeError):  # it is over
                deadline.reschedule(0)

        attempt = None if self._is_stopping else self._guard.enter(address, steady_ms(), make_room)
        if attempt is None:
            self.counters["accept: too many attempts"] += 1
            return web.Response(status=429, headers={"Retry-After": "5"}, text="too many failed handshakes\n")
        socket = web.WebSocketResponse(compress=False, max_msg_size=_MAX_MESSAGE_BYTES, autoping=True, timeout=1.0)
        link: Link | None = None
        peer: Peer | None = None
        is_good = False
        try:
            async with deadline:
                await socket.prepare(request)
                acceptor = Acceptor(self._key, self._genesis, self._by_key.__contains__)
                answer, key = acceptor.answer(await _receive_bytes(socket))
                peer = self._by_key[key]
                if not self._may_connect(peer):
                    raise Refusal("not now", "connections with this peer are blocked for the time being")
                await socket.send_bytes(answer)
                link = Link(peer.replica, socket, acceptor.finish(await _receive_bytes(socket)), dialed=False)
                is_good = True
        except Refusal as refusal:
            is_good = refusal.reason == "not now"
            await self._refuse(socket, address, refusal)
        except (ConnectionError, TimeoutError, aiohttp.ClientError, RuntimeError) as error:
            await self._refuse(socket, address, Refusal("broke off", f"{type(error).__name__}: {error}"))
        finally:
            self._guard.leave(attempt, steady_ms(), is_good=is_good)
        if link is not None and peer is not None:
            await self._serve(peer, link)
        return socket

    async def _refuse(self, socket: web.WebSocketResponse, address: str, refusal: Refusal) -> None:
        self.counters[f"accept: {refusal.reason}"] += 1
        log.info("connection refused: %s", refusal, extra={"address": address})
        raw = socket.get_extra_info("socket")
        try:
            async with asyncio.timeout(1):
                await socket.close(code=_CLOSE_REFUSED, message=str(refusal).encode()[:100])
        except (ConnectionError, TimeoutError, RuntimeError, aiohttp.ClientError):
            log.debug("the refused side is gone already", extra={"address": address})
        finally:
            cut(raw)

    # Both

    async def _serve(self, peer: Peer, link: Link) -> None:
        if not self._adopt(peer, link):
            link.close("a better connection is open")
            await link.run(self._handler.peer_message)
            return
        log.info("peer connected", extra={"peer": peer.name, "direction": "dialled" if link.dialed else "accepted"})
        peer.last_error = ""
        self._handler.peer_connected(peer.replica)
        task = asyncio.ensure_future(link.run(self._handler.peer_message))
        self._serving.add(task)
        reason = "this node stops"
        try:
            reason = await task
            if reason.startswith("protocol: "):
                self.counters["protocol violation"] += 1
                peer.penalties.add(10, steady_ms())
        except Exception as error:
            self._handler.peer_failed(error)
            raise
        finally:
            link.close(reason)
            self._serving.discard(task)
            peer.bytes_in += link.bytes_in
            peer.bytes_out += link.bytes_out
            if peer.link is link:
                peer.link = None
                peer.changed.set()
                log.info("peer disconnected: %s", reason, extra={"peer": peer.name})
                self._handler.peer_disconnected(peer.replica, reason)

    def _adopt(self, peer: Peer, link: Link) -> bool:
        """Make `link` the connection to its peer, unless a better one is open."""
        if not self._may_connect(peer):
            return False
        if not link.dialed:
            # Each one costs a greeting and a new allowance of much else; an honest peer calls again ever more slowly.
            peer.penalties.add(1, steady_ms())
        old = peer.link
        if old is not None and not old.is_closing:
            is_stale = old.quiet_ms() > 3 * self._settings.keepalive_ms
            if self._is_preferred(peer, old) and not self._is_preferred(peer, link) and not is_stale:
                return False
            old.close("replaced by another connection")
        peer.link = link
        peer.changed.set()
        return True

    def _is_preferred(self, peer: Peer, link: Link) -> bool:
        return link.dialed == (self._key.public < peer.key)

    async def _watch(self) -> None:
        """Ping every peer, and end connections on which nothing comes back."""
        settings = self._settings
        last = steady_ms()
        while True:
            await asyncio.sleep(settings.keepalive_ms / 1000)
            now = steady_ms()
            # If this very process stood still, the others' silence is no news.
            was_paused = now - last > 3 * settings.keepalive_ms
            last = now
            for peer in self.peers.values():
                link = peer.link
                if link is None:
                    continue
                if was_paused:
                    link.received_ms = now
                if link.quiet_ms() > settings.silence_timeout_ms:
                    self.counters["silent peer"] += 1
                    link.close(f"nothing heard for {settings.silence_timeout_ms} ms")
                else:
                    link.ping()


_NO_WAIT: Final = aiohttp.ClientWSTimeout(ws_receive=None, ws_close=1.0)


async def _receive_bytes(socket: Socket) -> bytes:
    """One handshake message. Raises Refusal if something else comes."""
    message = await socket.receive()
    if message.type is not aiohttp.WSMsgType.BINARY:
        if message.type is aiohttp.WSMsgType.CLOSE and message.data == _CLOSE_REFUSED:
            raise Refusal("refused", f"the peer refused us: {str(message.extra)[:200]}")
        raise Refusal("broke off", "the connection ended during the handshake")
    data: bytes = message.data
    return data
