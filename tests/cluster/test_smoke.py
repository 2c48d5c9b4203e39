"""A quick look at the whole: four processes, a load, a dead primary. The thorough ones are marked slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load import Load
from node.localnet import Localnet
from tests.cluster.promises import check_promises, primary


@pytest.mark.timeout(120)
def test_four_nodes_agree_and_outlive_their_primary(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        with Load(net, batch=5, batches_open=4, run="smoke") as load:
            load.wait_final(100)
            victim = primary(net)
            net.kill(victim)
            load.wait_final(100)
            net.restart(victim)
            load.wait_final(50)
        report = load.report
        assert not report.refused
        assert not report.late
        ledger = check_promises(net, report.told)
        assert sum(map(len, ledger.ids)) >= 250
