"""Soak: steady load for minutes, a fault every 20 seconds, and an account of everything that was seen.

    python -m benchmarks.soak                 ten minutes; writes build/soak.md and .json
    python -m benchmarks.soak --minutes 1     a short one

First the caches of every node are filled at full speed, so that what grows afterwards is not a cache that fills: a
node remembers verified transactions, records and pages of the state up to fixed sizes, about 300 MiB in all.

Then faults come in turn: kill -9 of the primary, SIGSTOP for some seconds, a node cut off, kill -9 of another node, two
against two, a restart in good order; and at last kill -9 of all four. One node, the witness, is stopped and cut off
like the others but never restarted before that: its process lives as long as the run, and shows what grows. Memory,
file descriptors, threads, tasks and disk of every node are sampled all along. At the end

- everything a client was told is held against all four disks (tests/cluster/promises.py);
- the witness's memory must not have grown from the middle third of the run to the last, and a while after the load
  has ended its descriptors and tasks must be as few as before it began;
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

from benchmarks.load import Load, LoadReport
from benchmarks.report import Report, machine
from benchmarks.watch import MIB, Usage, height_of, primary_of, usage, wait_for
from node.localnet import Localnet

log = logging.getLogger("benchmarks")

SAMPLE_S: Final = 2.0
FAULT_S: Final = 20.0
QUIET_S: Final = 25.0
"""Before and after the load, until clients' connections are closed and what they held is gone."""
GROWTH_LIMIT: Final = 0.10
"""The witness's memory may grow by this part of itself from the middle third of the run to the last, ..."""
GROWTH_FLOOR_BYTES: Final = 8 * MIB
"""... or by this much, whichever is more: allocators keep what they once had."""
LEFT_OVER: Final = 8
"""Descriptors or tasks more than before the load: a database's new files, a connection just being made."""

EXPLAINED: Final[dict[str, str]] = {
    r"WRN view change: planned rotation": "the primary changes each 10,000 blocks",
    r"WRN view change: transaction": "a primary that came back, or starved for processor time, left one waiting",
    r"WRN view change: ": "a primary was killed, stopped or cut off, and the others replace it",
    r"WRN cannot connect: ": "a peer was killed, stopped or cut off",
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
            [self.kill_primary, self.pause, self.cut_off, self.kill_backup, self.halves, self.orderly]
        )
        self._witness = net.names[-1]
        self._victims = itertools.cycle(net.names[:-1])
        self.done: list[tuple[float, str]] = []

    def next(self, since_s: float) -> None:
        self._note(next(self._turn)(), since_s)

    def final(self, load: Load, since_s: float) -> None:
        """The last one, under another load: all at once, the witness too."""
        self._load = load
        self._note(self.kill_all(), since_s)

    def _note(self, what: str, since_s: float) -> None:
        self.done.append((time.monotonic() - since_s, what))
        log.info("%6.0f s  %-40s %7d final", time.monotonic() - since_s, what, self._load.final)

    def _backup(self) -> str:
        primary = primary_of(self._net)
        return next(name for name in self._victims if name != primary)

    def _goes_on(self) -> None:
        self._load.wait_final(20, timeout_s=60)

    def kill_primary(self) -> str:
        name = primary_of(self._net)
        if name == self._witness:
            return self.pause()
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


