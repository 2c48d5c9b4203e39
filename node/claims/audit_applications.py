"""The part of the audit that goes over the applications for membership. See audit.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.claims import keys
from node.claims.ids import application_text, member_text
from node.claims.mutual_aid.application_life import APPLICATION_DEADLINE_OF, ApplicationStatus
from node.claims.mutual_aid.application_records import (
    ApplicationRecord,
    application_of,
    load_application,
    load_application_counter,
    load_application_tally,
)
from node.claims.mutual_aid.persons import load_person
from node.claims.mutual_aid.records import load_member
from node.claims.wire import decode_trusted

if TYPE_CHECKING:
    from node.claims.audit import Audit


def audit_applications(audit: Audit) -> None:
    """Every application once: its status, deadline and person, the member it led to, and the counts of each plan."""
    counts = [[0] * (max(ApplicationStatus) + 1) for _ in audit.plans]
    for key, raw in audit.each("applications", keys.APPLICATION):
        number, application = keys.number_of(key), decode_trusted(ApplicationRecord, raw)
        if application.plan >= len(counts):
            audit.found("plan", application_text(number), f"there is no plan {application.plan}")
            continue
        counts[application.plan][application.status] += 1
        _application(audit, number, application)
    last = load_application_counter(audit.state).next_application - 1
    audit.expect("counter", "applications", audit.counts["applications"], last)
    for plan, found in zip(audit.plans, counts, strict=True):
        tally = load_application_tally(audit.state, plan.number)
        audit.expect("tally", f"plan {plan.code}: applications", tuple(found), tally.counts)
    for key, raw in audit.each("members by application", keys.APPLICATION_OF):
        member, number = keys.number_of(key), int(decode_trusted(tuple[int], raw)[0])
        accepted = load_application(audit.state, number)
        if accepted is None or accepted.member != member:
            audit.found("orphan", member_text(member), f"{application_text(number)} led to somebody else")


def _application(audit: Audit, number: int, application: ApplicationRecord) -> None:
    where, status = application_text(number), application.status
    kind = APPLICATION_DEADLINE_OF.get(status)
    if (kind is None) != (application.deadline_ms == 0):
        audit.found("deadline", where, f"{status.name} with the deadline {application.deadline_ms}")
    elif kind is not None and audit.state.get(keys.deadline(application.deadline_ms, kind, number)) is None:
        audit.found("deadline", where, "its deadline is not in the queue")
    if status is ApplicationStatus.APPLIED:
        known = load_person(audit.state, application.plan, application.person)
        if known is None or known.application != number:
            audit.found("person", where, "does not hold the place of its person in the plan")
    if (status is ApplicationStatus.REFUSED) != bool(application.clause and application.reason):
        audit.found("application", where, f"{status.name} with clause {application.clause!r}, {application.reason}")
    if (status is ApplicationStatus.ACCEPTED) != bool(application.member):
        audit.found("application", where, f"{status.name} with the member {application.member}")
    elif application.member:
        _member_of(audit, number, application)


def _member_of(audit: Audit, number: int, application: ApplicationRecord) -> None:
    """The member is the one who applied, and has waited and paid from the day of acceptance."""
    where, member = application_text(number), load_member(audit.state, application.member)
    if member is None or application_of(audit.state, application.member) != number:
        audit.found("application", where, f"{member_text(application.member)} did not come from it")
        return
    today = audit.plans[application.plan].day_of(application.changed_ms)
    audit.expect(
        "application",
        where,
        (application.plan, application.organisation, application.person, application.birth_month, today),
        (member.plan, member.organisation, member.person, member.birth_month, member.enrolled_day),
    )
    audit.expect("application", f"{where}: units", application.units, member.units)


def pending_person(audit: Audit, key: bytes, number: int, where: str) -> None:
    """A person's row names `number` as pending."""
    application = load_application(audit.state, number)
    if (
        application is None
        or application.status is not ApplicationStatus.APPLIED
        or keys.person(application.plan, application.person) != key
    ):
        audit.found("orphan", where, f"{application_text(number)} is not pending, or somebody else's")
