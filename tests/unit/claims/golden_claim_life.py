"""Actions, records and keys of a claim's life for the golden file."""

from __future__ import annotations

from node.claims import keys
from node.claims.mutual_aid.actions import (
    AnswerClawback,
    Decision,
    DeclareTie,
    OpenClawback,
    Reason,
    RecordRecovery,
    ReopenClaim,
    ResolveHold,
    VoteClawback,
    VoteWriteOff,
)
from node.claims.mutual_aid.records import ClawbackRecord, TieRecord
from node.claims.transaction import Action
from node.claims.wire import Wire
from tests.factories import person

LIFE_ACTIONS: tuple[Action, ...] = (
    ResolveHold(claim=45, decision=Decision.ACCEPT, evidence=person(14)),
    DeclareTie(member=7),
    DeclareTie(organisation="b", ends=True),
    OpenClawback(claim=45, report=person(15), clause="3.1", reason=Reason.EVIDENCE_FALSE),
    AnswerClawback(claim=45, answer=person(16)),
    VoteClawback(claim=45, uphold=True),
    RecordRecovery(claim=45, amount=10_000_000, receipt=person(17)),
    VoteWriteOff(claim=45),
    ReopenClaim(claim=45, evidence=person(18)),
    ReopenClaim(claim=45, evidence=person(18), order=person(13)),
)
LIFE_RECORDS: tuple[Wire, ...] = (
    TieRecord(organisations=(1, 3)),
    ClawbackRecord(
        opener=1,
        opened_ms=1_780_000_000_000,
        paid_ms=1_777_334_400_005,
        report=person(15),
        clause="3.1",
        reason=6,
        panel=(0, 2),
        quorum=2,
        hearing_ms=1_781_209_600_000,
        answer=person(16),
        upholds=(0, 2),
        amount=30_000_000,
        recovered=10_000_000,
        receipts=(person(17),),
    ),
)
LIFE_KEYS: dict[str, bytes] = {
    "clawback 45": keys.clawback(45),
    "tie of member 7": keys.tie_of_member(7),
    "tie of organisation 1": keys.tie_of_organisation(1),
}
