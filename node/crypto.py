"""Ed25519: keys, signing, and the one rule by which every replica accepts a signature.

The rule is part of the protocol, because two verifiers that differ on one crafted signature fork a chain.
It is libsodium's. A signature (R, S) of a message M under a key A is valid if and only if

1. the key has 32 bytes and the signature 64;
2. S, read as a little-endian integer, is below the group order L (so nobody can alter a signature);
3. A is the canonical encoding of a curve point, and neither A nor R is one of the points of small order;
4. the encoding of S*B - H(R, A, M)*A equals R byte for byte (the cofactorless equation; hence R is canonical).

Mixed-order A and R are accepted if 4 holds as it stands. Batch or multi-lane verifiers that use the
cofactored equation or ZIP-215 accept more and must not be used. `tests/fixtures/ed25519` pins the rule.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import nacl.bindings
from nacl.exceptions import BadSignatureError

from consensus.types import SIGNATURE_BYTES, PublicKey, Signature

PUBLIC_KEY_BYTES: Final = 32
SEED_BYTES: Final = 32

_open = nacl.bindings.crypto_sign_open
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


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    """Is `signature` valid for `message` under `key`, by the rule above? Wrong lengths are simply invalid."""
    # libsodium reads 32 bytes of key and 64 of signature whatever we pass, so lengths are checked here.
    if len(key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        _open(signature + message, key)
    except BadSignatureError:
        return False
    return True


def verify_batch(items: Iterable[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """`verify` for many (key, signature, message); says which are bad, in order.

    Inline on the calling thread on purpose: a verifying thread beside a busy interpreter loses 99 % of its
    speed to the interpreter lock, and libsodium has no call that checks several at once by the same rule.
    """
    return [verify(key, signature, message) for key, signature, message in items]


class VoteVerifier:
    """`verify` that remembers the last valid signatures.

    The same votes come back inside certificates, view changes and synced blocks; looking one up costs a
    hundredth of checking it. Only valid ones are kept, oldest out first, so rubbish cannot push out much.
    """

    def __init__(self, capacity: int = 16_384) -> None:
        self._capacity = capacity
        self._valid: OrderedDict[tuple[bytes, bytes, bytes], None] = OrderedDict()

    def __call__(self, key: PublicKey, signature: Signature, message: bytes) -> bool:
        item = (signature, message, key)
        if item in self._valid:
            return True
        if not verify(key, signature, message):
            return False
        if len(self._valid) >= self._capacity:
            self._valid.popitem(last=False)
        self._valid[item] = None
        return True
