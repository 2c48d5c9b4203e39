"""Applications for membership: recorded, then accepted, refused, withdrawn, or lapsed by a deadline.

An application holds the person's place in the plan and nothing else: it counts nowhere, and pays and claims
nothing. Who has to answer for the member's shares decides, the enroller. All that an enrolment is judged by is judged
on the day of acceptance and by the terms of that day; so nothing that changes meanwhile has to look for applications.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.module import InvariantBroken, Scope
from node.claims.mutual_aid.actions import NewMember
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Applicant,
    Apply,
    RefusalReason,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.application_life import APPLICATION_TRANSITIONS, ApplicationStatus
from node.claims.mutual_aid.application_records import (
    ApplicationCounter,
    ApplicationRecord,
    count_applications,
    load_application,
    load_application_counter,
    save_application,
    save_application_counter,
    save_application_of,
    the_application,
)
from node.claims.mutual_aid.enrolment import admit, may_pay, pending_problem, return_problem
from node.claims.mutual_aid.persons import PersonRow, load_person, save_person
from node.claims.mutual_aid.plan_life import enrolment_problem
from node.claims.mutual_aid.records import load_counters
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.registry import Plan, Registry
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS, MAX_MEMBERS

_REASONS: Final = frozenset(reason.value for reason in RefusalReason)


def apply(registry: Registry, scope: Scope, action: Apply) -> ResultCode:
    """Record a batch, all or none. The detail of a refusal names the index of the first bad entry."""
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    first, count = load_application_counter(scope.state).next_application, len(action.applicants)
    if first + count > MAX_MEMBERS:
        return ResultCode.LIMIT_REACHED
    today = plan.day_of(scope.now_ms)
    if code := enrolment_problem(scope, plan.number, plan.terms_on(today).plan):
        return code
    for index, entry in enumerate(action.applicants):
        code = _apply_one(registry, scope, plan, entry, first, index)
        if code:
            scope.detail = f"applicant {index}"
            return code
    save_application_counter(scope, ApplicationCounter(next_application=first + count))
    count_applications(scope, plan.number, None, ApplicationStatus.APPLIED, count)
    scope.emit(
        EventKind.APPLICATIONS_RECORDED,
        plan=plan.number,
        subject=first,
        organisation=scope.sender.organisation,
        value=count,
    )
    return ResultCode.OK


def _apply_one(registry: Registry, scope: Scope, plan: Plan, entry: Applicant, first: int, index: int) -> ResultCode:
    today = plan.day_of(scope.now_ms)
    row = load_person(scope.state, plan.number, entry.person) or PersonRow(0)
    if row.application:
        return pending_problem(scope, row.application)
    if row.member and (code := return_problem(registry, scope, row.member, today)):
        return code
    payer, payer_application = max(entry.payer, 0), 0
    if payer and not may_pay(scope, plan.number, payer, today):
        return ResultCode.UNKNOWN_PAYER
    if entry.payer < 0:
        payer_application = first - entry.payer - 1
        head = load_application(scope.state, payer_application) if payer_application < first + index else None
        if head is None or head.payer or head.payer_application:
            return ResultCode.UNKNOWN_PAYER
    number = first + index
    application = ApplicationRecord(
        plan=plan.number,
        organisation=scope.sender.organisation,
        person=entry.person,
        birth_month=entry.birth_month,
        declaration=entry.declaration,
        payer=payer,
        payer_application=payer_application,
        units=entry.units,
        status=APPLICATION_TRANSITIONS[None, EventKind.APPLICATIONS_RECORDED],
        applied_ms=scope.now_ms,
        changed_ms=scope.now_ms,
        deadline_ms=scope.now_ms + plan.terms_on(today).plan.deadlines.application_hours * HOUR_MS,
    )
    scope.schedule(DeadlineKind.APPLICATION, application.deadline_ms, number)
    save_application(scope, number, application)
    save_person(scope, plan.number, entry.person, row._replace(application=number))
    return ResultCode.OK


def accept(registry: Registry, scope: Scope, action: AcceptApplication) -> ResultCode:
    """The applicant is enrolled today: with today's terms, at today's age, and waiting from today."""
    application, code = _pending(scope, action.application)
    if application is None:
        return code
    payer, code = _payer_of(scope, application)
    if code:
        return code
    member = load_counters(scope.state).next_member
    entry = NewMember(
        person=application.person,
        birth_month=application.birth_month,
        key=action.key,
        payer=payer,
        units=application.units,
    )
    plan = registry.plan(scope.state, application.plan)
    if code := admit(registry, scope, plan, (entry,), application=action.application):
        return code
    save_application_of(scope, member, action.application)
    _end(
        scope,
        action.application,
        application,
        EventKind.APPLICATION_ACCEPTED,
        at_ms=scope.now_ms,
        value=member,
        member=member,
    )
    return ResultCode.OK


def refuse(registry: Registry, scope: Scope, action: RefuseApplication) -> ResultCode:
    """By the terms of today, as an acceptance would be."""
    application, code = _pending(scope, action.application)
    if application is None:
        return code
    if not (action.clause and action.reason):
        return ResultCode.REFUSAL_WITHOUT_GROUNDS
    plan = registry.plan(scope.state, application.plan)
    if action.clause not in plan.terms_on(plan.day_of(scope.now_ms)).clauses:
        return ResultCode.UNKNOWN_CLAUSE
    if action.reason not in _REASONS:
        return ResultCode.UNKNOWN_REASON
    _end(
        scope,
        action.application,
        application,
        EventKind.APPLICATION_REFUSED,
        at_ms=scope.now_ms,
        value=action.reason,
        clause=action.clause,
        reason=action.reason,
    )
    return ResultCode.OK


def withdraw(_: Registry, scope: Scope, action: WithdrawApplication) -> ResultCode:
    application, code = _pending(scope, action.application)
    if application is None:
        return code
    _end(scope, action.application, application, EventKind.APPLICATION_WITHDRAWN, at_ms=scope.now_ms)
    return ResultCode.OK


def lapse(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """Nobody has decided in time: the person may apply anew."""
    application = the_application(scope.state, number)
    if application.deadline_ms != due_ms:
        raise InvariantBroken(f"application {number} lapses at {application.deadline_ms}, not at {due_ms}")
    _end(scope, number, application, EventKind.APPLICATION_LAPSED, at_ms=due_ms)


def _pending(scope: Scope, number: int) -> tuple[ApplicationRecord | None, ResultCode]:
    """The application, if the sender may decide it now."""
    application = load_application(scope.state, number)
    if application is None:
        return None, ResultCode.UNKNOWN_APPLICATION
    if application.organisation != scope.sender.organisation:
        return None, ResultCode.NOT_THE_ENROLLER
    if application.status is not ApplicationStatus.APPLIED:
        return None, ResultCode.WRONG_APPLICATION_STATUS
    if application.deadline_ms <= scope.now_ms:
        return None, ResultCode.CLOCK_BEHIND
    return application, ResultCode.OK


def _payer_of(scope: Scope, application: ApplicationRecord) -> tuple[int, ResultCode]:
    """Number of the member who is to pay, or 0."""
    if not application.payer_application:
        return application.payer, ResultCode.OK
    head = the_application(scope.state, application.payer_application)
    return head.member, ResultCode.OK if head.member else ResultCode.PAYER_NOT_ACCEPTED


def _end(
    scope: Scope,
    number: int,
    application: ApplicationRecord,
    what: EventKind,
    *,
    at_ms: int,
    value: int = 0,
    **changes: object,
) -> None:
    """Carry out the transition `what`; guards have passed, so a missing table row is a bug (KeyError)."""
    status = APPLICATION_TRANSITIONS[application.status, what]
    scope.cancel(DeadlineKind.APPLICATION, application.deadline_ms, number)
    row = load_person(scope.state, application.plan, application.person)
    if row is not None and row.application == number:
        save_person(scope, application.plan, application.person, row._replace(application=0))
    save_application(scope, number, replace(application, status=status, changed_ms=at_ms, deadline_ms=0, **changes))
    count_applications(scope, application.plan, application.status, status)
    scope.emit(what, plan=application.plan, subject=number, organisation=application.organisation, value=value)
