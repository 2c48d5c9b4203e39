"""Exams and credentials: bank, enrolment, paper, grade, suspension, expiry.

The questions of a paper follow from the examiner's verifiable random function of chain, plan, bank, candidate and
attempt, under the key that the bank was published with: the candidate cannot foresee them, the examiner cannot
choose them. A deadline runs for each: the exam's, then the credential's.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import islice

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.jury.actions import (
    EnrolJurors,
    GradePapers,
    IssuePapers,
    PublishBank,
    RegisterJuryKeys,
    ReinstateJuror,
    ResignJuror,
    SuspendJuror,
)
from node.claims.jury.eligibility import has_defrauded, standing_problem
from node.claims.jury.proofs import JuryProofs
from node.claims.jury.records import (
    JUROR_TRANSITIONS,
    BankRecord,
    JurorRecord,
    JurorStatus,
    JuryKeysRecord,
    NumberRecord,
    load_bank,
    load_juror,
    load_jury_keys,
    load_pool,
    save_juror,
    save_pool,
)
from node.claims.jury.sortition import shuffled
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.module import InvariantBroken, Scope
from node.claims.mutual_aid.records import load_member, the_member
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, NO_ORGANISATION
from node.claims.wire import decode_trusted, encode


def jury_terms(registry: Registry, scope: Scope, number: int) -> JuryTerms:
    """The terms in force now: they govern exams; a claim has those of its day of diagnosis."""
    plan = registry.plan(scope.state, number)
    return plan.terms_on(plan.day_of(scope.now_ms)).plan.jury


def exam_alpha(chain: bytes, plan: int, bank: int, juror: int, attempt: int) -> bytes:
    """Input of the examiner's verifiable random function for one paper."""
    return b"weal/exam/1\0" + chain + encode((plan, bank, juror, attempt))


def exam_seed(output: bytes) -> bytes:
    return sha256(b"weal/exam seed/1\0" + output).digest()


def questions_of(seed: bytes, bank_size: int, count: int) -> tuple[int, ...]:
    """Which questions of the bank the paper has, from 0, in the order in which they are asked."""
    return tuple(islice(shuffled(seed, bank_size), count))


def register_keys(_: Registry, proofs: JuryProofs, scope: Scope, action: RegisterJuryKeys) -> ResultCode:
    if action.exam == action.beacon or not (proofs.valid_key(action.exam) and proofs.valid_key(action.beacon)):
        return ResultCode.BAD_JURY_KEY
    organisation = scope.sender.organisation
    record = JuryKeysRecord(exam=action.exam, beacon=action.beacon)
    scope.state.put(keys.jury_keys(organisation), encode(record))
    scope.emit(EventKind.JURY_KEYS_REGISTERED, organisation=organisation)
    return ResultCode.OK


def publish_bank(registry: Registry, _: JuryProofs, scope: Scope, action: PublishBank) -> ResultCode:
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    terms = jury_terms(registry, scope, plan.number)
    if terms.mode is JuryMode.OFF:
        return ResultCode.JURY_OFF
    if action.questions < terms.exam_questions:
        return ResultCode.GRADE_OUT_OF_RANGE
    organisation = scope.sender.organisation
    own = load_jury_keys(scope.state, organisation)
    if own is None:
        return ResultCode.NO_JURY_KEYS
    pool = load_pool(scope.state, plan.number)
    if pool.bank == 65_535:
        return ResultCode.LIMIT_REACHED
    record = BankRecord(
        organisation=organisation,
        questions=action.questions,
        root=action.root,
        answers=action.answers,
        exam_key=own.exam,
        published_ms=scope.now_ms,
    )
    scope.state.put(keys.exam_bank(plan.number, pool.bank + 1), encode(record))
    save_pool(scope, plan.number, replace(pool, bank=pool.bank + 1))
    scope.emit(EventKind.BANK_PUBLISHED, plan=plan.number, organisation=organisation, value=pool.bank + 1)
    return ResultCode.OK


def enrol_jurors(registry: Registry, _: JuryProofs, scope: Scope, action: EnrolJurors) -> ResultCode:
    """All or none; the detail names the first that cannot be enrolled."""
    for index, number in enumerate(action.members):
        code = _enrol(registry, scope, number)
        if code:
            scope.detail = f"member {index}"
            return code
    return ResultCode.OK


