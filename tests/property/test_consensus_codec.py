"""Consensus messages as bytes: every message survives, every form is the only one, nothing hostile gets through."""

from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.block import Block, Header
from consensus.codec import decode, decode_message, encode
from consensus.errors import DecodeError
from consensus.messages import (
    BlockReply,
    BlockRequest,
    CommitCertificate,
    Evidence,
    Greeting,
    Message,
    NewView,
    Notice,
    Phase,
    PreparedCertificate,
    Proposal,
    Status,
    ViewChange,
    Vote,
)

numbers = st.integers(min_value=0, max_value=2**63 - 1)
small = st.integers(min_value=0, max_value=63)
digests = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
signed = st.lists(st.tuples(small, signatures), max_size=4).map(tuple)
votes = st.builds(
    Vote,
    phase=st.sampled_from(Phase),
    view=numbers,
    height=numbers,
    digest=digests,
    replica=small,
    signature=signatures,
)
headers = st.builds(
    Header,
    genesis=digests,
    epoch=numbers,
    height=numbers,
    time_ms=numbers,
    parent=digests,
    transaction_count=small,
    transactions_root=digests,
    receipts_root=digests,
    state_root=digests,
    members=digests,
)
blocks = st.builds(Block, header=headers, transactions=st.lists(st.binary(max_size=20), max_size=4).map(tuple))
prepared = st.builds(PreparedCertificate, view=numbers, header=headers, pre_prepare=signatures, prepares=signed)
commits = st.builds(CommitCertificate, view=numbers, height=numbers, digest=digests, signatures=signed)
view_changes = st.builds(
    ViewChange,
    view=numbers,
    committed=st.none() | commits,
    prepared=st.lists(prepared, max_size=2).map(tuple),
    replica=small,
    signature=signatures,
)
messages: st.SearchStrategy[Any] = st.one_of(
    votes,
    st.builds(Proposal, vote=votes, block=blocks),
    view_changes,
    st.builds(
        NewView,
        view=numbers,
        view_changes=st.lists(view_changes, max_size=2).map(tuple),
        replica=small,
        signature=signatures,
    ),
    st.builds(BlockRequest, digest=digests),
    st.builds(BlockReply, block=blocks),
    st.builds(Notice, certificate=commits),
    st.builds(Status, view=numbers, height=numbers, active=st.booleans()),
    st.builds(
        Greeting,
        view=numbers,
        certificate=st.none() | commits,
        held=st.lists(votes, max_size=3).map(tuple),
        held_view_change=st.none() | view_changes,
        asks=st.booleans(),
    ),
    st.builds(Evidence, first=votes, second=votes),
)


@given(messages)
def test_every_message_survives_the_wire(message: Message) -> None:
    data = encode(message)
    again = decode_message(data)
    assert again == message
    assert type(again) is type(message)
    assert encode(again) == data


@given(messages)
def test_the_bytes_are_plain_msgpack_in_its_shortest_form(message: Message) -> None:
    data = encode(message)
    assert msgpack.packb(msgspec.to_builtins(message, builtin_types=(bytes,)), use_bin_type=True) == data
    assert msgpack.packb(msgpack.unpackb(data), use_bin_type=True) == data


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_are_canonical(data: bytes) -> None:
    try:
        message = decode_message(data)
    except DecodeError:
        return
    assert encode(message) == data


@given(messages, st.data())
def test_changed_bytes_are_refused_or_are_another_message(message: Message, data: st.DataObject) -> None:
    """There is no second way to write a message, so no two byte strings mean the same."""
    original = encode(message)
    at = data.draw(st.integers(0, len(original) - 1))
    changed = original[:at] + bytes([original[at] ^ data.draw(st.integers(1, 255))]) + original[at + 1 :]
    try:
        other = decode_message(changed)
    except DecodeError:
        return
    assert other != message
    assert encode(other) == changed


@given(messages, st.data())
def test_a_cut_or_lengthened_message_is_refused(message: Message, data: st.DataObject) -> None:
    original = encode(message)
    cut = data.draw(st.integers(0, len(original) - 1))
    with pytest.raises(DecodeError):
        decode_message(original[:cut])
    with pytest.raises(DecodeError):
        decode_message(original + data.draw(st.binary(min_size=1, max_size=8)))


@given(messages)
def test_longer_forms_of_the_same_values_are_refused(message: Message) -> None:
    """Integers and lengths written in more bytes than they need mean the same to a reader, and are not canonical."""
    data = encode(message)
    fields = data[0] & 0x0F
    with pytest.raises(DecodeError):
        decode_message(b"\xdc" + fields.to_bytes(2, "big") + data[1:])
    with pytest.raises(DecodeError):
        decode_message(data[:1] + b"\xcc" + data[1:])


@given(commits)
def test_certificates_alone_survive_too(certificate: CommitCertificate) -> None:
    assert decode(CommitCertificate, encode(certificate)) == certificate


@given(blocks)
def test_a_digest_covers_the_header_and_not_the_view(block: Block) -> None:
    assert decode(Block, encode(block)).digest == block.digest
    other = msgspec.structs.replace(block.header, time_ms=block.header.time_ms ^ 1)
    assert other.digest != block.digest
