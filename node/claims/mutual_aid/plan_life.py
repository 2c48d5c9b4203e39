"""The life of a plan after its adoption: open, closed, suspended, winding down, in run-off, settled.

No case can be left lying. While a plan is suspended, claims and their deadlines go on and what is confirmed is
carried; the suspension ends by itself. Once the end of a plan is announced, its members are charged no more and a
sponsor bears the cost, until every claim that could be filed has come to its end. All times are due times.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims.calendar import start_of
from node.claims.events import EventKind
from node.claims.genesis import PlanTerms
from node.claims.module import Scope
from node.claims.mutual_aid.plan_actions import LiftSuspension, SuspendPlan
from node.claims.mutual_aid.plan_records import LifeRecord, load_life, save_life
from node.claims.mutual_aid.plan_transitions import (
    PLAN_DEADLINE_OF,
    PLAN_TRANSITIONS,
    SHARING,
    PlanStatus,
)
from node.claims.mutual_aid.records import (
    CycleStatus,
    load_cycle,
    load_plan,
    load_tally,
)
from node.claims.mutual_aid.refunds import refund
from node.claims.mutual_aid.transitions import DEADLINE_OF, DeadlineKind
from node.claims.registry import Plan, Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, NO_ORGANISATION

LOW_DISCLOSURES: Final = 2
"""So many in a row below the least membership end a plan that had reached it."""


def move_plan(
    scope: Scope,
    plan: int,
    life: LifeRecord,
    what: EventKind,
    *,
    at_ms: int,
    deadline_ms: int = 0,
    organisation: int = NO_ORGANISATION,
    value: int = 0,
    **changes: object,
) -> LifeRecord:
    """Carry out the transition `what`; guards have passed, so a missing table row is a bug (KeyError)."""
    status = PLAN_TRANSITIONS[life.status, what]
    if life.status in PLAN_DEADLINE_OF:
        scope.cancel(PLAN_DEADLINE_OF[life.status], life.deadline_ms, plan)
    if status in PLAN_DEADLINE_OF:
        scope.schedule(PLAN_DEADLINE_OF[status], deadline_ms, plan)
    moved = replace(life, status=status, changed_ms=at_ms, deadline_ms=deadline_ms, **changes)
    save_life(scope, plan, moved)
    scope.emit(what, plan=plan, organisation=organisation, value=value)
    return moved


def is_behind(scope: Scope, plan: int, life: LifeRecord) -> bool:
    """Whether clock work of the plan is due and not done. A change of its life would then judge the past."""
    record = load_plan(scope.state, plan)
    last = load_cycle(scope.state, plan, record.cycle - 1)
    unsettled = last is not None and last.status is CycleStatus.DISCLOSED and last.settlement_ms <= scope.now_ms
    ended = life.status is PlanStatus.SETTLED
    return unsettled or 0 < life.deadline_ms <= scope.now_ms or (not ended and record.disclosure_ms <= scope.now_ms)


def enrolment_problem(scope: Scope, plan: int, terms: PlanTerms) -> ResultCode:
    """OK if people may join the plan now."""
    life = load_life(scope.state, plan)
    status = life.status
    if status is PlanStatus.SUSPENDED and life.deadline_ms <= scope.now_ms:
        status = PlanStatus(life.suspended_from)
    if status is not PlanStatus.OPEN:
        return ResultCode.PLAN_TAKES_NO_MEMBERS
    if terms.life.min_units and load_plan(scope.state, plan).disclosure_ms <= scope.now_ms:
        # The disclosure that is due may end the plan.
        return ResultCode.CLOCK_BEHIND
    return ResultCode.OK


def filing_problem(scope: Scope, plan: int, diagnosis_day: int) -> ResultCode:
    """OK unless the plan's cover had ended on that day, or the time to file is over."""
    life = load_life(scope.state, plan)
    if not life.closing_day:
        return ResultCode.OK
    if diagnosis_day >= life.closing_day:
        return ResultCode.NO_LONGER_COVERED
    return ResultCode.PLAN_RUN_OFF_OVER if scope.now_ms >= life.run_off_ms else ResultCode.OK


def suspend(registry: Registry, scope: Scope, action: SuspendPlan) -> ResultCode:
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    life = load_life(scope.state, plan.number)
    if is_behind(scope, plan.number, life):
        return ResultCode.CLOCK_BEHIND
    if (life.status, EventKind.PLAN_SUSPENDED) not in PLAN_TRANSITIONS:
        return ResultCode.WRONG_PLAN_STATUS
    renewed = life.status is PlanStatus.SUSPENDED
    until_ms = scope.now_ms + action.days * DAY_MS
    move_plan(
        scope,
        plan.number,
        life,
        EventKind.PLAN_SUSPENDED,
        at_ms=scope.now_ms,
        deadline_ms=until_ms,
        organisation=scope.sender.organisation,
        value=until_ms,
        suspended_from=life.suspended_from if renewed else life.status.value,
        order=action.order,
    )
    return ResultCode.OK


