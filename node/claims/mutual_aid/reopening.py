"""Reopening: a claim that ended without payment is investigated again, on new evidence or by a court's order.

A reviewer without a part in the claim may do so a bounded number of times; a regulator who carries out a court's
order as often as courts order it. Those who investigated and reviewed it before do not do so again while others can.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.genesis import Benefit, Role
from node.claims.module import Scope
from node.claims.mutual_aid.actions import ReopenClaim
from node.claims.mutual_aid.assignment import investigators
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.plan_records import load_life
from node.claims.mutual_aid.plan_transitions import PlanStatus
from node.claims.mutual_aid.records import ClaimRecord, MemberRecord, save_member, the_member
from node.claims.mutual_aid.refusals import terms_of
from node.claims.mutual_aid.steps import current_claim, wrong_status
from node.claims.mutual_aid.ties import merged
from node.claims.mutual_aid.transitions import REOPENABLE, ClaimStatus
from node.claims.registry import Registry, Terms
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS, NO_ORGANISATION


def reopen(registry: Registry, scope: Scope, action: ReopenClaim) -> ResultCode:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status not in REOPENABLE:
        return wrong_status(claim)
    if load_life(scope.state, claim.plan).status is PlanStatus.SETTLED:
        # It discloses nothing any more: a claim that is accepted would wait for ever.
        return ResultCode.WRONG_PLAN_STATUS
    if len(action.order) not in (0, 32):
        return ResultCode.NOT_A_COMMITMENT
    if action.evidence == claim.evidence:
        return ResultCode.EVIDENCE_NOT_NEW
    terms = terms_of(registry, scope, claim)
    member = the_member(scope.state, claim.member)
    # A denied claim still counts as open; one that is closed or lapsed does not.
    counted = claim.status is ClaimStatus.DENIED
    if code := _who(registry, scope, action, terms, claim) or _standing(terms, member, counted):
        return code
    decided = (claim.investigator, claim.arbiter, *(review.organisation for review in claim.reviews))
    again = replace(
        claim,
        evidence=action.evidence,
        order=action.order or claim.order,
        conflicted=merged(claim.conflicted, tuple(number for number in decided if number != NO_ORGANISATION)),
        investigator=NO_ORGANISATION,
        finding=0,
        report=b"",
        finding_clause="",
        finding_reason=0,
        reviewer=NO_ORGANISATION,
        reviews=(),
        amount=0,
        clause="",
        grounds=b"",
        reason=0,
        missing=0,
        extended=0,
        reopened=claim.reopened + 1,
    )
    move(
        scope,
        action.claim,
        again,
        EventKind.CLAIM_REOPENED,
        deadline_ms=scope.now_ms + terms.plan.deadlines.investigation_hours * HOUR_MS,
        assigned=investigators(registry, action.claim, again, member.organisation)[0],
        value=scope.sender.organisation,
    )
    if not counted:
        save_member(scope, claim.member, replace(member, open_claims=member.open_claims + 1))
    return ResultCode.OK


def _who(registry: Registry, scope: Scope, action: ReopenClaim, terms: Terms, claim: ClaimRecord) -> ResultCode:
    sender = scope.sender.organisation
    if action.order:
        return ResultCode.OK if sender in registry.holders[Role.REGULATOR] else ResultCode.FORBIDDEN
    if sender not in registry.holders[Role.REVIEWER]:
        return ResultCode.FORBIDDEN
    decided = (claim.investigator, claim.arbiter, *(review.organisation for review in claim.reviews))
    if sender in (*decided, *claim.conflicted):
        return ResultCode.HAD_A_PART
    if claim.reopened >= terms.plan.claim_rules.reopenings_max:
        return ResultCode.REOPENED_BEFORE
    return ResultCode.OK


def _standing(terms: Terms, member: MemberRecord, counted: bool) -> ResultCode:
    """A member whose other claim is open, or was paid the fixed sum, has no second one beside it."""
    if member.open_claims - counted >= terms.plan.open_claims_max:
        return ResultCode.OPEN_CLAIM_EXISTS
    if terms.plan.benefit is Benefit.FIXED and member.paid_claims:
        return ResultCode.ALREADY_PAID
    return ResultCode.OK
