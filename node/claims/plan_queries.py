"""Reading plans' lives, proposals and reports: what the API and the command line say about plans themselves."""

from __future__ import annotations

from node.claims import keys
from node.claims.calendar import parse_date
from node.claims.genesis import PlanTerms
from node.claims.governance import votes_needed
from node.claims.money import amount_text
from node.claims.mutual_aid.plan_records import ProposalRecord, load_governance, load_life, load_proposal
from node.claims.mutual_aid.records import load_plan
from node.claims.plain import to_plain
from node.claims.plan_views import Json, life_view, proposal_view
from node.claims.registry import Plan, Registry
from node.claims.reports import PeriodTooLong, plan_report
from node.claims.state import ReadState
from node.claims.wire import decode_trusted

_END = 2**63


class BadPeriod(ValueError):
    """The days of a report are wrong, or too many. The message says how."""


def lifecycle(registry: Registry, state: ReadState, plan: Plan) -> Json:
    view = life_view(registry, load_life(state, plan.number))
    refunds = load_plan(state, plan.number).refunds
    return {**view, "refunded": amount_text(refunds, plan.versions[0].plan.minor_digits)}


def plan_terms(registry: Registry, state: ReadState, code: str, version: int) -> Json | None:
    """One version of a plan, whether or not it is in force."""
    plan = registry.find(state, code)
    terms = None if plan is None else plan.version(version)
    return None if terms is None else to_plain(terms.plan)


def proposal(registry: Registry, state: ReadState, number: int) -> Json | None:
    """A proposal; while it is open, with the terms proposed."""
    record = load_proposal(state, number) if 0 < number < _END else None
    if record is None:
        return None
    raw = state.get(keys.proposed_terms(number))
    terms = None if raw is None else to_plain(decode_trusted(PlanTerms, raw))
    return {**_view(registry, number, record), "terms": terms}


def proposals(registry: Registry, state: ReadState, before: int, limit: int) -> tuple[list[Json], int | None]:
    """Newest first, from below `before` (0: the newest); and where the next page begins."""
    newest = load_governance(state).next_proposal - 1
    start = min(before - 1, newest) if before else newest
    end = max(0, start - limit)
    items = []
    for number in range(start, end, -1):
        record = load_proposal(state, number)
        if record is not None:
            items.append(_view(registry, number, record))
    return items, end + 1 if end else None


def _view(registry: Registry, number: int, record: ProposalRecord) -> Json:
    return proposal_view(registry, number, record, votes_needed(len(registry.voters)))


def report(registry: Registry, state: ReadState, code: str, first: str, last: str, now_ms: int) -> Json | None:
    """Aggregates of claims filed from `first` to `last`, dates; "" is the last 365 days. Raises BadPeriod."""
    plan = registry.find(state, code)
    if plan is None:
        return None
    try:
        to_day = parse_date(last) if last else plan.day_of(now_ms)
        from_day = parse_date(first) if first else max(0, to_day - 364)
        if from_day > to_day:
            raise BadPeriod("the first day lies after the last")
        return plan_report(registry, state, plan, from_day, to_day)
    except PeriodTooLong as error:
        raise BadPeriod(f"{error}; give a shorter one") from None
    except ValueError as error:
        raise BadPeriod(str(error)) from None
