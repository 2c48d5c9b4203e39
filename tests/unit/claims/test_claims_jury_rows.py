"""Rows 16 to 21 of the rulebook, the jury's, as test_claims_rows.py has the first ones.

Row 22 is part of 19: a jury that grants a claim queues it. Finer guards are in test_jury_cases.py, test_jury_voting.py
and test_jury_draws.py.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.jury.actions import (
    AppealGround,
    AppealVerdict,
    CastBallots,
    LockStatement,
    OpenBeacon,
    RequestJury,
    RevealBallots,
    StopJury,
    Vote,
)
from node.claims.jury.records import DrawPhase, Outcome, RoundKind
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.mutual_aid.records import load_plan, the_member
from node.claims.mutual_aid.transitions import JURY_RUNNING, ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import ORGANISATIONS, person
from tests.unit.claims.claim_life import Life
from tests.unit.claims.jury_life import CLAIMANT, FIRST, PANEL, RULES, JuryLife, in_jury_status, member_key

OK = ResultCode.OK
REQUEST = RequestJury(claim=1, statement=person(50))
STATEMENT = LockStatement(claim=1, statement=person(51))
STOP = StopJury(claim=1)
APPEAL = AppealVerdict(claim=1, ground=AppealGround.NEW_EVIDENCE, evidence=person(60))


def late(life: JuryLife, hours: int = 7) -> int:
    """The deadline that has passed, seen `hours` later: what follows is as of then."""
    due = life.claim.deadline_ms
    life.chain.until(due - 1)
    before = life.claim
    life.chain.until(due + hours * HOUR_MS)
    assert life.claim != before
    assert life.claim.changed_ms == due, "a late clock leaves the due time"
    return due


def denier(life: JuryLife) -> str:
    return ORGANISATIONS[life.case.denier]


def closed(life: JuryLife) -> bool:
    return life.status is ClaimStatus.CLOSED_DENIED and not the_member(life.chain.state, CLAIMANT).open_claims


# 16: taken to a jury.


def test_row_16_taken() -> None:
    life = JuryLife().denied()
    assert life.do(REQUEST, by=member_key(CLAIMANT)) is OK
    assert (life.status, life.case.requests, life.turn) == (ClaimStatus.JURY_OPEN, 1, denier(life))
    assert life.claim.deadline_ms == life.chain.now_ms + 3 * DAY_MS


def test_row_16_refused() -> None:
    life = JuryLife().denied()
    assert life.do(REQUEST, by=member_key(FIRST)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(REQUEST, by="d") is ResultCode.NOT_THE_FILER
    assert life.do(REQUEST, by="a") is OK
    assert life.do(REQUEST, by="a") is ResultCode.WRONG_CLAIM_STATUS
    once = JuryLife(replace(RULES, requests_max=1)).requested()
    assert once.do(STOP, by="a") is OK
    assert once.do(REQUEST, by="a") is ResultCode.WRONG_CLAIM_STATUS, "the last request was used up: denied for good"
    assert Life(jury=JuryTerms()).to(ClaimStatus.DENIED).do(REQUEST, by="a") is ResultCode.JURY_OFF


def test_row_16_late() -> None:
    late(life := JuryLife().denied())
    assert closed(life)


# 17: statements locked.


def test_row_17_taken() -> None:
    life = JuryLife().requested()
    assert life.do(STATEMENT, by=denier(life)) is OK
    assert (life.status, life.case.answer) == (ClaimStatus.JURY_OPEN, person(51))
    assert life.claim.deadline_ms == life.chain.now_ms + 1
    life.chain.block()
    assert life.status is ClaimStatus.JURY_VOTING


def test_row_17_refused() -> None:
    life = JuryLife().denied()
    turn = ORGANISATIONS[life.claim.reviewer]
    assert life.do(STATEMENT, by=turn) is ResultCode.WRONG_CLAIM_STATUS
    assert life.do(REQUEST, by="a") is OK
    assert life.do(STATEMENT, by=next(name for name in "bcd" if name != turn)) is ResultCode.NOT_A_PARTY
    assert life.do(STATEMENT, by="a") is ResultCode.FORBIDDEN


@pytest.mark.parametrize("mode", [JuryMode.OPEN, JuryMode.PANEL])
def test_row_17_late(mode: JuryMode) -> None:
    """Without the other side's statement."""
    due = late(life := JuryLife(replace(RULES, mode=mode)).requested())
    assert life.case.answer == b""
    assert life.status is (ClaimStatus.JURY_VOTING if mode is JuryMode.OPEN else ClaimStatus.JURY_DRAWING)
    assert (life.round.opened_ms, life.claim.deadline_ms) == (due, due + 24 * HOUR_MS)


