"""Memory over minutes of steady load, of the largest node of each engine.

    python -m benchmarks.engines.memory                        two times ten minutes at 3,000/s; build/memory.md
    python -m benchmarks.engines.memory --minutes 2 --docs     also remake its table in docs/performance.md

Caches fill for minutes, and what leaks shows only after them: the memory of a short run says neither.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.engines import runs
from benchmarks.engines.compare import BEST, WEAL, make
from benchmarks.engines.document import put
from benchmarks.engines.load import BIN_MS
from benchmarks.peers.peer import PeerUnavailable
from benchmarks.report import BUILD

log = logging.getLogger("benchmarks")

_SHOWN: Final = 6
"""Moments in the table."""


class Course(msgspec.Struct, kw_only=True):
    """How much one engine held while it ran."""

    engine: str
    committed_per_s: float
    last_per_s: float
    """In the last tenth of the time: what a state that has grown allows."""
    p50_ms: float
    lost: int
    memory: list[tuple[float, int]]
    """(seconds since the load began, bytes of the largest process)."""

    def most_mb(self, begin: float, end: float) -> float:
        """The most between two parts of the whole, 0 to 1."""
        whole = self.memory[-1][0]
        return max(size for at, size in self.memory if begin * whole <= at <= end * whole) / 1e6

    @property
    def growth(self) -> float:
        """The most in the last third beside the most in the middle one."""
        return self.most_mb(2 / 3, 1) / self.most_mb(1 / 3, 2 / 3)


def measure(engine: str, rate: float, seconds: float) -> Course:
    with tempfile.TemporaryDirectory(prefix="weal-memory-") as place:
        folder = Path(place)
        with make(engine, folder) as network:
            path = folder / "workload"
            network.sign(path, int(rate * (seconds + 1)))
            result, meter = runs.offer(
                network, path, mode="rate", rate=rate, seconds=seconds, warm_up_s=min(runs.WARM_UP_S, seconds / 4)
            )
    tenth = int(seconds * 1_000 / BIN_MS / 10)
    course = Course(
        engine=engine,
        committed_per_s=result.per_second(),
        last_per_s=sum(result.bins[9 * tenth : 10 * tenth]) * 1_000 / BIN_MS / tenth,
        p50_ms=result.latency_ms(50),
        lost=result.lost,
        memory=meter.memory,
    )
    log.info("%s: %.0f/s, %.0f MB at the end", engine, course.committed_per_s, course.memory[-1][1] / 1e6)
    return course


def table(courses: list[Course], rate: float) -> str:
    """Memory at equal steps, and whether it still grows."""
    seconds = courses[0].memory[-1][0]
    marks = [seconds * number / _SHOWN for number in range(1, _SHOWN + 1)]
    heads = [f"{mark / 60:.3g} min" for mark in marks]
    lines = [
        f"MB of the largest of four nodes, at {rate:,.0f}/s:",
        "",
        f"| | committed/s | in the last tenth | p50 ms | {' | '.join(heads)} | last third / middle third |",
        "|---|" + "---:|" * (len(heads) + 4),
    ]
    for course in courses:
        at = [max((size for when, size in course.memory if when <= mark), default=0) / 1e6 for mark in marks]
        speed = f"{course.committed_per_s:,.0f} | {course.last_per_s:,.0f} | {course.p50_ms:,.1f}"
        cells = " | ".join(f"{size:,.0f}" for size in at)
        lines.append(f"| {course.engine} | {speed} | {cells} | {course.growth:.2f} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.memory", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=10.0, help="of each engine (default %(default)s)")
    parser.add_argument("--rate", type=float, default=3_000.0, help="transactions a second (default %(default)s)")
    parser.add_argument("--docs", action="store_true", help="also remake the table of docs/performance.md")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    courses: list[Course] = []
    made = ""
    BUILD.mkdir(exist_ok=True)
    for engine in (WEAL, BEST):
        try:
            courses.append(measure(engine, options.rate, 60 * options.minutes))
        except PeerUnavailable as why:
            log.warning("%s", why)
            continue
        # After each: who interrupts the second keeps the first.
        made = table(courses, options.rate)
        (BUILD / "memory.md").write_text(made, encoding="utf-8")
        (BUILD / "memory.json").write_bytes(msgspec.json.format(msgspec.json.encode(courses), indent=1) + b"\n")
    print(made)
    if options.docs:
        put("memory", made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
