"""The cycle of a plan: disclosure, settlement, and what they mean for each of its claims.

Costs O(cases), never O(members): one share per plan and cycle; a bill is computed when somebody asks.
All times are due times, so a late clock leaves the same records as a punctual one.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.genesis import PlanTerms, Role
from node.claims.module import InvariantBroken, Scope
from node.claims.money import Settlement, settle, settle_by_sponsor
from node.claims.mutual_aid.arrears import begin_sweep
from node.claims.mutual_aid.assignment import assign
from node.claims.mutual_aid.cases import add_case, close_case, reduce_cases
from node.claims.mutual_aid.cohorts import charge_cohorts, disclose_cohorts
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.membership import take_head_counts
from node.claims.mutual_aid.plan_life import watch_membership
from node.claims.mutual_aid.plan_records import load_life
from node.claims.mutual_aid.plan_transitions import SPONSORED, PlanStatus
from node.claims.mutual_aid.records import (
    CycleRecord,
    CycleStatus,
    PlanState,
    load_cohorts,
    load_plan,
    load_receivables,
    load_tally,
    save_cycle,
    save_plan,
    save_receivables,
    the_claim,
    the_cycle,
)
from node.claims.mutual_aid.refusals import terms_of
from node.claims.mutual_aid.steps import step_hours
from node.claims.mutual_aid.transitions import ClaimStatus, DeadlineKind
from node.claims.registry import Registry
from node.claims.types import HOUR_MS


def disclose(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """A plan's disclosure: count who shares as of 00:00 of this day, open the next cycle."""
    plan = registry.plan(scope.state, number)
    record = load_plan(scope.state, number)
    if record.disclosure_ms != due_ms:
        raise InvariantBroken(f"plan {plan.code} discloses at {record.disclosure_ms}, not at {due_ms}")
    if record.cycle > 1 and the_cycle(scope.state, number, record.cycle - 1).accumulated != record.accumulated:
        raise InvariantBroken(f"the shares of plan {plan.code} do not add up to {record.accumulated}")
    day = plan.day_of(due_ms)
    units = take_head_counts(scope, number, day, record.units)
    members = sum(units)
    disclose_cohorts(scope, number, record.cycle, day, units)
    cycle = CycleRecord(
        status=CycleStatus.DISCLOSED,
        version=plan.terms_on(day).plan.version,
        disclosure_ms=due_ms,
        settlement_ms=record.settlement_ms,
        day=day,
        members=members,
        units=units,
        surplus_before=record.surplus,
        accumulated=record.accumulated,
    )
    save_cycle(scope, number, record.cycle, cycle)
    scope.schedule(DeadlineKind.PLAN_SETTLEMENT, record.settlement_ms, number)
    disclosure_ms, settlement_ms = plan.cycle_after(record.disclosure_ms, record.settlement_ms)
    scope.schedule(DeadlineKind.PLAN_DISCLOSURE, disclosure_ms, number)
    scope.emit(EventKind.CYCLE_DISCLOSED, plan=number, subject=record.cycle, value=members)
    opened = replace(
        record,
        cycle=record.cycle + 1,
        disclosure_ms=disclosure_ms,
        settlement_ms=settlement_ms,
        units=units,
        members=members,
    )
    save_plan(scope, number, opened)
    watch_membership(registry, scope, plan, due_ms, members)


