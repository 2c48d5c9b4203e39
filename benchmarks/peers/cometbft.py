"""CometBFT as a peer: a network of its validators on this machine, in one of three settings.

    default            CometBFT as it comes
    tuned              no waiting between blocks, fast gossip, a large mempool
    tuned-app-mempool  the same, with the mempool in the application: its best latency and throughput under load

The application is ours and small; each node is one process that has it inside. wire.py says what goes to and fro.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from benchmarks.peers import gobuild
from benchmarks.peers.peer import PeerFailed
from node.localnet.ports import free_ports, is_free

Setting = Literal["default", "tuned", "tuned-app-mempool"]
SETTINGS: Final[tuple[Setting, ...]] = ("default", "tuned", "tuned-app-mempool")

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.1
_LOG_LINES: Final = 12


def generate(path: Path, count: int, seed: int = 1) -> None:
    """Write signed transactions to `path`: the same for the same seed. Raises PeerUnavailable."""
    _run([str(gobuild.build()), "generate", "--out", str(path), "--count", str(count), "--seed", str(seed)])


class CometBFT:
    """`n` validators under `directory`, which must be empty or not there. Raises PeerUnavailable without Go."""

    def __init__(self, n: int, setting: Setting, directory: Path) -> None:
        self._binary = gobuild.build()
        self._setting, self._n = setting, n
        self.directories = [directory / f"node{i}" for i in range(n)]
        base = _port_range(2 * n)
        self.endpoints = [f"http://127.0.0.1:{base + 2 * i + 1}" for i in range(n)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * n
        command = [str(self._binary), "init", "--home", str(directory), "--base-port", str(base)]
        _run([*command, "--validators", str(n), "--setting", setting])

    @property
    def name(self) -> str:
        return f"CometBFT {gobuild.version()}, {self._setting}"

    @property
    def pids(self) -> list[int]:
        return [0 if process is None else process.pid for process in self._processes]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        try:
            for index in range(self._n):
                self._spawn(index)
            for index in range(self._n):
                self._wait_ready(index)
        except BaseException:
            self.stop()
            raise

    def restart(self, index: int) -> None:
        """Start a node again that was killed; returns at once, while it may still be catching up."""
        self._spawn(index)

    def kill(self, index: int) -> None:
        process = self._processes[index]
        if process is not None:
            process.kill()
            self._gone(index, process)

    def stop(self) -> None:
        running = [(index, process) for index, process in enumerate(self._processes) if process is not None]
        for _, process in running:
            process.terminate()
        for index, process in running:
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            self._gone(index, process)

    def stats(self, index: int) -> dict[str, Any]:
        """height, committed, app_hash, waiting, peers, is_syncing of one node. Raises OSError if it does not answer."""
        with urllib.request.urlopen(f"{self.endpoints[index]}/stats", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def answers(self, index: int) -> bool:
        """Whether the node takes requests, caught up or not."""
        try:
            self.stats(index)
        except OSError:
            return False
        return True

    def _spawn(self, index: int) -> None:
        folder = self.directories[index]
        with (folder / "node.log").open("ab") as log:
            self._processes[index] = subprocess.Popen(
                [str(self._binary), "run", "--home", str(folder), "--tied"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _gone(self, index: int, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._processes[index] = None

    def _wait_ready(self, index: int) -> None:
        end = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < end:
            process = self._processes[index]
            if process is None or process.poll() is not None:
                raise PeerFailed(f"node {index} of {self.name} ended.\n{self._log_tail(index)}")
            with contextlib.suppress(OSError):
                seen = self.stats(index)
                # Height 1: consensus has begun, so the first transaction does not wait for the start.
                if seen["peers"] == self._n - 1 and seen["height"] >= 1 and not seen["is_syncing"]:
                    return
            time.sleep(_POLL_S)
        raise PeerFailed(f"node {index} of {self.name} is not ready.\n{self._log_tail(index)}")

    def _log_tail(self, index: int) -> str:
        lines = (self.directories[index] / "node.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:]) or "  (the log is empty)"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerFailed(f"{' '.join(command[1:])} failed: {done.stderr.strip()}")


def _port_range(count: int) -> int:
    """The first of `count` ports in a row that are free now."""
    for _ in range(100):
        (base,) = free_ports(1)
        if all(is_free(port) for port in range(base, base + count)):
            return base
    raise PeerFailed(f"found no {count} free ports in a row; stop other programs")
