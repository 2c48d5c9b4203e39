"""A denied claim, jurors with real keys who passed real exams, and four organisations that draw panels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

from msgspec.structs import replace

from node import beacon, ecvrf
from node.claims.calendar import start_of
from node.claims.claim_rules import ClaimRules
from node.claims.events import ClaimsEvent, EventKind
from node.claims.genesis import Role
from node.claims.jury.actions import (
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
    RequestJury,
    Reveal,
    RevealBallots,
    Vote,
)
from node.claims.jury.ballots import ballot_commitment, ballot_message
from node.claims.jury.draws import draw_context
from node.claims.jury.exams import exam_alpha
from node.claims.jury.records import (
    CaseRecord,
    DrawPhase,
    DrawRecord,
    JurorRecord,
    RoundRecord,
    load_bank,
    load_juror,
    the_case,
    the_draw,
    the_round,
)
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.mutual_aid.actions import (
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    NewMember,
    Reason,
    Review,
)
from node.claims.mutual_aid.records import ClaimRecord, the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.transaction import Action
from node.crypto import SigningKey
from tests.factories import ORGANISATIONS, Chain, make_genesis, new_member, person, plan
from tests.unit.claims.claim_life import APRIL_1, CODE, REGULATED

RULES = JuryTerms(mode=JuryMode.OPEN, quorum=5, panel_sizes=(3, 5, 7), exam_questions=10)
PANEL = replace(RULES, mode=JuryMode.PANEL)
CLAIMANT, DEPENDANT = 1, 2
FIRST = 3
"""The first juror."""


@cache
def signing_key(member: int) -> SigningKey:
    return SigningKey(sha256(b"juror %d" % member).digest())


def member_key(member: int) -> bytes:
    return signing_key(member).public


def exam_secret(name: str) -> bytes:
    return sha256(b"exam " + name.encode()).digest()


def beacon_secret(name: str) -> bytes:
    return sha256(b"beacon " + name.encode()).digest()


def salt_of(juror: int, round_number: int = 1) -> bytes:
    return sha256(b"salt %d %d" % (juror, round_number)).digest()


def reason_for(vote: Vote) -> BallotReason:
    return BallotReason.EVIDENCE_PROVES_CLAIM if vote is Vote.PAY else BallotReason.CLAUSE_APPLIES


class JuryLife:
    """Members 1 (the claimant) and 2 (whom it pays for), and `jurors` others; all of organisation a, unless
    `enrollers` says otherwise for the last ones."""

    def __init__(
        self,
        rules: JuryTerms = RULES,
        *,
        jurors: int = 12,
        enrollers: str = "",
        qualify: bool = True,
        deadlines_per_block: int = 2_000,
        node_keys: Sequence[bytes] | None = None,
    ) -> None:
        terms = replace(plan(CODE), jury=rules, claim_rules=ClaimRules())
        genesis = make_genesis(
            plans=(terms,), roles=REGULATED, deadlines_per_block=deadlines_per_block, node_keys=node_keys
        )
        self.chain, self.rules = Chain(genesis), rules
        self.pool = range(FIRST, FIRST + jurors)
        number = 1
        for enroller, count in [("a", 2 + jurors - len(enrollers)), *((name, 1) for name in enrollers)]:
            batch: list[NewMember] = []
            for member in range(number, number + count):
                entry = new_member(member, key=member_key(member), payer=CLAIMANT if member == DEPENDANT else 0)
                batch.append(entry)
            self.ok(Enrol(plan=CODE, members=tuple(batch)), by=enroller)
            number += count
        self.chain.until(start_of(APRIL_1 + 9, 480))
        for name in ORGANISATIONS:
            exam = ecvrf.public_key(exam_secret(name))
            self.ok(RegisterJuryKeys(exam=exam, beacon=beacon.beacon_public_key(beacon_secret(name))), by=name)
        self.ok(PublishBank(plan=CODE, questions=50, root=person(1), answers=person(2)), by="a")
        if qualify:
            for member in self.pool:
                self.qualify(member)

    # Doing.

    def do(self, action: Action, *, by: str | bytes) -> ResultCode:
        return ResultCode(self.chain.do(by, action).code)

    def ok(self, action: Action, *, by: str | bytes) -> None:
        receipt = self.chain.do(by, action)
        assert receipt.code == 0, (ResultCode(receipt.code).name, receipt.detail)

    def paper(self, member: int) -> ExamPaper:
        juror = self.juror(member)
        bank = load_bank(self.chain.state, 0, juror.bank)
        assert bank is not None
        name = ORGANISATIONS[bank.organisation]
        alpha = exam_alpha(self.chain.digest, 0, juror.bank, member, juror.attempt)
        return ExamPaper(juror=member, proof=ecvrf.prove(exam_secret(name), alpha))

    def qualify(self, member: int, correct: int = 10) -> None:
        self.ok(EnrolJurors(members=(member,)), by=member_key(member))
        self.ok(IssuePapers(papers=(self.paper(member),)), by="a")
        self.ok(GradePapers(grades=(Grade(juror=member, correct=correct, paper=person(member)),)), by="a")

    def denied(self) -> JuryLife:
        """A claim of the claimant is filed, investigated and denied."""
        claim = FileClaim(
            plan=CODE, member=CLAIMANT, ailment="S01", diagnosis_day=APRIL_1, accident=False, evidence=person(9)
        )
        self.ok(claim, by="a")
        self.ok(Investigate(claim=1, finding=Finding.PASS, report=person(3)), by=self.turn)
        while self.status is ClaimStatus.INVESTIGATED:
            denial = Review(
                claim=1, decision=Decision.DENY, clause="3.1", evidence=person(4), reason=Reason.DEFINITION_NOT_MET
            )
            self.ok(denial, by=self.turn)
        assert self.status is ClaimStatus.DENIED
        return self

    def requested(self) -> JuryLife:
        self.denied()
        self.ok(RequestJury(claim=1, statement=person(50)), by=member_key(CLAIMANT))
        return self

    def answered(self) -> JuryLife:
        """Both statements are locked: the vote, or the draw, begins in the next block."""
        self.requested()
        self.ok(LockStatement(claim=1, statement=person(51)), by=ORGANISATIONS[self.case.denier])
        self.deadline()
        return self

    def deadline(self) -> None:
        """An empty block at the moment of the claim's deadline, or now if it has passed."""
        self.chain.until(max(self.claim.deadline_ms, self.chain.now_ms + 1))

    # Ballots.

    def ballot(self, juror: int, vote: Vote, /, *, signer: int = 0, **bound: object) -> Ballot:
        reason = reason_for(vote)
        values = {"chain": self.chain.digest, "claim": 1, "round_number": self.case.round, "juror": juror} | bound
        commitment = ballot_commitment(
            **values,  # type: ignore[arg-type]
            vote=vote,
            reason=reason,
            salt=salt_of(juror, self.case.round),
        )
        message = ballot_message(self.chain.digest, 1, self.case.round, juror, commitment)
        return Ballot(juror=juror, commitment=commitment, signature=signing_key(signer or juror).sign(message))

    def cast(self, votes: dict[int, Vote], by: str = "a") -> ResultCode:
        ballots = tuple(self.ballot(juror, vote) for juror, vote in votes.items())
        return self.do(CastBallots(claim=1, round=self.case.round, ballots=ballots), by=by)

    def opened(self, juror: int, vote: Vote) -> Reveal:
        return Reveal(juror=juror, vote=vote, reason=reason_for(vote), salt=salt_of(juror, self.case.round))

    def reveal(self, votes: dict[int, Vote], by: str = "b") -> ResultCode:
        reveals = tuple(self.opened(juror, vote) for juror, vote in votes.items())
        return self.do(RevealBallots(claim=1, round=self.case.round, reveals=reveals), by=by)

    def vote(self, pay: int, refuse: int) -> None:
        """A whole round by the first jurors of the pool, or by the panel, up to its verdict."""
        voters: Sequence[int] = self.round.panel or self.pool
        votes = {juror: Vote.PAY if place < pay else Vote.REFUSE for place, juror in enumerate(voters[: pay + refuse])}
        assert self.cast(votes) is ResultCode.OK
        self.deadline()
        assert self.reveal(votes) is ResultCode.OK
        self.deadline()

    # Draws.

    def dealing(self, name: str) -> DealBeacon:
        draw, number = self.draw, ORGANISATIONS.index(name)
        context = draw_context(self.chain.digest, 1, self.case.round, self.round.attempt, draw, number)
        dealing = beacon.deal(beacon_secret(name), context, draw.keys)
        return DealBeacon(claim=1, round=self.case.round, attempt=self.round.attempt, dealing=dealing)

    def deal(self, name: str) -> ResultCode:
        return self.do(self.dealing(name), by=name)

    def opening(self, name: str) -> OpenBeacon:
        draw, number = self.draw, ORGANISATIONS.index(name)
        context = draw_context(self.chain.digest, 1, self.case.round, self.round.attempt, draw, number)
        share = draw.shares[draw.parties.index(number)]
        opened, proof = beacon.open_share(beacon_secret(name), context, share)
        return OpenBeacon(claim=1, round=self.case.round, attempt=self.round.attempt, share=opened, proof=proof)

    def open(self, name: str) -> ResultCode:
        return self.do(self.opening(name), by=name)

    def drawn(self, dealers: str = "abcd", openers: str = "abc") -> JuryLife:
        """A draw up to the panel."""
        for name in dealers:
            assert self.deal(name) is ResultCode.OK
        self.deadline()
        assert self.draw.phase is DrawPhase.OPEN
        for name in openers:
            assert self.open(name) is ResultCode.OK
        self.deadline()
        assert self.status is ClaimStatus.PANEL_COMMIT
        return self

    # Looking.

    @property
    def claim(self) -> ClaimRecord:
        return the_claim(self.chain.state, 1)

    @property
    def status(self) -> ClaimStatus:
        return self.claim.status

    @property
    def turn(self) -> str:
        return ORGANISATIONS[self.claim.assigned]

    @property
    def case(self) -> CaseRecord:
        return the_case(self.chain.state, 1)

    @property
    def round(self) -> RoundRecord:
        return the_round(self.chain.state, 1, self.case.round)

    @property
    def draw(self) -> DrawRecord:
        return the_draw(self.chain.state, 1, self.case.round, self.round.attempt)

    def juror(self, member: int) -> JurorRecord:
        juror = load_juror(self.chain.state, member)
        assert juror is not None
        return juror

    def events(self) -> list[ClaimsEvent]:
        """Those of the last block."""
        result = self.chain.results[-1]
        return [event for receipt in (result.clock, *result.receipts) for event in receipt.events]

    def happened(self, kind: EventKind) -> bool:
        return any(event.kind is kind for event in self.events())


def in_jury_status(status: ClaimStatus) -> JuryLife:
    """A claim before juries in `status`, as shortly as possible. The first jurors of its pool, or its panel, have
    cast votes to pay where ballots are revealed."""
    panels = (ClaimStatus.JURY_DRAWING, ClaimStatus.PANEL_COMMIT, ClaimStatus.PANEL_REVEAL)
    life = JuryLife(PANEL if status in panels else RULES)
    if status is ClaimStatus.JURY_OPEN:
        life.requested()
    else:
        life.answered()
    if status in panels[1:]:
        life.drawn()
    if status in (ClaimStatus.JURY_REVEAL, ClaimStatus.PANEL_REVEAL):
        assert life.cast(dict.fromkeys(life.round.panel or life.pool[:6], Vote.PAY)) is ResultCode.OK
        life.deadline()
    if status is ClaimStatus.JURY_FAILED:
        life.vote(0, 5)
    assert life.status is status, life.status.name
    return life


assert Role.REGULATOR in REGULATED["d"]
