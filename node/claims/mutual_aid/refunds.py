"""What a plan gives back at its end, in O(cycles and organisations): nobody's record is touched.

Two parts, both parameters of the terms in force when the end was announced. The surplus goes in equal parts to
the units that shared then; what does not divide by them stays in the plan. The shares of the last cycles before
the announcement are paid back by the sponsor. A member's part is computed when somebody asks.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.module import Scope
from node.claims.money import equal_parts
from node.claims.mutual_aid.plan_records import LifeRecord, RefundRecord
from node.claims.mutual_aid.records import CycleStatus, load_plan, save_plan, the_cycle
from node.claims.registry import Plan
from node.claims.wire import encode


def refund(plan: Plan, scope: Scope, life: LifeRecord) -> int:
    """Books and records the refund of a plan that is being settled. Answers its total, minor units."""
    terms = plan.terms_on(plan.day_of(life.announced_ms)).plan.life
    last = life.announced_cycle
    if not last:
        return 0
    record = load_plan(scope.state, plan.number)
    units = the_cycle(scope.state, plan.number, last).units
    members = sum(units)
    per_unit = equal_parts(record.surplus, members)[0] if terms.refund_surplus and members > 0 else 0
    organisations: list[int] = [count * per_unit for count in units]
    from_surplus = sum(organisations)
    first = max(1, last - terms.refund_cycles + 1)
    shares = 0
    for number in range(first, last + 1):
        cycle = the_cycle(scope.state, plan.number, number)
        if cycle.status is CycleStatus.SETTLED:
            shares += cycle.share * cycle.members
            organisations = [so_far + cycle.share * n for so_far, n in zip(organisations, cycle.units, strict=True)]
    if not (from_surplus or shares):
        return 0
    refunded = RefundRecord(
        cycle=last,
        surplus_per_unit=per_unit,
        first_cycle=first,
        shares=shares,
        organisations=tuple(organisations),
    )
    scope.state.put(keys.plan_refund(plan.number), encode(refunded))
    paid = replace(
        record,
        surplus=record.surplus - from_surplus,
        sponsored=record.sponsored + shares,
        refunds=record.refunds + from_surplus + shares,
    )
    save_plan(scope, plan.number, paid)
    return from_surplus + shares
