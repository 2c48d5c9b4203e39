"""Rows 23 to 28 of the rulebook, as test_claims_rows.py and test_claims_jury_rows.py have the others; and that every
row has its tests."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims.mutual_aid import transitions
from node.claims.mutual_aid.actions import (
    AnswerClawback,
    Decision,
    LiftStay,
    OpenClawback,
    Reason,
    RecordRecovery,
    ReopenClaim,
    StayClaim,
    StayEnd,
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.records import the_clawback
from node.claims.mutual_aid.rows import ROWS, deadlines, moves, who
from node.claims.mutual_aid.transitions import (
    DEADLINE_OF,
    DEADLINE_OUTCOMES,
    REOPENABLE,
    RESUMED,
    STAY_OF,
    STAYS,
    TRANSITIONS,
    WITHDRAWABLE,
    ClaimStatus,
)
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from tests.factories import ORGANISATIONS, person
from tests.unit.claims import test_claims_jury_rows as jury_rows
from tests.unit.claims import test_claims_rows as first_rows
from tests.unit.claims.claim_life import WAYS, Life, member_key

OK = ResultCode.OK
VALUE = person(70)


# 23: withdrawn.


@pytest.mark.parametrize("status", [status for status in WITHDRAWABLE if status is not ClaimStatus.DUP_HOLD])
@pytest.mark.parametrize("sender", ["a", member_key(1)])
def test_row_23_taken(status: ClaimStatus, sender: str | bytes) -> None:
    life = Life(by_member=status in (ClaimStatus.INTAKE, ClaimStatus.RETURNED)).to(status)
    assert life.do(WithdrawClaim(claim=1), by=sender) is OK
    assert (life.status, life.claim.deadline_ms, life.open_claims) == (ClaimStatus.WITHDRAWN, 0, 0)
    assert life.file("c") is OK, "and may be filed again"


@pytest.mark.parametrize("status", [ClaimStatus.CONFIRMED, ClaimStatus.SETTLED, ClaimStatus.PAID, ClaimStatus.STAYED])
def test_row_23_refused(status: ClaimStatus) -> None:
    life = Life().to(status)
    stayed = status is ClaimStatus.STAYED
    code = ResultCode.CLAIM_IS_STAYED if stayed else ResultCode.WRONG_CLAIM_STATUS
    assert life.do(WithdrawClaim(claim=1), by=member_key(1)) is code
    assert life.do(WithdrawClaim(claim=1), by=member_key(2)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(WithdrawClaim(claim=1), by="d") is ResultCode.NOT_THE_FILER


# 24: stayed.

STAYABLE = [source for source in (*STAY_OF, *STAYS) if source in WAYS]
"""A held duplicate is stayed below, claims before juries in test_jury_stays.py."""
STAY = StayClaim(claim=1, order=person(7), days=20)


def in_status(status: ClaimStatus) -> Life:
    return Life(by_member=status in (ClaimStatus.INTAKE, ClaimStatus.RETURNED)).to(status)


@pytest.mark.parametrize("status", STAYABLE)
def test_row_24_taken(status: ClaimStatus) -> None:
    """Lifted at once, the claim goes on with the time it had left, or is published again."""
    life = in_status(status)
    before = life.claim
    assert life.do(STAY, by="d") is OK
    assert life.claim.deadline_ms == life.chain.now_ms + 20 * DAY_MS
    again = status in STAYS
    expected = ClaimStatus(before.stayed_from) if again else status
    if status in (ClaimStatus.PUBLISHED, ClaimStatus.CONFIRMED):
        expected = ClaimStatus.ACCEPTED
    assert life.do(LiftStay(claim=1, end=StayEnd.RESUME, order=person(6)), by="d") is OK
    assert (life.status, life.claim.order) == (expected, person(6))
    if expected is ClaimStatus.ACCEPTED:
        assert (life.claim.deadline_ms, life.claim.cycle) == (life.plan.disclosure_ms, life.plan.cycle)
        assert (life.plan.confirmed_amount, life.plan.confirmed_cases) == (0, 0)
    elif not again:
        assert (life.claim.deadline_ms, life.claim.assigned) == (before.deadline_ms + 1, before.assigned)
        assert life.claim.attempt == before.attempt


@pytest.mark.parametrize("status", [ClaimStatus.PAID, ClaimStatus.CLOSED_DENIED, ClaimStatus.LAPSED])
def test_row_24_refused(status: ClaimStatus) -> None:
    life = Life(by_member=status is ClaimStatus.LAPSED).to(status)
    assert life.do(STAY, by="d") is ResultCode.WRONG_CLAIM_STATUS
    assert life.do(LiftStay(claim=1, end=StayEnd.RESUME, order=person(6)), by="d") is ResultCode.WRONG_CLAIM_STATUS


@pytest.mark.parametrize("status", STAYABLE)
def test_row_24_late(status: ClaimStatus) -> None:
    life = in_status(status)
    assert life.do(STAY, by="d") is OK
    stayed_ms, left, turn = life.chain.now_ms, life.claim.stayed_left_ms, life.claim.stayed_assigned
    target = ClaimStatus(life.claim.stayed_from)
    due = life.claim.deadline_ms
    life.chain.until(due)
    assert due == stayed_ms + 20 * DAY_MS
    assert (life.status, life.claim.changed_ms) == (target, due)
    if target is not ClaimStatus.ACCEPTED:
        assert (life.claim.deadline_ms, life.claim.assigned) == (due + left, turn)


@pytest.mark.parametrize("status", [ClaimStatus.PAYMENT_STAYED, ClaimStatus.CLAWBACK_STAYED])
def test_a_stay_after_settlement_can_only_be_lifted(status: ClaimStatus) -> None:
    life = Life().to(status)
    for end in (StayEnd.GRANT, StayEnd.REFUSE):
        lift = LiftStay(claim=1, end=end, order=person(6), clause="4.1")
        assert life.do(lift, by="d") is ResultCode.NOT_STAYED_BEFORE_SETTLEMENT
    assert life.plan.payouts == 30_000_000


def test_a_held_duplicate_is_stayed() -> None:
    life = first_rows.duplicate()
    before = first_rows.third(life)
    assert life.do(replace(STAY, claim=3), by="d") is OK
    assert first_rows.resolve(life, Decision.ACCEPT, evidence=person(61)) is ResultCode.CLAIM_IS_STAYED
    life.chain.until(first_rows.third(life).deadline_ms)
    after = first_rows.third(life)
    assert (after.status, after.assigned) == (ClaimStatus.DUP_HOLD, before.assigned)
    assert after.deadline_ms - life.chain.now_ms == before.deadline_ms - before.changed_ms - 1


def test_a_court_that_refuses_names_the_clause() -> None:
    life = Life().to(ClaimStatus.STAYED)
    refuse = LiftStay(claim=1, end=StayEnd.REFUSE, order=person(6))
    assert life.do(refuse, by="d") is ResultCode.DENIAL_WITHOUT_GROUNDS
    assert life.do(replace(refuse, clause="9.9"), by="d") is ResultCode.UNKNOWN_CLAUSE
    assert life.do(replace(refuse, clause="4.1"), by="d") is OK
    assert life.claim.reason == 10


@pytest.mark.parametrize("status", [ClaimStatus.PUBLISHED, ClaimStatus.CONFIRMED])
def test_a_stayed_claim_that_goes_on_is_settled_once_in_a_later_cycle(status: ClaimStatus) -> None:
    life = Life().to(status)
    cycle = life.claim.cycle
    assert life.do(STAY, by="d") is OK
    for _ in range(80):
        life.chain.wait(days=1)
        if life.status is ClaimStatus.SETTLED:
            break
    assert (life.status, life.claim.cycle > cycle) == (ClaimStatus.SETTLED, True)
    assert (life.plan.payouts, life.plan.payable) == (30_000_000, 30_000_000)


def test_a_stayed_step_that_was_passed_on_goes_on_with_the_one_who_had_it() -> None:
    life = Life()
    life.deadline()
    turn, attempt = life.turn, life.claim.attempt
    assert life.do(STAY, by="d") is OK
    life.deadline()
    assert (life.turn, life.claim.attempt) == (turn, attempt)
    life.deadline()
    assert life.turn != turn


# 25 to 27: clawback. The panel of a claim depends on who investigated and reviewed it.

OPEN = OpenClawback(claim=1, report=person(15), clause="3.1", reason=Reason.EVIDENCE_FALSE)
ANSWER = AnswerClawback(claim=1, answer=person(16))


def test_row_25_taken() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_OPEN)
    assert life.claim.deadline_ms == life.chain.now_ms + 60 * DAY_MS
    case = the_clawback(life.chain.state, 1)
    assert len(case.panel) >= 2 and case.opener not in case.panel
    assert case.quorum == len(case.panel) // 2 + 1
    assert life.do(ANSWER, by=member_key(1)) is OK
    assert (life.status, the_clawback(life.chain.state, 1).answer) == (ClaimStatus.CLAWBACK_OPEN, person(16))


def test_row_25_refused() -> None:
    life = Life().to(ClaimStatus.PAID)
    assert life.do(replace(OPEN, reason=0), by="b") is ResultCode.FINDING_WITHOUT_GROUNDS
    assert life.do(replace(OPEN, clause="9.9"), by="b") is ResultCode.UNKNOWN_CLAUSE
    assert life.do(replace(OPEN, reason=Reason.COURT_ORDER), by="b") is ResultCode.UNKNOWN_REASON
    assert life.do(OPEN, by="b") is OK
    assert life.do(OPEN, by="c") is ResultCode.WRONG_CLAIM_STATUS
    assert life.do(ANSWER, by=member_key(2)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(ANSWER, by="d") is ResultCode.NOT_THE_FILER
    assert life.do(ANSWER, by="a") is OK
    assert life.do(ANSWER, by=member_key(1)) is ResultCode.HEARING_OVER


def test_row_26_taken() -> None:
    upheld = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    case = the_clawback(upheld.chain.state, 1)
    assert (case.amount, case.recovered) == (30_000_000, 0)
    assert len(case.upholds) == case.quorum
    dropped = Life().to(ClaimStatus.CLAWBACK_OPEN)
    assert dropped.do(ANSWER, by=member_key(1)) is OK
    dropped.vote(uphold=False)
    assert (dropped.status, dropped.claim.deadline_ms) == (ClaimStatus.PAID, 0)


def test_row_26_refused() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_OPEN)
    case = the_clawback(life.chain.state, 1)
    first = ORGANISATIONS[case.panel[0]]
    vote = VoteClawback(claim=1, uphold=True)
    assert life.do(vote, by=ORGANISATIONS[case.opener]) is ResultCode.NOT_ON_CLAWBACK_PANEL
    assert life.do(vote, by=first) is ResultCode.HEARING_NOT_OVER
    life.chain.until(case.hearing_ms)
    assert life.do(ANSWER, by=member_key(1)) is ResultCode.HEARING_OVER
    assert life.do(vote, by=first) is OK
    assert life.do(vote, by=first) is ResultCode.HAS_VOTED
    assert life.do(replace(vote, uphold=False), by=first) is ResultCode.HAS_VOTED


def test_row_26_late() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_OPEN)
    claim, _ = first_rows.late(life)
    assert (claim.status, claim.deadline_ms, claim.clawbacks) == (ClaimStatus.PAID, 0, 1)


def recover(life: Life, amount: int, receipt: int = 17) -> ResultCode:
    return life.do(RecordRecovery(claim=1, amount=amount, receipt=person(receipt)), by="b")


def test_row_27_taken() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    assert recover(life, 10_000_000) is OK
    assert (life.status, the_clawback(life.chain.state, 1).recovered) == (ClaimStatus.CLAWBACK_UPHELD, 10_000_000)
    assert recover(life, 20_000_000, 18) is OK
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.RECOVERED, 0)
    lost = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    assert recover(lost, 10_000_000) is OK
    case = the_clawback(lost.chain.state, 1)
    for voter in case.panel[: case.quorum]:
        assert lost.status is ClaimStatus.CLAWBACK_UPHELD
        assert lost.do(VoteWriteOff(claim=1), by=ORGANISATIONS[voter]) is OK
    assert (lost.status, lost.claim.deadline_ms) == (ClaimStatus.WRITTEN_OFF, 0)


def test_row_27_refused() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    for amount in (0, 30_000_001):
        assert recover(life, amount) is ResultCode.AMOUNT_OUT_OF_RANGE
    assert recover(life, 1) is OK
    assert recover(life, 1) is ResultCode.RECEIPT_KNOWN
    case = the_clawback(life.chain.state, 1)
    assert life.do(VoteWriteOff(claim=1), by=ORGANISATIONS[case.opener]) is ResultCode.NOT_ON_CLAWBACK_PANEL
    first = ORGANISATIONS[case.panel[0]]
    assert life.do(VoteWriteOff(claim=1), by=first) is OK
    assert life.do(VoteWriteOff(claim=1), by=first) is ResultCode.HAS_VOTED


def test_row_27_late() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    claim, _ = first_rows.late(life)
    assert (claim.status, claim.deadline_ms) == (ClaimStatus.WRITTEN_OFF, 0)


# 28: reopened.


def reopen(life: Life, by: str, order: bytes = b"", evidence: bytes = person(50)) -> ResultCode:
    return life.do(ReopenClaim(claim=1, evidence=evidence, order=order), by=by)


def uninvolved(life: Life) -> str:
    decided = (life.claim.investigator, life.claim.reviewer)
    return next(name for name in "bcd" if ORGANISATIONS.index(name) not in decided)


@pytest.mark.parametrize("status", REOPENABLE)
def test_row_28_taken(status: ClaimStatus) -> None:
    life = Life(by_member=status is ClaimStatus.LAPSED).to(status)
    before = life.claim
    assert reopen(life, uninvolved(life)) is OK
    assert (life.status, life.open_claims, life.claim.reopened) == (ClaimStatus.FILED, 1, 1)
    assert (life.claim.evidence, life.claim.clause, life.claim.reviews) == (person(50), "", ())
    assert before.investigator < 0 or life.claim.assigned != before.investigator
    life.to(ClaimStatus.PAID)


def test_row_28_refused() -> None:
    life = Life().to(ClaimStatus.DENIED)
    decided = ORGANISATIONS[life.claim.reviewer]
    assert reopen(life, decided) is ResultCode.HAD_A_PART
    assert reopen(life, uninvolved(life), evidence=life.claim.evidence) is ResultCode.EVIDENCE_NOT_NEW
    assert reopen(life, uninvolved(life), order=b"short") is ResultCode.NOT_A_COMMITMENT
    assert reopen(life, "b", order=person(6)) is ResultCode.FORBIDDEN
    assert Life().do(ReopenClaim(claim=1, evidence=person(50)), by="b") is ResultCode.WRONG_CLAIM_STATUS


# The table.


def test_every_row_has_its_tests() -> None:
    assert {*range(1, ROWS[-1].number + 1)} - {row.number for row in ROWS} == {9, 22}, "parts of 8 and of 19"
    names = {*globals(), *vars(first_rows), *vars(jury_rows)}
    missing = []
    for row in ROWS:
        if row.actions:
            missing += [f"test_row_{row.number:02d}_{kind}" for kind in ("taken", "refused")]
        if row.late:
            missing.append(f"test_row_{row.number:02d}_late")
    assert [name for name in missing if name not in names] == []


def test_the_rows_name_every_transition_and_no_other() -> None:
    named = [event for row in ROWS for event in (*row.events, *row.late)]
    assert set(named) == {event for _, event in TRANSITIONS}
    for row in ROWS:
        assert moves(row), row.title


def test_every_waiting_status_says_what_happens_when_its_deadline_passes() -> None:
    assert set(DEADLINE_OUTCOMES) == set(DEADLINE_OF)
    for status in DEADLINE_OF:
        for event in DEADLINE_OUTCOMES[status]:
            assert (status, event) in TRANSITIONS
    assert sorted(event for stay in STAYS for event in DEADLINE_OUTCOMES[stay]) == sorted(RESUMED.values())
    assert transitions.DeadlineKind.STAY in deadlines(next(row for row in ROWS if row.number == 24))


def test_a_row_says_who_may_from_the_permissions() -> None:
    rows = {row.number: row for row in ROWS}
    assert who(rows[1]) == ("intake", "member")
    assert who(rows[10]) == ("clock",)
    assert who(rows[24]) == ("regulator",)
    assert who(rows[16]) == ("enroller", "intake", "member")
    assert who(rows[7]) == ("investigator", "reviewer")
