"""Investigation, review and payment: whose turn, on what grounds, and what the clock does without them."""

from __future__ import annotations

import pytest

from node.claims import keys
from node.claims.calendar import day_number, start_of
from node.claims.consortium import OrganisationTally
from node.claims.events import EventKind
from node.claims.genesis import Role
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Reason,
    Review,
)
from node.claims.mutual_aid.assignment import assign, rotation
from node.claims.mutual_aid.records import ClaimRecord, the_claim, the_member
from node.claims.mutual_aid.transitions import DEADLINE_OF, STAYS, TRANSITIONS, ClaimStatus
from node.claims.results import ResultCode
from node.claims.transaction import Action
from node.claims.types import DAY_MS, HOUR_MS
from node.claims.wire import decode_trusted
from tests.factories import ORGANISATIONS, ROLES, Chain, make_genesis, new_member, person

CODE = "critical-illness"
HOSPITAL = "hospital-reimbursement"
APRIL_1 = day_number(2026, 4, 1)


class Case:
    """A filed claim of a member whom organisation `by` enrolled."""

    def __init__(self, *, by: str = "a", hospital: bool = False, deadlines_per_block: int = 2_000) -> None:
        self.chain = Chain(make_genesis(deadlines_per_block=deadlines_per_block))
        code = HOSPITAL if hospital else CODE
        self.chain.do(by, Enrol(plan=code, members=(new_member(1), new_member(2))))
        self.chain.until(start_of(APRIL_1 + 9, 480))
        for member in (1, 2):
            self.file(member, code, hospital)

    def file(self, member: int, code: str, hospital: bool) -> None:
        action = FileClaim(
            plan=code,
            member=member,
            ailment="H01" if hospital else "S01",
            diagnosis_day=APRIL_1,
            accident=False,
            evidence=person(9),
            amount=5_000 if hospital else 0,
        )
        assert self.chain.do("c", action).code == 0

    @property
    def claim(self) -> ClaimRecord:
        return the_claim(self.chain.state, 1)

    @property
    def turn(self) -> str:
        return ORGANISATIONS[self.claim.assigned]

    def do(self, action: Action, by: str | None = None) -> ResultCode:
        return ResultCode(self.chain.do(by or self.turn, action).code)

    def investigated(self) -> Case:
        assert self.do(Investigate(claim=1, finding=Finding.PASS, report=person(3))) is ResultCode.OK
        return self

    def settled(self) -> Case:
        self.investigated()
        amount = self.claim.claimed if self.claim.plan else 0
        assert self.do(Review(claim=1, decision=Decision.ACCEPT, amount=amount)) is ResultCode.OK
        for _ in range(90):
            if self.claim.status is ClaimStatus.SETTLED:
                return self
            self.chain.wait(days=1)
        raise AssertionError(self.claim.status.name)

    def missed(self, name: str) -> OrganisationTally:
        raw = self.chain.state.get(keys.tally(ORGANISATIONS.index(name)))
        assert raw is not None
        return decode_trusted(OrganisationTally, raw)


@pytest.mark.parametrize("by", ["a", "d"])
def test_the_enroller_does_not_investigate_if_another_can(by: str) -> None:
    case = Case(by=by)
    for _ in range(4):
        assert case.turn != by
        assert Role.INVESTIGATOR in ROLES[case.turn]
        case.chain.wait(days=30)


def test_the_first_turn_is_spread_over_all_who_hold_the_role() -> None:
    registry = Chain().application.registry
    drawn = [assign(registry, Role.INVESTIGATOR, number) for number in range(1, 301)]
    assert set(drawn) == {0, 2, 3}
    assert min(drawn.count(number) for number in (0, 2, 3)) > 70
    assert set(rotation(registry, Role.INVESTIGATOR, 1, (0,))) == {2, 3}


def test_the_reviewer_is_of_another_organisation_than_the_investigator() -> None:
    for by in ("a", "b", "d"):
        case = Case(by=by).investigated()
        for _ in range(4):
            assert case.claim.assigned != case.claim.investigator
            assert Role.REVIEWER in ROLES[case.turn]
            case.chain.wait(days=10)


def test_a_step_is_taken_by_the_one_it_is_assigned_to() -> None:
    case = Case()
    report = Investigate(claim=1, finding=Finding.PASS, report=person(3))
    for name in ORGANISATIONS:
        if name != case.turn and Role.INVESTIGATOR in ROLES[name]:
            assert case.do(report, by=name) is ResultCode.NOT_ASSIGNED
    assert case.do(Investigate(claim=99, finding=Finding.PASS, report=person(3))) is ResultCode.UNKNOWN_CLAIM
    assert case.do(report) is ResultCode.OK


