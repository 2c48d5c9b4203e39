"""Reviews: one or two organisations decide, each apart from the investigator and from the other.

If two disagree, a third one decides; where the consortium has no third, the denial stands, and the member may go
to a jury. If both accept at different amounts, the lower one is granted. Where the consortium has one reviewer
only besides the investigator, its decision is enough.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.genesis import Benefit
from node.claims.module import Scope
from node.claims.mutual_aid.actions import Decision, Review
from node.claims.mutual_aid.assignment import has_other_reviewer, reviewers
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.records import ClaimRecord, ReviewNote
from node.claims.mutual_aid.refusals import denial_problem, deny, terms_of
from node.claims.mutual_aid.steps import claim_for, next_disclosure
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.registry import Registry, Terms
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS


def review(registry: Registry, scope: Scope, action: Review) -> ResultCode:
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.INVESTIGATED)
    if claim is None:
        return code
    terms = terms_of(registry, scope, claim)
    amount, code = _amount(terms, claim, action)
    if code:
        return code
    note = ReviewNote(
        organisation=scope.sender.organisation,
        decision=action.decision.value,
        amount=amount,
        clause=action.clause,
        evidence=action.evidence,
        reason=action.reason,
    )
    reviewed = replace(claim, reviews=(*claim.reviews, note), reviewer=note.organisation)
    decisive = _decisive(registry, terms, reviewed)
    if decisive is None:
        _next_reviewer(registry, scope, terms, action.claim, reviewed)
        return ResultCode.OK
    if decisive.decision == Decision.DENY.value:
        deny(registry, scope, action.claim, reviewed, EventKind.CLAIM_DENIED, decisive, actor=decisive.organisation)
        return ResultCode.OK
    upcoming = next_disclosure(registry, scope, claim.plan)
    if upcoming is None:
        return ResultCode.CLOCK_BEHIND
    cycle, disclosure_ms = upcoming
    move(
        scope,
        action.claim,
        reviewed,
        EventKind.CLAIM_ACCEPTED,
        deadline_ms=disclosure_ms,
        value=decisive.amount,
        actor=decisive.organisation,
        amount=decisive.amount,
        clause=decisive.clause,
        grounds=decisive.evidence,
        reason=decisive.reason,
        cycle=cycle,
    )
    return ResultCode.OK


def _amount(terms: Terms, claim: ClaimRecord, action: Review) -> tuple[int, ResultCode]:
    """What the review grants, and whether it names what it must."""
    denied = action.decision is Decision.DENY
    fixed = terms.plan.benefit is Benefit.FIXED
    if code := denial_problem(terms, action, denied=denied):
        return 0, code
    if denied:
        return 0, ResultCode.AMOUNT_OUT_OF_RANGE if action.amount else ResultCode.OK
    if fixed:
        return claim.claimed, ResultCode.AMOUNT_IS_FIXED if action.amount else ResultCode.OK
    if not 0 < action.amount <= claim.claimed:
        return 0, ResultCode.AMOUNT_OUT_OF_RANGE
    return action.amount, ResultCode.OK


def _decisive(registry: Registry, terms: Terms, claim: ClaimRecord) -> ReviewNote | None:
    """The review that decides the claim, or None if another one is to come."""
    reviews = claim.reviews
    others = has_other_reviewer(registry, claim)
    if len(reviews) < terms.plan.claim_rules.reviewers and others:
        return None
    if len(reviews) == 1 or len(reviews) > 2:
        return reviews[-1]
    first, second = reviews
    if first.decision == second.decision:
        return first if first.amount < second.amount else second
    if others:
        return None
    return first if first.decision == Decision.DENY.value else second


def _next_reviewer(registry: Registry, scope: Scope, terms: Terms, number: int, claim: ClaimRecord) -> None:
    move(
        scope,
        number,
        claim,
        EventKind.REVIEW_GIVEN,
        deadline_ms=scope.now_ms + terms.plan.deadlines.review_hours * HOUR_MS,
        assigned=reviewers(registry, number, claim)[0],
        value=claim.reviewer,
    )
