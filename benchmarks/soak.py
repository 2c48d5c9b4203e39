"""Soak: steady load for minutes, a fault every 20 seconds, and an account of everything that was seen.

    python -m benchmarks.soak                 ten minutes; writes build/soak.md and .json
    python -m benchmarks.soak --minutes 1     a short one

Faults come in turn: kill -9 of the primary, of another node, SIGSTOP for some seconds, a node cut off, two
against two, a restart in good order, kill -9 of all four. Memory, file descriptors, threads, tasks and disk of every
node are sampled all along. At the end

- everything a client was told is held against all four disks (tests/cluster/promises.py);
- memory, descriptors and tasks of the processes that lived long must not have grown with time;
- every warning and error line of every log must be one that the faults explain. The list is below, each with
  its reason; a line that is not on it fails the run.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.first_figures import height_of, primary_of, wait_for
from benchmarks.load import Load
from benchmarks.report import Report, machine
from benchmarks.watch import MIB, Usage, usage
from node.localnet import Localnet

log = logging.getLogger("benchmarks")

SAMPLE_S: Final = 2.0
FAULT_S: Final = 20.0
SETTLE_S: Final = 60.0
"""A node's memory is compared from this age on: caches and pools fill first."""
GROWTH_LIMIT: Final = 0.10
"""Memory of a process may grow by this part of itself between the first and the last third of its life, ..."""
GROWTH_FLOOR_BYTES: Final = 24 * MIB
"""... or by this much, whichever is more: allocators keep what they once had."""

EXPLAINED: Final[dict[str, str]] = {
    r"WRN view change: ": "a primary was killed, stopped or cut off, and the others replace it",
    r"WRN (isolated by the operator|isolation ended)": "this program cut the network, and healed it",
    r"WRN block refused: .*behind this clock": "a primary that stood still proposes with the time of before",
}
"""Pattern -> why such a line is expected with these faults."""

LEVELS: Final = re.compile(r"\b(WRN|WARNING|ERR|ERROR|CRT|CRITICAL)\b|Traceback|Unclosed|never (awaited|retrieved)")
"""Lines that need an explanation."""


class Watch(threading.Thread):
    """Samples every node until it is stopped."""

    def __init__(self, net: Localnet) -> None:
        super().__init__(daemon=True, name="watch")
        self._net, self._stopped = net, threading.Event()
        self.begin_s = time.monotonic()
        self.samples: list[Usage] = []

    def run(self) -> None:
        while not self._stopped.wait(SAMPLE_S):
            for name in self._net.names:
                seen = usage(self._net, name, self.begin_s)
                if seen is not None:
                    self.samples.append(seen)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class Faults:
    """Does one fault after another, and waits each time until the cluster goes on."""

    def __init__(self, net: Localnet, load: Load) -> None:
        self._net, self._load = net, load
        self._turn = itertools.cycle(
            [self.kill_primary, self.pause, self.cut_off, self.kill_backup, self.halves, self.orderly, self.kill_all]
        )
        self._victims = itertools.cycle(net.names)
        self.done: list[tuple[float, str]] = []

    def next(self, since_s: float) -> None:
        what = next(self._turn)()
        self.done.append((time.monotonic() - since_s, what))
        log.info("%6.0f s  %-40s %7d final", time.monotonic() - since_s, what, self._load.final)

    def _backup(self) -> str:
        primary = primary_of(self._net)
        return next(name for name in self._victims if name != primary)

    def _goes_on(self) -> None:
        self._load.wait_final(20, timeout_s=60)

    def kill_primary(self) -> str:
        name = primary_of(self._net)
        self._net.kill(name)
        self._goes_on()
        self._net.restart(name)
        return f"kill -9 of the primary, {name}"

    def kill_backup(self) -> str:
        name = self._backup()
        self._net.kill(name)
        self._goes_on()
        self._net.restart(name)
        return f"kill -9 of {name}"

    def pause(self) -> str:
        name = primary_of(self._net)
        self._net.pause(name)
        self._goes_on()
        goal = max(height_of(self._net, other) for other in self._net.names if other != name)
        self._net.resume(name)
        wait_for(f"{name} catches up", lambda: height_of(self._net, name) >= goal, 60)
        return f"SIGSTOP and SIGCONT of the primary, {name}"

    def cut_off(self) -> str:
        name = self._backup()
        others = [other for other in self._net.names if other != name]
        self._net.partition([name], others)
        self._goes_on()
        goal = max(height_of(self._net, other) for other in others)
        self._net.heal()
        wait_for(f"{name} catches up", lambda: height_of(self._net, name) >= goal, 60)
        return f"{name} cut off and healed"

    def halves(self) -> str:
        names = self._net.names
        self._net.partition(names[:2], names[2:])
        time.sleep(4.0)
        self._net.heal()
        self._goes_on()
        return "two against two for 4 s, healed"

    def orderly(self) -> str:
        name = self._backup()
        self._net.restart(name)
        return f"restart of {name} in good order"

    def kill_all(self) -> str:
        for name in self._net.names:
            self._net.kill(name)
        self._net.start()
        self._goes_on()
        return "kill -9 of all four, restarted"