def test_steps_come_in_order() -> None:
    case = Case()
    review = Review(claim=1, decision=Decision.ACCEPT)
    assert case.do(review, by="b") is ResultCode.WRONG_CLAIM_STATUS
    case.investigated()
    assert (
        case.do(Investigate(claim=1, finding=Finding.PASS, report=person(3)), by="c") is ResultCode.WRONG_CLAIM_STATUS
    )
    payment = ConfirmPayment(claim=1, amount=30_000_000, receipt=person(2))
    assert case.do(payment, by="b") is ResultCode.WRONG_CLAIM_STATUS


@pytest.mark.parametrize(
    ("clause", "reason", "code"),
    [
        ("", 0, ResultCode.FINDING_WITHOUT_GROUNDS),
        ("3.1", 0, ResultCode.FINDING_WITHOUT_GROUNDS),
        ("", 1, ResultCode.FINDING_WITHOUT_GROUNDS),
        ("9.9", 1, ResultCode.UNKNOWN_CLAUSE),
        ("3.1", 200, ResultCode.UNKNOWN_REASON),
        ("3.1", Reason.DECLARATION_UNTRUE, ResultCode.OK),
    ],
)
def test_a_finding_against_the_claim_names_its_grounds(clause: str, reason: int, code: ResultCode) -> None:
    action = Investigate(claim=1, finding=Finding.FAIL, report=person(3), clause=clause, reason=reason)
    assert Case().do(action) is code


@pytest.mark.parametrize(
    ("clause", "evidence", "reason", "code"),
    [
        ("", person(4), 1, ResultCode.DENIAL_WITHOUT_GROUNDS),
        ("3.1", b"", 1, ResultCode.DENIAL_WITHOUT_GROUNDS),
        ("3.1", b"short", 1, ResultCode.DENIAL_WITHOUT_GROUNDS),
        ("3.1", person(4), 0, ResultCode.DENIAL_WITHOUT_GROUNDS),
        ("1.1", person(4), 1, ResultCode.UNKNOWN_CLAUSE),
        ("3.1", person(4), 99, ResultCode.UNKNOWN_REASON),
        ("3.1", person(4), Reason.COURT_ORDER, ResultCode.UNKNOWN_REASON),
        ("3.1", person(4), 1, ResultCode.OK),
    ],
)
def test_a_denial_names_clause_evidence_and_reason(clause: str, evidence: bytes, reason: int, code: ResultCode) -> None:
    case = Case().investigated()
    action = Review(claim=1, decision=Decision.DENY, clause=clause, evidence=evidence, reason=reason)
    assert case.do(action) is code
    if code is not ResultCode.OK:
        assert case.claim.status is ClaimStatus.INVESTIGATED
        return
    due = case.chain.now_ms + 30 * DAY_MS
    assert (case.claim.status, case.claim.deadline_ms, case.claim.assigned) == (ClaimStatus.DENIED, due, -1)
    case.chain.until(due - 1)
    assert (case.claim.status, the_member(case.chain.state, 1).open_claims) == (ClaimStatus.DENIED, 1)
    case.chain.until(due)
    assert (case.claim.status, case.claim.deadline_ms) == (ClaimStatus.CLOSED_DENIED, 0)
    assert the_member(case.chain.state, 1).open_claims == 0


def test_a_reviewer_may_decide_otherwise_than_the_investigator_found() -> None:
    case = Case()
    case.do(Investigate(claim=1, finding=Finding.FAIL, report=person(3), clause="3.1", reason=1))
    assert case.do(Review(claim=1, decision=Decision.ACCEPT)) is ResultCode.OK


def test_a_fixed_sum_is_granted_as_the_table_has_it() -> None:
    case = Case().investigated()
    assert case.do(Review(claim=1, decision=Decision.ACCEPT, amount=1)) is ResultCode.AMOUNT_IS_FIXED
    assert case.do(Review(claim=1, decision=Decision.ACCEPT)) is ResultCode.OK
    assert case.claim.amount == 30_000_000


@pytest.mark.parametrize(("amount", "code"), [(0, 133), (5_001, 133), (5_000, 0), (1, 0)])
def test_receipts_are_granted_up_to_what_was_asked(amount: int, code: int) -> None:
    case = Case(hospital=True).investigated()
    assert case.do(Review(claim=1, decision=Decision.ACCEPT, amount=amount)) == code


def test_a_denial_grants_nothing() -> None:
    case = Case(hospital=True).investigated()
    action = Review(claim=1, decision=Decision.DENY, amount=1, clause="1.1", evidence=person(4), reason=1)
    assert case.do(action) is ResultCode.AMOUNT_OUT_OF_RANGE


def test_the_exact_amount_is_paid_once() -> None:
    case = Case().settled()
    short = ConfirmPayment(claim=1, amount=case.claim.amount - 1, receipt=person(2))
    assert case.do(short) is ResultCode.WRONG_PAYMENT_AMOUNT
    payer = case.turn
    payment = ConfirmPayment(claim=1, amount=case.claim.amount, receipt=person(2))
    assert case.do(payment) is ResultCode.OK
    assert case.do(payment, by=payer) is ResultCode.WRONG_CLAIM_STATUS
    assert (the_member(case.chain.state, 1).open_claims, the_member(case.chain.state, 1).paid_claims) == (0, 1)


