"""Stays of claims before juries and in a clawback: everything waits, nothing is lost, and a court may still decide."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.audit import Audit
from node.claims.events import EventKind
from node.claims.jury.actions import AppealGround, AppealVerdict, LockStatement, StopJury, Vote
from node.claims.jury.eligibility import has_defrauded
from node.claims.jury.records import DrawPhase, JurorStatus, Outcome
from node.claims.mutual_aid.actions import (
    AnswerClawback,
    LiftStay,
    RecordRecovery,
    StayClaim,
    StayEnd,
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.records import the_clawback, the_member
from node.claims.mutual_aid.transitions import DEADLINE_OF, JURY_RUNNING, STAY_OF, ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import ORGANISATIONS, person
from tests.unit.claims.claim_life import WAYS, Life
from tests.unit.claims.claim_life import member_key as plain_key
from tests.unit.claims.jury_life import CLAIMANT, PANEL, JuryLife, in_jury_status, member_key

OK = ResultCode.OK
STAYED = ResultCode.CLAIM_IS_STAYED
BEFORE_JURIES = (*JURY_RUNNING, ClaimStatus.JURY_FAILED)
RUNNING_ROUNDS = tuple(status for status in JURY_RUNNING if status is not ClaimStatus.JURY_OPEN)
STAY = StayClaim(claim=1, order=person(7), days=20)
RESUME = LiftStay(claim=1, end=StayEnd.RESUME, order=person(6))
GRANT = replace(RESUME, end=StayEnd.GRANT)
REFUSE = replace(RESUME, end=StayEnd.REFUSE, clause="4.1")


def deadlines(life: JuryLife | Life) -> list[tuple[int, int]]:
    """(due, kind) of every row of the queue that is the claim's."""
    rows = [keys.parse_deadline(key) for key, _ in life.chain.state.scan(*keys.table(keys.DEADLINE))]
    return [(due, kind) for due, kind, subject in rows if kind in set(DEADLINE_OF.values()) and subject == 1]


def findings(life: JuryLife | Life) -> list[str]:
    return [str(finding) for finding in Audit(life.chain.genesis, life.chain.state).run()]


def records(life: JuryLife) -> dict[bytes, bytes]:
    """All that juries keep: cases, rounds, counts, draws, dealings, ballots, jurors, seats."""
    kept = dict(life.chain.state.records)
    tables = {key[0] for key in (keys.jury_case(1), keys.jury_round(1, 1), keys.jury_tally(1, 1), keys.ballot(1, 1, 1))}
    tables |= {key[0] for key in (keys.jury_draw(1, 1, 1), keys.jury_dealing(1, 1, 1, 0), keys.juror(1))}
    return {key: raw for key, raw in kept.items() if key[0] in tables}


def test_whatever_is_not_final_or_with_its_money_can_be_stayed() -> None:
    """So that no case before juries, and no clawback, is beyond a court's reach."""
    assert set(STAY_OF) == {status for status in DEADLINE_OF if status not in STAY_OF.values()}
    assert set(STAY_OF) - set(WAYS) == {*BEFORE_JURIES, ClaimStatus.DUP_HOLD}


@pytest.mark.parametrize("status", BEFORE_JURIES)
@pytest.mark.parametrize("lifted", [True, False])
def test_a_case_goes_on_where_it_stood_with_the_time_it_had_left(status: ClaimStatus, lifted: bool) -> None:
    life = in_jury_status(status)
    before, kept = life.claim, records(life)
    assert life.do(STAY, by="d") is OK
    assert life.status is ClaimStatus.STAYED
    stayed_ms, left = life.chain.now_ms, before.deadline_ms - life.chain.now_ms
    assert deadlines(life) == [(stayed_ms + 20 * DAY_MS, DEADLINE_OF[ClaimStatus.STAYED])]
    assert records(life) == kept
    if lifted:
        life.chain.wait(days=9)
        assert life.do(RESUME, by="d") is OK
        resumed_ms = life.chain.now_ms
    else:
        resumed_ms = life.claim.deadline_ms
        life.chain.until(resumed_ms)
    assert (life.status, life.claim.changed_ms) == (status, resumed_ms)
    assert (life.claim.assigned, life.claim.attempt) == (before.assigned, before.attempt)
    assert life.claim.stayed_from == 0
    assert deadlines(life) == [(resumed_ms + left, DEADLINE_OF[status])]
    assert records(life) == kept
    assert findings(life) == []