# 18: stopped.


@pytest.mark.parametrize("status", JURY_RUNNING)
@pytest.mark.parametrize("sender", ["a", member_key(CLAIMANT)], ids=["enroller", "member"])
def test_row_18_taken(status: ClaimStatus, sender: str | bytes) -> None:
    life = in_jury_status(status)
    assert life.do(STOP, by=sender) is OK
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.DENIED, life.chain.now_ms + 30 * DAY_MS)
    if status is not ClaimStatus.JURY_OPEN:
        assert life.round.outcome is Outcome.STOPPED


def test_row_18_refused() -> None:
    life = in_jury_status(ClaimStatus.JURY_REVEAL)
    assert life.do(STOP, by=member_key(FIRST)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(STOP, by="d") is ResultCode.NOT_THE_FILER
    assert life.reveal({FIRST: Vote.PAY}) is OK
    assert life.do(STOP, by="a") is ResultCode.TOO_LATE_TO_STOP
    assert JuryLife().denied().do(STOP, by="a") is ResultCode.WRONG_CLAIM_STATUS
    assert in_jury_status(ClaimStatus.JURY_FAILED).do(STOP, by="a") is ResultCode.WRONG_CLAIM_STATUS


# 19: voted by jurors.


@pytest.mark.parametrize("rules", [RULES, PANEL], ids=["open", "panel"])
@pytest.mark.parametrize("passes", [True, False])
def test_row_19_taken(rules: JuryTerms, passes: bool) -> None:
    """Cast and revealed by all, up to the verdict; one that passes is queued, which is row 22."""
    life = JuryLife(rules).answered()
    if life.status is ClaimStatus.JURY_DRAWING:
        life.drawn()
    votes = dict.fromkeys(life.round.panel or life.pool[:6], Vote.PAY if passes else Vote.REFUSE)
    assert life.cast(votes) is OK
    life.deadline()
    assert life.reveal(votes) is OK
    assert life.happened(EventKind.ENDS_EARLY)
    life.chain.block()
    plan = load_plan(life.chain.state, 0)
    if passes:
        assert (life.status, life.claim.amount) == (ClaimStatus.ACCEPTED, life.claim.claimed)
        assert (life.claim.cycle, life.claim.deadline_ms) == (plan.cycle, plan.disclosure_ms)
    else:
        assert (life.status, life.claim.amount) == (ClaimStatus.JURY_FAILED, 0)
        assert life.claim.deadline_ms == life.claim.changed_ms + 10 * DAY_MS


def test_row_19_refused() -> None:
    life = JuryLife().answered()
    ballot = life.ballot(FIRST, Vote.PAY)
    cast = CastBallots(claim=1, round=1, ballots=(ballot,))
    reveal = RevealBallots(claim=1, round=1, reveals=(life.opened(FIRST, Vote.PAY),))
    assert life.do(reveal, by="a") is ResultCode.WRONG_CLAIM_STATUS
    assert life.do(replace(cast, round=2), by="a") is ResultCode.WRONG_ROUND
    forged = replace(ballot, commitment=person(1))
    assert life.do(replace(cast, ballots=(forged,)), by="a") is ResultCode.BALLOT_SIGNATURE_INVALID
    assert life.cast(dict.fromkeys(life.pool[:5], Vote.PAY)) is OK
    assert life.do(cast, by="a") is ResultCode.ALREADY_DONE
    life.deadline()
    assert life.do(cast, by="a") is ResultCode.WRONG_CLAIM_STATUS
    other = replace(reveal, reveals=(life.opened(FIRST, Vote.REFUSE),))
    assert life.do(other, by="a") is ResultCode.NOT_THIS_BALLOT


def test_row_19_late() -> None:
    """Too few ballots: extended once. Then enough of them, but the time to reveal passes with five of six."""
    life = JuryLife().answered()
    votes = dict.fromkeys(life.pool[:6], Vote.PAY)
    due = late(life, 1)
    assert life.happened(EventKind.VOTE_EXTENDED)
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.JURY_VOTING, due + 24 * HOUR_MS)
    assert life.cast(votes) is OK
    due = late(life, 1)
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.JURY_REVEAL, due + 24 * HOUR_MS)
    assert life.reveal(dict.fromkeys(life.pool[:5], Vote.PAY)) is OK
    late(life, 1)
    assert (life.status, life.round.outcome) == (ClaimStatus.ACCEPTED, Outcome.PASSED)
    refused = in_jury_status(ClaimStatus.PANEL_REVEAL)
    for _ in range(refused.rules.panel_redraws_max):
        late(refused, 1)
        assert refused.status is ClaimStatus.JURY_DRAWING
        refused.drawn()
        late(refused, 1)
    late(refused, 1)
    assert (refused.status, refused.round.outcome) == (ClaimStatus.JURY_FAILED, Outcome.NO_QUORUM)