def _enrol(registry: Registry, scope: Scope, number: int) -> ResultCode:
    member = load_member(scope.state, number)
    if member is None:
        return ResultCode.UNKNOWN_MEMBER
    if scope.sender.member not in (0, number):
        return ResultCode.NOT_THIS_MEMBER
    if not scope.sender.member and scope.sender.organisation != member.organisation:
        return ResultCode.NOT_THE_FILER
    terms = jury_terms(registry, scope, member.plan)
    if terms.mode is JuryMode.OFF:
        return ResultCode.JURY_OFF
    juror = current_juror(registry, scope, number)
    if juror is not None and juror.status is not JurorStatus.LAPSED:
        return ResultCode.WRONG_JUROR_STATUS
    if code := standing_problem(terms, member, registry.plan(scope.state, member.plan).day_of(scope.now_ms)):
        return code
    if not member.key:
        return ResultCode.NO_OWN_KEY
    if has_defrauded(scope.state, member) or (juror is not None and juror.reason):
        return ResultCode.PAST_FRAUD
    bank = load_pool(scope.state, member.plan).bank
    if not bank:
        return ResultCode.NO_QUESTION_BANK
    deadline_ms = scope.now_ms + terms.exam_days * DAY_MS
    fresh = JurorRecord(
        plan=member.plan,
        status=JurorStatus.ENROLLED,
        bank=bank,
        attempt=1,
        deadline_ms=0,
        enrolled_ms=scope.now_ms,
    )
    if juror is not None:
        # What was is kept: open cases, and the score. A new paper has another seed.
        fresh = replace(
            juror, bank=bank, attempt=juror.attempt + 1, enrolled_ms=scope.now_ms, exam_seed=b"", asked=0, paper=b""
        )
    before = None if juror is None else juror.status
    change(scope, number, fresh, before, EventKind.JUROR_ENROLLED, deadline_ms=deadline_ms, value=bank)
    return ResultCode.OK


def change(
    scope: Scope,
    number: int,
    juror: JurorRecord,
    before: JurorStatus | None,
    what: EventKind,
    *,
    deadline_ms: int = 0,
    organisation: int = NO_ORGANISATION,
    value: int = 0,
) -> None:
    """Carry out a transition of the table, keeping the juror's one deadline."""
    if juror.deadline_ms:
        scope.cancel(DeadlineKind.JUROR, juror.deadline_ms, number)
    status = JUROR_TRANSITIONS[before, what]
    if status is JurorStatus.LAPSED:
        deadline_ms = 0
    else:
        scope.schedule(DeadlineKind.JUROR, deadline_ms, number)
    save_juror(scope, number, replace(juror, status=status, deadline_ms=deadline_ms))
    scope.emit(what, plan=juror.plan, subject=number, organisation=organisation, value=value)


def current_juror(registry: Registry, scope: Scope, number: int) -> JurorRecord | None:
    """The juror as of now: an overdue exam or credential lapses first."""
    juror = load_juror(scope.state, number)
    if juror is not None and juror.deadline_ms and juror.deadline_ms <= scope.now_ms:
        lapse(registry, scope, juror.deadline_ms, number)
        juror = load_juror(scope.state, number)
    return juror


def lapse(_: Registry, scope: Scope, __: int, number: int) -> None:
    """The exam was not taken in time, or the credential has expired."""
    juror = load_juror(scope.state, number)
    if juror is None:
        raise InvariantBroken(f"member {number} has a juror's deadline and is none")
    _end(scope, number, juror, EventKind.JUROR_LAPSED)


def _end(scope: Scope, number: int, juror: JurorRecord, what: EventKind) -> None:
    """The juror leaves its seat, which goes to the next who qualifies."""
    if juror.seat:
        pool = load_pool(scope.state, juror.plan)
        scope.state.delete(keys.jury_seat(juror.plan, juror.seat))
        scope.state.put(keys.jury_free_seat(juror.plan, pool.free), encode(NumberRecord(number=juror.seat)))
        save_pool(scope, juror.plan, replace(pool, free=pool.free + 1))
    change(scope, number, replace(juror, seat=0), juror.status, what)


def _take_seat(scope: Scope, number: int, plan: int) -> int:
    pool = load_pool(scope.state, plan)
    if pool.free:
        key = keys.jury_free_seat(plan, pool.free - 1)
        seat = decode_trusted(NumberRecord, scope.state.get(key) or b"").number
        scope.state.delete(key)
        save_pool(scope, plan, replace(pool, free=pool.free - 1))
    else:
        seat = pool.seats + 1
        save_pool(scope, plan, replace(pool, seats=seat))
    scope.state.put(keys.jury_seat(plan, seat), encode(NumberRecord(number=number)))
    return seat


def _candidate(
    registry: Registry, scope: Scope, number: int
) -> tuple[JurorRecord, BankRecord, ResultCode] | tuple[None, None, ResultCode]:
    """A candidate and its bank, if the sender is the examiner."""
    juror = current_juror(registry, scope, number)
    if juror is None:
        return None, None, ResultCode.UNKNOWN_JUROR
    if juror.status is not JurorStatus.ENROLLED:
        return None, None, ResultCode.WRONG_JUROR_STATUS
    bank = load_bank(scope.state, juror.plan, juror.bank)
    if bank is None:
        raise InvariantBroken(f"plan {juror.plan} has no question bank {juror.bank}")
    if bank.organisation != scope.sender.organisation:
        return None, None, ResultCode.NOT_THE_EXAMINER
    return juror, bank, ResultCode.OK