def test_nothing_is_done_to_a_stayed_case() -> None:
    """Statements, ballots, reveals, dealings, shares, appeals: each is refused, and says why."""
    appeal = AppealVerdict(claim=1, ground=AppealGround.NEW_EVIDENCE, evidence=person(60))
    for status in BEFORE_JURIES:
        life = in_jury_status(status)
        voters = (life.case.round and life.round.panel) or life.pool[:6]
        dealing = life.dealing("a") if status is ClaimStatus.JURY_DRAWING else None
        kept = records(life)
        assert life.do(STAY, by="d") is OK
        assert life.do(LockStatement(claim=1, statement=person(51)), by=ORGANISATIONS[life.case.denier]) is STAYED
        for pay in (Vote.PAY, Vote.REFUSE):
            assert life.cast(dict.fromkeys(voters, pay)) is STAYED
            assert life.reveal(dict.fromkeys(voters, pay)) is STAYED
        assert dealing is None or life.do(dealing, by="a") is STAYED
        assert life.do(appeal, by="a") is STAYED
        for side in ("a", member_key(CLAIMANT)):
            assert life.do(StopJury(claim=1), by=side) is STAYED
            assert life.do(WithdrawClaim(claim=1), by=side) is STAYED
        assert records(life) == kept


def test_a_vote_that_was_stayed_for_more_than_a_year_counts_every_ballot() -> None:
    """Ballots cast before, and ballots revealed before and after; and no juror's part in it is forgotten."""
    life = JuryLife().answered()
    votes = dict.fromkeys(life.pool[:6], Vote.PAY)
    assert life.cast(votes) is OK
    assert life.do(replace(STAY, days=180), by="d") is OK
    life.deadline()
    assert life.status is ClaimStatus.JURY_VOTING
    assert life.cast({life.pool[6]: Vote.REFUSE}) is OK
    life.deadline()
    assert life.reveal({life.pool[6]: Vote.REFUSE}) is OK
    for _ in range(2):
        assert life.do(replace(STAY, days=180), by="d") is OK
        life.chain.wait(days=179)
    life.deadline()
    lapsed = [life.juror(member).status for member in life.pool]
    assert lapsed == [JurorStatus.LAPSED] * len(life.pool), "their credentials ran out meanwhile"
    assert [len(life.juror(member).cases) for member in life.pool[:7]] == [1] * 6 + [0]
    assert life.reveal(votes) is OK
    life.chain.block()
    assert (life.status, life.round.revealed, life.round.pay) == (ClaimStatus.ACCEPTED, 7, 6)
    assert all(life.juror(member).cases == () for member in life.pool)


def test_a_panel_that_was_stayed_for_a_year_keeps_its_seats_and_votes() -> None:
    life = JuryLife(PANEL).answered().drawn()
    panel = life.round.panel
    votes = dict.fromkeys(panel, Vote.PAY)
    assert life.cast({panel[0]: Vote.PAY}) is OK
    for _ in range(2):
        assert life.do(replace(STAY, days=180), by="d") is OK
        life.chain.wait(days=179)
    life.deadline()
    assert (life.status, life.round.panel) == (ClaimStatus.PANEL_COMMIT, panel)
    assert life.cast(dict.fromkeys(panel[1:], Vote.PAY)) is OK
    life.deadline()
    assert life.reveal(votes) is OK
    life.deadline()
    assert (life.status, life.round.revealed) == (ClaimStatus.ACCEPTED, 3)


