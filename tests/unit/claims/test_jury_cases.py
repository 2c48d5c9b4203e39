"""A denied claim before juries, row by row of the transition table: taken, refused, and its deadline passed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.jury.actions import (
    AppealGround,
    AppealVerdict,
    CastBallots,
    LockStatement,
    RequestJury,
    StopJury,
    Vote,
)
from node.claims.jury.records import Outcome, RoundKind, load_case
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.mutual_aid.records import load_plan, the_member
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import ORGANISATIONS, person
from tests.unit.claims.claim_life import Life
from tests.unit.claims.jury_life import CLAIMANT, FIRST, RULES, JuryLife, member_key

PANEL = replace(RULES, mode=JuryMode.PANEL)
REQUEST = RequestJury(claim=1, statement=person(50))
APPEAL = AppealVerdict(claim=1, ground=AppealGround.NEW_EVIDENCE, evidence=person(60))


# Row 16: DENIED -> JURY_OPEN


@pytest.mark.parametrize("by", ["a", member_key(CLAIMANT)], ids=["enroller", "member"])
def test_a_denied_member_gets_a_jury(by: str | bytes) -> None:
    life = JuryLife().denied()
    now = life.chain.now_ms + 1
    assert life.do(REQUEST, by=by) is ResultCode.OK
    assert life.status is ClaimStatus.JURY_OPEN
    assert life.claim.deadline_ms == now + 3 * DAY_MS
    assert (life.case.requests, life.case.statement) == (1, person(50))


def test_nobody_else_asks_for_it() -> None:
    life = JuryLife().denied()
    assert life.do(REQUEST, by=member_key(FIRST)) is ResultCode.NOT_THIS_MEMBER
    other = next(name for name in "bd" if ORGANISATIONS.index(name) != life.claim.filer)
    assert life.do(REQUEST, by=other) is ResultCode.NOT_THE_FILER
    assert load_case(life.chain.state, 1) is None


def test_a_plan_without_a_jury_refuses() -> None:
    """As every plan whose file says nothing of one."""
    assert JuryTerms().mode is JuryMode.OFF
    life = Life(jury=JuryTerms()).to(ClaimStatus.DENIED)
    assert life.do(REQUEST, by="a") is ResultCode.JURY_OFF


def test_the_time_to_ask_passes() -> None:
    life = JuryLife().denied()
    life.deadline()
    assert life.status is ClaimStatus.CLOSED_DENIED
    assert life.do(REQUEST, by="a") is ResultCode.WRONG_CLAIM_STATUS


# Row 17: JURY_OPEN -> JURY_VOTING


def test_the_vote_begins_after_three_days_without_the_other_side() -> None:
    life = JuryLife().requested()
    due = life.claim.deadline_ms
    life.deadline()
    assert life.status is ClaimStatus.JURY_VOTING
    assert life.claim.deadline_ms == due + 24 * HOUR_MS
    assert (life.round.kind, life.round.opened_ms) == (RoundKind.OPEN, due)


def test_with_both_statements_it_begins_in_the_next_block() -> None:
    life = JuryLife().requested()
    denier = ORGANISATIONS[life.case.denier]
    lock = LockStatement(claim=1, statement=person(51))
    other = next(name for name in "bcd" if name != denier)
    assert life.do(lock, by=other) in (ResultCode.NOT_A_PARTY, ResultCode.FORBIDDEN)
    assert life.do(lock, by=denier) is ResultCode.OK
    assert life.case.answer == person(51)
    life.chain.block()
    assert life.status is ClaimStatus.JURY_VOTING
    assert life.do(lock, by=denier) is ResultCode.WRONG_CLAIM_STATUS


def test_a_statement_is_locked_once() -> None:
    life = JuryLife().requested()
    lock = LockStatement(claim=1, statement=person(51))
    denier = ORGANISATIONS[life.case.denier]
    both = [life.chain.transaction(denier, lock), life.chain.transaction(denier, lock)]
    receipts = life.chain.block(*both).receipts
    assert [receipt.code for receipt in receipts] == [0, ResultCode.STATEMENT_LOCKED]


def test_a_plan_with_panels_draws_one_at_once() -> None:
    life = JuryLife(PANEL).answered()
    assert life.status is ClaimStatus.JURY_DRAWING
    assert (life.round.size, life.case.level) == (3, 0)


# Row 18: JURY_VOTING -> JURY_STOPPED -> DENIED


@pytest.mark.parametrize("when", ["open", "voting", "reveal", "drawing", "commit"])
def test_the_member_stops_it_before_the_first_ballot_is_revealed(when: str) -> None:
    life = JuryLife(PANEL if when in {"drawing", "commit"} else RULES)
    if when == "open":
        life.requested()
    else:
        life.answered()
    if when in {"voting", "reveal"}:
        assert life.cast(dict.fromkeys(life.pool[:5], Vote.PAY)) is ResultCode.OK
    if when == "reveal":
        life.deadline()
    if when == "commit":
        life.drawn()
    assert life.do(StopJury(claim=1), by=member_key(FIRST)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(StopJury(claim=1), by=member_key(CLAIMANT)) is ResultCode.OK
    assert life.status is ClaimStatus.DENIED
    assert life.claim.deadline_ms == life.chain.now_ms + 30 * DAY_MS
    if when != "open":
        assert (life.round.outcome, life.round.pay, life.round.reasons) == (Outcome.STOPPED, 0, ())
    assert all(not life.juror(member).missed for member in life.pool)


def test_after_the_first_revealed_ballot_it_cannot_be_stopped() -> None:
    life = JuryLife().answered()
    votes = dict.fromkeys(life.pool[:6], Vote.REFUSE)
    life.cast(votes)
    life.deadline()
    assert life.reveal({FIRST: Vote.REFUSE}) is ResultCode.OK
    assert life.do(StopJury(claim=1), by="a") is ResultCode.TOO_LATE_TO_STOP


def test_two_requests_and_no_third() -> None:
    life = JuryLife().answered()
    assert life.do(StopJury(claim=1), by="a") is ResultCode.OK
    assert life.do(REQUEST, by="a") is ResultCode.OK
    assert (life.case.requests, life.case.round) == (2, 1)
    assert life.do(StopJury(claim=1), by="a") is ResultCode.OK
    assert life.status is ClaimStatus.CLOSED_DENIED
    assert the_member(life.chain.state, CLAIMANT).open_claims == 0


def test_a_ballot_of_the_first_request_is_none_in_the_second() -> None:
    life = JuryLife().answered()
    first = life.ballot(FIRST, Vote.PAY)
    life.do(StopJury(claim=1), by="a")
    life.do(REQUEST, by="a")
    life.deadline()
    assert life.case.round == 2
    for number in (1, 2):
        code = life.do(CastBallots(claim=1, round=number, ballots=(first,)), by="a")
        assert code is (ResultCode.WRONG_ROUND if number == 1 else ResultCode.BALLOT_SIGNATURE_INVALID)


# Row 19: JURY_VOTING -> JURY_PASSED / JURY_FAILED


@pytest.mark.parametrize(("pay", "refuse", "passes"), [(5, 0, True), (3, 3, True), (3, 4, False), (0, 5, False)])
def test_half_of_the_valid_votes_pass(pay: int, refuse: int, passes: bool) -> None:
    life = JuryLife().answered()
    life.vote(pay, refuse)
    assert life.round.outcome is (Outcome.PASSED if passes else Outcome.FAILED)
    assert (life.round.revealed, life.round.pay) == (pay + refuse, pay)
    assert sum(votes for _, votes in life.round.reasons) == pay + refuse
    assert life.status is (ClaimStatus.ACCEPTED if passes else ClaimStatus.JURY_FAILED)


def test_a_claim_that_passes_is_queued_for_the_next_disclosure() -> None:
    """Row 22."""
    life = JuryLife().answered()
    life.vote(5, 0)
    record = load_plan(life.chain.state, 0)
    assert (life.claim.cycle, life.claim.deadline_ms) == (record.cycle, record.disclosure_ms)
    assert life.claim.amount == life.claim.claimed
    for status in (ClaimStatus.PUBLISHED, ClaimStatus.CONFIRMED, ClaimStatus.SETTLED):
        life.deadline()
        assert life.status is status


def test_ballots_that_are_not_revealed_do_not_count() -> None:
    life = JuryLife().answered()
    votes = dict.fromkeys(life.pool[:8], Vote.PAY)
    life.cast(votes)
    life.deadline()
    life.reveal(dict.fromkeys(life.pool[:5], Vote.PAY))
    assert life.status is ClaimStatus.JURY_REVEAL
    life.deadline()
    assert (life.status, life.round.revealed) == (ClaimStatus.ACCEPTED, 5)


def test_it_ends_early_when_every_ballot_is_revealed() -> None:
    life = JuryLife().answered()
    votes = dict.fromkeys(life.pool[:6], Vote.PAY)
    life.cast(votes)
    life.deadline()
    life.reveal(votes)
    assert life.happened(EventKind.ENDS_EARLY)
    life.chain.block()
    assert life.status is ClaimStatus.ACCEPTED


# Row 20: below the quorum


def test_a_vote_below_the_quorum_is_extended_once_and_then_a_panel_is_drawn() -> None:
    life = JuryLife().answered()
    due = life.claim.deadline_ms
    life.cast(dict.fromkeys(life.pool[:4], Vote.PAY))
    life.deadline()
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.JURY_VOTING, due + 24 * HOUR_MS)
    assert life.happened(EventKind.VOTE_EXTENDED)
    life.deadline()
    assert life.status is ClaimStatus.JURY_DRAWING
    assert (life.round.kind, life.round.size, life.case.round) == (RoundKind.PANEL, 3, 2)


def test_a_ballot_in_the_extension_fills_the_quorum() -> None:
    life = JuryLife().answered()
    life.cast(dict.fromkeys(life.pool[:4], Vote.PAY))
    life.deadline()
    life.cast({life.pool[4]: Vote.PAY})
    life.deadline()
    assert life.status is ClaimStatus.JURY_REVEAL


def test_too_few_revealed_ballots_lead_to_a_panel_too() -> None:
    life = JuryLife().answered()
    votes = dict.fromkeys(life.pool[:6], Vote.PAY)
    life.cast(votes)
    life.deadline()
    life.reveal(dict.fromkeys(life.pool[:4], Vote.PAY))
    life.deadline()
    assert life.status is ClaimStatus.JURY_DRAWING


def test_a_panel_without_enough_votes_is_replaced_and_at_last_the_denial_stands() -> None:
    life = JuryLife(PANEL).answered()
    for number in (1, 2, 3):
        assert life.case.round == number
        life.drawn()
        panel = life.round.panel
        life.deadline()
        life.deadline()
        assert all(life.juror(member).missed for member in panel)
        assert all(not life.juror(member).cases for member in panel)
    assert life.status is ClaimStatus.JURY_FAILED


def test_a_panel_takes_two_days_for_each_step_or_less() -> None:
    life = JuryLife(PANEL).answered().drawn()
    assert life.claim.deadline_ms == life.chain.now_ms + 48 * HOUR_MS
    votes = dict.fromkeys(life.round.panel, Vote.PAY)
    assert life.cast(votes) is ResultCode.OK
    life.chain.block()
    assert life.claim.status is ClaimStatus.PANEL_REVEAL
    assert life.claim.deadline_ms == life.chain.now_ms + 48 * HOUR_MS
    assert life.reveal(votes) is ResultCode.OK
    life.chain.block()
    assert life.status is ClaimStatus.ACCEPTED


# Row 21: JURY_FAILED -> APPEAL


@pytest.mark.parametrize("by", ["member", "denier"])
def test_a_verdict_is_appealed_against_to_larger_panels(by: str) -> None:
    life = JuryLife(PANEL, jurors=16).answered()
    sender = member_key(CLAIMANT) if by == "member" else ORGANISATIONS[life.case.denier]
    for size in (3, 5, 7):
        life.drawn()
        assert len(life.round.panel) == life.round.size == size
        life.vote(0, size)
        if size < 7:
            assert life.status is ClaimStatus.JURY_FAILED
            assert life.claim.deadline_ms == life.claim.changed_ms + 10 * DAY_MS
            assert life.do(APPEAL, by=sender) is ResultCode.OK
    assert life.status is ClaimStatus.CLOSED_DENIED, "no larger panel is left"
    assert life.case.appeals == 2
    assert the_member(life.chain.state, CLAIMANT).open_claims == 0


def test_only_the_two_sides_appeal() -> None:
    life = JuryLife().answered()
    life.vote(0, 5)
    assert life.do(APPEAL, by=member_key(FIRST)) is ResultCode.NOT_A_PARTY
    other = next(name for name in "bd" if ORGANISATIONS.index(name) not in (life.case.denier, life.claim.filer))
    assert life.do(APPEAL, by=other) is ResultCode.NOT_A_PARTY
    assert life.do(APPEAL, by="a") is ResultCode.OK


def test_the_time_to_appeal_passes() -> None:
    life = JuryLife().answered()
    life.vote(0, 5)
    life.deadline()
    assert life.status is ClaimStatus.CLOSED_DENIED
    assert life.do(APPEAL, by="a") is ResultCode.WRONG_CLAIM_STATUS


def test_an_appeal_cannot_be_stopped() -> None:
    """Else a member could ask anew where a verdict stands."""
    life = JuryLife().answered()
    life.vote(0, 5)
    life.do(APPEAL, by="a")
    assert life.do(StopJury(claim=1), by="a") is ResultCode.TOO_LATE_TO_STOP


def test_a_larger_panel_reverses_a_smaller_one() -> None:
    life = JuryLife(PANEL).answered().drawn()
    first = life.round.panel
    life.vote(1, 2)
    life.do(APPEAL, by="a")
    life.drawn()
    life.vote(5, 0)
    assert life.status is ClaimStatus.ACCEPTED
    assert [life.juror(member).reversed for member in first] == [0, 1, 1]


# Time


@pytest.mark.parametrize("mode", [JuryMode.OPEN, JuryMode.PANEL])
def test_a_late_clock_leaves_what_a_punctual_one_does(mode: JuryMode) -> None:
    """Nobody does anything: extension, draws that fail, panels that do not vote, up to the final denial."""
    punctual, late = (JuryLife(replace(RULES, mode=mode)).requested() for _ in range(2))
    while punctual.status is not ClaimStatus.CLOSED_DENIED:
        punctual.deadline()
    late.chain.until(punctual.chain.now_ms)
    assert late.claim == punctual.claim
    assert late.case == punctual.case
    assert late.round == punctual.round
    assert late.draw == punctual.draw
