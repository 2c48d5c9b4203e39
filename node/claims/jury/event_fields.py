"""Events of juries as people and programs read them: what subject and value are called."""

from __future__ import annotations

from typing import Final

from node.claims.events import ClaimsEvent, EventKind
from node.claims.genesis import PlanTerms
from node.claims.ids import claim_text, member_text
from node.claims.registry import Registry
from node.claims.words import Json, money

EVENTS: Final = range(150, 180)
_VALUES: Final = {
    EventKind.JUROR_ENROLLED: "bank",
    EventKind.EXAM_ISSUED: "questions",
    EventKind.JUROR_QUALIFIED: "correct",
    EventKind.EXAM_FAILED: "correct",
    EventKind.JUROR_SUSPENDED: "reason",
    EventKind.BANK_PUBLISHED: "version",
    EventKind.JURY_REQUESTED: "request",
    EventKind.JURY_VOTE_OPENED: "round",
    EventKind.VOTE_EXTENDED: "round",
    EventKind.REVEAL_OPENED: "round",
    EventKind.DRAW_STARTED: "round",
    EventKind.DEALING_CLOSED: "round",
    EventKind.PANEL_DRAWN: "jurors",
    EventKind.PANEL_REVEAL_OPENED: "round",
    EventKind.VERDICT_FAILED: "round",
    EventKind.JURY_STOPPED: "request",
    EventKind.BALLOTS_CAST: "ballots",
    EventKind.BALLOTS_REVEALED: "ballots",
    EventKind.VERDICT_APPEALED: "round",
}
"""What the value of an event is called; those not here have none."""


def event_fields(registry: Registry, terms: PlanTerms | None, event: ClaimsEvent) -> Json:
    """What to add to the plan: the claim or the juror, who did it, and the value by its name."""
    view: Json = {}
    if event.kind >= EventKind.JURY_REQUESTED:
        view["claim"] = claim_text(event.subject)
    elif event.subject:
        view["member"] = member_text(event.subject)
    if event.organisation >= 0:
        view["organisation"] = registry.names[event.organisation]
    if event.kind is EventKind.JURY_PASSED:
        if terms is None:
            return view | {"amount_minor_units": event.value}
        return view | {"amount": money(terms, event.value), "currency": terms.currency}
    name = _VALUES.get(event.kind)
    return view | ({name: event.value} if name else {})
