"""Reading the fields that matter, and refusing the ones that are wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from node.fhir.resources import (
    Claim,
    Condition,
    Coverage,
    Money,
    Other,
    Patient,
    Reference,
    Unreadable,
    local_id,
    minor_units,
    parse_date,
    parse_time,
    patient_id,
    read,
)
from node.fhir.split import Piece


def reading(document: Any, kind: str = "resource") -> Any:
    return read(Piece(1, kind, json.dumps(document).encode())).resource  # type: ignore[arg-type]


def test_the_four_kinds_are_read_and_others_named() -> None:
    assert isinstance(reading({"resourceType": "Patient", "id": "p"}), Patient)
    assert isinstance(reading({"resourceType": "Coverage", "id": "v"}), Coverage)
    assert isinstance(reading({"resourceType": "Condition", "id": "c"}), Condition)
    assert isinstance(reading({"resourceType": "Claim", "id": "k"}), Claim)
    assert reading({"resourceType": "Observation", "id": "o"}) == Other("Observation")


def test_an_entry_gives_its_resource_and_its_url() -> None:
    found = read(Piece(1, "entry", b'{"fullUrl":"urn:uuid:x","resource":{"resourceType":"Patient","id":"p"}}'))
    assert isinstance(found.resource, Patient) and found.url == "urn:uuid:x"
    assert json.loads(found.text) == {"resourceType": "Patient", "id": "p"}


@pytest.mark.parametrize(
    ("document", "kind", "why"),
    [
        ({"resourceType": "Patient", "id": 7}, "Patient", "id"),
        ({"resourceType": "Patient", "id": "p", "birthDate": ["1980"]}, "Patient", "birthDate"),
        ({"resourceType": "Patient"}, "Patient", "no usable id"),
        ({"resourceType": "Patient", "id": "x" * 5_000}, "Patient", "no usable id"),
        ({"resourceType": "Claim", "id": "k", "total": {"value": "x"}}, "Claim", "total"),
        ({"resourceType": "Coverage", "id": "v", "beneficiary": "p"}, "Coverage", "beneficiary"),
        ({"resourceType": "Coverage", "id": "v", "subscriber": {"reference": 1}}, "Coverage", "subscriber"),
        ({"resourceType": "Coverage", "id": "v", "period": ["2020"]}, "Coverage", "period"),
        ({"resourceType": "Coverage", "id": "v", "period": {"start": 2020}}, "Coverage", "period"),
        ({"resourceType": "Coverage", "id": "v", "order": "1"}, "Coverage", "order"),
        ({"resourceType": "Coverage"}, "Coverage", "no usable id"),
        ({"resourceType": "<b>\n"}, "", "no resourceType"),
        ({"id": "p"}, "", "no resourceType"),
        ({"resourceType": 5}, "", "resourceType"),
    ],
)
def test_a_field_of_the_wrong_type_makes_a_resource_unreadable_and_is_named(document: Any, kind: str, why: str) -> None:
    found = reading(document)
    assert isinstance(found, Unreadable) and found.kind == kind and why in found.why


def test_deep_nesting_is_refused_and_does_not_exhaust_the_stack() -> None:
    text = b'{"resourceType":"Patient","id":"p","identifier":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert isinstance(read(Piece(1, "resource", text)).resource, Unreadable)


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("urn:uuid:abc", "abc"),
        ("Patient/abc", "abc"),
        ("http://host/fhir/Patient/abc/_history/3", "abc"),
        ("#abc", "abc"),
        ("", None),
        ("x" * 10_000, None),
        (None, None),
    ],
)
def test_references_of_every_form_give_the_id(text: str | None, id: str | None) -> None:
    assert local_id(Reference(text)) == id


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("Patient/abc", "abc"),
        ("urn:uuid:abc", "abc"),
        ("http://host/fhir/Patient/abc/_history/3", "abc"),
        ("RelatedPerson/abc", None),
        ("http://host/Organization/abc", None),
        (None, None),
    ],
)
def test_a_record_of_another_kind_with_the_same_id_is_no_patient(text: str | None, id: str | None) -> None:
    assert patient_id(Reference(text)) == id


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1980-02-29", "1980-02-29"),
        ("2019-11-27T23:30:00+00:00", "2019-11-27"),
        ("2019-11-27T23:30:00-05:00", "2019-11-28"),
        ("2019-11-27T00:30:00.123+09:00", "2019-11-26"),
        ("2016-12-31T23:59:60Z", "2016-12-31"),
        ("1980", None),
        ("1980-02", None),
        ("1980-02-30", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_is_taken_only_if_it_names_a_day(text: str | None, day: str | None) -> None:
    found = parse_date(text)
    assert (found.isoformat() if found else None) == day


def test_times_are_exact_to_the_millisecond() -> None:
    assert parse_time("1970-01-02T00:00:00.5Z") == 86_400_500


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        ("125", "USD", (12_500, "USD")),
        ("129.16", "USD", (12_916, "USD")),
        ("0.10", "EUR", (10, "EUR")),
        ("0", "EUR", (0, "EUR")),
        ("1e2", "EUR", (10_000, "EUR")),
        ("0.005", "EUR", None),
        ("-1", "EUR", None),
        ("1E+999999", "EUR", None),
        ("NaN", "EUR", None),
        ("5", "euro", None),
        ("5", None, None),
    ],
)
def test_amounts_are_exact_hundredths_or_nothing(
    value: str, currency: str | None, expected: tuple[int, str] | None
) -> None:
    assert minor_units(Money(Decimal(value), currency)) == expected


def test_amounts_do_not_pass_through_binary_fractions() -> None:
    bill = reading({"resourceType": "Claim", "id": "k"}) and read(
        Piece(1, "resource", b'{"resourceType":"Claim","id":"k","total":{"value":81390449.17,"currency":"USD"}}')
    )
    assert isinstance(bill.resource, Claim) and minor_units(bill.resource.total) == (8_139_044_917, "USD")
