"""From codes to ailments."""

from __future__ import annotations

import pytest

from node.claims.genesis import read_ailments
from node.errors import ConfigError
from node.fhir.mapping import COLUMNS, parse, shipped
from node.fhir.reasons import REASONS
from node.fhir.resources import Coding
from node.resources import config_file

SNOMED, ICD10 = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10"
HEAD = ",".join(COLUMNS)


def look_up(*codes: tuple[str, str]) -> tuple[str, str, str]:
    found = shipped().look_up([Coding(system, code) for system, code in codes])
    return found.outcome, found.ailment, found.reason


def test_the_shipped_table_names_ailments_and_reasons_that_exist() -> None:
    known = {ailment.code for ailment in read_ailments(config_file("ailments.csv").read_text(encoding="utf-8"))}
    rows = shipped().rows
    assert len(rows) >= 25
    assert {row.ailment for row in rows} - {"-"} <= known
    assert {row.reason for row in rows} - {""} <= set(REASONS)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([(SNOMED, "22298006")], ("ailment", "S02", "")),
        ([(ICD10, "I21.4")], ("ailment", "S02", "")),
        ([(ICD10, "i214")], ("ailment", "S02", "")),
        ([("http://hl7.org/fhir/sid/icd-10-cm", "C34.11")], ("ailment", "S01", "")),
        ([(ICD10, "C73")], ("ailment", "M04", "")),
        ([(ICD10, "C90.0")], ("ailment", "X03", "")),
        ([(ICD10, "N18.5")], ("ailment", "S06", "")),
        ([(ICD10, "N18.3")], ("excluded", "", "too-mild")),
        ([(ICD10, "I25.2")], ("excluded", "", "history")),
        ([(ICD10, "D07.5")], ("excluded", "", "in-situ")),
        ([(ICD10, "I25.1")], ("unlisted", "", "not-listed")),
        ([(SNOMED, "444814009")], ("unlisted", "", "not-listed")),
        ([(SNOMED, "16652001"), (ICD10, "E75.2")], ("ailment", "R02", "")),
        ([(SNOMED, "363478007"), (ICD10, "C73")], ("ailment", "M04", "")),
        ([(SNOMED, "363346000"), (ICD10, "C73")], ("ailment", "S01", "")),
        ([(SNOMED, "22298006"), (ICD10, "G35")], ("conflict", "", "codes-disagree")),
        ([(SNOMED, "399211009"), (ICD10, "I21")], ("excluded", "", "history")),
        ([(SNOMED, "9999999"), (ICD10, "G35")], ("ailment", "X15", "")),
        ([("http://loinc.org", "22298006")], ("no-code", "", "no-code")),
        ([], ("no-code", "", "no-code")),
    ],
)
def test_codings_come_to_an_ailment_or_a_reason(codes: list[tuple[str, str]], expected: tuple[str, str, str]) -> None:
    assert look_up(*codes) == expected


def test_a_code_of_absurd_length_is_no_code() -> None:
    assert look_up((SNOMED, "2" * 10_000))[0] == "no-code"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("snomed,22298006,S02,,Name", "columns"),
        ("loinc,22298006,S02,,Name,", "snomed or icd10"),
        ("snomed,I21,S02,,Name,", "no snomed code"),
        ("icd10,22298006,S02,,Name,", "no icd10 code"),
        ("snomed,22298006,-,,Name,", "a reason"),
        ("snomed,22298006,S02,history,Name,", "a reason"),
        ("snomed,22298006,S02,,Name,\nsnomed,22298006,S01,,Name,", "twice"),
    ],
)
def test_a_wrong_line_of_a_table_is_named(line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(f"{HEAD}\n{line}\n")


def test_a_wrong_head_is_refused() -> None:
    with pytest.raises(ConfigError, match="first line"):
        parse("a,b\n")
