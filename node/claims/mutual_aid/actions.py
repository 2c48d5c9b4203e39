"""What organisations and members may ask of mutual aid. Tags 20-59; field order is wire order.

No name, id number, diagnosis text or free text: people and papers are 32-byte commitments, grounds are
numbered clauses and reason codes.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated

from msgspec import Meta

from node.claims.nullifiers.holders import PaperValues
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
MAX_STAY_DAYS = 180


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
    COURT_ORDER = 10


class Paper(IntFlag):
    """What a claim can lack. A bit each."""

    MEDICAL_RECORD = 1
    DIAGNOSIS_REPORT = 2
    PATHOLOGY_OR_IMAGING = 4
    INVOICE = 8
    IDENTITY = 16
    ACCIDENT_REPORT = 32
    CONSENT = 64


class Extension(IntEnum):
    """Why an investigation needs more time."""

    HOSPITAL_RECORDS_OUTSTANDING = 1
    FIELD_VISIT_OUTSTANDING = 2
    EXPERT_OPINION_OUTSTANDING = 3
    CLAIMANT_UNAVAILABLE = 4


class StayEnd(IntEnum):
    """How a stay is lifted: the claim goes on where it was, or as a court has decided."""

    RESUME = 1
    GRANT = 2
    REFUSE = 3


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
    units: Annotated[int, Meta(ge=1, le=10)] = 1
    """How many shares the person pays of each cycle."""


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
    event: OptionalCommitment = b""
    """Keyed value of person, hospital, day and ailment, 32 bytes, or b"": see docs/duplicates.md."""
    papers: PaperValues = ()
    """Keyed values of the papers, rising."""


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


class AdmitClaim(Wire, frozen=True, kw_only=True, tag=25):
    """The assigned intake organisation has found the papers complete."""

    claim: Unsigned


class ReturnClaim(Wire, frozen=True, kw_only=True, tag=26):
    """The assigned intake organisation asks for missing papers."""

    claim: Unsigned
    missing: Annotated[int, Meta(ge=0, le=127)]
    """Bits of Paper; at least one."""


class ResubmitClaim(Wire, frozen=True, kw_only=True, tag=27):
    """The member, or an intake organisation for it, sends the missing papers."""

    claim: Unsigned
    evidence: Commitment
    """Commits to all papers, the earlier ones included."""
    papers: PaperValues = ()
    """Keyed values of the papers that are new, rising."""


class ExtendInvestigation(Wire, frozen=True, kw_only=True, tag=28):
    """The assigned investigator needs more time; once for each claim."""

    claim: Unsigned
    reason: Annotated[int, Meta(ge=0, le=255)]
    """An Extension."""


class Recuse(Wire, frozen=True, kw_only=True, tag=29):
    """The assigned investigator or reviewer has a tie to the claimant: the next one's turn, with no fault."""

    claim: Unsigned


class Object(Wire, frozen=True, kw_only=True, tag=30):
    """A member objects to a published claim: with its own key, or through its enroller."""

    claim: Unsigned
    member: Unsigned
    """Who objects."""
    evidence: Commitment


class DecideObjection(Wire, frozen=True, kw_only=True, tag=31):
    """The assigned reviewer's decision on an objection. DENY upholds it and, as any denial, names its grounds."""

    claim: Unsigned
    decision: Decision
    clause: ClauseNumber = ""
    evidence: OptionalCommitment = b""
    reason: ReasonNumber = 0


class WithdrawClaim(Wire, frozen=True, kw_only=True, tag=32):
    """The member takes the claim back: with its own key, or through the filer or its enroller."""

    claim: Unsigned


class StayClaim(Wire, frozen=True, kw_only=True, tag=33):
    """A regulator stops a claim for a time. It may be stayed again; without that it goes on by itself."""

    claim: Unsigned
    order: Commitment
    days: Annotated[int, Meta(ge=1, le=MAX_STAY_DAYS)]


class LiftStay(Wire, frozen=True, kw_only=True, tag=34):
    """A regulator lets a stayed claim go on, or carries out what a court has decided."""

    claim: Unsigned
    end: StayEnd
    order: Commitment
    clause: ClauseNumber = ""
    """With REFUSE: the clause that the court applies."""


