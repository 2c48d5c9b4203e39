"""Clawback and reopening beyond their rows: the panel, the money, the membership, and how often."""

from __future__ import annotations

import pytest

from node.claims.claim_rules import ClaimRules
from node.claims.events import EventKind
from node.claims.genesis import Role
from node.claims.mutual_aid.actions import OpenClawback, RecordRecovery, ReopenClaim, VoteWriteOff, WithdrawClaim
from node.claims.mutual_aid.clawback import panel
from node.claims.mutual_aid.records import Exit, the_clawback, the_member
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from tests.factories import ORGANISATIONS, person
from tests.unit.claims.claim_life import Life, member_key

OPEN = OpenClawback(claim=1, report=person(15), clause="3.1", reason=6)
PAID = 30_000_000


def recover(life: Life, amount: int, receipt: int = 17) -> ResultCode:
    return life.do(RecordRecovery(claim=1, amount=amount, receipt=person(receipt)), by="b")


def test_what_comes_back_lowers_the_next_shares_and_so_does_its_part_of_the_fee() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    before = life.plan
    assert (before.receivable_back, before.clawback) == (PAID, 0)
    assert recover(life, 10_000_001) is ResultCode.OK
    fee = 10_000_001 * 800 // 10_000
    after = life.plan
    assert (after.receivable_back, after.clawback) == (PAID - 10_000_001, 10_000_001)
    assert after.surplus == before.surplus + 10_000_001 + fee
    assert after.fees == before.fees - fee
    life.deadline()
    assert (life.status, life.plan.written_off, life.plan.receivable_back) == (
        ClaimStatus.WRITTEN_OFF,
        PAID - 10_000_001,
        0,
    )


def test_an_upheld_clawback_voids_the_membership() -> None:
    life = Life(exit_after_payout=False).to(ClaimStatus.CLAWBACK_UPHELD)
    member = the_member(life.chain.state, 1)
    assert (member.exit, member.until_day > 0) == (Exit.VOID, True)
    assert life.file("c") is not ResultCode.OK


def test_a_clawback_that_is_dropped_moves_no_money_and_leaves_the_member() -> None:
    life = Life(exit_after_payout=False).to(ClaimStatus.CLAWBACK_OPEN)
    before = life.plan
    life.chain.until(the_clawback(life.chain.state, 1).hearing_ms)
    life.vote(uphold=False)
    assert (life.status, life.happened(EventKind.CLAWBACK_DROPPED)) == (ClaimStatus.PAID, True)
    assert the_member(life.chain.state, 1).exit is not Exit.VOID
    assert (life.plan.clawback, life.plan.receivable_back) == (before.clawback, before.receivable_back) == (0, 0)


def test_a_second_clawback_comes_from_another_organisation_and_a_third_from_nobody() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_OPEN)
    first = ORGANISATIONS[the_clawback(life.chain.state, 1).opener]
    others = [name for name in "bcd" if name != first]
    life.deadline()
    assert life.do(OPEN, by=first) is ResultCode.CLAWBACK_USED
    assert life.do(OPEN, by=others[0]) is ResultCode.OK
    life.deadline()
    assert life.do(OPEN, by=others[1]) is ResultCode.CLAWBACK_USED


def test_the_window_counts_from_the_payment_also_after_a_first_clawback() -> None:
    rules = ClaimRules(clawback_window_days=70)
    late = Life(rules=rules).to(ClaimStatus.PAID)
    paid_ms = late.claim.changed_ms
    late.chain.until(paid_ms + 70 * DAY_MS)
    assert late.do(OPEN, by="b") is ResultCode.CLAWBACK_TOO_LATE
    twice = Life(rules=rules).to(ClaimStatus.CLAWBACK_OPEN)
    record = the_clawback(twice.chain.state, 1)
    other = next(name for name in "bcd" if ORGANISATIONS.index(name) != record.opener)
    twice.chain.until(record.paid_ms + 70 * DAY_MS)
    assert twice.do(OPEN, by=other) is ResultCode.CLAWBACK_TOO_LATE


def test_the_panel_is_of_those_without_a_part_as_long_as_two_remain() -> None:
    life = Life().to(ClaimStatus.PAID)
    registry, claim = life.chain.application.registry, life.claim
    for opener in range(4):
        chosen = panel(registry, claim, opener, 0)
        assert opener not in chosen and len(chosen) >= 2
        decided = {claim.investigator, claim.reviewer} - {opener}
        if 3 - len(decided) >= 2:
            assert not decided & set(chosen)


