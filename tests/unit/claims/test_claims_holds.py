"""Duplicate hold: what holds a claim, what does not, and how it goes on."""

from __future__ import annotations

import pytest

from node.claims.events import EventKind
from node.claims.mutual_aid.actions import Decision, ResolveHold, ResubmitClaim, WithdrawClaim
from node.claims.mutual_aid.records import ClaimRecord, the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from tests.factories import ORGANISATIONS, person
from tests.unit.claims.claim_life import GROUNDS, Life, member_key

PAPER, OTHER, EVENT = sorted((person(70), person(71), person(72)))


def held(life: Life) -> ClaimRecord:
    return the_claim(life.chain.state, 2)


def with_duplicate(**values: object) -> Life:
    """Claim 2 of member 2, with the paper that came with claim 3 of member 3 first."""
    life = Life()
    assert life.file("c", 3, papers=(PAPER,), event=EVENT) is ResultCode.OK
    assert life.file("c", 2, **(values or {"papers": (PAPER,)})) is ResultCode.OK
    return life


def third(life: Life) -> ClaimRecord:
    return the_claim(life.chain.state, 3)


@pytest.mark.parametrize(
    "values", [{"papers": (PAPER,)}, {"papers": (PAPER, OTHER)}, {"event": EVENT}, {"event": EVENT, "papers": (OTHER,)}]
)
def test_an_exact_hit_on_paper_or_event_holds_the_claim(values: dict[str, object]) -> None:
    life = with_duplicate(**values)
    claim = third(life)
    assert (claim.status, claim.duplicate) == (ClaimStatus.DUP_HOLD, 2)
    assert claim.deadline_ms == life.chain.now_ms + 240 * HOUR_MS
    assert ORGANISATIONS[claim.assigned] in "bd"
    event = next(event for event in life.events() if event.kind is EventKind.CLAIM_HELD)
    assert (event.subject, event.value) == (3, 2)


@pytest.mark.parametrize("values", [{"papers": (OTHER,)}, {"event": PAPER}, {"papers": (EVENT,)}, {}])
def test_another_value_or_one_of_another_kind_is_no_hit(values: dict[str, object]) -> None:
    life = Life()
    assert life.file("c", 3, papers=(PAPER,), event=EVENT) is ResultCode.OK
    assert life.file("c", 2, **values) is ResultCode.OK
    assert (third(life).status, third(life).duplicate) == (ClaimStatus.FILED, 0)


@pytest.mark.parametrize(
    "values", [{"papers": (OTHER, PAPER)}, {"papers": (PAPER, PAPER)}, {"event": b"short"}, {"event": bytes(31)}]
)
def test_values_are_written_in_one_way_only(values: dict[str, object]) -> None:
    assert Life().file("c", 2, **values) is ResultCode.VALUES_OUT_OF_ORDER


def test_the_persons_own_claim_that_ended_unpaid_is_no_hit() -> None:
    life = Life()
    assert life.file("c", 2, papers=(PAPER,)) is ResultCode.OK
    assert life.do(WithdrawClaim(claim=2), by=member_key(2)) is ResultCode.OK
    assert life.file("c", 2, papers=(PAPER,)) is ResultCode.OK
    assert third(life).status is ClaimStatus.FILED
    # Of another person it is one, whatever became of the first claim.
    assert life.file("c", 4, papers=(PAPER,)) is ResultCode.OK
    assert the_claim(life.chain.state, 4).status is ClaimStatus.DUP_HOLD


def test_the_persons_own_open_claim_is_a_hit() -> None:
    """Two receipts of a reimbursement plan may be open at once, but not the same one twice."""
    life = Life(hospital=True)
    assert life.file("c", 1, papers=(PAPER,)) is ResultCode.OK
    assert life.file("c", 1, papers=(PAPER,)) is ResultCode.OK
    assert third(life).status is ClaimStatus.DUP_HOLD


def resolve(life: Life, decision: Decision, **grounds: object) -> ResultCode:
    action = ResolveHold(claim=3, decision=decision, **grounds)  # type: ignore[arg-type]
    return life.do(action, by=ORGANISATIONS[third(life).assigned])


def test_a_hold_is_cleared_with_an_explanation() -> None:
    life = with_duplicate()
    assert resolve(life, Decision.ACCEPT) is ResultCode.HOLD_WITHOUT_EXPLANATION
    assert resolve(life, Decision.ACCEPT, evidence=person(80)) is ResultCode.OK
    claim = third(life)
    assert (claim.status, claim.explanation, claim.duplicate) == (ClaimStatus.FILED, person(80), 2)
    assert ORGANISATIONS[claim.assigned] in "cd"
    assert life.happened(EventKind.HOLD_CLEARED)


def test_a_hold_may_end_in_a_denial_with_grounds() -> None:
    life = with_duplicate()
    assert resolve(life, Decision.DENY, evidence=person(80)) is ResultCode.DENIAL_WITHOUT_GROUNDS
    assert resolve(life, Decision.DENY, **GROUNDS) is ResultCode.OK
    assert (third(life).status, third(life).clause) == (ClaimStatus.DENIED, "3.1")


def test_a_hold_is_resolved_by_whom_it_is_assigned_to() -> None:
    life = with_duplicate()
    other = next(name for name in "bcd" if name != ORGANISATIONS[third(life).assigned])
    action = ResolveHold(claim=3, decision=Decision.ACCEPT, evidence=person(80))
    assert life.do(action, by=other) is ResultCode.NOT_ASSIGNED
    first = ResolveHold(claim=1, decision=Decision.ACCEPT, evidence=person(80))
    assert life.do(first, by="b") is ResultCode.WRONG_CLAIM_STATUS


def test_a_hold_that_nobody_resolves_ends_by_itself_and_leaves_a_mark() -> None:
    life = with_duplicate()
    due, late = third(life).deadline_ms, ORGANISATIONS[third(life).assigned]
    life.chain.until(due - 1)
    assert third(life).status == ClaimStatus.DUP_HOLD
    life.chain.wait(days=1)
    claim = third(life)
    assert (claim.status, claim.duplicate, claim.explanation) == (ClaimStatus.FILED, 2, b"")
    assert (claim.changed_ms, claim.deadline_ms) == (due, due + 720 * HOUR_MS)
    assert life.missed(late).holds_missed == 1


def test_a_members_own_filing_is_held_after_intake_and_new_papers_are_compared_too() -> None:
    life = Life(by_member=True)
    assert life.file("c", 3, papers=(PAPER,)) is ResultCode.OK
    life.to(ClaimStatus.RETURNED)
    again = ResubmitClaim(claim=1, evidence=person(81), papers=(PAPER,))
    assert life.do(again, by=member_key(1)) is ResultCode.OK
    assert (life.status, life.claim.duplicate) == (ClaimStatus.INTAKE, 2)
    life.deadline()
    assert (life.status, life.claim.intake) == (ClaimStatus.DUP_HOLD, -1)
    life.deadline()
    assert (life.status, life.claim.duplicate) == (ClaimStatus.FILED, 2)
