"""What a node process uses, read from outside: memory, file descriptors, threads, tasks, disk."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from node.localnet import Localnet

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
MIB: Final = 1024 * 1024


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One look at one node."""

    at_s: float
    """Since the start of the watch."""
    node: str
    pid: int
    rss_bytes: int
    fds: int
    threads: int
    tasks: int
    """asyncio tasks, as the node's own metrics say."""
    cpu_s: float
    disk_bytes: int
    height: int


def disk_bytes(folder: Path) -> int:
    """Size of a node's databases. Files may go while they are counted: LevelDB compacts."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


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


def metrics(net: Localnet, name: str) -> dict[str, float]:
    """The node's metrics; of one with labels, the sum. Raises OSError if it does not answer."""
    values: dict[str, float] = {}
    with urllib.request.urlopen(f"{net.node(name).operator_url}/metrics", timeout=5) as answer:
        text = answer.read(4 * MIB).decode()
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{[^}]*\})? ([0-9.eE+-]+)", line)
        if match:
            values[match[1]] = values.get(match[1], 0.0) + float(match[2])
    return values


def usage(net: Localnet, name: str, since_s: float) -> Usage | None:
    """One sample; None if the node does not run, or not well enough to answer."""
    pid = net.node(name).pid
    try:
        seen = metrics(net, name)
        process = Path(f"/proc/{pid}")
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return Usage(
            at_s=time.monotonic() - since_s,
            node=name,
            pid=pid,
            rss_bytes=int(fields[21]) * _PAGE,
            fds=len(list((process / "fd").iterdir())),
            threads=int(fields[17]),
            tasks=int(seen.get("weal_tasks", 0)),
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
            disk_bytes=disk_bytes(net.folder(name) / "data"),
            height=int(seen.get("weal_height", 0)),
        )
    except OSError:
        return None
