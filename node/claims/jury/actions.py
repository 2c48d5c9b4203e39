"""What may be asked of juries. Tags 70-89; field order is wire order. No free text: grounds are numbered."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from node.claims.jury.proofs import Dealing, Point
from node.claims.types import Commitment, PlanCode, PublicKeyBytes, SignatureBytes, Unsigned
from node.claims.wire import Wire

MAX_BALLOTS: Final = 1_000
MAX_PAPERS: Final = 200
MAX_QUESTIONS: Final = 10_000

RoundNumber = Annotated[int, Meta(ge=1, le=255)]
AttemptNumber = Annotated[int, Meta(ge=1, le=255)]


class Vote(IntEnum):
    """For or against paying the claim."""

    PAY = 1
    REFUSE = 2


class BallotReason(IntEnum):
    """Why a juror votes so: 1-19 with PAY, 20-39 with REFUSE. Add at the end of a group, never renumber."""

    CLAUSE_NOT_MET_BY_FACTS = 1
    EVIDENCE_PROVES_CLAIM = 2
    DECLARATION_HONEST = 3
    CAUSE_NOT_PROVEN = 4
    CLAUSE_UNCLEAR = 5
    CLAUSE_APPLIES = 20
    EVIDENCE_INSUFFICIENT = 21
    DECLARATION_UNTRUE = 22
    EXCLUDED_CAUSE = 23


class AppealGround(IntEnum):
    """What an appeal must name."""

    NEW_EVIDENCE = 1
    ERROR_OF_RULE = 2


class SuspensionReason(IntEnum):
    """Why a juror's credential is suspended."""

    FRAUD = 1
    BALLOT_DISCLOSED = 2
    EXAM_IRREGULAR = 3
    TIE_CONCEALED = 4


class PublishBank(Wire, frozen=True, kw_only=True, tag=70):
    """An enroller publishes a question bank; its papers are drawn with its exam key and graded by it."""

    plan: PlanCode
    questions: Annotated[int, Meta(ge=1, le=MAX_QUESTIONS)]
    root: Commitment
    """RFC 6962 root of one commitment to each question, in order."""
    answers: Commitment
    """To the right answers. Opened when the bank is retired, so that every paper can be graded again."""


class RegisterJuryKeys(Wire, frozen=True, kw_only=True, tag=71):
    """An organisation's keys for exams (verifiable random function) and for draws (beacon)."""

    exam: PublicKeyBytes
    beacon: PublicKeyBytes


class EnrolJurors(Wire, frozen=True, kw_only=True, tag=72):
    """Members ask for an exam: with their own key, or through their enroller."""

    members: Annotated[tuple[Unsigned, ...], Meta(min_length=1, max_length=MAX_PAPERS)]


class ExamPaper(Wire, frozen=True, kw_only=True):
    """Fixes which questions a candidate gets."""

    juror: Unsigned
    proof: Annotated[bytes, Meta(min_length=80, max_length=80)]
    """RFC 9381 proof by the bank's exam key for exams.exam_alpha."""


class IssuePapers(Wire, frozen=True, kw_only=True, tag=73):
    """The bank's organisation fixes the questions of candidates."""

    papers: Annotated[tuple[ExamPaper, ...], Meta(min_length=1, max_length=MAX_PAPERS)]


class Grade(Wire, frozen=True, kw_only=True):
    """The result of a paper."""

    juror: Unsigned
    correct: Annotated[int, Meta(ge=0, le=MAX_QUESTIONS)]
    paper: Commitment
    """To the candidate's answers as graded."""


class GradePapers(Wire, frozen=True, kw_only=True, tag=74):
    """The bank's organisation grades papers."""

    grades: Annotated[tuple[Grade, ...], Meta(min_length=1, max_length=MAX_PAPERS)]


class SuspendJuror(Wire, frozen=True, kw_only=True, tag=75):
    """A regulator or reviewer takes a juror off future juries."""

    juror: Unsigned
    reason: SuspensionReason


class ReinstateJuror(Wire, frozen=True, kw_only=True, tag=76):
    """A regulator ends a suspension."""

    juror: Unsigned


class ResignJuror(Wire, frozen=True, kw_only=True, tag=77):
    """A member gives the credential back, with its own key."""

    juror: Unsigned


class RequestJury(Wire, frozen=True, kw_only=True, tag=78):
    """A denied member asks for a jury: with its own key, or through the filer or its enroller."""

    claim: Unsigned
    statement: Commitment
    """To the member's redacted statement."""


class LockStatement(Wire, frozen=True, kw_only=True, tag=79):
    """The organisation that denied the claim locks its redacted statement."""

    claim: Unsigned
    statement: Commitment


class Ballot(Wire, frozen=True, kw_only=True):
    """A juror's hidden vote."""

    juror: Unsigned
    commitment: Commitment
    """See ballots.ballot_commitment."""
    signature: SignatureBytes
    """By the juror's member key over ballots.ballot_message."""


class CastBallots(Wire, frozen=True, kw_only=True, tag=80):
    """Hidden ballots of one round: a batch by an organisation, or a juror's own."""

    claim: Unsigned
    round: RoundNumber
    ballots: Annotated[tuple[Ballot, ...], Meta(min_length=1, max_length=MAX_BALLOTS)]


class Reveal(Wire, frozen=True, kw_only=True):
    """What a hidden ballot said. Only who holds the salt can make it, so it needs no signature."""

    juror: Unsigned
    vote: Vote
    reason: BallotReason
    salt: Commitment


class RevealBallots(Wire, frozen=True, kw_only=True, tag=81):
    """Opens ballots of one round, after the time to cast them."""

    claim: Unsigned
    round: RoundNumber
    reveals: Annotated[tuple[Reveal, ...], Meta(min_length=1, max_length=MAX_BALLOTS)]


class StopJury(Wire, frozen=True, kw_only=True, tag=82):
    """The member takes its request back, before the first ballot is opened."""

    claim: Unsigned


class DealBeacon(Wire, frozen=True, kw_only=True, tag=83):
    """One organisation's dealing for a draw."""

    claim: Unsigned
    round: RoundNumber
    attempt: AttemptNumber
    dealing: Dealing


class OpenBeacon(Wire, frozen=True, kw_only=True, tag=84):
    """One organisation's share of the sum of all dealings, decrypted."""

    claim: Unsigned
    round: RoundNumber
    attempt: AttemptNumber
    share: Point
    proof: SignatureBytes


class AppealVerdict(Wire, frozen=True, kw_only=True, tag=85):
    """The member, or the organisation that denied the claim, asks for a larger panel."""

    claim: Unsigned
    ground: AppealGround
    evidence: Commitment


JURY_ACTIONS: Final = (
    PublishBank,
    RegisterJuryKeys,
    EnrolJurors,
    IssuePapers,
    GradePapers,
    SuspendJuror,
    ReinstateJuror,
    ResignJuror,
    RequestJury,
    LockStatement,
    CastBallots,
    RevealBallots,
    StopJury,
    DealBeacon,
    OpenBeacon,
    AppealVerdict,
)
