"""The bytes of every action, record and event, as the chain format has them.

A change of tests/golden/transactions.txt is a change of the format: old chains become unreadable. To write
it anew on purpose: WRITE_GOLDEN=1 .venv/bin/pytest tests/unit/claims/test_claims_golden.py
"""

from __future__ import annotations

import os
from pathlib import Path

from node.claims import keys
from node.claims.application import Receipt
from node.claims.builders import build_transaction, commitment, person_commitment
from node.claims.consortium import EvidenceRecord, OrganisationRecord, OrganisationTally, RecordEvidence, SenderRecord
from node.claims.events import ClaimsEvent, EventKind
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    CloseBalance,
    ConfirmPayment,
    DecideObjection,
    Decision,
    Enrol,
    ExtendInvestigation,
    Extension,
    FileClaim,
    Finding,
    Investigate,
    Leave,
    LiftStay,
    MoveMember,
    NewMember,
    Object,
    Paper,
    Reason,
    RecordContribution,
    RecordReceipt,
    Recuse,
    ReportArrears,
    ResubmitClaim,
    ReturnClaim,
    Review,
    SetKey,
    StayClaim,
    StayEnd,
    WithdrawClaim,
)
from node.claims.mutual_aid.records import (
    AccountRecord,
    CaseRow,
    ClaimRecord,
    Cohort,
    Cohorts,
    Counters,
    CycleRecord,
    CycleStatus,
    DayChange,
    Exit,
    MemberRecord,
    PlanState,
    PlanTally,
    Receivables,
    ReviewNote,
)
from node.claims.mutual_aid.transitions import ClaimStatus, DeadlineKind
from node.claims.nullifiers.actions import ConfirmKey, DealKey, RefusalReason, RefuseKey
from node.claims.nullifiers.holders import HolderRecord, ValueKind
from node.claims.nullifiers.records import DealingRecord, KeyEpochRecord, KeyState, KeyStatus, RefusalRecord
from node.claims.registry import PlanIndex, PlanNumber, VersionEntry
from node.claims.results import ResultCode
from node.claims.transaction import Action, encode_transaction
from node.claims.wire import Wire, encode
from tests.factories import key_of, make_genesis, person
from tests.unit.claims.application_examples import APPLICATION_ACTIONS, APPLICATION_KEYS, APPLICATION_RECORDS
from tests.unit.claims.evidence_examples import EVIDENCE_ACTIONS, EVIDENCE_RECORDS
from tests.unit.claims.golden_claim_life import LIFE_ACTIONS, LIFE_KEYS, LIFE_RECORDS
from tests.unit.claims.jury_examples import JURY_ACTIONS, JURY_KEYS, JURY_PARTS, JURY_RECORDS
from tests.unit.claims.plan_examples import PLAN, PLAN_ACTIONS, PLAN_RECORDS

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "transactions.txt"

ACTIONS: tuple[Action, ...] = (
    RecordEvidence(evidence=b"two votes"),
    Enrol(
        plan="critical-illness",
        members=(
            NewMember(person=person(1), birth_month=23_885),
            NewMember(person=person(2), birth_month=24_300, key=key_of("m"), payer=-1),
        ),
    ),
    FileClaim(
        plan="critical-illness", member=7, ailment="S01", diagnosis_day=20_553, accident=True, evidence=person(3)
    ),
    FileClaim(
        plan="hospital-reimbursement",
        member=300,
        ailment="H02",
        diagnosis_day=20_553,
        accident=False,
        evidence=person(3),
        amount=70_000,
    ),
    Investigate(claim=45, finding=Finding.PASS, report=person(4)),
    Investigate(claim=45, finding=Finding.FAIL, report=person(4), clause="3.1", reason=Reason.DEFINITION_NOT_MET),
    Review(claim=45, decision=Decision.ACCEPT, amount=69_999),
    Review(claim=45, decision=Decision.DENY, clause="4.1", evidence=person(5), reason=Reason.EXCLUDED_CAUSE),
    ConfirmPayment(claim=45, amount=30_000_000, receipt=person(6)),
    AdmitClaim(claim=45),
    ReturnClaim(claim=45, missing=Paper.INVOICE | Paper.IDENTITY),
    ResubmitClaim(claim=45, evidence=person(11)),
    ExtendInvestigation(claim=45, reason=Extension.EXPERT_OPINION_OUTSTANDING),
    Recuse(claim=45),
    Object(claim=45, member=8, evidence=person(12)),
    DecideObjection(claim=45, decision=Decision.ACCEPT),
    DecideObjection(claim=45, decision=Decision.DENY, clause="4.1", evidence=person(5), reason=Reason.EVIDENCE_FALSE),
    WithdrawClaim(claim=45),
    StayClaim(claim=45, order=person(13), days=30),
    LiftStay(claim=45, end=StayEnd.REFUSE, order=person(13), clause="3.1"),
    *LIFE_ACTIONS,
    *APPLICATION_ACTIONS,
    DealKey(epoch=1, commitments=(person(1), person(2)), ephemeral=person(3), proofs=bytes(128), shares=(bytes(48),)),
    ConfirmKey(epoch=1, dealings=person(4)),
    RefuseKey(epoch=1, reason=RefusalReason.BAD_SHARE, accused=2, opening=person(5), proof=bytes(64)),
    *EVIDENCE_ACTIONS,
    RecordReceipt(plan="critical-illness", organisation="a", amount=32_400_000, receipt=person(14)),
    Leave(member=7, family=True),
    MoveMember(member=7, plan="elderly-cancer", units=2, payer=8),
    SetKey(member=7, key=person(15)),
    RecordContribution(member=7, amount=10_000, receipt=person(16)),
    ReportArrears(member=7, amount=10_000),
    CloseBalance(member=7, receipt=person(16)),
    *PLAN_ACTIONS,
)

