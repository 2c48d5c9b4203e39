"""Evidence items, grants, openings and events in a form for people and programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from node.claims.consortium import load_sender
from node.claims.events import ClaimsEvent, EventKind
from node.claims.evidence.actions import Purpose
from node.claims.evidence.records import GrantRecord, ItemRecord, OpeningRecord
from node.claims.ids import claim_text, item_text, member_text
from node.claims.registry import Registry
from node.claims.state import ReadState
from node.claims.types import NO_ORGANISATION

Json = dict[str, Any]
EVENTS: Final = range(180, 190)
_PURPOSE_EVENTS: Final = (EventKind.EVIDENCE_GRANTED, EventKind.EVIDENCE_OPENED)


def purpose_text(number: int) -> str | None:
    return Purpose(number).name.lower().replace("_", "-") if number else None


def purpose_number(text: str) -> Purpose:
    """Raises KeyError."""
    return Purpose[text.upper().replace("-", "_")]


def _name(registry: Registry, organisation: int) -> str | None:
    return None if organisation == NO_ORGANISATION else registry.names[organisation]


def _member(number: int) -> str | None:
    return member_text(number) if number else None


def item_view(registry: Registry, number: int, item: ItemRecord) -> Json:
    """`by` and `member`: who registered it, one of them. `missing`: holders whose signature is waited for."""
    waiting = [holder for holder in item.holders if item.erasing_ms and holder not in item.signed]
    return {
        "id": item_text(number),
        "claim": claim_text(item.claim) if item.claim else None,
        "status": item.status.name.lower(),
        "by": _name(registry, item.organisation),
        "member": _member(item.member),
        "commitment": item.commitment.hex(),
        "ciphertext": item.ciphertext.hex(),
        "bucket": item.bucket,
        "registered_ms": item.registered_ms,
        "holders": [registry.names[holder] for holder in item.holders],
        "erasing_ms": item.erasing_ms or None,
        "signed": [registry.names[holder] for holder in item.signed],
        "missing": [registry.names[holder] for holder in waiting],
        "order": item.order.hex() or None,
        "changed_ms": item.changed_ms,
    }


def account_of(registry: Registry, state: ReadState, key: bytes) -> Json:
    """Whose account a key is."""
    sender = load_sender(state, key)
    if sender is None:
        return {"organisation": None, "member": None}
    return {"organisation": _name(registry, sender.organisation), "member": _member(sender.member)}


def grant_view(registry: Registry, state: ReadState, key: bytes, grant: GrantRecord) -> Json:
    return {
        "recipient": key.hex(),
        **account_of(registry, state, key),
        "purpose": purpose_text(grant.purpose),
        "until_ms": grant.until_ms,
        "granted_ms": grant.granted_ms,
        "granted_by": _name(registry, grant.organisation) or _member(grant.member),
    }


def opening_view(registry: Registry, state: ReadState, receipt: bytes, opening: OpeningRecord) -> Json:
    return {
        "receipt": receipt.hex(),
        "served_by": _name(registry, opening.organisation),
        "recipient": opening.recipient.hex(),
        **account_of(registry, state, opening.recipient),
        "purpose": purpose_text(opening.purpose),
        "opened_ms": opening.opened_ms,
    }


def event_fields(registry: Registry, event: ClaimsEvent) -> Json:
    """What an event about an item says, besides what happened."""
    fields: Json = {"evidence": item_text(event.subject)}
    if event.organisation != NO_ORGANISATION:
        fields["organisation"] = registry.names[event.organisation]
    if event.kind in _PURPOSE_EVENTS:
        fields["purpose"] = purpose_text(event.value)
    elif event.value:
        fields["claim"] = claim_text(event.value)
    return fields


def purposes() -> Iterable[str]:
    """All words, in the order of their numbers."""
    return [str(purpose_text(purpose)) for purpose in Purpose]
