"""Throughput and latency against the number of replicas and the distance between them.

    python -m benchmarks.engines.replicas                       a quarter of an hour; build/replicas.md and .json
    python -m benchmarks.engines.replicas --n 4,7 --delay 0,20

All replicas share this machine's cores, so the cost of a block grows with their number here as it would not on
machines of their own; latency in round trips is what carries over.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.engines import runs
from benchmarks.engines.document import put
from benchmarks.engines.load import PAUSE_S
from benchmarks.engines.networks import WealNetwork
from benchmarks.engines.relay import Relay
from benchmarks.report import BUILD, machine
from node.config import Config

log = logging.getLogger("benchmarks")

DEFAULT: Final = tuple((n, delay) for n in (4, 7, 10, 13, 16, 31) for delay in (0, 1, 20, 100))
_PATIENT_FROM: Final = 10
"""From so many replicas on two cores a block takes longer than the usual second."""


class Row(msgspec.Struct, kw_only=True):
    """One number of replicas at one distance."""

    replicas: int
    delay_ms: float
    p50_ms: float
    p95_ms: float
    committed_per_s: float
    busy_p50_ms: float

    @property
    def round_trips(self) -> float | None:
        """Latency in multiples of the round trip between two nodes."""
        return self.p50_ms / (2 * self.delay_ms) if self.delay_ms else None


def measure(n: int, delay_ms: float, samples: int, seconds: float) -> Row:
    relay = Relay(delay_ms)

    def adjust(config: Config) -> Config:
        consensus = config.consensus
        if n >= _PATIENT_FROM:
            consensus = msgspec.structs.replace(consensus, view_timeout_ms=10_000)
        peers = config.peers
        if delay_ms:
            peers = {name: f"127.0.0.1:{relay.port_for(int(at.rpartition(':')[2]))}" for name, at in peers.items()}
        return msgspec.structs.replace(config, consensus=consensus, peers=peers)

    with tempfile.TemporaryDirectory(prefix="weal-replicas-") as place:
        folder = Path(place)
        network = WealNetwork(folder, n, adjust=adjust)
        with relay, network:
            path = folder / "workload"
            network.sign(path, samples + 20 + int(6_000 * seconds))
            alone, _ = runs.offer(
                network, path, mode="single", seconds=0, warm_up_s=0, count=samples + 20, pause_s=PAUSE_S
            )
            alone.latencies_us = alone.latencies_us[20:]
            busy, _ = runs.offer(
                network, path, mode="open", open=1_000, batch=50, seconds=seconds, warm_up_s=2, first=alone.next
            )
    row = Row(
        replicas=n,
        delay_ms=delay_ms,
        p50_ms=alone.latency_ms(50),
        p95_ms=alone.latency_ms(95),
        committed_per_s=busy.per_second(),
        busy_p50_ms=busy.latency_ms(50),
    )
    log.info("%s", row)
    return row


def table(rows: list[Row]) -> str:
    lines = [
        "| replicas | delay one way ms | one at a time, p50 / p95 ms | in round trips | 1,000 open: committed/s "
        "| p50 ms |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        trips = "" if row.round_trips is None else f"{row.round_trips:.1f}"
        lines.append(
            f"| {row.replicas} | {row.delay_ms:g} | {row.p50_ms:.1f} / {row.p95_ms:.1f} | {trips} "
            f"| {row.committed_per_s:,.0f} | {row.busy_p50_ms:,.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.replicas", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--n", default="", help="numbers of replicas, such as 4,7 (default: the pairs of the report)")
    parser.add_argument("--delay", default="0", help="ms one way, such as 0,20; with --n")
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--docs", action="store_true", help="also remake the table of docs/performance.md")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    pairs: list[tuple[int, float]] = [(n, float(delay)) for n, delay in DEFAULT]
    if options.n:
        pairs = [(int(n), float(delay)) for n in options.n.split(",") for delay in options.delay.split(",")]
    host = machine()
    rows = [measure(n, delay, options.samples, options.seconds) for n, delay in pairs]
    BUILD.mkdir(exist_ok=True)
    document: dict[str, Any] = {"machine": host, "rows": rows}
    (BUILD / "replicas.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    (BUILD / "replicas.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))
    if options.docs:
        put("replicas", table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
