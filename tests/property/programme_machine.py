"""The whole programme at random: members, organisations, a regulator and time, in any order, against the ledgers.

Whoever acts here knows the claim's status and whose turn it is, as people do from the node's answers, and now and
then acts out of turn. What the chain accepts or refuses is up to it; what it may never do is checked after each
block: leave the table, leave a claim without its one deadline, or charge, pay or keep a fen more than the ledgers say.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from node.claims import keys
from node.claims.application import Application, Receipt
from node.claims.calendar import day_of, month_index
from node.claims.claim_rules import ClaimRules
from node.claims.genesis import AgeBand, Calendar, Costs, PlanTerms, Role, StepDeadlines
from node.claims.mutual_aid.actions import (
    DeclareTie,
    Enrol,
    FileClaim,
    Leave,
    NewMember,
    RecordContribution,
    ReportArrears,
)
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Applicant,
    Apply,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.mutual_aid.application_records import the_application
from node.claims.mutual_aid.bills import bill
from node.claims.mutual_aid.records import load_plan, load_tally, the_claim, the_member
from node.claims.mutual_aid.transitions import DEADLINE_OF, ClaimStatus, DeadlineKind
from node.claims.results import ResultCode
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, Chain, key_of, make_genesis, person, plan
from tests.property.programme_jury import JURY, Accepting, found_juries, qualify
from tests.property.programme_ledger import Ledger
from tests.property.programme_moves import ANY_TIME, CLAUSE, EVERY, MOVES

DESK: Final = (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT)
ROLES: Final = {"a": DESK, "b": DESK, "c": DESK, "d": (*DESK, Role.REGULATOR)}
SEEDS: Final = st.integers(0, 2**32 - 1)
FIXED, REPAID = "critical-illness", "hospital-reimbursement"
AILMENTS: Final = {FIXED: ("S01", "M01"), REPAID: ("H01",)}
MEMBERS_MAX: Final = 60
APPLICANTS: Final = 10_000
"""Numbers of people who apply begin here, apart from those who are enrolled and from papers."""
MONEY_ROWS: Final = (20, 21)
"""Deadline kinds of a plan's settlement and disclosure."""


def small_plans(
    *, case_cap: int, year_cap: int, sponsor: str, reviewers: int, waiting_days: int
) -> tuple[PlanTerms, PlanTerms]:
    """Days instead of months, so that a short history sees many cycles and many deadlines."""
    rules = ClaimRules(
        jury_request_days=3,
        reviewers=reviewers,
        hold_hours=30,
        clawback_window_days=40,
        hearing_days=2,
        clawback_days=9,
        recovery_days=6,
    )
    fixed = replace(
        plan(FIXED),
        waiting_days=waiting_days,
        exit_after_payout=True,
        report_window_days=20,
        calendar=Calendar(cycle_days=4, settlement_after_days=2),
        deadlines=StepDeadlines(
            investigation_hours=40,
            review_hours=20,
            disclosure_hours=25,
            payment_hours=15,
            intake_hours=18,
            papers_hours=30,
            extension_hours=24,
            objection_hours=22,
            application_hours=50,
        ),
        claim_rules=rules,
        jury=JURY,
        costs=Costs(case_cap_minor_units=case_cap, year_cap_minor_units=year_cap, sponsor=sponsor),
    )
    repaid = replace(
        plan(REPAID),
        waiting_days=0,
        open_claims_max=2,
        calendar=Calendar(cycle_days=3, settlement_after_days=3),
        deadlines=replace(fixed.deadlines, disclosure_hours=71),
        age_bands=(AgeBand(from_age_years=0, to_age_years=150, standard_minor_units=10_000),),
        claim_rules=replace(rules, reviewers=1),
    )
    return fixed, repaid


