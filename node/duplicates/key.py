"""The active key as this node sees it on the chain: public part, own share, and who cheated this node."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from node.claims.nullifiers.actions import RefusalReason
from node.claims.nullifiers.records import (
    DealingRecord,
    KeyEpochRecord,
    RefusalRecord,
    load_dealing,
    load_key_epoch,
    load_refusal,
)
from node.claims.registry import Registry
from node.claims.state import ReadState
from node.oprf.ceremony import (
    Ceremony,
    Dealing,
    PublicKey,
    Verdict,
    accuse,
    dealing_problem,
    judge,
    key_share,
    public_key,
)
from node.oprf.group import NotInGroup, Randomness


class EpochOnChain(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain holds of one key epoch, in the terms of the ceremony."""

    record: KeyEpochRecord
    ceremony: Ceremony
    dealings: dict[int, Dealing]
    """By holder number, from 1."""


class Accusation(msgspec.Struct, frozen=True, kw_only=True):
    """A dealer that cheated this node, ready to be put on the chain."""

    accused: int
    """Organisation number."""
    reason: RefusalReason
    opening: bytes
    proof: bytes


class OwnKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key with this node's share."""

    epoch: int
    public: PublicKey | None
    """None if a dealing is malformed."""
    holders: tuple[int, ...]
    """Organisation numbers; holder 1 first."""
    holder: int
    """This node's number; 0 if it is no holder."""
    share: bytes | None
    accusations: tuple[Accusation, ...]


def read_epoch(registry: Registry, state: ReadState, epoch: int) -> EpochOnChain | None:
    """Read, not checked: what stands there may be any bytes of the right lengths."""
    record = load_key_epoch(state, epoch)
    if record is None:
        return None
    found = ((number, load_dealing(state, epoch, number)) for number in sorted(record.dealers))
    organisations = registry.genesis.organisations
    return EpochOnChain(
        record=record,
        ceremony=Ceremony(
            genesis=registry.digest,
            epoch=epoch,
            threshold=record.threshold,
            holders=tuple(organisations[number].node_key for number in record.holders),
        ),
        dealings={
            record.holders.index(number) + 1: as_dealing(dealing) for number, dealing in found if dealing is not None
        },
    )


def as_dealing(record: DealingRecord) -> Dealing:
    return Dealing(
        commitments=record.commitments, ephemeral=record.ephemeral, proofs=record.proofs, boxes=record.shares
    )


def own_key(chain: EpochOnChain, organisation: int, secret: bytes, randomness: Randomness) -> OwnKey:
    """This node's share of the key that the dealings on the chain add up to, or whom to accuse.

    Takes a millisecond for each commitment of each dealing.
    """
    record, ceremony = chain.record, chain.ceremony
    holder = record.holders.index(organisation) + 1 if organisation in record.holders else 0
    share, cheats = key_share(ceremony, chain.dealings, holder, secret) if holder else (None, ())
    accusations = []
    for dealer in cheats:
        dealing, accused = chain.dealings[dealer], record.holders[dealer - 1]
        if dealing_problem(ceremony, dealer, dealing) is not None:
            bad = Accusation(accused=accused, reason=RefusalReason.BAD_DEALING, opening=b"", proof=b"")
        else:
            opening, proof = accuse(ceremony, dealer, dealing, holder, secret, randomness)
            bad = Accusation(accused=accused, reason=RefusalReason.BAD_SHARE, opening=opening, proof=proof)
        accusations.append(bad)
    try:
        public = public_key(ceremony, chain.dealings) if chain.dealings else None
    except NotInGroup:
        public = None
    return OwnKey(
        epoch=ceremony.epoch,
        public=public,
        holders=record.holders,
        holder=holder,
        share=share,
        accusations=tuple(accusations),
    )


def verdicts(chain: EpochOnChain, state: ReadState) -> Mapping[int, tuple[RefusalRecord, Verdict | None]]:
    """Each refusal on the chain by the organisation that made it, judged; None: it accuses nobody."""
    record, judged = chain.record, {}
    for number in record.refused:
        refusal = load_refusal(state, chain.ceremony.epoch, number)
        if refusal is None:
            continue
        verdict = None
        if refusal.reason != RefusalReason.ABANDONED:
            dealer, holder = record.holders.index(refusal.accused) + 1, record.holders.index(number) + 1
            dealing = chain.dealings[dealer]
            verdict = judge(chain.ceremony, dealer, dealing, holder, refusal.opening, refusal.proof)
        judged[number] = (refusal, verdict)
    return judged
