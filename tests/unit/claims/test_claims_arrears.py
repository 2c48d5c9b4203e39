"""Balances, arrears found and reported, grace, removal, deduction and repayment."""

from __future__ import annotations

import pytest

from node.claims import keys
from node.claims.events import EventKind
from node.claims.genesis import Costs
from node.claims.mutual_aid.actions import (
    CloseBalance,
    ConfirmPayment,
    Enrol,
    Leave,
    RecordContribution,
    ReportArrears,
)
from node.claims.mutual_aid.records import Exit, load_account, load_plan, the_claim, the_cycle, the_member
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from tests.factories import ORGANISATIONS, Chain, make_genesis, new_member, person, plan, with_terms
from tests.unit.claims.test_claims_settlement import CODE, accepted, enrolled, until_settled

SHARE = 8_100_000
"""300,000.00 and its fee by four members."""


def start(*, deadlines_per_block: int = 2_000, **costs: object) -> Chain:
    """Members 1 and 2, for whom 1 pays, and 3 and 4, all covered."""
    terms = with_terms(plan(CODE), exit_after_payout=False, costs=Costs(**costs))  # type: ignore[arg-type]
    chain = Chain(make_genesis(plans=(terms,), deadlines_per_block=deadlines_per_block))
    family = (new_member(1), new_member(2, payer=-1), new_member(3), new_member(4))
    assert chain.do("a", Enrol(plan=CODE, members=family)).code == 0
    later(chain)
    return chain


def later(chain: Chain) -> None:
    """The waiting time is over, and the clock has come to all that was due."""
    chain.wait(days=91)
    while (due := chain.application.next_deadline_ms(chain.state)) is not None and due <= chain.now_ms:
        chain.block(later_ms=0)


def pays(chain: Chain, member: int, amount: int, by: str = "a") -> ResultCode:
    return ResultCode(chain.do(by, RecordContribution(member=member, amount=amount, receipt=person(1))).code)


def reports(chain: Chain, member: int, amount: int, by: str = "a") -> ResultCode:
    return ResultCode(chain.do(by, ReportArrears(member=member, amount=amount)).code)


def view(chain: Chain, number: int) -> dict[str, object]:
    found = Queries(chain.genesis).member(chain.state, number, chain.now_ms)
    assert found is not None
    return found


def kinds(chain: Chain) -> list[EventKind]:
    return [event.kind for result in chain.results for event in result.clock.events]


def test_a_balance_lasts_as_long_as_it_covers_the_family() -> None:
    chain = start(grace_cycles=0, retry_days=5)
    assert pays(chain, 1, 2 * SHARE) == ResultCode.OK
    account = load_account(chain.state, 1)
    assert account is not None
    assert account.threshold == SHARE
    until_settled(chain, accepted(chain, 3))
    assert load_account(chain.state, 1) == account
    assert EventKind.MEMBER_IN_ARREARS not in kinds(chain)
    until_settled(chain, accepted(chain, 4))
    assert EventKind.MEMBER_IN_ARREARS in kinds(chain)
    assert view(chain, 1)["status"] == "arrears"
    balance = view(chain, 1)["balance"]
    assert isinstance(balance, dict)
    assert (balance["arrears"], balance["kept_by"]) == ("162000.00", "chain")
    chain.wait(days=4)
    assert the_member(chain.state, 1).exit is Exit.AGE
    chain.wait(days=2)
    # What was paid covers the payer, to the fen, and so nothing of the dependant.
    assert [the_member(chain.state, number).exit for number in (1, 2)] == [Exit.AGE, Exit.REMOVED]
    assert EventKind.MEMBER_REMOVED in kinds(chain)
    assert list(chain.state.scan(*keys.table(keys.THRESHOLD))) == [(keys.threshold(0, 2 * SHARE, 1), b"\x90")]


def test_two_failed_cycles_in_a_row_end_it_and_a_payment_between_them_does_not() -> None:
    chain = start(grace_cycles=1, retry_days=0)
    pays(chain, 3, 1)
    until_settled(chain, accepted(chain, 1))
    account = load_account(chain.state, 3)
    assert account is not None
    assert (account.failures, account.removal_ms) == (1, 0)
    assert pays(chain, 3, SHARE - 1) == ResultCode.OK
    until_settled(chain, accepted(chain, 2))
    account = load_account(chain.state, 3)
    assert account is not None
    assert (account.failures, the_member(chain.state, 3).exit) == (1, Exit.AGE)
    until_settled(chain, accepted(chain, 4))
    assert the_member(chain.state, 3).exit is Exit.REMOVED


def test_own_share_first_then_the_family_in_joining_order() -> None:
    """Enough for the payer and not for the dependant: the dependant goes, its debt stays."""
    chain = start(grace_cycles=0, retry_days=1)
    pays(chain, 1, SHARE + 5)
    until_settled(chain, accepted(chain, 3))
    chain.wait(days=2)
    assert [the_member(chain.state, number).exit for number in (1, 2)] == [Exit.AGE, Exit.REMOVED]
    account = load_account(chain.state, 1)
    assert account is not None
    assert (account.owed, account.failures) == (SHARE - 5, 0)
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(2),))).code == ResultCode.IN_ARREARS
    assert chain.do("a", CloseBalance(member=1, receipt=person(1))).code == ResultCode.IN_ARREARS
    assert pays(chain, 1, SHARE - 5) == ResultCode.OK
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(2),))).code == 0
    assert chain.do("a", CloseBalance(member=1, receipt=person(1))).code == 0
    assert load_account(chain.state, 1) is None


