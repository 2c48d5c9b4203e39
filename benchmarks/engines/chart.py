"""Line charts of the report as SVG: offered load across, milliseconds up in powers of ten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, log10
from typing import Final

WIDTH: Final = 860
HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 640, 56, 360
_COLOURS: Final = ("#0b6e99", "#c2571a", "#5b7f1e", "#8a3ea8")

Line = Sequence[tuple[float, float]]


def chart(title: str, across: str, up: str, lines: Mapping[str, Line], *, dashed: frozenset[str] = frozenset()) -> str:
    """An SVG that asks for nothing from elsewhere. Lines whose names are in `dashed` share the colour before them."""
    points = [point for line in lines.values() for point in line]
    most = max(x for x, _ in points)
    low, high = floor(log10(min(y for _, y in points))), ceil(log10(max(y for _, y in points)))
    high = max(high, low + 1)

    def at_x(x: float) -> float:
        return _LEFT + x * (_RIGHT - _LEFT) / most

    def at_y(y: float) -> float:
        return _BOTTOM - (log10(y) - low) * (_BOTTOM - _TOP) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="30" font-size="16" font-weight="bold" fill="#222">{title}</text>',
    ]
    for power in range(low, high + 1):
        y = at_y(10**power)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{10**power:g}</text>')
    step = _round_step(most / 6)
    for number in range(int(most / step) + 1):
        x = at_x(number * step)
        parts.append(f'<line x1="{x:.1f}" y1="{_BOTTOM}" x2="{x:.1f}" y2="{_BOTTOM + 5}" stroke="#888"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle" fill="#555">{number * step:,.0f}</text>'
        )
    parts.append(f'<line x1="{_LEFT}" y1="{_BOTTOM}" x2="{_RIGHT}" y2="{_BOTTOM}" stroke="#888"/>')
    parts.append(f'<text x="{_RIGHT}" y="{_BOTTOM + 44}" text-anchor="end" fill="#555">{across}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 8}" fill="#555">{up}</text>')
    colour = -1
    ends: list[tuple[float, float, str, str]] = []
    for name, line in lines.items():
        colour += name not in dashed
        ink = _COLOURS[colour % len(_COLOURS)]
        style = ' stroke-dasharray="5 4"' if name in dashed else ""
        places = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{ink}" stroke-width="2"{style}/>')
        parts += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{ink}"/>' for x, y in line]
        ends.append((at_y(line[-1][1]), at_x(line[-1][0]), name, ink))
    parts += _names(ends)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below `rough`."""
    power = 10 ** floor(log10(rough))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))


def _names(ends: list[tuple[float, float, str, str]]) -> Iterator[str]:
    """Names where their lines end, moved apart where they would lie on each other."""
    lowest = float(_TOP)
    for y, x, name, ink in sorted(ends):
        lowest = max(lowest, y)
        yield f'<text x="{x + 12:.1f}" y="{lowest + 4:.1f}" fill="{ink}">{name}</text>'
        lowest += 17
