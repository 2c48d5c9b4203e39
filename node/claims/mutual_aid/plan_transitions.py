"""The life of a plan, and of a proposal about one, as tables: (status, what happens) -> status.

A plan that is proposed is its proposal: it is drafted and voted on there, and begins its life when it is adopted.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from node.claims.events import EventKind
from node.claims.mutual_aid.transitions import DeadlineKind


class PlanStatus(IntEnum):
    """Part of the chain format: add at the end, never renumber."""

    OPEN = 1
    CLOSED_TO_NEW = 2
    """Nobody joins; everything else goes on."""
    WINDING_DOWN = 3
    """Its end is announced: members pay nothing any more, a sponsor does. Cover lasts until the closing day."""
    RUN_OFF = 4
    """Cover has ended; what was diagnosed before can still be claimed, and is paid by the sponsor."""
    SETTLED = 5
    """No claim is open and none can be filed."""
    SUSPENDED = 6
    """By a regulator: nobody joins and no cost is shared. Cover, claims and their deadlines go on, and what is
    confirmed meanwhile is carried to the first settlement after it."""


class ProposalStatus(IntEnum):
    """Part of the chain format: add at the end, never renumber."""

    DRAFT = 1
    VOTING = 2
    ADOPTED = 3
    REJECTED = 4
    LAPSED = 5
    WITHDRAWN = 6


PLAN_DEADLINE_OF: Final[dict[PlanStatus, DeadlineKind]] = {
    PlanStatus.WINDING_DOWN: DeadlineKind.PLAN_CLOSING,
    PlanStatus.RUN_OFF: DeadlineKind.PLAN_RUN_OFF,
    PlanStatus.SUSPENDED: DeadlineKind.PLAN_SUSPENSION,
}
"""The deadline of each status, beside the disclosures that every plan has until it is settled."""

SHARING: Final = (PlanStatus.OPEN, PlanStatus.CLOSED_TO_NEW)
"""Where the members share the cost."""
SPONSORED: Final = (PlanStatus.WINDING_DOWN, PlanStatus.RUN_OFF)
"""Where the sponsor bears all of it."""

PLAN_TRANSITIONS: Final[dict[tuple[PlanStatus | None, EventKind], PlanStatus]] = {
    (None, EventKind.PLAN_OPENED): PlanStatus.OPEN,
    (PlanStatus.OPEN, EventKind.PLAN_CLOSED_TO_NEW): PlanStatus.CLOSED_TO_NEW,
    (PlanStatus.CLOSED_TO_NEW, EventKind.PLAN_REOPENED): PlanStatus.OPEN,
    (PlanStatus.OPEN, EventKind.PLAN_SUSPENDED): PlanStatus.SUSPENDED,
    (PlanStatus.CLOSED_TO_NEW, EventKind.PLAN_SUSPENDED): PlanStatus.SUSPENDED,
    (PlanStatus.SUSPENDED, EventKind.PLAN_SUSPENDED): PlanStatus.SUSPENDED,
    (PlanStatus.SUSPENDED, EventKind.PLAN_RESUMED_OPEN): PlanStatus.OPEN,
    (PlanStatus.SUSPENDED, EventKind.PLAN_RESUMED_CLOSED): PlanStatus.CLOSED_TO_NEW,
    (PlanStatus.OPEN, EventKind.PLAN_END_ANNOUNCED): PlanStatus.WINDING_DOWN,
    (PlanStatus.CLOSED_TO_NEW, EventKind.PLAN_END_ANNOUNCED): PlanStatus.WINDING_DOWN,
    (PlanStatus.SUSPENDED, EventKind.PLAN_END_ANNOUNCED): PlanStatus.WINDING_DOWN,
    (PlanStatus.WINDING_DOWN, EventKind.PLAN_COVER_ENDED): PlanStatus.RUN_OFF,
    (PlanStatus.RUN_OFF, EventKind.PLAN_SETTLED): PlanStatus.SETTLED,
    (PlanStatus.RUN_OFF, EventKind.PLAN_CLAIMS_OPEN): PlanStatus.RUN_OFF,
}

PROPOSAL_TRANSITIONS: Final[dict[tuple[ProposalStatus | None, EventKind], ProposalStatus]] = {
    (None, EventKind.PROPOSAL_DRAFTED): ProposalStatus.DRAFT,
    (None, EventKind.PROPOSAL_OPENED): ProposalStatus.VOTING,
    (ProposalStatus.DRAFT, EventKind.PROPOSAL_OPENED): ProposalStatus.VOTING,
    (ProposalStatus.VOTING, EventKind.PROPOSAL_VOTED): ProposalStatus.VOTING,
    (ProposalStatus.VOTING, EventKind.SPONSOR_AGREED): ProposalStatus.VOTING,
    (ProposalStatus.VOTING, EventKind.PROPOSAL_ADOPTED): ProposalStatus.ADOPTED,
    (ProposalStatus.VOTING, EventKind.PROPOSAL_REJECTED): ProposalStatus.REJECTED,
    (ProposalStatus.DRAFT, EventKind.PROPOSAL_LAPSED): ProposalStatus.LAPSED,
    (ProposalStatus.VOTING, EventKind.PROPOSAL_LAPSED): ProposalStatus.LAPSED,
    (ProposalStatus.DRAFT, EventKind.PROPOSAL_WITHDRAWN): ProposalStatus.WITHDRAWN,
    (ProposalStatus.VOTING, EventKind.PROPOSAL_WITHDRAWN): ProposalStatus.WITHDRAWN,
}
"""A draft and a vote end by their deadline, if nothing else ends them. All other statuses are final."""
