"""What becomes of each resource, and that every one of them is accounted for."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest

from node.claims.calendar import months_old, years_old
from node.claims.registry import Plan
from node.fhir.generate import ndjson
from node.fhir.identity import ImportSecret
from node.fhir.judge import Judge, Known, Moved, Record, Timeline, Today
from node.fhir.mapping import shipped
from node.fhir.reading import pieces
from node.fhir.reasons import REASONS
from node.fhir.report import Totals, lines, totals
from node.fhir.spool import Spool
from node.genesis import load_plan
from node.resources import config_file

CRITICAL = Plan(0, [load_plan(config_file("plans/critical-illness.toml"))], 0)
HOSPITAL = Plan(1, [load_plan(config_file("plans/hospital-reimbursement.toml"))], 0)
SECRET = ImportSecret(b"\x07" * 32)
EPOCH = date(1970, 1, 1)
TODAY = date(2026, 6, 1)
INFARCTION, SINUSITIS = "22298006", "444814009"


def day(moment: date) -> int:
    return (moment - EPOCH).days


def patient(id: str = "p", born: str | None = "1990-05-05", **fields: Any) -> dict[str, Any]:
    birth = {} if born is None else {"birthDate": born}
    return {"resourceType": "Patient", "id": id, **birth, **fields}


def condition(id: str, when: date | str, code: str = INFARCTION, of: str = "p", **fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": id,
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
        "subject": {"reference": f"Patient/{of}"},
        "onsetDateTime": str(when),
        **fields,
    }


def bill(id: str, value: float = 10, of: str = "p", **fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Claim",
        "id": id,
        "status": "active",
        "use": "claim",
        "patient": {"reference": f"Patient/{of}"},
        "total": {"value": value, "currency": "USD"},
        **fields,
    }


def for_condition(id: str) -> dict[str, Any]:
    return {"diagnosis": [{"diagnosisReference": {"reference": f"Condition/{id}"}}]}


@contextmanager
def judged(
    *resources: dict[str, Any], timeline: Timeline | None = None, plan: Plan = CRITICAL, known: Known | None = None
) -> Iterator[tuple[Spool, Judge]]:
    text = "\n".join(json.dumps(resource) for resource in resources).encode()
    with Spool(SECRET, shipped()) as spool:
        list(spool.fill(pieces(io.BytesIO(text))))
        judge = Judge(spool, plan, timeline or Today(day(TODAY)), SECRET, lambda person: known)
        judge.run()
        yield spool, judge


def outcomes(spool: Spool, kind: str) -> dict[str, str]:
    return {entry["id"]: entry["outcome"] for entry in lines(spool) if entry["kind"] == kind}


def member_since(days: int, *, claimed: bool = False) -> Known:
    return Known(1, day(TODAY) - days, 1990 * 12 + 4, claimed)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "member"),
        ({"born": None}, "no-birth-date"),
        ({"born": "1990"}, "no-birth-date"),
        ({"born": "2026-06-01"}, "too-young"),
        ({"born": "1960-01-01"}, "too-old"),
        ({"deceasedDateTime": "2020-01-01"}, "deceased"),
        ({"deceasedBoolean": True}, "deceased"),
        ({"deceasedBoolean": False}, "member"),
    ],
)
def test_a_patient_joins_if_the_plan_takes_the_person(fields: dict[str, Any], outcome: str) -> None:
    with judged(patient(**fields)) as (spool, judge):
        assert outcomes(spool, "Patient") == {"p": outcome}
        assert len(list(judge.members())) == (outcome == "member")


@pytest.mark.parametrize(
    ("when", "joined_days_ago", "outcome"),
    [
        (TODAY - timedelta(days=1), 0, "before-joining"),
        (TODAY - timedelta(days=201), 200, "before-joining"),
        (TODAY - timedelta(days=200), 200, "waiting-period"),
        (TODAY - timedelta(days=111), 200, "waiting-period"),
        (TODAY - timedelta(days=110), 200, "claim"),
        (TODAY, 200, "claim"),
        (TODAY + timedelta(days=1), 200, "in-future"),
        (TODAY - timedelta(days=180), 700, "claim"),
        (TODAY - timedelta(days=181), 700, "too-late"),
        ("2026", 200, "no-date"),
    ],
)
def test_a_condition_becomes_a_claim_only_within_cover(when: date | str, joined_days_ago: int, outcome: str) -> None:
    with judged(patient(), condition("c", when), known=member_since(joined_days_ago)) as (spool, judge):
        assert outcomes(spool, "Condition") == {"c": outcome}
        assert len(list(judge.claims())) == (outcome == "claim")


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"code": SINUSITIS}, "not-listed"),
        ({"code": "399211009"}, "history"),
        ({"of": "nobody"}, "no-patient"),
        ({"verificationStatus": {"coding": [{"code": "refuted"}]}}, "not-confirmed"),
        ({"verificationStatus": {"coding": [{"code": "confirmed"}]}}, "claim"),
        ({"code": "230690007"}, "observation"),
    ],
)
def test_each_obstacle_has_its_reason(fields: dict[str, Any], outcome: str) -> None:
    with judged(patient(), condition("c", TODAY, **fields), known=member_since(200)) as (spool, _):
        assert outcomes(spool, "Condition") == {"c": outcome}


def test_cover_ends_with_the_birthday_that_the_plan_names() -> None:
    old = Known(1, day(TODAY) - 400, 1966 * 12 + 4, False)
    with judged(patient(born="1966-05-20"), condition("c", TODAY), known=old) as (spool, _):
        assert outcomes(spool, "Condition") == {"c": "over-age"}


def test_a_plan_that_pays_once_takes_the_first_condition_only() -> None:
    first, second = TODAY - timedelta(days=50), TODAY - timedelta(days=20)
    # The later one comes first in the input: the day decides, not the order.
    with judged(patient(), condition("late", second), condition("early", first), known=member_since(200)) as (spool, _):
        assert outcomes(spool, "Condition") == {"early": "claim", "late": "claimed-already"}
    with judged(patient(), condition("c", TODAY), known=member_since(200, claimed=True)) as (spool, _):
        assert outcomes(spool, "Condition") == {"c": "claimed-already"}


def test_a_condition_of_somebody_who_could_not_join_says_so() -> None:
    with judged(patient(born="1950-01-01"), condition("c", TODAY)) as (spool, _):
        assert outcomes(spool, "Condition") == {"c": "not-a-member"}


def test_the_order_of_the_input_does_not_matter() -> None:
    parts = [bill("b", **for_condition("c")), condition("c", TODAY), patient()]
    for resources in (parts, parts[::-1]):
        with judged(*resources, known=member_since(200)) as (spool, _):
            assert outcomes(spool, "Claim") == {"b": "claimed"} and outcomes(spool, "Condition") == {"c": "claim"}


def test_one_person_under_two_ids_joins_once_and_keeps_both_records() -> None:
    resources = (
        patient("p", identifier=[{"system": "s", "value": "1-2"}]),
        patient("q", identifier=[{"system": "s", "value": "12"}]),
        condition("c", TODAY - timedelta(days=3), of="q"),
        condition("d", TODAY, of="p"),
    )
    with judged(*resources, known=member_since(200)) as (spool, _):
        assert outcomes(spool, "Patient") == {"p": "known-member", "q": "same-person"}
        assert outcomes(spool, "Condition") == {"c": "claim", "d": "claimed-already"}


def test_a_resource_that_comes_twice_counts_once_and_is_reported() -> None:
    with judged(patient(), patient(), condition("c", TODAY), condition("c", "2020-01-01"), bill("b"), bill("b")) as (
        spool,
        _,
    ):
        found = totals(spool)
        assert found.read == {"Patient": 2, "Condition": 2, "Claim": 2}
        assert [o.count for o in found.outcomes if o.outcome == "duplicate"] == [1, 1, 1]
        assert found.amounts == {"USD": "20.00"}


@pytest.mark.parametrize(
    ("fields", "outcome", "detail"),
    [
        (for_condition("good"), "claimed", ""),
        (for_condition("bad"), "not-covered", "not-listed"),
        (for_condition("absent"), "unknown-diagnosis", ""),
        ({"item": [{"encounter": [{"reference": "Encounter/e"}]}]}, "claimed", ""),
        ({"item": [{"encounter": [{"reference": "Encounter/other"}]}]}, "no-diagnosis", ""),
        ({}, "no-diagnosis", ""),
        ({"status": "cancelled"}, "bill-not-active", ""),
        ({"use": "preauthorization"}, "not-a-bill", ""),
        ({"total": {"value": 1.005, "currency": "USD"}}, "no-amount", ""),
        ({"total": None}, "no-amount", ""),
    ],
)
def test_a_bill_is_accounted_to_a_condition_or_a_reason(fields: dict[str, Any], outcome: str, detail: str) -> None:
    good = condition("good", TODAY, encounter={"reference": "Encounter/e"})
    resources = (patient(), good, condition("bad", TODAY, SINUSITIS), bill("b", **fields))
    with judged(*resources, known=member_since(200)) as (spool, _):
        (entry,) = [entry for entry in lines(spool) if entry["kind"] == "Claim"]
        assert (entry["outcome"], entry.get("detail", "")) == (outcome, detail)


def test_a_visit_of_another_patient_does_not_lend_its_diagnosis() -> None:
    visit = {"reference": "Encounter/e"}
    resources = (patient(), condition("c", TODAY, encounter=visit), bill("b", of="q", item=[{"encounter": [visit]}]))
    with judged(*resources, known=member_since(200)) as (spool, _):
        assert outcomes(spool, "Claim") == {"b": "no-diagnosis"}


def test_the_evidence_covers_the_condition_its_bills_and_the_secret() -> None:
    def evidence(secret: ImportSecret, *bills: dict[str, Any]) -> bytes:
        text = "\n".join(map(json.dumps, (patient(), condition("c", TODAY), *bills))).encode()
        with Spool(secret, shipped()) as spool:
            list(spool.fill(pieces(io.BytesIO(text))))
            judge = Judge(spool, CRITICAL, Today(day(TODAY)), secret, lambda person: member_since(200))
            judge.run()
            (claim,) = judge.claims()
            return claim.evidence

    values = {
        evidence(SECRET),
        evidence(SECRET, bill("b", **for_condition("c"))),
        evidence(SECRET, bill("b", 11, **for_condition("c"))),
        evidence(ImportSecret(bytes(32))),
    }
    assert len(values) == 4 and evidence(SECRET) in values


def test_a_reimbursement_plan_does_not_list_diagnoses() -> None:
    with judged(patient(), condition("c", TODAY), plan=HOSPITAL, known=member_since(200)) as (spool, _):
        assert outcomes(spool, "Condition") == {"c": "not-in-plan"}


@pytest.mark.parametrize("seed", range(40))
def test_a_moved_record_keeps_ages_and_falls_into_the_plan(seed: int) -> None:
    first = day(date(2026, 11, 24))
    terms = CRITICAL.versions[-1]
    born, ill = day(date(1980, 3, 5)), day(date(2015, 7, 9))
    record = Record(bytes([seed]) * 32, born, ill + 900, [(ill, 0), (ill + 400, 180)])
    joined, shift = Moved(first, first + 310, joining_takes_days=30).place(record, terms)
    moved_birth, moved_ill = born + shift, ill + shift
    assert joined == first and first < moved_ill <= first + 310
    assert moved_ill - moved_birth == ill - born
    month = (EPOCH + timedelta(days=moved_birth)).year * 12 + (EPOCH + timedelta(days=moved_birth)).month - 1
    assert months_old(month, joined) >= terms.plan.entry_age_min_months
    assert years_old(month, joined) <= terms.plan.entry_age_max_years


def test_moving_puts_some_records_into_the_waiting_period_on_purpose() -> None:
    first = day(date(2026, 11, 24))
    ill = day(date(2015, 7, 9))
    shifts = [
        Moved(first, first + 310).place(
            Record(number.to_bytes(32, "big"), day(date(1980, 3, 5)), ill, [(ill, 0)]), CRITICAL.versions[-1]
        )[1]
        for number in range(200)
    ]
    early = sum(ill + shift < first + 90 for shift in shifts)
    assert 10 <= early <= 40


def account(text: bytes, timeline: Timeline) -> Totals:
    with Spool(ImportSecret(bytes(32)), shipped()) as spool:
        list(spool.fill(pieces(io.BytesIO(text))))
        Judge(spool, CRITICAL, timeline, ImportSecret(bytes(32))).run()
        assert {entry["outcome"] for entry in lines(spool)} <= set(REASONS)
        return totals(spool)


def test_the_sample_is_accounted_for_to_the_cent_whatever_the_timeline() -> None:
    text = b"".join(ndjson())
    first = day(date(2026, 11, 24))
    results = [account(text, Today(first)), account(text, Moved(first, first + 310))]
    for found in results:
        assert found.read == {"Patient": 72, "Coverage": 14, "Condition": 150, "Claim": 266}
        assert found.accounted == 502 and found.damaged == ""
    assert results[0].amounts == results[1].amounts
    assert results[1].members == 70 and results[1].claims >= 20


def test_judging_twice_gives_the_same() -> None:
    with judged(patient(), condition("c", TODAY), bill("b", **for_condition("c")), known=member_since(200)) as (
        spool,
        judge,
    ):
        before = list(lines(spool))
        judge.run()
        assert list(lines(spool)) == before


def test_unreadable_pieces_and_other_kinds_are_in_the_account() -> None:
    text = b'{"resourceType":"Observation"}\nnonsense\n{"resourceType":"Patient","id":3}\n{"resourceType":"Patient"'
    with Spool(SECRET, shipped()) as spool:
        list(spool.fill(pieces(io.BytesIO(text))))
        Judge(spool, CRITICAL, Today(day(TODAY)), SECRET).run()
        found = totals(spool)
        assert found.read == {"Patient": 1, "Observation": 1, "unknown": 2}
        assert found.accounted == 4 and "line 4" in found.damaged
