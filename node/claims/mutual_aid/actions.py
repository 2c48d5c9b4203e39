"""What organisations and members may ask of mutual aid. Tags 20-59; field order is wire order.

No name, id number, diagnosis text or free text: people and papers are 32-byte commitments, grounds are
numbered clauses and reason codes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from node.claims.types import (
    AilmentCode,
    Amount,
    ClauseNumber,
    Commitment,
    DayNumber,
    MonthIndex,
    OptionalCommitment,
    PlanCode,
    Unsigned,
)
from node.claims.wire import Wire

MAX_BATCH = 1_000


class Finding(IntEnum):
    """What an investigation found: for or against the claim."""

    PASS = 1
    FAIL = 2


class Decision(IntEnum):
    """What a review decided."""

    ACCEPT = 1
    DENY = 2


class Reason(IntEnum):
    """Grounds of a finding or denial. Part of the chain format: add at the end, never renumber."""

    DEFINITION_NOT_MET = 1
    CONDITION_BEFORE_COVER = 2
    DECLARATION_UNTRUE = 3
    EXCLUDED_CAUSE = 4
    EVIDENCE_INSUFFICIENT = 5
    EVIDENCE_FALSE = 6
    IDENTITY_NOT_PROVEN = 7
    ALREADY_REIMBURSED = 8
    NOT_MEDICALLY_NECESSARY = 9


ReasonNumber = Annotated[int, Meta(ge=0, le=255)]
"""A Reason, or 0 for none."""


class NewMember(Wire, frozen=True, kw_only=True):
    """One person in a batch."""

    person: Commitment
    """Keyed commitment to the person's identity: the same person gives the same value to every organisation."""
    birth_month: MonthIndex
    """Month only: an age is reached on the first day of the birth month. See calendar.py for why."""
    key: Annotated[bytes, Meta(max_length=32)] = b""
    """Ed25519 public key with which the member may file claims, 32 bytes, or b""."""
    payer: Annotated[int, Meta(ge=-MAX_BATCH, le=2**53 - 1)] = 0
    """0: pays for itself; above 0: number of the member who pays; -(i + 1): index i, earlier in this batch."""


class Enrol(Wire, frozen=True, kw_only=True, tag=20):
    """Enrols 1 to 1,000 people in a plan, all or none."""

    plan: PlanCode
    members: Annotated[tuple[NewMember, ...], Meta(min_length=1, max_length=MAX_BATCH)]


class FileClaim(Wire, frozen=True, kw_only=True, tag=21):
    """Files a member's claim: by intake of any organisation, or by the member's own key."""

    plan: PlanCode
    member: Unsigned
    ailment: AilmentCode
    diagnosis_day: DayNumber
    """Days since 1970-01-01 in the plan's time zone; of an accident, the day of the accident."""
    accident: bool
    evidence: Commitment
    amount: Amount = 0
    """Reimbursement plans: what the receipts add up to, minor units. Fixed benefits: 0."""


class Investigate(Wire, frozen=True, kw_only=True, tag=22):
    """The assigned investigator's report."""

    claim: Unsigned
    finding: Finding
    report: Commitment
    clause: ClauseNumber = ""
    reason: ReasonNumber = 0


class Review(Wire, frozen=True, kw_only=True, tag=23):
    """The assigned reviewer's decision. A denial names clause, evidence item and reason."""

    claim: Unsigned
    decision: Decision
    amount: Amount = 0
    """Reimbursement plans: what is granted, at most what was asked. Fixed benefits, denials: 0."""
    clause: ClauseNumber = ""
    evidence: OptionalCommitment = b""
    reason: ReasonNumber = 0


class ConfirmPayment(Wire, frozen=True, kw_only=True, tag=24):
    """The assigned payment organisation has paid the claimant."""

    claim: Unsigned
    amount: Amount
    receipt: Commitment
