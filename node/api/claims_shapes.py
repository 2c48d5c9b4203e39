"""Records of the claims application as the API answers them; they describe what `node.claims.views` makes.

A test reads real records through these types, unknown fields forbidden, so the two cannot drift apart.
Money is a decimal string with the currency beside it; `_ms` is UTC milliseconds of chain time.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

Money = Annotated[str, Meta(extra_json_schema={"pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, description="Such as 300000.00.")]


class View(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class AilmentView(View):
    code: str
    name: str
    tier: str


class InvestigationView(View):
    organisation: str
    finding: str
    report: str
    """Commitment to the report, hex."""
    clause: str | None
    reason: str | None


class ReviewView(View):
    organisation: str
    decision: str
    amount: Money | None
    clause: str | None
    evidence: str | None
    reason: str | None


class DenialView(View):
    """Why nothing is paid, whoever decided it."""

    clause: str | None
    evidence: str | None
    reason: str | None


class IntakeView(View):
    organisation: str
    missing: list[str]
    """Papers that the member was asked for."""


class DuplicateView(View):
    """An earlier claim has the same event or paper. Without an explanation the claim went on unexplained."""

    earlier_claim: str
    explanation: str | None


class ObjectionView(View):
    count: int
    by: str
    """The member who raised the last one."""
    evidence: str
    decided_by: str | None


class StayView(View):
    """The last order of a regulator; while stayed, when that ends by itself and where the claim goes on."""

    order: str
    goes_on_as: str | None
    until_ms: int | None


class RefusalView(View):
    """Why the claim was refused, and until when the member may ask for a jury."""

    stage: str
    """hold, review, objection or court."""
    organisation: str | None
    clause: str | None
    clause_title: str | None
    reason: str | None
    evidence: str | None
    """The item that the refusal cites: a commitment, hex."""
    final: bool
    jury_until_ms: int | None


class ClawbackView(View):
    """The claim was called fraud after it was paid."""

    opened_by: str
    opened_ms: int
    report: str
    clause: str
    clause_title: str | None
    reason: str | None
    answer: str | None
    answer_until_ms: int
    panel: list[str]
    quorum: int
    uphold: list[str]
    drop: list[str]
    write_off: list[str]
    demanded: Money | None
    recovered: Money | None
    receipts: list[str]


class NextStepView(View):
    """What can be done now, and who may do it."""

    step: str
    actions: list[str]
    who: list[str]


class PaymentView(View):
    organisation: str
    receipt: str


class ClaimView(View):
    """A claim. `assigned` has the next step to do, until `deadline_ms`."""

    id: str
    plan: str
    plan_version: int
    """The version in force on the day of diagnosis."""
    member: str
    status: str
    ailment: AilmentView
    diagnosis_date: str
    accident: bool
    currency: str
    claimed: Money
    amount: Money | None
    """Once it is accepted."""
    payable: Money | None
    """Once it is settled: less than `amount` if its cycle was short of money and has no sponsor, and less by the
    claimant's own arrears."""
    deducted: Money | None
    """What of it paid the claimant's own arrears."""
    evidence: str
    filed_ms: int
    filed_by: str
    changed_ms: int
    assigned: str | None
    passed_on: int
    """How often the step went to another organisation because a deadline passed."""
    deadline_ms: int | None
    investigation: InvestigationView | None
    review: ReviewView | None
    """The last one."""
    denial: DenialView | None
    cycle: int | None
    payment: PaymentView | None
    previous_claim: str | None
    intake: IntakeView | None
    extension: str | None
    """Why the investigator asked for more time."""
    duplicate: DuplicateView | None
    conflicted: list[str]
    """Organisations that get no step while others can do it: by a tie, or because they recused themselves."""
    reviews: list[ReviewView]
    objection: ObjectionView | None
    stay: StayView | None
    refusal: RefusalView | None
    reopened: int
    clawback: ClawbackView | None
    next: list[NextStepView]
    if_late: list[str]
    """What happens by itself at `deadline_ms`."""


class BalanceView(View):
    """What a member has paid ahead, or owes."""

    kept_by: str
    """chain: contributions are recorded and arrears found by the ledger; organisation: arrears were reported."""
    balance: Money
    paid_in: Money
    arrears: Money | None
    failed_cycles: int
    removal_ms: int | None
    """When the membership ends if nothing is paid."""


