"""What organisations say on the chain while they make the key of a new epoch. Tags 140-149.

The chain carries and orders it; it computes nothing in the group. Every holder checks for itself before it
confirms, and anybody can check again from the chain (node/oprf/ceremony.py).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from node.claims.types import MAX_ORGANISATIONS, Commitment
from node.claims.wire import Wire

KeyEpoch = Annotated[int, Meta(ge=1, le=65_535)]
"""Counts the keys of a chain, from 1."""
SealedShare = Annotated[bytes, Meta(min_length=48, max_length=48)]
DealingProofs = Annotated[bytes, Meta(min_length=128, max_length=128)]
OrganisationNumber = Annotated[int, Meta(ge=0, lt=MAX_ORGANISATIONS)]


class RefusalReason(IntEnum):
    """Why a key epoch is refused. Part of the chain format."""

    BAD_DEALING = 1
    """The dealing of the accused is malformed, for all to see."""
    BAD_SHARE = 2
    """The share it sealed to the sender does not fit; the opening shows it."""
    ABANDONED = 3
    """No accusation: the ceremony does not get on and is begun again."""


class DealKey(Wire, frozen=True, kw_only=True, tag=140):
    """A share holder's contribution to the key of `epoch`; the first one opens the epoch."""

    epoch: KeyEpoch
    commitments: Annotated[tuple[Commitment, ...], Meta(min_length=1, max_length=MAX_ORGANISATIONS)]
    """To the coefficients of the dealer's polynomial: as many as the threshold."""
    ephemeral: Commitment
    """The key through which the shares are sealed."""
    proofs: DealingProofs
    shares: Annotated[tuple[SealedShare, ...], Meta(min_length=1, max_length=MAX_ORGANISATIONS)]
    """One for each holder, in the order of the genesis, the dealer's own included."""


class ConfirmKey(Wire, frozen=True, kw_only=True, tag=141):
    """The sender has checked all dealings of `epoch` and holds its share."""

    epoch: KeyEpoch
    dealings: Commitment
    """Digest of what was checked (`dealings_digest`)."""


class RefuseKey(Wire, frozen=True, kw_only=True, tag=142):
    """Ends a key epoch that is being made, and says whose fault it is. Of an active one it is kept as evidence."""

    epoch: KeyEpoch
    reason: RefusalReason
    accused: OrganisationNumber = 0
    """Organisation number; not read when abandoned."""
    opening: Annotated[bytes, Meta(max_length=32)] = b""
    proof: Annotated[bytes, Meta(max_length=64)] = b""
    """With BAD_SHARE: opening and proof of `node.oprf.ceremony.accuse`."""
