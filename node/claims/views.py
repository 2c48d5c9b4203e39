"""Records as people and programs read them: JSON-able dicts. Money is a decimal string, bytes are hex."""

from __future__ import annotations

from typing import Final

from node.claims import money_events
from node.claims.application import Receipt
from node.claims.calendar import date_text
from node.claims.claim_views import life_view, review_view
from node.claims.consortium import EvidenceRecord, OrganisationTally, SenderRecord
from node.claims.event_views import CLAIM_EVENTS, value_view
from node.claims.events import ClaimsEvent, EventKind
from node.claims.evidence import views as evidence_views
from node.claims.genesis import PlanTerms, Tier
from node.claims.ids import claim_text, member_text
from node.claims.jury import event_fields as jury_events
from node.claims.mutual_aid.actions import Finding
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.mutual_aid.application_records import ApplicationTally
from node.claims.mutual_aid.arrears import payable_now
from node.claims.mutual_aid.receipts import cash
from node.claims.mutual_aid.records import (
    ClaimRecord,
    CycleRecord,
    CycleStatus,
    PlanState,
    PlanTally,
    Receivables,
)
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.plain import to_plain
from node.claims.plan_views import plan_event_view
from node.claims.registry import Plan, Registry
from node.claims.results import ResultCode, describe
from node.claims.state import ReadState
from node.claims.transaction import Transaction
from node.claims.words import Json, action_word, money, organisation_name, reason_text, word

TIERS: Final = tuple(Tier)
_CYCLE_EVENTS: Final = range(50, 60)
_SETTLED: Final = frozenset({ClaimStatus.SETTLED, ClaimStatus.PAYMENT_STAYED, ClaimStatus.PAID})


def claim_view(registry: Registry, state: ReadState, number: int, claim: ClaimRecord) -> Json:
    terms = registry.plan(state, claim.plan).terms_on(claim.diagnosis_day)
    ailment = terms.ailments[claim.ailment]
    return {
        "id": claim_text(number),
        "plan": terms.plan.code,
        "plan_version": claim.version,
        "member": member_text(claim.member),
        "status": word(claim.status),
        "ailment": {"code": ailment.code, "name": ailment.name, "tier": TIERS[claim.tier - 1].value},
        "diagnosis_date": date_text(claim.diagnosis_day),
        "accident": claim.accident,
        "currency": terms.plan.currency,
        "claimed": money(terms.plan, claim.claimed),
        "amount": money(terms.plan, claim.amount) if claim.amount else None,
        "payable": money(terms.plan, payable_now(registry, state, claim)) if claim.status in _SETTLED else None,
        "deducted": money(terms.plan, claim.deducted) if claim.deducted else None,
        "evidence": claim.evidence.hex(),
        "filed_ms": claim.filed_ms,
        "filed_by": organisation_name(registry, claim.filer) or "member",
        "changed_ms": claim.changed_ms,
        "assigned": organisation_name(registry, claim.assigned),
        "passed_on": claim.attempt,
        "deadline_ms": claim.deadline_ms or None,
        "investigation": _investigation_view(registry, claim),
        "review": review_view(registry, terms, claim.reviews[-1]) if claim.reviews else None,
        "denial": _denial_view(claim),
        "cycle": claim.cycle or None,
        "payment": None
        if claim.payer < 0
        else {"organisation": registry.names[claim.payer], "receipt": claim.receipt.hex()},
        "previous_claim": claim_text(claim.previous) if claim.previous else None,
        **life_view(registry, state, terms, number, claim),
    }


def _investigation_view(registry: Registry, claim: ClaimRecord) -> Json | None:
    if claim.investigator < 0:
        return None
    return {
        "organisation": registry.names[claim.investigator],
        "finding": word(Finding(claim.finding)),
        "report": claim.report.hex(),
        "clause": claim.finding_clause or None,
        "reason": reason_text(claim.finding_reason),
    }


def _denial_view(claim: ClaimRecord) -> Json | None:
    """Why nothing is paid, whoever decided it: reviewers, the arbiter of an objection, or a court."""
    if not claim.reason or claim.amount:
        return None
    return {
        "clause": claim.clause or None,
        "evidence": claim.grounds.hex() or None,
        "reason": reason_text(claim.reason),
    }


def cycle_view(registry: Registry, plan: Plan, number: int, cycle: CycleRecord) -> Json:
    terms = plan.terms_on(cycle.day).plan
    settled = cycle.status is CycleStatus.SETTLED
    return {
        "plan": plan.code,
        "cycle": number,
        "status": word(cycle.status),
        "plan_version": cycle.version,
        "disclosure_ms": cycle.disclosure_ms,
        "disclosure_date": date_text(cycle.day),
        "settlement_ms": cycle.settlement_ms,
        "members": cycle.members,
        "members_of": {name: count for name, count in zip(registry.names, cycle.units, strict=True) if count},
        "currency": terms.currency,
        "cases": cycle.cases,
        "granted": money(terms, cycle.granted),
        "payouts": money(terms, cycle.payouts),
        "fee": money(terms, cycle.fee),
        "surplus_before": money(terms, cycle.surplus_before),
        "surplus_after": money(terms, cycle.surplus_after) if settled else None,
        "share": money(terms, cycle.share) if settled else None,
        "collected": money(terms, cycle.collected),
        "sponsored": money(terms, cycle.sponsored),
    }


