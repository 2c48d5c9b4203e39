"""What is measured on a network: throughput, latency, faults, overload, catch-up.

Each measure gets a network that runs, offers it a load, and answers plain figures. Networks of both engines are made
anew for each measure and take turns (compare.py), so that a slow minute of the machine meets both.
"""

from __future__ import annotations

import logging
import statistics
import time
from math import nan
from pathlib import Path
from typing import Any, Final

from benchmarks.engines.load import BIN_MS, Load, Order, Result
from benchmarks.engines.networks import Network, WealNetwork
from benchmarks.engines.usage import Meter
from benchmarks.watch import wait_for

log = logging.getLogger("benchmarks")

Figures = dict[str, Any]

WARM_UP_S: Final = 3.0


def offer(network: Network, path: Path, **order: Any) -> tuple[Result, Meter]:
    """Offer a load and meter the nodes meanwhile."""
    load = Load(Order(engine=network.engine, urls=network.endpoints, path=str(path), **order))
    with Meter(network.pids, network.directories) as meter:
        load.begin()
        result = load.result()
    return result, meter


def figures_of(result: Result, meter: Meter, nodes: int) -> Figures:
    """What every run under load tells."""
    usage = meter.usage
    assert usage is not None
    final = max(1, result.final)
    return {
        "committed_per_s": result.per_second(),
        **latencies_of(result),
        "offered": result.sent,
        "final": result.final,
        "refused": result.refused,
        "lost": result.lost,
        "cpu_s_per_1000": usage.cpu_s * 1_000 / final,
        "client_cpu_s_per_1000": result.cpu_s * 1_000 / final,
        "written_bytes_per_tx_node": usage.written_bytes / final / nodes,
        "disk_bytes_per_tx_node": usage.disk_bytes / final / nodes,
        "peak_memory_mb": usage.peak_held_bytes / 1e6,
    }


def latencies_of(result: Result) -> Figures:
    """Percentiles; nothing where no transaction that counts became final, which is no latency of 0."""
    return {f"p{percent}_ms": result.latency_ms(percent) for percent in (50, 95, 99)} if result.latencies_us else {}


def at_rate(network: Network, folder: Path, rate: float, seconds: float) -> Figures:
    """An open loop at a fixed rate."""
    path = folder / "workload"
    network.sign(path, int(rate * (seconds + 1)))
    result, meter = offer(network, path, mode="rate", rate=rate, seconds=seconds, warm_up_s=WARM_UP_S)
    return {"offered_per_s": rate, **figures_of(result, meter, len(network.pids))}


def sustained(network: Network, folder: Path, seconds: float, open_at_once: int, most_per_s: float) -> Figures:
    """A closed loop with so many transactions open at any time; `most_per_s` bounds what is signed beforehand."""
    path = folder / "workload"
    network.sign(path, int(most_per_s * (seconds + WARM_UP_S)))
    result, meter = offer(
        network, path, mode="open", open=open_at_once, batch=100, seconds=seconds + WARM_UP_S, warm_up_s=WARM_UP_S
    )
    return {"open_at_once": open_at_once, **figures_of(result, meter, len(network.pids))}


def one_at_a_time(network: Network, folder: Path, count: int, pause_s: float = 0.0) -> Figures:
    """Each transaction when the one before it is final, after a pause of at most so long; the nodes are asked in turn.

    Without a pause, a transaction waits out a block that has begun without it, on engines that make empty ones; with
    pauses it comes at any moment, and nodes and disk have gone idle meanwhile.
    """
    path = folder / "workload"
    network.sign(path, count + 20)
    result, _ = offer(network, path, mode="single", seconds=0, warm_up_s=0, count=count + 20, pause_s=pause_s)
    result.latencies_us = result.latencies_us[20:]
    return {"samples": len(result.latencies_us), **latencies_of(result)}


