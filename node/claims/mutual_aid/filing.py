"""Filing a claim: who may, for what, and for how much. Source: the programme's rules, docs/protocol.md."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims.calendar import years_old
from node.claims.events import EventKind
from node.claims.genesis import Ailment, Benefit, Role, Tier
from node.claims.module import Scope
from node.claims.mutual_aid.actions import FileClaim
from node.claims.mutual_aid.arrears import current_member
from node.claims.mutual_aid.assignment import assign, investigators
from node.claims.mutual_aid.holds import hold_fields, note_values
from node.claims.mutual_aid.lifecycle import open_claim
from node.claims.mutual_aid.persons import load_person
from node.claims.mutual_aid.plan_life import filing_problem
from node.claims.mutual_aid.records import (
    ClaimRecord,
    Counters,
    Exit,
    MemberRecord,
    load_claim,
    load_counters,
    load_member,
    save_counters,
    save_member,
)
from node.claims.mutual_aid.ties import merged, ties_of_member, ties_of_organisation
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.nullifiers.holders import values_problem
from node.claims.registry import Plan, Registry, Terms
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS, MAX_CLAIMS, NO_ORGANISATION

LOOK_BACK: Final = 100
"""Newest claims of a member among which an open one is looked for, and a person's earlier records in a plan."""
_ENDS_BY_DEADLINE: Final = (ClaimStatus.RETURNED, ClaimStatus.DENIED, ClaimStatus.JURY_FAILED)
TIER_NUMBERS: Final = {tier: number for number, tier in enumerate(Tier, start=1)}


def file_claim(registry: Registry, scope: Scope, action: FileClaim) -> ResultCode:
    """The guards run in the order of the result codes; the first that fails decides."""
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    member = load_member(scope.state, action.member)
    if member is None:
        return ResultCode.UNKNOWN_MEMBER
    if scope.sender.member not in (0, action.member):
        return ResultCode.NOT_THIS_MEMBER
    if member.plan != plan.number:
        return ResultCode.WRONG_PLAN
    member, code = current_member(registry, scope, action.member, member)
    if member is None:
        return code
    if member.exit is Exit.VOID:
        return ResultCode.MEMBERSHIP_VOID
    terms = plan.terms_on(action.diagnosis_day)
    ailment = terms.ailments.get(action.ailment)
    if ailment is None:
        return ResultCode.UNKNOWN_AILMENT
    code = (
        _day_problem(plan, terms, ailment, member, scope.now_ms, action)
        or filing_problem(scope, plan.number, action.diagnosis_day)
        or _standing_problem(scope, terms, member)
    )
    if code:
        return code
    amount, code = _benefit(terms, ailment, member, action)
    if code:
        return code
    if code := values_problem(action.event, action.papers):
        return code
    counters = load_counters(scope.state)
    number = counters.next_claim
    if number > MAX_CLAIMS:
        return ResultCode.LIMIT_REACHED
    claim = ClaimRecord(
        plan=plan.number,
        version=terms.plan.version,
        member=action.member,
        status=ClaimStatus.FILED,
        ailment=action.ailment,
        tier=TIER_NUMBERS[ailment.tier],
        diagnosis_day=action.diagnosis_day,
        accident=action.accident,
        filed_ms=scope.now_ms,
        claimed=amount,
        evidence=action.evidence,
        assigned=NO_ORGANISATION,
        attempt=0,
        deadline_ms=0,
        previous=member.last_claim,
        filer=NO_ORGANISATION if scope.sender.member else scope.sender.organisation,
        changed_ms=scope.now_ms,
        conflicted=merged(
            ties_of_member(scope.state, action.member), ties_of_organisation(scope.state, member.organisation)
        ),
        duplicate=note_values(scope, member.person, number, action.event, action.papers),
    )
    what, assigned, deadline_ms = _first_step(registry, scope, terms, number, claim, member.organisation)
    claim = replace(claim, assigned=assigned, deadline_ms=deadline_ms)
    save_counters(scope, Counters(next_member=counters.next_member, next_claim=number + 1))
    save_member(scope, action.member, replace(member, last_claim=number, open_claims=member.open_claims + 1))
    open_claim(scope, number, claim, what)
    return ResultCode.OK