@pytest.mark.parametrize("step", ["investigated", "settled", "filed"])
def test_a_missed_deadline_passes_the_step_on_and_is_counted(step: str) -> None:
    case = Case()
    if step != "filed":
        getattr(case, step)()
    late, due = case.turn, case.claim.deadline_ms
    case.chain.until(due - 1)
    assert case.turn == late
    result = case.chain.until(due)
    assert case.turn != late
    assert (case.claim.attempt, case.claim.deadline_ms > due) == (1, True)
    tally = case.missed(late)
    counted = {"filed": tally.investigations_missed, "investigated": tally.reviews_missed}
    # Both claims of the case are filed at nearly the same time, and may be due together.
    assert counted.get(step, tally.payments_missed) in (1, 2)
    kinds = {event.kind for event in result.clock.events}
    assert kinds & {EventKind.INVESTIGATION_MISSED, EventKind.REVIEW_MISSED, EventKind.PAYMENT_MISSED}


def test_a_step_that_comes_in_the_block_of_its_deadline_is_too_late() -> None:
    case = Case()
    late, wait = case.turn, case.claim.deadline_ms - case.chain.now_ms
    report = Investigate(claim=1, finding=Finding.PASS, report=person(3))
    sent = case.chain.transaction(late, report, valid_ms=wait + HOUR_MS)
    assert case.chain.block(sent, later_ms=wait).receipts[0].code == ResultCode.NOT_ASSIGNED


def rows(chain: Chain) -> list[tuple[int, int, int]]:
    return [keys.parse_deadline(key) for key, _ in chain.state.scan(*keys.table(keys.DEADLINE))]


def test_with_one_deadline_a_block_the_oldest_fires_and_the_others_wait() -> None:
    case = Case(deadlines_per_block=1)
    case.chain.wait(days=40)
    blocks = 0
    while (due := case.chain.application.next_deadline_ms(case.chain.state)) is not None and due <= case.chain.now_ms:
        before = rows(case.chain)
        result = case.chain.block()
        assert len(result.clock.events) == 1
        assert before[0] not in rows(case.chain)
        assert set(before[1:]) <= set(rows(case.chain))
        blocks += 1
    assert blocks > 10
    assert case.claim.attempt == 1


def test_an_overdue_step_that_a_transaction_touches_is_settled_first() -> None:
    """The queue is so far behind that the clock has not come to the claim: the outcome is the same."""
    case = Case(deadlines_per_block=1)
    late = case.turn
    wait = case.claim.deadline_ms - case.chain.now_ms
    report = Investigate(claim=1, finding=Finding.PASS, report=person(3))
    sent = case.chain.transaction(late, report, valid_ms=wait + HOUR_MS)
    assert case.chain.block(sent, later_ms=wait).receipts[0].code == ResultCode.NOT_ASSIGNED
    assert case.claim.attempt == 0
    assert case.claim.deadline_ms <= case.chain.now_ms
    turn = ORGANISATIONS[rotation(case.chain.application.registry, Role.INVESTIGATOR, 1, (0,))[1]]
    assert turn != late
    assert case.do(report, by=turn) is ResultCode.OK
    assert (case.claim.status, case.missed(late).investigations_missed) == (ClaimStatus.INVESTIGATED, 1)


def test_a_payment_before_the_clock_settled_the_cycle_is_not_judged_on_stale_state() -> None:
    case = Case().investigated()
    case.do(Review(claim=1, decision=Decision.ACCEPT))
    behind = make_genesis(deadlines_per_block=1)
    case.chain.application.genesis = behind
    case.chain.wait(days=40)
    payment = ConfirmPayment(claim=1, amount=30_000_000, receipt=person(2))
    assert case.do(payment, by="b") is ResultCode.CLOCK_BEHIND


def test_the_table_has_three_ways_in_and_every_open_status_a_deadline_and_a_way_out() -> None:
    starts = [event for status, event in TRANSITIONS if status is None]
    assert starts == [EventKind.CLAIM_FILED, EventKind.CLAIM_RECEIVED, EventKind.CLAIM_HELD]
    reopened = {ClaimStatus.PAID, ClaimStatus.CLOSED_DENIED, ClaimStatus.LAPSED}
    final = reopened | {ClaimStatus.WITHDRAWN, ClaimStatus.RECOVERED, ClaimStatus.WRITTEN_OFF}
    leaving = {status for (status, _), after in TRANSITIONS.items() if status is not None and after is not status}
    assert leaving - reopened == set(DEADLINE_OF) == set(ClaimStatus) - final
    assert set(TRANSITIONS.values()) == set(ClaimStatus)
    # All stays end by the same deadline; otherwise a kind belongs to one status.
    assert len(set(DEADLINE_OF.values())) == len(DEADLINE_OF) - len(STAYS) + 1
