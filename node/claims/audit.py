"""Everything that the state of mutual aid must agree with, counted again from its members and claims.

The equations that a node asserts after each block look at totals only. This goes over every member and claim
once, adds up what each record says, and compares the sums with the totals, the queues and the indexes. Pure:
it reads a state and answers findings; memory grows with days, cycles and claims, not with members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from node.claims import keys
from node.claims.audit_applications import audit_applications, pending_person
from node.claims.consortium import SenderRecord
from node.claims.genesis import Genesis
from node.claims.ids import claim_text, member_text
from node.claims.invariants import InvariantBroken
from node.claims.mutual_aid.accounts import balance_of
from node.claims.mutual_aid.application_records import load_application
from node.claims.mutual_aid.bills import bill, year_cap
from node.claims.mutual_aid.cohorts import cohort_row
from node.claims.mutual_aid.invariants import broken_equations
from node.claims.mutual_aid.persons import load_person, read_person
from node.claims.mutual_aid.plan_records import load_life, load_refund
from node.claims.mutual_aid.plan_transitions import PlanStatus
from node.claims.mutual_aid.records import (
    AccountRecord,
    CaseRow,
    ClaimRecord,
    CycleRecord,
    CycleStatus,
    DayChange,
    MemberRecord,
    load_account,
    load_claim,
    load_cohorts,
    load_counters,
    load_cycle,
    load_member,
    load_plan,
    load_receivables,
    load_tally,
)
from node.claims.mutual_aid.transitions import DEADLINE_OF, ClaimStatus, DeadlineKind
from node.claims.registry import Plan, Registry
from node.claims.state import EncodedReads, ReadState
from node.claims.wire import decode_trusted

Progress = Callable[[str, int], None]
"""(what is being read, how many so far)"""
STEP: Final = 10_000
FINDINGS_MAX: Final = 1_000
_CLAIM_KINDS: Final = frozenset(int(kind) for kind in DEADLINE_OF.values())
_CACHED: Final = frozenset({keys.CYCLE, keys.PLAN_STATE, keys.PLAN_INDEX})


class Finding(msgspec.Struct, frozen=True):
    """Something that does not agree. `what` is a word of its own, `where` the record."""

    what: str
    where: str
    text: str


class _Cached(EncodedReads):
    """The state, with the few records kept in memory that every bill needs."""

    def __init__(self, state: ReadState) -> None:
        self._state = state
        self._kept: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        if key[0] not in _CACHED:
            return self._state.get(key)
        if key not in self._kept:
            self._kept[key] = self._state.get(key)
        return self._kept[key]

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._state.scan(start, end)


def _nothing(_: str, __: int) -> None:
    return None


class Audit:
    """One audit of one state. `run` answers the findings; `counts` says what was looked at."""

    def __init__(self, genesis: Genesis, state: ReadState, progress: Progress = _nothing) -> None:
        self.registry = Registry(genesis)
        self.state: ReadState = _Cached(state)
        self.progress = progress
        self.findings: list[Finding] = []
        self.counts: dict[str, int] = {}
        self.plans: list[Plan] = []
        self._open: dict[int, int] = {}
        self._paid: dict[int, int] = {}
        organisations = len(self.registry.names)
        self._nobody = (0,) * organisations

    def found(self, what: str, where: str, text: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(what, where, text))

    def expect(self, what: str, where: str, expected: object, actual: object) -> None:
        if expected != actual:
            self.found(what, where, f"recounted {expected}, recorded {actual}")

    def run(self) -> list[Finding]:
        """All checks. A record that others need and that is missing or unreadable ends the audit, as a finding."""
        try:
            self.plans = self.registry.plans(self.state)
            self._claims()
            self._members()
            audit_applications(self)
            for plan in self.plans:
                self._plan(plan)
            self._deadlines()
            self._rows()
        except (InvariantBroken, msgspec.MsgspecError, LookupError, ValueError) as error:
            self.found("unreadable", "state", f"{type(error).__name__}: {error}")
        return self.findings

    def each(self, what: str, table: int) -> Iterator[tuple[bytes, bytes]]:
        """Every row of a table; its count is kept under `what`."""
        count = 0
        for count, row in enumerate(self.state.scan(*keys.table(table)), start=1):
            if count % STEP == 0:
                self.progress(what, count)
            yield row
        self.counts[what] = count

    # Claims.

    def _claims(self) -> None:
        self._tallies = [[0] * (max(ClaimStatus) + 1) for _ in self.plans]
        self._confirmed = [[0, 0] for _ in self.plans]
        self._payable, self._paid_out = [0] * len(self.plans), [0] * len(self.plans)
        for key, raw in self.each("claims", keys.CLAIM):
            number, claim = keys.number_of(key), decode_trusted(ClaimRecord, raw)
            where = claim_text(number)
            if claim.plan >= len(self.plans):
                self.found("plan", where, f"there is no plan {claim.plan}")
                continue
            self._tallies[claim.plan][claim.status] += 1
            kind = DEADLINE_OF.get(claim.status)
            if (kind is None) != (claim.deadline_ms == 0):
                self.found("deadline", where, f"{claim.status.name} with the deadline {claim.deadline_ms}")
            elif kind is not None and self.state.get(keys.deadline(claim.deadline_ms, kind, number)) is None:
                self.found("deadline", where, "its deadline is not in the queue")
            self._money_of(number, claim)
        self.expect("counter", "claims", self.counts["claims"], load_counters(self.state).next_claim - 1)

    def _money_of(self, number: int, claim: ClaimRecord) -> None:
        plan = claim.plan
        if claim.payer >= 0:
            self._paid[claim.member] = self._paid.get(claim.member, 0) + 1
            self._paid_out[plan] += claim.payable
        elif claim.status in DEADLINE_OF:
            self._open[claim.member] = self._open.get(claim.member, 0) + 1
        raw = self.state.get(keys.case(plan, number))
        confirmed = claim.status is ClaimStatus.CONFIRMED
        if confirmed != (raw is not None):
            self.found("case", claim_text(number), f"{claim.status.name} with{'' if raw else 'out'} a case row")
        elif raw is not None:
            row = decode_trusted(CaseRow, raw)
            self.expect("case", claim_text(number), claim.amount, row.granted)
            cycle = load_cycle(self.state, plan, claim.cycle)
            if cycle is not None and cycle.status is CycleStatus.SETTLED:
                self._payable[plan] += row.granted if row.payable < 0 else row.payable
            else:
                self._confirmed[plan][0] += claim.amount
                self._confirmed[plan][1] += 1
        if claim.status in (ClaimStatus.SETTLED, ClaimStatus.PAYMENT_STAYED):
            self._payable[plan] += claim.payable

    # Members.

    def _members(self) -> None:
        self._days = [self._last_day(plan) for plan in self.plans]
        self._units = [list(self._nobody) for _ in self.plans]
        self._bills = [list(self._nobody) for _ in self.plans]
        self._enrolled = [0] * len(self.plans)
        self._changes: dict[bytes, int] = {}
        self._exits: dict[bytes, int] = {}
        self._cohorts: list[list[list[int]]] = []
        for plan in self.plans:
            cohorts = load_cohorts(self.state, plan.number)
            self._cohorts.append([list(self._nobody) for _ in cohorts.cohorts] if cohorts is not None else [])
        for key, raw in self.each("members", keys.MEMBER):
            number, member = keys.number_of(key), decode_trusted(MemberRecord, raw)
            if member.plan >= len(self.plans):
                self.found("plan", member_text(number), f"there is no plan {member.plan}")
                continue
            self._enrolled[member.plan] += 1
            self._count(member)
            self._bills[member.plan][member.organisation] += bill(self.state, self.plans[member.plan], member)
            self._member(number, member)
        self.expect("counter", "members", self.counts["members"], load_counters(self.state).next_member - 1)

    def _last_day(self, plan: Plan) -> int:
        cycle = load_cycle(self.state, plan.number, load_plan(self.state, plan.number).cycle - 1)
        return -1 if cycle is None else cycle.day

    def _count(self, member: MemberRecord) -> None:
        """Where the member is counted: now, and on the days on which that will change."""
        plan, organisation, day = member.plan, member.organisation, self._days[member.plan]
        until = max(member.until_day, member.share_day) if member.until_day else 0
        if member.share_day <= day and (not until or day < until):
            self._units[plan][organisation] += member.units
            cohorts = load_cohorts(self.state, plan)
            if cohorts is not None:
                index = next((i for i, one in enumerate(cohorts.cohorts) if member.share_day <= one.day), None)
                if index is not None:
                    self._cohorts[plan][index][organisation] += member.units
        if member.share_day > day:
            self._add(self._changes, keys.day_change(plan, member.share_day, organisation), member.units)
        if until and until > day:
            self._add(self._changes, keys.day_change(plan, until, organisation), -member.units)
            if self.state.get(keys.cohorts(plan)) is not None:
                key = cohort_row(plan, until, organisation, member.share_day)
                self._add(self._exits, key, member.units)

    @staticmethod
    def _add(sums: dict[bytes, int], key: bytes, change: int) -> None:
        sums[key] = sums.get(key, 0) + change

    def _member(self, number: int, member: MemberRecord) -> None:
        where = member_text(number)
        self.expect("open claims", where, self._open.pop(number, 0), member.open_claims)
        if not member.came_from:
            self.expect("paid claims", where, self._paid.get(number, 0), member.paid_claims)
        known = load_person(self.state, member.plan, member.person)
        newest = 0 if known is None else known.member
        if newest < number or (newest > number and not member.until_day):
            self.found("person", where, f"its person is member {newest} of the plan")
        if member.payer:
            head = load_member(self.state, member.payer)
            if head is None or head.payer or head.plan != member.plan:
                self.found("payer", where, f"{member_text(member.payer)} cannot pay for it")
        if member.key:
            raw = self.state.get(keys.sender(member.key))
            if raw is None or decode_trusted(SenderRecord, raw).member != number:
                self.found("key", where, "its key is not an account of this member")

    # Plans.

    def _plan(self, plan: Plan) -> None:
        number, where = plan.number, f"plan {plan.code}"
        record, owed = load_plan(self.state, number), load_receivables(self.state, number)
        for text in broken_equations(self.state, number):
            self.found("equation", where, text)
        tally = load_tally(self.state, number)
        self.expect("tally", f"{where}: members", self._enrolled[number], tally.members)
        self.expect("tally", f"{where}: claims", tuple(self._tallies[number]), tally.claims)
        self.expect("bills", f"{where}: debits", sum(self._bills[number]), record.debits)
        self.expect("bills", f"{where}: debits of organisations", tuple(self._bills[number]), owed.debits)
        self.expect("payable", where, self._payable[number], record.payable)
        self.expect("paid", where, self._paid_out[number], record.paid)
        self.expect("confirmed", where, self._confirmed[number], [record.confirmed_amount, record.confirmed_cases])
        if record.cycle > 1:
            self.expect("head count", where, tuple(self._units[number]), record.units)
        self._cycles(plan)
        self._cohort_units(plan)

    def _cycles(self, plan: Plan) -> None:
        number, record = plan.number, load_plan(self.state, plan.number)
        accumulated = day = 0
        sums = dict.fromkeys(("collected", "payouts", "fee", "sponsored", "granted"), 0)
        for index in range(1, record.cycle):
            where = f"plan {plan.code}, cycle {index}"
            cycle = load_cycle(self.state, number, index)
            if cycle is None:
                self.found("cycle", where, "is missing")
                return
            if cycle.status is CycleStatus.SETTLED:
                accumulated += cycle.share
                for name in sums:
                    sums[name] += getattr(cycle, name)
            self.expect("cycle", f"{where}: sum of shares", accumulated, cycle.accumulated)
            self.expect("cycle", f"{where}: members", sum(cycle.units), cycle.members)
            if cycle.day <= day:
                self.found("cycle", where, "is not disclosed after the one before")
            day = cycle.day
            self._terms_of(plan, cycle, where)
        self.counts["cycles"] = self.counts.get("cycles", 0) + record.cycle - 1
        self.expect("cycle", f"plan {plan.code}: sum of shares", accumulated, record.accumulated)
        refund = load_refund(self.state, number)
        # Shares that a wound-up plan paid back are the sponsor's too, and of no cycle.
        paid_back = refund.shares if refund is not None else 0
        names = {"collected": record.debits, "payouts": record.payouts, "sponsored": record.sponsored - paid_back}
        names["granted"] = record.granted
        if not record.clawback:
            names["fee"] = record.fees
        for name, total in names.items():
            self.expect("cycle", f"plan {plan.code}: {name}", sums[name], total)

    def _terms_of(self, plan: Plan, cycle: CycleRecord, where: str) -> None:
        self.expect("cycle", f"{where}: version", plan.terms_on(cycle.day).plan.version, cycle.version)

    def _cohort_units(self, plan: Plan) -> None:
        cohorts = load_cohorts(self.state, plan.number)
        if cohorts is None:
            return
        total = load_plan(self.state, plan.number).accumulated
        for one, units in zip(cohorts.cohorts, self._cohorts[plan.number], strict=True):
            where = f"plan {plan.code}, cohort of cycle {one.cycle}"
            self.expect("cohort", f"{where}: units", tuple(units), one.units)
            first = next((i for i, other in enumerate(cohorts.cohorts) if other.cycle), None)
            begin = one.cycle or (cohorts.cohorts[first].cycle if first is not None else 1)
            cycle, before = load_cycle(self.state, plan.number, begin), load_cycle(self.state, plan.number, begin - 1)
            if cycle is None:
                self.found("cohort", where, "its first cycle is missing")
                continue
            cap, charged = year_cap(plan, cycle), total - (before.accumulated if before is not None else 0)
            self.expect("cohort", f"{where}: charged", min(cap, charged) if cap else charged, one.charged)

    # Queues and indexes.

    def _deadlines(self) -> None:
        plans = dict.fromkeys(range(len(self.plans)), 0)
        unknown = 0
        for key, _ in self.each("deadlines", keys.DEADLINE):
            time_ms, kind, subject = keys.parse_deadline(key)
            where = f"deadline of kind {kind} for {subject}"
            if kind in _CLAIM_KINDS:
                claim = load_claim(self.state, subject)
                if claim is None or (DEADLINE_OF.get(claim.status), claim.deadline_ms) != (kind, time_ms):
                    self.found("orphan", where, "no claim waits for it")
            elif kind == DeadlineKind.PLAN_DISCLOSURE and subject in plans:
                plans[subject] += 1
                self.expect("deadline", where, load_plan(self.state, subject).disclosure_ms, time_ms)
            elif kind == DeadlineKind.PLAN_SETTLEMENT and subject in plans:
                cycle = load_cycle(self.state, subject, load_plan(self.state, subject).cycle - 1)
                if cycle is None or (cycle.status, cycle.settlement_ms) != (CycleStatus.DISCLOSED, time_ms):
                    self.found("orphan", where, "no cycle waits for it")
            elif kind == DeadlineKind.REMOVAL:
                account = load_account(self.state, subject)
                if account is None or account.removal_ms != time_ms:
                    self.found("orphan", where, "no member is to be removed then")
            elif kind == DeadlineKind.APPLICATION:
                application = load_application(self.state, subject)
                if application is None or application.deadline_ms != time_ms:
                    self.found("orphan", where, "no application waits for it")
            elif kind != DeadlineKind.ARREARS:
                unknown += 1
        self.counts["deadlines of other modules"] = unknown
        for number, count in plans.items():
            ended = load_life(self.state, number).status is PlanStatus.SETTLED
            self.expect(
                "deadline", f"plan {self.plans[number].code}: disclosures in the queue", 0 if ended else 1, count
            )

    def _rows(self) -> None:
        self._compare_days("head counts by day", keys.DAY_CHANGE, self._changes)
        self._compare_days("exits by cohort", keys.COHORT_EXIT, self._exits)
        for key, raw in self.each("persons", keys.PERSON):
            known, where = read_person(raw), f"person {key[3:].hex()[:16]}"
            member = load_member(self.state, known.member)
            if (known.member or not known.application) and (
                member is None or keys.person(member.plan, member.person) != key
            ):
                self.found("orphan", where, f"{member_text(known.member)} is somebody else")
            if known.application:
                pending_person(self, key, known.application, where)
        for key, _ in self.each("cases", keys.CASE):
            claim = load_claim(self.state, keys.parse_case(key)[1])
            if claim is None or claim.status is not ClaimStatus.CONFIRMED:
                self.found("orphan", f"case of claim {keys.parse_case(key)[1]}", "the claim is not confirmed")
        watched = 0
        for key, raw in self.each("balances", keys.ACCOUNT):
            account = decode_trusted(AccountRecord, raw)
            watched += account.threshold >= 0
            self._balance(keys.number_of(key), account)
        rows = sum(1 for _ in self.each("watched balances", keys.THRESHOLD))
        self.expect("orphan", "watched balances", watched, rows)

    def _compare_days(self, what: str, table: int, expected: dict[bytes, int]) -> None:
        for key, raw in self.each(what, table):
            self.expect("day", f"{what}: row {key.hex()}", expected.pop(key, 0), decode_trusted(DayChange, raw).change)
        for key, change in expected.items():
            self.expect("day", f"{what}: row {key.hex()}", change, 0)

    def _balance(self, number: int, account: AccountRecord) -> None:
        where, member = member_text(number), load_member(self.state, number)
        if member is None or member.payer or member.plan != account.plan:
            self.found("balance", where, "keeps a balance and is no member that pays for itself")
            return
        if account.threshold >= 0 and self.state.get(keys.threshold(account.plan, account.threshold, number)) is None:
            self.found("balance", where, "is not among the watched balances")
        if (
            account.removal_ms
            and self.state.get(keys.deadline(account.removal_ms, DeadlineKind.REMOVAL, number)) is None
        ):
            self.found("balance", where, "its removal is not in the queue")
        left = balance_of(self.registry, self.state, number, account)
        if account.own and left < 0 and not account.failures and not self._sweep_is_due(account.plan):
            self.found("balance", where, f"is {left} and no failure was counted")

    def _sweep_is_due(self, plan: int) -> bool:
        return any(
            keys.parse_deadline(key)[1:] == (DeadlineKind.ARREARS, plan)
            for key, _ in self.state.scan(*keys.table(keys.DEADLINE))
        )
