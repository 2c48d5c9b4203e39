"""Answers about the state: shapes, filters, pages, and hostile input."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from node.claims import keys
from node.claims.calendar import date_text
from node.claims.consortium import RecordEvidence
from node.claims.ids import claim_id, claim_text, member_id, member_text
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
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.paging import LIMIT_MAX, BadQuery
from node.claims.queries import Queries
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, Chain, key_of, new_member, person

CODE = "critical-illness"
HOSPITAL = "hospital-reimbursement"


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Six members and claims in every final and several open statuses."""
    chain = Chain(evidence={b"proof": "d"}.get)
    members = (new_member(1, key=key_of("m")), new_member(2, payer=-1), new_member(3), new_member(4))
    chain.do("a", Enrol(plan=CODE, members=members))
    chain.do("b", Enrol(plan=HOSPITAL, members=(new_member(1), new_member(2))))
    chain.do("c", RecordEvidence(evidence=b"proof"))
    chain.wait(days=95)
    day = chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms) - 1
    for member in (1, 2, 3):
        evidence = person(member)
        chain.do(
            "c",
            FileClaim(plan=CODE, member=member, ailment="S01", diagnosis_day=day, accident=False, evidence=evidence),
        )
    for amount in (100, 200, 300):
        filing = FileClaim(
            plan=HOSPITAL,
            member=5,
            ailment="H01",
            diagnosis_day=day,
            accident=False,
            evidence=person(amount),
            amount=amount,
        )
        chain.do("a", filing)
    for claim in (1, 2):
        act(chain, claim, Investigate(claim=claim, finding=Finding.PASS, report=person(50 + claim)))
    act(chain, 1, Review(claim=1, decision=Decision.ACCEPT))
    denial = Review(claim=2, decision=Decision.DENY, clause="4.1", evidence=person(60), reason=Reason.EXCLUDED_CAUSE)
    act(chain, 2, denial)
    for _ in range(40):
        if the_claim(chain.state, 1).status is ClaimStatus.SETTLED:
            break
        chain.wait(days=1)
    act(chain, 1, ConfirmPayment(claim=1, amount=30_000_000, receipt=person(70)))
    chain.wait(days=31)
    return chain


def act(chain: Chain, claim: int, action: Action) -> None:
    assert chain.do(ORGANISATIONS[the_claim(chain.state, claim).assigned], action).code == 0


@pytest.fixture(scope="module")
def queries(chain: Chain) -> Queries:
    return Queries(chain.genesis)


def all_pages(ask: Any, **filters: Any) -> list[Any]:
    items: list[Any] = []
    cursor = None
    for _ in range(50):
        page = ask(cursor=cursor, **filters)
        assert len(page["items"]) <= filters.get("limit", 100)
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items
    raise AssertionError("no end")


def test_a_paid_claim_shows_every_step_and_no_personal_data(chain: Chain, queries: Queries) -> None:
    claim = queries.claim(chain.state, 1)
    assert claim is not None
    assert (claim["id"], claim["member"], claim["status"]) == ("C-000001", "M-000001", "paid")
    assert (claim["claimed"], claim["amount"], claim["currency"]) == ("300000.00", "300000.00", "CNY")
    assert claim["ailment"] == {"code": "S01", "name": "Malignant tumour, severe", "tier": "severe"}
    assert claim["investigation"]["finding"] == "pass"
    assert claim["review"]["decision"] == "accept"
    assert claim["review"]["organisation"] != claim["investigation"]["organisation"]
    assert claim["payment"]["receipt"] == person(70).hex()
    assert (claim["deadline_ms"], claim["assigned"]) == (None, None)


def test_a_denial_shows_its_grounds(chain: Chain, queries: Queries) -> None:
    claim = queries.claim(chain.state, 2)
    assert claim is not None
    assert claim["amount"] is None
    assert claim["review"]["decision"] == "deny"
    assert claim["review"]["clause"] == "4.1"
    assert claim["review"]["evidence"] == person(60).hex()
    assert claim["review"]["reason"] == "excluded-cause"


