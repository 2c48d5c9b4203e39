"""The published cycles: two exact answers through a whole chain, five points that must be plausible."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import published_cycles as published
from benchmarks.published_cycles import EXACT, POINTS, Exact, Point, examine, members_for, payouts_for, share_of


@pytest.mark.parametrize("exact", EXACT, ids=lambda exact: exact.when)
def test_a_cycle_that_is_known_in_full_comes_out_as_published(exact: Exact) -> None:
    cycle = published.through_the_chain(exact.cases, exact.members)
    assert (cycle.members, cycle.cases, cycle.share) == (exact.members, exact.cases, exact.share)
    assert cycle.payouts == exact.cases * 30_000_000 and cycle.fee == cycle.payouts * 8 // 100
    assert cycle.share * cycle.members == cycle.payouts + cycle.fee + cycle.surplus_after


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.when)
def test_a_point_of_which_a_part_is_known_is_plausible(point: Point) -> None:
    assert [text for text, holds in examine(point).checks if not holds] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"members": 1_000_000},  # far too few members for a share of 0.94 under the cap of a case
        {"members": 50},
        {"share_low": 9_000, "share_high": 9_000},
        {"light": 1, "severe": 2},
        {"members": 0, "cases": 21, "light": 50, "severe": 100},
    ],
)
def test_a_point_that_cannot_be_is_found_out(changes: dict[str, Any]) -> None:
    assert not examine(POINTS[0]._replace(**changes)).plausible


@pytest.mark.parametrize("members", [999, 23_000_000])
@pytest.mark.parametrize("share", [2, 94])
def test_the_ranges_are_as_wide_as_the_settlement_says_and_no_wider(members: int, share: int) -> None:
    low, high = payouts_for(share, share, members)
    assert share_of(low, members) == share_of(high, members) == share
    assert share_of(low - 1, members) < share < share_of(high + 1, members)
    fewest, most = members_for(share, 300_000_00)
    assert share_of(300_000_00, fewest) == share_of(300_000_00, most) == share
    assert share_of(300_000_00, fewest - 1) > share > share_of(300_000_00, most + 1)


def test_the_document_is_what_the_command_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert published.main([]) == 0
    text = capsys.readouterr().out
    assert text == published.DOCUMENT.read_text(encoding="utf-8"), "run: make published-cycles"
