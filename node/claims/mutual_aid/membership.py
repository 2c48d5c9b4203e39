"""How a membership ends, and the head count by day.

Nothing ever walks over the members. Each enrolment and exit adds to one row per plan, day and
organisation; a disclosure sums the rows up to its day.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.cohorts import change_cohort_exit
from node.claims.mutual_aid.records import DayChange, Exit, MemberRecord, load_cohorts
from node.claims.wire import decode_trusted


def end_membership(
    scope: Scope, number: int, member: MemberRecord, last_day: int, exit: Exit = Exit.AIDED
) -> MemberRecord:
    """The member leaves after `last_day`. Returns the record; the caller saves it.

    The exit that was foreseen by age is taken back, so that the member is subtracted once. Who leaves before
    the day of beginning to share never shares at all.
    """
    until_day = last_day + 1
    if member.until_day and member.until_day <= until_day:
        return member
    if exit is Exit.AIDED:
        until_day = max(until_day, member.share_day)
    if member.until_day:
        _book_exit(scope, member, member.until_day, 1)
    _book_exit(scope, member, until_day, -1)
    scope.emit(
        EventKind.MEMBER_LEFT,
        plan=member.plan,
        subject=number,
        organisation=member.organisation,
        value=until_day,
    )
    return replace(member, until_day=until_day, exit=exit)


def _book_exit(scope: Scope, member: MemberRecord, until_day: int, sign: int) -> None:
    """-1: the member is subtracted from the head count on `until_day`; 1: that is taken back."""
    day = max(until_day, member.share_day)
    change_head_count(scope, member.plan, day, member.organisation, sign * member.units)
    if load_cohorts(scope.state, member.plan) is not None:
        change_cohort_exit(scope, member.plan, day, member.organisation, member.share_day, -sign * member.units)


def change_head_count(scope: Scope, plan: int, day: int, organisation: int, change: int) -> None:
    """From 00:00 of `day`, `change` more units of members of `organisation` share the plan's cost."""
    key = keys.day_change(plan, day, organisation)
    booked = scope.state.load(key, DayChange)
    total = change + (booked.change if booked is not None else 0)
    if total:
        scope.state.store(key, DayChange(change=total))
    else:
        scope.state.delete(key)


def take_head_counts(scope: Scope, plan: int, through_day: int, units: tuple[int, ...]) -> tuple[int, ...]:
    """`units` per organisation after all changes through 00:00 of `through_day`, whose rows are removed."""
    start, end = keys.day_change(plan, 0, 0), keys.day_change(plan, through_day + 1, 0)
    counts = list(units)
    for key, raw in list(scope.state.scan(start, end)):
        counts[keys.parse_day_change(key)[2]] += decode_trusted(DayChange, raw).change
        scope.state.delete(key)
    return tuple(counts)
