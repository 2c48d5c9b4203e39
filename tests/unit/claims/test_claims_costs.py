"""Caps, sponsors, shortfalls, receipts and what comes back: through money.py and through the real chain."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.genesis import Calendar, Costs
from node.claims.genesis_checks import check_genesis
from node.claims.module import BlockScope, InvariantBroken, Scope, Sender
from node.claims.money import fee_of, payable_from, pro_rata, settle, yearly_charge
from node.claims.mutual_aid.actions import RecordReceipt
from node.claims.mutual_aid.receipts import cash, demand_back, recover, write_off
from node.claims.mutual_aid.records import load_cohorts, load_plan, load_receivables, the_claim, the_cycle, the_member
from node.claims.plain import BadValue
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.wire import encode
from tests.factories import Chain, make_genesis, person, plan, with_terms
from tests.unit.claims.test_claims_settlement import CODE, accepted, crowd, enrolled, pay, until_settled

CASE = 30_000_000
WITH_FEE = 32_400_000


def chain_with(**costs: object) -> Chain:
    return Chain(make_genesis(plans=(with_terms(plan(CODE), costs=Costs(**costs)),)))  # type: ignore[arg-type]


def test_the_cap_of_a_case_needs_so_many_payers() -> None:
    """0.10 yuan a case at 8 %: 3,240,000 members carry one case of 300,000 alone, and not one less."""
    enough = settle(payouts=CASE, fee_bps=800, surplus=0, members=3_240_000, share_cap=10)
    assert (enough.share, enough.capped, enough.surplus, enough.payouts) == (10, False, 0, CASE)
    short = settle(payouts=CASE, fee_bps=800, surplus=0, members=3_239_999, share_cap=10)
    assert (short.share, short.capped) == (10, True)
    assert short.payouts + short.fee + short.surplus == 32_399_990
    sponsored = settle(payouts=CASE, fee_bps=800, surplus=0, members=3_239_999, share_cap=10, sponsored=True)
    assert (sponsored.payouts, sponsored.sponsored, sponsored.surplus) == (CASE, 10, 0)


def test_no_cohort_pays_more_than_the_cap_in_a_year() -> None:
    result = settle(payouts=1_000, fee_bps=0, surplus=0, members=100, cohorts=[(60, 95), (40, 0)], year_cap=100)
    assert (result.share, result.charges) == (10, (5, 10))
    assert (result.collected, result.payouts) == (700, 700)
    assert [yearly_charge(charged, 10, 100) for charged in (0, 95, 100)] == [10, 5, 0]
    assert yearly_charge(10**9, 10, 0) == 10


@pytest.mark.parametrize("fee_bps", [0, 1, 777, 800, 9_999, 10_000])
def test_what_is_payable_is_the_largest_sum_that_fits_with_its_fee(fee_bps: int) -> None:
    for available in (0, 1, 2, 107, 108, 9_999, 10_001, 32_399_999):
        payouts = payable_from(available, fee_bps)
        assert payouts + fee_of(payouts, fee_bps) <= available
        assert payouts + 1 + fee_of(payouts + 1, fee_bps) > available


def test_a_shortfall_is_spread_by_largest_remainder_and_ties_go_to_the_lower_claim() -> None:
    assert pro_rata(10, [3, 3, 3, 3]) == [3, 3, 2, 2]
    assert pro_rata(100, [1, 50, 149]) == [1, 25, 74]
    assert pro_rata(0, [5, 5]) == [0, 0]
    assert pro_rata(7, [3, 4]) == [3, 4]


def test_without_a_sponsor_claims_are_paid_in_proportion_and_the_record_says_so() -> None:
    chain = chain_with(case_cap_minor_units=1_000_000)
    enrolled(chain, 1, 2, 3)
    enrolled(chain, 4, birth_year=1980)
    chain.wait(days=91)
    first, second = accepted(chain, 1), accepted(chain, 4)
    cycle = the_cycle(chain.state, 0, until_settled(chain, first))
    # Four members, two cases: 8,000,000 for 40,000,000 and its fee.
    assert (cycle.share, cycle.collected, cycle.granted, cycle.sponsored) == (2_000_000, 8_000_000, 40_000_000, 0)
    assert cycle.payouts + cycle.fee + cycle.surplus_after == 8_000_000
    claims = [the_claim(chain.state, number) for number in (first, second)]
    assert [claim.amount for claim in claims] == [CASE, 10_000_000]
    assert sum(claim.payable for claim in claims) == cycle.payouts == 7_407_408
    assert [claim.payable for claim in claims] == [5_555_556, 1_851_852]
    pay(chain, first)
    record = load_plan(chain.state, 0)
    assert (record.paid, record.payable) == (5_555_556, 1_851_852)


def test_a_sponsor_bears_the_shortfall_and_pays_it_later() -> None:
    chain = chain_with(case_cap_minor_units=1_000_000, sponsor="c")
    enrolled(chain, 1, 2, 3)
    chain.wait(days=91)
    number = accepted(chain, 1)
    cycle = the_cycle(chain.state, 0, until_settled(chain, number))
    assert (cycle.payouts, cycle.collected, cycle.sponsored) == (CASE, 3_000_000, WITH_FEE - 3_000_000)
    receipt = RecordReceipt(plan=CODE, organisation="c", amount=cycle.sponsored, receipt=person(1), sponsor=True)
    assert chain.do("b", replace(receipt, amount=cycle.sponsored + 1)).code == ResultCode.MORE_THAN_OWED
    assert chain.do("b", replace(receipt, organisation="a")).code == ResultCode.MORE_THAN_OWED
    assert chain.do("b", receipt).code == 0
    assert load_plan(chain.state, 0).sponsor_receipts == cycle.sponsored
    assert chain.do("b", replace(receipt, amount=1)).code == ResultCode.MORE_THAN_OWED


def test_a_yearly_cap_counts_by_cohort_and_begins_anew_in_january() -> None:
    """Members of January have paid the cap when those of spring have not; next year all pay again."""
    terms = with_terms(plan(CODE), waiting_days=1, exit_after_payout=False, costs=Costs(year_cap_minor_units=9_000_000))
    terms = with_terms(terms, calendar=Calendar(cycle_days=14, settlement_after_days=7))
    chain = Chain(make_genesis(plans=(terms,)))
    enrolled(chain, 1, 2, 3, 4)
    chain.wait(days=15)
    first = the_cycle(chain.state, 0, until_settled(chain, accepted(chain, 1)))
    assert (first.share, first.payouts) == (8_100_000, CASE)
    enrolled(chain, 5, 6, 7, 8, by="b")
    chain.wait(days=15)
    second = the_cycle(chain.state, 0, until_settled(chain, accepted(chain, 2)))
    # Eight members owe 4,050,000 each; four of them have 900,000 left of their year.
    assert (second.share, second.collected) == (4_050_000, 4 * 900_000 + 4 * 4_050_000)
    bills = [Queries(chain.genesis).bill(chain.state, the_member(chain.state, number)) for number in (1, 5)]
    assert bills == [9_000_000, 4_050_000]
    assert load_receivables(chain.state, 0).debits == (36_000_000, 16_200_000, 0, 0)
    cohorts = load_cohorts(chain.state, 0)
    assert cohorts is not None
    assert [one.charged for one in cohorts.cohorts if sum(one.units)] == [9_000_000, 4_050_000]
    chain.wait(days=330)
    third = the_cycle(chain.state, 0, until_settled(chain, accepted(chain, 3)))
    assert third.share == 4_050_000 == third.collected // 8
    cohorts = load_cohorts(chain.state, 0)
    assert cohorts is not None
    assert [(one.cycle, sum(one.units)) for one in cohorts.cohorts if sum(one.units)] == [(0, 8)]
    bills = [Queries(chain.genesis).bill(chain.state, the_member(chain.state, number)) for number in (1, 5)]
    assert bills == [13_050_000, 8_100_000]


def test_a_weight_multiplies_the_share() -> None:
    chain = Chain()
    enrolled(chain, 1, 2)
    crowd(chain, 0)
    chain.wait(days=91)
    heavy = replace(the_member(chain.state, 2), units=2)
    chain.state.put(keys.member(2), encode(heavy))
    queries = Queries(chain.genesis)
    cycle = until_settled(chain, accepted(chain, 1))
    share = the_cycle(chain.state, 0, cycle).share
    assert [queries.bill(chain.state, the_member(chain.state, number)) for number in (1, 2)] == [share, 2 * share]


def test_an_organisation_hands_over_no_more_than_it_owes() -> None:
    chain = Chain()
    enrolled(chain, 1, 2)
    enrolled(chain, 3, by="b")
    chain.wait(days=91)
    until_settled(chain, accepted(chain, 1))
    receipt = RecordReceipt(plan=CODE, organisation="a", amount=21_600_000, receipt=person(1))
    assert load_receivables(chain.state, 0).debits == (21_600_000, 10_800_000, 0, 0)
    assert chain.do("d", replace(receipt, plan="nowhere")).code == ResultCode.UNKNOWN_PLAN
    assert chain.do("d", replace(receipt, organisation="nobody")).code == ResultCode.UNKNOWN_ORGANISATION
    assert chain.do("d", replace(receipt, amount=21_600_001)).code == ResultCode.MORE_THAN_OWED
    assert chain.do("d", replace(receipt, sponsor=True)).code == ResultCode.MORE_THAN_OWED
    assert chain.do("d", receipt).code == 0
    assert chain.do("d", replace(receipt, amount=1)).code == ResultCode.MORE_THAN_OWED
    assert cash(load_plan(chain.state, 0)) == 21_600_000


def test_terms_may_ask_that_money_is_collected_before_it_is_paid() -> None:
    chain = chain_with(pay_from_receipts=True)
    enrolled(chain, 1, 2)
    chain.wait(days=91)
    number = accepted(chain, 1)
    until_settled(chain, number)
    with pytest.raises(AssertionError, match=str(ResultCode.NOT_COLLECTED_YET.value)):
        pay(chain, number)
    assert chain.do("b", RecordReceipt(plan=CODE, organisation="a", amount=CASE, receipt=person(1))).code == 0
    pay(chain, number)
    assert cash(load_plan(chain.state, 0)) == 0


def test_what_comes_back_lowers_the_next_share_together_with_its_fee() -> None:
    chain = Chain()
    enrolled(chain, 1, 2, 3)
    chain.wait(days=91)
    number = accepted(chain, 1)
    until_settled(chain, number)
    pay(chain, number)
    scope = Scope(chain.state, BlockScope(chain.height, chain.now_ms), Sender(1, 0))
    demand_back(scope, 0, CASE)
    with pytest.raises(InvariantBroken, match="cannot come back"):
        recover(scope, 0, CASE + 1, 800)
    recover(scope, 0, 10_000_001, 800)
    write_off(scope, 0, CASE - 10_000_001)
    with pytest.raises(InvariantBroken, match="cannot be written off"):
        write_off(scope, 0, 1)
    record = load_plan(chain.state, 0)
    assert (record.clawback, record.fees, record.surplus) == (10_000_001, 1_600_000, 10_800_001)
    assert (record.receivable_back, record.written_off) == (0, CASE - 10_000_001)
    chain.application.modules[1].check(chain.state, "plan", 0)
    cycle = the_cycle(chain.state, 0, until_settled(chain, accepted(chain, 2)))
    assert cycle.share == (WITH_FEE - 10_800_001 + 1) // 2


def test_caps_of_later_versions_keep_to_years_and_sponsors_exist() -> None:
    def versions(first: int, second: int, day: int) -> None:
        old = with_terms(plan(CODE), costs=Costs(year_cap_minor_units=first))
        new = with_terms(old, version=2, effective_day=day, costs=Costs(year_cap_minor_units=second))
        check_genesis(make_genesis(plans=(old, new)))

    new_year = 20_819  # 2027-01-01
    versions(100, 200, new_year)
    versions(100, 0, new_year)
    versions(100, 100, new_year + 9)
    with pytest.raises(BadValue, match="1 January"):
        versions(100, 200, new_year + 1)
    with pytest.raises(BadValue, match="cannot get one"):
        versions(0, 100, new_year)
    with pytest.raises(BadValue, match="no organisation nobody"):
        check_genesis(make_genesis(plans=(with_terms(plan(CODE), costs=Costs(sponsor="nobody")),)))
    long = with_terms(
        plan(CODE), costs=Costs(year_cap_minor_units=1), calendar=Calendar(cycle_days=367, settlement_after_days=7)
    )
    with pytest.raises(BadValue, match="longer than a year"):
        check_genesis(make_genesis(plans=(long,)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sponsored": 1}, "= payouts"),
        ({"receipts": 1}, "handed over"),
        ({"sponsor_receipts": 1}, "no sponsor has paid"),
        ({"written_off": 1}, "what came back was paid"),
        ({"debits": 1, "surplus": 1}, "sum of what organisations owe"),
    ],
)
def test_each_equation_is_looked_at(change: dict[str, int], message: str) -> None:
    chain = Chain()
    chain.state.put(keys.plan_state(0), encode(replace(load_plan(chain.state, 0), **change)))
    with pytest.raises(InvariantBroken, match=message):
        chain.application.modules[1].check(chain.state, "plan", 0)
