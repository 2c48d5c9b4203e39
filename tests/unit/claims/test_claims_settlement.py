"""Cycles through the real chain: who is counted, what is shared, and when there is nobody."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import start_of
from node.claims.events import EventKind
from node.claims.genesis import Calendar
from node.claims.module import InvariantBroken
from node.claims.mutual_aid.actions import ConfirmPayment, Decision, Enrol, FileClaim, Finding, Investigate, Review
from node.claims.mutual_aid.records import (
    CycleStatus,
    DayChange,
    Exit,
    load_plan,
    the_claim,
    the_cycle,
    the_member,
)
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.queries import Queries
from node.claims.types import HOUR_MS
from node.claims.wire import encode
from tests.factories import ORGANISATIONS, Chain, make_genesis, new_member, person, plan, with_terms

CODE = "critical-illness"


def enrolled(chain: Chain, *numbers: int, birth_year: int = 1990, by: str = "a") -> None:
    members = tuple(new_member(number, birth_year=birth_year) for number in numbers)
    assert chain.do(by, Enrol(plan=chain.genesis.plans[0].code, members=members)).code == 0


def today(chain: Chain) -> int:
    return chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms)


def accepted(chain: Chain, member: int, *, accident: bool = False) -> int:
    """File, investigate and accept a claim; its number."""
    filing = FileClaim(
        plan=chain.genesis.plans[0].code,
        member=member,
        ailment="S01",
        diagnosis_day=today(chain),
        accident=accident,
        evidence=person(member),
    )
    receipt = chain.do("c", filing)
    assert receipt.code == 0, receipt
    number = receipt.events[0].subject
    step(chain, number, Investigate(claim=number, finding=Finding.PASS, report=person(1)))
    step(chain, number, Review(claim=number, decision=Decision.ACCEPT))
    return number


def step(chain: Chain, number: int, action: Investigate | Review | ConfirmPayment) -> None:
    receipt = chain.do(ORGANISATIONS[the_claim(chain.state, number).assigned], action)
    assert receipt.code == 0, receipt


def pay(chain: Chain, number: int) -> None:
    claim = the_claim(chain.state, number)
    step(chain, number, ConfirmPayment(claim=number, amount=claim.payable, receipt=person(2)))


def until_settled(chain: Chain, number: int) -> int:
    """Days pass until the claim is payable; its cycle."""
    for _ in range(120):
        claim = the_claim(chain.state, number)
        if claim.status is ClaimStatus.SETTLED:
            return claim.cycle
        chain.wait(days=1)
    raise AssertionError(f"claim {number} is still {claim.status.name}")


def crowd(chain: Chain, count: int) -> None:
    """As if so many more had enrolled with organisation b: the row that enrolments add up in."""
    chain.state.put(keys.day_change(0, today(chain), 1), encode(DayChange(change=count)))


@pytest.mark.parametrize(
    ("cases", "members", "share"),
    [
        (2, 21_599_999, 4),
        (2, 21_600_000, 3),
        (2, 32_399_999, 3),
        (2, 32_400_000, 2),
        (1, 34_860_000, 1),
        (1, 32_399_999, 2),
        (1, 32_400_000, 1),
    ],
)
def test_published_cycles_are_settled_as_published(cases: int, members: int, share: int) -> None:
    """Source: the programme's cycles of 2019: 2 x 300,000.00 at "over 23 million" members, 0.03 each."""
    chain = Chain()
    enrolled(chain, 1, 2)
    chain.wait(days=91)
    crowd(chain, members - 2)
    claims = [accepted(chain, number) for number in range(1, cases + 1)]
    cycle = the_cycle(chain.state, 0, until_settled(chain, claims[0]))
    assert (cycle.members, cycle.cases, cycle.payouts) == (members, cases, cases * 30_000_000)
    assert cycle.share == share
    assert cycle.surplus_after == share * members - cycle.payouts - cycle.fee
    assert Queries(chain.genesis).bill(chain.state, the_member(chain.state, 1)) == share


