"""Erasing evidence items: who may ask, what holds them, who must sign, and who is counted as late."""

from __future__ import annotations

import pytest

from node.claims import keys
from node.claims.consortium import OrganisationTally
from node.claims.events import EventKind
from node.claims.evidence.actions import (
    ConfirmErasure,
    EraseEvidence,
    GrantEvidence,
    HoldEvidence,
    RestrainErasure,
)
from node.claims.evidence.module import SIGNATURE_DAYS
from node.claims.evidence.records import ItemStatus, live_grant
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Finding,
    Investigate,
    Review,
)
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from node.claims.wire import decode_trusted
from tests.factories import ORGANISATIONS, Chain, key_of, person
from tests.unit.claims.evidence_desk import (
    MEMBER,
    RULES,
    account,
    closed,
    registered,
    with_backlog,
)

# --- erasing


def test_item_is_erased_when_every_holder_has_signed() -> None:
    desk = closed()
    other = next(ORGANISATIONS[h] for h in desk.item().holders if ORGANISATIONS[h] != "c")
    assert desk.do("c", ConfirmErasure(item=1)) == ResultCode.ERASURE_NOT_STARTED
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.EVIDENCE_IS_ERASED
    assert desk.item().status is ItemStatus.ERASING
    assert live_grant(desk.chain.state, 1, desk.item(), account("c"), 0) is None
    assert desk.do("c", ConfirmErasure(item=1)) == ResultCode.OK
    assert desk.do("c", ConfirmErasure(item=1)) == ResultCode.ERASURE_ALREADY_SIGNED
    outsider = next(name for name in ("a", "b", "d") if ORGANISATIONS.index(name) not in desk.item().holders)
    assert desk.do(outsider, ConfirmErasure(item=1)) == ResultCode.NOT_A_HOLDER
    assert desk.do(other, ConfirmErasure(item=2)) == ResultCode.UNKNOWN_EVIDENCE_ITEM
    assert desk.item().status is ItemStatus.ERASING
    receipt = desk.send(other, ConfirmErasure(item=1))
    assert [event.kind for event in receipt.events] == [EventKind.ERASURE_SIGNED, EventKind.EVIDENCE_ERASED]
    item = desk.item()
    assert item.status is ItemStatus.ERASED and item.signed == item.holders and item.deadline_ms == 0
    assert desk.do("c", GrantEvidence(item=1, recipient=desk.recipient())) == ResultCode.EVIDENCE_IS_ERASED
    assert desk.do("c", HoldEvidence(item=1)) == ResultCode.EVIDENCE_IS_ERASED
    # What the claim cites stays as it was.
    assert the_claim(desk.chain.state, 1).status is ClaimStatus.CLOSED_DENIED


def test_claimant_may_ask_for_the_erasure_and_strangers_may_not() -> None:
    desk = closed()
    assert desk.do(key_of("other"), EraseEvidence(item=1)) == ResultCode.NOT_INVOLVED
    outsider = next(
        name
        for name in ("a", "b", "d")
        if ORGANISATIONS.index(name) not in (*desk.item().holders, the_claim(desk.chain.state, 1).reviewer)
    )
    assert desk.do(outsider, EraseEvidence(item=1)) == ResultCode.NOT_INVOLVED
    assert desk.do(MEMBER, EraseEvidence(item=1)) == ResultCode.OK


def test_open_claim_holds_its_evidence() -> None:
    desk = registered()
    for sender in ("c", MEMBER):
        assert desk.do(sender, EraseEvidence(item=1)) == ResultCode.HELD_BY_OPEN_CLAIM


def test_denied_claim_holds_its_evidence_for_the_days_of_the_plan() -> None:
    desk = registered()
    desk.deny()
    denied_ms = the_claim(desk.chain.state, 1).changed_ms
    desk.chain.until(denied_ms + RULES.hold_after_denial_days * DAY_MS - 1)
    # The refusal comes in the last block of the window, and the next one is behind it.
    desk.chain.now_ms -= 1
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_WINDOW
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK


def test_paid_claim_holds_its_evidence_for_the_clawback_window() -> None:
    desk = registered()
    desk.do(desk.investigator, Investigate(claim=1, finding=Finding.PASS, report=person(5)))
    assert desk.do(desk.investigator, Review(claim=1, decision=Decision.ACCEPT)) == ResultCode.OK
    while the_claim(desk.chain.state, 1).status is not ClaimStatus.SETTLED:
        desk.wait(1)
    claim = the_claim(desk.chain.state, 1)
    pay = ConfirmPayment(claim=1, amount=claim.amount, receipt=person(6))
    assert desk.do(ORGANISATIONS[claim.assigned], pay) == ResultCode.OK
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_WINDOW
    desk.wait(RULES.hold_after_payment_days)
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK


def test_court_order_holds_an_item_until_it_is_lifted() -> None:
    desk = closed()
    order = RestrainErasure(item=1, order=person(90))
    assert desk.do("c", RestrainErasure(item=1, order=b"short")) == ResultCode.NOT_A_COMMITMENT
    assert desk.do("c", RestrainErasure(item=1, order=b"")) == ResultCode.ORDER_UNCHANGED
    assert desk.do("a", order) == ResultCode.FORBIDDEN
    assert desk.do("c", order) == ResultCode.OK
    assert desk.do("d", order) == ResultCode.ORDER_UNCHANGED
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_ORDER
    assert desk.do("d", RestrainErasure(item=1, order=b"")) == ResultCode.OK
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK
    assert desk.do("c", order) == ResultCode.EVIDENCE_IS_ERASED


def missed(chain: Chain, organisation: int) -> int:
    raw = chain.state.get(keys.tally(organisation))
    return 0 if raw is None else decode_trusted(OrganisationTally, raw).erasures_missed


@pytest.mark.parametrize("backlog", [False, True])
def test_holders_that_do_not_sign_in_time_are_counted_and_named(backlog: bool) -> None:
    """The same whether the clock came to it, or the late signature did."""
    desk = closed()
    desk.do("c", EraseEvidence(item=1))
    desk.do("c", ConfirmErasure(item=1))
    other = next(holder for holder in desk.item().holders if ORGANISATIONS[holder] != "c")
    due_ms = desk.item().deadline_ms
    assert due_ms == desk.item().erasing_ms + SIGNATURE_DAYS * DAY_MS
    if backlog:
        with_backlog(desk, days=0)
    desk.chain.until(due_ms)
    if not backlog:
        events = desk.chain.results[-1].clock.events
        assert [e.organisation for e in events if e.kind is EventKind.ERASURE_LATE] == [other]
        assert desk.item().deadline_ms == 0
    assert desk.do(ORGANISATIONS[other], ConfirmErasure(item=1)) == ResultCode.OK
    assert desk.item().status is ItemStatus.ERASED
    assert (missed(desk.chain, other), missed(desk.chain, 2)) == (1, 0)
