"""Proof that a replica voted for two blocks in one slot: checked, kept as files, reported on chain by an operator.

One file for each proof, named after the accused and the proof's digest, in `evidence/` of the data directory:
they survive the databases and can be handed to anybody who has the genesis file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from consensus.certificates import verify_evidence
from consensus.codec import decode, encode
from consensus.errors import DecodeError
from consensus.messages import Domain, Evidence
from consensus.quorum import MemberSet
from node.crypto import verify
from node.errors import StoreError

MAX_EVIDENCE_BYTES: Final = 4_096
_KEPT_PER_MEMBER: Final = 16


def evidence_check(members: MemberSet, domain: Domain) -> Callable[[bytes], str | None]:
    """A pure check for the application: proof bytes -> name of the organisation they convict, or None."""

    def check(data: bytes) -> str | None:
        try:
            evidence = decode(Evidence, data, MAX_EVIDENCE_BYTES)
        except DecodeError:
            return None
        if not verify_evidence(evidence, members, domain, verify):
            return None
        return members.members[evidence.first.replica].name

    return check


class EvidenceFolder:
    """Proofs found by this node or gossiped to it; a bounded number for each member."""

    def __init__(self, path: Path, members: MemberSet) -> None:
        self._path = path
        self._members = members

    def keep(self, evidence: Evidence) -> Path | None:
        """Write a proof; None if there are enough against this member. Raises StoreError."""
        data = encode(evidence)
        name = self._members.members[evidence.first.replica].name
        path = self._path / f"{name}-{sha256(data).hexdigest()[:32]}.evidence"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            if path.exists():
                return path
            if len(list(self._path.glob(f"{name}-*.evidence"))) >= _KEPT_PER_MEMBER:
                return None
            draft = path.with_suffix(".draft")
            draft.write_bytes(data)
            os.replace(draft, path)
        except OSError as error:
            raise StoreError(f"{path}: cannot keep evidence: {error.strerror}") from None
        return path