CLAIM = ClaimRecord(
    plan=0,
    version=1,
    member=7,
    status=ClaimStatus.PAID,
    ailment="S01",
    tier=1,
    diagnosis_day=20_553,
    accident=False,
    filed_ms=1_775_865_600_002,
    claimed=30_000_000,
    evidence=person(3),
    assigned=-1,
    attempt=0,
    deadline_ms=0,
    previous=0,
    filer=2,
    investigator=3,
    finding=1,
    report=person(4),
    reviewer=1,
    amount=30_000_000,
    cycle=8,
    payer=1,
    receipt=person(6),
    changed_ms=1_777_334_400_005,
    reviews=(ReviewNote(organisation=1, decision=1, amount=30_000_000),),
)

RECORDS: tuple[Wire, ...] = (
    OrganisationRecord(name="a", node_key=person(7), account_keys=(person(8),), roles=(1, 3)),
    OrganisationTally(investigations_missed=1, reviews_missed=2, payments_missed=3),
    SenderRecord(organisation=1, member=0, highest=3, window=b"\x07"),
    EvidenceRecord(organisation=2, height=9, evidence=b"two votes"),
    Counters(next_member=1_001, next_claim=46),
    MemberRecord(
        plan=0,
        organisation=0,
        person=person(1),
        birth_month=23_885,
        enrolled_day=20_454,
        cover_day=20_544,
        share_day=20_544,
        until_day=20_572,
        exit=Exit.AIDED,
        payer=0,
        key=b"",
        last_claim=45,
        open_claims=0,
        paid_claims=1,
    ),
    CLAIM,
    DayChange(change=-1),
    *LIFE_RECORDS,
    *APPLICATION_RECORDS,
    PlanState(
        cycle=9,
        disclosure_ms=1_778_083_200_000,
        settlement_ms=1_778_688_000_000,
        units=(1_000, 0, 0, 0),
        members=1_000,
        accumulated=32_400,
        surplus=0,
        debits=32_400_000,
        payouts=30_000_000,
        fees=2_400_000,
        payable=0,
        paid=30_000_000,
        confirmed_amount=0,
        confirmed_cases=0,
    ),
    PlanIndex(
        code="critical-illness",
        versions=(
            VersionEntry(version=1, effective_day=0, digest=person(14)),
            VersionEntry(version=2, effective_day=20_564, digest=person(15)),
        ),
    ),
    *PLAN_RECORDS,
    VersionEntry(version=1, effective_day=0, digest=person(14)),
    PlanNumber(plan=0),
    PlanTally(members=1_000, claims=(0, 0, 0, 0, 0, 0, 0, 1, 0)),
    CycleRecord(
        status=CycleStatus.SETTLED,
        version=1,
        disclosure_ms=1_776_700_800_000,
        settlement_ms=1_777_305_600_000,
        day=20_564,
        members=1_000,
        units=(1_000, 0, 0, 0),
        cases=1,
        payouts=30_000_000,
        fee=2_400_000,
        share=32_400,
        accumulated=32_400,
    ),
    Cohorts(
        year=2026,
        cohorts=(
            Cohort(cycle=0, day=20_443, units=(900, 0, 0, 0), charged=18_800),
            Cohort(cycle=8, day=20_564, units=(100, 0, 0, 0)),
        ),
    ),
    Receivables(debits=(32_400_000, 0, 0, 0), receipts=(32_400_000, 0, 0, 0)),
    AccountRecord(
        plan=0, paid_in=10_000, own=True, threshold=32_400, failures=1, failed_cycle=8, removal_ms=1_778_688_000_000
    ),
    CaseRow(granted=30_000_000, payable=29_999_999),
    ClaimsEvent(kind=EventKind.CLAIM_FILED, plan=0, subject=45, organisation=3, value=30_000_000),
    Receipt(
        transaction=person(10),
        code=ResultCode.PERSON_ALREADY_MEMBER,
        detail="action 1, member 0",
        events=(ClaimsEvent(kind=EventKind.CYCLE_SETTLED, subject=8, value=32_400),),
    ),
    HolderRecord(first=45, latest=46, count=2),
    KeyState(newest=2, active=1),
    KeyEpochRecord(
        status=KeyStatus.ACTIVE,
        threshold=3,
        holders=(0, 1, 2, 3),
        dealers=(2, 0, 1),
        confirmed=(0, 1, 2),
        refused=(3,),
        digest=person(6),
        opened_ms=1_775_865_600_002,
        changed_ms=1_775_865_600_005,
    ),
    DealingRecord(commitments=(person(1), person(2)), ephemeral=person(3), proofs=bytes(128), shares=(bytes(48),)),
    RefusalRecord(reason=2, accused=2, opening=person(5), proof=bytes(64)),
    *EVIDENCE_RECORDS,
)

