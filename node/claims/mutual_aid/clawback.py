"""Clawback: a paid claim is called fraud, the member is heard, a panel of organisations decides, money comes back.

A reviewer opens it with a report, within the plan's time after the payment. The panel is fixed at the opening:
organisations without a part in the claim, as far as the consortium has them; their quorum is on the chain. They
vote when the member has answered or its time to answer is over. Without a decision the clawback drops by itself.
Upheld, the payout is demanded back and the membership is void; what comes back lowers the next shares. What has not
come back in time, or is given up by a quorum of the panel, is written off.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.genesis import Role
from node.claims.module import Scope
from node.claims.mutual_aid.actions import AnswerClawback, OpenClawback, RecordRecovery, VoteClawback, VoteWriteOff
from node.claims.mutual_aid.leaving import void_membership
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.receipts import demand_back, fee_bps_of, recover, write_off
from node.claims.mutual_aid.records import (
    ClaimRecord,
    ClawbackRecord,
    load_clawback,
    the_claim,
    the_clawback,
    the_member,
)
from node.claims.mutual_aid.refusals import grounds_problem, terms_of
from node.claims.mutual_aid.steps import current_claim, wrong_status
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, NO_ORGANISATION
from node.claims.wire import encode

CLAWBACKS_MAX: Final = 2
"""Of one claim. The second is opened by another organisation, so that a friendly one cannot use them up."""
RECEIPTS_MAX: Final = 64
"""Parts in which a payout can come back."""
PANEL_MIN: Final = 2
_PANEL_ROLES: Final = (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT)
_UPHOLD, _DROP, _WRITE_OFF = 1, 0, 2


def open_clawback(registry: Registry, scope: Scope, action: OpenClawback) -> ResultCode:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status is not ClaimStatus.PAID:
        return wrong_status(claim)
    if not claim.payable:
        return ResultCode.NOTHING_PAID
    terms = terms_of(registry, scope, claim)
    if not (action.clause and action.reason):
        return ResultCode.FINDING_WITHOUT_GROUNDS
    if code := grounds_problem(terms, action.clause, action.reason):
        return code
    opener = scope.sender.organisation
    before = load_clawback(scope.state, action.claim)
    if before is not None and (claim.clawbacks >= CLAWBACKS_MAX or before.opener == opener):
        return ResultCode.CLAWBACK_USED
    paid_ms = claim.changed_ms if before is None else before.paid_ms
    rules = terms.plan.claim_rules
    if scope.now_ms >= paid_ms + rules.clawback_window_days * DAY_MS:
        return ResultCode.CLAWBACK_TOO_LATE
    members = panel(registry, claim, opener, the_member(scope.state, claim.member).organisation)
    if not members:
        return ResultCode.NOBODY_ELSE
    record = ClawbackRecord(
        opener=opener,
        opened_ms=scope.now_ms,
        paid_ms=paid_ms,
        report=action.report,
        clause=action.clause,
        reason=action.reason,
        panel=members,
        quorum=len(members) // 2 + 1,
        hearing_ms=scope.now_ms + rules.hearing_days * DAY_MS,
    )
    _save(scope, action.claim, record)
    move(
        scope,
        action.claim,
        claim,
        EventKind.CLAWBACK_OPENED,
        deadline_ms=scope.now_ms + rules.clawback_days * DAY_MS,
        value=action.reason,
        actor=opener,
        clawbacks=claim.clawbacks + 1,
    )
    return ResultCode.OK


def panel(registry: Registry, claim: ClaimRecord, opener: int, enroller: int) -> tuple[int, ...]:
    """Who decides, rising: never the opener; of the others those without a part, while at least two remain."""
    working = {number for role in _PANEL_ROLES for number in registry.holders[role]}
    chosen = tuple(number for number in range(len(registry.names)) if number in working and number != opener)
    decided = (claim.investigator, claim.arbiter, *(review.organisation for review in claim.reviews))
    for involved in (decided, claim.conflicted, (claim.payer, claim.intake, claim.filer, enroller)):
        others = tuple(number for number in chosen if number not in involved)
        chosen = others if len(others) >= PANEL_MIN else chosen
    return chosen


def answer(registry: Registry, scope: Scope, action: AnswerClawback) -> ResultCode:
    """The member is heard: with its own key, or through its enroller. Once; then the panel may vote."""
    claim, record, code = _open_case(registry, scope, action.claim, ClaimStatus.CLAWBACK_OPEN)
    if claim is None or record is None:
        return code
    enroller = the_member(scope.state, claim.member).organisation
    if scope.sender.member not in (0, claim.member):
        return ResultCode.NOT_THIS_MEMBER
    if not scope.sender.member and scope.sender.organisation != enroller:
        return ResultCode.NOT_THE_FILER
    if record.answer or scope.now_ms >= record.hearing_ms:
        return ResultCode.HEARING_OVER
    _save(scope, action.claim, replace(record, answer=action.answer))
    _stay_in(scope, action.claim, claim, EventKind.CLAWBACK_ANSWERED, 0)
    return ResultCode.OK


def extend_hearing(scope: Scope, number: int, from_ms: int, to_ms: int) -> None:
    """The case stood still between these times: if the member could answer then, it can that much longer."""
    record = the_clawback(scope.state, number)
    if record.hearing_ms > from_ms:
        _save(scope, number, replace(record, hearing_ms=record.hearing_ms + to_ms - from_ms))


def vote(registry: Registry, scope: Scope, action: VoteClawback) -> ResultCode:
    claim, record, code = _open_case(registry, scope, action.claim, ClaimStatus.CLAWBACK_OPEN)
    if claim is None or record is None:
        return code
    voter = scope.sender.organisation
    if voter not in record.panel:
        return ResultCode.NOT_ON_CLAWBACK_PANEL
    if voter in (*record.upholds, *record.drops):
        return ResultCode.HAS_VOTED
    if not record.answer and scope.now_ms < record.hearing_ms:
        return ResultCode.HEARING_NOT_OVER
    if action.uphold:
        record = replace(record, upholds=(*record.upholds, voter))
    else:
        record = replace(record, drops=(*record.drops, voter))
    if len(record.upholds) >= record.quorum:
        _uphold(registry, scope, action.claim, claim, record)
    elif len(record.panel) - len(record.drops) < record.quorum:
        _save(scope, action.claim, record)
        move(scope, action.claim, claim, EventKind.CLAWBACK_DROPPED, value=len(record.drops))
    else:
        _save(scope, action.claim, record)
        _stay_in(scope, action.claim, claim, EventKind.CLAWBACK_VOTED, _UPHOLD if action.uphold else _DROP)
    return ResultCode.OK


def _uphold(registry: Registry, scope: Scope, number: int, claim: ClaimRecord, record: ClawbackRecord) -> None:
    paid = claim.payable
    _save(scope, number, replace(record, amount=paid))
    days = terms_of(registry, scope, claim).plan.claim_rules.recovery_days
    move(
        scope,
        number,
        claim,
        EventKind.CLAWBACK_UPHELD,
        deadline_ms=scope.now_ms + days * DAY_MS,
        value=paid,
        actor=NO_ORGANISATION,
    )
    demand_back(scope, claim.plan, paid)
    void_membership(registry, scope, claim.member)


def clawback_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The panel did not decide in time: who is not found guilty is not."""
    move(scope, number, the_claim(scope.state, number), EventKind.CLAWBACK_EXPIRED, at_ms=due_ms)


