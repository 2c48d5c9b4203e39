"""One state diagram per life, drawn from the code's own tables, so that none can go stale.

python -m benchmarks.state_diagrams              writes docs/images/life-*.svg and docs/lives.md, which shows them
python -m benchmarks.state_diagrams --check      says what of it differs from the tables, and writes nothing

Every module-level table of `node.claims` whose name ends in TRANSITIONS, `(status or None, what happens) -> status`,
is a life: a new table is drawn without being registered anywhere, and a test fails until its picture is committed.

A box is a status, and each of its rows is one line of the table: what happens, and where it leads. The text alone is
the whole table. The lines repeat it for the eye: down to what comes next, and up (dashed) to what begins again. What
happens from everywhere alike (withdrawal, a stay) would only be a tangle and is left to the text.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape

import node.claims
from benchmarks.layers import Box, Line, arrange

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "lives.md"
IMAGES: Final = DOCUMENT.parent / "images"
EVERYWHERE: Final = 4
"""From so many statuses on, one and the same step into one and the same status is written and not drawn."""
ROW, HEAD, PAD = 17, 24, 10
LETTER, BOLD_LETTER = 6.9, 7.6
"""Pixels: a row, a box's head, its margin; the mean width of a letter, wide enough for any reader's font."""
MARGIN, TITLE_LETTER = 24, 9
_NAMES: Final = {"item": "evidence-item"}
"""Where the code's own word says too little."""
_STYLE: Final = (
    "text{font:12px Helvetica,Arial,sans-serif;fill:#1f2933}.name{font-weight:bold;font-size:12.5px}"
    ".to{fill:#52606d}.due{fill:#9a5b00;font-size:11px}.title{font-size:16px;font-weight:bold}"
    ".box{fill:#fff;stroke:#486581;stroke-width:1.2}.head{fill:#d9e8f5}.final .head{fill:#e3e7eb}"
    ".final .box{stroke:#7b8794}.start .head{fill:#1f2933}.start .name{fill:#fff}"
    "path{fill:none;stroke:#627d98;stroke-width:1.3}.back{stroke-dasharray:5 3;stroke:#b44d12}"
)

_HEADING: Final = """# Lives

What can become of a claim, and of everything else that has a status, drawn by `make diagrams` from the tables
that decide it in the code. A test fails when a picture is not what its table gives.

A box is a status and each of its rows one line of the table: what happens, and where it leads (`↻`: it
stays). Lines lead down to what comes next and, dashed, up to what begins again. Steps that can be taken from
everywhere alike, such as a withdrawal or a stay, are written in the rows and not drawn. Grey boxes are final.
The deadline is what the clock waits for; when it passes, the chain takes the step by itself.
"""


class Life(NamedTuple):
    """A table, and what else the code knows about its statuses."""

    name: str
    """Such as "claim", of ClaimStatus."""
    table: dict[tuple[IntEnum | None, IntEnum], IntEnum]
    deadlines: dict[str, IntEnum]
    """What the clock waits for in a status, by its name."""

    @property
    def path(self) -> Path:
        return IMAGES / f"life-{self.name}.svg"

    @property
    def title(self) -> str:
        return f"The life of {'an' if self.name[0] in 'aeiou' else 'a'} {self.name.replace('-', ' ')}"


def lives() -> list[Life]:
    """Every life of the code, by name."""
    tables: dict[int, Any] = {}
    deadlines: dict[tuple[type, str], IntEnum] = {}
    for info in pkgutil.walk_packages(node.claims.__path__, "node.claims."):
        for name, table in vars(importlib.import_module(info.name)).items():
            if isinstance(table, dict) and name.endswith("TRANSITIONS"):
                tables[id(table)] = table
            elif isinstance(table, dict) and name.endswith("DEADLINE_OF"):
                # By type and name: statuses of two lives with the same number are equal, as IntEnums are.
                deadlines |= {(type(status), status.name): due for status, due in table.items()}
    found = []
    for table in tables.values():
        kind = type(next(iter(table.values())))
        due = {name: deadline for (of, name), deadline in deadlines.items() if of is kind}
        found.append(Life(_life_name(kind), table, due))
    return sorted(found, key=lambda life: life.name)


