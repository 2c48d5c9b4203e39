"""Four whole nodes agree: the parts joined, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from node.claims.transaction import encode_transaction
from tests.unit.node.nodes import NAMES, Cluster, running, until


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
