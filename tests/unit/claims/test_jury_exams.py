"""The life of a juror: enrolled, examined, qualified, suspended, lapsed; and who may be one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.jury.actions import (
    EnrolJurors,
    Grade,
    GradePapers,
    IssuePapers,
    PublishBank,
    RegisterJuryKeys,
    ReinstateJuror,
    ResignJuror,
    SuspendJuror,
    SuspensionReason,
)
from node.claims.jury.exams import questions_of
from node.claims.jury.records import JUROR_TRANSITIONS, JurorStatus, load_pool, load_seat
from node.claims.mutual_aid.actions import Enrol, Reason
from node.claims.mutual_aid.transitions import ClaimStatus, DeadlineKind
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from node.claims.wire import encode
from tests.factories import new_member, person
from tests.unit.claims.claim_life import CODE
from tests.unit.claims.jury_life import CLAIMANT, FIRST, RULES, JuryLife, member_key


def grade(member: int, correct: int) -> GradePapers:
    return GradePapers(grades=(Grade(juror=member, correct=correct, paper=person(member)),))


def enrol(*members: int) -> EnrolJurors:
    return EnrolJurors(members=members)


def fresh(**rules: object) -> JuryLife:
    return JuryLife(replace(RULES, **rules), qualify=False)


def test_an_exam_that_is_passed_gives_a_credential_for_a_year() -> None:
    life = fresh()
    assert life.do(enrol(FIRST), by=member_key(FIRST)) is ResultCode.OK
    juror = life.juror(FIRST)
    assert (juror.status, juror.bank, juror.attempt) == (JurorStatus.ENROLLED, 1, 1)
    assert juror.deadline_ms == life.chain.now_ms + 30 * DAY_MS
    assert life.do(grade(FIRST, 10), by="a") is ResultCode.PAPER_NOT_ISSUED
    assert life.do(IssuePapers(papers=(life.paper(FIRST),)), by="a") is ResultCode.OK
    assert life.do(IssuePapers(papers=(life.paper(FIRST),)), by="a") is ResultCode.PAPER_ALREADY_ISSUED
    asked = questions_of(life.juror(FIRST).exam_seed, 50, life.juror(FIRST).asked)
    assert len(set(asked)) == 10 and max(asked) < 50
    assert life.do(grade(FIRST, 11), by="a") is ResultCode.GRADE_OUT_OF_RANGE
    assert life.do(grade(FIRST, 8), by="a") is ResultCode.OK
    juror = life.juror(FIRST)
    assert (juror.status, juror.seat, juror.correct) == (JurorStatus.QUALIFIED, 1, 8)
    assert juror.deadline_ms == life.chain.now_ms + 365 * DAY_MS
    assert load_seat(life.chain.state, 0, 1) == FIRST


def test_below_the_mark_the_candidate_enrols_again_for_other_questions() -> None:
    life = fresh()
    life.do(enrol(FIRST), by="a")
    life.ok(IssuePapers(papers=(life.paper(FIRST),)), by="a")
    first = life.juror(FIRST).exam_seed
    assert life.do(grade(FIRST, 7), by="a") is ResultCode.OK
    assert life.juror(FIRST).status is JurorStatus.LAPSED
    assert life.happened(EventKind.EXAM_FAILED)
    assert life.do(enrol(FIRST), by="a") is ResultCode.OK
    life.ok(IssuePapers(papers=(life.paper(FIRST),)), by="a")
    assert life.juror(FIRST).exam_seed != first
    assert life.juror(FIRST).attempt == 2


def test_the_examiner_cannot_choose_the_questions() -> None:
    """A proof for another candidate, or by another key, is refused; so is another organisation."""
    life = fresh()
    life.do(enrol(FIRST, FIRST + 1), by="a")
    other = replace(life.paper(FIRST + 1), juror=FIRST)
    assert life.do(IssuePapers(papers=(other,)), by="a") is ResultCode.EXAM_PROOF_INVALID
    assert life.do(IssuePapers(papers=(life.paper(FIRST),)), by="b") is ResultCode.NOT_THE_EXAMINER
    # A new key does not help: the bank keeps the one it was published with.
    life.ok(RegisterJuryKeys(exam=person_key(1), beacon=person_key(2)), by="a")
    assert life.do(IssuePapers(papers=(life.paper(FIRST),)), by="a") is ResultCode.OK


def person_key(number: int) -> bytes:
    return member_key(1_000 + number)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
def test_keys_must_be_points_and_differ(key: bytes) -> None:
    life = fresh()
    assert life.do(RegisterJuryKeys(exam=key, beacon=person_key(1)), by="c") is ResultCode.BAD_JURY_KEY
    assert life.do(RegisterJuryKeys(exam=person_key(1), beacon=key), by="c") is ResultCode.BAD_JURY_KEY
    assert life.do(RegisterJuryKeys(exam=person_key(1), beacon=person_key(1)), by="c") is ResultCode.BAD_JURY_KEY


def test_a_candidate_who_does_not_come_lapses() -> None:
    life = fresh()
    life.do(enrol(FIRST), by="a")
    life.chain.until(life.juror(FIRST).deadline_ms)
    assert life.juror(FIRST).status is JurorStatus.LAPSED
    assert life.happened(EventKind.JUROR_LAPSED)
    assert life.do(grade(FIRST, 10), by="a") is ResultCode.WRONG_JUROR_STATUS


def test_a_credential_expires_and_its_seat_goes_to_the_next() -> None:
    life = fresh(credential_days=2)
    life.qualify(FIRST)
    life.chain.wait(days=1)
    life.qualify(FIRST + 1)
    life.chain.until(life.juror(FIRST).deadline_ms)
    juror = life.juror(FIRST)
    assert (juror.status, juror.seat, juror.deadline_ms) == (JurorStatus.LAPSED, 0, 0)
    assert load_pool(life.chain.state, 0).jurors == 1
    life.qualify(FIRST + 2)
    assert life.juror(FIRST + 2).seat == 1
    assert load_pool(life.chain.state, 0).seats == 2, "nobody has moved"


def test_an_overdue_credential_lapses_before_a_transaction_is_judged() -> None:
    """As when the clock has more due rows than fit a block and has not come to this one."""
    life = fresh(credential_days=2)
    life.qualify(FIRST)
    life.chain.state.delete(keys.deadline(life.juror(FIRST).deadline_ms, DeadlineKind.JUROR, FIRST))
    life.chain.wait(days=2)
    assert life.juror(FIRST).status is JurorStatus.QUALIFIED
    suspension = SuspendJuror(juror=FIRST, reason=SuspensionReason.FRAUD)
    assert life.do(suspension, by="d") is ResultCode.WRONG_JUROR_STATUS
    assert life.do(enrol(FIRST), by="a") is ResultCode.OK
    assert life.juror(FIRST).attempt == 2


def test_suspended_reinstated_resigned() -> None:
    life = fresh()
    life.qualify(FIRST)
    suspension = SuspendJuror(juror=FIRST, reason=SuspensionReason.BALLOT_DISCLOSED)
    assert life.do(suspension, by="d") is ResultCode.OK
    assert life.do(suspension, by="d") is ResultCode.WRONG_JUROR_STATUS
    assert life.juror(FIRST).status is JurorStatus.SUSPENDED
    assert life.do(ReinstateJuror(juror=FIRST), by="b") is ResultCode.FORBIDDEN
    assert life.do(ReinstateJuror(juror=FIRST), by="d") is ResultCode.OK
    juror = life.juror(FIRST)
    assert (juror.status, juror.qualified_ms) == (JurorStatus.QUALIFIED, life.chain.now_ms)
    assert life.do(ResignJuror(juror=FIRST), by=member_key(FIRST + 1)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(ResignJuror(juror=FIRST), by=member_key(FIRST)) is ResultCode.OK
    assert life.juror(FIRST).status is JurorStatus.LAPSED
    assert life.do(enrol(FIRST), by="a") is ResultCode.OK


def test_who_lapses_while_suspended_needs_the_regulator_to_come_back() -> None:
    life = fresh()
    life.qualify(FIRST)
    life.do(SuspendJuror(juror=FIRST, reason=SuspensionReason.FRAUD), by="d")
    life.do(ResignJuror(juror=FIRST), by=member_key(FIRST))
    assert life.do(enrol(FIRST), by="a") is ResultCode.PAST_FRAUD
    assert life.do(ReinstateJuror(juror=FIRST), by="d") is ResultCode.OK
    assert life.do(enrol(FIRST), by="a") is ResultCode.OK


# Who may be one


def test_who_may_enrol() -> None:
    life = fresh()
    number = life.pool[-1] + 1
    young, keyless = new_member(91, birth_year=2010, key=person_key(91)), new_member(92)
    life.ok(Enrol(plan=CODE, members=(new_member(90, key=person_key(90)), young, keyless)), by="a")
    assert life.do(enrol(number), by="a") is ResultCode.NO_SHARING_MEMBER, "still waiting"
    life.chain.wait(days=100)
    assert life.do(enrol(number + 1), by="a") is ResultCode.JUROR_TOO_YOUNG
    assert life.do(enrol(number + 2), by="a") is ResultCode.NO_OWN_KEY
    assert life.do(enrol(number), by="b") is ResultCode.NOT_THE_FILER
    assert life.do(enrol(number), by=member_key(FIRST)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(enrol(number), by="a") is ResultCode.OK
    assert life.do(enrol(number), by="a") is ResultCode.WRONG_JUROR_STATUS
    assert life.do(enrol(10_000), by="a") is ResultCode.UNKNOWN_MEMBER


def test_a_new_member_waits_thirty_days() -> None:
    life = fresh(membership_days=200)
    assert life.do(enrol(FIRST), by="a") is ResultCode.MEMBER_TOO_NEW


def test_who_defrauded_may_not_be_a_juror() -> None:
    life = fresh().denied()
    assert life.do(enrol(CLAIMANT), by="a") is ResultCode.OK, "denied, but for no fraud"
    life = fresh().denied()
    claim = replace(life.claim, reason=Reason.EVIDENCE_FALSE.value)
    life.chain.state.put(keys.claim(1), encode(claim))
    assert life.do(enrol(CLAIMANT), by="a") is ResultCode.PAST_FRAUD
    assert life.status is ClaimStatus.DENIED


def test_banks_are_published_in_versions_by_who_has_keys() -> None:
    life = fresh()
    bank = PublishBank(plan=CODE, questions=50, root=person(1), answers=person(2))
    assert life.do(bank, by="d") is ResultCode.OK
    assert life.do(enrol(FIRST), by="a") is ResultCode.OK
    assert life.juror(FIRST).bank == 2
    assert life.do(replace(bank, questions=5), by="d") is ResultCode.GRADE_OUT_OF_RANGE
    assert life.do(replace(bank, plan="none"), by="d") is ResultCode.UNKNOWN_PLAN
    assert life.do(bank, by="c") is ResultCode.FORBIDDEN


def test_the_table_knows_each_status() -> None:
    assert set(JUROR_TRANSITIONS.values()) == set(JurorStatus)
    assert {before for before, _ in JUROR_TRANSITIONS} == {None, *JurorStatus}
