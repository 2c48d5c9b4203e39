"""Records of key epochs: dealings, confirmations, refusals."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from hashlib import sha256

from node.claims import keys
from node.claims.registry import Registry
from node.claims.state import ReadState
from node.claims.wire import Wire, decode_trusted, encode


class KeyStatus(IntEnum):
    """Where a key epoch stands."""

    DEALING = 1
    CONFIRMING = 2
    """The first holder has confirmed: no more dealings."""
    ACTIVE = 3
    ABANDONED = 4


class KeyState(Wire, frozen=True, kw_only=True):
    """Which epochs count."""

    newest: int = 0
    """The latest epoch that somebody has dealt for; 0: none."""
    active: int = 0
    """The latest epoch that became active: its key makes the values. 0: none yet."""


class KeyEpochRecord(Wire, frozen=True, kw_only=True):
    """One key. Holders are fixed when it is opened; holder i is holders[i - 1]."""

    status: KeyStatus
    threshold: int
    holders: tuple[int, ...]
    """Organisation numbers, rising."""
    dealers: tuple[int, ...]
    """Organisation numbers in the order in which they dealt."""
    confirmed: tuple[int, ...]
    refused: tuple[int, ...]
    digest: bytes
    """Of the dealings; b"" while dealing."""
    opened_ms: int
    changed_ms: int


class DealingRecord(Wire, frozen=True, kw_only=True):
    """As DealKey."""

    commitments: tuple[bytes, ...]
    ephemeral: bytes
    proofs: bytes
    shares: tuple[bytes, ...]


class RefusalRecord(Wire, frozen=True, kw_only=True):
    """As RefuseKey."""

    reason: int
    accused: int
    opening: bytes
    proof: bytes


def holders_of(registry: Registry) -> tuple[int, ...]:
    """Organisations that hold shares: those that run a node."""
    return tuple(number for number, one in enumerate(registry.genesis.organisations) if one.node_key)


def threshold_of(holders: int) -> int:
    """How many holders it takes: as many as agree on a block, so values can be made whenever the ledger moves.

    Any smaller number would only make collusion cheaper. Equal to consensus.quorum for as many replicas.
    """
    return (holders + (holders - 1) // 3) // 2 + 1


def load_key_state(state: ReadState) -> KeyState:
    raw = state.get(keys.key_state)
    return KeyState() if raw is None else decode_trusted(KeyState, raw)


def load_key_epoch(state: ReadState, epoch: int) -> KeyEpochRecord | None:
    raw = state.get(keys.key_epoch(epoch)) if 0 < epoch < 65_536 else None
    return None if raw is None else decode_trusted(KeyEpochRecord, raw)


def load_dealing(state: ReadState, epoch: int, organisation: int) -> DealingRecord | None:
    raw = state.get(keys.key_dealing(epoch, organisation))
    return None if raw is None else decode_trusted(DealingRecord, raw)


def load_refusal(state: ReadState, epoch: int, organisation: int) -> RefusalRecord | None:
    raw = state.get(keys.key_refusal(epoch, organisation))
    return None if raw is None else decode_trusted(RefusalRecord, raw)


def dealings_digest(genesis: bytes, epoch: int, dealings: Iterable[tuple[int, DealingRecord]]) -> bytes:
    """What a confirmation names: (dealer, dealing) in the order of the dealers' numbers."""
    listed = sorted(dealings, key=lambda entry: entry[0])
    return sha256(b"weal/oprf/dealings/1\0" + genesis + encode((epoch, listed))).digest()
