"""Papers: admitted, returned because some are missing, sent again, or never sent; and withdrawal.

A claim that an organisation files has been through its own intake. One that a member files with its own key
goes to an intake organisation first, which may only ask for papers, never refuse: if it is late, the claim
goes on without it.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.actions import AdmitClaim, ResubmitClaim, ReturnClaim, WithdrawClaim
from node.claims.mutual_aid.assignment import investigators
from node.claims.mutual_aid.holds import hold_fields, note_values
from node.claims.mutual_aid.lifecycle import move, release_member
from node.claims.mutual_aid.records import ClaimRecord, the_claim, the_member
from node.claims.mutual_aid.refusals import close_denied, terms_of
from node.claims.mutual_aid.steps import claim_for, count_missed, current_claim, wrong_status
from node.claims.mutual_aid.transitions import WITHDRAWABLE, ClaimStatus
from node.claims.nullifiers.holders import values_problem
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS, NO_ORGANISATION


def admit(registry: Registry, scope: Scope, action: AdmitClaim) -> ResultCode:
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.INTAKE)
    if claim is None:
        return code
    to_investigator(registry, scope, action.claim, claim, EventKind.CLAIM_ADMITTED, scope.now_ms)
    return ResultCode.OK


def intake_missed(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The intake organisation was late: the claim goes on as if complete, and the delay is counted."""
    claim = the_claim(scope.state, number)
    count_missed(scope, claim.assigned, "intakes_missed", 1)
    to_investigator(registry, scope, number, claim, EventKind.INTAKE_MISSED, due_ms)


def to_investigator(
    registry: Registry, scope: Scope, number: int, claim: ClaimRecord, what: EventKind, at_ms: int
) -> None:
    """Or to a reviewer first, if one of its values was filed before."""
    late = what is EventKind.INTAKE_MISSED
    claim = replace(claim, intake=NO_ORGANISATION if late else claim.assigned)
    if claim.duplicate:
        reviewer, due_ms = hold_fields(registry, scope, number, claim, at_ms)
        move(
            scope,
            number,
            claim,
            EventKind.CLAIM_HELD,
            deadline_ms=due_ms,
            assigned=reviewer,
            value=claim.duplicate,
            at_ms=at_ms,
        )
        return
    enroller = the_member(scope.state, claim.member).organisation
    move(
        scope,
        number,
        claim,
        what,
        deadline_ms=at_ms + terms_of(registry, scope, claim).plan.deadlines.investigation_hours * HOUR_MS,
        assigned=investigators(registry, number, claim, enroller)[0],
        value=claim.assigned if late else 0,
        at_ms=at_ms,
    )


def return_for_papers(registry: Registry, scope: Scope, action: ReturnClaim) -> ResultCode:
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.INTAKE)
    if claim is None:
        return code
    if not action.missing:
        return ResultCode.NO_PAPER_NAMED
    move(
        scope,
        action.claim,
        claim,
        EventKind.CLAIM_RETURNED,
        deadline_ms=scope.now_ms + terms_of(registry, scope, claim).plan.deadlines.papers_hours * HOUR_MS,
        value=action.missing,
        actor=scope.sender.organisation,
        intake=scope.sender.organisation,
        missing=action.missing,
    )
    return ResultCode.OK


def resubmit(registry: Registry, scope: Scope, action: ResubmitClaim) -> ResultCode:
    """The same intake organisation looks again. Each round needs the member, so no round is without an end.

    For a member without a key, the enroller or that intake organisation sends them.
    """
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status is not ClaimStatus.RETURNED:
        return wrong_status(claim)
    member = the_member(scope.state, claim.member)
    if scope.sender.member not in (0, claim.member):
        return ResultCode.NOT_THIS_MEMBER
    if not scope.sender.member and scope.sender.organisation not in (claim.intake, member.organisation):
        return ResultCode.NOT_THE_FILER
    if code := values_problem(b"", action.papers):
        return code
    duplicate = note_values(scope, member.person, action.claim, b"", action.papers)
    move(
        scope,
        action.claim,
        claim,
        EventKind.CLAIM_RESUBMITTED,
        deadline_ms=scope.now_ms + terms_of(registry, scope, claim).plan.deadlines.intake_hours * HOUR_MS,
        assigned=claim.intake,
        evidence=action.evidence,
        missing=0,
        duplicate=claim.duplicate or duplicate,
    )
    return ResultCode.OK


def lapse(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The missing papers did not come. The member may file again while the reporting window lasts."""
    claim = the_claim(scope.state, number)
    move(scope, number, claim, EventKind.CLAIM_LAPSED, at_ms=due_ms)
    release_member(scope, claim)


def withdraw(registry: Registry, scope: Scope, action: WithdrawClaim) -> ResultCode:
    """Open until the disclosure period is over; after that the cost is being shared. Of a denied claim the
    member, and nobody for it, may waive the time to ask for a jury: then it is final at once."""
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if scope.sender.member:
        if scope.sender.member != claim.member:
            return ResultCode.NOT_THIS_MEMBER
    elif scope.sender.organisation not in (claim.filer, the_member(scope.state, claim.member).organisation):
        return ResultCode.NOT_THE_FILER
    if claim.status is ClaimStatus.DENIED and scope.sender.member:
        close_denied(scope, action.claim, claim, at_ms=scope.now_ms)
        return ResultCode.OK
    if claim.status not in WITHDRAWABLE:
        return wrong_status(claim)
    actor = NO_ORGANISATION if scope.sender.member else scope.sender.organisation
    move(scope, action.claim, claim, EventKind.CLAIM_WITHDRAWN, actor=actor, amount=0)
    release_member(scope, claim)
    return ResultCode.OK
