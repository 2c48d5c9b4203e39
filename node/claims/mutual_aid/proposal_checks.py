"""Whether terms can be a plan's next version, or a new plan: when they are proposed, and when they are adopted."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.genesis import PlanTerms
from node.claims.genesis_checks import fixed_problems, role_problems, terms_problems, version_problems
from node.claims.module import Scope
from node.claims.mutual_aid.plan_actions import MAX_TERMS_BYTES
from node.claims.mutual_aid.plan_records import load_life
from node.claims.mutual_aid.plan_transitions import PLAN_TRANSITIONS
from node.claims.registry import MAX_VERSIONS, Plan, Registry
from node.claims.results import ResultCode
from node.claims.types import MAX_PLANS
from node.claims.wire import encode

AHEAD_DAYS: Final = 730
"""How far ahead of today a first day in force, or a closing day, may be asked for."""


def next_terms_problem(registry: Registry, scope: Scope, plan: Plan, terms: PlanTerms) -> ResultCode:
    """What is wrong with `terms` as the next version of `plan`. The detail names the key."""
    last = plan.versions[-1].plan
    if (load_life(scope.state, plan.number).status, EventKind.PLAN_END_ANNOUNCED) not in PLAN_TRANSITIONS:
        return ResultCode.WRONG_PLAN_STATUS
    if len(plan.versions) >= MAX_VERSIONS:
        return ResultCode.LIMIT_REACHED
    if terms.version != last.version + 1:
        return ResultCode.VERSION_NOT_NEXT
    for fixed in fixed_problems(last, terms):
        scope.detail = fixed.path
        return ResultCode.FIXED_TERM_CHANGED
    if terms.effective_day > plan.day_of(scope.now_ms) + AHEAD_DAYS:
        return ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE
    # The true first day is known at the adoption only; it is after that of every version before.
    later = replace(terms, effective_day=max(terms.effective_day, last.effective_day + 1))
    earlier = [version.plan for version in plan.versions]
    if code := _inconsistent(registry, scope, later):
        return code
    for problem in version_problems(earlier, later):
        scope.detail = problem.path
        return ResultCode.TERMS_INCONSISTENT
    return ResultCode.OK


def new_plan_problem(registry: Registry, scope: Scope, terms: PlanTerms) -> ResultCode:
    if registry.find(scope.state, terms.code) is not None:
        return ResultCode.PLAN_CODE_TAKEN
    if registry.plan_or_none(scope.state, MAX_PLANS - 1) is not None:
        return ResultCode.LIMIT_REACHED
    if terms.version != 1:
        return ResultCode.VERSION_NOT_NEXT
    for problem in role_problems(registry.genesis):
        scope.detail = problem.path
        return ResultCode.TERMS_INCONSISTENT
    if code := _inconsistent(registry, scope, terms):
        return code
    for problem in version_problems([], terms):
        scope.detail = problem.path
        return ResultCode.TERMS_INCONSISTENT
    return ResultCode.OK


def _inconsistent(registry: Registry, scope: Scope, terms: PlanTerms) -> ResultCode:
    if len(encode(terms)) > MAX_TERMS_BYTES:
        return ResultCode.TERMS_TOO_LARGE
    for problem in terms_problems(registry.genesis, terms):
        scope.detail = problem.path
        return ResultCode.TERMS_INCONSISTENT
    return ResultCode.OK
