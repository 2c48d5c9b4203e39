"""What nodes say to each other on the duplicates channel, and the bytes that a requester signs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from consensus.codec import encode
from consensus.types import Wire

MAX_ELEMENTS: Final = 16
"""Elements of one request: a few milliseconds of one core at each holder."""
MAX_MESSAGE_BYTES: Final = 2_048

Element = Annotated[bytes, Meta(min_length=32, max_length=32)]
Elements = Annotated[tuple[Element, ...], Meta(min_length=1, max_length=MAX_ELEMENTS)]
Signed = Annotated[bytes, Meta(min_length=64, max_length=64)]


class Evaluate(Wire, frozen=True, tag=1):
    """An organisation asks for the receiver's part of these values. `number` is of the asking node."""

    number: Annotated[int, Meta(ge=0, lt=2**53)]
    epoch: Annotated[int, Meta(ge=1, le=65_535)]
    sender: Element
    """Account key of the organisation that asks; its signature is over `signed_bytes`."""
    issued_ms: Annotated[int, Meta(ge=0, lt=2**53)]
    elements: Elements
    signature: Signed


class Partial(Wire, frozen=True, tag=2):
    """The answer to the request of this number: one result for each element, and the proof of them all."""

    number: int
    results: Elements
    proof: Signed


class Reason(IntEnum):
    """Why a request is not answered."""

    NO_SHARE = 1
    """This node has no share of the active key, or knows of another epoch as the active one."""
    NOT_AN_ORGANISATION = 2
    """The signature is wrong, or of no organisation's account."""
    NOT_NOW = 3
    """The time of the request is too far from this node's clock."""
    QUOTA = 4
    """The organisation has used up its values of today."""
    BUSY = 5
    NO_ELEMENT = 6
    """What came is no element of the group."""


class Declined(Wire, frozen=True, tag=3):
    number: int
    reason: Reason


DuplicatesMessage = Evaluate | Partial | Declined


def signed_bytes(genesis: bytes, epoch: int, issued_ms: int, elements: Sequence[bytes]) -> bytes:
    """What an organisation signs to have values made: it counts against its quota, at every holder."""
    return encode(("weal/oprf/request/1", genesis, epoch, issued_ms, tuple(elements)))
