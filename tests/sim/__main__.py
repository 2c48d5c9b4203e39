"""Run seeds from the command line.

python -m tests.sim --seed 17 --mix crashes --trace     replay one run, line by line
python -m tests.sim --seeds 0:10000 --mix all --jobs 2  many runs; a failure prints the command to replay it
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from multiprocessing import Pool

from tests.sim.checks import Violation
from tests.sim.mixes import MIXES
from tests.sim.simulation import Outcome, Simulation

CHUNK = 10


def replay_command(seed: int, mix: str) -> str:
    return f"python -m tests.sim --seed {seed} --mix {mix} --trace"


def run_one(task: tuple[int, str]) -> Outcome | tuple[int, str, str]:
    """One run; what failed comes back as (seed, mix, reason)."""
    seed, mix = task
    try:
        return Simulation(seed, MIXES[mix]).run()
    except Violation as violation:
        return seed, mix, str(violation)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return seed, mix, f"the simulator itself broke: {error!r}"


def _tasks(first: int, end: int, mixes: list[str]) -> list[tuple[int, str]]:
    """Each seed runs in one mix, in turn; with one mix, all seeds run in it."""
    return [(seed, mixes[seed % len(mixes)]) for seed in range(first, end)]


def _results(tasks: list[tuple[int, str]], jobs: int) -> Iterator[Outcome | tuple[int, str, str]]:
    if jobs <= 1:
        yield from map(run_one, tasks)
        return
    with Pool(jobs) as pool:
        yield from pool.imap_unordered(run_one, tasks, chunksize=CHUNK)


class Table:
    """Sums per mix."""

    def __init__(self, mixes: list[str]) -> None:
        self._rows: dict[str, list[Outcome]] = {mix: [] for mix in mixes}
        self.failures: list[tuple[int, str, str]] = []

    def add(self, result: Outcome | tuple[int, str, str]) -> None:
        if isinstance(result, Outcome):
            self._rows[result.mix].append(result)
        else:
            self.failures.append(result)

    def lines(self) -> Iterator[str]:
        titles = ("runs", "failed", "blocks", "views", "crashes", "events", "slowest")
        yield f"{'mix':18} " + " ".join(f"{title:>9}" for title in titles)
        for mix, rows in self._rows.items():
            failed = sum(1 for _, name, _ in self.failures if name == mix)
            sums = (
                len(rows) + failed,
                failed,
                sum(r.height for r in rows),
                sum(r.view for r in rows),
                sum(r.crashes for r in rows),
                sum(r.events for r in rows),
                max((r.slowest_ms for r in rows), default=0),
            )
            yield f"{mix:18} " + " ".join(f"{figure:9}" for figure in sums) + " ms"


def run_many(first: int, end: int, mixes: list[str], jobs: int, fail_fast: int) -> int:
    tasks = _tasks(first, end, mixes)
    table = Table(mixes)
    start = shown = time.monotonic()
    done = 0
    for done, result in enumerate(_results(tasks, jobs), 1):
        table.add(result)
        if not isinstance(result, Outcome):
            print(f"FAILED  {replay_command(result[0], result[1])}\n        {result[2]}", flush=True)
            if len(table.failures) >= fail_fast:
                break
        if time.monotonic() - shown > 5:
            shown = time.monotonic()
            print(f"{done} of {len(tasks)} runs, {len(table.failures)} failed, {shown - start:.0f} s", flush=True)
    print("\n".join(table.lines()))
    seconds = time.monotonic() - start
    print(f"{done} runs, {len(table.failures)} failed, {seconds:.1f} s, {done / max(seconds, 0.001):.0f} runs/s")
    return 1 if table.failures else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, help="replay this one seed")
    parser.add_argument("--seeds", default="0:1000", help="FIRST:END, END not included (default %(default)s)")
    parser.add_argument("--mix", default="all", help="a mix, several with commas, or 'all'")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happens")
    parser.add_argument("--stop-after", type=int, default=20, help="failures after which to stop")
    parser.add_argument("--list", action="store_true", help="list the mixes")
    options = parser.parse_args(arguments)
    if options.list:
        for mix in MIXES.values():
            print(f"{mix.name:18} {mix.what}")
        return 0
    mixes = list(MIXES) if options.mix == "all" else options.mix.split(",")
    unknown = [mix for mix in mixes if mix not in MIXES]
    if unknown:
        parser.error(f"no mix named {unknown[0]}; there are {', '.join(MIXES)}")
    if options.seed is None:
        first, _, end = options.seeds.partition(":")
        return run_many(int(first), int(end), mixes, options.jobs, options.stop_after)
    mix = mixes[options.seed % len(mixes)]
    try:
        outcome = Simulation(options.seed, MIXES[mix], print if options.trace else None).run()
    except Violation as violation:
        print(f"FAILED  {violation}\nreplay: {replay_command(options.seed, mix)}")
        return 1
    print(outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