class MemberView(View):
    """A member of a plan. `billed` is what the shares so far add up to."""

    id: str
    plan: str
    status: str
    enrolled_by: str
    person: str
    """Commitment to the person's identity, hex."""
    birth_month: str
    age_years: int
    enrolled_on: str
    cover_from: str
    cover_until: str | None
    pays_through: str | None
    key: str | None
    open_claims: int
    paid_claims: int
    last_claim: str | None
    units: int
    """How many shares the member pays of each cycle."""
    currency: str
    billed: Money
    balance: BalanceView | None
    """Of a member who pays, dependants included. Null: the organisation collects, and there are no arrears."""
    dependants: int
    moved_to: str | None
    """The record in which the membership goes on."""
    came_from: str | None
    application: str | None
    """The application that was accepted; null: enrolled at once, or moved."""


class ApplicationRefusalView(View):
    """Why somebody may not join."""

    clause: str
    clause_title: str | None
    reason: str | None


class ApplicationView(View):
    """Somebody who wants to join a plan, and is no member before the application is accepted."""

    id: str
    plan: str
    status: str
    """applied, accepted, refused, withdrawn or lapsed."""
    recorded_by: str
    """The enroller that took it, and decides it."""
    person: str
    birth_month: str
    declaration: str
    """Commitment to the health declaration, hex."""
    pays_through: str | None
    pays_through_application: str | None
    """Who will pay has applied too."""
    units: int
    applied_ms: int
    changed_ms: int
    deadline_ms: int | None
    """When it lapses."""
    member: str | None
    """Who the applicant has become."""
    refusal: ApplicationRefusalView | None


class CycleView(View):
    """One cycle of a plan: what was shared, by how many."""

    plan: str
    cycle: int
    status: str
    plan_version: int
    disclosure_ms: int
    disclosure_date: str
    settlement_ms: int
    members: int
    members_of: dict[str, int]
    currency: str
    cases: int
    granted: Money
    payouts: Money
    """Less than `granted` if the caps left a shortfall and there is no sponsor."""
    fee: Money
    surplus_before: Money
    surplus_after: Money | None
    share: Money | None
    """Of each unit, before the yearly cap; null until the cycle is settled."""
    collected: Money
    sponsored: Money
    """What the sponsor bears."""


class StatementItem(CycleView):
    charged: Money | None
    """The member's: share times units, less what the yearly cap spares."""
    running_total: Money | None


class DependantView(View):
    member: str
    total: Money


class StatementView(View):
    """A member's bill: every cycle the member shares in."""

    member: str
    plan: str
    pays_through: str | None
    units: int
    currency: str
    total: Money
    dependants: list[DependantView]
    """For whom the member pays, those who left included."""
    family_total: Money
    balance: BalanceView | None
    refund: Money | None
    """What the plan, when it ended, gave back to this member."""
    items: list[StatementItem]
    next: str | None
    """Cursor of the following cycles."""


class OrganisationView(View):
    """A member of the consortium, and the deadlines it has missed."""

    number: int
    name: str
    node_key: str
    account_keys: list[str]
    roles: list[str]
    investigations_missed: int
    reviews_missed: int
    payments_missed: int
    intakes_missed: int
    objections_missed: int
    erasures_missed: int
    holds_missed: int
    ties: list[str]
    """Organisations with which it has declared a conflict of interest, or they with it."""
    draws_missed: int


class SenderView(View):
    """Whose account a key is."""

    key: str
    organisation: str
    member: str | None
    highest_sequence: int
    """Used in a committed block."""
    next_sequence: int
    """Free, as far as this node knows."""


class EvidenceView(View):
    """A recorded proof that a replica signed two different votes in one slot."""

    digest: str
    organisation: str
    height: int
    evidence: str


class ReceiptView(msgspec.Struct, kw_only=True):
    """What became of a transaction, or what the clock did."""

    transaction: str | None
    """Null in the clock's receipt."""
    code: int
    """Result code of the ledger; 0 is success."""
    result: str
    description: str
    detail: str
    events: list[dict[str, Any]]
    """Each has `what`, such as claim-filed, and what it is about."""


class TransactionView(msgspec.Struct, kw_only=True):
    """A transaction with named fields; the form that POST /v1/transactions takes too."""

    sender: str
    sequence: int
    valid_until_ms: int
    actions: list[dict[str, Any]]
    """Each has `action`, such as file-claim, and its fields."""
    signature: str
    id: str | UnsetType = UNSET
    genesis: str | UnsetType = UNSET
