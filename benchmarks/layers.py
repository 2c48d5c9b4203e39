"""Where the boxes of a layered drawing go: rows from top to bottom, lines between neighbouring rows.

The usual way (Sugiyama, Tagawa, Toda 1981): lines that close a circle are turned round, every box goes one row
below whatever leads to it, a line over several rows gets a place in each of them, and the order within a row is
improved by the means of the neighbours, to and fro. Whole numbers and fixed orders throughout, so that the same
graph gives the same picture everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

GAP_X: Final = 24
GAP_Y: Final = 44
LANE: Final = 10
"""Width of the place of a line that passes through a row."""
SWEEPS: Final = 24


@dataclass(kw_only=True, eq=False)
class Box:
    """A box to be placed. `x`, `y` and `layer` are the answer."""

    key: str
    width: int
    height: int
    x: int = 0
    y: int = 0
    layer: int = 0
    is_lane: bool = False

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


@dataclass(kw_only=True, eq=False)
class Line:
    """A line from one box to another; one for each pair. `bends` and `is_back` are the answer."""

    source: str
    target: str
    bends: list[tuple[int, int]] = field(default_factory=list)
    is_back: bool = False
    """It leads up, against the order of the rows."""


Link = tuple[Box, Box]
"""A piece of a line: from a box or lane to one in the row below."""


def arrange(boxes: Sequence[Box], lines: Sequence[Line], *, start: str) -> tuple[int, int]:
    """Place the boxes and bend the lines; (width, height) of the whole. `start` goes first."""
    by_key = {box.key: box for box in boxes}
    _choose_layers(by_key, lines, start)
    rows: list[list[Box]] = [[] for _ in range(max(box.layer for box in boxes) + 1)]
    for box in boxes:
        rows[box.layer].append(box)
    links: list[Link] = []
    lanes = [_lanes(by_key, line, rows, links) for line in lines]
    _order(rows, links)
    y = 0
    for row in rows:
        height = max(box.height for box in row)
        for box in row:
            box.y = y
            if box.is_lane:
                box.height = height
        y += height + GAP_Y
    _place(rows, links)
    left = min(box.x for row in rows for box in row)
    for row in rows:
        for box in row:
            box.x -= left
    for line, passed in zip(lines, lanes, strict=True):
        for lane in passed:
            ends = [(lane.middle, lane.y), (lane.middle, lane.y + lane.height)]
            line.bends += ends[::-1] if line.is_back else ends
    return max(box.x + box.width for row in rows for box in row), y - GAP_Y


def _choose_layers(boxes: dict[str, Box], lines: Sequence[Line], start: str) -> None:
    """Longest way from the start, over the lines that do not lead back to a box on the way to them."""
    after: dict[str, list[str]] = {key: [] for key in boxes}
    for line in lines:
        after[line.source].append(line.target)
    forward: list[tuple[str, str]] = []
    state: dict[str, int] = {}

    def visit(key: str) -> None:
        state[key] = 1
        for target in after[key]:
            if state.get(target) == 1:
                continue  # closes a circle
            forward.append((key, target))
            if target not in state:
                visit(target)
        state[key] = 2

    for key in (start, *boxes):
        if key not in state:
            visit(key)
    for _ in boxes:
        for source, target in forward:
            boxes[target].layer = max(boxes[target].layer, boxes[source].layer + 1)


def _lanes(boxes: dict[str, Box], line: Line, rows: list[list[Box]], links: list[Link]) -> list[Box]:
    """Give a line its lanes and links; its lanes in the line's own direction."""
    source, target = boxes[line.source], boxes[line.target]
    line.is_back = target.layer < source.layer
    upper, lower = (target, source) if line.is_back else (source, target)
    passed = [
        Box(key="", width=LANE, height=0, layer=layer, is_lane=True) for layer in range(upper.layer + 1, lower.layer)
    ]
    for lane in passed:
        rows[lane.layer].append(lane)
    links += pairwise([upper, *passed, lower])
    return passed[::-1] if line.is_back else passed


def _order(rows: list[list[Box]], links: list[Link]) -> None:
    """Reorder the boxes of each row by the mean place of their neighbours, to and fro; the best of all sweeps."""
    best, fewest = [list(row) for row in rows], _crossings(rows, links)
    for sweep in range(SWEEPS):
        near = 0 if sweep % 2 == 0 else 1
        for row in rows[1:] if near == 0 else rows[-2::-1]:
            place = {box: index for other in rows for index, box in enumerate(other)}
            means: dict[Box, int] = {}
            for index, box in enumerate(row):
                found = [1000 * place[link[near]] for link in links if link[1 - near] is box]
                means[box] = sum(found) // len(found) if found else 1000 * index
            row.sort(key=means.__getitem__)
        count = _crossings(rows, links)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
    for row, ordered in zip(rows, best, strict=True):
        row[:] = ordered


def _crossings(rows: list[list[Box]], links: list[Link]) -> int:
    place = {box: index for row in rows for index, box in enumerate(row)}
    count = 0
    for layer in range(len(rows)):
        ends = sorted((place[upper], place[lower]) for upper, lower in links if upper.layer == layer)
        count += sum(b > d for index, (a, b) in enumerate(ends) for c, d in ends[index + 1 :] if a < c)
    return count


def _place(rows: list[list[Box]], links: list[Link]) -> None:
    """Each box as near to the mean of its neighbours as the order and the gaps allow."""
    for row in rows:
        x = 0
        for box in row:
            box.x = x
            x += box.width + GAP_X
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted: list[int] = []
            for box in row:
                near = [upper.middle for upper, lower in links if lower is box]
                near += [lower.middle for upper, lower in links if upper is box]
                wanted.append(sum(near) // len(near) - box.width // 2 if near else box.x)
            _settle(row, wanted)


def _settle(row: list[Box], wanted: list[int]) -> None:
    """Boxes that would overlap form a block, which goes to the mean of what its boxes want."""
    offsets = [0]
    for box in row:
        offsets.append(offsets[-1] + box.width + (LANE if box.is_lane else GAP_X))
    # With the offsets taken off, no overlap means that the numbers rise: pool neighbours that do not.
    blocks: list[list[int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        blocks.append([want - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] > blocks[-1][0] * blocks[-2][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    index = 0
    for total, count in blocks:
        for _ in range(count):
            row[index].x = total // count + offsets[index]
            index += 1
