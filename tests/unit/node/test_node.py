"""Four whole nodes agree: the parts joined, over real sockets."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from random import Random

import msgspec
import pytest

from consensus.codec import encode
from consensus.errors import ProtocolViolation
from consensus.types import ReplicaId
from node.crypto import SigningKey
from node.duplicates.messages import Declined, Evaluate, Partial, Reason
from node.errors import ConfigError, KeyFileError, StoreError
from node.frames import Channel
from node.genesis import dump_genesis
from node.keyfile import write_key
from node.node import Node
from node.state import StateDatabase
from tests.unit.node.nodes import NAMES, Cluster, running, until

ABOUT_VALUES = (
    Evaluate(number=1, epoch=1, sender=bytes(32), issued_ms=1, elements=(bytes(32),), signature=bytes(64)),
    Partial(number=1, results=(bytes(32),), proof=bytes(64)),
    Declined(number=1, reason=Reason.BUSY),
)
HOSTILE_CHANNELS = (Channel.CONSENSUS, Channel.TRANSACTIONS, Channel.SYNC, Channel.DUPLICATES)


def heights(cluster: Cluster) -> set[int]:
    return {node.executor.tip.height for node in cluster.nodes.values()}


async def all_equal(cluster: Cluster, height: int) -> None:
    nodes = list(cluster.nodes.values())
    await until(lambda: min(heights(cluster)) >= height and len(heights(cluster)) == 1, "equal heights")
    assert len({node.executor.tip.digest for node in nodes}) == 1
    assert len({node.state.root() for node in nodes}) == 1


async def test_four_nodes_commit_what_a_client_submits_to_one(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        transactions = [cluster.enrol(0) for _ in range(3)]
        assert await cluster.submit("c", transactions) == ["pending"] * 3
        fates = await cluster.nodes["d"].wait_final([t.id for t in transactions], 10)
        assert [(fate.state, fate.code) for fate in fates] == [("committed", 0)] * 3
        await all_equal(cluster, 1)
        assert await cluster.submit("a", transactions) == ["committed"] * 3
        for node in cluster.nodes.values():
            assert len(node.mempool) == 0
            assert node.readiness() == []
            assert node.status()["height"] == node.executor.tip.height


async def test_cluster_goes_on_without_its_primary_which_catches_up_later(tmp_path: Path) -> None:
    async with running(tmp_path, view_timeout_ms=300) as cluster:
        await cluster.submit("a", [cluster.enrol(0)])
        await all_equal(cluster, 1)
        primary = NAMES[cluster.nodes["b"].replica.primary]
        others = [name for name in NAMES if name != primary]
        await cluster.stop(primary)
        for _ in range(20):
            transactions = [cluster.enrol(1)]
            await cluster.submit(others[0], transactions)
            fates = await cluster.nodes[others[0]].wait_final([transactions[0].id], 20)
            assert fates[0].state == "committed"
        assert cluster.nodes[others[0]].replica.view > 0
        await cluster.start(primary)
        await all_equal(cluster, 21)
        await until(lambda: cluster.nodes[primary].readiness() == [], "the old primary is ready again")


async def test_isolated_node_is_cut_off_and_catches_up_when_healed(tmp_path: Path) -> None:
    async with running(tmp_path, view_timeout_ms=300) as cluster:
        lonely = cluster.nodes["d"]
        assert lonely.transport.isolate(["a", "b", "c"]) == ["a", "b", "c"]
        await until(lambda: not lonely.transport.connected(), "cut off")
        transactions = [cluster.enrol(0) for _ in range(5)]
        await cluster.submit("a", transactions)
        fates = await cluster.nodes["a"].wait_final([t.id for t in transactions], 20)
        assert {fate.state for fate in fates} == {"committed"}
        assert lonely.executor.tip.height == 0
        assert any("a quorum needs" in reason for reason in lonely.readiness())
        lonely.transport.isolate([])
        await all_equal(cluster, 1)
        with pytest.raises(KeyError):
            lonely.transport.isolate(["nobody"])


async def test_all_nodes_stopped_at_once_come_back_with_the_same_chain(tmp_path: Path) -> None:
    async with running(tmp_path, view_timeout_ms=300) as cluster:
        first = [cluster.enrol(sender) for sender in (0, 1, 3)]
        await cluster.submit("b", first)
        await cluster.nodes["b"].wait_final([t.id for t in first], 20)
        await all_equal(cluster, 1)
        height = cluster.nodes["a"].executor.tip.height
        await cluster.stop()
        await cluster.start()
        assert heights(cluster) == {height}
        second = [cluster.enrol(0)]
        await until(lambda: cluster.nodes["c"].readiness() == [], "ready again")
        await cluster.submit("c", second)
        fates = await cluster.nodes["a"].wait_final([t.id for t in (*first, *second)], 20)
        assert {fate.state for fate in fates} == {"committed"}
        await all_equal(cluster, height + 1)


async def test_node_that_lost_its_disk_follows_and_does_not_vote(tmp_path: Path) -> None:
    async with running(tmp_path, view_timeout_ms=300) as cluster:
        await cluster.submit("a", [cluster.enrol(0)])
        await all_equal(cluster, 1)
        await cluster.stop("d")
        shutil.rmtree(tmp_path / "d" / "data")
        await cluster.start("d")
        await all_equal(cluster, 1)
        await cluster.submit("a", [cluster.enrol(0)])
        await all_equal(cluster, 2)
        assert not cluster.nodes["d"].replica.voting
        assert any("not voting" in reason for reason in cluster.nodes["d"].readiness())


async def test_node_with_another_genesis_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await cluster.stop("d")
        other = msgspec.structs.replace(cluster.genesis, chain="another")
        (tmp_path / "d" / "genesis.json").write_text(dump_genesis(other))
        shutil.rmtree(tmp_path / "d" / "data")
        config = cluster.config("d")
        path = str(tmp_path / "d" / "genesis.json")
        stranger = Node(msgspec.structs.replace(config, node=msgspec.structs.replace(config.node, genesis=path)))
        await stranger.start()
        try:
            counters = cluster.nodes["a"].transport.counters
            await until(lambda: counters["accept: wrong genesis"] > 0, "refused because of its genesis")
            assert stranger.transport.connected() == []
            await cluster.submit("a", [cluster.enrol(0)])
            await until(lambda: min(heights(cluster)) == 1, "the others go on")
        finally:
            await stranger.stop()


async def test_deadlines_make_blocks_without_any_transaction(tmp_path: Path) -> None:
    """The plans' cycles are due long before the wall clock when the chain starts in the past."""
    async with running(tmp_path, genesis_age_ms=40 * 86_400_000) as cluster:
        await until(lambda: min(heights(cluster)) >= 1, "a block for the deadlines that are due")
        block = cluster.nodes["a"].executor.block_at(1)
        assert block is not None and block.transactions == ()