Sum = Annotated[int, Meta(ge=1, le=2**53 - 1)]
"""A sum of many shares or payouts, minor units."""


class RecordReceipt(Wire, frozen=True, kw_only=True, tag=45):
    """A payment organisation has received money for a plan from an organisation: what it collected from its
    members, or what it bears as the plan's sponsor."""

    plan: PlanCode
    organisation: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
    amount: Sum
    receipt: Commitment
    sponsor: bool = False


class Leave(Wire, frozen=True, kw_only=True, tag=46):
    """A member leaves the plan at the end of the day: with its own key, or through its enroller. A cycle that was
    disclosed by then is still shared."""

    member: Unsigned
    family: bool = False
    """All for whom the member pays leave as well."""


class MoveMember(Wire, frozen=True, kw_only=True, tag=47):
    """Moves a member to another plan, or to another number of units, from tomorrow: through its enroller. The
    days already waited count."""

    member: Unsigned
    plan: PlanCode
    units: Annotated[int, Meta(ge=0, le=10)] = 0
    """0: as before."""
    payer: Unsigned = 0
    """Number of the member who pays in the new plan, or 0: pays for itself."""


class SetKey(Wire, frozen=True, kw_only=True, tag=48):
    """Gives a member a key of its own, another one, or none: through its enroller."""

    member: Unsigned
    key: Annotated[bytes, Meta(max_length=32)]


class RecordContribution(Wire, frozen=True, kw_only=True, tag=49):
    """The member has paid its enroller. Without arrears this opens a balance that the chain watches from then on;
    all shares before it count as paid."""

    member: Unsigned
    amount: Sum
    receipt: Commitment


class ReportArrears(Wire, frozen=True, kw_only=True, tag=50):
    """The enroller collects for the member and could not collect the shares of the last settled cycle."""

    member: Unsigned
    amount: Sum
    """All that the member owes, dependants included."""


class CloseBalance(Wire, frozen=True, kw_only=True, tag=51):
    """The enroller pays the balance back and collects for the member from now on."""

    member: Unsigned
    receipt: Commitment


class ResolveHold(Wire, frozen=True, kw_only=True, tag=35):
    """The assigned reviewer's answer to a duplicate. ACCEPT clears it and commits to the explanation; DENY denies
    the claim and, as any denial, names its grounds."""

    claim: Unsigned
    decision: Decision
    clause: ClauseNumber = ""
    evidence: OptionalCommitment = b""
    reason: ReasonNumber = 0


class DeclareTie(Wire, frozen=True, kw_only=True, tag=36):
    """The sender's own conflict of interest, declared in advance: with a member, or with an organisation."""

    member: Unsigned = 0
    organisation: Annotated[str, Meta(max_length=32)] = ""
    """Name of the other organisation, if it is no member."""
    ends: bool = False
    """The tie is over."""


class OpenClawback(Wire, frozen=True, kw_only=True, tag=37):
    """A reviewer calls a paid claim fraud: with a report, the clause and the reason."""

    claim: Unsigned
    report: Commitment
    clause: ClauseNumber = ""
    reason: ReasonNumber = 0


class AnswerClawback(Wire, frozen=True, kw_only=True, tag=38):
    """The member's answer: with its own key, or through its enroller."""

    claim: Unsigned
    answer: Commitment


class VoteClawback(Wire, frozen=True, kw_only=True, tag=39):
    """An organisation of the panel upholds or drops a clawback."""

    claim: Unsigned
    uphold: bool


class RecordRecovery(Wire, frozen=True, kw_only=True, tag=40):
    """A payment organisation has received what was demanded back, or a part."""

    claim: Unsigned
    amount: Amount
    receipt: Commitment


class VoteWriteOff(Wire, frozen=True, kw_only=True, tag=41):
    """An organisation of the panel gives up what has not come back."""

    claim: Unsigned


class ReopenClaim(Wire, frozen=True, kw_only=True, tag=42):
    """A claim that ended unpaid is investigated again: by a reviewer without a part in it, on new evidence; or by a
    regulator, as a court has ordered."""

    claim: Unsigned
    evidence: Commitment
    """Commits to all papers, the new ones included."""
    order: OptionalCommitment = b""
    """The court's order, or b""."""
