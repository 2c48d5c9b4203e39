"""A claim in FHIR R4: valid by the published structure in every status, exact to the cent, and about nobody."""

from __future__ import annotations

import itertools
import json
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from node.api import examples as ex
from node.claims import keys
from node.claims.mutual_aid.actions import Decision, Finding, Reason
from node.claims.mutual_aid.records import ClaimRecord, ReviewNote
from node.claims.mutual_aid.transitions import TRANSITIONS, ClaimStatus
from node.claims.queries import Queries
from node.claims.wire import encode
from node.claims.words import word
from node.fhir.export import BASE, RESOURCE_KINDS, ResourceKind, fhir_bytes, fhir_json
from node.fhir.outcomes import STANDING_OF
from tests.factories import Chain, make_genesis, person
from tests.unit.fhir.r4 import elements, problems

CHAIN = "ab" * 32
GENESIS = make_genesis()
QUERIES = Queries(GENESIS)
STATE = Chain(GENESIS).state
PLANS = {plan["code"]: plan for plan in QUERIES.plans(STATE)["items"]}
FINAL = frozenset(ClaimStatus) - {status for status, _ in TRANSITIONS}


def record(status: ClaimStatus, *, hospital: bool = False, **changes: Any) -> ClaimRecord:
    """A claim that has been through every step, so that every part of a resource is there where its status allows."""
    fields: dict[str, Any] = {
        "plan": int(hospital),
        "version": 1,
        "member": 123,
        "status": status,
        "ailment": "H01" if hospital else "S02",
        "tier": 5 if hospital else 1,
        "diagnosis_day": 20_600,
        "accident": False,
        "filed_ms": 1_764_000_000_000,
        "claimed": 123_456 if hospital else 30_000_000,
        "evidence": person(1),
        "assigned": 1,
        "attempt": 1,
        "deadline_ms": 1_764_864_000_207,
        "previous": 44,
        "filer": 0,
        "investigator": 0,
        "finding": Finding.FAIL,
        "report": person(2),
        "finding_clause": "4.1",
        "finding_reason": Reason.DEFINITION_NOT_MET,
        "reviewer": 1,
        "amount": 100_050 if hospital else 30_000_000,
        "changed_ms": 1_764_000_000_207,
    }
    if status in (ClaimStatus.DENIED, ClaimStatus.CLOSED_DENIED):
        fields |= {"clause": "4.2", "grounds": person(3), "reason": Reason.EVIDENCE_FALSE, "amount": 0}
        fields["reviews"] = (ReviewNote(organisation=1, decision=Decision.ACCEPT),)  # a court, say, saw it otherwise
    if status is ClaimStatus.PAID:
        fields |= {"payer": 3, "receipt": person(4), "cycle": 7, "payable": fields["amount"]}
    return ClaimRecord(**(fields | changes))


def view_of(claim: ClaimRecord) -> dict[str, Any]:
    """As the API answers it."""
    STATE.put(keys.claim(45), encode(claim))
    view = QUERIES.claim(STATE, 45)
    assert view is not None
    return view


def resource(kind: ResourceKind, claim: ClaimRecord) -> tuple[bytes, dict[str, Any]]:
    view = view_of(claim)
    text = fhir_bytes(kind, view, PLANS[view["plan"]], CHAIN)
    return text, json.loads(text, parse_float=Decimal)


CASES = list(itertools.product(RESOURCE_KINDS, STANDING_OF))


def test_every_status_of_a_claim_has_an_entry() -> None:
    missing = set(ClaimStatus) - set(STANDING_OF)
    assert not missing, f"say in node/fhir/outcomes.py how {missing} read in FHIR"


def test_a_final_status_is_neither_queued_nor_partial_and_an_open_one_is_not_cancelled() -> None:
    for status, standing in STANDING_OF.items():
        assert (standing.outcome in ("queued", "partial")) <= (status not in FINAL), status
        assert (standing.status == "cancelled") <= (status in FINAL), status
        assert (standing.benefit == "undecided") <= (status not in FINAL), status


@pytest.mark.parametrize(("kind", "status"), CASES, ids=lambda value: getattr(value, "name", value))
def test_a_claim_in_any_status_is_valid_r4(kind: ResourceKind, status: ClaimStatus) -> None:
    for changes in ({}, {"accident": True, "previous": 0}, {"hospital": True}, {"filer": -1, "investigator": -1}):
        text, document = resource(kind, record(status, **changes))
        assert problems(text, document) == []
        assert document["resourceType"] == kind and document["id"] == "C-000045"
        assert document["outcome"] == STANDING_OF[status].outcome


@pytest.mark.parametrize("kind", RESOURCE_KINDS)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("outcome", "approved"),
        ("outcome", None),
        ("status", "open"),
        ("use", "payment"),
        ("created", "yesterday"),
        ("patient", {"type": "Organization", "identifier": {"value": "x"}}),
        ("decision", {"coding": [{"code": "denied"}]}),
        ("total", []),
        ("id", "C 45"),
    ],
)
def test_the_check_itself_sees_what_is_not_r4(kind: ResourceKind, path: str, value: Any) -> None:
    """`decision` is an element of R5."""
    _, document = resource(kind, record(ClaimStatus.PAID))
    broken = deepcopy(document)
    if value is None:
        del broken[path]
    else:
        broken[path] = value
    assert problems(fhir_json(broken), broken)


