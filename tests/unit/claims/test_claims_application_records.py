"""Applications beside what else there is: the life of the plan, the audit, the queries."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.audit import Audit
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Apply,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.mutual_aid.plan_actions import PlanChange, SuspendPlan
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.wire import encode
from tests.factories import person
from tests.plan_steps import chain_with, live, propose, today
from tests.unit.claims.application_desk import (
    CODE,
    GROUNDS,
    OTHER,
    applicant,
    applied,
    is_sound,
    pending,
    row,
    run,
)

# The plan.


def test_a_plan_that_takes_nobody_accepts_nobody_and_lets_applications_end() -> None:
    chain = chain_with()
    applied(21, 22, 23, 24, chain=chain)
    assert run(chain, "c", SuspendPlan(plan=CODE, order=person(1), days=20)) is ResultCode.OK
    assert run(chain, "a", Apply(plan=CODE, applicants=(applicant(25),))) is ResultCode.PLAN_TAKES_NO_MEMBERS
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.PLAN_TAKES_NO_MEMBERS
    assert run(chain, "a", RefuseApplication(application=2, **GROUNDS)) is ResultCode.OK  # type: ignore[arg-type]
    assert run(chain, "a", WithdrawApplication(application=3)) is ResultCode.OK
    # The suspension is over in time for one of the others; the last one has lapsed.
    chain.wait(days=21)
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.OK
    chain.wait(days=10)
    assert pending(chain, 4).status is ApplicationStatus.LAPSED
    assert is_sound(chain)


@pytest.mark.parametrize("change", [PlanChange.CLOSE, PlanChange.WIND_DOWN])
def test_a_plan_that_closes_or_ends_accepts_nobody_any_more(change: PlanChange) -> None:
    chain = chain_with()
    applied(21, chain=chain)
    sponsor = "b" if change is PlanChange.WIND_DOWN else ""
    closing_day = today(chain) + 8 if sponsor else 0
    assert propose(chain, change, sponsor=sponsor, closing_day=closing_day) is ResultCode.OK
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.PLAN_TAKES_NO_MEMBERS
    live(chain, 40)
    assert pending(chain).status is ApplicationStatus.LAPSED
    assert row(chain, 21) is None
    assert is_sound(chain)


def test_the_audit_finds_an_application_that_does_not_agree_with_what_it_led_to() -> None:
    chain = applied(1, 2, 3)
    chain.do("a", AcceptApplication(application=2))
    waits, accepted = pending(chain, 1), pending(chain, 2)

    def findings(key: bytes, record: object) -> list[str]:
        before = chain.state.get(key)
        assert before is not None
        chain.state.put(key, encode(record))
        found = [finding.what for finding in Audit(chain.genesis, chain.state).run()]
        chain.state.put(key, before)
        return found

    lapsed = replace(waits, status=ApplicationStatus.LAPSED, deadline_ms=0)
    assert findings(keys.application(1), lapsed) == ["tally", "orphan", "orphan"]
    assert findings(keys.application(1), replace(waits, deadline_ms=1)) == ["deadline", "orphan"]
    assert findings(keys.application(1), replace(waits, person=person(9))) == ["person", "orphan"]
    assert findings(keys.application(2), replace(accepted, units=9)) == ["application"]
    assert findings(keys.application(2), replace(accepted, member=9)) == ["application", "orphan"]
    assert findings(keys.application_of(1), (3,)) == ["application", "orphan"]
    assert findings(keys.application_counter, (9,)) == ["counter"]
    assert findings(keys.application_tally(0), ((0, 2, 0, 1, 0, 0),)) == ["tally"]
    assert findings(keys.person(0, person(1)), (0, 3)) == ["person", "orphan"]
    assert is_sound(chain)


def test_queries_list_applications_by_plan_enroller_and_status() -> None:
    chain = applied(1, 2, 3)
    applied(4, chain=chain, by="b", code=OTHER)
    chain.do("a", AcceptApplication(application=2))
    queries = Queries(chain.genesis)

    def ids(**filters: str) -> list[str]:
        return [item["id"] for item in queries.applications(chain.state, **filters)["items"]]  # type: ignore[arg-type]

    assert ids() == ["A-000001", "A-000002", "A-000003", "A-000004"]
    assert ids(status="applied") == ["A-000001", "A-000003", "A-000004"]
    assert ids(status="accepted") == ["A-000002"]
    assert ids(organisation="b") == ids(plan=OTHER) == ["A-000004"]
    page = queries.applications(chain.state, status="applied", limit=1)
    rest = queries.applications(chain.state, status="applied", cursor=page["next"])
    assert [item["id"] for item in rest["items"]] == ["A-000003", "A-000004"]
    member = queries.member(chain.state, 1, chain.now_ms)
    assert member is not None
    assert member["application"] == "A-000002"
    record = queries.plan(chain.state, CODE)
    assert record is not None
    totals = record["totals"]["applications_by_status"]
    assert totals == {"applied": 2, "accepted": 1, "refused": 0, "withdrawn": 0, "lapsed": 0}
