"""The bars: what this node has to reach beside the peer's best setting for each measure."""

from __future__ import annotations

from typing import Final

import msgspec

from benchmarks.engines.compare import LIBSODIUM, ONE_BY_ONE, WEAL, WITH_PAUSES, Found


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. With `peer`, the bar is a ratio; without, a figure."""

    what: str
    measure: str
    figure: str
    unit: str
    at_least: float = 0.0
    at_most: float = 0.0
    peer: bool = True
    engine: str = WEAL
    against: str = ""
    """Another measure of our own that the ratio is to."""


BARS: Final = (
    Bar(what="committed, sustained", measure="sustained", figure="committed_per_s", unit="/s", at_least=2.0),
    Bar(
        what="the same with libsodium alone",
        measure="sustained",
        figure="committed_per_s",
        unit="/s",
        at_least=1.0,
        engine=LIBSODIUM,
    ),
    Bar(what="p50 at 3,000/s", measure="3,000/s", figure="p50_ms", unit="ms", at_most=0.2),
    Bar(what="p95 at 3,000/s", measure="3,000/s", figure="p95_ms", unit="ms", at_most=0.2),
    Bar(what="one at a time, p50", measure=ONE_BY_ONE, figure="p50_ms", unit="ms", at_most=1 / 7),
    Bar(what="one at a time, p99", measure=ONE_BY_ONE, figure="p99_ms", unit="ms", at_most=0.2),
    Bar(what="the same with pauses, p50", measure=WITH_PAUSES, figure="p50_ms", unit="ms", at_most=1 / 7),
    Bar(what="the same with pauses, p99", measure=WITH_PAUSES, figure="p99_ms", unit="ms", at_most=0.2),
    Bar(
        what="one of four dead, p50, beside all alive",
        measure="one of four dead",
        figure="p50_ms",
        unit="ms",
        at_most=1.3,
        peer=False,
        against=ONE_BY_ONE,
    ),
    Bar(
        what="primary killed under load: longest time without a commit",
        measure="leader killed",
        figure="longest_gap_ms",
        unit="ms",
        at_most=1_100.0,
        peer=False,
    ),
    Bar(
        what="offered three times that: committed, beside sustained",
        measure="overload",
        figure="committed_per_s",
        unit="/s",
        at_least=0.9,
        peer=False,
        against="sustained",
    ),
    Bar(what="CPU of all four nodes", measure="sustained", figure="cpu_s_per_1000", unit="s per 1,000", at_most=0.5),
    Bar(what="disk", measure="sustained", figure="disk_bytes_per_tx_node", unit="bytes per transaction", at_most=1.0),
    Bar(
        what="written to the disk",
        measure="sustained",
        figure="written_bytes_per_tx_node",
        unit="bytes per transaction",
        at_most=1.0,
    ),
    Bar(
        what="memory of a node at 3,000/s, in a short run",
        measure="3,000/s",
        figure="peak_memory_mb",
        unit="MB",
        at_most=1.0,
    ),
    Bar(what="catch-up, blocks of 100", measure="catch-up", figure="transactions_per_s", unit="/s", at_least=2.0),
    Bar(
        what="catch-up, large blocks",
        measure="catch-up, large blocks",
        figure="transactions_per_s",
        unit="/s",
        at_least=1.0,
    ),
)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One bar with what was measured. `ratio` is the figure itself where the bar is no ratio."""

    bar: Bar
    ours: float
    theirs: float | None
    setting: str
    ratio: float | None

    @property
    def is_met(self) -> bool | None:
        """None if there is nothing to compare with."""
        if self.ratio is None:
            return None
        return self.ratio >= self.bar.at_least if self.bar.at_least else self.ratio <= self.bar.at_most


def judge(found: Found) -> list[Verdict]:
    """Every bar for which this node was measured."""
    verdicts = []
    for bar in BARS:
        ours = found.median(bar.measure, bar.engine, bar.figure)
        if ours is None:
            continue
        theirs: float | None = None
        setting = ""
        if bar.peer:
            best = found.best(bar.measure, bar.figure, highest=bool(bar.at_least))
            if best is not None:
                theirs, setting = best
        elif bar.against:
            theirs, setting = found.median(bar.against, bar.engine, bar.figure), f"our own, {bar.against}"
        is_ratio = bar.peer or bool(bar.against)
        ratio = (ours / theirs if theirs else None) if is_ratio else ours
        verdicts.append(Verdict(bar=bar, ours=ours, theirs=theirs, setting=setting, ratio=ratio))
    return verdicts
