"""Building transactions and commitments: for clients and tests. Pure: keys and randomness come from the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import digest as hmac_digest

from node.claims.transaction import MAX_TRANSACTION_BYTES, Action, Transaction
from node.claims.wire import Malformed, encode

Sign = Callable[[bytes], bytes]
"""Message -> Ed25519 signature, 64 bytes, by the sender's key."""


def build_transaction(
    genesis: bytes,
    sender: bytes,
    sequence: int,
    valid_until_ms: int,
    actions: Sequence[Action],
    sign: Sign,
) -> Transaction:
    """A signed transaction. Raises Malformed if it is too large.

    `valid_until_ms` is chain time; leave room below the chain's max_validity_ms, because it is counted
    from the time of the block, which may lie a little behind the client's clock.
    """
    unsigned = Transaction(
        genesis=genesis,
        sender=sender,
        sequence=sequence,
        valid_until_ms=valid_until_ms,
        actions=tuple(actions),
        signature=bytes(64),
    )
    size = len(encode(unsigned))
    if size > MAX_TRANSACTION_BYTES:
        raise Malformed(f"{size} bytes where at most {MAX_TRANSACTION_BYTES} fit: split the actions")
    signed = unsigned.signed_bytes()
    transaction = Transaction(
        genesis=genesis,
        sender=sender,
        sequence=sequence,
        valid_until_ms=valid_until_ms,
        actions=unsigned.actions,
        signature=sign(signed),
    )
    transaction.__dict__["_signed"] = signed
    return transaction


def person_commitment(key: bytes, identity: str) -> bytes:
    """The value by which a plan knows a person twice without knowing who it is.

    `key` (at least 16 bytes) is shared by the enrolling organisations and kept off the chain: without it
    nobody can try out names or numbers. `identity` must be written the same way everywhere.
    """
    if len(key) < 16:
        raise ValueError("the key of person commitments must be at least 16 bytes, or guesses could be tested")
    return hmac_digest(key, b"weal/person/1\0" + identity.encode(), "sha256")


def commitment(salt: bytes, content: bytes) -> bytes:
    """Commits to `content` (or its root) without showing it. One fresh 32-byte `salt` for each item:
    destroying the salt makes the commitment say nothing for ever."""
    if len(salt) != 32:
        raise ValueError("a salt of exactly 32 random bytes is needed")
    return sha256(b"weal/commitment/1\0" + salt + content).digest()


EVIDENCE_SCHEMA = 1
"""How the papers of an item are packed: see docs/evidence.md."""


def evidence_commitment(salt: bytes, papers: bytes, ciphertext: bytes) -> bytes:
    """Commits an evidence item to its papers and to the bytes that hide them.

    `papers`: SHA-256 over the digests of the papers in order, as in every commitment to papers; `ciphertext`:
    SHA-256 of the encrypted bytes. The salt is inside them, so it goes with the item's key and no other item's.
    """
    return commitment(salt, b"weal/evidence\0" + bytes([EVIDENCE_SCHEMA]) + papers + ciphertext)
