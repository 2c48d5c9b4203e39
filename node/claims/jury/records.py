"""The records of juries, and reading and writing them. Field order is state format; golden files pin it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from node.claims import keys
from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.state import ReadState, require
from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire, decode_trusted


class JurorStatus(IntEnum):
    """A member's life as a juror."""

    ENROLLED = 1
    """Waits for the exam."""
    QUALIFIED = 2
    SUSPENDED = 3
    LAPSED = 4
    """Failed, resigned or expired; may enrol again."""


JUROR_TRANSITIONS: Final[dict[tuple[JurorStatus | None, EventKind], JurorStatus]] = {
    (None, EventKind.JUROR_ENROLLED): JurorStatus.ENROLLED,
    (JurorStatus.LAPSED, EventKind.JUROR_ENROLLED): JurorStatus.ENROLLED,
    (JurorStatus.ENROLLED, EventKind.EXAM_ISSUED): JurorStatus.ENROLLED,
    (JurorStatus.ENROLLED, EventKind.JUROR_QUALIFIED): JurorStatus.QUALIFIED,
    (JurorStatus.ENROLLED, EventKind.EXAM_FAILED): JurorStatus.LAPSED,
    (JurorStatus.ENROLLED, EventKind.JUROR_LAPSED): JurorStatus.LAPSED,
    (JurorStatus.ENROLLED, EventKind.JUROR_RESIGNED): JurorStatus.LAPSED,
    (JurorStatus.QUALIFIED, EventKind.JUROR_SUSPENDED): JurorStatus.SUSPENDED,
    (JurorStatus.QUALIFIED, EventKind.JUROR_LAPSED): JurorStatus.LAPSED,
    (JurorStatus.QUALIFIED, EventKind.JUROR_RESIGNED): JurorStatus.LAPSED,
    (JurorStatus.SUSPENDED, EventKind.JUROR_REINSTATED): JurorStatus.QUALIFIED,
    (JurorStatus.SUSPENDED, EventKind.JUROR_LAPSED): JurorStatus.LAPSED,
    (JurorStatus.SUSPENDED, EventKind.JUROR_RESIGNED): JurorStatus.LAPSED,
}
"""What is not in it cannot happen. Every status but LAPSED has one deadline: of the exam, or of the credential."""


class OpenCase(Wire, frozen=True, kw_only=True):
    """A round that a juror has a part in."""

    claim: int
    round: int
    until_ms: int
    """When it is over at the latest, if it is not stayed; from then on the round is asked whether it is, so that
    nothing has to be told to jurors."""


class JurorRecord(Wire, frozen=True, kw_only=True):
    """A member as a juror of its plan."""

    plan: int
    status: JurorStatus
    bank: int
    """Version of the question bank."""
    attempt: int
    """How often the member has enrolled."""
    deadline_ms: int
    enrolled_ms: int
    exam_seed: bytes = b""
    """Draws the questions; b"" until the paper is issued."""
    asked: int = 0
    """How many questions."""
    correct: int = 0
    paper: bytes = b""
    seat: int = 0
    """Place in the pool, from 1."""
    qualified_ms: int = 0
    suspended_ms: int = 0
    reason: int = 0
    """Of the suspension."""
    cases: tuple[OpenCase, ...] = ()
    cast: int = 0
    revealed: int = 0
    drawn: int = 0
    """Panels."""
    missed: int = 0
    """Ballots that were cast and never revealed, and panels without a valid vote."""
    reversed: int = 0
    """Votes to refuse on a panel whose verdict a larger one reversed."""
    key: bytes = b""
    """The member's key as it qualified: it signs the ballots. An enroller that sets its members' keys anew can so
    neither vote for a juror nor take its vote away."""


class PoolRecord(Wire, frozen=True, kw_only=True):
    """The seats of a plan's jurors. A seat that falls free goes to the next who qualifies; nobody ever moves."""

    seats: int = 0
    """Ever given out."""
    free: int = 0
    """How many of them are free, as a stack."""
    bank: int = 0
    """Newest version of the question bank, 0 for none."""

    @property
    def jurors(self) -> int:
        """Qualified or suspended ones."""
        return self.seats - self.free


class NumberRecord(Wire, frozen=True, kw_only=True):
    """A juror in a seat, or a free seat on the stack."""

    number: int


class BankRecord(Wire, frozen=True, kw_only=True):
    """One version of a plan's question bank."""

    organisation: int
    questions: int
    root: bytes
    answers: bytes
    exam_key: bytes
    """The organisation's, as of publication: it cannot be changed to get other questions."""
    published_ms: int


class JuryKeysRecord(Wire, frozen=True, kw_only=True):
    """An organisation's keys for exams and draws."""

    exam: bytes
    beacon: bytes


class CaseRecord(Wire, frozen=True, kw_only=True):
    """A claim before juries."""

    requests: int
    requested_ms: int
    """Only who was qualified by then may vote."""
    statement: bytes
    denier: int
    """The organisation that denied the claim."""
    answer: bytes = b""
    """Its statement."""
    round: int = 0
    """The newest round, 0 for none."""
    level: int = -1
    """Index of the panel's size among the plan's, -1 before the first panel."""
    extended: bool = False
    redraws: int = 0
    """Panels of this level that had too few valid votes."""
    appeals: int = 0
    appellant: int = NO_ORGANISATION
    """Organisation that lodged the last appeal; -1: the member."""
    ground: int = 0
    evidence: bytes = b""


class RoundKind(IntEnum):
    """Who votes in a round."""

    OPEN = 1
    PANEL = 2


class Outcome(IntEnum):
    """How a round ended."""

    RUNNING = 0
    PASSED = 1
    FAILED = 2
    NO_QUORUM = 3
    STOPPED = 4