def lift_suspension(registry: Registry, scope: Scope, action: LiftSuspension) -> ResultCode:
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    life = load_life(scope.state, plan.number)
    if is_behind(scope, plan.number, life):
        return ResultCode.CLOCK_BEHIND
    if life.status is not PlanStatus.SUSPENDED:
        return ResultCode.WRONG_PLAN_STATUS
    lifted = replace(life, order=action.order)
    _resume(scope, plan.number, lifted, scope.now_ms, scope.sender.organisation)
    return ResultCode.OK


def suspension_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """Nobody renewed the suspension: the plan goes on."""
    _resume(scope, number, load_life(scope.state, number), due_ms, NO_ORGANISATION)


def _resume(scope: Scope, plan: int, life: LifeRecord, at_ms: int, organisation: int) -> None:
    was_open = life.suspended_from == PlanStatus.OPEN
    what = EventKind.PLAN_RESUMED_OPEN if was_open else EventKind.PLAN_RESUMED_CLOSED
    move_plan(scope, plan, life, what, at_ms=at_ms, organisation=organisation, suspended_from=0)


def announce_end(
    scope: Scope, plan: Plan, life: LifeRecord, *, closing_day: int, sponsor: int, run_off_days: int, at_ms: int
) -> None:
    """From now on the sponsor bears the cost; on the closing day cover ends."""
    closing_ms = start_of(closing_day, plan.utc_offset_minutes)
    move_plan(
        scope,
        plan.number,
        life,
        EventKind.PLAN_END_ANNOUNCED,
        at_ms=at_ms,
        deadline_ms=closing_ms,
        organisation=sponsor,
        value=closing_day,
        suspended_from=0,
        announced_ms=at_ms,
        announced_cycle=load_plan(scope.state, plan.number).cycle - 1,
        closing_day=closing_day,
        run_off_ms=closing_ms + run_off_days * DAY_MS,
        sponsor=sponsor,
    )


def watch_membership(registry: Registry, scope: Scope, plan: Plan, due_ms: int, units: int) -> None:
    """At a disclosure: a plan that had its least membership and misses it twice in a row winds down by itself."""
    day = plan.day_of(due_ms)
    terms = plan.terms_on(day).plan.life
    life = load_life(scope.state, plan.number)
    if not terms.min_units or life.status not in SHARING:
        return
    if units >= terms.min_units:
        if life.low_disclosures or not life.reached:
            save_life(scope, plan.number, replace(life, low_disclosures=0, reached=True))
    elif life.reached:
        life = replace(life, low_disclosures=life.low_disclosures + 1)
        if life.low_disclosures < LOW_DISCLOSURES:
            save_life(scope, plan.number, life)
            return
        announce_end(
            scope,
            plan,
            life,
            closing_day=day + terms.wind_down_days,
            sponsor=registry.number_of[terms.sponsor],
            run_off_days=terms.run_off_days,
            at_ms=due_ms,
        )


def cover_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The closing day has come."""
    life = load_life(scope.state, number)
    move_plan(
        scope,
        number,
        life,
        EventKind.PLAN_COVER_ENDED,
        at_ms=due_ms,
        deadline_ms=life.run_off_ms,
        value=life.run_off_ms,
    )


def run_off_over(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """No claim can be filed any more: settle the plan, or look again a day later while one is open."""
    life, record = load_life(scope.state, number), load_plan(scope.state, number)
    claims = load_tally(scope.state, number).claims
    still_open = sum(claims[status] for status in DEADLINE_OF)
    last = load_cycle(scope.state, number, record.cycle - 1)
    if still_open or (last is not None and last.status is CycleStatus.DISCLOSED):
        move_plan(
            scope,
            number,
            life,
            EventKind.PLAN_CLAIMS_OPEN,
            at_ms=due_ms,
            deadline_ms=due_ms + DAY_MS,
            value=still_open,
        )
        return
    scope.cancel(DeadlineKind.PLAN_DISCLOSURE, record.disclosure_ms, number)
    returned = refund(registry.plan(scope.state, number), scope, life)
    move_plan(scope, number, life, EventKind.PLAN_SETTLED, at_ms=due_ms, value=returned)
