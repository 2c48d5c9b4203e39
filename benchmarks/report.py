"""Reports of the benchmarks: one Markdown file for people, one JSON file for programs, the machine in both."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

BUILD: Final = Path(__file__).resolve().parents[1] / "build"


class Report(msgspec.Struct, kw_only=True):
    """What was measured. `figures` are (what, value, unit or remark)."""

    title: str
    command: str
    machine: dict[str, str]
    figures: list[tuple[str, str, str]]
    notes: list[str] = []
    data: dict[str, Any] = {}
    """Everything behind the figures, for the JSON file only."""

    def markdown(self) -> str:
        lines = [f"# {self.title}", "", f"Command: `{self.command}`", ""]
        lines += ["| machine | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in self.machine.items()]
        lines += ["", "| figure | value | |", "|---|---:|---|"]
        lines += [f"| {what} | {value} | {remark} |" for what, value, remark in self.figures]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def write(self, name: str, folder: Path = BUILD) -> Path:
        """Write `name`.md and `name`.json; answers the Markdown file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.md"
        path.write_text(self.markdown(), encoding="utf-8")
        data = msgspec.json.format(msgspec.json.encode(self), indent=2)
        path.with_suffix(".json").write_bytes(data + b"\n")
        return path


def machine() -> dict[str, str]:
    """The machine, as far as it matters for figures."""
    return {
        "processor": _first_of(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _first_of(Path("/proc/meminfo"), "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "load before": ", ".join(f"{value:.2f}" for value in os.getloadavg()),
    }


def _first_of(path: Path, name: str) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(name)), "")


def spread(values: Sequence[float], unit: str) -> str:
    """min - max, for remarks."""
    return f"{min(values):.0f} - {max(values):.0f} {unit}" if values else ""
