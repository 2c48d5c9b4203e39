"""What the application renders is exactly what the API's document describes: no field more, none less."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from node.api.claims_shapes import (
    ApplicationView,
    ClaimView,
    CycleView,
    EvidenceView,
    MemberView,
    OrganisationView,
    ReceiptView,
    SenderView,
    StatementView,
    TransactionView,
)
from node.api.plan_shapes import PlanView, ProgrammeView
from node.claims.consortium import RecordEvidence
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Reason,
    Review,
)
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Applicant,
    Apply,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.queries import Queries
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, Chain, key_of, new_member, person

PLAN = "critical-illness"


class History:
    """A chain on which one claim was paid, one denied and one is open, and its queries."""

    def __init__(self) -> None:
        self.chain = chain = Chain(evidence={b"proof": "d"}.get)
        self.queries = Queries(chain.genesis)
        chain.do("c", RecordEvidence(evidence=b"proof"))
        members = (new_member(1, key=key_of("m")), new_member(2, payer=-1), new_member(3))
        chain.do("a", Enrol(plan=PLAN, members=members))
        chain.wait(days=95)
        day = chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms) - 1
        for member in (1, 2, 3):
            filing = FileClaim(
                plan=PLAN, member=member, ailment="S01", diagnosis_day=day, accident=False, evidence=person(member)
            )
            assert chain.do("c", filing).code == 0
        self.act(1, Investigate(claim=1, finding=Finding.PASS, report=person(51)))
        self.act(2, Investigate(claim=2, finding=Finding.FAIL, report=person(52), clause="4.1", reason=3))
        self.act(1, Review(claim=1, decision=Decision.ACCEPT))
        self.act(
            2, Review(claim=2, decision=Decision.DENY, clause="4.1", evidence=person(60), reason=Reason.EXCLUDED_CAUSE)
        )
        while the_claim(chain.state, 1).status is not ClaimStatus.SETTLED:
            chain.wait(days=1)
        self.act(1, ConfirmPayment(claim=1, amount=30_000_000, receipt=person(70)))
        chain.wait(days=16)

    def act(self, claim: int, action: Action) -> None:
        chain = self.chain
        assert chain.do(ORGANISATIONS[the_claim(chain.state, claim).assigned], action).code == 0


@pytest.fixture(scope="module")
def history() -> History:
    return History()


def strictly(kind: Any, records: Iterable[Any]) -> list[Any]:
    """Each record as `kind`; and back again it is the same, so no field is missing from the type."""
    found = []
    for record in records:
        assert record is not None
        found.append(msgspec.convert(record, kind, strict=True))
        assert msgspec.to_builtins(found[-1]) == msgspec.to_builtins(record)
    assert found
    return found


def test_claims_in_every_stage(history: History) -> None:
    claims = strictly(ClaimView, history.queries.claims(history.chain.state)["items"])
    assert {claim.status for claim in claims} >= {"paid", "denied"}
    assert any(claim.payment is not None and claim.review is not None for claim in claims)


def test_applications_in_every_status() -> None:
    chain = Chain()
    applicants = tuple(
        Applicant(person=person(number), birth_month=23_885, declaration=person(number), payer=-1 if number == 5 else 0)
        for number in range(1, 6)
    )
    assert chain.do("a", Apply(plan="critical-illness", applicants=applicants)).code == 0
    assert chain.do("a", AcceptApplication(application=1)).code == 0
    assert chain.do("a", RefuseApplication(application=2, clause="2.1", reason=1)).code == 0
    assert chain.do("a", WithdrawApplication(application=3)).code == 0
    queries = Queries(chain.genesis)
    found = strictly(ApplicationView, queries.applications(chain.state)["items"])
    chain.wait(days=31)
    found += strictly(ApplicationView, queries.applications(chain.state)["items"])
    assert {item.status for item in found} == {"applied", "accepted", "refused", "withdrawn", "lapsed"}
    assert any(item.refusal is not None for item in found)
    (member,) = strictly(MemberView, queries.members(chain.state, now_ms=chain.now_ms)["items"])
    assert member.application == "A-000001"


def test_members_and_their_statements(history: History) -> None:
    state, now_ms = history.chain.state, history.chain.now_ms
    members = strictly(MemberView, history.queries.members(state, now_ms=now_ms)["items"])
    assert {member.status for member in members} == {"aided", "active"}
    statements = strictly(StatementView, (history.queries.statement(state, number) for number in (1, 2, 3)))
    assert any(item.running_total not in (None, "0.00") for item in statements[1].items)


def test_plans_cycles_and_totals(history: History) -> None:
    state, queries = history.chain.state, history.queries
    strictly(PlanView, queries.plans(state)["items"])
    cycles = strictly(CycleView, queries.cycles(state, PLAN)["items"])
    assert any(cycle.share not in (None, "0.00") for cycle in cycles)
    assert strictly(ProgrammeView, [queries.programme(state)])[0].claims == 3


def test_organisations_accounts_and_evidence(history: History) -> None:
    state, queries = history.chain.state, history.queries
    strictly(OrganisationView, queries.organisations(state)["items"])
    strictly(SenderView, [queries.account(state, key_of("account a")), queries.account(state, key_of("m"))])
    strictly(EvidenceView, queries.evidence(state)["items"])


def test_receipts_and_transactions(history: History) -> None:
    chain, queries = history.chain, history.queries
    receipts = [receipt for result in chain.results for receipt in (result.clock, *result.receipts)]
    views = strictly(ReceiptView, [queries.receipt(chain.state, receipt) for receipt in receipts])
    assert {event["what"] for view in views for event in view.events} > {"claim-filed", "claim-paid", "cycle-settled"}
    transaction = queries.transaction(chain.transaction("a", Enrol(plan=PLAN, members=(new_member(9),))))
    assert strictly(TransactionView, [transaction])[0].actions[0]["action"] == "enrol"