def _life_name(kind: type) -> str:
    """ClaimStatus is "claim", JurySeatStatus "jury-seat"."""
    text = kind.__name__.removesuffix("Status")
    name = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in text).lstrip("-")
    return _NAMES.get(name, name)


def words(member: IntEnum, life: str = "") -> str:
    """CLAIM_FILED is "filed" in the life of a claim and "claim filed" elsewhere."""
    return member.name.lower().replace("_", " ").removeprefix(life.replace("-", " ") + " ")


def draw(life: Life) -> str:
    """The picture, as SVG text. The same table gives the same bytes."""
    boxes = {key: Box(key=key, width=_width(life, key), height=_height(life, key)) for key in _order(life)}
    drawn = _drawn(life)
    width, height = arrange(list(boxes.values()), drawn, start="start")
    body = [*_lines(boxes, drawn), *(text for key, box in boxes.items() for text in _box(life, key, box))]
    title = life.title
    full_width, full_height = max(width, TITLE_LETTER * len(title)) + 2 * MARGIN, height + 2 * MARGIN + 30
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full_width} {full_height}" '
            f'width="{full_width}" height="{full_height}" role="img">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0 8 4 0 8z" style="fill:#627d98;stroke:none"/></marker></defs>',
            f'<rect width="{full_width}" height="{full_height}" fill="#fbfcfd"/>',
            f'<text class="title" x="{MARGIN}" y="{MARGIN + 6}">{title}</text>',
            f'<g transform="translate({MARGIN} {MARGIN + 30})">',
            *body,
            "</g>",
            "</svg>",
            "",
        ]
    )


def document(drawn: list[Life]) -> str:
    """docs/lives.md."""
    sections = [
        f"\n## {life.name.replace('-', ' ').capitalize()}\n\n![{life.title}](images/{life.path.name})\n"
        for life in drawn
    ]
    return _HEADING + "".join(sections)


# --- what is in a box


def _key(status: IntEnum | None) -> str:
    return "start" if status is None else status.name


def _order(life: Life) -> list[str]:
    """The start, then the statuses in the order in which the table names them."""
    found = dict.fromkeys(["start", *(_key(status) for (_, _), status in life.table.items())])
    return list(found | dict.fromkeys(_key(status) for status, _ in life.table))


def _steps(life: Life, key: str) -> list[tuple[IntEnum, IntEnum]]:
    return [(event, target) for (status, event), target in life.table.items() if _key(status) == key]


def _drawn(life: Life) -> list[Line]:
    """The steps that get a line: neither those that stay, nor those into what is entered from everywhere, nor the
    ways back from there to where it was entered from."""
    alike: dict[tuple[IntEnum, IntEnum], set[IntEnum | None]] = {}
    leads_to: dict[IntEnum | None, set[IntEnum]] = {}
    for (status, event), target in life.table.items():
        if status is not target:
            alike.setdefault((event, target), set()).add(status)
            leads_to.setdefault(status, set()).add(target)
    everywhere = {step: sources for step, sources in alike.items() if len(sources) >= EVERYWHERE}
    entered = {(status, hub) for (_, hub), sources in everywhere.items() for status in sources}
    ways_back: set[tuple[IntEnum | None, IntEnum]] = set()
    for hub in {hub for _, hub in everywhere}:
        back = {(hub, target) for target in leads_to.get(hub, ()) if (target, hub) in entered}
        ways_back |= back if len(back) >= EVERYWHERE else set()
    pairs = {
        (_key(status), _key(target)): None
        for (status, event), target in life.table.items()
        if status is not target and (event, target) not in everywhere and (status, target) not in ways_back
    }
    return [Line(source=source, target=target) for source, target in pairs]


