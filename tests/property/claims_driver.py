"""Random histories of two small plans, compared with the oracle after every block."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from node.claims import keys
from node.claims.application import BlockResult
from node.claims.audit import Audit
from node.claims.calendar import month_index
from node.claims.claim_rules import ClaimRules
from node.claims.events import EventKind
from node.claims.genesis import AgeBand, Benefit, Calendar, Costs, PlanTerms, StepDeadlines
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    NewMember,
    Reason,
    Review,
)
from node.claims.mutual_aid.records import (
    CycleStatus,
    load_claim,
    load_cycle,
    load_plan,
    load_tally,
    the_claim,
    the_member,
)
from node.claims.mutual_aid.transitions import DEADLINE_OF, TRANSITIONS, ClaimStatus
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.statement import recompute
from node.claims.transaction import Action, Transaction
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import GENESIS_MS, ORGANISATIONS, ROLES, Chain, make_genesis, person, plan
from tests.property.applications_driver import ApplicationSteps
from tests.property.claims_oracle import Oracle, OracleClaim
from tests.property.members_driver import MemberSteps

OBSERVED = {"S01": 0, "S12": 4, "M01": 0, "V01": 0}
"""Ailments of the test and their observation days."""
Step = Callable[[], tuple[str, Action, Callable[[int], ResultCode]]]


def small_plans(random: Random) -> tuple[PlanTerms, PlanTerms]:
    """Days instead of months, so that a short history sees many cycles."""
    fixed = replace(
        plan("critical-illness"),
        waiting_days=random.choice([0, 1, 25, 25]),
        waiting_members_share=random.random() < 0.5,
        exit_after_payout=random.random() < 0.6,
        report_window_days=6,
        calendar=Calendar(cycle_days=4, settlement_after_days=2),
        deadlines=StepDeadlines(
            investigation_hours=40, review_hours=20, disclosure_hours=25, payment_hours=15, application_hours=300
        ),
        fee_bps=random.choice([0, 777, 800]),
        claim_rules=ClaimRules(jury_request_days=random.choice([0, 9])),
        costs=Costs(
            case_cap_minor_units=random.choice([0, 0, 300_000, 2_000_001]),
            year_cap_minor_units=random.choice([0, 999_999, 9_999_999]),
            sponsor=random.choice(["", "c"]),
            grace_cycles=random.choice([0, 1, 2]),
            retry_days=random.choice([0, 1, 5]),
        ),
    )
    repaid = replace(
        plan("hospital-reimbursement"),
        waiting_days=random.choice([0, 2]),
        open_claims_max=2,
        # Each cycle is settled at the moment the next one is disclosed.
        calendar=Calendar(cycle_days=3, settlement_after_days=3),
        deadlines=StepDeadlines(
            investigation_hours=24, review_hours=24, disclosure_hours=71, payment_hours=24, application_hours=60
        ),
        claim_rules=ClaimRules(jury_request_days=6),
        age_bands=(AgeBand(from_age_years=0, to_age_years=150, standard_minor_units=10_000),),
        costs=Costs(
            case_cap_minor_units=random.choice([0, 0, 77]),
            year_cap_minor_units=random.choice([0, 500]),
            sponsor=random.choice(["", "", "b"]),
            grace_cycles=random.choice([0, 1, 3]),
            retry_days=random.choice([0, 2]),
        ),
    )
    return fixed, repaid


class Driver(MemberSteps, ApplicationSteps):
    """One history. `steps` blocks, each with a few random actions, valid or not."""

    def __init__(self, seed: int, *, deadlines_per_block: int = 2_000) -> None:
        self.random = Random(seed)
        plans = small_plans(self.random)
        # Some histories see a new year early, with new yearly caps.
        start_ms = GENESIS_MS + self.random.choice([0, 345]) * DAY_MS
        genesis = make_genesis(plans=plans, deadlines_per_block=deadlines_per_block, time_ms=start_ms)
        self.chain = Chain(genesis)
        self.oracle = Oracle(plans, self.chain.now_ms)
        self.queries = Queries(self.chain.genesis)
        self.seen: dict[int, ClaimStatus] = {}
        self.codes: dict[ResultCode, int] = {}
        self._people = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            later = self.random.choice([1, 5 * HOUR_MS, 13 * HOUR_MS, DAY_MS, self.random.randrange(1, 5 * DAY_MS)])
            now = self.chain.now_ms + later
            self.oracle.advance(now)
            expected: list[ResultCode] = []
            transactions = []
            touched: dict[int, None] = {}
            for _ in range(self.random.randrange(5)):
                sender, action, predict = self._action(now, touched)
                transactions.append(self.chain.transaction(sender, action, valid_ms=later + HOUR_MS))
                expected.append(predict(now))
            result = self.chain.block(*transactions, later_ms=later)
            got = [ResultCode(receipt.code) for receipt in result.receipts]
            assert got == expected
            for code in got:
                self.codes[code] = self.codes.get(code, 0) + 1
            for receipt in (result.clock, *result.receipts):
                for event in receipt.events:
                    self._follow(event.kind, event.subject)
            self.compare()

    def _action(self, now: int, touched: dict[int, None]) -> tuple[str, Action, Callable[[int], ResultCode]]:
        """(sender, action, what the rules say of it). A claim or member is touched once per block at most,
        because the prediction is made before the block runs."""
        choice = self.random.random()
        open_claims = [
            claim
            for claim in self.oracle.claims
            if claim.status in ("filed", "investigated", "settled") and claim.number not in touched
        ]
        # The clock may hand a step on at the start of the block; leave those for another block.
        open_claims = [claim for claim in open_claims if self._punctual(claim, now)]
        if open_claims and choice < 0.6:
            claim = self.random.choice(open_claims)
            touched[claim.number] = None
            return self._step(claim)
        if self.oracle.members and choice < 0.75:
            return self._filing(now)
        if self.oracle.members and choice < 0.9:
            return self.member_step()
        if self.oracle.members and choice < 0.93:
            return self.enrol_relative()
        if choice < 0.97:
            return self._enrolment()
        return self.application_step()

    def next_person(self, plan_number: int) -> int:
        self._people += 1
        return (self._people - 1) * 2 + plan_number

    def _punctual(self, claim: OracleClaim, now: int) -> bool:
        record = load_claim(self.chain.state, claim.number)
        return record is not None and record.deadline_ms > now and record.status == ClaimStatus[claim.status.upper()]

    def _enrolment(self) -> tuple[str, Action, Callable[[int], ResultCode]]:
        plan_number = self.random.randrange(2)
        terms = self.oracle.plans[plan_number].terms
        organisation = self.random.choice("abd")
        births = [
            (self.random.choice([1966, 1967, 1980, 1990, 2000]), self.random.randrange(1, 13))
            for _ in range(self.random.randrange(1, 5))
        ]
        units = [self.random.choice([1, 1, 2, 10]) for _ in births]
        twice = self._people > 0 and self.random.random() < 0.1
        people = list(range(self._people, self._people + len(births)))
        entries = tuple(
            NewMember(person=person(number * 2 + plan_number), birth_month=month_index(*birth), units=count)
            for number, birth, count in zip(people, births, units, strict=True)
        )
        self._people += len(births)

        def predict(now: int) -> ResultCode:
            if any(Oracle.age(birth, Oracle.day(terms, now)) > terms.entry_age_max_years for birth in births):
                return ResultCode.TOO_OLD
            if twice:
                return ResultCode.PERSON_ALREADY_MEMBER
            for number, birth, count in zip(people, births, units, strict=True):
                member = self.oracle.enrol(plan_number, ORGANISATIONS.index(organisation), birth, now, count)
                member.person = number * 2 + plan_number
            return ResultCode.OK

        if twice:
            entries = (*entries, entries[0])
        return organisation, Enrol(plan=terms.code, members=entries), predict

    def _filing(self, now: int) -> tuple[str, Action, Callable[[int], ResultCode]]:
        member = self.random.choice(self.oracle.members)
        terms = self.oracle.plans[member.plan].terms
        ailment = self.random.choice(["S01", "S12", "M01"]) if member.plan == 0 else "H01"
        day = Oracle.day(terms, now) + self.random.choice([1, 0, 0, -1, -1, -2, -3, -5, -9])
        accident = self.random.random() < 0.3
        asked = self.random.choice([0, 1, 9_999, 10_000, 10_001]) if member.plan else self.random.choice([0, 0, 0, 5])
        band = [band for band in terms.age_bands if band.from_age_years <= member.age_on(day) <= band.to_age_years]
        listed = 0
        if band:
            by_ailment = {"M01": band[0].mild_minor_units, "H01": band[0].standard_minor_units}
            listed = by_ailment.get(ailment, band[0].severe_minor_units)
        action = FileClaim(
            plan=terms.code,
            member=member.number,
            ailment=ailment,
            diagnosis_day=day,
            accident=accident,
            evidence=person(self.random.randrange(10**6)),
            amount=asked,
        )
        observation = OBSERVED.get(ailment, 0)
        return (
            self.random.choice("ac"),
            action,
            lambda at: self.oracle.file(member, day, accident, observation, listed, asked, at),
        )

    def _step(self, claim: OracleClaim) -> tuple[str, Action, Callable[[int], ResultCode]]:
        record = the_claim(self.chain.state, claim.number)
        sender = ORGANISATIONS[record.assigned]
        terms = self.oracle.plans[claim.plan].terms
        clause = terms.clauses[0].number
        if self.random.random() < 0.1:
            # Somebody else with the same role: not their turn.
            role = {"filed": "investigator", "investigated": "reviewer", "settled": "payment"}[claim.status]
            others = [name for name in ORGANISATIONS if name != sender and role in [r.value for r in ROLES[name]]]
            return others[0], self._valid(claim, clause)[0], lambda _: ResultCode.NOT_ASSIGNED
        if claim.status == "investigated" and self.random.random() < 0.15:
            action: Action = Review(claim=claim.number, decision=Decision.DENY, clause=clause, reason=1)
            return sender, action, lambda _: ResultCode.DENIAL_WITHOUT_GROUNDS
        action, done = self._valid(claim, clause)

        def predict(now: int) -> ResultCode:
            done(now)
            return ResultCode.OK

        return sender, action, predict

    def _valid(self, claim: OracleClaim, clause: str) -> tuple[Action, Callable[[int], None]]:
        number, oracle = claim.number, self.oracle
        if claim.status == "filed":
            failed = self.random.random() < 0.3
            report = Investigate(
                claim=number,
                finding=Finding.FAIL if failed else Finding.PASS,
                report=person(number),
                clause=clause if failed else "",
                reason=Reason.DEFINITION_NOT_MET if failed else 0,
            )
            return report, lambda now: oracle.investigate(claim, now)
        if claim.status == "settled":
            net = claim.payable - min(claim.payable, claim.member.arrears())
            payment = ConfirmPayment(claim=number, amount=net, receipt=person(number))
            return payment, lambda now: oracle.pay(claim, now)
        if self.random.random() < 0.25:
            denial = Review(
                claim=number,
                decision=Decision.DENY,
                clause=clause,
                evidence=person(number),
                reason=Reason.EXCLUDED_CAUSE,
            )
            return denial, lambda now: oracle.deny(claim, now)
        fixed = oracle.plans[claim.plan].terms.benefit is Benefit.FIXED
        amount = 0 if fixed else self.random.randrange(1, claim.claimed + 1)
        acceptance = Review(claim=number, decision=Decision.ACCEPT, amount=amount)
        return acceptance, lambda _: oracle.accept(claim, amount or claim.claimed)

    def _follow(self, kind: EventKind, subject: int) -> None:
        """No claim changes except along the table."""
        if kind in {what for _, what in TRANSITIONS}:
            self.seen[subject] = TRANSITIONS[self.seen.get(subject), kind]

    def compare(self) -> None:
        """The whole state against the whole oracle."""
        state = self.chain.state
        rows = [keys.parse_deadline(key) for key, _ in state.scan(*keys.table(keys.DEADLINE))]
        expected_rows = []
        for claim in self.oracle.claims:
            record = the_claim(state, claim.number)
            assert record.status is ClaimStatus[claim.status.upper()] is self.seen[claim.number]
            assert (record.deadline_ms, record.amount, record.claimed) == (claim.due, claim.amount, claim.claimed)
            assert record.deducted == claim.deducted
            assert record.payable == (claim.payable if claim.status in ("settled", "paid") else 0)
            self._compare_assignment(claim)
            if claim.due:
                expected_rows.append((claim.due, int(DEADLINE_OF[record.status]), claim.number))
        for oracle in self.oracle.plans:
            expected_rows.append((oracle.disclosure, 21, oracle.number))
            if oracle.waiting is not None:
                expected_rows.append((oracle.waiting.settlement, 20, oracle.number))
        expected_rows += self.compare_members() + self.compare_applications()
        assert sorted(rows) == sorted(expected_rows)
        for member in self.oracle.members:
            stored = the_member(state, member.number)
            assert self.queries.bill(state, stored) == sum(share for _, share in member.ledger)
            assert (stored.open_claims, stored.paid_claims) == (member.open, member.paid)
        for oracle in self.oracle.plans:
            money, tally = load_plan(state, oracle.number), load_tally(state, oracle.number)
            ledgers = sum(s for m in self.oracle.members if m.plan == oracle.number for _, s in m.ledger)
            assert money.debits == ledgers == oracle.payouts + oracle.fees + oracle.surplus - oracle.sponsored
            assert money.sponsored == oracle.sponsored
            assert (money.surplus, money.fees, money.payouts) == (oracle.surplus, oracle.fees, oracle.payouts)
            assert (money.paid, money.payable) == (oracle.paid, oracle.payouts - oracle.paid)
            assert tally.members == sum(member.plan == oracle.number for member in self.oracle.members)
            statuses = [claim.status for claim in self.oracle.claims if claim.plan == oracle.number]
            assert [tally.claims[status] for status in ClaimStatus] == [
                statuses.count(status.name.lower()) for status in ClaimStatus
            ]
            for number, sharers, share, cases in oracle.history[-3:]:
                cycle = load_cycle(state, oracle.number, number)
                assert cycle is not None
                assert (cycle.members, cycle.share, cycle.cases) == (sharers, share, max(cases, 0))
                assert (cycle.status is CycleStatus.CARRIED) == (cases < 0)

    def _compare_assignment(self, claim: OracleClaim) -> None:
        record = the_claim(self.chain.state, claim.number)
        role = {"filed": "investigator", "investigated": "reviewer", "settled": "payment"}.get(claim.status)
        if role is None:
            assert record.assigned == -1
            return
        assert role in [held.value for held in ROLES[ORGANISATIONS[record.assigned]]]
        if claim.status == "filed":
            assert record.assigned != claim.member.organisation
        if claim.status == "investigated":
            assert record.assigned != record.investigator

    def statements_agree(self) -> None:
        """Each line of each statement, and its running total, as the member's own ledger has it; and the audit,
        which counts everything again, finds nothing."""
        assert Audit(self.chain.genesis, self.chain.state).run() == []
        for member in self.oracle.members:
            statement = self.queries.statement(self.chain.state, member.number, limit=1_000)
            assert statement is not None
            assert recompute(self.chain.genesis, self.chain.state, member.number) == statement
            terms = self.oracle.plans[member.plan].terms
            digits = 10**terms.minor_digits
            lines = [
                (item["cycle"], round(float(item["charged"]) * digits))
                for item in statement["items"]
                if item["status"] == "settled"
            ]
            assert lines == member.ledger
            total = 0
            for item in statement["items"]:
                if item["status"] == "settled":
                    total += round(float(item["charged"]) * digits)
                    assert round(float(item["running_total"]) * digits) == total
            assert round(float(statement["total"]) * digits) == total


Sent = list[tuple[int, list[tuple[str, tuple[Action, ...]]]]]


def record_blocks(driver: Driver) -> Sent:
    """What the driver sends from now on: (later_ms, [(sender, actions)]) of every block."""
    recorded: Sent = []
    pending: list[tuple[str, tuple[Action, ...]]] = []
    chain = driver.chain
    make, run = chain.transaction, chain.block

    def transaction(sender: str | bytes, *actions: Action, sequence: int = 0, valid_ms: int = HOUR_MS) -> Transaction:
        assert isinstance(sender, str)
        pending.append((sender, actions))
        return make(sender, *actions, sequence=sequence, valid_ms=valid_ms)

    def block(*transactions: Transaction, later_ms: int = 1) -> BlockResult:
        recorded.append((later_ms, pending.copy()))
        pending.clear()
        return run(*transactions, later_ms=later_ms)

    chain.transaction, chain.block = transaction, block  # type: ignore[method-assign]
    return recorded