def test_arrears_are_reported_by_the_organisation_that_collects() -> None:
    chain = start(grace_cycles=1, retry_days=3)
    assert reports(chain, 3, 1) == ResultCode.MORE_THAN_OWED
    until_settled(chain, accepted(chain, 4))
    assert reports(chain, 9, 1) == ResultCode.UNKNOWN_MEMBER
    assert reports(chain, 3, 1, by="b") == ResultCode.NOT_THE_ENROLLER
    assert reports(chain, 2, 1) == ResultCode.PAID_BY_ANOTHER
    assert reports(chain, 3, SHARE + 1) == ResultCode.MORE_THAN_OWED
    assert reports(chain, 3, SHARE) == reports(chain, 3, SHARE - 1) == ResultCode.OK
    account = load_account(chain.state, 3)
    assert account is not None
    assert (account.failures, account.paid_in, account.threshold) == (1, 1, -1)
    assert pays(chain, 3, SHARE - 1) == ResultCode.OK
    assert load_account(chain.state, 3) is None
    assert reports(chain, 3, 5) == ResultCode.OK
    chain.wait(days=1)
    until_settled(chain, accepted(chain, 1))
    assert reports(chain, 3, SHARE + 5) == ResultCode.OK
    account = load_account(chain.state, 3)
    assert account is not None
    assert account.removal_ms == chain.now_ms + 1 + 3 * DAY_MS
    chain.wait(days=4)
    assert the_member(chain.state, 3).exit is Exit.REMOVED
    assert chain.do("a", CloseBalance(member=3, receipt=person(1))).code == ResultCode.NO_BALANCE
    pays(chain, 4, 1)
    assert reports(chain, 4, 1) == ResultCode.OWN_BALANCE


def test_arrears_are_taken_from_the_payout() -> None:
    chain = start(grace_cycles=3)
    until_settled(chain, accepted(chain, 4))
    assert reports(chain, 3, 1_000_000) == ResultCode.OK
    number = accepted(chain, 3)
    until_settled(chain, number)
    claim = the_claim(chain.state, number)
    arrears = 1_000_000 + SHARE
    shown = Queries(chain.genesis).claim(chain.state, number)
    assert shown is not None
    assert shown["payable"] == f"{(30_000_000 - arrears) // 100}.00"
    payer = ORGANISATIONS[claim.assigned]
    full = ConfirmPayment(claim=number, amount=claim.payable, receipt=person(1))
    assert chain.do(payer, full).code == ResultCode.WRONG_PAYMENT_AMOUNT
    net = ConfirmPayment(claim=number, amount=claim.payable - arrears, receipt=person(1))
    assert chain.do(payer, net).code == 0
    assert the_claim(chain.state, number).deducted == arrears
    assert load_account(chain.state, 3) is None
    assert load_plan(chain.state, 0).paid == claim.payable


@pytest.mark.parametrize("deadlines", [1, 2_000])
def test_many_balances_are_looked_at_some_at_a_time(deadlines: int) -> None:
    chain = start(deadlines_per_block=deadlines, grace_cycles=0, retry_days=1)
    enrolled(chain, *range(10, 40))
    later(chain)
    for number in range(5, 35):
        assert pays(chain, number, 10) == ResultCode.OK
    number = accepted(chain, 4)
    for _ in range(400):
        due = chain.application.next_deadline_ms(chain.state)
        assert due is not None
        chain.block(later_ms=max(0, due - chain.now_ms))
        if the_member(chain.state, 34).exit is Exit.REMOVED:
            break
    assert the_claim(chain.state, number).payable == 30_000_000
    assert {the_member(chain.state, one).exit for one in range(5, 35)} == {Exit.REMOVED}
    assert {the_member(chain.state, one).until_day for one in range(5, 35)} == {the_member(chain.state, 5).until_day}


def test_what_the_clock_has_not_come_to_is_looked_at_before_a_payment_counts() -> None:
    """One deadline a block: the payment comes after the settlement and before the sweep, and the record is the same."""
    records = []
    for deadlines in (1, 2_000):
        chain = start(deadlines_per_block=deadlines, grace_cycles=0, retry_days=5)
        pays(chain, 3, 1)
        number = accepted(chain, 4)
        cycle = the_claim(chain.state, number).cycle
        while the_cycle_status(chain, cycle) != "SETTLED":
            due = chain.application.next_deadline_ms(chain.state)
            assert due is not None
            chain.block(later_ms=max(0, due - chain.now_ms))
        pays(chain, 3, 7)
        for _ in range(20):
            chain.block(later_ms=0)
        records.append(load_account(chain.state, 3))
    assert records[0] == records[1]
    assert records[0] is not None
    assert records[0].failures == 1


def the_cycle_status(chain: Chain, number: int) -> str:
    if load_plan(chain.state, 0).cycle <= number:
        return ""
    return the_cycle(chain.state, 0, number).status.name


def test_a_balance_is_refused_while_the_clock_is_behind_the_plan() -> None:
    chain = start(deadlines_per_block=1)
    record = load_plan(chain.state, 0)
    accepted(chain, 1)
    chain.wait(days=60)
    assert load_plan(chain.state, 0).disclosure_ms <= chain.now_ms
    assert record.cycle <= load_plan(chain.state, 0).cycle
    assert pays(chain, 3, 5) == ResultCode.CLOCK_BEHIND


def test_a_dependant_who_joins_makes_the_balance_run_out_earlier() -> None:
    chain = start()
    pays(chain, 3, 100)
    before = load_account(chain.state, 3)
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(50, payer=3),))).code == 0
    after = load_account(chain.state, 3)
    assert before is not None
    assert after is not None
    assert (before.threshold, after.threshold) == (100, 50)
    chain.do("a", Leave(member=3, family=True))
    assert pays(chain, 3, 1) == ResultCode.OK
