"""Proofs of equivocation: checked by anybody, kept in a bounded number."""

from __future__ import annotations

from pathlib import Path

import pytest

from consensus.codec import encode
from consensus.messages import Domain, Evidence, Phase, Vote
from consensus.quorum import Member, MemberSet
from consensus.types import Digest, Height, ReplicaId, View
from node.crypto import SigningKey
from node.errors import StoreError
from node.evidence import EvidenceFolder, evidence_check

KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
MEMBERS = MemberSet(epoch=0, members=tuple(Member(name=n, key=k.public) for n, k in zip("abcd", KEYS, strict=True)))
DOMAIN = Domain(genesis=Digest(bytes(32)), epoch=0, members=MEMBERS.digest)


def evidence(replica: int = 2, height: int = 5, *, second: int = 2) -> Evidence:
    def vote(byte: int) -> Vote:
        digest = Digest(bytes([byte]) * 32)
        message = DOMAIN.vote(Phase.PREPARE, View(1), Height(height), digest, ReplicaId(replica))
        return Vote(
            phase=Phase.PREPARE,
            view=View(1),
            height=Height(height),
            digest=digest,
            replica=ReplicaId(replica),
            signature=KEYS[replica].sign(message),
        )

    return Evidence(first=vote(1), second=vote(second))


def test_check_names_the_accused_or_nobody() -> None:
    check = evidence_check(MEMBERS, DOMAIN)
    assert check(encode(evidence())) == "c"
    assert check(encode(evidence(second=1))) is None
    assert check(b"") is None
    assert check(bytes(10_000)) is None
    other = evidence_check(MEMBERS, Domain(genesis=Digest(b"\x01" * 32), epoch=0, members=MEMBERS.digest))
    assert other(encode(evidence())) is None


def test_proofs_are_kept_once_and_in_a_bounded_number(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path / "evidence", MEMBERS)
    path = folder.keep(evidence())
    assert path is not None and path.read_bytes() == encode(evidence())
    assert folder.keep(evidence()) == path
    kept = [folder.keep(evidence(height=height)) for height in range(10, 40)]
    assert kept[-1] is None
    assert folder.keep(evidence(replica=1)) is not None, "others have room of their own"
    names = [path.name for path in (tmp_path / "evidence").iterdir()]
    assert len(names) == 17 and all(name.startswith(("b-", "c-")) for name in names)


def test_disk_that_cannot_keep_it_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot keep evidence"):
        EvidenceFolder(tmp_path / "evidence", MEMBERS).keep(evidence())
