"""One open, authenticated connection to a peer: a reader, a writer, and a keep-alive."""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import web

from consensus.codec import decode, encode
from consensus.errors import DecodeError, ProtocolViolation
from consensus.types import ReplicaId, Wire
from node.frames import TAG_BYTES, Channel, Outbox, decode_envelope, encode_envelope
from node.handshake import Secrets

Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
Receive = Callable[[ReplicaId, Channel, bytes], Awaitable[None]]
"""Takes one message of a channel other than CONTROL. Waiting in it holds this peer back, nobody else.
Raises ProtocolViolation for what no honest peer sends, which ends the connection."""

_CLOSE_TIMEOUT_S: Final = 1.0
_CONTROL_BYTES: Final = 64


class Ping(Wire, frozen=True, tag=1):
    sent_ms: int


class Pong(Wire, frozen=True, tag=2):
    sent_ms: int
    """As in the ping it answers."""
    clock_ms: int
    """UTC wall clock of who answers."""


Control = Ping | Pong


def steady_ms() -> int:
    """Milliseconds of a clock that never jumps; means nothing across processes."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """UTC wall clock, milliseconds."""
    return time.time_ns() // 1_000_000


def cut(raw: sockets.socket | None) -> None:
    """End a TCP connection. Closing alone would keep the socket, and all that waits to be sent on it, for as long
    as the other side does not read."""
    if raw is not None:
        with suppress(OSError):  # it is closed already
            raw.shutdown(sockets.SHUT_RDWR)


class Link:
    """`run` serves the connection until it ends and says why."""

    def __init__(self, replica: ReplicaId, socket: Socket, secrets: Secrets, *, dialed: bool) -> None:
        self.replica = replica
        self.dialed = dialed
        """Whether this node opened the connection."""
        self.outbox = Outbox()
        self.opened_ms = self.received_ms = steady_ms()
        self.round_trip_ms: int | None = None
        self.clock_offset_ms: int | None = None
        """How far the peer's wall clock is ahead of this node's, as far as half a round trip tells."""
        self.bytes_in = self.bytes_out = 0
        self.frames_in = self.frames_out = 0
        self._socket = socket
        self._raw: sockets.socket | None = socket.get_extra_info("socket")  # a closed one no longer tells
        self._seals = secrets
        self._reason: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_closing(self) -> bool:
        return self._reason is not None

    def quiet_ms(self) -> int:
        """Time since anything came in."""
        return steady_ms() - self.received_ms

    def send(self, channel: Channel, payload: bytes) -> bool:
        """Queue a message; False if it was dropped because its channel is full."""
        return self.outbox.put(channel, payload)

    def ping(self) -> None:
        self.send(Channel.CONTROL, encode(Ping(sent_ms=wall_ms())))

    def close(self, reason: str) -> None:
        """End the connection now, without waiting for a peer that may not read."""
        if self._reason is None:
            self._reason = reason
            for task in self._tasks:
                task.cancel()

    async def run(self, receive: Receive) -> str:
        """Serve until the connection ends; answers why it did."""
        if self._reason is not None:
            await self._shut()
            return self._reason
        self._tasks = [asyncio.create_task(self._read(receive)), asyncio.create_task(self._write())]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._shut()
        for result in results:
            if isinstance(result, ProtocolViolation):
                self._reason = self._reason or f"protocol: {result}"
            elif isinstance(result, (ConnectionError, aiohttp.ClientError)):
                self._reason = self._reason or "connection lost"
            elif isinstance(result, Exception):
                raise result
        return self._reason or "closed by the peer"

    async def _shut(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._socket.close(message=(self._reason or "").encode()[:100])
        except (TimeoutError, ConnectionError, RuntimeError, aiohttp.ClientError):
            pass  # the peer does not answer
        finally:
            cut(self._raw)

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                await self._take_frame(message.data, receive)
            elif message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
                if self._reason is None and message.type is aiohttp.WSMsgType.CLOSE and message.extra:
                    self._reason = f"closed by the peer: {str(message.extra)[:100]!r}"
                return
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise DecodeError(f"not a frame: {message.data}")
            else:
                raise DecodeError(f"a {message.type.name.lower()} message where frames are binary")

    async def _take_frame(self, frame: bytes, receive: Receive) -> None:
        self.received_ms = steady_ms()
        self.frames_in += 1
        self.bytes_in += len(frame)
        for channel, payload in decode_envelope(self._seals.incoming.open(frame)):
            if self._reason is not None:
                return  # what came before in this frame was enough to end the connection
            if channel is Channel.CONTROL:
                self._control(payload)
            else:
                await receive(self.replica, channel, payload)

    def _control(self, payload: bytes) -> None:
        match decode(Control, payload, _CONTROL_BYTES):  # type: ignore[arg-type]
            case Ping(sent_ms=sent_ms):
                self.send(Channel.CONTROL, encode(Pong(sent_ms=sent_ms, clock_ms=wall_ms())))
            case Pong(sent_ms=sent_ms, clock_ms=clock_ms):
                round_trip_ms = wall_ms() - sent_ms
                if 0 <= round_trip_ms < 60_000:
                    self.round_trip_ms = round_trip_ms
                    self.clock_offset_ms = clock_ms - sent_ms - round_trip_ms // 2

    async def _write(self) -> None:
        while True:
            envelope = encode_envelope(await self.outbox.take())
            self.frames_out += 1
            self.bytes_out += len(envelope) + TAG_BYTES
            await self._socket.send_bytes(self._seals.outgoing.close(envelope))
