"""Where the boxes of a layered drawing go: columns from left to right, lines between neighbouring columns.

The usual way (Sugiyama, Tagawa, Toda 1981): lines that close a circle are turned round, every box goes one column
to the right of whatever leads to it, a line over several columns gets a place in each of them, and the order within
a column is improved by the means of the neighbours, to and fro. Whole numbers and fixed orders throughout, so that
the same graph gives the same picture everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

GAP_X: Final = 50
GAP_Y: Final = 22
LANE: Final = 8
"""Height of the place of a line that passes through a column."""
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


@dataclass(kw_only=True, eq=False)
class Line:
    """A line from the row of one box, `port` below its top, to another box. `bends` is the answer."""

    source: str
    target: str
    port: int
    bends: list[tuple[int, int]] = field(default_factory=list)


@dataclass(kw_only=True, eq=False)
class _Link:
    """A piece of a line between two neighbouring columns."""

    left: Box
    right: Box
    left_port: int
    right_port: int


HEAD_PORT: Final = 12
"""Lines arrive so far below the top of a box."""


def arrange(boxes: Sequence[Box], lines: Sequence[Line], *, start: str) -> tuple[int, int]:
    """Place the boxes and bend the lines; the size of the whole. `start` goes first."""
    by_key = {box.key: box for box in boxes}
    _choose_layers(by_key, lines, start)
    columns: list[list[Box]] = [[] for _ in range(max(box.layer for box in boxes) + 1)]
    for box in boxes:
        columns[box.layer].append(box)
    links, lanes = _links(by_key, lines, columns)
    _order(columns, links)
    x = 0
    for column in columns:
        width = max((box.width for box in column), default=0)
        for box in column:
            box.x = x
            if box.is_lane:
                box.width = width
        x += width + GAP_X
    _place(columns, links)
    top = min(box.y for column in columns for box in column)
    for column in columns:
        for box in column:
            box.y -= top
    for line, passed in lanes:
        back = by_key[line.target].layer < by_key[line.source].layer
        for lane in passed:
            y = lane.y + LANE // 2
            ends = [(lane.x, y), (lane.x + lane.width, y)]
            line.bends += ends[::-1] if back else ends
    return x - GAP_X, max(box.y + box.height for column in columns for box in column)


def _choose_layers(boxes: dict[str, Box], lines: Sequence[Line], start: str) -> None:
    """Longest way from the start, over the lines that do not lead back to a box on the way to them."""
    after: dict[str, list[str]] = {key: [] for key in boxes}
    for line in lines:
        if line.target not in after[line.source]:
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


def _links(
    boxes: dict[str, Box], lines: Sequence[Line], columns: list[list[Box]]
) -> tuple[list[_Link], list[tuple[Line, list[Box]]]]:
    """Pieces between neighbouring columns, and the lanes that each line passes through, in its own direction."""
    links: list[_Link] = []
    lanes: list[tuple[Line, list[Box]]] = []
    shared: dict[tuple[str, str], list[Box]] = {}
    for line in lines:
        source, target = boxes[line.source], boxes[line.target]
        back = target.layer < source.layer
        left, right = (target, source) if back else (source, target)
        left_port, right_port = (HEAD_PORT, line.port) if back else (line.port, HEAD_PORT)
        # Lines between the same two boxes run in one lane: they are one way with two reasons.
        passed = shared.get((line.source, line.target))
        if passed is None:
            passed = [
                Box(key="", width=0, height=LANE, layer=layer, is_lane=True)
                for layer in range(left.layer + 1, right.layer)
            ]
            shared[line.source, line.target] = passed
            for lane in passed:
                columns[lane.layer].append(lane)
            chain = [left, *passed, right]
            for one, other in pairwise(chain):
                links.append(
                    _Link(
                        left=one,
                        right=other,
                        left_port=left_port if one is left else LANE // 2,
                        right_port=right_port if other is right else LANE // 2,
                    )
                )
        lanes.append((line, passed[::-1] if back else passed))
    return links, lanes


def _order(columns: list[list[Box]], links: list[_Link]) -> None:
    """Reorder the boxes of each column by the mean place of their neighbours, to and fro."""
    for sweep in range(SWEEPS):
        rightwards = sweep % 2 == 0
        for column in columns[1:] if rightwards else columns[-2::-1]:
            place = {box: index for other in columns for index, box in enumerate(other)}
            means: dict[Box, int] = {}
            for index, box in enumerate(column):
                near = [
                    # Lines from a lower row of the same box come later: a port counts as a part of a place.
                    1000 * place[link.left] + link.left_port if rightwards else 1000 * place[link.right]
                    for link in links
                    if (link.right if rightwards else link.left) is box
                ]
                means[box] = sum(near) // len(near) if near else 1000 * index
            column.sort(key=means.__getitem__)


def _place(columns: list[list[Box]], links: list[_Link]) -> None:
    """Heights: each box as near to the mean of its neighbours as the order and the gaps allow."""
    for column in columns:
        y = 0
        for box in column:
            box.y = y
            y += box.height + GAP_Y
    for sweep in range(SWEEPS):
        rightwards = sweep % 2 == 0
        for column in columns if rightwards else columns[::-1]:
            wanted: list[int] = []
            for box in column:
                near = [link.left.y + link.left_port - link.right_port for link in links if link.right is box]
                near += [link.right.y + link.right_port - link.left_port for link in links if link.left is box]
                wanted.append(sum(near) // len(near) if near else box.y)
            _settle(column, wanted)


def _settle(column: list[Box], wanted: list[int]) -> None:
    """Boxes that would overlap form a block, which goes to the mean of what its boxes want."""
    offsets = [0]
    for box in column:
        offsets.append(offsets[-1] + box.height + (LANE if box.is_lane else GAP_Y))
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
            column[index].y = total // count + offsets[index]
            index += 1
