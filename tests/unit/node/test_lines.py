"""Where a key stands in a text, for error messages."""

from __future__ import annotations

import pytest

from node.lines import find_json_line, find_toml_line

JSON = """{
  "a": 1,
  "b": {"c": [
    10,
    {"d": "x,y:]}\\""},
    [5,
     6]
  ]},
  "e": null
}"""

TOML = """top = 1
[one]
key = 2  # [not.a.table]
"quoted" = 3

[[rows]]
name = "x"
[rows.inner]
deep = 1
[[rows]]
name = "y"
[rows.inner]
deep = 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a", 2),
        ("b", 3),
        ("b.c", 3),
        ("b.c[0]", 4),
        ("b.c[1].d", 5),
        ("b.c[2][1]", 7),
        ("e", 9),
        ("b.c[1].missing", 5),
        ("b.other", 3),
        ("nowhere", None),
        ("", None),
    ],
)
def test_json_line(path: str, line: int | None) -> None:
    assert find_json_line(JSON, path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("top", 1),
        ("one", 2),
        ("one.key", 3),
        ("one.quoted", 4),
        ("one.missing", 2),
        ("rows[0].name", 7),
        ("rows[0].inner.deep", 9),
        ("rows[1].name", 11),
        ("rows[1].inner.deep", 13),
        ("rows[1].missing", 10),
        ("nowhere", None),
    ],
)
def test_toml_line(path: str, line: int | None) -> None:
    assert find_toml_line(TOML, path) == line
