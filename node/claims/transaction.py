"""A transaction: a signed list of actions, carried out all or none.

The signature covers every field but itself, after a tag for the kind; the id is the SHA-256 of the same
bytes, so a transaction has one id however its signature was made.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from node.claims.consortium import RecordEvidence
from node.claims.evidence.actions import (
    ConfirmErasure,
    EraseEvidence,
    GrantEvidence,
    HoldEvidence,
    RecordOpening,
    RegisterEvidence,
    RestrainErasure,
)
from node.claims.jury.actions import (
    AppealVerdict,
    CastBallots,
    DealBeacon,
    EnrolJurors,
    GradePapers,
    IssuePapers,
    LockStatement,
    OpenBeacon,
    PublishBank,
    RegisterJuryKeys,
    ReinstateJuror,
    RequestJury,
    ResignJuror,
    RevealBallots,
    StopJury,
    SuspendJuror,
)
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    AnswerClawback,
    CloseBalance,
    ConfirmPayment,
    DecideObjection,
    DeclareTie,
    Enrol,
    ExtendInvestigation,
    FileClaim,
    Investigate,
    Leave,
    LiftStay,
    MoveMember,
    Object,
    OpenClawback,
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
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Apply,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.plan_actions import (
    AgreeToSponsor,
    LiftSuspension,
    OpenVote,
    ProposeChange,
    ProposePlan,
    ProposeTerms,
    SuspendPlan,
    VoteProposal,
    WithdrawProposal,
)
from node.claims.nullifiers.actions import ConfirmKey, DealKey, RefuseKey
from node.claims.types import Commitment, PublicKeyBytes, SignatureBytes, Unsigned
from node.claims.wire import Wire, decode, encode

MAX_TRANSACTION_BYTES: Final = 256 * 1024
MAX_ACTIONS: Final = 64

_KIND: Final = "weal/transaction/1"
_SIGNED_PREFIX: Final = b"\x96" + encode(_KIND)
"""The signed bytes are an array of six, like the transaction itself: kind first, no signature at the end."""
_SIGNATURE_BYTES: Final = 66
"""A signature with its msgpack header."""

Action = (
    RecordEvidence
    | Enrol
    | FileClaim
    | Investigate
    | Review
    | ConfirmPayment
    | AdmitClaim
    | ReturnClaim
    | ResubmitClaim
    | ExtendInvestigation
    | Recuse
    | Object
    | DecideObjection
    | WithdrawClaim
    | StayClaim
    | LiftStay
    | ResolveHold
    | DeclareTie
    | OpenClawback
    | AnswerClawback
    | VoteClawback
    | RecordRecovery
    | VoteWriteOff
    | ReopenClaim
    | DealKey
    | ConfirmKey
    | RefuseKey
    | RegisterEvidence
    | HoldEvidence
    | GrantEvidence
    | RecordOpening
    | EraseEvidence
    | ConfirmErasure
    | RestrainErasure
    | RecordReceipt
    | Leave
    | MoveMember
    | SetKey
    | RecordContribution
    | ReportArrears
    | CloseBalance
    | Apply
    | AcceptApplication
    | RefuseApplication
    | WithdrawApplication
    | PublishBank
    | RegisterJuryKeys
    | EnrolJurors
    | IssuePapers
    | GradePapers
    | SuspendJuror
    | ReinstateJuror
    | ResignJuror
    | RequestJury
    | LockStatement
    | CastBallots
    | RevealBallots
    | StopJury
    | DealBeacon
    | OpenBeacon
    | AppealVerdict
    | ProposeTerms
    | ProposePlan
    | ProposeChange
    | OpenVote
    | VoteProposal
    | WithdrawProposal
    | AgreeToSponsor
    | SuspendPlan
    | LiftSuspension
)
"""Tagged by integers: consortium 1-19, mutual aid 20-119, evidence 120-139, duplicates 140-149."""


class Transaction(Wire, frozen=True, kw_only=True, dict=True, gc=True):
    """Field order is wire order. `dict` is for the cached properties and is not encoded."""

    genesis: Commitment
    sender: PublicKeyBytes
    sequence: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    valid_until_ms: Unsigned
    actions: Annotated[tuple[Action, ...], Meta(min_length=1, max_length=MAX_ACTIONS)]
    signature: SignatureBytes

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return self._signed

    @cached_property
    def _signed(self) -> bytes:
        return encode((_KIND, self.genesis, self.sender, self.sequence, self.valid_until_ms, self.actions))

    @cached_property
    def id(self) -> bytes:
        """SHA-256 of the signed bytes."""
        return sha256(self._signed).digest()


def decode_transaction(data: bytes) -> Transaction:
    """Raises Malformed unless `data` is canonical and every field within its limits. Checks no signature."""
    transaction = decode(Transaction, data, MAX_TRANSACTION_BYTES)
    # Canonical bytes hold the signed bytes as a slice; encoding them a second time would be waste.
    transaction.__dict__["_signed"] = _SIGNED_PREFIX + data[1:-_SIGNATURE_BYTES]
    return transaction


def id_of(data: bytes) -> bytes:
    """The id of the transaction that `data` holds, if it holds one: nothing is decoded or checked."""
    return sha256(_SIGNED_PREFIX + data[1:-_SIGNATURE_BYTES]).digest()


def encode_transaction(transaction: Transaction) -> bytes:
    """Canonical bytes, as sent and stored."""
    return encode(transaction)
