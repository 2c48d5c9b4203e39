"""Days, months and cycle dates, against the standard library's calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from node.claims.calendar import (
    birthday,
    date_of,
    date_text,
    day_number,
    day_of,
    month_index,
    months_old,
    next_day_of_month,
    parse_date,
    start_of,
    years_old,
)
from node.claims.genesis import Calendar
from node.claims.registry import Plan
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import plan, with_terms

EPOCH = date(1970, 1, 1)


def test_days_and_dates_agree_with_the_standard_library_for_four_centuries() -> None:
    first = (date(1850, 1, 1) - EPOCH).days
    last = (date(2260, 1, 1) - EPOCH).days
    for day in range(first, last):
        expected = EPOCH + timedelta(days=day)
        assert date_of(day) == (expected.year, expected.month, expected.day)
        assert day_number(expected.year, expected.month, expected.day) == day


def test_a_date_is_read_back_as_it_was_written() -> None:
    assert date_text(parse_date("2024-02-29")) == "2024-02-29"
    assert parse_date("1970-01-02") == 1


@pytest.mark.parametrize("text", ["2023-02-29", "2023-13-01", "2023-1-1", "", "20230101", "2023-01-00", "٢٠٢٣-01-01"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        parse_date(text)


def test_a_day_begins_at_midnight_of_the_plans_own_offset() -> None:
    midnight = start_of(day_number(2026, 3, 1), 480)
    assert midnight == day_number(2026, 3, 1) * DAY_MS - 8 * HOUR_MS
    assert day_of(midnight, 480) == day_number(2026, 3, 1)
    assert day_of(midnight - 1, 480) == day_number(2026, 2, 28)
    assert day_of(start_of(5, -300), -300) == 5


def test_an_age_is_reached_on_the_first_day_of_the_birth_month() -> None:
    born = month_index(1966, 6)
    assert years_old(born, day_number(2026, 5, 31)) == 59
    assert years_old(born, day_number(2026, 6, 1)) == 60
    assert birthday(born, 60) == day_number(2026, 6, 1)
    assert months_old(born, day_number(1966, 5, 31)) == -1
    assert birthday(month_index(1990, 12), 1) == day_number(1991, 12, 1)


def test_the_next_day_of_the_month_crosses_months_and_years() -> None:
    days = (7, 21)
    assert next_day_of_month(day_number(2026, 1, 6), days) == (day_number(2026, 1, 7), 0)
    assert next_day_of_month(day_number(2026, 1, 7), days) == (day_number(2026, 1, 21), 1)
    assert next_day_of_month(day_number(2026, 12, 21), days) == (day_number(2027, 1, 7), 0)


def test_the_published_calendar_discloses_on_the_7th_and_21st_and_settles_a_week_later() -> None:
    terms = plan("critical-illness")
    cycles = Plan(0, [terms], 0)
    disclosure, settlement = cycles.next_cycle(start_of(day_number(2026, 1, 1), 480))
    dates = []
    for _ in range(4):
        dates.append((date_text(cycles.day_of(disclosure)), date_text(cycles.day_of(settlement))))
        assert disclosure == start_of(cycles.day_of(disclosure), 480)
        disclosure, settlement = cycles.cycle_after(disclosure, settlement)
    assert dates == [
        ("2026-01-07", "2026-01-14"),
        ("2026-01-21", "2026-01-28"),
        ("2026-02-07", "2026-02-14"),
        ("2026-02-21", "2026-02-28"),
    ]


def test_cycles_of_fixed_length_count_from_the_day_of_genesis() -> None:
    terms = with_terms(plan("critical-illness"), calendar=Calendar(cycle_days=5, settlement_after_days=4))
    genesis = start_of(100, 480) + HOUR_MS
    cycles = Plan(0, [terms], genesis)
    assert [cycles.day_of(time) for time in cycles.next_cycle(genesis)] == [105, 109]
    assert [cycles.day_of(time) for time in cycles.next_cycle(start_of(105, 480) - 1)] == [105, 109]
    assert [cycles.day_of(time) for time in cycles.next_cycle(start_of(105, 480))] == [110, 114]


def test_a_cycle_is_disclosed_when_the_one_before_is_settled_or_later() -> None:
    """A shorter calendar of a new version must not overtake a cycle that is still open."""
    long = with_terms(plan("critical-illness"), calendar=Calendar(cycle_days=20, settlement_after_days=20))
    short = with_terms(long, version=2, effective_day=121, calendar=Calendar(cycle_days=4, settlement_after_days=4))
    cycles = Plan(0, [long, short], start_of(100, 480))
    first = cycles.next_cycle(start_of(100, 480))
    assert [cycles.day_of(time) for time in first] == [120, 140]
    second = cycles.cycle_after(*first)
    assert second[0] >= first[1]
