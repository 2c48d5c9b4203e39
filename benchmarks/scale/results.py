"""What was measured at each size: medians, the growth from size to size, and what follows for 10^8.

Kept as docs/scale.json. A run replaces the sizes it measured and leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log10
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks.scale.measure import Load, Round
from benchmarks.scale.work import Times, Work

CYCLE: Final = ("disclosure and publication", "confirmation", "settlement", "missed investigations")
"""Blocks of the clock. Their cost must not depend on the members."""
CASES: Final = ("file the cases", "investigate the cases", "review the cases", "pay the cases")
ONE: Final = ("enrol one", "enrol batch", "file a claim", "investigate a claim", "review a claim")
READS: Final = ("statement", "proof", "verify a proof")
APPLICATION: Final = ("reads", "scanned", "writes")
"""Counts of the application: equal at every size, or the programme's cost depends on its members."""


class Figure(msgspec.Struct, kw_only=True):
    """One operation at one size."""

    count: int
    """How often it was timed."""
    median: Times
    least: Times
    work: Work | None = None


class Size(msgspec.Struct, kw_only=True):
    """Everything about one size."""

    members: int
    day: str
    revision: str
    machine: dict[str, str]
    load: Load
    fill_s: dict[str, float]
    filled_bytes: int
    """Of the state database before the first block."""
    figures: dict[str, Figure]
    start_s: float
    start_bytes: int
    end_bytes: int
    inner_nodes: int
    proof_bytes: int


class Results(msgspec.Struct, kw_only=True):
    sizes: list[Size] = []

    def add(self, size: Size) -> None:
        others = [known for known in self.sizes if known.members != size.members]
        self.sizes = sorted([*others, size], key=lambda known: known.members)

    @classmethod
    def load(cls, path: Path) -> Results:
        return msgspec.json.decode(path.read_bytes(), type=cls) if path.is_file() else cls()

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def figures_of(rounds: Sequence[Round]) -> dict[str, Figure]:
    """The rounds of one size together."""
    found: dict[str, Figure] = {}
    for name, first in rounds[0].operations.items():
        found[name] = _figure([time for one in rounds for time in one.operations[name].times], first.counted)
    for name in rounds[0].reads:
        found[name] = _figure([time for one in rounds for time in one.reads[name]], None)
    return found


def _figure(times: Sequence[Times], work: Work | None) -> Figure:
    def each(over: Callable[[list[float]], float]) -> Times:
        parts = Times.__struct_fields__
        return Times(**{part: round(over([getattr(time, part) for time in times]), 3) for part in parts})

    return Figure(count=len(times), median=each(median), least=each(min), work=work)


def growth_problems(sizes: Sequence[Size]) -> list[str]:
    """Every count of the application that differs between sizes of one revision and load."""
    problems: list[str] = []
    for first in sizes:
        alike = [size for size in sizes if (size.revision, size.load) == (first.revision, first.load)]
        if first is not alike[0]:
            continue
        for name, figure in first.figures.items():
            for what in APPLICATION if figure.work is not None else ():
                counts = {size.members: getattr(size.figures[name].work, what) for size in alike}
                if len(set(counts.values())) > 1:
                    problems.append(f"{name}: {what} depends on the members: {counts}")
    return problems


def extrapolated(sizes: Sequence[Size], name: str, members: int) -> float:
    """Processor milliseconds at `members`, on the straight line over log(members) through the ends of `sizes`."""
    first, last = sizes[0], sizes[-1]
    low, high = first.figures[name].median.processor, last.figures[name].median.processor
    if first is last:
        return high
    slope = (high - low) / (log10(last.members) - log10(first.members))
    return high + slope * (log10(members) - log10(last.members))
