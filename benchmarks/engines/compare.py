"""Measures this node and the peer in turn and keeps every figure.

Each measure is taken `rounds` times on each engine, alternating, every time on a network made anew; the report uses
medians. Where the peer has three settings, its best one for the measure is the one that counts.
"""

from __future__ import annotations

import compileall
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

import consensus
import node
from benchmarks.engines import runs
from benchmarks.engines.load import PAUSE_S
from benchmarks.engines.networks import CometNetwork, Network, WealNetwork
from benchmarks.engines.runs import Figures
from benchmarks.peers import gobuild
from benchmarks.peers.peer import PeerUnavailable
from consensus.errors import ChainError
from node.config import Config

log = logging.getLogger("benchmarks")

WEAL: Final = "Commonweal"
LIBSODIUM: Final = "Commonweal, libsodium alone"
DEFAULT, TUNED, BEST = "CometBFT, default", "CometBFT, tuned", "CometBFT, tuned, application mempool"
PEERS: Final = (DEFAULT, TUNED, BEST)
PEER_RATES: Final = (6_000.0, 8_000.0, 10_000.0)
"""Offered to the peer where its throughput is looked for; above, it collapses."""
CURVE: Final = (500.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0, 6_000.0, 8_000.0)

ONE_BY_ONE, WITH_PAUSES = "one at a time", "one at a time, with pauses"

Measure = Callable[[Network, Path], Figures]


class Found(msgspec.Struct, kw_only=True):
    """Everything that was measured: measure -> engine -> one entry for each round."""

    figures: dict[str, dict[str, list[Figures]]] = {}
    failed: list[str] = []
    """Measures that ended with an error."""
    skipped: str = ""
    """Why the peer is not there, if it is not."""

    def median(self, measure: str, engine: str, name: str) -> float | None:
        rounds = self.figures.get(measure, {}).get(engine, [])
        values = [float(one[name]) for one in rounds if name in one]
        return statistics.median(values) if values else None

    def best(self, measure: str, name: str, *, highest: bool = False) -> tuple[float, str] | None:
        """The peer's best median and the setting that gave it."""
        settings = [(value, peer) for peer in PEERS if (value := self.median(measure, peer, name)) is not None]
        if not settings:
            return None
        return max(settings) if highest else min(settings)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int = 2
    seconds: float = 60.0
    """Of the sustained runs; the others take a third, at least 10."""
    samples: int = 300
    open_at_once: int = 1_300
    """Just below what a node lets wait at this rate; see mempool.backlog_ms."""
    measures: tuple[str, ...] = ()
    """Names to take; empty: all."""


def make(engine: str, folder: Path) -> Network:
    """A network of that name, not started. Raises PeerUnavailable."""
    if engine in (WEAL, LIBSODIUM):
        return WealNetwork(folder, lanes=engine == WEAL)
    settings = {DEFAULT: "default", TUNED: "tuned", BEST: "tuned-app-mempool"}
    return CometNetwork(folder, settings[engine])  # type: ignore[arg-type]


def large_blocks(folder: Path) -> WealNetwork:
    """Nodes that put all they have into a block, and take as much as comes."""

    def adjust(config: Config) -> Config:
        return msgspec.structs.replace(
            config,
            consensus=msgspec.structs.replace(config.consensus, block_transactions=2_000),
            mempool=msgspec.structs.replace(config.mempool, backlog_ms=0),
        )

    return WealNetwork(folder, adjust=adjust)


