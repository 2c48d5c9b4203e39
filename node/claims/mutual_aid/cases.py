"""The cases of a cycle: confirmed claims, until each is told what its settlement gave it.

One row each, so that a settlement that is short of money finds them; all others look at no row.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.module import Scope
from node.claims.money import pro_rata
from node.claims.mutual_aid.records import CaseRow, ClaimRecord, load_plan, save_plan
from node.claims.wire import decode_trusted, encode


def add_case(scope: Scope, number: int, claim: ClaimRecord) -> None:
    """The claim is confirmed: its amount is part of the next settlement."""
    record = load_plan(scope.state, claim.plan)
    confirmed = replace(
        record,
        confirmed_amount=record.confirmed_amount + claim.amount,
        confirmed_cases=record.confirmed_cases + 1,
    )
    save_plan(scope, claim.plan, confirmed)
    scope.state.put(keys.case(claim.plan, number), encode(CaseRow(granted=claim.amount)))


def drop_case(scope: Scope, number: int, claim: ClaimRecord) -> None:
    """A confirmed claim leaves its cycle before the settlement."""
    record = load_plan(scope.state, claim.plan)
    left = replace(
        record,
        confirmed_amount=record.confirmed_amount - claim.amount,
        confirmed_cases=record.confirmed_cases - 1,
    )
    save_plan(scope, claim.plan, left)
    scope.state.delete(keys.case(claim.plan, number))


def close_case(scope: Scope, number: int, claim: ClaimRecord) -> int:
    """What the settlement gave the claim. Its row is removed."""
    key = keys.case(claim.plan, number)
    raw = scope.state.get(key)
    if raw is None:
        return claim.amount
    scope.state.delete(key)
    row = decode_trusted(CaseRow, raw)
    return row.granted if row.payable < 0 else row.payable


def reduce_cases(scope: Scope, plan: int, payouts: int) -> None:
    """Share `payouts` among the cases of the cycle in proportion to what they were granted."""
    rows = list(scope.state.scan(*keys.cases(plan)))
    granted = [decode_trusted(CaseRow, raw).granted for _, raw in rows]
    # Keys are in order of claim numbers, and ties go to the lower one.
    for (key, _), amount, part in zip(rows, granted, pro_rata(payouts, granted), strict=True):
        scope.state.put(key, encode(CaseRow(granted=amount, payable=part)))
