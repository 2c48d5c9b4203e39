"""Puts a report's tables and plot into docs/performance.md, between its marks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from benchmarks.engines.report import Document, markdown, picture
from node.errors import ConfigError

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
BEGIN: Final = "<!-- made by `make bench`: do not edit -->"
END: Final = "<!-- end of what `make bench` made -->"


def with_tables(text: str, tables: str) -> str:
    """The document with new tables. Raises ConfigError if its marks are gone."""
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ConfigError(f"the page has lost its marks: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def update(document: Document, folder: Path = DOCS) -> None:
    """Remake docs/performance.md, performance.json and images/performance.svg."""
    page = folder / "performance.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8"), markdown(document)), encoding="utf-8")
    (folder / "performance.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    drawn = picture(document.data)
    if drawn is not None:
        (folder / "images" / "performance.svg").write_text(drawn, encoding="utf-8")
