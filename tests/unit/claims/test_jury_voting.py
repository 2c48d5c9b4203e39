"""Hidden ballots: what binds them, what refuses a batch, what leaves out a ballot, what stays hidden."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.jury.actions import (
    AppealGround,
    AppealVerdict,
    Ballot,
    BallotReason,
    CastBallots,
    LockStatement,
    RequestJury,
    Reveal,
    RevealBallots,
    StopJury,
    SuspendJuror,
    SuspensionReason,
    Vote,
)
from node.claims.jury.ballots import ballot_commitment, fits
from node.claims.jury.records import BallotRecord, OpenCase, Outcome, RoundKind, RoundRecord, load_ballot
from node.claims.jury.terms import JuryMode
from node.claims.mutual_aid.actions import SetKey
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from node.claims.wire import encode
from tests.factories import ORGANISATIONS, key_of
from tests.unit.claims.jury_life import CLAIMANT, DEPENDANT, FIRST, RULES, JuryLife, member_key, salt_of, signing_key

SECOND = FIRST + 1


def cast(life: JuryLife, *ballots: Ballot, by: str | bytes = "a", round_number: int = 1) -> ResultCode:
    return life.do(CastBallots(claim=1, round=round_number, ballots=ballots), by=by)


def test_a_batch_of_one_organisation_and_a_ballot_by_the_juror_itself() -> None:
    life = JuryLife().answered()
    assert cast(life, *(life.ballot(juror, Vote.PAY) for juror in life.pool[:4])) is ResultCode.OK
    own = life.pool[4]
    assert cast(life, life.ballot(own, Vote.PAY), by=member_key(own)) is ResultCode.OK
    assert life.round.cast == 5
    assert life.juror(own).cast == 1
    assert cast(life, life.ballot(own + 1, Vote.PAY), by=member_key(own)) is ResultCode.NOT_THIS_MEMBER


# What a commitment is bound to


@pytest.mark.parametrize(
    "bound",
    [{"chain": key_of("other chain")}, {"claim": 2}, {"round_number": 2}, {"juror": SECOND}],
    ids=["chain", "claim", "round", "juror"],
)
def test_a_commitment_made_for_something_else_cannot_be_revealed(bound: dict[str, Any]) -> None:
    """As when a juror copies what another has committed to, or brings a commitment along from elsewhere."""
    life = JuryLife().answered()
    assert cast(life, life.ballot(FIRST, Vote.PAY, **bound)) is ResultCode.OK, "nobody can see what it is"
    assert life.cast(dict.fromkeys(life.pool[1:6], Vote.PAY)) is ResultCode.OK
    life.deadline()
    assert life.reveal({FIRST: Vote.PAY}) is ResultCode.NOT_THIS_BALLOT
    assert life.round.revealed == 0


def test_a_copied_ballot_is_not_signed_by_the_juror_who_copies_it() -> None:
    life = JuryLife().answered()
    copied = replace(life.ballot(FIRST, Vote.PAY), juror=SECOND)
    assert cast(life, copied) is ResultCode.BALLOT_SIGNATURE_INVALID
    stolen = replace(copied, signature=signing_key(SECOND).sign(b"something else"))
    assert cast(life, stolen) is ResultCode.BALLOT_SIGNATURE_INVALID


def test_vote_reason_and_salt_must_be_those_committed_to() -> None:
    life = JuryLife().answered()
    life.cast(dict.fromkeys(life.pool[:5], Vote.PAY))
    life.deadline()
    good = life.opened(FIRST, Vote.PAY)
    for bad in (
        replace(good, vote=Vote.REFUSE, reason=BallotReason.CLAUSE_APPLIES),
        replace(good, reason=BallotReason.CLAUSE_UNCLEAR),
        replace(good, salt=salt_of(SECOND)),
        replace(good, juror=SECOND),
    ):
        assert life.do(RevealBallots(claim=1, round=1, reveals=(bad,)), by="b") is ResultCode.NOT_THIS_BALLOT
    assert life.do(RevealBallots(claim=1, round=1, reveals=(good,)), by=member_key(FIRST)) is ResultCode.OK
    assert life.do(RevealBallots(claim=1, round=1, reveals=(good,)), by="b") is ResultCode.ALREADY_DONE


def test_a_reason_must_fit_the_vote() -> None:
    assert fits(Vote.PAY, BallotReason.CLAUSE_UNCLEAR) and fits(Vote.REFUSE, BallotReason.EXCLUDED_CAUSE)
    life = JuryLife().answered()
    life.cast(dict.fromkeys(life.pool[:5], Vote.PAY))
    life.deadline()
    bad = Reveal(juror=FIRST, vote=Vote.PAY, reason=BallotReason.CLAUSE_APPLIES, salt=salt_of(FIRST))
    assert life.do(RevealBallots(claim=1, round=1, reveals=(bad,)), by="b") is ResultCode.REASON_DOES_NOT_FIT


# Batches


def test_one_wrong_signature_refuses_the_batch_and_is_named() -> None:
    life = JuryLife().answered()
    ballots = [life.ballot(juror, Vote.PAY) for juror in life.pool[:3]]
    ballots[1] = life.ballot(life.pool[1], Vote.PAY, signer=FIRST)
    receipt = life.chain.do("a", CastBallots(claim=1, round=1, ballots=tuple(ballots)))
    assert (receipt.code, receipt.detail) == (ResultCode.BALLOT_SIGNATURE_INVALID, "ballot 1")
    assert life.round.cast == 0


def test_a_juror_who_voted_elsewhere_does_not_spoil_the_batch() -> None:
    """Not even with another vote: the first one counts."""
    life = JuryLife().answered()
    assert cast(life, life.ballot(FIRST, Vote.PAY)) is ResultCode.OK
    again = life.ballot(FIRST, Vote.REFUSE)
    assert cast(life, again, life.ballot(SECOND, Vote.PAY), life.ballot(SECOND, Vote.REFUSE), by="b") is ResultCode.OK
    assert life.round.cast == 2
    assert cast(life, again) is ResultCode.ALREADY_DONE
    life.cast(dict.fromkeys(life.pool[2:5], Vote.PAY))
    life.deadline()
    assert life.reveal({FIRST: Vote.REFUSE}) is ResultCode.NOT_THIS_BALLOT
    assert life.reveal({FIRST: Vote.PAY, SECOND: Vote.PAY}) is ResultCode.OK


def test_ballots_come_in_their_time_and_round_only() -> None:
    life = JuryLife().requested()
    early = Ballot(juror=FIRST, commitment=key_of("x"), signature=bytes(64))
    assert cast(life, early) is ResultCode.WRONG_CLAIM_STATUS
    life.deadline()
    good = life.ballot(FIRST, Vote.PAY)
    assert cast(life, good, round_number=2) is ResultCode.WRONG_ROUND
    assert life.reveal({FIRST: Vote.PAY}) is ResultCode.WRONG_CLAIM_STATUS
    life.cast(dict.fromkeys(life.pool[1:6], Vote.PAY))
    life.deadline()
    assert cast(life, good) is ResultCode.WRONG_CLAIM_STATUS
    life.deadline()
    assert life.reveal({SECOND: Vote.PAY}) is ResultCode.WRONG_CLAIM_STATUS


def test_a_ballot_at_the_deadline_comes_too_late_even_if_the_clock_is_behind() -> None:
    life = JuryLife(deadlines_per_block=1).answered()
    life.cast(dict.fromkeys(life.pool[:5], Vote.PAY))
    late = life.chain.transaction("a", CastBallots(claim=1, round=1, ballots=(life.ballot(life.pool[6], Vote.PAY),)))
    # Far ahead, other rows of the queue are due before.
    receipt = life.chain.block(late, later_ms=20 * 24 * HOUR_MS).receipts[0]
    assert receipt.code != 0


# Who may vote


def test_who_may_not_vote_in_an_open_vote() -> None:
    life = JuryLife(enrollers="bd").answered()
    assert cast(life, life.ballot(CLAIMANT, Vote.PAY)) is ResultCode.UNKNOWN_JUROR
    suspended = life.pool[0]
    # Once the vote is asked for, suspending a juror takes no vote away.
    life.ok(SuspendJuror(juror=suspended, reason=SuspensionReason.FRAUD), by="d")
    assert cast(life, life.ballot(suspended, Vote.PAY)) is ResultCode.OK
    assert cast(life, life.ballot(life.pool[-1], Vote.PAY)) is ResultCode.OK, "an involved organisation's member"


def test_an_enroller_that_sets_a_jurors_key_anew_neither_votes_for_it_nor_takes_its_vote() -> None:
    life = JuryLife().answered()
    life.chain.wait(hours=1)
    life.ok(SetKey(member=FIRST, key=member_key(500)), by="a")
    assert cast(life, life.ballot(FIRST, Vote.PAY, signer=500)) is ResultCode.BALLOT_SIGNATURE_INVALID
    assert cast(life, life.ballot(FIRST, Vote.PAY)) is ResultCode.OK


def test_the_claimants_family_may_not_vote() -> None:
    life = JuryLife()
    life.qualify(DEPENDANT)
    life.answered()
    assert cast(life, life.ballot(DEPENDANT, Vote.PAY)) is ResultCode.TIED


def test_who_qualifies_after_the_request_may_not_vote() -> None:
    """Else an organisation could make jurors for a case."""
    life = JuryLife(qualify=False)
    life.qualify(FIRST)
    life.requested()
    life.qualify(SECOND)
    life.deadline()
    assert cast(life, life.ballot(SECOND, Vote.PAY)) is ResultCode.WRONG_JUROR_STATUS
    assert cast(life, life.ballot(FIRST, Vote.PAY)) is ResultCode.OK


def test_a_juror_has_so_many_open_cases_and_no_more() -> None:
    """A case that is over no longer counts, however it ended; one that is over later, by a stay, does until then."""
    life = JuryLife(replace(RULES, open_cases_max=1)).answered()
    juror = life.juror(FIRST)
    elsewhere = OpenCase(claim=99, round=1, until_ms=life.chain.now_ms + HOUR_MS)
    life.chain.state.put(keys.juror(FIRST), encode(replace(juror, cases=(elsewhere,))))
    other = RoundRecord(kind=RoundKind.OPEN, opened_ms=life.chain.now_ms, quorum=5)
    life.chain.state.put(keys.jury_round(99, 1), encode(other))
    assert cast(life, life.ballot(FIRST, Vote.PAY)) is ResultCode.TOO_MANY_OPEN_CASES
    life.chain.until(elsewhere.until_ms)
    assert cast(life, life.ballot(FIRST, Vote.PAY)) is ResultCode.TOO_MANY_OPEN_CASES
    life.chain.state.put(keys.jury_round(99, 1), encode(replace(other, closed_ms=life.chain.now_ms)))
    assert cast(life, life.ballot(FIRST, Vote.PAY)) is ResultCode.OK
    (case,) = life.juror(FIRST).cases
    assert case.until_ms == life.claim.deadline_ms + 48 * HOUR_MS
    life.ok(StopJury(claim=1), by="a")
    life.ok(RequestJury(claim=1, statement=key_of("s")), by="a")
    life.ok(LockStatement(claim=1, statement=key_of("t")), by=ORGANISATIONS[life.case.denier])
    life.deadline()
    assert life.status is ClaimStatus.JURY_VOTING
    assert cast(life, life.ballot(FIRST, Vote.PAY), round_number=2) is ResultCode.OK
    assert (life.juror(FIRST).missed, len(life.juror(FIRST).cases)) == (0, 1)


def test_an_open_vote_that_was_missed_is_counted_when_the_juror_is_next_looked_at() -> None:
    life = JuryLife(replace(RULES, open_cases_max=1, panel_sizes=(12,))).answered()
    life.cast(dict.fromkeys(life.pool[:6], Vote.REFUSE))
    life.deadline()
    life.reveal(dict.fromkeys(life.pool[1:6], Vote.REFUSE))
    life.deadline()
    assert (life.round.outcome, life.juror(FIRST).missed) == (Outcome.FAILED, 0)
    life.ok(AppealVerdict(claim=1, ground=AppealGround.ERROR_OF_RULE, evidence=key_of("e")), by="a")
    life.drawn()
    assert set(life.round.panel) == set(life.pool), "one open case is over, so nobody has too many"
    assert [life.juror(member).missed for member in life.pool] == [1] + 11 * [0]


def test_only_the_panel_votes_in_a_panel() -> None:
    life = JuryLife(replace(RULES, mode=JuryMode.PANEL)).answered().drawn()
    outsider = next(juror for juror in life.pool if juror not in life.round.panel)
    assert cast(life, life.ballot(outsider, Vote.PAY)) is ResultCode.NOT_ON_PANEL
    assert life.cast(dict.fromkeys(life.round.panel, Vote.PAY)) is ResultCode.OK


def test_a_ballot_never_revealed_is_counted_against_its_juror() -> None:
    life = JuryLife().answered()
    life.cast(dict.fromkeys(life.pool[:6], Vote.PAY))
    life.deadline()
    life.reveal(dict.fromkeys(life.pool[1:6], Vote.PAY))
    life.deadline()
    assert life.status is ClaimStatus.ACCEPTED
    juror = life.juror(FIRST)
    assert (juror.cast, juror.revealed, len(juror.cases)) == (1, 0, 1)
    assert (life.juror(SECOND).revealed, life.juror(SECOND).cases) == (1, ())


# What is kept


def test_ballots_are_kept_so_that_anybody_can_count_again() -> None:
    life = JuryLife().answered()
    life.vote(4, 3)
    records = [load_ballot(life.chain.state, 1, 1, juror) for juror in life.pool[:7]]
    assert [record.vote for record in records if record is not None] == [Vote.PAY] * 4 + [Vote.REFUSE] * 3
    start, end = keys.ballots_of(1, 1)
    assert len(list(life.chain.state.scan(start, end))) == 7
    assert life.chain.state.get(keys.jury_tally(1, 1)) is None


def test_a_hidden_ballot_says_nothing() -> None:
    """The same vote with another salt has another commitment, and the record holds nothing else."""
    life = JuryLife().answered()
    life.cast({FIRST: Vote.PAY, SECOND: Vote.PAY})
    first, second = (load_ballot(life.chain.state, 1, 1, juror) for juror in (FIRST, SECOND))
    assert first is not None and second is not None
    assert first == BallotRecord(commitment=first.commitment) != second
    values = {
        vote: ballot_commitment(life.chain.digest, 1, 1, FIRST, vote, BallotReason.CLAUSE_APPLIES, bytes(32))
        for vote in Vote
    }
    assert len(set(values.values())) == 2
