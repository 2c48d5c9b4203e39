"""On which line of a TOML or JSON text does a key stand? For error messages only.

Neither parser of the standard library says where it found a value. Both finders take texts that parsed
without error and a path such as `plans[0].calendar.cycle_days`, and fall back to the nearest part they know.
"""

from __future__ import annotations

import re
from typing import Final

_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_TOML_TABLE: Final = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY: Final = re.compile(r"""^\s*([A-Za-z0-9_\-."' ]+?)\s*=""")


def find_json_line(text: str, path: str) -> int | None:
    """Line, from 1, where the value at `path` or its nearest known parent begins."""
    return _nearest(_json_lines(text), path)


def find_toml_line(text: str, path: str) -> int | None:
    """Line, from 1, of the key at `path`, or of its table."""
    return _nearest(_toml_lines(text), path)


def _nearest(lines: dict[str, int], path: str) -> int | None:
    while path:
        if path in lines:
            return lines[path]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[: max(cut, 0)]
    return None


def _json_lines(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    stack: list[tuple[str, int | None]] = []  # (path of the container, next index; None for objects)
    path, key = "", None
    line, seen = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", seen, token.start())
        seen = token.start()
        symbol = token.group()
        if symbol in "{[":
            path = _child(stack, key) if stack else ""
            lines.setdefault(path, line)
            stack.append((path, None if symbol == "{" else 0))
            key = None
        elif symbol in "}]":
            stack.pop()
        elif symbol == ",":
            key = None
            container, index = stack[-1]
            if index is not None:
                stack[-1] = (container, index + 1)
        elif symbol != ":" and stack and stack[-1][1] is None and key is None:
            key = symbol[1:-1]
            lines.setdefault(_child(stack, key), line)
        elif symbol != ":" and stack and stack[-1][1] is not None:
            lines.setdefault(_child(stack, None), line)
    return lines


def _child(stack: list[tuple[str, int | None]], key: str | None) -> str:
    container, index = stack[-1]
    if index is not None:
        return f"{container}[{index}]"
    return f"{container}.{key}" if container else str(key)


def _toml_lines(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, row in enumerate(text.splitlines(), start=1):
        header = _TOML_TABLE.match(row)
        if header is not None:
            table = _plain_key(header.group(2))
            if header.group(1) == "[[":
                index = counts.get(table, 0)
                counts[table] = index + 1
                table = f"{table}[{index}]"
            else:
                table = _inside_array(table, counts)
            lines.setdefault(table, number)
            continue
        key = _TOML_KEY.match(row)
        if key is not None:
            name = _plain_key(key.group(1))
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


def _plain_key(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _inside_array(table: str, counts: dict[str, int]) -> str:
    """`[plans.calendar]` after `[[plans]]` belongs to the latest of the plans."""
    head, dot, rest = table.partition(".")
    if dot and head in counts:
        return f"{head}[{counts[head] - 1}].{rest}"
    return table
