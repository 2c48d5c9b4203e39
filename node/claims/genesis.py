"""The terms on which a chain starts: organisations with keys and roles, plans in immutable versions.

Plain data. The digest of it names the chain and is part of everything signed. Enums are words here, so
that a genesis file reads well; state records use numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from csv import DictReader
from enum import Enum
from hashlib import sha256
from io import StringIO
from typing import Annotated

from msgspec import Meta

from node.claims.calendar import date_of
from node.claims.claim_rules import ClaimRules, rules_problems
from node.claims.jury.terms import JuryTerms
from node.claims.plain import BadValue, from_plain, to_plain
from node.claims.types import (
    DAY_MS,
    HOUR_MS,
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


def plan_from_mapping(mapping: dict[str, object], ailments: tuple[Ailment, ...]) -> PlanTerms:
    """Plan terms of a parsed TOML file (see configs/plans/) and its ailment table. Raises BadValue."""
    fields = {key: value for key, value in mapping.items() if key != "ailments_file"}
    plan = from_plain(PlanTerms, fields | {"ailments": to_plain(ailments)})
    for problem in _plan_problems(plan, ""):
        raise problem
    return plan


def check_genesis(genesis: Genesis) -> None:
    """Raises BadValue for what the shape alone cannot show: duplicates, gaps, roles that nobody can fill."""
    for problem in _organisation_problems(genesis):
        raise problem
    seen: set[tuple[str, int]] = set()
    latest: dict[str, PlanTerms] = {}
    shortest_days: dict[str, int] = {}
    for index, plan in enumerate(genesis.plans):
        path = f"plans[{index}]"
        if (plan.code, plan.version) in seen:
            raise BadValue(path, f"{plan.code} version {plan.version} appears twice")
        seen.add((plan.code, plan.version))
        before = latest.get(plan.code)
        if before is not None:
            if plan.version <= before.version or plan.effective_day <= before.effective_day:
                raise BadValue(path, f"versions of {plan.code} must follow each other in number and effective_day")
            fixed = ("currency", "minor_digits", "benefit", "utc_offset_minutes", "waiting_members_share")
            for name in fixed:
                if getattr(plan, name) != getattr(before, name):
                    raise BadValue(f"{path}.{name}", "a new version cannot change this; make it a new plan")
            for problem in _cap_problems(before, plan, path + "."):
                raise problem
        latest[plan.code] = plan
        for problem in _plan_problems(plan, path + "."):
            raise problem
        sponsor = plan.costs.sponsor
        if sponsor and sponsor not in [organisation.name for organisation in genesis.organisations]:
            raise BadValue(f"{path}.costs.sponsor", f"there is no organisation {sponsor}")
        # A cycle whose dates an earlier version set may be disclosed under this one.
        shortest_days[plan.code] = min(shortest_days.get(plan.code, 3_660), _gap_days(plan.calendar))
        if plan.deadlines.disclosure_hours * HOUR_MS >= shortest_days[plan.code] * DAY_MS:
            raise BadValue(
                f"{path}.deadlines.disclosure_hours",
                f"a cycle begun under an earlier version is settled {shortest_days[plan.code]} days after its "
                "disclosure: claims must be confirmed before that",
            )
    if len(latest) > MAX_PLANS:
        raise BadValue("plans", f"at most {MAX_PLANS} plans")


def _organisation_problems(genesis: Genesis) -> Iterator[BadValue]:
    names: set[str] = set()
    keys: set[bytes] = set()
    for index, organisation in enumerate(genesis.organisations):
        path = f"organisations[{index}]"
        if organisation.name in names:
            yield BadValue(f"{path}.name", f"{organisation.name} appears twice")
        names.add(organisation.name)
        if len(organisation.node_key) not in (0, 32):
            yield BadValue(f"{path}.node_key", "must be 32 bytes, or empty if the organisation runs no node")
        if len(set(organisation.roles)) != len(organisation.roles):
            yield BadValue(f"{path}.roles", "a role appears twice")
        for key in (*organisation.account_keys, organisation.node_key):
            if key and key in keys:
                yield BadValue(path, f"the key {key.hex()[:16]}... is used twice; each node and account has its own")
            keys.add(key)
    if not genesis.plans:
        return
    holders = {role: [o.name for o in genesis.organisations if role in o.roles and o.account_keys] for role in Role}
    for role in (Role.ENROLLER, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT):
        if not holders[role]:
            yield BadValue("organisations", f"plans need an organisation with the role {role.value} and an account key")
    for name in holders[Role.INVESTIGATOR]:
        if not [reviewer for reviewer in holders[Role.REVIEWER] if reviewer != name]:
            yield BadValue(
                "organisations", f"what {name} investigates, another organisation must review: add a reviewer"
            )


def _cap_problems(before: PlanTerms, plan: PlanTerms, prefix: str) -> Iterator[BadValue]:
    """A year has one cap, and cohorts are counted from the first member on or never."""
    old, new = before.costs.year_cap_minor_units, plan.costs.year_cap_minor_units
    if old == new:
        return
    path = f"{prefix}costs.year_cap_minor_units"
    if not old:
        yield BadValue(path, "a plan without a yearly cap cannot get one; make it a new plan")
    elif date_of(plan.effective_day)[1:] != (1, 1):
        yield BadValue(path, "the yearly cap changes on 1 January only: effective_day must be one")


def _plan_problems(plan: PlanTerms, prefix: str) -> Iterator[BadValue]:
    yield from _calendar_problems(plan, prefix)
    yield from rules_problems(plan.claim_rules, prefix)
    last = -1
    for index, band in enumerate(plan.age_bands):
        if band.from_age_years <= last or band.to_age_years < band.from_age_years:
            yield BadValue(f"{prefix}age_bands[{index}]", "age bands must rise and not overlap")
        last = band.to_age_years
    for name, codes in (
        ("ailments", [ailment.code for ailment in plan.ailments]),
        ("clauses", [clause.number for clause in plan.clauses]),
    ):
        if len(set(codes)) != len(codes) or "" in codes:
            yield BadValue(f"{prefix}{name}", "codes and numbers must be present, each once")
    if plan.entry_age_min_months >= 12 * (plan.entry_age_max_years + 1):
        yield BadValue(f"{prefix}entry_age_min_months", "lies above entry_age_max_years: nobody could join")
    if 0 < plan.cover_until_age_years <= plan.entry_age_max_years:
        yield BadValue(f"{prefix}cover_until_age_years", "must lie above entry_age_max_years, or some join uncovered")
    if not any(band.benefit(ailment.tier) for band in plan.age_bands for ailment in plan.ailments):
        yield BadValue(f"{prefix}age_bands", "no ailment of the table has a benefit: amounts and tiers do not meet")
    if plan.costs.year_cap_minor_units and plan.calendar.cycle_days > 366:
        yield BadValue(f"{prefix}calendar.cycle_days", "with a yearly cap a cycle must not be longer than a year")
    if list(plan.jury.panel_sizes) != sorted(set(plan.jury.panel_sizes)):
        yield BadValue(f"{prefix}jury.panel_sizes", "each panel must be larger than the one before")
    if plan.benefit is Benefit.FIXED and plan.open_claims_max != 1:
        yield BadValue(f"{prefix}open_claims_max", "a plan that pays a fixed sum once allows one open claim")


def _calendar_problems(plan: PlanTerms, prefix: str) -> Iterator[BadValue]:
    calendar = plan.calendar
    disclosures, settlements = calendar.disclosure_days_of_month, calendar.settlement_days_of_month
    path = f"{prefix}calendar"
    if bool(disclosures) == bool(calendar.cycle_days):
        yield BadValue(path, "give disclosure_days_of_month or cycle_days, one of them")
        return
    if disclosures:
        if len(settlements) != len(disclosures):
            yield BadValue(path, "give one settlement day for each disclosure day")
            return
        ordered = [day for pair in zip(disclosures, settlements, strict=True) for day in pair]
        if ordered != sorted(set(ordered)):
            yield BadValue(path, "disclosure and settlement days must alternate and rise within the month")
            return
        if calendar.settlement_after_days:
            yield BadValue(path, "settlement_after_days goes with cycle_days, not with days of the month")
            return
    elif not 1 <= calendar.settlement_after_days <= calendar.cycle_days:
        yield BadValue(path, "settlement_after_days must be 1 to cycle_days")
        return
    elif settlements:
        yield BadValue(path, "settlement_days_of_month goes with disclosure_days_of_month, not with cycle_days")
        return
    if plan.deadlines.disclosure_hours * HOUR_MS >= _gap_days(calendar) * DAY_MS:
        yield BadValue(f"{prefix}deadlines.disclosure_hours", "claims must be confirmed before the settlement day")


def _gap_days(calendar: Calendar) -> int:
    """Least days from a disclosure to its settlement, of a calendar that has passed its checks."""
    days = zip(calendar.disclosure_days_of_month, calendar.settlement_days_of_month, strict=True)
    return min((settled - disclosed for disclosed, settled in days), default=calendar.settlement_after_days)
