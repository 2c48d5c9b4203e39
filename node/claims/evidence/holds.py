"""What forbids an erasure, and who has a say about an item."""

from __future__ import annotations

from typing import Final

from node.claims.evidence.records import ItemRecord
from node.claims.module import Scope
from node.claims.mutual_aid.records import ClaimRecord, load_claim, the_claim, the_member
from node.claims.mutual_aid.refusals import terms_of
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, NO_ORGANISATION

PAID: Final = (ClaimStatus.PAID, ClaimStatus.RECOVERED, ClaimStatus.WRITTEN_OFF)
"""Closed with money paid: the clawback window holds the evidence."""
UNPAID: Final = (ClaimStatus.LAPSED, ClaimStatus.WITHDRAWN, ClaimStatus.CLOSED_DENIED)
"""Closed without: the time for an appeal holds it. A status in neither list is open."""


def involved(scope: Scope, claim: ClaimRecord) -> tuple[int, ...]:
    """Organisations that the claim involves now, rising. If the member filed it, the enroller stands for the filer."""
    filer = claim.filer
    if filer == NO_ORGANISATION:
        filer = the_member(scope.state, claim.member).organisation
    parts = (
        filer,
        claim.assigned,
        claim.stayed_assigned,
        claim.intake,
        claim.investigator,
        claim.reviewer,
        claim.arbiter,
        claim.payer,
    )
    return tuple(sorted({part for part in parts if part != NO_ORGANISATION}))


def claim_now(scope: Scope, number: int) -> tuple[ClaimRecord | None, ResultCode]:
    """The claim, if the clock has brought it up to this block; whoever has a say must not depend on a backlog."""
    claim = load_claim(scope.state, number)
    if claim is None:
        return None, ResultCode.UNKNOWN_CLAIM
    if claim.deadline_ms and claim.deadline_ms <= scope.now_ms:
        return None, ResultCode.CLOCK_BEHIND
    return claim, ResultCode.OK


def has_say(scope: Scope, item: ItemRecord) -> ResultCode:
    """OK if the sender may grant: the claimant, whoever the claim involves, or who registered a standalone item."""
    sender = scope.sender
    if not item.claim:
        own = item.member == sender.member if sender.member else item.organisation == sender.organisation
        return ResultCode.OK if own else ResultCode.NOT_INVOLVED
    claim, code = claim_now(scope, item.claim)
    if claim is None:
        return code
    mine = claim.member == sender.member if sender.member else sender.organisation in involved(scope, claim)
    return ResultCode.OK if mine else ResultCode.NOT_INVOLVED


def erasure_problem(registry: Registry, scope: Scope, item: ItemRecord) -> ResultCode:
    """OK if nothing holds the item. In the order of the codes, first the order of a court."""
    if item.order:
        return ResultCode.HELD_BY_ORDER
    if not item.claim:
        return ResultCode.OK
    claim, code = claim_now(scope, item.claim)
    if claim is None:
        return code
    rules = terms_of(registry, scope, claim).plan.evidence
    if claim.status in PAID:
        days = rules.hold_after_payment_days
    elif claim.status in UNPAID:
        days = rules.hold_after_denial_days
    else:
        return ResultCode.HELD_BY_OPEN_CLAIM
    return ResultCode.HELD_BY_WINDOW if scope.now_ms < claim.changed_ms + days * DAY_MS else ResultCode.OK


def first_holders(
    registry: Registry, scope: Scope, claim: int, sender_organisation: int, member: int
) -> tuple[int, ...]:
    """Who keeps a new item, rising: whom the claim involves; alone, the sender or the member's enroller.

    Without those that run no node: they could neither keep it nor destroy it.
    """
    if claim:
        parties = involved(scope, the_claim(scope.state, claim))
    else:
        parties = (the_member(scope.state, member).organisation if member else sender_organisation,)
    return tuple(party for party in parties if runs_node(registry, party))


def runs_node(registry: Registry, organisation: int) -> bool:
    return bool(registry.genesis.organisations[organisation].node_key)
