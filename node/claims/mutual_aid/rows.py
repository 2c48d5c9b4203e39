"""The life of a claim as its rulebook has it: one row for each thing that can happen, numbered for people.

`TRANSITIONS` decides every status; a row only names the events that belong together. Who may is taken from the
permissions, from and to from the transitions, the deadline from the status: so no column can say other than the
code does. Docs and tests are made from this table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from node.claims.events import EventKind
from node.claims.genesis import Role
from node.claims.jury.actions import (
    AppealVerdict,
    CastBallots,
    DealBeacon,
    LockStatement,
    OpenBeacon,
    RequestJury,
    RevealBallots,
    StopJury,
)
from node.claims.jury.module import JURY_PERMITTED, JURY_PERMITTED_TO_MEMBERS
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    AnswerClawback,
    ConfirmPayment,
    DecideObjection,
    ExtendInvestigation,
    FileClaim,
    Investigate,
    LiftStay,
    Object,
    OpenClawback,
    RecordRecovery,
    Recuse,
    ReopenClaim,
    ResolveHold,
    ResubmitClaim,
    ReturnClaim,
    Review,
    StayClaim,
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.module import PERMITTED, PERMITTED_TO_MEMBERS
from node.claims.mutual_aid.transitions import DEADLINE_OF, RESUMED, TRANSITIONS, ClaimStatus, DeadlineKind
from node.claims.wire import Wire


class Row(NamedTuple):
    """One row of the rulebook."""

    number: int
    title: str
    actions: tuple[type[Wire], ...] = ()
    """What somebody sends; none: the chain does it by itself."""
    events: tuple[EventKind, ...] = ()
    """What then happens."""
    late: tuple[EventKind, ...] = ()
    """What happens by itself when the deadline passes."""
    money: str = ""
    at: tuple[ClaimStatus, ...] = ()
    """Where its actions can be sent, if its events do not say it."""


ROWS: Final[tuple[Row, ...]] = (
    Row(1, "filed", (FileClaim,), (EventKind.CLAIM_RECEIVED, EventKind.CLAIM_FILED)),
    Row(2, "returned for papers", (ReturnClaim,), (EventKind.CLAIM_RETURNED,), (EventKind.INTAKE_MISSED,)),
    Row(3, "papers sent again", (ResubmitClaim,), (EventKind.CLAIM_RESUBMITTED,), (EventKind.CLAIM_LAPSED,)),
    Row(4, "admitted and assigned", (AdmitClaim,), (EventKind.CLAIM_ADMITTED,)),
    Row(5, "held as a duplicate", (FileClaim, AdmitClaim), (EventKind.CLAIM_HELD,), (EventKind.HOLD_MISSED,)),
    Row(6, "hold resolved", (ResolveHold,), (EventKind.HOLD_CLEARED, EventKind.HOLD_DENIED)),
    Row(
        7,
        "investigated",
        (Investigate, ExtendInvestigation, Recuse),
        (EventKind.CLAIM_INVESTIGATED, EventKind.INVESTIGATION_EXTENDED, EventKind.STEP_RECUSED),
        (EventKind.INVESTIGATION_MISSED,),
    ),
    Row(
        8,
        "reviewed",
        (Review,),
        (EventKind.REVIEW_GIVEN, EventKind.CLAIM_ACCEPTED, EventKind.CLAIM_DENIED),
        (EventKind.REVIEW_MISSED,),
    ),
    Row(10, "published", late=(EventKind.CLAIM_PUBLISHED,)),
    Row(11, "objected to", (Object,), (EventKind.CLAIM_OBJECTED,)),
    Row(
        12,
        "objection decided",
        (DecideObjection,),
        (EventKind.OBJECTION_REFUSED, EventKind.OBJECTION_UPHELD),
        (EventKind.OBJECTION_MISSED,),
    ),
    Row(13, "confirmed", late=(EventKind.CLAIM_CONFIRMED,), money="its amount is part of the cycle"),
    Row(
        14,
        "settled",
        late=(EventKind.CLAIM_SETTLED, EventKind.CLAIM_CARRIED),
        money="its cost is shared; carried if nobody is there to share it",
    ),
    Row(15, "paid", (ConfirmPayment,), (EventKind.CLAIM_PAID,), (EventKind.PAYMENT_MISSED,), "the payout"),
    Row(16, "taken to a jury", (RequestJury,), (EventKind.JURY_REQUESTED,), (EventKind.DENIAL_FINAL,)),
    Row(
        17,
        "statements locked",
        (LockStatement,),
        (EventKind.STATEMENT_LOCKED,),
        (EventKind.JURY_VOTE_OPENED, EventKind.DRAW_STARTED),
    ),
    Row(18, "jury stopped", (StopJury,), (EventKind.JURY_STOPPED,)),
    Row(
        19,
        "voted by jurors",
        (CastBallots, RevealBallots),
        (EventKind.ENDS_EARLY,),
        (EventKind.VOTE_EXTENDED, EventKind.REVEAL_OPENED, EventKind.JURY_PASSED, EventKind.VERDICT_FAILED),
        at=(ClaimStatus.JURY_VOTING, ClaimStatus.PANEL_COMMIT, ClaimStatus.JURY_REVEAL, ClaimStatus.PANEL_REVEAL),
    ),
    Row(
        20,
        "panel drawn",
        (DealBeacon, OpenBeacon),
        (EventKind.ENDS_EARLY,),
        (
            EventKind.DRAW_STARTED,
            EventKind.DEALING_CLOSED,
            EventKind.PANEL_DRAWN,
            EventKind.PANEL_REVEAL_OPENED,
        ),
        at=(ClaimStatus.JURY_DRAWING,),
    ),
    Row(21, "appealed", (AppealVerdict,), (EventKind.VERDICT_APPEALED,), (EventKind.DENIAL_FINAL,)),
    Row(23, "withdrawn", (WithdrawClaim,), (EventKind.CLAIM_WITHDRAWN, EventKind.DENIAL_FINAL)),
    Row(
        24,
        "stayed, resumed, decided by a court",
        (StayClaim, LiftStay),
        (
            EventKind.CLAIM_STAYED,
            *RESUMED.values(),
            EventKind.COURT_GRANTED,
            EventKind.COURT_REFUSED,
        ),
        tuple(RESUMED.values()),
        "a confirmed claim leaves its cycle",
    ),
    Row(
        25,
        "clawback opened and answered",
        (OpenClawback, AnswerClawback),
        (EventKind.CLAWBACK_OPENED, EventKind.CLAWBACK_ANSWERED),
    ),
    Row(
        26,
        "clawback decided",
        (VoteClawback,),
        (EventKind.CLAWBACK_VOTED, EventKind.CLAWBACK_UPHELD, EventKind.CLAWBACK_DROPPED),
        (EventKind.CLAWBACK_EXPIRED,),
        "upheld: the payout is to be paid back",
        (ClaimStatus.CLAWBACK_OPEN,),
    ),
    Row(
        27,
        "recovered or written off",
        (RecordRecovery, VoteWriteOff),
        (
            EventKind.RECOVERY_RECORDED,
            EventKind.CLAIM_RECOVERED,
            EventKind.CLAWBACK_VOTED,
            EventKind.CLAIM_WRITTEN_OFF,
        ),
        (EventKind.CLAIM_WRITTEN_OFF,),
        "what comes back, and the fee on it, lowers the next shares",
        (ClaimStatus.CLAWBACK_UPHELD,),
    ),
    Row(28, "reopened", (ReopenClaim,), (EventKind.CLAIM_REOPENED,)),
)
"""Numbers as in the rulebook; 9 is part of 8 (an accepted claim is queued), and 22 of 19 (a jury granted it)."""


def who(row: Row) -> tuple[str, ...]:
    """Who may: roles, "member", or "clock" if the chain does it by itself."""
    roles = [
        role.value
        for role in Role
        if any(action in (*PERMITTED.get(role, ()), *JURY_PERMITTED.get(role, ())) for action in row.actions)
    ]
    allowed = (*PERMITTED_TO_MEMBERS, *JURY_PERMITTED_TO_MEMBERS)
    member = ["member"] if any(action in allowed for action in row.actions) else []
    return (*roles, *member) or ("clock",)


def moves(row: Row) -> tuple[tuple[ClaimStatus | None, EventKind, ClaimStatus], ...]:
    """(from, event, to) of the row, in the order of the transitions."""
    named = (*row.events, *row.late)
    return tuple((source, event, target) for (source, event), target in TRANSITIONS.items() if event in named)


def deadlines(row: Row) -> tuple[DeadlineKind, ...]:
    """The kinds whose passing makes the row happen by itself."""
    sources = [source for source, event, _ in moves(row) if event in row.late and source is not None]
    return tuple(dict.fromkeys(DEADLINE_OF[source] for source in sources if source in DEADLINE_OF))
