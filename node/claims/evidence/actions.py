"""What may be asked about evidence items. Tags 120-139; field order is wire order.

An item is papers encrypted by a client. Only commitments, hashes, key numbers, codes and times are here: no
name of a person or file, no free text, and no key material. A sealed key on the chain could never be erased.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from node.claims.types import DAY_MS, Commitment, OptionalCommitment, PublicKeyBytes, Unsigned
from node.claims.wire import Wire

MAX_RECIPIENTS: Final = 16
MAX_OPENINGS: Final = 100
MAX_BUCKET: Final = 14
"""Buckets are 4 KiB << number: 4 KiB to 64 MiB."""
MAX_GRANT_MS: Final = 366 * DAY_MS
"""A grant ends within a year; it may be renewed."""


class Purpose(IntEnum):
    """What somebody may open an item for. Part of the chain format: add at the end, never renumber."""

    OWN_ACCESS = 1
    """The claimant's own papers."""
    INVESTIGATION = 2
    REVIEW = 3
    PAYMENT = 4
    DISPUTE = 5
    AUDIT = 6
    COURT = 7


class Recipient(Wire, frozen=True, kw_only=True):
    """Who may open an item, for what, until when."""

    key: PublicKeyBytes
    """An account key of the chain. The item's key is sealed to the X25519 key that follows from it."""
    purpose: Purpose
    until_ms: Unsigned
    """Chain time from which the grant is over."""


class RegisterEvidence(Wire, frozen=True, kw_only=True, tag=120):
    """A new item: of a claim, by whoever the claim involves, or standing alone (claim 0)."""

    claim: Unsigned
    commitment: Commitment
    """See builders.evidence_commitment: what the papers were can be shown as long as the item's salt exists."""
    ciphertext: Commitment
    """SHA-256 of the encrypted bytes."""
    bucket: Annotated[int, Meta(ge=0, le=MAX_BUCKET)]
    """Padded length, so that the exact one stays unknown."""
    recipients: Annotated[tuple[Recipient, ...], Meta(min_length=1, max_length=MAX_RECIPIENTS)]


class HoldEvidence(Wire, frozen=True, kw_only=True, tag=121):
    """The sender's organisation keeps a copy from now on, and must sign its erasure."""

    item: Unsigned


class GrantEvidence(Wire, frozen=True, kw_only=True, tag=122):
    """Lets one more key open an item, or changes its grant. until_ms 0 ends the grant now."""

    item: Unsigned
    recipient: Recipient


class Opening(Wire, frozen=True, kw_only=True):
    """One opening that the sender's organisation has served."""

    item: Unsigned
    recipient: PublicKeyBytes
    opened_ms: Unsigned
    receipt: Commitment
    """SHA-256 of the signed receipt that the serving node keeps."""


class RecordOpening(Wire, frozen=True, kw_only=True, tag=123):
    """Anchors receipts of openings."""

    openings: Annotated[tuple[Opening, ...], Meta(min_length=1, max_length=MAX_OPENINGS)]


class EraseEvidence(Wire, frozen=True, kw_only=True, tag=124):
    """Starts the erasure: from now on nobody serves the item, and every holder destroys its copy."""

    item: Unsigned


class ConfirmErasure(Wire, frozen=True, kw_only=True, tag=125):
    """A holder's signature that its copy, sealed keys included, is destroyed. The last one completes the erasure."""

    item: Unsigned


class RestrainErasure(Wire, frozen=True, kw_only=True, tag=126):
    """A court order or stay on one item: it cannot be erased until the order is lifted."""

    item: Unsigned
    order: OptionalCommitment
    """Commitment to the order; b"" lifts it."""
