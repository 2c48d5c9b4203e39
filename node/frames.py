"""What travels in one WebSocket message between peers: messages of several channels, merged.

    frame    = tag (16 bytes) || envelope
    envelope = msgpack array of [channel, payload] pairs
    tag      = keyed BLAKE2b of 16 bytes (RFC 7693) over counter (8 bytes, big-endian) || envelope

Each direction has a key of its own. The tag binds every frame to the handshake that proved who the peer is, and the
counter to its place: nobody on the way can insert, alter, repeat or reorder frames. It does not hide them; TLS or a
tunnel does. What does not check out ends the connection. BLAKE2b and not HMAC-SHA-256: most frames are one vote, and
beginning an HMAC takes longer than hashing that.

Consensus overtakes transactions, which overtake sync, which overtakes the making of keyed values. Each channel
has a queue of its own, bounded in messages and bytes, so that neither a slow peer nor a full channel costs
another one anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from enum import IntEnum
from hashlib import blake2b
from hmac import compare_digest
from typing import Annotated, Final

import msgspec

from consensus.codec import MAX_MESSAGE_BYTES
from consensus.errors import DecodeError

TAG_BYTES: Final = 16
MERGED_BYTES: Final = 256 * 1024
"""A frame is closed when it holds this much; a single larger message travels alone."""
MAX_MESSAGES_PER_FRAME: Final = 4_096
MAX_FRAME_BYTES: Final = MAX_MESSAGE_BYTES + MERGED_BYTES
"""Longest frame taken in; the WebSocket layer refuses longer ones before they are in memory."""


class Channel(IntEnum):
    """In order of priority."""

    CONTROL = 0
    """Keep-alive between the two ends of one connection."""
    CONSENSUS = 1
    TRANSACTIONS = 2
    SYNC = 3
    DUPLICATES = 4
    """Parts of keyed values: node/duplicates/."""


_ChannelNumber = Annotated[int, msgspec.Meta(ge=0, lt=len(Channel))]
_Envelope = Annotated[list[tuple[_ChannelNumber, bytes]], msgspec.Meta(min_length=1, max_length=MAX_MESSAGES_PER_FRAME)]
_decoder: Final = msgspec.msgpack.Decoder(_Envelope)
_CHANNELS: Final = tuple(Channel)


def encode_envelope(messages: Iterable[tuple[Channel, bytes]]) -> bytes:
    """Bytes of the messages of one frame."""
    return msgspec.msgpack.encode([(int(channel), payload) for channel, payload in messages])


def decode_envelope(data: bytes) -> list[tuple[Channel, bytes]]:
    """The messages of one frame. Raises DecodeError for anything `encode_envelope` does not make."""
    if len(data) > MAX_FRAME_BYTES:
        raise DecodeError(f"a frame of {len(data)} bytes, {MAX_FRAME_BYTES} are allowed")
    try:
        pairs = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise DecodeError(f"not a frame: {error}") from None
    return [(_CHANNELS[channel], payload) for channel, payload in pairs]


class Seal:
    """Tags outgoing frames of one direction, or checks incoming ones."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._counter = 0

    def _tag(self, envelope: bytes) -> bytes:
        tag = blake2b(self._counter.to_bytes(8, "big") + envelope, key=self._key, digest_size=TAG_BYTES).digest()
        self._counter += 1
        return tag

    def close(self, envelope: bytes) -> bytes:
        """The frame to send."""
        return self._tag(envelope) + envelope

    def open(self, frame: bytes) -> bytes:
        """The envelope of a received frame. Raises DecodeError unless it is the peer's next one."""
        if not TAG_BYTES < len(frame) <= MAX_FRAME_BYTES + TAG_BYTES:
            raise DecodeError(f"a frame of {len(frame)} bytes")
        envelope = frame[TAG_BYTES:]
        if not compare_digest(self._tag(envelope), frame[:TAG_BYTES]):
            raise DecodeError("a frame that this peer did not send")
        return envelope


class QueueLimit(msgspec.Struct, frozen=True):
    messages: int
    size: int
    """Bytes."""


_MIB: Final = 1024 * 1024
LIMITS: Final = {
    Channel.CONTROL: QueueLimit(16, 4_096),
    # Two windows of full blocks and their votes; more than that in line means the peer does not read.
    Channel.CONSENSUS: QueueLimit(8_192, 64 * _MIB),
    Channel.TRANSACTIONS: QueueLimit(4_096, 16 * _MIB),
    Channel.SYNC: QueueLimit(256, 32 * _MIB),
    Channel.DUPLICATES: QueueLimit(256, 256 * 1024),
}


Split = Callable[[bytes], tuple[bytes, bytes]]
"""A message -> what of it is urgent, and the rest, as messages; b"" for nothing."""


class Outbox:
    """Messages waiting for one peer. `put` never waits; `take` gives the next frame's messages."""

    def __init__(self) -> None:
        # By whose turn it is; a message may be in the line of another channel than its own.
        self._queues: dict[Channel, deque[tuple[Channel, bytes]]] = {channel: deque() for channel in Channel}
        self._sizes = dict.fromkeys(Channel, 0)
        self._filled = asyncio.Event()
        self.dropped = dict.fromkeys(Channel, 0)

    def put(self, channel: Channel, payload: bytes) -> bool:
        """Queue a message; False if its channel is full and it was dropped."""
        queue, limit = self._queues[channel], LIMITS[channel]
        if queue and (len(queue) >= limit.messages or self._sizes[channel] + len(payload) > limit.size):
            self.dropped[channel] += 1
            return False
        queue.append((channel, payload))
        self._sizes[channel] += len(payload)
        self._filled.set()
        return True

    def hurry(self, channel: Channel, split: Split) -> None:
        """Let parts of what waits on `channel` go before what is said on CONSENSUS from now on."""
        waiting, self._queues[channel] = self._queues[channel], deque()
        self._sizes[channel] = 0
        for _, payload in waiting:
            for line, part in zip((Channel.CONSENSUS, channel), split(payload), strict=True):
                if part:
                    self._queues[line].append((channel, part))
                    self._sizes[line] += len(part)

    async def take(self) -> list[tuple[Channel, bytes]]:
        """Wait for messages; those of higher channels come first, in order within each."""
        await self._filled.wait()
        messages: list[tuple[Channel, bytes]] = []
        size = 0
        for line, queue in self._queues.items():
            while queue and len(messages) < MAX_MESSAGES_PER_FRAME:
                if messages and size + len(queue[0][1]) > MERGED_BYTES:
                    return messages
                channel, payload = queue.popleft()
                size += len(payload)
                self._sizes[line] -= len(payload)
                messages.append((channel, payload))
        if not any(self._queues.values()):
            self._filled.clear()
        return messages

    @property
    def queued_bytes(self) -> int:
        return sum(self._sizes.values())