def _row_text(life: Life, key: str, event: IntEnum, target: IntEnum) -> tuple[str, str]:
    return words(event, life.name), "↻" if _key(target) == key else f"→ {words(target)}"


def _due(life: Life, key: str) -> str:
    deadline = life.deadlines.get(key)
    return "" if deadline is None else f"deadline: {words(deadline, life.name)}"


def _width(life: Life, key: str) -> int:
    texts = [_due(life, key)]
    texts += [" ".join(_row_text(life, key, event, target)) for event, target in _steps(life, key)]
    return int(max(max(map(len, texts)) * LETTER, len(words_of(key)) * BOLD_LETTER)) + 2 * PAD


def _height(life: Life, key: str) -> int:
    return HEAD + ROW * (len(_steps(life, key)) + bool(_due(life, key))) + (6 if _steps(life, key) else 0)


def words_of(key: str) -> str:
    return key.lower().replace("_", " ")


# --- SVG


def _box(life: Life, key: str, box: Box) -> Iterator[str]:
    steps = _steps(life, key)
    is_final = all(_key(target) == key for _, target in steps)
    kind = "start" if key == "start" else "final" if is_final else "status"
    yield f'<g class="{kind}" transform="translate({box.x} {box.y})">'
    yield f'<rect class="box" width="{box.width}" height="{box.height}" rx="5"/>'
    yield f'<rect class="box head" width="{box.width}" height="{HEAD}" rx="5"/>'
    yield f'<text class="name" x="{PAD}" y="{HEAD - 7}">{escape(words_of(key))}</text>'
    for row, (event, target) in enumerate(steps):
        what, where = _row_text(life, key, event, target)
        y = HEAD + ROW * row + 14
        yield f'<text x="{PAD}" y="{y}">{escape(what)} <tspan class="to">{escape(where)}</tspan></text>'
    if due := _due(life, key):
        yield f'<text class="due" x="{PAD}" y="{HEAD + ROW * len(steps) + 14}">{escape(due)}</text>'
    yield "</g>"


def _lines(boxes: dict[str, Box], drawn: list[Line]) -> Iterator[str]:
    leave = _ports(boxes, drawn)
    for line in drawn:
        source, target = boxes[line.source], boxes[line.target]
        begin = (leave[line], source.y if line.is_back else source.y + source.height)
        # Ways back arrive at the lower right, so that they do not meet what leaves from the middle.
        end = (target.x + target.width - PAD, target.y + target.height) if line.is_back else (target.middle, target.y)
        points = [begin, *line.bends, end]
        parts = [f"M{begin[0]} {begin[1]}"]
        for (x, y), (to_x, to_y) in pairwise(points):
            middle = (y + to_y) // 2
            parts.append(f"V{to_y}" if x == to_x else f"C{x} {middle} {to_x} {middle} {to_x} {to_y}")
        yield f'<path class="{"back" if line.is_back else "on"}" marker-end="url(#tip)" d="{"".join(parts)}"/>'


def _ports(boxes: dict[str, Box], drawn: list[Line]) -> dict[Line, int]:
    """Where each line leaves its box: side by side, in the order of where they go. Ways back leave at the top right."""
    ports: dict[Line, int] = {}
    for box in boxes.values():
        for is_back in (False, True):
            mine = [line for line in drawn if line.source == box.key and line.is_back == is_back]
            mine.sort(key=lambda line: line.bends[0][0] if line.bends else boxes[line.target].middle)
            for number, line in enumerate(mine, 1):
                share = box.width * number // (len(mine) + 1)
                ports[line] = box.x + (box.width - PAD * (len(mine) + 1 - number) if is_back else share)
    return ports


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the state diagrams from the code's tables.")
    parser.add_argument("--check", action="store_true", help="only say what differs")
    options = parser.parse_args(arguments)
    drawn = lives()
    written = {life.path: draw(life) for life in drawn} | {DOCUMENT: document(drawn)}
    status = 0
    for path, text in written.items():
        if not options.check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.stdout.write(f"{path.name} is not what the tables give\n")
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