def _first_step(
    registry: Registry, scope: Scope, terms: Terms, number: int, claim: ClaimRecord, enroller: int
) -> tuple[EventKind, int, int]:
    """(what happens first, whose turn it is, until when).

    What an organisation files has been through its own intake; a member's papers are looked at first.
    """
    deadlines = terms.plan.deadlines
    if scope.sender.member and registry.holders[Role.INTAKE]:
        assigned = assign(registry, Role.INTAKE, number)
        return EventKind.CLAIM_RECEIVED, assigned, scope.now_ms + deadlines.intake_hours * HOUR_MS
    if claim.duplicate:
        return EventKind.CLAIM_HELD, *hold_fields(registry, scope, number, claim, scope.now_ms)
    assigned = investigators(registry, number, claim, enroller)[0]
    return EventKind.CLAIM_FILED, assigned, scope.now_ms + deadlines.investigation_hours * HOUR_MS


def _day_problem(
    plan: Plan, terms: Terms, ailment: Ailment, member: MemberRecord, now_ms: int, action: FileClaim
) -> ResultCode:
    """Cover on the day of diagnosis, observation, and the reporting window."""
    today, day = plan.day_of(now_ms), action.diagnosis_day
    if day > today:
        return ResultCode.DIAGNOSIS_IN_FUTURE
    # Accidents are covered while waiting, but from the day after enrolment only.
    first = member.enrolled_day + 1 if action.accident else member.cover_day
    if day < first:
        return ResultCode.NOT_YET_COVERED
    if member.until_day and day >= member.until_day:
        return ResultCode.NO_LONGER_COVERED
    # The window begins when the claim can first be filed; else some conditions could never be claimed.
    assessed = day + ailment.observation_days
    if today < assessed:
        return ResultCode.OBSERVATION_NOT_OVER
    if today > assessed + terms.plan.report_window_days:
        return ResultCode.REPORT_WINDOW_OVER
    return ResultCode.OK


def _standing_problem(scope: Scope, terms: Terms, member: MemberRecord) -> ResultCode:
    records = _records_of(scope, member)
    if sum(record.open_claims for record in records) >= terms.plan.open_claims_max:
        over = any(may_be_over(scope, record) for record in records)
        return ResultCode.CLOCK_BEHIND if over else ResultCode.OPEN_CLAIM_EXISTS
    if terms.plan.benefit is Benefit.FIXED and any(record.paid_claims for record in records):
        return ResultCode.ALREADY_PAID
    return ResultCode.OK


def _records_of(scope: Scope, member: MemberRecord) -> list[MemberRecord]:
    """The person's records in the plan, the newest first: who moves or comes back does not begin anew with claims."""
    known = load_person(scope.state, member.plan, member.person)
    if known is None:
        return [member]
    records, number = [], known.member
    for _ in range(LOOK_BACK):
        record = load_member(scope.state, number)
        if record is None:
            break
        if record.plan == member.plan:
            records.append(record)
        number = record.came_from
    return records


def may_be_over(scope: Scope, member: MemberRecord) -> bool:
    """Whether a deadline that ends an open claim has passed and the clock has not come to it."""
    number = member.last_claim
    for _ in range(LOOK_BACK):
        claim = load_claim(scope.state, number)
        if claim is None:
            return False
        if claim.status in _ENDS_BY_DEADLINE and claim.deadline_ms <= scope.now_ms:
            return True
        number = claim.previous
    return False


def _benefit(terms: Terms, ailment: Ailment, member: MemberRecord, action: FileClaim) -> tuple[int, ResultCode]:
    """The amount claimed: the table's sum for a fixed benefit, the receipts up to its ceiling otherwise."""
    band = terms.band(years_old(member.birth_month, action.diagnosis_day))
    listed = band.benefit(ailment.tier) if band is not None else 0
    if listed == 0:
        return 0, ResultCode.BENEFIT_NOT_IN_TABLE
    if terms.plan.benefit is Benefit.FIXED:
        return listed, ResultCode.AMOUNT_IS_FIXED if action.amount else ResultCode.OK
    if not 0 < action.amount <= listed:
        return 0, ResultCode.AMOUNT_OUT_OF_RANGE
    return action.amount, ResultCode.OK