# Draws.


def drawn_panel() -> tuple[int, ...]:
    return JuryLife(PANEL).answered().drawn().round.panel


@pytest.mark.parametrize(("dealt", "opened"), [(0, 0), (2, 0), (4, 0), (4, 2)])
def test_a_draw_that_was_stayed_draws_the_panel_that_it_would_have_drawn(dealt: int, opened: int) -> None:
    life = JuryLife(PANEL).answered()
    for name in "abcd"[:dealt]:
        assert life.deal(name) is OK
    if opened:
        life.deadline()
    for name in "abcd"[:opened]:
        assert life.open(name) is OK
    assert life.do(STAY, by="d") is OK
    draw = life.draw
    life.chain.wait(days=3)
    assert life.do(RESUME, by="d") is OK
    assert (life.status, life.draw) == (ClaimStatus.JURY_DRAWING, draw)
    for name in "abcd"[dealt:]:
        assert life.deal(name) is OK
    if draw.phase is DrawPhase.DEAL:
        life.deadline()
    for name in "abc"[opened:]:
        assert life.open(name) is OK
    life.deadline()
    assert (life.status, life.round.attempt) == (ClaimStatus.PANEL_COMMIT, 1)
    assert life.round.panel == drawn_panel()
    assert [Life.missed(life, name).draws_missed for name in "abcd"] == [0] * 4  # type: ignore[arg-type]


def test_a_draw_whose_seed_is_known_is_finished_before_the_stay() -> None:
    """Else everybody would know for the length of the stay who is to be seated."""
    life = JuryLife(PANEL).answered()
    for name in "abcd":
        assert life.deal(name) is OK
    life.deadline()
    for name in "ab":
        assert life.open(name) is OK
    third = life.chain.transaction("c", life.opening("c"))
    life.chain.block(third, life.chain.transaction("d", STAY))
    assert [receipt.code for receipt in life.chain.results[-1].receipts] == [0, 0]
    happened = [event.kind for event in life.events() if event.subject == 1]
    assert happened[-2:] == [EventKind.PANEL_DRAWN, EventKind.CLAIM_STAYED]
    assert (life.status, life.claim.stayed_from) == (ClaimStatus.STAYED, ClaimStatus.PANEL_COMMIT)
    assert life.claim.stayed_left_ms == 48 * HOUR_MS
    assert life.round.panel == drawn_panel()
    life.deadline()
    life.vote(3, 0)
    assert life.status is ClaimStatus.ACCEPTED


# A court decides.


@pytest.mark.parametrize("status", BEFORE_JURIES)
@pytest.mark.parametrize("lift", [GRANT, REFUSE], ids=["granted", "refused"])
def test_a_court_takes_the_case_out_of_the_jurys_hands(status: ClaimStatus, lift: LiftStay) -> None:
    life = in_jury_status(status)
    if status in (ClaimStatus.JURY_REVEAL, ClaimStatus.PANEL_REVEAL):
        assert life.reveal({(life.round.panel or life.pool)[0]: Vote.PAY}) is OK
    assert life.do(STAY, by="d") is OK
    assert life.do(lift, by="d") is OK
    granted = lift.end is StayEnd.GRANT
    assert life.status is (ClaimStatus.ACCEPTED if granted else ClaimStatus.CLOSED_DENIED)
    assert life.claim.amount == (life.claim.claimed if granted else 0)
    assert the_member(life.chain.state, CLAIMANT).open_claims == int(granted)
    assert len(deadlines(life)) == int(granted)
    if status in RUNNING_ROUNDS:
        assert (life.round.outcome, life.round.pay, life.round.reasons) == (Outcome.STOPPED, 0, ())
        assert life.round.closed_ms == life.chain.now_ms
        assert all(life.juror(member).cases == () for member in life.round.panel)
    assert life.chain.state.get(keys.jury_tally(1, life.case.round)) is None
    assert all(life.juror(member).missed == 0 for member in life.pool)
    assert findings(life) == []


