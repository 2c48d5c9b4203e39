"""The loop: durable first, visible second, state last; bounded, and it stops when the disk fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consensus.block import Block, Header
from consensus.effects import (
    Broadcast,
    Build,
    CancelTimer,
    Commit,
    Effect,
    Execute,
    Forget,
    Misbehaviour,
    Persist,
    PersistBlock,
    Send,
    SetTimer,
)
from consensus.events import (
    BlockBuilt,
    BlockExecuted,
    BlockSynced,
    Event,
    Received,
    Started,
    Timer,
    TimerFired,
    WorkChanged,
)
from consensus.messages import BlockRequest, CommitCertificate, Message, Proposal, Status, ViewChange, Vote
from consensus.types import Digest, Height, ReplicaId, View
from node.block_rules import InvalidBlock
from node.compact import CompactProposal, decode_peer_message
from node.driver import Driver, DriverSettings
from node.errors import StoreError
from node.frames import Channel
from tests.unit.node.nodes import running, until
from tests.unit.node.pools import Pool, raw
from tests.unit.node.test_sync import CHAIN

PARENT: Header = CHAIN[0].block.header
MESSAGE = Status(view=View(0), height=Height(0), active=True)


class Bench:
    """A driver whose replica answers as told, on parts that write down what happens to them, in order."""

    def __init__(self, answer: Callable[[Event], Sequence[Effect]]) -> None:
        self.log: list[Any] = []
        self.events: list[Event] = []
        self.pool = Pool()
        self.pool.mempool.committed = lambda ids, raws, block_ms: 0  # type: ignore[method-assign]
        self.deadline_ms: int | None = None
        self.chain_ms = 1_000
        self.answer = answer
        self.fault: str | None = None
        self.write_error: Exception | None = None
        self.buildable = True
        self.tip = SimpleNamespace(height=0)
        self.driver = Driver(
            replica=self,  # type: ignore[arg-type]
            executor=self,  # type: ignore[arg-type]
            blocks=SimpleNamespace(  # type: ignore[arg-type]
                write=self.write,
                forget=lambda keys: self.log.append(("forget", keys)),
                settle=lambda: self.log.append("settled"),
            ),
            mempool=self.pool.mempool,
            next_deadline_ms=lambda: self.deadline_ms,
            chain_now_ms=lambda: self.chain_ms,
            real_ms_until=lambda chain_ms: chain_ms - self.chain_ms,
            outgoing=self,
            observer=self,  # type: ignore[arg-type]
            settings=DriverSettings(),
        )

    # the replica
    def handle(self, event: Event, now_ms: int) -> Sequence[Effect]:
        self.events.append(event)
        return self.answer(event)

    # the executor
    def ids(self, digest: Digest) -> tuple[bytes, ...]:
        return next(item.block.transactions for item in CHAIN if item.block.digest == digest)

    def in_flight(self, parent: Header) -> frozenset[bytes]:
        return frozenset()

    def build(self, parent: Header, candidates: Sequence[Any], time_ms: int, limit: int) -> Block | None:
        self.log.append(("build", len(candidates)))
        return CHAIN[1].block if self.buildable else None

    def execute(self, block: Block) -> None:
        if self.fault is not None:
            raise InvalidBlock(self.fault)

    def commit(self, block: Block, certificate: CommitCertificate) -> Any:
        self.log.append(("state", block.height))
        return SimpleNamespace(block=block, certificate=certificate, transactions=())

    # the store, the transport, the observer
    def write(self, persists: Iterable[Any], commits: Iterable[Any]) -> bool:
        if self.write_error is not None:
            raise self.write_error
        promises = len(list(persists))
        self.log.append(("write", promises, len(list(commits))))
        return promises > 0

    def send(self, replica: ReplicaId, message: Message) -> None:
        self.log.append(("send", replica, message))

    def broadcast(self, message: Message) -> None:
        self.log.append(("broadcast", message))

    def misbehaved(self, replica: ReplicaId, reason: str) -> None:
        self.log.append(("misbehaved", replica, reason))

    def block_committed(self, committed: Any, took_ms: int | None, latest_arrival: int) -> None:
        self.log.append(("told", committed.block.height))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.ensure_future(self.driver.run())
        try:
            await until(lambda: any(isinstance(event, Started) for event in self.events), "started")
            yield task
            assert not task.done() or self.write_error is not None, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def persist(number: int) -> Persist:
    return Persist(key=b"%d" % number, value=b"x")


async def test_one_write_for_a_whole_step_before_anything_leaves() -> None:
    def answer(event: Event) -> list[Effect]:
        if isinstance(event, Received):
            number = event.sender
            return [
                Broadcast(message=MESSAGE),
                persist(number),
                Send(to=number, message=BlockRequest(digest=Digest(bytes(32)))),
            ]
        return []

    bench = Bench(answer)
    for sender in (1, 2, 3):
        await bench.driver.inbox.post_received(ReplicaId(sender), MESSAGE, 10)
    async with bench.running():
        await until(lambda: len(bench.log) == 7, "all done")
    assert bench.log[0] == ("write", 3, 0)
    assert [entry[0] for entry in bench.log[1:]] == ["broadcast", "send"] * 3


async def test_commit_is_durable_then_in_the_state_then_told_and_only_then_votes_are_forgotten() -> None:
    item = CHAIN[0]

    def answer(event: Event) -> list[Effect]:
        if isinstance(event, Received):
            return [
                Execute(block=item.block),
                PersistBlock(block=item.block),
                Commit(block=item.block, certificate=item.certificate),
                Forget(keys=(b"old",)),
                Broadcast(message=MESSAGE),
            ]
        return []

    bench = Bench(answer)
    await bench.driver.inbox.post_received(ReplicaId(1), MESSAGE, 1)
    async with bench.running():
        await until(lambda: ("forget", [b"old"]) in bench.log, "forgotten")
    assert [entry[0] for entry in bench.log] == ["write", "broadcast", "state", "told", "forget"]
    assert bench.log[0] == ("write", 1, 1)
    assert BlockExecuted(digest=item.block.digest, fault=None) in bench.events


async def test_what_is_final_is_told_at_once_and_settled_soon_without_a_promise() -> None:
    item = CHAIN[0]

    def answer(event: Event) -> list[Effect]:
        if isinstance(event, Received):
            return [Execute(block=item.block), Commit(block=item.block, certificate=item.certificate)]
        return []

    bench = Bench(answer)
    await bench.driver.inbox.post_received(ReplicaId(1), MESSAGE, 1)
    async with bench.running():
        await until(lambda: "settled" in bench.log, "settled")
    assert [entry if entry == "settled" else entry[0] for entry in bench.log] == ["write", "state", "told", "settled"]
    assert bench.driver.counters["synced writes"] == 0


async def test_synced_block_is_in_the_state_before_the_next_one_is_executed() -> None:
    def answer(event: Event) -> list[Effect]:
        if isinstance(event, BlockSynced):
            return [Commit(block=event.block, certificate=event.certificate)]
        return []

    bench = Bench(answer)
    for item in CHAIN[:3]:
        bench.driver.inbox.post_synced(item.block, item.certificate)
    async with bench.running():
        await until(lambda: ("told", 3) in bench.log, "all committed")
    assert [entry for entry in bench.log if entry[0] != "write"] == [
        (what, height) for height in (1, 2, 3) for what in ("state", "told")
    ]


async def test_block_that_does_not_execute_is_answered_with_its_fault() -> None:
    block = CHAIN[0].block
    bench = Bench(lambda event: [Execute(block=block)] if isinstance(event, Received) else [])
    bench.fault = "its state root is wrong"
    await bench.driver.inbox.post_received(ReplicaId(1), Proposal(vote=_vote(block), block=block), 1)
    async with bench.running():
        await until(lambda: any(isinstance(event, BlockExecuted) for event in bench.events), "answered")
    assert bench.events[0] == Started()
    assert bench.events[-1] == BlockExecuted(digest=block.digest, fault="its state root is wrong")
    assert bench.driver.in_flight() == frozenset()


def _vote(block: Block) -> Vote:
    from consensus.messages import Phase
    from consensus.types import Signature

    return Vote(
        phase=Phase.PRE_PREPARE,
        view=View(0),
        height=block.height,
        digest=block.digest,
        replica=ReplicaId(0),
        signature=Signature(bytes(64)),
    )


def build_answer(height: int) -> Callable[[Event], list[Effect]]:
    request = Build(view=View(0), height=Height(height), parent=PARENT)
    return lambda event: [request] if isinstance(event, WorkChanged) and event.pending else []


async def test_work_is_told_and_a_block_is_built_from_it() -> None:
    bench = Bench(build_answer(1))
    async with bench.running():
        assert WorkChanged(pending=True) not in bench.events
        bench.pool.add(raw(0, 1))
        bench.driver.work_arrived()
        await until(lambda: any(isinstance(event, BlockBuilt) for event in bench.events), "built")
    assert ("build", 1) in bench.log
    assert bench.events[-1] == BlockBuilt(view=View(0), height=Height(1), block=CHAIN[1].block)
    assert bench.driver.in_flight() == frozenset(CHAIN[1].block.transactions)


async def test_few_transactions_wait_for_the_block_in_flight() -> None:
    bench = Bench(build_answer(2))
    bench.driver._committed_view = View(0)
    async with bench.running():
        bench.pool.add(raw(0, 1))
        bench.driver.work_arrived()
        await until(lambda: any(isinstance(event, BlockBuilt) for event in bench.events), "answered")
        assert bench.events[-1] == BlockBuilt(view=View(0), height=Height(2), block=None)
        bench.pool.add(*(raw(1, sequence) for sequence in range(1, 260)))
        bench.driver.work_arrived()
        await until(lambda: ("build", 260) in bench.log, "enough for another block")


async def test_under_load_a_block_waits_a_little_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.driver._GATHER_MS", 200)
    bench = Bench(build_answer(1))
    bench.driver._committed_view = View(0)
    async with bench.running():
        bench.pool.add(*(raw(0, sequence) for sequence in range(1, 41)))
        bench.driver.work_arrived()
        await until(lambda: ("build", 40) in bench.log, "the first block, at once")
        built = len(bench.log)
        bench.driver.work_arrived()
        await until(lambda: bench.events[-1] == BlockBuilt(view=View(0), height=Height(1), block=None), "it waits")
        assert len(bench.log) == built
        await until(lambda: len(bench.log) > built, "no longer than that")
        bench.driver.work_arrived()
        bench.pool.add(*(raw(1, sequence) for sequence in range(1, 101)))
        bench.driver.work_arrived()
        await until(lambda: ("build", 140) in bench.log, "enough came")


async def test_a_full_block_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.driver._GATHER_MS", 60_000)
    bench = Bench(build_answer(2))
    bench.driver._committed_view = View(0)
    bench.driver._settings = DriverSettings(block_transactions=40)
    async with bench.running():
        bench.pool.add(*(raw(0, sequence) for sequence in range(1, 61)))
        for _ in range(2):
            built = len(bench.log)
            bench.driver.work_arrived()
            await until(lambda built=built: len(bench.log) > built, "at once, with another in flight")  # type: ignore[misc]
    assert bench.log.count(("build", 40)) == 2


async def test_the_first_block_of_a_view_is_small() -> None:
    bench = Bench(build_answer(1))
    async with bench.running():
        bench.pool.add(*(raw(0, sequence) for sequence in range(1, 301)))
        bench.driver.work_arrived()
        await until(lambda: ("build", 32) in bench.log, "a new primary shows first that it works")
        bench.driver._committed_view = View(0)
        bench.driver.work_arrived()
        await until(lambda: ("build", 300) in bench.log, "then blocks are as large as they come")


async def test_few_transactions_never_wait() -> None:
    bench = Bench(build_answer(1))
    async with bench.running():
        bench.pool.add(raw(0, 1))
        for _ in range(3):
            built = len(bench.log)
            bench.driver.work_arrived()
            await until(lambda built=built: len(bench.log) > built, "at once")  # type: ignore[misc]
    assert BlockBuilt(view=View(0), height=Height(1), block=None) not in bench.events


async def test_parent_that_cannot_be_built_on_is_answered_with_nothing() -> None:
    bench = Bench(build_answer(1))

    def not_executed(parent: Header) -> frozenset[bytes]:
        raise InvalidBlock("it does not stand on the tip")

    bench.in_flight = not_executed  # type: ignore[method-assign]
    async with bench.running():
        bench.pool.add(raw(0, 1))
        bench.driver.work_arrived()
        await until(lambda: any(isinstance(event, BlockBuilt) for event in bench.events), "answered")
    assert bench.events[-1] == BlockBuilt(view=View(0), height=Height(1), block=None)


async def test_due_deadline_is_work_without_transactions() -> None:
    bench = Bench(build_answer(1))
    bench.deadline_ms = 1_000
    async with bench.running():
        await until(lambda: ("build", 0) in bench.log, "built for the deadline")


async def test_deadline_ahead_wakes_the_driver_when_it_is_due() -> None:
    bench = Bench(build_answer(1))
    bench.deadline_ms = 1_030
    async with bench.running():
        assert WorkChanged(pending=True) not in bench.events
        bench.chain_ms = 1_030
        await until(lambda: ("build", 0) in bench.log, "built when it was due")


async def test_candidates_that_stay_out_of_an_empty_block_are_checked_again() -> None:
    bench = Bench(build_answer(1))
    bench.buildable = False
    async with bench.running():
        bench.pool.add(raw(0, 1))
        bench.pool.ledger.used = dict.fromkeys(bench.pool.ledger.used, 5)
        bench.driver.work_arrived()
        await until(lambda: len(bench.pool.mempool) == 0, "ruled out")


async def test_timers_fire_once_unless_cancelled_or_set_again() -> None:
    def answer(event: Event) -> list[Effect]:
        match event:
            case Started():
                return [SetTimer(timer=Timer.PROGRESS, delay_ms=1), SetTimer(timer=Timer.RESEND, delay_ms=1)]
            case TimerFired(timer=Timer.RESEND):
                return [SetTimer(timer=Timer.RESEND, delay_ms=60_000), SetTimer(timer=Timer.PROGRESS, delay_ms=1)]
            case Received():
                return [CancelTimer(timer=Timer.RESEND), Misbehaviour(sender=ReplicaId(2), reason="done")]
        return []

    bench = Bench(answer)
    async with bench.running():
        await until(lambda: TimerFired(timer=Timer.PROGRESS) in bench.events, "fired")
        await bench.driver.inbox.post_received(ReplicaId(2), MESSAGE, 1)
        await until(lambda: ("misbehaved", 2, "done") in bench.log, "cancelled")
    assert bench.events.count(TimerFired(timer=Timer.RESEND)) == 1


async def test_peer_that_sends_too_much_is_held_back_and_others_are_not() -> None:
    bench = Bench(lambda event: [])
    flood = asyncio.ensure_future(_flood(bench.driver, 1, 3_000))
    await asyncio.sleep(0)
    assert not flood.done()
    await asyncio.wait_for(bench.driver.inbox.post_received(ReplicaId(2), MESSAGE, 1), 5)
    async with bench.running():
        await asyncio.wait_for(flood, 10)
        await until(lambda: sum(isinstance(e, Received) for e in bench.events) == 3_001, "all taken in")
    assert bench.driver.inbox.backlog(ReplicaId(1)) == 0


async def _flood(driver: Driver, sender: int, count: int) -> None:
    for _ in range(count):
        await driver.inbox.post_received(ReplicaId(sender), MESSAGE, 1)


async def test_disk_that_fails_ends_the_loop_before_anything_leaves() -> None:
    bench = Bench(lambda event: [persist(1), Broadcast(message=MESSAGE)] if isinstance(event, Received) else [])
    bench.write_error = StoreError("no space left")
    async with bench.running() as task:
        await bench.driver.inbox.post_received(ReplicaId(1), MESSAGE, 1)
        with pytest.raises(StoreError, match="no space left"):
            await asyncio.wait_for(asyncio.shield(task), 10)
    assert bench.log == []


async def test_no_word_of_a_real_node_leaves_before_it_is_in_its_journal(tmp_path: Path) -> None:
    """Every vote, proposal and view change is found in the journal on disk at the moment it is sent."""
    async with running(tmp_path, view_timeout_ms=300) as cluster:
        checked = 0
        compact: set[bool] = set()
        for node in cluster.nodes.values():
            real = node.transport.send

            def check(to: ReplicaId, channel: Channel, payload: bytes, node: Any = node, real: Any = real) -> None:
                nonlocal checked
                message = decode_peer_message(payload) if channel is Channel.CONSENSUS else None
                vote = message.vote if isinstance(message, (Proposal, CompactProposal)) else message
                if isinstance(vote, (Vote, ViewChange)) and vote.replica == node.id:
                    kept = node.blocks.journal().values()
                    assert any(vote.signature in value for value in kept), f"{vote} was said before it was kept"
                    checked += 1
                    compact.add(isinstance(message, CompactProposal))
                real(to, channel, payload)

            node.transport.send = check  # type: ignore[method-assign, assignment]
        transactions = [cluster.enrol(0) for _ in range(30)]
        await cluster.submit("b", transactions)
        await cluster.nodes["b"].wait_final([t.id for t in transactions], 20)
        await cluster.stop("a")
        more = [cluster.enrol(1)]
        await cluster.submit("b", more)
        assert (await cluster.nodes["b"].wait_final([more[0].id], 20))[0].state == "committed"
        assert checked > 30 and compact == {True, False}
        assert {node.failure for node in cluster.nodes.values()} == {None}
