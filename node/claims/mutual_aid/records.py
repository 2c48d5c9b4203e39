"""The records of mutual aid, and reading and writing them. Field order is state format; golden files pin it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from node.claims import keys
from node.claims.module import Scope
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.state import ReadState, require
from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire

STATUSES: Final = max(ClaimStatus) + 1


class Counters(Wire, frozen=True, kw_only=True):
    """Next free numbers, over all plans."""

    next_member: int
    next_claim: int


class Exit(IntEnum):
    """Why `until_day` of a member is what it is."""

    AGE = 0
    """By age, or never if until_day is 0."""
    AIDED = 1
    """Paid, under terms that end membership with it."""
    LEFT = 2
    """By the member's own wish."""
    REMOVED = 3
    """In arrears for longer than the plan allows."""
    MOVED = 4
    """To another plan, or to another number of units."""
    VOID = 5
    """The health declaration was untrue."""


class MemberRecord(Wire, frozen=True, kw_only=True):
    """A person in one plan. Everything about time is in whole days of the plan's time zone."""

    plan: int
    organisation: int
    """The enroller."""
    person: bytes
    birth_month: int
    enrolled_day: int
    cover_day: int
    """First day of cover. Before it, only accidents after enrolled_day count."""
    share_day: int
    """First day that counts: disclosures from this day on are shared."""
    until_day: int
    """First day without cover, or 0."""
    exit: Exit
    payer: int
    """Number of the member who pays the bill, or 0: pays for itself."""
    key: bytes
    last_claim: int
    """The member's newest claim, or 0; claims link back to the one before."""
    open_claims: int
    paid_claims: int
    objected_cycle: int = 0
    """The cycle in which the member last objected, or 0."""
    units: int = 1
    """How many shares the member pays of each cycle."""
    last_dependant: int = 0
    """The newest member for whom this one pays, or 0; they link back through `previous_dependant`."""
    previous_dependant: int = 0
    dependants: int = 0
    """How many they are, those who left included."""
    moved_to: int = 0
    """The record in which the membership goes on, or 0."""
    came_from: int = 0
    """The same person's record before this one, in this plan or another, or 0."""
    waits_from: int = 0
    """Day from which the waiting days count, if that is not `enrolled_day`: they came along from another plan."""
    key_day: int = 0
    """When the key was last changed, or 0."""


class ReviewNote(Wire, frozen=True, kw_only=True):
    """What one reviewer decided, and on what grounds."""

    organisation: int
    decision: int
    amount: int = 0
    clause: str = ""
    evidence: bytes = b""
    reason: int = 0


class ClaimRecord(Wire, frozen=True, kw_only=True):
    """One claim. Organisation numbers are -1, and other fields empty, until their step is done."""

    plan: int
    version: int
    """Version of the plan in force on the day of diagnosis."""
    member: int
    status: ClaimStatus
    ailment: str
    tier: int
    """1-based position in genesis.Tier."""
    diagnosis_day: int
    accident: bool
    filed_ms: int
    claimed: int
    """Minor units; for fixed benefits what the table gives."""
    evidence: bytes
    assigned: int
    """Organisation whose step it is now."""
    attempt: int
    """How often this step has passed to another organisation."""
    deadline_ms: int
    """When the chain moves the claim by itself; 0 if it is final."""
    previous: int
    """The same member's claim before this one, or 0."""
    filer: int = NO_ORGANISATION
    """Organisation that filed it; -1 if the member did."""
    investigator: int = NO_ORGANISATION
    finding: int = 0
    report: bytes = b""
    finding_clause: str = ""
    finding_reason: int = 0
    reviewer: int = NO_ORGANISATION
    amount: int = 0
    """Granted, minor units."""
    clause: str = ""
    grounds: bytes = b""
    """Evidence item that a denial cites."""
    reason: int = 0
    cycle: int = 0
    payer: int = NO_ORGANISATION
    receipt: bytes = b""
    changed_ms: int = 0
    intake: int = NO_ORGANISATION
    """Organisation that looked at the papers of a claim that the member filed."""
    missing: int = 0
    """Papers asked for, as bits of actions.Paper."""
    extended: int = 0
    """The Extension that the investigator asked for, or 0."""
    objections: int = 0
    """How many objections were raised."""
    objector: int = 0
    """The member who raised the last one."""
    objection: bytes = b""
    arbiter: int = NO_ORGANISATION
    """Reviewer that decided the last one."""
    stayed_from: int = 0
    """While stayed: the status in which the claim goes on, and how much time and whose step it then is."""
    stayed_left_ms: int = 0
    stayed_assigned: int = NO_ORGANISATION
    order: bytes = b""
    """The last order of a regulator."""
    reviews: tuple[ReviewNote, ...] = ()
    """Every review so far, in the order in which they came."""
    payable: int = 0
    """What the settlement of its cycle gave it: `amount`, or less if the cycle was short of money."""
    deducted: int = 0
    """The part of `payable` that paid the member's own arrears."""
    conflicted: tuple[int, ...] = ()
    """Organisations that get no step of the claim while others can do it: by a tie, or because they recused."""
    duplicate: int = 0
    """An earlier claim with the same event or paper, or 0."""
    explanation: bytes = b""
    """Of the duplicate: commitment to what the reviewer accepted as an explanation."""
    clawbacks: int = 0
    """How often it was called fraud after it was paid."""
    reopened: int = 0
    """How often it was opened again after it had ended unpaid."""


