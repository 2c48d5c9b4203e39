"""Cohorts: who shares, by the cycle in which they began. Only plans with a yearly cap keep them.

Under such a cap a unit's charge depends on what it was charged this year, and that only on when it began: so
a settlement looks at one row for each cycle of the year and one for everybody older, never at members. An
exit is booked when it becomes known, in a row of its day and of the day on which the member began to share;
the disclosure on or after that day takes it out of the member's cohort.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import date_of
from node.claims.module import InvariantBroken, Scope
from node.claims.mutual_aid.records import Cohort, Cohorts, DayChange, load_cohorts, save_cohorts
from node.claims.wire import decode_trusted, encode

_SURELY_MERGED_DAYS: Final = 800
"""Who began so long before leaving shared before the year of leaving: a cycle takes at most a year."""


def cohort_row(plan: int, until_day: int, organisation: int, share_day: int) -> bytes:
    """Key of the row in which an exit is booked."""
    began = share_day if until_day - share_day <= _SURELY_MERGED_DAYS else 0
    return keys.cohort_exit(plan, until_day, organisation, began)


def change_cohort_exit(scope: Scope, plan: int, until_day: int, organisation: int, share_day: int, change: int) -> None:
    """`change` more units that began to share on `share_day` leave at 00:00 of `until_day`."""
    key = cohort_row(plan, until_day, organisation, share_day)
    raw = scope.state.get(key)
    total = change + (decode_trusted(DayChange, raw).change if raw is not None else 0)
    if total:
        scope.state.put(key, encode(DayChange(change=total)))
    else:
        scope.state.delete(key)


def disclose_cohorts(scope: Scope, plan: int, cycle: int, day: int, units: tuple[int, ...]) -> None:
    """Take out who left through 00:00 of `day` and add who joined; `units` is the new head count.

    With a new year everybody who has shared before becomes one cohort, and all charges begin at 0.
    """
    record = load_cohorts(scope.state, plan)
    if record is None:
        return
    year = date_of(day)[0]
    cohorts = list(record.cohorts if record.year == year else _merged(record))
    counts = [list(cohort.units) for cohort in cohorts]
    days = [cohort.day for cohort in cohorts]
    rows = list(scope.state.scan(keys.cohort_exit(plan, 0, 0, 0), keys.cohort_exit(plan, day + 1, 0, 0)))
    for key, raw in rows:
        scope.state.delete(key)
        _, _, organisation, began = keys.parse_cohort_exit(key)
        index = _cohort_of(days, began)
        if index is not None:
            counts[index][organisation] -= decode_trusted(DayChange, raw).change
    # Who joined and left between two disclosures is in neither; so what is missing is who joined and stays.
    joined = tuple(total - sum(count[number] for count in counts) for number, total in enumerate(units))
    if min((*joined, *(units for count in counts for units in count)), default=0) < 0:
        raise InvariantBroken(f"a cohort of plan {plan} has fewer than no members on day {day}")
    kept = [replace(cohort, units=tuple(count)) for cohort, count in zip(cohorts, counts, strict=True)]
    fresh = Cohort(cycle=cycle, day=day, units=joined)
    save_cohorts(scope, plan, Cohorts(year=year, cohorts=(*kept, fresh)))


def _merged(record: Cohorts) -> tuple[Cohort, ...]:
    if not record.cohorts:
        return ()
    columns = zip(*(cohort.units for cohort in record.cohorts), strict=True)
    units = tuple(sum(column) for column in columns)
    return (Cohort(cycle=0, day=record.cohorts[-1].day, units=units),)


def _cohort_of(days: list[int], began: int) -> int | None:
    """Index of the cohort of who began to share on `began`, in rising `days`; None if they never shared."""
    for index, day in enumerate(days):
        if began <= day:
            return index
    return None


def charge_cohorts(scope: Scope, plan: int, charges: tuple[int, ...], year_cap: int) -> tuple[int, ...]:
    """Book a settlement; what each organisation owes for it."""
    record = load_cohorts(scope.state, plan)
    if record is None or len(charges) != len(record.cohorts):
        raise InvariantBroken(f"the cohorts of plan {plan} are not those that were charged")
    charged = []
    owed = [0] * len(record.cohorts[0].units)
    for cohort, charge in zip(record.cohorts, charges, strict=True):
        total = cohort.charged + charge
        if year_cap and total > year_cap:
            raise InvariantBroken(f"a cohort of plan {plan} is charged {total} in a year, above {year_cap}")
        charged.append(replace(cohort, charged=total))
        owed = [sum_ + units * charge for sum_, units in zip(owed, cohort.units, strict=True)]
    save_cohorts(scope, plan, Cohorts(year=record.year, cohorts=tuple(charged)))
    return tuple(owed)
