"""First speed figures of four nodes on this machine.

    python -m benchmarks.first_figures            about two minutes; writes build/first-figures.md and .json

1. Throughput: signed one-member enrolments, signed beforehand, closed loop over all four nodes; every node checks
   every signature, executes every transaction and computes every root. The generators run on the same machine.
2. Idle latency: one transaction at a time, from the client's request to its answer that the transaction is
   final; through the primary's node, and through another one.
3. Catch-up: blocks per second of a node that was off, from its first block to level, the cluster idle.
4. Bytes per member: what the databases grow by, divided by the members enrolled.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from benchmarks.load import AGE_MONTHS, PLAN, Load, chain_now_ms, percentile
from benchmarks.report import Report, machine
from benchmarks.watch import MIB, disk_bytes, usage
from node.claims.calendar import day_of, month_of
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.ed25519.choice import chosen
from node.localnet import Localnet

log = logging.getLogger("benchmarks")

_WARM_UP_S: Final = 2.0


def wait_for(what: str, holds: Callable[[], bool], timeout_s: float) -> None:
    """Wait for a condition. Raises TimeoutError that names it."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() >= end:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.02)


def height_of(net: Localnet, name: str) -> int:
    """Height a node says it has; -1 if it does not answer."""
    record = next(record for record in net.statuses() if record["name"] == name)
    return int(record.get("status", {}).get("height", -1))


def primary_of(net: Localnet) -> str:
    answers = [record.get("status", {}) for record in net.statuses()]
    return next(str(status["primary"]) for status in answers if "primary" in status)


def throughput(net: Localnet, seconds: float, batch: int, batches_open: int) -> dict[str, Any]:
    """Committed transactions per second, as clients were told, over `seconds` after a warm-up."""
    load = Load(net, batch=batch, batches_open=batches_open, presigned=int(6_000 * (seconds + 4)), run="throughput")
    load.prepare()
    first_height = height_of(net, net.names[0])
    cpu_before = {name: _cpu_s(net, name) for name in net.names}
    load.begin()
    time.sleep(_WARM_UP_S)
    begin, count = time.monotonic(), load.final
    time.sleep(seconds)
    rate = (load.final - count) / (time.monotonic() - begin)
    report = load.finish()
    if report.refused:
        raise RuntimeError(f"transactions were refused: {report.refused}")
    blocks = height_of(net, net.names[0]) - first_height
    return {
        "transactions_per_second": rate,
        "transactions": report.sent,
        "blocks": blocks,
        "transactions_per_block": report.sent / max(1, blocks),
        "batch_latency_ms": {"p50": report.latency_ms(50), "p99": report.latency_ms(99)},
        "node_cpu_s": {name: _cpu_s(net, name) - cpu_before[name] for name in net.names},
        "wall_s": report.seconds,
    }


def _cpu_s(net: Localnet, name: str) -> float:
    seen = usage(net, name, 0.0)
    return 0.0 if seen is None else seen.cpu_s


async def _latencies_ms(net: Localnet, node: str, key: str, samples: int, run: str) -> list[float]:
    from node.client import Account

    month = month_of(day_of(chain_now_ms_of(net), 0)) - AGE_MONTHS
    found: list[float] = []
    async with net.async_client(node) as client:
        account = Account(client, net.key(key), genesis=net.genesis().digest)
        for number in range(samples + 20):
            person = sha256(f"{run}/{node}/{number}".encode()).digest()
            action = Enrol(plan=PLAN, members=(NewMember(person=person, birth_month=month),))
            begin = time.perf_counter_ns()
            await account.submit([action])
            if number >= 20:
                found.append((time.perf_counter_ns() - begin) / 1e6)
            # Idle means idle: nothing of the one before is still on its way to the fourth node.
            await asyncio.sleep(0.01)
    return sorted(found)


def chain_now_ms_of(net: Localnet) -> int:
    """Chain time without a client of its own: scale 1 is wall time."""
    return time.time_ns() // 1_000_000 if net.state.time_scale == 1 else chain_now_ms(net)


def idle_latency(net: Localnet, samples: int) -> dict[str, Any]:
    """Request to final answer, one transaction at a time."""
    primary = primary_of(net)
    backup = next(name for name in net.names if name != primary)
    figures: dict[str, Any] = {}
    for place, node in (("primary", primary), ("backup", backup)):
        values = asyncio.run(_latencies_ms(net, node, node, samples, f"latency-{place}"))
        figures[place] = {"p50_ms": percentile(values, 50), "p99_ms": percentile(values, 99), "samples": len(values)}
    return figures


