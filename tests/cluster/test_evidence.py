"""The vault with real processes: a claim with its papers, a dead holder, an erasure, and logs that name nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from hashlib import md5, sha1, sha256
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cluster.test_demo import weal, weal_json

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(240)]

PLAN: Final = "hospital-reimbursement"
CONTENT, NAME, PERSON = "Qx9paperContent", "Qx9fileName", "Qx9identity"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    weal(tmp_path, "localnet", "up", "--detach", "--time-scale", 20_000)
    try:
        yield tmp_path
    finally:
        weal(tmp_path, "localnet", "down")


def wait_for(what: str, ask: Any, timeout_s: float = 30) -> Any:
    end = time.monotonic() + timeout_s
    while not (found := ask()):
        assert time.monotonic() < end, f"not in {timeout_s} s: {what}"
        time.sleep(0.1)
    return found


def test_papers_of_a_claim_are_kept_opened_and_erased_by_real_nodes(cluster: Path) -> None:
    (cluster / "people.csv").write_text(f"identity,birth_month\n{PERSON},1985-06\n")
    weal(cluster, "member", "enrol", "people.csv", "--plan", PLAN, "--as", "a")
    cover_from = weal_json(cluster, "member", "show", 1)["cover_from"]
    begins_ms = int(datetime.fromisoformat(f"{cover_from}T00:00:00+00:00").timestamp() * 1000)
    wait_for("cover begins", lambda: weal_json(cluster, "node", "status")["chain_now_ms"] > begins_ms)
    paper = cluster / f"{NAME}.pdf"
    paper.write_text(CONTENT * 50_000)
    filed = weal_json(
        *(cluster, "claim", "file", "--member", 1, "--plan", PLAN, "--ailment", "H01", "--amount", "100.00"),
        *("--diagnosed", cover_from, "--evidence", paper, "--vault", "--as", "a"),
    )
    assert filed["claim"] == "C-000001"
    item = weal_json(cluster, "evidence", "show", "E-000001")
    claim = weal_json(cluster, "claim", "show", "C-000001")
    assert item["claim"] == "C-000001" and item["commitment"] == claim["evidence"]
    investigator = claim["assigned"]
    assert item["holders"] == sorted({"a", investigator})
    outsider = next(name for name in "bcd" if name not in item["holders"])

    weal(cluster, "evidence", "get", "E-000001", "--out", "stolen", "--as", outsider, code=4)
    weal(cluster, "evidence", "grant", "E-000001", "--to", outsider, "--purpose", "audit", "--as", outsider, code=4)
    weal(cluster, "evidence", "erase", "E-000001", "--as", "a", code=4)
    assert not list((cluster / "stolen").glob("*"))
    read = weal_json(cluster, "evidence", "get", "E-000001", "--out", "first", "--as", investigator)
    assert Path(cluster, read["papers"][0]).read_text() == paper.read_text()

    # The other holder has it too, so the filer's node is not needed.
    weal(cluster, "localnet", "kill", "a")
    weal(cluster, "evidence", "grant", "E-000001", "--to", outsider, "--purpose", "audit", "--as", investigator)
    read = weal_json(cluster, "evidence", "get", "E-000001", "--out", "second", "--as", outsider)
    assert Path(cluster, read["papers"][0]).read_text() == paper.read_text()
    weal(cluster, "localnet", "restart", "a")

    weal(cluster, "evidence", "add", paper, "--as", "a")
    assert weal_json(cluster, "evidence", "erase", "E-000002", "--as", "a")["status"] == "erased"
    weal(cluster, "evidence", "get", "E-000002", "--as", "a", code=5)
    assert [entry["status"] for entry in weal_json(cluster, "evidence", "list")] == ["kept", "erased"]
    weal(cluster, "evidence", "show", "E-000002", "--proof", "item.json")
    weal(cluster, "verify", "item.json", "--genesis", "localnet/genesis.json")

    files = [path for path in (cluster / "localnet").rglob("*") if path.is_file()]
    assert any(path.name == "node.log" for path in files) and any("vault" in path.parts for path in files)
    for marker in (CONTENT, NAME, PERSON):
        data = marker.encode()
        needles = [data, data.hex().encode()]
        for digest in (sha256(data), sha1(data), md5(data)):
            needles += [digest.digest(), digest.hexdigest().encode()]
        for path in files:
            content = path.read_bytes()
            assert not [needle for needle in needles if needle in content], f"{marker} shows in {path}"
