"""What happened, for the event stream and for the table of claim transitions.

Numbers are part of the chain format (events are in receipts): add at the end of a group, never renumber.
"""

from __future__ import annotations

from enum import IntEnum

from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire


class EventKind(IntEnum):
    """Says what `subject`, `organisation` and `value` of an event are."""

    EVIDENCE_RECORDED = 1
    """organisation: the accused; value: block height."""
    MEMBERS_ENROLLED = 20
    """subject: first member of a run of numbers; organisation: enroller; value: how many."""
    MEMBER_LEFT = 21
    """subject: member; organisation: enroller; value: first day without cover."""
    CLAIM_FILED = 30
    """subject: claim; organisation: investigator assigned; value: amount asked for."""
    CLAIM_INVESTIGATED = 31
    """subject: claim; organisation: reviewer assigned; value: the finding."""
    INVESTIGATION_MISSED = 32
    """subject: claim; organisation: the next investigator; value: the one that missed the deadline."""
    CLAIM_ACCEPTED = 33
    """subject: claim; organisation: reviewer; value: amount."""
    CLAIM_DENIED = 34
    """subject: claim; organisation: reviewer; value: reason code."""
    REVIEW_MISSED = 35
    """subject: claim; organisation: the next reviewer; value: the one that missed the deadline."""
    CLAIM_PUBLISHED = 36
    """subject: claim; value: cycle."""
    CLAIM_CONFIRMED = 37
    """subject: claim; value: amount."""
    CLAIM_SETTLED = 38
    """subject: claim; organisation: payment organisation assigned; value: amount payable."""
    CLAIM_CARRIED = 39
    """subject: claim; value: the next cycle. The cycle had nobody to share its cost."""
    PAYMENT_MISSED = 40
    """subject: claim; organisation: the next payment organisation; value: the one that missed the deadline."""
    CLAIM_PAID = 41
    """subject: claim; organisation: payment organisation; value: amount."""
    CYCLE_DISCLOSED = 50
    """subject: cycle; value: members who share it."""
    CYCLE_SETTLED = 51
    """subject: cycle; value: share per member."""
    CYCLE_CARRIED = 52
    """subject: cycle; value: amount carried, because there was nobody to share it."""


class ClaimsEvent(Wire, frozen=True, kw_only=True):
    """One thing that happened. Fields that a kind does not use are 0, organisation is -1."""

    kind: EventKind
    plan: int = 0
    """Plan number: position among the plan codes of the genesis."""
    subject: int = 0
    organisation: int = NO_ORGANISATION
    """Organisation number: position in the genesis."""
    value: int = 0