def one_dead(network: Network, folder: Path, count: int) -> Figures:
    """The same with one node dead that is not the leader."""
    leader = network.leader()
    # Not the first either: it tells the peer's commits.
    victim = next(node for node in reversed(range(len(network.pids))) if node not in (leader, 0))
    network.kill(victim)
    return one_at_a_time(network, folder, count)


def leader_killed(network: Network, folder: Path, rate: float) -> Figures:
    """Under load, kill the primary (the peer: any validator): how long until the next commit that clients hear of."""
    path, seconds = folder / "workload", 16.0
    network.sign(path, int(rate * (seconds + 1)))
    load = Load(
        Order(engine=network.engine, urls=network.endpoints, path=str(path), mode="rate", rate=rate, seconds=seconds)
    )
    victim = network.leader()
    load.begin()
    time.sleep(6)
    killed_ns = time.time_ns()
    network.kill(victim)
    result = load.result()
    at = (killed_ns - result.begun_ns) // (BIN_MS * 1_000_000)
    before = [count for count in result.bins[20:at] if count]
    return {
        "longest_gap_ms": result.longest_gap_ms,
        "committed_per_s_before": statistics.mean(before) * 1_000 / BIN_MS if before else 0.0,
        "unanswered": result.lost,
    }


def latency_curve(network: Network, folder: Path, rates: list[float], seconds: float) -> list[Figures]:
    """Latency against offered load; ends after the first rate at which less than nine tenths are final."""
    curve: list[Figures] = []
    for rate in rates:
        found = at_rate(network, folder, rate, seconds)
        curve.append(found)
        log.info(
            "  %s at %g/s: %.0f/s, p50 %.1f ms, p95 %.1f ms",
            network.name,
            rate,
            found["committed_per_s"],
            found.get("p50_ms", nan),
            found.get("p95_ms", nan),
        )
        if found["committed_per_s"] < 0.9 * rate:
            break
    return curve


def catch_up(network: Network, folder: Path, open_at_once: int, transactions: int) -> Figures:
    """A node that lost its data comes back to an idle network: blocks and transactions per second until it is level,
    the start of the process included.

    All nodes are there while the chain is made: the peer takes seconds for a block while a validator is away.
    """
    path = folder / "workload"
    network.sign(path, transactions)
    start = network.height(0)
    result, _ = offer(
        network, path, mode="open", open=open_at_once, batch=min(open_at_once, 500), seconds=0, warm_up_s=0
    )
    level = network.height(0)
    leader = network.leader()
    victim = next(node for node in reversed(range(len(network.pids))) if node not in (leader, 0))
    network.kill(victim)
    network.wipe(victim)
    begin = time.monotonic()
    network.restart(victim)
    wait_for("the node is level", lambda: network.height(victim) >= level, 600)
    seconds = time.monotonic() - begin
    return {
        "transactions_per_block": result.final / max(1, level - start),
        "blocks_per_s": level / seconds,
        "transactions_per_s": result.final / seconds,
        "blocks": level,
        "seconds": seconds,
    }


def cold_start(network: WealNetwork, folder: Path, transactions: int) -> Figures:
    """A node that lost its state starts: blocks and transactions per second that it executes again from its own disk,
    the start of the process included."""
    path = folder / "workload"
    network.sign(path, transactions)
    result, _ = offer(network, path, mode="open", open=1_000, batch=100, seconds=0, warm_up_s=0)
    victim = len(network.pids) - 1
    wait_for("the nodes are level", lambda: network.height(victim) == network.height(0), 60)
    level = network.height(0)
    network.kill(victim)
    network.drop_state(victim)
    begin = time.monotonic()
    network.restart(victim)
    wait_for("the node is level", lambda: network.height(victim) >= level, 600)
    seconds = time.monotonic() - begin
    return {
        "transactions_per_block": result.final / level,
        "blocks_per_s": level / seconds,
        "transactions_per_s": result.final / seconds,
        "seconds": seconds,
    }