class Line(msgspec.Struct, frozen=True):
    """A log line that needs an explanation, ids and numbers taken out."""

    text: str
    why: str


def read_logs(net: Localnet) -> tuple[Counter[Line], list[str]]:
    """Warnings and errors of all logs: explained ones counted by kind, unexplained ones as they are."""
    explained: Counter[Line] = Counter()
    unexplained: list[str] = []
    for name in net.names:
        for text in net.log(name).read_text(encoding="utf-8", errors="replace").splitlines():
            if not LEVELS.search(text):
                continue
            why = next((why for pattern, why in EXPLAINED.items() if re.search(pattern, text, re.IGNORECASE)), "")
            if why:
                kind = re.sub(r"\b\d+\b", "N", re.sub(r"\b[0-9a-f]{16,}\b", "HEX", re.sub(r"^\S+ ", "", text)))
                explained[Line(re.sub(r" \w+=\S+", "", kind)[:160], why)] += 1
            else:
                unexplained.append(f"{name}: {text[:400]}")
    return explained, unexplained


def growth(samples: Sequence[Usage]) -> tuple[list[str], list[str]]:
    """(rows for the report, what grew) of the processes that lived long enough to tell."""
    rows: list[str] = []
    problems: list[str] = []
    lives: dict[int, list[Usage]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    for life in lives.values():
        old = [sample for sample in life if sample.at_s - life[0].at_s >= SETTLE_S]
        if len(old) < 9:
            continue
        third = len(old) // 3
        for what, read in _MEASURES.items():
            first = sorted(map(read, old[:third]))[third // 2]
            last = sorted(map(read, old[-third:]))[third // 2]
            limit = first + (max(GROWTH_LIMIT * first, GROWTH_FLOOR_BYTES) if what == "memory" else max(20, first // 2))
            text = f"{life[0].node} (pid {life[0].pid}, {life[-1].at_s - life[0].at_s:.0f} s): {what} {first} -> {last}"
            rows.append(text)
            if last > limit:
                problems.append(text)
    return rows, problems


_MEASURES: Final[dict[str, Callable[[Usage], int]]] = {
    "memory": lambda sample: sample.rss_bytes,
    "descriptors": lambda sample: sample.fds,
    "threads": lambda sample: sample.threads,
    "tasks": lambda sample: sample.tasks,
}


def soak(net: Localnet, minutes: float, rate: float, fault_s: float) -> dict[str, Any]:
    """Load and faults; answers what was seen. The cluster still runs afterwards."""
    watch = Watch(net)
    watch.start()
    with Load(net, rate=rate, run="soak", timeout_s=120.0) as load:
        faults = Faults(net, load)
        begin = time.monotonic()
        end = begin + 60 * minutes
        next_fault = begin + fault_s
        while time.monotonic() < end:
            time.sleep(min(0.2, max(0.0, next_fault - time.monotonic())))
            if time.monotonic() >= next_fault and next_fault + fault_s / 2 < end:
                faults.next(begin)
                next_fault = max(next_fault + fault_s, time.monotonic())
            elif time.monotonic() >= next_fault:
                next_fault = end + 1
    report = load.report
    watch.stop()
    rows, problems = growth(watch.samples)
    return {"load": report, "faults": faults.done, "samples": watch.samples, "growth": rows, "grown": problems}


def report_of(found: dict[str, Any], command: str, host: dict[str, str], minutes: float) -> Report:
    """The figures in words."""
    load, samples = found["load"], found["samples"]
    figures = [
        ("length", f"{minutes:g} min", f"{len(found['faults'])} faults"),
        ("told final", f"{len(load.told):,}", f"{len(load.told) / load.seconds:,.0f}/s; all on all four disks"),
        ("not carried out", f"{sum(load.refused.values())}", "; ".join(load.refused) or "none"),
        ("due and not sent in time", f"{load.late}", "the key's replay window was full while the cluster stood still"),
        ("latency from due to final", f"{load.latency_ms(50):.0f} ms p50", f"p99 {load.latency_ms(99):.0f} ms, "
         f"highest {load.latency_ms(100):.0f} ms: the time that a fault stops the cluster"),
        ("height", f"{found['height']:,}", f"state root {found['state_root'][:16]}... on all four"),
        ("explained log lines", f"{sum(found['explained'].values())}", "warnings and errors; see below"),
        ("unexplained log lines", f"{len(found['unexplained'])}", ""),
    ]  # fmt: skip
    for name in sorted({sample.node for sample in samples}):
        own = [sample for sample in samples if sample.node == name]
        rss = [sample.rss_bytes / MIB for sample in own]
        remark = f"descriptors at most {max(s.fds for s in own)}, tasks at most {max(s.tasks for s in own)}, "
        remark += f"disk {own[-1].disk_bytes / MIB:.1f} MiB"
        figures.append((f"node {name}: memory", f"{min(rss):.0f} - {max(rss):.0f} MiB", remark))
    notes = [f"Grew with time: {text}" for text in found["grown"]] or ["Nothing grew with time."]
    notes += [f"{count} x `{line.text}`: {line.why}" for line, count in found["explained"].most_common(20)]
    notes += [f"UNEXPLAINED `{text}`" for text in found["unexplained"][:20]]
    data = {
        "faults": found["faults"],
        "growth": found["growth"],
        "samples": [msgspec.to_builtins(sample) for sample in samples],
        "unexplained": found["unexplained"],
    }
    return Report(title="Soak", command=command, machine=host, figures=figures, notes=notes, data=data)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=10.0, help="length (default %(default)s)")
    parser.add_argument("--rate", type=float, default=200.0, help="transactions per second (default %(default)s)")
    parser.add_argument(
        "--fault-every", type=float, default=FAULT_S, help="seconds between faults (default %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=None, help="folder of the report and, if it fails, the logs")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from tests.cluster.promises import check_promises

    host = machine()
    folder = Path(tempfile.mkdtemp(prefix="weal-soak-"))
    with Localnet(n=4, directory=folder / "net") as net:
        found = soak(net, options.minutes, options.rate, options.fault_every)
        ledger = check_promises(net, found["load"].told)
        found["height"], found["state_root"] = ledger.height, ledger.state_root.hex()
        found["explained"], found["unexplained"] = read_logs(net)
    command = " ".join(["python -m benchmarks.soak", *(sys.argv[1:] if arguments is None else arguments)])
    report = report_of(found, command, host, options.minutes)
    path = report.write("soak", *([options.output] if options.output else []))
    print(report.markdown())
    print(f"written to {path} and {path.with_suffix('.json').name}", file=sys.stderr)
    problems = [*found["grown"], *found["unexplained"], *found["load"].refused]
    if problems:
        print(f"error: {len(problems)} findings; the cluster's folder is kept: {folder}", file=sys.stderr)
        return 1
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
