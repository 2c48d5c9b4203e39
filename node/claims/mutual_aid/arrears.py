"""Arrears: found at a settlement or reported, forgiven for some cycles, then the end of the membership.

Own share first, then the family in the order of joining: who is not covered when the time is over is removed;
if that is the member who pays, all are. Cover goes on until then. Arrears stay owed: they are taken from a
payout, and have to be paid before the person may join again.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.module import InvariantBroken, Scope
from node.claims.mutual_aid.accounts import (
    arrears_of,
    balance_of,
    clock_behind,
    close_account,
    family_of,
    save_account,
    settled_cycle,
    unwatch,
    watch,
    watch_at,
)
from node.claims.mutual_aid.actions import CloseBalance, RecordContribution, ReportArrears
from node.claims.mutual_aid.bills import bill
from node.claims.mutual_aid.membership import end_membership
from node.claims.mutual_aid.records import (
    AccountRecord,
    ClaimRecord,
    Exit,
    MemberRecord,
    load_account,
    load_member,
    load_plan,
    save_member,
    the_cycle,
    the_member,
)
from node.claims.mutual_aid.transitions import ClaimStatus, DeadlineKind
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.state import ReadState
from node.claims.types import DAY_MS

SWEEP_ROWS: Final = 8
"""Balances looked at by one row of the deadline queue; the clock bounds how many rows a block fires."""


def sweep(registry: Registry, scope: Scope, due_ms: int, plan: int) -> None:
    """A settlement was due at `due_ms`: look at the balances that it may have used up, some at a time."""
    settled = settled_cycle(scope.state, plan)
    if settled is None or settled[2] != due_ms:
        raise InvariantBroken(f"plan {plan} has no settlement at {due_ms} whose arrears could be found")
    rows = scope.state.scan(*keys.thresholds_below(plan, load_plan(scope.state, plan).accumulated))
    found = [key for key, _ in (row for row, _ in zip(rows, range(SWEEP_ROWS + 1), strict=False))]
    for key in found[:SWEEP_ROWS]:
        number = keys.parse_threshold(key)[2]
        _look(registry, scope, number, _the_account(scope, number), settled[0], due_ms)
    if len(found) > SWEEP_ROWS:
        scope.schedule(DeadlineKind.ARREARS, due_ms, plan)


def begin_sweep(scope: Scope, plan: int, due_ms: int) -> None:
    """Queue the first part of a sweep, if there is anything to find."""
    start, end = keys.thresholds_below(plan, load_plan(scope.state, plan).accumulated)
    if next(iter(scope.state.scan(start, end)), None) is not None:
        scope.schedule(DeadlineKind.ARREARS, due_ms, plan)


def _the_account(scope: Scope, number: int) -> AccountRecord:
    account = load_account(scope.state, number)
    if account is None:
        raise InvariantBroken(f"member {number} has no account, which another record needs")
    return account


def _look(
    registry: Registry, scope: Scope, number: int, account: AccountRecord, cycle: int, at_ms: int
) -> AccountRecord:
    """The settlement of `cycle` may have used the balance up: see whether it has."""
    balance = balance_of(registry, scope.state, number, account)
    if balance >= 0:
        account = watch(registry, scope, number, replace(account, failures=0))
        save_account(scope, number, account)
        return account
    return _fail(registry, scope, number, account, cycle, at_ms, -balance)


def _fail(
    registry: Registry, scope: Scope, number: int, account: AccountRecord, cycle: int, at_ms: int, arrears: int
) -> AccountRecord:
    """The balance did not cover `cycle`. Nothing more happens if that was counted already."""
    day = the_cycle(scope.state, account.plan, cycle).day
    costs = registry.plan(scope.state, account.plan).terms_on(day).plan.costs
    if account.failed_cycle != cycle:
        account = replace(account, failures=account.failures + 1, failed_cycle=cycle)
        organisation = the_member(scope.state, number).organisation
        scope.emit(
            EventKind.MEMBER_IN_ARREARS, plan=account.plan, subject=number, organisation=organisation, value=arrears
        )
    if account.failures > costs.grace_cycles and not account.removal_ms:
        account = replace(account, removal_ms=at_ms + costs.retry_days * DAY_MS)
        scope.schedule(DeadlineKind.REMOVAL, account.removal_ms, number)
    if account.own and not account.removal_ms:
        # Any further share is a further failure.
        account = watch_at(scope, number, account, load_plan(scope.state, account.plan).accumulated)
    else:
        account = unwatch(scope, number, account)
    save_account(scope, number, account)
    return account


def removal_due(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The time to pay is over."""
    account = _the_account(scope, number)
    if account.removal_ms != due_ms:
        raise InvariantBroken(f"member {number} is removed at {account.removal_ms}, not at {due_ms}")
    _remove(registry, scope, number, account)


