"""The life of a claim as a table: (status, what happens) -> status. What is not in it cannot happen.

Nothing else decides a status.
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
    """The member may ask for a jury; then the denial is final."""
    INTAKE = 9
    """Filed with the member's own key; the assigned intake organisation looks whether papers are missing."""
    RETURNED = 10
    """Papers are missing; with the member."""
    OBJECTED = 11
    """A member objects; with a reviewer that had no part in the claim."""
    STAYED = 12
    """By order of a regulator, before its cost is shared; also while it is before a jury."""
    PAYMENT_STAYED = 13
    """By order of a regulator, after its cost is shared and before it is paid."""
    LAPSED = 14
    """The missing papers did not come in time."""
    WITHDRAWN = 15
    CLOSED_DENIED = 16
    """Denied for good: the time to ask for a jury is over, or a court has decided."""
    DUP_HOLD = 17
    """Its event or a paper was filed before; with a reviewer that has no part in it."""
    CLAWBACK_OPEN = 18
    """Paid, and called fraud; with the member for its answer, and a panel of organisations."""
    CLAWBACK_UPHELD = 19
    """To be paid back."""
    RECOVERED = 20
    """Paid back."""
    WRITTEN_OFF = 21
    """What was not paid back is given up."""
    JURY_OPEN = 23
    """A jury was asked for; both sides lock their statements."""
    JURY_VOTING = 24
    """Every qualified juror may cast a hidden ballot."""
    JURY_REVEAL = 25
    """The ballots of an open vote are revealed."""
    JURY_DRAWING = 26
    """The organisations draw a panel."""
    PANEL_COMMIT = 27
    """The panel casts hidden ballots."""
    PANEL_REVEAL = 28
    """The panel's ballots are revealed."""
    JURY_FAILED = 29
    """A jury let the denial stand; it may be appealed against while a larger panel is left."""
    CLAWBACK_STAYED = 30
    """By order of a regulator, after it is paid and called fraud."""


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
    INTAKE = 36
    PAPERS = 37
    OBJECTION = 38
    STAY = 39
    ARREARS = 95
    """Of a plan: balances that its settlement of the same instant has used up."""
    REMOVAL = 96
    """Of a member in arrears for longer than the plan allows."""
    APPLICATION = 97
    """Of an application that nobody has decided."""
    PROPOSAL = 100
    PLAN_CLOSING = 101
    PLAN_RUN_OFF = 102
    PLAN_SUSPENSION = 103
    JURY_REQUEST = 90
    DUP_HOLD = 91
    CLAWBACK = 92
    RECOVERY = 93
    JUROR = 105
    """Of a juror's exam or credential; before those of cases, so that who lapses at the same time is not drawn."""
    JURY_STATEMENTS = 106
    JURY_VOTE = 107
    JURY_REVEAL = 108
    JURY_DRAW = 109
    PANEL_COMMIT = 110
    PANEL_REVEAL = 111
    JURY_APPEAL = 112


