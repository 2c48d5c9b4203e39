"""The end of a plan: what it costs whom, that no claim is left lying, and what is given back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.audit import Audit
from node.claims.events import EventKind
from node.claims.mutual_aid.actions import (
    WithdrawClaim,
)
from node.claims.mutual_aid.plan_actions import (
    PlanChange,
)
from node.claims.mutual_aid.plan_records import load_refund
from node.claims.mutual_aid.plan_transitions import PlanStatus
from node.claims.mutual_aid.records import load_counters, load_plan, the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.statement import recompute
from node.claims.types import DAY_MS
from node.claims.wire import encode
from tests.factories import Chain
from tests.plan_steps import (
    TERMS,
    chain_with,
    enrol,
    file,
    life,
    live,
    propose,
    suspend,
    today,
)


def given_back(chain: Chain) -> list[str | None]:
    """What each member's statement says of the refund; it holds offline as well."""
    queries, members = Queries(chain.genesis), range(1, load_counters(chain.state).next_member)
    statements = [queries.statement(chain.state, number) for number in members]
    assert statements == [recompute(chain.genesis, chain.state, number) for number in members]
    return [statement["refund"] for statement in statements if statement is not None]


# Winding down.


def test_from_the_announcement_the_sponsor_pays_and_members_do_not() -> None:
    chain = chain_with()
    for member in (1, 2):
        assert file(chain, member) is ResultCode.OK
    live(chain, 1, 1, 2)
    assert propose(chain, PlanChange.WIND_DOWN, sponsor="d") is ResultCode.OK
    closing_day = life(chain).closing_day
    assert closing_day == today(chain) + 6
    assert file(chain, 3) is ResultCode.OK
    kinds = live(chain, 6, 1, 2, 3)
    assert EventKind.PLAN_COVER_ENDED in kinds
    assert (today(chain), life(chain).status) == (closing_day, PlanStatus.RUN_OFF)
    # Diagnosed before the closing day: filed in run-off, and paid. On the day itself: not covered.
    assert file(chain, 4, days_ago=1) is ResultCode.OK
    assert file(chain, 5) is ResultCode.NO_LONGER_COVERED
    live(chain, 14, 1, 2, 3, 4)
    record = load_plan(chain.state, 0)
    assert [the_claim(chain.state, number).status for number in (1, 2, 3, 4)] == [ClaimStatus.PAID] * 4
    assert (record.debits, record.payouts, record.fees) == (0, 120_000_000, 9_600_000)
    assert record.sponsored == record.payouts + record.fees
    live(chain, 10)
    assert life(chain).status is PlanStatus.SETTLED
    assert list(Audit(chain.genesis, chain.state).run()) == []


def test_a_plan_without_members_ends_all_the_same() -> None:
    """Nobody is there to share: the sponsor pays, and nothing is carried for ever."""
    chain = chain_with(1)
    file(chain, 1)
    propose(chain, PlanChange.WIND_DOWN, sponsor="d")
    live(chain, 40, 1)
    assert the_claim(chain.state, 1).status is ClaimStatus.PAID
    assert life(chain).status is PlanStatus.SETTLED


def test_the_closing_day_that_was_voted_counts_if_it_leaves_the_notice() -> None:
    chain = chain_with()
    wanted = today(chain) + 30
    propose(chain, PlanChange.WIND_DOWN, sponsor="d", closing_day=wanted)
    assert life(chain).closing_day == wanted
    chain = chain_with()
    propose(chain, PlanChange.WIND_DOWN, sponsor="d", closing_day=today(chain) + 1)
    assert life(chain).closing_day == today(chain) + 6


def test_a_suspended_plan_can_be_wound_down() -> None:
    chain = chain_with()
    suspend(chain, days=100)
    assert propose(chain, PlanChange.WIND_DOWN, sponsor="d") is ResultCode.OK
    live(chain, 30)
    assert life(chain).status is PlanStatus.SETTLED


def test_nothing_can_be_filed_after_the_run_off() -> None:
    chain = chain_with()
    file(chain, 1)
    propose(chain, PlanChange.WIND_DOWN, sponsor="d")
    run_off_ms = life(chain).run_off_ms
    assert run_off_ms - life(chain).deadline_ms == 20 * DAY_MS
    chain.until(run_off_ms - 2)
    assert file(chain, 2, days_ago=22) is ResultCode.OK
    assert file(chain, 3, days_ago=22) is ResultCode.PLAN_RUN_OFF_OVER


def test_an_open_claim_keeps_the_plan_from_being_settled() -> None:
    chain = chain_with()
    file(chain, 1)
    propose(chain, PlanChange.WIND_DOWN, sponsor="d")
    chain.until(life(chain).run_off_ms - 2)
    assert file(chain, 2, days_ago=22) is ResultCode.OK
    kinds = live(chain, 3)
    assert kinds.count(EventKind.PLAN_CLAIMS_OPEN) == 3
    for number in (1, 2):
        chain.do("a", WithdrawClaim(claim=number))
    kinds = live(chain, 7)
    assert kinds.count(EventKind.PLAN_SETTLED) == 1
    assert life(chain).status is PlanStatus.SETTLED
    assert not {EventKind.CYCLE_DISCLOSED, EventKind.PLAN_CLAIMS_OPEN} & set(live(chain, 20))


