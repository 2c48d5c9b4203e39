"""Applications for membership as people and programs read them."""

from __future__ import annotations

from node.claims.ids import application_text, member_text
from node.claims.member_views import month_text
from node.claims.mutual_aid.application_records import ApplicationRecord
from node.claims.registry import Registry
from node.claims.state import ReadState
from node.claims.words import Json, refusal_text, word


def application_view(registry: Registry, state: ReadState, number: int, application: ApplicationRecord) -> Json:
    """`deadline_ms` is when it lapses, null once it has ended."""
    later = application.payer_application
    return {
        "id": application_text(number),
        "plan": registry.plan(state, application.plan).code,
        "status": word(application.status),
        "recorded_by": registry.names[application.organisation],
        "person": application.person.hex(),
        "birth_month": month_text(application.birth_month),
        "declaration": application.declaration.hex(),
        "pays_through": member_text(application.payer) if application.payer else None,
        "pays_through_application": application_text(later) if later else None,
        "units": application.units,
        "applied_ms": application.applied_ms,
        "changed_ms": application.changed_ms,
        "deadline_ms": application.deadline_ms or None,
        "member": member_text(application.member) if application.member else None,
        "refusal": _refusal_view(registry, state, application) if application.reason else None,
    }


def _refusal_view(registry: Registry, state: ReadState, application: ApplicationRecord) -> Json:
    """With the title that the clause had on the day of the refusal."""
    plan = registry.plan(state, application.plan)
    clauses = plan.terms_on(plan.day_of(application.changed_ms)).plan.clauses
    return {
        "clause": application.clause,
        "clause_title": next((one.title for one in clauses if one.number == application.clause), None),
        "reason": refusal_text(application.reason),
    }
