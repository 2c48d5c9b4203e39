"""Duplicate hold: a claim whose event or paper was filed before waits for an explanation.

The chain compares keyed values, exactly. A hit is no proof of fraud: one hospital stay may be covered by two
plans. So the claim waits for a reviewer without a part in it, who clears it with a commitment to the
explanation, or denies it as any denial; if the reviewer is late, it goes on with a mark for the investigator.
A person's own claim that ended without payment is no hit: papers may be sent again after a withdrawal.
"""

from __future__ import annotations

from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.actions import Decision, ResolveHold
from node.claims.mutual_aid.assignment import investigators, uninvolved_reviewers
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.records import ClaimRecord, load_claim, the_claim, the_member
from node.claims.mutual_aid.refusals import denial_problem, deny, terms_of
from node.claims.mutual_aid.steps import claim_for, count_missed
from node.claims.mutual_aid.transitions import ENDED_UNPAID, ClaimStatus
from node.claims.nullifiers.holders import ValueKind, load_holder, record_values
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS


def note_values(scope: Scope, person: bytes, number: int, event: bytes, papers: tuple[bytes, ...]) -> int:
    """Record the values of claim `number`; returns an earlier claim that asks for an explanation, or 0."""
    hit = 0
    values = [(ValueKind.EVENT, event)] * bool(event) + [(ValueKind.PAPER, paper) for paper in papers]
    for kind, value in values:
        holder = load_holder(scope.state, kind, value)
        if holder is not None and not hit:
            earlier = (holder.first, holder.latest)
            hit = next((claim for claim in earlier if claim != number and _asks(scope, claim, person)), 0)
    record_values(scope, event, papers, number)
    return hit


def _asks(scope: Scope, number: int, person: bytes) -> bool:
    claim = load_claim(scope.state, number)
    if claim is None:
        return False
    return claim.status not in ENDED_UNPAID or the_member(scope.state, claim.member).person != person


def hold_fields(registry: Registry, scope: Scope, number: int, claim: ClaimRecord, at_ms: int) -> tuple[int, int]:
    """(organisation, deadline) of the hold of a claim that is held from `at_ms` on."""
    hours = terms_of(registry, scope, claim).plan.claim_rules.hold_hours
    return uninvolved_reviewers(registry, number, claim)[0], at_ms + hours * HOUR_MS


def resolve(registry: Registry, scope: Scope, action: ResolveHold) -> ResultCode:
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.DUP_HOLD)
    if claim is None:
        return code
    denied = action.decision is Decision.DENY
    if code := denial_problem(terms_of(registry, scope, claim), action, denied=denied):
        return code
    if denied:
        sender = scope.sender.organisation
        deny(registry, scope, action.claim, claim, EventKind.HOLD_DENIED, action, actor=sender, reviewer=sender)
        return ResultCode.OK
    if not action.evidence:
        return ResultCode.HOLD_WITHOUT_EXPLANATION
    _release(registry, scope, action.claim, claim, EventKind.HOLD_CLEARED, scope.now_ms, action.evidence)
    return ResultCode.OK


def hold_missed(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The reviewer was late: the claim goes on unexplained, and the delay is counted."""
    claim = the_claim(scope.state, number)
    count_missed(scope, claim.assigned, "holds_missed", 1)
    _release(registry, scope, number, claim, EventKind.HOLD_MISSED, due_ms, b"")


def _release(
    registry: Registry,
    scope: Scope,
    number: int,
    claim: ClaimRecord,
    what: EventKind,
    at_ms: int,
    explanation: bytes,
) -> None:
    enroller = the_member(scope.state, claim.member).organisation
    move(
        scope,
        number,
        claim,
        what,
        deadline_ms=at_ms + terms_of(registry, scope, claim).plan.deadlines.investigation_hours * HOUR_MS,
        assigned=investigators(registry, number, claim, enroller)[0],
        value=claim.assigned,
        at_ms=at_ms,
        explanation=explanation,
    )
