"""What of the jury needs a curve or a key: declared here, computed by `node/jury_proofs.py`.

`node.claims` is pure and imports no cryptography; the application is given an implementation, as it is given the
check of equivocation evidence. All of it is deterministic and the same on every node, because it decides whether
an action is carried out. `REFUSING` is for chains whose plans have no jury: it accepts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Protocol

from msgspec import Meta

from node.claims.types import PublicKeyBytes
from node.claims.wire import Wire

MAX_BEACON: Final = 16
"""Organisations that take part in one draw. Checking a dealing costs some 300 us for each of them."""

Point = PublicKeyBytes
ScalarBytes = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signed = tuple[bytes, bytes, bytes]
"""(public key, signature, message)."""


class Dealing(Wire, frozen=True, kw_only=True):
    """One organisation's sharing of a random point among all that take part in a draw; see node/beacon.py."""

    commitments: Annotated[tuple[Point, ...], Meta(min_length=1, max_length=MAX_BEACON)]
    """To the coefficients of the dealer's polynomial, lowest power first."""
    shares: Annotated[tuple[Point, ...], Meta(min_length=1, max_length=MAX_BEACON)]
    """Encrypted, one for each organisation, in the order of the draw's keys."""
    challenge: ScalarBytes
    answers: Annotated[tuple[ScalarBytes, ...], Meta(min_length=1, max_length=MAX_BEACON)]


def threshold(parties: int) -> int:
    """How many shares give the result. A majority: no minority can read it before, or keep it from being read."""
    return parties // 2 + 1


class JuryProofs(Protocol):
    """Checks of signatures, of the verifiable random function, and of the beacon."""

    def signatures(self, items: Sequence[Signed]) -> list[bool]:
        """By libsodium's rule, as for transactions."""
        ...

    def valid_key(self, key: bytes) -> bool:
        """A point of the prime-order subgroup."""
        ...

    def exam_output(self, key: bytes, alpha: bytes, proof: bytes) -> bytes | None:
        """ECVRF output, RFC 9381; None if the proof is not valid."""
        ...

    def dealing_valid(self, context: bytes, keys: Sequence[bytes], dealing: Dealing) -> bool: ...

    def opening_valid(self, context: bytes, key: bytes, share: bytes, opened: bytes, proof: bytes) -> bool: ...

    def add_up(self, rows: Sequence[Sequence[bytes]]) -> tuple[bytes, ...] | None:
        """Share by share, the sum of dealings; None if it is none."""
        ...

    def combine(self, opened: Sequence[tuple[int, bytes]]) -> bytes | None:
        """The result, from as many (place from 1, opened share) as the threshold."""
        ...


class Refusing:
    """Accepts nothing."""

    def signatures(self, items: Sequence[Signed]) -> list[bool]:
        return [False] * len(items)

    def valid_key(self, key: bytes) -> bool:
        return False

    def exam_output(self, key: bytes, alpha: bytes, proof: bytes) -> bytes | None:
        return None

    def dealing_valid(self, context: bytes, keys: Sequence[bytes], dealing: Dealing) -> bool:
        return False

    def opening_valid(self, context: bytes, key: bytes, share: bytes, opened: bytes, proof: bytes) -> bool:
        return False

    def add_up(self, rows: Sequence[Sequence[bytes]]) -> tuple[bytes, ...] | None:
        return None

    def combine(self, opened: Sequence[tuple[int, bytes]]) -> bytes | None:
        return None


REFUSING: Final = Refusing()