def catch_up(net: Localnet, blocks: int) -> dict[str, Any]:
    """Blocks per second of a node that comes back with nothing else going on."""
    away, others = net.names[-1], net.names[:-1]
    if primary_of(net) == away:
        away, others = net.names[0], net.names[1:]
    net.stop([away])
    start = height_of(net, others[0])
    urls = [net.node(name).url for name in others]
    with Load(net, batch=1, batches_open=8, urls=urls, run="catch-up") as load:
        wait_for(f"{blocks} blocks", lambda: height_of(net, others[0]) >= start + blocks, 600)
    report = load.report
    level = height_of(net, others[0])
    net.start([away], wait=False)
    wait_for("the node answers", lambda: height_of(net, away) >= 0, 60)
    begin, first = time.monotonic(), height_of(net, away)
    wait_for("the node is level", lambda: height_of(net, away) >= level, 600)
    seconds = time.monotonic() - begin
    return {
        "blocks_per_second": (level - first) / seconds,
        "blocks": level - first,
        "seconds": seconds,
        "transactions_per_block": report.sent / max(1, level - start),
    }


def measure(
    net: Localnet, *, seconds: float, samples: int, blocks: int, batch: int, batches_open: int
) -> dict[str, Any]:
    """All figures on a running cluster. The order matters: idle first."""
    log.info("idle latency: %d samples through the primary and through a backup", samples)
    found: dict[str, Any] = {"idle_latency": idle_latency(net, samples)}
    log.info("throughput: %g s", seconds)
    before = {name: disk_bytes(net.folder(name) / "data") for name in net.names}
    found["throughput"] = throughput(net, seconds, batch, batches_open)
    members = found["throughput"]["transactions"]
    wait_for("all nodes level", lambda: len({height_of(net, name) for name in net.names}) == 1, 120)
    # A restart in good order compacts what is in memory: what is on disk then is what it costs.
    net.stop()
    grown = {name: disk_bytes(net.folder(name) / "data") - before[name] for name in net.names}
    state = {name: disk_bytes(net.folder(name) / "data" / "state") for name in net.names}
    found["disk"] = {
        "bytes_per_member": max(grown.values()) / members,
        "state_bytes_per_member": max(state.values()) / members,
        "members": members,
        "grown": grown,
    }
    net.start()
    found["memory_bytes"] = {name: seen.rss_bytes for name in net.names if (seen := usage(net, name, 0.0)) is not None}
    log.info("catch-up: %d blocks", blocks)
    found["catch_up"] = catch_up(net, blocks)
    return found


def report_of(found: dict[str, Any], command: str, host: dict[str, str]) -> Report:
    """The figures in words."""
    speed, idle, catching, disk = found["throughput"], found["idle_latency"], found["catch_up"], found["disk"]
    batches = speed["batch_latency_ms"]
    figures = [
        (
            "committed signed transactions",
            f"{speed['transactions_per_second']:,.0f}/s",
            f"{speed['transactions_per_block']:.0f} per block; batches are final after p50 {batches['p50']:.0f} ms, "
            f"p99 {batches['p99']:.0f} ms",
        )
    ]
    for place, text in (("primary", "the primary's node"), ("backup", "another node")):
        latency = idle[place]
        remark = f"p50; p99 {latency['p99_ms']:.1f} ms, {latency['samples']} samples"
        figures.append((f"idle commit latency through {text}", f"{latency['p50_ms']:.1f} ms", remark))
    figures += [
        (
            "catch-up",
            f"{catching['blocks_per_second']:,.0f} blocks/s",
            f"{catching['blocks']:,} blocks of {catching['transactions_per_block']:.1f} transactions",
        ),
        ("disk per member", f"{disk['bytes_per_member']:,.0f} bytes", "chain and state, one transaction per member"),
        ("state per member", f"{disk['state_bytes_per_member']:,.0f} bytes", "with index of transactions and receipts"),
        ("memory per node", f"{max(found['memory_bytes'].values()) / MIB:.0f} MiB", "after a restart"),
    ]
    verifier = chosen().verifier.name
    notes = [
        "Four nodes, their clients and the generator share this machine; real deployments have one node per machine.",
        f"Every node verifies every transaction's signature ({verifier}), executes it, and computes every root.",
    ]
    return Report(title="First speed figures", command=command, machine=host, figures=figures, notes=notes, data=found)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_figures", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="length of the throughput run (default %(default)s)"
    )
    parser.add_argument(
        "--samples", type=int, default=300, help="transactions for the idle latency (default %(default)s)"
    )
    parser.add_argument("--blocks", type=int, default=2_000, help="blocks to catch up (default %(default)s)")
    parser.add_argument("--batch", type=int, default=50, help="transactions in one request (default %(default)s)")
    parser.add_argument("--open", type=int, default=40, help="requests open at any time (default %(default)s)")
    parser.add_argument("--output", type=Path, default=None, help="folder of the report (default build/)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    host = machine()
    with (
        tempfile.TemporaryDirectory(prefix="weal-bench-") as folder,
        Localnet(n=4, directory=Path(folder) / "net") as net,
    ):
        found = measure(
            net,
            seconds=options.seconds,
            samples=options.samples,
            blocks=options.blocks,
            batch=options.batch,
            batches_open=options.open,
        )
    command = " ".join(["python -m benchmarks.first_figures", *(sys.argv[1:] if arguments is None else arguments)])
    report = report_of(found, command, host)
    path = report.write("first-figures", *([options.output] if options.output else []))
    print(report.markdown())
    print(f"written to {path} and {path.with_suffix('.json').name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