def categories(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["category"]["coding"][0]["code"]: entry for entry in document["adjudication"]}


@pytest.mark.parametrize("status", [ClaimStatus.DENIED, ClaimStatus.CLOSED_DENIED])
@pytest.mark.parametrize("kind", RESOURCE_KINDS)
def test_a_refusal_gives_reason_clause_and_evidence_item(kind: ResourceKind, status: ClaimStatus) -> None:
    _, document = resource(kind, record(status))
    entries = categories(document)
    assert entries["benefit"]["amount"] == {"value": Decimal("0.00"), "currency": "CNY"}
    assert entries["benefit"]["reason"]["coding"] == [{"system": f"{BASE}/CodeSystem/reason", "code": "evidence-false"}]
    (clause,) = entries["denial-clause"]["reason"]["coding"]
    assert clause["code"] == "4.2" and clause["system"].endswith("/plans/critical-illness/versions/1/clauses")
    assert entries["denial-evidence"]["reason"]["coding"][0]["code"] == person(3).hex()
    assert [note["text"] for note in document["processNote"]] == [
        f"claim-{word(status)}",
        "passed-on",
        "denied-evidence-false",
    ]
    assert document["outcome"] == "complete" and "payment" not in document


@pytest.mark.parametrize("kind", RESOURCE_KINDS)
def test_a_paid_claim_has_amounts_to_the_last_digit_and_the_receipt(kind: ResourceKind) -> None:
    text, document = resource(kind, record(ClaimStatus.PAID, hospital=True))
    assert b'"value":1234.56' in text and b'"value":1000.50' in text
    assert document["payment"]["amount"] == {"value": Decimal("1000.50"), "currency": "EUR"}
    assert document["payment"]["date"] == "2025-11-24"
    assert document["payment"]["identifier"]["value"] == person(4).hex()
    totals = {total["category"]["coding"][0]["code"]: total["amount"]["value"] for total in document["total"]}
    assert totals == {"submitted": Decimal("1234.56"), "benefit": Decimal("1000.50")}


@pytest.mark.parametrize(
    ("payable", "deducted", "reasons"),
    [
        (29_000_000, 0, ["shortfall"]),
        (30_000_000, 1_000_000, ["arrears"]),
        (29_500_000, 500_000, ["shortfall", "arrears"]),
    ],
)
def test_less_than_was_granted_is_paid_with_a_reason_for_the_difference(
    payable: int, deducted: int, reasons: list[str]
) -> None:
    text, document = resource("ExplanationOfBenefit", record(ClaimStatus.PAID, payable=payable, deducted=deducted))
    assert problems(text, document) == []
    payment = document["payment"]
    assert payment["amount"]["value"] == Decimal("290000.00")
    assert payment["adjustment"]["value"] == Decimal("-10000.00")
    assert [coding["code"] for coding in payment["adjustmentReason"]["coding"]] == reasons
    assert document["total"][1]["amount"]["value"] == Decimal("300000.00")


@pytest.mark.parametrize(
    "status", [s for s, standing in STANDING_OF.items() if standing.benefit == "undecided"], ids=word
)
def test_nothing_is_said_about_a_benefit_before_it_is_decided(status: ClaimStatus) -> None:
    _, document = resource("ClaimResponse", record(status))
    assert "benefit" not in categories(document) and len(document["total"]) == 1


def test_missing_papers_are_an_error_in_the_sense_of_fhir() -> None:
    _, document = resource("ClaimResponse", record(ClaimStatus.RETURNED))
    assert document["outcome"] == "error" and document["error"][0]["code"]["coding"][0]["code"] == "papers-missing"


def test_a_withdrawn_claim_is_cancelled_and_pays_nothing() -> None:
    _, document = resource("ExplanationOfBenefit", record(ClaimStatus.WITHDRAWN))
    assert document["status"] == "cancelled"
    assert categories(document)["benefit"]["amount"]["value"] == 0


@pytest.mark.parametrize(("kind", "status"), CASES, ids=lambda value: getattr(value, "name", value))
def test_every_text_is_an_id_a_code_a_date_or_a_uri_of_the_ledger(kind: ResourceKind, status: ClaimStatus) -> None:
    """No element that R4 has for a person's data or for free text is used, and no name of a disease."""
    _, document = resource(kind, record(status, accident=True))
    for path, value in elements(document):
        leaf = path.rsplit(".", 1)[-1]
        assert leaf not in ("display", "name", "telecom", "address", "birthDate", "gender", "contained", "div"), path
        if isinstance(value, str):
            assert " " not in value, f"{path}: {value!r} looks like text"
    identifiers = [value for path, value in elements(document) if path == "patient.identifier"]
    assert identifiers == [{"system": f"{BASE}/chain/{CHAIN}/members", "value": "M-000123"}]


def test_two_chains_never_share_an_identifier() -> None:
    view = view_of(record(ClaimStatus.PAID))
    texts = [fhir_bytes("ClaimResponse", view, PLANS["critical-illness"], chain) for chain in ("00" * 32, "11" * 32)]
    found = [[e["system"] for e in json.loads(text)["identifier"]] for text in texts]
    assert found[0] != found[1]


def test_the_example_of_the_documents_is_a_part_of_a_real_answer() -> None:
    document = json.loads(fhir_bytes("ClaimResponse", ex.CLAIM, ex.PLAN, ex.HASH))
    assert ex.CLAIM_RESPONSE.items() <= document.items()
