"""Our canonical bytes are msgpack's: compared with the msgpack package, an implementation of its own. And what
docs/protocol.md lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from consensus.block import Header
from consensus.codec import encode
from consensus.messages import CommitCertificate, Phase, Vote
from consensus.types import Digest, Height, ReplicaId, Signature, View
from node.claims import keys
from node.claims.builders import build_transaction
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.transaction import encode_transaction
from node.crypto import SigningKey

DIGEST = Digest(bytes(range(32)))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=300)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=20), max_leaves=50))
def test_the_two_implementations_write_the_same_bytes(value: object) -> None:
    assert encode(value) == msgpack.packb(value, use_bin_type=True)


def test_a_vote_is_an_array_with_its_tag_first() -> None:
    vote = Vote(
        phase=Phase.COMMIT,
        view=View(3),
        height=Height(70_000),
        digest=DIGEST,
        replica=ReplicaId(2),
        signature=Signature(bytes(64)),
    )
    fields = [1, 3, 3, 70_000, DIGEST, 2, bytes(64)]
    assert encode(vote) == msgpack.packb(fields, use_bin_type=True)


def test_header_and_certificate_are_arrays_in_field_order() -> None:
    header = Header(
        genesis=DIGEST,
        epoch=0,
        height=Height(1),
        time_ms=1_795_488_000_000,
        parent=DIGEST,
        transaction_count=7,
        transactions_root=DIGEST,
        receipts_root=DIGEST,
        state_root=DIGEST,
        members=DIGEST,
    )
    assert msgpack.unpackb(encode(header)) == [DIGEST, 0, 1, 1_795_488_000_000, DIGEST, 7, *[DIGEST] * 4]
    certificate = CommitCertificate(
        view=View(0), height=Height(1), digest=DIGEST, signatures=((ReplicaId(0), Signature(bytes(64))),)
    )
    assert encode(certificate) == msgpack.packb([0, 1, DIGEST, [[0, bytes(64)]]], use_bin_type=True)


def test_a_transaction_can_be_built_with_any_msgpack() -> None:
    """What docs/protocol.md says is enough to write a client in another language."""
    key = SigningKey(bytes(32))
    actions = [[20, "critical-illness", [[DIGEST, 23_000, b"", 0, 1]]]]
    signed = msgpack.packb(["weal/transaction/1", DIGEST, key.public, 7, 1_800_000_000_000, actions], use_bin_type=True)
    fields = [DIGEST, key.public, 7, 1_800_000_000_000, actions, key.sign(signed)]
    action = Enrol(plan="critical-illness", members=(NewMember(person=DIGEST, birth_month=23_000),))
    ours = build_transaction(DIGEST, key.public, 7, 1_800_000_000_000, [action], key.sign)
    assert encode_transaction(ours) == msgpack.packb(fields, use_bin_type=True)


def test_the_protocol_lists_every_table_of_the_state() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    section = text[text.index("\n## State\n") : text.index("\n## Receipts\n")]
    listed = [int(number, 16) for number in re.findall(r"\| (0x[0-9a-f]{2}) \|", section)]
    tables = [value for name, value in vars(keys).items() if name.isupper() and isinstance(value, int)]
    assert listed == sorted(tables)
