"""Base of the application's wire types and their canonical bytes: msgpack arrays in field order.

Same rules as the consensus codec, kept apart because the two pure places do not import each other.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")

encode = msgspec.msgpack.encode
"""Canonical bytes of a wire type."""

_DECODERS: dict[object, msgspec.msgpack.Decoder[object]] = {}


class Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A msgpack array in field order. Field order is part of the chain format; golden files pin it."""


class Malformed(ValueError):
    """Bytes that are not the canonical form of the expected type."""


def decode(kind: type[T], data: bytes, limit: int) -> T:
    """The `kind` that `data` is the canonical form of.

    Raises Malformed if it is longer than `limit` bytes, of another shape, or not canonical.
    """
    if len(data) > limit:
        raise Malformed(f"{len(data)} bytes where at most {limit} are allowed")
    try:
        value = decode_trusted(kind, data)
        canonical = msgspec.msgpack.encode(value) == data
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise Malformed(str(error)) from None
    if not canonical:
        raise Malformed("not the canonical form of its content")
    return value


def decode_trusted(kind: type[T], data: bytes) -> T:
    """As `decode`, for bytes that this node wrote itself: no limit, no second encoding."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS.setdefault(kind, msgspec.msgpack.Decoder(kind))
    return decoder.decode(data)  # type: ignore[return-value]
