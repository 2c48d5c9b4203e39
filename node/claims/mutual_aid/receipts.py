"""Money that comes in: from organisations for their members, from a sponsor, and from payouts taken back.

An organisation owes a plan the shares of its members, collected or not, so that arrears never leave a hole
in a payout. A payment organisation confirms what it received. Payouts may precede receipts: the payment
organisation then advances the money, and the plan's cash is negative for a while; a plan whose terms say
`pay_from_receipts` pays from money received only.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.module import InvariantBroken, Scope
from node.claims.money import fee_of
from node.claims.mutual_aid.actions import RecordReceipt
from node.claims.mutual_aid.records import (
    ClaimRecord,
    PlanState,
    load_plan,
    load_receivables,
    save_plan,
    save_receivables,
    the_cycle,
)
from node.claims.registry import Registry
from node.claims.results import ResultCode


def cash(record: PlanState) -> int:
    """What the payment organisations hold of the plan's money, before the fee. Below 0: what they advanced."""
    return record.receipts + record.sponsor_receipts + record.clawback - record.paid


def can_pay(registry: Registry, scope: Scope, claim: ClaimRecord) -> bool:
    """Whether the plan's terms let the claim be paid now."""
    day = the_cycle(scope.state, claim.plan, claim.cycle).day
    costs = registry.plan(scope.state, claim.plan).terms_on(day).plan.costs
    return not costs.pay_from_receipts or cash(load_plan(scope.state, claim.plan)) >= claim.payable


def record_receipt(registry: Registry, scope: Scope, action: RecordReceipt) -> ResultCode:
    """Never more than is owed: nobody can pay into a plan what no cycle has asked for."""
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    payer = registry.number_of.get(action.organisation)
    if payer is None:
        return ResultCode.UNKNOWN_ORGANISATION
    number = plan.number
    record = load_plan(scope.state, number)
    if action.sponsor:
        is_sponsor = any(action.organisation == terms.plan.costs.sponsor for terms in plan.versions)
        if not is_sponsor or action.amount > record.sponsored - record.sponsor_receipts:
            return ResultCode.MORE_THAN_OWED
        save_plan(scope, number, replace(record, sponsor_receipts=record.sponsor_receipts + action.amount))
        what = EventKind.SPONSOR_RECEIPT_RECORDED
    else:
        owed = load_receivables(scope.state, number)
        if action.amount > owed.debits[payer] - owed.receipts[payer]:
            return ResultCode.MORE_THAN_OWED
        receipts = list(owed.receipts)
        receipts[payer] += action.amount
        save_receivables(scope, number, replace(owed, receipts=tuple(receipts)))
        save_plan(scope, number, replace(record, receipts=record.receipts + action.amount))
        what = EventKind.RECEIPT_RECORDED
    scope.emit(what, plan=number, organisation=payer, value=action.amount)
    return ResultCode.OK


def demand_back(scope: Scope, plan: int, amount: int) -> None:
    """A clawback was upheld: `amount` of a payout is to be paid back."""
    record = load_plan(scope.state, plan)
    save_plan(scope, plan, replace(record, receivable_back=record.receivable_back + amount))


def recover(scope: Scope, plan: int, amount: int, fee_bps: int) -> None:
    """`amount` of what was demanded back has come: it lowers the next share, and so does its part of the fee.

    `fee_bps` is that of the cycle which settled the claim; the fee part rounds down.
    """
    record = load_plan(scope.state, plan)
    if not 0 < amount <= record.receivable_back:
        raise InvariantBroken(f"{amount} cannot come back where {record.receivable_back} is to")
    fee = fee_of(amount, fee_bps)
    back = replace(
        record,
        clawback=record.clawback + amount,
        receivable_back=record.receivable_back - amount,
        surplus=record.surplus + amount + fee,
        fees=record.fees - fee,
    )
    save_plan(scope, plan, back)
    scope.emit(EventKind.MONEY_RECOVERED, plan=plan, value=amount)


def write_off(scope: Scope, plan: int, amount: int) -> None:
    """`amount` of what was demanded back will never come. It was shared when the claim was; nothing is again."""
    record = load_plan(scope.state, plan)
    if not 0 < amount <= record.receivable_back:
        raise InvariantBroken(f"{amount} cannot be written off where {record.receivable_back} is to come back")
    off = replace(record, receivable_back=record.receivable_back - amount, written_off=record.written_off + amount)
    save_plan(scope, plan, off)
    scope.emit(EventKind.MONEY_WRITTEN_OFF, plan=plan, value=amount)


def fee_bps_of(registry: Registry, scope: Scope, claim: ClaimRecord) -> int:
    """The fee of the cycle that settled the claim."""
    day = the_cycle(scope.state, claim.plan, claim.cycle).day
    return registry.plan(scope.state, claim.plan).terms_on(day).plan.fee_bps