DEADLINE_OF: Final[dict[ClaimStatus, DeadlineKind]] = {
    ClaimStatus.FILED: DeadlineKind.INVESTIGATION,
    ClaimStatus.INVESTIGATED: DeadlineKind.REVIEW,
    ClaimStatus.ACCEPTED: DeadlineKind.PUBLICATION,
    ClaimStatus.PUBLISHED: DeadlineKind.CONFIRMATION,
    ClaimStatus.CONFIRMED: DeadlineKind.CLAIM_SETTLEMENT,
    ClaimStatus.SETTLED: DeadlineKind.PAYMENT,
    ClaimStatus.INTAKE: DeadlineKind.INTAKE,
    ClaimStatus.RETURNED: DeadlineKind.PAPERS,
    ClaimStatus.OBJECTED: DeadlineKind.OBJECTION,
    ClaimStatus.STAYED: DeadlineKind.STAY,
    ClaimStatus.PAYMENT_STAYED: DeadlineKind.STAY,
    ClaimStatus.DENIED: DeadlineKind.JURY_REQUEST,
    ClaimStatus.DUP_HOLD: DeadlineKind.DUP_HOLD,
    ClaimStatus.CLAWBACK_OPEN: DeadlineKind.CLAWBACK,
    ClaimStatus.CLAWBACK_UPHELD: DeadlineKind.RECOVERY,
    ClaimStatus.JURY_OPEN: DeadlineKind.JURY_STATEMENTS,
    ClaimStatus.JURY_VOTING: DeadlineKind.JURY_VOTE,
    ClaimStatus.JURY_REVEAL: DeadlineKind.JURY_REVEAL,
    ClaimStatus.JURY_DRAWING: DeadlineKind.JURY_DRAW,
    ClaimStatus.PANEL_COMMIT: DeadlineKind.PANEL_COMMIT,
    ClaimStatus.PANEL_REVEAL: DeadlineKind.PANEL_REVEAL,
    ClaimStatus.JURY_FAILED: DeadlineKind.JURY_APPEAL,
    ClaimStatus.CLAWBACK_STAYED: DeadlineKind.STAY,
}
"""The one live deadline of a claim in each status; a status without is final."""

WITHDRAWABLE: Final = (
    ClaimStatus.INTAKE,
    ClaimStatus.RETURNED,
    ClaimStatus.FILED,
    ClaimStatus.INVESTIGATED,
    ClaimStatus.ACCEPTED,
    ClaimStatus.PUBLISHED,
    ClaimStatus.OBJECTED,
    ClaimStatus.DUP_HOLD,
)
"""Until its disclosure period is over, a claim may be withdrawn: after that its cost is being shared."""

RECUSABLE: Final = (
    ClaimStatus.FILED,
    ClaimStatus.INVESTIGATED,
    ClaimStatus.OBJECTED,
    ClaimStatus.DUP_HOLD,
)
"""Steps that whoever has them may give up because of a conflict of interest."""

JURY_COUNTING: Final = (ClaimStatus.JURY_REVEAL, ClaimStatus.PANEL_REVEAL)
"""When the time to reveal is over, the ballots are counted."""

JURY_ENDS_EARLY: Final = (*JURY_COUNTING, ClaimStatus.JURY_DRAWING, ClaimStatus.PANEL_COMMIT)
"""Where all who are waited for can have done their part: the deadline then moves up to the next block."""

JURY_RUNNING: Final = (*JURY_ENDS_EARLY, ClaimStatus.JURY_OPEN, ClaimStatus.JURY_VOTING)
"""Before the first ballot is revealed, the member may stop it."""

STAYS: Final = (ClaimStatus.STAYED, ClaimStatus.PAYMENT_STAYED, ClaimStatus.CLAWBACK_STAYED)
"""Nothing happens to the claim but what a regulator does, until the stay is over."""

STAY_OF: Final[dict[ClaimStatus, ClaimStatus]] = {
    **dict.fromkeys((*WITHDRAWABLE, ClaimStatus.CONFIRMED, ClaimStatus.DENIED), ClaimStatus.STAYED),
    **dict.fromkeys((*JURY_RUNNING, ClaimStatus.JURY_FAILED), ClaimStatus.STAYED),
    ClaimStatus.SETTLED: ClaimStatus.PAYMENT_STAYED,
    ClaimStatus.CLAWBACK_OPEN: ClaimStatus.CLAWBACK_STAYED,
    ClaimStatus.CLAWBACK_UPHELD: ClaimStatus.CLAWBACK_STAYED,
}
"""What a stay makes of a claim. Apart by what a court can still decide: only a claim in STAYED can be granted, or a
member would be paid twice; and apart by where its money is, which the ledgers follow by status."""

