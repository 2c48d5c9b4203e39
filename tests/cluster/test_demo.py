"""`weal demo` as a user runs it, and the command line against a real cluster."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from node.localnet.processes import started_at

ROOT: Final = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEAL_")}
    return kept | {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(home), "TMPDIR": str(home), "NO_COLOR": "1"}


def weal(folder: Path, *arguments: object, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program; its exit code must be `code`."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", *map(str, arguments)],
        cwd=folder,
        env=environment(folder),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def weal_json(folder: Path, *arguments: object, code: int = 0, stdin: str = "") -> Any:
    return json.loads(weal(folder, *arguments, "--json", code=code, stdin=stdin).stdout)


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_ended(pids: list[int], timeout_s: float) -> list[int]:
    """Those that are still running after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while (left := [pid for pid in pids if started_at(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def test_the_demonstration_holds_everything_it_promises(tmp_path: Path) -> None:
    done = weal(tmp_path, "demo", "--json")
    report = json.loads(done.stdout)
    figures = report["figures"]
    assert report["held"] and all(check["held"] for check in report["checks"]), report["checks"]
    assert len(report["checks"]) == 16
    assert figures["members"] == 70 + 16 and report["imported"]["accounted"] == 502
    denied = figures["claims"]["denied"] + figures["claims"]["closed-denied"]
    assert figures["claims"]["paid"] + denied + figures["claims"]["written-off"] == report["imported"]["claims"] > 0
    assert denied > 0 and figures["cycles_settled"] >= 2 and figures["view_changes"] >= 1
    assert len(set(figures["state_roots"].values())) == 1 and len(figures["state_roots"]) == 4
    assert "is killed (SIGKILL)" in done.stderr and "has caught up" in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the children through /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_demonstration_ends_its_nodes(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "node.cli", "demo", "--no-colour"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "qualify" in line:
                break
        nodes = children(demo.pid)
        assert len(nodes) == 4
        demo.send_signal(number)
        demo.communicate(timeout=60)
    assert demo.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert wait_ended(nodes, 30) == []
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    weal(tmp_path, "localnet", "up", "--detach")
    try:
        yield tmp_path
    finally:
        weal(tmp_path, "localnet", "down", "--remove")
        assert not (tmp_path / "localnet").exists()


def test_a_claims_desk_works_from_the_command_line(cluster: Path) -> None:
    status = weal_json(cluster, "localnet", "status")
    assert [node["ready"] for node in status["nodes"]] == [True] * 4

    # Members: a batch from a file, one from standard input, and the same person again.
    with (cluster / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("identity", "birth_month"), ("one", "1980-04"), ("two", "1990-01")])
    enrolled = weal_json(cluster, "member", "enrol", "people.csv", "--as", "a")
    assert enrolled["members"] == [{"first": "M-000001", "last": "M-000002"}]
    weal(cluster, "member", "enrol", "--birth-month", "2001-02", "--as", "b", stdin="three\n")
    again = weal(cluster, "member", "enrol", "--birth-month", "2001-02", "--as", "c", stdin="three\n", code=4)
    assert "E1101" in again.stderr and "already a member" in again.stderr
    assert weal_json(cluster, "member", "show", 3)["enrolled_by"] == "b"
    assert weal_json(cluster, "member", "statement", "m-1")["total"] == "0.00"
    weal(cluster, "member", "key", "m-1", "--public-key", "5a" * 32, "--as", "a")
    assert weal_json(cluster, "member", "show", "m-1")["key"] == "5a" * 32
    weal(cluster, "member", "show", 99, code=5)

    # Cover has not begun, except for an accident from tomorrow on: today's is refused by the ledger.
    today = status["nodes"][0]["status"]["as_of"]["time"][:10]
    (cluster / "report.pdf").write_text("seen")
    claim = ("--member", 1, "--ailment", "S02", "--diagnosed", today, "--evidence", "report.pdf", "--as", "a")
    refused = weal(cluster, "claim", "file", *claim, code=4)
    assert "E1125" in refused.stderr and "transaction " in refused.stderr
    id = next(line.split()[1] for line in refused.stderr.splitlines() if line.startswith("transaction "))
    weal(cluster, "tx", "wait", id, code=4)
    shown = json.loads(weal(cluster, "tx", "show", id, "--proof", "tx.json", "--json", code=4).stdout)
    assert shown["status"] == "committed" and shown["result"] == "not-yet-covered"

    # Its proof holds without any node, is of this transaction only, and does not survive a change.
    proven = weal_json(cluster, "verify", "tx.json", "--transaction", id)
    assert proven["receipt"]["result"] == "not-yet-covered"
    weal(cluster, "verify", "tx.json", "--transaction", "00" * 32, code=3)
    document = json.loads((cluster / "tx.json").read_text())
    document["header"]["height"] += 1
    (cluster / "forged.json").write_text(json.dumps(document))
    weal(cluster, "verify", "forged.json", code=3)

    # Signing apart from submitting, and submitting twice.
    action = {
        "action": "enrol",
        "plan": "hospital-reimbursement",
        "members": [{"person": "11" * 32, "birth_month": 24000}],
    }
    (cluster / "actions.json").write_text(json.dumps(action))
    signed = weal_json(cluster, "tx", "submit", "actions.json", "--as", "d", "--sign-only", "signed.tx")
    first = weal_json(cluster, "tx", "submit", "signed.tx")
    assert first["id"] == signed["id"] and first["status"] == "committed"
    assert weal_json(cluster, "tx", "submit", "signed.tx")["height"] == first["height"]
    block = weal_json(cluster, "block", "show", first["height"])
    assert signed["id"] in block["transactions"] and len(block["certificate"]["signatures"]) >= 3
    assert weal_json(cluster, "block", "list", "--limit", 2)[0]["height"] >= first["height"]
    assert weal_json(cluster, "claim", "list") == [] == weal_json(cluster, "claim", "list", "--todo", "b")


def test_a_cluster_can_be_hurt_and_healed_from_the_command_line(cluster: Path) -> None:
    weal(cluster, "localnet", "kill", "a")
    weal(cluster, "localnet", "status", code=7)
    enrolled = weal_json(cluster, "member", "enrol", "--birth-month", "2001-02", "--as", "a", stdin="x\n")
    assert enrolled["enrolled"] == 1, "three of four go on, and the dead node's desk asks another node"
    weal(cluster, "localnet", "restart", "a", "--wipe")
    weal(cluster, "localnet", "partition", "a,b", "c,d")
    stuck = weal(
        cluster, "member", "enrol", "--birth-month", "2001-02", "--as", "a", "--timeout", 2, stdin="y\n", code=6
    )
    id = next(line.split()[1] for line in stuck.stderr.splitlines() if line.startswith("transaction "))
    weal(cluster, "localnet", "heal")
    assert weal_json(cluster, "tx", "wait", id, "--timeout", 60)["status"] == "committed"
    # Up again in the same folder goes on with the same chain.
    weal(cluster, "localnet", "down")
    weal(cluster, "claim", "list", "--timeout", 1, code=7)
    weal(cluster, "localnet", "up", "--detach")
    assert weal_json(cluster, "member", "show", 2)["id"] == "M-000002"


def test_importing_twice_adds_nothing_and_says_so(cluster: Path) -> None:
    sample = ROOT / "node" / "data" / "sample-fhir.ndjson"
    dry = weal_json(cluster, "import", "fhir", sample, "--dry-run", "--as", "a")
    first = weal_json(cluster, "import", "fhir", sample, "--as", "a", "--report", "report.ndjson")
    assert dry["accounted"] == first["accounted"] == 502 and first["members"] == dry["members"] > 0
    lines = [json.loads(line) for line in (cluster / "report.ndjson").read_text().splitlines()]
    assert len(lines) == 503 and lines[-1]["totals"]["accounted"] == 502
    assert (cluster / "report.ndjson").stat().st_mode & 0o777 == 0o600
    numbers = [line["member"] for line in lines if line.get("outcome") == "member"]
    assert len(numbers) == first["members"] and numbers[0] == "M-000001"
    second = weal_json(cluster, "import", "fhir", sample, "--as", "b")
    known = [o["count"] for o in second["outcomes"] if o["outcome"] == "known-member"]
    assert second["members"] == 0 and known == [first["members"]]
    cut = sample.read_bytes()[:100_000]
    (cluster / "cut.ndjson").write_bytes(cut)
    weal(cluster, "import", "fhir", "cut.ndjson", "--as", "a", code=8)
    weal(cluster, "import", "fhir", "cut.ndjson", "--as", "a", "--allow-damaged")
