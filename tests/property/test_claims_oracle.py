"""The claims state machine against a slow per-member oracle, on random histories."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from node.claims.results import ResultCode
from tests.factories import Chain
from tests.property.claims_driver import Driver, record_blocks


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=66)
@example(seed=102)
@example(seed=1228)
@example(seed=2023)
@example(seed=2162)
def test_every_bill_and_total_equals_the_oracles(seed: int) -> None:
    driver = Driver(seed)
    driver.run(40)
    driver.statements_agree()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_every_bill_and_total_equals_the_oracles_for_a_long_time(seed: int) -> None:
    driver = Driver(seed)
    driver.run(250)
    driver.statements_agree()


def test_the_driver_reaches_every_kind_of_outcome() -> None:
    """A generator that never gets far would prove nothing."""
    codes: dict[ResultCode, int] = {}
    statuses: dict[str, int] = {}
    endings: dict[str, int] = {}
    carried = shared = missed = cut = sponsored = capped = failed = removed = deducted = 0
    for seed in range(36):
        driver = Driver(seed)
        driver.run(70)
        for code, count in driver.codes.items():
            codes[code] = codes.get(code, 0) + count
        for claim in driver.oracle.claims:
            statuses[claim.status] = statuses.get(claim.status, 0) + 1
            missed += claim.missed
            deducted += claim.deducted > 0
        for one in driver.oracle.applications:
            endings[one.status] = endings.get(one.status, 0) + 1
        failed, removed = failed + driver.oracle.failed, removed + driver.oracle.removed
        cut += driver.oracle.cut > 0
        for plan in driver.oracle.plans:
            cap = plan.terms.costs.year_cap_minor_units
            years = [member.by_year for member in driver.oracle.members if member.plan == plan.number]
            capped += cap > 0 and any(cap in year.values() for year in years)
            sponsored += plan.sponsored > 0
            shared += sum(share > 0 for _, _, share, _ in plan.history)
            carried += sum(cases < 0 for _, _, _, cases in plan.history)
    assert set(codes) >= {
        ResultCode.OK,
        ResultCode.PERSON_ALREADY_MEMBER,
        ResultCode.TOO_OLD,
        ResultCode.DIAGNOSIS_IN_FUTURE,
        ResultCode.NOT_YET_COVERED,
        ResultCode.NO_LONGER_COVERED,
        ResultCode.OBSERVATION_NOT_OVER,
        ResultCode.REPORT_WINDOW_OVER,
        ResultCode.OPEN_CLAIM_EXISTS,
        ResultCode.ALREADY_PAID,
        ResultCode.AMOUNT_IS_FIXED,
        ResultCode.AMOUNT_OUT_OF_RANGE,
        ResultCode.NOT_ASSIGNED,
        ResultCode.DENIAL_WITHOUT_GROUNDS,
        ResultCode.NOT_THE_ENROLLER,
        ResultCode.MEMBERSHIP_ENDED,
        ResultCode.DEPENDANTS_FIRST,
        ResultCode.PAID_BY_ANOTHER,
        ResultCode.OWN_BALANCE,
        ResultCode.NO_BALANCE,
        ResultCode.NOTHING_TO_CHANGE,
        ResultCode.MORE_THAN_OWED,
        ResultCode.APPLICATION_PENDING,
        ResultCode.WRONG_APPLICATION_STATUS,
        ResultCode.REFUSAL_WITHOUT_GROUNDS,
        ResultCode.PAYER_NOT_ACCEPTED,
        ResultCode.UNKNOWN_PAYER,
    }
    assert set(endings) == {"APPLIED", "ACCEPTED", "REFUSED", "WITHDRAWN", "LAPSED"}
    assert {"paid", "denied", "closed_denied", "filed", "investigated", "settled"} <= set(statuses)
    assert min(statuses["paid"], statuses["denied"], statuses["closed_denied"], shared, carried, missed) > 5
    assert min(cut, sponsored, capped) > 2
    assert min(failed, removed, deducted) > 5


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_history_twice_gives_the_same_bytes(seed: int) -> None:
    first, second = Driver(seed), Driver(seed)
    first.run(25)
    second.run(25)
    assert first.chain.state.records == second.chain.state.records
    assert first.chain.results == second.chain.results


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=158)
@example(seed=417)
@example(seed=489)
def test_a_clock_that_lags_changes_no_outcome(seed: int) -> None:
    """The same transactions on a chain that fires one deadline per block, and on one that fires all."""
    driver = Driver(seed)
    slow = Chain(replace(driver.chain.genesis, deadlines_per_block=1))
    recorded = record_blocks(driver)
    driver.run(30)
    for later_ms, sent in recorded:
        transactions = [slow.transaction(sender, *actions, valid_ms=later_ms + 1_000) for sender, actions in sent]
        result = slow.block(*transactions, later_ms=later_ms)
        expected = driver.chain.results[len(slow.results) - 1]
        for ours, theirs in zip(result.receipts, expected.receipts, strict=True):
            if ours.code == ResultCode.CLOCK_BEHIND:
                return  # Refused rather than judged on stale state; from here on the histories differ.
            assert ours.code == theirs.code
    while (due := slow.application.next_deadline_ms(slow.state)) is not None and due <= slow.now_ms:
        slow.block(later_ms=0)
    assert slow.state.records == driver.chain.state.records