def plan_totals_view(
    registry: Registry,
    terms: PlanTerms,
    record: PlanState,
    tally: PlanTally,
    owed: Receivables,
    applications: ApplicationTally,
) -> Json:
    left = {
        name: money(terms, debits - receipts)
        for name, debits, receipts in zip(registry.names, owed.debits, owed.receipts, strict=True)
    }
    return {
        "members_enrolled": tally.members,
        "members_sharing": record.members,
        "members_sharing_of": dict(zip(registry.names, record.units, strict=True)),
        "applications_by_status": {word(status): applications.counts[status] for status in ApplicationStatus},
        "claims": sum(tally.claims),
        "claims_by_status": {word(status): tally.claims[status] for status in ClaimStatus},
        "open_cycle": record.cycle,
        "next_disclosure_ms": record.disclosure_ms,
        "next_settlement_ms": record.settlement_ms,
        "currency": terms.currency,
        "shared": money(terms, record.debits),
        "settled": money(terms, record.payouts),
        "fees": money(terms, record.fees),
        "surplus": money(terms, record.surplus),
        "payable": money(terms, record.payable),
        "paid": money(terms, record.paid),
        "confirmed": money(terms, record.confirmed_amount),
        "share_since_start": money(terms, record.accumulated),
        "sponsored": money(terms, record.sponsored),
        "sponsor_receipts": money(terms, record.sponsor_receipts),
        "receipts": money(terms, record.receipts),
        "receivable_of": left,
        "recovered": money(terms, record.clawback),
        "to_recover": money(terms, record.receivable_back),
        "written_off": money(terms, record.written_off),
        "cash": money(terms, cash(record)),
    }


def terms_view(plan: Plan, day: int) -> Json:
    """The version in force on `day`, with its tables, and which versions there are."""
    view: Json = to_plain(plan.terms_on(day).plan)
    view["number"] = plan.number
    view["versions"] = [terms.plan.version for terms in plan.versions]
    return view


def organisation_view(registry: Registry, number: int, tally: OrganisationTally) -> Json:
    organisation = registry.genesis.organisations[number]
    return {"number": number, **to_plain(organisation), **to_plain(tally)}


def sender_view(registry: Registry, public_key: bytes, record: SenderRecord) -> Json:
    return {
        "key": public_key.hex(),
        "organisation": registry.names[record.organisation],
        "member": member_text(record.member) if record.member else None,
        "highest_sequence": record.highest,
        "next_sequence": record.highest + 1,
    }


def evidence_view(registry: Registry, digest: bytes, record: EvidenceRecord) -> Json:
    return {
        "digest": digest.hex(),
        "organisation": registry.names[record.organisation],
        "height": record.height,
        "evidence": record.evidence.hex(),
    }


def event_view(registry: Registry, state: ReadState, event: ClaimsEvent) -> Json:
    """An event of the stream; `what` is such as "claim-filed".

    Of a plan the `state` only knows code and currency, which no version changes. A state that does not have the
    plan at all, as a genesis has not one that was adopted later, gives its number and bare minor units.
    """
    if (of_plan := plan_event_view(registry, state, event)) is not None:
        return of_plan
    view: Json = {"what": word(event.kind)}
    if event.kind is EventKind.EVIDENCE_RECORDED:
        return view | {"organisation": registry.names[event.organisation], "height": event.value}
    if event.kind is EventKind.JURY_KEYS_REGISTERED:
        return view | {"organisation": registry.names[event.organisation]}
    if event.kind in evidence_views.EVENTS:
        return view | evidence_views.event_fields(registry, event)
    plan = registry.plan_or_none(state, event.plan)
    terms = None if plan is None else plan.versions[0].plan
    view["plan"] = f"plan-{event.plan}" if plan is None else plan.code
    if event.kind in money_events.EVENTS:
        return view | money_events.event_fields(registry, terms, event)
    if event.kind in jury_events.EVENTS:
        return view | jury_events.event_fields(registry, terms, event)
    if event.kind in _CYCLE_EVENTS:
        view["cycle"] = event.subject
    elif event.kind in CLAIM_EVENTS:
        view["claim"] = claim_text(event.subject)
    elif event.subject:
        view["member"] = member_text(event.subject)
    if event.organisation >= 0:
        view["organisation"] = registry.names[event.organisation]
    meant = value_view(registry, terms, event)
    return view | ({"count": event.value} if meant is None else meant)


def receipt_view(registry: Registry, state: ReadState, receipt: Receipt) -> Json:
    try:
        result = ResultCode(receipt.code).name.lower().replace("_", "-")
    except ValueError:
        result = "unknown"
    return {
        "transaction": receipt.transaction.hex() or None,
        "code": receipt.code,
        "result": result,
        "description": describe(receipt.code),
        "detail": receipt.detail,
        "events": [event_view(registry, state, event) for event in receipt.events],
    }


def transaction_view(transaction: Transaction) -> Json:
    return {
        "id": transaction.id.hex(),
        "sender": transaction.sender.hex(),
        "sequence": transaction.sequence,
        "valid_until_ms": transaction.valid_until_ms,
        "actions": [{"action": action_word(type(action)), **to_plain(action)} for action in transaction.actions],
        "signature": transaction.signature.hex(),
    }