async def test_burst_of_one_sender_is_committed_in_full_and_in_order(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        transactions = [cluster.enrol(0) for _ in range(300)]
        assert set(await cluster.submit("b", transactions)) == {"pending"}
        fates = await cluster.nodes["c"].wait_final([t.id for t in transactions], 30)
        assert {(fate.state, fate.code) for fate in fates} == {("committed", 0)}
        places = [(fate.height, fate.index) for fate in fates]
        assert places == sorted(places) and len(set(places)) == 300
        await all_equal(cluster, 1)


async def test_failure_of_the_store_stops_the_node_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as cluster:
        broken = cluster.nodes["a"]

        def no_space(*_: object) -> None:
            raise StoreError("no space left on the disk; make room and start the node again")

        monkeypatch.setattr(broken.blocks, "write", no_space)
        await cluster.submit("b", [cluster.enrol(0)])
        with pytest.raises(StoreError, match="no space left"):
            await asyncio.wait_for(broken.wait_stopped(), 10)
        del cluster.nodes["a"]
        await all_equal(cluster, 1)


async def test_thousand_hostile_messages_of_each_channel_leave_the_cluster_as_it_was(tmp_path: Path) -> None:
    """Random bytes, and valid messages with a few bytes changed, as an authenticated peer could send them."""
    async with running(tmp_path) as cluster:
        node, random = cluster.nodes["a"], Random(7)
        seen: dict[Channel, list[bytes]] = {channel: [] for channel in HOSTILE_CHANNELS}
        seen[Channel.DUPLICATES] = [encode(message) for message in ABOUT_VALUES]
        transport = cluster.nodes["b"].transport
        send, broadcast = transport.send, transport.broadcast

        def listen_to_send(replica: ReplicaId, channel: Channel, payload: bytes) -> bool:
            seen[channel].append(payload)
            return send(replica, channel, payload)

        def listen_to_broadcast(channel: Channel, payload: bytes) -> None:
            seen[channel].append(payload)
            broadcast(channel, payload)

        transport.send, transport.broadcast = listen_to_send, listen_to_broadcast  # type: ignore[method-assign]
        await cluster.submit("b", [cluster.enrol(0) for _ in range(20)])
        await all_equal(cluster, 1)
        await until(lambda: all(seen.values()), "something valid of each kind")
        tasks, pool = len(asyncio.all_tasks()), len(node.mempool)
        refused = 0
        for channel in HOSTILE_CHANNELS:
            for number in range(1_000):
                payload = bytearray(random.choice(seen[channel]) if number % 2 else random.randbytes(number % 300))
                for _ in range(random.randint(1, 4)):
                    if payload:
                        payload[random.randrange(len(payload))] = random.randrange(256)
                try:
                    await node.peer_message(ReplicaId(1 + number % 3), channel, bytes(payload))
                except ProtocolViolation:
                    refused += 1
                if number % 50 == 0:
                    await asyncio.sleep(0)
        assert refused > 1_000
        transactions = [cluster.enrol(0)]
        await cluster.submit("a", transactions)
        fates = await node.wait_final([transactions[0].id], 20)
        assert fates[0].state == "committed"
        await all_equal(cluster, 2)
        await until(lambda: len(asyncio.all_tasks()) <= tasks + 3, "no task is stuck")
        assert len(node.mempool) == pool == 0


def test_key_of_a_stranger_is_refused(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    write_key(tmp_path / "a" / "node.key", SigningKey.generate(), None, overwrite=True)
    with pytest.raises(ConfigError, match="belongs to no organisation"):
        Node(cluster.config("a"))


def test_plain_key_is_refused_unless_allowed(tmp_path: Path) -> None:
    config = Cluster(tmp_path).config("a")
    strict = msgspec.structs.replace(config, node=msgspec.structs.replace(config.node, allow_plain_key=False))
    with pytest.raises(KeyFileError, match="allow_plain_key"):
        Node(strict)


def test_peer_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    config = Cluster(tmp_path).config("a")
    for name, message in (("nobody", "no organisation nobody"), ("a", "does not call itself")):
        with pytest.raises(ConfigError, match=message):
            Node(msgspec.structs.replace(config, peers={name: "127.0.0.1:1"}))


async def test_the_state_caches_as_much_as_the_operator_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    opening = StateDatabase.open

    def opened(path: Path, genesis: bytes, *, cache_bytes: int) -> StateDatabase:
        given.append(cache_bytes)
        return opening(path, genesis, cache_bytes=cache_bytes)

    monkeypatch.setattr("node.node.StateDatabase.open", opened)
    config = Cluster(tmp_path).config("a")
    own = msgspec.structs.replace(config.node, state_cache_bytes=2**21)
    node = Node(msgspec.structs.replace(config, node=own))
    await node.start()
    await node.stop()
    assert given == [2**21]