class TieRecord(Wire, frozen=True, kw_only=True):
    """Organisations that declared a tie to a member or an organisation, rising."""

    organisations: tuple[int, ...]


class ClawbackRecord(Wire, frozen=True, kw_only=True):
    """The newest clawback of a paid claim. Organisations are numbers, rising in `panel`; money is in minor units."""

    opener: int
    opened_ms: int
    paid_ms: int
    report: bytes
    clause: str
    reason: int
    panel: tuple[int, ...]
    quorum: int
    """Votes of the panel that decide."""
    hearing_ms: int
    """Until then the member may answer; nobody votes before it has, or before then."""
    answer: bytes = b""
    upholds: tuple[int, ...] = ()
    drops: tuple[int, ...] = ()
    amount: int = 0
    """To be paid back, once it is upheld."""
    recovered: int = 0
    receipts: tuple[bytes, ...] = ()
    write_offs: tuple[int, ...] = ()
    """Who has voted to give up the rest."""


class DayChange(Wire, frozen=True, kw_only=True):
    """By how much an organisation's sharing members change at 00:00 of a day."""

    change: int


class PlanState(Wire, frozen=True, kw_only=True):
    """The money and the head count of a plan. Minor units."""

    cycle: int
    """The cycle that is open: its disclosure is still to come."""
    disclosure_ms: int
    settlement_ms: int
    units: tuple[int, ...]
    """Sharing members of each organisation as of the last disclosure."""
    members: int
    """Their sum."""
    accumulated: int
    """Sum of all shares so far: what a member of the first hour has been billed."""
    surplus: int
    debits: int
    payouts: int
    fees: int
    payable: int
    """Settled and not yet paid."""
    paid: int
    confirmed_amount: int
    """Confirmed and not yet settled."""
    confirmed_cases: int
    sponsored: int = 0
    """Shortfalls booked to sponsors."""
    sponsor_receipts: int = 0
    clawback: int = 0
    """Payouts that came back; they and their part of the fee flowed into the surplus."""
    receivable_back: int = 0
    """To be paid back and not yet: upheld, less what came back and what was written off."""
    written_off: int = 0
    receipts: int = 0
    """What organisations have handed over of their members' shares."""
    granted: int = 0
    """What the settled cases were granted; `payouts` is less if a cycle was short and had no sponsor."""
    refunds: int = 0
    """What was given back at the end of the plan."""


class PlanTally(Wire, frozen=True, kw_only=True):
    """How many members were enrolled, and how many claims are in each status (index = status)."""

    members: int
    claims: tuple[int, ...]


class CycleStatus(IntEnum):
    """CARRIED: nobody was there to share; its claims moved to the next cycle."""

    DISCLOSED = 1
    SETTLED = 2
    CARRIED = 3


class CycleRecord(Wire, frozen=True, kw_only=True):
    """One cycle, from its disclosure on. Everything a member needs to recompute a bill. Minor units."""

    status: CycleStatus
    version: int
    disclosure_ms: int
    settlement_ms: int
    day: int
    """Day of disclosure; members who counted at its 00:00 share."""
    members: int
    units: tuple[int, ...]
    """Members of each organisation; their sum is `members`."""
    cases: int = 0
    payouts: int = 0
    fee: int = 0
    surplus_before: int = 0
    surplus_after: int = 0
    share: int = 0
    accumulated: int = 0
    """Sum of all shares up to and including this cycle."""
    granted: int = 0
    """What the cases were granted; `payouts` is less if the cycle was short and has no sponsor."""
    collected: int = 0
    """What the members are charged, caps applied."""
    sponsored: int = 0
    """What the sponsor bears."""


class Cohort(Wire, frozen=True, kw_only=True):
    """Members who began to share in the same cycle; of earlier years all together."""

    cycle: int
    """The first one they share in; 0 for all who shared before this year."""
    day: int
    """Its disclosure; of the merged cohort, the last disclosure before this year."""
    units: tuple[int, ...]
    """Of each organisation."""
    charged: int = 0
    """What each unit was charged this year."""


