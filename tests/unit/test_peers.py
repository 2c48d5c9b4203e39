"""The parts of the peers that need neither Go nor a network."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from benchmarks.engines.compare import Comparison, Options
from benchmarks.peers import gobuild
from benchmarks.peers.cometbft import CometBFT
from benchmarks.peers.peer import Peer, PeerUnavailable
from benchmarks.peers.wire import Commit, CommitReader, Transactions


@pytest.fixture
def no_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("go") is None


@pytest.mark.usefixtures("no_go")
def test_without_go_the_message_says_what_is_left_out_and_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(PeerUnavailable, match=r"CometBFT v[\d.]+ is left out: there is no `go` in PATH.*go\.dev/dl"):
        CometBFT(4, "default", tmp_path / "net")
    assert not (tmp_path / "net").exists()


@pytest.mark.usefixtures("no_go")
def test_without_go_the_comparison_says_so_and_goes_on_without_the_peer() -> None:
    found = Comparison(Options(measures=("none of them",))).run()
    assert "is left out" in found.skipped and not found.figures and not found.failed


def test_a_build_that_fails_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\n[ "$1" = version ] && exec echo "go version go0.0"\necho "no such module" >&2\nexit 1\n')
    go.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(gobuild, "BUILD", tmp_path / "build")
    with pytest.raises(PeerUnavailable, match="could not be built.\n  no such module"):
        gobuild.build()
    assert list((tmp_path / "build").iterdir()) == []


def test_the_peer_has_the_interface_that_the_harness_drives() -> None:
    def drives(peer: type[Peer]) -> None:
        assert peer is CometBFT

    drives(CometBFT)


def test_commit_records_are_put_together_from_any_pieces() -> None:
    first = struct.pack(">QQI", 7, 1_000, 2) + b"nonce--1nonce--2"
    second = struct.pack(">QQI", 9, 2_000, 1) + b"nonce--3"
    expected = [
        Commit(height=7, at_ns=1_000, nonces=(b"nonce--1", b"nonce--2")),
        Commit(height=9, at_ns=2_000, nonces=(b"nonce--3",)),
    ]
    stream = first + second
    for size in (1, 3, 20, 36, len(stream)):
        reader = CommitReader()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [commit for piece in pieces for commit in reader.feed(piece)] == expected


def test_a_batch_is_a_run_of_whole_transactions() -> None:
    one = struct.pack(">I", 258) + bytes(96) + b"nonce--1" + bytes(154)
    two = struct.pack(">I", 258) + bytes(96) + b"nonce--2" + bytes(154)
    transactions = Transactions(one + two)
    assert len(transactions) == 2
    assert transactions.batch(1, 5) == two
    assert transactions.nonce(1) == b"nonce--2"
    with pytest.raises(ValueError, match="no whole number"):
        Transactions(one + b"x")