@pytest.mark.parametrize("step_days", [1, 7, 60])
def test_a_late_clock_leaves_the_same_end(step_days: int) -> None:
    def end(days: int) -> tuple[object, ...]:
        terms = replace(TERMS, life=replace(TERMS.life, refund_cycles=3))
        chain = chain_with(terms=terms)
        file(chain, 1)
        live(chain, 10, 1)
        file(chain, 2)
        live(chain, 2, 2)
        propose(chain, PlanChange.WIND_DOWN, sponsor="d")
        start_ms = chain.now_ms
        for _ in range(60 // days):
            chain.wait(days=days)
        chain.until(max(chain.now_ms + 1, start_ms + 61 * DAY_MS))
        # The payment of the second claim is passed on for ever: who paid it late is not compared.
        return life(chain), load_refund(chain.state, 0), load_plan(chain.state, 0)

    assert end(step_days) == end(1)


# Least membership.

LEAST = replace(TERMS, life=replace(TERMS.life, min_units=5, sponsor="b", wind_down_days=8))


def leave(chain: Chain, *members: int) -> None:
    """By being paid, which ends their membership."""
    for member in members:
        assert file(chain, member) is ResultCode.OK


def test_a_plan_that_never_had_its_least_membership_does_not_end() -> None:
    chain = chain_with(4, LEAST)
    live(chain, 20)
    assert life(chain).status is PlanStatus.OPEN
    assert not life(chain).reached


def test_below_the_least_membership_twice_in_a_row_the_plan_winds_down() -> None:
    chain = chain_with(6, replace(LEAST, exit_after_payout=True))
    live(chain, 4)
    assert life(chain).reached
    leave(chain, 1, 2)
    kinds: list[EventKind] = []
    low = 0
    while EventKind.PLAN_END_ANNOUNCED not in kinds:
        kinds = live(chain, 1, 1, 2)
        low = max(low, life(chain).low_disclosures)
    assert low == 2
    assert (life(chain).status, life(chain).sponsor) == (PlanStatus.WINDING_DOWN, 1)
    assert life(chain).closing_day == today(chain) + 8
    live(chain, 60, 1, 2)
    assert life(chain).status is PlanStatus.SETTLED


def test_one_disclosure_below_is_forgiven_when_members_come_back() -> None:
    chain = chain_with(5, replace(LEAST, exit_after_payout=True))
    live(chain, 4)
    leave(chain, 1)
    while not life(chain).low_disclosures:
        live(chain, 1, 1)
    enrol(chain, 100, 1)
    live(chain, 8)
    assert (life(chain).status, life(chain).low_disclosures) == (PlanStatus.OPEN, 0)


# Refunds.


def test_the_surplus_goes_back_in_equal_parts_and_the_rest_stays() -> None:
    chain = chain_with(7)
    live(chain, 4)
    record = load_plan(chain.state, 0)
    # 25 minor units are left over, wherever they came from.
    chain.state.put(keys.plan_state(0), encode(replace(record, surplus=25, sponsored=25)))
    propose(chain, PlanChange.WIND_DOWN, sponsor="d")
    live(chain, 40)
    refund = load_refund(chain.state, 0)
    assert refund is not None
    assert (refund.surplus_per_unit, refund.shares, refund.organisations) == (3, 0, (21, 0, 0, 0))
    assert given_back(chain) == ["0.03"] * 7
    record = load_plan(chain.state, 0)
    assert (record.surplus, record.refunds, record.sponsored) == (4, 21, 25)


def test_a_surplus_below_one_unit_each_stays() -> None:
    """7 members share 32,400,000: 4,628,572 each is 4 too much."""
    chain = chain_with(7)
    file(chain, 1)
    live(chain, 12, 1)
    record = load_plan(chain.state, 0)
    assert record.surplus == 4 and record.debits == 32_400_004
    propose(chain, PlanChange.WIND_DOWN, sponsor="d")
    live(chain, 40, 1)
    record = load_plan(chain.state, 0)
    assert life(chain).status is PlanStatus.SETTLED
    assert (record.surplus, record.refunds, load_refund(chain.state, 0)) == (4, 0, None)


def test_the_last_shares_before_the_announcement_are_paid_back_by_the_sponsor() -> None:
    chain = chain_with(7, replace(TERMS, life=replace(TERMS.life, refund_cycles=4)))
    file(chain, 1)
    live(chain, 12, 1)
    share = 4_628_572
    assert load_plan(chain.state, 0).accumulated == share
    propose(chain, PlanChange.WIND_DOWN, sponsor="d")
    live(chain, 40, 1)
    refund = load_refund(chain.state, 0)
    assert refund is not None
    assert (refund.shares, refund.organisations) == (7 * share, (7 * share, 0, 0, 0))
    assert given_back(chain) == ["46285.72"] * 7
    record = load_plan(chain.state, 0)
    assert (record.refunds, record.sponsored) == (7 * share, 7 * share)
    assert list(Audit(chain.genesis, chain.state).run()) == []
