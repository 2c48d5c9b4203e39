"""consensus/codec.py: canonical bytes, pinned."""

from __future__ import annotations

import msgpack
import pytest

from consensus.codec import MAX_MESSAGE_BYTES, decode, decode_message, encode
from consensus.errors import DecodeError
from consensus.messages import BlockRequest, Phase, Status, Vote
from consensus.types import Digest, Height, ReplicaId, Signature, View
from tests.unit.consensus.factories import Chain

VOTE = Vote(
    phase=Phase.PREPARE,
    view=View(3),
    height=Height(300),
    digest=Digest(bytes(range(32))),
    replica=ReplicaId(2),
    signature=Signature(b"\x07" * 64),
)


def test_a_vote_has_the_pinned_bytes() -> None:
    expected = "9701" + "02" + "03" + "cd012c" + "c420" + bytes(range(32)).hex() + "02" + "c440" + "07" * 64
    assert encode(VOTE).hex() == expected


def test_what_a_vote_signs_has_the_pinned_bytes() -> None:
    domain = Chain().domain
    signed = domain.vote(Phase.COMMIT, View(1), Height(2), Digest(bytes(32)), ReplicaId(3))
    assert msgpack.unpackb(signed) == [
        "weal/vote/1",
        domain.genesis,
        0,
        domain.members,
        3,
        1,
        2,
        bytes(32),
        3,
    ]


def test_kinds_epochs_and_chains_sign_different_bytes() -> None:
    """Nothing can be replayed as something else (trap 28)."""
    chain, other = Chain(4), Chain(5)
    change = chain.view_change(0, 1)
    assert chain.domain.view_change(change) != other.domain.view_change(change)
    args = (View(1), Height(2), Digest(bytes(32)), ReplicaId(0))
    assert len({chain.domain.vote(phase, *args) for phase in Phase}) == 3


def test_our_bytes_are_those_of_an_independent_msgpack() -> None:
    fields = [1, 2, 3, 300, bytes(range(32)), 2, b"\x07" * 64]
    assert encode(VOTE) == msgpack.packb(fields, use_bin_type=True)


def test_a_message_survives_the_wire() -> None:
    assert decode_message(encode(VOTE)) == VOTE
    assert decode(Vote, encode(VOTE)) == VOTE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x90",
        encode(VOTE) + b"\0",
        encode(VOTE)[:-1],
        bytes([0x97, 0xCC, 0x01]) + encode(VOTE)[2:],  # the tag 1 in two bytes
        b"\x97\x63" + encode(VOTE)[2:],  # an unknown kind
        b"\x98" + encode(VOTE)[1:] + b"\0",  # a field too many
        b"\x96" + encode(VOTE)[1:-66],  # a field too few
        b"\xdd\xff\xff\xff\xff",  # four thousand million fields promised
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 10_000,
    ],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_message(data)


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    with pytest.raises(DecodeError, match="at most"):
        decode_message(bytes(MAX_MESSAGE_BYTES + 1))


def test_a_message_of_another_kind_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode(Status, encode(BlockRequest(digest=Digest(bytes(32)))))
