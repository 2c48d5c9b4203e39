"""Keyed values in four real processes, one of which is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.joint_key import make_joint_key
from node.claims.nullifiers.holders import ValueKind
from node.client.duplicates import key_state, make_values
from node.localnet import Localnet
from node.oprf import inputs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PAPERS = [(ValueKind.PAPER, inputs.receipt("H-001", str(number))) for number in range(40)]


def test_values_outlive_the_kill_of_any_organisation(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        *others, away = net.names
        # The last one is killed before it deals: neither the ceremony nor its own share needs it.
        net.kill(away)
        epoch = make_joint_key(net, others)
        genesis, key = net.genesis().digest, net.key(others[0])

        def values(at: str) -> list[bytes]:
            async def ask() -> list[bytes]:
                async with net.async_client(at) as client:
                    return await make_values(client, key, genesis, epoch, PAPERS)

            return asyncio.run(ask())

        first = values(others[0])
        assert len(set(first)) == len(PAPERS)
        net.restart(away)
        for victim in others:
            net.kill(victim)
            assert values(away) == first
            net.restart(victim)
        with net.client(away) as client:
            shown = client.run(key_state)
        assert shown["active"]["own"]["is_good"] and not shown["wrong_answers"]
