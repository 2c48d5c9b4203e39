"""Parameters and answers of the evidence vault's part of the API."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from node.api.shapes import Cursor, Hash, PageLimit
from node.claims.ids import claim_text, item_text
from node.vault.sealing import BOX_BYTES

ItemId = Annotated[str, Meta(pattern="^E-[0-9]{6,18}$", max_length=20, description="Such as E-000012.")]
SealedKey = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-f]{{{2 * BOX_BYTES}}}$",
        min_length=2 * BOX_BYTES,
        max_length=2 * BOX_BYTES,
        description="The item's key in a libsodium sealed box, hex.",
    ),
]


class _Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ItemPath(_Parameters, frozen=True, kw_only=True):
    id: ItemId


class SealedKeyPath(_Parameters, frozen=True, kw_only=True):
    id: ItemId
    recipient: Hash


class ItemsQuery(_Parameters, frozen=True, kw_only=True):
    claim: Annotated[str, Meta(max_length=20, pattern="^(C-[0-9]{6,18})?$", description="Only this claim's.")] = ""
    cursor: Cursor = ""
    limit: PageLimit = 0


class SealedKeyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sealed_key: SealedKey


class ItemView(msgspec.Struct, kw_only=True):
    """An evidence item as the chain has it."""

    id: str
    claim: str | None
    """Null: it stands alone."""
    status: str
    """kept, erasing or erased."""
    by: str | None
    """Organisation that registered it, or null: the member did."""
    member: str | None
    commitment: str
    ciphertext: str
    """SHA-256 of the encrypted bytes."""
    bucket: int
    """Plain bytes were padded to 4096 << bucket."""
    registered_ms: int
    holders: list[str]
    erasing_ms: int | None
    signed: list[str]
    """Holders that have signed that their copy is destroyed."""
    missing: list[str]
    """Holders whose signature is waited for."""
    order: str | None
    """Commitment to a court order that forbids erasure."""
    changed_ms: int


class GrantView(msgspec.Struct, kw_only=True):
    """Who may open an item, for what, until when. Chain time."""

    recipient: str
    organisation: str | None
    member: str | None
    purpose: str
    until_ms: int
    granted_ms: int
    granted_by: str | None


class ItemDetailView(ItemView, kw_only=True):
    grants: list[GrantView]


class OpeningView(msgspec.Struct, kw_only=True):
    """An opening that is anchored on the chain."""

    receipt: str
    served_by: str | None
    recipient: str
    organisation: str | None
    member: str | None
    purpose: str
    opened_ms: int


class StandingView(msgspec.Struct, kw_only=True):
    """How an item stands at this node."""

    id: str
    status: str
    organisation: str
    """Whose node this is."""
    is_holder: bool
    has_bytes: bool
    sealed_keys: int
    is_destroyed: bool
    """This node's copy, sealed keys included, is gone for good."""


class SealedKeyView(msgspec.Struct, kw_only=True):
    recipient: str
    sealed_key: str


class ReceiptOfOpening(msgspec.Struct, kw_only=True):
    """What the serving node signed about one opening."""

    recipient: str
    purpose: str
    opened_ms: int
    """Chain time."""
    digest: str
    """What `record-opening` puts on the chain."""
    receipt: str
    """Canonical bytes with both signatures, hex."""


class OpenedView(msgspec.Struct, kw_only=True):
    sealed_key: str
    receipt: ReceiptOfOpening


HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
KEY = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
ITEM = {
    "id": item_text(12),
    "claim": claim_text(45),
    "status": "kept",
    "by": "harbour",
    "member": None,
    "commitment": HASH,
    "ciphertext": HASH,
    "bucket": 6,
    "registered_ms": 1_763_900_000_000,
    "holders": ["harbour", "meadow"],
    "erasing_ms": None,
    "signed": [],
    "missing": [],
    "order": None,
    "changed_ms": 1_763_900_000_000,
}
GRANT = {
    "recipient": KEY,
    "organisation": "meadow",
    "member": None,
    "purpose": "investigation",
    "until_ms": 1_766_500_000_000,
    "granted_ms": 1_763_900_000_000,
    "granted_by": "harbour",
}
OPENING = {
    "receipt": HASH,
    "served_by": "harbour",
    "recipient": KEY,
    "organisation": "meadow",
    "member": None,
    "purpose": "investigation",
    "opened_ms": 1_763_910_000_000,
}
STANDING = {
    "id": item_text(12),
    "status": "kept",
    "organisation": "harbour",
    "is_holder": True,
    "has_bytes": True,
    "sealed_keys": 2,
    "is_destroyed": False,
}
BOX = "ab" * BOX_BYTES
RECEIPT = {
    "recipient": KEY,
    "purpose": "investigation",
    "opened_ms": 1_763_910_000_000,
    "digest": HASH,
    "receipt": "99c420" + HASH,
}
