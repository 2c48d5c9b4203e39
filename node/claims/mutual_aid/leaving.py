"""Leaving, moving to another plan or weight, the member's key, and a membership that is void.

A member who leaves today is covered until midnight and is not counted from tomorrow on; a disclosure of today or
earlier has counted it, so it pays that cycle. A move ends one record and begins another, with the days already
waited, so that each record has one plan and one weight: its bill stays a difference of sums.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.consortium import SenderRecord, load_sender
from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.accounts import family_of
from node.claims.mutual_aid.actions import Leave, MoveMember, SetKey
from node.claims.mutual_aid.arrears import current_member
from node.claims.mutual_aid.cohorts import change_cohort_exit
from node.claims.mutual_aid.enrolment import (
    age_problem,
    link_dependant,
    may_pay,
    new_record,
    pending_problem,
    rewatch,
)
from node.claims.mutual_aid.filing import may_be_over
from node.claims.mutual_aid.membership import change_head_count, end_membership
from node.claims.mutual_aid.persons import PersonRow, load_person, save_person
from node.claims.mutual_aid.plan_life import enrolment_problem
from node.claims.mutual_aid.records import (
    Counters,
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
    the_member,
)
from node.claims.registry import Plan, Registry
from node.claims.results import ResultCode
from node.claims.types import MAX_MEMBERS
from node.claims.wire import encode

MOVE_AFTER_AGE_DAYS: Final = 31
"""So long after reaching the age limit of one plan a member may still move to another with its waiting credit."""
NO_MEMBER: Final = -1
"""Holder of a key that was a member's and is nobody's now. The row stays, so that nothing signed is used twice."""


def _of_enroller(scope: Scope, number: int) -> tuple[MemberRecord | None, ResultCode]:
    member = load_member(scope.state, number)
    if member is None:
        return None, ResultCode.UNKNOWN_MEMBER
    if scope.sender.member:
        return (member, ResultCode.OK) if scope.sender.member == number else (None, ResultCode.NOT_THIS_MEMBER)
    if member.organisation != scope.sender.organisation:
        return None, ResultCode.NOT_THE_ENROLLER
    return member, ResultCode.OK


def _lives_after(member: MemberRecord, day: int) -> bool:
    return not member.until_day or member.until_day > day + 1


def leave(registry: Registry, scope: Scope, action: Leave) -> ResultCode:
    member, code = _of_enroller(scope, action.member)
    if member is None:
        return code
    member, code = current_member(registry, scope, action.member, member)
    if member is None:
        return code
    today = registry.plan(scope.state, member.plan).day_of(scope.now_ms)
    if not _lives_after(member, today):
        return ResultCode.MEMBERSHIP_ENDED
    family = [one for one in family_of(scope.state, action.member) if _lives_after(one[1], today)]
    if len(family) > 1 and not action.family:
        return ResultCode.DEPENDANTS_FIRST
    for number, one in family:
        save_member(scope, number, end_membership(scope, number, one, today, Exit.LEFT))
    return ResultCode.OK


def move_member(registry: Registry, scope: Scope, action: MoveMember) -> ResultCode:
    """The guards run in the order of what is read; the first that fails decides."""
    member, code = _of_enroller(scope, action.member)
    if member is None:
        return code
    target = registry.find(scope.state, action.plan)
    if target is None:
        return ResultCode.UNKNOWN_PLAN
    member, code = current_member(registry, scope, action.member, member)
    if member is None:
        return code
    today = registry.plan(scope.state, member.plan).day_of(scope.now_ms)
    target_terms = target.terms_on(target.day_of(scope.now_ms)).plan
    # To another number of units in the same plan a member may move as long as it is a member.
    if target.number != member.plan and (code := enrolment_problem(scope, target.number, target_terms)):
        return code
    if code := _move_problem(scope, action, member, target, today):
        return code
    counters = load_counters(scope.state)
    number = counters.next_member
    if number > MAX_MEMBERS:
        return ResultCode.LIMIT_REACHED
    moved, code = _moved_record(scope, action, member, target, number)
    if code:
        return code
    ended = end_membership(scope, action.member, member, today, Exit.MOVED)
    save_member(scope, action.member, replace(ended, exit=Exit.MOVED, moved_to=number, key=b""))
    if member.key:
        _hand_key(scope, member.key, number)
    _enter(scope, target, number, moved)
    save_counters(scope, Counters(next_member=number + 1, next_claim=counters.next_claim))
    scope.emit(
        EventKind.MEMBER_MOVED,
        plan=target.number,
        subject=action.member,
        organisation=member.organisation,
        value=number,
    )
    return rewatch(registry, scope, action.payer) if action.payer else ResultCode.OK


def _move_problem(scope: Scope, action: MoveMember, member: MemberRecord, target: Plan, today: int) -> ResultCode:
    of_age = member.exit is Exit.AGE and 0 < member.until_day <= today + 1
    if (of_age and today - member.until_day > MOVE_AFTER_AGE_DAYS) or (not of_age and not _lives_after(member, today)):
        return ResultCode.MEMBERSHIP_ENDED
    units = action.units or member.units
    if target.number == member.plan:
        if of_age or units == member.units:
            return ResultCode.NOTHING_TO_CHANGE
    elif (known := load_person(scope.state, target.number, member.person)) is not None:
        return pending_problem(scope, known.application) if known.application else ResultCode.PERSON_ALREADY_MEMBER
    if any(_lives_after(one, today) for _, one in family_of(scope.state, action.member)[1:]):
        return ResultCode.DEPENDANTS_FIRST
    if member.open_claims:
        return ResultCode.CLOCK_BEHIND if may_be_over(scope, member) else ResultCode.OPEN_CLAIM_EXISTS
    there = target.day_of(scope.now_ms)
    if target.number != member.plan and (code := age_problem(target.terms_on(there).plan, member.birth_month, there)):
        return code
    if action.payer and (action.payer == action.member or not may_pay(scope, target.number, action.payer, there)):
        return ResultCode.UNKNOWN_PAYER
    return ResultCode.OK


def _moved_record(
    scope: Scope, action: MoveMember, member: MemberRecord, target: Plan, number: int
) -> tuple[MemberRecord, ResultCode]:
    today = target.day_of(scope.now_ms)
    terms = target.terms_on(today).plan
    waits_from = member.waits_from or member.enrolled_day
    cover_day = max(today + 1, waits_from + terms.waiting_days)
    moved = new_record(
        terms,
        today,
        cover_day,
        birth_month=member.birth_month,
        plan=target.number,
        organisation=member.organisation,
        person=member.person,
        payer=action.payer,
        key=member.key,
        units=action.units or member.units,
        came_from=action.member,
        waits_from=waits_from,
        key_day=member.key_day,
        # What was paid once is not paid again after a change of weight.
        paid_claims=member.paid_claims if target.number == member.plan else 0,
    )
    return link_dependant(scope, action.payer, number, moved) if action.payer else (moved, ResultCode.OK)


def _enter(scope: Scope, plan: Plan, number: int, member: MemberRecord) -> None:
    save_member(scope, number, member)
    save_person(scope, plan.number, member.person, PersonRow(number))
    change_head_count(scope, plan.number, member.share_day, member.organisation, member.units)
    if member.until_day:
        change_head_count(scope, plan.number, member.until_day, member.organisation, -member.units)
        if load_cohorts(scope.state, plan.number) is not None:
            change_cohort_exit(
                scope, plan.number, member.until_day, member.organisation, member.share_day, member.units
            )
    tally = load_tally(scope.state, plan.number)
    save_tally(scope, plan.number, PlanTally(members=tally.members + 1, claims=tally.claims))


def set_key(registry: Registry, scope: Scope, action: SetKey) -> ResultCode:
    """Once a day for each member, so that nobody can fill the state with keys."""
    member, code = _of_enroller(scope, action.member)
    if member is None:
        return code
    today = registry.plan(scope.state, member.plan).day_of(scope.now_ms)
    if member.until_day and member.until_day <= today:
        return ResultCode.MEMBERSHIP_ENDED
    if action.key == member.key:
        return ResultCode.NOTHING_TO_CHANGE
    if member.key_day == today:
        return ResultCode.KEY_CHANGED_TODAY
    if action.key:
        known = load_sender(scope.state, action.key) if len(action.key) == 32 else None
        if len(action.key) != 32 or (known is not None and known.member != NO_MEMBER):
            return ResultCode.KEY_IN_USE
        if known is None:
            fresh = SenderRecord(organisation=member.organisation, member=action.member, highest=0, window=b"")
            scope.state.put(keys.sender(action.key), encode(fresh))
        else:
            scope.state.put(
                keys.sender(action.key), encode(replace(known, organisation=member.organisation, member=action.member))
            )
    if member.key:
        _hand_key(scope, member.key, NO_MEMBER)
    save_member(scope, action.member, replace(member, key=action.key, key_day=today))
    scope.emit(EventKind.KEY_CHANGED, plan=member.plan, subject=action.member, organisation=member.organisation)
    return ResultCode.OK


def _hand_key(scope: Scope, key: bytes, number: int) -> None:
    record = load_sender(scope.state, key)
    if record is not None:
        scope.state.put(keys.sender(key), encode(replace(record, member=number)))


def void_membership(registry: Registry, scope: Scope, number: int) -> None:
    """The health declaration was found untrue: no cover, no claim, and no second enrolment in this plan.

    Shares already charged stay: they were spent for others. A membership that has ended is void as well.
    """
    member = the_member(scope.state, number)
    today = registry.plan(scope.state, member.plan).day_of(scope.now_ms)
    ended = end_membership(scope, number, member, today, Exit.VOID)
    save_member(scope, number, replace(ended, exit=Exit.VOID))
