"""Ed25519: keys, signing, and the one rule by which every replica accepts a signature.

The rule is part of the protocol, because two verifiers that differ on one crafted signature fork a chain.
It is libsodium's. A signature (R, S) of a message M under a key A is valid if and only if

1. the key has 32 bytes and the signature 64;
2. S, read as a little-endian integer, is below the group order L (so nobody can alter a signature);
3. A is the canonical encoding of a curve point, and neither A nor R is one of the points of small order;
4. the encoding of S*B - H(R, A, M)*A equals R byte for byte (the cofactorless equation; hence R is canonical).

Mixed-order A and R are accepted if 4 holds as it stands. Verifiers that use the cofactored equation or ZIP-215
accept more and must not be used. `tests/fixtures/ed25519` pins the rule; `node/ed25519` follows it, one signature at
a time or eight, and tests itself against it before a node starts.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

import nacl.bindings

from consensus.types import SIGNATURE_BYTES, PublicKey, Signature
from node.cache import GenerationCache
from node.ed25519.choice import chosen
from node.ed25519.sodium import verify

__all__ = ["SEED_BYTES", "SigningKey", "VoteVerifier", "verify", "verify_many"]

SEED_BYTES: Final = 32

_sign = nacl.bindings.crypto_sign


class SigningKey:
    """An Ed25519 key that signs. Deterministic: the same message gives the same signature."""

    __slots__ = ("_secret", "public")

    public: PublicKey

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a signing key's seed has {SEED_BYTES} bytes, not {len(seed)}")
        public, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.public = PublicKey(public)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(secrets.token_bytes(SEED_BYTES))

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, to be written to a key file and nowhere else."""
        return nacl.bindings.crypto_sign_ed25519_sk_to_seed(self._secret)

    def sign(self, message: bytes) -> Signature:
        return Signature(_sign(message, self._secret)[:SIGNATURE_BYTES])

    def __repr__(self) -> str:
        # Never the secret: a repr ends up in logs.
        return f"SigningKey(public={self.public.hex()})"


def verify_many(keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]) -> list[bool]:
    """`verify` for many: is `signatures[i]` valid for `messages[i]` under `keys[i]`? Faster from three on.

    Raises ValueError unless there are as many of each.
    """
    return chosen().verifier.verify_many(keys, signatures, messages)


class VoteVerifier:
    """`verify` that remembers the last valid signatures.

    The same votes come back inside certificates, view changes and synced blocks; looking one up costs a
    hundredth of checking it. Only valid ones are kept, those longest unused out first, so rubbish cannot push out
    much. A hash stands for each: what it is made of is three times as much to keep.
    """

    def __init__(self, capacity: int = 16_384) -> None:
        self._valid: GenerationCache[bytes, bool] = GenerationCache(capacity)

    def __call__(self, key: PublicKey, signature: Signature, message: bytes) -> bool:
        name = _name_of(key, signature, message)
        if self._valid.get(name):
            return True
        if not verify(key, signature, message):
            return False
        self._valid.put(name, True)
        return True

    def prepare(self, items: Iterable[tuple[PublicKey, Signature, bytes]]) -> None:
        """Check together what is about to be asked for one by one. Each is (key, signature, message)."""
        named = {_name_of(*item): item for item in items}
        unknown = {name: item for name, item in named.items() if not self._valid.get(name)}
        if not unknown:
            return
        keys, signatures, messages = zip(*unknown.values(), strict=True)
        for name, is_valid in zip(unknown, verify_many(keys, signatures, messages), strict=True):
            if is_valid:
                self._valid.put(name, True)


def _name_of(key: bytes, signature: bytes, message: bytes) -> bytes:
    """Stands for the three; the lengths keep apart what would be the same bytes one after the other."""
    return sha256(b"%d %d " % (len(key), len(signature)) + key + signature + message).digest()
