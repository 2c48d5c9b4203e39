"""Requests that a key signs, and the receipts that a node signs for them.

A request names the chain, what is asked, the item, the time and the digest of what is sent, so it cannot be used for
anything else; a request older than five minutes is refused. A receipt holds the request's signature: neither can
the serving node invent an opening, nor the recipient deny one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Literal, NamedTuple

from node.claims.evidence.actions import Purpose
from node.claims.types import Commitment, PublicKeyBytes, SignatureBytes, Unsigned
from node.claims.wire import Malformed, Wire, decode, encode
from node.crypto import SigningKey, verify

SCHEME: Final = "Weal"
FRESH_MS: Final = 300_000
"""How far a request's time may lie from the node's clock, both ways; real time, whatever the chain's clock does."""
MAX_RECEIPT_BYTES: Final = 1_024
NOTHING: Final = sha256(b"").digest()

What = Literal["store", "put-key", "open", "fetch", "keys", "receipts"]


class Signed(NamedTuple):
    """An Authorization header that was read: well formed, not yet checked."""

    key: bytes
    at_ms: int
    signature: bytes


class Receipt(Wire, frozen=True, kw_only=True):
    """One opening. The last field signs the rest."""

    genesis: Commitment
    item: Commitment
    """The item's commitment."""
    node: PublicKeyBytes
    """Key of the serving node."""
    recipient: PublicKeyBytes
    purpose: Purpose
    opened_ms: Unsigned
    """Chain time."""
    asked_ms: Unsigned
    """Time of the request, as the recipient signed it."""
    request: SignatureBytes
    signature: SignatureBytes

    @property
    def digest(self) -> bytes:
        """What `RecordOpening` puts on the chain."""
        return sha256(encode(self)).digest()


def _request_bytes(genesis: bytes, what: What, item: bytes, at_ms: int, body: bytes) -> bytes:
    return encode(("weal/vault-request/1", genesis, what, item, at_ms, body))


def authorization(key: SigningKey, genesis: bytes, what: What, item: bytes, at_ms: int, body: bytes = NOTHING) -> str:
    """The header of a request. `item`: its commitment; `body`: SHA-256 of what is sent."""
    signature = key.sign(_request_bytes(genesis, what, item, at_ms, body))
    return f"{SCHEME} {key.public.hex()}.{at_ms}.{signature.hex()}"


def read_authorization(header: str) -> Signed | None:
    """None if it is none of ours. Never longer than what three fields take."""
    scheme, _, rest = header.partition(" ")
    parts = rest.split(".")
    if len(header) > 300 or scheme != SCHEME or len(parts) != 3:
        return None
    key, at_ms, signature = parts
    if len(key) != 64 or len(signature) != 128 or not (at_ms.isascii() and at_ms.isdigit() and len(at_ms) <= 16):
        return None
    try:
        return Signed(bytes.fromhex(key), int(at_ms), bytes.fromhex(signature))
    except ValueError:
        return None


def is_signed(signed: Signed, genesis: bytes, what: What, item: bytes, body: bytes = NOTHING) -> bool:
    return verify(signed.key, signed.signature, _request_bytes(genesis, what, item, signed.at_ms, body))


def make_receipt(
    node: SigningKey, genesis: bytes, item: bytes, signed: Signed, purpose: Purpose, opened_ms: int
) -> Receipt:
    values = {
        "genesis": genesis,
        "item": item,
        "node": bytes(node.public),
        "recipient": signed.key,
        "purpose": purpose,
        "opened_ms": opened_ms,
        "asked_ms": signed.at_ms,
        "request": signed.signature,
    }
    unsigned = Receipt(**values, signature=bytes(64))  # type: ignore[arg-type]
    return Receipt(**values, signature=node.sign(_receipt_bytes(unsigned)))  # type: ignore[arg-type]


def _receipt_bytes(receipt: Receipt) -> bytes:
    fields = (getattr(receipt, name) for name in receipt.__struct_fields__[:-1])
    return encode(("weal/opening-receipt/1", *fields))


def read_receipt(data: bytes) -> Receipt | None:
    try:
        return decode(Receipt, data, MAX_RECEIPT_BYTES)
    except Malformed:
        return None


def receipt_holds(receipt: Receipt) -> bool:
    """Both signatures: the recipient asked, and the node says that it served."""
    signed = Signed(receipt.recipient, receipt.asked_ms, receipt.request)
    return is_signed(signed, receipt.genesis, "open", receipt.item) and verify(
        receipt.node, receipt.signature, _receipt_bytes(receipt)
    )
