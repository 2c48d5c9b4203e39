"""Votes that wait together are checked together, and each is decided on by itself as before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from consensus.events import Received
from consensus.messages import Status
from consensus.types import Height, PublicKey, ReplicaId, Signature, View
from node.inbox import Inbox
from tests.unit.node.nodes import until
from tests.unit.node.test_driver import MESSAGE, Bench


async def test_inbox_shows_the_first_of_each_peer_and_keeps_them() -> None:
    inbox = Inbox()
    messages = [Status(view=View(0), height=Height(number), active=True) for number in range(5)]
    for sender, count in ((1, 5), (2, 1)):
        for message in messages[:count]:
            await inbox.post_received(ReplicaId(sender), message, 1)
    expected = [(1, 0), (1, 1), (2, 0)]
    assert [(shown.sender, shown.message.height) for shown in inbox.waiting(2)] == expected  # type: ignore[union-attr]
    inbox.take()  # Started
    taken = [event for _ in range(6) if isinstance(event := inbox.take(), Received)]
    assert len(taken) == 6 and inbox.waiting(2) == []


class Lanes:
    """In place of the core's `to_verify`, and of who checks."""

    def __init__(self, bench: Bench) -> None:
        self.shown: list[list[ReplicaId]] = []
        self.told: list[int] = []
        self.handled: list[int] = []
        self._bench = bench
        bench.to_verify = self.to_verify  # type: ignore[attr-defined]
        bench.driver._check_votes = self.check

    def to_verify(self, waiting: Iterable[Received]) -> list[Any]:
        self.shown.append([received.sender for received in waiting])
        return [None] * len(self.shown[-1])

    def check(self, signed: Sequence[tuple[PublicKey, Signature, bytes]]) -> None:
        self.told.append(len(signed))
        self.handled.append(sum(isinstance(event, Received) for event in self._bench.events))


async def test_driver_has_several_checked_before_the_core_gets_the_first() -> None:
    bench = Bench(lambda event: [])
    lanes = Lanes(bench)
    for sender in (1, 2, 3):
        await bench.driver.inbox.post_received(ReplicaId(sender), MESSAGE, 1)
    async with bench.running():
        await until(lambda: len(bench.events) >= 4, "all taken")
        await bench.driver.inbox.post_received(ReplicaId(1), MESSAGE, 1)
        await until(lambda: len(bench.events) >= 5, "one alone")
    assert lanes.shown == [[1, 2, 3]] and lanes.told == [3] and lanes.handled == [0]
