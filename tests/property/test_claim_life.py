"""Random lives of a few claims: whatever anybody sends and whenever, the rules of every life hold.

After each block every claim has exactly one live deadline or is final, went along the table only, its member's
open claims are the open ones, and its plan's totals are those of its claims. The same history on a chain whose clock
lags leaves the same state.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import start_of
from node.claims.claim_rules import ClaimRules
from node.claims.genesis import Calendar, StepDeadlines
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    AnswerClawback,
    ConfirmPayment,
    DecideObjection,
    Decision,
    DeclareTie,
    Enrol,
    ExtendInvestigation,
    FileClaim,
    Finding,
    Investigate,
    LiftStay,
    Object,
    OpenClawback,
    RecordRecovery,
    Recuse,
    ReopenClaim,
    ResolveHold,
    ResubmitClaim,
    ReturnClaim,
    Review,
    StayClaim,
    StayEnd,
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.records import ClaimRecord, load_claim, load_counters, load_plan, the_member
from node.claims.mutual_aid.transitions import DEADLINE_OF, JURY_RUNNING, STAYS, TRANSITIONS, ClaimStatus
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.transaction import Action
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import ORGANISATIONS, Chain, make_genesis, new_member, person, plan
from tests.unit.claims.claim_life import CODE, HOSPITAL, REGULATED, member_key

MEMBERS = 6
CLOSED = (ClaimStatus.PAID, ClaimStatus.CLOSED_DENIED, ClaimStatus.LAPSED, ClaimStatus.WITHDRAWN)
AFTER_PAYMENT = (
    ClaimStatus.CLAWBACK_OPEN,
    ClaimStatus.CLAWBACK_UPHELD,
    ClaimStatus.CLAWBACK_STAYED,
    ClaimStatus.RECOVERED,
    ClaimStatus.WRITTEN_OFF,
)
Sent = list[tuple[str | bytes, Action]]


def short_plans(random: Random) -> Chain:
    """Days instead of months."""
    rules = ClaimRules(
        jury_request_days=random.choice([0, 3]),
        reviewers=random.choice([1, 2]),
        hold_hours=30,
        clawback_window_days=9,
        clawback_days=4,
        hearing_days=1,
        recovery_days=5,
    )
    deadlines = StepDeadlines(
        investigation_hours=40,
        review_hours=20,
        disclosure_hours=25,
        payment_hours=15,
        intake_hours=20,
        papers_hours=30,
        extension_hours=20,
        objection_hours=30,
    )
    short = {
        "waiting_days": 0,
        "report_window_days": 300,
        "deadlines": deadlines,
        "claim_rules": rules,
        "calendar": Calendar(cycle_days=4, settlement_after_days=2),
    }
    plans = tuple(replace(plan(code), **short) for code in (CODE, HOSPITAL))
    chain = Chain(make_genesis(plans=plans, roles=REGULATED))
    for code, first in ((CODE, 1), (HOSPITAL, 4)):
        members = tuple(new_member(number, key=member_key(number)) for number in range(first, first + 3))
        assert chain.do(random.choice("abd"), Enrol(plan=code, members=members)).code == 0
    chain.until(start_of(plan_day(chain) + 6, 480))
    return chain


def plan_day(chain: Chain) -> int:
    return chain.now_ms // DAY_MS


def senders(claim: ClaimRecord, action: Action, random: Random) -> str | bytes:
    """Mostly whose turn it is; else anybody."""
    if isinstance(action, Object) and random.random() < 0.8:
        return member_key(action.member)
    if isinstance(action, ResubmitClaim | AnswerClawback | WithdrawClaim) and random.random() < 0.6:
        return member_key(claim.member)
    if claim.assigned >= 0 and random.random() < 0.8:
        return ORGANISATIONS[claim.assigned]
    if random.random() < 0.4:
        return member_key(random.choice([claim.member, random.randrange(1, MEMBERS + 1)]))
    if claim.status in STAYS or random.random() < 0.2:
        return "d"
    return random.choice(ORGANISATIONS)


def an_action(random: Random, number: int, claim: ClaimRecord) -> Action:
    clause, reason = "3.1" if claim.plan == 0 else "1.1", random.choice([1, 6])
    grounds: dict[str, Any] = {"clause": clause, "evidence": person(40), "reason": reason}
    cited: dict[str, Any] = {"clause": clause, "reason": reason}
    amount = claim.claimed if claim.plan and random.random() < 0.9 else 0
    decision = random.choice([Decision.ACCEPT, Decision.ACCEPT, Decision.DENY])
    granted = amount if decision is Decision.ACCEPT else 0
    choices: list[Action] = [
        AdmitClaim(claim=number),
        ReturnClaim(claim=number, missing=random.randrange(4)),
        ResubmitClaim(claim=number, evidence=person(random.randrange(100)), papers=(person(random.randrange(3)),)),
        Investigate(claim=number, finding=random.choice(list(Finding)), report=person(3), **random.choice([{}, cited])),
        Investigate(claim=number, finding=Finding.PASS, report=person(3)),
        ExtendInvestigation(claim=number, reason=random.randrange(3)),
        Recuse(claim=number),
        Review(claim=number, decision=decision, amount=granted, **grounds),
        Review(claim=number, decision=Decision.ACCEPT, amount=amount),
        Object(claim=number, member=random.randrange(1, MEMBERS + 1), evidence=person(8)),
        DecideObjection(claim=number, decision=decision, **grounds),
        ResolveHold(claim=number, decision=decision, **grounds),
        ConfirmPayment(claim=number, amount=claim.amount, receipt=person(2)),
        OpenClawback(claim=number, report=person(15), **cited),
        AnswerClawback(claim=number, answer=person(16)),
        VoteClawback(claim=number, uphold=random.random() < 0.7),
        recovery_of(claim, number, random),
        VoteWriteOff(claim=number),
        ReopenClaim(claim=number, evidence=person(random.randrange(100)), order=random.choice([b"", person(6)])),
    ]
    rare: list[Action] = [
        WithdrawClaim(claim=number),
        StayClaim(claim=number, order=person(7), days=random.randrange(1, 6)),
        LiftStay(claim=number, end=random.choice(list(StayEnd)), order=person(6), clause=clause),
        DeclareTie(member=claim.member, ends=random.random() < 0.3),
    ]
    fits = [action for action in choices if type(action).__name__ in FITTING.get(claim.status, ())]
    if random.random() < (0.5 if claim.status in STAYS else 0.12):
        return random.choice(rare)
    return random.choice(fits if fits and random.random() < 0.85 else choices)


def recovery_of(claim: ClaimRecord, number: int, random: Random) -> Action:
    part = random.choice([claim.amount, max(1, claim.amount // 3)])
    return RecordRecovery(claim=number, amount=part, receipt=person(random.randrange(200, 300)))


FITTING: dict[ClaimStatus, tuple[str, ...]] = {
    ClaimStatus.INTAKE: ("AdmitClaim", "ReturnClaim"),
    ClaimStatus.RETURNED: ("ResubmitClaim",),
    ClaimStatus.DUP_HOLD: ("ResolveHold",),
    ClaimStatus.FILED: ("Investigate", "Investigate", "ExtendInvestigation", "Recuse"),
    ClaimStatus.INVESTIGATED: ("Review", "Recuse"),
    ClaimStatus.PUBLISHED: ("Object",),
    ClaimStatus.OBJECTED: ("DecideObjection",),
    ClaimStatus.SETTLED: ("ConfirmPayment",),
    ClaimStatus.PAID: ("OpenClawback",),
    ClaimStatus.CLAWBACK_OPEN: ("AnswerClawback", "VoteClawback", "VoteClawback"),
    ClaimStatus.CLAWBACK_UPHELD: ("RecordRecovery", "VoteWriteOff"),
    ClaimStatus.DENIED: ("ReopenClaim",),
    ClaimStatus.CLOSED_DENIED: ("ReopenClaim",),
    ClaimStatus.LAPSED: ("ReopenClaim",),
}


def a_filing(random: Random, chain: Chain) -> tuple[str | bytes, Action]:
    member = random.randrange(1, MEMBERS + 1)
    hospital = member > 3
    action = FileClaim(
        plan=HOSPITAL if hospital else CODE,
        member=member,
        ailment="H01" if hospital else "S01",
        diagnosis_day=plan_day(chain) - random.randrange(3),
        accident=False,
        evidence=person(random.randrange(100)),
        amount=5_000 if hospital else 0,
        papers=tuple(sorted({person(random.randrange(6)) for _ in range(random.randrange(3))})),
    )
    sender: str | bytes = member_key(member) if random.random() < 0.4 else random.choice("ac")
    return sender, action


class Lives:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.chain = short_plans(self.random)
        self.queries = Queries(self.chain.genesis)
        self.seen: dict[int, ClaimStatus] = {}
        self.taken: dict[tuple[ClaimStatus | None, object], int] = {}
        self.recorded: list[tuple[int, Sent]] = []

    def claims(self) -> dict[int, ClaimRecord]:
        last = load_counters(self.chain.state).next_claim
        found = {number: load_claim(self.chain.state, number) for number in range(1, last)}
        return {number: claim for number, claim in found.items() if claim is not None}

    def run(self, blocks: int) -> None:
        random = self.random
        for _ in range(blocks):
            later = random.choice([1, HOUR_MS, 5 * HOUR_MS, 9 * HOUR_MS, random.randrange(1, DAY_MS)])
            claims = self.claims()
            sent: Sent = []
            for _ in range(random.randrange(6)):
                if not claims or random.random() < 0.1:
                    sent.append(a_filing(random, self.chain))
                else:
                    number = self._one(claims)
                    action = an_action(random, number, claims[number])
                    sent.append((senders(claims[number], action, random), action))
            self.recorded.append((later, sent))
            made = [self.chain.transaction(sender, action, valid_ms=later + HOUR_MS) for sender, action in sent]
            result = self.chain.block(*made, later_ms=later)
            for receipt in (result.clock, *result.receipts):
                for event in receipt.events:
                    self._follow(event.kind, event.subject)
                self.queries.receipt(self.chain.state, receipt)
            self.check()

    def _one(self, claims: dict[int, ClaimRecord]) -> int:
        """Mostly a claim that somebody can still do something for."""
        lively = [number for number, claim in claims.items() if claim.status in FITTING or claim.deadline_ms]
        late = [number for number in lively if claims[number].clawbacks]
        choices = late if late and self.random.random() < 0.3 else lively
        return self.random.choice(choices if choices and self.random.random() < 0.9 else list(claims))

    def _follow(self, kind: object, subject: int) -> None:
        if any(kind is event for _, event in TRANSITIONS):
            before = self.seen.get(subject)
            self.taken[before, kind] = self.taken.get((before, kind), 0) + 1
            self.seen[subject] = TRANSITIONS[before, kind]  # type: ignore[index]

    def check(self) -> None:
        state, claims = self.chain.state, self.claims()
        rows = [keys.parse_deadline(key) for key, _ in state.scan(*keys.table(keys.DEADLINE))]
        waiting = sorted((due, kind, number) for due, kind, number in rows if kind in DEADLINE_OF.values())
        expected = []
        for number, claim in claims.items():
            assert claim.status is self.seen[number]
            kind = DEADLINE_OF.get(claim.status)
            assert (kind is None) == (claim.deadline_ms == 0)
            if kind is not None:
                expected.append((claim.deadline_ms, int(kind), number))
            if claim.investigator >= 0:
                assert claim.investigator not in [review.organisation for review in claim.reviews]
                if claim.status is ClaimStatus.INVESTIGATED:
                    assert claim.assigned != claim.investigator
                    assert claim.assigned not in [review.organisation for review in claim.reviews]
            refused = claim.status in (ClaimStatus.DENIED, ClaimStatus.CLOSED_DENIED)
            assert not refused or (claim.clause and claim.reason and len(claim.grounds) == 32 and not claim.amount)
            assert self.queries.claim(state, number) is not None
        assert waiting == sorted(expected)
        for member in range(1, MEMBERS + 1):
            own = [claim.status for claim in claims.values() if claim.member == member]
            record = the_member(state, member)
            assert record.open_claims == sum(status not in (*CLOSED, *AFTER_PAYMENT) for status in own)
            paid = sum(status in (ClaimStatus.PAID, *AFTER_PAYMENT) for status in own)
            assert record.paid_claims == paid
            assert record.plan or paid <= 1, "a fixed sum is paid once"
        for number in (0, 1):
            confirmed = [c.amount for c in claims.values() if c.plan == number and c.status is ClaimStatus.CONFIRMED]
            totals = load_plan(state, number)
            assert totals.confirmed_amount in (sum(confirmed), 0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_life_keeps_the_rules(seed: int) -> None:
    Lives(seed).run(60)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_every_life_keeps_the_rules_for_a_long_time(seed: int) -> None:
    Lives(seed).run(600)


def test_the_histories_take_nearly_every_transition() -> None:
    """A generator that never gets far would prove nothing."""
    taken: set[tuple[object, object]] = set()
    for seed in range(30):
        lives = Lives(seed)
        lives.run(150)
        taken |= set(lives.taken)
    juries = (*JURY_RUNNING, ClaimStatus.JURY_FAILED)
    ours = {row for row, target in TRANSITIONS.items() if row[0] not in juries and target not in juries}
    missing = {(getattr(source, "name", source), event.name) for source, event in ours - taken}
    assert len(missing) <= 12, sorted(map(str, missing))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_clock_that_lags_changes_no_life(seed: int) -> None:
    lives = Lives(seed)
    before = dict(lives.chain.state.records)
    slow = Chain(replace(lives.chain.genesis, deadlines_per_block=1))
    slow.state.records.clear()
    for key, value in before.items():
        slow.state.put(key, value)
    slow.digest = lives.chain.digest
    slow.application.genesis = replace(lives.chain.genesis, deadlines_per_block=1)
    slow.application.registry.digest = lives.chain.digest
    slow.height, slow.now_ms = lives.chain.height, lives.chain.now_ms
    slow._sequences = dict(lives.chain._sequences)
    skipped = len(lives.chain.results)
    lives.run(40)
    for (later, sent), expected in zip(lives.recorded, lives.chain.results[skipped:], strict=True):
        made = [slow.transaction(sender, action, valid_ms=later + HOUR_MS) for sender, action in sent]
        result = slow.block(*made, later_ms=later)
        for ours, theirs in zip(result.receipts, expected.receipts, strict=True):
            if ours.code == ResultCode.CLOCK_BEHIND:
                return  # Refused rather than judged on stale state; from here on the histories differ.
            assert ours.code == theirs.code
    while (due := slow.application.next_deadline_ms(slow.state)) is not None and due <= slow.now_ms:
        slow.block(later_ms=0)
    assert slow.state.records == lives.chain.state.records
