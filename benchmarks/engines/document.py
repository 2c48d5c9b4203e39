"""Puts what benchmarks made into docs/performance.md, each between marks of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from benchmarks.engines.report import Document, markdown, picture
from node.errors import ConfigError

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PAGE: Final = DOCS / "performance.md"


def marks(part: str) -> tuple[str, str]:
    """The lines before and after a part of the page."""
    return f"<!-- {part}: made by a benchmark, do not edit -->", f"<!-- end of {part} -->"


def with_part(text: str, part: str, made: str) -> str:
    """The page with a new text between the marks of `part`. Raises ConfigError if they are gone."""
    begin, end = marks(part)
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ConfigError(f"the page has lost its marks: {begin} and {end}")
    return f"{before}{begin}\n\n{made.strip()}\n\n{end}{after}"


def put(part: str, made: str, page: Path = PAGE) -> None:
    page.write_text(with_part(page.read_text(encoding="utf-8"), part, made), encoding="utf-8")


def update(document: Document, folder: Path = DOCS) -> None:
    """Remake the comparison in docs/performance.md, performance.json and images/performance.svg."""
    put("comparison", markdown(document), folder / "performance.md")
    (folder / "performance.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    drawn = picture(document.data)
    if drawn is not None:
        (folder / "images" / "performance.svg").write_text(drawn, encoding="utf-8")
