"""The state diagrams: what is committed is what the tables give, nothing of a table is missing, nothing overlaps."""

from __future__ import annotations

from enum import IntEnum
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.layers import LANE, Box, Line, arrange
from benchmarks.state_diagrams import DOCUMENT, IMAGES, Life, document, draw, lives, main, words
from node.claims.mutual_aid.transitions import TRANSITIONS

LIVES = lives()
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_a_committed_picture_is_what_the_table_gives(life: Life) -> None:
    committed = life.path.read_text(encoding="utf-8") if life.path.exists() else ""
    assert committed == draw(life), f"the life of a {life.name} has changed; run: make diagrams"


def test_every_picture_has_a_table_and_every_table_a_picture_of_its_own() -> None:
    assert {path.name for path in IMAGES.glob("life-*.svg")} == {life.path.name for life in LIVES}
    assert len({life.name for life in LIVES}) == len(LIVES) and LIVES
    assert any(life.table is TRANSITIONS for life in LIVES)


def test_the_document_shows_every_picture() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == document(LIVES), "run: make diagrams"
    assert all(f"images/{life.path.name}" in text for life in LIVES)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_every_line_of_a_table_is_a_row_of_a_box(life: Life) -> None:
    root = ElementTree.fromstring(draw(life))
    rows: list[tuple[str, str]] = []
    for box in root.iter(f"{SVG}g"):
        texts = ["".join(text.itertext()) for text in box.findall(f"{SVG}text")]
        rows += [(texts[0], text) for text in texts[1:] if "→" in text or "↻" in text] if texts else []
    expected = []
    for (status, event), target in life.table.items():
        where = "↻" if status is target else f"→ {words(target)}"
        expected.append(("start" if status is None else words(status), f"{words(event, life.name)} {where}"))
    assert sorted(rows) == sorted(expected)


def test_a_changed_table_changes_the_picture_and_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0
    (claim,) = [life for life in LIVES if life.table is TRANSITIONS]
    table: dict[tuple[IntEnum | None, IntEnum], IntEnum] = dict(list(TRANSITIONS.items())[:-1])
    monkeypatch.setattr("benchmarks.state_diagrams.lives", lambda: [claim._replace(table=table)])
    assert main(["--check"]) == 1
    assert "life-claim.svg" in capsys.readouterr().out


def test_the_deadlines_of_the_code_are_in_the_boxes() -> None:
    (claim,) = [life for life in LIVES if life.table is TRANSITIONS]
    assert claim.deadlines["FILED"].name == "INVESTIGATION" and "deadline: investigation" in draw(claim)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_boxes_and_lanes_of_any_graph_keep_clear_of_each_other(pairs: list[tuple[int, int]]) -> None:
    def made() -> tuple[list[Box], list[Line], tuple[int, int]]:
        boxes = [Box(key=str(number), width=60 + 7 * number, height=30 + 11 * (number % 5)) for number in range(12)]
        lines = [Line(source=str(a), target=str(b)) for a, b in dict.fromkeys(pairs) if a != b]
        return boxes, lines, arrange(boxes, lines, start="0")

    boxes, lines, (width, height) = made()
    for box in boxes:
        assert box.x >= 0 and box.x + box.width <= width and box.y >= 0 and box.y + box.height <= height
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert apart_x or one.y + one.height <= other.y or other.y + other.height <= one.y
    for line in lines:
        for x, y in line.bends:
            hit = [b for b in boxes if b.y < y < b.y + b.height and b.x - LANE // 2 < x < b.x + b.width + LANE // 2]
            assert not hit
    again, _, _ = made()
    assert [(box.x, box.y) for box in again] == [(box.x, box.y) for box in boxes]