class RoundRecord(Wire, frozen=True, kw_only=True):
    """One round of ballots. The votes are in the tally until it is over."""

    kind: RoundKind
    opened_ms: int
    quorum: int
    """Least number of valid votes."""
    size: int = 0
    """Of the panel."""
    attempt: int = 0
    """Newest attempt to draw it."""
    panel: tuple[int, ...] = ()
    closed_ms: int = 0
    """When it was over, or 0."""
    cast: int = 0
    revealed: int = 0
    """Valid votes."""
    outcome: Outcome = Outcome.RUNNING
    pay: int = 0
    """Votes to pay; 0 until the round is over."""
    reasons: tuple[tuple[int, int], ...] = ()
    """(reason, votes), by reason; empty until the round is over."""


class TallyRecord(Wire, frozen=True, kw_only=True):
    """Counts of a round that is not over. No query shows it."""

    pay: int = 0
    reasons: tuple[tuple[int, int], ...] = ()


class BallotRecord(Wire, frozen=True, kw_only=True):
    """A ballot: its commitment until it is revealed, then what it said. Kept, so that anybody can count again and
    each juror can prove how its own ballot was counted."""

    commitment: bytes = b""
    vote: int = 0
    reason: int = 0


class DrawPhase(IntEnum):
    """What a draw waits for."""

    DEAL = 1
    OPEN = 2
    DONE = 3
    FAILED = 4


class Opened(Wire, frozen=True, kw_only=True):
    """A decrypted share of the sum. `place` counts the draw's organisations from 1."""

    place: int
    share: bytes
    proof: bytes


class DrawStep(Wire, frozen=True, kw_only=True):
    """One seat that was drawn: who sat in it (0: nobody), and why not, as a result code (0: on the panel)."""

    seat: int
    juror: int
    code: int


class DrawRecord(Wire, frozen=True, kw_only=True):
    """One attempt to draw a panel: all that is needed to do it again."""

    phase: DrawPhase
    parties: tuple[int, ...]
    """Organisations that take part, rising."""
    keys: tuple[bytes, ...]
    """Their beacon keys as of the start."""
    frozen_ms: int
    """The pool is as of this time."""
    seats: int
    dealers: tuple[int, ...] = ()
    """Organisations whose dealing came in time, in the order in which they came."""
    shares: tuple[bytes, ...] = ()
    """Sum of the dealings, once dealing is over: fixed, and known to nobody."""
    opened: tuple[Opened, ...] = ()
    seed: bytes = b""
    weak: bool = False
    """Every attempt failed: the seed is the hash of what they left."""
    steps: tuple[DrawStep, ...] = ()


class DealingRecord(Wire, frozen=True, kw_only=True):
    """A dealing as it came, canonical bytes."""

    dealing: bytes


def load_juror(state: ReadState, member: int) -> JurorRecord | None:
    return state.load(keys.juror(member), JurorRecord)


def save_juror(scope: Scope, member: int, juror: JurorRecord) -> None:
    scope.state.store(keys.juror(member), juror)


def load_pool(state: ReadState, plan: int) -> PoolRecord:
    raw = state.get(keys.jury_pool(plan))
    return PoolRecord() if raw is None else decode_trusted(PoolRecord, raw)


def save_pool(scope: Scope, plan: int, pool: PoolRecord) -> None:
    scope.state.store(keys.jury_pool(plan), pool)


def load_seat(state: ReadState, plan: int, seat: int) -> int:
    """The juror in a seat, or 0."""
    raw = state.get(keys.jury_seat(plan, seat))
    return 0 if raw is None else decode_trusted(NumberRecord, raw).number


def load_bank(state: ReadState, plan: int, version: int) -> BankRecord | None:
    return state.load(keys.exam_bank(plan, version), BankRecord)


def load_jury_keys(state: ReadState, organisation: int) -> JuryKeysRecord | None:
    return state.load(keys.jury_keys(organisation), JuryKeysRecord)


def load_case(state: ReadState, claim: int) -> CaseRecord | None:
    return state.load(keys.jury_case(claim), CaseRecord)


def the_case(state: ReadState, claim: int) -> CaseRecord:
    """The case of a claim whose status says that it has one."""
    return require(state, keys.jury_case(claim), CaseRecord)


def save_case(scope: Scope, claim: int, case: CaseRecord) -> None:
    scope.state.store(keys.jury_case(claim), case)


def load_round(state: ReadState, claim: int, number: int) -> RoundRecord | None:
    return state.load(keys.jury_round(claim, number), RoundRecord)


def the_round(state: ReadState, claim: int, number: int) -> RoundRecord:
    """A round that a case names."""
    return require(state, keys.jury_round(claim, number), RoundRecord)


def save_round(scope: Scope, claim: int, number: int, record: RoundRecord) -> None:
    scope.state.store(keys.jury_round(claim, number), record)


def load_jury_tally(state: ReadState, claim: int, number: int) -> TallyRecord:
    raw = state.get(keys.jury_tally(claim, number))
    return TallyRecord() if raw is None else decode_trusted(TallyRecord, raw)


def load_ballot(state: ReadState, claim: int, number: int, juror: int) -> BallotRecord | None:
    return state.load(keys.ballot(claim, number, juror), BallotRecord)


def load_draw(state: ReadState, claim: int, number: int, attempt: int) -> DrawRecord | None:
    return state.load(keys.jury_draw(claim, number, attempt), DrawRecord)


def the_draw(state: ReadState, claim: int, number: int, attempt: int) -> DrawRecord:
    """A draw that a round names."""
    return require(state, keys.jury_draw(claim, number, attempt), DrawRecord)


def save_draw(scope: Scope, claim: int, number: int, attempt: int, draw: DrawRecord) -> None:
    scope.state.store(keys.jury_draw(claim, number, attempt), draw)