# 20: a panel is drawn.


def test_row_20_taken() -> None:
    life = in_jury_status(ClaimStatus.JURY_DRAWING)
    for name in "abcd":
        assert life.deal(name) is OK
    assert life.happened(EventKind.ENDS_EARLY)
    life.chain.block()
    assert life.draw.phase is DrawPhase.OPEN
    for name in "abc":
        assert life.open(name) is OK
    assert life.happened(EventKind.ENDS_EARLY)
    life.chain.block()
    assert (life.status, len(life.round.panel)) == (ClaimStatus.PANEL_COMMIT, 3)
    assert life.claim.deadline_ms == life.claim.changed_ms + 48 * HOUR_MS


def test_row_20_refused() -> None:
    life = in_jury_status(ClaimStatus.JURY_DRAWING)
    opening = OpenBeacon(claim=1, round=1, attempt=1, share=life.draw.keys[0], proof=bytes(64))
    assert life.do(opening, by="a") is ResultCode.WRONG_CLAIM_STATUS, "they are still dealing"
    assert life.deal("a") is OK
    assert life.deal("a") is ResultCode.ALREADY_DONE
    for name in "bcd":
        assert life.deal(name) is OK
    life.chain.block()
    assert life.do(opening, by="a") is ResultCode.OPENING_INVALID
    assert life.do(replace(opening, attempt=2), by="a") is ResultCode.WRONG_ROUND
    voting = in_jury_status(ClaimStatus.JURY_VOTING)
    assert voting.do(replace(opening, round=2), by="a") is ResultCode.WRONG_CLAIM_STATUS


def test_row_20_late() -> None:
    """No ballot in an open vote; nobody deals; too few open; nobody deals again; then a panel that does not vote."""
    life = in_jury_status(ClaimStatus.JURY_VOTING)
    late(life, 1)
    due = late(life, 1)
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.JURY_DRAWING, due + 24 * HOUR_MS)
    assert (life.round.kind, life.round.attempt) == (RoundKind.PANEL, 1)
    late(life, 1)
    assert (life.round.attempt, life.draw.phase) == (2, DrawPhase.DEAL)
    for name in "abc":
        assert life.deal(name) is OK
    late(life, 1)
    assert (life.round.attempt, life.draw.phase) == (2, DrawPhase.OPEN)
    assert life.open("a") is OK
    late(life, 1)
    assert (life.round.attempt, life.draw.phase) == (3, DrawPhase.DEAL)
    late(life, 1)
    assert (life.status, life.draw.weak) == (ClaimStatus.PANEL_COMMIT, True), "the last attempt: a weak seed"
    due = late(life, 1)
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.PANEL_REVEAL, due + 48 * HOUR_MS)
    late(life, 1)
    assert (life.status, life.case.redraws) == (ClaimStatus.JURY_DRAWING, 1)


# 21: appealed.


@pytest.mark.parametrize("by_member", [True, False])
def test_row_21_taken(by_member: bool) -> None:
    life = in_jury_status(ClaimStatus.JURY_FAILED)
    assert life.do(APPEAL, by=member_key(CLAIMANT) if by_member else denier(life)) is OK
    assert (life.status, life.round.size, life.case.appeals) == (ClaimStatus.JURY_DRAWING, 3, 1)
    assert life.case.appellant == (-1 if by_member else life.case.denier)
    assert life.claim.deadline_ms == life.chain.now_ms + 24 * HOUR_MS


def test_row_21_refused() -> None:
    life = in_jury_status(ClaimStatus.JURY_FAILED)
    assert life.do(APPEAL, by=member_key(FIRST)) is ResultCode.NOT_A_PARTY
    assert life.do(APPEAL, by=next(name for name in "bd" if name != denier(life))) is ResultCode.NOT_A_PARTY
    assert JuryLife().denied().do(APPEAL, by="a") is ResultCode.WRONG_CLAIM_STATUS


def test_row_21_late() -> None:
    late(life := in_jury_status(ClaimStatus.JURY_FAILED))
    assert closed(life)
