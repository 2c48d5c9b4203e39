"""Balances of members who pay, and how those that run out are found without a scan.

A bill grows by at most its units for each unit that the plan's shares add up to, so a balance lasts at least
until they have grown by balance // units. That sum is the threshold: a key of an ordered table. A settlement
looks only at the rows below what it has reached, works out the exact bills behind them, and puts back those
that still have a balance: caps, and dependants who left, make a bill grow more slowly than its units say.

What a settlement finds is as of that settlement. A transaction that touches a balance looks at it first as
the clock would have (`current_account`), so a backlog never changes an outcome.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.module import Scope
from node.claims.mutual_aid.bills import bill
from node.claims.mutual_aid.records import (
    AccountRecord,
    CycleStatus,
    MemberRecord,
    load_cycle,
    load_plan,
    the_member,
)
from node.claims.registry import Registry
from node.claims.state import ReadState

MAX_DEPENDANTS: Final = 32
_ROW: Final = b"\x90"
"""Value of a threshold row, an empty array: the key says everything."""


def family_of(state: ReadState, number: int) -> list[tuple[int, MemberRecord]]:
    """The member who pays, then its dependants in the order in which they joined, those who left included."""
    payer = the_member(state, number)
    dependants = []
    following = payer.last_dependant
    while following:
        dependant = the_member(state, following)
        dependants.append((following, dependant))
        following = dependant.previous_dependant
    return [(number, payer), *reversed(dependants)]


def balance_of(registry: Registry, state: ReadState, number: int, account: AccountRecord) -> int:
    """What is left of what was paid in; below 0: arrears. Bills are those of settled cycles."""
    plan = registry.plan(state, account.plan)
    return account.paid_in - sum(bill(state, plan, member) for _, member in family_of(state, number))


def arrears_of(registry: Registry, state: ReadState, number: int, account: AccountRecord) -> int:
    """All that is owed, for dependants who were removed as well."""
    return max(0, -balance_of(registry, state, number, account)) + account.owed


def settled_cycle(state: ReadState, plan: int) -> tuple[int, int, int] | None:
    """(number, day, settlement_ms) of the last settled cycle, or None."""
    number = load_plan(state, plan).cycle - 1
    while (cycle := load_cycle(state, plan, number)) is not None:
        if cycle.status is CycleStatus.SETTLED:
            return number, cycle.day, cycle.settlement_ms
        number -= 1
    return None


def clock_behind(scope: Scope, plan: int) -> bool:
    """Whether a disclosure or settlement of the plan is due that the clock has not come to."""
    record = load_plan(scope.state, plan)
    if record.disclosure_ms <= scope.now_ms:
        return True
    cycle = load_cycle(scope.state, plan, record.cycle - 1)
    return cycle is not None and cycle.status is CycleStatus.DISCLOSED and cycle.settlement_ms <= scope.now_ms


def watch(registry: Registry, scope: Scope, number: int, account: AccountRecord) -> AccountRecord:
    """Put the balance, which is not below 0, where the settlement that may use it up finds it."""
    state = scope.state
    settled = settled_cycle(state, account.plan)
    day = settled[1] if settled is not None else 0
    units = sum(
        member.units for _, member in family_of(state, number) if not member.until_day or member.until_day > day
    )
    if not account.own or not units:
        return unwatch(scope, number, account)
    balance = max(0, balance_of(registry, state, number, account))
    return watch_at(scope, number, account, load_plan(state, account.plan).accumulated + balance // units)


def watch_at(scope: Scope, number: int, account: AccountRecord, threshold: int) -> AccountRecord:
    """Look at the account when the plan's shares add up to more than `threshold`."""
    account = unwatch(scope, number, account)
    scope.state.put(keys.threshold(account.plan, threshold, number), _ROW)
    return replace(account, threshold=threshold)


def unwatch(scope: Scope, number: int, account: AccountRecord) -> AccountRecord:
    if account.threshold >= 0:
        scope.state.delete(keys.threshold(account.plan, account.threshold, number))
    return replace(account, threshold=-1)


def save_account(scope: Scope, number: int, account: AccountRecord) -> None:
    scope.state.store(keys.account(number), account)


def close_account(scope: Scope, number: int, account: AccountRecord) -> None:
    """From now on the organisation collects for the member again."""
    unwatch(scope, number, account)
    scope.state.delete(keys.account(number))
