"""Composition of modules, permissions, all-or-none, evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, get_args

import pytest

from node.claims import application as application_module
from node.claims.application import Application
from node.claims.consortium import RecordEvidence
from node.claims.genesis import Role
from node.claims.module import InvariantBroken, Module
from node.claims.mutual_aid import enrolment, filing
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    AnswerClawback,
    CloseBalance,
    ConfirmPayment,
    DecideObjection,
    Decision,
    DeclareTie,
    Enrol,
    ExtendInvestigation,
    Extension,
    FileClaim,
    Finding,
    Investigate,
    Leave,
    LiftStay,
    MoveMember,
    Object,
    OpenClawback,
    Paper,
    RecordContribution,
    RecordReceipt,
    RecordRecovery,
    Recuse,
    ReopenClaim,
    ReportArrears,
    ResolveHold,
    ResubmitClaim,
    ReturnClaim,
    Review,
    SetKey,
    StayClaim,
    StayEnd,
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.plan_actions import (
    AgreeToSponsor,
    LiftSuspension,
    OpenVote,
    PlanChange,
    ProposeChange,
    ProposePlan,
    ProposeTerms,
    SuspendPlan,
    VoteProposal,
    WithdrawProposal,
)
from node.claims.mutual_aid.records import the_member
from node.claims.nullifiers.actions import ConfirmKey, DealKey, RefusalReason, RefuseKey
from node.claims.registry import Registry
from node.claims.results import ResultCode, describe, is_inadmissible
from node.claims.transaction import Action
from node.claims.wire import Wire
from tests.factories import ORGANISATIONS, Chain, key_of, make_genesis, new_member, person, plan
from tests.unit.claims.application_examples import APPLICATION_ACTIONS, APPLICATION_MAY
from tests.unit.claims.evidence_examples import EVIDENCE_ACTIONS, EVIDENCE_MAY, EVIDENCE_MEMBERS_MAY
from tests.unit.claims.jury_examples import JURY_ACTIONS, JURY_MAY, JURY_MEMBERS_MAY

CODE = "critical-illness"
ACTIONS: tuple[Action, ...] = (
    RecordEvidence(evidence=b"nonsense"),
    Enrol(plan=CODE, members=(new_member(1),)),
    FileClaim(plan=CODE, member=9, ailment="S01", diagnosis_day=1, accident=False, evidence=person(1)),
    Investigate(claim=9, finding=Finding.PASS, report=person(1)),
    Review(claim=9, decision=Decision.ACCEPT),
    ConfirmPayment(claim=9, amount=1, receipt=person(1)),
    AdmitClaim(claim=9),
    ReturnClaim(claim=9, missing=Paper.INVOICE),
    ResubmitClaim(claim=9, evidence=person(1)),
    ExtendInvestigation(claim=9, reason=Extension.FIELD_VISIT_OUTSTANDING),
    Recuse(claim=9),
    Object(claim=9, member=9, evidence=person(1)),
    DecideObjection(claim=9, decision=Decision.ACCEPT),
    WithdrawClaim(claim=9),
    StayClaim(claim=9, order=person(1), days=1),
    LiftStay(claim=9, end=StayEnd.RESUME, order=person(1)),
    ResolveHold(claim=9, decision=Decision.ACCEPT, evidence=person(1)),
    DeclareTie(member=9),
    OpenClawback(claim=9, report=person(1), clause="3.1", reason=1),
    AnswerClawback(claim=9, answer=person(1)),
    VoteClawback(claim=9, uphold=True),
    RecordRecovery(claim=9, amount=1, receipt=person(1)),
    VoteWriteOff(claim=9),
    ReopenClaim(claim=9, evidence=person(1)),
    DealKey(epoch=9, commitments=(person(1),), ephemeral=person(1), proofs=bytes(128), shares=(bytes(48),)),
    ConfirmKey(epoch=9, dealings=person(1)),
    RefuseKey(epoch=9, reason=RefusalReason.ABANDONED),
    *EVIDENCE_ACTIONS,
    RecordReceipt(plan=CODE, organisation="a", amount=1, receipt=person(1)),
    Leave(member=9),
    MoveMember(member=9, plan=CODE),
    SetKey(member=9, key=b""),
    RecordContribution(member=9, amount=1, receipt=person(1)),
    ReportArrears(member=9, amount=1),
    CloseBalance(member=9, receipt=person(1)),
    *APPLICATION_ACTIONS,
    *JURY_ACTIONS,
    ProposeTerms(terms=plan(CODE)),
    ProposePlan(terms=plan(CODE)),
    ProposeChange(plan=CODE, change=PlanChange.REOPEN),
    OpenVote(proposal=9),
    VoteProposal(proposal=9, approve=True),
    WithdrawProposal(proposal=9),
    AgreeToSponsor(proposal=9),
    SuspendPlan(plan="none", order=person(1), days=1),
    LiftSuspension(plan="none", order=person(1)),
)
WORKING = (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT)
MAY: dict[type[Wire], tuple[Role, ...]] = {
    RecordEvidence: tuple(Role),
    Enrol: (Role.ENROLLER,),
    FileClaim: (Role.INTAKE,),
    Investigate: (Role.INVESTIGATOR,),
    Review: (Role.REVIEWER,),
    ConfirmPayment: (Role.PAYMENT,),
    AdmitClaim: (Role.INTAKE,),
    ReturnClaim: (Role.INTAKE,),
    ResubmitClaim: (Role.INTAKE,),
    ExtendInvestigation: (Role.INVESTIGATOR,),
    Recuse: (Role.INVESTIGATOR, Role.REVIEWER),
    Object: (Role.ENROLLER,),
    DecideObjection: (Role.REVIEWER,),
    WithdrawClaim: (Role.ENROLLER, Role.INTAKE),
    StayClaim: (Role.REGULATOR,),
    LiftStay: (Role.REGULATOR,),
    ResolveHold: (Role.REVIEWER,),
    DeclareTie: (Role.INVESTIGATOR, Role.REVIEWER),
    OpenClawback: (Role.REVIEWER,),
    AnswerClawback: (Role.ENROLLER,),
    VoteClawback: (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT),
    RecordRecovery: (Role.PAYMENT,),
    VoteWriteOff: (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT),
    ReopenClaim: (Role.REVIEWER, Role.REGULATOR),
    DealKey: tuple(Role),
    ConfirmKey: tuple(Role),
    RefuseKey: tuple(Role),
    **EVIDENCE_MAY,
    RecordReceipt: (Role.PAYMENT,),
    **dict.fromkeys((Leave, MoveMember, SetKey, RecordContribution, ReportArrears, CloseBalance), (Role.ENROLLER,)),
    **APPLICATION_MAY,
    **JURY_MAY,
    ProposeTerms: WORKING,
    ProposePlan: WORKING,
    ProposeChange: WORKING,
    OpenVote: WORKING,
    VoteProposal: WORKING,
    WithdrawProposal: WORKING,
    AgreeToSponsor: WORKING,
    SuspendPlan: (Role.REGULATOR,),
    LiftSuspension: (Role.REGULATOR,),
}
"""Written out, and not taken from the product's own table: a row that changes there has to change here too."""
MEMBERS_MAY = (
    FileClaim,
    ResubmitClaim,
    Object,
    WithdrawClaim,
    AnswerClawback,
    Leave,
    *EVIDENCE_MEMBERS_MAY,
    *JURY_MEMBERS_MAY,
)


