"""The terms on which a chain starts: organisations with keys and roles, plans in immutable versions.

Plain data. The digest of it names the chain and is part of everything signed. Enums are words here, so
that a genesis file reads well; state records use numbers.
"""

from __future__ import annotations

from csv import DictReader
from enum import Enum
from hashlib import sha256
from io import StringIO
from typing import Annotated

from msgspec import Meta

from node.claims.claim_rules import ClaimRules
from node.claims.jury.terms import JuryTerms
from node.claims.plain import BadValue, from_plain
from node.claims.types import (
    DAY_MS,
    MAX_MEMBERS,
    MAX_ORGANISATIONS,
    MAX_PLANS,
    AilmentCode,
    Amount,
    ClauseNumber,
    DayNumber,
    Days,
    Hours,
    PlanCode,
    PublicKeyBytes,
    Unsigned,
)
from node.claims.wire import Wire, encode

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
OrganisationName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
AgeYears = Annotated[int, Meta(ge=0, le=150)]
DayOfMonth = Annotated[int, Meta(ge=1, le=28)]
NodeKey = Annotated[bytes, Meta(max_length=32)]


class Role(Enum):
    """What an organisation may do. An auditor reads, and may only record evidence; a regulator may stay a claim."""

    ENROLLER = "enroller"
    INTAKE = "intake"
    INVESTIGATOR = "investigator"
    REVIEWER = "reviewer"
    PAYMENT = "payment"
    AUDITOR = "auditor"
    REGULATOR = "regulator"


class Benefit(Enum):
    """FIXED: one sum from the table, once. REIMBURSEMENT: receipts, up to the table's ceiling per claim."""

    FIXED = "fixed"
    REIMBURSEMENT = "reimbursement"


class Tier(Enum):
    """Severity class of an ailment, a column of the benefit table. STANDARD: plans without severities."""

    SEVERE = "severe"
    MILD = "mild"
    RARE = "rare"
    SPECIAL = "special"
    STANDARD = "standard"


class AilmentTrigger(Enum):
    """What makes the condition payable: a diagnosis, a procedure, or a lasting state."""

    DIAGNOSIS = "diagnosis"
    PROCEDURE = "procedure"
    STATE = "state"


class Ailment(Wire, frozen=True, kw_only=True):
    """One row of a plan's ailment table."""

    code: AilmentCode
    icd10: Annotated[str, Meta(max_length=200)]
    """WHO ICD-10: "A-B" is a range, ";" separates."""
    name: Annotated[str, Meta(max_length=120)]
    tier: Tier
    trigger: AilmentTrigger
    observation_days: Days
    """A claim can be filed only this many days after the diagnosis."""


class AgeBand(Wire, frozen=True, kw_only=True):
    """Benefits for ages from..to in whole years, both included. 0: no benefit of that tier. Minor units."""

    from_age_years: AgeYears
    to_age_years: AgeYears
    severe_minor_units: Amount = 0
    mild_minor_units: Amount = 0
    rare_minor_units: Amount = 0
    special_minor_units: Amount = 0
    standard_minor_units: Amount = 0

    def benefit(self, tier: Tier) -> int:
        amount: int = getattr(self, f"{tier.value}_minor_units")
        return amount


class Calendar(Wire, frozen=True, kw_only=True):
    """When cycles are disclosed and settled: on days of the month, or every `cycle_days` from genesis."""

    disclosure_days_of_month: Annotated[tuple[DayOfMonth, ...], Meta(max_length=4)] = ()
    """Rising. Empty: use cycle_days."""
    settlement_days_of_month: Annotated[tuple[DayOfMonth, ...], Meta(max_length=4)] = ()
    """One for each disclosure day, later in the same month."""
    cycle_days: Days = 0
    settlement_after_days: Days = 0
    """With cycle_days: days from disclosure to settlement."""


