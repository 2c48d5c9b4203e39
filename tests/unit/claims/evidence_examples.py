"""One of each action and record of evidence items, for the golden file and the table of roles."""

from __future__ import annotations

from node.claims.evidence.actions import (
    ConfirmErasure,
    EraseEvidence,
    GrantEvidence,
    HoldEvidence,
    Opening,
    Purpose,
    Recipient,
    RecordOpening,
    RegisterEvidence,
    RestrainErasure,
)
from node.claims.evidence.records import GrantRecord, ItemCounter, ItemRecord, ItemStatus, OpeningRecord
from node.claims.genesis import Role
from node.claims.transaction import Action
from node.claims.wire import Wire
from tests.factories import key_of, person

_RECIPIENT = Recipient(key=key_of("m"), purpose=Purpose.AUDIT, until_ms=1_775_865_600_000)

EVIDENCE_ACTIONS: tuple[Action, ...] = (
    RegisterEvidence(claim=45, commitment=person(1), ciphertext=person(2), bucket=6, recipients=(_RECIPIENT,)),
    HoldEvidence(item=12),
    GrantEvidence(item=12, recipient=_RECIPIENT),
    RecordOpening(openings=(Opening(item=12, recipient=key_of("m"), opened_ms=1_775_865_600_001, receipt=person(3)),)),
    EraseEvidence(item=12),
    ConfirmErasure(item=12),
    RestrainErasure(item=12, order=b""),
)
EVIDENCE_RECORDS: tuple[Wire, ...] = (
    ItemCounter(next_item=13),
    ItemRecord(
        claim=45,
        organisation=2,
        member=0,
        commitment=person(1),
        ciphertext=person(2),
        bucket=6,
        registered_ms=1_775_865_600_000,
        status=ItemStatus.ERASING,
        holders=(0, 2),
        signed=(2,),
        erasing_ms=1_795_865_600_000,
        deadline_ms=1_796_470_400_000,
        changed_ms=1_795_865_600_001,
    ),
    GrantRecord(purpose=Purpose.REVIEW, until_ms=2, granted_ms=1, organisation=-1, member=7),
    OpeningRecord(organisation=2, recipient=key_of("m"), purpose=Purpose.REVIEW, opened_ms=3),
)
_DESKS = (Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT)
EVIDENCE_MAY: dict[type[Wire], tuple[Role, ...]] = {
    RegisterEvidence: _DESKS,
    HoldEvidence: _DESKS,
    GrantEvidence: (*_DESKS, Role.ENROLLER),
    RecordOpening: (*_DESKS, Role.ENROLLER),
    EraseEvidence: (*_DESKS, Role.ENROLLER),
    ConfirmErasure: (*_DESKS, Role.ENROLLER),
    RestrainErasure: (Role.REGULATOR,),
}
EVIDENCE_MEMBERS_MAY = (RegisterEvidence, GrantEvidence, EraseEvidence)