RESUMED: Final[dict[ClaimStatus, EventKind]] = {
    ClaimStatus.INTAKE: EventKind.INTAKE_RESUMED,
    ClaimStatus.RETURNED: EventKind.PAPERS_RESUMED,
    ClaimStatus.FILED: EventKind.INVESTIGATION_RESUMED,
    ClaimStatus.INVESTIGATED: EventKind.REVIEW_RESUMED,
    ClaimStatus.ACCEPTED: EventKind.PUBLICATION_RESUMED,
    ClaimStatus.OBJECTED: EventKind.OBJECTION_RESUMED,
    ClaimStatus.DENIED: EventKind.DENIAL_RESUMED,
    ClaimStatus.DUP_HOLD: EventKind.HOLD_RESUMED,
    ClaimStatus.JURY_OPEN: EventKind.STATEMENTS_RESUMED,
    ClaimStatus.JURY_VOTING: EventKind.VOTE_RESUMED,
    ClaimStatus.JURY_REVEAL: EventKind.REVEAL_RESUMED,
    ClaimStatus.JURY_DRAWING: EventKind.DRAW_RESUMED,
    ClaimStatus.PANEL_COMMIT: EventKind.PANEL_VOTE_RESUMED,
    ClaimStatus.PANEL_REVEAL: EventKind.PANEL_REVEAL_RESUMED,
    ClaimStatus.JURY_FAILED: EventKind.APPEAL_RESUMED,
    ClaimStatus.SETTLED: EventKind.PAYMENT_RESUMED,
    ClaimStatus.CLAWBACK_OPEN: EventKind.CLAWBACK_RESUMED,
    ClaimStatus.CLAWBACK_UPHELD: EventKind.RECOVERY_RESUMED,
}
"""Where a stayed claim goes on. One stayed while published or confirmed is published again, in a later cycle."""


def _resumed_from(stay: ClaimStatus) -> tuple[EventKind, ...]:
    return tuple(event for status, event in RESUMED.items() if STAY_OF[status] is stay)


DEADLINE_OUTCOMES: Final[dict[ClaimStatus, tuple[EventKind, ...]]] = {
    ClaimStatus.INTAKE: (EventKind.INTAKE_MISSED, EventKind.CLAIM_HELD),
    ClaimStatus.RETURNED: (EventKind.CLAIM_LAPSED,),
    ClaimStatus.DUP_HOLD: (EventKind.HOLD_MISSED,),
    ClaimStatus.FILED: (EventKind.INVESTIGATION_MISSED,),
    ClaimStatus.INVESTIGATED: (EventKind.REVIEW_MISSED,),
    ClaimStatus.ACCEPTED: (EventKind.CLAIM_PUBLISHED,),
    ClaimStatus.PUBLISHED: (EventKind.CLAIM_CONFIRMED,),
    ClaimStatus.OBJECTED: (EventKind.OBJECTION_MISSED,),
    ClaimStatus.CONFIRMED: (EventKind.CLAIM_SETTLED, EventKind.CLAIM_CARRIED),
    ClaimStatus.SETTLED: (EventKind.PAYMENT_MISSED,),
    **{stay: _resumed_from(stay) for stay in STAYS},
    ClaimStatus.DENIED: (EventKind.DENIAL_FINAL,),
    ClaimStatus.JURY_OPEN: (EventKind.JURY_VOTE_OPENED, EventKind.DRAW_STARTED),
    ClaimStatus.JURY_VOTING: (EventKind.VOTE_EXTENDED, EventKind.REVEAL_OPENED, EventKind.DRAW_STARTED),
    ClaimStatus.JURY_REVEAL: (EventKind.JURY_PASSED, EventKind.VERDICT_FAILED, EventKind.DRAW_STARTED),
    ClaimStatus.JURY_DRAWING: (EventKind.DEALING_CLOSED, EventKind.PANEL_DRAWN, EventKind.DRAW_STARTED),
    ClaimStatus.PANEL_COMMIT: (EventKind.PANEL_REVEAL_OPENED,),
    ClaimStatus.PANEL_REVEAL: (EventKind.JURY_PASSED, EventKind.VERDICT_FAILED, EventKind.DRAW_STARTED),
    ClaimStatus.JURY_FAILED: (EventKind.DENIAL_FINAL,),
    ClaimStatus.CLAWBACK_OPEN: (EventKind.CLAWBACK_EXPIRED,),
    ClaimStatus.CLAWBACK_UPHELD: (EventKind.CLAIM_WRITTEN_OFF,),
}
"""What happens by itself when the deadline of a status passes."""

