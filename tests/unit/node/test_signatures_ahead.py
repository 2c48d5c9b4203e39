"""With a process beside the node, every decision is the one without it, and the process has made it cheaper."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from consensus.block import Block, Header
from consensus.merkle import rfc6962_root
from consensus.types import Digest, Height, ReplicaId
from node import signatures_ahead
from node.claims.transaction import encode_transaction
from node.gossip import PORTION
from node.signature_process import FEWEST, SignatureProcess
from node.signatures_ahead import SignaturesAhead
from node.verification import TransactionVerifier
from tests.unit.node.nodes import Cluster, until
from tests.unit.node.pools import Pool, raw
from tests.unit.node.test_node import all_equal


class Counting(TransactionVerifier):
    """Counts what was checked in this process."""

    def __init__(self) -> None:
        super().__init__()
        inner, self.inline = self._verify_many, 0

        def verify_many(keys: list[bytes], signatures: list[bytes], messages: list[bytes]) -> list[bool]:
            self.inline += len(keys)
            return inner(keys, signatures, messages)

        self._verify_many = verify_many  # type: ignore[assignment]


class Bench:
    """What checks ahead, with a chain that is final up to `tip`."""

    def __init__(self, process: SignatureProcess | None) -> None:
        self.process, self.verifier, self.tip = process, Counting(), 0
        self.ahead = SignaturesAhead(self.verifier, process, lambda: self.tip)

    def known(self, block: Block) -> int:
        return sum(raw in self.verifier._good for raw in block.transactions)

    def knows(self, block: Block) -> bool:
        return self.known(block) == len(block.transactions)

    def commit(self, block: Block) -> None:
        """As the node does."""
        assert None not in self.verifier.resolve(block.transactions)
        self.tip = block.height
        self.verifier.forget(block.transactions)
        self.ahead.committed(block.height)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    process = SignatureProcess()
    found = Bench(process)
    try:
        await until(process.has_room, "the process answers")
        yield found
    finally:
        await found.ahead.stop()


def block(height: int, *raws: bytes) -> Block:
    header = Header(
        genesis=Digest(bytes(32)),
        epoch=0,
        height=Height(height),
        time_ms=height,
        parent=Digest(bytes(32)),
        transaction_count=len(raws),
        transactions_root=rfc6962_root(raws),
        receipts_root=Digest(bytes(32)),
        state_root=Digest(bytes(32)),
        members=Digest(bytes(32)),
    )
    return Block(header=header, transactions=raws)


def chain(length: int, size: int) -> list[Block]:
    return [
        block(height + 1, *(raw(0, height * size + number + 1) for number in range(size))) for height in range(length)
    ]


def forged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


async def test_synced_blocks_are_executed_with_their_signatures_checked() -> None:
    async with bench() as found:
        blocks = chain(20, 30)
        for one in blocks:
            found.ahead.synced(one)
        await until(partial(found.knows, blocks[-1]), "all are known")
        for one in blocks:
            found.commit(one)
        assert found.verifier.inline == 0 and found.verifier.checked == 600
        assert not found.verifier._good and not found.ahead._blocks and found.ahead._begun_bytes == 0


async def test_only_so_many_bytes_are_looked_through_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = chain(8, PORTION)
    size = sum(map(len, blocks[0].transactions))
    monkeypatch.setattr(signatures_ahead, "AHEAD_BYTES", 3 * size)
    async with bench() as found:
        for one in blocks:
            found.ahead.synced(one)
        for number, one in enumerate(blocks):
            last = blocks[min(number + 3, 8) - 1]
            await until(partial(found.knows, last), "so far it looks")
            assert sum(map(found.known, blocks)) == PORTION * (min(number + 3, 8) - number)
            found.commit(one)


async def test_what_was_final_before_its_answer_came_is_not_remembered() -> None:
    async with bench() as found:
        assert found.process is not None
        (one,) = chain(1, PORTION)
        found.ahead.synced(one)
        await until(lambda: not found.ahead._blocks, "it was asked about")
        if found.process.checked == 0:
            found.commit(one)
        await until(lambda: found.process is not None and found.process.checked == PORTION, "the answer")
        found.ahead.committed(1)
        await until(lambda: found.tip == 0 or not found.verifier._good, "forgotten again")


async def test_bad_and_malformed_transactions_of_a_block_are_left_to_execution() -> None:
    async with bench() as found:
        good = [raw(0, number + 1) for number in range(FEWEST)]
        bad = block(1, *good, forged(raw(1, 1)))
        junk = block(2, b"junk", *(raw(2, number + 1) for number in range(FEWEST)))
        for one in (bad, junk):
            found.ahead.synced(one)
        await until(lambda: found.known(bad) == FEWEST, "the good ones")
        resolved = found.verifier.resolve(bad.transactions)
        assert [item is not None for item in resolved] == [True] * FEWEST + [False]
        assert found.verifier.inline == 1, "the bad one, by this process"
        assert found.known(junk) == 0
        assert None in found.verifier.resolve(junk.transactions)


async def test_without_a_process_nothing_is_asked_and_no_block_is_kept() -> None:
    for process in (None, SignatureProcess()):
        found = Bench(process)
        await found.ahead.stop()
        found.ahead.synced(chain(1, PORTION)[0])
        assert not found.ahead._blocks and not found.ahead.has_room(PORTION)
        assert found.ahead.begin([]) is None and found.ahead.checked == 0


@pytest.mark.parametrize("seed", range(10))
async def test_a_pool_decides_the_same_whatever_was_checked_before(seed: int) -> None:
    """Good, forged, malformed, repeated, foreign, too early, too many: like the pool that nobody helped."""
    draw = random.Random(seed)
    async with bench() as found:
        limits = {"max_transactions": draw.choice((100, 1_000)), "sender_share_bps": draw.choice((2_000, 10_000))}
        alone, helped = Pool(**limits), Pool(**limits)
        helped.mempool._verifier = found.verifier
        for _ in range(6):
            from_peer = draw.random() < 0.5
            raws = [some(draw) for _ in range(draw.choice((1, FEWEST, 100, PORTION)))]
            expected, added = alone.mempool.add(raws, 0, 0, from_peer=from_peer)
            answer = found.ahead.begin(helped.mempool.to_check(raws, 0, from_peer=from_peer))
            if answer is not None:
                await answer
            before = found.verifier.inline
            answers, helped_added = helped.mempool.add(raws, 0, 0, from_peer=from_peer)
            assert answers == expected
            assert [one.raw for one in helped_added] == [one.raw for one in added]
            if answer is not None and not any(one.code for one in answers):
                assert found.verifier.inline == before, "all of them were known"
        assert helped.waiting() == alone.waiting()
        assert found.verifier.checked <= alone.verifier.checked, "nothing was checked that a pool alone would not"
        if limits["max_transactions"] > 100:
            assert found.ahead.checked > 0


def some(draw: random.Random) -> bytes:
    data = raw(draw.choice((0, 0, 0, 1, 2, 4)), draw.choice((*range(1, 400), 2_000)))
    return draw.choices((data, forged(data), data[:-3], b""), weights=(12, 2, 1, 1))[0]


async def test_nodes_with_such_a_process_agree_and_leave_none_behind(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.signature_process = "on"
    try:
        await cluster.start("a", "b", "c")
        await until(lambda: all(len(n.transport.connected()) == 2 for n in cluster.nodes.values()), "connected")
        for node in cluster.nodes.values():
            await until(partial(node.ahead.has_room, FEWEST), "the process answers")
        many = [cluster.enrol(0) for _ in range(2 * PORTION + 5)]
        assert await cluster.submit("b", many) == ["pending"] * len(many)
        await cluster.nodes["c"].wait_final([many[-1].id], 20)
        await all_equal(cluster, 1)
        assert cluster.nodes["b"].ahead.checked >= 2 * PORTION, "as a client brought them"
        assert cluster.nodes["c"].ahead.checked > 0, "as a peer told them"
        await cluster.start("d")
        late = cluster.nodes["d"]
        await until(lambda: late.executor.tip.height == cluster.nodes["a"].executor.tip.height, "it has caught up")
        await all_equal(cluster, 1)
        pids = [node.ahead._process.pid for node in cluster.nodes.values() if node.ahead._process]
        assert len(pids) == 4
    finally:
        await cluster.stop()
    for pid in filter(None, pids):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_peer_that_tells_a_wrong_signature_is_found_out_behind_the_process(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.signature_process = "on"
    try:
        await cluster.start("a", "b")
        node = cluster.nodes["a"]
        await until(lambda: len(node.transport.connected()) == 1, "connected")
        await until(lambda: node.ahead.has_room(FEWEST), "the process answers")
        told = [encode_transaction(cluster.enrol(0)) for _ in range(PORTION)]
        blamed: list[ReplicaId] = []
        node.transport.misbehaved = lambda replica, reason: blamed.append(replica)  # type: ignore[method-assign]
        cluster.nodes["b"].gossip.tell([*told[:100], forged(told[100]), *told[101:]])
        await until(lambda: blamed == [cluster.nodes["b"].id], "blamed")
        assert node.ahead.checked > 0 and len(node.mempool) >= 96
    finally:
        await cluster.stop()
