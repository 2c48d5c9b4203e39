"""Plans, what is proposed for them, and reports on them as the API answers them. See claims_shapes.py."""

from __future__ import annotations

from typing import Any

import msgspec

from node.api.claims_shapes import Money, View


class TotalsView(View):
    """Totals of one plan."""

    members_enrolled: int
    members_sharing: int
    members_sharing_of: dict[str, int]
    applications_by_status: dict[str, int]
    claims: int
    claims_by_status: dict[str, int]
    open_cycle: int
    next_disclosure_ms: int
    next_settlement_ms: int
    currency: str
    shared: Money
    settled: Money
    fees: Money
    surplus: Money
    payable: Money
    paid: Money
    confirmed: Money
    share_since_start: Money
    sponsored: Money
    """Shortfalls that sponsors bear, and what of it they have handed over."""
    sponsor_receipts: Money
    receipts: Money
    """What organisations have handed over of their members' shares."""
    receivable_of: dict[str, Money]
    """What each still owes."""
    recovered: Money
    to_recover: Money
    written_off: Money
    cash: Money
    """Receipts less payments, before the fee; below 0: advanced by payment organisations."""


class PlanTotalsView(TotalsView):
    plan: str


class TermsView(View):
    """One version of a plan, as in the genesis file."""

    code: str
    version: int
    name: str
    effective_day: int
    currency: str
    minor_digits: int
    benefit: str
    utc_offset_minutes: int
    waiting_days: int
    waiting_members_share: bool
    entry_age_min_months: int
    entry_age_max_years: int
    cover_until_age_years: int
    report_window_days: int
    open_claims_max: int
    exit_after_payout: bool
    fee_bps: int
    calendar: dict[str, Any]
    deadlines: dict[str, int]
    objections_max: int
    claim_rules: dict[str, int]
    costs: dict[str, Any]
    jury: dict[str, Any]
    age_bands: list[dict[str, int]]
    clauses: list[dict[str, str]]
    ailments: list[dict[str, Any]]
    evidence: dict[str, int]
    life: dict[str, Any]
    """How the plan itself is changed and ended."""


class LifecycleView(View):
    """Where a plan is in its life."""

    status: str
    since_ms: int
    until_ms: int | None
    """When the clock moves it by itself."""
    order: str | None
    end_announced_ms: int | None
    cover_until: str | None
    claims_until_ms: int | None
    sponsor: str | None
    refunded: Money


class ProposalView(View):
    """What an organisation proposes, and the votes on it."""

    id: str
    kind: str
    status: str
    plan: str
    version: int | None
    proposed_by: str
    ends_ms: int
    yes: list[str]
    no: list[str]
    votes_needed: int
    sponsors: list[str]
    sponsors_agreed: list[str]
    date: str | None
    """First day in force, or closing day."""


class OpenProposalView(ProposalView):
    terms: TermsView | None
    """While it is open, and carries terms."""


class ReportCell(View):
    count: str
    """A number, "<5" if it is smaller, or "hidden" if it would give a smaller one away."""
    claimed: Money | None
    granted: Money | None


class ReportView(View):
    """Aggregates of a plan's claims filed in a period. Nothing in it is about a person."""

    plan: str
    from_: str = msgspec.field(name="from")
    to: str
    currency: str
    small_cell: int
    total: ReportCell
    by_status: dict[str, ReportCell]
    by_tier: dict[str, ReportCell]
    by_age_band: dict[str, ReportCell]
    by_decision_time: dict[str, ReportCell]
    missed_deadlines: dict[str, dict[str, int]]
    """Since the beginning of the chain."""


class PlanView(TermsView):
    """Terms in force when the open cycle is disclosed, as in the genesis file, and totals."""

    number: int
    versions: list[int]
    totals: TotalsView
    lifecycle: LifecycleView


class ProgrammeView(View):
    """Totals of every plan, and of all together."""

    chain: str
    members_enrolled: int
    claims: int
    claims_by_status: dict[str, int]
    plans: list[PlanTotalsView]