KEYS: dict[str, bytes] = {
    "organisation 3": keys.organisation(3),
    "tally 3": keys.tally(3),
    "sender": keys.sender(person(8)),
    "evidence": keys.evidence(person(9)),
    "deadline": keys.deadline(1_777_305_600_000, DeadlineKind.CLAIM_SETTLEMENT, 45),
    "counters": keys.counters,
    "plan terms 0 version 1": keys.plan_terms(0, 1),
    "plan index 0": keys.plan_index(0),
    "plan code critical-illness": keys.plan_code("critical-illness"),
    "proposal 3": keys.proposal(3),
    "proposed terms 3": keys.proposed_terms(3),
    "plan life 0": keys.plan_life(0),
    "plan refund 0": keys.plan_refund(0),
    "governance": keys.governance,
    "plan state 0": keys.plan_state(0),
    "plan tally 0": keys.plan_tally(0),
    "cycle 0 8": keys.cycle(0, 8),
    "day change 0 20544 1": keys.day_change(0, 20_544, 1),
    "member 1000": keys.member(1_000),
    "person 0": keys.person(0, person(1)),
    "claim 45": keys.claim(45),
    **LIFE_KEYS,
    **APPLICATION_KEYS,
    "key state": keys.key_state,
    "key epoch 1": keys.key_epoch(1),
    "key dealing 1 3": keys.key_dealing(1, 3),
    "key refusal 1 3": keys.key_refusal(1, 3),
    "holder of a paper": keys.value_holder(ValueKind.PAPER, person(4)),
    "cohorts 0": keys.cohorts(0),
    "cohort exit 0 20605 1 20544": keys.cohort_exit(0, 20_605, 1, 20_544),
    "receivables 0": keys.receivables(0),
    "case 0 45": keys.case(0, 45),
    "account 7": keys.account(7),
    "threshold 0 32400 7": keys.threshold(0, 32_400, 7),
}


def lines() -> list[str]:
    written = ["# Bytes of the claims application's wire format, in hex. docs/protocol.md says what they mean."]
    for action in (*ACTIONS, *JURY_ACTIONS):
        made = build_transaction(person(0), key_of("x"), 7, 1_775_865_600_000, [action], lambda message: bytes(64))
        written += ["", f"action {type(action).__name__}", encode(action).hex()]
        written += [f"transaction id {made.id.hex()}", encode_transaction(made).hex()]
    for record in (*RECORDS, *JURY_RECORDS):
        written += ["", f"record {type(record).__name__}", encode(record).hex()]
    for name, key in (KEYS | JURY_KEYS).items():
        written += ["", f"key {name}", key.hex()]
    genesis = make_genesis(plans=(PLAN,))
    written += ["", "genesis", encode(genesis).hex(), f"genesis digest {genesis.digest.hex()}"]
    written += [f"person commitment {person_commitment(bytes(range(32)), 'Somebody 1990-06-01').hex()}"]
    written += [f"commitment {commitment(bytes(range(32)), b'report').hex()}"]
    return written


def test_the_bytes_are_those_of_the_golden_file() -> None:
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    assert lines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_every_kind_of_record_and_action_has_golden_bytes() -> None:
    """A new wire type joins this list, or its format could change unseen."""
    kinds = {kind for kind in _subclasses(Wire) if kind.__module__.startswith("node.claims.")}
    shown = {type(item) for item in (*ACTIONS, *JURY_ACTIONS, *RECORDS, *JURY_RECORDS)}
    # Inside others, or part of the genesis, whose digest is in the file.
    inside = {
        "NewMember",
        "Applicant",
        "Transaction",
        "BlockContext",
        "Genesis",
        "Organisation",
        "PlanTerms",
        "Ailment",
        "AgeBand",
    }
    inside |= {
        "Calendar",
        "StepDeadlines",
        "Clause",
        "ClaimRules",
        "ReviewNote",
        "EvidenceRules",
        "Recipient",
        "Opening",
    }
    inside |= {"Calendar", "StepDeadlines", "Clause", "ClaimRules", "ReviewNote", "Costs", "Cohort"}
    inside |= JURY_PARTS
    inside |= {"Calendar", "StepDeadlines", "Clause", "ClaimRules", "ReviewNote", "PlanLife"}
    assert {kind.__name__ for kind in kinds - shown} == inside


def _subclasses(kind: type[Wire]) -> set[type[Wire]]:
    found = set(kind.__subclasses__())
    return found.union(*(_subclasses(one) for one in found))