def record_recovery(registry: Registry, scope: Scope, action: RecordRecovery) -> ResultCode:
    """A payment organisation has received a part, or all, of what is to be paid back."""
    claim, record, code = _open_case(registry, scope, action.claim, ClaimStatus.CLAWBACK_UPHELD)
    if claim is None or record is None:
        return code
    if action.receipt in record.receipts:
        return ResultCode.RECEIPT_KNOWN
    left = record.amount - record.recovered
    # The last of so many parts has to be the rest.
    if not 0 < action.amount <= left or (len(record.receipts) == RECEIPTS_MAX - 1 and action.amount < left):
        return ResultCode.AMOUNT_OUT_OF_RANGE
    received = replace(record, recovered=record.recovered + action.amount, receipts=(*record.receipts, action.receipt))
    _save(scope, action.claim, received)
    if received.recovered < received.amount:
        _stay_in(scope, action.claim, claim, EventKind.RECOVERY_RECORDED, action.amount)
    else:
        actor = scope.sender.organisation
        move(scope, action.claim, claim, EventKind.CLAIM_RECOVERED, value=action.amount, actor=actor)
    recover(scope, claim.plan, action.amount, fee_bps_of(registry, scope, claim))
    return ResultCode.OK


def vote_write_off(registry: Registry, scope: Scope, action: VoteWriteOff) -> ResultCode:
    """A quorum of the panel gives up what has not come back."""
    claim, record, code = _open_case(registry, scope, action.claim, ClaimStatus.CLAWBACK_UPHELD)
    if claim is None or record is None:
        return code
    voter = scope.sender.organisation
    if voter not in record.panel:
        return ResultCode.NOT_ON_CLAWBACK_PANEL
    if voter in record.write_offs:
        return ResultCode.HAS_VOTED
    record = replace(record, write_offs=(*record.write_offs, voter))
    _save(scope, action.claim, record)
    if len(record.write_offs) >= record.quorum:
        _write_off(scope, action.claim, claim, record, scope.now_ms)
    else:
        _stay_in(scope, action.claim, claim, EventKind.CLAWBACK_VOTED, _WRITE_OFF)
    return ResultCode.OK


def recovery_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """What has not come back by now is written off, so that no case lies for ever."""
    _write_off(scope, number, the_claim(scope.state, number), the_clawback(scope.state, number), due_ms)


def _write_off(scope: Scope, number: int, claim: ClaimRecord, record: ClawbackRecord, at_ms: int) -> None:
    left = record.amount - record.recovered
    move(scope, number, claim, EventKind.CLAIM_WRITTEN_OFF, value=left, at_ms=at_ms)
    write_off(scope, claim.plan, left)


def _open_case(
    registry: Registry, scope: Scope, number: int, status: ClaimStatus
) -> tuple[ClaimRecord | None, ClawbackRecord | None, ResultCode]:
    claim, code = current_claim(registry, scope, number)
    if claim is None:
        return None, None, code
    if claim.status is not status:
        return None, None, wrong_status(claim)
    return claim, the_clawback(scope.state, number), ResultCode.OK


def _stay_in(scope: Scope, number: int, claim: ClaimRecord, what: EventKind, value: int) -> None:
    """Something happened that leaves status and deadline as they are."""
    move(
        scope,
        number,
        claim,
        what,
        deadline_ms=claim.deadline_ms,
        value=value,
        actor=NO_ORGANISATION if scope.sender.member else scope.sender.organisation,
    )


def _save(scope: Scope, number: int, record: ClawbackRecord) -> None:
    scope.state.put(keys.clawback(number), encode(record))
