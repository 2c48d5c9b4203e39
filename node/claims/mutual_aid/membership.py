"""Enrolment, cover, and the head count by day.

Nothing ever walks over the members. Each enrolment and exit adds to one row per plan, day and
organisation; a disclosure sums the rows up to its day.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import birthday, months_old, years_old
from node.claims.consortium import SenderRecord
from node.claims.events import EventKind
from node.claims.genesis import PlanTerms
from node.claims.module import Scope
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.mutual_aid.cohorts import change_cohort_exit
from node.claims.mutual_aid.records import (
    Counters,
    DayChange,
    Exit,
    MemberRecord,
    PlanTally,
    load_cohorts,
    load_counters,
    load_member,
    load_tally,
    save_counters,
    save_member,
    save_tally,
)
from node.claims.registry import Plan, Registry
from node.claims.results import ResultCode
from node.claims.types import MAX_MEMBERS
from node.claims.wire import decode_trusted, encode


def enrol(registry: Registry, scope: Scope, action: Enrol) -> ResultCode:
    """Enrol a batch, all or none. The detail of a refusal names the index of the first bad entry."""
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    counters = load_counters(scope.state)
    first, count = counters.next_member, len(action.members)
    if first + count > MAX_MEMBERS:
        return ResultCode.LIMIT_REACHED
    today = plan.day_of(scope.now_ms)
    terms = plan.terms_on(today).plan
    # Exits are booked by cohort too if the plan has a yearly cap.
    exits: dict[tuple[int, int], int] | None = None if load_cohorts(scope.state, plan.number) is None else {}
    changes: dict[int, int] = {}
    for index, entry in enumerate(action.members):
        code = _enrol_one(scope, plan, terms, today, entry, first, index, changes, exits)
        if code:
            scope.detail = f"member {index}"
            return code
    organisation = scope.sender.organisation
    for day, change in changes.items():
        change_head_count(scope, plan.number, day, organisation, change)
    for (until_day, share_day), units in (exits or {}).items():
        change_cohort_exit(scope, plan.number, until_day, organisation, share_day, units)
    save_counters(scope, Counters(next_member=first + count, next_claim=counters.next_claim))
    tally = load_tally(scope.state, plan.number)
    save_tally(scope, plan.number, PlanTally(members=tally.members + count, claims=tally.claims))
    scope.emit(EventKind.MEMBERS_ENROLLED, plan=plan.number, subject=first, organisation=organisation, value=count)
    return ResultCode.OK


def _enrol_one(
    scope: Scope,
    plan: Plan,
    terms: PlanTerms,
    today: int,
    entry: NewMember,
    first: int,
    index: int,
    changes: dict[int, int],
    exits: dict[tuple[int, int], int] | None,
) -> ResultCode:
    state, number = scope.state, first + index
    person_key = keys.person(plan.number, entry.person)
    if state.get(person_key) is not None:
        return ResultCode.PERSON_ALREADY_MEMBER
    if months_old(entry.birth_month, today) < terms.entry_age_min_months:
        return ResultCode.TOO_YOUNG
    if years_old(entry.birth_month, today) > terms.entry_age_max_years:
        return ResultCode.TOO_OLD
    payer = entry.payer if entry.payer >= 0 else first - entry.payer - 1
    if entry.payer and not _may_pay(scope, plan.number, payer):
        return ResultCode.UNKNOWN_PAYER
    if entry.key:
        if len(entry.key) != 32 or state.get(keys.sender(entry.key)) is not None:
            return ResultCode.KEY_IN_USE
        account = SenderRecord(organisation=scope.sender.organisation, member=number, highest=0, window=b"")
        state.put(keys.sender(entry.key), encode(account))
    # Whole days, from the day after enrolment: an accident or diagnosis earlier the same day is not covered.
    cover_day = today + max(1, terms.waiting_days)
    share_day = today + 1 if terms.waiting_members_share else cover_day
    until_day = 0
    if terms.cover_until_age_years:
        until_day = max(birthday(entry.birth_month, terms.cover_until_age_years), share_day)
        changes[until_day] = changes.get(until_day, 0) - entry.units
        if exits is not None:
            exits[until_day, share_day] = exits.get((until_day, share_day), 0) + entry.units
    changes[share_day] = changes.get(share_day, 0) + entry.units
    member = MemberRecord(
        plan=plan.number,
        organisation=scope.sender.organisation,
        person=entry.person,
        birth_month=entry.birth_month,
        enrolled_day=today,
        cover_day=cover_day,
        share_day=share_day,
        until_day=until_day,
        exit=Exit.AGE,
        payer=payer,
        key=entry.key,
        last_claim=0,
        open_claims=0,
        paid_claims=0,
        units=entry.units,
    )
    save_member(scope, number, member)
    state.put(person_key, encode((number,)))
    return ResultCode.OK


def _may_pay(scope: Scope, plan: int, payer: int) -> bool:
    """A payer is a member of the same plan, there already, who pays for itself."""
    head = load_member(scope.state, payer)
    return head is not None and head.plan == plan and head.payer == 0


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
    raw = scope.state.get(key)
    total = change + (decode_trusted(DayChange, raw).change if raw is not None else 0)
    if total:
        scope.state.put(key, encode(DayChange(change=total)))
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
