"""Networks under test: four nodes of ours, or of the peer, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from benchmarks.engines import workload
from benchmarks.peers.cometbft import CometBFT, Setting, generate
from node.claims.genesis import PlanTerms
from node.config import Config
from node.ed25519.choice import VARIABLE as SIGNATURES
from node.keyfile import read_key
from node.localnet import Localnet, layout
from node.localnet.ask import ask

KEYS: Final = 16
"""Account keys of each organisation. The ledger takes 1,024 open sequences of each."""


class Network(Protocol):
    """Nodes on this machine; node i means the same in every list."""

    engine: str
    """Key of the feed that talks to it."""

    @property
    def name(self) -> str: ...
    @property
    def endpoints(self) -> list[str]: ...
    @property
    def pids(self) -> list[int]:
        """0 where a node does not run."""

    @property
    def directories(self) -> list[Path]:
        """What each node writes."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def sign(self, path: Path, count: int) -> None:
        """Write a workload of so many transactions that this network has not seen."""

    def kill(self, node: int) -> None: ...
    def restart(self, node: int) -> None:
        """Start a node that was killed; returns at once."""

    def wipe(self, node: int) -> None:
        """Remove what a node that does not run has stored, all but its identity."""

    def height(self, node: int) -> int:
        """Height of its last committed block; -1 if it does not answer."""

    def leader(self) -> int:
        """The node whose loss costs most: the primary, where there is one."""


class WealNetwork:
    """`n` nodes of this program. `adjust` may change their configuration; without `lanes`, libsodium alone checks."""

    engine = "weal"

    def __init__(
        self,
        directory: Path,
        n: int = 4,
        *,
        label: str = "",
        lanes: bool = True,
        adjust: Callable[[Config], Config] = lambda config: config,
        amend: Callable[[PlanTerms], PlanTerms] = lambda terms: terms,
    ) -> None:
        self._net = Localnet(
            n=n,
            names=[f"n{number:02d}" for number in range(n)] if n > layout.MAX_NODES else None,
            directory=directory / "net",
            ready_timeout_s=60.0 + 6 * n,
            account_keys=KEYS if n <= 7 else 4,
            adjust=adjust,
            amend=amend,
        )
        self._label, self._lanes, self._runs, self._used = label, lanes, 0, 0

    @property
    def name(self) -> str:
        return f"Commonweal{self._label}"

    @property
    def endpoints(self) -> list[str]:
        return self._net.urls()

    @property
    def pids(self) -> list[int]:
        return [self._net.node(name).pid or 0 for name in self._net.names]

    @property
    def directories(self) -> list[Path]:
        return [self._net.folder(name) / "data" for name in self._net.names]

    def __enter__(self) -> Self:
        # The nodes inherit the environment of the moment in which they start.
        if not self._lanes:
            os.environ[SIGNATURES] = "libsodium"
        try:
            self._net.__enter__()
        finally:
            if not self._lanes:
                del os.environ[SIGNATURES]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._net.__exit__(kind, error, trace)

    def sign(self, path: Path, count: int) -> None:
        keys = [
            read_key(self._net.folder(name) / layout.account_file(number), None)
            for number in range(1, (KEYS if len(self._net.names) <= 7 else 4) + 1)
            for name in self._net.names
        ]
        self._runs += 1
        self._used = workload.sign(path, self._net.genesis(), keys, count, f"run {self._runs}", self._used)

    def kill(self, node: int) -> None:
        self._net.kill(self._net.names[node])

    def restart(self, node: int) -> None:
        self._net.start([self._net.names[node]], wait=False)

    def wipe(self, node: int) -> None:
        shutil.rmtree(self.directories[node])

    def drop_state(self, node: int) -> None:
        """Remove the state of a node that does not run: its next start computes it again from its blocks."""
        shutil.rmtree(self.directories[node] / "state")

    def height(self, node: int) -> int:
        return int(self._status(node).get("height", -1))

    def leader(self) -> int:
        primary = next(
            status["primary"] for node in range(len(self.pids)) if "primary" in (status := self._status(node))
        )
        return self._net.names.index(str(primary))

    def _status(self, node: int) -> dict[str, Any]:
        """What one node says of itself; empty if it does not answer. The others are left alone: they are measured."""
        try:
            _, answer = ask(self._net.node(self._net.names[node]).port, "/v1/status", timeout_s=5)
        except OSError:
            return {}
        found: dict[str, Any] = answer.get("data", {})
        return found


class CometNetwork(CometBFT):
    """The peer, with a workload from its own generator."""

    engine = "cometbft"

    def __init__(self, directory: Path, setting: Setting, n: int = 4) -> None:
        super().__init__(n, setting, directory / "net")
        self._runs = 0

    def sign(self, path: Path, count: int) -> None:
        self._runs += 1
        generate(path, count, self._runs)

    def wipe(self, node: int) -> None:
        for store in (self.directories[node] / "data").iterdir():
            # What it signed last stays with its key, as CometBFT's own reset would leave it to the operator.
            if store.is_dir():
                shutil.rmtree(store)

    def height(self, node: int) -> int:
        try:
            return int(self.stats(node)["height"])
        except OSError:
            return -1

    def leader(self) -> int:
        # Proposers take turns: every node is as good as another. Not the first, which tells the commits.
        return len(self.pids) - 1
