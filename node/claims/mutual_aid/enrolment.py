"""Enrolment: who may join, when cover begins and until when it lasts, and who pays for whom.

A batch changes the head count by one row per day: it never walks over the members who are there. Who left,
or was removed and has paid its arrears, may join again; waiting begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import birthday, months_old, years_old
from node.claims.consortium import SenderRecord
from node.claims.events import EventKind
from node.claims.genesis import PlanTerms
from node.claims.module import Scope
from node.claims.mutual_aid.accounts import MAX_DEPENDANTS, arrears_of, save_account, watch
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.mutual_aid.application_records import the_application
from node.claims.mutual_aid.arrears import current_account
from node.claims.mutual_aid.cohorts import change_cohort_exit
from node.claims.mutual_aid.membership import change_head_count
from node.claims.mutual_aid.persons import PersonRow, load_person, save_person
from node.claims.mutual_aid.plan_life import enrolment_problem
from node.claims.mutual_aid.records import (
    Counters,
    Exit,
    MemberRecord,
    PlanTally,
    load_account,
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


def enrol(registry: Registry, scope: Scope, action: Enrol) -> ResultCode:
    """Enrol a batch, all or none. The detail of a refusal names the index of the first bad entry."""
    plan = registry.find(scope.state, action.plan)
    return ResultCode.UNKNOWN_PLAN if plan is None else admit(registry, scope, plan, action.members)


def admit(
    registry: Registry, scope: Scope, plan: Plan, members: Sequence[NewMember], *, application: int = 0
) -> ResultCode:
    """Enrol people today, all or none. `application`: the one that is accepted by it, whose person is enrolled."""
    counters = load_counters(scope.state)
    first, count = counters.next_member, len(members)
    if first + count > MAX_MEMBERS:
        return ResultCode.LIMIT_REACHED
    today = plan.day_of(scope.now_ms)
    batch = _Batch(plan, plan.terms_on(today).plan, today)
    if code := enrolment_problem(scope, plan.number, batch.terms):
        return code
    # Exits are booked by cohort too if the plan has a yearly cap.
    batch.by_cohort = load_cohorts(scope.state, plan.number) is not None
    for index, entry in enumerate(members):
        code = _enrol_one(registry, scope, batch, entry, first, index, application)
        if code:
            scope.detail = "" if application else f"member {index}"
            return code
    organisation = scope.sender.organisation
    batch.book(scope, organisation)
    save_counters(scope, Counters(next_member=first + count, next_claim=counters.next_claim))
    tally = load_tally(scope.state, plan.number)
    save_tally(scope, plan.number, PlanTally(members=tally.members + count, claims=tally.claims))
    scope.emit(EventKind.MEMBERS_ENROLLED, plan=plan.number, subject=first, organisation=organisation, value=count)
    return ResultCode.OK


class _Batch:
    """What the members of one action have in common, and how they change the head count together."""

    __slots__ = ("by_cohort", "changes", "day", "exits", "plan", "terms")

    def __init__(self, plan: Plan, terms: PlanTerms, today: int) -> None:
        self.plan, self.terms, self.day = plan, terms, today
        self.by_cohort = False
        self.changes: dict[int, int] = {}
        self.exits: dict[tuple[int, int], int] = {}

    def count(self, share_day: int, until_day: int, units: int) -> None:
        self.changes[share_day] = self.changes.get(share_day, 0) + units
        if until_day:
            self.changes[until_day] = self.changes.get(until_day, 0) - units
            if self.by_cohort:
                self.exits[until_day, share_day] = self.exits.get((until_day, share_day), 0) + units

    def book(self, scope: Scope, organisation: int) -> None:
        for day, change in self.changes.items():
            change_head_count(scope, self.plan.number, day, organisation, change)
        for (until_day, share_day), units in self.exits.items():
            change_cohort_exit(scope, self.plan.number, until_day, organisation, share_day, units)


def _enrol_one(
    registry: Registry, scope: Scope, batch: _Batch, entry: NewMember, first: int, index: int, application: int
) -> ResultCode:
    state, number, terms = scope.state, first + index, batch.terms
    known = load_person(state, batch.plan.number, entry.person)
    before = 0
    if known is not None:
        before = known.member
        if known.application and known.application != application:
            return pending_problem(scope, known.application)
        if before and (code := return_problem(registry, scope, before, batch.day)):
            return code
    if code := age_problem(terms, entry.birth_month, batch.day):
        return code
    payer = entry.payer if entry.payer >= 0 else first - entry.payer - 1
    if entry.payer and not may_pay(scope, batch.plan.number, payer, batch.day):
        return ResultCode.UNKNOWN_PAYER
    if entry.key:
        if len(entry.key) != 32 or state.get(keys.sender(entry.key)) is not None:
            return ResultCode.KEY_IN_USE
        account = SenderRecord(organisation=scope.sender.organisation, member=number, highest=0, window=b"")
        state.store(keys.sender(entry.key), account)
    # Whole days, from the day after enrolment: an accident or diagnosis earlier the same day is not covered.
    cover_day = batch.day + max(1, terms.waiting_days)
    member = new_record(
        terms,
        batch.day,
        cover_day,
        plan=batch.plan.number,
        birth_month=entry.birth_month,
        organisation=scope.sender.organisation,
        person=entry.person,
        payer=payer,
        key=entry.key,
        units=entry.units,
        came_from=before,
    )
    batch.count(member.share_day, member.until_day, member.units)
    if payer:
        member, code = link_dependant(scope, payer, number, member)
        if code:
            return code
    save_member(scope, number, member)
    save_person(scope, batch.plan.number, entry.person, PersonRow(number))
    return rewatch(registry, scope, payer) if payer else ResultCode.OK


def age_problem(terms: PlanTerms, birth_month: int, today: int) -> ResultCode:
    """Whether somebody of this age may enter the plan."""
    if months_old(birth_month, today) < terms.entry_age_min_months:
        return ResultCode.TOO_YOUNG
    return ResultCode.TOO_OLD if years_old(birth_month, today) > terms.entry_age_max_years else ResultCode.OK


def new_record(
    terms: PlanTerms,
    today: int,
    cover_day: int,
    *,
    birth_month: int,
    plan: int,
    organisation: int,
    person: bytes,
    payer: int,
    key: bytes,
    units: int,
    came_from: int,
    paid_claims: int = 0,
    waits_from: int = 0,
    key_day: int = 0,
) -> MemberRecord:
    """The record of a membership that is entered today."""
    share_day = today + 1 if terms.waiting_members_share else cover_day
    until_day = 0
    if terms.cover_until_age_years:
        until_day = max(birthday(birth_month, terms.cover_until_age_years), share_day)
    return MemberRecord(
        plan=plan,
        organisation=organisation,
        person=person,
        birth_month=birth_month,
        enrolled_day=today,
        cover_day=cover_day,
        share_day=share_day,
        until_day=until_day,
        exit=Exit.AGE,
        payer=payer,
        key=key,
        last_claim=0,
        open_claims=0,
        paid_claims=paid_claims,
        units=units,
        came_from=came_from,
        waits_from=waits_from,
        key_day=key_day,
    )


def may_pay(scope: Scope, plan: int, payer: int, today: int) -> bool:
    """A payer is a member of the same plan, there already and still, who pays for itself."""
    head = load_member(scope.state, payer)
    if head is None or head.plan != plan or head.payer:
        return False
    return not head.until_day or head.until_day > today


def link_dependant(scope: Scope, payer: int, number: int, member: MemberRecord) -> tuple[MemberRecord, ResultCode]:
    """Put the member into the list of those for whom `payer` pays. Returns its record; the caller saves it."""
    head = the_member(scope.state, payer)
    if head.dependants >= MAX_DEPENDANTS:
        return member, ResultCode.TOO_MANY_DEPENDANTS
    save_member(scope, payer, replace(head, last_dependant=number, dependants=head.dependants + 1))
    return replace(member, previous_dependant=head.last_dependant), ResultCode.OK


def rewatch(registry: Registry, scope: Scope, payer: int) -> ResultCode:
    """The payer's bill grows faster from now on: its balance, if it keeps one, runs out earlier."""
    if load_account(scope.state, payer) is None:
        return ResultCode.OK
    account, code = current_account(registry, scope, payer)
    if account is not None and account.threshold >= 0 and not account.failures:
        save_account(scope, payer, watch(registry, scope, payer, account))
    return code


def pending_problem(scope: Scope, application: int) -> ResultCode:
    """Why somebody whose application is pending cannot join or apply beside it."""
    over = the_application(scope.state, application).deadline_ms <= scope.now_ms
    return ResultCode.CLOCK_BEHIND if over else ResultCode.APPLICATION_PENDING


def return_problem(registry: Registry, scope: Scope, number: int, today: int) -> ResultCode:
    """Whether the person of this earlier record may join the plan again: who left, or was removed and has paid."""
    member = the_member(scope.state, number)
    if member.exit is Exit.VOID:
        return ResultCode.MEMBERSHIP_VOID
    if not 0 < member.until_day <= today or member.exit not in (Exit.LEFT, Exit.REMOVED):
        return ResultCode.PERSON_ALREADY_MEMBER
    payer = member.payer or number
    if load_account(scope.state, payer) is None:
        return ResultCode.OK
    account, code = current_account(registry, scope, payer)
    if account is not None and arrears_of(registry, scope.state, payer, account):
        return ResultCode.IN_ARREARS
    return code
