"""Jurors and denied members for `programme_machine`: requests, ballots, panels and appeals.

Cryptography has tests of its own; here every signature and proof is taken, so that thousands of votes are cheap.
Nobody deals for a beacon: a panel is drawn when all attempts have run out, which takes those rows of the table too.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from node.claims.jury.actions import (
    AppealGround,
    AppealVerdict,
    Ballot,
    BallotReason,
    CastBallots,
    EnrolJurors,
    ExamPaper,
    Grade,
    GradePapers,
    IssuePapers,
    LockStatement,
    PublishBank,
    RegisterJuryKeys,
    RequestJury,
    Reveal,
    RevealBallots,
    StopJury,
    Vote,
)
from node.claims.jury.ballots import ballot_commitment
from node.claims.jury.proofs import Refusing, Signed
from node.claims.jury.records import JurorStatus, load_case, load_juror, the_round
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.mutual_aid.records import ClaimRecord
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, key_of, person

if TYPE_CHECKING:
    from tests.property.programme_machine import ProgrammeMachine

Made = tuple[str | bytes, Action] | None
JURY: Final = JuryTerms(
    mode=JuryMode.OPEN,
    quorum=3,
    vote_hours=20,
    reveal_hours=20,
    panel_commit_hours=18,
    panel_reveal_hours=18,
    panel_sizes=(3, 5),
    panel_redraws_max=1,
    draw_hours=6,
    draw_attempts_max=2,
    statement_days=1,
    appeal_days=1,
    membership_days=0,
    exam_questions=4,
)


class Accepting(Refusing):
    """Takes every signature, key and exam proof."""

    def signatures(self, items: Sequence[Signed]) -> list[bool]:
        return [True] * len(items)

    def valid_key(self, key: bytes) -> bool:
        return True

    def exam_output(self, key: bytes, alpha: bytes, proof: bytes) -> bytes | None:
        return sha256(alpha).digest()


def found_juries(machine: ProgrammeMachine, plan: str) -> None:
    """Keys of all organisations and a question bank."""
    for name in ORGANISATIONS:
        machine.do(name, RegisterJuryKeys(exam=key_of(f"exam {name}"), beacon=key_of(f"beacon {name}")))
    assert machine.do("a", PublishBank(plan=plan, questions=40, root=person(1), answers=person(2))).code == 0


def qualify(machine: ProgrammeMachine, member: int) -> None:
    """The member passes the exam, if it may sit it."""
    if machine.do(key_of(f"member {member}"), EnrolJurors(members=(member,))).code == 0:
        machine.do("a", IssuePapers(papers=(ExamPaper(juror=member, proof=bytes(80)),)))
        machine.do("a", GradePapers(grades=(Grade(juror=member, correct=4, paper=person(member)),)))


def _said(claim: int, round_number: int, juror: int) -> tuple[Vote, BallotReason, bytes]:
    salt = sha256(b"%d %d %d" % (claim, round_number, juror)).digest()
    pays = salt[0] % 2
    reason = BallotReason.EVIDENCE_PROVES_CLAIM if pays else BallotReason.CLAUSE_APPLIES
    return (Vote.PAY if pays else Vote.REFUSE), reason, salt


def _voters(machine: ProgrammeMachine, number: int, round_number: int) -> list[int]:
    panel = the_round(machine.chain.state, number, round_number).panel
    jurors = []
    for member in panel or range(1, machine.people + 1):
        record = load_juror(machine.chain.state, member)
        if record is not None and record.status is JurorStatus.QUALIFIED:
            jurors.append(member)
    return jurors


def asked(machine: ProgrammeMachine, number: int, record: ClaimRecord) -> Made:
    return key_of(f"member {record.member}"), RequestJury(claim=number, statement=machine.paper())


def answered(machine: ProgrammeMachine, number: int, _: ClaimRecord) -> Made:
    case = load_case(machine.chain.state, number)
    return ORGANISATIONS[case.denier if case is not None else 0], LockStatement(claim=number, statement=machine.paper())


def stopped(_: ProgrammeMachine, number: int, record: ClaimRecord) -> Made:
    return key_of(f"member {record.member}"), StopJury(claim=number)


def appealed(machine: ProgrammeMachine, number: int, record: ClaimRecord) -> Made:
    ground = AppealGround.NEW_EVIDENCE
    return key_of(f"member {record.member}"), AppealVerdict(claim=number, ground=ground, evidence=machine.paper())


def cast(machine: ProgrammeMachine, number: int, _: ClaimRecord) -> Made:
    case = load_case(machine.chain.state, number)
    if case is None or not case.round:
        return None
    round_number = case.round
    ballots = []
    for juror in _voters(machine, number, round_number)[int(machine.papers % 3 == 0) :]:
        vote, reason, salt = _said(number, round_number, juror)
        commitment = ballot_commitment(machine.chain.digest, number, round_number, juror, vote, reason, salt)
        ballots.append(Ballot(juror=juror, commitment=commitment, signature=bytes(64)))
    return ("b", CastBallots(claim=number, round=round_number, ballots=tuple(ballots))) if ballots else None


def revealed(machine: ProgrammeMachine, number: int, _: ClaimRecord) -> Made:
    case = load_case(machine.chain.state, number)
    if case is None or not case.round:
        return None
    round_number = case.round
    reveals = []
    for juror in _voters(machine, number, round_number)[int(machine.papers % 3 == 0) :]:
        vote, reason, salt = _said(number, round_number, juror)
        reveals.append(Reveal(juror=juror, vote=vote, reason=reason, salt=salt))
    return ("c", RevealBallots(claim=number, round=round_number, reveals=tuple(reveals))) if reveals else None
