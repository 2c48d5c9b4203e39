"""Whatever bytes a peer sends, decoding gives messages or DecodeError, quickly and without growth."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.encoding import RawEncoder
from nacl.hash import blake2b

from consensus.errors import DecodeError
from node.crypto import SigningKey
from node.frames import MAX_FRAME_BYTES, TAG_BYTES, Channel, Seal, decode_envelope, encode_envelope
from node.gossip import MAX_BATCH_BYTES, decode_batch, encode_batch
from node.handshake import Acceptor, Dialer, Refusal

MESSAGES = st.lists(st.tuples(st.sampled_from(Channel), st.binary(max_size=200)), min_size=1, max_size=20)
KEY = bytes(range(32))
HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"",
            b"\x90",
            b"\xdd\xff\xff\xff\xff",
            b"\xdc\xff\xff",
            b"\x91\x92\x09\xc4\x00",
            b"\x91\x92\xff\xc4\x00",
            b"\x91\x92\x00\xc6\xff\xff\xff\xff",
            b"\x91\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4\x00",
            b"\x91" * 10_000,
            b"\x81\x00\x00",
            b"\x91\x93\x00\xc4\x00\xc0",
        ]
    ),
)


@given(MESSAGES)
def test_envelope_round_trip(messages: list[tuple[Channel, bytes]]) -> None:
    assert decode_envelope(encode_envelope(messages)) == messages


@given(st.binary(max_size=300))
def test_a_tag_is_the_one_that_libsodium_computes(envelope: bytes) -> None:
    seal = Seal(KEY)
    for counter in range(2):
        tag = blake2b(counter.to_bytes(8, "big") + envelope, digest_size=16, key=KEY, encoder=RawEncoder)
        assert seal.close(envelope) == tag + envelope


@settings(max_examples=1_000)
@given(HOSTILE)
def test_hostile_envelope_is_messages_or_an_error(data: bytes) -> None:
    try:
        messages = decode_envelope(data)
    except DecodeError:
        return
    assert messages
    assert encode_envelope(messages)


@settings(max_examples=1_000)
@given(HOSTILE)
def test_hostile_batch_is_transactions_or_an_error(data: bytes) -> None:
    try:
        raws = decode_batch(data)
    except DecodeError:
        return
    assert raws and all(isinstance(raw, bytes) for raw in raws)


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=50))
def test_batch_round_trip(raws: list[bytes]) -> None:
    assert decode_batch(encode_batch(raws)) == raws


def test_oversized_input_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(DecodeError, match="are allowed"):
        decode_envelope(bytes(MAX_FRAME_BYTES + 1))
    with pytest.raises(DecodeError, match="are allowed"):
        decode_batch(bytes(MAX_BATCH_BYTES + 1))
    with pytest.raises(DecodeError):
        Seal(KEY).open(bytes(MAX_FRAME_BYTES + TAG_BYTES + 1))


@settings(max_examples=1_000)
@given(MESSAGES, st.data())
def test_any_change_to_a_sealed_frame_is_noticed(messages: list[tuple[Channel, bytes]], data: st.DataObject) -> None:
    frame = bytearray(Seal(KEY).close(encode_envelope(messages)))
    index = data.draw(st.integers(0, len(frame) - 1))
    frame[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DecodeError):
        Seal(KEY).open(bytes(frame))


@given(st.permutations(range(4)))
def test_frames_open_only_in_their_order(order: list[int]) -> None:
    sender, receiver = Seal(KEY), Seal(KEY)
    frames = [sender.close(bytes([number])) for number in range(4)]
    for place, number in enumerate(order):
        if number != place:
            with pytest.raises(DecodeError):
                receiver.open(frames[number])
            return
        assert receiver.open(frames[number]) == bytes([number])
    with pytest.raises(DecodeError):
        receiver.open(frames[3])


@settings(max_examples=1_000)
@given(HOSTILE)
def test_hostile_handshake_is_refused(data: bytes) -> None:
    us, them = SigningKey(KEY), SigningKey(bytes(32))
    acceptor = Acceptor(us, bytes(32), lambda key: key == them.public)  # type: ignore[arg-type]
    with pytest.raises(Refusal):
        acceptor.answer(data)
    with pytest.raises(Refusal):
        acceptor.finish(data)
    with pytest.raises(Refusal):
        Dialer(them, bytes(32), us.public).prove(data)  # type: ignore[arg-type]
