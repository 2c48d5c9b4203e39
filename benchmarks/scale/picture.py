"""The plot of docs/scale.md: processor milliseconds of a block against members, both axes in powers of ten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10
from typing import Final

from benchmarks.scale.results import Size, extrapolated

WIDTH: Final = 1090
HEIGHT: Final = 470
_PANEL: Final = 300
"""Width of a panel's axes; its labels stand to the right of it."""
_TOP: Final = 64
_BOTTOM: Final = 420
_LEFTS: Final = (60, 590)
_DECADES: Final = (5, 8)
_LOW: Final = -2
_HIGH: Final = 3
_COLOURS: Final = ("#0b6e99", "#c2571a", "#5b7f1e", "#8a3ea8", "#a11d3f")
_PANELS: Final = (
    (
        "A cycle of 200 cases; 2,000 missed deadlines",
        {
            "missed investigations": "missed deadlines",
            "confirmation": "confirmation",
            "settlement": "settlement",
            "disclosure and publication": "publication",
        },
    ),
    (
        "Members and claims, one at a time or 1,000",
        {
            "enrol batch": "1,000 members enrolled",
            "enrol one": "one member enrolled",
            "file a claim": "one claim filed",
            "statement": "a statement",
            "proof": "a proof",
        },
    ),
)


def picture(sizes: Sequence[Size]) -> str:
    """An SVG that asks for nothing from elsewhere."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" role="img">',
        "<title>Processor milliseconds of a block against members</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for left, (title, names) in zip(_LEFTS, _PANELS, strict=True):
        parts += _axes(left, title)
        parts += _lines(left, names, sizes)
    note = "processor milliseconds of a block, median; hollow and dashed: extrapolated"
    parts.append(f'<text x="{_LEFTS[0]}" y="{HEIGHT - 8}" fill="#555">{note}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(left: int, members: float) -> float:
    return left + (log10(members) - _DECADES[0]) * _PANEL / (_DECADES[1] - _DECADES[0])


def _y(milliseconds: float) -> float:
    height = log10(max(milliseconds, 10**_LOW / 4))
    return _BOTTOM - (height - _LOW) * (_BOTTOM - _TOP) / (_HIGH - _LOW)


def _axes(left: int, title: str) -> Iterator[str]:
    yield f'<text x="{left}" y="36" font-size="16" font-weight="bold" fill="#222">{title}</text>'
    for exponent in range(_LOW, _HIGH + 1):
        y = _y(10**exponent)
        yield f'<line x1="{left}" y1="{y:.1f}" x2="{left + _PANEL}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{10**exponent:g}</text>'
    for exponent in range(_DECADES[0], _DECADES[1] + 1):
        x = _x(left, 10**exponent)
        yield f'<line x1="{x:.1f}" y1="{_BOTTOM}" x2="{x:.1f}" y2="{_BOTTOM + 5}" stroke="#888"/>'
        yield (
            f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle" fill="#555">10<tspan dy="-5" font-size="10">'
            f"{exponent}</tspan></text>"
        )
    yield f'<line x1="{left}" y1="{_BOTTOM}" x2="{left + _PANEL}" y2="{_BOTTOM}" stroke="#888"/>'


def _lines(left: int, names: dict[str, str], sizes: Sequence[Size]) -> Iterator[str]:
    near = [size for size in sizes if size.members < 10 ** _DECADES[1]] or list(sizes)
    far = sizes[-1].members >= 10 ** _DECADES[1]
    ends: list[tuple[float, str, str]] = []
    for (name, label), colour in zip(names.items(), _COLOURS, strict=False):
        points = [(size.members, size.figures[name].median.processor) for size in sizes]
        places = " ".join(f"{_x(left, members):.1f},{_y(value):.1f}" for members, value in points)
        yield f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for members, value in points:
            yield f'<circle cx="{_x(left, members):.1f}" cy="{_y(value):.1f}" r="3.5" fill="{colour}"/>'
        last = points[-1]
        if not far:
            guess = extrapolated(near, name, 10 ** _DECADES[1])
            x, y = _x(left, 10 ** _DECADES[1]), _y(guess)
            yield (
                f'<line x1="{_x(left, last[0]):.1f}" y1="{_y(last[1]):.1f}" x2="{x:.1f}" y2="{y:.1f}" '
                f'stroke="{colour}" stroke-width="2" stroke-dasharray="5 5"/>'
            )
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#fff" stroke="{colour}" stroke-width="2"/>'
            last = (10 ** _DECADES[1], guess)
        ends.append((_y(last[1]), label, colour))
    yield from _labels(left + _PANEL + 12, ends)


def _labels(x: int, ends: list[tuple[float, str, str]]) -> Iterator[str]:
    """Names at the ends of their lines, moved apart where they would lie on each other."""
    lowest = float(floor(_TOP))
    for y, label, colour in sorted(ends):
        lowest = max(lowest, y)
        yield f'<text x="{x}" y="{lowest + 4:.1f}" fill="{colour}">{label}</text>'
        lowest += 17