class Cohorts(Wire, frozen=True, kw_only=True):
    """All who share, by when they began, of a plan with a yearly cap. As of the last disclosure."""

    year: int
    cohorts: tuple[Cohort, ...]
    """In order of their cycles; the merged one first."""


class Receivables(Wire, frozen=True, kw_only=True):
    """What each organisation owes a plan for its members, and what it has handed over. Minor units."""

    debits: tuple[int, ...]
    receipts: tuple[int, ...]


class AccountRecord(Wire, frozen=True, kw_only=True):
    """The balance of a member who pays, for itself and its dependants. Most members have none: their
    organisation collects, and says so only if they are in arrears. Minor units."""

    plan: int
    paid_in: int
    """What counts as paid of all bills; the balance is this less the bills so far."""
    own: bool
    """Keeps a balance that the chain watches; otherwise reported by its organisation, until it is paid."""
    threshold: int = -1
    """What the plan's shares may add up to before the balance may run out; -1: not watched."""
    failures: int = 0
    """Cycles in a row that the balance did not cover."""
    failed_cycle: int = 0
    """The last of them."""
    removal_ms: int = 0
    """When the member is removed if nothing is paid, or 0."""
    owed: int = 0
    """Arrears of dependants who were removed, set apart so that the others go on."""


class CaseRow(Wire, frozen=True, kw_only=True):
    """A confirmed claim until it is told of its settlement."""

    granted: int
    payable: int = -1
    """After a settlement that was short of money; -1: what was granted."""


def load_member(state: ReadState, number: int) -> MemberRecord | None:
    return state.load(keys.member(number), MemberRecord)


def load_claim(state: ReadState, number: int) -> ClaimRecord | None:
    return state.load(keys.claim(number), ClaimRecord)


def load_clawback(state: ReadState, claim: int) -> ClawbackRecord | None:
    return state.load(keys.clawback(claim), ClawbackRecord)


def load_cycle(state: ReadState, plan: int, number: int) -> CycleRecord | None:
    return state.load(keys.cycle(plan, number), CycleRecord)


def load_counters(state: ReadState) -> Counters:
    return require(state, keys.counters, Counters)


def load_plan(state: ReadState, plan: int) -> PlanState:
    return require(state, keys.plan_state(plan), PlanState)


def load_tally(state: ReadState, plan: int) -> PlanTally:
    """With a count for each status there is; a chain may have begun before one was added."""
    tally = require(state, keys.plan_tally(plan), PlanTally)
    added = STATUSES - len(tally.claims)
    return PlanTally(members=tally.members, claims=(*tally.claims, *(0,) * added)) if added else tally


def load_cohorts(state: ReadState, plan: int) -> Cohorts | None:
    """None: the plan has no yearly cap."""
    return state.load(keys.cohorts(plan), Cohorts)


def load_receivables(state: ReadState, plan: int) -> Receivables:
    return require(state, keys.receivables(plan), Receivables)


def load_account(state: ReadState, number: int) -> AccountRecord | None:
    return state.load(keys.account(number), AccountRecord)


def the_member(state: ReadState, number: int) -> MemberRecord:
    """A member that a record of ours names."""
    return require(state, keys.member(number), MemberRecord)


def the_claim(state: ReadState, number: int) -> ClaimRecord:
    """A claim that a record of ours names."""
    return require(state, keys.claim(number), ClaimRecord)


def the_clawback(state: ReadState, claim: int) -> ClawbackRecord:
    """The clawback of a claim that says it has one."""
    return require(state, keys.clawback(claim), ClawbackRecord)


def the_cycle(state: ReadState, plan: int, number: int) -> CycleRecord:
    """A cycle that a record of ours names."""
    return require(state, keys.cycle(plan, number), CycleRecord)


def save_member(scope: Scope, number: int, member: MemberRecord) -> None:
    scope.state.store(keys.member(number), member)


def save_plan(scope: Scope, plan: int, record: PlanState) -> None:
    """Every write of a plan's money marks it for the invariants at the end of the block."""
    scope.state.store(keys.plan_state(plan), record)
    scope.touch("plan", plan)


def save_cycle(scope: Scope, plan: int, number: int, cycle: CycleRecord) -> None:
    scope.state.store(keys.cycle(plan, number), cycle)


def save_cohorts(scope: Scope, plan: int, cohorts: Cohorts) -> None:
    scope.state.store(keys.cohorts(plan), cohorts)


def save_receivables(scope: Scope, plan: int, receivables: Receivables) -> None:
    scope.state.store(keys.receivables(plan), receivables)
    scope.touch("plan", plan)


def save_tally(scope: Scope, plan: int, tally: PlanTally) -> None:
    scope.state.store(keys.plan_tally(plan), tally)


def save_counters(scope: Scope, counters: Counters) -> None:
    scope.state.store(keys.counters, counters)
