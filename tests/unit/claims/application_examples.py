"""One of each action, record and key of applications for membership: for golden bytes and for who may send what."""

from __future__ import annotations

from node.claims import keys
from node.claims.genesis import Role
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Applicant,
    Apply,
    RefusalReason,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.mutual_aid.application_records import ApplicationCounter, ApplicationRecord, ApplicationTally
from node.claims.transaction import Action
from node.claims.wire import Wire
from tests.factories import person

APPLICATION_ACTIONS: tuple[Action, ...] = (
    Apply(
        plan="critical-illness",
        applicants=(
            Applicant(person=person(31), birth_month=23_885, declaration=person(32)),
            Applicant(person=person(33), birth_month=24_000, declaration=person(34), payer=-1, units=2),
        ),
    ),
    AcceptApplication(application=7, key=person(35)),
    RefuseApplication(application=8, clause="2.1", reason=RefusalReason.HEALTH_CONDITION),
    WithdrawApplication(application=9),
)
APPLICATION_MAY: dict[type[Wire], tuple[Role, ...]] = dict.fromkeys(
    (Apply, AcceptApplication, RefuseApplication, WithdrawApplication), (Role.ENROLLER,)
)
APPLICATION_RECORDS: tuple[Wire, ...] = (
    ApplicationRecord(
        plan=0,
        organisation=1,
        person=person(33),
        birth_month=24_000,
        declaration=person(34),
        payer=0,
        payer_application=7,
        units=2,
        status=ApplicationStatus.REFUSED,
        applied_ms=1_776_700_800_000,
        changed_ms=1_776_787_200_000,
        deadline_ms=0,
        clause="2.1",
        reason=1,
    ),
    ApplicationTally(counts=(0, 2, 1, 1, 0, 0)),
    ApplicationCounter(next_application=9),
)
APPLICATION_KEYS: dict[str, bytes] = {
    "application 7": keys.application(7),
    "application of member 1000": keys.application_of(1_000),
    "application tally 0": keys.application_tally(0),
    "application counter": keys.application_counter,
}
