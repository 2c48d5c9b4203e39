"""Casting and revealing ballots, up to a thousand in one action.

What an organisation can check before it sends a batch (signatures, reasons that do not fit the vote) refuses the
whole batch. What only the chain knows when the batch arrives (a juror who has voted through somebody else, or is
no longer qualified) leaves out that one ballot: else one juror could spoil the batch of a thousand others.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.jury.actions import CastBallots, Reveal, RevealBallots, Vote
from node.claims.jury.ballots import ballot_commitment, ballot_message, fits
from node.claims.jury.eligibility import Bench
from node.claims.jury.proofs import JuryProofs, Signed
from node.claims.jury.records import (
    BallotRecord,
    CaseRecord,
    JurorRecord,
    OpenCase,
    Outcome,
    RoundKind,
    RoundRecord,
    TallyRecord,
    load_ballot,
    load_juror,
    load_jury_tally,
    save_juror,
    save_round,
    the_case,
    the_round,
)
from node.claims.jury.rounds import bench_of, end_early, rules_of
from node.claims.module import Scope
from node.claims.mutual_aid.records import ClaimRecord, load_member
from node.claims.mutual_aid.steps import current_claim, wrong_status
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from node.claims.wire import encode

_CASTING = (ClaimStatus.JURY_VOTING, ClaimStatus.PANEL_COMMIT)
_REVEALING = (ClaimStatus.JURY_REVEAL, ClaimStatus.PANEL_REVEAL)


@dataclass(slots=True)
class _Sitting:
    """A round that takes ballots now."""

    claim: ClaimRecord
    case: CaseRecord
    round: RoundRecord


def _sitting(
    registry: Registry, scope: Scope, action: CastBallots | RevealBallots, statuses: tuple[ClaimStatus, ...]
) -> tuple[_Sitting | None, ResultCode]:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return None, code
    if claim.status not in statuses:
        return None, wrong_status(claim)
    case = the_case(scope.state, action.claim)
    if action.round != case.round:
        return None, ResultCode.WRONG_ROUND
    return _Sitting(claim, case, the_round(scope.state, action.claim, case.round)), ResultCode.OK


def cast(registry: Registry, proofs: JuryProofs, scope: Scope, action: CastBallots) -> ResultCode:
    sitting, code = _sitting(registry, scope, action, _CASTING)
    if sitting is None:
        return code
    accepted: dict[int, tuple[JurorRecord, bytes]] = {}
    signed: list[Signed] = []
    first = ResultCode.OK
    bench = bench_of(registry, scope, sitting.claim, scope.now_ms, panel=False)
    for ballot in action.ballots:
        if scope.sender.member not in (0, ballot.juror):
            return ResultCode.NOT_THIS_MEMBER
        juror, key, code = _voter(registry, scope, action, sitting, bench, ballot.juror)
        if juror is None or ballot.juror in accepted:
            first = first or code or ResultCode.ALREADY_DONE
            continue
        message = ballot_message(registry.digest, action.claim, action.round, ballot.juror, ballot.commitment)
        signed.append((key, ballot.signature, message))
        accepted[ballot.juror] = juror, ballot.commitment
    if not accepted:
        scope.detail = "ballot 0" if len(action.ballots) > 1 else ""
        return first
    for juror_number, valid in zip(accepted, proofs.signatures(signed), strict=True):
        if not valid:
            position = next(i for i, ballot in enumerate(action.ballots) if ballot.juror == juror_number)
            scope.detail = f"ballot {position}"
            return ResultCode.BALLOT_SIGNATURE_INVALID
    _store(registry, scope, action, sitting, accepted)
    return ResultCode.OK


def _voter(
    registry: Registry, scope: Scope, action: CastBallots, sitting: _Sitting, bench: Bench, number: int
) -> tuple[JurorRecord, bytes, ResultCode] | tuple[None, bytes, ResultCode]:
    """A juror who may cast a ballot now, and its key. A panel's members were examined when it was drawn."""
    juror, member = load_juror(scope.state, number), load_member(scope.state, number)
    if juror is None or member is None:
        return None, b"", ResultCode.UNKNOWN_JUROR
    if sitting.round.kind is RoundKind.PANEL:
        code = ResultCode.OK if number in sitting.round.panel else ResultCode.NOT_ON_PANEL
    else:
        juror = without_past_cases(scope, juror, rules_of(registry, scope, sitting.claim).open_cases_max)
        code = bench.problem(
            number, juror, member, as_of_ms=min(sitting.case.requested_ms, scope.now_ms), at_ms=scope.now_ms
        )
    if not code and load_ballot(scope.state, action.claim, action.round, number) is not None:
        code = ResultCode.ALREADY_DONE
    return (None, b"", code) if code else (juror, juror.key, code)


