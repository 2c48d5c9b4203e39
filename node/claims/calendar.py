"""Days, months and cycle dates by integer arithmetic: no library that knows a clock or a time zone.

A day is the number of days since 1970-01-01 in the plan's own fixed offset from UTC. Ages count in
months: the chain holds a birth month and never an exact birth date, because a date of birth with an
organisation and an ailment names a person in a small place. So an age is reached on the first day of
the birth month, up to a month early; every node and every member gets the same answer.
"""

from __future__ import annotations

from functools import lru_cache

from node.claims.types import DAY_MS

_DAYS_BEFORE_1970 = 719_468
"""From 0000-03-01 to 1970-01-01. Years start in March here, so that the leap day is the last of a year."""
_DAYS_400_YEARS = 146_097
MINUTE_MS = 60_000


def day_of(time_ms: int, utc_offset_minutes: int) -> int:
    """The day that `time_ms` falls on."""
    return (time_ms + utc_offset_minutes * MINUTE_MS) // DAY_MS


def start_of(day: int, utc_offset_minutes: int) -> int:
    """UTC ms of 00:00 of `day`."""
    return day * DAY_MS - utc_offset_minutes * MINUTE_MS


@lru_cache(maxsize=1_024)
def day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a Gregorian date."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month - 3) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _DAYS_400_YEARS + day_of_era - _DAYS_BEFORE_1970


@lru_cache(maxsize=1_024)
def date_of(day: int) -> tuple[int, int, int]:
    """(year, month, day of month) of a day number."""
    era, day_of_era = divmod(day + _DAYS_BEFORE_1970, _DAYS_400_YEARS)
    leap_days = day_of_era // 1_460 - day_of_era // 36_524 + day_of_era // 146_096
    year_of_era = (day_of_era - leap_days) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year_of_era + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def date_text(day: int) -> str:
    """ISO 8601, such as "2026-07-21"."""
    year, month, day_of_month = date_of(day)
    return f"{year:04d}-{month:02d}-{day_of_month:02d}"


def parse_date(text: str) -> int:
    """Day number of "2026-07-21". Raises ValueError for anything that is no date."""
    parts = text.split("-")
    if len(parts) == 3 and [len(part) for part in parts] == [4, 2, 2] and text.replace("-", "").isdecimal():
        year, month, day = (int(part) for part in parts)
        if 1 <= month <= 12 and 1 <= day <= 31 and text.isascii():
            number = day_number(year, month, day)
            if date_of(number) == (year, month, day):
                return number
    raise ValueError(f"{text!r} is no date: write YYYY-MM-DD")


def month_index(year: int, month: int) -> int:
    """year * 12 + month - 1, the form in which a birth month is stored."""
    return year * 12 + month - 1


def month_of(day: int) -> int:
    """Month index of a day."""
    year, month, _ = date_of(day)
    return year * 12 + month - 1


def months_old(birth_month: int, day: int) -> int:
    """Whole months of age on `day`, as of the first day of the birth month. Negative before birth."""
    return month_of(day) - birth_month


def years_old(birth_month: int, day: int) -> int:
    """Whole years of age on `day`, as of the first day of the birth month."""
    return months_old(birth_month, day) // 12


def birthday(birth_month: int, years: int) -> int:
    """The day on which the age of `years` is reached: the first of the birth month."""
    year, month = divmod(birth_month + 12 * years, 12)
    return day_number(year, month + 1, 1)


def next_day_of_month(after_day: int, days: tuple[int, ...]) -> tuple[int, int]:
    """(day, index in `days`) of the first day after `after_day` whose day of month is in sorted `days` (<= 28)."""
    year, month, day_of_month = date_of(after_day)
    for index, wanted in enumerate(days):
        if wanted > day_of_month:
            return after_day + wanted - day_of_month, index
    year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return day_number(year, month, days[0]), 0
