"""The steps that organisations take in turn: investigation, review, payment; and what happens if they do not.

A deadline that passes hands the step to the next organisation and is counted against the one that was
late. The new deadline counts from the old one, not from when the clock came to it: so it makes no
difference whether the clock or a transaction found it overdue, or in which block.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.consortium import OrganisationTally
from node.claims.events import EventKind
from node.claims.genesis import Role
from node.claims.module import Scope
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    ExtendInvestigation,
    Extension,
    Finding,
    Investigate,
    Recuse,
)
from node.claims.mutual_aid.arrears import deduct, deduction
from node.claims.mutual_aid.assignment import after, investigators, reviewers, rotation, uninvolved_reviewers
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.membership import end_membership
from node.claims.mutual_aid.receipts import can_pay
from node.claims.mutual_aid.records import (
    ClaimRecord,
    load_claim,
    load_plan,
    save_member,
    save_plan,
    the_claim,
    the_member,
)
from node.claims.mutual_aid.refusals import grounds_problem, terms_of
from node.claims.mutual_aid.ties import merged, ties_of_organisation
from node.claims.mutual_aid.transitions import RECUSABLE, STAYS, ClaimStatus
from node.claims.registry import Registry, Terms
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from node.claims.wire import decode_trusted, encode

CYCLES_AHEAD: Final = 100
_EXTENSIONS: Final = frozenset(extension.value for extension in Extension)


class Step:
    """What differs between the three steps when a deadline is missed."""

    __slots__ = ("missed", "role", "tally")

    def __init__(self, role: Role, missed: EventKind, tally: str) -> None:
        self.role, self.missed, self.tally = role, missed, tally


STEPS: Final = {
    ClaimStatus.FILED: Step(Role.INVESTIGATOR, EventKind.INVESTIGATION_MISSED, "investigations_missed"),
    ClaimStatus.INVESTIGATED: Step(Role.REVIEWER, EventKind.REVIEW_MISSED, "reviews_missed"),
    ClaimStatus.SETTLED: Step(Role.PAYMENT, EventKind.PAYMENT_MISSED, "payments_missed"),
}


def step_hours(terms: Terms, status: ClaimStatus) -> int:
    """Time for the step of `status`."""
    deadlines = terms.plan.deadlines
    hours = {
        ClaimStatus.FILED: deadlines.investigation_hours,
        ClaimStatus.INVESTIGATED: deadlines.review_hours,
        ClaimStatus.OBJECTED: deadlines.objection_hours,
        ClaimStatus.DUP_HOLD: terms.plan.claim_rules.hold_hours,
    }
    return hours.get(status, deadlines.payment_hours)


def pass_on(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """A step's deadline has passed: the next organisation's turn.

    If the chain stood still, it may have passed thousands of times. All of them are counted here at once, at a
    cost bounded by one round of the rotation, so that neither the clock nor a transaction pays for the silence.
    The events tell the last round only.
    """
    claim = the_claim(scope.state, number)
    step = STEPS[claim.status]
    late = claim.assigned
    following = after(turns_of(registry, scope, claim, number), late)
    size = len(following)
    period_ms = step_hours(terms_of(registry, scope, claim), claim.status) * HOUR_MS
    missed = (scope.now_ms - due_ms) // period_ms + 1
    count_missed(scope, late, step.tally, 1)
    for index in range(min(missed - 1, size)):
        count_missed(scope, following[index], step.tally, (missed - 2 - index) // size + 1)
    for turn in range(max(1, missed - size + 1), missed):
        before = following[(turn - 2) % size] if turn > 1 else late
        scope.emit(
            step.missed, plan=claim.plan, subject=number, organisation=following[(turn - 1) % size], value=before
        )
    move(
        scope,
        number,
        claim,
        step.missed,
        deadline_ms=due_ms + missed * period_ms,
        assigned=following[(missed - 1) % size],
        attempt=claim.attempt + missed,
        value=following[(missed - 2) % size] if missed > 1 else late,
        at_ms=due_ms + (missed - 1) * period_ms,
    )


def count_missed(scope: Scope, organisation: int, field: str, times: int) -> None:
    key = keys.tally(organisation)
    tally = decode_trusted(OrganisationTally, scope.state.get(key) or encode(OrganisationTally()))
    scope.state.put(key, encode(replace(tally, **{field: getattr(tally, field) + times})))


def turns_of(registry: Registry, scope: Scope, claim: ClaimRecord, number: int) -> tuple[int, ...]:
    """The rotation of the claim's current step."""
    if claim.status is ClaimStatus.FILED:
        return investigators(registry, number, claim, the_member(scope.state, claim.member).organisation)
    if claim.status is ClaimStatus.INVESTIGATED:
        return reviewers(registry, number, claim)
    if claim.status is ClaimStatus.OBJECTED or claim.status is ClaimStatus.DUP_HOLD:
        return uninvolved_reviewers(registry, number, claim)
    return rotation(registry, Role.PAYMENT, number)


