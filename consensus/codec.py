"""Canonical bytes: the one place of the core that packs and unpacks.

Canonical means: msgpack arrays in field order, each integer and length in its shortest form. msgpack
readers also accept longer forms, so decoding encodes again and compares. Sizes are bounded before
decoding; a length that promises more than the bytes hold is refused without allocating.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from consensus.errors import DecodeError
from consensus.messages import Message

T = TypeVar("T")

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest consensus message: a new view of 64 replicas, or a block of the largest size."""

encode = msgspec.msgpack.encode
"""Canonical bytes of a message, block or certificate."""

_DECODERS: dict[object, msgspec.msgpack.Decoder[object]] = {}


def decode(kind: type[T], data: bytes, limit: int = MAX_MESSAGE_BYTES) -> T:
    """The `kind` that `data` is the canonical form of.

    Raises DecodeError if `data` is longer than `limit` bytes, malformed, of another kind, or not canonical.
    """
    if len(data) > limit:
        raise DecodeError(f"{len(data)} bytes where at most {limit} are allowed")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS.setdefault(kind, msgspec.msgpack.Decoder(kind))
    try:
        value = decoder.decode(data)
        canonical = msgspec.msgpack.encode(value) == data
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise DecodeError(str(error)) from None
    if not canonical:
        raise DecodeError("not the canonical form of its content")
    return value  # type: ignore[return-value]


def decode_message(data: bytes) -> Message:
    """One consensus message from a peer. Raises DecodeError."""
    return decode(Message, data)  # type: ignore[arg-type]