class StepDeadlines(Wire, frozen=True, kw_only=True):
    """Time for each step; when it has passed, the chain moves the claim by itself."""

    investigation_hours: Hours
    review_hours: Hours
    disclosure_hours: Hours
    """From publication until the claim is confirmed."""
    payment_hours: Hours
    intake_hours: Hours = 120
    """To look whether papers are missing; then the claim goes on without."""
    papers_hours: Hours = 720
    """For the member to send missing papers; then the claim lapses."""
    extension_hours: Hours = 720
    """What an investigator may add to its time, once and with a reason."""
    objection_hours: Hours = 240
    """To decide an objection; then the claim is published again."""
    application_hours: Hours = 720
    """To decide an application for membership; then it lapses."""


class EvidenceRules(Wire, frozen=True, kw_only=True):
    """How long the papers of a closed claim are kept from erasure."""

    hold_after_payment_days: Days = 730
    """After the payout: as long as it may be clawed back."""
    hold_after_denial_days: Days = 365
    """After a claim was closed without a payout: as long as that may be contested."""


class Costs(Wire, frozen=True, kw_only=True):
    """Limits of what members pay, who bears the rest, and what happens to members in arrears."""

    case_cap_minor_units: Amount = 0
    """The most that a unit pays for each case of a cycle; 0: no limit."""
    year_cap_minor_units: Amount = 0
    """The most that a unit pays in a calendar year of the plan's time zone; 0: no limit."""
    sponsor: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?\Z")] = ""
    """Organisation that bears what the caps leave uncollected; "": payouts shrink in proportion."""
    pay_from_receipts: bool = False
    """Whether a claim can be paid only from money that has been collected; else payment may advance it."""
    grace_cycles: Annotated[int, Meta(ge=0, le=24)] = 1
    """Cycles in a row that a balance may fail to cover before the member is removed at the next one that fails."""
    retry_days: Annotated[int, Meta(ge=0, le=366)] = 0
    """Days from that failure in which the arrears can still be paid."""


class Clause(Wire, frozen=True, kw_only=True):
    """A numbered rule of the plan that findings and denials cite."""

    number: ClauseNumber
    title: Name


class PlanLife(Wire, frozen=True, kw_only=True):
    """How the plan itself is changed, suspended and ended. See docs/protocol.md, "Plans"."""

    notice_days: Annotated[int, Meta(ge=0, le=366)] = 14
    """From the adoption of new terms to the first day they can be in force, and from a voted end to the closing day."""
    voting_days: Annotated[int, Meta(ge=1, le=366)] = 14
    """How long organisations may vote on a proposal; then it lapses."""
    min_units: Annotated[int, Meta(ge=0, le=MAX_MEMBERS)] = 0
    """Below so many at two disclosures in a row, the plan winds down by itself; 0: never."""
    sponsor: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?\Z")] = ""
    """Organisation that bears the cost of a plan that winds down by itself; needed with min_units."""
    wind_down_days: Annotated[int, Meta(ge=1, le=730)] = 30
    """From then to the closing day, on which cover ends."""
    run_off_days: Annotated[int, Meta(ge=1, le=3_660)] = 180
    """After the closing day: so long claims diagnosed before it may be filed."""
    refund_surplus: bool = True
    """Whether what is left over at the end goes back to those who shared when the end was announced."""
    refund_cycles: Annotated[int, Meta(ge=0, le=48)] = 0
    """Shares of so many last cycles before the announcement are paid back by the sponsor."""


