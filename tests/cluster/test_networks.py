"""Networks that part, a stranger's chain, and a node that was away for long."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from benchmarks.load import Load
from node.claims.genesis import Genesis
from node.genesis import dump_genesis
from node.localnet import Localnet
from tests.cluster.promises import check_promises, heights, wait_level, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BLOCKS_AWAY = int(os.environ.get("WEAL_TEST_BLOCKS_AWAY", "2000"))
"""Blocks a node misses before it comes back; 10000 is the figure of the requirement, and takes longer."""


def test_two_against_two_stops_and_goes_on_when_healed(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        names = net.names
        with Load(net, rate=100, run="partition", timeout_s=120.0) as load:
            load.wait_final(100)
            net.partition(names[:2], names[2:])
            _wait_still(net)
            stopped_at = heights(net)
            net.heal()
            load.wait_final(100)
            # Three are enough for what clients are told, and whole seconds' work fits into few blocks: the fourth may
            # still be calling the others again.
            wait_until("all four go on", lambda: min(heights(net).values()) > max(stopped_at.values()))
            # The other way to part them, so that both halves contain a former primary.
            net.partition([names[0], names[3]], [names[1], names[2]])
            _wait_still(net)
            net.heal()
            load.wait_final(100)
        report = load.report
        assert not report.refused
        check_promises(net, report.told)


def test_three_go_on_without_a_node_that_is_cut_off(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        names = net.names
        with Load(net, rate=100, urls=[net.node(name).url for name in names[1:]], run="cut-off") as load:
            load.wait_final(50)
            net.partition([names[0]], names[1:])
            load.wait_final(200)
            net.heal()
            goal = max(heights(net).values())
            wait_until("the one cut off catches up", lambda: heights(net).get(names[0], 0) >= goal)
        report = load.report
        assert not report.refused
        check_promises(net, report.told)


def test_what_a_node_took_in_while_cut_off_is_committed_after_the_heal(tmp_path: Path) -> None:
    """Alone with the transaction, it asks for another view; the others stay in theirs and have heard of nothing."""
    with Localnet(n=4, directory=tmp_path / "net") as net:
        alone, others = net.names[-1], net.names[:-1]
        with Load(net, transactions=40, batch=10, run="before") as load:
            load.wait_finished(60)
        net.partition([alone], others)
        with Load(net, rate=10, urls=[net.node(alone).url], organisations=[alone], run="alone") as stuck:
            wait_until("it gives up its view", lambda: not _status(net, alone).get("active", True))
            assert stuck.final == 0, "one of four decides nothing"
            net.heal()
            stuck.wait_final(10)
        assert not stuck.report.refused
        check_promises(net, {**load.report.told, **stuck.report.told})


def test_a_node_of_another_chain_is_refused_and_disturbs_nobody(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        stranger, others = net.names[-1], net.names[:-1]
        with Load(net, rate=100, urls=[net.node(name).url for name in others], run="stranger") as load:
            load.wait_final(50)
            net.stop([stranger])
            _give_other_genesis(net, stranger)
            # Its databases belong to the old chain, so it refuses to start with them, and says so.
            net.restart(stranger, wait=False)
            wait_until("it refuses to start", lambda: not net.is_running(stranger))
            assert "belongs to the chain with genesis" in net.log(stranger).read_text()
            net.wipe(stranger)
            net.restart(stranger, wait=False)
            wait_until("the others refuse it", lambda: "the peer's genesis is" in net.log(others[0]).read_text())
            load.wait_final(100)
            assert heights(net, [stranger]).get(stranger, 0) == 0
        report = load.report
        assert not report.refused
        net.stop([stranger])
        check_promises(net, report.told, names=others)


def test_a_node_that_was_away_catches_up_while_the_cluster_commits(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        away, others = net.names[-1], net.names[:-1]
        urls = [net.node(name).url for name in others]
        with Load(net, batch=1, batches_open=4, urls=urls, run="away") as load:
            load.wait_final(20)
            net.kill(away)
            start = max(heights(net).values())
            wait_until(
                f"{BLOCKS_AWAY} blocks without it", lambda: max(heights(net).values()) >= start + BLOCKS_AWAY, 600
            )
            net.restart(away, wait=False)
            # It is level when it is ready, and the others go on meanwhile.
            before = load.final
            net.wait_ready([away], timeout_s=300)
            assert load.final > before
            load.wait_final(50)
        report = load.report
        assert not report.refused
        check_promises(net, report.told)
        assert wait_level_of_disk(net) > start + BLOCKS_AWAY


def wait_level_of_disk(net: Localnet) -> int:
    """Height after a cold start of all four from their own disks."""
    net.start()
    return wait_level(net)


def _status(net: Localnet, name: str) -> dict[str, object]:
    return next((record.get("status", {}) for record in net.statuses() if record["name"] == name), {})


def _wait_still(net: Localnet, for_s: float = 3.0) -> None:
    """Wait until no node has committed anything for a while: nothing may be committed by two of four."""
    last, since = heights(net), time.monotonic()
    end = since + 60.0
    while time.monotonic() - since < for_s:
        assert time.monotonic() < end, "half a cluster goes on committing"
        now = heights(net)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)


def _give_other_genesis(net: Localnet, name: str) -> None:
    """The node's own copy of a genesis with the same organisations and keys, but another chain name."""
    import msgspec

    other: Genesis = msgspec.structs.replace(net.genesis(), chain="another-chain")
    path = net.folder(name) / "other-genesis.json"
    path.write_text(dump_genesis(other), encoding="utf-8")
    assert json.loads(path.read_text())["chain"] == "another-chain"
    configuration = net.folder(name) / "node.toml"
    text = configuration.read_text(encoding="utf-8")
    assert '"../genesis.json"' in text
    configuration.write_text(text.replace('"../genesis.json"', '"other-genesis.json"'), encoding="utf-8")
