"""Objections during the disclosure period: one for each member and cycle, decided by a reviewer without a part.

An objection takes the claim out of its cycle. Upheld, the claim is denied, with grounds as any denial; else
it is published again in a later cycle. The plan says how often one claim can be objected to.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.actions import DecideObjection, Decision, Object
from node.claims.mutual_aid.arrears import current_member
from node.claims.mutual_aid.assignment import uninvolved_reviewers
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.records import MemberRecord, load_member, load_plan, save_member, the_claim
from node.claims.mutual_aid.refusals import denial_problem, deny, terms_of
from node.claims.mutual_aid.steps import (
    claim_for,
    count_missed,
    current_claim,
    next_disclosure,
    wrong_status,
)
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.registry import Plan, Registry
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS


def object_to(registry: Registry, scope: Scope, action: Object) -> ResultCode:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status is not ClaimStatus.PUBLISHED:
        return wrong_status(claim)
    member = load_member(scope.state, action.member)
    if member is None:
        return ResultCode.UNKNOWN_MEMBER
    if scope.sender.member not in (0, action.member):
        return ResultCode.NOT_THIS_MEMBER
    if not scope.sender.member and scope.sender.organisation != member.organisation:
        return ResultCode.NOT_THE_FILER
    if action.member == claim.member:
        return ResultCode.OWN_CLAIM
    member, code = current_member(registry, scope, action.member, member)
    if member is None:
        return code
    if member.plan != claim.plan or not _shares(registry.plan(scope.state, claim.plan), member, scope.now_ms):
        return ResultCode.NO_SHARING_MEMBER
    if member.objected_cycle == claim.cycle:
        return ResultCode.OBJECTION_USED
    terms = terms_of(registry, scope, claim).plan
    if claim.objections >= terms.objections_max:
        return ResultCode.OBJECTIONS_EXHAUSTED
    move(
        scope,
        action.claim,
        claim,
        EventKind.CLAIM_OBJECTED,
        deadline_ms=scope.now_ms + terms.deadlines.objection_hours * HOUR_MS,
        assigned=uninvolved_reviewers(registry, action.claim, claim)[0],
        value=action.member,
        objections=claim.objections + 1,
        objector=action.member,
        objection=action.evidence,
    )
    save_member(scope, action.member, replace(member, objected_cycle=claim.cycle))
    return ResultCode.OK


def _shares(plan: Plan, member: MemberRecord, now_ms: int) -> bool:
    today = plan.day_of(now_ms)
    return member.share_day <= today and not 0 < member.until_day <= today


def decide_objection(registry: Registry, scope: Scope, action: DecideObjection) -> ResultCode:
    claim, code = claim_for(registry, scope, action.claim, ClaimStatus.OBJECTED)
    if claim is None:
        return code
    denied = action.decision is Decision.DENY
    if code := denial_problem(terms_of(registry, scope, claim), action, denied=denied):
        return code
    arbiter = scope.sender.organisation
    if denied:
        deny(
            registry,
            scope,
            action.claim,
            claim,
            EventKind.OBJECTION_UPHELD,
            action,
            actor=arbiter,
            arbiter=arbiter,
        )
        return ResultCode.OK
    upcoming = next_disclosure(registry, scope, claim.plan)
    if upcoming is None:
        return ResultCode.CLOCK_BEHIND
    cycle, disclosure_ms = upcoming
    move(
        scope,
        action.claim,
        claim,
        EventKind.OBJECTION_REFUSED,
        deadline_ms=disclosure_ms,
        value=cycle,
        actor=arbiter,
        arbiter=arbiter,
        cycle=cycle,
    )
    return ResultCode.OK


def objection_missed(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The reviewer was late: the claim is published again, and the delay is counted."""
    claim = the_claim(scope.state, number)
    count_missed(scope, claim.assigned, "objections_missed", 1)
    # The clock fires in order of time, and a disclosure before claims: the plan is as of `due_ms`.
    plan = load_plan(scope.state, claim.plan)
    move(
        scope,
        number,
        claim,
        EventKind.OBJECTION_MISSED,
        deadline_ms=plan.disclosure_ms,
        value=plan.cycle,
        actor=claim.assigned,
        at_ms=due_ms,
        cycle=plan.cycle,
    )