class PlanTerms(Wire, frozen=True, kw_only=True):
    """One immutable version of a plan. Claims are judged by the version of their day of diagnosis."""

    code: PlanCode
    version: Annotated[int, Meta(ge=1, le=65_535)]
    name: Name
    effective_day: DayNumber = 0
    """In force from 00:00 of this day (days since 1970-01-01) until a later version is."""
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    minor_digits: Annotated[int, Meta(ge=0, le=4)] = 2
    benefit: Benefit
    utc_offset_minutes: Annotated[int, Meta(ge=-840, le=840)]
    waiting_days: Days
    """Cover begins at 00:00 of the day this many days after enrolment; the next day at the earliest."""
    waiting_members_share: bool
    """Whether members share costs from the day after enrolment, or only once covered."""
    entry_age_min_months: Annotated[int, Meta(ge=0, le=1_800)]
    entry_age_max_years: AgeYears
    cover_until_age_years: AgeYears = 0
    """Cover ends on reaching this age; 0: never."""
    report_window_days: Days
    """A claim must be filed this many days after the diagnosis, or after its observation days, at the latest."""
    open_claims_max: Annotated[int, Meta(ge=1, le=100)] = 1
    """Claims of one member that may be open at once."""
    exit_after_payout: bool
    """Whether a member who was paid leaves the plan, and shares costs no more from the next cycle."""
    fee_bps: Annotated[int, Meta(ge=0, le=10_000)]
    calendar: Calendar
    deadlines: StepDeadlines
    age_bands: Annotated[tuple[AgeBand, ...], Meta(min_length=1, max_length=32)]
    clauses: Annotated[tuple[Clause, ...], Meta(min_length=1, max_length=200)]
    ailments: Annotated[tuple[Ailment, ...], Meta(min_length=1, max_length=1_000)]
    objections_max: Annotated[int, Meta(ge=0, le=10)] = 2
    """How many objections to one claim are decided; without an end, a few could stall any claim for ever."""
    claim_rules: ClaimRules = ClaimRules()
    evidence: EvidenceRules = EvidenceRules()
    costs: Costs = Costs()
    jury: JuryTerms = JuryTerms()
    life: PlanLife = PlanLife()


class Organisation(Wire, frozen=True, kw_only=True):
    """A member of the consortium."""

    name: OrganisationName
    node_key: NodeKey
    """Ed25519 public key of its node; b"" if it runs none."""
    account_keys: Annotated[tuple[PublicKeyBytes, ...], Meta(max_length=64)]
    """Keys whose transactions count as the organisation's."""
    roles: Annotated[tuple[Role, ...], Meta(max_length=16)]


class Genesis(Wire, frozen=True, kw_only=True):
    """Everything the first block builds on."""

    chain: Name
    time_ms: Unsigned
    time_scale: Annotated[int, Meta(ge=1, le=10_000_000)] = 1
    """Chain seconds per real second; above 1 only for demonstrations."""
    max_validity_ms: Annotated[int, Meta(ge=1_000, le=366 * DAY_MS)] = DAY_MS
    """How far ahead of block time a transaction's valid_until_ms may lie, chain ms."""
    deadlines_per_block: Annotated[int, Meta(ge=1, le=100_000)] = 2_000
    organisations: Annotated[tuple[Organisation, ...], Meta(min_length=1, max_length=MAX_ORGANISATIONS)]
    plans: Annotated[tuple[PlanTerms, ...], Meta(max_length=4 * MAX_PLANS)] = ()

    @property
    def digest(self) -> bytes:
        """Names the chain."""
        return sha256(b"weal/genesis/1\0" + encode(self)).digest()


def read_ailments(text: str) -> tuple[Ailment, ...]:
    """The ailment table of a CSV such as configs/ailments.csv. Raises BadValue naming the line."""
    ailments = []
    for number, row in enumerate(DictReader(StringIO(text)), start=2):
        where = f"line {number}"
        try:
            fields = {
                "code": row["code"],
                "icd10": row["icd10"],
                "name": row["name_en"],
                "tier": row["tier"],
                "trigger": row["trigger"],
                "observation_days": int(row["observation_days"]),
            }
        except KeyError as error:
            raise BadValue(where, f"the column {error} is missing") from None
        except (TypeError, ValueError):
            raise BadValue(where, "observation_days must be a whole number of days") from None
        ailments.append(from_plain(Ailment, fields, where))
    return tuple(ailments)
