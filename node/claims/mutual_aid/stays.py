"""Stays: a regulator stops a claim for a time, and lets it go on, or carries out what a court has decided.

A stay ends by itself, so that no case can be left lying. The time that a step had left is kept, before juries and
in a clawback as well: ballots, dealings, votes and a hearing wait and go on where they stood. A claim that was
published or confirmed leaves its cycle and is published again in a later one; after its cost is shared only the
payment, or the clawback, can be stopped, and no court's decision about the claim is carried out here any more.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.jury.draws import finish_if_known
from node.claims.jury.proofs import JuryProofs
from node.claims.jury.rounds import dismiss
from node.claims.module import Scope
from node.claims.mutual_aid.actions import LiftStay, Reason, StayClaim, StayEnd
from node.claims.mutual_aid.cases import drop_case
from node.claims.mutual_aid.clawback import extend_hearing
from node.claims.mutual_aid.lifecycle import move, release_member
from node.claims.mutual_aid.records import ClaimRecord, load_plan, the_claim
from node.claims.mutual_aid.refusals import terms_of
from node.claims.mutual_aid.steps import current_claim, next_disclosure
from node.claims.mutual_aid.transitions import RESUMED, STAY_OF, STAYS, ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, NO_ORGANISATION


def stay(registry: Registry, proofs: JuryProofs, scope: Scope, action: StayClaim) -> ResultCode:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status not in (*STAY_OF, *STAYS):
        return ResultCode.WRONG_CLAIM_STATUS
    if claim.status in STAYS:
        _hearing_waits(scope, action.claim, claim, scope.now_ms)
    else:
        if claim.status is ClaimStatus.JURY_DRAWING and finish_if_known(registry, proofs, scope, action.claim):
            claim = the_claim(scope.state, action.claim)
        target = claim.status if claim.status in RESUMED else ClaimStatus.ACCEPTED
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
    if claim.status not in STAYS:
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
    dismiss(scope, action.claim)
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
    dismiss(scope, action.claim)
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
    _hearing_waits(scope, number, claim, at_ms)
    move(
        scope,
        number,
        replace(claim, **_CLEARED),
        RESUMED[target],
        deadline_ms=disclosure_ms if queued else at_ms + claim.stayed_left_ms,
        assigned=NO_ORGANISATION if queued else claim.stayed_assigned,
        attempt=claim.attempt,
        at_ms=at_ms,
        cycle=cycle if queued else claim.cycle,
    )


def _hearing_waits(scope: Scope, number: int, claim: ClaimRecord, at_ms: int) -> None:
    """The member's time to answer does not run during a stay: up to `at_ms`, it has not since the claim's last
    change, which was this stay or its renewal."""
    if claim.stayed_from == ClaimStatus.CLAWBACK_OPEN:
        extend_hearing(scope, number, claim.changed_ms, at_ms)