def issue_papers(registry: Registry, proofs: JuryProofs, scope: Scope, action: IssuePapers) -> ResultCode:
    for index, paper in enumerate(action.papers):
        scope.detail = f"paper {index}"
        juror, bank, code = _candidate(registry, scope, paper.juror)
        if juror is None or bank is None:
            return code
        if juror.exam_seed:
            return ResultCode.PAPER_ALREADY_ISSUED
        alpha = exam_alpha(registry.digest, juror.plan, juror.bank, paper.juror, juror.attempt)
        output = proofs.exam_output(bank.exam_key, alpha, paper.proof)
        if output is None:
            return ResultCode.EXAM_PROOF_INVALID
        asked = min(jury_terms(registry, scope, juror.plan).exam_questions, bank.questions)
        change(
            scope,
            paper.juror,
            replace(juror, exam_seed=exam_seed(output), asked=asked),
            juror.status,
            EventKind.EXAM_ISSUED,
            deadline_ms=juror.deadline_ms,
            organisation=scope.sender.organisation,
            value=asked,
        )
    scope.detail = ""
    return ResultCode.OK


def grade_papers(registry: Registry, _: JuryProofs, scope: Scope, action: GradePapers) -> ResultCode:
    for index, grade in enumerate(action.grades):
        scope.detail = f"grade {index}"
        juror, bank, code = _candidate(registry, scope, grade.juror)
        if juror is None or bank is None:
            return code
        if not juror.exam_seed:
            return ResultCode.PAPER_NOT_ISSUED
        if grade.correct > juror.asked:
            return ResultCode.GRADE_OUT_OF_RANGE
        terms = jury_terms(registry, scope, juror.plan)
        graded = replace(juror, correct=grade.correct, paper=grade.paper)
        member = the_member(scope.state, grade.juror)
        unfit = not member.key or has_defrauded(scope.state, member)
        if unfit or grade.correct * 10_000 < terms.exam_pass_bps * juror.asked:
            what, deadline_ms = EventKind.EXAM_FAILED, 0
        else:
            seat = _take_seat(scope, grade.juror, juror.plan)
            graded = replace(graded, seat=seat, key=member.key, qualified_ms=scope.now_ms, suspended_ms=0)
            what, deadline_ms = EventKind.JUROR_QUALIFIED, scope.now_ms + terms.credential_days * DAY_MS
        change(
            scope,
            grade.juror,
            graded,
            juror.status,
            what,
            deadline_ms=deadline_ms,
            organisation=scope.sender.organisation,
            value=grade.correct,
        )
    scope.detail = ""
    return ResultCode.OK


def suspend(registry: Registry, _: JuryProofs, scope: Scope, action: SuspendJuror) -> ResultCode:
    juror = current_juror(registry, scope, action.juror)
    if juror is None:
        return ResultCode.UNKNOWN_JUROR
    if juror.status is not JurorStatus.QUALIFIED:
        return ResultCode.WRONG_JUROR_STATUS
    change(
        scope,
        action.juror,
        replace(juror, suspended_ms=scope.now_ms, reason=action.reason.value),
        juror.status,
        EventKind.JUROR_SUSPENDED,
        deadline_ms=juror.deadline_ms,
        organisation=scope.sender.organisation,
        value=action.reason.value,
    )
    return ResultCode.OK


def reinstate(registry: Registry, _: JuryProofs, scope: Scope, action: ReinstateJuror) -> ResultCode:
    """By a regulator. The juror counts as qualified from now, so it joins no draw that has begun. One that has
    lapsed while suspended may enrol again after that."""
    juror = current_juror(registry, scope, action.juror)
    if juror is None:
        return ResultCode.UNKNOWN_JUROR
    if juror.status is JurorStatus.LAPSED and juror.reason:
        save_juror(scope, action.juror, replace(juror, reason=0, suspended_ms=0))
        return ResultCode.OK
    if juror.status is not JurorStatus.SUSPENDED:
        return ResultCode.WRONG_JUROR_STATUS
    change(
        scope,
        action.juror,
        replace(juror, suspended_ms=0, reason=0, qualified_ms=scope.now_ms),
        juror.status,
        EventKind.JUROR_REINSTATED,
        deadline_ms=juror.deadline_ms,
        organisation=scope.sender.organisation,
    )
    return ResultCode.OK


def resign(registry: Registry, _: JuryProofs, scope: Scope, action: ResignJuror) -> ResultCode:
    if scope.sender.member != action.juror:
        return ResultCode.NOT_THIS_MEMBER
    juror = current_juror(registry, scope, action.juror)
    if juror is None:
        return ResultCode.UNKNOWN_JUROR
    if juror.status is JurorStatus.LAPSED:
        return ResultCode.WRONG_JUROR_STATUS
    _end(scope, action.juror, juror, EventKind.JUROR_RESIGNED)
    return ResultCode.OK
