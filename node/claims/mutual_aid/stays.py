"""Stays: a regulator stops a claim for a time, and lets it go on, or carries out what a court has decided.

A stay ends by itself, so that no case can be left lying. The time that a step had left is kept. A claim that
was published or confirmed leaves its cycle and is published again in a later one; after its cost is shared
only the payment can be stopped.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.actions import LiftStay, Reason, StayClaim, StayEnd
from node.claims.mutual_aid.cases import drop_case
from node.claims.mutual_aid.lifecycle import move, release_member
from node.claims.mutual_aid.records import ClaimRecord, load_plan, the_claim
from node.claims.mutual_aid.refusals import terms_of
from node.claims.mutual_aid.steps import current_claim, next_disclosure
from node.claims.mutual_aid.transitions import RESUMED, TRANSITIONS, ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, NO_ORGANISATION

_STAYS = (ClaimStatus.STAYED, ClaimStatus.PAYMENT_STAYED)


def stay(registry: Registry, scope: Scope, action: StayClaim) -> ResultCode:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if (claim.status, EventKind.CLAIM_STAYED) not in TRANSITIONS:
        return ResultCode.WRONG_CLAIM_STATUS
    if claim.status not in _STAYS:
        target = claim.status if claim.status in (*RESUMED, ClaimStatus.SETTLED) else ClaimStatus.ACCEPTED
        queued = target is ClaimStatus.ACCEPTED
        kept: dict[str, object] = {
            "stayed_from": target.value,
            "stayed_left_ms": 0 if queued else claim.deadline_ms - scope.now_ms,
            "stayed_assigned": claim.assigned,
        }
        if claim.status is ClaimStatus.CONFIRMED:
            drop_case(scope, action.claim, claim)
        claim = replace(claim, **kept)
    until_ms = scope.now_ms + action.days * DAY_MS
    move(
        scope,
        action.claim,
        claim,
        EventKind.CLAIM_STAYED,
        deadline_ms=until_ms,
        attempt=claim.attempt,
        value=until_ms,
        actor=scope.sender.organisation,
        order=action.order,
    )
    return ResultCode.OK


def lift(registry: Registry, scope: Scope, action: LiftStay) -> ResultCode:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status not in _STAYS:
        return ResultCode.WRONG_CLAIM_STATUS
    if action.end is not StayEnd.RESUME and claim.status is not ClaimStatus.STAYED:
        return ResultCode.NOT_STAYED_BEFORE_SETTLEMENT
    if action.end is StayEnd.REFUSE:
        return _refuse(registry, scope, action, claim)
    upcoming = next_disclosure(registry, scope, claim.plan)
    if upcoming is None:
        return ResultCode.CLOCK_BEHIND
    if action.end is StayEnd.RESUME:
        _resume(scope, action.claim, replace(claim, order=action.order), upcoming, scope.now_ms)
        return ResultCode.OK
    cycle, disclosure_ms = upcoming
    amount = claim.amount or claim.claimed
    move(
        scope,
        action.claim,
        replace(claim, **_CLEARED),
        EventKind.COURT_GRANTED,
        deadline_ms=disclosure_ms,
        value=amount,
        actor=scope.sender.organisation,
        amount=amount,
        cycle=cycle,
        order=action.order,
    )
    return ResultCode.OK


def _refuse(registry: Registry, scope: Scope, action: LiftStay, claim: ClaimRecord) -> ResultCode:
    if not action.clause:
        return ResultCode.DENIAL_WITHOUT_GROUNDS
    if action.clause not in terms_of(registry, scope, claim).clauses:
        return ResultCode.UNKNOWN_CLAUSE
    move(
        scope,
        action.claim,
        replace(claim, **_CLEARED),
        EventKind.COURT_REFUSED,
        value=Reason.COURT_ORDER.value,
        actor=scope.sender.organisation,
        amount=0,
        clause=action.clause,
        grounds=action.order,
        reason=Reason.COURT_ORDER.value,
        order=action.order,
    )
    release_member(scope, claim)
    return ResultCode.OK


_CLEARED: dict[str, object] = {"stayed_from": 0, "stayed_left_ms": 0, "stayed_assigned": NO_ORGANISATION}


def stay_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """Nobody renewed the stay: the claim goes on."""
    claim = the_claim(scope.state, number)
    # The clock fires in order of time, and a disclosure before claims: the plan is as of `due_ms`.
    plan = load_plan(scope.state, claim.plan)
    _resume(scope, number, claim, (plan.cycle, plan.disclosure_ms), due_ms)


def _resume(scope: Scope, number: int, claim: ClaimRecord, upcoming: tuple[int, int], at_ms: int) -> None:
    """Where the claim was, with the time it had left; a queued one waits for the `upcoming` disclosure."""
    target = ClaimStatus(claim.stayed_from)
    queued = target is ClaimStatus.ACCEPTED
    cycle, disclosure_ms = upcoming
    move(
        scope,
        number,
        replace(claim, **_CLEARED),
        EventKind.PAYMENT_RESUMED if target is ClaimStatus.SETTLED else RESUMED[target],
        deadline_ms=disclosure_ms if queued else at_ms + claim.stayed_left_ms,
        assigned=NO_ORGANISATION if queued else claim.stayed_assigned,
        attempt=claim.attempt,
        at_ms=at_ms,
        cycle=cycle if queued else claim.cycle,
    )
