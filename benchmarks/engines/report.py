"""The report: the bars with their verdicts, each measure in a table, and the machine. Figures are medians."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.engines.bars import Verdict, judge
from benchmarks.engines.chart import chart
from benchmarks.engines.compare import BEST, WEAL, Found
from benchmarks.engines.runs import Figures

COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "offered_per_s": ("offered/s", ",.0f"),
    "open_at_once": ("open at once", ",.0f"),
    "committed_per_s": ("committed/s", ",.0f"),
    "p50_ms": ("p50 ms", ".1f"),
    "p95_ms": ("p95 ms", ".1f"),
    "p99_ms": ("p99 ms", ".1f"),
    "refused": ("refused", ",.0f"),
    "lost": ("accepted and not final", ",.0f"),
    "cpu_s_per_1000": ("CPU s per 1,000", ".3f"),
    "client_cpu_s_per_1000": ("client's CPU s per 1,000", ".3f"),
    "disk_bytes_per_tx_node": ("disk bytes per tx and node", ",.0f"),
    "written_bytes_per_tx_node": ("written bytes per tx and node", ",.0f"),
    "peak_memory_mb": ("memory MB", ",.0f"),
    "longest_gap_ms": ("longest gap ms", ",.0f"),
    "transactions_per_block": ("tx per block", ",.0f"),
    "blocks_per_s": ("blocks/s", ",.0f"),
    "transactions_per_s": ("tx/s", ",.0f"),
}


class Document(msgspec.Struct, kw_only=True):
    """What the JSON file holds."""

    command: str
    machine: dict[str, str]
    commit: str
    data: Found


def markdown(document: Document) -> str:
    """The generated part of docs/performance.md."""
    lines = [f"Command: `{document.command}`, on commit `{document.commit}`", "", "| machine | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in document.machine.items()]
    found = document.data
    if found.skipped:
        lines += ["", f"**{found.skipped}**"]
    lines += ["", *(f"- **failed**: {what}" for what in found.failed)] if found.failed else []
    lines += ["", "### The bars", "", *_bars(judge(found))]
    for measure, engines in found.figures.items():
        if measure != "curve":
            lines += ["", f"### {measure.capitalize()}", "", *_table(found, measure, list(engines))]
    if "curve" in found.figures:
        lines += ["", "### Latency against offered load", "", *_curve(found)]
    return "\n".join(lines) + "\n"


def _bars(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield "| measure | beside | theirs | ours | ratio | bar | |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for verdict in verdicts:
        bar = verdict.bar
        is_ratio = bar.peer or bool(bar.against)
        theirs = "" if verdict.theirs is None else f"{_number(verdict.theirs)} {bar.unit}"
        limit = f"at least {bar.at_least:g}" if bar.at_least else f"at most {bar.at_most:.3g}"
        ratio = _ratio(verdict.ratio) if is_ratio and verdict.ratio is not None else ""
        met = {True: "met", False: "**missed**", None: "nothing to compare"}[verdict.is_met]
        shown = f"{limit}x" if is_ratio else f"{limit} {bar.unit}"
        yield (
            f"| {bar.what} | {verdict.setting} | {theirs} | {_number(verdict.ours)} {bar.unit} | {ratio} | {shown} "
            f"| {met} |"
        )


def _ratio(value: float) -> str:
    """With three digits below 1, as bars of a fifth and a seventh have."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(found: Found, measure: str, engines: Sequence[str]) -> Iterator[str]:
    names = [name for name in COLUMNS if any(found.median(measure, engine, name) is not None for engine in engines)]
    yield "| | " + " | ".join(COLUMNS[name][0] for name in names) + " | rounds |"
    yield "|---|" + "---:|" * (len(names) + 1)
    for engine in engines:
        values = [(name, found.median(measure, engine, name)) for name in names]
        cells = ["" if value is None else format(value, COLUMNS[name][1]) for name, value in values]
        yield f"| {engine} | " + " | ".join(cells) + f" | {len(found.figures[measure][engine])} |"


def _curve(found: Found) -> Iterator[str]:
    yield (
        "| offered/s | "
        + " | ".join(f"{engine}: committed/s, p50 / p95 / p99 ms" for engine in found.figures["curve"])
        + " |"
    )
    yield "|---:|" + "---|" * len(found.figures["curve"])
    points = {
        engine: {p["offered_per_s"]: p for p in rounds[0]["points"]}
        for engine, rounds in found.figures["curve"].items()
    }
    for rate in sorted({rate for by_rate in points.values() for rate in by_rate}):
        cells = []
        for by_rate in points.values():
            p = by_rate.get(rate)
            cells.append(_point(p) if p else "")
        yield f"| {rate:,.0f} | " + " | ".join(cells) + " |"


def _point(point: Figures) -> str:
    late = " / ".join(f"{point[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms") if name in point)
    return f"{point['committed_per_s']:,.0f}, {late or 'none in time'}"


def picture(found: Found) -> str | None:
    """The curve as an SVG; None if it was not measured."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for engine, label in ((WEAL, "Commonweal"), (BEST, "CometBFT, tuned")):
        rounds = found.figures.get("curve", {}).get(engine)
        points = [point for point in rounds[0]["points"] if "p50_ms" in point] if rounds else []
        if points:
            lines[f"{label}, p50"] = [(p["offered_per_s"], max(p["p50_ms"], 0.1)) for p in points]
            lines[f"{label}, p95"] = [(p["offered_per_s"], max(p["p95_ms"], 0.1)) for p in points]
    if not lines:
        return None
    dashed = frozenset(name for name in lines if name.endswith("p95"))
    return chart("Commit latency against offered load", "transactions offered per second", "ms", lines, dashed=dashed)


def write(document: Document, folder: Path) -> Path:
    """performance.md, .json and .svg in `folder`; answers the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "performance.md"
    path.write_text("# Beside CometBFT\n\n" + markdown(document), encoding="utf-8")
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    drawn = picture(document.data)
    if drawn is not None:
        path.with_suffix(".svg").write_text(drawn, encoding="utf-8")
    return path
