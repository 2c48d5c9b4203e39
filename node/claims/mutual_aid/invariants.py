"""The equations that hold after every block for every plan: money neither appears nor vanishes."""

from __future__ import annotations

from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.mutual_aid.application_records import load_application_tally
from node.claims.mutual_aid.records import load_cohorts, load_plan, load_receivables, load_tally
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.state import ReadState


def broken_equations(state: ReadState, number: int) -> list[str]:
    """Those that do not hold for the plan. Reads five records, however many members and claims there are."""
    plan, owed, cohorts = load_plan(state, number), load_receivables(state, number), load_cohorts(state, number)
    tally, applications = load_tally(state, number), load_application_tally(state, number).counts
    claims = tally.claims
    # A cycle is settled before its claims are told, one deadline row each.
    unpaid = claims[ClaimStatus.CONFIRMED] - plan.confirmed_cases + claims[ClaimStatus.SETTLED]
    unpaid += claims[ClaimStatus.PAYMENT_STAYED]
    left = [debit - receipt for debit, receipt in zip(owed.debits, owed.receipts, strict=True)]
    equations = [
        (
            "debits + sponsored + clawback = payouts + fees + surplus + refunds",
            plan.debits + plan.sponsored + plan.clawback == plan.payouts + plan.fees + plan.surplus + plan.refunds,
        ),
        ("settled = payable + paid", plan.payouts == plan.payable + plan.paid),
        ("members = sum of the organisations' members", plan.members == sum(plan.units)),
        ("debits = sum of what organisations owe", plan.debits == sum(owed.debits)),
        ("receipts = sum of what organisations handed over", plan.receipts == sum(owed.receipts)),
        ("no organisation has handed over more than it owed", min(left, default=0) >= 0),
        ("no sponsor has paid more than was booked to it", plan.sponsor_receipts <= plan.sponsored),
        ("what came back was paid", plan.clawback + plan.receivable_back + plan.written_off <= plan.paid),
        ("nothing is payable unless claims wait for payment", plan.payable == 0 or unpaid > 0),
        (
            "something is payable while claims wait for payment, unless some were cut",
            plan.payable > 0 or unpaid == 0 or plan.granted > plan.payouts,
        ),
        ("what was granted covers what is paid", plan.granted >= plan.payouts),
        ("whose application was accepted is a member", applications[ApplicationStatus.ACCEPTED] <= tally.members),
        ("something is confirmed while cases are", (plan.confirmed_amount > 0) == (plan.confirmed_cases > 0)),
        (
            "no amount or count is negative",
            min(
                plan.surplus,
                plan.fees,
                plan.payable,
                plan.confirmed_amount,
                plan.clawback,
                plan.receivable_back,
                plan.written_off,
                unpaid,
                *plan.units,
                *claims,
                *applications,
            )
            >= 0,
        ),
    ]
    if cohorts is not None and cohorts.cohorts:
        totals = tuple(sum(column) for column in zip(*(one.units for one in cohorts.cohorts), strict=True))
        equations.append(("each organisation's members = sum of its cohorts", totals == plan.units))
    return [text for text, holds in equations if not holds]