class Comparison:
    """One run of everything."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.found = Found()
        for package in (consensus, node):
            # As installing does, and like the build of the peer: no start has to compile.
            compileall.compile_dir(Path(package.__file__ or "").parent, quiet=2)
        try:
            gobuild.build()
            self._peers: tuple[str, ...] = PEERS
        except PeerUnavailable as why:
            self.found.skipped, self._peers = str(why), ()
            log.warning("%s", why)

    def run(self) -> Found:
        o, short = self._options, max(10.0, self._options.seconds / 3)
        best = tuple(peer for peer in self._peers if peer == BEST)
        tuned = tuple(peer for peer in self._peers if peer != DEFAULT)

        def sustained(network: Network, folder: Path) -> Figures:
            if network.engine == "weal":
                return runs.sustained(network, folder, o.seconds, o.open_at_once, 14_000)
            # First the rate that it takes best, then as long as ours.
            looks = [runs.at_rate(network, folder, rate, short) for rate in PEER_RATES]
            best_rate = max(looks, key=lambda figures: figures["committed_per_s"])["offered_per_s"]
            return runs.at_rate(network, folder, best_rate, o.seconds + runs.WARM_UP_S)

        self._measure("sustained", (WEAL, LIBSODIUM, *best), sustained)
        self._measure("3,000/s", (WEAL, *self._peers), lambda n, f: runs.at_rate(n, f, 3_000, short))
        self._measure(ONE_BY_ONE, (WEAL, *self._peers), self._one_at_a_time)
        self._measure(WITH_PAUSES, (WEAL, *tuned), lambda n, f: runs.one_at_a_time(n, f, o.samples, PAUSE_S))
        self._measure("one of four dead", (WEAL, *tuned), self._one_dead)
        self._measure("leader killed", (WEAL, *best), lambda n, f: runs.leader_killed(n, f, 1_000))
        self._measure("overload", (WEAL, *best), self._overload)
        self._measure("catch-up", (WEAL, *tuned), self._catch_up)
        self._measure("catch-up, large blocks", (WEAL, *tuned), self._large_catch_up, make_ours=large_blocks)
        self._measure("cold start", (WEAL,), self._cold_start, rounds=1)
        self._measure("curve", (WEAL, *best), self._curve, rounds=1)
        return self.found

    def _one_at_a_time(self, network: Network, folder: Path) -> Figures:
        # As it comes, the peer takes more than a second for each.
        samples = self._options.samples
        return runs.one_at_a_time(network, folder, min(samples, 40) if network.name.endswith("default") else samples)

    def _one_dead(self, network: Network, folder: Path) -> Figures:
        # The peer waits for the dead one's turn as proposer: a second or four.
        return runs.one_dead(network, folder, 40 if network.engine == "cometbft" else min(100, self._options.samples))

    def _overload(self, network: Network, folder: Path) -> Figures:
        """Three times what it took in the sustained run."""
        names = {"weal": WEAL, "cometbft": BEST}
        taken = self.found.median("sustained", names[network.engine], "committed_per_s") or 3_000
        return runs.at_rate(network, folder, 3 * taken, max(10.0, self._options.seconds / 3))

    def _catch_up(self, network: Network, folder: Path) -> Figures:
        # The peer begins its next block while half of what is open waits for the answer.
        return runs.catch_up(network, folder, 100 if network.engine == "weal" else 250, 100_000)

    def _large_catch_up(self, network: Network, folder: Path) -> Figures:
        return runs.catch_up(network, folder, 3_000, 100_000)

    def _cold_start(self, network: Network, folder: Path) -> Figures:
        assert isinstance(network, WealNetwork)
        return runs.cold_start(network, folder, 30_000)

    def _curve(self, network: Network, folder: Path) -> Figures:
        return {"points": runs.latency_curve(network, folder, list(CURVE), 10)}

    def _measure(
        self,
        name: str,
        engines: Sequence[str],
        measure: Measure,
        *,
        rounds: int = 0,
        make_ours: Callable[[Path], Network] | None = None,
    ) -> None:
        if self._options.measures and name not in self._options.measures:
            return
        kept = self.found.figures.setdefault(name, {})
        for number in range(rounds or self._options.rounds):
            # Turn about: whoever was last in one round is first in the next.
            for engine in engines if number % 2 == 0 else engines[::-1]:
                begun = time.monotonic()
                try:
                    figures = self._once(engine, measure, make_ours)
                except (RuntimeError, TimeoutError, ChainError) as error:
                    # One network that fails must not cost the hour that the others took.
                    self.found.failed.append(f"{name}, {engine}: {error}")
                    log.error("%s, %s failed: %s", name, engine, error)
                    continue
                kept.setdefault(engine, []).append(figures)
                log.info("%s, %s: %s (%.0f s)", name, engine, _short(figures), time.monotonic() - begun)

    @staticmethod
    def _once(engine: str, measure: Measure, make_ours: Callable[[Path], Network] | None) -> Figures:
        with tempfile.TemporaryDirectory(prefix="weal-bench-") as place:
            folder = Path(place)
            made = make_ours(folder) if make_ours and engine == WEAL else make(engine, folder)
            with made as network:
                return measure(network, folder)


def _short(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, (int, float)))
