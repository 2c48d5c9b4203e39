"""The records of evidence items, and reading and writing them. Field order is state format; golden files pin it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from node.claims import keys
from node.claims.events import EventKind
from node.claims.evidence.actions import Purpose
from node.claims.module import InvariantBroken, Scope
from node.claims.state import ReadState, require
from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire, decode_trusted, encode

MARK = b"\x90"
"""Value of an index row, an empty array: the key says everything."""


class ItemStatus(IntEnum):
    """Part of the chain format: add at the end, never renumber."""

    KEPT = 1
    ERASING = 2
    """Nobody serves it; not all holders have signed that their copy is destroyed."""
    ERASED = 3


ITEM_TRANSITIONS: Final[dict[tuple[ItemStatus | None, EventKind], ItemStatus]] = {
    (None, EventKind.EVIDENCE_REGISTERED): ItemStatus.KEPT,
    (ItemStatus.KEPT, EventKind.EVIDENCE_HELD): ItemStatus.KEPT,
    (ItemStatus.KEPT, EventKind.EVIDENCE_GRANTED): ItemStatus.KEPT,
    (ItemStatus.KEPT, EventKind.ERASURE_RESTRAINED): ItemStatus.KEPT,
    (ItemStatus.KEPT, EventKind.ERASURE_RELEASED): ItemStatus.KEPT,
    (ItemStatus.KEPT, EventKind.ERASURE_STARTED): ItemStatus.ERASING,
    (ItemStatus.ERASING, EventKind.ERASURE_SIGNED): ItemStatus.ERASING,
    (ItemStatus.ERASING, EventKind.ERASURE_LATE): ItemStatus.ERASING,
    (ItemStatus.ERASING, EventKind.EVIDENCE_ERASED): ItemStatus.ERASED,
    # Openings are anchored in batches, so that one may come to the chain after the erasure that it preceded.
    **{(status, EventKind.EVIDENCE_OPENED): status for status in ItemStatus},
}
"""The life of an item: (status, what happens) -> status. What is not in it cannot happen."""


class ItemCounter(Wire, frozen=True, kw_only=True):
    next_item: int


class ItemRecord(Wire, frozen=True, kw_only=True):
    """One item. It stays after the erasure: what is left are hashes whose salt is gone."""

    claim: int
    """0: stands alone."""
    organisation: int
    """That registered it; -1 if a member did."""
    member: int
    """That registered it, or 0."""
    commitment: bytes
    ciphertext: bytes
    bucket: int
    registered_ms: int
    status: ItemStatus
    holders: tuple[int, ...]
    """Organisations that keep a copy, rising."""
    signed: tuple[int, ...] = ()
    """Holders that have signed its destruction, rising."""
    erasing_ms: int = 0
    deadline_ms: int = 0
    """When missing signatures are counted; 0 if none are waited for."""
    order: bytes = b""
    """Commitment to a court order that forbids erasure, or b""."""
    changed_ms: int = 0


class GrantRecord(Wire, frozen=True, kw_only=True):
    """Who granted, for what, until when. It stays when it is over, for those who ask later who could open what."""

    purpose: Purpose
    until_ms: int
    granted_ms: int
    organisation: int
    """That granted; -1 if a member did."""
    member: int


class OpeningRecord(Wire, frozen=True, kw_only=True):
    """An anchored opening. `organisation` served it."""

    organisation: int
    recipient: bytes
    purpose: Purpose
    opened_ms: int


def next_status(status: ItemStatus | None, what: EventKind) -> ItemStatus:
    """Where the table leads. Raises InvariantBroken: the guards let through only what is in it."""
    following = ITEM_TRANSITIONS.get((status, what))
    if following is None:
        raise InvariantBroken(f"an evidence item in status {status!r} cannot take {what.name}")
    return following


def load_item(state: ReadState, number: int) -> ItemRecord | None:
    return state.load(keys.item(number), ItemRecord)


def the_item(state: ReadState, number: int) -> ItemRecord:
    """An item that a record of ours names."""
    return require(state, keys.item(number), ItemRecord)


def save_item(scope: Scope, number: int, item: ItemRecord) -> None:
    scope.state.store(keys.item(number), item)
    scope.touch("evidence", number)


def item_of(state: ReadState, commitment: bytes) -> int:
    """Number of the item with this commitment, or 0."""
    raw = state.get(keys.item_of(commitment))
    return 0 if raw is None else int.from_bytes(raw[1:], "big")


def save_item_of(scope: Scope, commitment: bytes, number: int) -> None:
    scope.state.put(keys.item_of(commitment), keys.item(number))


def load_grant(state: ReadState, item: int, key: bytes) -> GrantRecord | None:
    return state.load(keys.grant(item, key), GrantRecord)


def load_item_counter(state: ReadState) -> int:
    raw = state.get(keys.item_counter)
    return 1 if raw is None else decode_trusted(ItemCounter, raw).next_item


def save_item_counter(scope: Scope, next_item: int) -> None:
    scope.state.put(keys.item_counter, encode(ItemCounter(next_item=next_item)))


def live_grant(state: ReadState, number: int, item: ItemRecord, key: bytes, now_ms: int) -> GrantRecord | None:
    """The grant by which `key` may open the item at `now_ms`, or None."""
    grant = load_grant(state, number, key)
    if item.status is not ItemStatus.KEPT or grant is None or grant.until_ms <= now_ms:
        return None
    return grant


def granted_by_sender(grant: GrantRecord, organisation: int, member: int) -> bool:
    """Whether this account is the one that granted."""
    if member:
        return grant.member == member
    return grant.organisation == organisation != NO_ORGANISATION
