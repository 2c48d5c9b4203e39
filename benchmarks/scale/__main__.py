"""How the cost of the programme grows with its members, in a real node's databases.

    python -m benchmarks.scale run                            10^5, 10^6 and 10^7 members, three rounds
    python -m benchmarks.scale run --sizes 100000000 --rounds 1     10^8: some 60 GB of disk and an hour or two
    python -m benchmarks.scale draw                           docs/scale.md and its picture from docs/scale.json

For each size a state database is filled in bulk with what enrolling would have made (see fill.py), then real blocks
with signed transactions are applied. The sizes take turns, round by round, so that whatever else the machine does
meets all of them. Results go to docs/scale.json; the page and the picture are drawn from it.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from benchmarks.report import machine
from benchmarks.scale import document
from benchmarks.scale.fill import fill
from benchmarks.scale.measure import Load, Round, measure
from benchmarks.scale.results import Results, Size, figures_of, growth_problems
from node.disk import advice, read_ahead
from node.leveldb import directory_bytes

log = logging.getLogger("benchmarks")

T = TypeVar("T")
BYTES_PER_MEMBER: Final = 650
"""Disk while a database is filled, spool included."""
ROOT: Final = Path(__file__).resolve().parents[2]


def in_a_process(kind: type[T], *arguments: str) -> T:
    """The answer of another process of this command. Raises CalledProcessError."""
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    return msgspec.json.decode(done.stdout, type=kind)


def run(sizes: list[int], rounds: int, load: Load, folder: Path) -> list[Size]:
    """Fill and measure every size; answers what was found, smallest first."""
    fills: dict[int, tuple[dict[str, float], int]] = {}
    found: dict[int, list[Round]] = {members: [] for members in sizes}
    for members in sizes:
        place = folder / str(members)
        log.info("%s members: filling", f"{members:,}")
        seconds = in_a_process(dict[str, float], "fill", str(place), str(members))
        fills[members] = seconds, directory_bytes(place / "state")
        log.info("%s members: filled in %.0f s", f"{members:,}", sum(seconds.values()))
        told = advice(place / "state", fills[members][1])
        if told is not None:
            log.warning("%s", told)
    for number in range(rounds):
        for members in sizes:
            begin = time.monotonic()
            given = msgspec.json.encode(load).decode()
            arguments = (str(folder / str(members)), str(members), str(number), given)
            found[members].append(in_a_process(Round, "measure", *arguments))
            log.info("%s members: round %d took %.0f s", f"{members:,}", number + 1, time.monotonic() - begin)
    host = _machine(folder)
    return [_size(members, host, found[members], load, *fills[members]) for members in sizes]


def _machine(folder: Path) -> dict[str, str]:
    """With what the disk below the databases reads where a row is asked for: in a large state it decides."""
    ahead = read_ahead(folder)
    return machine() | ({"read-ahead": f"{ahead[0] >> 10} KiB"} if ahead else {})


def _size(
    members: int, host: dict[str, str], rounds: list[Round], load: Load, fill_s: dict[str, float], filled_bytes: int
) -> Size:
    return Size(
        members=members,
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        revision=_revision(),
        machine=host,
        load=load,
        fill_s={part: round(seconds, 1) for part, seconds in fill_s.items()},
        filled_bytes=filled_bytes,
        figures=figures_of(rounds),
        start_s=round(min(one.start_ms for one in rounds) / 1_000, 2),
        start_bytes=max(one.start_bytes for one in rounds),
        end_bytes=max(one.end_bytes for one in rounds),
        inner_nodes=rounds[-1].inner_nodes,
        proof_bytes=max(one.proof_bytes for one in rounds),
    )


def _revision() -> str:
    """The last commit that changed the program, by its day and subject: its hash is another after a rebase."""
    command = ["git", "log", "-1", "--format=%as, %s", "--", "node", "consensus", "configs"]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def _run(options: argparse.Namespace) -> int:
    sizes = sorted({int(size) for size in options.sizes.split(",")})
    with tempfile.TemporaryDirectory(prefix="weal-scale-", dir=options.folder) as folder:
        needed, free = BYTES_PER_MEMBER * sum(sizes), shutil.disk_usage(folder).free
        if needed > free:
            gib = 1 << 30
            print(f"error: this needs {needed / gib:.0f} GiB, {folder} has {free / gib:.0f}: give --folder elsewhere")
            return 2
        found = run(sizes, options.rounds, Load(), Path(folder))
    results = Results.load(options.results)
    for size in found:
        results.add(size)
    results.save(options.results)
    document.draw(results, options.results.parent)
    print(document.page(results))
    problems = growth_problems(found)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _fill(options: argparse.Namespace) -> int:
    sys.stdout.buffer.write(msgspec.json.encode(fill(options.place, options.members)))
    return 0


def _measure(options: argparse.Namespace) -> int:
    load = msgspec.json.decode(options.load, type=Load)
    found = measure(options.place, options.members, options.round, load)
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0


def _draw(options: argparse.Namespace) -> int:
    document.draw(Results.load(options.results), options.results.parent)
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    top.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = top.add_subparsers(required=True)
    one = commands.add_parser("run", help="fill, measure, draw")
    one.add_argument("--sizes", default="100000,1000000,10000000", help="members, with commas (default %(default)s)")
    one.add_argument("--rounds", type=int, default=3, help="processes for each size (default %(default)s)")
    one.add_argument("--folder", type=Path, default=None, help="where the databases go meanwhile (default: temporary)")
    one.set_defaults(command=_run)
    drawing = commands.add_parser("draw", help="only the page and the picture")
    drawing.set_defaults(command=_draw)
    for command in (one, drawing):
        command.add_argument("--results", type=Path, default=document.RESULTS, help="default %(default)s")
    step = commands.add_parser("fill", help="one step of run: a database")
    step.set_defaults(command=_fill)
    measuring = commands.add_parser("measure", help="one step of run: a round on it")
    measuring.set_defaults(command=_measure)
    for command in (step, measuring):
        command.add_argument("place", type=Path)
        command.add_argument("members", type=int)
    measuring.add_argument("round", type=int)
    measuring.add_argument("load")
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    answer: int = options.command(options)
    return answer


if __name__ == "__main__":
    sys.exit(main())
