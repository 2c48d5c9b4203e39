"""Keyed values of people, and the secret that makes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.errors import KeyFileError
from node.fhir.identity import ImportSecret, identifying, joint_input, load_secret
from node.fhir.resources import Coding, Concept, Identifier, Patient
from node.oprf import inputs


def identifier(code: str, value: str, system: str = "s") -> Identifier:
    return Identifier(system, value, Concept([Coding(None, code)]))


def test_the_identifier_that_says_most_is_taken_whatever_the_order() -> None:
    numbers = [identifier("MR", "m"), identifier("SS", "999-12-3456"), identifier("DL", "d"), Identifier("u", "v")]
    for order in (numbers, numbers[::-1]):
        assert identifying(Patient("p", order)) == ("s", "999123456")


def test_the_way_a_number_is_written_does_not_matter() -> None:
    secret = ImportSecret(bytes(32))
    people = [Patient("a", [identifier("SS", text)]) for text in ("999-12-3456", "999 12 3456", "999123456")]
    assert len({secret.person(person) for person in people}) == 1


def test_the_joint_input_is_that_of_anybody_who_types_the_number() -> None:
    system = "http://hl7.org/fhir/sid/us-ssn"
    patient = Patient("a", [identifier("SS", "999-12-3456", system)])
    assert joint_input(patient) == inputs.person(system, "999 12 3456")


def test_an_identifier_without_a_form_still_tells_people_apart() -> None:
    first, second = (Patient("a", [identifier("SS", text)]) for text in ("\u5f20\u4e09", "\u5f20\u56db"))
    assert joint_input(first) == joint_input(first) != joint_input(second)


def test_another_secret_system_or_number_gives_another_value() -> None:
    secret = ImportSecret(bytes(32))
    values = {
        secret.person(Patient("a", [identifier("SS", "1")])),
        secret.person(Patient("a", [identifier("SS", "2")])),
        secret.person(Patient("a", [identifier("SS", "1", "other")])),
        ImportSecret(b"\x01" * 32).person(Patient("a", [identifier("SS", "1")])),
        secret.person(Patient("a")),
        secret.person(Patient("b")),
    }
    assert len(values) == 6 and all(len(value) == 32 for value in values)


def test_identifiers_that_are_empty_or_absurd_are_passed_over() -> None:
    numbers = [identifier("SS", ""), identifier("SS", "9" * 10_000), Identifier(None, None)]
    assert identifying(Patient("p", numbers)) == ("Patient.id", "p")


def test_a_secret_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    first, is_new = load_secret(path, create=True)
    again, is_new_again = load_secret(path, create=True)
    assert (is_new, is_new_again) == (True, False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.person(Patient("p")) == again.person(Patient("p"))


@pytest.mark.parametrize("content", ["", "{}", '{"format": "weal-import-secret/1", "secret": "00"}', "[1]"])
def test_a_damaged_secret_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content)
    os.chmod(path, 0o600)
    with pytest.raises(KeyFileError, match="not an import secret"):
        load_secret(path, create=True)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    load_secret(path, create=True)
    os.chmod(path, 0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_secret(path, create=True)


def test_a_missing_secret_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="no import secret"):
        load_secret(tmp_path / "secret", create=False)
