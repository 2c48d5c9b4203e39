"""Statements that can be checked offline: every record that a bill is computed from, with its path to one root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node.claims.genesis import Genesis
from node.claims.invariants import InvariantBroken
from node.claims.state import EncodedReads, ReadState
from node.claims.statement import CannotFollow, recompute
from node.errors import Unavailable
from node.proofs import FORMAT, MAX_PROOF_BYTES, BadProof, ProofBundle, Proven, RecordProof, RecordsProof, encode_bundle
from node.state import StateDatabase
from node.store import BlockStore


class _Recording(EncodedReads):
    """A state that remembers what was read, in the order of first reading."""

    def __init__(self, below: ReadState) -> None:
        self._below = below
        self.read: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        if key not in self.read:
            self.read[key] = self._below.get(key)
        return self.read[key]

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        raise InvariantBroken("a statement reads records by their keys only")


class _Proven(_Recording):
    """The records of a proof, and nothing else."""

    def __init__(self, records: dict[bytes, bytes | None]) -> None:
        self.read = records

    def get(self, key: bytes) -> bytes | None:
        if key not in self.read:
            raise BadProof(f"it lacks the record {key.hex()}, which the statement needs")
        return self.read[key]


def prove_statement(state: StateDatabase, blocks: BlockStore, genesis: Genesis, number: int) -> ProofBundle | None:
    """Proof of all that the member's statement is computed from; None: there is no such member.

    Raises Unavailable while only genesis is there, and for a statement that is too long for a proof.
    """
    tip = state.tip
    if tip is None or tip[0] == 0:
        raise Unavailable("no block is final yet, and only a final block's state can be proved: try again later")
    header, certificate = blocks.header_at(tip[0]), blocks.certificate_at(tip[0])
    assert header is not None and certificate is not None
    recording = _Recording(state.view())
    try:
        if recompute(genesis, recording, number) is None:
            return None
    except CannotFollow as error:
        raise Unavailable(f"the statement cannot be proved: {error}") from None
    facts = tuple(RecordProof(key=key, value=value, proof=state.prove(key)) for key, value in recording.read.items())
    bundle = ProofBundle(
        format=FORMAT, header=header, certificate=certificate, fact=RecordsProof(member=number, records=facts)
    )
    if len(encode_bundle(bundle)) > MAX_PROOF_BYTES:
        raise Unavailable("the statement is too long for a proof")
    return bundle


def verify_statement(proven: Proven, genesis: Genesis) -> dict[str, Any]:
    """The statement that a verified bundle shows, computed again from its records. Raises BadProof."""
    if proven.records is None or proven.member is None:
        raise BadProof("it is about a single fact, not about a statement")
    try:
        statement = recompute(genesis, _Proven(proven.records), proven.member)
    except (CannotFollow, InvariantBroken) as error:
        raise BadProof(f"the statement does not follow from its records: {error}") from error
    if statement is None:
        raise BadProof("there is no such member")
    return statement
