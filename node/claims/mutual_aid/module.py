"""Mutual aid as a module: its actions, deadlines, permissions and invariants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final

from node.claims.genesis import Role
from node.claims.jury.module import JURY_PERMITTED, JURY_PERMITTED_TO_MEMBERS, jury_actions, jury_deadlines
from node.claims.jury.proofs import JuryProofs
from node.claims.module import ActionHandler, DeadlineHandler, InvariantBroken, Module, Scope
from node.claims.mutual_aid import (
    applications,
    arrears,
    clawback,
    cycle,
    enrolment,
    filing,
    holds,
    intake,
    invariants,
    leaving,
    objections,
    plan_life,
    proposals,
    receipts,
    refusals,
    reopening,
    reviews,
    stays,
    steps,
    ties,
)
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    AnswerClawback,
    CloseBalance,
    ConfirmPayment,
    DecideObjection,
    DeclareTie,
    Enrol,
    ExtendInvestigation,
    FileClaim,
    Investigate,
    Leave,
    LiftStay,
    MoveMember,
    Object,
    OpenClawback,
    RecordContribution,
    RecordReceipt,
    RecordRecovery,
    Recuse,
    ReopenClaim,
    ReportArrears,
    ResolveHold,
    ResubmitClaim,
    ReturnClaim,
    Review,
    SetKey,
    StayClaim,
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Apply,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.opening import open_plan
from node.claims.mutual_aid.plan_actions import (
    AgreeToSponsor,
    LiftSuspension,
    OpenVote,
    ProposeChange,
    ProposePlan,
    ProposeTerms,
    SuspendPlan,
    VoteProposal,
    WithdrawProposal,
)
from node.claims.mutual_aid.plan_records import GovernanceRecord, save_governance
from node.claims.mutual_aid.records import (
    Counters,
    load_plan,
    save_counters,
)
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.registry import Registry, plan_rows
from node.claims.state import ReadState
from node.claims.wire import Wire

_VOTES: Final = (VoteClawback, VoteWriteOff)
"""Of whoever is on the panel."""

GOVERNANCE: Final = (
    ProposeTerms,
    ProposePlan,
    ProposeChange,
    OpenVote,
    VoteProposal,
    WithdrawProposal,
    AgreeToSponsor,
)
"""For every role in the working of the plans; who of them has a vote is in governance.py."""

PERMITTED: Final[dict[Role, tuple[type[Wire], ...]]] = {
    Role.ENROLLER: (
        Enrol,
        Apply,
        AcceptApplication,
        RefuseApplication,
        WithdrawApplication,
        Object,
        WithdrawClaim,
        Leave,
        MoveMember,
        SetKey,
        RecordContribution,
        ReportArrears,
        CloseBalance,
        AnswerClawback,
        *_VOTES,
        *GOVERNANCE,
    ),
    Role.INTAKE: (FileClaim, AdmitClaim, ReturnClaim, ResubmitClaim, WithdrawClaim, *_VOTES, *GOVERNANCE),
    Role.INVESTIGATOR: (Investigate, ExtendInvestigation, Recuse, DeclareTie, *_VOTES, *GOVERNANCE),
    Role.REVIEWER: (
        Review,
        DecideObjection,
        Recuse,
        ResolveHold,
        DeclareTie,
        OpenClawback,
        ReopenClaim,
        *_VOTES,
        *GOVERNANCE,
    ),
    Role.PAYMENT: (ConfirmPayment, RecordReceipt, RecordRecovery, *_VOTES, *GOVERNANCE),
    Role.REGULATOR: (StayClaim, LiftStay, ReopenClaim, SuspendPlan, LiftSuspension),
}
"""All that organisations may do here. What is not in it is forbidden."""

PERMITTED_TO_MEMBERS: Final[tuple[type[Wire], ...]] = (
    FileClaim,
    ResubmitClaim,
    Object,
    WithdrawClaim,
    AnswerClawback,
    Leave,
)


class MutualAid(Module):
    """Members, claims and cycles of mutual-aid plans."""

    name: ClassVar[str] = "mutual aid"
    tables: ClassVar[range] = range(0x20, 0x60)
    tags: ClassVar[range] = range(20, 120)

    def __init__(self, registry: Registry, proofs: JuryProofs) -> None:
        super().__init__(registry)
        self._proofs = proofs

    def actions(self) -> Mapping[type[Wire], ActionHandler]:
        return {
            Enrol: partial(enrolment.enrol, self.registry),
            Apply: partial(applications.apply, self.registry),
            AcceptApplication: partial(applications.accept, self.registry),
            RefuseApplication: partial(applications.refuse, self.registry),
            WithdrawApplication: partial(applications.withdraw, self.registry),
            FileClaim: partial(filing.file_claim, self.registry),
            Investigate: partial(steps.investigate, self.registry),
            Review: partial(reviews.review, self.registry),
            ConfirmPayment: partial(steps.confirm_payment, self.registry),
            ExtendInvestigation: partial(steps.extend, self.registry),
            Recuse: partial(steps.recuse, self.registry),
            AdmitClaim: partial(intake.admit, self.registry),
            ReturnClaim: partial(intake.return_for_papers, self.registry),
            ResubmitClaim: partial(intake.resubmit, self.registry),
            WithdrawClaim: partial(intake.withdraw, self.registry),
            Object: partial(objections.object_to, self.registry),
            DecideObjection: partial(objections.decide_objection, self.registry),
            StayClaim: partial(stays.stay, self.registry, self._proofs),
            LiftStay: partial(stays.lift, self.registry),
            RecordReceipt: partial(receipts.record_receipt, self.registry),
            Leave: partial(leaving.leave, self.registry),
            MoveMember: partial(leaving.move_member, self.registry),
            SetKey: partial(leaving.set_key, self.registry),
            RecordContribution: partial(arrears.contribute, self.registry),
            ReportArrears: partial(arrears.report, self.registry),
            CloseBalance: partial(arrears.close_balance, self.registry),
            ResolveHold: partial(holds.resolve, self.registry),
            DeclareTie: partial(ties.declare, self.registry),
            OpenClawback: partial(clawback.open_clawback, self.registry),
            AnswerClawback: partial(clawback.answer, self.registry),
            VoteClawback: partial(clawback.vote, self.registry),
            RecordRecovery: partial(clawback.record_recovery, self.registry),
            VoteWriteOff: partial(clawback.vote_write_off, self.registry),
            ReopenClaim: partial(reopening.reopen, self.registry),
            **jury_actions(self.registry, self._proofs),
            ProposeTerms: partial(proposals.propose_terms, self.registry),
            ProposePlan: partial(proposals.propose_plan, self.registry),
            ProposeChange: partial(proposals.propose_change, self.registry),
            OpenVote: partial(proposals.open_vote, self.registry),
            VoteProposal: partial(proposals.vote, self.registry),
            WithdrawProposal: partial(proposals.withdraw_proposal, self.registry),
            AgreeToSponsor: partial(proposals.agree_to_sponsor, self.registry),
            SuspendPlan: partial(plan_life.suspend, self.registry),
            LiftSuspension: partial(plan_life.lift_suspension, self.registry),
        }

    def deadlines(self) -> Mapping[int, DeadlineHandler]:
        return {
            DeadlineKind.PLAN_SETTLEMENT: partial(cycle.settle_cycle, self.registry),
            DeadlineKind.PLAN_DISCLOSURE: partial(cycle.disclose, self.registry),
            DeadlineKind.INVESTIGATION: partial(steps.pass_on, self.registry),
            DeadlineKind.REVIEW: partial(steps.pass_on, self.registry),
            DeadlineKind.PUBLICATION: partial(cycle.publish_claim, self.registry),
            DeadlineKind.CONFIRMATION: partial(cycle.confirm_claim, self.registry),
            DeadlineKind.CLAIM_SETTLEMENT: partial(cycle.settle_claim, self.registry),
            DeadlineKind.PAYMENT: partial(steps.pass_on, self.registry),
            DeadlineKind.INTAKE: partial(intake.intake_missed, self.registry),
            DeadlineKind.PAPERS: partial(intake.lapse, self.registry),
            DeadlineKind.OBJECTION: partial(objections.objection_missed, self.registry),
            DeadlineKind.STAY: partial(stays.stay_over, self.registry),
            DeadlineKind.ARREARS: partial(arrears.sweep, self.registry),
            DeadlineKind.REMOVAL: partial(arrears.removal_due, self.registry),
            DeadlineKind.APPLICATION: partial(applications.lapse, self.registry),
            DeadlineKind.PROPOSAL: partial(proposals.proposal_over, self.registry),
            DeadlineKind.PLAN_CLOSING: partial(plan_life.cover_over, self.registry),
            DeadlineKind.PLAN_RUN_OFF: partial(plan_life.run_off_over, self.registry),
            DeadlineKind.PLAN_SUSPENSION: partial(plan_life.suspension_over, self.registry),
            DeadlineKind.JURY_REQUEST: partial(refusals.denial_over, self.registry),
            DeadlineKind.DUP_HOLD: partial(holds.hold_missed, self.registry),
            DeadlineKind.CLAWBACK: partial(clawback.clawback_over, self.registry),
            DeadlineKind.RECOVERY: partial(clawback.recovery_over, self.registry),
            **jury_deadlines(self.registry, self._proofs),
        }

    def permitted(self) -> Mapping[Role, tuple[type[Wire], ...]]:
        return {role: (*PERMITTED.get(role, ()), *JURY_PERMITTED.get(role, ())) for role in Role}

    def permitted_to_members(self) -> tuple[type[Wire], ...]:
        return (*PERMITTED_TO_MEMBERS, *JURY_PERMITTED_TO_MEMBERS)

    def initialise(self, scope: Scope) -> None:
        save_counters(scope, Counters(next_member=1, next_claim=1))
        save_governance(scope, GovernanceRecord(next_proposal=1, open=(0,) * len(self.registry.names)))
        for number, versions in enumerate(self.registry.genesis_plans()):
            for key, row in plan_rows(number, versions):
                scope.state.put(key, row)
            open_plan(self.registry, scope, self.registry.plan(scope.state, number))

    def check(self, state: ReadState, kind: str, number: int) -> None:
        if kind != "plan":
            return
        broken = invariants.broken_equations(state, number)
        if broken:
            code, record = self.registry.plan(state, number).code, load_plan(state, number)
            raise InvariantBroken(f"plan {code}: not true: {'; '.join(broken)}: {record}")
