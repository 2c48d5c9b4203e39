"""Plans' lives, proposals and their events as people and programs read them: JSON-able dicts."""

from __future__ import annotations

from typing import Any, Final

from node.claims.calendar import date_text
from node.claims.events import ClaimsEvent, EventKind
from node.claims.mutual_aid.plan_records import LifeRecord, ProposalKind, ProposalRecord
from node.claims.mutual_aid.plan_transitions import PlanStatus, ProposalStatus
from node.claims.registry import Registry
from node.claims.state import ReadState

Json = dict[str, Any]

PROPOSAL_EVENTS: Final = range(EventKind.PROPOSAL_DRAFTED, EventKind.PROPOSAL_WITHDRAWN + 1)
PLAN_EVENTS: Final = range(EventKind.TERMS_ADOPTED, EventKind.PLAN_SETTLED + 1)
_MS_EVENTS: Final = {
    EventKind.PROPOSAL_OPENED: "ends_ms",
    EventKind.PLAN_SUSPENDED: "until_ms",
    EventKind.PLAN_COVER_ENDED: "claims_until_ms",
}


def word(member: PlanStatus | ProposalStatus | ProposalKind | EventKind) -> str:
    return member.name.lower().replace("_", "-")


def proposal_text(number: int) -> str:
    """Such as "P-000003"."""
    return f"P-{number:06d}"


def plan_event_view(registry: Registry, state: ReadState, event: ClaimsEvent) -> Json | None:
    """The event, if it is about a plan or a proposal."""
    view: Json = {"what": word(event.kind)}
    if event.kind in PROPOSAL_EVENTS:
        view["proposal"] = proposal_text(event.subject)
    elif event.kind in PLAN_EVENTS:
        plan = registry.plan_or_none(state, event.plan)
        view["plan"] = f"plan-{event.plan}" if plan is None else plan.code
    else:
        return None
    if event.organisation >= 0:
        view["organisation"] = registry.names[event.organisation]
    if event.kind in _MS_EVENTS:
        view[_MS_EVENTS[event.kind]] = event.value
    elif event.kind is EventKind.PROPOSAL_VOTED:
        view["approve"] = bool(event.value)
    elif event.kind is EventKind.PLAN_END_ANNOUNCED:
        view["cover_until"] = date_text(event.value)
    elif event.kind is EventKind.PLAN_CLAIMS_OPEN:
        view["count"] = event.value
    elif event.kind is EventKind.PLAN_SETTLED:
        view["refunded_minor_units"] = event.value
    elif event.kind in (EventKind.TERMS_ADOPTED, EventKind.PLAN_OPENED):
        view["version"] = event.subject
        if event.kind is EventKind.TERMS_ADOPTED:
            view["effective_date"] = date_text(event.value)
    return view


def life_view(registry: Registry, life: LifeRecord) -> Json:
    return {
        "status": word(life.status),
        "since_ms": life.changed_ms,
        "until_ms": life.deadline_ms or None,
        "order": life.order.hex() or None,
        "end_announced_ms": life.announced_ms or None,
        "cover_until": date_text(life.closing_day) if life.closing_day else None,
        "claims_until_ms": life.run_off_ms or None,
        "sponsor": registry.names[life.sponsor] if life.sponsor >= 0 else None,
    }


def proposal_view(registry: Registry, number: int, proposal: ProposalRecord, needed: int) -> Json:
    """`needed`: yes votes that adopt."""

    def names(numbers: tuple[int, ...]) -> list[str]:
        return [registry.names[organisation] for organisation in numbers]

    return {
        "id": proposal_text(number),
        "kind": word(proposal.kind),
        "status": word(proposal.status),
        "plan": proposal.code,
        "version": proposal.version or None,
        "proposed_by": registry.names[proposal.proposer],
        "ends_ms": proposal.ends_ms,
        "yes": names(proposal.yes),
        "no": names(proposal.no),
        "votes_needed": needed,
        "sponsors": names(proposal.sponsors),
        "sponsors_agreed": names(proposal.agreed),
        "date": date_text(proposal.day) if proposal.day else None,
    }
