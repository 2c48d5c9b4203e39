"""libsodium: the referee. Always there, one signature at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import nacl.bindings
from nacl.exceptions import BadSignatureError

from node.ed25519.rule import KEY_BYTES, SIGNATURE_BYTES

_open = nacl.bindings.crypto_sign_open


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    """Is `signature` valid for `message` under `key`, by the rule? Wrong lengths are simply invalid."""
    # libsodium reads 32 bytes of key and 64 of signature whatever we pass, so lengths are checked here.
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        _open(signature + message, key)
    except BadSignatureError:
        return False
    return True


class Sodium:
    """A `Verifier` (choice.py) that asks libsodium about each signature."""

    name: Final = "libsodium"
    lanes: Final = 1

    def verify_many(self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]) -> list[bool]:
        """Inline on the calling thread on purpose: a verifying thread beside a busy interpreter loses 99 % of its
        speed to the interpreter lock. Raises ValueError unless there are as many of each."""
        return [verify(*item) for item in zip(keys, signatures, messages, strict=True)]
