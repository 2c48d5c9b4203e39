"""Events as people and programs read them: what the numbers of each kind mean."""

from __future__ import annotations

from typing import Final

from node.claims.calendar import date_text
from node.claims.events import ClaimsEvent, EventKind
from node.claims.genesis import PlanTerms
from node.claims.ids import claim_text, member_text
from node.claims.mutual_aid.actions import Extension, Finding
from node.claims.mutual_aid.transitions import RESUMED, TRANSITIONS
from node.claims.registry import Registry
from node.claims.words import Json, money, papers_text, reason_text, word

CLAIM_EVENTS: Final = frozenset(event for _, event in TRANSITIONS)
"""Their subject is a claim."""
AMOUNT_EVENTS: Final = frozenset(
    {
        EventKind.CLAIM_FILED,
        EventKind.CLAIM_RECEIVED,
        EventKind.CLAIM_ACCEPTED,
        EventKind.CLAIM_CONFIRMED,
        EventKind.CLAIM_SETTLED,
        EventKind.CLAIM_PAID,
        EventKind.CYCLE_SETTLED,
        EventKind.CYCLE_CARRIED,
        EventKind.COURT_GRANTED,
        EventKind.CLAWBACK_UPHELD,
        EventKind.RECOVERY_RECORDED,
        EventKind.CLAIM_RECOVERED,
        EventKind.CLAIM_WRITTEN_OFF,
    }
)
_ORGANISATIONS: Final = {
    EventKind.INVESTIGATION_MISSED: "late",
    EventKind.REVIEW_MISSED: "late",
    EventKind.PAYMENT_MISSED: "late",
    EventKind.INTAKE_MISSED: "late",
    EventKind.HOLD_MISSED: "late",
    EventKind.STEP_RECUSED: "recused",
    EventKind.REVIEW_GIVEN: "reviewer",
    EventKind.HOLD_CLEARED: "reviewer",
    EventKind.CLAIM_REOPENED: "reopened_by",
}
"""The value is an organisation."""
_REASONS: Final = frozenset(
    {
        EventKind.CLAIM_DENIED,
        EventKind.OBJECTION_UPHELD,
        EventKind.COURT_REFUSED,
        EventKind.DENIAL_FINAL,
        EventKind.HOLD_DENIED,
        EventKind.CLAWBACK_OPENED,
    }
)
_CYCLES: Final = frozenset(
    {
        EventKind.CLAIM_PUBLISHED,
        EventKind.CLAIM_CARRIED,
        EventKind.OBJECTION_REFUSED,
        EventKind.OBJECTION_MISSED,
    }
)
_NOTHING: Final = frozenset(
    {
        *RESUMED.values(),
        EventKind.CLAIM_ADMITTED,
        EventKind.CLAIM_RESUBMITTED,
        EventKind.CLAIM_LAPSED,
        EventKind.CLAIM_WITHDRAWN,
        EventKind.CLAWBACK_ANSWERED,
        EventKind.CLAWBACK_EXPIRED,
    }
)
"""Kinds whose value says nothing."""
_VOTES: Final = ("drop", "uphold", "write-off")


def value_view(registry: Registry, terms: PlanTerms | None, event: ClaimsEvent) -> Json | None:
    """What the value of a claim's event means, by name; None for kinds that are not a claim's."""
    kind, value = event.kind, event.value
    if kind in AMOUNT_EVENTS:
        if terms is None:
            return {"amount_minor_units": value}
        return {"amount": money(terms, value), "currency": terms.currency}
    if kind in _ORGANISATIONS:
        return {_ORGANISATIONS[kind]: registry.names[value]}
    if kind in _REASONS:
        return {"reason": reason_text(value)}
    if kind in _CYCLES:
        return {"cycle": value}
    if kind in _NOTHING:
        return {}
    if kind is EventKind.CLAIM_INVESTIGATED:
        return {"finding": word(Finding(value))}
    return _single(kind, value)


def _single(kind: EventKind, value: int) -> Json | None:
    """Of kinds that share their meaning with no other."""
    match kind:
        case EventKind.INVESTIGATION_EXTENDED:
            return {"reason": word(Extension(value))}
        case EventKind.CLAIM_RETURNED:
            return {"missing": papers_text(value)}
        case EventKind.CLAIM_STAYED:
            return {"until_ms": value}
        case EventKind.CLAIM_OBJECTED:
            return {"objector": member_text(value)}
        case EventKind.CLAIM_HELD:
            return {"earlier_claim": claim_text(value)}
        case EventKind.CLAWBACK_VOTED:
            return {"vote": _VOTES[value]}
        case EventKind.CLAWBACK_DROPPED:
            return {"votes": value}
        case EventKind.MEMBER_LEFT:
            return {"cover_until": date_text(value)}
    return None