def current_claim(registry: Registry, scope: Scope, number: int) -> tuple[ClaimRecord | None, ResultCode]:
    """The claim as of now: its overdue deadline is settled first.

    While a claim waits for its cycle, only the clock knows what the cycle will bring; if the clock has
    more due work than fits a block, the answer is CLOCK_BEHIND and never a judgement on stale state.
    """
    claim = load_claim(scope.state, number)
    if claim is None:
        return None, ResultCode.UNKNOWN_CLAIM
    if claim.deadline_ms and claim.deadline_ms <= scope.now_ms:
        if claim.status not in STEPS:
            return None, ResultCode.CLOCK_BEHIND
        pass_on(registry, scope, claim.deadline_ms, number)
        claim = the_claim(scope.state, number)
    return claim, ResultCode.OK


def wrong_status(claim: ClaimRecord) -> ResultCode:
    """Why a step of another status is refused: the claim is stayed, and will be where it was, or is elsewhere."""
    return ResultCode.CLAIM_IS_STAYED if claim.status in STAYS else ResultCode.WRONG_CLAIM_STATUS


def claim_for(
    registry: Registry, scope: Scope, number: int, status: ClaimStatus
) -> tuple[ClaimRecord | None, ResultCode]:
    """The current claim, if it is in `status` and the sender's turn."""
    claim, code = current_claim(registry, scope, number)
    if claim is None:
        return None, code
    if claim.status is not status:
        return None, wrong_status(claim)
    if claim.assigned != scope.sender.organisation:
        return None, ResultCode.NOT_ASSIGNED
    return claim, ResultCode.OK


def investigate(registry: Registry, scope: Scope, action: Investigate) -> ResultCode:
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.FILED)
    if claim is None:
        return code
    terms = terms_of(registry, scope, claim)
    if action.finding is Finding.FAIL and not (action.clause and action.reason):
        return ResultCode.FINDING_WITHOUT_GROUNDS
    if code := grounds_problem(terms, action.clause, action.reason):
        return code
    # The reviewer is always of another organisation than the investigator; genesis is checked for it.
    investigator = scope.sender.organisation
    ties = ties_of_organisation(scope.state, investigator)
    done = replace(claim, investigator=investigator, conflicted=merged(claim.conflicted, ties))
    move(
        scope,
        action.claim,
        done,
        EventKind.CLAIM_INVESTIGATED,
        deadline_ms=scope.now_ms + terms.plan.deadlines.review_hours * HOUR_MS,
        assigned=reviewers(registry, action.claim, done)[0],
        value=action.finding.value,
        finding=action.finding.value,
        report=action.report,
        finding_clause=action.clause,
        finding_reason=action.reason,
    )
    return ResultCode.OK