def growth(samples: Sequence[Usage], before: Usage | None, after: Usage | None) -> list[str]:
    """What of the witness grew with time, in words. `before` and `after` the load, the cluster idle."""
    if before is None or after is None or before.pid != after.pid or len(samples) < 9:
        return ["the witness was not sampled from beginning to end"]
    third = len(samples) // 3
    middle, last = (
        sorted(sample.rss_bytes for sample in part)[third // 2]
        for part in (samples[third : 2 * third], samples[-third:])
    )
    problems = []
    if last > middle + max(GROWTH_LIMIT * middle, GROWTH_FLOOR_BYTES):
        problems.append(f"memory from {middle / MIB:.0f} MiB in the middle third to {last / MIB:.0f} MiB in the last")
    for what, read in _COUNTED.items():
        if read(after) > read(before) + LEFT_OVER:
            problems.append(f"{what} from {read(before)} before the load to {read(after)} after it")
    return problems


_COUNTED: Final[dict[str, Callable[[Usage], int]]] = {
    "descriptors": lambda sample: sample.fds,
    "threads": lambda sample: sample.threads,
    "tasks": lambda sample: sample.tasks,
}


def warm_up(net: Localnet, transactions: int) -> LoadReport:
    """Fill the caches: so many transactions as fast as they go."""
    load = Load(net, batch=50, batches_open=40, transactions=transactions, run="warm-up", timeout_s=120.0)
    load.prepare()
    load.begin()
    report = load.wait_finished(1_200)
    log.info("%6.0f s  %-40s %7d final", report.seconds, "warm-up", len(report.told))
    return report


def soak(net: Localnet, minutes: float, rate: float, fault_s: float) -> dict[str, Any]:
    """Load and faults; answers what was seen. The cluster still runs afterwards."""
    witness = net.names[-1]
    watch = Watch(net)
    time.sleep(QUIET_S)
    before = usage(net, witness, watch.begin_s)
    watch.start()
    with Load(net, rate=rate, run="soak", timeout_s=120.0) as load:
        faults = Faults(net, load)
        begin = time.monotonic()
        end, next_fault = begin + 60 * minutes, begin + fault_s
        while next_fault < end:
            time.sleep(max(0.0, next_fault - time.monotonic()))
            faults.next(begin)
            next_fault = max(next_fault + fault_s, time.monotonic())
        time.sleep(max(0.0, end - time.monotonic()))
    watch.stop()
    time.sleep(QUIET_S)
    after = usage(net, witness, watch.begin_s)
    own = [sample for sample in watch.samples if sample.node == witness]
    grown = growth(own, before, after)
    with Load(net, rate=rate, run="soak-end", timeout_s=120.0) as last:
        last.wait_final(100)
        faults.final(last, begin)
        last.wait_final(100)
    return {
        "load": load.report,
        "told": {**load.report.told, **last.report.told},
        "refused": {**load.report.refused, **last.report.refused},
        "faults": faults.done,
        "samples": watch.samples,
        "witness": witness,
        "grown": grown,
    }


def report_of(found: dict[str, Any], command: str, host: dict[str, str], minutes: float) -> Report:
    """The figures in words."""
    load, samples = found["load"], found["samples"]
    figures = [
        ("length", f"{minutes:g} min", f"{len(found['faults'])} faults"),
        ("told final", f"{len(load.told):,}", f"{len(load.told) / load.seconds:,.0f}/s; all on all four disks"),
        ("not carried out", f"{sum(found['refused'].values())}", "; ".join(found["refused"]) or "none"),
        ("due and not sent in time", f"{load.late}", "the key's replay window was full while the cluster stood still"),
        ("latency from due to final", f"{load.latency_ms(50):.0f} ms p50", f"p99 {load.latency_ms(99):.0f} ms, "
         f"highest {load.latency_ms(100):.0f} ms: a client waits up to 20 s for a stopped node before it asks another"),
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
    notes = [f"GREW: {found['witness']}: {text}" for text in found["grown"]]
    notes = notes or [f"Nothing of the witness, {found['witness']}, grew with time."]
    notes += [f"{count} x `{line.text}`: {line.why}" for line, count in found["explained"].most_common(20)]
    notes += [f"UNEXPLAINED `{text}`" for text in found["unexplained"][:20]]
    data = {
        "faults": found["faults"],
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
    parser.add_argument(
        "--warm-up", type=int, default=120_000, help="transactions that fill the caches first (default %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=None, help="folder of the report and, if it fails, the logs")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from tests.cluster.promises import check_promises

    host = machine()
    folder = Path(tempfile.mkdtemp(prefix="weal-soak-"))
    with Localnet(n=4, directory=folder / "net") as net:
        warm = warm_up(net, options.warm_up) if options.warm_up else LoadReport(workers=[])
        found = soak(net, options.minutes, options.rate, options.fault_every)
        ledger = check_promises(net, {**warm.told, **found["told"]})
        found["height"], found["state_root"] = ledger.height, ledger.state_root.hex()
        found["explained"], found["unexplained"] = read_logs(net)
    command = " ".join(["python -m benchmarks.soak", *(sys.argv[1:] if arguments is None else arguments)])
    report = report_of(found, command, host, options.minutes)
    path = report.write("soak", *([options.output] if options.output else []))
    print(report.markdown())
    print(f"written to {path} and {path.with_suffix('.json').name}", file=sys.stderr)
    problems = [*found["grown"], *found["unexplained"], *found["refused"]]
    if problems:
        print(f"error: {len(problems)} findings; the cluster's folder is kept: {folder}", file=sys.stderr)
        return 1
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
