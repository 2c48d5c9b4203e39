"""One way to make each action, for `programme_machine`. The sender is whose turn it is, or who may by the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from node.claims.mutual_aid.actions import (
    AdmitClaim,
    AnswerClawback,
    ConfirmPayment,
    DecideObjection,
    Decision,
    ExtendInvestigation,
    Extension,
    Finding,
    Investigate,
    LiftStay,
    Object,
    OpenClawback,
    Paper,
    Reason,
    RecordRecovery,
    Recuse,
    ReopenClaim,
    ResolveHold,
    ResubmitClaim,
    ReturnClaim,
    Review,
    StayClaim,
    StayEnd,
    VoteClawback,
    VoteWriteOff,
    WithdrawClaim,
)
from node.claims.mutual_aid.arrears import payable_now
from node.claims.mutual_aid.records import ClaimRecord, load_clawback
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, key_of, person
from tests.property import programme_jury as jury

if TYPE_CHECKING:
    from tests.property.programme_machine import ProgrammeMachine

CLAUSE: Final = ("3.1", "2.1")
"""A clause of each plan."""

Move = Callable[["ProgrammeMachine", int, ClaimRecord], tuple[str | bytes, Action] | None]


def _grounds(record: ClaimRecord) -> dict[str, Any]:
    return {"clause": CLAUSE[record.plan], "evidence": person(40), "reason": Reason.DEFINITION_NOT_MET}


def _turn(record: ClaimRecord) -> str:
    return ORGANISATIONS[record.assigned] if record.assigned >= 0 else "c"


def _own_key(record: ClaimRecord) -> bytes:
    return key_of(f"member {record.member}")


def _objector(machine: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[bytes, Action]:
    other = (record.member + number) % machine.people + 1
    return key_of(f"member {other}"), Object(claim=number, member=other, evidence=machine.paper())


def _uninvolved(record: ClaimRecord) -> str:
    part = (record.investigator, record.reviewer, record.arbiter, record.assigned)
    return next((name for index, name in enumerate(ORGANISATIONS) if index not in part), "d")


def _vote(machine: ProgrammeMachine, number: int, *, uphold: bool) -> tuple[str, Action] | None:
    case = load_clawback(machine.chain.state, number)
    if case is None:
        return None
    left = [voter for voter in case.panel if voter not in (*case.upholds, *case.drops)] or list(case.panel)
    return ORGANISATIONS[left[0]], VoteClawback(claim=number, uphold=uphold)


def _write_off(machine: ProgrammeMachine, number: int, _: ClaimRecord) -> tuple[str, Action] | None:
    case = load_clawback(machine.chain.state, number)
    voter = case.panel[machine.papers % len(case.panel)] if case is not None else 0
    return ORGANISATIONS[voter], VoteWriteOff(claim=number)


def _amount(record: ClaimRecord) -> int:
    """What a reviewer grants: the fixed sum by naming none, or two thirds of the receipts."""
    return 0 if record.plan == 0 else max(1, record.claimed * 2 // 3)


def _investigated(_: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _turn(record), Investigate(claim=number, finding=Finding.PASS, report=person(3))


def _not_found(_: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _turn(record), Investigate(
        claim=number, finding=Finding.FAIL, report=person(3), clause=CLAUSE[record.plan], reason=1
    )


def _recused(_: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _turn(record), Recuse(claim=number)


def _accepted(_: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _turn(record), Review(claim=number, decision=Decision.ACCEPT, amount=_amount(record))


def _paid(machine: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _turn(record), ConfirmPayment(
        claim=number,
        amount=payable_now(machine.chain.application.registry, machine.chain.state, record),
        receipt=person(2),
    )


def _admitted(_: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _turn(record), AdmitClaim(claim=number)


def _denied(_: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _turn(record), Review(claim=number, decision=Decision.DENY, **_grounds(record))


def _recovered(machine: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    part = max(1, record.payable // (1 + machine.papers % 3))
    return "b", RecordRecovery(claim=number, amount=part, receipt=machine.paper())


def _opened(machine: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    fraud = OpenClawback(claim=number, report=machine.paper(), clause=CLAUSE[record.plan], reason=Reason.EVIDENCE_FALSE)
    return ORGANISATIONS[(record.reviewer + machine.papers) % 4], fraud


def _reopened(machine: ProgrammeMachine, number: int, record: ClaimRecord) -> tuple[str, Action]:
    return _uninvolved(record), ReopenClaim(claim=number, evidence=machine.paper())


def _stayed(machine: ProgrammeMachine, number: int, _: ClaimRecord) -> tuple[str, Action]:
    return "d", StayClaim(claim=number, order=machine.paper(), days=1 + machine.papers % 9)


MOVES: Final[dict[ClaimStatus, tuple[Move, ...]]] = {
    ClaimStatus.INTAKE: (
        _admitted,
        lambda m, n, r: (_turn(r), ReturnClaim(claim=n, missing=Paper.INVOICE)),
    ),
    ClaimStatus.RETURNED: (lambda m, n, r: (_own_key(r), ResubmitClaim(claim=n, evidence=m.paper())),),
    ClaimStatus.FILED: (
        _investigated,
        _investigated,
        _not_found,
        lambda m, n, r: (_turn(r), ExtendInvestigation(claim=n, reason=Extension.FIELD_VISIT_OUTSTANDING)),
        _recused,
    ),
    ClaimStatus.INVESTIGATED: (
        _accepted,
        _accepted,
        _accepted,
        _denied,
        _recused,
    ),
    ClaimStatus.DUP_HOLD: (
        lambda m, n, r: (_turn(r), ResolveHold(claim=n, decision=Decision.ACCEPT, evidence=m.paper())),
        lambda m, n, r: (_turn(r), ResolveHold(claim=n, decision=Decision.DENY, **_grounds(r))),
        _recused,
    ),
    ClaimStatus.PUBLISHED: (_objector,),
    ClaimStatus.OBJECTED: (
        lambda m, n, r: (_turn(r), DecideObjection(claim=n, decision=Decision.ACCEPT)),
        lambda m, n, r: (_turn(r), DecideObjection(claim=n, decision=Decision.DENY, **_grounds(r))),
        _recused,
    ),
    ClaimStatus.SETTLED: (_paid,),
    ClaimStatus.PAID: (_opened,),
    ClaimStatus.CLAWBACK_STAYED: (
        lambda m, n, r: ("d", LiftStay(claim=n, end=StayEnd.RESUME, order=m.paper())),
        _stayed,
    ),
    ClaimStatus.CLAWBACK_OPEN: (
        _stayed,
        lambda m, n, r: (_own_key(r), AnswerClawback(claim=n, answer=m.paper())),
        lambda m, n, r: _vote(m, n, uphold=True),
        lambda m, n, r: _vote(m, n, uphold=True),
        lambda m, n, r: _vote(m, n, uphold=False),
    ),
    ClaimStatus.CLAWBACK_UPHELD: (_recovered, _recovered, _write_off, _write_off, _stayed),
    ClaimStatus.DENIED: (_reopened, jury.asked, jury.asked, jury.asked),
    ClaimStatus.JURY_OPEN: (jury.answered, jury.answered, jury.stopped, _stayed),
    ClaimStatus.JURY_DRAWING: (jury.stopped, _stayed),
    ClaimStatus.JURY_VOTING: (*(jury.cast,) * 8, jury.stopped, _stayed),
    ClaimStatus.JURY_REVEAL: (*(jury.revealed,) * 8, jury.stopped, _stayed),
    ClaimStatus.PANEL_COMMIT: (*(jury.cast,) * 8, jury.stopped, _stayed),
    ClaimStatus.PANEL_REVEAL: (*(jury.revealed,) * 8, jury.stopped, _stayed),
    ClaimStatus.JURY_FAILED: (jury.appealed, jury.appealed, _stayed),
    ClaimStatus.CLOSED_DENIED: (_reopened,),
    ClaimStatus.LAPSED: (_reopened,),
    ClaimStatus.STAYED: (
        lambda m, n, r: ("d", LiftStay(claim=n, end=StayEnd.RESUME, order=m.paper())),
        lambda m, n, r: ("d", LiftStay(claim=n, end=StayEnd.RESUME, order=m.paper())),
        lambda m, n, r: ("d", LiftStay(claim=n, end=StayEnd.GRANT, order=m.paper())),
        lambda m, n, r: ("d", LiftStay(claim=n, end=StayEnd.REFUSE, order=m.paper(), clause=CLAUSE[r.plan])),
    ),
    ClaimStatus.PAYMENT_STAYED: (
        lambda m, n, r: ("d", LiftStay(claim=n, end=StayEnd.RESUME, order=m.paper())),
        _stayed,
    ),
}
ANY_TIME: Final[tuple[Move, ...]] = (
    lambda m, n, r: (_own_key(r), WithdrawClaim(claim=n)),
    _stayed,
)
EVERY: Final[tuple[Move, ...]] = (*(move for moves in MOVES.values() for move in moves), *ANY_TIME)