# Clawback.


@pytest.mark.parametrize("answered", [False, True])
def test_a_hearing_waits_while_the_clawback_is_stayed(answered: bool) -> None:
    """However often the stay is renewed, the member has the time to answer that it had left, and no more."""
    life = Life().to(ClaimStatus.CLAWBACK_OPEN)
    answer = AnswerClawback(claim=1, answer=person(16))
    life.chain.wait(days=5)
    hearing_left = the_clawback(life.chain.state, 1).hearing_ms - life.chain.now_ms - 1
    left = life.claim.deadline_ms - life.chain.now_ms - 1
    panel = [ORGANISATIONS[voter] for voter in the_clawback(life.chain.state, 1).panel]
    for _ in range(3):
        assert life.do(STAY, by="d") is OK
        life.chain.wait(days=19)
    assert life.do(answer, by=plain_key(1)) is STAYED
    assert life.do(VoteClawback(claim=1, uphold=True), by=panel[0]) is STAYED
    life.deadline()
    now = life.chain.now_ms
    assert (life.status, life.claim.deadline_ms) == (ClaimStatus.CLAWBACK_OPEN, now + left)
    assert the_clawback(life.chain.state, 1).hearing_ms == now + hearing_left
    if answered:
        assert life.do(answer, by=plain_key(1)) is OK
    else:
        assert life.do(VoteClawback(claim=1, uphold=True), by=panel[0]) is ResultCode.HEARING_NOT_OVER
        life.chain.until(now + hearing_left)
        assert life.do(answer, by=plain_key(1)) is ResultCode.HEARING_OVER
    life.vote(uphold=True)
    assert life.status is ClaimStatus.CLAWBACK_UPHELD
    assert findings(life) == []


def test_a_hearing_that_was_over_is_not_opened_again_by_a_stay() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_OPEN)
    hearing_ms = the_clawback(life.chain.state, 1).hearing_ms
    life.chain.until(hearing_ms)
    voter = ORGANISATIONS[the_clawback(life.chain.state, 1).panel[0]]
    assert life.do(VoteClawback(claim=1, uphold=True), by=voter) is OK
    assert life.do(STAY, by="d") is OK
    life.deadline()
    record = the_clawback(life.chain.state, 1)
    assert (record.hearing_ms, record.upholds) == (hearing_ms, (ORGANISATIONS.index(voter),))
    assert life.do(VoteClawback(claim=1, uphold=False), by=voter) is ResultCode.HAS_VOTED


def test_money_that_is_to_come_back_waits_too() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_UPHELD)
    recovery = RecordRecovery(claim=1, amount=10_000_000, receipt=person(17))
    assert life.do(recovery, by="b") is OK
    money = life.plan
    assert life.do(STAY, by="d") is OK
    assert life.status is ClaimStatus.CLAWBACK_STAYED
    assert has_defrauded(life.chain.state, the_member(life.chain.state, 1)), "the finding stands meanwhile"
    rest = replace(recovery, amount=20_000_000, receipt=person(18))
    assert life.do(rest, by="b") is STAYED
    assert life.do(VoteWriteOff(claim=1), by=ORGANISATIONS[the_clawback(life.chain.state, 1).panel[0]]) is STAYED
    for end in (GRANT, REFUSE):
        assert life.do(end, by="d") is ResultCode.NOT_STAYED_BEFORE_SETTLEMENT
    assert life.plan.receivable_back == money.receivable_back == 20_000_000
    assert findings(life) == []
    assert life.do(RESUME, by="d") is OK
    assert life.do(rest, by="b") is OK
    assert (life.status, life.plan.receivable_back, life.plan.clawback) == (ClaimStatus.RECOVERED, 0, 30_000_000)
    assert deadlines(life) == []
    assert findings(life) == []
