"""The peer that we are measured against does what it is measured for. Without Go these tests are left out."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from benchmarks.peers.cometbft import SETTINGS, CometBFT, Setting, generate
from benchmarks.peers.gobuild import SOURCE, build
from benchmarks.peers.peer import PeerUnavailable
from benchmarks.peers.wire import Answer, CommitReader, Transactions

COUNT = 1_000
WAIT_S = 60.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def _built() -> None:
    try:
        build()
    except PeerUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.timeout(1_500)  # The first test of all may fetch and build CometBFT.
@pytest.mark.usefixtures("_built")
def test_the_go_sources_are_formatted_and_pass_their_own_tests() -> None:
    for command in (["gofmt", "-l", "."], ["go", "vet", "."], ["go", "test", "-count=1", "."]):
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert command[0] != "gofmt" or done.stdout == ""


def submit(url: str, body: bytes) -> list[Answer]:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/batch", data=body), timeout=30) as answer:
        return [Answer(byte) for byte in answer.read()]


def wait_committed(peer: CometBFT, count: int, nodes: list[int]) -> set[str]:
    """The different application hashes of these nodes once each has committed so many."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        seen = [peer.stats(index) for index in nodes]
        if all(one["committed"] == count for one in seen):
            return {one["app_hash"] for one in seen}
        time.sleep(0.1)
    raise AssertionError(f"not all nodes have {count}: {seen}")


@pytest.mark.timeout(1_500)
@pytest.mark.usefixtures("_built")
@pytest.mark.parametrize("setting", SETTINGS)
def test_four_nodes_commit_the_same_and_refuse_a_bad_signature(tmp_path: Path, setting: Setting) -> None:
    generate(tmp_path / "transactions", COUNT + 1)
    transactions = Transactions.read(tmp_path / "transactions")
    with CometBFT(4, setting, tmp_path / "net") as peer:
        with urllib.request.urlopen(f"{peer.endpoints[0]}/commits", timeout=WAIT_S) as stream:
            for first in range(0, COUNT, 100):
                answers = submit(peer.endpoints[first // 100 % 4], transactions.batch(first, 100))
                assert answers == [Answer.ACCEPTED] * 100
            assert submit(peer.endpoints[0], transactions.batch(0, 1)) == [Answer.KNOWN]
            for at in (4 + 32, 4 + 257):
                bad = bytearray(transactions.batch(COUNT, 1))
                bad[at] ^= 1
                assert submit(peer.endpoints[0], bytes(bad)) == [Answer.REFUSED]
            reader, told = CommitReader(), set[bytes]()
            while len(told) < COUNT:
                told.update(nonce for commit in reader.feed(stream.read1()) for nonce in commit.nonces)
        assert told == {transactions.nonce(index) for index in range(COUNT)}
        assert len(wait_committed(peer, COUNT, [0, 1, 2, 3])) == 1


@pytest.mark.timeout(1_500)
@pytest.mark.usefixtures("_built")
def test_three_nodes_go_on_and_the_fourth_catches_up(tmp_path: Path) -> None:
    generate(tmp_path / "transactions", 400)
    transactions = Transactions.read(tmp_path / "transactions")
    with CometBFT(4, "tuned", tmp_path / "net") as peer:
        submit(peer.endpoints[0], transactions.batch(0, 200))
        wait_committed(peer, 200, [0, 1, 2, 3])
        peer.kill(3)
        assert peer.pids[3] == 0 and 0 not in peer.pids[:3]
        submit(peer.endpoints[0], transactions.batch(200, 200))
        wait_committed(peer, 400, [0, 1, 2])
        peer.restart(3)
        end = time.monotonic() + WAIT_S
        while not peer.answers(3):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert len(wait_committed(peer, 400, [0, 1, 2, 3])) == 1
    assert peer.pids == [0, 0, 0, 0]