class ProgrammeMachine(RuleBasedStateMachine):
    """One chain and its ledgers."""

    @initialize(
        case_cap=st.sampled_from([0, 0, 500_000]),
        year_cap=st.sampled_from([0, 1_000_000]),
        sponsor=st.sampled_from(["", "b"]),
        reviewers=st.sampled_from([1, 2]),
        waiting_days=st.sampled_from([3, 3, 25]),
        seed=SEEDS,
    )
    def begin(self, case_cap: int, year_cap: int, sponsor: str, reviewers: int, waiting_days: int, seed: int) -> None:
        plans = small_plans(
            case_cap=case_cap, year_cap=year_cap, sponsor=sponsor, reviewers=reviewers, waiting_days=waiting_days
        )
        self.chain = Chain(make_genesis(plans=plans, roles=ROLES))
        self.chain.application = Application(self.chain.genesis, proofs=Accepting())
        self.ledger = Ledger(plans, self.chain.now_ms)
        self.people = 0
        self.papers: int = 100
        self.codes: dict[ResultCode, int] = {}
        self.the_first_members_join(seed)
        found_juries(self, FIXED)
        for member in range(1, self.people + 1):
            qualify(self, member)

    # What happens.

    def do(self, sender: str | bytes, action: Action) -> Receipt:
        """One action in a block of its own. The clock's deadlines come first, as in every block."""
        receipt = self.chain.do(sender, action)
        self.follow(action, sender)
        return receipt

    def follow(self, action: Action | None = None, sender: str | bytes = b"") -> None:
        result = self.chain.results[-1]
        for receipt in (result.clock, *result.receipts):
            if receipt is not result.clock:
                code = ResultCode(receipt.code)
                self.codes[code] = self.codes.get(code, 0) + 1
                if code is ResultCode.OK and isinstance(sender, str):
                    if isinstance(action, Enrol):
                        self.ledger.enrol(action, ORGANISATIONS.index(sender), self.chain.now_ms)
                    elif isinstance(action, Apply):
                        self.ledger.apply(action, ORGANISATIONS.index(sender))
            for event in receipt.events:
                self.ledger.follow(event, self.chain.now_ms)

    def paper(self) -> bytes:
        self.papers += 1
        return person(self.papers)

    @rule(hours=st.sampled_from([1, 7, 13, 26, 75]))
    def time_passes(self, hours: int) -> None:
        if not hours:
            return
        self.chain.wait(hours=hours)
        self.follow()

    @rule(days=st.integers(1, 40))
    def time_passes_to_the_very_moment(self, days: int) -> None:
        """Of the next deadline, or the last millisecond before it."""
        due = self.chain.application.next_deadline_ms(self.chain.state)
        if due is not None and due > self.chain.now_ms + 2:
            self.chain.until(due - days % 2)
            self.follow()

    def the_first_members_join(self, seed: int) -> None:
        for code in (FIXED, REPAID):
            for organisation in ORGANISATIONS:
                self.people_join(Random(seed), code, organisation)
        self.time_passes(75)

    @precondition(lambda self: self.people < MEMBERS_MAX)
    @rule(seed=SEEDS)
    def more_people_join(self, seed: int) -> None:
        random = Random(seed)
        self.people_join(random, random.choice((FIXED, REPAID)), random.choice(ORGANISATIONS))

    def people_join(self, random: Random, code: str, organisation: str) -> None:
        entries = []
        for _ in range(random.randrange(1, 5)):
            self.people += 1
            born = month_index(random.choice((1966, 1967, 1980, 1990, 2001)), random.randrange(1, 13))
            key = key_of(f"member {self.people}")
            units = random.choice((1, 1, 2, 7))
            entries.append(NewMember(person=person(self.people), birth_month=born, key=key, units=units))
        receipt = self.do(organisation, Enrol(plan=code, members=tuple(entries)))
        if receipt.code:
            self.people -= len(entries)
        assert self.people == len(self.ledger.oracle.members)

    @rule(seed=SEEDS)
    def people_apply(self, seed: int) -> None:
        random = Random(seed)
        first = len(self.ledger.applicants)
        entries = tuple(
            Applicant(
                person=person(APPLICANTS + first + index),
                birth_month=month_index(random.choice((1966, 1980, 2001)), random.randrange(1, 13)),
                declaration=self.paper(),
                payer=-1 if index == 1 else 0,
                units=random.choice((1, 3)),
            )
            for index in range(random.randrange(1, 4))
        )
        self.do(random.choice(ORGANISATIONS), Apply(plan=random.choice((FIXED, REPAID)), applicants=entries))

    @rule(seed=SEEDS)
    def applications_are_decided(self, seed: int) -> None:
        """Or forgotten, or decided by somebody else, or a second time."""
        random = Random(seed)
        for index, (plan_number, organisation, _) in enumerate(self.ledger.applicants, start=1):
            waits = self.ledger.application_status[index] is ApplicationStatus.APPLIED
            if random.random() < (0.5 if waits else 0.9):
                continue
            key = key_of(f"member {self.people + 1}")
            accepts = AcceptApplication(application=index, key=key)
            refuses = RefuseApplication(application=index, clause=CLAUSE[plan_number], reason=1)
            withdraws = WithdrawApplication(application=index)
            sender = random.choice(ORGANISATIONS) if random.random() < 0.1 else ORGANISATIONS[organisation]
            choices: tuple[Action, ...] = (accepts, refuses, withdraws)
            if self.people >= MEMBERS_MAX:
                choices = choices[1:]
            self.do(sender, random.choice(choices))
            self.people = len(self.ledger.oracle.members)

    @rule(seed=SEEDS)
    def people_fall_ill(self, seed: int) -> None:
        random = Random(seed)
        for _ in range(random.randrange(1, 4)):
            member = random.choice(self.ledger.oracle.members)
            terms = self.ledger.oracle.plans[member.plan].terms
            today = day_of(self.chain.now_ms, terms.utc_offset_minutes)
            accident = random.random() < 0.3
            covered = range(max(member.enrolled + 1 if accident else member.covered, today - 9), today + 1)
            day = random.choice(covered) if covered and random.random() < 0.95 else today - random.randrange(9)
            action = FileClaim(
                plan=terms.code,
                member=member.number,
                ailment=random.choice(AILMENTS[terms.code]),
                diagnosis_day=day,
                accident=accident,
                evidence=self.paper(),
                amount=random.randrange(1, 10_001) if terms.code == REPAID else 0,
                papers=(person(-random.randrange(1, 9)),) if random.random() < 0.2 else (),
            )
            by_member = random.random() < 0.4
            self.do(key_of(f"member {member.number}") if by_member else random.choice(ORGANISATIONS), action)

    @rule(seed=SEEDS, rounds=st.integers(1, 6), hours=st.sampled_from([0, 2, 5, 9]))
    def people_work(self, seed: int, rounds: int, hours: int) -> None:
        """Whoever has a step to take takes it, or forgets it, or does something else."""
        random = Random(seed)
        for _ in range(rounds):
            for claim in list(self.ledger.oracle.claims):
                is_live = self.ledger.status[claim.number] in DEADLINE_OF
                if random.random() < (0.5 if is_live else 0.08):
                    self.act(random, claim.number)
            self.time_passes(hours)

    def act(self, random: Random, number: int) -> None:
        record = the_claim(self.chain.state, number)
        fitting = MOVES.get(record.status, ())
        if random.random() < 0.02:
            fitting = EVERY
        elif random.random() < 0.05:
            fitting = ANY_TIME
        if not fitting:
            return
        made = random.choice(fitting)(self, number, record)
        if made is not None:
            sender, action = made
            self.do(random.choice(ORGANISATIONS) if random.random() < 0.05 else sender, action)

    @rule(seed=SEEDS)
    def somebody_becomes_a_juror(self, seed: int) -> None:
        qualify(self, Random(seed).choice(self.ledger.oracle.members).number)

    @rule(seed=SEEDS)
    def people_pay_or_leave(self, seed: int) -> None:
        """Or do not pay: balances run out, arrears are reported, and memberships end."""
        random = Random(seed)
        for member in random.sample(self.ledger.oracle.members, 3):
            enroller = ORGANISATIONS[member.organisation]
            amount = random.choice((1, 40_000, 400_000, 9_000_000))
            choice = random.random()
            if choice < 0.15:
                self.do(key_of(f"member {member.number}"), Leave(member=member.number))
            elif choice < 0.6:
                paid = RecordContribution(member=member.number, amount=amount, receipt=self.paper())
                self.do(enroller, paid)
            else:
                self.do(enroller, ReportArrears(member=member.number, amount=amount))

    @rule(seed=SEEDS)
    def an_organisation_declares_a_tie(self, seed: int) -> None:
        """Or ends it again: with all tied to all, everybody would have a part in everything."""
        first, second = Random(seed).sample(ORGANISATIONS, 2)
        if seed % 8 == 0 and self.do(first, DeclareTie(organisation=second)).code:
            self.do(first, DeclareTie(organisation=second, ends=True))

    # What must hold after every step.

    @invariant()
    def every_claim_is_final_or_has_one_deadline(self) -> None:
        if not hasattr(self, "chain"):
            return
        rows: dict[tuple[int, int], list[int]] = {}
        for key, _ in self.chain.state.scan(*keys.table(keys.DEADLINE)):
            due_ms, kind, subject = keys.parse_deadline(key)
            if kind in set(DEADLINE_OF.values()):
                rows.setdefault((kind, subject), []).append(due_ms)
        expected = {}
        for claim in self.ledger.oracle.claims:
            record = the_claim(self.chain.state, claim.number)
            assert record.status is self.ledger.status[claim.number]
            deadline = DEADLINE_OF.get(record.status)
            if deadline is None:
                assert record.deadline_ms == 0
            else:
                expected[int(deadline), claim.number] = [record.deadline_ms]
            if record.status in (ClaimStatus.DENIED, ClaimStatus.CLOSED_DENIED):
                assert record.clause and record.reason and len(record.grounds) == 32
        assert rows == expected

    @invariant()
    def every_application_is_pending_with_one_deadline_or_has_ended(self) -> None:
        if not hasattr(self, "chain"):
            return
        state, pending = self.chain.state, []
        for number, status in self.ledger.application_status.items():
            record = the_application(state, number)
            assert record.status is status
            if status is ApplicationStatus.APPLIED:
                pending.append((record.deadline_ms, int(DeadlineKind.APPLICATION), number))
        rows = [keys.parse_deadline(key) for key, _ in state.scan(*keys.table(keys.DEADLINE))]
        assert [row for row in rows if row[1] == DeadlineKind.APPLICATION] == sorted(pending)

    @invariant()
    def every_fen_is_where_the_ledgers_say(self) -> None:
        if not hasattr(self, "chain"):
            return
        state = self.chain.state
        for member in self.ledger.oracle.members:
            record = the_member(state, member.number)
            terms = self.chain.application.registry.plan(state, record.plan)
            assert bill(state, terms, record) == sum(charge for _, charge in member.ledger)
        for oracle in self.ledger.oracle.plans:
            money, tally = load_plan(state, oracle.number), load_tally(state, oracle.number)
            charged = sum(s for m in self.ledger.oracle.members if m.plan == oracle.number for _, s in m.ledger)
            recovered = self.ledger.recovered[oracle.number]
            assert money.debits == charged
            assert charged + oracle.sponsored + recovered == oracle.payouts + oracle.fees + oracle.surplus
            kept = (oracle.surplus, oracle.fees, oracle.payouts)
            assert (money.surplus, money.fees, money.payouts) == kept, f"{money} is not {kept}"
            assert (money.sponsored, money.paid) == (oracle.sponsored, oracle.paid)
            assert money.payable == oracle.payouts - oracle.paid
            statuses = [self.ledger.status[c.number] for c in self.ledger.oracle.claims if c.plan == oracle.number]
            assert [tally.claims[status] for status in ClaimStatus] == [statuses.count(one) for one in ClaimStatus]
