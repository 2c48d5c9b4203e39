"""Mutual aid as a module: its actions, deadlines, permissions and invariants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final

from node.claims.genesis import Role
from node.claims.module import ActionHandler, DeadlineHandler, InvariantBroken, Module, Scope
from node.claims.mutual_aid import cycle, filing, intake, membership, objections, refusals, stays, steps
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    ConfirmPayment,
    DecideObjection,
    Enrol,
    ExtendInvestigation,
    FileClaim,
    Investigate,
    LiftStay,
    Object,
    Recuse,
    ResubmitClaim,
    ReturnClaim,
    Review,
    StayClaim,
    WithdrawClaim,
)
from node.claims.mutual_aid.lifecycle import STATUSES
from node.claims.mutual_aid.records import (
    Counters,
    PlanState,
    PlanTally,
    load_plan,
    load_tally,
    save_counters,
    save_plan,
    save_tally,
)
from node.claims.mutual_aid.transitions import ClaimStatus, DeadlineKind
from node.claims.registry import plan_rows
from node.claims.state import ReadState
from node.claims.wire import Wire

PERMITTED: Final[dict[Role, tuple[type[Wire], ...]]] = {
    Role.ENROLLER: (Enrol, Object, WithdrawClaim),
    Role.INTAKE: (FileClaim, AdmitClaim, ReturnClaim, ResubmitClaim, WithdrawClaim),
    Role.INVESTIGATOR: (Investigate, ExtendInvestigation, Recuse),
    Role.REVIEWER: (Review, DecideObjection, Recuse),
    Role.PAYMENT: (ConfirmPayment,),
    Role.REGULATOR: (StayClaim, LiftStay),
}
"""All that organisations may do here. What is not in it is forbidden."""

PERMITTED_TO_MEMBERS: Final[tuple[type[Wire], ...]] = (FileClaim, ResubmitClaim, Object, WithdrawClaim)


class MutualAid(Module):
    """Members, claims and cycles of mutual-aid plans."""

    name: ClassVar[str] = "mutual aid"
    tables: ClassVar[range] = range(0x20, 0x60)
    tags: ClassVar[range] = range(20, 120)

    def actions(self) -> Mapping[type[Wire], ActionHandler]:
        return {
            Enrol: partial(membership.enrol, self.registry),
            FileClaim: partial(filing.file_claim, self.registry),
            Investigate: partial(steps.investigate, self.registry),
            Review: partial(steps.review, self.registry),
            ConfirmPayment: partial(steps.confirm_payment, self.registry),
            ExtendInvestigation: partial(steps.extend, self.registry),
            Recuse: partial(steps.recuse, self.registry),
            AdmitClaim: partial(intake.admit, self.registry),
            ReturnClaim: partial(intake.return_for_papers, self.registry),
            ResubmitClaim: partial(intake.resubmit, self.registry),
            WithdrawClaim: partial(intake.withdraw, self.registry),
            Object: partial(objections.object_to, self.registry),
            DecideObjection: partial(objections.decide_objection, self.registry),
            StayClaim: partial(stays.stay, self.registry),
            LiftStay: partial(stays.lift, self.registry),
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
            DeadlineKind.JURY_REQUEST: partial(refusals.denial_over, self.registry),
        }

    def permitted(self) -> Mapping[Role, tuple[type[Wire], ...]]:
        return PERMITTED

    def permitted_to_members(self) -> tuple[type[Wire], ...]:
        return PERMITTED_TO_MEMBERS

    def initialise(self, scope: Scope) -> None:
        save_counters(scope, Counters(next_member=1, next_claim=1))
        for number, versions in enumerate(self.registry.genesis_plans()):
            for key, row in plan_rows(number, versions):
                scope.state.put(key, row)
            plan = self.registry.plan(scope.state, number)
            disclosure_ms, settlement_ms = plan.next_cycle(scope.now_ms)
            opened = PlanState(
                cycle=1,
                disclosure_ms=disclosure_ms,
                settlement_ms=settlement_ms,
                units=(0,) * len(self.registry.names),
                members=0,
                accumulated=0,
                surplus=0,
                debits=0,
                payouts=0,
                fees=0,
                payable=0,
                paid=0,
                confirmed_amount=0,
                confirmed_cases=0,
            )
            save_plan(scope, plan.number, opened)
            save_tally(scope, plan.number, PlanTally(members=0, claims=(0,) * STATUSES))
            scope.schedule(DeadlineKind.PLAN_DISCLOSURE, disclosure_ms, plan.number)

    def check(self, state: ReadState, kind: str, number: int) -> None:
        if kind != "plan":
            return
        plan = load_plan(state, number)
        claims = load_tally(state, number).claims
        # A cycle is settled before its claims are told, one deadline row each.
        unpaid = claims[ClaimStatus.CONFIRMED] - plan.confirmed_cases + claims[ClaimStatus.SETTLED]
        unpaid += claims[ClaimStatus.PAYMENT_STAYED]
        broken = [
            text
            for text, holds in (
                ("debits = payouts + fees + surplus", plan.debits == plan.payouts + plan.fees + plan.surplus),
                ("settled = payable + paid", plan.payouts == plan.payable + plan.paid),
                ("members = sum of the organisations' members", plan.members == sum(plan.units)),
                ("something is payable while claims wait for payment", (plan.payable > 0) == (unpaid > 0)),
                ("something is confirmed while cases are", (plan.confirmed_amount > 0) == (plan.confirmed_cases > 0)),
                (
                    "no amount or count is negative",
                    min(plan.surplus, plan.payable, plan.confirmed_amount, unpaid, *plan.units, *claims) >= 0,
                ),
            )
            if not holds
        ]
        if broken:
            code = self.registry.plan(state, number).code
            raise InvariantBroken(f"plan {code}: not true: {'; '.join(broken)}: {plan}")
