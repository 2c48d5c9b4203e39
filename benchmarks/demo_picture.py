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
FIRST_LINES: Final = 12
AROUND_THE_KILL: Final = 8
"""Lines from the beginning and from the primary's end on; then the table of results."""


def run_demo() -> list[str]:
    """The demonstration's output as it is without a terminal. Raises CalledProcessError if it did not hold."""
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    command = [sys.executable, "-m", "node.cli", "demo"]
    done = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.stdout.splitlines()


def excerpt(lines: list[str]) -> list[str]:
    """The beginning, and from the table of results to the end; what lies between is said, not hidden."""
    happened = next(number for number, line in enumerate(lines) if line.startswith("What happened"))
    killed = next(number for number, line in enumerate(lines) if "is killed" in line)
    shown = [*lines[:FIRST_LINES], "", *lines[killed : killed + AROUND_THE_KILL], ""]
    left_out = happened - FIRST_LINES - AROUND_THE_KILL
    note = f"  ... and {left_out} more lines: every step of the claims, and what became of the input ..."
    return [*shown, note, "", *lines[happened:]]


def style_of(line: str) -> str:
    """What a terminal would show in colour."""
    if line.startswith("✓"):
        return "green"
    if "is killed" in line:
        return "bold red"
    if line.startswith("What happened"):
        return "bold"
    return "dim" if line.startswith("  ...") else ""


def picture(lines: list[str]) -> str:
    """An SVG of the terminal that asks for nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ make demo", style="bold"))
    for line in lines:
        console.print(Text(line.rstrip(), style=style_of(line)), soft_wrap=True)
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
