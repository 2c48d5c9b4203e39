"""Actions and records of the lives of plans, one of each, for the golden file."""

from __future__ import annotations

from node.claims.genesis import (
    AgeBand,
    Ailment,
    AilmentTrigger,
    Benefit,
    Calendar,
    Clause,
    PlanTerms,
    StepDeadlines,
    Tier,
)
from node.claims.mutual_aid.plan_actions import (
    AgreeToSponsor,
    LiftSuspension,
    OpenVote,
    PlanChange,
    ProposeChange,
    ProposePlan,
    ProposeTerms,
    SuspendPlan,
    VoteProposal,
    WithdrawProposal,
)
from node.claims.mutual_aid.plan_records import (
    GovernanceRecord,
    LifeRecord,
    ProposalKind,
    ProposalRecord,
    RefundRecord,
)
from node.claims.mutual_aid.plan_transitions import PlanStatus, ProposalStatus
from node.claims.transaction import Action
from node.claims.wire import Wire
from tests.factories import person

PLAN = PlanTerms(
    code="small",
    version=1,
    name="Small",
    currency="EUR",
    benefit=Benefit.REIMBURSEMENT,
    utc_offset_minutes=60,
    waiting_days=3,
    waiting_members_share=True,
    entry_age_min_months=0,
    entry_age_max_years=100,
    report_window_days=10,
    exit_after_payout=False,
    fee_bps=300,
    calendar=Calendar(cycle_days=2, settlement_after_days=1),
    deadlines=StepDeadlines(investigation_hours=4, review_hours=3, disclosure_hours=2, payment_hours=1),
    age_bands=(AgeBand(from_age_years=0, to_age_years=99, standard_minor_units=500),),
    clauses=(Clause(number="1.1", title="Rule"),),
    ailments=(
        Ailment(
            code="H01",
            icd10="C00-C97",
            name="Stay",
            tier=Tier.STANDARD,
            trigger=AilmentTrigger.PROCEDURE,
            observation_days=0,
        ),
    ),
)

PLAN_ACTIONS: tuple[Action, ...] = (
    ProposeTerms(terms=PLAN),
    ProposePlan(terms=PLAN, draft=True),
    ProposeChange(plan="small", change=PlanChange.WIND_DOWN, closing_day=20_700, sponsor="a"),
    OpenVote(proposal=3),
    VoteProposal(proposal=3, approve=True),
    WithdrawProposal(proposal=3),
    AgreeToSponsor(proposal=3),
    SuspendPlan(plan="small", order=person(13), days=30),
    LiftSuspension(plan="small", order=person(13)),
)
PLAN_RECORDS: tuple[Wire, ...] = (
    LifeRecord(
        status=PlanStatus.WINDING_DOWN,
        changed_ms=1_778_083_200_000,
        deadline_ms=1_780_675_200_000,
        reached=True,
        low_disclosures=2,
        announced_ms=1_778_083_200_000,
        announced_cycle=9,
        closing_day=20_610,
        run_off_ms=1_796_227_200_000,
        sponsor=2,
    ),
    RefundRecord(cycle=9, surplus_per_unit=3, first_cycle=8, shares=64_800_000, organisations=(64_803_000, 0, 0, 0)),
    ProposalRecord(
        kind=ProposalKind.TERMS,
        status=ProposalStatus.VOTING,
        plan=0,
        code="critical-illness",
        version=2,
        proposer=1,
        ends_ms=1_778_083_200_000,
        yes=(1, 3),
        no=(0,),
        sponsors=(2,),
        day=20_640,
    ),
    GovernanceRecord(next_proposal=4, open=(0, 1, 0, 0)),
)
