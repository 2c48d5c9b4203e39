"""The tables of the rulebook are those of the code."""

from __future__ import annotations

import pytest

from benchmarks import rulebook


def test_the_rulebook_is_up_to_date() -> None:
    text = rulebook.DOCUMENT.read_text(encoding="utf-8")
    assert rulebook.rendered(text) == text, "run: python -m benchmarks.rulebook"


def test_a_table_that_says_other_than_the_code_is_found() -> None:
    text = rulebook.DOCUMENT.read_text(encoding="utf-8")
    forged = text.replace("| `StayClaim` |", "| `StayClaims` |")
    assert forged != text and rulebook.rendered(forged) == text
    with pytest.raises(ValueError, match="steps"):
        rulebook.rendered(text.replace("<!-- steps:", "<!-- stairs:"))
