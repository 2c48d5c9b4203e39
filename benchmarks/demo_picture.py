"""The picture of the demonstration in the README, made from a real run.

python -m benchmarks.demo_picture             runs `weal demo` and writes docs/images/demo.svg
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

PICTURE: Final = Path(__file__).resolve().parents[1] / "docs" / "images" / "demo.svg"
WIDTH: Final = 118
FIRST_LINES: Final = 26
"""Lines from the beginning; then what matters of the end."""


def run_demo() -> list[str]:
    """The demonstration's plain output, with colours. Raises CalledProcessError if it did not hold."""
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    command = [sys.executable, "-m", "node.cli", "demo", "--colour"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def excerpt(lines: list[str]) -> list[str]:
    """The beginning, and from the table of results to the end; what lies between is said, not hidden."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    happened = next(number for number, line in enumerate(plain) if line.startswith("What happened"))
    left_out = happened - FIRST_LINES
    if left_out < 3:
        return lines
    note = f"\x1b[2m  ... {left_out} lines: every step of the claims, and what became of the input ...\x1b[0m"
    return [*lines[:FIRST_LINES], "", note, "", *lines[happened:]]


def picture(lines: list[str]) -> str:
    """An SVG of the terminal that asks for nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ make demo", style="bold"))
    for line in lines:
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
    svg = console.export_svg(title="weal demo")
    # The font that rich links lies on somebody's server; the reader's own monospace does.
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    return svg.replace("Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_picture", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--output", type=Path, default=PICTURE, help="file to write (default %(default)s)")
    options = parser.parse_args(arguments)
    svg = picture(excerpt(run_demo()))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(svg, encoding="utf-8")
    print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
