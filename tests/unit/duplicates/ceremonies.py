"""A key made on a chain, step by step, as operators make it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from node.claims.nullifiers.actions import ConfirmKey, DealKey
from node.claims.nullifiers.records import dealings_digest, load_dealing, load_key_epoch, threshold_of
from node.claims.state import ReadState
from node.crypto import SigningKey
from node.oprf.ceremony import Ceremony, Dealing, deal


def ceremony_of(genesis: bytes, node_keys: Sequence[SigningKey], epoch: int = 1) -> Ceremony:
    return Ceremony(
        genesis=genesis,
        epoch=epoch,
        threshold=threshold_of(len(node_keys)),
        holders=tuple(key.public for key in node_keys),
    )


def deal_action(epoch: int, dealing: Dealing) -> DealKey:
    return DealKey(
        epoch=epoch,
        commitments=dealing.commitments,
        ephemeral=dealing.ephemeral,
        proofs=dealing.proofs,
        shares=dealing.boxes,
    )


def new_dealing(ceremony: Ceremony, dealer: int) -> DealKey:
    """`dealer` counts from 1."""
    return deal_action(ceremony.epoch, deal(ceremony, dealer, secrets.token_bytes))


def confirmation(genesis: bytes, state: ReadState, epoch: int = 1) -> ConfirmKey:
    record = load_key_epoch(state, epoch)
    assert record is not None
    dealings = [(number, load_dealing(state, epoch, number)) for number in record.dealers]
    digest = dealings_digest(genesis, epoch, [(number, one) for number, one in dealings if one is not None])
    return ConfirmKey(epoch=epoch, dealings=digest)
