"""Rounding, and amounts as text."""

from __future__ import annotations

import pytest

from node.claims.money import amount_text, fee_of, parse_amount, settle

AID = 30_000_000
"""300,000.00 yuan in fen."""


@pytest.mark.parametrize(
    ("cases", "members", "share"),
    [
        (2, 21_599_999, 4),
        (2, 21_600_000, 3),
        (2, 23_000_000, 3),
        (2, 32_399_999, 3),
        (2, 32_400_000, 2),
        (1, 32_399_999, 2),
        (1, 32_400_000, 1),
        (1, 34_860_000, 1),
    ],
)
def test_published_cycles_come_out_to_the_fen(cases: int, members: int, share: int) -> None:
    """Two cases with "over 23 million" members: 0.03 yuan each; one with 34.86 million: 0.01. Eight per cent fee."""
    assert settle(payouts=cases * AID, fee_bps=800, surplus=0, members=members).share == share


def test_the_fee_rounds_down_and_the_share_up() -> None:
    result = settle(payouts=10_001, fee_bps=800, surplus=0, members=7)
    assert result.fee == 800
    assert (result.share, result.collected, result.surplus) == (1_543, 10_801, 0)
    assert settle(payouts=10_000, fee_bps=0, surplus=0, members=3).surplus == 2
    assert fee_of(12, 800) == 0


def test_a_surplus_is_used_up_before_anybody_pays() -> None:
    covered = settle(payouts=100, fee_bps=0, surplus=150, members=10)
    assert (covered.share, covered.surplus) == (0, 50)
    assert settle(payouts=100, fee_bps=0, surplus=95, members=10).share == 1


def test_nothing_to_share_costs_nothing_even_without_members() -> None:
    assert settle(payouts=0, fee_bps=800, surplus=3, members=0).surplus == 3
    with pytest.raises(ValueError, match="no members"):
        settle(payouts=1, fee_bps=0, surplus=0, members=0)


@pytest.mark.parametrize(
    ("minor", "digits", "text"),
    [
        (0, 2, "0.00"),
        (5, 2, "0.05"),
        (30_000_000, 2, "300000.00"),
        (-150, 2, "-1.50"),
        (7, 0, "7"),
        (1_234, 3, "1.234"),
    ],
)
def test_an_amount_is_written_and_read_exactly(minor: int, digits: int, text: str) -> None:
    assert amount_text(minor, digits) == text
    assert parse_amount(text, digits) == minor


def test_shorter_decimals_are_read_too() -> None:
    assert parse_amount("12.5", 2) == 1_250
    assert parse_amount("12", 2) == 1_200


@pytest.mark.parametrize("text", ["", "1.234", "1,2", "1.", ".5", "1e5", "--1", " 1", "1" * 20, "٣", "1.-2"])
def test_what_is_no_amount_is_refused_and_never_rounded(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        parse_amount(text, 2)