def _remove(registry: Registry, scope: Scope, number: int, account: AccountRecord) -> AccountRecord:
    plan = registry.plan(scope.state, account.plan)
    day = plan.day_of(account.removal_ms)
    family = family_of(scope.state, number)
    left, missing = account.paid_in, 0
    uncovered: list[tuple[int, MemberRecord]] = []
    for one, member in family:
        amount = bill(scope.state, plan, member)
        if amount <= left:
            left -= amount
        else:
            missing += amount - left
            left = 0
            uncovered.append((one, member))
    with_payer = bool(uncovered) and uncovered[0][0] == number
    removed = 0
    for one, member in family if with_payer else uncovered:
        if member.until_day and member.until_day <= day + 1:
            continue
        ended = end_membership(scope, one, member, day, Exit.REMOVED)
        save_member(scope, one, ended)
        removed += 1
    account = replace(account, removal_ms=0)
    if not with_payer:
        # What the removed ones owe is set apart, and those who are covered go on with a balance of their own.
        account = replace(account, paid_in=account.paid_in + missing, owed=account.owed + missing, failures=0)
        account = watch(registry, scope, number, account)
    save_account(scope, number, account)
    payer = the_member(scope.state, number)
    scope.emit(
        EventKind.MEMBER_REMOVED, plan=account.plan, subject=number, organisation=payer.organisation, value=removed
    )
    return account


def current_account(registry: Registry, scope: Scope, number: int) -> tuple[AccountRecord | None, ResultCode]:
    """The account as of now: what the clock has not come to is settled first. None: the organisation collects."""
    account = load_account(scope.state, number)
    plan = the_member(scope.state, number).plan
    if clock_behind(scope, plan):
        return None, ResultCode.CLOCK_BEHIND
    if account is None:
        return None, ResultCode.OK
    record, settled = load_plan(scope.state, plan), settled_cycle(scope.state, plan)
    if settled is not None and 0 <= account.threshold < record.accumulated:
        account = _look(registry, scope, number, account, settled[0], settled[2])
    if account.removal_ms and account.removal_ms <= scope.now_ms:
        scope.cancel(DeadlineKind.REMOVAL, account.removal_ms, number)
        account = _remove(registry, scope, number, account)
    return account, ResultCode.OK


def current_member(
    registry: Registry, scope: Scope, number: int, member: MemberRecord
) -> tuple[MemberRecord | None, ResultCode]:
    """The member as of now: a removal for arrears that the clock has not come to is settled first."""
    payer = member.payer or number
    if load_account(scope.state, payer) is None:
        return member, ResultCode.OK
    _, code = current_account(registry, scope, payer)
    return (None, code) if code else (the_member(scope.state, number), ResultCode.OK)


def _payer(
    registry: Registry, scope: Scope, number: int
) -> tuple[MemberRecord | None, AccountRecord | None, ResultCode]:
    """The member, if it pays for itself and the sender enrolled it, and its current account."""
    member = load_member(scope.state, number)
    if member is None:
        return None, None, ResultCode.UNKNOWN_MEMBER
    if member.organisation != scope.sender.organisation:
        return None, None, ResultCode.NOT_THE_ENROLLER
    if member.payer:
        return None, None, ResultCode.PAID_BY_ANOTHER
    account, code = current_account(registry, scope, number)
    return (None, None, code) if code else (member, account, ResultCode.OK)


def family_bill(registry: Registry, scope: Scope, number: int, plan: int) -> int:
    terms = registry.plan(scope.state, plan)
    return sum(bill(scope.state, terms, one) for _, one in family_of(scope.state, number))


