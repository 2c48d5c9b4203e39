"""Every member's ledger and every claim's status, kept by following what happened and never by asking the state.

The dates on which members share come from the enrolments and exits that were accepted; amounts of cases from the
claims that were confirmed; shares from `claims_oracle`, which charges member by member in rational numbers.
"""

from __future__ import annotations

from node.claims.events import ClaimsEvent, EventKind
from node.claims.genesis import PlanTerms
from node.claims.mutual_aid.actions import Enrol
from node.claims.mutual_aid.application_actions import Applicant, Apply
from node.claims.mutual_aid.application_life import APPLICATION_TRANSITIONS, ApplicationStatus
from node.claims.mutual_aid.transitions import TRANSITIONS, ClaimStatus
from tests.factories import Chain
from tests.property.claims_oracle import Oracle, OracleClaim

MOVES = {event for _, event in TRANSITIONS}
ABOUT_APPLICATIONS = {event for _, event in APPLICATION_TRANSITIONS}
BACK = {EventKind.RECOVERY_RECORDED, EventKind.CLAIM_RECOVERED}


def rows_taken(chain: Chain) -> list[tuple[ClaimStatus | None, EventKind]]:
    """The rows of the table that the claims of a chain have taken so far, one after the other."""
    status: dict[int, ClaimStatus] = {}
    rows: list[tuple[ClaimStatus | None, EventKind]] = []
    for result in chain.results:
        for event in (event for receipt in (result.clock, *result.receipts) for event in receipt.events):
            if event.kind in MOVES and event.subject:
                row = status.get(event.subject), event.kind
                rows.append(row)
                status[event.subject] = TRANSITIONS[row]
    return rows


class Ledger:
    """Follows one chain from its first block."""

    def __init__(self, plans: tuple[PlanTerms, ...], genesis_ms: int) -> None:
        self.oracle = Oracle(plans, genesis_ms)
        self.status: dict[int, ClaimStatus] = {}
        self.steps: dict[tuple[ClaimStatus | None, EventKind], int] = {}
        """How often each row of the table was taken."""
        self.applicants: list[tuple[int, int, Applicant]] = []
        """(plan, organisation, who) of every application, in the order of their numbers."""
        self.application_status: dict[int, ApplicationStatus] = {}
        self.application_steps: dict[tuple[ApplicationStatus | None, EventKind], int] = {}
        self.recovered = [0] * len(plans)
        """What came back from paid claims. Its part of the fee comes back too, from the fees."""

    def enrol(self, action: Enrol, organisation: int, now: int) -> None:
        """An enrolment that was accepted."""
        codes = [plan.terms.code for plan in self.oracle.plans]
        for entry in action.members:
            year, month = divmod(entry.birth_month, 12)
            self.oracle.enrol(codes.index(action.plan), organisation, (year, month + 1), now, entry.units)

    def apply(self, action: Apply, organisation: int) -> None:
        """Applications that were recorded."""
        plan = [plan.terms.code for plan in self.oracle.plans].index(action.plan)
        self.applicants += [(plan, organisation, entry) for entry in action.applicants]

    def _applications(self, event: ClaimsEvent, now: int) -> None:
        """Of the event's one application, or of the run that begins with it. Who is accepted joins `now`."""
        run = event.value if event.kind is EventKind.APPLICATIONS_RECORDED else 1
        for number in range(event.subject, event.subject + run):
            step = (self.application_status.get(number), event.kind)
            assert step in APPLICATION_TRANSITIONS, f"{event.kind.name} happened to an application that is {step[0]!r}"
            self.application_status[number] = APPLICATION_TRANSITIONS[step]
            self.application_steps[step] = self.application_steps.get(step, 0) + 1
        if event.kind is EventKind.APPLICATION_ACCEPTED:
            plan, organisation, entry = self.applicants[event.subject - 1]
            year, month = divmod(entry.birth_month, 12)
            member = self.oracle.enrol(plan, organisation, (year, month + 1), now, entry.units)
            assert event.value == member.number

    def follow(self, event: ClaimsEvent, now: int) -> None:
        """What happened, in the order in which it did."""
        if event.kind in ABOUT_APPLICATIONS:
            self._applications(event, now)
        if event.kind in MOVES and event.subject:
            self._move(event)
        if event.kind is EventKind.CYCLE_DISCLOSED:
            plan = self.oracle.plans[event.plan]
            self.oracle.disclose(plan)
            assert plan.waiting is not None
            assert event.value == sum(member.units for member in plan.waiting.sharers)
        elif event.kind in (EventKind.CYCLE_SETTLED, EventKind.CYCLE_CARRIED):
            plan = self.oracle.plans[event.plan]
            self.oracle.settle(plan)
            number, _, share, cases = plan.history[-1]
            assert number == event.subject
            assert (cases < 0) == (event.kind is EventKind.CYCLE_CARRIED)
            assert event.value == share or cases < 0
        elif event.kind is EventKind.MEMBER_LEFT:
            self.oracle.members[event.subject - 1].until = event.value
        elif event.kind in BACK:
            plan = self.oracle.plans[event.plan]
            fee = event.value * plan.terms.fee_bps // 10_000
            plan.surplus += event.value + fee
            plan.fees -= fee
            self.recovered[event.plan] += event.value

    def _move(self, event: ClaimsEvent) -> None:
        before = self.status.get(event.subject)
        assert (before, event.kind) in TRANSITIONS, f"{event.kind.name} happened to a claim that is {before!r}"
        self.steps[before, event.kind] = self.steps.get((before, event.kind), 0) + 1
        after = self.status[event.subject] = TRANSITIONS[before, event.kind]
        claims = self.oracle.claims
        if before is None:
            assert event.subject == len(claims) + 1
            # The follower needs no member: whom a claim belongs to changes no share.
            claims.append(OracleClaim(event.subject, event.plan, None, 0, "", 0))  # type: ignore[arg-type]
        claim = claims[event.subject - 1]
        if event.kind is EventKind.CLAIM_CONFIRMED:
            claim.amount = event.value
        elif event.kind is EventKind.CLAIM_SETTLED:
            assert event.value == claim.payable
        elif event.kind is EventKind.CLAIM_PAID:
            self.oracle.plans[event.plan].paid += claim.payable
        elif event.kind is EventKind.CLAWBACK_UPHELD:
            assert event.value == claim.payable, "what is demanded back is what was paid"
        claim.status = after.name.lower()
