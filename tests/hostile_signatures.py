"""Signatures of the kinds on which Ed25519 verifiers have differed, made at random from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from hashlib import sha512
from typing import Final

import nacl.bindings

from node.crypto import SigningKey
from node.ed25519.rule import NOT_CANONICAL, SMALL_ORDER
from node.ed25519.vectors import Case
from node.edwards import NEUTRAL, ORDER

_add = nacl.bindings.crypto_core_ed25519_add
_times_base = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp

ORDER_8: Final = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
"""A point T of order 8."""


def _torsion() -> list[bytes]:
    """0*T to 7*T."""
    points = [NEUTRAL]
    for _ in range(7):
        points.append(_add(points[-1], ORDER_8))
    return points


TORSION: Final = _torsion()


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    """H(R, A, M)."""
    return int.from_bytes(sha512(r + key + message).digest(), "little") % ORDER


def _encoded(scalar: int) -> bytes:
    return (scalar % ORDER).to_bytes(32, "little")


def sign_again(seed: bytes, message: bytes, nonce: int) -> bytes:
    """A valid signature of the key with this seed, and another one for each nonce."""
    scalar = int.from_bytes(nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(SigningKey(seed)._secret), "little")
    r = _times_base(_encoded(nonce))
    return r + _encoded(nonce + challenge(r, SigningKey(seed).public, message) * scalar)


class Hostile:
    """A source of such signatures. The same seed gives the same ones."""

    def __init__(self, seed: int, honest: int = 400) -> None:
        self._random = random.Random(seed)
        self._keys = [SigningKey(self._random.randbytes(32)) for _ in range(32)]
        self._honest = [self._sign() for _ in range(honest)]
        self._points = sorted(SMALL_ORDER)
        self._loose = sorted(NOT_CANONICAL)
        self._crafted = [make() for make in self._makers() for _ in range(24)]

    def cases(self, count: int) -> Iterator[Case]:
        """One half altered honest signatures, a quarter untouched, a quarter crafted."""
        draw = self._random
        for _ in range(count):
            kind = draw.randrange(4)
            if kind == 0:
                yield draw.choice(self._honest)
            elif kind == 1:
                yield draw.choice(self._crafted)
            else:
                yield self._altered(draw.choice(self._honest))

    def _sign(self) -> Case:
        key = self._random.choice(self._keys)
        message = self._random.randbytes(self._random.choice((0, 1, 31, 47, 48, 63, 64, 111, 112, 175, 250, 700)))
        return Case(key.public, key.sign(message), message)

    def _altered(self, case: Case) -> Case:
        draw = self._random
        key, signature, message = case
        r, s = signature[:32], signature[32:]
        match draw.randrange(10):
            case 0:
                return Case(key, _flip(draw, r) + s, message)
            case 1:
                return Case(key, r + _flip(draw, s), message)
            case 2:
                return Case(_flip(draw, key), signature, message)
            case 3:
                return Case(key, signature, _flip(draw, message) if message else b"\x00")
            case 4:
                raised = int.from_bytes(s, "little") + draw.randrange(1, 16) * ORDER
                return Case(key, r + (raised % 2**256).to_bytes(32, "little"), message)
            case 5:
                return Case(draw.choice(self._points + self._loose), signature, message)
            case 6:
                return Case(key, draw.choice(self._points + self._loose) + s, message)
            case 7:
                return Case(key, r + draw.choice((bytes(32), b"\xff" * 32, _limits(draw))), message)
            case 8:
                return Case(draw.choice(self._keys).public, signature, message)
            case _:
                return Case(key, draw.randbytes(32) + s, message)

    def _makers(self) -> tuple[Callable[[], Case], ...]:
        return (self._small_key, self._small_r, self._mixed_key, self._mixed_both, self._mixed_r)

    def _small_key(self) -> Case:
        """A of small order and h*A = 0: the equation holds for any S with R = S*B."""
        key, s = self._random.choice(self._points), self._scalar()
        r = _times_base(_encoded(s))
        while True:
            message = self._random.randbytes(16)
            if challenge(r, key, message) % 8 == 0:
                return Case(key, r + _encoded(s), message)

    def _small_r(self) -> Case:
        """R is the neutral element and S = h*a: the equation holds."""
        a, message = self._scalar(), self._random.randbytes(16)
        key = _times_base(_encoded(a))
        return Case(key, NEUTRAL + _encoded(challenge(NEUTRAL, key, message) * a), message)

    def _mixed(self, key_torsion: int, r_torsion: int) -> Case:
        a, k, message = self._scalar(), self._scalar(), self._random.randbytes(16)
        key = _add(_times_base(_encoded(a)), TORSION[key_torsion])
        r = _add(_times_base(_encoded(k)), TORSION[r_torsion])
        return Case(key, r + _encoded(k + challenge(r, key, message) * a), message)

    def _mixed_key(self) -> Case:
        """A of mixed order: holds with the cofactor always, without in one case of eight or more."""
        return self._mixed(self._random.randrange(1, 8), 0)

    def _mixed_both(self) -> Case:
        return self._mixed(self._random.randrange(1, 8), self._random.randrange(1, 8))

    def _mixed_r(self) -> Case:
        """R of mixed order: holds with the cofactor only."""
        return self._mixed(0, self._random.randrange(1, 8))

    def _scalar(self) -> int:
        return self._random.randrange(1, ORDER)


def _flip(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _limits(draw: random.Random) -> bytes:
    """A scalar at an edge: about 2^252, the order, twice the order."""
    edge = draw.choice((2**252, ORDER, 2 * ORDER, 8 * ORDER, 2**253, 2**255))
    return (edge + draw.randrange(-2, 3)).to_bytes(32, "little")
