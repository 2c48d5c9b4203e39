"""Proposals go out compact where that saves something, in an order in which peers can rebuild them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from consensus.codec import encode
from consensus.errors import DecodeError
from consensus.messages import BlockRequest, Message, Proposal, Status
from consensus.types import Digest, Height, ReplicaId, View
from node.claims.transaction import encode_transaction, id_of
from node.compact import CompactProposal, PeerMessage, TransactionsReply, TransactionsRequest, decode_peer_message
from node.consensus_channel import LEAST_SAVED, ConsensusChannel
from node.frames import Channel, Split
from node.gossip import decode_batch, encode_batch
from tests.hostile_signatures import sign_again
from tests.unit.node.nodes import NAMES, Cluster, running, until
from tests.unit.node.proposals import PRIMARY, Backup, fake, propose, shorten
from tests.unit.node.test_hostile_peers import HOSTILE, battle

RAWS = tuple(fake(number) for number in range(40))
STATUS = Status(view=View(0), height=Height(1), active=True)
A, B = ReplicaId(1), ReplicaId(2)


class Bench:
    """A channel, and all that happens around it, in order."""

    def __init__(self, backup: Backup | None = None) -> None:
        self.log: list[Any] = []
        self.posted: list[tuple[ReplicaId, Message, int]] = []
        self.queued: dict[ReplicaId, list[bytes]] = {A: [], B: []}
        self.backup = backup or Backup()
        self.channel = ConsensusChannel(
            wires=self,
            rebuilder=self.backup.rebuilder,
            post=self.post,
            ids=lambda raws: [id_of(raw) for raw in raws],
            tell_gossip=lambda: self.log.append("gossip"),
            offers=2,
        )

    async def post(self, replica: ReplicaId, message: Message, size: int) -> None:
        self.posted.append((replica, message, size))

    def connected(self) -> list[ReplicaId]:
        return list(self.queued)

    def send(self, replica: ReplicaId, channel: Channel, payload: bytes) -> bool:
        assert channel is Channel.CONSENSUS
        self.log.append((replica, decode_peer_message(payload)))
        return True

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        for replica in self.queued:
            self.send(replica, channel, payload)

    def hurry(self, replica: ReplicaId, channel: Channel, split: Split) -> None:
        assert channel is Channel.TRANSACTIONS
        self.queued[replica], before = [], self.queued[replica]
        for payload in before:
            urgent, rest = split(payload)
            self.log += [(replica, decode_batch(urgent))] if urgent else []
            self.queued[replica] += [rest] if rest else []

    def misbehaved(self, replica: ReplicaId, reason: str) -> None:
        self.log.append(("misbehaved", replica))

    def said(self, message: Proposal | Status) -> list[Any]:
        """What follows when the driver says something."""
        self.log.clear()
        self.channel.broadcast(message)
        return list(self.log)

    async def heard(self, replica: ReplicaId, message: PeerMessage) -> list[Any]:
        """What follows when a peer says something."""
        self.log.clear()
        await self.channel.received(replica, encode(message))
        return list(self.log)


# Out


def test_proposal_goes_out_compact_behind_the_gossip_and_all_else_as_it_is() -> None:
    bench, proposal = Bench(), propose(RAWS)
    assert bench.said(proposal) == ["gossip", (A, shorten(proposal)), (B, shorten(proposal))]
    assert bench.said(STATUS) == [(A, STATUS), (B, STATUS)]
    bench.log.clear()
    bench.channel.send(A, proposal.vote)
    assert bench.log == [(A, proposal.vote)]


def test_small_proposal_goes_out_whole() -> None:
    count = LEAST_SAVED // (200 - 48)
    small, large = propose(RAWS[:count]), propose(RAWS[: count + 1])
    assert Bench().said(small) == [(A, small), (B, small)]
    assert Bench().said(large)[1:] == [(A, shorten(large)), (B, shorten(large))]


def test_what_gossip_has_still_to_tell_of_a_proposal_goes_before_it_and_nothing_else_does() -> None:
    bench, proposal = Bench(), propose(RAWS)
    batches = [encode_batch(raws) for raws in ((fake(98),), (*RAWS[:2], fake(99)), RAWS[2:4])]
    bench.queued = {A: [*batches], B: batches[1:]}
    told = [[*RAWS[:2]], [*RAWS[2:4]]]
    expected = [(replica, item) for replica in (A, B) for item in (*told, shorten(proposal))]
    assert bench.said(proposal)[1:] == expected
    assert bench.queued == {A: [batches[0], encode_batch([fake(99)])], B: [encode_batch([fake(99)])]}


async def test_what_a_peer_misses_is_given_to_it_once() -> None:
    bench, proposal = Bench(), propose(RAWS)
    bench.said(proposal)
    request = TransactionsRequest(digest=proposal.block.digest, missing=(3, 7))
    reply = TransactionsReply(digest=proposal.block.digest, transactions=(RAWS[3], RAWS[7]))
    assert await bench.heard(A, request) == [(A, reply)]
    assert await bench.heard(A, request) == [("misbehaved", A)]
    assert await bench.heard(B, request) == [(B, reply)]
    with pytest.raises(DecodeError):
        await bench.heard(A, replace(request, missing=(40,)))
    assert bench.posted == []


async def test_who_got_the_whole_proposal_has_nothing_to_ask() -> None:
    bench, proposal = Bench(), propose(RAWS)
    bench.channel._whole[A] = 1
    bench.said(proposal)
    request = TransactionsRequest(digest=proposal.block.digest, missing=(3,))
    assert await bench.heard(A, request) == [("misbehaved", A)]


async def test_what_is_too_old_is_answered_with_nothing() -> None:
    bench = Bench()
    proposals = [propose(RAWS, height=height) for height in (1, 2, 3)]
    for proposal in proposals:
        bench.said(proposal)
    for proposal, is_there in zip(proposals, (False, True, True), strict=True):
        digest = proposal.block.digest
        answer = TransactionsReply(digest=digest, transactions=(RAWS[0],) if is_there else ())
        assert await bench.heard(A, TransactionsRequest(digest=digest, missing=(0,))) == [(A, answer)]


async def test_who_misses_most_of_a_proposal_gets_the_next_ones_whole() -> None:
    bench = Bench()
    bench.said(propose(RAWS))
    await bench.heard(A, TransactionsRequest(digest=propose(RAWS).block.digest, missing=tuple(range(21))))
    await bench.heard(B, TransactionsRequest(digest=propose(RAWS).block.digest, missing=tuple(range(20))))
    for number in range(17):
        proposal = propose(RAWS, height=2 + number)
        first = shorten(proposal) if number == 16 else proposal
        assert bench.said(proposal)[1:] == [(A, first), (B, shorten(proposal))]


# In


async def test_rebuilt_proposal_reaches_the_inbox_as_if_it_had_come_whole_and_counts_as_large() -> None:
    proposal = propose(RAWS)
    bench = Bench(Backup(*RAWS))
    assert await bench.heard(PRIMARY, shorten(proposal)) == []
    await bench.heard(PRIMARY, STATUS)
    assert [posted[:2] for posted in bench.posted] == [(PRIMARY, proposal), (PRIMARY, STATUS)]
    assert bench.posted[0][2] == 40 * 200 and bench.posted[1][2] == len(encode(STATUS))


async def test_votes_do_not_wait_for_a_proposal_that_does() -> None:
    proposal = propose(RAWS)
    bench = Bench(Backup(*RAWS[1:]))
    await bench.heard(PRIMARY, shorten(proposal))
    await bench.heard(PRIMARY, STATUS)
    await bench.heard(PRIMARY, TransactionsReply(digest=proposal.block.digest, transactions=(RAWS[0],)))
    assert [posted[1] for posted in bench.posted] == [STATUS, proposal]


async def test_flood_of_block_requests_is_held_back() -> None:
    bench = Bench()
    for _ in range(100):
        await bench.heard(A, BlockRequest(digest=Digest(bytes(32))))
    assert 32 <= len(bench.posted) < 50


# Whole nodes


def _counted(cluster: Cluster, name: str) -> int:
    return sum(node.words.counters[name] + node.words.rebuilder.counters[name] for node in cluster.nodes.values())


async def _commit(cluster: Cluster, name: str, count: int) -> None:
    transactions = [cluster.enrol(0) for _ in range(count)]
    assert await cluster.submit(name, transactions) == ["pending"] * count
    fates = await cluster.nodes[name].wait_final([t.id for t in transactions], 30)
    assert {fate.state for fate in fates} == {"committed"}


async def test_cluster_agrees_by_compact_proposals_and_asks_for_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        for name in NAMES:
            await _commit(cluster, name, 150)
        assert _counted(cluster, "compact") >= 3
        await until(lambda: _counted(cluster, "rebuilt") == _counted(cluster, "compact"), "all rebuilt at once")
        assert _counted(cluster, "asked") == _counted(cluster, "whole") == 0
        assert all(not node.transport.counters["misbehaviour"] for node in cluster.nodes.values())


async def test_backups_that_miss_transactions_fetch_them_and_vote(tmp_path: Path) -> None:
    """Two of four hear no gossip: without what they fetch there is no quorum."""
    async with running(tmp_path, view_timeout_ms=20_000) as cluster:
        names = [name for name in NAMES if cluster.nodes[name].replica.primary != cluster.nodes[name].id]
        for name in names[:2]:
            cluster.nodes[name].gossip.received = lambda replica, payload: None  # type: ignore[method-assign]
        await _commit(cluster, names[2], 150)
        deaf = [cluster.nodes[name].words.rebuilder.counters for name in names[:2]]
        assert all(counters["completed"] for counters in deaf)
        assert _counted(cluster, "given up") == 0
        assert {node.replica.view for node in cluster.nodes.values()} == {0}, "nobody had to wait for a timer"
        assert all(not node.transport.counters["misbehaviour"] for node in cluster.nodes.values())


async def test_primary_that_gives_no_answer_does_not_stop_its_backups(tmp_path: Path) -> None:
    """The pre-prepares go to the core in time, which asks for the blocks, the primary and others."""
    async with running(tmp_path, view_timeout_ms=500) as cluster:
        names = [name for name in NAMES if cluster.nodes[name].replica.primary != cluster.nodes[name].id]
        for node in cluster.nodes.values():
            node.words._answer = lambda replica, request: None  # type: ignore[method-assign]
        for name in names[:2]:
            cluster.nodes[name].gossip.received = lambda replica, payload: None  # type: ignore[method-assign]
        await _commit(cluster, names[2], 100)
        assert _counted(cluster, "asked") > 0


async def test_byzantine_primary_of_ids_that_nobody_has_costs_little(tmp_path: Path) -> None:
    """d, which is primary of view 3, proposes a thousand blocks of unknown transactions to a, and answers nothing."""
    async with battle(tmp_path) as fight:
        hostile = await fight.connect()
        for start in range(0, 1_000, 100):
            shorts = [
                encode(shorten(propose(RAWS, height=1 + number % 20, view=3, sender=3, time_ms=1 + number)))
                for number in range(start, start + 100)
            ]
            await hostile.say(Channel.CONSENSUS, *shorts)
        window = fight.cluster.consensus.window
        await until(lambda: fight.a.words.rebuilder.counters["asked"] >= 2 * window, "asked")
        await fight.still_commits()
        assert fight.a.words.rebuilder.counters["asked"] <= 2 * window + 1
        assert len(fight.a.words.rebuilder) <= 2 * window


async def test_malformed_compact_proposal_ends_the_connection(tmp_path: Path) -> None:
    async with battle(tmp_path) as fight:
        proposal = propose(RAWS, view=3, sender=3)
        short = shorten(proposal)
        for wrong in (
            encode(CompactProposal(vote=short.vote, header=short.header, ids=short.ids[:-1], tags=short.tags)),
            encode(short) + b"\x00",
            encode(TransactionsRequest(digest=proposal.block.digest, missing=())),
        ):
            hostile = await fight.connect()
            await until(lambda: HOSTILE in fight.a.transport.connected(), "taken in")
            await hostile.say(Channel.CONSENSUS, wrong)
            await until(lambda: HOSTILE not in fight.a.transport.connected(), "cut off")
        await until(lambda: fight.a.transport.counters["protocol violation"] == 3, "counted")
        await fight.still_commits()


async def test_answers_that_nobody_asked_for_get_a_peer_cut_off(tmp_path: Path) -> None:
    async with battle(tmp_path) as fight:
        hostile = await fight.connect()
        answer = encode(TransactionsReply(digest=Digest(bytes(32)), transactions=RAWS))
        await hostile.say(Channel.CONSENSUS, *[answer] * 150)
        await until(lambda: fight.is_banned, "cut off")
        await fight.still_commits()


async def test_client_with_two_signatures_for_one_transaction_costs_a_question(tmp_path: Path) -> None:
    """The primary has it with one, a backup with the other: the block is as the primary says, and the backup votes."""
    async with running(tmp_path, view_timeout_ms=20_000) as cluster:
        a, b = cluster.nodes["a"], cluster.nodes["b"]
        items = [cluster.enrol(0) for _ in range(30)]
        other = replace(items[0], signature=sign_again(bytes([101]) * 32, items[0].signed_bytes(), 12_345))
        assert other.id == items[0].id and encode_transaction(other) != encode_transaction(items[0])
        b.gossip.received = lambda replica, payload: None  # type: ignore[method-assign]
        b.gossip.tell = lambda raws: None  # type: ignore[method-assign]
        assert await cluster.submit("b", [other, *items[1:]]) == ["pending"] * 30
        assert await cluster.submit("a", items) == ["pending"] * 30
        await a.wait_final([item.id for item in items], 20)
        await until(lambda: b.executor.tip.height == a.executor.tip.height, "b is there, too")
        counters = b.words.rebuilder.counters
        assert (counters["asked"], counters["completed"], counters["given up"]) == (1, 1, 0)
        assert a.words.counters["answered"] == 1
