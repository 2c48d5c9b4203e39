"""A denial is not final before the member had time to ask for a jury."""

from __future__ import annotations

import pytest

from node.claims.claim_rules import ClaimRules
from node.claims.events import EventKind
from node.claims.mutual_aid.actions import LiftStay, StayClaim, StayEnd, WithdrawClaim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from tests.factories import person
from tests.unit.claims.claim_life import Life, member_key


@pytest.mark.parametrize("days", [1, 30, 90])
def test_a_denial_is_final_when_the_time_to_ask_for_a_jury_is_over(days: int) -> None:
    life = Life(rules=ClaimRules(jury_request_days=days)).to(ClaimStatus.DENIED)
    due = life.chain.now_ms + days * DAY_MS
    assert life.claim.deadline_ms == due
    life.chain.until(due - 1)
    assert (life.status, life.open_claims) == (ClaimStatus.DENIED, 1)
    life.chain.until(due)
    assert (life.status, life.open_claims, life.claim.changed_ms) == (ClaimStatus.CLOSED_DENIED, 0, due)
    assert life.happened(EventKind.DENIAL_FINAL)


def test_in_a_plan_without_a_jury_a_denial_is_final_at_once() -> None:
    life = Life(rules=ClaimRules(jury_request_days=0)).to(ClaimStatus.CLOSED_DENIED)
    assert [event.kind for event in life.events()] == [EventKind.CLAIM_DENIED, EventKind.DENIAL_FINAL]
    assert (life.open_claims, life.claim.deadline_ms) == (0, 0)


def test_the_grounds_of_a_denial_outlive_it() -> None:
    life = Life().to(ClaimStatus.CLOSED_DENIED)
    assert (life.claim.clause, life.claim.grounds, life.claim.reason) == ("3.1", person(40), 1)
    assert life.claim.reviews[0].decision == 2


def test_only_the_member_may_waive_the_jury() -> None:
    life = Life().to(ClaimStatus.DENIED)
    withdraw = WithdrawClaim(claim=1)
    for sender in ("a", "c"):
        assert life.do(withdraw, by=sender) is ResultCode.WRONG_CLAIM_STATUS
    assert life.do(withdraw, by=member_key(2)) is ResultCode.NOT_THIS_MEMBER
    assert life.file("c", ailment="S02") is ResultCode.OPEN_CLAIM_EXISTS
    assert life.do(withdraw, by=member_key(1)) is ResultCode.OK
    assert (life.status, life.open_claims) == (ClaimStatus.CLOSED_DENIED, 0)
    assert life.file("c", ailment="S02") is ResultCode.OK


def test_a_denied_claim_that_is_stayed_keeps_the_time_it_had_left() -> None:
    life = Life().to(ClaimStatus.DENIED)
    left = life.claim.deadline_ms - life.chain.now_ms
    assert life.do(StayClaim(claim=1, order=person(7), days=50), by="d") is ResultCode.OK
    left -= 1
    life.deadline()
    assert (life.status, life.claim.deadline_ms - life.chain.now_ms) == (ClaimStatus.DENIED, left)


def test_a_court_may_grant_what_was_denied_and_its_refusal_is_final_at_once() -> None:
    granted = Life().to(ClaimStatus.DENIED).to(ClaimStatus.STAYED)
    assert granted.do(LiftStay(claim=1, end=StayEnd.GRANT, order=person(6)), by="d") is ResultCode.OK
    assert (granted.status, granted.claim.amount) == (ClaimStatus.ACCEPTED, 30_000_000)
    refused = Life().to(ClaimStatus.DENIED).to(ClaimStatus.STAYED)
    order = LiftStay(claim=1, end=StayEnd.REFUSE, order=person(6), clause="4.1")
    assert refused.do(order, by="d") is ResultCode.OK
    assert (refused.status, refused.open_claims, refused.claim.grounds) == (ClaimStatus.CLOSED_DENIED, 0, person(6))


def test_a_filing_does_not_depend_on_how_far_the_clock_has_come() -> None:
    """The denial became final at this moment, but the clock has not come to it: no judgement on stale state."""
    life = Life(deadlines_per_block=1).to(ClaimStatus.DENIED)
    for member in range(2, 7):
        assert life.file("c", member) is ResultCode.OK
    life.chain.until(life.claim.deadline_ms)
    assert life.status is ClaimStatus.DENIED
    assert life.file("c", ailment="S02") is ResultCode.CLOCK_BEHIND
    for _ in range(50):
        life.chain.block()
    assert life.file("c", ailment="S02") is ResultCode.OK