ENDED_UNPAID: Final = (
    ClaimStatus.DENIED,
    ClaimStatus.CLOSED_DENIED,
    ClaimStatus.LAPSED,
    ClaimStatus.WITHDRAWN,
)
"""Nothing was paid, so the same papers may come again from the same person."""

REOPENABLE: Final = (ClaimStatus.DENIED, ClaimStatus.CLOSED_DENIED, ClaimStatus.LAPSED)
"""May be investigated again on new evidence. Who withdrew a claim files a new one."""

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
    (None, EventKind.CLAIM_RECEIVED): ClaimStatus.INTAKE,
    (ClaimStatus.INTAKE, EventKind.CLAIM_ADMITTED): ClaimStatus.FILED,
    (ClaimStatus.INTAKE, EventKind.INTAKE_MISSED): ClaimStatus.FILED,
    (ClaimStatus.INTAKE, EventKind.CLAIM_RETURNED): ClaimStatus.RETURNED,
    (ClaimStatus.RETURNED, EventKind.CLAIM_RESUBMITTED): ClaimStatus.INTAKE,
    (ClaimStatus.RETURNED, EventKind.CLAIM_LAPSED): ClaimStatus.LAPSED,
    (ClaimStatus.FILED, EventKind.INVESTIGATION_EXTENDED): ClaimStatus.FILED,
    **{(status, EventKind.STEP_RECUSED): status for status in RECUSABLE},
    (ClaimStatus.PUBLISHED, EventKind.CLAIM_OBJECTED): ClaimStatus.OBJECTED,
    (ClaimStatus.OBJECTED, EventKind.OBJECTION_REFUSED): ClaimStatus.ACCEPTED,
    (ClaimStatus.OBJECTED, EventKind.OBJECTION_MISSED): ClaimStatus.ACCEPTED,
    (ClaimStatus.OBJECTED, EventKind.OBJECTION_UPHELD): ClaimStatus.DENIED,
    **{(status, EventKind.CLAIM_WITHDRAWN): ClaimStatus.WITHDRAWN for status in WITHDRAWABLE},
    **{(status, EventKind.CLAIM_STAYED): stay for status, stay in STAY_OF.items()},
    **{(stay, EventKind.CLAIM_STAYED): stay for stay in STAYS},
    **{(STAY_OF[status], event): status for status, event in RESUMED.items()},
    (ClaimStatus.STAYED, EventKind.COURT_GRANTED): ClaimStatus.ACCEPTED,
    (ClaimStatus.STAYED, EventKind.COURT_REFUSED): ClaimStatus.CLOSED_DENIED,
    (ClaimStatus.DENIED, EventKind.DENIAL_FINAL): ClaimStatus.CLOSED_DENIED,
    (ClaimStatus.INVESTIGATED, EventKind.REVIEW_GIVEN): ClaimStatus.INVESTIGATED,
    (None, EventKind.CLAIM_HELD): ClaimStatus.DUP_HOLD,
    (ClaimStatus.INTAKE, EventKind.CLAIM_HELD): ClaimStatus.DUP_HOLD,
    (ClaimStatus.DUP_HOLD, EventKind.HOLD_CLEARED): ClaimStatus.FILED,
    (ClaimStatus.DUP_HOLD, EventKind.HOLD_MISSED): ClaimStatus.FILED,
    (ClaimStatus.DUP_HOLD, EventKind.HOLD_DENIED): ClaimStatus.DENIED,
    (ClaimStatus.PAID, EventKind.CLAWBACK_OPENED): ClaimStatus.CLAWBACK_OPEN,
    (ClaimStatus.CLAWBACK_OPEN, EventKind.CLAWBACK_ANSWERED): ClaimStatus.CLAWBACK_OPEN,
    (ClaimStatus.CLAWBACK_OPEN, EventKind.CLAWBACK_VOTED): ClaimStatus.CLAWBACK_OPEN,
    (ClaimStatus.CLAWBACK_OPEN, EventKind.CLAWBACK_UPHELD): ClaimStatus.CLAWBACK_UPHELD,
    (ClaimStatus.CLAWBACK_OPEN, EventKind.CLAWBACK_DROPPED): ClaimStatus.PAID,
    (ClaimStatus.CLAWBACK_OPEN, EventKind.CLAWBACK_EXPIRED): ClaimStatus.PAID,
    (ClaimStatus.CLAWBACK_UPHELD, EventKind.RECOVERY_RECORDED): ClaimStatus.CLAWBACK_UPHELD,
    (ClaimStatus.CLAWBACK_UPHELD, EventKind.CLAWBACK_VOTED): ClaimStatus.CLAWBACK_UPHELD,
    (ClaimStatus.CLAWBACK_UPHELD, EventKind.CLAIM_RECOVERED): ClaimStatus.RECOVERED,
    (ClaimStatus.CLAWBACK_UPHELD, EventKind.CLAIM_WRITTEN_OFF): ClaimStatus.WRITTEN_OFF,
    **{(status, EventKind.CLAIM_REOPENED): ClaimStatus.FILED for status in REOPENABLE},
    (ClaimStatus.DENIED, EventKind.JURY_REQUESTED): ClaimStatus.JURY_OPEN,
    (ClaimStatus.JURY_OPEN, EventKind.STATEMENT_LOCKED): ClaimStatus.JURY_OPEN,
    (ClaimStatus.JURY_OPEN, EventKind.JURY_VOTE_OPENED): ClaimStatus.JURY_VOTING,
    (ClaimStatus.JURY_VOTING, EventKind.VOTE_EXTENDED): ClaimStatus.JURY_VOTING,
    (ClaimStatus.JURY_VOTING, EventKind.REVEAL_OPENED): ClaimStatus.JURY_REVEAL,
    **{
        (status, EventKind.DRAW_STARTED): ClaimStatus.JURY_DRAWING
        for status in (
            ClaimStatus.JURY_OPEN,
            ClaimStatus.JURY_VOTING,
            ClaimStatus.JURY_REVEAL,
            ClaimStatus.JURY_DRAWING,
            ClaimStatus.PANEL_REVEAL,
        )
    },
    (ClaimStatus.JURY_DRAWING, EventKind.DEALING_CLOSED): ClaimStatus.JURY_DRAWING,
    (ClaimStatus.JURY_DRAWING, EventKind.PANEL_DRAWN): ClaimStatus.PANEL_COMMIT,
    (ClaimStatus.PANEL_COMMIT, EventKind.PANEL_REVEAL_OPENED): ClaimStatus.PANEL_REVEAL,
    **{(status, EventKind.ENDS_EARLY): status for status in JURY_ENDS_EARLY},
    **{(status, EventKind.JURY_PASSED): ClaimStatus.ACCEPTED for status in JURY_COUNTING},
    **{(status, EventKind.VERDICT_FAILED): ClaimStatus.JURY_FAILED for status in JURY_COUNTING},
    **{(status, EventKind.JURY_STOPPED): ClaimStatus.DENIED for status in JURY_RUNNING},
    (ClaimStatus.JURY_FAILED, EventKind.VERDICT_APPEALED): ClaimStatus.JURY_DRAWING,
    (ClaimStatus.JURY_FAILED, EventKind.DENIAL_FINAL): ClaimStatus.CLOSED_DENIED,
}
