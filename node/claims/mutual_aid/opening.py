"""The records with which a plan begins, at genesis or later."""

from __future__ import annotations

from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.plan_records import LifeRecord, save_life
from node.claims.mutual_aid.plan_transitions import PLAN_TRANSITIONS
from node.claims.mutual_aid.records import (
    STATUSES,
    Cohorts,
    PlanState,
    PlanTally,
    Receivables,
    save_cohorts,
    save_plan,
    save_receivables,
    save_tally,
)
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.registry import Plan, Registry


def open_plan(registry: Registry, scope: Scope, plan: Plan) -> None:
    """No member, no money, and its first disclosure in the queue. The plan's terms are in the state already."""
    disclosure_ms, settlement_ms = plan.next_cycle(scope.now_ms)
    nothing = (0,) * len(registry.names)
    opened = PlanState(
        cycle=1,
        disclosure_ms=disclosure_ms,
        settlement_ms=settlement_ms,
        units=nothing,
        members=0,
        accumulated=0,
        surplus=0,
        debits=0,
        payouts=0,
        fees=0,
        payable=0,
        paid=0,
        confirmed_amount=0,
        confirmed_cases=0,
    )
    save_plan(scope, plan.number, opened)
    save_receivables(scope, plan.number, Receivables(debits=nothing, receipts=nothing))
    if plan.versions[0].plan.costs.year_cap_minor_units:
        save_cohorts(scope, plan.number, Cohorts(year=0, cohorts=()))
    save_tally(scope, plan.number, PlanTally(members=0, claims=(0,) * STATUSES))
    scope.schedule(DeadlineKind.PLAN_DISCLOSURE, disclosure_ms, plan.number)
    status = PLAN_TRANSITIONS[None, EventKind.PLAN_OPENED]
    save_life(scope, plan.number, LifeRecord(status=status, changed_ms=scope.now_ms))
    scope.emit(EventKind.PLAN_OPENED, plan=plan.number, subject=plan.versions[0].plan.version)