def test_the_surplus_of_a_cycle_lowers_the_share_of_the_next() -> None:
    chain = Chain()
    enrolled(chain, 1, 2, 3, 4, 5, 6, 7)
    chain.wait(days=91)
    first = the_cycle(chain.state, 0, until_settled(chain, accepted(chain, 1)))
    second = the_cycle(chain.state, 0, until_settled(chain, accepted(chain, 2)))
    assert first.surplus_after == first.share * 7 - 32_400_000 > 0
    assert second.surplus_before == first.surplus_after
    assert second.share == -(-(32_400_000 - first.surplus_after) // 7)


def test_members_are_counted_as_of_midnight_of_the_disclosure_day() -> None:
    """Waiting 1 day: enrolled on the 6th, covered and counted on the 7th; enrolled on the 7th, not yet."""
    chain = Chain(make_genesis(plans=(with_terms(plan(CODE), waiting_days=1),)))
    plans = chain.application.registry.plans(chain.state)
    disclosure = load_plan(chain.state, 0).disclosure_ms
    chain.until(disclosure - HOUR_MS)
    enrolled(chain, 1, 2)
    # This block is later than midnight and also holds an enrolment: the clock goes first.
    late = chain.transaction("b", Enrol(plan=CODE, members=(new_member(3),)), valid_ms=2 * HOUR_MS)
    result = chain.block(late, later_ms=HOUR_MS)
    assert [event.kind for event in result.clock.events] == [EventKind.CYCLE_DISCLOSED]
    first = the_cycle(chain.state, 0, 1)
    assert (first.members, first.units, first.day) == (2, (2, 0, 0, 0), plans[0].day_of(disclosure))
    chain.until(load_plan(chain.state, 0).disclosure_ms)
    assert the_cycle(chain.state, 0, 2).units == (2, 1, 0, 0)


@pytest.mark.parametrize("sharing", [True, False])
def test_whether_waiting_members_share_is_a_term_of_the_plan(sharing: bool) -> None:
    chain = Chain(make_genesis(plans=(with_terms(plan(CODE), waiting_members_share=sharing),)))
    enrolled(chain, 1)
    chain.until(load_plan(chain.state, 0).disclosure_ms)
    assert the_cycle(chain.state, 0, 1).members == int(sharing)


def test_a_cycle_with_claims_and_nobody_to_share_moves_them_to_the_next() -> None:
    """An accident in the waiting period, while no member is covered yet."""
    chain = Chain()
    enrolled(chain, 1, 2)
    chain.wait(days=2)
    number = accepted(chain, 1, accident=True)
    chain.wait(days=20)
    carried = the_cycle(chain.state, 0, 1)
    assert (carried.status, carried.members, carried.cases, carried.share) == (CycleStatus.CARRIED, 0, 0, 0)
    claim = the_claim(chain.state, number)
    assert (claim.status, claim.cycle) == (ClaimStatus.CONFIRMED, 2)
    cycle = the_cycle(chain.state, 0, until_settled(chain, number))
    assert (cycle.status, cycle.members, cycle.cases, cycle.share) == (CycleStatus.SETTLED, 2, 1, 16_200_000)


def test_a_member_who_was_paid_shares_their_own_cycle_and_none_after() -> None:
    chain = Chain()
    enrolled(chain, 1, 2, 3)
    chain.wait(days=91)
    number = accepted(chain, 1)
    own = until_settled(chain, number)
    pay(chain, number)
    other = until_settled(chain, accepted(chain, 2))
    assert (the_cycle(chain.state, 0, own).members, the_cycle(chain.state, 0, other).members) == (3, 2)
    queries = Queries(chain.genesis)
    bills = [queries.bill(chain.state, the_member(chain.state, member)) for member in (1, 2, 3)]
    assert bills == [10_800_000, 27_000_000, 27_000_000]
    view = queries.member(chain.state, 1, chain.now_ms)
    assert view is not None
    assert view["status"] == "aided"


def test_terms_may_keep_a_member_who_was_paid() -> None:
    chain = Chain(make_genesis(plans=(with_terms(plan(CODE), exit_after_payout=False),)))
    enrolled(chain, 1, 2)
    chain.wait(days=91)
    number = accepted(chain, 1)
    until_settled(chain, number)
    pay(chain, number)
    assert the_member(chain.state, 1).exit is Exit.AGE
    chain.wait(days=30)
    assert load_plan(chain.state, 0).members == 2


def test_a_member_paid_for_an_accident_before_sharing_never_shares() -> None:
    """Their exit must not be subtracted before they were ever added."""
    chain = Chain()
    enrolled(chain, 1)
    chain.wait(days=80)
    enrolled(chain, 2)
    chain.wait(days=11)
    number = accepted(chain, 2, accident=True)
    until_settled(chain, number)
    pay(chain, number)
    assert the_member(chain.state, 2).until_day == the_member(chain.state, 2).share_day
    while today(chain) < the_member(chain.state, 2).share_day + 20:
        chain.wait(days=1)
        assert load_plan(chain.state, 0).members == 1
    assert Queries(chain.genesis).bill(chain.state, the_member(chain.state, 2)) == 0


def test_a_member_who_reaches_the_age_limit_is_counted_until_then_and_subtracted_once() -> None:
    """Born in June 1966, 60 on 2026-06-01; paid later for a diagnosis before it."""
    chain = Chain()
    enrolled(chain, 1, 2, birth_year=1966)
    enrolled(chain, 3)
    chain.until(start_of(20_603, 480))  # 2026-05-30
    number = accepted(chain, 1)
    chain.wait(days=3)
    until_settled(chain, number)
    pay(chain, number)
    assert [the_cycle(chain.state, 0, cycle).members for cycle in (10, 11)] == [3, 1]
    chain.wait(days=40)
    assert load_plan(chain.state, 0).members == 1
    assert the_member(chain.state, 1).until_day == 20_605


def test_a_member_paid_before_the_age_limit_is_subtracted_once_too() -> None:
    chain = Chain()
    enrolled(chain, 1, 2, birth_year=1966)
    chain.wait(days=91)
    number = accepted(chain, 1)
    until_settled(chain, number)
    pay(chain, number)
    chain.wait(days=15)
    assert load_plan(chain.state, 0).members == 1
    chain.wait(days=60)
    assert load_plan(chain.state, 0).members == 0


def test_a_claim_accepted_at_the_moment_of_disclosure_waits_for_the_next_cycle() -> None:
    chain = Chain()
    enrolled(chain, 1)
    chain.wait(days=91)
    filing = FileClaim(
        plan=CODE, member=1, ailment="S01", diagnosis_day=today(chain), accident=False, evidence=person(1)
    )
    chain.do("c", filing)
    step(chain, 1, Investigate(claim=1, finding=Finding.PASS, report=person(1)))
    record = load_plan(chain.state, 0)
    reviewer = ORGANISATIONS[the_claim(chain.state, 1).assigned]
    later = record.disclosure_ms - chain.now_ms
    review = chain.transaction(reviewer, Review(claim=1, decision=Decision.ACCEPT), valid_ms=later + HOUR_MS)
    assert chain.block(review, later_ms=later).receipts[0].code == 0
    assert the_claim(chain.state, 1).cycle == record.cycle + 1


def test_a_cycle_may_be_settled_at_the_moment_the_next_one_is_disclosed() -> None:
    terms = with_terms(plan(CODE), waiting_days=1, calendar=Calendar(cycle_days=7, settlement_after_days=7))
    chain = Chain(make_genesis(plans=(terms,)))
    enrolled(chain, 1, 2)
    chain.wait(days=2)
    number = accepted(chain, 1)
    cycle = until_settled(chain, number)
    assert the_cycle(chain.state, 0, cycle).share == 16_200_000
    assert the_cycle(chain.state, 0, cycle).settlement_ms == the_cycle(chain.state, 0, cycle + 1).disclosure_ms


def test_a_long_pause_of_the_chain_settles_every_cycle_in_between() -> None:
    chain = Chain()
    enrolled(chain, 1, 2)
    chain.wait(days=91)
    accepted(chain, 1)
    chain.wait(days=365)
    record = load_plan(chain.state, 0)
    cycles = [the_cycle(chain.state, 0, number) for number in range(1, record.cycle)]
    assert len(cycles) >= 24
    assert sum(cycle.cases for cycle in cycles) == 1
    assert all(cycle.status is CycleStatus.SETTLED for cycle in cycles[:-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"debits": 1}, "= payouts"),
        ({"surplus": -1, "debits": -1}, "negative"),
        ({"payouts": 5, "granted": 5, "debits": 5}, "settled = payable"),
        ({"members": 9}, "members = sum"),
    ],
)
def test_a_broken_equation_is_found(change: dict[str, int], message: str) -> None:
    chain = Chain()
    broken = replace(load_plan(chain.state, 0), **change)
    chain.state.put(keys.plan_state(0), encode(broken))
    with pytest.raises(InvariantBroken, match=message):
        chain.application.modules[1].check(chain.state, "plan", 0)


def test_a_block_that_touches_a_broken_plan_stops() -> None:
    chain = Chain()
    chain.state.put(keys.plan_state(0), encode(replace(load_plan(chain.state, 0), fees=1)))
    with pytest.raises(InvariantBroken, match="= payouts"):
        chain.until(load_plan(chain.state, 0).disclosure_ms)
