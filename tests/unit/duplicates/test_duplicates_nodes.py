"""Four whole nodes over real sockets: the key made on the chain, values by the API, one organisation down."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from node.claims.nullifiers.actions import ConfirmKey
from node.claims.nullifiers.holders import ValueKind
from node.claims.nullifiers.records import load_key_epoch
from node.client import Client, ClientError
from node.client.duplicates import active_epoch, key_state, make_values
from node.crypto import SigningKey
from node.node import Node
from node.oprf import inputs
from tests.unit.duplicates.ceremonies import ceremony_of, new_dealing
from tests.unit.node.nodes import Cluster, running, until

PERSON = (ValueKind.PERSON, inputs.person("CN-RESIDENT", "11010519491231002X"))
PAPERS = [(ValueKind.PAPER, inputs.receipt("H-001", str(number))) for number in range(20)]


def has_seen(node: Node, epoch: int) -> bool:
    """Are three dealings on this node's chain?"""
    record = load_key_epoch(node.state.view(), epoch)
    return record is not None and len(record.dealers) == 3


async def make_key(cluster: Cluster, *, epoch: int = 1) -> None:
    """a, b and c deal; each then confirms what its own node has checked."""
    ceremony = ceremony_of(cluster.genesis.digest, cluster.node_keys, epoch)
    dealings = [cluster.signed(dealer, new_dealing(ceremony, dealer + 1)) for dealer in range(3)]
    await cluster.submit("a", dealings)
    await cluster.nodes["a"].wait_final([one.id for one in dealings], 20)
    confirmations = []
    for number, name in enumerate("abc"):
        await until(partial(has_seen, cluster.nodes[name], epoch), "dealings seen")
        async with Client(f"http://127.0.0.1:{cluster.ports[number]}") as client:
            own = (await key_state(client))["newest"]["own"]
        assert own["is_good"] and own["accusations"] == []
        confirmations.append(cluster.signed(number, ConfirmKey(epoch=epoch, dealings=bytes.fromhex(own["dealings"]))))
    await cluster.submit("b", confirmations)
    fates = await cluster.nodes["b"].wait_final([one.id for one in confirmations], 20)
    assert [fate.code for fate in fates] == [0, 0, 0]


async def test_values_are_made_and_stay_the_same_while_any_one_organisation_is_down(tmp_path: Path) -> None:
    async with running(tmp_path, view_timeout_ms=300) as cluster:
        digest, account = cluster.genesis.digest, cluster.account_keys[0]
        async with Client(f"http://127.0.0.1:{cluster.ports[0]}", patience_s=5) as client:
            assert await active_epoch(client) == 0
            await make_key(cluster)
            await until(lambda: cluster.nodes["a"].duplicates.key() is not None, "the key is active")
            everything = [PERSON, *PAPERS, PERSON]
            first = await make_values(client, account, digest, 1, everything)
            assert len(set(first)) == 21 and first[0] == first[-1]
            await cluster.stop("d")
            assert await make_values(client, account, digest, 1, everything) == first
            await cluster.start("d")
            await until(lambda: len(cluster.nodes["d"].transport.connected()) == 3, "d is back")
            await cluster.stop("b")
            # d neither dealt nor confirmed; its share was waiting for it on the chain.
            assert await make_values(client, account, digest, 1, everything) == first
            shown = await key_state(client)
            assert shown["used"][0]["organisation"] == "a" and shown["used"][0]["today"] == 63
            assert shown["wrong_answers"] == {} and shown["active"]["dealers"] == ["a", "b", "c"]
            with pytest.raises(ClientError, match="E0423"):
                await make_values(client, SigningKey.generate(), digest, 1, [PERSON])


async def test_the_counts_of_a_day_survive_a_restart_and_bound_the_guesses(tmp_path: Path) -> None:
    async with running(tmp_path, view_timeout_ms=300) as cluster:
        await make_key(cluster)
        digest, account = cluster.genesis.digest, cluster.account_keys[0]
        async with Client(f"http://127.0.0.1:{cluster.ports[0]}", patience_s=5) as client:
            await until(lambda: cluster.nodes["a"].duplicates.key() is not None, "the key is active")
            await make_values(client, account, digest, 1, PAPERS[:4])
            await cluster.stop("a")
            await cluster.start("a")
            quota = cluster.nodes["a"].duplicates.quota
            quota.per_day = 5
            await until(lambda: len(cluster.nodes["a"].transport.connected()) == 3, "a is back")
            with pytest.raises(ClientError, match="E0431"):
                await make_values(client, account, digest, 1, PAPERS[4:6])
