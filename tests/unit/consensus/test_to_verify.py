"""Replica.to_verify: what the core is about to check, for who checks many signatures at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from consensus.events import Received
from consensus.messages import Message, Phase, Status
from consensus.types import Height, PublicKey, ReplicaId, Signature, View
from tests.unit.consensus.factories import NOW, Chain

CHAIN = Chain(7)
A = CHAIN.block("a")
B = CHAIN.block("b", A.header)

Signed = tuple[PublicKey, Signature, bytes]


def heard(*messages: tuple[int, Message]) -> list[Received]:
    return [Received(sender=ReplicaId(sender), message=message) for sender, message in messages]


def test_exactly_what_is_checked_then_is_named_before() -> None:
    replica = CHAIN.started(1)
    waiting = heard(
        (0, CHAIN.proposal(A)),
        *((sender, CHAIN.vote(Phase.PREPARE, sender, A)) for sender in (2, 3, 4, 5)),
        (6, CHAIN.vote(Phase.COMMIT, 6, A)),
        (0, CHAIN.proposal(B)),
        (2, Status(view=View(0), height=Height(1), active=True)),
    )
    expected = replica.to_verify(waiting)
    asked: list[Signed] = []
    check = replica._verify

    def recorded(*signed: Any) -> bool:
        asked.append(signed)
        return check(*signed)

    replica._verify = recorded
    for event in waiting:
        replica.handle(event, NOW)
    assert asked == expected and len(expected) == 7
    assert replica.to_verify(waiting) == [], "each is known now"


@pytest.mark.parametrize(
    ("sender", "changes"),
    [
        (3, {}),
        (2, {"view": View(1)}),
        (2, {"height": Height(0)}),
        (2, {"height": Height(17)}),
        (2, {"digest": b"short"}),
        (2, {"signature": bytes(65)}),
        (2, {"phase": Phase.PRE_PREPARE}),
        (9, {"replica": ReplicaId(9)}),
    ],
)
def test_what_is_dropped_unchecked_is_not_named(sender: int, changes: dict[str, Any]) -> None:
    replica = CHAIN.started(1)
    vote = msgspec.structs.replace(CHAIN.vote(Phase.PREPARE, 2, A), **changes)
    assert replica.to_verify(heard((sender, vote))) == []
    assert len(replica.to_verify(heard((2, CHAIN.vote(Phase.PREPARE, 2, A))))) == 1


def test_a_place_in_the_log_is_named_once() -> None:
    """Else one member has the node check many bad signatures of which the core asks for none."""
    replica = CHAIN.started(1)
    good = CHAIN.vote(Phase.PREPARE, 2, A)
    bad = [msgspec.structs.replace(good, signature=bytes([number]) * 64) for number in range(7)]
    named = replica.to_verify(heard((2, good), *((2, vote) for vote in bad)))
    assert [signature for _, signature, _ in named] == [good.signature]
