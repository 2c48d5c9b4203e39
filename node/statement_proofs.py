"""Making statements that can be checked offline: every record that a bill is computed from, with its path to one root.

`proofs.verify_bundle` computes the statement again from these records.
"""

from __future__ import annotations

from collections.abc import Iterator

from node.claims.genesis import Genesis
from node.claims.invariants import InvariantBroken
from node.claims.state import EncodedReads, ReadState
from node.claims.statement import CannotFollow, recompute
from node.errors import Unavailable
from node.proofs import FORMAT, MAX_PROOF_BYTES, ProofBundle, RecordProof, RecordsProof, encode_bundle
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