def contribute(registry: Registry, scope: Scope, action: RecordContribution) -> ResultCode:
    """First what the balance is short of, then what removed dependants left unpaid; the rest is paid ahead."""
    number = action.member
    member, account, code = _payer(registry, scope, number)
    if member is None:
        return code
    if account is None:
        paid = family_bill(registry, scope, number, member.plan)
        account = AccountRecord(plan=member.plan, paid_in=paid, own=True)
    scope.emit(
        EventKind.CONTRIBUTION_RECORDED,
        plan=member.plan,
        subject=number,
        organisation=member.organisation,
        value=action.amount,
    )
    credit(registry, scope, number, account, action.amount)
    return ResultCode.OK


def credit(registry: Registry, scope: Scope, number: int, account: AccountRecord, amount: int) -> None:
    """`amount` more counts as paid."""
    was_behind = arrears_of(registry, scope.state, number, account) > 0
    short = max(0, -balance_of(registry, scope.state, number, account))
    repaid = min(account.owed, max(0, amount - short))
    account = replace(account, paid_in=account.paid_in + amount - repaid, owed=account.owed - repaid)
    if short <= amount:
        if account.removal_ms:
            scope.cancel(DeadlineKind.REMOVAL, account.removal_ms, number)
        account = watch(registry, scope, number, replace(account, failures=0, removal_ms=0))
    if was_behind and short <= amount and not account.owed:
        organisation = the_member(scope.state, number).organisation
        scope.emit(EventKind.ARREARS_CLEARED, plan=account.plan, subject=number, organisation=organisation)
        if not account.own:
            close_account(scope, number, account)
            return
    save_account(scope, number, account)


def report(registry: Registry, scope: Scope, action: ReportArrears) -> ResultCode:
    """Once a cycle it counts as a failure; a later report of the same cycle only changes the amount."""
    number = action.member
    member, account, code = _payer(registry, scope, number)
    if member is None:
        return code
    if account is not None and account.own:
        return ResultCode.OWN_BALANCE
    billed = family_bill(registry, scope, number, member.plan)
    settled = settled_cycle(scope.state, member.plan)
    if settled is None or action.amount > billed:
        return ResultCode.MORE_THAN_OWED
    account = account or AccountRecord(plan=member.plan, paid_in=0, own=False)
    account = replace(account, paid_in=billed - action.amount)
    # From the next block on: else another action of this one could find the time over, or not.
    _fail(registry, scope, number, account, settled[0], scope.now_ms + 1, action.amount)
    return ResultCode.OK


def close_balance(registry: Registry, scope: Scope, action: CloseBalance) -> ResultCode:
    number = action.member
    member, account, code = _payer(registry, scope, number)
    if member is None:
        return code
    if account is None or not account.own:
        return ResultCode.NO_BALANCE
    balance = balance_of(registry, scope.state, number, account)
    if balance < 0 or account.owed:
        return ResultCode.IN_ARREARS
    close_account(scope, number, account)
    scope.emit(
        EventKind.BALANCE_CLOSED, plan=member.plan, subject=number, organisation=member.organisation, value=balance
    )
    return ResultCode.OK


def deduction(registry: Registry, scope: Scope, claim: ClaimRecord) -> tuple[int, ResultCode]:
    """What of the claim's payout pays the claimant's own arrears. Dependants have none: the member who pays has."""
    member = the_member(scope.state, claim.member)
    if member.payer or load_account(scope.state, claim.member) is None:
        return 0, ResultCode.OK
    account, code = current_account(registry, scope, claim.member)
    if account is None:
        return 0, code
    return min(claim.payable, arrears_of(registry, scope.state, claim.member, account)), ResultCode.OK


def payable_now(registry: Registry, state: ReadState, claim: ClaimRecord) -> int:
    """What a payment of the claim has to be, or was: less the claimant's arrears as of this state."""
    member = load_member(state, claim.member)
    account = None if claim.deducted or member is None or member.payer else load_account(state, claim.member)
    if claim.status is ClaimStatus.PAID or account is None:
        return claim.payable - claim.deducted
    return claim.payable - min(claim.payable, arrears_of(registry, state, claim.member, account))


def deduct(registry: Registry, scope: Scope, claim: ClaimRecord, amount: int) -> None:
    """Take `amount` of the payout for the arrears: the payment organisation hands it to the member's organisation."""
    account = load_account(scope.state, claim.member) if amount else None
    if account is not None:
        credit(registry, scope, claim.member, account, amount)
