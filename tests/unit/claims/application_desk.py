"""People who apply, and what an enroller does about it: for the tests of applications."""

from __future__ import annotations

from node.claims.audit import Audit
from node.claims.calendar import month_index
from node.claims.mutual_aid.application_actions import (
    Applicant,
    Apply,
    RefusalReason,
)
from node.claims.mutual_aid.application_records import (
    ApplicationRecord,
    the_application,
)
from node.claims.mutual_aid.persons import PersonRow, load_person
from node.claims.results import ResultCode
from node.claims.transaction import Action
from tests.factories import Chain, person

CODE, OTHER = "critical-illness", "hospital-reimbursement"
DAYS = 30
"""Until an application lapses, in the plans of configs/."""
GROUNDS = {"clause": "2.1", "reason": RefusalReason.HEALTH_CONDITION.value}


def applicant(number: int, *, birth_year: int = 1990, payer: int = 0, units: int = 1) -> Applicant:
    return Applicant(
        person=person(number),
        birth_month=month_index(birth_year, 6),
        declaration=person(1_000 + number),
        payer=payer,
        units=units,
    )


def run(chain: Chain, sender: str, action: Action) -> ResultCode:
    return ResultCode(chain.do(sender, action).code)


def applied(*numbers: int, chain: Chain | None = None, by: str = "a", code: str = CODE) -> Chain:
    """A chain on which these people have applied."""
    chain = Chain() if chain is None else chain
    action = Apply(plan=code, applicants=tuple(applicant(number) for number in numbers))
    assert run(chain, by, action) is ResultCode.OK
    return chain


def pending(chain: Chain, number: int = 1) -> ApplicationRecord:
    return the_application(chain.state, number)


def row(chain: Chain, number: int = 1, plan_number: int = 0) -> PersonRow | None:
    return load_person(chain.state, plan_number, person(number))


def is_sound(chain: Chain) -> bool:
    return Audit(chain.genesis, chain.state).run() == []