def test_an_auditor_is_on_no_panel() -> None:
    roles: dict[str, tuple[Role, ...]] = {
        "a": (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR),
        "b": (Role.REVIEWER, Role.PAYMENT),
        "c": (Role.INTAKE, Role.REVIEWER),
        "d": (Role.AUDITOR, Role.REGULATOR),
    }
    life = Life(roles=roles).to(ClaimStatus.CLAWBACK_OPEN)
    assert ORGANISATIONS.index("d") not in the_clawback(life.chain.state, 1).panel


def test_the_last_of_too_many_parts_has_to_be_the_rest() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    for part in range(63):
        assert recover(life, 1, 100 + part) is ResultCode.OK
    assert recover(life, 1, 200) is ResultCode.AMOUNT_OUT_OF_RANGE
    assert recover(life, PAID - 63, 200) is ResultCode.OK
    assert life.status is ClaimStatus.RECOVERED


def test_a_quorum_of_the_panel_gives_up_the_rest() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    recover(life, 10)
    record = the_clawback(life.chain.state, 1)
    for voter in record.panel[: record.quorum]:
        assert life.do(VoteWriteOff(claim=1), by=ORGANISATIONS[voter]) is ResultCode.OK
    assert (life.status, life.plan.written_off) == (ClaimStatus.WRITTEN_OFF, PAID - 10)
    assert recover(life, 1) is ResultCode.WRONG_CLAIM_STATUS


# Reopening.


def reopen(life: Life, by: str, order: bytes = b"", evidence: int = 50) -> ResultCode:
    return life.do(ReopenClaim(claim=1, evidence=person(evidence), order=order), by=by)


def uninvolved(life: Life) -> str:
    decided = (life.claim.investigator, life.claim.reviewer, *life.claim.conflicted)
    return next((name for name in "bcd" if ORGANISATIONS.index(name) not in decided), "")


def test_reviewers_reopen_a_claim_once_and_courts_as_often_as_they_order_it() -> None:
    life = Life(rules=ClaimRules(reopenings_max=1)).to(ClaimStatus.CLOSED_DENIED)
    assert reopen(life, uninvolved(life)) is ResultCode.OK
    life.to(ClaimStatus.CLOSED_DENIED)
    for name in "bc":
        assert reopen(life, name, evidence=51) in (ResultCode.HAD_A_PART, ResultCode.REOPENED_BEFORE)
    for number in (52, 53):
        assert reopen(life, "d", order=person(6), evidence=number) is ResultCode.OK
        life.to(ClaimStatus.CLOSED_DENIED)
    assert (life.claim.reopened, life.open_claims) == (3, 0)


def test_a_plan_may_leave_reopening_to_courts() -> None:
    life = Life(rules=ClaimRules(reopenings_max=0)).to(ClaimStatus.CLOSED_DENIED)
    assert reopen(life, uninvolved(life)) is ResultCode.REOPENED_BEFORE


def test_other_organisations_judge_a_reopened_claim_while_there_are_others() -> None:
    life = Life().to(ClaimStatus.CLOSED_DENIED)
    investigator = life.claim.investigator
    assert reopen(life, uninvolved(life)) is ResultCode.OK
    assert life.claim.assigned != investigator
    life.deadline()
    assert life.claim.assigned != investigator or {0, investigator} >= set(life.claim.conflicted)


@pytest.mark.parametrize("order", [b"", person(6)])
def test_no_claim_is_reopened_beside_another_open_or_paid_one(order: bytes) -> None:
    life = Life().to(ClaimStatus.CLOSED_DENIED)
    who = "d" if order else uninvolved(life)
    assert life.file("c", ailment="S02") is ResultCode.OK
    assert reopen(life, who, order=order) is ResultCode.OPEN_CLAIM_EXISTS


def test_a_withdrawn_claim_is_filed_anew_and_not_reopened() -> None:
    life = Life()
    assert life.do(WithdrawClaim(claim=1), by=member_key(1)) is ResultCode.OK
    assert reopen(life, "b") is ResultCode.WRONG_CLAIM_STATUS