def test_every_action_is_tried() -> None:
    assert {type(action) for action in ACTIONS} == set(MAY) == set(get_args(Action))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
@pytest.mark.parametrize("role", Role)
def test_an_action_is_forbidden_to_whoever_lacks_the_role(role: Role, action: Action) -> None:
    *others, alone = ORGANISATIONS
    chain = Chain(make_genesis(roles={**dict.fromkeys(others, tuple(Role)), alone: (role,)}))
    code = chain.do(alone, action).code
    assert (code == ResultCode.FORBIDDEN) == (role not in MAY[type(action)])


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_an_action_is_forbidden_to_members_unless_it_is_theirs(action: Action) -> None:
    chain = Chain()
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(1, key=key_of("m")),))).code == 0
    assert (chain.do(key_of("m"), action).code == ResultCode.FORBIDDEN) == (type(action) not in MEMBERS_MAY)


def test_a_members_key_may_only_file_claims_of_that_member() -> None:
    chain = Chain()
    members = (new_member(1, key=key_of("m")), new_member(2))
    assert chain.do("a", Enrol(plan=CODE, members=members)).code == 0
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
    tags: ClassVar[range] = range(9_000, 9_010)


class Liar(Module):
    name: ClassVar[str] = "liar"
    tables: ClassVar[range] = range(0xE0, 0xE2)
    tags: ClassVar[range] = range(9_000, 9_010)

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
    monkeypatch.setattr(enrolment, "MAX_MEMBERS", 3)
    monkeypatch.setattr(filing, "MAX_CLAIMS", 1)
    chain = Chain()
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(1), new_member(2), new_member(3)))).code == 22
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(1), new_member(2)))).code == 0
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(3),))).code == ResultCode.LIMIT_REACHED
    chain.wait(days=2)
    day = chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms)
    codes = [
        chain.do(
            "c",
            FileClaim(plan=CODE, member=member, ailment="S01", diagnosis_day=day, accident=True, evidence=person(1)),
        ).code
        for member in (1, 2)
    ]
    assert codes == [0, ResultCode.LIMIT_REACHED]
