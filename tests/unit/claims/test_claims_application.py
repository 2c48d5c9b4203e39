"""Composition of modules, permissions, all-or-none, evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from node.claims import application as application_module
from node.claims.application import Application
from node.claims.consortium import RecordEvidence
from node.claims.genesis import Role
from node.claims.module import InvariantBroken, Module
from node.claims.mutual_aid import filing, membership
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Review,
)
from node.claims.mutual_aid.module import PERMITTED
from node.claims.mutual_aid.records import the_member
from node.claims.registry import Registry
from node.claims.results import ResultCode, describe, is_inadmissible
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, ROLES, Chain, key_of, make_genesis, new_member, person

CODE = "critical-illness"
ACTIONS: dict[Role, Action] = {
    Role.ENROLLER: Enrol(plan=CODE, members=(new_member(1),)),
    Role.INTAKE: FileClaim(plan=CODE, member=9, ailment="S01", diagnosis_day=1, accident=False, evidence=person(1)),
    Role.INVESTIGATOR: Investigate(claim=9, finding=Finding.PASS, report=person(1)),
    Role.REVIEWER: Review(claim=9, decision=Decision.ACCEPT),
    Role.PAYMENT: ConfirmPayment(claim=9, amount=1, receipt=person(1)),
}


@pytest.mark.parametrize("role", ACTIONS)
@pytest.mark.parametrize("name", ORGANISATIONS)
def test_an_action_is_forbidden_to_whoever_lacks_the_role(role: Role, name: str) -> None:
    code = Chain().do(name, ACTIONS[role]).code
    assert (code == ResultCode.FORBIDDEN) == (role not in ROLES[name])


def test_every_action_belongs_to_one_role_and_an_auditor_has_none() -> None:
    listed = [action for actions in PERMITTED.values() for action in actions]
    assert len(listed) == len(set(listed)) == len(ACTIONS)
    assert Role.AUDITOR not in PERMITTED


def test_a_members_key_may_only_file_claims_of_that_member() -> None:
    chain = Chain()
    members = (new_member(1, key=key_of("m")), new_member(2))
    assert chain.do("a", Enrol(plan=CODE, members=members)).code == 0
    for role in (Role.ENROLLER, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT):
        assert chain.do(key_of("m"), ACTIONS[role]).code == ResultCode.FORBIDDEN
    assert chain.do(key_of("m"), RecordEvidence(evidence=b"x")).code == ResultCode.FORBIDDEN
    other = FileClaim(plan=CODE, member=2, ailment="S01", diagnosis_day=1, accident=False, evidence=person(1))
    assert chain.do(key_of("m"), other).code == ResultCode.NOT_THIS_MEMBER


def test_a_transaction_is_carried_out_whole_or_not_at_all() -> None:
    chain = Chain()
    first = Enrol(plan=CODE, members=(new_member(1),))
    receipt = chain.do("a", first, first)
    assert (receipt.code, receipt.detail) == (ResultCode.PERSON_ALREADY_MEMBER, "action 1, member 0")
    assert receipt.events == ()
    receipt = chain.do("a", first, Enrol(plan=CODE, members=(new_member(2),)))
    assert [event.subject for event in receipt.events] == [1, 2]
    assert [the_member(chain.state, number).person for number in (1, 2)] == [person(1), person(2)]


def test_equivocation_is_recorded_once_with_the_organisation_that_it_convicts() -> None:
    chain = Chain(evidence={b"two votes of c": "c"}.get)
    assert chain.do("a", RecordEvidence(evidence=b"nonsense")).code == ResultCode.EVIDENCE_INVALID
    receipt = chain.do("a", RecordEvidence(evidence=b"two votes of c"))
    assert (receipt.code, receipt.events[0].organisation) == (0, 2)
    assert chain.do("b", RecordEvidence(evidence=b"two votes of c")).code == ResultCode.EVIDENCE_KNOWN


def test_without_a_checker_no_evidence_is_accepted() -> None:
    assert Chain().do("a", RecordEvidence(evidence=b"x")).code == ResultCode.EVIDENCE_INVALID


class Squatter(Module):
    name: ClassVar[str] = "squatter"
    tables: ClassVar[range] = range(0x5F, 0x62)
    tags: ClassVar[range] = range(60, 70)


class Liar(Module):
    name: ClassVar[str] = "liar"
    tables: ClassVar[range] = range(0x60, 0x62)
    tags: ClassVar[range] = range(60, 70)

    def deadlines(self) -> Mapping[int, object]:  # type: ignore[override]
        return {20: object()}


@pytest.mark.parametrize(("module", "message"), [(Squatter, "shares tables"), (Liar, "outside the range")])
def test_modules_that_overlap_are_refused(module: type[Module], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def consortium(registry: Registry, _: object) -> Module:
        return module(registry)

    monkeypatch.setattr(application_module, "Consortium", consortium)
    with pytest.raises(InvariantBroken, match=message):
        Application(make_genesis())


def test_every_code_says_what_to_do_and_keeps_its_number() -> None:
    for code in ResultCode:
        text = describe(code)
        assert text.endswith(".")
        assert "Unknown result code" not in text
    assert "older" in describe(9_999)
    assert not is_inadmissible(ResultCode.OK)
    assert not is_inadmissible(ResultCode.FORBIDDEN)
    assert is_inadmissible(ResultCode.EXPIRED)
    numbers = {code.name: code.value for code in ResultCode}
    pinned = {"FORBIDDEN": 20, "PERSON_ALREADY_MEMBER": 101, "UNKNOWN_MEMBER": 120, "WRONG_PAYMENT_AMOUNT": 147}
    assert pinned.items() <= numbers.items()


def test_numbers_of_members_and_claims_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no total can outgrow 64 bits; the limits are lowered here."""
    monkeypatch.setattr(membership, "MAX_MEMBERS", 3)
    monkeypatch.setattr(filing, "MAX_CLAIMS", 1)
    chain = Chain()
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(1), new_member(2), new_member(3)))).code == 22
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(1), new_member(2)))).code == 0
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(3),))).code == ResultCode.LIMIT_REACHED
    chain.wait(days=2)
    day = chain.application.registry.plans[0].day_of(chain.now_ms)
    codes = [
        chain.do(
            "c",
            FileClaim(plan=CODE, member=member, ailment="S01", diagnosis_day=day, accident=True, evidence=person(1)),
        ).code
        for member in (1, 2)
    ]
    assert codes == [0, ResultCode.LIMIT_REACHED]
