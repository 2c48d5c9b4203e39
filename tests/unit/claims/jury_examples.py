"""One of each action, record and key of juries, for the golden file."""

from __future__ import annotations

from node.claims import keys
from node.claims.genesis import Role
from node.claims.jury.actions import (
    AppealGround,
    AppealVerdict,
    Ballot,
    BallotReason,
    CastBallots,
    DealBeacon,
    EnrolJurors,
    ExamPaper,
    Grade,
    GradePapers,
    IssuePapers,
    LockStatement,
    OpenBeacon,
    PublishBank,
    RegisterJuryKeys,
    ReinstateJuror,
    RequestJury,
    ResignJuror,
    Reveal,
    RevealBallots,
    StopJury,
    SuspendJuror,
    SuspensionReason,
    Vote,
)
from node.claims.jury.proofs import Dealing
from node.claims.jury.records import (
    BallotRecord,
    BankRecord,
    CaseRecord,
    DealingRecord,
    DrawPhase,
    DrawRecord,
    DrawStep,
    JurorRecord,
    JurorStatus,
    JuryKeysRecord,
    NumberRecord,
    OpenCase,
    Opened,
    Outcome,
    PoolRecord,
    RoundKind,
    RoundRecord,
    TallyRecord,
)
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.transaction import Action
from node.claims.wire import Wire, encode
from tests.factories import person

DEALING = Dealing(
    commitments=(person(1), person(2)),
    shares=(person(3), person(4)),
    challenge=person(5),
    answers=(person(6), person(7)),
)

JURY_ACTIONS: tuple[Action, ...] = (
    PublishBank(plan="critical-illness", questions=400, root=person(1), answers=person(2)),
    RegisterJuryKeys(exam=person(1), beacon=person(2)),
    EnrolJurors(members=(7, 8)),
    IssuePapers(papers=(ExamPaper(juror=7, proof=bytes(80)),)),
    GradePapers(grades=(Grade(juror=7, correct=18, paper=person(3)),)),
    SuspendJuror(juror=7, reason=SuspensionReason.BALLOT_DISCLOSED),
    ReinstateJuror(juror=7),
    ResignJuror(juror=7),
    RequestJury(claim=45, statement=person(4)),
    LockStatement(claim=45, statement=person(5)),
    CastBallots(claim=45, round=1, ballots=(Ballot(juror=7, commitment=person(6), signature=bytes(64)),)),
    RevealBallots(
        claim=45,
        round=1,
        reveals=(Reveal(juror=7, vote=Vote.PAY, reason=BallotReason.CAUSE_NOT_PROVEN, salt=person(7)),),
    ),
    StopJury(claim=45),
    DealBeacon(claim=45, round=2, attempt=1, dealing=DEALING),
    OpenBeacon(claim=45, round=2, attempt=1, share=person(8), proof=bytes(64)),
    AppealVerdict(claim=45, ground=AppealGround.ERROR_OF_RULE, evidence=person(9)),
)

JURY_MAY: dict[type[Wire], tuple[Role, ...]] = {
    PublishBank: (Role.ENROLLER,),
    RegisterJuryKeys: tuple(Role),
    EnrolJurors: (Role.ENROLLER,),
    IssuePapers: (Role.ENROLLER,),
    GradePapers: (Role.ENROLLER,),
    SuspendJuror: (Role.REVIEWER, Role.REGULATOR),
    ReinstateJuror: (Role.REGULATOR,),
    ResignJuror: (),
    RequestJury: (Role.ENROLLER, Role.INTAKE),
    LockStatement: (Role.REVIEWER,),
    CastBallots: (Role.ENROLLER, Role.INTAKE),
    RevealBallots: (Role.ENROLLER, Role.INTAKE),
    StopJury: (Role.ENROLLER, Role.INTAKE),
    DealBeacon: tuple(Role),
    OpenBeacon: tuple(Role),
    AppealVerdict: (Role.ENROLLER, Role.INTAKE, Role.REVIEWER),
}
"""Which roles allow what, written out."""

JURY_MEMBERS_MAY: tuple[type[Wire], ...] = (
    EnrolJurors,
    ResignJuror,
    RequestJury,
    StopJury,
    AppealVerdict,
    CastBallots,
    RevealBallots,
)

JURY_RECORDS: tuple[Wire, ...] = (
    JuryTerms(mode=JuryMode.OPEN),
    JurorRecord(
        plan=0,
        status=JurorStatus.QUALIFIED,
        bank=1,
        attempt=1,
        deadline_ms=1_807_401_600_002,
        enrolled_ms=1_775_865_600_000,
        exam_seed=person(10),
        asked=20,
        correct=18,
        paper=person(3),
        seat=5,
        qualified_ms=1_775_865_600_002,
        cases=(OpenCase(claim=45, round=1, until_ms=1_776_124_800_000),),
        cast=1,
        key=person(11),
    ),
    OpenCase(claim=45, round=1, until_ms=1_776_124_800_000),
    PoolRecord(seats=900_000, free=2, bank=1),
    NumberRecord(number=7),
    BankRecord(
        organisation=0,
        questions=400,
        root=person(1),
        answers=person(2),
        exam_key=person(1),
        published_ms=1_775_865_600_000,
    ),
    JuryKeysRecord(exam=person(1), beacon=person(2)),
    CaseRecord(requests=1, requested_ms=1_775_865_600_000, statement=person(4), denier=2, answer=person(5), round=1),
    RoundRecord(
        kind=RoundKind.OPEN,
        opened_ms=1_775_865_600_000,
        quorum=1_000,
        closed_ms=1_776_038_400_000,
        cast=1_200,
        revealed=1_100,
        outcome=Outcome.PASSED,
        pay=600,
        reasons=((2, 600), (20, 500)),
    ),
    TallyRecord(pay=600, reasons=((2, 600), (20, 500))),
    BallotRecord(commitment=person(6)),
    BallotRecord(vote=1, reason=2),
    DrawRecord(
        phase=DrawPhase.DONE,
        parties=(0, 1),
        keys=(person(2), person(3)),
        frozen_ms=1_776_038_400_000,
        seats=900_000,
        dealers=(1, 0),
        shares=(person(4), person(5)),
        opened=(Opened(place=1, share=person(6), proof=bytes(64)), Opened(place=2, share=person(7), proof=bytes(64))),
        seed=person(8),
        steps=(DrawStep(seat=5, juror=7, code=0),),
    ),
    Opened(place=1, share=person(6), proof=bytes(64)),
    DrawStep(seat=5, juror=7, code=248),
    DealingRecord(dealing=encode(DEALING)),
)

JURY_PARTS = frozenset({"ExamPaper", "Grade", "Ballot", "Reveal", "Dealing"})
"""Inside others."""

JURY_KEYS: dict[str, bytes] = {
    "juror 7": keys.juror(7),
    "jury seat 0 5": keys.jury_seat(0, 5),
    "jury pool 0": keys.jury_pool(0),
    "jury free seat 0 1": keys.jury_free_seat(0, 1),
    "exam bank 0 1": keys.exam_bank(0, 1),
    "jury keys 3": keys.jury_keys(3),
    "jury case 45": keys.jury_case(45),
    "jury round 45 1": keys.jury_round(45, 1),
    "jury tally 45 1": keys.jury_tally(45, 1),
    "ballot 45 1 7": keys.ballot(45, 1, 7),
    "jury draw 45 2 1": keys.jury_draw(45, 2, 1),
    "jury dealing 45 2 1 3": keys.jury_dealing(45, 2, 1, 3),
}
