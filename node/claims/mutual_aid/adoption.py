"""What happens when a proposal has its votes: terms become a version, a plan opens, closes, or begins to end."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import day_of
from node.claims.events import EventKind
from node.claims.genesis import PlanTerms
from node.claims.genesis_checks import version_problems
from node.claims.module import InvariantBroken, Scope
from node.claims.mutual_aid.opening import open_plan
from node.claims.mutual_aid.plan_life import announce_end, move_plan
from node.claims.mutual_aid.plan_records import ProposalKind, ProposalRecord, load_life
from node.claims.mutual_aid.plan_transitions import PLAN_TRANSITIONS
from node.claims.mutual_aid.proposal_checks import AHEAD_DAYS, new_plan_problem, next_terms_problem
from node.claims.mutual_aid.records import load_plan
from node.claims.registry import Plan, Registry, plan_rows
from node.claims.results import ResultCode
from node.claims.wire import decode_trusted

_EVENTS: Final = {
    ProposalKind.CLOSE: EventKind.PLAN_CLOSED_TO_NEW,
    ProposalKind.REOPEN: EventKind.PLAN_REOPENED,
    ProposalKind.WIND_DOWN: EventKind.PLAN_END_ANNOUNCED,
}


def adopt(registry: Registry, scope: Scope, number: int, proposal: ProposalRecord) -> tuple[ProposalRecord, ResultCode]:
    """The proposal as it is kept, or why it cannot be adopted as things are now."""
    if proposal.kind is ProposalKind.TERMS:
        return _adopt_terms(registry, scope, proposal, _terms(scope, number))
    if proposal.kind is ProposalKind.PLAN:
        return _adopt_plan(registry, scope, proposal, _terms(scope, number))
    plan, life = registry.plan(scope.state, proposal.plan), load_life(scope.state, proposal.plan)
    what = _EVENTS[proposal.kind]
    if (life.status, what) not in PLAN_TRANSITIONS:
        return proposal, ResultCode.WRONG_PLAN_STATUS
    if proposal.kind is not ProposalKind.WIND_DOWN:
        move_plan(scope, plan.number, life, what, at_ms=scope.now_ms)
        return proposal, ResultCode.OK
    today = plan.day_of(scope.now_ms)
    terms = plan.terms_on(today).plan.life
    closing_day = max(proposal.day, today + max(1, terms.notice_days))
    announce_end(
        scope,
        plan,
        life,
        closing_day=closing_day,
        sponsor=proposal.sponsors[0],
        run_off_days=terms.run_off_days,
        at_ms=scope.now_ms,
    )
    return replace(proposal, day=closing_day), ResultCode.OK


def _terms(scope: Scope, number: int) -> PlanTerms:
    raw = scope.state.get(keys.proposed_terms(number))
    if raw is None:
        raise InvariantBroken(f"proposal {number} has lost its terms")
    return decode_trusted(PlanTerms, raw)


def _adopt_terms(
    registry: Registry, scope: Scope, proposal: ProposalRecord, terms: PlanTerms
) -> tuple[ProposalRecord, ResultCode]:
    plan = registry.plan(scope.state, proposal.plan)
    if code := next_terms_problem(registry, scope, plan, terms):
        return proposal, code
    earlier = [version.plan for version in plan.versions]
    today = plan.day_of(scope.now_ms)
    notice = plan.terms_on(today).plan.life.notice_days
    day = first_border(scope, plan, max(today + notice, terms.effective_day, earlier[-1].effective_day + 1))
    if day is None:
        return proposal, ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE
    adopted = replace(terms, effective_day=day)
    for problem in version_problems(earlier, adopted):
        scope.detail = problem.path
        return proposal, ResultCode.TERMS_INCONSISTENT
    for key, row in plan_rows(plan.number, [*earlier, adopted]):
        if scope.state.get(key) != row:
            scope.state.put(key, row)
    scope.emit(EventKind.TERMS_ADOPTED, plan=plan.number, subject=adopted.version, value=day)
    return replace(proposal, day=day), ResultCode.OK


def first_border(scope: Scope, plan: Plan, earliest_day: int) -> int | None:
    """The day of the first disclosure to come on `earliest_day` or later; None if it is too far ahead.

    A version that begins there begins with a cycle. Disclosures before it keep their dates: those come from the
    versions in force before it, so nothing that waits for one of them is touched.
    """
    record = load_plan(scope.state, plan.number)
    disclosure_ms, settlement_ms = record.disclosure_ms, record.settlement_ms
    last_day = plan.day_of(scope.now_ms) + 2 * AHEAD_DAYS
    while (day := plan.day_of(disclosure_ms)) <= last_day:
        if disclosure_ms > scope.now_ms and day >= earliest_day:
            return day
        disclosure_ms, settlement_ms = plan.cycle_after(disclosure_ms, settlement_ms)
    return None


def _adopt_plan(
    registry: Registry, scope: Scope, proposal: ProposalRecord, terms: PlanTerms
) -> tuple[ProposalRecord, ResultCode]:
    if code := new_plan_problem(registry, scope, terms):
        return proposal, code
    number = len(registry.plans(scope.state))
    today = day_of(scope.now_ms, terms.utc_offset_minutes)
    for key, row in plan_rows(number, [replace(terms, effective_day=today)]):
        scope.state.put(key, row)
    open_plan(registry, scope, registry.plan(scope.state, number))
    return replace(proposal, plan=number, day=today), ResultCode.OK
