"""The life of a plan: every row of its table taken, refused, and reached by its deadline."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.mutual_aid.actions import (
    Enrol,
    WithdrawClaim,
)
from node.claims.mutual_aid.plan_actions import (
    LiftSuspension,
    PlanChange,
    ProposeChange,
    SuspendPlan,
)
from node.claims.mutual_aid.plan_transitions import PLAN_TRANSITIONS, PlanStatus
from node.claims.mutual_aid.records import CycleStatus, load_plan, the_claim, the_cycle
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import Chain, new_member, person
from tests.plan_steps import (
    CODE,
    chain_with,
    enrol,
    file,
    genesis_of,
    life,
    lift,
    live,
    propose,
    reach,
    suspend,
)

# The table.


@pytest.mark.parametrize("status", PlanStatus)
def test_every_status_allows_what_the_table_says_and_nothing_else(status: PlanStatus) -> None:
    tried = {
        EventKind.PLAN_CLOSED_TO_NEW: lambda chain: propose(chain, PlanChange.CLOSE),
        EventKind.PLAN_REOPENED: lambda chain: propose(chain, PlanChange.REOPEN),
        EventKind.PLAN_END_ANNOUNCED: lambda chain: propose(chain, PlanChange.WIND_DOWN, sponsor="d"),
        EventKind.PLAN_SUSPENDED: suspend,
        EventKind.PLAN_RESUMED_OPEN: lift,
    }
    for what, attempt in tried.items():
        chain = reach(status)
        expected = PLAN_TRANSITIONS.get((status, what))
        code = attempt(chain)
        if expected is None:
            assert code is ResultCode.WRONG_PLAN_STATUS
            assert life(chain).status is status
        else:
            assert code is ResultCode.OK
            assert life(chain).status is expected


@pytest.mark.parametrize("status", PlanStatus)
def test_only_an_open_plan_takes_members(status: PlanStatus) -> None:
    wanted = ResultCode.OK if status is PlanStatus.OPEN else ResultCode.PLAN_TAKES_NO_MEMBERS
    assert enrol(reach(status), 50, 1) is wanted


def test_the_regulator_needs_a_plan_and_others_may_not() -> None:
    chain = chain_with()
    order = person(1)
    assert chain.do("c", SuspendPlan(plan="no", order=order, days=1)).code == ResultCode.UNKNOWN_PLAN
    assert chain.do("c", LiftSuspension(plan="no", order=order)).code == ResultCode.UNKNOWN_PLAN
    assert chain.do("a", SuspendPlan(plan=CODE, order=order, days=1)).code == ResultCode.FORBIDDEN


# Suspension.


@pytest.mark.parametrize("late_days", [0, 3])
def test_a_suspension_ends_by_itself_at_its_time(late_days: int) -> None:
    chain = chain_with()
    suspend(chain, days=10)
    until_ms = life(chain).deadline_ms
    chain.until(until_ms - 1)
    assert life(chain).status is PlanStatus.SUSPENDED
    chain.until(until_ms + late_days * DAY_MS)
    assert (life(chain).status, life(chain).changed_ms, life(chain).deadline_ms) == (PlanStatus.OPEN, until_ms, 0)


def test_a_suspension_is_renewed_and_goes_back_where_it_came_from() -> None:
    chain = chain_with()
    propose(chain, PlanChange.CLOSE)
    suspend(chain, days=2)
    chain.wait(days=1)
    assert suspend(chain, days=5) is ResultCode.OK
    chain.wait(days=4)
    assert life(chain).status is PlanStatus.SUSPENDED
    chain.wait(days=1)
    assert life(chain).status is PlanStatus.CLOSED_TO_NEW


def test_while_suspended_claims_go_on_cover_stays_and_no_cost_is_shared() -> None:
    chain = chain_with()
    assert file(chain, 1) is ResultCode.OK
    live(chain, 1, 1)
    suspend(chain, days=30)
    assert file(chain, 2) is ResultCode.OK
    live(chain, 25, 1, 2)
    record = load_plan(chain.state, 0)
    assert (record.debits, record.payouts, record.confirmed_cases) == (0, 0, 2)
    assert the_claim(chain.state, 1).status is ClaimStatus.CONFIRMED
    assert the_cycle(chain.state, 0, record.cycle - 2).status is CycleStatus.CARRIED
    assert lift(chain) is ResultCode.OK
    live(chain, 10, 1, 2)
    assert [the_claim(chain.state, number).status for number in (1, 2)] == [ClaimStatus.PAID] * 2
    record = load_plan(chain.state, 0)
    assert record.payouts == record.paid == 60_000_000
    assert record.debits == record.payouts + record.fees + record.surplus


def test_an_enrolment_finds_the_end_of_a_suspension_that_the_clock_has_not_come_to() -> None:
    chain = Chain(replace(genesis_of(), deadlines_per_block=1))
    chain.wait(hours=1)
    suspend(chain, days=3)
    until_ms = life(chain).deadline_ms
    assert load_plan(chain.state, 0).disclosure_ms > until_ms
    chain.until(until_ms - HOUR_MS)
    # Two deadlines are due in the next block: the one before the suspension's takes its only turn.
    chain.do("a", ProposeChange(plan=CODE, change=PlanChange.CLOSE))
    enrolment = chain.transaction("a", Enrol(plan=CODE, members=(new_member(1),)), valid_ms=2 * HOUR_MS)
    assert chain.block(enrolment, later_ms=HOUR_MS).receipts[0].code == 0


def test_every_status_of_the_table_is_reached_and_every_row_taken() -> None:
    """What the tests of this file do, together, is the whole table."""
    rows: dict[tuple[PlanStatus | None, EventKind], PlanStatus] = {(None, EventKind.PLAN_OPENED): PlanStatus.OPEN}
    chain = chain_with()
    last: PlanStatus = life(chain).status

    def note(what: EventKind) -> None:
        nonlocal last
        rows[last, what] = last = life(chain).status

    def announce() -> None:
        propose(chain, PlanChange.WIND_DOWN, sponsor="d")
        note(EventKind.PLAN_END_ANNOUNCED)

    propose(chain, PlanChange.CLOSE)
    note(EventKind.PLAN_CLOSED_TO_NEW)
    propose(chain, PlanChange.REOPEN)
    note(EventKind.PLAN_REOPENED)
    suspend(chain)
    note(EventKind.PLAN_SUSPENDED)
    suspend(chain)
    note(EventKind.PLAN_SUSPENDED)
    lift(chain)
    note(EventKind.PLAN_RESUMED_OPEN)
    propose(chain, PlanChange.CLOSE)
    suspend(chain)
    last = PlanStatus.CLOSED_TO_NEW
    note(EventKind.PLAN_SUSPENDED)
    lift(chain)
    note(EventKind.PLAN_RESUMED_CLOSED)
    announce()
    file(chain, 1)
    chain.until(life(chain).deadline_ms)
    note(EventKind.PLAN_COVER_ENDED)
    chain.until(life(chain).run_off_ms)
    note(EventKind.PLAN_CLAIMS_OPEN)
    chain.do("a", WithdrawClaim(claim=1))
    live(chain, 5)
    note(EventKind.PLAN_SETTLED)
    for status in (PlanStatus.OPEN, PlanStatus.SUSPENDED):
        chain, last = reach(status), status
        announce()
    assert rows == PLAN_TRANSITIONS