def extend(registry: Registry, scope: Scope, action: ExtendInvestigation) -> ResultCode:
    """More time for the investigator, once for each claim and with a reason."""
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.FILED)
    if claim is None:
        return code
    if action.reason not in _EXTENSIONS:
        return ResultCode.EXTENSION_WITHOUT_REASON
    if claim.extended:
        return ResultCode.ALREADY_EXTENDED
    move(
        scope,
        action.claim,
        claim,
        EventKind.INVESTIGATION_EXTENDED,
        deadline_ms=claim.deadline_ms + terms_of(registry, scope, claim).plan.deadlines.extension_hours * HOUR_MS,
        assigned=claim.assigned,
        attempt=claim.attempt,
        value=action.reason,
        extended=action.reason,
    )
    return ResultCode.OK


def recuse(registry: Registry, scope: Scope, action: Recuse) -> ResultCode:
    """A conflict of interest: the next one's turn, with a deadline of its own. Who has recused itself gets no step of
    this claim any more, so that organisations cannot hand it to and fro for ever."""
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status not in RECUSABLE:
        return wrong_status(claim)
    sender = scope.sender.organisation
    if claim.assigned != sender:
        return ResultCode.NOT_ASSIGNED
    recused = replace(claim, conflicted=merged(claim.conflicted, (sender,)))
    following = after(turns_of(registry, scope, recused, action.claim), sender)
    if following[0] == sender or following[0] in claim.conflicted:
        return ResultCode.NOBODY_ELSE
    move(
        scope,
        action.claim,
        recused,
        EventKind.STEP_RECUSED,
        deadline_ms=scope.now_ms + step_hours(terms_of(registry, scope, claim), claim.status) * HOUR_MS,
        assigned=following[0],
        attempt=claim.attempt + 1,
        value=sender,
    )
    return ResultCode.OK


def next_disclosure(registry: Registry, scope: Scope, plan: int) -> tuple[int, int] | None:
    """(cycle, disclosure_ms) of the first disclosure after this block, even if the clock lags behind the plan.

    None if it lags more than CYCLES_AHEAD cycles: a transaction must not cost what years of silence have left.
    """
    record = load_plan(scope.state, plan)
    disclosure_ms, settlement_ms = record.disclosure_ms, record.settlement_ms
    dates = registry.plan(scope.state, plan)
    for cycle in range(record.cycle, record.cycle + CYCLES_AHEAD + 1):
        if disclosure_ms > scope.now_ms:
            return cycle, disclosure_ms
        disclosure_ms, settlement_ms = dates.cycle_after(disclosure_ms, settlement_ms)
    return None


def confirm_payment(registry: Registry, scope: Scope, action: ConfirmPayment) -> ResultCode:
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.SETTLED)
    if claim is None:
        return code
    deducted, code = deduction(registry, scope, claim)
    if code:
        return code
    if action.amount != claim.payable - deducted:
        return ResultCode.WRONG_PAYMENT_AMOUNT
    if not can_pay(registry, scope, claim):
        return ResultCode.NOT_COLLECTED_YET
    move(
        scope,
        action.claim,
        claim,
        EventKind.CLAIM_PAID,
        value=claim.payable - deducted,
        actor=scope.sender.organisation,
        payer=scope.sender.organisation,
        receipt=action.receipt,
        deducted=deducted,
    )
    deduct(registry, scope, claim, deducted)
    record = load_plan(scope.state, claim.plan)
    save_plan(
        scope,
        claim.plan,
        replace(record, payable=record.payable - claim.payable, paid=record.paid + claim.payable),
    )
    member = the_member(scope.state, claim.member)
    member = replace(member, open_claims=member.open_claims - 1, paid_claims=member.paid_claims + 1)
    if terms_of(registry, scope, claim).plan.exit_after_payout:
        today = registry.plan(scope.state, claim.plan).day_of(scope.now_ms)
        member = end_membership(scope, claim.member, member, today)
    save_member(scope, claim.member, member)
    return ResultCode.OK
