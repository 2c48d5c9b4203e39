"""A member's bill recomputed from records: by whoever has them, with nothing but their contents.

`recompute` reads a state through `get` only. A node records which keys that takes and proves each of them
(`node/proofs.py`); a verifier runs it again on the proven records. So what is shown offline is what was computed
offline, line by line, and a record that is missing or does not follow from the others is an error.
"""

from __future__ import annotations

from typing import Final

from node.claims.genesis import Genesis
from node.claims.member_views import statement_view
from node.claims.money import settle
from node.claims.mutual_aid.bills import cycles_of
from node.claims.mutual_aid.records import CycleRecord, CycleStatus, load_member, the_cycle
from node.claims.registry import Plan, Registry
from node.claims.state import ReadState
from node.claims.words import Json

CYCLES_MAX: Final = 500
"""Of one statement: twenty years of two cycles a month. More would not fit into a proof."""


class CannotFollow(ValueError):
    """The records contradict each other. Says where."""


def recompute(genesis: Genesis, state: ReadState, number: int) -> Json | None:
    """The statement of a member with every share and the whole bill computed anew; None: there is no such member.

    Raises CannotFollow.
    """
    # A registry of its own: it reads the plan from this state, and not from what another one remembers.
    registry = Registry(genesis)
    member = load_member(state, number)
    if member is None:
        return None
    plan = registry.plan(state, member.plan)
    first, stop = cycles_of(state, member)
    if stop - first > CYCLES_MAX:
        raise CannotFollow(f"it has {stop - first} cycles, a proof at most {CYCLES_MAX}")
    before = the_cycle(state, plan.number, first - 1).accumulated if 1 < first < stop else 0
    for index in range(first, stop):
        cycle = the_cycle(state, plan.number, index)
        if cycle.status is CycleStatus.SETTLED:
            _follow(plan, index, cycle)
        if cycle.accumulated != before + cycle.share:
            raise CannotFollow(f"cycle {index}: the shares add up to {before + cycle.share}, not {cycle.accumulated}")
        before = cycle.accumulated
    return statement_view(registry, state, number, member, range(first, max(first, stop)))


def _follow(plan: Plan, index: int, cycle: CycleRecord) -> None:
    """The share of a settled cycle follows from its cases, members, fee, surplus and caps."""
    terms = plan.terms_on(cycle.day).plan
    if terms.version != cycle.version or sum(cycle.units) != cycle.members:
        raise CannotFollow(f"cycle {index}: version or members are not those it was settled with")
    # With a yearly cap the charges of the cohorts are not in the record; what was collected is taken from it.
    capped = terms.costs.year_cap_minor_units > 0
    result = settle(
        payouts=cycle.granted,
        fee_bps=terms.fee_bps,
        surplus=cycle.surplus_before,
        members=cycle.members,
        share_cap=terms.costs.case_cap_minor_units * cycle.cases or None,
        sponsored=bool(terms.costs.sponsor),
    )
    if result.share != cycle.share:
        raise CannotFollow(f"cycle {index}: the share is {result.share}, not {cycle.share}")
    if cycle.collected + cycle.sponsored + cycle.surplus_before != cycle.payouts + cycle.fee + cycle.surplus_after:
        raise CannotFollow(f"cycle {index}: what came in is not what went out")
    if capped:
        return
    expected = (result.collected, result.payouts, result.fee, result.sponsored, result.surplus)
    if expected != (cycle.collected, cycle.payouts, cycle.fee, cycle.sponsored, cycle.surplus_after):
        raise CannotFollow(f"cycle {index}: its amounts do not follow from its cases")