def settle_cycle(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """A plan's settlement: share what was confirmed since the last one among the members counted."""
    plan = registry.plan(scope.state, number)
    record = load_plan(scope.state, number)
    # The next cycle is disclosed at the settlement of this one, or later: this is the last one disclosed.
    index = record.cycle - 1
    cycle = the_cycle(scope.state, number, index)
    if cycle.settlement_ms != due_ms or cycle.status is not CycleStatus.DISCLOSED:
        raise InvariantBroken(f"cycle {index} of plan {plan.code} is not due at {due_ms}")
    # Exact here: the claims of the cycle before have left CONFIRMED, and those of this one come after this row.
    if load_tally(scope.state, number).claims[ClaimStatus.CONFIRMED] != record.confirmed_cases:
        raise InvariantBroken(f"plan {plan.code} has other than {record.confirmed_cases} confirmed claims")
    status = load_life(scope.state, number).status
    if record.confirmed_cases and (status is PlanStatus.SUSPENDED or (not cycle.members and status not in SPONSORED)):
        carried = replace(cycle, status=CycleStatus.CARRIED, surplus_after=record.surplus)
        save_cycle(scope, number, index, carried)
        scope.emit(EventKind.CYCLE_CARRIED, plan=number, subject=index, value=record.confirmed_amount)
        return
    if (cycle.accumulated, cycle.members) != (record.accumulated, sum(cycle.units)):
        # Bills are differences of `accumulated`: if it moved since the disclosure, they no longer add up to debits.
        raise InvariantBroken(f"cycle {index} of plan {plan.code} was disclosed at other totals than it is settled")
    terms = plan.terms_on(cycle.day).plan
    result = _share(scope, number, record, cycle, terms, by_sponsor=status in SPONSORED)
    if result.surplus < 0 or (result.share and not result.capped and result.surplus >= cycle.members):
        raise InvariantBroken(f"cycle {index} of plan {plan.code} leaves a surplus of {result.surplus}")
    if result.payouts < record.confirmed_amount:
        reduce_cases(scope, number, result.payouts)
    _charge_organisations(scope, number, cycle, result, terms.costs.year_cap_minor_units)
    settled = replace(
        cycle,
        status=CycleStatus.SETTLED,
        cases=record.confirmed_cases,
        payouts=result.payouts,
        fee=result.fee,
        surplus_before=record.surplus,
        surplus_after=result.surplus,
        share=result.share,
        accumulated=record.accumulated + result.share,
        granted=record.confirmed_amount,
        collected=result.collected,
        sponsored=result.sponsored,
    )
    save_cycle(scope, number, index, settled)
    after = replace(
        record,
        accumulated=record.accumulated + result.share,
        surplus=result.surplus,
        debits=record.debits + result.collected,
        payouts=record.payouts + result.payouts,
        fees=record.fees + result.fee,
        payable=record.payable + result.payouts,
        confirmed_amount=0,
        confirmed_cases=0,
        sponsored=record.sponsored + result.sponsored,
        granted=record.granted + record.confirmed_amount,
    )
    save_plan(scope, number, after)
    scope.emit(EventKind.CYCLE_SETTLED, plan=number, subject=index, value=result.share)
    begin_sweep(scope, number, due_ms)


def _share(
    scope: Scope, number: int, record: PlanState, cycle: CycleRecord, terms: PlanTerms, *, by_sponsor: bool
) -> Settlement:
    """What the cycle costs whom; of a plan that is ending, the sponsor everything."""
    granted, surplus = record.confirmed_amount, record.surplus
    if by_sponsor:
        return settle_by_sponsor(payouts=granted, fee_bps=terms.fee_bps, surplus=surplus)
    cohorts = load_cohorts(scope.state, number)
    return settle(
        payouts=granted,
        fee_bps=terms.fee_bps,
        surplus=surplus,
        members=cycle.members,
        share_cap=terms.costs.case_cap_minor_units * record.confirmed_cases or None,
        cohorts=[(sum(one.units), one.charged) for one in cohorts.cohorts] if cohorts is not None else (),
        year_cap=terms.costs.year_cap_minor_units,
        sponsored=bool(terms.costs.sponsor),
    )


def _charge_organisations(scope: Scope, number: int, cycle: CycleRecord, result: Settlement, year_cap: int) -> None:
    """Each organisation owes the charges of its members, whether it has collected them or not."""
    if not result.share:
        return
    if result.charges:
        owed = charge_cohorts(scope, number, result.charges, year_cap)
    else:
        owed = tuple(units * result.share for units in cycle.units)
    before = load_receivables(scope.state, number)
    debits = tuple(old + new for old, new in zip(before.debits, owed, strict=True))
    save_receivables(scope, number, replace(before, debits=debits))


def publish_claim(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """An accepted claim is shown to all members for the disclosure period."""
    claim = the_claim(scope.state, number)
    hours = registry.plan(scope.state, claim.plan).terms_on(the_cycle(scope.state, claim.plan, claim.cycle).day)
    move(
        scope,
        number,
        claim,
        EventKind.CLAIM_PUBLISHED,
        deadline_ms=due_ms + hours.plan.deadlines.disclosure_hours * HOUR_MS,
        value=claim.cycle,
        at_ms=due_ms,
    )


def confirm_claim(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The disclosure period is over: the claim's amount is part of the cycle."""
    claim = the_claim(scope.state, number)
    cycle = the_cycle(scope.state, claim.plan, claim.cycle)
    if cycle.status is not CycleStatus.DISCLOSED:
        raise InvariantBroken(f"claim {number} is confirmed after cycle {claim.cycle} was settled")
    move(
        scope,
        number,
        claim,
        EventKind.CLAIM_CONFIRMED,
        deadline_ms=cycle.settlement_ms,
        value=claim.amount,
        at_ms=due_ms,
    )
    add_case(scope, number, claim)


def settle_claim(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The claim's cycle is settled: pay it; or it was carried: wait for the next one."""
    claim = the_claim(scope.state, number)
    cycle = the_cycle(scope.state, claim.plan, claim.cycle)
    if cycle.status is CycleStatus.CARRIED:
        # At this time the plan's open cycle is the next one, even if its disclosure falls due right now.
        record = load_plan(scope.state, claim.plan)
        later = claim.cycle + 1
        settlement_ms = (
            record.settlement_ms if record.cycle == later else the_cycle(scope.state, claim.plan, later).settlement_ms
        )
        move(
            scope,
            number,
            claim,
            EventKind.CLAIM_CARRIED,
            deadline_ms=settlement_ms,
            value=later,
            at_ms=due_ms,
            cycle=later,
        )
        return
    if cycle.status is not CycleStatus.SETTLED:
        raise InvariantBroken(f"claim {number} is due before cycle {claim.cycle} of its plan")
    hours = step_hours(terms_of(registry, scope, claim), ClaimStatus.SETTLED)
    payable = close_case(scope, number, claim)
    move(
        scope,
        number,
        claim,
        EventKind.CLAIM_SETTLED,
        deadline_ms=due_ms + hours * HOUR_MS,
        assigned=assign(registry, Role.PAYMENT, number),
        value=payable,
        at_ms=due_ms,
        payable=payable,
    )
