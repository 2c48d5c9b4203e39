"""The life of a claim as a table: (status, what happens) -> status. What is not in it cannot happen.

Objection, jury, withdrawal and clawback will add rows here; nothing else decides a status.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from node.claims.events import EventKind


class ClaimStatus(IntEnum):
    """Part of the chain format: add at the end, never renumber."""

    FILED = 1
    """With the assigned investigator."""
    INVESTIGATED = 2
    """With the assigned reviewer."""
    ACCEPTED = 3
    """Queued for the next disclosure."""
    PUBLISHED = 4
    """In its disclosure period."""
    CONFIRMED = 5
    """Waiting for the settlement of its cycle."""
    SETTLED = 6
    """Its cost is shared; with the assigned payment organisation."""
    PAID = 7
    DENIED = 8


class DeadlineKind(IntEnum):
    """Rows of the deadline queue. Of rows due at the same time, lower kinds come first: a plan's
    settlement and disclosure precede what they mean for its claims."""

    PLAN_SETTLEMENT = 20
    PLAN_DISCLOSURE = 21
    INVESTIGATION = 30
    REVIEW = 31
    PUBLICATION = 32
    CONFIRMATION = 33
    CLAIM_SETTLEMENT = 34
    PAYMENT = 35


DEADLINE_OF: Final[dict[ClaimStatus, DeadlineKind]] = {
    ClaimStatus.FILED: DeadlineKind.INVESTIGATION,
    ClaimStatus.INVESTIGATED: DeadlineKind.REVIEW,
    ClaimStatus.ACCEPTED: DeadlineKind.PUBLICATION,
    ClaimStatus.PUBLISHED: DeadlineKind.CONFIRMATION,
    ClaimStatus.CONFIRMED: DeadlineKind.CLAIM_SETTLEMENT,
    ClaimStatus.SETTLED: DeadlineKind.PAYMENT,
}
"""The one live deadline of a claim in each status; a status without is final."""

TRANSITIONS: Final[dict[tuple[ClaimStatus | None, EventKind], ClaimStatus]] = {
    (None, EventKind.CLAIM_FILED): ClaimStatus.FILED,
    (ClaimStatus.FILED, EventKind.CLAIM_INVESTIGATED): ClaimStatus.INVESTIGATED,
    (ClaimStatus.FILED, EventKind.INVESTIGATION_MISSED): ClaimStatus.FILED,
    (ClaimStatus.INVESTIGATED, EventKind.CLAIM_ACCEPTED): ClaimStatus.ACCEPTED,
    (ClaimStatus.INVESTIGATED, EventKind.CLAIM_DENIED): ClaimStatus.DENIED,
    (ClaimStatus.INVESTIGATED, EventKind.REVIEW_MISSED): ClaimStatus.INVESTIGATED,
    (ClaimStatus.ACCEPTED, EventKind.CLAIM_PUBLISHED): ClaimStatus.PUBLISHED,
    (ClaimStatus.PUBLISHED, EventKind.CLAIM_CONFIRMED): ClaimStatus.CONFIRMED,
    (ClaimStatus.CONFIRMED, EventKind.CLAIM_SETTLED): ClaimStatus.SETTLED,
    (ClaimStatus.CONFIRMED, EventKind.CLAIM_CARRIED): ClaimStatus.CONFIRMED,
    (ClaimStatus.SETTLED, EventKind.CLAIM_PAID): ClaimStatus.PAID,
    (ClaimStatus.SETTLED, EventKind.PAYMENT_MISSED): ClaimStatus.SETTLED,
}
