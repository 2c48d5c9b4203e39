"""Measure this node beside CometBFT, alternating, in one run; write a report.

    make bench                                   about an hour; build/performance.md, .json and .svg
    make bench ARGS="--rounds 1 --seconds 15"    a short look
    make bench ARGS="--measure sustained"        one measure only
    make bench ARGS=--docs                       also remake the tables and the plot of docs/performance.md

Without Go the peer is left out, and the report says so.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from pathlib import Path

from benchmarks.engines.compare import Comparison, Options
from benchmarks.engines.document import update
from benchmarks.engines.report import Document, markdown, write
from benchmarks.report import BUILD, machine


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=2, help="of each measure and engine (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the sustained runs (default %(default)s)")
    parser.add_argument("--samples", type=int, default=300, help="one at a time (default %(default)s)")
    parser.add_argument("--open", type=int, default=1_300, help="open at once when sustained (default %(default)s)")
    parser.add_argument("--measure", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--output", type=Path, default=BUILD, help="folder of the report (default build/)")
    parser.add_argument("--docs", action="store_true", help="also remake docs/performance.md")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    host, at = machine(), commit()
    comparison = Comparison(
        Options(
            rounds=options.rounds,
            seconds=options.seconds,
            samples=options.samples,
            open_at_once=options.open,
            measures=tuple(options.measure),
        )
    )
    given = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["make bench", *([f'ARGS="{" ".join(given)}"'] if given else [])])
    document = Document(command=command, machine=host, commit=at, data=comparison.run())
    path = write(document, options.output)
    print(markdown(document))
    print(f"written to {path}, .json and .svg", file=sys.stderr)
    if options.docs:
        update(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
