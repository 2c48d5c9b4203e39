"""Who may connect: the peer that proves its key now, on this chain, to this node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consensus.codec import decode, encode
from consensus.errors import DecodeError
from consensus.types import Digest
from node.crypto import SigningKey
from node.handshake import VERSION, Acceptor, Answer, Dialer, Hello, Proof, Refusal

GENESIS = Digest(bytes(range(32)))
ALICE, BOB, EVE = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))


def acceptor(key: SigningKey = BOB, genesis: Digest = GENESIS) -> Acceptor:
    return Acceptor(key, genesis, lambda other: other in (ALICE.public, BOB.public) and other != key.public)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.reason


def test_both_sides_get_matching_seals() -> None:
    dialer, other = Dialer(ALICE, GENESIS, BOB.public), acceptor()
    answer, claimed = other.answer(dialer.hello())
    proof, mine = dialer.prove(answer)
    theirs = other.finish(proof)
    assert claimed == ALICE.public
    for number in (b"1", b"2"):
        assert theirs.incoming.open(mine.outgoing.close(number)) == number
        assert mine.incoming.open(theirs.outgoing.close(number)) == number
    # A frame sent back to its sender is no frame of the peer.
    with pytest.raises(DecodeError):
        mine.incoming.open(mine.outgoing.close(b"3"))


@pytest.mark.parametrize(
    ("dialer", "reason"),
    [
        (Dialer(ALICE, Digest(bytes(32)), BOB.public), "wrong genesis"),
        (Dialer(EVE, GENESIS, BOB.public), "unknown key"),
        (Dialer(BOB, GENESIS, BOB.public), "unknown key"),
        (Dialer(ALICE, GENESIS, EVE.public), "wrong address"),
    ],
)
def test_hello_that_does_not_belong_here_is_refused(dialer: Dialer, reason: str) -> None:
    assert refused(lambda: acceptor().answer(dialer.hello())) == reason


def test_other_version_is_refused() -> None:
    hello = decode(Hello, Dialer(ALICE, GENESIS, BOB.public).hello())
    fields = {name: getattr(hello, name) for name in hello.__struct_fields__}
    assert refused(lambda: acceptor().answer(encode(Hello(**fields | {"version": VERSION + 1})))) == "wrong version"
    assert refused(lambda: acceptor().answer(encode(Hello(**fields | {"fresh": b""})))) == "bad handshake"


def test_replayed_proof_is_refused() -> None:
    dialer, first = Dialer(ALICE, GENESIS, BOB.public), acceptor()
    proof, _ = dialer.prove(first.answer(dialer.hello())[0])
    first.finish(proof)
    second = acceptor()
    second.answer(dialer.hello())
    assert refused(lambda: second.finish(proof)) == "bad signature"


def test_answer_of_somebody_else_is_refused() -> None:
    """Eve answers in Bob's place, or passes on what Bob said to another dialer."""
    dialer = Dialer(ALICE, GENESIS, BOB.public)
    hello = decode(Hello, dialer.hello())
    fields = {name: getattr(hello, name) for name in hello.__struct_fields__}
    imposter = Acceptor(EVE, GENESIS, lambda _: True)
    answer, _ = imposter.answer(encode(Hello(**fields | {"expected": EVE.public})))
    assert refused(lambda: dialer.prove(answer)) == "bad signature"
    recorded, _ = acceptor().answer(Dialer(ALICE, GENESIS, BOB.public).hello())
    assert refused(lambda: dialer.prove(recorded)) == "bad signature"


def test_acceptors_signature_is_no_proof_of_a_dialer() -> None:
    """Reflection: the two roles sign different bytes."""
    bob = acceptor()
    answer, _ = bob.answer(Dialer(ALICE, GENESIS, BOB.public).hello())
    signature = decode(Answer, answer).signature
    assert refused(lambda: bob.finish(encode(Proof(signature=signature)))) == "bad signature"


def test_fresh_key_of_small_order_is_refused() -> None:
    dialer, bob = Dialer(ALICE, GENESIS, BOB.public), acceptor()
    hello = decode(Hello, dialer.hello())
    fields = {name: getattr(hello, name) for name in hello.__struct_fields__} | {"fresh": bytes(32)}
    weak = Hello(**fields)
    bob.answer(encode(weak))
    transcript = bob._transcript("dialer", weak, bob._fresh)
    assert refused(lambda: bob.finish(encode(Proof(signature=ALICE.sign(transcript))))) == "bad handshake"
