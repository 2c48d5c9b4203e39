"""What a member's shares add up to. Computed when somebody asks, from a few cycles: no ledger is kept per member."""

from __future__ import annotations

from node.claims.calendar import date_of, day_number
from node.claims.mutual_aid.plan_records import load_refund
from node.claims.mutual_aid.records import CycleRecord, MemberRecord, load_plan, the_cycle
from node.claims.registry import Plan
from node.claims.state import ReadState


def first_cycle(state: ReadState, plan: int, day: int, stop: int) -> int:
    """The first cycle disclosed on `day` or later, or `stop`. Cycles 1 to stop - 1 exist, in order of day."""
    low, high = 1, stop
    while low < high:
        middle = (low + high) // 2
        if the_cycle(state, plan, middle).day < day:
            low = middle + 1
        else:
            high = middle
    return low


def cycles_of(state: ReadState, member: MemberRecord) -> tuple[int, int]:
    """(first cycle the member shares in, first one after it left) among the disclosed ones."""
    stop = load_plan(state, member.plan).cycle
    first = first_cycle(state, member.plan, member.share_day, stop)
    return first, first_cycle(state, member.plan, member.until_day, stop) if member.until_day else stop


def bill(state: ReadState, plan: Plan, member: MemberRecord) -> int:
    """All shares of settled cycles so far, caps applied, minor units. Reads O(years + log cycles) records."""
    first, stop = cycles_of(state, member)
    return 0 if first >= stop else charged_through(state, plan, member, first, stop - 1)


def refund_of(state: ReadState, plan: Plan, member: MemberRecord) -> int:
    """What a plan that has ended gave back to the member, minor units: a part of the surplus, and shares paid back."""
    refund = load_refund(state, plan.number)
    if refund is None:
        return 0
    first, stop = cycles_of(state, member)
    part = refund.surplus_per_unit * member.units if first <= refund.cycle < stop else 0
    return part + charged_through(state, plan, member, max(first, refund.first_cycle), min(stop - 1, refund.cycle))


def charged_through(state: ReadState, plan: Plan, member: MemberRecord, first: int, last: int) -> int:
    """Shares of the cycles `first` to `last`, in which the member shares, minor units."""
    total = 0
    while first <= last:
        before = the_cycle(state, plan.number, first - 1).accumulated if first > 1 else 0
        cycle = the_cycle(state, plan.number, first)
        cap = year_cap(plan, cycle)
        end = last
        if plan.versions[0].plan.costs.year_cap_minor_units:
            # Each year has its own cap; after one it goes on with the first cycle of the next.
            following = day_number(date_of(cycle.day)[0] + 1, 1, 1)
            end = first_cycle(state, plan.number, following, last + 1) - 1
        charge = the_cycle(state, plan.number, end).accumulated - before
        total += min(cap, charge) if cap else charge
        first = end + 1
    return total * member.units


def year_cap(plan: Plan, cycle: CycleRecord) -> int:
    """The most that a unit pays in the year in which the cycle was disclosed; 0: no limit."""
    return plan.terms_on(cycle.day).plan.costs.year_cap_minor_units
