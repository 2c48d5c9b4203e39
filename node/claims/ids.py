"""Numbers of records as people write them: member M-000123, claim C-000045, evidence item E-000012, application
A-000007."""

from __future__ import annotations


def member_text(number: int) -> str:
    return f"M-{number:06d}"


def claim_text(number: int) -> str:
    return f"C-{number:06d}"


def member_id(text: str) -> int:
    """123 for "M-000123", "m-123" or "123". Raises ValueError."""
    return _number(text, "M", "member")


def claim_id(text: str) -> int:
    """45 for "C-000045", "c-45" or "45". Raises ValueError."""
    return _number(text, "C", "claim")


def item_text(number: int) -> str:
    return f"E-{number:06d}"


def item_id(text: str) -> int:
    """12 for "E-000012", "e-12" or "12". Raises ValueError."""
    return _number(text, "E", "evidence item")


def application_text(number: int) -> str:
    return f"A-{number:06d}"


def application_id(text: str) -> int:
    """7 for "A-000007", "a-7" or "7". Raises ValueError."""
    return _number(text, "A", "application")


def _number(text: str, letter: str, kind: str) -> int:
    digits = text.strip().upper().removeprefix(letter + "-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise ValueError(f"{text!r} is no {kind} number: write {letter}-000123 or 123")
    return int(digits)