def test_a_member_and_their_statement_agree(chain: Chain, queries: Queries) -> None:
    aided = queries.member(chain.state, 1, chain.now_ms)
    staying = queries.member(chain.state, 3, chain.now_ms)
    statement = queries.statement(chain.state, 3)
    assert aided is not None
    assert staying is not None
    assert statement is not None
    assert (staying["status"], staying["billed"], staying["open_claims"]) == ("active", "81000.00", 1)
    assert (statement["total"], statement["next"]) == ("81000.00", None)
    shared = [item for item in statement["items"] if item["cases"]]
    assert [(item["share"], item["members"], item["payouts"], item["fee"]) for item in shared] == [
        ("81000.00", 4, "300000.00", "24000.00")
    ]
    assert shared[0]["running_total"] == "81000.00"
    assert statement["items"][0]["disclosure_date"] >= staying["cover_from"]
    dependant = queries.member(chain.state, 2, chain.now_ms)
    assert dependant is not None
    assert dependant["pays_through"] == "M-000001"


def test_a_statement_comes_in_pages(chain: Chain, queries: Queries) -> None:
    whole = queries.statement(chain.state, 5)
    assert whole is not None
    assert len(whole["items"]) >= 3
    pages = all_pages(lambda cursor, limit: queries.statement(chain.state, 5, cursor, limit), limit=1)
    assert pages == whole["items"]


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"status": "paid"}, [1]),
        ({"status": "closed-denied"}, [2]),
        ({"status": "filed"}, [4, 5, 6, 3]),
        ({"status": "filed", "plan": CODE}, [3]),
        ({"plan": HOSPITAL}, [4, 5, 6]),
        ({"member": 5}, [6, 5, 4]),
        ({"member": 5, "status": "paid"}, []),
        ({"member": 6}, []),
        ({"member": 999}, []),
        ({"plan": HOSPITAL, "organisation": "a"}, [4, 5, 6]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_claims_by_filter_and_page(
    chain: Chain, queries: Queries, filters: dict[str, Any], numbers: list[int], limit: int
) -> None:
    items = all_pages(lambda **page: queries.claims(chain.state, **page), limit=limit, **filters)
    found = [claim_id(item["id"]) for item in items]
    # Open claims come by deadline, and these have been passed on since.
    assert (sorted(found) if filters.get("status") == "filed" else found) == (
        sorted(numbers) if filters.get("status") == "filed" else numbers
    )


def test_the_worklist_of_each_organisation_is_what_is_assigned_to_it(chain: Chain, queries: Queries) -> None:
    found = {name: all_pages(partial(queries.worklist, chain.state, name), limit=1) for name in ORGANISATIONS}
    for name, items in found.items():
        assert all(item["assigned"] == name for item in items)
        assert [item["deadline_ms"] for item in items] == sorted(item["deadline_ms"] for item in items)
    assert sum(len(items) for items in found.values()) == 4


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"plan": HOSPITAL}, [5, 6]),
        ({"organisation": "a"}, [1, 2, 3, 4]),
        ({"organisation": "a", "plan": HOSPITAL}, []),
    ],
)
def test_members_by_filter_and_page(
    chain: Chain, queries: Queries, filters: dict[str, Any], numbers: list[int]
) -> None:
    items = all_pages(lambda **p: queries.members(chain.state, now_ms=chain.now_ms, **p), limit=2, **filters)
    assert [member_id(item["id"]) for item in items] == numbers


def test_totals_of_a_plan_and_of_the_programme(chain: Chain, queries: Queries) -> None:
    plan = queries.plan(chain.state, CODE)
    assert plan is not None
    totals = plan["totals"]
    assert (totals["shared"], totals["paid"], totals["fees"]) == ("324000.00", "300000.00", "24000.00")
    assert (totals["members_enrolled"], totals["payable"], totals["surplus"]) == (4, "0.00", "0.00")
    programme = queries.programme(chain.state)
    assert (programme["members_enrolled"], programme["claims"]) == (6, 6)
    assert programme["claims_by_status"]["filed"] == 4
    assert sum(programme["claims_by_status"].values()) == 6
    assert [item["code"] for item in queries.plans(chain.state)["items"]] == [CODE, HOSPITAL]
    cycles = all_pages(lambda **p: queries.cycles(chain.state, CODE, **p), limit=3)
    assert [item["cycle"] for item in cycles] == list(range(1, totals["open_cycle"]))
    assert queries.cycle(chain.state, CODE, 1) == cycles[0]


