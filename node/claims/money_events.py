"""Events of members, applications and money as people and programs read them."""

from __future__ import annotations

from typing import Any, Final

from node.claims.events import ClaimsEvent, EventKind
from node.claims.genesis import PlanTerms
from node.claims.ids import application_text, member_text
from node.claims.money import amount_text
from node.claims.mutual_aid.application_life import APPLICATION_TRANSITIONS
from node.claims.registry import Registry
from node.claims.words import refusal_text

_OF_PLANS: Final = frozenset(
    {
        EventKind.RECEIPT_RECORDED,
        EventKind.SPONSOR_RECEIPT_RECORDED,
        EventKind.MONEY_RECOVERED,
        EventKind.MONEY_WRITTEN_OFF,
    }
)
"""Of a plan's money, and of no member."""
_AMOUNTS: Final = _OF_PLANS | {
    EventKind.CONTRIBUTION_RECORDED,
    EventKind.MEMBER_IN_ARREARS,
    EventKind.BALANCE_CLOSED,
}
_OF_APPLICATIONS: Final = frozenset(what for _, what in APPLICATION_TRANSITIONS)
EVENTS: Final = (
    _AMOUNTS
    | _OF_APPLICATIONS
    | {
        EventKind.MEMBER_MOVED,
        EventKind.KEY_CHANGED,
        EventKind.ARREARS_CLEARED,
        EventKind.MEMBER_REMOVED,
    }
)


def event_fields(registry: Registry, terms: PlanTerms | None, event: ClaimsEvent) -> dict[str, Any]:
    """What an event of EVENTS says beside its name and plan. Without `terms`, amounts are bare minor units."""
    fields: dict[str, Any] = {}
    if event.kind in _OF_APPLICATIONS:
        fields["application"] = application_text(event.subject)
    elif event.kind not in _OF_PLANS:
        fields["member"] = member_text(event.subject)
    if event.organisation >= 0:
        fields["organisation"] = registry.names[event.organisation]
    if event.kind in _AMOUNTS:
        if terms is None:
            fields["amount_minor_units"] = event.value
        else:
            fields |= {"amount": amount_text(event.value, terms.minor_digits), "currency": terms.currency}
    elif event.kind is EventKind.MEMBER_MOVED:
        fields["goes_on"] = member_text(event.value)
    elif event.kind is EventKind.APPLICATION_ACCEPTED:
        fields["member"] = member_text(event.value)
    elif event.kind is EventKind.APPLICATION_REFUSED:
        fields["reason"] = refusal_text(event.value)
    elif event.kind in (EventKind.MEMBER_REMOVED, EventKind.APPLICATIONS_RECORDED):
        fields["count"] = event.value
    return fields
