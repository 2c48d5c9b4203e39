"""What a claim's record says about its life beyond the main road: papers, objections, stays, refusal, clawback.

Written so that whoever is concerned sees why, what can be done next, by whom and until when.
"""

from __future__ import annotations

from functools import cache

from node.claims.ids import claim_text, member_text
from node.claims.mutual_aid.actions import Decision, Extension, Reason
from node.claims.mutual_aid.records import ClaimRecord, ReviewNote, load_clawback
from node.claims.mutual_aid.rows import ROWS, moves, who
from node.claims.mutual_aid.transitions import DEADLINE_OUTCOMES, STAYS, ClaimStatus
from node.claims.registry import Registry, Terms
from node.claims.state import ReadState
from node.claims.words import Json, action_word, money, organisation_name, papers_text, reason_text, word

_REFUSED = (ClaimStatus.DENIED, ClaimStatus.CLOSED_DENIED)


def life_view(registry: Registry, state: ReadState, terms: Terms, number: int, claim: ClaimRecord) -> Json:
    return {
        "intake": _intake_view(registry, claim),
        "extension": word(Extension(claim.extended)) if claim.extended else None,
        "duplicate": _duplicate_view(claim),
        "conflicted": [registry.names[organisation] for organisation in claim.conflicted],
        "reviews": [review_view(registry, terms, review) for review in claim.reviews],
        "objection": _objection_view(registry, claim),
        "stay": _stay_view(claim),
        "refusal": _refusal_view(registry, terms, claim),
        "reopened": claim.reopened,
        "clawback": _clawback_view(registry, state, terms, number) if claim.clawbacks else None,
        "next": next_steps(claim.status),
        "if_late": [word(event) for event in DEADLINE_OUTCOMES.get(claim.status, ())],
    }


@cache
def next_steps(status: ClaimStatus) -> list[Json]:
    """What can be done in this status, and who may: {"action", "who"}, in the order of the rulebook."""
    steps: list[Json] = []
    for row in ROWS:
        moved = any(source is status and event in row.events for source, event, _ in moves(row))
        if row.actions and (status in row.at if row.at else moved):
            steps.append(
                {"step": row.title, "actions": [action_word(kind) for kind in row.actions], "who": [*who(row)]}
            )
    return steps


def review_view(registry: Registry, terms: Terms, review: ReviewNote) -> Json:
    return {
        "organisation": registry.names[review.organisation],
        "decision": word(Decision(review.decision)),
        "amount": money(terms.plan, review.amount) if review.amount else None,
        "clause": review.clause or None,
        "evidence": review.evidence.hex() or None,
        "reason": reason_text(review.reason),
    }


def clause_title(terms: Terms, number: str) -> str | None:
    return next((clause.title for clause in terms.plan.clauses if clause.number == number), None)


def _intake_view(registry: Registry, claim: ClaimRecord) -> Json | None:
    if claim.intake < 0:
        return None
    return {"organisation": registry.names[claim.intake], "missing": papers_text(claim.missing)}


def _duplicate_view(claim: ClaimRecord) -> Json | None:
    if not claim.duplicate:
        return None
    return {"earlier_claim": claim_text(claim.duplicate), "explanation": claim.explanation.hex() or None}


def _objection_view(registry: Registry, claim: ClaimRecord) -> Json | None:
    if not claim.objections:
        return None
    return {
        "count": claim.objections,
        "by": member_text(claim.objector),
        "evidence": claim.objection.hex(),
        "decided_by": organisation_name(registry, claim.arbiter),
    }


def _stay_view(claim: ClaimRecord) -> Json | None:
    if not claim.order:
        return None
    stayed = claim.status in STAYS
    return {
        "order": claim.order.hex(),
        "goes_on_as": word(ClaimStatus(claim.stayed_from)) if claim.stayed_from else None,
        "until_ms": claim.deadline_ms if stayed else None,
    }


def _refusal_view(registry: Registry, terms: Terms, claim: ClaimRecord) -> Json | None:
    """Everything a refused member needs: who, why, and until when it may ask for a jury."""
    if claim.status not in _REFUSED:
        return None
    stage, organisation = _refused_by(claim)
    return {
        "stage": stage,
        "organisation": organisation_name(registry, organisation),
        "clause": claim.clause or None,
        "clause_title": clause_title(terms, claim.clause),
        "reason": reason_text(claim.reason),
        "evidence": claim.grounds.hex() or None,
        "final": claim.status is ClaimStatus.CLOSED_DENIED,
        "jury_until_ms": claim.deadline_ms or None,
    }


def _refused_by(claim: ClaimRecord) -> tuple[str, int]:
    if claim.reason == Reason.COURT_ORDER.value:
        return "court", -1
    if claim.investigator < 0:
        return "hold", claim.reviewer
    for review in reversed(claim.reviews):
        if review.decision == Decision.DENY.value and review.evidence == claim.grounds:
            return "review", review.organisation
    return "objection", claim.arbiter


def voters(state: ReadState, number: int, claim: ClaimRecord) -> tuple[int, ...]:
    """Organisations whose vote in a clawback, or whose receipt of the money, is still to come."""
    record = load_clawback(state, number) if claim.clawbacks else None
    if record is None:
        return ()
    if claim.status is ClaimStatus.CLAWBACK_OPEN:
        voted = (*record.upholds, *record.drops)
        return tuple(organisation for organisation in record.panel if organisation not in voted)
    return (claim.payer,) if claim.status is ClaimStatus.CLAWBACK_UPHELD else ()


def _clawback_view(registry: Registry, state: ReadState, terms: Terms, number: int) -> Json | None:
    record = load_clawback(state, number)
    if record is None:
        return None
    names = registry.names
    return {
        "opened_by": names[record.opener],
        "opened_ms": record.opened_ms,
        "report": record.report.hex(),
        "clause": record.clause,
        "clause_title": clause_title(terms, record.clause),
        "reason": reason_text(record.reason),
        "answer": record.answer.hex() or None,
        "answer_until_ms": record.hearing_ms,
        "panel": [names[organisation] for organisation in record.panel],
        "quorum": record.quorum,
        "uphold": [names[organisation] for organisation in record.upholds],
        "drop": [names[organisation] for organisation in record.drops],
        "write_off": [names[organisation] for organisation in record.write_offs],
        "demanded": money(terms.plan, record.amount) if record.amount else None,
        "recovered": money(terms.plan, record.recovered) if record.amount else None,
        "receipts": [receipt.hex() for receipt in record.receipts],
    }