def test_organisations_accounts_and_evidence(chain: Chain, queries: Queries) -> None:
    organisations = queries.organisations(chain.state)["items"]
    assert [item["name"] for item in organisations] == list(ORGANISATIONS)
    assert queries.organisation(chain.state, "a") == organisations[0]
    account = queries.account(chain.state, key_of("m"))
    assert account == {
        "key": key_of("m").hex(),
        "organisation": "a",
        "member": "M-000001",
        "highest_sequence": 0,
        "next_sequence": 1,
    }
    evidence = queries.evidence(chain.state)["items"]
    assert [(item["organisation"], item["evidence"]) for item in evidence] == [("d", b"proof".hex())]


def test_everything_is_json_and_each_receipt_event_and_transaction_has_words(chain: Chain, queries: Queries) -> None:
    words = set()
    for result in chain.results:
        for receipt in (result.clock, *result.receipts):
            view = json.loads(json.dumps(queries.receipt(chain.state, receipt)))
            assert view["description"].endswith(".")
            words |= {event["what"] for event in view["events"]}
    assert {"members-enrolled", "claim-filed", "claim-denied", "claim-paid", "cycle-settled", "member-left"} <= words
    assert {"investigation-missed", "evidence-recorded", "claim-investigated", "claim-published"} <= words
    made = chain.transaction("a", ConfirmPayment(claim=1, amount=2, receipt=person(1)))
    view = queries.transaction(made)
    assert view["actions"] == [{"action": "confirm-payment", "claim": 1, "amount": 2, "receipt": person(1).hex()}]


def test_a_proof_key_is_the_key_of_the_record(chain: Chain, queries: Queries) -> None:
    for key in (
        queries.key_of(chain.state, "claim", 1),
        queries.key_of(chain.state, "member", 1),
        queries.key_of(chain.state, "plan", CODE),
        queries.key_of(chain.state, "cycle", CODE, 1),
        queries.key_of(chain.state, "organisation", "d"),
    ):
        assert chain.state.get(key) is not None
    assert queries.key_of(chain.state, "claim", 1) == keys.claim(1)
    with pytest.raises(BadQuery, match="no proof"):
        queries.key_of(chain.state, "secret", 1)


def test_what_is_not_there_is_none(chain: Chain, queries: Queries) -> None:
    for number in (0, -1, 99, 2**63, 2**70):
        assert queries.claim(chain.state, number) is None
        assert queries.member(chain.state, number, chain.now_ms) is None
        assert queries.statement(chain.state, number) is None
        assert queries.cycle(chain.state, CODE, number) is None
        assert queries.claims(chain.state, member=number)["items"] == []
    assert queries.plan(chain.state, "x") is None
    assert queries.organisation(chain.state, "x") is None
    assert queries.account(chain.state, person(1)) is None
    assert queries.cycle(chain.state, "x", 1) is None


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "lost"},
        {"plan": "x"},
        {"organisation": "x"},
        {"limit": 0},
        {"limit": LIMIT_MAX + 1},
        {"cursor": "-1"},
        {"cursor": "x"},
        {"cursor": "9" * 40},
        {"cursor": "²"},
        {"status": "filed", "cursor": "zz"},
        {"status": "filed", "cursor": "28"},
        {"status": "filed", "cursor": "05" * 100},
        {"member": 5, "cursor": "x"},
    ],
)
def test_a_wrong_filter_cursor_or_limit_says_so(chain: Chain, queries: Queries, filters: dict[str, Any]) -> None:
    with pytest.raises(BadQuery):
        queries.claims(chain.state, **filters)


def test_any_cursor_of_the_right_form_is_harmless(chain: Chain, queries: Queries) -> None:
    state = chain.state
    for cursor in ("0", "1", "99", "9" * 18):
        queries.claims(state, cursor=cursor)
        queries.claims(state, member=5, cursor=cursor)
        queries.members(state, cursor=cursor, now_ms=0)
        queries.cycles(state, CODE, cursor)
        queries.statement(state, 3, cursor)
    assert queries.claims(state, status="filed", cursor="05")["items"]


def test_numbers_are_read_as_people_write_them() -> None:
    assert (member_text(123), claim_text(45)) == ("M-000123", "C-000045")
    assert [member_id(text) for text in ("M-000123", "m-123", " 123 ")] == [123] * 3
    assert claim_id(claim_text(10**9)) == 10**9
    for text in ("", "M-", "C-1", "M-1x", "-1", "M-" + "9" * 19, "M-١"):
        with pytest.raises(ValueError, match="is no member number"):
            member_id(text)
    assert date_text(0) == "1970-01-01"