def without_past_cases(scope: Scope, juror: JurorRecord, limit: int) -> JurorRecord:
    """Rounds that are over no longer count; an open vote that had a verdict and not the juror's vote was missed. They
    are looked up when it matters only: if they should be over, or if the juror has `limit` of them. One that was
    stayed is over later than it should be."""
    full = len(juror.cases) >= limit
    if not full and all(case.until_ms > scope.now_ms for case in juror.cases):
        return juror
    left, missed = [], 0
    for case in juror.cases:
        record = the_round(scope.state, case.claim, case.round)
        if not record.closed_ms:
            left.append(case)
        elif record.kind is RoundKind.OPEN:
            missed += record.outcome in (Outcome.PASSED, Outcome.FAILED)
    return replace(juror, cases=tuple(left), missed=juror.missed + missed)


def _store(
    registry: Registry,
    scope: Scope,
    action: CastBallots,
    sitting: _Sitting,
    accepted: dict[int, tuple[JurorRecord, bytes]],
) -> None:
    rules = rules_of(registry, scope, sitting.claim)
    panel = sitting.round.kind is RoundKind.PANEL
    # At the latest: the vote may still be extended.
    until_ms = sitting.claim.deadline_ms + (rules.vote_hours + rules.reveal_hours) * HOUR_MS
    for number, (juror, commitment) in accepted.items():
        scope.state.put(keys.ballot(action.claim, action.round, number), encode(BallotRecord(commitment=commitment)))
        opened = () if panel else (OpenCase(claim=action.claim, round=action.round, until_ms=until_ms),)
        save_juror(scope, number, replace(juror, cases=(*juror.cases, *opened), cast=juror.cast + 1))
    record = replace(sitting.round, cast=sitting.round.cast + len(accepted))
    save_round(scope, action.claim, action.round, record)
    scope.emit(
        EventKind.BALLOTS_CAST,
        plan=sitting.claim.plan,
        subject=action.claim,
        organisation=scope.sender.organisation,
        value=len(accepted),
    )
    if panel and record.cast == len(record.panel):
        end_early(scope, action.claim, sitting.claim)


def reveal(registry: Registry, _: JuryProofs, scope: Scope, action: RevealBallots) -> ResultCode:
    """Anybody with the salt may reveal a ballot, so no signature is needed and no juror can be silenced."""
    sitting, code = _sitting(registry, scope, action, _REVEALING)
    if sitting is None:
        return code
    pay, reasons = 0, dict(load_jury_tally(scope.state, action.claim, action.round).reasons)
    first, count = ResultCode.OK, 0
    for index, opened in enumerate(action.reveals):
        if not fits(opened.vote, opened.reason):
            scope.detail = f"ballot {index}"
            return ResultCode.REASON_DOES_NOT_FIT
        code = _reveal_one(registry, scope, action, opened)
        if code:
            first = first or code
            continue
        count += 1
        pay += opened.vote is Vote.PAY
        reasons[opened.reason] = reasons.get(opened.reason, 0) + 1
    if not count:
        scope.detail = "ballot 0" if len(action.reveals) > 1 else ""
        return first
    tally = load_jury_tally(scope.state, action.claim, action.round)
    counted = TallyRecord(pay=tally.pay + pay, reasons=tuple(sorted(reasons.items())))
    scope.state.put(keys.jury_tally(action.claim, action.round), encode(counted))
    record = replace(sitting.round, revealed=sitting.round.revealed + count)
    save_round(scope, action.claim, action.round, record)
    scope.emit(
        EventKind.BALLOTS_REVEALED,
        plan=sitting.claim.plan,
        subject=action.claim,
        organisation=scope.sender.organisation,
        value=count,
    )
    if record.revealed == record.cast:
        end_early(scope, action.claim, sitting.claim)
    return ResultCode.OK


def _reveal_one(registry: Registry, scope: Scope, action: RevealBallots, opened: Reveal) -> ResultCode:
    ballot = load_ballot(scope.state, action.claim, action.round, opened.juror)
    if ballot is None:
        return ResultCode.UNKNOWN_JUROR
    if ballot.vote:
        return ResultCode.ALREADY_DONE
    commitment = ballot_commitment(
        registry.digest, action.claim, action.round, opened.juror, opened.vote, opened.reason, opened.salt
    )
    if commitment != ballot.commitment:
        return ResultCode.NOT_THIS_BALLOT
    said = BallotRecord(vote=opened.vote.value, reason=opened.reason.value)
    scope.state.put(keys.ballot(action.claim, action.round, opened.juror), encode(said))
    juror = load_juror(scope.state, opened.juror)
    if juror is not None:
        cases = tuple(case for case in juror.cases if (case.claim, case.round) != (action.claim, action.round))
        save_juror(scope, opened.juror, replace(juror, cases=cases, revealed=juror.revealed + 1))
    return ResultCode.OK
